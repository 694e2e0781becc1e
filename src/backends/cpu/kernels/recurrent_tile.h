/* One step of LSTM or GRU on a few rows (sequences) in registers.
 *
 * Lanes are units. A block is as many units as a vector has lanes; its four gates are four vectors,
 * so that the cell is arithmetic on whole vectors. Units beyond the blocks would fill four vectors
 * badly: up to half a vector of them, the tail, take two vectors a row with two gates in each, up
 * to a quarter take one with all four, and the cell works on two or four rows at once:
 *
 *     row 0  i i i i o o o o f f f f c c c c        i: i i i i . . . . (row 0, row 1, ...)
 *     row 1  i i i i o o o o f f f f c c c c   ->   o: o o o o . . . .
 *
 * A group is what one product computes at once: a block, the last block with the tail, or the tail
 * alone. GRU has four gates too: z, r and the two parts of its candidate, from x and from h, which
 * the reset keeps apart. Its blocks lie so that neither product has vectors for the other's part,
 * x's first and h's last: n z r, tail, n'.
 *
 * What is multiplied are words of 32 bits: floats, or pairs of bf16 where the variant has products
 * of these. The sums are floats either way.
 *
 * Weights of the sigmoid gates are halved when they are packed: sigmoid(x) = tanh(x / 2) / 2 + 1/2.
 */
#ifndef TN_BACKENDS_CPU_RECURRENT_TILE_H
#define TN_BACKENDS_CPU_RECURRENT_TILE_H

#include <stdbool.h>

#include "backends/cpu/kernels/recurrent_cell.h"

#define STACK_VECTORS 6 /* most of a group */
/* Most rows of a product, and of those of blocks and of blocks with a tail: at most 24 of 32
 * registers or 12 of 16 are sums. */
#define STACK_ROWS 6
#if VF32_LANES == 16
#define STACK_BLOCK_ROWS 6
#define STACK_WIDE_ROWS 4
#else
#define STACK_BLOCK_ROWS 3
#define STACK_WIDE_ROWS 2
#endif

#ifdef __AVX512BF16__
#define STACK_PAIR 2
#else
#define STACK_PAIR 1
#endif

/* Words of n numbers; the last may be half empty. */
SIMD_INLINE int64_t stack_words(int64_t n)
{
    return (n + STACK_PAIR - 1) / STACK_PAIR;
}

#if STACK_PAIR == 2
/* Rounds v to bf16, whose 32 bytes may be written whole. */
SIMD_INLINE void stack_store_low(void *to, vf32 v)
{
    __m256bh low = _mm512_cvtneps_pbh((__m512)v);
    memcpy(to, &low, sizeof low);
}
#endif

/* n floats to words. */
static inline void stack_narrow(float *to, const float *from, int64_t n)
{
#if STACK_PAIR == 2
    uint32_t words[VF32_LANES / 2];
    for (; n > 0; n -= VF32_LANES, from += VF32_LANES, to += VF32_LANES / 2) {
        int64_t count = n < VF32_LANES ? n : VF32_LANES;
        stack_store_low(words, vf32_load_some(from, count));
        memcpy(to, words, (size_t)stack_words(count) * sizeof *words);
    }
#else
    memcpy(to, from, (size_t)n * sizeof *to);
#endif
}

/* A line of words from the numbers of each half. */
SIMD_INLINE void stack_line(float *to, const float *low, const float *high)
{
#if STACK_PAIR == 2
    uint16_t half[2][VF32_LANES], line[2 * VF32_LANES];
    stack_store_low(half[0], vf32_load(low));
    stack_store_low(half[1], vf32_load(high));
    for (int i = 0; i < 2 * VF32_LANES; i++) line[i] = half[i % 2][i / 2];
    memcpy(to, line, sizeof line);
#else
    (void)high;
    vf32_store(to, vf32_load(low));
#endif
}

/* One word in all lanes, and its product with a line of words, onto a sum. */
SIMD_INLINE vf32 stack_spread(const float *word)
{
#if STACK_PAIR == 2
    int32_t bits;
    memcpy(&bits, word, sizeof bits);
    return (vf32)_mm512_set1_epi32(bits);
#else
    return vf32_set1(*word);
#endif
}

SIMD_INLINE vf32 stack_fma(vf32 word, vf32 line, vf32 sum)
{
#if STACK_PAIR == 2
    return (vf32)_mm512_dpbf16_ps((__m512)sum, (__m512bh)word, (__m512bh)line);
#else
    return vf32_fma(word, line, sum);
#endif
}

/* A vector that several products read is loaded once: compilers like to load it for each. */
#if VF32_LANES > 8
#define STACK_KEEP(v) __asm__("" : "+v"(v))
#else
#define STACK_KEEP(v) (void)(v)
#endif

/* ---- The product -----------------------------------------------------------------------------*/

/* Columns of the left operand that lie side by side: x, or h of the step before. */
typedef struct stack_part {
    const float *row[STACK_ROWS];
    int64_t count; /* words */
} stack_part;

/* out[row] = first[row] + the parts one behind the other * w, whose lines are `vectors` vectors.
 * `rows` and `vectors` are constants at every call. Sums run in the order of w's lines. */
SIMD_INLINE void stack_sum(int rows, int vectors, const stack_part *part, int parts,
                           const float *first, int64_t first_step, const float *w, float *out,
                           int64_t out_step)
{
    vf32 sum[STACK_ROWS][STACK_VECTORS];
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vectors; v++)
            sum[r][v] = vf32_load(first + r * first_step + v * VF32_LANES);
    for (int p = 0; p < parts; p++) {
        const float *row[STACK_ROWS];
        for (int r = 0; r < rows; r++) row[r] = part[p].row[r];
        for (int64_t k = 0; k < part[p].count; k++, w += vectors * VF32_LANES) {
            vf32 line[STACK_VECTORS];
            for (int v = 0; v < vectors; v++) {
                line[v] = vf32_load(w + v * VF32_LANES);
                STACK_KEEP(line[v]);
            }
            for (int r = 0; r < rows; r++) {
                vf32 word = stack_spread(row[r] + k);
                for (int v = 0; v < vectors; v++) sum[r][v] = stack_fma(word, line[v], sum[r][v]);
            }
        }
    }
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vectors; v++)
            vf32_store(out + r * out_step + v * VF32_LANES, sum[r][v]);
}

#define STACK_CASE(rows, vectors)                                                                  \
    case (vectors)*8 + (rows):                                                                     \
        stack_sum(rows, vectors, part, parts, first, first_step, w, out, out_step);                \
        break;
#define STACK_CASES_2(vectors) STACK_CASE(1, vectors) STACK_CASE(2, vectors)
#define STACK_CASES_3(vectors) STACK_CASES_2(vectors) STACK_CASE(3, vectors)
#define STACK_CASES_4(vectors) STACK_CASES_3(vectors) STACK_CASE(4, vectors)
#define STACK_CASES_6(vectors) STACK_CASES_4(vectors) STACK_CASE(5, vectors) STACK_CASE(6, vectors)

static __attribute__((noinline)) void stack_multiply(int rows, int vectors, const stack_part *part,
                                                     int parts, const float *first,
                                                     int64_t first_step, const float *w, float *out,
                                                     int64_t out_step)
{
    switch (vectors * 8 + rows) {
        STACK_CASES_6(1)
        STACK_CASES_6(2)
#if VF32_LANES == 16
        STACK_CASES_6(3)
        STACK_CASES_6(4)
        STACK_CASES_4(5)
        STACK_CASES_4(6)
#else
        STACK_CASES_3(3)
        STACK_CASES_3(4)
        STACK_CASES_2(5)
        STACK_CASES_2(6)
#endif
    }
}

/* ---- The cell --------------------------------------------------------------------------------*/

#if VF32_LANES == 16
#define STACK_LOW(a, b)                                                                            \
    __builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23)
#define STACK_HIGH(a, b)                                                                           \
    __builtin_shufflevector(a, b, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31)
#define STACK_EVEN(a, b)                                                                           \
    __builtin_shufflevector(a, b, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27)
#define STACK_ODD(a, b)                                                                            \
    __builtin_shufflevector(a, b, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31)
#elif VF32_LANES == 8
#define STACK_LOW(a, b) __builtin_shufflevector(a, b, 0, 1, 2, 3, 8, 9, 10, 11)
#define STACK_HIGH(a, b) __builtin_shufflevector(a, b, 4, 5, 6, 7, 12, 13, 14, 15)
#define STACK_EVEN(a, b) __builtin_shufflevector(a, b, 0, 1, 4, 5, 8, 9, 12, 13)
#define STACK_ODD(a, b) __builtin_shufflevector(a, b, 2, 3, 6, 7, 10, 11, 14, 15)
#else
#define STACK_LOW(a, b) __builtin_shufflevector(a, b, 0, 1, 4, 5)
#define STACK_HIGH(a, b) __builtin_shufflevector(a, b, 2, 3, 6, 7)
#define STACK_EVEN(a, b) __builtin_shufflevector(a, b, 0, 2, 4, 6)
#define STACK_ODD(a, b) __builtin_shufflevector(a, b, 1, 3, 5, 7)
#endif

/* Where a block or a tail finds its gates and states and leaves what comes of them. Where a row has
 * room there are lanes beyond `count`, and the states of tails that go together are one vector, at
 * the first of their rows. */
typedef struct stack_cells {
    const float *gate; /* [row]: the vectors of a block, or those of a tail */
    int64_t gate_step;
    int tail;                       /* GRU: vectors of the tail that lie within the block's */
    const float *state[STACK_ROWS]; /* NULL: zeros */
    float *next[STACK_ROWS];
    float *to[STACK_ROWS]; /* h */
    void *low[STACK_ROWS]; /* h as bf16, where words are pairs; there is always room */
    bool state_room, next_room, to_room;
    int64_t first, count; /* units */
} stack_cells;

SIMD_INLINE vf32 stack_load(const float *from, int64_t count, bool has_room)
{
    return has_room ? vf32_load(from) : vf32_load_some(from, count);
}

SIMD_INLINE void stack_store(float *to, vf32 v, int64_t count, bool has_room)
{
    if (has_room) vf32_store(to, v);
    else vf32_store_some(to, v, count);
}

SIMD_INLINE void stack_block(bool is_gru, int rows, const stack_cells *s)
{
    bool whole = s->count >= VF32_LANES;
    int64_t first = s->first, count = whole ? VF32_LANES : s->count;
    for (int r = 0; r < rows; r++) {
        const float *from = s->gate + r * s->gate_step;
        vf32 gate[4], state = {0};
        for (int v = 0; v < 4; v++) {
            int at = !is_gru ? v : v < 2 ? v + 1 : v == 2 ? 0 : 3 + s->tail;
            gate[v] = vf32_load(from + at * VF32_LANES);
        }
        if (s->state[r]) state = stack_load(s->state[r] + first, count, whole || s->state_room);
        vf32 h = stack_cell(is_gru, gate, &state);
        stack_store(s->next[r] + first, state, count, whole || s->next_room);
        stack_store(s->to[r] + first, h, count, whole || s->to_room);
#if STACK_PAIR == 2
        stack_store_low((uint16_t *)s->low[r] + first, h);
#endif
    }
}

/* The first lanes of four vectors, a quarter each, or of two, a half each. */
SIMD_INLINE vf32 stack_join(int vectors, const vf32 in[4])
{
    if (vectors == 2) return STACK_LOW(in[0], in[1]);
    return STACK_EVEN(STACK_LOW(in[0], in[1]), STACK_LOW(in[2], in[3]));
}

/* The way back, to rows from r on. */
SIMD_INLINE void stack_split(vf32 v, int width, int r, int rows, float *const *to,
                             const stack_cells *s, bool has_room)
{
    float lane[VF32_LANES];
    vf32_store(lane, v);
    for (int i = 0; i < VF32_LANES / width && r + i < rows; i++) {
        float *at = to[r + i] + s->first;
        if (has_room) memcpy(at, lane + i * width, (size_t)width * sizeof(float));
        else memcpy(at, lane + i * width, (size_t)s->count * sizeof(float));
    }
}

#if STACK_PAIR == 2
SIMD_INLINE void stack_split_low(vf32 v, int width, int r, int rows, const stack_cells *s)
{
    uint16_t lane[VF32_LANES];
    stack_store_low(lane, v);
    for (int i = 0; i < VF32_LANES / width && r + i < rows; i++)
        memcpy((uint16_t *)s->low[r + i] + s->first, lane + i * width,
               (size_t)width * sizeof *lane);
}
#endif

/* `vectors` a row: 1, four rows at once, or 2, two rows. */
SIMD_INLINE void stack_tail(bool is_gru, int vectors, int rows, const stack_cells *s)
{
    const int together = 4 / vectors, width = VF32_LANES / together;
    bool whole = s->count == width;
    for (int r = 0; r < rows; r += together) {
        bool is_joined = s->state_room || !s->state[r];
        vf32 in[4], old[4] = {{0}}, gate[4];
        for (int i = 0; i < together; i++) { /* a row that is not there is the last one again */
            int row = r + i < rows ? r + i : rows - 1;
            const float *from = s->gate + row * s->gate_step;
            for (int v = 0; v < vectors; v++)
                in[i * vectors + v] = vf32_load(from + v * VF32_LANES);
            if (!is_joined) old[i] = vf32_load_some(s->state[row] + s->first, s->count);
        }
        vf32 low[2] = {STACK_LOW(in[0], in[vectors]), STACK_LOW(in[3 - vectors], in[3])};
        vf32 high[2] = {STACK_HIGH(in[0], in[vectors]), STACK_HIGH(in[3 - vectors], in[3])};
        if (vectors == 2) {
            gate[0] = low[0], gate[1] = high[0], gate[2] = low[1], gate[3] = high[1];
        } else {
            gate[0] = STACK_EVEN(low[0], low[1]), gate[1] = STACK_ODD(low[0], low[1]);
            gate[2] = STACK_EVEN(high[0], high[1]), gate[3] = STACK_ODD(high[0], high[1]);
        }
        vf32 state = stack_join(vectors, old);
        if (is_joined && s->state[r]) state = vf32_load(s->state[r] + s->first);
        vf32 h = stack_cell(is_gru, gate, &state);
        if (s->next_room) vf32_store(s->next[r] + s->first, state);
        else stack_split(state, width, r, rows, s->next, s, whole);
        stack_split(h, width, r, rows, s->to, s, whole || s->to_room);
#if STACK_PAIR == 2
        stack_split_low(h, width, r, rows, s);
#endif
    }
}

static __attribute__((noinline)) void stack_blocks(bool is_gru, int rows, const stack_cells *s)
{
    if (is_gru) stack_block(true, rows, s);
    else stack_block(false, rows, s);
}

static __attribute__((noinline)) void stack_tails(bool is_gru, int vectors, int rows,
                                                  const stack_cells *s)
{
    if (is_gru && vectors == 1) stack_tail(true, 1, rows, s);
    else if (is_gru) stack_tail(true, 2, rows, s);
    else if (vectors == 1) stack_tail(false, 1, rows, s);
    else stack_tail(false, 2, rows, s);
}

#endif
