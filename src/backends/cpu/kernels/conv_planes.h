/* A convolution's input as its windows read it: with the padding around it, and, where windows move
 * by more than 1, sorted by remainder, so that what one tap reads along a row of outputs lies
 * together.
 *
 *     x, stride 2      a b c d e f g        pad 1: . a b c d e f g .
 *     remainder 0      . b d f              taps 0, 2, ...
 *     remainder 1      a c e g              taps 1, 3, ...
 *
 * Tap k of output position s reads plane[offset[k] + s], s counted over rows as long as a plane's.
 */
#ifndef TN_BACKENDS_CPU_CONV_PLANES_H
#define TN_BACKENDS_CPU_CONV_PLANES_H

#include "backends/cpu/kernels/tile.h"
#include "ops/window/window.h"

#define PLANES_MAX (INT64_C(1) << 31) /* floats of a channel */

typedef struct planes {
    tn_window w;
    bool fits;             /* else nothing below is to be used: padding beyond measure */
    bool direct;           /* x is all that already */
    int64_t remainders[3]; /* kept: those that taps have */
    int64_t size[3];       /* of the plane of one remainder */
    int64_t plane;         /* floats of a remainder's plane */
    int64_t channel;       /* floats of all planes of a channel, and a vector behind them */
} planes;

static inline void planes_of(const tn_window *window, planes *out)
{
    out->w = *window;
    tn_window *w = &out->w;
    out->direct = true;
    for (int i = 0; i < 3; i++)
        if (w->kernel[i] != 1 || w->stride[i] != 1 || w->pad[i] || w->in[i] != w->out[i])
            out->direct = false;
    /* A single tap that meets every position once does not care for the shape of a plane. */
    if (out->direct) {
        w->in[2] = w->out[2] = w->in_count;
        w->in[0] = w->in[1] = w->out[0] = w->out[1] = 1;
    }
    double floats = 1;
    for (int i = 0; i < 3; i++) {
        int64_t span = w->kernel[i] > 1 ? (w->kernel[i] - 1) * w->dilation[i] : 0;
        out->remainders[i] = TN_MIN(w->stride[i], span + 1);
        out->size[i] = w->out[i] + span / w->stride[i];
        floats *= (double)out->remainders[i] * (double)out->size[i];
    }
    out->fits = floats < (double)PLANES_MAX;
    out->plane = out->channel = 0;
    if (!out->fits) return;
    out->plane = out->size[0] * out->size[1] * out->size[2];
    out->channel = out->plane * out->remainders[0] * out->remainders[1] * out->remainders[2];
    out->channel += VF32_LANES;
}

/* Where a tap reads, relative to its output position; kernel_count of them. */
static inline void planes_offsets(const planes *p, int64_t *offset)
{
    const tn_window *w = &p->w;
    for (int64_t k = 0; k < w->kernel_count; k++) {
        int64_t rest = k, which = 0, at = 0, step = 1, kinds = 1;
        for (int i = 2; i >= 0; i--) {
            int64_t shift = rest % w->kernel[i] * w->dilation[i];
            rest /= w->kernel[i];
            which += shift % w->stride[i] * kinds;
            at += shift / w->stride[i] * step;
            kinds *= p->remainders[i];
            step *= p->size[i];
        }
        offset[k] = which * p->plane + at;
    }
}

/* Part of the outputs along one axis: what they read is the same, seen from elsewhere. */
static inline tn_window planes_part(const tn_window *w, int axis, int64_t first, int64_t count)
{
    tn_window part = *w;
    part.pad[axis] -= first * w->stride[axis];
    part.out[axis] = count;
    part.out_count = part.out[0] * part.out[1] * part.out[2];
    return part;
}

/* The first `count` <= VF32_LANES of every second number, zeros behind. */
static inline vf32 planes_halve(const float *src, int64_t count)
{
    int64_t reach = TN_MAX(0, 2 * count - 1);
    vf32 low = vf32_load_some(src, TN_MIN(reach, VF32_LANES)), high = {0};
    if (reach > VF32_LANES) high = vf32_load_some(src + VF32_LANES, reach - VF32_LANES);
    return __builtin_shufflevector(low, high, VF32_EVENS);
}

/* The first `count` of every stride-th number, zeros behind. `stride` is a constant where it is 1,
 * 2 or 4. */
SIMD_INLINE vf32 planes_pick(const float *src, int64_t stride, int64_t count)
{
    float lane[VF32_LANES] = {0};
    if (stride == 1) return vf32_load_some(src, count);
    if (stride == 2) return planes_halve(src, count);
    if (stride == 4) {
        int64_t half = 2 * count - 1;
        vf32 left = planes_halve(src, TN_MIN(half, VF32_LANES)), right = {0};
        if (half > VF32_LANES) right = planes_halve(src + 2 * VF32_LANES, half - VF32_LANES);
        return __builtin_shufflevector(left, right, VF32_EVENS);
    }
    for (int64_t i = 0; i < count; i++) lane[i] = src[i * stride];
    return vf32_load(lane);
}

/* The planes of one remainder along the last axis: element q of a row is what lies at q * stride +
 * first, `outside` in the padding. Vectors are stored whole, over the beginning of the next row. */
SIMD_INLINE float *planes_fill_kind(const planes *p, const float *x, const int64_t first[3],
                                    int64_t stride, float outside, float *dst)
{
    const tn_window *w = &p->w;
    int64_t size = p->size[2], in = w->in[2], left = first[2] - w->pad[2];
    int64_t low = left < 0 ? TN_MIN((-left + stride - 1) / stride, size) : 0;
    int64_t high = left >= in ? low : TN_MIN(size, (in - 1 - left) / stride + 1);
    high = TN_MAX(low, high);
    int64_t rest = (high - low) % VF32_LANES;
    for (int64_t i = 0; i < p->size[0]; i++) {
        int64_t d = i * w->stride[0] + first[0] - w->pad[0];
        int64_t h = first[1] - w->pad[1];
        for (int64_t k = 0; k < p->size[1]; k++, h += w->stride[1], dst += size) {
            bool inside = d >= 0 && d < w->in[0] && h >= 0 && h < w->in[1];
            int64_t from = inside ? low : size;
            for (int64_t q = 0; q < from; q += VF32_LANES) vf32_store(dst + q, vf32_set1(outside));
            if (!inside) continue;
            const float *src = x + (d * w->in[1] + h) * in + left + low * stride;
            int64_t q = low;
            for (; q + VF32_LANES <= high; q += VF32_LANES, src += VF32_LANES * stride)
                vf32_store(dst + q, planes_pick(src, stride, VF32_LANES));
            if (rest) vf32_store(dst + q, planes_pick(src, stride, rest));
            for (q = high; q < size; q += VF32_LANES) vf32_store(dst + q, vf32_set1(outside));
        }
    }
    return dst;
}

/* All planes of one channel; `outside`: what its padding holds. */
static inline void planes_fill(const planes *p, const float *x, float outside, float *dst)
{
    const int64_t *kinds = p->remainders;
    for (int64_t kind = 0; kind < kinds[0] * kinds[1] * kinds[2]; kind++) {
        int64_t first[3] = {kind / kinds[2] / kinds[1], kind / kinds[2] % kinds[1],
                            kind % kinds[2]};
        switch (p->w.stride[2]) {
        case 1: dst = planes_fill_kind(p, x, first, 1, outside, dst); break;
        case 2: dst = planes_fill_kind(p, x, first, 2, outside, dst); break;
        case 4: dst = planes_fill_kind(p, x, first, 4, outside, dst); break;
        default: dst = planes_fill_kind(p, x, first, p->w.stride[2], outside, dst);
        }
    }
}

/* A panel of outputs that lie next to each other, as copies of whole vectors: cut where a row of
 * the output ends, and each end written over by the next one's beginning. */
typedef struct piece {
    int64_t from, to; /* in a plane; in the panel */
} piece;

/* The pieces of `most` <= TILE_COLUMNS outputs from `first` on; returns their number. Read and
 * written are up to VF32_LANES - 1 floats behind the last one. */
static inline int64_t planes_pieces(const planes *p, int64_t first, int64_t most,
                                    piece out[TILE_COLUMNS])
{
    const tn_window *w = &p->w;
    int64_t count = 0, to = 0;
    while (most > 0) {
        int64_t column = first % w->out[2], row = first / w->out[2];
        int64_t line = row / w->out[1] * p->size[1] + row % w->out[1];
        int64_t length = TN_MIN(most, w->out[2] - column);
        for (int64_t i = 0; i < length; i += VF32_LANES)
            out[count++] = (piece){line * p->size[2] + column + i, to + i};
        to += length;
        first += length;
        most -= length;
    }
    return count;
}

/* Where the rows of the right side lie: channel after channel, tap after tap. */
typedef struct planes_cursor {
    const float *plane;
    const int64_t *offset;   /* of taps */
    int64_t step, taps, tap; /* step: from one channel to the next */
} planes_cursor;

static inline planes_cursor planes_at(const float *source, int64_t step, const int64_t *offset,
                                      int64_t taps, int64_t row)
{
    return (planes_cursor){source + row / taps * step, offset, step, taps, row % taps};
}

static inline const float *planes_next(planes_cursor *c)
{
    const float *at = c->plane + c->offset[c->tap];
    if (++c->tap == c->taps) {
        c->tap = 0;
        c->plane += c->step;
    }
    return at;
}

/* `count` is a constant where it is small, so that pieces stay in registers. */
SIMD_INLINE void planes_copy(planes_cursor cursor, const piece *pieces, int64_t count, int64_t rows,
                             float *dst)
{
    for (int64_t i = 0; i < rows; i++, dst += TILE_COLUMNS) {
        const float *src = planes_next(&cursor);
        for (int64_t k = 0; k < count; k++)
            vf32_store(dst + pieces[k].to, vf32_load(src + pieces[k].from));
    }
}

/* `rows` rows of the right side at the pieces, into a panel. */
static inline void planes_gather(planes_cursor cursor, const piece *pieces, int64_t count,
                                 int64_t rows, float *panel)
{
    switch (count) {
    case 1: planes_copy(cursor, pieces, 1, rows, panel); break;
    case 2: planes_copy(cursor, pieces, 2, rows, panel); break;
    case 3: planes_copy(cursor, pieces, 3, rows, panel); break;
    case 4: planes_copy(cursor, pieces, 4, rows, panel); break;
    default: planes_copy(cursor, pieces, count, rows, panel);
    }
}

/* The same of planes that nothing lies behind: x itself, whose pieces are one run. */
static inline void planes_gather_exactly(planes_cursor cursor, int64_t first, int64_t count,
                                         int64_t rows, float *panel)
{
    for (int64_t i = 0; i < rows; i++, panel += TILE_COLUMNS)
        memcpy(panel, planes_next(&cursor) + first, (size_t)count * sizeof(float));
}

#endif
