#include "ops/rewrite.h"

#include <string.h>

void tn_rewrite_fail(tn_rewrite *r, tn_status status)
{
    if (!r->status) r->status = status;
}

tn_rewrite tn_rewrite_of(tn_graph *graph, tn_node *node)
{
    tn_rewrite r = {.graph = graph, .node = node};
    r.status = tn_node_lower(node);
    if (!r.status) r.status = tn_node_check(node);
    return r;
}

bool tn_rewrite_wants(const tn_rewrite *r, int output)
{
    const tn_node *node = r->node;
    return output < node->out_count && node->out[output] && tn_value_has_users(node->out[output]);
}

void tn_rewrite_give(tn_rewrite *r, int output, tn_value *value)
{
    if (output < TN_REWRITE_OUTPUTS) r->given[output] = value;
}

tn_status tn_rewrite_end(tn_rewrite *r)
{
    TN_TRY(tn_node_blame(r->node, r->status));
    for (int i = 0; i < r->node->out_count; i++) {
        if (!tn_rewrite_wants(r, i)) continue;
        bool given = i < TN_REWRITE_OUTPUTS && r->given[i];
        if (!given)
            return tn_node_blame(r->node,
                                 TN_ERROR(TN_UNSUPPORTED, "output %d, '%s', is not made here", i,
                                          r->node->out[i]->name));
        TN_TRY(tn_value_replace(r->node->out[i], r->given[i]));
    }
    tn_node_remove(r->node);
    return NULL;
}

tn_value *tn_rewrite_in(const tn_rewrite *r, int input)
{
    return input < r->node->in_count ? r->node->in[input] : NULL;
}

/* The rewrite's own nodes up to the one that makes `value`: those before them are inferred already.
 */
tn_type tn_rewrite_type(tn_rewrite *r, tn_value *value)
{
    tn_type none = {.dtype = TN_DTYPE_NONE, .rank = -1};
    tn_node *first = value ? value->producer : NULL;
    if (r->status || !value) return none;
    if (first && value->type.dtype == TN_DTYPE_NONE) {
        while (first->prev && first->prev->out[0] &&
               first->prev->out[0]->type.dtype == TN_DTYPE_NONE)
            first = first->prev;
        for (tn_node *n = first;; n = n->next) {
            tn_status status = tn_node_lower(n);
            if (!status) status = tn_node_infer(n);
            tn_rewrite_fail(r, status);
            if (r->status) return none;
            if (n == value->producer) break;
        }
    }
    return value->type;
}

int tn_rewrite_rank(tn_rewrite *r, tn_value *value)
{
    tn_type type = tn_rewrite_type(r, value);
    TN_REWRITE_CHECK(r, type.rank >= 0, TN_UNSUPPORTED,
                     "the rank of '%s' must be known to say what %s does", value ? value->name : "",
                     r->node->op->name);
    return r->status ? -1 : type.rank;
}

tn_value *tn_rewrite_make(tn_rewrite *r, const char *op, tn_value *const *in, int count, int outs)
{
    tn_node *node;
    const tn_op *found = tn_op_find(NULL, op);
    if (r->status) return NULL;
    TN_REWRITE_CHECK(r, found, TN_INTERNAL, "there is no operator %s to rewrite %s to", op,
                     r->node->op->name);
    while (count && !in[count - 1]) count--;
    if (!r->status)
        tn_rewrite_fail(r, tn_graph_add_node(r->graph, found, r->node->name, in, count, NULL, outs,
                                             r->node, &node));
    return r->status ? NULL : node->out[0];
}

tn_value *tn_rewrite_out(const tn_rewrite *r, tn_value *first, int output)
{
    if (r->status || !first || output >= first->producer->out_count) return NULL;
    return first->producer->out[output];
}

/* ---- Attributes
 * --------------------------------------------------------------------------------*/

static tn_value *set_attr(tn_rewrite *r, tn_value *made, const tn_attr *attr)
{
    if (!r->status && made) tn_rewrite_fail(r, tn_node_set_attr(made->producer, attr));
    return r->status ? NULL : made;
}

tn_value *tn_rewrite_int(tn_rewrite *r, tn_value *made, const char *name, int64_t value)
{
    return set_attr(r, made, &(tn_attr){.name = name, .kind = TN_ATTR_INT, .i = value});
}

tn_value *tn_rewrite_float(tn_rewrite *r, tn_value *made, const char *name, double value)
{
    return set_attr(r, made, &(tn_attr){.name = name, .kind = TN_ATTR_FLOAT, .f = value});
}

tn_value *tn_rewrite_text(tn_rewrite *r, tn_value *made, const char *name, const char *value)
{
    tn_string text = {.text = value, .bytes = strlen(value)};
    return set_attr(r, made, &(tn_attr){.name = name, .kind = TN_ATTR_TEXT, .text = text});
}

tn_value *tn_rewrite_ints(tn_rewrite *r, tn_value *made, const char *name, const int64_t *at,
                          int64_t count)
{
    return set_attr(r, made,
                    &(tn_attr){.name = name, .kind = TN_ATTR_INTS, .ints = at, .count = count});
}

tn_value *tn_rewrite_copy(tn_rewrite *r, tn_value *made, const char *name, const char *from)
{
    const tn_attr *attr = tn_node_find_attr(r->node, from);
    if (!attr) return made;
    tn_attr copy = *attr;
    copy.name = name;
    return set_attr(r, made, &copy);
}

/* ---- Constants and common forms
 * ------------------------------------------------------------------*/

tn_value *tn_rewrite_scalar(tn_rewrite *r, tn_dtype dtype, double value)
{
    tn_value *made = NULL;
    if (!r->status) tn_rewrite_fail(r, tn_graph_add_scalar(r->graph, dtype, value, &made));
    return r->status ? NULL : made;
}

tn_value *tn_rewrite_vector(tn_rewrite *r, const int64_t *at, int64_t count)
{
    tn_value *made = NULL;
    if (!r->status) tn_rewrite_fail(r, tn_graph_add_ints(r->graph, at, count, &made));
    return r->status ? NULL : made;
}

tn_value *tn_rewrite_cast(tn_rewrite *r, tn_value *x, tn_dtype dtype)
{
    tn_type type = tn_rewrite_type(r, x);
    if (r->status || type.dtype == dtype) return x;
    return tn_rewrite_int(r, TN_MAKE(r, "Cast", x), "to", (int64_t)dtype);
}

tn_value *tn_rewrite_transpose(tn_rewrite *r, tn_value *x, const int64_t *perm, int rank)
{
    return tn_rewrite_ints(r, TN_MAKE(r, "Transpose", x), "perm", perm, rank);
}

tn_value *tn_rewrite_reshape(tn_rewrite *r, tn_value *x, const int64_t *dim, int rank)
{
    return TN_MAKE(r, "Reshape", x, tn_rewrite_vector(r, dim, rank));
}

tn_value *tn_rewrite_dim(tn_rewrite *r, tn_value *x, int axis)
{
    tn_value *shape = tn_rewrite_int(r, TN_MAKE(r, "Shape", x), "start", axis);
    return axis == -1 ? shape : tn_rewrite_int(r, shape, "end", axis + 1);
}

tn_value *tn_rewrite_unsqueeze(tn_rewrite *r, tn_value *x, int64_t axis)
{
    return TN_MAKE(r, "Unsqueeze", x, tn_rewrite_vector(r, &axis, 1));
}

tn_value *tn_rewrite_squeeze(tn_rewrite *r, tn_value *x, int64_t axis)
{
    return TN_MAKE(r, "Squeeze", x, tn_rewrite_vector(r, &axis, 1));
}

tn_value *tn_rewrite_slice(tn_rewrite *r, tn_value *x, int64_t axis, int64_t begin, int64_t end)
{
    return TN_MAKE(r, "Slice", x, tn_rewrite_vector(r, &begin, 1), tn_rewrite_vector(r, &end, 1),
                   tn_rewrite_vector(r, &axis, 1));
}
