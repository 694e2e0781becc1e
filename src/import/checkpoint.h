/* Checkpoints: files of named tensors, told apart by their contents.
 *
 *     .pth, .pt   PyTorch's zip form (torch >= 1.6) and the legacy form of pickles in a row
 *     .safetensors
 *
 *     checkpoint.c     opens, and keeps names and notes
 *     zip.c            the entries of a zip archive, in place where they are stored
 *     pickle.c         the stack machine that runs nothing
 *     torch_tensor.c   what pickles say of storages and tensors
 *     torch_names.c    objects -> names: nested dicts and modules, without the optimizer's state
 *     torch_files.c    the two PyTorch forms as files
 *     safetensors.c
 *
 * Tensors point into the mapped file where they can: they are read-only, and live as long as the
 * checkpoint. What must be copied (compressed or unaligned data) is bounded by the file's size.
 */
#ifndef TN_IMPORT_CHECKPOINT_H
#define TN_IMPORT_CHECKPOINT_H

#include "base/file.h"
#include "base/map.h"
#include "base/text.h"
#include "tensor/tensor.h"

#define TN_CHECKPOINT_NAME_MAX 1023 /* bytes of a tensor's name */

typedef struct tn_checkpoint_tensor {
    const char *name;
    tn_tensor view; /* any strides, also overlapping; aligned to its elements; bools are 0 or 1 */
} tn_checkpoint_tensor;

struct tn_checkpoint {
    tn_arena arena;
    tn_checkpoint_tensor *tensor; /* in the file's order */
    int64_t count, capacity;
    const char *form;         /* "PyTorch zip", "PyTorch legacy", "safetensors" */
    const char *module_class; /* of a module saved whole: "__main__.Net"; NULL: a plain dict */
    const uint8_t *engine;    /* a TensorRT engine in a state dict of torch2trt; NULL: none */
    size_t engine_bytes;
    tn_text note; /* lines: the form, the class, what was left out */
    /* private */
    tn_map names; /* -> tensor index + 1 */
    tn_mapping mapping;
    const uint8_t *bytes; /* the whole file */
    size_t byte_count;
    int note_lines;
    int keepers;      /* how many beside its owner must close it */
    size_t copy_left; /* bytes that may still be copied or inflated */
};

/* Is this the beginning of a checkpoint of any form. 16 bytes are enough. */
bool tn_checkpoint_is(const void *bytes, size_t byte_count);
/* From memory, which must outlive the checkpoint. */
tn_status tn_checkpoint_read(const void *bytes, size_t byte_count, tn_checkpoint **out) TN_MUST_USE;
/* From a file, which is mapped. */
tn_status tn_checkpoint_open(const char *path, tn_checkpoint **out) TN_MUST_USE;
/* One more that must close it before it goes; any thread. */
void tn_checkpoint_keep(tn_checkpoint *checkpoint);
void tn_checkpoint_close(tn_checkpoint *checkpoint);
/* NULL: there is none. */
const tn_checkpoint_tensor *tn_checkpoint_get(const tn_checkpoint *checkpoint, const char *name);

/* ---- For the readers of the forms ------------------------------------------------------------*/

tn_status tn_checkpoint_add(tn_checkpoint *checkpoint, const char *name, size_t name_bytes,
                            const tn_tensor *view) TN_MUST_USE;
/* A line of the note; only so many are kept. */
void tn_checkpoint_say(tn_checkpoint *checkpoint, const char *format, ...) TN_PRINTF(2, 3);
/* Memory for a copy, within what the file's size allows. `what` is for messages. */
tn_status tn_checkpoint_copy_space(tn_checkpoint *checkpoint, size_t bytes, const char *what,
                                   uint8_t **out) TN_MUST_USE;
/* Make data of the view readable in place: aligned, bools 0 or 1, and no stride 0 in all dims
 * (which in a tn_tensor means dense). Copies where it is not. */
tn_status tn_checkpoint_settle(tn_checkpoint *checkpoint, tn_tensor *view) TN_MUST_USE;

tn_status tn_safetensors_read(tn_checkpoint *checkpoint) TN_MUST_USE;
tn_status tn_torch_zip_read(tn_checkpoint *checkpoint) TN_MUST_USE;
tn_status tn_torch_legacy_read(tn_checkpoint *checkpoint) TN_MUST_USE;

#endif
