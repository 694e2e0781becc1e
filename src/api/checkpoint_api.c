/* The public functions about checkpoints. */
#include <string.h>

#include "api/api.h"
#include "export/checkpoint_write.h"
#include "import/checkpoint.h"

bool tn_is_checkpoint(const char *path)
{
    tn_mapping file;
    if (!path || tn_file_map(path, &file)) return false;
    bool is = tn_checkpoint_is(file.at, file.bytes);
    tn_file_unmap(&file);
    return is;
}

tn_status tn_checkpoint_load(const char *path, tn_checkpoint **out)
{
    TN_NOT_NULL(path);
    TN_NOT_NULL(out);
    TN_TRY(tn_checkpoint_open(path, out));
    return NULL;
}

void tn_checkpoint_free(tn_checkpoint *checkpoint)
{
    tn_checkpoint_close(checkpoint);
}

int64_t tn_checkpoint_count(const tn_checkpoint *checkpoint)
{
    return checkpoint ? checkpoint->count : 0;
}

tn_status tn_checkpoint_tensor_at(const tn_checkpoint *checkpoint, int64_t index, const char **name,
                                  tn_tensor *out)
{
    TN_NOT_NULL(checkpoint);
    TN_NOT_NULL(out);
    TN_CHECK(index >= 0 && index < checkpoint->count, TN_INVALID,
             "tensor %lld of a checkpoint of %lld", (long long)index, (long long)checkpoint->count);
    if (name) *name = checkpoint->tensor[index].name;
    *out = checkpoint->tensor[index].view;
    return NULL;
}

tn_status tn_checkpoint_find(const tn_checkpoint *checkpoint, const char *name, tn_tensor *out)
{
    TN_NOT_NULL(checkpoint);
    TN_NOT_NULL(name);
    TN_NOT_NULL(out);
    const tn_checkpoint_tensor *found = tn_checkpoint_get(checkpoint, name);
    TN_CHECK(found, TN_NOT_FOUND, "the checkpoint has no tensor '%s' among its %lld", name,
             (long long)checkpoint->count);
    *out = found->view;
    return NULL;
}

const char *tn_checkpoint_note(const tn_checkpoint *checkpoint)
{
    return checkpoint && checkpoint->note.at ? checkpoint->note.at : "";
}

static bool ends_with(const char *text, const char *end)
{
    size_t text_bytes = strlen(text), end_bytes = strlen(end);
    return text_bytes >= end_bytes && strcmp(text + text_bytes - end_bytes, end) == 0;
}

tn_status tn_checkpoint_save(const char *path, const char *const *names, const tn_tensor *tensors,
                             int64_t count)
{
    TN_NOT_NULL(path);
    TN_CHECK(count >= 0 && (count == 0 || (names && tensors)), TN_INVALID,
             "tn_checkpoint_save: %lld tensors are announced, but names or tensors are NULL",
             (long long)count);
    bool torch = ends_with(path, ".pth") || ends_with(path, ".pt");
    TN_CHECK(torch || ends_with(path, ".safetensors"), TN_INVALID,
             "'%s': a checkpoint is written as .pth, .pt or .safetensors; the name must end in one "
             "of them",
             path);
    tn_status status = torch ? tn_torch_write(names, tensors, count, path)
                             : tn_safetensors_write(names, tensors, count, path);
    TN_TRY_NOTE(status, "while writing the checkpoint %s", path);
    return NULL;
}
