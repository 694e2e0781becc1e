/* QuantizedConv, of the domain "tenon": QLinearConv of tensors whose channels run along memory, and
 * behind it QuantizedAdd, if there is something to add:
 *
 *     x [N, ..., C]   w [O, taps ..., C / group]   more, y [N, ..., O]
 *
 * Every step is rounded as an operator of its own would. With x_first x is [N, C, ...], as it came
 * into the network. */
#include "ops/quantize/quantized_conv.h"

#include "ops/quantize/quantize.h"
#include "ops/wide/wide.h"

#define BYTE (TN_DT(I8) | TN_DT(U8))

static const tn_field fields[] = {TN_CONV_FIELDS, TN_INT(tn_quantized_conv_params, x_first, 0)};
static const tn_port ins[] = {{"x", BYTE, 'X', 0},
                              {"x_scale", TN_DT(F32), 0, 0},
                              {"x_zero_point", BYTE, 'X', 0},
                              {"w", BYTE, 'W', 0},
                              {"w_scale", TN_DT(F32), 0, 0},
                              {"w_zero_point", BYTE, 'W', 0},
                              {"y_scale", TN_DT(F32), 0, 0},
                              {"y_zero_point", BYTE, 'Y', 0},
                              {"B", TN_DT(I32), 0, TN_PORT_OPTIONAL},
                              {"more", BYTE, 'M', TN_PORT_OPTIONAL},
                              {"more_scale", TN_DT(F32), 0, TN_PORT_OPTIONAL},
                              {"more_zero_point", BYTE, 'M', TN_PORT_OPTIONAL},
                              {"sum_scale", TN_DT(F32), 0, TN_PORT_OPTIONAL},
                              {"sum_zero_point", BYTE, 'S', TN_PORT_OPTIONAL}};
static const tn_port outs[] = {{"y", BYTE, 0, 0}};

/* One number, or where `outputs` >= 0 as many as that. */
static tn_status check_count(const tn_infer *f, int in, int64_t outputs)
{
    const tn_type *t = &f->in[in];
    int64_t count = 1, dim;
    if (!tn_infer_has(f, in) || t->rank < 0) return NULL;
    for (int i = 0; i < t->rank; i++) {
        if (!tn_expr_is_const(f->exprs, t->dim[i], &dim)) return NULL;
        if (!tn_mul_i64(count, dim, &count)) count = -1;
    }
    TN_CHECK(count == 1 || (outputs >= 0 && count == outputs), TN_INVALID,
             "input %d (%s) has %lld values", in, f->op->in[in].name, (long long)count);
    return NULL;
}

static tn_status check_numbers(const tn_infer *f)
{
    const tn_type *w = &f->in[TN_QCONV_W];
    int64_t outputs;
    if (w->rank < 1 || !tn_expr_is_const(f->exprs, w->dim[0], &outputs)) return NULL;
    for (int in = 0; in < f->in_count; in++) {
        if (in == TN_QCONV_X || in == TN_QCONV_W || in == TN_QCONV_BIAS || in == TN_QCONV_MORE)
            continue;
        bool each = in == TN_QCONV_W_SCALE || in == TN_QCONV_W_ZERO;
        TN_TRY(check_count(f, in, each ? outputs : -1));
    }
    return NULL;
}

static tn_status infer(tn_infer *f)
{
    const tn_quantized_conv_params *params = f->params;
    const tn_type *given = f->in;
    tn_type in[TN_QCONV_INPUTS] = {{0}};
    bool adds = tn_infer_has(f, TN_QCONV_MORE);
    for (int i = TN_QCONV_MORE_SCALE; i < TN_QCONV_INPUTS; i++)
        TN_CHECK(tn_infer_has(f, i) == adds, TN_INVALID,
                 "a sum has all inputs from number %d on, input %d (%s) is %s", TN_QCONV_MORE, i,
                 f->op->in[i].name, adds ? "absent" : "there");
    for (int i = 0; i < f->in_count; i++) in[i] = given[i];
    if (!params->x_first) tn_type_channels_first(&in[TN_QCONV_X]);
    tn_type_channels_first(&in[TN_QCONV_W]);
    tn_dtype dtype = given[adds ? TN_QCONV_SUM_ZERO : TN_QCONV_Y_ZERO].dtype;
    TN_TRY(check_numbers(f));
    f->in = in;
    tn_status status = tn_conv_infer(f, TN_QCONV_W, TN_QCONV_BIAS, dtype);
    f->in = given;
    if (status) return status;
    tn_type_channels_last(&f->out[0]);
    return tn_conv_check_residual(f, TN_QCONV_MORE);
}

void tn_quantized_conv_window(const tn_problem *p, tn_window *out)
{
    const tn_quantized_conv_params *params = p->params;
    tn_tensor x = p->in[TN_QCONV_X], w = p->in[TN_QCONV_W], y = p->out[0];
    if (!params->x_first) tn_tensor_channels_first(&x);
    tn_tensor_channels_first(&w);
    tn_tensor_channels_first(&y);
    tn_window_of(&params->conv.window, &x, w.dim + 2, &y, out);
}

double tn_quantized_conv_at(const tn_problem *p, int input, int64_t index)
{
    if (!tn_wide_has(p, input)) return 0;
    const tn_tensor *t = &p->in[input];
    return tn_load_f64(t->dtype, t->data, tn_wide_count(t) == 1 ? 0 : index);
}

static size_t scratch_bytes(const tn_problem *p)
{
    tn_window w;
    tn_quantized_conv_window(p, &w);
    size_t bytes = tn_wide_add(tn_wide_tensor_bytes(&p->in[TN_QCONV_X]),
                               tn_wide_tensor_bytes(&p->in[TN_QCONV_W]));
    return tn_wide_add(bytes, tn_wide_bytes(w.out_count));
}

/* A tensor without its zero point, its channels before its positions. */
static double *take_turned(void **scratch, const tn_problem *p, int input, int zero, bool turned)
{
    const tn_tensor *t = &p->in[input];
    int64_t channels = turned ? t->dim[t->rank - 1] : 1, count = tn_wide_count(t);
    int64_t inner = turned ? tn_dims_product(t->dim, 1, t->rank - 1) : 1, outer = inner * channels;
    double *to = tn_wide_take(scratch, count);
    for (int64_t i = 0; i < count; i++) {
        int64_t n = i / outer, c = i / inner % channels, at = i % inner;
        bool each = input == TN_QCONV_W;
        to[i] = tn_load_f64(t->dtype, t->data, n * outer + at * channels + c) -
                tn_quantized_conv_at(p, zero, each ? n : 0);
    }
    return to;
}

/* What a number of y becomes where something is added, as QuantizedAdd has it. */
static int64_t add_more(const tn_problem *p, double y, int64_t at)
{
    const tn_tensor *more = &p->in[TN_QCONV_MORE];
    double m = tn_load_f64(more->dtype, more->data, at);
    y = (y - tn_quantized_conv_at(p, TN_QCONV_Y_ZERO, 0)) *
        tn_quantized_conv_at(p, TN_QCONV_Y_SCALE, 0);
    m = (m - tn_quantized_conv_at(p, TN_QCONV_MORE_ZERO, 0)) *
        tn_quantized_conv_at(p, TN_QCONV_MORE_SCALE, 0);
    y = tn_quantize_round(TN_DTYPE_F32, y) + tn_quantize_round(TN_DTYPE_F32, m);
    y = tn_quantize_round(TN_DTYPE_F32, y) / tn_quantized_conv_at(p, TN_QCONV_SUM_SCALE, 0);
    return tn_quantize_value(p->out[0].dtype, tn_quantize_round(TN_DTYPE_F32, y),
                             (int64_t)tn_quantized_conv_at(p, TN_QCONV_SUM_ZERO, 0));
}

static void store(const tn_problem *p, double sum, int64_t output, int64_t at)
{
    const tn_tensor *y = &p->out[0];
    double scale = tn_quantized_conv_at(p, TN_QCONV_X_SCALE, 0) *
                   tn_quantized_conv_at(p, TN_QCONV_W_SCALE, output) /
                   tn_quantized_conv_at(p, TN_QCONV_Y_SCALE, 0);
    int64_t value =
        tn_quantize_value(p->in[TN_QCONV_Y_ZERO].dtype,
                          (sum + tn_quantized_conv_at(p, TN_QCONV_BIAS, output)) * scale,
                          (int64_t)tn_quantized_conv_at(p, TN_QCONV_Y_ZERO, 0));
    if (tn_wide_has(p, TN_QCONV_MORE)) value = add_more(p, (double)value, at);
    tn_store_i64(y->dtype, y->data, at, value);
}

static tn_status reference(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_quantized_conv_params *params = p->params;
    const tn_tensor *w = &p->in[TN_QCONV_W], *y = &p->out[0];
    void *scratch = l->scratch;
    tn_window window;
    tn_quantized_conv_window(p, &window);
    double *x = take_turned(&scratch, p, TN_QCONV_X, TN_QCONV_X_ZERO, !params->x_first);
    double *weights = take_turned(&scratch, p, TN_QCONV_W, TN_QCONV_W_ZERO, true);
    double *plane = tn_wide_take(&scratch, window.out_count);
    int64_t each = w->dim[w->rank - 1], outputs = w->dim[0], group = params->conv.group;
    if (window.out_count == 0 || outputs == 0) return NULL;
    for (int64_t n = 0; n < y->dim[0]; n++)
        for (int64_t o = 0; o < outputs; o++) {
            int64_t first = n * group * each + o / (outputs / group) * each;
            for (int64_t i = 0; i < window.out_count; i++) plane[i] = 0;
            for (int64_t c = 0; c < each; c++)
                tn_conv_add_channel(&window, x + (first + c) * window.in_count,
                                    weights + (o * each + c) * window.kernel_count, plane);
            for (int64_t i = 0; i < window.out_count; i++)
                store(p, plane[i], o, (n * window.out_count + i) * outputs + o);
        }
    return NULL;
}

extern const tn_case tn_quantized_conv_cases[];

const tn_op tn_op_quantized_conv = {
    .name = "QuantizedConv",
    .domain = "tenon",
    .since = 1,
    .about = "QLinearConv with the channels of x, w and y on the last axis, and QuantizedAdd of "
             "what it gives and `more`",
    .in = ins,
    .in_count = TN_QCONV_INPUTS,
    .out = outs,
    .out_count = 1,
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_quantized_conv_params),
    .lower = tn_conv_lower,
    .infer = infer,
    .reference = reference,
    .scratch_bytes = scratch_bytes,
    .cases = tn_quantized_conv_cases,
};
