/* Small ONNX models written by hand, field by field, for tests of the importer: what no exporter
 * would write can be written too. Numbers are those of onnx.proto. */
#ifndef TN_TESTS_ONNX_WRITER_H
#define TN_TESTS_ONNX_WRITER_H

#include <string.h>

#include "base/bytes.h"

static inline void put_varint(tn_writer *w, uint64_t value)
{
    for (; value >= 0x80; value >>= 7) tn_write_u8(w, (uint8_t)(value | 0x80));
    tn_write_u8(w, (uint8_t)value);
}

static inline void put_int(tn_writer *w, unsigned field, int64_t value)
{
    put_varint(w, field << 3);
    put_varint(w, (uint64_t)value);
}

static inline void put_bytes(tn_writer *w, unsigned field, const void *bytes, size_t count)
{
    put_varint(w, field << 3 | 2);
    put_varint(w, count);
    if (count) tn_write_bytes(w, bytes, count);
}

static inline void put_text(tn_writer *w, unsigned field, const char *text)
{
    put_bytes(w, field, text, strlen(text));
}

static inline void put_float(tn_writer *w, unsigned field, float value)
{
    put_varint(w, field << 3 | 5);
    tn_write_bytes(w, &value, 4);
}

/* A finished message as a field of another; the inner writer is used up. */
static inline void put_message(tn_writer *w, unsigned field, tn_writer *inner)
{
    put_bytes(w, field, inner->at, inner->count);
    tn_writer_fini(inner);
    *inner = (tn_writer){0};
}

/* ValueInfoProto of a tensor; a dim below 0 is called "N". dims NULL: no shape. */
static inline tn_writer value_info(const char *name, int dtype, const int64_t *dims, int rank)
{
    tn_writer shape = {0}, tensor = {0}, type = {0}, info = {0};
    for (int i = 0; i < rank; i++) {
        tn_writer dim = {0};
        if (dims[i] < 0) put_text(&dim, 2, "N");
        else put_int(&dim, 1, dims[i]);
        put_message(&shape, 1, &dim);
    }
    put_int(&tensor, 1, dtype);
    if (dims) put_message(&tensor, 2, &shape);
    put_message(&type, 1, &tensor);
    put_text(&info, 1, name);
    put_message(&info, 2, &type);
    return info;
}

/* TensorProto with raw data. */
static inline tn_writer raw_tensor(const char *name, int dtype, const int64_t *dims, int rank,
                                   const void *data, size_t bytes)
{
    tn_writer t = {0};
    for (int i = 0; i < rank; i++) put_int(&t, 1, dims[i]);
    put_int(&t, 2, dtype);
    if (name) put_text(&t, 8, name);
    put_bytes(&t, 9, data, bytes);
    return t;
}

/* NodeProto from words parted by commas; "" is no input at all. */
static inline void put_words(tn_writer *w, unsigned field, const char *words)
{
    while (*words) {
        const char *end = strchr(words, ',');
        size_t count = end ? (size_t)(end - words) : strlen(words);
        put_bytes(w, field, words, count);
        if (!end) break;
        words = end + 1;
    }
}

static inline tn_writer make_node(const char *name, const char *op, const char *in, const char *out)
{
    tn_writer n = {0};
    put_words(&n, 1, in);
    put_words(&n, 2, out);
    put_text(&n, 3, name);
    put_text(&n, 4, op);
    return n;
}

/* A whole model around a finished GraphProto. */
static inline tn_writer make_model(int64_t ir_version, int64_t opset, tn_writer *graph)
{
    tn_writer m = {0}, import = {0};
    put_int(&m, 1, ir_version);
    put_text(&m, 2, "test");
    put_text(&import, 1, "");
    put_int(&import, 2, opset);
    put_message(&m, 8, &import);
    put_message(&m, 7, graph);
    return m;
}

static const int64_t shape_n3[] = {-1, 3}, shape_3[] = {3};

/* x[N,3] + w[3] -> "sum" -> Relu -> y, with w an initializer that may be listed as an input. */
static inline tn_writer small_graph(bool list_initializer)
{
    static const float w[] = {1, -2, 3};
    tn_writer g = {0}, part;
    part = make_node("add", "Add", "x,w", "sum"), put_message(&g, 1, &part);
    part = make_node("act", "Relu", "sum", "y"), put_message(&g, 1, &part);
    put_text(&g, 2, "small");
    part = raw_tensor("w", 1, shape_3, 1, w, sizeof(w)), put_message(&g, 5, &part);
    part = value_info("x", 1, shape_n3, 2), put_message(&g, 11, &part);
    if (list_initializer) part = value_info("w", 1, shape_3, 1), put_message(&g, 11, &part);
    part = value_info("y", 1, shape_n3, 2), put_message(&g, 12, &part);
    return g;
}

/* A graph of one or more nodes over x[N,3], with the output y. */
static inline tn_writer node_graph(tn_writer *nodes, int count)
{
    tn_writer g = {0}, part;
    for (int i = 0; i < count; i++) put_message(&g, 1, &nodes[i]);
    put_text(&g, 2, "nodes");
    part = value_info("x", 1, shape_n3, 2), put_message(&g, 11, &part);
    part = value_info("y", 1, NULL, 0), put_message(&g, 12, &part);
    return g;
}

/* A FunctionProto of the domain "f": y = Relu(Neg(x)), or a call of itself. */
static inline tn_writer make_function(const char *name, tn_writer *nodes, int count)
{
    tn_writer f = {0}, opset = {0};
    put_text(&f, 1, name);
    put_text(&f, 4, "a");
    put_text(&f, 5, "b");
    for (int i = 0; i < count; i++) put_message(&f, 7, &nodes[i]);
    put_int(&opset, 2, 17);
    put_message(&f, 9, &opset);
    put_text(&f, 10, "f");
    return f;
}

static inline tn_writer call(const char *name, const char *function, const char *in,
                             const char *out)
{
    tn_writer n = make_node(name, function, in, out);
    put_text(&n, 7, "f");
    return n;
}

#endif
