/* What random graphs brought to light (tests/random_graphs), each by the smallest graph that shows
 * it. */
#include "engine_help.h"

#include <string.h>

#include "tensor/tensor.h"

static tn_engine *build(const char *text, bool optimize)
{
    tn_build_config config = {.size = sizeof(config),
                              .threads = 1,
                              .budget_ms = -1,
                              .no_check = true,
                              .no_optimize = !optimize};
    return build_text(text, &config);
}

/* Runs a graph of an input x and an output y of i64 on both sides. */
static void expect_ints(const char *text, const tn_tensor *x, int count, const int64_t *want)
{
    for (int optimize = 0; optimize < 2; optimize++) {
        tn_engine *engine = build(text, optimize);
        tn_context *context = new_context(engine);
        tn_tensor y;
        assert_ok(tn_exec_context_bind(context, "x", x));
        assert_ok(tn_exec_context_run(context));
        assert_ok(tn_exec_context_output(context, "y", &y));
        assert_int_equal(tn_tensor_count(&y), count);
        assert_memory_equal(y.data, want, sizeof(*want) * (size_t)count);
        tn_exec_context_free(context);
        tn_exec_engine_release(engine);
    }
}

/* Nobody reads the elements of what Shape is asked about, but its size is found by a run. */
static void the_shape_of_what_only_a_run_sizes_is_known(void **unused)
{
    (void)unused;
    float x[4] = {1, 0, 2, 3};
    tn_tensor in = view(TN_DTYPE_F32, x, 1, 4, 0);
    expect_ints("graph \"direct\" {\n"
                "  input %x : f32[n]\n"
                "  %i = NonZero(%x)\n"
                "  %s = Shape(%i)\n"
                "  output \"y\" = %s\n}\n",
                &in, 2, (int64_t[]){1, 3});
    expect_ints("graph \"through a view\" {\n"
                "  input %x : f32[n]\n"
                "  %i = NonZero(%x)\n"
                "  %v = Identity(%i)\n"
                "  %s = Shape(%v)\n"
                "  output \"y\" = %s\n}\n",
                &in, 2, (int64_t[]){1, 3});
    int64_t dim[3] = {1, 2, 2};
    tn_tensor cube = tn_tensor_of(TN_DTYPE_F32, dim, 3, x);
    expect_ints("graph \"even its rank\" {\n"
                "  input %x : f32[1,n,2]\n"
                "  %v = Squeeze(%x)\n"
                "  %s = Size(%v)\n"
                "  output \"y\" = %s\n}\n",
                &cube, 1, (int64_t[]){4});
}

/* Without a profile n is taken for 1, which fits no weight of 3 rows: nothing may be packed for it.
 */
static void weights_are_not_packed_for_shapes_that_do_not_fit(void **unused)
{
    (void)unused;
    float x[3] = {1, 2, 3};
    tn_tensor in = view(TN_DTYPE_F32, x, 1, 3, 0), y;
    tn_engine *engine = build("graph \"dot\" {\n"
                              "  input %x : f32[n]\n"
                              "  const %w : f32[3]={4,5,6}\n"
                              "  %y = MatMul(%x, %w)\n"
                              "  output \"y\" = %y\n}\n",
                              true);
    tn_context *context = new_context(engine);
    assert_ok(tn_exec_context_bind(context, "x", &in));
    assert_ok(tn_exec_context_run(context));
    assert_ok(tn_exec_context_output(context, "y", &y));
    assert_float_equal(*(float *)y.data, 32, 0);
    tn_exec_context_free(context);
    tn_exec_engine_release(engine);
}

/* Tensors wrap around, expressions of sizes do not: such values are computed, not foretold. */
static void whole_numbers_that_overflow_wrap_on_both_sides(void **unused)
{
    (void)unused;
    int64_t x = 1;
    tn_tensor in = view(TN_DTYPE_I64, &x, 1, 1, 0);
    expect_ints("graph \"wrap\" {\n"
                "  input %x : i64[1]\n"
                "  const %big : i64[1]={9007199254740993}\n"
                "  %p = Mul(%big, %big)\n"
                "  %y = Mul(%p, %x)\n"
                "  output \"y\" = %y\n}\n",
                &in, 1, (int64_t[]){18014398509481985});
}

static char *print(const tn_graph *graph)
{
    tn_text text = {0};
    char *out;
    assert_ok(tn_graph_print(graph, NULL, &text, NULL, NULL, NULL));
    assert_ok(tn_text_take(&text, &out));
    return out;
}

/* 0.35 is no float: what is printed for the nearest one has to read back as that one. */
static void attributes_read_back_as_printed(void **unused)
{
    (void)unused;
    tn_graph *graph = parse_graph("graph \"g\" {\n"
                                  "  input %x : f32[2,2]\n"
                                  "  %y = Gemm{beta=0.35}(%x, %x)\n"
                                  "  output \"y\" = %y\n}\n");
    char *first = print(graph);
    tn_graph *again = parse_graph(first);
    char *second = print(again);
    assert_non_null(strstr(first, "beta=0.35}"));
    assert_string_equal(first, second);
    tn_text_free(first);
    tn_text_free(second);
    tn_graph_free(graph);
    tn_graph_free(again);
}

/* An attribute can ask for any type: that is the model's error, not ours. */
static void a_type_that_an_output_cannot_have_is_the_models_error(void **unused)
{
    (void)unused;
    static const char text[] = "graph \"g\" {\n"
                               "  input %x : f32[2,2]\n"
                               "  %y = EyeLike{dtype=8}(%x)\n"
                               "  output \"y\" = %y\n}\n";
    tn_graph *graph = NULL;
    assert_fails(tn_graph_parse(text, strlen(text), NULL, 0, &graph), TN_INVALID,
                 "would be string");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_shape_of_what_only_a_run_sizes_is_known),
        cmocka_unit_test(weights_are_not_packed_for_shapes_that_do_not_fit),
        cmocka_unit_test(whole_numbers_that_overflow_wrap_on_both_sides),
        cmocka_unit_test(attributes_read_back_as_printed),
        cmocka_unit_test(a_type_that_an_output_cannot_have_is_the_models_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
