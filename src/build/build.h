/* Model to engine: passes -> partition -> lower -> choose -> emit -> gate. */
#ifndef TN_BUILD_BUILD_H
#define TN_BUILD_BUILD_H

#include "exec/exec.h"
#include "ir/graph.h"

/* The graph is not changed (a clone is optimised). config may be NULL. */
tn_status tn_build_engine(const tn_graph *graph, const tn_build_config *config,
                          tn_engine **out) TN_MUST_USE;
/* The same network for this machine and version, at once: from the portable graph of an engine
 * whose plan cannot be used here, by estimates alone. */
tn_status tn_build_again(const tn_engine *engine, int threads, tn_engine **out) TN_MUST_USE;
/* Run `original` by reference kernels and `changed` as an engine, with the same values at the
 * shapes that config's profiles give, and compare outputs by name. MISMATCH names the first tensor
 * that differs. `changed` has the inputs of `original`; dims may be fixed. *result: "passed",
 * "passed in part" or "inconclusive"; the figures go to `report`. */
tn_status tn_build_compare(const tn_graph *original, const tn_graph *changed,
                           const tn_build_config *config, tn_text *report,
                           const char **result) TN_MUST_USE;

#endif
