/* The products of attention_blocks.c by the tiles of AMX, on queries, keys, weights and values
 * rounded to bf16 as they are packed (split.h); scores and sums are floats. */
#ifndef TN_BACKENDS_CPU_ATTENTION_TILES_H
#define TN_BACKENDS_CPU_ATTENTION_TILES_H

#include "backends/cpu/kernels/split_tiles.h"
#include "device/device.h"

#define ATTEND_CLASS "bf16"
#define ATTEND_PRECISION TN_PRECISION_BF16
enum { ATTEND_ROWS = SPLIT_BLOCK };
enum { ATTEND_PANEL = 16384, ATTEND_STEPS = 256 / SPLIT_BLOCK }; /* 32 KiB; most of a strip */
typedef uint16_t attend_number;

#define attend_begin split_begin
#define attend_end split_end

static inline int64_t attend_width(int64_t head, int64_t v_head)
{
    return split_steps(TN_MAX(head, v_head)) * SPLIT_BLOCK;
}

/* A panel's keys are columns: pairs of 16 keys' numbers are turned as if they were floats. */
static void attend_pack_keys(const float *k, int64_t step, int64_t count, int64_t head,
                             attend_number *panel)
{
    for (int64_t j = 0; j < count; j += 16) {
        int64_t keys = TN_MIN(count - j, 16);
        uint8_t *dst =
            (uint8_t *)(panel + j / SPLIT_BLOCK * SPLIT_BLOCK * split_steps(head) * SPLIT_BLOCK);
        dst += j % SPLIT_BLOCK * (int64_t)sizeof(float);
        for (int64_t d = 0; d < head; d += SPLIT_BLOCK, dst += SPLIT_STEP) {
            vf32 v[16];
            for (int i = 0; i < 16; i++) {
                v[i] = (vf32){0};
                if (i < keys)
                    split_row(1, true, true, k + (j + i) * step + d, TN_MIN(head - d, SPLIT_BLOCK),
                              (uint8_t *)&v[i]);
            }
            tile_turn_square(v);
            for (int p = 0; p < 16; p++) memcpy(dst + p * 2 * SPLIT_LINE, &v[p], sizeof v[p]);
        }
    }
}

static bool attend_pack_values(const float *v, int64_t step, int64_t count, int64_t head,
                               attend_number *panel)
{
    vf32 odd = {0}, row[2], next[2];
    uint8_t *dst = (uint8_t *)panel;
    for (int64_t d = 0; d < head; d += SPLIT_BLOCK) {
        int64_t columns = TN_MIN(head - d, SPLIT_BLOCK);
        for (int64_t k = 0; k < split_steps(count) * SPLIT_BLOCK; k += 2, dst += 2 * SPLIT_LINE) {
            split_load_row(v + d, step, 1, k, count, columns, row);
            split_load_row(v + d, step, 1, k + 1, count, columns, next);
            for (int i = 0; i < 2; i++) {
                vu32 pair = split_round_pairs(row[i], next[i]);
                memcpy(dst + i * SPLIT_LINE, &pair, sizeof pair);
                odd += row[i] - row[i]; /* 0, or NaN for ever */
                odd += next[i] - next[i];
            }
        }
    }
    float sum = vf32_sum(odd);
    return sum == sum;
}

/* score has room for whole blocks. */
static void attend_scores(int64_t rows, int64_t count, int64_t head, const float *q, int64_t q_row,
                          const attend_number *keys, float *score, int64_t ld)
{
    _Alignas(TN_ALIGNMENT) uint8_t strip[ATTEND_STEPS * SPLIT_STEP];
    int64_t steps = split_steps(head);
    split_strip(1, q, q_row, rows, head, strip);
    for (int64_t j = 0; j < count; j += SPLIT_BLOCK)
        split_multiply(1, rows, steps, strip, (const uint8_t *)(keys + j * steps * SPLIT_BLOCK),
                       score + j, ld, false, (split_next){0});
}

static void attend_values(int64_t rows, int64_t count, int64_t head, const float *weights,
                          int64_t ld, const attend_number *values, const float *factor, float *y,
                          int64_t y_row)
{
    _Alignas(TN_ALIGNMENT) uint8_t strip[ATTEND_STEPS * SPLIT_STEP];
    _Alignas(TN_ALIGNMENT) float block[SPLIT_BLOCK * SPLIT_BLOCK];
    int64_t steps = split_steps(count);
    split_strip(1, weights, ld, rows, count, strip);
    for (int64_t d = 0; d < head; d += SPLIT_BLOCK) {
        split_multiply(1, rows, steps, strip, (const uint8_t *)(values + d * steps * SPLIT_BLOCK),
                       block, SPLIT_BLOCK, false, (split_next){0});
        for (int64_t r = 0; r < rows; r++)
            for (int64_t i = 0; i < SPLIT_BLOCK && d + i < head; i += VF32_LANES) {
                float *to = y + r * y_row + d + i;
                int64_t some = TN_MIN(head - d - i, VF32_LANES);
                vf32 sum = vf32_load(block + r * SPLIT_BLOCK + i);
                if (factor) sum += vf32_load_some(to, some) * factor[r];
                vf32_store_some(to, sum, some);
            }
    }
}

#endif
