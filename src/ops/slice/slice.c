/* Slice-10: x[start:end:step] along some axes, as Python does it.
 *
 * A negative start or end counts from the end; both are then clamped to the dim. Symbolic limits
 * are clamped in expressions, with the clamps left out where they provably do nothing. */
#include <string.h>

#include "ir/gradient.h"
#include "ops/moving.h"

static const tn_port ins[] = {
    {"data", TN_DTS_ANY, 'T', 0},
    {"starts", TN_DTS_INDEX, 'I', 0},
    {"ends", TN_DTS_INDEX, 'I', 0},
    {"axes", TN_DTS_INDEX, 'I', TN_PORT_OPTIONAL},
    {"steps", TN_DTS_INDEX, 'I', TN_PORT_OPTIONAL},
};
static const tn_port outs[] = {{"output", TN_DTS_ANY, 'T', 0}};
extern const tn_op tn_op_slice;

/* Exporters write "to the end" as any of these or more. */
#define FAR INT32_MAX

/* First element and count along an axis, all numbers. */
static void clamp_limits(int64_t dim, int64_t start, int64_t end, int64_t step, int64_t *first,
                         int64_t *count)
{
    int64_t low = step > 0 ? 0 : -1, high = step > 0 ? dim : dim - 1;
    if (start < 0) start += dim;
    if (end < 0) end += dim;
    start = TN_MIN(TN_MAX(start, 0), high);
    end = TN_MIN(TN_MAX(end, low), high);
    *first = start;
    /* |step| as unsigned: INT64_MIN has no positive twin. */
    uint64_t stride = step > 0 ? (uint64_t)step : -(uint64_t)step;
    int64_t span = step > 0 ? end - start : start - end;
    *count = span <= 0 || dim <= 0 ? 0 : (int64_t)(((uint64_t)span - 1) / stride + 1);
}

/* A start or end brought into [0, dim] (backward: [-1, dim - 1]). */
static tn_expr clamp_expr(tn_exprs *x, tn_expr limit, tn_expr dim, bool backward, bool is_start)
{
    int64_t value;
    tn_expr zero = tn_expr_const(x, 0), low = tn_expr_const(x, backward && !is_start ? -1 : 0);
    tn_expr high = backward ? tn_expr_sub(x, dim, tn_expr_const(x, 1)) : dim;
    if (tn_expr_is_const(x, limit, &value)) {
        if (value >= FAR) return high;
        if (value <= -FAR) return low;
        if (value >= 0) {
            if (tn_expr_at_least(x, high, value)) return limit;
            return tn_expr_min(x, limit, high);
        }
        if (backward && is_start && value == -1) return high;
        tn_expr from_end = tn_expr_add(x, dim, limit);
        return tn_expr_at_least(x, from_end, 0) ? from_end : tn_expr_max(x, from_end, low);
    }
    tn_expr forward = tn_expr_min(x, limit, high);
    if (tn_expr_at_least(x, limit, 0))
        return tn_expr_at_least(x, tn_expr_sub(x, high, limit), 0) ? limit : forward;
    tn_expr from_end = tn_expr_max(x, tn_expr_add(x, dim, limit), low);
    if (tn_expr_at_least(x, tn_expr_sub(x, tn_expr_const(x, -1), limit), 0)) return from_end;
    return tn_expr_select(x, tn_expr_lt(x, limit, zero), from_end, forward);
}

static tn_expr sliced_dim(tn_exprs *x, tn_expr dim, tn_expr start, tn_expr end, int64_t step)
{
    int64_t d, s, e, first, count;
    bool start_known = tn_expr_is_const(x, start, &s), end_known = tn_expr_is_const(x, end, &e);
    if (start_known && end_known && tn_expr_is_const(x, dim, &d)) {
        clamp_limits(d, s, e, step, &first, &count);
        return tn_expr_const(x, count);
    }
    if (!dim || !start || !end || step <= -FAR) return TN_EXPR_NONE;
    /* The last k of them: min(k, dim). */
    if (start_known && end_known && step == 1 && s < 0 && s > -FAR && e >= FAR) {
        tn_expr last = tn_expr_const(x, -s);
        return tn_expr_at_least(x, dim, -s) ? last : tn_expr_min(x, last, dim);
    }
    bool backward = step < 0;
    tn_expr from = clamp_expr(x, start, dim, backward, true);
    tn_expr to = clamp_expr(x, end, dim, backward, false);
    tn_expr span = backward ? tn_expr_sub(x, from, to) : tn_expr_sub(x, to, from);
    /* All but the first k: the plain form max(dim - k, 0), the same as all but the last k. */
    if (!backward && start_known && end_known && s >= 0 && s < FAR && e >= FAR)
        span = tn_expr_sub(x, dim, start);
    if (!tn_expr_at_least(x, span, 0)) span = tn_expr_max(x, span, tn_expr_const(x, 0));
    tn_expr length = tn_expr_ceil_div(x, span, tn_expr_const(x, backward ? -step : step));
    /* Backward, the clamps meet an empty axis at -1 and 0, which is one element too many. */
    if (backward && !tn_expr_at_least(x, dim, 1)) length = tn_expr_min(x, length, dim);
    return length;
}

/* Values of a vector, picked by constant limits. */
static void slice_known(tn_infer *f, int64_t start, int64_t end, int64_t step)
{
    const tn_expr *at;
    tn_expr picked[TN_KNOWN_MAX];
    int64_t length, first, count;
    if (f->in[0].rank != 1 || !tn_infer_exprs(f, 0, &at, &length)) return;
    clamp_limits(length, start, end, step, &first, &count);
    if (count > TN_KNOWN_MAX) return;
    for (int64_t i = 0; i < count; i++) picked[i] = at[first + i * step];
    tn_infer_set_known(f, 0, picked, count);
}

static tn_status infer(tn_infer *f)
{
    const tn_type *x = &f->in[0];
    const tn_expr *start = NULL, *end = NULL;
    int64_t start_count = -1, end_count = -1, length, step[TN_RANK_MAX], s, e;
    int axis[TN_RANK_MAX], axis_count, step_count = -1;
    bool axes_known;
    if (x->rank < 0) {
        tn_infer_set(f, 0, x->dtype, -1, NULL);
        return NULL;
    }
    TN_TRY(tn_infer_axes_input(f, 3, x->rank, axis, &axis_count, &axes_known));
    if (!tn_infer_exprs(f, 1, &start, &start_count)) start = NULL;
    if (!tn_infer_exprs(f, 2, &end, &end_count)) end = NULL;
    length = start ? start_count : end ? end_count : tn_infer_length(f, 1);
    if (!tn_infer_has(f, 3)) {
        TN_CHECK(length <= x->rank, TN_INVALID, "%lld starts are given for a tensor of rank %d",
                 (long long)length, x->rank);
        axes_known = length >= 0;
        axis_count = (int)length;
        for (int i = 0; i < length; i++) axis[i] = i;
    }
    if (!axes_known) {
        tn_infer_set_fresh(f, 0, x->dtype, x->rank);
        return NULL;
    }
    bool steps_known = !tn_infer_has(f, 4) || tn_infer_ints(f, 4, step, TN_RANK_MAX, &step_count);
    TN_CHECK((!start || start_count == axis_count) && (!end || end_count == axis_count) &&
                 (step_count < 0 || step_count == axis_count),
             TN_INVALID, "starts, ends, axes and steps differ in length");
    tn_expr dim[TN_RANK_MAX];
    for (int i = 0; i < x->rank; i++) dim[i] = x->dim[i];
    for (int i = 0; i < axis_count; i++) {
        int64_t stride = step_count < 0 ? 1 : step[i];
        TN_CHECK(stride != 0, TN_INVALID, "the step along axis %d is 0", axis[i]);
        tn_expr *d = &dim[axis[i]];
        *d = steps_known && start && end ? sliced_dim(f->exprs, *d, start[i], end[i], stride)
                                         : TN_EXPR_NONE;
        if (!*d) *d = tn_infer_fresh(f);
    }
    tn_infer_set(f, 0, x->dtype, x->rank, dim);
    if (axis_count == 1 && steps_known && start && end &&
        tn_expr_is_const(f->exprs, start[0], &s) && tn_expr_is_const(f->exprs, end[0], &e))
        slice_known(f, s, e, step_count < 0 ? 1 : step[0]);
    else if (axis_count == 0) tn_infer_pass_known(f, 0);
    return NULL;
}

/* Where the part lies in the whole: the first element and the step along each axis, in elements.
 * The limits are the inputs from `first` on. *nothing: the part is empty. */
static tn_status find_part(const tn_problem *p, int first, const tn_tensor *whole,
                           const tn_tensor *part, int64_t *at, int64_t *part_step, bool *nothing)
{
    const tn_tensor *starts = &p->in[first], *ends = &p->in[first + 1];
    const tn_tensor *axes = p->in_count > first + 2 ? &p->in[first + 2] : NULL;
    const tn_tensor *steps = p->in_count > first + 3 ? &p->in[first + 3] : NULL;
    if (steps && !steps->dtype) steps = NULL;
    int axis[TN_RANK_MAX], axis_count = (int)TN_MIN(tn_tensor_count(starts), TN_RANK_MAX);
    for (int i = 0; i < axis_count; i++) axis[i] = i;
    if (axes && axes->dtype) TN_TRY(tn_launch_axes(axes, whole->rank, axis, &axis_count));
    TN_CHECK(tn_tensor_count(starts) == axis_count && tn_tensor_count(ends) == axis_count &&
                 (!steps || tn_tensor_count(steps) == axis_count) && axis_count <= whole->rank,
             TN_INVALID, "starts, ends, axes and steps differ in length");
    for (int i = 0; i < axis_count; i++) {
        int a = axis[i];
        int64_t step = steps ? tn_load_i64(steps->dtype, steps->data, i) : 1, begin, count;
        TN_CHECK(step != 0, TN_INVALID, "the step along axis %d is 0", a);
        clamp_limits(whole->dim[a], tn_load_i64(starts->dtype, starts->data, i),
                     tn_load_i64(ends->dtype, ends->data, i), step, &begin, &count);
        TN_CHECK(count == part->dim[a], TN_INVALID,
                 "axis %d: the limits give %lld elements, the output has %lld", a, (long long)count,
                 (long long)part->dim[a]);
        if (count == 0) *nothing = true;
        else *at += begin * part_step[a];
        part_step[a] = count > 1 ? part_step[a] * step : 0;
    }
    return NULL;
}

static tn_status reference(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_tensor *x = &p->in[0], *y = &p->out[0];
    bool nothing = false;
    tn_move move = tn_move_of(x, y, y);
    TN_TRY(find_part(p, 1, x, y, &move.src_at, move.src_step, &nothing));
    if (!nothing) tn_move_run(&move);
    return NULL;
}

/* ---- The gradient: the part put back into zeros ----------------------------------------------*/

static const tn_port gradient_ins[] = {
    {"dY", TN_DTS_FLOAT, 'T', 0},
    {"data", TN_DTS_FLOAT, 'T', 0},
    {"starts", TN_DTS_INDEX, 'I', 0},
    {"ends", TN_DTS_INDEX, 'I', 0},
    {"axes", TN_DTS_INDEX, 'I', TN_PORT_OPTIONAL},
    {"steps", TN_DTS_INDEX, 'I', TN_PORT_OPTIONAL},
};
static const tn_port gradient_outs[] = {{"dX", TN_DTS_FLOAT, 'T', 0}};

static void gradient(tn_gradient *g)
{
    tn_value *in[6] = {g->dy[0]};
    for (int i = 0; i < 5; i++) in[1 + i] = tn_gradient_input(g, i);
    tn_gradient_give(g, 0, tn_gradient_op(g, "SliceGradient", in, 6, TN_PLAIN));
}

static tn_status infer_gradient(tn_infer *f)
{
    tn_infer_same(f, 0, 1);
    return NULL;
}

static tn_status reference_gradient(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_tensor *dy = &p->in[0], *dx = &p->out[0];
    bool nothing = false;
    tn_move move = tn_move_of(dy, dx, dy);
    TN_CHECK(dy->rank == dx->rank, TN_INVALID, "the slice has rank %d, the whole %d", dy->rank,
             dx->rank);
    if (tn_tensor_count(dx)) memset(dx->data, 0, (size_t)tn_tensor_bytes(dx));
    for (int i = 0; i < dy->rank; i++)
        TN_CHECK(dy->dim[i] <= dx->dim[i], TN_INVALID, "the slice is larger than the whole");
    TN_TRY(find_part(p, 2, dx, dy, &move.dst_at, move.dst_step, &nothing));
    if (!nothing && tn_tensor_count(dy)) tn_move_run(&move);
    return NULL;
}

static const tn_case gradient_cases[] = {
    {.problem = "SliceGradient f32[1,2]={5,7} f32[2,4] i64[2]={1,0} i64[2]={2,3} i64[2]={0,1} "
                "i64[2]={1,2}",
     .expect = "f32[2,4]={0,0,0,0,5,0,7,0}"},
    {.problem = "SliceGradient f32[3]={5,3,1} f32[5] i64[1]={-1} i64[1]={-9223372036854775808} "
                "i64[1]={0} i64[1]={-2}",
     .expect = "f32[5]={1,0,3,0,5}"},
    {.problem = "SliceGradient f32[0]={} f32[3] i64[1]={2} i64[1]={1}", .expect = "f32[3]={0,0,0}"},
    {.problem = "SliceGradient f16[2,3] f16[4,3] i64[1]={1} i64[1]={3}"},
    {0},
};

/* Slice-1 had starts, ends and axes as attributes. */
static tn_status upgrade_below_10(tn_graph *graph, tn_node *node)
{
    TN_TRY(tn_upgrade_ints_to_input(graph, node, "starts", 1));
    TN_TRY(tn_upgrade_ints_to_input(graph, node, "ends", 2));
    return tn_upgrade_ints_to_input(graph, node, "axes", 3);
}

/* DynamicSlice-1 was the experiment that Slice-10 came from: the same inputs, without steps. */
static tn_status become_slice(tn_graph *graph, tn_node *node)
{
    (void)graph;
    tn_node_set_op(node, &tn_op_slice);
    return NULL;
}

static const tn_case cases[] = {
    {.problem =
         "Slice f32[2,4]={1,2,3,4,5,6,7,8} i64[2]={1,0} i64[2]={2,3} i64[2]={0,1} i64[2]={1,2}",
     .expect = "f32[1,2]={5,7}"},
    {.problem = "Slice f32[2,4]={1,2,3,4,5,6,7,8} i64[2]={0,1} i64[2]={-1,1000}",
     .expect = "f32[1,3]={2,3,4}"},
    {.problem = "Slice i32[5]={1,2,3,4,5} i64[1]={-1} i64[1]={-9223372036854775808} i64[1]={0} "
                "i64[1]={-2}",
     .expect = "i32[3]={5,3,1}"},
    {.problem = "Slice u4[5]={1,2,3,4,5} i32[1]={-3} i32[1]={2147483647} i32[1]={-1}",
     .expect = "u4[3]={3,4,5}"},
    {.problem = "Slice f32[20,10,5] i64[1]={1} i64[1]={9223372036854775807} i64[1]={1}"},
    {.problem = "Slice f32[20,10,5] i64[2]={20,10} i64[2]={0,2} i64[2]={0,1} i64[2]={-3,-1}"},
    {.problem = "Slice f32[20,10,5] i64[1]={30} i64[1]={40} i64[1]={1}",
     .expect = "f32[20,0,5]={}"},
    {0},
};

const tn_op tn_op_slice = {
    .name = "Slice",
    .since = 10,
    .about = "x[start:end:step] along the axes given, as Python slices",
    .in = ins,
    .in_count = TN_COUNT(ins),
    .out = outs,
    .out_count = TN_COUNT(outs),
    .infer = infer,
    .reference = reference,
    .upgrade = {{10, upgrade_below_10}},
    .gradient = gradient,
    .cases = cases,
};

const tn_op tn_op_slice_gradient = {
    .name = "SliceGradient",
    .domain = "tenon",
    .since = 1,
    .about = "zeros of the shape of data, with dY where Slice would read",
    .in = gradient_ins,
    .in_count = TN_COUNT(gradient_ins),
    .out = gradient_outs,
    .out_count = TN_COUNT(gradient_outs),
    .infer = infer_gradient,
    .reference = reference_gradient,
    .shape_inputs = 1 << 1,
    .cases = gradient_cases,
};

const tn_op tn_op_dynamic_slice = {
    .name = "DynamicSlice",
    .since = 1,
    .about = "Slice as an experimental operator of ONNX 1.2 to 1.4",
    .in = ins,
    .in_count = TN_COUNT(ins) - 1,
    .out = outs,
    .out_count = TN_COUNT(outs),
    .infer = infer,
    .upgrade = {{INT32_MAX, become_slice}},
};
