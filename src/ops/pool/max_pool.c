/* MaxPool-22 and GlobalMaxPool-22: the largest element of each window; padding never wins. Indices
 * number the winner (the first of equals) in the whole of X. NaN wins over numbers. */
#include <math.h>

#include "ops/pool/pool.h"
#include "ops/wide/wide.h"

#define TYPES (TN_DTS_FLOAT | TN_DT(I8) | TN_DT(U8))

static const tn_field fields[] = {
    TN_POOL_WINDOW_FIELDS,
    TN_INT(tn_pool_params, storage_order, 0),
};
static const tn_port ins[] = {{"X", TYPES, 'T', 0}};
static const tn_port outs[] = {{"Y", TYPES, 'T', 0},
                               {"Indices", TN_DT(I64), 'I', TN_PORT_OPTIONAL}};
static const tn_port global_ins[] = {{"X", TN_DTS_FLOAT, 'T', 0}};
static const tn_port global_outs[] = {{"Y", TN_DTS_FLOAT, 'T', 0}};

static tn_status infer(tn_infer *f)
{
    TN_TRY(tn_pool_infer(f));
    if (f->out_count > 1) tn_infer_set(f, 1, TN_DTYPE_I64, f->out[0].rank, f->out[0].dim);
    return NULL;
}

/* Of one plane: row-major, or with the first spatial axis fastest. */
static int64_t number(const tn_window *w, int64_t index, bool column_major)
{
    if (!column_major) return index;
    int64_t at[3];
    for (int i = 2; i >= 0; i--) {
        at[i] = index % w->in[i];
        index /= w->in[i];
    }
    return at[0] + w->in[0] * (at[1] + w->in[1] * at[2]);
}

static double lowest(tn_dtype dtype)
{
    if (dtype == TN_DTYPE_I8) return -128;
    return dtype == TN_DTYPE_U8 ? 0 : -INFINITY;
}

static tn_status run(const tn_launch *l, bool global)
{
    const tn_problem *p = l->problem;
    const tn_pool_params *params = p->params;
    const tn_tensor *x = &p->in[0], *y = &p->out[0];
    bool column_major = !global && params->storage_order;
    tn_window w;
    tn_pool_window(p, global, &w);
    for (int64_t plane = 0; plane < x->dim[0] * x->dim[1]; plane++) {
        for (int64_t at = 0; at < w.out_count; at++) {
            double best = lowest(x->dtype);
            int64_t winner = -1;
            tn_pool_walk walk;
            for (tn_pool_walk_init(&walk, &w, at); tn_pool_walk_next(&walk);) {
                double value = tn_load_f64(x->dtype, x->data, plane * w.in_count + walk.index);
                if (winner >= 0 && !(value > best) && !(isnan(value) && !isnan(best))) continue;
                best = value;
                winner = walk.index;
            }
            tn_store_f64(y->dtype, y->data, plane * w.out_count + at, best);
            if (winner >= 0) winner = plane * w.in_count + number(&w, winner, column_major);
            if (tn_wide_wants(p, 1))
                tn_store_i64(p->out[1].dtype, p->out[1].data, plane * w.out_count + at, winner);
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

extern const tn_case tn_max_pool_cases[];
extern const tn_case tn_global_max_pool_cases[];

const tn_op tn_op_max_pool = {
    .name = "MaxPool",
    .since = 22,
    .about = "the largest element of each window, and where it stood",
    .in = ins,
    .in_count = 1,
    .out = outs,
    .out_count = 2,
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_pool_params),
    .lower = tn_pool_lower,
    .infer = infer,
    .reference = reference,
    .gradient = tn_pool_gradient,
    .cases = tn_max_pool_cases,
};

const tn_op tn_op_global_max_pool = {
    .name = "GlobalMaxPool",
    .since = 22,
    .about = "the largest element of each channel",
    .in = global_ins,
    .in_count = 1,
    .out = global_outs,
    .out_count = 1,
    .infer = tn_pool_infer_global,
    .reference = reference_global,
    .gradient = tn_pool_gradient_global,
    .cases = tn_global_max_pool_cases,
};
