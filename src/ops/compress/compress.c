/* Compress-11: the slices along an axis (or the elements of the flattened input) whose condition is
 * true. A condition shorter than the axis leaves the rest out. */
#include "ops/compress/compress.h"

#include "ops/moving.h"

static const tn_field fields[] = {
    TN_INT(tn_compress_params, axis, INT64_MIN),
};
static const tn_port ins[] = {{"input", TN_DTS_ANY, 'T', 0}, {"condition", TN_DT(BOOL), 0, 0}};
static const tn_port outs[] = {{"output", TN_DTS_ANY, 'T', 0}};

static tn_status infer(tn_infer *f)
{
    const tn_compress_params *params = f->params;
    const tn_type *x = &f->in[0];
    const tn_tensor *condition = &f->data[1];
    bool flat = params->axis == INT64_MIN;
    int axis = 0;
    tn_expr dim[TN_RANK_MAX], kept = TN_EXPR_NONE;
    if (x->rank < 0 && !flat) {
        tn_infer_set(f, 0, x->dtype, -1, NULL);
        return NULL;
    }
    if (!flat) TN_TRY(tn_infer_axis(f, params->axis, x->rank, &axis));
    if (condition->data || (condition->dtype && !tn_tensor_count(condition))) {
        int64_t total = tn_tensor_count(condition), count = 0;
        for (int64_t i = 0; i < total; i++) count += tn_load_i64(TN_DTYPE_BOOL, condition->data, i);
        kept = tn_expr_const(f->exprs, count);
    }
    if (!kept) kept = tn_infer_fresh(f);
    for (int k = 0; !flat && k < x->rank; k++) dim[k] = x->dim[k];
    dim[axis] = kept;
    tn_infer_set(f, 0, x->dtype, flat ? 1 : x->rank, dim);
    return NULL;
}

static tn_status reference(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_compress_params *params = p->params;
    const tn_tensor *x = &p->in[0], *condition = &p->in[1], *y = &p->out[0];
    bool flat = params->axis == INT64_MIN;
    int axis = flat ? 0 : tn_axis_normal(params->axis, x->rank);
    int64_t outer = flat ? 1 : tn_dims_product(x->dim, 0, axis);
    int64_t along = flat ? tn_tensor_count(x) : x->dim[axis];
    int64_t inner = flat ? 1 : tn_dims_product(x->dim, axis + 1, x->rank);
    int64_t length = tn_tensor_count(condition), kept = 0;
    TN_CHECK(length <= along, TN_INVALID, "the condition has %lld elements for %lld slices",
             (long long)length, (long long)along);
    TN_TRY(tn_check_count(y, outer * y->dim[axis] * inner));
    for (int64_t i = 0; i < length; i++) {
        if (!tn_load_i64(TN_DTYPE_BOOL, condition->data, i)) continue;
        TN_CHECK(kept < y->dim[axis], TN_INVALID, "more slices are kept than the %lld planned",
                 (long long)y->dim[axis]);
        for (int64_t o = 0; o < outer && inner; o++)
            tn_copy_elements(x->dtype, y->data, (o * y->dim[axis] + kept) * inner, x->data,
                             (o * along + i) * inner, inner);
        kept++;
    }
    TN_CHECK(kept == y->dim[axis], TN_INVALID, "%lld slices are kept, %lld were planned",
             (long long)kept, (long long)y->dim[axis]);
    return NULL;
}

static const tn_case cases[] = {
    {.problem = "Compress{axis=0} f32[3,2]={1,2,3,4,5,6} bool[3]={0,1,1}",
     .expect = "f32[2,2]={3,4,5,6}"},
    {.problem = "Compress{axis=-1} i8[3,2]={1,2,3,4,5,6} bool[2]={0,1}",
     .expect = "i8[3,1]={2,4,6}"},
    {.problem = "Compress f32[3,2]={1,2,3,4,5,6} bool[5]={0,1,0,0,1}", .expect = "f32[2]={2,5}"},
    {0},
};

const tn_op tn_op_compress = {
    .name = "Compress",
    .since = 11,
    .about = "the slices along axis whose condition is true",
    .in = ins,
    .in_count = TN_COUNT(ins),
    .out = outs,
    .out_count = TN_COUNT(outs),
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_compress_params),
    .infer = infer,
    .reference = reference,
    .cases = cases,
};
