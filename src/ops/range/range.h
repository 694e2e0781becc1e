#ifndef TN_OPS_RANGE_H
#define TN_OPS_RANGE_H

#include <stdint.h>

typedef struct tn_range_params {
    int64_t stash_type; /* ONNX's hint on accumulation; sums are made in double here */
} tn_range_params;

#endif
