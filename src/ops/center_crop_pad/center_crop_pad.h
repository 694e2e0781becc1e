#ifndef TN_OPS_CENTER_CROP_PAD_H
#define TN_OPS_CENTER_CROP_PAD_H

#include "device/device.h"

typedef struct tn_center_crop_pad_params {
    tn_ints axes; /* absent: all */
} tn_center_crop_pad_params;

#endif
