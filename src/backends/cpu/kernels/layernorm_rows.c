/* LayerNormalization in f32: mean, then distances from it, then the result, over a row in the
 * cache. EmbeddingNorm adds up the row there first. */
#include "backends/cpu/kernels/simd.h"
#include "backends/cpu/variant.h"
#include "device/device.h"
#include "ops/embedding_norm/embedding_norm.h"
#include "ops/norm/norm.h"

enum { GRAIN = 16384 }; /* elements worth a thread */

typedef struct job {
    const float *x, *scale, *bias;
    float *y, *mean, *inverse;
    int64_t count; /* of a row */
    float epsilon;
} job;

/* Exactly the normalised axes, leading ones aside. */
static bool covers_row(const tn_tensor *t, const tn_tensor *x, int axis)
{
    int extra = t->rank - (x->rank - axis);
    if (extra < 0 || tn_dims_product(t->dim, 0, extra) != 1) return false;
    for (int i = axis; i < x->rank; i++)
        if (t->dim[extra + i - axis] != x->dim[i]) return false;
    return true;
}

static bool has(const tn_problem *p, int in)
{
    return in < p->in_count && p->in[in].dtype != TN_DTYPE_NONE;
}

static tn_verdict accepts(const tn_problem *p)
{
    const tn_layer_norm_params *params = p->params;
    const tn_tensor *x = &p->in[0];
    if (x->dtype != TN_DTYPE_F32) return TN_NO("the operands are not f32");
    if (params->stash_type != TN_DTYPE_F32) return TN_NO("stash_type is not f32");
    int axis = tn_axis_normal(params->axis, x->rank);
    if (axis < 0 || !covers_row(&p->in[1], x, axis))
        return TN_NO("Scale is broadcast within a row");
    if (has(p, 2) && !covers_row(&p->in[2], x, axis)) return TN_NO("B is broadcast within a row");
    return TN_YES;
}

/* The sum of elements, or of the squares of their distances from the center. Four chains of
 * additions, none of which waits for another. */
SIMD_INLINE float sum_of(bool squares, const float *x, int64_t count, float center)
{
    vf32 sum[4] = {{0}}, from = vf32_set1(center);
    int64_t i = 0;
    for (; i + 4 * VF32_LANES <= count; i += 4 * VF32_LANES)
        for (int v = 0; v < 4; v++) {
            vf32 at = vf32_load(x + i + v * VF32_LANES), off = at - from;
            sum[v] = squares ? vf32_fma(off, off, sum[v]) : sum[v] + at;
        }
    for (; i + VF32_LANES <= count; i += VF32_LANES) {
        vf32 at = vf32_load(x + i), off = at - from;
        sum[1] = squares ? vf32_fma(off, off, sum[1]) : sum[1] + at;
    }
    float rest = 0;
    for (; i < count; i++) rest += squares ? (x[i] - center) * (x[i] - center) : x[i];
    return vf32_sum((sum[0] + sum[1]) + (sum[2] + sum[3])) + rest;
}

static void run_row(const job *j, int64_t row)
{
    const float *x = j->x + row * j->count;
    float *y = j->y + row * j->count, count = (float)j->count;
    float mean = sum_of(false, x, j->count, 0) / count;
    float inverse = 1.0f / sqrtf(sum_of(true, x, j->count, mean) / count + j->epsilon);
    vf32 center = vf32_set1(mean), factor = vf32_set1(inverse);
    for (int64_t i = 0; i < j->count; i += VF32_LANES) {
        int64_t some = j->count - i < VF32_LANES ? j->count - i : VF32_LANES;
        vf32 v = (vf32_load_some(x + i, some) - center) * factor;
        vf32 bias = j->bias ? vf32_load_some(j->bias + i, some) : (vf32){0};
        vf32_store_some(y + i, vf32_fma(v, vf32_load_some(j->scale + i, some), bias), some);
    }
    if (j->mean) j->mean[row] = mean;
    if (j->inverse) j->inverse[row] = inverse;
}

static tn_status run_share(void *arg, int64_t begin, int64_t end, int thread)
{
    (void)thread;
    for (int64_t row = begin; row < end; row++) run_row(arg, row);
    return NULL;
}

static float *output(const tn_problem *p, int out)
{
    return out < p->out_count && p->out[out].dtype != TN_DTYPE_NONE ? p->out[out].data : NULL;
}

static tn_status launch(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_layer_norm_params *params = p->params;
    const tn_tensor *x = &p->in[0];
    int axis = tn_axis_normal(params->axis, x->rank);
    job j = {.x = x->data,
             .scale = p->in[1].data,
             .bias = has(p, 2) ? p->in[2].data : NULL,
             .y = p->out[0].data,
             .mean = output(p, 1),
             .inverse = output(p, 2),
             .count = tn_dims_product(x->dim, axis, x->rank),
             .epsilon = params->epsilon};
    int64_t rows = tn_dims_product(x->dim, 0, axis);
    return tn_pool_run(l->pool, rows, 1 + GRAIN / (1 + j.count), run_share, &j);
}

/* ---- Of sums of rows of tables ---------------------------------------------------------------*/

typedef struct embedding_job {
    job norm;
    tn_embedding_norm_shape shape;
} embedding_job;

static tn_verdict accepts_embedding(const tn_problem *p)
{
    return p->out[0].dtype == TN_DTYPE_F32 ? TN_YES : TN_NO("the operands are not f32");
}

static tn_status add_rows(const embedding_job *j, int64_t row)
{
    float *y = j->norm.y + row * j->norm.count;
    const float *from[TN_EN_TABLES] = {NULL};
    int64_t at, count = j->norm.count;
    for (int t = 0; t < j->shape.tables; t++) {
        TN_TRY(tn_embedding_row(&j->shape.table[t], row, &at));
        from[t] = (const float *)j->shape.table[t].rows->data + at * count;
    }
    for (int64_t i = 0; i < count; i += VF32_LANES) {
        int64_t some = count - i < VF32_LANES ? count - i : VF32_LANES;
        vf32 sum = vf32_load_some(from[0] + i, some);
        for (int t = 1; t < j->shape.tables; t++) sum += vf32_load_some(from[t] + i, some);
        vf32_store_some(y + i, sum, some);
    }
    return NULL;
}

static tn_status run_embedding_share(void *arg, int64_t begin, int64_t end, int thread)
{
    const embedding_job *j = arg;
    (void)thread;
    for (int64_t row = begin; row < end; row++) {
        TN_TRY(add_rows(j, row));
        run_row(&j->norm, row);
    }
    return NULL;
}

static tn_status launch_embedding(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_embedding_norm_params *params = p->params;
    embedding_job j;
    tn_embedding_norm_shape_of(p, &j.shape);
    j.norm = (job){.x = p->out[0].data,
                   .scale = p->in[TN_EN_SCALE].data,
                   .bias = has(p, TN_EN_SHIFT) ? p->in[TN_EN_SHIFT].data : NULL,
                   .y = p->out[0].data,
                   .count = j.shape.width,
                   .epsilon = params->epsilon};
    return tn_pool_run(l->pool, j.shape.rows, 1 + GRAIN / (1 + j.shape.width), run_embedding_share,
                       &j);
}

extern const tn_tactic TN_VARIANT_NAME(tn_cpu_layernorm_rows)[];
const tn_tactic TN_VARIANT_NAME(tn_cpu_layernorm_rows)[] = {
    {
        .name = "cpu.layernormalization.f32.rows." TN_VARIANT_TEXT,
        .op = "LayerNormalization",
        .revision = 2,
        .accepts = accepts,
        .launch = launch,
    },
    {
        .name = "cpu.embeddingnorm.f32.rows." TN_VARIANT_TEXT,
        .op = "EmbeddingNorm",
        .revision = 1,
        .accepts = accepts_embedding,
        .launch = launch_embedding,
    },
    {0},
};
