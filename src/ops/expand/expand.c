/* Expand-8: broadcast to a shape, both ways: a dim of 1 in the shape leaves the input's. */
#include "ops/moving.h"

static const tn_port ins[] = {{"input", TN_DTS_ANY, 'T', 0}, {"shape", TN_DT(I64), 0, 0}};
static const tn_port outs[] = {{"output", TN_DTS_ANY, 'T', 0}};

static tn_status broadcast_dim(tn_infer *f, int axis, tn_expr a, tn_expr b, tn_expr *out)
{
    int64_t x, y;
    bool x_known = tn_expr_is_const(f->exprs, a, &x), y_known = tn_expr_is_const(f->exprs, b, &y);
    TN_CHECK(!x_known || !y_known || x == y || x == 1 || y == 1, TN_INVALID,
             "%lld along axis %d cannot be expanded to %lld", (long long)x, axis, (long long)y);
    TN_CHECK(!y_known || y >= 0, TN_INVALID, "the shape asks for a dim of %lld", (long long)y);
    *out = tn_expr_broadcast(f->exprs, a, b);
    if (!a && y_known && y != 1) *out = b;
    if (!b && x_known && x != 1) *out = a;
    return NULL;
}

static tn_status infer(tn_infer *f)
{
    const tn_type *x = &f->in[0];
    const tn_expr *at = NULL, *value;
    tn_expr dim[TN_RANK_MAX], repeated[TN_KNOWN_MAX], one = tn_expr_const(f->exprs, 1);
    int64_t length, total;
    if (!tn_infer_exprs(f, 1, &at, &length)) {
        at = NULL;
        length = tn_infer_length(f, 1);
    }
    TN_CHECK(length <= TN_RANK_MAX, TN_UNSUPPORTED, "rank %lld is above %d", (long long)length,
             TN_RANK_MAX);
    int rank = TN_MAX(x->rank, (int)length);
    if (x->rank < 0 || length < 0 || !at) {
        tn_infer_set_fresh(f, 0, x->dtype, x->rank < 0 || length < 0 ? -1 : rank);
        return NULL;
    }
    for (int axis = 0; axis < rank; axis++) {
        int mine = axis - (rank - x->rank), theirs = axis - (rank - (int)length);
        TN_TRY(broadcast_dim(f, axis, mine < 0 ? one : x->dim[mine], theirs < 0 ? one : at[theirs],
                             &dim[axis]));
        if (!dim[axis]) dim[axis] = tn_infer_fresh(f);
    }
    tn_infer_set(f, 0, x->dtype, rank, dim);
    if (rank > 1 || !tn_infer_exprs(f, 0, &value, &length)) return NULL;
    if (!tn_expr_is_const(f->exprs, tn_infer_product(f, dim, 0, rank), &total)) return NULL;
    if (total > TN_KNOWN_MAX || (length != total && length != 1)) return NULL;
    for (int64_t i = 0; i < total; i++) repeated[i] = value[length == 1 ? 0 : i];
    tn_infer_set_known(f, 0, repeated, total);
    return NULL;
}

static tn_status reference(const tn_launch *l)
{
    const tn_tensor *x = &l->problem->in[0], *y = &l->problem->out[0];
    tn_move move = tn_move_of(x, y, y);
    int64_t step[TN_RANK_MAX];
    tn_dense_steps(x->dim, x->rank, step);
    for (int axis = 0; axis < y->rank; axis++) {
        int mine = axis - (y->rank - x->rank);
        TN_CHECK(mine < 0 || x->dim[mine] == 1 || x->dim[mine] == y->dim[axis], TN_INVALID,
                 "%lld along axis %d cannot be expanded to %lld", (long long)x->dim[mine], axis,
                 (long long)y->dim[axis]);
        move.src_step[axis] = mine < 0 || x->dim[mine] == 1 ? 0 : step[mine];
    }
    tn_move_run(&move);
    return NULL;
}

static const tn_case cases[] = {
    {.problem = "Expand f32[3,1]={1,2,3} i64[3]={2,1,2}",
     .expect = "f32[2,3,2]={1,1,2,2,3,3,1,1,2,2,3,3}"},
    {.problem = "Expand i64[1]={9} i64[1]={3}", .expect = "i64[3]={9,9,9}"},
    {.problem = "Expand u4[2,1]={1,2} i64[2]={1,3}", .expect = "u4[2,3]={1,1,1,2,2,2}"},
    {.problem = "Expand f32[2,1,5] i64[3]={1,7,1}"},
    {.problem = "Expand f32 i64[2]={0,3}", .expect = "f32[0,3]={}"},
    {0},
};

const tn_op tn_op_expand = {
    .name = "Expand",
    .since = 8,
    .about = "broadcast to a shape, both ways",
    .in = ins,
    .in_count = TN_COUNT(ins),
    .out = outs,
    .out_count = TN_COUNT(outs),
    .infer = infer,
    .reference = reference,
    .shape_inputs = 1 << 1,
    .derivative = "dy; 0",
    .cases = cases,
};
