/* RecurrentStack, of the domain "tenon": L layers of LSTM or GRU with the usual activations, in D
 * directions. The reference runs the layers one by one, each as its own operator does. */
#include "ops/recurrent_stack/recurrent_stack.h"

#include "ops/rnn/rnn_gradient.h"
#include "ops/wide/wide.h"

static const tn_field fields[] = {
    TN_ENUM(tn_recurrent_stack_params, mode, 0, "lstm|gru"),
    TN_INT(tn_recurrent_stack_params, hidden_size, 0),
    TN_INT(tn_recurrent_stack_params, layers, 1),
    TN_INT(tn_recurrent_stack_params, directions, 1),
    TN_INT(tn_recurrent_stack_params, linear_before_reset, 0),
    TN_INT(tn_recurrent_stack_params, batch_first, 0),
};
static const tn_port ins[] = {{"X", TN_DTS_FLOAT, 'T', 0},
                              {"initial_h", TN_DTS_FLOAT, 'T', TN_PORT_OPTIONAL},
                              {"initial_c", TN_DTS_FLOAT, 'T', TN_PORT_OPTIONAL},
                              {"weights", TN_DTS_FLOAT, 'T', TN_PORT_VARIADIC}};
static const tn_port outs[] = {{"Y", TN_DTS_FLOAT, 'T', TN_PORT_OPTIONAL},
                               {"Y_h", TN_DTS_FLOAT, 'T', TN_PORT_OPTIONAL},
                               {"Y_c", TN_DTS_FLOAT, 'T', TN_PORT_OPTIONAL}};

static tn_status lower(const tn_node *node, void *params)
{
    const tn_recurrent_stack_params *s = params;
    (void)node;
    TN_CHECK(s->layers >= 1 && s->layers <= TN_STACK_LAYERS_MAX, TN_INVALID,
             "layers is %lld, outside [1, %d]", (long long)s->layers, TN_STACK_LAYERS_MAX);
    TN_CHECK(s->directions == 1 || s->directions == 2, TN_INVALID, "directions is %lld, not 1 or 2",
             (long long)s->directions);
    TN_CHECK(s->hidden_size >= 1 && s->hidden_size <= INT32_MAX, TN_INVALID,
             "hidden_size is %lld, must be given and at least 1", (long long)s->hidden_size);
    return NULL;
}

/* ---- Shapes ----------------------------------------------------------------------------------*/

/* Input `input` must be [want...] wherever both sides are known. */
static tn_status check_dims(tn_infer *f, int input, const tn_expr *want, int rank)
{
    char have[128], need[128];
    if (!tn_infer_has(f, input) || f->in[input].rank < 0) return NULL;
    const tn_type *t = &f->in[input];
    const tn_type wanted = tn_type_of(t->dtype, rank, want);
    bool fits = t->rank == rank;
    for (int i = 0; fits && i < rank; i++) {
        int64_t a, b;
        if (tn_expr_is_const(f->exprs, t->dim[i], &a) && tn_expr_is_const(f->exprs, want[i], &b))
            fits = a == b;
    }
    TN_CHECK(fits, TN_INVALID, "input %d is %s, must be %s", input,
             tn_type_text(f->exprs, t, have, sizeof have),
             tn_type_text(f->exprs, &wanted, need, sizeof need));
    return NULL;
}

static tn_status check_weights(tn_infer *f, tn_expr input)
{
    const tn_recurrent_stack_params *s = f->params;
    tn_exprs *e = f->exprs;
    int64_t gates = s->mode == TN_STACK_GRU ? 3 : 4;
    tn_expr directions = tn_expr_const(e, s->directions), hidden = tn_expr_const(e, s->hidden_size);
    tn_expr rows = tn_expr_const(e, gates * s->hidden_size);
    tn_expr biases = tn_expr_const(e, 2 * gates * s->hidden_size);
    TN_CHECK(f->in_count == TN_STACK_WEIGHTS + 3 * s->layers, TN_INVALID,
             "%lld layers need %lld weights, %d are given", (long long)s->layers,
             (long long)(3 * s->layers), f->in_count - TN_STACK_WEIGHTS);
    for (int layer = 0, at = TN_STACK_WEIGHTS; layer < s->layers; layer++, at += 3) {
        TN_TRY(check_dims(f, at, (tn_expr[]){directions, rows, input}, 3));
        TN_TRY(check_dims(f, at + 1, (tn_expr[]){directions, rows, hidden}, 3));
        TN_TRY(check_dims(f, at + 2, (tn_expr[]){directions, biases}, 2));
        input = tn_expr_const(e, s->directions * s->hidden_size);
    }
    return NULL;
}

static tn_status infer(tn_infer *f)
{
    const tn_recurrent_stack_params *s = f->params;
    const tn_type *x = &f->in[TN_STACK_X];
    tn_exprs *e = f->exprs;
    char text[128];
    TN_CHECK(x->rank < 0 || x->rank == 3, TN_INVALID, "X must have 3 axes: X is %s",
             tn_type_text(e, x, text, sizeof text));
    bool known = x->rank == 3, swap = s->batch_first;
    tn_expr seq = known ? x->dim[swap ? 1 : 0] : tn_infer_fresh(f);
    tn_expr batch = known ? x->dim[swap ? 0 : 1] : tn_infer_fresh(f);
    tn_expr state[3] = {tn_expr_const(e, s->layers * s->directions), batch,
                        tn_expr_const(e, s->hidden_size)};
    tn_expr y[3] = {swap ? batch : seq, swap ? seq : batch,
                    tn_expr_const(e, s->directions * s->hidden_size)};
    TN_TRY(check_weights(f, known ? x->dim[2] : TN_EXPR_NONE));
    TN_TRY(check_dims(f, TN_STACK_H0, state, 3));
    TN_TRY(check_dims(f, TN_STACK_C0, state, 3));
    TN_CHECK(s->mode == TN_STACK_LSTM || !tn_infer_has(f, TN_STACK_C0), TN_INVALID,
             "a GRU has no initial_c");
    TN_CHECK(s->mode == TN_STACK_LSTM || f->out_count <= TN_STACK_CN, TN_INVALID,
             "a GRU has no Y_c");
    tn_infer_set(f, TN_STACK_Y, x->dtype, 3, y);
    for (int i = 1; i < f->out_count; i++) tn_infer_set(f, i, x->dtype, 3, state);
    return NULL;
}

void tn_recurrent_stack_shape_of(const tn_problem *p, tn_recurrent_stack_shape *out)
{
    const tn_recurrent_stack_params *params = p->params;
    const tn_tensor *x = &p->in[TN_STACK_X];
    bool swap = params->batch_first;
    *out = (tn_recurrent_stack_shape){.seq = x->dim[swap ? 1 : 0],
                                      .batch = x->dim[swap ? 0 : 1],
                                      .input = x->dim[2],
                                      .hidden = params->hidden_size,
                                      .directions = params->directions,
                                      .layers = params->layers,
                                      .gates = params->mode == TN_STACK_GRU ? 3 : 4};
    int64_t all = out->directions * out->hidden;
    out->x_time = out->input * (swap ? 1 : out->batch);
    out->x_batch = out->input * (swap ? out->seq : 1);
    out->y_time = all * (swap ? 1 : out->batch);
    out->y_batch = all * (swap ? out->seq : 1);
}

/* ---- The reference ---------------------------------------------------------------------------*/

/* One layer as a problem of LSTM or GRU. */
typedef struct layer_problem {
    tn_rnn_params params;
    tn_tensor in[TN_RNN_P + 1], out[3];
    tn_problem problem;
    tn_rnn_shape shape;
} layer_problem;

/* The layer's part of a tensor of states; absent if the whole is. */
static tn_tensor state_of(const tn_tensor *all, bool present, int64_t layer, int64_t directions)
{
    tn_tensor t = {0};
    if (!present) return t;
    int64_t dim[3] = {directions, all->dim[1], all->dim[2]};
    int64_t bytes = (int64_t)tn_dtype_bytes(all->dtype, directions * dim[1] * dim[2]);
    void *data = all->data ? (char *)all->data + layer * bytes : NULL;
    return tn_tensor_of(all->dtype, dim, 3, data);
}

/* x and y: where layers between the first and the last read and write, as doubles. */
static void set_layer(const tn_problem *p, int64_t layer, double *x, double *y, layer_problem *out)
{
    const tn_recurrent_stack_params *params = p->params;
    const tn_tensor *weight = p->in + TN_STACK_WEIGHTS + 3 * layer;
    tn_recurrent_stack_shape s;
    tn_recurrent_stack_shape_of(p, &s);
    bool first = layer == 0, last = layer == s.layers - 1;
    int64_t all = s.directions * s.hidden, dim_x[3] = {s.seq, s.batch, first ? s.input : all};
    int64_t dim_y[3] = {s.seq, s.batch, all};
    *out = (layer_problem){
        .params = {.activations.count = -1,
                   .activation_alpha.count = -1,
                   .activation_beta.count = -1,
                   .direction = s.directions == 2 ? TN_RNN_BIDIRECTIONAL : TN_RNN_FORWARD,
                   .hidden_size = s.hidden,
                   .linear_before_reset = params->linear_before_reset},
        .in = {[TN_RNN_X] = tn_tensor_of(first ? p->in[TN_STACK_X].dtype : TN_DTYPE_F64, dim_x, 3,
                                         first ? p->in[TN_STACK_X].data : x),
               [TN_RNN_W] = weight[0],
               [TN_RNN_R] = weight[1],
               [TN_RNN_B] = weight[2]},
        .problem = {.op = params->mode == TN_STACK_GRU ? "GRU" : "LSTM", .out_count = 3}};
    tn_problem *problem = &out->problem;
    for (int i = 0; i < 2; i++) {
        int at = TN_STACK_H0 + i, to = TN_STACK_HN + i;
        out->in[TN_RNN_H0 + i] = state_of(&p->in[at], tn_wide_has(p, at), layer, s.directions);
        if (tn_wide_wants(p, to))
            out->out[1 + i] = state_of(&p->out[to], true, layer, s.directions);
    }
    if (!last) out->out[0] = tn_tensor_of(TN_DTYPE_F64, dim_y, 3, y);
    else if (tn_wide_wants(p, TN_STACK_Y)) out->out[0] = p->out[TN_STACK_Y];
    problem->in = out->in;
    problem->in_count = TN_RNN_C0 + 1;
    problem->out = out->out;
    problem->params = &out->params;
    problem->params_bytes = sizeof out->params;
    tn_rnn_shape_of(problem, &out->shape);
    if (first) out->shape.x_time = s.x_time, out->shape.x_batch = s.x_batch;
    out->shape.y_time = last ? s.y_time : s.batch * all;
    out->shape.y_batch = last ? s.y_batch : all;
    out->shape.y_direction = s.hidden;
}

static int64_t between_count(const tn_problem *p)
{
    tn_recurrent_stack_shape s;
    int64_t count;
    tn_recurrent_stack_shape_of(p, &s);
    if (s.layers == 1) return 0;
    if (!tn_mul_i64(s.seq, s.batch, &count) || !tn_mul_i64(count, s.directions * s.hidden, &count))
        return INT64_MAX;
    return count;
}

static size_t scratch_bytes(const tn_problem *p)
{
    const tn_recurrent_stack_params *params = p->params;
    size_t most = 0, between = tn_wide_bytes(between_count(p));
    layer_problem layer;
    for (int64_t l = 0; l < params->layers; l++) {
        set_layer(p, l, NULL, NULL, &layer);
        most = TN_MAX(most, tn_rnn_scratch_bytes(&layer.problem));
    }
    return tn_wide_add(most, tn_wide_add(between, between));
}

static tn_status reference(const tn_launch *l)
{
    const tn_recurrent_stack_params *params = l->problem->params;
    static const tn_rnn_function usual[] = {TN_RNN_F_SIGMOID, TN_RNN_F_TANH, TN_RNN_F_TANH};
    void *scratch = l->scratch;
    int64_t count = between_count(l->problem);
    double *between[2] = {tn_wide_take(&scratch, count), tn_wide_take(&scratch, count)};
    bool is_gru = params->mode == TN_STACK_GRU;
    layer_problem layer;
    for (int64_t i = 0; i < params->layers; i++) {
        set_layer(l->problem, i, between[(i + 1) % 2], between[i % 2], &layer);
        tn_launch one = {.problem = &layer.problem, .scratch = scratch};
        TN_TRY(tn_rnn_run_at(&one, &layer.shape, usual, is_gru ? 2 : 3,
                             is_gru ? tn_gru_step : tn_lstm_step));
    }
    return NULL;
}

extern const tn_case tn_recurrent_stack_cases[];

const tn_op tn_op_recurrent_stack = {
    .name = "RecurrentStack",
    .domain = "tenon",
    .since = 1,
    .about = "layers of LSTM or GRU, each on the one below: nn.LSTM and nn.GRU as one operator",
    .in = ins,
    .in_count = TN_COUNT(ins),
    .out = outs,
    .out_count = TN_COUNT(outs),
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_recurrent_stack_params),
    .lower = lower,
    .infer = infer,
    .reference = reference,
    .scratch_bytes = scratch_bytes,
    .cases = tn_recurrent_stack_cases,
};
