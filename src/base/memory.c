/* The allocator and the arena. See memory.h. */
#include "base/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Large blocks are weights and activations. Pages of 2 MiB, where the system has them, spare it a
 * fault for every 4 KiB that is written and kernels a miss for every 4 KiB that is read. Only whole
 * ones: what is behind them stays small. */
enum { LARGE_PAGE = 2 << 20, LARGE_BLOCK = 2 * LARGE_PAGE };

static void *take_block(size_t bytes)
{
    void *block = NULL;
    bool large = bytes >= LARGE_BLOCK;
    if (posix_memalign(&block, large ? LARGE_PAGE : TN_ALIGNMENT, bytes)) return NULL;
#ifdef MADV_HUGEPAGE
    if (large) (void)madvise(block, bytes / LARGE_PAGE * LARGE_PAGE, MADV_HUGEPAGE);
#endif
    return block;
}

/* realloc would lose the alignment when it moves a block, so growing is a new block and a copy. */
static void *resize_by_default(void *self, void *p, size_t old_bytes, size_t new_bytes)
{
    void *fresh;
    (void)self;
    if (new_bytes == 0) {
        free(p);
        return NULL;
    }
    if (p && new_bytes <= old_bytes && new_bytes >= old_bytes / 2) return p;
    fresh = take_block(new_bytes);
    if (fresh && p) {
        memcpy(fresh, p, TN_MIN(old_bytes, new_bytes));
        free(p);
    }
    return fresh;
}

static const tn_allocator default_allocator = {resize_by_default, NULL};
static tn_allocator allocator = {resize_by_default, NULL};

void tn_set_allocator(const tn_allocator *given)
{
    allocator = given ? *given : default_allocator;
}

void *tn_alloc(size_t bytes)
{
    return bytes ? allocator.resize(allocator.self, NULL, 0, bytes) : NULL;
}

void *tn_alloc_zero(size_t bytes)
{
    void *p = tn_alloc(bytes);
    if (p) memset(p, 0, bytes);
    return p;
}

void *tn_resize(void *p, size_t old_bytes, size_t new_bytes)
{
    if (!p) return tn_alloc(new_bytes);
    return allocator.resize(allocator.self, p, old_bytes, new_bytes);
}

void tn_free(void *p, size_t bytes)
{
    if (p) allocator.resize(allocator.self, p, bytes, 0);
}

enum { SIZE_HEAD = 16 };

void *tn_alloc_sized(size_t bytes)
{
    char *block = bytes <= SIZE_MAX - SIZE_HEAD ? tn_alloc(bytes + SIZE_HEAD) : NULL;
    if (!block) return NULL;
    memcpy(block, &bytes, sizeof(bytes));
    return block + SIZE_HEAD;
}

void tn_free_sized(void *p)
{
    size_t bytes;
    if (!p) return;
    char *block = (char *)p - SIZE_HEAD;
    memcpy(&bytes, block, sizeof(bytes));
    tn_free(block, bytes + SIZE_HEAD);
}

char *tn_text_copy(const char *text)
{
    size_t bytes = strlen(text) + 1;
    char *copy = tn_alloc(bytes);
    if (copy) memcpy(copy, text, bytes);
    return copy;
}

void tn_text_free(char *text)
{
    if (text) tn_free(text, strlen(text) + 1);
}

/* ---- Arena ----------------------------------------------------------------------------------
 *
 *   arena -> [head | piece piece piece ....free....] -> [head | piece] -> [head | ...] -> NULL
 *             newest small block, being filled           a large piece alone, older blocks
 *
 * Small blocks double from 4 KiB to 1 MiB. A piece too large to share a block gets one of its own,
 * put behind the newest so that filling goes on where it was.
 */
typedef struct tn_arena_block {
    _Alignas(TN_ALIGNMENT) struct tn_arena_block *next;
    size_t used, capacity; /* bytes, with this head */
} arena_block;

enum { BLOCK_MIN = 4096, BLOCK_MAX = 1 << 20, PIECE_ALIGNMENT = 16, LARGE_PIECE = 1024 };

void tn_arena_init(tn_arena *arena)
{
    *arena = (tn_arena){0};
}

void tn_arena_fini(tn_arena *arena)
{
    arena_block *block = arena->block;
    while (block) {
        arena_block *next = block->next;
        tn_free(block, block->capacity);
        block = next;
    }
    *arena = (tn_arena){0};
}

static arena_block *add_block(tn_arena *arena, size_t capacity, bool behind_newest)
{
    arena_block *block = tn_alloc(capacity);
    if (!block) return NULL;
    arena_block **place = &arena->block;
    if (behind_newest && arena->block) place = &arena->block->next;
    block->next = *place;
    block->used = sizeof(*block);
    block->capacity = capacity;
    *place = block;
    arena->total_bytes += capacity;
    return block;
}

void tn_arena_rewind(tn_arena *arena)
{
    size_t total = arena->total_bytes;
    if (arena->block && arena->block->next) {
        tn_arena_fini(arena);
        add_block(arena, total, false);
    }
    if (arena->block) arena->block->used = sizeof(*arena->block);
}

void *tn_arena_alloc(tn_arena *arena, size_t bytes)
{
    static _Alignas(TN_ALIGNMENT) char nothing[TN_ALIGNMENT];
    size_t alignment = bytes >= LARGE_PIECE ? TN_ALIGNMENT : PIECE_ALIGNMENT;
    if (bytes == 0) return nothing;
    if (bytes > SIZE_MAX / 2) return NULL;
    arena_block *block = arena->block;
    size_t at = block ? tn_align_up(block->used, alignment) : 0;
    if (!block || at > block->capacity || bytes > block->capacity - at) {
        size_t next = block ? TN_MIN(block->capacity * 2, (size_t)BLOCK_MAX) : BLOCK_MIN;
        if (bytes > next / 4)
            block = add_block(arena, sizeof(*block) + tn_align_up(bytes, PIECE_ALIGNMENT), true);
        else block = add_block(arena, next, false);
        if (!block) return NULL;
        at = sizeof(*block);
    }
    block->used = at + bytes;
    return memset((char *)block + at, 0, bytes);
}

void *tn_arena_alloc_array(tn_arena *arena, size_t count, size_t size)
{
    size_t bytes;
    return tn_mul_size(count, size, &bytes) ? tn_arena_alloc(arena, bytes) : NULL;
}

char *tn_arena_text(tn_arena *arena, const char *text, size_t bytes)
{
    char *copy = bytes < SIZE_MAX ? tn_arena_alloc(arena, bytes + 1) : NULL;
    if (copy && bytes > 0) memcpy(copy, text, bytes);
    return copy;
}

char *tn_arena_printf(tn_arena *arena, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = length < 0 ? NULL : tn_arena_alloc(arena, (size_t)length + 1);
    if (!text) return NULL;
    va_start(args, format);
    vsnprintf(text, (size_t)length + 1, format, args);
    va_end(args);
    return text;
}

/* at_pointer is the address of a pointer of any type, so it is read and written as bytes. */
tn_status tn_arena_grow(tn_arena *arena, void *at_pointer, int64_t count, int64_t *capacity,
                        int64_t needed, size_t size)
{
    enum { FIRST = 8 };
    void *old, *fresh;
    TN_CHECK(needed >= 0, TN_OUT_OF_MEMORY, "a list cannot hold %lld items", (long long)needed);
    if (needed <= *capacity) return NULL;
    int64_t wanted = TN_MAX(needed, (int64_t)FIRST);
    if (*capacity <= INT64_MAX / 2) wanted = TN_MAX(wanted, *capacity * 2);
    fresh = tn_arena_alloc_array(arena, (size_t)wanted, size);
    TN_CHECK(fresh, TN_OUT_OF_MEMORY, "no memory for a list of %lld items of %zu bytes",
             (long long)wanted, size);
    memcpy(&old, at_pointer, sizeof(old));
    if (count > 0) memcpy(fresh, old, (size_t)count * size);
    memcpy(at_pointer, &fresh, sizeof(fresh));
    *capacity = wanted;
    return NULL;
}

/* See CMakeLists.txt: what static libraries take for stdin and stderr. */
extern const void *const tn_no_stream;
const void *const tn_no_stream = NULL;
