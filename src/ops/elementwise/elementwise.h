/* What the element-wise operators share: values of small integer tensors as expressions, so that
 * the shape arithmetic of exporters stays symbolic, and nodes that upgrades put in. */
#ifndef TN_OPS_ELEMENTWISE_H
#define TN_OPS_ELEMENTWISE_H

#include "ir/op.h"

/* One element of the result from one element of each input; NONE where it cannot be told. */
typedef tn_expr (*tn_known_map)(tn_exprs *exprs, const tn_expr *in, int count);

/* Known values of output 0, whose type is already filled: `map` over the first `in_count` inputs
 * under broadcasting. Nothing happens unless those are known and of rank <= 1. A constant that
 * leaves the output's range is not told: the kernel wraps it, expressions do not.
 *
 * f32 and f64 values are told too where they are whole numbers: exporters take sizes through floats
 * (Cast, Mul by a scale, Floor, Cast back). */
void tn_elementwise_known(tn_infer *f, int in_count, tn_known_map map);
/* Is a value of this type told as an expression? */
bool tn_elementwise_tells(tn_dtype dtype);
/* e, or NONE if it is a constant that dtype does not hold exactly. */
tn_expr tn_elementwise_fit(const tn_exprs *exprs, tn_dtype dtype, tn_expr e);

/* The common expressions: exact C truncation for division; Python's sign for the remainder. */
tn_expr tn_elementwise_div(tn_exprs *exprs, tn_expr a, tn_expr b);
tn_expr tn_elementwise_div_exact(tn_exprs *exprs, tn_expr a, tn_expr b); /* NONE if it may not go */
tn_expr tn_elementwise_not(tn_exprs *exprs, tn_expr a);                  /* a == 0 */

/* A node of one output in front of `before`, for upgrades; *out is its output. */
tn_status tn_upgrade_add(tn_graph *graph, tn_node *before, const char *op, tn_value *const *in,
                         int in_count, tn_value **out) TN_MUST_USE;
/* The same right behind `after`. */
tn_status tn_upgrade_add_after(tn_graph *graph, tn_node *after, const char *op, tn_value *const *in,
                               int in_count, tn_value **out) TN_MUST_USE;
/* Before opset 7 the second input of a binary operator lay along axes of the first from `axis` on:
 * axes of size 1 are appended to it up to the rank of the first. Both ranks must be known. */
tn_status tn_upgrade_align(tn_graph *graph, tn_node *node, int64_t axis) TN_MUST_USE;
/* The same by the attributes axis and broadcast, which go. */
tn_status tn_upgrade_broadcast_axis(tn_graph *graph, tn_node *node) TN_MUST_USE;

#endif
