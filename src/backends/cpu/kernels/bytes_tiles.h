/* Blocks of products of bytes by the tiles of AMX: tiles 0 to 3 are sums, 4 and 5 rows, 6 and 7
 * columns. */
#ifndef TN_BACKENDS_CPU_BYTES_TILES_H
#define TN_BACKENDS_CPU_BYTES_TILES_H

#include <stdbool.h>

#include "backends/cpu/kernels/amx.h"
#include "backends/cpu/kernels/tile.h"

#define BYTES_GROUP 4
#define BYTES_HALF AMX_TILE_BYTES
#define BYTES_MACS_NS 560 /* multiply-adds in a nanosecond, for estimates */
typedef uint8_t bytes_of_a;

#define bytes_begin amx_begin
#define bytes_end amx_end

SIMD_INLINE void bytes_fetch(const uint8_t *at)
{
    for (int i = 0; i < AMX_TILE_BYTES; i += AMX_ROW_BYTES) __builtin_prefetch(at + i, 0, 3);
}

/* As in split_tiles.h: lines are asked for some steps ahead, and a tile is loaded as soon as nobody
 * reads it. */
SIMD_INLINE void bytes_steps(bool high, int64_t steps, const uint8_t *a, const uint8_t *b)
{
    enum { STEP = 2 * AMX_TILE_BYTES, FAR = 2 * STEP };
    AMX_LOAD(4, a, 64);
    if (high) AMX_LOAD(5, a + AMX_TILE_BYTES, 64);
    AMX_LOAD(6, b, 64);
    AMX_LOAD(7, b + AMX_TILE_BYTES, 64);
    for (; --steps; a += STEP, b += STEP) {
        bytes_fetch(b + FAR);
        AMX_U8_I8(0, 4, 6);
        bytes_fetch(b + FAR + AMX_TILE_BYTES);
        if (high) AMX_U8_I8(2, 5, 6);
        bytes_fetch(a + FAR);
        AMX_LOAD(6, b + STEP, 64);
        AMX_U8_I8(1, 4, 7);
        AMX_LOAD(4, a + STEP, 64);
        if (high) bytes_fetch(a + FAR + AMX_TILE_BYTES);
        if (high) AMX_U8_I8(3, 5, 7);
        if (high) AMX_LOAD(5, a + STEP + AMX_TILE_BYTES, 64);
        AMX_LOAD(7, b + STEP + AMX_TILE_BYTES, 64);
    }
    AMX_U8_I8(0, 4, 6);
    AMX_U8_I8(1, 4, 7);
    if (high) AMX_U8_I8(2, 5, 6);
    if (high) AMX_U8_I8(3, 5, 7);
}

SIMD_INLINE void bytes_run(bool high, int64_t steps, const uint8_t *a, const uint8_t *b,
                           int32_t *sums)
{
    enum { STEP = TILE_COLUMNS * sizeof(int32_t) };
    AMX_ZERO(0);
    AMX_ZERO(1);
    AMX_ZERO(2);
    AMX_ZERO(3);
    if (steps > 0) bytes_steps(high, steps, a, b);
    AMX_STORE(0, sums, STEP);
    AMX_STORE(1, sums + 16, STEP);
    if (!high) return;
    AMX_STORE(2, sums + 16 * TILE_COLUMNS, STEP);
    AMX_STORE(3, sums + 16 * TILE_COLUMNS + 16, STEP);
}

/* sums[rows, TILE_COLUMNS] = a * b; both have room for some rows more, up to 32. */
static inline void bytes_multiply(int64_t rows, int64_t steps, const uint8_t *a, const uint8_t *b,
                                  int32_t *sums)
{
    if (rows > 16) bytes_run(true, steps, a, b, sums);
    else bytes_run(false, steps, a, b, sums);
}

#endif
