#ifndef TN_OPS_DROPOUT_H
#define TN_OPS_DROPOUT_H

#include <stdint.h>

typedef struct tn_dropout_params {
    int64_t seed; /* of training only */
} tn_dropout_params;

#endif
