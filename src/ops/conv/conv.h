#ifndef TN_OPS_CONV_H
#define TN_OPS_CONV_H

#include "ops/window/window.h"

typedef struct tn_conv_params {
    tn_window_params window;
    int64_t group;
} tn_conv_params;

typedef struct tn_conv_transpose_params {
    tn_window_params window;
    int64_t group;
    tn_ints output_padding, output_shape;
} tn_conv_transpose_params;

/* The window of a Conv problem. */
void tn_conv_window(const tn_problem *p, tn_window *out);

#endif
