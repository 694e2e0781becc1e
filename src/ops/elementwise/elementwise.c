#include "ops/elementwise/elementwise.h"

#include <math.h>

#define INPUTS_MAX 8 /* of a node whose values are told */

bool tn_elementwise_tells(tn_dtype dtype)
{
    return dtype == TN_DTYPE_I32 || dtype == TN_DTYPE_I64 || dtype == TN_DTYPE_BOOL ||
           dtype == TN_DTYPE_F32 || dtype == TN_DTYPE_F64;
}

tn_expr tn_elementwise_fit(const tn_exprs *exprs, tn_dtype dtype, tn_expr e)
{
    int64_t value, limit = INT64_MAX;
    if (!tn_expr_is_const(exprs, e, &value)) return e;
    if (dtype == TN_DTYPE_I32) limit = INT32_MAX;
    if (dtype == TN_DTYPE_BOOL) limit = 1;
    if (dtype == TN_DTYPE_F32) limit = INT64_C(1) << 24;
    if (dtype == TN_DTYPE_F64) limit = INT64_C(1) << 53;
    int64_t least =
        dtype == TN_DTYPE_BOOL ? 0 : -limit - (limit == INT64_MAX || limit == INT32_MAX);
    return value < least || value > limit ? TN_EXPR_NONE : e;
}

/* tn_infer_exprs, and small constants of floats: elements that are no whole numbers are NONE. */
static bool read_values(tn_infer *f, int input, const tn_expr **at, int64_t *count)
{
    const tn_tensor *data = f->data ? &f->data[input] : NULL;
    bool floats = tn_dtype_kind_of(f->in[input].dtype) == TN_KIND_F;
    if (!tn_elementwise_tells(f->in[input].dtype)) return false;
    if (tn_infer_exprs(f, input, at, count)) return true;
    if (!floats || !data || !data->data || data->rank > 1 || tn_tensor_count(data) > TN_KNOWN_MAX)
        return false;
    *count = tn_tensor_count(data);
    tn_expr *value = TN_NEW_ARRAY(f->arena, tn_expr, *count);
    if (!value) return false;
    for (int64_t i = 0; i < *count; i++) {
        double number = tn_load_f64(data->dtype, data->data, i);
        bool whole = fabs(number) < 0x1p53 && number == floor(number);
        value[i] = whole ? tn_expr_const(f->exprs, (int64_t)number) : TN_EXPR_NONE;
    }
    *at = value;
    return true;
}

void tn_elementwise_known(tn_infer *f, int in_count, tn_known_map map)
{
    const tn_expr *at[INPUTS_MAX];
    int64_t count[INPUTS_MAX], out_count = 1;
    tn_expr in[INPUTS_MAX], out[TN_KNOWN_MAX];
    tn_dtype dtype = f->out[0].dtype;
    if (in_count > INPUTS_MAX || !tn_elementwise_tells(dtype)) return;
    if (f->out[0].rank < 0 || f->out[0].rank > 1) return;
    for (int k = 0; k < in_count; k++) {
        if (!read_values(f, k, &at[k], &count[k])) return;
        if (count[k] != 1) out_count = count[k];
    }
    if (out_count > TN_KNOWN_MAX) return;
    for (int64_t i = 0; i < out_count; i++) {
        bool whole = true, constant = true;
        int64_t ignored;
        for (int k = 0; k < in_count; k++) {
            in[k] = at[k][count[k] == 1 ? 0 : i];
            whole = whole && in[k] != TN_EXPR_NONE;
            constant = constant && tn_expr_is_const(f->exprs, in[k], &ignored);
        }
        tn_expr value = whole ? map(f->exprs, in, in_count) : TN_EXPR_NONE;
        /* Numbers that do not make a number overflow: tensors wrap, expressions do not. */
        if (constant && !tn_expr_is_const(f->exprs, value, &ignored)) value = TN_EXPR_NONE;
        out[i] = tn_elementwise_fit(f->exprs, dtype, value);
    }
    tn_infer_set_known(f, 0, out, out_count);
}

tn_expr tn_elementwise_not(tn_exprs *exprs, tn_expr a)
{
    return tn_expr_eq(exprs, a, tn_expr_const(exprs, 0));
}

/* Expressions divide toward minus infinity, the operator toward zero: the same for a >= 0, b > 0.
 */
tn_expr tn_elementwise_div(tn_exprs *exprs, tn_expr a, tn_expr b)
{
    int64_t x, y;
    if (tn_expr_is_const(exprs, a, &x) && tn_expr_is_const(exprs, b, &y))
        return y == 0 || (x == INT64_MIN && y == -1) ? TN_EXPR_NONE : tn_expr_const(exprs, x / y);
    if (!tn_expr_at_least(exprs, b, 1)) return TN_EXPR_NONE;
    tn_expr down = tn_expr_div(exprs, a, b);
    if (tn_expr_at_least(exprs, a, 0)) return down;
    tn_expr zero = tn_expr_const(exprs, 0);
    tn_expr up = tn_expr_sub(exprs, zero, tn_expr_div(exprs, tn_expr_sub(exprs, zero, a), b));
    return tn_expr_select(exprs, tn_expr_lt(exprs, a, zero), up, down);
}

tn_expr tn_elementwise_div_exact(tn_exprs *exprs, tn_expr a, tn_expr b)
{
    bool exact =
        tn_expr_at_least(exprs, b, 1) && tn_expr_equals(exprs, tn_expr_mod(exprs, a, b), 0);
    return exact ? tn_expr_div(exprs, a, b) : TN_EXPR_NONE;
}

static tn_status add(tn_graph *graph, tn_node *before, const char *name, const char *op,
                     tn_value *const *in, int in_count, tn_value **out)
{
    tn_node *node;
    const tn_op *found = tn_op_find(NULL, op);
    TN_CHECK(found, TN_INTERNAL, "this build lacks the operator %s, which an upgrade needs", op);
    TN_TRY(tn_graph_add_node(graph, found, name, in, in_count, NULL, 1, before, &node));
    *out = node->out[0];
    return NULL;
}

tn_status tn_upgrade_add(tn_graph *graph, tn_node *before, const char *op, tn_value *const *in,
                         int in_count, tn_value **out)
{
    return add(graph, before, before->name, op, in, in_count, out);
}

tn_status tn_upgrade_add_after(tn_graph *graph, tn_node *after, const char *op, tn_value *const *in,
                               int in_count, tn_value **out)
{
    return add(graph, after->next, after->name, op, in, in_count, out);
}

tn_status tn_upgrade_align(tn_graph *graph, tn_node *node, int64_t axis)
{
    if (node->in_count != 2 || !node->in[0] || !node->in[1]) return NULL; /* inference will tell */
    int rank_a = node->in[0]->type.rank, rank_b = node->in[1]->type.rank;
    TN_CHECK(rank_a >= 0 && rank_b >= 0, TN_UNSUPPORTED,
             "the old attribute 'axis' needs inputs of known rank");
    if (axis < 0) axis += rank_a;
    TN_CHECK(axis >= 0 && axis <= rank_a - rank_b, TN_INVALID,
             "%d axes of B do not fit into the %d of A from axis %lld on", rank_b, rank_a,
             (long long)axis);
    int64_t at[TN_RANK_MAX];
    int count = rank_a - rank_b - (int)axis;
    if (count == 0) return NULL;
    for (int k = 0; k < count; k++) at[k] = rank_b + k;
    tn_value *axes, *wide;
    TN_TRY(tn_graph_add_ints(graph, at, count, &axes));
    TN_TRY(tn_upgrade_add(graph, node, "Unsqueeze", (tn_value *[]){node->in[1], axes}, 2, &wide));
    return tn_node_set_input(node, 1, wide);
}

tn_status tn_upgrade_broadcast_axis(tn_graph *graph, tn_node *node)
{
    const tn_attr *axis = tn_node_find_attr(node, "axis");
    if (axis) TN_TRY(tn_upgrade_align(graph, node, axis->i));
    tn_node_remove_attr(node, "axis");
    tn_node_remove_attr(node, "broadcast");
    return NULL;
}
