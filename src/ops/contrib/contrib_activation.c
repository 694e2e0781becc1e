/* Activations with a bias, and softmax with one. */
#include "ops/contrib/contrib.h"

static tn_value *gelu(tn_rewrite *r, tn_value *x)
{
    return TN_MAKE(r, "Gelu", x);
}

tn_status tn_contrib_ms_gelu(tn_graph *graph, tn_node *node)
{
    tn_rewrite r = tn_rewrite_of(graph, node);
    tn_rewrite_give(&r, 0, gelu(&r, tn_rewrite_in(&r, 0)));
    return tn_rewrite_end(&r);
}

tn_status tn_contrib_ms_bias_gelu(tn_graph *graph, tn_node *node)
{
    tn_rewrite r = tn_rewrite_of(graph, node);
    tn_value *sum = TN_MAKE(&r, "Add", tn_rewrite_in(&r, 0), tn_rewrite_in(&r, 1));
    tn_rewrite_give(&r, 0, gelu(&r, sum));
    return tn_rewrite_end(&r);
}

tn_status tn_contrib_ms_fast_gelu(tn_graph *graph, tn_node *node)
{
    tn_rewrite r = tn_rewrite_of(graph, node);
    tn_value *x = tn_rewrite_in(&r, 0), *bias = tn_rewrite_in(&r, 1);
    if (bias) x = TN_MAKE(&r, "Add", x, bias);
    tn_rewrite_give(&r, 0, tn_rewrite_text(&r, gelu(&r, x), "approximate", "tanh"));
    return tn_rewrite_end(&r);
}

tn_status tn_contrib_ms_quick_gelu(tn_graph *graph, tn_node *node)
{
    tn_rewrite r = tn_rewrite_of(graph, node);
    tn_value *x = tn_rewrite_in(&r, 0);
    double alpha = tn_node_float_attr(node, "alpha", 1.702f);
    tn_value *factor = tn_rewrite_scalar(&r, tn_rewrite_type(&r, x).dtype, alpha);
    tn_value *gate = TN_MAKE(&r, "Sigmoid", TN_MAKE(&r, "Mul", x, factor));
    tn_rewrite_give(&r, 0, TN_MAKE(&r, "Mul", x, gate));
    return tn_rewrite_end(&r);
}

tn_status tn_contrib_ms_bias_split_gelu(tn_graph *graph, tn_node *node)
{
    tn_rewrite r = tn_rewrite_of(graph, node);
    tn_value *sum = TN_MAKE(&r, "Add", tn_rewrite_in(&r, 0), tn_rewrite_in(&r, 1));
    tn_value *left = TN_MAKE_OUTS(&r, 2, "Split", sum);
    left = tn_rewrite_int(&r, tn_rewrite_int(&r, left, "axis", -1), "num_outputs", 2);
    tn_value *right = tn_rewrite_out(&r, left, 1);
    tn_rewrite_give(&r, 0, TN_MAKE(&r, "Mul", left, gelu(&r, right)));
    return tn_rewrite_end(&r);
}

tn_status tn_contrib_ms_bias_add(tn_graph *graph, tn_node *node)
{
    tn_rewrite r = tn_rewrite_of(graph, node);
    tn_value *sum = TN_MAKE(&r, "Add", tn_rewrite_in(&r, 0), tn_rewrite_in(&r, 1));
    tn_rewrite_give(&r, 0, TN_MAKE(&r, "Add", sum, tn_rewrite_in(&r, 2)));
    return tn_rewrite_end(&r);
}

tn_status tn_contrib_ms_bias_softmax(tn_graph *graph, tn_node *node)
{
    tn_rewrite r = tn_rewrite_of(graph, node);
    int64_t axis = tn_node_int_attr(node, "axis", 1);
    int rank = tn_rewrite_rank(&r, tn_rewrite_in(&r, 0));
    tn_value *sum = TN_MAKE(&r, "Add", tn_rewrite_in(&r, 0), tn_rewrite_in(&r, 1)), *y = sum;
    bool last = axis == -1 || axis == rank - 1;
    if (!last) y = tn_rewrite_int(&r, TN_MAKE(&r, "Flatten", y), "axis", axis);
    y = tn_rewrite_int(&r, TN_MAKE(&r, "Softmax", y), "axis", -1);
    if (!last) y = TN_MAKE(&r, "Reshape", y, TN_MAKE(&r, "Shape", sum));
    tn_rewrite_give(&r, 0, y);
    return tn_rewrite_end(&r);
}
