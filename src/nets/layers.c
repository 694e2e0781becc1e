/* Layers that several networks have: see inside.h. */
#include <stdio.h>

#include "nets/inside.h"

tn_value *tn_net_parameter(tn_net_build *b, const char *layer, const char *what, const int64_t *dim,
                           int rank)
{
    char key[TN_NET_KEY_MAX];
    if (b->draft.failed) return NULL;
    int put = snprintf(key, sizeof(key), "%s%s%s", layer, *layer ? "." : "", what);
    TN_NET_WANT(b, put >= 0 && (size_t)put < sizeof(key), TN_INVALID, "a name of %d bytes", put);
    return b->draft.failed ? NULL : b->parameter(b, key, dim, rank);
}

tn_value *tn_net_input(tn_net_build *b, const char *name, tn_dtype dtype, const int64_t *dim,
                       const char *const *symbol, int rank)
{
    tn_exprs *exprs = b->draft.graph->exprs;
    tn_expr at[TN_RANK_MAX] = {0};
    if (b->draft.failed) return NULL;
    for (int i = 0; i < rank; i++)
        at[i] = dim[i] > 0 ? tn_expr_const(exprs, dim[i]) : tn_expr_symbol(exprs, symbol[i]);
    if (!tn_draft_try(&b->draft, tn_exprs_check(exprs))) return NULL;
    return tn_draft_input(&b->draft, name, tn_type_of(dtype, rank, at));
}

tn_value *tn_net_add(tn_net_build *b, const char *op, const char *name, tn_value *x, tn_value *y)
{
    if (!y) return tn_draft_op(&b->draft, op, name, TN_IN(x), TN_PLAIN);
    return tn_draft_op(&b->draft, op, name, TN_IN(x, y), TN_PLAIN);
}

tn_value *tn_net_add_conv(tn_net_build *b, const char *name, tn_value *x, const tn_net_conv *conv)
{
    const int64_t k = conv->kernel, s = TN_MAX(conv->stride, 1), p = conv->pad,
                  groups = TN_MAX(conv->groups, 1);
    tn_value *w = tn_net_parameter(b, name, "weight", TN_DIMS(conv->out, conv->in / groups, k, k));
    tn_value *bias = conv->no_bias ? NULL : tn_net_parameter(b, name, "bias", TN_DIMS(conv->out));
    return tn_draft_op(&b->draft, "Conv", name, TN_IN(x, w, bias),
                       TN_WITH(tn_attr_ints("kernel_shape", (int64_t[]){k, k}, 2),
                               tn_attr_ints("strides", (int64_t[]){s, s}, 2),
                               tn_attr_ints("pads", (int64_t[]){p, p, p, p}, 4),
                               tn_attr_int("group", groups)));
}

tn_value *tn_net_add_max_pool(tn_net_build *b, const char *name, tn_value *x, int64_t kernel,
                              int64_t stride, int64_t pad)
{
    return tn_draft_op(&b->draft, "MaxPool", name, TN_IN(x),
                       TN_WITH(tn_attr_ints("kernel_shape", (int64_t[]){kernel, kernel}, 2),
                               tn_attr_ints("strides", (int64_t[]){stride, stride}, 2),
                               tn_attr_ints("pads", (int64_t[]){pad, pad, pad, pad}, 4)));
}

tn_value *tn_net_add_linear(tn_net_build *b, const char *name, tn_value *x, int64_t in, int64_t out,
                            bool bias)
{
    char part[2][TN_NET_KEY_MAX];
    tn_draft *d = &b->draft;
    tn_value *w = tn_net_parameter(b, name, "weight", TN_DIMS(out, in));
    tn_value *c = bias ? tn_net_parameter(b, name, "bias", TN_DIMS(out)) : NULL;
    if (d->failed) return NULL;
    if (x->type.rank == 2)
        return tn_draft_op(d, "Gemm", name, TN_IN(x, w, c), TN_WITH(tn_attr_int("transB", 1)));
    snprintf(part[0], sizeof(part[0]), "%s/weight", name);
    snprintf(part[1], sizeof(part[1]), "%s/MatMul", name);
    w = tn_draft_transpose(d, part[0], w, TN_DIMS(1, 0));
    x = tn_net_add(b, "MatMul", c ? part[1] : name, x, w);
    return c ? tn_net_add(b, "Add", name, x, c) : x;
}

tn_value *tn_net_add_layer_norm(tn_net_build *b, const char *name, tn_value *x, int64_t width,
                                double epsilon)
{
    tn_value *w = tn_net_parameter(b, name, "weight", TN_DIMS(width));
    tn_value *bias = tn_net_parameter(b, name, "bias", TN_DIMS(width));
    return tn_draft_op(&b->draft, "LayerNormalization", name, TN_IN(x, w, bias),
                       TN_WITH(tn_attr_int("axis", -1), tn_attr_float("epsilon", epsilon)));
}
