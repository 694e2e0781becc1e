/* GatherND-12: the last axis of indices holds places in data's axes after the batch dims; what is
 * left of data's axes is copied whole: y[b.., i.., s..] = data[b.., indices[b.., i.., 0],
 * indices[b.., i.., 1], .., s..]. */
#include "ops/gather_nd/gather_nd.h"

#include "ir/gradient.h"
#include "ops/moving.h"

static const tn_field fields[] = {
    TN_INT(tn_gather_nd_params, batch_dims, 0),
};
static const tn_port ins[] = {{"data", TN_DTS_ANY, 'T', 0}, {"indices", TN_DT(I64), 0, 0}};
static const tn_port outs[] = {{"output", TN_DTS_ANY, 'T', 0}};

static tn_status infer(tn_infer *f)
{
    const tn_gather_nd_params *params = f->params;
    const tn_type *x = &f->in[0], *indices = &f->in[1];
    tn_expr dim[2 * TN_RANK_MAX];
    int64_t width, batch = params->batch_dims;
    int rank = 0;
    TN_CHECK(x->rank != 0 && indices->rank != 0, TN_INVALID,
             "data and indices must have a rank of at least 1");
    if (x->rank < 0 || indices->rank < 0 ||
        !tn_expr_is_const(f->exprs, indices->dim[indices->rank - 1], &width)) {
        tn_infer_set(f, 0, x->dtype, -1, NULL);
        return NULL;
    }
    TN_CHECK(batch >= 0 && batch < TN_MIN(x->rank, indices->rank), TN_INVALID,
             "batch_dims is %lld for ranks %d and %d", (long long)batch, x->rank, indices->rank);
    TN_CHECK(width >= 1 && width <= x->rank - batch, TN_INVALID,
             "the last axis of indices has %lld places for the %lld axes left of data",
             (long long)width, (long long)(x->rank - batch));
    for (int k = 0; k < indices->rank - 1; k++) dim[rank++] = indices->dim[k];
    for (int k = (int)(batch + width); k < x->rank; k++) dim[rank++] = x->dim[k];
    TN_CHECK(rank <= TN_RANK_MAX, TN_UNSUPPORTED, "the output's rank %d is above %d", rank,
             TN_RANK_MAX);
    tn_infer_set(f, 0, x->dtype, rank, dim);
    return NULL;
}

static tn_status reference(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_gather_nd_params *params = p->params;
    const tn_tensor *x = &p->in[0], *indices = &p->in[1], *y = &p->out[0];
    int batch = (int)params->batch_dims,
        width = (int)TN_MIN(indices->dim[indices->rank - 1], TN_RANK_MAX + 1);
    TN_CHECK(batch < x->rank && batch < indices->rank && width >= 1 && width <= x->rank - batch,
             TN_INVALID, "%d places do not fit data of rank %d behind %d batch dims", width,
             x->rank, batch);
    for (int k = 0; k < batch; k++)
        TN_CHECK(x->dim[k] == indices->dim[k], TN_INVALID,
                 "batch axis %d is %lld in data, %lld in indices", k, (long long)x->dim[k],
                 (long long)indices->dim[k]);
    int64_t step[TN_RANK_MAX], place;
    int64_t batches = tn_dims_product(x->dim, 0, batch);
    int64_t count = tn_dims_product(indices->dim, batch, indices->rank - 1);
    int64_t slab = tn_dims_product(x->dim, batch, x->rank);
    int64_t inner = tn_dims_product(x->dim, batch + width, x->rank);
    TN_TRY(tn_check_count(y, batches * count * inner));
    tn_dense_steps(x->dim, x->rank, step);
    for (int64_t i = 0; i < batches * count; i++) {
        int64_t at = i / count * slab;
        for (int k = 0; k < width; k++) {
            TN_TRY(tn_index_load(indices, i * width + k, x->dim[batch + k], batch + k, &place));
            at += place * step[batch + k];
        }
        if (inner) tn_copy_elements(x->dtype, y->data, i * inner, x->data, at, inner);
    }
    return NULL;
}

static void gradient(tn_gradient *g)
{
    const tn_gather_nd_params *params = g->node->params;
    tn_value *zeros = tn_gradient_zeros(g, g->node->in[0]);
    if (params->batch_dims) {
        tn_gradient_refuse(g, "batch_dims is not 0");
        return;
    }
    tn_gradient_give(g, 0,
                     tn_gradient_op(g, "ScatterND", TN_IN(zeros, g->node->in[1], g->dy[0]),
                                    TN_WITH(tn_attr_text("reduction", "add"))));
}

static const tn_case cases[] = {
    {.problem = "GatherND f32[2,2]={0,1,2,3} i64[2,2]={0,0,1,1}", .expect = "f32[2]={0,3}"},
    {.problem = "GatherND i32[2,2,2]={0,1,2,3,4,5,6,7} i64[2,2]={0,1,1,0}",
     .expect = "i32[2,2]={2,3,4,5}"},
    {.problem = "GatherND{batch_dims=1} i32[2,2,2]={0,1,2,3,4,5,6,7} i64[2,1]={1,-2}",
     .expect = "i32[2,2]={2,3,4,5}"},
    {.problem = "GatherND f32[10,12,7] i64[5,3,2]", .lo = -7, .hi = 7},
    {0},
};

const tn_op tn_op_gather_nd = {
    .name = "GatherND",
    .since = 12,
    .about = "slices of data at places of several axes at once",
    .in = ins,
    .in_count = TN_COUNT(ins),
    .out = outs,
    .out_count = TN_COUNT(outs),
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_gather_nd_params),
    .infer = infer,
    .reference = reference,
    .gradient = gradient,
    .cases = cases,
};
