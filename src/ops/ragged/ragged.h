/* Sentences of different lengths without padding: the tokens of a batch one after the other.
 *
 * RealTokens says which tokens of a padded batch count; RaggedAttention lets each sentence attend
 * to itself among tokens put side by side so. */
#ifndef TN_OPS_RAGGED_H
#define TN_OPS_RAGGED_H

#include "device/device.h"

/* A key whose mask is below this never counts beside one whose mask is 0: scores would have to
 * differ by 896 for e^(score - largest) to be a number other than 0 in float32. */
#define TN_RAGGED_MASKED (-1000.0)

typedef struct tn_ragged_attention_params {
    int64_t heads;
    float scale; /* 0: 1 / sqrt(head size) */
    int32_t pad;
} tn_ragged_attention_params;

enum { TN_RAGGED_QKV, TN_RAGGED_START, TN_RAGGED_MASK };

#endif
