/* ConvTranspose-22: the gradient of Conv. Each input element adds W, scaled, into the output:
 * y[n,o, . * stride + k * dilation - pad] += W[c,o,k] * x[n,c,.]; what falls outside y is dropped.
 */
#include "ops/conv/conv.h"
#include "ops/wide/wide.h"

static const tn_field fields[] = {
    {.name = "kernel_shape",
     .kind = TN_FIELD_INTS,
     .offset = offsetof(tn_conv_transpose_params, window.kernel_shape)},
    {.name = "strides",
     .kind = TN_FIELD_INTS,
     .offset = offsetof(tn_conv_transpose_params, window.strides)},
    {.name = "dilations",
     .kind = TN_FIELD_INTS,
     .offset = offsetof(tn_conv_transpose_params, window.dilations)},
    {.name = "pads",
     .kind = TN_FIELD_INTS,
     .offset = offsetof(tn_conv_transpose_params, window.pads)},
    {.name = "auto_pad",
     .kind = TN_FIELD_ENUM,
     .choices = TN_AUTO_PADS,
     .offset = offsetof(tn_conv_transpose_params, window.auto_pad)},
    TN_INT(tn_conv_transpose_params, group, 1),
    TN_INT_LIST(tn_conv_transpose_params, output_padding),
    TN_INT_LIST(tn_conv_transpose_params, output_shape),
};
static const tn_port ins[] = {{"X", TN_DTS_FLOAT, 'T', 0},
                              {"W", TN_DTS_FLOAT, 'T', 0},
                              {"B", TN_DTS_FLOAT, 'T', TN_PORT_OPTIONAL}};
static const tn_port outs[] = {{"Y", TN_DTS_FLOAT, 'T', 0}};

static int64_t at_or(const tn_ints *ints, int index, int64_t otherwise)
{
    return ints->count > index ? ints->at[index] : otherwise;
}

static tn_status lower(const tn_node *node, void *params_out)
{
    const tn_conv_transpose_params *params = params_out;
    const tn_ints *lists[] = {&params->output_padding, &params->output_shape};
    (void)node;
    TN_CHECK(params->group >= 1, TN_INVALID, "group is %lld", (long long)params->group);
    /* An output_shape that counts batch and channels may have -1 there. */
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < lists[i]->count; k++)
            TN_CHECK(lists[i]->at[k] >= -i && lists[i]->at[k] <= INT32_MAX, TN_INVALID,
                     "%s[%d] is %lld", i ? "output_shape" : "output_padding", k,
                     (long long)lists[i]->at[k]);
    return tn_window_check(&params->window);
}

/* One axis: the size asked for, a multiple of the input, or whatever all windows together cover. */
static tn_expr output_size(tn_exprs *e, const tn_conv_transpose_params *params, int axis, int axes,
                           tn_expr in, tn_expr taps)
{
    const tn_window_params *w = &params->window;
    int64_t stride = at_or(&w->strides, axis, 1), dilation = at_or(&w->dilations, axis, 1);
    if (params->output_shape.count > 0) {
        int skip = params->output_shape.count - axes; /* batch and channels may be given too */
        return tn_expr_const(e, params->output_shape.at[skip + axis]);
    }
    if (w->auto_pad == TN_AUTO_PAD_SAME_UPPER || w->auto_pad == TN_AUTO_PAD_SAME_LOWER)
        return tn_expr_mul(e, in, tn_expr_const(e, stride));
    int64_t extra = at_or(&params->output_padding, axis, 0) + 1 - stride - dilation;
    if (w->auto_pad == TN_AUTO_PAD_NOTSET)
        extra -= at_or(&w->pads, axis, 0) + at_or(&w->pads, axes + axis, 0);
    tn_expr size = tn_expr_mul(e, in, tn_expr_const(e, stride));
    size = tn_expr_add(e, size, tn_expr_mul(e, taps, tn_expr_const(e, dilation)));
    return tn_expr_add(e, size, tn_expr_const(e, extra));
}

static tn_status check_shapes(tn_infer *f, const tn_type *x, const tn_type *w)
{
    const tn_conv_transpose_params *params = f->params;
    char text_x[128], text_w[128];
    int64_t channels, inputs;
    int axes = x->rank - 2;
    tn_type_text(f->exprs, x, text_x, sizeof text_x);
    tn_type_text(f->exprs, w, text_w, sizeof text_w);
    TN_CHECK(axes >= 1 && axes <= 3, axes > 3 ? TN_UNSUPPORTED : TN_INVALID,
             "the input needs 1 to 3 spatial axes after batch and channels: X is %s", text_x);
    TN_CHECK(w->rank == x->rank, TN_INVALID, "W needs as many axes as X: X is %s, W is %s", text_x,
             text_w);
    if (tn_expr_is_const(f->exprs, x->dim[1], &channels)) {
        TN_CHECK(channels % params->group == 0, TN_INVALID,
                 "channels do not divide into %lld groups: X is %s", (long long)params->group,
                 text_x);
        if (tn_expr_is_const(f->exprs, w->dim[0], &inputs))
            TN_CHECK(inputs == channels, TN_INVALID, "channels do not match: X is %s, W is %s",
                     text_x, text_w);
    }
    if (tn_infer_has(f, 2) && f->in[2].rank >= 0) {
        int64_t count, each;
        bool fits = f->in[2].rank == 1;
        if (fits && tn_expr_is_const(f->exprs, f->in[2].dim[0], &count) &&
            tn_expr_is_const(f->exprs, w->dim[1], &each))
            fits = count % params->group == 0 && count / params->group == each;
        TN_CHECK(fits, TN_INVALID,
                 "B is %s: it needs one value for each output channel; W is %s, group %lld",
                 tn_type_text(f->exprs, &f->in[2], text_x, sizeof text_x), text_w,
                 (long long)params->group);
    }
    const tn_ints *lists[] = {&params->window.kernel_shape, &params->window.strides,
                              &params->window.dilations, &params->output_padding,
                              &params->output_shape};
    for (int i = 0; i < 5; i++)
        TN_CHECK(lists[i]->count < 0 || lists[i]->count == axes ||
                     (i == 4 && lists[i]->count == axes + 2),
                 TN_INVALID, "the attributes are for %d spatial axes: X is %s", lists[i]->count,
                 text_x);
    TN_CHECK(params->window.pads.count < 0 || params->window.pads.count == 2 * axes, TN_INVALID,
             "pads has %d values, %d are needed: X is %s", params->window.pads.count, 2 * axes,
             text_x);
    return NULL;
}

static tn_status infer(tn_infer *f)
{
    const tn_conv_transpose_params *params = f->params;
    const tn_type *x = &f->in[0], *w = &f->in[1];
    tn_expr dim[TN_RANK_MAX];
    if (x->rank < 0 || w->rank < 0) {
        tn_infer_set(f, 0, x->dtype, -1, NULL);
        return NULL;
    }
    TN_TRY(check_shapes(f, x, w));
    dim[0] = x->dim[0];
    dim[1] = tn_expr_mul(f->exprs, w->dim[1], tn_expr_const(f->exprs, params->group));
    for (int i = 0; i < x->rank - 2; i++) {
        int64_t size;
        char text[128];
        dim[2 + i] = output_size(f->exprs, params, i, x->rank - 2, x->dim[2 + i], w->dim[2 + i]);
        if (tn_expr_is_const(f->exprs, dim[2 + i], &size))
            TN_CHECK(size >= 0, TN_INVALID, "pads leave nothing of spatial axis %d: X is %s", i,
                     tn_type_text(f->exprs, x, text, sizeof text));
    }
    tn_infer_set(f, 0, x->dtype, x->rank, dim);
    return NULL;
}

void tn_conv_transpose_window(const tn_problem *p, tn_window *out)
{
    const tn_conv_transpose_params *params = p->params;
    tn_window_params plain = params->window;
    int axes = p->in[0].rank - 2;
    plain.auto_pad = TN_AUTO_PAD_NOTSET;
    tn_window_of(&plain, &p->out[0], p->in[1].dim + 2, &p->in[0], out);
    bool same = params->window.auto_pad == TN_AUTO_PAD_SAME_UPPER ||
                params->window.auto_pad == TN_AUTO_PAD_SAME_LOWER;
    for (int i = 0; i < axes; i++) {
        int at = 3 - axes + i;
        if (params->window.auto_pad == TN_AUTO_PAD_VALID) out->pad[at] = 0;
        if (params->output_shape.count <= 0 && !same) continue;
        int64_t total = (out->out[at] - 1) * out->stride[at] +
                        at_or(&params->output_padding, i, 0) +
                        (out->kernel[at] - 1) * out->dilation[at] + 1 - out->in[at];
        if (total < 0) total = 0;
        bool upper = params->window.auto_pad == TN_AUTO_PAD_SAME_UPPER;
        out->pad[at] = upper ? total / 2 : total - total / 2;
    }
}

static size_t scratch_bytes(const tn_problem *p)
{
    size_t bytes = 0;
    tn_window w;
    for (int i = 0; i < p->in_count; i++)
        bytes = tn_wide_add(bytes, tn_wide_tensor_bytes(&p->in[i]));
    tn_conv_transpose_window(p, &w);
    return tn_wide_add(bytes, tn_wide_bytes(w.in_count));
}

static void add_tap(const tn_window *w, const double *x, const int64_t tap[3], double weight,
                    double *plane)
{
    int64_t begin[3], end[3];
    for (int i = 0; i < 3; i++) tn_window_range(w, i, tap[i], &begin[i], &end[i]);
    int64_t left = tap[2] * w->dilation[2] - w->pad[2];
    for (int64_t d = begin[0]; d < end[0]; d++) {
        int64_t to_d = d * w->stride[0] + tap[0] * w->dilation[0] - w->pad[0];
        for (int64_t h = begin[1]; h < end[1]; h++) {
            int64_t to_h = h * w->stride[1] + tap[1] * w->dilation[1] - w->pad[1];
            const double *restrict src = x + (d * w->out[1] + h) * w->out[2];
            double *restrict dst = plane + (to_d * w->in[1] + to_h) * w->in[2];
            for (int64_t i = begin[2]; i < end[2]; i++)
                dst[i * w->stride[2] + left] += weight * src[i];
        }
    }
}

void tn_conv_add_back(const tn_window *w, const double *y, const double *weights, double *plane)
{
    for (int64_t k = 0; k < w->kernel_count; k++) {
        int64_t tap[3] = {k / w->kernel[2] / w->kernel[1], k / w->kernel[2] % w->kernel[1],
                          k % w->kernel[2]};
        add_tap(w, y, tap, weights[k], plane);
    }
}

static tn_status reference(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_conv_transpose_params *params = p->params;
    const tn_tensor *y = &p->out[0];
    void *scratch = l->scratch;
    const double *x = tn_wide_load(&scratch, &p->in[0]);
    const double *weights = tn_wide_load(&scratch, &p->in[1]);
    const double *bias = tn_wide_has(p, 2) ? tn_wide_load(&scratch, &p->in[2]) : NULL;
    tn_window w;
    tn_conv_transpose_window(p, &w);
    double *plane = tn_wide_take(&scratch, w.in_count);
    int64_t channels = p->in[0].dim[1], each = channels / params->group,
            group_out = p->in[1].dim[1];
    if (w.in_count == 0) return NULL;
    for (int64_t n = 0; n < y->dim[0]; n++) {
        for (int64_t o = 0; o < y->dim[1]; o++) {
            for (int64_t i = 0; i < w.in_count; i++) plane[i] = bias ? bias[o] : 0;
            int64_t first = o / group_out * each;
            for (int64_t c = first; c < first + each; c++)
                tn_conv_add_back(&w, x + (n * channels + c) * w.out_count,
                                 weights + (c * group_out + o % group_out) * w.kernel_count, plane);
            tn_store_f64s(y->dtype, y->data, (n * y->dim[1] + o) * w.in_count, w.in_count, plane);
        }
    }
    return NULL;
}

extern const tn_case tn_conv_transpose_cases[];

const tn_op tn_op_conv_transpose = {
    .name = "ConvTranspose",
    .since = 22,
    .about = "the gradient of Conv: every input element adds its scaled kernel to the output",
    .in = ins,
    .in_count = 3,
    .out = outs,
    .out_count = 1,
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_conv_transpose_params),
    .lower = lower,
    .infer = infer,
    .reference = reference,
    .scratch_bytes = scratch_bytes,
    .gradient = tn_conv_transpose_gradient,
    .cases = tn_conv_transpose_cases,
};
