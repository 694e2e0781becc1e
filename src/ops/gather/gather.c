/* Gather-13: slices of data along an axis, one for each index:
 * y[a.., i.., b..] = data[a.., indices[i..], b..]. Negative indices count from the end. */
#include "ops/gather/gather.h"

#include "ir/gradient.h"
#include "ops/moving.h"
#include "ops/wide/wide.h"

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

/* ---- The gradient: every slice added back to where it came from ------------------------------*/

static const tn_port gradient_ins[] = {
    {"dY", TN_DTS_FLOAT, 'T', 0},
    {"data", TN_DTS_FLOAT, 'T', 0},
    {"indices", TN_DTS_INDEX, 0, 0},
};
static const tn_port gradient_outs[] = {{"dX", TN_DTS_FLOAT, 'T', 0}};

static void gradient(tn_gradient *g)
{
    const tn_gather_params *params = g->node->params;
    tn_gradient_give(g, 0,
                     tn_gradient_op(g, "GatherGradient",
                                    TN_IN(g->dy[0], g->node->in[0], g->node->in[1]),
                                    TN_WITH(tn_attr_int("axis", params->axis))));
}

static tn_status infer_gradient(tn_infer *f)
{
    const tn_gather_params *params = f->params;
    int axis;
    TN_CHECK(f->in[1].rank != 0, TN_INVALID, "data is a scalar, there is nothing to gather from");
    if (f->in[1].rank > 0) TN_TRY(tn_infer_axis(f, params->axis, f->in[1].rank, &axis));
    tn_infer_same(f, 0, 1);
    return NULL;
}

static size_t scratch_gradient(const tn_problem *p)
{
    return tn_wide_add(tn_wide_tensor_bytes(&p->in[0]), tn_wide_tensor_bytes(&p->out[0]));
}

static tn_status reference_gradient(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_gather_params *params = p->params;
    const tn_tensor *indices = &p->in[2], *dx = &p->out[0];
    int axis = tn_axis_normal(params->axis, dx->rank);
    int64_t outer = tn_dims_product(dx->dim, 0, axis),
            inner = tn_dims_product(dx->dim, axis + 1, dx->rank);
    int64_t count = tn_tensor_count(indices), all = tn_tensor_count(dx), index;
    void *scratch = l->scratch;
    TN_TRY(tn_check_count(&p->in[0], outer * count * inner));
    const double *dy = tn_wide_load(&scratch, &p->in[0]);
    double *sum = tn_wide_take(&scratch, all);
    for (int64_t i = 0; i < all; i++) sum[i] = 0;
    for (int64_t i = 0; i < count; i++) {
        TN_TRY(tn_index_load(indices, i, dx->dim[axis], axis, &index));
        for (int64_t o = 0; o < outer; o++)
            for (int64_t k = 0; k < inner; k++)
                sum[(o * dx->dim[axis] + index) * inner + k] += dy[(o * count + i) * inner + k];
    }
    if (all) tn_store_f64s(dx->dtype, dx->data, 0, all, sum);
    return NULL;
}

static const tn_case gradient_cases[] = {
    {.problem = "GatherGradient f32[3,2]={5,6,1,2,10,20} f32[3,2] i64[3]={2,-3,2}",
     .expect = "f32[3,2]={1,2,0,0,15,26}"},
    {.problem = "GatherGradient{axis=1} f32[2,1,2]={1,3,4,6} f32[2,3] i32[1,2]={0,2}",
     .expect = "f32[2,3]={1,0,3,4,0,6}"},
    {.problem = "GatherGradient f32={7} f32[3] i64={1}", .expect = "f32[3]={0,7,0}"},
    {.problem = "GatherGradient{axis=-1} f64[4,6] f64[4,5] i64[6]={0,4,-1,2,2,1}"},
    {0},
};

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
    .gradient = gradient,
    .cases = cases,
};

const tn_op tn_op_gather_gradient = {
    .name = "GatherGradient",
    .domain = "tenon",
    .since = 1,
    .about = "zeros of the shape of data, to which dY is added where Gather would read",
    .in = gradient_ins,
    .in_count = TN_COUNT(gradient_ins),
    .out = gradient_outs,
    .out_count = TN_COUNT(gradient_outs),
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_gather_params),
    .infer = infer_gradient,
    .reference = reference_gradient,
    .scratch_bytes = scratch_gradient,
    .shape_inputs = 1 << 1,
    .cases = gradient_cases,
};
