/* Element-wise operators beyond their cases: values as expressions, shapes of reductions and
 * friends, old meanings rewritten, strings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "ir/graph.h"
#include "ir/op.h"
#include "ops/reference.h"

/* The inputs that all graphs here have; the body defines %y. */
static tn_status parse(const char *body, tn_graph **out)
{
    char text[4096];
    int bytes = snprintf(text, sizeof text,
                         "graph \"t\" {\n input %%x : f32[b,s,768]\n input %%k : i64[2]\n"
                         " %%n = Shape{start=0, end=1}(%%x)\n %%m = Shape{start=1, end=2}(%%x)\n"
                         " const %%two : i64[1]={2}\n const %%zero : i64[1]={0}\n %s\n}\n",
                         body);
    assert_true(bytes > 0 && bytes < (int)sizeof text);
    return tn_graph_parse(text, (size_t)bytes, NULL, 0, out);
}

static tn_graph *good(const char *body)
{
    tn_graph *graph = NULL;
    tn_status status = parse(body, &graph);
    if (status) fail_msg("%s: %s", body, status->message);
    return graph;
}

/* %y's values as text, or "-" where none are known. */
static void knows(const char *body, const char *want)
{
    tn_graph *graph = good(body);
    const tn_value *y = tn_map_find(&graph->names, "y");
    tn_text text = {0};
    assert_non_null(y);
    if (!y->known.at) tn_text_printf(&text, "-");
    for (int64_t i = 0; y->known.at && i < y->known.count; i++) {
        if (i) tn_text_printf(&text, " ");
        tn_expr_print(graph->exprs, y->known.at[i], &text);
    }
    if (strcmp(text.at, want) != 0) fail_msg("%s: \"%s\", not \"%s\"", body, text.at, want);
    tn_text_fini(&text);
    tn_graph_free(graph);
}

static void gives(const char *body, const char *want)
{
    char text[200];
    tn_graph *graph = good(body);
    const tn_value *y = tn_map_find(&graph->names, "y");
    assert_non_null(y);
    tn_type_text(graph->exprs, &y->type, text, sizeof text);
    if (strcmp(text, want) != 0) fail_msg("%s: \"%s\", not \"%s\"", body, text, want);
    tn_graph_free(graph);
}

static void says(const char *body, const char *part)
{
    tn_graph *graph = NULL;
    tn_status status = parse(body, &graph);
    if (!status) fail_msg("%s: no error", body);
    if (!strstr(status->message, part))
        fail_msg("\"%s\" does not say \"%s\"", status->message, part);
}

static void test_known_integers(void **state)
{
    (void)state;
    knows("%y = Add(%n, %two)", "b+2");
    knows("%y = Mul(%n, %m)", "b*s");
    knows("%t = Mul(%n, %two)\n %y = Div(%t, %two)", "b");
    knows("%y = Div(%n, %two)", "b/2");
    knows("%y = Mod(%n, %two)", "b%2");
    knows("%y = Div(%n, %zero)", "?");
    knows("%y = Min(%n, %m)", "min(b,s)");
    knows("const %l : i64[2]={7,-7}\n %y = Div(%l, %two)", "3 -3");
    knows("const %l : i64[2]={7,-7}\n %y = Mul(%l, %n)", "7*b -7*b");
    knows("%c = Equal(%n, %n)\n %y = Where(%c, %m, %two)", "s");
    knows("%c = Equal(%n, %zero)\n %y = Not(%c)", "eq(eq(b,0),0)");
    knows("%t = Concat{axis=0}(%n, %m)\n %y = ReduceProd{keepdims=0}(%t)", "b*s");
    knows("%t = Cast{to=6}(%n)\n %y = Cast{to=7}(%t)", "b");
    knows("const %l : i32[1]={2147483647}\n %y = Add(%l, %l)", "?");
    knows("%y = Add(%k, %two)", "-");
}

/* Sizes on their way through floats; graph texts give types by number: 1 f32, 7 i64. */
static void test_known_floats(void **state)
{
    (void)state;
    knows("const %h : f32[1]={2}\n %t = Cast{to=1}(%m)\n %u = Mul(%t, %h)\n %f = Floor(%u)\n"
          "%y = Cast{to=7}(%f)",
          "2*s");
    knows("const %h : f32[1]={0.5}\n %t = Cast{to=1}(%m)\n %u = Mul(%t, %h)\n %y = Floor(%u)", "?");
    knows("%t = Cast{to=1}(%n)\n %u = Div(%t, %t)\n %y = Ceil(%u)", "?");
    knows("const %h : f32[1]={4}\n %t = Cast{to=1}(%n)\n %u = Mul(%t, %h)\n %y = Div(%u, %h)", "b");
    knows("const %h : f32[1]={512}\n %t = Cast{to=1}(%m)\n %y = Min(%t, %h)", "min(s,512)");
    knows("%t = Cast{to=10}(%m)\n %y = Cast{to=7}(%t)", "-");
}

static void test_shapes(void **state)
{
    (void)state;
    gives("const %a : i64[1]={-1}\n %y = ReduceSum{keepdims=0}(%x, %a)", "f32[b,s]");
    gives("const %a : i64[2]={0,2}\n %y = ReduceMax(%x, %a)", "f32[1,s,1]");
    gives("%y = ReduceMean{keepdims=0}(%x)", "f32");
    gives("%y = ReduceMean{noop_with_empty_axes=1}(%x)", "f32[b,s,768]");
    gives("input %a : i64[1]\n %y = ReduceMin(%x, %a)",
          "f32[$reducemin.0,$reducemin.1,$reducemin.2]");
    gives("%y = ArgMax{axis=1, keepdims=0}(%x)", "i64[b,768]");
    gives("const %d : i64={10}\n const %v : f32[2]={0,1}\n %y = OneHot(%k, %d, %v)", "f32[2,10]");
    gives("%y = Einsum{equation=\"bsd,btd->bst\"}(%x, %x)", "f32[b,s,s]");
    gives("%y = IsNaN(%x)", "bool[b,s,768]");
    gives("input %c : bool[5,1,1,1]\n %y = Where(%c, %x, %x)", "f32[5,b,s,768]");
    says("const %a : i64[1]={3}\n %y = ReduceSum(%x, %a)", "axis 3 is outside [-3, 3)");
    says("%y = Einsum{equation=\"ij,jk->ik\"}(%x, %x)", "does not fit a tensor of rank 3");
    says("%y = Einsum{equation=\"ijk->il\"}(%x)", "one that no input has");
    says("%y = Trilu(%two)", "rank 1, at least 2");
    says("%y = BitCast{to=11}(%x)", "do not have the same number of bits");
}

/* ---- Old meanings
 * ---------------------------------------------------------------------------------*/

static tn_value *add_input(tn_graph *graph, const char *name, int rank, const int64_t *dim)
{
    tn_value *value;
    tn_type type = {.dtype = TN_DTYPE_F32, .rank = rank};
    for (int axis = 0; axis < rank; axis++) type.dim[axis] = tn_expr_const(graph->exprs, dim[axis]);
    assert_null(tn_graph_add_input(graph, name, type, &value));
    return value;
}

/* A node with one attribute, as the importer makes it for an old opset: upgraded and inferred. */
static tn_graph *upgrade(const char *op, tn_attr attr, int in_count, tn_node **node)
{
    tn_graph *graph;
    tn_value *in[2];
    assert_null(tn_graph_new("old", &graph));
    in[0] = add_input(graph, "a", 4, (int64_t[]){2, 3, 4, 5});
    in[1] = add_input(graph, "b", 2, (int64_t[]){3, 4});
    const tn_op *found = tn_op_find(NULL, op);
    assert_non_null(found);
    assert_null(tn_graph_add_node(graph, found, "n", in, in_count, NULL, 1, NULL, node));
    assert_null(tn_node_set_attr(*node, &attr));
    assert_null(tn_graph_add_output(graph, "y", (*node)->out[0]));
    assert_null(found->upgrade[0].run(graph, *node));
    tn_status status = tn_graph_infer(graph);
    if (status) fail_msg("%s: %s", op, status->message);
    assert_null(tn_graph_verify(graph));
    return graph;
}

static void assert_output(tn_graph *graph, const char *want)
{
    char text[200];
    tn_type_text(graph->exprs, &graph->output[0].value->type, text, sizeof text);
    assert_string_equal(text, want);
    tn_graph_free(graph);
}

static void test_upgrades(void **state)
{
    (void)state;
    tn_node *node;
    tn_graph *graph =
        upgrade("Add", (tn_attr){.name = "axis", .kind = TN_ATTR_INT, .i = 1}, 2, &node);
    assert_string_equal(node->in[1]->producer->op->name, "Unsqueeze");
    assert_output(graph, "f32[2,3,4,5]");

    int64_t axes[] = {1, -1};
    tn_attr list = {.name = "axes", .kind = TN_ATTR_INTS, .count = 2, .ints = axes};
    graph = upgrade("ReduceMean", list, 1, &node);
    assert_int_equal(node->in_count, 2);
    assert_output(graph, "f32[2,1,4,1]");

    graph = upgrade("Softmax", (tn_attr){.name = "axis", .kind = TN_ATTR_INT, .i = 2}, 1, &node);
    assert_string_equal(node->in[0]->producer->op->name, "Flatten");
    assert_string_equal(graph->output[0].value->producer->op->name, "Reshape");
    assert_output(graph, "f32[2,3,4,5]");

    graph = upgrade("Clip", (tn_attr){.name = "max", .kind = TN_ATTR_FLOAT, .f = 6}, 1, &node);
    assert_int_equal(node->in_count, 3);
    assert_null(node->in[1]);
    assert_true(tn_load_f64(TN_DTYPE_F32, node->in[2]->constant.data, 0) == 6);
    assert_output(graph, "f32[2,3,4,5]");

    tn_attr to = {.name = "to", .kind = TN_ATTR_TEXT, .text = {"DOUBLE", 6}};
    assert_output(upgrade("Cast", to, 1, &node), "f64[2,3,4,5]");
}

/* ---- What a run refuses
 * ---------------------------------------------------------------------------*/

static void refuses(const char *problem, const char *part)
{
    tn_arena arena;
    tn_problem p;
    tn_arena_init(&arena);
    tn_status status = tn_problem_parse(problem, &arena, &p);
    if (!status) status = tn_problem_run_reference(&p, &arena);
    if (!status) fail_msg("%s: no error", problem);
    if (!strstr(status->message, part))
        fail_msg("\"%s\" does not say \"%s\"", status->message, part);
    tn_arena_fini(&arena);
}

static void test_refusals(void **state)
{
    (void)state;
    refuses("Cast{to=f32} string[1]={\"Hello\"}", "\"Hello\" cannot be read as a number");
    refuses("Cast{to=i64} string[1]={\"\"}", "cannot be read");
    refuses("NegativeLogLikelihoodLoss f32[1,2]={1,2} i64[1]={2}", "label 2 is outside [0, 2)");
    refuses("CumSum f32[2]={1,2} i64={1}", "axis 1 is outside [-1, 1)");
    refuses("Einsum{equation=\"i,i\"} f32[2]={1,2} f32[3]={1,2,3}", "2");
    refuses("Clip f32[2]={1,2} f32[2]={1,2}", "must be a scalar");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_integers), cmocka_unit_test(test_known_floats),
        cmocka_unit_test(test_shapes),         cmocka_unit_test(test_upgrades),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
