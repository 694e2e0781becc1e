/* Flatten-11: to two dims, the product of those before axis and of those from it on. */
#include "ops/flatten/flatten.h"

#include "ir/gradient.h"
#include "ops/moving.h"

static const tn_field fields[] = {
    TN_INT(tn_flatten_params, axis, 1),
};
static const tn_port ins[] = {{"input", TN_DTS_ANY, 'T', 0}};
static const tn_port outs[] = {{"output", TN_DTS_ANY, 'T', 0}};

static tn_status infer(tn_infer *f)
{
    const tn_flatten_params *params = f->params;
    const tn_type *x = &f->in[0];
    if (x->rank < 0) {
        tn_infer_set_fresh(f, 0, x->dtype, 2);
        return NULL;
    }
    TN_CHECK(params->axis >= -x->rank && params->axis <= x->rank, TN_INVALID,
             "axis %lld is outside [-%d, %d]", (long long)params->axis, x->rank, x->rank);
    int axis = (int)(params->axis < 0 ? params->axis + x->rank : params->axis);
    tn_expr dim[] = {tn_infer_product(f, x->dim, 0, axis),
                     tn_infer_product(f, x->dim, axis, x->rank)};
    for (int k = 0; k < 2; k++)
        if (!dim[k]) dim[k] = tn_infer_fresh(f);
    tn_infer_set(f, 0, x->dtype, 2, dim);
    return NULL;
}

static const tn_case cases[] = {
    {.problem = "Flatten f32[2,3,1]={1,2,3,4,5,6}", .expect = "f32[2,3]={1,2,3,4,5,6}"},
    {.problem = "Flatten{axis=0} f32[2,2]={1,2,3,4}", .expect = "f32[1,4]={1,2,3,4}"},
    {.problem = "Flatten{axis=-1} f32[2,3,4]"},
    {0},
};

const tn_op tn_op_flatten = {
    .name = "Flatten",
    .since = 11,
    .about = "to [product of dims before axis, product of the rest]",
    .in = ins,
    .in_count = TN_COUNT(ins),
    .out = outs,
    .out_count = TN_COUNT(outs),
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_flatten_params),
    .infer = infer,
    .reference = tn_move_same,
    .view = true,
    .gradient = tn_gradient_reshape,
    .cases = cases,
};
