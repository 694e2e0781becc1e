/* Recurrent layers against the formulas of PyTorch's LSTM, GRU and RNN, in double, and networks
 * inside networks. */
#include "network_help.h"

enum { TIME = 3, BATCH = 2, IN = 2, HIDDEN = 3, LAYERS = 2, WEIGHTS_MAX = 4 * 2 * LAYERS };

static float x_values[TIME * BATCH * IN], h_values[2 * LAYERS * BATCH * HIDDEN],
    c_values[2 * LAYERS * BATCH * HIDDEN], weight_values[4096];

static int gates_of(tn_rnn_type type)
{
    return type == TN_RNN_LSTM ? 4 : type == TN_RNN_GRU ? 3 : 1;
}

static float next_value(void)
{
    static uint32_t state = 1;
    state = state * 1664525 + 1013904223;
    return (float)(int32_t)state / 4294967296.0f;
}

/* In the order of torch's state_dict. */
static int make_weights(tn_rnn_type type, int directions, bool biases, tn_tensor *out)
{
    int count = 0, used = 0, rows = gates_of(type) * HIDDEN;
    for (size_t i = 0; i < sizeof(weight_values) / sizeof(float); i++)
        weight_values[i] = next_value();
    for (int k = 0; k < LAYERS * directions; k++) {
        int in = k < directions ? IN : directions * HIDDEN;
        out[count++] = view(TN_DTYPE_F32, weight_values + used, TN_DIMS(rows, in));
        used += rows * in;
        out[count++] = view(TN_DTYPE_F32, weight_values + used, TN_DIMS(rows, HIDDEN));
        used += rows * HIDDEN;
        for (int b = 0; b < 2 && biases; b++, used += rows)
            out[count++] = view(TN_DTYPE_F32, weight_values + used, TN_DIMS(rows));
    }
    return count;
}

/* Row `row` of W x + b. */
static double affine(const tn_tensor *w, const tn_tensor *b, int row, const double *x)
{
    double sum = b ? (double)((float *)b->data)[row] : 0;
    for (int i = 0; i < w->dim[1]; i++)
        sum += (double)((float *)w->data)[row * w->dim[1] + i] * x[i];
    return sum;
}

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

/* One step of one direction, as torch.nn documents it. */
static void step(tn_rnn_type type, const tn_tensor *w, bool biases, const double *x, double *h,
                 double *c)
{
    double a[4][HIDDEN], b[4][HIDDEN];
    for (int g = 0; g < gates_of(type); g++)
        for (int k = 0; k < HIDDEN; k++) {
            a[g][k] = affine(&w[0], biases ? &w[2] : NULL, g * HIDDEN + k, x);
            b[g][k] = affine(&w[1], biases ? &w[3] : NULL, g * HIDDEN + k, h);
        }
    for (int k = 0; k < HIDDEN; k++) {
        if (type == TN_RNN_LSTM) {
            double i = sigmoid(a[0][k] + b[0][k]), f = sigmoid(a[1][k] + b[1][k]);
            c[k] = f * c[k] + i * tanh(a[2][k] + b[2][k]);
            h[k] = sigmoid(a[3][k] + b[3][k]) * tanh(c[k]);
        } else if (type == TN_RNN_GRU) {
            double r = sigmoid(a[0][k] + b[0][k]), z = sigmoid(a[1][k] + b[1][k]);
            h[k] = (1 - z) * tanh(a[2][k] + r * b[2][k]) + z * h[k];
        } else {
            double v = a[0][k] + b[0][k];
            h[k] = type == TN_RNN_TANH ? tanh(v) : fmax(v, 0);
        }
    }
}

/* y [TIME, BATCH, directions * HIDDEN], h and c [LAYERS * directions, BATCH, HIDDEN]. */
static void run_stack(tn_rnn_type type, int directions, bool biases, bool states,
                      const tn_tensor *weights, double *y, double *h, double *c)
{
    double in[TIME * BATCH * 2 * HIDDEN];
    int each = biases ? 4 : 2, size = IN;
    for (int i = 0; i < TIME * BATCH * IN; i++) in[i] = (double)x_values[i];
    for (int layer = 0; layer < LAYERS; layer++) {
        for (int k = 0; k < directions * BATCH; k++) {
            int d = k / BATCH, n = k % BATCH, at = ((layer * directions + d) * BATCH + n) * HIDDEN;
            for (int i = 0; i < HIDDEN; i++) {
                h[at + i] = states ? (double)h_values[at + i] : 0;
                c[at + i] = states ? (double)c_values[at + i] : 0;
            }
            for (int s = 0; s < TIME; s++) {
                int t = d ? TIME - 1 - s : s;
                step(type, &weights[(layer * directions + d) * each], biases,
                     &in[(t * BATCH + n) * size], &h[at], &c[at]);
                memcpy(&y[((t * BATCH + n) * directions + d) * HIDDEN], &h[at],
                       HIDDEN * sizeof(double));
            }
        }
        size = directions * HIDDEN;
        memcpy(in, y, (size_t)(TIME * BATCH * size) * sizeof(double));
    }
}

static tn_layer *make_inputs(tn_layer **h0, tn_layer **c0, int directions)
{
    for (size_t i = 0; i < sizeof(x_values) / sizeof(float); i++) x_values[i] = next_value();
    for (size_t i = 0; i < sizeof(h_values) / sizeof(float); i++) {
        h_values[i] = next_value();
        c_values[i] = next_value();
    }
    tn_layer *x = floats(x_values, TIME, BATCH, IN);
    *h0 = floats(h_values, LAYERS * directions, BATCH, HIDDEN);
    *c0 = floats(c_values, LAYERS * directions, BATCH, HIDDEN);
    return x;
}

static void stacks_are_pytorchs(void **state)
{
    (void)state;
    static const char *const kinds[] = {"lstm", "gru", "rnn", "rnn"};
    for (int which = 0; which < 16; which++) {
        tn_rnn_type type = (tn_rnn_type)(which / 4);
        int directions = 1 + which % 2;
        bool biases = which % 4 != 1, states = which % 4 > 1;
        tn_tensor w[WEIGHTS_MAX];
        tn_layer *h0, *c0;
        double y[TIME * BATCH * 2 * HIDDEN], h[2 * LAYERS * BATCH * HIDDEN],
            c[2 * LAYERS * BATCH * HIDDEN];
        tn_network_free(net);
        setup(NULL);
        tn_layer *x = make_inputs(&h0, &c0, directions);
        int count = make_weights(type, directions, biases, w);
        tn_layer *rnn = tn_network_add_rnn(net, type, x, HIDDEN, LAYERS, directions == 2, w, count);
        assert_ok(tn_network_status(net));
        assert_string_equal(tn_layer_kind_name(rnn), kinds[type]);
        if (states) tn_layer_set_input(rnn, 1, h0);
        if (states && type == TN_RNN_LSTM) tn_layer_set_input(rnn, 2, c0);
        run_stack(type, directions, biases, states, w, y, h, c);
        check(rnn, TN_DIMS(TIME, BATCH, directions * HIDDEN), y,
              TIME * BATCH * directions * HIDDEN);
        check(tn_layer_output(rnn, 1), TN_DIMS(LAYERS * directions, BATCH, HIDDEN), h,
              LAYERS * directions * BATCH * HIDDEN);
        if (type == TN_RNN_LSTM)
            check(tn_layer_output(rnn, 2), TN_DIMS(LAYERS * directions, BATCH, HIDDEN), c,
                  LAYERS * directions * BATCH * HIDDEN);
    }
}

/* The same weights gate by gate, batch first, as strided views. */
static void gates_one_by_one(void **state)
{
    (void)state;
    static const tn_cell_gate order[] = {TN_GATE_INPUT, TN_GATE_FORGET, TN_GATE_CELL,
                                         TN_GATE_OUTPUT};
    tn_tensor w[WEIGHTS_MAX];
    tn_layer *h0, *c0;
    double y[TIME * BATCH * HIDDEN], h[LAYERS * BATCH * HIDDEN], c[LAYERS * BATCH * HIDDEN],
        turned[TIME * BATCH * HIDDEN];
    tn_layer *x = make_inputs(&h0, &c0, 1);
    make_weights(TN_RNN_LSTM, 1, true, w);
    tn_layer *first = tn_network_add_shuffle(net, x);
    tn_layer_set_ints(first, TN_SET_FIRST_TRANSPOSE, TN_DIMS(1, 0, 2));
    tn_layer *lstm = tn_network_add_lstm(net, first, HIDDEN, LAYERS, false, NULL, 0);
    tn_layer_set_int(lstm, TN_SET_BATCH_FIRST, 1);
    for (int k = 0; k < LAYERS * 4; k++)
        for (int recurrent = 0; recurrent < 2; recurrent++) {
            int layer = k / 4, gate = k % 4;
            tn_tensor part = w[layer * 4 + recurrent], bias = w[layer * 4 + 2 + recurrent];
            part.data = (float *)part.data + gate * HIDDEN * part.dim[1];
            bias.data = (float *)bias.data + gate * HIDDEN;
            part.dim[0] = bias.dim[0] = HIDDEN;
            tn_layer_set_gate(lstm, layer, order[gate], recurrent, &part, &bias);
        }
    run_stack(TN_RNN_LSTM, 1, true, false, w, y, h, c);
    for (int t = 0; t < TIME; t++)
        for (int n = 0; n < BATCH; n++)
            memcpy(&turned[(n * TIME + t) * HIDDEN], &y[(t * BATCH + n) * HIDDEN],
                   HIDDEN * sizeof(double));
    check(lstm, TN_DIMS(BATCH, TIME, HIDDEN), turned, TIME * BATCH * HIDDEN);
    check(tn_layer_output(lstm, 2), TN_DIMS(LAYERS, BATCH, HIDDEN), c, LAYERS * BATCH * HIDDEN);
}

static void bad_weights_are_named(void **state)
{
    (void)state;
    tn_tensor w[WEIGHTS_MAX], square = view(TN_DTYPE_F32, weight_values, TN_DIMS(HIDDEN, HIDDEN));
    tn_layer *h0, *c0, *x = make_inputs(&h0, &c0, 2);
    int count = make_weights(TN_RNN_GRU, 2, true, w);
    tn_layer *gru = tn_network_add_rnn(net, TN_RNN_GRU, x, HIDDEN, LAYERS, true, NULL, 0);
    tn_layer_set_name(gru, "decoder");
    tn_io io;
    assert_fails(tn_layer_describe(gru, &io), TN_INVALID,
                 "gru 'decoder': layer 0, direction 0: the update gate has no weight on the input");
    tn_layer_set_gate(gru, 0, TN_GATE_CELL, true, &square, NULL);
    assert_fails(tn_network_status(net), TN_INVALID, "gru 'decoder': GRU has no gate 2, cell");
    teardown(NULL);
    setup(NULL);
    x = make_inputs(&h0, &c0, 2);
    w[count - 1].dim[0]--;
    assert_null(tn_network_add_rnn(net, TN_RNN_GRU, x, HIDDEN, LAYERS, true, w, count));
    assert_fails(tn_network_status(net), TN_INVALID,
                 "bias_hh_l1_reverse is f32[8], must be floats [9]");
    teardown(NULL);
    setup(NULL);
    x = make_inputs(&h0, &c0, 2);
    assert_null(tn_network_add_rnn(net, TN_RNN_GRU, x, HIDDEN, LAYERS, true, w, count - 1));
    assert_fails(tn_network_status(net), TN_INVALID,
                 "15 weights; 2 layers of 2 directions have 8, or 16");
    teardown(NULL);
    setup(NULL);
    x = make_inputs(&h0, &c0, 2);
    assert_null(tn_network_add_lstm(net, x, -1, LAYERS, true, w, count));
    assert_fails(tn_network_status(net), TN_INVALID, "-1 hidden units");
}

/* ---- Control flow ----------------------------------------------------------------------------*/

static tn_network *new_inside(const char *name)
{
    tn_network *inside;
    assert_ok(tn_network_new(name, &inside));
    return inside;
}

static void branches(void **state)
{
    (void)state;
    tn_network *twice = new_inside("twice"), *minus = new_inside("minus");
    tn_layer *a = tn_network_add_input(twice, "a", TN_DTYPE_F32, TN_DIMS(-1));
    tn_layer *b = tn_network_add_input(twice, "b", TN_DTYPE_F32, TN_DIMS(-1));
    tn_network_mark_output(twice, tn_network_add_elementwise(twice, a, a, TN_ELEMENTWISE_SUM),
                           "doubled");
    a = tn_network_add_input(minus, "a", TN_DTYPE_F32, TN_DIMS(-1));
    b = tn_network_add_input(minus, "b", TN_DTYPE_F32, TN_DIMS(-1));
    tn_network_mark_output(minus, tn_network_add_elementwise(minus, a, b, TN_ELEMENTWISE_SUB),
                           "difference");
    bool yes = true, no = false;
    tn_layer *x = floats(F(1, 2), 2), *y = floats(F(5, 7), 2);
    tn_layer *t = input_of(TN_DTYPE_BOOL, &yes, NULL, 0),
             *f = input_of(TN_DTYPE_BOOL, &no, NULL, 0);
    check(tn_network_add_if(net, t, twice, minus, TN_LAYERS(x, y)), TN_DIMS(2), D(2, 4));
    check(tn_network_add_if(net, f, twice, minus, TN_LAYERS(x, y)), TN_DIMS(2), D(-4, -5));
    tn_layer *bad = tn_network_add_if(net, t, twice, minus, TN_LAYERS(x));
    assert_null(bad);
    assert_fails(tn_network_status(net), TN_INVALID,
                 "network 'twice', has 2 inputs; it is given 1");
    tn_network_free(twice);
    tn_network_free(minus);
}

/* Fibonacci: carried a, b become b, a + b + step; each a is collected. */
static void loops(void **state)
{
    (void)state;
    tn_network *body = new_inside("body");
    tn_network_add_input(body, "i", TN_DTYPE_I64, NULL, 0);
    tn_layer *go = tn_network_add_input(body, "go", TN_DTYPE_BOOL, NULL, 0);
    tn_layer *a = tn_network_add_input(body, "a", TN_DTYPE_I64, TN_DIMS(1));
    tn_layer *b = tn_network_add_input(body, "b", TN_DTYPE_I64, TN_DIMS(1));
    tn_layer *more = tn_network_add_input(body, "more", TN_DTYPE_I64, TN_DIMS(1));
    tn_layer *sum = tn_network_add_elementwise(body, a, b, TN_ELEMENTWISE_SUM);
    sum = tn_network_add_elementwise(body, sum, more, TN_ELEMENTWISE_SUM);
    tn_network_mark_output(body, go, "still");
    tn_network_mark_output(body, b, "next_a");
    tn_network_mark_output(body, sum, "next_b");
    tn_network_mark_output(body, a, "seen");
    int64_t six = 6;
    tn_layer *trips = input_of(TN_DTYPE_I64, &six, NULL, 0);
    tn_layer *zero = ints(N(0), 1), *one = ints(N(1), 1), *none = ints(N(0), 1);
    tn_layer *loop =
        tn_network_add_loop(net, trips, NULL, body, TN_LAYERS(zero, one), TN_LAYERS(none));
    check(loop, TN_DIMS(1), D(8));
    check(tn_layer_output(loop, 1), TN_DIMS(1), D(13));
    check(tn_layer_output(loop, 2), TN_DIMS(6, 1), D(0, 1, 1, 2, 3, 5));
    tn_network_free(body);
}

static void a_network_cannot_stand_inside_itself(void **state)
{
    (void)state;
    tn_io io;
    tn_layer *c = tn_network_add_input(net, "c", TN_DTYPE_BOOL, NULL, 0);
    tn_network *other = new_inside("other");
    tn_layer *d = tn_network_add_input(other, "d", TN_DTYPE_BOOL, NULL, 0);
    tn_network_mark_output(other, d, NULL);
    tn_network_mark_output(net, c, "out");
    tn_layer *y = tn_network_add_if(net, c, other, net, TN_LAYERS(c));
    assert_fails(tn_layer_describe(y, &io), TN_INVALID, "network 'test' stands inside itself");
    tn_network_free(other);
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(stacks_are_pytorchs),
        test(gates_one_by_one),
        test(bad_weights_are_named),
        test(branches),
        test(loops),
        test(a_network_cannot_stand_inside_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
