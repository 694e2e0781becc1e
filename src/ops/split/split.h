#ifndef TN_OPS_SPLIT_H
#define TN_OPS_SPLIT_H

#include <stdint.h>

typedef struct tn_split_params {
    int64_t axis;        /* may be negative */
    int64_t num_outputs; /* 0: as many as the node has */
} tn_split_params;

#endif
