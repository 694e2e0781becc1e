#ifndef TN_OPS_ROI_H
#define TN_OPS_ROI_H

#include "device/device.h"

enum { TN_ROI_AVG, TN_ROI_MAX };
enum { TN_ROI_HALF_PIXEL, TN_ROI_OUTPUT_HALF_PIXEL };

typedef struct tn_roi_align_params {
    int64_t coordinate_transformation_mode, mode, output_height, output_width;
    int64_t sampling_ratio; /* 0: as many as the region has elements */
    float spatial_scale, pad;
} tn_roi_align_params;

typedef struct tn_max_roi_pool_params {
    tn_ints pooled_shape;
    float spatial_scale, pad;
} tn_max_roi_pool_params;

#endif
