/* What an engine says of itself: the JSON of its layers, what became of each node of the model,
 * memory, candidates with their times and refusals; profilers; progress and cancelling of builds;
 * timing caches. */
#include "engine_help.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/json.h"

/* A Relu that a product takes in, an arithmetic that is folded, a view, and two readers. */
static const char sample[] = "graph \"sample\" {\n"
                             "  input %x : f32[n,64]\n"
                             "  const %w : f32[64,64] = #0\n"
                             "  const %b : f32[64] = #1\n"
                             "  const %two : f32={2}\n"
                             "  const %three : f32={3}\n"
                             "  const %shape : i64[3]={-1,8,8}\n"
                             "  %h : f32[n,64] = MatMul(%x, %w)  \"mm\"\n"
                             "  %a : f32[n,64] = Add(%h, %b)  \"bias\"\n"
                             "  %r : f32[n,64] = Relu(%a)  \"act\"\n"
                             "  %k : f32 = Mul(%two, %three)  \"six\"\n"
                             "  %s : f32[n,64] = Softmax{axis=1}(%r)  \"sm\"\n"
                             "  %m : f32[n,64] = Mul(%s, %k)  \"scale\"\n"
                             "  %v : f32[n,8,8] = Reshape(%m, %shape)  \"view\"\n"
                             "  %e : f32[n,8,8] = Sqrt(%v)  \"root\"\n"
                             "  output \"e\" = %e\n"
                             "  output \"h\" = %s\n"
                             "}\n";

static float weight[64 * 64 + 64];

static tn_graph *sample_graph(void)
{
    tn_graph *graph = NULL;
    tn_tensor data[2] = {view(TN_DTYPE_F32, weight, 2, 64, 64),
                         view(TN_DTYPE_F32, weight + 64 * 64, 1, 64, 0)};
    for (size_t i = 0; i < TN_COUNT(weight); i++) weight[i] = (float)(i * 37 % 101) / 101 - 0.5f;
    assert_ok(tn_graph_parse(sample, strlen(sample), data, 2, &graph));
    return graph;
}

static tn_engine *build_sample(const tn_build_config *config)
{
    tn_graph *graph = sample_graph();
    tn_engine *engine;
    assert_ok(tn_build_engine(graph, config, &engine));
    tn_graph_free(graph);
    return engine;
}

static json_t *layers_of(const tn_engine *engine, const tn_timing_cache *cache)
{
    char *text;
    json_t *json;
    assert_ok(tn_engine_layers(engine, cache, &text));
    assert_ok(tn_json_parse(text, strlen(text), "layers", &json));
    tn_text_free(text);
    return json;
}

static const char *word(const json_t *object, const char *key)
{
    const char *value = json_string_value(json_object_get(object, key));
    return value ? value : "";
}

static int64_t number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    assert_true(json_is_number(value));
    return (int64_t)json_number_value(value);
}

static const json_t *node_of(const json_t *json, const char *name)
{
    const json_t *nodes = json_object_get(json, "nodes");
    for (size_t i = 0; i < json_array_size(nodes); i++)
        if (!strcmp(word(json_array_get(nodes, i), "name"), name)) return json_array_get(nodes, i);
    fail_msg("there is no node '%s'", name);
    return NULL;
}

static const json_t *layer_of(const json_t *json, const char *node)
{
    const json_t *layers = json_object_get(node_of(json, node), "layers");
    assert_true(json_array_size(layers) > 0);
    size_t at = (size_t)json_integer_value(json_array_get(layers, 0));
    return json_array_get(json_object_get(json, "layers"), at);
}

static bool is_from(const json_t *layer, const char *label)
{
    const json_t *from = json_object_get(layer, "from");
    for (size_t i = 0; i < json_array_size(from); i++)
        if (!strcmp(json_string_value(json_array_get(from, i)), label)) return true;
    return false;
}

static void check_origins(const json_t *json)
{
    const json_t *product = layer_of(json, "mm");
    assert_ptr_equal(product, layer_of(json, "bias"));
    assert_ptr_equal(product, layer_of(json, "act"));
    assert_true(is_from(product, "MatMul 'mm'") && is_from(product, "Add 'bias'") &&
                is_from(product, "Relu 'act'"));
    assert_string_equal(word(layer_of(json, "sm"), "op"), "Softmax");
    assert_string_equal(word(node_of(json, "six"), "fate"), "constant");
    assert_string_equal(word(node_of(json, "view"), "fate"), "view");
    assert_true(is_from(layer_of(json, "root"), "Sqrt 'root'"));
    assert_true(number(product, "flops") >= 2 * 5 * 64 * 64);
}

static const tn_profile five = {
    .input = "x", .rank = 2, .min = {1, 64}, .opt = {5, 64}, .max = {9, 64}};

static void nodes_are_traced_to_layers(void **unused)
{
    (void)unused;
    tn_build_config config = {.size = sizeof(config),
                              .threads = 1,
                              .budget_ms = -1,
                              .profiles = &five,
                              .profile_count = 1};
    tn_engine *engine = build_sample(&config), *again, *tuned;
    json_t *json = layers_of(engine, NULL);
    check_origins(json);
    json_decref(json);
    /* A plan that is made anew from the portable graph, and one that is tuned. */
    assert_ok(tn_build_again(engine, NULL, 1, &again));
    check_origins(json = layers_of(again, NULL));
    json_decref(json);
    config.profile_count = 0;
    assert_ok(tn_engine_tune(again, &config, &tuned));
    check_origins(json = layers_of(tuned, NULL));
    json_decref(json);
    tn_engine_free(tuned);
    tn_engine_free(again);
    tn_engine_free(engine);
}

/* Tensors of the block that live at once do not overlap, and lie inside of it. */
static void check_memory(const json_t *json)
{
    const json_t *tensors = json_object_get(json, "tensors");
    int64_t block = number(json_object_get(json, "memory"), "block_bytes");
    size_t count = json_array_size(tensors);
    for (size_t i = 0; i < count; i++) {
        const json_t *a = json_array_get(tensors, i);
        if (!json_object_get(a, "offset")) continue;
        assert_true(number(a, "offset") + number(a, "bytes") <= block);
        for (size_t k = 0; k < i; k++) {
            const json_t *b = json_array_get(tensors, k);
            if (!json_object_get(b, "offset")) continue;
            bool together =
                number(a, "first") <= number(b, "last") && number(b, "first") <= number(a, "last");
            bool apart = number(a, "offset") + number(a, "bytes") <= number(b, "offset") ||
                         number(b, "offset") + number(b, "bytes") <= number(a, "offset");
            assert_true(!together || apart);
        }
    }
    assert_true(number(json_object_get(json, "memory"), "least_bytes") <= block);
}

static void layers_say_shapes_memory_and_candidates(void **unused)
{
    (void)unused;
    tn_build_config config = {.size = sizeof(config),
                              .threads = 1,
                              .budget_ms = 50,
                              .profiles = &five,
                              .profile_count = 1};
    tn_engine *engine = build_sample(&config);
    json_t *json = layers_of(engine, NULL);
    const json_t *input = json_array_get(json_object_get(json, "inputs"), 0);
    assert_int_equal(json_integer_value(json_array_get(json_object_get(input, "shape"), 0)), 5);
    check_memory(json);
    const json_t *product = layer_of(json, "mm");
    const json_t *candidates = json_object_get(product, "candidates");
    bool timed = false, chosen = false;
    for (size_t i = 0; i < json_array_size(candidates); i++) {
        const json_t *c = json_array_get(candidates, i);
        timed |= json_object_get(c, "ns") != NULL;
        chosen |= !strcmp(word(c, "tactic"), word(product, "tactic"));
        assert_true(!json_object_get(c, "ns") || !json_object_get(c, "refused"));
    }
    assert_true(chosen);
    assert_true(timed || json_array_size(candidates) < 3);
    assert_string_equal(word(product, "precision"), "fp32");
    assert_string_equal(word(json_object_get(json, "engine"), "check"), "passed");
    json_decref(json);
    tn_engine_free(engine);
}

/* Sizes that a run finds out, and a layer that is a loop. */
static void any_engine_can_be_looked_at(void **unused)
{
    (void)unused;
    static const char *const graphs[] = {
        "graph \"g\" { input %x : f32[n] %i : i64[1,k] = NonZero(%x) \"nz\" "
        "%f : f32[1,k] = Cast{to=1}(%i) \"c\" output \"f\" = %f }",
        "graph \"g\" { input %x : f32[2] const %m : i64={3} const %c : bool={1} "
        "%y : f32[2] = Loop{body=graph \"b\" { input %i : i64 input %k : bool input %v : f32[2] "
        "%d : f32[2] = Add(%v, %v) output \"k\" = %k output \"d\" = %d }}(%m, %c, %x) \"loop\" "
        "output \"y\" = %y }"};
    for (size_t i = 0; i < TN_COUNT(graphs); i++) {
        tn_engine *engine = build_text(graphs[i], NULL);
        json_t *json = layers_of(engine, NULL);
        const json_t *layers = json_object_get(json, "layers");
        assert_true(json_array_size(layers) > 0);
        if (i) assert_string_equal(word(layer_of(json, "loop"), "kind"), "loop");
        else assert_string_equal(word(layer_of(json, "nz"), "op"), "NonZero");
        json_decref(json);
        tn_engine_free(engine);
    }
}

/* ---- Profilers -------------------------------------------------------------------------------*/

typedef struct heard {
    int count, last;
    double ms, begin_ms;
    bool named;
} heard;

static void listen(void *self, const tn_step_event *event)
{
    heard *h = self;
    assert_int_equal(event->index, h->last + 1);
    assert_true(event->begin_ms >= h->begin_ms && event->ms >= 0);
    h->last = event->index;
    h->begin_ms = event->begin_ms;
    h->ms += event->ms;
    h->named |= !strcmp(event->op, "Softmax") && strstr(event->tactic, "softmax");
    h->count++;
}

static void profilers_hear_every_step(void **unused)
{
    (void)unused;
    static float x[3 * 64];
    tn_build_config config = {.size = sizeof(config), .threads = 1, .budget_ms = -1};
    tn_engine *engine = build_sample(&config);
    tn_context *context = new_context(engine);
    tn_tensor in = view(TN_DTYPE_F32, x, 2, 3, 64);
    heard h = {.last = -1};
    assert_ok(tn_context_bind(context, "x", &in));
    assert_ok(tn_context_set_profiler(context, listen, &h));
    assert_ok(tn_context_run(context));
    assert_int_equal(h.count, tn_context_step_count(context));
    assert_true(h.named);
    tn_step_time time;
    assert_ok(tn_context_step_time(context, 0, &time));
    assert_int_equal(time.run_count, 0); /* nobody asked for sums */
    assert_ok(tn_context_profile(context, true));
    h = (heard){.last = -1};
    assert_ok(tn_context_run(context));
    assert_ok(tn_context_set_profiler(context, NULL, NULL));
    assert_ok(tn_context_run(context));
    assert_int_equal(h.count, tn_context_step_count(context));
    double sum = 0;
    for (int i = 0; i < h.count; i++) {
        assert_ok(tn_context_step_time(context, i, &time));
        assert_int_equal(time.run_count, 2);
        sum += time.total_ms;
    }
    assert_true(sum >= h.ms);
    char *text;
    assert_ok(tn_context_layers(context, NULL, &text));
    assert_non_null(strstr(text, "\"runs\": 2"));
    assert_non_null(strstr(text, "\"shape\": [3, 64]"));
    tn_text_free(text);
    tn_context_free(context);
    tn_engine_free(engine);
}

/* ---- Progress --------------------------------------------------------------------------------*/

typedef struct watcher {
    int calls, stop_at;
    bool passes, kernels, check;
    const char *stage;
    int64_t done;
} watcher;

static bool watch(void *self, const char *stage, int64_t done, int64_t total)
{
    watcher *w = self;
    assert_true(done >= 0 && (!total || done <= total));
    if (w->stage && !strcmp(w->stage, stage)) assert_true(done >= w->done || done == 0);
    w->stage = stage;
    w->done = done;
    w->passes |= !strcmp(stage, "passes");
    w->kernels |= !strcmp(stage, "kernels") && done == total;
    w->check |= !strcmp(stage, "check") && done == total;
    return ++w->calls != w->stop_at;
}

static void builds_tell_how_far_they_are_and_stop_where_asked(void **unused)
{
    (void)unused;
    watcher w = {0};
    tn_graph *graph = sample_graph();
    tn_engine *engine;
    tn_build_config config = {.size = sizeof(config),
                              .threads = 1,
                              .budget_ms = -1,
                              .progress = watch,
                              .progress_self = &w};
    assert_ok(tn_build_engine(graph, &config, &engine));
    assert_true(w.passes && w.kernels && w.check);
    tn_engine_free(engine);
    for (int calls = w.calls, stop = 1; stop <= calls; stop++) {
        w = (watcher){.stop_at = stop};
        assert_int_equal(tn_status_code(tn_build_engine(graph, &config, &engine)), TN_CANCELLED);
        assert_null(engine);
        assert_int_equal(w.calls, stop);
    }
    tn_graph_free(graph);
}

/* ---- Timing caches ---------------------------------------------------------------------------*/

static void caches_save_what_was_measured(void **unused)
{
    (void)unused;
    char path[256], *first, *second;
    tn_timing_cache *cache, *copy;
    static const char line[] = "Relu f32[1]\tcpu.relu.f32.loops\t1\tanother machine\t5\n";
    assert_ok(tn_timing_cache_new(&cache));
    assert_ok(tn_timing_cache_new(&copy));
    assert_ok(tn_timing_cache_parse(cache, line, strlen(line)));
    tn_build_config config = {.size = sizeof(config),
                              .threads = 1,
                              .budget_ms = 200,
                              .no_check = true,
                              .timing_cache = cache};
    tn_engine *engine = build_sample(&config), *again;
    int64_t count = tn_timing_cache_count(cache); /* 1 where there is nothing to choose from */
    assert_true(count > 1 || !engine->measured);
    snprintf(path, sizeof(path), "%s/test_layers_%d.timings",
             getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp", (int)getpid());
    assert_ok(tn_timing_cache_save(cache, path));
    assert_ok(tn_timing_cache_load(copy, path));
    unlink(path);
    assert_fails(tn_timing_cache_load(copy, path), TN_NOT_FOUND, path);
    assert_ok(tn_timing_cache_text(cache, &first));
    assert_ok(tn_timing_cache_text(copy, &second));
    assert_string_equal(first, second);
    assert_int_equal(tn_timing_cache_count(copy), count);
    /* A build that finds all there measures nothing, and makes the same choices. */
    config.timing_cache = copy;
    again = build_sample(&config);
    assert_int_equal(tn_timing_cache_count(copy), count);
    assert_null(again->measured);
    assert_string_equal(again->report, engine->report);
    /* Its times come from the cache. */
    json_t *json = layers_of(again, cache);
    char *text = json_dumps(json, 0);
    assert_true(count == 1 || strstr(text, "\"ns\""));
    tn_free_sized(text);
    json_decref(json);
    tn_timing_cache_free(copy);
    assert_ok(tn_timing_cache_new(&copy));
    assert_ok(tn_timing_cache_parse(copy, first, strlen(first)));
    assert_ok(tn_timing_cache_merge(copy, cache));
    assert_int_equal(tn_timing_cache_count(copy), count);
    assert_ok(tn_timing_cache_parse(copy, "no timing", 9)); /* a warning */
    assert_int_equal(tn_timing_cache_count(copy), count);
    tn_text_free(first);
    tn_text_free(second);
    tn_timing_cache_free(copy);
    tn_timing_cache_free(cache);
    tn_engine_free(again);
    tn_engine_free(engine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nodes_are_traced_to_layers),
        cmocka_unit_test(layers_say_shapes_memory_and_candidates),
        cmocka_unit_test(any_engine_can_be_looked_at),
        cmocka_unit_test(profilers_hear_every_step),
        cmocka_unit_test(builds_tell_how_far_they_are_and_stop_where_asked),
        cmocka_unit_test(caches_save_what_was_measured),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
