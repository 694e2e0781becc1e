/* ArgMax and ArgMin: where along an axis the largest or smallest value is. A NaN counts as beyond
 * every number, as in NumPy. */
#include "ops/arg_max/arg_max.h"

#include <math.h>

#include "ir/op.h"

static const tn_field fields[] = {
    TN_INT(tn_arg_max_params, axis, 0),
    TN_INT(tn_arg_max_params, keepdims, 1),
    TN_INT(tn_arg_max_params, select_last_index, 0),
};
static const tn_port ins[] = {{"data", TN_DTS_NUMBER, 'T', 0}};
static const tn_port outs[] = {{"reduced", TN_DT(I64), 0, 0}};

static tn_status infer(tn_infer *f)
{
    const tn_arg_max_params *params = f->params;
    tn_expr dim[TN_RANK_MAX];
    int axis, rank = f->in[0].rank, out_rank = 0;
    if (rank < 0) {
        tn_infer_set(f, 0, TN_DTYPE_I64, -1, NULL);
        return NULL;
    }
    TN_TRY(tn_infer_axis(f, params->axis, rank, &axis));
    TN_CHECK(!tn_expr_equals(f->exprs, f->in[0].dim[axis], 0), TN_INVALID,
             "axis %d is empty: it has no largest or smallest element", axis);
    for (int k = 0; k < rank; k++) {
        if (k != axis) dim[out_rank++] = f->in[0].dim[k];
        else if (params->keepdims) dim[out_rank++] = tn_expr_const(f->exprs, 1);
    }
    tn_infer_set(f, 0, TN_DTYPE_I64, out_rank, dim);
    return NULL;
}

/* -1, 0, 1: element a lies before, with or beyond element b. sign -1 turns the order around. */
static int compare(const tn_tensor *x, int64_t a, int64_t b, int sign)
{
    tn_dtype_kind kind = tn_dtype_kind_of(x->dtype);
    if (kind == TN_KIND_F) {
        double left = tn_load_f64(x->dtype, x->data, a), right = tn_load_f64(x->dtype, x->data, b);
        if (isnan(left) || isnan(right)) return isnan(left) - isnan(right);
        return sign * ((left > right) - (left < right));
    }
    int64_t left = tn_load_i64(x->dtype, x->data, a), right = tn_load_i64(x->dtype, x->data, b);
    if (kind == TN_KIND_U)
        return sign * (((uint64_t)left > (uint64_t)right) - ((uint64_t)left < (uint64_t)right));
    return sign * ((left > right) - (left < right));
}

static tn_status find(const tn_launch *l, int sign)
{
    const tn_arg_max_params *params = l->problem->params;
    const tn_tensor *x = &l->problem->in[0], *y = &l->problem->out[0];
    int axis = tn_axis_normal(params->axis, x->rank);
    if (tn_tensor_count(y) == 0) return NULL;
    int64_t outer = tn_dims_product(x->dim, 0, axis), count = x->dim[axis];
    int64_t inner = tn_dims_product(x->dim, axis + 1, x->rank);
    TN_CHECK(count > 0, TN_INVALID, "axis %d is empty", axis);
    for (int64_t at = 0; at < outer * inner; at++) {
        int64_t base = at / inner * count * inner + at % inner, best = 0;
        for (int64_t k = 1; k < count; k++) {
            int order = compare(x, base + k * inner, base + best * inner, sign);
            if (order > 0 || (order == 0 && params->select_last_index)) best = k;
        }
        tn_store_i64(y->dtype, y->data, at, best);
    }
    return NULL;
}

static tn_status reference_max(const tn_launch *l)
{
    return find(l, 1);
}

static tn_status reference_min(const tn_launch *l)
{
    return find(l, -1);
}

extern const tn_case tn_arg_max_cases[], tn_arg_min_cases[];

const tn_op tn_op_arg_max = {
    .name = "ArgMax",
    .since = 13,
    .about = "index of the largest element along axis",
    .in = ins,
    .in_count = 1,
    .out = outs,
    .out_count = 1,
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_arg_max_params),
    .infer = infer,
    .reference = reference_max,
    .cases = tn_arg_max_cases,
};

const tn_op tn_op_arg_min = {
    .name = "ArgMin",
    .since = 13,
    .about = "index of the smallest element along axis",
    .in = ins,
    .in_count = 1,
    .out = outs,
    .out_count = 1,
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_arg_max_params),
    .infer = infer,
    .reference = reference_min,
    .cases = tn_arg_min_cases,
};
