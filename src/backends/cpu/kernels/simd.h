/* Vectors of float for kernels: vf32 is as wide as the variant's registers (GCC vector types, so +
 * - * / and comparisons work on it). The scalar variant uses 4 lanes, which every machine can do
 * somehow, and 64-bit Arm by NEON. Everything is static: no variant can lend its instructions to
 * another. */
#ifndef TN_BACKENDS_CPU_SIMD_H
#define TN_BACKENDS_CPU_SIMD_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__)
#include <immintrin.h>
#define VF32_LANES 16
#elif defined(__AVX2__)
#include <immintrin.h>
#define VF32_LANES 8
#else
#if defined(__aarch64__)
#include <arm_neon.h>
#endif
#define VF32_LANES 4
#endif

/* A kernel's parts are one function each time it is called with other constants. In a Debug build
 * the compiler may leave them apart: under sanitizers all those copies take minutes to compile. */
#ifdef TN_DEBUG
#define SIMD_INLINE static inline
#else
#define SIMD_INLINE static inline __attribute__((always_inline))
#endif

typedef float vf32 __attribute__((vector_size(VF32_LANES * 4)));
typedef int32_t vi32 __attribute__((vector_size(VF32_LANES * 4)));

/* Every second number of two vectors, for __builtin_shufflevector. */
#if VF32_LANES == 16
#define VF32_EVENS 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30
#define VF32_ODDS 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31
#elif VF32_LANES == 8
#define VF32_EVENS 0, 2, 4, 6, 8, 10, 12, 14
#define VF32_ODDS 1, 3, 5, 7, 9, 11, 13, 15
#else
#define VF32_EVENS 0, 2, 4, 6
#define VF32_ODDS 1, 3, 5, 7
#endif

static inline vf32 vf32_load(const float *src)
{
    vf32 v;
    memcpy(&v, src, sizeof v);
    return v;
}

static inline void vf32_store(float *dst, vf32 v)
{
    memcpy(dst, &v, sizeof v);
}

#if defined(__AVX2__) && !defined(__AVX512F__)
/* All ones in the first `count` lanes. */
static inline __m256i vf32_lanes(int64_t count)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)count),
                              _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
#endif

/* The first `count` lanes (0 to all), zeros behind; nothing beyond them is read. */
static inline vf32 vf32_load_some(const float *src, int64_t count)
{
#if defined(__AVX512F__)
    return (vf32)_mm512_maskz_loadu_ps((__mmask16)((1u << count) - 1), src);
#elif defined(__AVX2__)
    return (vf32)_mm256_maskload_ps(src, vf32_lanes(count));
#else
    vf32 v = {0};
    if (count == VF32_LANES) return vf32_load(src);
    memcpy(&v, src, (size_t)count * sizeof(float));
    return v;
#endif
}

/* The lanes whose bits are set, zeros elsewhere; nothing else is read. */
static inline vf32 vf32_load_bits(const float *src, uint64_t bits)
{
#if defined(__AVX512F__)
    return (vf32)_mm512_maskz_loadu_ps((__mmask16)bits, src);
#elif defined(__AVX2__)
    const __m256i lane = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
    __m256i mask = _mm256_and_si256(_mm256_set1_epi32((int)(bits & 255)), lane);
    return (vf32)_mm256_maskload_ps(src, _mm256_cmpeq_epi32(mask, lane));
#else
    const uint64_t all = (1 << VF32_LANES) - 1;
    vf32 v = {0};
    if ((bits & all) == all) return vf32_load(src);
    for (int i = 0; i < VF32_LANES; i++)
        if (bits >> i & 1) v[i] = src[i];
    return v;
#endif
}

static inline void vf32_store_some(float *dst, vf32 v, int64_t count)
{
#if defined(__AVX512F__)
    _mm512_mask_storeu_ps(dst, (__mmask16)((1u << count) - 1), (__m512)v);
#elif defined(__AVX2__)
    _mm256_maskstore_ps(dst, vf32_lanes(count), (__m256)v);
#else
    if (count == VF32_LANES) vf32_store(dst, v);
    else memcpy(dst, &v, (size_t)count * sizeof(float));
#endif
}

static inline vf32 vf32_set1(float x)
{
    return x - (vf32){0};
}

/* a * b + c; one rounding where the variant has the instruction. */
static inline vf32 vf32_fma(vf32 a, vf32 b, vf32 c)
{
#if defined(__AVX512F__)
    return (vf32)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__AVX2__)
    return (vf32)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#elif defined(__aarch64__)
    return (vf32)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#else
    return a * b + c;
#endif
}

/* Lanes of a where the mask is all ones, of b where it is zero. */
static inline vf32 vf32_select(vi32 mask, vf32 a, vf32 b)
{
    return (vf32)(((vi32)a & mask) | ((vi32)b & ~mask));
}

/* Is any lane of a mask all ones? */
static inline bool vf32_any(vi32 mask)
{
#if defined(__AVX512F__)
    return _mm512_test_epi32_mask((__m512i)mask, (__m512i)mask) != 0;
#elif defined(__AVX2__)
    return _mm256_movemask_ps((__m256)mask) != 0;
#else
    return (mask[0] | mask[1] | mask[2] | mask[3]) != 0;
#endif
}

/* b where either is NaN in a: max(x, bound) lets a NaN of `x` through as vf32_max(bound, x). */
static inline vf32 vf32_max(vf32 a, vf32 b)
{
#if defined(__AVX512F__)
    return (vf32)_mm512_max_ps((__m512)a, (__m512)b);
#elif defined(__AVX2__)
    return (vf32)_mm256_max_ps((__m256)a, (__m256)b);
#endif
    return vf32_select((vi32)(a > b), a, b);
}

static inline vf32 vf32_min(vf32 a, vf32 b)
{
#if defined(__AVX512F__)
    return (vf32)_mm512_min_ps((__m512)a, (__m512)b);
#elif defined(__AVX2__)
    return (vf32)_mm256_min_ps((__m256)a, (__m256)b);
#endif
    return vf32_select((vi32)(a < b), a, b);
}

static inline vf32 vf32_abs(vf32 x)
{
    return (vf32)((vi32)x & (INT32_MAX - (vi32){0}));
}

/* a / b to 1 ulp or so, for b from 2^-126 to 2^125: an estimate of 1 / b and a step of Newton's. */
static inline vf32 vf32_ratio(vf32 a, vf32 b)
{
#if defined(__AVX512F__)
    __m512 r = _mm512_rcp14_ps((__m512)b);
    __m512 rest = _mm512_fnmadd_ps((__m512)b, r, _mm512_set1_ps(1.0f));
    return a * (vf32)_mm512_fmadd_ps(r, rest, r);
#else
    return a / b;
#endif
}

static inline vf32 vf32_sqrt(vf32 x)
{
#if defined(__AVX512F__)
    return (vf32)_mm512_sqrt_ps((__m512)x);
#elif defined(__AVX2__)
    return (vf32)_mm256_sqrt_ps((__m256)x);
#elif defined(__aarch64__)
    return (vf32)vsqrtq_f32((float32x4_t)x);
#else
    for (int i = 0; i < VF32_LANES; i++) x[i] = sqrtf(x[i]);
    return x;
#endif
}

/* Lane i is number index[i] of the 2 * VF32_LANES in low and high. */
static inline vf32 vf32_choose(vf32 low, vf32 high, vi32 index)
{
#if defined(__AVX512F__)
    return (vf32)_mm512_permutex2var_ps((__m512)low, (__m512i)index, (__m512)high);
#elif defined(__AVX2__)
    vf32 a = (vf32)_mm256_permutevar8x32_ps((__m256)low, (__m256i)index);
    vf32 b = (vf32)_mm256_permutevar8x32_ps((__m256)high, (__m256i)index);
    return vf32_select((vi32)(index < VF32_LANES), a, b);
#else
    float all[2 * VF32_LANES];
    vf32 v;
    memcpy(all, &low, sizeof low);
    memcpy(all + VF32_LANES, &high, sizeof high);
    for (int i = 0; i < VF32_LANES; i++) v[i] = all[index[i]];
    return v;
#endif
}

/* Halves are added to halves: the same order in every variant of one width. */
static inline float vf32_sum(vf32 v)
{
#if VF32_LANES == 16
    v += __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15);
    v += __builtin_shufflevector(v, v, 4, 5, 6, 7, 4, 5, 6, 7, 4, 5, 6, 7, 4, 5, 6, 7);
    v += __builtin_shufflevector(v, v, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3);
#elif VF32_LANES == 8
    v += __builtin_shufflevector(v, v, 4, 5, 6, 7, 4, 5, 6, 7);
    v += __builtin_shufflevector(v, v, 2, 3, 2, 3, 2, 3, 2, 3);
#else
    v += __builtin_shufflevector(v, v, 2, 3, 2, 3);
#endif
    return v[0] + v[1];
}

static inline float vf32_largest(vf32 v)
{
    float best = v[0];
    for (int i = 1; i < VF32_LANES; i++)
        if (v[i] > best || v[i] != v[i]) best = v[i];
    return best;
}

#endif
