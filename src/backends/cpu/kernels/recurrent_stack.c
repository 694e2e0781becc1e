/* RecurrentStack in f32, all layers in one launch. How gates lie in vectors: recurrent_tile.h.
 *
 * Packed, in the order of use: [layer, direction, group]: the biases, W, R; lines of the group's
 * vectors. One packing serves every T and B. Where words are pairs of bf16, so are weights, x and
 * each h that is multiplied; biases, sums, states and results stay floats.
 *
 * A step adds x W and h R onto the biases in registers and runs the cell. Where few rows take many
 * steps, x W of a chunk of steps comes first, as one product over all their rows, and the steps add
 * h R to that: W is then read once a chunk. The sums are the same to the bit.
 *
 * Layers hand on their outputs through scratch, where a direction's units are padded to whole
 * vectors. h of the step before is read where it was written for the layer above.
 *
 * Rows never meet: threads take rows through the whole stack. Only where a step of one direction is
 * long and there are two, the directions of a layer are worked on side by side, layer by layer. */
#include "backends/cpu/kernels/conv_cost.h"
#include "backends/cpu/kernels/recurrent_tile.h"
#include "backends/cpu/variant.h"
#include "base/cpu.h"
#include "device/device.h"
#include "ops/recurrent_stack/recurrent_stack.h"

enum { CHUNK_ROWS = 64 };    /* whose x W is computed at once */
enum { FEW_ROWS = 3 };       /* fewer than these wait for the loads of weights */
enum { GRAIN = 500000 };     /* multiply-adds worth a thread: waking one costs as much as 70 us */
enum { LONG_STEP = 100000 }; /* multiply-adds of one direction's step: some 2 us */
enum { NEAR = 128 * 1024 };  /* bytes of weights that stay near the core from step to step */
enum { QUARTER = VF32_LANES / 4 };
enum { PARTS_MAX = 3 }; /* x of two directions, h */

/* How H units and their gates lie in vectors. */
typedef struct layout {
    int64_t hidden, padded; /* units; lanes of whole vectors */
    int64_t blocks, groups, vectors;
    int tail;  /* vectors of the tail: 0, 1, 2 */
    int apart; /* of a group: vectors that only one of the products has, x's first, h's last */
} layout;

static layout layout_of(int64_t hidden, bool is_gru)
{
    int64_t rest = hidden % VF32_LANES;
    layout g = {.hidden = hidden, .blocks = hidden / VF32_LANES};
    if (rest > 2 * QUARTER) g.blocks++;
    else if (rest) g.tail = rest > QUARTER ? 2 : 1;
    g.padded = (hidden + VF32_LANES - 1) / VF32_LANES * VF32_LANES;
    g.groups = TN_MAX(g.blocks, 1);
    g.vectors = 4 * g.blocks + g.tail;
    g.apart = is_gru && g.blocks;
    return g;
}

static int vectors_of(const layout *g, int64_t group)
{
    return (group < g->blocks ? 4 : 0) + (group == g->groups - 1 ? g->tail : 0);
}

/* Floats before a group whose lines of words are `words`, besides the line of biases. */
static int64_t before_group(const layout *g, int64_t group, int64_t words)
{
    return group * (4 + (4 - g->apart) * words) * VF32_LANES;
}

/* The gate and the unit of a lane of one of the group's vectors; the unit is beyond the last where
 * the lane is padding. */
static int64_t unit_of(const layout *g, int64_t group, int vector, int lane, int *gate)
{
    int last = vectors_of(g, group) - 1, block = 4 - g->apart, width = QUARTER * g->tail;
    if (group < g->blocks) {
        static const int apart[] = {2, 0, 1};
        *gate = !g->apart ? vector : vector == last ? 3 : vector < 3 ? apart[vector] : 0;
        if (vector < block || (g->apart && vector == last)) return group * VF32_LANES + lane;
        vector -= block;
    }
    *gate = vector * 2 + lane / width;
    return g->blocks * VF32_LANES + lane % width;
}

typedef struct job {
    tn_recurrent_stack_shape s;
    layout g;
    bool is_gru, is_split;
    int64_t chunk;       /* steps */
    int64_t groups_near; /* whose weights stay near the core */
    const float *x, *h0, *c0, *packed;
    float *y, *hn, *cn;
    float *gates;              /* [direction, row, step of the chunk, vectors]: x W + b */
    float *state;              /* [direction, row, padded]: c, or h of a GRU */
    float *between[2];         /* [time, row, direction, padded]: y of layers as words, in turn */
    float *x_words, *h0_words; /* where words are not floats: these as words, */
    float *h;                  /* and [direction, row, padded]: what no y takes up */
} job;

static bool has(const tn_problem *p, int in)
{
    return in < p->in_count && p->in[in].dtype != TN_DTYPE_NONE;
}

static tn_verdict accepts(const tn_problem *p)
{
    const tn_recurrent_stack_params *params = p->params;
    if (p->in[0].dtype != TN_DTYPE_F32) return TN_NO("the operands are not f32");
    for (int i = TN_STACK_WEIGHTS; i < p->in_count; i++)
        if (i >= 64 || !(p->in_constant >> i & 1)) return TN_NO("the weights are not constant");
    if (params->mode == TN_STACK_GRU && !params->linear_before_reset)
        return TN_NO("the reset is not linear");
    return TN_YES;
}

/* ---- Weights ---------------------------------------------------------------------------------*/

/* Lines of words of a group: those of W and those of R. */
static int64_t lines_of(const tn_recurrent_stack_shape *s, int64_t layer)
{
    int64_t hidden = stack_words(s->hidden);
    return (layer ? s->directions * hidden : stack_words(s->input)) + hidden;
}

/* Floats before those of a direction of a layer. */
static int64_t packed_before(const tn_recurrent_stack_shape *s, const layout *g, int64_t layer,
                             int64_t d)
{
    int64_t words = layer ? s->directions * (lines_of(s, 0) + (layer - 1) * lines_of(s, 1)) : 0;
    words = (words + d * lines_of(s, layer)) * (g->vectors - g->apart * g->groups);
    return (words + (layer * s->directions + d) * g->vectors) * VF32_LANES;
}

static size_t packed_bytes(const tn_problem *p)
{
    tn_recurrent_stack_shape s;
    tn_recurrent_stack_shape_of(p, &s);
    layout g = layout_of(s.hidden, s.gates == 3);
    return (size_t)packed_before(&s, &g, s.layers, 0) * sizeof(float);
}

static uint64_t unused(const tn_problem *p)
{
    uint64_t mask = 0;
    for (int i = TN_STACK_WEIGHTS; i < p->in_count; i++) mask |= UINT64_C(1) << i;
    return mask;
}

/* GRU: gate 2 is the candidate's part from x, gate 3 that from h. x comes in parts. */
typedef struct weights {
    const float *w, *r, *b; /* of one direction */
    int64_t parts, part, hidden;
    bool is_gru;
} weights;

/* Line 0 is that of the biases; of the others this is number `half` of a word. */
static float weight_of(const weights *from, int64_t line, int half, int gate, int64_t unit)
{
    int64_t h = from->hidden, rows = (from->is_gru ? 3 : 4) * h, input = from->parts * from->part;
    bool no_x = from->is_gru && gate == 3, no_h = from->is_gru && gate == 2;
    int64_t row = (no_x ? 2 : gate) * h + unit, words = stack_words(from->part);
    if (line == 0) return (no_x ? 0 : from->b[row]) + (no_h ? 0 : from->b[rows + row]);
    line--;
    if (line < from->parts * words) {
        int64_t column = line % words * STACK_PAIR + half;
        if (no_x || column >= from->part) return 0;
        return from->w[row * input + line / words * from->part + column];
    }
    int64_t column = (line - from->parts * words) * STACK_PAIR + half;
    return no_h || column >= h ? 0 : from->r[row * h + column];
}

/* Vector v of a line of a group. */
static void pack_vector(const layout *g, const weights *from, int64_t group, int64_t line, int v,
                        float *dst)
{
    float half[2][VF32_LANES] = {{0}};
    for (int lane = 0; lane < VF32_LANES; lane++) {
        int gate;
        int64_t unit = unit_of(g, group, v, lane, &gate);
        bool is_sigmoid = gate < (from->is_gru ? 2 : 3);
        for (int i = 0; i < STACK_PAIR && unit < g->hidden; i++)
            half[i][lane] = weight_of(from, line, i, gate, unit) * (is_sigmoid ? 0.5f : 1);
    }
    if (line) stack_line(dst, half[0], half[1]);
    else memcpy(dst, half[0], sizeof half[0]);
}

static float *pack_direction(const layout *g, const weights *from, float *dst)
{
    int64_t of_x = from->parts * stack_words(from->part), of_h = stack_words(from->hidden);
    for (int64_t group = 0; group < g->groups; group++)
        for (int64_t line = 0; line <= of_x + of_h; line++) {
            bool is_x = line && line <= of_x, is_h = line > of_x;
            int end = vectors_of(g, group) - (is_x ? g->apart : 0);
            for (int v = is_h ? g->apart : 0; v < end; v++, dst += VF32_LANES)
                pack_vector(g, from, group, line, v, dst);
        }
    return dst;
}

static tn_status pack(const tn_problem *p, void *packed)
{
    const tn_recurrent_stack_params *params = p->params;
    tn_recurrent_stack_shape s;
    tn_recurrent_stack_shape_of(p, &s);
    layout g = layout_of(s.hidden, s.gates == 3);
    float *dst = packed;
    for (int64_t layer = 0; layer < s.layers; layer++) {
        const tn_tensor *from = p->in + TN_STACK_WEIGHTS + 3 * layer;
        const float *w = from[0].data, *r = from[1].data, *b = from[2].data;
        int64_t input = from[0].dim[2], rows = s.gates * s.hidden;
        for (int64_t d = 0; d < s.directions; d++)
            dst = pack_direction(&g,
                                 &(weights){.w = w + d * rows * input,
                                            .r = r + d * rows * s.hidden,
                                            .b = b + d * 2 * rows,
                                            .parts = layer ? s.directions : 1,
                                            .part = layer ? s.hidden : input,
                                            .hidden = s.hidden,
                                            .is_gru = params->mode == TN_STACK_GRU},
                                 dst);
    }
    return NULL;
}

/* ---- Memory ----------------------------------------------------------------------------------*/

static float *take(char **at, size_t *bytes, int64_t count)
{
    size_t size = tn_align_up((size_t)count * sizeof(float), TN_ALIGNMENT);
    float *out = (float *)(void *)*at;
    *bytes += size;
    if (*at) *at += size;
    return out;
}

/* Cuts the scratch into pieces; counts bytes where there is none. */
static size_t cut_scratch(job *j, bool keeps_y, char *at)
{
    const tn_recurrent_stack_shape *s = &j->s;
    size_t bytes = 0;
    int64_t rows = s->directions * s->batch, y = s->seq * rows * stack_words(j->g.padded);
    if (j->is_split) j->gates = take(&at, &bytes, rows * j->chunk * j->g.vectors * VF32_LANES);
    j->state = take(&at, &bytes, rows * j->g.padded);
    for (int i = 0; i < 2; i++)
        if (s->layers > 1 + i || !keeps_y || STACK_PAIR > 1) j->between[i] = take(&at, &bytes, y);
    if (STACK_PAIR == 1) return bytes;
    j->x_words = take(&at, &bytes, s->seq * s->batch * stack_words(s->input));
    j->h0_words = take(&at, &bytes, s->layers * rows * stack_words(s->hidden));
    j->h = take(&at, &bytes, rows * j->g.padded);
    return bytes;
}

static float *output(const tn_problem *p, int out)
{
    return out < p->out_count && p->out[out].dtype != TN_DTYPE_NONE ? p->out[out].data : NULL;
}

static bool wants(const tn_problem *p, int out)
{
    return out < p->out_count && p->out[out].dtype != TN_DTYPE_NONE;
}

static void read_job(const tn_problem *p, job *out)
{
    const tn_recurrent_stack_params *params = p->params;
    *out = (job){.is_gru = params->mode == TN_STACK_GRU,
                 .x = p->in[TN_STACK_X].data,
                 .y = output(p, TN_STACK_Y),
                 .hn = output(p, TN_STACK_HN),
                 .cn = output(p, TN_STACK_CN)};
    if (has(p, TN_STACK_H0)) out->h0 = p->in[TN_STACK_H0].data;
    if (has(p, TN_STACK_C0)) out->c0 = p->in[TN_STACK_C0].data;
    tn_recurrent_stack_shape_of(p, &out->s);
    out->g = layout_of(out->s.hidden, out->is_gru);
    const tn_recurrent_stack_shape *s = &out->s;
    int64_t steps = CHUNK_ROWS / TN_MAX(s->batch, 1);
    bool is_far =
        (1 + lines_of(s, s->layers > 1)) * out->g.vectors * VF32_LANES * (int64_t)sizeof(float) >
        NEAR;
    out->is_split = steps > 1 && s->seq > 1 && (is_far || s->batch < FEW_ROWS);
    int64_t group = before_group(&out->g, 1, lines_of(s, 1)) * (int64_t)sizeof(float);
    out->groups_near = TN_MAX(NEAR / group, 1);
    out->chunk = out->is_split ? TN_MIN(steps, s->seq) : 1;
}

static size_t scratch_bytes(const tn_problem *p)
{
    job j;
    read_job(p, &j);
    return cut_scratch(&j, wants(p, TN_STACK_Y), NULL);
}

/* ---- A layer ---------------------------------------------------------------------------------*/

/* Where the y of a layer is: at + t * time + row * batch + d * direction + unit, or word. */
typedef struct view {
    float *at;
    int64_t time, batch, direction;
} view;

/* A step: its number in the order of its direction, and its time. If x W + b of a chunk of `steps`
 * is there, this one's is number `step`. */
typedef struct moment {
    int64_t index, t, step, steps;
} moment;

/* A thread's rows [begin, end), `tile` at once. */
typedef struct share {
    int64_t begin, end, tile;
} share;

/* One direction of one layer for some rows. */
typedef struct run {
    const job *j;
    int64_t d, begin, end, tile;
    const float *x;
    int64_t x_time, x_batch, x_part, x_parts, x_direction; /* x_part: columns side by side */
    const float *packed, *h0, *c0, *h0_words;
    float *hn, *cn;
    view y, words; /* the same memory where words are floats */
    float *state;
    int64_t lines; /* of W */
    int64_t all;   /* of W and R */
} run;

static int64_t tile_most(const layout *g)
{
    if (!g->blocks) return STACK_ROWS;
    return g->tail ? STACK_WIDE_ROWS : STACK_BLOCK_ROWS;
}

/* As many as the fewest tiles need, so that the last one is about as large. */
static int64_t even_tile(int64_t rows, int64_t most)
{
    int64_t tiles = (rows + most - 1) / most;
    return (rows + tiles - 1) / tiles;
}

static share share_of(const layout *g, int64_t begin, int64_t end)
{
    return (share){begin, end, even_tile(end - begin, tile_most(g))};
}

static bool is_y(const job *j, int64_t layer)
{
    return layer == j->s.layers - 1 && j->y;
}

static view words_of(const job *j, int64_t layer)
{
    const tn_recurrent_stack_shape *s = &j->s;
    int64_t padded = stack_words(j->g.padded), row = s->directions * padded;
    if (STACK_PAIR == 1 && is_y(j, layer)) return (view){j->y, s->y_time, s->y_batch, s->hidden};
    return (view){j->between[layer % 2], s->batch * row, row, padded};
}

static view floats_of(const job *j, int64_t layer)
{
    const tn_recurrent_stack_shape *s = &j->s;
    if (STACK_PAIR == 1) return words_of(j, layer);
    if (is_y(j, layer)) return (view){j->y, s->y_time, s->y_batch, s->hidden};
    return (view){j->h, 0, j->g.padded, s->batch * j->g.padded};
}

static void set_x(const job *j, int64_t layer, run *u)
{
    const tn_recurrent_stack_shape *s = &j->s;
    u->x_parts = 1;
    if (layer == 0) {
        u->x = STACK_PAIR == 1 ? j->x : j->x_words;
        u->x_part = stack_words(s->input);
        u->x_time = STACK_PAIR == 1 ? s->x_time : s->batch * u->x_part;
        u->x_batch = STACK_PAIR == 1 ? s->x_batch : u->x_part;
        return;
    }
    view below = words_of(j, layer - 1);
    u->x = below.at;
    u->x_time = below.time;
    u->x_batch = below.batch;
    u->x_part = stack_words(s->hidden);
    u->x_direction = below.direction;
    if (below.direction == u->x_part) u->x_part *= s->directions;
    else u->x_parts = s->directions;
}

static void set_run(const job *j, int64_t layer, int64_t d, const share *of, run *u)
{
    const tn_recurrent_stack_shape *s = &j->s;
    int64_t rows = (layer * s->directions + d) * s->batch, state = rows * s->hidden;
    u->j = j;
    u->d = d;
    u->begin = of->begin;
    u->end = of->end;
    u->tile = of->tile;
    u->packed = j->packed + packed_before(s, &j->g, layer, d);
    u->h0 = j->h0 ? j->h0 + state : NULL;
    if (j->h0) u->h0_words = STACK_PAIR == 1 ? u->h0 : j->h0_words + rows * stack_words(s->hidden);
    u->c0 = j->c0 ? j->c0 + state : NULL;
    u->hn = j->hn ? j->hn + state : NULL;
    u->cn = j->cn ? j->cn + state : NULL;
    u->y = floats_of(j, layer);
    u->words = words_of(j, layer);
    u->state = j->state + d * s->batch * j->g.padded;
    u->all = lines_of(s, layer);
    u->lines = u->all - stack_words(s->hidden);
    set_x(j, layer, u);
}

/* The parts of x at columns `column` of rows of one step. */
static int add_x(const run *u, stack_part *part, int row, int64_t t, int64_t b)
{
    const float *x = u->x + t * u->x_time + b * u->x_batch;
    for (int i = 0; i < u->x_parts; i++) {
        part[i].row[row] = x + i * u->x_direction;
        part[i].count = u->x_part;
    }
    return (int)u->x_parts;
}

/* Rows of x W are step by step, one sequence after the other; `steps` of each. */
static float *gates_of(const run *u, int64_t b, int64_t step, int64_t steps)
{
    const job *j = u->j;
    int64_t at = (u->d * j->s.batch + u->begin) * j->chunk + (b - u->begin) * steps + step;
    return j->gates + at * j->g.vectors * VF32_LANES;
}

/* Vector v of `rows` rows, where only one product has it. */
static void copy_apart(const layout *g, int rows, int v, const float *from, int64_t from_step,
                       float *to, int64_t to_step)
{
    from += v * VF32_LANES;
    to += v * VF32_LANES;
    for (int r = 0; r < rows && g->apart; r++)
        vf32_store(to + r * to_step, vf32_load(from + r * from_step));
}

/* x W + b of steps [begin, end) in time. */
static void project(const run *u, int64_t begin, int64_t end)
{
    const layout *g = &u->j->g;
    int64_t steps = end - begin, count = steps * (u->end - u->begin);
    int64_t each = even_tile(count, tile_most(g)), line = g->vectors * VF32_LANES;
    float *out = gates_of(u, u->begin, 0, steps);
    for (int64_t group = 0; group < g->groups; group++) {
        int vectors = vectors_of(g, group), of_x = vectors - g->apart;
        const float *first = u->packed + before_group(g, group, u->all);
        float *to = out + group * 4 * VF32_LANES;
        for (int64_t at = 0, t = begin, b = u->begin; at < count; at += each) {
            int rows = (int)TN_MIN(each, count - at), parts = 0;
            stack_part part[PARTS_MAX];
            for (int r = 0; r < rows; r++) {
                parts = add_x(u, part, r, t, b);
                if (++t == end) t = begin, b++;
            }
            stack_multiply(rows, of_x, part, parts, first, 0, first + vectors * VF32_LANES,
                           to + at * line, line);
            copy_apart(g, rows, of_x, first, 0, to + at * line, line);
        }
    }
}

/* h before step `index` of this direction, as words if that is what `y` are; NULL: zeros. */
static const float *before_step(const run *u, const view *y, int64_t index, int64_t b)
{
    const job *j = u->j;
    if (index == 0 && y == &u->y) return u->h0 ? u->h0 + b * j->s.hidden : NULL;
    if (index == 0) return u->h0 ? u->h0_words + b * stack_words(j->s.hidden) : NULL;
    int64_t t = u->d ? j->s.seq - index : index - 1;
    return y->at + t * y->time + b * y->batch + u->d * y->direction;
}

/* Where a step finds and leaves the states of rows from b on. */
static void set_cells(const run *u, const moment *m, int64_t b, int rows, stack_cells *cells)
{
    const job *j = u->j;
    bool is_last = m->index == j->s.seq - 1 && u->cn;
    const float *first = j->is_gru ? u->h0 : u->c0;
    cells->state_room = m->index > 0;
    cells->next_room = !is_last;
    cells->to_room = u->y.direction == j->g.padded;
    for (int r = 0; r < rows; r++, b++) {
        float *kept = u->state + b * j->g.padded;
        cells->state[r] = m->index ? kept : first ? first + b * j->s.hidden : NULL;
        cells->next[r] = is_last ? u->cn + b * j->s.hidden : kept;
        cells->to[r] = u->y.at + m->t * u->y.time + b * u->y.batch + u->d * u->y.direction;
        cells->low[r] =
            u->words.at + m->t * u->words.time + b * u->words.batch + u->d * u->words.direction;
    }
}

/* The cells of a group: gate[row, vectors]. */
static void run_group(const run *u, int64_t group, int rows, const float *gate, stack_cells *cells)
{
    const layout *g = &u->j->g;
    bool is_gru = u->j->is_gru;
    cells->gate = gate;
    cells->tail = group == g->groups - 1 ? g->tail : 0;
    cells->gate_step = vectors_of(g, group) * VF32_LANES;
    cells->first = group * VF32_LANES;
    cells->count = g->hidden - cells->first;
    if (group < g->blocks) {
        stack_blocks(is_gru, rows, cells);
        if (group < g->groups - 1 || !g->tail) return;
        cells->gate += (4 - g->apart) * VF32_LANES;
        cells->first += VF32_LANES;
        cells->count -= VF32_LANES;
    }
    stack_tails(is_gru, g->tail, rows, cells);
}

/* Groups [begin, end) of a tile of rows. */
static void run_tile(const run *u, const moment *m, int64_t b, int64_t begin, int64_t end)
{
    const job *j = u->j;
    const layout *g = &j->g;
    int rows = (int)TN_MIN(u->tile, u->end - b), parts = 0;
    int64_t line = g->vectors * VF32_LANES;
    const float *ready = m->steps ? gates_of(u, b, m->step, m->steps) : NULL;
    _Alignas(TN_ALIGNMENT) float gate[STACK_ROWS * STACK_VECTORS * VF32_LANES];
    stack_part part[PARTS_MAX];
    stack_cells cells;
    set_cells(u, m, b, rows, &cells);
    for (int r = 0; r < rows && !ready; r++) parts = add_x(u, part, r, m->t, b + r);
    stack_part *h = part + parts;
    if (m->index || u->h0) {
        for (int r = 0; r < rows; r++) h->row[r] = before_step(u, &u->words, m->index, b + r);
        h->count = stack_words(g->hidden);
        parts++;
    }
    for (int64_t group = begin; group < end; group++) {
        const float *first = u->packed + before_group(g, group, u->all);
        int vectors = vectors_of(g, group), both = vectors - g->apart;
        int64_t wide = vectors * VF32_LANES, apart = g->apart * VF32_LANES, step = 0, left = parts;
        const float *w = first + wide + (ready ? u->lines * both * VF32_LANES : 0);
        if (ready) {
            first = ready + group * 4 * VF32_LANES;
            step = m->steps * line;
            copy_apart(g, rows, 0, first, step, gate, wide);
        } else if (apart) { /* x apart from h */
            stack_multiply(rows, both, part, (int)u->x_parts, first, 0, w, gate, wide);
            copy_apart(g, rows, both, first, 0, gate, wide);
            w += u->lines * both * VF32_LANES;
            left -= u->x_parts;
            first = gate;
            step = wide;
        }
        stack_multiply(rows, both, apart ? h : part, (int)left, first + apart, step, w,
                       gate + apart, wide);
        run_group(u, group, rows, gate, &cells);
    }
}

/* A few groups for all rows, then the next: their weights stay near. Every other step goes the
 * other way round, which finds the last ones still there. */
static void run_step(const run *u, const moment *m)
{
    int64_t groups = u->j->g.groups, few = u->j->groups_near;
    for (int64_t i = 0; i < groups; i += few) {
        int64_t count = TN_MIN(few, groups - i), begin = m->index & 1 ? groups - i - count : i;
        for (int64_t b = u->begin; b < u->end; b += u->tile)
            run_tile(u, m, b, begin, begin + count);
    }
}

static void copy_row(float *to, const float *from, int64_t count)
{
    for (; count >= VF32_LANES; count -= VF32_LANES, to += VF32_LANES, from += VF32_LANES)
        vf32_store(to, vf32_load(from));
    if (count) vf32_store_some(to, vf32_load_some(from, count), count);
}

/* h after the last step; without any step c too is what it was. */
static void store_states(const run *u)
{
    const job *j = u->j;
    int64_t h = j->s.hidden;
    size_t bytes = (size_t)h * sizeof(float);
    for (int64_t b = u->begin; b < u->end; b++) {
        const float *last = before_step(u, &u->y, j->s.seq, b);
        if (u->hn && last) copy_row(u->hn + b * h, last, h);
        else if (u->hn) memset(u->hn + b * h, 0, bytes);
        if (!u->cn || j->s.seq) continue;
        if (u->c0) memcpy(u->cn + b * h, u->c0 + b * h, bytes);
        else memset(u->cn + b * h, 0, bytes);
    }
}

/* Directions [first, last) of a layer, in turn at each step: one's cell hides behind the other's
 * products. */
static void run_layer(const job *j, int64_t layer, int64_t first, int64_t last, const share *of)
{
    run u[2];
    for (int64_t d = first; d < last; d++) set_run(j, layer, d, of, &u[d]);
    for (int64_t at = 0; at < j->s.seq; at += j->chunk) {
        int64_t steps = TN_MIN(j->chunk, j->s.seq - at);
        for (int64_t d = first; d < last && j->is_split; d++)
            if (d) project(&u[d], j->s.seq - at - steps, j->s.seq - at);
            else project(&u[d], at, at + steps);
        for (int64_t i = 0; i < steps; i++)
            for (int64_t d = first; d < last; d++)
                run_step(&u[d], &(moment){at + i, d ? j->s.seq - 1 - at - i : at + i,
                                          d ? steps - 1 - i : i, j->is_split ? steps : 0});
    }
    for (int64_t d = first; d < last; d++) store_states(&u[d]);
}

/* ---- Threads ---------------------------------------------------------------------------------*/

/* Rows [begin, end) through all layers. */
static tn_status run_rows(void *arg, int64_t begin, int64_t end, int thread)
{
    const job *j = arg;
    const tn_recurrent_stack_shape *s = &j->s;
    int64_t words = s->hidden * stack_words(s->hidden) * s->gates * s->directions;
    bool is_near = words <= NEAR / (int)sizeof(float);
    (void)thread;
    if (begin == end) return NULL;
    share of = share_of(&j->g, begin, end);
    for (int64_t layer = 0; layer < s->layers; layer++) {
        if (is_near) {
            run_layer(j, layer, 0, s->directions, &of);
            continue;
        }
        for (int64_t d = 0; d < s->directions; d++) run_layer(j, layer, d, d + 1, &of);
    }
    return NULL;
}

typedef struct layer_job {
    const job *j;
    int64_t layer;
} layer_job;

/* Rows of the first direction, then those of the second. */
static tn_status run_directions(void *arg, int64_t begin, int64_t end, int thread)
{
    const layer_job *l = arg;
    int64_t batch = l->j->s.batch;
    (void)thread;
    for (int64_t d = 0; d < l->j->s.directions; d++) {
        int64_t from = TN_MAX(begin, d * batch), to = TN_MIN(end, (d + 1) * batch);
        if (from >= to) continue;
        share of = share_of(&l->j->g, from - d * batch, to - d * batch);
        run_layer(l->j, l->layer, d, d + 1, &of);
    }
    return NULL;
}

/* x and the h before the first step as words. */
static void narrow_inputs(const job *j)
{
    const tn_recurrent_stack_shape *s = &j->s;
    int64_t input = stack_words(s->input), hidden = stack_words(s->hidden);
    for (int64_t t = 0; t < s->seq; t++)
        for (int64_t b = 0; b < s->batch; b++)
            stack_narrow(j->x_words + (t * s->batch + b) * input,
                         j->x + t * s->x_time + b * s->x_batch, s->input);
    for (int64_t i = 0; i < s->layers * s->directions * s->batch && j->h0; i++)
        stack_narrow(j->h0_words + i * hidden, j->h0 + i * s->hidden, s->hidden);
}

static tn_status launch(const tn_launch *l)
{
    job j;
    read_job(l->problem, &j);
    const tn_recurrent_stack_shape *s = &j.s;
    j.packed = l->packed;
    cut_scratch(&j, j.y != NULL, l->scratch);
    if (STACK_PAIR > 1) narrow_inputs(&j);
    double step = (double)s->gates * (double)s->hidden * (double)s->hidden * (double)s->batch;
    double each = (double)s->gates * (double)s->hidden * (double)s->seq *
                  (double)(s->hidden * (1 + s->directions)); /* of one row, direction, layer */
    int64_t grain = 1 + (int64_t)(GRAIN / (1 + each));
    if (s->directions == 1 || step < LONG_STEP) {
        grain = 1 + (int64_t)(GRAIN / (1 + each * (double)(s->layers * s->directions)));
        return tn_pool_run(l->pool, s->batch, grain, run_rows, &j);
    }
    for (int64_t layer = 0; layer < s->layers; layer++)
        TN_TRY(tn_pool_run(l->pool, s->directions * s->batch, grain, run_directions,
                           &(layer_job){&j, layer}));
    return NULL;
}

/* Products, those of few rows with R as fast as R can be read, and cells. */
static double estimate_ns(const tn_problem *p)
{
    const tn_recurrent_stack_params *params = p->params;
    tn_recurrent_stack_shape s;
    layout g;
    tn_recurrent_stack_shape_of(p, &s);
    g = layout_of(s.hidden, params->mode == TN_STACK_GRU);
    double lines = (double)(s.seq * s.directions) * (double)(g.vectors * VF32_LANES), x = 0;
    double h = lines * (double)(s.layers * stack_words(s.hidden)), rows = (double)s.batch;
    for (int64_t layer = 0; layer < s.layers; layer++)
        x += lines * (double)(lines_of(&s, layer) - stack_words(s.hidden));
    bool is_near = g.vectors * VF32_LANES * stack_words(s.hidden) <= COST_L2_BYTES / 4;
    double read = h * (double)sizeof(float) / (is_near ? COST_L2_BYTES_NS : COST_BYTES_NS);
    double cells = lines * (double)s.layers * rows / (4 * VF32_LANES);
    double rate = COST_VECTORS_NS * VF32_LANES;
    /* Processors with tiles take twice as long for a vector of pairs as for one of floats. */
    if (STACK_PAIR > 1 && tn_cpu_features() & TN_CPU_AMX_TILE) rate /= 2;
    return 300 + x * rows / rate + TN_MAX(h * rows / rate, read) + cells * STACK_CELL_NS;
}

#if STACK_PAIR > 1
#define STACK_NAME "blocks_bf16"
#define STACK_PRECISION TN_PRECISION_BF16
#else
#define STACK_NAME "blocks"
#define STACK_PRECISION TN_PRECISION_F32
#endif
extern const tn_tactic TN_VARIANT_NAME(tn_cpu_recurrent_stack)[];
const tn_tactic TN_VARIANT_NAME(tn_cpu_recurrent_stack)[] = {
    {
        .name = "cpu.recurrentstack.f32." STACK_NAME "." TN_VARIANT_TEXT,
        .op = "RecurrentStack",
        .revision = 2,
        .precision = STACK_PRECISION,
        .accepts = accepts,
        .scratch_bytes = scratch_bytes,
        .estimate_ns = estimate_ns,
        .packed_bytes = packed_bytes,
        .pack = pack,
        .unused = unused,
        .launch = launch,
    },
    {0},
};
