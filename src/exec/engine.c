/* The engine: what does not change while it runs. It is filled by build/ or by engine_file.c, made
 * ready once, and then only counted. */
#include "exec/exec.h"

#include <stdatomic.h>
#include <string.h>

#include "tensor/dtype.h"
#include "tensor/tensor.h"

tn_status tn_exec_engine_new(const tn_backend *backend, int threads, tn_engine **out)
{
    enum { DEVICES_MAX = 16 };
    tn_device_info info[DEVICES_MAX];
    const char *why = NULL;
    int count = 0;
    *out = NULL;
    TN_TRY(backend->devices(info, DEVICES_MAX, &count, &why));
    TN_CHECK(count > 0, TN_UNAVAILABLE, "no device of '%s' can be used: %s", backend->name,
             why ? why : "it does not say why");
    tn_engine *engine = tn_alloc_zero(sizeof(*engine));
    TN_CHECK(engine, TN_OUT_OF_MEMORY, "no memory for an engine");
    engine->backend = backend;
    engine->device = info[0];
    engine->report = engine->meta = engine->graph_text = "";
    engine->plan_usable = true;
    atomic_init(&engine->references, 1);
    pthread_mutex_init(&engine->unpack_lock, NULL);
    tn_arena_init(&engine->arena);
    tn_arena_init(&engine->plan.arena);
    engine->code.arena = &engine->arena;
    tn_status status = tn_pool_new(threads, &engine->pool);
    if (status) {
        tn_exec_engine_release(engine);
        return tn_status_trail(status, __FILE__, __LINE__, __func__);
    }
    *out = engine;
    return NULL;
}

/* Contexts hold engines as const: only this count ever changes. */
static tn_engine *without_const(const tn_engine *engine)
{
    union {
        const tn_engine *in;
        tn_engine *out;
    } cast = {.in = engine};
    return cast.out;
}

void tn_exec_engine_retain(const tn_engine *engine)
{
    atomic_fetch_add_explicit(&without_const(engine)->references, 1, memory_order_relaxed);
}

void tn_exec_engine_release(const tn_engine *released)
{
    tn_engine *engine = without_const(released);
    if (!engine) return;
    if (atomic_fetch_sub_explicit(&engine->references, 1, memory_order_acq_rel) != 1) return;
    tn_pool_free(engine->pool);
    if (engine->card) engine->card->backend->card->free(engine->card, false, engine->card_memory);
    tn_free(engine->constant_owned, engine->constant_bytes);
    tn_free(engine->unpacked, engine->unpacked_bytes);
    pthread_mutex_destroy(&engine->unpack_lock);
    tn_file_unmap(&engine->mapping);
    tn_plan_fini(&engine->plan);
    tn_arena_fini(&engine->arena);
    tn_free(engine, sizeof(*engine));
}

/* ---- Tactics ---------------------------------------------------------------------------------*/

static const tn_tactic *find_usable(const tn_engine *engine, const tn_plan_choice *choice)
{
    const tn_card *card = engine->card;
    uint64_t features = engine->device.features;
    const tn_tactic *tactic = tn_tactic_find(engine->backend, choice->tactic);
    if (!tactic && card) {
        tactic = tn_tactic_find(card->backend, choice->tactic);
        features = card->info.features;
    }
    if (!tactic || tactic->revision != choice->revision) return NULL;
    return (tactic->needs & ~features) ? NULL : tactic;
}

static tn_status describe_ios(tn_engine *engine, const tn_plan_io *io, int32_t count, bool outputs,
                              tn_io **out)
{
    const tn_exprs *exprs = &engine->plan.exprs;
    tn_io *at = TN_NEW_ARRAY(&engine->arena, tn_io, count);
    TN_CHECK(at, TN_OUT_OF_MEMORY, "no memory to describe inputs and outputs");
    for (int32_t i = 0; i < count; i++) {
        const tn_plan_tensor *t = &engine->plan.tensor[io[i].tensor];
        at[i] = (tn_io){.name = io[i].name,
                        .dtype = t->dtype,
                        .rank = t->rank,
                        .is_output = outputs,
                        .kind = (tn_io_kind)t->kind};
        for (int axis = 0; axis < t->rank; axis++) {
            if (tn_expr_is_const(exprs, t->dim[axis], &at[i].dim[axis])) continue;
            tn_text text = {0};
            tn_expr_print(exprs, t->dim[axis], &text);
            at[i].dim[axis] = -1;
            at[i].dim_name[axis] =
                text.failed ? NULL : tn_arena_text(&engine->arena, text.at, text.bytes);
            tn_text_fini(&text);
            TN_CHECK(at[i].dim_name[axis], TN_OUT_OF_MEMORY,
                     "no memory to describe inputs and outputs");
        }
    }
    *out = at;
    return NULL;
}

/* Recursion: as deep as plans are nested, which tn_plan_verify has bounded. */
static tn_status find_tactics(const tn_engine *engine, tn_plan *plan)
{
    for (int32_t i = 0; i < plan->step_count; i++) {
        tn_plan_step *step = &plan->step[i];
        for (int32_t k = 0; k < step->choice_count; k++)
            step->choice[k].found = find_usable(engine, &step->choice[k]);
        TN_CHECK(step->kind != TN_STEP_LAUNCH || step->choice[0].found, TN_UNAVAILABLE,
                 "%s '%s' was tuned for %s, which this machine or version does not have", step->op,
                 step->name, step->choice[0].tactic);
    }
    for (int32_t i = 0; i < plan->sub_count; i++) TN_TRY(find_tactics(engine, plan->sub[i]));
    return NULL;
}

/* Recursion: as deep as plans are nested, which tn_plan_verify has bounded. */
static bool wants_card(const tn_plan *plan)
{
    for (int32_t i = 0; i < plan->tensor_count; i++)
        if (plan->tensor[i].card) return true;
    for (int32_t i = 0; i < plan->step_count; i++)
        if (plan->step[i].card) return true;
    for (int32_t i = 0; i < plan->sub_count; i++)
        if (wants_card(plan->sub[i])) return true;
    return false;
}

tn_status tn_exec_engine_ready(tn_engine *engine)
{
    tn_plan *plan = &engine->plan;
    TN_CHECK(engine->plan_usable, TN_UNAVAILABLE,
             "the engine was built by another version of Tenon and must be built anew");
    TN_TRY(tn_plan_verify(plan));
    TN_TRY(describe_ios(engine, plan->input, plan->input_count, false, &engine->input));
    TN_TRY(describe_ios(engine, plan->output, plan->output_count, true, &engine->output));
    TN_CHECK(engine->card || !wants_card(plan), TN_UNAVAILABLE,
             "the engine was planned for a card, and none is used here");
    for (int32_t i = 0; i < plan->sub_count; i++)
        TN_CHECK(!wants_card(plan->sub[i]), TN_CORRUPT, "plan: a plan inside uses a card");
    TN_TRY(find_tactics(engine, plan));
    return tn_exec_engine_upload(engine);
}

uint64_t tn_exec_params_hash(const tn_backend *backend)
{
    uint64_t sum = 0;
    for (int i = 0; backend->tactics()[i]; i++) {
        const tn_tactic *t = backend->tactics()[i];
        if (!strstr(t->name, ".reference")) continue;
        uint64_t pair[2] = {tn_hash_bytes(t->op, strlen(t->op)), t->params_bytes};
        sum += tn_hash_bytes(pair, sizeof(pair)); /* a sum: the table's order does not matter */
    }
    return sum;
}

tn_status tn_exec_engine_meta(const tn_engine *engine, const char *key, tn_arena *arena,
                              const char **out)
{
    size_t key_bytes = strlen(key);
    *out = "";
    for (const char *line = engine->meta; *line;) {
        size_t bytes = strcspn(line, "\n");
        if (bytes > key_bytes && !memcmp(line, key, key_bytes) && line[key_bytes] == '=') {
            *out = tn_arena_text(arena, line + key_bytes + 1, bytes - key_bytes - 1);
            TN_CHECK(*out, TN_OUT_OF_MEMORY, "no memory for a line of text");
            return NULL;
        }
        line += bytes + (line[bytes] != 0);
    }
    return NULL;
}
