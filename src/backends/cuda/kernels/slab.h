/* Weights as kernels with slabs want them (slab.cuh): lines of 128 bytes, each of 64 elements of 16
 * bits in parts of 8, which are exclusive-ored with the number of the line. */
#ifndef TN_BACKENDS_CUDA_KERNELS_SLAB_H
#define TN_BACKENDS_CUDA_KERNELS_SLAB_H

#include <string.h>

#include "device/device.h"

enum { TN_SLAB_DEPTH = 64, TN_SLAB_LINE = 128, TN_SLAB_PART = 8 };

static inline int64_t tn_slab_count(int64_t rows)
{
    return (rows + TN_SLAB_DEPTH - 1) / TN_SLAB_DEPTH;
}

/* Columns [first, first + count) of w [rows, columns], turned, as lines from number `at` on of
 * slabs of `lines`. What lies behind the last row is left alone. */
static inline void tn_slab_turn(const uint16_t *w, int64_t rows, int64_t columns, int64_t first,
                                int64_t count, int64_t at, int64_t lines, uint8_t *to)
{
    for (int64_t n = 0; n < count; n++)
        for (int64_t k = 0; k < rows; k++) {
            int64_t line = k / TN_SLAB_DEPTH * lines + at + n;
            int64_t part = k % TN_SLAB_DEPTH / TN_SLAB_PART ^ (at + n) % 8;
            memcpy(to + line * TN_SLAB_LINE + part * 16 + k % TN_SLAB_PART * 2,
                   w + k * columns + first + n, 2);
        }
}

#endif
