/* For cards: a normalisation of rows together with the products on both of its sides, so that the
 * first tells the second what it would otherwise look for in every row.
 *
 *     h = Linear(x), y, n = NormLinear(h)  ->  y, n, h = LinearNormLinear(x)
 *
 * h stays for whoever else reads it, as long as they come behind both. */
#include <string.h>

#include "ops/linear_norm_linear/linear_norm_linear.h"
#include "ops/norm_linear/norm_linear.h"
#include "passes/epilogue.h"

enum { X, W, BIAS, RESIDUAL }; /* of the first product */

static tn_value *input(const tn_node *node, int index)
{
    return index < node->in_count ? node->in[index] : NULL;
}

static bool is_constant(const tn_node *node, int index, int rank)
{
    const tn_value *value = input(node, index);
    return !value || (tn_value_is_constant(value) && value->type.rank == rank);
}

/* What makes the rows, if that is a product of which nobody has read before both are made. */
static tn_node *first_of(const tn_node *second)
{
    const tn_value *rows = second->in[TN_NL_X];
    tn_node *first = rows->producer;
    if (!first || strcmp(first->op->name, "Linear") || tn_epilogue_of_node(first).kind ||
        !is_constant(first, W, 2) || !is_constant(first, BIAS, 1))
        return NULL;
    for (const tn_node *node = first->next; node && node != second; node = node->next)
        for (int i = 0; i < node->in_count; i++)
            if (node->in[i] == rows) return NULL;
    return first;
}

/* The second product becomes both, so that its results keep their names. */
static tn_status fuse(tn_node *first, tn_node *second)
{
    tn_value *rows = first->out[0], *made = NULL;
    bool only = rows->use_count == 1 && !rows->output_count;
    tn_value *in[TN_LNL_INS] = {
        [TN_LNL_X] = first->in[X],
        [TN_LNL_W1] = first->in[W],
        [TN_LNL_BIAS1] = input(first, BIAS),
        [TN_LNL_RESIDUAL] = input(first, RESIDUAL),
        [TN_LNL_SCALE] = second->in[TN_NL_SCALE],
        [TN_LNL_SHIFT] = input(second, TN_NL_SHIFT),
        [TN_LNL_W2] = second->in[TN_NL_W],
        [TN_LNL_BIAS2] = input(second, TN_NL_BIAS),
    };
    tn_node_set_op(second, tn_op_find("tenon", "LinearNormLinear"));
    for (int i = 0; i < TN_LNL_INS; i++) TN_TRY(tn_node_set_input(second, i, in[i]));
    tn_node_trim_inputs(second);
    while (!only && second->out_count <= TN_LNL_H) TN_TRY(tn_node_add_output(second, &made));
    TN_TRY(tn_node_lower(second));
    TN_TRY(tn_node_infer(second));
    if (!only) TN_TRY(tn_value_replace(rows, made));
    tn_node_remove(first);
    return NULL;
}

static tn_status run(tn_graph *graph, int64_t *changed)
{
    for (tn_node *node = graph->first; node; node = node->next) {
        if (strcmp(node->op->name, "NormLinear")) continue;
        tn_node *first = first_of(node);
        if (!first) continue;
        TN_TRY(fuse(first, node));
        ++*changed;
    }
    return NULL;
}

const tn_pass tn_pass_fuse_linear_norm_linear = {
    .name = "fuse_linear_norm_linear",
    .about = "a normalisation of rows with the products before and behind it as one node",
    .run = run,
    .only_engines = true,
    .only_cards = true,
};
