/* Batches without their padding: what is rewritten, what is left alone, and the same results. */
#include "engine_help.h"

#include "build/stage.h"
#include "passes/passes.h"
#include "passes/remove_padding.h"

#define ENCODER                                                                                    \
    "graph \"encoder\" {\n"                                                                        \
    "  input %x : f32[batch,seq,4]\n"                                                              \
    "  input %mask : f32[batch,1,1,seq]\n"                                                         \
    "  const %w : f32[4,12]={1,2,3,-1,0,2, 1,0,-2,1,0.5,1, 0,1,1,-1,2,0.25, 1,1,0,-0.5,0.5,3,"     \
    "    2,0,1,1,-3,1, 0,1,0.5,1,-1,2, 1,-1,0,2,1,1, 0,1,2,1,-2,0.5}\n"                            \
    "  const %o : f32[4,4]={1,0,2,1, 0,1,-1,0.5, 2,1,0,1, -1,1,1,0}\n"                             \
    "  const %g : f32[4]={1,2,0.5,1}\n"                                                            \
    "  const %b : f32[4]={0,1,0,-1}\n"                                                             \
    "  const %zero : i64={0}\n"                                                                    \
    "  %qkv : f32[batch,seq,12] = tenon.Linear(%x, %w)\n"                                          \
    "  %a : f32[batch,seq,4] = tenon.PackedAttention{heads=2}(%qkv, %mask)\n"                      \
    "  %p : f32[batch,seq,4] = tenon.Linear(%a, %o, %b, %x)\n"                                     \
    "  %n : f32[batch,seq,4] = LayerNormalization{axis=2, epsilon=1e-12}(%p, %g, %b)\n"            \
    "  %first : f32[batch,4] = Gather{axis=1}(%n, %zero)\n"                                        \
    "  output \"y\" = %first\n"

static const char encoder[] = ENCODER "}\n";
static const char all_seen[] = ENCODER "  output \"hidden\" = %n\n}\n";
static const char summed[] = ENCODER "  const %one : i64[1]={1}\n"
                                     "  %s : f32[batch,1,4] = ReduceSum(%n, %one)\n"
                                     "  output \"s\" = %s\n}\n";

static int count(const tn_graph *graph, const char *op)
{
    int found = 0;
    for (const tn_node *node = graph->first; node; node = node->next)
        found += !strcmp(node->op->name, op);
    return found;
}

static void test_rewrites(void **state)
{
    (void)state;
    int64_t changed;
    tn_graph *graph = parse_graph(encoder);
    assert_ok(tn_remove_padding(graph, &changed));
    assert_ok(tn_graph_verify(graph));
    assert_int_equal(changed, 4);
    assert_int_equal(count(graph, "RealTokens"), 1);
    assert_int_equal(count(graph, "RaggedAttention"), 1);
    assert_int_equal(count(graph, "PackedAttention"), 0);
    assert_int_equal(count(graph, "Gather"), 3); /* x, the mask's values, the first tokens */
    for (const tn_node *node = graph->first; node; node = node->next)
        if (!strcmp(node->op->name, "Linear")) assert_int_equal(node->out[0]->type.rank, 2);
    tn_graph_free(graph);
}

/* Where padded rows can be seen, they stay. */
static void test_leaves_alone(void **state)
{
    (void)state;
    const char *const texts[] = {all_seen, summed};
    for (size_t i = 0; i < TN_COUNT(texts); i++) {
        int64_t changed;
        tn_graph *graph = parse_graph(texts[i]);
        assert_ok(tn_remove_padding(graph, &changed));
        assert_int_equal(changed, 0);
        assert_int_equal(count(graph, "PackedAttention"), 1);
        tn_graph_free(graph);
    }
}

enum { BATCH = 6, LENGTH = 50 };

/* Rows of all lengths, one with a hole, one whose first token is masked, one of padding alone. */
static void fill_mask(float *mask)
{
    for (int b = 0; b < BATCH; b++)
        for (int s = 0; s < LENGTH; s++) mask[b * LENGTH + s] = s < 8 * b + 3 ? 0 : -10000;
    mask[2 * LENGTH + 5] = mask[3 * LENGTH] = -10000;
    for (int s = 0; s < LENGTH; s++) mask[4 * LENGTH + s] = -10000;
}

static void test_same_results(void **state)
{
    (void)state;
    static float x[BATCH * LENGTH * 4], mask[BATCH * LENGTH];
    const tn_profile profiles[] = {{.input = "x",
                                    .rank = 3,
                                    .min = {1, 1, 4},
                                    .opt = {BATCH, LENGTH, 4},
                                    .max = {BATCH, LENGTH, 4}},
                                   {.input = "mask",
                                    .rank = 4,
                                    .min = {1, 1, 1, 1},
                                    .opt = {BATCH, 1, 1, LENGTH},
                                    .max = {BATCH, 1, 1, LENGTH}}};
    const tn_build_config packed = {.size = sizeof(packed),
                                    .threads = 2,
                                    .budget_ms = -1,
                                    .profiles = profiles,
                                    .profile_count = 2},
                          plain = {.size = sizeof(plain), .threads = 1, .budget_ms = -1};
    tn_tensor in = tn_tensor_of(TN_DTYPE_F32, (int64_t[]){BATCH, LENGTH, 4}, 3, x), want, got;
    tn_tensor hide = tn_tensor_of(TN_DTYPE_F32, (int64_t[]){BATCH, 1, 1, LENGTH}, 4, mask);
    tn_difference difference;
    char *text;
    assert_ok(tn_tensor_fill_random(&in, 7, -1, 1));
    fill_mask(mask);
    /* The same kernels with padding: where all scores are about -10000, float32 has few digits
     * left. */
    tn_engine *engine = build_text(encoder, &packed), *reference = build_text(encoder, &plain);
    assert_ok(tn_engine_text(engine, TN_TEXT_PLAN, &text));
    assert_non_null(strstr(text, "RaggedAttention"));
    tn_text_free(text);
    tn_context *a = new_context(engine), *b = new_context(reference);
    assert_ok(tn_exec_context_bind(a, "x", &in));
    assert_ok(tn_exec_context_bind(b, "x", &in));
    for (int round = 0; round < 3; round++) {
        /* The same shapes, other lengths: what a run learnt must not stay. */
        assert_ok(tn_exec_context_bind(a, "mask", &hide));
        assert_ok(tn_exec_context_bind(b, "mask", &hide));
        assert_ok(tn_exec_context_run(a));
        assert_ok(tn_exec_context_run(b));
        assert_ok(tn_exec_context_output(a, "y", &got));
        assert_ok(tn_exec_context_output(b, "y", &want));
        assert_ok(tn_tensor_compare(&got, &want, 1e-5, 1e-5, &difference));
        assert_true(difference.rel_l2 < 1e-5);
        for (int s = 0; s < LENGTH; s++) mask[s] = round || s < 2 ? 0 : -10000;
    }
    tn_exec_context_free(a);
    tn_exec_context_free(b);
    tn_exec_engine_release(engine);
    tn_exec_engine_release(reference);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rewrites),
        cmocka_unit_test(test_leaves_alone),
        cmocka_unit_test(test_same_results),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
