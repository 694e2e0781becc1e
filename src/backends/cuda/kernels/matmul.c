/* MatMul, Gemm and Linear by our own kernels. */
#include "backends/cuda/kernels/product.h"

static tn_verdict accepts_tile(const tn_problem *p, int tile)
{
    tn_cuda_product x;
    tn_cuda_product_of(p, &x);
    tn_verdict why = tn_cuda_product_fits(&x);
    return why ? why : tn_cuda_product_tile_fits(&x, tile);
}

static size_t scratch_tile(const tn_problem *p, int tile)
{
    tn_cuda_product x;
    tn_cuda_product_of(p, &x);
    return tn_cuda_product_scratch(&x, tile);
}

static tn_status launch_tile(const tn_launch *l, int tile)
{
    tn_cuda_product x;
    tn_cuda_product_of(l->problem, &x);
    return tn_cuda_product_run(l, &x, tile);
}

static tn_verdict accepts_rows(const tn_problem *p)
{
    tn_cuda_product x;
    tn_cuda_product_of(p, &x);
    tn_verdict why = tn_cuda_product_fits(&x);
    return why ? why : tn_cuda_product_rows_fit(&x);
}

static tn_status launch_rows(const tn_launch *l)
{
    tn_cuda_product x;
    tn_cuda_product_of(l->problem, &x);
    return tn_cuda_product_rows_run(l, &x);
}

#define TILE(name, tile)                                                                           \
    static tn_verdict accepts_##name(const tn_problem *p)                                          \
    {                                                                                              \
        return accepts_tile(p, tile);                                                              \
    }                                                                                              \
    static size_t scratch_##name(const tn_problem *p)                                              \
    {                                                                                              \
        return scratch_tile(p, tile);                                                              \
    }                                                                                              \
    static tn_status launch_##name(const tn_launch *l)                                             \
    {                                                                                              \
        return launch_tile(l, tile);                                                               \
    }
TILE(128x128, TN_CUDA_TILE_128X128)
TILE(64x64, TN_CUDA_TILE_64X64)
TILE(32x32, TN_CUDA_TILE_32X32)
TILE(64x64_k4, TN_CUDA_TILE_64X64_K4)
TILE(32x32_k8, TN_CUDA_TILE_32X32_K8)
TILE(tensor_128x128, TN_CUDA_TENSOR_128X128)
TILE(tensor_64x64, TN_CUDA_TENSOR_64X64)
TILE(tensor_32x64, TN_CUDA_TENSOR_32X64)
TILE(tensor_64x64_k4, TN_CUDA_TENSOR_64X64_K4)

#define ROW(op_name, text, kind, which, feature)                                                   \
    {                                                                                              \
        .name = "cuda." text "." kind #which, .op = op_name, .revision = 1, .needs = feature,      \
        .accepts = accepts_##which, .scratch_bytes = scratch_##which, .launch = launch_##which,    \
    }
#define TILES(op_name, text, which) ROW(op_name, text, "any.tiles_", which, TN_SM75)
#define TENSOR(op_name, text, which) ROW(op_name, text, "half.", which, TN_SM80)
#define OP(op_name, text)                                                                          \
    {                                                                                              \
        .name = "cuda." text ".any.rows",                                                          \
        .op = op_name,                                                                             \
        .revision = 1,                                                                             \
        .needs = TN_SM75,                                                                          \
        .accepts = accepts_rows,                                                                   \
        .launch = launch_rows,                                                                     \
    },                                                                                             \
        TENSOR(op_name, text, tensor_64x64_k4), TENSOR(op_name, text, tensor_128x128),             \
        TENSOR(op_name, text, tensor_32x64), TENSOR(op_name, text, tensor_64x64),                  \
        TILES(op_name, text, 128x128), TILES(op_name, text, 32x32_k8),                             \
        TILES(op_name, text, 64x64_k4), TILES(op_name, text, 32x32), TILES(op_name, text, 64x64)

extern const tn_tactic tn_cuda_matmul[];
const tn_tactic tn_cuda_matmul[] = {
    OP("MatMul", "matmul"),
    OP("Gemm", "gemm"),
    OP("Linear", "linear"),
    {0},
};
