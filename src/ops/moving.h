/* What the reference kernels of the data movers share: strided copies, index walks, checked
 * indices. */
#ifndef TN_OPS_MOVING_H
#define TN_OPS_MOVING_H

#include "ir/op.h"

/* dst[dst_at + sum(index * dst_step)] = src[src_at + sum(index * src_step)] for every index below
 * dim. Positions and steps are in elements; steps may be 0 or negative. */
typedef struct tn_move {
    tn_dtype dtype;
    int32_t rank;
    int64_t dim[TN_RANK_MAX];
    void *dst;
    int64_t dst_at, dst_step[TN_RANK_MAX];
    const void *src;
    int64_t src_at, src_step[TN_RANK_MAX];
} tn_move;

/* A move over all of `over`, whose index steps both sides as dense tensors do: adjust from there.
 */
tn_move tn_move_of(const tn_tensor *src, const tn_tensor *dst, const tn_tensor *over);
void tn_move_run(const tn_move *move);
/* A kernel's guard against plans that promise another size than the inputs make (a file may declare
 * what it likes): INVALID unless the tensor has `count` elements. */
tn_status tn_check_count(const tn_tensor *t, int64_t count) TN_MUST_USE;
/* All of src to dst, shapes aside: the reference of a view. The counts must be equal. */
tn_status tn_move_same(const tn_launch *l) TN_MUST_USE;

void tn_dense_steps(const int64_t *dim, int rank, int64_t *step);
/* The next index in row-major order; false after the last. */
bool tn_index_next(int64_t *index, const int64_t *dim, int rank);

/* Element `at` of an index tensor, negative ones counted from the end of a dim of `count`. Out of
 * range is INVALID and names the value and the dim. */
tn_status tn_index_load(const tn_tensor *indices, int64_t at, int64_t count, int axis,
                        int64_t *out) TN_MUST_USE;

/* Axes of an optional input, normal; none if it is absent. Outside or twice is INVALID. *known is
 * false if the values are not there yet. axis[] has room for TN_RANK_MAX. */
tn_status tn_infer_axes_input(tn_infer *f, int input, int rank, int *axis, int *count,
                              bool *known) TN_MUST_USE;
/* The same in a kernel, where the data is there. */
tn_status tn_launch_axes(const tn_tensor *axes, int rank, int *axis, int *count) TN_MUST_USE;

/* Output `index` of unknown dims: rank -1, or fresh ones. */
void tn_infer_set_fresh(tn_infer *f, int index, tn_dtype dtype, int rank);
/* The values of an input become those of output 0 (rank of both at most 1). */
void tn_infer_pass_known(tn_infer *f, int input);
/* The product of dims [begin, end). */
tn_expr tn_infer_product(tn_infer *f, const tn_expr *dim, int begin, int end);

/* For upgrades: an attribute of integers becomes input `index`, and goes. Without it nothing
 * happens. */
tn_status tn_upgrade_ints_to_input(tn_graph *graph, tn_node *node, const char *attr,
                                   int index) TN_MUST_USE;

#endif
