/* Graph to graph steps. A pass is one file that ends in one const tn_pass; passes.c holds the ordered
 * list, verifies after each, and dumps the text form where asked. */
#ifndef TN_PASSES_PASSES_H
#define TN_PASSES_PASSES_H

#include "ir/graph.h"
#include "ir/op.h"

typedef struct tn_pass {
    const char *name;  /* "fold_constants": of the file, the dump and the golden text */
    const char *about; /* one line */
    tn_status (*run)(tn_graph *graph, int64_t *changed); /* how many places changed */
} tn_pass;

/* The ordered list, ended by NULL. */
const tn_pass *const *tn_passes(void);
const tn_pass *tn_pass_find(const char *name);
/* All passes until nothing changes (at most 10 sweeps), infer and verify after each that changed
 * something. dump_folder may be NULL: else NN-name.tn is written there after each pass. */
tn_status tn_passes_run(tn_graph *graph, const char *dump_folder) TN_MUST_USE;

#endif
