#ifndef TN_OPS_CONSTANT_OF_SHAPE_H
#define TN_OPS_CONSTANT_OF_SHAPE_H

#include "device/device.h"

typedef struct tn_constant_of_shape_params {
    tn_scalar value; /* absent: 0.0f */
} tn_constant_of_shape_params;

#endif
