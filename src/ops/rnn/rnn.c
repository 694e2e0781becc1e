/* RNN-22: h' = f(x W + h R + Wb + Rb). */
#include "ops/rnn/rnn_gradient.h"
#include "ops/wide/wide.h"

static const tn_field fields[] = {TN_RNN_FIELDS};
static const tn_port ins[] = {TN_RNN_INPUTS};
static const tn_port outs[] = {TN_RNN_OUTPUTS};
static const tn_rnn_function usual[] = {TN_RNN_F_TANH};

static tn_status lower(const tn_node *node, void *params)
{
    (void)node;
    return tn_rnn_lower(params, 1);
}

static tn_status infer(tn_infer *f)
{
    return tn_rnn_infer(f, 1);
}

void tn_rnn_plain_step(const tn_rnn_cell *cell, double *gate, double *h, double *c)
{
    int64_t n = cell->hidden;
    (void)c;
    for (int64_t k = 0; k < n && cell->bias_r; k++) gate[k] += cell->bias_r[k];
    tn_wide_matmul(1, n, n, h, n, cell->r, n, gate, n);
    for (int64_t k = 0; k < n; k++) h[k] = tn_rnn_gate(cell, 0, gate[k]);
}

static tn_status reference(const tn_launch *l)
{
    return tn_rnn_run(l, usual, 1, tn_rnn_plain_step);
}

extern const tn_case tn_rnn_cases[];

const tn_op tn_op_rnn = {
    .name = "RNN",
    .since = 22,
    .about = "the simple recurrent network: h' = f(x W + h R + b)",
    .in = ins,
    .in_count = 6,
    .out = outs,
    .out_count = 2,
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_rnn_params),
    .lower = lower,
    .infer = infer,
    .reference = reference,
    .scratch_bytes = tn_rnn_scratch_bytes,
    .gradient = tn_rnn_gradient,
    .upgrade = {{7, tn_rnn_upgrade_below_7}},
    .cases = tn_rnn_cases,
};
