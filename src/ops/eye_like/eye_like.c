/* EyeLike: ones on the k-th diagonal of a matrix of the input's shape. */
#include "ops/eye_like/eye_like.h"

#include "ir/op.h"

#define TYPES (TN_DTS_NUMBER | TN_DT(BOOL))
static const tn_field fields[] = {
    TN_DTYPE_FIELD(tn_eye_like_params, dtype, 0),
    TN_INT(tn_eye_like_params, k, 0),
};
static const tn_port ins[] = {{"input", TYPES, 0, 0}};
static const tn_port outs[] = {{"output", TYPES, 0, 0}};

static tn_status infer(tn_infer *f)
{
    const tn_eye_like_params *params = f->params;
    TN_CHECK(f->in[0].rank < 0 || f->in[0].rank == 2, TN_INVALID, "the input has rank %d, not 2",
             f->in[0].rank);
    tn_dtype dtype = params->dtype ? (tn_dtype)params->dtype : f->in[0].dtype;
    tn_infer_set(f, 0, dtype, f->in[0].rank, f->in[0].dim);
    return NULL;
}

static tn_status reference(const tn_launch *l)
{
    const tn_eye_like_params *params = l->problem->params;
    const tn_tensor *y = &l->problem->out[0];
    if (tn_tensor_count(y) == 0) return NULL;
    for (int64_t row = 0; row < y->dim[0]; row++)
        for (int64_t column = 0; column < y->dim[1]; column++)
            tn_store_i64(y->dtype, y->data, row * y->dim[1] + column, column - row == params->k);
    return NULL;
}

extern const tn_case tn_eye_like_cases[];

const tn_op tn_op_eye_like = {
    .name = "EyeLike",
    .since = 22,
    .about = "1 on the k-th diagonal of a matrix shaped like the input, else 0",
    .in = ins,
    .in_count = 1,
    .out = outs,
    .out_count = 1,
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_eye_like_params),
    .infer = infer,
    .reference = reference,
    .shape_inputs = 1u << 0,
    .cases = tn_eye_like_cases,
};
