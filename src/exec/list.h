/* Sequences and optionals in a run: a list of tensors that owns their memory and keeps it when it
 * gets shorter, so that a list that is filled anew and anew stops allocating. */
#ifndef TN_EXEC_LIST_H
#define TN_EXEC_LIST_H

#include "base/memory.h"
#include "device/device.h"
#include "tensor/tensor.h"

typedef struct tn_buffer {
    void *at;
    size_t bytes;
    tn_card *card; /* NULL: plain memory; else memory that the card can reach ... */
    bool on_card;  /* ... or its own, which the host cannot */
} tn_buffer;

tn_status tn_buffer_grow(tn_buffer *buffer, size_t bytes, const char *what) TN_MUST_USE;
/* The same, and the first `kept` bytes stay. */
tn_status tn_buffer_extend(tn_buffer *buffer, size_t kept, size_t bytes,
                           const char *what) TN_MUST_USE;
void tn_buffer_fini(tn_buffer *buffer);

typedef struct tn_list_item {
    tn_tensor tensor; /* dense */
    tn_buffer memory; /* the elements; of strings, their characters too */
} tn_list_item;

typedef struct tn_list {
    bool present; /* an optional: is there anything; a sequence is always present */
    int64_t count, capacity;
    tn_list_item *item;
} tn_list;

void tn_list_fini(tn_list *list);
/* Room for items; those beyond the old count are undefined until they are set. */
tn_status tn_list_resize(tn_list *list, int64_t count) TN_MUST_USE;
/* Memory for an item of this type; its data is undefined. Not for strings. */
tn_status tn_list_make_item(tn_list *list, int64_t index, const tn_tensor *type) TN_MUST_USE;
/* A copy of a tensor with any strides. */
tn_status tn_list_set_item(tn_list *list, int64_t index, const tn_tensor *tensor) TN_MUST_USE;
tn_status tn_list_copy(const tn_list *from, tn_list *to) TN_MUST_USE;
/* Items [index, count) move up by one; item `index` is undefined. */
tn_status tn_list_open(tn_list *list, int64_t index) TN_MUST_USE;
void tn_list_erase(tn_list *list, int64_t index);

#endif
