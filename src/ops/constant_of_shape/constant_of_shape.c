/* ConstantOfShape-9: a tensor of a given shape, full of one value. */
#include "ops/constant_of_shape/constant_of_shape.h"

#include <string.h>

#include "ops/moving.h"

static const tn_field fields[] = {
    TN_SCALAR_FIELD(tn_constant_of_shape_params, value),
};
static const tn_port ins[] = {{"input", TN_DT(I64), 0, 0}};
static const tn_port outs[] = {{"output", TN_DTS_ANY & ~TN_DT(STRING), 0, 0}};

static tn_status infer(tn_infer *f)
{
    const tn_constant_of_shape_params *params = f->params;
    tn_dtype dtype = params->value.dtype ? (tn_dtype)params->value.dtype : TN_DTYPE_F32;
    const tn_expr *at;
    tn_expr dim[TN_RANK_MAX], filled[TN_KNOWN_MAX];
    int64_t rank, value, total;
    if (!tn_infer_exprs(f, 0, &at, &rank)) {
        rank = tn_infer_length(f, 0);
        TN_CHECK(rank <= TN_RANK_MAX, TN_UNSUPPORTED, "rank %lld is above %d", (long long)rank,
                 TN_RANK_MAX);
        tn_infer_set_fresh(f, 0, dtype, (int)rank);
        return NULL;
    }
    TN_CHECK(rank <= TN_RANK_MAX, TN_UNSUPPORTED, "rank %lld is above %d", (long long)rank,
             TN_RANK_MAX);
    for (int axis = 0; axis < rank; axis++) {
        TN_CHECK(!tn_expr_is_const(f->exprs, at[axis], &value) || value >= 0, TN_INVALID,
                 "the shape asks for a dim of %lld", (long long)value);
        dim[axis] = at[axis] ? at[axis] : tn_infer_fresh(f);
    }
    tn_infer_set(f, 0, dtype, (int)rank, dim);
    tn_dtype_kind kind = tn_dtype_kind_of(dtype);
    bool whole = kind == TN_KIND_I || kind == TN_KIND_U || kind == TN_KIND_B;
    if (!whole || rank > 1 ||
        !tn_expr_is_const(f->exprs, tn_infer_product(f, dim, 0, (int)rank), &total))
        return NULL;
    if (total > TN_KNOWN_MAX) return NULL;
    for (int64_t i = 0; i < total; i++)
        filled[i] = tn_expr_const(f->exprs, tn_load_i64(dtype, params->value.bytes, 0));
    tn_infer_set_known(f, 0, filled, total);
    return NULL;
}

static tn_status reference(const tn_launch *l)
{
    const tn_constant_of_shape_params *params = l->problem->params;
    const tn_tensor *y = &l->problem->out[0];
    _Alignas(16) uint8_t value[sizeof(params->value.bytes)];
    memcpy(value, params->value.bytes, sizeof(value));
    int64_t count = tn_tensor_count(y);
    for (int64_t i = 0; i < count; i++) tn_copy_elements(y->dtype, y->data, i, value, 0, 1);
    return NULL;
}

static const tn_case cases[] = {
    {.problem = "ConstantOfShape i64[2]={2,3}", .expect = "f32[2,3]={0,0,0,0,0,0}"},
    {.problem = "ConstantOfShape{value=i64={7}} i64[1]={2}", .expect = "i64[2]={7,7}"},
    {.problem = "ConstantOfShape{value=u4={5}} i64[1]={3}", .expect = "u4[3]={5,5,5}"},
    {.problem = "ConstantOfShape{value=f32={1}} i64[0]={}", .expect = "f32={1}"},
    {.problem = "ConstantOfShape{value=i32={1}} i64[1]={0}", .expect = "i32[0]={}"},
    {0},
};

const tn_op tn_op_constant_of_shape = {
    .name = "ConstantOfShape",
    .since = 9,
    .about = "a tensor of a given shape, full of one value",
    .in = ins,
    .in_count = TN_COUNT(ins),
    .out = outs,
    .out_count = TN_COUNT(outs),
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_constant_of_shape_params),
    .infer = infer,
    .reference = reference,
    .shape_inputs = 1 << 0,
    .cases = cases,
};
