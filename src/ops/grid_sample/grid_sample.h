#ifndef TN_OPS_GRID_SAMPLE_H
#define TN_OPS_GRID_SAMPLE_H

#include <stdint.h>

enum { TN_GRID_LINEAR, TN_GRID_NEAREST, TN_GRID_CUBIC };
enum { TN_GRID_ZEROS, TN_GRID_BORDER, TN_GRID_REFLECTION };

typedef struct tn_grid_sample_params {
    int64_t mode, padding_mode, align_corners;
} tn_grid_sample_params;

#endif
