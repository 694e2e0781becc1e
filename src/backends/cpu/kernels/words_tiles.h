/* Tiles of products of words of bytes, for conv_bytes.c, by those of AMX: 0 to 3 are sums, 4 and 5
 * outputs by words of weights, 6 and 7 words of x by positions, which is how a panel lies. */
#ifndef TN_BACKENDS_CPU_WORDS_TILES_H
#define TN_BACKENDS_CPU_WORDS_TILES_H

#include <stdbool.h>

#include "backends/cpu/kernels/amx.h"
#include "backends/cpu/kernels/tile.h"

#define WORDS_MACS_NS 1500 /* multiply-adds in a nanosecond, for estimates */
enum { WORDS_ROWS = 32, WORDS_ROWS_OF = 16, WORDS_STEP = 16 };
enum { WORD = 4 };
typedef uint8_t part;     /* of a word of x */
typedef int8_t part_of_w; /* of a word of weights */

#define words_begin amx_begin
#define words_end amx_end

SIMD_INLINE void words_run(bool high, int64_t k, const uint32_t *w, const float *panel,
                           int32_t *sums, bool add)
{
    enum { LINE = TILE_COLUMNS * 4, ROWS = 16 * TILE_COLUMNS };
    if (add) {
        AMX_LOAD(0, sums, LINE);
        AMX_LOAD(1, sums + 16, LINE);
    } else {
        AMX_ZERO(0);
        AMX_ZERO(1);
    }
    if (high && add) {
        AMX_LOAD(2, sums + ROWS, LINE);
        AMX_LOAD(3, sums + ROWS + 16, LINE);
    } else {
        AMX_ZERO(2);
        AMX_ZERO(3);
    }
    for (; k > 0; k -= WORDS_STEP, panel += WORDS_STEP * TILE_COLUMNS) {
        AMX_LOAD(6, panel, LINE);
        AMX_LOAD(7, panel + 16, LINE);
        AMX_LOAD(4, w, AMX_ROW_BYTES);
        AMX_I8_U8(0, 4, 6);
        AMX_I8_U8(1, 4, 7);
        w += AMX_TILE_BYTES / 4;
        if (!high) continue;
        AMX_LOAD(5, w, AMX_ROW_BYTES);
        AMX_I8_U8(2, 5, 6);
        AMX_I8_U8(3, 5, 7);
        w += AMX_TILE_BYTES / 4;
    }
    AMX_STORE(0, sums, LINE);
    AMX_STORE(1, sums + 16, LINE);
    if (!high) return;
    AMX_STORE(2, sums + ROWS, LINE);
    AMX_STORE(3, sums + ROWS + 16, LINE);
}

/* sums[rows, TILE_COLUMNS] (+)= w[rows, k] * panel[k, TILE_COLUMNS]. */
static inline void words_multiply(int64_t rows, int64_t count, int64_t k, const uint32_t *w,
                                  const float *panel, int32_t *sums, bool add)
{
    (void)count;
    if (rows > 16) words_run(true, k, w, panel, sums, add);
    else words_run(false, k, w, panel, sums, add);
}

#endif
