/* Floats as sums of bf16 numbers, laid out for instructions that multiply pairs of them.
 *
 * x = h + m + l, each the bf16 next to what the ones before left over, holds all 24 bits of x. A
 * product of two such sums needs few of the nine products of parts, the others being too small:
 *
 *     parts   products                          error of a term    class
 *     3       hh, hm + mh, hl + mm + lh         2^-25              f32
 *     2       hh, hm + mh                       2^-17              tf32
 *     1       hh                                2^-8               bf16
 *
 * Blocks are 32 rows (columns) by 32 of k: 2 tiles of 1 KiB, for each part in turn.
 *
 *     a: strip of 32 rows       [step of k][part][row][k]
 *     b: panel of 32 columns    [step of k][part][pair of k][column][k of 2]
 *
 * The instructions take denormals for zeros, and parts of Inf are NaN. So rows of a and columns of
 * b must be zeros or have their largest number in [2^-50, 2^60): then what is lost is below 2^-26
 * of the row's largest term. A panel that is not so holds the bits of its floats instead, as may a
 * strip of weights, and whatever is not so is multiplied in f32 (split_plain). Nobody needs this of
 * 1 part. */
#ifndef TN_BACKENDS_CPU_SPLIT_H
#define TN_BACKENDS_CPU_SPLIT_H

#include "backends/cpu/kernels/tile.h"

#if VF32_LANES != 16
#error "parts are split 16 at a time"
#endif

enum { SPLIT_BLOCK = 32, SPLIT_TILE = 1024, SPLIT_STEP = 2 * SPLIT_TILE }; /* bytes, of a part */
enum { SPLIT_LINE = 64 };                                                  /* of the cache */
/* Steps of k that are worked through at once: a panel of them stays in the L2 cache with a group of
 * strips. */
enum { SPLIT_DEPTH = 72 };

/* What is to be fetched into the L2 cache while a block is multiplied: so many lines a step of k.
 */
typedef struct split_next {
    const uint8_t *at;
    int64_t lines;
} split_next;

typedef uint32_t vu32 __attribute__((vector_size(64)));
typedef uint16_t split_halves __attribute__((vector_size(64)));
/* The upper 16 bits of two vectors' numbers. */
#define SPLIT_UPPER(low, high)                                                                     \
    __builtin_shufflevector((split_halves)(low), (split_halves)(high), 1, 3, 5, 7, 9, 11, 13, 15,  \
                            17, 19, 21, 23, 25, 27, 29, 31, 33, 35, 37, 39, 41, 43, 45, 47, 49,    \
                            51, 53, 55, 57, 59, 61, 63)

static inline int64_t split_steps(int64_t k)
{
    return (k + SPLIT_BLOCK - 1) / SPLIT_BLOCK;
}

/* Part number `index` of `count` of a panel. */
static inline split_next split_next_of(int parts, const uint8_t *panel, int64_t steps,
                                       int64_t index, int64_t count)
{
    int64_t lines = (parts * SPLIT_STEP / SPLIT_LINE + count - 1) / count;
    return (split_next){panel + index * steps * lines * SPLIT_LINE, lines};
}

/* Of one part: in the upper 16 bits. What it leaves of x is exact. */
SIMD_INLINE vu32 split_part(vf32 *x)
{
    vu32 part = ((vu32)*x + 0x8000u) & 0xFFFF0000u;
    *x -= (vf32)part;
    return part;
}

/* The only one: ties to even; what would become Inf is cut off instead, NaN stays NaN. */
SIMD_INLINE vu32 split_round(vf32 x)
{
    vu32 bits = (vu32)x, rounded = bits + 0x7FFFu + (bits >> 16 & 1);
    vu32 cut = bits | ((vu32)(x != x) & 0x400000u);
    vi32 is_small = (vi32)((bits & 0x7FFFFFFFu) < 0x7F7F8000u);
    return (vu32)vf32_select(is_small, (vf32)rounded, (vf32)cut) & 0xFFFF0000u;
}

/* Numbers that the instruction for rounding would make Inf of. */
SIMD_INLINE bool split_is_huge(vf32 x, vf32 y)
{
    const __m512i sign = _mm512_set1_epi32(INT32_MIN), huge = _mm512_set1_epi32(0x7F7F8000);
    __mmask16 x_is = _mm512_cmpge_epu32_mask(_mm512_andnot_si512(sign, (__m512i)x), huge);
    return _mm512_kor(x_is, _mm512_cmpge_epu32_mask(_mm512_andnot_si512(sign, (__m512i)y), huge));
}

/* As the only parts, those of x before those of y. */
SIMD_INLINE split_halves split_round_row(vf32 x, vf32 y)
{
#ifdef __AVX512BF16__
    if (!split_is_huge(x, y)) return (split_halves)_mm512_cvtne2ps_pbh((__m512)y, (__m512)x);
#endif
    return SPLIT_UPPER(split_round(x), split_round(y));
}

/* The same, each number of x beside that of y. */
SIMD_INLINE vu32 split_round_pairs(vf32 x, vf32 y)
{
#ifdef __AVX512BF16__
    if (!split_is_huge(x, y)) {
        split_halves both = (split_halves)_mm512_cvtne2ps_pbh((__m512)y, (__m512)x);
        return (vu32)__builtin_shufflevector(both, both, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21,
                                             6, 22, 7, 23, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13,
                                             29, 14, 30, 15, 31);
    }
#endif
    return split_round(x) >> 16 | split_round(y);
}

SIMD_INLINE void split_all(int parts, vf32 x, vu32 part[3])
{
    if (parts == 1) part[0] = split_round(x);
    else
        for (int q = 0; q < parts; q++) part[q] = split_part(&x);
}

/* x as its bits where two or three parts would be. */
SIMD_INLINE void split_bits(int parts, vf32 x, vu32 part[3])
{
    for (int q = 2; q < parts; q++) part[q] = (vu32){0};
    part[0] = (vu32)x & 0xFFFF0000u;
    part[1] = (vu32)x << 16;
}

/* The largest |x| of a row or column as bits, in which order is that of the numbers and Inf and NaN
 * come last. */
SIMD_INLINE vu32 split_largest(vu32 most, vf32 x)
{
    vu32 bits = (vu32)x & 0x7FFFFFFFu;
    return (vu32)vf32_select((vi32)(bits > most), (vf32)bits, (vf32)most);
}

static inline bool split_fits(uint32_t most)
{
    return most == 0 || (most >= (127 - 50) << 23 && most < (127 + 60) << 23);
}

/* ---- b ---------------------------------------------------------------------------------------*/

/* Row k of a panel's `count` columns; zeros beyond them and beyond the last row. */
SIMD_INLINE void split_load_row(const float *b, int64_t row_step, int64_t column_step, int64_t k,
                                int64_t depth, int64_t count, vf32 row[2])
{
    float gathered[SPLIT_BLOCK] = {0};
    const float *src = b + k * row_step;
    if (k >= depth) row[0] = row[1] = (vf32){0};
    else if (column_step == 1) {
        row[0] = vf32_load_some(src, count < 16 ? count : 16);
        row[1] = vf32_load_some(src + (count < 16 ? 0 : 16), count < 16 ? 0 : count - 16);
    } else {
        for (int64_t j = 0; j < count; j++) gathered[j] = src[j * column_step];
        row[0] = vf32_load(gathered);
        row[1] = vf32_load(gathered + 16);
    }
}

/* Up to SPLIT_DEPTH steps of a panel, `depth` rows from b on. Returns whether they are parts. */
static inline bool split_pack(int parts, const float *b, int64_t row_step, int64_t column_step,
                              int64_t depth, int64_t count, uint8_t *dst)
{
    vu32 most[2] = {{0}, {0}};
    vf32 row[2], next[2];
    bool fits = true;
    for (int64_t k = 0; parts > 1 && k < depth; k++) {
        split_load_row(b, row_step, column_step, k, depth, count, row);
        for (int v = 0; v < 2; v++) most[v] = split_largest(most[v], row[v]);
    }
    for (int j = 0; j < 16; j++) fits &= split_fits(most[0][j]) && split_fits(most[1][j]);
    for (int64_t k = 0; k < split_steps(depth) * SPLIT_BLOCK; k += 2) {
        split_load_row(b, row_step, column_step, k, depth, count, row);
        split_load_row(b, row_step, column_step, k + 1, depth, count, next);
        uint8_t *at = dst + k / SPLIT_BLOCK * parts * SPLIT_STEP + k % SPLIT_BLOCK * 64;
        for (int v = 0; v < 2; v++) {
            vu32 even[3], odd[3];
            if (parts == 1) {
                vu32 pair = split_round_pairs(row[v], next[v]);
                memcpy(at + v * SPLIT_LINE, &pair, sizeof pair);
                continue;
            }
            if (fits) {
                split_all(parts, row[v], even);
                split_all(parts, next[v], odd);
            } else {
                split_bits(parts, row[v], even);
                split_bits(parts, next[v], odd);
            }
            for (int q = 0; q < parts; q++) {
                vu32 pair = even[q] >> 16 | odd[q];
                memcpy(at + q * SPLIT_STEP + v * SPLIT_LINE, &pair, sizeof pair);
            }
        }
    }
    return fits;
}

/* ---- a ---------------------------------------------------------------------------------------*/

/* `depth` numbers of one row, in parts or their bits; `exists`: else zeros. Returns the largest, as
 * bits. */
SIMD_INLINE uint32_t split_row(int parts, bool is_parts, bool exists, const float *a, int64_t depth,
                               uint8_t *dst)
{
    vu32 most = {0};
    for (int64_t k = 0; k < depth; k += SPLIT_BLOCK, dst += parts * SPLIT_STEP) {
        vu32 low[3], high[3];
        vf32 x[2] = {{0}, {0}};
        int64_t left = depth - k;
        if (exists && left >= SPLIT_BLOCK) x[0] = vf32_load(a + k), x[1] = vf32_load(a + k + 16);
        else if (exists) {
            x[0] = vf32_load_some(a + k, left < 16 ? left : 16);
            if (left > 16) x[1] = vf32_load_some(a + k + 16, left - 16);
        }
        if (parts == 1) {
            split_halves both = split_round_row(x[0], x[1]);
            memcpy(dst, &both, sizeof both);
            continue;
        }
        most = split_largest(split_largest(most, x[0]), x[1]);
        if (is_parts) {
            split_all(parts, x[0], low);
            split_all(parts, x[1], high);
        } else {
            split_bits(parts, x[0], low);
            split_bits(parts, x[1], high);
        }
        for (int q = 0; q < parts; q++) {
            split_halves both = SPLIT_UPPER(low[q], high[q]);
            memcpy(dst + q * SPLIT_STEP, &both, sizeof both);
        }
    }
    return parts > 1 ? _mm512_reduce_max_epu32((__m512i)most) : 0;
}

/* Up to SPLIT_BLOCK rows and SPLIT_DEPTH steps; rows up to the next 16 become zeros. Returns
 * whether all rows fit. */
SIMD_INLINE bool split_strip(int parts, const float *a, int64_t a_row, int64_t rows, int64_t depth,
                             uint8_t *dst)
{
    bool fits = true;
    for (int64_t i = 0; i < (rows > 16 ? 32 : 16); i++, a += a_row, dst += 2 * SPLIT_BLOCK)
        fits &= split_fits(split_row(parts, true, i < rows, a, depth, dst));
    return fits;
}

/* ---- In f32 ----------------------------------------------------------------------------------*/

/* What there was, from parts or bits of pairs: the first and the second of each. */
SIMD_INLINE void split_join(int parts, bool is_parts, const uint8_t *at, vf32 row[2])
{
    vu32 low = {0}, high = {0};
    row[0] = row[1] = (vf32){0};
    for (int q = parts - 1; q >= 0; q--) {
        vu32 pair;
        memcpy(&pair, at + q * SPLIT_STEP, sizeof pair);
        row[0] += (vf32)(pair << 16);
        row[1] += (vf32)(pair & 0xFFFF0000u);
        if (q == 1) low = pair & 0xFFFFu, high = pair >> 16;
        if (q == 0 && !is_parts) {
            row[0] = (vf32)(pair << 16 | low);
            row[1] = (vf32)((pair & 0xFFFF0000u) | high);
        }
    }
}

/* 32 numbers of a row of a strip. */
static inline void split_join_row(int parts, bool is_parts, const uint8_t *at, float *dst)
{
    vf32 half[2];
    split_join(parts, is_parts, at, half);
    for (int i = 0; i < 16; i++) {
        dst[2 * i] = half[0][i];
        dst[2 * i + 1] = half[1][i];
    }
}

/* c[rows, SPLIT_BLOCK], ldc apart, (+)= a * the panel. Rare, so it need not be fast. */
static __attribute__((noinline, unused)) void split_plain(int parts, bool is_parts, int64_t rows,
                                                          int64_t depth, const float *a,
                                                          int64_t a_row, const uint8_t *panel,
                                                          float *c, int64_t ldc, bool add)
{
    for (int64_t i = 0; !add && i < rows; i++) memset(c + i * ldc, 0, SPLIT_BLOCK * sizeof(float));
    for (int64_t k = 0; k < depth; k += 2) {
        const uint8_t *at = panel + k / SPLIT_BLOCK * parts * SPLIT_STEP + k % SPLIT_BLOCK * 64;
        for (int v = 0; v < 2; v++) {
            vf32 row[2];
            split_join(parts, is_parts, at + v * SPLIT_LINE, row);
            for (int64_t i = 0; i < rows; i++) {
                float *to = c + i * ldc + v * 16;
                vf32 sum = vf32_fma(vf32_set1(a[i * a_row + k]), row[0], vf32_load(to));
                if (k + 1 < depth) sum = vf32_fma(vf32_set1(a[i * a_row + k + 1]), row[1], sum);
                vf32_store(to, sum);
            }
        }
    }
}

#endif
