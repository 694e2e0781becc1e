/* Recurrent layers whose R fits in the registers of a cluster of blocks: recurrent_cluster.cu. */
#include <stdio.h>

#include "backends/cuda/kernels/recurrent.h"

extern const tn_cuda_source tn_cuda_source_recurrent_cluster;

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

static size_t scratch_bytes(const tn_problem *p)
{
    tn_recurrent r;
    if (read(p, &r)) return 0;
    size_t gates = tn_recurrent_gate_bytes(&r), between = tn_recurrent_between_bytes(&r);
    if (gates >= SIZE_MAX / 16 || between >= SIZE_MAX / 16) return SIZE_MAX / 4;
    return gates + (r.layers > 1 ? 2 * between : 0);
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

static tn_status launch_as(const tn_launch *l, bool sending)
{
    tn_recurrent r;
    tn_verdict verdict = read(l->problem, &r);
    TN_CHECK(!verdict, TN_INTERNAL, "launching a problem that is not taken: %s", verdict);
    if (r.batch == 0) return NULL;
    char *scratch = l->scratch;
    for (int i = 0; i < r.layers; i++) {
        tn_recurrent_layer layer;
        tn_recurrent_layer_of(&r, i, scratch + tn_recurrent_gate_bytes(&r), &layer);
        TN_TRY(tn_recurrent_project(l, &r, i, layer.x, scratch));
        layer_args args = args_of(&r, &layer, scratch);
        TN_TRY(run_layer(l, &r, sending, &args));
    }
    return NULL;
}

static tn_status launch_sending(const tn_launch *l)
{
    return launch_as(l, true);
}

static tn_status launch_barrier(const tn_launch *l)
{
    return launch_as(l, false);
}

#define ROW(called, operator_name, launches)                                                       \
    {                                                                                              \
        .name = called, .op = operator_name, .revision = 1, .needs = TN_SM90, .accepts = accepts,  \
        .scratch_bytes = scratch_bytes, .launch = launches                                         \
    }

extern const tn_tactic tn_cuda_recurrent_cluster[];
const tn_tactic tn_cuda_recurrent_cluster[] = {
    ROW("cuda.recurrent_stack.any.cluster_sending", "RecurrentStack", launch_sending),
    ROW("cuda.recurrent_stack.any.cluster_barrier", "RecurrentStack", launch_barrier),
    ROW("cuda.lstm.any.cluster_sending", "LSTM", launch_sending),
    ROW("cuda.lstm.any.cluster_barrier", "LSTM", launch_barrier),
    ROW("cuda.gru.any.cluster_sending", "GRU", launch_sending),
    ROW("cuda.gru.any.cluster_barrier", "GRU", launch_barrier),
    {0},
};
