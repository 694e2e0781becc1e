#ifndef TN_OPS_SOFTMAX_H
#define TN_OPS_SOFTMAX_H

#include <stdint.h>

typedef struct tn_softmax_params {
    int64_t axis; /* may be negative */
} tn_softmax_params;

#endif
