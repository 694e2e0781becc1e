#include <math.h>

#include "ops/rnn/rnn.h"
#include "ops/wide/wide.h"

/* ---- Activations
 * -------------------------------------------------------------------------------*/

typedef struct usage {
    bool has_alpha, has_beta;
    double alpha, beta; /* when not given */
} usage;

static const usage usages[TN_RNN_FUNCTIONS] = {
    [TN_RNN_F_AFFINE] = {true, true, 1, 0},
    [TN_RNN_F_LEAKY_RELU] = {true, false, 0.01, 0},
    [TN_RNN_F_THRESHOLDED_RELU] = {true, false, 1, 0},
    [TN_RNN_F_SCALED_TANH] = {true, true, 1, 1},
    [TN_RNN_F_HARD_SIGMOID] = {true, true, 0.2, 0.5},
    [TN_RNN_F_ELU] = {true, false, 1, 0},
};

void tn_rnn_activations(const tn_rnn_params *params, const tn_rnn_function *usual, int count,
                        int direction, tn_rnn_activation *out)
{
    int alpha = 0, beta = 0;
    for (int i = 0; i < (direction + 1) * count; i++) {
        int64_t function =
            params->activations.count > i ? params->activations.at[i] : usual[i % count];
        const usage *use = &usages[function];
        tn_rnn_activation a = {(tn_rnn_function)function, use->alpha, use->beta};
        if (use->has_alpha && alpha < params->activation_alpha.count)
            a.alpha = params->activation_alpha.at[alpha++];
        if (use->has_beta && beta < params->activation_beta.count)
            a.beta = params->activation_beta.at[beta++];
        if (i >= direction * count) out[i - direction * count] = a;
    }
}

double tn_rnn_activate(const tn_rnn_activation *a, double x)
{
    switch (a->function) {
    case TN_RNN_F_RELU: return x > 0 ? x : 0;
    case TN_RNN_F_TANH: return tanh(x);
    case TN_RNN_F_SIGMOID: return 1 / (1 + exp(-x));
    case TN_RNN_F_AFFINE: return a->alpha * x + a->beta;
    case TN_RNN_F_LEAKY_RELU: return x >= 0 ? x : a->alpha * x;
    case TN_RNN_F_THRESHOLDED_RELU: return x > a->alpha ? x : 0;
    case TN_RNN_F_SCALED_TANH: return a->alpha * tanh(a->beta * x);
    case TN_RNN_F_HARD_SIGMOID: return fmin(fmax(a->alpha * x + a->beta, 0), 1);
    case TN_RNN_F_ELU: return x >= 0 ? x : a->alpha * expm1(x);
    case TN_RNN_F_SOFTSIGN: return x / (1 + fabs(x));
    case TN_RNN_F_SOFTPLUS: return fmax(x, 0) + log1p(exp(-fabs(x)));
    case TN_RNN_FUNCTIONS: break;
    }
    return x;
}

double tn_rnn_gate(const tn_rnn_cell *cell, int function, double x)
{
    double bound = cell->params->clip;
    if (bound > 0) x = x > bound ? bound : x < -bound ? -bound : x;
    return tn_rnn_activate(&cell->act[function], x);
}

/* ---- Schema
 * ------------------------------------------------------------------------------------*/

tn_status tn_rnn_lower(const tn_rnn_params *params, int functions)
{
    int directions = params->direction == TN_RNN_BIDIRECTIONAL ? 2 : 1;
    TN_CHECK(params->layout == 0 || params->layout == 1, TN_INVALID, "layout is %lld, not 0 or 1",
             (long long)params->layout);
    TN_CHECK(params->activations.count < 0 || params->activations.count == functions * directions,
             TN_INVALID, "activations has %d names, %d are needed", params->activations.count,
             functions * directions);
    TN_CHECK(!(params->clip < 0), TN_INVALID, "clip is %g", (double)params->clip);
    return NULL;
}

/* Input `input` must be [want...] wherever both sides are known. */
static tn_status check_dims(tn_infer *f, int input, const tn_expr *want, int rank)
{
    char have[128], need[128], x[128];
    if (!tn_infer_has(f, input) || f->in[input].rank < 0) return NULL;
    const tn_type *t = &f->in[input];
    const tn_type wanted = tn_type_of(t->dtype, rank, want);
    bool fits = t->rank == rank;
    for (int i = 0; fits && i < rank; i++) {
        int64_t a, b;
        if (tn_expr_is_const(f->exprs, t->dim[i], &a) && tn_expr_is_const(f->exprs, want[i], &b))
            fits = a == b;
    }
    TN_CHECK(fits, TN_INVALID, "%s is %s, must be %s: X is %s", f->op->in[input].name,
             tn_type_text(f->exprs, t, have, sizeof have),
             tn_type_text(f->exprs, &wanted, need, sizeof need),
             tn_type_text(f->exprs, &f->in[TN_RNN_X], x, sizeof x));
    return NULL;
}

tn_status tn_rnn_infer(tn_infer *f, int gates)
{
    const tn_rnn_params *params = f->params;
    tn_exprs *e = f->exprs;
    const tn_type *x = &f->in[TN_RNN_X], *r = &f->in[TN_RNN_R];
    char text[128];
    bool swap = params->layout;
    TN_CHECK(x->rank < 0 || x->rank == 3, TN_INVALID, "X must have 3 axes: X is %s",
             tn_type_text(e, x, text, sizeof text));
    bool known = x->rank == 3;
    tn_expr seq = known ? x->dim[swap ? 1 : 0] : tn_infer_fresh(f);
    tn_expr batch = known ? x->dim[swap ? 0 : 1] : tn_infer_fresh(f);
    tn_expr input = known ? x->dim[2] : TN_EXPR_NONE;
    tn_expr directions = tn_expr_const(e, params->direction == TN_RNN_BIDIRECTIONAL ? 2 : 1);
    tn_expr hidden = r->rank == 3 ? r->dim[2] : TN_EXPR_NONE;
    if (params->hidden_size > 0) hidden = tn_expr_const(e, params->hidden_size);
    if (hidden == TN_EXPR_NONE) hidden = tn_infer_fresh(f);
    tn_expr rows = tn_expr_mul(e, hidden, tn_expr_const(e, gates));
    tn_expr three = tn_expr_const(e, 3), two = tn_expr_const(e, 2);
    tn_expr state[3] = {swap ? batch : directions, swap ? directions : batch, hidden};
    TN_TRY(check_dims(f, TN_RNN_W, (tn_expr[]){directions, rows, input}, 3));
    TN_TRY(check_dims(f, TN_RNN_R, (tn_expr[]){directions, rows, hidden}, 3));
    TN_TRY(check_dims(f, TN_RNN_B, (tn_expr[]){directions, tn_expr_mul(e, rows, two)}, 2));
    TN_TRY(check_dims(f, TN_RNN_LENS, &batch, 1));
    TN_TRY(check_dims(f, TN_RNN_H0, state, 3));
    if (f->in_count > TN_RNN_C0) TN_TRY(check_dims(f, TN_RNN_C0, state, 3));
    if (f->in_count > TN_RNN_P)
        TN_TRY(check_dims(f, TN_RNN_P, (tn_expr[]){directions, tn_expr_mul(e, hidden, three)}, 2));
    tn_expr y[4] = {seq, directions, batch, hidden},
            y_swapped[4] = {batch, seq, directions, hidden};
    tn_infer_set(f, 0, x->dtype, 4, swap ? y_swapped : y);
    for (int i = 1; i < f->out_count; i++) tn_infer_set(f, i, x->dtype, 3, state);
    return NULL;
}

/* Opset 1 could be told not to give Y; today an unnamed output says so. */
tn_status tn_rnn_upgrade_below_7(tn_graph *graph, tn_node *node)
{
    (void)graph;
    tn_node_remove_attr(node, "output_sequence");
    return NULL;
}

void tn_rnn_shape_of(const tn_problem *p, tn_rnn_shape *out)
{
    const tn_rnn_params *params = p->params;
    const tn_tensor *x = &p->in[TN_RNN_X], *r = &p->in[TN_RNN_R];
    bool swap = params->layout;
    *out = (tn_rnn_shape){.seq = x->dim[swap ? 1 : 0],
                          .batch = x->dim[swap ? 0 : 1],
                          .input = x->dim[2],
                          .hidden = r->dim[2],
                          .directions = r->dim[0]};
    out->gates = out->hidden ? r->dim[1] / out->hidden : 0;
    out->x_time = out->input * (swap ? 1 : out->batch);
    out->x_batch = out->input * (swap ? out->seq : 1);
    int64_t h = out->hidden, all = h * out->directions;
    out->y_time = swap ? all : all * out->batch;
    out->y_direction = swap ? h : h * out->batch;
    out->y_batch = swap ? all * out->seq : h;
    out->state_direction = swap ? h : h * out->batch;
    out->state_batch = swap ? all : h;
}

/* ---- The reference
 * -----------------------------------------------------------------------------*/

size_t tn_rnn_scratch_bytes(const tn_problem *p)
{
    tn_rnn_shape s;
    size_t bytes = 0;
    for (int i = 0; i < p->in_count; i++)
        if (i != TN_RNN_LENS) bytes = tn_wide_add(bytes, tn_wide_tensor_bytes(&p->in[i]));
    tn_rnn_shape_of(p, &s);
    int64_t rows = s.gates * s.hidden, steps, count;
    if (!tn_mul_i64(s.seq, s.batch, &steps) || !tn_mul_i64(steps, rows, &count)) count = INT64_MAX;
    bytes = tn_wide_add(bytes, tn_wide_bytes(s.input * rows));
    bytes = tn_wide_add(bytes, tn_wide_bytes(s.hidden * rows));
    bytes = tn_wide_add(bytes, tn_wide_bytes(count));
    bytes = tn_wide_add(bytes, tn_wide_bytes(rows));
    return tn_wide_add(bytes, tn_wide_add(tn_wide_bytes(s.hidden), tn_wide_bytes(s.hidden)));
}

static void transpose(const double *src, int64_t rows, int64_t columns, double *dst)
{
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++) dst[j * rows + i] = src[i * columns + j];
}

static tn_status length_of(const tn_problem *p, const tn_rnn_shape *s, int64_t b, int64_t *out)
{
    *out = s->seq;
    if (!tn_wide_has(p, TN_RNN_LENS)) return NULL;
    *out = tn_load_i64(p->in[TN_RNN_LENS].dtype, p->in[TN_RNN_LENS].data, b);
    TN_CHECK(*out >= 0 && *out <= s->seq, TN_INVALID,
             "sequence_lens[%lld] is %lld, outside [0, %lld]", (long long)b, (long long)*out,
             (long long)s->seq);
    return NULL;
}

static void load_state(const tn_rnn_shape *s, const double *from, int64_t d, int64_t b, double *to)
{
    const double *src = from ? from + d * s->state_direction + b * s->state_batch : NULL;
    for (int64_t i = 0; i < s->hidden; i++) to[i] = src ? src[i] : 0;
}

static void store_state(const tn_problem *p, int out, int64_t at, const double *from, int64_t count)
{
    if (tn_wide_wants(p, out)) tn_store_f64s(p->out[out].dtype, p->out[out].data, at, count, from);
}

/* One sequence of one direction; gates of its steps are `stride` apart. */
static void run_sequence(const tn_problem *p, const tn_rnn_shape *s, const tn_rnn_cell *cell,
                         tn_rnn_step step, int64_t d, int64_t b, int64_t length, double *gates,
                         int64_t stride, double *h, double *c)
{
    const tn_rnn_params *params = p->params;
    bool backward = params->direction == TN_RNN_REVERSE || d == 1;
    for (int64_t k = 0; k < length; k++) {
        int64_t t = backward ? length - 1 - k : k;
        step(cell, gates + t * stride, h, c);
        store_state(p, 0, t * s->y_time + d * s->y_direction + b * s->y_batch, h, s->hidden);
    }
    store_state(p, 1, d * s->state_direction + b * s->state_batch, h, s->hidden);
    store_state(p, 2, d * s->state_direction + b * s->state_batch, c, s->hidden);
}

/* gates[b, t, :] = x[t, b, :] * W + Wb, for one direction. */
static void project(const tn_rnn_shape *s, const double *x, const double *w, const double *bias,
                    double *gates)
{
    int64_t rows = s->gates * s->hidden;
    for (int64_t b = 0; b < s->batch; b++) {
        double *to = gates + b * s->seq * rows;
        for (int64_t i = 0; i < s->seq * rows; i++) to[i] = bias ? bias[i % rows] : 0;
        tn_wide_matmul(s->seq, rows, s->input, x + b * s->x_batch, s->x_time, w, rows, to, rows);
    }
}

tn_status tn_rnn_run_at(const tn_launch *l, const tn_rnn_shape *s, const tn_rnn_function *usual,
                        int functions, tn_rnn_step step)
{
    const tn_problem *p = l->problem;
    const double *wide[TN_RNN_P + 1] = {NULL};
    void *scratch = l->scratch;
    if (s->hidden == 0 || s->batch == 0) return NULL;
    for (int i = 0; i < p->in_count && i <= TN_RNN_P; i++)
        if (i != TN_RNN_LENS && tn_wide_has(p, i)) wide[i] = tn_wide_load(&scratch, &p->in[i]);
    int64_t rows = s->gates * s->hidden;
    double *w = tn_wide_take(&scratch, s->input * rows),
           *r = tn_wide_take(&scratch, s->hidden * rows);
    double *gates = tn_wide_take(&scratch, s->seq * s->batch * rows);
    double *work = tn_wide_take(&scratch, rows);
    double *h = tn_wide_take(&scratch, s->hidden), *c = tn_wide_take(&scratch, s->hidden);
    if (tn_wide_wants(p, 0))
        for (int64_t i = 0; i < tn_wide_count(&p->out[0]); i++)
            tn_store_f64(p->out[0].dtype, p->out[0].data, i, 0);
    for (int64_t d = 0; d < s->directions; d++) {
        const double *bias = wide[TN_RNN_B] ? wide[TN_RNN_B] + d * 2 * rows : NULL;
        const double *peephole = wide[TN_RNN_P] ? wide[TN_RNN_P] + d * 3 * s->hidden : NULL;
        tn_rnn_cell cell = {.params = p->params,
                            .hidden = s->hidden,
                            .gates = s->gates,
                            .r = r,
                            .bias_r = bias ? bias + rows : NULL,
                            .peephole = peephole,
                            .work = work};
        tn_rnn_activations(p->params, usual, functions, (int)d, cell.act);
        transpose(wide[TN_RNN_W] + d * rows * s->input, rows, s->input, w);
        transpose(wide[TN_RNN_R] + d * rows * s->hidden, rows, s->hidden, r);
        project(s, wide[TN_RNN_X], w, bias, gates);
        for (int64_t b = 0; b < s->batch; b++) {
            int64_t length;
            TN_TRY(length_of(p, s, b, &length));
            load_state(s, wide[TN_RNN_H0], d, b, h);
            load_state(s, wide[TN_RNN_C0], d, b, c);
            run_sequence(p, s, &cell, step, d, b, length, gates + b * s->seq * rows, rows, h, c);
        }
    }
    return NULL;
}

tn_status tn_rnn_run(const tn_launch *l, const tn_rnn_function *usual, int functions,
                     tn_rnn_step step)
{
    tn_rnn_shape s;
    tn_rnn_shape_of(l->problem, &s);
    return tn_rnn_run_at(l, &s, usual, functions, step);
}
