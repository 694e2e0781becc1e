/* Graphs written down node by node. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ir/draft.h"

static tn_graph *graph;

static int setup(void **state)
{
    (void)state;
    assert_null(tn_graph_new("drawn", &graph));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tn_graph_free(graph);
    return 0;
}

static tn_value *input(tn_draft *d, int64_t rows, int64_t columns)
{
    tn_expr dim[] = {tn_expr_const(graph->exprs, rows), tn_expr_const(graph->exprs, columns)};
    return tn_draft_input(d, "x", tn_type_of(TN_DTYPE_F32, 2, dim));
}

static void infers_as_it_goes(void **state)
{
    (void)state;
    tn_draft d = {.graph = graph};
    tn_value *x = input(&d, 2, 6), *two[2];
    tn_value *y = tn_draft_reshape(&d, "cut", x, (int64_t[]){2, 3, 2}, 3);
    assert_int_equal(y->type.rank, 3);
    y = tn_draft_transpose(&d, NULL, y, (int64_t[]){2, 0, 1}, 3);
    assert_true(tn_expr_equals(graph->exprs, y->type.dim[2], 3));
    tn_draft_ops(&d, "Split", "halves", TN_IN(y),
                 TN_WITH(tn_attr_int("axis", 0), tn_attr_int("num_outputs", 2)), two, 2);
    y = tn_draft_squeeze(&d, NULL, two[1], 0);
    y = tn_draft_op(&d, "LeakyRelu", "act", TN_IN(y), TN_WITH(tn_attr_float("alpha", 0.5)));
    y = tn_draft_op(&d, "Clip", "act", TN_IN(y, NULL, tn_draft_scalar(&d, TN_DTYPE_F32, 1)),
                    TN_PLAIN);
    y = tn_draft_unsqueeze(&d, NULL, tn_draft_slice(&d, NULL, y, 1, 1, 3), 0);
    tn_draft_output(&d, "y", y);
    assert_null(tn_draft_end(&d));
    assert_null(tn_graph_verify(graph));
    char text[100];
    assert_string_equal(tn_type_text(graph->exprs, &y->type, text, sizeof(text)), "f32[1,2,2]");
}

/* The first failure is told, with its node; what follows does nothing. */
static void keeps_the_first_failure(void **state)
{
    (void)state;
    tn_draft d = {.graph = graph};
    tn_value *x = input(&d, 2, 6);
    tn_value *y = tn_draft_op(&d, "MatMul", "fc", TN_IN(x, x), TN_PLAIN);
    int64_t nodes = graph->node_count;
    assert_null(y);
    assert_null(tn_draft_op(&d, "Relu", "act", TN_IN(y), TN_PLAIN));
    tn_draft_output(&d, "y", y);
    assert_int_equal(graph->node_count, nodes);
    tn_status status = tn_draft_end(&d);
    assert_non_null(status);
    assert_non_null(strstr(tn_status_message(status), "MatMul 'fc'"));
    assert_null(tn_draft_end(&d));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(infers_as_it_goes, setup, teardown),
        cmocka_unit_test_setup_teardown(keeps_the_first_failure, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
