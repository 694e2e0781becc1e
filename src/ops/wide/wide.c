#include "ops/wide/wide.h"

#include <string.h>

#include "base/cpu.h"

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

/* c[n] += a[0] * b[0][n] + ... + a[3] * b[3][n], one after the other. */
static inline __attribute__((always_inline)) void add_four(int64_t n, const double *a,
                                                           const double *b, int64_t ldb,
                                                           double *restrict c)
{
    const double *restrict b0 = b, *restrict b1 = b0 + ldb;
    const double *restrict b2 = b1 + ldb, *restrict b3 = b2 + ldb;
    double a0 = a[0], a1 = a[1], a2 = a[2], a3 = a[3];
    for (int64_t j = 0; j < n; j++)
        c[j] = (((c[j] + a0 * b0[j]) + a1 * b1[j]) + a2 * b2[j]) + a3 * b3[j];
}

/* Four rows of b at a time: a row of c is read and written once for all four. All of b is read for
 * each row of c: it had better be small. */
static inline __attribute__((always_inline)) void multiply_rows(int64_t m, int64_t n, int64_t k,
                                                                const double *a, int64_t lda,
                                                                const double *b, int64_t ldb,
                                                                double *c, int64_t ldc)
{
    for (int64_t i = 0; i < m; i++) {
        double *restrict to = c + i * ldc;
        int64_t p = 0;
        for (; p + 4 <= k; p += 4) add_four(n, a + i * lda + p, b + p * ldb, ldb, to);
        for (; p < k; p++) {
            const double *restrict row = b + p * ldb;
            double w = a[i * lda + p];
            for (int64_t j = 0; j < n; j++) to[j] += w * row[j];
        }
    }
}

/* A tile of c, which stays in registers while a panel of b goes by: its rows lie side by side. */
enum { TILE_ROWS = 4, TILE_LANES = 4, PANEL_ROWS = 64 };
typedef double lanes __attribute__((vector_size(32)));
typedef struct panel {
    lanes row[PANEL_ROWS][2];
} panel;

/* A tile is one or two vectors wide: two where all sums have a register. */
static inline __attribute__((always_inline)) void add_tile(int wide, int64_t k, const double *a,
                                                           int64_t lda, const panel *b, double *c,
                                                           int64_t ldc)
{
    lanes sum[TILE_ROWS][2];
    size_t bytes = (size_t)wide * sizeof(lanes);
    for (int i = 0; i < TILE_ROWS; i++) memcpy(sum[i], c + i * ldc, bytes);
    for (int64_t p = 0; p < k; p++)
        for (int i = 0; i < TILE_ROWS; i++)
            for (int v = 0; v < wide; v++) sum[i][v] = sum[i][v] + b->row[p][v] * a[i * lda + p];
    for (int i = 0; i < TILE_ROWS; i++) memcpy(c + i * ldc, sum[i], bytes);
}

/* Every sum runs in rising k, in tiles as elsewhere. */
static inline __attribute__((always_inline)) void multiply(int wide, int64_t m, int64_t n,
                                                           int64_t k, const double *a, int64_t lda,
                                                           const double *b, int64_t ldb, double *c,
                                                           int64_t ldc)
{
    int64_t tile = (int64_t)wide * TILE_LANES;
    int64_t rows = m - m % TILE_ROWS, columns = rows ? n - n % tile : 0;
    panel some;
    for (int64_t j = 0; j < columns; j += tile)
        for (int64_t from = 0; from < k; from += PANEL_ROWS) {
            int64_t depth = TN_MIN(k - from, (int64_t)PANEL_ROWS);
            for (int64_t p = 0; p < depth; p++)
                memcpy(some.row[p], b + (from + p) * ldb + j, (size_t)wide * sizeof(lanes));
            for (int64_t i = 0; i < rows; i += TILE_ROWS)
                add_tile(wide, depth, a + i * lda + from, lda, &some, c + i * ldc + j, ldc);
        }
    multiply_rows(rows, n - columns, k, a, lda, b + columns, ldb, c + columns, ldc);
    multiply_rows(m - rows, n, k, a + rows * lda, lda, b, ldb, c + rows * ldc, ldc);
}

#ifdef __x86_64__
/* The same in wider registers, to the same bits: no sum is in more than one lane. */
__attribute__((target("avx2"))) static void multiply_avx2(int64_t m, int64_t n, int64_t k,
                                                          const double *a, int64_t lda,
                                                          const double *b, int64_t ldb, double *c,
                                                          int64_t ldc)
{
    multiply(2, m, n, k, a, lda, b, ldb, c, ldc);
}
#endif

void tn_wide_matmul(int64_t m, int64_t n, int64_t k, const double *a, int64_t lda, const double *b,
                    int64_t ldb, double *c, int64_t ldc)
{
#ifdef __x86_64__
    if (tn_cpu_features() & TN_CPU_AVX2) multiply_avx2(m, n, k, a, lda, b, ldb, c, ldc);
    else multiply(1, m, n, k, a, lda, b, ldb, c, ldc);
#else
    multiply(2, m, n, k, a, lda, b, ldb, c, ldc);
#endif
}
