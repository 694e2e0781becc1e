/* BatchNormalization-15: per channel (axis 1), with the given statistics, or in training mode with
 * those of the batch, which are then blended into the running ones:
 * running = given * momentum + batch * (1 - momentum).
 *
 * Before opset 14 training was told by the number of outputs; before 9 statistics could be per
 * activation (spatial = 0), which has no newer spelling. */
#include <math.h>

#include "ir/gradient.h"
#include "ops/norm/norm.h"
#include "ops/wide/wide.h"

static const tn_field fields[] = {
    TN_FLOAT(tn_batch_norm_params, epsilon, 1e-5),
    TN_FLOAT(tn_batch_norm_params, momentum, 0.9),
    TN_INT(tn_batch_norm_params, training_mode, 0),
};
static const tn_port ins[] = {{"X", TN_DTS_FLOAT, 'T', 0},
                              {"scale", TN_DTS_FLOAT, 'S', 0},
                              {"B", TN_DTS_FLOAT, 'S', 0},
                              {"input_mean", TN_DTS_FLOAT, 'U', 0},
                              {"input_var", TN_DTS_FLOAT, 'U', 0}};
static const tn_port outs[] = {{"Y", TN_DTS_FLOAT, 'T', 0},
                               {"running_mean", TN_DTS_FLOAT, 'U', TN_PORT_OPTIONAL},
                               {"running_var", TN_DTS_FLOAT, 'U', TN_PORT_OPTIONAL}};

static tn_status infer(tn_infer *f)
{
    const tn_type *x = &f->in[0];
    int64_t channels = 1, count;
    char text_x[128], text[128];
    bool known = x->rank == 1 || (x->rank > 1 && tn_expr_is_const(f->exprs, x->dim[1], &channels));
    TN_CHECK(x->rank != 0, TN_INVALID, "X is a scalar");
    for (int i = 1; i < 5; i++) {
        const tn_type *t = &f->in[i];
        if (t->rank < 0) continue;
        bool fits = t->rank == 1;
        if (fits && known && tn_expr_is_const(f->exprs, t->dim[0], &count))
            fits = count == channels;
        TN_CHECK(fits, TN_INVALID, "%s is %s: it needs one value for each channel of X, %s",
                 ins[i].name, tn_type_text(f->exprs, t, text, sizeof text),
                 tn_type_text(f->exprs, x, text_x, sizeof text_x));
    }
    tn_infer_same(f, 0, 0);
    for (int i = 1; i < 3 && i < f->out_count; i++) tn_infer_same(f, i, 2 + i);
    return NULL;
}

static size_t scratch_bytes(const tn_problem *p)
{
    return tn_wide_tensor_bytes(&p->in[0]);
}

/* Mean and variance over batch and space of one channel; x is [batch, channels, inner]. */
static void channel_moments(const double *x, int64_t batch, int64_t channels, int64_t inner,
                            double *mean, double *variance)
{
    double sum = 0, squares = 0, count = (double)batch * (double)inner;
    for (int64_t n = 0; n < batch; n++)
        for (int64_t i = 0; i < inner; i++) sum += x[n * channels * inner + i];
    *mean = sum / count;
    for (int64_t n = 0; n < batch; n++) {
        for (int64_t i = 0; i < inner; i++) {
            double off = x[n * channels * inner + i] - *mean;
            squares += off * off;
        }
    }
    *variance = squares / count;
}

static void blend(const tn_problem *p, int out, int64_t c, double given, double batch)
{
    const tn_batch_norm_params *params = p->params;
    double momentum = params->momentum;
    if (!tn_wide_wants(p, out)) return;
    if (params->training_mode) given = given * momentum + batch * (1 - momentum);
    tn_store_f64(p->out[out].dtype, p->out[out].data, c, given);
}

static tn_status reference(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_batch_norm_params *params = p->params;
    const tn_tensor *x = &p->in[0], *y = &p->out[0];
    int64_t batch = x->dim[0], channels = x->rank > 1 ? x->dim[1] : 1;
    int64_t inner = tn_dims_product(x->dim, TN_MIN(2, x->rank), x->rank);
    void *scratch = l->scratch;
    const double *wide = tn_wide_load(&scratch, x);
    for (int64_t c = 0; c < channels; c++) {
        double value[5]; /* scale, bias, mean, variance of channel c, at their input's number */
        for (int i = 1; i < 5; i++) value[i] = tn_load_f64(p->in[i].dtype, p->in[i].data, c);
        double mean = value[3], variance = value[4];
        if (params->training_mode)
            channel_moments(wide + c * inner, batch, channels, inner, &mean, &variance);
        blend(p, 1, c, value[3], mean);
        blend(p, 2, c, value[4], variance);
        double factor = value[1] / sqrt(variance + params->epsilon);
        for (int64_t n = 0; n < batch; n++) {
            for (int64_t i = 0; i < inner; i++) {
                int64_t at = (n * channels + c) * inner + i;
                tn_store_f64(y->dtype, y->data, at, (wide[at] - mean) * factor + value[2]);
            }
        }
    }
    return NULL;
}

/* Drops is_test, spatial = 1 and consumed_inputs; statistics as outputs mean training. */
static tn_status upgrade_below_14(tn_graph *graph, tn_node *node)
{
    char label[256];
    (void)graph;
    TN_CHECK(
        tn_node_int_attr(node, "spatial", 1) == 1, TN_UNSUPPORTED,
        "%s: spatial = 0 (statistics for each activation) is not supported; export with opset 9 "
        "or newer",
        tn_node_label(node, label, sizeof label));
    bool training = false;
    for (int i = 1; i < node->out_count; i++) {
        bool used = node->out[i] && tn_value_has_users(node->out[i]);
        TN_CHECK(!used || i < 3, TN_UNSUPPORTED,
                 "%s: output saved_%s has no equivalent since opset 14; export in inference mode",
                 tn_node_label(node, label, sizeof label), i == 3 ? "mean" : "var");
        training = training || used;
    }
    node->out_count = TN_MIN(node->out_count, training ? 3 : 1);
    tn_node_remove_attr(node, "spatial");
    tn_node_remove_attr(node, "is_test");
    tn_node_remove_attr(node, "consumed_inputs");
    return training ? tn_node_set_int(node, "training_mode", 1) : NULL;
}

/* A per-channel vector [C] beside x [N, C, d...]: [C, 1...]. */
static tn_value *lift(tn_gradient *g, tn_value *v)
{
    int64_t axes[TN_RANK_MAX];
    int count = TN_MAX(0, g->node->in[0]->type.rank - 2);
    for (int i = 0; i < count; i++) axes[i] = 1 + i;
    v = tn_gradient_op(g, "Cast", TN_IN(v), TN_WITH(tn_attr_int("to", g->node->in[0]->type.dtype)));
    if (count == 0) return v;
    return tn_gradient_op(g, "Unsqueeze", TN_IN(v, tn_draft_ints(g->draft, axes, count)), TN_PLAIN);
}

/* The mean over all but the channels, kept. */
static tn_value *channel_mean(tn_gradient *g, tn_value *v)
{
    int64_t axes[TN_RANK_MAX];
    int count = 0;
    for (int i = 0; i < g->node->in[0]->type.rank; i++)
        if (i != 1) axes[count++] = i;
    return tn_gradient_op(g, "ReduceMean", TN_IN(v, tn_draft_ints(g->draft, axes, count)),
                          TN_PLAIN);
}

/* A gradient per channel: summed to the shape it has beside x, then a vector again. */
static void give_vector(tn_gradient *g, int input, tn_value *lifted, tn_value *v)
{
    if (g->draft->failed || !tn_gradient_wants(g, input)) return;
    v = tn_gradient_op(g, "SumTo", TN_IN(v, lifted), TN_PLAIN);
    v = tn_gradient_op(g, "Cast", TN_IN(v),
                       TN_WITH(tn_attr_int("to", g->node->in[input]->type.dtype)));
    if (v) tn_gradient_give(g, input, tn_gradient_reshape_like(g, v, g->node->in[input]));
}

/* The statistics of the batch hang on x in training; the running ones are no way to the loss. */
static void gradient(tn_gradient *g)
{
    const tn_batch_norm_params *params = g->node->params;
    tn_value *x = g->node->in[0];
    if (!g->dy[0] || x->type.rank < 2) {
        tn_gradient_refuse(g, "X needs channels, and only Y can lead to the loss");
        return;
    }
    tn_named n[] = {{.name = "scale", .value = lift(g, g->node->in[1])},
                    {.name = "mean", .value = lift(g, g->node->in[3])},
                    {.name = "var", .value = lift(g, g->node->in[4])},
                    {.name = "epsilon", .number = (double)params->epsilon},
                    {.name = "hat"},
                    {.name = "one"},
                    {.name = "two"}};
    if (params->training_mode) {
        n[1].value = channel_mean(g, x);
        n[2].value = channel_mean(g, tn_gradient_write(g, "(x - mean) * (x - mean)", n, 2));
    }
    n[4].value = tn_gradient_write(g, "(x - mean) / Sqrt(var + epsilon)", n, 4);
    tn_value *product = tn_gradient_write(g, "dy * hat", n, 5);
    give_vector(g, 1, n[0].value, product);
    give_vector(g, 2, n[0].value, g->dy[0]);
    if (!params->training_mode) {
        tn_gradient_give(g, 0, tn_gradient_write(g, "dy * (scale / Sqrt(var + epsilon))", n, 4));
        give_vector(g, 3, n[0].value,
                    tn_gradient_write(g, "-dy * (scale / Sqrt(var + epsilon))", n, 4));
        give_vector(g, 4, n[0].value,
                    tn_gradient_write(g, "-0.5 * dy * hat * scale / (var + epsilon)", n, 5));
        return;
    }
    n[5].value = channel_mean(g, g->dy[0]);
    n[6].value = channel_mean(g, product);
    tn_gradient_give(
        g, 0, tn_gradient_write(g, "(dy - one - hat * two) * (scale / Sqrt(var + epsilon))", n, 7));
}

extern const tn_case tn_batch_norm_cases[];

const tn_op tn_op_batch_norm = {
    .name = "BatchNormalization",
    .since = 15,
    .about = "(x - mean) / sqrt(var + epsilon) * scale + B for each channel",
    .in = ins,
    .in_count = 5,
    .out = outs,
    .out_count = 3,
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_batch_norm_params),
    .infer = infer,
    .reference = reference,
    .scratch_bytes = scratch_bytes,
    .gradient = gradient,
    .upgrade = {{14, upgrade_below_14}},
    .cases = tn_batch_norm_cases,
};
