/* Steps that run plans inside the plan: If, Loop, Scan, SequenceMap.
 *
 * A plan inside has a context of its own, whose inputs are bound to memory of the one around it.
 * What it gives is copied out, so that the next iteration may write where this one wrote; what is
 * carried lies in buffers of the step, and its place changes only while it grows. So a loop that
 * has run once at some sizes allocates nothing when it runs again.
 */
#include <inttypes.h>
#include <string.h>

#include "exec/context.h"

/* ---- Values of the plan inside ---------------------------------------------------------------*/

static bool is_list(const tn_plan *plan, int32_t tensor)
{
    return plan->tensor[tensor].kind != TN_PLAN_TENSOR;
}

/* Input k of the step is input i of the plan inside. */
static tn_status give(tn_context *context, const tn_plan_step *step, int32_t k, tn_context *sub,
                      int32_t i, const tn_problem *p)
{
    if (is_list(context->plan, step->in[k]))
        return tn_context_give_list(sub, i, context->list_at[step->in[k]]);
    return tn_context_give(sub, i, &p->in[k]);
}

static const tn_tensor *result(const tn_context *sub, int32_t output)
{
    return &sub->now->at[sub->plan->output[output].tensor];
}

static const tn_list *result_list(const tn_context *sub, int32_t output)
{
    return sub->list_at[sub->plan->output[output].tensor];
}

static tn_status read_bool(const tn_tensor *t, const char *what, bool *out)
{
    char type[128];
    TN_CHECK(t->dtype == TN_DTYPE_BOOL && tn_tensor_count(t) == 1, TN_INVALID,
             "%s is %s; it must be one bool", what, tn_tensor_type_text(t, type, sizeof(type)));
    *out = *(const uint8_t *)t->data != 0;
    return NULL;
}

/* Bytes, and characters that outlive the next run of the plan inside. */
static tn_status copy_out(tn_context *context, const tn_tensor *from, void *to)
{
    tn_tensor kept;
    int64_t bytes = tn_tensor_bytes(from);
    if (bytes <= 0) return NULL;
    TN_TRY(tn_context_keep_text(context, from, &kept));
    memcpy(to, kept.data, (size_t)bytes);
    return NULL;
}

/* Output k of the step is this tensor or list. */
static tn_status put(tn_context *context, const tn_plan_step *step, int32_t k,
                     const tn_tensor *tensor, const tn_list *list)
{
    tn_tensor out;
    int32_t t = step->out[k];
    if (t < 0) return NULL;
    if (is_list(context->plan, t)) {
        bool optional = context->plan->tensor[t].kind != TN_PLAN_SEQUENCE;
        TN_TRY(tn_list_copy(list, &context->list[t]));
        if (!optional) context->list[t].present = true;
        return NULL;
    }
    TN_TRY(tn_step_give(context, step, k, tensor, &out));
    return copy_out(context, tensor, out.data);
}

/* ---- If --------------------------------------------------------------------------------------*/

static tn_status run_if(tn_context *context, const tn_plan_step *step, tn_problem *p)
{
    bool holds;
    TN_TRY(read_bool(&p->in[0], "the condition", &holds));
    tn_context *sub = context->sub[step->sub[holds ? 0 : 1]];
    for (int32_t k = 1; k < step->in_count; k++) TN_TRY(give(context, step, k, sub, k - 1, p));
    TN_TRY_NOTE(tn_exec_context_run(sub), "in the %s branch of %s '%s'", holds ? "then" : "else",
                step->op, step->name);
    for (int32_t k = 0; k < step->out_count; k++)
        TN_TRY(put(context, step, k, result(sub, k), result_list(sub, k)));
    return NULL;
}

/* ---- What is carried -------------------------------------------------------------------------*/

/* Input k of the step starts what is carried; it is not copied before an iteration has changed it.
 */
static void start_carried(tn_context *context, const tn_plan_step *step, int32_t k, tn_problem *p,
                          tn_control *control)
{
    control->list_now[k] = NULL;
    if (is_list(context->plan, step->in[k])) control->list_now[k] = context->list_at[step->in[k]];
    else control->now[k] = p->in[k];
}

static tn_status give_carried(tn_context *sub, int32_t input, const tn_control *control, int32_t k)
{
    if (control->list_now[k]) return tn_context_give_list(sub, input, control->list_now[k]);
    return tn_context_give(sub, input, &control->now[k]);
}

static tn_status take_carried(tn_context *context, tn_context *sub, int32_t output,
                              tn_control *control, int32_t k)
{
    if (control->list_now[k]) {
        const tn_list *list = result_list(sub, output);
        control->list_now[k] = &control->list[k];
        return tn_list_copy(list, &control->list[k]);
    }
    const tn_tensor *from = result(sub, output);
    size_t bytes = (size_t)TN_MAX(tn_tensor_bytes(from), INT64_C(1));
    tn_buffer *buffer = &control->carried[k];
    if (bytes > buffer->bytes)
        TN_TRY(tn_buffer_grow(buffer, bytes + bytes / 4, "a value that a loop carries"));
    control->now[k] = *from;
    tn_tensor_set_dense(&control->now[k]);
    control->now[k].data = buffer->at;
    return copy_out(context, from, buffer->at);
}

/* ---- What is collected -----------------------------------------------------------------------*/

/* The shape of nothing: what the plans know of a slice, 0 for what they do not. */
static void empty_slice(const tn_context *sub, int32_t output, tn_tensor *out)
{
    const tn_plan_tensor *t = &sub->plan->tensor[sub->plan->output[output].tensor];
    *out = (tn_tensor){.dtype = t->dtype, .rank = TN_MAX(t->rank, 0)};
    for (int axis = 0; axis < out->rank; axis++)
        if (!tn_expr_is_const(&sub->plan->exprs, t->dim[axis], &out->dim[axis])) out->dim[axis] = 0;
}

static tn_status check_slice(const tn_plan_step *step, int32_t k, const tn_tensor *slice,
                             const tn_tensor *before)
{
    char now[128], then[128];
    TN_CHECK(slice->dtype == before->dtype && tn_tensor_same_shape(slice, before), TN_INVALID,
             "output %d of %s '%s' collects equal shapes, but an iteration gives %s after %s", k,
             step->op, step->name, tn_tensor_type_text(slice, now, sizeof(now)),
             tn_tensor_type_text(before, then, sizeof(then)));
    return NULL;
}

static tn_status stack(const tn_tensor *slice, int axis, int64_t length, tn_tensor *out)
{
    TN_CHECK(slice->rank < TN_RANK_MAX, TN_UNSUPPORTED, "what is collected would have rank %d",
             slice->rank + 1);
    *out = *slice;
    out->rank = slice->rank + 1;
    for (int i = slice->rank; i > axis; i--) out->dim[i] = slice->dim[i - 1];
    out->dim[axis] = length;
    TN_CHECK(tn_tensor_bytes(out) >= 0, TN_INVALID, "what is collected is larger than any memory");
    tn_tensor_set_dense(out);
    return NULL;
}

/* How many iterations a Loop makes is known at the end: its slices lie behind one another in memory
 * that grows. `slice` is the first one's shape. */
static tn_status append(tn_context *context, const tn_plan_step *step, int32_t k,
                        const tn_tensor *from, int64_t iteration, tn_tensor *slice)
{
    int32_t t = step->out[k];
    if (t < 0) return NULL;
    if (iteration == 0) {
        *slice = *from;
        TN_CHECK((tn_tensor_count(from) * tn_dtype_bits(from->dtype)) % 8 == 0, TN_UNSUPPORTED,
                 "output %d of %s '%s' collects slices that end inside a byte", k, step->op,
                 step->name);
    }
    TN_TRY(check_slice(step, k, from, slice));
    size_t bytes = (size_t)tn_tensor_bytes(slice), kept, needed;
    TN_CHECK(tn_mul_size(bytes, (size_t)iteration, &kept) && tn_add_size(kept, bytes, &needed) &&
                 needed < PTRDIFF_MAX,
             TN_INVALID, "what '%s' collects is larger than any memory", step->name);
    if (bytes == 0) return NULL;
    if (!context->plan->tensor[t].dynamic) {
        const tn_tensor *at = &context->now->at[t];
        TN_CHECK((int64_t)needed <= tn_tensor_bytes(at), TN_INVALID,
                 "output %d of %s '%s' collects more than its shape has room for", k, step->op,
                 step->name);
        return copy_out(context, from, (char *)at->data + kept);
    }
    tn_buffer *buffer = &context->slot_buffer[context->slot[t]];
    TN_TRY(tn_buffer_extend(buffer, kept, needed, "what a loop collects"));
    return copy_out(context, from, (char *)buffer->at + kept);
}

static tn_status end_collected(tn_context *context, const tn_plan_step *step, int32_t k,
                               const tn_context *sub, int32_t output, int64_t count)
{
    tn_tensor slice, whole, out;
    if (step->out[k] < 0) return NULL;
    if (count > 0) slice = *result(sub, output);
    else empty_slice(sub, output, &slice);
    TN_TRY(stack(&slice, 0, count, &whole));
    return tn_step_give(context, step, k, &whole, &out);
}

/* ---- Loop ------------------------------------------------------------------------------------*/

static tn_status loop_bounds(const tn_plan_step *step, const tn_problem *p, int64_t *most,
                             bool *condition)
{
    char type[128];
    *most = INT64_MAX;
    *condition = true;
    if (step->in[0] >= 0) {
        TN_CHECK(tn_tensor_count(&p->in[0]) == 1, TN_INVALID,
                 "the number of iterations is %s; it must be one number",
                 tn_tensor_type_text(&p->in[0], type, sizeof(type)));
        *most = *(const int64_t *)p->in[0].data;
    }
    return step->in[1] >= 0 ? read_bool(&p->in[1], "the condition", condition) : NULL;
}

static tn_status count_iteration(const tn_context *context)
{
    TN_CHECK(!context->iterations_left || --*context->iterations_left >= 0, TN_UNSUPPORTED,
             "the loops of this run make more iterations than it may have");
    return NULL;
}

static tn_status iterate(tn_context *context, const tn_plan_step *step, tn_context *sub,
                         tn_control *control, tn_tensor *slice)
{
    int32_t carried = (int32_t)step->number[0];
    TN_TRY(count_iteration(context));
    tn_tensor iteration = tn_tensor_of(TN_DTYPE_I64, NULL, 0, &control->iteration);
    tn_tensor condition = tn_tensor_of(TN_DTYPE_BOOL, NULL, 0, &control->condition);
    TN_TRY(tn_context_give(sub, 0, &iteration));
    TN_TRY(tn_context_give(sub, 1, &condition));
    for (int32_t k = 2; k < 2 + carried; k++) TN_TRY(give_carried(sub, k, control, k));
    TN_TRY(tn_exec_context_run(sub));
    for (int32_t k = carried; k < step->out_count; k++)
        TN_TRY(append(context, step, k, result(sub, k + 1), control->iteration, &slice[k]));
    for (int32_t k = 0; k < carried; k++) TN_TRY(take_carried(context, sub, k + 1, control, k + 2));
    return read_bool(result(sub, 0), "the condition that the body gives", &control->condition);
}

static tn_status run_loop(tn_context *context, const tn_plan_step *step, tn_problem *p,
                          tn_control *control)
{
    tn_context *sub = context->sub[step->sub[0]];
    int32_t carried = (int32_t)step->number[0];
    int64_t most;
    TN_TRY(loop_bounds(step, p, &most, &control->condition));
    for (int32_t k = 2; k < 2 + carried; k++) start_carried(context, step, k, p, control);
    for (int32_t k = 2 + carried; k < step->in_count; k++)
        TN_TRY(give(context, step, k, sub, k, p));
    for (control->iteration = 0; control->iteration < most && control->condition;
         control->iteration++)
        TN_TRY_NOTE(iterate(context, step, sub, control, p->out),
                    "in iteration %" PRId64 " of %s '%s'", control->iteration, step->op,
                    step->name);
    for (int32_t k = 0; k < carried && k < step->out_count; k++)
        TN_TRY(put(context, step, k, &control->now[k + 2], control->list_now[k + 2]));
    for (int32_t k = carried; k < step->out_count; k++)
        TN_TRY(end_collected(context, step, k, sub, k + 1, control->iteration));
    return NULL;
}

/* ---- Scan ------------------------------------------------------------------------------------*/

typedef struct scan {
    tn_context *context, *sub;
    const tn_plan_step *step;
    tn_problem *p;
    tn_control *control;
    int32_t carried, scanned;
    int64_t length;
} scan;

static int64_t axis_of(const scan *s, int32_t index)
{
    return s->step->number[2 + 2 * index];
}

static int64_t place_of(const scan *s, int32_t index, int64_t iteration)
{
    return s->step->number[3 + 2 * index] ? s->length - 1 - iteration : iteration;
}

static tn_status find_length(scan *s)
{
    for (int32_t i = 0; i < s->scanned; i++) {
        const tn_tensor *in = &s->p->in[s->carried + i];
        char type[128];
        int axis = tn_axis_normal(axis_of(s, i), in->rank);
        TN_CHECK(axis >= 0, TN_INVALID, "%s has no axis %" PRId64 " to scan along",
                 tn_tensor_type_text(in, type, sizeof(type)), axis_of(s, i));
        TN_CHECK(i == 0 || in->dim[axis] == s->length, TN_INVALID,
                 "the scanned inputs are %" PRId64 " and %" PRId64
                 " long; they must be equally long",
                 s->length, in->dim[axis]);
        s->length = in->dim[axis];
    }
    return NULL;
}

/* One slice along an axis, as a view. */
static tn_status slice_of(const tn_tensor *whole, int axis, int64_t index, tn_tensor *out)
{
    int64_t bits = tn_dtype_bits(whole->dtype);
    TN_CHECK(bits % 8 == 0, TN_UNSUPPORTED, "tensors of %s cannot be scanned",
             tn_dtype_name(whole->dtype));
    *out = *whole;
    out->data = (char *)whole->data + index * whole->stride[axis] * (bits / 8);
    for (int i = axis + 1; i < whole->rank; i++) {
        out->dim[i - 1] = whole->dim[i];
        out->stride[i - 1] = whole->stride[i];
    }
    out->rank--;
    return NULL;
}

/* A dense copy that lies in the same place for each iteration. */
static tn_status give_slice(scan *s, int32_t i, int64_t iteration)
{
    int32_t k = s->carried + i;
    const tn_tensor *whole = &s->p->in[k];
    tn_tensor view, dense;
    TN_TRY(slice_of(whole, tn_axis_normal(axis_of(s, i), whole->rank), place_of(s, i, iteration),
                    &view));
    size_t bytes = (size_t)TN_MAX(tn_tensor_bytes(&view), INT64_C(1));
    TN_TRY(tn_buffer_grow(&s->control->carried[k], bytes, "a slice"));
    dense = view;
    tn_tensor_set_dense(&dense);
    dense.data = s->control->carried[k].at;
    if (tn_tensor_count(&view) > 0) TN_TRY(tn_tensor_copy(&view, &dense));
    return tn_context_give(s->sub, k, &dense);
}

/* The first iteration tells the shape of what is collected. p->out keeps the whole. */
static tn_status collect(scan *s, int32_t k, int64_t iteration)
{
    int32_t index = s->scanned + k - s->carried;
    const tn_tensor *from = result(s->sub, k);
    tn_tensor *whole = &s->p->out[k], kept, view;
    int axis = tn_axis_normal(axis_of(s, index), from->rank + 1);
    if (s->step->out[k] < 0) return NULL;
    TN_CHECK(axis >= 0, TN_INVALID, "output %d cannot be collected along axis %" PRId64, k,
             axis_of(s, index));
    if (iteration == 0) {
        tn_tensor found;
        TN_TRY(stack(from, axis, s->length, &found));
        TN_TRY(tn_step_give(s->context, s->step, k, &found, whole));
    }
    TN_TRY(slice_of(whole, axis, place_of(s, index, iteration), &view));
    TN_TRY(check_slice(s->step, k, from, &view));
    if (tn_tensor_count(from) == 0) return NULL;
    TN_TRY(tn_context_keep_text(s->context, from, &kept));
    return tn_tensor_copy(&kept, &view);
}

static tn_status scan_once(scan *s, int64_t iteration)
{
    for (int32_t k = 0; k < s->carried; k++) TN_TRY(give_carried(s->sub, k, s->control, k));
    for (int32_t i = 0; i < s->scanned; i++) TN_TRY(give_slice(s, i, iteration));
    TN_TRY(tn_exec_context_run(s->sub));
    for (int32_t k = s->carried; k < s->step->out_count; k++) TN_TRY(collect(s, k, iteration));
    for (int32_t k = 0; k < s->carried; k++)
        TN_TRY(take_carried(s->context, s->sub, k, s->control, k));
    return NULL;
}

static tn_status collect_nothing(scan *s, int32_t k)
{
    tn_tensor slice, whole, out;
    if (s->step->out[k] < 0) return NULL;
    empty_slice(s->sub, k, &slice);
    int axis = tn_axis_normal(axis_of(s, s->scanned + k - s->carried), slice.rank + 1);
    TN_TRY(stack(&slice, TN_MAX(axis, 0), 0, &whole));
    return tn_step_give(s->context, s->step, k, &whole, &out);
}

static tn_status run_scan(tn_context *context, const tn_plan_step *step, tn_problem *p,
                          tn_control *control)
{
    scan s = {.context = context,
              .sub = context->sub[step->sub[0]],
              .step = step,
              .p = p,
              .control = control,
              .carried = (int32_t)step->number[0],
              .scanned = (int32_t)step->number[1]};
    TN_TRY(find_length(&s));
    for (int32_t k = 0; k < s.carried; k++) start_carried(context, step, k, p, control);
    for (int32_t k = s.carried + s.scanned; k < step->in_count; k++)
        TN_TRY(give(context, step, k, s.sub, k, p));
    for (int64_t i = 0; i < s.length; i++)
        TN_TRY_NOTE(scan_once(&s, i), "in iteration %" PRId64 " of %s '%s'", i, step->op,
                    step->name);
    for (int32_t k = 0; k < s.carried && k < step->out_count; k++)
        TN_TRY(put(context, step, k, &control->now[k], control->list_now[k]));
    for (int32_t k = s.carried; k < step->out_count && s.length == 0; k++)
        TN_TRY(collect_nothing(&s, k));
    return NULL;
}

/* ---- SequenceMap -----------------------------------------------------------------------------*/

static tn_status map_once(tn_context *context, const tn_plan_step *step, tn_context *sub,
                          const tn_problem *p, int64_t index)
{
    for (int32_t k = 0; k < step->number[0]; k++) {
        bool list = is_list(context->plan, step->in[k]);
        TN_TRY(tn_context_give(
            sub, k, list ? &context->list_at[step->in[k]]->item[index].tensor : &p->in[k]));
    }
    TN_TRY(tn_exec_context_run(sub));
    for (int32_t k = 0; k < step->out_count; k++)
        if (step->out[k] >= 0)
            TN_TRY(tn_list_set_item(&context->list[step->out[k]], index, result(sub, k)));
    return NULL;
}

static tn_status run_map(tn_context *context, const tn_plan_step *step, tn_problem *p)
{
    tn_context *sub = context->sub[step->sub[0]];
    int64_t count = context->list_at[step->in[0]]->count;
    for (int32_t k = 0; k < step->in_count; k++) {
        if (k >= step->number[0]) {
            TN_TRY(give(context, step, k, sub, k, p));
        } else if (is_list(context->plan, step->in[k])) {
            int64_t other = context->list_at[step->in[k]]->count;
            TN_CHECK(other == count, TN_INVALID,
                     "the sequences have %" PRId64 " and %" PRId64
                     " tensors; they must have equally many",
                     count, other);
        }
    }
    for (int32_t k = 0; k < step->out_count; k++) {
        if (step->out[k] < 0) continue;
        context->list[step->out[k]].present = true;
        TN_TRY(tn_list_resize(&context->list[step->out[k]], count));
    }
    for (int64_t i = 0; i < count; i++)
        TN_TRY_NOTE(map_once(context, step, sub, p, i), "at tensor %" PRId64 " of %s '%s'", i,
                    step->op, step->name);
    return NULL;
}

tn_status tn_step_run_control(tn_context *context, int32_t index)
{
    const tn_plan_step *step = &context->plan->step[index];
    tn_problem *p = &context->now->step[index].problem;
    TN_TRY(tn_step_read(context, step, p));
    switch (step->kind) {
    case TN_STEP_IF: return run_if(context, step, p);
    case TN_STEP_LOOP: return run_loop(context, step, p, &context->control[index]);
    case TN_STEP_MAP: return run_map(context, step, p);
    default: return run_scan(context, step, p, &context->control[index]);
    }
}
