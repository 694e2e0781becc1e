/* A Transpose of a Transpose is one: y[i] = axis first[second[i]] of x. */
#include "passes/constants.h"

static const tn_pattern pattern[] = {
    {"y", "Transpose", .in = {"t"}},
    {"t", "Transpose", .in = {"x"}},
};

/* The permutation that a node means; false if it is not known. */
static bool find_perm(const tn_node *node, int rank, int64_t *perm)
{
    const tn_attr *attr = tn_node_find_attr(node, "perm");
    if (rank < 0 || (attr && (attr->kind != TN_ATTR_INTS || attr->count != rank))) return false;
    for (int i = 0; i < rank; i++) perm[i] = attr ? attr->ints[i] : rank - 1 - i;
    return true;
}

static bool holds(const tn_match *match)
{
    int64_t perm[TN_RANK_MAX];
    int rank = tn_match_value(match, "x")->type.rank;
    return find_perm(tn_match_node(match, "y"), rank, perm) &&
           find_perm(tn_match_node(match, "t"), rank, perm);
}

static tn_status replace(tn_graph *graph, const tn_match *match)
{
    int64_t first[TN_RANK_MAX], second[TN_RANK_MAX], perm[TN_RANK_MAX];
    tn_node *root = tn_match_node(match, "y");
    tn_value *x = tn_match_value(match, "x");
    int rank = x->type.rank;
    (void)graph;
    find_perm(tn_match_node(match, "t"), rank, first);
    find_perm(root, rank, second);
    for (int i = 0; i < rank; i++) perm[i] = first[second[i]];
    TN_TRY(tn_node_set_input(root, 0, x));
    TN_TRY(tn_node_set_attr(
        root, &(tn_attr){.name = "perm", .kind = TN_ATTR_INTS, .ints = perm, .count = rank}));
    TN_TRY(tn_node_lower(root));
    return tn_node_infer(root);
}

static const tn_rule rule = {"transposes", pattern, TN_COUNT(pattern), holds, replace};

static tn_status run(tn_graph *graph, int64_t *changed)
{
    return tn_rules_apply(graph, &rule, 1, changed);
}

const tn_pass tn_pass_merge_transposes = {
    .name = "merge_transposes",
    .about = "one Transpose where two follow each other",
    .run = run,
};
