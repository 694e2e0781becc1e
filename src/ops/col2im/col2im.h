#ifndef TN_OPS_COL2IM_H
#define TN_OPS_COL2IM_H

#include "device/device.h"

typedef struct tn_col2im_params {
    tn_ints dilations, pads, strides; /* absent: 1, 0, 1 */
} tn_col2im_params;

#endif
