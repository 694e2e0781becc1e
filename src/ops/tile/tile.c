/* Tile-6: the input over and over, repeats[k] times along axis k. */
#include "ir/gradient.h"
#include "ops/moving.h"

static const tn_port ins[] = {{"input", TN_DTS_ANY, 'T', 0}, {"repeats", TN_DT(I64), 0, 0}};
static const tn_port outs[] = {{"output", TN_DTS_ANY, 'T', 0}};

static tn_status infer(tn_infer *f)
{
    const tn_type *x = &f->in[0];
    const tn_expr *repeat, *at;
    tn_expr dim[TN_RANK_MAX], tiled[TN_KNOWN_MAX];
    int64_t count, length, total;
    bool known = tn_infer_exprs(f, 1, &repeat, &count);
    if (x->rank < 0 || !known) {
        int64_t rank = x->rank >= 0 ? x->rank : known ? count : tn_infer_length(f, 1);
        TN_CHECK(rank <= TN_RANK_MAX, TN_UNSUPPORTED, "rank %lld is above %d", (long long)rank,
                 TN_RANK_MAX);
        tn_infer_set_fresh(f, 0, x->dtype, (int)rank);
        return NULL;
    }
    TN_CHECK(count == x->rank, TN_INVALID, "%lld repeats are given for a tensor of rank %d",
             (long long)count, x->rank);
    for (int k = 0; k < x->rank; k++) {
        dim[k] = tn_expr_mul(f->exprs, x->dim[k], repeat[k]);
        if (!dim[k]) dim[k] = tn_infer_fresh(f);
    }
    tn_infer_set(f, 0, x->dtype, x->rank, dim);
    if (x->rank != 1 || !tn_infer_exprs(f, 0, &at, &length) || length == 0) return NULL;
    if (!tn_expr_is_const(f->exprs, dim[0], &total) || total > TN_KNOWN_MAX) return NULL;
    for (int64_t i = 0; i < total; i++) tiled[i] = at[i % length];
    tn_infer_set_known(f, 0, tiled, total);
    return NULL;
}

static tn_status reference(const tn_launch *l)
{
    const tn_tensor *x = &l->problem->in[0], *y = &l->problem->out[0];
    int64_t step[TN_RANK_MAX], index[TN_RANK_MAX] = {0}, total = tn_tensor_count(y);
    for (int k = 0; k < y->rank; k++)
        TN_CHECK(x->dim[k] > 0 ? y->dim[k] % x->dim[k] == 0 : y->dim[k] == 0, TN_INVALID,
                 "axis %d: %lld is planned, no multiple of %lld", k, (long long)y->dim[k],
                 (long long)x->dim[k]);
    tn_dense_steps(x->dim, x->rank, step);
    for (int64_t i = 0; i < total; i++, tn_index_next(index, y->dim, y->rank)) {
        int64_t at = 0;
        for (int k = 0; k < y->rank; k++) at += index[k] % x->dim[k] * step[k];
        tn_copy_elements(x->dtype, y->data, i, x->data, at, 1);
    }
    return NULL;
}

/* [r0 d0, r1 d1] is [r0, d0, r1, d1], whose repeats are summed. */
static void gradient(tn_gradient *g)
{
    tn_value *x = g->node->in[0], *repeats = g->node->in[1], *pieces[2 * TN_RANK_MAX];
    int64_t axes[TN_RANK_MAX];
    int rank = x->type.rank;
    if (rank < 0 || 2 * rank > TN_RANK_MAX) {
        tn_gradient_refuse(g, "X has more axes than half of what a tensor may have");
        return;
    }
    if (rank == 0) {
        tn_gradient_give(g, 0, g->dy[0]);
        return;
    }
    for (int64_t k = 0; k < rank; k++) {
        axes[k] = 2 * k;
        pieces[2 * k] =
            tn_gradient_op(g, "Gather", TN_IN(repeats, tn_draft_ints(g->draft, &k, 1)), TN_PLAIN);
        pieces[2 * k + 1] = tn_gradient_op(
            g, "Shape", TN_IN(x), TN_WITH(tn_attr_int("start", k), tn_attr_int("end", k + 1)));
    }
    tn_value *shape =
        tn_gradient_op(g, "Concat", pieces, 2 * rank, TN_WITH(tn_attr_int("axis", 0)));
    tn_value *cut = tn_gradient_op(g, "Reshape", TN_IN(g->dy[0], shape), TN_PLAIN);
    tn_gradient_give(g, 0,
                     tn_gradient_op(g, "ReduceSum", TN_IN(cut, tn_draft_ints(g->draft, axes, rank)),
                                    TN_WITH(tn_attr_int("keepdims", 0))));
}

static const tn_case cases[] = {
    {.problem = "Tile f32[2,2]={0,1,2,3} i64[2]={2,2}",
     .expect = "f32[4,4]={0,1,0,1,2,3,2,3,0,1,0,1,2,3,2,3}"},
    {.problem = "Tile u4[3]={1,2,3} i64[1]={2}", .expect = "u4[6]={1,2,3,1,2,3}"},
    {.problem = "Tile f32[2,3,4] i64[3]={1,5,2}"},
    {.problem = "Tile f32[2,3] i64[2]={0,1}", .expect = "f32[0,3]={}"},
    {0},
};

const tn_op tn_op_tile = {
    .name = "Tile",
    .since = 6,
    .about = "the input over and over, repeats[k] times along axis k",
    .in = ins,
    .in_count = TN_COUNT(ins),
    .out = outs,
    .out_count = TN_COUNT(outs),
    .infer = infer,
    .reference = reference,
    .gradient = gradient,
    .shape_inputs = 1 << 1,
    .cases = cases,
};
