/* MatMul, Gemm and Linear in f32 on register tiles (tile.h). A constant b is packed when the engine
 * is built, another one at the start of every launch.
 *
 * Work is cut into chunks of y, rows by panels of columns, that no two threads share. Rows go into
 * strips of equal size, and strips into equal chunks: a tile or a chunk of few rows reads as much
 * of b as a large one. Where the rows of a cannot be read as they lie, those of a chunk are turned
 * around into strips as tile.h has them, and so they are where each panel of b is read once: what
 * fetches the next one needs a register. */
#include "backends/cpu/kernels/product.h"
#include "backends/cpu/kernels/tile_stream.h"
#include "backends/cpu/variant.h"

enum { STRIPS = 8, CHUNK_PANELS = 8 }; /* of a chunk, at most */
enum { STRIP_FLOATS = TILE_DEPTH * TILE_ROWS };
enum { GRAIN = 500000 }; /* multiply-adds worth a thread: waking one costs as much as some 70 us */

static size_t b_bytes(const product *w)
{
    int64_t floats = w->matrices * tile_packed_count(w->plan.k, w->plan.n);
    return tn_align_up((size_t)floats * sizeof(float), TN_ALIGNMENT);
}

static tn_verdict accepts(const tn_problem *p)
{
    if (p->in[0].dtype != TN_DTYPE_F32) return TN_NO("the operands are not f32");
    return TN_YES;
}

static size_t packed_bytes(const tn_problem *p)
{
    product w;
    product_read(p, &w);
    return product_is_packed(p) ? b_bytes(&w) : 0;
}

static size_t scratch_bytes(const tn_problem *p)
{
    product w;
    product_read(p, &w);
    return product_is_packed(p) ? 0 : b_bytes(&w);
}

/* Nanoseconds on one core that is fed well; or what reading b takes. */
static double estimate_ns(const tn_problem *p)
{
    const double multiply_adds_ns = 5 * VF32_LANES, bytes_ns = 16;
    product w;
    product_read(p, &w);
    double b = (double)w.plan.k * (double)w.plan.n, rows = (double)w.plan.m * (double)w.plan.batch;
    double sums = rows * b / multiply_adds_ns, read = (double)w.matrices * b * 4 / bytes_ns;
    double copy = product_is_packed(p) ? 0 : read;
    return 200 + TN_MAX(sums, read) + copy;
}

static bool panels(const tn_problem *p, tn_panels *out)
{
    product w;
    product_read(p, &w);
    *out = (tn_panels){w.matrices, w.plan.k, w.plan.n, TILE_COLUMNS, w.b_column != 1};
    return product_is_packed(p);
}

static uint64_t unused(const tn_problem *p)
{
    return product_is_packed(p) ? 2 : 0;
}

typedef struct job {
    product w;
    const float *a, *b; /* b: as it comes, for packing */
    float *packed;      /* written only by packing */
    float *y;
    int64_t strips, row_chunks, panel_chunks;
} job;

static tn_status pack_share(void *arg, int64_t begin, int64_t end, int thread)
{
    job *j = arg;
    int64_t panels = tile_panels(j->w.plan.n), k = j->w.plan.k, n = j->w.plan.n;
    (void)thread;
    for (int64_t at = begin; at < end; at++) {
        int64_t matrix = at / panels, panel = at % panels;
        tile_pack(j->b + matrix * k * n, j->w.b_row, j->w.b_column, k, n, panel, panel + 1,
                  j->packed + matrix * tile_packed_count(k, n));
    }
    return NULL;
}

static tn_status pack(const tn_problem *p, void *dst)
{
    job j = {.b = p->in[1].data, .packed = dst};
    product_read(p, &j.w);
    if (b_bytes(&j.w) == 0) return NULL;
    memset(dst, 0, b_bytes(&j.w)); /* the padding too: the same model gives the same file */
    return pack_share(&j, 0, j.w.matrices * tile_panels(j.w.plan.n), 0);
}

/* Rows of a that lie a multiple of this apart share few sets of the cache, and thrash it. */
enum { BAD_STEP = 2048 / sizeof(float) };
enum { NEAR = 200000 }; /* floats of b that are still in the L2 cache when the next rows come */

/* Part of y: strips of its rows, n columns. row[i]: of a strip, counted from the first. */
typedef struct chunk {
    int64_t row[STRIPS + 1], strips, n;
    const float *a, *packed; /* packed: its columns */
    const float *bias;       /* of the columns, or NULL */
    bool first, only;        /* of the chunks of rows that meet these columns in turn */
    float *y;
} chunk;

static bool wants_turning(const product *w, const chunk *c)
{
    if (w->a_column != 1) return true;
    return c->strips > 1 && (w->a_row % BAD_STEP == 0 || c->only);
}

/* Is what is done to sums so little that tiles do it? */
static bool is_simple(const tile_end *e)
{
    return e->any && e->alpha == 1 && e->beta == 1 && e->bias_row == 0 &&
           (!e->bias || e->bias_column) && e->function.kind <= TN_EPILOGUE_RELU;
}

static void turn_rows(const product *w, const chunk *c, int64_t at, int64_t depth, float *strip)
{
    for (int64_t i = 0; i < c->strips; i++, strip += STRIP_FLOATS) {
        const float *src = c->a + c->row[i] * w->a_row + at * w->a_column;
        int rows = (int)(c->row[i + 1] - c->row[i]);
        if (w->a_column == 1) tile_turn(rows, depth, src, w->a_row, strip);
        else tile_take(rows, depth, src, w->a_column, strip);
    }
}

/* `depth` rows of a panel from row `at` on, its first column j of the chunk, times all strips;
 * turned: these, or NULL. A panel that comes from memory or a far cache has been asked for while
 * the one before met the strips, a share of it by each. */
static void multiply_panel(const product *w, const chunk *c, int64_t j, int64_t at, int64_t depth,
                           const float *turned)
{
    int64_t k = w->plan.k, ldc = w->plan.n, columns = TN_MIN(TILE_COLUMNS, c->n - j);
    const float *panel = c->packed + j * k + at * TILE_COLUMNS, *next = panel + TILE_COLUMNS * k;
    bool is_far = c->first || c->n * k > NEAR, is_last = at + depth == k;
    int64_t share = is_far ? (TILE_COLUMNS + c->strips - 1) / c->strips : TILE_COLUMNS;
    tile_ends ends = {.low = w->end.function.kind == TN_EPILOGUE_RELU ? 0 : -INFINITY};
    if (c->bias) ends.columns = c->bias + j;
    if (j + columns == c->n) next = c->packed + (at + depth) * TILE_COLUMNS;
    for (int64_t i = 0; i < c->strips; i++) {
        int rows = (int)(c->row[i + 1] - c->row[i]);
        float *y = c->y + c->row[i] * ldc + j;
        if (w->end.residual) ends.residual = w->end.residual + (y - w->end.y);
        const tile_ends *these = is_last && is_simple(&w->end) ? &ends : NULL;
        if (turned)
            tile_one_turned_ended(rows, columns, depth, turned + i * STRIP_FLOATS, TILE_ROWS, panel,
                                  y, ldc, at > 0, these,
                                  is_far ? next + i * depth * share : panel + TILE_AHEAD, share);
        else
            tile_one_ended(rows, columns, depth, c->a + c->row[i] * w->a_row + at, w->a_row, panel,
                           y, ldc, at > 0, these);
    }
}

static void multiply(const product *w, const chunk *c)
{
    _Alignas(TN_ALIGNMENT) float strips[STRIPS * STRIP_FLOATS];
    bool turned = wants_turning(w, c);
    int64_t at = 0;
    do {
        int64_t depth = TN_MIN(TILE_DEPTH, w->plan.k - at);
        if (turned) turn_rows(w, c, at, depth, strips);
        for (int64_t j = 0; j < c->n; j += TILE_COLUMNS)
            multiply_panel(w, c, j, at, depth, turned ? strips : NULL);
        at += TILE_DEPTH;
    } while (at < w->plan.k);
}

static tn_status run_share(void *arg, int64_t begin, int64_t end, int thread)
{
    const job *j = arg;
    const product *w = &j->w;
    const tn_matmul_plan *plan = &w->plan;
    int64_t panels = tile_panels(plan->n);
    (void)thread;
    for (int64_t at = begin; at < end; at++) {
        int64_t chunks = j->panel_chunks, index = at / j->row_chunks % chunks, matrix;
        int64_t batch = at / j->row_chunks / chunks, part = at % j->row_chunks;
        int64_t first = j->strips * part / j->row_chunks, row = plan->m * first / j->strips;
        int64_t column = index * panels / chunks * TILE_COLUMNS;
        int64_t to = (index + 1) * panels / chunks * TILE_COLUMNS;
        chunk c = {.bias = w->end.bias ? w->end.bias + column : NULL,
                   .first = part == 0,
                   .only = j->row_chunks == 1};
        c.strips = j->strips * (part + 1) / j->row_chunks - first;
        for (int64_t i = 0; i <= c.strips; i++) c.row[i] = plan->m * (first + i) / j->strips - row;
        int64_t m = c.row[c.strips];
        c.n = TN_MIN(plan->n, to) - column;
        c.a = product_rows(w, j->a, batch, row, &matrix);
        c.packed = j->packed + matrix * tile_packed_count(plan->k, plan->n) + column * plan->k;
        c.y = j->y + (batch * plan->m + row) * plan->n + column;
        if (m <= STREAM_ROWS && w->a_column == 1)
            stream_multiply(m, c.n, plan->k, c.a, w->a_row, c.packed, c.y, plan->n);
        else {
            multiply(w, &c);
            if (is_simple(&w->end)) continue;
        }
        if (w->end.any) tile_end_run(&w->end, row, column, m, c.n, c.y, plan->n);
    }
    return NULL;
}

static tn_status launch(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    job j = {.a = p->in[0].data, .b = p->in[1].data, .y = p->out[0].data};
    product_read(p, &j.w);
    const tn_matmul_plan *plan = &j.w.plan;
    if (plan->m * plan->n * plan->batch == 0) return NULL;
    /* Both ways packed is only read from here on. */
    j.packed = product_is_packed(p) ? (float *)(uintptr_t)l->packed : (float *)l->scratch;
    if (plan->k == 0) j.a = j.packed = j.y; /* never read, but not NULL */
    else if (!product_is_packed(p))
        TN_TRY(tn_pool_run(l->pool, j.w.matrices * tile_panels(plan->n),
                           1 + GRAIN / (1 + plan->k * TILE_COLUMNS), pack_share, &j));
    int64_t panels = tile_panels(plan->n), threads = tn_pool_threads(l->pool);
    j.strips = (plan->m + TILE_ROWS - 1) / TILE_ROWS;
    j.row_chunks = (j.strips + STRIPS - 1) / STRIPS;
    j.panel_chunks = (panels + CHUNK_PANELS - 1) / CHUNK_PANELS;
    if (plan->batch * j.row_chunks % threads) /* shares of the same size */
        j.panel_chunks = TN_MIN(panels, (j.panel_chunks + threads - 1) / threads * threads);
    int64_t chunks = plan->batch * j.row_chunks * j.panel_chunks;
    double work = (double)plan->m * (double)plan->n * (double)(plan->k + 1) * (double)plan->batch;
    int64_t grain = 1 + (int64_t)(GRAIN * (double)chunks / work);
    return tn_pool_run(l->pool, chunks, grain, run_share, &j);
}

extern const tn_tactic TN_VARIANT_NAME(tn_cpu_matmul_tiles)[];
#define TACTIC(op_name, text)                                                                      \
    {                                                                                              \
        .name = "cpu." text ".f32.tiles." TN_VARIANT_TEXT, .op = op_name, .revision = 5,           \
        .accepts = accepts, .scratch_bytes = scratch_bytes, .estimate_ns = estimate_ns,            \
        .packed_bytes = packed_bytes, .pack = pack, .panels = panels, .unused = unused,            \
        .launch = launch,                                                                          \
    }
const tn_tactic TN_VARIANT_NAME(tn_cpu_matmul_tiles)[] = {
    TACTIC("MatMul", "matmul"),
    TACTIC("Gemm", "gemm"),
    TACTIC("Linear", "linear"),
    {0},
};
