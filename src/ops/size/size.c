/* Size-1: the number of elements, as a scalar. */
#include "ops/moving.h"

static const tn_port ins[] = {{"data", TN_DTS_ANY, 0, 0}};
static const tn_port outs[] = {{"size", TN_DT(I64), 0, 0}};

static tn_status infer(tn_infer *f)
{
    tn_infer_set(f, 0, TN_DTYPE_I64, 0, NULL);
    if (f->in[0].rank < 0) return NULL;
    tn_expr total = tn_infer_product(f, f->in[0].dim, 0, f->in[0].rank);
    tn_infer_set_known(f, 0, &total, 1);
    return NULL;
}

static tn_status reference(const tn_launch *l)
{
    tn_store_i64(TN_DTYPE_I64, l->problem->out[0].data, 0, tn_tensor_count(&l->problem->in[0]));
    return NULL;
}

static const tn_case cases[] = {
    {.problem = "Size f32[3,4,5]", .expect = "i64={60}"},
    {.problem = "Size i8", .expect = "i64={1}"},
    {.problem = "Size i8[0,7]={}", .expect = "i64={0}"},
    {0},
};

const tn_op tn_op_size = {
    .name = "Size",
    .since = 1,
    .about = "the number of elements",
    .in = ins,
    .in_count = TN_COUNT(ins),
    .out = outs,
    .out_count = TN_COUNT(outs),
    .infer = infer,
    .reference = reference,
    .shape_inputs = 1 << 0,
    .cases = cases,
};
