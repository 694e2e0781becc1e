/* Shapes as constants. A Reshape whose target repeats dims of its input where they stand needs no
 * arithmetic on shapes: 0 copies a dim, one -1 is what is left. An Expand has 1 where its input's
 * dim stays. A chain of Reshape, Flatten, Squeeze and Unsqueeze is one Reshape, if the last shape
 * can be said so. For files: in an engine such nodes cost nothing, and a -1 cannot be found where a
 * tensor is empty. */
#include <string.h>

#include "passes/constants.h"

static bool is_one_of(const tn_node *node, const char *const *names)
{
    if (node->op->domain && node->op->domain[0]) return false;
    for (; *names; names++)
        if (!strcmp(node->op->name, *names)) return true;
    return false;
}

static bool is_chained(const tn_node *node)
{
    static const char *const names[] = {"Reshape", "Flatten", "Squeeze", "Unsqueeze", NULL};
    return is_one_of(node, names);
}

/* The dims `want` as a target for a Reshape of x. */
static bool reshape_target(tn_exprs *exprs, const tn_type *x, const tn_expr *want, int64_t count,
                           int64_t *out)
{
    int64_t open = -1;
    if (x->rank < 0) return false;
    tn_expr rest = tn_expr_const(exprs, 1), total = rest;
    for (int i = 0; i < x->rank; i++) total = tn_expr_mul(exprs, total, x->dim[i]);
    for (int64_t i = 0; i < count; i++) {
        tn_expr e = want[i];
        if (e == TN_EXPR_NONE) return false;
        if (tn_expr_is_const(exprs, e, &out[i])) {
            if (out[i] <= 0) return false;
        } else if (i < x->rank && x->dim[i] == e) {
            out[i] = 0;
        } else if (open < 0) {
            open = i;
            out[i] = -1;
            continue;
        } else {
            return false;
        }
        rest = tn_expr_mul(exprs, rest, e);
    }
    return open < 0 || tn_expr_div(exprs, total, rest) == want[open];
}

static bool expand_target(const tn_exprs *exprs, const tn_type *x, const tn_expr *want,
                          int64_t count, int64_t *out)
{
    if (x->rank < 0) return false;
    for (int64_t i = 0; i < count; i++) {
        int64_t axis = i + x->rank - count;
        if (want[i] == TN_EXPR_NONE) return false;
        if (tn_expr_is_const(exprs, want[i], &out[i])) continue;
        if (axis < 0 || x->dim[axis] != want[i]) return false;
        out[i] = 1;
    }
    return true;
}

static tn_status set_target(tn_node *node, const int64_t *target, int64_t count)
{
    tn_value *constant;
    TN_TRY(tn_graph_add_ints(node->graph, target, count, &constant));
    TN_TRY(tn_node_set_input(node, 1, constant));
    return tn_node_infer(node);
}

/* A target that nodes compute. */
static tn_status simplify_target(tn_node *node, int64_t *changed)
{
    static const char *const reshape[] = {"Reshape", NULL}, *const expand[] = {"Expand", NULL};
    int64_t target[TN_RANK_MAX];
    const tn_value *shape = node->in_count > 1 ? node->in[1] : NULL;
    tn_exprs *exprs = node->graph->exprs;
    const tn_type *type = node->out_count && node->out[0] ? &node->out[0]->type : NULL;
    bool fits = false;
    if (!shape || tn_value_is_constant(shape) || !type || type->rank < 0) return NULL;
    const tn_type *x = &node->in[0]->type;
    if (is_one_of(node, reshape) && !tn_node_int_attr(node, "allowzero", 0))
        fits = reshape_target(exprs, x, type->dim, type->rank, target);
    if (is_one_of(node, expand)) fits = expand_target(exprs, x, type->dim, type->rank, target);
    if (!fits) return NULL;
    ++*changed;
    return set_target(node, target, type->rank);
}

/* Two of a chain: the second reads what the first reads. */
static tn_status merge_chain(tn_node *node, tn_node **next, int64_t *changed)
{
    int64_t target[TN_RANK_MAX];
    tn_value *in = node->in_count ? node->in[0] : NULL;
    const tn_type *type = node->out[0] ? &node->out[0]->type : NULL;
    if (!is_chained(node) || !in || !in->producer || !is_chained(in->producer)) return NULL;
    tn_value *x = in->producer->in[0];
    if (!type || !tn_value_has_users(node->out[0]) || type->rank < 0) return NULL;
    if (!reshape_target(node->graph->exprs, &x->type, type->dim, type->rank, target)) return NULL;
    tn_value *constant;
    tn_node *merged;
    TN_TRY(tn_graph_add_ints(node->graph, target, type->rank, &constant));
    TN_TRY(tn_graph_add_node(node->graph, tn_op_find(NULL, "Reshape"), node->name,
                             (tn_value *[]){x, constant}, 2, NULL, 1, node, &merged));
    TN_TRY(tn_node_lower(merged));
    TN_TRY(tn_node_infer(merged));
    ++*changed;
    *next = merged; /* it may be the end of a longer chain */
    return tn_value_replace(node->out[0], merged->out[0]);
}

static tn_status run(tn_graph *graph, int64_t *changed)
{
    tn_node *next;
    for (tn_node *node = graph->first; node; node = next) {
        next = node->next;
        TN_TRY(simplify_target(node, changed));
        TN_TRY(merge_chain(node, &next, changed));
    }
    return NULL;
}

const tn_pass tn_pass_simplify_targets = {
    .name = "simplify_targets",
    .about = "constant targets for Reshape and Expand, one Reshape for a chain",
    .run = run,
    .only_files = true,
};
