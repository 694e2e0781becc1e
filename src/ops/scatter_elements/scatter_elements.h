#ifndef TN_OPS_SCATTER_ELEMENTS_H
#define TN_OPS_SCATTER_ELEMENTS_H

#include <stdint.h>

typedef struct tn_scatter_elements_params {
    int64_t axis;      /* may be negative */
    int64_t reduction; /* TN_SCATTER_* of ops/scattering.h */
} tn_scatter_elements_params;

#endif
