/* ChannelsLastConv of an image of few channels as it came, on compute capability 9.0
 * (conv_last_first_group.cu). */
#include <stdio.h>
#include <string.h>

#include "backends/cuda/index.h"
#include "backends/cuda/kernels/conv_last.h"

extern const tn_cuda_source tn_cuda_source_conv_last_first_group;

enum { THREADS = 128, ACROSS = 8, CHANNELS = 64, FOUR = 4 }; /* as in the kernel */
enum { SHARED_MAX = 227 << 10 };                             /* of a multiprocessor of 9.0 */

typedef struct shape { /* as the kernel takes it */
    const void *x, *w, *bias;
    void *y;
    int32_t n, tiles, backwards;
    int32_t in[2], out[2], pad[2];
    tn_cuda_divider tiles_across, tiles_down;
    float act_alpha, act_beta;
} shape;

static int64_t ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
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

/* Of 64 channels of y. */
static int64_t chunk_of(const tn_window *w)
{
    return w->kernel[1] * fours_of(w) * CHANNELS * 4 * FOUR;
}

static size_t packed_bytes(const tn_problem *p)
{
    tn_window w;
    if (p->in[1].rank != 4) return 0;
    tn_conv_last_window(p, &w);
    return (size_t)(ceil_div(p->in[1].dim[0], CHANNELS) * chunk_of(&w)) * sizeof(uint16_t);
}

/* Steps along k of four columns; in a step two halves, of two columns by four channels; in a half a
 * line for each channel of y. */
static tn_status pack(const tn_problem *p, void *dst)
{
    const tn_tensor *t = &p->in[1];
    const uint16_t *from = t->data;
    uint16_t *to = dst;
    tn_window w;
    tn_conv_last_window(p, &w);
    int64_t first = before(&w), fours = fours_of(&w), chunk = chunk_of(&w);
    memset(dst, 0, packed_bytes(p));
    for (int64_t o = 0; o < t->dim[0]; o++)
        for (int64_t r = 0; r < t->dim[1]; r++)
            for (int64_t k = first; k < first + t->dim[2]; k++)
                for (int64_t c = 0; c < t->dim[3]; c++) {
                    int64_t half = (r * fours + k / FOUR) * 2 + k % FOUR / 2;
                    to[o / CHANNELS * chunk + (half * CHANNELS + o % CHANNELS) * 8 + k % 2 * 4 +
                       c] = *from++;
                }
    return NULL;
}

static uint64_t unused(const tn_problem *p)
{
    (void)p;
    return 1u << 1;
}

/* ---- Questions -------------------------------------------------------------------------------*/

static size_t shared_bytes(const tn_window *w, int64_t down)
{
    int64_t phases = w->stride[2] / 2, pairs = ACROSS + (2 * fours_of(w) - 1) / phases;
    int64_t height = (down - 1) * w->stride[1] + w->kernel[1];
    return (size_t)(chunk_of(w) * 2 + ACROSS * down * CHANNELS * 2 + height * phases * pairs * 16);
}

static tn_verdict accepts(const tn_problem *p, int64_t down)
{
    enum { CHANNELS_MAX = 4, KERNEL_MAX = 16, STRIDE_MAX = 16 };
    const tn_conv_last_params *params = p->params;
    tn_window w;
    tn_conv_last_window(p, &w);
    tn_verdict no = tn_cuda_conv_last_fits(p, &w);
    if (no) return no;
    if (tn_cuda_has(p, TN_CONV_LAST_X2)) return TN_NO("there is a second product");
    if (p->out[0].dtype == TN_DTYPE_F32) return TN_NO("the operands are not f16 or bf16");
    if (!params->x_first || p->in[1].rank != 4) return TN_NO("x is no image as it came");
    if (!(p->in_constant >> 1 & 1)) return TN_NO("the weights are no constant");
    if (params->fused.conv.group != 1 || tn_cuda_has(p, 3))
        return TN_NO("there are groups, or a residual");
    if (p->in[1].dim[3] < 1 || p->in[1].dim[3] > CHANNELS_MAX)
        return TN_NO("there are more than 4 channels");
    if (params->fused.conv.window.auto_pad != TN_AUTO_PAD_NOTSET)
        return TN_NO("another size may be padded otherwise than the weights are packed for");
    for (int i = 1; i < 3; i++)
        if (w.kernel[i] < 1 || w.kernel[i] > KERNEL_MAX || w.dilation[i] != 1 ||
            w.stride[i] > STRIDE_MAX)
            return TN_NO("the window is large, or dilated");
    if (w.stride[2] != 2 && w.stride[2] != 4) return TN_NO("the stride is not 2 or 4");
    if (shared_bytes(&w, down) > SHARED_MAX) return TN_NO("the windows reach too far");
    return TN_YES;
}

/* ---- Running ---------------------------------------------------------------------------------*/

static void fill(const tn_launch *l, const tn_window *w, int64_t down, shape *s)
{
    const tn_problem *p = l->problem;
    const tn_conv_last_params *params = p->params;
    int64_t across = ceil_div(w->out[2], ACROSS), rows = ceil_div(w->out[1], down);
    *s = (shape){.x = p->in[0].data,
                 .w = l->packed,
                 .bias = tn_cuda_has(p, 2) ? p->in[2].data : NULL,
                 .y = p->out[0].data,
                 .n = (int32_t)p->out[0].dim[3],
                 .tiles = (int32_t)(p->out[0].dim[0] * across * rows),
                 .tiles_across = tn_cuda_divider_of(TN_MAX(across, 1)),
                 .tiles_down = tn_cuda_divider_of(TN_MAX(rows, 1)),
                 .act_alpha = params->fused.epilogue.alpha,
                 .act_beta = params->fused.epilogue.beta};
    for (int i = 0; i < 2; i++) {
        s->in[i] = (int32_t)w->in[1 + i];
        s->out[i] = (int32_t)w->out[1 + i];
        s->pad[i] = (int32_t)w->pad[1 + i];
    }
}

static tn_status launch(const tn_launch *l, int64_t down)
{
    enum { BLOCKS_MAX = 4, RESERVED = 1024 }; /* of shared memory, of each block */
    const tn_problem *p = l->problem;
    const tn_conv_last_params *params = p->params;
    tn_cuda_card *card = tn_cuda_stream_of(l)->card;
    const tn_tensor *x = &p->in[0];
    const tn_cuda_function *function;
    char options[260];
    tn_window w;
    shape s;
    if (tn_tensor_count(&p->out[0]) == 0) return NULL;
    tn_conv_last_window(p, &w);
    fill(l, &w, down, &s);
    size_t shared = shared_bytes(&w, down);
    int64_t blocks = TN_MIN((int64_t)(SHARED_MAX / (shared + RESERVED)), (int64_t)BLOCKS_MAX);
    blocks = TN_MAX(blocks, 1);
    int v = tn_cuda_product_vector(8, tn_cuda_place(s.y, p->out[0].dtype) | (uint64_t)s.n);
    bool paired = w.in[2] % 2 == 0 && (uintptr_t)x->data % (2 * tn_cuda_bytes(x)) == 0;
    snprintf(options, sizeof options,
             "-DTYPE=%s -DXTYPE=%s -DCHANNELS=%d -DKERNEL0=%d -DKERNEL1=%d -DSTRIDE0=%d "
             "-DSTRIDE1=%d -DSHIFT=%d -DDOWN=%d -DPAIRED=%d -DV=%d -DBLOCKS=%d -DACT=%d",
             tn_cuda_type(p->out[0].dtype), tn_cuda_type(x->dtype), (int)p->in[1].dim[3],
             (int)w.kernel[1], (int)w.kernel[2], (int)w.stride[1], (int)w.stride[2],
             (int)before(&w), (int)down, paired, v == 8 ? 8 : 1, (int)blocks,
             (int)params->fused.epilogue.kind);
    TN_TRY(tn_cuda_function_get(card, &tn_cuda_source_conv_last_first_group,
                                "conv_last_first_group", options, shared, &function));
    s.backwards = tn_cuda_turn(l);
    int64_t columns = ceil_div(s.n, CHANNELS), most = card->multiprocessors * blocks;
    tn_cuda_grid grid = {.grid = {(unsigned)TN_MIN((int64_t)s.tiles, most), (unsigned)columns},
                         .block = {THREADS},
                         .shared_bytes = shared,
                         .overlap = true};
    return tn_cuda_run(l, function, &grid, (void *[]){&s});
}

/* ---- Tactics ---------------------------------------------------------------------------------*/

#define ANSWERS(down)                                                                              \
    static tn_verdict accepts_##down(const tn_problem *p)                                          \
    {                                                                                              \
        return accepts(p, down);                                                                   \
    }                                                                                              \
    static tn_status launch_##down(const tn_launch *l)                                             \
    {                                                                                              \
        return launch(l, down);                                                                    \
    }
ANSWERS(14)
ANSWERS(4)

#define ROW(down)                                                                                  \
    {                                                                                              \
        .name = "cuda.channelslastconv.half.first_8x" #down, .op = "ChannelsLastConv",             \
        .revision = 1, .needs = TN_SM90, .accepts = accepts_##down, .packed_bytes = packed_bytes,  \
        .pack = pack, .unused = unused, .launch = launch_##down,                                   \
    }

extern const tn_tactic tn_cuda_conv_last_first_group[];
const tn_tactic tn_cuda_conv_last_first_group[] = {ROW(14), ROW(4), {0}};
