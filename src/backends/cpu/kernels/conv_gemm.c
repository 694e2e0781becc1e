/* Conv and FusedConv in f32 as a matrix product: y[o, s] = sum over (c, tap) of W[o, (c, tap)] *
 * x[(c, tap), s], s running over output positions. The right side is never whole in memory: DEPTH
 * of its rows at TILE_COLUMNS positions are gathered from planes (conv_planes.h) into a panel on
 * the stack, which then meets all output channels of its group.
 *
 * The weights, packed as the columns of W', serve either side of a tile (tile.h):
 *
 *     positions in lanes    y[o, s]   tiles of rows of W times a panel of positions
 *     channels in lanes     y'[s, o]  tiles of positions times a panel of W', turned at the end
 *
 * The second is for planes so small that positions would leave lanes empty. Work is cut into
 * (sample, group, panel), and for the second into channels: no two threads share an output, and
 * every sum runs over (c, tap) in rising order. */
#include "backends/cpu/kernels/conv_cost.h"
#include "backends/cpu/kernels/conv_end.h"
#include "backends/cpu/kernels/conv_planes.h"
#include "backends/cpu/variant.h"

enum { GRAIN = 500000 }; /* multiply-adds worth a thread: waking one costs as much as some 70 us */
enum { DEPTH = TILE_DEPTH, PANEL_FLOATS = (DEPTH + 1) * TILE_COLUMNS };
/* Panels side by side, and rows of all of them: what lies far apart is written so much at a time.
 */
enum { TOGETHER = 8, TOGETHER_ROWS = 4 * DEPTH };
enum { NEAR_ROWS = 16 };         /* of panels side by side, gathered together */
enum { PLANES_BYTES = 4 << 20 }; /* of the samples that are made into planes at a time */

typedef struct job {
    planes planes;
    const int64_t *offset; /* of taps */
    const float *x, *packed;
    float *y, *turned; /* turned: y' of a round of samples, or NULL */
    float *source;     /* planes of a round of samples */
    tile_end end;
    bool simple; /* a bias, a residual and a bound are all of it, */
    const float *bias, *residual;
    float low;                         /* which is that of a ReLU, 0 */
    int64_t groups, channels, outputs; /* channels and outputs of one group */
    int64_t depth, rows, panels;       /* rows of the right side, gathered at a time; panels */
    int64_t samples, round;            /* all; made into planes at a time */
    int64_t first;                     /* sample of this round */
    int64_t pitch;                     /* of a position in `turned` */
    int64_t together;                  /* panels of a unit of work, */
    int64_t parts;                     /* or parts of a panel's output channels */
    const float *weights;              /* as they come, for packing */
    float *pack_to;
} job;

static tn_verdict accepts(const tn_problem *p)
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
static void read_weights(const tn_problem *p, job *j)
{
    const tn_conv_params *params = p->params;
    const tn_tensor *w = &p->in[1];
    *j = (job){.groups = params->group, .channels = w->dim[1], .weights = w->data};
    j->outputs = w->dim[0] / j->groups;
    j->depth = j->channels * tn_dims_product(w->dim, 2, w->rank);
    int64_t passes = (j->depth + DEPTH - 1) / DEPTH;
    j->rows = passes ? (j->depth + passes - 1) / passes : 1;
}

static int64_t packed_floats(const job *j)
{
    return j->groups * tile_packed_count(j->depth, j->outputs);
}

static bool is_packed(const tn_problem *p)
{
    return p->in_constant & 2;
}

/* Lanes that would do work, of all. */
static double share_of_lanes(int64_t count)
{
    int64_t vectors = (count + VF32_LANES - 1) / VF32_LANES;
    return (double)count / (double)(vectors * VF32_LANES);
}

static bool is_turned(const job *j)
{
    int64_t positions = j->planes.w.out_count;
    return positions <= 8 * TILE_COLUMNS &&
           share_of_lanes(positions) < 0.9 * share_of_lanes(j->outputs);
}

static void read(const tn_problem *p, job *j)
{
    tn_window w;
    read_weights(p, j);
    tn_conv_window(p, 1, &w);
    planes_of(&w, &j->planes);
    j->panels = tile_panels(w.out_count);
    j->samples = p->out[0].dim[0];
    /* Not a power of two, for the rows of a tile not to share a set of the cache. */
    j->pitch = (int64_t)tn_align_up((size_t)j->outputs, VF32_LANES) + VF32_LANES;
    int64_t bytes = j->groups * j->channels * j->planes.channel * (int64_t)sizeof(float);
    j->round = TN_MAX(1, TN_MIN(j->samples, PLANES_BYTES / (bytes + 1)));
    if (j->planes.direct && !is_turned(j)) j->round = TN_MAX(1, j->samples);
}

/* Parts of the scratch memory, in order; at NULL: only counted. */
static size_t cut_scratch(const tn_problem *p, job *j, char *at)
{
    size_t used = 0;
    int64_t floats[3] = {0};
    size_t offsets = tn_align_up((size_t)j->planes.w.kernel_count * sizeof(int64_t), TN_ALIGNMENT);
    if (!is_packed(p)) floats[0] = packed_floats(j);
    if (!j->planes.direct)
        floats[1] = j->round * j->groups * j->channels * j->planes.channel + TILE_COLUMNS;
    if (is_turned(j)) floats[2] = j->round * j->groups * j->pitch * j->planes.w.out_count;
    float *part[3];
    if (at) j->offset = (const int64_t *)(const void *)at;
    used = offsets;
    for (int i = 0; i < 3; i++) {
        part[i] = at && floats[i] ? (float *)(void *)(at + used) : NULL;
        used += tn_align_up((size_t)floats[i] * sizeof(float), TN_ALIGNMENT);
    }
    j->pack_to = part[0];
    j->source = part[1];
    j->turned = part[2];
    return used;
}

static size_t scratch_bytes(const tn_problem *p)
{
    job j;
    read(p, &j);
    return cut_scratch(p, &j, NULL);
}

/* Rows of the right side are gathered once for all outputs, which is what few outputs pay for. */
static double estimate_ns(const tn_problem *p)
{
    job j;
    read(p, &j);
    int64_t positions = j.planes.w.out_count;
    double vectors = cost_vectors(positions) * (double)j.outputs;
    if (is_turned(&j)) vectors = cost_vectors(j.outputs) * (double)positions;
    double gathered = cost_vectors(positions) * (j.planes.direct ? 4 : 8);
    double products = (double)(j.samples * j.groups * j.depth) * (vectors + gathered);
    return cost_ns(products, (double)packed_floats(&j));
}

/* ---- Weights ---------------------------------------------------------------------------------*/

static tn_status pack_share(void *arg, int64_t begin, int64_t end, int thread)
{
    job *j = arg;
    int64_t panels = tile_panels(j->outputs);
    (void)thread;
    for (int64_t at = begin; at < end; at++) {
        int64_t group = at / panels, panel = at % panels;
        tile_pack(j->weights + group * j->outputs * j->depth, 1, j->depth, j->depth, j->outputs,
                  panel, panel + 1, j->pack_to + group * tile_packed_count(j->depth, j->outputs));
    }
    return NULL;
}

static size_t packed_bytes(const tn_problem *p)
{
    job j;
    read_weights(p, &j);
    return is_packed(p) ? tn_align_up((size_t)packed_floats(&j) * sizeof(float), TN_ALIGNMENT) : 0;
}

static tn_status pack(const tn_problem *p, void *dst)
{
    job j;
    read_weights(p, &j);
    j.pack_to = dst;
    size_t bytes = packed_bytes(p);
    if (bytes == 0) return NULL;
    memset(dst, 0, bytes); /* the padding too: the same model gives the same file */
    return pack_share(&j, 0, j.groups * tile_panels(j.outputs), 0);
}

static bool panels(const tn_problem *p, tn_panels *out)
{
    job j;
    read_weights(p, &j);
    *out = (tn_panels){j.groups, j.depth, j.outputs, TILE_COLUMNS, true};
    return is_packed(p);
}

static uint64_t unused(const tn_problem *p)
{
    return is_packed(p) ? 2 : 0;
}

/* ---- Positions in lanes ----------------------------------------------------------------------*/

/* What a unit of work reads and where it is. */
typedef struct unit {
    int64_t sample, group, first, count; /* sample of the round; positions */
    int64_t part;                        /* of the output channels */
    const float *source;                 /* planes of the group's first channel */
    const float *packed;                 /* weights of the group */
    int64_t step;                        /* from one channel to the next */
    piece piece[TILE_COLUMNS];
    int64_t pieces; /* 0: exactly `count` floats may be read */
} unit;

static void find_unit(const job *j, int64_t at, unit *u)
{
    int64_t channels = j->groups * j->channels;
    u->part = at % j->parts;
    at /= j->parts;
    u->first = at % j->panels * TILE_COLUMNS;
    u->group = at / j->panels % j->groups;
    u->sample = at / j->panels / j->groups;
    u->count = TN_MIN(TILE_COLUMNS, j->planes.w.out_count - u->first);
    u->packed = j->packed + u->group * tile_packed_count(j->depth, j->outputs);
    bool direct = j->planes.direct;
    u->step = direct ? j->planes.w.in_count : j->planes.channel;
    const float *base = direct ? j->x + j->first * channels * u->step : j->source;
    u->source = base + (u->sample * channels + u->group * j->channels) * u->step;
    bool exactly = direct && u->count < TILE_COLUMNS;
    u->pieces = exactly ? 0 : planes_pieces(&j->planes, u->first, u->count, u->piece);
}

/* Rows [row, row + rows) of the right side. */
static void gather(const job *j, const unit *u, int64_t row, int64_t rows, float *panel)
{
    if (rows == 0) return; /* there may be no taps either */
    planes_cursor cursor = planes_at(u->source, u->step, j->offset, j->planes.w.kernel_count, row);
    if (u->pieces) planes_gather(cursor, u->piece, u->pieces, rows, panel);
    else planes_gather_exactly(cursor, u->first, u->count, rows, panel);
}

/* The same for units side by side. Some rows of all of them at a time: what one has fetched of a
 * line, the next one reads. */
static void gather_all(const job *j, const unit *u, int64_t count, int64_t row, int64_t rows,
                       float *const *panel)
{
    for (int64_t at = 0; at < rows; at += NEAR_ROWS) {
        int64_t some = TN_MIN(NEAR_ROWS, rows - at);
        for (int64_t i = 0; i < count; i++)
            gather(j, &u[i], row + at, some, panel[i] + at * TILE_COLUMNS);
    }
}

/* All outputs of a panel's positions from one packed panel of weights on, `rows` of the sum. */
static void run_outputs(const job *j, const unit *u, int64_t o, int64_t row, int64_t rows,
                        const float *panel)
{
    int64_t size = j->planes.w.out_count, outputs = TN_MIN(TILE_COLUMNS, j->outputs - o);
    int64_t channel = ((j->first + u->sample) * j->groups + u->group) * j->outputs + o;
    float *c = j->y + channel * size + u->first;
    bool last = row + rows == j->depth;
    tile_ends ends = {.low = j->low};
    if (j->bias) ends.bias = j->bias + u->group * j->outputs + o;
    if (j->residual) ends.residual = j->residual + (c - j->y);
    tile_column_turned(outputs, u->count, rows, u->packed + o * j->depth + row * TILE_COLUMNS,
                       TILE_COLUMNS, panel, c, size, row > 0, last && j->simple ? &ends : NULL);
    if (last && !j->simple && j->end.any)
        tile_end_run(&j->end, u->group * j->outputs + o, u->first, outputs, u->count, c, size);
}

static tn_status run_positions(void *arg, int64_t begin, int64_t end, int thread)
{
    const job *j = arg;
    /* A row lies between panels: what is written behind one's end. */
    _Alignas(TN_ALIGNMENT) float panels[(TOGETHER_ROWS + TOGETHER) * TILE_COLUMNS];
    float *panel[TOGETHER];
    int64_t each = (j->panels + j->together - 1) / j->together;
    unit u[TOGETHER];
    (void)thread;
    for (int64_t at = begin; at < end; at++) {
        int64_t first = at % each * j->together, row = 0;
        int64_t count = TN_MIN(j->together, j->panels - first);
        for (int64_t i = 0; i < count; i++) {
            find_unit(j, at / each * j->panels + first + i, &u[i]);
            panel[i] = panels + i * (j->rows + 1) * TILE_COLUMNS;
        }
        do {
            int64_t rows = TN_MIN(j->rows, j->depth - row);
            gather_all(j, u, count, row, rows, panel);
            for (int64_t o = 0; o < j->outputs; o += TILE_COLUMNS)
                for (int64_t i = 0; i < count; i++) run_outputs(j, &u[i], o, row, rows, panel[i]);
            row += j->rows;
        } while (row < j->depth);
    }
    return NULL;
}

/* ---- Channels in lanes -----------------------------------------------------------------------*/

/* Lanes are stored one by one: reading down the columns instead would hit the same few sets of the
 * cache again and again. */
static void turn(const float *src, int64_t positions, int64_t src_step, int64_t channels,
                 float *dst, int64_t dst_step)
{
    for (int64_t o = 0; o < channels; o += VF32_LANES) {
        int64_t lanes = TN_MIN(VF32_LANES, channels - o);
        for (int64_t s = 0; s < positions; s++) {
            float lane[VF32_LANES], *to = dst + o * dst_step + s;
            vf32_store(lane, vf32_load(src + s * src_step + o));
            if (lanes == VF32_LANES)
                for (int i = 0; i < VF32_LANES; i++) to[i * dst_step] = lane[i];
            else
                for (int64_t i = 0; i < lanes; i++) to[i * dst_step] = lane[i];
        }
    }
}

static tn_status run_channels(void *arg, int64_t begin, int64_t end, int thread)
{
    const job *j = arg;
    _Alignas(TN_ALIGNMENT) float panel[PANEL_FLOATS] = {0};
    int64_t size = j->planes.w.out_count, panels = tile_panels(j->outputs);
    unit u;
    (void)thread;
    for (int64_t at = begin; at < end; at++) {
        find_unit(j, at, &u);
        int64_t from = u.part * panels / j->parts * TILE_COLUMNS;
        int64_t to = TN_MIN((u.part + 1) * panels / j->parts * TILE_COLUMNS, j->outputs);
        int64_t group = u.sample * j->groups + u.group, row = 0;
        float *turned = j->turned + (group * size + u.first) * j->pitch;
        do {
            int64_t rows = TN_MIN(j->rows, j->depth - row);
            gather(j, &u, row, rows, panel);
            for (int64_t o = from; o < to; o += TILE_COLUMNS)
                tile_column_turned(u.count, TN_MIN(TILE_COLUMNS, to - o), rows, panel, TILE_COLUMNS,
                                   u.packed + o * j->depth + row * TILE_COLUMNS, turned + o,
                                   j->pitch, row > 0, NULL);
            row += j->rows;
        } while (row < j->depth);
        group += j->first * j->groups;
        float *y = j->y + (group * j->outputs + from) * size + u.first;
        turn(turned + from, u.count, j->pitch, to - from, y, size);
        if (j->end.any)
            tile_end_run(&j->end, u.group * j->outputs + from, u.first, to - from, u.count, y,
                         size);
    }
    return NULL;
}

/* ---- All -------------------------------------------------------------------------------------*/

static tn_status fill_share(void *arg, int64_t begin, int64_t end, int thread)
{
    const job *j = arg;
    int64_t first = j->first * j->groups * j->channels;
    (void)thread;
    for (int64_t at = begin; at < end; at++)
        planes_fill(&j->planes, j->x + (first + at) * j->planes.w.in_count, 0,
                    j->source + at * j->planes.channel);
    return NULL;
}

static tn_status run_round(job *j, int64_t samples, tn_pool *pool)
{
    int64_t channels = samples * j->groups * j->channels;
    int64_t units = samples * j->groups * j->panels, threads = tn_pool_threads(pool);
    if (!j->planes.direct)
        TN_TRY(tn_pool_run(pool, channels, 1 + GRAIN / 4 / (1 + j->planes.channel), fill_share, j));
    j->parts = j->together = 1;
    int64_t work = 1 + j->outputs * j->depth * TILE_COLUMNS;
    if (j->turned) {
        j->parts = TN_MIN(tile_panels(j->outputs), (threads + units - 1) / units);
        return tn_pool_run(pool, units * j->parts, 1 + GRAIN * j->parts / work, run_channels, j);
    }
    j->together = TN_MIN(TN_MIN(TOGETHER, TOGETHER_ROWS / j->rows), units / (8 * threads));
    j->together = TN_MAX(1, j->together);
    units = samples * j->groups * ((j->panels + j->together - 1) / j->together);
    return tn_pool_run(pool, units, 1 + GRAIN / j->together / work, run_positions, j);
}

static tn_status launch(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    job j;
    read(p, &j);
    cut_scratch(p, &j, l->scratch);
    j.x = p->in[0].data;
    j.y = p->out[0].data;
    j.end = conv_end(p);
    j.simple = j.end.any && j.end.function.kind <= TN_EPILOGUE_RELU;
    j.bias = j.end.bias;
    j.residual = j.end.residual;
    j.low = j.end.function.kind == TN_EPILOGUE_RELU ? 0 : -INFINITY;
    if (j.samples * j.outputs * j.planes.w.out_count == 0) return NULL;
    planes_offsets(&j.planes, (int64_t *)(uintptr_t)j.offset);
    j.packed = is_packed(p) ? l->packed : j.pack_to;
    if (!is_packed(p) && j.depth) {
        int64_t grain = 1 + GRAIN / (1 + j.depth * TILE_COLUMNS);
        TN_TRY(tn_pool_run(l->pool, j.groups * tile_panels(j.outputs), grain, pack_share, &j));
    }
    for (; j.first < j.samples; j.first += j.round)
        TN_TRY(run_round(&j, TN_MIN(j.round, j.samples - j.first), l->pool));
    return NULL;
}

extern const tn_tactic TN_VARIANT_NAME(tn_cpu_conv_gemm)[];
#define TACTIC(op_name, text)                                                                      \
    {                                                                                              \
        .name = "cpu." text ".f32.gemm." TN_VARIANT_TEXT, .op = op_name, .revision = 3,            \
        .accepts = accepts, .scratch_bytes = scratch_bytes, .estimate_ns = estimate_ns,            \
        .packed_bytes = packed_bytes, .pack = pack, .panels = panels, .unused = unused,            \
        .launch = launch,                                                                          \
    }
const tn_tactic TN_VARIANT_NAME(tn_cpu_conv_gemm)[] = {
    TACTIC("Conv", "conv"),
    TACTIC("FusedConv", "fusedconv"),
    {0},
};
