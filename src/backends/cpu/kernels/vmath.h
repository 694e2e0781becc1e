/* exp, tanh, sigmoid and erf on vectors of float. The bounds stated are those that
 * tests/unit/test_vmath.c holds them to. NaN stays NaN. */
#ifndef TN_BACKENDS_CPU_VMATH_H
#define TN_BACKENDS_CPU_VMATH_H

#include "backends/cpu/kernels/simd.h"

/* x = n * ln 2 + r with |r| <= ln 2 / 2; x must be within +-127. ln 2 is in two pieces, the first
 * short enough for n * hi to be exact. n comes from adding 1.5 * 2^23, which rounds to an integer.
 */
static inline vf32 vf32_split_exp(vf32 x, vf32 *n)
{
    vf32 magic = vf32_set1(12582912.0f);
    *n = vf32_fma(x, vf32_set1(1.44269504f), magic) - magic;
    vf32 r = vf32_fma(*n, vf32_set1(-0.693359375f), x);
    return vf32_fma(*n, vf32_set1(2.12194440e-4f), r);
}

/* exp(r) - 1 for |r| <= ln 2 / 2: r + r^2 P(r), P a fit that leaves an error of 8e-9. */
static inline vf32 vf32_expm1_small(vf32 r)
{
    vf32 p = vf32_set1(0.0013933690497651696f);
    p = vf32_fma(p, r, vf32_set1(0.008363206870853901f));
    p = vf32_fma(p, r, vf32_set1(0.041666463017463684f));
    p = vf32_fma(p, r, vf32_set1(0.16666576266288757f));
    p = vf32_fma(p, r, vf32_set1(0.5f));
    return vf32_fma(p, r * r, r);
}

/* y * 2^n for an integer n from -126 to 127. */
static inline vf32 vf32_times_power(vf32 y, vf32 n)
{
#if defined(__AVX512F__)
    return (vf32)_mm512_scalef_ps((__m512)y, (__m512)n);
#else
    return y * (vf32)((__builtin_convertvector(n, vi32) + 127) << 23);
#endif
}

/* exp from -105 to 89, subnormal results included: in two factors, but for the instruction that can
 * do without. */
static inline vf32 vf32_exp_inside(vf32 x)
{
    vf32 n, r = vf32_split_exp(x, &n), y = vf32_expm1_small(r) + 1.0f;
#if defined(__AVX512F__)
    return vf32_times_power(y, n);
#else
    vi32 all = __builtin_convertvector(n, vi32), half = all >> 1;
    return y * (vf32)((half + 127) << 23) * (vf32)((all - half + 127) << 23);
#endif
}

/* exp: 2 ulp, infinity and zero included. */
static inline vf32 vf32_exp(vf32 x)
{
    return vf32_exp_inside(vf32_max(vf32_set1(-105.0f), vf32_min(vf32_set1(89.0f), x)));
}

/* 1 / (1 + exp(-x)): 3 ulp of results that are normal numbers. */
static inline vf32 vf32_sigmoid(vf32 x)
{
    return 1.0f / (1.0f + vf32_exp(-x));
}

/* tanh |x| = e / (e + 2) with e = exp(2 |x|) - 1 = 2^n * (exp(r) - 1) + (2^n - 1): 4 ulp, without
 * cancellation near 0. Beyond 10 it is 1 to the last bit. */
static inline vf32 vf32_tanh(vf32 x)
{
    vi32 sign = (vi32)x & INT32_MIN;
    vf32 n, size = vf32_min(vf32_set1(10.0f), vf32_abs(x));
    vf32 r = vf32_split_exp(size * 2.0f, &n);
    vf32 scale = vf32_times_power(vf32_set1(1.0f), n);
    vf32 e = vf32_fma(scale, vf32_expm1_small(r), scale - 1.0f);
    return (vf32)((vi32)(e / (e + 2.0f)) | sign);
}

/* tanh as a fraction, x P(x^2) over Q(x^2): P and Q are fits on [-9, 9] with a relative error of
 * 2e-8. Together with the division: 6 ulp, so 3e-7 near 1, which it may pass by one ulp; two thirds
 * of the work of vf32_tanh. Products of such fractions need one division. *below is 1 to 420. */
static inline vf32 vf32_tanh_fraction(vf32 x, vf32 *below)
{
    x = vf32_max(vf32_set1(-9.0f), vf32_min(vf32_set1(9.0f), x));
    vf32 t = x * x, p = vf32_set1(1.3354683581212612e-08f), q = vf32_set1(7.776567940709356e-07f);
    p = vf32_fma(p, t, vf32_set1(2.0609099010471255e-05f));
    q = vf32_fma(q, t, vf32_set1(0.00032856364850886166f));
    p = vf32_fma(p, t, vf32_set1(0.003495589131489396f));
    q = vf32_fma(q, t, vf32_set1(0.025876985862851143f));
    p = vf32_fma(p, t, vf32_set1(0.13381026685237885f));
    q = vf32_fma(q, t, vf32_set1(0.4671434164047241f));
    p = vf32_fma(p, t, vf32_set1(1.0f));
    *below = vf32_fma(q, t, vf32_set1(1.0f));
    return x * p;
}

/* erf below 1: x * P(x^2), P a least-squares fit at Chebyshev nodes of t in [0, 1], error 1.4e-9.
 */
static inline vf32 vf32_erf_small(vf32 x)
{
    vf32 t = x * x, p = vf32_set1(7.898201874922961e-05f);
    p = vf32_fma(p, t, vf32_set1(-0.000802435155492276f));
    p = vf32_fma(p, t, vf32_set1(0.0051900530233979225f));
    p = vf32_fma(p, t, vf32_set1(-0.026854807510972023f));
    p = vf32_fma(p, t, vf32_set1(0.11283612251281738f));
    p = vf32_fma(p, t, vf32_set1(-0.3761262893676758f));
    p = vf32_fma(p, t, vf32_set1(1.128379225730896f));
    return x * p;
}

/* 1 - erf from 1 on: exp(-x^2) * t * Q(t) with t = 1 / (1 + x), where Q is a fit of the same kind
 * on [1, 10.3], relative error 1e-7. What x * x rounds off grows with it: 1e-6 at 4, 6e-6 at 9. */
static inline vf32 vf32_erfc_tail(vf32 x)
{
    vf32 t = 1.0f / (1.0f + x), p = vf32_set1(-1.0562779903411865f);
    p = vf32_fma(p, t, vf32_set1(2.350208044052124f));
    p = vf32_fma(p, t, vf32_set1(-1.634935975074768f));
    p = vf32_fma(p, t, vf32_set1(-0.09220141917467117f));
    p = vf32_fma(p, t, vf32_set1(0.26001766324043274f));
    p = vf32_fma(p, t, vf32_set1(0.5655533075332642f));
    p = vf32_fma(p, t, vf32_set1(0.5641550421714783f));
    return vf32_exp(-x * x) * (t * p);
}

/* erf: 3 ulp. */
static inline vf32 vf32_erf(vf32 x)
{
    vi32 sign = (vi32)x & INT32_MIN;
    vf32 size = vf32_abs(x);
    vf32 y = vf32_select((vi32)(size < 1.0f), vf32_erf_small(size), 1.0f - vf32_erfc_tail(size));
    return (vf32)((vi32)y | sign);
}

/* The normal distribution, (1 + erf(x / sqrt(2))) / 2. Of -|x| it is exp(-x^2 / 2) * t * Q(t) with
 * t = 1 / (1 + 0.3 |x|), where Q is a fit on [0, 13.3], relative error 1.5e-7: no cancellation
 * where it is near 0. What x * x rounds off grows with it: 1e-6 at -6, 5e-6 at -12. */
static inline vf32 vf32_normal(vf32 x)
{
    vf32 size = vf32_min(vf32_set1(20.0f), vf32_abs(x)), p = vf32_set1(0.036036454141139984f);
    vf32 t = vf32_ratio(vf32_set1(1.0f), vf32_fma(size, vf32_set1(0.3f), vf32_set1(1.0f)));
    p = vf32_fma(p, t, vf32_set1(-0.1587141901254654f));
    p = vf32_fma(p, t, vf32_set1(0.2089655101299286f));
    p = vf32_fma(p, t, vf32_set1(-0.0560966432094574f));
    p = vf32_fma(p, t, vf32_set1(0.1298437863588333f));
    p = vf32_fma(p, t, vf32_set1(0.09952296316623688f));
    p = vf32_fma(p, t, vf32_set1(0.1208169087767601f));
    p = vf32_fma(p, t, vf32_set1(0.11962516605854034f));
    vf32 tail = vf32_exp_inside(vf32_max(vf32_set1(-105.0f), x * x * -0.5f)) * (t * p);
    return vf32_select((vi32)(x < 0.0f), tail, 1.0f - tail);
}

static inline vf32 vf32_gelu(vf32 x)
{
    return x * vf32_normal(x);
}

/* x * (1 + tanh u) / 2, which is x * sigmoid 2u and does not cancel where u is far below 0. */
static inline vf32 vf32_gelu_tanh(vf32 x)
{
    vf32 twice = x * 1.5957691f * vf32_fma(x * x, vf32_set1(0.044715f), vf32_set1(1.0f));
    return x * vf32_sigmoid(twice);
}

#endif
