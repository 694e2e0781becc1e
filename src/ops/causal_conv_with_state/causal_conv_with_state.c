/* CausalConvWithState-27: each channel of [B, C, L] convolved with its own K taps, seeing only the
 * past.
 *
 *     padded = past_state [B,C,K-1] (or zeros) ++ input [B,C,L]
 *     y[t] = activation(bias + sum over k of weight[k] * padded[t + k]);  present_state = the last
 * K-1 of padded */
#include "ops/causal_conv_with_state/causal_conv_with_state.h"

#include <math.h>

#include "ir/op.h"
#include "ops/wide/wide.h"

enum { INPUT, WEIGHT, BIAS, PAST };

static const tn_field fields[] = {
    TN_ENUM(tn_causal_conv_params, activation, TN_CAUSAL_CONV_NONE, "none|silu|swish"),
};
static const tn_port ins[] = {
    {"input", TN_DTS_FLOAT, 'T', 0},
    {"weight", TN_DTS_FLOAT, 'T', 0},
    {"bias", TN_DTS_FLOAT, 'T', TN_PORT_OPTIONAL},
    {"past_state", TN_DTS_FLOAT, 'T', TN_PORT_OPTIONAL},
};
static const tn_port outs[] = {
    {"output", TN_DTS_FLOAT, 'T', 0},
    {"present_state", TN_DTS_FLOAT, 'T', TN_PORT_OPTIONAL},
};

static bool differ(const tn_infer *f, tn_expr a, tn_expr b)
{
    int64_t x, y;
    return tn_expr_is_const(f->exprs, a, &x) && tn_expr_is_const(f->exprs, b, &y) && x != y;
}

static tn_status infer(tn_infer *f)
{
    const tn_type *x = &f->in[INPUT], *w = &f->in[WEIGHT], *b = &f->in[BIAS], *past = &f->in[PAST];
    char text_x[128], text_w[128], text[128];
    tn_infer_same(f, 0, INPUT);
    tn_infer_set(f, 1, x->dtype, -1, NULL);
    if (x->rank < 0 || w->rank < 0) return NULL;
    TN_CHECK(x->rank == 3 && w->rank == 3 && !tn_expr_equals(f->exprs, w->dim[2], 0) &&
                 !differ(f, w->dim[0], x->dim[1]) &&
                 !differ(f, w->dim[1], tn_expr_const(f->exprs, 1)),
             TN_INVALID,
             "input must be [batch, channels, length] and weight [channels, 1, taps]: they are %s "
             "and %s",
             tn_type_text(f->exprs, x, text_x, sizeof text_x),
             tn_type_text(f->exprs, w, text_w, sizeof text_w));
    tn_expr kept = tn_expr_sub(f->exprs, w->dim[2], tn_expr_const(f->exprs, 1));
    if (tn_infer_has(f, BIAS) && b->rank >= 0)
        TN_CHECK(b->rank == 1 && !differ(f, b->dim[0], x->dim[1]), TN_INVALID,
                 "bias must have a value for each channel: it is %s",
                 tn_type_text(f->exprs, b, text, sizeof text));
    if (tn_infer_has(f, PAST) && past->rank >= 0)
        TN_CHECK(past->rank == 3 && !differ(f, past->dim[0], x->dim[0]) &&
                     !differ(f, past->dim[1], x->dim[1]) && !differ(f, past->dim[2], kept),
                 TN_INVALID, "past_state must be [batch, channels, taps - 1]: it is %s",
                 tn_type_text(f->exprs, past, text, sizeof text));
    tn_infer_set(f, 1, x->dtype, 3, (tn_expr[]){x->dim[0], x->dim[1], kept});
    return NULL;
}

static size_t scratch_bytes(const tn_problem *p)
{
    return tn_wide_bytes(p->in[INPUT].dim[2] + p->in[WEIGHT].dim[2]);
}

static tn_status reference(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_causal_conv_params *params = p->params;
    const tn_tensor *x = &p->in[INPUT], *w = &p->in[WEIGHT], *y = &p->out[0];
    int64_t channels = x->dim[1], length = x->dim[2], kept = w->dim[2] - 1;
    double *padded = l->scratch;
    for (int64_t row = 0; row < x->dim[0] * channels; row++) {
        int64_t c = row % channels;
        double bias =
            tn_wide_has(p, BIAS) ? tn_load_f64(p->in[BIAS].dtype, p->in[BIAS].data, c) : 0;
        for (int64_t k = 0; k < kept; k++)
            padded[k] = tn_wide_has(p, PAST)
                            ? tn_load_f64(p->in[PAST].dtype, p->in[PAST].data, row * kept + k)
                            : 0;
        if (length > 0) tn_load_f64s(x->dtype, x->data, row * length, length, padded + kept);
        for (int64_t t = 0; t < length; t++) {
            double sum = bias;
            for (int64_t k = 0; k <= kept; k++)
                sum += tn_load_f64(w->dtype, w->data, c * (kept + 1) + k) * padded[t + k];
            if (params->activation != TN_CAUSAL_CONV_NONE) sum /= 1 + exp(-sum);
            tn_store_f64(y->dtype, y->data, row * length + t, sum);
        }
        if (tn_wide_wants(p, 1) && kept > 0)
            tn_store_f64s(p->out[1].dtype, p->out[1].data, row * kept, kept, padded + length);
    }
    return NULL;
}

static const tn_case cases[] = {
    {.problem = "CausalConvWithState f32[1,1,3]={1,2,3} f32[1,1,2]={10,1} -> 2",
     .expect = "f32[1,1,3]={1,12,23} f32[1,1,1]={3}"},
    {.problem = "CausalConvWithState f32[1,2,1]={1,2} f32[2,1,3]={1,10,100,1,1,1} f32[2]={0.5,0} "
                "f32[1,2,2]={3,4,5,6} -> 2",
     .expect = "f32[1,2,1]={143.5,13} f32[1,2,2]={4,1,6,2}"},
    /* silu(1) = 0.7310586 */
    {.problem = "CausalConvWithState{activation=silu} f32[1,1,1]={1} f32[1,1,1]={1} -> 2",
     .expect = "f32[1,1,1]={0.7310586} f32[1,1,0]={}"},
    {.problem =
         "CausalConvWithState{activation=swish} f32[2,8,17] f32[8,1,4] f32[8] f32[2,8,3] -> 2"},
    {.problem = "CausalConvWithState f16[2,3,5] f16[3,1,4] -> 2"},
    {0},
};

const tn_op tn_op_causal_conv_with_state = {
    .name = "CausalConvWithState",
    .since = 27,
    .about = "depthwise convolution over the past, with a carried state of K - 1 elements and SiLU",
    .in = ins,
    .in_count = TN_COUNT(ins),
    .out = outs,
    .out_count = TN_COUNT(outs),
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_causal_conv_params),
    .infer = infer,
    .reference = reference,
    .scratch_bytes = scratch_bytes,
    .cases = cases,
};
