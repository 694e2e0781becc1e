/* What the writers of checkpoints share: see checkpoint_write.h. */
#include "export/checkpoint_write.h"

#include <string.h>

/* Well-formed UTF-8: no overlong forms, no surrogates, nothing beyond U+10FFFF. */
static bool is_utf8(const char *text)
{
    const uint8_t *at = (const uint8_t *)text;
    while (*at) {
        int more = *at < 0x80   ? 0
                   : *at < 0xC2 ? -1
                   : *at < 0xE0 ? 1
                   : *at < 0xF0 ? 2
                   : *at < 0xF5 ? 3
                                : -1;
        if (more < 0) return false;
        uint8_t lowest = 0x80, highest = 0xBF; /* of the second byte */
        if (*at == 0xE0) lowest = 0xA0;
        if (*at == 0xED) highest = 0x9F;
        if (*at == 0xF0) lowest = 0x90;
        if (*at == 0xF4) highest = 0x8F;
        for (int i = 1; i <= more; i++) {
            if (at[i] < lowest || at[i] > highest) return false;
            lowest = 0x80;
            highest = 0xBF;
        }
        at += more + 1;
    }
    return true;
}

tn_status tn_checkpoint_check(const char *const *names, const tn_tensor *tensors, int64_t count)
{
    tn_arena arena;
    tn_map seen;
    tn_status status = NULL;
    tn_arena_init(&arena);
    tn_map_init(&seen, &arena);
    for (int64_t i = 0; i < count && !status; i++) {
        const tn_tensor *t = &tensors[i];
        if (!names[i] || !names[i][0] || !is_utf8(names[i]))
            status =
                TN_ERROR(TN_INVALID, "tensor %lld of %lld has no name, or one that is not UTF-8",
                         (long long)i, (long long)count);
        else if (tn_map_has(&seen, names[i]))
            status = TN_ERROR(TN_INVALID, "two tensors are named '%s'", names[i]);
        else if (!tn_dtype_valid((int)t->dtype) || t->rank < 0 || t->rank > TN_RANK_MAX ||
                 tn_tensor_bytes(t) < 0 || (!t->data && tn_tensor_count(t) > 0))
            status = TN_ERROR(TN_INVALID, "tensor '%s' has no type, an impossible shape or no data",
                              names[i]);
        else status = tn_map_put(&seen, names[i], &arena);
    }
    tn_arena_fini(&arena);
    return status;
}

tn_status tn_dense_bytes(const tn_tensor *tensor, tn_tensor *copy, const void **out)
{
    *copy = (tn_tensor){0};
    *out = tensor->data;
    if (tn_tensor_count(tensor) == 0 || tn_tensor_is_dense(tensor)) return NULL;
    TN_TRY(tn_tensor_new(tensor->dtype, tensor->dim, tensor->rank, copy));
    tn_status status = tn_tensor_copy(tensor, copy);
    if (status) tn_tensor_free(copy);
    TN_TRY(status);
    *out = copy->data;
    return NULL;
}
