/* Quantised operators: to reals, the operator, and back. Kernels for the whole of it are a matter
 * of the passes, which see the same pattern from exporters that write it out. */
#include "ops/contrib/contrib.h"

tn_value *tn_contrib_dequantize(tn_rewrite *r, tn_value *x, tn_value *scale, tn_value *zero)
{
    return TN_MAKE(r, "DequantizeLinear", x, scale, zero);
}

tn_value *tn_contrib_quantize(tn_rewrite *r, tn_value *x, tn_value *scale, tn_value *zero,
                              tn_dtype dtype)
{
    tn_value *y = TN_MAKE(r, "QuantizeLinear", x, scale, zero);
    return zero ? y : tn_rewrite_int(r, y, "output_dtype", (int64_t)dtype);
}

/* ---- QuantizeLinear and DequantizeLinear
 * ----------------------------------------------------------*/

static tn_status rename_quantize(tn_graph *graph, tn_node *node, const char *op)
{
    tn_rewrite r = tn_rewrite_of(graph, node);
    tn_value *y = TN_MAKE(&r, op, tn_rewrite_in(&r, 0), tn_rewrite_in(&r, 1), tn_rewrite_in(&r, 2));
    tn_rewrite_give(&r, 0, tn_contrib_copy(&r, y, "axis"));
    return tn_rewrite_end(&r);
}

tn_status tn_contrib_ms_quantize_linear(tn_graph *graph, tn_node *node)
{
    return rename_quantize(graph, node, "QuantizeLinear");
}

tn_status tn_contrib_ms_dequantize_linear(tn_graph *graph, tn_node *node)
{
    return rename_quantize(graph, node, "DequantizeLinear");
}

/* ---- Of one tensor: x, its scale and zero point, those of y
 * ---------------------------------------*/

static tn_value *take_real(tn_rewrite *r, int input)
{
    return tn_contrib_dequantize(r, tn_rewrite_in(r, input), tn_rewrite_in(r, input + 1),
                                 tn_rewrite_in(r, input + 2));
}

static tn_status give_quantised(tn_rewrite *r, tn_value *y, int scale)
{
    tn_dtype dtype = tn_rewrite_type(r, tn_rewrite_in(r, 0)).dtype;
    tn_rewrite_give(
        r, 0,
        tn_contrib_quantize(r, y, tn_rewrite_in(r, scale), tn_rewrite_in(r, scale + 1), dtype));
    return tn_rewrite_end(r);
}

static tn_status unary(tn_graph *graph, tn_node *node, const char *op, const char *attrs)
{
    tn_rewrite r = tn_rewrite_of(graph, node);
    tn_value *y = TN_MAKE(&r, op, take_real(&r, 0));
    return give_quantised(&r, tn_contrib_copy(&r, y, attrs), 3);
}

tn_status tn_contrib_ms_qlinear_sigmoid(tn_graph *graph, tn_node *node)
{
    return unary(graph, node, "Sigmoid", NULL);
}

tn_status tn_contrib_ms_qlinear_leaky_relu(tn_graph *graph, tn_node *node)
{
    return unary(graph, node, "LeakyRelu", "alpha");
}

static tn_status pool(tn_graph *graph, tn_node *node, const char *op, const char *attrs)
{
    tn_rewrite r = tn_rewrite_of(graph, node);
    bool last = tn_node_int_attr(node, "channels_last", 0) != 0;
    int rank = last ? tn_rewrite_rank(&r, tn_rewrite_in(&r, 0)) : 0;
    tn_value *y = TN_MAKE(&r, op, tn_contrib_channels_first(&r, take_real(&r, 0), last));
    y = tn_contrib_channels_last(&r, tn_contrib_copy(&r, y, attrs), rank, last);
    return give_quantised(&r, y, 3);
}

tn_status tn_contrib_ms_qlinear_average_pool(tn_graph *graph, tn_node *node)
{
    return pool(graph, node, "AveragePool",
                "auto_pad|ceil_mode|count_include_pad|kernel_shape|pads|strides");
}

tn_status tn_contrib_ms_qlinear_global_average_pool(tn_graph *graph, tn_node *node)
{
    return pool(graph, node, "GlobalAveragePool", NULL);
}

tn_status tn_contrib_ms_qlinear_softmax(tn_graph *graph, tn_node *node)
{
    tn_rewrite r = tn_rewrite_of(graph, node);
    int64_t axis = tn_node_int_attr(node, "axis", -1);
    bool flat = tn_node_int_attr(node, "opset", 13) < 13;
    tn_value *x = take_real(&r, 0), *y = x;
    if (flat) y = tn_rewrite_int(&r, TN_MAKE(&r, "Flatten", y), "axis", axis);
    y = tn_rewrite_int(&r, TN_MAKE(&r, "Softmax", y), "axis", flat ? -1 : axis);
    if (flat) y = TN_MAKE(&r, "Reshape", y, TN_MAKE(&r, "Shape", x));
    return give_quantised(&r, y, 3);
}

tn_status tn_contrib_ms_qlinear_reduce_mean(tn_graph *graph, tn_node *node)
{
    tn_rewrite r = tn_rewrite_of(graph, node);
    const tn_attr *axes = tn_node_find_attr(node, "axes");
    bool some = axes && axes->kind == TN_ATTR_INTS && axes->count > 0;
    tn_value *y = TN_MAKE(&r, "ReduceMean", take_real(&r, 0),
                          some ? tn_rewrite_vector(&r, axes->ints, axes->count) : NULL);
    return give_quantised(&r, tn_contrib_copy(&r, y, "keepdims"), 3);
}

/* ---- Of several
 * -----------------------------------------------------------------------------------*/

static tn_status binary(tn_graph *graph, tn_node *node, const char *op)
{
    tn_rewrite r = tn_rewrite_of(graph, node);
    return give_quantised(&r, TN_MAKE(&r, op, take_real(&r, 0), take_real(&r, 3)), 6);
}

tn_status tn_contrib_ms_qlinear_add(tn_graph *graph, tn_node *node)
{
    return binary(graph, node, "Add");
}

tn_status tn_contrib_ms_qlinear_mul(tn_graph *graph, tn_node *node)
{
    return binary(graph, node, "Mul");
}

tn_status tn_contrib_ms_qlinear_where(tn_graph *graph, tn_node *node)
{
    tn_rewrite r = tn_rewrite_of(graph, node);
    tn_value *x = take_real(&r, 1), *y = take_real(&r, 4);
    tn_value *z = TN_MAKE(&r, "Where", tn_rewrite_in(&r, 0), x, y);
    tn_rewrite_give(
        &r, 0, tn_contrib_quantize(&r, z, tn_rewrite_in(&r, 7), tn_rewrite_in(&r, 8), TN_DTYPE_U8));
    return tn_rewrite_end(&r);
}

/* Scale and zero point of y, then tensor, scale and zero point of each part. */
tn_status tn_contrib_ms_qlinear_concat(tn_graph *graph, tn_node *node)
{
    tn_rewrite r = tn_rewrite_of(graph, node);
    int parts = (node->in_count - 2) / 3;
    TN_REWRITE_CHECK(&r, parts > 0 && parts * 3 + 2 == node->in_count, TN_INVALID,
                     "it has %d inputs; after the first two they come in threes", node->in_count);
    if (r.status) return tn_rewrite_end(&r);
    tn_value **real = TN_NEW_ARRAY(graph->arena, tn_value *, parts);
    TN_CHECK(real, TN_OUT_OF_MEMORY, "no memory for %d tensors", parts);
    for (int i = 0; i < parts; i++) real[i] = take_real(&r, 2 + 3 * i);
    tn_value *y = tn_contrib_copy(&r, tn_rewrite_make(&r, "Concat", real, parts, 1), "axis");
    tn_rewrite_give(
        &r, 0, tn_contrib_quantize(&r, y, tn_rewrite_in(&r, 0), tn_rewrite_in(&r, 1), TN_DTYPE_U8));
    return tn_rewrite_end(&r);
}

tn_status tn_contrib_ms_qlinear_conv(tn_graph *graph, tn_node *node)
{
    tn_rewrite r = tn_rewrite_of(graph, node);
    bool last = tn_node_int_attr(node, "channels_last", 0) != 0;
    tn_value *in[9];
    for (int i = 0; i < 9; i++) in[i] = tn_rewrite_in(&r, i);
    int rank = last ? tn_rewrite_rank(&r, in[0]) : 0;
    in[0] = tn_contrib_channels_first(&r, in[0], last);
    tn_value *y = tn_rewrite_make(&r, "QLinearConv", in, 9, 1);
    y = tn_contrib_copy(&r, y, "auto_pad|dilations|group|kernel_shape|pads|strides");
    tn_rewrite_give(&r, 0, tn_contrib_channels_last(&r, y, rank, last));
    return tn_rewrite_end(&r);
}
