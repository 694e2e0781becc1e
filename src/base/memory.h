/* Memory comes through one door and belongs to a lifetime.
 *
 * tn_alloc/tn_free go to the injected allocator (tn_set_allocator); the size is given back on free,
 * so nothing is stored beside a block. All blocks are aligned to 64 bytes. Graphs and other things
 * built piece by piece live in an arena and are freed together.
 */
#ifndef TN_BASE_MEMORY_H
#define TN_BASE_MEMORY_H

#include "base/status.h"

#define TN_ALIGNMENT 64

/* NULL when memory is gone, or for 0 bytes. Contents are undefined. */
void *tn_alloc(size_t bytes);
void *tn_alloc_zero(size_t bytes);
/* Grow or shrink; on NULL the old block is untouched. */
void *tn_resize(void *p, size_t old_bytes, size_t new_bytes);
void tn_free(void *p, size_t bytes);
/* The same with the size kept before the block, for libraries whose hooks free by address alone.
 * Aligned to 16 bytes. */
void *tn_alloc_sized(size_t bytes);
void tn_free_sized(void *p);
/* A heap copy of text, freed with tn_text_free (its size is strlen + 1). */
char *tn_text_copy(const char *text);

/* A growing list of blocks; what is allocated is freed all at once. */
typedef struct tn_arena {
    struct tn_arena_block *block; /* newest first */
    size_t total_bytes;           /* handed out by the allocator */
} tn_arena;

void tn_arena_init(tn_arena *arena);
void tn_arena_fini(tn_arena *arena);
/* Forget the contents but keep the memory, as one block: an arena that is filled and rewound again
 * and again with the same needs stops allocating. */
void tn_arena_rewind(tn_arena *arena);
/* Zeroed memory, aligned to 16 (large pieces: 64); NULL when memory is gone. 0 bytes give a valid,
 * unusable pointer. Overflow of count * size gives NULL. */
void *tn_arena_alloc(tn_arena *arena, size_t bytes);
void *tn_arena_alloc_array(tn_arena *arena, size_t count, size_t size);
char *tn_arena_text(tn_arena *arena, const char *text, size_t bytes); /* copy + zero at the end */
char *tn_arena_printf(tn_arena *arena, const char *format, ...) TN_PRINTF(2, 3);

#define TN_NEW(arena, type) ((type *)tn_arena_alloc((arena), sizeof(type)))
#define TN_NEW_ARRAY(arena, type, count)                                                           \
    ((type *)tn_arena_alloc_array((arena), (size_t)(count), sizeof(type)))

/* Grow an arena array: room for `needed` items of `size` bytes at *at (capacity doubles; the old
 * copy stays in the arena until it dies). */
tn_status tn_arena_grow(tn_arena *arena, void *at_pointer, int64_t count, int64_t *capacity,
                        int64_t needed, size_t size) TN_MUST_USE;

/* Checked arithmetic on sizes that come from files: false on overflow. */
static inline bool tn_mul_size(size_t a, size_t b, size_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}
static inline bool tn_add_size(size_t a, size_t b, size_t *out)
{
    return !__builtin_add_overflow(a, b, out);
}
static inline bool tn_mul_i64(int64_t a, int64_t b, int64_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}
static inline size_t tn_align_up(size_t value, size_t alignment)
{
    return (value + alignment - 1) / alignment * alignment;
}

#endif
