/* The gradients of LSTM and GRU in f32 with the default activations, in three rounds over memory
 * that lies as [direction, sequence, time]:
 *
 *  1. steps: forward, keeping the gates and states of every step; then backward, where the gates
 * become their gradients and dh takes the way through R;
 *  2. dX = dgates * W, both directions onto each other;
 *  3. dW = dgates^T * X, dR = dgates^T * h before the step, dB = the sums of dgates.
 *
 * Rounds 1 and 2 are cut by chunks of sequences, round 3 by direction: no sum hangs on threads.
 *
 * GRU keeps what comes from h apart from what comes from x, as its reset stands between them:
 * `inner` holds h R + Rb, then the gradients of that. */
#include "backends/cpu/kernels/tile.h"
#include "backends/cpu/kernels/vmath.h"
#include "backends/cpu/variant.h"
#include "device/device.h"
#include "ops/rnn/rnn_gradient.h"

enum { CHUNK = 8 };      /* sequences of one share */
enum { GRAIN = 300000 }; /* multiply-adds worth a thread */

typedef struct job {
    tn_rnn_shape s;
    const float *x, *w, *r, *bias, *h0, *c0;
    const float *dy, *dy_h, *dy_c;
    float *out[TN_RNN_DC0 + 1];
    float *w_forward, *r_forward; /* packed, one direction after the other */
    float *w_back, *r_back;
    float *gates;   /* [direction, sequence, time, rows]: i o f c or z r h, then their gradients */
    float *inner;   /* the same for what comes from h; LSTM: gates */
    float *h, *c;   /* [direction, sequence, time + 1, hidden]: before each step, in its order */
    float *dh, *dc; /* [direction, sequence, hidden] */
    float *turned;  /* [direction, rows, sequence * time] */
    float *panel;   /* [direction]: X or h, packed */
    int64_t rows, chunks; /* rows: gates * hidden */
    bool is_gru, reverse;
} job;

static bool has(const tn_problem *p, int in)
{
    return in < p->in_count && p->in[in].dtype != TN_DTYPE_NONE;
}

static tn_verdict accepts(const tn_problem *p)
{
    const tn_rnn_params *params = p->params;
    static const tn_rnn_function usual[] = {TN_RNN_F_SIGMOID, TN_RNN_F_TANH, TN_RNN_F_TANH};
    bool is_gru = p->op[0] == 'G';
    int functions = is_gru ? 2 : 3;
    if (p->in[0].dtype != TN_DTYPE_F32) return TN_NO("the operands are not f32");
    for (int i = 0; i < params->activations.count; i++)
        if (params->activations.at[i] != (int64_t)usual[i % functions])
            return TN_NO("the activations are not Sigmoid and Tanh");
    if (params->clip > 0) return TN_NO("clip is set");
    if (has(p, TN_RNN_LENS)) return TN_NO("sequences have lengths of their own");
    if (is_gru) return params->linear_before_reset ? TN_YES : TN_NO("the reset is not linear");
    if (params->input_forget) return TN_NO("input_forget is set");
    if (has(p, TN_RNN_P) || (p->out_count > TN_RNN_DP && p->out[TN_RNN_DP].dtype != TN_DTYPE_NONE))
        return TN_NO("there are peepholes");
    return TN_YES;
}

/* ---- Memory ----------------------------------------------------------------------------------*/

/* Cuts the scratch into pieces; counts bytes where there is none. */
static float *take(char **at, size_t *bytes, int64_t count)
{
    size_t size = tn_align_up((size_t)count * sizeof(float), TN_ALIGNMENT);
    float *out = (float *)(void *)*at;
    *bytes += size;
    if (*at) *at += size;
    return out;
}

static int64_t forward_count(const job *j)
{
    int64_t each = tile_packed_count(j->s.input, j->rows) + tile_packed_count(j->s.hidden, j->rows);
    return j->s.directions * each;
}

static size_t cut_scratch(job *j, char *at)
{
    const tn_rnn_shape *s = &j->s;
    int64_t n = s->hidden, rows = j->rows, d = s->directions, steps = s->batch * s->seq;
    int64_t states = d * s->batch * (s->seq + 1) * n;
    size_t bytes = 0;
    j->w_forward = take(&at, &bytes, forward_count(j));
    j->gates = j->inner = take(&at, &bytes, d * steps * rows);
    if (j->is_gru) j->inner = take(&at, &bytes, d * steps * rows);
    j->h = take(&at, &bytes, states);
    if (!j->is_gru) j->c = take(&at, &bytes, states);
    j->w_back = take(&at, &bytes, d * tile_packed_count(rows, s->input));
    j->r_back = take(&at, &bytes, d * tile_packed_count(rows, n));
    j->dh = take(&at, &bytes, d * s->batch * n);
    j->dc = take(&at, &bytes, d * s->batch * n);
    j->turned = take(&at, &bytes, d * steps * rows);
    j->panel = take(&at, &bytes, d * tile_packed_count(steps, TN_MAX(s->input, n)));
    return bytes;
}

static void read_job(const tn_problem *p, job *out)
{
    const tn_rnn_params *params = p->params;
    *out = (job){.is_gru = p->op[0] == 'G',
                 .reverse = params->direction == TN_RNN_REVERSE,
                 .w = p->in[TN_RNN_W].data,
                 .r = p->in[TN_RNN_R].data};
    tn_rnn_shape_of(p, &out->s);
    out->rows = (out->is_gru ? 3 : 4) * out->s.hidden;
}

static size_t scratch_bytes(const tn_problem *p)
{
    job j;
    read_job(p, &j);
    return cut_scratch(&j, NULL);
}

static void pack_forward(const job *j, float *dst)
{
    int64_t n = j->s.hidden, rows = j->rows, input = j->s.input, panels = tile_panels(rows);
    for (int64_t d = 0; d < j->s.directions; d++, dst += tile_packed_count(input, rows))
        tile_pack(j->w + d * rows * input, 1, input, input, rows, 0, panels, dst);
    for (int64_t d = 0; d < j->s.directions; d++, dst += tile_packed_count(n, rows))
        tile_pack(j->r + d * rows * n, 1, n, n, rows, 0, panels, dst);
}

static void pack_back(const job *j)
{
    int64_t n = j->s.hidden, rows = j->rows, input = j->s.input;
    for (int64_t d = 0; d < j->s.directions; d++) {
        tile_pack(j->w + d * rows * input, input, 1, rows, input, 0, tile_panels(input),
                  j->w_back + d * tile_packed_count(rows, input));
        tile_pack(j->r + d * rows * n, n, 1, rows, n, 0, tile_panels(n),
                  j->r_back + d * tile_packed_count(rows, n));
    }
}

/* ---- Steps of one sequence -------------------------------------------------------------------
 *
 * h and c are those before the step; what comes after it stands n further on. */

#define FOR_LANES                                                                                  \
    for (int64_t k = 0, some = TN_MIN(n, VF32_LANES); k < n;                                       \
         k += VF32_LANES, some = TN_MIN(n - k, VF32_LANES))
#define LOAD(from) vf32_load_some((from) + k, some)
#define STORE(to, v) vf32_store_some((to) + k, v, some)

/* gate[] holds x W + b + h R of i, o, f, c~ and gets these. */
static void lstm_forward(int64_t n, float *gate, float *h, float *c)
{
    FOR_LANES
    {
        vf32 i = vf32_sigmoid(LOAD(gate)), o = vf32_sigmoid(LOAD(gate + n));
        vf32 f = vf32_sigmoid(LOAD(gate + 2 * n)), g = vf32_tanh(LOAD(gate + 3 * n));
        vf32 next = vf32_fma(f, LOAD(c), i * g);
        STORE(gate, i);
        STORE(gate + n, o);
        STORE(gate + 2 * n, f);
        STORE(gate + 3 * n, g);
        STORE(c + n, next);
        STORE(h + n, o * vf32_tanh(next));
    }
}

/* The gates become the gradients of what went into them; dc that of c before the step. */
static void lstm_backward(int64_t n, float *gate, const float *c, float *dh, float *dc)
{
    FOR_LANES
    {
        vf32 i = LOAD(gate), o = LOAD(gate + n), f = LOAD(gate + 2 * n), g = LOAD(gate + 3 * n);
        vf32 t = vf32_tanh(LOAD(c + n)), up = LOAD(dh);
        vf32 d = vf32_fma(up * o, 1.0f - t * t, LOAD(dc));
        STORE(gate, d * g * i * (1.0f - i));
        STORE(gate + n, up * t * o * (1.0f - o));
        STORE(gate + 2 * n, d * LOAD(c) * f * (1.0f - f));
        STORE(gate + 3 * n, d * i * (1.0f - g * g));
        STORE(dc, d * f);
        STORE(dh, (vf32){0});
    }
}

/* gate[] holds x W + Wb of z, r, h~ and gets these; inner[] holds h R + Rb. */
static void gru_forward(int64_t n, float *gate, const float *inner, float *h)
{
    FOR_LANES
    {
        vf32 z = vf32_sigmoid(LOAD(gate) + LOAD(inner)), old = LOAD(h);
        vf32 r = vf32_sigmoid(LOAD(gate + n) + LOAD(inner + n));
        vf32 g = vf32_tanh(vf32_fma(r, LOAD(inner + 2 * n), LOAD(gate + 2 * n)));
        STORE(gate, z);
        STORE(gate + n, r);
        STORE(gate + 2 * n, g);
        STORE(h + n, vf32_fma(z, old - g, g));
    }
}

/* dh keeps what goes past the gates. */
static void gru_backward(int64_t n, float *gate, float *inner, const float *h, float *dh)
{
    FOR_LANES
    {
        vf32 z = LOAD(gate), r = LOAD(gate + n), g = LOAD(gate + 2 * n), up = LOAD(dh);
        vf32 d = up * (1.0f - z) * (1.0f - g * g);
        vf32 dz = up * (LOAD(h) - g) * z * (1.0f - z);
        vf32 dr = d * LOAD(inner + 2 * n) * r * (1.0f - r);
        STORE(gate, dz);
        STORE(gate + n, dr);
        STORE(gate + 2 * n, d);
        STORE(inner, dz);
        STORE(inner + n, dr);
        STORE(inner + 2 * n, d * r);
        STORE(dh, up * z);
    }
}

/* ---- Round 1 ---------------------------------------------------------------------------------*/

/* Sequences [first, first + count) of one direction, and where theirs begins in each memory. */
typedef struct chunk {
    const job *j;
    int64_t d, first, count, each; /* each: states of one sequence */
    float *gates, *inner, *h, *c, *dh, *dc;
    bool backward;
} chunk;

static chunk chunk_of(const job *j, int64_t at)
{
    const tn_rnn_shape *s = &j->s;
    int64_t d = at / j->chunks, first = at % j->chunks * CHUNK, sequence = d * s->batch + first;
    int64_t each = (s->seq + 1) * s->hidden, gates = sequence * s->seq * j->rows;
    chunk u = {.j = j,
               .d = d,
               .first = first,
               .count = TN_MIN(s->batch - first, CHUNK),
               .each = each,
               .gates = j->gates + gates,
               .inner = j->inner + gates,
               .h = j->h + sequence * each,
               .backward = j->reverse || d == 1};
    if (j->c) u.c = j->c + sequence * each;
    if (j->dh) u.dh = j->dh + sequence * s->hidden;
    if (j->dc) u.dc = j->dc + sequence * s->hidden;
    return u;
}

/* A state's row from memory in which it may be absent: zeros. */
static void load_state(const chunk *u, const float *from, int64_t b, float *to)
{
    const tn_rnn_shape *s = &u->j->s;
    size_t bytes = (size_t)s->hidden * sizeof(float);
    int64_t at = u->d * s->state_direction + (u->first + b) * s->state_batch;
    if (from) memcpy(to, from + at, bytes);
    else memset(to, 0, bytes);
}

static void store_state(const chunk *u, const float *from, int64_t b, float *to)
{
    const tn_rnn_shape *s = &u->j->s;
    int64_t at = u->d * s->state_direction + (u->first + b) * s->state_batch;
    if (to) memcpy(to + at, from, (size_t)s->hidden * sizeof(float));
}

/* x W and the biases of all steps of one sequence: GRU's Rb goes to inner. */
static void project(const chunk *u, int64_t b)
{
    const job *j = u->j;
    const tn_rnn_shape *s = &j->s;
    int64_t rows = j->rows, at = b * s->seq * rows;
    const float *bias = j->bias ? j->bias + u->d * 2 * rows : NULL;
    for (int64_t t = 0; t < s->seq; t++) {
        float *gate = u->gates + at + t * rows, *inner = u->inner + at + t * rows;
        for (int64_t q = 0; q < rows; q++) {
            gate[q] = bias ? bias[q] + (j->is_gru ? 0 : bias[rows + q]) : 0;
            if (j->is_gru) inner[q] = bias ? bias[rows + q] : 0;
        }
    }
    tile_multiply(s->seq, rows, s->input, j->x + (u->first + b) * s->x_batch, s->x_time,
                  j->w_forward + u->d * tile_packed_count(s->input, rows), u->gates + at, rows, 1);
}

static void run_forward(const chunk *u)
{
    const job *j = u->j;
    const tn_rnn_shape *s = &j->s;
    int64_t n = s->hidden, rows = j->rows, line = s->seq * rows;
    for (int64_t b = 0; b < u->count; b++) {
        project(u, b);
        load_state(u, j->h0, b, u->h + b * u->each);
        if (u->c) load_state(u, j->c0, b, u->c + b * u->each);
    }
    for (int64_t k = 0; k < s->seq; k++) {
        int64_t t = u->backward ? s->seq - 1 - k : k;
        tile_multiply(u->count, rows, n, u->h + k * n, u->each,
                      j->r_forward + u->d * tile_packed_count(n, rows), u->inner + t * rows, line,
                      1);
        for (int64_t b = 0; b < u->count; b++) {
            float *gate = u->gates + b * line + t * rows, *h = u->h + b * u->each + k * n;
            if (j->is_gru) gru_forward(n, gate, u->inner + b * line + t * rows, h);
            else lstm_forward(n, gate, h, u->c + b * u->each + k * n);
        }
    }
}

static void run_backward(const chunk *u)
{
    const job *j = u->j;
    const tn_rnn_shape *s = &j->s;
    int64_t n = s->hidden, rows = j->rows, line = s->seq * rows;
    for (int64_t b = 0; b < u->count; b++) {
        load_state(u, j->dy_h, b, u->dh + b * n);
        load_state(u, j->dy_c, b, u->dc + b * n);
    }
    for (int64_t k = s->seq - 1; k >= 0; k--) {
        int64_t t = u->backward ? s->seq - 1 - k : k;
        for (int64_t b = 0; b < u->count; b++) {
            int64_t y = t * s->y_time + u->d * s->y_direction + (u->first + b) * s->y_batch;
            int64_t state = b * u->each + k * n;
            float *gate = u->gates + b * line + t * rows, *dh = u->dh + b * n;
            for (int64_t i = 0; j->dy && i < n; i++) dh[i] += j->dy[y + i];
            if (j->is_gru) gru_backward(n, gate, u->inner + b * line + t * rows, u->h + state, dh);
            else lstm_backward(n, gate, u->c + state, dh, u->dc + b * n);
        }
        tile_multiply(u->count, n, rows, u->inner + t * rows, line,
                      j->r_back + u->d * tile_packed_count(rows, n), u->dh, n, 1);
    }
    for (int64_t b = 0; b < u->count; b++) {
        store_state(u, u->dh + b * n, b, j->out[TN_RNN_DH0]);
        store_state(u, u->dc + b * n, b, j->out[TN_RNN_DC0]);
    }
}

static tn_status steps_share(void *arg, int64_t begin, int64_t end, int thread)
{
    const job *j = arg;
    (void)thread;
    for (int64_t at = begin; at < end; at++) {
        chunk u = chunk_of(j, at);
        run_forward(&u);
        run_backward(&u);
    }
    return NULL;
}

/* ---- Rounds 2 and 3 --------------------------------------------------------------------------*/

static tn_status data_share(void *arg, int64_t begin, int64_t end, int thread)
{
    const job *j = arg;
    const tn_rnn_shape *s = &j->s;
    (void)thread;
    for (int64_t b = begin; b < end; b++)
        for (int64_t d = 0; d < s->directions; d++)
            tile_multiply(s->seq, s->input, j->rows,
                          j->gates + (d * s->batch + b) * s->seq * j->rows, j->rows,
                          j->w_back + d * tile_packed_count(j->rows, s->input),
                          j->out[TN_RNN_DX] + b * s->x_batch, s->x_time, d > 0);
    return NULL;
}

/* X or the states before each step, one line for each (sequence, time), packed as tile.h does. */
static void pack_lines(const job *j, int64_t d, bool state, float *panel)
{
    const tn_rnn_shape *s = &j->s;
    int64_t width = state ? s->hidden : s->input, steps = s->batch * s->seq;
    bool backward = j->reverse || d == 1;
    for (int64_t line = 0; line < steps; line++) {
        int64_t b = line / s->seq, t = line % s->seq, k = backward ? s->seq - 1 - t : t;
        const float *src = j->x + t * s->x_time + b * s->x_batch;
        if (state) src = j->h + ((d * s->batch + b) * (s->seq + 1) + k) * s->hidden;
        for (int64_t first = 0; first < width; first += TILE_COLUMNS) {
            int64_t count = TN_MIN(width - first, TILE_COLUMNS);
            float *dst = panel + first * steps + line * TILE_COLUMNS;
            memcpy(dst, src + first, (size_t)count * sizeof(float));
            for (int64_t i = count; i < TILE_COLUMNS; i++) dst[i] = 0;
        }
    }
}

/* dW and Wb's half of dB from the gates, or dR and Rb's half from inner. */
static void sum_weights(const job *j, int64_t d, bool state)
{
    const tn_rnn_shape *s = &j->s;
    int64_t rows = j->rows, steps = s->batch * s->seq, width = state ? s->hidden : s->input;
    const float *gates = (state ? j->inner : j->gates) + d * steps * rows;
    float *turned = j->turned + d * steps * rows;
    float *panel = j->panel + d * tile_packed_count(steps, TN_MAX(s->input, s->hidden));
    float *out = j->out[state ? TN_RNN_DR : TN_RNN_DW], *dbias = j->out[TN_RNN_DB];
    for (int64_t line = 0; line < steps && (j->is_gru || !state); line++) /* LSTM: still there */
        for (int64_t q = 0; q < rows; q++) turned[q * steps + line] = gates[line * rows + q];
    for (int64_t q = 0; dbias && q < rows; q++) {
        double sum = 0;
        for (int64_t line = 0; line < steps; line++) sum += (double)turned[q * steps + line];
        dbias[(d * 2 + state) * rows + q] = (float)sum;
    }
    if (!out || width == 0) return;
    pack_lines(j, d, state, panel);
    tile_multiply(rows, width, steps, turned, steps, panel, out + d * rows * width, width, 0);
}

static tn_status weights_share(void *arg, int64_t begin, int64_t end, int thread)
{
    const job *j = arg;
    (void)thread;
    for (int64_t at = begin; at < end; at++) {
        sum_weights(j, at, false);
        sum_weights(j, at, true);
    }
    return NULL;
}

/* ---- Launch ----------------------------------------------------------------------------------*/

static const float *input(const tn_problem *p, int in)
{
    return has(p, in) ? p->in[in].data : NULL;
}

static float *output(const tn_problem *p, int out)
{
    bool asked = out < p->out_count && p->out[out].dtype != TN_DTYPE_NONE;
    return asked && tn_tensor_count(&p->out[out]) ? p->out[out].data : NULL;
}

/* Everything up to the end of round 1. */
static tn_status run_steps(const tn_launch *l, job *j)
{
    const tn_problem *p = l->problem;
    j->x = p->in[TN_RNN_X].data;
    j->bias = input(p, TN_RNN_B);
    j->h0 = input(p, TN_RNN_H0);
    if (j->s.hidden == 0 || j->s.batch == 0) return NULL;
    cut_scratch(j, l->scratch);
    pack_forward(j, j->w_forward);
    j->r_forward = j->w_forward + j->s.directions * tile_packed_count(j->s.input, j->rows);
    pack_back(j);
    j->chunks = (j->s.batch + CHUNK - 1) / CHUNK;
    int64_t each = j->s.seq * j->rows * (j->s.hidden + j->s.input) * 2;
    return tn_pool_run(l->pool, j->s.directions * j->chunks, 1 + GRAIN / (1 + CHUNK * each),
                       steps_share, j);
}

static tn_status launch(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    job j;
    read_job(p, &j);
    int dy = j.is_gru ? TN_RNN_C0 : TN_RNN_P + 1;
    j.dy = input(p, dy);
    j.dy_h = input(p, dy + 1);
    if (!j.is_gru) j.c0 = input(p, TN_RNN_C0);
    if (!j.is_gru) j.dy_c = input(p, dy + 2);
    for (int i = 0; i <= TN_RNN_DC0; i++) {
        j.out[i] = output(p, i);
        if (j.out[i]) memset(j.out[i], 0, (size_t)tn_tensor_bytes(&p->out[i])); /* of empty sums */
    }
    TN_TRY(run_steps(l, &j));
    if (j.s.hidden == 0 || j.s.batch == 0 || j.s.seq == 0) return NULL;
    int64_t each = j.s.seq * j.rows * (j.s.hidden + j.s.input);
    if (j.out[TN_RNN_DX])
        TN_TRY(tn_pool_run(l->pool, j.s.batch, 1 + GRAIN / (1 + each), data_share, &j));
    return tn_pool_run(l->pool, j.s.directions, 1 + GRAIN / (1 + j.s.batch * each), weights_share,
                       &j);
}

#define GRADIENT(op_name, text)                                                                    \
    {                                                                                              \
        .name = "cpu." text ".f32.cells." TN_VARIANT_TEXT, .op = op_name, .revision = 2,           \
        .accepts = accepts, .scratch_bytes = scratch_bytes, .launch = launch,                      \
    }
extern const tn_tactic TN_VARIANT_NAME(tn_cpu_rnn_gradient)[];
const tn_tactic TN_VARIANT_NAME(tn_cpu_rnn_gradient)[] = {
    GRADIENT("LSTMGradient", "lstmgradient"),
    GRADIENT("GRUGradient", "grugradient"),
    {0},
};
