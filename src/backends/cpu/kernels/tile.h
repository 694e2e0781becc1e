/* Matrix products of floats in tiles that live in registers: c[m,n] = a[m,k] * b[k,n].
 *
 * b is packed into panels of TILE_COLUMNS columns, so that the innermost loop reads one line of it
 * after the other; columns beyond n are zeros:
 *
 *      b   |0 1 2 3|4 5 6 7|8 9 . .|     each panel: k rows of TILE_COLUMNS floats, dense
 *
 * One tile is TILE_ROWS x TILE_COLUMNS sums: for each k, a line of the panel times TILE_ROWS
 * numbers of a. Every sum runs over k in rising order whatever the tile's size, in pieces of
 * TILE_DEPTH that are added one after the other, so the same numbers come out however the work is
 * cut. One sum over thousands of products would lose three times as much to rounding. */
#ifndef TN_BACKENDS_CPU_TILE_H
#define TN_BACKENDS_CPU_TILE_H

#include "backends/cpu/kernels/simd.h"

#define TILE_VECTORS 2
#define TILE_COLUMNS (TILE_VECTORS * VF32_LANES)
#if VF32_LANES == 16 || defined(__aarch64__)
#define TILE_ROWS 12 /* 24 of 32 registers */
#else
#define TILE_ROWS 6 /* 12 of 16 */
#endif
#define TILE_DEPTH                                                                                 \
    256 /* rows of a panel that are worked through at once: they stay in the L1 cache */
#define TILE_AHEAD (16 * TILE_COLUMNS) /* of the panel, fetched from farther caches meanwhile */

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
            if (column_step == 1 && count == TILE_COLUMNS)
                for (int v = 0; v < TILE_COLUMNS; v += VF32_LANES)
                    vf32_store(dst + v, vf32_load(src + v));
            else if (column_step == 1) memcpy(dst, src, (size_t)count * sizeof(float));
            else
                for (int64_t j = 0; j < count; j++) dst[j] = src[j * column_step];
            for (int64_t j = count; j < TILE_COLUMNS; j++) dst[j] = 0;
        }
    }
}

/* ---- a by columns ----------------------------------------------------------------------------
 *
 * A strip is up to TILE_ROWS rows of a, turned: what one step of k needs lies together. */
#if VF32_LANES == 16
#define TILE_EACH(f, h)                                                                            \
    f(0, h), f(1, h), f(2, h), f(3, h), f(4, h), f(5, h), f(6, h), f(7, h), f(8, h), f(9, h),      \
        f(10, h), f(11, h), f(12, h), f(13, h), f(14, h), f(15, h)
#elif VF32_LANES == 8
#define TILE_EACH(f, h) f(0, h), f(1, h), f(2, h), f(3, h), f(4, h), f(5, h), f(6, h), f(7, h)
#else
#define TILE_EACH(f, h) f(0, h), f(1, h), f(2, h), f(3, h)
#endif
#define TILE_UPPER(lane, h) ((lane) & (h) ? VF32_LANES + (lane) - (h) : (lane))
#define TILE_LOWER(lane, h) ((lane) & (h) ? VF32_LANES + (lane) : (lane) + (h))
/* The blocks of h x h besides the diagonal of each 2h x 2h change places. */
#define TILE_SWAP(v, h)                                                                            \
    for (int i = 0; i < VF32_LANES; i++) {                                                         \
        if (i & (h)) continue;                                                                     \
        vf32 upper = __builtin_shufflevector(v[i], v[i + (h)], TILE_EACH(TILE_UPPER, h));          \
        v[i + (h)] = __builtin_shufflevector(v[i], v[i + (h)], TILE_EACH(TILE_LOWER, h));          \
        v[i] = upper;                                                                              \
    }

/* VF32_LANES x VF32_LANES: element (i, j) goes to (j, i). */
SIMD_INLINE void tile_turn_square(vf32 v[VF32_LANES])
{
#if VF32_LANES == 16
    TILE_SWAP(v, 8)
#endif
#if VF32_LANES >= 8
    TILE_SWAP(v, 4)
#endif
    TILE_SWAP(v, 2)
    TILE_SWAP(v, 1)
}

/* A strip of `rows` rows, a_row apart, and k columns. */
static __attribute__((noinline, unused)) void tile_turn(int rows, int64_t k, const float *a,
                                                        int64_t a_row, float *strip)
{
    for (int first = 0; first < rows; first += VF32_LANES) {
        int count = rows - first < VF32_LANES ? rows - first : VF32_LANES;
        for (int64_t p = 0; p < k; p += VF32_LANES) {
            int64_t columns = k - p < VF32_LANES ? k - p : VF32_LANES;
            const float *src = a + first * a_row + p;
            float *dst = strip + p * TILE_ROWS + first;
            vf32 v[VF32_LANES];
            for (int i = 0; i < VF32_LANES; i++)
                v[i] = i < count ? vf32_load_some(src + i * a_row, columns) : (vf32){0};
            tile_turn_square(v);
            for (int i = 0; i < columns; i++) vf32_store_some(dst + i * TILE_ROWS, v[i], count);
        }
    }
}

/* The same where a is stored by columns already, a_column apart. */
static inline void tile_take(int rows, int64_t k, const float *a, int64_t a_column, float *strip)
{
    for (int64_t p = 0; p < k; p++)
        memcpy(strip + p * TILE_ROWS, a + p * a_column, (size_t)rows * sizeof(float));
}

/* ---- Tiles -----------------------------------------------------------------------------------*/

/* What complete sums of a tile may get while they are still in registers. */
typedef struct tile_ends {
    const float *bias, *columns; /* biases of each row, or of each column; NULL: none */
    const float *residual;       /* laid out as c; NULL: none */
    float low;                   /* a bound from below: 0 for a ReLU, else -INFINITY */
} tile_ends;

/* `lanes` of a row from `column` on. NaN stays. */
SIMD_INLINE vf32 tile_end_sum(const tile_ends *e, vf32 sum, int row, int column, int64_t ldc,
                              int64_t lanes)
{
    if (e->bias) sum += vf32_set1(e->bias[row]);
    if (e->columns) sum += vf32_load_some(e->columns + column, lanes);
    if (e->residual) sum += vf32_load_some(e->residual + row * ldc + column, lanes);
    return vf32_max(vf32_set1(e->low), sum);
}

/* `rows` and `vectors` are constants at every call, so the loops unroll and `sum` is registers; so
 * is one of the steps between a's rows and between its columns, 1. `add`: onto what c holds. n:
 * columns of c that exist, at most vectors * VF32_LANES. fetch: what is asked for meanwhile, a line
 * of the panel's length for each of its rows, fetch_step apart. */
SIMD_INLINE void tile_run(int rows, int vectors, int64_t n, int64_t k, const float *a,
                          int64_t a_row, int64_t a_column, const float *panel, float *c,
                          int64_t ldc, int add, const tile_ends *ends, const float *fetch,
                          int64_t fetch_step)
{
    vf32 sum[TILE_ROWS][TILE_VECTORS];
    int64_t last = n - (vectors - 1) * VF32_LANES; /* columns of the last vector */
    for (int i = 0; i < rows; i++)
        for (int v = 0; v < vectors; v++) sum[i][v] = (vf32){0};
    /* What is needed last is asked for first. */
    for (int i = 0; rows > 4 && i < rows; i++)
        for (int v = 0; v < vectors * VF32_LANES; v += 16) {
            __builtin_prefetch(c + i * ldc + v, 1);
            if (ends && ends->residual) __builtin_prefetch(ends->residual + i * ldc + v);
        }
    for (int64_t p = 0; p < k; p++, panel += TILE_COLUMNS, fetch += fetch_step) {
        vf32 b[TILE_VECTORS];
        /* Few rows do little but read the panel: no time to ask for more. */
        for (int i = 0; rows > 4 && i < TILE_COLUMNS; i += 16) __builtin_prefetch(fetch + i);
        for (int v = 0; v < vectors; v++) b[v] = vf32_load(panel + v * VF32_LANES);
        for (int i = 0; i < rows; i++) {
            vf32 scale = vf32_set1(a[i * a_row + p * a_column]);
            for (int v = 0; v < vectors; v++) sum[i][v] = vf32_fma(scale, b[v], sum[i][v]);
        }
    }
    if (add)
        for (int i = 0; i < rows; i++) {
            for (int v = 0; v < vectors - 1; v++)
                sum[i][v] += vf32_load(c + i * ldc + v * VF32_LANES);
            sum[i][vectors - 1] += vf32_load_some(c + i * ldc + (vectors - 1) * VF32_LANES, last);
        }
    if (ends)
        for (int i = 0; i < rows; i++)
            for (int v = 0; v < vectors; v++)
                sum[i][v] = tile_end_sum(ends, sum[i][v], i, v * VF32_LANES, ldc,
                                         v < vectors - 1 ? VF32_LANES : last);
    for (int i = 0; i < rows; i++) {
        float *dst = c + i * ldc;
        for (int v = 0; v < vectors - 1; v++) vf32_store(dst + v * VF32_LANES, sum[i][v]);
        dst += (vectors - 1) * VF32_LANES;
        if (last == VF32_LANES) vf32_store(dst, sum[i][vectors - 1]);
        else vf32_store_some(dst, sum[i][vectors - 1], last);
    }
}

#define TILE_SUMS(rows, vectors)                                                                   \
    tile_run(rows, vectors, n, k, a, A_ROW, A_COLUMN, panel, c, ldc, add, ends, FETCH, FETCH_STEP)
#define TILE_CASE(rows)                                                                            \
    case rows:                                                                                     \
        if (n > VF32_LANES) TILE_SUMS(rows, 2);                                                    \
        else TILE_SUMS(rows, 1);                                                                   \
        break;
#if TILE_ROWS == 12
#define TILE_CASES_ABOVE_6                                                                         \
    TILE_CASE(7) TILE_CASE(8) TILE_CASE(9) TILE_CASE(10) TILE_CASE(11) TILE_CASE(12)
#else
#define TILE_CASES_ABOVE_6
#endif
/* One tile of 1 to TILE_ROWS rows and 1 to TILE_COLUMNS columns. Not inline: the code of all sizes
 * should exist once a file. */
#define TILE_ONE(name, parameters)                                                                 \
    static __attribute__((noinline, unused)) void name parameters                                  \
    {                                                                                              \
        switch (rows) {                                                                            \
            TILE_CASE(1)                                                                           \
            TILE_CASE(2)                                                                           \
            TILE_CASE(3)                                                                           \
            TILE_CASE(4)                                                                           \
            TILE_CASE(5)                                                                           \
            TILE_CASE(6)                                                                           \
            TILE_CASES_ABOVE_6                                                                     \
        }                                                                                          \
    }
/* a's rows lie lda apart: as many pointers as there are rows leave no register for another. */
#define A_ROW lda
#define A_COLUMN 1
#define FETCH (panel + TILE_AHEAD)
#define FETCH_STEP TILE_COLUMNS
TILE_ONE(tile_one_ended,
         (int rows, int64_t n, int64_t k, const float *a, int64_t lda, const float *panel, float *c,
          int64_t ldc, int add, const tile_ends *ends))
#undef A_ROW
#undef A_COLUMN
#undef FETCH
#undef FETCH_STEP
/* a is stored by columns, `step` apart: what one step of k needs lies together. */
#define A_ROW 1
#define A_COLUMN step
#define FETCH fetch
#define FETCH_STEP fetch_step
TILE_ONE(tile_one_turned_ended, (int rows, int64_t n, int64_t k, const float *a, int64_t step,
                                 const float *panel, float *c, int64_t ldc, int add,
                                 const tile_ends *ends, const float *fetch, int64_t fetch_step))
#undef A_ROW
#undef A_COLUMN
#undef FETCH
#undef FETCH_STEP

static inline void tile_one(int rows, int64_t n, int64_t k, const float *a, int64_t lda,
                            const float *panel, float *c, int64_t ldc, int add)
{
    tile_one_ended(rows, n, k, a, lda, panel, c, ldc, add, NULL);
}

static inline void tile_one_turned(int rows, int64_t n, int64_t k, const float *a, int64_t step,
                                   const float *panel, float *c, int64_t ldc, int add)
{
    tile_one_turned_ended(rows, n, k, a, step, panel, c, ldc, add, NULL, panel + TILE_AHEAD,
                          TILE_COLUMNS);
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

/* The same with a stored by columns; `ends`: what these sums get, NULL: nothing. */
static inline void tile_column_turned(int64_t m, int64_t n, int64_t depth, const float *a,
                                      int64_t step, const float *panel, float *c, int64_t ldc,
                                      int add, const tile_ends *ends)
{
    for (int64_t i = 0; i < m; i += TILE_ROWS) {
        int rows = m - i < TILE_ROWS ? (int)(m - i) : TILE_ROWS;
        tile_ends these;
        if (ends) {
            these = *ends;
            if (these.bias) these.bias += i;
            if (these.residual) these.residual += i * ldc;
        }
        tile_one_turned_ended(rows, n, depth, a + i, step, panel, c + i * ldc, ldc, add,
                              ends ? &these : NULL, panel + TILE_AHEAD, TILE_COLUMNS);
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
