/* How a convolution as a matrix product is cut into work: y[o, s] = sum over (c, tap) of W[o, (c,
 * tap)] * x[(c, tap), s], s running over output positions. The right side is never whole in memory:
 * some of its rows at TILE_COLUMNS positions, a panel, are gathered from planes (conv_planes.h).
 *
 * Units of work are (sample, group, part of the output channels, panel), in this order: few panels
 * do not come out even between threads, and where each thread has a part of the channels, it reads
 * no other's weights. No two threads share an output. */
#ifndef TN_BACKENDS_CPU_CONV_CUT_H
#define TN_BACKENDS_CPU_CONV_CUT_H

#include "backends/cpu/kernels/conv_planes.h"
#include "device/device.h"
#include "ops/conv/conv.h"

enum { CUT_NEAR_ROWS = 16 };         /* of panels side by side, gathered together */
enum { CUT_PLANES_BYTES = 4 << 20 }; /* of the samples that are made into planes at a time */
enum { CUT_FILL_GRAIN = 125000 };    /* floats of planes worth a thread */

typedef struct conv_cut {
    planes planes;
    const int64_t *offset; /* of taps */
    const float *x;
    float *source;                     /* planes of a round of samples; none where x is that */
    int64_t groups, channels, outputs; /* channels and outputs of one group */
    int64_t depth, panels;             /* rows of the right side; panels of a plane */
    int64_t samples, round, first;     /* all; made into planes at a time; first of this round */
    int64_t parts;                     /* of the output channels */
} conv_cut;

static inline tn_verdict conv_cut_accepts(const tn_problem *p)
{
    tn_window w;
    planes all;
    if (p->in[0].dtype != TN_DTYPE_F32) return TN_NO("the operands are not f32");
    tn_conv_window(p, 1, &w);
    planes_of(&w, &all);
    /* What is kept of all channels of a sample. */
    double floats = (double)all.channel * (double)p->in[0].dim[1];
    if (!all.fits || floats >= (double)PLANES_MAX) return TN_NO("its padding is too large");
    return TN_YES;
}

/* What the weights alone tell: x may not be known yet. */
static inline void conv_cut_weights(const tn_problem *p, conv_cut *out)
{
    const tn_conv_params *params = p->params;
    const tn_tensor *w = &p->in[1];
    *out = (conv_cut){.groups = params->group, .channels = w->dim[1], .parts = 1};
    out->outputs = w->dim[0] / out->groups;
    out->depth = out->channels * tn_dims_product(w->dim, 2, w->rank);
}

static inline void conv_cut_read(const tn_problem *p, conv_cut *out)
{
    tn_window w;
    conv_cut_weights(p, out);
    tn_conv_window(p, 1, &w);
    planes_of(&w, &out->planes);
    out->panels = tile_panels(w.out_count);
    out->samples = p->out[0].dim[0];
    out->x = p->in[0].data;
    int64_t floats = out->groups * out->channels * out->planes.channel;
    int64_t bytes = floats * (int64_t)sizeof(float);
    out->round = TN_MAX(1, TN_MIN(out->samples, CUT_PLANES_BYTES / (bytes + 1)));
}

/* Its part of the scratch memory; at NULL: only counted. */
static inline size_t conv_cut_scratch(conv_cut *c, char *at)
{
    size_t offsets = tn_align_up((size_t)c->planes.w.kernel_count * sizeof(int64_t), TN_ALIGNMENT);
    int64_t floats = c->round * c->groups * c->channels * c->planes.channel + TILE_COLUMNS;
    if (c->planes.direct) floats = 0;
    c->source = at && floats ? (float *)(void *)(at + offsets) : NULL;
    if (at) c->offset = (const int64_t *)(const void *)at;
    return offsets + tn_align_up((size_t)floats * sizeof(float), TN_ALIGNMENT);
}

/* ---- Units -----------------------------------------------------------------------------------*/

/* What a unit of work reads and where it is. */
typedef struct conv_unit {
    int64_t sample, group, first, count; /* sample of the round; positions */
    int64_t from, to;                    /* output channels */
    int64_t channel;                     /* the group's first in y */
    const float *source;                 /* planes of the group's first channel */
    int64_t step;                        /* from one channel to the next */
    piece piece[TILE_COLUMNS];
    int64_t pieces; /* 0: exactly `count` floats may be read */
} conv_unit;

static inline void conv_unit_find(const conv_cut *c, int64_t at, conv_unit *u)
{
    int64_t channels = c->groups * c->channels, panels = tile_panels(c->outputs);
    u->first = at % c->panels * TILE_COLUMNS;
    at /= c->panels;
    int64_t part = at % c->parts;
    u->from = part * panels / c->parts * TILE_COLUMNS;
    u->to = TN_MIN((part + 1) * panels / c->parts * TILE_COLUMNS, c->outputs);
    u->group = at / c->parts % c->groups;
    u->sample = at / c->parts / c->groups;
    u->count = TN_MIN(TILE_COLUMNS, c->planes.w.out_count - u->first);
    u->channel = ((c->first + u->sample) * c->groups + u->group) * c->outputs;
    bool direct = c->planes.direct;
    u->step = direct ? c->planes.w.in_count : c->planes.channel;
    const float *base = direct ? c->x + c->first * channels * u->step : c->source;
    u->source = base + (u->sample * channels + u->group * c->channels) * u->step;
    bool exactly = direct && u->count < TILE_COLUMNS;
    u->pieces = exactly ? 0 : planes_pieces(&c->planes, u->first, u->count, u->piece);
}

/* Units from `at` on whose panels lie side by side: those of the same outputs. */
static inline int64_t conv_units_together(const conv_cut *c, int64_t at, int64_t end, int64_t most)
{
    return TN_MIN(TN_MIN(most, end - at), c->panels - at % c->panels);
}

/* Rows [row, row + rows) of the right side. */
static inline void conv_gather(const conv_cut *c, const conv_unit *u, int64_t row, int64_t rows,
                               float *panel)
{
    if (rows == 0) return; /* there may be no taps either */
    planes_cursor cursor = planes_at(u->source, u->step, c->offset, c->planes.w.kernel_count, row);
    if (u->pieces) planes_gather(cursor, u->piece, u->pieces, rows, panel);
    else planes_gather_exactly(cursor, u->first, u->count, rows, panel);
}

/* The same for units side by side. Some rows of all of them at a time: what one has fetched of a
 * line, the next one reads. */
static inline void conv_gather_all(const conv_cut *c, const conv_unit *u, int64_t count,
                                   int64_t row, int64_t rows, float *const *panel)
{
    for (int64_t at = 0; at < rows; at += CUT_NEAR_ROWS) {
        int64_t some = TN_MIN(CUT_NEAR_ROWS, rows - at);
        for (int64_t i = 0; i < count; i++)
            conv_gather(c, &u[i], row + at, some, panel[i] + at * TILE_COLUMNS);
    }
}

/* ---- Rounds ----------------------------------------------------------------------------------*/

static inline tn_status conv_fill_share(void *arg, int64_t begin, int64_t end, int thread)
{
    const conv_cut *c = arg;
    int64_t first = c->first * c->groups * c->channels;
    (void)thread;
    for (int64_t at = begin; at < end; at++)
        planes_fill(&c->planes, c->x + (first + at) * c->planes.w.in_count, 0,
                    c->source + at * c->planes.channel);
    return NULL;
}

/* Parts of the output channels with which the busiest of the threads has least to do. Each part
 * gathers for itself, which takes as long as `gather` outputs. */
static inline int64_t conv_parts(const conv_cut *c, int64_t matrices, int64_t threads,
                                 int64_t gather)
{
    int64_t columns = tile_panels(c->outputs), best = 1, least = INT64_MAX;
    for (int64_t parts = 1; parts <= TN_MIN(columns, threads); parts++) {
        int64_t units = (matrices * parts * c->panels + threads - 1) / threads;
        int64_t rest = TN_MIN(units % c->panels * TILE_COLUMNS, c->planes.w.out_count);
        int64_t positions = units / c->panels * c->planes.w.out_count + rest;
        int64_t outputs = (columns + parts - 1) / parts * TILE_COLUMNS;
        int64_t cost = positions * (outputs + gather);
        if (cost >= least) continue;
        least = cost;
        best = parts;
    }
    return best;
}

/* Runs `fill` on the channels of planes, `work` on all units, round by round, both with what
 * begins with the cut. grain: of units in one part, worth a thread. */
static inline tn_status conv_cut_run(conv_cut *c, tn_pool *pool, double grain, int64_t gather,
                                     tn_pool_work fill, tn_pool_work work)
{
    planes_offsets(&c->planes, (int64_t *)(uintptr_t)c->offset);
    for (; c->first < c->samples; c->first += c->round) {
        int64_t matrices = TN_MIN(c->round, c->samples - c->first) * c->groups;
        int64_t fill_grain = 1 + CUT_FILL_GRAIN / (1 + c->planes.channel);
        if (!c->planes.direct)
            TN_TRY(tn_pool_run(pool, matrices * c->channels, fill_grain, fill, c));
        double shares = (double)(matrices * c->panels) / grain;
        int64_t threads = tn_pool_threads(pool);
        if (shares < (double)threads) threads = 1 + (int64_t)shares;
        c->parts = conv_parts(c, matrices, threads, gather);
        TN_TRY(tn_pool_run(pool, matrices * c->panels * c->parts,
                           1 + (int64_t)(grain * (double)c->parts), work, c));
    }
    return NULL;
}

#endif
