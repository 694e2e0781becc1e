/* RNN, GRU and LSTM: attributes, shapes and activations that the three share.
 *
 * Gate order in W, R and B: LSTM i o f c (peepholes i o f), GRU z r h. B is [Wb of all gates, Rb of
 * all gates]. Sequences shorter than the longest are padded at their end, in both directions: the
 * reverse direction starts at a sequence's own last step. Y is zero beyond it; Y_h is the state
 * after a sequence's own last processed step.
 */
#ifndef TN_OPS_RNN_H
#define TN_OPS_RNN_H

#include "ir/op.h"

#define TN_RNN_ACTIVATIONS                                                                         \
    "Relu|Tanh|Sigmoid|Affine|LeakyRelu|ThresholdedRelu|ScaledTanh|HardSigmoid|Elu|Softsign|"      \
    "Softplus"
typedef enum tn_rnn_function {
    TN_RNN_F_RELU,
    TN_RNN_F_TANH,
    TN_RNN_F_SIGMOID,
    TN_RNN_F_AFFINE,
    TN_RNN_F_LEAKY_RELU,
    TN_RNN_F_THRESHOLDED_RELU,
    TN_RNN_F_SCALED_TANH,
    TN_RNN_F_HARD_SIGMOID,
    TN_RNN_F_ELU,
    TN_RNN_F_SOFTSIGN,
    TN_RNN_F_SOFTPLUS,
    TN_RNN_FUNCTIONS
} tn_rnn_function;

enum { TN_RNN_FORWARD, TN_RNN_REVERSE, TN_RNN_BIDIRECTIONAL };

typedef struct tn_rnn_params {
    tn_ints activations; /* of all directions in turn; absent: the operator's defaults */
    tn_floats activation_alpha, activation_beta; /* taken in turn by the functions that use them */
    int64_t direction, hidden_size, layout;
    int64_t input_forget;        /* LSTM: f = 1 - i */
    int64_t linear_before_reset; /* GRU */
    float clip, pad;             /* bound of every activation's input; 0: none */
} tn_rnn_params;

/* Inputs, by number. The last two are LSTM's. */
enum { TN_RNN_X, TN_RNN_W, TN_RNN_R, TN_RNN_B, TN_RNN_LENS, TN_RNN_H0, TN_RNN_C0, TN_RNN_P };

/* Sizes of a problem and the steps, in elements, through its tensors, whatever the layout. */
typedef struct tn_rnn_shape {
    int64_t seq, batch, input, hidden, directions, gates;
    int64_t x_time, x_batch;
    int64_t y_time, y_direction, y_batch;
    int64_t state_direction, state_batch; /* of initial_h, initial_c, Y_h, Y_c */
} tn_rnn_shape;
void tn_rnn_shape_of(const tn_problem *p, tn_rnn_shape *out);

typedef struct tn_rnn_activation {
    tn_rnn_function function;
    double alpha, beta;
} tn_rnn_activation;
/* The `count` functions of one direction; `usual` are the operator's defaults. */
void tn_rnn_activations(const tn_rnn_params *params, const tn_rnn_function *usual, int count,
                        int direction, tn_rnn_activation *out);
double tn_rnn_activate(const tn_rnn_activation *a, double x);

/* ---- For the three operators -----------------------------------------------------------------*/

#define TN_RNN_FIELDS                                                                              \
    TN_ENUM_LIST(tn_rnn_params, activations, TN_RNN_ACTIVATIONS),                                  \
        TN_FLOAT_LIST(tn_rnn_params, activation_alpha),                                            \
        TN_FLOAT_LIST(tn_rnn_params, activation_beta), TN_FLOAT(tn_rnn_params, clip, 0),           \
        TN_ENUM(tn_rnn_params, direction, 0, "forward|reverse|bidirectional"),                     \
        TN_INT(tn_rnn_params, hidden_size, 0), TN_INT(tn_rnn_params, layout, 0)

/* Their ports. Outputs and what stands behind R may be absent. */
#define TN_RNN_PORT(name)                                                                          \
    {                                                                                              \
        name, TN_DTS_FLOAT, 'T', TN_PORT_OPTIONAL                                                  \
    }
#define TN_RNN_INPUTS                                                                              \
    {"X", TN_DTS_FLOAT, 'T', 0}, {"W", TN_DTS_FLOAT, 'T', 0}, {"R", TN_DTS_FLOAT, 'T', 0},         \
        TN_RNN_PORT("B"), {"sequence_lens", TN_DT(I32), 0, TN_PORT_OPTIONAL},                      \
        TN_RNN_PORT("initial_h")
#define TN_RNN_LSTM_INPUTS TN_RNN_INPUTS, TN_RNN_PORT("initial_c"), TN_RNN_PORT("P")
#define TN_RNN_OUTPUTS TN_RNN_PORT("Y"), TN_RNN_PORT("Y_h")

tn_status tn_rnn_lower(const tn_rnn_params *params, int functions) TN_MUST_USE;
tn_status tn_rnn_infer(tn_infer *f, int gates) TN_MUST_USE;
tn_status tn_rnn_upgrade_below_7(tn_graph *graph, tn_node *node) TN_MUST_USE;

/* One direction of one operator, ready to step: weights widened, those of h transposed. */
typedef struct tn_rnn_cell {
    const tn_rnn_params *params;
    int64_t hidden, gates;
    const double *r;        /* [hidden, gates * hidden] */
    const double *bias_r;   /* [gates * hidden], or NULL; bias_w is in the step's input already */
    const double *peephole; /* [3 * hidden], or NULL */
    tn_rnn_activation act[3];
    double *work; /* [gates * hidden] */
} tn_rnn_cell;
/* h (and c) become the next state; gate[] comes in as x * W + Wb and may be overwritten. */
typedef void (*tn_rnn_step)(const tn_rnn_cell *cell, double *gate, double *h, double *c);

size_t tn_rnn_scratch_bytes(const tn_problem *p);
tn_status tn_rnn_run(const tn_launch *l, const tn_rnn_function *usual, int functions,
                     tn_rnn_step step) TN_MUST_USE;
/* The same with steps through X, Y and the states that no layout tells. */
tn_status tn_rnn_run_at(const tn_launch *l, const tn_rnn_shape *s, const tn_rnn_function *usual,
                        int functions, tn_rnn_step step) TN_MUST_USE;
/* Clip and activate. */
double tn_rnn_gate(const tn_rnn_cell *cell, int function, double x);

#endif
