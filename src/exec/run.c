/* Running: inputs in, step after step, outputs out.
 *
 * A step whose shapes follow from the input shapes was prepared when they were first seen; all that
 * is left is to launch it. A step with run-time shapes is prepared here, just before it runs: its
 * inputs are computed by now, so either the expressions give its output shapes, or its tactic's
 * `resolve` finds them from data, and what it finds binds the run-time symbols for all that
 * follows.
 */
#include <inttypes.h>
#include <string.h>

#include "base/cpu.h"
#include "base/log.h"
#include "exec/context.h"
#include "tensor/tensor.h"

static void *or_nothing(void *at)
{
    return at ? at : tn_buffer_nothing();
}

static tn_status copy_dense(const tn_tensor *src, const tn_tensor *dst)
{
    int64_t bytes = tn_tensor_bytes(src);
    if (bytes > 0 && dst->data != src->data) memcpy(dst->data, src->data, (size_t)bytes);
    return NULL;
}

/* ---- Inputs ----------------------------------------------------------------------------------*/

static tn_status check_bound(const tn_context *context)
{
    const tn_plan *plan = context->plan;
    for (int32_t i = 0; i < plan->input_count; i++)
        TN_CHECK(context->input[i].bound, TN_INVALID,
                 "input '%s' has a shape but no data: bind memory to it", plan->input[i].name);
    return NULL;
}

static tn_status copy_inputs(tn_context *context)
{
    const tn_plan *plan = context->plan;
    for (int32_t i = 0; i < plan->input_count; i++) {
        const tn_binding *input = &context->input[i];
        const tn_tensor *at = &context->now->at[plan->input[i].tensor];
        if (plan->tensor[plan->input[i].tensor].kind != TN_PLAN_TENSOR) continue;
        if (input->direct || tn_tensor_count(at) == 0) continue;
        if (input->on_card) {
            if (context->now->host_reads[i])
                TN_TRY(tn_context_move(context, at->data, input->given.data, at));
            continue;
        }
        if (input->given.dtype == at->dtype)
            TN_TRY_NOTE(tn_tensor_copy(&input->given, at), "while copying input '%s'",
                        plan->input[i].name);
        else
            TN_TRY_NOTE(tn_tensor_convert(&input->given, at), "while converting input '%s'",
                        plan->input[i].name);
    }
    return NULL;
}

/* ---- Steps with run-time shapes --------------------------------------------------------------*/

/* Shape and data of a run-time tensor that a step is about to read. */
static tn_status refresh(tn_context *context, int32_t tensor)
{
    const tn_plan *plan = context->plan;
    const tn_plan_tensor *t = &plan->tensor[tensor];
    tn_resolved *r = context->now;
    char text[256];
    bool known;
    if (!t->dynamic || t->place != TN_PLACE_ALIAS) return NULL;
    const tn_tensor *root = &r->at[tn_plan_root(plan, tensor)];
    TN_TRY(tn_resolved_evaluate(plan, r));
    TN_TRY(tn_resolved_type(plan, r, tensor, &r->at[tensor], &known));
    TN_CHECK(known && tn_tensor_count(&r->at[tensor]) == tn_tensor_count(root), TN_INVALID,
             "a tensor of %" PRId64 " elements cannot be viewed as %s", tn_tensor_count(root),
             tn_plan_type_text(plan, tensor, text, sizeof(text)));
    r->at[tensor].data = root->data;
    return NULL;
}

/* Nothing may have written a tensor whose data no tactic reads; its shape can be asked for all the
 * same. */
static tn_status shape_of_unused(tn_context *context, int32_t tensor, tn_tensor *out)
{
    const tn_plan *plan = context->plan;
    bool known = false;
    if (plan->tensor[tensor].dynamic) {
        TN_TRY(tn_resolved_evaluate(plan, context->now));
        TN_TRY(tn_resolved_type(plan, context->now, tensor, out, &known));
    }
    if (!known) *out = context->now->at[tensor];
    out->data = NULL;
    return NULL;
}

static tn_status bind_symbols(tn_context *context, int32_t tensor, const tn_tensor *found)
{
    const tn_plan *plan = context->plan;
    tn_resolved *r = context->now;
    for (int32_t i = 0; i < plan->symbol_count; i++) {
        const tn_plan_symbol *s = &plan->symbol[i];
        if (s->input >= 0 || s->tensor != tensor) continue;
        if (r->value[s->expr] == found->dim[s->axis]) continue;
        r->value[s->expr] = found->dim[s->axis];
        r->stale = true;
    }
    return NULL;
}

/* What resolve found, against what the plan knew before. */
static tn_status check_found(const tn_plan *plan, const tn_plan_step *step, int32_t tensor,
                             const tn_tensor *before, const tn_tensor *found)
{
    char got[128], want[256];
    bool fits = found->dtype == before->dtype && found->rank >= 0 && found->rank <= TN_RANK_MAX &&
                (before->rank < 0 || before->rank == found->rank);
    for (int axis = 0; fits && axis < found->rank; axis++)
        fits = found->dim[axis] >= 0 &&
               (before->rank < 0 || before->dim[axis] < 0 || before->dim[axis] == found->dim[axis]);
    TN_CHECK(fits && tn_tensor_bytes(found) >= 0, TN_INVALID,
             "%s '%s' gives %s, where the plan has %s", step->op, step->name,
             tn_tensor_type_text(found, got, sizeof(got)),
             tn_plan_type_text(plan, tensor, want, sizeof(want)));
    return NULL;
}

static tn_status resolve_by_data(tn_context *context, const tn_plan_step *step, tn_problem *p)
{
    const tn_plan *plan = context->plan;
    TN_TRY(tn_step_check_constants(context, step, p, NULL));
    for (int32_t k = 0; k < step->choice_count; k++) {
        const tn_tactic *tactic = step->choice[k].found;
        if (!tactic || !tactic->resolve) continue;
        tn_tensor *before = TN_NEW_ARRAY(&context->run_arena, tn_tensor, p->out_count);
        TN_CHECK(before, TN_OUT_OF_MEMORY, "no memory to resolve a shape");
        memcpy(before, p->out, sizeof(*before) * (size_t)p->out_count);
        TN_TRY(tactic->resolve(p, &context->run_arena));
        for (int32_t i = 0; i < p->out_count; i++) {
            if (step->out[i] < 0) {
                p->out[i] = (tn_tensor){0};
                continue;
            }
            TN_TRY(check_found(plan, step, step->out[i], &before[i], &p->out[i]));
            p->out[i].data = before[i].data;
            tn_tensor_set_dense(&p->out[i]);
            TN_TRY(bind_symbols(context, step->out[i], &p->out[i]));
        }
        return NULL;
    }
    TN_FAIL(TN_UNSUPPORTED, "%s '%s': no tactic finds out the shape of its outputs from data",
            step->op, step->name);
}

static tn_status give_memory(tn_context *context, int32_t tensor, tn_tensor *out)
{
    tn_buffer *buffer = &context->slot_buffer[context->slot[tensor]];
    size_t bytes = (size_t)tn_tensor_bytes(out);
    /* Sizes change from run to run here: some room to spare saves growing at each. */
    if (bytes > buffer->bytes)
        TN_TRY(tn_buffer_grow(buffer, bytes + bytes / 4 + TN_ALIGNMENT,
                              "a tensor with a run-time shape"));
    out->data = or_nothing(buffer->at);
    context->now->at[tensor] = *out;
    return NULL;
}

tn_status tn_step_give(tn_context *context, const tn_plan_step *step, int32_t k,
                       const tn_tensor *found, tn_tensor *out)
{
    const tn_plan *plan = context->plan;
    int32_t t = step->out[k];
    tn_tensor before;
    bool known;
    char want[256], got[128];
    TN_TRY(tn_resolved_evaluate(plan, context->now));
    TN_TRY(tn_resolved_type(plan, context->now, t, &before, &known));
    TN_TRY(check_found(plan, step, t, &before, found));
    *out = *found;
    tn_tensor_set_dense(out);
    if (plan->tensor[t].dynamic) {
        TN_TRY(bind_symbols(context, t, out));
        return give_memory(context, t, out);
    }
    *out = context->now->at[t];
    TN_CHECK(known && tn_tensor_same_shape(out, found), TN_INVALID, "%s '%s' gives %s, not %s",
             step->op, step->name, tn_tensor_type_text(found, got, sizeof(got)),
             tn_plan_type_text(plan, t, want, sizeof(want)));
    return NULL;
}

tn_status tn_context_keep_text(tn_context *context, const tn_tensor *from, tn_tensor *out)
{
    int64_t count = tn_tensor_count(from);
    *out = *from;
    if (from->dtype != TN_DTYPE_STRING || count <= 0) return NULL;
    TN_CHECK(tn_tensor_is_dense(from), TN_UNSUPPORTED, "strings with strides cannot be carried");
    tn_string *text = TN_NEW_ARRAY(&context->text, tn_string, count);
    TN_CHECK(text, TN_OUT_OF_MEMORY, "no memory for %" PRId64 " strings", count);
    for (int64_t i = 0; i < count; i++) {
        const tn_string *src = (const tn_string *)from->data + i;
        text[i].bytes = src->bytes;
        text[i].text = tn_arena_text(&context->text, src->bytes ? src->text : "", src->bytes);
        TN_CHECK(text[i].text, TN_OUT_OF_MEMORY, "no memory for %zu characters", src->bytes);
    }
    out->data = text;
    return NULL;
}

tn_status tn_step_read(tn_context *context, const tn_plan_step *step, tn_problem *p)
{
    for (int32_t k = 0; k < step->in_count; k++) {
        if (step->in[k] < 0) continue;
        if (context->plan->tensor[step->in[k]].kind != TN_PLAN_TENSOR) continue;
        TN_TRY(refresh(context, step->in[k]));
        p->in[k] = context->now->at[step->in[k]];
    }
    return NULL;
}

static tn_status prepare_inputs(tn_context *context, const tn_plan_step *step, tn_problem *p)
{
    for (int32_t k = 0; k < step->in_count; k++) {
        if (step->in[k] < 0) continue;
        bool unused = k < 64 && (step->in_unused >> k & 1);
        if (unused) {
            TN_TRY(shape_of_unused(context, step->in[k], &p->in[k]));
            continue;
        }
        TN_TRY(refresh(context, step->in[k]));
        p->in[k] = context->now->at[step->in[k]];
    }
    return NULL;
}

static tn_status prepare_outputs(tn_context *context, const tn_plan_step *step, tn_problem *p)
{
    const tn_plan *plan = context->plan;
    bool all_known = true;
    TN_TRY(tn_resolved_evaluate(plan, context->now));
    for (int32_t k = 0; k < step->out_count; k++) {
        bool known = true;
        int32_t t = step->out[k];
        p->out[k] = (tn_tensor){0};
        if (t < 0) continue;
        if (plan->tensor[t].dynamic)
            TN_TRY(tn_resolved_type(plan, context->now, t, &p->out[k], &known));
        else p->out[k] = context->now->at[t];
        all_known &= known;
    }
    if (step->kind == TN_STEP_COPY) {
        void *data = p->out[0].data;
        p->out[0] = p->in[0];
        p->out[0].data = data;
    } else if (!all_known) {
        TN_TRY(resolve_by_data(context, step, p));
    } else if (step->kind == TN_STEP_LAUNCH) {
        TN_TRY(tn_step_check(context, step, p));
    }
    for (int32_t k = 0; k < step->out_count; k++)
        if (step->out[k] >= 0 && plan->tensor[step->out[k]].dynamic)
            TN_TRY(give_memory(context, step->out[k], &p->out[k]));
    return NULL;
}

static tn_status prepare_dynamic(tn_context *context, int32_t index)
{
    const tn_plan_step *step = &context->plan->step[index];
    tn_step_state *state = &context->now->step[index];
    tn_problem *p = &state->problem;
    const tn_plan_choice *choice;
    TN_TRY(prepare_inputs(context, step, p));
    tn_status status = prepare_outputs(context, step, p);
    tn_arena_rewind(&context->run_arena);
    TN_TRY(status);
    if (step->kind != TN_STEP_LAUNCH) return NULL;
    TN_TRY(tn_step_choose(context, step, p, &choice));
    state->tactic = choice->found;
    state->launch.packed =
        choice->packed >= 0 ? context->plan->constant[choice->packed].data : NULL;
    size_t scratch = choice->found->scratch_bytes ? choice->found->scratch_bytes(p) : 0;
    TN_TRY(tn_buffer_grow(&context->scratch, scratch, "scratch"));
    state->launch.scratch = context->scratch.at;
    return NULL;
}

/* ---- Steps -----------------------------------------------------------------------------------*/

static tn_status write_dims(tn_context *context, const tn_plan_step *step)
{
    const tn_plan *plan = context->plan;
    tn_resolved *r = context->now;
    const tn_tensor *out = &r->at[step->out[0]];
    TN_TRY(tn_resolved_evaluate(plan, r));
    TN_CHECK(tn_tensor_count(out) == step->dims_count, TN_CORRUPT,
             "the plan has %d dims for %" PRId64 " elements", step->dims_count,
             tn_tensor_count(out));
    for (int32_t k = 0; k < step->dims_count; k++) {
        int64_t value = r->value[step->dims[k]];
        TN_CHECK(value != TN_EXPR_UNKNOWN, TN_CORRUPT, "the plan uses a size before it is known");
        tn_store_i64(out->dtype, out->data, k, value);
    }
    return NULL;
}

static tn_status run_step(tn_context *context, int32_t index)
{
    const tn_plan_step *step = &context->plan->step[index];
    tn_step_state *state = &context->now->step[index];
    switch (step->kind) {
    case TN_STEP_IF:
    case TN_STEP_LOOP:
    case TN_STEP_SCAN:
    case TN_STEP_MAP: return tn_step_run_control(context, index);
    case TN_STEP_SEQUENCE: return tn_step_run_sequence(context, index);
    case TN_STEP_COPY:
        if (context->plan->tensor[step->in[0]].kind != TN_PLAN_TENSOR)
            return tn_list_copy(context->list_at[step->in[0]], &context->list[step->out[0]]);
        break;
    default: break;
    }
    if (context->step_dynamic[index]) TN_TRY(prepare_dynamic(context, index));
    if (context->stream && tn_step_is_card(context->plan, step))
        return tn_step_run_card(context, index);
    switch (step->kind) {
    case TN_STEP_LAUNCH: return state->tactic->launch(&state->launch);
    case TN_STEP_DIMS: return write_dims(context, step);
    case TN_STEP_COPY: return copy_dense(&state->problem.in[0], &state->problem.out[0]);
    default: break;
    }
    TN_FAIL(TN_INTERNAL, "a step of kind %d", (int)step->kind);
}

static tn_status note_step(const tn_context *context, int32_t index, tn_status status)
{
    const tn_plan *plan = context->plan;
    const tn_plan_step *step = &plan->step[index];
    const tn_tactic *tactic = context->now->step[index].tactic;
    return tn_status_note(status, "while running step %d of %d, %s '%s'%s%s", index + 1,
                          plan->step_count, step->op, step->name, tactic ? " by " : "",
                          tactic ? tactic->name : "");
}

/* A step took so long. */
static void tell_step(tn_context *context, int32_t index, uint64_t begin, uint64_t ns)
{
    tn_step_time time;
    if (context->summing) {
        context->step_ns[index] += ns;
        context->step_runs[index]++;
    }
    if (!context->profiler || tn_exec_context_step_time(context, index, &time)) return;
    tn_step_event event = {.index = index,
                           .name = time.name,
                           .op = context->plan->step[index].op,
                           .tactic = time.tactic,
                           .begin_ms = (double)(begin - context->run_begun) / 1e6,
                           .ms = (double)ns / 1e6};
    context->profiler(context->profiler_self, &event);
}

static tn_status run_steps(tn_context *context)
{
    if (context->profiling) context->run_begun = tn_clock_ns();
    int32_t count = context->plan->step_count;
    const tn_resolved *r = context->now;
    int32_t next = 0; /* segment */
    for (int32_t i = 0; i < count; i++) {
        if (!context->profiling && next < r->segment_count && r->segment[next].first == i) {
            TN_TRY(tn_segment_run(context, &r->segment[next]));
            i = r->segment[next++].end - 1;
            continue;
        }
        if (context->watch) TN_TRY(tn_watch_look(context->watch));
        if (!tn_step_is_card(context->plan, &context->plan->step[i]))
            TN_TRY(tn_context_drain(context));
        uint64_t begin = context->profiling ? tn_clock_ns() : 0;
        bool timed = context->profiling && tn_step_is_card(context->plan, &context->plan->step[i]);
        if (timed) TN_TRY(tn_context_mark(context, 0));
        tn_status status = run_step(context, i);
        if (!status && timed) status = tn_context_mark(context, 1);
        if (status)
            return note_step(context, i, tn_status_trail(status, __FILE__, __LINE__, __func__));
        if (!context->profiling) continue;
        double card_ns = 0;
        if (timed) TN_TRY(tn_context_elapsed(context, &card_ns));
        tell_step(context, i, begin, timed ? (uint64_t)card_ns : tn_clock_ns() - begin);
    }
    return NULL;
}

/* ---- Outputs ---------------------------------------------------------------------------------*/

static tn_status copy_outputs(tn_context *context)
{
    const tn_plan *plan = context->plan;
    char got[128], want[128];
    for (int32_t i = 0; i < plan->output_count; i++) {
        const tn_binding *output = &context->output[i];
        int32_t tensor = plan->output[i].tensor;
        const tn_tensor *at = &context->now->at[tensor];
        if (plan->tensor[tensor].kind != TN_PLAN_TENSOR) continue;
        TN_TRY(refresh(context, tensor));
        bool direct = output->direct && !plan->tensor[tensor].dynamic;
        if (!output->bound || direct) continue;
        TN_CHECK(tn_tensor_same_shape(&output->given, at), TN_INVALID,
                 "output '%s' is given memory for %s, but came out as %s", plan->output[i].name,
                 tn_tensor_type_text(&output->given, got, sizeof(got)),
                 tn_tensor_type_text(at, want, sizeof(want)));
        if (tn_tensor_count(at) == 0) continue;
        if (output->on_card) TN_TRY(tn_context_move(context, output->given.data, at->data, at));
        else TN_TRY(tn_tensor_copy(at, &output->given));
    }
    return NULL;
}

/* Inputs with run-time shapes are here: they bind symbols like a step that has run. */
static tn_status bind_dynamic_inputs(tn_context *context)
{
    const tn_plan *plan = context->plan;
    char want[256], got[128];
    for (int32_t i = 0; i < plan->input_count; i++) {
        int32_t tensor = plan->input[i].tensor;
        const tn_plan_tensor *t = &plan->tensor[tensor];
        tn_tensor *at = &context->now->at[tensor];
        bool known, fits = true;
        tn_tensor declared;
        if (!t->dynamic || t->kind != TN_PLAN_TENSOR) continue;
        const tn_tensor *given = &context->input[i].given;
        at->rank = given->rank;
        memcpy(at->dim, given->dim, sizeof(at->dim));
        tn_tensor_set_dense(at);
        if (t->rank < 0) continue;
        TN_TRY(bind_symbols(context, tensor, at));
        TN_TRY(tn_resolved_evaluate(plan, context->now));
        TN_TRY(tn_resolved_type(plan, context->now, tensor, &declared, &known));
        for (int axis = 0; axis < t->rank; axis++)
            fits &= declared.dim[axis] < 0 || declared.dim[axis] == at->dim[axis];
        TN_CHECK(fits, TN_INVALID, "input '%s' is given as %s, but it is %s", plan->input[i].name,
                 tn_tensor_type_text(at, got, sizeof(got)),
                 tn_plan_type_text(plan, tensor, want, sizeof(want)));
    }
    return NULL;
}

/* With the same pointers as before, and none of the host's: then a run may be put behind one that
 * is not done. */
static bool may_follow(const tn_context *context)
{
    const tn_plan *plan = context->plan;
    const tn_resolved *r = context->now;
    if (!r || r->generation != context->generation || context->dynamic || context->measuring)
        return false;
    for (int32_t i = 0; i < plan->input_count; i++)
        if (!context->input[i].on_card || r->host_reads[i]) return false;
    for (int32_t i = 0; i < plan->output_count; i++)
        if (!context->output[i].on_card || !r->card_writes[i]) return false;
    return true;
}

static tn_status begin_run(tn_context *context)
{
    TN_TRY(tn_context_shapes(context));
    TN_TRY(check_bound(context));
    if (context->dynamic) {
        tn_resolved_forget(context->plan, context->now);
        TN_TRY(bind_dynamic_inputs(context));
    }
    TN_TRY(tn_context_patch(context));
    TN_TRY(tn_context_foresee(context, NULL));
    tn_arena_rewind(&context->text);
    TN_TRY(copy_inputs(context));
    context->begun = context->measuring ? tn_clock_ns() : 0;
    context->marked = false;
    return run_steps(context);
}

void tn_exec_context_keep_denormals(tn_context *context, bool on)
{
    context->keeps_denormals = on;
}

tn_status tn_exec_context_enqueue(tn_context *context, void *queue)
{
    context->ran = false;
    if (context->card_busy && !may_follow(context)) {
        /* Outputs that nobody waited for are delivered all the same. */
        TN_TRY(context->pending ? tn_exec_context_wait(context) : tn_context_drain(context));
        context->ran = false;
    }
    context->pending = false;
    TN_TRY(tn_context_use(context, queue));
    uint64_t mode = tn_float_mode();
    if (!context->keeps_denormals) tn_float_mode_set(tn_float_mode_flushing(mode));
    tn_context_range(context, "tenon run");
    tn_status status = begin_run(context);
    tn_context_range(context, NULL);
    tn_float_mode_set(mode);
    context->pending = !status;
    return status;
}

tn_status tn_exec_context_wait(tn_context *context)
{
    if (!context->pending) return tn_context_drain(context);
    context->pending = false;
    TN_TRY(tn_context_drain(context));
    TN_TRY(tn_context_read_marks(context));
    TN_TRY(copy_outputs(context));
    context->ran = true;
    return NULL;
}

tn_status tn_exec_context_run(tn_context *context)
{
    TN_TRY(tn_exec_context_enqueue(context, NULL));
    return tn_exec_context_wait(context);
}
