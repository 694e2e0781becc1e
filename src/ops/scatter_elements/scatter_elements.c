/* ScatterElements-18: a copy of data with y[i, indices[i, j, k], k] = updates[i, j, k] for axis 1,
 * and so for every axis; duplicates meet in the order of the updates. Its old name is Scatter. */
#include "ops/scatter_elements/scatter_elements.h"

#include "ops/moving.h"
#include "ops/scattering.h"

static const tn_field fields[] = {
    TN_INT(tn_scatter_elements_params, axis, 0),
    TN_ENUM(tn_scatter_elements_params, reduction, TN_SCATTER_NONE, TN_SCATTER_WORDS),
};
static const tn_port ins[] = {
    {"data", TN_DTS_ANY, 'T', 0},
    {"indices", TN_DTS_INDEX, 0, 0},
    {"updates", TN_DTS_ANY, 'T', 0},
};
static const tn_port outs[] = {{"output", TN_DTS_ANY, 'T', 0}};

static tn_status infer(tn_infer *f)
{
    const tn_scatter_elements_params *params = f->params;
    int axis, rank = f->in[0].rank;
    if (rank >= 0) TN_TRY(tn_infer_axis(f, params->axis, rank, &axis));
    for (int i = 1; i < 3; i++)
        TN_CHECK(rank < 0 || f->in[i].rank < 0 || f->in[i].rank == rank, TN_INVALID,
                 "data has rank %d, %s have rank %d", rank, ins[i].name, f->in[i].rank);
    TN_TRY(tn_scatter_check(f->in[0].dtype, params->reduction));
    tn_infer_same(f, 0, 0);
    return NULL;
}

static tn_status reference(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_scatter_elements_params *params = p->params;
    const tn_tensor *x = &p->in[0], *indices = &p->in[1], *updates = &p->in[2], *y = &p->out[0];
    int axis = tn_axis_normal(params->axis, x->rank);
    int64_t step[TN_RANK_MAX], index[TN_RANK_MAX] = {0}, total = tn_tensor_count(indices), place;
    TN_TRY(tn_move_same(l));
    for (int k = 0; k < x->rank; k++) {
        TN_CHECK(indices->dim[k] == updates->dim[k], TN_INVALID,
                 "indices have %lld along axis %d, updates have %lld", (long long)indices->dim[k],
                 k, (long long)updates->dim[k]);
        TN_CHECK(k == axis || indices->dim[k] <= x->dim[k], TN_INVALID,
                 "indices have %lld along axis %d, data has %lld", (long long)indices->dim[k], k,
                 (long long)x->dim[k]);
    }
    tn_dense_steps(x->dim, x->rank, step);
    for (int64_t i = 0; i < total; i++, tn_index_next(index, indices->dim, indices->rank)) {
        int64_t at = 0;
        TN_TRY(tn_index_load(indices, i, x->dim[axis], axis, &place));
        for (int k = 0; k < x->rank; k++) at += (k == axis ? place : index[k]) * step[k];
        tn_scatter_combine(x->dtype, params->reduction, y->data, at, updates->data, i, 1);
    }
    return NULL;
}

static const tn_case cases[] = {
    {.problem = "ScatterElements{axis=1} f32[1,5]={1,2,3,4,5} i64[1,2]={1,-2} f32[1,2]={9,8}",
     .expect = "f32[1,5]={1,9,3,8,5}"},
    {.problem =
         "ScatterElements{axis=1, reduction=add} i8[1,5]={1,2,3,4,5} i64[1,2]={1,1} i8[1,2]={9,8}",
     .expect = "i8[1,5]={1,19,3,4,5}"},
    {.problem = "ScatterElements{reduction=max} f32[3]={1,2,3} i32[2]={0,2} f32[2]={5,-5}",
     .expect = "f32[3]={5,2,3}"},
    {.problem = "ScatterElements f32[5,6] i64[3,6]={0,1,2,3,4,0,1,2,3,4,0,1,2,3,4,0,1,2} f32[3,6]"},
    {0},
};

const tn_op tn_op_scatter_elements = {
    .name = "ScatterElements",
    .since = 18,
    .about = "data with single elements replaced, added to, multiplied, or taken the least or "
             "largest of",
    .in = ins,
    .in_count = TN_COUNT(ins),
    .out = outs,
    .out_count = TN_COUNT(outs),
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_scatter_elements_params),
    .infer = infer,
    .reference = reference,
    .cases = cases,
};

static tn_status rename_scatter(tn_graph *graph, tn_node *node)
{
    (void)graph;
    tn_node_set_op(node, &tn_op_scatter_elements);
    return NULL;
}

/* Whatever the opset: only the name is old. */
const tn_op tn_op_scatter = {
    .name = "Scatter",
    .since = 9,
    .about = "the old name of ScatterElements",
    .in = ins,
    .in_count = TN_COUNT(ins),
    .out = outs,
    .out_count = TN_COUNT(outs),
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_scatter_elements_params),
    .infer = infer,
    .upgrade = {{INT32_MAX, rename_scatter}},
};
