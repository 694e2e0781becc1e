/* LayerNormalization from the parts that exporters of older opsets write:
 *
 *     (x - mean(x)) / sqrt(mean((x - mean(x))^2) + epsilon) * scale + bias
 *
 * The means run over the last axes. First what stands before the scale becomes the operator with a
 * scale of ones, then a factor takes the place of the ones, then a summand becomes the bias: scales
 * of ones and biases of zeros are often gone when this pass sees the graph. */
#include <string.h>

#include "passes/constants.h"
#include "passes/passes.h"

/* clang-format off */
#define PARTS                                                                                      \
    {"y", "Div", .in = {"centred", "root"}},                                                       \
    {"root", "Sqrt", .in = {"sum"}, .users = 1},                                                   \
    {"sum", "Add", .in = {"variance", "epsilon"}, .users = 1, .commutes = true},                   \
    {"variance", "ReduceMean", .in = {"square", "axes"}, .users = 1},                              \
    {"centred", "Sub", .in = {"x", "mean"}},                                                       \
    {"mean", "ReduceMean", .in = {"x", "axes2"}}
/* clang-format on */

static const tn_pattern power[] = {
    PARTS,
    {"square", "Pow", .in = {"centred", "two"}, .users = 1},
};
static const tn_pattern product[] = {
    PARTS,
    {"square", "Mul", .in = {"centred", "centred"}, .users = 1},
};
static const tn_pattern factor[] = {
    {"y", "Mul", .in = {"norm", "scale"}, .commutes = true},
    {"norm", "LayerNormalization", .in = {"x", "ones"}, .users = 1},
};
static const tn_pattern summand[] = {
    {"y", "Add", .in = {"norm", "bias"}, .commutes = true},
    {"norm", "LayerNormalization", .in = {"x", "scale"}, .users = 1},
};

/* Do the axes of a mean, kept as 1, run from `first` to the last? */
static bool is_tail(const tn_match *match, const char *mean, const char *axes, int rank, int *first)
{
    const tn_node *node = tn_match_node(match, mean);
    const tn_value *list = tn_match_value(match, axes);
    bool seen[TN_RANK_MAX] = {false};
    if (!tn_value_is_constant(list) || !tn_node_int_attr(node, "keepdims", 1)) return false;
    int64_t count = tn_tensor_count(&list->constant);
    if (count < 1 || count > rank) return false;
    for (int64_t i = 0; i < count; i++) {
        int axis = tn_axis_normal(tn_load_i64(list->constant.dtype, list->constant.data, i), rank);
        if (axis < 0 || seen[axis]) return false;
        seen[axis] = true;
    }
    *first = rank - (int)count;
    for (int i = *first; i < rank; i++)
        if (!seen[i]) return false;
    return true;
}

static bool holds_core(const tn_match *match)
{
    const tn_type *x = &tn_match_value(match, "x")->type;
    const tn_value *two = tn_match_value(match, "two");
    int first, second;
    int64_t size;
    double epsilon;
    if (tn_dtype_kind_of(x->dtype) != TN_KIND_F || x->rank < 1) return false;
    /* An epsilon of a higher rank would raise that of the result. */
    if (!tn_type_equals(x, &tn_match_value(match, "y")->type)) return false;
    if (!is_tail(match, "variance", "axes", x->rank, &first) ||
        !is_tail(match, "mean", "axes2", x->rank, &second) || first != second)
        return false;
    /* The ones need a shape. */
    for (int i = first; i < x->rank; i++)
        if (!tn_expr_is_const(tn_match_value(match, "x")->graph->exprs, x->dim[i], &size))
            return false;
    if (two && !tn_constant_is(two, 2)) return false;
    return tn_constant_number(tn_match_value(match, "epsilon"), &epsilon) && epsilon >= 0;
}

/* A node in place of the root. */
static tn_status add_norm(const tn_match *match, tn_value *const *in, int in_count, int64_t axis,
                          double epsilon)
{
    tn_node *root = tn_match_node(match, "y"), *node;
    TN_TRY(tn_graph_add_node(root->graph, tn_op_find(NULL, "LayerNormalization"), root->name, in,
                             in_count, NULL, 1, root, &node));
    TN_TRY(tn_node_set_int(node, "axis", axis));
    TN_TRY(tn_node_set_attr(
        node, &(tn_attr){.name = "epsilon", .kind = TN_ATTR_FLOAT, .f = (double)(float)epsilon}));
    TN_TRY(tn_node_lower(node));
    TN_TRY(tn_node_infer(node));
    return tn_value_replace(root->out[0], node->out[0]);
}

static tn_status replace_core(tn_graph *graph, const tn_match *match)
{
    tn_value *x = tn_match_value(match, "x"), *scale;
    int count = (int)tn_tensor_count(&tn_match_value(match, "axes")->constant);
    int64_t dim[TN_RANK_MAX];
    double epsilon = 0;
    tn_constant_number(tn_match_value(match, "epsilon"), &epsilon);
    for (int i = 0; i < count; i++)
        if (!tn_expr_is_const(graph->exprs, x->type.dim[x->type.rank - count + i], &dim[i]))
            return NULL;
    tn_tensor ones = tn_tensor_of(x->type.dtype, dim, count, NULL);
    ones.data = tn_arena_alloc(graph->arena, (size_t)tn_tensor_bytes(&ones));
    TN_CHECK(ones.data, TN_OUT_OF_MEMORY, "no memory for a scale");
    for (int64_t i = 0; i < tn_tensor_count(&ones); i++) tn_store_f64(ones.dtype, ones.data, i, 1);
    TN_TRY(tn_graph_add_constant(graph, NULL, &ones, false, &scale));
    return add_norm(match, (tn_value *[]){x, scale}, 2, -count, epsilon);
}

/* Does the value have exactly the dims that the operator normalises? */
static bool is_operand(const tn_value *value, const tn_value *scale)
{
    return tn_type_equals(&value->type, &scale->type);
}

static bool holds_factor(const tn_match *match)
{
    const tn_value *ones = tn_match_value(match, "ones");
    if (!tn_value_is_constant(ones) || !is_operand(tn_match_value(match, "scale"), ones))
        return false;
    for (int64_t i = 0; i < tn_tensor_count(&ones->constant); i++)
        if (tn_load_f64(ones->constant.dtype, ones->constant.data, i) != 1) return false;
    return tn_match_node(match, "norm")->in_count == 2;
}

static bool holds_summand(const tn_match *match)
{
    return is_operand(tn_match_value(match, "bias"), tn_match_value(match, "scale"));
}

static tn_status replace_norm(tn_graph *graph, const tn_match *match)
{
    const tn_node *norm = tn_match_node(match, "norm");
    tn_value *bias = tn_match_value(match, "bias");
    tn_value *in[] = {tn_match_value(match, "x"), tn_match_value(match, "scale"), bias};
    (void)graph;
    return add_norm(match, in, bias ? 3 : 2, tn_node_int_attr(norm, "axis", -1),
                    tn_node_float_attr(norm, "epsilon", 1e-5));
}

static const tn_rule rules[] = {
    {"layer_norm", power, TN_COUNT(power), holds_core, replace_core},
    {"layer_norm", product, TN_COUNT(product), holds_core, replace_core},
    {"layer_norm_scale", factor, TN_COUNT(factor), holds_factor, replace_norm},
    {"layer_norm_bias", summand, TN_COUNT(summand), holds_summand, replace_norm},
};

static tn_status run(tn_graph *graph, int64_t *changed)
{
    return tn_rules_apply(graph, rules, TN_COUNT(rules), changed);
}

const tn_pass tn_pass_fuse_layer_norm = {
    .name = "fuse_layer_norm",
    .about = "LayerNormalization from its parts",
    .run = run,
    .opset = 17,
};
