/* Nodes that give back their input, proven from types and attributes alone. */
#include <string.h>

#include "passes/passes.h"

static const tn_value *input(const tn_node *node, int index)
{
    return index < node->in_count ? node->in[index] : NULL;
}

/* All elements of a constant equal `value`. An absent input is no constant. */
static bool is_all(const tn_value *value, double wanted)
{
    if (!tn_value_is_constant(value)) return false;
    const tn_tensor *tensor = &value->constant;
    tn_dtype_kind kind = tn_dtype_kind_of(tensor->dtype);
    if (kind == TN_KIND_S || kind == TN_KIND_C) return false;
    int64_t count = tn_tensor_count(tensor);
    if (count > 65536) return false;
    for (int64_t i = 0; i < count; i++)
        if (tn_load_f64(tensor->dtype, tensor->data, i) != wanted) return false;
    return true;
}

static bool is_always(const tn_node *node)
{
    (void)node;
    return true;
}

static bool is_single(const tn_node *node)
{
    return node->in_count == 1;
}

/* At inference a dropout does nothing; its mask is another matter. */
static bool is_dropout_off(const tn_node *node)
{
    if (node->out_count > 1 && node->out[1] && tn_value_has_users(node->out[1])) return false;
    return !input(node, 2) || is_all(input(node, 2), 0);
}

static bool is_perm_identity(const tn_node *node)
{
    const tn_attr *perm = tn_node_find_attr(node, "perm");
    if (!perm || perm->kind != TN_ATTR_INTS)
        return node->in[0]->type.rank <= 1 && node->in[0]->type.rank >= 0;
    for (int64_t i = 0; i < perm->count; i++)
        if (perm->ints[i] != i) return false;
    return true;
}

/* With an unchanged shape, steps of 1 mean the whole axis; a step of -1 would turn it round. */
static bool is_slice_whole(const tn_node *node)
{
    return !input(node, 4) || is_all(input(node, 4), 1);
}

static bool is_pad_zero(const tn_node *node)
{
    return is_all(input(node, 1), 0);
}

static bool is_right_one(const tn_node *node)
{
    return is_all(input(node, 1), 1);
}

static bool is_right_zero(const tn_node *node)
{
    return is_all(input(node, 1), 0);
}

static bool is_list_of(const tn_node *node, const char *name, int64_t wanted)
{
    const tn_attr *attr = tn_node_find_attr(node, name);
    for (int64_t i = 0; attr && i < attr->count; i++)
        if (attr->ints[i] != wanted) return false;
    return true;
}

/* Pooling what is one element each. */
static bool is_window_single(const tn_node *node)
{
    return is_list_of(node, "kernel_shape", 1) && is_list_of(node, "strides", 1) &&
           is_list_of(node, "pads", 0);
}

/* Each row holds for nodes whose output 0 has the type of input 0: the same element type and
 * provably the same shape. */
static const struct {
    const char *op;
    bool (*holds)(const tn_node *node);
} rows[] = {
    {"Identity", is_always},
    {"Cast", is_always},
    {"CastLike", is_always},
    {"Reshape", is_always},
    {"Flatten", is_always},
    {"Squeeze", is_always},
    {"Unsqueeze", is_always},
    {"Expand", is_always},
    {"Tile", is_always},
    {"Dropout", is_dropout_off},
    {"Transpose", is_perm_identity},
    {"Slice", is_slice_whole},
    {"Pad", is_pad_zero},
    {"AveragePool", is_window_single},
    {"MaxPool", is_window_single},
    {"Concat", is_single},
    {"Sum", is_single},
    {"Mean", is_single},
    {"Max", is_single},
    {"Min", is_single},
    {"Mul", is_right_one},
    {"Div", is_right_one},
    {"Pow", is_right_one},
    {"Sub", is_right_zero}, /* not Add: -0 + 0 is 0 */
    {"And", is_right_one},
    {"Or", is_right_zero},
};

static bool is_identity(const tn_node *node)
{
    const tn_value *in = input(node, 0), *out = node->out_count ? node->out[0] : NULL;
    if (!in || !out || !tn_value_has_users(out)) return false;
    bool foreign = node->op->domain && node->op->domain[0] && strcmp(node->op->domain, "ai.onnx");
    if (foreign || in->type.rank < 0) return false;
    for (size_t i = 0; i < TN_COUNT(rows); i++)
        if (!strcmp(rows[i].op, node->op->name))
            return tn_type_equals(&in->type, &out->type) && rows[i].holds(node);
    return false;
}

static tn_status run(tn_graph *graph, int64_t *changed)
{
    tn_node *next;
    for (tn_node *node = graph->first; node; node = next) {
        next = node->next;
        if (!is_identity(node)) continue;
        TN_TRY(tn_value_replace(node->out[0], node->in[0]));
        (*changed)++;
        bool read = false;
        for (int i = 1; i < node->out_count; i++)
            read = read || (node->out[i] && tn_value_has_users(node->out[i]));
        if (!read) tn_node_remove(node);
    }
    return NULL;
}

const tn_pass tn_pass_remove_identity = {
    .name = "remove_identity",
    .about = "remove nodes that give back their input",
    .run = run,
};
