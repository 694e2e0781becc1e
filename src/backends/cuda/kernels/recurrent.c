/* Reading recurrent problems: see recurrent.h. */
#include <string.h>

#include "backends/cuda/kernels/product.h"
#include "backends/cuda/kernels/recurrent.h"
#include "ops/recurrent_stack/recurrent_stack.h"
#include "ops/rnn/rnn.h"

extern const tn_cuda_source tn_cuda_source_recurrent_rows;

static const tn_tensor *input(const tn_problem *p, int i)
{
    return i < p->in_count && p->in[i].dtype != TN_DTYPE_NONE ? &p->in[i] : NULL;
}

static const tn_tensor *output(const tn_problem *p, int i)
{
    return i < p->out_count && p->out[i].dtype != TN_DTYPE_NONE ? &p->out[i] : NULL;
}

static tn_verdict read_stack(const tn_problem *p, tn_recurrent *out)
{
    const tn_recurrent_stack_params *params = p->params;
    tn_recurrent_stack_shape s;
    tn_recurrent_stack_shape_of(p, &s);
    *out = (tn_recurrent){.cell = params->mode == TN_STACK_GRU ? TN_CELL_GRU : TN_CELL_LSTM,
                          .gates = (int)s.gates,
                          .layers = (int)s.layers,
                          .directions = (int)s.directions,
                          .reset_before = !params->linear_before_reset,
                          .seq = s.seq,
                          .batch = s.batch,
                          .input = s.input,
                          .units = s.hidden,
                          .x_time = s.x_time,
                          .x_batch = s.x_batch,
                          .y_time = s.y_time,
                          .y_direction = s.hidden,
                          .y_batch = s.y_batch,
                          .state_layer = s.batch * s.hidden,
                          .state_batch = s.hidden,
                          .x = &p->in[TN_STACK_X],
                          .h0 = input(p, TN_STACK_H0),
                          .c0 = input(p, TN_STACK_C0),
                          .y = output(p, TN_STACK_Y),
                          .h_n = output(p, TN_STACK_HN),
                          .c_n = output(p, TN_STACK_CN),
                          .weights = p->in + TN_STACK_WEIGHTS,
                          .first_weight = TN_STACK_WEIGHTS,
                          .has_bias = true};
    return s.input < 1 ? TN_NO("there are no inputs") : TN_YES;
}

/* The cell of a node by its name and functions; they must be the same in all directions. */
static tn_verdict read_cell(const tn_problem *p, tn_recurrent *out)
{
    const tn_rnn_params *params = p->params;
    static const tn_rnn_function gated[] = {TN_RNN_F_SIGMOID, TN_RNN_F_TANH, TN_RNN_F_TANH};
    bool plain = p->op[0] == 'R';
    int functions = plain ? 1 : p->op[0] == 'G' ? 2 : 3;
    out->cell = plain ? TN_CELL_TANH : p->op[0] == 'G' ? TN_CELL_GRU : TN_CELL_LSTM;
    if (plain && params->activations.count > 0 && params->activations.at[0] == TN_RNN_F_RELU)
        out->cell = TN_CELL_RELU;
    for (int i = 0; i < params->activations.count; i++) {
        int64_t usual = out->cell == TN_CELL_RELU ? TN_RNN_F_RELU
                        : plain                   ? TN_RNN_F_TANH
                                                  : (int64_t)gated[i % functions];
        if (params->activations.at[i] != usual) return TN_NO("the activations are not the usual");
    }
    if (params->clip > 0) return TN_NO("clip is set");
    if (params->input_forget) return TN_NO("input_forget is set");
    if (input(p, TN_RNN_P)) return TN_NO("there are peepholes");
    return TN_YES;
}

static tn_verdict read_node(const tn_problem *p, tn_recurrent *out)
{
    const tn_rnn_params *params = p->params;
    tn_rnn_shape s;
    tn_rnn_shape_of(p, &s);
    *out = (tn_recurrent){.gates = (int)s.gates,
                          .layers = 1,
                          .directions = (int)s.directions,
                          .backward = params->direction == TN_RNN_REVERSE,
                          .reset_before = !params->linear_before_reset,
                          .seq = s.seq,
                          .batch = s.batch,
                          .input = s.input,
                          .units = s.hidden,
                          .x_time = s.x_time,
                          .x_batch = s.x_batch,
                          .y_time = s.y_time,
                          .y_direction = s.y_direction,
                          .y_batch = s.y_batch,
                          .state_layer = s.state_direction,
                          .state_batch = s.state_batch,
                          .x = &p->in[TN_RNN_X],
                          .h0 = input(p, TN_RNN_H0),
                          .c0 = input(p, TN_RNN_C0),
                          .lens = input(p, TN_RNN_LENS),
                          .y = output(p, 0),
                          .h_n = output(p, 1),
                          .c_n = output(p, 2),
                          .weights = p->in + TN_RNN_W,
                          .first_weight = TN_RNN_W,
                          .has_bias = input(p, TN_RNN_B) != NULL};
    if (s.hidden < 1 || s.input < 1) return TN_NO("there are no units or no inputs");
    return read_cell(p, out);
}

static bool is_constant(const tn_problem *p, const tn_recurrent *r)
{
    int count = r->has_bias ? 3 * r->layers : 2;
    uint64_t bits = (count < 64 ? (UINT64_C(1) << count) - 1 : UINT64_MAX) << r->first_weight;
    return (p->in_constant & bits) == bits;
}

tn_verdict tn_recurrent_read(const tn_problem *p, tn_recurrent *out)
{
    bool stack = strcmp(p->op, "RecurrentStack") == 0;
    tn_verdict verdict = stack ? read_stack(p, out) : read_node(p, out);
    out->constant = is_constant(p, out);
    return verdict;
}

/* ---- What comes from the input ---------------------------------------------------------------*/

static void projection_of(const tn_recurrent *r, int layer, const void *x, void *gates,
                          tn_cuda_product *out)
{
    const tn_tensor *weight = r->weights + 3 * layer;
    int64_t rows = r->gates * r->units, count = tn_recurrent_input(r, layer);
    *out = (tn_cuda_product){.dtype = r->x->dtype,
                             .m = r->seq * r->batch,
                             .n = rows,
                             .k = count,
                             .a_deep = true,
                             .b_deep = true,
                             .lda = count,
                             .ldb = count,
                             .rank = 1,
                             .count = r->directions,
                             .dim = {r->directions},
                             .b_step = {rows * count},
                             .c_step = {2 * rows},
                             .a = x,
                             .b = weight[0].data,
                             .c = r->has_bias ? weight[2].data : NULL,
                             .y = gates,
                             .c_column = 1,
                             .y_row = rows,
                             .y_batch = r->seq * r->batch * rows,
                             .alpha = 1,
                             .beta = 1,
                             .weights = r->constant ? 2 : 0};
}

tn_verdict tn_recurrent_project_fits(const tn_recurrent *r)
{
    tn_cuda_product first, next;
    int64_t rows;
    if (!tn_mul_i64(r->seq, r->batch, &rows) || rows > INT32_MAX)
        return TN_NO("more than 2^31 - 1 steps of sequences");
    projection_of(r, 0, NULL, NULL, &first);
    projection_of(r, r->layers - 1, NULL, NULL, &next);
    tn_verdict verdict = tn_cuda_product_fits(&first);
    return verdict ? verdict : tn_cuda_product_fits(&next);
}

/* Rows of x and of W in a multiple of 8 elements; then W is as far behind x as x is long. */
static int64_t even_count(const tn_recurrent *r, int layer)
{
    int64_t count = tn_recurrent_input(r, layer);
    bool halves = tn_dtype_bits(r->x->dtype) == 16;
    return halves && count % 8 ? (count + 7) / 8 * 8 : 0;
}

size_t tn_recurrent_even_bytes(const tn_recurrent *r)
{
    int64_t first = even_count(r, 0), next = r->layers > 1 ? even_count(r, 1) : 0, count;
    int64_t rows = r->seq * r->batch + r->directions * r->gates * r->units;
    if (!tn_mul_i64(rows, first > next ? first : next, &count) || count > INT64_MAX / 16)
        return SIZE_MAX / 4;
    return tn_align_up((size_t)count * sizeof(uint16_t), TN_ALIGNMENT);
}

static tn_status make_even(const tn_launch *l, const tn_recurrent *r, int64_t even, char *room,
                           tn_cuda_product *product)
{
    enum { THREADS = 256 }; /* as in the kernel */
    struct {                /* likewise */
        const void *from[2];
        void *to[2];
        int64_t rows[2];
        int32_t count;
    } args = {.from = {product->a, product->b},
              .to = {room, room + product->m * even * (int64_t)sizeof(uint16_t)},
              .rows = {product->m, r->directions * product->n},
              .count = (int32_t)product->k};
    const tn_cuda_function *function;
    TN_TRY(tn_cuda_function_get(tn_cuda_stream_of(l)->card, &tn_cuda_source_recurrent_rows,
                                "recurrent_rows", "", 0, &function));
    int64_t threads = (args.rows[0] + args.rows[1]) * (even / 8);
    tn_cuda_grid grid = {
        .grid = {tn_cuda_blocks(threads, THREADS)}, .block = {THREADS}, .overlap = true};
    void *pointers[] = {&args};
    product->a = args.to[0];
    product->b = args.to[1];
    product->k = product->lda = product->ldb = even;
    product->b_step[0] = product->n * even;
    return tn_cuda_run(l, function, &grid, pointers);
}

/* The largest tiles that still keep a card busy; by tensor cores where these can read the operands.
 */
tn_status tn_recurrent_project(const tn_launch *l, const tn_recurrent *r, int layer, const void *x,
                               void *gates, void *room)
{
    enum { SIZES = 3 };
    static const int plain[SIZES] = {TN_CUDA_TILE_128X128, TN_CUDA_TILE_64X64, TN_CUDA_TILE_32X32};
    static const int tensor[SIZES] = {TN_CUDA_TENSOR_128X128, TN_CUDA_TENSOR_64X64,
                                      TN_CUDA_TENSOR_32X64};
    const tn_cuda_card *card = tn_cuda_stream_of(l)->card;
    tn_cuda_product product;
    projection_of(r, layer, x, gates, &product);
    int64_t even = even_count(r, layer);
    if (room && even && product.m > 0) TN_TRY(make_even(l, r, even, room, &product));
    bool halves = card->major >= 8 && !tn_cuda_product_tile_fits(&product, TN_CUDA_TENSOR_64X64);
    const int *tile = halves ? tensor : plain;
    int i = 0;
    for (; i + 1 < SIZES; i++) {
        const tn_cuda_tile *t = &tn_cuda_tiles[tile[i]];
        int64_t m = (product.m + t->m - 1) / t->m, n = (product.n + t->n - 1) / t->n;
        if (m * n * product.count >= card->multiprocessors) break;
    }
    return tn_cuda_product_run(l, &product, tile[i]);
}

static size_t bytes_of(const tn_recurrent *r, int64_t each)
{
    int64_t rows, count;
    if (!tn_mul_i64(r->seq, r->batch, &rows) || !tn_mul_i64(rows, r->directions * each, &count) ||
        !tn_mul_i64(count, tn_dtype_bytes(r->x->dtype, 1), &count) || count > INT64_MAX / 8)
        return SIZE_MAX / 4;
    return tn_align_up((size_t)count, TN_ALIGNMENT);
}

size_t tn_recurrent_gate_bytes(const tn_recurrent *r)
{
    return bytes_of(r, r->gates * r->units);
}

size_t tn_recurrent_between_bytes(const tn_recurrent *r)
{
    return bytes_of(r, r->units);
}

static void *offset(const tn_tensor *t, int64_t count)
{
    return t && t->data ? (char *)t->data + tn_dtype_bytes(t->dtype, count) : NULL;
}

void tn_recurrent_layer_of(const tn_recurrent *r, int layer, void *between, tn_recurrent_layer *out)
{
    const tn_tensor *weight = r->weights + 3 * layer;
    int64_t state = layer * r->directions * r->state_layer, all = r->directions * r->units;
    size_t one = tn_recurrent_between_bytes(r);
    *out = (tn_recurrent_layer){.x = r->x->data,
                                .r = weight[1].data,
                                .bias = r->has_bias ? weight[2].data : NULL,
                                .h0 = offset(r->h0, state),
                                .c0 = offset(r->c0, state),
                                .y = tn_recurrent_data(r->y),
                                .h_n = offset(r->h_n, state),
                                .c_n = offset(r->c_n, state),
                                .gate_time = r->x_time / r->input,
                                .gate_batch = r->x_batch / r->input,
                                .y_time = r->y_time,
                                .y_direction = r->y_direction,
                                .y_batch = r->y_batch};
    if (layer > 0) {
        out->x = (char *)between + (size_t)((layer + 1) % 2) * one;
        out->gate_time = r->batch;
        out->gate_batch = 1;
    }
    if (layer < r->layers - 1) {
        out->y = (char *)between + (size_t)(layer % 2) * one;
        out->y_time = r->batch * all;
        out->y_direction = r->units;
        out->y_batch = all;
    }
}
