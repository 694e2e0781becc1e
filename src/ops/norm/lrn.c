/* LRN-13: each element over a power of the squares around it in the channels:
 * y = x / (bias + alpha / size * sum of x^2 over channels [c - floor((size-1)/2), c +
 * ceil((size-1)/2)])^beta. */
#include <math.h>

#include "ir/op.h"
#include "ops/norm/norm.h"
#include "ops/wide/wide.h"

static const tn_field fields[] = {
    TN_FLOAT(tn_lrn_params, alpha, 1e-4),
    TN_FLOAT(tn_lrn_params, beta, 0.75),
    TN_FLOAT(tn_lrn_params, bias, 1),
    {.name = "size",
     .kind = TN_FIELD_INT,
     .required = true,
     .offset = offsetof(tn_lrn_params, size)},
};
static const tn_port ins[] = {{"X", TN_DTS_FLOAT, 'T', 0}};
static const tn_port outs[] = {{"Y", TN_DTS_FLOAT, 'T', 0}};

static tn_status lower(const tn_node *node, void *params_out)
{
    const tn_lrn_params *params = params_out;
    (void)node;
    TN_CHECK(params->size >= 1, TN_INVALID, "size is %lld", (long long)params->size);
    return NULL;
}

static tn_status infer(tn_infer *f)
{
    char text[128];
    TN_CHECK(f->in[0].rank < 0 || f->in[0].rank >= 2, TN_INVALID,
             "X needs batch and channels: X is %s",
             tn_type_text(f->exprs, &f->in[0], text, sizeof text));
    tn_infer_same(f, 0, 0);
    return NULL;
}

static size_t scratch_bytes(const tn_problem *p)
{
    return tn_wide_tensor_bytes(&p->in[0]);
}

static tn_status reference(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_lrn_params *params = p->params;
    const tn_tensor *x = &p->in[0], *y = &p->out[0];
    int64_t channels = x->dim[1], inner = tn_dims_product(x->dim, 2, x->rank);
    int64_t below = TN_MIN((params->size - 1) / 2, channels);
    int64_t above = TN_MIN(params->size / 2, channels); /* = ceil((size - 1) / 2) */
    void *scratch = l->scratch;
    const double *wide = tn_wide_load(&scratch, x);
    for (int64_t at = 0; at < tn_wide_count(x); at++) {
        int64_t c = at / inner % channels;
        double sum = 0;
        for (int64_t k = TN_MAX(0, c - below); k <= TN_MIN(channels - 1, c + above); k++) {
            double value = wide[at + (k - c) * inner];
            sum += value * value;
        }
        double base = params->bias + (double)params->alpha / (double)params->size * sum;
        tn_store_f64(y->dtype, y->data, at, wide[at] / pow(base, params->beta));
    }
    return NULL;
}

extern const tn_case tn_lrn_cases[];

const tn_op tn_op_lrn = {
    .name = "LRN",
    .since = 13,
    .about = "x / (bias + alpha / size * sum of x^2 over nearby channels)^beta",
    .in = ins,
    .in_count = 1,
    .out = outs,
    .out_count = 1,
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_lrn_params),
    .lower = lower,
    .infer = infer,
    .reference = reference,
    .scratch_bytes = scratch_bytes,
    .cases = tn_lrn_cases,
};
