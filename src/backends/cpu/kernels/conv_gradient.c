/* Gradients of Conv in f32 as matrix products, with the matrix X[(c, tap), s] of what tap `tap` of
 * channel c reads at output position s (positions.h), never whole in memory:
 *
 *     dW[o, (c, tap)] = sum over samples and s of dy[o, s] * X[(c, tap), s]
 *     dX[(c, tap), s] = sum over o of W[o, (c, tap)] * dy[o, s], added to the plane of channel c
 *
 * Every sum runs in one order however many threads there are: dW is cut into panels of taps and, if
 * those are few, into a number of runs of samples that hangs on the problem alone. */
#include "backends/cpu/kernels/positions.h"
#include "backends/cpu/variant.h"
#include "device/device.h"
#include "ops/conv/conv.h"

enum { GRAIN = 500000 }; /* multiply-adds worth a thread */
enum { SLICES = 8 };     /* runs of samples, where taps alone do not give enough shares */
enum { TAPS = 256 };     /* rows of dX that are worked out at once */

typedef struct job {
    tn_window w;
    const float *x, *dy, *weights;            /* weights: [group, tap, output] */
    float *out, *slice;                       /* slice: the runs but the first of samples */
    int64_t batch, groups, channels, outputs; /* channels and outputs of one group */
    int64_t taps;                             /* channels * kernel_count */
    int64_t shares, slices, chunk;            /* chunk: channels of a share */
} job;

static tn_verdict accepts(const tn_problem *p)
{
    if (p->in[0].dtype != TN_DTYPE_F32) return TN_NO("the operands are not f32");
    return TN_YES;
}

static void read_job(const tn_problem *p, bool data, job *out)
{
    const tn_conv_params *params = p->params;
    const tn_tensor *x = &p->in[data ? 2 : 0], *w = &p->in[data ? 1 : 2];
    *out = (job){.groups = params->group, .batch = x->dim[0]};
    tn_conv_gradient_window(p, data, &out->w);
    window_flatten(&out->w);
    out->channels = w->dim[1];
    out->outputs = w->dim[0] / out->groups;
    out->taps = out->channels * out->w.kernel_count;
}

/* ---- Weights ---------------------------------------------------------------------------------*/

static void cut_weights(job *j)
{
    j->shares = j->groups * tile_panels(j->taps);
    j->slices = j->shares >= SLICES ? 1 : TN_MAX(1, TN_MIN(SLICES, j->batch));
}

static size_t scratch_weights(const tn_problem *p)
{
    job j;
    read_job(p, false, &j);
    cut_weights(&j);
    return (size_t)((j.slices - 1) * j.groups * j.outputs * j.taps) * sizeof(float);
}

/* Columns [first, first + count) of X transposed: panel[position][column]. */
static void gather_columns(const job *j, const positions *s, const float *x, int64_t first,
                           int64_t count, float *panel)
{
    float row[TILE_DEPTH];
    for (int64_t c = 0; c < TILE_COLUMNS; c++) {
        int64_t tap = first + c, k = tap % j->w.kernel_count;
        if (c >= count) {
            for (int64_t i = 0; i < s->count; i++) panel[i * TILE_COLUMNS + c] = 0;
            continue;
        }
        positions_gather(&j->w, s, x + tap / j->w.kernel_count * j->w.in_count, k, row);
        for (int64_t i = 0; i < s->count; i++) panel[i * TILE_COLUMNS + c] = row[i];
    }
}

static tn_status weights_share(void *arg, int64_t begin, int64_t end, int thread)
{
    const job *j = arg;
    _Alignas(TN_ALIGNMENT) float panel[TILE_DEPTH * TILE_COLUMNS];
    int64_t panels = tile_panels(j->taps), size = j->w.out_count;
    positions s;
    (void)thread;
    for (int64_t at = begin; at < end; at++) {
        int64_t slice = at / j->shares, group = at % j->shares / panels;
        int64_t first = at % panels * TILE_COLUMNS, count = TN_MIN(j->taps - first, TILE_COLUMNS);
        float *base = slice ? j->slice + (slice - 1) * j->groups * j->outputs * j->taps : j->out;
        float *dw = base + group * j->outputs * j->taps + first;
        for (int64_t o = 0; o < j->outputs; o++)
            memset(dw + o * j->taps, 0, (size_t)count * sizeof(float));
        for (int64_t n = j->batch * slice / j->slices; n < j->batch * (slice + 1) / j->slices;
             n++) {
            const float *x = j->x + (n * j->groups + group) * j->channels * j->w.in_count;
            const float *dy = j->dy + (n * j->groups + group) * j->outputs * size;
            for (int64_t p = 0; p < size; p += TILE_DEPTH) {
                positions_find(&j->w, p, TILE_DEPTH, &s);
                gather_columns(j, &s, x, first, count, panel);
                tile_column(j->outputs, count, s.count, dy + p, size, panel, dw, j->taps, 1);
            }
        }
    }
    return NULL;
}

static tn_status launch_weights(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    job j;
    read_job(p, false, &j);
    cut_weights(&j);
    j.x = p->in[0].data;
    j.dy = p->in[1].data;
    j.out = p->out[0].data;
    j.slice = l->scratch;
    int64_t count = j.groups * j.outputs * j.taps;
    if (count == 0) return NULL;
    int64_t work = j.batch * j.outputs * j.w.out_count * TILE_COLUMNS / j.slices;
    TN_TRY(tn_pool_run(l->pool, j.shares * j.slices, 1 + GRAIN / (1 + work), weights_share, &j));
    for (int64_t slice = 1; slice < j.slices; slice++) {
        const float *more = j.slice + (slice - 1) * count;
        for (int64_t i = 0; i < count; i++) j.out[i] += more[i];
    }
    return NULL;
}

/* ---- Data ------------------------------------------------------------------------------------*/

static size_t scratch_data(const tn_problem *p)
{
    job j;
    read_job(p, true, &j);
    return (size_t)(j.groups * j.outputs * j.taps) * sizeof(float);
}

/* Rows [tap, tap + count) of dX at the positions, onto the planes from `dx` on. */
static void add_rows(const job *j, const positions *s, int64_t first, const float *weights,
                     const float *dy, int64_t tap, int64_t count, float *dx)
{
    _Alignas(TN_ALIGNMENT) float panel[TILE_DEPTH * TILE_COLUMNS], rows[TAPS * TILE_COLUMNS];
    int64_t size = j->w.out_count;
    for (int64_t at = 0; at < j->outputs; at += TILE_DEPTH) {
        int64_t depth = TN_MIN(j->outputs - at, TILE_DEPTH);
        for (int64_t o = 0; o < depth; o++) {
            float *line = panel + o * TILE_COLUMNS;
            memcpy(line, dy + (at + o) * size + first, (size_t)s->count * sizeof(float));
            for (int64_t i = s->count; i < TILE_COLUMNS; i++) line[i] = 0;
        }
        tile_column(count, s->count, depth, weights + tap * j->outputs + at, j->outputs, panel,
                    rows, TILE_COLUMNS, at > 0);
    }
    for (int64_t i = 0; i < count; i++) {
        int64_t c = (tap + i) / j->w.kernel_count, k = (tap + i) % j->w.kernel_count;
        positions_add(&j->w, s, rows + i * TILE_COLUMNS, k, dx + c * j->w.in_count);
    }
}

static tn_status data_share(void *arg, int64_t begin, int64_t end, int thread)
{
    const job *j = arg;
    int64_t chunks = (j->channels + j->chunk - 1) / j->chunk, size = j->w.out_count;
    positions s;
    (void)thread;
    for (int64_t at = begin; at < end; at++) {
        int64_t sample = at / chunks, group = sample % j->groups; /* sample: of each group */
        int64_t channel = at % chunks * j->chunk, last = TN_MIN(channel + j->chunk, j->channels);
        const float *weights = j->weights + group * j->taps * j->outputs;
        const float *dy = j->dy + sample * j->outputs * size;
        float *dx = j->out + sample * j->channels * j->w.in_count;
        memset(dx + channel * j->w.in_count, 0,
               (size_t)((last - channel) * j->w.in_count) * sizeof(float));
        for (int64_t first = 0; j->outputs && first < size; first += TILE_COLUMNS) {
            positions_find(&j->w, first, TILE_COLUMNS, &s);
            int64_t end_tap = last * j->w.kernel_count;
            for (int64_t tap = channel * j->w.kernel_count; tap < end_tap; tap += TAPS)
                add_rows(j, &s, first, weights, dy, tap, TN_MIN(end_tap - tap, TAPS), dx);
        }
    }
    return NULL;
}

static tn_status launch_data(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const float *w = p->in[1].data;
    float *turned = l->scratch;
    job j;
    read_job(p, true, &j);
    j.dy = p->in[0].data;
    j.out = p->out[0].data;
    j.weights = turned;
    j.chunk = TN_MAX(1, TAPS / TN_MAX(1, j.w.kernel_count));
    int64_t shares = j.batch * j.groups * ((j.channels + j.chunk - 1) / j.chunk);
    if (shares == 0 || j.w.in_count == 0) return NULL;
    for (int64_t g = 0; g < j.groups; g++)
        for (int64_t o = 0; o < j.outputs; o++)
            for (int64_t t = 0; t < j.taps; t++)
                turned[(g * j.taps + t) * j.outputs + o] = w[(g * j.outputs + o) * j.taps + t];
    int64_t work = j.chunk * j.w.kernel_count * j.outputs * j.w.out_count;
    return tn_pool_run(l->pool, shares, 1 + GRAIN / (1 + work), data_share, &j);
}

extern const tn_tactic TN_VARIANT_NAME(tn_cpu_conv_gradient)[];
const tn_tactic TN_VARIANT_NAME(tn_cpu_conv_gradient)[] = {
    {
        .name = "cpu.convweightgradient.f32.gemm." TN_VARIANT_TEXT,
        .op = "ConvWeightGradient",
        .revision = 1,
        .accepts = accepts,
        .scratch_bytes = scratch_weights,
        .launch = launch_weights,
    },
    {
        .name = "cpu.convdatagradient.f32.gemm." TN_VARIANT_TEXT,
        .op = "ConvDataGradient",
        .revision = 1,
        .accepts = accepts,
        .scratch_bytes = scratch_data,
        .launch = launch_data,
    },
    {0},
};
