/* cuBLASLt, opened where it is there: declared by its ABI, like the driver's calls (driver.h).
 * Matrices are column-major to it; who multiplies row-major ones asks for the transposed product.
 */
#ifndef TN_BACKENDS_CUDA_LT_H
#define TN_BACKENDS_CUDA_LT_H

#include "backends/cuda/cuda.h"

typedef int tn_lt_result;
typedef struct tn_lt_context *tn_lt_handle;
typedef struct tn_lt_desc_s *tn_lt_desc;
typedef struct tn_lt_layout_s *tn_lt_layout;
typedef struct tn_lt_preference_s *tn_lt_preference;

typedef struct tn_lt_algorithm {
    uint64_t data[8];
} tn_lt_algorithm;
typedef struct tn_lt_found {
    tn_lt_algorithm algorithm;
    size_t workspace_bytes;
    tn_lt_result state;
    float waves;
    int reserved[4];
} tn_lt_found;

enum {
    TN_LT_F32 = 0, /* types of elements and of alpha and beta */
    TN_LT_F64 = 1,
    TN_LT_F16 = 2,
    TN_LT_BF16 = 14,
    TN_LT_COMPUTE_32F = 68, /* of f32: plain multiply-adds, no tf32 */
    TN_LT_COMPUTE_64F = 70,
    TN_LT_COMPUTE_TF32 = 77,
    TN_LT_TRANSPOSE = 1,
    TN_LT_DESC_TRANSPOSE_A = 3, /* int32 */
    TN_LT_DESC_TRANSPOSE_B = 4, /* int32 */
    TN_LT_DESC_EPILOGUE = 7,    /* uint32 */
    TN_LT_DESC_BIAS = 8,        /* pointer */
    TN_LT_EPILOGUE_NONE = 1,    /* values of EPILOGUE: NONE or a sum of the others */
    TN_LT_EPILOGUE_RELU = 2,
    TN_LT_EPILOGUE_BIAS = 4,     /* along the rows of a column-major result */
    TN_LT_EPILOGUE_GELU = 32,    /* the one with tanh, whatever the types */
    TN_LT_LAYOUT_BATCH = 5,      /* int32 */
    TN_LT_LAYOUT_STEP = 6,       /* int64, elements */
    TN_LT_PREFER_WORKSPACE = 1,  /* uint64: at most so many bytes */
    TN_LT_PREFER_REDUCTIONS = 3, /* uint32: mask of ways to add parts of a sum */
    TN_LT_PREFER_ALIGN_A = 5,    /* uint32, bytes; B, C, D follow */
    TN_LT_REDUCE_WIDE = 2,       /* in the type of the sums, one after the other */
};

#define TN_LT_CALLS(X)                                                                             \
    X(create, "cublasLtCreate", (tn_lt_handle * handle))                                           \
    X(destroy, "cublasLtDestroy", (tn_lt_handle handle))                                           \
    X(desc_new, "cublasLtMatmulDescCreate", (tn_lt_desc * desc, int compute, int scale))           \
    X(desc_free, "cublasLtMatmulDescDestroy", (tn_lt_desc desc))                                   \
    X(desc_set, "cublasLtMatmulDescSetAttribute",                                                  \
      (tn_lt_desc desc, int which, const void *value, size_t bytes))                               \
    X(layout_new, "cublasLtMatrixLayoutCreate",                                                    \
      (tn_lt_layout * layout, int type, uint64_t rows, uint64_t columns, int64_t step))            \
    X(layout_free, "cublasLtMatrixLayoutDestroy", (tn_lt_layout layout))                           \
    X(layout_set, "cublasLtMatrixLayoutSetAttribute",                                              \
      (tn_lt_layout layout, int which, const void *value, size_t bytes))                           \
    X(preference_new, "cublasLtMatmulPreferenceCreate", (tn_lt_preference * preference))           \
    X(preference_free, "cublasLtMatmulPreferenceDestroy", (tn_lt_preference preference))           \
    X(preference_set, "cublasLtMatmulPreferenceSetAttribute",                                      \
      (tn_lt_preference preference, int which, const void *value, size_t bytes))                   \
    X(find, "cublasLtMatmulAlgoGetHeuristic",                                                      \
      (tn_lt_handle handle, tn_lt_desc desc, tn_lt_layout a, tn_lt_layout b, tn_lt_layout c,       \
       tn_lt_layout d, tn_lt_preference preference, int asked, tn_lt_found *found, int *count))    \
    X(matmul, "cublasLtMatmul",                                                                    \
      (tn_lt_handle handle, tn_lt_desc desc, const void *alpha, const void *a,                     \
       tn_lt_layout a_layout, const void *b, tn_lt_layout b_layout, const void *beta,              \
       const void *c, tn_lt_layout c_layout, void *d, tn_lt_layout d_layout,                       \
       const tn_lt_algorithm *algorithm, void *workspace, size_t workspace_bytes,                  \
       tn_cu_stream stream))

#define TN_MEMBER(member, symbol, parameters) tn_lt_result(*member) parameters;
typedef struct tn_lt {
    TN_LT_CALLS(TN_MEMBER)
} tn_lt;
#undef TN_MEMBER

/* Opened once for the process; NULL where it is missing or too old, and *why then says so. */
const tn_lt *tn_lt_open(const char **why);
size_t tn_lt_version(void); /* 0: missing, or it does not say */

/* One product of row-major matrices, a batch of them: y = epilogue(alpha * a b + beta * c + bias).
 */
typedef struct tn_lt_problem {
    int32_t type, epilogue;
    int32_t a_deep, b_deep; /* k runs along memory: a is [m, k] or [k, m], b [n, k] or [k, n] */
    int64_t m, n, k, lda, ldb, ldc, ldy;
    int64_t count, a_step, b_step, c_step, y_step;
    /* Bytes that divide the addresses of b, a, c, y and the bias: powers of 2, at most 256. */
    int32_t aligned[5];
    int32_t tf32; /* f32 is multiplied as tf32 */
    uint64_t workspace_bytes;
} tn_lt_problem;

typedef struct tn_lt_operands {
    const void *a, *b, *bias, *c; /* c NULL: none, beta counts as 0 */
    void *y, *workspace;
    float alpha, beta;
} tn_lt_operands;

enum { TN_LT_CHOICES = 8 }; /* it recommends no more */
/* By the `choice`-th of the algorithms that the library recommends (the last, if there are fewer).
 * *known is false, and nothing is done, where it has none. What was asked once is remembered with
 * the stream. */
tn_status tn_lt_run(tn_cuda_stream *stream, const tn_lt_problem *problem,
                    const tn_lt_operands *operands, int choice, bool *known) TN_MUST_USE;

#endif
