/* From input shapes to everything that follows: dims of all tensors, tactics, offsets in the block.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "exec/context.h"
#include "tensor/tensor.h"

const char *tn_plan_type_text(const tn_plan *plan, int32_t tensor, char *dst, size_t dst_bytes)
{
    const tn_plan_tensor *t = &plan->tensor[tensor];
    static const char *const words[] = {"", "sequence of ", "optional ", "optional sequence of "};
    tn_text text = {0};
    tn_text_printf(&text, "%s%s", words[t->kind & 3], tn_dtype_name(t->dtype));
    if (t->rank < 0) tn_text_printf(&text, "[...]");
    for (int axis = 0; axis < t->rank; axis++) {
        tn_text_printf(&text, "%s", axis ? "," : "[");
        tn_expr_print(&plan->exprs, t->dim[axis], &text);
    }
    if (t->rank > 0) tn_text_printf(&text, "]");
    snprintf(dst, dst_bytes, "%s", text.at && !text.failed ? text.at : tn_dtype_name(t->dtype));
    tn_text_fini(&text);
    return dst;
}

/* ---- Values of expressions -------------------------------------------------------------------*/

void tn_resolved_forget(const tn_plan *plan, tn_resolved *r)
{
    for (int32_t i = 0; i < plan->symbol_count; i++)
        if (plan->symbol[i].input < 0) {
            r->value[plan->symbol[i].expr] = TN_EXPR_UNKNOWN;
            r->stale = true;
        }
}

tn_status tn_resolved_evaluate(const tn_plan *plan, tn_resolved *r)
{
    if (!r->stale) return NULL;
    TN_TRY(tn_exprs_evaluate(&plan->exprs, r->value));
    r->stale = false;
    return NULL;
}

tn_status tn_resolved_type(const tn_plan *plan, const tn_resolved *r, int32_t tensor,
                           tn_tensor *out, bool *known)
{
    const tn_plan_tensor *t = &plan->tensor[tensor];
    char text[256];
    *out = (tn_tensor){.dtype = t->dtype, .rank = t->rank};
    *known = t->rank >= 0;
    for (int axis = 0; axis < t->rank; axis++) {
        int64_t dim = t->dim[axis] == TN_EXPR_NONE ? TN_EXPR_UNKNOWN : r->value[t->dim[axis]];
        if (dim == TN_EXPR_UNKNOWN) *known = false;
        TN_CHECK(dim >= 0 || dim == TN_EXPR_UNKNOWN, TN_INVALID,
                 "dim %d of a tensor %s comes out as %" PRId64 " at these input shapes", axis,
                 tn_plan_type_text(plan, tensor, text, sizeof(text)), dim);
        out->dim[axis] = dim == TN_EXPR_UNKNOWN ? -1 : dim;
    }
    if (!*known) return NULL;
    TN_CHECK(tn_tensor_bytes(out) >= 0, TN_INVALID,
             "a tensor %s is larger than any memory at these input shapes",
             tn_plan_type_text(plan, tensor, text, sizeof(text)));
    tn_tensor_set_dense(out);
    return NULL;
}

/* ---- Inputs ----------------------------------------------------------------------------------*/

static const tn_plan_symbol *find_symbol(const tn_plan *plan, tn_expr expr)
{
    for (int32_t i = 0; i < plan->symbol_count; i++)
        if (plan->symbol[i].expr == expr) return &plan->symbol[i];
    return NULL;
}

/* The shape given for input i against what the plan and the other inputs say. */
static tn_status check_input(const tn_context *context, const tn_resolved *r, int32_t i)
{
    const tn_plan *plan = context->plan;
    int32_t tensor = plan->input[i].tensor;
    const tn_plan_tensor *t = &plan->tensor[tensor];
    const tn_tensor *given = &context->input[i].given;
    if (t->dynamic) return NULL; /* when a run begins */
    char want[256], got[128];
    for (int axis = 0; axis < t->rank; axis++) {
        tn_expr expr = t->dim[axis];
        if (expr == TN_EXPR_NONE || r->value[expr] == given->dim[axis]) continue;
        const tn_plan_symbol *symbol = find_symbol(plan, expr);
        tn_tensor_type_text(given, got, sizeof(got));
        tn_plan_type_text(plan, tensor, want, sizeof(want));
        if (symbol && symbol->input >= 0)
            TN_FAIL(TN_INVALID,
                    "input '%s' is given as %s, but it is %s and '%s' is %" PRId64
                    " by dim %d of input '%s': dim %d must be %" PRId64,
                    plan->input[i].name, got, want, symbol->name, r->value[expr], symbol->axis,
                    plan->input[symbol->input].name, axis, r->value[expr]);
        TN_FAIL(TN_INVALID, "input '%s' is given as %s, but it is %s: dim %d must be %" PRId64,
                plan->input[i].name, got, want, axis, r->value[expr]);
    }
    return NULL;
}

/* "x f32[1,7], mask f32[1,5]": for a note. */
static tn_status note_shapes(const tn_context *context, tn_status status)
{
    const tn_plan *plan = context->plan;
    tn_text text = {0};
    char type[128];
    for (int32_t i = 0; i < plan->input_count; i++)
        tn_text_printf(&text, "%s%s %s", i ? ", " : "", plan->input[i].name,
                       context->input[i].given.dtype
                           ? tn_tensor_type_text(&context->input[i].given, type, sizeof(type))
                           : tn_plan_type_text(plan, plan->input[i].tensor, type, sizeof(type)));
    status = tn_status_note(status, "at the input shapes %s", text.at ? text.at : "given");
    tn_text_fini(&text);
    return status;
}

static tn_status resolve_symbols(tn_context *context, tn_resolved *r)
{
    const tn_plan *plan = context->plan;
    r->value = TN_NEW_ARRAY(&r->arena, int64_t, plan->exprs.count);
    TN_CHECK(r->value, TN_OUT_OF_MEMORY, "no memory for the dims of a shape");
    for (int64_t i = 0; i < plan->exprs.count; i++) r->value[i] = TN_EXPR_UNKNOWN;
    for (int32_t i = 0; i < plan->symbol_count; i++) {
        const tn_plan_symbol *s = &plan->symbol[i];
        if (s->input >= 0) r->value[s->expr] = context->input[s->input].given.dim[s->axis];
    }
    r->stale = true;
    TN_TRY(tn_resolved_evaluate(plan, r));
    for (int32_t i = 0; i < plan->input_count; i++) TN_TRY(check_input(context, r, i));
    return NULL;
}

/* ---- Tensors ---------------------------------------------------------------------------------*/

static tn_status resolve_tensor(tn_context *context, tn_resolved *r, int32_t i)
{
    const tn_plan *plan = context->plan;
    const tn_plan_tensor *t = &plan->tensor[i];
    bool known;
    char text[256];
    if (t->place == TN_PLACE_NONE) return NULL;
    if (t->place == TN_PLACE_CONSTANT) {
        r->at[i] = plan->constant[t->index];
        if (t->card) r->at[i].data = context->engine->card_constant[t->index];
        return NULL;
    }
    if (t->kind != TN_PLAN_TENSOR) {
        r->at[i] = (tn_tensor){.dtype = t->dtype};
        return NULL;
    }
    if (t->place == TN_PLACE_INPUT) {
        r->at[i] = context->input[t->index].given;
        r->at[i].dtype = t->dtype;
        r->at[i].data = NULL;
        tn_tensor_set_dense(&r->at[i]);
        return NULL;
    }
    TN_TRY(tn_resolved_type(plan, r, i, &r->at[i], &known));
    if (t->dynamic) return NULL;
    TN_CHECK(known, TN_CORRUPT, "the plan does not say how large its tensor %d, %s, is", i,
             tn_plan_type_text(plan, i, text, sizeof(text)));
    if (t->place == TN_PLACE_ALIAS && !plan->tensor[t->index].dynamic)
        TN_CHECK(tn_tensor_count(&r->at[i]) == tn_tensor_count(&r->at[t->index]), TN_INVALID,
                 "a tensor is viewed as %s, which has another number of elements",
                 tn_plan_type_text(plan, i, text, sizeof(text)));
    return NULL;
}

/* ---- Steps -----------------------------------------------------------------------------------*/

static tn_status check(const tn_plan_step *step, const tn_problem *p, tn_arena *arena)
{
    for (int32_t i = step->choice_count - 1; i >= 0; i--) {
        const tn_tactic *tactic = step->choice[i].found;
        if (!tactic || !tactic->check) continue;
        tn_status status = tactic->check(p, arena);
        tn_arena_rewind(arena);
        TN_TRY_NOTE(status, "in step %s '%s'", step->op, step->name);
        return NULL;
    }
    return NULL;
}

static tn_status choose(const tn_plan_step *step, const tn_problem *p, const tn_plan_choice **out)
{
    tn_verdict verdict = "no tactic of the engine runs on this machine";
    int64_t size = step->out_count ? tn_tensor_count(&p->out[0]) : 0;
    for (int32_t i = 0; i < step->choice_count; i++) {
        const tn_plan_choice *choice = &step->choice[i];
        if (!choice->found || size < choice->from) continue;
        verdict = choice->found->accepts ? choice->found->accepts(p) : TN_YES;
        if (verdict) continue;
        *out = choice;
        return NULL;
    }
    TN_FAIL(TN_UNSUPPORTED, "%s '%s': no tactic takes these shapes; the last one says: %s",
            step->op, step->name, verdict);
}

tn_status tn_step_check_constants(const tn_context *context, const tn_plan_step *step,
                                  const tn_problem *p, const tn_plan_choice *choice)
{
    const tn_engine *engine = context->engine;
    const tn_plan *plan = context->plan;
    uint64_t unused = step->in_unused;
    if (!engine->constant_good) return NULL;
    if (choice && choice->found->unused) unused |= choice->found->unused(p);
    for (int32_t k = 0; k < step->in_count; k++) {
        if (step->in[k] < 0 || (k < 64 && unused >> k & 1)) continue;
        const tn_plan_tensor *root = &plan->tensor[tn_plan_root(plan, step->in[k])];
        if (root->place == TN_PLACE_CONSTANT) TN_TRY(tn_exec_constant_check(engine, root->index));
    }
    return choice && choice->packed >= 0 ? tn_exec_constant_check(engine, choice->packed) : NULL;
}

/* Where shapes do not fit, or nothing takes them, damaged constants may be why. */
tn_status tn_step_check(tn_context *context, const tn_plan_step *step, const tn_problem *p)
{
    tn_status status = check(step, p, &context->run_arena);
    if (status) TN_TRY(tn_step_check_constants(context, step, p, NULL));
    return status;
}

tn_status tn_step_choose(const tn_context *context, const tn_plan_step *step, const tn_problem *p,
                         const tn_plan_choice **out)
{
    *out = NULL;
    tn_status status = choose(step, p, out);
    TN_TRY(tn_step_check_constants(context, step, p, *out));
    return status;
}

static tn_status resolve_step(tn_context *context, tn_resolved *r, int32_t index)
{
    const tn_engine *engine = context->engine;
    const tn_plan *plan = context->plan;
    const tn_plan_step *step = &plan->step[index];
    tn_step_state *state = &r->step[index];
    tn_problem *p = &state->problem;
    *p = (tn_problem){.op = step->op,
                      .in_count = step->in_count,
                      .out_count = step->out_count,
                      .params = step->params,
                      .params_bytes = step->params_bytes};
    p->in = TN_NEW_ARRAY(&r->arena, tn_tensor, step->in_count);
    p->out = TN_NEW_ARRAY(&r->arena, tn_tensor, step->out_count);
    TN_CHECK(p->in && p->out, TN_OUT_OF_MEMORY, "no memory for a step");
    for (int32_t k = 0; k < step->in_count; k++) {
        if (step->in[k] < 0) continue;
        p->in[k] = r->at[step->in[k]];
        const tn_plan_tensor *t = &plan->tensor[step->in[k]];
        if (t->place != TN_PLACE_CONSTANT) continue;
        /* The host looks at them here; a launch sees what tn_context_patch puts in. */
        p->in[k].data = plan->constant[t->index].data;
        if (k < 64) p->in_constant |= UINT64_C(1) << k;
    }
    for (int32_t k = 0; k < step->out_count; k++)
        if (step->out[k] >= 0) p->out[k] = r->at[step->out[k]];
    state->launch = (tn_launch){.problem = p,
                                .pool = engine->pool,
                                .stream = step->card ? context->stream : NULL,
                                .text = &context->text};
    if (step->kind != TN_STEP_LAUNCH) return tn_step_check_constants(context, step, p, NULL);
    if (context->step_dynamic[index]) return NULL;

    const tn_plan_choice *choice;
    TN_TRY(tn_step_check(context, step, p));
    TN_TRY(tn_step_choose(context, step, p, &choice));
    state->tactic = choice->found;
    state->bounce = step->card && !tn_tactic_is_of(choice->found, engine->card->backend);
    if (state->bounce) return NULL; /* scratch and packed weights: when it runs */
    if (choice->packed >= 0)
        state->launch.packed = step->card ? engine->card_constant[choice->packed]
                                          : plan->constant[choice->packed].data;
    if (choice->found->scratch_bytes) state->scratch_bytes = choice->found->scratch_bytes(p);
    return NULL;
}

/* ---- Offsets ---------------------------------------------------------------------------------*/

/* Static intermediates live from their writer to their last reader, scratch for its step alone; in
 * the host's block or the card's. */
static tn_status resolve_offsets(tn_context *context, tn_resolved *r, bool card, size_t *bytes)
{
    const tn_plan *plan = context->plan;
    int64_t count = 0, most = (int64_t)plan->tensor_count + plan->step_count;
    tn_lifetime *item = TN_NEW_ARRAY(&r->arena, tn_lifetime, most);
    size_t **offset = TN_NEW_ARRAY(&r->arena, size_t *, most);
    TN_CHECK(item && offset, TN_OUT_OF_MEMORY, "no memory to place the tensors of a shape");
    for (int32_t i = 0; i < plan->tensor_count; i++) {
        const tn_plan_tensor *t = &plan->tensor[i];
        if (t->card != card) continue;
        r->offset[i] = TN_NO_OFFSET;
        if (t->place != TN_PLACE_BLOCK || t->dynamic || context->first[i] < 0) continue;
        offset[count] = &r->offset[i];
        item[count++] = (tn_lifetime){(size_t)tn_tensor_bytes(&r->at[i]), context->first[i],
                                      context->last[i], 0};
    }
    for (int32_t i = 0; i < plan->step_count; i++) {
        if (r->step[i].scratch_bytes == 0 || plan->step[i].card != card) continue;
        offset[count] = &r->step[i].scratch_offset;
        item[count++] = (tn_lifetime){r->step[i].scratch_bytes, i, i, 0};
    }
    TN_TRY(tn_memory_plan(item, count, &r->arena, bytes));
    if (count && tn_log_on(TN_LOG_VERBOSE))
        tn_log(TN_LOG_VERBOSE, "intermediates: %zu bytes, where %zu live at once", *bytes,
               tn_memory_lower_bound(item, count));
    for (int64_t i = 0; i < count; i++) *offset[i] = item[i].offset;
    return NULL;
}

static tn_status resolve_all(tn_context *context, tn_resolved *r)
{
    const tn_plan *plan = context->plan;
    TN_TRY(resolve_symbols(context, r));
    r->at = TN_NEW_ARRAY(&r->arena, tn_tensor, plan->tensor_count);
    r->offset = TN_NEW_ARRAY(&r->arena, size_t, plan->tensor_count);
    r->step = TN_NEW_ARRAY(&r->arena, tn_step_state, plan->step_count);
    TN_CHECK(r->at && r->offset && r->step, TN_OUT_OF_MEMORY, "no memory for a shape");
    for (int32_t i = 0; i < plan->tensor_count; i++) TN_TRY(resolve_tensor(context, r, i));
    for (int32_t i = 0; i < plan->step_count; i++) TN_TRY(resolve_step(context, r, i));
    TN_TRY(resolve_offsets(context, r, false, &r->block_bytes));
    if (!context->stream) return NULL;
    TN_TRY(resolve_offsets(context, r, true, &r->card_bytes));
    TN_TRY(tn_context_find_stand_ins(context, r));
    return tn_context_find_segments(context, r);
}

tn_status tn_resolve(tn_context *context, tn_resolved *r)
{
    tn_status status = resolve_all(context, r);
    if (!status) return NULL;
    return note_shapes(context, tn_status_trail(status, __FILE__, __LINE__, __func__));
}
