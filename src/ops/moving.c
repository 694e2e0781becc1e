#include "ops/moving.h"

#include <string.h>

void tn_dense_steps(const int64_t *dim, int rank, int64_t *step)
{
    int64_t next = 1;
    for (int axis = rank - 1; axis >= 0; axis--) {
        step[axis] = next;
        next *= dim[axis];
    }
}

bool tn_index_next(int64_t *index, const int64_t *dim, int rank)
{
    for (int axis = rank - 1; axis >= 0; axis--) {
        if (++index[axis] < dim[axis]) return true;
        index[axis] = 0;
    }
    return false;
}

tn_move tn_move_of(const tn_tensor *src, const tn_tensor *dst, const tn_tensor *over)
{
    tn_move move = {.dtype = src->dtype, .rank = over->rank, .dst = dst->data, .src = src->data};
    memcpy(move.dim, over->dim, sizeof(move.dim));
    if (src->rank == over->rank) tn_dense_steps(src->dim, src->rank, move.src_step);
    if (dst->rank == over->rank) tn_dense_steps(dst->dim, dst->rank, move.dst_step);
    return move;
}

/* Whole rows go in one copy where both sides are dense along the last axis. */
void tn_move_run(const tn_move *move)
{
    int rank = move->rank;
    int64_t index[TN_RANK_MAX] = {0}, run = 1;
    for (int axis = 0; axis < move->rank; axis++)
        if (move->dim[axis] <= 0) return;
    while (rank > 0 && move->dst_step[rank - 1] == run && move->src_step[rank - 1] == run) {
        run *= move->dim[rank - 1];
        rank--;
    }
    int64_t dst_at = move->dst_at, src_at = move->src_at;
    for (;;) {
        tn_copy_elements(move->dtype, move->dst, dst_at, move->src, src_at, run);
        int axis = rank - 1;
        for (; axis >= 0; axis--) {
            dst_at += move->dst_step[axis];
            src_at += move->src_step[axis];
            if (++index[axis] < move->dim[axis]) break;
            dst_at -= move->dst_step[axis] * move->dim[axis];
            src_at -= move->src_step[axis] * move->dim[axis];
            index[axis] = 0;
        }
        if (axis < 0) return;
    }
}

tn_status tn_check_count(const tn_tensor *t, int64_t count)
{
    char text[96];
    TN_CHECK(tn_tensor_count(t) == count, TN_INVALID, "%lld elements come out where %s is planned",
             (long long)count, tn_tensor_type_text(t, text, sizeof(text)));
    return NULL;
}

tn_status tn_move_same(const tn_launch *l)
{
    const tn_tensor *x = &l->problem->in[0], *y = &l->problem->out[0];
    int64_t count = tn_tensor_count(x);
    char from[96], to[96];
    TN_CHECK(count == tn_tensor_count(y), TN_INVALID, "%s has %lld elements, %s has %lld",
             tn_tensor_type_text(x, from, sizeof(from)), (long long)count,
             tn_tensor_type_text(y, to, sizeof(to)), (long long)tn_tensor_count(y));
    if (count > 0 && x->data != y->data) tn_copy_elements(x->dtype, y->data, 0, x->data, 0, count);
    return NULL;
}

tn_status tn_index_load(const tn_tensor *indices, int64_t at, int64_t count, int axis, int64_t *out)
{
    int64_t value = tn_load_i64(indices->dtype, indices->data, at);
    TN_CHECK(
        value >= -count && value < count, TN_INVALID,
        "index %lld (element %lld of the indices) is outside [-%lld, %lld), the dim of axis %d",
        (long long)value, (long long)at, (long long)count, (long long)count, axis);
    *out = value < 0 ? value + count : value;
    return NULL;
}

static tn_status normal_axes(const int64_t *value, int value_count, int rank, int *axis)
{
    bool seen[TN_RANK_MAX] = {false};
    for (int i = 0; i < value_count; i++) {
        axis[i] = tn_axis_normal(value[i], rank);
        TN_CHECK(axis[i] >= 0, TN_INVALID, "axis %lld is outside [-%d, %d)", (long long)value[i],
                 rank, rank);
        TN_CHECK(!seen[axis[i]], TN_INVALID, "axis %lld is given twice", (long long)value[i]);
        seen[axis[i]] = true;
    }
    return NULL;
}

tn_status tn_infer_axes_input(tn_infer *f, int input, int rank, int *axis, int *count, bool *known)
{
    int64_t value[TN_RANK_MAX];
    *known = true;
    *count = 0;
    if (!tn_infer_has(f, input)) return NULL;
    int64_t length = tn_infer_length(f, input);
    TN_CHECK(length <= rank, TN_INVALID, "%lld axes are given for a tensor of rank %d",
             (long long)length, rank);
    *known = tn_infer_ints(f, input, value, TN_RANK_MAX, count);
    if (!*known) return NULL;
    TN_CHECK(*count <= rank, TN_INVALID, "%d axes are given for a tensor of rank %d", *count, rank);
    return normal_axes(value, *count, rank, axis);
}

tn_status tn_launch_axes(const tn_tensor *axes, int rank, int *axis, int *count)
{
    int64_t value[TN_RANK_MAX], length = tn_tensor_count(axes);
    TN_CHECK(length <= rank, TN_INVALID, "%lld axes are given for a tensor of rank %d",
             (long long)length, rank);
    *count = (int)length;
    for (int i = 0; i < *count; i++) value[i] = tn_load_i64(axes->dtype, axes->data, i);
    return normal_axes(value, *count, rank, axis);
}

void tn_infer_set_fresh(tn_infer *f, int index, tn_dtype dtype, int rank)
{
    tn_expr dim[TN_RANK_MAX] = {0};
    for (int axis = 0; axis < rank && axis < TN_RANK_MAX; axis++) dim[axis] = tn_infer_fresh(f);
    tn_infer_set(f, index, dtype, rank, dim);
}

void tn_infer_pass_known(tn_infer *f, int input)
{
    const tn_expr *at;
    int64_t count;
    if (f->in[input].rank < 0 || f->in[input].rank > 1) return;
    if (f->out[0].rank < 0 || f->out[0].rank > 1) return;
    if (tn_infer_exprs(f, input, &at, &count)) tn_infer_set_known(f, 0, at, count);
}

tn_expr tn_infer_product(tn_infer *f, const tn_expr *dim, int begin, int end)
{
    tn_expr product = tn_expr_const(f->exprs, 1);
    for (int axis = begin; axis < end; axis++) product = tn_expr_mul(f->exprs, product, dim[axis]);
    return product;
}

tn_status tn_upgrade_ints_to_input(tn_graph *graph, tn_node *node, const char *attr, int index)
{
    const tn_attr *found = tn_node_find_attr(node, attr);
    tn_value *value;
    if (!found) return NULL;
    /* Some exporters write a list of one as its element. */
    bool one = found->kind == TN_ATTR_INT;
    TN_CHECK(one || found->kind == TN_ATTR_INTS, TN_INVALID,
             "attribute %s is not a list of integers", attr);
    TN_TRY(tn_graph_add_ints(graph, one ? &found->i : found->ints, one ? 1 : found->count, &value));
    TN_TRY(tn_node_set_input(node, index, value));
    tn_node_remove_attr(node, attr);
    return NULL;
}
