/* Gradients: each rule against central differences in f64, then the errors. Whole networks are in
 * test_gradient_networks.c. */
#include "engine_help.h"

#include <math.h>
#include <stdlib.h>

#include "gradient_help.h"
#include "ir/draft.h"
#include "passes/gradient.h"

/* The loss is the sum of %y times random weights. Every f64 input is differentiated. */
typedef struct rule_case {
    const char *lines;
    const char *sizes; /* of symbols: "n=3 m=1"; 2 where nothing is said */
    double lo, hi;     /* of floats; 0, 0: [-1, 1] */
} rule_case;

#define UNARY(name)                                                                                \
    {                                                                                              \
        "input %x : f64[n,3]\n %y = " name "(%x)\n", "n=4", 0, 0                                   \
    }
#define UNARY_ON(name, lo, hi)                                                                     \
    {                                                                                              \
        "input %x : f64[n,3]\n %y = " name "(%x)\n", "n=4", lo, hi                                 \
    }
#define BINARY(name)                                                                               \
    {"input %a : f64[n,3]\n input %b : f64[n,3]\n %y = " name "(%a, %b)\n", "n=2", 0.5, 2},        \
        {"input %a : f64[n,1,3]\n input %b : f64[4,m]\n %y = " name "(%a, %b)\n", "n=2 m=1", 0.5,  \
         2},                                                                                       \
    {                                                                                              \
        "input %a : f64\n input %b : f64[n,m]\n %y = " name "(%a, %b)\n", "n=2 m=3", 0.5, 2        \
    }
#define REDUCE(name)                                                                               \
    {"input %x : f64[n,3,2]\n %y = " name "(%x)\n", "n=3", 0.5, 2},                                \
        {"input %x : f64[n,3,2]\n const %axes : i64[2]={0,-1}\n %y = " name "(%x, %axes)\n",       \
         "n=3", 0.5, 2},                                                                           \
    {                                                                                              \
        "input %x : f64[n,3,2]\n const %axes : i64[1]={1}\n %y = " name                            \
        "{keepdims=0}(%x, %axes)\n",                                                               \
            "n=3", 0.5, 2                                                                          \
    }

static const rule_case element_wise[] = {
    UNARY("Abs"),
    UNARY("Neg"),
    UNARY_ON("Sqrt", 0.2, 2),
    UNARY_ON("Reciprocal", 0.2, 2),
    UNARY("Exp"),
    UNARY_ON("Log", 0.2, 2),
    UNARY("Sin"),
    UNARY("Cos"),
    UNARY("Tan"),
    UNARY_ON("Asin", -0.9, 0.9),
    UNARY_ON("Acos", -0.9, 0.9),
    UNARY("Atan"),
    UNARY("Sinh"),
    UNARY("Cosh"),
    UNARY("Tanh"),
    UNARY("Asinh"),
    UNARY_ON("Acosh", 1.2, 3),
    UNARY_ON("Atanh", -0.9, 0.9),
    UNARY("Erf"),
    UNARY("Relu"),
    UNARY_ON("Sigmoid", -3, 3),
    UNARY_ON("Softplus", -3, 3),
    UNARY("Softsign"),
    UNARY("LeakyRelu{alpha=0.25}"),
    UNARY("Elu{alpha=1.5}"),
    UNARY_ON("Selu", -3, 3),
    UNARY_ON("Celu{alpha=0.5}", -3, 3),
    UNARY_ON("HardSigmoid", -5, 5),
    UNARY_ON("HardSwish", -5, 5),
    UNARY("ThresholdedRelu{alpha=0.25}"),
    UNARY("Shrink{lambd=0.5}"),
    UNARY_ON("Gelu", -3, 3),
    UNARY_ON("Gelu{approximate=\"tanh\"}", -3, 3),
    UNARY_ON("Mish", -3, 3),
    UNARY_ON("Swish{alpha=1.5}", -3, 3),
    UNARY("Identity"),
    UNARY("Dropout"),
    BINARY("Add"),
    BINARY("Sub"),
    BINARY("Mul"),
    BINARY("Div"),
    BINARY("Pow"),
    BINARY("Sum"),
    BINARY("Mean"),
    BINARY("Max"),
    BINARY("Min"),
    {"input %x : f64[n,3]\n const %e : i64={3}\n %y = Pow(%x, %e)\n", "n=4", 0.5, 2},
    {"input %x : f64[n,3]\n const %e : f64={2}\n %y = Pow(%x, %e)\n", "n=4", 0, 0},
    {"input %x : f64[2,3,n]\n input %s : f64[3,1]\n %y = PRelu(%x, %s)\n", "n=4", -1, 1},
    {"input %a : f64[n]\n input %b : f64[3,n]\n input %c : f64[n]\n %y = Sum(%a, %b, %c)\n", "n=2",
     0, 0},
    {"input %x : f64[n,3]\n const %l : f64={-0.5}\n const %h : f64={0.25}\n"
     "%y = Clip(%x, %l, %h)\n",
     "n=5", 0, 0},
    {"input %x : f64[n,3]\n input %h : f64\n %y = Clip(%x, _, %h)\n", "n=5", 0, 0},
    {"input %c : bool[n,1]\n input %a : f64[n,3]\n input %b : f64[3]\n %y = Where(%c, %a, %b)\n",
     "n=5", 0, 0},
    {"input %x : f64[n,3]\n %f = Floor(%x)\n %y = Mul(%f, %x)\n", "n=4", -3, 3},
    /* One value read twice, and one input under two names. */
    {"input %x : f64[n,3]\n %a = Exp(%x)\n %b = Mul(%a, %a)\n %y = Sub(%b, %x)\n", "n=2", 0, 0},
};

static const rule_case reductions[] = {
    REDUCE("ReduceSum"),
    REDUCE("ReduceMean"),
    REDUCE("ReduceMax"),
    REDUCE("ReduceMin"),
    REDUCE("ReduceL1"),
    REDUCE("ReduceL2"),
    REDUCE("ReduceLogSum"),
    REDUCE("ReduceLogSumExp"),
    REDUCE("ReduceSumSquare"),
    {"input %x : f64[n,3]\n const %axes : i64[0]={}\n"
     "%y = ReduceSum{noop_with_empty_axes=1}(%x, %axes)\n",
     "n=2", 0, 0},
    {"input %x : f64[n,5]\n %y = Softmax(%x)\n", "n=3", 0, 0},
    {"input %x : f64[2,n,3]\n %y = Softmax{axis=1}(%x)\n", "n=3", 0, 0},
    {"input %x : f64[n,5]\n %y = LogSoftmax{axis=0}(%x)\n", "n=3", 0, 0},
    {"input %x : f64[n,3,4]\n input %s : f64[4]\n input %b : f64[4]\n"
     "%y = LayerNormalization(%x, %s, %b)\n",
     "n=2", 0, 0},
    {"input %x : f64[n,3,4]\n input %s : f64[3,4]\n %y = LayerNormalization{axis=1}(%x, %s)\n",
     "n=2", 0, 0},
    {"input %x : f64[n,4]\n input %s : f64[4]\n %y = RMSNormalization(%x, %s)\n", "n=2", 0, 0},
    {"input %x : f64[n,3,2]\n input %s : f64[3]\n input %b : f64[3]\n input %m : f64[3]\n"
     "input %v : f64[3]\n %y = BatchNormalization(%x, %s, %b, %m, %v)\n",
     "n=3", 0.5, 2},
    {"input %x : f64[n,3,2]\n input %s : f64[3]\n input %b : f64[3]\n const %m : f64[3]={0,0,0}\n"
     "const %v : f64[3]={1,1,1}\n %y = BatchNormalization{training_mode=1}(%x, %s, %b, %m, %v)\n",
     "n=3", 0.5, 2},
};

static const rule_case movers[] = {
    {"input %x : f64[n,6]\n const %s : i64[3]={0,-1,3}\n %y = Reshape(%x, %s)\n", "n=3", 0, 0},
    {"input %x : f64[n,3,2]\n %y = Flatten(%x)\n", "n=3", 0, 0},
    {"input %x : f64[n,1,2]\n const %a : i64[1]={1}\n %y = Squeeze(%x, %a)\n", "n=3", 0, 0},
    {"input %x : f64[n,2]\n const %a : i64[2]={0,-1}\n %y = Unsqueeze(%x, %a)\n", "n=3", 0, 0},
    {"input %x : f64[n,2,3]\n %y = Transpose{perm=[2,0,1]}(%x)\n", "n=4", 0, 0},
    {"input %x : f64[n,2]\n %y = Transpose(%x)\n", "n=4", 0, 0},
    {"input %x : f64[n,6]\n const %s : i64[1]={1}\n const %e : i64[1]={-1}\n"
     "const %a : i64[1]={1}\n const %t : i64[1]={2}\n %y = Slice(%x, %s, %e, %a, %t)\n",
     "n=3", 0, 0},
    {"input %x : f64[n,6]\n const %s : i64[2]={-1,4}\n const %e : i64[2]={-9,0}\n"
     "const %a : i64[2]={0,1}\n const %t : i64[2]={-1,-3}\n %y = Slice(%x, %s, %e, %a, %t)\n",
     "n=3", 0, 0},
    {"input %a : f64[2,n]\n input %b : f64[2,m]\n input %c : f64[2,1]\n"
     "%y = Concat{axis=-1}(%a, %b, %c)\n",
     "n=3 m=2", 0, 0},
    {"input %x : f64[6,n]\n %a, %b, %c = Split{num_outputs=3}(%x)\n %y = Mul(%a, %c)\n", "n=3", 0,
     0},
    {"input %x : f64[n,5]\n const %s : i64[2]={2,3}\n %a, %b = Split{axis=1}(%x, %s)\n"
     "%y = Exp(%b)\n",
     "n=3", 0, 0},
    {"input %x : f64[n,1]\n const %s : i64[3]={2,1,4}\n %y = Expand(%x, %s)\n", "n=3", 0, 0},
    {"input %x : f64[n,2]\n const %r : i64[2]={2,3}\n %y = Tile(%x, %r)\n", "n=3", 0, 0},
    {"input %x : f64[n,2]\n const %p : i64[4]={1,0,-1,2}\n %y = Pad(%x, %p)\n", "n=3", 0, 0},
    {"input %x : f64[n,4]\n input %i : i64[2,3]\n %y = Gather{axis=1}(%x, %i)\n", "n=3", 0, 0},
    {"input %x : f64[3,n]\n const %i : i64={-1}\n %y = Gather(%x, %i)\n", "n=3", 0, 0},
    {"input %x : f64[3,n]\n input %i : i64[2,n]\n %y = GatherElements(%x, %i)\n", "n=3", 0, 0},
    {"input %x : f64[3,2,n]\n input %i : i64[4,2]\n %y = GatherND(%x, %i)\n", "n=3", 0, 0},
    {"input %x : f64[n,3]\n %h = Cast{to=11}(%x)\n %y = Exp(%h)\n", "n=2", 0, 0},
};

static const rule_case products[] = {
    {"input %a : f64[n,3]\n input %b : f64[3,4]\n %y = MatMul(%a, %b)\n", "n=2", 0, 0},
    {"input %a : f64[n,m,3]\n input %b : f64[3,4]\n %y = MatMul(%a, %b)\n", "n=2 m=3", 0, 0},
    {"input %a : f64[n,1,2,3]\n input %b : f64[m,3,2]\n %y = MatMul(%a, %b)\n", "n=2 m=3", 0, 0},
    {"input %a : f64[2,3]\n input %b : f64[n,3,2]\n %y = MatMul(%a, %b)\n", "n=2", 0, 0},
    {"input %a : f64[3]\n input %b : f64[n,3,2]\n %y = MatMul(%a, %b)\n", "n=2", 0, 0},
    {"input %a : f64[n,2,3]\n input %b : f64[3]\n %y = MatMul(%a, %b)\n", "n=2", 0, 0},
    {"input %a : f64[n]\n input %b : f64[n]\n %y = MatMul(%a, %b)\n", "n=3", 0, 0},
    {"input %a : f64[n,3]\n input %b : f64[3,4]\n input %c : f64[4]\n %y = Gemm(%a, %b, %c)\n",
     "n=2", 0, 0},
    {"input %a : f64[3,n]\n input %b : f64[3,4]\n input %c : f64[n,1]\n"
     "%y = Gemm{transA=1, alpha=0.5, beta=2.0}(%a, %b, %c)\n",
     "n=2", 0, 0},
    {"input %a : f64[n,3]\n input %b : f64[4,3]\n %y = Gemm{transB=1, alpha=2.0}(%a, %b)\n", "n=2",
     0, 0},
    {"input %a : f64[3,n]\n input %b : f64[4,3]\n input %c : f64\n"
     "%y = Gemm{transA=1, transB=1}(%a, %b, %c)\n",
     "n=2", 0, 0},
    {"input %x : f64[n,2,5]\n input %w : f64[3,2,2]\n input %b : f64[3]\n %y = Conv(%x, %w, %b)\n",
     "n=2", 0, 0},
    {"input %x : f64[n,2,m,5]\n input %w : f64[3,2,2,3]\n %y = Conv{pads=[1,0,1,1]}(%x, %w)\n",
     "n=2 m=4", 0, 0},
    {"input %x : f64[n,4,7,6]\n input %w : f64[4,2,3,2]\n input %b : f64[4]\n"
     "%y = Conv{strides=[2,3], pads=[1,1,0,1], dilations=[2,1], group=2}(%x, %w, %b)\n",
     "n=2", 0, 0},
    {"input %x : f64[n,2,6]\n input %w : f64[3,2,3]\n"
     "%y = Conv{auto_pad=\"SAME_UPPER\", strides=[2]}(%x, %w)\n",
     "n=2", 0, 0},
    {"input %x : f64[n,2,3,4]\n input %w : f64[2,3,2,2]\n input %b : f64[3]\n"
     "%y = ConvTranspose{strides=[2,1], pads=[1,0,0,1], output_padding=[1,0]}(%x, %w, %b)\n",
     "n=2", 0, 0},
    {"input %x : f64[n,4,3]\n input %w : f64[4,1,2]\n %y = ConvTranspose{group=2}(%x, %w)\n", "n=2",
     0, 0},
    {"input %x : f64[n,2,6,5]\n %y = MaxPool{kernel_shape=[2,2], strides=[2,1]}(%x)\n", "n=2", 0,
     0},
    {"input %x : f64[n,2,7]\n %y = MaxPool{kernel_shape=[3], strides=[2], pads=[1,1]}(%x)\n", "n=2",
     0, 0},
    {"input %x : f64[n,2,6,5]\n"
     "%y = AveragePool{kernel_shape=[2,3], strides=[2,1], pads=[0,1,0,1]}(%x)\n",
     "n=2", 0, 0},
    {"input %x : f64[n,2,5]\n"
     "%y = AveragePool{kernel_shape=[2], pads=[1,0], count_include_pad=1, ceil_mode=1}(%x)\n",
     "n=2", 0, 0},
    {"input %x : f64[n,2,m,3]\n %y = GlobalAveragePool(%x)\n", "n=2 m=4", 0, 0},
};

static const rule_case losses[] = {
    {"input %x : f64[n,2]\n input %t : i64[n]\n %y = SoftmaxCrossEntropyLoss(%x, %t)\n", "n=4", 0,
     0},
    {"input %x : f64[n,2,3]\n input %t : i64[n,3]\n const %w : f64[2]={0.5,2}\n"
     "%y = SoftmaxCrossEntropyLoss{reduction=\"none\"}(%x, %t, %w)\n",
     "n=4", 0, 0},
    {"input %x : f64[n,2]\n input %t : i64[n]\n const %w : f64[2]={0.5,2}\n"
     "%y = SoftmaxCrossEntropyLoss{reduction=\"sum\", ignore_index=1}(%x, %t, %w)\n",
     "n=4", 0, 0},
    {"input %x : f64[n,2]\n input %t : i64[n]\n"
     "%l, %p = SoftmaxCrossEntropyLoss(%x, %t)\n %y = Mul(%l, %p)\n",
     "n=4", 0, 0},
    {"input %x : f64[n,2]\n input %t : i64[n]\n %p = LogSoftmax(%x)\n"
     "%y = NegativeLogLikelihoodLoss(%p, %t)\n",
     "n=4", 0, 0},
    {"input %x : f64[n,3]\n input %t : f64[n,3]\n %d = Sub(%x, %t)\n %s = Mul(%d, %d)\n"
     "%y = ReduceMean{keepdims=0}(%s)\n",
     "n=4", 0, 0},
};

static const rule_case recurrent[] = {
    {"input %x : f64[t,n,2]\n input %w : f64[1,3,2]\n input %r : f64[1,3,3]\n input %b : f64[1,6]\n"
     "%y, %h = RNN(%x, %w, %r, %b)\n",
     "t=4 n=2", 0, 0},
    {"input %x : f64[t,n,2]\n input %w : f64[2,3,2]\n input %r : f64[2,3,3]\n"
     "input %h0 : f64[2,n,3]\n %s, %y = RNN{direction=\"bidirectional\", "
     "activations=[\"Softsign\",\"Elu\"]}"
     "(%x, %w, %r, _, _, %h0)\n",
     "t=3 n=2", 0, 0},
    {"input %x : f64[t,n,2]\n input %w : f64[2,9,2]\n input %r : f64[2,9,3]\n"
     "input %b : f64[2,18]\n input %h0 : f64[2,n,3]\n"
     "%y, %h = GRU{direction=\"bidirectional\", linear_before_reset=1}(%x, %w, %r, %b, _, %h0)\n",
     "t=3 n=2", 0, 0},
    {"input %x : f64[t,n,2]\n input %w : f64[1,9,2]\n input %r : f64[1,9,3]\n"
     "input %b : f64[1,18]\n %s, %y = GRU{direction=\"reverse\"}(%x, %w, %r, %b)\n",
     "t=3 n=2", 0, 0},
    {"input %x : f64[t,n,2]\n input %w : f64[2,12,2]\n input %r : f64[2,12,3]\n"
     "input %b : f64[2,24]\n %y, %h, %c = LSTM{direction=\"bidirectional\"}(%x, %w, %r, %b)\n",
     "t=3 n=2", 0, 0},
    {"input %x : f64[n,t,2]\n input %w : f64[1,12,2]\n input %r : f64[1,12,3]\n"
     "input %b : f64[1,24]\n input %h0 : f64[n,1,3]\n input %c0 : f64[n,1,3]\n"
     "input %p : f64[1,9]\n"
     "%s, %h, %c = LSTM{layout=1}(%x, %w, %r, %b, _, %h0, %c0, %p)\n"
     "const %a : i64[1]={1}\n %u = Squeeze(%h, %a)\n %v = Squeeze(%c, %a)\n %y = Mul(%u, %v)\n",
     "t=3 n=2", 0, 0},
    {"input %x : f64[t,2,2]\n input %w : f64[2,12,2]\n input %r : f64[2,12,3]\n"
     "const %l : i32[2]={1,3}\n"
     "%y, %h, %c = LSTM{direction=\"bidirectional\", input_forget=1, clip=0.75}(%x, %w, %r, _, "
     "%l)\n",
     "t=3", 0, 0},
};

static void check_all(const rule_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char text[2048];
        snprintf(text, sizeof(text), "graph \"g\" {\n%s output \"y\" = %%y\n}\n", cases[i].lines);
        tn_graph *graph = parse_graph(text);
        training t = {.sizes = cases[i].sizes, .lo = cases[i].lo, .hi = cases[i].hi};
        if (t.lo == t.hi) t.lo = -1, t.hi = 1;
        tn_draft d = {.graph = graph};
        tn_value *y = graph->output[0].value;
        tn_value *weights = tn_draft_input(&d, "_weights", y->type);
        tn_value *loss = tn_draft_formula(&d, "loss", "ReduceSum(y * w)", y->type.dtype,
                                          (tn_named[]){{"y", y, 0}, {"w", weights, 0}}, 2);
        loss = tn_draft_reshape(&d, NULL, loss, NULL, 0);
        assert_ok(tn_draft_end(&d));
        training_open(&t, graph, loss, text);
        training_check(&t, text, 1e-6);
        training_close(&t);
    }
}

#define TEST(name)                                                                                 \
    static void test_##name(void **unused)                                                         \
    {                                                                                              \
        (void)unused;                                                                              \
        check_all(name, TN_COUNT(name));                                                           \
    }
TEST(element_wise)
TEST(reductions)
TEST(movers)
TEST(products)
TEST(losses)
TEST(recurrent)

/* ---- Errors and edges ------------------------------------------------------------------------*/

static tn_value *find(tn_graph *graph, const char *name)
{
    for (int64_t i = 0; i < graph->input_count; i++)
        if (!strcmp(graph->input[i]->name, name)) return graph->input[i];
    fail_msg("no input %s", name);
    return NULL;
}

static void operators_without_a_rule_are_named_at_once(void **unused)
{
    (void)unused;
    tn_graph *graph = parse_graph("graph \"g\" {\n input %x : f32[4]\n input %s : f32[4]\n"
                                  "const %k : i64={0}\n %a = CumSum(%x, %k)  \"running\"\n"
                                  "%b = ReduceProd{keepdims=0}(%a)  \"all\"\n"
                                  "output \"y\" = %b\n}\n");
    tn_value *gradient, *wrt = find(graph, "x");
    tn_status status = tn_graph_differentiate(graph, graph->output[0].value, &wrt, 1, &gradient);
    assert_non_null(status);
    assert_int_equal(tn_status_code(status), TN_UNSUPPORTED);
    assert_non_null(strstr(tn_status_message(status), "CumSum 'running'"));
    assert_non_null(strstr(tn_status_message(status), "ReduceProd 'all'"));
    /* Nothing on the way from s: zeros. */
    wrt = find(graph, "s");
    assert_ok(tn_graph_differentiate(graph, graph->output[0].value, &wrt, 1, &gradient));
    assert_int_equal(gradient->type.rank, 1);
    tn_graph_free(graph);
}

static void what_cannot_be_asked_is_refused(void **unused)
{
    (void)unused;
    tn_graph *graph = parse_graph("graph \"g\" {\n input %x : f32[4]\n input %i : i64[2]\n"
                                  "%a = Gather(%x, %i)\n %b = ReduceSum{keepdims=0}(%a)\n"
                                  "output \"a\" = %a\n output \"b\" = %b\n}\n");
    tn_value *gradient, *x = find(graph, "x"), *i = find(graph, "i");
    tn_value *vector = graph->output[0].value, *loss = graph->output[1].value;
    assert_fails(tn_graph_differentiate(graph, vector, &x, 1, &gradient), TN_INVALID,
                 "must be a single float");
    assert_fails(tn_graph_differentiate(graph, i, &x, 1, &gradient), TN_INVALID,
                 "must be a single float");
    assert_fails(tn_graph_differentiate(graph, loss, &i, 1, &gradient), TN_INVALID,
                 "only floats have gradients");
    assert_ok(tn_graph_differentiate(graph, loss, &x, 1, &gradient));
    assert_ok(tn_graph_verify(graph));
    /* The loss itself: 1. */
    assert_ok(tn_graph_differentiate(graph, loss, &loss, 1, &gradient));
    assert_true(tn_value_is_constant(gradient));
    tn_graph_free(graph);
}

static void a_rule_may_refuse(void **unused)
{
    (void)unused;
    tn_graph *graph = parse_graph("graph \"g\" {\n input %x : f32[4]\n const %p : i64[2]={1,1}\n"
                                  "%a = Pad{mode=\"reflect\"}(%x, %p)  \"mirror\"\n"
                                  "%b = ReduceSum{keepdims=0}(%a)\n output \"b\" = %b\n}\n");
    tn_value *gradient, *x = find(graph, "x");
    assert_fails(tn_graph_differentiate(graph, graph->output[0].value, &x, 1, &gradient),
                 TN_UNSUPPORTED, "only padding by a constant");
    tn_graph_free(graph);
}

/* A float that widens on the way gets a gradient of its own width. */
static void gradients_have_the_type_of_their_value(void **unused)
{
    (void)unused;
    tn_graph *graph = parse_graph("graph \"g\" {\n input %x : f32[4]\n %a = Cast{to=11}(%x)\n"
                                  "%b = ReduceSum{keepdims=0}(%a)\n output \"b\" = %b\n}\n");
    tn_value *gradient, *x = find(graph, "x");
    assert_ok(tn_graph_differentiate(graph, graph->output[0].value, &x, 1, &gradient));
    assert_int_equal(gradient->type.dtype, TN_DTYPE_F32);
    assert_true(tn_expr_equals(graph->exprs, gradient->type.dim[0], 4));
    tn_graph_free(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_element_wise),
        cmocka_unit_test(test_reductions),
        cmocka_unit_test(test_movers),
        cmocka_unit_test(test_products),
        cmocka_unit_test(test_losses),
        cmocka_unit_test(test_recurrent),
        cmocka_unit_test(operators_without_a_rule_are_named_at_once),
        cmocka_unit_test(what_cannot_be_asked_is_refused),
        cmocka_unit_test(a_rule_may_refuse),
        cmocka_unit_test(gradients_have_the_type_of_their_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
