/* The cell of LSTM and GRU on vectors of units.
 *
 * GRU has four gates too: z, r and the two parts of its candidate, from x and from h, which the
 * reset keeps apart. What the sigmoid gates get is halved: sigmoid(x) = tanh(x / 2) / 2 + 1/2. */
#ifndef TN_BACKENDS_CPU_RECURRENT_CELL_H
#define TN_BACKENDS_CPU_RECURRENT_CELL_H

#include <stdbool.h>

#include "backends/cpu/kernels/vmath.h"

#define STACK_CELL_NS 16.0 /* of a vector of units */

/* The four gates and the state, c or the h before, to h. With tanh (x / 2) = p / q, sigmoid x is
 * (p + q) / 2 q. */
SIMD_INLINE vf32 stack_cell(bool is_gru, const vf32 gate[4], vf32 *state)
{
    vf32 half = vf32_set1(0.5f), below[4], above[4];
    for (int i = 0; i < (is_gru ? 2 : 4); i++) above[i] = vf32_tanh_fraction(gate[i], &below[i]);
    if (is_gru) { /* z, r */
        vf32 z = vf32_ratio((above[0] + below[0]) * half, below[0]);
        vf32 r = vf32_ratio((above[1] + below[1]) * half, below[1]);
        vf32 up = vf32_tanh_fraction(vf32_fma(r, gate[3], gate[2]), &below[2]);
        vf32 candidate = vf32_ratio(up, below[2]);
        return *state = vf32_fma(z, *state - candidate, candidate);
    }
    vf32 more = vf32_ratio((above[0] + below[0]) * above[3], below[0] * below[3]);
    vf32 kept = vf32_ratio(above[2] + below[2], below[2]);
    *state = half * vf32_fma(kept, *state, more);
    vf32 up = vf32_tanh_fraction(*state, &below[0]);
    return vf32_ratio((above[1] + below[1]) * half * up, below[1] * below[0]);
}

#endif
