/* A state dict as torch.save writes it: a zip of stored entries,
 *
 *     NAME/data.pkl   NAME/byteorder   NAME/data/0 ...   NAME/version
 *
 * each with its data on a multiple of 64 bytes, by an extra field of padding in its header.
 * data.pkl is protocol 2 and uses nothing that torch.load(weights_only=True) would refuse. Each
 * tensor has a storage of its own. Sizes and offsets beyond 32 bits get zip64 fields; smaller files
 * have none.
 */
#include <stdio.h>
#include <string.h>
#include <zlib.h>

#include "base/bytes.h"
#include "export/checkpoint_write.h"

enum { DATA_ALIGNMENT = 64, LOCAL_BYTES = 30, WIDE_EXTRA_BYTES = 20, PADDING_HEAD = 4 };

static const char *storage_class(tn_dtype dtype)
{
    switch (dtype) {
    case TN_DTYPE_F32: return "FloatStorage";
    case TN_DTYPE_F64: return "DoubleStorage";
    case TN_DTYPE_F16: return "HalfStorage";
    case TN_DTYPE_BF16: return "BFloat16Storage";
    case TN_DTYPE_I64: return "LongStorage";
    case TN_DTYPE_I32: return "IntStorage";
    case TN_DTYPE_I16: return "ShortStorage";
    case TN_DTYPE_I8: return "CharStorage";
    case TN_DTYPE_U8: return "ByteStorage";
    case TN_DTYPE_BOOL: return "BoolStorage";
    case TN_DTYPE_C64: return "ComplexFloatStorage";
    case TN_DTYPE_C128: return "ComplexDoubleStorage";
    default: return NULL;
    }
}

/* ---- The pickle -------------------------------------------------------------------------------*/

static void put_number(tn_writer *out, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++) tn_write_u8(out, (uint8_t)(value >> (8 * i)));
}

static void put_chars(tn_writer *out, const char *text)
{
    tn_write_bytes(out, text, strlen(text));
}

static void pickle_integer(tn_writer *out, int64_t value)
{
    if (value < 256) {
        tn_write_u8(out, 'K');
        put_number(out, (uint64_t)value, 1);
    } else if (value <= INT32_MAX) {
        tn_write_u8(out, 'J');
        put_number(out, (uint64_t)value, 4);
    } else {
        tn_write_u8(out, 0x8A); /* LONG1 */
        tn_write_u8(out, 8);
        put_number(out, (uint64_t)value, 8);
    }
}

static void pickle_text(tn_writer *out, const char *text)
{
    tn_write_u8(out, 'X');
    put_number(out, strlen(text), 4);
    put_chars(out, text);
}

static void pickle_integers(tn_writer *out, const int64_t *values, int count)
{
    tn_write_u8(out, '(');
    for (int i = 0; i < count; i++) pickle_integer(out, values[i]);
    tn_write_u8(out, 't');
}

static const char ordered_dict[] = "ccollections\nOrderedDict\n)R";

static tn_status pickle_tensor(tn_writer *out, const char *name, const tn_tensor *t, int64_t key)
{
    char number[24];
    tn_tensor dense = *t;
    const char *class = storage_class(t->dtype);
    TN_CHECK(class, TN_UNSUPPORTED,
             "tensor '%s': torch's zip form has no storage of type %s; safetensors may have", name,
             tn_dtype_name(t->dtype));
    TN_CHECK(strlen(name) <= UINT32_MAX, TN_INVALID, "a name is too long");
    tn_tensor_set_dense(&dense);
    snprintf(number, sizeof(number), "%lld", (long long)key);
    pickle_text(out, name);
    put_chars(out, "ctorch._utils\n_rebuild_tensor_v2\n((");
    pickle_text(out, "storage");
    put_chars(out, "ctorch\n");
    put_chars(out, class);
    put_chars(out, "\n");
    pickle_text(out, number);
    pickle_text(out, "cpu");
    pickle_integer(out, tn_tensor_count(t));
    put_chars(out, "tQ");
    pickle_integer(out, 0);
    pickle_integers(out, dense.dim, dense.rank);
    pickle_integers(out, dense.stride, dense.rank);
    tn_write_u8(out, 0x89); /* requires_grad: False */
    put_chars(out, ordered_dict);
    put_chars(out, "tR");
    return NULL;
}

static tn_status pickle_all(tn_writer *out, const char *const *names, const tn_tensor *tensors,
                            int64_t count)
{
    put_chars(out, "\x80\x02");
    put_chars(out, ordered_dict);
    put_chars(out, "(");
    for (int64_t i = 0; i < count; i++) TN_TRY(pickle_tensor(out, names[i], &tensors[i], i));
    put_chars(out, "u.");
    TN_TRY(tn_writer_check(out));
    return NULL;
}

/* ---- The archive ------------------------------------------------------------------------------*/

typedef struct archive {
    tn_file_write file;
    const char *folder; /* "model" */
    size_t folder_bytes;
    tn_writer directory;
    uint64_t count;
} archive;

/* The zip64 extra field of a header: both sizes and, in the directory, the offset. */
static void put_wide(tn_writer *out, uint64_t bytes, uint64_t at, bool with_offset)
{
    put_number(out, 1, 2);
    put_number(out, with_offset ? 24 : 16, 2);
    tn_write_u64(out, bytes);
    tn_write_u64(out, bytes);
    if (with_offset) tn_write_u64(out, at);
}

/* What local header and directory have in common, from "version needed" to the name's length. */
static void put_about(tn_writer *out, bool wide, uint32_t crc, uint64_t bytes, size_t name_bytes)
{
    enum { YEAR_1980 = 1 << 5 | 1 }; /* of a file without a time: the same bytes every day */
    put_number(out, wide ? 45 : 20, 2);
    put_number(out, 1 << 11, 2); /* names are UTF-8 */
    put_number(out, 0, 2);       /* stored */
    put_number(out, 0, 2);
    put_number(out, YEAR_1980, 2);
    put_number(out, crc, 4);
    for (int i = 0; i < 2; i++) put_number(out, wide ? UINT32_MAX : bytes, 4);
    put_number(out, name_bytes, 2);
}

static void put_name(tn_writer *out, const archive *a, const char *name)
{
    tn_write_bytes(out, a->folder, a->folder_bytes);
    tn_write_u8(out, '/');
    put_chars(out, name);
}

static tn_status add_entry(archive *a, const char *name, const void *data, uint64_t bytes)
{
    tn_writer local = {0};
    uint64_t at = a->file.bytes;
    size_t name_bytes = a->folder_bytes + 1 + strlen(name);
    bool wide = bytes >= UINT32_MAX || at >= UINT32_MAX;
    uint64_t before = at + LOCAL_BYTES + name_bytes + (wide ? WIDE_EXTRA_BYTES : 0) + PADDING_HEAD;
    size_t padding = (size_t)(-before % DATA_ALIGNMENT);
    uint32_t crc = (uint32_t)crc32_z(0, Z_NULL, 0);
    if (bytes) crc = (uint32_t)crc32_z(crc, data, (z_size_t)bytes);
    put_chars(&local, "PK\3\4");
    put_about(&local, wide, crc, bytes, name_bytes);
    put_number(&local, (wide ? WIDE_EXTRA_BYTES : 0) + PADDING_HEAD + padding, 2);
    put_name(&local, a, name);
    if (wide) put_wide(&local, bytes, at, false);
    put_chars(&local, "FB");
    put_number(&local, padding, 2);
    for (size_t i = 0; i < padding; i++) tn_write_u8(&local, 'Z');
    tn_status status = tn_writer_check(&local);
    if (!status) status = tn_file_write_bytes(&a->file, local.at, local.count);
    if (!status && bytes) status = tn_file_write_bytes(&a->file, data, (size_t)bytes);
    tn_writer_fini(&local);
    TN_TRY(status);

    put_chars(&a->directory, "PK\1\2");
    put_number(&a->directory, 45, 2); /* made by: version 4.5 of the format */
    put_about(&a->directory, wide, crc, bytes, name_bytes);
    put_number(&a->directory, wide ? WIDE_EXTRA_BYTES + 8 : 0, 2);
    put_number(&a->directory, 0, 2 + 2 + 2); /* comment, disk, kind */
    put_number(&a->directory, 0, 4);
    put_number(&a->directory, wide ? UINT32_MAX : at, 4);
    put_name(&a->directory, a, name);
    if (wide) put_wide(&a->directory, bytes, at, true);
    a->count++;
    return NULL;
}

static tn_status finish(archive *a)
{
    uint64_t at = a->file.bytes, bytes = a->directory.count, end = at + bytes;
    bool wide = at >= UINT32_MAX || bytes >= UINT32_MAX || a->count >= UINT16_MAX;
    tn_writer *out = &a->directory;
    if (wide) {
        put_chars(out, "PK\6\6");
        tn_write_u64(out, 44); /* bytes that follow */
        put_number(out, 45, 2);
        put_number(out, 45, 2);
        tn_write_u64(out, 0); /* disks */
        tn_write_u64(out, a->count);
        tn_write_u64(out, a->count);
        tn_write_u64(out, bytes);
        tn_write_u64(out, at);
        put_chars(out, "PK\6\7");
        put_number(out, 0, 4);
        tn_write_u64(out, end);
        put_number(out, 1, 4);
    }
    put_chars(out, "PK\5\6");
    put_number(out, 0, 4);
    for (int i = 0; i < 2; i++) put_number(out, wide ? UINT16_MAX : a->count, 2);
    put_number(out, wide ? UINT32_MAX : bytes, 4);
    put_number(out, wide ? UINT32_MAX : at, 4);
    put_number(out, 0, 2);
    TN_TRY(tn_writer_check(out));
    TN_TRY(tn_file_write_bytes(&a->file, out->at, out->count));
    TN_TRY(tn_file_write_commit(&a->file));
    return NULL;
}

static tn_status write_all(archive *a, const tn_writer *pickle, const tn_tensor *tensors,
                           int64_t count)
{
    TN_TRY(add_entry(a, "data.pkl", pickle->at, pickle->count));
    TN_TRY(add_entry(a, "byteorder", "little", 6));
    for (int64_t i = 0; i < count; i++) {
        char name[32];
        tn_tensor copy;
        const void *data;
        snprintf(name, sizeof(name), "data/%lld", (long long)i);
        TN_TRY(tn_dense_bytes(&tensors[i], &copy, &data));
        tn_status status = add_entry(a, name, data, (uint64_t)tn_tensor_bytes(&tensors[i]));
        tn_tensor_free(&copy);
        TN_TRY(status);
    }
    TN_TRY(add_entry(a, "version", "3\n", 2));
    TN_TRY(finish(a));
    return NULL;
}

/* The file's name without folder and ending, as torch does. */
static void find_folder(archive *a, const char *path)
{
    enum { FOLDER_MAX = 1024 };
    const char *slash = strrchr(path, '/');
    a->folder = slash ? slash + 1 : path;
    const char *dot = strrchr(a->folder, '.');
    a->folder_bytes = dot ? (size_t)(dot - a->folder) : strlen(a->folder);
    if (a->folder_bytes > 0 && a->folder_bytes <= FOLDER_MAX) return;
    a->folder = "archive";
    a->folder_bytes = strlen(a->folder);
}

tn_status tn_torch_write(const char *const *names, const tn_tensor *tensors, int64_t count,
                         const char *path)
{
    archive a = {0};
    tn_writer pickle = {0};
    TN_TRY(tn_checkpoint_check(names, tensors, count));
    find_folder(&a, path);
    tn_status status = pickle_all(&pickle, names, tensors, count);
    if (!status) status = tn_file_write_begin(path, &a.file);
    if (!status) {
        status = write_all(&a, &pickle, tensors, count);
        tn_file_write_end(&a.file);
    }
    tn_writer_fini(&a.directory);
    tn_writer_fini(&pickle);
    return status;
}
