/* CumSum and CumProd: running sums and products along an axis, which is an input. The running value
 * is wide: 16-bit floats round once for each output. */
#include "ops/cumulative/cumulative.h"

#include "ir/op.h"

#define TYPES (TN_DTS_FLOAT | TN_DTS_INDEX | TN_DT(U32) | TN_DT(U64))
static const tn_field fields[] = {
    TN_INT(tn_cumulative_params, exclusive, 0),
    TN_INT(tn_cumulative_params, reverse, 0),
};
static const tn_port ins[] = {{"x", TYPES, 'T', 0}, {"axis", TN_DTS_INDEX, 0, 0}};
static const tn_port outs[] = {{"y", TYPES, 'T', 0}};

static tn_status infer(tn_infer *f)
{
    int64_t axis;
    int count, normal;
    if (f->in[0].rank >= 0 && tn_infer_ints(f, 1, &axis, 1, &count) && count == 1)
        TN_TRY(tn_infer_axis(f, axis, f->in[0].rank, &normal));
    tn_infer_same(f, 0, 0);
    return NULL;
}

static tn_status run(const tn_launch *l, bool product)
{
    const tn_cumulative_params *params = l->problem->params;
    const tn_tensor *x = &l->problem->in[0], *axis_in = &l->problem->in[1],
                    *y = &l->problem->out[0];
    TN_CHECK(tn_tensor_count(axis_in) == 1, TN_INVALID, "the axis must be one number");
    int64_t given = tn_load_i64(axis_in->dtype, axis_in->data, 0);
    int axis = tn_axis_normal(given, x->rank);
    TN_CHECK(axis >= 0, TN_INVALID, "axis %lld is outside [-%d, %d)", (long long)given, x->rank,
             x->rank);
    bool floats = tn_dtype_kind_of(x->dtype) == TN_KIND_F;
    if (tn_tensor_count(x) == 0) return NULL;
    int64_t outer = tn_dims_product(x->dim, 0, axis), count = x->dim[axis];
    int64_t inner = tn_dims_product(x->dim, axis + 1, x->rank);
    for (int64_t row = 0; row < outer * inner; row++) {
        int64_t base = row / inner * count * inner + row % inner;
        double sum = product;
        uint64_t whole = product;
        for (int64_t k = 0; k < count; k++) {
            int64_t at = base + (params->reverse ? count - 1 - k : k) * inner;
            double value = floats ? tn_load_f64(x->dtype, x->data, at) : 0;
            uint64_t integer = floats ? 0 : (uint64_t)tn_load_i64(x->dtype, x->data, at);
            double next = product ? sum * value : sum + value;
            uint64_t next_whole = product ? whole * integer : whole + integer;
            if (floats) tn_store_f64(y->dtype, y->data, at, params->exclusive ? sum : next);
            else
                tn_store_i64(y->dtype, y->data, at,
                             (int64_t)(params->exclusive ? whole : next_whole));
            sum = next;
            whole = next_whole;
        }
    }
    return NULL;
}

static tn_status reference_sum(const tn_launch *l)
{
    return run(l, false);
}

static tn_status reference_prod(const tn_launch *l)
{
    return run(l, true);
}

extern const tn_case tn_cum_sum_cases[], tn_cum_prod_cases[];

const tn_op tn_op_cum_sum = {
    .name = "CumSum",
    .since = 14,
    .about = "running sum along an axis",
    .in = ins,
    .in_count = 2,
    .out = outs,
    .out_count = 1,
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_cumulative_params),
    .infer = infer,
    .reference = reference_sum,
    .cases = tn_cum_sum_cases,
};

const tn_op tn_op_cum_prod = {
    .name = "CumProd",
    .since = 26,
    .about = "running product along an axis",
    .in = ins,
    .in_count = 2,
    .out = outs,
    .out_count = 1,
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_cumulative_params),
    .infer = infer,
    .reference = reference_prod,
    .cases = tn_cum_prod_cases,
};
