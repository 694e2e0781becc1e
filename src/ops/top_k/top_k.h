#ifndef TN_OPS_TOP_K_H
#define TN_OPS_TOP_K_H

#include <stdint.h>

typedef struct tn_top_k_params {
    int64_t axis;    /* may be negative */
    int64_t largest; /* 0: the least */
    int64_t sorted;  /* the reference sorts in any case */
} tn_top_k_params;

#endif
