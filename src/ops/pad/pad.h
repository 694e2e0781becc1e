#ifndef TN_OPS_PAD_H
#define TN_OPS_PAD_H

#include <stdint.h>

enum { TN_PAD_CONSTANT, TN_PAD_REFLECT, TN_PAD_EDGE, TN_PAD_WRAP };

typedef struct tn_pad_params {
    int64_t mode;
} tn_pad_params;

#endif
