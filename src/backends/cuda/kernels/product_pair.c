/* LinearNormLinear as two launches of product_ring.cu: blocks of the first tell what their columns
 * add to the sums of rows and of their squares, those of the second put that together while they
 * multiply. Neither looks at rows for it, and nothing stands between the two. */
#include <string.h>

#include "backends/cuda/kernels/product_ring.h"
#include "ops/linear_norm_linear/linear_norm_linear.h"
#include "ops/wide/wide.h"

typedef struct pair {
    tn_cuda_product first, second;
} pair;

static tn_cuda_product product(const tn_problem *p, int64_t m, int64_t k, const tn_tensor *w,
                               const void *a, void *y)
{
    return (tn_cuda_product){.dtype = p->out[0].dtype,
                             .m = m,
                             .n = w->dim[1],
                             .k = k,
                             .a_deep = true,
                             .lda = k,
                             .ldb = w->dim[1],
                             .count = 1,
                             .a = a,
                             .b = w->data,
                             .y = y,
                             .y_row = w->dim[1],
                             .alpha = 1,
                             .beta = 1,
                             .weights = 2};
}

/* `h`: where the first product's result lies. */
static void pair_of(const tn_problem *p, void *h, pair *x)
{
    const tn_linear_norm_linear_params *params = p->params;
    tn_linear_norm_linear_shape s;
    tn_linear_norm_linear_shape_of(p, &s);
    x->first = product(p, s.rows, s.depth, &p->in[TN_LNL_W1], p->in[TN_LNL_X].data, h);
    if (tn_wide_has(p, TN_LNL_BIAS1)) x->first.c = p->in[TN_LNL_BIAS1].data;
    if (tn_wide_has(p, TN_LNL_RESIDUAL)) x->first.residual = p->in[TN_LNL_RESIDUAL].data;
    x->first.c_column = 1;
    x->second = product(p, s.rows, s.width, &p->in[TN_LNL_W2], h, p->out[0].data);
    x->second.epilogue = params->epilogue;
}

static const tn_tensor *input(const tn_problem *p, int i)
{
    return tn_wide_has(p, i) ? &p->in[i] : NULL;
}

static bool wants(const tn_problem *p, int out)
{
    return p->out_count > out && p->out[out].dtype != TN_DTYPE_NONE;
}

/* ---- Weights, one behind the other -----------------------------------------------------------*/

static size_t packed_bytes(const tn_problem *p)
{
    pair x;
    pair_of(p, NULL, &x);
    return tn_cuda_packed_bytes(&x.first) + tn_cuda_norm_packed_bytes(&x.second);
}

static tn_status pack(const tn_problem *p, void *dst)
{
    pair x;
    pair_of(p, NULL, &x);
    tn_cuda_norm_weights weights = {
        .w = &p->in[TN_LNL_W2],
        .scale = &p->in[TN_LNL_SCALE],
        .shift = input(p, TN_LNL_SHIFT),
        .bias = input(p, TN_LNL_BIAS2),
    };
    tn_cuda_pack_weights(&x.first, x.first.b, dst);
    return tn_cuda_norm_pack(&x.second, &weights, (uint8_t *)dst + tn_cuda_packed_bytes(&x.first));
}

static uint64_t unused(const tn_problem *p)
{
    (void)p;
    return 1 << TN_LNL_W1 | 1 << TN_LNL_SCALE | 1 << TN_LNL_SHIFT | 1 << TN_LNL_W2 |
           1 << TN_LNL_BIAS2;
}

/* ---- Which ones ------------------------------------------------------------------------------*/

typedef struct tiles {
    tn_cuda_packed_tile first, second;
} tiles;

static tn_verdict accepts(const tn_problem *p, const tiles *t, bool tf32)
{
    pair x;
    pair_of(p, NULL, &x);
    for (int i = TN_LNL_W1; i < p->in_count; i++)
        if (i != TN_LNL_RESIDUAL && tn_wide_has(p, i) && !(p->in_constant >> i & 1))
            return TN_NO("what rows are scaled or multiplied with is no constant");
    tn_verdict no = tn_cuda_packed_fits(&x.first, tf32);
    if (!no) no = tn_cuda_packed_fits(&x.second, tf32);
    if (!no) no = tn_cuda_packed_tile_fits(&x.first, &t->first);
    if (!no) no = tn_cuda_packed_tile_fits(&x.second, &t->second);
    if (no) return no;
    int64_t columns = (x.second.n + t->second.n - 1) / t->second.n;
    if (wants(p, TN_LNL_N) && tn_cuda_packed_steps(&x.second) > columns)
        return TN_NO("there are more steps of rows to write than columns of tiles");
    return TN_YES;
}

/* ---- Running ---------------------------------------------------------------------------------*/

static size_t whole_lines(size_t bytes)
{
    return tn_wide_add(bytes, 255) / 256 * 256;
}

static size_t h_bytes(const tn_problem *p, const pair *x)
{
    size_t elements = (size_t)(x->first.m * x->first.n);
    return wants(p, TN_LNL_H) ? 0 : whole_lines(elements * (tn_dtype_bits(x->first.dtype) / 8));
}

static size_t scratch_bytes(const tn_problem *p, const tiles *t)
{
    pair x;
    pair_of(p, NULL, &x);
    size_t sums = (size_t)(tn_cuda_ring_tells(&x.first, &t->first) * x.first.m) * 2 * sizeof(float);
    return tn_wide_add(h_bytes(p, &x), sums);
}

static tn_status launch(const tn_launch *l, const tiles *t)
{
    const tn_problem *p = l->problem;
    const tn_linear_norm_linear_params *params = p->params;
    pair x;
    pair_of(p, wants(p, TN_LNL_H) ? p->out[TN_LNL_H].data : l->scratch, &x);
    void *sums = (uint8_t *)l->scratch + h_bytes(p, &x);
    tn_cuda_ring first = {
        .x = &x.first,
        .tile = &t->first,
        .packed = l->packed,
        .constant_row = x.first.c != NULL,
        .tells = sums,
    };
    tn_cuda_ring second = {
        .x = &x.second,
        .tile = &t->second,
        .packed = (const uint8_t *)l->packed + tn_cuda_packed_bytes(&x.first),
        .norm = true,
        .epsilon = params->epsilon,
        .normed = wants(p, TN_LNL_N) ? p->out[TN_LNL_N].data : NULL,
        .told = tn_cuda_ring_tells(&x.first, &t->first),
        .sums = sums,
    };
    TN_CHECK(tn_cuda_ring_serves(l, &first) && tn_cuda_ring_serves(l, &second), TN_INVALID,
             "rows do not begin at 16 bytes");
    TN_TRY(tn_cuda_ring_run(l, &first));
    return tn_cuda_ring_run(l, &second);
}

/* ---- The tactics -----------------------------------------------------------------------------*/

/* The first is split along k, since its rows are short; the second is not: what it takes from the
 * sums comes behind all of its products. */
#define FIRST_k2 TN_CUDA_RING(64, 64, 2, 1, 1)
#define FIRST_k2_m2_n2 TN_CUDA_RING(64, 64, 2, 2, 2)
#define FIRST_k4 TN_CUDA_RING(64, 64, 4, 1, 1)
#define FIRST_k4_m2 TN_CUDA_RING(64, 64, 4, 2, 1)
#define SECOND_64x64 TN_CUDA_RING(64, 64, 1, 1, 1)
#define SECOND_64x64_m2_n2 TN_CUDA_RING(64, 64, 1, 2, 2)
#define SECOND_64x96_m2_n2 TN_CUDA_RING(64, 96, 1, 2, 2)
#define SECOND_128x64 TN_CUDA_RING(128, 64, 1, 1, 1)
#define SECONDS(X, first)                                                                          \
    X(first, 64x64) X(first, 64x64_m2_n2) X(first, 64x96_m2_n2) X(first, 128x64)
#define EACH(X) SECONDS(X, k2) SECONDS(X, k2_m2_n2) SECONDS(X, k4) SECONDS(X, k4_m2)

#define FUNCTIONS(first, second)                                                                   \
    static const tiles tiles_##first##_##second = {FIRST_##first, SECOND_##second};                \
    static tn_verdict accepts_half_##first##_##second(const tn_problem *p)                         \
    {                                                                                              \
        return accepts(p, &tiles_##first##_##second, false);                                       \
    }                                                                                              \
    static tn_verdict accepts_tf32_##first##_##second(const tn_problem *p)                         \
    {                                                                                              \
        return accepts(p, &tiles_##first##_##second, true);                                        \
    }                                                                                              \
    static size_t scratch_bytes_##first##_##second(const tn_problem *p)                            \
    {                                                                                              \
        return scratch_bytes(p, &tiles_##first##_##second);                                        \
    }                                                                                              \
    static tn_status launch_##first##_##second(const tn_launch *l)                                 \
    {                                                                                              \
        return launch(l, &tiles_##first##_##second);                                               \
    }
EACH(FUNCTIONS)

#define ROW(name_, kind, ...)                                                                      \
    {.name = "cuda.linear_norm_linear." #kind ".pair_" #name_,                                     \
     .op = "LinearNormLinear",                                                                     \
     .revision = 1,                                                                                \
     .needs = TN_SM90A,                                                                            \
     .accepts = accepts_##kind##_##name_,                                                          \
     .packed_bytes = packed_bytes,                                                                 \
     .pack = pack,                                                                                 \
     .unused = unused,                                                                             \
     .scratch_bytes = scratch_bytes_##name_,                                                       \
     .launch = launch_##name_,                                                                     \
     __VA_ARGS__},
#define HALF(first, second) ROW(first##_##second, half, )
#define TF32(first, second) ROW(first##_##second, tf32, .precision = TN_PRECISION_TF32)

extern const tn_tactic tn_cuda_product_pair[];
const tn_tactic tn_cuda_product_pair[] = {
    EACH(HALF) EACH(TF32){0},
};
