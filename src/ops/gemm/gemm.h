#ifndef TN_OPS_GEMM_H
#define TN_OPS_GEMM_H

#include <stdint.h>

typedef struct tn_gemm_params {
    int64_t transA, transB; /* 0 or not */
    float alpha, beta;
} tn_gemm_params;

#endif
