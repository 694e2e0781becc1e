/* InstanceNormalization-22: each channel of each sample by its own mean and variance. */
#include <math.h>

#include "ir/op.h"
#include "ops/norm/norm.h"
#include "ops/wide/wide.h"

static const tn_field fields[] = {TN_FLOAT(tn_instance_norm_params, epsilon, 1e-5)};
static const tn_port ins[] = {
    {"input", TN_DTS_FLOAT, 'T', 0}, {"scale", TN_DTS_FLOAT, 'T', 0}, {"B", TN_DTS_FLOAT, 'T', 0}};
static const tn_port outs[] = {{"output", TN_DTS_FLOAT, 'T', 0}};

static tn_status infer(tn_infer *f)
{
    const tn_type *x = &f->in[0];
    char text[128], text_x[128];
    tn_type_text(f->exprs, x, text_x, sizeof text_x);
    TN_CHECK(x->rank < 0 || x->rank >= 2, TN_INVALID,
             "the input needs batch and channels: it is %s", text_x);
    for (int i = 1; i < 3; i++) {
        const tn_type *t = &f->in[i];
        int64_t channels, count;
        bool fits = t->rank < 0 || t->rank == 1;
        if (t->rank == 1 && x->rank >= 2 && tn_expr_is_const(f->exprs, t->dim[0], &count) &&
            tn_expr_is_const(f->exprs, x->dim[1], &channels))
            fits = count == channels;
        TN_CHECK(fits, TN_INVALID, "%s is %s: it needs one value for each channel of the input, %s",
                 ins[i].name, tn_type_text(f->exprs, t, text, sizeof text), text_x);
    }
    tn_infer_same(f, 0, 0);
    return NULL;
}

static size_t scratch_bytes(const tn_problem *p)
{
    return tn_wide_tensor_bytes(&p->in[0]);
}

static tn_status reference(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_instance_norm_params *params = p->params;
    const tn_tensor *x = &p->in[0], *scale = &p->in[1], *bias = &p->in[2], *y = &p->out[0];
    int64_t inner = tn_dims_product(x->dim, 2, x->rank), channels = x->dim[1];
    void *scratch = l->scratch;
    const double *wide = tn_wide_load(&scratch, x);
    if (inner == 0) return NULL;
    for (int64_t plane = 0; plane < x->dim[0] * channels; plane++) {
        double mean, variance;
        const double *src = wide + plane * inner;
        tn_norm_moments(src, inner, &mean, &variance);
        double factor = tn_load_f64(scale->dtype, scale->data, plane % channels) /
                        sqrt(variance + params->epsilon);
        double add = tn_load_f64(bias->dtype, bias->data, plane % channels);
        for (int64_t i = 0; i < inner; i++)
            tn_store_f64(y->dtype, y->data, plane * inner + i, (src[i] - mean) * factor + add);
    }
    return NULL;
}

static tn_status upgrade_below_6(tn_graph *graph, tn_node *node)
{
    (void)graph;
    tn_node_remove_attr(node, "consumed_inputs");
    return NULL;
}

extern const tn_case tn_instance_norm_cases[];

const tn_op tn_op_instance_norm = {
    .name = "InstanceNormalization",
    .since = 22,
    .about = "(x - mean) / sqrt(var + epsilon) * scale + B for each channel of each sample",
    .in = ins,
    .in_count = 3,
    .out = outs,
    .out_count = 1,
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_instance_norm_params),
    .infer = infer,
    .reference = reference,
    .scratch_bytes = scratch_bytes,
    .upgrade = {{6, upgrade_below_6}},
    .cases = tn_instance_norm_cases,
};
