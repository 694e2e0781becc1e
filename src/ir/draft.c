#include <string.h>

#include "ir/draft.h"

tn_attr tn_attr_int(const char *name, int64_t value)
{
    return (tn_attr){.name = name, .kind = TN_ATTR_INT, .i = value};
}

tn_attr tn_attr_float(const char *name, double value)
{
    return (tn_attr){.name = name, .kind = TN_ATTR_FLOAT, .f = value};
}

tn_attr tn_attr_text(const char *name, const char *text)
{
    return (tn_attr){.name = name, .kind = TN_ATTR_TEXT, .text = {text, strlen(text)}};
}

tn_attr tn_attr_ints(const char *name, const int64_t *at, int64_t count)
{
    return (tn_attr){.name = name, .kind = TN_ATTR_INTS, .ints = at, .count = count};
}

bool tn_draft_try(tn_draft *draft, tn_status status)
{
    if (draft->failed) return false;
    draft->status = status;
    draft->failed = status != NULL;
    return !draft->failed;
}

tn_status tn_draft_end(tn_draft *draft)
{
    tn_status status = draft->status;
    draft->status = NULL;
    draft->failed = false;
    return status;
}

static tn_status add_node(tn_draft *draft, const char *op_name, const char *name,
                          tn_value *const *in, int in_count, const tn_attr *attr, int attr_count,
                          tn_value **out, int out_count)
{
    const char *out_names[8] = {name};
    tn_node *node;
    const tn_op *op = tn_op_find(NULL, op_name);
    if (!op) op = tn_op_find("tenon", op_name);
    TN_CHECK(op, TN_INTERNAL, "this build lacks the operator %s", op_name);
    TN_CHECK(out_count <= (int)TN_COUNT(out_names), TN_INTERNAL, "%s with %d outputs", op_name,
             out_count);
    if (name) TN_TRY(tn_graph_fresh_name(draft->graph, name, &out_names[0]));
    TN_TRY(tn_graph_add_node(draft->graph, op, name ? name : "", in, in_count, out_names, out_count,
                             draft->before, &node));
    tn_node_trim_inputs(node);
    for (int i = 0; i < attr_count; i++) TN_TRY(tn_node_set_attr(node, &attr[i]));
    tn_status status = tn_node_lower(node);
    if (!status) status = tn_node_infer(node);
    if (status) return tn_node_blame(node, status);
    for (int i = 0; i < out_count; i++) out[i] = node->out[i];
    return NULL;
}

void tn_draft_ops(tn_draft *draft, const char *op, const char *name, tn_value *const *in,
                  int in_count, const tn_attr *attr, int attr_count, tn_value **out, int out_count)
{
    for (int i = 0; i < out_count; i++) out[i] = NULL;
    if (!draft->failed)
        tn_draft_try(draft,
                     add_node(draft, op, name, in, in_count, attr, attr_count, out, out_count));
}

tn_value *tn_draft_op(tn_draft *draft, const char *op, const char *name, tn_value *const *in,
                      int in_count, const tn_attr *attr, int attr_count)
{
    tn_value *out;
    tn_draft_ops(draft, op, name, in, in_count, attr, attr_count, &out, 1);
    return out;
}

tn_value *tn_draft_input(tn_draft *draft, const char *name, tn_type type)
{
    tn_value *out = NULL;
    if (!draft->failed) tn_draft_try(draft, tn_graph_add_input(draft->graph, name, type, &out));
    return out;
}

tn_value *tn_draft_constant(tn_draft *draft, const char *name, const tn_tensor *tensor, bool copy)
{
    tn_value *out = NULL;
    if (!draft->failed)
        tn_draft_try(draft, tn_graph_add_constant(draft->graph, name, tensor, copy, &out));
    return out;
}

tn_value *tn_draft_ints(tn_draft *draft, const int64_t *at, int64_t count)
{
    tn_value *out = NULL;
    if (!draft->failed) tn_draft_try(draft, tn_graph_add_ints(draft->graph, at, count, &out));
    return out;
}

tn_value *tn_draft_scalar(tn_draft *draft, tn_dtype dtype, double value)
{
    tn_value *out = NULL;
    if (!draft->failed) tn_draft_try(draft, tn_graph_add_scalar(draft->graph, dtype, value, &out));
    return out;
}

void tn_draft_output(tn_draft *draft, const char *name, tn_value *value)
{
    if (!draft->failed) tn_draft_try(draft, tn_graph_add_output(draft->graph, name, value));
}

/* ---- Words -----------------------------------------------------------------------------------*/

tn_value *tn_draft_reshape(tn_draft *draft, const char *name, tn_value *x, const int64_t *dim,
                           int rank)
{
    return tn_draft_op(draft, "Reshape", name, TN_IN(x, tn_draft_ints(draft, dim, rank)), TN_PLAIN);
}

tn_value *tn_draft_transpose(tn_draft *draft, const char *name, tn_value *x, const int64_t *perm,
                             int rank)
{
    return tn_draft_op(draft, "Transpose", name, TN_IN(x),
                       TN_WITH(tn_attr_ints("perm", perm, rank)));
}

tn_value *tn_draft_slice(tn_draft *draft, const char *name, tn_value *x, int64_t axis,
                         int64_t begin, int64_t end)
{
    return tn_draft_op(draft, "Slice", name,
                       TN_IN(x, tn_draft_ints(draft, &begin, 1), tn_draft_ints(draft, &end, 1),
                             tn_draft_ints(draft, &axis, 1)),
                       TN_PLAIN);
}

tn_value *tn_draft_squeeze(tn_draft *draft, const char *name, tn_value *x, int64_t axis)
{
    return tn_draft_op(draft, "Squeeze", name, TN_IN(x, tn_draft_ints(draft, &axis, 1)), TN_PLAIN);
}

tn_value *tn_draft_unsqueeze(tn_draft *draft, const char *name, tn_value *x, int64_t axis)
{
    return tn_draft_op(draft, "Unsqueeze", name, TN_IN(x, tn_draft_ints(draft, &axis, 1)),
                       TN_PLAIN);
}

tn_value *tn_draft_shape(tn_draft *draft, tn_value *x)
{
    int64_t dim[TN_RANK_MAX];
    if (draft->failed) return NULL;
    bool constant = x->type.rank >= 0;
    for (int i = 0; constant && i < x->type.rank; i++)
        constant = tn_expr_is_const(draft->graph->exprs, x->type.dim[i], &dim[i]);
    if (constant) return tn_draft_ints(draft, dim, x->type.rank);
    return tn_draft_op(draft, "Shape", NULL, TN_IN(x), TN_PLAIN);
}
