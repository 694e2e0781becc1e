/* Unsqueeze-13: put axes of length 1 in, at the places they have in the output. */
#include "ir/gradient.h"
#include "ops/moving.h"

static const tn_port ins[] = {{"data", TN_DTS_ANY, 'T', 0}, {"axes", TN_DT(I64), 0, 0}};
static const tn_port outs[] = {{"expanded", TN_DTS_ANY, 'T', 0}};

static tn_status infer(tn_infer *f)
{
    const tn_type *x = &f->in[0];
    tn_expr dim[TN_RANK_MAX];
    bool fresh[TN_RANK_MAX] = {false}, known;
    int axis[TN_RANK_MAX], count, from = 0;
    int64_t length = tn_infer_length(f, 1);
    if (f->in[1].rank == 0) length = 1;
    if (x->rank < 0 || length < 0) {
        tn_infer_set(f, 0, x->dtype, -1, NULL);
        return NULL;
    }
    TN_CHECK(length <= TN_RANK_MAX - x->rank, TN_UNSUPPORTED,
             "rank %d with %lld more axes is above %d", x->rank, (long long)length, TN_RANK_MAX);
    int rank = x->rank + (int)length;
    TN_TRY(tn_infer_axes_input(f, 1, rank, axis, &count, &known));
    if (!known) {
        tn_infer_set_fresh(f, 0, x->dtype, rank);
        return NULL;
    }
    for (int i = 0; i < count; i++) fresh[axis[i]] = true;
    for (int k = 0; k < rank; k++) dim[k] = fresh[k] ? tn_expr_const(f->exprs, 1) : x->dim[from++];
    tn_infer_set(f, 0, x->dtype, rank, dim);
    tn_infer_pass_known(f, 0);
    return NULL;
}

/* Axes were an attribute before 13. */
static tn_status upgrade_below_13(tn_graph *graph, tn_node *node)
{
    return tn_upgrade_ints_to_input(graph, node, "axes", 1);
}

static const tn_case cases[] = {
    {.problem = "Unsqueeze f32[3]={1,2,3} i64[2]={0,-1}", .expect = "f32[1,3,1]={1,2,3}"},
    {.problem = "Unsqueeze i64={4} i64[1]={0}", .expect = "i64[1]={4}"},
    {.problem = "Unsqueeze f16[2,3] i64[2]={2,1}"},
    {0},
};

const tn_op tn_op_unsqueeze = {
    .name = "Unsqueeze",
    .since = 13,
    .about = "put axes of length 1 in",
    .in = ins,
    .in_count = TN_COUNT(ins),
    .out = outs,
    .out_count = TN_COUNT(outs),
    .infer = infer,
    .reference = tn_move_same,
    .shape_inputs = 1 << 1,
    .view = true,
    .gradient = tn_gradient_reshape,
    .upgrade = {{13, upgrade_below_13}},
    .cases = cases,
};
