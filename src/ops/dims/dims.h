#ifndef TN_OPS_DIMS_H
#define TN_OPS_DIMS_H

#include <stdint.h>

typedef struct tn_dims_params {
    int64_t scalar; /* 1: one value of rank 0 */
} tn_dims_params;

#endif
