/* Squeeze-13: take out axes of length 1: those named, or all of them. Without names the output's
 * rank hangs on symbolic dims, so it may only be known in a run. */
#include "ir/gradient.h"
#include "ops/moving.h"

static const tn_port ins[] = {
    {"data", TN_DTS_ANY, 'T', 0},
    {"axes", TN_DT(I64), 0, TN_PORT_OPTIONAL},
};
static const tn_port outs[] = {{"squeezed", TN_DTS_ANY, 'T', 0}};

static tn_status infer(tn_infer *f)
{
    const tn_type *x = &f->in[0];
    tn_expr dim[TN_RANK_MAX];
    bool gone[TN_RANK_MAX] = {false}, known = false;
    int axis[TN_RANK_MAX], count = 0, rank = 0;
    int64_t value;
    bool named = tn_infer_has(f, 1);
    if (x->rank >= 0) TN_TRY(tn_infer_axes_input(f, 1, x->rank, axis, &count, &known));
    if (!known) {
        int64_t length = named ? tn_infer_length(f, 1) : -1;
        tn_infer_set_fresh(f, 0, x->dtype, x->rank < 0 || length < 0 ? -1 : x->rank - (int)length);
        return NULL;
    }
    for (int i = 0; i < count; i++) {
        gone[axis[i]] = true;
        TN_CHECK(!tn_expr_is_const(f->exprs, x->dim[axis[i]], &value) || value == 1, TN_INVALID,
                 "axis %d has %lld elements and cannot be squeezed", axis[i], (long long)value);
    }
    for (int k = 0; !named && k < x->rank; k++) {
        bool number = tn_expr_is_const(f->exprs, x->dim[k], &value);
        if (!number && !(x->dim[k] && tn_expr_at_least(f->exprs, x->dim[k], 2))) {
            tn_infer_set(f, 0, x->dtype, -1, NULL);
            return NULL;
        }
        gone[k] = number && value == 1;
    }
    for (int k = 0; k < x->rank; k++)
        if (!gone[k]) dim[rank++] = x->dim[k];
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
    {.problem = "Squeeze f32[1,3,1]={1,2,3}", .expect = "f32[3]={1,2,3}"},
    {.problem = "Squeeze f32[1,3,1]={1,2,3} i64[1]={-1}", .expect = "f32[1,3]={1,2,3}"},
    {.problem = "Squeeze i64[1]={4} i64[1]={0}", .expect = "i64={4}"},
    {0},
};

const tn_op tn_op_squeeze = {
    .name = "Squeeze",
    .since = 13,
    .about = "take out axes of length 1: those named, or all",
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
