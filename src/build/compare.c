/* Do two graphs compute the same? The gate between a graph and what passes have made of it, without
 * an engine to keep. */
#include "backends/cpu/cpu.h"
#include "build/stage.h"

typedef struct comparison {
    tn_engine *engine;
    tn_shape_sets shapes;
    tn_timings timings;
    tn_chooser chooser;
    tn_arena arena;
} comparison;

static tn_status compare(comparison *c, const tn_graph *original, const tn_graph *changed,
                         const tn_build_config *config, tn_text *report, const char **result)
{
    tn_build_config plain = {.size = sizeof(plain),
                             .no_check = true,
                             .budget_ms = -1,
                             .threads = config->threads,
                             .profiles = config->profiles,
                             .profile_count = config->profile_count};
    TN_TRY(tn_build_engine(changed, &plain, &c->engine));
    TN_TRY(tn_shapes_of(changed, config, &c->arena, &c->shapes));
    TN_TRY(tn_timings_init(&c->timings, c->engine, &c->arena));
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
    tn_status status = compare(&c, original, changed, config, report, result);
    tn_exec_engine_release(c.engine);
    tn_arena_fini(&c.arena);
    return status ? tn_status_trail(status, __FILE__, __LINE__, __func__) : NULL;
}
