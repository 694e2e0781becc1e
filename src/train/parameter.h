/* The parameters of a network that is being trained, and the values they begin with. */
#ifndef TN_TRAIN_PARAMETER_H
#define TN_TRAIN_PARAMETER_H

#include "train/torch_random.h"

/* f32, dense; `name` as in PyTorch's state dict. */
typedef struct tn_parameter {
    const char *name;
    int32_t rank;
    int64_t dim[TN_RANK_MAX];
    int64_t count;
    int64_t offset; /* of its values in blocks that hold a value for each element of all */
} tn_parameter;

/* What PyTorch's modules do when they are made, one after the other in the order of the list: LSTM,
 * GRU and RNN draw all from +-1/sqrt(hidden); Linear and Conv weights (kaiming_uniform with a =
 * sqrt(5)) and biases from +-1/sqrt(fan_in). */
tn_status tn_parameters_begin(const tn_parameter *parameter, int32_t count, tn_torch_random *random,
                              float *values) TN_MUST_USE;

#endif
