#ifndef TN_OPS_MEAN_VARIANCE_NORMALIZATION_H
#define TN_OPS_MEAN_VARIANCE_NORMALIZATION_H

#include "device/device.h"

typedef struct tn_mean_variance_normalization_params {
    tn_ints axes; /* absent: 0, 2, 3 */
} tn_mean_variance_normalization_params;

#endif
