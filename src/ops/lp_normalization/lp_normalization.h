#ifndef TN_OPS_LP_NORMALIZATION_H
#define TN_OPS_LP_NORMALIZATION_H

#include <stdint.h>

typedef struct tn_lp_normalization_params {
    int64_t axis;
    int64_t p; /* 1 or 2 */
} tn_lp_normalization_params;

#endif
