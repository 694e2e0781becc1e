/* What only a real card can show of the runtime: what a run costs the host, that contexts on two
 * streams overlap, that threads share an engine, and that nothing is allocated on the way.
 *
 *     gpu_runtime [ORDINAL]
 *
 * Exit 1: a claim does not hold. Exit 77: there is no card. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/cuda/cuda.h"
#include "base/log.h"
#include "build/build.h"
#include "ir/graph.h"

enum { RUNS = 2000, ROUNDS = 30, DEPTH = 24, WIDTH = 256, ROWS = 32, THREADS = 4 };
static int failures;

static void must(tn_status status)
{
    char text[2000];
    if (!status) return;
    tn_status_text(status, true, text, sizeof text);
    fprintf(stderr, "error: %s\n", text);
    exit(1);
}

static void claim(bool holds, const char *what)
{
    printf("%s %s\n", holds ? "PASS" : "FAIL", what);
    failures += !holds;
}

/* ---- A network whose kernels fill a small part of the card -----------------------------------*/

static tn_engine *build_chain(const char *device, int depth)
{
    tn_text text = {0};
    const int64_t dim[] = {WIDTH, WIDTH};
    tn_tensor w;
    tn_graph *graph;
    tn_engine *engine;
    must(tn_tensor_new(TN_DTYPE_F32, dim, 2, &w));
    must(tn_tensor_fill_random(&w, 1, -0.1, 0.1));
    tn_text_printf(&text,
                   "graph \"chain\" {\n  input %%x : f32[%d,%d]\n"
                   "  const %%w : f32[%d,%d]=#0\n  %%h0 = Relu(%%x)\n",
                   ROWS, WIDTH, WIDTH, WIDTH);
    for (int i = 0; i < depth; i++)
        tn_text_printf(&text, "  %%m%d = MatMul(%%h%d, %%w)\n  %%h%d = Softmax(%%m%d)\n", i, i,
                       i + 1, i);
    tn_text_printf(&text, "  output \"y\" = %%h%d\n}\n", depth);
    must(tn_graph_parse(text.at, text.bytes, &w, 1, &graph));
    tn_build_config config = {.size = sizeof config, .device = device, .budget_ms = 200};
    must(tn_build_engine(graph, &config, &engine));
    tn_graph_free(graph);
    tn_tensor_free(&w);
    tn_text_fini(&text);
    return engine;
}

typedef struct runner {
    const tn_engine *engine;
    tn_context *context;
    void *in, *out, *stream;
    float seed;
    _Atomic int wrong;
} runner;

static void copy(const tn_engine *engine, void *to, const void *from, size_t bytes)
{
    const tn_card_calls *calls = engine->card->backend->card;
    void *stream;
    must(calls->stream_new(engine->card, &stream));
    must(calls->copy(stream, to, from, bytes));
    must(calls->wait(stream));
    calls->stream_free(stream);
}

static void open_runner(runner *r, const tn_engine *engine, float seed)
{
    static float x[ROWS * WIDTH];
    const tn_card_calls *calls = engine->card->backend->card;
    tn_tensor t = {.dtype = TN_DTYPE_F32, .rank = 2, .dim = {ROWS, WIDTH}};
    tn_tensor_set_dense(&t);
    *r = (runner){.engine = engine, .seed = seed};
    for (int i = 0; i < ROWS * WIDTH; i++) x[i] = seed * (float)(i % 37) / 37;
    must(calls->alloc(engine->card, false, sizeof x, &r->in));
    must(calls->alloc(engine->card, false, sizeof x, &r->out));
    copy(engine, r->in, x, sizeof x);
    must(calls->stream_new(engine->card, &r->stream));
    must(tn_exec_context_new(engine, &r->context));
    t.data = r->in;
    must(tn_exec_context_bind_device(r->context, "x", &t));
    t.data = r->out;
    must(tn_exec_context_bind_device(r->context, "y", &t));
    for (int i = 0; i < 5; i++) must(tn_exec_context_run(r->context));
}

static void close_runner(runner *r)
{
    const tn_card_calls *calls = r->engine->card->backend->card;
    tn_exec_context_free(r->context);
    calls->free(r->engine->card, false, r->in);
    calls->free(r->engine->card, false, r->out);
    calls->stream_free(r->stream);
}

/* ---- What a run costs the host ---------------------------------------------------------------*/

static _Atomic long calls_of_allocator;

static void *counting_resize(void *self, void *p, size_t old_bytes, size_t new_bytes)
{
    (void)self;
    atomic_fetch_add(&calls_of_allocator, 1);
    if (!new_bytes) {
        free(p);
        return NULL;
    }
    void *fresh = aligned_alloc(64, (new_bytes + 63) / 64 * 64);
    if (fresh && p) memcpy(fresh, p, old_bytes < new_bytes ? old_bytes : new_bytes);
    if (fresh) free(p);
    return fresh;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median(double *at, int count)
{
    qsort(at, (size_t)count, sizeof *at, compare);
    return at[count / 2];
}

static void measure_overhead(const char *device, int depth)
{
    static double host[RUNS], card[RUNS], begun[RUNS];
    tn_engine *engine = build_chain(device, depth);
    runner r;
    open_runner(&r, engine, 1);
    long before = calls_of_allocator;
    for (int i = 0; i < RUNS; i++) {
        uint64_t begin = tn_clock_ns();
        must(tn_exec_context_run(r.context));
        host[i] = (double)(tn_clock_ns() - begin) / 1e3;
    }
    for (int i = 0; i < RUNS; i++) {
        uint64_t begin = tn_clock_ns();
        must(tn_exec_context_enqueue(r.context, NULL));
        begun[i] = (double)(tn_clock_ns() - begin) / 1e3;
        must(tn_exec_context_wait(r.context));
    }
    claim(calls_of_allocator == before, "a run allocates nothing");
    tn_exec_context_measure(r.context, true);
    for (int i = 0; i < RUNS; i++) {
        must(tn_exec_context_run(r.context));
        card[i] = tn_exec_context_device_ns(r.context) / 1e3;
    }
    tn_exec_context_measure(r.context, false);
    /* The card by itself: runs one behind the other. */
    uint64_t begin = tn_clock_ns();
    for (int i = 0; i < RUNS; i++) must(tn_exec_context_enqueue(r.context, NULL));
    must(tn_exec_context_wait(r.context));
    double back_to_back = (double)(tn_clock_ns() - begin) / 1e3 / RUNS;
    double run = median(host, RUNS), device_us = median(card, RUNS), enqueue = median(begun, RUNS);
    printf("%d steps: run %.2f us, between events %.2f us, enqueue %.2f us, one behind the other "
           "%.2f us, overhead %.2f us\n",
           engine->plan.step_count, run, device_us, enqueue, back_to_back, run - device_us);
    claim(run - device_us < 6, "a run costs the host less than 6 us more than the card");
    close_runner(&r);
    tn_exec_engine_release(engine);
}

/* ---- Overlap ---------------------------------------------------------------------------------*/

static double time_rounds(runner *r, int count, bool lent)
{
    double best = 1e30;
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t begin = tn_clock_ns();
        for (int round = 0; round < 8; round++)
            for (int k = 0; k < count; k++)
                must(tn_exec_context_enqueue(
                    r[k].context, lent ? ((tn_cuda_stream *)r[k].stream)->handle : NULL));
        for (int k = 0; k < count; k++) must(tn_exec_context_wait(r[k].context));
        double us = (double)(tn_clock_ns() - begin) / 1e3;
        best = us < best ? us : best;
    }
    return best;
}

static void measure_overlap(const tn_engine *engine)
{
    runner r[2];
    for (int i = 0; i < 2; i++) open_runner(&r[i], engine, (float)(i + 1));
    for (int lent = 0; lent < 2; lent++) {
        double one = time_rounds(r, 1, lent), two = time_rounds(r, 2, lent);
        printf("8 runs, %s: one context %.1f us, two contexts %.1f us, %.2f times\n",
               lent ? "streams of the caller" : "streams of the contexts", one, two, two / one);
        claim(two < 1.6 * one, "two contexts on two streams overlap");
    }
    for (int i = 0; i < 2; i++) close_runner(&r[i]);
}

/* ---- Threads ---------------------------------------------------------------------------------*/

static void *run_thread(void *arg)
{
    static float want[THREADS][ROWS * WIDTH], got[THREADS][ROWS * WIDTH];
    runner *r = arg;
    int number = (int)r->seed - 1;
    copy(r->engine, want[number], r->out, sizeof want[0]);
    for (int i = 0; i < 300; i++) {
        must(tn_exec_context_run(r->context));
        if (i % 20) continue;
        copy(r->engine, got[number], r->out, sizeof got[0]);
        r->wrong += memcmp(got[number], want[number], sizeof got[0]) != 0;
    }
    return NULL;
}

static void share_between_threads(const tn_engine *engine)
{
    static runner r[THREADS];
    pthread_t thread[THREADS];
    int wrong = 0;
    for (int i = 0; i < THREADS; i++) open_runner(&r[i], engine, (float)(i + 1));
    for (int i = 0; i < THREADS; i++) pthread_create(&thread[i], NULL, run_thread, &r[i]);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(thread[i], NULL);
        wrong += r[i].wrong;
        close_runner(&r[i]);
    }
    claim(wrong == 0, "threads share an engine");
}

int main(int argc, char **argv)
{
    static const tn_allocator counting = {.resize = counting_resize};
    char device[32];
    const char *why;
    snprintf(device, sizeof device, "cuda:%s", argc > 1 ? argv[1] : "0");
    if (!tn_cu_open(&why)) {
        printf("skipped: %s\n", why);
        return 77;
    }
    tn_set_allocator(&counting);
    measure_overhead(device, 1);
    measure_overhead(device, DEPTH);
    tn_engine *engine = build_chain(device, DEPTH);
    measure_overlap(engine);
    share_between_threads(engine);
    tn_exec_engine_release(engine);
    return failures != 0;
}
