#ifndef TN_OPS_TENSOR_SCATTER_H
#define TN_OPS_TENSOR_SCATTER_H

#include <stdint.h>

enum { TN_TENSOR_SCATTER_LINEAR, TN_TENSOR_SCATTER_CIRCULAR };

typedef struct tn_tensor_scatter_params {
    int64_t axis; /* of the sequence; may be negative */
    int64_t mode;
} tn_tensor_scatter_params;

#endif
