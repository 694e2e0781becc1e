#ifndef TN_OPS_SHAPE_H
#define TN_OPS_SHAPE_H

#include <stdint.h>

typedef struct tn_shape_params {
    int64_t start, end; /* of the dims to give; negative from the end, clamped */
} tn_shape_params;

#endif
