/* The .tn text: print and parse are each other's inverse, and bad text is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ir/graph.h"
#include "ir/op.h"

static const char sample[] =
    "graph \"sample\" {\n"
    "  input  %x : f32[batch,2*seq+1,8]\n"
    "  input  %\"a name, with (odd) signs\\\"\" : f32[8]\n"
    "  input  %any : f32[...]\n"
    "  const  %i : i64[2]={0,-1}\n"
    "  const  %f : f32={0.1}\n"
    "  %s : f32[batch,2*seq+1,8] = Add(%x, %\"a name, with (odd) signs\\\"\")  \"layer/Add\"\n"
    "  %/t.0:1 : f32[8,batch,2*seq+1] = Transpose{perm=[2,0,1]}(%s)\n"
    "  %l : f32[batch,2*seq+1,8] = LeakyRelu{alpha=1.0}(%s)  \"quoted \\\\ \\x0a name\"\n"
    "  %c : f32[batch,2*seq+1,8] = Clip(%l, _, %f)\n"
    "  %m : f32[...] = Mul(%any, %f)\n"
    "  output \"y\" = %/t.0:1\n"
    "  output \"z\" = %c\n"
    "  output \"i\" = %i\n"
    "  output \"m\" = %m\n"
    "}\n";

static tn_graph *parse(const char *text, const tn_tensor *data, int64_t count)
{
    tn_graph *graph = NULL;
    tn_status status = tn_graph_parse(text, strlen(text), data, count, &graph);
    if (status) {
        char message[4096];
        tn_status_text(status, true, message, sizeof message);
        fail_msg("%s", message);
    }
    return graph;
}

static void test_round_trip(void **state)
{
    (void)state;
    tn_graph *graph = parse(sample, NULL, 0);
    tn_text text = {0};
    char *out;
    assert_null(tn_graph_print(graph, NULL, &text, NULL, NULL, NULL));
    assert_null(tn_text_take(&text, &out));
    assert_string_equal(out, sample);
    tn_text_free(out);
    tn_graph_free(graph);
}

static void test_data_beside_the_text(void **state)
{
    (void)state;
    float values[12];
    for (int i = 0; i < 12; i++) values[i] = (float)i / 2;
    tn_tensor data = tn_tensor_of(TN_DTYPE_F32, (int64_t[]){3, 4}, 2, values);
    const char *text = "graph \"g\" { # a comment\n"
                       "  const  %w : f32[3,4] = #0\n"
                       "  output \"w\" = %w\n"
                       "}\n";
    tn_graph *graph = parse(text, &data, 1);
    assert_ptr_equal(graph->output[0].value->constant.data, values);
    tn_arena arena;
    tn_text printed = {0};
    const tn_value *const *constants;
    int64_t count;
    tn_arena_init(&arena);
    assert_null(tn_graph_print(graph, NULL, &printed, &arena, &constants, &count));
    assert_int_equal(count, 1);
    assert_ptr_equal(constants[0], graph->output[0].value);
    assert_non_null(strstr(printed.at, "%w : f32[3,4] = #0\n"));
    tn_text_fini(&printed);
    tn_graph_print_options options = {.inline_max = 12};
    assert_null(tn_graph_print(graph, &options, &printed, &arena, &constants, &count));
    assert_int_equal(count, 0);
    assert_non_null(strstr(printed.at, "{0,0.5,1,1.5,2,2.5,3,3.5,4,4.5,5,5.5}"));
    tn_text_fini(&printed);
    tn_arena_fini(&arena);
    tn_graph_free(graph);
    assert_non_null(tn_graph_parse(text, strlen(text), NULL, 0, &graph));
    tn_tensor other = tn_tensor_of(TN_DTYPE_F32, (int64_t[]){4, 3}, 2, values);
    assert_non_null(tn_graph_parse(text, strlen(text), &other, 1, &graph));
}

static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        const char *text, *part;
    } cases[] = {
        {"", "graph"},
        {"graph \"g\" {", "expected"},
        {"graph \"g\" { } x", "after the graph"},
        {"graph \"g\" { input %x f32[2] }", "':'"},
        {"graph \"g\" { input %x : f33[2] }", "'f33'"},
        {"graph \"g\" { input %x : f32[1,1,1,1,1,1,1,1,1] }", "rank"},
        {"graph \"g\" { input %x : f32[2] input %x : f32[2] }", "'x'"},
        {"graph \"g\" { input %x : f32[2] %y = Relux(%x) }", "'Relux'"},
        {"graph \"g\" { input %x : f32[2] %y = Relu(%z) }", "'z'"},
        {"graph \"g\" { input %x : f32[2] %y = Softmax{axis=99999999999999999999}(%x) }",
         "out of range"},
        {"graph \"g\" { input %x : f32[2] %y = Softmax{axis=[1,2.5]}(%x) }", "several kinds"},
        {"graph \"g\" { input %x : f32[2] %y = Softmax{axis=\"a}(%x) }", "does not end"},
        {"graph \"g\" { const %c : f32[2] }", "no data"},
        {"graph \"g\" { const %c : f32[2] = #9999999999999999999999 }", "not there"},
        {"graph \"g\" { const %c : f32[4611686018427387904,4]={1} }", ""},
        {"graph \"g\" { const %c : f32[1000000000]={1} }", ""},
        {"graph \"g\" { output \"o\" = _ }", "no value"},
        {"graph \"\\x00\" { }", "zero byte"},
    };
    for (size_t i = 0; i < TN_COUNT(cases); i++) {
        tn_graph *graph = NULL;
        tn_status status = tn_graph_parse(cases[i].text, strlen(cases[i].text), NULL, 0, &graph);
        if (!status) fail_msg("taken: %s", cases[i].text);
        assert_null(graph);
        if (!strstr(tn_status_message(status), cases[i].part))
            fail_msg("%s: \"%s\" does not say \"%s\"", cases[i].text, tn_status_message(status),
                     cases[i].part);
    }
    assert_non_null(tn_graph_parse("graph \"g\"\0 { }", 14, NULL, 0, &(tn_graph *){NULL}));
}

/* Any prefix and any changed byte gives a graph or an error, never more. */
static void test_damage(void **state)
{
    (void)state;
    size_t bytes = sizeof sample - 1;
    char *text = malloc(bytes + 1);
    assert_non_null(text);
    unsigned random = 1;
    int refused = 0;
    for (size_t length = 0; length < bytes; length++) {
        tn_graph *graph;
        memcpy(text, sample, length);
        if (tn_graph_parse(text, length, NULL, 0, &graph)) refused++;
        else tn_graph_free(graph);
    }
    /* Without its last newline the text is still whole. */
    assert_int_equal(refused, bytes - 1);
    for (int round = 0; round < 2000; round++) {
        tn_graph *graph;
        memcpy(text, sample, bytes);
        for (int k = 0; k < 1 + round % 3; k++) {
            random = random * 1664525u + 1013904223u;
            text[(random >> 8) % bytes] = (char)(random >> 24);
        }
        if (!tn_graph_parse(text, bytes, NULL, 0, &graph)) tn_graph_free(graph);
    }
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_data_beside_the_text),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
