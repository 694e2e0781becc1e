/* Recurrent layers: one LSTM, GRU or RNN node for each layer of the stack.
 *
 * Weights are kept gate by gate, as views: PyTorch's matrices hold the gates as blocks of rows, the
 * operators want the blocks in another order and both directions in one tensor.
 */
#include <stdio.h>
#include <string.h>

#include "api/network.h"

enum { STACK_MAX = 4096, GATES_MAX = 4 };

static const char *const gate_names[TN_GATES] = {"input", "forget", "cell",  "output",
                                                 "reset", "update", "hidden"};

typedef struct cell {
    const char *op;
    int gates;
    tn_cell_gate torch[GATES_MAX], onnx[GATES_MAX]; /* in whose order */
    const char *activation;                         /* of a simple network */
} cell;

static const cell cells[] = {
    [TN_RNN_LSTM] = {"LSTM",
                     4,
                     {TN_GATE_INPUT, TN_GATE_FORGET, TN_GATE_CELL, TN_GATE_OUTPUT},
                     {TN_GATE_INPUT, TN_GATE_OUTPUT, TN_GATE_FORGET, TN_GATE_CELL},
                     NULL},
    [TN_RNN_GRU] = {"GRU",
                    3,
                    {TN_GATE_RESET, TN_GATE_UPDATE, TN_GATE_HIDDEN},
                    {TN_GATE_UPDATE, TN_GATE_RESET, TN_GATE_HIDDEN},
                    NULL},
    [TN_RNN_TANH] = {"RNN", 1, {TN_GATE_INPUT}, {TN_GATE_INPUT}, "Tanh"},
    [TN_RNN_RELU] = {"RNN", 1, {TN_GATE_INPUT}, {TN_GATE_INPUT}, "Relu"},
};

typedef struct stack {
    const cell *cell;
    int64_t hidden;
    int layers, directions;
} stack;

static stack stack_of(const tn_layer *layer)
{
    const tn_kept *hidden = tn_layer_find(layer, TN_SET_HIDDEN),
                  *layers = tn_layer_find(layer, TN_SET_LAYERS),
                  *both = tn_layer_find(layer, TN_SET_BIDIRECTIONAL),
                  *type = tn_layer_find(layer, TN_SET_TYPE);
    return (stack){&cells[type->number[0]], hidden->number[0], (int)layers->number[0],
                   both->number[0] ? 2 : 1};
}

/* ---- Writing ---------------------------------------------------------------------------------*/

/* Zeros in the graph's memory. */
static bool new_tensor(const tn_pen *pen, tn_dtype dtype, const int64_t *dim, int rank,
                       tn_tensor *out)
{
    *out = tn_tensor_of(dtype, dim, rank, NULL);
    int64_t bytes = tn_tensor_bytes(out);
    out->data = bytes >= 0 ? tn_arena_alloc(pen->draft->graph->arena, (size_t)bytes) : NULL;
    if (!out->data) tn_pen_fail(pen, TN_OUT_OF_MEMORY, "no memory for its weights");
    return out->data != NULL;
}

/* Block `index` of a tensor that is a row of blocks of this shape. */
static tn_status copy_block(const tn_tensor *src, const tn_tensor *whole, int64_t index)
{
    tn_tensor part = tn_tensor_of(whole->dtype, src->dim, src->rank, NULL);
    part.data = (char *)whole->data + index * tn_tensor_bytes(&part);
    return tn_tensor_copy(src, &part);
}

/* The weights on the input (recurrent 0) or on the state (1) of layer `at`, [directions, gates *
 * hidden, in]. */
static tn_value *join_weights(const tn_pen *pen, const stack *s, int at, int recurrent)
{
    tn_tensor whole = {.data = NULL};
    char name[256];
    for (int k = 0; k < s->directions * s->cell->gates && !pen->draft->failed; k++) {
        int direction = k / s->cell->gates;
        tn_cell_gate gate = s->cell->onnx[k % s->cell->gates];
        const tn_tensor *w =
            &pen->layer->gate[(at * s->directions + direction) * TN_GATES + gate].weight[recurrent];
        int64_t dim[] = {s->directions, s->cell->gates * s->hidden, w->dim[1]};
        if (w->dtype == TN_DTYPE_NONE) {
            tn_pen_fail(pen, TN_INVALID,
                        "layer %d, direction %d: the %s gate has no weight on the %s", at,
                        direction, gate_names[gate], recurrent ? "state" : "input");
            return NULL;
        }
        if (!whole.data && !new_tensor(pen, w->dtype, dim, 3, &whole)) return NULL;
        if (w->dtype != whole.dtype || w->dim[1] != whole.dim[2])
            tn_pen_fail(
                pen, TN_INVALID,
                "layer %d, direction %d: the weight of the %s gate is %s[%lld,%lld], others "
                "are %s[%lld,%lld]",
                at, direction, gate_names[gate], tn_dtype_name(w->dtype), (long long)w->dim[0],
                (long long)w->dim[1], tn_dtype_name(whole.dtype), (long long)s->hidden,
                (long long)whole.dim[2]);
        else tn_draft_try(pen->draft, copy_block(w, &whole, k));
    }
    snprintf(name, sizeof(name), "%s.%s_l%d", tn_layer_name(pen->layer), recurrent ? "r" : "w", at);
    return tn_pen_constant(pen, name, &whole, false);
}

/* [directions, 2 * gates * hidden]; NULL where no gate has one. */
static tn_value *join_biases(const tn_pen *pen, const stack *s, int at)
{
    tn_tensor whole = {.data = NULL};
    char name[256];
    int gates = s->cell->gates;
    for (int k = 0; k < s->directions * 2 * gates && !pen->draft->failed; k++) {
        int direction = k / (2 * gates), recurrent = k / gates % 2;
        const tn_cell_weights *g =
            &pen->layer
                 ->gate[(at * s->directions + direction) * TN_GATES + s->cell->onnx[k % gates]];
        const tn_tensor *b = &g->bias[recurrent];
        int64_t dim[] = {s->directions, 2 * gates * s->hidden};
        if (b->dtype == TN_DTYPE_NONE) continue;
        if (!whole.data && !new_tensor(pen, b->dtype, dim, 2, &whole)) return NULL;
        if (b->dtype != whole.dtype)
            tn_pen_fail(pen, TN_INVALID, "layer %d: biases are of types %s and %s", at,
                        tn_dtype_name(whole.dtype), tn_dtype_name(b->dtype));
        else tn_draft_try(pen->draft, copy_block(b, &whole, k));
    }
    if (!whole.data || pen->draft->failed) return NULL;
    snprintf(name, sizeof(name), "%s.b_l%d", tn_layer_name(pen->layer), at);
    return tn_pen_constant(pen, name, &whole, false);
}

/* The states of layer `at` out of those of all. */
static tn_value *cut_state(const tn_pen *pen, const stack *s, tn_value *all, int at)
{
    if (!all || s->layers == 1) return all;
    return tn_draft_slice(pen->draft, NULL, all, 0, (int64_t)at * s->directions,
                          (int64_t)(at + 1) * s->directions);
}

static tn_value *write_layer(const tn_pen *pen, const stack *s, int at, tn_value *x, tn_value **h,
                             tn_value **c)
{
    bool lstm = s->cell->gates == 4;
    tn_value *out[3] = {NULL}, *w = join_weights(pen, s, at, 0), *r = join_weights(pen, s, at, 1),
             *b = join_biases(pen, s, at);
    tn_string names[] = {{s->cell->activation, 4}, {s->cell->activation, 4}};
    tn_attr attr[3] = {tn_attr_int("hidden_size", s->hidden),
                       tn_attr_text("direction", s->directions == 2 ? "bidirectional" : "forward")};
    int count = 2;
    char name[256];
    if (s->cell->activation)
        attr[count++] = (tn_attr){
            .name = "activations", .kind = TN_ATTR_TEXTS, .texts = names, .count = s->directions};
    else if (!lstm) attr[count++] = tn_attr_int("linear_before_reset", 1);
    snprintf(name, sizeof(name), "%s/l%d", tn_layer_name(pen->layer), at);
    tn_draft_ops(pen->draft, s->cell->op, name,
                 TN_IN(x, w, r, b, pen->in[3], cut_state(pen, s, pen->in[1], at),
                       lstm ? cut_state(pen, s, pen->in[2], at) : NULL),
                 attr, count, out, lstm ? 3 : 2);
    *h = out[1];
    *c = out[2];
    /* [time, directions, batch, hidden] to [time, batch, directions * hidden] */
    if (s->directions == 1) return tn_draft_squeeze(pen->draft, NULL, out[0], 1);
    tn_value *y = tn_draft_transpose(pen->draft, NULL, out[0], TN_DIMS(0, 2, 1, 3));
    return tn_pen_reshape(pen, y, TN_DIMS(0, 0, 2 * s->hidden));
}

static void write_rnn(tn_pen *pen)
{
    stack s = stack_of(pen->layer);
    tn_draft *d = pen->draft;
    bool batch_first = tn_pen_int(pen, TN_SET_BATCH_FIRST, 0) != 0;
    tn_value **h = TN_NEW_ARRAY(d->graph->arena, tn_value *, 2 * s.layers), **c = h + s.layers;
    if (!h) {
        tn_pen_fail(pen, TN_OUT_OF_MEMORY, "no memory to write it");
        return;
    }
    if (pen->in[2] && s.cell->gates != 4)
        tn_pen_fail(pen, TN_INVALID, "input 2, the first c, is for an LSTM");
    tn_value *y = pen->in[0];
    if (batch_first) y = tn_draft_transpose(d, NULL, y, TN_DIMS(1, 0, 2));
    for (int i = 0; i < s.layers && !d->failed; i++) y = write_layer(pen, &s, i, y, &h[i], &c[i]);
    if (batch_first) y = tn_draft_transpose(d, NULL, y, TN_DIMS(1, 0, 2));
    pen->out[0] = tn_pen_op(pen, "Identity", TN_IN(y), TN_PLAIN);
    tn_attr axis = tn_attr_int("axis", 0);
    pen->out[1] = s.layers == 1 ? h[0] : tn_pen_part(pen, "Concat", h, s.layers, &axis, 1);
    if (s.cell->gates == 4)
        pen->out[2] = s.layers == 1 ? c[0] : tn_pen_part(pen, "Concat", c, s.layers, &axis, 1);
}

/* ---- Weights ---------------------------------------------------------------------------------*/

/* A weight with the shape it must have; -1: any. */
static bool check_weight(tn_layer *layer, const char *what, const tn_tensor *w, int rank,
                         int64_t rows, int64_t columns)
{
    char is[128];
    tn_status status = tn_layer_check_tensor(layer, what, w);
    if (status) {
        tn_network_fail(layer->network, status);
        return false;
    }
    bool fits = tn_dtype_kind_of(w->dtype) == TN_KIND_F && tn_dtype_bits(w->dtype) >= 16 &&
                w->rank == rank && w->dim[0] == rows &&
                (rank == 1 || columns == -1 || w->dim[1] == columns);
    if (fits) return true;
    tn_tensor_type_text(w, is, sizeof(is));
    if (rank == 1)
        tn_layer_fail(layer, TN_INVALID, "%s is %s, must be floats [%lld]", what, is,
                      (long long)rows);
    else if (columns == -1)
        tn_layer_fail(layer, TN_INVALID, "%s is %s, must be floats [%lld, in]", what, is,
                      (long long)rows);
    else
        tn_layer_fail(layer, TN_INVALID, "%s is %s, must be floats [%lld,%lld]", what, is,
                      (long long)rows, (long long)columns);
    return false;
}

/* What the input of layer `at` of the stack has; -1: x says. */
static int64_t input_size(const stack *s, int at)
{
    return at ? s->hidden * s->directions : -1;
}

/* A matrix of PyTorch, cut into its gates. */
static bool keep_matrix(tn_layer *layer, const stack *s, int index, int part,
                        const tn_tensor *given)
{
    static const char *const parts[] = {"weight_ih", "weight_hh", "bias_ih", "bias_hh"};
    char what[64];
    bool recurrent = part % 2, bias = part >= 2;
    int at = index / s->directions;
    snprintf(what, sizeof(what), "%s_l%d%s", parts[part], at,
             index % s->directions ? "_reverse" : "");
    if (!check_weight(layer, what, given, bias ? 1 : 2, s->cell->gates * s->hidden,
                      recurrent ? s->hidden : input_size(s, at)))
        return false;
    tn_tensor w = *given;
    if (tn_tensor_is_dense(&w)) tn_tensor_set_dense(&w);
    int64_t step = w.stride[0] * s->hidden * tn_dtype_bits(w.dtype) / 8;
    w.dim[0] = s->hidden;
    for (int k = 0; k < s->cell->gates; k++) {
        tn_cell_weights *g = &layer->gate[index * TN_GATES + s->cell->torch[k]];
        tn_tensor *kept = bias ? &g->bias[recurrent] : &g->weight[recurrent];
        *kept = w;
        kept->data = (char *)w.data + k * step;
    }
    return true;
}

tn_layer *tn_layer_set_gate(tn_layer *rnn, int index, tn_cell_gate gate, bool recurrent,
                            const tn_tensor *weight, const tn_tensor *bias)
{
    char what[96];
    if (!rnn || rnn->network->failed) return rnn;
    tn_layer *layer = rnn->base;
    if (!layer->gate) {
        tn_layer_fail(layer, TN_INVALID, "has no gates");
        return rnn;
    }
    stack s = stack_of(layer);
    bool has = false;
    for (int k = 0; k < s.cell->gates; k++) has = has || s.cell->torch[k] == gate;
    if (!has) {
        tn_layer_fail(layer, TN_INVALID, "%s has no gate %d%s%s", s.cell->op, (int)gate,
                      gate < TN_GATES ? ", " : "", gate < TN_GATES ? gate_names[gate] : "");
        return rnn;
    }
    if (index < 0 || index >= s.layers * s.directions) {
        tn_layer_fail(layer, TN_INVALID, "there is no index %d: it has %d layers, %d directions",
                      index, s.layers, s.directions);
        return rnn;
    }
    snprintf(what, sizeof(what), "the weight of the %s gate on the %s", gate_names[gate],
             recurrent ? "state" : "input");
    if (!check_weight(layer, what, weight, 2, s.hidden,
                      recurrent ? s.hidden : input_size(&s, index / s.directions)))
        return rnn;
    if (bias && !check_weight(layer, "a bias", bias, 1, s.hidden, -1)) return rnn;
    tn_cell_weights *g = &layer->gate[index * TN_GATES + gate];
    g->weight[recurrent] = *weight;
    g->bias[recurrent] = bias ? *bias : (tn_tensor){.dtype = TN_DTYPE_NONE};
    tn_layer_touch(layer);
    return rnn;
}

static bool take_weights(tn_layer *layer, const tn_tensor *weights, int count)
{
    stack s = stack_of(layer);
    int each = s.layers * s.directions, parts = count == 4 * each ? 4 : 2;
    layer->gate = TN_NEW_ARRAY(&layer->network->arena, tn_cell_weights, each * TN_GATES);
    if (!layer->gate) {
        tn_layer_fail(layer, TN_OUT_OF_MEMORY, "no memory for its weights");
        return false;
    }
    if (count == 0) return true;
    if (count != parts * each || !weights) {
        tn_layer_fail(layer, TN_INVALID,
                      "%d weights%s; %d layers of %d directions have %d, or %d with biases", count,
                      weights ? "" : " at NULL", s.layers, s.directions, 2 * each, 4 * each);
        return false;
    }
    for (int i = 0; i < count; i++)
        if (!keep_matrix(layer, &s, i / parts, i % parts, &weights[i])) return false;
    return true;
}

tn_layer *tn_network_add_rnn(tn_network *network, tn_rnn_type type, tn_layer *x, int64_t hidden,
                             int64_t layers, bool bidirectional, const tn_tensor *weights,
                             int count)
{
    static const tn_layer_kind kinds[] = {
        {"rnn", TN_HAS(BATCH_FIRST), 1, 4, 2, write_rnn},
        {"lstm", TN_HAS(BATCH_FIRST), 1, 4, 3, write_rnn},
        {"gru", TN_HAS(BATCH_FIRST), 1, 4, 2, write_rnn},
    };
    int kind = type == TN_RNN_LSTM ? 1 : type == TN_RNN_GRU ? 2 : 0;
    tn_layer *layer = tn_layer_add(network, &kinds[kind], TN_LAYERS(x));
    if (!layer) return NULL;
    if ((int)type < 0 || type >= (int)TN_COUNT(cells))
        tn_layer_fail(layer, TN_INVALID, "there is no type %d", (int)type);
    if (hidden < 1 || hidden > INT32_MAX / 64)
        tn_layer_fail(layer, TN_INVALID, "%lld hidden units", (long long)hidden);
    if (layers < 1 || layers > STACK_MAX)
        tn_layer_fail(layer, TN_INVALID, "%lld layers; it can have 1 to %d", (long long)layers,
                      STACK_MAX);
    tn_layer_keep(layer, TN_SET_TYPE, (int64_t)type);
    tn_layer_keep(layer, TN_SET_HIDDEN, hidden);
    tn_layer_keep(layer, TN_SET_LAYERS, layers);
    tn_layer_keep(layer, TN_SET_BIDIRECTIONAL, bidirectional);
    if (network->failed || !take_weights(layer, weights, count)) return NULL;
    return layer;
}

tn_layer *tn_network_add_lstm(tn_network *network, tn_layer *x, int64_t hidden, int64_t layers,
                              bool bidirectional, const tn_tensor *weights, int count)
{
    return tn_network_add_rnn(network, TN_RNN_LSTM, x, hidden, layers, bidirectional, weights,
                              count);
}
