#include "passes/by_row.h"

#include <string.h>

static const char *const single[] = {"Add",       "Sub",  "Mul",     "Div",     "Relu", "Gelu",
                                     "Tanh",      "Erf",  "Sigmoid", "Swish",   "Clip", "HardSwish",
                                     "LeakyRelu", "Sqrt", "Pow",     "Softplus"};

static bool is_single(const tn_node *node)
{
    for (size_t i = 0; i < TN_COUNT(single); i++)
        if (!strcmp(node->op->name, single[i])) return !node->op->domain;
    return false;
}

static bool is_last_axis(const tn_node *node, int rank)
{
    int64_t axis = tn_node_int_attr(node, "axis", -1);
    return axis == -1 || axis == rank - 1;
}

static bool is_kind(const tn_node *node)
{
    const char *name = node->op->name;
    if (node->op->domain) return !strcmp(node->op->domain, "tenon") && !strcmp(name, "Linear");
    if (!strcmp(name, "LayerNormalization"))
        return is_last_axis(node, node->out[0]->type.rank) &&
               (node->out_count < 2 || !node->out[1]) && (node->out_count < 3 || !node->out[2]);
    return is_single(node);
}

/* All axes but the last are those of the output. */
static bool has_rows(const tn_value *value, const tn_value *y)
{
    const tn_type *a = &value->type, *b = &y->type;
    if (a->rank != b->rank) return false;
    for (int i = 0; i < a->rank - 1; i++)
        if (a->dim[i] != b->dim[i]) return false;
    return true;
}

/* A constant vector, whatever axes of 1 it has in front; the weights of a Linear. */
static bool is_common(const tn_node *node, int index)
{
    const tn_value *value = node->in[index];
    if (!tn_value_is_constant(value)) return false;
    if (!strcmp(node->op->name, "Linear")) return true;
    for (int i = 0; i < value->constant.rank - 1; i++)
        if (value->constant.dim[i] != 1) return false;
    return value->constant.rank <= node->out[0]->type.rank;
}

bool tn_by_row(const tn_node *node, bool rows[TN_BY_ROW_INPUTS])
{
    bool any = false;
    if (node->out_count < 1 || !node->out[0] || node->in_count > TN_BY_ROW_INPUTS) return false;
    const tn_value *y = node->out[0];
    if (y->type.kind != TN_TYPE_TENSOR || y->type.rank < 2 || !is_kind(node)) return false;
    for (int i = 0; i < node->in_count; i++) {
        rows[i] = node->in[i] && !tn_value_is_constant(node->in[i]);
        if (rows[i] && !has_rows(node->in[i], y)) return false;
        if (!rows[i] && node->in[i] && !is_common(node, i)) return false;
        any |= rows[i];
    }
    return any;
}

tn_status tn_by_row_again(const tn_node *node, tn_value *const *in, tn_node *before, tn_node **out)
{
    TN_TRY(tn_graph_add_node(node->graph, node->op, node->name, in, node->in_count, NULL, 1, before,
                             out));
    for (int i = 0; i < node->attr_count; i++) TN_TRY(tn_node_set_attr(*out, &node->attr[i]));
    if (tn_node_find_attr(node, "axis")) TN_TRY(tn_node_set_int(*out, "axis", -1));
    TN_TRY(tn_node_lower(*out));
    return tn_node_infer(*out);
}
