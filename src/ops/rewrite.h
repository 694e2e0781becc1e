/* Words for upgrade rules that put a formula of other operators in a node's place.
 *
 *     tn_rewrite r = tn_rewrite_of(graph, node);
 *     tn_value *sum = TN_MAKE(&r, "Add", tn_rewrite_in(&r, 0), tn_rewrite_in(&r, 1));
 *     tn_rewrite_give(&r, 0, TN_MAKE(&r, "Gelu", sum));
 *     return tn_rewrite_end(&r);
 *
 * The first failure is kept; after it every word does nothing and gives NULL, so that a rule reads
 * as the formula it stands for. What is made has today's meaning of its operator and stands before
 * the node. NULL among the inputs is an absent one; absent ones at the end are left off.
 */
#ifndef TN_OPS_REWRITE_H
#define TN_OPS_REWRITE_H

#include "ir/op.h"

#define TN_REWRITE_OUTPUTS 6
typedef struct tn_rewrite {
    tn_graph *graph;
    tn_node *node;
    tn_value *given[TN_REWRITE_OUTPUTS];
    tn_status status;
} tn_rewrite;

/* Checks the node against its operator's schema: arity, data types, attributes. */
tn_rewrite tn_rewrite_of(tn_graph *graph, tn_node *node);
/* Every output that somebody reads has been given; the node goes. */
tn_status tn_rewrite_end(tn_rewrite *r) TN_MUST_USE;
void tn_rewrite_give(tn_rewrite *r, int output, tn_value *value);
bool tn_rewrite_wants(const tn_rewrite *r, int output);
/* Keeps a failure unless there is one already. */
void tn_rewrite_fail(tn_rewrite *r, tn_status status);
#define TN_REWRITE_CHECK(r, condition, ...)                                                        \
    do {                                                                                           \
        if (!(r)->status && !(condition)) tn_rewrite_fail((r), TN_ERROR(__VA_ARGS__));             \
    } while (0)

tn_value *tn_rewrite_in(const tn_rewrite *r, int input); /* NULL: absent */
/* Of a value that was made or read: inferred first. dtype NONE and rank -1 after a failure. */
tn_type tn_rewrite_type(tn_rewrite *r, tn_value *value);
/* The rank, which must be known. */
int tn_rewrite_rank(tn_rewrite *r, tn_value *value);

/* A node of `outs` outputs; the first is returned, tn_rewrite_out gives the others. */
tn_value *tn_rewrite_make(tn_rewrite *r, const char *op, tn_value *const *in, int count, int outs);
tn_value *tn_rewrite_out(const tn_rewrite *r, tn_value *first, int output);
#define TN_MAKE(r, op, ...) TN_MAKE_OUTS(r, 1, op, __VA_ARGS__)
#define TN_MAKE_OUTS(r, outs, op, ...)                                                             \
    tn_rewrite_make((r), (op), (tn_value *[]){__VA_ARGS__},                                        \
                    (int)TN_COUNT(((tn_value *[]){__VA_ARGS__})), (outs))
/* Attributes of the node that made the value, which is returned. */
tn_value *tn_rewrite_int(tn_rewrite *r, tn_value *made, const char *name, int64_t value);
tn_value *tn_rewrite_float(tn_rewrite *r, tn_value *made, const char *name, double value);
tn_value *tn_rewrite_text(tn_rewrite *r, tn_value *made, const char *name, const char *value);
tn_value *tn_rewrite_ints(tn_rewrite *r, tn_value *made, const char *name, const int64_t *at,
                          int64_t count);
/* The rewritten node's attribute under another name, if it is there. */
tn_value *tn_rewrite_copy(tn_rewrite *r, tn_value *made, const char *name, const char *from);

tn_value *tn_rewrite_scalar(tn_rewrite *r, tn_dtype dtype, double value);
tn_value *tn_rewrite_vector(tn_rewrite *r, const int64_t *at, int64_t count);
/* Ones that many rules use. */
tn_value *tn_rewrite_cast(tn_rewrite *r, tn_value *x, tn_dtype dtype); /* x itself where it fits */
tn_value *tn_rewrite_transpose(tn_rewrite *r, tn_value *x, const int64_t *perm, int rank);
tn_value *tn_rewrite_reshape(tn_rewrite *r, tn_value *x, const int64_t *dim, int rank);
tn_value *tn_rewrite_dim(tn_rewrite *r, tn_value *x, int axis); /* i64[1] */
tn_value *tn_rewrite_unsqueeze(tn_rewrite *r, tn_value *x, int64_t axis);
tn_value *tn_rewrite_squeeze(tn_rewrite *r, tn_value *x, int64_t axis);
tn_value *tn_rewrite_slice(tn_rewrite *r, tn_value *x, int64_t axis, int64_t begin, int64_t end);

#endif
