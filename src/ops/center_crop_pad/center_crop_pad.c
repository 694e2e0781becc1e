/* CenterCropPad-18: the middle of the input cut out, or zeros around it, axis by axis, to a shape.
 * An odd rest goes behind. */
#include "ops/center_crop_pad/center_crop_pad.h"

#include "ops/moving.h"

static const tn_field fields[] = {
    TN_INT_LIST(tn_center_crop_pad_params, axes),
};
static const tn_port ins[] = {{"input_data", TN_DTS_ANY, 'T', 0}, {"shape", TN_DTS_INDEX, 0, 0}};
static const tn_port outs[] = {{"output_data", TN_DTS_ANY, 'T', 0}};

static tn_status infer(tn_infer *f)
{
    const tn_center_crop_pad_params *params = f->params;
    const tn_type *x = &f->in[0];
    const tn_expr *at;
    tn_expr dim[TN_RANK_MAX];
    int64_t count, value;
    if (x->rank < 0) {
        tn_infer_set(f, 0, x->dtype, -1, NULL);
        return NULL;
    }
    int axis_count = params->axes.count < 0 ? x->rank : params->axes.count;
    bool known = tn_infer_exprs(f, 1, &at, &count);
    TN_CHECK(!known || count == axis_count, TN_INVALID, "the shape has %lld elements for %d axes",
             (long long)count, axis_count);
    for (int k = 0; k < x->rank; k++) dim[k] = x->dim[k];
    for (int i = 0; i < axis_count; i++) {
        int axis = i;
        if (params->axes.count >= 0) TN_TRY(tn_infer_axis(f, params->axes.at[i], x->rank, &axis));
        dim[axis] = known && at[i] ? at[i] : tn_infer_fresh(f);
        TN_CHECK(!tn_expr_is_const(f->exprs, dim[axis], &value) || value >= 0, TN_INVALID,
                 "the shape asks for a dim of %lld", (long long)value);
    }
    tn_infer_set(f, 0, x->dtype, x->rank, dim);
    return NULL;
}

static tn_status reference(const tn_launch *l)
{
    static const tn_string no_text = {"", 0};
    static const uint64_t zeros[2] = {0, 0};
    const tn_tensor *x = &l->problem->in[0], *y = &l->problem->out[0];
    int64_t total = tn_tensor_count(y);
    const void *fill = x->dtype == TN_DTYPE_STRING ? (const void *)&no_text : zeros;
    for (int64_t i = 0; i < total; i++) tn_copy_elements(y->dtype, y->data, i, fill, 0, 1);
    tn_move move = tn_move_of(x, y, y);
    for (int k = 0; k < y->rank; k++) {
        int64_t have = x->dim[k], want = y->dim[k];
        move.dim[k] = TN_MIN(have, want);
        if (have > want) move.src_at += (have - want) / 2 * move.src_step[k];
        else move.dst_at += (want - have) / 2 * move.dst_step[k];
    }
    tn_move_run(&move);
    return NULL;
}

static const tn_case cases[] = {
    {.problem = "CenterCropPad f32[2,5]={1,2,3,4,5,6,7,8,9,10} i64[2]={3,2}",
     .expect = "f32[3,2]={2,3,7,8,0,0}"},
    {.problem = "CenterCropPad{axes=[1]} i8[1,4]={1,2,3,4} i32[1]={7}",
     .expect = "i8[1,7]={0,1,2,3,4,0,0}"},
    {.problem = "CenterCropPad{axes=[-2,-1]} f32[3,8,9] i64[2]={11,4}"},
    {0},
};

const tn_op tn_op_center_crop_pad = {
    .name = "CenterCropPad",
    .since = 18,
    .about = "cut out the middle, or zeros around, to a shape",
    .in = ins,
    .in_count = TN_COUNT(ins),
    .out = outs,
    .out_count = TN_COUNT(outs),
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_center_crop_pad_params),
    .infer = infer,
    .reference = reference,
    .shape_inputs = 1 << 1,
    .cases = cases,
};
