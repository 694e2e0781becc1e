#include "exec/list.h"

#include <string.h>

tn_status tn_buffer_grow(tn_buffer *buffer, size_t bytes, const char *what)
{
    if (bytes <= buffer->bytes) return NULL;
    void *fresh = NULL; /* the old contents are of no use to anybody */
    if (buffer->card)
        TN_TRY_NOTE(
            buffer->card->backend->card->alloc(buffer->card, !buffer->on_card, bytes, &fresh),
            "while taking %zu bytes for %s", bytes, what);
    else fresh = tn_alloc(bytes);
    TN_CHECK(fresh, TN_OUT_OF_MEMORY, "no memory for %zu bytes of %s", bytes, what);
    tn_buffer_fini(buffer);
    buffer->at = fresh;
    buffer->bytes = bytes;
    return NULL;
}

tn_status tn_buffer_extend(tn_buffer *buffer, size_t kept, size_t bytes, const char *what)
{
    tn_buffer fresh = {0};
    if (bytes <= buffer->bytes) return NULL;
    TN_TRY(tn_buffer_grow(&fresh, TN_MAX(bytes, buffer->bytes + buffer->bytes / 2), what));
    if (kept > 0) memcpy(fresh.at, buffer->at, kept);
    tn_buffer_fini(buffer);
    *buffer = fresh;
    return NULL;
}

void tn_buffer_fini(tn_buffer *buffer)
{
    if (buffer->card) buffer->card->backend->card->free(buffer->card, !buffer->on_card, buffer->at);
    else tn_free(buffer->at, buffer->bytes);
    buffer->at = NULL;
    buffer->bytes = 0;
}

void tn_list_fini(tn_list *list)
{
    for (int64_t i = 0; i < list->capacity; i++) tn_buffer_fini(&list->item[i].memory);
    tn_free(list->item, sizeof(*list->item) * (size_t)list->capacity);
    *list = (tn_list){0};
}

tn_status tn_list_resize(tn_list *list, int64_t count)
{
    if (count > list->capacity) {
        int64_t capacity = TN_MAX(count, list->capacity * 2);
        size_t size = sizeof(*list->item), bytes;
        TN_CHECK(tn_mul_size((size_t)capacity, size, &bytes) && bytes < PTRDIFF_MAX,
                 TN_OUT_OF_MEMORY, "a sequence of %lld tensors does not fit in memory",
                 (long long)count);
        void *item = tn_resize(list->item, (size_t)list->capacity * size, bytes);
        TN_CHECK(item, TN_OUT_OF_MEMORY, "no memory for a sequence of %lld tensors",
                 (long long)count);
        list->item = item;
        memset(list->item + list->capacity, 0, (size_t)(capacity - list->capacity) * size);
        list->capacity = capacity;
    }
    list->count = count;
    return NULL;
}

tn_status tn_list_make_item(tn_list *list, int64_t index, const tn_tensor *type)
{
    tn_list_item *item = &list->item[index];
    int64_t bytes = tn_tensor_bytes(type);
    TN_CHECK(bytes >= 0, TN_INVALID, "a tensor of a sequence is larger than any memory");
    /* Rounded up: items change places, and then the memory of one serves another. */
    TN_TRY(
        tn_buffer_grow(&item->memory, tn_align_up((size_t)bytes + 1, TN_ALIGNMENT), "a sequence"));
    item->tensor = *type;
    tn_tensor_set_dense(&item->tensor);
    item->tensor.data = item->memory.at;
    return NULL;
}

/* Elements, then their characters, in one piece. */
static tn_status set_strings(tn_list_item *item, const tn_tensor *from)
{
    int64_t count = tn_tensor_count(from);
    size_t bytes = sizeof(tn_string) * (size_t)count, at = bytes;
    TN_CHECK(tn_tensor_is_dense(from), TN_INVALID,
             "a tensor of strings in a sequence must be dense");
    const tn_string *src = from->data;
    for (int64_t i = 0; i < count; i++)
        TN_CHECK(tn_add_size(bytes, src[i].bytes, &bytes), TN_OUT_OF_MEMORY,
                 "the strings of a sequence do not fit in memory");
    tn_buffer fresh = {0};
    TN_TRY(tn_buffer_grow(&fresh, TN_MAX(bytes, (size_t)1), "a sequence of strings"));
    tn_string *dst = fresh.at;
    for (int64_t i = 0; i < count; i++) {
        dst[i] = (tn_string){(char *)fresh.at + at, src[i].bytes};
        if (src[i].bytes > 0) memcpy((char *)fresh.at + at, src[i].text, src[i].bytes);
        at += src[i].bytes;
    }
    tn_buffer_fini(&item->memory);
    item->memory = fresh;
    item->tensor = *from;
    tn_tensor_set_dense(&item->tensor);
    item->tensor.data = fresh.at;
    return NULL;
}

tn_status tn_list_set_item(tn_list *list, int64_t index, const tn_tensor *tensor)
{
    if (tensor->dtype == TN_DTYPE_STRING) return set_strings(&list->item[index], tensor);
    TN_TRY(tn_list_make_item(list, index, tensor));
    if (tn_tensor_count(tensor) == 0) return NULL;
    return tn_tensor_copy(tensor, &list->item[index].tensor);
}

tn_status tn_list_copy(const tn_list *from, tn_list *to)
{
    if (from == to) return NULL;
    to->present = from->present;
    TN_TRY(tn_list_resize(to, from->count));
    for (int64_t i = 0; i < from->count; i++)
        TN_TRY(tn_list_set_item(to, i, &from->item[i].tensor));
    return NULL;
}

tn_status tn_list_open(tn_list *list, int64_t index)
{
    TN_TRY(tn_list_resize(list, list->count + 1));
    tn_list_item last = list->item[list->count - 1]; /* its memory goes to the new place */
    for (int64_t i = list->count - 1; i > index; i--) list->item[i] = list->item[i - 1];
    list->item[index] = last;
    return NULL;
}

void tn_list_erase(tn_list *list, int64_t index)
{
    tn_list_item gone = list->item[index];
    for (int64_t i = index + 1; i < list->count; i++) list->item[i - 1] = list->item[i];
    list->item[--list->count] = gone;
}
