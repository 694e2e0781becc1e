/* MatMul, Gemm, Linear and NormLinear with constant weights by tensor cores: tiles
 * (product_packed.cu), and larger ones whose operands the copy engine brings (product_ring.cu). */
#include <stdio.h>
#include <string.h>

#include "backends/cuda/kernels/product_ring.h"
#include "ops/norm_linear/norm_linear.h"
#include "ops/wide/wide.h"

extern const tn_cuda_source tn_cuda_source_product_packed;

enum { LINE = TN_CUDA_LINE, GROUP = TN_CUDA_GROUP, PART = TN_CUDA_PART };
typedef tn_cuda_packed_tile tile;
#define RING(...) TN_CUDA_RING(__VA_ARGS__)
/* Stages fill half of the shared memory, so that the next kernel's weights find room. */
#define WARPS(m, n, warp_m, warp_n, stages, splits)                                                \
    {                                                                                              \
        m, n, splits, 0, 0, warp_m, warp_n, stages                                                 \
    }
static const tile tile_any = WARPS(64, 64, 32, 32, 6, 1);

/* As in product_packed.cu. */
typedef struct shape {
    int32_t m, n, k, tiles_n, groups;
    int64_t lda, c_row, c_column, y_row;
    float alpha, beta, act_alpha, act_beta;
} shape;

static int64_t ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

static int64_t element_bytes(const tn_cuda_product *x)
{
    return (int64_t)tn_dtype_bits(x->dtype) / 8;
}

static bool is_norm(const tn_problem *p)
{
    return !strcmp(p->op, "NormLinear");
}

static void product_of(const tn_problem *p, tn_cuda_product *x)
{
    const tn_norm_linear_params *params = p->params;
    if (!is_norm(p)) {
        tn_cuda_product_of(p, x);
        return;
    }
    tn_norm_linear_shape s;
    tn_norm_linear_shape_of(p, &s);
    *x = (tn_cuda_product){.dtype = p->out[0].dtype,
                           .m = s.rows,
                           .n = s.columns,
                           .k = s.width,
                           .a_deep = true,
                           .lda = s.width,
                           .ldb = s.columns,
                           .count = 1,
                           .a = p->in[TN_NL_X].data,
                           .b = p->in[TN_NL_W].data,
                           .y = p->out[0].data,
                           .y_row = s.columns,
                           .alpha = 1,
                           .beta = 1,
                           .epilogue = params->epilogue,
                           .weights = 2};
}

static size_t packed_bytes(const tn_problem *p)
{
    tn_cuda_product x;
    product_of(p, &x);
    return is_norm(p) ? tn_cuda_norm_packed_bytes(&x) : tn_cuda_packed_bytes(&x);
}

static tn_status pack(const tn_problem *p, void *dst)
{
    tn_cuda_product x;
    product_of(p, &x);
    tn_cuda_pack_weights(&x, p->in[1].data, dst);
    return NULL;
}

static tn_status pack_norm(const tn_problem *p, void *dst)
{
    tn_cuda_product x;
    product_of(p, &x);
    tn_cuda_norm_weights weights = {
        .w = &p->in[TN_NL_W],
        .scale = &p->in[TN_NL_SCALE],
        .shift = tn_wide_has(p, TN_NL_SHIFT) ? &p->in[TN_NL_SHIFT] : NULL,
        .bias = tn_wide_has(p, TN_NL_BIAS) ? &p->in[TN_NL_BIAS] : NULL,
    };
    return tn_cuda_norm_pack(&x, &weights, dst);
}

static uint64_t unused(const tn_problem *p)
{
    return is_norm(p) ? 0x1e : 2;
}

/* ---- Which ones ------------------------------------------------------------------------------*/

static tn_verdict accepts(const tn_problem *p, const tile *t, bool tf32)
{
    tn_cuda_product x;
    product_of(p, &x);
    tn_verdict no = tn_cuda_packed_fits(&x, tf32);
    if (no) return no;
    if (!(p->in_constant & (is_norm(p) ? 1 << TN_NL_W : 2)))
        return TN_NO("the right operand is no constant");
    return tn_cuda_packed_tile_fits(&x, t);
}

static tn_verdict accepts_norm(const tn_problem *p, const tile *t, bool tf32)
{
    tn_cuda_product x;
    for (int i = TN_NL_SCALE; i < p->in_count; i++)
        if (tn_wide_has(p, i) && !(p->in_constant >> i & 1))
            return TN_NO("what rows are scaled or multiplied with is no constant");
    tn_verdict no = accepts(p, t, tf32);
    if (no) return no;
    product_of(p, &x);
    bool wants = p->out_count > 1 && p->out[1].dtype != TN_DTYPE_NONE;
    if (wants && tn_cuda_packed_steps(&x) > ceil_div(x.n, t->n))
        return TN_NO("there are more steps of rows to write than columns of tiles");
    return TN_YES;
}

/* ---- Running ---------------------------------------------------------------------------------*/

static tn_status launch_warps(const tn_launch *l, const tile *t)
{
    const tn_cuda_function *function;
    tn_cuda_product x;
    char options[300];
    tn_cuda_product_of(l->problem, &x);
    if (x.m == 0 || x.n == 0) return NULL;
    int64_t part = PART / element_bytes(&x);
    uint64_t line = tn_cuda_place(x.a, x.dtype) | (uint64_t)(x.lda | x.k);
    uint64_t row = tn_cuda_place(x.y, x.dtype) | tn_cuda_place(x.residual, x.dtype);
    int va = tn_cuda_product_vector((int)part, line) == part ? (int)part : 1;
    int vy = tn_cuda_product_vector(2, row | (uint64_t)(x.n | x.y_row));
    snprintf(options, sizeof options,
             "-DTYPE=%s -DBM=%d -DBN=%d -DTM=%d -DTN=%d -DSTAGES=%d -DSPLITS=%d "
             "-DVA=%d -DVY=%d -DACT=%d",
             tn_cuda_type(x.dtype), t->m, t->n, t->warp_m, t->warp_n, t->stages, t->splits, va, vy,
             (int)x.epilogue.kind);
    size_t shared = (size_t)(t->stages * (t->m + t->n) * LINE);
    if (t->splits > 1) shared += (size_t)(t->m * t->n) * sizeof(float) + sizeof(uint64_t);
    TN_TRY(tn_cuda_function_get(tn_cuda_stream_of(l)->card, &tn_cuda_source_product_packed,
                                "product_packed", options, shared, &function));
    shape s = {
        .m = (int32_t)x.m,
        .n = (int32_t)x.n,
        .k = (int32_t)x.k,
        .tiles_n = (int32_t)ceil_div(x.n, t->n),
        .groups = (int32_t)ceil_div(x.n, GROUP),
        .lda = x.lda,
        .c_row = x.c_row,
        .c_column = x.c_column,
        .y_row = x.y_row,
        .alpha = x.alpha,
        .beta = x.beta,
        .act_alpha = x.epilogue.alpha,
        .act_beta = x.epilogue.beta,
    };
    tn_cuda_grid grid = {
        .grid = {(unsigned)(ceil_div(x.m, t->m) * s.tiles_n * t->splits)},
        .block = {(unsigned)(t->m / t->warp_m * (t->n / t->warp_n) * 32)},
        .shared_bytes = shared,
        .cluster = (unsigned)t->splits,
        .overlap = true,
    };
    void *args[] = {(void *)&x.a,        (void *)&l->packed, (void *)&x.c,
                    (void *)&x.residual, (void *)&x.y,       &s};
    return tn_cuda_run(l, function, &grid, args);
}

/* Weights lie alike for all: where there is no such engine, or a lies askew, tiles do it. */
static tn_status launch_ring(const tn_launch *l, const tile *t)
{
    const tn_problem *p = l->problem;
    tn_cuda_product x;
    product_of(p, &x);
    bool norm = is_norm(p);
    tn_cuda_ring r = {
        .x = &x,
        .tile = t,
        .packed = l->packed,
        .constant_row = x.c && x.c_row == 0 && x.c_column == 1 && p->in_constant & 4,
        .norm = norm,
        .epsilon = norm ? ((const tn_norm_linear_params *)p->params)->epsilon : 0,
        .normed = norm && tn_wide_wants(p, 1) ? p->out[1].data : NULL,
    };
    bool serves = tn_cuda_ring_serves(l, &r);
    TN_CHECK(!norm || serves, TN_INVALID, "rows do not begin at 16 bytes");
    return serves ? tn_cuda_ring_run(l, &r) : launch_warps(l, &tile_any);
}

static tn_status launch(const tn_launch *l, const tile *t)
{
    return t->share_m ? launch_ring(l, t) : launch_warps(l, t);
}

/* ---- The tactics -----------------------------------------------------------------------------*/

/* Few rows want the parts of one sum in many blocks; wide tiles are read less often. */
#define EACH(X, ...)                                                                               \
    X(ring_64x32, TN_SM90, RING(64, 32, 1, 1, 1), __VA_ARGS__)                                     \
    X(ring_64x64, TN_SM90, RING(64, 64, 1, 1, 1), __VA_ARGS__)                                     \
    X(ring_64x64_m2_n2, TN_SM90, RING(64, 64, 1, 2, 2), __VA_ARGS__)                               \
    X(ring_64x64_m4, TN_SM90, RING(64, 64, 1, 4, 1), __VA_ARGS__)                                  \
    X(ring_64x64_m4_n2, TN_SM90, RING(64, 64, 1, 4, 2), __VA_ARGS__)                               \
    X(ring_64x64_k2, TN_SM90, RING(64, 64, 2, 1, 1), __VA_ARGS__)                                  \
    X(ring_64x64_k2_m2_n2, TN_SM90, RING(64, 64, 2, 2, 2), __VA_ARGS__)                            \
    X(ring_64x64_k4, TN_SM90, RING(64, 64, 4, 1, 1), __VA_ARGS__)                                  \
    X(ring_64x64_k4_m2, TN_SM90, RING(64, 64, 4, 2, 1), __VA_ARGS__)                               \
    X(ring_64x96_m2_n2, TN_SM90, RING(64, 96, 1, 2, 2), __VA_ARGS__)                               \
    X(ring_64x96_k2_n4, TN_SM90, RING(64, 96, 2, 1, 4), __VA_ARGS__)                               \
    X(ring_128x64_k2_m2_n2, TN_SM90, RING(128, 64, 2, 2, 2), __VA_ARGS__)                          \
    X(ring_128x64_k4_n2, TN_SM90, RING(128, 64, 4, 1, 2), __VA_ARGS__)                             \
    X(ring_128x128, TN_SM90, RING(128, 128, 1, 1, 1), __VA_ARGS__)                                 \
    X(32x64, TN_SM80, WARPS(32, 64, 16, 32, 8, 1), __VA_ARGS__)                                    \
    X(32x64_k2, TN_SM90, WARPS(32, 64, 16, 32, 8, 2), __VA_ARGS__)                                 \
    X(64x64, TN_SM80, WARPS(64, 64, 32, 32, 6, 1), __VA_ARGS__)                                    \
    X(128x128, TN_SM80, WARPS(128, 128, 64, 32, 3, 1), __VA_ARGS__)

/* A block sees all of its rows. */
#define EACH_NORM(X)                                                                               \
    X(ring_64x64, RING(64, 64, 1, 1, 1))                                                           \
    X(ring_64x64_n4, RING(64, 64, 1, 1, 4))                                                        \
    X(ring_64x64_m2_n2, RING(64, 64, 1, 2, 2))                                                     \
    X(ring_64x64_m2_n4, RING(64, 64, 1, 2, 4))                                                     \
    X(ring_64x64_m4, RING(64, 64, 1, 4, 1))                                                        \
    X(ring_64x64_m4_n2, RING(64, 64, 1, 4, 2))                                                     \
    X(ring_64x96, RING(64, 96, 1, 1, 1))                                                           \
    X(ring_64x96_n4, RING(64, 96, 1, 1, 4))                                                        \
    X(ring_64x96_m2_n2, RING(64, 96, 1, 2, 2))                                                     \
    X(ring_64x96_m2_n4, RING(64, 96, 1, 2, 4))                                                     \
    X(ring_64x96_m4, RING(64, 96, 1, 4, 1))                                                        \
    X(ring_128x64_m2_n2, RING(128, 64, 1, 2, 2))                                                   \
    X(ring_128x128, RING(128, 128, 1, 1, 1))                                                       \
    X(ring_128x128_m2, RING(128, 128, 1, 2, 1))

#define FUNCTIONS(name, feature, make, ...)                                                        \
    static const tile tile_##name = make;                                                          \
    static tn_verdict accepts_half_##name(const tn_problem *p)                                     \
    {                                                                                              \
        return accepts(p, &tile_##name, false);                                                    \
    }                                                                                              \
    static tn_verdict accepts_tf32_##name(const tn_problem *p)                                     \
    {                                                                                              \
        return accepts(p, &tile_##name, true);                                                     \
    }                                                                                              \
    static tn_status launch_##name(const tn_launch *l)                                             \
    {                                                                                              \
        return launch(l, &tile_##name);                                                            \
    }
EACH(FUNCTIONS, )

#define FUNCTIONS_NORM(name, make)                                                                 \
    static const tile tile_norm_##name = make;                                                     \
    static tn_verdict accepts_norm_half_##name(const tn_problem *p)                                \
    {                                                                                              \
        return accepts_norm(p, &tile_norm_##name, false);                                          \
    }                                                                                              \
    static tn_verdict accepts_norm_tf32_##name(const tn_problem *p)                                \
    {                                                                                              \
        return accepts_norm(p, &tile_norm_##name, true);                                           \
    }                                                                                              \
    static tn_status launch_norm_##name(const tn_launch *l)                                        \
    {                                                                                              \
        return launch_ring(l, &tile_norm_##name);                                                  \
    }
EACH_NORM(FUNCTIONS_NORM)

#define ROW_NORM(name_, kind, ...)                                                                 \
    {.name = "cuda.norm_linear." #kind ".packed_" #name_,                                          \
     .op = "NormLinear",                                                                           \
     .revision = 1,                                                                                \
     .needs = TN_SM90A,                                                                            \
     .accepts = accepts_norm_##kind##_##name_,                                                     \
     .packed_bytes = packed_bytes,                                                                 \
     .pack = pack_norm,                                                                            \
     .unused = unused,                                                                             \
     .launch = launch_norm_##name_,                                                                \
     __VA_ARGS__},
#define NORM_HALF(name, make) ROW_NORM(name, half, )
#define NORM_TF32(name, make) ROW_NORM(name, tf32, .precision = TN_PRECISION_TF32)
#define ROW(name_, feature, op_, text, kind, ...)                                                  \
    {.name = "cuda." text "." #kind ".packed_" #name_,                                             \
     .op = op_,                                                                                    \
     .revision = 1,                                                                                \
     .needs = feature,                                                                             \
     .accepts = accepts_##kind##_##name_,                                                          \
     .packed_bytes = packed_bytes,                                                                 \
     .pack = pack,                                                                                 \
     .unused = unused,                                                                             \
     .launch = launch_##name_,                                                                     \
     __VA_ARGS__},
#define HALF(name, feature, make, op, text) ROW(name, feature, op, text, half, )
#define TF32(name, feature, make, op, text)                                                        \
    ROW(name, feature, op, text, tf32, .precision = TN_PRECISION_TF32)
#define OP(op, text) EACH(HALF, op, text) EACH(TF32, op, text)

extern const tn_tactic tn_cuda_product_packed[];
const tn_tactic tn_cuda_product_packed[] = {
    OP("MatMul", "matmul") OP("Gemm", "gemm") OP("Linear", "linear") EACH_NORM(NORM_HALF)
        EACH_NORM(NORM_TF32){0},
};
