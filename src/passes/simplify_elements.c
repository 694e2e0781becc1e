/* Arithmetic by elements in fewer nodes, as far as it is exact or gains digits: what exporters
 * write of masks and of embeddings.
 *
 *     Unsqueeze(Cast(bool)), ... of Not  ->  Cast(Unsqueeze(bool))      views cost nothing there
 *     (1 - Cast(bool)) * number          ->  Where(bool, 0, number)
 *     Where(Not(bool), a, b)             ->  Where(bool, b, a)
 *     Cast(Where(bool, a, b))            ->  Where(bool, Cast(a), Cast(b))   a, b single constants
 *     Gather(x, 0 1 2 ... n - 1)         ->  Reshape(x)
 *     (x + c) + d                        ->  x + (c + d)                c, d constants */
#include <math.h>
#include <string.h>

#include "passes/constants.h"

static const tn_pattern view[] = {
    {"y", "Unsqueeze|Squeeze|Reshape", .in = {"inner", "how"}},
    {"inner", "Cast|Not", .in = {"flag"}, .users = 1},
};
static const tn_pattern mask[] = {
    {"y", "Mul", .in = {"difference", "number"}, .commutes = true},
    {"difference", "Sub", .in = {"one", "inner"}, .users = 1},
    {"inner", "Cast", .in = {"flag"}},
};
static const tn_pattern turned[] = {
    {"y", "Where", .in = {"not", "a", "b"}},
    {"not", "Not", .in = {"flag"}},
};
static const tn_pattern cast[] = {
    {"y", "Cast", .in = {"where"}},
    {"where", "Where", .in = {"flag", "a", "b"}, .users = 1},
};
static const tn_pattern gather[] = {{"y", "Gather", .in = {"x", "indices"}}};
static const tn_pattern sums[] = {
    {"y", "Add", .in = {"sum", "d"}},
    {"sum", "Add", .in = {"x", "c"}, .users = 1},
};

static const tn_type *type_of(const tn_match *match, const char *name)
{
    return &tn_match_value(match, name)->type;
}

static bool is_single(const tn_value *value)
{
    return tn_value_is_constant(value) && tn_tensor_count(&value->constant) == 1;
}

/* ---- Where it holds --------------------------------------------------------------------------*/

static bool holds_view(const tn_match *match)
{
    return type_of(match, "flag")->dtype == TN_DTYPE_BOOL && type_of(match, "flag")->rank >= 0;
}

static bool holds_mask(const tn_match *match)
{
    double number;
    const tn_value *by = tn_match_value(match, "number");
    const tn_type *flag = type_of(match, "flag"), *y = type_of(match, "y");
    return flag->dtype == TN_DTYPE_BOOL && tn_dtype_kind_of(y->dtype) == TN_KIND_F &&
           tn_constant_is(tn_match_value(match, "one"), 1) && is_single(by) &&
           tn_constant_number(by, &number) && isfinite(number) && y->rank >= 0 &&
           tn_type_equals(type_of(match, "inner"), y);
}

static bool holds_cast(const tn_match *match)
{
    return is_single(tn_match_value(match, "a")) && is_single(tn_match_value(match, "b")) &&
           tn_dtype_kind_of(type_of(match, "a")->dtype) == TN_KIND_F &&
           tn_dtype_kind_of(type_of(match, "y")->dtype) == TN_KIND_F;
}

/* Are the dims constant, and which? */
static bool dims_of(const tn_value *value, int64_t *dim)
{
    const tn_type *t = &value->type;
    for (int i = 0; i < t->rank; i++)
        if (!tn_expr_is_const(value->graph->exprs, t->dim[i], &dim[i])) return false;
    return t->rank >= 0;
}

static bool holds_gather(const tn_match *match)
{
    const tn_value *x = tn_match_value(match, "x"), *indices = tn_match_value(match, "indices");
    int64_t dim[TN_RANK_MAX], axis = tn_node_int_attr(tn_match_node(match, "y"), "axis", 0);
    if (!tn_value_is_constant(indices) || x->type.rank < 1 || tn_value_is_constant(x) ||
        !dims_of(tn_match_value(match, "y"), dim) || !dims_of(x, dim))
        return false;
    const tn_tensor *t = &indices->constant;
    if (axis < 0) axis += x->type.rank;
    if (axis < 0 || axis >= x->type.rank || tn_tensor_count(t) != dim[axis]) return false;
    for (int64_t i = 0; i < dim[axis]; i++)
        if (tn_load_i64(t->dtype, t->data, i) != i) return false;
    return true;
}

/* The constants' sum is no larger than the larger one. */
static bool holds_sums(const tn_match *match)
{
    const tn_value *c = tn_match_value(match, "c"), *d = tn_match_value(match, "d");
    if (!tn_value_is_constant(c) || !tn_value_is_constant(d) ||
        tn_value_is_constant(tn_match_value(match, "x")) ||
        tn_dtype_kind_of(c->type.dtype) != TN_KIND_F)
        return false;
    if (tn_tensor_same_shape(&c->constant, &d->constant)) return true;
    return (is_single(c) && c->type.rank <= d->type.rank) ||
           (is_single(d) && d->type.rank <= c->type.rank);
}

/* ---- What is made ----------------------------------------------------------------------------*/

static tn_status add(const tn_match *match, const char *op, tn_value *const *in, int count,
                     const tn_node *like, tn_value **out)
{
    tn_node *root = tn_match_node(match, "y"), *node;
    TN_TRY(tn_graph_add_node(root->graph, tn_op_find(NULL, op), root->name, in, count, NULL, 1,
                             root, &node));
    for (int i = 0; like && i < like->attr_count; i++)
        TN_TRY(tn_node_set_attr(node, &like->attr[i]));
    TN_TRY(tn_node_lower(node));
    TN_TRY(tn_node_infer(node));
    *out = node->out[0];
    return NULL;
}

static tn_status end(const tn_match *match, tn_value *value)
{
    return tn_value_replace(tn_match_value(match, "y"), value);
}

static tn_status replace_view(tn_graph *graph, const tn_match *match)
{
    const tn_node *root = tn_match_node(match, "y"), *inner = tn_match_node(match, "inner");
    tn_value *in[] = {tn_match_value(match, "flag"), tn_match_value(match, "how")}, *value;
    (void)graph;
    TN_TRY(add(match, root->op->name, in, 2, root, &value));
    TN_TRY(add(match, inner->op->name, &value, 1, inner, &value));
    return end(match, value);
}

static tn_status replace_mask(tn_graph *graph, const tn_match *match)
{
    tn_value *number = tn_match_value(match, "number"), *zero, *value;
    static const uint64_t nothing;
    tn_tensor none = tn_tensor_of(number->type.dtype, NULL, 0, (void *)&nothing);
    TN_TRY(tn_graph_add_constant(graph, NULL, &none, true, &zero));
    tn_value *in[] = {tn_match_value(match, "flag"), zero, number};
    TN_TRY(add(match, "Where", in, 3, NULL, &value));
    return end(match, value);
}

static tn_status replace_turned(tn_graph *graph, const tn_match *match)
{
    tn_value *value, *in[] = {tn_match_value(match, "flag"), tn_match_value(match, "b"),
                              tn_match_value(match, "a")};
    (void)graph;
    TN_TRY(add(match, "Where", in, 3, NULL, &value));
    return end(match, value);
}

static tn_status replace_cast(tn_graph *graph, const tn_match *match)
{
    const tn_node *root = tn_match_node(match, "y");
    tn_value *a = tn_match_value(match, "a"), *b = tn_match_value(match, "b"), *value;
    tn_value *in[3] = {tn_match_value(match, "flag")};
    (void)graph;
    TN_TRY(add(match, "Cast", &a, 1, root, &in[1]));
    TN_TRY(add(match, "Cast", &b, 1, root, &in[2]));
    TN_TRY(add(match, "Where", in, 3, NULL, &value));
    return end(match, value);
}

static tn_status replace_gather(tn_graph *graph, const tn_match *match)
{
    int64_t dim[TN_RANK_MAX] = {0};
    tn_value *y = tn_match_value(match, "y"), *in[] = {tn_match_value(match, "x"), NULL}, *value;
    if (!dims_of(y, dim)) return NULL;
    TN_TRY(tn_graph_add_ints(graph, dim, y->type.rank, &in[1]));
    TN_TRY(add(match, "Reshape", in, 2, NULL, &value));
    return end(match, value);
}

static tn_status replace_sums(tn_graph *graph, const tn_match *match)
{
    tn_value *c[] = {tn_match_value(match, "c"), tn_match_value(match, "d")}, *value;
    tn_value *in[] = {tn_match_value(match, "x"), NULL};
    (void)graph;
    TN_TRY(add(match, "Add", c, 2, NULL, &in[1])); /* folded later */
    TN_TRY(add(match, "Add", in, 2, NULL, &value));
    return end(match, value);
}

/* ---- The pass --------------------------------------------------------------------------------*/

static const tn_rule rules[] = {
    {"view", view, TN_COUNT(view), holds_view, replace_view},
    {"mask", mask, TN_COUNT(mask), holds_mask, replace_mask},
    {"turned", turned, TN_COUNT(turned), NULL, replace_turned},
    {"cast", cast, TN_COUNT(cast), holds_cast, replace_cast},
    {"gather", gather, TN_COUNT(gather), holds_gather, replace_gather},
    {"sums", sums, TN_COUNT(sums), holds_sums, replace_sums},
};

static tn_status run(tn_graph *graph, int64_t *changed)
{
    return tn_rules_apply(graph, rules, TN_COUNT(rules), changed);
}

const tn_pass tn_pass_simplify_elements = {
    .name = "simplify_elements",
    .about = "masks and sums of constants in fewer nodes",
    .run = run,
    .opset = 9,
};
