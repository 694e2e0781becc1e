/* The ONNX importer: what it makes of good files, and that bad ones end in a clear error. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "import/import.h"
#include "onnx_writer.h"

static const int64_t shape_2[] = {2};

static void quiet(void *self, tn_log_level level, const char *line)
{
    (void)level;
    (void)line;
    (*(int *)self)++;
}

static tn_status import(const tn_writer *m, tn_import **out)
{
    return tn_onnx_import(m->at, m->count, "test.onnx", NULL, NULL, out);
}

/* The import fails with `code` and a message that has `words` in it. */
static void expect_failure(tn_writer *m, const char *folder, tn_code code, const char *words)
{
    tn_import *result;
    char text[4096];
    tn_status status = tn_onnx_import(m->at, m->count, "test.onnx", folder, NULL, &result);
    assert_non_null(status);
    assert_null(result);
    tn_status_text(status, false, text, sizeof(text));
    if (tn_status_code(status) != code || !strstr(text, words))
        fail_msg("expected %s with '%s', got %s: %s", tn_code_name(code), words,
                 tn_code_name(tn_status_code(status)), text);
    tn_writer_fini(m);
}

static void imports_a_small_model(void **state)
{
    (void)state;
    for (int listed = 0; listed < 2; listed++) {
        tn_writer g = small_graph(listed != 0), m = make_model(8, 17, &g);
        tn_import *model;
        assert_null(import(&m, &model));
        tn_writer_fini(&m); /* nothing may point into the bytes */
        const tn_graph *graph = model->graph;
        assert_int_equal(graph->input_count, 1);
        assert_string_equal(graph->input[0]->name, "x");
        assert_int_equal(graph->node_count, 2);
        assert_int_equal(graph->output_count, 1);
        const tn_value *y = graph->output[0].value;
        assert_int_equal(y->type.dtype, TN_DTYPE_F32);
        assert_int_equal(y->type.rank, 2);
        assert_int_equal(y->type.dim[0], graph->input[0]->type.dim[0]);
        assert_string_equal(tn_expr_get(graph->exprs, y->type.dim[0])->name, "N");
        const tn_value *w = graph->first->in[1];
        assert_int_equal(w->kind, TN_VALUE_CONSTANT);
        assert_true(((const float *)w->constant.data)[1] == -2);
        assert_int_equal(model->info.ir_version, 8);
        assert_int_equal(model->info.opset, 17);
        assert_string_equal(model->info.producer, "test");
        assert_int_equal(model->info.node_count, 2);
        assert_string_equal(model->info.inputs_text,
                            "name: \"x\"\ntype {\n  tensor_type {\n    elem_type: 1\n    shape {\n"
                            "      dim {\n        dim_param: \"N\"\n      }\n"
                            "      dim {\n        dim_value: 3\n      }\n    }\n  }\n}\n");
        tn_import_free(model);
    }
}

static void bakes_inputs(void **state)
{
    (void)state;
    tn_writer g = small_graph(false), m = make_model(8, 17, &g);
    float data[6] = {1, 2, 3, 4, 5, 6};
    const char *name = "x";
    int64_t dims[] = {2, 3}, wrong[] = {3, 2};
    tn_tensor x = tn_tensor_of(TN_DTYPE_F32, dims, 2, data);
    tn_load_options options = {sizeof(options), false, &name, &x, 1};
    tn_import *model;
    assert_null(tn_onnx_import(m.at, m.count, "t", NULL, &options, &model));
    assert_int_equal(model->graph->input_count, 0);
    const tn_value *baked = model->graph->first->in[0];
    assert_int_equal(baked->kind, TN_VALUE_CONSTANT);
    assert_ptr_not_equal(baked->constant.data, data);
    assert_memory_equal(baked->constant.data, data, sizeof(data));
    tn_import_free(model);

    x = tn_tensor_of(TN_DTYPE_F32, wrong, 2, data);
    tn_status status = tn_onnx_import(m.at, m.count, "t", NULL, &options, &model);
    assert_int_equal(tn_status_code(status), TN_INVALID);
    name = "nobody";
    status = tn_onnx_import(m.at, m.count, "t", NULL, &options, &model);
    assert_int_equal(tn_status_code(status), TN_NOT_FOUND);
    tn_writer_fini(&m);
}

static void sorts_nodes(void **state)
{
    (void)state;
    tn_writer nodes[] = {make_node("b", "Relu", "h", "y"), make_node("a", "Neg", "x", "h")};
    tn_writer g = node_graph(nodes, 2), m = make_model(8, 17, &g);
    tn_import *model;
    assert_null(import(&m, &model));
    assert_string_equal(model->graph->first->name, "a");
    tn_import_free(model);
    tn_writer_fini(&m);
}

static void inlines_functions(void **state)
{
    (void)state;
    tn_writer inner[] = {make_node("", "Neg", "a", "t"), make_node("", "Relu", "t", "b")};
    tn_writer outer[] = {call("", "inner", "a", "t"), call("", "inner", "t", "b")};
    tn_writer nodes[] = {call("first", "outer", "x", "h"), call("second", "outer", "h", "y")};
    tn_writer g = node_graph(nodes, 2), m = make_model(8, 17, &g), f;
    f = make_function("inner", inner, 2), put_message(&m, 25, &f);
    f = make_function("outer", outer, 2), put_message(&m, 25, &f);
    tn_import *model;
    assert_null(import(&m, &model));
    assert_int_equal(model->graph->node_count, 8);
    assert_int_equal(model->graph->output[0].value->type.rank, 2);
    tn_import_free(model);
    tn_writer_fini(&m);
}

static void replaces_attribute_references(void **state)
{
    (void)state;
    tn_writer attr = {0}, leaky = make_node("", "LeakyRelu", "a", "b");
    put_text(&attr, 1, "alpha");
    put_text(&attr, 21, "slope");
    put_int(&attr, 20, 1);
    put_message(&leaky, 5, &attr);
    tn_writer node = call("n", "leaky", "x", "y");
    put_text(&attr, 1, "slope");
    put_float(&attr, 2, 0.25f);
    put_int(&attr, 20, 1);
    put_message(&node, 5, &attr);
    tn_writer g = node_graph(&node, 1), m = make_model(8, 17, &g);
    tn_writer f = make_function("leaky", &leaky, 1);
    put_text(&f, 6, "slope");
    put_message(&m, 25, &f);
    tn_import *model;
    assert_null(import(&m, &model));
    assert_true(tn_node_float_attr(model->graph->first, "alpha", 0) == 0.25);
    tn_import_free(model);
    tn_writer_fini(&m);
}

static void refuses_recursive_functions(void **state)
{
    (void)state;
    tn_writer inner = call("again", "g", "a", "b"), outer = call("once", "h", "a", "b");
    tn_writer node = call("n", "g", "x", "y");
    tn_writer g = node_graph(&node, 1), m = make_model(8, 17, &g), f;
    f = make_function("g", &outer, 1), put_message(&m, 25, &f);
    f = make_function("h", &inner, 1), put_message(&m, 25, &f);
    expect_failure(&m, NULL, TN_INVALID, "calls itself");
}

/* 24 functions that each call the next one twice: 16 million nodes if they were followed. */
static void refuses_exploding_functions(void **state)
{
    (void)state;
    tn_writer node = call("n", "f0", "x", "y");
    tn_writer g = node_graph(&node, 1), m = make_model(8, 17, &g);
    for (int i = 0; i < 24; i++) {
        char name[16], next[16];
        snprintf(name, sizeof(name), "f%d", i);
        snprintf(next, sizeof(next), "f%d", i + 1);
        tn_writer nodes[] = {call("", next, "a", "t"), call("", next, "t", "b")};
        tn_writer f = make_function(name, nodes, 2);
        put_message(&m, 25, &f);
    }
    tn_writer last = make_node("", "Relu", "a", "b"), f = make_function("f24", &last, 1);
    put_message(&m, 25, &f);
    expect_failure(&m, NULL, TN_INVALID, "functions");
}

static void reads_constants_of_all_forms(void **state)
{
    (void)state;
    tn_writer attr = {0}, ints = make_node("i", "Constant", "", "ints"),
              single = make_node("f", "Constant", "", "single"),
              whole = make_node("t", "Constant", "", "whole"), t;
    put_text(&attr, 1, "value_ints");
    put_int(&attr, 8, 3), put_int(&attr, 8, -1);
    put_int(&attr, 20, 7);
    put_message(&ints, 5, &attr);
    put_text(&attr, 1, "value_float");
    put_float(&attr, 2, 2.5f);
    put_int(&attr, 20, 1);
    put_message(&single, 5, &attr);
    float pair[] = {1, 2};
    t = raw_tensor(NULL, 1, shape_2, 1, pair, sizeof(pair));
    put_text(&attr, 1, "value");
    put_message(&attr, 5, &t);
    put_int(&attr, 20, 4);
    put_message(&whole, 5, &attr);
    tn_writer nodes[] = {ints, single, whole, make_node("m", "Mul", "x,single", "y")};
    tn_writer g = node_graph(nodes, 4), info;
    info = value_info("ints", 7, shape_2, 1), put_message(&g, 12, &info);
    info = value_info("whole", 1, shape_2, 1), put_message(&g, 12, &info);
    tn_writer m = make_model(8, 17, &g);
    tn_import *model;
    assert_null(import(&m, &model));
    const tn_tensor *c = &model->graph->output[1].value->constant;
    assert_int_equal(c->dtype, TN_DTYPE_I64);
    assert_int_equal(c->rank, 1);
    assert_int_equal(((const int64_t *)c->data)[1], -1);
    c = &model->graph->first->in[1]->constant;
    assert_int_equal(c->rank, 0);
    assert_true(*(const float *)c->data == 2.5f);
    assert_int_equal(model->graph->node_count, 1);
    tn_import_free(model);
    tn_writer_fini(&m);
}

static void lists_all_unsupported_operators(void **state)
{
    (void)state;
    tn_writer nodes[] = {make_node("a", "Frobnicate", "x", "p"),
                         make_node("b", "Frobnicate", "p", "q"), make_node("", "Relu", "q", "r"),
                         call("c", "Fused", "r", "y")};
    tn_writer g = node_graph(nodes, 4), m = make_model(8, 17, &g);
    tn_import *model;
    tn_status status = import(&m, &model);
    assert_int_equal(tn_status_code(status), TN_UNSUPPORTED);
    assert_non_null(strstr(tn_status_message(status), "Frobnicate (2 nodes: 'a', 'b')"));
    assert_non_null(strstr(tn_status_message(status), "f.Fused (1 node: 'c')"));
    tn_writer_fini(&m);
}

/* Foreign opsets that no node uses do no harm; a newer opset is tried. */
static void tries_newer_versions(void **state)
{
    (void)state;
    int lines = 0;
    tn_set_log(quiet, &lines, TN_LOG_WARNING);
    tn_writer g = small_graph(false), m = make_model(14, 99, &g), import_of = {0};
    put_text(&import_of, 1, "com.nobody.knows");
    put_int(&import_of, 2, 1);
    put_message(&m, 8, &import_of);
    tn_import *model;
    assert_null(import(&m, &model));
    assert_int_equal(lines, 2);
    tn_import_free(model);
    tn_writer_fini(&m);
    tn_set_log(NULL, NULL, TN_LOG_WARNING);
}

static void refuses_wrong_graphs(void **state)
{
    (void)state;
    tn_writer m, g;
    {
        tn_writer nodes[] = {make_node("a", "Add", "x,h", "y"), make_node("b", "Relu", "y", "h")};
        g = node_graph(nodes, 2), m = make_model(8, 17, &g);
        expect_failure(&m, NULL, TN_INVALID, "cycle");
    }
    {
        tn_writer nodes[] = {make_node("a", "Relu", "x", "y"), make_node("b", "Neg", "x", "y")};
        g = node_graph(nodes, 2), m = make_model(8, 17, &g);
        expect_failure(&m, NULL, TN_INVALID, "node 2 of 2, Neg 'b'");
    }
    {
        tn_writer nodes[] = {make_node("a", "Relu", "missing", "y")};
        g = node_graph(nodes, 1), m = make_model(8, 17, &g);
        expect_failure(&m, NULL, TN_INVALID, "it reads 'missing'");
    }
    {
        tn_writer nodes[] = {make_node("a", "Relu", "x", "z")};
        g = node_graph(nodes, 1), m = make_model(8, 17, &g);
        expect_failure(&m, NULL, TN_INVALID, "output 'y' is written by no node");
    }
    {
        tn_writer nodes[] = {make_node("a", "Relu", "x", "x")};
        g = node_graph(nodes, 1), m = make_model(8, 17, &g);
        expect_failure(&m, NULL, TN_INVALID, "writes 'x'");
    }
    {
        tn_writer nodes[] = {make_node("a", "Relu", "x,x,x", "y")};
        g = node_graph(nodes, 1), m = make_model(8, 17, &g);
        expect_failure(&m, NULL, TN_INVALID, "Relu");
    }
    {
        tn_writer info;
        g = small_graph(false);
        info = value_info("x", 1, shape_n3, 2), put_message(&g, 11, &info);
        m = make_model(8, 17, &g);
        expect_failure(&m, NULL, TN_INVALID, "'x' is given twice");
    }
}

static tn_writer attribute(const char *name, int type)
{
    tn_writer a = {0};
    put_text(&a, 1, name);
    put_int(&a, 20, type);
    return a;
}

static void refuses_wrong_attributes(void **state)
{
    (void)state;
    tn_writer a = attribute("alpha", 3), n = make_node("act", "LeakyRelu", "x", "y"), g, m;
    put_text(&a, 4, "a lot");
    put_message(&n, 5, &a);
    g = node_graph(&n, 1), m = make_model(8, 17, &g);
    expect_failure(&m, NULL, TN_INVALID, "'act'");

    a = attribute("alpha", 1), n = make_node("act", "LeakyRelu", "x", "y");
    put_text(&a, 4, "a lot");
    put_message(&n, 5, &a);
    g = node_graph(&n, 1), m = make_model(8, 17, &g);
    expect_failure(&m, NULL, TN_INVALID, "says it is a float but holds a text");

    a = attribute("axis", 2), n = make_node("sm", "Softmax", "x", "y");
    put_int(&a, 3, -7);
    put_message(&n, 5, &a);
    g = node_graph(&n, 1), m = make_model(8, 17, &g);
    expect_failure(&m, NULL, TN_INVALID, "axis -7");
}

/* A model with one initializer given as a finished TensorProto. */
static tn_writer with_initializer(tn_writer *tensor)
{
    tn_writer node = make_node("a", "Add", "x,w", "y"), g = node_graph(&node, 1);
    put_message(&g, 5, tensor);
    return make_model(8, 17, &g);
}

static tn_writer external(const char *location, const char *offset, const char *length)
{
    tn_writer t = {0}, entry = {0};
    const char *pair[][2] = {{"location", location}, {"offset", offset}, {"length", length}};
    put_int(&t, 1, 3);
    put_int(&t, 2, 1);
    put_text(&t, 8, "w");
    put_int(&t, 14, 1);
    for (int i = 0; i < 3; i++) {
        if (!pair[i][1]) continue;
        put_text(&entry, 1, pair[i][0]);
        put_text(&entry, 2, pair[i][1]);
        put_message(&t, 13, &entry);
    }
    return t;
}

static void refuses_wrong_tensors(void **state)
{
    (void)state;
    const int64_t huge[] = {INT64_C(1) << 62}, product[] = {INT64_C(1) << 31, INT64_C(1) << 31, 8},
                  hidden[] = {0, INT64_C(1) << 62, 4}, negative[] = {-3};
    float w[3] = {0};
    tn_writer t, m;
    t = raw_tensor("w", 1, huge, 1, w, 12), m = with_initializer(&t);
    expect_failure(&m, NULL, TN_INVALID, "too large");
    t = raw_tensor("w", 1, product, 3, w, 12), m = with_initializer(&t);
    expect_failure(&m, NULL, TN_INVALID, "too large");
    t = raw_tensor("w", 1, hidden, 3, w, 0), m = with_initializer(&t);
    expect_failure(&m, NULL, TN_INVALID, "too large");
    t = raw_tensor("w", 1, negative, 1, w, 12), m = with_initializer(&t);
    expect_failure(&m, NULL, TN_INVALID, "is -3");
    t = raw_tensor("w", 1, shape_3, 1, w, 8), m = with_initializer(&t);
    expect_failure(&m, NULL, TN_INVALID, "holds 8 bytes where 12 are needed");
    t = raw_tensor("w", 99, shape_3, 1, w, 12), m = with_initializer(&t);
    expect_failure(&m, NULL, TN_UNSUPPORTED, "element type 99");
}

static void keeps_external_data_in_the_folder(void **state)
{
    (void)state;
    tn_writer t, m;
    t = external("../../etc/passwd", "0", "12"), m = with_initializer(&t);
    expect_failure(&m, "/tmp", TN_INVALID, "..");
    t = external("/etc/passwd", "0", "12"), m = with_initializer(&t);
    expect_failure(&m, "/tmp", TN_INVALID, "absolute");
    t = external("nothing.here", "0", "12"), m = with_initializer(&t);
    expect_failure(&m, "/tmp", TN_NOT_FOUND, "--random-weights");
    t = external("nothing.here", "0", "13"), m = with_initializer(&t);
    expect_failure(&m, "/tmp", TN_INVALID, "13 bytes");
    t = external("nothing.here", "0x", NULL), m = with_initializer(&t);
    expect_failure(&m, "/tmp", TN_INVALID, "'0x'");
    t = external("w", NULL, NULL), m = with_initializer(&t);
    expect_failure(&m, NULL, TN_INVALID, "another file");
}

static void maps_external_data(void **state)
{
    (void)state;
    char folder[] = "/tmp/tn_external_XXXXXX", path[64];
    float data[] = {0, 1, 2, 3, 4};
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/w.bin", folder);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 4, 5, file), 5);
    assert_int_equal(fclose(file), 0);
    /* In place, from an odd offset (copied), and beyond the end. */
    for (int i = 0; i < 3; i++) {
        const char *offsets[] = {"8", "7", "12"};
        tn_writer t = external("w.bin", offsets[i], "12"), m = with_initializer(&t);
        tn_import *model;
        tn_status status = tn_onnx_import(m.at, m.count, "m", folder, NULL, &model);
        if (i == 2) {
            assert_int_equal(tn_status_code(status), TN_CORRUPT);
        } else {
            assert_null(status);
            const float *w = model->graph->first->in[1]->constant.data;
            if (i == 0) assert_true(w[0] == 2 && w[2] == 4);
            else assert_int_equal((uintptr_t)w % 4, 0);
            tn_import_free(model);
        }
        tn_writer_fini(&m);
    }
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);
}

/* A weight that lies beyond 4 GiB in its file (which is all hole but for its end). */
static void reaches_beyond_four_gigabytes(void **state)
{
    (void)state;
    char folder[] = "/tmp/tn_external_XXXXXX", path[64];
    float data[] = {7, 8, 9};
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/w.bin", folder);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    bool written = fseeko(file, 5000000000, SEEK_SET) == 0 && fwrite(data, 4, 3, file) == 3;
    written = fclose(file) == 0 && written;
    tn_writer t = external("w.bin", "5000000000", "12"), m = with_initializer(&t);
    tn_import *model = NULL;
    tn_status status = tn_onnx_import(m.at, m.count, "m", folder, NULL, &model);
    float got = status ? 0 : ((const float *)model->graph->first->in[1]->constant.data)[2];
    tn_import_free(model);
    tn_writer_fini(&m);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);
    if (!written) skip(); /* a file system without large or sparse files */
    assert_null(status);
    assert_true(got == 9);
}

/* Values of the rule for absent weights, computed with NumPy from its definition for "w" [3]. */
static void generates_absent_weights(void **state)
{
    (void)state;
    tn_writer t = external("absent", "0", "12"), m = with_initializer(&t);
    tn_load_options options = {.size = sizeof(options), .random_weights = true};
    tn_import *model;
    assert_null(tn_onnx_import(m.at, m.count, "m", "/tmp", &options, &model));
    const float *w = model->graph->first->in[1]->constant.data;
    const float want[] = {0x1.c2b3fa0000000p-6f, 0x1.3cf0720000000p-6f, -0x1.197af00000000p-5f};
    assert_memory_equal(w, want, sizeof(want));
    tn_import_free(model);
    tn_writer_fini(&m);
}

/* The last value of a tensor of each form that the rule tells apart, from the same source. */
static void generates_by_shape(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int64_t dims[4];
        int rank;
        float last;
    } rows[] = {
        {"w", {2, 3}, 2, -0x1.7f5604p-1f},      {"w", {2001, 2}, 2, 0x1.86d980p-6f},
        {"w", {4, 1, 2, 2}, 4, 0x1.3d3394p-2f}, {"w", {2, 2, 2}, 3, 0x1.c50780p-5f},
        {"bn.weight", {3}, 1, 0x1.02c60cp+0f},  {"w", {0}, 0, 0x1.c2b3fap-6f},
    };
    for (size_t i = 0; i < TN_COUNT(rows); i++) {
        tn_writer t = {0}, entry = {0};
        for (int k = 0; k < rows[i].rank; k++) put_int(&t, 1, rows[i].dims[k]);
        put_int(&t, 2, 1);
        put_text(&t, 8, rows[i].name);
        put_int(&t, 14, 1);
        put_text(&entry, 1, "location");
        put_text(&entry, 2, "absent");
        put_message(&t, 13, &entry);
        tn_writer node = make_node("n", "Identity", "x", "y");
        tn_writer info = value_info(rows[i].name, 1, NULL, 0);
        tn_writer g = node_graph(&node, 1);
        put_message(&g, 5, &t);
        put_message(&g, 12, &info);
        tn_writer m = make_model(8, 17, &g);
        tn_load_options options = {.size = sizeof(options), .random_weights = true};
        tn_import *model;
        assert_null(tn_onnx_import(m.at, m.count, "m", NULL, &options, &model));
        const tn_tensor *w = &model->graph->output[1].value->constant;
        assert_int_equal(w->rank, rows[i].rank);
        assert_true(((const float *)w->data)[tn_tensor_count(w) - 1] == rows[i].last);
        tn_import_free(model);
        tn_writer_fini(&m);
    }
}

/* ---- Names and shapes as the file declares them
 * ---------------------------------------------------*/

static void names_dims(void **state)
{
    (void)state;
    static const char *const params[] = {"batch", "2*len + 1", "batch", ""};
    tn_writer shape = {0}, tensor = {0}, type = {0}, info = {0}, node, g = {0};
    for (int i = 0; i < 4; i++) {
        tn_writer dim = {0};
        if (params[i][0]) put_text(&dim, 2, params[i]);
        put_message(&shape, 1, &dim);
    }
    put_int(&tensor, 1, 1);
    put_message(&tensor, 2, &shape);
    put_message(&type, 1, &tensor);
    put_text(&info, 1, "x");
    put_message(&info, 2, &type);
    node = make_node("n", "Relu", "x", "y"), put_message(&g, 1, &node);
    put_message(&g, 11, &info);
    info = value_info("y", 1, NULL, 0), put_message(&g, 12, &info);
    tn_writer m = make_model(8, 17, &g);
    tn_import *model;
    assert_null(import(&m, &model));
    const tn_type *t = &model->graph->output[0].value->type;
    const tn_exprs *exprs = model->graph->exprs;
    assert_int_equal(t->rank, 4);
    assert_int_equal(t->dim[0], t->dim[2]);
    assert_string_equal(tn_expr_get(exprs, t->dim[0])->name, "batch");
    assert_string_equal(tn_expr_get(exprs, t->dim[1])->name, "d_2_len___1");
    assert_string_equal(tn_expr_get(exprs, t->dim[3])->name, "x_dim3");
    tn_import_free(model);
    tn_writer_fini(&m);
}

/* A stale shape is told and passed over; a wrong element type is an error. */
static void checks_declared_types(void **state)
{
    (void)state;
    int lines = 0;
    static const int64_t stale[] = {1, 7};
    tn_set_log(quiet, &lines, TN_LOG_WARNING);
    tn_writer g = small_graph(false), info = value_info("sum", 1, stale, 2);
    put_message(&g, 13, &info);
    tn_writer m = make_model(8, 17, &g);
    tn_import *model;
    assert_null(import(&m, &model));
    assert_int_equal(lines, 1);
    const tn_value *sum = model->graph->first->out[0];
    assert_true(tn_expr_equals(model->graph->exprs, sum->type.dim[1], 3));
    tn_import_free(model);
    tn_writer_fini(&m);
    tn_set_log(NULL, NULL, TN_LOG_WARNING);
    g = small_graph(false), info = value_info("sum", 7, stale, 2);
    put_message(&g, 13, &info);
    m = make_model(8, 17, &g);
    expect_failure(&m, NULL, TN_INVALID, "'sum' is declared as i64 but is f32");
}

/* ---- Tensor files
 * --------------------------------------------------------------------------------*/

static void decodes_typed_fields(void **state)
{
    (void)state;
    tn_writer t = {0}, list = {0};
    tn_tensor got;
    /* int4 [3] in int32_data, two values an item: 1, -2, 7 */
    put_int(&t, 1, 3), put_int(&t, 2, TN_DTYPE_I4);
    put_varint(&list, 0xE1), put_varint(&list, 0x07);
    put_message(&t, 5, &list);
    assert_null(tn_onnx_tensor_decode(t.at, t.count, &got));
    assert_int_equal(tn_load_i64(TN_DTYPE_I4, got.data, 0), 1);
    assert_int_equal(tn_load_i64(TN_DTYPE_I4, got.data, 1), -2);
    assert_int_equal(tn_load_i64(TN_DTYPE_I4, got.data, 2), 7);
    tn_tensor_free(&got);
    tn_writer_fini(&t);
    /* f16 by its bits, bools, u32 in uint64_data */
    t = (tn_writer){0};
    put_int(&t, 1, 2), put_int(&t, 2, TN_DTYPE_F16), put_int(&t, 5, 0x3C00), put_int(&t, 5, 0xC000);
    assert_null(tn_onnx_tensor_decode(t.at, t.count, &got));
    assert_true(tn_load_f64(TN_DTYPE_F16, got.data, 1) == -2);
    tn_tensor_free(&got);
    tn_writer_fini(&t);
    t = (tn_writer){0};
    put_int(&t, 1, 1), put_int(&t, 2, TN_DTYPE_U32), put_int(&t, 11, 4000000000);
    assert_null(tn_onnx_tensor_decode(t.at, t.count, &got));
    assert_int_equal(*(uint32_t *)got.data, 4000000000);
    tn_tensor_free(&got);
    tn_writer_fini(&t);
    /* strings, one empty */
    t = (tn_writer){0};
    put_int(&t, 1, 2), put_int(&t, 2, TN_DTYPE_STRING), put_text(&t, 6, "abc"), put_text(&t, 6, "");
    assert_null(tn_onnx_tensor_decode(t.at, t.count, &got));
    const tn_string *text = got.data;
    assert_int_equal(text[0].bytes, 3);
    assert_memory_equal(text[0].text, "abc", 3);
    assert_int_equal(text[1].bytes, 0);
    tn_tensor_free(&got);
    /* one string too many for the shape */
    put_text(&t, 6, "more");
    assert_int_equal(tn_status_code(tn_onnx_tensor_decode(t.at, t.count, &got)), TN_INVALID);
    tn_writer_fini(&t);
}

static void encodes_what_it_decodes(void **state)
{
    (void)state;
    int64_t dims[] = {2, 3}, none[] = {0, 4};
    float data[] = {1, 2, 3, 4, 5, 6};
    tn_tensor given = tn_tensor_of(TN_DTYPE_F32, dims, 2, data), got;
    tn_writer w = {0};
    given.stride[0] = 1, given.stride[1] = 2; /* a transposed view */
    assert_null(tn_onnx_tensor_encode(&given, &w));
    assert_null(tn_onnx_tensor_decode(w.at, w.count, &got));
    const float want[] = {1, 3, 5, 2, 4, 6};
    assert_int_equal(got.dim[1], 3);
    assert_memory_equal(got.data, want, sizeof(want));
    tn_tensor_free(&got);
    tn_writer_fini(&w);
    w = (tn_writer){0};
    given = tn_tensor_of(TN_DTYPE_I64, none, 2, NULL);
    assert_null(tn_onnx_tensor_encode(&given, &w));
    assert_null(tn_onnx_tensor_decode(w.at, w.count, &got));
    assert_int_equal(got.rank, 2);
    assert_int_equal(tn_tensor_count(&got), 0);
    tn_tensor_free(&got);
    tn_writer_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(imports_a_small_model),
        cmocka_unit_test(bakes_inputs),
        cmocka_unit_test(sorts_nodes),
        cmocka_unit_test(inlines_functions),
        cmocka_unit_test(replaces_attribute_references),
        cmocka_unit_test(refuses_recursive_functions),
        cmocka_unit_test(refuses_exploding_functions),
        cmocka_unit_test(reads_constants_of_all_forms),
        cmocka_unit_test(lists_all_unsupported_operators),
        cmocka_unit_test(tries_newer_versions),
        cmocka_unit_test(refuses_wrong_graphs),
        cmocka_unit_test(refuses_wrong_attributes),
        cmocka_unit_test(refuses_wrong_tensors),
        cmocka_unit_test(keeps_external_data_in_the_folder),
        cmocka_unit_test(maps_external_data),
        cmocka_unit_test(reaches_beyond_four_gigabytes),
        cmocka_unit_test(generates_absent_weights),
        cmocka_unit_test(generates_by_shape),
        cmocka_unit_test(names_dims),
        cmocka_unit_test(checks_declared_types),
        cmocka_unit_test(decodes_typed_fields),
        cmocka_unit_test(encodes_what_it_decodes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
