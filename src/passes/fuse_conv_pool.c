/* For cards: a first layer and the pooling behind it as one node, so that the layer's result, the
 * largest of a network, does not go through memory.
 *
 *     ChannelsLastPool(ChannelsLastConv{x_first=1}(x, w, b))  ->  ConvPool(x, w, b)
 *
 * Only of 16-bit elements, for which there is a kernel that gains by it. */
#include <string.h>

#include "ir/draft.h"
#include "passes/passes.h"

enum { W = 1, BIAS, INPUTS, LAYER_ATTRS = 12, POOL_ATTRS = 4 };

static bool is_one(const tn_attr *attr)
{
    for (int64_t i = 0; attr && i < attr->count; i++)
        if (attr->ints[i] != 1) return false;
    return true;
}

/* A window that the kernel takes. */
static bool is_narrow(const tn_node *node)
{
    enum { TAPS_MAX = 16, CHANNELS_MAX = 4 };
    const tn_attr *strides = tn_node_find_attr(node, "strides");
    const tn_type *w = &node->in[W]->type;
    const tn_exprs *exprs = node->graph->exprs;
    int64_t size;
    if (w->rank != 4 || !strides || strides->count != 2 || strides->ints[1] % 2) return false;
    for (int i = 1; i < w->rank; i++)
        if (!tn_expr_is_const(exprs, w->dim[i], &size) ||
            size > (i < w->rank - 1 ? TAPS_MAX : CHANNELS_MAX))
            return false;
    return is_one(tn_node_find_attr(node, "dilations"));
}

static bool is_first(const tn_node *node)
{
    const tn_attr *auto_pad = tn_node_find_attr(node, "auto_pad");
    tn_dtype dtype = node->out[0]->type.dtype;
    for (int i = INPUTS; i < node->in_count; i++)
        if (node->in[i]) return false;
    return (dtype == TN_DTYPE_F16 || dtype == TN_DTYPE_BF16) && !auto_pad &&
           tn_node_int_attr(node, "x_first", 0) && tn_node_int_attr(node, "group", 1) == 1 &&
           tn_value_is_constant(node->in[W]) && is_narrow(node) && node->attr_count <= LAYER_ATTRS;
}

/* The layer whose result only this pooling reads; NULL: nothing of the kind. */
static const tn_node *layer_of(const tn_node *pool)
{
    const tn_value *x = pool->in[0];
    if (strcmp(pool->op->name, "ChannelsLastPool") || tn_node_int_attr(pool, "average", 0) ||
        tn_node_find_attr(pool, "auto_pad") || !is_one(tn_node_find_attr(pool, "dilations")))
        return NULL;
    if (x->kind != TN_VALUE_NODE || x->use_count != 1 || x->output_count) return NULL;
    const tn_node *conv = x->producer;
    return !strcmp(conv->op->name, "ChannelsLastConv") && is_first(conv) ? conv : NULL;
}

static tn_status fuse(tn_node *pool, const tn_node *conv)
{
    static const struct {
        const char *from, *to;
    } names[] = {{"kernel_shape", "pool_shape"},
                 {"strides", "pool_strides"},
                 {"pads", "pool_pads"},
                 {"ceil_mode", "pool_ceil_mode"}};
    tn_draft d = {.graph = pool->graph, .before = pool};
    tn_attr attr[LAYER_ATTRS + POOL_ATTRS];
    int count = 0;
    for (int i = 0; i < conv->attr_count; i++)
        if (strcmp(conv->attr[i].name, "x_first")) attr[count++] = conv->attr[i];
    for (size_t i = 0; i < TN_COUNT(names); i++) {
        const tn_attr *found = tn_node_find_attr(pool, names[i].from);
        if (!found) continue;
        attr[count] = *found;
        attr[count++].name = names[i].to;
    }
    tn_value *in[INPUTS] = {conv->in[0], conv->in[W],
                            conv->in_count > BIAS ? conv->in[BIAS] : NULL};
    tn_value *y = tn_draft_op(&d, "ConvPool", pool->name, in, INPUTS, attr, count);
    TN_TRY(tn_draft_end(&d));
    return tn_value_replace(pool->out[0], y);
}

static tn_status run(tn_graph *graph, int64_t *changed)
{
    for (tn_node *node = graph->first; node; node = node->next) {
        const tn_node *conv = node->in_count > 0 && node->in[0] ? layer_of(node) : NULL;
        if (!conv || !tn_value_has_users(node->out[0])) continue;
        TN_TRY(fuse(node, conv));
        ++*changed;
    }
    return NULL;
}

const tn_pass tn_pass_fuse_conv_pool = {
    .name = "fuse_conv_pool",
    .about = "a first layer and the pooling behind it as one node",
    .run = run,
    .only_engines = true,
    .only_cards = true,
};
