/* What becomes of the sums of conv_bytes_last.c: round((sum + whole) * quick) and a zero point, as
 * a byte, and, if there is something to add, that of the sum. In floats, which tell where they
 * might round otherwise than the operator does. */
#ifndef TN_BACKENDS_CPU_LAST_ENDS_H
#define TN_BACKENDS_CPU_LAST_ENDS_H

#include "backends/cpu/kernels/simd.h"
#include "base/memory.h"

#define OFF_MAX 0.49995f  /* of what floats may round: they are off by less than 5e-5 */
#define LARGE 1e9f        /* what surely is an integer of 32 bits */
#define MAGIC 12582912.0f /* 1.5 * 2^23: what is added to it is rounded */

typedef int8_t vi8 __attribute__((vector_size(VF32_LANES)));

SIMD_INLINE vf32 larger(vf32 a, vf32 b)
{
#if defined(__AVX512F__)
    enum { LARGER_MAGNITUDE = 11 };
    return (vf32)_mm512_range_ps((__m512)a, (__m512)b, LARGER_MAGNITUDE);
#else
    return vf32_max(a, vf32_abs(b));
#endif
}

/* To the nearest integer, ties to even; beyond [-1023, 1023] to something beyond, and 0 for what is
 * no number. tame: it is one, and no larger than LARGE. */
SIMD_INLINE vi32 round_all(vf32 x, bool tame)
{
#if defined(__AVX512F__)
    if (tame) return (vi32)_mm512_cvtps_epi32((__m512)x);
#endif
    (void)tame;
    x = vf32_select((vi32)(x == x), x, (vf32){0});
    x = vf32_min(vf32_max(x, vf32_set1(-1023)), vf32_set1(1023));
    return __builtin_convertvector((x + MAGIC) - MAGIC, vi32);
}

SIMD_INLINE vi32 saturate(vi32 near)
{
    const vi32 high = 127 - (vi32){0}, low = -128 - (vi32){0};
#if defined(__AVX512F__)
    near = (vi32)_mm512_max_epi32((__m512i)near, (__m512i)low);
    return (vi32)_mm512_min_epi32((__m512i)near, (__m512i)high);
#elif defined(__AVX2__)
    near = (vi32)_mm256_max_epi32((__m256i)near, (__m256i)low);
    return (vi32)_mm256_min_epi32((__m256i)near, (__m256i)high);
#else
    vi32 above = near > high, below = near < low;
    return (near & ~above & ~below) | (high & above) | (low & below);
#endif
}

SIMD_INLINE vi8 to_bytes(vi32 near)
{
#if defined(__AVX512F__)
    return (vi8)_mm512_cvtsepi32_epi8((__m512i)near);
#else
    return __builtin_convertvector(saturate(near), vi8);
#endif
}

/* Of a strip: whole and quick of its outputs; zero points and scales of y, of what is added and of
 * the sum, bytes as numbers with a sign. */
typedef struct ending {
    const int32_t *whole;
    const float *quick;
    bool adds;
    vf32 magic; /* MAGIC and the zero point of y */
    vi32 y_zero, more_zero, sum_zero;
    vf32 y_scale, more_scale, scale;
    vi8 y_flip, more_flip;
} ending;

/* Where the outputs of a tile go to, and what is added to them: rows `step` apart. */
typedef struct place {
    uint8_t *y;
    const uint8_t *more;
    int64_t step;
} place;

/* y, less its zero point, and what is to be added to it, as QuantizedAdd has it. */
SIMD_INLINE vi8 end_sum(const ending *e, bool tame, vi32 y, const uint8_t *more)
{
    vi8 bytes;
    memcpy(&bytes, more, sizeof bytes);
    vi32 wide = __builtin_convertvector(bytes ^ e->more_flip, vi32);
    vf32 x = __builtin_convertvector(y, vf32) * e->y_scale;
    x += __builtin_convertvector(wide - e->more_zero, vf32) * e->more_scale;
    return to_bytes(round_all(x / e->scale, tame) + e->sum_zero) ^ e->y_flip;
}

/* Some outputs of one position; off: the most that any number was moved by rounding it. */
SIMD_INLINE vi8 end_vector(const ending *e, bool adds, vi32 sum, vi32 whole, vf32 quick,
                           const uint8_t *more, vf32 *off)
{
    vf32 x = __builtin_convertvector(sum + whole, vf32);
    vf32 near = vf32_fma(x, quick, e->magic);
    *off = larger(*off, vf32_fma(x, quick, e->magic - near));
    vi32 y = (vi32)near - (vi32)vf32_set1(MAGIC);
    if (!adds) return to_bytes(y) ^ e->y_flip;
    return end_sum(e, true, saturate(y) - e->y_zero, more);
}

SIMD_INLINE vi32 ends_load(const int32_t *src)
{
    vi32 v;
    memcpy(&v, src, sizeof v);
    return v;
}

/* Those of a tile, from memory. */
SIMD_INLINE vf32 ends_run(const ending *e, bool adds, int64_t rows, int64_t lanes,
                          const int32_t *sums, const place *to)
{
    vf32 off = {0};
    for (int64_t v = 0; v < lanes; v += VF32_LANES) {
        vi32 whole = ends_load(e->whole + v);
        vf32 quick = vf32_load(e->quick + v);
        for (int64_t i = 0; i < rows; i++) {
            int64_t at = i * to->step + v;
            vi8 bytes = end_vector(e, adds, ends_load(sums + i * lanes + v), whole, quick,
                                   adds ? to->more + at : NULL, &off);
            memcpy(to->y + at, &bytes, sizeof bytes);
        }
    }
    return off;
}

/* False: some are next to the middle of two integers. */
static inline bool ends_tile(const ending *e, int64_t rows, int64_t lanes, const int32_t *sums,
                             const place *to)
{
    vf32 off = e->adds ? ends_run(e, true, rows, lanes, sums, to)
                       : ends_run(e, false, rows, lanes, sums, to);
    return !vf32_any((vi32)(off > OFF_MAX));
}

#endif
