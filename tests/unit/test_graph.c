/* Graphs: making, names, editing, order, copies, and what verify finds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ir/graph.h"
#include "ir/op.h"

static void ok(tn_status status)
{
    if (status) fail_msg("%s", tn_status_message(status));
}

static void expect_failure(tn_status status, tn_code code, const char *part)
{
    assert_non_null(status);
    assert_int_equal(tn_status_code(status), code);
    if (!strstr(tn_status_message(status), part))
        fail_msg("\"%s\" does not say \"%s\"", tn_status_message(status), part);
}

static tn_type f32_2d(tn_graph *graph, int64_t rows, int64_t columns)
{
    tn_expr dim[] = {tn_expr_const(graph->exprs, rows), tn_expr_const(graph->exprs, columns)};
    return tn_type_of(TN_DTYPE_F32, 2, dim);
}

static tn_node *add(tn_graph *graph, const char *op, tn_value *a, tn_value *b, const char *out)
{
    tn_value *in[] = {a, b};
    tn_node *node;
    ok(tn_graph_add_node(graph, tn_op_find(NULL, op), NULL, in, b ? 2 : 1, &out, 1, NULL, &node));
    return node;
}

/* y = Relu(x + w), z = Softmax(y) */
static tn_graph *make(void)
{
    tn_graph *graph;
    tn_value *x, *w;
    float data[6] = {1, 2, 3, 4, 5, 6};
    ok(tn_graph_new("g", &graph));
    ok(tn_graph_add_input(graph, "x", f32_2d(graph, 2, 3), &x));
    tn_tensor tensor = tn_tensor_of(TN_DTYPE_F32, (int64_t[]){2, 3}, 2, data);
    ok(tn_graph_add_constant(graph, "w", &tensor, true, &w));
    tn_node *sum = add(graph, "Add", x, w, "s");
    tn_node *relu = add(graph, "Relu", sum->out[0], NULL, "y");
    tn_node *soft = add(graph, "Softmax", relu->out[0], NULL, "z");
    ok(tn_graph_add_output(graph, "out", soft->out[0]));
    ok(tn_graph_infer(graph));
    ok(tn_graph_verify(graph));
    return graph;
}

static char *print(const tn_graph *graph)
{
    tn_text text = {0};
    char *out;
    ok(tn_graph_print(graph, NULL, &text, NULL, NULL, NULL));
    ok(tn_text_take(&text, &out));
    return out;
}

static tn_value *find(tn_graph *graph, const char *name)
{
    tn_value *value = tn_map_find(&graph->names, name);
    assert_non_null(value);
    return value;
}

static void test_uses_follow_edits(void **state)
{
    (void)state;
    tn_graph *graph = make();
    tn_value *x = find(graph, "x"), *s = find(graph, "s"), *y = find(graph, "y"),
             *z = find(graph, "z");
    assert_int_equal(x->use_count, 1);
    assert_ptr_equal(x->use[0].node, s->producer);
    ok(tn_value_replace(y, s));
    assert_int_equal(y->use_count, 0);
    assert_ptr_equal(z->producer->in[0], s);
    assert_int_equal(s->use_count, 2);
    tn_node *relu = y->producer;
    tn_node_remove(relu);
    assert_null(relu->graph);
    assert_int_equal(graph->node_count, 2);
    assert_int_equal(s->use_count, 1);
    assert_false(tn_map_has(&graph->names, "y"));
    ok(tn_graph_verify(graph));
    /* A graph output follows too, and keeps its name. */
    ok(tn_value_replace(z, x));
    assert_ptr_equal(graph->output[0].value, x);
    assert_string_equal(graph->output[0].name, "out");
    assert_int_equal(x->output_count, 1);
    ok(tn_graph_verify(graph));
    tn_graph_free(graph);
}

static void test_inputs_grow_and_trim(void **state)
{
    (void)state;
    tn_graph *graph = make();
    tn_node *node = find(graph, "z")->producer;
    tn_value *x = find(graph, "x");
    ok(tn_node_set_input(node, 3, x));
    assert_int_equal(node->in_count, 4);
    assert_null(node->in[2]);
    assert_int_equal(x->use_count, 2);
    ok(tn_node_set_input(node, 3, NULL));
    tn_node_trim_inputs(node);
    assert_int_equal(node->in_count, 1);
    assert_int_equal(x->use_count, 1);
    ok(tn_graph_verify(graph));
    tn_graph_free(graph);
}

static void test_names_are_unique(void **state)
{
    (void)state;
    tn_graph *graph = make();
    tn_value *value;
    const char *first, *second;
    expect_failure(tn_graph_add_input(graph, "y", f32_2d(graph, 1, 1), &value), TN_INVALID, "'y'");
    ok(tn_graph_fresh_name(graph, "y", &first));
    assert_string_not_equal(first, "y");
    ok(tn_graph_fresh_name(graph, "new", &second));
    assert_string_equal(second, "new");
    ok(tn_graph_add_ints(graph, (int64_t[]){1, 2}, 2, &value));
    assert_ptr_equal(find(graph, value->name), value);
    assert_int_equal(((int64_t *)value->constant.data)[1], 2);
    ok(tn_graph_add_output(graph, "out", value));
    expect_failure(tn_graph_verify(graph), TN_INVALID, "two outputs are called 'out'");
    tn_graph_free(graph);
}

static void test_sort(void **state)
{
    (void)state;
    tn_graph *graph;
    tn_value *x;
    ok(tn_graph_new("g", &graph));
    ok(tn_graph_add_input(graph, "x", f32_2d(graph, 2, 2), &x));
    /* c reads b reads a, given in the order c, a, b */
    tn_node *c = add(graph, "Relu", x, NULL, "c"), *a = add(graph, "Relu", x, NULL, "a");
    tn_node *b = add(graph, "Relu", a->out[0], NULL, "b");
    ok(tn_node_set_input(c, 0, b->out[0]));
    ok(tn_graph_sort(graph));
    assert_ptr_equal(graph->first, a);
    assert_ptr_equal(a->next, b);
    assert_ptr_equal(graph->last, c);
    assert_ptr_equal(c->prev, b);
    ok(tn_graph_infer(graph));
    ok(tn_graph_verify(graph));
    ok(tn_node_set_input(a, 0, c->out[0]));
    expect_failure(tn_graph_sort(graph), TN_INVALID, "cycle");
    assert_ptr_equal(graph->last, c);
    assert_ptr_equal(c->prev, b);
    expect_failure(tn_graph_verify(graph), TN_INTERNAL, "before it is there");
    tn_graph_free(graph);
}

static void test_sort_of_a_long_chain(void **state)
{
    (void)state;
    tn_graph *graph;
    tn_value *x;
    ok(tn_graph_new("g", &graph));
    ok(tn_graph_add_input(graph, "x", f32_2d(graph, 2, 2), &x));
    /* Every node before its producer: depth first must not use the C stack. */
    tn_node *after = add(graph, "Relu", x, NULL, NULL);
    for (int i = 0; i < 100000; i++) {
        tn_node *node = add(graph, "Relu", x, NULL, NULL);
        ok(tn_node_set_input(after, 0, node->out[0]));
        after = node;
    }
    ok(tn_graph_sort(graph));
    assert_ptr_equal(graph->first, after);
    int64_t count = 0;
    for (tn_node *node = graph->first; node; node = node->next) count++;
    assert_int_equal(count, 100001);
    tn_graph_free(graph);
}

static void test_clone(void **state)
{
    (void)state;
    tn_graph *graph = make(), *copy;
    tn_value *dead;
    ok(tn_graph_add_scalar(graph, TN_DTYPE_F32, 3, &dead));
    tn_expr seq = tn_expr_symbol(graph->exprs, "seq");
    tn_expr twice = tn_expr_mul(graph->exprs, seq, tn_expr_const(graph->exprs, 2));
    ok(tn_graph_clone(graph, true, &copy));
    ok(tn_graph_verify(copy));
    char *before = print(graph), *after = print(copy);
    assert_string_equal(before, after);
    assert_int_equal(copy->constant_count, 1);
    assert_ptr_not_equal(find(copy, "w")->constant.data, find(graph, "w")->constant.data);
    /* Expressions keep their numbers, and the pool still finds equals. */
    assert_int_equal(copy->exprs->count, graph->exprs->count);
    assert_int_equal(tn_expr_symbol(copy->exprs, "seq"), seq);
    assert_int_equal(tn_expr_mul(copy->exprs, seq, tn_expr_const(copy->exprs, 2)), twice);
    tn_graph_free(graph);
    ok(tn_graph_infer(copy));
    tn_text_free(before);
    tn_text_free(after);
    tn_graph_free(copy);
}

static void test_attributes(void **state)
{
    (void)state;
    tn_graph *graph = make();
    tn_node *soft = find(graph, "z")->producer;
    assert_int_equal(tn_node_int_attr(soft, "axis", 7), 7);
    ok(tn_node_set_int(soft, "axis", 0));
    ok(tn_node_set_int(soft, "axis", 1));
    assert_int_equal(soft->attr_count, 1);
    assert_int_equal(tn_node_int_attr(soft, "axis", 7), 1);
    ok(tn_node_set_int(soft, "wrong", 1));
    expect_failure(tn_node_lower(soft), TN_INVALID, "no attribute 'wrong'");
    tn_node_remove_attr(soft, "wrong");
    ok(tn_node_lower(soft));
    ok(tn_node_set_attr(soft, &(tn_attr){.name = "axis", .kind = TN_ATTR_FLOAT, .f = 1}));
    expect_failure(tn_node_lower(soft), TN_INVALID,
                   "Softmax giving 'z': attribute 'axis' is a float");
    tn_graph_free(graph);
}

static void test_verify_finds_damage(void **state)
{
    (void)state;
    tn_graph *graph = make();
    tn_value *y = find(graph, "y");
    tn_node *soft = find(graph, "z")->producer;
    soft->in[0] = find(graph, "s");
    expect_failure(tn_graph_verify(graph), TN_INTERNAL, "users");
    soft->in[0] = y;
    ok(tn_graph_verify(graph));
    void *params = soft->params;
    soft->params = NULL;
    expect_failure(tn_graph_verify(graph), TN_INTERNAL, "not lowered");
    soft->params = params;
    tn_dtype dtype = y->type.dtype;
    y->type.dtype = TN_DTYPE_NONE;
    expect_failure(tn_graph_verify(graph), TN_INTERNAL, "no type");
    y->type.dtype = dtype;
    y->output_count++;
    expect_failure(tn_graph_verify(graph), TN_INTERNAL, "graph outputs");
    tn_graph_free(graph);
}

static void test_bad_constants(void **state)
{
    (void)state;
    tn_graph *graph;
    tn_value *value;
    ok(tn_graph_new("g", &graph));
    tn_tensor huge = {.dtype = TN_DTYPE_F32, .rank = 2, .dim = {INT64_C(1) << 62, 4}};
    expect_failure(tn_graph_add_constant(graph, "h", &huge, true, &value), TN_INVALID, "'h'");
    tn_tensor hollow = {.dtype = TN_DTYPE_F32, .rank = 1, .dim = {4}};
    expect_failure(tn_graph_add_constant(graph, "n", &hollow, true, &value), TN_INVALID, "no data");
    tn_tensor empty = {.dtype = TN_DTYPE_F32, .rank = 1, .dim = {0}};
    ok(tn_graph_add_constant(graph, "e", &empty, true, &value));
    assert_int_equal(tn_tensor_count(&value->constant), 0);
    tn_graph_free(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_uses_follow_edits),    cmocka_unit_test(test_inputs_grow_and_trim),
        cmocka_unit_test(test_names_are_unique),     cmocka_unit_test(test_sort),
        cmocka_unit_test(test_sort_of_a_long_chain), cmocka_unit_test(test_clone),
        cmocka_unit_test(test_attributes),           cmocka_unit_test(test_verify_finds_damage),
        cmocka_unit_test(test_bad_constants),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
