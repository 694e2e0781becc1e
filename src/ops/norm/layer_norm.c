/* LayerNormalization-17 and RMSNormalization-23: over the axes from `axis` to the last. The second
 * leaves out the mean: x / sqrt(mean(x^2) + epsilon) * scale. */
#include <math.h>

#include "ir/gradient.h"
#include "ops/norm/norm.h"
#include "ops/wide/wide.h"

static const tn_field fields[] = {
    TN_INT(tn_layer_norm_params, axis, -1),
    TN_FLOAT(tn_layer_norm_params, epsilon, 1e-5),
    TN_INT(tn_layer_norm_params, stash_type, TN_DTYPE_F32),
};
#define STASH (TN_DT(F32) | TN_DT(BF16) | TN_DT(F16) | TN_DT(F64))
static const tn_port ins[] = {{"X", TN_DTS_FLOAT, 'T', 0},
                              {"Scale", TN_DTS_FLOAT, 'T', 0},
                              {"B", TN_DTS_FLOAT, 'T', TN_PORT_OPTIONAL}};
static const tn_port outs[] = {{"Y", TN_DTS_FLOAT, 'T', 0},
                               {"Mean", STASH, 'U', TN_PORT_OPTIONAL},
                               {"InvStdDev", STASH, 'U', TN_PORT_OPTIONAL}};
static const tn_port rms_ins[] = {{"X", TN_DTS_FLOAT, 'T', 0}, {"scale", TN_DTS_FLOAT, 'V', 0}};
static const tn_port rms_outs[] = {{"Y", TN_DTS_FLOAT, 'V', 0}};

static tn_status lower(const tn_node *node, void *params_out)
{
    const tn_layer_norm_params *params = params_out;
    (void)node;
    TN_CHECK(params->stash_type == TN_DTYPE_F32 || params->stash_type == TN_DTYPE_BF16 ||
                 params->stash_type == TN_DTYPE_F16 || params->stash_type == TN_DTYPE_F64,
             TN_INVALID, "stash_type %lld is not a float type", (long long)params->stash_type);
    return NULL;
}

/* Scale and B broadcast to X, never the other way. */
static tn_status check_operand(tn_infer *f, int input, const char *name)
{
    const tn_type *x = &f->in[0], *t = &f->in[input];
    char text[128], text_x[128];
    if (!tn_infer_has(f, input) || t->rank < 0 || x->rank < 0) return NULL;
    bool fits = t->rank <= x->rank;
    for (int i = 1; fits && i <= t->rank; i++) {
        int64_t have, want;
        if (!tn_expr_is_const(f->exprs, t->dim[t->rank - i], &have) || have == 1) continue;
        if (tn_expr_is_const(f->exprs, x->dim[x->rank - i], &want)) fits = have == want;
    }
    TN_CHECK(fits, TN_INVALID, "%s does not broadcast to X: X is %s, %s is %s", name,
             tn_type_text(f->exprs, x, text_x, sizeof text_x), name,
             tn_type_text(f->exprs, t, text, sizeof text));
    return NULL;
}

static tn_status infer(tn_infer *f)
{
    const tn_layer_norm_params *params = f->params;
    const tn_type *x = &f->in[0];
    tn_expr dim[TN_RANK_MAX];
    int axis = 0;
    if (x->rank >= 0) TN_TRY(tn_infer_axis(f, params->axis, x->rank, &axis));
    TN_TRY(check_operand(f, 1, "Scale"));
    TN_TRY(check_operand(f, 2, "B"));
    tn_infer_same(f, 0, 0);
    for (int i = 0; i < x->rank; i++) dim[i] = i < axis ? x->dim[i] : tn_expr_const(f->exprs, 1);
    for (int i = 1; i < 3 && i < f->out_count; i++)
        tn_infer_set(f, i, (tn_dtype)params->stash_type, x->rank, dim);
    return NULL;
}

static tn_status infer_rms(tn_infer *f)
{
    const tn_layer_norm_params *params = f->params;
    int axis;
    if (f->in[0].rank >= 0) TN_TRY(tn_infer_axis(f, params->axis, f->in[0].rank, &axis));
    TN_TRY(check_operand(f, 1, "scale"));
    tn_infer_set(f, 0, f->in[1].dtype, f->in[0].rank, f->in[0].dim);
    return NULL;
}

static size_t scratch_bytes(const tn_problem *p)
{
    return tn_wide_tensor_bytes(&p->in[0]);
}

static double mean_square(const double *x, int64_t count)
{
    double sum = 0;
    for (int64_t i = 0; i < count; i++) sum += x[i] * x[i];
    return sum / (double)count;
}

static tn_status run(const tn_launch *l, bool rms)
{
    const tn_problem *p = l->problem;
    const tn_layer_norm_params *params = p->params;
    const tn_tensor *x = &p->in[0], *scale = &p->in[1], *y = &p->out[0];
    const tn_tensor *bias = tn_wide_has(p, 2) ? &p->in[2] : NULL;
    const tn_tensor *operands[] = {scale, bias};
    int axis = tn_axis_normal(params->axis, x->rank);
    int64_t rows = tn_dims_product(x->dim, 0, axis), count = tn_dims_product(x->dim, axis, x->rank);
    void *scratch = l->scratch;
    const double *wide = tn_wide_load(&scratch, x);
    tn_walk walk;
    TN_TRY(tn_walk_init(&walk, y, operands, bias ? 2 : 1));
    for (int64_t row = 0; row < rows; row++) {
        const double *src = wide + row * count;
        double mean = 0, variance;
        if (rms) variance = mean_square(src, count);
        else tn_norm_moments(src, count, &mean, &variance);
        double inverse = 1 / sqrt(variance + params->epsilon);
        for (int64_t i = 0; i < count; i++, tn_walk_next(&walk)) {
            double value = (src[i] - mean) * inverse;
            value *= tn_load_f64(scale->dtype, scale->data, walk.at[0]);
            if (bias) value += tn_load_f64(bias->dtype, bias->data, walk.at[1]);
            tn_store_f64(y->dtype, y->data, row * count + i, value);
        }
        if (tn_wide_wants(p, 1)) tn_store_f64(p->out[1].dtype, p->out[1].data, row, mean);
        if (tn_wide_wants(p, 2)) tn_store_f64(p->out[2].dtype, p->out[2].data, row, inverse);
    }
    return NULL;
}

static tn_status reference(const tn_launch *l)
{
    return run(l, false);
}

static tn_status reference_rms(const tn_launch *l)
{
    return run(l, true);
}

/* With hat = (x - mean) / deviation and d = dy * scale, over the normalised axes:
 * dx = (d - mean(d) - hat * mean(d * hat)) / deviation; RMSNormalization has no means to take off.
 */
static void gradient(tn_gradient *g)
{
    const tn_layer_norm_params *params = g->node->params;
    tn_value *x = g->node->in[0];
    int64_t axes[TN_RANK_MAX];
    bool rms = g->node->op->name[0] == 'R', others = false;
    for (int i = 1; i < g->node->out_count; i++) others = others || g->dy[i];
    if (x->type.rank < 0 || others || !g->dy[0]) {
        tn_gradient_refuse(g, "X needs a known rank, and only Y can lead to the loss");
        return;
    }
    if (rms && g->node->in[1]->type.dtype != x->type.dtype) {
        tn_gradient_refuse(g, "X and scale are of two types");
        return;
    }
    int first = tn_axis_normal(params->axis, x->type.rank), count = x->type.rank - first;
    for (int i = 0; i < count; i++) axes[i] = first + i;
    tn_value *list = tn_draft_ints(g->draft, axes, count);
    tn_named n[] = {{.name = "epsilon", .number = (double)params->epsilon},
                    {.name = "off", .value = x},
                    {.name = "root"},
                    {.name = "hat"},
                    {.name = "d"},
                    {.name = "one"},
                    {.name = "two"}};
    if (!rms) {
        tn_named mean = {.name = "mean",
                         .value = tn_gradient_op(g, "ReduceMean", TN_IN(x, list), TN_PLAIN)};
        n[1].value = tn_gradient_write(g, "x - mean", &mean, 1);
    }
    tn_named square = {.name = "square",
                       .value = tn_gradient_op(g, "ReduceMean",
                                               TN_IN(tn_gradient_write(g, "off * off", n, 2), list),
                                               TN_PLAIN)};
    tn_named under[] = {square, n[0]};
    n[2].value = tn_gradient_write(g, "Sqrt(square + epsilon)", under, 2);
    n[3].value = tn_gradient_write(g, "off / root", n, 3);
    n[4].value = tn_gradient_write(g, "dy * b", NULL, 0);
    if (tn_gradient_wants(g, 1)) tn_gradient_give(g, 1, tn_gradient_write(g, "dy * hat", n, 4));
    tn_gradient_give(g, 2, g->dy[0]);
    if (!tn_gradient_wants(g, 0)) return;
    n[6].value = tn_gradient_op(g, "ReduceMean", TN_IN(tn_gradient_write(g, "d * hat", n, 5), list),
                                TN_PLAIN);
    if (!rms) n[5].value = tn_gradient_op(g, "ReduceMean", TN_IN(n[4].value, list), TN_PLAIN);
    const char *rule = rms ? "(d - hat * two) / root" : "(d - one - hat * two) / root";
    tn_gradient_give(g, 0, tn_gradient_write(g, rule, n, 7));
}

extern const tn_case tn_layer_norm_cases[];
extern const tn_case tn_rms_norm_cases[];

const tn_op tn_op_layer_norm = {
    .name = "LayerNormalization",
    .since = 17,
    .about = "(x - mean) / sqrt(var + epsilon) * Scale + B over the axes from axis on",
    .in = ins,
    .in_count = 3,
    .out = outs,
    .out_count = 3,
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_layer_norm_params),
    .lower = lower,
    .infer = infer,
    .reference = reference,
    .scratch_bytes = scratch_bytes,
    .gradient = gradient,
    .cases = tn_layer_norm_cases,
};

const tn_op tn_op_rms_norm = {
    .name = "RMSNormalization",
    .since = 23,
    .about = "x / sqrt(mean(x^2) + epsilon) * scale over the axes from axis on",
    .in = rms_ins,
    .in_count = 2,
    .out = rms_outs,
    .out_count = 1,
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_layer_norm_params),
    .lower = lower,
    .infer = infer_rms,
    .reference = reference_rms,
    .scratch_bytes = scratch_bytes,
    .gradient = gradient,
    .cases = tn_rms_norm_cases,
};
