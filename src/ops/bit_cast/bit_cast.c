/* BitCast: the same bits under a type of the same width. */
#include "ops/bit_cast/bit_cast.h"

#include <string.h>

#include "ir/op.h"

#define TYPES (TN_DTS_ANY & ~TN_DT(STRING))
static const tn_field fields[] = {{.name = "to",
                                   .kind = TN_FIELD_DTYPE,
                                   .offset = offsetof(tn_bit_cast_params, to),
                                   .required = true}};
static const tn_port ins[] = {{"input", TYPES, 0, 0}};
static const tn_port outs[] = {{"output", TYPES, 0, 0}};

static tn_status infer(tn_infer *f)
{
    const tn_bit_cast_params *params = f->params;
    tn_dtype from = f->in[0].dtype, to = (tn_dtype)params->to;
    bool fits = params->to > 0 && params->to < TN_DTYPE_END && to != TN_DTYPE_STRING &&
                (from == TN_DTYPE_NONE || tn_dtype_bits(from) == tn_dtype_bits(to));
    TN_CHECK(fits, TN_INVALID, "%s and %s do not have the same number of bits", tn_dtype_name(from),
             tn_dtype_name(to));
    tn_infer_set(f, 0, to, f->in[0].rank, f->in[0].dim);
    return NULL;
}

static tn_status reference(const tn_launch *l)
{
    const tn_tensor *x = &l->problem->in[0], *y = &l->problem->out[0];
    int64_t bytes = tn_tensor_bytes(x);
    if (bytes > 0) memcpy(y->data, x->data, (size_t)bytes);
    return NULL;
}

extern const tn_case tn_bit_cast_cases[];

const tn_op tn_op_bit_cast = {
    .name = "BitCast",
    .since = 26,
    .about = "the bits of the input as another type of the same width",
    .in = ins,
    .in_count = 1,
    .out = outs,
    .out_count = 1,
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_bit_cast_params),
    .infer = infer,
    .reference = reference,
    .cases = tn_bit_cast_cases,
};
