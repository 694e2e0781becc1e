/* Where do intermediates live? Each is alive from its producer's step to its last reader's. Largest
 * first, each drops into the lowest gap that is free for its whole life:
 *
 *     bytes ^   | B B B |         | D D |        B and D share bytes: their lives do not meet.
 *           |   | A A A A A A | C C C C C |
 *           +---------------------------------> step
 *
 * Largest-first is not optimal, but close, and a reader can follow it with a pencil.
 */
#include "exec/plan.h"

#include <stdlib.h>

/* Larger first; of equal ones the earlier, so that the order never hangs on the sort. */
static int compare_bytes(const void *a, const void *b)
{
    const tn_lifetime *x = *(tn_lifetime *const *)a, *y = *(tn_lifetime *const *)b;
    if (x->bytes != y->bytes) return x->bytes > y->bytes ? -1 : 1;
    return x < y ? -1 : x > y;
}

static bool live_together(const tn_lifetime *a, const tn_lifetime *b)
{
    return a->first <= b->last && b->first <= a->last;
}

/* `placed` is in order of offset: walk it and keep the end of what is in the way. */
static tn_status place(tn_lifetime **placed, int64_t count, tn_lifetime *item, size_t *top)
{
    size_t at = 0, end, bytes;
    int64_t slot;
    TN_CHECK(item->bytes <= SIZE_MAX - TN_ALIGNMENT, TN_OUT_OF_MEMORY,
             "a tensor of %zu bytes does not fit in memory", item->bytes);
    bytes = tn_align_up(item->bytes, TN_ALIGNMENT);
    for (int64_t i = 0; i < count; i++) {
        const tn_lifetime *other = placed[i];
        if (!live_together(other, item)) continue;
        if (other->offset >= at && other->offset - at >= bytes) break;
        end = other->offset + tn_align_up(other->bytes, TN_ALIGNMENT);
        at = TN_MAX(at, end);
    }
    TN_CHECK(tn_add_size(at, bytes, &end) && end <= PTRDIFF_MAX, TN_OUT_OF_MEMORY,
             "the intermediates take more memory than there are addresses");
    item->offset = at;
    *top = TN_MAX(*top, end);
    for (slot = count; slot > 0 && placed[slot - 1]->offset > at; slot--)
        placed[slot] = placed[slot - 1];
    placed[slot] = item;
    return NULL;
}

tn_status tn_memory_plan(tn_lifetime *item, int64_t count, tn_arena *scratch, size_t *block_bytes)
{
    int64_t placed_count = 0;
    *block_bytes = 0;
    if (count <= 0) return NULL;
    tn_lifetime **order = TN_NEW_ARRAY(scratch, tn_lifetime *, count);
    tn_lifetime **placed = TN_NEW_ARRAY(scratch, tn_lifetime *, count);
    TN_CHECK(order && placed, TN_OUT_OF_MEMORY, "no memory to place %lld tensors",
             (long long)count);
    for (int64_t i = 0; i < count; i++) order[i] = &item[i];
    qsort(order, (size_t)count, sizeof(*order), compare_bytes);
    for (int64_t i = 0; i < count; i++) {
        if (order[i]->bytes == 0) order[i]->offset = 0;
        else TN_TRY(place(placed, placed_count++, order[i], block_bytes));
    }
    return NULL;
}

/* The set of live items only grows at a `first`, so looking there is enough. */
size_t tn_memory_lower_bound(const tn_lifetime *item, int64_t count)
{
    size_t bound = 0;
    for (int64_t i = 0; i < count; i++) {
        size_t sum = 0;
        for (int64_t k = 0; k < count; k++)
            if (item[k].first <= item[i].first && item[i].first <= item[k].last)
                sum += tn_align_up(item[k].bytes, TN_ALIGNMENT);
        bound = TN_MAX(bound, sum);
    }
    return bound;
}
