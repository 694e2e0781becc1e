/* What ScatterElements and ScatterND share: how an update meets the value that is there. */
#ifndef TN_OPS_SCATTERING_H
#define TN_OPS_SCATTERING_H

#include "ir/op.h"

enum { TN_SCATTER_NONE, TN_SCATTER_ADD, TN_SCATTER_MUL, TN_SCATTER_MIN, TN_SCATTER_MAX };
#define TN_SCATTER_WORDS "none|add|mul|min|max"

/* Strings, complex numbers and packed types have no reductions. */
tn_status tn_scatter_check(tn_dtype dtype, int64_t reduction) TN_MUST_USE;
/* y[at ..] = reduction(y[at ..], x[from ..]) for `count` elements. */
void tn_scatter_combine(tn_dtype dtype, int64_t reduction, void *y, int64_t at, const void *x,
                        int64_t from, int64_t count);

#endif
