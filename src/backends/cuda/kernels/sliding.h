/* What kernels for windows that slide over an image are told of them (sliding.cuh). */
#ifndef TN_BACKENDS_CUDA_KERNELS_SLIDING_H
#define TN_BACKENDS_CUDA_KERNELS_SLIDING_H

#include "backends/cuda/index.h"
#include "ops/window/window.h"

typedef struct tn_cuda_sliding { /* as the kernels take it */
    int32_t in[3], kernel[3], stride[3], dilation[3], pad[3], pad_end[3];
    tn_cuda_divider out[3];
} tn_cuda_sliding;

static inline tn_cuda_sliding tn_cuda_sliding_of(const tn_window *w)
{
    tn_cuda_sliding out;
    for (int i = 0; i < 3; i++) {
        out.in[i] = (int32_t)w->in[i];
        out.kernel[i] = (int32_t)w->kernel[i];
        out.stride[i] = (int32_t)w->stride[i];
        out.dilation[i] = (int32_t)w->dilation[i];
        out.pad[i] = (int32_t)w->pad[i];
        out.pad_end[i] = (int32_t)w->pad_end[i];
        out.out[i] = tn_cuda_divider_of(w->out[i]);
    }
    return out;
}

/* Places in and beside the image fit 31 bits, whichever way the window goes. */
static inline tn_verdict tn_cuda_sliding_fits(const tn_window *w)
{
    const int64_t most = 1 << 28;
    for (int i = 0; i < 3; i++) {
        int64_t single = TN_MAX(TN_MAX(w->kernel[i], w->dilation[i]), w->stride[i]);
        if (single > most || w->kernel[i] * w->dilation[i] > most ||
            w->out[i] * w->stride[i] > most || w->pad[i] > most || w->pad_end[i] > most ||
            w->pad[i] < -most || w->pad_end[i] < -most)
            return TN_NO("the window reaches too far");
    }
    return TN_YES;
}

#endif
