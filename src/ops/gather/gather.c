/* Gather-13: slices of data along an axis, one for each index:
 * y[a.., i.., b..] = data[a.., indices[i..], b..]. Negative indices count from the end. */
#include "ops/gather/gather.h"

#include "ops/moving.h"

static const tn_field fields[] = {
    TN_INT(tn_gather_params, axis, 0),
};
static const tn_port ins[] = {
    {"data", TN_DTS_ANY, 'T', 0},
    {"indices", TN_DTS_INDEX, 0, 0},
};
static const tn_port outs[] = {{"output", TN_DTS_ANY, 'T', 0}};

/* Shape(x)[1] and the like. */
static void gather_known(tn_infer *f)
{
    const tn_expr *at;
    tn_expr picked[TN_KNOWN_MAX];
    int64_t length, index[TN_KNOWN_MAX];
    int count;
    if (f->in[0].rank != 1 || f->in[1].rank > 1) return;
    if (!tn_infer_exprs(f, 0, &at, &length) || !tn_infer_ints(f, 1, index, TN_KNOWN_MAX, &count))
        return;
    for (int i = 0; i < count; i++) {
        if (index[i] < -length || index[i] >= length) return;
        picked[i] = at[index[i] < 0 ? index[i] + length : index[i]];
    }
    tn_infer_set_known(f, 0, picked, count);
}

static tn_status infer(tn_infer *f)
{
    const tn_gather_params *params = f->params;
    const tn_type *x = &f->in[0], *indices = &f->in[1];
    tn_expr dim[TN_RANK_MAX];
    int rank = 0, axis;
    if (x->rank < 0 || indices->rank < 0) {
        tn_infer_set(f, 0, x->dtype, -1, NULL);
        return NULL;
    }
    TN_CHECK(x->rank > 0, TN_INVALID, "data is a scalar, there is nothing to gather from");
    TN_TRY(tn_infer_axis(f, params->axis, x->rank, &axis));
    TN_CHECK(x->rank - 1 + indices->rank <= TN_RANK_MAX, TN_UNSUPPORTED,
             "the output's rank %d is above %d", x->rank - 1 + indices->rank, TN_RANK_MAX);
    for (int k = 0; k < axis; k++) dim[rank++] = x->dim[k];
    for (int k = 0; k < indices->rank; k++) dim[rank++] = indices->dim[k];
    for (int k = axis + 1; k < x->rank; k++) dim[rank++] = x->dim[k];
    tn_infer_set(f, 0, x->dtype, rank, dim);
    gather_known(f);
    return NULL;
}

static tn_status reference(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_gather_params *params = p->params;
    const tn_tensor *x = &p->in[0], *indices = &p->in[1], *y = &p->out[0];
    int axis = tn_axis_normal(params->axis, x->rank);
    int64_t outer = tn_dims_product(x->dim, 0, axis),
            inner = tn_dims_product(x->dim, axis + 1, x->rank);
    int64_t count = tn_tensor_count(indices), index;
    TN_TRY(tn_check_count(y, outer * count * inner));
    for (int64_t i = 0; i < count; i++) {
        TN_TRY(tn_index_load(indices, i, x->dim[axis], axis, &index));
        for (int64_t o = 0; o < outer; o++)
            tn_copy_elements(x->dtype, y->data, (o * count + i) * inner, x->data,
                             (o * x->dim[axis] + index) * inner, inner);
    }
    return NULL;
}

static const tn_case cases[] = {
    {.problem = "Gather f32[3,2]={1,2,3,4,5,6} i64[2]={2,-3}", .expect = "f32[2,2]={5,6,1,2}"},
    {.problem = "Gather{axis=1} f32[2,3]={1,2,3,4,5,6} i32[1,2]={0,2}",
     .expect = "f32[2,1,2]={1,3,4,6}"},
    {.problem = "Gather i64[4]={5,6,7,8} i64={1}", .expect = "i64={6}"},
    {.problem = "Gather{axis=-1} u4[2,3]={1,2,3,4,5,6} i64[2]={-1,0}",
     .expect = "u4[2,2]={3,1,6,4}"},
    {.problem = "Gather f32[10,33] i64[4,7]"},
    {.problem = "Gather{axis=2} f16[2,5,11,3] i64[6]={0,10,5,-1,-11,3}"},
    {.problem = "Gather f32[3,2] i64[0]={}", .expect = "f32[0,2]={}"},
    {0},
};

const tn_op tn_op_gather = {
    .name = "Gather",
    .since = 11,
    .about = "slices of data along axis, one for each index",
    .in = ins,
    .in_count = TN_COUNT(ins),
    .out = outs,
    .out_count = TN_COUNT(outs),
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_gather_params),
    .infer = infer,
    .reference = reference,
    .cases = cases,
};
