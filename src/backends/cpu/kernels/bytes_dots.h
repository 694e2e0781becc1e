/* Blocks of products of bytes, by dot products of two or four of them in vectors. */
#ifndef TN_BACKENDS_CPU_BYTES_DOTS_H
#define TN_BACKENDS_CPU_BYTES_DOTS_H

#include "backends/cpu/kernels/tile.h"

#if defined(__AVX512VNNI__)
#define BYTES_GROUP 4
#define BYTES_MACS_NS 280 /* multiply-adds in a nanosecond, for estimates */
typedef uint8_t bytes_of_a;

SIMD_INLINE vi32 bytes_dot(vi32 sum, int32_t a, vi32 b)
{
    return (vi32)_mm512_dpbusd_epi32((__m512i)sum, _mm512_set1_epi32(a), (__m512i)b);
}

SIMD_INLINE vi32 bytes_load(const uint8_t *b)
{
    vi32 v;
    memcpy(&v, b, sizeof v);
    return v;
}

#else
#define BYTES_GROUP 2
#define BYTES_MACS_NS (5 * VF32_LANES)
typedef int16_t bytes_of_a;

typedef int8_t bytes_pairs __attribute__((vector_size(VF32_LANES * 2)));
typedef int16_t bytes_wide __attribute__((vector_size(VF32_LANES * 4)));

SIMD_INLINE vi32 bytes_dot(vi32 sum, int32_t a, vi32 b)
{
#if defined(__AVX2__)
    return sum + (vi32)_mm256_madd_epi16(_mm256_set1_epi32(a), (__m256i)b);
#else
    return sum + (int16_t)a * (b << 16 >> 16) + (a >> 16) * (b >> 16);
#endif
}

SIMD_INLINE vi32 bytes_load(const uint8_t *b)
{
    bytes_pairs v;
    memcpy(&v, b, sizeof v);
    return (vi32) __builtin_convertvector(v, bytes_wide);
}
#endif

#define BYTES_HALF (16 * VF32_LANES * BYTES_GROUP) /* bytes of b in half a step */

static inline void bytes_begin(void)
{
}

static inline void bytes_end(void)
{
}

/* `rows` is a constant at every call: the sums are registers. */
SIMD_INLINE void bytes_run(int rows, int64_t steps, const uint8_t *a, const uint8_t *b,
                           int32_t *sums)
{
    vi32 sum[TILE_ROWS][2];
    for (int i = 0; i < rows; i++) sum[i][0] = sum[i][1] = (vi32){0};
    for (int64_t s = 0; s < steps; s++, a += 2048, b += 2 * BYTES_HALF)
        for (int p = 0; p < 16; p++) {
            /* Few rows do little but read b, which is asked for a few steps ahead. */
            if (rows <= 2) __builtin_prefetch(b + 8 * BYTES_HALF + p * VF32_LANES * BYTES_GROUP);
            if (rows <= 2) __builtin_prefetch(b + 9 * BYTES_HALF + p * VF32_LANES * BYTES_GROUP);
            vi32 low = bytes_load(b + p * VF32_LANES * BYTES_GROUP);
            vi32 high = bytes_load(b + BYTES_HALF + p * VF32_LANES * BYTES_GROUP);
            for (int i = 0; i < rows; i++) {
                int32_t group;
                memcpy(&group, a + 64 * i + 4 * p, sizeof group);
                sum[i][0] = bytes_dot(sum[i][0], group, low);
                sum[i][1] = bytes_dot(sum[i][1], group, high);
            }
        }
    for (int i = 0; i < rows; i++)
        for (int v = 0; v < 2; v++)
            memcpy(sums + i * TILE_COLUMNS + v * VF32_LANES, &sum[i][v], sizeof sum[i][v]);
}

/* sums[rows, TILE_COLUMNS] = a * b; both have room for some rows more, up to 32. */
static __attribute__((noinline)) void bytes_multiply(int64_t rows, int64_t steps, const uint8_t *a,
                                                     const uint8_t *b, int32_t *sums)
{
    enum { MOST = TILE_ROWS, MANY = TILE_ROWS * 2 / 3 };
    while (rows > 0) {
        int64_t some = rows > MANY ? MOST : rows > 2 ? MANY : rows;
        switch (some) {
        case MOST: bytes_run(MOST, steps, a, b, sums); break;
        case MANY: bytes_run(MANY, steps, a, b, sums); break;
        case 2: bytes_run(2, steps, a, b, sums); break;
        default: bytes_run(1, steps, a, b, sums); break;
        }
        rows -= some;
        a += 64 * some;
        sums += TILE_COLUMNS * some;
    }
}

#endif
