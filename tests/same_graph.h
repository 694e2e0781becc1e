/* Are two graphs the same network, node for node? For tests of what is written and read again. */
#ifndef TN_TESTS_SAME_GRAPH_H
#define TN_TESTS_SAME_GRAPH_H

#include "ir/graph.h"

/* Names of inputs and outputs count, and of nodes, but for a number behind them; names of values do
 * not, nor does it where a constant stands or whether an attribute says what holds without it.
 * False: `why` says where they part. */
bool same_graph(const tn_graph *a, const tn_graph *b, char *why, size_t why_bytes);

#endif
