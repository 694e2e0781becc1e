/* safetensors: 8 bytes with the length of a JSON header, the header, the data.
 *
 *     {"__metadata__": {"format": "pt"}, "fc.bias": {"dtype": "F32", "shape": [2],
 *      "data_offsets": [0, 8]}, ...}
 *
 * Dense, row-major, little-endian. The tensors must cover the data without holes or overlaps. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "import/checkpoint.h"
#include "import/pickle.h"

enum { HEADER_MAX = 100000000 };

static const struct {
    const char *name;
    tn_dtype dtype;
} types[] = {
    {"F32", TN_DTYPE_F32},        {"F16", TN_DTYPE_F16},
    {"BF16", TN_DTYPE_BF16},      {"F64", TN_DTYPE_F64},
    {"I64", TN_DTYPE_I64},        {"I32", TN_DTYPE_I32},
    {"I16", TN_DTYPE_I16},        {"I8", TN_DTYPE_I8},
    {"U8", TN_DTYPE_U8},          {"U16", TN_DTYPE_U16},
    {"U32", TN_DTYPE_U32},        {"U64", TN_DTYPE_U64},
    {"BOOL", TN_DTYPE_BOOL},      {"F8_E4M3", TN_DTYPE_F8E4M3FN},
    {"F8_E5M2", TN_DTYPE_F8E5M2}, {"F8_E8M0", TN_DTYPE_F8E8M0},
    {"C64", TN_DTYPE_C64},        {"F4", TN_DTYPE_F4E2M1},
};

typedef struct span {
    uint64_t begin, end;
    const char *name;
} span;

static int compare_spans(const void *a, const void *b)
{
    const span *x = a, *y = b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    return x->end < y->end ? -1 : x->end > y->end;
}

static tn_status read_dtype(const json_t *entry, tn_dtype *out)
{
    const char *name = json_string_value(json_object_get(entry, "dtype"));
    TN_CHECK(name, TN_CORRUPT, "it has no dtype");
    for (size_t i = 0; i < TN_COUNT(types); i++)
        if (strcmp(name, types[i].name) == 0) {
            *out = types[i].dtype;
            return NULL;
        }
    TN_FAIL(TN_UNSUPPORTED, "its dtype '%s' is not known", tn_show(name, strlen(name)).text);
}

static tn_status read_size(const json_t *array, size_t index, uint64_t *out)
{
    const json_t *number = json_array_get(array, index);
    TN_CHECK(json_is_integer(number) && json_integer_value(number) >= 0, TN_CORRUPT,
             "a dim or offset is not a whole number from 0 to 2^63");
    *out = (uint64_t)json_integer_value(number);
    return NULL;
}

static tn_status read_entry(const json_t *entry, uint64_t data_bytes, tn_tensor *view, span *at)
{
    const json_t *shape = json_object_get(entry, "shape");
    const json_t *offsets = json_object_get(entry, "data_offsets");
    uint64_t dim;
    *view = (tn_tensor){0};
    TN_CHECK(json_is_object(entry) && json_is_array(shape) && json_is_array(offsets) &&
                 json_array_size(offsets) == 2 && json_object_size(entry) == 3,
             TN_CORRUPT, "it is not described by dtype, shape and two data_offsets");
    TN_TRY(read_dtype(entry, &view->dtype));
    TN_CHECK(json_array_size(shape) <= TN_RANK_MAX, TN_UNSUPPORTED,
             "it has rank %zu; up to %d are supported", json_array_size(shape), TN_RANK_MAX);
    view->rank = (int32_t)json_array_size(shape);
    for (int32_t i = 0; i < view->rank; i++) {
        TN_TRY(read_size(shape, (size_t)i, &dim));
        view->dim[i] = (int64_t)dim;
    }
    TN_TRY(read_size(offsets, 0, &at->begin));
    TN_TRY(read_size(offsets, 1, &at->end));
    int64_t bytes = tn_tensor_bytes(view);
    TN_CHECK(bytes >= 0, TN_CORRUPT, "its shape overflows");
    TN_CHECK(tn_dtype_bits(view->dtype) >= 8 || tn_tensor_count(view) % 2 == 0, TN_CORRUPT,
             "its elements of 4 bits do not fill whole bytes");
    TN_CHECK(at->begin <= at->end && at->end <= data_bytes &&
                 at->end - at->begin == (uint64_t)bytes,
             TN_CORRUPT,
             "its data is at bytes %llu to %llu of %llu where dtype and shape need %lld bytes",
             (unsigned long long)at->begin, (unsigned long long)at->end,
             (unsigned long long)data_bytes, (long long)bytes);
    tn_tensor_set_dense(view);
    return NULL;
}

static tn_status check_cover(span *spans, size_t count, uint64_t data_bytes)
{
    uint64_t at = 0;
    if (count > 1) qsort(spans, count, sizeof(*spans), compare_spans);
    for (size_t i = 0; i < count; i++) {
        TN_CHECK(spans[i].begin == at, TN_CORRUPT,
                 "the data of '%s' begins at byte %llu where byte %llu is next: there must be no "
                 "holes and no overlaps",
                 tn_show(spans[i].name, strlen(spans[i].name)).text,
                 (unsigned long long)spans[i].begin, (unsigned long long)at);
        at = spans[i].end;
    }
    TN_CHECK(at == data_bytes, TN_CORRUPT,
             "the tensors take %llu bytes, but the file has %llu bytes of data: it is cut short or "
             "has something behind its data",
             (unsigned long long)at, (unsigned long long)data_bytes);
    return NULL;
}

static tn_status read_metadata(tn_checkpoint *c, json_t *metadata)
{
    const char *key;
    json_t *text;
    TN_CHECK(json_is_object(metadata), TN_CORRUPT, "__metadata__ is not an object");
    json_object_foreach(metadata, key, text)
    {
        TN_CHECK(json_is_string(text), TN_CORRUPT, "__metadata__ '%s' is not text",
                 tn_show(key, strlen(key)).text);
        const char *value = json_string_value(text);
        tn_checkpoint_say(c, "metadata: %s = %s", tn_show(key, strlen(key)).text,
                          tn_show(value, strlen(value)).text);
    }
    return NULL;
}

static tn_status read_entries(tn_checkpoint *c, json_t *header, const uint8_t *data,
                              uint64_t data_bytes, span *spans)
{
    const char *name;
    json_t *entry;
    size_t count = 0;
    tn_tensor view;
    json_object_foreach(header, name, entry)
    {
        if (strcmp(name, "__metadata__") == 0) {
            TN_TRY(read_metadata(c, entry));
            continue;
        }
        spans[count].name = name;
        TN_TRY_NOTE(read_entry(entry, data_bytes, &view, &spans[count]), "in tensor '%s'",
                    tn_show(name, strlen(name)).text);
        view.data = (void *)(uintptr_t)(data + spans[count].begin); /* read-only by contract */
        TN_TRY_NOTE(tn_checkpoint_settle(c, &view), "in tensor '%s'",
                    tn_show(name, strlen(name)).text);
        TN_TRY(tn_checkpoint_add(c, name, strlen(name), &view));
        count++;
    }
    TN_TRY(check_cover(spans, count, data_bytes));
    return NULL;
}

static tn_status read_header(tn_checkpoint *c, json_t *header, size_t header_bytes)
{
    size_t count = json_object_size(header), bytes;
    TN_CHECK(json_is_object(header), TN_CORRUPT, "the header is not a JSON object");
    TN_CHECK(tn_mul_size(count, sizeof(span), &bytes), TN_OUT_OF_MEMORY, "too many tensors");
    span *spans = tn_alloc(bytes);
    TN_CHECK(spans || !bytes, TN_OUT_OF_MEMORY, "no memory for %zu tensors", count);
    tn_status status = read_entries(c, header, c->bytes + 8 + header_bytes,
                                    c->byte_count - 8 - header_bytes, spans);
    tn_free(spans, bytes);
    return status;
}

tn_status tn_safetensors_read(tn_checkpoint *c)
{
    json_t *header;
    uint64_t bytes = 0;
    for (int i = 8; i-- > 0;) bytes = bytes << 8 | c->bytes[i];
    c->form = "safetensors";
    tn_checkpoint_say(c, "form: safetensors");
    TN_CHECK(bytes <= HEADER_MAX, TN_CORRUPT, "the header has %llu bytes; the format allows %d",
             (unsigned long long)bytes, HEADER_MAX);
    TN_CHECK(bytes <= c->byte_count - 8, TN_CORRUPT,
             "the header has %llu bytes, but the file ends after %zu", (unsigned long long)bytes,
             c->byte_count - 8);
    TN_TRY(tn_json_parse((const char *)c->bytes + 8, (size_t)bytes, "the header", &header));
    tn_status status = read_header(c, header, (size_t)bytes);
    json_decref(header);
    return status;
}
