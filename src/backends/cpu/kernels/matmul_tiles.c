/* MatMul, Gemm and Linear in f32 on register tiles (tile.h). A constant b is packed when the engine
 * is built, another one at the start of every launch.
 *
 * Work is cut into chunks of y, rows by panels of columns, that no two threads share. Where the
 * rows of a cannot be read as they lie, some are turned around into strips at a time (tile.h). */
#include "backends/cpu/kernels/product.h"
#include "backends/cpu/variant.h"

enum { CHUNK_ROWS = 8 * TILE_ROWS, CHUNK_PANELS = 8 };
enum { GROUP = 4, STRIP_FLOATS = TILE_DEPTH * TILE_ROWS }; /* strips turned at a time */
enum { GRAIN = 500000 }; /* multiply-adds worth a thread: waking one costs as much as some 70 us */

static size_t pad_bytes(int64_t floats)
{
    return tn_align_up((size_t)floats * sizeof(float), TN_ALIGNMENT);
}

static size_t b_bytes(const product *w)
{
    return pad_bytes(w->matrices * tile_packed_count(w->plan.k, w->plan.n));
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

static uint64_t unused(const tn_problem *p)
{
    return product_is_packed(p) ? 2 : 0;
}

typedef struct job {
    product w;
    const float *a, *b; /* b: as it comes, for packing */
    float *packed;      /* written only by packing */
    float *y;
    int64_t row_chunks, panel_chunks;
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

static tn_status pack_all(job *j, tn_pool *pool)
{
    int64_t panels = j->w.matrices * tile_panels(j->w.plan.n);
    int64_t grain = 1 + GRAIN / (1 + j->w.plan.k * TILE_COLUMNS);
    return tn_pool_run(pool, panels, grain, pack_share, j);
}

static tn_status pack(const tn_problem *p, void *dst)
{
    job j = {.b = p->in[1].data, .packed = dst};
    product_read(p, &j.w);
    if (b_bytes(&j.w) == 0) return NULL;
    memset(dst, 0, b_bytes(&j.w)); /* the padding too: the same model gives the same file */
    return pack_all(&j, NULL);
}

/* Rows of a that lie a multiple of this apart share few sets of the cache, and thrash it. */
enum { BAD_STEP = 2048 / sizeof(float) };

static bool wants_turning(const product *w, int64_t rows)
{
    return w->a_column != 1 || (rows > TILE_ROWS && w->a_row % BAD_STEP == 0);
}

/* m rows from a on and n columns: packed and y begin at theirs. What tile_multiply does, on strips.
 */
static void multiply_turned(const product *w, int64_t m, int64_t n, const float *a,
                            const float *packed, float *y)
{
    _Alignas(TN_ALIGNMENT) float strips[GROUP * STRIP_FLOATS];
    int64_t k = w->plan.k, ldc = w->plan.n;
    for (int64_t first = 0; first < m; first += GROUP * TILE_ROWS) {
        int64_t end = TN_MIN(m, first + GROUP * TILE_ROWS), at = 0;
        do {
            int64_t depth = TN_MIN(TILE_DEPTH, k - at);
            float *strip = strips;
            for (int64_t i = first; i < end; i += TILE_ROWS, strip += STRIP_FLOATS) {
                const float *src = a + i * w->a_row + at * w->a_column;
                int rows = (int)TN_MIN(TILE_ROWS, end - i);
                if (w->a_column == 1) tile_turn(rows, depth, src, w->a_row, strip);
                else tile_take(rows, depth, src, w->a_column, strip);
            }
            for (int64_t j = 0; j < n; j += TILE_COLUMNS) {
                strip = strips;
                for (int64_t i = first; i < end; i += TILE_ROWS, strip += STRIP_FLOATS)
                    tile_one_turned((int)TN_MIN(TILE_ROWS, end - i), TN_MIN(TILE_COLUMNS, n - j),
                                    depth, strip, TILE_ROWS, packed + j * k + at * TILE_COLUMNS,
                                    y + i * ldc + j, ldc, at > 0);
            }
            at += TILE_DEPTH;
        } while (at < k);
    }
}

static tn_status run_share(void *arg, int64_t begin, int64_t end, int thread)
{
    const job *j = arg;
    const product *w = &j->w;
    const tn_matmul_plan *plan = &w->plan;
    int64_t panels = tile_panels(plan->n);
    (void)thread;
    for (int64_t at = begin; at < end; at++) {
        int64_t chunk = at / j->row_chunks % j->panel_chunks, a_at, b_at;
        int64_t batch = at / j->row_chunks / j->panel_chunks;
        int64_t row = at % j->row_chunks * CHUNK_ROWS;
        int64_t column = chunk * panels / j->panel_chunks * TILE_COLUMNS;
        int64_t to = (chunk + 1) * panels / j->panel_chunks * TILE_COLUMNS;
        int64_t m = TN_MIN(plan->m - row, CHUNK_ROWS), n = TN_MIN(plan->n, to) - column;
        tn_matmul_offsets(plan, batch, &a_at, &b_at);
        int64_t matrix = plan->k ? b_at / (plan->k * plan->n) : 0;
        const float *packed =
            j->packed + matrix * tile_packed_count(plan->k, plan->n) + column * plan->k;
        const float *a = j->a + a_at + row * w->a_row;
        float *y = j->y + (batch * plan->m + row) * plan->n + column;
        if (wants_turning(w, m)) multiply_turned(w, m, n, a, packed, y);
        else tile_multiply(m, n, plan->k, a, w->a_row, packed, y, plan->n, 0);
        if (w->end.any) tile_end_run(&w->end, row, column, m, n, y, plan->n);
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
    else if (!product_is_packed(p)) TN_TRY(pack_all(&j, l->pool));
    int64_t panels = tile_panels(plan->n), threads = tn_pool_threads(l->pool);
    j.row_chunks = (plan->m + CHUNK_ROWS - 1) / CHUNK_ROWS;
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
        .name = "cpu." text ".f32.tiles." TN_VARIANT_TEXT, .op = op_name, .revision = 2,           \
        .accepts = accepts, .scratch_bytes = scratch_bytes, .packed_bytes = packed_bytes,          \
        .pack = pack, .unused = unused, .launch = launch,                                          \
    }
const tn_tactic TN_VARIANT_NAME(tn_cpu_matmul_tiles)[] = {
    TACTIC("MatMul", "matmul"),
    TACTIC("Gemm", "gemm"),
    TACTIC("Linear", "linear"),
    {0},
};
