/* Reverse-mode differentiation of a graph: a pass that adds the nodes of the gradients.
 *
 * Each operator that can be differentiated has a rule (tn_op.gradient): given the gradients of its
 * outputs it writes down those of its inputs, as nodes of ordinary operators. The result is a graph
 * like any other, which passes, planner and kernels treat as they do all others.
 */
#ifndef TN_PASSES_GRADIENT_H
#define TN_PASSES_GRADIENT_H

#include "ir/graph.h"

/* d loss / d wrt[i] as gradient[i], of the type of wrt[i]; zeros where loss does not depend on it.
 * loss is a scalar float. An operator on the way that has no rule is UNSUPPORTED: all of them are
 * named at once. */
tn_status tn_graph_differentiate(tn_graph *graph, tn_value *loss, tn_value *const *wrt, int count,
                                 tn_value **gradient) TN_MUST_USE;

#endif
