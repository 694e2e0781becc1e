/* AveragePool-22 and GlobalAveragePool-22. Padding counts as zeros when count_include_pad, else not
 * at all; what a last, partial window (ceil_mode) reads beyond the padding never counts. */
#include "ops/pool/pool.h"
#include "ops/wide/wide.h"

static const tn_field fields[] = {
    TN_POOL_WINDOW_FIELDS,
    TN_INT(tn_pool_params, count_include_pad, 0),
};
static const tn_port ins[] = {{"X", TN_DTS_FLOAT, 'T', 0}};
static const tn_port outs[] = {{"Y", TN_DTS_FLOAT, 'T', 0}};

/* Taps of the window at `walk` that fall inside the input or its padding. */
int64_t tn_pool_count_padded(const tn_window *w, const tn_pool_walk *walk)
{
    int64_t count = 1;
    for (int i = 0; i < 3; i++) {
        int64_t taps = 0;
        for (int64_t k = 0; k < w->kernel[i]; k++)
            taps += walk->start[i] + k * w->dilation[i] < w->in[i] + w->pad_end[i];
        count *= taps;
    }
    return count;
}

static tn_status run(const tn_launch *l, bool global)
{
    const tn_problem *p = l->problem;
    const tn_pool_params *params = p->params;
    const tn_tensor *x = &p->in[0], *y = &p->out[0];
    bool include_pad = !global && params->count_include_pad;
    tn_window w;
    tn_pool_window(p, global, &w);
    for (int64_t plane = 0; plane < x->dim[0] * x->dim[1]; plane++) {
        for (int64_t at = 0; at < w.out_count; at++) {
            double sum = 0;
            int64_t count = 0;
            tn_pool_walk walk;
            for (tn_pool_walk_init(&walk, &w, at); tn_pool_walk_next(&walk); count++)
                sum += tn_load_f64(x->dtype, x->data, plane * w.in_count + walk.index);
            if (include_pad) count = tn_pool_count_padded(&w, &walk);
            /* A window wholly in padding has nothing to average: 0, as onnxruntime gives. */
            double mean = count || global ? sum / (double)count : 0;
            tn_store_f64(y->dtype, y->data, plane * w.out_count + at, mean);
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

extern const tn_case tn_average_pool_cases[];
extern const tn_case tn_global_average_pool_cases[];

const tn_op tn_op_average_pool = {
    .name = "AveragePool",
    .since = 22,
    .about = "the mean of each window",
    .in = ins,
    .in_count = 1,
    .out = outs,
    .out_count = 1,
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_pool_params),
    .lower = tn_pool_lower,
    .infer = tn_pool_infer,
    .reference = reference,
    .gradient = tn_pool_gradient,
    .cases = tn_average_pool_cases,
};

const tn_op tn_op_global_average_pool = {
    .name = "GlobalAveragePool",
    .since = 22,
    .about = "the mean of each channel",
    .in = ins,
    .in_count = 1,
    .out = outs,
    .out_count = 1,
    .infer = tn_pool_infer_global,
    .reference = reference_global,
    .gradient = tn_pool_gradient_global,
    .cases = tn_global_average_pool_cases,
};
