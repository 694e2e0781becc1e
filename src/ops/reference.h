/* Reference kernels as tactics: every operator's last resort on the CPU,
 * "cpu.softmax.any.reference". */
#ifndef TN_OPS_REFERENCE_H
#define TN_OPS_REFERENCE_H

#include "device/device.h"
#include "ir/op.h"

/* The reference tactics of all operators, ended by NULL; made once, in table order, without
 * allocation. A tactic's resolve runs the operator's infer over constants. */
const tn_tactic *const *tn_reference_tactics(void);
/* The same of an operator beside the table; the name is borrowed. */
tn_tactic tn_reference_tactic(const tn_op *op, const char *name);

/* A problem from its text (device.h): op, params and inputs; "none" is an absent input. Outputs are
 * those the schema requires, or as many as "-> 3" or "-> f32[2] f32[2]" says, and are inferred: one
 * whose shape needs data that is not there yet has dtype NONE. Memory from the arena. */
tn_status tn_problem_parse(const char *text, tn_arena *arena, tn_problem *out) TN_MUST_USE;
/* Fill p->out (types, shapes) from p's params and inputs, with data where it is there. An output
 * whose shape needs data that is not there is an error. */
tn_status tn_problem_infer(tn_problem *p, tn_arena *arena) TN_MUST_USE;
/* Run the reference of p; every input has data; output data is allocated from the arena where NULL.
 */
tn_status tn_problem_run_reference(tn_problem *p, tn_arena *arena) TN_MUST_USE;

/* A node's problem, types only: all dims are evaluated with values[expr]. data of constants in
 * place. */
tn_status tn_node_problem(const tn_node *node, const int64_t *values, tn_arena *arena,
                          tn_problem *out) TN_MUST_USE;

#endif
