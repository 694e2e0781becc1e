/* cuDNN's graphs, declared by their ABI as the rest of it is (dnn.h). */
#include "backends/cuda/dnn_graph.h"

#include <pthread.h>
#include <string.h>

#include "base/bytes.h"
#include "base/log.h"

typedef struct tn_dnn_backend_s *desc;

/* Kinds of descriptors, attributes and their types, as the library numbers them. */
enum {
    POINTWISE = 0,
    CONVOLUTION = 1,
    ENGINE_CONFIG = 3,
    HEURISTICS = 4,
    PLAN = 5,
    OP_CONVOLUTION = 10,
    OP_POINTWISE = 13,
    GRAPH = 15,
    PACK = 16,
    TENSOR = 17,
};
enum {
    POINTWISE_MODE = 0,
    POINTWISE_TYPE = 1,
    CONVOLUTION_TYPE = 100, /* CONVOLUTION_... */
    CONVOLUTION_MODE = 101,
    CONVOLUTION_DILATIONS = 102,
    CONVOLUTION_STRIDES = 103,
    CONVOLUTION_PAD_END = 104,
    CONVOLUTION_PAD = 105,
    CONVOLUTION_AXES = 106,
    HEURISTICS_MODE = 200,
    HEURISTICS_GRAPH = 201,
    HEURISTICS_RESULTS = 202,
    PLAN_HANDLE = 400,
    PLAN_CONFIG = 401,
    PLAN_WORKSPACE = 402,
    OP_CONVOLUTION_ALPHA = 700,
    OP_CONVOLUTION_BETA = 701,
    OP_CONVOLUTION_DESC = 702,
    OP_CONVOLUTION_W = 703,
    OP_CONVOLUTION_X = 704,
    OP_CONVOLUTION_Y = 705,
    OP_POINTWISE_DESC = 750,
    OP_POINTWISE_X = 751,
    OP_POINTWISE_B = 752,
    OP_POINTWISE_Y = 753,
    GRAPH_HANDLE = 800,
    GRAPH_OPS = 801,
    TENSOR_ALIGNMENT = 900,
    TENSOR_TYPE = 901,
    TENSOR_DIMS = 902,
    TENSOR_STEPS = 903,
    TENSOR_ID = 906,
    TENSOR_VIRTUAL = 907,
    PACK_IDS = 1000,
    PACK_POINTERS = 1001,
    PACK_WORKSPACE = 1003,
};
enum {
    OF_HANDLE = 0,
    OF_DATA_TYPE = 1,
    OF_BOOL = 2,
    OF_INT64 = 3,
    OF_FLOAT = 4,
    OF_POINTER = 6,
    OF_CONVOLUTION_MODE = 7,
    OF_HEURISTICS_MODE = 8,
    OF_POINTWISE_MODE = 14,
    OF_DESC = 15,
};
enum { ADD = 0, RELU = 100, MODE_A = 3, ALIGNMENT = 16 };

#define CALLS(X)                                                                                   \
    X(make, "cudnnBackendCreateDescriptor", (int kind, desc *out))                                 \
    X(destroy, "cudnnBackendDestroyDescriptor", (desc d))                                          \
    X(finalize, "cudnnBackendFinalize", (desc d))                                                  \
    X(set, "cudnnBackendSetAttribute",                                                             \
      (desc d, int name, int type, int64_t count, const void *at))                                 \
    X(get, "cudnnBackendGetAttribute",                                                             \
      (desc d, int name, int type, int64_t asked, int64_t *count, void *at))                       \
    X(execute, "cudnnBackendExecute", (tn_dnn_handle handle, desc plan, desc pack))
#define MEMBER(member, symbol, parameters) tn_dnn_result(*member) parameters;
typedef struct calls {
    CALLS(MEMBER)
} calls;
#undef MEMBER

typedef struct entry {
    tn_dnn_graph graph;
    int ordinal, count;
    desc config[TN_DNN_CHOICES], plan[TN_DNN_CHOICES];
    size_t workspace[TN_DNN_CHOICES];
    bool tried[TN_DNN_CHOICES];
} entry;

enum { KNOWN_MAX = 512, MADE_MAX = 64 };

/* What was asked lives as long as the process: plans belong to a card, not to a stream. */
static struct {
    pthread_mutex_t lock;
    bool begun, usable;
    calls calls;
    entry *known[KNOWN_MAX];
    int known_count;
} all = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- Describing ------------------------------------------------------------------------------*/

/* Descriptors of a graph while it is written down. The first failure stays. */
typedef struct writer {
    desc made[MADE_MAX];
    int count;
    bool failed;
} writer;

static desc make(writer *w, int kind)
{
    desc d = NULL;
    if (w->failed || w->count == MADE_MAX || all.calls.make(kind, &d)) {
        w->failed = true;
        return NULL;
    }
    w->made[w->count++] = d;
    return d;
}

static void set(writer *w, desc d, int name, int type, int64_t count, const void *at)
{
    if (!w->failed) w->failed = all.calls.set(d, name, type, count, at) != 0;
}

static void set_desc(writer *w, desc d, int name, desc other)
{
    set(w, d, name, OF_DESC, 1, &other);
}

static desc end(writer *w, desc d)
{
    if (!w->failed) w->failed = all.calls.finalize(d) != 0;
    return d;
}

static void writer_free(writer *w)
{
    for (int i = w->count - 1; i >= 0; i--) all.calls.destroy(w->made[i]);
}

enum { ID_X = 1, ID_W, ID_BIAS, ID_RESIDUAL, ID_Y, ID_VIRTUAL = 100 };

/* Sizes [N, C, H, W], of which C runs along memory. id 0: it is never in memory. */
static desc tensor(writer *w, int64_t id, int type, const int32_t *size)
{
    int64_t dim[4] = {size[0], size[1], size[2], size[3]}, alignment = ALIGNMENT;
    int64_t step[4] = {dim[1] * dim[2] * dim[3], 1, dim[1] * dim[3], dim[1]};
    int64_t number = id ? id : ID_VIRTUAL + w->count;
    bool is_virtual = id == 0;
    desc d = make(w, TENSOR);
    set(w, d, TENSOR_TYPE, OF_DATA_TYPE, 1, &type);
    set(w, d, TENSOR_DIMS, OF_INT64, 4, dim);
    set(w, d, TENSOR_STEPS, OF_INT64, 4, step);
    set(w, d, TENSOR_ID, OF_INT64, 1, &number);
    set(w, d, TENSOR_ALIGNMENT, OF_INT64, 1, &alignment);
    set(w, d, TENSOR_VIRTUAL, OF_BOOL, 1, &is_virtual);
    return end(w, d);
}

static desc op_conv(writer *w, const tn_dnn_graph *g, desc x, desc weights, desc y)
{
    const tn_dnn_conv *c = &g->conv;
    int64_t axes = 2, pad[2], pad_end[2], stride[2], dilation[2];
    int type = TN_DNN_F32, mode = TN_DNN_CROSS_CORRELATION;
    float one = 1, zero = 0;
    for (int i = 0; i < 2; i++) {
        pad[i] = c->pad[i];
        pad_end[i] = g->pad_end[i];
        stride[i] = c->stride[i];
        dilation[i] = c->dilation[i];
    }
    desc window = make(w, CONVOLUTION);
    set(w, window, CONVOLUTION_TYPE, OF_DATA_TYPE, 1, &type);
    set(w, window, CONVOLUTION_MODE, OF_CONVOLUTION_MODE, 1, &mode);
    set(w, window, CONVOLUTION_AXES, OF_INT64, 1, &axes);
    set(w, window, CONVOLUTION_DILATIONS, OF_INT64, 2, dilation);
    set(w, window, CONVOLUTION_STRIDES, OF_INT64, 2, stride);
    set(w, window, CONVOLUTION_PAD, OF_INT64, 2, pad);
    set(w, window, CONVOLUTION_PAD_END, OF_INT64, 2, pad_end);
    end(w, window);
    desc op = make(w, OP_CONVOLUTION);
    set_desc(w, op, OP_CONVOLUTION_X, x);
    set_desc(w, op, OP_CONVOLUTION_W, weights);
    set_desc(w, op, OP_CONVOLUTION_Y, y);
    set_desc(w, op, OP_CONVOLUTION_DESC, window);
    set(w, op, OP_CONVOLUTION_ALPHA, OF_FLOAT, 1, &one);
    set(w, op, OP_CONVOLUTION_BETA, OF_FLOAT, 1, &zero);
    return end(w, op);
}

/* other NULL: of one operand. */
static desc op_pointwise(writer *w, int mode, desc x, desc other, desc y)
{
    int type = TN_DNN_F32;
    desc what = make(w, POINTWISE), op;
    set(w, what, POINTWISE_MODE, OF_POINTWISE_MODE, 1, &mode);
    set(w, what, POINTWISE_TYPE, OF_DATA_TYPE, 1, &type);
    end(w, what);
    op = make(w, OP_POINTWISE);
    set_desc(w, op, OP_POINTWISE_DESC, what);
    set_desc(w, op, OP_POINTWISE_X, x);
    if (other) set_desc(w, op, OP_POINTWISE_B, other);
    set_desc(w, op, OP_POINTWISE_Y, y);
    return end(w, op);
}

/* Between the parts values are float32, and stay in registers. */
static desc write_graph(writer *w, const tn_dnn_graph *g, tn_dnn_handle handle)
{
    const tn_dnn_conv *c = &g->conv;
    int32_t bias[4] = {1, c->y[1], 1, 1};
    int parts = (g->residual != 0) + (g->bias != 0) + (g->relu != 0), count = 0;
    desc op[4], x = tensor(w, ID_X, c->type, c->x), weights = tensor(w, ID_W, c->type, c->w);
    desc y = tensor(w, ID_Y, c->type, c->y), now = y, next;
    if (parts) now = tensor(w, 0, TN_DNN_F32, c->y);
    op[count++] = op_conv(w, g, x, weights, now);
    if (g->residual) {
        next = --parts ? tensor(w, 0, TN_DNN_F32, c->y) : y;
        desc other = tensor(w, ID_RESIDUAL, c->type, c->y);
        op[count++] = op_pointwise(w, ADD, now, other, next);
        now = next;
    }
    if (g->bias) {
        next = --parts ? tensor(w, 0, TN_DNN_F32, c->y) : y;
        desc other = tensor(w, ID_BIAS, c->type, bias);
        op[count++] = op_pointwise(w, ADD, now, other, next);
        now = next;
    }
    if (g->relu) op[count++] = op_pointwise(w, RELU, now, NULL, y);
    desc graph = make(w, GRAPH);
    set(w, graph, GRAPH_OPS, OF_DESC, count, op);
    set(w, graph, GRAPH_HANDLE, OF_HANDLE, 1, &handle);
    return end(w, graph);
}

/* ---- What was asked before -------------------------------------------------------------------*/

static bool begin(void)
{
#define ROW(member, name, parameters) {name, offsetof(calls, member)},
    static const tn_cuda_symbol rows[] = {CALLS(ROW)};
#undef ROW
    if (!all.begun) all.usable = tn_dnn_fill(rows, TN_COUNT(rows), &all.calls);
    all.begun = true;
    return all.usable;
}

/* The first engines that the library would try. */
static void ask(entry *e, writer *w, desc graph)
{
    int64_t count = 0;
    int mode = MODE_A, most = TN_DNN_CHOICES;
    desc heuristics = make(w, HEURISTICS), config[TN_DNN_CHOICES] = {NULL};
    set_desc(w, heuristics, HEURISTICS_GRAPH, graph);
    set(w, heuristics, HEURISTICS_MODE, OF_HEURISTICS_MODE, 1, &mode);
    end(w, heuristics);
    if (w->failed) return;
    for (int i = 0; i < most; i++)
        if (all.calls.make(ENGINE_CONFIG, &config[i])) most = i;
    if (most > 0 && all.calls.get(heuristics, HEURISTICS_RESULTS, OF_DESC, most, &count, config))
        count = 0;
    for (int i = 0; i < most; i++) {
        if (i < count) e->config[e->count++] = config[i];
        else all.calls.destroy(config[i]);
    }
}

/* The descriptors of a graph stay with its plans. */
static void choose(entry *e, tn_dnn_handle handle)
{
    writer w = {.count = 0};
    desc graph = write_graph(&w, &e->graph, handle);
    if (!w.failed) ask(e, &w, graph);
    if (!e->count) writer_free(&w);
}

/* NULL: nothing is known, and nothing can be. The lock is held. */
static entry *entry_get(int ordinal, const tn_dnn_graph *graph)
{
    tn_dnn_handle handle;
    uint64_t at = tn_hash_bytes(graph, sizeof *graph) % KNOWN_MAX;
    for (; all.known[at]; at = (at + 1) % KNOWN_MAX)
        if (all.known[at]->ordinal == ordinal &&
            !memcmp(&all.known[at]->graph, graph, sizeof *graph))
            return all.known[at];
    if (all.known_count == KNOWN_MAX / 2 || !begin()) return NULL;
    if (tn_dnn_card_handle(ordinal, &handle) || !handle) return NULL;
    entry *e = tn_alloc_zero(sizeof *e);
    if (!e) return NULL;
    e->ordinal = ordinal;
    e->graph = *graph;
    choose(e, handle);
    all.known_count++;
    return all.known[at] = e;
}

static bool make_plan(entry *e, int choice)
{
    tn_dnn_handle handle;
    int64_t bytes = 0, count;
    desc plan = NULL;
    if (e->tried[choice]) return e->plan[choice] != NULL;
    e->tried[choice] = true;
    if (tn_dnn_card_handle(e->ordinal, &handle) || !handle || all.calls.make(PLAN, &plan))
        return false;
    if (all.calls.set(plan, PLAN_HANDLE, OF_HANDLE, 1, &handle) ||
        all.calls.set(plan, PLAN_CONFIG, OF_DESC, 1, &e->config[choice]) ||
        all.calls.finalize(plan) ||
        all.calls.get(plan, PLAN_WORKSPACE, OF_INT64, 1, &count, &bytes)) {
        all.calls.destroy(plan);
        return false;
    }
    e->plan[choice] = plan;
    e->workspace[choice] = (size_t)bytes;
    return true;
}

int tn_dnn_graph_choices(const tn_dnn_graph *graph)
{
    pthread_mutex_lock(&all.lock);
    const entry *e = entry_get(0, graph);
    int count = e ? e->count : 0;
    pthread_mutex_unlock(&all.lock);
    return count;
}

bool tn_dnn_graph_workspace(const tn_dnn_graph *graph, int choice, size_t *bytes)
{
    pthread_mutex_lock(&all.lock);
    entry *e = entry_get(0, graph);
    bool known = e && choice < e->count && make_plan(e, choice);
    *bytes = known ? e->workspace[choice] : 0;
    pthread_mutex_unlock(&all.lock);
    return known;
}

/* ---- Running ---------------------------------------------------------------------------------*/

static bool execute(const entry *e, int choice, tn_dnn_handle handle, const tn_dnn_operands *x)
{
    int64_t id[5] = {ID_X, ID_W, ID_Y}, count = 3;
    const void *at[5] = {x->x, x->w, x->y};
    writer w = {.count = 0};
    if (e->graph.bias) {
        id[count] = ID_BIAS;
        at[count++] = x->bias;
    }
    if (e->graph.residual) {
        id[count] = ID_RESIDUAL;
        at[count++] = x->residual;
    }
    desc pack = make(&w, PACK);
    set(&w, pack, PACK_IDS, OF_INT64, count, id);
    set(&w, pack, PACK_POINTERS, OF_POINTER, count, at);
    set(&w, pack, PACK_WORKSPACE, OF_POINTER, 1, &x->workspace);
    end(&w, pack);
    bool done = !w.failed && !all.calls.execute(handle, e->plan[choice], pack);
    writer_free(&w);
    return done;
}

tn_status tn_dnn_graph_run(tn_cuda_stream *stream, const tn_dnn_graph *graph, int choice,
                           const tn_dnn_operands *operands, bool *known)
{
    tn_dnn_handle handle;
    *known = stream->card->wishes != NULL; /* nothing to compile for it */
    if (*known) return NULL;
    TN_TRY(tn_cuda_enter(stream->card));
    TN_TRY(tn_dnn_handle_of(stream, &handle));
    if (!handle) return NULL;
    pthread_mutex_lock(&all.lock);
    entry *e = entry_get(stream->card->card.ordinal, graph);
    bool ready = e && choice < e->count && make_plan(e, choice) &&
                 e->workspace[choice] <= operands->workspace_bytes;
    *known = ready && execute(e, choice, handle, operands);
    pthread_mutex_unlock(&all.lock);
    return NULL;
}
