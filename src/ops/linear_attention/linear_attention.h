#ifndef TN_OPS_LINEAR_ATTENTION_H
#define TN_OPS_LINEAR_ATTENTION_H

#include <stdint.h>

enum { TN_LINEAR_LINEAR, TN_LINEAR_GATED, TN_LINEAR_DELTA, TN_LINEAR_GATED_DELTA };

typedef struct tn_linear_attention_params {
    int64_t q_num_heads, kv_num_heads, update_rule;
    int64_t chunk_size; /* a hint that changes nothing here */
    float scale;        /* 0: 1 / sqrt(key size) */
    float pad;
} tn_linear_attention_params;

#endif
