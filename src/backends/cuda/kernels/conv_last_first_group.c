/* ChannelsLastConv of an image of few channels as it came, and ConvPool, on compute capability 9.0
 * (conv_last_first_group.cu). */
#include <stdio.h>
#include <string.h>

#include "backends/cuda/index.h"
#include "backends/cuda/kernels/conv_last.h"
#include "ops/conv_pool/conv_pool.h"

extern const tn_cuda_source tn_cuda_source_conv_last_first_group;

enum { CHANNELS = 64, FOUR = 4, ACROSS = 16, LINE = 64 }; /* as in the kernel: k of a line of w */
enum { SHARED_MAX = 227 << 10 };                          /* of a multiprocessor of 9.0 */

typedef struct shape { /* as the kernel takes it */
    const void *x, *w, *bias;
    void *y;
    int32_t n, tiles, backwards;
    int32_t in[2], size[2], out[2], pad[2], pool_pad[2];
    tn_cuda_divider tiles_across, tiles_down;
    float act_alpha, act_beta;
} shape;

typedef struct tile { /* groups of four warps, rows of pixels of each warp */
    int groups, rows;
} tile;

/* The layer of a problem, and what is behind it: `pool` of single pixels if nothing is. */
typedef struct layer {
    tn_tensor between;
    tn_problem conv;
    tn_window w, pool;
    bool pooled;
} layer;

static void layer_of(const tn_problem *p, layer *a)
{
    tn_problem pool;
    memset(a, 0, sizeof *a);
    a->conv = *p;
    a->pooled = !strcmp(p->op, "ConvPool");
    if (a->pooled) tn_conv_pool_parts(p, &a->between, &a->conv, &pool);
    tn_conv_last_window(&a->conv, &a->w);
    a->pool = a->w;
    for (int i = 0; i < 3; i++) {
        a->pool.kernel[i] = a->pool.stride[i] = a->pool.dilation[i] = 1;
        a->pool.pad[i] = 0;
    }
    if (a->pooled) tn_pool_last_window(&pool, &a->pool);
}

static int64_t ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

/* Along axis 1 or 2 of a tile: pixels, and windows of the pooling. */
static int64_t pixels_of(const tile *t, int axis)
{
    return axis == 1 ? 4 * t->groups * t->rows : ACROSS;
}

static int64_t windows_of(const layer *a, const tile *t, int axis)
{
    return (pixels_of(t, axis) - a->pool.kernel[axis]) / a->pool.stride[axis] + 1;
}

/* ---- Weights ---------------------------------------------------------------------------------*/

/* Columns of zeros before those of a window, so that pairs begin at even columns of x. */
static int64_t before(const tn_window *w)
{
    return w->pad[2] & 1;
}

/* Of a row of the window. */
static int64_t fours_of(const tn_window *w)
{
    return ceil_div(w->kernel[2] + before(w), FOUR);
}

/* Of 64 channels of y, lines along k of `channels` of x. */
static int64_t lines_of(const tn_window *w, int64_t channels)
{
    return ceil_div(channels * w->kernel[1] * fours_of(w) * FOUR, LINE);
}

static size_t packed_bytes(const tn_problem *p)
{
    layer a;
    if (p->in[1].rank != 4) return 0;
    layer_of(p, &a);
    int64_t lines = ceil_div(p->in[1].dim[0], CHANNELS) * lines_of(&a.w, p->in[1].dim[3]);
    return (size_t)(lines * CHANNELS * LINE) * sizeof(uint16_t);
}

/* k runs over channels, rows and columns; of 64 k each channel of y has a line, whose eight parts
 * are exclusive-ored with its number. */
static tn_status pack(const tn_problem *p, void *dst)
{
    const tn_tensor *t = &p->in[1];
    const uint16_t *from = t->data;
    uint16_t *to = dst;
    layer a;
    layer_of(p, &a);
    int64_t first = before(&a.w), width = fours_of(&a.w) * FOUR;
    int64_t lines = lines_of(&a.w, t->dim[3]);
    memset(dst, 0, packed_bytes(p));
    for (int64_t o = 0; o < t->dim[0]; o++)
        for (int64_t r = 0; r < t->dim[1]; r++)
            for (int64_t column = first; column < first + t->dim[2]; column++)
                for (int64_t c = 0; c < t->dim[3]; c++) {
                    int64_t k = (c * t->dim[1] + r) * width + column;
                    int64_t line = (o / CHANNELS * lines + k / LINE) * CHANNELS + o % CHANNELS;
                    to[line * LINE + ((k % LINE / 8) ^ (o % 8)) * 8 + k % 8] = *from++;
                }
    return NULL;
}

static uint64_t unused(const tn_problem *p)
{
    (void)p;
    return 1u << 1;
}

/* ---- Questions -------------------------------------------------------------------------------*/

static size_t shared_bytes(const tn_window *w, const tile *t, int64_t channels)
{
    int64_t width = (ACROSS - 1) * w->stride[2] + fours_of(w) * FOUR;
    int64_t height = (pixels_of(t, 1) - 1) * w->stride[1] + w->kernel[1];
    int64_t elements = lines_of(w, channels) * CHANNELS * LINE +
                       pixels_of(t, 1) * ACROSS * CHANNELS + channels * height * width;
    return (size_t)elements * 2 + CHANNELS * sizeof(float);
}

static tn_verdict pool_fits(const layer *a, const tile *t)
{
    for (int i = 1; i < 3; i++)
        if (a->pool.kernel[i] > pixels_of(t, i) || a->pool.kernel[i] < 1 ||
            a->pool.stride[i] > pixels_of(t, i) || a->pool.pad[i] >= a->pool.kernel[i])
            return TN_NO("the pooling's windows are too large");
    return a->between.rank == 4 ? TN_YES : TN_NO("there are not two spatial axes");
}

static tn_verdict accepts(const tn_problem *p, const tile *t)
{
    enum { CHANNELS_MAX = 4, KERNEL_MAX = 16, STRIDE_MAX = 16 };
    layer a;
    layer_of(p, &a);
    const tn_conv_last_params *params = a.conv.params;
    const tn_tensor *weights = &p->in[1];
    tn_verdict no = tn_cuda_conv_last_fits(&a.conv, &a.w);
    if (!no && a.pooled) no = pool_fits(&a, t);
    if (no) return no;
    if (tn_cuda_has(p, TN_CONV_LAST_X2)) return TN_NO("there is a second product");
    if (p->out[0].dtype == TN_DTYPE_F32) return TN_NO("the operands are not f16 or bf16");
    if (!params->x_first || weights->rank != 4) return TN_NO("x is no image as it came");
    if (!(p->in_constant >> 1 & 1)) return TN_NO("the weights are no constant");
    if (params->fused.conv.group != 1 || tn_cuda_has(p, 3))
        return TN_NO("there are groups, or a residual");
    if (weights->dim[3] < 1 || weights->dim[3] > CHANNELS_MAX)
        return TN_NO("there are more than 4 channels");
    if (params->fused.conv.window.auto_pad != TN_AUTO_PAD_NOTSET)
        return TN_NO("another size may be padded otherwise than the weights are packed for");
    for (int i = 1; i < 3; i++)
        if (a.w.kernel[i] < 1 || a.w.kernel[i] > KERNEL_MAX || a.w.dilation[i] != 1 ||
            a.w.stride[i] > STRIDE_MAX)
            return TN_NO("the window is large, or dilated");
    if (a.w.stride[2] % 2) return TN_NO("the stride is odd");
    if (shared_bytes(&a.w, t, weights->dim[3]) > SHARED_MAX)
        return TN_NO("the windows reach too far");
    return TN_YES;
}

/* ---- Running ---------------------------------------------------------------------------------*/

static void fill(const tn_launch *l, const layer *a, const tile *t, shape *s)
{
    const tn_problem *p = l->problem;
    const tn_conv_last_params *params = a->conv.params;
    int64_t across = ceil_div(a->pool.out[2], windows_of(a, t, 2));
    int64_t down = ceil_div(a->pool.out[1], windows_of(a, t, 1));
    *s = (shape){.x = p->in[0].data,
                 .w = l->packed,
                 .bias = tn_cuda_has(p, 2) ? p->in[2].data : NULL,
                 .y = p->out[0].data,
                 .n = (int32_t)p->out[0].dim[3],
                 .tiles = (int32_t)(p->out[0].dim[0] * across * down),
                 .tiles_across = tn_cuda_divider_of(TN_MAX(across, 1)),
                 .tiles_down = tn_cuda_divider_of(TN_MAX(down, 1)),
                 .act_alpha = params->fused.epilogue.alpha,
                 .act_beta = params->fused.epilogue.beta};
    for (int i = 0; i < 2; i++) {
        s->in[i] = (int32_t)a->w.in[1 + i];
        s->size[i] = (int32_t)a->w.out[1 + i];
        s->out[i] = (int32_t)a->pool.out[1 + i];
        s->pad[i] = (int32_t)a->w.pad[1 + i];
        s->pool_pad[i] = (int32_t)a->pool.pad[1 + i];
    }
}

/* How many blocks are to fit a multiprocessor, by their shared memory and by registers. */
static int blocks_of(size_t shared, const tile *t)
{
    enum { RESERVED = 1024 }; /* of each block */
    int most = t->groups > 1 ? 2 : t->rows > 1 ? 3 : 4;
    return TN_MAX(1, TN_MIN((int)(SHARED_MAX / (shared + RESERVED)), most));
}

static tn_status launch(const tn_launch *l, const tile *t)
{
    const tn_problem *p = l->problem;
    tn_cuda_card *card = tn_cuda_stream_of(l)->card;
    const tn_tensor *x = &p->in[0];
    const tn_cuda_function *function;
    char options[360];
    layer a;
    shape s;
    if (tn_tensor_count(&p->out[0]) == 0) return NULL;
    layer_of(p, &a);
    fill(l, &a, t, &s);
    const tn_conv_last_params *params = a.conv.params;
    size_t shared = shared_bytes(&a.w, t, p->in[1].dim[3]);
    int blocks = blocks_of(shared, t), pool = a.pooled ? 1 : 0;
    int v = tn_cuda_product_vector(8, tn_cuda_place(s.y, p->out[0].dtype) | (uint64_t)s.n);
    bool paired = a.w.in[2] % 2 == 0 && (uintptr_t)x->data % (2 * tn_cuda_bytes(x)) == 0;
    snprintf(options, sizeof options,
             "-DTYPE=%s -DXTYPE=%s -DCHANNELS=%d -DKERNEL0=%d -DKERNEL1=%d -DSTRIDE0=%d "
             "-DSTRIDE1=%d -DSHIFT=%d -DGROUPS=%d -DROWS=%d -DPOOL0=%d -DPOOL1=%d "
             "-DPOOL_STRIDE0=%d -DPOOL_STRIDE1=%d -DPAIRED=%d -DV=%d -DBLOCKS=%d -DACT=%d",
             tn_cuda_type(p->out[0].dtype), tn_cuda_type(x->dtype), (int)p->in[1].dim[3],
             (int)a.w.kernel[1], (int)a.w.kernel[2], (int)a.w.stride[1], (int)a.w.stride[2],
             (int)before(&a.w), t->groups, t->rows, pool * (int)a.pool.kernel[1],
             pool * (int)a.pool.kernel[2], (int)a.pool.stride[1], (int)a.pool.stride[2], paired,
             v == 8 ? 8 : 1, blocks, (int)params->fused.epilogue.kind);
    TN_TRY(tn_cuda_function_get(card, &tn_cuda_source_conv_last_first_group,
                                "conv_last_first_group", options, shared, &function));
    s.backwards = tn_cuda_turn(l);
    int64_t columns = ceil_div(s.n, CHANNELS), most = card->multiprocessors * blocks;
    tn_cuda_grid grid = {.grid = {(unsigned)TN_MIN((int64_t)s.tiles, most), (unsigned)columns},
                         .block = {(unsigned)(128 * t->groups)},
                         .shared_bytes = shared,
                         .overlap = true};
    return tn_cuda_run(l, function, &grid, (void *[]){&s});
}

/* ---- Tactics ---------------------------------------------------------------------------------*/

/* operator, name, size, groups, rows */
#define TILES(X)                                                                                   \
    X("ChannelsLastConv", channelslastconv, 8x16, 1, 2)                                            \
    X("ChannelsLastConv", channelslastconv, 4x16, 1, 1)                                            \
    X("ConvPool", convpool, 16x16, 2, 2)                                                           \
    X("ConvPool", convpool, 8x16, 1, 2)                                                            \
    X("ConvPool", convpool, 4x16, 1, 1)

#define ANSWERS(op_name, text, size, ...)                                                          \
    static const tile tile_##text##_##size = {__VA_ARGS__};                                        \
    static tn_verdict accepts_##text##_##size(const tn_problem *p)                                 \
    {                                                                                              \
        return accepts(p, &tile_##text##_##size);                                                  \
    }                                                                                              \
    static tn_status launch_##text##_##size(const tn_launch *l)                                    \
    {                                                                                              \
        return launch(l, &tile_##text##_##size);                                                   \
    }
TILES(ANSWERS)

#define ROW(op_name, text, size, ...)                                                              \
    {                                                                                              \
        .name = "cuda." #text ".half.first_" #size,                                                \
        .op = op_name,                                                                             \
        .revision = 1,                                                                             \
        .needs = TN_SM90,                                                                          \
        .accepts = accepts_##text##_##size,                                                        \
        .packed_bytes = packed_bytes,                                                              \
        .pack = pack,                                                                              \
        .unused = unused,                                                                          \
        .launch = launch_##text##_##size,                                                          \
    },

extern const tn_tactic tn_cuda_conv_last_first_group[];
const tn_tactic tn_cuda_conv_last_first_group[] = {TILES(ROW){0}};
