/* Blocks of split floats by the tiles of AMX: tiles 0 to 3 are sums, 4 and 5 rows, 6 and 7 columns.
 */
#ifndef TN_BACKENDS_CPU_SPLIT_TILES_H
#define TN_BACKENDS_CPU_SPLIT_TILES_H

#include "backends/cpu/kernels/amx.h"
#include "backends/cpu/kernels/split.h"

#define SPLIT_PARTS 3
#define SPLIT_NS 0.35       /* to split a float */
#define SPLIT_BYTES_NS 20.0 /* of weights from memory */
#define SPLIT_ROWS 16       /* that cost as much as one */

#define split_begin amx_begin
#define split_end amx_end

/* Of 32 rows, 32 columns and 32 of k: as many times 4 products of 16 cycles as parts need. */
static inline double split_block_ns(int parts)
{
    return parts == 1 ? 56 : parts == 2 ? 111 : 205;
}

#define A_PART(q)                                                                                  \
    AMX_LOAD(4, a + (q)*SPLIT_STEP, 64);                                                           \
    if (high) AMX_LOAD(5, a + (q)*SPLIT_STEP + SPLIT_TILE, 64);
#define B_PART(q)                                                                                  \
    AMX_LOAD(6, b + (q)*SPLIT_STEP, 128);                                                          \
    AMX_LOAD(7, b + (q)*SPLIT_STEP + 64, 128);
#define PRODUCTS                                                                                   \
    AMX_BF16(0, 4, 6);                                                                             \
    AMX_BF16(1, 4, 7);                                                                             \
    if (high) {                                                                                    \
        AMX_BF16(2, 5, 6);                                                                         \
        AMX_BF16(3, 5, 7);                                                                         \
    }

/* high: are there more than 16 rows? Small products first, each time one side stays in its tiles.
 * Tiles wait for memory more than vectors do: what comes next is asked for meanwhile. */
SIMD_INLINE void split_tiles(int parts, bool high, int64_t steps, const uint8_t *a,
                             const uint8_t *b, float *c, int64_t ldc, bool add, split_next next)
{
    int64_t step = ldc * (int64_t)sizeof(float);
    if (add) {
        AMX_LOAD(0, c, step);
        AMX_LOAD(1, c + 16, step);
        if (high) {
            AMX_LOAD(2, c + 16 * ldc, step);
            AMX_LOAD(3, c + 16 * ldc + 16, step);
        }
    } else {
        AMX_ZERO(0);
        AMX_ZERO(1);
        AMX_ZERO(2);
        AMX_ZERO(3);
    }
    for (int64_t s = 0; s < steps; s++, a += parts * SPLIT_STEP, b += parts * SPLIT_STEP) {
        for (int64_t i = 0; i < next.lines; i++, next.at += SPLIT_LINE)
            __builtin_prefetch(next.at, 0, 2);
        if (parts == 3) {
            A_PART(0)
            B_PART(2)
            PRODUCTS                               /* h l */
                B_PART(1) PRODUCTS                 /* h m */
                    A_PART(1) PRODUCTS             /* m m */
                        B_PART(0) PRODUCTS         /* m h */
                            A_PART(2) PRODUCTS     /* l h */
                                A_PART(0) PRODUCTS /* h h */
        } else if (parts == 2) {
            A_PART(1)
            B_PART(0)
            PRODUCTS                   /* m h */
                A_PART(0) PRODUCTS     /* h h */
                    B_PART(1) PRODUCTS /* h m */
        } else { /* a load is as long as a product: in turns, and each tile is free early */
            AMX_LOAD(6, b, 128);
            AMX_LOAD(4, a, 64);
            AMX_BF16(0, 4, 6);
            if (high) {
                AMX_LOAD(5, a + SPLIT_TILE, 64);
                AMX_BF16(2, 5, 6);
            }
            AMX_LOAD(7, b + 64, 128);
            AMX_BF16(1, 4, 7);
            if (high) AMX_BF16(3, 5, 7);
        }
    }
    AMX_STORE(0, c, step);
    AMX_STORE(1, c + 16, step);
    if (high) {
        AMX_STORE(2, c + 16 * ldc, step);
        AMX_STORE(3, c + 16 * ldc + 16, step);
    }
}

/* c[rows up to the next 16, SPLIT_BLOCK], ldc apart, (+)= a * b. */
SIMD_INLINE void split_multiply(int parts, int64_t rows, int64_t steps, const uint8_t *a,
                                const uint8_t *b, float *c, int64_t ldc, bool add, split_next next)
{
    if (rows > 16) split_tiles(parts, true, steps, a, b, c, ldc, add, next);
    else split_tiles(parts, false, steps, a, b, c, ldc, add, next);
}

#undef A_PART
#undef B_PART
#undef PRODUCTS

#endif
