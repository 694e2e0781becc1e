#ifndef TN_OPS_LINEAR_H
#define TN_OPS_LINEAR_H

#include "ops/epilogue.h"

/* Inputs: X, W, bias or none, residual or none. */
typedef struct tn_linear_params {
    tn_epilogue epilogue;
} tn_linear_params;

#endif
