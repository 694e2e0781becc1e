/* Operators of com.microsoft: which operators of ONNX they become at import, and that what cannot
 * be rewritten is refused in words. Their values are tested against ONNX Runtime's by the suite in
 * tests/contrib. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/text.h"
#include "import/import.h"
#include "onnx_writer.h"

#define F32 1

/* "x:1:2,3": a name, an element type, dims (those below 0 are "N"). */
static tn_writer input_info(const char *spec)
{
    char name[32];
    int dtype, used, rank = 0;
    int64_t dims[8];
    assert_int_equal(sscanf(spec, "%31[^:]:%d:%n", name, &dtype, &used), 2);
    for (char *at = (char *)(uintptr_t)(spec + used); *at; rank++) {
        dims[rank] = strtoll(at, &at, 10);
        if (*at == ',') at++;
    }
    return value_info(name, dtype, dims, rank);
}

static void put_attr(tn_writer *node, const char *name, int type, int64_t i, const char *text)
{
    tn_writer a = {0};
    put_text(&a, 1, name);
    if (text) put_text(&a, 4, text);
    else put_int(&a, 3, i);
    put_int(&a, 20, type);
    put_message(node, 5, &a);
}

/* A model of one node. `attr` is an integer attribute "name=5" or a text "name:word", or NULL. */
static tn_writer model_of(const char *op, const char *in, const char *attr,
                          const char *const *specs)
{
    tn_writer node = make_node("n", op, in, "y"), g = {0}, part, m, import = {0};
    char name[40];
    put_text(&node, 7, "com.microsoft");
    if (attr) {
        size_t bytes = strcspn(attr, "=:");
        snprintf(name, sizeof name, "%.*s", (int)bytes, attr);
        if (attr[bytes] == '=') put_attr(&node, name, 2, strtoll(attr + bytes + 1, NULL, 10), NULL);
        else put_attr(&node, name, 3, 0, attr + bytes + 1);
    }
    put_message(&g, 1, &node);
    put_text(&g, 2, "g");
    for (; *specs; specs++) part = input_info(*specs), put_message(&g, 11, &part);
    part = value_info("y", F32, NULL, 0), put_message(&g, 12, &part);
    m = make_model(8, 17, &g);
    put_text(&import, 1, "com.microsoft");
    put_int(&import, 2, 1);
    put_message(&m, 8, &import);
    return m;
}

static tn_status import_one(const char *op, const char *in, const char *attr,
                            const char *const *specs, tn_import **out)
{
    tn_writer m = model_of(op, in, attr, specs);
    tn_status status = tn_onnx_import(m.at, m.count, "test.onnx", NULL, NULL, out);
    tn_writer_fini(&m);
    return status;
}

#define SPECS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* The operators of the graph that is made, in order. */
static void expect_ops(const char *op, const char *in, const char *attr, const char *const *specs,
                       const char *want)
{
    tn_import *model;
    tn_text text = {0};
    char *got;
    tn_status status = import_one(op, in, attr, specs, &model);
    if (status) fail_msg("%s: %s", op, tn_status_message(status));
    for (const tn_node *n = model->graph->first; n; n = n->next)
        tn_text_printf(&text, "%s%s", n->prev ? " " : "", n->op->name);
    assert_null(tn_text_take(&text, &got));
    assert_string_equal(got, want);
    assert_string_equal(model->graph->output[0].name, "y");
    tn_text_free(got);
    tn_import_free(model);
}

static void expect_failure(const char *op, const char *in, const char *attr,
                           const char *const *specs, tn_code code, const char *words)
{
    tn_import *model;
    char text[4096];
    tn_status status = import_one(op, in, attr, specs, &model);
    if (!status) fail_msg("%s is accepted; expected '%s'", op, words);
    tn_status_text(status, false, text, sizeof text);
    if (tn_status_code(status) != code || !strstr(text, words) || !strstr(text, "'n'"))
        fail_msg("%s: expected %s with '%s', got %s", op, tn_code_name(code), words, text);
}

static void become_standard_operators(void **state)
{
    (void)state;
    expect_ops("BiasGelu", "x,b", NULL, SPECS("x:1:-1,4", "b:1:4"), "Add Gelu");
    expect_ops("FastGelu", "x", NULL, SPECS("x:1:-1,4"), "Gelu");
    expect_ops("FusedMatMul", "x,b", NULL, SPECS("x:1:-1,4", "b:1:4,3"), "MatMul");
    expect_ops("FusedMatMul", "x,b", "transB=1", SPECS("x:1:-1,4", "b:1:3,4"), "Transpose MatMul");
    expect_ops("FusedConv", "x,w", "activation:Tanh", SPECS("x:1:1,2,5,5", "w:1:3,2,3,3"),
               "Conv Tanh");
    expect_ops("SkipLayerNormalization", "x,s,g", NULL, SPECS("x:1:2,4", "s:1:2,4", "g:1:4"),
               "Add LayerNormalization");
    expect_ops("QLinearSigmoid", "x,a,z,b,z", NULL, SPECS("x:2:-1,4", "a:1:", "b:1:", "z:2:"),
               "DequantizeLinear Sigmoid QuantizeLinear");
    /* The mask is left out where there is none. */
    expect_ops("MultiHeadAttention", "q,k,v", "num_heads=2",
               SPECS("q:1:-1,3,4", "k:1:-1,5,4", "v:1:-1,5,4"), "Attention");
}

static void outputs_have_types(void **state)
{
    tn_import *model;
    (void)state;
    assert_null(import_one("FusedMatMul", "x,b", "transA=1", SPECS("x:1:6,-1", "b:1:6,3"), &model));
    const tn_type *y = &model->graph->output[0].value->type;
    assert_int_equal(y->dtype, TN_DTYPE_F32);
    assert_int_equal(y->rank, 2);
    assert_int_equal(y->dim[0], model->graph->input[0]->type.dim[1]);
    assert_true(tn_expr_equals(model->graph->exprs, y->dim[1], 3));
    tn_import_free(model);
}

static void what_cannot_be_is_refused(void **state)
{
    (void)state;
    const char *const *pair = SPECS("x:1:2,4", "b:1:4,3");
    expect_failure("FusedMatMul", "x", NULL, pair, TN_INVALID, "input 1 (B) is missing");
    expect_failure("FusedMatMul", "x,b,b", NULL, pair, TN_INVALID, "at most 2");
    expect_failure("FusedMatMul", "x,b", "transC=1", pair, TN_INVALID, "no attribute 'transC'");
    expect_failure("BiasGelu", "x,b", NULL, SPECS("x:1:2,4", "b:6:4"), TN_INVALID, "is i32");
    expect_failure("BiasGelu", "x,b", NULL, SPECS("x:1:2,4", "b:1:5"), TN_INVALID, "broadcast");
    expect_failure("FusedGemm", "x,b", "activation:Mish", pair, TN_UNSUPPORTED, "\"Mish\"");
    expect_failure("MatMulNBits", "x,w,s", "K=4", SPECS("x:1:2,4", "w:2:3,1,8", "s:1:3"),
                   TN_INVALID, "N is 0");
    expect_failure("MatMulNBits", "x,w,s", "bits=3", SPECS("x:1:2,4", "w:2:3,1,8", "s:1:3"),
                   TN_INVALID, "bits is 3");
    expect_failure("QLinearConcat", "a,z,z,a", NULL, SPECS("a:1:", "z:2:"), TN_INVALID,
                   "in threes");
    expect_failure("Attention", "x,w", NULL, SPECS("x:1:2,3,4", "w:1:4,12"), TN_INVALID,
                   "num_heads is 0");
    expect_failure("Attention", "x,w", "do_rotary=1", SPECS("x:1:2,3,4", "w:1:4,12"), TN_INVALID,
                   "num_heads is 0");
    expect_failure("Attention", "x,w,,m", "num_heads=2",
                   SPECS("x:1:2,3,4", "w:1:4,12", "m:6:2,1,3,3"), TN_UNSUPPORTED, "4 axes");
    expect_failure("Attention", "x,w,,m", "num_heads=2", SPECS("x:1:2,3,4", "w:1:4,12", "m:6:8"),
                   TN_UNSUPPORTED, "8 lengths for a batch of 2");
    expect_failure("MultiHeadAttention", "x", "num_heads=2", SPECS("x:1:2,3,4"), TN_INVALID,
                   "it has 3 axes");
    expect_failure("RotaryEmbedding", "x,p,c,c", "is_packed_batching=1",
                   SPECS("x:1:1,2,8", "p:7:1,2", "c:1:9,2"), TN_UNSUPPORTED, "is_packed_batching");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(become_standard_operators),
        cmocka_unit_test(outputs_have_types),
        cmocka_unit_test(what_cannot_be_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
