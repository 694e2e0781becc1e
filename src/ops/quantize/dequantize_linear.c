/* DequantizeLinear-25: y = (x - zero_point) * scale. */
#include "ops/quantize/quantize.h"
#include "ops/wide/wide.h"

#define QUANTIZED                                                                                  \
    (TN_DT(I8) | TN_DT(U8) | TN_DT(I16) | TN_DT(U16) | TN_DT(I32) | TN_DTS_F8 | TN_DTS_SMALL)
#define REAL (TN_DT(F32) | TN_DT(F16) | TN_DT(BF16))

static const tn_field fields[] = {
    TN_INT(tn_quantize_params, axis, 1),
    TN_INT(tn_quantize_params, block_size, 0),
    TN_DTYPE_FIELD(tn_quantize_params, output_dtype, 0),
};
static const tn_port ins[] = {{"x", QUANTIZED, 'Q', 0},
                              {"x_scale", REAL | TN_DT(F8E8M0), 0, 0},
                              {"x_zero_point", QUANTIZED, 'Q', TN_PORT_OPTIONAL}};
static const tn_port outs[] = {{"y", REAL, 0, 0}};

static tn_status infer(tn_infer *f)
{
    const tn_quantize_params *params = f->params;
    tn_dtype dtype = params->output_dtype ? (tn_dtype)params->output_dtype : f->in[1].dtype;
    TN_CHECK(REAL >> dtype & 1, TN_INVALID, "the output would be %s: give output_dtype",
             tn_dtype_name(dtype));
    TN_TRY(tn_quantize_check(f));
    tn_infer_set(f, 0, dtype, f->in[0].rank, f->in[0].dim);
    return NULL;
}

static tn_status reference(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_tensor *x = &p->in[0], *scale = &p->in[1], *y = &p->out[0];
    const tn_tensor *zero = tn_wide_has(p, 2) ? &p->in[2] : NULL;
    tn_quantize_map map;
    tn_quantize_map_of(p->params, x, scale, &map);
    for (int64_t i = 0; i < tn_wide_count(x); i++) {
        int64_t at = tn_quantize_map_at(&map, i);
        double value = tn_load_f64(x->dtype, x->data, i);
        if (zero) value -= tn_load_f64(zero->dtype, zero->data, at);
        tn_store_f64(y->dtype, y->data, i, value * tn_load_f64(scale->dtype, scale->data, at));
    }
    return NULL;
}

extern const tn_case tn_dequantize_linear_cases[];

const tn_op tn_op_dequantize_linear = {
    .name = "DequantizeLinear",
    .since = 25,
    .about = "(x - zero_point) * scale",
    .in = ins,
    .in_count = 3,
    .out = outs,
    .out_count = 1,
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_quantize_params),
    .infer = infer,
    .reference = reference,
    .cases = tn_dequantize_linear_cases,
};
