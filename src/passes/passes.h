/* Graph to graph steps. A pass is one file that ends in one const tn_pass; passes.c holds the
 * ordered list, verifies after each, and dumps the text form where asked. */
#ifndef TN_PASSES_PASSES_H
#define TN_PASSES_PASSES_H

#include "base/watch.h"
#include "ir/graph.h"
#include "ir/op.h"

typedef struct tn_pass {
    const char *name;  /* "fold_constants": of the file, the dump and the golden text */
    const char *about; /* one line */
    tn_status (*run)(tn_graph *graph, int64_t *changed); /* how many places changed */
    int opset;       /* of ONNX that has the operators it makes; 0: any */
    bool only_files; /* makes files smaller; of no use to engines */
    bool only_engines;
    bool only_cards; /* for the plan of a card that may use tensor cores */
    bool only_cpu;   /* for engines that are built for the CPU */
} tn_pass;

/* What passes are run for. */
typedef struct tn_pass_options {
    const char *dump_folder; /* NULL, or where NN-name.tn is written after each pass */
    bool for_card;           /* tensor cores may be used, of tf32 or of 16 bits */
    bool for_cpu;            /* nothing but the CPU will run it, as far as is known */
    bool for_file;           /* the graph is to be written as ONNX ... */
    int64_t opset;           /* ... of this opset: passes that need a later one are left out */
    tn_watch *watch;         /* may be NULL: told after each pass */
} tn_pass_options;

/* The ordered list, ended by NULL. */
const tn_pass *const *tn_passes(void);
const tn_pass *tn_pass_find(const char *name);
/* The passes that fit the options until nothing changes (at most 10 sweeps), infer and verify after
 * each that changed something. */
tn_status tn_passes_run_for(tn_graph *graph, const tn_pass_options *options) TN_MUST_USE;
/* Those for engines. dump_folder may be NULL. */
tn_status tn_passes_run(tn_graph *graph, const char *dump_folder) TN_MUST_USE;
/* One pass, inferred and verified after it. */
tn_status tn_pass_run(tn_graph *graph, const tn_pass *pass, int64_t *changed) TN_MUST_USE;

#endif
