#ifndef TN_OPS_UNARY_H
#define TN_OPS_UNARY_H

#include <stdint.h>

/* One struct for the family: an operator reads the members that are its attributes. */
typedef struct tn_unary_params {
    float alpha, beta, gamma, lambd, bias;
    int32_t pad;
    int64_t approximate;                      /* Gelu: 0 erf, 1 tanh */
    int64_t detect_negative, detect_positive; /* IsInf */
} tn_unary_params;

#endif
