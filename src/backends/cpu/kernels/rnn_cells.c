/* LSTM, GRU and RNN in f32 with the usual activations. All steps' x * W + b are one matrix product
 * for each sequence; then each step adds h * R for all sequences of a chunk at once and runs the
 * cells. W and R are packed (tile.h) when the engine is built if they are constant, else at the
 * start of a launch.
 *
 * Gates lie in the order of steps, not of time: a reversed sequence is read from its own end, and
 * sequences of any lengths meet at the same step. One that is over is left out by the cells alone.
 *
 * GRU's candidate has a product of its own: of h, before it is reset, or of what the reset left.
 *
 * Work is cut by direction and by chunks of the batch, which never meet. */
#include "backends/cpu/kernels/tile.h"
#include "backends/cpu/kernels/vmath.h"
#include "backends/cpu/variant.h"
#include "device/device.h"
#include "ops/rnn/rnn.h"

enum { CHUNK = 8 };      /* sequences of one share */
enum { GRAIN = 500000 }; /* multiply-adds worth a thread: waking one costs as much as some 70 us */

typedef enum cell { RNN, GRU, LSTM } cell;

typedef struct job {
    tn_rnn_shape s;
    cell cell;
    const tn_rnn_params *params;
    bool is_relu;
    const float *x, *bias, *h0, *c0, *peephole;
    const int32_t *lens;
    const float *packed; /* [direction]: W, then R; of GRU its first two gates, then the third */
    float *gates;        /* [direction, sequence, step, rows] */
    float *state;        /* [direction, chunk]: h, then c (of GRU `inner`), [sequence, hidden] */
    float *y, *y_h, *y_c;
    int64_t rows, chunks; /* rows: gates * hidden */
} job;

/* Sequences [first, first + count) of one direction. */
typedef struct chunk {
    const job *j;
    int64_t d, first, count;
    const float *w, *r, *bias, *peephole;
    float *gates, *h, *c;
    bool backward;
} chunk;

static bool has(const tn_problem *p, int in)
{
    return in < p->in_count && p->in[in].dtype != TN_DTYPE_NONE;
}

static cell cell_of(const tn_problem *p)
{
    return p->op[0] == 'L' ? LSTM : p->op[0] == 'G' ? GRU : RNN;
}

static bool is_packed(const tn_problem *p)
{
    return (p->in_constant & 6) == 6;
}

static tn_verdict accepts(const tn_problem *p)
{
    const tn_rnn_params *params = p->params;
    static const tn_rnn_function usual[] = {TN_RNN_F_SIGMOID, TN_RNN_F_TANH, TN_RNN_F_TANH};
    const tn_ints *given = &params->activations;
    int functions = cell_of(p) == LSTM ? 3 : 2;
    if (p->in[0].dtype != TN_DTYPE_F32) return TN_NO("the operands are not f32");
    for (int i = 0; i < given->count; i++) {
        if (cell_of(p) != RNN && given->at[i] != (int64_t)usual[i % functions])
            return TN_NO("the activations are not Sigmoid and Tanh");
        if (cell_of(p) != RNN) continue;
        if (given->at[i] != TN_RNN_F_TANH && given->at[i] != TN_RNN_F_RELU)
            return TN_NO("the activation is neither Tanh nor Relu");
        if (given->at[i] != given->at[0]) return TN_NO("the directions' activations differ");
    }
    return TN_YES;
}

/* ---- Memory ----------------------------------------------------------------------------------*/

static size_t pad_bytes(int64_t floats)
{
    return tn_align_up((size_t)floats * sizeof(float), TN_ALIGNMENT);
}

/* Rows of R whose product is taken of h as it is. */
static int64_t first_rows(cell kind, const tn_rnn_shape *s)
{
    return (kind == GRU ? 2 : s->gates) * s->hidden;
}

/* Floats of one direction's W and R. */
static int64_t weights_count(cell kind, const tn_rnn_shape *s)
{
    int64_t rows = s->gates * s->hidden, first = first_rows(kind, s);
    return tile_packed_count(s->input, rows) + tile_packed_count(s->hidden, first) +
           tile_packed_count(s->hidden, rows - first);
}

static size_t packed_bytes(const tn_problem *p)
{
    tn_rnn_shape s;
    tn_rnn_shape_of(p, &s);
    return is_packed(p) ? pad_bytes(s.directions * weights_count(cell_of(p), &s)) : 0;
}

static uint64_t unused(const tn_problem *p)
{
    return is_packed(p) ? 6 : 0;
}

static size_t scratch_bytes(const tn_problem *p)
{
    tn_rnn_shape s;
    tn_rnn_shape_of(p, &s);
    size_t bytes = is_packed(p) ? 0 : pad_bytes(s.directions * weights_count(cell_of(p), &s));
    bytes += pad_bytes(s.directions * s.batch * s.seq * s.gates * s.hidden);
    return bytes + pad_bytes(s.directions * s.batch * 2 * s.hidden);
}

static void pack_weights(const tn_problem *p, float *dst)
{
    tn_rnn_shape s;
    tn_rnn_shape_of(p, &s);
    int64_t n = s.hidden, rows = s.gates * n, first = first_rows(cell_of(p), &s);
    const float *w = p->in[TN_RNN_W].data, *r = p->in[TN_RNN_R].data;
    for (int64_t d = 0; d < s.directions; d++, w += rows * s.input, r += rows * n) {
        tile_pack(w, 1, s.input, s.input, rows, 0, tile_panels(rows), dst);
        dst += tile_packed_count(s.input, rows);
        tile_pack(r, 1, n, n, first, 0, tile_panels(first), dst);
        dst += tile_packed_count(n, first);
        tile_pack(r + first * n, 1, n, n, rows - first, 0, tile_panels(rows - first), dst);
        dst += tile_packed_count(n, rows - first);
    }
}

static tn_status pack(const tn_problem *p, void *dst)
{
    memset(dst, 0, packed_bytes(p));
    pack_weights(p, dst);
    return NULL;
}

/* ---- Cells: one step of one sequence ---------------------------------------------------------*/

#define FOR_LANES                                                                                  \
    for (int64_t k = 0, some = TN_MIN(n, VF32_LANES); k < n;                                       \
         k += VF32_LANES, some = TN_MIN(n - k, VF32_LANES))
#define LOAD(from) vf32_load_some((from) + k, some)
#define STORE(to, v) vf32_store_some((to) + k, v, some)

static vf32 bound(vf32 x, float clip)
{
    if (!(clip > 0)) return x;
    return vf32_max(vf32_set1(-clip), vf32_min(vf32_set1(clip), x));
}

/* gate[] holds x W + b + h R of i, o, f, c. */
static void lstm_cell(const tn_rnn_params *params, int64_t n, const float *gate,
                      const float *peephole, float *h, float *c)
{
    float clip = params->clip;
    FOR_LANES
    {
        vf32 gi = LOAD(gate), go = LOAD(gate + n), gf = LOAD(gate + 2 * n);
        vf32 old = LOAD(c);
        if (peephole) {
            gi = vf32_fma(LOAD(peephole), old, gi);
            gf = vf32_fma(LOAD(peephole + 2 * n), old, gf);
        }
        vf32 i = vf32_sigmoid(bound(gi, clip));
        vf32 f = params->input_forget ? 1.0f - i : vf32_sigmoid(bound(gf, clip));
        vf32 new = vf32_fma(f, old, i * vf32_tanh(bound(LOAD(gate + 3 * n), clip)));
        if (peephole) go = vf32_fma(LOAD(peephole + n), new, go);
        STORE(c, new);
        STORE(h, vf32_sigmoid(bound(go, clip)) * vf32_tanh(new));
    }
}

/* What the reset leaves of h. */
static void gru_reset(int64_t n, float clip, const float *gate, const float *h, float *inner)
{
    FOR_LANES
    {
        STORE(inner, vf32_sigmoid(bound(LOAD(gate + n), clip)) * LOAD(h));
    }
}

/* gate[] holds x W + b + h R of z and r. Of the candidate, `inner` holds h R + Rb and gate[] the
 * rest if the reset is linear; else gate[] holds all. */
static void gru_cell(bool linear, int64_t n, float clip, const float *gate, const float *inner,
                     float *h)
{
    FOR_LANES
    {
        vf32 z = vf32_sigmoid(bound(LOAD(gate), clip)), g = LOAD(gate + 2 * n), old = LOAD(h);
        if (linear) g = vf32_fma(vf32_sigmoid(bound(LOAD(gate + n), clip)), LOAD(inner), g);
        g = vf32_tanh(bound(g, clip));
        STORE(h, vf32_fma(z, old - g, g));
    }
}

static void plain_cell(bool is_relu, int64_t n, float clip, const float *gate, float *h)
{
    FOR_LANES
    {
        vf32 x = bound(LOAD(gate), clip);
        STORE(h, is_relu ? vf32_max((vf32){0}, x) : vf32_tanh(x));
    }
}

/* ---- A chunk ---------------------------------------------------------------------------------*/

static chunk chunk_of(const job *j, int64_t at)
{
    const tn_rnn_shape *s = &j->s;
    int64_t d = at / j->chunks, first = at % j->chunks * CHUNK;
    int64_t count = TN_MIN(s->batch - first, CHUNK), sequence = d * s->batch + first;
    chunk u = {.j = j,
               .d = d,
               .first = first,
               .count = count,
               .w = j->packed + d * weights_count(j->cell, s),
               .gates = j->gates + sequence * s->seq * j->rows,
               .h = j->state + sequence * 2 * s->hidden,
               .backward = j->params->direction == TN_RNN_REVERSE || d == 1};
    u.r = u.w + tile_packed_count(s->input, j->rows);
    u.c = u.h + count * s->hidden;
    if (j->bias) u.bias = j->bias + d * 2 * j->rows;
    if (j->peephole) u.peephole = j->peephole + d * 3 * s->hidden;
    return u;
}

static int64_t length_of(const chunk *u, int64_t b)
{
    return u->j->lens ? u->j->lens[u->first + b] : u->j->s.seq;
}

/* x * W and the biases of all steps; Rb of GRU's linear candidate stays with its product. */
static void project(const chunk *u)
{
    const job *j = u->j;
    const tn_rnn_shape *s = &j->s;
    int64_t rows = j->rows;
    int64_t inside = j->cell == GRU && j->params->linear_before_reset ? 2 * s->hidden : rows;
    for (int64_t b = 0; b < u->count; b++) {
        float *to = u->gates + b * s->seq * rows;
        int64_t length = length_of(u, b);
        for (int64_t t = 0; t < s->seq; t++)
            for (int64_t k = 0; k < rows; k++)
                to[t * rows + k] = u->bias ? u->bias[k] + (k < inside ? u->bias[rows + k] : 0) : 0;
        if (!length) continue;
        const float *x = j->x + (u->first + b) * s->x_batch;
        if (u->backward) x += (length - 1) * s->x_time;
        tile_multiply(length, rows, s->input, x, u->backward ? -s->x_time : s->x_time, u->w, to,
                      rows, 1);
    }
}

/* GRU: the candidate's product, and what goes before it. */
static void run_candidate(const chunk *u, float *gates)
{
    const job *j = u->j;
    int64_t n = j->s.hidden, line = j->s.seq * j->rows;
    const float *r = u->r + tile_packed_count(n, 2 * n);
    bool linear = j->params->linear_before_reset;
    for (int64_t b = 0; b < u->count; b++) {
        float *inner = u->c + b * n;
        if (!linear) gru_reset(n, j->params->clip, gates + b * line, u->h + b * n, inner);
        else if (u->bias) memcpy(inner, u->bias + 5 * n, (size_t)n * sizeof(float));
        else memset(inner, 0, (size_t)n * sizeof(float));
    }
    if (linear) tile_multiply(u->count, n, n, u->h, n, r, u->c, n, 1);
    else tile_multiply(u->count, n, n, u->c, n, r, gates + 2 * n, line, 1);
}

static void run_cell(const chunk *u, const float *gate, int64_t b)
{
    const job *j = u->j;
    int64_t n = j->s.hidden;
    float *h = u->h + b * n, *c = u->c + b * n, clip = j->params->clip;
    if (j->cell == LSTM) lstm_cell(j->params, n, gate, u->peephole, h, c);
    else if (j->cell == GRU) gru_cell(j->params->linear_before_reset, n, clip, gate, c, h);
    else plain_cell(j->is_relu, n, clip, gate, h);
}

static void run_steps(const chunk *u)
{
    const job *j = u->j;
    const tn_rnn_shape *s = &j->s;
    int64_t n = s->hidden, line = s->seq * j->rows;
    for (int64_t step = 0; step < s->seq; step++) {
        float *gates = u->gates + step * j->rows;
        tile_multiply(u->count, first_rows(j->cell, s), n, u->h, n, u->r, gates, line, 1);
        if (j->cell == GRU) run_candidate(u, gates);
        for (int64_t b = 0; b < u->count; b++) {
            int64_t length = length_of(u, b), t = step;
            if (step < length) run_cell(u, gates + b * line, b);
            if (step < length && u->backward) t = length - 1 - step;
            if (!j->y) continue;
            float *to = j->y + t * s->y_time + u->d * s->y_direction + (u->first + b) * s->y_batch;
            if (step < length) memcpy(to, u->h + b * n, (size_t)n * sizeof(float));
            else memset(to, 0, (size_t)n * sizeof(float));
        }
    }
}

/* A state's rows from memory in which it may be absent: zeros. */
static void load_states(const chunk *u, const float *from, float *to)
{
    const tn_rnn_shape *s = &u->j->s;
    size_t bytes = (size_t)s->hidden * sizeof(float);
    for (int64_t b = 0; b < u->count; b++) {
        int64_t at = u->d * s->state_direction + (u->first + b) * s->state_batch;
        if (from) memcpy(to + b * s->hidden, from + at, bytes);
        else memset(to + b * s->hidden, 0, bytes);
    }
}

static void store_states(const chunk *u, const float *from, float *to)
{
    const tn_rnn_shape *s = &u->j->s;
    for (int64_t b = 0; b < u->count && to; b++)
        memcpy(to + u->d * s->state_direction + (u->first + b) * s->state_batch,
               from + b * s->hidden, (size_t)s->hidden * sizeof(float));
}

static tn_status run_share(void *arg, int64_t begin, int64_t end, int thread)
{
    const job *j = arg;
    (void)thread;
    for (int64_t at = begin; at < end; at++) {
        chunk u = chunk_of(j, at);
        load_states(&u, j->h0, u.h);
        load_states(&u, j->c0, u.c);
        project(&u);
        run_steps(&u);
        store_states(&u, u.h, j->y_h);
        store_states(&u, u.c, j->y_c);
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
    return out < p->out_count && p->out[out].dtype != TN_DTYPE_NONE ? p->out[out].data : NULL;
}

static tn_status launch(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    char *scratch = l->scratch;
    job j = {.cell = cell_of(p),
             .params = p->params,
             .x = p->in[TN_RNN_X].data,
             .bias = input(p, TN_RNN_B),
             .h0 = input(p, TN_RNN_H0),
             .packed = l->packed,
             .y = output(p, 0),
             .y_h = output(p, 1)};
    const tn_rnn_shape *s = &j.s;
    tn_rnn_shape_of(p, &j.s);
    if (s->hidden == 0 || s->batch == 0) return NULL;
    if (has(p, TN_RNN_LENS)) j.lens = p->in[TN_RNN_LENS].data;
    if (j.cell == LSTM) {
        j.c0 = input(p, TN_RNN_C0);
        j.peephole = input(p, TN_RNN_P);
        j.y_c = output(p, 2);
    }
    j.is_relu = j.params->activations.count > 0 && j.params->activations.at[0] == TN_RNN_F_RELU;
    for (int64_t b = 0; j.lens && b < s->batch; b++)
        TN_CHECK(j.lens[b] >= 0 && j.lens[b] <= s->seq, TN_INVALID,
                 "sequence_lens[%lld] is %d, outside [0, %lld]", (long long)b, j.lens[b],
                 (long long)s->seq);
    if (!is_packed(p)) {
        float *packed = (float *)(void *)scratch;
        pack_weights(p, packed);
        j.packed = packed;
        scratch += pad_bytes(s->directions * weights_count(j.cell, s));
    }
    j.rows = s->gates * s->hidden;
    j.gates = (float *)(void *)scratch;
    j.state = (float *)(void *)(scratch + pad_bytes(s->directions * s->batch * s->seq * j.rows));
    j.chunks = (s->batch + CHUNK - 1) / CHUNK;
    int64_t each = s->seq * CHUNK * j.rows * (s->hidden + s->input);
    return tn_pool_run(l->pool, s->directions * j.chunks, 1 + GRAIN / (1 + each), run_share, &j);
}

#define CELLS(op_name, text)                                                                       \
    {                                                                                              \
        .name = "cpu." text ".f32.cells." TN_VARIANT_TEXT, .op = op_name, .revision = 3,           \
        .accepts = accepts, .scratch_bytes = scratch_bytes, .packed_bytes = packed_bytes,          \
        .pack = pack, .unused = unused, .launch = launch,                                          \
    }
extern const tn_tactic TN_VARIANT_NAME(tn_cpu_rnn_cells)[];
const tn_tactic TN_VARIANT_NAME(tn_cpu_rnn_cells)[] = {
    CELLS("LSTM", "lstm"),
    CELLS("GRU", "gru"),
    CELLS("RNN", "rnn"),
    {0},
};
