/* Steps on sequences and optionals, by the name of their operator. A list belongs to the tensor of
 * the plan that it is; what goes into it is copied, and what comes out too. */
#include <inttypes.h>
#include <string.h>

#include "exec/context.h"

typedef struct sequence_step {
    tn_context *context;
    const tn_plan_step *step;
    tn_problem *p;
} sequence_step;

static bool is_list(const sequence_step *s, int32_t tensor)
{
    return s->context->plan->tensor[tensor].kind != TN_PLAN_TENSOR;
}

static bool has(const sequence_step *s, int32_t k)
{
    return k < s->step->in_count && s->step->in[k] >= 0;
}

static const tn_list *in_list(const sequence_step *s, int32_t k)
{
    return s->context->list_at[s->step->in[k]];
}

static tn_list *out_list(const sequence_step *s)
{
    tn_list *list = &s->context->list[s->step->out[0]];
    list->present = true;
    return list;
}

static tn_status put_tensor(sequence_step *s, const tn_tensor *from)
{
    tn_tensor out;
    TN_TRY(tn_step_give(s->context, s->step, 0, from, &out));
    return tn_tensor_count(from) > 0 ? tn_tensor_copy(from, &out) : NULL;
}

static tn_status put_number(sequence_step *s, tn_dtype dtype, int64_t value)
{
    tn_tensor found = tn_tensor_of(dtype, NULL, 0, NULL), out;
    TN_TRY(tn_step_give(s->context, s->step, 0, &found, &out));
    tn_store_i64(dtype, out.data, 0, value);
    return NULL;
}

/* A position in [-count, count), or with `behind` up to count, counted from the end if negative. */
static tn_status read_position(const sequence_step *s, int32_t k, const tn_list *list, bool behind,
                               int64_t *out)
{
    const tn_tensor *t = &s->p->in[k];
    TN_CHECK((t->dtype == TN_DTYPE_I32 || t->dtype == TN_DTYPE_I64) && tn_tensor_count(t) == 1,
             TN_INVALID, "the position in a sequence must be one number of i32 or i64");
    int64_t at = tn_load_i64(t->dtype, t->data, 0), count = list->count;
    *out = at < 0 ? at + count : at;
    TN_CHECK(*out >= 0 && *out < count + behind, TN_INVALID,
             "position %" PRId64 " is outside a sequence of %" PRId64 " tensors", at, count);
    return NULL;
}

/* ---- Sequences -------------------------------------------------------------------------------*/

static tn_status run_identity(sequence_step *s)
{
    return tn_list_copy(in_list(s, 0), &s->context->list[s->step->out[0]]);
}

static tn_status run_empty(sequence_step *s)
{
    return tn_list_resize(out_list(s), 0);
}

static tn_status run_construct(sequence_step *s)
{
    tn_list *list = out_list(s);
    TN_TRY(tn_list_resize(list, s->step->in_count));
    for (int32_t k = 0; k < s->step->in_count; k++) TN_TRY(tn_list_set_item(list, k, &s->p->in[k]));
    return NULL;
}

static tn_status run_insert(sequence_step *s)
{
    tn_list *list = out_list(s);
    TN_TRY(tn_list_copy(in_list(s, 0), list));
    int64_t at = list->count;
    if (has(s, 2)) TN_TRY(read_position(s, 2, list, true, &at));
    TN_TRY(tn_list_open(list, at));
    return tn_list_set_item(list, at, &s->p->in[1]);
}

static tn_status run_erase(sequence_step *s)
{
    tn_list *list = out_list(s);
    TN_TRY(tn_list_copy(in_list(s, 0), list));
    int64_t at = list->count - 1;
    TN_CHECK(list->count > 0, TN_INVALID, "an empty sequence has nothing to erase");
    if (has(s, 1)) TN_TRY(read_position(s, 1, list, false, &at));
    tn_list_erase(list, at);
    return NULL;
}

static tn_status run_at(sequence_step *s)
{
    const tn_list *list = in_list(s, 0);
    int64_t at;
    TN_CHECK(has(s, 1), TN_INVALID, "no position is given");
    TN_TRY(read_position(s, 1, list, false, &at));
    return put_tensor(s, &list->item[at].tensor);
}

static tn_status run_length(sequence_step *s)
{
    return put_number(s, TN_DTYPE_I64, in_list(s, 0)->count);
}

/* ---- To and from one tensor ------------------------------------------------------------------*/

/* [begin, begin + count) along an axis, as a view. */
static tn_status range_of(const tn_tensor *whole, int axis, int64_t begin, int64_t count,
                          tn_tensor *out)
{
    int64_t bits = tn_dtype_bits(whole->dtype);
    TN_CHECK(bits % 8 == 0, TN_UNSUPPORTED, "tensors of %s cannot be taken apart",
             tn_dtype_name(whole->dtype));
    *out = *whole;
    out->dim[axis] = count;
    if (tn_tensor_count(whole) > 0)
        out->data = (char *)whole->data + begin * whole->stride[axis] * (bits / 8);
    return NULL;
}

static void drop_axis(tn_tensor *t, int axis)
{
    for (int i = axis + 1; i < t->rank; i++) {
        t->dim[i - 1] = t->dim[i];
        t->stride[i - 1] = t->stride[i];
    }
    t->rank--;
}

static tn_status concat_type(const tn_list *list, int64_t axis_given, bool added, int *axis,
                             tn_tensor *out)
{
    char a[128], b[128];
    TN_CHECK(list->count > 0, TN_INVALID, "an empty sequence cannot be joined to a tensor");
    const tn_tensor *first = &list->item[0].tensor;
    *axis = tn_axis_normal(axis_given, first->rank + added);
    TN_CHECK(*axis >= 0 && first->rank + added <= TN_RANK_MAX, TN_INVALID,
             "tensors %s cannot be joined along axis %" PRId64,
             tn_tensor_type_text(first, a, sizeof(a)), axis_given);
    *out = *first;
    out->rank += added;
    for (int i = out->rank - 1; added && i > *axis; i--) out->dim[i] = first->dim[i - 1];
    out->dim[*axis] = 0;
    for (int64_t i = 0; i < list->count; i++) {
        const tn_tensor *t = &list->item[i].tensor;
        bool fits = t->dtype == first->dtype && t->rank == first->rank;
        for (int k = 0; fits && k < t->rank; k++)
            fits = t->dim[k] == first->dim[k] || (!added && k == *axis);
        TN_CHECK(fits, TN_INVALID, "%s and %s cannot be joined along axis %d",
                 tn_tensor_type_text(first, a, sizeof(a)), tn_tensor_type_text(t, b, sizeof(b)),
                 *axis);
        TN_CHECK(
            !__builtin_add_overflow(out->dim[*axis], added ? 1 : t->dim[*axis], &out->dim[*axis]),
            TN_INVALID, "the tensors of a sequence are too long to join");
    }
    TN_CHECK(tn_tensor_bytes(out) >= 0, TN_INVALID, "the joined tensor is larger than any memory");
    tn_tensor_set_dense(out);
    return NULL;
}

static tn_status run_concat(sequence_step *s)
{
    const tn_list *list = in_list(s, 0);
    bool added = s->step->number[1] != 0;
    int64_t begin = 0;
    tn_tensor found, out, view;
    int axis;
    TN_TRY(concat_type(list, s->step->number[0], added, &axis, &found));
    TN_TRY(tn_step_give(s->context, s->step, 0, &found, &out));
    for (int64_t i = 0; i < list->count; i++) {
        const tn_tensor *t = &list->item[i].tensor;
        int64_t count = added ? 1 : t->dim[axis];
        TN_TRY(range_of(&out, axis, begin, count, &view));
        if (added) drop_axis(&view, axis);
        if (tn_tensor_count(t) > 0) TN_TRY(tn_tensor_copy(t, &view));
        begin += count;
    }
    return NULL;
}

/* Strings with strides are made dense first: a list takes only dense ones. */
static tn_status set_view(sequence_step *s, tn_list *list, int64_t index, const tn_tensor *view)
{
    tn_tensor dense = *view;
    if (view->dtype != TN_DTYPE_STRING) return tn_list_set_item(list, index, view);
    dense.data = tn_arena_alloc(&s->context->text, (size_t)tn_tensor_bytes(view));
    TN_CHECK(dense.data, TN_OUT_OF_MEMORY, "no memory for a piece of a tensor");
    tn_tensor_set_dense(&dense);
    if (tn_tensor_count(view) > 0) TN_TRY(tn_tensor_copy(view, &dense));
    return tn_list_set_item(list, index, &dense);
}

static tn_status run_split(sequence_step *s)
{
    const tn_tensor *in = &s->p->in[0], *split = has(s, 1) ? &s->p->in[1] : NULL;
    tn_list *list = out_list(s);
    int axis = tn_axis_normal(s->step->number[0], in->rank);
    int64_t begin = 0, size = 1, pieces;
    tn_tensor view;
    TN_CHECK(axis >= 0, TN_INVALID, "there is no axis %" PRId64 " to split along",
             s->step->number[0]);
    int64_t length = in->dim[axis];
    TN_CHECK(!split || ((split->dtype == TN_DTYPE_I32 || split->dtype == TN_DTYPE_I64) &&
                        split->rank <= 1),
             TN_INVALID, "the sizes to split by must be a number or a list of i32 or i64");
    if (split && split->rank == 0) size = tn_load_i64(split->dtype, split->data, 0);
    TN_CHECK(size > 0, TN_INVALID, "a tensor cannot be split into pieces of %" PRId64, size);
    pieces =
        split && split->rank == 1 ? tn_tensor_count(split) : length / size + (length % size > 0);
    TN_TRY(tn_list_resize(list, pieces));
    for (int64_t i = 0; i < pieces; i++) {
        int64_t count = TN_MIN(size, length - begin);
        if (split && split->rank == 1) count = tn_load_i64(split->dtype, split->data, i);
        TN_CHECK(count >= 0 && count <= length - begin, TN_INVALID,
                 "the sizes to split by are more than the %" PRId64 " of axis %d", length, axis);
        TN_TRY(range_of(in, axis, begin, count, &view));
        if (!split && s->step->number[1] == 0) drop_axis(&view, axis);
        TN_TRY(set_view(s, list, i, &view));
        begin += count;
    }
    TN_CHECK(begin == length, TN_INVALID,
             "the sizes to split by are %" PRId64 " in all, axis %d has %" PRId64, begin, axis,
             length);
    return NULL;
}

/* ---- Optionals -------------------------------------------------------------------------------*/

static tn_status run_optional(sequence_step *s)
{
    tn_list *list = out_list(s);
    list->present = has(s, 0);
    if (!has(s, 0)) return tn_list_resize(list, 0);
    if (is_list(s, s->step->in[0])) {
        TN_TRY(tn_list_copy(in_list(s, 0), list));
        list->present = true;
        return NULL;
    }
    TN_TRY(tn_list_resize(list, 1));
    return tn_list_set_item(list, 0, &s->p->in[0]);
}

static tn_status run_get(sequence_step *s)
{
    if (!is_list(s, s->step->in[0])) return put_tensor(s, &s->p->in[0]);
    const tn_list *from = in_list(s, 0);
    bool sequence = s->context->plan->tensor[s->step->in[0]].kind == TN_PLAN_SEQUENCE;
    TN_CHECK(sequence || from->present, TN_INVALID, "the optional '%s' reads is absent",
             s->step->name);
    if (is_list(s, s->step->out[0])) return tn_list_copy(from, out_list(s));
    TN_CHECK(from->count == 1, TN_INVALID, "the optional '%s' reads holds no tensor",
             s->step->name);
    return put_tensor(s, &from->item[0].tensor);
}

static tn_status run_has(sequence_step *s)
{
    bool present = has(s, 0);
    if (present && is_list(s, s->step->in[0])) {
        bool sequence = s->context->plan->tensor[s->step->in[0]].kind == TN_PLAN_SEQUENCE;
        present = sequence || in_list(s, 0)->present;
    }
    return put_number(s, TN_DTYPE_BOOL, present);
}

/* ---- The table -------------------------------------------------------------------------------*/

/* Ports: T a tensor, L a list, A either; small letters may be absent; '*' the one before, again and
 * again. numbers: how many the step has. */
static const struct {
    const char *op, *in, *out;
    int numbers;
    tn_status (*run)(sequence_step *s);
} rows[] = {
    {"Identity", "L", "L", 0, run_identity},
    {"SequenceEmpty", "", "L", 0, run_empty},
    {"SequenceConstruct", "T*", "L", 0, run_construct},
    {"SequenceInsert", "LTt", "L", 0, run_insert},
    {"SequenceErase", "Lt", "L", 0, run_erase},
    {"SequenceAt", "Lt", "T", 0, run_at},
    {"SequenceLength", "L", "T", 0, run_length},
    {"ConcatFromSequence", "L", "T", 2, run_concat},
    {"SplitToSequence", "Tt", "L", 2, run_split},
    {"Optional", "a", "L", 0, run_optional},
    {"OptionalGetElement", "A", "A", 0, run_get},
    {"OptionalHasElement", "a", "T", 0, run_has},
};

tn_status tn_step_run_sequence(tn_context *context, int32_t index)
{
    const tn_plan_step *step = &context->plan->step[index];
    sequence_step s = {context, step, &context->now->step[index].problem};
    TN_TRY(tn_step_read(context, step, s.p));
    for (size_t i = 0; i < TN_COUNT(rows); i++)
        if (!strcmp(rows[i].op, step->op)) return rows[i].run(&s);
    TN_FAIL(TN_INTERNAL, "there is no step %s", step->op);
}

static bool fits(const tn_plan *plan, const int32_t *at, int32_t count, const char *ports)
{
    for (int32_t k = 0; k < count; k++) {
        char port = *ports;
        if (!port) return false;
        if (ports[1] != '*') ports++;
        bool optional = port == 't' || port == 'l' || port == 'a';
        if (at[k] < 0 && !optional) return false;
        if (at[k] < 0 || port == 'A' || port == 'a') continue;
        bool list = plan->tensor[at[k]].kind != TN_PLAN_TENSOR;
        if (list != (port == 'L' || port == 'l')) return false;
    }
    while (*ports == 't' || *ports == 'a') ports++;
    return !*ports || ports[1] == '*';
}

tn_status tn_plan_verify_sequence(const tn_plan *plan, const tn_plan_step *step)
{
    for (size_t i = 0; i < TN_COUNT(rows); i++) {
        if (strcmp(rows[i].op, step->op) != 0) continue;
        TN_CHECK(fits(plan, step->in, step->in_count, rows[i].in) && step->out_count == 1 &&
                     fits(plan, step->out, 1, rows[i].out) && step->number_count == rows[i].numbers,
                 TN_CORRUPT, "plan: %s '%s' does not have what it needs", step->op, step->name);
        return NULL;
    }
    TN_FAIL(TN_CORRUPT, "plan: there is no step %s on sequences", step->op);
}
