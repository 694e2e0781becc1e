/* Attributes of nodes, and Constant nodes, whose one attribute is their value. */
#include <string.h>

#include "import/onnx_import.h"

/* AttributeProto.type */
enum {
    ANY = 0,
    FLOAT = 1,
    INT = 2,
    STRING = 3,
    TENSOR = 4,
    GRAPH = 5,
    FLOATS = 6,
    INTS = 7,
    STRINGS = 8,
    TYPE = 13,
};

static const char *const type_names[] = {"nothing", "a float", "an integer", "a text", "a tensor",
                                         "a graph", "floats",  "integers",   "texts"};

/* The type by what the message holds; ANY for nothing and for kinds we have no words for. */
static int held_type(const TnOnnx__AttributeProto *proto)
{
    if (proto->has_f) return FLOAT;
    if (proto->has_i) return INT;
    if (proto->has_s) return STRING;
    if (proto->t) return TENSOR;
    if (proto->g) return GRAPH;
    if (proto->n_floats) return FLOATS;
    if (proto->n_ints) return INTS;
    if (proto->n_strings) return STRINGS;
    return ANY;
}

static tn_status copy_text(tn_arena *arena, const ProtobufCBinaryData *data, tn_string *out)
{
    out->text = tn_arena_text(arena, data->len ? (const char *)data->data : "", data->len);
    out->bytes = data->len;
    TN_CHECK(out->text, TN_OUT_OF_MEMORY, "no memory for an attribute");
    return NULL;
}

static tn_status copy_texts(tn_arena *arena, const TnOnnx__AttributeProto *proto, tn_attr *out)
{
    tn_string *texts = TN_NEW_ARRAY(arena, tn_string, proto->n_strings);
    TN_CHECK(texts, TN_OUT_OF_MEMORY, "no memory for an attribute");
    for (size_t i = 0; i < proto->n_strings; i++)
        TN_TRY(copy_text(arena, &proto->strings[i], &texts[i]));
    out->texts = texts;
    out->count = (int64_t)proto->n_strings;
    return NULL;
}

/* "sequence of f32": the kind and the type of the elements as text. */
static tn_status read_type(tn_onnx_importer *importer, const TnOnnx__AttributeProto *proto,
                           tn_attr *out)
{
    tn_type type;
    tn_text text = {0};
    TN_TRY(tn_onnx_type(importer, out->name, proto->tp, &type));
    type.rank = 0;
    tn_type_print(importer->graph->exprs, &type, &text);
    out->kind = TN_ATTR_TEXT;
    out->text.bytes = text.bytes;
    out->text.text =
        text.failed ? NULL : tn_arena_text(importer->arena, text.at ? text.at : "", text.bytes);
    tn_text_fini(&text);
    TN_CHECK(out->text.text, TN_OUT_OF_MEMORY, "no memory for an attribute");
    return NULL;
}

tn_status tn_onnx_attribute(tn_onnx_importer *importer, const tn_onnx_attr *attr, tn_attr *out)
{
    const TnOnnx__AttributeProto *proto = attr->value;
    int held = held_type(proto), type = proto->type ? proto->type : held;
    *out = (tn_attr){.name = attr->name, .kind = TN_ATTR_OTHER};
    TN_CHECK(held == ANY || type == held || type < ANY || type > STRINGS, TN_INVALID,
             "attribute '%s' says it is %s but holds %s", attr->name, type_names[type],
             type_names[held]);
    switch (type) {
    case FLOAT:
        out->kind = TN_ATTR_FLOAT;
        out->f = (double)proto->f;
        return NULL;
    case INT:
        out->kind = TN_ATTR_INT;
        out->i = proto->i;
        return NULL;
    case STRING: out->kind = TN_ATTR_TEXT; return copy_text(importer->arena, &proto->s, &out->text);
    case TENSOR:
        TN_CHECK(proto->t, TN_INVALID, "attribute '%s' says it is a tensor but holds none",
                 attr->name);
        out->kind = TN_ATTR_TENSOR;
        TN_TRY_NOTE(tn_onnx_tensor(importer, importer->arena, proto->t, &out->tensor),
                    "in attribute '%s'", attr->name);
        return NULL;
    case FLOATS:
        out->kind = TN_ATTR_FLOATS;
        out->floats = proto->floats;
        out->count = (int64_t)proto->n_floats;
        return NULL;
    case INTS:
        out->kind = TN_ATTR_INTS;
        out->ints = proto->ints;
        out->count = (int64_t)proto->n_ints;
        return NULL;
    case STRINGS: out->kind = TN_ATTR_TEXTS; return copy_texts(importer->arena, proto, out);
    case TYPE: return read_type(importer, proto, out);
    case ANY: TN_FAIL(TN_INVALID, "attribute '%s' has no value", attr->name);
    default: return NULL;
    }
}

/* A tensor of `rank` 0 or 1 over the bytes of an attribute, copied into the arena. */
static tn_status make_tensor(tn_onnx_importer *importer, tn_dtype dtype, const void *data,
                             int64_t count, int rank, tn_tensor *out)
{
    size_t bytes = (size_t)tn_dtype_bytes(dtype, count);
    void *copy = tn_arena_alloc(importer->arena, bytes);
    TN_CHECK(copy, TN_OUT_OF_MEMORY, "no memory for a constant");
    if (bytes) memcpy(copy, data, bytes);
    *out = tn_tensor_of(dtype, &count, rank, copy);
    return NULL;
}

tn_status tn_onnx_constant(tn_onnx_importer *importer, const tn_onnx_node *node, tn_tensor *out)
{
    tn_attr attr;
    float single;
    TN_CHECK(node->in_count == 0 && node->out_count == 1, TN_INVALID,
             "a Constant has %lld inputs and %lld outputs; it must have 0 and 1",
             (long long)node->in_count, (long long)node->out_count);
    TN_CHECK(node->attr_count == 1, TN_INVALID, "a Constant must have one attribute; it has %lld",
             (long long)node->attr_count);
    const char *name = node->attr[0].name;
    TN_CHECK(strcmp(name, "sparse_value") != 0, TN_UNSUPPORTED,
             "a Constant with a sparse value; save the model with dense constants");
    TN_TRY(tn_onnx_attribute(importer, &node->attr[0], &attr));
    if (strcmp(name, "value") == 0 && attr.kind == TN_ATTR_TENSOR) {
        *out = attr.tensor;
        return NULL;
    }
    if (strcmp(name, "value_float") == 0 && attr.kind == TN_ATTR_FLOAT) {
        single = (float)attr.f;
        return make_tensor(importer, TN_DTYPE_F32, &single, 1, 0, out);
    }
    if (strcmp(name, "value_int") == 0 && attr.kind == TN_ATTR_INT)
        return make_tensor(importer, TN_DTYPE_I64, &attr.i, 1, 0, out);
    if (strcmp(name, "value_string") == 0 && attr.kind == TN_ATTR_TEXT)
        return make_tensor(importer, TN_DTYPE_STRING, &attr.text, 1, 0, out);
    if (strcmp(name, "value_floats") == 0 && attr.kind == TN_ATTR_FLOATS)
        return make_tensor(importer, TN_DTYPE_F32, attr.floats, attr.count, 1, out);
    if (strcmp(name, "value_ints") == 0 && attr.kind == TN_ATTR_INTS)
        return make_tensor(importer, TN_DTYPE_I64, attr.ints, attr.count, 1, out);
    if (strcmp(name, "value_strings") == 0 && attr.kind == TN_ATTR_TEXTS)
        return make_tensor(importer, TN_DTYPE_STRING, attr.texts, attr.count, 1, out);
    TN_FAIL(TN_INVALID, "a Constant's value stands in '%s', which is no form of value", name);
}
