/* What kernels need to know of QuantizedConv (quantized_conv.c). */
#ifndef TN_OPS_QUANTIZED_CONV_H
#define TN_OPS_QUANTIZED_CONV_H

#include "ops/conv/conv.h"

typedef struct tn_quantized_conv_params {
    tn_conv_params conv; /* first: what reads a Conv's params reads these */
    int64_t x_first;     /* x is [N, C, ...] */
} tn_quantized_conv_params;

/* Those of QLinearConv, then what is added. */
enum {
    TN_QCONV_X,
    TN_QCONV_X_SCALE,
    TN_QCONV_X_ZERO,
    TN_QCONV_W,
    TN_QCONV_W_SCALE,
    TN_QCONV_W_ZERO,
    TN_QCONV_Y_SCALE,
    TN_QCONV_Y_ZERO,
    TN_QCONV_BIAS,
    TN_QCONV_MORE,
    TN_QCONV_MORE_SCALE,
    TN_QCONV_MORE_ZERO,
    TN_QCONV_SUM_SCALE,
    TN_QCONV_SUM_ZERO,
    TN_QCONV_INPUTS
};

void tn_quantized_conv_window(const tn_problem *p, tn_window *out);
/* Element `index` of what is given for a whole tensor once, or for each output; 0 if absent. */
double tn_quantized_conv_at(const tn_problem *p, int input, int64_t index);

#endif
