/* cuDNN: opening it, and convolutions by its algorithms. */
#include "backends/cuda/dnn.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/log.h"

/* ---- The library -----------------------------------------------------------------------------*/

static struct {
    void *library;
    tn_dnn calls;
    size_t (*version)(void);
    bool usable;
    char why[200];
    pthread_once_t once;
} dnn = {.once = PTHREAD_ONCE_INIT};

static void open_library(void)
{
#define ROW(member, name, parameters) {name, offsetof(tn_dnn, member)},
    static const tn_cuda_symbol rows[] = {TN_DNN_CALLS(ROW)};
#undef ROW
    static const char *const versions[] = {"9", NULL};
    dnn.library = tn_cuda_library("libcudnn.so", versions);
    if (!dnn.library) {
        snprintf(dnn.why, sizeof dnn.why, "cuDNN was not found (libcudnn.so.9)");
        return;
    }
    const char *missing = tn_cuda_fill(dnn.library, rows, TN_COUNT(rows), &dnn.calls);
    if (missing) snprintf(dnn.why, sizeof dnn.why, "cuDNN has no %s", missing);
    dnn.usable = !missing;
    void *version = dlsym(dnn.library, "cudnnGetVersion");
    memcpy(&dnn.version, &version, sizeof version);
}

const tn_dnn *tn_dnn_open(const char **why)
{
    pthread_once(&dnn.once, open_library);
    *why = dnn.why;
    return dnn.usable ? &dnn.calls : NULL;
}

int tn_dnn_type(tn_dtype dtype)
{
    switch (dtype) {
    case TN_DTYPE_F32: return TN_DNN_F32;
    case TN_DTYPE_F16: return TN_DNN_F16;
    case TN_DTYPE_BF16: return TN_DNN_BF16;
    default: return -1;
    }
}

size_t tn_dnn_version(void)
{
    const char *why;
    return tn_dnn_open(&why) && dnn.version ? dnn.version() : 0;
}

bool tn_dnn_fill(const tn_cuda_symbol *rows, size_t count, void *calls)
{
    const char *why;
    return tn_dnn_open(&why) && !tn_cuda_fill(dnn.library, rows, count, calls);
}

static tn_status fail(tn_dnn_result result, const char *what)
{
    return TN_ERROR(TN_UNAVAILABLE, "cuDNN, %s: error %d", what, result);
}
#define DNN(what, call)                                                                            \
    do {                                                                                           \
        tn_dnn_result result_ = (call);                                                            \
        if (result_) return tn_status_trail(fail(result_, what), __FILE__, __LINE__, __func__);    \
    } while (0)

/* ---- Descriptors -----------------------------------------------------------------------------*/

typedef struct words {
    tn_dnn_tensor x, y, bias;
    tn_dnn_filter w;
    tn_dnn_window window;
    tn_dnn_activation activation;
} words;

static void words_free(words *d)
{
    if (d->x) dnn.calls.tensor_free(d->x);
    if (d->y) dnn.calls.tensor_free(d->y);
    if (d->bias) dnn.calls.tensor_free(d->bias);
    if (d->w) dnn.calls.filter_free(d->w);
    if (d->window) dnn.calls.window_free(d->window);
    if (d->activation) dnn.calls.activation_free(d->activation);
}

static tn_status tensor_make(int type, int rank, const int *dim, tn_dnn_tensor *out)
{
    int step[5], at = 1;
    for (int i = rank - 1; i >= 0; at *= dim[i--]) step[i] = at;
    DNN("describing a tensor", dnn.calls.tensor_new(out));
    DNN("describing a tensor", dnn.calls.tensor_set(*out, type, rank, dim, step));
    return NULL;
}

/* What is made stays in d, also where it fails. */
static tn_status words_make(const tn_dnn_conv *c, bool relu, words *d)
{
    int rank = c->axes + 2, bias[5] = {1, c->y[1], 1, 1, 1};
    TN_TRY(tensor_make(c->type, rank, c->x, &d->x));
    TN_TRY(tensor_make(c->type, rank, c->y, &d->y));
    TN_TRY(tensor_make(c->type, rank, bias, &d->bias));
    DNN("describing weights", dnn.calls.filter_new(&d->w));
    DNN("describing weights", dnn.calls.filter_set(d->w, c->type, TN_DNN_NCHW, rank, c->w));
    DNN("describing a window", dnn.calls.window_new(&d->window));
    DNN("describing a window",
        dnn.calls.window_set(d->window, c->axes, c->pad, c->stride, c->dilation,
                             TN_DNN_CROSS_CORRELATION, TN_DNN_F32));
    DNN("describing groups", dnn.calls.window_groups(d->window, c->groups));
    DNN("describing a window",
        dnn.calls.window_math(d->window,
                              c->type == TN_DNN_F32 ? TN_DNN_MATH_FMA : TN_DNN_MATH_TENSOR));
    DNN("describing an activation", dnn.calls.activation_new(&d->activation));
    DNN("describing an activation",
        dnn.calls.activation_set(d->activation, relu ? TN_DNN_RELU : TN_DNN_IDENTITY,
                                 TN_DNN_PROPAGATE_NAN, 0));
    return NULL;
}

/* ---- Workspace -------------------------------------------------------------------------------*/

enum { ANSWERS_MAX = 1024 };

/* Answers stand at their hash or close behind; a full place is written over. */
static struct {
    pthread_mutex_t lock;
    struct asked_card {
        tn_cuda_card *card;   /* NULL: not asked yet */
        tn_dnn_handle handle; /* NULL: it does not start */
    } on[TN_CUDA_CARDS_MAX];
    struct answer {
        tn_dnn_conv conv;
        size_t bytes;
        bool set, known;
    } answer[ANSWERS_MAX];
} asked = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* The card is entered. */
static tn_status begin_asking(int ordinal, tn_dnn_handle *out)
{
    struct asked_card *on = &asked.on[ordinal];
    tn_card *card;
    TN_TRY(tn_backend_cuda.card->open(ordinal, &card));
    TN_TRY(tn_cuda_enter((tn_cuda_card *)card));
    if (!on->card) {
        on->card = (tn_cuda_card *)card;
        tn_dnn_result result = dnn.calls.create(&on->handle);
        if (result) {
            on->handle = NULL;
            tn_log(TN_LOG_WARNING, "cuDNN does not start (error %d) and is not used", result);
        }
    }
    *out = on->handle;
    return NULL;
}

tn_status tn_dnn_card_handle(int ordinal, tn_dnn_handle *out)
{
    const char *why;
    *out = NULL;
    TN_CHECK(tn_dnn_open(&why), TN_UNAVAILABLE, "%s", why);
    pthread_mutex_lock(&asked.lock);
    tn_status status = begin_asking(ordinal, out);
    pthread_mutex_unlock(&asked.lock);
    return status;
}

static tn_status ask(tn_dnn_handle handle, const tn_dnn_conv *conv, bool *known, size_t *bytes)
{
    words d = {0};
    tn_status status = words_make(conv, false, &d);
    if (!status)
        *known = !dnn.calls.workspace(handle, d.x, d.w, d.window, d.y, conv->algorithm, bytes);
    words_free(&d);
    return status;
}

static tn_status answer_get(const tn_dnn_conv *conv, bool *known, size_t *bytes)
{
    enum { STEPS = 4 };
    tn_dnn_handle handle;
    *known = false;
    *bytes = 0;
    TN_TRY(begin_asking(0, &handle)); /* a problem does not say where it will run */
    if (!handle) return NULL;
    uint64_t hash = tn_hash_bytes(conv, sizeof *conv);
    struct answer *place = &asked.answer[hash % ANSWERS_MAX];
    for (uint64_t i = 0; i < STEPS; i++) {
        struct answer *at = &asked.answer[(hash + i) % ANSWERS_MAX];
        if (at->set && !memcmp(&at->conv, conv, sizeof *conv)) {
            *known = at->known;
            *bytes = at->bytes;
            return NULL;
        }
        if (!at->set) {
            place = at;
            break;
        }
    }
    TN_TRY(ask(handle, conv, known, bytes));
    *place = (struct answer){*conv, *bytes, true, *known};
    return NULL;
}

tn_status tn_dnn_conv_workspace(const tn_dnn_conv *conv, bool *known, size_t *bytes)
{
    const char *why;
    TN_CHECK(tn_dnn_open(&why), TN_UNAVAILABLE, "%s", why);
    pthread_mutex_lock(&asked.lock);
    tn_status status = answer_get(conv, known, bytes);
    pthread_mutex_unlock(&asked.lock);
    return status;
}

/* ---- Running ---------------------------------------------------------------------------------*/

static void handle_free(void *handle)
{
    dnn.calls.destroy(handle);
}

tn_status tn_dnn_handle_of(tn_cuda_stream *stream, tn_dnn_handle *out)
{
    const char *why;
    *out = stream->library[TN_CUDA_LIBRARY_DNN];
    if (*out) {
        DNN("entering a stream", dnn.calls.set_stream(*out, stream->handle));
        return NULL;
    }
    TN_CHECK(tn_dnn_open(&why), TN_UNAVAILABLE, "%s", why);
    if (dnn.calls.create(out)) {
        *out = NULL;
        return NULL;
    }
    stream->library[TN_CUDA_LIBRARY_DNN] = *out;
    stream->library_free[TN_CUDA_LIBRARY_DNN] = handle_free;
    DNN("entering a stream", dnn.calls.set_stream(*out, stream->handle));
    return NULL;
}

/* Everything in one call where the library has it: the identity only behind one algorithm. */
static bool run_fused(tn_dnn_handle handle, const tn_dnn_conv *c, const words *d,
                      const tn_dnn_operands *x, bool relu)
{
    float one = 1, zero = 0;
    if (!x->bias || (!relu && c->algorithm != TN_DNN_PRECOMP)) return false;
    return !dnn.calls.conv_fused(handle, &one, d->x, x->x, d->w, x->w, d->window, c->algorithm,
                                 x->workspace, x->workspace_bytes, x->residual ? &one : &zero, d->y,
                                 x->residual ? x->residual : x->y, d->bias, x->bias, d->activation,
                                 d->y, x->y);
}

tn_status tn_dnn_conv_run(tn_cuda_stream *stream, const tn_dnn_conv *conv, const tn_dnn_operands *x,
                          bool relu, bool *known, bool *finished)
{
    tn_dnn_handle handle;
    words d = {0};
    float one = 1, zero = 0;
    *known = stream->card->wishes != NULL;
    *finished = false;
    if (*known) return NULL;
    TN_TRY(tn_cuda_enter(stream->card));
    TN_TRY(tn_dnn_handle_of(stream, &handle));
    if (!handle) return NULL;
    tn_status status = words_make(conv, relu, &d);
    if (!status) {
        *known = *finished = run_fused(handle, conv, &d, x, relu);
        if (!*known)
            *known = !dnn.calls.conv(handle, &one, d.x, x->x, d.w, x->w, d.window, conv->algorithm,
                                     x->workspace, x->workspace_bytes, &zero, d.y, x->y);
    }
    words_free(&d);
    return status;
}
