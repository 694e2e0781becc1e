/* Linear from a MatMul or Gemm with constant weights, which then takes in what stands behind it,
 * one node at a time: the bias, the residual, the activation.
 *
 *     MatMul(x, w)          ->  Linear(x, w)
 *     Linear + vector       ->  with bias            unless it has one, or an activation
 *     Linear + same shape   ->  with residual        unless it has one, or an activation
 *     Relu(Linear), ...     ->  with activation      unless it has one */
#include <string.h>

#include "passes/epilogue.h"

#define LINEAR "tenon.Linear"
enum { X, W, BIAS, RESIDUAL, INPUTS };

static const tn_pattern matmul[] = {{"y", "MatMul", .in = {"x", "w"}}};
static const tn_pattern gemm[] = {{"y", "Gemm", .in = {"x", "w"}}};
static const tn_pattern gemm_sum[] = {{"y", "Gemm", .in = {"x", "w", "other"}}};
/* Both orders are rules of their own: which one holds is not for the matcher to see. */
static const tn_pattern sum_first[] = {{"y", "Add", .in = {"sum", "other"}},
                                       {"sum", LINEAR, .users = 1}};
static const tn_pattern sum_second[] = {{"y", "Add", .in = {"other", "sum"}},
                                        {"sum", LINEAR, .users = 1}};
static const tn_pattern plain[] = {TN_EPILOGUE_PLAIN(LINEAR)};
static const tn_pattern gated[] = {TN_EPILOGUE_GATED(LINEAR)};

/* ---- What fits -------------------------------------------------------------------------------*/

/* A vector for each row of y, whatever axes of 1 it has in front; others than constants must be a
 * vector as they are. */
static bool is_bias(const tn_value *value, const tn_value *y)
{
    int64_t have, want;
    int rank = value->type.rank;
    tn_exprs *exprs = y->graph->exprs;
    if (rank < 1 || rank > y->type.rank) return false;
    if (!tn_expr_is_const(exprs, y->type.dim[y->type.rank - 1], &want)) return false;
    for (int i = 0; i < rank; i++)
        if (!tn_expr_is_const(exprs, value->type.dim[i], &have) ||
            have != (i == rank - 1 ? want : 1))
            return false;
    return rank == 1 || tn_value_is_constant(value);
}

static bool holds_matmul(const tn_match *match)
{
    const tn_value *w = tn_match_value(match, "w");
    return tn_match_value(match, "x")->type.rank > 0 && tn_value_is_constant(w) &&
           w->constant.rank == 2 && tn_dtype_kind_of(w->constant.dtype) == TN_KIND_F;
}

static bool holds_gemm(const tn_match *match)
{
    const tn_node *y = tn_match_node(match, "y");
    const tn_value *other = tn_match_value(match, "other");
    if (!holds_matmul(match) || tn_node_int_attr(y, "transA", 0) ||
        tn_node_float_attr(y, "alpha", 1) != 1)
        return false;
    if (!other) return true;
    return tn_node_float_attr(y, "beta", 1) == 1 &&
           (is_bias(other, y->out[0]) || tn_type_equals(&other->type, &y->out[0]->type));
}

static bool holds_bias(const tn_match *match)
{
    const tn_node *linear = tn_match_node(match, "sum");
    const tn_value *y = tn_match_value(match, "y");
    return (linear->in_count <= BIAS || !linear->in[BIAS]) &&
           !tn_node_find_attr(linear, "activation") && linear->out[0]->type.rank > 0 &&
           tn_type_equals(&linear->out[0]->type, &y->type) &&
           is_bias(tn_match_value(match, "other"), y);
}

static bool holds_residual(const tn_match *match)
{
    const tn_node *linear = tn_match_node(match, "sum");
    return linear->in_count <= RESIDUAL && !tn_node_find_attr(linear, "activation") &&
           tn_residual_fits(linear->out[0], tn_match_value(match, "other"),
                            tn_match_node(match, "y"));
}

/* ---- What is made ----------------------------------------------------------------------------*/

static tn_status add_linear(const tn_match *match, tn_value *const *in, const tn_epilogue *epilogue)
{
    tn_node *root = tn_match_node(match, "y"), *sum = tn_match_node(match, "sum"), *node;
    TN_TRY(tn_graph_add_node(root->graph, tn_op_find("tenon", "Linear"),
                             sum ? sum->name : root->name, in, INPUTS, NULL, 1, root, &node));
    tn_node_trim_inputs(node);
    return tn_epilogue_end(match, node, epilogue);
}

/* The same data as a vector. */
static tn_status make_vector(tn_value *value, tn_value **out)
{
    *out = value;
    if (value->type.rank == 1) return NULL;
    const tn_tensor *t = &value->constant;
    tn_tensor vector = tn_tensor_of(t->dtype, &t->dim[t->rank - 1], 1, t->data);
    return tn_graph_add_constant(value->graph, NULL, &vector, false, out);
}

static tn_status transpose(tn_value *value, tn_value **out)
{
    const tn_tensor *from = &value->constant;
    int64_t rows = from->dim[0], columns = from->dim[1], size = tn_dtype_bytes(from->dtype, 1);
    tn_tensor to = tn_tensor_of(from->dtype, (int64_t[]){columns, rows}, 2, NULL);
    uint8_t *dst = tn_arena_alloc(value->graph->arena, (size_t)tn_tensor_bytes(&to));
    TN_CHECK(dst, TN_OUT_OF_MEMORY, "no memory for weights");
    to.data = dst;
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++)
            memcpy(dst + (j * rows + i) * size,
                   (const uint8_t *)from->data + (i * columns + j) * size, (size_t)size);
    return tn_graph_add_constant(value->graph, NULL, &to, false, out);
}

static tn_status replace_product(tn_graph *graph, const tn_match *match)
{
    tn_node *root = tn_match_node(match, "y");
    tn_value *in[INPUTS] = {tn_match_value(match, "x"), tn_match_value(match, "w")};
    tn_value *other = tn_match_value(match, "other");
    (void)graph;
    if (tn_node_int_attr(root, "transB", 0)) TN_TRY(transpose(in[W], &in[W]));
    if (other && is_bias(other, root->out[0])) TN_TRY(make_vector(other, &in[BIAS]));
    else in[RESIDUAL] = other;
    return add_linear(match, in, &(tn_epilogue){0});
}

/* The inputs that a Linear has. */
static void take_inputs(const tn_node *linear, tn_value **in)
{
    for (int i = 0; i < INPUTS; i++) in[i] = i < linear->in_count ? linear->in[i] : NULL;
}

static tn_status replace_bias(tn_graph *graph, const tn_match *match)
{
    tn_value *in[INPUTS];
    (void)graph;
    take_inputs(tn_match_node(match, "sum"), in);
    TN_TRY(make_vector(tn_match_value(match, "other"), &in[BIAS]));
    return add_linear(match, in, &(tn_epilogue){0});
}

static tn_status replace_residual(tn_graph *graph, const tn_match *match)
{
    tn_value *in[INPUTS];
    (void)graph;
    take_inputs(tn_match_node(match, "sum"), in);
    in[RESIDUAL] = tn_match_value(match, "other");
    return add_linear(match, in, &(tn_epilogue){0});
}

static tn_status replace_activation(tn_graph *graph, const tn_match *match)
{
    tn_value *in[INPUTS];
    tn_epilogue epilogue;
    (void)graph;
    take_inputs(tn_match_node(match, "sum"), in);
    if (!tn_epilogue_read(match, &epilogue)) return NULL;
    return add_linear(match, in, &epilogue);
}

#define RULE(pattern, step)                                                                        \
    {                                                                                              \
        "linear_" #step, pattern, TN_COUNT(pattern), holds_##step, replace_##step                  \
    }
static const tn_rule rules[] = {
    {"linear", matmul, TN_COUNT(matmul), holds_matmul, replace_product},
    {"linear", gemm, TN_COUNT(gemm), holds_gemm, replace_product},
    {"linear", gemm_sum, TN_COUNT(gemm_sum), holds_gemm, replace_product},
    RULE(sum_first, bias),
    RULE(sum_second, bias),
    RULE(sum_first, residual),
    RULE(sum_second, residual),
    {"linear_activation", plain, TN_COUNT(plain), tn_epilogue_holds, replace_activation},
    {"linear_activation", gated, TN_COUNT(gated), tn_epilogue_holds, replace_activation},
};

static tn_status run(tn_graph *graph, int64_t *changed)
{
    return tn_epilogue_rules(graph, rules, TN_COUNT(rules), changed);
}

const tn_pass tn_pass_fuse_linear = {
    .name = "fuse_linear",
    .about = "Linear from MatMul or Gemm with constant weights, bias, residual and activation",
    .run = run,
    .only_engines = true,
};
