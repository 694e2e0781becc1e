#ifndef TN_OPS_CAST_H
#define TN_OPS_CAST_H

#include <stdint.h>

/* Of Cast and CastLike (which has no `to`: it is 0). */
typedef struct tn_cast_params {
    int64_t to;
    int64_t saturate;   /* float8: clamp what is too large */
    int64_t round_mode; /* f8e8m0: a tn_round */
} tn_cast_params;

#endif
