/* Engines with other weights: what was folded, merged and packed of them is made anew; engines
 * without weights; what is wrong is told at once. */
#include "engine_help.h"

#include <stdlib.h>
#include <unistd.h>

#include "tensor/tensor.h"

/* A normalisation that goes into the convolution, a product that is packed, a bias that a graph
 * prints inline. */
static const char sample[] =
    "graph \"sample\" {\n"
    "  input %x : f32[n,4,8,8]\n"
    "  const %conv.w : f32[32,4,3,3] = #0\n"
    "  const %scale : f32[32] = #1\n"
    "  const %shift : f32[32] = #2\n"
    "  const %mean : f32[32] = #3\n"
    "  const %var : f32[32] = #4\n"
    "  const %fc.w : f32[32,3] = #5\n"
    "  const %fc.b : f32[3] = #6\n"
    "  const %axes : i64[2]={2,3}\n"
    "  %c : f32[n,32,8,8] = Conv{pads=[1,1,1,1]}(%x, %conv.w)  \"conv\"\n"
    "  %d : f32[n,32,8,8] = BatchNormalization(%c, %scale, %shift, %mean, %var)  \"norm\"\n"
    "  %e : f32[n,32,8,8] = Relu(%d)  \"act\"\n"
    "  %f : f32[n,32] = ReduceMean{keepdims=0}(%e, %axes)  \"pool\"\n"
    "  %g : f32[n,3] = MatMul(%f, %fc.w)  \"fc\"\n"
    "  %y : f32[n,3] = Add(%g, %fc.b)  \"bias\"\n"
    "  output \"y\" = %y\n"
    "}\n";

enum { WEIGHTS = 7, INPUT = 2 * 4 * 8 * 8, RESULTS = 6 };
static const char *const names[WEIGHTS] = {"conv.w", "scale", "shift", "mean",
                                           "var",    "fc.w",  "fc.b"};
static const int64_t dims[WEIGHTS][4] = {{32, 4, 3, 3}, {32}, {32}, {32}, {32}, {32, 3}, {3}};
static const int ranks[WEIGHTS] = {4, 1, 1, 1, 1, 2, 1};

typedef struct weights {
    float data[WEIGHTS][32 * 4 * 3 * 3];
    tn_tensor t[WEIGHTS];
} weights;

static void fill(weights *w, uint64_t seed)
{
    for (int i = 0; i < WEIGHTS; i++) {
        w->t[i] = tn_tensor_of(TN_DTYPE_F32, dims[i], ranks[i], w->data[i]);
        assert_ok(tn_tensor_fill_random(&w->t[i], seed + (uint64_t)i, i == 4 ? 0.5 : -1, 1));
    }
}

static tn_engine *build(const weights *w, bool refit, bool strip)
{
    tn_graph *graph = NULL;
    tn_engine *engine;
    tn_build_config config = {.size = sizeof(config),
                              .threads = 1,
                              .budget_ms = -1,
                              .refit = refit,
                              .strip_weights = strip};
    assert_ok(tn_graph_parse(sample, strlen(sample), w->t, WEIGHTS, &graph));
    assert_ok(tn_build_engine(graph, &config, &engine));
    tn_graph_free(graph);
    return engine;
}

static void run(const tn_engine *engine, float *y)
{
    static float x[INPUT];
    tn_context *context = new_context(engine);
    int64_t dim[4] = {2, 4, 8, 8};
    tn_tensor in = tn_tensor_of(TN_DTYPE_F32, dim, 4, x), out = view(TN_DTYPE_F32, y, 2, 2, 3);
    assert_ok(tn_tensor_fill_random(&in, 5, -1, 1));
    assert_ok(tn_context_bind(context, "x", &in));
    assert_ok(tn_context_bind(context, "y", &out));
    assert_ok(tn_context_run(context));
    tn_context_free(context);
}

/* An engine through a file; *bytes: of the file. */
static tn_engine *through_file(tn_engine *engine, long *bytes)
{
    char path[256];
    tn_engine *loaded;
    snprintf(path, sizeof(path), "%s/test_refit_%d.engine",
             getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp", (int)getpid());
    assert_ok(tn_engine_save(engine, path));
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    fseek(file, 0, SEEK_END);
    *bytes = ftell(file);
    fclose(file);
    assert_ok(tn_engine_load(path, NULL, 1, &loaded));
    unlink(path);
    tn_engine_free(engine);
    return loaded;
}

static const tn_build_config one_thread = {.size = sizeof(one_thread), .threads = 1};

/* The same as an engine that is built with the new weights, to the last bit. */
static void all_weights_are_replaced(void **unused)
{
    (void)unused;
    static weights before, after;
    float want[RESULTS], got[RESULTS];
    long bytes;
    fill(&before, 1);
    fill(&after, 100);
    tn_engine *fresh = build(&after, false, false), *refit;
    run(fresh, want);
    for (int stripped = 0; stripped < 2; stripped++) {
        tn_engine *engine = through_file(build(&before, !stripped, stripped), &bytes);
        assert_int_equal(tn_engine_weight_count(engine), WEIGHTS);
        assert_ok(tn_engine_refit(engine, names, after.t, WEIGHTS, &one_thread, &refit));
        tn_engine_free(engine);
        run(refit, got);
        assert_memory_equal(got, want, sizeof(want));
        refit = through_file(refit, &bytes);
        run(refit, got);
        assert_memory_equal(got, want, sizeof(want));
        tn_engine_free(refit);
    }
    tn_engine_free(fresh);
}

static void one_weight_is_replaced(void **unused)
{
    (void)unused;
    static weights before, mixed;
    static double scale[32];
    float want[RESULTS], got[RESULTS];
    long bytes;
    fill(&before, 1);
    fill(&mixed, 1);
    for (int i = 0; i < 32; i++) mixed.data[1][i] = (float)(scale[i] = 0.25 * i - 3);
    tn_engine *fresh = build(&mixed, false, false), *refit;
    tn_engine *engine = through_file(build(&before, true, false), &bytes);
    run(fresh, want);
    tn_tensor given = view(TN_DTYPE_F64, scale, 1, 32, 0); /* converted */
    assert_ok(tn_engine_refit(engine, &names[1], &given, 1, &one_thread, &refit));
    run(refit, got);
    assert_memory_equal(got, want, sizeof(want));
    /* And once more, from what was refit. */
    tn_engine *back;
    assert_ok(tn_engine_refit(refit, &names[1], &before.t[1], 1, &one_thread, &back));
    run(engine, want);
    run(back, got);
    assert_memory_equal(got, want, sizeof(want));
    tn_engine_free(back);
    tn_engine_free(refit);
    tn_engine_free(engine);
    tn_engine_free(fresh);
}

/* Kernels stay: a refit measures nothing and decides nothing. */
static void kernels_stay(void **unused)
{
    (void)unused;
    static weights before, after;
    tn_engine *refit, *engine;
    fill(&before, 1);
    fill(&after, 100);
    engine = build(&before, true, false);
    tn_plan_step *step = engine->plan.step;
    assert_true(step[0].choice_count > 1);
    tn_plan_choice last = step[0].choice[step[0].choice_count - 1];
    step[0].choice[0] = last; /* the reference, which nothing would choose */
    step[0].choice_count = 1;
    assert_ok(tn_engine_refit(engine, names, after.t, WEIGHTS, &one_thread, &refit));
    assert_int_equal(refit->plan.step_count, engine->plan.step_count);
    assert_string_equal(refit->plan.step[0].choice[0].tactic, last.tactic);
    tn_engine_free(refit);
    tn_engine_free(engine);
}

static void an_engine_without_weights_is_small_and_says_so(void **unused)
{
    (void)unused;
    static weights before;
    long full_bytes, bytes;
    tn_context *context;
    tn_engine *again;
    bool missing;
    int absent = 0;
    const char *name;
    tn_tensor t;
    fill(&before, 1);
    tn_engine_free(through_file(build(&before, true, false), &full_bytes));
    tn_engine *engine = through_file(build(&before, false, true), &bytes);
    assert_true(bytes + 2 * (long)sizeof(before.data[0]) <= full_bytes);
    assert_fails(tn_context_new(engine, &context), TN_INVALID, "no weights");
    assert_fails(tn_engine_tune(engine, &one_thread, &again), TN_INVALID, "no weights");
    for (int i = 0; i < WEIGHTS; i++) {
        assert_ok(tn_engine_weight(engine, i, &name, &t, &missing));
        assert_null(t.data);
        absent += missing;
        assert_true(!missing || !strcmp(name, "conv.w"));
    }
    assert_int_equal(absent, 1); /* the others are smaller than a line of the table */
    assert_fails(tn_engine_weight(engine, WEIGHTS, &name, &t, NULL), TN_INVALID, "7");
    assert_fails(tn_engine_refit(engine, &names[1], &before.t[1], 1, &one_thread, &again),
                 TN_INVALID, "'conv.w'");
    /* It can be saved again as it is. */
    long same;
    engine = through_file(engine, &same);
    assert_int_equal(same, bytes);
    assert_ok(tn_engine_refit(engine, names, before.t, 1, &one_thread, &again));
    tn_engine_free(again);
    tn_engine_free(engine);
}

static void what_does_not_fit_is_refused(void **unused)
{
    (void)unused;
    static weights w;
    tn_engine *out;
    fill(&w, 1);
    tn_engine *plain = build(&w, false, false), *engine = build(&w, true, false);
    const char *wrong[] = {"fc.w", "fc.x", "nothing"};
    assert_int_equal(tn_engine_weight_count(plain), 0);
    assert_fails(tn_engine_refit(plain, names, w.t, 1, NULL, &out), TN_INVALID, "--refit");
    assert_null(out);
    tn_tensor t[3] = {w.t[5], w.t[5], w.t[5]};
    assert_fails(tn_engine_refit(engine, wrong, t, 3, NULL, &out), TN_INVALID, "'fc.x', 'nothing'");
    assert_fails(tn_engine_refit(engine, wrong, &w.t[6], 1, NULL, &out), TN_INVALID,
                 "given as f32[3], but it is f32[32,3]");
    t[0].dtype = TN_DTYPE_I32;
    assert_fails(tn_engine_refit(engine, wrong, t, 1, NULL, &out), TN_INVALID, "i32[32,3]");
    assert_fails(tn_engine_refit(engine, NULL, NULL, 1, NULL, &out), TN_INVALID, "NULL");
    const char *axes = "axes";
    assert_fails(tn_engine_refit(engine, &axes, t, 1, NULL, &out), TN_INVALID, "'axes'");
    tn_engine_free(plain);
    tn_engine_free(engine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_weights_are_replaced),
        cmocka_unit_test(one_weight_is_replaced),
        cmocka_unit_test(kernels_stay),
        cmocka_unit_test(an_engine_without_weights_is_small_and_says_so),
        cmocka_unit_test(what_does_not_fit_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
