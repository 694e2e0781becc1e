/* Gelu from its parts, in the orders that exporters write them:
 *
 *     x * (1 + erf(x / sqrt(2))) * 0.5                               approximate = "none"
 *     0.5 * x * (1 + tanh(sqrt(2/pi) * (x + 0.044715 * x^3)))        approximate = "tanh"
 *
 * Constants stand second: order_operands has been here. */
#include <string.h>

#include "passes/constants.h"

/* clang-format off */
#define ERF                                                                                        \
    {"more", "Add", .in = {"inner", "one"}, .users = 1},                                           \
    {"inner", "Erf", .in = {"scaled"}, .users = 1},                                                \
    {"scaled", "Div|Mul", .in = {"x", "root"}, .users = 1},
#define TANH                                                                                       \
    {"more", "Add", .in = {"inner", "one"}, .users = 1},                                           \
    {"inner", "Tanh", .in = {"scaled"}, .users = 1},                                               \
    {"scaled", "Mul", .in = {"sum", "root"}, .users = 1},                                          \
    {"sum", "Add", .in = {"x", "term"}, .users = 1, .commutes = true},                             \
    {"term", "Mul", .in = {"cube", "factor"}, .users = 1, .commutes = true},                       \
    {"cube", "Pow", .in = {"x", "three"}, .users = 1},
/* clang-format on */
/* (x * more) * half, (x * half) * more, x * (more * half) */
/* clang-format off */
#define ORDERS(name, PARTS)                                                                        \
    static const tn_pattern name##_last[] = {                                                      \
        {"y", "Mul", .in = {"product", "half"}},                                                       \
        {"product", "Mul", .in = {"x", "more"}, .users = 1, .commutes = true}, PARTS};             \
    static const tn_pattern name##_first[] = {                                                     \
        {"y", "Mul", .in = {"product", "more"}, .commutes = true},                                 \
        {"product", "Mul", .in = {"x", "half"}, .users = 1}, PARTS};                                   \
    static const tn_pattern name##_inside[] = {                                                    \
        {"y", "Mul", .in = {"x", "product"}, .commutes = true},                                    \
        {"product", "Mul", .in = {"more", "half"}, .users = 1}, PARTS}
/* clang-format on */
ORDERS(erf, ERF);
ORDERS(tanh, TANH);

#define ROOT_2 1.4142135623730951

static bool fits(const tn_match *match)
{
    /* Of unknown rank it may be a scalar, which a constant of shape [1] would make a vector. */
    if (tn_match_value(match, "x")->type.rank < 0) return false;
    return tn_dtype_kind_of(tn_match_value(match, "x")->type.dtype) == TN_KIND_F &&
           tn_constant_is(tn_match_value(match, "half"), 0.5) &&
           tn_constant_is(tn_match_value(match, "one"), 1) &&
           tn_type_equals(&tn_match_value(match, "x")->type, &tn_match_value(match, "y")->type);
}

static bool holds_erf(const tn_match *match)
{
    const tn_node *scaled = tn_match_node(match, "scaled");
    const tn_value *root = tn_match_value(match, "root");
    if (!fits(match)) return false;
    if (!strcmp(scaled->op->name, "Mul")) return tn_constant_near(root, 1 / ROOT_2);
    return scaled->in[1] == root && tn_constant_near(root, ROOT_2);
}

static bool holds_tanh(const tn_match *match)
{
    return fits(match) && tn_constant_near(tn_match_value(match, "root"), 0.7978845608028654) &&
           tn_constant_near(tn_match_value(match, "factor"), 0.044715) &&
           tn_constant_is(tn_match_value(match, "three"), 3);
}

static tn_status replace(tn_graph *graph, const tn_match *match)
{
    tn_node *root = tn_match_node(match, "y"), *node;
    tn_value *x = tn_match_value(match, "x");
    bool tanh = !strcmp(tn_match_node(match, "inner")->op->name, "Tanh");
    TN_TRY(tn_graph_add_node(graph, tn_op_find(NULL, "Gelu"), root->name, &x, 1, NULL, 1, root,
                             &node));
    const tn_attr word = {.name = "approximate", .kind = TN_ATTR_TEXT, .text = {"tanh", 4}};
    if (tanh) TN_TRY(tn_node_set_attr(node, &word));
    TN_TRY(tn_node_lower(node));
    TN_TRY(tn_node_infer(node));
    return tn_value_replace(root->out[0], node->out[0]);
}

static const tn_rule rules[] = {
    {"gelu", erf_last, TN_COUNT(erf_last), holds_erf, replace},
    {"gelu", erf_first, TN_COUNT(erf_first), holds_erf, replace},
    {"gelu", erf_inside, TN_COUNT(erf_inside), holds_erf, replace},
    {"gelu_tanh", tanh_last, TN_COUNT(tanh_last), holds_tanh, replace},
    {"gelu_tanh", tanh_first, TN_COUNT(tanh_first), holds_tanh, replace},
    {"gelu_tanh", tanh_inside, TN_COUNT(tanh_inside), holds_tanh, replace},
};

static tn_status run(tn_graph *graph, int64_t *changed)
{
    return tn_rules_apply(graph, rules, TN_COUNT(rules), changed);
}

const tn_pass tn_pass_fuse_gelu = {
    .name = "fuse_gelu",
    .about = "Gelu from its parts",
    .run = run,
    .opset = 20,
};
