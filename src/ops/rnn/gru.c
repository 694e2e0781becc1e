/* GRU-22.
 *
 *     z = f(x Wz + h Rz + Wbz + Rbz)        r = f(x Wr + h Rr + Wbr + Rbr)
 *     h~ = g(x Wh + (r . h) Rh + Rbh + Wbh)             linear_before_reset = 0
 *     h~ = g(x Wh + r . (h Rh + Rbh) + Wbh)             linear_before_reset = 1 (PyTorch's)
 *     h' = (1 - z) . h~ + z . h
 */
#include "ops/rnn/rnn_gradient.h"
#include "ops/wide/wide.h"

static const tn_field fields[] = {TN_RNN_FIELDS, TN_INT(tn_rnn_params, linear_before_reset, 0)};
static const tn_port ins[] = {TN_RNN_INPUTS};
static const tn_port outs[] = {TN_RNN_OUTPUTS};
static const tn_rnn_function usual[] = {TN_RNN_F_SIGMOID, TN_RNN_F_TANH};

static tn_status lower(const tn_node *node, void *params)
{
    (void)node;
    return tn_rnn_lower(params, 2);
}

static tn_status infer(tn_infer *f)
{
    return tn_rnn_infer(f, 3);
}

void tn_gru_step(const tn_rnn_cell *cell, double *gate, double *h, double *c)
{
    int64_t n = cell->hidden;
    bool linear = cell->params->linear_before_reset;
    double *z = gate, *r = gate + n, *gh = gate + 2 * n, *work = cell->work;
    const double *bias = cell->bias_r;
    (void)c;
    for (int64_t k = 0; k < 2 * n && bias; k++) gate[k] += bias[k];
    tn_wide_matmul(1, 2 * n, n, h, n, cell->r, 3 * n, gate, 3 * n);
    for (int64_t k = 0; k < 2 * n; k++) gate[k] = tn_rnn_gate(cell, 0, gate[k]);
    double *input = work, *product = work + n;
    for (int64_t k = 0; k < n; k++) {
        input[k] = linear ? h[k] : r[k] * h[k];
        product[k] = bias ? bias[2 * n + k] : 0;
    }
    tn_wide_matmul(1, n, n, input, n, cell->r + 2 * n, 3 * n, product, n);
    for (int64_t k = 0; k < n; k++) {
        double candidate = tn_rnn_gate(cell, 1, gh[k] + (linear ? r[k] * product[k] : product[k]));
        h[k] = (1 - z[k]) * candidate + z[k] * h[k];
    }
}

static tn_status reference(const tn_launch *l)
{
    return tn_rnn_run(l, usual, 2, tn_gru_step);
}

extern const tn_case tn_gru_cases[];

const tn_op tn_op_gru = {
    .name = "GRU",
    .since = 22,
    .about = "gated recurrent unit: h' = (1 - z) . h~ + z . h",
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
    .cases = tn_gru_cases,
};
