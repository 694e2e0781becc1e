/* The products of Winograd's convolutions: `tile` outputs under a kernel of r taps need tile + r -
 * 1 products along an axis instead of tile * r. An input patch d and the weights g are taken as
 * polynomials, evaluated at the points 0, a, -a (, b, -b) and infinity, multiplied there, and the
 * outputs read off:
 *
 *     y = A' [ (G g G') * (B' d B) ] A          in both axes, * element by element
 *
 * Points that are symmetrical share their even and odd parts. a = 3/4, b = 3/2 are exact in binary
 * and keep the rounding error of six points at half of what the usual 1 and 2 give: 0.7e-6 to 2e-6
 * relative L2 for 64 to 512 channels, where four points (a = 1) have 0.3e-6 to 0.7e-6. */
#ifndef TN_BACKENDS_CPU_WINOGRAD_H
#define TN_BACKENDS_CPU_WINOGRAD_H

#include "backends/cpu/kernels/simd.h"

#define WINOGRAD_POINTS_MAX 6
#define WINOGRAD_A 0.75f
#define WINOGRAD_B 1.5f

/* out[points] = G g: `taps` weights that lie `step` apart. */
static inline void winograd_weights(int points, int taps, const double *g, int64_t step,
                                    double *out)
{
    const double a = points == 4 ? 1 : WINOGRAD_A, b = WINOGRAD_B;
    const double at[WINOGRAD_POINTS_MAX] = {0, a, -a, b, -b, 0};
    double scale[WINOGRAD_POINTS_MAX] = {a * a, 2 * a * a, 2 * a * a};
    if (points == 6) {
        scale[0] *= b * b;
        scale[1] = scale[2] *= a * a - b * b;
        scale[3] = scale[4] = 2 * b * b * (b * b - a * a);
    }
    for (int i = 0; i < points - 1; i++) {
        double sum = 0;
        for (int k = taps - 1; k >= 0; k--) sum = sum * at[i] + g[k * step];
        out[i * step] = sum / scale[i];
    }
    out[(points - 1) * step] = g[(taps - 1) * step];
}

/* out = B' d, of vectors that lie `step` apart in both. */
SIMD_INLINE void winograd_input(int points, const vf32 *d, int step, vf32 *out)
{
    if (points == 4) {
        out[0] = d[0] - d[2 * step];
        out[step] = d[2 * step] + d[step];
        out[2 * step] = d[2 * step] - d[step];
        out[3 * step] = d[3 * step] - d[step];
        return;
    }
    const float a = WINOGRAD_A, b = WINOGRAD_B;
    const vf32 aa = vf32_set1(-a * a), bb = vf32_set1(-b * b);
    const vf32 both = vf32_set1(-(a * a + b * b)), product = vf32_set1(a * a * b * b);
    vf32 d0 = d[0], d1 = d[step], d2 = d[2 * step], d3 = d[3 * step], d4 = d[4 * step];
    vf32 even = vf32_fma(bb, d2, d4), odd = vf32_fma(bb, d1, d3) * a;
    vf32 even_b = vf32_fma(aa, d2, d4), odd_b = vf32_fma(aa, d1, d3) * b;
    out[0] = vf32_fma(product, d0, vf32_fma(both, d2, d4));
    out[step] = even + odd;
    out[2 * step] = even - odd;
    out[3 * step] = even_b + odd_b;
    out[4 * step] = even_b - odd_b;
    out[5 * step] = vf32_fma(product, d1, vf32_fma(both, d3, d[5 * step]));
}

/* out[tile] = A' m. */
SIMD_INLINE void winograd_output(int points, int tile, const vf32 *m, int step, vf32 *out,
                                 int out_step)
{
    vf32 sum = m[step] + m[2 * step], rest = m[step] - m[2 * step];
    if (points == 4) {
        out[0] = m[0] + sum;
        out[out_step] = rest + m[3 * step];
        return;
    }
    const float a = WINOGRAD_A, b = WINOGRAD_B;
    vf32 sum_b = m[3 * step] + m[4 * step], rest_b = m[3 * step] - m[4 * step];
    vf32 last = m[5 * step];
    out[0] = m[0] + sum + sum_b;
    if (tile == 2) {
        out[out_step] = vf32_fma(vf32_set1(a), rest, vf32_fma(vf32_set1(b), rest_b, last));
        return;
    }
    out[out_step] = vf32_fma(vf32_set1(a), rest, vf32_set1(b) * rest_b);
    out[2 * out_step] = vf32_fma(vf32_set1(a * a), sum, vf32_set1(b * b) * sum_b);
    out[3 * out_step] =
        vf32_fma(vf32_set1(a * a * a), rest, vf32_fma(vf32_set1(b * b * b), rest_b, last));
}

#endif
