/* TensorProto -> tn_tensor. The data stands in raw_data, or in the typed list that the element type
 * prescribes, or in another file. Sizes are checked against the dims before anything is made, and
 * nothing is copied that already has the right form. */
#include <string.h>

#include "import/onnx_import.h"

static const char *tensor_name(const TnOnnx__TensorProto *proto)
{
    return proto->name && proto->name[0] ? proto->name : "(without a name)";
}

/* Type and shape, with products that cannot overflow: zero dims do not excuse the others. */
static tn_status read_shape(const TnOnnx__TensorProto *proto, tn_tensor *out)
{
    const char *name = tensor_name(proto);
    int64_t dim[TN_RANK_MAX], product = 1, bytes;
    TN_CHECK(proto->data_type != 0, TN_INVALID, "tensor '%s' has no element type", name);
    TN_CHECK(tn_dtype_valid(proto->data_type), TN_UNSUPPORTED,
             "tensor '%s' has element type %d, which is not known", name, proto->data_type);
    TN_CHECK(proto->n_dims <= TN_RANK_MAX, TN_UNSUPPORTED,
             "tensor '%s' has %zu dimensions; at most %d are supported", name, proto->n_dims,
             TN_RANK_MAX);
    for (size_t i = 0; i < proto->n_dims; i++) {
        dim[i] = proto->dims[i];
        TN_CHECK(dim[i] >= 0, TN_INVALID, "tensor '%s': dimension %zu is %lld", name, i,
                 (long long)dim[i]);
        TN_CHECK(!dim[i] ||
                     (tn_mul_i64(product, dim[i], &product) && tn_mul_i64(product, 16, &bytes)),
                 TN_INVALID, "tensor '%s' is too large: its dimensions multiply beyond 2^59", name);
    }
    *out = tn_tensor_of((tn_dtype)proto->data_type, dim, (int)proto->n_dims, NULL);
    return NULL;
}

static tn_status check_count(const TnOnnx__TensorProto *proto, const tn_tensor *t,
                             const char *field, size_t given, uint64_t wanted)
{
    char type[160];
    TN_CHECK(given == wanted, TN_INVALID,
             "tensor '%s', %s: %s holds %zu items where %llu are needed", tensor_name(proto),
             tn_tensor_type_text(t, type, sizeof(type)), field, given, (unsigned long long)wanted);
    return NULL;
}

/* int32_data holds everything up to 32 bits: floats by their bits, packed types a byte an item. */
static tn_status read_int32(tn_arena *arena, const TnOnnx__TensorProto *proto, uint64_t bytes,
                            tn_tensor *t)
{
    int bits = tn_dtype_bits(t->dtype);
    uint64_t width = bits < 8 ? 1 : (uint64_t)bits / 8;
    TN_TRY(check_count(proto, t, "int32_data", proto->n_int32_data, bytes / width));
    if (t->dtype == TN_DTYPE_I32) {
        t->data = proto->int32_data;
        return NULL;
    }
    uint8_t *at = tn_arena_alloc(arena, bytes);
    TN_CHECK(at, TN_OUT_OF_MEMORY, "no memory for tensor '%s'", tensor_name(proto));
    for (size_t i = 0; i < proto->n_int32_data; i++) {
        uint32_t value = (uint32_t)proto->int32_data[i];
        if (t->dtype == TN_DTYPE_BOOL) value = value != 0;
        if (width == 1) {
            at[i] = (uint8_t)value;
        } else {
            uint16_t narrow = (uint16_t)value;
            memcpy(at + 2 * i, &narrow, 2);
        }
    }
    t->data = at;
    return NULL;
}

static tn_status read_strings(tn_arena *arena, const TnOnnx__TensorProto *proto, uint64_t count,
                              tn_tensor *t)
{
    TN_TRY(check_count(proto, t, "string_data", proto->n_string_data, count));
    tn_string *at = TN_NEW_ARRAY(arena, tn_string, count);
    TN_CHECK(at, TN_OUT_OF_MEMORY, "no memory for tensor '%s'", tensor_name(proto));
    for (size_t i = 0; i < proto->n_string_data; i++) {
        at[i].text = proto->string_data[i].len ? (const char *)proto->string_data[i].data : "";
        at[i].bytes = proto->string_data[i].len;
    }
    t->data = at;
    return NULL;
}

/* The typed lists: which one it is hangs on the element type. */
static tn_status read_typed(tn_arena *arena, const TnOnnx__TensorProto *proto, uint64_t count,
                            uint64_t bytes, tn_tensor *t)
{
    switch (t->dtype) {
    case TN_DTYPE_STRING: return read_strings(arena, proto, count, t);
    case TN_DTYPE_F32:
    case TN_DTYPE_C64:
        t->data = proto->float_data;
        return check_count(proto, t, "float_data", proto->n_float_data, bytes / 4);
    case TN_DTYPE_F64:
    case TN_DTYPE_C128:
        t->data = proto->double_data;
        return check_count(proto, t, "double_data", proto->n_double_data, bytes / 8);
    case TN_DTYPE_I64:
        t->data = proto->int64_data;
        return check_count(proto, t, "int64_data", proto->n_int64_data, count);
    case TN_DTYPE_U64:
        t->data = proto->uint64_data;
        return check_count(proto, t, "uint64_data", proto->n_uint64_data, count);
    case TN_DTYPE_U32: {
        TN_TRY(check_count(proto, t, "uint64_data", proto->n_uint64_data, count));
        uint32_t *at = TN_NEW_ARRAY(arena, uint32_t, count);
        TN_CHECK(at, TN_OUT_OF_MEMORY, "no memory for tensor '%s'", tensor_name(proto));
        for (size_t i = 0; i < proto->n_uint64_data; i++) at[i] = (uint32_t)proto->uint64_data[i];
        t->data = at;
        return NULL;
    }
    default: return read_int32(arena, proto, bytes, t);
    }
}

tn_status tn_onnx_tensor(tn_onnx_importer *importer, tn_arena *arena,
                         const TnOnnx__TensorProto *proto, tn_tensor *out)
{
    char type[160];
    TN_CHECK(!proto->has_segment, TN_UNSUPPORTED,
             "tensor '%s' is stored in segments, or is a sequence of tensors; neither can be read",
             tensor_name(proto));
    TN_TRY(read_shape(proto, out));
    uint64_t count = (uint64_t)tn_tensor_count(out);
    uint64_t bytes = (uint64_t)tn_dtype_bytes(out->dtype, (int64_t)count);
    tn_tensor_type_text(out, type, sizeof(type));
    if (proto->data_location == 1) {
        TN_TRY_NOTE(tn_onnx_external(importer, proto, out), "while reading tensor '%s', %s",
                    tensor_name(proto), type);
    } else if (proto->has_raw_data) {
        TN_CHECK(out->dtype != TN_DTYPE_STRING, TN_INVALID,
                 "tensor '%s': strings cannot stand in raw_data", tensor_name(proto));
        TN_CHECK(proto->raw_data.len == bytes, TN_INVALID,
                 "tensor '%s', %s: raw_data holds %zu bytes where %llu are needed",
                 tensor_name(proto), type, proto->raw_data.len, (unsigned long long)bytes);
        out->data = proto->raw_data.data;
        /* The message is our own copy: bools are made 0 or 1 in place. */
        if (out->dtype == TN_DTYPE_BOOL)
            for (uint64_t i = 0; i < bytes; i++)
                proto->raw_data.data[i] = proto->raw_data.data[i] != 0;
    } else if (count) {
        TN_TRY(read_typed(arena, proto, count, bytes, out));
    }
    if (!count || !out->data) {
        out->data = tn_arena_alloc(arena, 0);
        TN_CHECK(out->data, TN_OUT_OF_MEMORY, "no memory for tensor '%s'", tensor_name(proto));
    }
    return NULL;
}

static tn_status decode(tn_arena *arena, const void *bytes, size_t byte_count, tn_tensor *out)
{
    void *message;
    tn_tensor view;
    TN_TRY(tn_onnx_unpack(arena, &tn_onnx__tensor_proto__descriptor, bytes, byte_count,
                          "the tensor", &message));
    TN_TRY(tn_onnx_tensor(NULL, arena, message, &view));
    if (view.dtype == TN_DTYPE_STRING)
        return tn_tensor_new_strings(view.dim, view.rank, view.data, out);
    TN_TRY(tn_tensor_new(view.dtype, view.dim, view.rank, out));
    size_t data_bytes = (size_t)tn_tensor_bytes(&view);
    if (data_bytes) memcpy(out->data, view.data, data_bytes);
    return NULL;
}

tn_status tn_onnx_tensor_decode(const void *bytes, size_t byte_count, tn_tensor *out)
{
    tn_arena arena;
    memset(out, 0, sizeof(*out));
    tn_arena_init(&arena);
    tn_status status = decode(&arena, bytes, byte_count, out);
    tn_arena_fini(&arena);
    return status;
}
