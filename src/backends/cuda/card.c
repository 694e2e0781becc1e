/* What every card does: memory, streams, recordings. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "backends/cuda/dnn.h"
#include "backends/cuda/lt.h"

static struct {
    pthread_mutex_t lock;
    tn_cuda_card *card[TN_CUDA_CARDS_MAX];
} opened = {.lock = PTHREAD_MUTEX_INITIALIZER};

static const tn_cu *driver(void)
{
    const char *why;
    return tn_cu_open(&why);
}

tn_status tn_cuda_enter(const tn_cuda_card *card)
{
    tn_cu_context now = NULL;
    TN_CU("asking for the context", driver()->context_get(&now));
    if (now != card->context) TN_CU("entering a card", driver()->context_set(card->context));
    return NULL;
}

/* ---- Devices ---------------------------------------------------------------------------------*/

static tn_status describe(const tn_cu *cu, int ordinal, tn_cuda_card *out)
{
    const struct {
        int which;
        int *value;
    } rows[] = {
        {TN_CU_MAJOR, &out->major},
        {TN_CU_MINOR, &out->minor},
        {TN_CU_MULTIPROCESSORS, &out->multiprocessors},
        {TN_CU_SHARED_BYTES_MAX, &out->shared_bytes_max},
    };
    int l2 = 0;
    size_t bytes = 0;
    char name[96] = "";
    out->card.ordinal = ordinal;
    out->card.backend = &tn_backend_cuda;
    TN_CU("finding a card", cu->device(&out->device, ordinal));
    TN_CU("naming a card", cu->device_name(name, sizeof name, out->device));
    TN_CU("measuring a card", cu->device_bytes(&bytes, out->device));
    for (size_t i = 0; i < TN_COUNT(rows); i++)
        TN_CU("describing a card", cu->device_attribute(rows[i].value, rows[i].which, out->device));
    TN_CU("describing a card", cu->device_attribute(&l2, TN_CU_L2_BYTES, out->device));
    TN_CU("describing the driver", cu->driver_version(&out->cuda_version));
    out->l2_bytes = (size_t)l2;
    out->card.info.memory_bytes = bytes;
    out->card.info.units = out->multiprocessors;
    out->card.info.capability = 10 * out->major + out->minor;
    const int steps[] = {75, 80, 89, 90, 100};
    for (size_t i = 0; i < TN_COUNT(steps); i++)
        if (out->major * 10 + out->minor >= steps[i]) out->card.info.features |= UINT64_C(1) << i;
    if (out->major == 9 && cu->map_tiled) out->card.info.features |= TN_SM90A;
    snprintf(out->card.info.name, sizeof out->card.info.name, "%s (sm_%d%d)", name, out->major,
             out->minor);
    return NULL;
}

/* What is not there of what would make engines faster. */
static struct {
    char text[600];
    pthread_once_t once;
} missing = {.once = PTHREAD_ONCE_INIT};

static void find_missing(void)
{
    const char *lt, *dnn;
    bool has_lt = tn_lt_open(&lt), has_dnn = tn_dnn_open(&dnn);
    if (has_lt && has_dnn) return;
    snprintf(missing.text, sizeof missing.text, "%s%s%s; its kernels are left out",
             has_lt ? "" : lt, has_lt || has_dnn ? "" : ", and ", has_dnn ? "" : dnn);
}

static tn_status devices(tn_device_info *out, int max, int *count, const char **why)
{
    int found = 0;
    *count = 0;
    const tn_cu *cu = tn_cu_open(why);
    if (!cu) return NULL;
    if (!tn_nvrtc_open(why)) return NULL;
    TN_CU("counting cards", cu->device_count(&found));
    *why = found ? NULL : "the NVIDIA driver sees no card";
    if (found) pthread_once(&missing.once, find_missing);
    if (missing.text[0]) *why = missing.text;
    for (int i = 0; i < found && i < max; i++) {
        tn_cuda_card card = {.card = {.ordinal = i}};
        TN_TRY(describe(cu, i, &card));
        out[i] = card.card.info;
    }
    *count = found < max ? found : max;
    return NULL;
}

/* Memory comes from a pool that keeps what it has: giving a block back to the driver would make it
 * wait for everything that runs on the card, other contexts and other programs' streams too. */
static void make_pool(const tn_cu *cu, tn_cuda_card *card)
{
    tn_cu_pool_kind kind = {.allocation = 1, .place = 1, .place_number = card->device};
    uint64_t keep = UINT64_MAX;
    if (!cu->pool_new || !cu->pool_set || !cu->pool_alloc || !cu->pool_free) return;
    if (tn_cuda_enter(card)) return;
    if (cu->stream_new(&card->pool_queue, TN_CU_STREAM_NON_BLOCKING)) return;
    if (cu->pool_new(&card->pool, &kind)) card->pool = NULL;
    else cu->pool_set(card->pool, TN_CU_POOL_KEEP_BYTES, &keep);
}

static tn_status open_new(int ordinal, tn_cuda_card **out)
{
    const char *why = NULL;
    const tn_cu *cu = tn_cu_open(&why);
    TN_CHECK(cu, TN_UNAVAILABLE, "%s", why);
    int count = 0;
    TN_CU("counting cards", cu->device_count(&count));
    TN_CHECK(ordinal >= 0 && ordinal < count, TN_NOT_FOUND, "there is no card %d: %d %s found",
             ordinal, count, count == 1 ? "was" : "were");
    tn_cuda_card *card = tn_alloc_zero(sizeof *card);
    TN_CHECK(card, TN_OUT_OF_MEMORY, "no memory to open a card");
    tn_status status = describe(cu, ordinal, card);
    if (!status) {
        /* Waiting by spinning: a run lasts microseconds. Another library may have set the flags
         * already; its choice stays. */
        cu->context_flags(card->device, TN_CU_CONTEXT_SPIN);
        tn_cu_result result = cu->context_retain(&card->context, card->device);
        if (result) status = tn_cu_fail(result, "opening a card", __FILE__, __LINE__, __func__);
    }
    if (status) {
        tn_free(card, sizeof *card);
        return status;
    }
    make_pool(cu, card);
    *out = card;
    return NULL;
}

static tn_status open_card(int ordinal, tn_card **out)
{
    tn_status status = NULL;
    *out = NULL;
    TN_CHECK(ordinal >= 0 && ordinal < TN_CUDA_CARDS_MAX, TN_NOT_FOUND, "there is no card %d",
             ordinal);
    pthread_mutex_lock(&opened.lock);
    if (!opened.card[ordinal]) status = open_new(ordinal, &opened.card[ordinal]);
    if (!status) *out = &opened.card[ordinal]->card;
    pthread_mutex_unlock(&opened.lock);
    return status;
}

/* ---- Memory ----------------------------------------------------------------------------------*/

static tn_cuda_card *cuda_card(tn_card *card)
{
    return (tn_cuda_card *)card;
}

static void *pointer_of(tn_cu_pointer at)
{
    return (void *)(uintptr_t)at;
}

static tn_status alloc(tn_card *card, bool host, size_t bytes, void **out)
{
    *out = NULL;
    TN_TRY(tn_cuda_enter(cuda_card(card)));
    if (host) {
        TN_CU("allocating host memory",
              driver()->host_alloc(out, bytes ? bytes : 1, TN_CU_HOST_PORTABLE_MAPPED));
        return NULL;
    }
    const tn_cuda_card *c = cuda_card(card);
    tn_cu_pointer at = 0;
    if (c->pool) {
        TN_CU("allocating memory",
              driver()->pool_alloc(&at, bytes ? bytes : 1, c->pool, c->pool_queue));
        TN_CU("allocating memory", driver()->stream_wait(c->pool_queue));
    } else {
        TN_CU("allocating memory", driver()->memory_alloc(&at, bytes ? bytes : 1));
    }
    *out = pointer_of(at);
    return NULL;
}

static void free_memory(tn_card *card, bool host, void *at)
{
    if (!at || tn_cuda_enter(cuda_card(card))) return;
    tn_cu_pointer block = (tn_cu_pointer)(uintptr_t)at;
    if (host) driver()->host_free(at);
    else if (cuda_card(card)->pool) driver()->pool_free(block, cuda_card(card)->pool_queue);
    else driver()->memory_free(block);
}

/* ---- Streams ---------------------------------------------------------------------------------*/

static void stream_free(void *stream)
{
    tn_cuda_stream *s = stream;
    if (!s) return;
    if (!tn_cuda_enter(s->card)) {
        for (size_t i = 0; i < TN_COUNT(s->library); i++)
            if (s->library[i]) s->library_free[i](s->library[i]);
        for (int i = 0; i < 2; i++)
            if (s->mark[i]) driver()->event_free(s->mark[i]);
        if (s->own) driver()->stream_free(s->own);
    }
    tn_free(s, sizeof *s);
}

static tn_status fill_stream(tn_cuda_stream *s)
{
    TN_TRY(tn_cuda_enter(s->card));
    TN_CU("making a stream", driver()->stream_new(&s->own, TN_CU_STREAM_NON_BLOCKING));
    s->handle = s->own;
    for (int i = 0; i < 2; i++) TN_CU("making an event", driver()->event_new(&s->mark[i], 0));
    return NULL;
}

static tn_status stream_new(tn_card *card, void **out)
{
    tn_cuda_stream *s = tn_alloc_zero(sizeof *s);
    *out = NULL;
    TN_CHECK(s, TN_OUT_OF_MEMORY, "no memory for a stream");
    s->card = cuda_card(card);
    tn_status status = fill_stream(s);
    if (status) {
        stream_free(s);
        return status;
    }
    *out = s;
    return NULL;
}

static void stream_use(void *stream, void *queue)
{
    tn_cuda_stream *s = stream;
    s->handle = queue ? queue : s->own;
}

static tn_status copy(void *stream, void *to, const void *from, size_t bytes)
{
    tn_cuda_stream *s = stream;
    if (!bytes || s->card->wishes) return NULL;
    TN_TRY(tn_cuda_enter(s->card));
    TN_CU("copying", driver()->copy((tn_cu_pointer)(uintptr_t)to, (tn_cu_pointer)(uintptr_t)from,
                                    bytes, s->handle));
    return NULL;
}

static tn_status fill(void *stream, void *to, uint8_t value, size_t bytes)
{
    tn_cuda_stream *s = stream;
    if (!bytes || s->card->wishes) return NULL;
    TN_TRY(tn_cuda_enter(s->card));
    TN_CU("filling", driver()->fill((tn_cu_pointer)(uintptr_t)to, value, bytes, s->handle));
    return NULL;
}

static tn_status wait_stream(void *stream)
{
    tn_cuda_stream *s = stream;
    TN_TRY(tn_cuda_enter(s->card));
    TN_CU("running", driver()->stream_wait(s->handle));
    return NULL;
}

/* ---- Recordings: CUDA graphs -----------------------------------------------------------------*/

/* Relaxed: kernels may be compiled, and libraries may allocate, while a stream records. */
static tn_status record_begin(void *stream)
{
    tn_cuda_stream *s = stream;
    TN_TRY(tn_cuda_enter(s->card));
    TN_CU("recording", driver()->capture_begin(s->handle, TN_CU_CAPTURE_RELAXED));
    return NULL;
}

static tn_status record_end(void *stream, void **recording)
{
    tn_cuda_stream *s = stream;
    tn_cu_graph graph = NULL;
    tn_cu_graph_exec exec = NULL;
    tn_cu_result result = driver()->capture_end(s->handle, &graph);
    if (!recording) {
        if (!result && graph) driver()->graph_free(graph);
        return NULL;
    }
    *recording = NULL;
    TN_CU("recording", result);
    result = driver()->graph_ready(&exec, graph, 0);
    driver()->graph_free(graph);
    TN_CU("making a graph ready", result);
    *recording = exec;
    driver()->graph_upload(exec, s->handle); /* only saves time later: a failure means nothing */
    return NULL;
}

static tn_status replay(void *stream, void *recording)
{
    tn_cuda_stream *s = stream;
    TN_TRY(tn_cuda_enter(s->card));
    TN_CU("launching a graph", driver()->graph_launch(recording, s->handle));
    return NULL;
}

static void record_free(void *recording)
{
    if (recording) driver()->graph_exec_free(recording);
}

/* ---- Time ------------------------------------------------------------------------------------*/

static tn_status mark(void *stream, int which)
{
    tn_cuda_stream *s = stream;
    TN_TRY(tn_cuda_enter(s->card));
    TN_CU("marking the time", driver()->event_record(s->mark[which & 1], s->handle));
    return NULL;
}

static tn_status elapsed_ns(void *stream, double *ns)
{
    tn_cuda_stream *s = stream;
    float ms = 0;
    TN_TRY(tn_cuda_enter(s->card));
    TN_CU("running", driver()->event_wait(s->mark[1]));
    TN_CU("reading the time", driver()->event_ms(&ms, s->mark[0], s->mark[1]));
    *ns = (double)ms * 1e6;
    return NULL;
}

static void software(tn_card *card, tn_text *out)
{
    const char *why;
    int version[2] = {0, 0};
    const tn_nvrtc *rtc = tn_nvrtc_open(&why);
    int driver_version = cuda_card(card)->cuda_version;
    if (rtc) rtc->version(&version[0], &version[1]);
    tn_text_printf(out, "CUDA %d.%d, NVRTC %d.%d", driver_version / 1000, driver_version % 100 / 10,
                   version[0], version[1]);
    if (tn_lt_version()) tn_text_printf(out, ", cuBLASLt %zu", tn_lt_version());
    if (tn_dnn_version()) tn_text_printf(out, ", cuDNN %zu", tn_dnn_version());
}

static const tn_card_calls calls = {
    .open = open_card,
    .alloc = alloc,
    .free = free_memory,
    .stream_new = stream_new,
    .stream_free = stream_free,
    .stream_use = stream_use,
    .copy = copy,
    .fill = fill,
    .wait = wait_stream,
    .record_begin = record_begin,
    .record_end = record_end,
    .replay = replay,
    .record_free = record_free,
    .together = tn_cuda_together,
    .mark = mark,
    .elapsed_ns = elapsed_ns,
    .foresee = tn_cuda_foresee,
    .software = software,
    .range = tn_nvtx_range,
    .take_code = tn_cuda_take_code,
    .add_portable = tn_cuda_add_portable,
};

/* ---- The backend -----------------------------------------------------------------------------*/

#define TN_TACTICS(file) extern const tn_tactic tn_cuda_##file[];
#include "backends/cuda/cuda_tactics.def"
#undef TN_TACTICS

enum { TABLE_MAX = 1024 };
static const tn_tactic *table[TABLE_MAX + 1];
static pthread_once_t table_once = PTHREAD_ONCE_INIT;

static void make_table(void)
{
    const tn_tactic *const rows[] = {
#define TN_TACTICS(file) tn_cuda_##file,
#include "backends/cuda/cuda_tactics.def"
#undef TN_TACTICS
    };
    int count = 0;
    for (size_t i = 0; i < TN_COUNT(rows); i++)
        for (const tn_tactic *t = rows[i]; t->name && count < TABLE_MAX; t++) table[count++] = t;
}

static const tn_tactic *const *tactics(void)
{
    pthread_once(&table_once, make_table);
    return table;
}

const tn_backend tn_backend_cuda = {
    .name = "cuda",
    .devices = devices,
    .tactics = tactics,
    .card = &calls,
};
