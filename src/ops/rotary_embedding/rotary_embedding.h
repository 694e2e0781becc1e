#ifndef TN_OPS_ROTARY_EMBEDDING_H
#define TN_OPS_ROTARY_EMBEDDING_H

#include <stdint.h>

typedef struct tn_rotary_embedding_params {
    int64_t interleaved;
    int64_t num_heads;            /* of 3-D inputs */
    int64_t rotary_embedding_dim; /* 0: the whole head */
} tn_rotary_embedding_params;

#endif
