/* MeanVarianceNormalization: (x - mean) / (sqrt(variance) + 1e-9), mean and variance being taken
 * over the axes. */
#include "ops/mean_variance_normalization/mean_variance_normalization.h"

#include <math.h>

#include "ir/op.h"

static const tn_field fields[] = {TN_INT_LIST(tn_mean_variance_normalization_params, axes)};
static const tn_port ins[] = {{"X", TN_DTS_FLOAT, 'T', 0}};
static const tn_port outs[] = {{"Y", TN_DTS_FLOAT, 'T', 0}};

typedef struct mean_variance {
    double mean, variance;
} mean_variance;

static tn_ints axes_of(const tn_mean_variance_normalization_params *params)
{
    return params->axes.count < 0 ? (tn_ints){.count = 3, .at = {0, 2, 3}} : params->axes;
}

static tn_status infer(tn_infer *f)
{
    tn_ints axes = axes_of(f->params);
    int axis;
    for (int k = 0; f->in[0].rank >= 0 && k < axes.count; k++)
        TN_TRY(tn_infer_axis(f, axes.at[k], f->in[0].rank, &axis));
    tn_infer_same(f, 0, 0);
    return NULL;
}

/* x's shape with 1 along the axes: one element for each group. */
static tn_tensor groups_of(const tn_problem *p)
{
    const tn_tensor *x = &p->in[0];
    tn_ints axes = axes_of(p->params);
    int64_t dim[TN_RANK_MAX];
    for (int axis = 0; axis < x->rank; axis++) dim[axis] = x->dim[axis];
    for (int k = 0; k < axes.count; k++) dim[tn_axis_normal(axes.at[k], x->rank)] = 1;
    return tn_tensor_of(x->dtype, dim, x->rank, NULL);
}

static size_t scratch_bytes(const tn_problem *p)
{
    tn_tensor groups = groups_of(p);
    return tn_tensor_count(&p->in[0]) ? (size_t)tn_tensor_count(&groups) * sizeof(mean_variance)
                                      : 0;
}

static tn_status reference(const tn_launch *l)
{
    const tn_tensor *x = &l->problem->in[0], *y = &l->problem->out[0];
    tn_tensor groups = groups_of(l->problem);
    const tn_tensor *operand = &groups;
    mean_variance *group = l->scratch;
    int64_t group_count = tn_tensor_count(&groups), count = tn_tensor_count(x);
    if (count == 0) return NULL;
    double each = (double)(count / group_count);
    for (int64_t g = 0; g < group_count; g++) group[g] = (mean_variance){0, 0};
    for (int pass = 0; pass < 3; pass++) { /* mean, variance, result */
        tn_walk w;
        TN_TRY(tn_walk_init(&w, x, &operand, 1));
        for (int64_t at = 0; at < count; at++, tn_walk_next(&w)) {
            mean_variance *g = &group[w.at[0]];
            double value = tn_load_f64(x->dtype, x->data, at), away = value - g->mean;
            if (pass == 0) g->mean += value;
            if (pass == 1) g->variance += away * away / each;
            if (pass == 2) tn_store_f64(y->dtype, y->data, at, away / (sqrt(g->variance) + 1e-9));
        }
        for (int64_t g = 0; pass == 0 && g < group_count; g++) group[g].mean /= each;
    }
    return NULL;
}

extern const tn_case tn_mean_variance_normalization_cases[];

const tn_op tn_op_mean_variance_normalization = {
    .name = "MeanVarianceNormalization",
    .since = 13,
    .about = "(x - mean) / (sqrt(variance) + 1e-9) over axes",
    .in = ins,
    .in_count = 1,
    .out = outs,
    .out_count = 1,
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_mean_variance_normalization_params),
    .infer = infer,
    .reference = reference,
    .scratch_bytes = scratch_bytes,
    .cases = tn_mean_variance_normalization_cases,
};
