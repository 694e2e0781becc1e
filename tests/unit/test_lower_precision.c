/* Graphs in 16 bits: which nodes are lowered, where Casts stand, what stays float32; and the gate
 * that finds the layers to hold back. */
#include "engine_help.h"

#include "backends/cpu/cpu.h"
#include "build/stage.h"
#include "passes/lower_precision.h"

/* A product, something that stays in float32, a constant that float16 does not have. */
static const char mixed[] = "graph \"mixed\" {\n"
                            "  input %x : f32[n,2]\n"
                            "  const %w : f32[2,2]={1,2,3,0.5}\n"
                            "  const %far : f32[2]={1,100000}\n"
                            "  %a : f32[n,2] = MatMul(%x, %w)\n"
                            "  %b : f32[n,2] = Relu(%a)\n"
                            "  %c : f32[n,2] = Exp(%b)\n"
                            "  %d : f32[n,2] = Add(%c, %b)\n"
                            "  %e : f32[n,2] = Mul(%d, %far)\n"
                            "  output \"y\" = %e\n"
                            "  output \"b\" = %b\n"
                            "}\n";

static const tn_node *producer(const tn_graph *graph, const char *name)
{
    const tn_value *value = tn_map_find(&graph->names, name);
    assert_non_null(value);
    assert_non_null(value->producer);
    return value->producer;
}

static int count_casts(const tn_graph *graph)
{
    int count = 0;
    for (const tn_node *node = graph->first; node; node = node->next)
        count += !strcmp(node->op->name, "Cast");
    return count;
}

static void test_lowers(void **state)
{
    (void)state;
    tn_lowered lowered;
    tn_graph *graph = parse_graph(mixed);
    assert_ok(tn_lower_precision(graph, TN_DTYPE_F16, NULL, &lowered));
    assert_ok(tn_graph_verify(graph));
    assert_int_equal(producer(graph, "a")->out[0]->type.dtype, TN_DTYPE_F16);
    assert_int_equal(producer(graph, "b")->out[0]->type.dtype, TN_DTYPE_F16);
    assert_int_equal(producer(graph, "c")->out[0]->type.dtype, TN_DTYPE_F32); /* an exponential */
    assert_int_equal(producer(graph, "d")->out[0]->type.dtype, TN_DTYPE_F16);
    assert_int_equal(producer(graph, "e")->out[0]->type.dtype, TN_DTYPE_F32); /* 100000 */
    assert_int_equal(lowered.low, 3);
    assert_int_equal(lowered.kept, 2);
    /* x and c into 16 bits; b and d out of it. b is read there as it is by d. */
    assert_int_equal(count_casts(graph), 4);
    assert_ptr_equal(producer(graph, "d")->in[1], producer(graph, "b")->out[0]);
    /* The user sees the types of before. */
    for (int64_t i = 0; i < graph->output_count; i++)
        assert_int_equal(graph->output[i].value->type.dtype, TN_DTYPE_F32);
    const tn_value *weights = producer(graph, "a")->in[1];
    assert_true(tn_value_is_constant(weights));
    assert_int_equal(weights->constant.dtype, TN_DTYPE_F16);
    assert_int_equal(((const uint16_t *)weights->constant.data)[3], 0x3800); /* 0.5 */
    tn_graph_free(graph);
}

/* bfloat16 has the range of float32. */
static void test_bf16(void **state)
{
    (void)state;
    tn_lowered lowered;
    tn_graph *graph = parse_graph(mixed);
    assert_ok(tn_lower_precision(graph, TN_DTYPE_BF16, NULL, &lowered));
    assert_int_equal(producer(graph, "e")->out[0]->type.dtype, TN_DTYPE_BF16);
    assert_int_equal(lowered.kept, 1);
    tn_graph_free(graph);
}

static void test_held(void **state)
{
    (void)state;
    tn_lowered lowered;
    tn_arena arena;
    tn_map held;
    tn_arena_init(&arena);
    tn_map_init(&held, &arena);
    assert_ok(tn_map_put(&held, "a", &held));
    tn_graph *graph = parse_graph(mixed);
    assert_ok(tn_lower_precision(graph, TN_DTYPE_F16, &held, &lowered));
    assert_int_equal(producer(graph, "a")->out[0]->type.dtype, TN_DTYPE_F32);
    assert_int_equal(producer(graph, "b")->out[0]->type.dtype, TN_DTYPE_F16);
    tn_graph_free(graph);
    tn_arena_fini(&arena);
}

/* What a QuantizeLinear rounds stays float32, from the first product on; what is behind the last
 * one does not. */
static void test_rounded(void **state)
{
    (void)state;
    static const char quantised[] = "graph \"quantised\" {\n"
                                    "  input %x : f32[n,2]\n"
                                    "  const %w : f32[2,2]={1,2,3,0.5}\n"
                                    "  const %row : f32[2]={0.25,0.5}\n"
                                    "  const %step : f32[]={0.1}\n"
                                    "  const %zero : u8[]={3}\n"
                                    "  %a : f32[n,2] = MatMul(%x, %w)\n"
                                    "  %b : f32[n,2] = Add(%a, %row)\n"
                                    "  %c : f32[n,2] = Relu(%b)\n"
                                    "  %q : u8[n,2] = QuantizeLinear(%c, %step, %zero)\n"
                                    "  %d : f32[n,2] = DequantizeLinear(%q, %step, %zero)\n"
                                    "  %e : f32[n,2] = MatMul(%d, %w)\n"
                                    "  %f : f32[n,2] = Relu(%a)\n"
                                    "  output \"y\" = %e\n"
                                    "  output \"f\" = %f\n"
                                    "}\n";
    static const struct {
        const char *name;
        bool rounded;
    } want[] = {{"a", true}, {"b", true}, {"c", true}, {"d", false}, {"e", false}, {"f", false}};
    tn_lowered lowered;
    tn_arena arena;
    tn_map names;
    tn_graph *graph = parse_graph(quantised);
    tn_arena_init(&arena);
    tn_map_init(&names, &arena);
    assert_ok(tn_find_rounded(graph, &names));
    assert_ok(tn_lower_precision(graph, TN_DTYPE_F16, NULL, &lowered));
    for (size_t i = 0; i < TN_COUNT(want); i++) {
        tn_dtype dtype = producer(graph, want[i].name)->out[0]->type.dtype;
        assert_int_equal(tn_map_has(&names, want[i].name), want[i].rounded);
        if (strcmp(want[i].name, "d"))
            assert_int_equal(dtype, want[i].rounded ? TN_DTYPE_F32 : TN_DTYPE_F16);
    }
    tn_graph_free(graph);
    tn_arena_fini(&arena);
}

/* Values leave the range of float16 in the middle and come back. */
static const char overflow[] = "graph \"overflow\" {\n"
                               "  input %x : f32[64]\n"
                               "  const %up : f32[1]={15000}\n"
                               "  const %more : f32[1]={1600}\n"
                               "  const %down : f32[1]={0.001}\n"
                               "  %a : f32[64] = Mul(%x, %up)\n"
                               "  %b : f32[64] = Mul(%a, %more)\n"
                               "  %c : f32[64] = Mul(%b, %down)\n"
                               "  %d : f32[64] = Mul(%c, %down)\n"
                               "  output \"y\" = %d\n"
                               "}\n";

/* The gate over the lowered graph, run by reference kernels. */
static tn_status run_gate(const tn_graph *exact, tn_graph *lowered, tn_gate *gate, tn_arena *arena)
{
    tn_build_config config = {.size = sizeof(config)};
    tn_engine *engine;
    tn_shape_sets sets;
    tn_timings timings;
    tn_constant_list constants;
    tn_text report = {0};
    int64_t *values;
    tn_constants_init(&constants, arena);
    assert_ok(tn_exec_engine_new(&tn_backend_cpu, 1, &engine));
    assert_ok(tn_timings_init(&timings, engine, arena));
    assert_ok(tn_shapes_of(lowered, &config, arena, &sets));
    assert_ok(tn_shapes_values(lowered, &sets.at[sets.opt], arena, &values));
    tn_chooser chooser = {
        .engine = engine, .values = values, .timings = &timings, .arena = arena, .budget_ms = -1};
    tn_map_init(&chooser.decided, arena);
    assert_ok(tn_emit(lowered, &chooser, engine, &constants));
    assert_ok(tn_finish(engine, exact, NULL, &constants));
    *gate = (tn_gate){.original = exact,
                      .optimised = lowered,
                      .exact = exact,
                      .precision = TN_PRECISION_F16,
                      .engine = engine,
                      .chooser = &chooser,
                      .shapes = &sets,
                      .report = &report};
    tn_status status = tn_gate_run(gate);
    tn_text_fini(&report);
    tn_constants_fini(&constants);
    tn_exec_engine_release(engine);
    return status;
}

static void test_gate_finds_suspects(void **state)
{
    (void)state;
    tn_lowered count;
    tn_arena arena;
    tn_map held;
    tn_gate gate;
    tn_arena_init(&arena);
    tn_map_init(&held, &arena);
    tn_graph *exact = parse_graph(overflow), *lowered;
    assert_ok(tn_graph_clone(exact, false, &lowered));
    assert_ok(tn_lower_precision(lowered, TN_DTYPE_F16, NULL, &count));
    assert_int_equal(tn_status_code(run_gate(exact, lowered, &gate, &arena)), TN_MISMATCH);
    assert_true(gate.suspect_count >= 1);
    assert_string_equal(gate.suspect[0], "b");
    tn_graph_free(lowered);
    /* Held back, and then what it feeds: its operand does not fit the type. */
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < gate.suspect_count; i++)
            assert_ok(tn_map_put(&held, gate.suspect[i], &held));
        assert_ok(tn_graph_clone(exact, false, &lowered));
        assert_ok(tn_lower_precision(lowered, TN_DTYPE_F16, &held, &count));
        tn_status status = run_gate(exact, lowered, &gate, &arena);
        tn_graph_free(lowered);
        if (!status) break;
        assert_int_equal(tn_status_code(status), TN_MISMATCH);
        assert_true(round < 2);
    }
    assert_string_equal(gate.result, "passed");
    assert_true(gate.tolerance_used == 2.5e-3);
    tn_graph_free(exact);
    tn_arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lowers),
        cmocka_unit_test(test_bf16),
        cmocka_unit_test(test_held),
        cmocka_unit_test(test_rounded),
        cmocka_unit_test(test_gate_finds_suspects),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
