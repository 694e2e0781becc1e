/* Output positions of a convolution and what they read: rows of the matrix whose columns are
 * positions and whose rows are taps (of one channel each), gathered a piece at a time and, for
 * gradients, added back. */
#ifndef TN_BACKENDS_CPU_POSITIONS_H
#define TN_BACKENDS_CPU_POSITIONS_H

#include "backends/cpu/kernels/tile.h"
#include "ops/window/window.h"

/* Positions next to each other, cut where a row of the output ends. */
typedef struct segment {
    int64_t at[3]; /* input position of tap 0 for the first of them */
    int64_t count;
} segment;

typedef struct positions {
    int64_t count, segments;
    segment segment[TILE_DEPTH];
} positions;

/* From `first` on, at most `most` <= TILE_DEPTH of them. */
static inline void positions_find(const tn_window *w, int64_t first, int64_t most, positions *out)
{
    int64_t rest = w->out_count - first;
    out->count = TN_MIN(rest, most);
    out->segments = 0;
    for (int64_t j = 0; j < out->count;) {
        segment *s = &out->segment[out->segments++];
        int64_t index = first + j;
        s->count = TN_MIN(out->count - j, w->out[2] - index % w->out[2]);
        for (int i = 2; i >= 0; i--) {
            s->at[i] = index % w->out[i] * w->stride[i] - w->pad[i];
            index /= w->out[i];
        }
        j += s->count;
    }
}

/* Of one tap along a segment: positions [low, high) read the input from the index returned on,
 * those around them its padding. */
static inline int64_t segment_range(const tn_window *w, const segment *s, const int64_t shift[3],
                                    int64_t *low, int64_t *high)
{
    int64_t d = s->at[0] + shift[0], h = s->at[1] + shift[1], first = s->at[2] + shift[2];
    int64_t stride = w->stride[2];
    *low = *high = 0;
    if (d < 0 || d >= w->in[0] || h < 0 || h >= w->in[1] || first >= w->in[2]) return 0;
    if (first < 0) *low = TN_MIN((-first + stride - 1) / stride, s->count);
    *high = s->count;
    if (first + (s->count - 1) * stride >= w->in[2])
        *high = TN_MAX(*low, (w->in[2] - 1 - first) / stride + 1);
    return (d * w->in[1] + h) * w->in[2] + first + *low * stride;
}

static inline void tap_shift(const tn_window *w, int64_t k, int64_t shift[3])
{
    shift[0] = k / w->kernel[2] / w->kernel[1] * w->dilation[0];
    shift[1] = k / w->kernel[2] % w->kernel[1] * w->dilation[1];
    shift[2] = k % w->kernel[2] * w->dilation[2];
}

/* dst[position] = what tap k reads of plane x. */
static inline void positions_gather(const tn_window *w, const positions *p, const float *x,
                                    int64_t k, float *dst)
{
    int64_t shift[3], stride = w->stride[2], low, high;
    tap_shift(w, k, shift);
    for (int64_t i = 0; i < p->segments; i++) {
        const segment *s = &p->segment[i];
        const float *src = x + segment_range(w, s, shift, &low, &high);
        for (int64_t j = 0; j < low; j++) dst[j] = 0;
        if (stride == 1 && high > low) memcpy(dst + low, src, (size_t)(high - low) * sizeof(float));
        else
            for (int64_t j = low; j < high; j++) dst[j] = src[(j - low) * stride];
        for (int64_t j = high; j < s->count; j++) dst[j] = 0;
        dst += s->count;
    }
}

/* The other way: plane x += src[position] where tap k reads. */
static inline void positions_add(const tn_window *w, const positions *p, const float *src,
                                 int64_t k, float *x)
{
    int64_t shift[3], stride = w->stride[2], low, high;
    tap_shift(w, k, shift);
    for (int64_t i = 0; i < p->segments; i++) {
        const segment *s = &p->segment[i];
        float *restrict dst = x + segment_range(w, s, shift, &low, &high);
        if (stride == 1)
            for (int64_t j = low; j < high; j++) dst[j - low] += src[j];
        else
            for (int64_t j = low; j < high; j++) dst[(j - low) * stride] += src[j];
        src += s->count;
    }
}

/* A single tap that meets every position once does not care for the shape of a plane. */
static inline void window_flatten(tn_window *w)
{
    for (int i = 0; i < 3; i++)
        if (w->kernel[i] != 1 || w->stride[i] != 1 || w->in[i] != w->out[i] || w->pad[i]) return;
    w->in[2] = w->out[2] = w->in_count;
    w->in[0] = w->in[1] = w->out[0] = w->out[1] = 1;
}

#endif
