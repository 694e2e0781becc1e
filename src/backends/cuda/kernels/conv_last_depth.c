/* ChannelsLastConv whose groups are single channels (conv_last_depth.cu). */
#include <stdio.h>
#include <string.h>

#include "backends/cuda/index.h"
#include "backends/cuda/kernels/conv_last.h"
#include "ops/wide/wide.h"

extern const tn_cuda_source tn_cuda_source_conv_last_depth;

typedef struct shape { /* as the kernel takes it */
    const void *x, *w, *bias, *residual;
    void *y;
    uint32_t count;
    int32_t channels, in[2], out[2], stride[2], dilation[2], pad[2];
    tn_cuda_divider by_vectors, by_strips, by_rows;
    float act_alpha, act_beta;
} shape;

static tn_verdict accepts(const tn_problem *p)
{
    enum { KERNEL_MAX = 7 };
    const tn_conv_last_params *params = p->params;
    const tn_tensor *y = &p->out[0];
    tn_window w;
    tn_conv_last_window(p, &w);
    tn_verdict no = tn_cuda_conv_last_fits(p, &w);
    if (no) return no;
    if (tn_cuda_has(p, TN_CONV_LAST_X2)) return TN_NO("there is a second product");
    if (params->fused.conv.group < 2 || p->in[1].dim[p->in[1].rank - 1] != 1 ||
        y->dim[y->rank - 1] != params->fused.conv.group)
        return TN_NO("groups are more than single channels");
    if (params->x_first) return TN_NO("x has its channels elsewhere");
    if (w.kernel[1] > KERNEL_MAX || w.kernel[2] > KERNEL_MAX) return TN_NO("the window is large");
    return TN_YES;
}

/* [C, taps] to [taps, C]. */
static size_t packed_bytes(const tn_problem *p)
{
    return p->in_constant >> 1 & 1 ? (size_t)tn_tensor_bytes(&p->in[1]) : 0;
}

static tn_status pack(const tn_problem *p, void *dst)
{
    const tn_tensor *w = &p->in[1];
    size_t bytes = tn_cuda_bytes(w), channels = (size_t)w->dim[0];
    size_t taps = (size_t)tn_dims_product(w->dim, 1, w->rank);
    for (size_t tap = 0; tap < taps; tap++)
        for (size_t c = 0; c < channels; c++)
            memcpy((char *)dst + (tap * channels + c) * bytes,
                   (const char *)w->data + (c * taps + tap) * bytes, bytes);
    return NULL;
}

static uint64_t unused(const tn_problem *p)
{
    return packed_bytes(p) ? 1u << 1 : 0;
}

static void fill(const tn_launch *l, shape *s)
{
    const tn_problem *p = l->problem;
    const tn_conv_last_params *params = p->params;
    tn_window w;
    tn_conv_last_window(p, &w);
    *s = (shape){.x = p->in[0].data,
                 .w = l->packed ? l->packed : p->in[1].data,
                 .bias = tn_cuda_has(p, 2) ? p->in[2].data : NULL,
                 .residual = tn_cuda_has(p, 3) ? p->in[3].data : NULL,
                 .y = p->out[0].data,
                 .channels = (int32_t)params->fused.conv.group,
                 .by_rows = tn_cuda_divider_of(w.out[1]),
                 .act_alpha = params->fused.epilogue.alpha,
                 .act_beta = params->fused.epilogue.beta};
    for (int i = 0; i < 2; i++) {
        s->in[i] = (int32_t)w.in[1 + i];
        s->out[i] = (int32_t)w.out[1 + i];
        s->stride[i] = (int32_t)w.stride[1 + i];
        s->dilation[i] = (int32_t)w.dilation[1 + i];
        s->pad[i] = (int32_t)w.pad[1 + i];
    }
}

static tn_status launch(const tn_launch *l, int side)
{
    enum { THREADS = 128 };
    const tn_problem *p = l->problem;
    const tn_conv_last_params *params = p->params;
    tn_dtype dtype = p->out[0].dtype;
    const tn_cuda_function *function;
    char options[160];
    shape s;
    if (tn_tensor_count(&p->out[0]) == 0) return NULL;
    fill(l, &s);
    uint64_t bits = tn_cuda_place(s.x, dtype) | tn_cuda_place(s.bias, dtype) |
                    tn_cuda_place(s.residual, dtype) | tn_cuda_place(s.y, dtype) |
                    (uint64_t)s.channels;
    if (l->packed) bits |= tn_cuda_place(s.w, dtype);
    int v = tn_cuda_product_vector((int)(16 / tn_cuda_bytes(&p->out[0])), bits);
    int strips = (s.out[1] + side - 1) / side;
    s.by_vectors = tn_cuda_divider_of(s.channels / v);
    s.by_strips = tn_cuda_divider_of(strips);
    s.count = (uint32_t)(p->out[0].dim[0] * s.out[0] * strips * (s.channels / v));
    snprintf(options, sizeof options,
             "-DTYPE=%s -DKERNEL0=%d -DKERNEL1=%d -DSIDE=%d -DV=%d -DTAPS_FIRST=%d -DACT=%d",
             tn_cuda_type(dtype), p->in[1].rank == 4 ? (int)p->in[1].dim[1] : 1,
             (int)p->in[1].dim[p->in[1].rank - 2], side, v, l->packed != NULL,
             (int)params->fused.epilogue.kind);
    TN_TRY(tn_cuda_function_get(tn_cuda_stream_of(l)->card, &tn_cuda_source_conv_last_depth,
                                "conv_last_depth", options, 0, &function));
    tn_cuda_grid grid = {
        .grid = {tn_cuda_blocks(s.count, THREADS)}, .block = {THREADS}, .overlap = true};
    return tn_cuda_run(l, function, &grid, (void *[]){&s});
}

static tn_status launch_1(const tn_launch *l)
{
    return launch(l, 1);
}

static tn_status launch_4(const tn_launch *l)
{
    return launch(l, 4);
}

#define ROW(side)                                                                                  \
    {                                                                                              \
        .name = "cuda.channelslastconv.any.depth_" #side, .op = "ChannelsLastConv", .revision = 1, \
        .needs = TN_SM75, .accepts = accepts, .packed_bytes = packed_bytes, .pack = pack,          \
        .unused = unused, .launch = launch_##side,                                                 \
    }

extern const tn_tactic tn_cuda_conv_last_depth[];
const tn_tactic tn_cuda_conv_last_depth[] = {ROW(4), ROW(1), {0}};
