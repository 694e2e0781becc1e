#include "ops/sorting.h"

#include <math.h>
#include <string.h>

int tn_element_order(tn_dtype dtype, const void *data, int64_t a, int64_t b)
{
    switch (tn_dtype_kind_of(dtype)) {
    case TN_KIND_S: {
        const tn_string *text = data, *x = &text[a], *y = &text[b];
        size_t shared = TN_MIN(x->bytes, y->bytes);
        int order = shared ? memcmp(x->text, y->text, shared) : 0;
        return order ? order : (x->bytes > y->bytes) - (x->bytes < y->bytes);
    }
    case TN_KIND_F:
    case TN_KIND_C: {
        double x = tn_load_f64(dtype, data, a), y = tn_load_f64(dtype, data, b);
        if (isnan(x) || isnan(y)) return !!isnan(x) - !!isnan(y);
        return (x > y) - (x < y);
    }
    case TN_KIND_U: {
        uint64_t x = (uint64_t)tn_load_i64(dtype, data, a),
                 y = (uint64_t)tn_load_i64(dtype, data, b);
        return (x > y) - (x < y);
    }
    default: {
        int64_t x = tn_load_i64(dtype, data, a), y = tn_load_i64(dtype, data, b);
        return (x > y) - (x < y);
    }
    }
}

/* Merging runs of 1, 2, 4, ... between the two arrays. */
void tn_sort_indices(int64_t *at, int64_t *spare, int64_t count, tn_index_order order,
                     const void *self)
{
    int64_t *from = at, *to = spare;
    for (int64_t run = 1; run < count; run *= 2) {
        for (int64_t begin = 0; begin < count; begin += 2 * run) {
            int64_t middle = TN_MIN(begin + run, count), end = TN_MIN(begin + 2 * run, count);
            int64_t a = begin, b = middle;
            for (int64_t i = begin; i < end; i++) {
                bool left = a < middle && (b >= end || order(self, from[a], from[b]) <= 0);
                to[i] = from[left ? a++ : b++];
            }
        }
        int64_t *swap = from;
        from = to;
        to = swap;
    }
    if (from != at) memcpy(at, from, (size_t)count * sizeof(int64_t));
}
