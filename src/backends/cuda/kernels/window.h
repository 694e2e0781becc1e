/* What kernels for windows of an image are told of them (window.cuh). */
#ifndef TN_BACKENDS_CUDA_KERNELS_WINDOW_H
#define TN_BACKENDS_CUDA_KERNELS_WINDOW_H

#include "ops/window_attention/window_attention.h"

typedef struct tn_cuda_tiling { /* as the kernels take it */
    int32_t each, count, height, breadth, across, down, right;
    float scale, mask;
} tn_cuda_tiling;

static inline tn_cuda_tiling tn_cuda_tiling_of(const tn_window_attention_shape *s)
{
    return (tn_cuda_tiling){
        .each = (int32_t)s->windows,
        .count = (int32_t)(s->batch * s->windows),
        .height = (int32_t)s->size[0],
        .breadth = (int32_t)s->size[1],
        .across = (int32_t)s->count[1],
        .down = (int32_t)s->shift[0],
        .right = (int32_t)s->shift[1],
        .scale = (float)s->scale,
        .mask = (float)s->mask,
    };
}

#endif
