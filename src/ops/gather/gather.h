#ifndef TN_OPS_GATHER_H
#define TN_OPS_GATHER_H

#include <stdint.h>

typedef struct tn_gather_params {
    int64_t axis; /* may be negative */
} tn_gather_params;

#endif
