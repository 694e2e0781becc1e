/* DynamicQuantizeLinear-11: to u8 by the range of x itself, widened to hold 0. All in float, as the
 * operator's definition has it. */
#include <math.h>

#include "ops/quantize/quantize.h"
#include "ops/wide/wide.h"

static const tn_port ins[] = {{"x", TN_DT(F32), 0, 0}};
static const tn_port outs[] = {
    {"y", TN_DT(U8), 0, 0}, {"y_scale", TN_DT(F32), 0, 0}, {"y_zero_point", TN_DT(U8), 0, 0}};

static tn_status infer(tn_infer *f)
{
    tn_infer_set(f, 0, TN_DTYPE_U8, f->in[0].rank, f->in[0].dim);
    if (f->out_count > 1) tn_infer_set(f, 1, TN_DTYPE_F32, 0, NULL);
    if (f->out_count > 2) tn_infer_set(f, 2, TN_DTYPE_U8, 0, NULL);
    return NULL;
}

static tn_status reference(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const float *x = p->in[0].data;
    int64_t count = tn_wide_count(&p->in[0]);
    float low = 0, high = 0;
    for (int64_t i = 0; i < count; i++) {
        low = x[i] < low ? x[i] : low;
        high = x[i] > high ? x[i] : high;
    }
    float scale = high > low ? (high - low) / 255.0f : 1.0f; /* all zeros: any scale will do */
    int64_t zero = tn_quantize_value(TN_DTYPE_U8, -low / scale, 0);
    for (int64_t i = 0; i < count && tn_wide_wants(p, 0); i++)
        ((uint8_t *)p->out[0].data)[i] =
            (uint8_t)tn_quantize_value(TN_DTYPE_U8, x[i] / scale, zero);
    if (tn_wide_wants(p, 1)) *(float *)p->out[1].data = scale;
    if (tn_wide_wants(p, 2)) *(uint8_t *)p->out[2].data = (uint8_t)zero;
    return NULL;
}

extern const tn_case tn_dynamic_quantize_linear_cases[];

const tn_op tn_op_dynamic_quantize_linear = {
    .name = "DynamicQuantizeLinear",
    .since = 11,
    .about = "quantises to u8 by the range of x; gives the scale and the zero point too",
    .in = ins,
    .in_count = 1,
    .out = outs,
    .out_count = 3,
    .infer = infer,
    .reference = reference,
    .cases = tn_dynamic_quantize_linear_cases,
};
