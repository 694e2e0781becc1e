/* Operators that a program or a library registers (<tenon/op.h>), as operators of ours.
 *
 *     tn_op_spec --tn_user_op_new--> tn_user_op {tn_op, tn_tactic} --tn_user_ops_add--> found by
 * all attributes of a node --pack--> parameters, which the plan carries --tn_user_attr_*--> compute
 */
#ifndef TN_OPS_USER_OP_H
#define TN_OPS_USER_OP_H

#include <tenon/op.h>

#include "device/device.h"
#include "ir/op.h"

typedef struct tn_user_op {
    tn_op_entry entry; /* first: the operator's address is this one's */
    tn_tactic_entry tactic;
    tn_op_spec spec;
    const char *library; /* the file's name without its folder; "": the program itself */
    struct tn_user_op *next;
    tn_arena arena; /* of everything, this included */
} tn_user_op;

/* Checks and copies; belongs to the caller until it is added. */
tn_status tn_user_op_new(const tn_op_spec *spec, const char *library, tn_user_op **out) TN_MUST_USE;
void tn_user_op_free(tn_user_op *op);
/* A list, linked by `next`: all of them or, where a name exists already, none. */
tn_status tn_user_ops_add(tn_user_op *first) TN_MUST_USE;
/* Where the operator came from; NULL: it is one of ours. */
const char *tn_user_op_library(const tn_op *op);

/* ---- Attributes as parameters (user_params.c) ------------------------------------------------*/

tn_status tn_user_params_pack(const tn_node *node, tn_arena *arena, void **params,
                              uint32_t *bytes) TN_MUST_USE;
/* Parameters from a file: can they be read without harm? */
bool tn_user_params_fit(const void *params, uint32_t bytes);

typedef struct tn_user_attr {
    tn_attr_kind kind;
    int64_t count;
    const void *data; /* int64_t, float, bytes of a tensor */
    tn_tensor tensor; /* TENSOR */
    const void *texts;
} tn_user_attr;

bool tn_user_params_find(const void *params, const char *name, tn_user_attr *out);
tn_string tn_user_params_text(const tn_user_attr *attr, int64_t index); /* TEXT, TEXTS */

/* ---- Calls (user_call.c) ---------------------------------------------------------------------*/

tn_status tn_user_infer(tn_infer *f) TN_MUST_USE;
size_t tn_user_scratch_bytes(const tn_problem *p);
tn_status tn_user_launch(const tn_launch *l) TN_MUST_USE;

#endif
