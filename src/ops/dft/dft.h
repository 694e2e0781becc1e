/* Fourier transforms: DFT and STFT share one complex transform of any length. */
#ifndef TN_OPS_DFT_H
#define TN_OPS_DFT_H

#include <stdbool.h>
#include <stdint.h>

typedef struct tn_dft_params {
    int64_t inverse, onesided;
} tn_dft_params;

typedef struct tn_stft_params {
    int64_t onesided;
} tn_stft_params;

/* Complex numbers are pairs of doubles. y[k] = sum of x[n] * e^(-2 pi i k n / count); with
 * `inverse` the exponent's sign turns and the sum is divided by count. roots and spare: 2 * count
 * doubles each, roots as tn_fourier_roots filled them. x is read only, and not y. */
void tn_fourier_roots(int64_t count, double *roots);
void tn_fourier(int64_t count, const double *roots, bool inverse, const double *x, double *y,
                double *spare);
#define TN_FOURIER_DOUBLES 8 /* for each element: roots, spare, x, y */

#endif
