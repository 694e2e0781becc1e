/* Tiles of products of words of bytes, for conv_bytes.c: by dot products of four or two bytes in
 * the lanes of vectors. */
#ifndef TN_BACKENDS_CPU_WORDS_DOTS_H
#define TN_BACKENDS_CPU_WORDS_DOTS_H

#include <stdbool.h>

#include "backends/cpu/kernels/tile.h"
#include "backends/cpu/kernels/words_dot.h"

enum { WORDS_ROWS = TILE_ROWS, WORDS_ROWS_OF = 1, WORDS_STEP = 1 };

static inline void words_begin(void)
{
}

static inline void words_end(void)
{
}

/* `rows` and `vectors` are constants at every call: the sums are registers. */
SIMD_INLINE void words_run(int rows, int vectors, int64_t k, const uint32_t *w, const float *panel,
                           int32_t *sums, bool add)
{
    vi32 sum[TILE_ROWS][TILE_VECTORS];
    for (int i = 0; i < rows; i++)
        for (int v = 0; v < vectors; v++) {
            sum[i][v] = (vi32){0};
            if (add) memcpy(&sum[i][v], sums + i * TILE_COLUMNS + v * VF32_LANES, sizeof(vi32));
        }
    for (; k > 0; k--, w += rows, panel += TILE_COLUMNS) {
        vi32 x[TILE_VECTORS];
        for (int v = 0; v < vectors; v++) memcpy(&x[v], panel + v * VF32_LANES, sizeof x[v]);
        for (int i = 0; i < rows; i++)
            for (int v = 0; v < vectors; v++)
                sum[i][v] = words_dot(sum[i][v], x[v], words_set1(w[i]));
    }
    for (int i = 0; i < rows; i++)
        for (int v = 0; v < vectors; v++)
            memcpy(sums + i * TILE_COLUMNS + v * VF32_LANES, &sum[i][v], sizeof(vi32));
}

#define WORDS_CASE(rows)                                                                           \
    case rows:                                                                                     \
        if (count > VF32_LANES) words_run(rows, 2, k, w, panel, sums, add);                        \
        else words_run(rows, 1, k, w, panel, sums, add);                                           \
        break;

/* sums[rows, TILE_COLUMNS] (+)= w[k, rows] * panel[k, TILE_COLUMNS], of which `count` columns are
 * wanted. */
static __attribute__((noinline)) void words_multiply(int64_t rows, int64_t count, int64_t k,
                                                     const uint32_t *w, const float *panel,
                                                     int32_t *sums, bool add)
{
    switch (rows) {
        WORDS_CASE(1)
        WORDS_CASE(2)
        WORDS_CASE(3)
        WORDS_CASE(4)
        WORDS_CASE(5)
        WORDS_CASE(6)
#if TILE_ROWS == 12
        WORDS_CASE(7)
        WORDS_CASE(8)
        WORDS_CASE(9)
        WORDS_CASE(10)
        WORDS_CASE(11)
        WORDS_CASE(12)
#endif
    }
}

#endif
