/* ScatterND-18: a copy of data in which the slices at indices[i.., :] are updates[i..]; duplicates
 * meet in the order of the updates. */
#include "ops/scatter_nd/scatter_nd.h"

#include "ops/moving.h"
#include "ops/scattering.h"

static const tn_field fields[] = {
    TN_ENUM(tn_scatter_nd_params, reduction, TN_SCATTER_NONE, TN_SCATTER_WORDS),
};
static const tn_port ins[] = {
    {"data", TN_DTS_ANY, 'T', 0},
    {"indices", TN_DT(I64), 0, 0},
    {"updates", TN_DTS_ANY, 'T', 0},
};
static const tn_port outs[] = {{"output", TN_DTS_ANY, 'T', 0}};

static tn_status infer(tn_infer *f)
{
    const tn_scatter_nd_params *params = f->params;
    int rank = f->in[0].rank, places = f->in[1].rank;
    int64_t width;
    TN_CHECK(rank != 0 && places != 0, TN_INVALID,
             "data and indices must have a rank of at least 1");
    if (rank > 0 && places > 0 && tn_expr_is_const(f->exprs, f->in[1].dim[places - 1], &width))
        TN_CHECK(width <= rank, TN_INVALID, "the last axis of indices has %lld places for %d axes",
                 (long long)width, rank);
    TN_TRY(tn_scatter_check(f->in[0].dtype, params->reduction));
    tn_infer_same(f, 0, 0);
    return NULL;
}

static tn_status reference(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_scatter_nd_params *params = p->params;
    const tn_tensor *x = &p->in[0], *indices = &p->in[1], *updates = &p->in[2], *y = &p->out[0];
    int width = (int)TN_MIN(indices->dim[indices->rank - 1], TN_RANK_MAX + 1);
    int64_t step[TN_RANK_MAX], place;
    char from[96], to[96];
    TN_CHECK(width <= x->rank, TN_INVALID, "the last axis of indices has %d places for %d axes",
             width, x->rank);
    int64_t count = tn_dims_product(indices->dim, 0, indices->rank - 1);
    int64_t inner = tn_dims_product(x->dim, width, x->rank);
    TN_CHECK(tn_tensor_count(updates) == count * inner, TN_INVALID,
             "updates %s do not fit indices %s", tn_tensor_type_text(updates, from, sizeof(from)),
             tn_tensor_type_text(indices, to, sizeof(to)));
    TN_TRY(tn_move_same(l));
    tn_dense_steps(x->dim, x->rank, step);
    for (int64_t i = 0; i < count; i++) {
        int64_t at = 0;
        for (int k = 0; k < width; k++) {
            TN_TRY(tn_index_load(indices, i * width + k, x->dim[k], k, &place));
            at += place * step[k];
        }
        tn_scatter_combine(x->dtype, params->reduction, y->data, at, updates->data, i * inner,
                           inner);
    }
    return NULL;
}

static const tn_case cases[] = {
    {.problem = "ScatterND f32[8]={1,2,3,4,5,6,7,8} i64[4,1]={4,3,1,-1} f32[4]={9,10,11,12}",
     .expect = "f32[8]={1,11,3,10,9,6,7,12}"},
    {.problem = "ScatterND{reduction=mul} i32[2,2]={1,2,3,4} i64[2,1]={1,1} i32[2,2]={2,3,4,5}",
     .expect = "i32[2,2]={1,2,24,60}"},
    {.problem = "ScatterND{reduction=min} f32[2,2]={1,2,3,4} i64[1,2]={0,1} f32[1]={-1}",
     .expect = "f32[2,2]={1,-1,3,4}"},
    {.problem = "ScatterND f32[10,12,7] i64[4,2]={0,0,9,11,5,5,2,3} f32[4,7]"},
    {0},
};

const tn_op tn_op_scatter_nd = {
    .name = "ScatterND",
    .since = 18,
    .about = "data with slices at places of several axes replaced or reduced into",
    .in = ins,
    .in_count = TN_COUNT(ins),
    .out = outs,
    .out_count = TN_COUNT(outs),
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_scatter_nd_params),
    .infer = infer,
    .reference = reference,
    .cases = cases,
};
