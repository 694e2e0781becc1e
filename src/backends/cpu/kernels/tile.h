/* Matrix products of floats in tiles that live in registers: c[m,n] = a[m,k] * b[k,n].
 *
 * b is packed into panels of TILE_COLUMNS columns, so that the innermost loop reads one line of it
 * after the other; columns beyond n are zeros:
 *
 *      b   |0 1 2 3|4 5 6 7|8 9 . .|     each panel: k rows of TILE_COLUMNS floats, dense
 *
 * One tile is TILE_ROWS x TILE_COLUMNS sums: for each k, a line of the panel times TILE_ROWS
 * numbers of a. Every sum runs over k in rising order whatever the tile's size, so the same numbers
 * come out however the work is cut. */
#ifndef TN_BACKENDS_CPU_TILE_H
#define TN_BACKENDS_CPU_TILE_H

#include "backends/cpu/kernels/simd.h"

#define TILE_VECTORS 2
#define TILE_COLUMNS (TILE_VECTORS * VF32_LANES)
#if VF32_LANES == 16
#define TILE_ROWS 12 /* 24 of 32 registers */
#else
#define TILE_ROWS 6 /* 12 of 16 */
#endif
#define TILE_DEPTH                                                                                 \
    256 /* rows of a panel that are worked through at once: they stay in the L1 cache */
#define TILE_INLINE static inline __attribute__((always_inline))

static inline int64_t tile_panels(int64_t n)
{
    return (n + TILE_COLUMNS - 1) / TILE_COLUMNS;
}

/* Floats of a packed matrix. */
static inline int64_t tile_packed_count(int64_t k, int64_t n)
{
    return tile_panels(n) * TILE_COLUMNS * k;
}

/* Panels [begin, end) of b, whose elements are row_step and column_step apart. */
static inline void tile_pack(const float *b, int64_t row_step, int64_t column_step, int64_t k,
                             int64_t n, int64_t begin, int64_t end, float *packed)
{
    for (int64_t panel = begin; panel < end; panel++) {
        float *dst = packed + panel * k * TILE_COLUMNS;
        int64_t first = panel * TILE_COLUMNS;
        int64_t count = n - first < TILE_COLUMNS ? n - first : TILE_COLUMNS;
        for (int64_t p = 0; p < k; p++, dst += TILE_COLUMNS) {
            const float *src = b + p * row_step + first * column_step;
            if (column_step == 1) memcpy(dst, src, (size_t)count * sizeof(float));
            else
                for (int64_t j = 0; j < count; j++) dst[j] = src[j * column_step];
            for (int64_t j = count; j < TILE_COLUMNS; j++) dst[j] = 0;
        }
    }
}

/* `rows` and `vectors` are constants at every call, so the loops unroll and `sum` is registers.
 * `add`: onto what c holds. n: columns of c that exist, at most vectors * VF32_LANES. */
TILE_INLINE void tile_run(int rows, int vectors, int64_t n, int64_t k, const float *a, int64_t lda,
                          const float *panel, float *c, int64_t ldc, int add)
{
    vf32 sum[TILE_ROWS][TILE_VECTORS];
    int64_t last = n - (vectors - 1) * VF32_LANES; /* columns of the last vector */
    for (int i = 0; i < rows; i++)
        for (int v = 0; v < vectors; v++) sum[i][v] = (vf32){0};
    if (add)
        for (int i = 0; i < rows; i++) {
            for (int v = 0; v < vectors - 1; v++)
                sum[i][v] = vf32_load(c + i * ldc + v * VF32_LANES);
            sum[i][vectors - 1] = vf32_load_some(c + i * ldc + (vectors - 1) * VF32_LANES, last);
        }
    for (int64_t p = 0; p < k; p++, panel += TILE_COLUMNS) {
        vf32 b[TILE_VECTORS];
        for (int v = 0; v < vectors; v++) b[v] = vf32_load(panel + v * VF32_LANES);
        for (int i = 0; i < rows; i++) {
            vf32 scale = vf32_set1(a[i * lda + p]);
            for (int v = 0; v < vectors; v++) sum[i][v] = vf32_fma(scale, b[v], sum[i][v]);
        }
    }
    for (int i = 0; i < rows; i++) {
        float *dst = c + i * ldc;
        for (int v = 0; v < vectors - 1; v++) vf32_store(dst + v * VF32_LANES, sum[i][v]);
        dst += (vectors - 1) * VF32_LANES;
        if (last == VF32_LANES) vf32_store(dst, sum[i][vectors - 1]);
        else vf32_store_some(dst, sum[i][vectors - 1], last);
    }
}

#define TILE_CASE(rows)                                                                            \
    case rows:                                                                                     \
        if (n > VF32_LANES) tile_run(rows, 2, n, k, a, lda, panel, c, ldc, add);                   \
        else tile_run(rows, 1, n, k, a, lda, panel, c, ldc, add);                                  \
        break;

/* One tile of 1 to TILE_ROWS rows and 1 to TILE_COLUMNS columns. Not inline: the code of all sizes
 * should exist once a file. */
static __attribute__((noinline)) void tile_one(int rows, int64_t n, int64_t k, const float *a,
                                               int64_t lda, const float *panel, float *c,
                                               int64_t ldc, int add)
{
    switch (rows) {
        TILE_CASE(1)
        TILE_CASE(2)
        TILE_CASE(3)
        TILE_CASE(4)
        TILE_CASE(5)
        TILE_CASE(6)
#if TILE_ROWS == 12
        TILE_CASE(7)
        TILE_CASE(8)
        TILE_CASE(9)
        TILE_CASE(10)
        TILE_CASE(11)
        TILE_CASE(12)
#endif
    }
}

/* m rows by one panel's n columns, `depth` of its rows. */
static inline void tile_column(int64_t m, int64_t n, int64_t depth, const float *a, int64_t lda,
                               const float *panel, float *c, int64_t ldc, int add)
{
    for (int64_t i = 0; i < m; i += TILE_ROWS) {
        int rows = m - i < TILE_ROWS ? (int)(m - i) : TILE_ROWS;
        tile_one(rows, n, depth, a + i * lda, lda, panel, c + i * ldc, ldc, add);
    }
}

/* c[m, n] = a[m, k] * packed (+ c if `add`); packed starts at a panel of the packed matrix. */
static inline void tile_multiply(int64_t m, int64_t n, int64_t k, const float *a, int64_t lda,
                                 const float *packed, float *c, int64_t ldc, int add)
{
    int64_t at = 0;
    do {
        int64_t depth = k - at < TILE_DEPTH ? k - at : TILE_DEPTH;
        for (int64_t j = 0; j < n; j += TILE_COLUMNS)
            tile_column(m, n - j < TILE_COLUMNS ? n - j : TILE_COLUMNS, depth, a + at, lda,
                        packed + j * k + at * TILE_COLUMNS, c + j, ldc, add || at > 0);
        at += TILE_DEPTH;
    } while (at < k);
}

#endif
