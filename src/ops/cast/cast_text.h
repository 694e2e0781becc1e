/* Numbers to strings and back, as Cast does it. */
#ifndef TN_OPS_CAST_TEXT_H
#define TN_OPS_CAST_TEXT_H

#include "tensor/tensor.h"

/* Every element of x as text: integers in decimal, floats in the fewest digits that read back to
 * the same value of x's type, "NaN", "INF", "-INF"; bool as 0 and 1. The text lives in the arena.
 */
tn_status tn_cast_to_text(const tn_tensor *x, tn_arena *arena, const tn_tensor *y) TN_MUST_USE;
/* A string that is not a number is INVALID. A fraction on its way to an integer is cut. */
tn_status tn_cast_from_text(const tn_tensor *x, const tn_tensor *y) TN_MUST_USE;

#endif
