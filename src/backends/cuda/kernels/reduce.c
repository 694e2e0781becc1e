/* The Reduce* family, GlobalAveragePool and GlobalMaxPool.
 *
 * Which axes go is read off the dims of input and output; where those allow more than one answer
 * ([4,4] -> [4]), the kernel reads the axes themselves. */
#include <stdio.h>
#include <string.h>

#include "backends/cuda/index.h"
#include "ops/reduce/reduce.h"

extern const tn_cuda_source tn_cuda_source_reduce;

/* As in the kernel. */
enum { SUM, MEAN, MAX, MIN, PROD, L1, L2, LOG_SUM, LOG_SUM_EXP, SUM_SQUARE };

/* Results below which long ones are split, and elements from which on. */
enum { FEW = 256, LONG = 16384, PART = 4096, PARTS_MAX = 128, STATE_BYTES = 16 };

typedef struct axes { /* as the kernel takes them */
    const void *x;
    void *y;
    const void *axis;
    int64_t least;
    int32_t count, rank, axis_count, reduced;
    int32_t dim[TN_RANK_MAX], step[TN_RANK_MAX];
} axes;

/* ---- Which axes ------------------------------------------------------------------------------*/

/* Ways to find y's dims, those of 1 aside, among x's in order: 0, 1 or 2 for more. */
static int embeddings(const tn_tensor *x, const tn_tensor *y)
{
    int ways[TN_RANK_MAX + 1] = {1}, length = 0;
    int64_t want[TN_RANK_MAX];
    for (int k = 0; k < y->rank; k++)
        if (y->dim[k] != 1) want[length++] = y->dim[k];
    for (int k = 0; k < x->rank; k++)
        for (int j = length; x->dim[k] != 1 && j > 0; j--)
            if (x->dim[k] == want[j - 1]) ways[j] = TN_MIN(2, ways[j] + ways[j - 1]);
    return ways[length];
}

/* Bits of the axes that go; false: only the axes themselves tell. */
static bool find_reduced(const tn_problem *p, int32_t *reduced)
{
    const tn_reduce_params *params = p->params;
    const tn_tensor *x = &p->in[0], *y = &p->out[0];
    *reduced = 0;
    if (params->keepdims && x->rank == y->rank) {
        for (int k = 0; k < x->rank; k++) *reduced |= (x->dim[k] != y->dim[k]) << k;
        return true;
    }
    if (embeddings(x, y) != 1) return false;
    int next = 0;
    for (int k = 0; k < x->rank; k++) {
        while (next < y->rank && y->dim[next] == 1) next++;
        if (x->dim[k] == 1) continue;
        if (next < y->rank && y->dim[next] == x->dim[k]) next++;
        else *reduced |= 1 << k;
    }
    return true;
}

/* [outer, length, inner], where the order of the axes allows it. */
typedef struct shape {
    int64_t outer, length, inner;
    bool plain;
} shape;

static shape shape_of(const tn_tensor *x, int32_t reduced)
{
    tn_cuda_index index = {.rank = x->rank, .operand_count = 2};
    int64_t next = 1;
    tn_cuda_dense_steps(x->dim, x->rank, index.step[0]);
    for (int k = x->rank - 1; k >= 0; k--) {
        index.dim[k] = x->dim[k];
        index.step[1][k] = reduced >> k & 1 ? 0 : next;
        if (!(reduced >> k & 1)) next *= x->dim[k];
    }
    tn_cuda_index_join(&index);
    shape s = {1, 1, 1, true};
    int k = 0;
    bool goes[TN_RANK_MAX];
    for (int i = 0; i < index.rank; i++) goes[i] = index.step[1][i] == 0 && index.dim[i] != 1;
    if (k < index.rank && !goes[k]) s.outer = index.dim[k++];
    if (k < index.rank && goes[k]) s.length = index.dim[k++];
    if (k < index.rank && !goes[k]) s.inner = index.dim[k++];
    s.plain = k == index.rank;
    return s;
}

static int64_t parts_of(const shape *s)
{
    int64_t results = s->outer * ((s->inner + 31) / 32);
    if (results >= FEW || s->length < LONG) return 1;
    return TN_MIN(PARTS_MAX, s->length / PART);
}

static size_t scratch_of(const shape *s)
{
    int64_t parts = s->plain ? parts_of(s) : 1;
    return parts > 1 ? (size_t)(s->outer * s->inner * parts) * STATE_BYTES : 0;
}

/* ---- Launches --------------------------------------------------------------------------------*/

static const char *wide_of(tn_dtype dtype, int kind)
{
    bool through_double = kind == L2 || kind == LOG_SUM || kind == LOG_SUM_EXP;
    return through_double && !tn_cuda_is_float(dtype) ? "double" : tn_cuda_wide(dtype);
}

/* Where a maximum or minimum of nothing ends. */
static int64_t least_of(tn_dtype dtype, int kind)
{
    int bits = dtype == TN_DTYPE_BOOL ? 1 : tn_dtype_bits(dtype);
    bool is_signed = tn_dtype_kind_of(dtype) == TN_KIND_I;
    if (kind == MAX) return is_signed ? INT64_MIN >> (64 - bits) : 0;
    return is_signed ? INT64_MAX >> (64 - bits) : (int64_t)(UINT64_MAX >> (64 - bits));
}

static tn_status run(const tn_launch *l, const char *entry, int kind, int vector,
                     const tn_cuda_grid *grid, void **args)
{
    const tn_tensor *x = &l->problem->in[0], *y = &l->problem->out[0];
    const char *wide = wide_of(x->dtype, kind);
    bool cut = !strcmp(wide, "double") && !tn_cuda_is_float(y->dtype);
    char options[160];
    const tn_cuda_function *function;
    snprintf(options, sizeof options, "-DTX=%s -DTY=%s -DTW=%s -DVEC=%d -DREDUCTION=%d -DCUT=%d",
             tn_cuda_type(x->dtype), tn_cuda_type(y->dtype), wide, vector, kind, cut);
    TN_TRY(tn_cuda_function_get(tn_cuda_stream_of(l)->card, &tn_cuda_source_reduce, entry, options,
                                0, &function));
    return tn_cuda_run(l, function, grid, args);
}

static tn_status run_rows(const tn_launch *l, int kind, const shape *s, int32_t parts)
{
    const tn_tensor *x = &l->problem->in[0], *y = &l->problem->out[0];
    int32_t outer = (int32_t)s->outer, length = (int32_t)s->length;
    int64_t least = least_of(x->dtype, kind);
    int vector = tn_cuda_vector_dividing(tn_cuda_vector(tn_cuda_bytes(x)), length);
    vector = tn_cuda_vector_at(vector, x->data, tn_cuda_bytes(x));
    tn_cuda_grid grid = {.grid = {(unsigned)outer, (unsigned)parts}, .overlap = true};
    int64_t each = (length + (int64_t)parts * vector - 1) / ((int64_t)parts * vector);
    grid.block[0] = 32;
    while (grid.block[0] < 1024 && grid.block[0] * 2 <= each && (outer < 1024 || each > 256))
        grid.block[0] *= 2;
    grid.block[1] = grid.block[0] == 32 ? 4 : 1;
    grid.grid[0] = tn_cuda_blocks(outer, grid.block[1]);
    void *args[] = {
        (void *)&x->data, (void *)&y->data, (void *)&l->scratch, &outer, &length, &parts, &least};
    return run(l, "rows", kind, vector, &grid, args);
}

static tn_status run_columns(const tn_launch *l, int kind, const shape *s, int32_t parts)
{
    const tn_tensor *x = &l->problem->in[0], *y = &l->problem->out[0];
    int32_t length = (int32_t)s->length, inner = (int32_t)s->inner;
    int64_t least = least_of(x->dtype, kind);
    tn_cuda_grid grid = {
        .grid = {tn_cuda_blocks(s->outer * ((s->inner + 31) / 32), 1), (unsigned)parts},
        .block = {256},
        .overlap = true};
    void *args[] = {
        (void *)&x->data, (void *)&y->data, (void *)&l->scratch, &length, &inner, &parts, &least};
    return run(l, "columns", kind, 1, &grid, args);
}

static tn_status run_plain(const tn_launch *l, int kind, const shape *s)
{
    const tn_tensor *y = &l->problem->out[0];
    int32_t parts = (int32_t)parts_of(s), count = (int32_t)tn_tensor_count(y);
    int64_t length = s->length;
    if (s->inner == 1) TN_TRY(run_rows(l, kind, s, parts));
    else TN_TRY(run_columns(l, kind, s, parts));
    if (parts == 1) return NULL;
    tn_cuda_grid grid = {.grid = {tn_cuda_blocks(count, 256)}, .block = {256}, .overlap = true};
    void *args[] = {(void *)&l->scratch, (void *)&y->data, &count, &parts, &length};
    return run(l, "finish", kind, 1, &grid, args);
}

static tn_status run_general(const tn_launch *l, int kind, bool known, int32_t reduced)
{
    const tn_problem *p = l->problem;
    const tn_tensor *x = &p->in[0], *y = &p->out[0];
    int64_t step[TN_RANK_MAX];
    axes args = {.x = x->data,
                 .y = y->data,
                 .axis = known ? NULL : p->in[1].data,
                 .least = least_of(x->dtype, kind),
                 .count = (int32_t)tn_tensor_count(y),
                 .rank = x->rank,
                 .axis_count = known ? 0 : (int32_t)tn_tensor_count(&p->in[1]),
                 .reduced = known ? reduced : 0};
    tn_cuda_dense_steps(x->dim, x->rank, step);
    for (int k = 0; k < x->rank; k++) {
        args.dim[k] = (int32_t)x->dim[k];
        args.step[k] = (int32_t)step[k];
    }
    tn_cuda_grid grid = {.grid = {tn_cuda_blocks(args.count, 4)}, .block = {128}, .overlap = true};
    return run(l, "general", kind, 1, &grid, (void *[]){&args});
}

/* ---- Reduce* ---------------------------------------------------------------------------------*/

static tn_verdict accepts(const tn_problem *p)
{
    int32_t reduced;
    if (!tn_cuda_type(p->in[0].dtype)) return TN_NO("kernels do not know the type");
    if (!find_reduced(p, &reduced) && (!tn_cuda_has(p, 1) || tn_tensor_count(&p->in[1]) == 0))
        return TN_NO("the dims do not tell which axes go");
    return tn_cuda_fits(p) ? TN_YES : TN_CUDA_TOO_LARGE;
}

static size_t scratch_bytes(const tn_problem *p)
{
    int32_t reduced;
    if (!find_reduced(p, &reduced)) return 0;
    shape s = shape_of(&p->in[0], reduced);
    return scratch_of(&s);
}

static tn_status launch(const tn_launch *l, int kind)
{
    const tn_problem *p = l->problem;
    int32_t reduced;
    if (tn_tensor_count(&p->out[0]) == 0) return NULL;
    bool known = find_reduced(p, &reduced);
    shape s = known ? shape_of(&p->in[0], reduced) : (shape){.plain = false};
    return s.plain ? run_plain(l, kind, &s) : run_general(l, kind, known, reduced);
}

/* ---- Global pooling --------------------------------------------------------------------------*/

static shape pool_shape(const tn_problem *p)
{
    const tn_tensor *x = &p->in[0];
    return (shape){x->dim[0] * x->dim[1], tn_dims_product(x->dim, 2, x->rank), 1, true};
}

static tn_verdict accepts_pool(const tn_problem *p)
{
    if (!tn_cuda_is_float(p->in[0].dtype)) return TN_NO("the operand is no float");
    return tn_cuda_fits(p) ? TN_YES : TN_CUDA_TOO_LARGE;
}

static size_t scratch_pool(const tn_problem *p)
{
    shape s = pool_shape(p);
    return scratch_of(&s);
}

static tn_status launch_pool(const tn_launch *l, int kind)
{
    shape s = pool_shape(l->problem);
    return tn_tensor_count(&l->problem->out[0]) ? run_plain(l, kind, &s) : NULL;
}

/* ---- The list --------------------------------------------------------------------------------*/

#define ROWS(ROW)                                                                                  \
    ROW(reducesum, "ReduceSum", SUM)                                                               \
    ROW(reducemean, "ReduceMean", MEAN)                                                            \
    ROW(reducemax, "ReduceMax", MAX)                                                               \
    ROW(reducemin, "ReduceMin", MIN)                                                               \
    ROW(reduceprod, "ReduceProd", PROD)                                                            \
    ROW(reducel1, "ReduceL1", L1)                                                                  \
    ROW(reducel2, "ReduceL2", L2)                                                                  \
    ROW(reducelogsum, "ReduceLogSum", LOG_SUM)                                                     \
    ROW(reducelogsumexp, "ReduceLogSumExp", LOG_SUM_EXP)                                           \
    ROW(reducesumsquare, "ReduceSumSquare", SUM_SQUARE)

#define ROW(c, title, kind)                                                                        \
    static tn_status launch_##c(const tn_launch *l)                                                \
    {                                                                                              \
        return launch(l, kind);                                                                    \
    }
ROWS(ROW)
#undef ROW

static tn_status launch_average(const tn_launch *l)
{
    return launch_pool(l, MEAN);
}

static tn_status launch_max(const tn_launch *l)
{
    return launch_pool(l, MAX);
}

#define TACTIC(text, title, accepts_it, scratch, launch_it)                                        \
    {                                                                                              \
        .name = "cuda." text,                                                                      \
        .op = title,                                                                               \
        .revision = 1,                                                                             \
        .needs = TN_SM75,                                                                          \
        .accepts = accepts_it,                                                                     \
        .scratch_bytes = scratch,                                                                  \
        .launch = launch_it,                                                                       \
    },
#define ROW(c, title, kind) TACTIC(#c ".any.joined", title, accepts, scratch_bytes, launch_##c)

extern const tn_tactic tn_cuda_reduce[];
const tn_tactic tn_cuda_reduce[] = {
    ROWS(ROW) TACTIC("globalaveragepool.float.rows", "GlobalAveragePool", accepts_pool,
                     scratch_pool, launch_average)
        TACTIC("globalmaxpool.float.rows", "GlobalMaxPool", accepts_pool, scratch_pool,
               launch_max){0},
};
