#ifndef TN_OPS_GATHER_ND_H
#define TN_OPS_GATHER_ND_H

#include <stdint.h>

typedef struct tn_gather_nd_params {
    int64_t batch_dims; /* leading dims that data and indices share */
} tn_gather_nd_params;

#endif
