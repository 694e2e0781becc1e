/* The products of attention_blocks.c by multiply-adds of vectors (tile.h). */
#ifndef TN_BACKENDS_CPU_ATTENTION_FLOATS_H
#define TN_BACKENDS_CPU_ATTENTION_FLOATS_H

#include "backends/cpu/kernels/tile.h"
#include "device/device.h"

#define ATTEND_CLASS "f32"
#define ATTEND_PRECISION TN_PRECISION_F32
enum { ATTEND_ROWS = TILE_ROWS }; /* queries in a tile */
enum { ATTEND_PANEL = 8192 };     /* packed keys, and as many values: 32 KiB each */
typedef float attend_number;

static inline void attend_begin(void)
{
}

static inline void attend_end(void)
{
}

/* Numbers of the longer of a packed key and a packed value. */
static inline int64_t attend_width(int64_t head, int64_t v_head)
{
    int64_t v = tile_panels(v_head) * TILE_COLUMNS;
    return head > v ? head : v;
}

/* `count` keys, `step` apart, as panels [d][TILE_COLUMNS]; columns beyond are zeros. */
static void attend_pack_keys(const float *k, int64_t step, int64_t count, int64_t head,
                             attend_number *panel)
{
    for (int64_t j = 0; j < tile_panels(count) * TILE_COLUMNS; j += VF32_LANES) {
        float *dst = panel + j / TILE_COLUMNS * TILE_COLUMNS * head + j % TILE_COLUMNS;
        int64_t keys = TN_MAX(TN_MIN(count - j, VF32_LANES), 0);
        for (int64_t d = 0; d < head; d += VF32_LANES) {
            int64_t some = TN_MIN(head - d, VF32_LANES);
            const float *src = k + j * step + d;
            vf32 v[VF32_LANES];
            if (keys == VF32_LANES && some == VF32_LANES)
                for (int i = 0; i < VF32_LANES; i++) v[i] = vf32_load(src + i * step);
            else
                for (int i = 0; i < VF32_LANES; i++)
                    v[i] = i < keys ? vf32_load_some(src + i * step, some) : (vf32){0};
            tile_turn_square(v);
            for (int i = 0; i < some; i++) vf32_store(dst + (d + i) * TILE_COLUMNS, v[i]);
        }
    }
}

/* Values as panels [key][TILE_COLUMNS]. False if one of them is not finite. */
static bool attend_pack_values(const float *v, int64_t step, int64_t count, int64_t head,
                               attend_number *panel)
{
    vf32 odd = {0};
    for (int64_t d = 0; d < head; d += TILE_COLUMNS) {
        for (int64_t j = 0; j < count; j++, panel += TILE_COLUMNS) {
            const float *src = v + j * step + d;
            for (int64_t i = 0; i < TILE_COLUMNS; i += VF32_LANES) {
                int64_t left = head - d - i;
                vf32 x = left >= VF32_LANES ? vf32_load(src + i)
                         : left > 0         ? vf32_load_some(src + i, left)
                                            : (vf32){0};
                vf32_store(panel + i, x);
                odd += x - x; /* 0, or NaN for ever */
            }
        }
    }
    float sum = vf32_sum(odd);
    return sum == sum;
}

/* score[rows, whole vectors of count] = q * keys. */
static void attend_scores(int64_t rows, int64_t count, int64_t head, const float *q, int64_t q_row,
                          const attend_number *keys, float *score, int64_t ld)
{
    int64_t wide = (count + VF32_LANES - 1) / VF32_LANES * VF32_LANES;
    tile_multiply(rows, wide, head, q, q_row, keys, score, ld, 0);
}

/* y[rows, head] = weights[rows, count] * values, onto y times each row's factor where there are
 * any. */
static void attend_values(int64_t rows, int64_t count, int64_t head, const float *weights,
                          int64_t ld, const attend_number *values, const float *factor, float *y,
                          int64_t y_row)
{
    for (int64_t r = 0; factor && r < rows; r++)
        for (int64_t i = 0; factor[r] != 1 && i < head; i++) y[r * y_row + i] *= factor[r];
    tile_multiply(rows, head, count, weights, ld, values, y, y_row, factor != NULL);
}

#endif
