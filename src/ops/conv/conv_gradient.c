/* Gradients of Conv, of the domain "tenon". With y[n,o,s] = sum over c, k of W[o,c,k] *
 * x[n,c,s(k)]:
 *
 *     dx[n,c,s(k)] += W[o,c,k] * dy[n,o,s]          ConvDataGradient
 *     dW[o,c,k]    += x[n,c,s(k)] * dy[n,o,s]       ConvWeightGradient
 *
 * Both have Conv's attributes and the tensor whose gradient they are as their last input, of which
 * only the shape counts: strides leave it open. */
#include "ir/gradient.h"
#include "ops/conv/conv.h"
#include "ops/moving.h"
#include "ops/wide/wide.h"

static const tn_field fields[] = {TN_CONV_FIELDS};
static const tn_port data_ins[] = {
    {"dY", TN_DTS_FLOAT, 'T', 0}, {"W", TN_DTS_FLOAT, 'T', 0}, {"X", TN_DTS_FLOAT, 'T', 0}};
static const tn_port data_outs[] = {{"dX", TN_DTS_FLOAT, 'T', 0}};
static const tn_port weight_ins[] = {
    {"X", TN_DTS_FLOAT, 'T', 0}, {"dY", TN_DTS_FLOAT, 'T', 0}, {"W", TN_DTS_FLOAT, 'T', 0}};
static const tn_port weight_outs[] = {{"dW", TN_DTS_FLOAT, 'T', 0}};

/* ---- Rules -----------------------------------------------------------------------------------*/

/* Those of the node's attributes that Conv has. */
static int conv_attrs(const tn_node *node, tn_attr *attr)
{
    int count = 0;
    for (size_t i = 0; i < TN_COUNT(fields); i++) {
        const tn_attr *given = tn_node_find_attr(node, fields[i].name);
        if (given) attr[count++] = *given;
    }
    return count;
}

static void give_bias(tn_gradient *g)
{
    int64_t axes[TN_RANK_MAX];
    int rank = g->node->in[1]->type.rank, count = 0;
    if (!tn_gradient_wants(g, 2)) return;
    for (int i = 0; i < rank; i++)
        if (i != 1) axes[count++] = i;
    tn_value *list = tn_draft_ints(g->draft, axes, count);
    tn_gradient_give(
        g, 2,
        tn_gradient_op(g, "ReduceSum", TN_IN(g->dy[0], list), TN_WITH(tn_attr_int("keepdims", 0))));
}

void tn_conv_gradient(tn_gradient *g)
{
    tn_attr attr[TN_COUNT(fields)];
    int count = conv_attrs(g->node, attr);
    tn_value *x = g->node->in[0], *w = g->node->in[1], *dy = g->dy[0];
    if (tn_gradient_wants(g, 0))
        tn_gradient_give(g, 0, tn_gradient_op(g, "ConvDataGradient", TN_IN(dy, w, x), attr, count));
    if (tn_gradient_wants(g, 1))
        tn_gradient_give(g, 1,
                         tn_gradient_op(g, "ConvWeightGradient", TN_IN(x, dy, w), attr, count));
    give_bias(g);
}

void tn_conv_transpose_gradient(tn_gradient *g)
{
    const tn_conv_transpose_params *params = g->node->params;
    tn_attr attr[TN_COUNT(fields)];
    int count = conv_attrs(g->node, attr);
    tn_value *x = g->node->in[0], *w = g->node->in[1], *dy = g->dy[0];
    if (params->output_shape.count > 0 || params->window.auto_pad == TN_AUTO_PAD_SAME_UPPER ||
        params->window.auto_pad == TN_AUTO_PAD_SAME_LOWER) {
        tn_gradient_refuse(g, "its pads must be given as numbers");
        return;
    }
    if (tn_gradient_wants(g, 0))
        tn_gradient_give(g, 0, tn_gradient_op(g, "Conv", TN_IN(dy, w), attr, count));
    if (tn_gradient_wants(g, 1))
        tn_gradient_give(g, 1,
                         tn_gradient_op(g, "ConvWeightGradient", TN_IN(dy, x, w), attr, count));
    give_bias(g);
}

/* ---- Shapes ----------------------------------------------------------------------------------*/

/* Would Conv of x and w give dy? Asked of Conv's own inference. */
static tn_status check_shapes(tn_infer *f, int x, int w, int dy)
{
    tn_type in[3] = {f->in[x], f->in[w], {0}}, out = {.rank = -1};
    tn_known none[3] = {{0}};
    char text[128], text_dy[128];
    tn_infer conv = *f;
    conv.in = in;
    conv.known = none;
    conv.data = NULL;
    conv.in_count = 2;
    conv.out = &out;
    conv.out_count = 1;
    TN_TRY(tn_conv_infer(&conv, 1, -1, f->in[x].dtype));
    f->runtime = conv.runtime;
    f->runtime_count = conv.runtime_count;
    f->runtime_capacity = conv.runtime_capacity;
    f->fresh_count = conv.fresh_count;
    bool fits = out.rank < 0 || f->in[dy].rank < 0 || out.rank == f->in[dy].rank;
    for (int i = 0; fits && i < out.rank && f->in[dy].rank > 0; i++) {
        int64_t want, have;
        if (tn_expr_is_const(f->exprs, out.dim[i], &want) &&
            tn_expr_is_const(f->exprs, f->in[dy].dim[i], &have))
            fits = want == have;
    }
    TN_CHECK(fits, TN_INVALID, "dY is %s where Conv gives %s",
             tn_type_text(f->exprs, &f->in[dy], text_dy, sizeof(text_dy)),
             tn_type_text(f->exprs, &out, text, sizeof(text)));
    return NULL;
}

static tn_status infer_data(tn_infer *f)
{
    TN_TRY(check_shapes(f, 2, 1, 0));
    tn_infer_same(f, 0, 2);
    return NULL;
}

static tn_status infer_weight(tn_infer *f)
{
    TN_TRY(check_shapes(f, 0, 2, 1));
    tn_infer_same(f, 0, 2);
    return NULL;
}

/* ---- References ------------------------------------------------------------------------------*/

void tn_conv_gradient_window(const tn_problem *p, bool data, tn_window *out)
{
    const tn_conv_params *params = p->params;
    const tn_tensor *x = &p->in[data ? 2 : 0], *dy = &p->in[data ? 0 : 1];
    const tn_tensor *w = &p->in[data ? 1 : 2];
    tn_window_of(&params->window, x, w->dim + 2, dy, out);
}

static size_t scratch_data(const tn_problem *p)
{
    tn_window w;
    tn_conv_gradient_window(p, true, &w);
    size_t bytes = tn_wide_add(tn_wide_tensor_bytes(&p->in[0]), tn_wide_tensor_bytes(&p->in[1]));
    return tn_wide_add(bytes, tn_wide_bytes(w.in_count));
}

static tn_status reference_data(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_conv_params *params = p->params;
    const tn_tensor *dx = &p->out[0];
    tn_window w;
    void *scratch = l->scratch;
    tn_conv_gradient_window(p, true, &w);
    const double *dy = tn_wide_load(&scratch, &p->in[0]);
    const double *weights = tn_wide_load(&scratch, &p->in[1]);
    double *plane = tn_wide_take(&scratch, w.in_count);
    int64_t channels = dx->dim[1], each = p->in[1].dim[1], outputs = p->in[1].dim[0];
    int64_t group_outputs = outputs / params->group;
    if (w.in_count == 0) return NULL;
    for (int64_t n = 0; n < dx->dim[0]; n++) {
        for (int64_t c = 0; c < channels; c++) {
            for (int64_t i = 0; i < w.in_count; i++) plane[i] = 0;
            int64_t first = c / each * group_outputs;
            for (int64_t o = first; o < first + group_outputs; o++)
                tn_conv_add_back(&w, dy + (n * outputs + o) * w.out_count,
                                 weights + (o * each + c % each) * w.kernel_count, plane);
            tn_store_f64s(dx->dtype, dx->data, (n * channels + c) * w.in_count, w.in_count, plane);
        }
    }
    return NULL;
}

static size_t scratch_weight(const tn_problem *p)
{
    return tn_wide_add(tn_wide_tensor_bytes(&p->in[0]), tn_wide_tensor_bytes(&p->in[1]));
}

/* The products of one channel of x with one of dy under one tap. */
static double sum_tap(const tn_window *w, const double *x, const double *dy, int64_t k)
{
    int64_t tap[3] = {k / w->kernel[2] / w->kernel[1], k / w->kernel[2] % w->kernel[1],
                      k % w->kernel[2]};
    int64_t begin[3], end[3];
    double sum = 0;
    for (int i = 0; i < 3; i++) tn_window_range(w, i, tap[i], &begin[i], &end[i]);
    for (int64_t d = begin[0]; d < end[0]; d++) {
        int64_t in_d = d * w->stride[0] + tap[0] * w->dilation[0] - w->pad[0];
        for (int64_t h = begin[1]; h < end[1]; h++) {
            int64_t in_h = h * w->stride[1] + tap[1] * w->dilation[1] - w->pad[1];
            const double *row = x + (in_d * w->in[1] + in_h) * w->in[2];
            int64_t left = tap[2] * w->dilation[2] - w->pad[2];
            for (int64_t i = begin[2]; i < end[2]; i++)
                sum += row[i * w->stride[2] + left] * dy[(d * w->out[1] + h) * w->out[2] + i];
        }
    }
    return sum;
}

static tn_status reference_weight(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_conv_params *params = p->params;
    const tn_tensor *dw = &p->out[0];
    tn_window w;
    void *scratch = l->scratch;
    tn_conv_gradient_window(p, false, &w);
    const double *x = tn_wide_load(&scratch, &p->in[0]);
    const double *dy = tn_wide_load(&scratch, &p->in[1]);
    int64_t outputs = dw->dim[0], each = dw->dim[1], channels = p->in[0].dim[1];
    for (int64_t at = 0; at < outputs * each * w.kernel_count; at++) {
        int64_t k = at % w.kernel_count, c = at / w.kernel_count % each;
        int64_t o = at / w.kernel_count / each;
        double sum = 0;
        c += o / (outputs / params->group) * each;
        for (int64_t n = 0; n < p->in[0].dim[0]; n++)
            sum += sum_tap(&w, x + (n * channels + c) * w.in_count,
                           dy + (n * outputs + o) * w.out_count, k);
        tn_store_f64(dw->dtype, dw->data, at, sum);
    }
    return NULL;
}

extern const tn_case tn_conv_data_gradient_cases[], tn_conv_weight_gradient_cases[];

const tn_op tn_op_conv_data_gradient = {
    .name = "ConvDataGradient",
    .domain = "tenon",
    .since = 1,
    .about = "the gradient of Conv's X: dX[s(k)] += W[k] * dY[s]",
    .in = data_ins,
    .in_count = TN_COUNT(data_ins),
    .out = data_outs,
    .out_count = TN_COUNT(data_outs),
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_conv_params),
    .lower = tn_conv_lower,
    .infer = infer_data,
    .reference = reference_data,
    .scratch_bytes = scratch_data,
    .shape_inputs = 1 << 2,
    .cases = tn_conv_data_gradient_cases,
};

const tn_op tn_op_conv_weight_gradient = {
    .name = "ConvWeightGradient",
    .domain = "tenon",
    .since = 1,
    .about = "the gradient of Conv's W: dW[k] += X[s(k)] * dY[s]",
    .in = weight_ins,
    .in_count = TN_COUNT(weight_ins),
    .out = weight_outs,
    .out_count = TN_COUNT(weight_outs),
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_conv_params),
    .lower = tn_conv_lower,
    .infer = infer_weight,
    .reference = reference_weight,
    .scratch_bytes = scratch_weight,
    .shape_inputs = 1 << 2,
    .cases = tn_conv_weight_gradient_cases,
};
