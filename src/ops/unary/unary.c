/* The operators of one input. Floats are computed in double and rounded once; integers in 64 bits.
 * A new member is a row of unary.def and a function here. */
#include "ops/unary/unary.h"

#include <math.h>

#include "ir/gradient.h"
#include "ops/elementwise/elementwise.h"

typedef double (*unary_f)(double x, const tn_unary_params *p);
typedef int64_t (*unary_i)(int64_t x, bool is_unsigned); /* u64 comes bit for bit */

static const tn_field fields_leaky_relu[] = {TN_FLOAT(tn_unary_params, alpha, 0.01)};
static const tn_field fields_elu[] = {TN_FLOAT(tn_unary_params, alpha, 1)};
static const tn_field fields_selu[] = {TN_FLOAT(tn_unary_params, alpha, 1.67326319217681884765625),
                                       TN_FLOAT(tn_unary_params, gamma, 1.05070102214813232421875)};
static const tn_field fields_hard_sigmoid[] = {TN_FLOAT(tn_unary_params, alpha, 0.2),
                                               TN_FLOAT(tn_unary_params, beta, 0.5)};
static const tn_field fields_shrink[] = {TN_FLOAT(tn_unary_params, bias, 0),
                                         TN_FLOAT(tn_unary_params, lambd, 0.5)};
static const tn_field fields_gelu[] = {TN_ENUM(tn_unary_params, approximate, 0, "none|tanh")};
static const tn_field fields_is_inf[] = {TN_INT(tn_unary_params, detect_negative, 1),
                                         TN_INT(tn_unary_params, detect_positive, 1)};

/* ---- Floats: comparisons are written so that NaN comes out as NaN
 * -------------------------------*/

#define PLAIN(name, expression)                                                                    \
    static double name##_f(double x, const tn_unary_params *p)                                     \
    {                                                                                              \
        (void)p;                                                                                   \
        return expression;                                                                         \
    }
PLAIN(abs, fabs(x))
PLAIN(neg, -x)
PLAIN(ceil, ceil(x))
PLAIN(floor, floor(x))
PLAIN(round, rint(x))
PLAIN(sqrt, sqrt(x))
PLAIN(reciprocal, 1 / x)
PLAIN(exp, exp(x))
PLAIN(log, log(x))
PLAIN(sin, sin(x))
PLAIN(cos, cos(x))
PLAIN(tan, tan(x))
PLAIN(asin, asin(x))
PLAIN(acos, acos(x))
PLAIN(atan, atan(x))
PLAIN(sinh, sinh(x))
PLAIN(cosh, cosh(x))
PLAIN(tanh, tanh(x))
PLAIN(asinh, asinh(x))
PLAIN(acosh, acosh(x))
PLAIN(atanh, atanh(x))
PLAIN(erf, erf(x))
PLAIN(sign, x > 0 ? 1 : x < 0 ? -1 : x)
PLAIN(relu, x < 0 ? 0 : x)
PLAIN(sigmoid, 1 / (1 + exp(-x)))
PLAIN(softplus, (x > 0 ? x : 0) + log1p(exp(-fabs(x))))
PLAIN(softsign, x / (1 + fabs(x)))
PLAIN(mish, x *tanh((x > 0 ? x : 0) + log1p(exp(-fabs(x)))))
PLAIN(is_nan, isnan(x))
#undef PLAIN

static double leaky_relu_f(double x, const tn_unary_params *p)
{
    return x < 0 ? p->alpha * x : x;
}

static double elu_f(double x, const tn_unary_params *p)
{
    return x < 0 ? p->alpha * expm1(x) : x;
}

static double selu_f(double x, const tn_unary_params *p)
{
    return p->gamma * (x <= 0 ? p->alpha * expm1(x) : x);
}

static double celu_f(double x, const tn_unary_params *p)
{
    double low = p->alpha * expm1(x / p->alpha);
    return (x < 0 ? 0 : x) + (low > 0 ? 0 : low);
}

static double hard_sigmoid_f(double x, const tn_unary_params *p)
{
    double y = p->alpha * x + p->beta;
    return y < 0 ? 0 : y > 1 ? 1 : y;
}

static double hard_swish_f(double x, const tn_unary_params *p)
{
    (void)p;
    double gate = x / 6 + 0.5;
    return x * (gate < 0 ? 0 : gate > 1 ? 1 : gate);
}

static double thresholded_relu_f(double x, const tn_unary_params *p)
{
    return x > p->alpha ? x : 0;
}

static double shrink_f(double x, const tn_unary_params *p)
{
    return x < -p->lambd ? x + p->bias : x > p->lambd ? x - p->bias : 0;
}

static double gelu_f(double x, const tn_unary_params *p)
{
    const double root_half = 0.70710678118654752440, root_2_by_pi = 0.79788456080286535588;
    if (p->approximate == 0) return 0.5 * x * (1 + erf(x * root_half));
    return 0.5 * x * (1 + tanh(root_2_by_pi * (x + 0.044715 * x * x * x)));
}

static double swish_f(double x, const tn_unary_params *p)
{
    return x / (1 + exp(-p->alpha * x));
}

static double is_inf_f(double x, const tn_unary_params *p)
{
    return isinf(x) && (x > 0 ? p->detect_positive : p->detect_negative) != 0;
}

/* ---- Integers: the store wraps to the type's width
 * -----------------------------------------------*/

static int64_t neg_i(int64_t x, bool is_unsigned)
{
    (void)is_unsigned;
    return (int64_t)(0 - (uint64_t)x);
}

static int64_t abs_i(int64_t x, bool is_unsigned)
{
    return !is_unsigned && x < 0 ? neg_i(x, false) : x;
}

static int64_t sign_i(int64_t x, bool is_unsigned)
{
    return is_unsigned ? x != 0 : (x > 0) - (x < 0);
}

static int64_t not_i(int64_t x, bool is_unsigned)
{
    (void)is_unsigned;
    return x == 0;
}

static int64_t bitwise_not_i(int64_t x, bool is_unsigned)
{
    (void)is_unsigned;
    return ~x;
}

static int64_t relu_i(int64_t x, bool is_unsigned)
{
    return !is_unsigned && x < 0 ? 0 : x;
}

/* ---- Known values
 * -------------------------------------------------------------------------------*/

/* Of values that are whole numbers: Ceil, Floor, Round. */
static tn_expr known_same(tn_exprs *e, const tn_expr *in, int count)
{
    (void)e, (void)count;
    return in[0];
}

static tn_expr known_neg(tn_exprs *e, const tn_expr *in, int count)
{
    (void)count;
    return tn_expr_sub(e, tn_expr_const(e, 0), in[0]);
}

static tn_expr known_abs(tn_exprs *e, const tn_expr *in, int count)
{
    return tn_expr_at_least(e, in[0], 0) ? in[0] : tn_expr_max(e, in[0], known_neg(e, in, count));
}

static tn_expr known_sign(tn_exprs *e, const tn_expr *in, int count)
{
    (void)count;
    tn_expr zero = tn_expr_const(e, 0);
    return tn_expr_sub(e, tn_expr_lt(e, zero, in[0]), tn_expr_lt(e, in[0], zero));
}

static tn_expr known_not(tn_exprs *e, const tn_expr *in, int count)
{
    (void)count;
    return tn_elementwise_not(e, in[0]);
}

static tn_expr known_relu(tn_exprs *e, const tn_expr *in, int count)
{
    (void)count;
    return tn_expr_max(e, in[0], tn_expr_const(e, 0));
}

/* ---- The operator
 * -------------------------------------------------------------------------------*/

static tn_status infer_unary(tn_infer *f, tn_dtype out, tn_known_map known)
{
    if (out == TN_DTYPE_NONE) tn_infer_same(f, 0, 0);
    else tn_infer_set(f, 0, out, f->in[0].rank, f->in[0].dim);
    if (known) tn_elementwise_known(f, 1, known);
    return NULL;
}

static tn_status map_unary(const tn_launch *l, unary_f f, unary_i i)
{
    const tn_tensor *x = &l->problem->in[0], *y = &l->problem->out[0];
    int64_t count = tn_tensor_count(x);
    tn_dtype_kind kind = tn_dtype_kind_of(x->dtype);
    if (i && kind != TN_KIND_F) {
        for (int64_t at = 0; at < count; at++) {
            int64_t value = tn_load_i64(x->dtype, x->data, at);
            tn_store_i64(y->dtype, y->data, at, i(value, kind == TN_KIND_U));
        }
        return NULL;
    }
    double run[256]; /* widened piece by piece: the switch on the type is outside the loop */
    for (int64_t at = 0; at < count; at += TN_COUNT(run)) {
        int64_t length = TN_MIN(count - at, (int64_t)TN_COUNT(run));
        tn_load_f64s(x->dtype, x->data, at, length, run);
        for (int64_t k = 0; k < length; k++) run[k] = f(run[k], l->problem->params);
        tn_store_f64s(y->dtype, y->data, at, length, run);
    }
    return NULL;
}

static void gradient_gelu(tn_gradient *g)
{
    const tn_unary_params *params = g->node->params;
    static const char *const rules[] = {
        "dy * (0.5 + 0.5 * Erf(x * 0.7071067811865476) + x * 0.3989422804014327 * Exp(-0.5 * x * "
        "x))",
        "dy * (0.5 + 0.5 * t + 0.3989422804014327 * x * (1 - t * t) * (1 + 0.134145 * x * x))"};
    tn_value *t =
        tn_gradient_write(g, "Tanh(0.7978845608028654 * (x + 0.044715 * x * x * x))", NULL, 0);
    tn_named more = {.name = "t", .value = t};
    tn_gradient_give(g, 0, tn_gradient_write(g, rules[params->approximate ? 1 : 0], &more, 1));
}

#define SAME TN_DTYPE_NONE
#define TRUTH TN_DTYPE_BOOL
#define NO_FIELDS .params_bytes = 0
#define FIELDS(list)                                                                               \
    .field = fields_##list, .field_count = TN_COUNT(fields_##list),                                \
    .params_bytes = sizeof(tn_unary_params)
#define DERIVATIVE(formula) .derivative = formula
#define RULE(name) .gradient = gradient_##name
#define NO_RULE .gradient = NULL

#define ROW(c, title, opset, types, result, f, i, known, attributes, rule, text)                   \
    extern const tn_case tn_##c##_cases[];                                                         \
    static const tn_port in_##c[] = {{"X", types, 'T', 0}};                                        \
    static const tn_port out_##c[] = {{"Y", result ? TN_DT(BOOL) : (types), result ? 0 : 'T', 0}}; \
    static tn_status infer_##c(tn_infer *infer)                                                    \
    {                                                                                              \
        return infer_unary(infer, result, known);                                                  \
    }                                                                                              \
    static tn_status reference_##c(const tn_launch *l)                                             \
    {                                                                                              \
        return map_unary(l, f, i);                                                                 \
    }                                                                                              \
    const tn_op tn_op_##c = {                                                                      \
        .name = title,                                                                             \
        .since = opset,                                                                            \
        .about = text,                                                                             \
        .in = in_##c,                                                                              \
        .in_count = 1,                                                                             \
        .out = out_##c,                                                                            \
        .out_count = 1,                                                                            \
        attributes,                                                                                \
        rule,                                                                                      \
        .infer = infer_##c,                                                                        \
        .reference = reference_##c,                                                                \
        .cases = tn_##c##_cases,                                                                   \
    };
#include "ops/unary/unary.def"
