/* tn_tensor -> TensorProto bytes: dims, type, and raw_data or strings. */
#include <string.h>

#include "import/import.h"
#include "tensor/tensor.h"

/* Tags are (field number << 3) | wire type. */
enum {
    TAG_DIMS = 1 << 3,
    TAG_TYPE = 2 << 3,
    TAG_STRING = (6 << 3) | 2,
    TAG_RAW = (9 << 3) | 2,
};

static void write_varint(tn_writer *out, uint64_t value)
{
    while (value >= 0x80) {
        tn_write_u8(out, (uint8_t)(value | 0x80));
        value >>= 7;
    }
    tn_write_u8(out, (uint8_t)value);
}

static void write_dense(const tn_tensor *t, tn_writer *out)
{
    write_varint(out, TAG_TYPE);
    write_varint(out, (uint64_t)t->dtype);
    if (t->dtype == TN_DTYPE_STRING) {
        const tn_string *text = t->data;
        for (int64_t i = 0; i < tn_tensor_count(t); i++) {
            write_varint(out, TAG_STRING);
            write_varint(out, text[i].bytes);
            if (text[i].bytes) tn_write_bytes(out, text[i].text, text[i].bytes);
        }
        return;
    }
    size_t bytes = (size_t)tn_tensor_bytes(t);
    write_varint(out, TAG_RAW);
    write_varint(out, bytes);
    if (bytes) tn_write_bytes(out, t->data, bytes);
}

tn_status tn_onnx_tensor_encode(const tn_tensor *tensor, tn_writer *out)
{
    TN_CHECK(tn_dtype_valid((int)tensor->dtype) && tn_tensor_bytes(tensor) >= 0, TN_INVALID,
             "a tensor without a type or with a shape that overflows cannot be written");
    for (int32_t i = 0; i < tensor->rank; i++) {
        write_varint(out, TAG_DIMS);
        write_varint(out, (uint64_t)tensor->dim[i]);
    }
    if (tn_tensor_is_dense(tensor)) {
        write_dense(tensor, out);
        return tn_writer_check(out);
    }
    tn_tensor dense = *tensor;
    size_t bytes = (size_t)tn_tensor_bytes(tensor);
    tn_tensor_set_dense(&dense);
    dense.data = tn_alloc(TN_MAX(bytes, (size_t)1));
    TN_CHECK(dense.data, TN_OUT_OF_MEMORY, "no memory to write a tensor of %zu bytes", bytes);
    tn_status status = tn_tensor_copy(tensor, &dense);
    if (!status) {
        write_dense(&dense, out);
        status = tn_writer_check(out);
    }
    tn_free(dense.data, TN_MAX(bytes, (size_t)1));
    return status;
}
