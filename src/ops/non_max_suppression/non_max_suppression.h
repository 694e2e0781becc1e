#ifndef TN_OPS_NON_MAX_SUPPRESSION_H
#define TN_OPS_NON_MAX_SUPPRESSION_H

#include <stdint.h>

typedef struct tn_nms_params {
    int64_t center_point_box; /* 0: [y1, x1, y2, x2], any two opposite corners; 1: [x, y, width,
                                 height] */
} tn_nms_params;

#endif
