/* From a graph to an engine, on one page: passes, shapes, partition, choose and emit, finish, gate.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/cpu/cpu.h"
#include "base/log.h"
#include "build/stage.h"
#include "passes/fuse_conv_pair.h"
#include "passes/lower_precision.h"
#include "passes/passes.h"
#include "passes/remove_padding.h"

#define BUDGET_MS_DEFAULT 2000
#define HOLD_ROUNDS_MAX 6
#define HOLD_ROUNDS_TF32 2 /* what it loses, it loses in every product alike */
#define PADDED_TOKENS_MIN 256

typedef struct builder {
    const tn_graph *source;
    const tn_engine *tuned;  /* the engine whose graph that is; NULL: of no engine */
    const tn_layers *before; /* what its portable graph came from, where it is that one */
    tn_build_config config;
    tn_graph *graph;     /* optimised: the portable graph */
    tn_places *portable; /* what became of the source's nodes in it; NULL: it is the source */
    tn_places *low;      /* and of its own in `lowered` */
    bool again;          /* with the tactics that `tuned` has */
    tn_watch watch;
    tn_graph *lowered; /* the same in 16 bits, for the plan; NULL: the plan is of `graph` */
    tn_map held;       /* names of results that stay in float32 all the same: those in the record */
    tn_map rounded;    /* and those that the graph rounds: tn_find_rounded */
    tn_engine *engine;
    tn_shape_sets shapes;
    tn_timings timings;
    tn_chooser chooser;
    tn_constant_list constants;
    tn_record record;
    tn_arena arena;
} builder;

/* A config of an older caller is shorter: what it does not have is zero. */
static tn_status take_config(const tn_build_config *given, builder *b)
{
    tn_build_config *out = &b->config;
    *out = (tn_build_config){0};
    if (!given) return NULL;
    TN_CHECK(given->size > 0, TN_INVALID,
             "tn_build_config.size is 0: set it to sizeof(tn_build_config)");
    memcpy(out, given, TN_MIN(given->size, sizeof(*out)));
    TN_CHECK((unsigned)out->precision <= TN_PRECISION_BF16, TN_INVALID,
             "there is no precision number %d", (int)out->precision);
    TN_CHECK(out->threads >= 0, TN_INVALID, "%d threads were asked for", out->threads);
    TN_CHECK(!out->strip_weights || !out->no_optimize, TN_INVALID,
             "an engine without passes is not stripped of its weights");
    TN_CHECK(out->hold_count >= 0 && out->hold_count <= TN_HELD_MAX &&
                 (out->hold || out->hold_count == 0),
             TN_INVALID, "%d layers are to be held back: at most %d can be", out->hold_count,
             TN_HELD_MAX);
    TN_CHECK(out->profile_count >= 0 && (out->profiles || out->profile_count == 0), TN_INVALID,
             "%d profiles are announced, none is given", out->profile_count);
    b->watch = (tn_watch){.tell = out->progress, .self = out->progress_self};
    return NULL;
}

/* Where the time of a build goes. */
static void say(const char *what, uint64_t begin)
{
    tn_log(TN_LOG_INFO, "%s in %.0f ms", what, (double)(tn_clock_ns() - begin) / 1e6);
}

/* NULL: the CPU. */
static tn_status find_card(const builder *b, tn_card **out)
{
    if (!b->tuned || b->config.device) return tn_build_card(b->config.device, out);
    *out = b->tuned->card;
    return NULL;
}

static tn_status hold_back(builder *b, const char *name)
{
    if (tn_map_has(&b->held, name) || b->record.held_count == TN_HELD_MAX) return NULL;
    b->record.held[b->record.held_count++] = name;
    return tn_map_put(&b->held, name, b);
}

/* What gives a value of this name in the optimised graph, and what became of the node that has it
 * in the model: where one product was made of three, both that and what takes it apart. */
static tn_status hold_asked(builder *b, const char *name)
{
    const tn_value *value = tn_map_find(&b->graph->names, name);
    bool found = value && value->kind == TN_VALUE_NODE;
    int64_t place = 0;
    if (found) TN_TRY(hold_back(b, value->producer->out[0]->name));
    for (const tn_node *node = b->source->first; node && b->portable; node = node->next, place++) {
        bool named = !strcmp(node->name, name);
        for (int32_t k = 0; k < node->out_count; k++)
            named |= node->out[k] && !strcmp(node->out[k]->name, name);
        if (!named) continue;
        found = true;
        int32_t at = 0;
        for (const tn_node *now = b->graph->first; now; now = now->next, at++)
            for (int32_t i = 0; i < b->portable[place].count; i++)
                if (b->portable[place].at[i] == at && now->out[0])
                    TN_TRY(hold_back(b, now->out[0]->name));
    }
    TN_CHECK(found, TN_NOT_FOUND,
             "'%s' is to be held back in float32, but no node and no result of the model has that "
             "name",
             name);
    return NULL;
}

static tn_status hold_all_asked(builder *b)
{
    for (int i = 0; i < b->config.hold_count; i++) TN_TRY(hold_asked(b, b->config.hold[i]));
    return NULL;
}

static tn_status optimise(builder *b)
{
    uint64_t begin = tn_clock_ns();
    tn_card *card;
    TN_TRY(tn_graph_clone(b->source, false, &b->graph));
    b->record.nodes_before = b->source->node_count;
    b->record.precision = b->record.asked = b->config.precision;
    b->record.profiles = b->config.profiles;
    b->record.profile_count = b->config.profile_count;
    b->record.optimised = !b->config.no_optimize;
    TN_TRY(find_card(b, &card));
    tn_pass_options options = {
        .dump_folder = b->config.dump_folder, .for_cpu = !card, .watch = &b->watch};
    tn_trace trace;
    TN_TRY(tn_watch_begin(&b->watch, "passes", 0));
    TN_TRY(tn_trace_begin(b->source, b->graph, &b->arena, &trace));
    if (!b->config.no_optimize) TN_TRY(tn_passes_run_for(b->graph, &options));
    TN_TRY(tn_trace_names(&trace, b->graph));
    TN_TRY(tn_trace_end(&trace, &b->arena, &b->portable));
    b->record.nodes_after = b->graph->node_count;
    say("optimised the graph", begin);
    return hold_all_asked(b);
}

/* Shapes that a graph cannot take are no reason not to build: it is tuned by estimates then. */
static tn_status evaluate_shapes(builder *b, const tn_graph *graph, int64_t **values)
{
    const tn_shape_set *opt = &b->shapes.at[b->shapes.opt];
    tn_status status = tn_shapes_values(graph, opt, &b->arena, values);
    if (!status) return NULL;
    if (tn_status_code(status) == TN_OUT_OF_MEMORY) return status;
    tn_log(TN_LOG_WARNING,
           "nothing is tuned, since the graph cannot be evaluated at the %s shapes (give "
           "a profile): %s",
           opt->name, tn_status_message(status));
    *values = NULL;
    return NULL;
}

static bool is_half(const builder *b)
{
    return b->config.precision == TN_PRECISION_F16 || b->config.precision == TN_PRECISION_BF16;
}

/* Tokens that a batch has at the opt shapes; the first input of two axes tells. */
static bool is_padded_batch(const builder *b)
{
    const tn_shape_set *opt = &b->shapes.at[b->shapes.opt];
    for (int64_t i = 0; i < b->graph->input_count; i++)
        if (opt->rank[i] >= 2 && opt->dim[i][0] > 1 &&
            opt->dim[i][0] * opt->dim[i][1] >= PADDED_TOKENS_MIN)
            return true;
    return false;
}

/* Where so many pixels are expected that it gains. */
static tn_status pair_convolutions(builder *b)
{
    int64_t *values, pairs = 0;
    TN_TRY(evaluate_shapes(b, b->lowered, &values));
    return values ? tn_fuse_conv_pairs(b->lowered, values, b->lowered->exprs->count, &pairs) : NULL;
}

/* What suits the device but not every other one; the portable graph stays as it is. Values of 16
 * bits are for cards, and so is the layout that tensor cores want; on the CPU, kernels of lower
 * precision are enough. Sizes that only the data tells are for the CPU, and cost more than they
 * save on small batches. */
static tn_status lower(builder *b)
{
    bool card = b->engine->card != NULL;
    int64_t packed = 0;
    tn_graph_free(b->lowered);
    b->lowered = NULL;
    b->low = NULL;
    if (b->config.no_optimize ||
        (card ? b->config.precision == TN_PRECISION_F32 : !is_padded_batch(b)))
        return NULL;
    tn_trace trace;
    TN_TRY(tn_graph_clone(b->graph, false, &b->lowered));
    TN_TRY(tn_trace_begin(b->graph, b->lowered, &b->arena, &trace));
    if (!card) {
        TN_TRY(tn_remove_padding(b->lowered, &packed));
        if (packed) tn_log(TN_LOG_INFO, "%lld nodes without padding", (long long)packed);
        TN_TRY(tn_trace_names(&trace, b->lowered));
        return tn_trace_end(&trace, &b->arena, &b->low);
    }
    tn_dtype dtype = b->config.precision == TN_PRECISION_F16 ? TN_DTYPE_F16 : TN_DTYPE_BF16;
    if (is_half(b)) TN_TRY(tn_lower_precision(b->lowered, dtype, &b->held, &b->record.lowered));
    TN_TRY(tn_passes_run_for(b->lowered, &(tn_pass_options){.for_card = true, .watch = &b->watch}));
    if (is_half(b)) TN_TRY(pair_convolutions(b));
    TN_TRY(tn_trace_names(&trace, b->lowered));
    return tn_trace_end(&trace, &b->arena, &b->low);
}

static tn_status add_other_shapes(builder *b, const tn_graph *graph, const tn_shape_set *set)
{
    tn_chooser *c = &b->chooser;
    const tn_shape_set *opt = &b->shapes.at[b->shapes.opt];
    tn_shape_set sets[] = {*set, {0}};
    TN_TRY(tn_shapes_between(graph, set, opt, &b->arena, &sets[1]));
    for (size_t i = 0; i < TN_COUNT(sets) && c->other_count < TN_OTHERS_MAX; i++) {
        int64_t *values;
        tn_status status = tn_shapes_values(graph, &sets[i], &b->arena, &values);
        if (tn_status_code(status) == TN_OUT_OF_MEMORY) return status;
        if (!status) c->other[c->other_count++] = values;
    }
    return NULL;
}

/* What a card is best at differs from size to size: min and max are looked at, and half of the way
 * to them. Estimates say nothing of that. */
static tn_status add_others(builder *b, const tn_graph *graph)
{
    tn_chooser *c = &b->chooser;
    if (!b->engine->card || c->budget_ms <= 0 || !c->values) return NULL;
    for (int i = 0; i < b->shapes.count; i++) {
        const tn_shape_set *set = &b->shapes.at[i];
        if (!strcmp(set->name, "min") || !strcmp(set->name, "max"))
            TN_TRY(add_other_shapes(b, graph, set));
    }
    c->budget_ms *= 1 + c->other_count; /* each is measured as carefully as one alone */
    return NULL;
}

static tn_graph *graph_of(const builder *b)
{
    return b->lowered ? b->lowered : b->graph;
}

static tn_status open_timings(builder *b)
{
    const tn_build_config *config = &b->config;
    if (b->timings.arena) return NULL;
    TN_TRY(tn_timings_init(&b->timings, b->engine, &b->arena));
    if (config->timings_path)
        TN_TRY(tn_timings_load(&b->timings, b->engine->backend, config->timings_path));
    return config->timing_cache ? tn_timings_merge(&b->timings, &config->timing_cache->timings)
                                : NULL;
}

/* The tactics that the engine before this one has, by problem. */
static tn_status choose_as_before(builder *b)
{
    const tn_engine *old = b->tuned;
    if (!b->again) return NULL;
    const tn_layers *layers = &old->layers;
    if (layers->step_count != old->plan.step_count || !old->card != !b->engine->card) return NULL;
    for (int32_t i = 0; i < layers->step_count; i++) {
        const tn_plan_step *step = &old->plan.step[i];
        if (!layers->step[i].problem[0]) continue;
        tn_choices *choices = TN_NEW(&b->arena, tn_choices);
        TN_CHECK(choices, TN_OUT_OF_MEMORY, "no memory for a choice");
        choices->problem = layers->step[i].problem;
        choices->card = step->card;
        for (int32_t k = 0; k < step->choice_count && choices->count < TN_CHOICES_MAX; k++)
            if (step->choice[k].found) {
                choices->from[choices->count] = step->choice[k].from;
                choices->tactic[choices->count++] = step->choice[k].found;
            }
        if (choices->count) TN_TRY(tn_map_put(&b->chooser.decided, choices->problem, choices));
    }
    return NULL;
}

static tn_status choose_and_emit(builder *b)
{
    const tn_build_config *config = &b->config;
    int64_t *values;
    TN_TRY(lower(b));
    if (config->expose) TN_TRY(tn_expose_values(graph_of(b), NULL));
    TN_TRY(tn_partition(graph_of(b), b->engine, &b->record.partition));
    TN_TRY(open_timings(b));
    TN_TRY(tn_watch_begin(&b->watch, "kernels", graph_of(b)->node_count));
    TN_TRY(evaluate_shapes(b, graph_of(b), &values));
    tn_map_init(&b->rounded, &b->arena);
    if (config->precision != TN_PRECISION_F32) {
        TN_TRY(tn_find_rounded(graph_of(b), &b->rounded));
        b->record.rounded_count = (int64_t)b->rounded.count;
    }
    b->chooser = (tn_chooser){
        .engine = b->engine,
        .values = values,
        .reference_only = config->no_optimize,
        .precision = config->precision,
        .held = &b->held,
        .rounded = &b->rounded,
        .budget_ms = config->budget_ms == 0 ? BUDGET_MS_DEFAULT : config->budget_ms,
        .timings = &b->timings,
        .report = &b->record.choices,
        .measured = &b->record.measured,
        .watch = &b->watch,
        .arena = &b->arena,
    };
    tn_map_init(&b->chooser.decided, &b->arena);
    TN_TRY(choose_as_before(b));
    TN_TRY(add_others(b, graph_of(b)));
    TN_TRY(tn_foresee(&b->chooser, graph_of(b)));
    uint64_t begin = tn_clock_ns();
    TN_TRY(tn_emit(graph_of(b), &b->chooser, b->engine, &b->constants));
    tn_choose_judge_estimates(&b->chooser);
    say("measured, chose and planned", begin);
    begin = tn_clock_ns();
    bool refit = config->refit || config->strip_weights;
    TN_TRY(tn_finish(b->engine, b->graph, refit ? b->source : NULL, &b->constants));
    say("put weights in place", begin);
    return NULL;
}

static tn_status check(builder *b)
{
    tn_gate gate = {.original = b->source,
                    .optimised = graph_of(b),
                    .exact = b->lowered && b->engine->card ? b->graph : NULL,
                    .precision = b->record.asked,
                    .engine = b->engine,
                    .chooser = &b->chooser,
                    .shapes = &b->shapes,
                    .tolerance = b->config.tolerance,
                    .watch = &b->watch,
                    .report = &b->record.gate};
    if (b->config.no_check || b->config.no_optimize) {
        b->record.check =
            b->config.no_check ? "skipped, as asked for" : "not needed, this is the reference";
        return NULL;
    }
    tn_status status = tn_gate_run(&gate);
    if (tn_status_code(status) == TN_MISMATCH)
        for (int i = 0; i < gate.suspect_count; i++) TN_TRY(hold_back(b, gate.suspect[i]));
    TN_TRY(status);
    b->record.check = gate.result;
    b->record.tolerance = gate.tolerance_used;
    return NULL;
}

/* What a try leaves behind, but for what it learnt: times and the layers to hold back. */
static void forget(builder *b)
{
    tn_card_bench_free(b->chooser.bench);
    tn_constants_fini(&b->constants);
    tn_constants_init(&b->constants, &b->arena);
    tn_record_fini(&b->record);
    tn_exec_engine_release(b->engine);
    b->engine = NULL;
    b->chooser = (tn_chooser){0};
}

static tn_status try(builder *b)
{
    TN_TRY(tn_exec_engine_new(&tn_backend_cpu, b->config.threads, &b->engine));
    TN_TRY(find_card(b, &b->engine->card));
    TN_TRY(choose_and_emit(b));
    return check(b);
}

/* What the gate does not let pass even so is not sold as if it did: the next better precision is
 * used, at the tolerance of what was asked for. */
static tn_status step_up(builder *b, tn_status why)
{
    tn_precision from = b->config.precision;
    b->config.precision = is_half(b) ? TN_PRECISION_TF32 : TN_PRECISION_F32;
    b->record.precision = b->config.precision;
    b->record.lowered = (tn_lowered){0};
    b->record.held_count = 0;
    b->record.rounded_count = 0;
    tn_map_init(&b->held, &b->arena);
    tn_log(TN_LOG_WARNING, "%s instead of %s, which loses too much here: %s",
           tn_precision_name(b->config.precision), tn_precision_name(from), tn_status_message(why));
    return hold_all_asked(b);
}

static tn_status keep_layers(builder *b)
{
    const tn_layer_facts facts = {.source = b->source,
                                  .before = b->before,
                                  .portable = b->portable,
                                  .portable_count = b->graph->node_count,
                                  .lowered = b->low,
                                  .planned = graph_of(b),
                                  .config = &b->config};
    return tn_layers_keep(&facts, &b->arena, b->engine);
}

/* Layers that lose too much in a lower precision are held back in float32, more of them each time.
 */
static tn_status build(builder *b)
{
    TN_TRY(optimise(b));
    TN_TRY(tn_shapes_of(b->source, &b->config, &b->arena, &b->shapes));
    int held = b->record.held_count;
    tn_status status = try(b);
    for (int round = 1; tn_status_code(status) == TN_MISMATCH; round++) {
        int most = is_half(b) ? HOLD_ROUNDS_MAX : HOLD_ROUNDS_TF32;
        if (b->record.held_count > held && round <= most) {
            tn_log(TN_LOG_INFO, "%d layers are held back in float32, after: %s",
                   b->record.held_count, tn_status_message(status));
        } else {
            if (b->config.precision == TN_PRECISION_F32) break;
            TN_TRY(step_up(b, status));
            round = 0;
        }
        held = b->record.held_count;
        forget(b);
        status = try(b);
    }
    TN_TRY(status);
    TN_TRY(tn_keep_code(b->engine, &b->shapes));
    TN_TRY(keep_layers(b));
    TN_TRY(tn_report(b->engine, &b->record));
    if (b->config.strip_weights) TN_TRY(tn_exec_strip(b->engine));
    return b->config.timings_path ? tn_timings_save(&b->timings, b->config.timings_path) : NULL;
}

static void open_builder(builder *b, const tn_graph *source)
{
    *b = (builder){.source = source};
    tn_arena_init(&b->arena);
    tn_constants_init(&b->constants, &b->arena);
    tn_map_init(&b->held, &b->arena);
}

/* The engine is handed out, or freed on failure; all else goes. What was measured is kept in any
 * case, as long as there is memory for it. */
static tn_status close_builder(builder *b, tn_status status, tn_engine **out)
{
    tn_timing_cache *cache = b->config.timing_cache;
    if (cache && b->timings.count && tn_status_code(status) != TN_OUT_OF_MEMORY) {
        tn_status kept = tn_timings_merge(&cache->timings, &b->timings);
        if (kept && !status) status = kept;
    }
    tn_card_bench_free(b->chooser.bench);
    tn_constants_fini(&b->constants);
    tn_record_fini(&b->record);
    tn_graph_free(b->graph);
    tn_graph_free(b->lowered);
    tn_arena_fini(&b->arena);
    if (status) {
        tn_exec_engine_release(b->engine);
        return tn_status_trail(status, __FILE__, __LINE__, __func__);
    }
    *out = b->engine;
    return NULL;
}

tn_status tn_build_engine(const tn_graph *graph, const tn_build_config *config, tn_engine **out)
{
    builder b;
    *out = NULL;
    open_builder(&b, graph);
    tn_status status = take_config(config, &b);
    if (!status) status = build(&b);
    return close_builder(&b, status, out);
}

/* ---- Again, from the portable graph ----------------------------------------------------------*/

static tn_status parse_portable(const tn_engine *engine, tn_arena *arena, tn_graph **out)
{
    int32_t count = engine->graph_constant_count;
    tn_tensor *data = TN_NEW_ARRAY(arena, tn_tensor, count);
    TN_CHECK(data, TN_OUT_OF_MEMORY, "no memory for the constants of the graph");
    TN_TRY(tn_exec_graph_check(engine));
    for (int32_t i = 0; i < count; i++) data[i] = engine->plan.constant[engine->graph_constant[i]];
    TN_TRY_NOTE(tn_graph_parse(engine->graph_text, engine->graph_text_bytes, data, count, out),
                "while reading the portable graph of an engine");
    return NULL;
}

/* The precision that the engine was built with, and what its gate held back. */
static tn_status read_precision(builder *b, const tn_engine *old)
{
    const char *word, *name;
    TN_TRY(tn_exec_engine_meta(old, "precision", &b->arena, &word));
    b->config.precision = tn_precision_find(word);
    for (int i = 0; i < TN_HELD_MAX; i++) {
        char key[32];
        snprintf(key, sizeof key, "held:%d", i);
        TN_TRY(tn_exec_engine_meta(old, key, &b->arena, &name));
        if (!name[0]) break;
        TN_TRY(hold_back(b, name));
    }
    return NULL;
}

/* What its gate allowed, unless the caller asks for a tolerance. */
static tn_status read_tolerance(builder *b, const tn_engine *old)
{
    const char *word;
    TN_TRY(tn_exec_engine_meta(old, "tolerance", &b->arena, &word));
    double tolerance = strtod(word, NULL);
    if (b->config.tolerance <= 0 && tolerance > 0) b->config.tolerance = tolerance;
    return NULL;
}

/* The shapes that it was built for, unless the caller gives others. */
static tn_status read_profiles(builder *b, const tn_engine *old)
{
    int64_t capacity = 0;
    tn_profile *at = NULL;
    if (b->config.profile_count) return NULL;
    for (int i = 0;; i++) {
        char key[32];
        const char *line;
        tn_profile profile;
        snprintf(key, sizeof key, "profile:%d", i);
        TN_TRY(tn_exec_engine_meta(old, key, &b->arena, &line));
        if (!line[0]) break;
        TN_CHECK(tn_profile_parse(line, &profile), TN_CORRUPT, "'%s' is no profile", line);
        TN_TRY(tn_arena_grow(&b->arena, &at, i, &capacity, i + 1, sizeof *at));
        at[i] = profile;
        b->config.profile_count = i + 1;
    }
    b->config.profiles = at;
    return NULL;
}

static tn_status build_again(builder *b, const tn_engine *old, tn_card *card, int threads)
{
    const char *check;
    b->before = &old->layers;
    TN_TRY(parse_portable(old, &b->arena, &b->graph));
    b->source = b->graph;
    b->config.budget_ms = -1;
    TN_TRY(read_precision(b, old));
    TN_TRY(read_profiles(b, old));
    b->record.profiles = b->config.profiles;
    b->record.profile_count = b->config.profile_count;
    TN_TRY(tn_shapes_of(b->graph, &b->config, &b->arena, &b->shapes));
    TN_TRY(tn_exec_engine_new(old->backend, threads, &b->engine));
    b->engine->card = card;
    TN_TRY(choose_and_emit(b));
    TN_TRY(tn_exec_engine_meta(old, "check", &b->arena, &check));
    b->record.check = tn_arena_printf(&b->arena, "%s, for the plan before this one", check);
    TN_CHECK(b->record.check, TN_OUT_OF_MEMORY, "no memory for the report");
    b->record.rebuilt = b->record.optimised = true;
    b->record.precision = b->record.asked = b->config.precision;
    b->record.nodes_before = b->record.nodes_after = b->graph->node_count;
    TN_TRY(keep_layers(b));
    return tn_report(b->engine, &b->record);
}

tn_status tn_build_again(const tn_engine *engine, tn_card *card, int threads, tn_engine **out)
{
    builder b;
    *out = NULL;
    open_builder(&b, NULL);
    return close_builder(&b, build_again(&b, engine, card, threads), out);
}

/* ---- Tuning: built anew from the portable graph, measured and checked ------------------------*/

static tn_status tune(builder *b, tn_graph **source)
{
    const char *word;
    TN_CHECK(!b->tuned->stripped, TN_INVALID,
             "the engine has no weights: fill it with `tenon refit` (tn_engine_refit) first");
    b->config.refit = b->tuned->source.text != NULL;
    if (b->config.refit) {
        TN_TRY(tn_source_parse(b->tuned, &(tn_refit){0}, &b->arena, source));
    } else {
        TN_TRY(parse_portable(b->tuned, &b->arena, source));
        b->before = &b->tuned->layers;
    }
    b->source = *source;
    /* to see what the engine's own kernels compute */
    b->again = b->config.expose && !b->config.no_optimize;
    TN_TRY(read_profiles(b, b->tuned));
    if (b->config.precision == TN_PRECISION_F32) {
        TN_TRY(tn_exec_engine_meta(b->tuned, "precision", &b->arena, &word));
        b->config.precision = tn_precision_find(word);
    }
    TN_TRY(tn_exec_engine_meta(b->tuned, "check", &b->arena, &b->record.check_before));
    return build(b);
}

tn_status tn_build_tuned(const tn_engine *engine, const tn_build_config *config, tn_engine **out)
{
    builder b;
    tn_graph *source = NULL;
    *out = NULL;
    open_builder(&b, NULL);
    b.tuned = engine;
    tn_status status = take_config(config, &b);
    if (!status) status = tune(&b, &source);
    status = close_builder(&b, status, out);
    tn_graph_free(source);
    return status;
}

/* ---- Other weights ---------------------------------------------------------------------------*/

static tn_status build_refit(builder *b, const tn_refit *refit, tn_graph **source)
{
    TN_TRY(tn_source_parse(b->tuned, refit, &b->arena, source));
    b->source = *source;
    b->again = true;
    b->config.refit = true;
    b->config.strip_weights = false;
    b->config.no_optimize = false;
    b->config.device = NULL;
    b->config.budget_ms = -1;
    b->config.profile_count = 0;
    const char *choices = strstr(b->tuned->report, "choices:\n"), *line = choices;
    for (line += choices ? strcspn(line, "\n") + 1 : 0; choices && *line == ' ';) {
        size_t bytes = strcspn(line, "\n") + 1;
        tn_text_append(&b->record.choices, line, bytes);
        line += bytes;
    }
    TN_TRY(read_precision(b, b->tuned));
    TN_TRY(read_profiles(b, b->tuned));
    TN_TRY(read_tolerance(b, b->tuned));
    return build(b);
}

tn_status tn_build_refit(const tn_engine *engine, const tn_refit *refit,
                         const tn_build_config *config, tn_engine **out)
{
    builder b;
    tn_graph *source = NULL;
    *out = NULL;
    open_builder(&b, NULL);
    b.tuned = engine;
    tn_status status = take_config(config, &b);
    if (!status) status = build_refit(&b, refit, &source);
    status = close_builder(&b, status, out);
    tn_graph_free(source);
    return status;
}
