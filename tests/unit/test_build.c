/* Building: choices and refusals, timings, profiles, the gate, equal bytes, and memory that runs
 * out. */
#include "engine_help.h"

#include <stdlib.h>
#include <unistd.h>

#include "backends/cpu/cpu.h"
#include "build/stage.h"
#include "fault/failing_allocator.h"
#include "tensor/tensor.h"

static const char sample[] = "graph \"sample\" {\n"
                             "  input %x : f32[batch,3]\n"
                             "  const %w : f32[3,4]={1,2,3,4,5,6,7,8,9,10,11,12}\n"
                             "  const %b : f32[4]={-4,0,4,0.5}\n"
                             "  %h : f32[batch,4] = MatMul(%x, %w)  \"mm\"\n"
                             "  %a : f32[batch,4] = Add(%h, %b)  \"bias\"\n"
                             "  %y : f32[batch,4] = Softmax(%a)  \"sm\"\n"
                             "  output \"y\" = %y\n"
                             "}\n";

/* The same but for b, and another operator at the end. */
static const char other[] = "graph \"other\" {\n"
                            "  input %x : f32[batch,3]\n"
                            "  const %w : f32[3,4]={1,2,3,4,5,6,7,8,9,10,11,12}\n"
                            "  const %b : f32[4]={-4,0,4,0.75}\n"
                            "  %h : f32[batch,4] = MatMul(%x, %w)  \"mm\"\n"
                            "  %a : f32[batch,4] = Add(%h, %b)  \"bias\"\n"
                            "  %y : f32[batch,4] = Softmax(%a)  \"sm\"\n"
                            "  output \"y\" = %y\n"
                            "}\n";

/* ---- Bytes -----------------------------------------------------------------------------------*/

static tn_writer bytes_of(const char *text, const tn_build_config *config)
{
    tn_writer image = {0};
    tn_engine *engine = build_text(text, config);
    assert_ok(tn_engine_file_write(engine, &image));
    tn_exec_engine_release(engine);
    return image;
}

static void temporary_path(char *path, size_t bytes, const char *ending)
{
    snprintf(path, bytes, "%s/test_build_%d.%s", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp",
             (int)getpid(), ending);
}

static void building_twice_gives_equal_bytes(void **unused)
{
    (void)unused;
    char path[256];
    temporary_path(path, sizeof(path), "timings");
    unlink(path);
    /* By estimates, and by measuring with a file that keeps the times of the first build. */
    for (int round = 0; round < 2; round++) {
        tn_build_config config = {.size = sizeof(config),
                                  .threads = 1,
                                  .budget_ms = round ? 50 : -1,
                                  .timings_path = round ? path : NULL};
        tn_writer a = bytes_of(sample, &config), b = bytes_of(sample, &config);
        assert_int_equal(a.count, b.count);
        assert_memory_equal(a.at, b.at, a.count);
        tn_writer_fini(&a);
        tn_writer_fini(&b);
    }
    unlink(path);
}

static void the_report_says_what_was_chosen_and_checked(void **unused)
{
    (void)unused;
    tn_engine *engine = build_text(sample, NULL);
    assert_non_null(strstr(engine->report, "Softmax f32[1,4]"));
    assert_non_null(strstr(engine->report, "cpu.softmax.any.reference"));
    assert_non_null(strstr(engine->report, "opt (x f32[1,3]): relative L2"));
    assert_non_null(strstr(engine->report, "larger batch (x f32[2,3])"));
    assert_non_null(strstr(engine->report, "check: passed"));
    assert_non_null(strstr(engine->meta, "check=passed\ntolerance=1e-05\n"));
    tn_exec_engine_release(engine);
    tn_build_config config = {
        .size = sizeof(config), .threads = 1, .budget_ms = -1, .no_check = true};
    engine = build_text(sample, &config);
    assert_non_null(strstr(engine->meta, "check=skipped"));
    tn_exec_engine_release(engine);
}

/* ---- Configs ---------------------------------------------------------------------------------*/

static tn_status try_build(const char *text, const tn_build_config *config)
{
    tn_graph *graph = parse_graph(text);
    tn_engine *engine = NULL;
    tn_status status = tn_build_engine(graph, config, &engine);
    tn_exec_engine_release(engine);
    tn_graph_free(graph);
    return status;
}

static void configs_that_do_not_fit_are_refused(void **unused)
{
    (void)unused;
    tn_profile profile = {.input = "x", .rank = 2, .min = {1, 3}, .opt = {4, 3}, .max = {2, 3}};
    tn_build_config config = {.size = sizeof(config),
                              .threads = 1,
                              .budget_ms = -1,
                              .profiles = &profile,
                              .profile_count = 1};
    assert_fails(try_build(sample, &config), TN_INVALID, "min 1, opt 4, max 2 at dim 0");
    profile.max[0] = 8;
    assert_ok(try_build(sample, &config));
    profile.max[1] = 4;
    assert_fails(try_build(sample, &config), TN_INVALID, "the input is f32[batch,3]");
    profile.input = "z";
    assert_fails(try_build(sample, &config), TN_INVALID, "'z', which is no input");
    profile.input = "x";
    profile.rank = 1;
    assert_fails(try_build(sample, &config), TN_INVALID, "rank 1");
    config.profile_count = 0;
    config.device = "toaster";
    assert_fails(try_build(sample, &config), TN_NOT_FOUND, "toaster");
    config.device = "cuda:-1";
    assert_fails(try_build(sample, &config), TN_NOT_FOUND, "cuda:-1");
    config.size = 0;
    assert_fails(try_build(sample, &config), TN_INVALID, "size is 0");
}

static void profiles_are_checked_at_all_their_shapes(void **unused)
{
    (void)unused;
    tn_profile profile = {.input = "x", .rank = 2, .min = {2, 3}, .opt = {4, 3}, .max = {8, 3}};
    tn_build_config config = {.size = sizeof(config),
                              .threads = 1,
                              .budget_ms = -1,
                              .profiles = &profile,
                              .profile_count = 1};
    tn_engine *engine = build_text(sample, &config);
    assert_non_null(strstr(engine->report, "min (x f32[2,3])"));
    assert_non_null(strstr(engine->report, "opt (x f32[4,3])"));
    assert_non_null(strstr(engine->report, "max (x f32[8,3])"));
    assert_non_null(strstr(engine->report, "Softmax f32[4,4]")); /* tuned for opt */
    tn_exec_engine_release(engine);
}

/* ---- Choosing --------------------------------------------------------------------------------*/

static tn_verdict accept(const tn_problem *p)
{
    (void)p;
    return TN_YES;
}

static tn_verdict refuse(const tn_problem *p)
{
    (void)p;
    return TN_NO("it is Friday");
}

static double slow(const tn_problem *p)
{
    (void)p;
    return 1000;
}

static double fast(const tn_problem *p)
{
    (void)p;
    return 100;
}

static double hardly_faster(const tn_problem *p)
{
    (void)p;
    return 99;
}

static tn_status launch(const tn_launch *l)
{
    (void)l;
    return NULL;
}

static tn_status broken(const tn_launch *l)
{
    (void)l;
    return TN_ERROR(TN_DEVICE, "smoke");
}

#define TACTIC(n, a, e, l)                                                                         \
    {                                                                                              \
        .name = n, .op = "Softmax", .revision = 2, .accepts = a, .estimate_ns = e, .launch = l     \
    }
static const tn_tactic fake[] = {
    TACTIC("fake.softmax.f32.friday", refuse, fast, launch),
    TACTIC("fake.softmax.f32.slow", accept, slow, launch),
    TACTIC("fake.softmax.f32.fast", accept, fast, launch),
    TACTIC("fake.softmax.f32.noise", accept, hardly_faster, launch),
    TACTIC("fake.softmax.f32.broken", accept, fast, broken),
    TACTIC("fake.softmax.any.reference", accept, NULL, launch),
};
static const tn_tactic *fake_table[] = {&fake[0], &fake[1], &fake[2], &fake[3],
                                        &fake[4], &fake[5], NULL};

static const tn_tactic *const *fake_tactics(void)
{
    return fake_table;
}

static tn_status fake_devices(tn_device_info *out, int max, int *count, const char **why)
{
    (void)max;
    *out = (tn_device_info){.name = "fake"};
    *count = 1;
    *why = NULL;
    return NULL;
}

static const tn_backend fake_backend = {
    .name = "fake", .devices = fake_devices, .tactics = fake_tactics};

typedef struct bench {
    tn_engine *engine;
    tn_graph *graph;
    tn_timings timings;
    tn_chooser chooser;
    tn_text report;
    tn_arena arena;
} bench;

static void open_bench(bench *b)
{
    static const char text[] =
        "graph \"one\" {\n  input %x : f32[2,3]\n  %y : f32[2,3] = Softmax(%x)\n"
        "  output \"y\" = %y\n}\n";
    tn_build_config config = {.size = sizeof(config)};
    tn_shape_sets sets;
    int64_t *values;
    *b = (bench){0};
    tn_arena_init(&b->arena);
    assert_ok(tn_exec_engine_new(&fake_backend, 1, &b->engine));
    b->graph = parse_graph(text);
    assert_ok(tn_timings_init(&b->timings, b->engine, &b->arena));
    assert_ok(tn_shapes_of(b->graph, &config, &b->arena, &sets));
    assert_ok(tn_shapes_values(b->graph, &sets.at[sets.opt], &b->arena, &values));
    b->chooser = (tn_chooser){.engine = b->engine,
                              .values = values,
                              .timings = &b->timings,
                              .report = &b->report,
                              .arena = &b->arena,
                              .budget_ms = -1};
    tn_map_init(&b->chooser.decided, &b->arena);
}

static void close_bench(bench *b)
{
    tn_exec_engine_release(b->engine);
    tn_graph_free(b->graph);
    tn_text_fini(&b->report);
    tn_arena_fini(&b->arena);
}

static void estimates_rank_and_refusals_are_told(void **unused)
{
    (void)unused;
    bench b;
    tn_choices choices;
    open_bench(&b);
    assert_ok(tn_choose(&b.chooser, b.graph->first, false, &choices));
    assert_string_equal(choices.tactic[0]->name, "fake.softmax.f32.fast"); /* 1 % is no reason */
    assert_string_equal(choices.tactic[choices.count - 1]->name, "fake.softmax.any.reference");
    assert_int_equal(choices.count, 5);
    assert_non_null(strstr(b.report.at, "no: fake.softmax.f32.friday: it is Friday"));
    close_bench(&b);
}

static void timings_decide_and_failures_are_out(void **unused)
{
    (void)unused;
    bench b;
    tn_choices choices;
    open_bench(&b);
    static const char problem[] = "Softmax f32[2,3] -> f32[2,3]";
    assert_ok(tn_timings_put(&b.timings, problem, &fake[1], 5)); /* the slow one was fast here */
    assert_ok(tn_timings_put(&b.timings, problem, &fake[2], 50));
    assert_ok(tn_timings_put(&b.timings, problem, &fake[3], 40));
    b.chooser.budget_ms = 10;
    b.chooser.problems_left = 1;
    tn_set_log(NULL, NULL, TN_LOG_ERROR);
    assert_ok(tn_choose(&b.chooser, b.graph->first, false, &choices));
    tn_set_log(NULL, NULL, TN_LOG_WARNING);
    assert_string_equal(choices.tactic[0]->name, "fake.softmax.f32.slow");
    assert_non_null(strstr(b.report.at, "no: fake.softmax.f32.broken: failed: smoke"));
    for (int i = 0; i < choices.count; i++)
        assert_string_not_equal(choices.tactic[i]->name, "fake.softmax.f32.broken");
    assert_int_equal(b.timings.count, 3); /* nothing was measured twice */
    close_bench(&b);
}

/* ---- Timings ---------------------------------------------------------------------------------*/

static void a_timings_file_is_read_merged_and_cleaned(void **unused)
{
    (void)unused;
    char path[256], line[256] = {0};
    bench b;
    bool found;
    double ns;
    temporary_path(path, sizeof(path), "txt");
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file, "# tenon timings 1\n"
                  "P\tfake.softmax.f32.fast\t2\tfake, 1 threads\t123\n"
                  "P\tfake.softmax.f32.fast\t2\tanother CPU, 1 threads\t9\n"
                  "P\tfake.softmax.f32.fast\t2\tfake, 2 threads\t8\n"
                  "P\tfake.softmax.f32.slow\t1\tfake, 1 threads\t5\n" /* older kernel */
                  "P\tcuda.softmax.f32.x\t7\telsewhere\t99\n"         /* of another machine */
                  "nonsense\nP\tq\tr\ts\tt\nP\tq\t1\ts\t-4\nP\tq\t1\ts\tinf\n\n");
    fclose(file);
    open_bench(&b);
    tn_set_log(NULL, NULL, TN_LOG_ERROR);
    assert_ok(tn_timings_load(&b.timings, &fake_backend, path));
    tn_set_log(NULL, NULL, TN_LOG_WARNING);
    assert_int_equal(b.timings.count, 4);
    assert_ok(tn_timings_find(&b.timings, "P", &fake[2], &found, &ns));
    assert_true(found);
    assert_float_equal(ns, 123, 0);
    assert_ok(tn_timings_find(&b.timings, "P", &fake[1], &found, &ns));
    assert_false(found);
    assert_ok(tn_timings_put(&b.timings, "A", &fake[2], 7.4));
    assert_ok(tn_timings_save(&b.timings, path));
    file = fopen(path, "r");
    assert_non_null(file);
    assert_non_null(fgets(line, sizeof(line), file));
    assert_string_equal(line, "# tenon timings 1\n");
    assert_non_null(fgets(line, sizeof(line), file));
    assert_string_equal(line, "A\tfake.softmax.f32.fast\t2\tfake, 1 threads\t7\n");
    assert_non_null(fgets(line, sizeof(line), file));
    assert_string_equal(line, "P\tcuda.softmax.f32.x\t7\telsewhere\t99\n");
    static const char *const kept[] = {"another CPU, 1 threads\t9\n", "fake, 1 threads\t123\n",
                                       "fake, 2 threads\t8\n"};
    for (size_t i = 0; i < TN_COUNT(kept); i++) {
        assert_non_null(fgets(line, sizeof(line), file));
        assert_non_null(strstr(line, kept[i]));
    }
    assert_null(fgets(line, sizeof(line), file));
    fclose(file);
    unlink(path);
    close_bench(&b);
}

/* ---- The gate --------------------------------------------------------------------------------*/

static void the_gate_names_the_first_tensor_that_differs(void **unused)
{
    (void)unused;
    tn_arena arena;
    tn_arena_init(&arena);
    tn_graph *right = parse_graph(sample), *wrong = parse_graph(other);
    tn_build_config config = {.size = sizeof(config), .threads = 1, .budget_ms = -1};
    tn_engine *engine = build_text(other, &config);
    tn_shape_sets sets;
    int64_t *values;
    tn_timings timings;
    tn_text report = {0};
    assert_ok(tn_timings_init(&timings, engine, &arena));
    assert_ok(tn_shapes_of(right, &config, &arena, &sets));
    assert_ok(tn_shapes_values(wrong, &sets.at[sets.opt], &arena, &values));
    tn_chooser chooser = {
        .engine = engine, .values = values, .timings = &timings, .arena = &arena, .budget_ms = -1};
    tn_map_init(&chooser.decided, &arena);
    tn_gate gate = {.original = right,
                    .optimised = wrong,
                    .engine = engine,
                    .chooser = &chooser,
                    .shapes = &sets,
                    .report = &report};
    tn_status status = tn_gate_run(&gate);
    assert_int_equal(tn_status_code(status), TN_MISMATCH);
    const char *message = tn_status_message(status);
    assert_non_null(strstr(
        message, "output 'y' differs from the unoptimised graph at the opt shapes (x f32[1,3])"));
    assert_non_null(strstr(message, "the first tensor that differs is 'a' of Add 'bias'"));
    gate.tolerance = 0.5; /* anything goes */
    assert_ok(tn_gate_run(&gate));
    assert_string_equal(gate.result, "passed");
    tn_text_fini(&report);
    tn_exec_engine_release(engine);
    tn_graph_free(right);
    tn_graph_free(wrong);
    tn_arena_fini(&arena);
}

static void random_numbers_are_not_compared(void **unused)
{
    (void)unused;
    tn_engine *engine = build_text("graph \"random\" {\n"
                                   "  input %x : f32[n]\n"
                                   "  %r : f32[n] = RandomUniformLike(%x)\n"
                                   "  %y : f32[n] = Add(%x, %r)\n"
                                   "  output \"y\" = %y\n"
                                   "}\n",
                                   NULL);
    assert_non_null(strstr(engine->meta, "check=inconclusive"));
    assert_non_null(strstr(engine->report, "RandomUniformLike gives other values at each run"));
    tn_exec_engine_release(engine);
}

static void tokens_stay_inside_their_tables(void **unused)
{
    (void)unused;
    tn_graph *graph = parse_graph("graph \"tokens\" {\n"
                                  "  input %ids : i64[batch,seq]\n"
                                  "  input %mask : i64[batch,seq]\n"
                                  "  input %rows : f32[rows,2]\n"
                                  "  const %t : f32[5,2]={1,2,3,4,5,6,7,8,9,10}\n"
                                  "  const %shape : i64[1]={-1}\n"
                                  "  %flat : i64[batch*seq] = Reshape(%ids, %shape)\n"
                                  "  %a : f32[batch*seq,2] = Gather{axis=0}(%t, %flat)\n"
                                  "  %b : f32[batch*seq,2] = Gather{axis=0}(%rows, %flat)\n"
                                  "  output \"a\" = %a\n"
                                  "  output \"b\" = %b\n"
                                  "  output \"m\" = %mask\n"
                                  "}\n");
    tn_arena arena;
    tn_arena_init(&arena);
    tn_profile profiles[] = {
        {.input = "ids", .rank = 2, .min = {4, 40}, .opt = {4, 40}, .max = {4, 40}},
        {.input = "rows", .rank = 2, .min = {3, 2}, .opt = {3, 2}, .max = {9, 2}}};
    tn_build_config config = {.size = sizeof(config), .profiles = profiles, .profile_count = 2};
    tn_shape_sets sets;
    int64_t *values;
    tn_tensor in[3] = {0};
    assert_ok(tn_shapes_of(graph, &config, &arena, &sets));
    assert_ok(tn_shapes_values(graph, &sets.at[sets.opt], &arena, &values));
    assert_ok(tn_gate_inputs(graph, &sets.at[sets.opt], values, 0, 0, in));
    int64_t top = 0, ones = 0;
    for (int i = 0; i < 160; i++) {
        int64_t id = ((int64_t *)in[0].data)[i], m = ((int64_t *)in[1].data)[i];
        assert_in_range(id, 0, 2); /* 3 rows at these shapes */
        assert_in_range(m, 0, 1);
        if (id > top) top = id;
        ones += m;
    }
    assert_int_equal(top, 2);
    assert_in_range(ones, 1, 159);
    for (int i = 0; i < 3; i++) tn_tensor_free(&in[i]);
    tn_arena_fini(&arena);
    tn_graph_free(graph);
}

/* ---- Memory that runs out --------------------------------------------------------------------*/

static tn_status build_and_run(const char *text)
{
    tn_build_config config = {.size = sizeof(config), .threads = 1, .budget_ms = -1};
    tn_graph *graph = NULL;
    tn_engine *engine = NULL, *loaded = NULL;
    tn_context *context = NULL;
    tn_writer image = {0};
    float x[6] = {1, 2, 3, 4, 5, 6};
    tn_tensor in = view(TN_DTYPE_F32, x, 2, 2, 3);
    tn_status status = tn_graph_parse(text, strlen(text), NULL, 0, &graph);
    if (!status) status = tn_build_engine(graph, &config, &engine);
    if (!status) status = tn_engine_file_write(engine, &image);
    if (!status) status = tn_exec_engine_new(&tn_backend_cpu, 1, &loaded);
    if (!status) status = tn_engine_file_read(loaded, (tn_mapping){image.at, image.count}, "image");
    if (!status) status = tn_exec_engine_ready(loaded);
    if (!status) status = tn_exec_context_new(loaded, &context);
    if (!status) status = tn_exec_context_bind(context, "x", &in);
    if (!status) status = tn_exec_context_run(context);
    tn_exec_context_free(context);
    tn_exec_engine_release(loaded);
    tn_exec_engine_release(engine);
    tn_graph_free(graph);
    tn_writer_fini(&image);
    return status;
}

static void every_allocation_may_fail(void **unused)
{
    (void)unused;
    static const char counting[] =
        "graph \"nz\" {\n  input %x : f32[n,3]\n  %i : i64[2,k] = NonZero(%x)\n"
        "  output \"i\" = %i\n}\n";
    const char *const texts[] = {sample, counting};
    tn_set_log(NULL, NULL, TN_LOG_ERROR);
    assert_ok(build_and_run(sample)); /* what is made once for ever is made now */
    for (size_t t = 0; t < TN_COUNT(texts); t++) {
        for (int64_t n = 1;; n++) {
            failing_install(n, FAIL_ONCE);
            tn_status status = build_and_run(texts[t]);
            failing_counts counts = failing_remove();
            assert_int_equal(counts.live_bytes, 0);
            assert_int_equal(counts.errors, 0);
            if (!counts.failed) {
                assert_null(status);
                break;
            }
            if (status) assert_int_equal(tn_status_code(status), TN_OUT_OF_MEMORY);
        }
    }
    tn_set_log(NULL, NULL, TN_LOG_WARNING);
}

/* What a machine without a card has built, others measure for themselves. */
static void an_engine_is_tuned_from_the_graph_it_carries(void **unused)
{
    (void)unused;
    float x[3] = {1, 2, 3}, want[4], got[4];
    const tn_profile profile = {
        .input = "x", .rank = 2, .min = {1, 3}, .opt = {2, 3}, .max = {5, 3}};
    tn_build_config config = {.size = sizeof(config),
                              .threads = 1,
                              .budget_ms = -1,
                              .profiles = &profile,
                              .profile_count = 1};
    tn_engine *estimated = build_text(sample, &config), *tuned, *again;
    tn_tensor in = view(TN_DTYPE_F32, x, 2, 1, 3), y = view(TN_DTYPE_F32, want, 2, 1, 4);
    config = (tn_build_config){.size = sizeof(config), .threads = 1, .budget_ms = 20};
    assert_ok(tn_build_tuned(estimated, &config, &tuned));
    assert_ok(tn_build_tuned(tuned, &config, &again));
    const tn_engine *engines[] = {estimated, tuned, again};
    for (size_t i = 0; i < TN_COUNT(engines); i++) {
        tn_context *context = new_context(engines[i]);
        y.data = i ? got : want;
        assert_ok(tn_exec_context_bind(context, "x", &in));
        assert_ok(tn_exec_context_bind(context, "y", &y));
        assert_ok(tn_exec_context_run(context));
        for (int k = 0; i && k < 4; k++) assert_float_equal(got[k], want[k], 1e-6);
        assert_non_null(strstr(engines[i]->meta, "profile:0=1x3 2x3 5x3 x\n"));
        assert_non_null(strstr(engines[i]->report, "max (x f32[5,3])"));
        tn_exec_context_free(context);
    }
    assert_null(strstr(estimated->report, "before tuning"));
    assert_non_null(strstr(tuned->report, "check before tuning: passed"));
    for (size_t i = 0; i < TN_COUNT(engines); i++) tn_exec_engine_release(engines[i]);
}

static void profiles_are_lines_of_text(void **unused)
{
    (void)unused;
    tn_profile p, q = {.input = "a b", .rank = 0};
    tn_text text = {0};
    tn_profile_print(&q, &text);
    assert_string_equal(text.at, "scalar scalar scalar a b");
    assert_true(tn_profile_parse(text.at, &p) && p.rank == 0 && !strcmp(p.input, "a b"));
    tn_text_fini(&text);
    static const char *const bad[] = {"",
                                      "1",
                                      "1x 1 1 x",
                                      "1 1 x",
                                      "1 1x2 1 x",
                                      "a b c d",
                                      "1x1x1x1x1x1x1x1x1 1 1 x",
                                      "99999999999999999999 1 1 x"};
    for (size_t i = 0; i < TN_COUNT(bad); i++) assert_false(tn_profile_parse(bad[i], &p));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_engine_is_tuned_from_the_graph_it_carries),
        cmocka_unit_test(profiles_are_lines_of_text),
        cmocka_unit_test(building_twice_gives_equal_bytes),
        cmocka_unit_test(the_report_says_what_was_chosen_and_checked),
        cmocka_unit_test(configs_that_do_not_fit_are_refused),
        cmocka_unit_test(profiles_are_checked_at_all_their_shapes),
        cmocka_unit_test(estimates_rank_and_refusals_are_told),
        cmocka_unit_test(timings_decide_and_failures_are_out),
        cmocka_unit_test(a_timings_file_is_read_merged_and_cleaned),
        cmocka_unit_test(the_gate_names_the_first_tensor_that_differs),
        cmocka_unit_test(random_numbers_are_not_compared),
        cmocka_unit_test(tokens_stay_inside_their_tables),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
