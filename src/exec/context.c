/* Contexts: making, freeing, what follows from the plan alone, and the shapes that are remembered.
 */
#include "exec/context.h"

#include <string.h>

#include "tensor/tensor.h"

void *tn_buffer_nothing(void)
{
    static _Alignas(TN_ALIGNMENT) unsigned char nothing[TN_ALIGNMENT];
    return nothing;
}

static tn_status make_context(const tn_engine *engine, const tn_plan *plan, tn_context **out);
static void free_context(tn_context *context);

/* ---- What follows from the plan --------------------------------------------------------------*/

static void mark_read(tn_context *context, int32_t tensor, int32_t step)
{
    int32_t root = tn_plan_root(context->plan, tensor);
    context->last[root] = TN_MAX(context->last[root], step);
}

static void find_lives(tn_context *context)
{
    const tn_plan *plan = context->plan;
    for (int32_t i = 0; i < plan->tensor_count; i++) context->first[i] = context->last[i] = -1;
    for (int32_t i = 0; i < plan->step_count; i++) {
        const tn_plan_step *s = &plan->step[i];
        for (int32_t k = 0; k < s->in_count; k++) {
            if (s->in[k] < 0) continue;
            if (plan->tensor[s->in[k]].dynamic) context->step_dynamic[i] = true;
            if (k < 64 && (s->in_unused >> k & 1)) continue;
            mark_read(context, s->in[k], i);
        }
        for (int32_t k = 0; k < s->out_count; k++) {
            if (s->out[k] < 0) continue;
            if (plan->tensor[s->out[k]].dynamic) context->step_dynamic[i] = true;
            context->first[s->out[k]] = context->last[s->out[k]] = i;
        }
        context->dynamic |= context->step_dynamic[i];
    }
    for (int32_t i = 0; i < plan->input_count; i++)
        context->dynamic |= plan->tensor[plan->input[i].tensor].dynamic;
    for (int32_t i = 0; i < plan->output_count; i++)
        mark_read(context, plan->output[i].tensor, plan->step_count);
}

/* Run-time tensors take buffers in order of their steps; a buffer whose tensor nobody reads any
 * more goes to the next one. */
static tn_status give_slots(tn_context *context)
{
    const tn_plan *plan = context->plan;
    int32_t *free_after = TN_NEW_ARRAY(&context->arena, int32_t, plan->tensor_count);
    TN_CHECK(free_after, TN_OUT_OF_MEMORY, "no memory for a context");
    for (int32_t i = 0; i < plan->tensor_count; i++) context->slot[i] = -1;
    for (int32_t i = 0; i < plan->step_count; i++) {
        for (int32_t k = 0; k < plan->step[i].out_count; k++) {
            int32_t t = plan->step[i].out[k], slot = 0;
            if (t < 0 || !plan->tensor[t].dynamic) continue;
            if (plan->tensor[t].kind != TN_PLAN_TENSOR) continue;
            while (slot < context->slot_count && free_after[slot] >= i) slot++;
            if (slot == context->slot_count) context->slot_count++;
            free_after[slot] = context->last[t];
            context->slot[t] = slot;
        }
    }
    context->slot_buffer = TN_NEW_ARRAY(&context->arena, tn_buffer, context->slot_count);
    TN_CHECK(context->slot_buffer, TN_OUT_OF_MEMORY, "no memory for a context");
    return NULL;
}

static tn_status set_up_lists(tn_context *context)
{
    const tn_plan *plan = context->plan;
    context->list = TN_NEW_ARRAY(&context->arena, tn_list, plan->tensor_count);
    context->list_at = TN_NEW_ARRAY(&context->arena, const tn_list *, plan->tensor_count);
    TN_CHECK(context->list && context->list_at, TN_OUT_OF_MEMORY, "no memory for a context");
    for (int32_t i = 0; i < plan->tensor_count; i++)
        if (plan->tensor[i].kind != TN_PLAN_TENSOR && plan->tensor[i].place != TN_PLACE_INPUT)
            context->list_at[i] = &context->list[i];
    return NULL;
}

/* Room for what loops carry, and contexts for the plans inside. Recursion: as deep as plans are
 * nested, which tn_plan_verify has bounded. */
static tn_status set_up_inside(tn_context *context)
{
    const tn_plan *plan = context->plan;
    tn_arena *arena = &context->arena;
    context->control = TN_NEW_ARRAY(arena, tn_control, plan->step_count);
    context->sub = TN_NEW_ARRAY(arena, tn_context *, plan->sub_count);
    TN_CHECK(context->control && context->sub, TN_OUT_OF_MEMORY, "no memory for a context");
    for (int32_t i = 0; i < plan->step_count; i++) {
        const tn_plan_step *step = &plan->step[i];
        tn_control *control = &context->control[i];
        if (step->kind != TN_STEP_LOOP && step->kind != TN_STEP_SCAN) continue;
        control->carried = TN_NEW_ARRAY(arena, tn_buffer, step->in_count);
        control->list = TN_NEW_ARRAY(arena, tn_list, step->in_count);
        control->now = TN_NEW_ARRAY(arena, tn_tensor, step->in_count);
        control->list_now = TN_NEW_ARRAY(arena, const tn_list *, step->in_count);
        TN_CHECK(control->carried && control->list && control->now && control->list_now,
                 TN_OUT_OF_MEMORY, "no memory for a context");
    }
    for (int32_t i = 0; i < plan->sub_count; i++)
        TN_TRY(make_context(context->engine, plan->sub[i], &context->sub[i]));
    return NULL;
}

static void free_inside(tn_context *context)
{
    const tn_plan *plan = context->plan;
    for (int32_t i = 0; context->sub && i < plan->sub_count; i++) free_context(context->sub[i]);
    for (int32_t i = 0; context->control && i < plan->step_count; i++)
        for (int32_t k = 0; context->control[i].list_now && k < plan->step[i].in_count; k++) {
            tn_buffer_fini(&context->control[i].carried[k]);
            tn_list_fini(&context->control[i].list[k]);
        }
    for (int32_t i = 0; context->list && i < plan->tensor_count; i++)
        tn_list_fini(&context->list[i]);
    for (int32_t i = 0; context->input && i < plan->input_count; i++)
        tn_list_fini(&context->input[i].list);
}

/* Plans inside run on the host alone. */
static tn_status set_up_card(tn_context *context)
{
    tn_card *card = context->engine->card;
    if (!card || context->plan != &context->engine->plan) return NULL;
    context->block.card = context->card_block.card = card;
    context->card_block.on_card = true;
    for (int32_t i = 0; i < context->plan->input_count; i++) context->input[i].own.card = card;
    for (int32_t i = 0; i < context->plan->output_count; i++) context->output[i].own.card = card;
    return card->backend->card->stream_new(card, &context->stream);
}

static tn_status set_up(tn_context *context)
{
    const tn_plan *plan = context->plan;
    tn_arena *arena = &context->arena;
    context->input = TN_NEW_ARRAY(arena, tn_binding, plan->input_count);
    context->output = TN_NEW_ARRAY(arena, tn_binding, plan->output_count);
    context->first = TN_NEW_ARRAY(arena, int32_t, plan->tensor_count);
    context->last = TN_NEW_ARRAY(arena, int32_t, plan->tensor_count);
    context->slot = TN_NEW_ARRAY(arena, int32_t, plan->tensor_count);
    context->step_dynamic = TN_NEW_ARRAY(arena, bool, plan->step_count);
    context->step_ns = TN_NEW_ARRAY(arena, uint64_t, plan->step_count);
    context->step_runs = TN_NEW_ARRAY(arena, int64_t, plan->step_count);
    context->key = TN_NEW_ARRAY(arena, int64_t, (int64_t)plan->input_count * TN_SHAPE_KEY);
    TN_CHECK(context->input && context->output && context->first && context->last &&
                 context->slot && context->step_dynamic && context->step_ns && context->step_runs &&
                 context->key,
             TN_OUT_OF_MEMORY, "no memory for a context");
    context->generation = 1;
    context->device_ns = -1;
    TN_TRY(set_up_card(context));
    find_lives(context);
    TN_TRY(give_slots(context));
    TN_TRY(set_up_lists(context));
    return set_up_inside(context);
}

static tn_status make_context(const tn_engine *engine, const tn_plan *plan, tn_context **out)
{
    *out = NULL;
    tn_context *context = tn_alloc_zero(sizeof(*context));
    TN_CHECK(context, TN_OUT_OF_MEMORY, "no memory for a context");
    context->engine = engine;
    context->plan = plan;
    tn_arena_init(&context->arena);
    tn_arena_init(&context->run_arena);
    tn_arena_init(&context->text);
    tn_status status = set_up(context);
    if (status) {
        free_context(context);
        return tn_status_trail(status, __FILE__, __LINE__, __func__);
    }
    *out = context;
    return NULL;
}

tn_status tn_exec_context_new(const tn_engine *engine, tn_context **out)
{
    TN_CHECK(!engine->stripped, TN_INVALID,
             "the engine has no weights and cannot run: fill it with `tenon refit` "
             "(tn_engine_refit)");
    TN_TRY(make_context(engine, &engine->plan, out));
    tn_exec_engine_retain(engine);
    return NULL;
}

static void free_resolved(const tn_context *context, tn_resolved *r)
{
    if (!r) return;
    tn_resolved_free_segments(context, r);
    tn_arena arena = r->arena; /* r itself lies in it */
    tn_arena_fini(&arena);
}

static void free_context(tn_context *context)
{
    if (!context) return;
    const tn_plan *plan = context->plan;
    free_inside(context);
    if (context->stream && context->card_busy)
        context->engine->card->backend->card->wait(context->stream);
    for (int i = 0; i < TN_SHAPES_KEPT; i++) free_resolved(context, context->seen[i]);
    for (int32_t i = 0; context->input && i < plan->input_count; i++)
        tn_buffer_fini(&context->input[i].own);
    for (int32_t i = 0; context->output && i < plan->output_count; i++)
        tn_buffer_fini(&context->output[i].own);
    for (int32_t i = 0; context->slot_buffer && i < context->slot_count; i++)
        tn_buffer_fini(&context->slot_buffer[i]);
    tn_buffer_fini(&context->block);
    tn_buffer_fini(&context->card_block);
    if (context->stream) context->engine->card->backend->card->stream_free(context->stream);
    tn_buffer_fini(&context->scratch);
    tn_arena_fini(&context->text);
    tn_arena_fini(&context->run_arena);
    tn_arena_fini(&context->arena);
    tn_free(context, sizeof(*context));
}

void tn_exec_context_free(tn_context *context)
{
    const tn_engine *engine = context ? context->engine : NULL;
    free_context(context);
    tn_exec_engine_release(engine);
}

/* ---- Shapes seen -----------------------------------------------------------------------------*/

static tn_status make_key(tn_context *context)
{
    const tn_plan *plan = context->plan;
    char type[256];
    for (int32_t i = 0; i < plan->input_count; i++) {
        const tn_binding *input = &context->input[i];
        int64_t *key = &context->key[(int64_t)i * TN_SHAPE_KEY];
        TN_CHECK(input->shaped, TN_INVALID, "input '%s', %s, is not bound", plan->input[i].name,
                 tn_plan_type_text(plan, plan->input[i].tensor, type, sizeof(type)));
        memset(key, 0, sizeof(*key) * TN_SHAPE_KEY);
        if (plan->tensor[plan->input[i].tensor].dynamic)
            continue; /* nothing hangs on it before a run */
        key[0] = input->given.rank;
        for (int axis = 0; axis < TN_RANK_MAX; axis++)
            key[1 + axis] = axis < input->given.rank ? input->given.dim[axis] : 0;
    }
    return NULL;
}

static tn_status resolve_new(tn_context *context, size_t key_bytes, tn_resolved **out)
{
    tn_arena arena;
    *out = NULL;
    tn_arena_init(&arena);
    tn_resolved *r = TN_NEW(&arena, tn_resolved);
    int64_t *key = tn_arena_alloc(&arena, key_bytes);
    if (!r || !key) {
        tn_arena_fini(&arena);
        TN_FAIL(TN_OUT_OF_MEMORY, "no memory for a shape");
    }
    r->arena = arena;
    r->key = key;
    if (key_bytes > 0) memcpy(r->key, context->key, key_bytes);
    tn_status status = tn_resolve(context, r);
    if (status) {
        free_resolved(context, r);
        return tn_status_trail(status, __FILE__, __LINE__, __func__);
    }
    *out = r;
    return NULL;
}

tn_status tn_context_shapes(tn_context *context)
{
    size_t key_bytes = sizeof(int64_t) * TN_SHAPE_KEY * (size_t)context->plan->input_count;
    int place = 0;
    if (context->now) return NULL;
    TN_TRY(make_key(context));
    for (int i = 0; i < TN_SHAPES_KEPT; i++) {
        tn_resolved *r = context->seen[i];
        if (r && (key_bytes == 0 || !memcmp(r->key, context->key, key_bytes))) {
            context->now = r;
            r->used = ++context->clock;
            return NULL;
        }
        const tn_resolved *oldest = context->seen[place];
        if (oldest && (!r || r->used < oldest->used)) place = i;
    }
    tn_resolved *fresh;
    TN_TRY(resolve_new(context, key_bytes, &fresh));
    free_resolved(context, context->seen[place]);
    fresh->used = ++context->clock;
    context->seen[place] = context->now = fresh;
    return NULL;
}

/* ---- Questions -------------------------------------------------------------------------------*/

bool tn_exec_context_has_shape(const tn_context *context, int32_t input)
{
    return context->input[input].shaped;
}

const tn_engine *tn_exec_context_engine(const tn_context *context)
{
    return context->engine;
}

tn_status tn_exec_context_memory_bytes(tn_context *context, size_t *out)
{
    *out = 0;
    TN_TRY(tn_context_shapes(context));
    *out = context->now->block_bytes;
    return NULL;
}

static void share_limit(tn_context *context, int64_t *left)
{
    context->iterations_left = left;
    for (int32_t i = 0; i < context->plan->sub_count; i++) share_limit(context->sub[i], left);
}

void tn_exec_context_limit(tn_context *context, int64_t iterations)
{
    context->iterations = iterations;
    share_limit(context, &context->iterations);
}

void tn_exec_context_profile(tn_context *context, bool on)
{
    int32_t count = context->plan->step_count;
    if (on && !context->summing)
        for (int32_t i = 0; i < count; i++) context->step_ns[i] = 0, context->step_runs[i] = 0;
    context->summing = on;
    context->profiling = on || context->profiler;
}

void tn_exec_context_profiler(tn_context *context, tn_profiler profiler, void *self)
{
    context->profiler = profiler;
    context->profiler_self = self;
    context->profiling = context->summing || profiler;
}

void tn_exec_context_watch(tn_context *context, const tn_watch *watch)
{
    context->watch = watch;
    for (int32_t i = 0; i < context->plan->sub_count; i++)
        tn_exec_context_watch(context->sub[i], watch);
}

int tn_exec_context_step_count(const tn_context *context)
{
    return context->plan->step_count;
}

tn_status tn_exec_context_step_time(const tn_context *context, int index, tn_step_time *out)
{
    const tn_plan *plan = context->plan;
    TN_CHECK(index >= 0 && index < plan->step_count, TN_INVALID,
             "there is no step %d: the engine has %d", index, plan->step_count);
    const tn_plan_step *step = &plan->step[index];
    const tn_tactic *tactic = context->now ? context->now->step[index].tactic : NULL;
    *out = (tn_step_time){.name = step->name[0] ? step->name : step->op,
                          .total_ms = (double)context->step_ns[index] / 1e6,
                          .run_count = context->step_runs[index]};
    static const char *const kinds[] = {"",     "dims", "copy",     "if",
                                        "loop", "scan", "sequence", "map"};
    if (step->kind == TN_STEP_LAUNCH) out->tactic = tactic ? tactic->name : step->choice[0].tactic;
    else out->tactic = kinds[step->kind];
    return NULL;
}
