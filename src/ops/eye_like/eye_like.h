#ifndef TN_OPS_EYE_LIKE_H
#define TN_OPS_EYE_LIKE_H

#include <stdint.h>

typedef struct tn_eye_like_params {
    int64_t dtype; /* 0: as the input */
    int64_t k;     /* the diagonal: > 0 above the main one */
} tn_eye_like_params;

#endif
