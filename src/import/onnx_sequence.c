/* Sequences and optionals in files of their own, as test data has them. */
#include "import/onnx_import.h"

void tn_onnx_sequence_free(tn_tensor *items, int64_t count)
{
    for (int64_t i = 0; items && i < count; i++) tn_tensor_free(&items[i]);
    if (items) tn_free(items, sizeof(*items) * (size_t)count);
}

static tn_status copy_tensor(tn_arena *arena, const TnOnnx__TensorProto *proto, tn_tensor *out)
{
    tn_tensor view;
    TN_TRY(tn_onnx_tensor(NULL, arena, proto, &view));
    if (view.dtype == TN_DTYPE_STRING)
        return tn_tensor_new_strings(view.dim, view.rank, view.data, out);
    TN_TRY(tn_tensor_new(view.dtype, view.dim, view.rank, out));
    return tn_tensor_count(&view) > 0 ? tn_tensor_copy(&view, out) : NULL;
}

static tn_status copy_all(tn_arena *arena, TnOnnx__TensorProto *const *proto, size_t proto_count,
                          tn_tensor **out, int64_t *count)
{
    tn_status status = NULL;
    *count = (int64_t)proto_count;
    if (proto_count == 0) return NULL;
    *out = tn_alloc_zero(sizeof(**out) * proto_count);
    TN_CHECK(*out, TN_OUT_OF_MEMORY, "no memory for a sequence of %zu tensors", proto_count);
    for (size_t i = 0; i < proto_count && !status; i++)
        status = copy_tensor(arena, proto[i], &(*out)[i]);
    if (!status) return NULL;
    tn_onnx_sequence_free(*out, *count);
    *out = NULL;
    *count = 0;
    return status;
}

static tn_status decode(tn_arena *arena, const void *bytes, size_t byte_count, bool optional,
                        tn_tensor **out, int64_t *count)
{
    const TnOnnx__SequenceProto *sequence = NULL;
    void *message;
    TN_TRY(tn_onnx_unpack(arena,
                          optional ? &tn_onnx__optional_proto__descriptor
                                   : &tn_onnx__sequence_proto__descriptor,
                          bytes, byte_count, optional ? "the optional" : "the sequence", &message));
    if (!optional) {
        sequence = message;
    } else {
        const TnOnnx__OptionalProto *proto = message;
        TN_CHECK(proto->elem_type == 0 || proto->elem_type == 1 || proto->elem_type == 3,
                 TN_UNSUPPORTED, "an optional of kind %d cannot be read", proto->elem_type);
        if (proto->tensor_value) return copy_all(arena, &proto->tensor_value, 1, out, count);
        sequence = proto->sequence_value;
        if (!sequence) {
            *count = -1;
            return NULL;
        }
    }
    TN_CHECK(sequence->elem_type == 1 || sequence->n_tensor_values == 0, TN_UNSUPPORTED,
             "a sequence of kind %d cannot be read", sequence->elem_type);
    return copy_all(arena, sequence->tensor_values, sequence->n_tensor_values, out, count);
}

tn_status tn_onnx_sequence_decode(const void *bytes, size_t byte_count, bool optional,
                                  tn_tensor **out, int64_t *count)
{
    tn_arena arena;
    *out = NULL;
    *count = 0;
    tn_arena_init(&arena);
    tn_status status = decode(&arena, bytes, byte_count, optional, out, count);
    tn_arena_fini(&arena);
    return status;
}
