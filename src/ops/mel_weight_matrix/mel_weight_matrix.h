#ifndef TN_OPS_MEL_WEIGHT_MATRIX_H
#define TN_OPS_MEL_WEIGHT_MATRIX_H

#include <stdint.h>

typedef struct tn_mel_params {
    int64_t output_datatype;
} tn_mel_params;

#endif
