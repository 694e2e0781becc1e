/* How long convolutions take, roughly: what ranks their kernels where nothing was measured, and
 * spares measuring what is out of the question. One thread; the figures are those of a core at some
 * 3.5 GHz, and hold in proportion only. */
#ifndef TN_BACKENDS_CPU_CONV_COST_H
#define TN_BACKENDS_CPU_CONV_COST_H

#include "backends/cpu/kernels/simd.h"

#define COST_VECTORS_NS 3.2     /* vectors multiplied and added, or moved, in a nanosecond */
#define COST_BYTES_NS 20.0      /* bytes of weights that arrive from memory in one */
#define COST_L2_BYTES_NS 70.0   /* and from the second cache, */
#define COST_L2_BYTES (3 << 19) /* if there are no more than these */

/* Vectors that `count` numbers side by side take. */
static inline double cost_vectors(int64_t count)
{
    return (double)((count + VF32_LANES - 1) / VF32_LANES);
}

static inline double cost_ns(double vectors, double weight_floats)
{
    return vectors / COST_VECTORS_NS + weight_floats * (double)sizeof(float) / COST_BYTES_NS;
}

#endif
