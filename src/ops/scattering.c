#include "ops/scattering.h"

#include <math.h>

tn_status tn_scatter_check(tn_dtype dtype, int64_t reduction)
{
    tn_dtype_kind kind = tn_dtype_kind_of(dtype);
    TN_CHECK(reduction == TN_SCATTER_NONE || (kind != TN_KIND_S && kind != TN_KIND_C),
             TN_UNSUPPORTED, "there is no reduction for %s", tn_dtype_name(dtype));
    return NULL;
}

static double combine_f64(int64_t reduction, double a, double b)
{
    if (reduction == TN_SCATTER_ADD) return a + b;
    if (reduction == TN_SCATTER_MUL) return a * b;
    if (isnan(a) || isnan(b)) return NAN;
    if (reduction == TN_SCATTER_MIN) return a < b ? a : b;
    return a > b ? a : b;
}

/* Integers wrap, as in unsigned arithmetic; u64 has an order of its own. */
static int64_t combine_i64(int64_t reduction, bool is_unsigned, int64_t a, int64_t b)
{
    if (reduction == TN_SCATTER_ADD) return (int64_t)((uint64_t)a + (uint64_t)b);
    if (reduction == TN_SCATTER_MUL) return (int64_t)((uint64_t)a * (uint64_t)b);
    bool less = is_unsigned ? (uint64_t)a < (uint64_t)b : a < b;
    if (reduction == TN_SCATTER_MIN) return less ? a : b;
    return less ? b : a;
}

void tn_scatter_combine(tn_dtype dtype, int64_t reduction, void *y, int64_t at, const void *x,
                        int64_t from, int64_t count)
{
    tn_dtype_kind kind = tn_dtype_kind_of(dtype);
    if (reduction == TN_SCATTER_NONE) {
        if (count) tn_copy_elements(dtype, y, at, x, from, count);
        return;
    }
    for (int64_t i = 0; i < count; i++) {
        if (kind == TN_KIND_F) {
            double a = tn_load_f64(dtype, y, at + i), b = tn_load_f64(dtype, x, from + i);
            tn_store_f64(dtype, y, at + i, combine_f64(reduction, a, b));
        } else {
            int64_t a = tn_load_i64(dtype, y, at + i), b = tn_load_i64(dtype, x, from + i);
            tn_store_i64(dtype, y, at + i, combine_i64(reduction, kind == TN_KIND_U, a, b));
        }
    }
}
