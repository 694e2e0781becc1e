#ifndef TN_OPS_UNIQUE_H
#define TN_OPS_UNIQUE_H

#include <stdint.h>

typedef struct tn_unique_params {
    int64_t axis;   /* INT64_MIN: the flattened input */
    int64_t sorted; /* 0: in order of first appearance */
} tn_unique_params;

#endif
