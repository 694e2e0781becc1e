/* Order of elements, and sorting by it: what TopK and Unique share. */
#ifndef TN_OPS_SORTING_H
#define TN_OPS_SORTING_H

#include "ir/op.h"

/* < 0, 0, > 0 as element a is before, equal to or behind b. NaN is behind everything and equal to
 * itself; strings go by bytes. */
int tn_element_order(tn_dtype dtype, const void *data, int64_t a, int64_t b);

/* Stable sort of indices: `order` compares two of them. `spare` has room for `count` as well. */
typedef int (*tn_index_order)(const void *self, int64_t a, int64_t b);
void tn_sort_indices(int64_t *at, int64_t *spare, int64_t count, tn_index_order order,
                     const void *self);

#endif
