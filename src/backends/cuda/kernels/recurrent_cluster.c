/* Recurrent layers whose R fits in the registers of a cluster of blocks: recurrent_cluster.cu, and
 * recurrent_tensor.cu for elements of 16 bits. */
#include <stdio.h>

#include "backends/cuda/kernels/recurrent.h"

extern const tn_cuda_source tn_cuda_source_recurrent_cluster;
extern const tn_cuda_source tn_cuda_source_recurrent_tensor;

enum { UNITS_MIN = 33, UNITS_MAX = 384 };

/* Blocks of a cluster and lanes of a unit: as few blocks as hold R in less than 64 K registers
 * each, beside what the work itself takes. */
typedef struct shape {
    int blocks, lanes, rows_max;
} shape;

static shape shape_of(int64_t units)
{
    if (units <= 128) return (shape){2, 8, 4};
    if (units <= 192) return (shape){4, 8, 4};
    if (units <= 256) return (shape){8, 8, 8};
    return (shape){16, 16, 4};
}

static tn_verdict read(const tn_problem *p, tn_recurrent *out)
{
    tn_dtype dtype = p->in[0].dtype;
    if (dtype != TN_DTYPE_F32 && dtype != TN_DTYPE_F16 && dtype != TN_DTYPE_BF16)
        return TN_NO("the operands are not f32, f16 or bf16");
    tn_verdict verdict = tn_recurrent_read(p, out);
    if (verdict) return verdict;
    if (out->lens) return TN_NO("sequences have lengths of their own");
    if (out->cell > TN_CELL_GRU) return TN_NO("the cell has one gate");
    if (out->cell == TN_CELL_GRU && out->reset_before)
        return TN_NO("the reset comes before the product");
    if (out->units < UNITS_MIN) return TN_NO("less than 33 units");
    if (out->units > UNITS_MAX) return TN_NO("more than 384 units");
    if (!out->constant) return TN_NO("the weights are not constant");
    return tn_recurrent_project_fits(out);
}

static tn_verdict accepts(const tn_problem *p)
{
    tn_recurrent r;
    return read(p, &r);
}

static tn_verdict accepts_halves(const tn_problem *p)
{
    if (p->in[0].dtype == TN_DTYPE_F32) return TN_NO("the operands are not f16 or bf16");
    return accepts(p);
}

static size_t scratch_bytes(const tn_problem *p)
{
    tn_recurrent r;
    if (read(p, &r)) return 0;
    size_t gates = tn_recurrent_gate_bytes(&r), between = tn_recurrent_between_bytes(&r);
    if (gates >= SIZE_MAX / 16 || between >= SIZE_MAX / 16) return SIZE_MAX / 4;
    return gates + (r.layers > 1 ? 2 * between : 0);
}

static size_t tensor_scratch_bytes(const tn_problem *p)
{
    tn_recurrent r;
    if (read(p, &r)) return 0;
    size_t even = tn_recurrent_even_bytes(&r), rest = scratch_bytes(p);
    return even >= SIZE_MAX / 16 || rest >= SIZE_MAX / 16 ? SIZE_MAX / 4 : even + rest;
}

/* ---- Launching -------------------------------------------------------------------------------*/

/* As in the kernel. */
typedef struct layer_args {
    const void *r, *bias, *gates, *h0, *c0;
    void *y, *h_n, *c_n;
    int64_t gate_direction, gate_time, gate_batch;
    int64_t y_time, y_direction, y_batch, state_direction, state_batch;
    int32_t seq, batch, directions, backward;
} layer_args;

/* Sequences of a cluster: as few as let all clusters run at once. A cluster stays within a group of
 * 16 or so multiprocessors, of which large ones leave some over: an H100 with 132 runs 66 clusters
 * of 2, 30 of 4, 15 of 8 and 7 of 16. */
static int rows_of(const tn_recurrent *r, const shape *s, const tn_cuda_card *card)
{
    int64_t most = card->multiprocessors, rows = 1;
    int64_t clusters = (s->blocks > 2 ? most - most / 11 : most) / s->blocks;
    while (rows < s->rows_max && (r->batch + rows - 1) / rows * r->directions > clusters) rows++;
    return (int)rows;
}

static layer_args args_of(const tn_recurrent *r, const tn_recurrent_layer *layer, const void *gates)
{
    int64_t row = r->gates * r->units;
    return (layer_args){.r = layer->r,
                        .bias = layer->bias,
                        .gates = gates,
                        .h0 = layer->h0,
                        .c0 = layer->c0,
                        .y = layer->y,
                        .h_n = layer->h_n,
                        .c_n = layer->c_n,
                        .gate_direction = r->seq * r->batch * row,
                        .gate_time = layer->gate_time * row,
                        .gate_batch = layer->gate_batch * row,
                        .y_time = layer->y_time,
                        .y_direction = layer->y_direction,
                        .y_batch = layer->y_batch,
                        .state_direction = r->state_layer,
                        .state_batch = r->state_batch,
                        .seq = (int32_t)r->seq,
                        .batch = (int32_t)r->batch,
                        .directions = r->directions,
                        .backward = r->backward};
}

static tn_status run_layer(const tn_launch *l, const tn_recurrent *r, bool sending,
                           layer_args *args)
{
    tn_cuda_card *card = tn_cuda_stream_of(l)->card;
    const tn_cuda_function *function;
    shape s = shape_of(r->units);
    int live = rows_of(r, &s, card), rows = 1, lanes = s.lanes, step = 32 / lanes;
    while (rows < live) rows *= 2;
    int own = ((int)r->units + s.blocks - 1) / s.blocks;
    own = (own + step - 1) / step * step;
    int held = ((int)r->units + 4 * lanes - 1) / (4 * lanes) * 4 * lanes, all = s.blocks * own;
    int room = held > all ? held : (all + 3) / 4 * 4; /* PER LANES, HP */
    size_t bytes = (size_t)(2 * rows * room) * sizeof(float) + 16;
    bool even = r->units % 4 == 0 && (uintptr_t)args->r % 16 == 0;
    char options[180];
    snprintf(options, sizeof options,
             "-DCELL=%d -DUNITS=%d -DBLOCKS=%d -DLANES=%d -DROWS=%d -DLIVE=%d -DVEC=%d -DASYNC=%d "
             "-DTYPE=%s",
             (int)r->cell, (int)r->units, s.blocks, lanes, rows, live, even ? 4 : 1, sending,
             tn_cuda_type(r->x->dtype));
    TN_TRY(tn_cuda_function_get(card, &tn_cuda_source_recurrent_cluster, "recurrent_cluster",
                                options, bytes, &function));
    unsigned clusters = tn_cuda_blocks(r->batch, live) * (unsigned)r->directions;
    tn_cuda_grid grid = {.grid = {clusters * (unsigned)s.blocks},
                         .block = {(unsigned)(own * lanes)},
                         .shared_bytes = bytes,
                         .cluster = (unsigned)s.blocks,
                         .overlap = true};
    void *pointers[] = {args};
    return tn_cuda_run(l, function, &grid, pointers);
}

/* Few blocks: sending costs more than warps that take turns. */
static tn_status run_tensor(const tn_launch *l, const tn_recurrent *r, layer_args *args)
{
    enum { ROWS = 8, OWN = 8 }; /* as in the kernel */
    const tn_cuda_function *function;
    int groups = ((int)r->units + OWN - 1) / OWN, blocks = 2;
    while (groups > 8 * blocks) blocks *= 2;
    int warps = (groups + blocks - 1) / blocks, all = blocks * warps * OWN;
    int held = ((int)r->units + 31) / 32 * 32, wide = all > held ? all : held;
    size_t line = ((size_t)wide + 63) / 64 * 64 + 32;
    size_t bytes = (2 * ROWS * line + (size_t)warps * ROWS * OWN) * sizeof(uint16_t) + 16;
    bool even = r->units % 8 == 0 && (uintptr_t)args->r % 16 == 0;
    char options[160];
    snprintf(options, sizeof options,
             "-DCELL=%d -DUNITS=%d -DBLOCKS=%d -DWARPS=%d -DVEC=%d -DTYPE=%s", (int)r->cell,
             (int)r->units, blocks, warps, even ? 8 : 1, tn_cuda_type(r->x->dtype));
    TN_TRY(tn_cuda_function_get(tn_cuda_stream_of(l)->card, &tn_cuda_source_recurrent_tensor,
                                "recurrent_tensor", options, bytes, &function));
    unsigned clusters = tn_cuda_blocks(r->batch, ROWS) * (unsigned)r->directions;
    tn_cuda_grid grid = {.grid = {clusters * (unsigned)blocks},
                         .block = {(unsigned)(32 * warps)},
                         .shared_bytes = bytes,
                         .cluster = (unsigned)blocks,
                         .overlap = true};
    void *pointers[] = {args};
    return tn_cuda_run(l, function, &grid, pointers);
}

typedef enum manner { SENDING, BARRIER, TENSOR } manner;

static tn_status launch_as(const tn_launch *l, manner how)
{
    tn_recurrent r;
    tn_verdict verdict = read(l->problem, &r);
    TN_CHECK(!verdict, TN_INTERNAL, "launching a problem that is not taken: %s", verdict);
    if (r.batch == 0) return NULL;
    char *scratch = l->scratch, *room = NULL;
    if (how == TENSOR && tn_recurrent_even_bytes(&r)) {
        room = scratch;
        scratch += tn_recurrent_even_bytes(&r);
    }
    for (int i = 0; i < r.layers; i++) {
        tn_recurrent_layer layer;
        tn_recurrent_layer_of(&r, i, scratch + tn_recurrent_gate_bytes(&r), &layer);
        TN_TRY(tn_recurrent_project(l, &r, i, layer.x, scratch, room));
        layer_args args = args_of(&r, &layer, scratch);
        TN_TRY(how == TENSOR ? run_tensor(l, &r, &args) : run_layer(l, &r, how == SENDING, &args));
    }
    return NULL;
}

static tn_status launch_sending(const tn_launch *l)
{
    return launch_as(l, SENDING);
}

static tn_status launch_barrier(const tn_launch *l)
{
    return launch_as(l, BARRIER);
}

static tn_status launch_tensor(const tn_launch *l)
{
    return launch_as(l, TENSOR);
}

#define ROW(called, operator_name, takes, scratch, launches)                                       \
    {                                                                                              \
        .name = called, .op = operator_name, .revision = 1, .needs = TN_SM90, .accepts = takes,    \
        .scratch_bytes = scratch, .launch = launches                                               \
    }

extern const tn_tactic tn_cuda_recurrent_cluster[];
const tn_tactic tn_cuda_recurrent_cluster[] = {
    ROW("cuda.recurrent_stack.half.cluster_tensor", "RecurrentStack", accepts_halves,
        tensor_scratch_bytes, launch_tensor),
    ROW("cuda.recurrent_stack.any.cluster_sending", "RecurrentStack", accepts, scratch_bytes,
        launch_sending),
    ROW("cuda.recurrent_stack.any.cluster_barrier", "RecurrentStack", accepts, scratch_bytes,
        launch_barrier),
    ROW("cuda.lstm.half.cluster_tensor", "LSTM", accepts_halves, tensor_scratch_bytes,
        launch_tensor),
    ROW("cuda.lstm.any.cluster_sending", "LSTM", accepts, scratch_bytes, launch_sending),
    ROW("cuda.lstm.any.cluster_barrier", "LSTM", accepts, scratch_bytes, launch_barrier),
    ROW("cuda.gru.half.cluster_tensor", "GRU", accepts_halves, tensor_scratch_bytes, launch_tensor),
    ROW("cuda.gru.any.cluster_sending", "GRU", accepts, scratch_bytes, launch_sending),
    ROW("cuda.gru.any.cluster_barrier", "GRU", accepts, scratch_bytes, launch_barrier),
    {0},
};
