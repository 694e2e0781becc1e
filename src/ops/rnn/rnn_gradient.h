/* Gradients of RNN, GRU and LSTM: backward through time.
 *
 * The inputs are those of the operator, then dY, dY_h (and dY_c); the outputs are dX, dW, dR, dB,
 * dinitial_h (and dinitial_c, dP). Nothing is kept from the forward run: it is run again, which
 * keeps h (and c) before each step, and each step backward computes its gates once more from them.
 */
#ifndef TN_OPS_RNN_GRADIENT_H
#define TN_OPS_RNN_GRADIENT_H

#include "ir/gradient.h"
#include "ops/rnn/rnn.h"

/* What one step backward gives, beside dh and dc. */
typedef struct tn_rnn_back {
    double *dgate;     /* [gates * hidden]: of x * W + Wb; set */
    double *dr;        /* [gates * hidden, hidden]: of R; added to, as what follows */
    double *dbias_r;   /* [gates * hidden] */
    double *dpeephole; /* [3 * hidden] */
} tn_rnn_back;

/* gate[] = x * W + Wb of this step, h and c the state before it. dh and dc come in as the gradients
 * of the state after it and leave as those of the state before it. */
typedef void (*tn_rnn_step_back)(const tn_rnn_cell *cell, const double *gate, const double *h,
                                 const double *c, double *dh, double *dc, const tn_rnn_back *out);

/* One operator's part. */
typedef struct tn_rnn_kind {
    int in_count; /* of the operator: 6 or 8 */
    int gates, functions;
    const tn_rnn_function *usual;
    tn_rnn_step step;
    tn_rnn_step_back back;
} tn_rnn_kind;

/* Outputs by number. The last two are LSTM's. */
enum { TN_RNN_DX, TN_RNN_DW, TN_RNN_DR, TN_RNN_DB, TN_RNN_DH0, TN_RNN_DC0, TN_RNN_DP };

void tn_rnn_gradient(tn_gradient *g); /* the rule of all three */
tn_status tn_rnn_gradient_infer(tn_infer *f, const tn_rnn_kind *kind) TN_MUST_USE;
size_t tn_rnn_gradient_scratch(const tn_problem *p, const tn_rnn_kind *kind);
tn_status tn_rnn_gradient_run(const tn_launch *l, const tn_rnn_kind *kind) TN_MUST_USE;

/* The slope of tn_rnn_gate and of tn_rnn_activate at x. */
double tn_rnn_gate_slope(const tn_rnn_cell *cell, int function, double x);
double tn_rnn_slope(const tn_rnn_activation *a, double x);
/* Of product[q] = sum over j of input[j] * R[j, q], for `count` gates from `first` on: adds to dr
 * and to dinput. */
void tn_rnn_back_product(const tn_rnn_cell *cell, int64_t first, int64_t count,
                         const double *dproduct, const double *input, double *dr, double *dinput);

/* Its ports, beside those of the operator. */
#define TN_RNN_GRADIENTS                                                                           \
    TN_RNN_PORT("dX"), TN_RNN_PORT("dW"), TN_RNN_PORT("dR"), TN_RNN_PORT("dB"),                    \
        TN_RNN_PORT("dinitial_h")

/* lower, infer, scratch_bytes and reference of the gradient whose kind is KIND. */
#define TN_RNN_GRADIENT_CALLS(KIND)                                                                \
    static tn_status lower(const tn_node *node, void *params)                                      \
    {                                                                                              \
        (void)node;                                                                                \
        return tn_rnn_lower(params, (KIND).functions);                                             \
    }                                                                                              \
    static tn_status infer(tn_infer *f)                                                            \
    {                                                                                              \
        return tn_rnn_gradient_infer(f, &(KIND));                                                  \
    }                                                                                              \
    static size_t scratch_bytes(const tn_problem *p)                                               \
    {                                                                                              \
        return tn_rnn_gradient_scratch(p, &(KIND));                                                \
    }                                                                                              \
    static tn_status reference(const tn_launch *l)                                                 \
    {                                                                                              \
        return tn_rnn_gradient_run(l, &(KIND));                                                    \
    }

void tn_lstm_step(const tn_rnn_cell *cell, double *gate, double *h, double *c);
void tn_gru_step(const tn_rnn_cell *cell, double *gate, double *h, double *c);
void tn_rnn_plain_step(const tn_rnn_cell *cell, double *gate, double *h, double *c);

#endif
