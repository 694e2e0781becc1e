/* Graphs inside nodes: an If whose condition is known gives way to the nodes of its branch; what
 * other nodes take from outside is a constant inside where it is one outside, and goes where nobody
 * reads it. */
#include "ir/subgraph.h"
#include "passes/passes.h"

static const tn_graph *chosen_branch(const tn_node *node)
{
    const tn_value *condition = node->in_count ? node->in[0] : NULL;
    if (node->op->runs != TN_RUNS_IF || !tn_value_is_constant(condition)) return NULL;
    if (tn_tensor_count(&condition->constant) != 1) return NULL;
    bool holds = tn_load_i64(condition->constant.dtype, condition->constant.data, 0) != 0;
    const tn_attr *attr = tn_node_find_attr(node, holds ? "then_branch" : "else_branch");
    return attr ? attr->graph : NULL;
}

static tn_status inline_branch(tn_node *node, const tn_graph *branch, int64_t *changed)
{
    tn_arena arena;
    bool done = false;
    tn_arena_init(&arena);
    tn_value **out = TN_NEW_ARRAY(&arena, tn_value *, branch->output_count);
    tn_status status = out ? tn_node_inline(node, branch, out, &done)
                           : TN_ERROR(TN_OUT_OF_MEMORY, "no memory to copy a graph");
    for (int32_t i = 0; i < node->out_count && done && !status; i++)
        if (node->out[i] && tn_value_has_users(node->out[i]))
            status = tn_value_replace(node->out[i], out[i]);
    tn_arena_fini(&arena);
    TN_TRY(status);
    if (!done) return NULL;
    tn_node_remove(node);
    (*changed)++;
    return NULL;
}

static tn_status run(tn_graph *graph, int64_t *changed)
{
    tn_node *next;
    for (tn_node *node = graph->first; node; node = next) {
        next = node->next;
        if (!tn_node_has_inside(node)) continue;
        TN_TRY(tn_node_trim_captured(node, changed));
        const tn_graph *branch = chosen_branch(node);
        if (branch) TN_TRY(inline_branch(node, branch, changed));
    }
    return NULL;
}

const tn_pass tn_pass_inline_if = {
    .name = "inline_if",
    .about = "put the branch that a constant chooses in the place of its If",
    .run = run,
};
