/* Timing an engine: sessions and their queries.
 *
 * One query is bind, run, read. On the CPU inputs and outputs are used where they lie, so the
 * transfers are calls that take next to no time; they are measured all the same. The CPU runs a
 * query inside the call that enqueues it: Enqueue Time is the time of that call. */
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "timing.h"

bool on_card(const tn_engine *engine)
{
    return strcmp(tn_engine_device(engine), "cpu") != 0;
}

/* ---- Sessions --------------------------------------------------------------------------------*/

/* Can all inputs and outputs lie in the memory of the card? Not where a size depends on data. */
static bool can_move(const session *s)
{
    int ins = tn_engine_input_count(s->engine), outs = tn_engine_output_count(s->engine);
    for (int i = 0; i < ins + outs; i++) {
        tn_io io;
        tn_tensor t = {0};
        if (i < ins ? tn_engine_input(s->engine, i, &io)
                    : tn_engine_output(s->engine, i - ins, &io))
            return false;
        if (io.kind != TN_IO_TENSOR || io.dtype == TN_DTYPE_STRING) return false;
        if (i >= ins && tn_context_output(s->context, io.name, &t)) return false;
        for (int k = 0; k < t.rank; k++)
            if (t.dim[k] < 0) return false;
    }
    return ins + outs <= DEVICE_TENSORS_MAX;
}

static tn_status move(session *s, const char *name, tn_tensor t, int input)
{
    card_tensor *m = &s->moved[s->moved_count];
    const void *host = t.data;
    *m = (card_tensor){.bytes = (size_t)tn_tensor_bytes(&t), .input = input};
    tn_status status = tn_device_alloc(s->engine, m->bytes, &m->card);
    if (status) return status;
    s->moved_count++;
    t.data = m->card;
    if (input >= 0) status = tn_device_copy(s->engine, m->card, host, m->bytes);
    else if (s->options->apart && !s->options->no_transfers) m->host = malloc(m->bytes + 1);
    return status ? status : tn_context_bind_device(s->context, name, &t);
}

/* Inputs and outputs in the memory of the card, for all queries. */
static tn_status move_to_card(session *s)
{
    tn_status status = NULL;
    for (int i = 0; i < s->sets[0].count && !status; i++)
        status = move(s, s->sets[0].name[i], s->sets[0].tensor[i], i);
    for (int i = 0; i < tn_engine_output_count(s->engine) && !status; i++) {
        tn_io io;
        tn_tensor t;
        status = tn_engine_output(s->engine, i, &io);
        if (!status) status = tn_context_output(s->context, io.name, &t);
        if (!status) status = move(s, io.name, t, -1);
    }
    return status;
}

/* The copies of one query, of inputs before the run and of outputs after it. */
static tn_status copy_moved(const session *s, const input_set *inputs, bool before)
{
    tn_status status = NULL;
    for (int i = 0; i < s->moved_count && !status && !s->options->no_transfers; i++) {
        const card_tensor *m = &s->moved[i];
        if (before && m->input >= 0)
            status = tn_device_copy(s->engine, m->card, inputs->tensor[m->input].data, m->bytes);
        if (!before && m->host) status = tn_device_copy(s->engine, m->host, m->card, m->bytes);
    }
    return status;
}

static tn_status prepare(session *s)
{
    tn_status status = tn_context_keep_denormals(s->context, s->options->keep_denormals);
    if (!status) status = tn_context_measure(s->context, on_card(s->engine));
    if (!status) status = inputs_bind(s->context, &s->sets[0]);
    bool moves = (s->options->no_transfers || s->options->apart) && on_card(s->engine);
    if (status || !moves) return status;
    if (can_move(s)) return move_to_card(s);
    log_line('W', "Sizes of outputs depend on data: the copies to and from the card are timed with "
                  "the kernels.");
    return NULL;
}

int session_open(const tn_engine *engine, const shape_list *shapes, const timing_options *options,
                 session *out)
{
    *out = (session){.engine = engine, .options = options};
    int code = report(tn_context_new(engine, &out->context));
    for (int k = 0; !code && k < 2; k++)
        code = inputs_make(engine, shapes, options->inputs, (uint64_t)(options->seed + k),
                           &out->sets[k]);
    if (!code) code = report(prepare(out));
    if (code) session_close(out);
    return code;
}

void session_close(session *s)
{
    for (int k = 0; k < 2; k++) inputs_free(&s->sets[k]);
    tn_context_free(s->context);
    while (s->moved_count) {
        const card_tensor *m = &s->moved[--s->moved_count];
        tn_device_free(s->engine, m->card);
        free(m->host);
    }
    s->context = NULL;
}

void session_print(const session *s)
{
    char text[200];
    for (int i = 0; i < s->sets[0].count; i++) {
        const tn_tensor *x = &s->sets[0].tensor[i];
        const char *name = s->sets[0].name[i], *file = input_file(s->options->inputs, name);
        if (file) log_line('I', "Using values loaded from %s for input %s", file, name);
        else log_line('I', "Using random values for input %s", name);
        log_line('I', "Input binding for %s with dimensions %s is created.", name,
                 shape_text(x->dim, x->rank, text, sizeof(text)));
    }
    for (int i = 0; i < tn_engine_output_count(s->engine); i++) {
        tn_io io;
        tn_tensor y; /* its shape may depend on data */
        if (tn_engine_output(s->engine, i, &io) || io.kind != TN_IO_TENSOR) continue;
        if (tn_context_output(s->context, io.name, &y)) continue;
        log_line('I', "Output binding for %s with dimensions %s is created.", io.name,
                 shape_text(y.dim, y.rank, text, sizeof(text)));
    }
    log_line('I', "Starting inference");
}

/* ---- Queries ---------------------------------------------------------------------------------*/

static void sleep_ms(double ms)
{
    if (ms <= 0) return;
    double whole = floor(ms * 1e-3);
    struct timespec time = {(time_t)whole, (long)((ms - 1e3 * whole) * 1e6)};
    nanosleep(&time, NULL);
}

static tn_status run_query(session *s, const input_set *inputs, query *out)
{
    query q = {.device_ms = -1};
    double ns;
    sleep_ms(s->options->idle_ms);
    q.h2d_begin = now_ms();
    tn_status status = s->moved_count             ? copy_moved(s, inputs, true)
                       : s->options->no_transfers ? NULL
                                                  : inputs_bind(s->context, inputs);
    if (status) return status;
    q.h2d_end = now_ms();
    sleep_ms(s->options->sleep_ms);
    q.enqueue_begin = q.compute_begin = s->options->sleep_ms > 0 ? now_ms() : q.h2d_end;
    status = tn_context_enqueue(s->context, NULL);
    q.enqueue_end = now_ms();
    if (!status) status = tn_context_wait(s->context);
    if (status) return status;
    q.d2h_begin = now_ms();
    if (on_card(s->engine)) {
        status = tn_context_device_ns(s->context, &ns);
        if (status) return status;
        q.device_ms = ns * 1e-6;
        if (s->options->apart) q.compute_begin = q.d2h_begin - q.device_ms;
    } else {
        q.enqueue_end = q.d2h_begin;
    }
    status = copy_moved(s, inputs, false);
    for (int i = 0; i < tn_engine_output_count(s->engine) && !status; i++) {
        tn_io io;
        tn_tensor tensor;
        status = tn_engine_output(s->engine, i, &io);
        if (!status && io.kind == TN_IO_TENSOR)
            status = tn_context_output(s->context, io.name, &tensor);
    }
    if (status) return status;
    q.d2h_end = now_ms();
    *out = q;
    return NULL;
}

tn_status session_run(session *s)
{
    query q;
    return run_query(s, &s->sets[0], &q);
}

static bool trace_add(trace *t, query q)
{
    if (t->count == t->capacity) {
        size_t capacity = t->capacity ? t->capacity * 2 : 4096;
        query *grown = realloc(t->at, capacity * sizeof(*grown));
        if (!grown) return false;
        t->at = grown;
        t->capacity = capacity;
    }
    t->at[t->count++] = q;
    return true;
}

void trace_fini(trace *t)
{
    free(t->at);
    *t = (trace){0};
}

/* Inputs rotate over two sets, so that no run sees just what the last one left in the caches. */
static tn_status measure(session *s, trace *t)
{
    const timing_options *options = s->options;
    query q;
    double begin = now_ms();
    while (t->warm_up_count == 0 || now_ms() - begin < options->warm_up_ms) {
        tn_status status = run_query(s, &s->sets[t->warm_up_count & 1], &q);
        if (status) return status;
        t->warm_up_count++;
    }
    t->warm_up_ms = options->warm_up_ms;
    begin = now_ms();
    while ((int64_t)t->count < options->iterations || options->duration_s < 0 ||
           now_ms() - begin < options->duration_s * 1e3) {
        tn_status status = run_query(s, &s->sets[t->count & 1], &q);
        if (status) return status;
        if (!trace_add(t, q)) break; /* out of memory for the trace: report what there is */
    }
    return NULL;
}

/* ---- Several streams -------------------------------------------------------------------------*/

typedef struct stream {
    session *at;
    trace trace;
    pthread_t thread;
    bool started;
    int code;
} stream;

static void *run_stream(void *argument)
{
    stream *s = argument;
    s->code = report(measure(s->at, &s->trace)); /* a status belongs to its thread */
    return NULL;
}

static int by_begin(const void *a, const void *b)
{
    double x = ((const query *)a)->h2d_begin, y = ((const query *)b)->h2d_begin;
    return x < y ? -1 : x > y;
}

int timing_measure(session *at, int count, trace *t)
{
    static stream streams[STREAMS_MAX];
    if (count == 1) return report(measure(at, t));
    int code = EXIT_DONE;
    for (int i = 0; i < count; i++) {
        streams[i] = (stream){.at = &at[i]};
        streams[i].started = !pthread_create(&streams[i].thread, NULL, run_stream, &streams[i]);
        if (!streams[i].started) code = EXIT_FAILED;
    }
    if (code) fprintf(stderr, "error: no thread for each of %d streams\n", count);
    for (int i = 0; i < count; i++) {
        if (streams[i].started) pthread_join(streams[i].thread, NULL);
        if (streams[i].code) code = streams[i].code;
        for (size_t k = 0; k < streams[i].trace.count; k++)
            if (!trace_add(t, streams[i].trace.at[k])) break;
        t->warm_up_count += streams[i].trace.warm_up_count;
        t->warm_up_ms = streams[i].trace.warm_up_ms;
        trace_fini(&streams[i].trace);
    }
    if (!code) qsort(t->at, t->count, sizeof(*t->at), by_begin);
    return code;
}
