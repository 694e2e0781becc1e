#include "ops/wide/wide.h"

#define TOO_MUCH (SIZE_MAX / 4)

size_t tn_wide_bytes(int64_t count)
{
    if (count <= 0) return 0;
    if ((uint64_t)count > TOO_MUCH / sizeof(double)) return TOO_MUCH;
    return tn_align_up((size_t)count * sizeof(double), TN_ALIGNMENT);
}

size_t tn_wide_add(size_t a, size_t b)
{
    size_t sum;
    return tn_add_size(a, b, &sum) && sum < TOO_MUCH ? sum : TOO_MUCH;
}

int64_t tn_wide_count(const tn_tensor *t)
{
    return t->dtype == TN_DTYPE_NONE ? 0 : tn_dims_product(t->dim, 0, t->rank);
}

size_t tn_wide_tensor_bytes(const tn_tensor *t)
{
    return tn_wide_bytes(tn_wide_count(t));
}

double *tn_wide_take(void **scratch, int64_t count)
{
    double *at = *scratch;
    size_t bytes = tn_wide_bytes(count);
    if (bytes) *scratch = (char *)*scratch + bytes;
    return at;
}

const double *tn_wide_load(void **scratch, const tn_tensor *t)
{
    if (t->dtype == TN_DTYPE_NONE) return NULL;
    int64_t count = tn_wide_count(t);
    double *at = tn_wide_take(scratch, count);
    if (count > 0) tn_load_f64s(t->dtype, t->data, 0, count, at);
    return at;
}

/* Four rows of c at a time: a row of b is read once for all four. */
void tn_wide_matmul(int64_t m, int64_t n, int64_t k, const double *a, int64_t lda, const double *b,
                    int64_t ldb, double *c, int64_t ldc)
{
    int64_t i = 0;
    for (; i + 4 <= m; i += 4) {
        const double *a0 = a + i * lda, *a1 = a0 + lda, *a2 = a1 + lda, *a3 = a2 + lda;
        double *restrict c0 = c + i * ldc, *restrict c1 = c0 + ldc;
        double *restrict c2 = c1 + ldc, *restrict c3 = c2 + ldc;
        for (int64_t p = 0; p < k; p++) {
            const double *restrict row = b + p * ldb;
            double w0 = a0[p], w1 = a1[p], w2 = a2[p], w3 = a3[p];
            for (int64_t j = 0; j < n; j++) {
                c0[j] += w0 * row[j];
                c1[j] += w1 * row[j];
                c2[j] += w2 * row[j];
                c3[j] += w3 * row[j];
            }
        }
    }
    for (; i < m; i++) {
        double *restrict c0 = c + i * ldc;
        for (int64_t p = 0; p < k; p++) {
            const double *restrict row = b + p * ldb;
            double w0 = a[i * lda + p];
            for (int64_t j = 0; j < n; j++) c0[j] += w0 * row[j];
        }
    }
}
