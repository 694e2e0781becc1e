/* Tensor files: .npy and .pb, told apart by their contents when read and by name when written. */
#include <string.h>

#include "base/file.h"
#include "import/import.h"
#include "tensor/npy.h"

static tn_status load(const char *path, tn_tensor *out)
{
    tn_mapping mapping;
    TN_TRY(tn_file_map(path, &mapping));
    bool npy = tn_npy_is(mapping.at, mapping.bytes);
    tn_status status = npy ? tn_npy_decode(mapping.at, mapping.bytes, out)
                           : tn_onnx_tensor_decode(mapping.at, mapping.bytes, out);
    tn_file_unmap(&mapping);
    return status;
}

tn_status tn_tensor_load(const char *path, tn_tensor *out)
{
    TN_CHECK(path && out, TN_INVALID, "tn_tensor_load: path and out must not be NULL");
    memset(out, 0, sizeof(*out));
    TN_TRY_NOTE(load(path, out), "while reading the tensor file %s", path);
    return NULL;
}

static bool ends_with(const char *text, const char *end)
{
    size_t text_bytes = strlen(text), end_bytes = strlen(end);
    return text_bytes >= end_bytes && strcmp(text + text_bytes - end_bytes, end) == 0;
}

static tn_status encode(const tn_tensor *tensor, const char *path, tn_writer *out)
{
    if (ends_with(path, ".npy")) {
        TN_TRY(tn_npy_encode(tensor, out));
    } else {
        TN_CHECK(ends_with(path, ".pb"), TN_INVALID,
                 "'%s': a tensor is written as .npy or .pb; the name must end in one of them",
                 path);
        TN_TRY(tn_onnx_tensor_encode(tensor, out));
    }
    return NULL;
}

static tn_status save(const tn_writer *bytes, const char *path)
{
    tn_file_write file;
    TN_TRY(tn_file_write_begin(path, &file));
    tn_status status = tn_file_write_bytes(&file, bytes->at, bytes->count);
    if (!status) status = tn_file_write_commit(&file);
    tn_file_write_end(&file);
    return status;
}

tn_status tn_tensor_save(const tn_tensor *tensor, const char *path)
{
    tn_writer bytes = {0};
    TN_CHECK(tensor && path, TN_INVALID, "tn_tensor_save: tensor and path must not be NULL");
    tn_status status = encode(tensor, path, &bytes);
    if (!status) status = save(&bytes, path);
    tn_writer_fini(&bytes);
    TN_TRY_NOTE(status, "while writing the tensor file %s", path);
    return NULL;
}
