/* Products of 8-bit matrices whose sums become reals. */
#include "ops/contrib/contrib.h"

tn_value *tn_contrib_scaled_matmul(tn_rewrite *r, tn_value *a, tn_value *b, tn_value *a_zero,
                                   tn_value *b_zero, tn_value *a_scale, tn_value *b_scale,
                                   tn_value *bias)
{
    tn_dtype dtype = tn_rewrite_type(r, a_scale).dtype;
    tn_value *sums = TN_MAKE(r, "MatMulInteger", a, b, a_zero, b_zero);
    tn_value *scale = TN_MAKE(r, "Mul", a_scale, b_scale);
    tn_value *y = TN_MAKE(r, "Mul", tn_rewrite_cast(r, sums, dtype), scale);
    return bias ? TN_MAKE(r, "Add", y, bias) : y;
}

tn_status tn_contrib_ms_matmul_integer_to_float(tn_graph *graph, tn_node *node)
{
    tn_rewrite r = tn_rewrite_of(graph, node);
    tn_value *in[7];
    for (int i = 0; i < 7; i++) in[i] = tn_rewrite_in(&r, i);
    tn_rewrite_give(&r, 0,
                    tn_contrib_scaled_matmul(&r, in[0], in[1], in[4], in[5], in[2], in[3], in[6]));
    return tn_rewrite_end(&r);
}

tn_status tn_contrib_ms_dynamic_quantize_matmul(tn_graph *graph, tn_node *node)
{
    tn_rewrite r = tn_rewrite_of(graph, node);
    tn_value *a = TN_MAKE_OUTS(&r, 3, "DynamicQuantizeLinear", tn_rewrite_in(&r, 0));
    tn_value *scale = tn_rewrite_out(&r, a, 1), *zero = tn_rewrite_out(&r, a, 2);
    tn_rewrite_give(&r, 0,
                    tn_contrib_scaled_matmul(&r, a, tn_rewrite_in(&r, 1), zero,
                                             tn_rewrite_in(&r, 3), scale, tn_rewrite_in(&r, 2),
                                             tn_rewrite_in(&r, 4)));
    return tn_rewrite_end(&r);
}

static tn_value *transpose_if(tn_rewrite *r, tn_value *x, const char *attr)
{
    int64_t perm[] = {1, 0};
    return tn_node_int_attr(r->node, attr, 0) ? tn_rewrite_transpose(r, x, perm, 2) : x;
}

/* alpha * a_scale * b_scale * (sums + C); C has the scale of the sums. */
tn_status tn_contrib_ms_qgemm(tn_graph *graph, tn_node *node)
{
    tn_rewrite r = tn_rewrite_of(graph, node);
    double alpha = tn_node_float_attr(node, "alpha", 1);
    tn_value *a = transpose_if(&r, tn_rewrite_in(&r, 0), "transA");
    tn_value *b = transpose_if(&r, tn_rewrite_in(&r, 3), "transB");
    tn_value *c = tn_rewrite_in(&r, 6), *y_scale = tn_rewrite_in(&r, 7),
             *y_zero = tn_rewrite_in(&r, 8);
    tn_value *y = TN_MAKE(&r, "MatMulInteger", a, b, tn_rewrite_in(&r, 2), tn_rewrite_in(&r, 5));
    tn_value *scale = TN_MAKE(&r, "Mul", tn_rewrite_in(&r, 1), tn_rewrite_in(&r, 4));
    if (alpha != 1) scale = TN_MAKE(&r, "Mul", scale, tn_rewrite_scalar(&r, TN_DTYPE_F32, alpha));
    if (c) y = TN_MAKE(&r, "Add", y, c);
    y = TN_MAKE(&r, "Mul", tn_rewrite_cast(&r, y, TN_DTYPE_F32), scale);
    if (y_scale)
        y = tn_contrib_quantize(&r, y, y_scale, y_zero,
                                tn_rewrite_type(&r, tn_rewrite_in(&r, 0)).dtype);
    tn_rewrite_give(&r, 0, y);
    return tn_rewrite_end(&r);
}

/* [D, I, 4H] of bytes, scaled by direction or by direction and column, to reals [D, 4H, I]. */
static tn_value *widen_gates(tn_rewrite *r, int weights, int scale)
{
    const int64_t perm[] = {0, 2, 1}, whole[] = {-1, 1, 1};
    tn_value *part[3] = {tn_rewrite_in(r, weights), tn_rewrite_in(r, scale),
                         tn_rewrite_in(r, scale + 1)};
    for (int i = 1; i < 3; i++) {
        bool wide = tn_rewrite_rank(r, part[i]) == 2;
        part[i] =
            wide ? tn_rewrite_unsqueeze(r, part[i], 1) : tn_rewrite_reshape(r, part[i], whole, 3);
    }
    tn_value *w = TN_MAKE(r, "Sub", tn_rewrite_cast(r, part[0], TN_DTYPE_F32),
                          tn_rewrite_cast(r, part[2], TN_DTYPE_F32));
    return tn_rewrite_transpose(r, TN_MAKE(r, "Mul", w, part[1]), perm, 3);
}

tn_status tn_contrib_ms_dynamic_quantize_lstm(tn_graph *graph, tn_node *node)
{
    tn_rewrite r = tn_rewrite_of(graph, node);
    tn_value *w = widen_gates(&r, 1, 8), *u = widen_gates(&r, 2, 10);
    tn_value *y = TN_MAKE_OUTS(&r, 3, "LSTM", tn_rewrite_in(&r, 0), w, u, tn_rewrite_in(&r, 3),
                               tn_rewrite_in(&r, 4), tn_rewrite_in(&r, 5), tn_rewrite_in(&r, 6),
                               tn_rewrite_in(&r, 7));
    y = tn_contrib_copy(&r, y,
                        "activation_alpha|activation_beta|activations|clip|direction|"
                        "hidden_size|input_forget");
    for (int i = 0; i < 3; i++) tn_rewrite_give(&r, i, tn_rewrite_out(&r, y, i));
    return tn_rewrite_end(&r);
}
