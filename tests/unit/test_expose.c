/* To look into models and engines: nodes in order, constants, inputs that make sense, tensors
 * between an engine's steps, and results that are held back in float32. */
#include <stdlib.h>

#include "engine_help.h"

/* A table of 7 rows, a mask, a length for each sequence, and products that take in what follows. */
static const char sample[] = "graph \"g\" {\n"
                             "  input %ids : i64[n,s]\n"
                             "  input %mask : f32[n,s,1]\n"
                             "  input %lengths : i32[n]\n"
                             "  const %table : f32[7,8] = #0\n"
                             "  const %w : f32[8,8] = #1\n"
                             "  const %b : f32[8] = #2\n"
                             "  const %x : f32[1,16,8] = #3\n"
                             "  const %r : f32[1,16,4] = #4\n"
                             "  %e : f32[n,s,8] = Gather{axis=0}(%table, %ids)  \"embed\"\n"
                             "  %k : f32[n,s,8] = Mul(%e, %mask)  \"masked\"\n"
                             "  %h : f32[n,s,8] = MatMul(%k, %w)  \"mm\"\n"
                             "  %a : f32[n,s,8] = Add(%h, %b)  \"bias\"\n"
                             "  %l : f32[n,s,8] = Relu(%a)  \"act\"\n"
                             "  %t : f32[s,n,8] = Transpose{perm=[1,0,2]}(%l)  \"turn\"\n"
                             "  %y : f32[s,1,n,4] = LSTM{hidden_size=4}(%t, %x, %r, _, %lengths)\n"
                             "  %q : f32[s,1,n,4] = Exp(%y)  \"last\"\n"
                             "  output \"out\" = %q\n"
                             "}\n";

static float weight[56 + 64 + 8 + 128 + 64];

static tn_tensor cut(int64_t at, int rank, int64_t a, int64_t b, int64_t c)
{
    return tn_tensor_of(TN_DTYPE_F32, (const int64_t[]){a, b, c}, rank, weight + at);
}

static tn_graph *sample_graph(void)
{
    tn_graph *graph = NULL;
    const tn_tensor data[] = {cut(0, 2, 7, 8, 0), cut(56, 2, 8, 8, 0), cut(120, 1, 8, 0, 0),
                              cut(128, 3, 1, 16, 8), cut(256, 3, 1, 16, 4)};
    for (size_t i = 0; i < TN_COUNT(weight); i++) weight[i] = (float)(i * 37 % 101) / 101 - 0.5f;
    assert_ok(tn_graph_parse(sample, strlen(sample), data, TN_COUNT(data), &graph));
    return graph;
}

static bool has_output(const tn_engine *engine, const char *name)
{
    tn_io io;
    for (int i = 0; i < tn_engine_output_count(engine); i++) {
        assert_ok(tn_engine_output(engine, i, &io));
        if (!strcmp(io.name, name)) return true;
    }
    return false;
}

static void fill_all(const tn_graph *graph, tn_tensor *in, uint64_t seed)
{
    assert_ok(tn_tensor_new(TN_DTYPE_I64, (const int64_t[]){3, 50}, 2, &in[0]));
    assert_ok(tn_tensor_new(TN_DTYPE_F32, (const int64_t[]){3, 50, 1}, 3, &in[1]));
    assert_ok(tn_tensor_new(TN_DTYPE_I32, (const int64_t[]){3}, 1, &in[2]));
    for (int i = 0; i < 3; i++) assert_ok(tn_build_fill_input(graph, in, i, seed));
}

static void inputs_make_sense(void **unused)
{
    (void)unused;
    tn_graph *graph = sample_graph();
    tn_tensor in[3], again[3];
    int64_t largest = 0, ones = 0, differ = 0;
    fill_all(graph, in, 5);
    for (int i = 0; i < 150; i++) {
        int64_t id = ((int64_t *)in[0].data)[i];
        float mask = ((float *)in[1].data)[i];
        assert_true(id >= 0 && id < 7);
        assert_true(mask == 0 || mask == 1);
        largest = TN_MAX(largest, id);
        ones += mask == 1;
    }
    assert_int_equal(largest, 6);
    assert_true(ones > 20 && ones < 130);
    for (int i = 0; i < 3; i++) {
        int32_t length = ((int32_t *)in[2].data)[i];
        assert_true(length >= 1 && length <= 50);
    }
    fill_all(graph, again, 5);
    for (int i = 0; i < 3; i++) {
        assert_memory_equal(in[i].data, again[i].data, (size_t)tn_tensor_bytes(&in[i]));
        tn_tensor_free(&again[i]);
    }
    fill_all(graph, again, 6);
    for (int i = 0; i < 150; i++)
        differ += ((int64_t *)in[0].data)[i] != ((int64_t *)again[0].data)[i];
    assert_true(differ > 75);
    for (int i = 0; i < 3; i++) {
        tn_tensor_free(&in[i]);
        tn_tensor_free(&again[i]);
    }
    tn_graph_free(graph);
}

/* All that is left between the steps is there, and is what the unoptimised graph has there. */
static void tensors_between_steps_are_outputs(void **unused)
{
    (void)unused;
    tn_graph *graph = sample_graph();
    tn_tensor in[3], got, want;
    tn_difference d;
    tn_engine *engine[2];
    tn_context *context[2];
    int compared = 0;
    tn_io io;
    fill_all(graph, in, 1);
    for (int i = 0; i < 2; i++) {
        const tn_build_config config = {.size = sizeof(config),
                                        .threads = 1,
                                        .budget_ms = -1,
                                        .no_check = true,
                                        .no_optimize = i == 0,
                                        .expose = true};
        assert_ok(tn_build_engine(graph, &config, &engine[i]));
        context[i] = new_context(engine[i]);
        for (int k = 0; k < 3; k++)
            assert_ok(tn_exec_context_bind(context[i], graph->input[k]->name, &in[k]));
        assert_ok(tn_exec_context_run(context[i]));
    }
    assert_ok(tn_engine_output(engine[1], 0, &io));
    assert_string_equal(io.name, "out");
    assert_true(has_output(engine[0], "e") && has_output(engine[0], "h") &&
                has_output(engine[0], "a") && has_output(engine[0], "l"));
    /* the bias and the activation are in the product */
    assert_true(has_output(engine[1], "l") && has_output(engine[1], "y"));
    assert_false(has_output(engine[1], "h") || has_output(engine[1], "a"));
    for (int i = 0; i < tn_engine_output_count(engine[1]); i++) {
        assert_ok(tn_engine_output(engine[1], i, &io));
        if (!has_output(engine[0], io.name)) continue;
        assert_ok(tn_exec_context_output(context[0], io.name, &want));
        assert_ok(tn_exec_context_output(context[1], io.name, &got));
        assert_ok(tn_tensor_compare(&got, &want, 1e-5, 1e-5, &d));
        assert_true(d.rel_l2 < 1e-5);
        compared++;
    }
    assert_true(compared >= 4);
    for (int i = 0; i < 2; i++) {
        tn_exec_context_free(context[i]);
        tn_exec_engine_release(engine[i]);
    }
    for (int i = 0; i < 3; i++) tn_tensor_free(&in[i]);
    tn_graph_free(graph);
}

/* An engine that is looked into has the kernels of the engine that it was. */
static void an_engine_is_seen_with_its_kernels(void **unused)
{
    (void)unused;
    tn_graph *graph = sample_graph();
    tn_build_config config = {.size = sizeof(config), .threads = 1, .budget_ms = 20};
    tn_engine *engine, *seen;
    assert_ok(tn_build_engine(graph, &config, &engine));
    config.expose = true;
    config.budget_ms = -1;
    assert_ok(tn_build_tuned(engine, &config, &seen));
    assert_true(has_output(seen, "l") && !has_output(engine, "l"));
    int32_t count = engine->plan.step_count, found = 0, kernels = 0;
    for (int32_t i = 0; i < count; i++) {
        const tn_plan_step *step = &engine->plan.step[i];
        if (!step->choice_count) continue;
        kernels++;
        bool same = false;
        for (int32_t k = 0; k < seen->plan.step_count && !same; k++)
            same = seen->plan.step[k].choice_count &&
                   !strcmp(seen->plan.step[k].choice[0].tactic, step->choice[0].tactic);
        found += same;
    }
    assert_true(kernels > 0);
    assert_int_equal(found, kernels);
    tn_exec_engine_release(engine);
    tn_exec_engine_release(seen);
    tn_graph_free(graph);
}

static void what_cannot_be_held_back_is_refused(void **unused)
{
    (void)unused;
    const char *names[] = {"act", "nowhere"};
    tn_graph *graph = sample_graph();
    tn_build_config config = {.size = sizeof(config),
                              .threads = 1,
                              .budget_ms = -1,
                              .precision = TN_PRECISION_TF32,
                              .hold = names,
                              .hold_count = 1};
    tn_engine *engine;
    assert_ok(tn_build_engine(graph, &config, &engine));
    assert_non_null(strstr(engine->report, "held back in fp32: 'l'"));
    tn_exec_engine_release(engine);
    config.hold_count = 2;
    assert_fails(tn_build_engine(graph, &config, &engine), TN_NOT_FOUND, "'nowhere'");
    config.hold_count = 1000;
    assert_fails(tn_build_engine(graph, &config, &engine), TN_INVALID, "at most");
    config.hold_count = 1;
    config.hold = NULL;
    assert_fails(tn_build_engine(graph, &config, &engine), TN_INVALID, "1 layers");
    tn_graph_free(graph);
}

/* ---- A model ---------------------------------------------------------------------------------*/

typedef struct walk {
    int count, stop;
    bool ordered;
    char *made[2000];
    int made_count;
    char table[200];
} walk;

static bool visit(void *self, const tn_node_about *node)
{
    walk *w = self;
    w->count++;
    assert_true(node->op[0] && node->name[0]);
    if (!strcmp(node->op, "Gather") && strstr(node->inputs[0], "weight") && !w->table[0])
        snprintf(w->table, sizeof(w->table), "%s", node->inputs[0]);
    for (int i = 0; i < node->output_count; i++)
        if (node->outputs[i][0] && w->made_count < 2000)
            w->made[w->made_count++] = strdup(node->outputs[i]);
    for (int i = 0; i < node->input_count; i++) assert_non_null(node->inputs[i]);
    return w->count != w->stop;
}

static void nodes_and_constants_of_a_model(void **unused)
{
    (void)unused;
    static walk all, some = {.stop = 3};
    tn_model *model;
    tn_tensor table, in[2], wrong[2];
    assert_ok(tn_model_load(TN_SOURCE_DIR "/examples/bert/bert.onnx", NULL, &model));
    assert_ok(tn_model_visit(model, visit, &all));
    assert_true(all.count > 50 && all.made_count >= all.count);
    assert_ok(tn_model_visit(model, visit, &some));
    assert_int_equal(some.count, 3);
    assert_ok(tn_model_constant(model, all.table, &table));
    assert_int_equal(table.rank, 2);
    assert_fails(tn_model_constant(model, "nowhere", &table), TN_NOT_FOUND, "'nowhere'");
    assert_fails(tn_model_constant(model, all.made[0], &table), TN_NOT_FOUND, all.made[0]);
    for (int i = 0; i < 2; i++) {
        assert_ok(tn_tensor_new(TN_DTYPE_I64, (const int64_t[]){2, 64}, 2, &in[i]));
        wrong[i] = in[i];
        wrong[i].dtype = TN_DTYPE_F32;
    }
    assert_ok(tn_model_fill_input(model, in, 0, 1));
    int64_t most = 0;
    for (int i = 0; i < 128; i++) most = TN_MAX(most, ((int64_t *)in[0].data)[i]);
    assert_ok(tn_model_constant(model, all.table, &table));
    assert_true(most > 1 && most < table.dim[0]);
    assert_fails(tn_model_fill_input(model, in, 9, 1), TN_INVALID, "no input 9");
    assert_fails(tn_model_fill_input(model, wrong, 0, 1), TN_INVALID, "is i64");
    assert_fails(tn_model_fill_input(NULL, in, 0, 1), TN_INVALID, "NULL");
    assert_fails(tn_model_visit(model, NULL, NULL), TN_INVALID, "NULL");
    for (int i = 0; i < all.made_count; i++) free(all.made[i]);
    for (int i = 0; i < some.made_count; i++) free(some.made[i]);
    for (int i = 0; i < 2; i++) tn_tensor_free(&in[i]);
    tn_model_free(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inputs_make_sense),
        cmocka_unit_test(tensors_between_steps_are_outputs),
        cmocka_unit_test(an_engine_is_seen_with_its_kernels),
        cmocka_unit_test(what_cannot_be_held_back_is_refused),
        cmocka_unit_test(nodes_and_constants_of_a_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
