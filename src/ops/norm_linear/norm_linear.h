#ifndef TN_OPS_NORM_LINEAR_H
#define TN_OPS_NORM_LINEAR_H

#include "ops/epilogue.h"

typedef struct tn_norm_linear_params {
    tn_epilogue epilogue;
    float epsilon, pad;
} tn_norm_linear_params;

/* Inputs, by number; shift and bias may be absent. */
enum { TN_NL_X, TN_NL_SCALE, TN_NL_SHIFT, TN_NL_W, TN_NL_BIAS, TN_NL_INS };

/* Numbers of a problem. */
typedef struct tn_norm_linear_shape {
    int64_t rows, width, columns;
} tn_norm_linear_shape;
void tn_norm_linear_shape_of(const tn_problem *p, tn_norm_linear_shape *out);

#endif
