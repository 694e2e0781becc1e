#ifndef TN_OPS_FLATTEN_H
#define TN_OPS_FLATTEN_H

#include <stdint.h>

typedef struct tn_flatten_params {
    int64_t axis; /* in [-rank, rank] */
} tn_flatten_params;

#endif
