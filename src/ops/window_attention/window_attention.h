#ifndef TN_OPS_WINDOW_ATTENTION_H
#define TN_OPS_WINDOW_ATTENTION_H

#include "device/device.h"

typedef struct tn_window_attention_params {
    int64_t heads;
    float scale; /* 0: 1 / sqrt(head size) */
    float mask;  /* added where two tokens of a window come from different regions */
    tn_ints window, shift;
} tn_window_attention_params;

/* Inputs, by number. */
enum { TN_WATT_QKV, TN_WATT_BIAS };

/* Numbers of a problem. Element d of head h of token t, counted over all images: q at
 * t * 3 * width + h * head + d, k and v `width` and 2 * `width` further on; y at t * width + h *
 * head + d. */
typedef struct tn_window_attention_shape {
    int64_t batch, heads, head, width;              /* width = heads * head */
    int64_t size[2], window[2], shift[2], count[2]; /* of rows and columns; count of windows */
    int64_t rows, windows;                          /* tokens in a window; windows in an image */
    double scale, mask;                             /* mask 0: no regions */
} tn_window_attention_shape;
void tn_window_attention_shape_of(const tn_problem *p, tn_window_attention_shape *out);

/* Of token `row` of a window: where it lies in its image, and the region it comes from. */
static inline int64_t tn_window_token(const tn_window_attention_shape *s, int64_t window,
                                      int64_t row)
{
    int64_t y = window / s->count[1] * s->window[0] + row / s->window[1] + s->shift[0];
    int64_t x = window % s->count[1] * s->window[1] + row % s->window[1] + s->shift[1];
    return (y < s->size[0] ? y : y - s->size[0]) * s->size[1] +
           (x < s->size[1] ? x : x - s->size[1]);
}
static inline int tn_window_region(const tn_window_attention_shape *s, int64_t window, int64_t row)
{
    int64_t y = window / s->count[1] * s->window[0] + row / s->window[1];
    int64_t x = window % s->count[1] * s->window[1] + row % s->window[1];
    return 2 * (y >= s->size[0] - s->shift[0]) + (x >= s->size[1] - s->shift[1]);
}

#endif
