/* FusedConv from a Conv and what stands behind it, one node at a time: a residual of its shape, an
 * activation. */
#include "passes/epilogue.h"

#define CONV "Conv|tenon.FusedConv"
enum { X, W, BIAS, RESIDUAL, INPUTS };

/* Both orders are rules of their own: which one holds is not for the matcher to see. */
static const tn_pattern sum_first[] = {{"y", "Add", .in = {"sum", "other"}},
                                       {"sum", CONV, .users = 1}};
static const tn_pattern sum_second[] = {{"y", "Add", .in = {"other", "sum"}},
                                        {"sum", CONV, .users = 1}};
static const tn_pattern plain[] = {TN_EPILOGUE_PLAIN(CONV)};
static const tn_pattern gated[] = {TN_EPILOGUE_GATED(CONV)};

static bool holds_residual(const tn_match *match)
{
    const tn_node *conv = tn_match_node(match, "sum");
    return conv->in_count <= RESIDUAL && !tn_node_find_attr(conv, "activation") &&
           tn_residual_fits(conv->out[0], tn_match_value(match, "other"),
                            tn_match_node(match, "y"));
}

/* The Conv's inputs and attributes, and more. */
static tn_status add_conv(const tn_match *match, tn_value *residual, const tn_epilogue *epilogue)
{
    tn_node *root = tn_match_node(match, "y"), *conv = tn_match_node(match, "sum"), *node;
    tn_value *in[INPUTS] = {NULL};
    for (int i = 0; i < conv->in_count; i++) in[i] = conv->in[i];
    if (residual) in[RESIDUAL] = residual;
    TN_TRY(tn_graph_add_node(root->graph, tn_op_find("tenon", "FusedConv"), conv->name, in, INPUTS,
                             NULL, 1, root, &node));
    tn_node_trim_inputs(node);
    for (int i = 0; i < conv->attr_count; i++) TN_TRY(tn_node_set_attr(node, &conv->attr[i]));
    return tn_epilogue_end(match, node, epilogue);
}

static tn_status replace_residual(tn_graph *graph, const tn_match *match)
{
    (void)graph;
    return add_conv(match, tn_match_value(match, "other"), &(tn_epilogue){0});
}

static tn_status replace_activation(tn_graph *graph, const tn_match *match)
{
    tn_epilogue epilogue;
    (void)graph;
    if (!tn_epilogue_read(match, &epilogue)) return NULL;
    return add_conv(match, NULL, &epilogue);
}

#define RULE(pattern, step)                                                                        \
    {                                                                                              \
        "conv_" #step, pattern, TN_COUNT(pattern), holds_##step, replace_##step                    \
    }
static const tn_rule rules[] = {
    RULE(sum_first, residual),
    RULE(sum_second, residual),
    {"conv_activation", plain, TN_COUNT(plain), tn_epilogue_holds, replace_activation},
    {"conv_activation", gated, TN_COUNT(gated), tn_epilogue_holds, replace_activation},
};

static tn_status run(tn_graph *graph, int64_t *changed)
{
    return tn_epilogue_rules(graph, rules, TN_COUNT(rules), changed);
}

const tn_pass tn_pass_fuse_conv_epilogue = {
    .name = "fuse_conv_epilogue",
    .about = "FusedConv from Conv with a residual and an activation behind it",
    .run = run,
    .only_engines = true,
};
