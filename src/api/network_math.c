/* Layers that work element by element. */
#include <math.h>

#include "api/network.h"

/* ---- Activations -----------------------------------------------------------------------------*/

/* One operator with up to two attributes, or a formula of x, a and b; where there are both, the
 * operator is what the formula comes to with ones. */
typedef struct activation {
    const char *op, *formula;
    double alpha, beta; /* defaults */
    const char *alpha_name, *beta_name;
} activation;

static const activation activations[] = {
    [TN_ACTIVATION_RELU] = {.op = "Relu"},
    [TN_ACTIVATION_SIGMOID] = {.op = "Sigmoid"},
    [TN_ACTIVATION_TANH] = {.op = "Tanh"},
    [TN_ACTIVATION_LEAKY_RELU] = {"LeakyRelu", NULL, 0.01, 0, "alpha", NULL},
    [TN_ACTIVATION_ELU] = {"Elu", NULL, 1, 0, "alpha", NULL},
    [TN_ACTIVATION_SELU] = {"Selu", NULL, 1.67326319217681884765625, 1.05070102214813232421875,
                            "alpha", "gamma"},
    [TN_ACTIVATION_SOFTSIGN] = {.op = "Softsign"},
    [TN_ACTIVATION_SOFTPLUS] = {"Softplus", "a * Softplus(b * x)", 1, 1, NULL, NULL},
    [TN_ACTIVATION_CLIP] = {.op = "Clip"},
    [TN_ACTIVATION_HARD_SIGMOID] = {"HardSigmoid", NULL, 0.2, 0.5, "alpha", "beta"},
    [TN_ACTIVATION_SCALED_TANH] = {"Tanh", "a * Tanh(b * x)", 1, 1, NULL, NULL},
    [TN_ACTIVATION_THRESHOLDED_RELU] = {"ThresholdedRelu", NULL, 1, 0, "alpha", NULL},
    [TN_ACTIVATION_GELU_ERF] = {.op = "Gelu"},
    [TN_ACTIVATION_GELU_TANH] = {.op = "Gelu"},
    [TN_ACTIVATION_SILU] = {NULL, "x * Sigmoid(x)", 0, 0, NULL, NULL},
    [TN_ACTIVATION_HARD_SWISH] = {.op = "HardSwish"},
    [TN_ACTIVATION_MISH] = {.op = "Mish"},
};

static tn_value *clip(const tn_pen *pen, tn_value *x)
{
    const tn_kept *low = tn_layer_find(pen->layer, TN_SET_ALPHA),
                  *high = tn_layer_find(pen->layer, TN_SET_BETA);
    tn_dtype dtype = x->type.dtype;
    return tn_pen_op(
        pen, "Clip",
        TN_IN(x, low && low->count ? tn_draft_scalar(pen->draft, dtype, low->real[0]) : NULL,
              high && high->count ? tn_draft_scalar(pen->draft, dtype, high->real[0]) : NULL),
        TN_PLAIN);
}

static void write_activation(tn_pen *pen)
{
    int64_t type = tn_pen_int(pen, TN_SET_TYPE, 0);
    tn_value *x = pen->in[0];
    if (type < 0 || type >= (int64_t)TN_COUNT(activations)) {
        tn_pen_fail(pen, TN_INVALID, "there is no activation %lld", (long long)type);
        return;
    }
    const activation *a = &activations[type];
    double alpha = tn_pen_float(pen, TN_SET_ALPHA, a->alpha);
    double beta = tn_pen_float(pen, TN_SET_BETA, a->beta);
    if (type == TN_ACTIVATION_CLIP) {
        pen->out[0] = clip(pen, x);
    } else if (a->formula && !(a->op && alpha == 1 && beta == 1)) {
        const tn_named named[] = {{.name = "x", .value = x},
                                  {.name = "a", .number = alpha},
                                  {.name = "b", .number = beta}};
        pen->out[0] = tn_pen_formula(pen, a->formula, named, TN_COUNT(named));
    } else {
        tn_attr attr[2];
        int count = 0;
        if (a->alpha_name) attr[count++] = tn_attr_float(a->alpha_name, alpha);
        if (a->beta_name) attr[count++] = tn_attr_float(a->beta_name, beta);
        if (type == TN_ACTIVATION_GELU_TANH) attr[count++] = tn_attr_text("approximate", "tanh");
        pen->out[0] = tn_pen_op(pen, a->op, TN_IN(x), attr, count);
    }
}

tn_layer *tn_network_add_activation(tn_network *network, tn_layer *x, tn_activation_type type)
{
    static const tn_layer_kind kind = {
        "activation", TN_HAS(TYPE) | TN_HAS(ALPHA) | TN_HAS(BETA), 1, 1, 1, write_activation};
    tn_layer *layer = tn_layer_add(network, &kind, TN_LAYERS(x));
    tn_layer_keep(layer, TN_SET_TYPE, (int64_t)type);
    return tn_layer_done(layer);
}

static void write_parametric_relu(tn_pen *pen)
{
    pen->out[0] = tn_pen_op(pen, "PRelu", pen->in, 2, TN_PLAIN);
}

tn_layer *tn_network_add_parametric_relu(tn_network *network, tn_layer *x, tn_layer *slope)
{
    static const tn_layer_kind kind = {"parametric_relu", 0, 2, 2, 1, write_parametric_relu};
    return tn_layer_add(network, &kind, TN_LAYERS(x, slope));
}

/* ---- One and two operands --------------------------------------------------------------------*/

static void write_unary(tn_pen *pen)
{
    static const char *const names[] = {
        [TN_UNARY_EXP] = "Exp",      [TN_UNARY_LOG] = "Log",
        [TN_UNARY_SQRT] = "Sqrt",    [TN_UNARY_RECIPROCAL] = "Reciprocal",
        [TN_UNARY_ABS] = "Abs",      [TN_UNARY_NEG] = "Neg",
        [TN_UNARY_SIN] = "Sin",      [TN_UNARY_COS] = "Cos",
        [TN_UNARY_TAN] = "Tan",      [TN_UNARY_SINH] = "Sinh",
        [TN_UNARY_COSH] = "Cosh",    [TN_UNARY_ASIN] = "Asin",
        [TN_UNARY_ACOS] = "Acos",    [TN_UNARY_ATAN] = "Atan",
        [TN_UNARY_ASINH] = "Asinh",  [TN_UNARY_ACOSH] = "Acosh",
        [TN_UNARY_ATANH] = "Atanh",  [TN_UNARY_CEIL] = "Ceil",
        [TN_UNARY_FLOOR] = "Floor",  [TN_UNARY_ERF] = "Erf",
        [TN_UNARY_NOT] = "Not",      [TN_UNARY_SIGN] = "Sign",
        [TN_UNARY_ROUND] = "Round",  [TN_UNARY_IS_INF] = "IsInf",
        [TN_UNARY_IS_NAN] = "IsNaN",
    };
    const char *op = tn_pen_choice(pen, TN_SET_TYPE, names, TN_COUNT(names), 0);
    if (op) pen->out[0] = tn_pen_op(pen, op, pen->in, 1, TN_PLAIN);
}

tn_layer *tn_network_add_unary(tn_network *network, tn_layer *x, tn_unary_type type)
{
    static const tn_layer_kind kind = {"unary", TN_HAS(TYPE), 1, 1, 1, write_unary};
    tn_layer *layer = tn_layer_add(network, &kind, TN_LAYERS(x));
    tn_layer_keep(layer, TN_SET_TYPE, (int64_t)type);
    return tn_layer_done(layer);
}

/* Div of integers goes toward zero; what is left over when floored is Mod. */
static tn_value *floor_div(const tn_pen *pen)
{
    const tn_named named[] = {{.name = "a", .value = pen->in[0]},
                              {.name = "b", .value = pen->in[1]}};
    bool real = tn_dtype_kind_of(pen->in[0]->type.dtype) == TN_KIND_F;
    return tn_pen_formula(pen, real ? "Floor(a / b)" : "(a - Mod(a, b)) / b", named,
                          TN_COUNT(named));
}

static void write_elementwise(tn_pen *pen)
{
    static const char *const names[] = {
        [TN_ELEMENTWISE_SUM] = "Add",         [TN_ELEMENTWISE_PRODUCT] = "Mul",
        [TN_ELEMENTWISE_MAX] = "Max",         [TN_ELEMENTWISE_MIN] = "Min",
        [TN_ELEMENTWISE_SUB] = "Sub",         [TN_ELEMENTWISE_DIV] = "Div",
        [TN_ELEMENTWISE_POW] = "Pow",         [TN_ELEMENTWISE_FLOOR_DIV] = "Floor",
        [TN_ELEMENTWISE_AND] = "And",         [TN_ELEMENTWISE_OR] = "Or",
        [TN_ELEMENTWISE_XOR] = "Xor",         [TN_ELEMENTWISE_EQUAL] = "Equal",
        [TN_ELEMENTWISE_GREATER] = "Greater", [TN_ELEMENTWISE_LESS] = "Less",
    };
    const char *op = tn_pen_choice(pen, TN_SET_TYPE, names, TN_COUNT(names), 0);
    if (!op) return;
    if (op == names[TN_ELEMENTWISE_FLOOR_DIV]) pen->out[0] = floor_div(pen);
    else pen->out[0] = tn_pen_op(pen, op, pen->in, 2, TN_PLAIN);
}

tn_layer *tn_network_add_elementwise(tn_network *network, tn_layer *a, tn_layer *b,
                                     tn_elementwise_type type)
{
    static const tn_layer_kind kind = {"elementwise", TN_HAS(TYPE), 2, 2, 1, write_elementwise};
    tn_layer *layer = tn_layer_add(network, &kind, TN_LAYERS(a, b));
    tn_layer_keep(layer, TN_SET_TYPE, (int64_t)type);
    return tn_layer_done(layer);
}

static void write_select(tn_pen *pen)
{
    pen->out[0] = tn_pen_op(pen, "Where", pen->in, 3, TN_PLAIN);
}

tn_layer *tn_network_add_select(tn_network *network, tn_layer *condition, tn_layer *a, tn_layer *b)
{
    static const tn_layer_kind kind = {"select", 0, 3, 3, 1, write_select};
    return tn_layer_add(network, &kind, TN_LAYERS(condition, a, b));
}

/* ---- Scale -----------------------------------------------------------------------------------*/

/* A weight so shaped that it broadcasts to x: the axes behind `axis` are 1 for a channel's; those
 * of x for an element's. */
static tn_value *spread(const tn_pen *pen, tn_value *w, int64_t mode, int axis, int rank)
{
    const tn_exprs *exprs = pen->draft->graph->exprs;
    const tn_type *x = &pen->in[0]->type;
    int64_t dim[TN_RANK_MAX], count = tn_tensor_count(&w->constant), wanted = 1;
    int dims = mode == TN_SCALE_UNIFORM ? 0 : rank - axis;
    for (int i = 0; i < dims; i++) {
        dim[i] = 1;
        if ((i == 0 || mode == TN_SCALE_ELEMENTWISE) &&
            !tn_expr_is_const(exprs, x->dim[axis + i], &dim[i]))
            dim[i] = i == 0 ? -1 : 0;
        if (dim[i] == 0)
            tn_pen_fail(pen, TN_UNSUPPORTED, "axis %d of its input is dynamic", axis + i);
        wanted *= dim[i];
    }
    if (wanted >= 0 && wanted != count && tn_value_is_constant(w))
        tn_pen_fail(pen, TN_INVALID, "a weight has %lld elements, must have %lld", (long long)count,
                    (long long)wanted);
    return pen->draft->failed ? NULL : tn_pen_reshape(pen, w, dim, dims);
}

static void write_scale(tn_pen *pen)
{
    int64_t mode = tn_pen_int(pen, TN_SET_TYPE, TN_SCALE_UNIFORM);
    int rank = tn_pen_rank(pen, 0), axis = 0;
    if (mode < 0 || mode > TN_SCALE_ELEMENTWISE)
        tn_pen_fail(pen, TN_INVALID, "there is no mode %lld", (long long)mode);
    if (mode != TN_SCALE_UNIFORM) axis = tn_pen_axis(pen, TN_SET_AXIS, 1, rank);
    tn_value *part[4] = {pen->in[0]};
    for (int i = 1; i < 4 && !pen->draft->failed; i++)
        if (pen->in[i]) part[i] = spread(pen, pen->in[i], mode, axis, rank);
    if (pen->draft->failed) return;
    const tn_named named[] = {{.name = "x", .value = part[0]},
                              {.name = "shift", .value = part[1], .number = 0},
                              {.name = "scale", .value = part[2], .number = 1},
                              {.name = "power", .value = part[3], .number = 1}};
    /* Bit 0: shift, 1: scale, 2: power. */
    static const char *const texts[] = {"Identity(x)",
                                        "x + shift",
                                        "x * scale",
                                        "x * scale + shift",
                                        "Pow(x, power)",
                                        "Pow(x + shift, power)",
                                        "Pow(x * scale, power)",
                                        "Pow(x * scale + shift, power)"};
    int which = (part[1] ? 1 : 0) | (part[2] ? 2 : 0) | (part[3] ? 4 : 0);
    pen->out[0] = tn_pen_formula(pen, texts[which], named, TN_COUNT(named));
}

tn_layer *tn_network_add_scale(tn_network *network, tn_layer *x, tn_scale_mode mode,
                               const tn_tensor *shift, const tn_tensor *scale,
                               const tn_tensor *power)
{
    static const tn_layer_kind kind = {"scale", TN_HAS(TYPE) | TN_HAS(AXIS), 1, 4, 1, write_scale};
    tn_layer *layer = tn_layer_add(network, &kind, TN_LAYERS(x));
    tn_layer_keep(layer, TN_SET_TYPE, (int64_t)mode);
    tn_layer_weight(layer, 1, "shift", shift, true);
    tn_layer_weight(layer, 2, "scale", scale, true);
    tn_layer_weight(layer, 3, "power", power, true);
    return tn_layer_done(layer);
}

/* ---- Types -----------------------------------------------------------------------------------*/

static void write_identity(tn_pen *pen)
{
    pen->out[0] = tn_pen_op(pen, "Identity", pen->in, 1, TN_PLAIN);
}

tn_layer *tn_network_add_identity(tn_network *network, tn_layer *x)
{
    static const tn_layer_kind kind = {"identity", 0, 1, 1, 1, write_identity};
    return tn_layer_add(network, &kind, TN_LAYERS(x));
}

static void write_cast(tn_pen *pen)
{
    pen->out[0] = tn_pen_op(pen, "Cast", pen->in, 1,
                            TN_WITH(tn_attr_int("to", tn_pen_int(pen, TN_SET_DTYPE, 0))));
}

tn_layer *tn_network_add_cast(tn_network *network, tn_layer *x, tn_dtype dtype)
{
    static const tn_layer_kind kind = {"cast", TN_HAS(DTYPE), 1, 1, 1, write_cast};
    tn_layer *layer = tn_layer_add(network, &kind, TN_LAYERS(x));
    tn_layer_keep(layer, TN_SET_DTYPE, (int64_t)dtype);
    return tn_layer_done(layer);
}

static void write_quantizing(tn_pen *pen, const char *op, const char *dtype_name)
{
    const tn_kept *axis = tn_layer_find(pen->layer, TN_SET_AXIS);
    tn_attr attr[2];
    int count = 0;
    if (axis) attr[count++] = tn_attr_int("axis", axis->number[0]);
    if (dtype_name) attr[count++] = tn_attr_int(dtype_name, tn_pen_int(pen, TN_SET_DTYPE, 0));
    pen->out[0] = tn_pen_op(pen, op, pen->in, 3, attr, count);
}

static void write_quantize(tn_pen *pen)
{
    write_quantizing(pen, "QuantizeLinear", "output_dtype");
}

static void write_dequantize(tn_pen *pen)
{
    write_quantizing(pen, "DequantizeLinear", NULL);
}

tn_layer *tn_network_add_quantize(tn_network *network, tn_layer *x, tn_layer *scale, tn_dtype dtype)
{
    static const tn_layer_kind kind = {"quantize",    TN_HAS(AXIS) | TN_HAS(DTYPE), 2, 3, 1,
                                       write_quantize};
    tn_layer *layer = tn_layer_add(network, &kind, TN_LAYERS(x, scale));
    tn_layer_keep(layer, TN_SET_DTYPE, (int64_t)dtype);
    return tn_layer_done(layer);
}

tn_layer *tn_network_add_dequantize(tn_network *network, tn_layer *x, tn_layer *scale)
{
    static const tn_layer_kind kind = {"dequantize", TN_HAS(AXIS), 2, 3, 1, write_dequantize};
    return tn_layer_add(network, &kind, TN_LAYERS(x, scale));
}
