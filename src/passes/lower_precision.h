/* The values of a graph in 16 bits where a card computes fast with them. Not one of the passes of
 * every build: the portable graph of an engine stays as exact as the model. */
#ifndef TN_PASSES_LOWER_PRECISION_H
#define TN_PASSES_LOWER_PRECISION_H

#include "base/map.h"
#include "ir/graph.h"

/* Does it round floats to steps of a scale? */
bool tn_node_rounds(const tn_node *node);
/* Into `names` (of first results): nodes of float results that such a node behind them rounds, at
 * once or after other nodes. The last bit of those decides to which step they fall, so they must be
 * what they are in float32. */
tn_status tn_find_rounded(const tn_graph *graph, tn_map *names) TN_MUST_USE;

typedef struct tn_lowered {
    int64_t low, kept; /* nodes with float32 outputs that were lowered, and that were not */
} tn_lowered;

/* Nodes of the operators that keep their meaning in 16 bits get operands and results of `dtype`
 * (F16 or BF16), with Casts where such a value meets a float32 one; weights are rounded. `held`
 * (names of values; may be NULL): nodes whose first output is among them stay in float32, as do
 * those whose constants do not fit the type, and those of tn_find_rounded. Inputs and outputs of
 * the graph keep their types. */
tn_status tn_lower_precision(tn_graph *graph, tn_dtype dtype, const tn_map *held,
                             tn_lowered *out) TN_MUST_USE;

#endif
