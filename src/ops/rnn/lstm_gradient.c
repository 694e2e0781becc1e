/* LSTM's gradient, of the domain "tenon": see rnn_gradient.h. */
#include "ops/rnn/rnn_gradient.h"
#include "ops/wide/wide.h"

static const tn_field fields[] = {TN_RNN_FIELDS, TN_INT(tn_rnn_params, input_forget, 0)};
static const tn_port ins[] = {TN_RNN_LSTM_INPUTS, TN_RNN_PORT("dY"), TN_RNN_PORT("dY_h"),
                              TN_RNN_PORT("dY_c")};
static const tn_port outs[] = {TN_RNN_GRADIENTS, TN_RNN_PORT("dinitial_c"), TN_RNN_PORT("dP")};
static const tn_rnn_function usual[] = {TN_RNN_F_SIGMOID, TN_RNN_F_TANH, TN_RNN_F_TANH};

/* raw = gate + Rb + h R; the gates' inputs are raw plus the peepholes' part. */
static void step_back(const tn_rnn_cell *cell, const double *gate, const double *h, const double *c,
                      double *dh, double *dc, const tn_rnn_back *out)
{
    int64_t n = cell->hidden;
    bool input_forget = cell->params->input_forget;
    double *raw = cell->work;
    for (int64_t q = 0; q < 4 * n; q++) raw[q] = gate[q] + (cell->bias_r ? cell->bias_r[q] : 0);
    tn_wide_matmul(1, 4 * n, n, h, n, cell->r, 4 * n, raw, 4 * n);
    for (int64_t k = 0; k < n; k++) {
        const double *p = cell->peephole;
        double pi = p ? p[k] : 0, po = p ? p[n + k] : 0, pf = p ? p[2 * n + k] : 0;
        double in_i = raw[k] + pi * c[k], in_f = raw[2 * n + k] + pf * c[k], in_c = raw[3 * n + k];
        double i = tn_rnn_gate(cell, 0, in_i), g = tn_rnn_gate(cell, 1, in_c);
        double f = input_forget ? 1 - i : tn_rnn_gate(cell, 0, in_f);
        double next = f * c[k] + i * g, in_o = raw[n + k] + po * next;
        double o = tn_rnn_gate(cell, 0, in_o);

        double d_o = dh[k] * tn_rnn_activate(&cell->act[2], next);
        d_o *= tn_rnn_gate_slope(cell, 0, in_o);
        double d_next = dc[k] + dh[k] * o * tn_rnn_slope(&cell->act[2], next) + d_o * po;
        double d_i = d_next * g, d_f = d_next * c[k];
        if (input_forget) {
            d_i -= d_f;
            d_f = 0;
        }
        d_i *= tn_rnn_gate_slope(cell, 0, in_i);
        d_f *= tn_rnn_gate_slope(cell, 0, in_f);
        dc[k] = d_next * f + d_i * pi + d_f * pf;
        out->dgate[k] = d_i;
        out->dgate[n + k] = d_o;
        out->dgate[2 * n + k] = d_f;
        out->dgate[3 * n + k] = d_next * i * tn_rnn_gate_slope(cell, 1, in_c);
        out->dpeephole[k] += d_i * c[k];
        out->dpeephole[n + k] += d_o * next;
        out->dpeephole[2 * n + k] += d_f * c[k];
        dh[k] = 0;
    }
    for (int64_t q = 0; q < 4 * n; q++) out->dbias_r[q] += out->dgate[q];
    tn_rnn_back_product(cell, 0, 4 * n, out->dgate, h, out->dr, dh);
}

static const tn_rnn_kind kind = {.in_count = 8,
                                 .gates = 4,
                                 .functions = 3,
                                 .usual = usual,
                                 .step = tn_lstm_step,
                                 .back = step_back};

TN_RNN_GRADIENT_CALLS(kind)

extern const tn_case tn_lstm_gradient_cases[];

const tn_op tn_op_lstm_gradient = {
    .name = "LSTMGradient",
    .domain = "tenon",
    .since = 1,
    .about = "the gradients of all inputs of LSTM from those of Y, Y_h and Y_c",
    .in = ins,
    .in_count = TN_COUNT(ins),
    .out = outs,
    .out_count = TN_COUNT(outs),
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_rnn_params),
    .lower = lower,
    .infer = infer,
    .reference = reference,
    .scratch_bytes = scratch_bytes,
    .cases = tn_lstm_gradient_cases,
};
