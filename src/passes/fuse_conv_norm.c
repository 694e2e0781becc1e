/* BatchNormalization behind Conv is a scale and a shift of each output channel, so it goes into the
 * weights and the bias. Computed in f64, rounded once. */
#include <math.h>
#include <string.h>

#include "passes/constants.h"

static const tn_pattern with_bias[] = {
    {"y", "BatchNormalization", .in = {"conv", "scale", "shift", "mean", "variance"}},
    {"conv", "Conv", .in = {"x", "w", "b"}, .users = 1},
};
static const tn_pattern without_bias[] = {
    {"y", "BatchNormalization", .in = {"conv", "scale", "shift", "mean", "variance"}},
    {"conv", "Conv", .in = {"x", "w"}, .users = 1},
};

/* A constant float vector with an element for each channel. */
static bool is_vector(const tn_match *match, const char *name, int64_t channels)
{
    const tn_value *value = tn_match_value(match, name);
    return value && tn_value_is_constant(value) && value->constant.rank == 1 &&
           value->constant.dim[0] == channels &&
           tn_dtype_kind_of(value->constant.dtype) == TN_KIND_F;
}

static bool holds(const tn_match *match)
{
    const tn_node *norm = tn_match_node(match, "y");
    const tn_value *w = tn_match_value(match, "w");
    if (!tn_value_is_constant(w) || tn_dtype_kind_of(w->constant.dtype) != TN_KIND_F) return false;
    if (w->constant.rank < 3 || tn_node_int_attr(norm, "training_mode", 0)) return false;
    for (int i = 1; i < norm->out_count; i++)
        if (norm->out[i] && tn_value_has_users(norm->out[i])) return false;
    int64_t channels = w->constant.dim[0];
    const tn_value *b = tn_match_value(match, "b");
    return is_vector(match, "scale", channels) && is_vector(match, "shift", channels) &&
           is_vector(match, "mean", channels) && is_vector(match, "variance", channels) &&
           (!b || is_vector(match, "b", channels));
}

static double load(const tn_match *match, const char *name, int64_t i)
{
    const tn_value *value = tn_match_value(match, name);
    return value ? tn_load_f64(value->constant.dtype, value->constant.data, i) : 0;
}

/* A constant whose data is made here. */
static tn_status make_constant(tn_graph *graph, tn_dtype dtype, const int64_t *dim, int rank,
                               tn_value **out)
{
    tn_tensor tensor = tn_tensor_of(dtype, dim, rank, NULL);
    tensor.data = tn_arena_alloc(graph->arena, (size_t)tn_tensor_bytes(&tensor));
    TN_CHECK(tensor.data, TN_OUT_OF_MEMORY, "no memory for weights");
    return tn_graph_add_constant(graph, NULL, &tensor, false, out);
}

/* A node of its own: the name of the old one's output goes on meaning what it meant. */
static tn_status add_conv(tn_node *norm, const tn_node *conv, tn_value *weights, tn_value *bias)
{
    tn_node *node;
    TN_TRY(tn_graph_add_node(norm->graph, conv->op, conv->name,
                             (tn_value *[]){conv->in[0], weights, bias}, 3, NULL, 1, norm, &node));
    for (int i = 0; i < conv->attr_count; i++) TN_TRY(tn_node_set_attr(node, &conv->attr[i]));
    TN_TRY(tn_node_lower(node));
    TN_TRY(tn_node_infer(node));
    return tn_value_replace(norm->out[0], node->out[0]);
}

static tn_status replace(tn_graph *graph, const tn_match *match)
{
    tn_node *norm = tn_match_node(match, "y"), *conv = tn_match_node(match, "conv");
    const tn_tensor *w = &tn_match_value(match, "w")->constant;
    int64_t channels = w->dim[0], inner = tn_dims_product(w->dim, 1, w->rank);
    double epsilon = tn_node_float_attr(norm, "epsilon", 1e-5);
    tn_value *weights, *bias;
    TN_TRY(make_constant(graph, w->dtype, w->dim, w->rank, &weights));
    TN_TRY(make_constant(graph, w->dtype, &channels, 1, &bias));
    for (int64_t c = 0; c < channels; c++) {
        double factor = load(match, "scale", c) / sqrt(load(match, "variance", c) + epsilon);
        for (int64_t i = c * inner; i < (c + 1) * inner; i++)
            tn_store_f64(w->dtype, weights->constant.data, i,
                         tn_load_f64(w->dtype, w->data, i) * factor);
        tn_store_f64(w->dtype, bias->constant.data, c,
                     (load(match, "b", c) - load(match, "mean", c)) * factor +
                         load(match, "shift", c));
    }
    return add_conv(norm, conv, weights, bias);
}

static const tn_rule rules[] = {
    {"conv_norm", with_bias, TN_COUNT(with_bias), holds, replace},
    {"conv_norm", without_bias, TN_COUNT(without_bias), holds, replace},
};

static tn_status run(tn_graph *graph, int64_t *changed)
{
    return tn_rules_apply(graph, rules, TN_COUNT(rules), changed);
}

const tn_pass tn_pass_fuse_conv_norm = {
    .name = "fuse_conv_norm",
    .about = "put BatchNormalization into the weights of the Conv before it",
    .run = run,
};
