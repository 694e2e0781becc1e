/* What a context does on a card. Consecutive steps of the card, with the copies between both
 * memories, are a segment: run step by step the first time, then recorded, then replayed as a whole
 * (a CUDA graph) for as long as no pointer in it changes. The host waits before it touches what a
 * segment wrote, and at the end of a run. */
#include <string.h>

#include "base/log.h"
#include "exec/context.h"
#include "tensor/tensor.h"

static const tn_card_calls *calls_of(const tn_context *context)
{
    return context->engine->card->backend->card;
}

tn_status tn_context_drain(tn_context *context)
{
    if (!context->card_busy) return NULL;
    context->card_busy = false;
    return calls_of(context)->wait(context->stream);
}

tn_status tn_context_use(tn_context *context, void *queue)
{
    if (!context->stream || queue == context->queue) return NULL;
    TN_TRY(tn_context_drain(context));
    context->queue = queue;
    calls_of(context)->stream_use(context->stream, queue);
    return NULL;
}

void tn_context_range(const tn_context *context, const char *name)
{
    if (context->stream && calls_of(context)->range) calls_of(context)->range(name);
}

/* ---- Constants -------------------------------------------------------------------------------*/

#define CARD_ALIGNMENT 256

static void mark_constants(const tn_engine *engine, bool *wanted)
{
    const tn_plan *plan = &engine->plan;
    for (int32_t i = 0; i < plan->tensor_count; i++)
        if (plan->tensor[i].card && plan->tensor[i].place == TN_PLACE_CONSTANT)
            wanted[plan->tensor[i].index] = true;
    for (int32_t i = 0; i < plan->step_count; i++)
        for (int32_t k = 0; plan->step[i].card && k < plan->step[i].choice_count; k++)
            if (plan->step[i].choice[k].packed >= 0) wanted[plan->step[i].choice[k].packed] = true;
}

static tn_status copy_constants(tn_engine *engine, void *stream, const size_t *offset,
                                const bool *wanted)
{
    const tn_card_calls *calls = engine->card->backend->card;
    for (int32_t i = 0; i < engine->plan.constant_count; i++) {
        const tn_tensor *t = &engine->plan.constant[i];
        if (!wanted[i]) continue;
        TN_TRY(tn_exec_constant_check(engine, i));
        engine->card_constant[i] = (char *)engine->card_memory + offset[i];
        TN_TRY(calls->copy(stream, engine->card_constant[i], t->data, (size_t)tn_tensor_bytes(t)));
    }
    return calls->wait(stream);
}

tn_status tn_exec_engine_upload(tn_engine *engine)
{
    const tn_plan *plan = &engine->plan;
    tn_card *card = engine->card;
    size_t total = 0;
    void *stream;
    if (!card || engine->stripped) return NULL;
    if (card->backend->card->take_code)
        TN_TRY(card->backend->card->take_code(card, engine->code.at, engine->code.count));
    bool *wanted = TN_NEW_ARRAY(&engine->arena, bool, plan->constant_count);
    size_t *offset = TN_NEW_ARRAY(&engine->arena, size_t, plan->constant_count);
    engine->card_constant = TN_NEW_ARRAY(&engine->arena, void *, plan->constant_count);
    TN_CHECK(wanted && offset && engine->card_constant, TN_OUT_OF_MEMORY,
             "no memory for a table of constants");
    mark_constants(engine, wanted);
    for (int32_t i = 0; i < plan->constant_count; i++) {
        offset[i] = total;
        if (wanted[i])
            total += tn_align_up((size_t)tn_tensor_bytes(&plan->constant[i]), CARD_ALIGNMENT);
    }
    if (!total) return NULL;
    TN_TRY_NOTE(card->backend->card->alloc(card, false, total, &engine->card_memory),
                "while taking %zu bytes of the card for weights", total);
    TN_TRY(card->backend->card->stream_new(card, &stream));
    tn_status status = copy_constants(engine, stream, offset, wanted);
    card->backend->card->stream_free(stream);
    return status;
}

/* ---- Segments --------------------------------------------------------------------------------*/

bool tn_step_is_card(const tn_plan *plan, const tn_plan_step *step)
{
    if (step->kind != TN_STEP_COPY) return step->card;
    return plan->tensor[step->in[0]].card || plan->tensor[step->out[0]].card;
}

static bool joins(const tn_context *context, const tn_resolved *r, int32_t i)
{
    return tn_step_is_card(context->plan, &context->plan->step[i]) && !r->step[i].bounce;
}

/* Which steps write one thing, in the block, that the next step alone reads. */
static tn_status find_hidden(const tn_plan *plan, tn_resolved *r)
{
    int32_t *readers = TN_NEW_ARRAY(&r->arena, int32_t, plan->tensor_count);
    r->hidden = TN_NEW_ARRAY(&r->arena, bool, plan->step_count);
    TN_CHECK(readers && r->hidden, TN_OUT_OF_MEMORY, "no memory for a shape");
    for (int32_t i = 0; i < plan->step_count; i++)
        for (int32_t k = 0; k < plan->step[i].in_count; k++)
            if (plan->step[i].in[k] >= 0) readers[tn_plan_root(plan, plan->step[i].in[k])]++;
    for (int32_t i = 0; i + 1 < plan->step_count; i++) {
        const tn_plan_step *step = &plan->step[i], *next = &plan->step[i + 1];
        if (step->kind != TN_STEP_LAUNCH || step->out_count < 1 || step->out[0] < 0) continue;
        int32_t root = tn_plan_root(plan, step->out[0]);
        r->hidden[i] = readers[root] == 1 && plan->tensor[root].place == TN_PLACE_BLOCK &&
                       next->kind == TN_STEP_LAUNCH && next->in_count > 0 && next->in[0] >= 0 &&
                       tn_plan_root(plan, next->in[0]) == root;
        for (int32_t k = 1; k < step->out_count; k++)
            if (step->out[k] >= 0) r->hidden[i] = false;
    }
    return NULL;
}

tn_status tn_context_find_segments(tn_context *context, tn_resolved *r)
{
    const tn_plan *plan = context->plan;
    r->segment = TN_NEW_ARRAY(&r->arena, tn_segment, (int64_t)plan->step_count / 2 + 1);
    TN_CHECK(r->segment, TN_OUT_OF_MEMORY, "no memory for a shape");
    TN_TRY(find_hidden(plan, r));
    for (int32_t i = 0; i < plan->step_count;) {
        int32_t first = i;
        while (i < plan->step_count && joins(context, r, i)) i++;
        if (i > first) r->segment[r->segment_count++] = (tn_segment){.first = first, .end = i};
        else i++;
    }
    return NULL;
}

void tn_resolved_free_segments(const tn_context *context, tn_resolved *r)
{
    for (int32_t i = 0; i < r->segment_count; i++)
        if (r->segment[i].recording) calls_of(context)->record_free(r->segment[i].recording);
}

/* Launches from step `first` on that the card does as one. */
static tn_status run_together(tn_context *context, const tn_segment *s, int32_t first,
                              int32_t *taken)
{
    enum { LAUNCHES_MAX = 32 };
    const tn_launch *launch[LAUNCHES_MAX];
    const tn_resolved *r = context->now;
    uint64_t hidden = 0;
    int count = 0, done = 0;
    *taken = 0;
    if (!calls_of(context)->together) return NULL;
    while (count < LAUNCHES_MAX && first + count < s->end &&
           context->plan->step[first + count].kind == TN_STEP_LAUNCH &&
           !r->step[first + count].bounce) {
        hidden |= (uint64_t)r->hidden[first + count] << count;
        launch[count] = &r->step[first + count].launch;
        count++;
    }
    if (count < 2) return NULL;
    TN_TRY_NOTE(calls_of(context)->together(context->stream, launch, count, hidden, &done),
                "while running steps %d to %d of %d together", first + 1, first + count,
                context->plan->step_count);
    *taken = done;
    if (done) tn_log(TN_LOG_INFO, "steps %d to %d run as one launch", first + 1, first + done);
    return NULL;
}

/* The host does a step of the card from now on, if it can. */
static bool leave_to_host(tn_context *context, int32_t index)
{
    const tn_plan_step *step = &context->plan->step[index];
    tn_step_state *state = &context->now->step[index];
    for (int32_t k = 0; k < step->choice_count && !state->bounce; k++) {
        const tn_tactic *t = step->choice[k].found;
        if (!t || tn_tactic_is_of(t, context->engine->card->backend)) continue;
        if (t->accepts && t->accepts(&state->problem)) continue;
        state->tactic = t;
        state->bounce = true;
        tn_log(TN_LOG_WARNING,
               "%s '%s' is left to the host at these shapes: its kernel cannot be made here",
               step->op, step->name);
    }
    return state->bounce;
}

static tn_status foresee(tn_context *context, tn_arena *arena, tn_card_codes *codes)
{
    const tn_plan *plan = context->plan;
    tn_resolved *r = context->now;
    int64_t count = 0;
    bool left = false;
    tn_card_work *work = TN_NEW_ARRAY(arena, tn_card_work, plan->step_count);
    int32_t *step = TN_NEW_ARRAY(arena, int32_t, plan->step_count);
    TN_CHECK(work && step, TN_OUT_OF_MEMORY, "no memory to look ahead");
    for (int32_t i = 0; i < plan->step_count; i++) {
        if (plan->step[i].kind != TN_STEP_LAUNCH || !plan->step[i].card || r->step[i].bounce)
            continue;
        step[count] = i;
        work[count++] = (tn_card_work){r->step[i].tactic, &r->step[i].launch, false};
    }
    TN_TRY(calls_of(context)->foresee(context->engine->card, work, count, context->engine->pool,
                                      codes));
    for (int64_t i = 0; i < count; i++)
        if (work[i].missing) left |= leave_to_host(context, step[i]);
    if (!left) return NULL;
    r->segment_count = 0; /* the host's steps stand between others now */
    return tn_context_find_segments(context, r);
}

/* All kernels at once: one by one they would be compiled when their turn comes. */
tn_status tn_context_foresee(tn_context *context, tn_card_codes *codes)
{
    tn_arena arena;
    if (!context->stream || (context->now->foreseen && !codes)) return NULL;
    context->now->foreseen = true;
    if (!calls_of(context)->foresee) return NULL;
    tn_arena_init(&arena);
    tn_status status = foresee(context, &arena, codes);
    tn_arena_fini(&arena);
    return status;
}

tn_status tn_exec_context_foresee(tn_context *context, tn_card_codes *codes)
{
    if (!context->stream) return NULL;
    TN_TRY(tn_context_shapes(context));
    TN_TRY(tn_context_patch(context));
    return tn_context_foresee(context, codes);
}

static tn_status run_each(tn_context *context, const tn_segment *s)
{
    for (int32_t i = s->first; i < s->end; i++) {
        const tn_plan_step *step = &context->plan->step[i];
        int32_t taken;
        TN_TRY(run_together(context, s, i, &taken));
        if (taken) {
            i += taken - 1;
            continue;
        }
        tn_context_range(context, step->name);
        tn_status status = tn_step_run_card(context, i);
        tn_context_range(context, NULL);
        TN_TRY_NOTE(status, "while running step %d of %d, %s '%s'", i + 1,
                    context->plan->step_count, step->op, step->name);
    }
    return NULL;
}

/* What cannot be recorded is run step by step, for good. */
static tn_status record_own(tn_context *context, tn_segment *s)
{
    const tn_card_calls *calls = calls_of(context);
    TN_TRY(calls->record_begin(context->stream));
    tn_status status = run_each(context, s);
    if (status) {
        calls->record_end(context->stream, NULL);
        tn_log(TN_LOG_INFO, "steps %d to %d cannot be recorded: %s", s->first + 1, s->end,
               tn_status_message(status));
        return NULL;
    }
    return calls->record_end(context->stream, &s->recording);
}

/* Nothing is recorded on a queue of the caller's, who may put other work there meanwhile. */
static tn_status record(tn_context *context, tn_segment *s)
{
    const tn_card_calls *calls = calls_of(context);
    if (context->queue) calls->stream_use(context->stream, NULL);
    tn_status status = record_own(context, s);
    if (context->queue) calls->stream_use(context->stream, context->queue);
    return status;
}

tn_status tn_segment_run(tn_context *context, tn_segment *s)
{
    enum { RECORD_AT = 1, GIVEN_UP = 3 };
    uint64_t generation = context->now->generation;
    if (s->generation != generation) {
        if (s->recording) calls_of(context)->record_free(s->recording);
        s->recording = NULL;
        s->generation = generation;
        s->runs = 0;
    }
    if (!s->recording && s->runs >= RECORD_AT && s->runs < GIVEN_UP) TN_TRY(record(context, s));
    if (s->runs < GIVEN_UP) s->runs++;
    context->card_busy = true;
    if (context->measuring && !context->marked) {
        TN_TRY(calls_of(context)->mark(context->stream, 0));
        context->marked = true;
    }
    TN_TRY(s->recording ? calls_of(context)->replay(context->stream, s->recording)
                        : run_each(context, s));
    return context->measuring ? calls_of(context)->mark(context->stream, 1) : NULL;
}

/* ---- Bindings on the card --------------------------------------------------------------------*/

tn_status tn_exec_context_bind_device(tn_context *context, const char *name,
                                      const tn_tensor *tensor)
{
    const tn_plan *plan = context->plan;
    tn_binding *binding = NULL;
    bool fresh;
    if (!context->stream) return tn_exec_context_bind(context, name, tensor);
    for (int32_t i = 0; i < plan->input_count; i++)
        if (!strcmp(plan->input[i].name, name)) {
            binding = &context->input[i];
            TN_CHECK(plan->tensor[plan->input[i].tensor].dtype == tensor->dtype, TN_INVALID,
                     "'%s' is given on the card as %s, but must be %s", name,
                     tn_dtype_name(tensor->dtype),
                     tn_dtype_name(plan->tensor[plan->input[i].tensor].dtype));
            TN_CHECK(!plan->tensor[plan->input[i].tensor].dynamic, TN_UNSUPPORTED,
                     "'%s' must be given in the host's memory: its shape steers a run", name);
        }
    for (int32_t i = 0; i < plan->output_count; i++)
        if (!strcmp(plan->output[i].name, name)) {
            binding = &context->output[i];
            TN_CHECK(!plan->tensor[plan->output[i].tensor].dynamic, TN_UNSUPPORTED,
                     "'%s' must be given in the host's memory: only a run tells its shape", name);
        }
    TN_CHECK(tn_tensor_is_dense(tensor), TN_INVALID, "'%s' is given on the card with strides",
             name);
    fresh = !binding || !binding->on_card || binding->given.data != tensor->data;
    uint64_t before = context->generation;
    TN_TRY(tn_exec_context_bind(context, name, tensor));
    binding->on_card = true;
    context->generation = before + fresh; /* the same memory again: recordings stay good */
    return NULL;
}

tn_status tn_context_move(tn_context *context, void *to, const void *from, const tn_tensor *type)
{
    TN_TRY(calls_of(context)->copy(context->stream, to, from, (size_t)tn_tensor_bytes(type)));
    return calls_of(context)->wait(context->stream);
}

/* Small tensors are read and written by the kernels where the host has them: that is faster than a
 * copy on either side of them. */
enum { SHARED_IN_BYTES = 16 << 10, SHARED_OUT_BYTES = 64 << 10 };

void *tn_stand_in_data(const tn_context *context, int32_t stand_in, const tn_tensor *at)
{
    int64_t bytes = tn_tensor_bytes(at);
    if (!stand_in || !bytes) return NULL;
    const tn_binding *b =
        stand_in > 0 ? &context->input[stand_in - 1] : &context->output[-stand_in - 1];
    if (b->on_card) return b->given.data;
    return bytes <= (stand_in > 0 ? SHARED_IN_BYTES : SHARED_OUT_BYTES) ? b->own.at : NULL;
}

/* What the card's copy of an input is made from, and what is only made to be copied to an output. A
 * tensor that other steps read too would be read back over the bus. */
tn_status tn_context_find_stand_ins(tn_context *context, tn_resolved *r)
{
    const tn_plan *plan = context->plan;
    int32_t *readers = TN_NEW_ARRAY(&r->arena, int32_t, plan->tensor_count);
    r->stand_in = TN_NEW_ARRAY(&r->arena, int32_t, plan->tensor_count);
    r->host_reads = TN_NEW_ARRAY(&r->arena, bool, plan->input_count);
    r->card_writes = TN_NEW_ARRAY(&r->arena, bool, plan->output_count);
    TN_CHECK(readers && r->stand_in && r->host_reads && r->card_writes, TN_OUT_OF_MEMORY,
             "no memory for a shape");
    for (int32_t i = 0; i < plan->step_count; i++)
        for (int32_t k = 0; k < plan->step[i].in_count; k++) {
            if (plan->step[i].in[k] < 0) continue;
            int32_t root = tn_plan_root(plan, plan->step[i].in[k]);
            readers[root]++;
            /* A view of an input is copied from the host's memory too. */
            if (plan->tensor[root].place == TN_PLACE_INPUT &&
                (!tn_step_is_card(plan, &plan->step[i]) || plan->step[i].in[k] != root))
                r->host_reads[plan->tensor[root].index] = true;
        }
    for (int32_t i = 0; i < plan->step_count; i++) {
        const tn_plan_step *s = &plan->step[i];
        if (s->kind != TN_STEP_COPY) continue;
        const tn_plan_tensor *from = &plan->tensor[s->in[0]], *to = &plan->tensor[s->out[0]];
        if (from->place == TN_PLACE_INPUT && to->card && to->dtype != TN_DTYPE_STRING)
            r->stand_in[s->out[0]] = from->index + 1;
        if (from->card && to->place == TN_PLACE_OUTPUT) r->card_writes[to->index] = true;
        int32_t root = tn_plan_root(plan, s->in[0]);
        if (from->card && to->place == TN_PLACE_OUTPUT && readers[root] == 1 &&
            plan->tensor[root].place == TN_PLACE_BLOCK && !r->stand_in[root])
            r->stand_in[root] = -to->index - 1;
    }
    return NULL;
}

/* ---- Time ------------------------------------------------------------------------------------*/

tn_status tn_context_mark(tn_context *context, int which)
{
    return calls_of(context)->mark(context->stream, which);
}

tn_status tn_context_elapsed(tn_context *context, double *ns)
{
    return calls_of(context)->elapsed_ns(context->stream, ns);
}

void tn_exec_context_measure(tn_context *context, bool on)
{
    context->measuring = on;
    context->device_ns = -1;
}

double tn_exec_context_device_ns(const tn_context *context)
{
    return context->device_ns;
}

tn_status tn_context_read_marks(tn_context *context)
{
    if (!context->measuring) return NULL;
    if (context->marked) return calls_of(context)->elapsed_ns(context->stream, &context->device_ns);
    context->device_ns = (double)(tn_clock_ns() - context->begun);
    return NULL;
}

/* ---- Steps -----------------------------------------------------------------------------------*/

static tn_status copy_between(tn_context *context, int32_t index)
{
    const tn_problem *p = &context->now->step[index].problem;
    int32_t input = context->now->stand_in[context->plan->step[index].out[0]] - 1;
    int64_t bytes = tn_tensor_bytes(&p->in[0]);
    bool there = input >= 0 && context->input[input].on_card;
    if (there || p->out[0].data == p->in[0].data) return NULL;
    return calls_of(context)->copy(context->stream, p->out[0].data, p->in[0].data, (size_t)bytes);
}

static size_t place(size_t *total, const tn_tensor *t)
{
    size_t at = *total;
    *total += tn_align_up((size_t)tn_tensor_bytes(t), TN_ALIGNMENT);
    return at;
}

/* The host's reference does a step of the card at shapes that no kernel takes: what it reads comes
 * over, what it writes goes back. */
static tn_status run_bounce(tn_context *context, int32_t index)
{
    const tn_plan *plan = context->plan;
    const tn_plan_step *step = &plan->step[index];
    const tn_step_state *state = &context->now->step[index];
    const tn_card_calls *calls = calls_of(context);
    tn_problem p = state->problem;
    size_t total = 0, scratch = state->tactic->scratch_bytes ? state->tactic->scratch_bytes(&p) : 0;
    tn_launch l = {.problem = &p, .pool = state->launch.pool, .text = state->launch.text};
    p.in = TN_NEW_ARRAY(&context->run_arena, tn_tensor, p.in_count);
    p.out = TN_NEW_ARRAY(&context->run_arena, tn_tensor, p.out_count);
    size_t *at = TN_NEW_ARRAY(&context->run_arena, size_t, p.in_count + p.out_count);
    TN_CHECK(p.in && p.out && at, TN_OUT_OF_MEMORY, "no memory to run a step on the host");
    memcpy(p.in, state->problem.in, sizeof(*p.in) * (size_t)p.in_count);
    memcpy(p.out, state->problem.out, sizeof(*p.out) * (size_t)p.out_count);
    for (int32_t k = 0; k < p.in_count; k++) at[k] = place(&total, &p.in[k]);
    for (int32_t k = 0; k < p.out_count; k++) at[p.in_count + k] = place(&total, &p.out[k]);
    TN_TRY(tn_buffer_grow(&context->scratch, total + scratch, "a step on the host"));
    char *base = context->scratch.at;
    for (int32_t k = 0; k < p.in_count; k++) {
        if (step->in[k] < 0) continue;
        const tn_plan_tensor *t = &plan->tensor[step->in[k]];
        const void *from = p.in[k].data;
        if (t->place == TN_PLACE_CONSTANT) {
            p.in[k].data = plan->constant[t->index].data;
            continue;
        }
        if (!from) continue;
        p.in[k].data = base + at[k];
        TN_TRY(calls->copy(context->stream, base + at[k], from, (size_t)tn_tensor_bytes(&p.in[k])));
    }
    TN_TRY(calls->wait(context->stream));
    for (int32_t k = 0; k < p.out_count; k++)
        if (step->out[k] >= 0) p.out[k].data = base + at[p.in_count + k];
    l.scratch = scratch ? base + total : NULL;
    TN_TRY(state->tactic->launch(&l));
    for (int32_t k = 0; k < p.out_count; k++)
        if (step->out[k] >= 0)
            TN_TRY(calls->copy(context->stream, state->problem.out[k].data, p.out[k].data,
                               (size_t)tn_tensor_bytes(&p.out[k])));
    return calls->wait(context->stream);
}

tn_status tn_step_run_card(tn_context *context, int32_t index)
{
    const tn_step_state *state = &context->now->step[index];
    context->card_busy = true;
    if (context->plan->step[index].kind == TN_STEP_COPY) return copy_between(context, index);
    if (!state->bounce) return state->tactic->launch(&state->launch);
    tn_status status = run_bounce(context, index);
    tn_arena_rewind(&context->run_arena);
    return status;
}
