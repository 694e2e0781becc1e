/* Making graphs: inputs, constants, nodes, outputs, and their names. Edits are in graph_edit.c. */
#include "ir/graph.h"

#include <string.h>

#include "ir/op.h"

/* A root graph with all that it owns, in one piece. */
typedef struct root {
    tn_graph graph;
    tn_arena arena;
    tn_exprs exprs;
} root;

tn_status tn_graph_new(const char *name, tn_graph **out)
{
    *out = NULL;
    root *r = tn_alloc_zero(sizeof *r);
    TN_CHECK(r, TN_OUT_OF_MEMORY, "no memory for a graph");
    tn_arena_init(&r->arena);
    tn_graph *graph = &r->graph;
    graph->arena = &r->arena;
    graph->exprs = &r->exprs;
    tn_map_init(&graph->names, graph->arena);
    tn_status status = tn_exprs_init(&r->exprs, &r->arena);
    if (!status) {
        graph->name = tn_arena_text(graph->arena, name ? name : "", name ? strlen(name) : 0);
        if (!graph->name) status = TN_ERROR(TN_OUT_OF_MEMORY, "no memory for a graph");
    }
    if (status) {
        tn_graph_free(graph);
        return status;
    }
    *out = graph;
    return NULL;
}

tn_status tn_graph_new_child(tn_graph *parent, const char *name, tn_graph **out)
{
    *out = NULL;
    TN_CHECK(parent->depth < TN_GRAPH_DEPTH_MAX, TN_UNSUPPORTED,
             "graphs are nested more than %d deep", TN_GRAPH_DEPTH_MAX);
    tn_graph *graph = TN_NEW(parent->arena, tn_graph);
    TN_CHECK(graph, TN_OUT_OF_MEMORY, "no memory for a graph");
    graph->arena = parent->arena;
    graph->parent = parent;
    graph->depth = parent->depth + 1;
    graph->exprs = TN_NEW(parent->arena, tn_exprs);
    graph->name = tn_arena_text(graph->arena, name ? name : "", name ? strlen(name) : 0);
    TN_CHECK(graph->exprs && graph->name, TN_OUT_OF_MEMORY, "no memory for a graph");
    tn_map_init(&graph->names, graph->arena);
    TN_TRY(tn_exprs_init(graph->exprs, graph->arena));
    *out = graph;
    return NULL;
}

void tn_graph_free(tn_graph *graph)
{
    if (!graph) return;
    root *r = (root *)(void *)graph;
    tn_arena_fini(&r->arena);
    tn_free(r, sizeof *r);
}

tn_status tn_graph_fresh_name(tn_graph *graph, const char *base, const char **out)
{
    if (!base) base = "";
    if (base[0] && !tn_map_has(&graph->names, base)) {
        *out = tn_arena_text(graph->arena, base, strlen(base));
        TN_CHECK(*out, TN_OUT_OF_MEMORY, "no memory for a name");
        return NULL;
    }
    /* Ids only grow, so the first try is free but for names that came from a file. */
    char *name;
    do {
        uint32_t id = graph->next_id++;
        name = tn_arena_printf(graph->arena, base[0] ? "%s.%u" : "%s%u", base, id);
        TN_CHECK(name, TN_OUT_OF_MEMORY, "no memory for a name");
    } while (tn_map_has(&graph->names, name));
    *out = name;
    return NULL;
}

/* A value whose name nobody else has. name NULL: `base` and a number. */
static tn_status add_value(tn_graph *graph, tn_value_kind kind, const char *name, const char *base,
                           tn_value **out)
{
    TN_CHECK(graph->next_id < UINT32_MAX / 2, TN_UNSUPPORTED, "the graph has too many values");
    tn_value *value = TN_NEW(graph->arena, tn_value);
    TN_CHECK(value, TN_OUT_OF_MEMORY, "no memory for a value");
    value->kind = kind;
    value->graph = graph;
    value->type.rank = -1;
    value->id = graph->next_id++;
    if (name) {
        TN_CHECK(name[0], TN_INVALID, "a value has no name");
        TN_CHECK(!tn_map_has(&graph->names, name), TN_INVALID,
                 "the name '%s' stands for two values", name);
        value->name = tn_arena_text(graph->arena, name, strlen(name));
    } else {
        value->name = tn_arena_printf(graph->arena, "%s%u", base, value->id);
        if (value->name && tn_map_has(&graph->names, value->name))
            TN_TRY(tn_graph_fresh_name(graph, base, &value->name));
    }
    TN_CHECK(value->name, TN_OUT_OF_MEMORY, "no memory for a name");
    TN_TRY(tn_map_put(&graph->names, value->name, value));
    *out = value;
    return NULL;
}

tn_status tn_graph_add_input(tn_graph *graph, const char *name, tn_type type, tn_value **out)
{
    TN_CHECK(tn_dtype_valid((int)type.dtype), TN_INVALID, "input '%s' has no data type",
             name ? name : "");
    TN_CHECK(type.rank >= -1 && type.rank <= TN_RANK_MAX, TN_UNSUPPORTED,
             "input '%s' has rank %d; the limit is %d", name ? name : "", type.rank, TN_RANK_MAX);
    tn_value *value;
    TN_TRY(add_value(graph, TN_VALUE_INPUT, name, "input", &value));
    /* A dim nobody named is bound by this input all the same. */
    for (int i = 0; i < type.rank && type.kind == TN_TYPE_TENSOR; i++) {
        if (type.dim[i] != TN_EXPR_NONE) continue;
        const char *symbol = tn_arena_printf(graph->arena, "%s.%d", value->name, i);
        TN_CHECK(symbol, TN_OUT_OF_MEMORY, "no memory for a symbol");
        type.dim[i] = tn_expr_symbol(graph->exprs, symbol);
    }
    TN_TRY(tn_exprs_check(graph->exprs));
    value->type = type;
    TN_TRY(tn_arena_grow(graph->arena, &graph->input, graph->input_count, &graph->input_capacity,
                         graph->input_count + 1, sizeof(tn_value *)));
    graph->input[graph->input_count++] = value;
    *out = value;
    return NULL;
}

/* Bytes of a tensor into the arena; the texts of a string tensor too. */
static tn_status copy_data(tn_arena *arena, const tn_tensor *tensor, int64_t bytes, void **out)
{
    void *data = tn_arena_alloc(arena, (size_t)bytes);
    TN_CHECK(data, TN_OUT_OF_MEMORY, "no memory for a constant of %lld bytes", (long long)bytes);
    if (bytes) memcpy(data, tensor->data, (size_t)bytes);
    if (tensor->dtype == TN_DTYPE_STRING) {
        tn_string *text = data;
        for (int64_t i = 0, count = tn_tensor_count(tensor); i < count; i++) {
            text[i].text = tn_arena_text(arena, text[i].text ? text[i].text : "", text[i].bytes);
            TN_CHECK(text[i].text, TN_OUT_OF_MEMORY, "no memory for a constant");
        }
    }
    *out = data;
    return NULL;
}

tn_status tn_graph_add_constant(tn_graph *graph, const char *name, const tn_tensor *tensor,
                                bool copy, tn_value **out)
{
    const char *label = name ? name : "";
    TN_CHECK(tn_dtype_valid((int)tensor->dtype), TN_INVALID, "constant '%s' has no data type",
             label);
    TN_CHECK(tensor->rank >= 0 && tensor->rank <= TN_RANK_MAX, TN_UNSUPPORTED,
             "constant '%s' has rank %d; the limit is %d", label, tensor->rank, TN_RANK_MAX);
    int64_t bytes = tn_tensor_bytes(tensor);
    TN_CHECK(bytes >= 0, TN_INVALID, "constant '%s' is larger than memory can be", label);
    TN_CHECK(tensor->data || bytes == 0, TN_INVALID, "constant '%s' has no data", label);
    TN_CHECK(tn_tensor_is_dense(tensor), TN_INVALID, "constant '%s' is not dense", label);
    tn_value *value;
    TN_TRY(add_value(graph, TN_VALUE_CONSTANT, name, "c", &value));
    value->constant = *tensor;
    tn_tensor_set_dense(&value->constant);
    if (copy) TN_TRY(copy_data(graph->arena, tensor, bytes, &value->constant.data));
    tn_expr dim[TN_RANK_MAX];
    for (int i = 0; i < tensor->rank; i++) dim[i] = tn_expr_const(graph->exprs, tensor->dim[i]);
    TN_TRY(tn_exprs_check(graph->exprs));
    value->type = tn_type_of(tensor->dtype, tensor->rank, dim);
    TN_TRY(tn_arena_grow(graph->arena, &graph->constant, graph->constant_count,
                         &graph->constant_capacity, graph->constant_count + 1, sizeof(tn_value *)));
    graph->constant[graph->constant_count++] = value;
    *out = value;
    return NULL;
}

tn_status tn_graph_add_ints(tn_graph *graph, const int64_t *at, int64_t count, tn_value **out)
{
    int64_t none = 0;
    /* The data is copied and only read through the view. */
    tn_tensor tensor = tn_tensor_of(TN_DTYPE_I64, &count, 1, count ? (void *)(uintptr_t)at : &none);
    return tn_graph_add_constant(graph, NULL, &tensor, true, out);
}

tn_status tn_graph_add_scalar(tn_graph *graph, tn_dtype dtype, double value, tn_value **out)
{
    tn_dtype_kind kind = tn_dtype_kind_of(dtype);
    TN_CHECK(kind != TN_KIND_NONE && kind != TN_KIND_S && kind != TN_KIND_C, TN_INTERNAL,
             "no scalar constant of type %s", tn_dtype_name(dtype));
    _Alignas(16) uint8_t bytes[16] = {0};
    tn_store_f64(dtype, bytes, 0, value);
    tn_tensor tensor = tn_tensor_of(dtype, NULL, 0, bytes);
    return tn_graph_add_constant(graph, NULL, &tensor, true, out);
}

tn_status tn_graph_add_output(tn_graph *graph, const char *name, tn_value *value)
{
    TN_CHECK(name && name[0], TN_INVALID, "an output has no name");
    TN_CHECK(value, TN_INTERNAL, "output '%s' has no value", name);
    TN_TRY(tn_arena_grow(graph->arena, &graph->output, graph->output_count, &graph->output_capacity,
                         graph->output_count + 1, sizeof(tn_output)));
    const char *copy = tn_arena_text(graph->arena, name, strlen(name));
    TN_CHECK(copy, TN_OUT_OF_MEMORY, "no memory for a name");
    graph->output[graph->output_count++] = (tn_output){copy, value};
    value->output_count++;
    return NULL;
}

static void link_node(tn_graph *graph, tn_node *node, tn_node *before)
{
    node->next = before;
    node->prev = before ? before->prev : graph->last;
    if (node->prev) node->prev->next = node;
    else graph->first = node;
    if (before) before->prev = node;
    else graph->last = node;
    graph->node_count++;
}

static tn_status add_outputs(tn_graph *graph, tn_node *node, const char *const *names, int count)
{
    node->out = TN_NEW_ARRAY(graph->arena, tn_value *, count);
    TN_CHECK(node->out, TN_OUT_OF_MEMORY, "no memory for a node");
    for (int i = 0; i < count; i++) {
        const char *name = names ? names[i] : NULL;
        if (name && !name[0]) continue;
        TN_TRY(add_value(graph, TN_VALUE_NODE, name, "v", &node->out[i]));
        node->out[i]->producer = node;
        node->out[i]->producer_index = i;
    }
    node->out_count = count;
    return NULL;
}

tn_status tn_node_add_output(tn_node *node, tn_value **out)
{
    tn_graph *graph = node->graph;
    tn_value **all = TN_NEW_ARRAY(graph->arena, tn_value *, node->out_count + 1);
    TN_CHECK(all, TN_OUT_OF_MEMORY, "no memory for an output");
    for (int i = 0; i < node->out_count; i++) all[i] = node->out[i];
    TN_TRY(add_value(graph, TN_VALUE_NODE, NULL, "v", &all[node->out_count]));
    *out = all[node->out_count];
    (*out)->producer = node;
    (*out)->producer_index = node->out_count++;
    node->out = all;
    return NULL;
}

tn_status tn_graph_add_node(tn_graph *graph, const tn_op *op, const char *name, tn_value *const *in,
                            int in_count, const char *const *out_names, int out_count,
                            tn_node *before, tn_node **out)
{
    TN_CHECK(op, TN_INTERNAL, "node '%s' is given an operator that does not exist",
             name ? name : "");
    tn_node *node = TN_NEW(graph->arena, tn_node);
    TN_CHECK(node, TN_OUT_OF_MEMORY, "no memory for a node");
    node->op = op;
    node->graph = graph;
    node->id = graph->next_id++;
    node->name = name ? tn_arena_text(graph->arena, name, strlen(name)) : "";
    TN_CHECK(node->name, TN_OUT_OF_MEMORY, "no memory for a node");
    /* Outputs first: a failure here leaves no use of an unlinked node behind. */
    TN_TRY(add_outputs(graph, node, out_names, out_count));
    link_node(graph, node, before);
    for (int i = in_count - 1; i >= 0; i--) TN_TRY(tn_node_set_input(node, i, in[i]));
    *out = node;
    return NULL;
}
