/* Private to passes: nodes that compute each row by itself. A row is what lies along the last axis;
 * Linear, LayerNormalization over it and functions of single elements are such nodes, so rows may
 * be left out or put side by side in another order before them as well as behind. */
#ifndef TN_PASSES_BY_ROW_H
#define TN_PASSES_BY_ROW_H

#include "passes/passes.h"

enum { TN_BY_ROW_INPUTS = 4 };

/* Is it one, of one output and at least one axis before the last? rows: which operands have all the
 * rows of the output; the others are the same for each. */
bool tn_by_row(const tn_node *node, bool rows[TN_BY_ROW_INPUTS]);
/* The node once more before `before`, with other operands in place of those with rows. */
tn_status tn_by_row_again(const tn_node *node, tn_value *const *in, tn_node *before,
                          tn_node **out) TN_MUST_USE;

#endif
