/* Operators that a program registers: attributes, shapes, engines, passes, and what goes wrong. */
#include "engine_help.h"
#include "user_ops.h"

#include "api/api.h"
#include "fault/failing_allocator.h"
#include "ops/user_op.h"
#include <stdlib.h>
#include <unistd.h>

static int set_up(void **state)
{
    (void)state;
    assert_ok(register_all());
    return 0;
}

static tn_model *load(tn_writer *graph)
{
    tn_model *model = NULL;
    tn_writer m = user_model(graph);
    assert_ok(tn_model_load_bytes(m.at, m.count, NULL, NULL, &model));
    tn_writer_fini(&m);
    return model;
}

static tn_engine *build(const tn_model *model)
{
    tn_build_config config = {.size = sizeof(config), .threads = 2, .budget_ms = -1};
    tn_engine *engine = NULL;
    assert_ok(tn_build(model, &config, &engine));
    return engine;
}

/* x [2,3] = 1..6 through the engine's one step to y, of which `count` values are wanted. */
static tn_context *run_x(const tn_engine *engine)
{
    static const float x[] = {1, -2, 3, -4, 5, 6};
    static const int64_t dim[] = {2, 3};
    tn_tensor t = tn_tensor_of(TN_DTYPE_F32, dim, 2, (void *)(uintptr_t)x);
    tn_context *context = new_context(engine);
    assert_ok(tn_context_bind(context, "x", &t));
    assert_ok(tn_context_run(context));
    return context;
}

static void assert_output(tn_context *context, const char *name, const float *want, int64_t count)
{
    tn_tensor y;
    assert_ok(tn_context_output(context, name, &y));
    assert_int_equal(tn_tensor_count(&y), count);
    for (int64_t i = 0; i < count; i++)
        assert_float_equal(((const float *)y.data)[i], want[i], 1e-6);
}

static tn_writer affine_graph(bool bias)
{
    static const float table[] = {100, 200}, w[] = {0.5f};
    static const int64_t dims[] = {2}, one[] = {1};
    tn_writer v = {0}, part, n = user_node("scale", "Affine", bias ? "x,w" : "x", "y");
    put_float(&v, 2, 2.0f), put_attr(&n, "a", 1, &v);
    put_int_attr(&n, "shift", 1);
    put_int(&v, 8, 10), put_int(&v, 8, 20), put_attr(&n, "ints", 7, &v);
    put_float(&v, 7, 0.25f), put_float(&v, 7, 0.25f), put_attr(&n, "floats", 6, &v);
    put_text(&v, 4, "four"), put_attr(&n, "word", 3, &v);
    put_text(&v, 9, "a"), put_text(&v, 9, ""), put_text(&v, 9, "bc"), put_attr(&n, "words", 8, &v);
    part = raw_tensor(NULL, 1, dims, 1, table, sizeof(table));
    put_message(&v, 5, &part), put_attr(&n, "table", 4, &v);
    tn_writer g = node_graph(&n, 1);
    if (bias) part = raw_tensor("w", 1, one, 1, w, sizeof(w)), put_message(&g, 5, &part);
    return g;
}

static const float affine_want[] = {346.5f, 340.5f, 350.5f, 336.5f, 354.5f, 356.5f};

/* ---- Attributes, engines, files --------------------------------------------------------------*/

static void test_attributes(void **state)
{
    (void)state;
    tn_writer g = affine_graph(false);
    tn_model *model = load(&g);
    tn_engine *engine = build(model);
    tn_context *context = run_x(engine);
    assert_output(context, "y", affine_want, 6);
    tn_context_free(context);
    tn_engine_free(engine);
    tn_model_free(model);
    g = affine_graph(true);
    model = load(&g);
    engine = build(model);
    context = run_x(engine);
    float with_bias[6];
    for (int i = 0; i < 6; i++) with_bias[i] = affine_want[i] + 0.5f;
    assert_output(context, "y", with_bias, 6);
    tn_context_free(context);
    tn_engine_free(engine);
    tn_model_free(model);
}

static char *graph_text(const tn_model *model)
{
    char *text = NULL;
    assert_ok(tn_model_text(model, TN_TEXT_GRAPH, &text));
    return text;
}

static void test_engine_file(void **state)
{
    (void)state;
    char path[64];
    snprintf(path, sizeof(path), "/tmp/tn_test_user_op_%ld.engine", (long)getpid());
    tn_writer g = affine_graph(true);
    tn_model *model = load(&g);
    tn_engine *engine = build(model), *loaded, *again;
    assert_ok(tn_engine_save(engine, path));
    tn_engine_free(engine);
    assert_ok(tn_engine_load(path, NULL, 1, &loaded));
    assert_non_null(strstr(loaded->meta, "op:t.Affine=\n"));
    /* from the portable graph, as another version of Tenon would */
    assert_ok(tn_build_again(loaded, NULL, 1, &again));
    for (int i = 0; i < 2; i++) {
        float want[6];
        for (int k = 0; k < 6; k++) want[k] = affine_want[k] + 0.5f;
        tn_context *context = run_x(i ? again : loaded);
        assert_output(context, "y", want, 6);
        tn_context_free(context);
    }
    tn_engine_free(loaded);
    tn_engine_free(again);
    tn_model_free(model);
    remove(path);
}

static void test_model_file(void **state)
{
    (void)state;
    char path[64];
    snprintf(path, sizeof(path), "/tmp/tn_test_user_op_%ld.onnx", (long)getpid());
    tn_writer g = affine_graph(true);
    tn_model *model = load(&g), *back;
    assert_ok(tn_model_save(model, path, NULL));
    assert_ok(tn_model_load(path, NULL, &back));
    char *before = graph_text(model), *after = graph_text(back);
    assert_non_null(strstr(before, "t.Affine{"));
    assert_string_equal(before, after);
    tn_text_free(before);
    tn_text_free(after);
    tn_model_free(model);
    tn_model_free(back);
    remove(path);
}

/* ---- Shapes ----------------------------------------------------------------------------------*/

static void test_symbolic_dims(void **state)
{
    (void)state;
    static const float w[] = {7, 8, 9};
    static const int64_t dims[] = {1, 3};
    tn_io io;
    tn_writer part, n = user_node("join", "Join", "x,w,x", "y,flat");
    tn_writer g = node_graph(&n, 1);
    part = raw_tensor("w", 1, dims, 2, w, sizeof(w)), put_message(&g, 5, &part);
    part = value_info("flat", 1, NULL, 0), put_message(&g, 12, &part);
    tn_model *model = load(&g);
    assert_ok(tn_model_output(model, 0, &io));
    assert_int_equal(io.dim[1], 3);
    assert_string_equal(io.dim_name[0], "2*N+1");
    assert_ok(tn_model_output(model, 1, &io));
    assert_string_equal(io.dim_name[0], "6*N+3");
    tn_engine *engine = build(model);
    tn_context *context = run_x(engine);
    static const float want[] = {1, -2, 3, -4, 5, 6, 7, 8, 9, 1, -2, 3, -4, 5, 6};
    assert_output(context, "y", want, 15);
    assert_output(context, "flat", want, 15);
    tn_context_free(context);
    tn_engine_free(engine);
    tn_model_free(model);
}

/* The size is found in the run, and what follows has it as a dim. */
static void test_unknown_dims(void **state)
{
    (void)state;
    tn_writer nodes[3], shape = value_info("n", 7, NULL, 0);
    nodes[0] = user_node("keep", "Positive", "x", "p");
    nodes[1] = make_node("act", "Neg", "p", "y");
    nodes[2] = make_node("size", "Shape", "p", "n");
    tn_writer g = node_graph(nodes, 3);
    put_message(&g, 12, &shape);
    tn_model *model = load(&g);
    tn_engine *engine = build(model), *again;
    assert_ok(tn_build_again(engine, NULL, 1, &again));
    for (int i = 0; i < 2; i++) {
        tn_context *context = run_x(i ? again : engine);
        static const float want[] = {-1, -3, -5, -6};
        tn_tensor count;
        assert_output(context, "y", want, 4);
        assert_ok(tn_context_output(context, "n", &count));
        assert_int_equal(*(const int64_t *)count.data, 4);
        tn_context_free(context);
    }
    tn_engine_free(engine);
    tn_engine_free(again);
    tn_model_free(model);
}

static void test_texts(void **state)
{
    (void)state;
    static int64_t x[] = {3, 0, 1};
    tn_writer part, g = {0}, n = user_node("draw", "Stars", "x", "y");
    put_message(&g, 1, &n);
    part = value_info("x", 7, shape_3, 1), put_message(&g, 11, &part);
    part = value_info("y", 8, NULL, 0), put_message(&g, 12, &part);
    tn_model *model = load(&g);
    tn_engine *engine = build(model);
    tn_context *context = new_context(engine);
    tn_tensor t = tn_tensor_of(TN_DTYPE_I64, shape_3, 1, x), y;
    assert_ok(tn_context_bind(context, "x", &t));
    assert_ok(tn_context_run(context));
    assert_ok(tn_context_output(context, "y", &y));
    const tn_string *text = y.data;
    assert_int_equal(text[0].bytes, 3);
    assert_memory_equal(text[0].text, "***", 3);
    assert_int_equal(text[1].bytes, 0);
    assert_int_equal(text[2].bytes, 1);
    /* a failure in a share, on whatever thread it ran */
    x[1] = -5;
    assert_fails(tn_context_run(context), TN_INVALID, "t.Stars: -5 stars");
    tn_context_free(context);
    tn_engine_free(engine);
    tn_model_free(model);
}

/* ---- Passes ----------------------------------------------------------------------------------*/

/* Two equal nodes over x and one over a constant. */
static int calls_of(const char *op, atomic_int *counter, int *at_build)
{
    static const float w[] = {1, 1, 1};
    tn_writer part, nodes[5];
    nodes[0] = user_node("first", op, "x", "a");
    nodes[1] = user_node("second", op, "x", "b");
    nodes[2] = user_node("third", op, "w", "c");
    nodes[3] = make_node("add", "Add", "a,b", "d");
    nodes[4] = make_node("more", "Add", "d,c", "y");
    tn_writer g = node_graph(nodes, 5);
    part = raw_tensor("w", 1, shape_3, 1, w, sizeof(w)), put_message(&g, 5, &part);
    tn_model *model = load(&g);
    tn_build_config config = {
        .size = sizeof(config), .threads = 1, .budget_ms = -1, .no_check = true};
    tn_engine *engine;
    atomic_store(counter, 0);
    assert_ok(tn_build(model, &config, &engine));
    *at_build = atomic_exchange(counter, 0);
    tn_context *context = run_x(engine);
    static const float want[] = {3, -3, 7, -7, 11, 13};
    assert_output(context, "y", want, 6);
    tn_context_free(context);
    tn_engine_free(engine);
    tn_model_free(model);
    return atomic_load(counter);
}

static void test_pure_and_impure(void **state)
{
    (void)state;
    int at_build;
    assert_int_equal(calls_of("Tally", &tally_count, &at_build), 1); /* merged, folded */
    assert_int_equal(at_build, 1);
    assert_int_equal(calls_of("Dice", &dice_count, &at_build), 3);
    assert_int_equal(at_build, 0);
    assert_int_equal(calls_of("Identity", &dice_count, &at_build), 1); /* not ONNX's, which goes */
    assert_int_equal(at_build, 1);
}

/* ---- What goes wrong -------------------------------------------------------------------------*/

static tn_writer bad_model(int how)
{
    tn_writer n = user_node("odd one", "Bad", "x", "y");
    put_int_attr(&n, "how", how);
    tn_writer g = node_graph(&n, 1);
    return user_model(&g);
}

static void test_bad_shapes(void **state)
{
    (void)state;
    static const struct {
        int how;
        tn_code code;
        const char *why;
    } rows[] = {
        {1, TN_INVALID, "rank 9"},
        {2, TN_INVALID, "type 77"},
        {3, TN_INVALID, "it sets output 3"},
        {4, TN_INVALID, "dim 1000000 was not made"},
        {5, TN_INVALID, "gave output 0 no type"},
        {6, TN_INVALID, "a dim 0 of -3"},
        {7, TN_INVALID, "input 4, which is not there"},
        {8, TN_INVALID, "dim 7 of input 0, which has rank 2"},
        {9, TN_INVALID, "attribute 'how' is an integer; it must be a float"},
        {10, TN_INVALID, "its shape function failed without a word"},
        {11, TN_INVALID, "divided by zero"},
        {12, TN_INVALID, "must be f32"},
        {13, TN_UNSUPPORTED, "x has rank 2"},
        {14, TN_INVALID, "no memory for texts here"},
        {15, TN_INVALID, "rank 2"},
        {16, TN_INVALID, "no dim 0"},
        {17, TN_INVALID, "for compute only"},
    };
    for (size_t i = 0; i < TN_COUNT(rows); i++) {
        tn_model *model = NULL;
        tn_writer m = bad_model(rows[i].how);
        tn_status status = tn_model_load_bytes(m.at, m.count, NULL, NULL, &model);
        tn_writer_fini(&m);
        assert_null(model);
        assert_fails(status, rows[i].code, rows[i].why);
        assert_non_null(strstr(tn_status_message(status), "t.Bad 'odd one'"));
    }
}

static void test_bad_compute(void **state)
{
    (void)state;
    static const char *const why[] = {"t.Bad: the lamp is out", "compute function failed without",
                                      "dim_number is for the shape function only"};
    static const tn_code code[] = {TN_DEVICE, TN_INTERNAL, TN_INVALID};
    for (int i = 0; i < 3; i++) {
        tn_model *model;
        tn_engine *engine;
        tn_context *context;
        char text[2048];
        static const float x[3];
        static const int64_t dim[] = {1, 3};
        tn_tensor t = tn_tensor_of(TN_DTYPE_F32, dim, 2, (void *)(uintptr_t)x);
        tn_build_config config = {.size = sizeof(config), .no_check = true};
        tn_writer m = bad_model(20 + i);
        assert_ok(tn_model_load_bytes(m.at, m.count, NULL, NULL, &model));
        tn_writer_fini(&m);
        assert_ok(tn_build(model, &config, &engine));
        assert_ok(tn_context_new(engine, &context));
        assert_ok(tn_context_bind(context, "x", &t));
        tn_status status = tn_context_run(context);
        assert_fails(status, code[i], why[i]);
        tn_status_text(status, false, text, sizeof(text));
        assert_non_null(strstr(text, "t.Bad 'odd one'"));
        tn_context_free(context);
        tn_engine_free(engine);
        tn_model_free(model);
    }
}

static tn_code no_shape(const tn_op_call *call)
{
    (void)call;
    return TN_OK;
}

static void test_refused_specs(void **state)
{
    (void)state;
    const tn_op_spec good = spec_of("Fresh", float_ports, 1, float_ports, 1, no_shape, no_shape);
    tn_op_port strange[] = {{"x", 0, TN_OP_VARIADIC, 0}, {"y", 0, 0, 0}};
    tn_op_spec s;
    assert_fails(tn_op_register(NULL), TN_INVALID, "NULL");
    s = good, s.size = 0;
    assert_fails(tn_op_register(&s), TN_INVALID, "sizeof(tn_op_spec)");
    s = good, s.version = 2;
    assert_fails(tn_op_register(&s), TN_UNSUPPORTED, "version 2 of tenon/op.h");
    s = good, s.name = "Affine";
    assert_fails(tn_op_register(&s), TN_INVALID, "'Affine' of domain 't' already");
    s = good, s.name = "Relu", s.domain = "";
    assert_fails(tn_op_register(&s), TN_INVALID, "Tenon's own");
    s = good, s.name = "softmax", s.domain = NULL; /* its tactic would be that of Softmax */
    assert_fails(tn_op_register(&s), TN_INVALID, "already");
    s = good, s.domain = "tenon";
    assert_fails(tn_op_register(&s), TN_INVALID, "Tenon's own");
    s = good, s.name = "a b";
    assert_fails(tn_op_register(&s), TN_INVALID, "cannot be called 'a b'");
    s = good, s.name = NULL;
    assert_fails(tn_op_register(&s), TN_INVALID, "cannot be called");
    s = good, s.domain = "my,ops";
    assert_fails(tn_op_register(&s), TN_INVALID, "the domain 'my,ops'");
    s = good, s.compute = NULL;
    assert_fails(tn_op_register(&s), TN_INVALID, "no compute function");
    s = good, s.shape = NULL;
    assert_fails(tn_op_register(&s), TN_INVALID, "no shape function");
    s = good, s.output_count = 0;
    assert_fails(tn_op_register(&s), TN_INVALID, "0 outputs");
    s = good, s.input_count = 1000;
    assert_fails(tn_op_register(&s), TN_INVALID, "1000 inputs");
    s = good, s.input = NULL;
    assert_fails(tn_op_register(&s), TN_INVALID, "none is given");
    s = good, s.input = strange, s.input_count = 2;
    assert_fails(tn_op_register(&s), TN_INVALID, "only the last one");
    strange[0].flags = 64;
    assert_fails(tn_op_register(&s), TN_INVALID, "unknown flags");
    assert_fails(tn_op_library_load("/nowhere/ops.so"), TN_NOT_FOUND, "ops.so");
    assert_fails(tn_op_library_load(TN_SOURCE_DIR "/README.md"), TN_INVALID, "shared library");
    assert_null(tn_op_find("t", "Fresh"));
}

/* The schema is checked as for operators of ours. */
static void test_schema(void **state)
{
    (void)state;
    static const char *const in[] = {"x,x,x", "k", ",x"};
    static const char *const why[] = {"at most 2 are allowed", "must be f32", "is missing"};
    for (int i = 0; i < 3; i++) {
        tn_model *model;
        tn_writer part, n = user_node("node", "Affine", in[i], "y");
        tn_writer g = node_graph(&n, 1);
        part = value_info("k", 7, shape_3, 1), put_message(&g, 11, &part);
        tn_writer m = user_model(&g);
        assert_fails(tn_model_load_bytes(m.at, m.count, NULL, NULL, &model), TN_INVALID, why[i]);
        tn_writer_fini(&m);
    }
    tn_model *model;
    tn_writer n = user_node("node", "Unheard", "x", "y"), g = node_graph(&n, 1);
    tn_writer m = user_model(&g);
    tn_status status = tn_model_load_bytes(m.at, m.count, NULL, NULL, &model);
    char text[2048];
    assert_fails(status, TN_UNSUPPORTED, "t.Unheard (1 node: 'node')");
    tn_status_text(status, false, text, sizeof(text));
    assert_non_null(strstr(text, "--op-library"));
    tn_writer_fini(&m);
}

/* Parameters of an engine file may be anything: what `fit` lets through can be read. */
static void test_hostile_params(void **state)
{
    (void)state;
    static const char *const names[] = {"a",    "shift", "ints",  "floats",
                                        "word", "words", "table", "absent"};
    tn_writer g = affine_graph(false);
    tn_model *model = load(&g);
    const tn_node *node = tn_model_graph(model)->first;
    uint32_t bytes = node->params_bytes;
    uint8_t *copy = malloc(bytes);
    int refused = 0;
    assert_non_null(copy);
    assert_true(tn_user_params_fit(node->params, bytes));
    for (uint32_t cut = 0; cut < bytes; cut++) {
        memcpy(copy, node->params, bytes);
        assert_false(tn_user_params_fit(copy, cut));
    }
    for (uint32_t at = 0; at < bytes; at++) {
        for (int bit = 0; bit < 8; bit++) {
            memcpy(copy, node->params, bytes);
            copy[at] ^= (uint8_t)(1u << bit);
            if (!tn_user_params_fit(copy, bytes)) {
                refused++;
                continue;
            }
            for (size_t i = 0; i < TN_COUNT(names); i++) {
                tn_user_attr attr;
                if (!tn_user_params_find(copy, names[i], &attr)) continue;
                unsigned sum = 0;
                for (int64_t k = 0; attr.texts && k < attr.count; k++) {
                    tn_string text = tn_user_params_text(&attr, k);
                    for (size_t c = 0; c <= text.bytes; c++) sum += (uint8_t)text.text[c] & 1;
                }
                if (attr.kind == TN_ATTR_TENSOR)
                    for (int64_t k = 0; k < tn_tensor_bytes(&attr.tensor); k++)
                        sum += ((const uint8_t *)attr.data)[k] & 1;
                assert_true(sum <= 8 * bytes);
            }
        }
    }
    assert_true(refused > 1000);
    free(copy);
    tn_model_free(model);
}

/* ---- When memory runs out --------------------------------------------------------------------*/

static void test_registering_without_memory(void **state)
{
    (void)state;
    const tn_op_spec spec = spec_of("Late", float_ports, 2, float_ports, 1, no_shape, no_shape);
    for (int64_t n = 1;; n++) {
        failing_install(n, FAIL_ONCE);
        tn_status status = tn_op_register(&spec);
        failing_counts counts = failing_remove();
        assert_int_equal(counts.errors, 0);
        if (!status) break; /* it stays, and so does its memory */
        assert_int_equal(tn_status_code(status), TN_OUT_OF_MEMORY);
        assert_int_equal(counts.live_bytes, 0);
    }
    assert_non_null(tn_op_find("t", "Late"));
}

static tn_status load_build_run(const tn_writer *m)
{
    static const float x[6];
    static const int64_t dim[] = {2, 3};
    tn_tensor t = tn_tensor_of(TN_DTYPE_F32, dim, 2, (void *)(uintptr_t)x);
    tn_build_config config = {.size = sizeof(config), .threads = 1, .budget_ms = -1};
    tn_model *model = NULL;
    tn_engine *engine = NULL;
    tn_context *context = NULL;
    tn_status status = tn_model_load_bytes(m->at, m->count, NULL, NULL, &model);
    if (!status) status = tn_build(model, &config, &engine);
    if (!status) status = tn_context_new(engine, &context);
    if (!status) status = tn_context_bind(context, "x", &t);
    if (!status) status = tn_context_run(context);
    tn_context_free(context);
    tn_engine_free(engine);
    tn_model_free(model);
    return status;
}

static void test_running_without_memory(void **state)
{
    (void)state;
    tn_writer g = affine_graph(true), m = user_model(&g);
    for (int64_t n = 1;; n++) {
        failing_install(n, FAIL_ONCE);
        tn_status status = load_build_run(&m);
        failing_counts counts = failing_remove();
        assert_int_equal(counts.live_bytes, 0);
        assert_int_equal(counts.errors, 0);
        if (!counts.failed) break;
        assert_true(!status || tn_status_code(status) == TN_OUT_OF_MEMORY);
    }
    tn_writer_fini(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_attributes),
        cmocka_unit_test(test_engine_file),
        cmocka_unit_test(test_model_file),
        cmocka_unit_test(test_symbolic_dims),
        cmocka_unit_test(test_unknown_dims),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_pure_and_impure),
        cmocka_unit_test(test_bad_shapes),
        cmocka_unit_test(test_bad_compute),
        cmocka_unit_test(test_refused_specs),
        cmocka_unit_test(test_schema),
        cmocka_unit_test(test_hostile_params),
        cmocka_unit_test(test_registering_without_memory),
        cmocka_unit_test(test_running_without_memory),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
