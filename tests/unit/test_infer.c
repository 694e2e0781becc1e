/* Inference: the schema's messages, refinement of declared types, known values through shape
 * chains. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "ir/graph.h"
#include "ir/op.h"

static tn_status parse(const char *body, tn_graph **out)
{
    char text[4096];
    int bytes = snprintf(text, sizeof text, "graph \"t\" {\n%s\n}\n", body);
    assert_true(bytes > 0 && bytes < (int)sizeof text);
    return tn_graph_parse(text, (size_t)bytes, NULL, 0, out);
}

static tn_graph *good(const char *body)
{
    tn_graph *graph = NULL;
    tn_status status = parse(body, &graph);
    if (status) {
        char text[4096];
        tn_status_text(status, false, text, sizeof text);
        fail_msg("%s", text);
    }
    return graph;
}

static void bad(const char *body, const char *part)
{
    tn_graph *graph = NULL;
    tn_status status = parse(body, &graph);
    assert_non_null(status);
    assert_null(graph);
    char text[4096];
    tn_status_text(status, false, text, sizeof text);
    if (!strstr(text, part)) fail_msg("\"%s\" does not say \"%s\"", text, part);
}

static void assert_type(tn_graph *graph, const char *name, const char *want)
{
    char text[256];
    tn_value *value = tn_map_find(&graph->names, name);
    assert_non_null(value);
    assert_string_equal(tn_type_text(graph->exprs, &value->type, text, sizeof text), want);
}

static void assert_known(tn_graph *graph, const char *name, const char *want)
{
    tn_value *value = tn_map_find(&graph->names, name);
    tn_text text = {0};
    char *got;
    assert_non_null(value);
    assert_non_null(value->known.at);
    for (int64_t i = 0; i < value->known.count; i++) {
        if (i) tn_text_printf(&text, ", ");
        tn_expr_print(graph->exprs, value->known.at[i], &text);
    }
    assert_null(tn_text_take(&text, &got));
    assert_string_equal(got, want);
    tn_text_free(got);
}

static void test_schema_messages(void **state)
{
    (void)state;
    bad("input %a : f32[2]\n input %b : i64[2]\n %y = Add(%a, %b) \"n1\"",
        "Add 'n1': input 1 (B) is i64 but input 0 (A) is f32");
    bad("input %a : string[2]\n %y = Relu(%a) \"n1\"",
        "Relu 'n1': input 0 (X) is string; it must be");
    bad("input %a : f32[2]\n %y = Add(%a) \"n1\"", "Add 'n1': input 1 (B) is missing");
    bad("input %a : f32[2]\n %y = Add(_, %a) \"n1\"", "Add 'n1': input 0 (A) is missing");
    bad("input %a : f32[2]\n %y = Relu(%a, %a) \"n1\"", "Relu 'n1': it has 2 inputs; at most 1");
    bad("input %a : f32[2]\n %y, %z = Relu(%a) \"n1\"", "Relu 'n1': it has 2 outputs; at most 1");
    bad("input %a : f32[2,3]\n %y = Softmax{axis=4}(%a) \"n1\"",
        "Softmax 'n1': axis 4 is outside [-2, 2)");
    bad("input %a : f32[2]\n %y = Cast(%a) \"n1\"", "Cast 'n1': attribute 'to' is required");
    bad("input %a : f32[2]\n %y = Cast{to=99}(%a) \"n1\"", "that is no data type");
}

static void test_broadcast(void **state)
{
    (void)state;
    tn_graph *graph = good("input %a : f32[n,1,5]\n input %b : f32[7,1]\n %y = Add(%a, %b)\n"
                           "input %c : f32[m,7,5]\n %z = Mul(%a, %c)\n output \"z\" = %z");
    assert_type(graph, "y", "f32[n,7,5]");
    const tn_value *z = tn_map_find(&graph->names, "z");
    assert_int_equal(z->type.rank, 3);
    assert_int_equal(tn_expr_get(graph->exprs, z->type.dim[0])->op, TN_EXPR_OP_BROADCAST);
    tn_graph_free(graph);
    bad("input %a : f32[2,3]\n input %b : f32[2,4]\n %y = Add(%a, %b) \"n1\"",
        "Add 'n1': the shapes f32[2,3] and f32[2,4] cannot be broadcast together");
    graph = good("input %a : f32[?,3]\n %y = Relu(%a)");
    assert_type(graph, "y", "f32[a.0,3]");
    tn_graph_free(graph);
    graph = good("input %a : f32[...]\n input %b : f32[2,4]\n %y = Add(%a, %b)");
    assert_type(graph, "y", "f32[...]");
    tn_graph_free(graph);
}

static void test_refinement(void **state)
{
    (void)state;
    /* A number beats a declared symbol; an expression beats a declared symbol. */
    tn_graph *graph = good("input %a : f32[2,n]\n %y : f32[p,q] = Relu(%a)");
    assert_type(graph, "y", "f32[2,n]");
    tn_graph_free(graph);
    bad("input %a : f32[2,3]\n %y : f32[2,4] = Relu(%a) \"r\"", "dim 1 is declared 4 but is 3");
    bad("input %a : f32[2,3]\n %y : f32[2] = Relu(%a) \"r\"", "declared f32[2] but is f32[2,3]");
    bad("input %a : f32[2,3]\n %y : i64[2,3] = Relu(%a) \"r\"", "declared i64[2,3]");
    /* What only a run could tell is taken from the declaration, or made a run-time symbol that
     * later inferences find again. */
    graph = good("input %a : f32[2,3]\n %y : i64[2,5] = NonZero(%a)\n %z = NonZero(%a)");
    assert_type(graph, "y", "i64[2,5]");
    tn_value *z = tn_map_find(&graph->names, "z");
    tn_expr symbol = z->type.dim[1];
    assert_true(tn_expr_is_runtime(graph->exprs, symbol));
    int64_t count = graph->exprs->count;
    assert_null(tn_graph_infer(graph));
    assert_int_equal(z->type.dim[1], symbol);
    assert_int_equal(graph->exprs->count, count);
    tn_graph_free(graph);
}

static void test_known_values(void **state)
{
    (void)state;
    tn_graph *graph =
        good("input %x : f32[batch,seq,768]\n"
             "const %i : i64={1}\n const %axes : i64[1]={0}\n const %t : i64[2]={12,-1}\n"
             "%s = Shape(%x)\n"
             "%d = Gather(%s, %i)\n"
             "%u = Unsqueeze(%d, %axes)\n"
             "%c = Concat{axis=0}(%u, %t)\n"
             "%y = Reshape(%x, %c)\n output \"y\" = %y");
    assert_known(graph, "s", "batch, seq, 768");
    assert_known(graph, "d", "seq");
    assert_type(graph, "d", "i64");
    assert_known(graph, "c", "seq, 12, -1");
    assert_type(graph, "y", "f32[seq,12,64*batch]");
    tn_graph_free(graph);
}

/* The words operators use, alone. */
static void test_words(void **state)
{
    (void)state;
    tn_arena arena;
    tn_exprs exprs;
    tn_arena_init(&arena);
    assert_null(tn_exprs_init(&exprs, &arena));
    int32_t numbers[] = {3, -1, 5};
    tn_expr three = tn_expr_const(&exprs, 3);
    tn_type in[] = {tn_type_of(TN_DTYPE_I32, 1, &three), {.rank = -1}};
    tn_tensor data[2] = {tn_tensor_of(TN_DTYPE_I32, (int64_t[]){3}, 1, numbers)};
    tn_known known[2] = {{0}};
    tn_type out[1];
    tn_known out_known[1];
    tn_infer f = {.exprs = &exprs,
                  .arena = &arena,
                  .in_count = 2,
                  .in = in,
                  .known = known,
                  .data = data,
                  .out_count = 1,
                  .out = out,
                  .out_known = out_known};
    assert_true(tn_infer_has(&f, 0));
    assert_false(tn_infer_has(&f, 1));
    assert_false(tn_infer_has(&f, 2));
    int64_t at[3], length;
    int count;
    assert_true(tn_infer_ints(&f, 0, at, 3, &count));
    assert_int_equal(count, 3);
    assert_int_equal(at[1], -1);
    assert_false(tn_infer_ints(&f, 0, at, 2, &count));
    assert_false(tn_infer_ints(&f, 1, at, 3, &count));
    assert_int_equal(tn_infer_length(&f, 0), 3);
    assert_int_equal(tn_infer_length(&f, 1), -1);
    const tn_expr *exprs_at;
    assert_true(tn_infer_exprs(&f, 0, &exprs_at, &length));
    assert_true(tn_expr_equals(&exprs, exprs_at[2], 5));
    int axis;
    assert_null(tn_infer_axis(&f, -1, 3, &axis));
    assert_int_equal(axis, 2);
    tn_status status = tn_infer_axis(&f, 4, 3, &axis);
    assert_string_equal(tn_status_message(status), "axis 4 is outside [-3, 3)");
    tn_expr first = tn_infer_fresh(&f), second = tn_infer_fresh(&f);
    assert_int_not_equal(first, second);
    f.fresh_count = 0;
    assert_int_equal(tn_infer_fresh(&f), first);
    tn_infer_same(&f, 0, 0);
    assert_true(tn_type_equals(&out[0], &in[0]));
    tn_arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_schema_messages), cmocka_unit_test(test_broadcast),
        cmocka_unit_test(test_refinement),      cmocka_unit_test(test_known_values),
        cmocka_unit_test(test_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
