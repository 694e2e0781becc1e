/* MatMul and Add of matrices are one Gemm. */
#include "passes/constants.h"

static const tn_pattern pattern[] = {
    {"y", "Add", .in = {"product", "c"}, .commutes = true},
    {"product", "MatMul", .in = {"a", "b"}, .users = 1},
};

/* Gemm broadcasts C to the product, never the product to C. */
static bool holds(const tn_match *match)
{
    const tn_type *product = &tn_match_value(match, "product")->type;
    const tn_type *c = &tn_match_value(match, "c")->type;
    const tn_type *y = &tn_match_value(match, "y")->type;
    return tn_match_value(match, "a")->type.rank == 2 &&
           tn_match_value(match, "b")->type.rank == 2 && c->rank >= 0 && c->rank <= 2 &&
           tn_dtype_kind_of(product->dtype) == TN_KIND_F && tn_type_equals(product, y);
}

static tn_status replace(tn_graph *graph, const tn_match *match)
{
    tn_node *root = tn_match_node(match, "y"), *node;
    tn_value *in[] = {tn_match_value(match, "a"), tn_match_value(match, "b"),
                      tn_match_value(match, "c")};
    TN_TRY(tn_graph_add_node(graph, tn_op_find(NULL, "Gemm"), root->name, in, 3, NULL, 1, root,
                             &node));
    TN_TRY(tn_node_lower(node));
    TN_TRY(tn_node_infer(node));
    return tn_value_replace(root->out[0], node->out[0]);
}

static const tn_rule rule = {"gemm", pattern, TN_COUNT(pattern), holds, replace};

static tn_status run(tn_graph *graph, int64_t *changed)
{
    return tn_rules_apply(graph, &rule, 1, changed);
}

const tn_pass tn_pass_fuse_gemm = {
    .name = "fuse_gemm",
    .about = "Gemm from MatMul and Add of matrices",
    .run = run,
};
