/* NonZero-9: the places of elements that are not 0, one column each, in row-major order. */
#include "ops/moving.h"

static const tn_port ins[] = {{"X", TN_DTS_ANY, 0, 0}};
static const tn_port outs[] = {{"Y", TN_DT(I64), 0, 0}};

static bool is_zero(const tn_tensor *x, int64_t at)
{
    switch (tn_dtype_kind_of(x->dtype)) {
    case TN_KIND_S: return ((const tn_string *)x->data)[at].bytes == 0;
    case TN_KIND_F: return tn_load_f64(x->dtype, x->data, at) == 0;
    case TN_KIND_C: {
        tn_dtype half = x->dtype == TN_DTYPE_C64 ? TN_DTYPE_F32 : TN_DTYPE_F64;
        return tn_load_f64(half, x->data, 2 * at) == 0 &&
               tn_load_f64(half, x->data, 2 * at + 1) == 0;
    }
    default: return tn_load_i64(x->dtype, x->data, at) == 0;
    }
}

static tn_status infer(tn_infer *f)
{
    const tn_type *x = &f->in[0];
    const tn_tensor *data = &f->data[0];
    tn_expr dim[2] = {TN_EXPR_NONE, TN_EXPR_NONE};
    if (x->rank >= 0) dim[0] = tn_expr_const(f->exprs, x->rank);
    if (data->data || (data->dtype && !tn_tensor_count(data))) {
        int64_t total = tn_tensor_count(data), count = 0;
        for (int64_t i = 0; i < total; i++) count += !is_zero(data, i);
        dim[1] = tn_expr_const(f->exprs, count);
    }
    for (int k = 0; k < 2; k++)
        if (!dim[k]) dim[k] = tn_infer_fresh(f);
    tn_infer_set(f, 0, TN_DTYPE_I64, 2, dim);
    return NULL;
}

static tn_status reference(const tn_launch *l)
{
    const tn_tensor *x = &l->problem->in[0], *y = &l->problem->out[0];
    int64_t index[TN_RANK_MAX] = {0}, total = tn_tensor_count(x), columns = y->dim[1], column = 0;
    TN_TRY(tn_check_count(y, x->rank * columns));
    for (int64_t i = 0; i < total; i++, tn_index_next(index, x->dim, x->rank)) {
        if (is_zero(x, i)) continue;
        TN_CHECK(column < columns, TN_INVALID, "there are more than the %lld elements planned",
                 (long long)columns);
        for (int k = 0; k < x->rank; k++)
            tn_store_i64(TN_DTYPE_I64, y->data, k * columns + column, index[k]);
        column++;
    }
    TN_CHECK(column == columns, TN_INVALID, "there are %lld elements, %lld were planned",
             (long long)column, (long long)columns);
    return NULL;
}

static const tn_case cases[] = {
    {.problem = "NonZero bool[2,2]={1,0,1,1}", .expect = "i64[2,3]={0,1,1,0,0,1}"},
    {.problem = "NonZero f32[4]={0,-0,0.5,3}", .expect = "i64[1,2]={2,3}"},
    {.problem = "NonZero i64[2]={0,0}", .expect = "i64[1,0]={}"},
    {.problem = "NonZero i32[5,6,3]", .lo = 0, .hi = 2},
    {0},
};

const tn_op tn_op_non_zero = {
    .name = "NonZero",
    .since = 9,
    .about = "places of the elements that are not 0, a column each",
    .in = ins,
    .in_count = TN_COUNT(ins),
    .out = outs,
    .out_count = TN_COUNT(outs),
    .infer = infer,
    .reference = reference,
    .cases = cases,
};
