/* The constants of a plan while it is made: each distinct run of bytes once. */
#include <string.h>

#include "build/stage.h"

void tn_constants_init(tn_constant_list *list, tn_arena *arena)
{
    *list = (tn_constant_list){.arena = arena};
    tn_map_init(&list->index, arena);
}

static void free_owned(const tn_tensor *t, void *memory)
{
    if (memory) tn_free(memory, (size_t)tn_tensor_bytes(t));
}

void tn_constants_fini(tn_constant_list *list)
{
    for (int64_t i = 0; i < list->count; i++) free_owned(&list->at[i], list->owned[i]);
    list->count = 0;
}

static uint64_t hash_strings(const tn_tensor *t)
{
    uint64_t hash = 0;
    const tn_string *s = t->data;
    for (int64_t i = 0; i < tn_tensor_count(t); i++)
        hash = hash * 31 + tn_hash_bytes(s[i].bytes ? s[i].text : "", s[i].bytes);
    return hash;
}

static bool same_bytes(const tn_tensor *a, const tn_tensor *b)
{
    int64_t bytes = tn_tensor_bytes(a), count = tn_tensor_count(a);
    if (a->dtype != b->dtype || !tn_tensor_same_shape(a, b)) return false;
    if (bytes == 0 || a->data == b->data) return true;
    if (a->dtype != TN_DTYPE_STRING) return !memcmp(a->data, b->data, (size_t)bytes);
    const tn_string *x = a->data, *y = b->data;
    for (int64_t i = 0; i < count; i++)
        if (x[i].bytes != y[i].bytes || (x[i].bytes && memcmp(x[i].text, y[i].text, x[i].bytes)))
            return false;
    return true;
}

static tn_status make_key(tn_constant_list *list, const tn_tensor *t, char **out)
{
    char type[160];
    int64_t bytes = tn_tensor_bytes(t);
    uint64_t hash = t->dtype == TN_DTYPE_STRING
                        ? hash_strings(t)
                        : tn_hash_bytes(bytes ? t->data : "", (size_t)bytes);
    *out = tn_arena_printf(list->arena, "%s %016llx", tn_tensor_type_text(t, type, sizeof(type)),
                           (unsigned long long)hash);
    TN_CHECK(*out, TN_OUT_OF_MEMORY, "no memory for a constant");
    return NULL;
}

/* The map holds number + 1. Constants of equal hash and other bytes are simply all kept. */
static tn_status add(tn_constant_list *list, const tn_tensor *t, void *owned, int32_t *out,
                     bool *kept)
{
    char *key;
    TN_TRY(make_key(list, t, &key));
    uintptr_t known = (uintptr_t)tn_map_find(&list->index, key);
    if (known && same_bytes(&list->at[known - 1], t)) {
        *out = (int32_t)(known - 1);
        return NULL;
    }
    TN_CHECK(list->count < INT32_MAX, TN_UNSUPPORTED, "too many constants");
    TN_TRY(tn_arena_grow(list->arena, &list->at, list->count, &list->capacity, list->count + 1,
                         sizeof(*list->at)));
    TN_TRY(tn_arena_grow(list->arena, &list->owned, list->count, &list->owned_capacity,
                         list->count + 1, sizeof(*list->owned)));
    TN_TRY(tn_map_put(&list->index, key, (void *)(uintptr_t)(list->count + 1)));
    list->at[list->count] = *t;
    list->owned[list->count] = owned;
    *kept = owned != NULL;
    *out = (int32_t)list->count++;
    return NULL;
}

tn_status tn_constants_add(tn_constant_list *list, const tn_tensor *t, bool owned, int32_t *out)
{
    bool kept = false;
    tn_status status = add(list, t, owned ? t->data : NULL, out, &kept);
    if (owned && !kept) free_owned(t, t->data);
    return status;
}
