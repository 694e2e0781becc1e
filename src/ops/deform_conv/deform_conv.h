#ifndef TN_OPS_DEFORM_CONV_H
#define TN_OPS_DEFORM_CONV_H

#include "ops/window/window.h"

typedef struct tn_deform_conv_params {
    tn_window_params window;
    int64_t group, offset_group;
} tn_deform_conv_params;

#endif
