/* The invariants of a graph, checked after every pass. What fails here is a defect of ours, but for
 * two outputs of one name, which a file can bring. */
#include <string.h>

#include "ir/graph.h"
#include "ir/op.h"
#include "ir/subgraph.h"

typedef struct verifier {
    const tn_graph *graph;
    uint8_t *seen;     /* by id: the value is there before who reads it */
    uint32_t *reads;   /* by id: inputs of nodes that are this value */
    uint32_t *returns; /* by id: graph outputs that are this value */
} verifier;

static tn_status see_value(verifier *v, const tn_value *value, tn_value_kind kind)
{
    const tn_graph *graph = v->graph;
    TN_CHECK(value->kind == kind && value->graph == graph && value->id < graph->next_id,
             TN_INTERNAL, "value '%s' is of another graph or kind", value->name);
    TN_CHECK(!v->seen[value->id], TN_INTERNAL, "value '%s' is made twice", value->name);
    TN_CHECK(tn_map_find(&graph->names, value->name) == value, TN_INTERNAL,
             "value '%s' is not found by its name", value->name);
    TN_CHECK(value->type.dtype != TN_DTYPE_NONE, TN_INTERNAL, "value '%s' has no type",
             value->name);
    bool whole = value->type.kind == TN_TYPE_TENSOR;
    for (int i = 0; i < value->type.rank; i++)
        TN_CHECK((!whole || value->type.dim[i] != TN_EXPR_NONE) &&
                     value->type.dim[i] < graph->exprs->count,
                 TN_INTERNAL, "value '%s' has no dim %d", value->name, i);
    v->seen[value->id] = 1;
    return NULL;
}

/* Recursion: as deep as graphs are nested. */
static tn_status see_inside(const tn_graph *graph, const tn_node *node, const char *label)
{
    const tn_graph *inside;
    for (int i = 0; (inside = tn_node_inside(node, i)); i++) {
        TN_CHECK(inside->parent == graph && inside->arena == graph->arena &&
                     inside->depth == graph->depth + 1 && inside->exprs != graph->exprs,
                 TN_INTERNAL, "%s: its graph '%s' belongs elsewhere", label, inside->name);
        TN_CHECK(inside->input_count == node->in_count - tn_node_inside_shift(node), TN_INTERNAL,
                 "%s: its graph '%s' has %lld inputs", label, inside->name,
                 (long long)inside->input_count);
        TN_TRY_NOTE(tn_graph_verify(inside), "in %s", label);
    }
    return NULL;
}

static tn_status see_node(verifier *v, const tn_node *node)
{
    char label[160];
    tn_node_label(node, label, sizeof label);
    TN_CHECK(node->graph == v->graph, TN_INTERNAL, "%s: is of another graph", label);
    TN_CHECK(node->params, TN_INTERNAL, "%s: is not lowered", label);
    for (int i = 0; i < node->in_count; i++) {
        const tn_value *value = node->in[i];
        if (!value || value->graph != v->graph) continue;
        TN_CHECK(value->id < v->graph->next_id && v->seen[value->id], TN_INTERNAL,
                 "%s: reads '%s' before it is there", label, value->name);
        v->reads[value->id]++;
    }
    for (int i = 0; i < node->out_count; i++) {
        if (!node->out[i]) continue;
        TN_CHECK(node->out[i]->producer == node && node->out[i]->producer_index == i, TN_INTERNAL,
                 "%s: its output '%s' names another producer", label, node->out[i]->name);
        TN_TRY_NOTE(see_value(v, node->out[i], TN_VALUE_NODE), "at %s", label);
    }
    return see_inside(v->graph, node, label);
}

static tn_status check_users(const verifier *v, const tn_value *value)
{
    TN_CHECK(value->use_count == v->reads[value->id], TN_INTERNAL,
             "value '%s' knows %lld users but has %u", value->name, (long long)value->use_count,
             v->reads[value->id]);
    TN_CHECK((uint32_t)value->output_count == v->returns[value->id], TN_INTERNAL,
             "value '%s' knows %d graph outputs but is %u", value->name, value->output_count,
             v->returns[value->id]);
    for (int64_t i = 0; i < value->use_count; i++) {
        const tn_use *use = &value->use[i];
        TN_CHECK(use->node->graph && use->index < use->node->in_count &&
                     use->node->in[use->index] == value,
                 TN_INTERNAL, "value '%s' has a user that does not read it", value->name);
    }
    return NULL;
}

static tn_status check_outputs(verifier *v)
{
    tn_arena arena;
    tn_map names;
    tn_status status = NULL;
    tn_arena_init(&arena);
    tn_map_init(&names, &arena);
    for (int64_t i = 0; i < v->graph->output_count && !status; i++) {
        const tn_output *output = &v->graph->output[i];
        const tn_value *value = output->value;
        if (value->graph != v->graph || !v->seen[value->id])
            status = TN_ERROR(TN_INTERNAL, "output '%s' is a value that is gone", output->name);
        else if (tn_map_has(&names, output->name))
            status = TN_ERROR(TN_INVALID, "two outputs are called '%s'", output->name);
        else status = tn_map_put(&names, output->name, (void *)(uintptr_t)value);
        if (!status) v->returns[value->id]++;
    }
    tn_arena_fini(&arena);
    return status;
}

static tn_status verify(verifier *v)
{
    const tn_graph *graph = v->graph;
    for (int64_t i = 0; i < graph->input_count; i++)
        TN_TRY(see_value(v, graph->input[i], TN_VALUE_INPUT));
    for (int64_t i = 0; i < graph->constant_count; i++)
        TN_TRY(see_value(v, graph->constant[i], TN_VALUE_CONSTANT));
    int64_t count = 0;
    const tn_node *last = NULL;
    for (const tn_node *node = graph->first; node; last = node, node = node->next, count++) {
        TN_CHECK(node->prev == last && count < graph->node_count, TN_INTERNAL,
                 "the list of nodes is broken");
        TN_TRY(see_node(v, node));
    }
    TN_CHECK(graph->last == last && count == graph->node_count, TN_INTERNAL,
             "the list of nodes is broken");
    TN_TRY(check_outputs(v));
    for (int64_t i = 0; i < graph->input_count; i++) TN_TRY(check_users(v, graph->input[i]));
    for (int64_t i = 0; i < graph->constant_count; i++) TN_TRY(check_users(v, graph->constant[i]));
    for (const tn_node *node = graph->first; node; node = node->next)
        for (int i = 0; i < node->out_count; i++)
            if (node->out[i]) TN_TRY(check_users(v, node->out[i]));
    return NULL;
}

tn_status tn_graph_verify(const tn_graph *graph)
{
    tn_arena arena;
    tn_arena_init(&arena);
    size_t count = (size_t)graph->next_id + 1;
    verifier v = {.graph = graph,
                  .seen = TN_NEW_ARRAY(&arena, uint8_t, count),
                  .reads = TN_NEW_ARRAY(&arena, uint32_t, count),
                  .returns = TN_NEW_ARRAY(&arena, uint32_t, count)};
    tn_status status = v.seen && v.reads && v.returns
                           ? verify(&v)
                           : TN_ERROR(TN_OUT_OF_MEMORY, "no memory to verify the graph");
    tn_arena_fini(&arena);
    if (status) return tn_status_note(status, "while verifying graph '%s'", graph->name);
    return NULL;
}
