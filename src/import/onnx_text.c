/* Messages in protobuf text format, as other ONNX tools print them:
 *
 *     name: "input"
 *     type {
 *       tensor_type {
 *         elem_type: 1
 *
 * Led by the descriptors, so that any message of onnx.proto prints. Nesting is bounded by the guard
 * that every unpacked message has passed.
 */
#include <string.h>

#include "import/onnx_import.h"

/* Names stay as they are (UTF-8); of bytes only ASCII is printed as such. */
static void print_quoted(const char *text, size_t bytes, bool is_name, tn_text *out)
{
    tn_text_append(out, "\"", 1);
    for (size_t i = 0; i < bytes; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '\n') tn_text_append(out, "\\n", 2);
        else if (c == '\r') tn_text_append(out, "\\r", 2);
        else if (c == '\t') tn_text_append(out, "\\t", 2);
        else if (c == '"' || c == '\'' || c == '\\') tn_text_printf(out, "\\%c", c);
        else if (c < 32 || c == 127 || (c > 127 && !is_name)) tn_text_printf(out, "\\%03o", c);
        else tn_text_append(out, &text[i], 1);
    }
    tn_text_append(out, "\"", 1);
}

/* Bytes an element of a repeated field takes in memory. */
static size_t element_bytes(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_DOUBLE: return 8;
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE: return sizeof(void *);
    case PROTOBUF_C_TYPE_BYTES: return sizeof(ProtobufCBinaryData);
    default: return 4;
    }
}

static void print_field(const ProtobufCFieldDescriptor *field, const void *at, int depth,
                        tn_text *out)
{
    tn_text_printf(out, "%*s%s", 2 * depth, "", field->name);
    switch (field->type) {
    case PROTOBUF_C_TYPE_MESSAGE:
        tn_text_append(out, " {\n", 3);
        tn_onnx_text(*(ProtobufCMessage *const *)at, depth + 1, out);
        tn_text_printf(out, "%*s}", 2 * depth, "");
        break;
    case PROTOBUF_C_TYPE_STRING: {
        const char *text = *(char *const *)at;
        tn_text_append(out, ": ", 2);
        print_quoted(text, strlen(text), true, out);
        break;
    }
    case PROTOBUF_C_TYPE_BYTES: {
        const ProtobufCBinaryData *data = at;
        tn_text_append(out, ": ", 2);
        print_quoted((const char *)data->data, data->len, false, out);
        break;
    }
    case PROTOBUF_C_TYPE_INT64:
        tn_text_printf(out, ": %lld", (long long)*(const int64_t *)at);
        break;
    case PROTOBUF_C_TYPE_UINT64:
        tn_text_printf(out, ": %llu", (unsigned long long)*(const uint64_t *)at);
        break;
    case PROTOBUF_C_TYPE_FLOAT: tn_text_printf(out, ": %.9g", (double)*(const float *)at); break;
    case PROTOBUF_C_TYPE_DOUBLE: tn_text_printf(out, ": %.17g", *(const double *)at); break;
    default: tn_text_printf(out, ": %d", *(const int32_t *)at);
    }
    tn_text_append(out, "\n", 1);
}

/* A singular field is there if its oneof chose it, its pointer is set, or its has_ flag is. */
static bool is_present(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    const char *base = (const char *)message;
    if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
        return *(const uint32_t *)(base + field->quantifier_offset) == field->id;
    if (field->type == PROTOBUF_C_TYPE_STRING || field->type == PROTOBUF_C_TYPE_MESSAGE)
        return *(void *const *)(base + field->offset) != NULL;
    return *(const protobuf_c_boolean *)(base + field->quantifier_offset) != 0;
}

void tn_onnx_text(const ProtobufCMessage *message, int depth, tn_text *out)
{
    const char *base = (const char *)message;
    for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
        if (field->label == PROTOBUF_C_LABEL_REPEATED) {
            size_t count = *(const size_t *)(base + field->quantifier_offset);
            const char *at = *(char *const *)(base + field->offset);
            for (size_t k = 0; k < count; k++)
                print_field(field, at + k * element_bytes(field->type), depth, out);
        } else if (is_present(message, field)) {
            print_field(field, base + field->offset, depth, out);
        }
    }
}
