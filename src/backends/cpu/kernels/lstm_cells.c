/* LSTM in f32 with the default activations. All steps' x * W + b are one matrix product; then each
 * step adds h * R and runs the cell. W and R are packed (tile.h) when the engine is built if they
 * are constant, else at the start of a launch.
 *
 * Work is cut by direction and by chunks of the batch, which never meet. */
#include "backends/cpu/kernels/tile.h"
#include "backends/cpu/kernels/vmath.h"
#include "backends/cpu/variant.h"
#include "device/device.h"
#include "ops/rnn/rnn.h"

enum { CHUNK = 8 };      /* sequences of one share */
enum { GRAIN = 500000 }; /* multiply-adds worth a thread: waking one costs as much as some 70 us */

typedef struct job {
    tn_rnn_shape s;
    const tn_rnn_params *params;
    const float *x, *bias, *h0, *c0, *peephole;
    const int32_t *lens;
    const float *packed; /* [direction]: W, then R */
    float *gates;        /* [direction, chunk]: [time, sequence, 4 * hidden] */
    float *state;        /* [direction, chunk]: h, then c, [sequence, hidden] */
    float *y, *y_h, *y_c;
    int64_t chunks;
} job;

static bool has(const tn_problem *p, int in)
{
    return in < p->in_count && p->in[in].dtype != TN_DTYPE_NONE;
}

static bool is_packed(const tn_problem *p)
{
    return (p->in_constant & 6) == 6;
}

static tn_verdict accepts(const tn_problem *p)
{
    const tn_rnn_params *params = p->params;
    static const tn_rnn_function usual[] = {TN_RNN_F_SIGMOID, TN_RNN_F_TANH, TN_RNN_F_TANH};
    if (p->in[0].dtype != TN_DTYPE_F32) return TN_NO("the operands are not f32");
    for (int i = 0; i < params->activations.count; i++)
        if (params->activations.at[i] != (int64_t)usual[i % 3])
            return TN_NO("the activations are not Sigmoid, Tanh, Tanh");
    return TN_YES;
}

static size_t pad_bytes(int64_t floats)
{
    return tn_align_up((size_t)floats * sizeof(float), TN_ALIGNMENT);
}

/* Floats of one direction's W and R. */
static int64_t weights_count(const tn_rnn_shape *s)
{
    int64_t rows = 4 * s->hidden;
    return tile_packed_count(s->input, rows) + tile_packed_count(s->hidden, rows);
}

static size_t packed_bytes(const tn_problem *p)
{
    tn_rnn_shape s;
    tn_rnn_shape_of(p, &s);
    return is_packed(p) ? pad_bytes(s.directions * weights_count(&s)) : 0;
}

static uint64_t unused(const tn_problem *p)
{
    return is_packed(p) ? 6 : 0;
}

static size_t scratch_bytes(const tn_problem *p)
{
    tn_rnn_shape s;
    tn_rnn_shape_of(p, &s);
    size_t bytes = is_packed(p) ? 0 : pad_bytes(s.directions * weights_count(&s));
    bytes += pad_bytes(s.directions * s.batch * s.seq * 4 * s.hidden);
    return bytes + pad_bytes(s.directions * s.batch * 2 * s.hidden);
}

static void pack_weights(const tn_problem *p, float *dst)
{
    tn_rnn_shape s;
    tn_rnn_shape_of(p, &s);
    int64_t rows = 4 * s.hidden, panels = tile_panels(rows);
    const float *w = p->in[TN_RNN_W].data, *r = p->in[TN_RNN_R].data;
    for (int64_t d = 0; d < s.directions; d++) {
        tile_pack(w + d * rows * s.input, 1, s.input, s.input, rows, 0, panels, dst);
        dst += tile_packed_count(s.input, rows);
        tile_pack(r + d * rows * s.hidden, 1, s.hidden, s.hidden, rows, 0, panels, dst);
        dst += tile_packed_count(s.hidden, rows);
    }
}

static tn_status pack(const tn_problem *p, void *dst)
{
    memset(dst, 0, packed_bytes(p));
    pack_weights(p, dst);
    return NULL;
}

static vf32 bound(vf32 x, float clip)
{
    if (!(clip > 0)) return x;
    return vf32_max(vf32_set1(-clip), vf32_min(vf32_set1(clip), x));
}

/* One step of one sequence: gate[] holds x W + b + h R of i, o, f, c. */
static void run_cell(const job *j, const float *gate, const float *peephole, float *h, float *c)
{
    int64_t n = j->s.hidden;
    float clip = j->params->clip;
    for (int64_t k = 0; k < n; k += VF32_LANES) {
        int64_t some = n - k < VF32_LANES ? n - k : VF32_LANES;
        vf32 gi = vf32_load_some(gate + k, some), go = vf32_load_some(gate + n + k, some);
        vf32 gf = vf32_load_some(gate + 2 * n + k, some);
        vf32 gc = vf32_load_some(gate + 3 * n + k, some), old = vf32_load_some(c + k, some);
        if (peephole) {
            gi = vf32_fma(vf32_load_some(peephole + k, some), old, gi);
            gf = vf32_fma(vf32_load_some(peephole + 2 * n + k, some), old, gf);
        }
        vf32 i = vf32_sigmoid(bound(gi, clip));
        vf32 f = j->params->input_forget ? 1.0f - i : vf32_sigmoid(bound(gf, clip));
        vf32 new = vf32_fma(f, old, i * vf32_tanh(bound(gc, clip)));
        if (peephole) go = vf32_fma(vf32_load_some(peephole + n + k, some), new, go);
        vf32 o = vf32_sigmoid(bound(go, clip));
        vf32_store_some(c + k, new, some);
        vf32_store_some(h + k, o * vf32_tanh(new), some);
    }
}

/* x * W + b of all steps of a chunk: gates[sequence, time, 4 * hidden]. */
static void project(const job *j, int64_t d, int64_t first, int64_t count, const float *w,
                    float *gates)
{
    int64_t rows = 4 * j->s.hidden;
    const float *bias = j->bias ? j->bias + d * 2 * rows : NULL;
    for (int64_t b = 0; b < count; b++) {
        float *to = gates + b * j->s.seq * rows;
        for (int64_t t = 0; t < j->s.seq; t++)
            for (int64_t k = 0; k < rows; k++)
                to[t * rows + k] = bias ? bias[k] + bias[rows + k] : 0;
        tile_multiply(j->s.seq, rows, j->s.input, j->x + (first + b) * j->s.x_batch, j->s.x_time, w,
                      to, rows, 1);
    }
}

static void store_states(const job *j, int64_t d, int64_t first, int64_t count, const float *h,
                         const float *c)
{
    size_t bytes = (size_t)j->s.hidden * sizeof(float);
    for (int64_t b = 0; b < count; b++) {
        int64_t at = d * j->s.state_direction + (first + b) * j->s.state_batch;
        if (j->y_h) memcpy(j->y_h + at, h + b * j->s.hidden, bytes);
        if (j->y_c) memcpy(j->y_c + at, c + b * j->s.hidden, bytes);
    }
}

/* The step's h * R for all sequences at once if they are at the same time, else one by one. */
static void run_steps(const job *j, int64_t d, int64_t first, int64_t count, const float *r,
                      float *gates, float *h, float *c)
{
    const tn_rnn_shape *s = &j->s;
    int64_t n = s->hidden, rows = 4 * n;
    const float *peephole = j->peephole ? j->peephole + d * 3 * n : NULL;
    bool backward = j->params->direction == TN_RNN_REVERSE || d == 1;
    for (int64_t step = 0; step < s->seq; step++) {
        if (!j->lens) {
            int64_t t = backward ? s->seq - 1 - step : step;
            tile_multiply(count, rows, n, h, n, r, gates + t * rows, s->seq * rows, 1);
        }
        for (int64_t b = 0; b < count; b++) {
            int64_t length = j->lens ? j->lens[first + b] : s->seq;
            int64_t t = backward && step < length ? length - 1 - step : step;
            float *gate = gates + (b * s->seq + t) * rows, *to = NULL;
            if (j->y) to = j->y + t * s->y_time + d * s->y_direction + (first + b) * s->y_batch;
            if (step >= length) {
                if (to) memset(to, 0, (size_t)n * sizeof(float));
                continue;
            }
            if (j->lens) tile_multiply(1, rows, n, h + b * n, n, r, gate, rows, 1);
            run_cell(j, gate, peephole, h + b * n, c + b * n);
            if (to) memcpy(to, h + b * n, (size_t)n * sizeof(float));
        }
    }
}

static tn_status run_share(void *arg, int64_t begin, int64_t end, int thread)
{
    const job *j = arg;
    const tn_rnn_shape *s = &j->s;
    (void)thread;
    for (int64_t at = begin; at < end; at++) {
        int64_t d = at / j->chunks, first = at % j->chunks * CHUNK, n = s->hidden;
        int64_t count = TN_MIN(s->batch - first, CHUNK), sequence = d * s->batch + first;
        float *gates = j->gates + sequence * s->seq * 4 * n;
        float *h = j->state + sequence * 2 * n, *c = h + count * n;
        const float *w = j->packed + d * weights_count(s);
        for (int64_t b = 0; b < count; b++) {
            int64_t from = d * s->state_direction + (first + b) * s->state_batch;
            for (int64_t k = 0; k < n; k++) {
                h[b * n + k] = j->h0 ? j->h0[from + k] : 0;
                c[b * n + k] = j->c0 ? j->c0[from + k] : 0;
            }
        }
        project(j, d, first, count, w, gates);
        run_steps(j, d, first, count, w + tile_packed_count(s->input, 4 * n), gates, h, c);
        store_states(j, d, first, count, h, c);
    }
    return NULL;
}

static float *output(const tn_problem *p, int out)
{
    return out < p->out_count && p->out[out].dtype != TN_DTYPE_NONE ? p->out[out].data : NULL;
}

static tn_status launch(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    char *scratch = l->scratch;
    job j = {.params = p->params,
             .x = p->in[TN_RNN_X].data,
             .packed = l->packed,
             .y = output(p, 0),
             .y_h = output(p, 1),
             .y_c = output(p, 2)};
    tn_rnn_shape_of(p, &j.s);
    if (j.s.hidden == 0 || j.s.batch == 0) return NULL;
    if (has(p, TN_RNN_B)) j.bias = p->in[TN_RNN_B].data;
    if (has(p, TN_RNN_LENS)) j.lens = p->in[TN_RNN_LENS].data;
    if (has(p, TN_RNN_H0)) j.h0 = p->in[TN_RNN_H0].data;
    if (has(p, TN_RNN_C0)) j.c0 = p->in[TN_RNN_C0].data;
    if (has(p, TN_RNN_P)) j.peephole = p->in[TN_RNN_P].data;
    for (int64_t b = 0; j.lens && b < j.s.batch; b++)
        TN_CHECK(j.lens[b] >= 0 && j.lens[b] <= j.s.seq, TN_INVALID,
                 "sequence_lens[%lld] is %d, outside [0, %lld]", (long long)b, j.lens[b],
                 (long long)j.s.seq);
    if (!is_packed(p)) {
        float *packed = (float *)(void *)scratch;
        pack_weights(p, packed);
        j.packed = packed;
        scratch += pad_bytes(j.s.directions * weights_count(&j.s));
    }
    j.gates = (float *)(void *)scratch;
    j.state = (float *)(void *)(scratch +
                                pad_bytes(j.s.directions * j.s.batch * j.s.seq * 4 * j.s.hidden));
    j.chunks = (j.s.batch + CHUNK - 1) / CHUNK;
    int64_t each = j.s.seq * CHUNK * 4 * j.s.hidden * (j.s.hidden + j.s.input);
    return tn_pool_run(l->pool, j.s.directions * j.chunks, 1 + GRAIN / (1 + each), run_share, &j);
}

extern const tn_tactic TN_VARIANT_NAME(tn_cpu_lstm_cells)[];
const tn_tactic TN_VARIANT_NAME(tn_cpu_lstm_cells)[] = {
    {
        .name = "cpu.lstm.f32.cells." TN_VARIANT_TEXT,
        .op = "LSTM",
        .revision = 1,
        .accepts = accepts,
        .scratch_bytes = scratch_bytes,
        .packed_bytes = packed_bytes,
        .pack = pack,
        .unused = unused,
        .launch = launch,
    },
    {0},
};
