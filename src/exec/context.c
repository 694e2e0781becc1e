/* Contexts: making, freeing, what follows from the plan alone, and the shapes that are remembered. */
#include "exec/context.h"

#include <string.h>

#include "tensor/tensor.h"

tn_status tn_buffer_grow(tn_buffer *buffer, size_t bytes, const char *what)
{
    if (bytes <= buffer->bytes) return NULL;
    void *fresh = tn_alloc(bytes); /* the old contents are of no use to anybody */
    TN_CHECK(fresh, TN_OUT_OF_MEMORY, "no memory for %zu bytes of %s", bytes, what);
    tn_buffer_fini(buffer);
    *buffer = (tn_buffer){fresh, bytes};
    return NULL;
}

void tn_buffer_fini(tn_buffer *buffer)
{
    tn_free(buffer->at, buffer->bytes);
    *buffer = (tn_buffer){0};
}

void *tn_buffer_nothing(void)
{
    static _Alignas(TN_ALIGNMENT) unsigned char nothing[TN_ALIGNMENT];
    return nothing;
}

/* ---- What follows from the plan --------------------------------------------------------------*/

static void mark_read(tn_context *context, int32_t tensor, int32_t step)
{
    int32_t root = tn_plan_root(&context->engine->plan, tensor);
    context->last[root] = TN_MAX(context->last[root], step);
}

static void find_lives(tn_context *context)
{
    const tn_plan *plan = &context->engine->plan;
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
    for (int32_t i = 0; i < plan->output_count; i++)
        mark_read(context, plan->output[i].tensor, plan->step_count);
}

/* Run-time tensors take buffers in order of their steps; a buffer whose tensor nobody reads any more
 * goes to the next one. */
static tn_status give_slots(tn_context *context)
{
    const tn_plan *plan = &context->engine->plan;
    int32_t *free_after = TN_NEW_ARRAY(&context->arena, int32_t, plan->tensor_count);
    TN_CHECK(free_after, TN_OUT_OF_MEMORY, "no memory for a context");
    for (int32_t i = 0; i < plan->tensor_count; i++) context->slot[i] = -1;
    for (int32_t i = 0; i < plan->step_count; i++) {
        for (int32_t k = 0; k < plan->step[i].out_count; k++) {
            int32_t t = plan->step[i].out[k], slot = 0;
            if (t < 0 || !plan->tensor[t].dynamic) continue;
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

static tn_status set_up(tn_context *context)
{
    const tn_plan *plan = &context->engine->plan;
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
    find_lives(context);
    return give_slots(context);
}

tn_status tn_exec_context_new(const tn_engine *engine, tn_context **out)
{
    *out = NULL;
    tn_context *context = tn_alloc_zero(sizeof(*context));
    TN_CHECK(context, TN_OUT_OF_MEMORY, "no memory for a context");
    tn_exec_engine_retain(engine);
    context->engine = engine;
    tn_arena_init(&context->arena);
    tn_arena_init(&context->run_arena);
    tn_arena_init(&context->text);
    tn_status status = set_up(context);
    if (status) {
        tn_exec_context_free(context);
        return tn_status_trail(status, __FILE__, __LINE__, __func__);
    }
    *out = context;
    return NULL;
}

static void free_resolved(tn_resolved *r)
{
    if (!r) return;
    tn_arena arena = r->arena; /* r itself lies in it */
    tn_arena_fini(&arena);
}

void tn_exec_context_free(tn_context *context)
{
    if (!context) return;
    const tn_plan *plan = &context->engine->plan;
    for (int i = 0; i < TN_SHAPES_KEPT; i++) free_resolved(context->seen[i]);
    for (int32_t i = 0; context->input && i < plan->input_count; i++)
        tn_buffer_fini(&context->input[i].own);
    for (int32_t i = 0; context->output && i < plan->output_count; i++)
        tn_buffer_fini(&context->output[i].own);
    for (int32_t i = 0; context->slot_buffer && i < context->slot_count; i++)
        tn_buffer_fini(&context->slot_buffer[i]);
    tn_buffer_fini(&context->block);
    tn_buffer_fini(&context->scratch);
    tn_arena_fini(&context->text);
    tn_arena_fini(&context->run_arena);
    tn_arena_fini(&context->arena);
    tn_exec_engine_release(context->engine);
    tn_free(context, sizeof(*context));
}

/* ---- Shapes seen -----------------------------------------------------------------------------*/

static tn_status make_key(tn_context *context)
{
    const tn_plan *plan = &context->engine->plan;
    char type[256];
    for (int32_t i = 0; i < plan->input_count; i++) {
        const tn_binding *input = &context->input[i];
        int64_t *key = &context->key[(int64_t)i * TN_SHAPE_KEY];
        TN_CHECK(input->shaped, TN_INVALID, "input '%s', %s, is not bound", plan->input[i].name,
                 tn_plan_type_text(plan, plan->input[i].tensor, type, sizeof(type)));
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
        free_resolved(r);
        return tn_status_trail(status, __FILE__, __LINE__, __func__);
    }
    *out = r;
    return NULL;
}

tn_status tn_context_shapes(tn_context *context)
{
    size_t key_bytes = sizeof(int64_t) * TN_SHAPE_KEY * (size_t)context->engine->plan.input_count;
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
    free_resolved(context->seen[place]);
    fresh->used = ++context->clock;
    context->seen[place] = context->now = fresh;
    return NULL;
}

/* ---- Questions -------------------------------------------------------------------------------*/

tn_status tn_exec_context_memory_bytes(tn_context *context, size_t *out)
{
    *out = 0;
    TN_TRY(tn_context_shapes(context));
    *out = context->now->block_bytes;
    return NULL;
}

void tn_exec_context_profile(tn_context *context, bool on)
{
    int32_t count = context->engine->plan.step_count;
    if (on && !context->profiling)
        for (int32_t i = 0; i < count; i++) context->step_ns[i] = 0, context->step_runs[i] = 0;
    context->profiling = on;
}

int tn_exec_context_step_count(const tn_context *context)
{
    return context->engine->plan.step_count;
}

tn_status tn_exec_context_step_time(const tn_context *context, int index, tn_step_time *out)
{
    const tn_plan *plan = &context->engine->plan;
    TN_CHECK(index >= 0 && index < plan->step_count, TN_INVALID,
             "there is no step %d: the engine has %d", index, plan->step_count);
    const tn_plan_step *step = &plan->step[index];
    const tn_tactic *tactic = context->now ? context->now->step[index].tactic : NULL;
    *out = (tn_step_time){.name = step->name[0] ? step->name : step->op,
                          .total_ms = (double)context->step_ns[index] / 1e6,
                          .run_count = context->step_runs[index]};
    if (step->kind == TN_STEP_LAUNCH) out->tactic = tactic ? tactic->name : step->choice[0].tactic;
    else out->tactic = step->kind == TN_STEP_DIMS ? "dims" : "copy";
    return NULL;
}
