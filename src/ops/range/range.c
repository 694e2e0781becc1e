/* Range-11: start, start + delta, start + 2 delta, ... before limit. */
#include "ops/range/range.h"

#include <math.h>

#include "ops/moving.h"

static const tn_field fields[] = {
    TN_INT(tn_range_params, stash_type, 1),
};
static const tn_port ins[] = {
    {"start", TN_DTS_NUMBER, 'T', 0},
    {"limit", TN_DTS_NUMBER, 'T', 0},
    {"delta", TN_DTS_NUMBER, 'T', 0},
};
static const tn_port outs[] = {{"output", TN_DTS_NUMBER, 'T', 0}};

static bool load_number(const tn_infer *f, int input, double *out)
{
    const tn_tensor *t = &f->data[input];
    if (!t->data || tn_tensor_count(t) != 1) return false;
    *out = tn_load_f64(t->dtype, t->data, 0);
    return true;
}

/* The difference is rounded to the type first, as the operator's definition computes it. */
static tn_status float_length(tn_infer *f, tn_expr *out)
{
    double start, limit, delta;
    _Alignas(8) uint8_t rounded[8];
    *out = TN_EXPR_NONE;
    if (!load_number(f, 0, &start) || !load_number(f, 1, &limit) || !load_number(f, 2, &delta))
        return NULL;
    TN_CHECK(delta != 0 && !isnan(delta), TN_INVALID, "delta is %g", delta);
    tn_store_f64(f->in[0].dtype, rounded, 0, limit - start);
    double count = ceil(tn_load_f64(f->in[0].dtype, rounded, 0) / delta);
    TN_CHECK(count < 9e15, TN_INVALID, "from %g to %g by %g are too many elements", start, limit,
             delta);
    *out = tn_expr_const(f->exprs, count > 0 ? (int64_t)count : 0);
    return NULL;
}

static tn_status whole_length(tn_infer *f, tn_expr start, tn_expr limit, tn_expr delta,
                              tn_expr *out)
{
    tn_exprs *x = f->exprs;
    int64_t step, from, to;
    *out = TN_EXPR_NONE;
    if (!start || !limit || !tn_expr_is_const(x, delta, &step)) return NULL;
    TN_CHECK(step != 0 && step > INT64_MIN, TN_INVALID, "delta is %lld", (long long)step);
    if (tn_expr_is_const(x, start, &from) && tn_expr_is_const(x, limit, &to)) {
        uint64_t span = step > 0 ? (uint64_t)to - (uint64_t)from : (uint64_t)from - (uint64_t)to;
        uint64_t stride = step > 0 ? (uint64_t)step : (uint64_t)-step;
        bool none = step > 0 ? to <= from : to >= from;
        uint64_t count = none ? 0 : (span - 1) / stride + 1;
        TN_CHECK(count <= INT64_MAX, TN_INVALID, "a range has too many elements");
        *out = tn_expr_const(x, (int64_t)count);
        return NULL;
    }
    tn_expr span = step > 0 ? tn_expr_sub(x, limit, start) : tn_expr_sub(x, start, limit);
    if (!tn_expr_at_least(x, span, 0)) span = tn_expr_max(x, span, tn_expr_const(x, 0));
    *out = tn_expr_ceil_div(x, span, tn_expr_const(x, step > 0 ? step : -step));
    return NULL;
}

static tn_status infer(tn_infer *f)
{
    tn_expr part[3] = {0}, length;
    const tn_expr *at;
    int64_t count;
    bool whole = tn_dtype_kind_of(f->in[0].dtype) != TN_KIND_F;
    for (int i = 0; i < 3; i++) {
        TN_CHECK(f->in[i].rank <= 1, TN_INVALID, "%s has rank %d, must be a scalar", ins[i].name,
                 f->in[i].rank);
        if (!whole || !tn_infer_exprs(f, i, &at, &count)) continue;
        TN_CHECK(count == 1, TN_INVALID, "%s has %lld elements, must be a scalar", ins[i].name,
                 (long long)count);
        part[i] = at[0];
    }
    if (whole) TN_TRY(whole_length(f, part[0], part[1], part[2], &length));
    else TN_TRY(float_length(f, &length));
    if (!length) length = tn_infer_fresh(f);
    tn_infer_set(f, 0, f->in[0].dtype, 1, &length);
    if (!whole || !part[0] || !part[2] || !tn_expr_is_const(f->exprs, length, &count) ||
        count > TN_KNOWN_MAX)
        return NULL;
    tn_expr value[TN_KNOWN_MAX];
    for (int64_t i = 0; i < count; i++)
        value[i] = tn_expr_add(f->exprs, part[0],
                               tn_expr_mul(f->exprs, part[2], tn_expr_const(f->exprs, i)));
    tn_infer_set_known(f, 0, value, count);
    return NULL;
}

static tn_status reference(const tn_launch *l)
{
    const tn_tensor *start = &l->problem->in[0], *delta = &l->problem->in[2],
                    *y = &l->problem->out[0];
    for (int64_t i = 0; i < y->dim[0]; i++) {
        if (tn_dtype_kind_of(y->dtype) == TN_KIND_F) {
            double step = tn_load_f64(delta->dtype, delta->data, 0);
            tn_store_f64(y->dtype, y->data, i,
                         tn_load_f64(start->dtype, start->data, 0) + (double)i * step);
        } else {
            uint64_t step = (uint64_t)tn_load_i64(delta->dtype, delta->data, 0);
            uint64_t from = (uint64_t)tn_load_i64(start->dtype, start->data, 0);
            tn_store_i64(y->dtype, y->data, i, (int64_t)(from + (uint64_t)i * step));
        }
    }
    return NULL;
}

static const tn_case cases[] = {
    {.problem = "Range i64={1} i64={7} i64={2}", .expect = "i64[3]={1,3,5}"},
    {.problem = "Range i32={10} i32={4} i32={-3}", .expect = "i32[2]={10,7}"},
    {.problem = "Range f32={1} f32={2} f32={0.25}", .expect = "f32[4]={1,1.25,1.5,1.75}"},
    {.problem = "Range i64={5} i64={2} i64={1}", .expect = "i64[0]={}"},
    {0},
};

const tn_op tn_op_range = {
    .name = "Range",
    .since = 27,
    .about = "start + i * delta, before limit",
    .in = ins,
    .in_count = TN_COUNT(ins),
    .out = outs,
    .out_count = TN_COUNT(outs),
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_range_params),
    .infer = infer,
    .reference = reference,
    .shape_inputs = 1 << 1,
    .cases = cases,
};
