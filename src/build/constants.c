/* The constants of a plan while it is made: each distinct run of bytes once. */
#include <string.h>

#include "build/stage.h"

void tn_constants_init(tn_constant_list *list, tn_arena *arena)
{
    *list = (tn_constant_list){.arena = arena};
    tn_map_init(&list->index, arena);
    tn_map_init(&list->known, arena);
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

static tn_status take_text(const char *text)
{
    TN_CHECK(text, TN_OUT_OF_MEMORY, "no memory for a constant");
    return NULL;
}

/* Constants of equal hash and other bytes are simply all kept. The maps hold number + 1. */
static tn_status find(tn_constant_list *list, const tn_tensor *t, const char *type,
                      const char **key, uintptr_t *found)
{
    int64_t bytes = tn_tensor_bytes(t);
    uint64_t hash = t->dtype == TN_DTYPE_STRING
                        ? hash_strings(t)
                        : tn_hash_bytes(bytes ? t->data : "", (size_t)bytes);
    TN_TRY(take_text(*key = tn_arena_printf(list->arena, "%s %016llx", type,
                                            (unsigned long long)hash)));
    *found = (uintptr_t)tn_map_find(&list->index, *key);
    if (*found && !same_bytes(&list->at[*found - 1], t)) *found = 0;
    return NULL;
}

static tn_status grow(tn_constant_list *list)
{
    int64_t count = list->count + 1;
    TN_CHECK(count < INT32_MAX, TN_UNSUPPORTED, "too many constants");
    TN_TRY(tn_arena_grow(list->arena, &list->at, list->count, &list->capacity, count,
                         sizeof(*list->at)));
    TN_TRY(tn_arena_grow(list->arena, &list->order, list->count, &list->order_capacity, count,
                         sizeof(*list->order)));
    return tn_arena_grow(list->arena, &list->owned, list->count, &list->owned_capacity, count,
                         sizeof(*list->owned));
}

static tn_status add(tn_constant_list *list, const tn_tensor *t, void *owned, int32_t *out,
                     bool *kept)
{
    char type[160];
    const char *place, *key;
    tn_tensor_type_text(t, type, sizeof(type));
    TN_TRY(take_text(place = tn_arena_printf(list->arena, "%s %p", type, t->data)));
    uintptr_t found = (uintptr_t)tn_map_find(&list->known, place);
    if (!found) {
        TN_TRY(find(list, t, type, &key, &found));
        /* What is owned and not kept is freed, and its address may come again. */
        if (found && !owned) TN_TRY(tn_map_put(&list->known, place, (void *)found));
    }
    *out = (int32_t)(found ? found - 1 : (uintptr_t)list->count);
    if (found) return NULL;
    TN_TRY(grow(list));
    TN_TRY(tn_map_put(&list->index, key, (void *)(uintptr_t)(list->count + 1)));
    TN_TRY(tn_map_put(&list->known, place, (void *)(uintptr_t)(list->count + 1)));
    list->at[list->count] = *t;
    list->order[list->count] = (tn_constant_order){.packed = -1};
    list->owned[list->count] = owned;
    *kept = owned != NULL;
    list->count++;
    return NULL;
}

tn_status tn_constants_add(tn_constant_list *list, const tn_tensor *t, bool owned, int32_t *out)
{
    bool kept = false;
    tn_status status = add(list, t, owned ? t->data : NULL, out, &kept);
    if (owned && !kept) free_owned(t, t->data);
    return status;
}

/* What was packed before belongs to the constant that it was first made of. */
tn_status tn_constants_pack(tn_constant_list *list, const tn_tensor *packed, const tn_tensor *t,
                            const tn_panels *panels, int32_t *out)
{
    int64_t before = list->count;
    int32_t from;
    TN_TRY(tn_constants_add(list, packed, true, out));
    if (!panels || *out < before) return NULL;
    TN_TRY(tn_constants_add(list, t, false, &from));
    if (list->order[from].packed < 0)
        list->order[from] = (tn_constant_order){.packed = *out, .panels = *panels};
    return NULL;
}
