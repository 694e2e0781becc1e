/* Outputs of one plane a band of rows at a time, whose input, padding and all, is copied to a small
 * buffer in the caller's hands (conv_planes.h), so that nothing is asked of a tap afterwards. For
 * windows of up to two axes. */
#ifndef TN_BACKENDS_CPU_BANDS_H
#define TN_BACKENDS_CPU_BANDS_H

#include "backends/cpu/kernels/conv_planes.h"

#define BANDS_VECTORS 4 /* that may be read at once, beyond the last row too */
enum { BANDS_FLOATS = 6144, BANDS_BUFFER = BANDS_FLOATS + BANDS_VECTORS * VF32_LANES };

typedef struct bands {
    tn_window w;
    planes planes;         /* of a band that begins at row and column 0 */
    int64_t rows, columns; /* of a band, at most */
    float outside;         /* what the padding holds */
} bands;

typedef struct band {
    int64_t row, column, rows, columns;
} band;

/* False: its windows reach too far for the buffer. */
static inline bool bands_of(const tn_window *w, float outside, bands *out)
{
    const int64_t columns_min = 64;
    *out = (bands){.w = *w, .rows = w->out[1], .columns = w->out[2], .outside = outside};
    if (w->in[0] != 1 || w->out[0] != 1 || w->kernel[0] != 1 || w->pad[0]) return false;
    for (;;) {
        tn_window part = planes_part(w, 1, 0, out->rows);
        part = planes_part(&part, 2, 0, out->columns);
        planes_of(&part, &out->planes);
        if (out->planes.fits && out->planes.channel <= BANDS_FLOATS) return true;
        if (out->rows > 1) out->rows = (out->rows + 1) / 2;
        else if (out->columns > columns_min) out->columns = (out->columns + 1) / 2;
        else return false;
    }
}

/* Copies what the next band of plane x reads; start with *at zero. False: there are no more. */
static inline bool bands_next(const bands *b, const float *x, band *at, float *buffer)
{
    const tn_window *w = &b->w;
    at->column += at->columns;
    if (at->column >= w->out[2]) {
        at->column = 0;
        at->row += at->rows;
    }
    if (at->row >= w->out[1] || w->out[2] == 0) return false;
    at->rows = TN_MIN(b->rows, w->out[1] - at->row);
    at->columns = TN_MIN(b->columns, w->out[2] - at->column);
    planes part = b->planes;
    part.w.pad[1] = w->pad[1] - at->row * w->stride[1];
    part.w.pad[2] = w->pad[2] - at->column * w->stride[2];
    planes_fill(&part, x, b->outside, buffer);
    return true;
}

#endif
