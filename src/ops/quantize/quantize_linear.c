/* QuantizeLinear-25: y = saturate(round(x / scale) + zero_point), ties to even; float8 and float4
 * results are rounded by their type and have no zero point to speak of. The division is done in
 * `precision`, by default the type of the scale. */
#include <math.h>

#include "ops/quantize/quantize.h"
#include "ops/wide/wide.h"

#define QUANTIZED (TN_DT(I8) | TN_DT(U8) | TN_DT(I16) | TN_DT(U16) | TN_DTS_F8 | TN_DTS_SMALL)
#define REAL (TN_DT(F32) | TN_DT(F16) | TN_DT(BF16) | TN_DT(I32))

static const tn_field fields[] = {
    TN_INT(tn_quantize_params, axis, 1),
    TN_INT(tn_quantize_params, block_size, 0),
    TN_DTYPE_FIELD(tn_quantize_params, output_dtype, 0),
    TN_DTYPE_FIELD(tn_quantize_params, precision, 0),
    TN_INT(tn_quantize_params, saturate, 1),
};
static const tn_port ins[] = {{"x", REAL, 0, 0},
                              {"y_scale", REAL | TN_DT(F8E8M0), 0, 0},
                              {"y_zero_point", QUANTIZED, 0, TN_PORT_OPTIONAL}};
static const tn_port outs[] = {{"y", QUANTIZED, 0, 0}};

static tn_status infer(tn_infer *f)
{
    const tn_quantize_params *params = f->params;
    tn_dtype dtype = (tn_dtype)params->output_dtype;
    if (tn_infer_has(f, 2)) {
        TN_CHECK(dtype == TN_DTYPE_NONE || dtype == f->in[2].dtype, TN_INVALID,
                 "output_dtype is %s, y_zero_point is %s", tn_dtype_name(dtype),
                 tn_dtype_name(f->in[2].dtype));
        dtype = f->in[2].dtype;
    }
    if (dtype == TN_DTYPE_NONE) dtype = TN_DTYPE_U8;
    TN_CHECK(QUANTIZED >> dtype & 1, TN_INVALID, "output_dtype %s is not a quantised type",
             tn_dtype_name(dtype));
    TN_TRY(tn_quantize_check(f));
    tn_infer_set(f, 0, dtype, f->in[0].rank, f->in[0].dim);
    return NULL;
}

static bool is_float8(tn_dtype dtype)
{
    return TN_DTS_F8 >> dtype & 1;
}

static tn_status reference(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_quantize_params *params = p->params;
    const tn_tensor *x = &p->in[0], *scale = &p->in[1], *y = &p->out[0];
    const tn_tensor *zero = tn_wide_has(p, 2) ? &p->in[2] : NULL;
    tn_dtype precision = params->precision ? (tn_dtype)params->precision : scale->dtype;
    tn_quantize_map map;
    if (tn_dtype_kind_of(precision) != TN_KIND_F || is_float8(precision)) precision = TN_DTYPE_F32;
    tn_quantize_map_of(params, x, scale, &map);
    for (int64_t i = 0; i < tn_wide_count(x); i++) {
        int64_t at = tn_quantize_map_at(&map, i);
        double value =
            tn_load_f64(x->dtype, x->data, i) / tn_load_f64(scale->dtype, scale->data, at);
        value = tn_quantize_round(precision, value);
        if (is_float8(y->dtype)) {
            uint8_t bits = tn_f64_to_f8(y->dtype, value, params->saturate != 0);
            ((uint8_t *)y->data)[i] = bits;
        } else if (tn_dtype_kind_of(y->dtype) == TN_KIND_F) {
            tn_store_f64(y->dtype, y->data, i, value);
        } else {
            int64_t offset = zero ? tn_load_i64(zero->dtype, zero->data, at) : 0;
            tn_store_i64(y->dtype, y->data, i, tn_quantize_value(y->dtype, value, offset));
        }
    }
    return NULL;
}

extern const tn_case tn_quantize_linear_cases[];

const tn_op tn_op_quantize_linear = {
    .name = "QuantizeLinear",
    .since = 25,
    .about = "saturate(round(x / scale) + zero_point)",
    .in = ins,
    .in_count = 3,
    .out = outs,
    .out_count = 1,
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_quantize_params),
    .infer = infer,
    .reference = reference,
    .cases = tn_quantize_linear_cases,
};
