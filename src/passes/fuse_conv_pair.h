/* Two convolutions of single pixels as one node, where a block of a network ends and the next one
 * begins: for plans of a card. */
#ifndef TN_PASSES_FUSE_CONV_PAIR_H
#define TN_PASSES_FUSE_CONV_PAIR_H

#include "ir/graph.h"

/* values: of the graph's first `count` expressions, at the shapes to tune for, since it gains only
 * where there are many pixels. *changed: how many pairs there are. */
tn_status tn_fuse_conv_pairs(tn_graph *graph, const int64_t *values, int64_t count,
                             int64_t *changed) TN_MUST_USE;

#endif
