#ifndef TN_OPS_LINEAR_NORM_LINEAR_H
#define TN_OPS_LINEAR_NORM_LINEAR_H

#include "ops/epilogue.h"

typedef struct tn_linear_norm_linear_params {
    tn_epilogue epilogue;
    float epsilon, pad;
} tn_linear_norm_linear_params;

/* Inputs, by number; biases, the residual and shift may be absent. */
enum {
    TN_LNL_X,
    TN_LNL_W1,
    TN_LNL_BIAS1,
    TN_LNL_RESIDUAL,
    TN_LNL_SCALE,
    TN_LNL_SHIFT,
    TN_LNL_W2,
    TN_LNL_BIAS2,
    TN_LNL_INS
};
enum { TN_LNL_Y, TN_LNL_N, TN_LNL_H };

/* Numbers of a problem: X is [rows, depth], H [rows, width], Y [rows, columns]. */
typedef struct tn_linear_norm_linear_shape {
    int64_t rows, depth, width, columns;
} tn_linear_norm_linear_shape;
void tn_linear_norm_linear_shape_of(const tn_problem *p, tn_linear_norm_linear_shape *out);

#endif
