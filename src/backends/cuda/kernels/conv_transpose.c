/* ConvTranspose. */
#include <stdio.h>

#include "backends/cuda/index.h"
#include "backends/cuda/kernels/product.h"
#include "ops/conv/conv.h"

extern const tn_cuda_source tn_cuda_source_conv_transpose;

typedef struct transposed { /* as the kernel takes it */
    const void *x, *w, *bias;
    void *y;
    uint32_t count, channels, each, per_group;
    tn_cuda_divider outputs, group, out[3];
    int32_t in[3], kernel[3], stride[3], dilation[3], pad[3];
} transposed;

static tn_verdict accepts(const tn_problem *p)
{
    enum { EXTENT_MAX = 1 << 28 };
    tn_window w;
    if (!tn_cuda_sum_type(p->in[0].dtype)) return TN_NO("kernels do not know the type");
    if (!tn_cuda_fits(p)) return TN_CUDA_TOO_LARGE;
    tn_conv_transpose_window(p, &w);
    for (int i = 0; i < 3; i++)
        if (w.in[i] > EXTENT_MAX || w.kernel[i] * w.dilation[i] > EXTENT_MAX ||
            w.out[i] * w.stride[i] > EXTENT_MAX || w.pad[i] > EXTENT_MAX || w.pad[i] < -EXTENT_MAX)
            return TN_NO("the window reaches too far");
    return TN_YES;
}

/* The window is that of the other direction: it goes over y, from elements of x. */
static tn_status launch(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_conv_transpose_params *params = p->params;
    const tn_tensor *x = &p->in[0], *y = &p->out[0];
    int64_t count = tn_tensor_count(y), per_group = p->in[1].dim[1];
    char options[80];
    const tn_cuda_function *function;
    tn_window w;
    if (count == 0) return NULL;
    tn_conv_transpose_window(p, &w);
    transposed args = {.x = x->data,
                       .w = p->in[1].data,
                       .bias = tn_cuda_has(p, 2) ? p->in[2].data : NULL,
                       .y = y->data,
                       .count = (uint32_t)count,
                       .channels = (uint32_t)x->dim[1],
                       .each = (uint32_t)(x->dim[1] / params->group),
                       .per_group = (uint32_t)per_group,
                       .outputs = tn_cuda_divider_of(y->dim[1]),
                       .group = tn_cuda_divider_of(per_group)};
    for (int i = 0; i < 3; i++) {
        args.out[i] = tn_cuda_divider_of(w.in[i]);
        args.in[i] = (int32_t)w.out[i];
        args.kernel[i] = (int32_t)w.kernel[i];
        args.stride[i] = (int32_t)w.stride[i];
        args.dilation[i] = (int32_t)w.dilation[i];
        args.pad[i] = (int32_t)w.pad[i];
    }
    snprintf(options, sizeof options, "-DTYPE=%s -DSUM=%s", tn_cuda_type(x->dtype),
             tn_cuda_sum_type(x->dtype));
    TN_TRY(tn_cuda_function_get(tn_cuda_stream_of(l)->card, &tn_cuda_source_conv_transpose,
                                "conv_transpose", options, 0, &function));
    tn_cuda_grid grid = {.grid = {tn_cuda_blocks(count, 256)}, .block = {256}, .overlap = true};
    return tn_cuda_run(l, function, &grid, (void *[]){&args});
}

extern const tn_tactic tn_cuda_conv_transpose[];
const tn_tactic tn_cuda_conv_transpose[] = {
    {
        .name = "cuda.convtranspose.float.element",
        .op = "ConvTranspose",
        .revision = 1,
        .needs = TN_SM75,
        .accepts = accepts,
        .launch = launch,
    },
    {0},
};
