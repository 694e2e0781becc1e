#ifndef TN_OPS_CUMULATIVE_H
#define TN_OPS_CUMULATIVE_H

#include <stdint.h>

/* Of CumSum and CumProd. */
typedef struct tn_cumulative_params {
    int64_t exclusive; /* element k does not count itself */
    int64_t reverse;   /* from the end */
} tn_cumulative_params;

#endif
