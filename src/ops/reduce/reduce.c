/* The reductions. One running state for each output element lies in scratch; the input is read once
 * in order, and the output, seen with its reduced axes kept as 1, is a broadcast operand of that
 * walk.
 *
 * Older opsets had the axes as an attribute: it becomes the input. */
#include "ops/reduce/reduce.h"

#include <math.h>
#include <string.h>

#include "ir/gradient.h"
#include "ops/elementwise/elementwise.h"
#include "ops/moving.h"

#define TYPES (TN_DTS_FLOAT | TN_DTS_INDEX | TN_DT(U32) | TN_DT(U64))
#define TYPES_ORDER (TYPES | TN_DT(I8) | TN_DT(U8) | TN_DT(BOOL))

static const tn_field fields[] = {
    TN_INT(tn_reduce_params, keepdims, 1),
    TN_INT(tn_reduce_params, noop_with_empty_axes, 0),
};

typedef struct reduce_state {
    double value, scaled; /* scaled: LogSumExp's sum of e^(x - value), value being the largest x */
    int64_t whole;
} reduce_state;

typedef enum reduce_start { ZERO, ONE, LOWEST, HIGHEST } reduce_start;
typedef void (*reduce_step_f)(reduce_state *s, double x);
typedef void (*reduce_step_i)(reduce_state *s, int64_t x, bool is_unsigned);
typedef double (*reduce_done)(const reduce_state *s, int64_t count);

/* ---- Steps
 * ---------------------------------------------------------------------------------------*/

#define STEP(name, result)                                                                         \
    static void name##_f(reduce_state *s, double x)                                                \
    {                                                                                              \
        s->value = result;                                                                         \
    }
STEP(add, s->value + x)
STEP(add_abs, s->value + fabs(x))
STEP(add_square, s->value + x * x)
STEP(mul, s->value *x)
STEP(max, s->value > x || isnan(s->value) ? s->value : x)
STEP(min, s->value < x || isnan(s->value) ? s->value : x)
#undef STEP

/* Streaming: the sum is kept relative to the largest value so far, so that no exponential
 * overflows. */
static void add_exp_f(reduce_state *s, double x)
{
    if (x == s->value) {
        if (!isinf(x) || x > 0) s->scaled += 1;
    } else if (x > s->value) {
        s->scaled = s->scaled * exp(s->value - x) + 1;
        s->value = x;
    } else {
        s->scaled += exp(x - s->value);
    }
}

#define STEP(name, result)                                                                         \
    static void name##_i(reduce_state *s, int64_t x, bool is_unsigned)                             \
    {                                                                                              \
        uint64_t a = (uint64_t)s->whole, b = (uint64_t)x;                                          \
        (void)a, (void)b, (void)is_unsigned;                                                       \
        s->whole = (int64_t)(result);                                                              \
    }
STEP(add, a + b)
STEP(add_abs, a + (!is_unsigned && x < 0 ? 0 - b : b))
STEP(add_square, a + b * b)
STEP(mul, a *b)
STEP(max, (is_unsigned ? a > b : s->whole > x) ? a : b)
STEP(min, (is_unsigned ? a < b : s->whole < x) ? a : b)
#undef STEP

static double done_sum(const reduce_state *s, int64_t count)
{
    (void)count;
    return s->value;
}

static double done_mean(const reduce_state *s, int64_t count)
{
    return s->value / (double)count;
}

static double done_root(const reduce_state *s, int64_t count)
{
    (void)count;
    return sqrt(s->value);
}

static double done_log(const reduce_state *s, int64_t count)
{
    (void)count;
    return log(s->value);
}

static double done_log_exp(const reduce_state *s, int64_t count)
{
    (void)count;
    return s->scaled == 0 ? -INFINITY : s->value + log(s->scaled);
}

/* ---- Known values
 * -------------------------------------------------------------------------------*/

#define KNOWN(name, none, combine)                                                                 \
    static tn_expr known_##name(tn_exprs *exprs, const tn_expr *in, int count)                     \
    {                                                                                              \
        tn_expr so_far = count > 0 ? in[0] : none;                                                 \
        for (int k = 1; k < count; k++) so_far = combine(exprs, so_far, in[k]);                    \
        return so_far;                                                                             \
    }
KNOWN(sum, tn_expr_const(exprs, 0), tn_expr_add)
KNOWN(prod, tn_expr_const(exprs, 1), tn_expr_mul)
KNOWN(max, TN_EXPR_NONE, tn_expr_max)
KNOWN(min, TN_EXPR_NONE, tn_expr_min)
#undef KNOWN

static void infer_known(tn_infer *f, bool reduced, tn_known_map known)
{
    const tn_expr *at;
    int64_t count;
    tn_dtype dtype = f->in[0].dtype;
    if (!known || !tn_elementwise_tells(dtype) || f->in[0].rank < 0 || f->in[0].rank > 1) return;
    if (!tn_infer_exprs(f, 0, &at, &count) || count > TN_KNOWN_MAX) return;
    if (!reduced) {
        tn_infer_set_known(f, 0, at, count);
        return;
    }
    bool whole = true;
    for (int64_t k = 0; k < count; k++) whole = whole && at[k] != TN_EXPR_NONE;
    if (!whole) return;
    tn_expr value = tn_elementwise_fit(f->exprs, dtype, known(f->exprs, at, (int)count));
    if (value != TN_EXPR_NONE) tn_infer_set_known(f, 0, &value, 1);
}

/* ---- Shapes
 * -------------------------------------------------------------------------------------*/

/* No axes at all: every axis, or none. */
static void mark_default(const tn_reduce_params *params, bool *reduced)
{
    for (int axis = 0; axis < TN_RANK_MAX; axis++) reduced[axis] = !params->noop_with_empty_axes;
}

/* Which axes are reduced is not known yet: only the rank can be told, and not always. */
static void infer_unknown_axes(tn_infer *f, const tn_reduce_params *params)
{
    tn_expr dim[TN_RANK_MAX];
    int64_t length = tn_infer_length(f, 1);
    int rank = f->in[0].rank;
    if (!params->keepdims) rank = length > 0 && length <= rank ? rank - (int)length : -1;
    for (int axis = 0; axis < rank; axis++) dim[axis] = tn_infer_fresh(f);
    tn_infer_set(f, 0, f->in[0].dtype, rank, dim);
}

static tn_status infer_reduce(tn_infer *f, tn_known_map known)
{
    const tn_reduce_params *params = f->params;
    bool reduced[TN_RANK_MAX] = {false};
    int64_t axes[2 * TN_RANK_MAX];
    int count = 0, rank = f->in[0].rank, out_rank = 0;
    tn_expr dim[TN_RANK_MAX];
    bool given = tn_infer_has(f, 1);
    if (rank < 0) {
        tn_infer_set(f, 0, f->in[0].dtype, -1, NULL);
        return NULL;
    }
    if (given && !tn_infer_ints(f, 1, axes, (int)TN_COUNT(axes), &count)) {
        infer_unknown_axes(f, params);
        return NULL;
    }
    if (count == 0) mark_default(params, reduced);
    for (int k = 0; k < count; k++) {
        int axis;
        TN_TRY(tn_infer_axis(f, axes[k], rank, &axis));
        TN_CHECK(!reduced[axis], TN_INVALID, "axis %d is given twice", axis);
        reduced[axis] = true;
    }
    for (int axis = 0; axis < rank; axis++) {
        if (!reduced[axis]) dim[out_rank++] = f->in[0].dim[axis];
        else if (params->keepdims) dim[out_rank++] = tn_expr_const(f->exprs, 1);
    }
    tn_infer_set(f, 0, f->in[0].dtype, out_rank, dim);
    infer_known(f, rank == 0 || reduced[0], known);
    return NULL;
}

/* ---- The operator
 * -------------------------------------------------------------------------------*/

static size_t scratch_bytes(const tn_problem *p)
{
    return (size_t)tn_tensor_count(&p->out[0]) * sizeof(reduce_state);
}

/* The output's shape with reduced axes kept as 1. */
static tn_status keep_shape(const tn_problem *p, tn_tensor *kept)
{
    const tn_tensor *x = &p->in[0], *axes = p->in_count > 1 ? &p->in[1] : NULL;
    int64_t count = axes && axes->dtype != TN_DTYPE_NONE ? tn_tensor_count(axes) : 0;
    bool reduced[TN_RANK_MAX] = {false};
    if (count == 0) mark_default(p->params, reduced);
    for (int64_t k = 0; k < count; k++) {
        int64_t given = tn_load_i64(axes->dtype, axes->data, k);
        int axis = tn_axis_normal(given, x->rank);
        TN_CHECK(axis >= 0, TN_INVALID, "axis %lld is outside [-%d, %d)", (long long)given, x->rank,
                 x->rank);
        reduced[axis] = true;
    }
    int64_t dim[TN_RANK_MAX];
    for (int axis = 0; axis < x->rank; axis++) dim[axis] = reduced[axis] ? 1 : x->dim[axis];
    *kept = tn_tensor_of(x->dtype, dim, x->rank, NULL);
    TN_CHECK(tn_tensor_count(kept) == tn_tensor_count(&p->out[0]), TN_INVALID,
             "these axes do not give the output's shape");
    return NULL;
}

static int64_t start_whole(tn_dtype dtype, reduce_start start)
{
    int bits = dtype == TN_DTYPE_BOOL ? 1 : tn_dtype_bits(dtype);
    bool is_signed = tn_dtype_kind_of(dtype) == TN_KIND_I;
    switch (start) {
    case ZERO: return 0;
    case ONE: return 1;
    case LOWEST: return is_signed ? INT64_MIN >> (64 - bits) : 0;
    case HIGHEST:
        return is_signed ? INT64_MAX >> (64 - bits) : (int64_t)(UINT64_MAX >> (64 - bits));
    }
    return 0;
}

static tn_status reduce(const tn_launch *l, reduce_start start, reduce_step_f step_f,
                        reduce_step_i step_i, reduce_done done)
{
    static const double starts[] = {
        [ZERO] = 0, [ONE] = 1, [LOWEST] = -INFINITY, [HIGHEST] = INFINITY};
    const tn_tensor *x = &l->problem->in[0], *y = &l->problem->out[0];
    reduce_state *state = l->scratch;
    int64_t count = tn_tensor_count(y), each = count ? tn_tensor_count(x) / count : 0;
    bool floats = tn_dtype_kind_of(x->dtype) == TN_KIND_F || !step_i;
    bool is_unsigned = tn_dtype_kind_of(x->dtype) == TN_KIND_U;
    tn_tensor kept;
    tn_walk w;
    TN_TRY(keep_shape(l->problem, &kept));
    TN_TRY(tn_walk_init(&w, x, (const tn_tensor *[]){&kept}, 1));
    for (int64_t at = 0; at < count; at++) {
        int64_t whole = floats ? 0 : start_whole(x->dtype, start);
        state[at] = (reduce_state){.value = starts[start], .whole = whole};
    }
    for (int64_t at = 0; at < w.count; at++, tn_walk_next(&w)) {
        if (floats) step_f(&state[w.at[0]], tn_load_f64(x->dtype, x->data, at));
        else step_i(&state[w.at[0]], tn_load_i64(x->dtype, x->data, at), is_unsigned);
    }
    for (int64_t at = 0; at < count; at++) {
        int64_t whole = state[at].whole;
        if (floats) {
            tn_store_f64(y->dtype, y->data, at, done(&state[at], each));
            continue;
        }
        if (done == done_mean && is_unsigned)
            whole = each ? (int64_t)((uint64_t)whole / (uint64_t)each) : 0;
        else if (done == done_mean) whole = each ? whole / each : 0;
        tn_store_i64(y->dtype, y->data, at, whole);
    }
    return NULL;
}

static tn_status upgrade_axes(tn_graph *graph, tn_node *node)
{
    return tn_upgrade_ints_to_input(graph, node, "axes", 1);
}

/* The formula of the row, in which y and dy have got their reduced axes back, n is the number of
 * elements that one result was made of, e tells which elements are y and ties how many. */
static void gradient_reduce(tn_gradient *g)
{
    const char *formula = g->node->op->derivative;
    tn_value *x = g->node->in[0], *axes = tn_gradient_input(g, 1), *y = g->node->out[0];
    tn_dtype dtype = x->type.dtype;
    const tn_reduce_params *params = g->node->params;
    tn_named more[] = {{.name = "y", .value = y},
                       {.name = "dy", .value = g->dy[0]},
                       {.name = "n"},
                       {.name = "e"},
                       {.name = "ties"}};
    if (!params->keepdims && axes)
        for (int i = 0; i < 2; i++)
            more[i].value = tn_gradient_op(g, "Unsqueeze", TN_IN(more[i].value, axes), TN_PLAIN);
    if (strstr(formula, "/ n")) {
        tn_value *all = tn_gradient_op(g, "Size", TN_IN(x), TN_PLAIN);
        tn_value *left = tn_gradient_op(g, "Size", TN_IN(y), TN_PLAIN);
        tn_value *count = tn_gradient_op(g, "Div", TN_IN(all, left), TN_PLAIN);
        more[2].value = tn_gradient_op(g, "Cast", TN_IN(count), TN_WITH(tn_attr_int("to", dtype)));
    }
    if (strstr(formula, "/ ties")) {
        tn_value *equal = tn_gradient_op(g, "Equal", TN_IN(x, more[0].value), TN_PLAIN);
        more[3].value = tn_gradient_op(g, "Cast", TN_IN(equal), TN_WITH(tn_attr_int("to", dtype)));
        more[4].value = tn_gradient_op(
            g, "ReduceSum", TN_IN(more[3].value, axes),
            TN_WITH(tn_attr_int("noop_with_empty_axes", params->noop_with_empty_axes)));
    }
    tn_gradient_give_spread(g, 0, tn_gradient_write(g, formula, more, (int)TN_COUNT(more)));
}

#define NO_RULE .gradient = NULL
#define DERIVATIVE(formula) .derivative = formula, .gradient = gradient_reduce

#define ROW(c, title, opset, types, start, step_f, step_i, done, known, axes_opset, rule, text)    \
    extern const tn_case tn_##c##_cases[];                                                         \
    static const tn_port in_##c[] = {{"data", types, 'T', 0},                                      \
                                     {"axes", TN_DT(I64), 0, TN_PORT_OPTIONAL}};                   \
    static const tn_port out_##c[] = {{"reduced", types, 'T', 0}};                                 \
    static tn_status infer_##c(tn_infer *infer)                                                    \
    {                                                                                              \
        return infer_reduce(infer, known);                                                         \
    }                                                                                              \
    static tn_status reference_##c(const tn_launch *l)                                             \
    {                                                                                              \
        return reduce(l, start, step_f, step_i, done);                                             \
    }                                                                                              \
    const tn_op tn_op_##c = {                                                                      \
        .name = title,                                                                             \
        .since = opset,                                                                            \
        .about = text " over axes",                                                                \
        .in = in_##c,                                                                              \
        .in_count = 2,                                                                             \
        .out = out_##c,                                                                            \
        .out_count = 1,                                                                            \
        .field = fields,                                                                           \
        .field_count = TN_COUNT(fields),                                                           \
        .params_bytes = sizeof(tn_reduce_params),                                                  \
        .infer = infer_##c,                                                                        \
        .reference = reference_##c,                                                                \
        .scratch_bytes = scratch_bytes,                                                            \
        rule,                                                                                      \
        .upgrade = {{axes_opset, upgrade_axes}},                                                   \
        .cases = tn_##c##_cases,                                                                   \
    };
#include "ops/reduce/reduce.def"
