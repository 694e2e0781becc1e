/* Private to the gate: running two graphs with the same values and judging what they give. */
#ifndef TN_BUILD_GATE_H
#define TN_BUILD_GATE_H

#include "build/stage.h"

/* Values that are made up may never end a loop. */
#define TN_GATE_ITERATIONS_MAX 10000

typedef struct tn_verdict_of {
    bool same_shape, within;
    tn_difference difference;
} tn_verdict_of;

tn_status tn_gate_judge(const tn_tensor *got, const tn_tensor *want, double tolerance,
                        tn_verdict_of *out) TN_MUST_USE;
void tn_gate_print_verdict(const tn_verdict_of *v, const tn_tensor *got, const tn_tensor *want,
                           tn_text *text);
tn_status tn_gate_execute(tn_context *context, const tn_graph *graph,
                          const tn_tensor *inputs) TN_MUST_USE;
/* Constants are borrowed from the graph where the list does. */
tn_status tn_gate_engine(const tn_gate *gate, const tn_graph *graph, tn_chooser *chooser,
                         tn_constant_list *constants, tn_engine **out) TN_MUST_USE;
tn_chooser tn_gate_reference_chooser(const tn_gate *gate, tn_arena *arena);

/* gate_search.c: adds what is known of the first tensor that differs. A help for the reader of the
 * message: if it fails, the message is merely shorter. */
void tn_gate_find_first(const tn_gate *gate, const tn_tensor *inputs, tn_text *text);
/* Fills gate->suspects: nodes of gate->exact whose results in the lowered graph lose most. */
tn_status tn_gate_find_suspects(tn_gate *gate, const tn_tensor *inputs) TN_MUST_USE;

#endif
