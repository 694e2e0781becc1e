/* A dot product of words of bytes, four or two of them, in each lane of vectors. */
#ifndef TN_BACKENDS_CPU_WORDS_DOT_H
#define TN_BACKENDS_CPU_WORDS_DOT_H

#include "backends/cpu/kernels/simd.h"
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#if defined(__AVX512VNNI__)
#define WORDS_MACS_NS 200 /* multiply-adds in a nanosecond, for estimates */
enum { WORD = 4 };
typedef uint8_t part;     /* of a word of x */
typedef int8_t part_of_w; /* of a word of weights */

SIMD_INLINE vi32 words_dot(vi32 sum, vi32 x, vi32 w)
{
    return (vi32)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)x, (__m512i)w);
}
#else
#define WORDS_MACS_NS (5 * VF32_LANES)
enum { WORD = 2 };
typedef uint16_t part;
typedef int16_t part_of_w;

SIMD_INLINE vi32 words_dot(vi32 sum, vi32 x, vi32 w)
{
#if defined(__AVX2__)
    return sum + (vi32)_mm256_madd_epi16((__m256i)x, (__m256i)w);
#elif defined(__SSE2__)
    return sum + (vi32)_mm_madd_epi16((__m128i)x, (__m128i)w);
#else
    return sum + (x & 0xffff) * (w << 16 >> 16) + (x >> 16) * (w >> 16);
#endif
}
#endif

/* A short loop over an array that is to be registers: gcc unrolls others too late for that. */
#if defined(__clang__) || defined(TN_DEBUG)
#define WORDS_EACH(i, count) for (int i = 0; i < (count); i++)
#else
#define WORDS_EACH(i, count) _Pragma("GCC unroll 16") for (int i = 0; i < (count); i++)
#endif

SIMD_INLINE vi32 words_set1(uint32_t word)
{
    return (int32_t)word - (vi32){0};
}

#endif
