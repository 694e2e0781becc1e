/* Where a block of a residual network ends and the next one begins, two convolutions one behind the
 * other become one node, so that the wide result between them is not read again.
 *
 *     m = ChannelsLastConv(x, w, b, residual, x2, w2), y = ChannelsLastConv(m, v, c)
 *       ->  y, m = ConvPair(x, w, b, residual, x2, w2, v, c)
 *
 * Only of 16-bit elements and single pixels, for which there is a kernel, and of so many pixels
 * that it gains. m stays for whoever else reads it, as long as they come behind the second. */
#include "passes/fuse_conv_pair.h"

#include <string.h>

#include "ir/op.h"
#include "ops/conv_pair/conv_pair.h"

enum { X, W, BIAS, RESIDUAL, X2, W2, FIRST_INS };
enum { ROWS_MIN = 16384, COLUMNS_MAX = 256 };
enum { WEIGHTS_MAX = 512 * 256 }; /* which every tile fetches */

static tn_value *input(const tn_node *node, int index)
{
    return index < node->in_count ? node->in[index] : NULL;
}

static bool is_all(const tn_node *node, const char *name, int64_t want)
{
    const tn_attr *attr = tn_node_find_attr(node, name);
    for (int64_t i = 0; attr && i < attr->count; i++)
        if (attr->ints[i] != want) return false;
    return true;
}

static bool is_of_pixels(const tn_node *node)
{
    tn_dtype dtype = node->in_count > W && node->in[X] ? node->in[X]->type.dtype : 0;
    if ((dtype != TN_DTYPE_F16 && dtype != TN_DTYPE_BF16) ||
        strcmp(node->op->name, "ChannelsLastConv") || tn_node_int_attr(node, "x_first", 0) ||
        tn_node_int_attr(node, "group", 1) != 1 || tn_node_find_attr(node, "auto_pad") ||
        !is_all(node, "pads", 0))
        return false;
    const tn_type *w = &node->in[W]->type;
    int64_t taps;
    for (int i = 1; i < w->rank - 1; i++)
        if (!tn_expr_is_const(node->graph->exprs, w->dim[i], &taps) || taps != 1) return false;
    return w->rank > 2 && tn_value_is_constant(node->in[W]);
}

static int64_t size_of(tn_expr dim, const int64_t *values, int64_t count)
{
    return dim != TN_EXPR_NONE && (int64_t)dim < count ? values[dim] : TN_EXPR_UNKNOWN;
}

/* Of weights, which have no more than one tap. */
static int64_t channels_of(const tn_node *node, int w, const int64_t *values, int64_t count)
{
    const tn_value *value = input(node, w);
    return value ? size_of(value->type.dim[value->type.rank - 1], values, count) : 0;
}

/* Many pixels, and weights that are few beside them. */
static bool is_worth_it(const tn_node *first, const tn_node *second, const int64_t *values,
                        int64_t count)
{
    const tn_type *m = &first->out[0]->type;
    int64_t rows = 1, size, columns = size_of(second->in[W]->type.dim[0], values, count);
    int64_t middle = channels_of(second, W, values, count);
    int64_t channels = channels_of(first, W, values, count);
    int64_t more = channels_of(first, W2, values, count);
    for (int i = 0; i < m->rank - 1; i++) {
        size = size_of(m->dim[i], values, count);
        if (size <= 0 || !tn_mul_i64(rows, size, &rows)) return false;
    }
    if (columns < 8 || channels < 8 || more < 0 || middle < 64) return false;
    return rows >= ROWS_MIN && middle % 64 == 0 && columns % 8 == 0 && columns <= COLUMNS_MAX &&
           middle <= WEIGHTS_MAX && channels <= WEIGHTS_MAX && more <= WEIGHTS_MAX &&
           middle * (channels + more + columns) <= WEIGHTS_MAX;
}

/* The first of those that read the result, if it is a product of it alone. */
static tn_node *second_of(const tn_node *first)
{
    const tn_value *m = first->out[0];
    for (tn_node *node = first->next; node; node = node->next) {
        int reads = 0;
        for (int i = 0; i < node->in_count; i++) reads += node->in[i] == m;
        if (!reads) continue;
        bool fits = reads == 1 && node->in[X] == m && is_of_pixels(node) &&
                    is_all(node, "strides", 1) && !input(node, RESIDUAL) && !input(node, X2);
        return fits ? node : NULL;
    }
    return NULL;
}

static tn_status take_attrs(tn_node *second, const tn_node *first)
{
    static const char *const names[][2] = {
        {"activation", "then_activation"}, {"alpha", "then_alpha"}, {"beta", "then_beta"}};
    tn_attr then[TN_COUNT(names)];
    int count = 0;
    for (size_t i = 0; i < TN_COUNT(names); i++) {
        const tn_attr *found = tn_node_find_attr(second, names[i][0]);
        if (!found) continue;
        then[count] = *found;
        then[count++].name = names[i][1];
    }
    while (second->attr_count > 0) tn_node_remove_attr(second, second->attr[0].name);
    for (int i = 0; i < first->attr_count; i++)
        if (strcmp(first->attr[i].name, "x_first"))
            TN_TRY(tn_node_set_attr(second, &first->attr[i]));
    for (int i = 0; i < count; i++) TN_TRY(tn_node_set_attr(second, &then[i]));
    return NULL;
}

/* The second becomes both, so that its result keeps its name. */
static tn_status fuse(tn_node *first, tn_node *second)
{
    tn_value *m = first->out[0], *wanted, *in[TN_CONV_PAIR_INS] = {NULL};
    bool only = m->use_count == 1 && !m->output_count;
    for (int i = 0; i < FIRST_INS; i++) in[i] = input(first, i);
    in[TN_CONV_PAIR_V] = second->in[W];
    in[TN_CONV_PAIR_BIAS] = input(second, BIAS);
    tn_node_set_op(second, tn_op_find("tenon", "ConvPair"));
    for (int i = 0; i < TN_CONV_PAIR_INS; i++) TN_TRY(tn_node_set_input(second, i, in[i]));
    tn_node_trim_inputs(second);
    TN_TRY(take_attrs(second, first));
    if (!only) TN_TRY(tn_node_add_output(second, &wanted));
    TN_TRY(tn_node_lower(second));
    TN_TRY(tn_node_infer(second));
    if (!only) TN_TRY(tn_value_replace(m, wanted));
    tn_node_remove(first);
    return NULL;
}

tn_status tn_fuse_conv_pairs(tn_graph *graph, const int64_t *values, int64_t count,
                             int64_t *changed)
{
    *changed = 0;
    for (tn_node *node = graph->first, *next; node; node = next) {
        tn_node *second = is_of_pixels(node) ? second_of(node) : NULL;
        next = node->next;
        if (!second || !is_worth_it(node, second, values, count)) continue;
        TN_TRY(fuse(node, second));
        ++*changed;
    }
    return *changed ? tn_graph_verify(graph) : NULL;
}
