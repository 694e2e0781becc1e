#ifndef TN_OPS_CONCAT_H
#define TN_OPS_CONCAT_H

#include <stdint.h>

typedef struct tn_concat_params {
    int64_t axis; /* may be negative */
} tn_concat_params;

#endif
