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
#include "backends/cpu/variant.h"

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

/* One tile of 1 to TILE_ROWS rows and n = 1 to TILE_COLUMNS columns, k steps deep (tile.c). `add`:
 * onto what c holds. ends: NULL, or what is done then. a's rows lie lda apart. */
#define tile_one_ended TN_VARIANT_NAME(tn_tile_one)
void tile_one_ended(int rows, int64_t n, int64_t k, const float *a, int64_t lda, const float *panel,
                    float *c, int64_t ldc, int add, const tile_ends *ends);

/* The same with a stored by columns, `step` apart: what one step of k needs lies together. fetch:
 * what is asked for meanwhile, a line of the panel's length for each of its rows, fetch_step apart.
 */
#define tile_one_turned_ended TN_VARIANT_NAME(tn_tile_one_turned)
void tile_one_turned_ended(int rows, int64_t n, int64_t k, const float *a, int64_t step,
                           const float *panel, float *c, int64_t ldc, int add,
                           const tile_ends *ends, const float *fetch, int64_t fetch_step);

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
