#ifndef TN_OPS_ARG_MAX_H
#define TN_OPS_ARG_MAX_H

#include <stdint.h>

/* Of ArgMax and ArgMin. */
typedef struct tn_arg_max_params {
    int64_t axis;
    int64_t keepdims;
    int64_t select_last_index; /* of equal values the last instead of the first */
} tn_arg_max_params;

#endif
