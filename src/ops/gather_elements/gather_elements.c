/* GatherElements-11: y[i, j, k] = data[i, indices[i, j, k], k] for axis 1, and so for every axis.
 */
#include "ops/gather_elements/gather_elements.h"

#include "ir/gradient.h"
#include "ops/moving.h"

static const tn_field fields[] = {
    TN_INT(tn_gather_elements_params, axis, 0),
};
static const tn_port ins[] = {{"data", TN_DTS_ANY, 'T', 0}, {"indices", TN_DTS_INDEX, 0, 0}};
static const tn_port outs[] = {{"output", TN_DTS_ANY, 'T', 0}};

static tn_status infer(tn_infer *f)
{
    const tn_gather_elements_params *params = f->params;
    const tn_type *x = &f->in[0], *indices = &f->in[1];
    int axis, rank = x->rank >= 0 ? x->rank : indices->rank;
    TN_CHECK(x->rank < 0 || indices->rank < 0 || x->rank == indices->rank, TN_INVALID,
             "data has rank %d, indices have rank %d", x->rank, indices->rank);
    if (rank >= 0) TN_TRY(tn_infer_axis(f, params->axis, rank, &axis));
    tn_infer_set(f, 0, x->dtype, indices->rank, indices->dim);
    return NULL;
}

static tn_status reference(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_gather_elements_params *params = p->params;
    const tn_tensor *x = &p->in[0], *indices = &p->in[1], *y = &p->out[0];
    int axis = tn_axis_normal(params->axis, x->rank);
    int64_t step[TN_RANK_MAX], index[TN_RANK_MAX] = {0}, total = tn_tensor_count(indices), place;
    for (int k = 0; k < x->rank; k++)
        TN_CHECK(k == axis || indices->dim[k] <= x->dim[k], TN_INVALID,
                 "indices have %lld along axis %d, data has %lld", (long long)indices->dim[k], k,
                 (long long)x->dim[k]);
    TN_TRY(tn_check_count(y, total));
    tn_dense_steps(x->dim, x->rank, step);
    for (int64_t i = 0; i < total; i++, tn_index_next(index, indices->dim, indices->rank)) {
        int64_t at = 0;
        TN_TRY(tn_index_load(indices, i, x->dim[axis], axis, &place));
        for (int k = 0; k < x->rank; k++) at += (k == axis ? place : index[k]) * step[k];
        tn_copy_elements(x->dtype, y->data, i, x->data, at, 1);
    }
    return NULL;
}

static void gradient(tn_gradient *g)
{
    const tn_gather_elements_params *params = g->node->params;
    tn_value *zeros = tn_gradient_zeros(g, g->node->in[0]);
    tn_gradient_give(g, 0,
                     tn_gradient_op(g, "ScatterElements", TN_IN(zeros, g->node->in[1], g->dy[0]),
                                    TN_WITH(tn_attr_int("axis", params->axis),
                                            tn_attr_text("reduction", "add"))));
}

static const tn_case cases[] = {
    {.problem = "GatherElements{axis=1} f32[2,2]={1,2,3,4} i64[2,2]={0,0,1,0}",
     .expect = "f32[2,2]={1,1,4,3}"},
    {.problem = "GatherElements i8[3,3]={1,2,3,4,5,6,7,8,9} i32[2,3]={-2,-1,-3,-1,0,0}",
     .expect = "i8[2,3]={4,8,3,7,2,3}"},
    {.problem = "GatherElements{axis=-1} f32[10,20] i64[10,4]"},
    {0},
};

const tn_op tn_op_gather_elements = {
    .name = "GatherElements",
    .since = 11,
    .about = "one element of data for each index, which replaces the place along axis",
    .in = ins,
    .in_count = TN_COUNT(ins),
    .out = outs,
    .out_count = TN_COUNT(outs),
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_gather_elements_params),
    .infer = infer,
    .reference = reference,
    .gradient = gradient,
    .cases = cases,
};
