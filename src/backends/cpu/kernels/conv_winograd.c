/* Conv and FusedConv in f32 with square kernels of 3 or 5 taps at stride 1, by Winograd's products
 * (winograd.h). What is a convolution over patches becomes a matrix product for each of the points,
 * M[t, o] = V[t, c] * U[c, o], t running over patches:
 *
 *     x  -- planes at stride `tile` (conv_planes.h), B' d B -->  V[point, c, t]
 *     V, and U = G g G' packed at build time -- tiles (tile.h) -->  M[point, t, o], on the stack
 *     M  -- A' m A, turned -->  y[o, row, column]
 *
 * A round is a band of rows of patches, or several samples, whose V stays in the cache. Its two
 * halves are cut into channels and into (patches, outputs): no two threads share an output, and
 * sums run over channels in rising order however it is cut. */
#include "backends/cpu/kernels/conv_cost.h"
#include "backends/cpu/kernels/conv_end.h"
#include "backends/cpu/kernels/conv_planes.h"
#include "backends/cpu/kernels/winograd.h"
#include "backends/cpu/variant.h"

enum { GRAIN = 500000, ROUND_BYTES = 2 << 20, BLOCK = 2 * TILE_ROWS, CHANNELS_MIN = 8 };

typedef struct job {
    planes planes; /* of a round: patches are its windows */
    tn_window w;   /* of the convolution */
    int points, tile;
    int64_t channels, outputs, samples;
    int64_t rows, columns;  /* of patches, in a sample */
    int64_t band, many;     /* rows and samples of a round */
    int64_t row, sample;    /* first of this round */
    int64_t round;          /* samples of this round */
    int64_t patches;        /* of this round */
    int64_t slot, pitch;    /* from one channel's planes to the next, and in V */
    int64_t step;           /* from one point of V to the next */
    int64_t blocks, panels; /* phase 2 */
    int64_t *offset;        /* of the elements of a patch */
    const float *x, *packed;
    float *y, *source, *v;
    const float *bias;
    float low;    /* of a ReLU: 0 */
    tile_end end; /* what else is done to sums */
} job;

/* ---- What fits -------------------------------------------------------------------------------*/

static bool is_square(const tn_window *w, int64_t taps)
{
    for (int i = 1; i < 3; i++)
        if (w->kernel[i] != taps || w->stride[i] != 1 || w->dilation[i] != 1) return false;
    return w->in[0] == 1 && w->kernel[0] == 1 && w->out[0] == 1 && w->pad[0] == 0;
}

static tn_verdict accepts(const tn_problem *p, int taps)
{
    const tn_conv_params *params = p->params;
    tn_window w;
    if (p->in[0].dtype != TN_DTYPE_F32) return TN_NO("the operands are not f32");
    if (!(p->in_constant & 2)) return TN_NO("the weights are not constant");
    if (params->group != 1) return TN_NO("the channels are in groups");
    tn_conv_window(p, 1, &w);
    if (!is_square(&w, taps)) return TN_NO("it is no square kernel of that size, dense, stride 1");
    /* What is kept of all channels at least. */
    double floats = ((double)w.out[2] + WINOGRAD_POINTS_MAX) * (double)p->in[1].dim[1];
    if (floats * WINOGRAD_POINTS_MAX * WINOGRAD_POINTS_MAX >= (double)PLANES_MAX)
        return TN_NO("its rows are too long");
    if (p->in[1].dim[0] < CHANNELS_MIN || p->in[1].dim[1] < CHANNELS_MIN)
        return TN_NO("it has too few channels");
    return TN_YES;
}

static int64_t packed_floats(const tn_problem *p, int points)
{
    return points * points * tile_packed_count(p->in[1].dim[1], p->in[1].dim[0]);
}

/* The planes of `rows` rows of patches from `first` on. */
static void read_band(job *j, int64_t first, int64_t rows)
{
    tn_window w = j->w;
    for (int i = 1; i < 3; i++) {
        w.kernel[i] = j->points;
        w.stride[i] = j->tile;
    }
    w.out[2] = j->columns;
    w.kernel_count = j->points * j->points;
    w = planes_part(&w, 1, first, rows);
    planes_of(&w, &j->planes);
}

static void read(const tn_problem *p, int tile, int points, job *j)
{
    *j = (job){.points = points, .tile = tile};
    tn_conv_window(p, 1, &j->w);
    j->channels = p->in[1].dim[1];
    j->outputs = p->in[1].dim[0];
    j->samples = p->out[0].dim[0];
    j->rows = (j->w.out[1] + tile - 1) / tile;
    j->columns = (j->w.out[2] + tile - 1) / tile;
    j->panels = tile_panels(j->outputs);
    int64_t bytes = points * points * j->channels * j->columns * (int64_t)sizeof(float);
    int64_t rows = TN_MIN(TN_MAX(1, ROUND_BYTES / (bytes + 1)), j->rows), bands = 0;
    j->many = j->band = rows;
    if (j->rows) bands = (j->rows + rows - 1) / rows;
    if (bands) j->band = (j->rows + bands - 1) / bands;
    j->many = bands == 1 ? TN_MAX(1, TN_MIN(ROUND_BYTES / (bytes * j->rows + 1), j->samples)) : 1;
    read_band(j, 0, j->band);
    j->slot = (int64_t)tn_align_up((size_t)j->planes.channel, VF32_LANES) + VF32_LANES;
    /* Lines of the cache apart: an odd number, so that what is read or written together does not
     * fall into the same few sets of it. */
    int64_t line = TN_ALIGNMENT / (int64_t)sizeof(float);
    j->pitch = (j->many * j->band * j->columns + VF32_LANES + line - 1) / line | 1;
    j->step = (j->channels * j->pitch | 1) * line;
    j->pitch *= line;
}

/* Parts of the scratch memory, in order; at NULL: only counted. */
static size_t cut_scratch(job *j, char *at)
{
    int64_t points = j->points * j->points;
    size_t offsets = tn_align_up((size_t)points * sizeof(int64_t), TN_ALIGNMENT);
    size_t source = tn_align_up((size_t)(j->channels * j->slot) * sizeof(float), TN_ALIGNMENT);
    size_t v = (size_t)(points * j->step) * sizeof(float);
    if (at) {
        j->offset = (int64_t *)(void *)at;
        j->source = (float *)(void *)(at + offsets);
        j->v = (float *)(void *)(at + offsets + source);
    }
    return offsets + source + v;
}

/* ---- Weights ---------------------------------------------------------------------------------*/

/* One kernel at all points. */
static void transform_weights(int points, int taps, const float *w, double *u)
{
    double columns[WINOGRAD_POINTS_MAX * WINOGRAD_POINTS_MAX];
    for (int i = 0; i < taps; i++)
        for (int k = 0; k < taps; k++) columns[i * points + k] = w[i * taps + k];
    for (int k = 0; k < taps; k++) {
        double out[WINOGRAD_POINTS_MAX * WINOGRAD_POINTS_MAX];
        winograd_weights(points, taps, columns + k, points, out);
        for (int i = 0; i < points; i++) u[i * points + k] = out[i * points];
    }
    for (int i = 0; i < points; i++) {
        double row[WINOGRAD_POINTS_MAX];
        winograd_weights(points, taps, u + i * points, 1, row);
        for (int k = 0; k < points; k++) u[i * points + k] = row[k];
    }
}

/* Panels of TILE_COLUMNS outputs; in each, the panels of tile.h of all points. */
static tn_status pack(const tn_problem *p, int tile, int points, void *dst)
{
    int64_t channels = p->in[1].dim[1], outputs = p->in[1].dim[0], all = points * points;
    int taps = points - tile + 1;
    const float *w = p->in[1].data;
    float *packed = dst;
    memset(dst, 0, tn_align_up((size_t)packed_floats(p, points) * sizeof(float), TN_ALIGNMENT));
    for (int64_t o = 0; o < outputs; o++) {
        for (int64_t c = 0; c < channels; c++, w += taps * taps) {
            double u[WINOGRAD_POINTS_MAX * WINOGRAD_POINTS_MAX];
            transform_weights(points, taps, w, u);
            for (int64_t i = 0; i < all; i++)
                packed[((o / TILE_COLUMNS * all + i) * channels + c) * TILE_COLUMNS +
                       o % TILE_COLUMNS] = (float)u[i];
        }
    }
    return NULL;
}

/* ---- x to V ----------------------------------------------------------------------------------*/

/* Up to VF32_LANES patches in a row, whose numbers lie within 2 * VF32_LANES of each other: images
 * of few columns fill a vector from several rows of patches. */
typedef struct patches {
    int64_t from, count; /* the first one in the planes of a channel */
    vi32 index;          /* of each, from there on */
    bool together;       /* they lie side by side */
} patches;

/* Those from number `first` of a band on. */
static patches find_patches(const job *j, int64_t first)
{
    int64_t columns = j->columns, width = j->planes.size[2];
    int64_t most = TN_MIN(VF32_LANES, j->planes.w.out_count - first);
    int64_t row = first / columns, column = first % columns;
    patches p = {.from = row * width + column};
    p.together = most <= columns - column;
    if (p.together) {
        p.count = most;
        return p;
    }
    for (int64_t at = 0; p.count < most && at < 2 * VF32_LANES; p.count++) {
        p.index[p.count] = (int32_t)at;
        bool last = ++column == columns;
        at += last ? width - columns + 1 : 1;
        if (last) column = 0;
    }
    return p;
}

SIMD_INLINE vf32 load_patches(const patches *p, bool together, const float *from)
{
    if (together) return vf32_load(from);
    return vf32_choose(vf32_load(from), vf32_load(from + VF32_LANES), p->index);
}

/* The patches of one vector: `from` in the planes of a channel, at v in V. */
SIMD_INLINE void transform_patches(int points, bool together, const patches *p, const float *from,
                                   const int64_t *offset, float *v, int64_t step)
{
    vf32 d[WINOGRAD_POINTS_MAX * WINOGRAD_POINTS_MAX], half[WINOGRAD_POINTS_MAX];
    for (int k = 0; k < points; k++) {
        vf32 column[WINOGRAD_POINTS_MAX];
        for (int i = 0; i < points; i++)
            column[i] = load_patches(p, together, from + offset[i * points + k]);
        winograd_input(points, column, 1, half);
        for (int i = 0; i < points; i++) d[i * points + k] = half[i];
    }
    for (int i = 0; i < points; i++) {
        winograd_input(points, d + i * points, 1, half);
        for (int k = 0; k < points; k++) vf32_store(v + (i * points + k) * step, half[k]);
    }
}

/* V is written a vector at a time, over what comes next. */
static void transform_band(const job *j, const float *source, float *v)
{
    int64_t each = j->planes.w.out_count;
    for (int64_t first = 0; first < each;) {
        patches p = find_patches(j, first);
        const float *from = source + p.from;
        float *to = v + first;
        if (j->points == 4 && p.together)
            transform_patches(4, true, &p, from, j->offset, to, j->step);
        else if (j->points == 4) transform_patches(4, false, &p, from, j->offset, to, j->step);
        else if (p.together) transform_patches(6, true, &p, from, j->offset, to, j->step);
        else transform_patches(6, false, &p, from, j->offset, to, j->step);
        first += p.count;
    }
}

static tn_status run_inputs(void *arg, int64_t begin, int64_t end, int thread)
{
    const job *j = arg;
    int64_t each = j->planes.w.out_count;
    (void)thread;
    for (int64_t c = begin; c < end; c++) {
        float *source = j->source + c * j->slot, *v = j->v + c * j->pitch;
        const float *x = j->x + (j->sample * j->channels + c) * j->planes.w.in_count;
        for (int64_t s = 0; s < j->round; s++, v += each) {
            planes_fill(&j->planes, x + s * j->channels * j->planes.w.in_count, 0, source);
            transform_band(j, source, v);
        }
    }
    return NULL;
}

/* ---- V and U to M ----------------------------------------------------------------------------*/

/* `count` patches from `first` on by the outputs of a panel. Strips are of equal size, as no tile
 * of few rows is as quick as the large ones. */
static void multiply(const job *j, int64_t panel, int64_t first, int64_t count, float *m)
{
    int64_t strips = (count + TILE_ROWS - 1) / TILE_ROWS, points = j->points * j->points;
    int64_t wide = j->outputs - panel * TILE_COLUMNS > VF32_LANES ? TILE_COLUMNS : VF32_LANES;
    for (int64_t i = 0; i < points; i++) {
        const float *u = j->packed + (panel * points + i) * j->channels * TILE_COLUMNS;
        const float *v = j->v + i * j->step + first;
        for (int64_t c = 0; c < j->channels; c += TILE_DEPTH) {
            int64_t depth = TN_MIN(TILE_DEPTH, j->channels - c);
            for (int64_t s = 0; s < strips; s++) {
                int64_t from = count * s / strips, to = count * (s + 1) / strips;
                tile_one_turned((int)(to - from), wide, depth, v + c * j->pitch + from, j->pitch,
                                u + c * TILE_COLUMNS, m + (i * BLOCK + from) * TILE_COLUMNS,
                                TILE_COLUMNS, c > 0);
            }
        }
    }
}

/* ---- M to y ----------------------------------------------------------------------------------*/

/* One vector of outputs of `count` patches, into lines of count * tile columns. */
SIMD_INLINE void transform_outputs(int points, int tile, const float *m, int64_t count, vf32 bias,
                                   vf32 low, vf32 *line, int64_t line_step)
{
    for (int64_t t = 0; t < count; t++, m += TILE_COLUMNS) {
        vf32 half[WINOGRAD_POINTS_MAX * 4], out[4];
        for (int i = 0; i < points; i++) {
            vf32 row[WINOGRAD_POINTS_MAX];
            for (int k = 0; k < points; k++)
                row[k] = vf32_load(m + (i * points + k) * BLOCK * TILE_COLUMNS);
            winograd_output(points, tile, row, 1, half + i, points);
        }
        for (int k = 0; k < tile; k++) {
            winograd_output(points, tile, half + k * points, 1, out, 1);
            for (int i = 0; i < tile; i++)
                line[i * line_step + t * tile + k] = vf32_max(low, out[i] + bias);
        }
    }
}

/* A line of outputs side by side to planes of y; line has whole squares. */
static void store_line(vf32 *line, int64_t columns, int64_t outputs, float *y, int64_t plane)
{
    for (int64_t at = 0; at < columns; at += VF32_LANES) {
        int64_t count = TN_MIN(VF32_LANES, columns - at);
        vf32 v[VF32_LANES];
        memcpy(v, line + at, sizeof v);
        tile_turn_square(v);
        for (int64_t o = 0; o < outputs; o++) vf32_store_some(y + o * plane + at, v[o], count);
    }
}

/* `count` patches side by side from column of patches `first` on; m: their first in M. */
static void finish(const job *j, int64_t sample, int64_t row, int64_t first, int64_t count,
                   int64_t panel, const float *m)
{
    vf32 lines[4 * (BLOCK * 4 + VF32_LANES)];
    int64_t step = BLOCK * 4 + VF32_LANES, tile = j->tile, top = row * tile;
    int64_t o = panel * TILE_COLUMNS, last = TN_MIN(o + TILE_COLUMNS, j->outputs);
    int64_t columns = TN_MIN(count * tile, j->w.out[2] - first * tile);
    int64_t height = TN_MIN(tile, j->w.out[1] - top), plane = j->w.out_count;
    float *y = j->y + (sample * j->outputs + o) * plane + top * j->w.out[2] + first * tile;
    for (int64_t from = o; from < last; from += VF32_LANES) {
        const float *src = m + (from - o);
        vf32 bias = {0}, low = vf32_set1(j->low);
        if (j->bias) bias = vf32_load_some(j->bias + from, TN_MIN(VF32_LANES, last - from));
        if (j->points == 4) transform_outputs(4, 2, src, count, bias, low, lines, step);
        else if (tile == 2) transform_outputs(6, 2, src, count, bias, low, lines, step);
        else transform_outputs(6, 4, src, count, bias, low, lines, step);
        for (int64_t i = 0; i < height; i++) {
            for (int64_t k = count * tile; k % VF32_LANES; k++) lines[i * step + k] = (vf32){0};
            store_line(lines + i * step, columns, TN_MIN(VF32_LANES, last - from),
                       y + (from - o) * plane + i * j->w.out[2], plane);
        }
    }
    for (int64_t i = 0; j->end.any && i < height; i++)
        tile_end_run(&j->end, o, 0, last - o, columns, y + i * j->w.out[2], plane);
}

static tn_status run_outputs(void *arg, int64_t begin, int64_t end, int thread)
{
    const job *j = arg;
    _Alignas(
        TN_ALIGNMENT) float m[WINOGRAD_POINTS_MAX * WINOGRAD_POINTS_MAX * BLOCK * TILE_COLUMNS];
    int64_t each = j->planes.w.out_count;
    (void)thread;
    for (int64_t at = begin; at < end; at++) {
        int64_t panel = at % j->panels, block = at / j->panels;
        int64_t first = j->patches * block / j->blocks;
        int64_t last = j->patches * (block + 1) / j->blocks;
        multiply(j, panel, first, last - first, m);
        for (int64_t t = first, count; t < last; t += count) {
            int64_t column = t % each % j->columns;
            count = TN_MIN(last - t, j->columns - column);
            finish(j, j->sample + t / each, j->row + t % each / j->columns, column, count, panel,
                   m + (t - first) * TILE_COLUMNS);
        }
    }
    return NULL;
}

/* ---- All -------------------------------------------------------------------------------------*/

/* Few units of work are made more, for threads to have as much of it each. */
static void share_out(job *j, int64_t threads)
{
    const int64_t least = 8; /* patches, below which tiles are small */
    while (j->blocks * j->panels < 4 * threads && j->blocks * j->panels % threads &&
           j->patches >= 2 * least * j->blocks)
        j->blocks *= 2;
}

static tn_status run_round(job *j, tn_pool *pool)
{
    int64_t work = j->points * j->points * (j->patches + VF32_LANES);
    TN_TRY(tn_pool_run(pool, j->channels, 1 + GRAIN / 4 / work, run_inputs, j));
    work = j->points * j->points * (j->patches / j->blocks + 1) * j->channels * TILE_COLUMNS;
    return tn_pool_run(pool, j->blocks * j->panels, 1 + GRAIN / work, run_outputs, j);
}

static tn_status run(const tn_launch *l, int tile, int points)
{
    const tn_problem *p = l->problem;
    job j;
    read(p, tile, points, &j);
    if (j.samples * j.w.out_count == 0) return NULL;
    cut_scratch(&j, l->scratch);
    j.x = p->in[0].data;
    j.y = p->out[0].data;
    j.packed = l->packed;
    conv_end_split(p, &j.end, &j.bias, &j.low);
    for (; j.sample < j.samples; j.sample += j.many) {
        j.round = TN_MIN(j.many, j.samples - j.sample);
        for (j.row = 0; j.row < j.rows; j.row += j.band) {
            read_band(&j, j.row, TN_MIN(j.band, j.rows - j.row));
            planes_offsets(&j.planes, j.offset);
            j.patches = j.round * j.planes.w.out_count;
            j.blocks = (j.patches + BLOCK - 1) / BLOCK;
            share_out(&j, tn_pool_threads(l->pool));
            TN_TRY(run_round(&j, l->pool));
        }
    }
    return NULL;
}

/* Every number of V and of M is moved about some 16 times. */
static double estimate(const tn_problem *p, int tile, int points)
{
    job j;
    read(p, tile, points, &j);
    double all = (double)(points * points * j.samples * j.rows * j.columns);
    double products = all * cost_vectors(j.outputs) * (double)j.channels;
    double moved = all * (double)(j.channels + j.outputs) / VF32_LANES;
    return cost_ns(products + 16 * moved, (double)packed_floats(p, points));
}

static uint64_t unused(const tn_problem *p)
{
    (void)p;
    return 2;
}

/* The functions of one size: y in tiles of `tile` x `tile` under `taps` x `taps`. */
#define SIZE(tile, taps)                                                                           \
    static tn_verdict accepts_##tile##_##taps(const tn_problem *p)                                 \
    {                                                                                              \
        return accepts(p, taps);                                                                   \
    }                                                                                              \
    static size_t scratch_bytes_##tile##_##taps(const tn_problem *p)                               \
    {                                                                                              \
        job j;                                                                                     \
        read(p, tile, tile + taps - 1, &j);                                                        \
        return cut_scratch(&j, NULL);                                                              \
    }                                                                                              \
    static size_t packed_bytes_##tile##_##taps(const tn_problem *p)                                \
    {                                                                                              \
        size_t floats = (size_t)packed_floats(p, tile + taps - 1);                                 \
        return tn_align_up(floats * sizeof(float), TN_ALIGNMENT);                                  \
    }                                                                                              \
    static tn_status pack_##tile##_##taps(const tn_problem *p, void *dst)                          \
    {                                                                                              \
        return pack(p, tile, tile + taps - 1, dst);                                                \
    }                                                                                              \
    static double estimate_ns_##tile##_##taps(const tn_problem *p)                                 \
    {                                                                                              \
        return estimate(p, tile, tile + taps - 1);                                                 \
    }                                                                                              \
    static tn_status launch_##tile##_##taps(const tn_launch *l)                                    \
    {                                                                                              \
        return run(l, tile, tile + taps - 1);                                                      \
    }
SIZE(4, 3)
SIZE(2, 3)
SIZE(2, 5)

extern const tn_tactic TN_VARIANT_NAME(tn_cpu_conv_winograd)[];
#define TACTIC(op_name, text, tile, taps)                                                          \
    {                                                                                              \
        .name = "cpu." text ".f32.winograd_" #tile "x" #taps "." TN_VARIANT_TEXT, .op = op_name,   \
        .revision = 3, .accepts = accepts_##tile##_##taps,                                         \
        .scratch_bytes = scratch_bytes_##tile##_##taps,                                            \
        .estimate_ns = estimate_ns_##tile##_##taps, .packed_bytes = packed_bytes_##tile##_##taps,  \
        .pack = pack_##tile##_##taps, .unused = unused, .launch = launch_##tile##_##taps,          \
    }
const tn_tactic TN_VARIANT_NAME(tn_cpu_conv_winograd)[] = {
    TACTIC("Conv", "conv", 4, 3),
    TACTIC("FusedConv", "fusedconv", 4, 3),
    TACTIC("Conv", "conv", 2, 3),
    TACTIC("FusedConv", "fusedconv", 2, 3),
    TACTIC("Conv", "conv", 2, 5),
    TACTIC("FusedConv", "fusedconv", 2, 5),
    {0},
};
