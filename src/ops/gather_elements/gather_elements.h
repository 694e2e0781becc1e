#ifndef TN_OPS_GATHER_ELEMENTS_H
#define TN_OPS_GATHER_ELEMENTS_H

#include <stdint.h>

typedef struct tn_gather_elements_params {
    int64_t axis; /* may be negative */
} tn_gather_elements_params;

#endif
