/* Layers that compute, against numbers worked out by hand (or by the formula, in double). */
#include "network_help.h"

static const float image[] = {1, 2, 3, 4, 5, 6, 7, 8, 9};

/* ---- Windows ---------------------------------------------------------------------------------*/

static void convolution(void **state)
{
    (void)state;
    tn_layer *x = floats(image, 1, 1, 3, 3);
    tn_layer *y =
        tn_network_add_convolution(net, x, weight(F(1, 0, 0, 1), 1, 1, 2, 2), weight(F(10), 1));
    check(y, TN_DIMS(1, 1, 2, 2), D(16, 18, 22, 24));
    y = tn_network_add_convolution(net, x, weight(F(1, 0, 0, 1), 1, 1, 2, 2), NULL);
    tn_layer_set_ints(y, TN_SET_STRIDE, TN_DIMS(2, 2));
    tn_layer_set_ints(y, TN_SET_PADDING_BEFORE, TN_DIMS(1, 1));
    check(y, TN_DIMS(1, 1, 2, 2), D(1, 3, 7, 14));
    y = tn_network_add_convolution(net, x, weight(F(1, 0, 0, 1), 1, 1, 2, 2), NULL);
    tn_layer_set_int(y, TN_SET_PADDING_MODE, TN_PADDING_SAME_UPPER);
    check(y, TN_DIMS(1, 1, 3, 3), D(6, 8, 3, 12, 14, 6, 7, 8, 9));
    y = tn_network_add_convolution(net, x, weight(F(1, 1, 1, 1), 1, 1, 2, 2), NULL);
    tn_layer_set_ints(y, TN_SET_DILATION, TN_DIMS(2, 2));
    check(y, TN_DIMS(1, 1, 1, 1), D(20));
    /* Two groups, one spatial axis; the kernel as a tensor. */
    x = floats(F(1, 2, 3, 4, 5, 6), 1, 2, 3);
    y = tn_network_add_convolution(net, x, weight(F(1, 1, 1, -1), 2, 1, 2), NULL);
    tn_layer_set_int(y, TN_SET_GROUPS, 2);
    check(y, TN_DIMS(1, 2, 2), D(3, 5, -1, -1));
    tn_layer_set_input(y, 1, floats(F(2, 0, 0, 3), 2, 1, 2));
    check(y, TN_DIMS(1, 2, 2), D(2, 4, 15, 18));
}

static void deconvolution(void **state)
{
    (void)state;
    tn_layer *x = floats(F(1, 2, 3, 4), 1, 1, 2, 2);
    tn_layer *y = tn_network_add_deconvolution(net, x, weight(F(1, 1, 1, 1), 1, 1, 2, 2), NULL);
    check(y, TN_DIMS(1, 1, 3, 3), D(1, 3, 2, 4, 10, 6, 3, 7, 4));
    tn_layer_set_ints(y, TN_SET_STRIDE, TN_DIMS(2, 2));
    tn_layer_set_ints(y, TN_SET_PADDING, TN_DIMS(1, 1));
    tn_layer_set_ints(y, TN_SET_OUTPUT_PADDING, TN_DIMS(1, 0));
    check(y, TN_DIMS(1, 1, 3, 2), D(1, 2, 3, 4, 3, 4));
}

static void pooling(void **state)
{
    (void)state;
    tn_layer *x = floats(image, 1, 1, 3, 3);
    tn_layer *y = tn_network_add_pooling(net, x, TN_POOL_MAX, TN_DIMS(2, 2));
    check(y, TN_DIMS(1, 1, 2, 2), D(5, 6, 8, 9));
    tn_layer_set_ints(y, TN_SET_STRIDE, TN_DIMS(2, 2));
    check(y, TN_DIMS(1, 1, 1, 1), D(5));
    tn_layer_set_int(y, TN_SET_PADDING_MODE, TN_PADDING_ROUND_UP);
    check(y, TN_DIMS(1, 1, 2, 2), D(5, 6, 8, 9));
    tn_layer_set_int(y, TN_SET_TYPE, TN_POOL_AVERAGE);
    check(y, TN_DIMS(1, 1, 2, 2), D(3, 4.5, 7.5, 9));
    y = tn_network_add_pooling(net, x, TN_POOL_AVERAGE, TN_DIMS(2, 2));
    tn_layer_set_ints(y, TN_SET_STRIDE, TN_DIMS(2, 2));
    tn_layer_set_ints(y, TN_SET_PADDING_BEFORE, TN_DIMS(1, 1));
    check(y, TN_DIMS(1, 1, 2, 2), D(1, 2.5, 5.5, 7));
    tn_layer_set_int(y, TN_SET_COUNT_PADDING, 1);
    check(y, TN_DIMS(1, 1, 2, 2), D(0.25, 1.25, 2.75, 7));
    y = tn_network_add_pooling(net, x, TN_POOL_MAX_AVERAGE, TN_DIMS(3, 3));
    tn_layer_set_float(y, TN_SET_BLEND, 0.25);
    check(y, TN_DIMS(1, 1, 1, 1), D(0.75 * 9 + 0.25 * 5));
    check(tn_network_add_pooling(net, x, TN_POOL_AVERAGE, NULL, 0), TN_DIMS(1, 1, 1, 1), D(5));
    check(tn_network_add_pooling(net, x, TN_POOL_MAX, NULL, 0), TN_DIMS(1, 1, 1, 1), D(9));
}

static void fully_connected(void **state)
{
    (void)state;
    tn_layer *x = floats(F(1, 2, 3, 4), 1, 2, 2, 1);
    const tn_tensor *w = weight(F(1, 1, 1, 1, 1, 0, 0, -1), 2, 4);
    tn_layer *y = tn_network_add_fully_connected(net, x, w, weight(F(0, 10), 2));
    check(y, TN_DIMS(1, 2), D(10, 7));
    /* The last axis alone, as torch.nn.Linear. */
    x = floats(F(1, 2, 3, 4), 1, 2, 2);
    y = tn_network_add_fully_connected(net, x, weight(F(1, 2), 1, 2), weight(F(1), 1));
    tn_layer_set_int(y, TN_SET_AXIS, -1);
    check(y, TN_DIMS(1, 2, 1), D(6, 12));
    y = tn_network_add_fully_connected(net, x, weight(F(1, 2), 1, 2), NULL);
    tn_layer_set_int(y, TN_SET_AXIS, 2);
    check(y, TN_DIMS(1, 2, 1), D(5, 11));
}

static void lrn(void **state)
{
    (void)state;
    tn_layer *x = floats(F(1, 2, 3), 1, 3, 1);
    tn_layer *y = tn_network_add_lrn(net, x, 3, 3, 0.5, 2);
    check(y, TN_DIMS(1, 3, 1), D(1 / sqrt(2 + 5), 2 / sqrt(2 + 14), 3 / sqrt(2 + 13)));
}

static void padding(void **state)
{
    (void)state;
    tn_layer *x = floats(F(1, 2, 3, 4), 1, 1, 2, 2);
    tn_layer *y = tn_network_add_padding(net, x, N(0, 1), N(1, -1), 2);
    check(y, TN_DIMS(1, 1, 3, 2), D(0, 1, 0, 3, 0, 0));
    tn_layer_set_float(y, TN_SET_VALUE, 7);
    check(y, TN_DIMS(1, 1, 3, 2), D(7, 1, 7, 3, 7, 7));
    tn_layer_set_int(y, TN_SET_OUTSIDE, TN_OUTSIDE_CLAMP);
    check(y, TN_DIMS(1, 1, 3, 2), D(1, 1, 3, 3, 3, 3));
}

/* ---- Element by element ----------------------------------------------------------------------*/

static double apply(tn_activation_type type, double x, double a, double b)
{
    switch (type) {
    case TN_ACTIVATION_RELU: return fmax(x, 0);
    case TN_ACTIVATION_SIGMOID: return 1 / (1 + exp(-x));
    case TN_ACTIVATION_TANH: return tanh(x);
    case TN_ACTIVATION_LEAKY_RELU: return x >= 0 ? x : a * x;
    case TN_ACTIVATION_ELU: return x >= 0 ? x : a * (exp(x) - 1);
    case TN_ACTIVATION_SELU: return b * (x > 0 ? x : a * exp(x) - a);
    case TN_ACTIVATION_SOFTSIGN: return x / (1 + fabs(x));
    case TN_ACTIVATION_SOFTPLUS: return a * log(exp(b * x) + 1);
    case TN_ACTIVATION_CLIP: return fmax(a, fmin(b, x));
    case TN_ACTIVATION_HARD_SIGMOID: return fmax(0, fmin(1, a * x + b));
    case TN_ACTIVATION_SCALED_TANH: return a * tanh(b * x);
    case TN_ACTIVATION_THRESHOLDED_RELU: return x > a ? x : 0;
    case TN_ACTIVATION_GELU_ERF: return x / 2 * (1 + erf(x / sqrt(2)));
    case TN_ACTIVATION_GELU_TANH:
        return x / 2 * (1 + tanh(sqrt(2 / acos(-1)) * (x + 0.044715 * x * x * x)));
    case TN_ACTIVATION_SILU: return x / (1 + exp(-x));
    case TN_ACTIVATION_HARD_SWISH: return x * fmax(0, fmin(1, x / 6 + 0.5));
    case TN_ACTIVATION_MISH: return x * tanh(log(exp(x) + 1));
    }
    return 0;
}

static void activations(void **state)
{
    (void)state;
    static const struct {
        double a, b;
    } defaults[TN_ACTIVATION_MISH + 1] = {
        [TN_ACTIVATION_LEAKY_RELU] = {0.01, 0},       [TN_ACTIVATION_ELU] = {1, 0},
        [TN_ACTIVATION_SELU] = {1.6732632, 1.050701}, [TN_ACTIVATION_SOFTPLUS] = {1, 1},
        [TN_ACTIVATION_CLIP] = {-INFINITY, INFINITY}, [TN_ACTIVATION_HARD_SIGMOID] = {0.2, 0.5},
        [TN_ACTIVATION_SCALED_TANH] = {1, 1},         [TN_ACTIVATION_THRESHOLDED_RELU] = {1, 0},
    };
    const float *values = F(-3, -0.75, 0, 0.5, 2);
    tn_layer *x = floats(values, 5);
    for (int type = 0; type <= TN_ACTIVATION_MISH; type++) {
        double want[5];
        tn_layer *y = tn_network_add_activation(net, x, (tn_activation_type)type);
        for (int i = 0; i < 5; i++)
            want[i] = apply((tn_activation_type)type, (double)values[i], defaults[type].a,
                            defaults[type].b);
        check(y, TN_DIMS(5), want, 5);
        if (defaults[type].a == 0) continue;
        tn_layer_set_float(y, TN_SET_ALPHA, 0.25);
        tn_layer_set_float(y, TN_SET_BETA, 0.75);
        for (int i = 0; i < 5; i++)
            want[i] = apply((tn_activation_type)type, (double)values[i], 0.25, 0.75);
        check(y, TN_DIMS(5), want, 5);
    }
    check(tn_network_add_parametric_relu(net, x, floats(F(2), 1)), TN_DIMS(5),
          D(-6, -1.5, 0, 0.5, 2));
}

static void unaries(void **state)
{
    (void)state;
    double (*const functions[])(double) = {
        [TN_UNARY_EXP] = exp,     [TN_UNARY_LOG] = log,     [TN_UNARY_SQRT] = sqrt,
        [TN_UNARY_ABS] = fabs,    [TN_UNARY_SIN] = sin,     [TN_UNARY_COS] = cos,
        [TN_UNARY_TAN] = tan,     [TN_UNARY_SINH] = sinh,   [TN_UNARY_COSH] = cosh,
        [TN_UNARY_ASIN] = asin,   [TN_UNARY_ACOS] = acos,   [TN_UNARY_ATAN] = atan,
        [TN_UNARY_ASINH] = asinh, [TN_UNARY_ATANH] = atanh, [TN_UNARY_CEIL] = ceil,
        [TN_UNARY_FLOOR] = floor, [TN_UNARY_ERF] = erf,     [TN_UNARY_ROUND] = rint,
    };
    const float *values = F(0.25, 0.5, 0.75);
    tn_layer *x = floats(values, 3);
    for (size_t type = 0; type < sizeof(functions) / sizeof(functions[0]); type++) {
        double want[3];
        if (!functions[type]) continue;
        for (int i = 0; i < 3; i++) want[i] = functions[type]((double)values[i]);
        check(tn_network_add_unary(net, x, (tn_unary_type)type), TN_DIMS(3), want, 3);
    }
    check(tn_network_add_unary(net, x, TN_UNARY_RECIPROCAL), TN_DIMS(3), D(4, 2, 4.0 / 3));
    check(tn_network_add_unary(net, x, TN_UNARY_NEG), TN_DIMS(3), D(-0.25, -0.5, -0.75));
    x = floats(F(-2, 1, INFINITY), 3);
    check(tn_network_add_unary(net, x, TN_UNARY_SIGN), TN_DIMS(3), D(-1, 1, 1));
    check(tn_network_add_unary(net, x, TN_UNARY_IS_INF), TN_DIMS(3), D(0, 0, 1));
    check(tn_network_add_unary(net, x, TN_UNARY_IS_NAN), TN_DIMS(3), D(0, 0, 0));
    x = floats(F(1, 2, 4), 3);
    check(tn_network_add_unary(net, x, TN_UNARY_ACOSH), TN_DIMS(3), D(0, acosh(2), acosh(4)));
    x = bools(B(true, false), 2);
    check(tn_network_add_unary(net, x, TN_UNARY_NOT), TN_DIMS(2), D(0, 1));
}

static void elementwise(void **state)
{
    (void)state;
    tn_layer *a = floats(F(-7, 2, 9), 3), *b = floats(F(2), 1);
    static const double want[][3] = {
        [TN_ELEMENTWISE_SUM] = {-5, 4, 11}, [TN_ELEMENTWISE_PRODUCT] = {-14, 4, 18},
        [TN_ELEMENTWISE_MAX] = {2, 2, 9},   [TN_ELEMENTWISE_MIN] = {-7, 2, 2},
        [TN_ELEMENTWISE_SUB] = {-9, 0, 7},  [TN_ELEMENTWISE_DIV] = {-3.5, 1, 4.5},
        [TN_ELEMENTWISE_POW] = {49, 4, 81}, [TN_ELEMENTWISE_FLOOR_DIV] = {-4, 1, 4},
        [TN_ELEMENTWISE_EQUAL] = {0, 1, 0}, [TN_ELEMENTWISE_GREATER] = {0, 0, 1},
        [TN_ELEMENTWISE_LESS] = {1, 0, 0},
    };
    for (int type = 0; type <= TN_ELEMENTWISE_LESS; type++) {
        if (type >= TN_ELEMENTWISE_AND && type <= TN_ELEMENTWISE_XOR) continue;
        check(tn_network_add_elementwise(net, a, b, (tn_elementwise_type)type), TN_DIMS(3),
              want[type], 3);
    }
    a = ints(N(-7, 7, -6), 3), b = ints(N(2, -2, 3), 3);
    check(tn_network_add_elementwise(net, a, b, TN_ELEMENTWISE_DIV), TN_DIMS(3), D(-3, -3, -2));
    check(tn_network_add_elementwise(net, a, b, TN_ELEMENTWISE_FLOOR_DIV), TN_DIMS(3),
          D(-4, -4, -2));
    a = bools(B(true, true, false, false), 4), b = bools(B(true, false, true, false), 4);
    check(tn_network_add_elementwise(net, a, b, TN_ELEMENTWISE_AND), TN_DIMS(4), D(1, 0, 0, 0));
    check(tn_network_add_elementwise(net, a, b, TN_ELEMENTWISE_OR), TN_DIMS(4), D(1, 1, 1, 0));
    check(tn_network_add_elementwise(net, a, b, TN_ELEMENTWISE_XOR), TN_DIMS(4), D(0, 1, 1, 0));
}

static void scale_and_select(void **state)
{
    (void)state;
    tn_layer *x = floats(F(1, 2, 3, 4), 1, 2, 2);
    tn_layer *y = tn_network_add_scale(net, x, TN_SCALE_UNIFORM, weight(F(1), 1), weight(F(2), 1),
                                       weight(F(2), 1));
    check(y, TN_DIMS(1, 2, 2), D(9, 25, 49, 81));
    y = tn_network_add_scale(net, x, TN_SCALE_CHANNEL, weight(F(10, 20), 2), NULL, NULL);
    check(y, TN_DIMS(1, 2, 2), D(11, 12, 23, 24));
    tn_layer_set_int(y, TN_SET_AXIS, 2);
    check(y, TN_DIMS(1, 2, 2), D(11, 22, 13, 24));
    y = tn_network_add_scale(net, x, TN_SCALE_ELEMENTWISE, NULL, weight(F(1, 2, 3, 4), 4), NULL);
    check(y, TN_DIMS(1, 2, 2), D(1, 4, 9, 16));
    check(tn_network_add_scale(net, x, TN_SCALE_UNIFORM, NULL, NULL, NULL), TN_DIMS(1, 2, 2),
          D(1, 2, 3, 4));
    tn_layer *a = floats(F(1, 2), 2), *b = floats(F(-1, -2), 2), *c = bools(B(false, true), 2);
    check(tn_network_add_select(net, c, a, b), TN_DIMS(2), D(-1, 2));
}

static void quantized(void **state)
{
    (void)state;
    tn_layer *x = floats(F(-100, -0.6f, 0.24f, 1.3f), 2, 2);
    tn_layer *scale = tn_network_add_constant(net, weight(F(0.5), 1));
    tn_layer *one = tn_network_add_shuffle(net, scale);
    tn_layer_set_ints(one, TN_SET_RESHAPE, NULL, 0);
    tn_layer *q = tn_network_add_quantize(net, x, one, TN_DTYPE_I8);
    check(q, TN_DIMS(2, 2), D(-128, -1, 0, 3));
    check(tn_network_add_dequantize(net, q, one), TN_DIMS(2, 2), D(-64, -0.5, 0, 1.5));
    tn_layer *each = tn_network_add_constant(net, weight(F(1, 2), 2));
    q = tn_network_add_quantize(net, x, each, TN_DTYPE_U8);
    tn_layer_set_int(q, TN_SET_AXIS, 0);
    uint8_t zero[] = {100, 10};
    tn_tensor points = view(TN_DTYPE_U8, zero, TN_DIMS(2));
    tn_layer_set_input(q, 2, tn_network_add_constant(net, &points));
    check(q, TN_DIMS(2, 2), D(0, 99, 10, 11));
    check(tn_network_add_cast(net, x, TN_DTYPE_I32), TN_DIMS(2, 2), D(-100, 0, 0, 1));
    check(tn_network_add_identity(net, x), TN_DIMS(2, 2), D(-100, -0.6, 0.24, 1.3));
}

/* ---- Along axes ------------------------------------------------------------------------------*/

static void reduce(void **state)
{
    (void)state;
    tn_layer *x = floats(F(1, 2, 3, 4, 5, 6), 2, 3);
    check(tn_network_add_reduce(net, x, TN_REDUCE_SUM, TN_DIMS(1), false), TN_DIMS(2), D(6, 15));
    check(tn_network_add_reduce(net, x, TN_REDUCE_PRODUCT, TN_DIMS(-1), true), TN_DIMS(2, 1),
          D(6, 120));
    check(tn_network_add_reduce(net, x, TN_REDUCE_MAX, TN_DIMS(0), false), TN_DIMS(3), D(4, 5, 6));
    check(tn_network_add_reduce(net, x, TN_REDUCE_MIN, TN_DIMS(0, 1), true), TN_DIMS(1, 1), D(1));
    check(tn_network_add_reduce(net, x, TN_REDUCE_AVERAGE, NULL, 0, true), TN_DIMS(1, 1), D(3.5));
}

static void softmax(void **state)
{
    (void)state;
    tn_layer *x = floats(F(0, logf(3), 0, 0), 2, 2);
    check(tn_network_add_softmax(net, x, 1), TN_DIMS(2, 2), D(0.25, 0.75, 0.5, 0.5));
    check(tn_network_add_softmax(net, x, 0), TN_DIMS(2, 2), D(0.5, 0.75, 0.5, 0.25));
    int32_t lengths[] = {2, 0, 3};
    x = floats(F(1, 1, 9, 5, 5, 5, 2, 2, 2), 3, 3);
    tn_layer *bounds = input_of(TN_DTYPE_I32, lengths, TN_DIMS(3, 1));
    check(tn_network_add_ragged_softmax(net, x, bounds), TN_DIMS(3, 3),
          D(0.5, 0.5, 0, 0, 0, 0, 1.0 / 3, 1.0 / 3, 1.0 / 3));
}

static void cumulative_and_top_k(void **state)
{
    (void)state;
    tn_layer *x = floats(F(3, 1, 2), 3);
    tn_layer *y = tn_network_add_cumulative(net, x, 0);
    check(y, TN_DIMS(3), D(3, 4, 6));
    tn_layer_set_int(y, TN_SET_EXCLUSIVE, 1);
    tn_layer_set_int(y, TN_SET_REVERSE, 1);
    check(y, TN_DIMS(3), D(3, 2, 0));
    y = tn_network_add_top_k(net, x, TN_TOP_K_MAX, 2, 0);
    check(y, TN_DIMS(2), D(3, 2));
    check(tn_layer_output(y, 1), TN_DIMS(2), D(0, 2));
    y = tn_network_add_top_k(net, x, TN_TOP_K_MIN, 9, 0);
    tn_layer_set_input(y, 1, ints(N(1), 1));
    check(y, TN_DIMS(1), D(1));
    check(tn_layer_output(y, 1), TN_DIMS(1), D(1));
}

static void normalizations(void **state)
{
    (void)state;
    double r = 1 / sqrt(1.25 + 1e-5), s = 1 / sqrt(0.25 + 1e-5);
    tn_layer *x = floats(F(1, 2, 3, 4), 1, 2, 2);
    tn_layer *y = tn_network_add_normalization(net, x, TN_NORMALIZATION_LAYER, weight(F(1, 2), 2),
                                               weight(F(0, 10), 2));
    check(y, TN_DIMS(1, 2, 2), D(-0.5 * s, s + 10, -0.5 * s, s + 10));
    y = tn_network_add_normalization(net, x, TN_NORMALIZATION_LAYER, NULL, NULL);
    tn_layer_set_int(y, TN_SET_AXIS, 1);
    check(y, TN_DIMS(1, 2, 2), D(-1.5 * r, -0.5 * r, 0.5 * r, 1.5 * r));
    y = tn_network_add_normalization(net, x, TN_NORMALIZATION_INSTANCE, weight(F(1, 2), 2), NULL);
    check(y, TN_DIMS(1, 2, 2), D(-0.5 * s, 0.5 * s, -s, s));
    y = tn_network_add_normalization(net, x, TN_NORMALIZATION_GROUP, NULL, weight(F(0, 1), 2));
    check(y, TN_DIMS(1, 2, 2), D(-1.5 * r, -0.5 * r, 0.5 * r + 1, 1.5 * r + 1));
    tn_layer_set_int(y, TN_SET_GROUPS, 2);
    check(y, TN_DIMS(1, 2, 2), D(-0.5 * s, 0.5 * s, 1 - 0.5 * s, 1 + 0.5 * s));
    y = tn_network_add_normalization(net, x, TN_NORMALIZATION_RMS, weight(F(1, 1), 2),
                                     weight(F(1, 0), 2));
    tn_layer_set_float(y, TN_SET_EPSILON, 0);
    double p = 1 / sqrt(2.5), q = 1 / sqrt(12.5);
    check(y, TN_DIMS(1, 2, 2), D(p + 1, 2 * p, 3 * q + 1, 4 * q));
    y = tn_network_add_batch_normalization(net, x, weight(F(2, 1), 2), weight(F(1, 0), 2),
                                           weight(F(1, 3), 2), weight(F(4, 1), 2));
    tn_layer_set_float(y, TN_SET_EPSILON, 0);
    check(y, TN_DIMS(1, 2, 2), D(1, 2, 0, 1));
}

/* ---- Matrices --------------------------------------------------------------------------------*/

static void matrices(void **state)
{
    (void)state;
    tn_layer *a = floats(F(1, 2, 3, 4, 5, 6), 2, 3), *b = floats(F(1, 0, 1, 2, 1, 0), 2, 3);
    tn_layer *v = floats(F(1, 1, 2), 3), *u = floats(F(1, -1), 2);
    check(tn_network_add_matrix_multiply(net, a, TN_MATRIX, b, TN_MATRIX_TRANSPOSED), TN_DIMS(2, 2),
          D(4, 4, 10, 13));
    check(tn_network_add_matrix_multiply(net, a, TN_MATRIX_TRANSPOSED, b, TN_MATRIX), TN_DIMS(3, 3),
          D(9, 4, 1, 12, 5, 2, 15, 6, 3));
    check(tn_network_add_matrix_multiply(net, a, TN_MATRIX, v, TN_VECTOR), TN_DIMS(2), D(9, 21));
    check(tn_network_add_matrix_multiply(net, u, TN_VECTOR, a, TN_MATRIX), TN_DIMS(3),
          D(-3, -3, -3));
    check(tn_network_add_matrix_multiply(net, v, TN_VECTOR, v, TN_VECTOR), NULL, 0, D(6));
    check(tn_network_add_einsum(net, TN_LAYERS(a, b), "ij,ij->i"), TN_DIMS(2), D(4, 13));
}

static void attention(void **state)
{
    (void)state;
    float mask[] = {0, -INFINITY, 0, 0};
    tn_layer *q = floats(F(1, 0, 0, 1), 1, 1, 2, 2), *v = floats(F(1, 2, 3, 4), 1, 1, 2, 2);
    double e = exp(1 / sqrt(2)), p = e / (e + 1), r = 1 - p;
    tn_layer *y = tn_network_add_attention(net, q, q, v);
    check(y, TN_DIMS(1, 1, 2, 2), D(p + 3 * r, 2 * p + 4 * r, r + 3 * p, 2 * r + 4 * p));
    tn_layer_set_int(y, TN_SET_CAUSAL, 1);
    check(y, TN_DIMS(1, 1, 2, 2), D(1, 2, r + 3 * p, 2 * r + 4 * p));
    y = tn_network_add_attention(net, q, q, v);
    tn_layer_set_float(y, TN_SET_SCALE, log(3));
    tn_layer_set_input(y, 3, floats(mask, 2, 2));
    check(y, TN_DIMS(1, 1, 2, 2), D(1, 2, 2.5, 3.5));
}

static void rotary_and_cache(void **state)
{
    (void)state;
    tn_layer *x = floats(F(1, 2, 3, 4), 1, 1, 2, 2);
    tn_layer *c = floats(F(0, 1), 2, 1), *s = floats(F(1, 0), 2, 1);
    tn_layer *y = tn_network_add_rotary_embedding(net, x, c, s);
    tn_layer_set_input(y, 3, ints(N(0, 1), 1, 2));
    check(y, TN_DIMS(1, 1, 2, 2), D(-2, 1, 3, 4));
    tn_layer *cache = floats(F(0, 0, 0, 0, 0, 0), 1, 1, 3, 2);
    y = tn_network_add_kv_cache_update(net, cache, x, ints(N(1), 1));
    check(y, TN_DIMS(1, 1, 3, 2), D(0, 0, 1, 2, 3, 4));
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(convolution),
        test(deconvolution),
        test(pooling),
        test(fully_connected),
        test(lrn),
        test(padding),
        test(activations),
        test(unaries),
        test(elementwise),
        test(scale_and_select),
        test(quantized),
        test(reduce),
        test(softmax),
        test(cumulative_and_top_k),
        test(normalizations),
        test(matrices),
        test(attention),
        test(rotary_and_cache),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
