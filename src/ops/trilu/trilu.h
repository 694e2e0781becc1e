#ifndef TN_OPS_TRILU_H
#define TN_OPS_TRILU_H

#include <stdint.h>

typedef struct tn_trilu_params {
    int64_t upper; /* 1 keeps the upper triangle, 0 the lower; both with the k-th diagonal */
} tn_trilu_params;

#endif
