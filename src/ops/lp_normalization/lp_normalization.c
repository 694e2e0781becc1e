/* LpNormalization: x / (sum |x|^p)^(1/p) along an axis, p being 1 or 2; zeros stay zeros. */
#include "ops/lp_normalization/lp_normalization.h"

#include <math.h>

#include "ir/op.h"

static const tn_field fields[] = {
    TN_INT(tn_lp_normalization_params, axis, -1),
    TN_INT(tn_lp_normalization_params, p, 2),
};
static const tn_port ins[] = {{"input", TN_DTS_FLOAT, 'T', 0}};
static const tn_port outs[] = {{"output", TN_DTS_FLOAT, 'T', 0}};

static tn_status infer(tn_infer *f)
{
    const tn_lp_normalization_params *params = f->params;
    int axis;
    TN_CHECK(params->p == 1 || params->p == 2, TN_INVALID, "p is %lld: it must be 1 or 2",
             (long long)params->p);
    if (f->in[0].rank >= 0) TN_TRY(tn_infer_axis(f, params->axis, f->in[0].rank, &axis));
    tn_infer_same(f, 0, 0);
    return NULL;
}

static tn_status reference(const tn_launch *l)
{
    const tn_lp_normalization_params *params = l->problem->params;
    const tn_tensor *x = &l->problem->in[0], *y = &l->problem->out[0];
    int axis = tn_axis_normal(params->axis, x->rank);
    if (tn_tensor_count(x) == 0) return NULL;
    int64_t outer = tn_dims_product(x->dim, 0, axis), count = x->dim[axis];
    int64_t inner = tn_dims_product(x->dim, axis + 1, x->rank);
    for (int64_t row = 0; row < outer * inner; row++) {
        int64_t base = row / inner * count * inner + row % inner;
        double norm = 0;
        for (int64_t k = 0; k < count; k++) {
            double value = fabs(tn_load_f64(x->dtype, x->data, base + k * inner));
            norm += params->p == 1 ? value : value * value;
        }
        if (params->p == 2) norm = sqrt(norm);
        for (int64_t k = 0; k < count; k++) {
            double value = tn_load_f64(x->dtype, x->data, base + k * inner);
            tn_store_f64(y->dtype, y->data, base + k * inner, norm == 0 ? 0 : value / norm);
        }
    }
    return NULL;
}

extern const tn_case tn_lp_normalization_cases[];

const tn_op tn_op_lp_normalization = {
    .name = "LpNormalization",
    .since = 22,
    .about = "x / (sum |x|^p)^(1/p) along axis",
    .in = ins,
    .in_count = 1,
    .out = outs,
    .out_count = 1,
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_lp_normalization_params),
    .infer = infer,
    .reference = reference,
    .cases = tn_lp_normalization_cases,
};
