#ifndef TN_OPS_REDUCE_H
#define TN_OPS_REDUCE_H

#include <stdint.h>

typedef struct tn_reduce_params {
    int64_t keepdims;
    int64_t noop_with_empty_axes; /* no axes: 0 reduces all of them, 1 none */
} tn_reduce_params;

#endif
