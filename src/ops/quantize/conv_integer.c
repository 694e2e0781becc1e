/* ConvInteger-10 and QLinearConv-10: Conv of bytes, summed in 32 bits. Padding stands for real
 * zeros, so it adds nothing. ConvInteger gives the sums; QLinearConv quantises them again: y =
 * saturate(round((sum + B) * x_scale * w_scale / y_scale) + y_zero_point). */
#include "ops/conv/conv.h"
#include "ops/quantize/quantize.h"
#include "ops/wide/wide.h"

#define BYTE (TN_DT(I8) | TN_DT(U8))

static const tn_field fields[] = {TN_CONV_FIELDS};
static const tn_port ins[] = {{"x", BYTE, 'X', 0},
                              {"w", BYTE, 'W', 0},
                              {"x_zero_point", BYTE, 'X', TN_PORT_OPTIONAL},
                              {"w_zero_point", BYTE, 'W', TN_PORT_OPTIONAL}};
static const tn_port outs[] = {{"y", TN_DT(I32), 0, 0}};
enum { X, X_SCALE, X_ZERO, W, W_SCALE, W_ZERO, Y_SCALE, Y_ZERO, BIAS };
static const tn_port linear_ins[] = {{"x", BYTE, 'X', 0},
                                     {"x_scale", TN_DT(F32), 0, 0},
                                     {"x_zero_point", BYTE, 'X', 0},
                                     {"w", BYTE, 'W', 0},
                                     {"w_scale", TN_DT(F32), 0, 0},
                                     {"w_zero_point", BYTE, 'W', 0},
                                     {"y_scale", TN_DT(F32), 0, 0},
                                     {"y_zero_point", BYTE, 'Y', 0},
                                     {"B", TN_DT(I32), 0, TN_PORT_OPTIONAL}};
static const tn_port linear_outs[] = {{"y", BYTE, 'Y', 0}};

/* A scale or zero point is one value, or where `weights` are given one for each of their output
 * channels. */
static tn_status check_count(const tn_infer *f, int in, int weights)
{
    const tn_type *t = &f->in[in];
    int64_t count = 1, dim, outputs = -1;
    bool known = true;
    if (!tn_infer_has(f, in) || t->rank < 0) return NULL;
    for (int i = 0; i < t->rank; i++) {
        known = known && tn_expr_is_const(f->exprs, t->dim[i], &dim);
        if (known && !tn_mul_i64(count, dim, &count)) count = -1;
    }
    if (weights >= 0 && f->in[weights].rank > 0 &&
        !tn_expr_is_const(f->exprs, f->in[weights].dim[0], &outputs))
        known = false;
    TN_CHECK(!known || count == 1 || count == outputs, TN_INVALID,
             "input %d (%s) has %lld values, 1%s needed", in, f->op->in[in].name, (long long)count,
             weights >= 0 ? " or one for each output channel is" : " is");
    return NULL;
}

static tn_status infer(tn_infer *f)
{
    TN_TRY(check_count(f, 2, -1));
    TN_TRY(check_count(f, 3, 1));
    return tn_conv_infer(f, 1, -1, TN_DTYPE_I32);
}

static tn_status infer_linear(tn_infer *f)
{
    TN_TRY(check_count(f, X_SCALE, -1));
    TN_TRY(check_count(f, X_ZERO, -1));
    TN_TRY(check_count(f, W_SCALE, W));
    TN_TRY(check_count(f, W_ZERO, W));
    TN_TRY(check_count(f, Y_SCALE, -1));
    TN_TRY(check_count(f, Y_ZERO, -1));
    return tn_conv_infer(f, W, BIAS, f->in[Y_ZERO].dtype);
}

static size_t scratch_of(const tn_problem *p, int weights)
{
    tn_window w;
    tn_conv_window(p, weights, &w);
    size_t bytes =
        tn_wide_add(tn_wide_tensor_bytes(&p->in[0]), tn_wide_tensor_bytes(&p->in[weights]));
    return tn_wide_add(bytes, tn_wide_bytes(w.out_count));
}

static size_t scratch_bytes(const tn_problem *p)
{
    return scratch_of(p, 1);
}

static size_t scratch_bytes_linear(const tn_problem *p)
{
    return scratch_of(p, W);
}

/* One value, or one for each output channel. */
static double pick(const tn_problem *p, int in, int64_t channel)
{
    if (!tn_wide_has(p, in)) return 0;
    const tn_tensor *t = &p->in[in];
    return tn_load_f64(t->dtype, t->data, tn_wide_count(t) == 1 ? 0 : channel);
}

static void store_linear(const tn_problem *p, int64_t channel, int64_t at, const double *sum,
                         int64_t count)
{
    const tn_tensor *y = &p->out[0];
    double scale = pick(p, X_SCALE, 0) * pick(p, W_SCALE, channel) / pick(p, Y_SCALE, 0);
    double bias = pick(p, BIAS, channel);
    int64_t zero = (int64_t)pick(p, Y_ZERO, 0);
    for (int64_t i = 0; i < count; i++)
        tn_store_i64(y->dtype, y->data, at + i,
                     tn_quantize_value(y->dtype, (sum[i] + bias) * scale, zero));
}

static void run(const tn_launch *l, int weights, int x_zero, int w_zero, bool linear)
{
    const tn_problem *p = l->problem;
    const tn_conv_params *params = p->params;
    const tn_tensor *x = &p->in[0], *w = &p->in[weights], *y = &p->out[0];
    void *scratch = l->scratch;
    tn_window window;
    tn_conv_window(p, weights, &window);
    int64_t x_count = tn_wide_count(x), w_count = tn_wide_count(w);
    double *wide_x = tn_wide_take(&scratch, x_count), *wide_w = tn_wide_take(&scratch, w_count);
    double *plane = tn_wide_take(&scratch, window.out_count);
    int64_t each = w->dim[1], outputs = w->dim[0], kernel = each * window.kernel_count;
    if (window.out_count == 0 || outputs == 0) return;
    for (int64_t i = 0; i < x_count; i++)
        wide_x[i] = tn_load_f64(x->dtype, x->data, i) - pick(p, x_zero, 0);
    for (int64_t i = 0; i < w_count; i++)
        wide_w[i] = tn_load_f64(w->dtype, w->data, i) - pick(p, w_zero, i / kernel);
    for (int64_t at = 0; at < y->dim[0] * outputs; at++) {
        int64_t o = at % outputs, first = o / (outputs / params->group) * each;
        for (int64_t i = 0; i < window.out_count; i++) plane[i] = 0;
        for (int64_t c = 0; c < each; c++)
            tn_conv_add_channel(&window,
                                wide_x + (at / outputs * x->dim[1] + first + c) * window.in_count,
                                wide_w + o * kernel + c * window.kernel_count, plane);
        if (linear) store_linear(p, o, at * window.out_count, plane, window.out_count);
        else tn_store_f64s(y->dtype, y->data, at * window.out_count, window.out_count, plane);
    }
}

static tn_status reference(const tn_launch *l)
{
    run(l, 1, 2, 3, false);
    return NULL;
}

static tn_status reference_linear(const tn_launch *l)
{
    run(l, W, X_ZERO, W_ZERO, true);
    return NULL;
}

extern const tn_case tn_conv_integer_cases[];
extern const tn_case tn_qlinear_conv_cases[];

const tn_op tn_op_conv_integer = {
    .name = "ConvInteger",
    .since = 10,
    .about = "Conv of x - x_zero_point and w - w_zero_point in 32 bits",
    .in = ins,
    .in_count = 4,
    .out = outs,
    .out_count = 1,
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_conv_params),
    .lower = tn_conv_lower,
    .infer = infer,
    .reference = reference,
    .scratch_bytes = scratch_bytes,
    .cases = tn_conv_integer_cases,
};

const tn_op tn_op_qlinear_conv = {
    .name = "QLinearConv",
    .since = 10,
    .about = "Conv of quantised operands, quantised",
    .in = linear_ins,
    .in_count = 9,
    .out = linear_outs,
    .out_count = 1,
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_conv_params),
    .lower = tn_conv_lower,
    .infer = infer_linear,
    .reference = reference_linear,
    .scratch_bytes = scratch_bytes_linear,
    .cases = tn_qlinear_conv_cases,
};
