/* safetensors: a JSON header in the given order; the data by width, widest first, so that every
 * tensor is aligned to its elements. */
#include <string.h>

#include "export/checkpoint_write.h"

enum { HEADER_ALIGNMENT = 64, WIDEST = 128 };

static const char *type_name(tn_dtype dtype)
{
    switch (dtype) {
    case TN_DTYPE_F32: return "F32";
    case TN_DTYPE_F16: return "F16";
    case TN_DTYPE_BF16: return "BF16";
    case TN_DTYPE_F64: return "F64";
    case TN_DTYPE_I64: return "I64";
    case TN_DTYPE_I32: return "I32";
    case TN_DTYPE_I16: return "I16";
    case TN_DTYPE_I8: return "I8";
    case TN_DTYPE_U64: return "U64";
    case TN_DTYPE_U32: return "U32";
    case TN_DTYPE_U16: return "U16";
    case TN_DTYPE_U8: return "U8";
    case TN_DTYPE_BOOL: return "BOOL";
    case TN_DTYPE_F8E4M3FN: return "F8_E4M3";
    case TN_DTYPE_F8E5M2: return "F8_E5M2";
    case TN_DTYPE_F8E8M0: return "F8_E8M0";
    case TN_DTYPE_C64: return "C64";
    default: return NULL;
    }
}

static void print_json_text(tn_text *out, const char *text)
{
    tn_text_append(out, "\"", 1);
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\') tn_text_printf(out, "\\%c", c);
        else if (c < 0x20) tn_text_printf(out, "\\u%04x", c);
        else tn_text_append(out, text, 1);
    }
    tn_text_append(out, "\"", 1);
}

/* Where each tensor begins: a pass for each width. */
static void place(const tn_tensor *tensors, int64_t count, uint64_t *begin)
{
    uint64_t at = 0;
    for (int bits = WIDEST; bits >= 8; bits /= 2)
        for (int64_t i = 0; i < count; i++) {
            if (tn_dtype_bits(tensors[i].dtype) != bits) continue;
            begin[i] = at;
            at += (uint64_t)tn_tensor_bytes(&tensors[i]);
        }
}

static tn_status print_header(const char *const *names, const tn_tensor *tensors, int64_t count,
                              const uint64_t *begin, tn_text *out)
{
    tn_text_printf(out, "{\"__metadata__\":{\"format\":\"pt\"}");
    for (int64_t i = 0; i < count; i++) {
        const tn_tensor *t = &tensors[i];
        const char *type = type_name(t->dtype);
        TN_CHECK(type, TN_UNSUPPORTED, "tensor '%s': safetensors have no type %s", names[i],
                 tn_dtype_name(t->dtype));
        TN_CHECK(strcmp(names[i], "__metadata__") != 0, TN_INVALID,
                 "no tensor can be named '__metadata__' in safetensors");
        tn_text_append(out, ",", 1);
        print_json_text(out, names[i]);
        tn_text_printf(out, ":{\"dtype\":\"%s\",\"shape\":[", type);
        for (int axis = 0; axis < t->rank; axis++)
            tn_text_printf(out, "%s%lld", axis ? "," : "", (long long)t->dim[axis]);
        tn_text_printf(out, "],\"data_offsets\":[%llu,%llu]}", (unsigned long long)begin[i],
                       (unsigned long long)(begin[i] + (uint64_t)tn_tensor_bytes(t)));
    }
    tn_text_append(out, "}", 1);
    while (!out->failed && (out->bytes + 8) % HEADER_ALIGNMENT != 0) tn_text_append(out, " ", 1);
    TN_CHECK(!out->failed, TN_OUT_OF_MEMORY, "no memory for a header");
    return NULL;
}

static tn_status write_all(const tn_tensor *tensors, int64_t count, const tn_text *header,
                           tn_file_write *file)
{
    uint8_t length[8];
    for (int i = 0; i < 8; i++) length[i] = (uint8_t)((uint64_t)header->bytes >> (8 * i));
    TN_TRY(tn_file_write_bytes(file, length, sizeof(length)));
    TN_TRY(tn_file_write_bytes(file, header->at, header->bytes));
    for (int bits = WIDEST; bits >= 8; bits /= 2)
        for (int64_t i = 0; i < count; i++) {
            tn_tensor copy;
            const void *data;
            if (tn_dtype_bits(tensors[i].dtype) != bits) continue;
            TN_TRY(tn_dense_bytes(&tensors[i], &copy, &data));
            tn_status status =
                tn_file_write_bytes(file, data, (size_t)tn_tensor_bytes(&tensors[i]));
            tn_tensor_free(&copy);
            TN_TRY(status);
        }
    TN_TRY(tn_file_write_commit(file));
    return NULL;
}

tn_status tn_safetensors_write(const char *const *names, const tn_tensor *tensors, int64_t count,
                               const char *path)
{
    tn_text header = {0};
    tn_file_write file;
    size_t bytes;
    TN_TRY(tn_checkpoint_check(names, tensors, count));
    TN_CHECK(tn_mul_size((size_t)count, sizeof(uint64_t), &bytes), TN_OUT_OF_MEMORY,
             "no memory for %lld tensors", (long long)count);
    uint64_t *begin = tn_alloc(bytes);
    TN_CHECK(begin || !bytes, TN_OUT_OF_MEMORY, "no memory for %lld tensors", (long long)count);
    place(tensors, count, begin);
    tn_status status = print_header(names, tensors, count, begin, &header);
    if (!status) status = tn_file_write_begin(path, &file);
    if (!status) {
        status = write_all(tensors, count, &header, &file);
        tn_file_write_end(&file);
    }
    tn_text_fini(&header);
    tn_free(begin, bytes);
    return status;
}
