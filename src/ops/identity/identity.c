/* Identity-1: the input. */
#include "ir/gradient.h"
#include "ops/moving.h"

static const tn_port ins[] = {{"input", TN_DTS_ANY, 'V', TN_PORT_ANY_KIND}};
static const tn_port outs[] = {{"output", TN_DTS_ANY, 'V', TN_PORT_ANY_KIND}};

static tn_status infer(tn_infer *f)
{
    tn_infer_same(f, 0, 0);
    tn_infer_pass_known(f, 0);
    return NULL;
}

static const tn_case cases[] = {
    {.problem = "Identity f32[2]={1,2}", .expect = "f32[2]={1,2}"},
    {.problem = "Identity u4[3]={1,2,3}", .expect = "u4[3]={1,2,3}"},
    {.problem = "Identity f64[3,5]"},
    {0},
};

const tn_op tn_op_identity = {
    .name = "Identity",
    .since = 1,
    .about = "the input itself",
    .in = ins,
    .in_count = TN_COUNT(ins),
    .out = outs,
    .out_count = TN_COUNT(outs),
    .infer = infer,
    .reference = tn_move_same,
    .view = true,
    .gradient = tn_gradient_reshape,
    .cases = cases,
};
