/* Looking ahead on a card. Kernels are compiled when they are first launched, which takes a good
 * part of a second each: what a build will measure is known before it begins, so it is compiled by
 * all threads at once. And what the engine will launch at the shapes that it was built for is known
 * at its end: that code goes into the file, and a machine that loads it compiles nothing. */
#include <string.h>

#include "base/log.h"
#include "build/stage.h"

typedef struct ahead {
    tn_chooser *chooser;
    tn_arena arena;
    tn_map seen; /* problems */
    tn_card_work *work;
    int64_t count, capacity;
} ahead;

static tn_status add_work(ahead *a, const tn_tactic *tactic, const tn_problem *p)
{
    const tn_launch *launch;
    TN_TRY(tn_card_bench_sketch(tactic, p, &a->arena, &launch));
    TN_TRY(
        tn_arena_grow(&a->arena, &a->work, a->count, &a->capacity, a->count + 1, sizeof *a->work));
    a->work[a->count++] = (tn_card_work){tactic, launch, false};
    return NULL;
}

/* One tactic is not measured, but launched in the end; of those that were measured before, only the
 * best one will be. */
static tn_status look_at(ahead *a, const tn_problem *p, const char *text)
{
    const tn_tactic *tactic[TN_CANDIDATES_MAX];
    int count = tn_choose_on_card(a->chooser, p, tactic);
    bool found = false;
    double ns;
    a->chooser->problems_left += count > 1;
    for (int i = 0; i < count; i++) {
        if (count > 1) TN_TRY(tn_timings_find(a->chooser->timings, text, tactic[i], &found, &ns));
        if (!found) TN_TRY(add_work(a, tactic[i], p));
    }
    return NULL;
}

static tn_status look_at_node(ahead *a, const tn_chooser *chooser, const tn_node *node)
{
    tn_problem *p = TN_NEW(&a->arena, tn_problem);
    tn_text text = {0};
    char *problem = NULL;
    TN_CHECK(p, TN_OUT_OF_MEMORY, "no memory to look ahead");
    tn_status status = tn_choose_problem(chooser, node, &a->arena, p);
    if (tn_status_code(status) == TN_OUT_OF_MEMORY) return status;
    if (status) return NULL; /* choosing says why */
    tn_problem_print(p, &text);
    TN_TRY(tn_text_take(&text, &problem));
    if (!tn_map_has(&a->seen, problem)) {
        status = tn_map_put(&a->seen, problem, a);
        if (!status && a->chooser->engine->card) status = look_at(a, p, problem);
        else if (!status) a->chooser->problems_left++;
    }
    tn_text_free(problem);
    return status;
}

static tn_status compile(ahead *a)
{
    tn_card *card = a->chooser->engine->card;
    uint64_t begin = tn_clock_ns();
    if (!card || !card->backend->card->foresee || !a->count) return NULL;
    TN_TRY(card->backend->card->foresee(card, a->work, a->count, a->chooser->engine->pool, NULL));
    tn_log(TN_LOG_INFO, "compiled what %lld launches need in %.0f ms", (long long)a->count,
           (double)(tn_clock_ns() - begin) / 1e6);
    return NULL;
}

tn_status tn_foresee(tn_chooser *chooser, const tn_graph *graph)
{
    ahead a = {.chooser = chooser};
    tn_status status = NULL;
    if (chooser->budget_ms <= 0 || chooser->reference_only) return NULL;
    tn_arena_init(&a.arena);
    tn_map_init(&a.seen, &a.arena);
    for (int i = -1; i < chooser->other_count; i++) {
        tn_chooser there = *chooser;
        if (i >= 0) there.values = chooser->other[i];
        for (const tn_node *node = graph->first; node && !status; node = node->next)
            status = look_at_node(&a, &there, node);
    }
    if (!status) status = compile(&a);
    tn_arena_fini(&a.arena);
    return status ? tn_status_trail(status, __FILE__, __LINE__, __func__) : NULL;
}

/* ---- For the engine file ---------------------------------------------------------------------*/

static tn_status keep_at(tn_context *context, const tn_engine *engine, const tn_shape_set *set,
                         tn_card_codes *codes)
{
    const tn_plan *plan = &engine->plan;
    for (int32_t i = 0; i < plan->input_count; i++)
        TN_TRY(tn_exec_context_set_shape(context, plan->input[i].name, set->dim[i], set->rank[i]));
    return tn_exec_context_foresee(context, codes);
}

/* Shapes that cannot be looked at leave no code: it will be compiled when it is needed. */
tn_status tn_keep_code(tn_engine *engine, const tn_shape_sets *shapes)
{
    tn_context *context;
    tn_status status = NULL;
    tn_card_codes *codes = &engine->code;
    uint64_t begin = tn_clock_ns();
    if (!engine->card || !engine->card->backend->card->foresee) return NULL;
    TN_TRY(tn_exec_context_new(engine, &context));
    for (int i = 0; i < shapes->count; i++) {
        status = keep_at(context, engine, &shapes->at[i], codes);
        if (status)
            tn_log(TN_LOG_INFO, "no code is kept for the %s shapes: %s", shapes->at[i].name,
                   tn_status_message(status));
    }
    tn_exec_context_free(context);
    tn_log(TN_LOG_INFO, "%lld pieces of code were kept in %.0f ms", (long long)codes->count,
           (double)(tn_clock_ns() - begin) / 1e6);
    return NULL;
}
