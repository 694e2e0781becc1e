/* What became of each node: of the model in the portable graph, and of that in the plan's steps.
 *
 * Passes put a value in place of another (tn_value_replace), which a node remembers. So a node that
 * is gone became what made the value that took its place; a node inside of what was fused has no
 * such value, and became what its readers became. And a node that a pass made beside (one product
 * for three, which a Split takes apart) computes what its readers came from.
 *
 *     model      MatMul  MatMul  MatMul        Sub  Pow  ReduceMean ...  Add
 *                   \       |      /             \    \      |          /
 *     portable       Split  <- MatMul               LayerNormalization
 */
#include <string.h>

#include "build/stage.h"

static tn_status number_nodes(const tn_graph *graph, tn_arena *arena, int32_t **out)
{
    int32_t place = 0;
    *out = TN_NEW_ARRAY(arena, int32_t, graph->next_id);
    TN_CHECK(*out, TN_OUT_OF_MEMORY, "no memory to trace nodes");
    for (const tn_node *node = graph->first; node; node = node->next) (*out)[node->id] = place++;
    return NULL;
}

/* Nodes that are made again go by the same name. */
static tn_status name_nodes(const tn_graph *graph, tn_arena *arena, tn_map *out)
{
    tn_map_init(out, arena);
    for (tn_node *node = graph->last; node; node = node->prev)
        if (node->name[0]) TN_TRY(tn_map_put(out, node->name, node));
    return NULL;
}

tn_status tn_trace_begin(const tn_graph *from, const tn_graph *copy, tn_arena *arena, tn_trace *out)
{
    int64_t i = 0;
    *out = (tn_trace){.from = from, .copy = copy};
    out->node = TN_NEW_ARRAY(arena, const tn_node *, copy->node_count);
    TN_CHECK(out->node, TN_OUT_OF_MEMORY, "no memory to trace nodes");
    TN_CHECK(from->node_count == copy->node_count, TN_INTERNAL, "a copy has other nodes");
    for (const tn_node *node = copy->first; node; node = node->next) out->node[i++] = node;
    return NULL;
}

/* What took the place of a node of the copy, as far as that is known. */
static tn_status follow(const tn_node *node, const tn_map *names, const int32_t *place,
                        tn_arena *arena, tn_places *out)
{
    enum { HOPS_MAX = 1000 }; /* two nodes may each have taken the other's place at some time */
    for (int hops = 0; hops < HOPS_MAX && !node->graph; hops++) {
        if (!node->became || node->became->kind != TN_VALUE_NODE) break;
        node = node->became->producer;
    }
    if (!node->graph && !node->became && tn_map_find(names, node->name))
        node = tn_map_find(names, node->name);
    if (node->graph) return tn_places_add(out, place[node->id], arena);
    if (!node->became || node->became->kind != TN_VALUE_CONSTANT) return NULL;
    return tn_places_add(out, TN_NODE_CONSTANT, arena);
}

/* Readers that were computed when the engine was built say nothing where others remain. */
static void drop_constant(tn_places *places)
{
    if (places->count < 2 || places->at[0] != TN_NODE_CONSTANT) return;
    places->count--;
    memmove(places->at, places->at + 1, sizeof(*places->at) * (size_t)places->count);
}

static tn_status ask_readers(const tn_node *node, const int32_t *place, const tn_places *known,
                             tn_arena *arena, tn_places *out)
{
    for (int32_t k = 0; k < node->out_count; k++)
        for (int64_t i = 0; node->out[k] && i < node->out[k]->use_count; i++)
            TN_TRY(tn_places_join(out, &known[place[node->out[k]->use[i].node->id]], arena));
    drop_constant(out);
    return NULL;
}

/* Nodes of the copy that nothing became: those of their readers. */
static tn_status fill_gaps(const tn_graph *copy, const int32_t *place, int64_t from_count,
                           tn_places *to, tn_arena *arena)
{
    tn_places *from = TN_NEW_ARRAY(arena, tn_places, copy->node_count);
    TN_CHECK(from, TN_OUT_OF_MEMORY, "no memory to trace nodes");
    for (int32_t i = 0; i < from_count; i++)
        for (int32_t k = 0; k < to[i].count; k++)
            if (to[i].at[k] >= 0) TN_TRY(tn_places_add(&from[to[i].at[k]], i, arena));
    for (const tn_node *node = copy->last; node; node = node->prev) {
        tn_places *mine = &from[place[node->id]];
        if (mine->count) continue;
        TN_TRY(ask_readers(node, place, from, arena, mine));
        for (int32_t i = 0; i < mine->count; i++)
            TN_TRY(tn_places_add(&to[mine->at[i]], place[node->id], arena));
    }
    return NULL;
}

tn_status tn_trace_end(const tn_trace *trace, tn_arena *arena, tn_places **out)
{
    const tn_graph *from = trace->from;
    int32_t *from_place, *copy_place;
    int64_t count = from->node_count, i = count;
    tn_map names;
    tn_places *to = TN_NEW_ARRAY(arena, tn_places, count);
    TN_CHECK(to, TN_OUT_OF_MEMORY, "no memory to trace nodes");
    TN_TRY(number_nodes(from, arena, &from_place));
    TN_TRY(number_nodes(trace->copy, arena, &copy_place));
    TN_TRY(name_nodes(trace->copy, arena, &names));
    for (const tn_node *node = from->last; node; node = node->prev) {
        tn_places *mine = &to[--i];
        TN_TRY(follow(trace->node[i], &names, copy_place, arena, mine));
        if (!mine->count) TN_TRY(ask_readers(node, from_place, to, arena, mine));
    }
    TN_TRY(fill_gaps(trace->copy, copy_place, count, to, arena));
    *out = to;
    return NULL;
}

/* ---- Names -----------------------------------------------------------------------------------*/

/* What took the place of the one result of a node; NULL: nothing that is still there. */
static tn_value *heir(const tn_node *node)
{
    enum { HOPS_MAX = 1000 };
    tn_value *value = NULL;
    for (int hops = 0; hops < HOPS_MAX && node && !node->graph; hops++) {
        value = node->became;
        node = value && value->kind == TN_VALUE_NODE ? value->producer : NULL;
    }
    return node && node->graph ? value : NULL;
}

static bool same_dims(const tn_value *a, const tn_value *b)
{
    char x[256], y[256];
    tn_type_text(a->graph->exprs, &a->type, x, sizeof(x));
    tn_type_text(b->graph->exprs, &b->type, y, sizeof(y));
    const char *p = strchr(x, '['), *q = strchr(y, '[');
    return a->type.kind == b->type.kind && p && q && !strcmp(p, q);
}

tn_status tn_trace_names(const tn_trace *trace, tn_graph *copy)
{
    int64_t i = 0;
    for (const tn_node *node = trace->from->first; node; node = node->next, i++) {
        const tn_value *was = node->out_count == 1 ? node->out[0] : NULL;
        tn_value *value = was ? heir(trace->node[i]) : NULL;
        if (!value || tn_map_has(&trace->from->names, value->name) || !same_dims(was, value))
            continue;
        value->name = tn_arena_text(copy->arena, was->name, strlen(was->name));
        TN_CHECK(value->name, TN_OUT_OF_MEMORY, "no memory for the names of values");
        TN_TRY(tn_map_put(&copy->names, value->name, value));
    }
    return NULL;
}

/* ---- An engine's record ----------------------------------------------------------------------*/

static tn_status keep_text(tn_arena *arena, const char *text, const char **out)
{
    *out = tn_arena_text(arena, text, strlen(text));
    TN_CHECK(*out, TN_OUT_OF_MEMORY, "no memory for the layers of an engine");
    return NULL;
}

/* Places of nodes, each by what they became in turn; then NULL: they stayed. */
static tn_status through(const tn_places *places, const tn_places *then, tn_arena *arena,
                         tn_places *out)
{
    *out = (tn_places){0};
    for (int32_t i = 0; i < places->count; i++) {
        if (places->at[i] < 0 || !then) TN_TRY(tn_places_add(out, places->at[i], arena));
        else TN_TRY(tn_places_join(out, &then[places->at[i]], arena));
    }
    drop_constant(out);
    return NULL;
}

/* Nodes of the model, which is the graph that the build began with, or what that came from. */
static tn_status keep_sources(const tn_graph *source, const tn_layers *before,
                              const tn_places *then, int64_t then_count, tn_engine *engine)
{
    tn_arena *arena = &engine->arena;
    tn_layers *out = &engine->layers;
    int64_t count = before ? before->source_count : source->node_count, i = 0;
    out->source = TN_NEW_ARRAY(arena, tn_layer_source, count);
    TN_CHECK(out->source && count < INT32_MAX, TN_OUT_OF_MEMORY,
             "no memory for the layers of an engine");
    out->source_count = (int32_t)count;
    for (const tn_node *node = source->first; node && !before; node = node->next, i++) {
        tn_places self = {.at = &(int32_t){(int32_t)i}, .count = 1};
        const char *name = node->name;
        for (int32_t k = 0; k < node->out_count && !name[0]; k++)
            if (node->out[k]) name = node->out[k]->name;
        TN_TRY(keep_text(arena, node->op->name, &out->source[i].op));
        TN_TRY(keep_text(arena, name, &out->source[i].name));
        TN_TRY(through(&self, then, arena, &out->source[i].node));
    }
    for (; i < count; i++) {
        const tn_layer_source *old = &before->source[i];
        int32_t last = old->node.count ? old->node.at[old->node.count - 1] : -1;
        TN_CHECK(last < then_count, TN_CORRUPT, "the layers of an engine name node %d of %lld",
                 last, (long long)then_count);
        TN_TRY(keep_text(arena, old->op, &out->source[i].op));
        TN_TRY(keep_text(arena, old->name, &out->source[i].name));
        TN_TRY(through(&old->node, then, arena, &out->source[i].node));
    }
    return NULL;
}

tn_status tn_layers_keep(const tn_layer_facts *facts, tn_arena *arena, tn_engine *engine)
{
    const tn_graph *planned = facts->planned;
    const tn_plan *plan = &engine->plan;
    tn_layers *out = &engine->layers;
    tn_cost cost;
    int32_t *place, place_count = (int32_t)planned->node_count;
    *out = (tn_layers){0};
    TN_TRY(keep_sources(facts->source, facts->before, facts->portable, facts->source->node_count,
                        engine));
    TN_TRY(number_nodes(planned, arena, &place));
    TN_TRY(tn_build_cost(planned, facts->config, arena, &cost));
    /* Which nodes of the portable graph a planned one is of. */
    tn_places *from = TN_NEW_ARRAY(arena, tn_places, place_count);
    out->step = TN_NEW_ARRAY(&engine->arena, tn_layer_step, plan->step_count);
    TN_CHECK(from && out->step, TN_OUT_OF_MEMORY, "no memory for the layers of an engine");
    for (int32_t i = 0; facts->lowered && i < facts->portable_count; i++)
        for (int32_t k = 0; k < facts->lowered[i].count; k++)
            if (facts->lowered[i].at[k] >= 0)
                TN_TRY(tn_places_add(&from[facts->lowered[i].at[k]], i, arena));
    for (int32_t i = 0; !facts->lowered && i < place_count; i++)
        TN_TRY(tn_places_add(&from[i], i, arena));
    for (int32_t i = 0; i < plan->step_count; i++) {
        const tn_plan_step *step = &plan->step[i];
        TN_TRY(
            keep_text(&engine->arena, step->problem ? step->problem : "", &out->step[i].problem));
        if (!step->node) continue;
        out->step[i].flops = (uint64_t)cost.node_flops[step->node - 1];
        TN_TRY(tn_places_join(&out->step[i].node, &from[place[step->node - 1]], &engine->arena));
    }
    out->step_count = plan->step_count;
    return NULL;
}
