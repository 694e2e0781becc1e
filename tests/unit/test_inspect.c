/* What inspection says: estimates against numbers found by hand, JSON that a parser takes, drawings
 * in which no box lies on another. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "build/build.h"
#include "export/svg.h"

static void ok(tn_status status, const char *what)
{
    if (!status) return;
    char text[4096];
    tn_status_text(status, true, text, sizeof text);
    fail_msg("%s: %s", what, text);
}

static double flops_of(const char *text, double *activation_bytes)
{
    tn_graph *graph = NULL;
    tn_arena arena;
    tn_cost cost;
    tn_arena_init(&arena);
    ok(tn_graph_parse(text, strlen(text), NULL, 0, &graph), text);
    ok(tn_build_cost(graph, NULL, &arena, &cost), text);
    assert_int_equal(cost.unknown_count, 0);
    double flops = cost.flops;
    if (activation_bytes) *activation_bytes = cost.activation_bytes;
    tn_graph_free(graph);
    tn_arena_fini(&arena);
    return flops;
}

static void test_flops(void **state)
{
    (void)state;
    assert_float_equal(flops_of("graph \"g\" { input %x : f32[5,3] input %w : f32[3,4] %y = "
                                "MatMul(%x, %w) output \"y\" = %y }",
                                NULL),
                       2 * 5 * 3 * 4, 0);
    assert_float_equal(flops_of("graph \"g\" { input %x : f32[3,5] input %w : f32[3,4] %y = "
                                "Gemm{transA=1}(%x, %w) output \"y\" = %y }",
                                NULL),
                       2 * 5 * 3 * 4, 0);
    /* 2 groups: each of the 8 x 6 x 6 outputs takes 2 x 3 x 3 weights. N is 1. */
    assert_float_equal(
        flops_of("graph \"g\" { input %x : f32[N,4,8,8] input %w : f32[8,2,3,3] %y = "
                 "Conv{group=2}(%x, %w) output \"y\" = %y }",
                 NULL),
        2 * 8 * 6 * 6 * 18, 0);
    assert_float_equal(
        flops_of(
            "graph \"g\" { input %x : f32[7,2,3] input %w : f32[1,20,3] input %r : f32[1,20,5] "
            "%y = LSTM{hidden_size=5}(%x, %w, %r) output \"y\" = %y }",
            NULL),
        2 * 7 * 2 * (20 * 3 + 20 * 5), 0);
    assert_float_equal(
        flops_of("graph \"g\" { input %x : f32[7,2] %t = Transpose(%x) %y = Relu(%t) "
                 "output \"y\" = %y }",
                 NULL),
        14, 0);
}

/* At the second Neg its input and its output are alive; the Reshape is a view. */
static void test_memory(void **state)
{
    (void)state;
    double bytes;
    flops_of("graph \"g\" { input %x : f32[10,10] const %s : i64[1]={-1} %a = Neg(%x) %b = "
             "Reshape(%a, %s) %c = Neg(%b) %d = Neg(%c) output \"d\" = %d }",
             &bytes);
    assert_float_equal(bytes, 800, 0);
    /* %a is read again at the end. */
    flops_of("graph \"g\" { input %x : f32[10,10] %a = Neg(%x) %b = Neg(%a) %c = Neg(%b) %d = "
             "Add(%c, %a) output \"d\" = %d }",
             &bytes);
    assert_float_equal(bytes, 1200, 0);
}

static void test_json(void **state)
{
    (void)state;
    tn_model *model;
    char *text;
    json_t *json;
    ok(tn_model_load(TN_SOURCE_DIR "/examples/bert/bert.onnx", NULL, &model), "load");
    ok(tn_model_text(model, TN_TEXT_JSON, &text), "text");
    ok(tn_json_parse(text, strlen(text), "the summary", &json), text);
    const json_t *input = json_array_get(json_object_get(json, "inputs"), 0);
    assert_string_equal(json_string_value(json_object_get(input, "name")), "input_ids");
    assert_true(json_is_string(json_array_get(json_object_get(input, "shape"), 0)));
    assert_true(json_number_value(json_object_get(json, "flops")) > 1e5);
    json_int_t counted = 0;
    const char *name;
    json_t *op;
    json_object_foreach(json_object_get(json, "operators"), name, op) counted +=
        json_integer_value(json_object_get(op, "count"));
    assert_int_equal(counted, json_integer_value(json_object_get(json, "nodes")));
    json_decref(json);
    tn_text_free(text);
    tn_model_free(model);
}

static int count(const char *text, const char *word)
{
    int found = 0;
    for (const char *at = text; (at = strstr(at, word)); at++) found++;
    return found;
}

static void test_drawing(void **state)
{
    (void)state;
    static const char *const text =
        "graph \"a<b & \\\"c\\\"\" { input %x : f32[N,4] const %w : f32[4,4] = #0 %a = MatMul(%x, "
        "%w) "
        "\"<first>\" %b = Relu(%a) %c = Add(%a, %b) %d = Add(%c, %x) output \"d\" = %d }";
    float data[16] = {0};
    const tn_tensor tensor = tn_tensor_of(TN_DTYPE_F32, (int64_t[]){4, 4}, 2, data);
    tn_graph *graph = NULL;
    tn_text svg = {0};
    ok(tn_graph_parse(text, strlen(text), &tensor, 1, &graph), "parse");
    ok(tn_svg_print(graph, &svg), "draw");
    assert_non_null(strstr(svg.at, "a&lt;b &amp; &quot;c&quot;"));
    assert_non_null(strstr(svg.at, "<title>&lt;first&gt;</title>"));
    assert_non_null(strstr(svg.at, "4x4"));
    assert_non_null(strstr(svg.at, "f32[N,4]"));
    assert_int_equal(count(svg.at, "<g>"), 6); /* an input, four nodes, an output */
    assert_int_equal(count(svg.at, "marker-end"), 7);
    assert_int_equal(count(svg.at, "<svg"), count(svg.at, "</svg>"));
    tn_text_fini(&svg);
    tn_graph_free(graph);
}

/* Graphs made at random: links go to the next layer, and boxes of a layer keep apart. */
static void test_layout(void **state)
{
    (void)state;
    uint32_t seed = 1;
    for (int round = 0; round < 20; round++) {
        tn_arena arena;
        tn_arena_init(&arena);
        tn_layout layout = {.arena = &arena};
        int boxes = 2 + round * 4;
        for (int b = 0; b < boxes; b++) {
            int32_t box;
            seed = seed * 1664525u + 1013904223u;
            ok(tn_layout_add_box(&layout, 60 + (double)(seed >> 24), &box), "box");
            for (int k = 0; b && k < 2; k++) {
                seed = seed * 1664525u + 1013904223u;
                int32_t from = (int32_t)((seed >> 8) % (uint32_t)b);
                ok(tn_layout_add_link(&layout, from, box, from), "link");
            }
        }
        ok(tn_layout_run(&layout), "layout");
        for (int64_t i = 0; i < layout.link_count; i++)
            assert_int_equal(layout.box[layout.link[i].from].layer + 1,
                             layout.box[layout.link[i].to].layer);
        for (int64_t a = 0; a < layout.box_count; a++)
            for (int64_t b = 0; b < a; b++) {
                const tn_box *x = &layout.box[a], *y = &layout.box[b];
                if (x->layer != y->layer) continue;
                double apart = x->x > y->x ? x->x - y->x : y->x - x->x;
                assert_true(apart + 1e-6 >= (x->width + y->width) / 2);
            }
        tn_arena_fini(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flops),   cmocka_unit_test(test_memory), cmocka_unit_test(test_json),
        cmocka_unit_test(test_drawing), cmocka_unit_test(test_layout),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
