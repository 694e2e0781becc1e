/* Model to engine: passes -> partition -> lower -> choose -> emit -> gate. */
#ifndef TN_BUILD_BUILD_H
#define TN_BUILD_BUILD_H

#include "exec/exec.h"
#include "ir/graph.h"

/* The graph is not changed (a clone is optimised). config may be NULL. */
tn_status tn_build_engine(const tn_graph *graph, const tn_build_config *config,
                          tn_engine **out) TN_MUST_USE;
/* The same network for this machine and version, at once: from the portable graph of an engine
 * whose plan cannot be used here, by estimates alone. card: may be NULL. */
tn_status tn_build_again(const tn_engine *engine, tn_card *card, int threads,
                         tn_engine **out) TN_MUST_USE;
/* The same network, measured and checked on a device: config's, or the engine's where that is NULL.
 * Shapes and precision are those of the engine, where config gives none (F32 is none). */
tn_status tn_build_tuned(const tn_engine *engine, const tn_build_config *config,
                         tn_engine **out) TN_MUST_USE;
/* The same network with other weights, by the kernels it has: of an engine with a source. A name
 * that is no weight of it is INVALID, or passed over (`lenient`); so are those that are missing. */
typedef struct tn_refit {
    const char *const *name;
    const tn_tensor *tensor;
    int64_t count;
    bool lenient;
} tn_refit;
tn_status tn_build_refit(const tn_engine *engine, const tn_refit *refit,
                         const tn_build_config *config, tn_engine **out) TN_MUST_USE;
/* "cpu" or NULL: no card; "cuda", "cuda:1": opened. NOT_FOUND for others, UNAVAILABLE with what is
 * missing where there is no such card. */
tn_status tn_build_card(const char *device, tn_card **out) TN_MUST_USE;
/* Run `original` by reference kernels and `changed` as an engine, with the same values at the
 * shapes that config's profiles give, and compare outputs by name. MISMATCH names the first tensor
 * that differs. `changed` has the inputs of `original`; dims may be fixed. *result: "passed",
 * "passed in part" or "inconclusive"; the figures go to `report`. */
tn_status tn_build_compare(const tn_graph *original, const tn_graph *changed,
                           const tn_build_config *config, tn_text *report,
                           const char **result) TN_MUST_USE;
/* Values that make sense into one of the inputs, whose shapes are given (gate_inputs.c). */
tn_status tn_build_fill_input(const tn_graph *graph, const tn_tensor *inputs, int64_t index,
                              uint64_t seed) TN_MUST_USE;
/* "1x3 1x3 4x3 NAME": min, opt, max, as it stands in a meta line; the name lives as long as the
 * line. False: it is none. */
void tn_profile_print(const tn_profile *profile, tn_text *out);
bool tn_profile_parse(const char *line, tn_profile *out);
/* Estimates at the opt shapes of config's profiles (NULL: 1 for dims without one). */
typedef struct tn_cost {
    double flops;            /* operations; a multiply and an add are two */
    double activation_bytes; /* the largest sum of intermediate values alive at once */
    double *node_flops;      /* by node id */
    int64_t unknown_count;   /* nodes that are not in the sums: their sizes are not known before a
                                run,   or they hold graphs */
    const char *shapes;      /* "x f32[1,3]" */
} tn_cost;
tn_status tn_build_cost(const tn_graph *graph, const tn_build_config *config, tn_arena *arena,
                        tn_cost *out) TN_MUST_USE;

#endif
