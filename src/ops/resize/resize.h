#ifndef TN_OPS_RESIZE_H
#define TN_OPS_RESIZE_H

#include "device/device.h"

enum { TN_RESIZE_NEAREST, TN_RESIZE_LINEAR, TN_RESIZE_CUBIC };
enum { TN_RESIZE_STRETCH, TN_RESIZE_NOT_LARGER, TN_RESIZE_NOT_SMALLER };
enum {
    TN_RESIZE_HALF_PIXEL,
    TN_RESIZE_HALF_PIXEL_SYMMETRIC,
    TN_RESIZE_PYTORCH_HALF_PIXEL,
    TN_RESIZE_ALIGN_CORNERS,
    TN_RESIZE_ASYMMETRIC,
    TN_RESIZE_TF_HALF_PIXEL_FOR_NN,
    TN_RESIZE_TF_CROP_AND_RESIZE,
};
/* SIMPLE is the rule of Resize-10: ceil where it shrinks, else floor. */
enum {
    TN_RESIZE_ROUND_PREFER_FLOOR,
    TN_RESIZE_ROUND_PREFER_CEIL,
    TN_RESIZE_FLOOR,
    TN_RESIZE_CEIL,
    TN_RESIZE_SIMPLE,
};

typedef struct tn_resize_params {
    int64_t mode, coordinate_transformation_mode, nearest_mode, keep_aspect_ratio_policy;
    int64_t antialias, exclude_outside;
    float cubic_coeff_a, extrapolation_value;
    tn_ints axes; /* that scales, sizes and roi speak of; absent: all */
} tn_resize_params;

#endif
