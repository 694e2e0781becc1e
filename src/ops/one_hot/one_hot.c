/* OneHot: a new axis of `depth` elements, values[1] at the index and values[0] elsewhere. Indices
 * from -depth count from the end; others out of range switch nothing on. */
#include "ops/one_hot/one_hot.h"

#include "ir/op.h"

#define TYPES (TN_DTS_NUMBER | TN_DTS_COMPLEX | TN_DT(BOOL) | TN_DT(STRING))
static const tn_field fields[] = {TN_INT(tn_one_hot_params, axis, -1)};
static const tn_port ins[] = {
    {"indices", TN_DTS_NUMBER, 0, 0}, {"depth", TN_DTS_NUMBER, 0, 0}, {"values", TYPES, 'T', 0}};
static const tn_port outs[] = {{"output", TYPES, 'T', 0}};

static tn_status infer_depth(tn_infer *f, tn_expr *out)
{
    const tn_expr *at;
    int64_t count;
    const tn_tensor *data = &f->data[1];
    *out = TN_EXPR_NONE;
    if (data->data && tn_tensor_count(data) == 1) { /* any type of number */
        int64_t depth = tn_load_i64(data->dtype, data->data, 0);
        TN_CHECK(depth >= 0, TN_INVALID, "the depth is %lld", (long long)depth);
        *out = tn_expr_const(f->exprs, depth);
    } else if (tn_infer_exprs(f, 1, &at, &count) && count == 1) {
        *out = at[0];
    }
    if (*out == TN_EXPR_NONE) *out = tn_infer_fresh(f);
    return NULL;
}

static tn_status infer(tn_infer *f)
{
    const tn_one_hot_params *params = f->params;
    tn_expr dim[TN_RANK_MAX], depth;
    int axis, rank = f->in[0].rank;
    if (rank < 0) {
        tn_infer_set(f, 0, f->in[2].dtype, -1, NULL);
        return NULL;
    }
    TN_CHECK(rank < TN_RANK_MAX, TN_UNSUPPORTED, "the output would have rank %d", rank + 1);
    TN_TRY(tn_infer_axis(f, params->axis, rank + 1, &axis));
    TN_TRY(infer_depth(f, &depth));
    for (int k = 0; k <= rank; k++)
        dim[k] = k < axis ? f->in[0].dim[k] : k == axis ? depth : f->in[0].dim[k - 1];
    tn_infer_set(f, 0, f->in[2].dtype, rank + 1, dim);
    return NULL;
}

static tn_status reference(const tn_launch *l)
{
    const tn_one_hot_params *params = l->problem->params;
    const tn_tensor *indices = &l->problem->in[0], *values = &l->problem->in[2];
    const tn_tensor *y = &l->problem->out[0];
    TN_CHECK(tn_tensor_count(values) == 2, TN_INVALID, "the values must be two: off and on");
    int axis = tn_axis_normal(params->axis, y->rank);
    if (tn_tensor_count(y) == 0) return NULL;
    int64_t outer = tn_dims_product(y->dim, 0, axis), depth = y->dim[axis];
    int64_t inner = tn_dims_product(y->dim, axis + 1, y->rank);
    for (int64_t at = 0; at < outer * inner; at++) {
        int64_t index = tn_load_i64(indices->dtype, indices->data, at);
        if (index < 0) index += depth;
        for (int64_t k = 0; k < depth; k++)
            tn_copy_elements(y->dtype, y->data, (at / inner * depth + k) * inner + at % inner,
                             values->data, k == index, 1);
    }
    return NULL;
}

extern const tn_case tn_one_hot_cases[];

const tn_op tn_op_one_hot = {
    .name = "OneHot",
    .since = 11,
    .about = "values[1] at each index along a new axis of size depth, values[0] elsewhere",
    .in = ins,
    .in_count = 3,
    .out = outs,
    .out_count = 1,
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_one_hot_params),
    .infer = infer,
    .reference = reference,
    .shape_inputs = 1u << 1,
    .cases = tn_one_hot_cases,
};
