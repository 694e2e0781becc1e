#ifndef TN_OPS_DEPTH_TO_SPACE_H
#define TN_OPS_DEPTH_TO_SPACE_H

#include <stdint.h>

enum { TN_DEPTH_DCR, TN_DEPTH_CRD };

/* Of DepthToSpace and of SpaceToDepth. */
typedef struct tn_depth_to_space_params {
    int64_t blocksize;
    int64_t mode;
} tn_depth_to_space_params;

#endif
