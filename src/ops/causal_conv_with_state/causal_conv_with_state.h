#ifndef TN_OPS_CAUSAL_CONV_WITH_STATE_H
#define TN_OPS_CAUSAL_CONV_WITH_STATE_H

#include <stdint.h>

enum { TN_CAUSAL_CONV_NONE, TN_CAUSAL_CONV_SILU, TN_CAUSAL_CONV_SWISH };

typedef struct tn_causal_conv_params {
    int64_t activation; /* silu and swish are the same: x / (1 + e^-x) */
} tn_causal_conv_params;

#endif
