/* What only a real card can show of the runtime: what a run costs the host, that contexts on two
 * streams overlap, that threads share an engine, that several cards do not get in each other's way,
 * and that nothing is allocated on the way.
 *
 *     gpu_runtime [ORDINAL]
 *
 * Exit 1: a claim does not hold. Exit 77: there is no card. */
#include <math.h>
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

/* ---- Two cards -------------------------------------------------------------------------------*/

enum { IMAGE_CHANNELS = 8, IMAGE_SIDE = 32 }; /* ROWS * WIDTH elements */

/* With float16 in its products, so that every library is asked. */
static tn_engine *build_image(const char *device)
{
    tn_text text = {0};
    const int64_t dim[] = {IMAGE_CHANNELS, IMAGE_CHANNELS, 3, 3}, four = 4, two = 2;
    tn_tensor constant[3];
    tn_graph *graph;
    tn_engine *engine;
    must(tn_tensor_new(TN_DTYPE_F32, dim, 4, &constant[0]));
    must(tn_tensor_fill_random(&constant[0], 1, -0.2, 0.2));
    must(tn_tensor_new(TN_DTYPE_I64, &four, 1, &constant[1]));
    must(tn_tensor_new(TN_DTYPE_I64, &two, 1, &constant[2]));
    memcpy(constant[1].data, (int64_t[]){1, IMAGE_CHANNELS, IMAGE_SIDE, IMAGE_SIDE}, 32);
    memcpy(constant[2].data, (int64_t[]){ROWS, WIDTH}, 16);
    tn_text_printf(&text,
                   "graph \"image\" {\n  input %%x : f32[%d,%d]\n  const %%w : f32[%d,%d,3,3]=#0\n"
                   "  const %%s : i64[4]=#1\n  const %%t : i64[2]=#2\n  %%h0 = Reshape(%%x, %%s)\n",
                   ROWS, WIDTH, IMAGE_CHANNELS, IMAGE_CHANNELS);
    for (int i = 0; i < 6; i++)
        tn_text_printf(&text, "  %%c%d = Conv{pads=[1,1,1,1]}(%%h%d, %%w)\n  %%h%d = Relu(%%c%d)\n",
                       i, i, i + 1, i);
    tn_text_printf(&text, "  %%y = Reshape(%%h6, %%t)\n  output \"y\" = %%y\n}\n");
    must(tn_graph_parse(text.at, text.bytes, constant, 3, &graph));
    tn_build_config config = {.size = sizeof config,
                              .device = device,
                              .precision = TN_PRECISION_F16,
                              .budget_ms = 200,
                              .no_check = true};
    must(tn_build_engine(graph, &config, &engine));
    tn_graph_free(graph);
    for (int i = 0; i < 3; i++) tn_tensor_free(&constant[i]);
    tn_text_fini(&text);
    return engine;
}

/* The same engine, loaded for another card. */
static tn_engine *move(const tn_engine *engine, tn_card *card)
{
    tn_writer image = {0};
    tn_engine *moved;
    must(tn_engine_file_write(engine, &image));
    must(tn_exec_engine_new(engine->backend, 1, &moved));
    must(tn_engine_file_read(moved, (tn_mapping){image.at, image.count}, "the engine"));
    moved->card = card;
    must(tn_exec_engine_ready(moved));
    return moved; /* the image is its memory, for as long as this program lives */
}

/* One thread runs an engine on two cards by turns, with the same data: the same bits, if the cards
 * are alike, whoever compiled, and whatever was current before. */
static void use_two_cards(tn_engine *(*build)(const char *device), const char *what)
{
    static float y[2][ROWS * WIDTH], first[ROWS * WIDTH];
    const tn_card_calls *calls = tn_backend_cuda.card;
    tn_card *card[2];
    tn_engine *engine[2];
    runner r[2];
    int wrong = 0;
    for (int i = 0; i < 2; i++) must(calls->open(i, &card[i]));
    engine[0] = build("cuda:0");
    engine[1] = move(engine[0], card[1]);
    for (int i = 0; i < 2; i++) open_runner(&r[i], engine[i], 1);
    copy(engine[0], first, r[0].out, sizeof first);
    for (int round = 0; round < 100; round++) {
        for (int i = 0; i < 2; i++) must(tn_exec_context_enqueue(r[i].context, NULL));
        for (int i = 0; i < 2; i++) must(tn_exec_context_wait(r[i].context));
        for (int i = 0; i < 2; i++) copy(engine[i], y[i], r[i].out, sizeof y[i]);
        for (int i = 0; i < 2; i++) wrong += memcmp(y[i], first, sizeof first) != 0;
    }
    bool alike = !strcmp(card[0]->info.name, card[1]->info.name);
    claim(wrong == 0 || !alike, what);
    for (int i = 0; i < 2; i++) {
        close_runner(&r[i]);
        tn_exec_engine_release(engine[i]);
    }
    /* The second card builds for itself, too. */
    engine[1] = build("cuda:1");
    open_runner(&r[1], engine[1], 1);
    copy(engine[1], y[1], r[1].out, sizeof y[1]);
    double worst = 0;
    for (int i = 0; i < ROWS * WIDTH; i++) worst = fmax(worst, fabs((double)(y[1][i] - first[i])));
    claim(worst < 1e-2, "an engine built for the second card computes the same");
    close_runner(&r[1]);
    tn_exec_engine_release(engine[1]);
}

static tn_engine *build_short_chain(const char *device)
{
    return build_chain(device, DEPTH);
}

static void use_cards(void)
{
    tn_device_info info[2];
    const char *why;
    int count;
    must(tn_backend_cuda.devices(info, 2, &count, &why));
    if (count < 2) {
        printf("SKIP two cards: there is one\n");
        return;
    }
    use_two_cards(build_short_chain, "two cards run an engine of products side by side");
    use_two_cards(build_image, "two cards run an engine of convolutions side by side");
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
    use_cards();
    return failures != 0;
}
