#ifndef TN_OPS_RESHAPE_H
#define TN_OPS_RESHAPE_H

#include <stdint.h>

typedef struct tn_reshape_params {
    int64_t allowzero; /* a 0 in the shape means 0, not "as the input" */
} tn_reshape_params;

#endif
