/* Padding goes: batches of sentences are computed without the tokens that fill them up. For plans
 * of the CPU alone, whose kernels take sizes that only the data tells. */
#ifndef TN_PASSES_REMOVE_PADDING_H
#define TN_PASSES_REMOVE_PADDING_H

#include "ir/graph.h"

/* *changed: how many nodes now work on real tokens alone; 0 where attention has no mask of keys, or
 * where something reads more than the first token of each row. */
tn_status tn_remove_padding(tn_graph *graph, int64_t *changed) TN_MUST_USE;

#endif
