/* Softmax in f32 along the last axis: three passes over a row that stays in the cache. */
#include "backends/cpu/kernels/vmath.h"
#include "backends/cpu/variant.h"
#include "device/device.h"
#include "ops/softmax/softmax.h"

enum { GRAIN = 8192 }; /* elements worth a thread */

typedef struct job {
    const float *x;
    float *y;
    int64_t count; /* of a row */
} job;

static tn_verdict accepts(const tn_problem *p)
{
    const tn_softmax_params *params = p->params;
    const tn_tensor *x = &p->in[0];
    if (x->dtype != TN_DTYPE_F32) return TN_NO("the operand is not f32");
    int axis = tn_axis_normal(params->axis, x->rank);
    if (axis < 0 || tn_dims_product(x->dim, axis + 1, x->rank) != 1)
        return TN_NO("rows are not contiguous: the axis is not the last");
    return TN_YES;
}

/* NaN if there is one. */
static float largest(const float *x, int64_t count)
{
    vf32 top = vf32_set1(-INFINITY);
    int64_t i = 0;
    for (; i + VF32_LANES <= count; i += VF32_LANES) {
        vf32 v = vf32_load(x + i);
        top = vf32_select((vi32)(v > top) | (vi32)(v != v), v, top);
    }
    float best = vf32_largest(top);
    for (; i < count; i++)
        if (x[i] > best || x[i] != x[i]) best = x[i];
    return best;
}

static void run_row(const float *x, float *y, int64_t count)
{
    vf32 top = vf32_set1(largest(x, count)), sum = {0};
    int64_t i = 0;
    for (; i + VF32_LANES <= count; i += VF32_LANES) {
        vf32 e = vf32_exp(vf32_load(x + i) - top);
        vf32_store(y + i, e);
        sum += e;
    }
    if (i < count) {
        vf32_store_some(y + i, vf32_exp(vf32_load_some(x + i, count - i) - top), count - i);
        sum += vf32_load_some(y + i, count - i); /* zeros behind the end */
    }
    vf32 factor = vf32_set1(1.0f / vf32_sum(sum));
    for (i = 0; i + VF32_LANES <= count; i += VF32_LANES)
        vf32_store(y + i, vf32_load(y + i) * factor);
    if (i < count) vf32_store_some(y + i, vf32_load_some(y + i, count - i) * factor, count - i);
}

static tn_status run_share(void *arg, int64_t begin, int64_t end, int thread)
{
    const job *j = arg;
    (void)thread;
    for (int64_t row = begin; row < end; row++)
        run_row(j->x + row * j->count, j->y + row * j->count, j->count);
    return NULL;
}

static tn_status launch(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_softmax_params *params = p->params;
    const tn_tensor *x = &p->in[0];
    int axis = tn_axis_normal(params->axis, x->rank);
    job j = {.x = x->data, .y = p->out[0].data, .count = x->dim[axis]};
    int64_t rows = tn_dims_product(x->dim, 0, axis);
    if (j.count == 0) return NULL;
    return tn_pool_run(l->pool, rows, 1 + GRAIN / j.count, run_share, &j);
}

extern const tn_tactic TN_VARIANT_NAME(tn_cpu_softmax_rows)[];
const tn_tactic TN_VARIANT_NAME(tn_cpu_softmax_rows)[] = {
    {
        .name = "cpu.softmax.f32.rows." TN_VARIANT_TEXT,
        .op = "Softmax",
        .revision = 2,
        .accepts = accepts,
        .launch = launch,
    },
    {0},
};
