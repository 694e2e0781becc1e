/* RecurrentStack in f32 by the tiles of AMX, on floats in parts (split.h), all layers in one
 * launch.
 *
 * The batch is cut into units of up to 16 sequences, which never meet. What is multiplied are
 * strips of 32 rows: for x W, all sequences of a unit at as many steps as fit, so that a single
 * sequence fills them too; for h R, two units side by side at one step.
 *
 *     x, y of layers    [unit][strip of steps][direction][step of k]     x W of some strips, then
 *     h of a step       [direction][pair of units][before, after]        h R, step by step
 *
 * 16 hidden units are a block, whose four gates are two panels of weights: columns i o, f c of an
 * LSTM, z r, n n' of a GRU (recurrent_cell.h). A panel's rows are those of W, a direction of the
 * layer below after the other, and those of R, each up to the next 32. The cell takes what a
 * block's panels gave while it is near, and writes h as parts.
 *
 * h is no larger than 1 where it need fit parts, and what it loses where it is tiny is below 2^-110
 * beside the biases. A result depends on its own unit alone, and units on the batch alone. */
#include "backends/cpu/kernels/conv_cost.h"
#include "backends/cpu/kernels/recurrent_cell.h"
#include "backends/cpu/kernels/split_tiles.h"
#include "backends/cpu/variant.h"
#include "device/device.h"
#include "ops/recurrent_stack/recurrent_stack.h"

enum { UNIT = 16, HIDDEN_MIN = 32 };
enum { GROUP = 8 }; /* units that meet a panel one after the other */
enum { CHUNK = 4 }; /* strips of x W that are computed at once, of all units of a group */
enum { SPAN = 8 };  /* steps of k of a panel that fit or do not */
enum { BLOCK_FLOATS = SPLIT_BLOCK * 4 * UNIT }; /* a strip's gates of a block */
enum { GRAIN_NS = 8000 };                       /* of work that are worth a thread */
enum { LONG_STEP_NS = 1500 };                   /* of one direction, that are worth a thread each */

typedef struct job {
    tn_recurrent_stack_shape s;
    bool is_gru;
    int parts;
    int64_t blocks, h_steps;    /* of hidden units; steps of k of a direction's h */
    int64_t units, rows, pairs; /* rows of a unit */
    int64_t each, strips;       /* steps of a strip; strips of a unit */
    int64_t chunk;
    const float *x, *h0, *c0;
    float *y, *hn, *cn;
    const uint8_t *packed;
    uint8_t *x_split, *x_fits; /* [unit, strip] */
    uint8_t *between[2];       /* y of layers, in turn */
    uint8_t *h, *h_fits;       /* h_fits: [direction, unit], of the first */
    float *gates;              /* [direction, unit, strip of the chunk, block, row, gate, 16] */
    float *state;              /* [direction, unit, block, row, 16]: c, or h of a GRU */
} job;

static int64_t x_steps(const job *j, int64_t layer)
{
    return layer ? j->s.directions * j->h_steps : split_steps(j->s.input);
}

static int64_t all_steps(const job *j, int64_t layer)
{
    return x_steps(j, layer) + j->h_steps;
}

static int64_t strip_bytes(const job *j, int64_t steps)
{
    return steps * j->parts * SPLIT_STEP;
}

static bool has(const tn_problem *p, int in)
{
    return in < p->in_count && p->in[in].dtype != TN_DTYPE_NONE;
}

static float *output(const tn_problem *p, int out)
{
    return out < p->out_count && p->out[out].dtype != TN_DTYPE_NONE ? p->out[out].data : NULL;
}

static void read_job(const tn_problem *p, int parts, job *j)
{
    const tn_recurrent_stack_params *params = p->params;
    *j = (job){.is_gru = params->mode == TN_STACK_GRU,
               .parts = parts,
               .x = p->in[TN_STACK_X].data,
               .y = output(p, TN_STACK_Y),
               .hn = output(p, TN_STACK_HN),
               .cn = output(p, TN_STACK_CN)};
    if (has(p, TN_STACK_H0)) j->h0 = p->in[TN_STACK_H0].data;
    if (has(p, TN_STACK_C0)) j->c0 = p->in[TN_STACK_C0].data;
    tn_recurrent_stack_shape_of(p, &j->s);
    j->blocks = (j->s.hidden + UNIT - 1) / UNIT;
    j->h_steps = split_steps(j->s.hidden);
    j->units = TN_MAX(1, (j->s.batch + UNIT - 1) / UNIT);
    j->rows = TN_MAX(1, (j->s.batch + j->units - 1) / j->units);
    j->pairs = (j->units + 1) / 2;
    j->each = SPLIT_BLOCK / j->rows;
    j->strips = (j->s.seq + j->each - 1) / j->each;
    j->chunk = TN_MAX(1, TN_MIN(CHUNK / j->units, j->strips));
}

static tn_verdict accepts(const tn_problem *p, int parts)
{
    const tn_recurrent_stack_params *params = p->params;
    job j;
    if (p->in[0].dtype != TN_DTYPE_F32) return TN_NO("the operands are not f32");
    for (int i = TN_STACK_WEIGHTS; i < p->in_count; i++)
        if (i >= 64 || !(p->in_constant >> i & 1)) return TN_NO("the weights are not constant");
    bool is_gru = params->mode == TN_STACK_GRU;
    if (is_gru && !params->linear_before_reset) return TN_NO("the reset is not linear");
    if (is_gru && parts > 1 && has(p, TN_STACK_H0)) return TN_NO("h may be too large for parts");
    read_job(p, parts, &j);
    if (j.s.hidden < HIDDEN_MIN) return TN_NO("it has too few units for tiles");
    if (j.s.seq * j.s.batch * j.s.input == 0) return TN_NO("there is nothing to multiply");
    return TN_YES;
}

/* ---- Weights ---------------------------------------------------------------------------------*/

static int64_t spans_of(int64_t steps)
{
    return (steps + SPAN - 1) / SPAN;
}

/* Of a direction: biases [block, gate, 16], panels, whether their spans fit. */
static int64_t bias_bytes(const job *j)
{
    return j->blocks * 4 * UNIT * (int64_t)sizeof(float);
}

static int64_t direction_bytes(const job *j, int64_t layer)
{
    int64_t steps = all_steps(j, layer), panels = 2 * j->blocks;
    int64_t bytes = bias_bytes(j) + panels * (strip_bytes(j, steps) + spans_of(steps));
    return (int64_t)tn_align_up((size_t)bytes, TN_ALIGNMENT);
}

static int64_t packed_before(const job *j, int64_t layer, int64_t d)
{
    int64_t bytes = d * direction_bytes(j, layer);
    if (layer) bytes += j->s.directions * direction_bytes(j, 0);
    return bytes + TN_MAX(layer - 1, 0) * j->s.directions * direction_bytes(j, 1);
}

static size_t packed_size(const tn_problem *p, int parts)
{
    job j;
    read_job(p, parts, &j);
    return (size_t)packed_before(&j, j.s.layers, 0);
}

static uint64_t unused(const tn_problem *p)
{
    uint64_t mask = 0;
    for (int i = TN_STACK_WEIGHTS; i < p->in_count; i++) mask |= UINT64_C(1) << i;
    return mask;
}

/* Those of one direction. */
typedef struct weights {
    const float *w, *r, *b;
    int64_t part, part_steps, input; /* of the layer below's direction; of all */
    int64_t x_lines;
} weights;

/* Gate 2 of a GRU is the candidate's part from x, gate 3 that from h. Line -1 are the biases. */
static float weight_of(const job *j, const weights *from, int64_t line, int64_t gate, int64_t unit)
{
    int64_t h = j->s.hidden, all = j->s.gates * h;
    bool no_x = j->is_gru && gate == 3, no_h = j->is_gru && gate == 2;
    int64_t row = (no_x ? 2 : gate) * h + unit;
    if (unit >= h) return 0;
    if (line < 0) return (no_x ? 0 : from->b[row]) + (no_h ? 0 : from->b[all + row]);
    if (line < from->x_lines) {
        int64_t width = from->part_steps * SPLIT_BLOCK, column = line % width;
        if (no_x || column >= from->part) return 0;
        return from->w[row * from->input + line / width * from->part + column];
    }
    line -= from->x_lines;
    return no_h || line >= h ? 0 : from->r[row * h + line];
}

/* Lines [first, first + count) of a panel's 32 columns. */
static void gather_lines(const job *j, const weights *from, int64_t panel, int64_t first,
                         int64_t count, float *dst)
{
    for (int64_t i = 0; i < count; i++)
        for (int64_t c = 0; c < SPLIT_BLOCK; c++) {
            int64_t gate = panel % 2 * 2 + c / UNIT, unit = panel / 2 * UNIT + c % UNIT;
            float scale = gate < (j->is_gru ? 2 : 3) ? 0.5f : 1;
            *dst++ = weight_of(j, from, first + i, gate, unit) * scale;
        }
}

static bool pack_span(int parts, const float *lines, int64_t count, uint8_t *dst)
{
    if (parts == 1) return split_pack(1, lines, SPLIT_BLOCK, 1, count, SPLIT_BLOCK, dst);
    if (parts == 2) return split_pack(2, lines, SPLIT_BLOCK, 1, count, SPLIT_BLOCK, dst);
    return split_pack(3, lines, SPLIT_BLOCK, 1, count, SPLIT_BLOCK, dst);
}

static void pack_direction(const job *j, const weights *from, int64_t layer, uint8_t *dst)
{
    float lines[SPAN * SPLIT_BLOCK * SPLIT_BLOCK];
    int64_t steps = all_steps(j, layer), panels = 2 * j->blocks;
    for (int64_t panel = 0; panel < panels; panel++, dst += SPLIT_BLOCK * sizeof(float)) {
        gather_lines(j, from, panel, -1, 1, lines);
        memcpy(dst, lines, SPLIT_BLOCK * sizeof(float));
    }
    uint8_t *fits = dst + panels * strip_bytes(j, steps);
    for (int64_t panel = 0; panel < panels; panel++)
        for (int64_t at = 0; at < steps; at += SPAN) {
            int64_t count = TN_MIN(SPAN, steps - at);
            gather_lines(j, from, panel, at * SPLIT_BLOCK, count * SPLIT_BLOCK, lines);
            *fits++ = pack_span(j->parts, lines, count * SPLIT_BLOCK, dst);
            dst += strip_bytes(j, count);
        }
}

static tn_status pack_all(const tn_problem *p, int parts, void *dst)
{
    job j;
    read_job(p, parts, &j);
    memset(dst, 0, (size_t)packed_before(&j, j.s.layers, 0)); /* the padding too */
    for (int64_t layer = 0; layer < j.s.layers; layer++) {
        const tn_tensor *from = p->in + TN_STACK_WEIGHTS + 3 * layer;
        const float *w = from[0].data, *r = from[1].data, *b = from[2].data;
        int64_t input = from[0].dim[2], rows = j.s.gates * j.s.hidden;
        for (int64_t d = 0; d < j.s.directions; d++)
            pack_direction(&j,
                           &(weights){.w = w + d * rows * input,
                                      .r = r + d * rows * j.s.hidden,
                                      .b = b + d * 2 * rows,
                                      .part = layer ? j.s.hidden : input,
                                      .part_steps = layer ? j.h_steps : x_steps(&j, 0),
                                      .input = input,
                                      .x_lines = x_steps(&j, layer) * SPLIT_BLOCK},
                           layer, (uint8_t *)dst + packed_before(&j, layer, d));
    }
    return NULL;
}

/* ---- Memory ----------------------------------------------------------------------------------*/

static void *take(char **at, size_t *bytes, int64_t count)
{
    size_t size = tn_align_up((size_t)count, TN_ALIGNMENT);
    void *out = *at;
    *bytes += size;
    if (*at) *at += size;
    return out;
}

/* Cuts the scratch into pieces; counts bytes where there is none. */
static size_t cut_scratch(job *j, char *at)
{
    size_t bytes = 0;
    int64_t units = j->s.directions * j->units, strips = j->units * j->strips;
    j->x_split = take(&at, &bytes, strips * strip_bytes(j, x_steps(j, 0)));
    j->x_fits = take(&at, &bytes, strips);
    for (int i = 0; i < 2; i++)
        if (j->s.layers > 1 + i)
            j->between[i] = take(&at, &bytes, strips * strip_bytes(j, x_steps(j, 1)));
    j->h = take(&at, &bytes, 2 * j->s.directions * j->pairs * strip_bytes(j, j->h_steps));
    j->h_fits = take(&at, &bytes, units);
    int64_t gates = j->chunk * j->blocks * BLOCK_FLOATS * (int64_t)sizeof(float);
    j->gates = take(&at, &bytes, units * gates);
    j->state = take(&at, &bytes, units * j->blocks * UNIT * UNIT * (int64_t)sizeof(float));
    return bytes;
}

static size_t scratch_size(const tn_problem *p, int parts)
{
    job j;
    read_job(p, parts, &j);
    return cut_scratch(&j, NULL);
}

/* ---- Products --------------------------------------------------------------------------------*/

/* One direction of one layer. */
typedef struct direction {
    const job *j;
    int64_t d, x_steps, steps; /* of k: of W, of W and R */
    const float *bias;
    const uint8_t *panels, *fits;
    const uint8_t *x, *x_fits; /* x_fits NULL: they do */
    uint8_t *words;            /* y for the layer above, or NULL */
    const float *h0, *c0;
    float *y, *hn, *cn; /* y: of the last layer */
} direction;

/* Rows of a strip as they came, of `count` numbers; row[i] NULL: none. */
typedef struct originals {
    const float *row[SPLIT_BLOCK];
    int64_t count;
} originals;

/* In f32, where either side does not fit: rare, so it need not be fast. */
static void multiply_plain(const direction *l, int64_t rows, int64_t first, int64_t steps,
                           const uint8_t *a, const originals *from, const uint8_t *b,
                           const uint8_t *fits, float *c)
{
    int parts = l->j->parts;
    for (int64_t s = 0; s < steps; s++) {
        float block[SPLIT_BLOCK * SPLIT_BLOCK] = {0};
        for (int64_t i = 0; i < rows; i++) {
            float *to = block + i * SPLIT_BLOCK;
            int64_t k = s * SPLIT_BLOCK;
            if (!from)
                split_join_row(parts, true, a + strip_bytes(l->j, s) + i * 2 * SPLIT_BLOCK, to);
            else if (from->row[i])
                memcpy(to, from->row[i] + k,
                       (size_t)TN_MIN(SPLIT_BLOCK, from->count - k) * sizeof(float));
        }
        split_plain(parts, fits[(first + s) / SPAN], rows, SPLIT_BLOCK, block, SPLIT_BLOCK,
                    b + strip_bytes(l->j, s), c, 4 * UNIT, s > 0);
    }
}

/* c[rows, 32], rows 16 or 32 = rows in parts * steps [first, first + steps) of a panel. from: of
 * rows that do not fit, else NULL. */
static void multiply(const direction *l, int64_t rows, int64_t first, int64_t steps,
                     const uint8_t *a, const originals *from, int64_t panel, float *c,
                     split_next next)
{
    int parts = l->j->parts;
    const uint8_t *b = l->panels + strip_bytes(l->j, panel * l->steps + first);
    const uint8_t *fits = l->fits + panel * spans_of(l->steps);
    bool all = !from;
    for (int64_t i = first / SPAN; parts > 1 && i < spans_of(first + steps); i++) all &= fits[i];
    if (parts == 1) split_multiply(1, rows, steps, a, b, c, 4 * UNIT, false, next);
    else if (!all) multiply_plain(l, rows, first, steps, a, from, b, fits, c);
    else if (parts == 2) split_multiply(2, rows, steps, a, b, c, 4 * UNIT, false, next);
    else split_multiply(3, rows, steps, a, b, c, 4 * UNIT, false, next);
}

/* ---- x W -------------------------------------------------------------------------------------*/

static int64_t rows_of(const job *j, int64_t unit)
{
    return TN_MIN(j->rows, j->s.batch - unit * j->rows);
}

/* Row `row` of a strip of x; NULL: there is none. */
static const float *x_row(const job *j, int64_t unit, int64_t strip, int64_t row)
{
    int64_t t = strip * j->each + row / j->rows, r = row % j->rows;
    if (row >= j->each * j->rows || t >= j->s.seq || r >= rows_of(j, unit)) return NULL;
    return j->x + t * j->s.x_time + (unit * j->rows + r) * j->s.x_batch;
}

/* Strips of x; units of work are those of all units. */
SIMD_INLINE void split_x(int parts, const job *j, int64_t begin, int64_t end)
{
    for (int64_t at = begin; at < end; at++) {
        uint8_t *dst = j->x_split + at * strip_bytes(j, x_steps(j, 0));
        bool fits = true;
        for (int64_t row = 0; row < SPLIT_BLOCK; row++, dst += 2 * SPLIT_BLOCK) {
            const float *x = x_row(j, at / j->strips, at % j->strips, row);
            fits &= split_fits(split_row(parts, true, x != NULL, x, j->s.input, dst));
        }
        j->x_fits[at] = fits;
    }
}

static tn_status split_share(void *arg, int64_t begin, int64_t end, int thread)
{
    const job *j = arg;
    (void)thread;
    if (j->parts == 1) split_x(1, j, begin, end);
    else if (j->parts == 2) split_x(2, j, begin, end);
    else split_x(3, j, begin, end);
    return NULL;
}

static float *gates_of(const direction *l, int64_t unit, int64_t strip)
{
    const job *j = l->j;
    int64_t at = (l->d * j->units + unit) * j->chunk + strip % j->chunk;
    return j->gates + at * j->blocks * BLOCK_FLOATS;
}

/* x W of strips [first, last) of units [begin, end). */
static void project(const direction *l, int64_t begin, int64_t end, int64_t first, int64_t last)
{
    const job *j = l->j;
    originals from = {.count = j->s.input};
    int64_t strips = last - first, count = (end - begin) * strips;
    for (int64_t panel = 0; panel < 2 * j->blocks; panel++) {
        const uint8_t *next = l->panels + strip_bytes(j, (panel + 1) * l->steps);
        for (int64_t i = 0; i < count; i++) {
            int64_t unit = begin + i / strips, strip = first + i % strips;
            int64_t at = unit * j->strips + strip;
            int64_t rows = TN_MIN(j->each, j->s.seq - strip * j->each) * j->rows;
            bool fits = !l->x_fits || l->x_fits[at];
            for (int64_t r = 0; r < SPLIT_BLOCK && !fits; r++)
                from.row[r] = x_row(j, unit, strip, r);
            float *to = gates_of(l, unit, strip) + panel / 2 * BLOCK_FLOATS;
            multiply(l, rows > UNIT ? SPLIT_BLOCK : UNIT, 0, l->x_steps,
                     l->x + at * strip_bytes(j, l->x_steps), fits ? NULL : &from, panel,
                     to + panel % 2 * SPLIT_BLOCK,
                     split_next_of(j->parts, next, l->x_steps, i, count));
        }
    }
}

/* ---- Steps -----------------------------------------------------------------------------------*/

/* A step: its number in the order of its direction, and its time. */
typedef struct moment {
    int64_t index, t;
} moment;

/* The rows of a unit before step `index`. */
static uint8_t *h_of(const direction *l, int64_t unit, int64_t index)
{
    const job *j = l->j;
    int64_t strip = 2 * (l->d * j->pairs + unit / 2) + index % 2;
    return j->h + strip * strip_bytes(j, j->h_steps) + unit % 2 * SPLIT_TILE;
}

static float *state_of(const direction *l, int64_t unit, int64_t block)
{
    const job *j = l->j;
    return j->state + ((l->d * j->units + unit) * j->blocks + block) * UNIT * UNIT;
}

/* h as parts, behind which the last block leaves zeros. */
SIMD_INLINE void store_parts(int parts, const vu32 part[3], bool pad, uint8_t *to)
{
    for (int q = 0; q < parts; q++, to += SPLIT_STEP) {
        __m256i low = _mm512_cvtepi32_epi16((__m512i)(part[q] >> 16));
        memcpy(to, &low, sizeof low);
        if (pad) memset(to + sizeof low, 0, sizeof low);
    }
}

/* The cells of a block and a unit. product: h R, or NULL. */
SIMD_INLINE void run_cell(int parts, bool is_gru, const direction *l, const moment *m, int64_t unit,
                          int64_t block, const float *product)
{
    const job *j = l->j;
    int64_t first = block * UNIT, count = TN_MIN(UNIT, j->s.hidden - first), b = unit * j->rows;
    int64_t strip = m->t / j->each, row = m->t % j->each * j->rows;
    int64_t at = strip_bytes(j, block / 2) + block % 2 * UNIT * 2;
    bool pad = block % 2 == 0 && block + 1 == j->blocks, is_last = m->index + 1 == j->s.seq;
    const float *ready = gates_of(l, unit, strip) + block * BLOCK_FLOATS + row * 4 * UNIT;
    float *state = state_of(l, unit, block);
    uint8_t *h_to = h_of(l, unit, m->index + 1) + at, *words = l->words;
    if (words)
        words += (unit * j->strips + strip) * strip_bytes(j, x_steps(j, 1)) +
                 strip_bytes(j, l->d * j->h_steps) + at + row * 2 * SPLIT_BLOCK;
    vf32 bias[4];
    for (int v = 0; v < 4; v++) bias[v] = vf32_load(l->bias + (block * 4 + v) * UNIT);
    for (int64_t r = 0; r < rows_of(j, unit); r++, b++) {
        vf32 gate[4], old = vf32_load(state + r * UNIT);
        for (int v = 0; v < 4; v++) {
            gate[v] = bias[v] + vf32_load(ready + (r * 4 + v) * UNIT);
            if (product) gate[v] += vf32_load(product + (r * 4 + v) * UNIT);
        }
        vf32 h = stack_cell(is_gru, gate, &old);
        vf32_store(state + r * UNIT, old);
        vu32 part[3];
        split_all(parts,
                  parts > 1 ? vf32_select((vi32)(h != h), vf32_set1(__builtin_nanf("")), h) : h,
                  part);
        store_parts(parts, part, pad, h_to + r * 2 * SPLIT_BLOCK);
        if (words) store_parts(parts, part, pad, words + r * 2 * SPLIT_BLOCK);
        if (l->y) vf32_store_some(l->y + m->t * j->s.y_time + b * j->s.y_batch + first, h, count);
        if (is_last && l->hn) vf32_store_some(l->hn + b * j->s.hidden + first, h, count);
        if (is_last && l->cn) vf32_store_some(l->cn + b * j->s.hidden + first, old, count);
    }
}

#define RUN_CELL(parts) run_cell(parts, false, l, m, unit, block, product)
static __attribute__((noinline)) void run_lstm(const direction *l, const moment *m, int64_t unit,
                                               int64_t block, const float *product)
{
    if (l->j->parts == 1) RUN_CELL(1);
    else if (l->j->parts == 2) RUN_CELL(2);
    else RUN_CELL(3);
}
#undef RUN_CELL
#define RUN_CELL(parts) run_cell(parts, true, l, m, unit, block, product)
static __attribute__((noinline)) void run_gru(const direction *l, const moment *m, int64_t unit,
                                              int64_t block, const float *product)
{
    if (l->j->parts == 1) RUN_CELL(1);
    else if (l->j->parts == 2) RUN_CELL(2);
    else RUN_CELL(3);
}
#undef RUN_CELL

/* A block of `count` units, 1 or 2 of a pair. */
static void run_block(const direction *l, const moment *m, int64_t unit, int64_t count,
                      int64_t block)
{
    const job *j = l->j;
    _Alignas(TN_ALIGNMENT) float product[BLOCK_FLOATS];
    bool has_h = m->index || l->h0;
    originals from = {.count = j->s.hidden};
    bool fits = m->index || !l->h0 || j->h_fits[l->d * j->units + unit];
    for (int64_t r = 0; r < rows_of(j, unit) && !fits; r++)
        from.row[r] = l->h0 + (unit * j->rows + r) * j->s.hidden;
    for (int64_t i = 0; i < 2 && has_h; i++)
        multiply(l, count * UNIT, l->x_steps, j->h_steps, h_of(l, unit, m->index),
                 fits ? NULL : &from, 2 * block + i, product + i * SPLIT_BLOCK, (split_next){0});
    for (int64_t i = 0; i < count; i++) {
        const float *at = has_h ? product + i * UNIT * 4 * UNIT : NULL;
        if (j->is_gru) run_gru(l, m, unit + i, block, at);
        else run_lstm(l, m, unit + i, block, at);
    }
}

/* The first h may fit for one unit of a pair alone. */
static void run_step(const direction *l, const moment *m, int64_t begin, int64_t end)
{
    bool in_pairs = m->index || !l->h0;
    for (int64_t block = 0; block < l->j->blocks; block++)
        for (int64_t unit = begin, count; unit < end; unit += count) {
            count = in_pairs && unit % 2 == 0 && unit + 1 < end ? 2 : 1;
            run_block(l, m, unit, count, block);
        }
}

SIMD_INLINE bool split_h0(int parts, const float *h0, int64_t count, uint8_t *dst)
{
    return split_fits(split_row(parts, true, true, h0, count, dst));
}

/* h and the state before the first step. */
static void start_unit(const direction *l, int64_t unit)
{
    const job *j = l->j;
    const float *from = j->is_gru ? l->h0 : l->c0;
    int64_t h = j->s.hidden, b = unit * j->rows;
    uint8_t *dst = h_of(l, unit, 0);
    bool fits = true;
    for (int64_t r = 0; r < rows_of(j, unit); r++, b++, dst += 2 * SPLIT_BLOCK) {
        for (int64_t block = 0; block < j->blocks; block++) {
            vf32 state = {0};
            int64_t at = block * UNIT;
            if (from) state = vf32_load_some(from + b * h + at, TN_MIN(UNIT, h - at));
            vf32_store(state_of(l, unit, block) + r * UNIT, state);
        }
        if (!l->h0) continue;
        if (j->parts == 1) split_h0(1, l->h0 + b * h, h, dst);
        else if (j->parts == 2) fits &= split_h0(2, l->h0 + b * h, h, dst);
        else fits &= split_h0(3, l->h0 + b * h, h, dst);
    }
    j->h_fits[l->d * j->units + unit] = fits;
}

/* All steps of units [begin, end). */
static void run_units(const direction *l, int64_t begin, int64_t end)
{
    const job *j = l->j;
    int64_t chunks = (j->strips + j->chunk - 1) / j->chunk, index = 0;
    for (int64_t unit = begin; unit < end; unit++) start_unit(l, unit);
    for (int64_t i = 0; i < chunks; i++) {
        int64_t first = (l->d ? chunks - 1 - i : i) * j->chunk;
        int64_t last = TN_MIN(first + j->chunk, j->strips);
        project(l, begin, end, first, last);
        int64_t from = first * j->each, to = TN_MIN(last * j->each, j->s.seq);
        for (int64_t t = from; t < to; t++, index++)
            run_step(l, &(moment){index, l->d ? from + to - 1 - t : t}, begin, end);
    }
}

static void run_layer(const job *j, int64_t number, int64_t d, int64_t begin, int64_t end)
{
    const tn_recurrent_stack_shape *s = &j->s;
    int64_t state = (number * s->directions + d) * s->batch * s->hidden;
    bool is_last = number == s->layers - 1;
    direction l = {.j = j,
                   .d = d,
                   .x_steps = x_steps(j, number),
                   .steps = all_steps(j, number),
                   .x = number ? j->between[(number - 1) % 2] : j->x_split,
                   .x_fits = number ? NULL : j->x_fits,
                   .words = is_last ? NULL : j->between[number % 2],
                   .h0 = j->h0 ? j->h0 + state : NULL,
                   .c0 = j->c0 ? j->c0 + state : NULL,
                   .hn = j->hn ? j->hn + state : NULL,
                   .cn = j->cn ? j->cn + state : NULL,
                   .y = is_last && j->y ? j->y + d * s->hidden : NULL};
    const uint8_t *packed = j->packed + packed_before(j, number, d);
    l.bias = (const float *)(const void *)packed;
    l.panels = packed + bias_bytes(j);
    l.fits = l.panels + 2 * j->blocks * strip_bytes(j, l.steps);
    for (int64_t at = begin; at < end; at += GROUP) run_units(&l, at, TN_MIN(at + GROUP, end));
}

/* ---- Threads ---------------------------------------------------------------------------------*/

/* Units [begin, end) through all layers. */
static tn_status run_rows(void *arg, int64_t begin, int64_t end, int thread)
{
    const job *j = arg;
    (void)thread;
    split_begin();
    for (int64_t layer = 0; layer < j->s.layers; layer++)
        for (int64_t d = 0; d < j->s.directions; d++) run_layer(j, layer, d, begin, end);
    split_end();
    return NULL;
}

typedef struct layer_job {
    const job *j;
    int64_t layer;
} layer_job;

/* Units of the first direction, then those of the second. */
static tn_status run_directions(void *arg, int64_t begin, int64_t end, int thread)
{
    const layer_job *l = arg;
    int64_t units = l->j->units;
    (void)thread;
    split_begin();
    for (int64_t d = 0; d < l->j->s.directions; d++) {
        int64_t from = TN_MAX(begin, d * units), to = TN_MIN(end, (d + 1) * units);
        if (from < to) run_layer(l->j, l->layer, d, from - d * units, to - d * units);
    }
    split_end();
    return NULL;
}

/* A step of a unit and a direction. */
static double step_ns(const job *j)
{
    double products = (double)(2 * j->blocks) * (double)all_steps(j, j->s.layers > 1);
    return products * split_block_ns(j->parts) / 2 + STACK_CELL_NS * (double)(j->blocks * j->rows);
}

/* Of all units: x W by strips, h R by pairs, whose weights come from near or from far each step,
 * and cells. */
static double estimate(const tn_problem *p, int parts)
{
    job j;
    read_job(p, parts, &j);
    double panels = (double)(2 * j.blocks * j.s.directions), steps = 0;
    for (int64_t layer = 0; layer < j.s.layers; layer++) steps += (double)x_steps(&j, layer);
    double x = panels * steps * (double)(j.units * j.strips);
    double h = panels * (double)(j.s.layers * j.h_steps) * (double)(j.pairs * j.s.seq);
    double cells = (double)(j.s.layers * j.s.directions * j.s.seq * j.blocks) * (double)j.s.batch;
    double block = split_block_ns(parts), far = parts * SPLIT_STEP / COST_BYTES_NS;
    bool is_near = 2 * j.blocks * strip_bytes(&j, j.h_steps) <= COST_L2_BYTES;
    return 300 + x * block + h * (is_near ? block : TN_MAX(block, far)) + cells * STACK_CELL_NS;
}

static tn_status run(const tn_launch *l, int parts)
{
    job j;
    read_job(l->problem, parts, &j);
    const tn_recurrent_stack_shape *s = &j.s;
    j.packed = l->packed;
    cut_scratch(&j, l->scratch);
    double ns = (double)(SPLIT_BLOCK * s->input) * SPLIT_NS, step = step_ns(&j);
    TN_TRY(tn_pool_run(l->pool, j.units * j.strips, 1 + (int64_t)(GRAIN_NS / (1 + ns)), split_share,
                       &j));
    double each = step * (double)s->seq;
    if (s->directions == 1 || step * (double)j.units < LONG_STEP_NS) {
        int64_t grain = 1 + (int64_t)(GRAIN_NS / (each * (double)(s->layers * s->directions)));
        return tn_pool_run(l->pool, j.units, grain, run_rows, &j);
    }
    for (int64_t layer = 0; layer < s->layers; layer++)
        TN_TRY(tn_pool_run(l->pool, s->directions * j.units, 1 + (int64_t)(GRAIN_NS / each),
                           run_directions, &(layer_job){&j, layer}));
    return NULL;
}

#define PARTS(n)                                                                                   \
    static tn_verdict accepts_##n(const tn_problem *p)                                             \
    {                                                                                              \
        return accepts(p, n);                                                                      \
    }                                                                                              \
    static size_t packed_bytes_##n(const tn_problem *p)                                            \
    {                                                                                              \
        return packed_size(p, n);                                                                  \
    }                                                                                              \
    static size_t scratch_bytes_##n(const tn_problem *p)                                           \
    {                                                                                              \
        return scratch_size(p, n);                                                                 \
    }                                                                                              \
    static double estimate_ns_##n(const tn_problem *p)                                             \
    {                                                                                              \
        return estimate(p, n);                                                                     \
    }                                                                                              \
    static tn_status pack_##n(const tn_problem *p, void *dst)                                      \
    {                                                                                              \
        return pack_all(p, n, dst);                                                                \
    }                                                                                              \
    static tn_status launch_##n(const tn_launch *l)                                                \
    {                                                                                              \
        return run(l, n);                                                                          \
    }
PARTS(1)
PARTS(2)
PARTS(3)

#define TACTIC(n, class_text, class)                                                               \
    {                                                                                              \
        .name = "cpu.recurrentstack." class_text ".tiles_" #n "." TN_VARIANT_TEXT,                 \
        .op = "RecurrentStack", .revision = 2, .precision = class, .accepts = accepts_##n,         \
        .scratch_bytes = scratch_bytes_##n, .estimate_ns = estimate_ns_##n,                        \
        .packed_bytes = packed_bytes_##n, .pack = pack_##n, .unused = unused,                      \
        .launch = launch_##n,                                                                      \
    }
extern const tn_tactic TN_VARIANT_NAME(tn_cpu_recurrent_tiles)[];
const tn_tactic TN_VARIANT_NAME(tn_cpu_recurrent_tiles)[] = {
    TACTIC(1, "bf16", TN_PRECISION_BF16),
    TACTIC(2, "tf32", TN_PRECISION_TF32),
    TACTIC(3, "f32", TN_PRECISION_F32),
    {0},
};
