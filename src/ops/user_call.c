/* Calls of a user's functions, and the table of what Tenon does for them.
 *
 * A call stands in a frame on our stack. What goes wrong inside, at first in any thread, is kept in
 * the frame as text, since records of failures belong to the thread that made them, and becomes a
 * status when the function has returned. */
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "ops/user_op.h"
#include "tensor/dtype.h"
#include "tensor/tensor.h"

typedef enum stage { SHAPE, SCRATCH, COMPUTE } stage;

typedef struct frame {
    tn_op_call call;
    stage stage;
    const void *params;
    tn_infer *f;        /* SHAPE */
    const tn_launch *l; /* COMPUTE */
    int32_t room;       /* SHAPE: outputs that can be set */
    atomic_bool failed;
    tn_code code;
    char message[TN_MESSAGE_MAX / 2];
} frame;

static frame *frame_of(const tn_op_call *call)
{
    return call->inside;
}

/* The first one counts. */
static tn_code fail_list(frame *at, tn_code code, const char *format, va_list list)
{
    if (code <= TN_OK || code > TN_INTERNAL) code = TN_INVALID;
    if (atomic_exchange(&at->failed, true)) return code;
    at->code = code;
    vsnprintf(at->message, sizeof(at->message), format, list);
    return code;
}

static tn_code fail(const tn_op_call *call, tn_code code, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    code = fail_list(frame_of(call), code, format, list);
    va_end(list);
    return code;
}

/* ---- Attributes ------------------------------------------------------------------------------*/

static bool is_list(tn_attr_kind kind)
{
    return kind == TN_ATTR_INTS || kind == TN_ATTR_FLOATS || kind == TN_ATTR_TEXTS;
}

/* An empty list has lost its kind on the way and fits every list. */
static bool find(const tn_op_call *call, const char *name, tn_attr_kind kind, tn_user_attr *out)
{
    if (!name || !tn_user_params_find(frame_of(call)->params, name, out)) return false;
    if (out->kind == kind || (is_list(kind) && is_list(out->kind) && !out->count)) return true;
    fail(call, TN_INVALID, "attribute '%s' is %s; it must be %s", name,
         tn_attr_kind_text(out->kind), tn_attr_kind_text(kind));
    return false;
}

static bool attr_int(const tn_op_call *call, const char *name, int64_t *out)
{
    tn_user_attr attr;
    if (!find(call, name, TN_ATTR_INT, &attr)) return false;
    *out = *(const int64_t *)attr.data;
    return true;
}

static bool attr_float(const tn_op_call *call, const char *name, double *out)
{
    tn_user_attr attr;
    if (!find(call, name, TN_ATTR_FLOAT, &attr)) return false;
    *out = (double)*(const float *)attr.data;
    return true;
}

static bool attr_text(const tn_op_call *call, const char *name, tn_string *out)
{
    tn_user_attr attr;
    if (!find(call, name, TN_ATTR_TEXT, &attr)) return false;
    *out = tn_user_params_text(&attr, 0);
    return true;
}

static bool attr_tensor(const tn_op_call *call, const char *name, tn_tensor *out)
{
    tn_user_attr attr;
    if (!find(call, name, TN_ATTR_TENSOR, &attr)) return false;
    *out = attr.tensor;
    return true;
}

static bool attr_ints(const tn_op_call *call, const char *name, const int64_t **out, int64_t *count)
{
    tn_user_attr attr;
    if (!find(call, name, TN_ATTR_INTS, &attr)) return false;
    *out = attr.data;
    *count = attr.count;
    return true;
}

static bool attr_floats(const tn_op_call *call, const char *name, const float **out, int64_t *count)
{
    tn_user_attr attr;
    if (!find(call, name, TN_ATTR_FLOATS, &attr)) return false;
    *out = attr.data;
    *count = attr.count;
    return true;
}

static bool attr_text_at(const tn_op_call *call, const char *name, int64_t index, tn_string *out,
                         int64_t *count)
{
    tn_user_attr attr;
    if (!find(call, name, TN_ATTR_TEXTS, &attr)) return false;
    if (count) *count = attr.count;
    if (index < 0 || index >= attr.count) return false;
    *out = tn_user_params_text(&attr, index);
    return true;
}

static int64_t count_elements(const tn_tensor *tensor)
{
    return tn_tensor_count(tensor);
}

/* ---- Shapes ----------------------------------------------------------------------------------*/

static tn_infer *shape_of(const tn_op_call *call, const char *word)
{
    frame *at = frame_of(call);
    if (at->stage == SHAPE) return at->f;
    fail(call, TN_INVALID, "%s is for the shape function only", word);
    return NULL;
}

static tn_op_dim dim_of(const tn_op_call *call, int32_t input, int32_t axis)
{
    tn_infer *f = shape_of(call, "dim_of");
    if (!f) return TN_EXPR_NONE;
    if (input < 0 || !tn_infer_has(f, input)) {
        fail(call, TN_INVALID, "it asks for a dim of input %d, which is not there", input);
        return TN_EXPR_NONE;
    }
    int32_t rank = f->in[input].rank;
    if (axis < 0 && rank >= 0) axis += rank;
    if (axis < 0 || axis >= rank) {
        fail(call, TN_INVALID, "it asks for dim %d of input %d, which has rank %d%s", axis, input,
             rank, rank < 0 ? " (not known)" : "");
        return TN_EXPR_NONE;
    }
    return f->in[input].dim[axis];
}

static tn_op_dim dim_number(const tn_op_call *call, int64_t number)
{
    tn_infer *f = shape_of(call, "dim_number");
    return f ? tn_expr_const(f->exprs, number) : TN_EXPR_NONE;
}

static tn_op_dim dim_unknown(const tn_op_call *call)
{
    tn_infer *f = shape_of(call, "dim_unknown");
    return f ? tn_infer_fresh(f) : TN_EXPR_NONE;
}

static bool dim_exists(const tn_op_call *call, const tn_infer *f, tn_op_dim dim)
{
    if ((int64_t)dim < f->exprs->count) return true;
    fail(call, TN_INVALID, "dim %u was not made in this call", dim);
    return false;
}

static tn_op_dim dim_join(const tn_op_call *call, tn_op_arith arith, tn_op_dim a, tn_op_dim b)
{
    tn_infer *f = shape_of(call, "dim_join");
    if (!f || !dim_exists(call, f, a) || !dim_exists(call, f, b)) return TN_EXPR_NONE;
    switch (arith) {
    case TN_OP_ADD: return tn_expr_add(f->exprs, a, b);
    case TN_OP_SUB: return tn_expr_sub(f->exprs, a, b);
    case TN_OP_MUL: return tn_expr_mul(f->exprs, a, b);
    case TN_OP_DIV:
    case TN_OP_CEIL_DIV:
        if (tn_expr_equals(f->exprs, b, 0)) fail(call, TN_INVALID, "a dim is divided by zero");
        else if (arith == TN_OP_DIV) return tn_expr_div(f->exprs, a, b);
        else return tn_expr_ceil_div(f->exprs, a, b);
        return TN_EXPR_NONE;
    case TN_OP_MIN: return tn_expr_min(f->exprs, a, b);
    case TN_OP_MAX: return tn_expr_max(f->exprs, a, b);
    }
    fail(call, TN_INVALID, "dims cannot be joined by %d", (int)arith);
    return TN_EXPR_NONE;
}

static bool dim_value(const tn_op_call *call, tn_op_dim dim, int64_t *out)
{
    tn_infer *f = shape_of(call, "dim_value");
    return f && dim_exists(call, f, dim) && tn_expr_is_const(f->exprs, dim, out);
}

static int64_t values(const tn_op_call *call, int32_t input, tn_op_dim *out, int64_t max)
{
    tn_infer *f = shape_of(call, "values");
    const tn_expr *at;
    int64_t count;
    if (!f || input < 0 || !tn_infer_exprs(f, input, &at, &count) || count > max) return -1;
    for (int64_t i = 0; i < count; i++)
        if (at[i] == TN_EXPR_NONE) return -1;
    if (count > 0) memcpy(out, at, (size_t)count * sizeof(*out));
    return count;
}

/* The output's place; NULL: there is none. */
static tn_type *output_of(const tn_op_call *call, const char *word, int32_t output)
{
    tn_infer *f = shape_of(call, word);
    if (!f) return NULL;
    if (output >= 0 && output < frame_of(call)->room) return &f->out[output];
    fail(call, TN_INVALID, "it sets output %d; the operator has %d", output, frame_of(call)->room);
    return NULL;
}

static void set_output(const tn_op_call *call, int32_t output, tn_dtype dtype, int32_t rank,
                       const tn_op_dim *dim)
{
    tn_type *out = output_of(call, "set_output", output);
    int64_t number;
    if (!out) return;
    tn_exprs *exprs = frame_of(call)->f->exprs;
    if (!tn_dtype_valid((int)dtype)) {
        fail(call, TN_INVALID, "it gives output %d the type %d, which does not exist", output,
             (int)dtype);
        return;
    }
    if (rank < -1 || rank > TN_RANK_MAX || (rank > 0 && !dim)) {
        fail(call, TN_INVALID, "it gives output %d the rank %d; it must be from 0 to %d, or -1",
             output, rank, TN_RANK_MAX);
        return;
    }
    for (int32_t axis = 0; axis < rank; axis++) {
        if (!dim_exists(call, frame_of(call)->f, dim[axis])) return;
        if (dim[axis] == TN_EXPR_NONE)
            fail(call, TN_INVALID,
                 "it gives output %d no dim %d (dim_unknown is for sizes that "
                 "only a run tells)",
                 output, axis);
        else if (tn_expr_is_const(exprs, dim[axis], &number) && number < 0)
            fail(call, TN_INVALID, "it gives output %d a dim %d of %lld", output, axis,
                 (long long)number);
        else continue;
        return;
    }
    *out = tn_type_of(dtype, rank, dim);
}

static void set_output_like(const tn_op_call *call, int32_t output, int32_t input)
{
    tn_type *out = output_of(call, "set_output_like", output);
    if (!out) return;
    if (input < 0 || !tn_infer_has(frame_of(call)->f, input))
        fail(call, TN_INVALID, "output %d is to be like input %d, which is not there", output,
             input);
    else *out = frame_of(call)->f->in[input];
}

/* ---- Computing -------------------------------------------------------------------------------*/

static char *text(const tn_op_call *call, size_t bytes)
{
    const frame *at = frame_of(call);
    if (at->stage == COMPUTE && at->l->text) return tn_arena_alloc(at->l->text, bytes);
    fail(call, TN_INVALID, "there is no memory for texts here");
    return NULL;
}

typedef struct share {
    void (*work)(void *arg, int64_t begin, int64_t end);
    void *arg;
} share;

static tn_status run_share(void *arg, int64_t begin, int64_t end, int thread)
{
    const share *s = arg;
    (void)thread;
    s->work(s->arg, begin, end);
    return NULL;
}

static void parallel(const tn_op_call *call, int64_t count, int64_t grain,
                     void (*work)(void *arg, int64_t begin, int64_t end), void *arg)
{
    const frame *at = frame_of(call);
    share s = {work, arg};
    if (at->stage != COMPUTE) {
        fail(call, TN_INVALID, "parallel is for compute only");
        return;
    }
    tn_status status = tn_pool_run(at->l->pool, count, grain > 0 ? grain : 1, run_share, &s);
    if (status) fail(call, tn_status_code(status), "%s", tn_status_message(status));
}

/* ---- The three calls -------------------------------------------------------------------------*/

static const tn_op_host host = {
    .size = sizeof(tn_op_host),
    .error = fail,
    .attr_int = attr_int,
    .attr_float = attr_float,
    .attr_text = attr_text,
    .attr_tensor = attr_tensor,
    .attr_ints = attr_ints,
    .attr_floats = attr_floats,
    .attr_text_at = attr_text_at,
    .count = count_elements,
    .dim_of = dim_of,
    .dim_number = dim_number,
    .dim_unknown = dim_unknown,
    .dim_join = dim_join,
    .dim_value = dim_value,
    .values = values,
    .set_output = set_output,
    .set_output_like = set_output_like,
    .text = text,
    .parallel = parallel,
};

static void open_frame(frame *at, stage now, const tn_op *op, const void *params)
{
    const tn_user_op *user = (const tn_user_op *)(const void *)op;
    *at = (frame){.stage = now, .params = params};
    at->call = (tn_op_call){.size = sizeof(tn_op_call),
                            .host = &host,
                            .data = user->spec.data,
                            .name = op->name,
                            .inside = at};
    atomic_init(&at->failed, false);
}

/* What the function said, or what it did not say. */
static tn_status close_frame(const frame *at, tn_code code, const char *what)
{
    if (atomic_load(&at->failed)) TN_FAIL(at->code, "%s: %s", at->call.name, at->message);
    if (code <= TN_OK || code > TN_INTERNAL) code = code == TN_OK ? TN_OK : TN_INVALID;
    TN_CHECK(code == TN_OK, code, "%s: its %s function failed without a word", at->call.name, what);
    return NULL;
}

/* An input as the shape function sees it: -1 where a size is not known. */
static tn_tensor input_of(const tn_infer *f, int32_t index)
{
    const tn_type *type = &f->in[index];
    tn_tensor t = {.dtype = type->dtype, .rank = type->rank};
    int64_t dim;
    bool whole = true;
    for (int axis = 0; axis < type->rank; axis++) {
        bool known = tn_expr_is_const(f->exprs, type->dim[axis], &dim);
        t.dim[axis] = known ? dim : -1;
        whole = whole && known;
    }
    if (type->rank >= 0 && whole) {
        tn_tensor_set_dense(&t);
        if (f->data) t.data = f->data[index].data;
    }
    return t;
}

tn_status tn_user_infer(tn_infer *f)
{
    const tn_user_op *user = (const tn_user_op *)(const void *)f->op;
    frame at;
    tn_tensor *in = TN_NEW_ARRAY(f->arena, tn_tensor, f->in_count);
    TN_CHECK(in, TN_OUT_OF_MEMORY, "no memory to infer %s", f->op->name);
    open_frame(&at, SHAPE, f->op, f->params);
    for (int32_t i = 0; i < f->in_count; i++)
        if (f->in[i].dtype != TN_DTYPE_NONE) in[i] = input_of(f, i);
    at.f = f;
    at.room = TN_MAX(f->out_count, f->op->out_count);
    at.call.input = in;
    at.call.input_count = f->in_count;
    at.call.output_count = f->out_count;
    TN_TRY(close_frame(&at, user->spec.shape(&at.call), "shape"));
    for (int32_t i = 0; i < f->out_count; i++)
        TN_CHECK(f->out[i].dtype != TN_DTYPE_NONE, TN_INVALID,
                 "%s: its shape function gave output %d no type", f->op->name, i);
    return NULL;
}

static void set_tensors(frame *at, const tn_problem *p)
{
    at->call.input = p->in;
    at->call.input_count = p->in_count;
    at->call.output = p->out;
    at->call.output_count = p->out_count;
}

size_t tn_user_scratch_bytes(const tn_problem *p)
{
    const tn_op *op = tn_op_find_any(p->op);
    const tn_user_op *user = (const tn_user_op *)(const void *)op;
    frame at;
    if (!user || !user->spec.scratch_bytes) return 0;
    open_frame(&at, SCRATCH, op, p->params);
    set_tensors(&at, p);
    return user->spec.scratch_bytes(&at.call);
}

tn_status tn_user_launch(const tn_launch *l)
{
    const tn_op *op = tn_op_find_any(l->problem->op);
    const tn_user_op *user = (const tn_user_op *)(const void *)op;
    frame at;
    TN_CHECK(op, TN_UNAVAILABLE, "there is no operator %s", l->problem->op);
    open_frame(&at, COMPUTE, op, l->problem->params);
    set_tensors(&at, l->problem);
    at.l = l;
    at.call.scratch = l->scratch;
    return close_frame(&at, user->spec.compute(&at.call), "compute");
}
