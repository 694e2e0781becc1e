/* GroupNormalization-21: each group of channels of each sample by its own mean and variance; scale
 * and bias are per channel. Opset 18 had them per group. */
#include <math.h>

#include "ir/op.h"
#include "ops/norm/norm.h"
#include "ops/wide/wide.h"

static const tn_field fields[] = {
    TN_FLOAT(tn_group_norm_params, epsilon, 1e-5),
    {.name = "num_groups",
     .kind = TN_FIELD_INT,
     .required = true,
     .offset = offsetof(tn_group_norm_params, num_groups)},
    TN_INT(tn_group_norm_params, stash_type, TN_DTYPE_F32),
};
static const tn_port ins[] = {
    {"X", TN_DTS_FLOAT, 'T', 0}, {"scale", TN_DTS_FLOAT, 'T', 0}, {"bias", TN_DTS_FLOAT, 'T', 0}};
static const tn_port outs[] = {{"Y", TN_DTS_FLOAT, 'T', 0}};

static tn_status infer(tn_infer *f)
{
    const tn_group_norm_params *params = f->params;
    const tn_type *x = &f->in[0];
    char text[128], text_x[128];
    int64_t channels = 0, count;
    tn_type_text(f->exprs, x, text_x, sizeof text_x);
    TN_CHECK(x->rank < 0 || x->rank >= 2, TN_INVALID, "X needs batch and channels: X is %s",
             text_x);
    bool known = x->rank >= 2 && tn_expr_is_const(f->exprs, x->dim[1], &channels);
    TN_CHECK(params->num_groups >= 1 && (!known || channels % params->num_groups == 0), TN_INVALID,
             "channels do not divide into %lld groups: X is %s", (long long)params->num_groups,
             text_x);
    for (int i = 1; i < 3; i++) {
        const tn_type *t = &f->in[i];
        bool fits = t->rank < 0 || t->rank == 1;
        if (t->rank == 1 && known && tn_expr_is_const(f->exprs, t->dim[0], &count))
            fits = count == channels;
        TN_CHECK(fits, TN_INVALID, "%s is %s: it needs one value for each channel of X, %s",
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
    const tn_group_norm_params *params = p->params;
    const tn_tensor *x = &p->in[0], *scale = &p->in[1], *bias = &p->in[2], *y = &p->out[0];
    int64_t inner = tn_dims_product(x->dim, 2, x->rank), channels = x->dim[1];
    int64_t each = channels / params->num_groups, count = each * inner;
    void *scratch = l->scratch;
    const double *wide = tn_wide_load(&scratch, x);
    if (count == 0) return NULL;
    for (int64_t group = 0; group < x->dim[0] * params->num_groups; group++) {
        double mean, variance;
        const double *src = wide + group * count;
        tn_norm_moments(src, count, &mean, &variance);
        double factor = 1 / sqrt(variance + params->epsilon);
        for (int64_t i = 0; i < count; i++) {
            int64_t c = group % params->num_groups * each + i / inner;
            double value = (src[i] - mean) * factor * tn_load_f64(scale->dtype, scale->data, c);
            tn_store_f64(y->dtype, y->data, group * count + i,
                         value + tn_load_f64(bias->dtype, bias->data, c));
        }
    }
    return NULL;
}

static tn_status add(tn_graph *graph, tn_node *before, const char *op, tn_value **in, int in_count,
                     tn_node **out)
{
    return tn_graph_add_node(graph, tn_op_find(NULL, op), before->name, in, in_count, NULL, 1,
                             before, out);
}

/* [G] to [C]: Reshape(Expand(Unsqueeze(v, 1), [G, C / G]), [-1]). */
static tn_status spread(tn_graph *graph, tn_node *node, int input, tn_value *target)
{
    tn_value *axis, *flat;
    tn_node *column, *wide, *result;
    int64_t one = 1, minus = -1;
    TN_TRY(tn_graph_add_ints(graph, &one, 1, &axis));
    TN_TRY(tn_graph_add_ints(graph, &minus, 1, &flat));
    TN_TRY(add(graph, node, "Unsqueeze", (tn_value *[]){node->in[input], axis}, 2, &column));
    TN_TRY(add(graph, node, "Expand", (tn_value *[]){column->out[0], target}, 2, &wide));
    TN_TRY(add(graph, node, "Reshape", (tn_value *[]){wide->out[0], flat}, 2, &result));
    return tn_node_set_input(node, input, result->out[0]);
}

static tn_status upgrade_below_21(tn_graph *graph, tn_node *node)
{
    tn_value *groups;
    tn_node *shape, *each, *target;
    int64_t count = tn_node_int_attr(node, "num_groups", 1);
    if (node->in_count < 3 || !node->in[0] || !node->in[1] || !node->in[2]) return NULL;
    TN_TRY(tn_graph_add_ints(graph, &count, 1, &groups));
    TN_TRY(add(graph, node, "Shape", &node->in[0], 1, &shape));
    TN_TRY(tn_node_set_int(shape, "start", 1));
    TN_TRY(tn_node_set_int(shape, "end", 2));
    TN_TRY(add(graph, node, "Div", (tn_value *[]){shape->out[0], groups}, 2, &each));
    TN_TRY(add(graph, node, "Concat", (tn_value *[]){groups, each->out[0]}, 2, &target));
    TN_TRY(tn_node_set_int(target, "axis", 0));
    TN_TRY(spread(graph, node, 1, target->out[0]));
    return spread(graph, node, 2, target->out[0]);
}

extern const tn_case tn_group_norm_cases[];

const tn_op tn_op_group_norm = {
    .name = "GroupNormalization",
    .since = 21,
    .about = "(x - mean) / sqrt(var + epsilon) * scale + bias for each group of channels",
    .in = ins,
    .in_count = 3,
    .out = outs,
    .out_count = 1,
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_group_norm_params),
    .infer = infer,
    .reference = reference,
    .scratch_bytes = scratch_bytes,
    .upgrade = {{21, upgrade_below_21}},
    .cases = tn_group_norm_cases,
};
