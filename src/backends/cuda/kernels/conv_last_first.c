/* ChannelsLastConv of an image of few channels as it came (conv_last_first.cu). */
#include <stdio.h>
#include <string.h>

#include "backends/cuda/index.h"
#include "backends/cuda/kernels/conv_last.h"

extern const tn_cuda_source tn_cuda_source_conv_last_first;

enum { THREADS = 128, DOWN = 8, ACROSS = 16, COLUMNS = 64 }; /* as in the kernel */
enum { SHARED_MAX = 96 << 10 };                              /* of any card with 8.0 */

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

/* Elements of one output's line: fours along k, which runs over channels, rows and columns. */
static int64_t line_of(const tn_tensor *w)
{
    int64_t fours = w->dim[3] * w->dim[1] * ceil_div(w->dim[2], 4);
    return ceil_div(fours, 4) * 16 + 8;
}

static size_t packed_bytes(const tn_problem *p)
{
    const tn_tensor *w = &p->in[1];
    return w->rank == 4 ? (size_t)(w->dim[0] * line_of(w)) * tn_cuda_bytes(w) : 0;
}

static tn_status pack(const tn_problem *p, void *dst)
{
    const tn_tensor *w = &p->in[1];
    const uint16_t *from = w->data;
    int64_t rows = w->dim[1], columns = w->dim[2], channels = w->dim[3], line = line_of(w);
    int64_t row_line = ceil_div(columns, 4) * 4;
    memset(dst, 0, packed_bytes(p));
    for (int64_t o = 0; o < w->dim[0]; o++)
        for (int64_t r = 0; r < rows; r++)
            for (int64_t k = 0; k < columns; k++)
                for (int64_t c = 0; c < channels; c++)
                    ((uint16_t *)dst)[o * line + (c * rows + r) * row_line + k] = *from++;
    return NULL;
}

static uint64_t unused(const tn_problem *p)
{
    (void)p;
    return 1u << 1;
}

/* ---- Questions -------------------------------------------------------------------------------*/

static size_t shared_bytes(const tn_problem *p, const tn_window *w, bool ahead)
{
    int64_t channels = p->in[1].dim[3], width = ceil_div(w->kernel[2], 4) * 4;
    int64_t part = channels * ((DOWN - 1) * w->stride[1] + w->kernel[1]) *
                   ((ACROSS - 1) * w->stride[2] + width);
    part = ceil_div(part, 4) * 4;
    int64_t y = DOWN * ACROSS * (COLUMNS + 8);
    size_t bytes = (size_t)(COLUMNS * line_of(&p->in[1]) + TN_MAX(part, y)) * 2;
    return ahead ? bytes + (size_t)part * sizeof(float) : bytes;
}

/* Is there room for the next part of an image of floats? */
static bool comes_ahead(const tn_problem *p, const tn_window *w)
{
    return p->in[0].dtype == TN_DTYPE_F32 && shared_bytes(p, w, true) <= SHARED_MAX;
}

static tn_verdict accepts(const tn_problem *p)
{
    enum { CHANNELS_MAX = 4, KERNEL_MAX = 16 };
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
    for (int i = 1; i < 3; i++)
        if (w.kernel[i] > KERNEL_MAX || w.dilation[i] != 1)
            return TN_NO("the window is large, or dilated");
    if (w.stride[2] % 2) return TN_NO("the stride is odd");
    if (shared_bytes(p, &w, false) > SHARED_MAX) return TN_NO("the windows reach too far");
    return TN_YES;
}

/* ---- Running ---------------------------------------------------------------------------------*/

static void fill(const tn_launch *l, const tn_window *w, shape *s)
{
    const tn_problem *p = l->problem;
    const tn_conv_last_params *params = p->params;
    int64_t across = ceil_div(w->out[2], ACROSS), down = ceil_div(w->out[1], DOWN);
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
        s->in[i] = (int32_t)w->in[1 + i];
        s->out[i] = (int32_t)w->out[1 + i];
        s->pad[i] = (int32_t)w->pad[1 + i];
    }
}

static tn_status launch(const tn_launch *l)
{
    enum { BLOCKS = 4 }; /* on a multiprocessor at once, about: they go on to further tiles */
    const tn_problem *p = l->problem;
    const tn_conv_last_params *params = p->params;
    tn_cuda_card *card = tn_cuda_stream_of(l)->card;
    tn_dtype dtype = p->out[0].dtype;
    const tn_cuda_function *function;
    char options[240];
    tn_window w;
    shape s;
    if (tn_tensor_count(&p->out[0]) == 0) return NULL;
    tn_conv_last_window(p, &w);
    fill(l, &w, &s);
    bool ahead = comes_ahead(p, &w);
    size_t shared = shared_bytes(p, &w, ahead);
    int v = tn_cuda_product_vector(8, tn_cuda_place(s.y, dtype) | (uint64_t)s.n);
    snprintf(options, sizeof options,
             "-DTYPE=%s -DXTYPE=%s -DAHEAD=%d -DCHANNELS=%d -DKERNEL0=%d -DKERNEL1=%d -DSTRIDE0=%d "
             "-DSTRIDE1=%d -DV=%d "
             "-DACT=%d",
             tn_cuda_type(dtype), tn_cuda_type(p->in[0].dtype), ahead, (int)p->in[1].dim[3],
             (int)w.kernel[1], (int)w.kernel[2], (int)w.stride[1], (int)w.stride[2], v == 8 ? 8 : 1,
             (int)params->fused.epilogue.kind);
    TN_TRY(tn_cuda_function_get(card, &tn_cuda_source_conv_last_first, "conv_last_first", options,
                                shared, &function));
    s.backwards = tn_cuda_turn(l);
    int64_t columns = ceil_div(s.n, COLUMNS), most = card->multiprocessors * BLOCKS;
    tn_cuda_grid grid = {.grid = {(unsigned)TN_MIN((int64_t)s.tiles, most), (unsigned)columns},
                         .block = {THREADS},
                         .shared_bytes = shared,
                         .overlap = true};
    return tn_cuda_run(l, function, &grid, (void *[]){&s});
}

extern const tn_tactic tn_cuda_conv_last_first[];
const tn_tactic tn_cuda_conv_last_first[] = {
    {
        .name = "cuda.channelslastconv.half.first",
        .op = "ChannelsLastConv",
        .revision = 2,
        .needs = TN_SM80,
        .accepts = accepts,
        .packed_bytes = packed_bytes,
        .pack = pack,
        .unused = unused,
        .launch = launch,
    },
    {0},
};
