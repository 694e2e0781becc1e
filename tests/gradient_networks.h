/* The networks that people train here, of either float type, with parameters as inputs. */
#ifndef TN_TESTS_GRADIENT_NETWORKS_H
#define TN_TESTS_GRADIENT_NETWORKS_H

#include "engine_help.h"
#include "ir/draft.h"

/* dim < 0: the symbol "n". */
static inline tn_value *network_input(tn_draft *d, const char *name, tn_dtype dtype, int rank,
                                      const int64_t *dim)
{
    tn_expr at[TN_RANK_MAX];
    for (int i = 0; i < rank; i++)
        at[i] = dim[i] < 0 ? tn_expr_symbol(d->graph->exprs, "n")
                           : tn_expr_const(d->graph->exprs, dim[i]);
    return tn_draft_input(d, name, tn_type_of(dtype, rank, at));
}
#define NETWORK_INPUT(d, name, dtype, ...)                                                         \
    network_input(d, name, dtype, (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)),       \
                  (int64_t[]){__VA_ARGS__})

/* Two convolutions with pooling, two layers, softmax cross-entropy; 28 x 28 pixels, 10 classes. */
static inline tn_value *network_lenet(tn_draft *d, tn_dtype type, int64_t wide)
{
    const int64_t two[] = {2, 2};
    int64_t a = wide * 2 / 5, b = wide, c = wide * 10;
    tn_value *x = NETWORK_INPUT(d, "_x", type, -1, 1, 28, 28);
    tn_value *labels = NETWORK_INPUT(d, "_labels", TN_DTYPE_I64, -1);
    tn_value *w1 = NETWORK_INPUT(d, "conv1.weight", type, a, 1, 5, 5);
    tn_value *b1 = NETWORK_INPUT(d, "conv1.bias", type, a);
    tn_value *w2 = NETWORK_INPUT(d, "conv2.weight", type, b, a, 5, 5);
    tn_value *b2 = NETWORK_INPUT(d, "conv2.bias", type, b);
    tn_value *w3 = NETWORK_INPUT(d, "fc1.weight", type, c, b * 16);
    tn_value *b3 = NETWORK_INPUT(d, "fc1.bias", type, c);
    tn_value *w4 = NETWORK_INPUT(d, "fc2.weight", type, 10, c);
    tn_value *b4 = NETWORK_INPUT(d, "fc2.bias", type, 10);
    tn_attr window[] = {tn_attr_ints("kernel_shape", two, 2), tn_attr_ints("strides", two, 2)};
    x = tn_draft_op(d, "Conv", "conv1", TN_IN(x, w1, b1), TN_PLAIN);
    x = tn_draft_op(d, "MaxPool", "pool1", TN_IN(x), window, 2);
    x = tn_draft_op(d, "Conv", "conv2", TN_IN(x, w2, b2), TN_PLAIN);
    x = tn_draft_op(d, "MaxPool", "pool2", TN_IN(x), window, 2);
    x = tn_draft_op(d, "Flatten", "flat", TN_IN(x), TN_PLAIN);
    x = tn_draft_op(d, "Gemm", "fc1", TN_IN(x, w3, b3), TN_WITH(tn_attr_int("transB", 1)));
    x = tn_draft_op(d, "Relu", "relu", TN_IN(x), TN_PLAIN);
    x = tn_draft_op(d, "Gemm", "fc2", TN_IN(x, w4, b4), TN_WITH(tn_attr_int("transB", 1)));
    return tn_draft_op(d, "SoftmaxCrossEntropyLoss", "loss", TN_IN(x, labels), TN_PLAIN);
}

/* `layers` bidirectional LSTM (or GRU) layers over [9, n, 2], a linear layer on the last step, the
 * mean square of what is missing to the target. */
static inline tn_value *network_forecast(tn_draft *d, tn_dtype type, const char *op, int layers,
                                         int64_t hidden)
{
    const int64_t back[] = {0, 2, 1, 3}, shape[] = {0, 0, -1}, time = 9;
    int64_t gates = op[0] == 'L' ? 4 : 3, width = 2;
    tn_value *x = NETWORK_INPUT(d, "_x", type, time, -1, 2);
    tn_value *target = NETWORK_INPUT(d, "_target", type, -1, 2), *y[3];
    tn_attr attr[] = {tn_attr_text("direction", "bidirectional"),
                      tn_attr_int("linear_before_reset", 1)};
    for (int i = 0; i < layers; i++) {
        char name[3][32];
        for (int k = 0; k < 3; k++) snprintf(name[k], sizeof(name[k]), "%c%d", "wrb"[k], i);
        tn_value *w = NETWORK_INPUT(d, name[0], type, 2, gates * hidden, width);
        tn_value *r = NETWORK_INPUT(d, name[1], type, 2, gates * hidden, hidden);
        tn_value *b = NETWORK_INPUT(d, name[2], type, 2, 2 * gates * hidden);
        tn_draft_ops(d, op, "rnn", TN_IN(x, w, r, b), attr, op[0] == 'L' ? 1 : 2, y, 2);
        x = tn_draft_transpose(d, "swap", y[0], back, 4);
        x = tn_draft_reshape(d, "join", x, shape, 3);
        width = 2 * hidden;
    }
    tn_value *w = NETWORK_INPUT(d, "fc.weight", type, 2, width);
    tn_value *b = NETWORK_INPUT(d, "fc.bias", type, 2);
    x = tn_draft_squeeze(d, "last", tn_draft_slice(d, "last", x, 0, time - 1, time), 0);
    x = tn_draft_op(d, "Gemm", "fc", TN_IN(x, w, b), TN_WITH(tn_attr_int("transB", 1)));
    x = tn_draft_op(d, "Sub", "missing", TN_IN(x, target), TN_PLAIN);
    x = tn_draft_op(d, "Mul", "square", TN_IN(x, x), TN_PLAIN);
    return tn_draft_op(d, "ReduceMean", "loss", TN_IN(x), TN_WITH(tn_attr_int("keepdims", 0)));
}

#endif
