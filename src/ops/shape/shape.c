/* Shape-15: the dims of the input, from start to end. */
#include "ops/shape/shape.h"

#include "ops/moving.h"

static const tn_field fields[] = {
    TN_INT(tn_shape_params, start, 0),
    TN_INT(tn_shape_params, end, INT64_MAX),
};
static const tn_port ins[] = {{"data", TN_DTS_ANY, 0, 0}};
static const tn_port outs[] = {{"shape", TN_DT(I64), 0, 0}};

static int clamp_place(int64_t place, int rank)
{
    if (place < 0) place += rank;
    return (int)TN_MAX(0, TN_MIN(place, rank));
}

static tn_status infer(tn_infer *f)
{
    const tn_shape_params *params = f->params;
    const tn_type *x = &f->in[0];
    if (x->rank < 0) {
        tn_infer_set_fresh(f, 0, TN_DTYPE_I64, 1);
        return NULL;
    }
    int start = clamp_place(params->start, x->rank), end = clamp_place(params->end, x->rank);
    int count = TN_MAX(0, end - start);
    tn_expr dim = tn_expr_const(f->exprs, count);
    tn_infer_set(f, 0, TN_DTYPE_I64, 1, &dim);
    tn_infer_set_known(f, 0, x->dim + TN_MIN(start, TN_RANK_MAX - 1), count);
    return NULL;
}

static tn_status reference(const tn_launch *l)
{
    const tn_shape_params *params = l->problem->params;
    const tn_tensor *x = &l->problem->in[0], *y = &l->problem->out[0];
    int start = clamp_place(params->start, x->rank);
    TN_TRY(tn_check_count(y, TN_MAX(0, clamp_place(params->end, x->rank) - start)));
    for (int64_t i = 0; i < y->dim[0]; i++)
        tn_store_i64(TN_DTYPE_I64, y->data, i, x->dim[start + i]);
    return NULL;
}

static const tn_case cases[] = {
    {.problem = "Shape f32[3,4,5]", .expect = "i64[3]={3,4,5}"},
    {.problem = "Shape{start=-2} f32[3,4,5]", .expect = "i64[2]={4,5}"},
    {.problem = "Shape{start=1, end=-1} f32[3,4,5]", .expect = "i64[1]={4}"},
    {.problem = "Shape{start=2, end=1} f32[3,4,5]", .expect = "i64[0]={}"},
    {.problem = "Shape f32={1}", .expect = "i64[0]={}"},
    {0},
};

const tn_op tn_op_shape = {
    .name = "Shape",
    .since = 15,
    .about = "dims start to end of the input, as i64",
    .in = ins,
    .in_count = TN_COUNT(ins),
    .out = outs,
    .out_count = TN_COUNT(outs),
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_shape_params),
    .infer = infer,
    .reference = reference,
    .shape_inputs = 1 << 0,
    .cases = cases,
};
