/* Doubles for reference kernels: operands are widened once into scratch, so that the loops that
 * follow are plain double loops, right for every float type and quick enough to check a whole
 * network. */
#ifndef TN_OPS_WIDE_H
#define TN_OPS_WIDE_H

#include "device/device.h"

/* Bytes of `count` doubles, rounded up to 64; a size that cannot be is SIZE_MAX / 4, which no
 * allocator grants. Sums of a few of them do not overflow. */
size_t tn_wide_bytes(int64_t count);
size_t tn_wide_add(size_t a, size_t b);          /* saturates the same way */
size_t tn_wide_tensor_bytes(const tn_tensor *t); /* of all its elements; 0 if absent */

/* Take doubles from scratch, in the order in which they were counted. */
double *tn_wide_take(void **scratch, int64_t count);
/* All elements of a dense tensor; NULL if it is absent. */
const double *tn_wide_load(void **scratch, const tn_tensor *t);

int64_t tn_wide_count(const tn_tensor *t); /* elements; 0 if absent */

/* c[m,n] += a[m,k] * b[k,n], rows lda, ldb, ldc apart; sums run in rising k. */
void tn_wide_matmul(int64_t m, int64_t n, int64_t k, const double *a, int64_t lda, const double *b,
                    int64_t ldb, double *c, int64_t ldc);

/* An output that somebody asked for and that has memory. */
static inline bool tn_wide_wants(const tn_problem *p, int out)
{
    return out < p->out_count && p->out[out].dtype != TN_DTYPE_NONE && p->out[out].data;
}
static inline bool tn_wide_has(const tn_problem *p, int in)
{
    return in < p->in_count && p->in[in].dtype != TN_DTYPE_NONE;
}

#endif
