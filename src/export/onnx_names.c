/* Names of values and nodes in a file, from the outside in. */
#include "export/onnx_names.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ir/subgraph.h"

const tn_onnx_scope *tn_onnx_scope_of(const tn_onnx_names *names, const tn_graph *graph)
{
    const tn_onnx_scope *scope = names->root;
    while (scope && scope->graph != graph) scope = scope->next;
    return scope;
}

const char *tn_onnx_name_of(const tn_onnx_scope *scope, const tn_value *value)
{
    return value ? scope->name[value->id] : "";
}

bool tn_onnx_is_hoisted(const tn_onnx_scope *scope, const tn_value *constant)
{
    return scope->outer && constant->constant.dtype != TN_DTYPE_STRING &&
           tn_tensor_bytes(&constant->constant) >= TN_ONNX_HOISTED_LEAST;
}

/* ---- Outputs ---------------------------------------------------------------------------------*/

static tn_status add_identity(tn_graph *graph, tn_output *output)
{
    tn_node *node;
    TN_TRY(tn_graph_add_node(graph, tn_op_find(NULL, "Identity"), "", &output->value, 1, NULL, 1,
                             NULL, &node));
    TN_TRY(tn_node_lower(node));
    TN_TRY(tn_node_infer(node));
    output->value->output_count--;
    output->value = node->out[0];
    output->value->output_count++;
    return NULL;
}

/* In a file an output is the value that has its name. Graphs inside give only what their nodes
 * make. */
static tn_status separate_outputs(tn_graph *graph, bool is_root, tn_arena *arena)
{
    bool *taken = TN_NEW_ARRAY(arena, bool, (size_t)graph->next_id + (size_t)graph->output_count);
    TN_CHECK(taken, TN_OUT_OF_MEMORY, "no memory for names");
    for (int64_t i = 0; i < graph->output_count; i++) {
        tn_output *output = &graph->output[i];
        bool own = !strcmp(output->value->name, output->name);
        bool is_input = output->value->kind == TN_VALUE_INPUT;
        if (taken[output->value->id] ||
            (is_root ? is_input && !own : output->value->kind != TN_VALUE_NODE))
            TN_TRY(add_identity(graph, output));
        taken[output->value->id] = true;
    }
    return NULL;
}

/* ---- Names -----------------------------------------------------------------------------------*/

/* The base, or the base with a number behind it. */
static tn_status find_free(tn_onnx_names *names, tn_map *used, const char *base, const char **out)
{
    *out = base;
    for (int i = 2; tn_map_has(used, *out); i++) {
        *out = tn_arena_printf(names->arena, "%s/%d", base, i);
        TN_CHECK(*out, TN_OUT_OF_MEMORY, "no memory for names");
    }
    return tn_map_put(used, *out, names);
}

static tn_status name_value(tn_onnx_names *names, tn_onnx_scope *scope, const tn_value *value)
{
    if (!value || scope->name[value->id]) return NULL;
    return find_free(names, &names->used, value->name, &scope->name[value->id]);
}

static tn_status name_hoisted(tn_onnx_names *names, tn_onnx_scope *scope, const tn_value *value)
{
    char key[64];
    snprintf(key, sizeof(key), "%" PRIxPTR ":%lld", (uintptr_t)value->constant.data,
             (long long)tn_tensor_bytes(&value->constant));
    tn_onnx_hoisted *known = tn_map_find(&names->hoisted_by_data, key);
    if (!known || known->tensor->dtype != value->constant.dtype ||
        !tn_tensor_same_shape(known->tensor, &value->constant)) {
        known = TN_NEW(names->arena, tn_onnx_hoisted);
        TN_CHECK(known, TN_OUT_OF_MEMORY, "no memory for names");
        known->tensor = &value->constant;
        TN_TRY(find_free(names, &names->used, value->name, &known->name));
        if (names->last_hoisted) names->last_hoisted->next = known;
        else names->hoisted = known;
        names->last_hoisted = known;
        TN_TRY(tn_map_put(&names->hoisted_by_data, key, known));
    }
    scope->name[value->id] = known->name;
    return NULL;
}

static tn_status name_values(tn_onnx_names *names, tn_onnx_scope *scope)
{
    tn_graph *graph = scope->graph;
    /* The names that users know come first. */
    for (int64_t i = 0; !scope->outer && i < graph->input_count; i++)
        TN_TRY(name_value(names, scope, graph->input[i]));
    for (int64_t i = 0; i < graph->output_count; i++) {
        const tn_output *output = &graph->output[i];
        if (!scope->name[output->value->id])
            TN_TRY(find_free(names, &names->used, output->name, &scope->name[output->value->id]));
    }
    for (int64_t i = 0; i < graph->input_count; i++)
        TN_TRY(name_value(names, scope, graph->input[i]));
    for (int64_t i = 0; i < graph->constant_count; i++) {
        const tn_value *value = graph->constant[i];
        if (!tn_value_has_users(value)) continue;
        if (tn_onnx_is_hoisted(scope, value)) TN_TRY(name_hoisted(names, scope, value));
        else TN_TRY(name_value(names, scope, value));
    }
    for (const tn_node *node = graph->first; node; node = node->next)
        for (int k = 0; k < node->out_count; k++) TN_TRY(name_value(names, scope, node->out[k]));
    return NULL;
}

static tn_status name_graph(tn_onnx_names *names, tn_graph *graph, tn_onnx_scope *outer,
                            const tn_node *node);

/* Recursion: as deep as graphs are nested, which is bounded (TN_GRAPH_DEPTH_MAX). */
static tn_status name_inside(tn_onnx_names *names, tn_onnx_scope *scope)
{
    for (tn_node *node = scope->graph->first; node; node = node->next) {
        tn_graph *inside;
        /* Readers want the names of nodes to differ. Of several with one name the first keeps it.
         */
        if (node->name && node->name[0])
            TN_TRY(find_free(names, &names->nodes, node->name, &node->name));
        for (int i = 0; (inside = tn_node_inside(node, i)); i++)
            TN_TRY(name_graph(names, inside, scope, node));
    }
    return NULL;
}

static tn_status name_graph(tn_onnx_names *names, tn_graph *graph, tn_onnx_scope *outer,
                            const tn_node *node)
{
    tn_onnx_scope *scope = TN_NEW(names->arena, tn_onnx_scope);
    TN_CHECK(scope, TN_OUT_OF_MEMORY, "no memory for names");
    TN_TRY(separate_outputs(graph, !outer, names->arena));
    *scope = (tn_onnx_scope){.outer = outer, .graph = graph, .given = graph->input_count};
    scope->name = TN_NEW_ARRAY(names->arena, const char *, graph->next_id);
    TN_CHECK(scope->name, TN_OUT_OF_MEMORY, "no memory for names");
    if (names->last) names->last->next = scope;
    else names->root = scope;
    names->last = scope;
    if (outer) {
        int shift = tn_node_inside_shift(node);
        scope->given = TN_MIN((int64_t)tn_node_inside_given(node), graph->input_count);
        for (int64_t i = scope->given; i < graph->input_count && i + shift < node->in_count; i++)
            if (node->in[i + shift])
                scope->name[graph->input[i]->id] = tn_onnx_name_of(outer, node->in[i + shift]);
    }
    TN_TRY(name_values(names, scope));
    return name_inside(names, scope);
}

tn_status tn_onnx_names_make(tn_onnx_names *names, tn_graph *graph, tn_arena *arena)
{
    *names = (tn_onnx_names){.arena = arena};
    tn_map_init(&names->used, arena);
    tn_map_init(&names->nodes, arena);
    tn_map_init(&names->hoisted_by_data, arena);
    return name_graph(names, graph, NULL, NULL);
}
