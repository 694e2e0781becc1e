/* Groups of nodes as exporters write them, which optimisers look for: right, or nearly right.
 * Operands change sides, constants and axes are sometimes others than the pattern wants. */
#include <stdio.h>
#include <string.h>

#include "random_graphs.h"

static const tn_tensor *tensor_of(const maker *m, const tn_value *value)
{
    return &find_item(m, value)->at[0];
}

/* A scalar, or one element in a higher rank; seldom a little beside what was asked for. */
static tn_value *number(maker *m, const tn_value *like, double value)
{
    int64_t ones[TN_RANK_MAX] = {1, 1, 1, 1, 1, 1, 1, 1};
    _Alignas(16) uint8_t data[16] = {0};
    tn_dtype dtype = tensor_of(m, like)->dtype;
    if (chance(&m->dice, 4)) value *= 1.5;
    tn_store_f64(dtype, data, 0, value);
    tn_tensor t = tn_tensor_of(dtype, ones, chance(&m->dice, 70) ? 0 : pick(&m->dice, 3), data);
    return add_constant(m, &t);
}

/* Two operands, in either order where that is the same. */
static tn_value *both(maker *m, const char *op, tn_value *a, tn_value *b)
{
    return chance(&m->dice, 30) ? add(m, op, "", 2, b, a) : add(m, op, "", 2, a, b);
}

/* A weight: mostly a constant. */
static tn_value *weight(maker *m, tn_dtype dtype, int rank, const int64_t *dim, double lo,
                        double hi)
{
    tn_value *x = add_random_input(m, dtype, rank, dim, 0, lo, hi);
    if (!x || chance(&m->dice, 15)) return x;
    tn_tensor copy = *tensor_of(m, x);
    return add_constant(m, &copy);
}

static tn_value *floats(maker *m, int rank)
{
    tn_value *x = pick_value(m, chance(&m->dice, 85) ? TN_DT(F32) : TN_DTS_FLOAT, rank);
    static const int64_t sizes[] = {1, 2, 3, 4, 6, 8};
    int64_t dim[TN_RANK_MAX];
    if (x && chance(&m->dice, 80)) return x;
    if (rank < 0) rank = 1 + pick(&m->dice, 4);
    for (int i = 0; i < rank; i++) dim[i] = sizes[pick(&m->dice, (int)TN_COUNT(sizes))];
    return add_random_input(m, TN_DTYPE_F32, rank, dim, chance(&m->dice, 50) ? 40 : 0, 0, 0);
}

static void layer_norm(maker *m)
{
    char params[48];
    tn_value *x = floats(m, -1);
    if (!x || !tensor_of(m, x)->rank) return;
    const tn_tensor *t = tensor_of(m, x);
    int rank = t->rank, last = 1 + (chance(&m->dice, 25) ? pick(&m->dice, rank) : 0);
    int64_t axes[TN_RANK_MAX], width = t->dim[rank - 1];
    bool negative = chance(&m->dice, 50);
    for (int i = 0; i < last; i++) axes[i] = negative ? i - last : rank - last + i;
    snprintf(params, sizeof params, "%s", chance(&m->dice, 95) ? "" : "{keepdims=0}");
    tn_value *centred =
        add(m, "Sub", "", 2, x, add(m, "ReduceMean", params, 2, x, add_ints(m, last, axes)));
    tn_value *square = !centred               ? NULL
                       : chance(&m->dice, 50) ? add(m, "Pow", "", 2, centred, number(m, x, 2))
                                              : add(m, "Mul", "", 2, centred, centred);
    tn_value *variance = add(m, "ReduceMean", "", 2, square, add_ints(m, last, axes));
    tn_value *root = add(m, "Sqrt", "", 1, both(m, "Add", variance, number(m, x, 1e-3)));
    tn_value *y = add(m, "Div", "", 2, centred, root);
    if (y && last == 1 && chance(&m->dice, 70))
        y = both(m, "Mul", y, weight(m, t->dtype, 1, &width, 0.5, 1.5));
    if (y && last == 1 && chance(&m->dice, 70))
        both(m, "Add", y, weight(m, t->dtype, 1, &width, 0, 0));
}

static void gelu(maker *m)
{
    tn_value *x = floats(m, -1), *inner;
    if (!x) return;
    if (chance(&m->dice, 50)) {
        inner = chance(&m->dice, 60) ? add(m, "Div", "", 2, x, number(m, x, 1.4142135381698608))
                                     : both(m, "Mul", x, number(m, x, 0.70710677));
        inner = add(m, "Erf", "", 1, inner);
    } else {
        tn_value *cube = chance(&m->dice, 60) ? add(m, "Pow", "", 2, x, number(m, x, 3))
                                              : add(m, "Mul", "", 2, x, add(m, "Mul", "", 2, x, x));
        inner = both(m, "Add", x, both(m, "Mul", cube, number(m, x, 0.044715)));
        inner = add(m, "Tanh", "", 1, both(m, "Mul", inner, number(m, x, 0.7978845834732056)));
    }
    inner = both(m, "Add", inner, number(m, x, 1));
    if (chance(&m->dice, 50)) both(m, "Mul", both(m, "Mul", x, inner), number(m, x, 0.5));
    else both(m, "Mul", both(m, "Mul", x, number(m, x, 0.5)), inner);
}

/* A function of y, as an operator or from its parts. */
static tn_value *activation(maker *m, tn_value *y)
{
    static const char *const names[] = {"Relu",      "Tanh",  "Sigmoid",  "Gelu",
                                        "HardSwish", "Swish", "LeakyRelu"};
    if (!y) return NULL;
    if (chance(&m->dice, 20)) return both(m, "Mul", y, add(m, "Sigmoid", "", 1, y));
    if (chance(&m->dice, 15))
        return both(m, "Mul", y,
                    add(m, "HardSigmoid",
                        chance(&m->dice, 80) ? "{alpha=0.16666667, beta=0.5}" : "", 1, y));
    if (chance(&m->dice, 20)) {
        tn_value *low = chance(&m->dice, 70) ? number(m, y, -0.5) : NULL;
        return add(m, "Clip", "", 3, y, low, number(m, y, 0.5));
    }
    const char *name = names[pick(&m->dice, (int)TN_COUNT(names))];
    bool tanh = !strcmp(name, "Gelu") && chance(&m->dice, 50);
    return add(m, name, tanh ? "{approximate=tanh}" : "", 1, y);
}

/* Something of y's shape, from before or after it. */
static tn_value *residual(maker *m, tn_value *y)
{
    const tn_tensor *t = tensor_of(m, y);
    if (chance(&m->dice, 25)) return add(m, "Neg", "", 1, y);
    return add_random_input(m, t->dtype, t->rank, t->dim, chance(&m->dice, 40) ? 40 : 0, 0, 0);
}

static void conv_norm(maker *m)
{
    char params[64];
    tn_value *x = floats(m, 3 + pick(&m->dice, 2));
    if (!x) return;
    const tn_tensor *t = tensor_of(m, x);
    int64_t outputs = 1 + pick(&m->dice, 5), dim[TN_RANK_MAX] = {outputs, t->dim[1], 1, 1};
    for (int i = 2; i < t->rank; i++) dim[i] = 1 + pick(&m->dice, 3);
    if (chance(&m->dice, 20)) { /* a channel at a time */
        dim[0] = outputs = t->dim[1];
        dim[1] = 1;
        snprintf(params, sizeof params, "{group=%d}", (int)outputs);
    } else {
        snprintf(params, sizeof params, "%s", chance(&m->dice, 50) ? "" : "{auto_pad=SAME_UPPER}");
    }
    tn_value *w = weight(m, t->dtype, t->rank, dim, 0, 0);
    tn_value *b = chance(&m->dice, 50) ? weight(m, t->dtype, 1, &outputs, 0, 0) : NULL;
    tn_value *y = add(m, "Conv", params, b ? 3 : 2, x, w, b);
    if (y && chance(&m->dice, 80))
        y = add(m, "BatchNormalization", chance(&m->dice, 70) ? "" : "{epsilon=0.01}", 5, y,
                weight(m, t->dtype, 1, &outputs, 0.5, 1.5), weight(m, t->dtype, 1, &outputs, 0, 0),
                weight(m, t->dtype, 1, &outputs, 0, 0), weight(m, t->dtype, 1, &outputs, 0.5, 1.5));
    int64_t along[3] = {outputs, 1, 1};
    if (y && chance(&m->dice, 30))
        y = both(m, chance(&m->dice, 50) ? "Mul" : "Add", y,
                 weight(m, t->dtype, t->rank - 1, along, 0.5, 1.5));
    if (y && chance(&m->dice, 40)) y = both(m, "Add", y, residual(m, y));
    if (chance(&m->dice, 60)) activation(m, y);
}

static void product_and_sum(maker *m)
{
    tn_value *a = floats(m, chance(&m->dice, 70) ? 2 : 3);
    if (!a) return;
    const tn_tensor *t = tensor_of(m, a);
    int64_t columns = 1 + pick(&m->dice, 9), dim[2] = {t->dim[t->rank - 1], columns};
    tn_value *b = weight(m, t->dtype, 2, dim, 0, 0);
    if (b && chance(&m->dice, 25)) { /* the weight is stored the other way round */
        int64_t turned[2] = {dim[1], dim[0]};
        b = add(m, "Transpose", "{perm=[1,0]}", 1, weight(m, t->dtype, 2, turned, 0, 0));
    }
    tn_value *y = add(m, "MatMul", "", 2, a, b);
    int64_t shapes[4][2] = {{columns, 0}, {1, columns}, {t->dim[0], columns}, {1, 1}};
    int k = pick(&m->dice, 4);
    if (y && chance(&m->dice, 85))
        y = both(m, "Add", y, weight(m, t->dtype, k ? 2 : 1, shapes[k], 0, 0));
    if (y && chance(&m->dice, 40)) y = both(m, "Add", y, residual(m, y));
    if (y && chance(&m->dice, 20)) both(m, "Mul", y, number(m, a, 0.25));
    else if (chance(&m->dice, 60)) activation(m, y);
}

/* Several products of one matrix, as in an attention. */
static void products(maker *m)
{
    tn_value *a = floats(m, 2 + pick(&m->dice, 2));
    if (!a) return;
    const tn_tensor *t = tensor_of(m, a);
    int count = 2 + pick(&m->dice, 3), function = pick(&m->dice, 3);
    for (int i = 0; i < count; i++) {
        int64_t columns = 1 + pick(&m->dice, 9), dim[2] = {t->dim[t->rank - 1], columns};
        tn_value *y = add(m, "MatMul", "", 2, a, weight(m, t->dtype, 2, dim, 0, 0));
        if (y && chance(&m->dice, 70))
            y = both(m, "Add", y, weight(m, t->dtype, 1, &columns, 0, 0));
        if (y && (function == 1 || (function == 2 && chance(&m->dice, 50))))
            add(m, "Relu", "", 1, y);
    }
}

static void permutation(maker *m, int rank, char *params, size_t bytes)
{
    int perm[TN_RANK_MAX], used = snprintf(params, bytes, "{perm=[");
    for (int i = 0; i < rank; i++) perm[i] = i;
    for (int i = rank - 1; i > 0; i--) {
        int k = pick(&m->dice, i + 1), t = perm[i];
        perm[i] = perm[k];
        perm[k] = t;
    }
    for (int i = 0; i < rank; i++)
        used += snprintf(params + used, bytes - (size_t)used, i ? ",%d" : "%d", perm[i]);
    snprintf(params + used, bytes - (size_t)used, "]}");
}

/* Moves behind moves, with something in between now and then. */
static void moves(maker *m)
{
    char params[64];
    tn_value *x = pick_value(m, TN_DTS_NUMBER | TN_DT(BOOL), -1);
    for (int i = 0; x && i < 4; i++) {
        const tn_tensor *t = tensor_of(m, x);
        int64_t axis = pick(&m->dice, t->rank + 1);
        switch (pick(&m->dice, 7)) {
        case 0:
        case 1:
            permutation(m, t->rank, params, sizeof params);
            x = add(m, "Transpose", t->rank ? params : "", 1, x);
            break;
        case 2: x = add(m, "Unsqueeze", "", 2, x, add_ints(m, 1, &axis)); break;
        case 3: x = add(m, "Squeeze", "", 1, x); break;
        case 4:
            snprintf(params, sizeof params, "{axis=%d}", (int)axis);
            x = add(m, "Flatten", params, 1, x);
            break;
        case 5:
            x = add(m, "Reshape", "", 2, x, add_ints(m, 2, (int64_t[]){-1, 1 + pick(&m->dice, 2)}));
            break;
        default: x = add(m, "Cast", chance(&m->dice, 50) ? "{to=f32}" : "{to=f64}", 1, x);
        }
    }
}

static void softmax_parts(maker *m)
{
    int64_t axis = -1;
    tn_value *x = floats(m, -1);
    if (!x || !tensor_of(m, x)->rank) return;
    tn_value *top = add(m, "ReduceMax", "", 2, x, add_ints(m, 1, &axis));
    tn_value *e = add(m, "Exp", "", 1, add(m, "Sub", "", 2, x, top));
    add(m, "Div", "", 2, e, add(m, "ReduceSum", "", 2, e, add_ints(m, 1, &axis)));
}

/* softmax(q k^T / sqrt(d)) v */
static void attention(maker *m)
{
    int rank = 3 + pick(&m->dice, 2);
    tn_value *q = floats(m, rank), *k = chance(&m->dice, 60) ? q : floats(m, rank);
    if (!q || !k) return;
    const tn_tensor *t = tensor_of(m, q);
    tn_value *turned = add(m, "Transpose", rank == 3 ? "{perm=[0,2,1]}" : "{perm=[0,1,3,2]}", 1, k);
    tn_value *score = add(m, "MatMul", "", 2, q, turned);
    double root = 1.0 / (double)(1 + t->dim[rank - 1]);
    if (score && chance(&m->dice, 80)) score = both(m, "Mul", score, number(m, q, root));
    score = add(m, "Softmax", "", 1, score);
    add(m, "MatMul", "", 2, score, k);
}

static void cut_and_join(maker *m)
{
    char params[32];
    tn_value *x = pick_value(m, TN_DTS_NUMBER, -1);
    if (!x || !tensor_of(m, x)->rank) return;
    int axis = pick(&m->dice, tensor_of(m, x)->rank);
    int64_t at = axis, middle = 1 + pick(&m->dice, 2);
    tn_value *a = add(m, "Slice", "", 4, x, add_ints(m, 1, (int64_t[]){0}), add_ints(m, 1, &middle),
                      add_ints(m, 1, &at));
    tn_value *b = add(m, "Slice", "", 4, x, add_ints(m, 1, &middle),
                      add_ints(m, 1, (int64_t[]){INT64_MAX}), add_ints(m, 1, &at));
    snprintf(params, sizeof params, "{axis=%d}", axis);
    add(m, "Concat", params, 2, chance(&m->dice, 70) ? a : b, b);
}

static void swish(maker *m)
{
    tn_value *x = floats(m, -1);
    tn_value *gate = !x                     ? NULL
                     : chance(&m->dice, 50) ? add(m, "Sigmoid", "", 1, x)
                                            : add(m, "HardSigmoid", "", 1, x);
    both(m, "Mul", x, gate);
}

/* Scales are powers of two and numbers small: floats are exact, so that bytes must be the same. */
static tn_value *scale_of(maker *m, int power)
{
    float value = 1.0f / (float)(1 << power);
    tn_tensor t = tn_tensor_of(TN_DTYPE_F32, NULL, 0, &value);
    return add_constant(m, &t);
}

/* x as bytes, and as floats again; now and then on two grids. */
static tn_value *through_bytes(maker *m, tn_value *x, int power, bool middle)
{
    tn_dtype dtype = chance(&m->dice, 70) ? TN_DTYPE_U8 : TN_DTYPE_I8;
    uint8_t zero = middle ? (uint8_t)pick(&m->dice, 256) : dtype == TN_DTYPE_U8 ? 0 : 128;
    tn_tensor t = tn_tensor_of(dtype, NULL, 0, &zero);
    tn_value *z = add_constant(m, &t), *scale = scale_of(m, power);
    tn_value *y = x && z ? add(m, "QuantizeLinear", "", 3, x, scale, z) : NULL;
    if (chance(&m->dice, 10)) scale = scale_of(m, power + 1);
    return y ? add(m, "DequantizeLinear", "", 3, y, scale, z) : NULL;
}

static void quantised(maker *m)
{
    int64_t x_dim[] = {1 + pick(&m->dice, 2), 1 + pick(&m->dice, 9), 3 + pick(&m->dice, 5), 7};
    int64_t outputs = 1 + pick(&m->dice, 14), w_dim[] = {outputs, x_dim[1], 1, 1};
    if (chance(&m->dice, 50)) w_dim[2] = w_dim[3] = 3;
    int from = pick(&m->dice, 4), by = pick(&m->dice, 3), power = pick(&m->dice, 3);
    tn_value *x = add_random_input(m, TN_DTYPE_F32, 4, x_dim, 0, -9, 9);
    x = through_bytes(m, x, from, true);
    tn_value *w = weight(m, TN_DTYPE_I8, 4, w_dim, -9, 9), *b = NULL;
    w = w ? add(m, "DequantizeLinear", "", 2, w, scale_of(m, by)) : NULL;
    if (chance(&m->dice, 60)) b = weight(m, TN_DTYPE_I32, 1, &outputs, -99, 99);
    if (b) b = add(m, "DequantizeLinear", "", 2, b, scale_of(m, from + by));
    if (!x || !w) return;
    tn_value *y = add(m, "Conv", "{auto_pad=SAME_UPPER}", b ? 3 : 2, x, w, b);
    if (y && chance(&m->dice, 50)) y = add(m, "Relu", "", 1, y);
    y = through_bytes(m, y, power, chance(&m->dice, 50));
    if (y && chance(&m->dice, 50)) y = both(m, "Add", y, w_dim[0] == x_dim[1] ? x : y);
    else if (y) y = add(m, "MaxPool", "{kernel_shape=[2,3], strides=[1,2]}", 1, y);
    if (y && chance(&m->dice, 30)) y = add(m, "Flatten", "", 1, y);
    if (y && chance(&m->dice, 30)) y = add(m, "Relu", "", 1, y);
    through_bytes(m, y, power, chance(&m->dice, 50));
}

void add_pattern(maker *m)
{
    static void (*const patterns[])(maker *) = {
        layer_norm,           gelu,          conv_norm,    product_and_sum, moves,
        softmax_parts,        attention,     cut_and_join, swish,           products,
        add_recurrent_layers, add_attention, quantised};
    patterns[pick(&m->dice, (int)TN_COUNT(patterns))](m);
}
