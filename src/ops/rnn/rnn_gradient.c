#include "ops/rnn/rnn_gradient.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "ops/wide/wide.h"

/* ---- Slopes ----------------------------------------------------------------------------------*/

double tn_rnn_slope(const tn_rnn_activation *a, double x)
{
    double y = tn_rnn_activate(a, x);
    switch (a->function) {
    case TN_RNN_F_RELU: return x > 0;
    case TN_RNN_F_TANH: return 1 - y * y;
    case TN_RNN_F_SIGMOID: return y * (1 - y);
    case TN_RNN_F_AFFINE: return a->alpha;
    case TN_RNN_F_LEAKY_RELU: return x >= 0 ? 1 : a->alpha;
    case TN_RNN_F_THRESHOLDED_RELU: return x > a->alpha;
    case TN_RNN_F_SCALED_TANH: {
        double t = tanh(a->beta * x);
        return a->alpha * a->beta * (1 - t * t);
    }
    case TN_RNN_F_HARD_SIGMOID: return y > 0 && y < 1 ? a->alpha : 0;
    case TN_RNN_F_ELU: return x >= 0 ? 1 : a->alpha * exp(x);
    case TN_RNN_F_SOFTSIGN: return 1 / ((1 + fabs(x)) * (1 + fabs(x)));
    case TN_RNN_F_SOFTPLUS: return 1 / (1 + exp(-x));
    case TN_RNN_FUNCTIONS: break;
    }
    return 1;
}

double tn_rnn_gate_slope(const tn_rnn_cell *cell, int function, double x)
{
    double bound = cell->params->clip;
    if (bound > 0 && fabs(x) > bound) return 0;
    return tn_rnn_slope(&cell->act[function], x);
}

void tn_rnn_back_product(const tn_rnn_cell *cell, int64_t first, int64_t count,
                         const double *dproduct, const double *input, double *dr, double *dinput)
{
    int64_t n = cell->hidden, rows = cell->gates * n;
    for (int64_t q = 0; q < count; q++)
        for (int64_t j = 0; j < n; j++) dr[(first + q) * n + j] += dproduct[q] * input[j];
    for (int64_t j = 0; j < n; j++)
        for (int64_t q = 0; q < count; q++)
            dinput[j] += dproduct[q] * cell->r[j * rows + first + q];
}

/* ---- Rule and schema -------------------------------------------------------------------------*/

void tn_rnn_gradient(tn_gradient *g)
{
    static const int input_of[] = {TN_RNN_X,  TN_RNN_W,  TN_RNN_R, TN_RNN_B,
                                   TN_RNN_H0, TN_RNN_C0, TN_RNN_P};
    tn_value *in[TN_RNN_P + 4] = {NULL}, *out[TN_RNN_DP + 1];
    bool lstm = g->node->op->name[0] == 'L';
    int base = lstm ? TN_RNN_P + 1 : TN_RNN_C0, out_count = lstm ? TN_RNN_DP + 1 : TN_RNN_DH0 + 1;
    char name[32];
    for (int i = 0; i < base; i++) in[i] = tn_gradient_input(g, i);
    for (int i = 0; i < g->node->out_count; i++) in[base + i] = g->dy[i];
    snprintf(name, sizeof(name), "%sGradient", g->node->op->name);
    tn_draft_ops(g->draft, name, g->name, in, base + (lstm ? 3 : 2), g->node->attr,
                 g->node->attr_count, out, out_count);
    for (int i = 0; i < out_count; i++) tn_gradient_give(g, input_of[i], out[i]);
}

/* The operator's own inference checks its inputs and tells the shapes of Y and of the states. */
tn_status tn_rnn_gradient_infer(tn_infer *f, const tn_rnn_kind *kind)
{
    tn_type y[3] = {{.rank = -1}, {.rank = -1}, {.rank = -1}};
    tn_infer forward = *f;
    forward.out = y;
    forward.out_count = 3;
    forward.in_count = TN_MIN(f->in_count, kind->in_count);
    TN_TRY(tn_rnn_infer(&forward, kind->gates));
    f->runtime = forward.runtime;
    f->runtime_count = forward.runtime_count;
    f->runtime_capacity = forward.runtime_capacity;
    f->fresh_count = forward.fresh_count;
    for (int i = 0; i + kind->in_count < f->in_count; i++) {
        const tn_type *dy = &f->in[kind->in_count + i];
        char text[128], text_y[128];
        bool fits = dy->dtype == TN_DTYPE_NONE || dy->rank < 0 || dy->rank == y[i].rank;
        for (int k = 0; fits && dy->dtype != TN_DTYPE_NONE && k < dy->rank; k++) {
            int64_t have, want;
            if (tn_expr_is_const(f->exprs, dy->dim[k], &have) &&
                tn_expr_is_const(f->exprs, y[i].dim[k], &want))
                fits = have == want;
        }
        TN_CHECK(fits, TN_INVALID, "%s is %s where the operator gives %s",
                 f->op->in[kind->in_count + i].name, tn_type_text(f->exprs, dy, text, sizeof(text)),
                 tn_type_text(f->exprs, &y[i], text_y, sizeof(text_y)));
    }
    tn_exprs *e = f->exprs;
    const tn_type *x = &f->in[TN_RNN_X];
    tn_expr hidden = y[1].dim[2];
    tn_expr directions = tn_expr_const(
        e, ((const tn_rnn_params *)f->params)->direction == TN_RNN_BIDIRECTIONAL ? 2 : 1);
    tn_expr bias[] = {directions, tn_expr_mul(e, hidden, tn_expr_const(e, 2 * kind->gates))};
    tn_expr peephole[] = {directions, tn_expr_mul(e, hidden, tn_expr_const(e, 3))};
    for (int i = 0; i < 3; i++) tn_infer_same(f, i, i);
    tn_infer_set(f, TN_RNN_DB, x->dtype, 2, bias);
    tn_infer_set(f, TN_RNN_DH0, x->dtype, 3, y[1].dim);
    if (f->op->out_count <= TN_RNN_DC0) return NULL;
    tn_infer_set(f, TN_RNN_DC0, x->dtype, 3, y[1].dim);
    tn_infer_set(f, TN_RNN_DP, x->dtype, 2, peephole);
    return NULL;
}

/* ---- The reference ---------------------------------------------------------------------------*/

typedef struct run_state {
    const tn_problem *p;
    const tn_rnn_kind *kind;
    tn_rnn_shape s;
    const double *in[TN_RNN_P + 4];
    double *out[TN_RNN_DP + 1]; /* sums of all outputs, asked for or not */
    double *r;                  /* of one direction, transposed */
    double *gate, *copy;        /* of one sequence: [seq, rows]; of a step: [rows] */
    double *h, *c;              /* before each step, and after the last: [seq + 1, hidden] */
    double *dh, *dc, *dgate, *work;
} run_state;

/* Elements of each output, whether it is there or not. */
static int64_t out_elements(const tn_rnn_shape *s, int out)
{
    int64_t rows = s->gates * s->hidden;
    switch (out) {
    case TN_RNN_DX: return s->seq * s->batch * s->input;
    case TN_RNN_DW: return s->directions * rows * s->input;
    case TN_RNN_DR: return s->directions * rows * s->hidden;
    case TN_RNN_DB: return s->directions * rows * 2;
    case TN_RNN_DP: return s->directions * 3 * s->hidden;
    default: return s->directions * s->batch * s->hidden;
    }
}

size_t tn_rnn_gradient_scratch(const tn_problem *p, const tn_rnn_kind *kind)
{
    tn_rnn_shape s;
    size_t bytes = 0;
    (void)kind;
    tn_rnn_shape_of(p, &s);
    int64_t rows = s.gates * s.hidden;
    for (int i = 0; i < p->in_count; i++)
        if (i != TN_RNN_LENS) bytes = tn_wide_add(bytes, tn_wide_tensor_bytes(&p->in[i]));
    for (int i = 0; i <= TN_RNN_DP; i++)
        bytes = tn_wide_add(bytes, tn_wide_bytes(out_elements(&s, i)));
    const int64_t counts[] = {rows * s.hidden,
                              s.seq * rows,
                              rows,
                              (s.seq + 1) * s.hidden,
                              (s.seq + 1) * s.hidden,
                              s.hidden,
                              s.hidden,
                              rows,
                              2 * rows};
    for (size_t i = 0; i < TN_COUNT(counts); i++)
        bytes = tn_wide_add(bytes, tn_wide_bytes(counts[i]));
    return bytes;
}

static double at_or_zero(const double *from, int64_t at)
{
    return from ? from[at] : 0;
}

static tn_status length_of(const run_state *u, int64_t b, int64_t *out)
{
    const tn_problem *p = u->p;
    *out = u->s.seq;
    if (!tn_wide_has(p, TN_RNN_LENS)) return NULL;
    *out = tn_load_i64(p->in[TN_RNN_LENS].dtype, p->in[TN_RNN_LENS].data, b);
    TN_CHECK(*out >= 0 && *out <= u->s.seq, TN_INVALID,
             "sequence_lens[%lld] is %lld, outside [0, %lld]", (long long)b, (long long)*out,
             (long long)u->s.seq);
    return NULL;
}

/* gate[t] = x[t] * W + Wb, then the steps, each on a copy of its gates. */
static void run_forward(run_state *u, const tn_rnn_cell *cell, int64_t d, int64_t b, int64_t length,
                        bool backward)
{
    const tn_rnn_shape *s = &u->s;
    int64_t rows = s->gates * s->hidden, n = s->hidden;
    const double *w = u->in[TN_RNN_W] + d * rows * s->input;
    for (int64_t t = 0; t < length; t++) {
        const double *x = u->in[TN_RNN_X] + t * s->x_time + b * s->x_batch;
        for (int64_t q = 0; q < rows; q++) {
            double sum = at_or_zero(u->in[TN_RNN_B], d * 2 * rows + q);
            for (int64_t i = 0; i < s->input; i++) sum += x[i] * w[q * s->input + i];
            u->gate[t * rows + q] = sum;
        }
    }
    for (int64_t i = 0; i < n; i++) {
        int64_t at = d * s->state_direction + b * s->state_batch + i;
        u->h[i] = at_or_zero(u->in[TN_RNN_H0], at);
        u->c[i] = u->kind->in_count > TN_RNN_C0 ? at_or_zero(u->in[TN_RNN_C0], at) : 0;
    }
    for (int64_t k = 0; k < length; k++) {
        int64_t t = backward ? length - 1 - k : k;
        double *h = u->h + k * n, *c = u->c + k * n;
        memcpy(h + n, h, (size_t)n * sizeof(double));
        memcpy(c + n, c, (size_t)n * sizeof(double));
        memcpy(u->copy, u->gate + t * rows, (size_t)rows * sizeof(double));
        u->kind->step(cell, u->copy, h + n, c + n);
    }
}

static void run_backward(run_state *u, const tn_rnn_cell *cell, int64_t d, int64_t b,
                         int64_t length, bool backward)
{
    const tn_rnn_shape *s = &u->s;
    int64_t rows = s->gates * s->hidden, n = s->hidden;
    int64_t state = d * s->state_direction + b * s->state_batch;
    const double *const *dy = u->in + u->kind->in_count;
    const double *w = u->in[TN_RNN_W] + d * rows * s->input;
    double *dw = u->out[TN_RNN_DW] + d * rows * s->input;
    double *dbias = u->out[TN_RNN_DB] + d * 2 * rows;
    tn_rnn_back to = {.dgate = u->dgate,
                      .dr = u->out[TN_RNN_DR] + d * rows * n,
                      .dbias_r = dbias + rows,
                      .dpeephole = u->out[TN_RNN_DP] + d * 3 * n};
    for (int64_t i = 0; i < n; i++) {
        u->dh[i] = at_or_zero(dy[1], state + i);
        u->dc[i] = u->kind->in_count > TN_RNN_C0 ? at_or_zero(dy[2], state + i) : 0;
    }
    for (int64_t k = length - 1; k >= 0; k--) {
        int64_t t = backward ? length - 1 - k : k;
        int64_t y = t * s->y_time + d * s->y_direction + b * s->y_batch;
        int64_t x = t * s->x_time + b * s->x_batch;
        for (int64_t i = 0; i < n; i++) u->dh[i] += at_or_zero(dy[0], y + i);
        u->kind->back(cell, u->gate + t * rows, u->h + k * n, u->c + k * n, u->dh, u->dc, &to);
        for (int64_t q = 0; q < rows; q++) {
            dbias[q] += u->dgate[q];
            for (int64_t i = 0; i < s->input; i++) {
                dw[q * s->input + i] += u->dgate[q] * u->in[TN_RNN_X][x + i];
                u->out[TN_RNN_DX][x + i] += u->dgate[q] * w[q * s->input + i];
            }
        }
    }
    for (int64_t i = 0; i < n; i++) {
        u->out[TN_RNN_DH0][state + i] = u->dh[i];
        u->out[TN_RNN_DC0][state + i] = u->dc[i];
    }
}

static tn_status run_direction(run_state *u, int64_t d)
{
    const tn_rnn_shape *s = &u->s;
    const tn_rnn_params *params = u->p->params;
    int64_t rows = s->gates * s->hidden, n = s->hidden;
    const double *bias = u->in[TN_RNN_B] ? u->in[TN_RNN_B] + d * 2 * rows : NULL;
    const double *r = u->in[TN_RNN_R] + d * rows * n;
    bool peephole = u->kind->in_count > TN_RNN_P && u->in[TN_RNN_P];
    bool backward = params->direction == TN_RNN_REVERSE || d == 1;
    tn_rnn_cell cell = {.params = params,
                        .hidden = n,
                        .gates = s->gates,
                        .r = u->r,
                        .bias_r = bias ? bias + rows : NULL,
                        .peephole = peephole ? u->in[TN_RNN_P] + d * 3 * n : NULL,
                        .work = u->work};
    tn_rnn_activations(params, u->kind->usual, u->kind->functions, (int)d, cell.act);
    for (int64_t q = 0; q < rows; q++)
        for (int64_t j = 0; j < n; j++) u->r[j * rows + q] = r[q * n + j];
    for (int64_t b = 0; b < s->batch; b++) {
        int64_t length;
        TN_TRY(length_of(u, b, &length));
        run_forward(u, &cell, d, b, length, backward);
        run_backward(u, &cell, d, b, length, backward);
    }
    return NULL;
}

tn_status tn_rnn_gradient_run(const tn_launch *l, const tn_rnn_kind *kind)
{
    const tn_problem *p = l->problem;
    run_state u = {.p = p, .kind = kind};
    void *scratch = l->scratch;
    tn_rnn_shape_of(p, &u.s);
    int64_t rows = u.s.gates * u.s.hidden, n = u.s.hidden;
    for (int i = 0; i < p->in_count && i < kind->in_count + 3; i++)
        if (i != TN_RNN_LENS && tn_wide_has(p, i)) u.in[i] = tn_wide_load(&scratch, &p->in[i]);
    for (int i = 0; i <= TN_RNN_DP; i++) {
        int64_t count = out_elements(&u.s, i);
        u.out[i] = tn_wide_take(&scratch, count);
        for (int64_t k = 0; k < count; k++) u.out[i][k] = 0;
    }
    u.r = tn_wide_take(&scratch, rows * n);
    u.gate = tn_wide_take(&scratch, u.s.seq * rows);
    u.copy = tn_wide_take(&scratch, rows);
    u.h = tn_wide_take(&scratch, (u.s.seq + 1) * n);
    u.c = tn_wide_take(&scratch, (u.s.seq + 1) * n);
    u.dh = tn_wide_take(&scratch, n);
    u.dc = tn_wide_take(&scratch, n);
    u.dgate = tn_wide_take(&scratch, rows);
    u.work = tn_wide_take(&scratch, 2 * rows);
    for (int64_t d = 0; n > 0 && d < u.s.directions; d++) TN_TRY(run_direction(&u, d));
    for (int i = 0; i < p->out_count; i++) {
        int64_t count = out_elements(&u.s, i);
        if (count && tn_wide_wants(p, i))
            tn_store_f64s(p->out[i].dtype, p->out[i].data, 0, count, u.out[i]);
    }
    return NULL;
}
