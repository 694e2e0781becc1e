/* Where a block ends and the next one begins: what becomes one node, and what stays two. */
#include "engine_help.h"

#include <stdlib.h>

#include "ir/op.h"
#include "passes/fuse_conv_pair.h"

/* The first two become one, the wide result stays for the sum of the third; that one's has the
 * wrong reader first. */
static const char blocks[] =
    "graph \"blocks\" {\n"
    "  input %%x : f16[N,64,64,8]\n"
    "  input %%r : f16[N,64,64,64]\n"
    "  const %%w : f16[64,1,1,8]={%.*s}\n"
    "  const %%v : f16[8,1,1,64]={%.*s}\n"
    "  const %%k : f16[8,3,3,8]={%.*s}\n"
    "  %%m = tenon.ChannelsLastConv{activation=\"relu\"}(%%x, %%w, _, %%r) \"end\"\n"
    "  %%y = tenon.ChannelsLastConv{activation=\"clip\", beta=6.0, kernel_shape=[1,1]}(%%m, %%v) "
    "\"begin\"\n"
    "  %%t = tenon.ChannelsLastConv{pads=[1,1,1,1]}(%%y, %%k)\n"
    "  %%n = tenon.ChannelsLastConv(%%t, %%w, _, %%m)\n"
    "  %%s = Relu(%%n)\n"
    "  %%z = tenon.ChannelsLastConv(%%n, %%v)\n"
    "  output \"s\" = %%s\n"
    "  output \"z\" = %%z\n"
    "}\n";

/* With weights of zeros. */
static tn_graph *parse_blocks(void)
{
    enum { W = 64 * 8, K = 9 * 64 };
    static char zeros[2 * K + 1], text[2 * (2 * W + K) + sizeof blocks];
    for (int i = 0; i < K; i++) memcpy(zeros + 2 * i, "0,", 2);
    snprintf(text, sizeof text, blocks, 2 * W - 1, zeros, 2 * W - 1, zeros, 2 * K - 1, zeros);
    return parse_graph(text);
}

static const tn_node *find(const tn_graph *graph, const char *op)
{
    for (const tn_node *node = graph->first; node; node = node->next)
        if (!strcmp(node->op->name, op)) return node;
    return NULL;
}

/* At so many samples. */
static int64_t fuse(tn_graph *graph, int64_t samples)
{
    int64_t changed, count = graph->exprs->count;
    int64_t *values = calloc((size_t)count, sizeof *values);
    assert_non_null(values);
    for (int64_t i = 0; i < count; i++) values[i] = TN_EXPR_UNKNOWN;
    values[graph->input[0]->type.dim[0]] = samples;
    assert_ok(tn_exprs_evaluate(graph->exprs, values));
    assert_ok(tn_fuse_conv_pairs(graph, values, count, &changed));
    free(values);
    return changed;
}

static void test_fuses(void **state)
{
    (void)state;
    tn_graph *graph = parse_blocks();
    assert_int_equal(fuse(graph, 4), 1);
    const tn_node *pair = find(graph, "ConvPair");
    assert_non_null(pair);
    assert_string_equal(pair->out[0]->name, "y");
    assert_int_equal(pair->out_count, 2);
    assert_int_equal(pair->out[0]->type.dim[3], graph->input[0]->type.dim[3]);
    assert_ptr_equal(pair->out[1], find(graph, "Relu")->in[0]->producer->in[3]);
    assert_string_equal(tn_node_find_attr(pair, "activation")->text.text, "relu");
    assert_string_equal(tn_node_find_attr(pair, "then_activation")->text.text, "clip");
    assert_true(tn_node_float_attr(pair, "then_beta", 0) == 6);
    assert_int_equal(graph->node_count, 5);
    tn_graph_free(graph);
}

static void test_leaves_few_pixels(void **state)
{
    (void)state;
    tn_graph *graph = parse_blocks();
    assert_int_equal(fuse(graph, 3), 0);
    assert_int_equal(fuse(graph, TN_EXPR_UNKNOWN), 0);
    assert_int_equal(graph->node_count, 6);
    tn_graph_free(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fuses),
        cmocka_unit_test(test_leaves_few_pixels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
