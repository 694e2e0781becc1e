/* RNN's gradient, of the domain "tenon": see rnn_gradient.h. */
#include "ops/rnn/rnn_gradient.h"
#include "ops/wide/wide.h"

static const tn_field fields[] = {TN_RNN_FIELDS};
static const tn_port ins[] = {TN_RNN_INPUTS, TN_RNN_PORT("dY"), TN_RNN_PORT("dY_h")};
static const tn_port outs[] = {TN_RNN_GRADIENTS};
static const tn_rnn_function usual[] = {TN_RNN_F_TANH};

static void step_back(const tn_rnn_cell *cell, const double *gate, const double *h, const double *c,
                      double *dh, double *dc, const tn_rnn_back *out)
{
    int64_t n = cell->hidden;
    double *raw = cell->work;
    (void)c, (void)dc;
    for (int64_t k = 0; k < n; k++) raw[k] = gate[k] + (cell->bias_r ? cell->bias_r[k] : 0);
    tn_wide_matmul(1, n, n, h, n, cell->r, n, raw, n);
    for (int64_t k = 0; k < n; k++) {
        out->dgate[k] = dh[k] * tn_rnn_gate_slope(cell, 0, raw[k]);
        out->dbias_r[k] += out->dgate[k];
        dh[k] = 0;
    }
    tn_rnn_back_product(cell, 0, n, out->dgate, h, out->dr, dh);
}

static const tn_rnn_kind kind = {.in_count = 6,
                                 .gates = 1,
                                 .functions = 1,
                                 .usual = usual,
                                 .step = tn_rnn_plain_step,
                                 .back = step_back};

TN_RNN_GRADIENT_CALLS(kind)

extern const tn_case tn_rnn_gradient_cases[];

const tn_op tn_op_rnn_gradient = {
    .name = "RNNGradient",
    .domain = "tenon",
    .since = 1,
    .about = "the gradients of all inputs of RNN from those of Y and Y_h",
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
    .cases = tn_rnn_gradient_cases,
};
