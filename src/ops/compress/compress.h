#ifndef TN_OPS_COMPRESS_H
#define TN_OPS_COMPRESS_H

#include <stdint.h>

typedef struct tn_compress_params {
    int64_t axis; /* INT64_MIN: the flattened input */
} tn_compress_params;

#endif
