/* Products of a few rows, which do little but read b: several panels side by side, from one end to
 * the other. That many streams keep more of the memory's latency busy than one, and sums of that
 * many columns that of additions. Sums run over k in rising order as those of tiles do. */
#ifndef TN_BACKENDS_CPU_TILE_STREAM_H
#define TN_BACKENDS_CPU_TILE_STREAM_H

#include "backends/cpu/kernels/tile.h"

enum { STREAM_ROWS = VF32_LANES == 16 ? 4 : 2 };
enum { STREAM_AHEAD = 8 * TILE_COLUMNS }; /* floats of a panel, asked for meanwhile */

/* `rows` and `panels` are constants at every call: the sums are registers. */
SIMD_INLINE void stream_piece(int rows, int panels, int64_t k, int64_t depth, const float *a,
                              int64_t a_row, const float *packed, float *c, int64_t ldc, int add)
{
    vf32 sum[STREAM_ROWS][8];
    for (int i = 0; i < rows; i++)
        for (int v = 0; v < 2 * panels; v++) sum[i][v] = (vf32){0};
    for (int64_t p = 0; p < depth; p++, packed += TILE_COLUMNS)
        for (int v = 0; v < panels; v++) {
            const float *panel = packed + v * k * TILE_COLUMNS;
            for (int i = 0; i < TILE_COLUMNS; i += 16) __builtin_prefetch(panel + STREAM_AHEAD + i);
            vf32 low = vf32_load(panel), high = vf32_load(panel + VF32_LANES);
            for (int i = 0; i < rows; i++) {
                vf32 scale = vf32_set1(a[i * a_row + p]);
                sum[i][2 * v] = vf32_fma(scale, low, sum[i][2 * v]);
                sum[i][2 * v + 1] = vf32_fma(scale, high, sum[i][2 * v + 1]);
            }
        }
    for (int i = 0; i < rows; i++)
        for (int v = 0; v < 2 * panels; v++) {
            float *to = c + i * ldc + v * VF32_LANES;
            vf32_store(to, add ? sum[i][v] + vf32_load(to) : sum[i][v]);
        }
}

SIMD_INLINE void stream_run(int rows, int panels, int64_t k, const float *a, int64_t a_row,
                            const float *packed, float *c, int64_t ldc)
{
    int64_t at = 0;
    do {
        int64_t depth = k - at < TILE_DEPTH ? k - at : TILE_DEPTH;
        stream_piece(rows, panels, k, depth, a + at, a_row, packed + at * TILE_COLUMNS, c, ldc,
                     at > 0);
        at += TILE_DEPTH;
    } while (at < k);
}

/* c[m, n] = a[m, k] * packed, m at most STREAM_ROWS. */
static __attribute__((noinline)) void stream_multiply(int64_t m, int64_t n, int64_t k,
                                                      const float *a, int64_t a_row,
                                                      const float *packed, float *c, int64_t ldc)
{
    enum { SIDE_BY_SIDE = VF32_LANES == 16 ? 4 : 2 };
    int64_t some = m <= 2 ? SIDE_BY_SIDE : 2, j = 0;
    for (; n - j >= some * TILE_COLUMNS; j += some * TILE_COLUMNS) {
        const float *panel = packed + j * k;
        switch (m) {
        case 1: stream_run(1, SIDE_BY_SIDE, k, a, a_row, panel, c + j, ldc); break;
        case 2: stream_run(2, SIDE_BY_SIDE, k, a, a_row, panel, c + j, ldc); break;
#if VF32_LANES == 16
        case 3: stream_run(3, 2, k, a, a_row, panel, c + j, ldc); break;
        default: stream_run(4, 2, k, a, a_row, panel, c + j, ldc); break;
#endif
        }
    }
    for (; j < n; j += TILE_COLUMNS)
        tile_multiply(m, n - j < TILE_COLUMNS ? n - j : TILE_COLUMNS, k, a, a_row, packed + j * k,
                      c + j, ldc, 0);
}

#endif
