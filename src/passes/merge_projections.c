/* For cards: the projection that goes around a block of layers, a convolution of single pixels
 * whose result is only a residual, as part of the sum that it is added to. One product with more
 * channels instead of two, and nothing in between that goes through memory.
 *
 *     ChannelsLastConv(x, w, b, ChannelsLastConv(x2, w2, b2))
 *       ->  ChannelsLastConv(x, w, b + b2, none, x2, w2)
 *
 * Only of 16-bit elements, for which there is a kernel that gains by it. */
#include <string.h>

#include "ir/draft.h"
#include "passes/passes.h"

enum { X, W, BIAS, RESIDUAL, X2, W2, INPUTS, ATTRS_MAX = 24 };

static tn_value *input(const tn_node *node, int index)
{
    return index < node->in_count ? node->in[index] : NULL;
}

static bool is_conv(const tn_node *node)
{
    tn_dtype dtype = node && node->in_count > W && node->in[X] ? node->in[X]->type.dtype : 0;
    return (dtype == TN_DTYPE_F16 || dtype == TN_DTYPE_BF16) &&
           !strcmp(node->op->name, "ChannelsLastConv") && !tn_node_int_attr(node, "x_first", 0) &&
           tn_node_int_attr(node, "group", 1) == 1 && node->attr_count < ATTRS_MAX;
}

static bool is_of_pixels(const tn_node *conv)
{
    const tn_type *w = &conv->in[W]->type;
    const tn_attr *pads = tn_node_find_attr(conv, "pads");
    int64_t taps;
    for (int i = 1; i < w->rank - 1; i++)
        if (!tn_expr_is_const(conv->graph->exprs, w->dim[i], &taps) || taps != 1) return false;
    for (int64_t i = 0; pads && i < pads->count; i++)
        if (pads->ints[i] != 0) return false;
    return w->rank > 2;
}

/* What gives the residual of a node, if nobody else reads it; NULL: nothing of the kind. */
static const tn_node *other_of(const tn_node *node)
{
    const tn_value *sum = input(node, RESIDUAL);
    if (!sum || sum->kind != TN_VALUE_NODE || sum->use_count != 1 || sum->output_count ||
        input(node, X2))
        return NULL;
    const tn_node *conv = sum->producer;
    return is_conv(conv) && conv->in_count <= RESIDUAL && !tn_node_find_attr(conv, "activation")
               ? conv
               : NULL;
}

static bool is_of_window(const tn_attr *attr)
{
    static const char *const names[] = {"kernel_shape", "strides", "pads",
                                        "dilations",    "group",   "auto_pad"};
    for (size_t i = 0; i < TN_COUNT(names); i++)
        if (!strcmp(attr->name, names[i])) return true;
    return false;
}

/* One of the two is the projection; the activation is the node's. */
static tn_status merge(tn_node *node, const tn_node *conv, const tn_node *projection)
{
    tn_draft d = {.graph = node->graph, .before = node};
    tn_value *bias = input(conv, BIAS), *more = input(projection, BIAS);
    const tn_attr *strides = tn_node_find_attr(projection, "strides");
    tn_attr attr[2 * ATTRS_MAX];
    int count = 0;
    for (int i = 0; i < conv->attr_count; i++)
        if (is_of_window(&conv->attr[i])) attr[count++] = conv->attr[i];
    for (int i = 0; i < node->attr_count; i++)
        if (!is_of_window(&node->attr[i])) attr[count++] = node->attr[i];
    if (strides) attr[count++] = tn_attr_ints("more_strides", strides->ints, strides->count);
    if (bias && more) bias = tn_draft_op(&d, "Add", NULL, TN_IN(bias, more), TN_PLAIN);
    tn_value *in[INPUTS] = {conv->in[X], conv->in[W],       bias ? bias : more,
                            NULL,        projection->in[X], projection->in[W]};
    tn_value *y = tn_draft_op(&d, "ChannelsLastConv", node->name, in, INPUTS, attr, count);
    TN_TRY(tn_draft_end(&d));
    return tn_value_replace(node->out[0], y);
}

static tn_status run(tn_graph *graph, int64_t *changed)
{
    for (tn_node *node = graph->first; node; node = node->next) {
        const tn_node *other = is_conv(node) ? other_of(node) : NULL;
        if (!other || !tn_value_has_users(node->out[0])) continue;
        if (is_of_pixels(other)) TN_TRY(merge(node, node, other));
        else if (is_of_pixels(node)) TN_TRY(merge(node, other, node));
        else continue;
        ++*changed;
    }
    return NULL;
}

const tn_pass tn_pass_merge_projections = {
    .name = "merge_projections",
    .about = "the projection around a block of layers as part of the sum it is added to",
    .run = run,
    .only_engines = true,
    .only_cards = true,
};
