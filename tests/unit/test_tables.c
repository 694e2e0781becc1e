/* Attributes that become constant inputs at import: trees in the older form, labels, n-grams. The
 * values expected are worked by hand. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ir/graph.h"
#include "ir/op.h"
#include "ops/reference.h"

static void good(tn_status status)
{
    char text[4096];
    if (!status) return;
    tn_status_text(status, true, text, sizeof text);
    fail_msg("%s", text);
}

/* A graph of one node that reads x. */
typedef struct single {
    tn_graph *graph;
    tn_node *node;
} single;

static single make(const char *domain, const char *name, tn_dtype dtype, int64_t rows,
                   int64_t columns, int outputs)
{
    single s;
    const tn_op *op = tn_op_find(domain, name);
    tn_value *x;
    assert_non_null(op);
    good(tn_graph_new("t", &s.graph));
    tn_expr dim[2] = {tn_expr_const(s.graph->exprs, rows), tn_expr_const(s.graph->exprs, columns)};
    good(tn_graph_add_input(s.graph, "x", tn_type_of(dtype, columns ? 2 : 1, dim), &x));
    good(tn_graph_add_node(s.graph, op, name, &x, 1, NULL, outputs, NULL, &s.node));
    return s;
}

#define INTS(s, attr, ...)                                                                         \
    do {                                                                                           \
        static const int64_t at_[] = {__VA_ARGS__};                                                \
        tn_attr attr_ = {.name = attr, .kind = TN_ATTR_INTS, .count = TN_COUNT(at_), .ints = at_}; \
        good(tn_node_set_attr((s)->node, &attr_));                                                 \
    } while (0)
#define FLOATS(s, attr, ...)                                                                       \
    do {                                                                                           \
        static const float at_[] = {__VA_ARGS__};                                                  \
        tn_attr attr_ = {                                                                          \
            .name = attr, .kind = TN_ATTR_FLOATS, .count = TN_COUNT(at_), .floats = at_};          \
        good(tn_node_set_attr((s)->node, &attr_));                                                 \
    } while (0)

static void set_texts(single *s, const char *attr, const char *const *word, int count)
{
    tn_string text[16];
    assert_true(count <= 16);
    for (int i = 0; i < count; i++) text[i] = (tn_string){word[i], strlen(word[i])};
    tn_attr full = {.name = attr, .kind = TN_ATTR_TEXTS, .count = count, .texts = text};
    good(tn_node_set_attr(s->node, &full));
}

/* All upgrades of the operator, as the importer runs them for version 1. */
static tn_status upgrade(single *s)
{
    for (int i = 0; i < TN_UPGRADES_MAX && s->node->op->upgrade[i].run; i++)
        TN_TRY(s->node->op->upgrade[i].run(s->graph, s->node));
    return NULL;
}

/* The node's outputs for x; memory of the arena. */
static tn_problem run(single *s, void *x, tn_arena *arena)
{
    tn_problem p;
    good(upgrade(s));
    good(tn_node_lower(s->node));
    good(tn_node_infer(s->node));
    int64_t count = s->graph->exprs->count, *values = TN_NEW_ARRAY(arena, int64_t, count);
    good(tn_exprs_evaluate(s->graph->exprs, values));
    good(tn_node_problem(s->node, values, arena, &p));
    p.in[0].data = x;
    good(tn_problem_run_reference(&p, arena));
    return p;
}

/* Tree 7: node 0 asks x0 <= 1, its true child 1 is a leaf; node 2 asks x1 > 5 over leaves 3 and 4.
 * Tree 3 is a leaf alone. Listed out of order. */
static void set_trees(single *s, const char *prefix)
{
    static const char *const modes[] = {"LEAF", "BRANCH_GT", "BRANCH_LEQ", "LEAF", "LEAF", "LEAF"};
    char name[4][32];
    const char *const ends[] = {"_treeids", "_nodeids", "_ids", "_weights"};
    for (int i = 0; i < 4; i++) strcat(strcpy(name[i], prefix), ends[i]);
    INTS(s, "nodes_treeids", 7, 7, 7, 7, 7, 3);
    INTS(s, "nodes_nodeids", 1, 2, 0, 3, 4, 0);
    INTS(s, "nodes_featureids", 0, 1, 0, 0, 0, 0);
    INTS(s, "nodes_truenodeids", 0, 3, 1, 0, 0, 0);
    INTS(s, "nodes_falsenodeids", 0, 4, 2, 0, 0, 0);
    INTS(s, "nodes_missing_value_tracks_true", 0, 0, 1, 0, 0, 0);
    FLOATS(s, "nodes_values", 0, 5, 1, 0, 0, 0);
    set_texts(s, "nodes_modes", modes, TN_COUNT(modes));
    INTS(s, name[0], 7, 7, 3, 7, 7);
    INTS(s, name[1], 4, 1, 0, 3, 4);
    INTS(s, name[2], 0, 0, 1, 0, 1);
    FLOATS(s, name[3], 30, 10, 100, 20, 31);
}

static void regressor_takes_its_leaves_from_among_the_nodes(void **state)
{
    (void)state;
    tn_arena arena;
    float x[] = {0, 0, 2, 6, 2, 5, NAN, 0};
    const float want[] = {10.5f, 100, 20.5f, 100, 30.5f, 131, 10.5f, 100};
    tn_arena_init(&arena);
    single s = make("ai.onnx.ml", "TreeEnsembleRegressor", TN_DTYPE_F32, 4, 2, 1);
    set_trees(&s, "target");
    FLOATS(&s, "base_values", 0.5f, 0);
    good(tn_node_set_int(s.node, "n_targets", 2));
    tn_problem p = run(&s, x, &arena);
    assert_int_equal(p.out[0].dim[1], 2);
    for (int i = 0; i < 8; i++) assert_float_equal(((float *)p.out[0].data)[i], want[i], 1e-5);
    tn_arena_fini(&arena);
    tn_graph_free(s.graph);
}

static void classifier_gives_labels(void **state)
{
    (void)state;
    static const char *const labels[] = {"low", "high", "never"};
    tn_arena arena;
    double x[] = {0, 0, 2, 6};
    tn_arena_init(&arena);
    single s = make("ai.onnx.ml", "TreeEnsembleClassifier", TN_DTYPE_F64, 2, 2, 2);
    set_trees(&s, "class");
    set_texts(&s, "classlabels_strings", labels, 3);
    tn_problem p = run(&s, x, &arena);
    const tn_string *y = p.out[0].data;
    for (int i = 0; i < 2; i++) assert_memory_equal(y[i].text, "high", 4);
    assert_float_equal(((float *)p.out[1].data)[3], 20, 1e-5);
    tn_arena_fini(&arena);
    tn_graph_free(s.graph);
}

static void bad_trees_are_refused(void **state)
{
    (void)state;
    static const char *const modes[] = {"BRANCH_LEQ", "LEAF"};
    char text[4096];
    single s = make("ai.onnx.ml", "TreeEnsembleRegressor", TN_DTYPE_F32, 1, 1, 1);
    INTS(&s, "nodes_treeids", 0, 0);
    INTS(&s, "nodes_nodeids", 0, 1);
    INTS(&s, "nodes_featureids", 0, 0);
    INTS(&s, "nodes_truenodeids", 1, 0);
    INTS(&s, "nodes_falsenodeids", 9, 0);
    FLOATS(&s, "nodes_values", 0, 0);
    set_texts(&s, "nodes_modes", modes, 2);
    tn_status status = upgrade(&s);
    assert_non_null(status);
    tn_status_text(status, false, text, sizeof text);
    assert_non_null(strstr(text, "node 0 of tree 0 has the child 9"));
    tn_graph_free(s.graph);
}

static void a_tree_that_never_ends_is_refused(void **state)
{
    (void)state;
    tn_arena arena;
    tn_problem p;
    tn_arena_init(&arena);
    good(tn_problem_parse(
        "TreeEnsemble f32[1,1]={0} i64[1,6]={0,0,0,0,0,0} f32[1]={1} i64[2]={0,1} i64[1]={0} "
        "f32[1]={1} i64[1]={0}",
        &arena, &p));
    assert_non_null(tn_problem_run_reference(&p, &arena));
    tn_arena_fini(&arena);
}

static void label_encoder_1_goes_both_ways(void **state)
{
    (void)state;
    static const char *const classes[] = {"a", "bb"};
    tn_arena arena;
    tn_string words[] = {{"bb", 2}, {"x", 1}, {"a", 1}};
    int64_t numbers[] = {1, 5};
    tn_arena_init(&arena);
    single s = make("ai.onnx.ml", "LabelEncoder", TN_DTYPE_STRING, 3, 0, 1);
    set_texts(&s, "classes_strings", classes, 2);
    tn_problem p = run(&s, words, &arena);
    const int64_t want[] = {1, -1, 0};
    assert_memory_equal(p.out[0].data, want, sizeof want);
    tn_graph_free(s.graph);
    s = make("ai.onnx.ml", "LabelEncoder", TN_DTYPE_I64, 2, 0, 1);
    set_texts(&s, "classes_strings", classes, 2);
    p = run(&s, numbers, &arena);
    const tn_string *y = p.out[0].data;
    assert_memory_equal(y[0].text, "bb", 2);
    assert_memory_equal(y[1].text, "_Unused", 7);
    tn_arena_fini(&arena);
    tn_graph_free(s.graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(regressor_takes_its_leaves_from_among_the_nodes),
        cmocka_unit_test(classifier_gives_labels),
        cmocka_unit_test(bad_trees_are_refused),
        cmocka_unit_test(a_tree_that_never_ends_is_refused),
        cmocka_unit_test(label_encoder_1_goes_both_ways),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
