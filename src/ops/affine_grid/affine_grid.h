#ifndef TN_OPS_AFFINE_GRID_H
#define TN_OPS_AFFINE_GRID_H

#include <stdint.h>

typedef struct tn_affine_grid_params {
    int64_t align_corners;
} tn_affine_grid_params;

#endif
