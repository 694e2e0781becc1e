/* Binding user memory, and putting pointers in place once shapes and memory are known. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "exec/context.h"
#include "tensor/tensor.h"

/* Elements: far beyond any memory, and sums of a few of them in bytes do not overflow. */
#define STRIDE_REACH (INT64_C(1) << 52)

static int32_t find_io(const tn_plan_io *io, int32_t count, const char *name)
{
    for (int32_t i = 0; i < count; i++)
        if (!strcmp(io[i].name, name)) return i;
    return -1;
}

static tn_status fail_name(const tn_plan *plan, const char *name, bool outputs_only)
{
    tn_text text = {0};
    for (int32_t i = 0; !outputs_only && i < plan->input_count; i++)
        tn_text_printf(&text, " '%s'", plan->input[i].name);
    for (int32_t i = 0; i < plan->output_count; i++)
        tn_text_printf(&text, " '%s'", plan->output[i].name);
    tn_status status =
        TN_ERROR(TN_NOT_FOUND, "there is no %s '%s': the engine has%s",
                 outputs_only ? "output" : "input or output", name, text.at ? text.at : " none");
    tn_text_fini(&text);
    return status;
}

static bool is_index(tn_dtype dtype)
{
    return dtype == TN_DTYPE_I32 || dtype == TN_DTYPE_I64;
}

/* ---- Shapes ----------------------------------------------------------------------------------*/

static tn_status check_view(const char *name, const tn_tensor *t)
{
    TN_CHECK(t->rank >= 0 && t->rank <= TN_RANK_MAX, TN_INVALID,
             "'%s' is given with rank %d: 0 to %d are possible", name, t->rank, TN_RANK_MAX);
    for (int axis = 0; axis < t->rank; axis++)
        TN_CHECK(t->dim[axis] >= 0, TN_INVALID, "'%s' is given with dim %d of %" PRId64, name, axis,
                 t->dim[axis]);
    TN_CHECK(tn_tensor_bytes(t) >= 0, TN_INVALID, "the size of the tensor given for '%s' overflows",
             name);
    for (int axis = 0; axis < t->rank; axis++) {
        int64_t reach;
        TN_CHECK(!__builtin_mul_overflow(t->dim[axis], t->stride[axis], &reach) &&
                     reach < STRIDE_REACH && reach > -STRIDE_REACH,
                 TN_INVALID,
                 "'%s' is given with stride %" PRId64 " at axis %d, which leaves memory", name,
                 t->stride[axis], axis);
    }
    return NULL;
}

/* Rank and fixed dims can be refused at once, symbols only when all inputs are known. */
static tn_status check_shape(const tn_plan *plan, const tn_plan_io *io, const tn_tensor *given)
{
    const tn_plan_tensor *t = &plan->tensor[io->tensor];
    char got[128], want[256];
    bool fits = t->rank < 0 || t->rank == given->rank;
    for (int axis = 0; fits && axis < t->rank; axis++) {
        int64_t fixed;
        if (tn_expr_is_const(&plan->exprs, t->dim[axis], &fixed)) fits = fixed == given->dim[axis];
    }
    TN_CHECK(fits, TN_INVALID, "'%s' is given as %s, but must be %s", io->name,
             tn_tensor_type_text(given, got, sizeof(got)),
             tn_plan_type_text(plan, io->tensor, want, sizeof(want)));
    return NULL;
}

static bool same_dims(const tn_tensor *a, const tn_tensor *b)
{
    if (a->rank != b->rank) return false;
    for (int axis = 0; axis < a->rank; axis++)
        if (a->dim[axis] != b->dim[axis]) return false;
    return true;
}

/* Copied to a buffer of the context in every run, which a recording of the card reads. */
static bool is_staged(const tn_context *context, int32_t tensor)
{
    const tn_plan_tensor *t = &context->plan->tensor[tensor];
    return context->stream && !t->dynamic && t->dtype != TN_DTYPE_STRING;
}

static void take_input(tn_context *context, int32_t i, const tn_tensor *given, bool bound)
{
    tn_binding *input = &context->input[i];
    if (input->on_card) context->generation++;
    input->on_card = false;
    bool dynamic = context->plan->tensor[context->plan->input[i].tensor].dynamic;
    if (!input->shaped || (!dynamic && !same_dims(&input->given, given))) context->now = NULL;
    input->given = *given;
    input->shaped = true;
    input->bound = bound;
    if (!is_staged(context, context->plan->input[i].tensor))
        context->generation++; /* kernels see other memory now */
    context->ran = false;
}

static bool same_view(const tn_tensor *a, const tn_tensor *b)
{
    bool same = a->data == b->data && a->dtype == b->dtype && same_dims(a, b);
    for (int axis = 0; same && axis < a->rank; axis++) same = a->stride[axis] == b->stride[axis];
    return same;
}

tn_status tn_context_give(tn_context *context, int32_t input, const tn_tensor *tensor)
{
    const tn_plan *plan = context->plan;
    const tn_plan_io *io = &plan->input[input];
    tn_binding *binding = &context->input[input];
    TN_CHECK(plan->tensor[io->tensor].kind == TN_PLAN_TENSOR &&
                 plan->tensor[io->tensor].dtype == tensor->dtype,
             TN_CORRUPT, "'%s' of a plan inside is given another type", io->name);
    if (binding->bound && same_view(&binding->given, tensor)) return NULL;
    TN_TRY(check_shape(plan, io, tensor));
    take_input(context, input, tensor, true);
    return NULL;
}

tn_status tn_context_give_list(tn_context *context, int32_t input, const tn_list *list)
{
    int32_t tensor = context->plan->input[input].tensor;
    tn_binding *binding = &context->input[input];
    TN_CHECK(context->plan->tensor[tensor].kind != TN_PLAN_TENSOR, TN_CORRUPT,
             "'%s' of a plan inside is given a sequence", context->plan->input[input].name);
    context->list_at[tensor] = list;
    binding->shaped = binding->bound = true;
    return NULL;
}

tn_status tn_exec_context_set_shape(tn_context *context, const char *name, const int64_t *dim,
                                    int rank)
{
    const tn_plan *plan = context->plan;
    int32_t i = find_io(plan->input, plan->input_count, name);
    if (i < 0) {
        TN_CHECK(find_io(plan->output, plan->output_count, name) < 0, TN_INVALID,
                 "'%s' is an output: its shape follows from the inputs", name);
        return fail_name(plan, name, false);
    }
    TN_CHECK(rank >= 0 && rank <= TN_RANK_MAX, TN_INVALID,
             "'%s' is given with rank %d: 0 to %d are possible", name, rank, TN_RANK_MAX);
    TN_CHECK(plan->tensor[plan->input[i].tensor].kind == TN_PLAN_TENSOR, TN_INVALID,
             "'%s' is a sequence or an optional: bind it with tn_context_bind_sequence", name);
    tn_tensor given = {.dtype = plan->tensor[plan->input[i].tensor].dtype, .rank = rank};
    if (rank > 0) memcpy(given.dim, dim, sizeof(*dim) * (size_t)rank);
    TN_TRY(check_view(name, &given));
    TN_TRY(check_shape(plan, &plan->input[i], &given));
    tn_tensor_set_dense(&given);
    const tn_binding *input = &context->input[i];
    if (input->bound && same_dims(&input->given, &given)) return NULL;
    take_input(context, i, &given, false);
    return NULL;
}

tn_status tn_exec_context_bind(tn_context *context, const char *name, const tn_tensor *tensor)
{
    const tn_plan *plan = context->plan;
    int32_t i = find_io(plan->input, plan->input_count, name);
    bool is_input = i >= 0;
    if (!is_input) i = find_io(plan->output, plan->output_count, name);
    char text[256];
    if (i < 0) return fail_name(plan, name, false);
    const tn_plan_io *io = is_input ? &plan->input[i] : &plan->output[i];
    tn_dtype want = plan->tensor[io->tensor].dtype;
    tn_tensor given = *tensor;
    if (plan->tensor[io->tensor].kind != TN_PLAN_TENSOR)
        TN_FAIL(TN_INVALID, "'%s' is %s: %s", name,
                tn_plan_type_text(plan, io->tensor, text, sizeof(text)),
                is_input ? "bind it with tn_context_bind_sequence"
                         : "read it with tn_context_sequence_item");
    TN_CHECK(given.dtype == want || (is_input && is_index(given.dtype) && is_index(want)),
             TN_INVALID, "'%s' is given as %s, but must be %s", name, tn_dtype_name(given.dtype),
             tn_dtype_name(want));
    TN_TRY(check_view(name, &given));
    TN_TRY(check_shape(plan, io, &given));
    TN_CHECK(given.data || tn_tensor_count(&given) == 0, TN_INVALID,
             "'%s' is given without data: tn_context_set_shape says a shape alone", name);
    if (tn_tensor_is_dense(&given)) tn_tensor_set_dense(&given);
    TN_CHECK(tn_dtype_bits(given.dtype) >= 8 || tn_tensor_is_dense(&given), TN_INVALID,
             "'%s' is given with strides, but %s is packed and must be dense", name,
             tn_dtype_name(given.dtype));
    if (is_input) {
        take_input(context, i, &given, true);
    } else {
        context->output[i].given = given;
        context->output[i].bound = true;
        if (!context->stream || context->output[i].on_card) context->generation++;
        context->output[i].on_card = false;
        context->ran = false;
    }
    return NULL;
}

/* ---- Pointers --------------------------------------------------------------------------------*/

static bool is_aligned(const tn_tensor *t)
{
    size_t bytes = (size_t)tn_dtype_bits(t->dtype) / 8;
    size_t alignment = bytes > 8 ? 8 : bytes > 0 ? bytes : 1;
    return (uintptr_t)t->data % alignment == 0;
}

typedef struct span {
    uintptr_t begin, end;
} span;

/* The bytes a view may touch, strides of either sign. */
static span span_of(const tn_tensor *t)
{
    int64_t low = 0, high = 1, item = TN_MAX(tn_dtype_bits(t->dtype) / 8, 1);
    if (tn_tensor_count(t) <= 0) return (span){0, 0};
    for (int axis = 0; axis < t->rank; axis++) {
        int64_t reach = (t->dim[axis] - 1) * t->stride[axis];
        if (reach < 0) low += reach;
        else high += reach;
    }
    return (span){(uintptr_t)t->data + (uintptr_t)(low * item),
                  (uintptr_t)t->data + (uintptr_t)(high * item)};
}

static bool overlap(const tn_tensor *a, const tn_tensor *b)
{
    span x = span_of(a), y = span_of(b);
    return x.begin < y.end && y.begin < x.end;
}

/* An output is written early in a run perhaps: memory that is also an input or another output has
 * to wait for the end. */
static bool may_write_directly(const tn_context *context, int32_t index)
{
    const tn_plan *plan = context->plan;
    const tn_binding *output = &context->output[index];
    if (!output->bound || !is_aligned(&output->given) || !tn_tensor_is_dense(&output->given))
        return false;
    for (int32_t i = 0; i < plan->input_count; i++)
        if (context->input[i].bound && overlap(&context->input[i].given, &output->given))
            return false;
    for (int32_t i = 0; i < plan->output_count; i++)
        if (i != index && context->output[i].bound &&
            overlap(&context->output[i].given, &output->given))
            return false;
    return true;
}

/* Memory that kernels see: where it moves, all pointers are to be put in place anew. */
static tn_status grow_own(tn_context *context, tn_binding *binding, const tn_tensor *at,
                          const char *what)
{
    const void *before = binding->own.at;
    TN_TRY(tn_buffer_grow(&binding->own, (size_t)tn_tensor_bytes(at), what));
    if (binding->own.at != before) context->generation++;
    return NULL;
}

static tn_status patch_input(tn_context *context, int32_t i, tn_tensor *at)
{
    tn_binding *input = &context->input[i];
    if (is_staged(context, context->plan->input[i].tensor)) {
        input->direct = false;
        TN_TRY(grow_own(context, input, at, "inputs"));
        at->data = input->own.at ? input->own.at : tn_buffer_nothing();
        return NULL;
    }
    input->direct = input->given.dtype == at->dtype && tn_tensor_is_dense(&input->given) &&
                    is_aligned(&input->given);
    if (input->direct || !input->bound) {
        at->data = input->given.data ? input->given.data : tn_buffer_nothing();
        return NULL;
    }
    TN_TRY(tn_buffer_grow(&input->own, (size_t)tn_tensor_bytes(at), "copies of inputs"));
    at->data = input->own.at ? input->own.at : tn_buffer_nothing();
    return NULL;
}

static tn_status patch_output(tn_context *context, int32_t i, tn_tensor *at)
{
    const tn_plan *plan = context->plan;
    tn_binding *output = &context->output[i];
    const tn_tensor *seen = &context->now->at[plan->output[i].tensor];
    char got[128], want[128];
    TN_CHECK(!output->bound || same_dims(&output->given, seen), TN_INVALID,
             "output '%s' is given memory for %s, but is %s at these input shapes",
             plan->output[i].name, tn_tensor_type_text(&output->given, got, sizeof(got)),
             tn_tensor_type_text(seen, want, sizeof(want)));
    if (output->on_card && context->now->card_writes[i]) {
        output->direct = true;
        at->data = output->given.data ? output->given.data : tn_buffer_nothing();
        return NULL;
    }
    output->direct = !context->stream && may_write_directly(context, i);
    if (output->direct) {
        at->data = output->given.data ? output->given.data : tn_buffer_nothing();
        return NULL;
    }
    TN_TRY(grow_own(context, output, at, "outputs"));
    at->data = output->own.at ? output->own.at : tn_buffer_nothing();
    return NULL;
}

static tn_status patch_tensor(tn_context *context, int32_t i)
{
    tn_resolved *r = context->now;
    const tn_plan_tensor *t = &context->plan->tensor[i];
    tn_tensor *at = &r->at[i];
    if (t->kind != TN_PLAN_TENSOR) return NULL;
    switch (t->place) {
    case TN_PLACE_INPUT: return patch_input(context, t->index, at);
    case TN_PLACE_OUTPUT: return t->dynamic ? NULL : patch_output(context, t->index, at);
    case TN_PLACE_ALIAS:
        if (!t->dynamic) at->data = r->at[t->index].data;
        return NULL;
    case TN_PLACE_BLOCK:
        if (t->dynamic || r->offset[i] == TN_NO_OFFSET) return NULL;
        void *shared = r->stand_in ? tn_stand_in_data(context, r->stand_in[i], at) : NULL;
        if (shared) {
            at->data = shared;
            return NULL;
        }
        if (t->card) {
            at->data = (char *)context->card_block.at + r->offset[i];
            return NULL;
        }
        at->data = r->block_bytes ? (char *)context->block.at + r->offset[i] : tn_buffer_nothing();
        return NULL;
    case TN_PLACE_CONSTANT:
        if (!at->data) at->data = tn_buffer_nothing();
        return NULL;
    case TN_PLACE_NONE: return NULL;
    }
    return NULL;
}

/* The tensors of an output's alias chain come after its root, so one pass in order is enough; but
 * the shape of the output itself, which patch_output looks at, is there since resolving. */
tn_status tn_context_patch(tn_context *context)
{
    const tn_plan *plan = context->plan;
    tn_resolved *r = context->now;
    if (r->block_bytes > context->block.bytes) {
        TN_TRY(tn_buffer_grow(&context->block, r->block_bytes, "intermediates"));
        context->generation++;
    }
    if (r->card_bytes > context->card_block.bytes) {
        TN_TRY(tn_context_drain(context));
        TN_TRY(tn_buffer_grow(&context->card_block, r->card_bytes, "intermediates on the card"));
        context->generation++;
    }
    if (r->generation == context->generation) return NULL;
    /* Inputs and outputs first: others may lie in their memory. */
    for (int io = 1; io >= 0; io--)
        for (int32_t i = 0; i < plan->tensor_count; i++) {
            tn_plan_place place = plan->tensor[i].place;
            if ((place == TN_PLACE_INPUT || place == TN_PLACE_OUTPUT) == io)
                TN_TRY(patch_tensor(context, i));
        }
    for (int32_t i = 0; i < plan->step_count; i++) {
        const tn_plan_step *step = &plan->step[i];
        tn_step_state *state = &r->step[i];
        for (int32_t k = 0; k < step->in_count; k++) {
            bool unused = k < 64 && (step->in_unused >> k & 1);
            if (step->in[k] >= 0)
                state->problem.in[k].data = unused ? NULL : r->at[step->in[k]].data;
        }
        for (int32_t k = 0; k < step->out_count; k++)
            if (step->out[k] >= 0) state->problem.out[k].data = r->at[step->out[k]].data;
        if (state->scratch_bytes)
            state->launch.scratch =
                (char *)(step->card ? context->card_block.at : context->block.at) +
                state->scratch_offset;
    }
    r->generation = context->generation;
    return NULL;
}

/* ---- Outputs ---------------------------------------------------------------------------------*/

static tn_status describe_output(tn_context *context, int32_t i, tn_tensor *out)
{
    const tn_plan *plan = context->plan;
    int32_t tensor = plan->output[i].tensor;
    bool known;
    TN_TRY(tn_context_shapes(context));
    tn_resolved_forget(plan, context->now);
    TN_TRY(tn_resolved_evaluate(plan, context->now));
    TN_TRY(tn_resolved_type(plan, context->now, tensor, out, &known));
    out->data = NULL;
    return NULL;
}

tn_status tn_exec_context_output(tn_context *context, const char *name, tn_tensor *out)
{
    const tn_plan *plan = context->plan;
    int32_t i = find_io(plan->output, plan->output_count, name);
    *out = (tn_tensor){0};
    if (i < 0) return fail_name(plan, name, true);
    TN_CHECK(plan->tensor[plan->output[i].tensor].kind == TN_PLAN_TENSOR, TN_INVALID,
             "'%s' is a sequence or an optional: read it with tn_context_sequence_item", name);
    if (!context->ran) return describe_output(context, i, out);
    *out = context->output[i].bound ? context->output[i].given
                                    : context->now->at[plan->output[i].tensor];
    return NULL;
}

/* ---- Sequences and optionals -----------------------------------------------------------------*/

tn_status tn_exec_context_bind_sequence(tn_context *context, const char *name,
                                        const tn_tensor *items, int64_t count)
{
    const tn_plan *plan = context->plan;
    char text[256];
    int32_t i = find_io(plan->input, plan->input_count, name);
    if (i < 0) return fail_name(plan, name, false);
    int32_t tensor = plan->input[i].tensor;
    tn_plan_kind kind = plan->tensor[tensor].kind;
    tn_list *list = &context->input[i].list;
    TN_CHECK(kind != TN_PLAN_TENSOR, TN_INVALID, "'%s' is %s: bind it with tn_context_bind", name,
             tn_plan_type_text(plan, tensor, text, sizeof(text)));
    TN_CHECK(count >= (kind == TN_PLAN_SEQUENCE ? 0 : -1) &&
                 (kind != TN_PLAN_OPTIONAL || count <= 1),
             TN_INVALID, "'%s' is %s and cannot have %" PRId64 " tensors", name,
             tn_plan_type_text(plan, tensor, text, sizeof(text)), count);
    context->input[i].bound = context->ran = false;
    list->present = count >= 0 && !(kind == TN_PLAN_OPTIONAL && count == 0);
    TN_TRY(tn_list_resize(list, TN_MAX(count, INT64_C(0))));
    for (int64_t k = 0; k < count; k++) {
        tn_tensor item = items[k];
        TN_CHECK(item.dtype == plan->tensor[tensor].dtype, TN_INVALID,
                 "tensor %" PRId64 " given for '%s' is %s, but it is %s", k, name,
                 tn_dtype_name(item.dtype), tn_plan_type_text(plan, tensor, text, sizeof(text)));
        TN_TRY(check_view(name, &item));
        TN_CHECK(item.data || tn_tensor_count(&item) == 0, TN_INVALID,
                 "tensor %" PRId64 " given for '%s' has no data", k, name);
        if (tn_tensor_is_dense(&item)) tn_tensor_set_dense(&item);
        TN_TRY(tn_list_set_item(list, k, &item));
    }
    return tn_context_give_list(context, i, list);
}

static tn_status find_list(tn_context *context, const char *name, const tn_list **out,
                           tn_plan_kind *kind)
{
    const tn_plan *plan = context->plan;
    int32_t i = find_io(plan->output, plan->output_count, name);
    if (i < 0) return fail_name(plan, name, true);
    *kind = plan->tensor[plan->output[i].tensor].kind;
    TN_CHECK(*kind != TN_PLAN_TENSOR, TN_INVALID,
             "'%s' is a tensor: read it with tn_context_output", name);
    TN_CHECK(context->ran, TN_INVALID, "'%s' is only there after a run", name);
    *out = context->list_at[plan->output[i].tensor];
    return NULL;
}

tn_status tn_exec_context_sequence_count(tn_context *context, const char *name, int64_t *out)
{
    const tn_list *list;
    tn_plan_kind kind;
    TN_TRY(find_list(context, name, &list, &kind));
    *out = kind == TN_PLAN_SEQUENCE || list->present ? list->count : -1;
    return NULL;
}

tn_status tn_exec_context_sequence_item(tn_context *context, const char *name, int64_t index,
                                        tn_tensor *out)
{
    const tn_list *list;
    tn_plan_kind kind;
    TN_TRY(find_list(context, name, &list, &kind));
    TN_CHECK(index >= 0 && index < list->count, TN_INVALID,
             "'%s' has %" PRId64 " tensors, none at %" PRId64, name, list->count, index);
    *out = list->item[index].tensor;
    return NULL;
}
