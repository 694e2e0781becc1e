/* Rows that nobody reads are not computed: a Gather of one place along an axis goes before the
 * nodes that work row by row.
 *
 *     Gather(Linear(x, w, b, r), k)  ->  Linear(Gather(x, k), w, b, Gather(r, k))
 *
 * A classifier reads the first token of each sentence; all of its last layer but the attention is
 * then computed for that token alone. */
#include <string.h>

#include "passes/by_row.h"

/* Of one place of an axis that is not the last. */
static bool is_pick(const tn_node *node, int *axis)
{
    if (strcmp(node->op->name, "Gather") || node->op->domain || !node->in[0] || !node->in[1])
        return false;
    const tn_value *place = node->in[1];
    int rank = node->in[0]->type.rank;
    if (!tn_value_is_constant(place) || place->constant.rank != 0 || rank < 2) return false;
    int64_t at = tn_node_int_attr(node, "axis", 0);
    *axis = (int)(at < 0 ? at + rank : at);
    return *axis >= 0 && *axis < rank - 1;
}

static tn_status pick(tn_node *root, tn_value *from, int axis, tn_value **out)
{
    tn_node *node;
    tn_value *in[] = {from, root->in[1]};
    TN_TRY(tn_graph_add_node(root->graph, root->op, root->name, in, 2, NULL, 1, root, &node));
    TN_TRY(tn_node_set_int(node, "axis", axis));
    TN_TRY(tn_node_lower(node));
    TN_TRY(tn_node_infer(node));
    *out = node->out[0];
    return NULL;
}

static tn_status move(tn_node *root, int axis, int64_t *changed)
{
    bool rows[TN_BY_ROW_INPUTS];
    tn_value *in[TN_BY_ROW_INPUTS];
    tn_node *node = root->in[0]->producer, *again;
    if (!node || root->in[0]->use_count != 1 || root->in[0]->output_count) return NULL;
    if (!tn_by_row(node, rows)) return NULL;
    for (int i = 0; i < node->in_count; i++) {
        in[i] = node->in[i];
        if (rows[i]) TN_TRY(pick(root, node->in[i], axis, &in[i]));
    }
    TN_TRY(tn_by_row_again(node, in, root, &again));
    TN_TRY(tn_value_replace(root->out[0], again->out[0]));
    tn_node_remove(root);
    tn_node_remove(node);
    ++*changed;
    return NULL;
}

/* Backwards, so that what a move puts before a node is met as well. */
static tn_status run(tn_graph *graph, int64_t *changed)
{
    int axis;
    for (tn_node *node = graph->last, *before; node; node = before) {
        before = node->prev;
        int64_t moved = 0;
        if (!is_pick(node, &axis)) continue;
        tn_node *next = node->next;
        TN_TRY(move(node, axis, &moved));
        *changed += moved;
        if (moved) before = next ? next->prev : graph->last;
    }
    return NULL;
}

const tn_pass tn_pass_pick_rows_early = {
    .name = "pick_rows_early",
    .about = "Gather of one place before nodes that work row by row",
    .run = run,
    .only_engines = true,
};
