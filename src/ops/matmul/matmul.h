/* MatMul has no attributes; what its kernels share is the reading of NumPy's shape rules. */
#ifndef TN_OPS_MATMUL_H
#define TN_OPS_MATMUL_H

#include "device/device.h"

/* y[batch,m,n] = a[.,m,k] * b[.,k,n]: 1-D operands became a row or a column, and when b has no
 * batch of its own the batch of a is folded into m. */
typedef struct tn_matmul_plan {
    int64_t m, n, k, batch;
    int32_t rank; /* of the batch */
    int64_t dim[TN_RANK_MAX];
    int64_t a_step[TN_RANK_MAX], b_step[TN_RANK_MAX]; /* in elements; 0 along broadcast axes */
} tn_matmul_plan;

/* From a problem whose shapes agree. */
void tn_matmul_plan_of(const tn_problem *p, tn_matmul_plan *out);
/* Where the matrices of one batch start, in elements. */
void tn_matmul_offsets(const tn_matmul_plan *plan, int64_t batch, int64_t *a, int64_t *b);

/* Floats of every type, summed in double: the core of references. Needs scratch of _bytes, or more;
 * _batch leaves the sums of one batch, m * n of them, in c. */
typedef struct tn_matmul_wide {
    tn_matmul_plan plan;
    const double *a;
    double *b, *c;
} tn_matmul_wide;
size_t tn_matmul_wide_bytes(const tn_problem *p);
void tn_matmul_wide_begin(const tn_problem *p, void *scratch, tn_matmul_wide *out);
/* By the threads of the launch. */
tn_status tn_matmul_wide_batch(const tn_launch *l, const tn_matmul_wide *wide,
                               int64_t batch) TN_MUST_USE;

#endif
