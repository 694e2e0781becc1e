/* GRU's gradient, of the domain "tenon": see rnn_gradient.h. */
#include "ops/rnn/rnn_gradient.h"
#include "ops/wide/wide.h"

static const tn_field fields[] = {TN_RNN_FIELDS, TN_INT(tn_rnn_params, linear_before_reset, 0)};
static const tn_port ins[] = {TN_RNN_INPUTS, TN_RNN_PORT("dY"), TN_RNN_PORT("dY_h")};
static const tn_port outs[] = {TN_RNN_GRADIENTS};
static const tn_rnn_function usual[] = {TN_RNN_F_SIGMOID, TN_RNN_F_TANH};

/* product = input Rh + Rbh, where input is h, or r . h before the reset is linear. */
static void step_back(const tn_rnn_cell *cell, const double *gate, const double *h, const double *c,
                      double *dh, double *dc, const tn_rnn_back *out)
{
    int64_t n = cell->hidden;
    bool linear = cell->params->linear_before_reset;
    double *raw = cell->work, *input = raw + 3 * n, *dinput = raw + 4 * n, *dproduct = raw + 5 * n;
    double *product = raw + 2 * n;
    (void)c, (void)dc;
    for (int64_t q = 0; q < 2 * n; q++) raw[q] = gate[q] + (cell->bias_r ? cell->bias_r[q] : 0);
    tn_wide_matmul(1, 2 * n, n, h, n, cell->r, 3 * n, raw, 3 * n);
    for (int64_t k = 0; k < n; k++) {
        input[k] = linear ? h[k] : tn_rnn_gate(cell, 0, raw[n + k]) * h[k];
        product[k] = cell->bias_r ? cell->bias_r[2 * n + k] : 0;
        dinput[k] = 0;
    }
    tn_wide_matmul(1, n, n, input, n, cell->r + 2 * n, 3 * n, product, n);
    for (int64_t k = 0; k < n; k++) {
        double z = tn_rnn_gate(cell, 0, raw[k]), r = tn_rnn_gate(cell, 0, raw[n + k]);
        double in_c = gate[2 * n + k] + (linear ? r * product[k] : product[k]);
        double candidate = tn_rnn_gate(cell, 1, in_c);
        double d_c = dh[k] * (1 - z) * tn_rnn_gate_slope(cell, 1, in_c);
        out->dgate[k] = dh[k] * (h[k] - candidate) * tn_rnn_gate_slope(cell, 0, raw[k]);
        out->dgate[n + k] = linear ? d_c * product[k] : 0; /* of r; the other way comes below */
        out->dgate[2 * n + k] = d_c;
        dproduct[k] = linear ? d_c * r : d_c;
        dh[k] *= z;
    }
    tn_rnn_back_product(cell, 2 * n, n, dproduct, input, out->dr, dinput);
    for (int64_t k = 0; k < n; k++) {
        if (linear) {
            dh[k] += dinput[k];
        } else {
            dh[k] += dinput[k] * tn_rnn_gate(cell, 0, raw[n + k]);
            out->dgate[n + k] = dinput[k] * h[k];
        }
        out->dgate[n + k] *= tn_rnn_gate_slope(cell, 0, raw[n + k]);
        out->dbias_r[2 * n + k] += dproduct[k];
    }
    for (int64_t q = 0; q < 2 * n; q++) out->dbias_r[q] += out->dgate[q];
    tn_rnn_back_product(cell, 0, 2 * n, out->dgate, h, out->dr, dh);
}

static const tn_rnn_kind kind = {.in_count = 6,
                                 .gates = 3,
                                 .functions = 2,
                                 .usual = usual,
                                 .step = tn_gru_step,
                                 .back = step_back};

TN_RNN_GRADIENT_CALLS(kind)

extern const tn_case tn_gru_gradient_cases[];

const tn_op tn_op_gru_gradient = {
    .name = "GRUGradient",
    .domain = "tenon",
    .since = 1,
    .about = "the gradients of all inputs of GRU from those of Y and Y_h",
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
    .cases = tn_gru_gradient_cases,
};
