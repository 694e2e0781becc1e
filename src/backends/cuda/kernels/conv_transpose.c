/* ConvTranspose. */
#include <stdio.h>
#include <string.h>

#include "backends/cuda/kernels/product.h"
#include "backends/cuda/kernels/sliding.h"
#include "ops/conv/conv.h"

extern const tn_cuda_source tn_cuda_source_conv_transpose;

typedef struct transposed { /* as the kernel takes it */
    const void *x, *w, *bias;
    void *y;
    uint32_t count, channels, each, per_group;
    tn_cuda_divider outputs, group;
    tn_cuda_sliding slide;
} transposed;

static tn_verdict accepts(const tn_problem *p)
{
    tn_window w;
    if (!tn_cuda_sum_type(p->in[0].dtype)) return TN_NO("kernels do not know the type");
    if (!tn_cuda_fits(p)) return TN_CUDA_TOO_LARGE;
    tn_conv_transpose_window(p, &w);
    return tn_cuda_sliding_fits(&w);
}

/* The window is that of the other direction: it goes over y, from elements of x. The kernel is told
 * of it as of one from x to y. */
static tn_status launch(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_conv_transpose_params *params = p->params;
    const tn_tensor *x = &p->in[0], *y = &p->out[0];
    int64_t count = tn_tensor_count(y), per_group = p->in[1].dim[1];
    char options[80];
    tn_window w;
    if (count == 0) return NULL;
    tn_conv_transpose_window(p, &w);
    tn_window turned = w;
    memcpy(turned.in, w.out, sizeof w.out);
    memcpy(turned.out, w.in, sizeof w.in);
    transposed args = {.x = x->data,
                       .w = p->in[1].data,
                       .bias = tn_cuda_has(p, 2) ? p->in[2].data : NULL,
                       .y = y->data,
                       .count = (uint32_t)count,
                       .channels = (uint32_t)x->dim[1],
                       .each = (uint32_t)(x->dim[1] / params->group),
                       .per_group = (uint32_t)per_group,
                       .outputs = tn_cuda_divider_of(y->dim[1]),
                       .group = tn_cuda_divider_of(per_group),
                       .slide = tn_cuda_sliding_of(&turned)};
    snprintf(options, sizeof options, "-DTYPE=%s -DSUM=%s", tn_cuda_type(x->dtype),
             tn_cuda_sum_type(x->dtype));
    return tn_cuda_run_plain(l, &tn_cuda_source_conv_transpose, "conv_transpose", options,
                             tn_cuda_blocks(count, 256), 256, (void *[]){&args});
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
