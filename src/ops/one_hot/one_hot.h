#ifndef TN_OPS_ONE_HOT_H
#define TN_OPS_ONE_HOT_H

#include <stdint.h>

typedef struct tn_one_hot_params {
    int64_t axis; /* where the new axis stands in the output */
} tn_one_hot_params;

#endif
