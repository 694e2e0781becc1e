/* LSTM, GRU, RNN and stacks of them by cuDNN: each of its algorithms is a tactic, so that a build
 * measures them. "standard" is a product for each step, "persist" keeps R on the card's
 * multiprocessors. In float the latter has tanh and the sigmoid from less than all digits (results
 * are off by 4e-6 to 1e-5), so it waits until tf32 is allowed; with bf16 it is the former.
 *
 * Its functions are those of ONNX where a GRU resets behind the product. Weights stand in one
 * piece, as lay_out says: what W and R of all layers are made of, then all biases. The library is
 * asked whether that is so before a problem is taken. */
#include <pthread.h>
#include <string.h>

#include "backends/cuda/dnn.h"
#include "backends/cuda/kernels/recurrent.h"

typedef struct rnn_s *rnn_desc;
typedef struct data_s *data_desc;

/* As the library numbers them. */
enum { RELU = 0, TANH = 1, LSTM = 2, GRU = 3 };
enum { STANDARD = 0, PERSIST = 1 };
enum { TWO_BIASES = 2, LINEAR_INPUT = 0, INFERENCE = 0, MATH_DEFAULT = 0 };
enum { BY_TIME = 1, BY_BATCH = 2, PADDED = 1 }; /* layouts, and what the second wants */

#define CALLS(X)                                                                                   \
    X(rnn_new, "cudnnCreateRNNDescriptor", (rnn_desc * rnn))                                       \
    X(rnn_free, "cudnnDestroyRNNDescriptor", (rnn_desc rnn))                                       \
    X(rnn_set, "cudnnSetRNNDescriptor_v8",                                                         \
      (rnn_desc rnn, int algorithm, int cell, int biases, int directions, int input, int type,     \
       int precision, int math, int32_t inputs, int32_t units, int32_t projected, int32_t layers,  \
       void *dropout, uint32_t flags))                                                             \
    X(data_new, "cudnnCreateRNNDataDescriptor", (data_desc * data))                                \
    X(data_free, "cudnnDestroyRNNDataDescriptor", (data_desc data))                                \
    X(data_set, "cudnnSetRNNDataDescriptor",                                                       \
      (data_desc data, int type, int layout, int seq, int batch, int size, const int *lens,        \
       void *padding))                                                                             \
    X(workspace, "cudnnGetRNNTempSpaceSizes",                                                      \
      (tn_dnn_handle handle, rnn_desc rnn, int mode, data_desc x, size_t *bytes, size_t *reserve)) \
    X(weight_bytes, "cudnnGetRNNWeightSpaceSize",                                                  \
      (tn_dnn_handle handle, rnn_desc rnn, size_t * bytes))                                        \
    X(weight_at, "cudnnGetRNNWeightParams",                                                        \
      (tn_dnn_handle handle, rnn_desc rnn, int32_t layer, size_t bytes, const void *weights,       \
       int32_t number, tn_dnn_tensor matrix_desc, void **matrix, tn_dnn_tensor bias_desc,          \
       void **bias))                                                                               \
    X(forward, "cudnnRNNForward",                                                                  \
      (tn_dnn_handle handle, rnn_desc rnn, int mode, const int32_t *lens, data_desc x_desc,        \
       const void *x, data_desc y_desc, void *y, tn_dnn_tensor h_desc, const void *h0, void *h_n,  \
       tn_dnn_tensor c_desc, const void *c0, void *c_n, size_t weight_bytes, const void *weights,  \
       size_t workspace_bytes, void *workspace, size_t reserve_bytes, void *reserve))
#define MEMBER(member, symbol, parameters) tn_dnn_result(*member) parameters;
typedef struct calls {
    CALLS(MEMBER)
} calls;
#undef MEMBER

/* The lock is of the first card's handle too, by which questions are asked. */
static struct {
    pthread_mutex_t lock;
    bool begun, usable;
    calls calls;
} all = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* The lock is held. */
static bool begin(void)
{
#define ROW(member, name, parameters) {name, offsetof(calls, member)},
    static const tn_cuda_symbol rows[] = {CALLS(ROW)};
#undef ROW
    if (!all.begun) all.usable = tn_dnn_fill(rows, TN_COUNT(rows), &all.calls);
    all.begun = true;
    return all.usable;
}

/* ---- Weights ---------------------------------------------------------------------------------*/

/* Its gates by the numbers that ONNX gives them: i f c o, and r z h. */
static int onnx_gate(const tn_recurrent *r, int gate)
{
    static const int lstm[] = {0, 2, 3, 1}, gru[] = {1, 0, 2};
    return r->cell == TN_CELL_LSTM ? lstm[gate] : r->cell == TN_CELL_GRU ? gru[gate] : 0;
}

/* Elements ahead of W of layer l and direction d, which R follows, and of its biases; ahead of
 * those of layer `layers`: of all. */
typedef struct place {
    int64_t matrix, bias;
} place;

static place lay_out(const tn_recurrent *r, int layer, int direction)
{
    int64_t rows = r->gates * r->units, matrices = 0, here = 0;
    for (int l = 0; l < r->layers; l++) {
        int64_t each = rows * (tn_recurrent_input(r, l) + r->units);
        matrices += r->directions * each;
        if (l < layer) here += r->directions * each;
        if (l == layer) here += direction * each;
    }
    return (place){here, matrices + (layer * r->directions + direction) * 2 * rows};
}

static int64_t weight_count(const tn_recurrent *r)
{
    return lay_out(r, r->layers, 0).bias;
}

static void copy_gates(const tn_recurrent *r, char *to, const void *from, int64_t before,
                       int64_t width)
{
    tn_dtype dtype = r->x->dtype;
    size_t bytes = (size_t)tn_dtype_bytes(dtype, r->units * width);
    const char *first = (const char *)from + tn_dtype_bytes(dtype, before);
    for (int g = 0; g < r->gates; g++)
        memcpy(to + (size_t)g * bytes, first + (size_t)onnx_gate(r, g) * bytes, bytes);
}

static tn_status pack(const tn_problem *p, void *dst)
{
    tn_recurrent r;
    tn_verdict verdict = tn_recurrent_read(p, &r);
    TN_CHECK(!verdict, TN_INTERNAL, "packing a problem that is not taken: %s", verdict);
    tn_dtype dtype = r.x->dtype;
    int64_t rows = r.gates * r.units;
    memset(dst, 0, (size_t)tn_dtype_bytes(dtype, weight_count(&r)));
    for (int i = 0; i < r.layers * r.directions; i++) {
        int layer = i / r.directions, d = i % r.directions;
        const tn_tensor *weight = r.weights + 3 * layer;
        int64_t inputs = tn_recurrent_input(&r, layer);
        place at = lay_out(&r, layer, d);
        char *matrix = (char *)dst + tn_dtype_bytes(dtype, at.matrix);
        char *bias = (char *)dst + tn_dtype_bytes(dtype, at.bias);
        copy_gates(&r, matrix, weight[0].data, d * rows * inputs, inputs);
        matrix += tn_dtype_bytes(dtype, rows * inputs);
        copy_gates(&r, matrix, weight[1].data, d * rows * r.units, r.units);
        if (!r.has_bias) continue;
        copy_gates(&r, bias, weight[2].data, d * 2 * rows, 1);
        bias += tn_dtype_bytes(dtype, rows);
        copy_gates(&r, bias, weight[2].data, (d * 2 + 1) * rows, 1);
    }
    return NULL;
}

/* A tactic. */
typedef struct manner {
    int algorithm, math; /* math: of floats */
    bool halves, floats; /* that it is for */
} manner;

/* ---- Descriptors -----------------------------------------------------------------------------*/

typedef struct words {
    rnn_desc rnn;
    data_desc x, y;
    tn_dnn_tensor state, matrix, bias;
    size_t workspace;
} words;

enum { BATCH_MAX = 4096 };

/* How X and Y lie, or 0: the directions of a step are not side by side. */
static int layout_of(const tn_recurrent *r)
{
    int64_t both = r->directions * r->units;
    bool beside = r->directions == 1 || r->y_direction == r->units;
    bool states = (r->batch == 1 || r->state_batch == r->units) &&
                  (r->directions * r->layers == 1 || r->state_layer == r->batch * r->units);
    if (!beside || !states) return 0;
    if (r->batch == 1 || (r->x_batch == r->input && r->y_batch == both)) return BY_TIME;
    return r->x_time == r->input && r->y_time == both ? BY_BATCH : 0;
}

static void words_free(words *d)
{
    const char *why;
    const tn_dnn *dnn = tn_dnn_open(&why);
    if (d->rnn) all.calls.rnn_free(d->rnn);
    if (d->x) all.calls.data_free(d->x);
    if (d->y) all.calls.data_free(d->y);
    if (d->state) dnn->tensor_free(d->state);
    if (d->matrix) dnn->tensor_free(d->matrix);
    if (d->bias) dnn->tensor_free(d->bias);
}

/* What is made stays in d, also where it fails. */
static bool words_make(const tn_recurrent *r, const manner *how, tn_dnn_handle handle, words *d)
{
    static const int cells[] = {LSTM, GRU, TANH, RELU};
    const char *why;
    const tn_dnn *dnn = tn_dnn_open(&why);
    int type = tn_dnn_type(r->x->dtype), seq = (int)r->seq, batch = (int)r->batch;
    int units = (int)r->units, both = r->directions * units, lens[BATCH_MAX];
    int math = type == TN_DNN_F32 ? how->math : TN_DNN_MATH_TENSOR, layout = layout_of(r);
    int dim[] = {r->layers * r->directions, batch, units}, step[] = {batch * units, units, 1};
    size_t reserve;
    for (int i = 0; i < batch; i++) lens[i] = seq;
    return !all.calls.rnn_new(&d->rnn) &&
           !all.calls.rnn_set(d->rnn, how->algorithm, cells[r->cell], TWO_BIASES, r->directions - 1,
                              LINEAR_INPUT, type, TN_DNN_F32, math, (int32_t)r->input, units, units,
                              r->layers, NULL, layout == BY_BATCH ? PADDED : 0) &&
           !all.calls.data_new(&d->x) && !all.calls.data_new(&d->y) &&
           !all.calls.data_set(d->x, type, layout, seq, batch, (int)r->input, lens, NULL) &&
           !all.calls.data_set(d->y, type, layout, seq, batch, both, lens, NULL) &&
           !dnn->tensor_new(&d->state) && !dnn->tensor_set(d->state, type, 3, dim, step) &&
           !all.calls.workspace(handle, d->rnn, INFERENCE, d->x, &d->workspace, &reserve);
}

/* Does the library want weights as pack lays them out? */
static bool is_laid_out(const tn_recurrent *r, tn_dnn_handle handle, words *d)
{
    const char *why;
    const tn_dnn *dnn = tn_dnn_open(&why);
    tn_dtype dtype = r->x->dtype;
    char *base = (char *)(uintptr_t)(1 << 20); /* it only adds to it */
    size_t bytes, all_bytes = (size_t)tn_dtype_bytes(dtype, weight_count(r));
    if (all.calls.weight_bytes(handle, d->rnn, &bytes) || bytes != all_bytes) return false;
    if (dnn->tensor_new(&d->matrix) || dnn->tensor_new(&d->bias)) return false;
    for (int i = 0; i < r->layers * r->directions; i++) {
        place at = lay_out(r, i / r->directions, i % r->directions);
        int64_t inputs = tn_recurrent_input(r, i / r->directions);
        for (int g = 0; g < 2 * r->gates; g++) {
            void *matrix, *bias;
            if (all.calls.weight_at(handle, d->rnn, i, bytes, base, g, d->matrix, &matrix, d->bias,
                                    &bias))
                return false;
            int of_x = TN_MIN(g, r->gates), of_h = g - of_x;
            int64_t ahead = at.matrix + r->units * (of_x * inputs + of_h * r->units);
            if ((char *)matrix != base + tn_dtype_bytes(dtype, ahead) ||
                (char *)bias != base + tn_dtype_bytes(dtype, at.bias + g * r->units))
                return false;
        }
    }
    return true;
}

/* ---- Answers ---------------------------------------------------------------------------------*/

static tn_verdict read(const tn_problem *p, const manner *how, tn_recurrent *out)
{
    tn_dtype dtype = p->in[0].dtype;
    if (tn_dnn_type(dtype) < 0) return TN_NO("the operands are not f32, f16 or bf16");
    if (!how->halves && dtype != TN_DTYPE_F32) return TN_NO("the operands are not f32");
    if (!how->floats && dtype != TN_DTYPE_F16) return TN_NO("the operands are not f16");
    tn_verdict verdict = tn_recurrent_read(p, out);
    if (verdict) return verdict;
    if (out->lens) return TN_NO("sequences have lengths of their own");
    if (out->backward) return TN_NO("it runs backwards alone");
    if (out->cell == TN_CELL_GRU && out->reset_before)
        return TN_NO("the reset comes before the product");
    if (out->cell == TN_CELL_GRU && dtype == TN_DTYPE_BF16)
        return TN_NO("cuDNN rounds more of a GRU to bf16 than h");
    if (!out->constant) return TN_NO("the weights are not constant");
    if (out->seq < 1 || out->batch < 1) return TN_NO("there is nothing to do");
    if (out->batch > BATCH_MAX) return TN_NO("more than 4096 sequences");
    if (!layout_of(out)) return TN_NO("the directions of a step are not side by side");
    int64_t wide = TN_MAX(out->input, out->gates * out->directions * out->units), count;
    if (wide > INT32_MAX || !tn_mul_i64(out->seq * out->batch, wide, &count) || count > INT32_MAX)
        return TN_NO("there are 2^31 elements or more");
    return TN_YES;
}

/* By the first card, since a problem does not say where it will run. */
static tn_verdict ask(const tn_recurrent *r, const manner *how, size_t *workspace)
{
    const char *why;
    tn_dnn_handle handle;
    words d = {0};
    tn_verdict verdict = TN_NO("cuDNN was not found");
    if (!tn_dnn_open(&why)) return verdict;
    pthread_mutex_lock(&all.lock);
    if (begin() && !tn_dnn_card_handle(0, &handle) && handle) {
        verdict = TN_YES;
        if (!words_make(r, how, handle, &d))
            verdict = TN_NO("cuDNN has no such algorithm for these shapes");
        else if (!is_laid_out(r, handle, &d)) verdict = TN_NO("cuDNN lays weights out otherwise");
        words_free(&d);
    }
    pthread_mutex_unlock(&all.lock);
    *workspace = d.workspace;
    return verdict;
}

static tn_verdict accepts(const tn_problem *p, const manner *how)
{
    const size_t most = (size_t)1 << 30;
    tn_recurrent r;
    size_t workspace;
    tn_verdict verdict = read(p, how, &r);
    if (!verdict) verdict = ask(&r, how, &workspace);
    if (verdict) return verdict;
    return workspace > most ? TN_NO("cuDNN wants more than a gigabyte of workspace") : TN_YES;
}

/* It writes Y in any case. */
static size_t own_y_bytes(const tn_recurrent *r)
{
    int64_t count = r->seq * r->batch * r->directions * r->units;
    return r->y ? 0 : tn_align_up((size_t)tn_dtype_bytes(r->x->dtype, count), TN_ALIGNMENT);
}

static size_t scratch_bytes(const tn_problem *p, const manner *how)
{
    tn_recurrent r;
    size_t workspace;
    if (read(p, how, &r) || ask(&r, how, &workspace)) return 0;
    return own_y_bytes(&r) + workspace;
}

static size_t packed_bytes(const tn_problem *p)
{
    tn_recurrent r;
    return tn_recurrent_read(p, &r) ? 0 : (size_t)tn_dtype_bytes(r.x->dtype, weight_count(&r));
}

static uint64_t unused(const tn_problem *p)
{
    tn_recurrent r;
    if (tn_recurrent_read(p, &r)) return 0;
    int count = r.has_bias ? 3 * r.layers : 2;
    return (count < 64 ? (UINT64_C(1) << count) - 1 : UINT64_MAX) << r.first_weight;
}

static tn_status launch(const tn_launch *l, const manner *how)
{
    tn_cuda_stream *stream = tn_cuda_stream_of(l);
    tn_dnn_handle handle;
    tn_recurrent r;
    words d = {0};
    tn_verdict verdict = read(l->problem, how, &r);
    TN_CHECK(!verdict, TN_INTERNAL, "launching a problem that is not taken: %s", verdict);
    if (stream->card->wishes) return NULL;
    TN_TRY(tn_cuda_enter(stream->card));
    TN_TRY(tn_dnn_handle_of(stream, &handle));
    bool lstm = r.cell == TN_CELL_LSTM;
    char *workspace = (char *)l->scratch + own_y_bytes(&r);
    bool done = handle && words_make(&r, how, handle, &d) &&
                !all.calls.forward(handle, d.rnn, INFERENCE, NULL, d.x, r.x->data, d.y,
                                   r.y ? r.y->data : l->scratch, d.state, tn_recurrent_data(r.h0),
                                   tn_recurrent_data(r.h_n), lstm ? d.state : NULL,
                                   tn_recurrent_data(r.c0), tn_recurrent_data(r.c_n),
                                   (size_t)tn_dtype_bytes(r.x->dtype, weight_count(&r)), l->packed,
                                   d.workspace, workspace, 0, NULL);
    words_free(&d);
    TN_CHECK(done, TN_UNAVAILABLE, "cuDNN does not run %s", l->problem->op);
    return NULL;
}

#define MANNER(name, ...)                                                                          \
    static const manner name = __VA_ARGS__;                                                        \
    static tn_verdict accepts_##name(const tn_problem *p)                                          \
    {                                                                                              \
        return accepts(p, &name);                                                                  \
    }                                                                                              \
    static size_t scratch_##name(const tn_problem *p)                                              \
    {                                                                                              \
        return scratch_bytes(p, &name);                                                            \
    }                                                                                              \
    static tn_status launch_##name(const tn_launch *l)                                             \
    {                                                                                              \
        return launch(l, &name);                                                                   \
    }
MANNER(persist_half, {PERSIST, TN_DNN_MATH_FMA, .halves = true})
MANNER(persist_float, {PERSIST, TN_DNN_MATH_FMA, .floats = true})
MANNER(standard, {STANDARD, TN_DNN_MATH_FMA, .halves = true, .floats = true})
MANNER(standard_tf32, {STANDARD, MATH_DEFAULT, .floats = true})

#define ROW(op_name, text, name_end, which, least)                                                 \
    {                                                                                              \
        .name = "cuda." text "." name_end, .op = op_name, .revision = 1, .needs = TN_SM75,         \
        .precision = least, .accepts = accepts_##which, .scratch_bytes = scratch_##which,          \
        .packed_bytes = packed_bytes, .pack = pack, .unused = unused, .launch = launch_##which,    \
    }
#define OP(op_name, text)                                                                          \
    ROW(op_name, text, "half.dnn_persist", persist_half, TN_PRECISION_F32),                        \
        ROW(op_name, text, "any.dnn_standard", standard, TN_PRECISION_F32),                        \
        ROW(op_name, text, "f32.dnn_persist", persist_float, TN_PRECISION_TF32),                   \
        ROW(op_name, text, "f32.dnn_standard_tf32", standard_tf32, TN_PRECISION_TF32)

extern const tn_tactic tn_cuda_recurrent_dnn[];
const tn_tactic tn_cuda_recurrent_dnn[] = {
    OP("RecurrentStack", "recurrent_stack"),
    OP("LSTM", "lstm"),
    OP("GRU", "gru"),
    OP("RNN", "rnn"),
    {0},
};
