/* Stacks of recurrent layers of few units: recurrent_small.cu, recurrent_lanes.cu. */
#include <stdio.h>
#include <string.h>

#include "backends/cuda/kernels/recurrent.h"
#include "ops/gather/gather.h"
#include "ops/linear/linear.h"

extern const tn_cuda_source tn_cuda_source_recurrent_small;
extern const tn_cuda_source tn_cuda_source_recurrent_lanes;

enum { UNITS_MAX = 96, INPUT_MAX = 512, WARPS = 16, GROUPS_MAX = 8, BLOCK_GROUPS_MAX = 3 };

/* How layers hand over. */
typedef enum handover {
    BY_LAUNCH, /* one launch for each layer */
    BY_BARRIER,
    BY_SENDING, /* a single step sends its numbers; more steps meet at barriers */
    BY_BLOCK,   /* both directions in one block */
} handover;

/* The kernel's constants: see recurrent_small.cu. */
typedef struct plan {
    tn_recurrent r;
    int slots, lanes, group;        /* lanes: U; group: UW */
    int groups, sides;              /* as launched */
    int64_t state_floats, x_floats; /* HP, XP */
    int64_t r_floats, first_floats, above_floats, direction_floats;
} plan;

static int64_t wide_of(int64_t count)
{
    return count % 16 == 0 ? 4 : count % 8 == 0 ? 2 : 1;
}

/* Numbers of each of four lanes. */
static int64_t per_of(int64_t count)
{
    int64_t wide = wide_of(count);
    return (count + 4 * wide - 1) / (4 * wide) * wide;
}

static tn_verdict make_plan(const tn_problem *p, plan *out)
{
    tn_dtype dtype = p->in[0].dtype;
    if (dtype != TN_DTYPE_F32 && dtype != TN_DTYPE_F16 && dtype != TN_DTYPE_BF16)
        return TN_NO("the operands are not f32, f16 or bf16");
    tn_recurrent *r = &out->r;
    tn_verdict verdict = tn_recurrent_read(p, r);
    if (verdict) return verdict;
    if (r->lens) return TN_NO("sequences have lengths of their own");
    if (r->cell == TN_CELL_GRU && r->reset_before)
        return TN_NO("the reset comes before the product");
    if (r->units > UNITS_MAX) return TN_NO("more than 96 units");
    if (r->input > INPUT_MAX) return TN_NO("more than 512 inputs");
    if (!r->constant) return TN_NO("the weights are not constant");
    out->slots = r->cell == TN_CELL_LSTM || r->cell == TN_CELL_GRU ? 4 : 1;
    out->lanes = 4 * (int)r->units;
    out->group = (out->lanes + 31) / 32 * 32;
    int64_t above = r->directions * r->units;
    int64_t first_x = per_of(r->input), above_x = per_of(above), of_h = per_of(r->units);
    out->state_floats = 4 * of_h;
    out->x_floats = 4 * (r->layers > 1 && above_x > first_x ? above_x : first_x);
    out->r_floats = (of_h * out->slots + 2) * out->lanes;
    out->first_floats = out->r_floats + first_x * out->slots * out->lanes;
    out->above_floats = out->r_floats + above_x * out->slots * out->lanes;
    out->direction_floats = out->first_floats + (r->layers - 1) * out->above_floats;
    return TN_YES;
}

static tn_verdict accepts(const tn_problem *p)
{
    plan at;
    return make_plan(p, &at);
}

static tn_verdict accepts_pair(const tn_problem *p)
{
    plan at;
    tn_verdict verdict = make_plan(p, &at);
    if (verdict) return verdict;
    return at.r.layers > 1 ? TN_YES : TN_NO("one layer hands over to none");
}

static tn_verdict accepts_block(const tn_problem *p)
{
    plan at;
    tn_verdict verdict = make_plan(p, &at);
    if (verdict) return verdict;
    if (at.group > 32 * WARPS / 2) return TN_NO("both directions are too much for one block");
    return at.r.directions > 1 && at.r.layers > 1 ? TN_YES : TN_NO("no two directions hand over");
}

static tn_verdict accepts_lanes(const tn_problem *p)
{
    plan at;
    tn_verdict verdict = make_plan(p, &at);
    if (verdict) return verdict;
    if (at.slots != 4) return TN_NO("the cells are neither LSTM nor GRU");
    if (at.r.units > 32) return TN_NO("more than 32 units");
    return at.r.seq > 1 ? TN_YES : TN_NO("one step does not wait for another");
}

static size_t scratch_bytes(const tn_problem *p)
{
    plan at;
    if (make_plan(p, &at) || at.r.layers == 1) return 0;
    size_t each = (size_t)tn_dtype_bytes(at.r.x->dtype, 1); /* floats, whatever X is */
    size_t between = tn_recurrent_between_bytes(&at.r);
    return between >= SIZE_MAX / 16 ? between : 2 * between / each * sizeof(float);
}

/* ---- Weights ---------------------------------------------------------------------------------*/

static size_t packed_bytes(const tn_problem *p)
{
    plan at;
    if (make_plan(p, &at)) return 0;
    return (size_t)(at.r.directions * at.direction_floats) * sizeof(float);
}

/* rows: [gates * units, count] of one direction, from element `first` on. Returns the end. */
static float *pack_matrix(const plan *at, const tn_tensor *rows, int64_t first, int64_t count,
                          float *to)
{
    int64_t units = at->r.units, wide = wide_of(count);
    for (int64_t i = 0; i < per_of(count); i++)
        for (int64_t lane = 0; lane < at->lanes; lane++)
            for (int64_t gate = 0; gate < at->slots; gate++) {
                int64_t k = (i / wide * 4 + lane % 4) * wide + i % wide;
                bool there = k < count && gate < at->r.gates;
                int64_t from = first + (gate * units + lane / 4) * count + k;
                *to++ = there ? (float)tn_load_f64(rows->dtype, rows->data, from) : 0;
            }
    return to;
}

/* bias: of x, then of h, [gates * units] each, from element `first` on; NULL: zeros. What a GRU's
 * reset multiplies stays apart. Returns the end. */
static float *pack_bias(const plan *at, const tn_tensor *bias, int64_t first, float *to)
{
    int64_t units = at->r.units, all = at->r.gates * units;
    for (int64_t lane = 0; lane < at->lanes; lane++) {
        int64_t gate = at->slots == 1 ? 0 : lane % 4, from = first + gate * units + lane / 4;
        bool apart = at->r.cell == TN_CELL_GRU && gate == 2, there = bias && gate < at->r.gates;
        double x = there ? tn_load_f64(bias->dtype, bias->data, from) : 0;
        double h = there ? tn_load_f64(bias->dtype, bias->data, all + from) : 0;
        to[lane] = (float)(apart ? x : x + h);
        to[at->lanes + lane] = (float)(apart ? h : 0);
    }
    return to + 2 * at->lanes;
}

static tn_status pack(const tn_problem *p, void *dst)
{
    plan at;
    float *to = dst;
    tn_verdict verdict = make_plan(p, &at);
    TN_CHECK(!verdict, TN_INTERNAL, "packing weights of a problem that is not taken: %s", verdict);
    const tn_recurrent *r = &at.r;
    int64_t all = r->gates * r->units;
    for (int64_t d = 0; d < r->directions; d++)
        for (int l = 0; l < r->layers; l++) {
            const tn_tensor *weight = r->weights + 3 * l;
            int64_t count = tn_recurrent_input(r, l);
            to = pack_matrix(&at, &weight[1], d * all * r->units, r->units, to);
            to = pack_bias(&at, r->has_bias ? &weight[2] : NULL, d * 2 * all, to);
            to = pack_matrix(&at, &weight[0], d * all * count, count, to);
        }
    return NULL;
}

/* Weights are read where they are packed. */
static uint64_t unused(const tn_problem *p)
{
    plan at;
    if (make_plan(p, &at)) return 0;
    int count = at.r.has_bias ? 3 * at.r.layers : 2;
    return (count < 64 ? (UINT64_C(1) << count) - 1 : UINT64_MAX) << at.r.first_weight;
}

/* ---- Launching -------------------------------------------------------------------------------*/

/* As in the kernel. */
typedef struct tail_args {
    const int64_t *at_long;
    const int32_t *at;
    const void *weight, *bias;
    void *y;
    float alpha, beta;
} tail_args;
typedef struct recurrent_args {
    const void *x, *h0, *c0, *weights;
    void *y, *h_n, *c_n, *between;
    int64_t x_time, x_batch, y_time, y_direction, y_batch, state_layer, state_batch;
    int32_t seq, batch, rows, chunk, first, last, backward, near, keep;
    tail_args tail;
} recurrent_args;

/* What a Linear behind the stack makes of one step of it: numbers of a row, 0 where there is none,
 * and its function. */
typedef struct tail_plan {
    int64_t numbers;
    int act;
    tail_args args;
} tail_plan;

static void set_sides(plan *at, int sides)
{
    int most = sides > 1 ? BLOCK_GROUPS_MAX : GROUPS_MAX; /* short sequences have little for more */
    at->sides = sides;
    at->groups = TN_MIN(WARPS / sides / (at->group / 32), most);
}

/* Rows of a block: as few as fill the card, for they wait for nobody. */
static void share_rows(const plan *at, const tn_cuda_card *card, recurrent_args *args,
                       unsigned *blocks)
{
    int64_t batch = at->r.batch, across = at->r.directions / at->sides;
    int64_t most = card->multiprocessors / across;
    int64_t least = (batch + at->groups - 1) / at->groups;
    int64_t parts = batch < most ? batch : most;
    if (parts < least) parts = least;
    if (parts < 1) parts = 1;
    args->rows = (int32_t)((batch + parts - 1) / parts);
    *blocks = tn_cuda_blocks(batch, args->rows) * (unsigned)across;
}

static size_t once_bytes(const plan *at, int64_t rows)
{
    int64_t floats = rows * (at->x_floats + at->state_floats + at->r.units) + 4;
    return (size_t)(at->direction_floats + at->r.layers * floats) * sizeof(float);
}

/* Steps whose W x fit in shared memory, at least 1, in half of an SM; that is enough for long
 * sequences. If all fit, and what lies between layers too, layers hand over there. If the weights
 * of both sides fit as well, no layer waits for its own. */
static size_t steps_bytes(const plan *at, const tn_cuda_card *card, bool together,
                          recurrent_args *args)
{
    size_t most = (size_t)card->shared_bytes_max, enough = 112 << 10;
    size_t sides = (size_t)at->sides;
    size_t states = sides * (size_t)(at->groups * 2 * at->state_floats) * sizeof(float);
    size_t row = (size_t)args->rows * sizeof(float);
    size_t step = sides * (size_t)(at->x_floats + at->group) * row;
    size_t between = 2 * (size_t)(4 * per_of(at->r.directions * at->r.units)) * row;
    size_t seq = args->seq < 1 ? 1 : (size_t)args->seq;
    if (together && seq < most / (step + between) && states + seq * (step + between) <= most) {
        size_t all = states + seq * (step + between);
        size_t weights = sides * (size_t)at->direction_floats * sizeof(float);
        args->chunk = (int32_t)seq;
        args->near = 1;
        if (sides == 1 || weights > most - all) return all;
        args->keep = (int32_t)(weights / sizeof(float));
        return all + weights;
    }
    if (most > enough) most = enough;
    size_t chunk = most > states + step ? (most - states) / step : 1;
    if (chunk > seq) chunk = seq;
    args->chunk = (int32_t)chunk;
    return states + chunk * step;
}

static tn_status launch_with(const tn_launch *l, handover by, const tail_plan *tail)
{
    plan at;
    tn_verdict verdict = make_plan(l->problem, &at);
    TN_CHECK(!verdict, TN_INTERNAL, "launching a problem that is not taken: %s", verdict);
    const tn_recurrent *r = &at.r;
    tn_cuda_card *card = tn_cuda_stream_of(l)->card;
    if (r->batch == 0) return NULL;
    TN_CHECK(r->seq <= INT32_MAX && r->batch <= INT32_MAX, TN_UNSUPPORTED,
             "%lld steps of %lld sequences: no more than 2147483647 of either", (long long)r->seq,
             (long long)r->batch);
    recurrent_args args = {.x = r->x->data,
                           .h0 = tn_recurrent_data(r->h0),
                           .c0 = tn_recurrent_data(r->c0),
                           .weights = l->packed,
                           .y = tn_recurrent_data(r->y),
                           .h_n = tn_recurrent_data(r->h_n),
                           .c_n = tn_recurrent_data(r->c_n),
                           .between = l->scratch,
                           .x_time = r->x_time,
                           .x_batch = r->x_batch,
                           .y_time = r->y_time,
                           .y_direction = r->y_direction,
                           .y_batch = r->y_batch,
                           .state_layer = r->state_layer,
                           .state_batch = r->state_batch,
                           .seq = (int32_t)r->seq,
                           .batch = (int32_t)r->batch,
                           .last = r->layers,
                           .backward = r->backward,
                           .tail = tail->args};
    unsigned blocks;
    char options[240];
    const tn_cuda_function *function;
    set_sides(&at, by == BY_BLOCK ? r->directions : 1);
    share_rows(&at, card, &args, &blocks);
    bool once = (by == BY_BARRIER || by == BY_SENDING) && r->seq == 1 &&
                once_bytes(&at, args.rows) <= (size_t)card->shared_bytes_max;
    size_t bytes =
        once ? once_bytes(&at, args.rows) : steps_bytes(&at, card, by != BY_LAUNCH, &args);
    bytes += (size_t)((r->directions * r->units + 1) * tail->numbers) * sizeof(float);
    snprintf(options, sizeof options,
             "-DCELL=%d -DUNITS=%d -DINPUT=%d -DLAYERS=%d -DDIRECTIONS=%d -DGROUPS=%d -DSIDES=%d "
             "-DASYNC=%d -DTYPE=%s -DTAIL=%d -DTAIL_ACT=%d",
             (int)r->cell, (int)r->units, (int)r->input, r->layers, r->directions, at.groups,
             at.sides, by == BY_SENDING, tn_cuda_type(r->x->dtype), (int)tail->numbers, tail->act);
    TN_TRY(tn_cuda_function_get(card, &tn_cuda_source_recurrent_small,
                                once ? "recurrent_once" : "recurrent_small", options, bytes,
                                &function));
    tn_cuda_grid grid = {.grid = {blocks},
                         .block = {(unsigned)(at.sides * at.groups * at.group)},
                         .shared_bytes = bytes,
                         .cluster = by == BY_LAUNCH ? 0 : (unsigned)(r->directions / at.sides),
                         .overlap = true};
    void *pointers[] = {&args};
    bool together = by != BY_LAUNCH || r->directions == 1; /* a block waits for itself alone */
    if (together) return tn_cuda_run(l, function, &grid, pointers);
    for (int layer = 0; layer < r->layers; layer++) {
        args.first = layer;
        args.last = layer + 1;
        TN_TRY(tn_cuda_run(l, function, &grid, pointers));
    }
    return NULL;
}

static tn_status launch_as(const tn_launch *l, handover by)
{
    return launch_with(l, by, &(tail_plan){0});
}

static tn_status launch_apart(const tn_launch *l)
{
    return launch_as(l, BY_LAUNCH);
}

static tn_status launch_barrier(const tn_launch *l)
{
    return launch_as(l, BY_BARRIER);
}

static tn_status launch_sending(const tn_launch *l)
{
    return launch_as(l, BY_SENDING);
}

static tn_status launch_block(const tn_launch *l)
{
    return launch_as(l, BY_BLOCK);
}

/* As in recurrent_lanes.cu. */
typedef struct lanes_args {
    const void *x, *h0, *c0, *weights;
    void *y, *h_n, *c_n;
    int64_t x_time, x_batch, y_time, y_direction, y_batch, state_layer, state_batch;
    int32_t seq, batch, rows, backward;
} lanes_args;

static size_t lanes_bytes(const plan *at, int64_t rows)
{
    enum { STEPS = 4, FLOATS_MAX = 1 << 20 };
    const tn_recurrent *r = &at->r;
    int64_t of_x = at->x_floats, of_h = at->state_floats;
    int64_t layer = 4 * r->units * (of_h + 2 + of_x), groups = (r->seq + STEPS - 1) / STEPS;
    if (r->seq > FLOATS_MAX) return SIZE_MAX;
    int64_t steps = groups * STEPS * 4 * r->units + 2 * r->seq * of_x + 2 * groups;
    return (size_t)(2 * layer + rows * (steps + 2 * of_h)) * sizeof(float);
}

static tn_status launch_lanes(const tn_launch *l)
{
    enum { THREADS = 256, ROWS_MAX = 4 }; /* as in the kernel: other warps are left */
    plan at;
    tn_verdict verdict = make_plan(l->problem, &at);
    TN_CHECK(!verdict, TN_INTERNAL, "launching a problem that is not taken: %s", verdict);
    const tn_recurrent *r = &at.r;
    tn_cuda_card *card = tn_cuda_stream_of(l)->card;
    int64_t most = card->multiprocessors / r->directions;
    int64_t rows = TN_MIN((r->batch + most - 1) / TN_MAX(most, (int64_t)1), (int64_t)ROWS_MAX);
    size_t bytes = lanes_bytes(&at, rows);
    while (rows > 1 && bytes > (size_t)card->shared_bytes_max) bytes = lanes_bytes(&at, --rows);
    if (r->batch == 0 || r->seq == 0 || r->batch > INT32_MAX ||
        bytes > (size_t)card->shared_bytes_max)
        return launch_as(l, r->layers > 1 ? BY_SENDING : BY_LAUNCH);
    lanes_args args = {.x = r->x->data,
                       .h0 = tn_recurrent_data(r->h0),
                       .c0 = tn_recurrent_data(r->c0),
                       .weights = l->packed,
                       .y = tn_recurrent_data(r->y),
                       .h_n = tn_recurrent_data(r->h_n),
                       .c_n = tn_recurrent_data(r->c_n),
                       .x_time = r->x_time,
                       .x_batch = r->x_batch,
                       .y_time = r->y_time,
                       .y_direction = r->y_direction,
                       .y_batch = r->y_batch,
                       .state_layer = r->state_layer,
                       .state_batch = r->state_batch,
                       .seq = (int32_t)r->seq,
                       .batch = (int32_t)r->batch,
                       .rows = (int32_t)rows,
                       .backward = r->backward};
    char options[160];
    const tn_cuda_function *function;
    snprintf(options, sizeof options,
             "-DCELL=%d -DUNITS=%d -DINPUT=%d -DLAYERS=%d -DDIRECTIONS=%d -DTYPE=%s", (int)r->cell,
             (int)r->units, (int)r->input, r->layers, r->directions, tn_cuda_type(r->x->dtype));
    TN_TRY(tn_cuda_function_get(card, &tn_cuda_source_recurrent_lanes, "recurrent_lanes", options,
                                bytes, &function));
    tn_cuda_grid grid = {.grid = {tn_cuda_blocks(r->batch, rows) * (unsigned)r->directions},
                         .block = {THREADS},
                         .shared_bytes = bytes,
                         .cluster = (unsigned)r->directions,
                         .overlap = true};
    void *pointers[] = {&args};
    return tn_cuda_run(l, function, &grid, pointers);
}

/* ---- One step of the result, and a Linear of it ----------------------------------------------*/

/* A Gather of one step of y. */
static bool read_step(const tn_problem *p, const tn_recurrent *r, tail_args *out)
{
    const tn_gather_params *params = p->params;
    const tn_tensor *at = &p->in[1];
    if (strcmp(p->op, "Gather") || p->in[0].rank != 3 || tn_tensor_count(at) != 1) return false;
    int64_t axis = params->axis < 0 ? params->axis + 3 : params->axis;
    if (axis > 1 || p->in[0].dim[axis] != r->seq || p->in[0].dim[1 - axis] != r->batch)
        return false;
    if (r->batch > 1 && (axis == 0) != (r->y_time > r->y_batch)) return false;
    if (at->dtype == TN_DTYPE_I64) out->at_long = at->data;
    else if (at->dtype == TN_DTYPE_I32) out->at = at->data;
    return (p->in_constant & 2) && (out->at_long || out->at);
}

static bool read_tail(const tn_problem *step, const tn_problem *linear, const tn_recurrent *r,
                      tail_plan *out)
{
    enum { NUMBERS_MAX = 64 };
    const tn_linear_params *params = linear->params;
    const tn_tensor *w = &linear->in[1], *bias = &linear->in[2];
    bool has_bias = linear->in_count > 2 && bias->dtype != TN_DTYPE_NONE;
    bool has_more = linear->in_count > 3 && linear->in[3].dtype != TN_DTYPE_NONE;
    if (!read_step(step, r, &out->args) || strcmp(linear->op, "Linear") || has_more) return false;
    if ((linear->in_constant & 2) == 0 || !w->data || w->dim[0] != r->directions * r->units ||
        w->dim[1] > NUMBERS_MAX || (has_bias && !bias->data))
        return false;
    out->args.weight = w->data;
    out->args.bias = has_bias ? bias->data : NULL;
    out->args.y = linear->out[0].data;
    out->args.alpha = params->epilogue.alpha;
    out->args.beta = params->epilogue.beta;
    out->act = (int)params->epilogue.kind;
    out->numbers = w->dim[1];
    return true;
}

tn_status tn_recurrent_small_together(void *stream, const tn_launch *const *launch, int count,
                                      uint64_t hidden, int *taken)
{
    const tn_cuda_card *card = ((tn_cuda_stream *)stream)->card;
    plan at;
    tail_plan tail = {0};
    recurrent_args args = {0};
    *taken = 0;
    if (count < 3 || (hidden & 3) != 3 || !launch[0]->packed) return NULL;
    const tn_problem *p = launch[0]->problem;
    if (strcmp(p->op, "RecurrentStack") || accepts_block(p) || make_plan(p, &at)) return NULL;
    if (p->in[0].dtype != TN_DTYPE_F32 || at.r.h_n || at.r.c_n || at.r.batch < 1 || at.r.seq < 1 ||
        at.r.seq > INT32_MAX || at.r.batch > INT32_MAX)
        return NULL;
    if (!read_tail(launch[1]->problem, launch[2]->problem, &at.r, &tail)) return NULL;
    unsigned blocks;
    set_sides(&at, at.r.directions);
    share_rows(&at, card, &args, &blocks);
    args.seq = (int32_t)at.r.seq;
    size_t more = (size_t)((at.r.directions * at.r.units + 1) * tail.numbers) * sizeof(float);
    if (steps_bytes(&at, card, true, &args) + more > (size_t)card->shared_bytes_max || !args.near)
        return NULL;
    tn_launch first = *launch[0];
    first.stream = stream;
    TN_TRY(launch_with(&first, BY_BLOCK, &tail));
    *taken = 3;
    return NULL;
}

#define ROW(called, operator_name, feature, takes, launches)                                       \
    {                                                                                              \
        .name = called, .op = operator_name, .revision = 2, .needs = feature, .accepts = takes,    \
        .scratch_bytes = scratch_bytes, .packed_bytes = packed_bytes, .pack = pack,                \
        .unused = unused, .launch = launches                                                       \
    }

extern const tn_tactic tn_cuda_recurrent_small[];
const tn_tactic tn_cuda_recurrent_small[] = {
    ROW("cuda.recurrent_stack.any.lanes", "RecurrentStack", TN_SM90, accepts_lanes, launch_lanes),
    ROW("cuda.recurrent_stack.any.small_sending", "RecurrentStack", TN_SM90, accepts_pair,
        launch_sending),
    ROW("cuda.recurrent_stack.any.small_barrier", "RecurrentStack", TN_SM90, accepts_pair,
        launch_barrier),
    ROW("cuda.recurrent_stack.any.small_block", "RecurrentStack", TN_SM75, accepts_block,
        launch_block),
    ROW("cuda.recurrent_stack.any.small", "RecurrentStack", TN_SM75, accepts, launch_apart),
    ROW("cuda.lstm.any.small", "LSTM", TN_SM75, accepts, launch_apart),
    ROW("cuda.gru.any.small", "GRU", TN_SM75, accepts, launch_apart),
    ROW("cuda.rnn.any.small", "RNN", TN_SM75, accepts, launch_apart),
    {0},
};
