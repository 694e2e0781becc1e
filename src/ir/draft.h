/* Writing a graph down node by node: networks by name, the network-definition API, gradients.
 *
 * Types are inferred as each node is added, so that the next step can ask for shapes. The first
 * failure stays in `status`; from then on every call does nothing and gives NULL, so that a network
 * reads as a list of layers and is checked once, at the end:
 *
 *     tn_draft d = {.graph = graph};
 *     tn_value *y = tn_draft_op(&d, "Conv", "conv1", TN_IN(x, w, b),
 * TN_WITH(tn_attr_ints("strides", two, 2))); y = tn_draft_op(&d, "Relu", "relu1", TN_IN(y),
 * TN_PLAIN); TN_TRY(tn_draft_end(&d));
 *
 * A status is a record of the thread: between a failure and tn_draft_end no other call that could
 * fail may run.
 */
#ifndef TN_IR_DRAFT_H
#define TN_IR_DRAFT_H

#include "ir/op.h"

typedef struct tn_draft {
    tn_graph *graph;
    tn_node *before; /* new nodes come before this one; NULL: at the end */
    tn_status status;
    bool failed;
} tn_draft;

/* Arrays with their counts, as two arguments. NULL is an absent input. */
#define TN_IN(...)                                                                                 \
    (tn_value *const[]){__VA_ARGS__},                                                              \
        (int)(sizeof((tn_value *[]){__VA_ARGS__}) / sizeof(tn_value *))
#define TN_WITH(...)                                                                               \
    (const tn_attr[]){__VA_ARGS__}, (int)(sizeof((tn_attr[]){__VA_ARGS__}) / sizeof(tn_attr))
#define TN_PLAIN NULL, 0

tn_attr tn_attr_int(const char *name, int64_t value);
tn_attr tn_attr_float(const char *name, double value);
tn_attr tn_attr_text(const char *name, const char *text);
tn_attr tn_attr_ints(const char *name, const int64_t *at, int64_t count); /* borrowed */

/* One output. `name` is the node's and, made unique, that of its output; NULL: fresh ones. */
tn_value *tn_draft_op(tn_draft *draft, const char *op, const char *name, tn_value *const *in,
                      int in_count, const tn_attr *attr, int attr_count);
/* Any number of outputs: out[i] is filled, with NULL after a failure. */
void tn_draft_ops(tn_draft *draft, const char *op, const char *name, tn_value *const *in,
                  int in_count, const tn_attr *attr, int attr_count, tn_value **out, int out_count);
tn_value *tn_draft_input(tn_draft *draft, const char *name, tn_type type);
/* The data is borrowed for the graph's life unless `copy`. */
tn_value *tn_draft_constant(tn_draft *draft, const char *name, const tn_tensor *tensor, bool copy);
tn_value *tn_draft_ints(tn_draft *draft, const int64_t *at, int64_t count);
tn_value *tn_draft_scalar(tn_draft *draft, tn_dtype dtype, double value);
void tn_draft_output(tn_draft *draft, const char *name, tn_value *value);
/* Words that many networks use. */
tn_value *tn_draft_reshape(tn_draft *draft, const char *name, tn_value *x, const int64_t *dim,
                           int rank); /* 0: as before; -1: the rest */
tn_value *tn_draft_transpose(tn_draft *draft, const char *name, tn_value *x, const int64_t *perm,
                             int rank);
tn_value *tn_draft_slice(tn_draft *draft, const char *name, tn_value *x, int64_t axis,
                         int64_t begin, int64_t end);
tn_value *tn_draft_squeeze(tn_draft *draft, const char *name, tn_value *x, int64_t axis);
tn_value *tn_draft_unsqueeze(tn_draft *draft, const char *name, tn_value *x, int64_t axis);
tn_value *tn_draft_shape(tn_draft *draft, tn_value *x); /* i64 */
/* An expression over named values and numbers, which become scalars of `dtype`:
 *
 *     "dy * (1 - y * y)"    "x > 0 ? dy : 0"    "dy * Exp(x - y)"
 *
 * with + - * / and a unary minus, comparisons, ?: (Where), and Name(a, b) for any operator. */
typedef struct tn_named {
    const char *name;
    tn_value *value; /* NULL: it is a number */
    double number;
} tn_named;
tn_value *tn_draft_formula(tn_draft *draft, const char *name, const char *text, tn_dtype dtype,
                           const tn_named *named, int named_count);
/* Keep a failure of the caller's own; true where the draft is still good. */
bool tn_draft_try(tn_draft *draft, tn_status status);
/* The first failure; clears it. */
tn_status tn_draft_end(tn_draft *draft) TN_MUST_USE;

#endif
