/* LSTM, GRU, RNN and RecurrentStack as the recurrent kernels see them: layers of one kind of cell,
 * with the steps through every tensor in elements. */
#ifndef TN_BACKENDS_CUDA_RECURRENT_H
#define TN_BACKENDS_CUDA_RECURRENT_H

#include "backends/cuda/cuda.h"

/* Numbers of cell_step in common.cuh, and of the options that kernels get. */
typedef enum tn_recurrent_cell {
    TN_CELL_LSTM,
    TN_CELL_GRU,
    TN_CELL_TANH,
    TN_CELL_RELU
} tn_recurrent_cell;

typedef struct tn_recurrent {
    tn_recurrent_cell cell;
    int gates, layers, directions;
    bool backward;     /* the only direction runs backwards */
    bool reset_before; /* GRU: r . h before the product with R */
    int64_t seq, batch, input, units;
    int64_t x_time, x_batch, y_time, y_direction, y_batch;
    int64_t state_layer, state_batch;    /* of states: (layer * directions + direction) steps */
    const tn_tensor *x, *h0, *c0, *lens; /* NULL where absent, as all that follow */
    const tn_tensor *y, *h_n, *c_n;
    const tn_tensor *weights; /* W, R, B of the first layer, then of the next ... */
    int first_weight;         /* its number among the inputs */
    bool has_bias, constant;  /* constant: all weights are */
} tn_recurrent;

/* Says no to activations, and whatever else, that cell_step does not do. */
tn_verdict tn_recurrent_read(const tn_problem *p, tn_recurrent *out);
/* Numbers that go into layer l. */
static inline int64_t tn_recurrent_input(const tn_recurrent *r, int layer)
{
    return layer == 0 ? r->input : r->directions * r->units;
}
/* The data of a tensor that may be absent. */
static inline void *tn_recurrent_data(const tn_tensor *t)
{
    return t ? t->data : NULL;
}

/* What comes from the input, of all steps of one layer, on its way: x W + Wb in [directions][rows
 * of x][gates * units], in the type of X. x: the layer's input, in the order of X, or of Y. In
 * `room`, of tn_recurrent_even_bytes, or NULL, rows become such as tensor cores read. */
tn_verdict tn_recurrent_project_fits(const tn_recurrent *r);
tn_status tn_recurrent_project(const tn_launch *l, const tn_recurrent *r, int layer, const void *x,
                               void *gates, void *room) TN_MUST_USE;
size_t tn_recurrent_even_bytes(const tn_recurrent *r);
/* Bytes of what lies between layers and of the projection, each at a multiple of TN_ALIGNMENT;
 * SIZE_MAX / 4 where they cannot be. */
size_t tn_recurrent_gate_bytes(const tn_recurrent *r);
size_t tn_recurrent_between_bytes(const tn_recurrent *r);

/* One layer of r, between layers [seq, batch, directions, units] at one of two places in turn. */
typedef struct tn_recurrent_layer {
    const void *x, *r, *bias, *h0, *c0;
    void *y, *h_n, *c_n;
    int64_t gate_time, gate_batch; /* of the projection, in rows */
    int64_t y_time, y_direction, y_batch;
} tn_recurrent_layer;
void tn_recurrent_layer_of(const tn_recurrent *r, int layer, void *between,
                           tn_recurrent_layer *out);

/* A stack, one step of its result, and a Linear of that, as one launch: see tn_card_calls.together.
 */
tn_status tn_recurrent_small_together(void *stream, const tn_launch *const *launch, int count,
                                      uint64_t hidden, int *taken) TN_MUST_USE;

#endif
