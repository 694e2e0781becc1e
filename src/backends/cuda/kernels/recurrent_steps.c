/* Recurrent layers of any size, with sequences of any lengths, step by step: recurrent_steps.cu. */
#include <stdio.h>

#include "backends/cuda/kernels/recurrent.h"

extern const tn_cuda_source tn_cuda_source_recurrent_steps;

enum { ROWS = 8, WARPS = 4, BEGINNERS = 256 }; /* the first two as in the kernel */

static tn_verdict read(const tn_problem *p, tn_recurrent *out)
{
    tn_dtype dtype = p->in[0].dtype;
    if (dtype != TN_DTYPE_F32 && dtype != TN_DTYPE_F16 && dtype != TN_DTYPE_BF16)
        return TN_NO("the operands are not f32, f16 or bf16");
    tn_verdict verdict = tn_recurrent_read(p, out);
    if (verdict) return verdict;
    if (out->units > 1 << 20) return TN_NO("more than 2^20 units");
    if (out->batch > 65535 * ROWS) return TN_NO("more than 524280 sequences");
    return tn_recurrent_project_fits(out);
}

static tn_verdict accepts(const tn_problem *p)
{
    tn_recurrent r;
    return read(p, &r);
}

/* The projection; what lies between layers, twice; h before and after, c, and for a GRU whose reset
 * comes first z and r . h, as floats. */
typedef struct pieces {
    size_t gates, between, state;
    int states;
} pieces;

static pieces cut(const tn_recurrent *r)
{
    size_t state = (size_t)(r->directions * r->batch * r->units) * sizeof(float);
    return (pieces){.gates = tn_recurrent_gate_bytes(r),
                    .between = r->layers > 1 ? tn_recurrent_between_bytes(r) : 0,
                    .state = tn_align_up(state, TN_ALIGNMENT),
                    .states = r->cell == TN_CELL_GRU && r->reset_before ? 5 : 3};
}

static size_t scratch_bytes(const tn_problem *p)
{
    tn_recurrent r;
    if (read(p, &r)) return 0;
    pieces at = cut(&r);
    if (at.gates >= SIZE_MAX / 16 || at.between >= SIZE_MAX / 16) return SIZE_MAX / 4;
    return at.gates + 2 * at.between + (size_t)at.states * at.state;
}

/* ---- Launching -------------------------------------------------------------------------------*/

/* As in the kernel. */
typedef struct step_args {
    const void *r, *bias, *gates, *h0, *c0;
    void *y, *h_n, *c_n;
    const int32_t *lens;
    float *h_from, *h_to, *c, *update, *reset;
    int64_t gate_direction, gate_time, gate_batch;
    int64_t y_time, y_direction, y_batch, state_direction, state_batch;
    int32_t units, seq, batch, step, backward;
} step_args;

typedef struct kernels {
    const tn_cuda_function *begin, *step[2]; /* the second where a step has two phases */
} kernels;

/* Numbers of R that are read at once. */
static int vector_of(const tn_recurrent *r)
{
    bool even = r->units % 4 == 0;
    for (int l = 0; l < r->layers; l++)
        even = even && (uintptr_t)r->weights[3 * l + 1].data % 16 == 0;
    return even ? 4 : 1;
}

static tn_status find_kernels(const tn_launch *l, const tn_recurrent *r, bool phases, kernels *out)
{
    tn_cuda_card *card = tn_cuda_stream_of(l)->card;
    char options[160];
    for (int i = 0; i < (phases ? 2 : 1); i++) {
        snprintf(options, sizeof options, "-DCELL=%d -DGATES=%d -DTYPE=%s -DVEC=%d -DPHASE=%d",
                 (int)r->cell, r->gates, tn_cuda_type(r->x->dtype), vector_of(r),
                 phases ? i + 1 : 0);
        TN_TRY(tn_cuda_function_get(card, &tn_cuda_source_recurrent_steps, "recurrent_step",
                                    options, 0, &out->step[i]));
    }
    return tn_cuda_function_get(card, &tn_cuda_source_recurrent_steps, "recurrent_begin", options,
                                0, &out->begin);
}

static tn_status run_steps(const tn_launch *l, const tn_recurrent *r, const kernels *k, bool phases,
                           step_args *args)
{
    unsigned d = (unsigned)r->directions;
    void *pointers[] = {args};
    tn_cuda_grid begin = {.grid = {tn_cuda_blocks(r->batch * r->units, BEGINNERS), d},
                          .block = {BEGINNERS},
                          .overlap = true};
    tn_cuda_grid step = {
        .grid = {tn_cuda_blocks(r->units, WARPS), tn_cuda_blocks(r->batch, ROWS), d},
        .block = {32 * WARPS},
        .overlap = true};
    TN_TRY(tn_cuda_run(l, k->begin, &begin, pointers));
    for (int32_t s = 0; s < args->seq; s++) {
        args->step = s;
        for (int i = 0; i < (phases ? 2 : 1); i++)
            TN_TRY(tn_cuda_run(l, k->step[i], &step, pointers));
        float *turn = args->h_from;
        args->h_from = args->h_to;
        args->h_to = turn;
    }
    return NULL;
}

static step_args layer_args(const tn_recurrent *r, const tn_recurrent_layer *layer,
                            const pieces *at, char *scratch)
{
    char *states = scratch + at->gates + 2 * at->between;
    float *piece[5];
    for (int i = 0; i < 5; i++)
        piece[i] = (float *)(void *)(i < at->states ? states + (size_t)i * at->state : NULL);
    return (step_args){.r = layer->r,
                       .bias = layer->bias,
                       .gates = scratch,
                       .h0 = layer->h0,
                       .c0 = layer->c0,
                       .y = layer->y,
                       .h_n = layer->h_n,
                       .c_n = layer->c_n,
                       .lens = tn_recurrent_data(r->lens),
                       .h_from = piece[0],
                       .h_to = piece[1],
                       .c = piece[2],
                       .update = piece[3],
                       .reset = piece[4],
                       .gate_direction = r->seq * r->batch * r->gates * r->units,
                       .gate_time = layer->gate_time,
                       .gate_batch = layer->gate_batch,
                       .y_time = layer->y_time,
                       .y_direction = layer->y_direction,
                       .y_batch = layer->y_batch,
                       .state_direction = r->state_layer,
                       .state_batch = r->state_batch,
                       .units = (int32_t)r->units,
                       .seq = (int32_t)r->seq,
                       .batch = (int32_t)r->batch,
                       .backward = r->backward};
}

static tn_status launch(const tn_launch *l)
{
    tn_recurrent r;
    tn_verdict verdict = read(l->problem, &r);
    TN_CHECK(!verdict, TN_INTERNAL, "launching a problem that is not taken: %s", verdict);
    if (r.batch == 0) return NULL;
    pieces at = cut(&r);
    kernels k;
    bool phases = at.states == 5;
    TN_TRY(find_kernels(l, &r, phases, &k));
    char *scratch = l->scratch;
    for (int i = 0; i < r.layers; i++) {
        tn_recurrent_layer layer;
        tn_recurrent_layer_of(&r, i, scratch + at.gates, &layer);
        TN_TRY(tn_recurrent_project(l, &r, i, layer.x, scratch, NULL));
        step_args args = layer_args(&r, &layer, &at, scratch);
        TN_TRY(run_steps(l, &r, &k, phases, &args));
    }
    return NULL;
}

#define ROW(called, operator_name)                                                                 \
    {                                                                                              \
        .name = called, .op = operator_name, .revision = 1, .needs = TN_SM75, .accepts = accepts,  \
        .scratch_bytes = scratch_bytes, .launch = launch                                           \
    }

extern const tn_tactic tn_cuda_recurrent_steps[];
const tn_tactic tn_cuda_recurrent_steps[] = {
    ROW("cuda.recurrent_stack.any.steps", "RecurrentStack"),
    ROW("cuda.lstm.any.steps", "LSTM"),
    ROW("cuda.gru.any.steps", "GRU"),
    ROW("cuda.rnn.any.steps", "RNN"),
    {0},
};
