/* Conv in f32 as a matrix product: y[o, s] = sum over (c, tap) of W[o, (c, tap)] * x[(c, tap), s],
 * s running over output positions. The right side is never whole in memory: for TILE_COLUMNS
 * positions and TILE_DEPTH rows at a time it is gathered into a panel on the stack (tile.h), which
 * then meets all output channels of its group.
 *
 * Work is cut into (sample, group, panel): no two threads share an output. */
#include "backends/cpu/kernels/tile.h"
#include "backends/cpu/variant.h"
#include "device/device.h"
#include "ops/conv/conv.h"

enum { GRAIN = 500000 }; /* multiply-adds worth a thread: waking one costs as much as some 70 us */

typedef struct job {
    tn_window w;
    const float *x, *weights, *bias;
    float *y;
    int64_t groups, channels, outputs; /* channels and outputs of one group */
    int64_t depth, panels;             /* rows of the right side; panels of positions */
} job;

static tn_verdict accepts(const tn_problem *p)
{
    if (p->in[0].dtype != TN_DTYPE_F32) return TN_NO("the operands are not f32");
    return TN_YES;
}

/* The outputs of one panel, cut where a row of the output ends. */
typedef struct segment {
    int64_t at[3]; /* input position of tap 0 for the first of them */
    int64_t count;
} segment;

typedef struct positions {
    int64_t count, segments;
    segment segment[TILE_COLUMNS];
} positions;

static void find_positions(const tn_window *w, int64_t first, positions *out)
{
    int64_t rest = w->out_count - first;
    *out = (positions){.count = TN_MIN(rest, TILE_COLUMNS)};
    for (int64_t j = 0; j < out->count;) {
        segment *s = &out->segment[out->segments++];
        int64_t index = first + j;
        s->count = TN_MIN(out->count - j, w->out[2] - index % w->out[2]);
        for (int i = 2; i >= 0; i--) {
            s->at[i] = index % w->out[i] * w->stride[i] - w->pad[i];
            index /= w->out[i];
        }
        j += s->count;
    }
}

/* One tap along a segment: outputs [low, high) read the input, those around them its padding. */
static void gather_segment(const tn_window *w, const segment *s, const float *x,
                           const int64_t shift[3], float *dst)
{
    int64_t d = s->at[0] + shift[0], h = s->at[1] + shift[1], first = s->at[2] + shift[2];
    int64_t stride = w->stride[2], low = 0, high = 0;
    if (d >= 0 && d < w->in[0] && h >= 0 && h < w->in[1] && first < w->in[2]) {
        low = first < 0 ? TN_MIN((-first + stride - 1) / stride, s->count) : 0;
        high = TN_MAX(low, TN_MIN((w->in[2] - 1 - first) / stride + 1, s->count));
    }
    for (int64_t j = 0; j < low; j++) dst[j] = 0;
    if (high > low) {
        const float *src = x + (d * w->in[1] + h) * w->in[2] + first;
        if (stride == 1) memcpy(dst + low, src + low, (size_t)(high - low) * sizeof(float));
        else
            for (int64_t j = low; j < high; j++) dst[j] = src[j * stride];
    }
    for (int64_t j = high; j < s->count; j++) dst[j] = 0;
}

static void gather_row(const tn_window *w, const positions *s, const float *x, const int64_t tap[3],
                       float *dst)
{
    int64_t shift[3];
    for (int i = 0; i < 3; i++) shift[i] = tap[i] * w->dilation[i];
    for (int64_t k = 0; k < s->segments; k++) {
        gather_segment(w, &s->segment[k], x, shift, dst);
        dst += s->segment[k].count;
    }
}

/* Rows [begin, end) of the right side. */
static void gather(const job *j, const positions *s, const float *x, int64_t begin, int64_t end,
                   float *panel)
{
    const tn_window *w = &j->w;
    for (int64_t row = begin; row < end; row++, panel += TILE_COLUMNS) {
        int64_t c = row / w->kernel_count, k = row % w->kernel_count;
        int64_t tap[3] = {k / w->kernel[2] / w->kernel[1], k / w->kernel[2] % w->kernel[1],
                          k % w->kernel[2]};
        gather_row(w, s, x + c * w->in_count, tap, panel);
        for (int64_t i = s->count; i < TILE_COLUMNS; i++) panel[i] = 0;
    }
}

static tn_status run_share(void *arg, int64_t begin, int64_t end, int thread)
{
    const job *j = arg;
    _Alignas(TN_ALIGNMENT) float panel[TILE_DEPTH * TILE_COLUMNS];
    (void)thread;
    for (int64_t at = begin; at < end; at++) {
        int64_t group = at / j->panels % j->groups, first = at % j->panels * TILE_COLUMNS;
        int64_t sample = at / j->panels / j->groups;
        const float *x = j->x + (sample * j->groups + group) * j->channels * j->w.in_count;
        const float *weights = j->weights + group * j->outputs * j->depth;
        float *y = j->y + (sample * j->groups + group) * j->outputs * j->w.out_count + first;
        positions s;
        find_positions(&j->w, first, &s);
        for (int64_t o = 0; o < j->outputs; o++)
            for (int64_t i = 0; i < s.count; i++)
                y[o * j->w.out_count + i] = j->bias ? j->bias[group * j->outputs + o] : 0;
        for (int64_t row = 0; row < j->depth; row += TILE_DEPTH) {
            int64_t rows = TN_MIN(j->depth - row, TILE_DEPTH);
            gather(j, &s, x, row, row + rows, panel);
            tile_column(j->outputs, s.count, rows, weights + row, j->depth, panel, y,
                        j->w.out_count, 1);
        }
    }
    return NULL;
}

/* A single tap that meets every position once does not care for the shape of a plane. */
static void flatten(tn_window *w)
{
    for (int i = 0; i < 3; i++)
        if (w->kernel[i] != 1 || w->stride[i] != 1 || w->in[i] != w->out[i] || w->pad[i]) return;
    w->in[2] = w->out[2] = w->in_count;
    w->in[0] = w->in[1] = w->out[0] = w->out[1] = 1;
}

static tn_status launch(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_conv_params *params = p->params;
    job j = {
        .x = p->in[0].data, .weights = p->in[1].data, .y = p->out[0].data, .groups = params->group};
    if (p->in_count > 2 && p->in[2].dtype != TN_DTYPE_NONE) j.bias = p->in[2].data;
    tn_conv_window(p, 1, &j.w);
    flatten(&j.w);
    j.channels = p->in[1].dim[1];
    j.outputs = p->in[1].dim[0] / j.groups;
    j.depth = j.channels * j.w.kernel_count;
    j.panels = tile_panels(j.w.out_count);
    int64_t count = p->out[0].dim[0] * j.groups * j.panels;
    if (count == 0 || j.outputs == 0) return NULL;
    int64_t grain = 1 + GRAIN / (1 + j.outputs * j.depth * TILE_COLUMNS);
    return tn_pool_run(l->pool, count, grain, run_share, &j);
}

extern const tn_tactic TN_VARIANT_NAME(tn_cpu_conv_gemm)[];
const tn_tactic TN_VARIANT_NAME(tn_cpu_conv_gemm)[] = {
    {
        .name = "cpu.conv.f32.gemm." TN_VARIANT_TEXT,
        .op = "Conv",
        .revision = 1,
        .accepts = accepts,
        .launch = launch,
    },
    {0},
};
