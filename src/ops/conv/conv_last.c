/* ChannelsLastConv, of the domain "tenon": FusedConv of tensors whose channels run along memory.
 *
 *     x [N, ..., C]   w [O, taps ..., C / group]   residual, y [N, ..., O]
 *
 * With x_first x is [N, C, ...], as it came into the network: a first layer reads its few channels
 * from anywhere as well, and may read float32 that it takes as what the others are. Single pixels
 * of X2, more_strides apart, times W2 [O, 1 ..., C2] are added in the same sum: what goes around a
 * block of layers, where that has a projection. */
#include "ops/conv/conv.h"

#include "ops/wide/wide.h"

static const tn_field fields[] = {
    TN_CONV_FIELDS, TN_EPILOGUE_FIELDS(tn_conv_last_params, fused.epilogue),
    TN_INT(tn_conv_last_params, x_first, 0), TN_INT_LIST(tn_conv_last_params, more_strides)};
static const tn_port ins[] = {{"X", TN_DTS_FLOAT, 'X', 0},
                              {"W", TN_DTS_FLOAT, 'T', 0},
                              {"B", TN_DTS_FLOAT, 'T', TN_PORT_OPTIONAL},
                              {"residual", TN_DTS_FLOAT, 'T', TN_PORT_OPTIONAL},
                              {"X2", TN_DTS_FLOAT, 'T', TN_PORT_OPTIONAL},
                              {"W2", TN_DTS_FLOAT, 'T', TN_PORT_OPTIONAL}};
static const tn_port outs[] = {{"Y", TN_DTS_FLOAT, 'T', 0}};

/* What the product with W2 is, as a convolution. */
static tn_conv_params single_of(const tn_conv_last_params *params)
{
    tn_conv_params single = {.window.strides = params->more_strides, .group = 1};
    single.window.kernel_shape.count = single.window.dilations.count = -1;
    single.window.pads.count = -1;
    return single;
}

static tn_status lower(const tn_node *node, void *params)
{
    tn_conv_params single = single_of(params);
    TN_TRY(tn_conv_lower(node, params));
    return tn_window_check(&single.window);
}

/* Single pixels of X2 times W2 are like y. */
static tn_status check_more(tn_infer *f)
{
    const tn_conv_last_params *params = f->params;
    const tn_conv_params single = single_of(params);
    const tn_type *given = f->in;
    int64_t taps;
    bool has = tn_infer_has(f, TN_CONV_LAST_X2);
    TN_CHECK(has == tn_infer_has(f, TN_CONV_LAST_W2), TN_INVALID, "X2 and W2 need one another");
    if (!has) return NULL;
    tn_type in[2] = {given[TN_CONV_LAST_X2], given[TN_CONV_LAST_W2]}, y = f->out[0];
    for (int i = 1; i < in[1].rank - 1; i++)
        if (tn_expr_is_const(f->exprs, in[1].dim[i], &taps))
            TN_CHECK(taps == 1, TN_INVALID, "W2 has %lld taps, not one", (long long)taps);
    for (int i = 0; i < 2; i++) tn_type_channels_first(&in[i]);
    f->in = in;
    f->params = &single;
    tn_status status = tn_conv_infer(f, 1, -1, y.dtype);
    tn_type_channels_last(&f->out[0]);
    in[0] = f->out[0];
    f->out[0] = y;
    if (!status) status = tn_conv_check_residual(f, 0);
    f->in = given;
    f->params = params;
    return status;
}

static tn_status infer(tn_infer *f)
{
    const tn_conv_last_params *params = f->params;
    const tn_type *given = f->in;
    tn_type in[TN_COUNT(ins)] = {{0}}, *y = &f->out[0];
    TN_CHECK(given[0].dtype == given[1].dtype ||
                 (params->x_first && given[0].dtype == TN_DTYPE_F32),
             TN_INVALID, "X is %s and W %s", tn_dtype_name(given[0].dtype),
             tn_dtype_name(given[1].dtype));
    for (int i = 0; i < f->in_count; i++) in[i] = given[i];
    if (!params->x_first) tn_type_channels_first(&in[0]);
    tn_type_channels_first(&in[1]);
    f->in = in;
    tn_status status = tn_conv_infer(f, 1, 2, in[1].dtype);
    f->in = given;
    if (status) return status;
    tn_type_channels_last(y);
    TN_TRY(check_more(f));
    return tn_conv_check_residual(f, 3);
}

static tn_tensor first_of(const tn_tensor *t)
{
    tn_tensor first = *t;
    tn_tensor_channels_first(&first);
    return first;
}

void tn_conv_last_window(const tn_problem *p, tn_window *out)
{
    const tn_conv_last_params *params = p->params;
    tn_tensor x = params->x_first ? p->in[0] : first_of(&p->in[0]);
    tn_tensor w = first_of(&p->in[1]), y = first_of(&p->out[0]);
    tn_window_of(&params->fused.conv.window, &x, w.dim + 2, &y, out);
}

void tn_conv_last_more(const tn_problem *p, tn_window *out)
{
    tn_conv_params single = single_of(p->params);
    tn_tensor x = first_of(&p->in[TN_CONV_LAST_X2]), y = first_of(&p->out[0]);
    tn_tensor w = first_of(&p->in[TN_CONV_LAST_W2]);
    tn_window_of(&single.window, &x, w.dim + 2, &y, out);
}

static size_t scratch_bytes(const tn_problem *p)
{
    size_t bytes = tn_wide_add(tn_wide_tensor_bytes(&p->in[0]), tn_wide_tensor_bytes(&p->in[1]));
    tn_window w;
    if (tn_wide_has(p, TN_CONV_LAST_X2))
        bytes = tn_wide_add(bytes, tn_wide_tensor_bytes(&p->in[TN_CONV_LAST_X2]));
    for (int i = 0; i < p->in_count; i++)
        bytes = tn_wide_add(bytes, tn_wide_tensor_bytes(&p->in[i]));
    tn_conv_last_window(p, &w);
    return tn_wide_add(bytes, tn_wide_bytes(w.out_count));
}

/* [N, ..., C] as [N, C, ...]. */
static const double *load_turned(void **scratch, const tn_tensor *t)
{
    int64_t channels = t->dim[t->rank - 1], inner = tn_dims_product(t->dim, 1, t->rank - 1);
    const double *src = tn_wide_load(scratch, t);
    double *dst = tn_wide_take(scratch, tn_wide_count(t));
    for (int64_t n = 0; n < t->dim[0]; n++, src += inner * channels)
        for (int64_t c = 0; c < channels; c++)
            for (int64_t i = 0; i < inner; i++) *dst++ = src[i * channels + c];
    return dst - tn_wide_count(t);
}

static tn_status reference(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_conv_last_params *params = p->params;
    const tn_tensor *y = &p->out[0];
    void *scratch = l->scratch;
    const double *x =
        params->x_first ? tn_wide_load(&scratch, &p->in[0]) : load_turned(&scratch, &p->in[0]);
    const double *weights = load_turned(&scratch, &p->in[1]);
    const double *bias = tn_wide_has(p, 2) ? tn_wide_load(&scratch, &p->in[2]) : NULL;
    const double *residual = tn_wide_has(p, 3) ? tn_wide_load(&scratch, &p->in[3]) : NULL;
    const double *x2 = NULL, *w2 = NULL;
    int64_t more = 0;
    tn_window w, single;
    tn_conv_last_window(p, &w);
    if (tn_wide_has(p, TN_CONV_LAST_X2)) {
        x2 = load_turned(&scratch, &p->in[TN_CONV_LAST_X2]);
        w2 = tn_wide_load(&scratch, &p->in[TN_CONV_LAST_W2]);
        more = p->in[TN_CONV_LAST_W2].dim[y->rank - 1];
        tn_conv_last_more(p, &single);
    }
    double *plane = tn_wide_take(&scratch, w.out_count);
    int64_t each = p->in[1].dim[p->in[1].rank - 1], outputs = y->dim[y->rank - 1];
    int64_t group = params->fused.conv.group, channels = each * group;
    if (w.out_count == 0) return NULL;
    for (int64_t n = 0; n < y->dim[0]; n++) {
        for (int64_t o = 0; o < outputs; o++) {
            for (int64_t i = 0; i < w.out_count; i++) plane[i] = bias ? bias[o] : 0;
            int64_t first = o / (outputs / group) * each;
            for (int64_t c = 0; c < each; c++)
                tn_conv_add_channel(&w, x + (n * channels + first + c) * w.in_count,
                                    weights + (o * each + c) * w.kernel_count, plane);
            for (int64_t c = 0; c < more; c++)
                tn_conv_add_channel(&single, x2 + (n * more + c) * single.in_count,
                                    w2 + o * more + c, plane);
            for (int64_t i = 0; i < w.out_count; i++) {
                int64_t to = (n * w.out_count + i) * outputs + o;
                double value = plane[i] + (residual ? residual[to] : 0);
                tn_store_f64(y->dtype, y->data, to, tn_epilogue_of(&params->fused.epilogue, value));
            }
        }
    }
    return NULL;
}

extern const tn_case tn_conv_last_cases[];

const tn_op tn_op_conv_last = {
    .name = "ChannelsLastConv",
    .domain = "tenon",
    .since = 1,
    .about =
        "FusedConv with the channels of X, W, residual and Y on the last axis, and single pixels "
        "of X2 times W2 in its sum",
    .in = ins,
    .in_count = TN_COUNT(ins),
    .out = outs,
    .out_count = TN_COUNT(outs),
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_conv_last_params),
    .lower = lower,
    .infer = infer,
    .reference = reference,
    .scratch_bytes = scratch_bytes,
    .cases = tn_conv_last_cases,
};
