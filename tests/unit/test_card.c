/* Plans on a card, which is made up for the purpose. */
#include "build/build.h"
#include "build/timings.h"

#include "fake_card.h"

/* ---- Engines ---------------------------------------------------------------------------------*/

static double coarse_ns;      /* the kernel of TF32 is allowed, and takes so long; 0: it is not */
static const tn_map *rounded; /* results that must be exact all the same */

/* At the opt shapes of the profile, if there is one, and at its max, where this was measured. */
static tn_engine *build_for(const char *text, const tn_profile *profile,
                            const char *const *measured)
{
    tn_build_config config = {
        .size = sizeof(config), .profiles = profile, .profile_count = profile != NULL};
    tn_engine *engine;
    tn_arena arena;
    tn_shape_sets sets;
    tn_timings timings;
    tn_constant_list constants;
    int64_t *values;
    tn_graph *graph = parse_graph(text);
    tn_arena_init(&arena);
    tn_constants_init(&constants, &arena);
    assert_ok(tn_exec_engine_new(&tn_backend_cpu, 1, &engine));
    engine->card = &the_card;
    assert_ok(tn_timings_init(&timings, engine, &arena));
    assert_ok(tn_shapes_of(graph, &config, &arena, &sets));
    assert_ok(tn_shapes_values(graph, &sets.at[sets.opt], &arena, &values));
    tn_chooser chooser = {
        .engine = engine, .values = values, .timings = &timings, .arena = &arena, .budget_ms = -1};
    tn_map_init(&chooser.decided, &arena);
    if (coarse_ns > 0) chooser.precision = TN_PRECISION_TF32;
    chooser.rounded = rounded;
    for (int i = 0; measured && measured[i]; i++) {
        assert_ok(tn_timings_put(&timings, measured[i], &kernels[3], i ? 40 : 10));
        assert_ok(tn_timings_put(&timings, measured[i], &large, i ? 10 : 20));
        assert_ok(tn_timings_put(&timings, measured[i], &coarse, coarse_ns));
    }
    for (int i = 0; profile && i < sets.count; i++)
        if (!strcmp(sets.at[i].name, "max")) {
            assert_ok(tn_shapes_values(graph, &sets.at[i], &arena, &values));
            chooser.other[chooser.other_count++] = values;
        }
    assert_ok(tn_emit(graph, &chooser, engine, &constants));
    assert_ok(tn_finish(engine, graph, NULL, &constants));
    assert_ok(tn_keep_code(engine, &sets));
    tn_constants_fini(&constants);
    tn_graph_free(graph);
    tn_arena_fini(&arena);
    return engine;
}

static tn_engine *build(const char *text)
{
    return build_for(text, NULL, NULL);
}

static int count_steps(const tn_engine *engine, bool card)
{
    int count = 0;
    for (int32_t i = 0; i < engine->plan.step_count; i++)
        count += engine->plan.step[i].kind == TN_STEP_LAUNCH && engine->plan.step[i].card == card;
    return count;
}

/* Binds x, runs, and compares y with what one thread of the CPU gives. */
static void expect_like_cpu(const char *text, tn_context *context, const tn_tensor *x)
{
    tn_build_config plain = {.size = sizeof(plain), .threads = 1, .no_optimize = true};
    tn_engine *cpu = build_text(text, &plain);
    tn_context *reference = new_context(cpu);
    tn_tensor want, got;
    assert_ok(tn_exec_context_bind(reference, "x", x));
    assert_ok(tn_exec_context_run(reference));
    assert_ok(tn_exec_context_output(reference, "y", &want));
    assert_ok(tn_exec_context_bind(context, "x", x));
    assert_ok(tn_exec_context_run(context));
    assert_ok(tn_exec_context_output(context, "y", &got));
    assert_int_equal(tn_tensor_bytes(&got), tn_tensor_bytes(&want));
    assert_memory_equal(got.data, want.data, (size_t)tn_tensor_bytes(&want));
    tn_exec_context_free(reference);
    tn_exec_engine_release(cpu);
}

static void close_engine(tn_engine *engine, tn_context *context)
{
    tn_exec_context_free(context);
    tn_exec_engine_release(engine);
    assert_int_equal(blocks, 0); /* all memory of the card has been given back */
    refused_dim = -1;
}

/* Sin has no kernel on the card, so the plan goes there, back, and there again. */
static const char mixed[] = "graph \"mixed\" {\n"
                            "  input %x : f32[n,3]\n"
                            "  const %w : f32[3,3]={1,2,3,4,5,6,7,8,9}\n"
                            "  %a = MatMul(%x, %w)\n"
                            "  %b = Relu(%a)\n"
                            "  %c = Sin(%b)\n"
                            "  %d = Add(%c, %b)\n"
                            "  %y = Neg(%d)\n"
                            "  output \"y\" = %y\n}\n";

static void both_memories_are_kept_apart(void **unused)
{
    (void)unused;
    float x[300];
    tn_engine *engine = build(mixed);
    tn_context *context = new_context(engine);
    assert_int_equal(count_steps(engine, true), 4);
    assert_int_equal(count_steps(engine, false), 1);
    for (int run = 0; run < 8; run++) {
        int64_t rows = run % 3 ? 2 : 100; /* small enough to be shared, and not */
        for (int i = 0; i < 300; i++) x[i] = (float)((i * 7 + run) % 11 - 5);
        tn_tensor in = view(TN_DTYPE_F32, x, 2, rows, 3);
        expect_like_cpu(mixed, context, &in);
    }
    close_engine(engine, context);
}

static void recordings_last_while_memory_stays(void **unused)
{
    (void)unused;
    float x[9] = {1, -2, 3, -4, 5, -6, 7, -8, 9}, other[9] = {3, 1, 2, 3, 1, 2, 3, 1, 2};
    tn_engine *engine = build(mixed);
    tn_context *context = new_context(engine);
    tn_tensor two = view(TN_DTYPE_F32, x, 2, 2, 3), three = view(TN_DTYPE_F32, other, 2, 3, 3);
    for (int i = 0; i < 3; i++) expect_like_cpu(mixed, context, &three);
    for (int i = 0; i < 3; i++) expect_like_cpu(mixed, context, &two);
    int before = records, replayed = replays;
    for (int i = 0; i < 4; i++) {
        tn_tensor in = view(TN_DTYPE_F32, i % 2 ? x : other, 2, 2, 3);
        expect_like_cpu(mixed, context, &in); /* other memory of the user's */
        expect_like_cpu(mixed, context, &three);
    }
    assert_int_equal(records, before);
    assert_int_equal(replays, replayed + 2 * 8); /* two segments around the Sin */
    close_engine(engine, context);
}

static void the_host_helps_out_at_shapes_that_no_kernel_takes(void **unused)
{
    (void)unused;
    float x[15] = {0};
    for (int i = 0; i < 15; i++) x[i] = (float)(i % 4) - 1.5f;
    tn_engine *engine = build(mixed);
    tn_context *context = new_context(engine);
    refused_dim = 5;
    tn_tensor five = view(TN_DTYPE_F32, x, 2, 5, 3), four = view(TN_DTYPE_F32, x, 2, 4, 3);
    int before = launches;
    for (int i = 0; i < 3; i++) expect_like_cpu(mixed, context, &five);
    assert_int_equal(launches, before);
    expect_like_cpu(mixed, context, &four);
    assert_true(launches > before);
    close_engine(engine, context);
}

static void on_card(const char *text)
{
    float x[6] = {1, -2, 3, -4, 5, -6}, want[6] = {2, 0, 6, 0, 10, 0};
    void *in_memory, *out_memory;
    tn_engine *engine = build(text);
    tn_context *context = new_context(engine);
    tn_tensor in = view(TN_DTYPE_F32, NULL, 2, 2, 3), out = in;
    assert_ok(card_alloc(&the_card, false, sizeof(x), &in_memory));
    assert_ok(card_alloc(&the_card, false, sizeof(x), &out_memory));
    memcpy(near_pointer(in_memory), x, sizeof(x));
    in.data = in_memory;
    out.data = out_memory;
    assert_ok(tn_exec_context_bind_device(context, "x", &in));
    assert_ok(tn_exec_context_bind_device(context, "y", &out));
    for (int i = 0; i < 4; i++) {
        memset(near_pointer(out_memory), 0, sizeof(x));
        assert_ok(tn_exec_context_run(context));
        assert_memory_equal(near_pointer(out_memory), want, sizeof(want));
    }
    /* And back to the host's memory. */
    float back[6] = {0};
    tn_tensor host_in = view(TN_DTYPE_F32, x, 2, 2, 3),
              host_out = view(TN_DTYPE_F32, back, 2, 2, 3);
    x[1] = 7;
    assert_ok(tn_exec_context_bind(context, "x", &host_in));
    assert_ok(tn_exec_context_bind(context, "y", &host_out));
    assert_ok(tn_exec_context_run(context));
    assert_true(back[1] == 14);
    card_free(&the_card, false, in_memory);
    card_free(&the_card, false, out_memory);
    close_engine(engine, context);
}

static void inputs_and_outputs_may_lie_on_the_card(void **unused)
{
    (void)unused;
    on_card("graph \"by the card\" {\n"
            "  input %x : f32[n,3]\n"
            "  %a = Relu(%x)\n"
            "  %y = Add(%a, %a)\n"
            "  output \"y\" = %y\n}\n");
    on_card("graph \"by the host\" {\n"
            "  input %x : f32[n,3]\n"
            "  const %two : f32={2}\n"
            "  const %zero : f32={0}\n"
            "  %a = Max(%x, %zero)\n"
            "  %y = Mul(%a, %two)\n"
            "  output \"y\" = %y\n}\n");
}

/* Shapes are checked by the host, which must not look into the card's memory for that. */
static void operands_that_tell_shapes_are_read_by_the_host(void **unused)
{
    (void)unused;
    static const char text[] = "graph \"g\" {\n"
                               "  input %x : f32[n,4]\n"
                               "  const %from : i64[1]={1}\n"
                               "  const %to : i64[1]={3}\n"
                               "  const %axis : i64[1]={1}\n"
                               "  %a = Relu(%x)\n"
                               "  %y = Slice(%a, %from, %to, %axis)\n"
                               "  output \"y\" = %y\n}\n";
    float x[8] = {1, -2, 3, -4, 5, -6, 7, -8};
    tn_engine *engine = build(text);
    tn_context *context = new_context(engine);
    tn_tensor in = view(TN_DTYPE_F32, x, 2, 2, 4);
    assert_int_equal(count_steps(engine, true), 2);
    for (int i = 0; i < 3; i++) expect_like_cpu(text, context, &in);
    close_engine(engine, context);
}

/* Values that leave the card and are read there too, views, and outputs twice. */
static void outputs_that_others_read_are_copied(void **unused)
{
    (void)unused;
    static const char text[] = "graph \"g\" {\n"
                               "  input %x : f32[n,4]\n"
                               "  const %s : i64[2]={2,-1}\n"
                               "  %a = Relu(%x)\n"
                               "  %v = Reshape(%a, %s)\n"
                               "  %b = Add(%v, %v)\n"
                               "  %c = Sin(%v)\n"
                               "  output \"y\" = %v\n"
                               "  output \"again\" = %v\n"
                               "  output \"b\" = %b\n"
                               "  output \"c\" = %c\n}\n";
    float x[8] = {1, -2, 3, -4, 5, -6, 7, -8};
    tn_engine *engine = build(text);
    tn_context *context = new_context(engine);
    tn_tensor in = view(TN_DTYPE_F32, x, 2, 2, 4), again, b;
    for (int i = 0; i < 4; i++) {
        x[0] = (float)i;
        expect_like_cpu(text, context, &in);
        assert_ok(tn_exec_context_output(context, "again", &again));
        assert_ok(tn_exec_context_output(context, "b", &b));
        assert_true(((float *)again.data)[0] == (float)i);
        assert_true(((float *)b.data)[0] == 2 * (float)i);
    }
    close_engine(engine, context);
}

/* Only what lies in the block and has one reader, the next launch, may be left out. */
static void launches_are_joined_where_nobody_else_reads(void **unused)
{
    (void)unused;
    static const struct {
        const char *rest;
        int joined; /* in each pass over the steps */
    } cases[] = {
        {"  %y = Neg(%b)\n  output \"y\" = %y\n}\n", 1},
        {"  %y = Add(%b, %a)\n  output \"y\" = %y\n}\n", 1},
        {"  %y = Add(%a, %b)\n  output \"y\" = %y\n}\n", 0},
        {"  %y = Neg(%b)\n  output \"y\" = %y\n  output \"b\" = %b\n}\n", 1},
        {"  %y = Neg(%a)\n  output \"y\" = %y\n  output \"b\" = %b\n}\n", 0},
        {"  %c = Neg(%b)\n  %y = Relu(%c)\n  output \"y\" = %y\n}\n", 2},
    };
    float x[8] = {1, -2, 3, -4, 5, -6, 7, -8};
    tn_tensor in = view(TN_DTYPE_F32, x, 2, 2, 4);
    joins = true;
    for (size_t i = 0; i < TN_COUNT(cases); i++) {
        char text[400];
        snprintf(text, sizeof text,
                 "graph \"g\" {\n  input %%x : f32[n,4]\n"
                 "  %%a = Relu(%%x)\n  %%b = Neg(%%a)\n%s",
                 cases[i].rest);
        tn_engine *engine = build(text);
        tn_context *context = new_context(engine);
        joined = 0;
        for (int run = 0; run < 4; run++) expect_like_cpu(text, context, &in);
        assert_int_equal(joined, 2 * cases[i].joined); /* run once, recorded once */
        close_engine(engine, context);
    }
    joins = false;
}

/* ---- Without waiting -------------------------------------------------------------------------*/

static const char twice[] = "graph \"twice\" {\n"
                            "  input %x : f32[n,3]\n"
                            "  %a = Relu(%x)\n"
                            "  %y = Add(%a, %a)\n"
                            "  output \"y\" = %y\n}\n";

typedef struct runner {
    tn_context *context;
    void *in, *out; /* on the card */
} runner;

static runner new_runner(const tn_engine *engine)
{
    runner r = {.context = new_context(engine)};
    tn_tensor t = view(TN_DTYPE_F32, NULL, 2, 2, 3);
    assert_ok(card_alloc(&the_card, false, 24, &r.in));
    assert_ok(card_alloc(&the_card, false, 24, &r.out));
    t.data = r.in;
    assert_ok(tn_exec_context_bind_device(r.context, "x", &t));
    t.data = r.out;
    assert_ok(tn_exec_context_bind_device(r.context, "y", &t));
    return r;
}

static void free_runner(runner *r)
{
    tn_exec_context_free(r->context);
    card_free(&the_card, false, r->in);
    card_free(&the_card, false, r->out);
}

static float *first_of(void *on_card)
{
    return near_pointer(on_card);
}

static void contexts_on_two_streams_do_not_wait_for_each_other(void **unused)
{
    (void)unused;
    static queue lent;
    tn_engine *engine = build(twice);
    runner a = new_runner(engine), b = new_runner(engine);
    for (int run = 0; run < 4; run++) { /* step by step, recorded, replayed */
        int before = launches;
        for (int i = 0; i < 6; i++) first_of(a.in)[i] = (float)(run + i);
        for (int i = 0; i < 6; i++) first_of(b.in)[i] = (float)(100 + run - i);
        assert_ok(tn_exec_context_enqueue(a.context, run & 1 ? &lent : NULL));
        assert_ok(tn_exec_context_enqueue(b.context, NULL));
        assert_int_equal(launches, before);
        assert_ok(tn_exec_context_wait(b.context));
        assert_int_equal(launches, before + 2);
        assert_true(first_of(b.out)[5] == 2 * (float)(95 + run));
        assert_ok(tn_exec_context_wait(a.context));
        assert_int_equal(launches, before + 4);
        assert_true(first_of(a.out)[5] == 2 * (float)(run + 5));
    }
    /* Several runs, one behind the other, on the caller's stream. */
    int before = launches;
    for (int run = 0; run < 5; run++) assert_ok(tn_exec_context_enqueue(a.context, &lent));
    assert_int_equal(launches, before);
    assert_int_equal(lent.count, 10);
    assert_ok(tn_exec_context_wait(a.context));
    assert_int_equal(launches, before + 10);
    assert_ok(tn_exec_context_run(a.context)); /* and back on its own */
    assert_int_equal(lent.count, 0);
    free_runner(&a);
    free_runner(&b);
    close_engine(engine, NULL);
}

/* Memory of the host is read when a run begins, and written when it is waited for. */
static void what_is_begun_can_be_left_to_itself(void **unused)
{
    (void)unused;
    float x[6] = {1, -2, 3, -4, 5, -6}, y[6] = {0};
    tn_engine *engine = build(mixed);
    tn_context *context = new_context(engine);
    tn_tensor in = view(TN_DTYPE_F32, x, 2, 2, 3), out = view(TN_DTYPE_F32, y, 2, 2, 3), got;
    assert_ok(tn_exec_context_bind(context, "x", &in));
    assert_ok(tn_exec_context_bind(context, "y", &out));
    for (int run = 0; run < 4; run++) {
        x[0] = 1;
        assert_ok(tn_exec_context_enqueue(context, NULL));
        x[0] = 7;
        assert_ok(tn_exec_context_output(context, "y", &got));
        assert_null(got.data);                             /* nobody has waited */
        assert_ok(tn_exec_context_enqueue(context, NULL)); /* delivers the one before */
        float before = y[0];
        assert_ok(tn_exec_context_wait(context));
        assert_ok(tn_exec_context_wait(context)); /* nothing to wait for */
        assert_true(y[0] != before);
        assert_ok(tn_exec_context_output(context, "y", &got));
        assert_ptr_equal(got.data, y);
    }
    assert_ok(tn_exec_context_enqueue(context, NULL));
    close_engine(engine, context);
}

static void the_host_helps_out_where_a_kernel_cannot_be_made(void **unused)
{
    (void)unused;
    float x[6] = {1, -2, 3, -4, 5, -6};
    tn_engine *engine = build(mixed);
    tn_context *context = new_context(engine);
    tn_tensor two = view(TN_DTYPE_F32, x, 2, 2, 3), one = view(TN_DTYPE_F32, x, 2, 1, 3);
    cannot_make = "Relu";
    tn_set_log(NULL, NULL, TN_LOG_ERROR);
    int before = launches;
    for (int i = 0; i < 3; i++) expect_like_cpu(mixed, context, &two);
    tn_set_log(NULL, NULL, TN_LOG_WARNING);
    assert_int_equal(launches, before + 3 * 3); /* MatMul, Add, Neg */
    cannot_make = NULL;
    expect_like_cpu(mixed, context, &one);
    assert_int_equal(launches, before + 3 * 3 + 4);
    close_engine(engine, context);
}

static void engines_bring_the_code_of_their_kernels(void **unused)
{
    (void)unused;
    tn_engine *engine = build(mixed), *loaded;
    tn_writer image = {0};
    tn_record record = {.check = "skipped"};
    assert_ok(tn_report(engine, &record));
    assert_int_equal(engine->code.count, 4);
    assert_ok(tn_engine_file_write(engine, &image)); /* what later cards use is in the file alone */
    assert_int_equal(engine->code.count, 4);
    assert_ok(tn_exec_engine_new(&tn_backend_cpu, 1, &loaded));
    assert_ok(tn_engine_file_read(loaded, (tn_mapping){image.at, image.count}, "image"));
    assert_int_equal(loaded->code.count, 8);
    for (int i = 1; i < 8; i++)
        assert_true(strcmp(loaded->code.at[i - 1].name, loaded->code.at[i].name) < 0);
    loaded->card = &the_card;
    taken = 0;
    assert_ok(tn_exec_engine_ready(loaded));
    assert_int_equal(taken, 8);
    /* What a run will launch is told the card at once, and once for each shape. */
    float x[15] = {0};
    tn_context *context = new_context(loaded);
    tn_tensor in = view(TN_DTYPE_F32, x, 2, 5, 3);
    foreseen = 0;
    for (int i = 0; i < 3; i++) expect_like_cpu(mixed, context, &in);
    assert_int_equal(foreseen, 4);
    tn_exec_context_free(context);
    tn_exec_engine_release(loaded);
    tn_writer_fini(&image);
    close_engine(engine, NULL);
}

static void several_sizes_have_kernels_of_their_own(void **unused)
{
    (void)unused;
    static const char text[] = "graph \"negative\" {\n  input %x : f32[n,3]\n  %y = Neg(%x)\n"
                               "  output \"y\" = %y\n}\n";
    static const char *const measured[] = {"Neg f32[2,3] -> f32[2,3]",
                                           "Neg f32[100,3] -> f32[100,3]", NULL};
    static const int rows[] = {2, 99, 7, 8, 1}; /* times cross at 22 elements */
    static float x[3 * 100];
    const tn_profile profile = {
        .input = "x", .rank = 2, .min = {1, 3}, .opt = {2, 3}, .max = {100, 3}};
    tn_engine *engine = build_for(text, &profile, measured);
    tn_context *context = new_context(engine);
    for (size_t i = 0; i < TN_COUNT(rows); i++) {
        tn_tensor in = view(TN_DTYPE_F32, x, 2, rows[i], 3);
        const char *wanted = i % 2 ? "fake.Neg.large" : "fake.Neg.any";
        tn_step_time step = {.tactic = NULL};
        expect_like_cpu(text, context, &in);
        for (int k = 0; !step.tactic || strncmp(step.tactic, "fake.", 5); k++)
            assert_ok(tn_exec_context_step_time(context, k, &step));
        assert_string_equal(step.tactic, wanted);
    }
    close_engine(engine, context);
}

static bool is_chosen(const tn_engine *engine, const char *tactic)
{
    bool found = false;
    for (int32_t i = 0; i < engine->plan.step_count; i++)
        for (int32_t k = 0; k < engine->plan.step[i].choice_count; k++)
            found |= !strcmp(engine->plan.step[i].choice[k].tactic, tactic);
    return found;
}

/* The gate finds the layers of a card that lose too much, with weights on the card and all. */
static void what_loses_too_much_is_held_back(void **unused)
{
    (void)unused;
    static const char text[] = "graph \"n\" {\n  const %w : f32[2,3]={1,2,3,4,5,6}\n"
                               "  input %x : f32[2,3]\n  %a = Add(%x, %w)\n  %b = Neg(%a)\n"
                               "  %y = Add(%b, %x)\n  output \"y\" = %y\n}\n";
    static const char problem[] = "Neg f32[2,3] -> f32[2,3]";
    tn_engine *engine = build(text), *tuned;
    tn_timing_cache cache;
    tn_build_config config = {.size = sizeof(config),
                              .precision = TN_PRECISION_TF32,
                              .threads = 1,
                              .budget_ms = 1,
                              .timing_cache = &cache};
    tn_arena_init(&cache.arena);
    assert_ok(tn_timings_init(&cache.timings, engine, &cache.arena));
    assert_ok(tn_timings_put(&cache.timings, problem, &kernels[3], 20));
    assert_ok(tn_timings_put(&cache.timings, problem, &large, 30));
    assert_ok(tn_timings_put(&cache.timings, problem, &coarse, 10));
    assert_ok(tn_build_tuned(engine, &config, &tuned));
    assert_non_null(strstr(tuned->report, "held back in fp32: 'b'"));
    assert_false(is_chosen(tuned, "fake.Neg.coarse"));
    tn_exec_engine_release(tuned);
    /* without the gate it is chosen, unless the caller holds the layer back */
    config.no_check = true;
    assert_ok(tn_build_tuned(engine, &config, &tuned));
    assert_true(is_chosen(tuned, "fake.Neg.coarse"));
    tn_exec_engine_release(tuned);
    config.hold = &(const char *){"b"};
    config.hold_count = 1;
    assert_ok(tn_build_tuned(engine, &config, &tuned));
    assert_false(is_chosen(tuned, "fake.Neg.coarse"));
    tn_exec_engine_release(tuned);
    tn_arena_fini(&cache.arena);
    close_engine(engine, NULL);
}

/* What the gate does not run may not lose more than what it runs. */
static void fallbacks_are_as_precise_as_the_best(void **unused)
{
    (void)unused;
    static const char text[] = "graph \"negative\" {\n  input %x : f32[n,3]\n  %y = Neg(%x)\n"
                               "  output \"y\" = %y\n}\n";
    static const char *const measured[] = {"Neg f32[2,3] -> f32[2,3]", NULL};
    const tn_profile profile = {
        .input = "x", .rank = 2, .min = {2, 3}, .opt = {2, 3}, .max = {2, 3}};
    tn_arena arena;
    tn_map names;
    tn_arena_init(&arena);
    tn_map_init(&names, &arena);
    assert_ok(tn_map_put(&names, "y", &names));
    for (int turn = 0; turn < 3; turn++) {
        coarse_ns = turn == 0 ? 15 : 1;
        rounded = turn == 2 ? &names : NULL; /* fast, but what it gives is rounded behind it */
        tn_engine *engine = build_for(text, &profile, measured);
        assert_true(is_chosen(engine, "fake.Neg.any"));
        assert_int_equal(is_chosen(engine, "fake.Neg.coarse"), turn == 1);
        close_engine(engine, NULL);
    }
    coarse_ns = 0;
    rounded = NULL;
    tn_arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(contexts_on_two_streams_do_not_wait_for_each_other),
        cmocka_unit_test(what_is_begun_can_be_left_to_itself),
        cmocka_unit_test(the_host_helps_out_where_a_kernel_cannot_be_made),
        cmocka_unit_test(engines_bring_the_code_of_their_kernels),
        cmocka_unit_test(several_sizes_have_kernels_of_their_own),
        cmocka_unit_test(what_loses_too_much_is_held_back),
        cmocka_unit_test(fallbacks_are_as_precise_as_the_best),
        cmocka_unit_test(both_memories_are_kept_apart),
        cmocka_unit_test(recordings_last_while_memory_stays),
        cmocka_unit_test(the_host_helps_out_at_shapes_that_no_kernel_takes),
        cmocka_unit_test(inputs_and_outputs_may_lie_on_the_card),
        cmocka_unit_test(operands_that_tell_shapes_are_read_by_the_host),
        cmocka_unit_test(outputs_that_others_read_are_copied),
        cmocka_unit_test(launches_are_joined_where_nobody_else_reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
