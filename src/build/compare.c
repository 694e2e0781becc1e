/* Do two graphs compute the same? The gate between a graph and what passes have made of it, without
 * an engine to keep. */
#include "backends/cpu/cpu.h"
#include "build/stage.h"
#include "passes/passes.h"

/* Above this, weights are read where they lie, by reference kernels: packing them for faster ones
 * would hold a copy of them all in memory. */
#define PACK_BYTES_MAX ((int64_t)2 << 30)

typedef struct comparison {
    tn_graph *graph; /* what passes make of the changed graph */
    tn_engine *engine;
    tn_constant_list constants; /* borrowed from the graph, or packed */
    tn_shape_sets shapes;
    tn_timings timings;
    tn_chooser chooser;
    tn_arena arena;
} comparison;

static bool fits(const tn_graph *graph)
{
    int64_t total = 0;
    for (int64_t i = 0; i < graph->constant_count; i++)
        if (__builtin_add_overflow(total, tn_tensor_bytes(&graph->constant[i]->constant), &total))
            return false;
    return total <= PACK_BYTES_MAX;
}

/* An engine for this comparison alone: its constants stay where they are. */
static tn_status make_engine(comparison *c, const tn_graph *changed, const tn_build_config *config)
{
    TN_TRY(tn_graph_clone(changed, false, &c->graph));
    TN_TRY(tn_passes_run(c->graph, NULL));
    TN_TRY(tn_shapes_of(changed, config, &c->arena, &c->shapes));
    TN_TRY(tn_exec_engine_new(&tn_backend_cpu, config->threads, &c->engine));
    TN_TRY(tn_timings_init(&c->timings, c->engine, &c->arena));
    tn_chooser chooser = {.engine = c->engine,
                          .reference_only = !fits(c->graph),
                          .budget_ms = -1,
                          .timings = &c->timings,
                          .arena = &c->arena};
    tn_map_init(&chooser.decided, &c->arena);
    TN_TRY(tn_emit(c->graph, &chooser, c->engine, &c->constants));
    tn_plan_set_constants(&c->engine->plan, c->constants.at, (int32_t)c->constants.count);
    return tn_exec_engine_ready(c->engine);
}

static tn_status compare(comparison *c, const tn_graph *original, const tn_graph *changed,
                         const tn_build_config *config, tn_text *report, const char **result)
{
    TN_TRY(make_engine(c, changed, config));
    /* Only the search for the first tensor that differs makes plans with this. */
    c->chooser = (tn_chooser){
        .engine = c->engine, .reference_only = true, .timings = &c->timings, .arena = &c->arena};
    tn_map_init(&c->chooser.decided, &c->arena);
    tn_gate gate = {.original = original,
                    .optimised = changed,
                    .engine = c->engine,
                    .chooser = &c->chooser,
                    .shapes = &c->shapes,
                    .tolerance = config->tolerance,
                    .report = report};
    TN_TRY(tn_gate_run(&gate));
    *result = gate.result;
    return NULL;
}

tn_status tn_build_compare(const tn_graph *original, const tn_graph *changed,
                           const tn_build_config *config, tn_text *report, const char **result)
{
    comparison c = {0};
    tn_arena_init(&c.arena);
    tn_constants_init(&c.constants, &c.arena);
    tn_status status = compare(&c, original, changed, config, report, result);
    tn_exec_engine_release(c.engine);
    tn_constants_fini(&c.constants);
    tn_graph_free(c.graph);
    tn_arena_fini(&c.arena);
    return status ? tn_status_trail(status, __FILE__, __LINE__, __func__) : NULL;
}
