/* How long convolutions take, roughly: what ranks their kernels where nothing was measured. One
 * thread; the figures are those of a core at some 3.5 GHz and hold in proportion only. */
#ifndef TN_BACKENDS_CPU_CONV_COST_H
#define TN_BACKENDS_CPU_CONV_COST_H

#include "backends/cpu/kernels/simd.h"
#include "device/device.h"
#include "ops/conv/conv.h"

#define COST_VECTORS_NS 3.2 /* vectors multiplied and added in a nanosecond */
#define COST_BYTES_NS 20.0  /* bytes of weights that arrive from memory in one */

static inline double cost_vectors(double count)
{
    return (double)(int64_t)((count + VF32_LANES - 1) / VF32_LANES);
}

/* Sums of `depth` products each for m rows of n lanes, and what is done to each number of the left
 * and of the right side once, in vector operations. */
static inline double cost_product_ns(double m, double n, double depth, double each)
{
    double products = m * cost_vectors(n) * depth;
    return (products + each * (m * depth + n * depth) / VF32_LANES) / COST_VECTORS_NS;
}

#endif
