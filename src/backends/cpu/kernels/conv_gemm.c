/* Conv in f32 as a matrix product: y[o, s] = sum over (c, tap) of W[o, (c, tap)] * x[(c, tap), s],
 * s running over output positions. The right side is never whole in memory: for TILE_COLUMNS
 * positions and TILE_DEPTH rows at a time it is gathered into a panel on the stack (tile.h), which
 * then meets all output channels of its group.
 *
 * Work is cut into (sample, group, panel): no two threads share an output. */
#include "backends/cpu/kernels/positions.h"
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

/* Rows [begin, end) of the right side. */
static void gather(const job *j, const positions *s, const float *x, int64_t begin, int64_t end,
                   float *panel)
{
    const tn_window *w = &j->w;
    for (int64_t row = begin; row < end; row++, panel += TILE_COLUMNS) {
        int64_t c = row / w->kernel_count;
        positions_gather(w, s, x + c * w->in_count, row % w->kernel_count, panel);
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
        positions_find(&j->w, first, TILE_COLUMNS, &s);
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

static tn_status launch(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_conv_params *params = p->params;
    job j = {
        .x = p->in[0].data, .weights = p->in[1].data, .y = p->out[0].data, .groups = params->group};
    if (p->in_count > 2 && p->in[2].dtype != TN_DTYPE_NONE) j.bias = p->in[2].data;
    tn_conv_window(p, 1, &j.w);
    window_flatten(&j.w);
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
