/* MatMul, Gemm and Linear of floats by instructions for bf16 (split.h): with one part, two or three
 * for each float, which are classes of precision. By tiles (AMX), or with one part by dot products
 * of vectors.
 *
 * SPLIT_DEPTH steps of k at a time, a is split into scratch memory; then groups of its strips,
 * which stay in the cache, meet the panels of b. Every sum runs over k in rising order, and is
 * taken up from y by the next steps. */
#include "backends/cpu/kernels/product.h"
#include "backends/cpu/kernels/split.h"
#include "backends/cpu/variant.h"
#ifdef TN_TILES
#include "backends/cpu/kernels/split_tiles.h"
#else
#include "backends/cpu/kernels/split_dots.h"
#endif

enum { GROUP = 8 };       /* strips */
enum { GRAIN_NS = 4000 }; /* of work that are worth a thread */

typedef struct job {
    product w;
    int64_t strips, panels, steps, depth; /* of a matrix; depth: steps worked through at once */
    const float *a, *b;
    float *y;
    uint8_t *packed; /* written only by packing */
    uint8_t *fits;   /* behind it: [matrix][panel][pass] */
    uint8_t *split;  /* [batch][strip]: of this pass */
    uint8_t *strip_fits;
    int64_t passes, pass;
} job;

static void read_job(const tn_problem *p, int parts, job *j)
{
    *j = (job){0};
    product_read(p, &j->w);
    const tn_matmul_plan *plan = &j->w.plan;
    j->strips = (plan->m + SPLIT_BLOCK - 1) / SPLIT_BLOCK;
    j->panels = (plan->n + SPLIT_BLOCK - 1) / SPLIT_BLOCK;
    j->steps = split_steps(plan->k);
    j->depth = TN_MIN(j->steps, SPLIT_DEPTH / parts);
    j->passes = j->depth ? (j->steps + j->depth - 1) / j->depth : 0;
}

static tn_verdict accepts(const tn_problem *p)
{
    product w;
    if (p->in[0].dtype != TN_DTYPE_F32) return TN_NO("the operands are not f32");
    product_read(p, &w);
    if (w.a_column != 1) return TN_NO("a is not stored by rows");
    if (w.plan.k == 0) return TN_NO("there is nothing to sum");
    return TN_YES;
}

static size_t b_bytes(const job *j, int parts)
{
    int64_t panels = j->w.matrices * j->panels;
    return tn_align_up((size_t)(panels * (j->steps * parts * SPLIT_STEP + j->passes)),
                       TN_ALIGNMENT);
}

static void set_packed(job *j, int parts, void *at)
{
    j->packed = at;
    j->fits = j->packed + j->w.matrices * j->panels * j->steps * parts * SPLIT_STEP;
}

static size_t packed_size(const tn_problem *p, int parts)
{
    job j;
    read_job(p, parts, &j);
    return product_is_packed(p) ? b_bytes(&j, parts) : 0;
}

static size_t scratch_size(const tn_problem *p, int parts)
{
    job j;
    read_job(p, parts, &j);
    size_t strips = (size_t)(j.w.plan.batch * j.strips);
    size_t bytes = tn_align_up(strips * (size_t)(j.depth * parts * SPLIT_STEP + 1), TN_ALIGNMENT);
    return bytes + (product_is_packed(p) ? 0 : b_bytes(&j, parts));
}

static uint64_t unused(const tn_problem *p)
{
    return product_is_packed(p) ? 2 : 0;
}

SIMD_INLINE void pack_panels(int parts, job *j, int64_t begin, int64_t end)
{
    const product *w = &j->w;
    for (int64_t at = begin; at < end; at++) {
        int64_t column = at % j->panels * SPLIT_BLOCK;
        const float *b = j->b + at / j->panels * w->plan.k * w->plan.n + column * w->b_column;
        int64_t count = TN_MIN(SPLIT_BLOCK, w->plan.n - column);
        uint8_t *dst = j->packed + at * j->steps * parts * SPLIT_STEP;
        for (int64_t pass = 0; pass < j->passes; pass++) {
            int64_t step = pass * j->depth, k = step * SPLIT_BLOCK;
            j->fits[at * j->passes + pass] =
                split_pack(parts, b + k * w->b_row, w->b_row, w->b_column,
                           TN_MIN(w->plan.k - k, j->depth * SPLIT_BLOCK), count,
                           dst + step * parts * SPLIT_STEP);
        }
    }
}

SIMD_INLINE void split_rows(int parts, job *j, int64_t begin, int64_t end)
{
    const product *w = &j->w;
    int64_t k = j->pass * j->depth * SPLIT_BLOCK, matrix;
    for (int64_t at = begin; at < end; at++) {
        int64_t row = at % j->strips * SPLIT_BLOCK;
        const float *a = product_rows(w, j->a, at / j->strips, row, &matrix) + k;
        j->strip_fits[at] = split_strip(parts, a, w->a_row, TN_MIN(SPLIT_BLOCK, w->plan.m - row),
                                        TN_MIN(w->plan.k - k, j->depth * SPLIT_BLOCK),
                                        j->split + at * j->depth * parts * SPLIT_STEP);
    }
}

static void copy_block(int64_t rows, int64_t columns, const float *src, int64_t src_step,
                       float *dst, int64_t dst_step)
{
    for (int64_t i = 0; i < rows; i++)
        memcpy(dst + i * dst_step, src + i * src_step, (size_t)columns * sizeof(float));
}

/* One strip by one panel, whose place in all of them is `panel`. */
SIMD_INLINE void run_block(int parts, const job *j, int64_t batch, int64_t strip, int64_t panel,
                           split_next next)
{
    const product *w = &j->w;
    _Alignas(TN_ALIGNMENT) float block[SPLIT_BLOCK * SPLIT_BLOCK];
    int64_t row = strip * SPLIT_BLOCK, column = panel * SPLIT_BLOCK, n = w->plan.n, matrix;
    int64_t rows = TN_MIN(SPLIT_BLOCK, w->plan.m - row), columns = TN_MIN(SPLIT_BLOCK, n - column);
    int64_t step = j->pass * j->depth, steps = TN_MIN(j->depth, j->steps - step);
    const float *a = product_rows(w, j->a, batch, row, &matrix) + step * SPLIT_BLOCK;
    int64_t a_at = batch * j->strips + strip, b_at = matrix * j->panels + panel;
    const uint8_t *split = j->split + a_at * j->depth * parts * SPLIT_STEP;
    const uint8_t *packed = j->packed + (b_at * j->steps + step) * parts * SPLIT_STEP;
    bool whole = rows == SPLIT_BLOCK && columns == SPLIT_BLOCK, add = j->pass > 0;
    bool is_parts = j->fits[b_at * j->passes + j->pass];
    float *y = j->y + (batch * w->plan.m + row) * n + column;
    float *c = whole ? y : block;
    int64_t ldc = whole ? n : SPLIT_BLOCK;
    if (!whole && add) copy_block(rows, columns, y, n, block, ldc);
    if (parts == 1 || (is_parts && j->strip_fits[a_at]))
        split_multiply(parts, rows, steps, split, packed, c, ldc, add, next);
    else
        split_plain(parts, is_parts, rows,
                    TN_MIN(w->plan.k - step * SPLIT_BLOCK, steps * SPLIT_BLOCK), a, w->a_row,
                    packed, c, ldc, add);
    if (!whole) copy_block(rows, columns, block, ldc, y, n);
    if (w->end.any && j->pass + 1 == j->passes)
        tile_end_run(&w->end, row, column, rows, columns, y, n);
}

/* Of a unit, in this pass. */
static const uint8_t *next_panel(int parts, const job *j, int64_t at)
{
    int64_t groups = (j->strips + GROUP - 1) / GROUP, matrix;
    product_rows(&j->w, j->a, at / j->panels / groups, 0, &matrix);
    int64_t panel = matrix * j->panels + at % j->panels;
    return j->packed + (panel * j->steps + j->pass * j->depth) * parts * SPLIT_STEP;
}

/* Units are groups of strips by panels, panels first. */
SIMD_INLINE void run_units(int parts, const job *j, int64_t begin, int64_t end)
{
    int64_t groups = (j->strips + GROUP - 1) / GROUP;
    split_begin();
    for (int64_t at = begin; at < end; at++) {
        int64_t group = at / j->panels % groups, batch = at / j->panels / groups;
        int64_t first = group * GROUP, count = TN_MIN(j->strips - first, GROUP);
        const uint8_t *next = next_panel(parts, j, at + 1 < end ? at + 1 : at);
        int64_t steps = TN_MIN(j->depth, j->steps - j->pass * j->depth);
        for (int64_t i = 0; i < count; i++)
            run_block(parts, j, batch, first + i, at % j->panels,
                      split_next_of(parts, next, steps, i, count));
    }
    split_end();
}

/* Shares of `count` that each take GRAIN_NS at this many nanoseconds in all. */
static int64_t grain_of(int64_t count, double ns)
{
    double each = ns / (double)count;
    return 1 + (int64_t)(GRAIN_NS / (each + 1e-3));
}

static double count_of(const job *j)
{
    return (double)(j->w.plan.batch * j->strips) * (double)j->panels * (double)j->steps;
}

typedef tn_status (*share)(void *arg, int64_t begin, int64_t end, int thread);

static tn_status run(const tn_launch *l, int parts, share pack, share split, share multiply)
{
    const tn_problem *p = l->problem;
    job j;
    read_job(p, parts, &j);
    const tn_matmul_plan *plan = &j.w.plan;
    int64_t strips = plan->batch * j.strips, panels = j.w.matrices * j.panels;
    if (plan->m * plan->n * plan->batch == 0) return NULL;
    uint8_t *scratch = l->scratch;
    j.a = p->in[0].data, j.b = p->in[1].data, j.y = p->out[0].data;
    j.split = scratch;
    j.strip_fits = scratch + strips * j.depth * parts * SPLIT_STEP;
    size_t used = (size_t)(strips * (j.depth * parts * SPLIT_STEP + 1));
    /* Both ways packed is only read from here on. */
    set_packed(&j, parts,
               product_is_packed(p) ? (uint8_t *)(uintptr_t)l->packed
                                    : scratch + tn_align_up(used, TN_ALIGNMENT));
    double step_ns = SPLIT_BLOCK * SPLIT_BLOCK * SPLIT_NS; /* to split as much as a block */
    if (!product_is_packed(p))
        TN_TRY(tn_pool_run(l->pool, panels, grain_of(1, 2 * step_ns * (double)j.steps), pack, &j));
    int64_t units = plan->batch * ((j.strips + GROUP - 1) / GROUP) * j.panels;
    double ns = count_of(&j) / (double)j.passes * split_block_ns(parts);
    for (; j.pass < j.passes; j.pass++) {
        TN_TRY(tn_pool_run(l->pool, strips, grain_of(1, step_ns * (double)j.depth), split, &j));
        TN_TRY(tn_pool_run(l->pool, units, grain_of(units, ns), multiply, &j));
    }
    return NULL;
}

/* Blocks, splitting, and weights that come from memory. */
static double estimate(const tn_problem *p, int parts)
{
    job j;
    read_job(p, parts, &j);
    double rows = (double)(j.w.plan.batch * ((j.w.plan.m + SPLIT_ROWS - 1) / SPLIT_ROWS));
    double strips = rows * SPLIT_ROWS / SPLIT_BLOCK, steps = (double)j.steps;
    double blocks = strips * (double)j.panels * steps * split_block_ns(parts);
    double b = (double)(j.w.matrices * j.panels) * steps;
    double split = strips * steps + (product_is_packed(p) ? 0 : 2 * b);
    double read = b * parts * SPLIT_STEP / SPLIT_BYTES_NS;
    return 300 + TN_MAX(blocks, read) + split * SPLIT_BLOCK * SPLIT_BLOCK * SPLIT_NS;
}

/* The number of parts is a constant in all that runs. */
#define PARTS(n)                                                                                   \
    static tn_status pack_share_##n(void *arg, int64_t begin, int64_t end, int thread)             \
    {                                                                                              \
        (void)thread;                                                                              \
        pack_panels(n, arg, begin, end);                                                           \
        return NULL;                                                                               \
    }                                                                                              \
    static tn_status split_share_##n(void *arg, int64_t begin, int64_t end, int thread)            \
    {                                                                                              \
        (void)thread;                                                                              \
        split_rows(n, arg, begin, end);                                                            \
        return NULL;                                                                               \
    }                                                                                              \
    static tn_status run_share_##n(void *arg, int64_t begin, int64_t end, int thread)              \
    {                                                                                              \
        (void)thread;                                                                              \
        run_units(n, arg, begin, end);                                                             \
        return NULL;                                                                               \
    }                                                                                              \
    static size_t packed_bytes_##n(const tn_problem *p)                                            \
    {                                                                                              \
        return packed_size(p, n);                                                                  \
    }                                                                                              \
    static size_t scratch_bytes_##n(const tn_problem *p)                                           \
    {                                                                                              \
        return scratch_size(p, n);                                                                 \
    }                                                                                              \
    static double estimate_ns_##n(const tn_problem *p)                                             \
    {                                                                                              \
        return estimate(p, n);                                                                     \
    }                                                                                              \
    static tn_status pack_##n(const tn_problem *p, void *dst)                                      \
    {                                                                                              \
        job j;                                                                                     \
        read_job(p, n, &j);                                                                        \
        j.b = p->in[1].data;                                                                       \
        set_packed(&j, n, dst);                                                                    \
        memset(dst, 0, b_bytes(&j, n)); /* the padding too */                                      \
        return pack_share_##n(&j, 0, j.w.matrices * j.panels, 0);                                  \
    }                                                                                              \
    static tn_status launch_##n(const tn_launch *l)                                                \
    {                                                                                              \
        return run(l, n, pack_share_##n, split_share_##n, run_share_##n);                          \
    }

#define TACTIC(op_name, text, n, class_text, class)                                                \
    {                                                                                              \
        .name = "cpu." text "." class_text ".split_" #n "." TN_VARIANT_TEXT, .op = op_name,        \
        .revision = 2, .precision = class, .accepts = accepts, .scratch_bytes = scratch_bytes_##n, \
        .estimate_ns = estimate_ns_##n, .packed_bytes = packed_bytes_##n, .pack = pack_##n,        \
        .unused = unused, .launch = launch_##n,                                                    \
    }
#define TACTICS(n, class_text, class)                                                              \
    TACTIC("MatMul", "matmul", n, class_text, class),                                              \
        TACTIC("Gemm", "gemm", n, class_text, class),                                              \
        TACTIC("Linear", "linear", n, class_text, class)

PARTS(1)
#if SPLIT_PARTS > 1
PARTS(2)
PARTS(3)
#endif

extern const tn_tactic TN_VARIANT_NAME(tn_cpu_matmul_split)[];
const tn_tactic TN_VARIANT_NAME(tn_cpu_matmul_split)[] = {
    TACTICS(1, "bf16", TN_PRECISION_BF16),
#if SPLIT_PARTS > 1
    TACTICS(2, "tf32", TN_PRECISION_TF32),
    TACTICS(3, "f32", TN_PRECISION_F32),
#endif
    {0},
};
