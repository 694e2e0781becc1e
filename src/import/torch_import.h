/* Private to the readers of PyTorch files: what stands between the pickle and the checkpoint. */
#ifndef TN_IMPORT_TORCH_IMPORT_H
#define TN_IMPORT_TORCH_IMPORT_H

#include "import/checkpoint.h"
#include "import/pickle.h"

/* A block of raw data of the file, by its key. */
typedef struct tn_torch_storage {
    struct tn_torch_storage *next;
    const char *key;
    uint64_t bytes; /* that the pickle says it has */
    uint32_t width; /* of an element, by the first mention */
    size_t op_at;   /* where it is first mentioned */
    const uint8_t *data;
    uint64_t data_bytes; /* that the file has */
    bool located;
} tn_torch_storage;

/* What a persistent id gives: a typed look at a storage, or (legacy) at a part of it. */
typedef struct tn_torch_view {
    tn_torch_storage *storage;
    tn_dtype dtype; /* U8 for an untyped one */
    uint64_t begin, bytes;
} tn_torch_view;

/* What a call of a rebuild function gives. Checked: the elements lie within the view. */
typedef struct tn_torch_tensor {
    const tn_torch_view *view;
    tn_tensor shape;     /* dtype, dims, strides; no data */
    uint64_t data_begin; /* bytes from the start of the storage */
    uint64_t data_end;   /* behind the last element */
} tn_torch_tensor;

typedef struct tn_torch {
    tn_checkpoint *checkpoint;
    tn_arena arena; /* of the pickle's values, gone when the names are known */
    tn_map storages;
    tn_torch_storage *first;
    /* Set data and data_bytes of a storage that is needed. */
    tn_status (*locate)(struct tn_torch *torch, tn_torch_storage *storage);
    void *self; /* of locate */
} tn_torch;

/* A pickle over the bytes, with the hooks that make storages and tensors. */
tn_pickle tn_torch_pickle(tn_torch *torch, const char *what, const uint8_t *bytes, size_t count);

/* Tensors of the value into the checkpoint, under their names. `pickle_bytes` bounds the walk. */
tn_status tn_torch_name_all(tn_torch *torch, tn_pickle_value *root,
                            size_t pickle_bytes) TN_MUST_USE;

#endif
