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

/* Steps of k ahead of which a block's lines are asked for. A tile's lines come one after the other
 * where they are not in the L1 cache; asked for one by one they come together. */
enum { SPLIT_AHEAD = 2 };

SIMD_INLINE void split_fetch(const uint8_t *at)
{
    for (int i = 0; i < SPLIT_TILE; i += SPLIT_LINE) __builtin_prefetch(at + i, 0, 3);
}

/* What comes after this block. */
SIMD_INLINE void split_ask(split_next *next)
{
    for (int64_t i = 0; i < next->lines; i++, next->at += SPLIT_LINE)
        __builtin_prefetch(next->at, 0, 2);
}

SIMD_INLINE void split_fetch_part(bool high, const uint8_t *at)
{
    split_fetch(at);
    if (high) split_fetch(at + SPLIT_TILE);
}

#define A_LOW(at) AMX_LOAD(4, at, 64)
#define A_HIGH(at)                                                                                 \
    if (high) AMX_LOAD(5, (at) + SPLIT_TILE, 64)
#define B_LOW(at) AMX_LOAD(6, at, 128)
#define B_HIGH(at) AMX_LOAD(7, (at) + 64, 128)
#define P0 AMX_BF16(0, 4, 6)
#define P1 AMX_BF16(1, 4, 7)
#define P2                                                                                         \
    if (high) AMX_BF16(2, 5, 6)
#define P3                                                                                         \
    if (high) AMX_BF16(3, 5, 7)
#define FIRST(a_at, b_at)                                                                          \
    A_LOW(a_at);                                                                                   \
    A_HIGH(a_at);                                                                                  \
    B_LOW(b_at);                                                                                   \
    B_HIGH(b_at)
#define LAST                                                                                       \
    P0;                                                                                            \
    P1;                                                                                            \
    P2;                                                                                            \
    P3
/* Products, after which other rows or columns follow: a tile is loaded as soon as nobody reads it,
 * and has come when its turn is there. */
#define THEN_A(at)                                                                                 \
    P0;                                                                                            \
    P1;                                                                                            \
    A_LOW(at);                                                                                     \
    P2;                                                                                            \
    P3;                                                                                            \
    A_HIGH(at)
#define THEN_B(at)                                                                                 \
    P0;                                                                                            \
    P2;                                                                                            \
    B_LOW(at);                                                                                     \
    P1;                                                                                            \
    P3;                                                                                            \
    B_HIGH(at)
#define THEN_BOTH(a_at, b_at)                                                                      \
    P0;                                                                                            \
    P1;                                                                                            \
    A_LOW(a_at);                                                                                   \
    P2;                                                                                            \
    B_LOW(b_at);                                                                                   \
    P3;                                                                                            \
    A_HIGH(a_at);                                                                                  \
    B_HIGH(b_at)
#define A_PART(q) (a + (q)*SPLIT_STEP)
#define B_PART(q) (b + (q)*SPLIT_STEP)

SIMD_INLINE void split_one(bool high, int64_t steps, const uint8_t *a, const uint8_t *b,
                           split_next next)
{
    enum { FAR = SPLIT_AHEAD * SPLIT_STEP };
    FIRST(a, b);
    for (; --steps; a += SPLIT_STEP, b += SPLIT_STEP) {
        split_ask(&next);
        split_fetch(b + FAR);
        P0;
        split_fetch(b + FAR + SPLIT_TILE);
        P2;
        split_fetch(a + FAR);
        B_LOW(B_PART(1));
        P1;
        A_LOW(A_PART(1));
        if (high) split_fetch(a + FAR + SPLIT_TILE);
        P3;
        A_HIGH(A_PART(1));
        B_HIGH(B_PART(1));
    }
    split_ask(&next);
    LAST;
}

/* Parts are h, m and l; small products first, each time one side stays in its tiles. */
SIMD_INLINE void split_two(bool high, int64_t steps, const uint8_t *a, const uint8_t *b,
                           split_next next)
{
    enum { STEP = 2 * SPLIT_STEP, FAR = SPLIT_AHEAD * STEP };
    FIRST(A_PART(1), B_PART(0));
    for (;; a += STEP, b += STEP) {
        split_ask(&next);
        split_fetch_part(true, b + FAR);
        THEN_A(A_PART(0)); /* m h */
        split_fetch_part(true, b + FAR + SPLIT_STEP);
        THEN_B(B_PART(1)); /* h h */
        split_fetch_part(high, a + FAR);
        split_fetch_part(high, a + FAR + SPLIT_STEP);
        if (--steps == 0) break;
        THEN_BOTH(A_PART(3), B_PART(2)); /* h m */
    }
    LAST;
}

SIMD_INLINE void split_three(bool high, int64_t steps, const uint8_t *a, const uint8_t *b,
                             split_next next)
{
    enum { STEP = 3 * SPLIT_STEP, FAR = SPLIT_AHEAD * STEP };
    FIRST(A_PART(0), B_PART(2));
    for (;; a += STEP, b += STEP) {
        split_ask(&next);
        split_fetch_part(true, b + FAR);
        THEN_B(B_PART(1)); /* h l */
        split_fetch_part(true, b + FAR + SPLIT_STEP);
        THEN_A(A_PART(1)); /* h m */
        split_fetch_part(true, b + FAR + 2 * SPLIT_STEP);
        THEN_B(B_PART(0)); /* m m */
        split_fetch_part(high, a + FAR);
        THEN_A(A_PART(2)); /* m h */
        split_fetch_part(high, a + FAR + SPLIT_STEP);
        THEN_A(A_PART(0)); /* l h */
        split_fetch_part(high, a + FAR + 2 * SPLIT_STEP);
        if (--steps == 0) break;
        THEN_BOTH(A_PART(3), B_PART(5)); /* h h */
    }
    LAST;
}

/* high: are there more than 16 rows? */
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
    if (parts == 1 && steps) split_one(high, steps, a, b, next);
    else if (parts == 2 && steps) split_two(high, steps, a, b, next);
    else if (steps) split_three(high, steps, a, b, next);
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

#undef A_LOW
#undef A_HIGH
#undef B_LOW
#undef B_HIGH
#undef P0
#undef P1
#undef P2
#undef P3
#undef FIRST
#undef LAST
#undef THEN_A
#undef THEN_B
#undef THEN_BOTH
#undef A_PART
#undef B_PART

#endif
