/* Conv and FusedConv by our own kernels: as products in tiles, whose right side is read through the
 * window (product.cu), and channel by channel (conv_depth.cu). */
#include <stdio.h>
#include <string.h>

#include "backends/cuda/kernels/product.h"
#include "ops/wide/wide.h"

extern const tn_cuda_source tn_cuda_source_conv_depth;

/* Sizes that kernels keep in 32 bits. */
static tn_verdict fits(const tn_problem *p, const tn_window *w)
{
    const tn_tensor *y = &p->out[0];
    int64_t sample;
    if (tn_dtype_kind_of(y->dtype) != TN_KIND_F || !tn_cuda_sum_type(y->dtype))
        return TN_NO("no kernel knows the type of the operands");
    for (int i = 0; i < 3; i++) {
        if (w->kernel[i] > INT16_MAX || w->stride[i] > INT32_MAX || w->dilation[i] > INT32_MAX ||
            w->pad[i] > INT32_MAX)
            return TN_NO("the window is too large");
        if ((w->out[i] - 1) * w->stride[i] + (w->kernel[i] - 1) * w->dilation[i] > INT32_MAX)
            return TN_NO("the windows reach too far");
    }
    if (!tn_mul_i64(p->in[0].dim[1], w->in_count, &sample) || sample > INT32_MAX ||
        !tn_mul_i64(y->dim[1], w->out_count, &sample) || sample > INT32_MAX)
        return TN_NO("a sample has 2^31 elements or more");
    return TN_YES;
}

/* ---- Tiles -----------------------------------------------------------------------------------*/

static tn_verdict accepts_tile(const tn_problem *p, int tile)
{
    tn_window w;
    tn_cuda_product x;
    tn_conv_window(p, 1, &w);
    tn_verdict no = fits(p, &w);
    if (no) return no;
    if (tn_cuda_conv_is_product(p)) return TN_NO("the window is one element");
    tn_cuda_product_of_window(p, &w, &x);
    no = tn_cuda_product_fits(&x);
    return no ? no : tn_cuda_product_tile_fits(&x, tile);
}

static size_t scratch_tile(const tn_problem *p, int tile)
{
    tn_window w;
    tn_cuda_product x;
    tn_conv_window(p, 1, &w);
    tn_cuda_product_of_window(p, &w, &x);
    return tn_cuda_product_scratch(&x, tile);
}

static tn_status launch_tile(const tn_launch *l, int tile)
{
    tn_window w;
    tn_cuda_product x;
    tn_conv_window(l->problem, 1, &w);
    tn_cuda_product_of_window(l->problem, &w, &x);
    return tn_cuda_product_run(l, &x, tile);
}

/* ---- Windows of one element: plain products --------------------------------------------------*/

static tn_verdict accepts_plain(const tn_problem *p, int tile)
{
    tn_window w;
    tn_cuda_product x;
    tn_conv_window(p, 1, &w);
    tn_verdict no = fits(p, &w);
    if (no) return no;
    if (!tn_cuda_conv_is_product(p)) return TN_NO("the window is more than one element");
    tn_cuda_product_of_conv(p, &x);
    no = tn_cuda_product_fits(&x);
    return no ? no : tn_cuda_product_tile_fits(&x, tile);
}

static size_t scratch_plain(const tn_problem *p, int tile)
{
    tn_cuda_product x;
    tn_cuda_product_of_conv(p, &x);
    return tn_cuda_product_scratch(&x, tile);
}

static tn_status launch_plain(const tn_launch *l, int tile)
{
    tn_cuda_product x;
    tn_cuda_product_of_conv(l->problem, &x);
    return tn_cuda_product_run(l, &x, tile);
}

/* ---- Channel by channel ----------------------------------------------------------------------*/

/* As in conv_depth.cu. */
typedef struct shape {
    int32_t in[3], out[3], pad[3], outputs, each, strips;
    float act_alpha, act_beta;
} shape;
enum { SIDE = 4, THREADS = 256 };

static tn_verdict accepts_depth(const tn_problem *p)
{
    tn_window w;
    tn_conv_window(p, 1, &w);
    if (p->in[1].dim[1] != 1) return TN_NO("a group has more than one channel");
    return fits(p, &w);
}

static tn_status launch_depth(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_tensor *y = &p->out[0];
    const tn_cuda_function *function;
    tn_cuda_product x;
    tn_window w;
    char options[400];
    if (tn_tensor_count(y) == 0) return NULL;
    tn_conv_window(p, 1, &w);
    tn_cuda_product_of_conv(p, &x);
    shape s = {.outputs = (int32_t)y->dim[1],
               .each = (int32_t)(y->dim[1] / p->in[0].dim[1]),
               .strips = (int32_t)(w.out[0] * w.out[1] * ((w.out[2] + SIDE - 1) / SIDE)),
               .act_alpha = x.epilogue.alpha,
               .act_beta = x.epilogue.beta};
    int used = snprintf(options, sizeof options, "-DTYPE=%s -DSUM=%s -DACT=%d",
                        tn_cuda_type(x.dtype), tn_cuda_sum_type(x.dtype), (int)x.epilogue.kind);
    for (int i = 0; i < 3; i++) {
        s.in[i] = (int32_t)w.in[i];
        s.out[i] = (int32_t)w.out[i];
        s.pad[i] = (int32_t)w.pad[i];
        used += snprintf(options + used, sizeof options - (size_t)used,
                         " -DKERNEL%d=%d -DSTRIDE%d=%d -DDILATION%d=%d", i, (int)w.kernel[i], i,
                         (int)w.stride[i], i, (int)w.dilation[i]);
    }
    TN_TRY(tn_cuda_function_get(tn_cuda_stream_of(l)->card, &tn_cuda_source_conv_depth,
                                "conv_depth", options, 0, &function));
    int64_t count = y->dim[0] * y->dim[1] * s.strips;
    tn_cuda_grid grid = {
        .grid = {tn_cuda_blocks(count, THREADS)}, .block = {THREADS}, .overlap = true};
    /* x and the weights change sides: to a product the weights are a. */
    void *args[] = {(void *)&x.b, (void *)&x.a, (void *)&x.c, (void *)&x.residual,
                    &x.y,         &s,           &count};
    return tn_cuda_run(l, function, &grid, args);
}

/* ---- Tactics ---------------------------------------------------------------------------------*/

#define TILE(kind, name, tile)                                                                     \
    static tn_verdict accepts_##kind##_##name(const tn_problem *p)                                 \
    {                                                                                              \
        return accepts_##kind(p, tile);                                                            \
    }                                                                                              \
    static size_t scratch_##kind##_##name(const tn_problem *p)                                     \
    {                                                                                              \
        return scratch_##kind(p, tile);                                                            \
    }                                                                                              \
    static tn_status launch_##kind##_##name(const tn_launch *l)                                    \
    {                                                                                              \
        return launch_##kind(l, tile);                                                             \
    }
#define TILES(kind)                                                                                \
    TILE(kind, 128x128, TN_CUDA_TILE_128X128)                                                      \
    TILE(kind, 64x64, TN_CUDA_TILE_64X64)                                                          \
    TILE(kind, 32x32, TN_CUDA_TILE_32X32)                                                          \
    TILE(kind, 64x64_k4, TN_CUDA_TILE_64X64_K4)                                                    \
    TILE(kind, 32x32_k8, TN_CUDA_TILE_32X32_K8)                                                    \
    TILE(kind, tensor_128x128, TN_CUDA_TENSOR_128X128)                                             \
    TILE(kind, tensor_64x64, TN_CUDA_TENSOR_64X64)                                                 \
    TILE(kind, tensor_32x64, TN_CUDA_TENSOR_32X64)                                                 \
    TILE(kind, tensor_64x64_k4, TN_CUDA_TENSOR_64X64_K4)
TILES(tile)
TILES(plain)

#define ROW(op_name, text, kind, which, feature, words)                                            \
    {                                                                                              \
        .name = "cuda." text "." words #which, .op = op_name, .revision = 1, .needs = feature,     \
        .accepts = accepts_##kind##_##which, .scratch_bytes = scratch_##kind##_##which,            \
        .launch = launch_##kind##_##which,                                                         \
    }
#define ROWS(op_name, text, kind, word)                                                            \
    ROW(op_name, text, kind, tensor_64x64_k4, TN_SM80, "half." word "_"),                          \
        ROW(op_name, text, kind, tensor_128x128, TN_SM80, "half." word "_"),                       \
        ROW(op_name, text, kind, tensor_32x64, TN_SM80, "half." word "_"),                         \
        ROW(op_name, text, kind, tensor_64x64, TN_SM80, "half." word "_"),                         \
        ROW(op_name, text, kind, 128x128, TN_SM75, "any." word "_"),                               \
        ROW(op_name, text, kind, 32x32_k8, TN_SM75, "any." word "_"),                              \
        ROW(op_name, text, kind, 64x64_k4, TN_SM75, "any." word "_"),                              \
        ROW(op_name, text, kind, 32x32, TN_SM75, "any." word "_"),                                 \
        ROW(op_name, text, kind, 64x64, TN_SM75, "any." word "_")
#define OP(op_name, text)                                                                          \
    {                                                                                              \
        .name = "cuda." text ".any.depth",                                                         \
        .op = op_name,                                                                             \
        .revision = 1,                                                                             \
        .needs = TN_SM75,                                                                          \
        .accepts = accepts_depth,                                                                  \
        .launch = launch_depth,                                                                    \
    },                                                                                             \
        ROWS(op_name, text, plain, "plain"), ROWS(op_name, text, tile, "tiles")

extern const tn_tactic tn_cuda_conv[];
const tn_tactic tn_cuda_conv[] = {
    OP("Conv", "conv"),
    OP("FusedConv", "fusedconv"),
    {0},
};
