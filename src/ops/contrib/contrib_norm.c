/* Normalisations of sums. */
#include "ops/contrib/contrib.h"

/* ONNX Runtime's own default; that of the standard operators is 1e-5. */
#define SKIP_EPSILON 1e-12

static tn_value *add_skip(tn_rewrite *r, int bias)
{
    tn_value *sum = TN_MAKE(r, "Add", tn_rewrite_in(r, 0), tn_rewrite_in(r, 1));
    return tn_rewrite_in(r, bias) ? TN_MAKE(r, "Add", sum, tn_rewrite_in(r, bias)) : sum;
}

static tn_value *layer_norm(tn_rewrite *r, tn_value *x, tn_value *gamma, tn_value *beta)
{
    double epsilon = tn_node_float_attr(r->node, "epsilon", SKIP_EPSILON);
    tn_value *y = TN_MAKE_OUTS(r, 3, "LayerNormalization", x, gamma, beta);
    return tn_rewrite_float(r, tn_rewrite_int(r, y, "axis", -1), "epsilon", epsilon);
}

tn_status tn_contrib_ms_skip_layer_norm(tn_graph *graph, tn_node *node)
{
    tn_rewrite r = tn_rewrite_of(graph, node);
    tn_value *sum = add_skip(&r, 4);
    tn_value *y = layer_norm(&r, sum, tn_rewrite_in(&r, 2), tn_rewrite_in(&r, 3));
    for (int i = 0; i < 3; i++) tn_rewrite_give(&r, i, tn_rewrite_out(&r, y, i));
    tn_rewrite_give(&r, 3, sum);
    return tn_rewrite_end(&r);
}

tn_status tn_contrib_ms_skip_rms_norm(tn_graph *graph, tn_node *node)
{
    tn_rewrite r = tn_rewrite_of(graph, node);
    double epsilon = tn_node_float_attr(node, "epsilon", SKIP_EPSILON);
    tn_value *sum = add_skip(&r, 3);
    tn_value *y = TN_MAKE(&r, "RMSNormalization", sum, tn_rewrite_in(&r, 2));
    tn_rewrite_give(&r, 0, tn_rewrite_float(&r, y, "epsilon", epsilon));
    tn_rewrite_give(&r, 3, sum);
    return tn_rewrite_end(&r);
}

tn_status tn_contrib_ms_rms_norm(tn_graph *graph, tn_node *node)
{
    tn_rewrite r = tn_rewrite_of(graph, node);
    tn_value *y = TN_MAKE(&r, "RMSNormalization", tn_rewrite_in(&r, 0), tn_rewrite_in(&r, 1));
    tn_rewrite_give(&r, 0, tn_contrib_copy(&r, y, "axis|epsilon|stash_type"));
    return tn_rewrite_end(&r);
}

/* Inputs 2 to 6 are tables and factors. QEmbedLayerNormalization has them in 8 bits, with five
 * scales and five zero points behind. */
enum { IDS, SEGMENTS, WORDS, PLACES, KINDS, GAMMA, BETA, MASK, POSITIONS, SCALES = 8, ZEROS = 13 };

static tn_value *widen(tn_rewrite *r, tn_value *x, int input, bool quantised)
{
    if (!quantised) return x;
    return tn_contrib_dequantize(r, x, tn_rewrite_in(r, SCALES + input - WORDS),
                                 tn_rewrite_in(r, ZEROS + input - WORDS));
}

static tn_value *look_up(tn_rewrite *r, int table, int index, bool quantised)
{
    tn_value *rows = TN_MAKE(r, "Gather", tn_rewrite_in(r, table), tn_rewrite_in(r, index));
    return widen(r, rows, table, quantised);
}

/* The positions of a sentence are 0, 1, ... unless they are given. */
static tn_value *look_up_places(tn_rewrite *r, bool quantised)
{
    const int64_t zero = 0;
    if (!quantised && tn_rewrite_in(r, POSITIONS)) return look_up(r, PLACES, POSITIONS, false);
    tn_value *rows =
        TN_MAKE(r, "Slice", tn_rewrite_in(r, PLACES), tn_rewrite_vector(r, &zero, 1),
                tn_rewrite_dim(r, tn_rewrite_in(r, IDS), 1), tn_rewrite_vector(r, &zero, 1));
    return widen(r, rows, PLACES, quantised);
}

/* How many words of each sentence the mask leaves; zeros without a mask. */
static tn_value *count_words(tn_rewrite *r)
{
    tn_value *mask = tn_rewrite_in(r, MASK), *ids = tn_rewrite_in(r, IDS);
    tn_dtype dtype = tn_rewrite_type(r, ids).dtype;
    int64_t one = 1;
    if (!mask)
        return TN_MAKE(r, "Expand", tn_rewrite_scalar(r, dtype, 0), tn_rewrite_dim(r, ids, 0));
    tn_value *left = TN_MAKE(r, "Equal", mask, tn_rewrite_scalar(r, dtype, 1));
    left = TN_MAKE(r, "ReduceSum", tn_rewrite_cast(r, left, dtype), tn_rewrite_vector(r, &one, 1));
    return tn_rewrite_int(r, left, "keepdims", 0);
}

static tn_status embed(tn_graph *graph, tn_node *node, bool quantised)
{
    tn_rewrite r = tn_rewrite_of(graph, node);
    tn_value *sum = look_up(&r, WORDS, IDS, quantised);
    sum = TN_MAKE(&r, "Add", sum, look_up_places(&r, quantised));
    if (tn_rewrite_in(&r, SEGMENTS) && tn_rewrite_in(&r, KINDS))
        sum = TN_MAKE(&r, "Add", sum, look_up(&r, KINDS, SEGMENTS, quantised));
    tn_rewrite_give(&r, 0,
                    layer_norm(&r, sum, widen(&r, tn_rewrite_in(&r, GAMMA), GAMMA, quantised),
                               widen(&r, tn_rewrite_in(&r, BETA), BETA, quantised)));
    if (tn_rewrite_wants(&r, 1)) tn_rewrite_give(&r, 1, count_words(&r));
    tn_rewrite_give(&r, 2, sum);
    return tn_rewrite_end(&r);
}

tn_status tn_contrib_ms_embed_layer_norm(tn_graph *graph, tn_node *node)
{
    return embed(graph, node, false);
}

tn_status tn_contrib_ms_qembed_layer_norm(tn_graph *graph, tn_node *node)
{
    return embed(graph, node, true);
}

tn_status tn_contrib_ms_group_norm(tn_graph *graph, tn_node *node)
{
    tn_rewrite r = tn_rewrite_of(graph, node);
    bool last = tn_node_int_attr(node, "channels_last", 1) != 0;
    tn_value *x = tn_rewrite_in(&r, 0);
    tn_dtype dtype = tn_rewrite_type(&r, x).dtype;
    int rank = last ? tn_rewrite_rank(&r, x) : 0;
    tn_value *gamma = tn_rewrite_cast(&r, tn_rewrite_in(&r, 1), dtype);
    tn_value *beta = tn_rewrite_cast(&r, tn_rewrite_in(&r, 2), dtype);
    x = tn_contrib_channels_first(&r, x, last);
    tn_value *y = TN_MAKE(&r, "GroupNormalization", x, gamma, beta);
    y = tn_rewrite_copy(&r, tn_contrib_copy(&r, y, "epsilon"), "num_groups", "groups");
    if (tn_node_int_attr(node, "activation", 0))
        y = TN_MAKE(&r, "Mul", y, TN_MAKE(&r, "Sigmoid", y));
    tn_rewrite_give(&r, 0, tn_contrib_channels_last(&r, y, rank, last));
    return tn_rewrite_end(&r);
}
