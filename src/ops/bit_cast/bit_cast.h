#ifndef TN_OPS_BIT_CAST_H
#define TN_OPS_BIT_CAST_H

#include <stdint.h>

typedef struct tn_bit_cast_params {
    int64_t to;
} tn_bit_cast_params;

#endif
