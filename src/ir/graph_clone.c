/* Copies of graphs: compact, in an arena of their own, with expressions at the same indices. */
#include <string.h>

#include "ir/graph.h"
#include "ir/op.h"
#include "ir/subgraph.h"

typedef struct cloner {
    const tn_graph *src;
    tn_graph *dst;
    bool copy_data;
    tn_value **value; /* by id in src */
} cloner;

/* The pool as it is: node by node, and the hash table, which hashes contents and not addresses. */
static tn_status copy_exprs(const tn_exprs *src, tn_exprs *dst)
{
    tn_arena *arena = dst->arena;
    tn_expr_node *node = TN_NEW_ARRAY(arena, tn_expr_node, src->capacity);
    uint32_t *slot = TN_NEW_ARRAY(arena, uint32_t, src->slot_count);
    TN_CHECK(node && slot, TN_OUT_OF_MEMORY, "no memory for %lld expressions",
             (long long)src->count);
    memcpy(node, src->node, (size_t)src->count * sizeof *node);
    memcpy(slot, src->slot, (size_t)src->slot_count * sizeof *slot);
    for (int64_t i = 0; i < src->count; i++) {
        if (!node[i].name) continue;
        node[i].name = tn_arena_text(arena, node[i].name, strlen(node[i].name));
        TN_CHECK(node[i].name, TN_OUT_OF_MEMORY, "no memory for a symbol");
    }
    *dst = *src;
    dst->arena = arena;
    dst->node = node;
    dst->slot = slot;
    return NULL;
}

static tn_status copy_facts(const cloner *c, const tn_value *from, tn_value *to)
{
    to->type = from->type;
    c->value[from->id] = to;
    if (!from->known.at) return NULL;
    tn_expr *at = TN_NEW_ARRAY(c->dst->arena, tn_expr, from->known.count);
    TN_CHECK(at, TN_OUT_OF_MEMORY, "no memory for known values");
    memcpy(at, from->known.at, (size_t)from->known.count * sizeof(tn_expr));
    to->known = (tn_known){at, from->known.count};
    return NULL;
}

static tn_status copy_inside(const tn_graph *src, tn_graph *parent, bool copy_data, tn_graph **out);

static tn_status copy_attrs(const cloner *c, const tn_node *from, tn_node *to)
{
    for (int i = 0; i < from->attr_count; i++) {
        tn_attr attr = from->attr[i];
        if (attr.kind == TN_ATTR_GRAPH)
            TN_TRY(copy_inside(attr.graph, c->dst, c->copy_data, &attr.graph));
        int64_t bytes = attr.kind == TN_ATTR_TENSOR ? tn_tensor_bytes(&attr.tensor) : 0;
        if (c->copy_data && attr.tensor.data && bytes > 0 && attr.tensor.dtype != TN_DTYPE_STRING) {
            void *data = tn_arena_alloc(c->dst->arena, (size_t)bytes);
            TN_CHECK(data, TN_OUT_OF_MEMORY, "no memory for an attribute");
            memcpy(data, attr.tensor.data, (size_t)bytes);
            attr.tensor.data = data;
        }
        TN_TRY(tn_node_set_attr(to, &attr));
    }
    return NULL;
}

static tn_status copy_node(const cloner *c, const tn_node *from)
{
    tn_arena *arena = c->dst->arena, scratch;
    tn_arena_init(&scratch);
    tn_value **in = TN_NEW_ARRAY(&scratch, tn_value *, from->in_count);
    const char **names = TN_NEW_ARRAY(&scratch, const char *, from->out_count);
    tn_node *to = NULL;
    tn_status status = NULL;
    if (!in || !names) {
        status = TN_ERROR(TN_OUT_OF_MEMORY, "no memory to copy a node");
    } else {
        for (int i = 0; i < from->in_count; i++)
            in[i] = from->in[i] ? c->value[from->in[i]->id] : NULL;
        for (int i = 0; i < from->out_count; i++) names[i] = from->out[i] ? from->out[i]->name : "";
        status = tn_graph_add_node(c->dst, from->op, from->name, in, from->in_count, names,
                                   from->out_count, NULL, &to);
    }
    tn_arena_fini(&scratch);
    if (status) return status;
    for (int i = 0; i < from->out_count; i++)
        if (from->out[i]) TN_TRY(copy_facts(c, from->out[i], to->out[i]));
    if (from->params) {
        to->params = tn_arena_alloc(arena, from->params_bytes);
        TN_CHECK(to->params, TN_OUT_OF_MEMORY, "no memory for parameters");
        memcpy(to->params, from->params, from->params_bytes);
        to->params_bytes = from->params_bytes;
    }
    if (from->runtime_count) {
        to->runtime = TN_NEW_ARRAY(arena, tn_expr, from->runtime_count);
        TN_CHECK(to->runtime, TN_OUT_OF_MEMORY, "no memory for symbols");
        memcpy(to->runtime, from->runtime, (size_t)from->runtime_count * sizeof(tn_expr));
        to->runtime_count = to->runtime_capacity = from->runtime_count;
    }
    return copy_attrs(c, from, to);
}

static tn_status fill(const cloner *c)
{
    const tn_graph *src = c->src;
    tn_graph *dst = c->dst;
    tn_value *value;
    TN_TRY(copy_exprs(src->exprs, dst->exprs));
    for (int64_t i = 0; i < src->input_count; i++) {
        TN_TRY(tn_graph_add_input(dst, src->input[i]->name, src->input[i]->type, &value));
        TN_TRY(copy_facts(c, src->input[i], value));
        value->varies = src->input[i]->varies;
    }
    for (int64_t i = 0; i < src->constant_count; i++) {
        const tn_value *from = src->constant[i];
        if (!tn_value_has_users(from)) continue;
        TN_TRY(tn_graph_add_constant(dst, from->name, &from->constant, c->copy_data, &value));
        TN_TRY(copy_facts(c, from, value));
    }
    for (const tn_node *node = src->first; node; node = node->next) TN_TRY(copy_node(c, node));
    for (int64_t i = 0; i < src->output_count; i++)
        TN_TRY(tn_graph_add_output(dst, src->output[i].name, c->value[src->output[i].value->id]));
    return NULL;
}

static tn_status copy_to(const tn_graph *src, bool copy_data, tn_graph *dst)
{
    size_t bytes = ((size_t)src->next_id + 1) * sizeof(tn_value *);
    cloner c = {.src = src, .dst = dst, .copy_data = copy_data, .value = tn_alloc_zero(bytes)};
    tn_status status = c.value ? fill(&c) : TN_ERROR(TN_OUT_OF_MEMORY, "no memory to copy a graph");
    tn_free(c.value, bytes);
    return status;
}

/* Recursion: as deep as graphs are nested, which tn_graph_new_child bounds. */
static tn_status copy_inside(const tn_graph *src, tn_graph *parent, bool copy_data, tn_graph **out)
{
    TN_TRY(tn_graph_new_child(parent, src->name, out));
    return copy_to(src, copy_data, *out);
}

tn_status tn_graph_clone_inside(const tn_graph *graph, tn_graph *parent, tn_graph **out)
{
    return copy_inside(graph, parent, false, out);
}

tn_status tn_graph_clone(const tn_graph *graph, bool copy_data, tn_graph **out)
{
    *out = NULL;
    TN_CHECK(!graph->parent, TN_UNSUPPORTED, "a graph inside a node cannot be copied by itself");
    tn_graph *copy;
    TN_TRY(tn_graph_new(graph->name, &copy));
    tn_status status = copy_to(graph, copy_data, copy);
    if (status) tn_graph_free(copy);
    else *out = copy;
    return status;
}
