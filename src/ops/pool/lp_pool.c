/* LpPool-22 and GlobalLpPool-22: (sum |x|^p)^(1/p) of each window or channel. */
#include <math.h>

#include "ops/pool/pool.h"

static const tn_field fields[] = {
    TN_POOL_WINDOW_FIELDS,
    TN_INT(tn_pool_params, p, 2),
};
static const tn_field global_fields[] = {TN_INT(tn_pool_params, p, 2)};
static const tn_port ins[] = {{"X", TN_DTS_FLOAT, 'T', 0}};
static const tn_port outs[] = {{"Y", TN_DTS_FLOAT, 'T', 0}};

static tn_status lower(const tn_node *node, void *params_out)
{
    const tn_pool_params *params = params_out;
    TN_CHECK(params->p >= 1, TN_INVALID, "p is %lld, must be at least 1", (long long)params->p);
    return tn_pool_lower(node, params_out);
}

static tn_status lower_global(const tn_node *node, void *params_out)
{
    const tn_pool_params *params = params_out;
    (void)node;
    TN_CHECK(params->p >= 1, TN_INVALID, "p is %lld, must be at least 1", (long long)params->p);
    return NULL;
}

static tn_status run(const tn_launch *l, bool global)
{
    const tn_problem *p = l->problem;
    const tn_pool_params *params = p->params;
    const tn_tensor *x = &p->in[0], *y = &p->out[0];
    double power = (double)params->p;
    tn_window w;
    tn_pool_window(p, global, &w);
    for (int64_t plane = 0; plane < x->dim[0] * x->dim[1]; plane++) {
        for (int64_t at = 0; at < w.out_count; at++) {
            double sum = 0;
            tn_pool_walk walk;
            for (tn_pool_walk_init(&walk, &w, at); tn_pool_walk_next(&walk);)
                sum += pow(fabs(tn_load_f64(x->dtype, x->data, plane * w.in_count + walk.index)),
                           power);
            tn_store_f64(y->dtype, y->data, plane * w.out_count + at, pow(sum, 1 / power));
        }
    }
    return NULL;
}

static tn_status reference(const tn_launch *l)
{
    return run(l, false);
}

static tn_status reference_global(const tn_launch *l)
{
    return run(l, true);
}

extern const tn_case tn_lp_pool_cases[];
extern const tn_case tn_global_lp_pool_cases[];

const tn_op tn_op_lp_pool = {
    .name = "LpPool",
    .since = 22,
    .about = "(sum |x|^p)^(1/p) of each window",
    .in = ins,
    .in_count = 1,
    .out = outs,
    .out_count = 1,
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_pool_params),
    .lower = lower,
    .infer = tn_pool_infer,
    .reference = reference,
    .cases = tn_lp_pool_cases,
};

const tn_op tn_op_global_lp_pool = {
    .name = "GlobalLpPool",
    .since = 22,
    .about = "(sum |x|^p)^(1/p) of each channel",
    .in = ins,
    .in_count = 1,
    .out = outs,
    .out_count = 1,
    .field = global_fields,
    .field_count = TN_COUNT(global_fields),
    .params_bytes = sizeof(tn_pool_params),
    .lower = lower_global,
    .infer = tn_pool_infer_global,
    .reference = reference_global,
    .cases = tn_global_lp_pool_cases,
};
