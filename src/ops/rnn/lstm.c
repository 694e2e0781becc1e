/* LSTM-22.
 *
 *     i = f(x Wi + h Ri + Pi . c + Wbi + Rbi)        o = f(x Wo + h Ro + Po . c' + Wbo + Rbo)
 *     f = f(x Wf + h Rf + Pf . c + Wbf + Rbf)        c~ = g(x Wc + h Rc + Wbc + Rbc)
 *     c' = f . c + i . c~                            h' = o . h(c')
 */
#include "ops/rnn/rnn_gradient.h"
#include "ops/wide/wide.h"

static const tn_field fields[] = {TN_RNN_FIELDS, TN_INT(tn_rnn_params, input_forget, 0)};
static const tn_port ins[] = {TN_RNN_LSTM_INPUTS};
static const tn_port outs[] = {TN_RNN_OUTPUTS, TN_RNN_PORT("Y_c")};
static const tn_rnn_function usual[] = {TN_RNN_F_SIGMOID, TN_RNN_F_TANH, TN_RNN_F_TANH};

static tn_status lower(const tn_node *node, void *params)
{
    (void)node;
    return tn_rnn_lower(params, 3);
}

static tn_status infer(tn_infer *f)
{
    return tn_rnn_infer(f, 4);
}

void tn_lstm_step(const tn_rnn_cell *cell, double *gate, double *h, double *c)
{
    int64_t n = cell->hidden;
    const double *peep = cell->peephole;
    double *gi = gate, *go = gate + n, *gf = gate + 2 * n, *gc = gate + 3 * n;
    for (int64_t k = 0; k < 4 * n && cell->bias_r; k++) gate[k] += cell->bias_r[k];
    tn_wide_matmul(1, 4 * n, n, h, n, cell->r, 4 * n, gate, 4 * n);
    for (int64_t k = 0; k < n; k++) {
        double i = tn_rnn_gate(cell, 0, gi[k] + (peep ? peep[k] * c[k] : 0));
        double f = cell->params->input_forget
                       ? 1 - i
                       : tn_rnn_gate(cell, 0, gf[k] + (peep ? peep[2 * n + k] * c[k] : 0));
        c[k] = f * c[k] + i * tn_rnn_gate(cell, 1, gc[k]);
        double o = tn_rnn_gate(cell, 0, go[k] + (peep ? peep[n + k] * c[k] : 0));
        h[k] = o * tn_rnn_activate(&cell->act[2], c[k]);
    }
}

static tn_status reference(const tn_launch *l)
{
    return tn_rnn_run(l, usual, 3, tn_lstm_step);
}

extern const tn_case tn_lstm_cases[];

const tn_op tn_op_lstm = {
    .name = "LSTM",
    .since = 22,
    .about = "long short-term memory: c' = f . c + i . g(..), h' = o . h(c')",
    .in = ins,
    .in_count = 8,
    .out = outs,
    .out_count = 3,
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_rnn_params),
    .lower = lower,
    .infer = infer,
    .reference = reference,
    .scratch_bytes = tn_rnn_scratch_bytes,
    .gradient = tn_rnn_gradient,
    .upgrade = {{7, tn_rnn_upgrade_below_7}},
    .cases = tn_lstm_cases,
};
