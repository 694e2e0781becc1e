/* Patterns and rules. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ir/graph.h"
#include "ir/op.h"

static const char text[] = "graph \"g\" {\n"
                           "  input %x : f32[4,4]\n"
                           "  input %w : f32[4,4]\n"
                           "  input %b : f32[4]\n"
                           "  %m = MatMul(%x, %w)\n"
                           "  %s = Add(%b, %m)\n"
                           "  %r = Relu(%s)\n"
                           "  %t = Tanh(%s)\n"
                           "  %d = Mul(%r, %r)\n"
                           "  %e = Mul(%r, %t)\n"
                           "  %k = Clip(%d, _, _)\n"
                           "  output \"d\" = %k\n"
                           "  output \"e\" = %e\n"
                           "}\n";

static tn_graph *make(void)
{
    tn_graph *graph = NULL;
    tn_status status = tn_graph_parse(text, sizeof text - 1, NULL, 0, &graph);
    if (status) fail_msg("%s", tn_status_message(status));
    return graph;
}

static tn_node *producer(tn_graph *graph, const char *name)
{
    tn_value *value = tn_map_find(&graph->names, name);
    assert_non_null(value);
    return value->producer;
}

static void test_trees(void **state)
{
    (void)state;
    tn_graph *graph = make();
    static const tn_pattern linear[] = {
        {"act", "Relu|Tanh", .in = {"sum"}},
        {"sum", "Add", .in = {"mm", "bias"}, .commutes = true},
        {"mm", "MatMul", .in = {"x", "w"}, .users = 1},
    };
    tn_match match;
    assert_true(tn_match_at(producer(graph, "t"), linear, 3, &match));
    assert_ptr_equal(tn_match_node(&match, "mm"), producer(graph, "m"));
    assert_ptr_equal(tn_match_value(&match, "bias"), tn_map_find(&graph->names, "b"));
    assert_ptr_equal(tn_match_value(&match, "act"), tn_map_find(&graph->names, "t"));
    assert_null(tn_match_value(&match, "nothing"));
    assert_int_equal(match.count, 6);
    assert_false(tn_match_at(producer(graph, "d"), linear, 3, &match));
    /* Without the second order the sum does not fit. */
    tn_pattern ordered[3];
    memcpy(ordered, linear, sizeof linear);
    ordered[1].commutes = false;
    assert_false(tn_match_at(producer(graph, "t"), ordered, 3, &match));
    /* Two users of the sum. */
    memcpy(ordered, linear, sizeof linear);
    ordered[1].users = 1;
    assert_false(tn_match_at(producer(graph, "t"), ordered, 3, &match));
    ordered[1].users = 2;
    assert_true(tn_match_at(producer(graph, "t"), ordered, 3, &match));
    tn_graph_free(graph);
}

static void test_leaves(void **state)
{
    (void)state;
    tn_graph *graph = make();
    tn_match match;
    static const tn_pattern square[] = {{"m", "Mul", .in = {"v", "v"}}};
    assert_true(tn_match_at(producer(graph, "d"), square, 1, &match));
    assert_false(tn_match_at(producer(graph, "e"), square, 1, &match));
    static const tn_pattern absent[] = {{"c", "Clip", .in = {"v", "-", "-"}}};
    assert_true(tn_match_at(producer(graph, "k"), absent, 1, &match));
    static const tn_pattern present[] = {{"c", "Clip", .in = {"v", "low"}}};
    assert_false(tn_match_at(producer(graph, "k"), present, 1, &match));
    static const tn_pattern whatever[] = {{"c", "Mul", .in = {"*", "t"}},
                                          {"t", "Tanh", .in = {"*"}}};
    assert_true(tn_match_at(producer(graph, "e"), whatever, 2, &match));
    /* A row without inputs says nothing of them; one input means no second. */
    static const tn_pattern open[] = {{"c", "Mul", .in = {NULL}}};
    assert_true(tn_match_at(producer(graph, "e"), open, 1, &match));
    static const tn_pattern single[] = {{"c", "Mul", .in = {"v"}}};
    assert_false(tn_match_at(producer(graph, "e"), single, 1, &match));
    tn_graph_free(graph);
}

static tn_status relu_to_tanh(tn_graph *graph, const tn_match *match)
{
    tn_node *old = tn_match_node(match, "r"), *node;
    TN_TRY(tn_graph_add_node(graph, tn_op_find(NULL, "Tanh"), old->name, &old->in[0], 1, NULL, 1,
                             old, &node));
    TN_TRY(tn_node_lower(node));
    TN_TRY(tn_node_infer(node));
    return tn_value_replace(old->out[0], node->out[0]);
}

static bool never(const tn_match *match)
{
    (void)match;
    return false;
}

static tn_status swap_in_place(tn_graph *graph, const tn_match *match)
{
    (void)graph;
    tn_node *node = tn_match_node(match, "m");
    tn_value *first = node->in[0], *second = node->in[1];
    TN_TRY(tn_node_set_input(node, 0, second));
    return tn_node_set_input(node, 1, first);
}

static void test_rules(void **state)
{
    (void)state;
    tn_graph *graph = make();
    static const tn_pattern relu[] = {{"r", "Relu", .in = {"x"}}};
    tn_rule rule = {.name = "relu",
                    .pattern = relu,
                    .pattern_count = 1,
                    .holds = never,
                    .replace = relu_to_tanh};
    int64_t applied;
    assert_null(tn_rule_apply(graph, &rule, &applied));
    assert_int_equal(applied, 0);
    rule.holds = NULL;
    assert_null(tn_rule_apply(graph, &rule, &applied));
    assert_int_equal(applied, 1);
    assert_string_equal(producer(graph, "d")->in[0]->producer->op->name, "Tanh");
    assert_null(tn_graph_verify(graph));
    /* A rule that feeds itself is stopped. */
    static const tn_pattern mul[] = {{"m", "Mul", .in = {"a", "b"}}};
    tn_rule endless = {
        .name = "endless", .pattern = mul, .pattern_count = 1, .replace = swap_in_place};
    tn_status status = tn_rule_apply(graph, &endless, &applied);
    assert_int_equal(tn_status_code(status), TN_INTERNAL);
    tn_graph_free(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trees),
        cmocka_unit_test(test_leaves),
        cmocka_unit_test(test_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
