/* Nodes whose outputs nobody reads go; so do single outputs that an operator need not give. */
#include "passes/passes.h"

static bool is_read(const tn_node *node)
{
    for (int i = 0; i < node->out_count; i++)
        if (node->out[i] && tn_value_has_users(node->out[i])) return true;
    return false;
}

/* An unread output behind the first is "not asked for": kernels then skip it. */
static int64_t drop_outputs(tn_node *node)
{
    int64_t dropped = 0;
    for (int i = 1; i < node->out_count && i < node->op->out_count; i++) {
        bool optional = node->op->out[i].flags & TN_PORT_OPTIONAL;
        if (!optional || !node->out[i] || tn_value_has_users(node->out[i])) continue;
        tn_map_remove(&node->graph->names, node->out[i]->name);
        node->out[i] = NULL;
        dropped++;
    }
    return dropped;
}

static tn_status run(tn_graph *graph, int64_t *changed)
{
    /* Backwards: a node that goes takes the last user from those before it. */
    tn_node *before;
    for (tn_node *node = graph->last; node; node = before) {
        before = node->prev;
        if (is_read(node)) {
            *changed += drop_outputs(node);
            continue;
        }
        tn_node_remove(node);
        (*changed)++;
    }
    return NULL;
}

const tn_pass tn_pass_drop_dead = {
    .name = "drop_dead",
    .about = "remove nodes and optional outputs that nobody reads",
    .run = run,
};
