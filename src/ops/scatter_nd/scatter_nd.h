#ifndef TN_OPS_SCATTER_ND_H
#define TN_OPS_SCATTER_ND_H

#include <stdint.h>

typedef struct tn_scatter_nd_params {
    int64_t reduction; /* TN_SCATTER_* of ops/scattering.h */
} tn_scatter_nd_params;

#endif
