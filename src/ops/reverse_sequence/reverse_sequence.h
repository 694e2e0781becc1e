#ifndef TN_OPS_REVERSE_SEQUENCE_H
#define TN_OPS_REVERSE_SEQUENCE_H

#include <stdint.h>

typedef struct tn_reverse_sequence_params {
    int64_t batch_axis, time_axis;
} tn_reverse_sequence_params;

#endif
