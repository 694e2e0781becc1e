/* Blocks of floats rounded to bf16, by dot products of pairs in vectors. */
#ifndef TN_BACKENDS_CPU_SPLIT_DOTS_H
#define TN_BACKENDS_CPU_SPLIT_DOTS_H

#include "backends/cpu/kernels/split.h"

#define SPLIT_PARTS 1
#define SPLIT_NS 0.35       /* to round a float */
#define SPLIT_BYTES_NS 12.0 /* of weights from memory */
#define SPLIT_ROWS 2        /* that cost as much as one */

static inline void split_begin(void)
{
}

static inline void split_end(void)
{
}

/* Of 32 rows, 32 columns and 32 of k. */
static inline double split_block_ns(int parts)
{
    return 350.0 * parts;
}

/* `rows` is a constant at every call: the sums are registers. */
SIMD_INLINE void split_dots(int rows, int64_t steps, const uint8_t *a, const uint8_t *b, float *c,
                            int64_t ldc, bool add)
{
    __m512 sum[12][2];
    for (int i = 0; i < rows; i++)
        for (int v = 0; v < 2; v++)
            sum[i][v] = add ? _mm512_loadu_ps(c + i * ldc + 16 * v) : _mm512_setzero_ps();
    for (int64_t s = 0; s < steps; s++, a += SPLIT_STEP, b += SPLIT_STEP)
        for (int p = 0; p < 16; p++) {
            __m512bh low = (__m512bh)_mm512_loadu_si512(b + 128 * p);
            __m512bh high = (__m512bh)_mm512_loadu_si512(b + 128 * p + 64);
            for (int i = 0; i < rows; i++) {
                int pair;
                memcpy(&pair, a + 64 * i + 4 * p, sizeof pair);
                __m512bh both = (__m512bh)_mm512_set1_epi32(pair);
                sum[i][0] = _mm512_dpbf16_ps(sum[i][0], both, low);
                sum[i][1] = _mm512_dpbf16_ps(sum[i][1], both, high);
            }
        }
    for (int i = 0; i < rows; i++)
        for (int v = 0; v < 2; v++) _mm512_storeu_ps(c + i * ldc + 16 * v, sum[i][v]);
}

/* c[rows, SPLIT_BLOCK], ldc apart, (+)= a * b; c has room for the zeros behind the rows. */
SIMD_INLINE void split_multiply(int parts, int64_t rows, int64_t steps, const uint8_t *a,
                                const uint8_t *b, float *c, int64_t ldc, bool add, split_next next)
{
    (void)parts;
    (void)next;
    while (rows > 0) {
        int64_t some = rows >= 9 ? 12 : rows >= 5 ? 8 : rows >= 3 ? 4 : rows;
        switch (some) {
        case 12: split_dots(12, steps, a, b, c, ldc, add); break;
        case 8: split_dots(8, steps, a, b, c, ldc, add); break;
        case 4: split_dots(4, steps, a, b, c, ldc, add); break;
        case 2: split_dots(2, steps, a, b, c, ldc, add); break;
        default: split_dots(1, steps, a, b, c, ldc, add); break;
        }
        rows -= some;
        a += 64 * some;
        c += ldc * some;
    }
}

#endif
