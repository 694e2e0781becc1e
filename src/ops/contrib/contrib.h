/* Operators of com.microsoft, rewritten at import (contrib.def lists them). */
#ifndef TN_OPS_CONTRIB_H
#define TN_OPS_CONTRIB_H

#include "ops/rewrite.h"

#define ROW(c, ...) tn_status tn_contrib_##c(tn_graph *graph, tn_node *node) TN_MUST_USE;
#include "ops/contrib/contrib.def"
#undef ROW

/* What several rules are made of. */

/* Transposes x for an operator that wants channels first, and its result back; x itself if !last.
 */
tn_value *tn_contrib_channels_first(tn_rewrite *r, tn_value *x, bool last);
tn_value *tn_contrib_channels_last(tn_rewrite *r, tn_value *y, int rank, bool last);
/* Attributes of the rewritten node that the operator which made `made` has too: "a|b|c". */
tn_value *tn_contrib_copy(tn_rewrite *r, tn_value *made, const char *names);
/* MatMulInteger(a, b) * (a_scale * b_scale) + bias, in the type of the scales. */
tn_value *tn_contrib_scaled_matmul(tn_rewrite *r, tn_value *a, tn_value *b, tn_value *a_zero,
                                   tn_value *b_zero, tn_value *a_scale, tn_value *b_scale,
                                   tn_value *bias);
/* To real numbers and back; the zero point may be absent, the type is then `dtype`. */
tn_value *tn_contrib_dequantize(tn_rewrite *r, tn_value *x, tn_value *scale, tn_value *zero);
tn_value *tn_contrib_quantize(tn_rewrite *r, tn_value *x, tn_value *scale, tn_value *zero,
                              tn_dtype dtype);

#endif
