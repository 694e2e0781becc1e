/* Transpose-1: output axis i is input axis perm[i]; without perm the axes are reversed. */
#include "ops/transpose/transpose.h"

#include "ir/gradient.h"
#include "ops/moving.h"

static const tn_field fields[] = {
    TN_INT_LIST(tn_transpose_params, perm),
};
static const tn_port ins[] = {{"data", TN_DTS_ANY, 'T', 0}};
static const tn_port outs[] = {{"transposed", TN_DTS_ANY, 'T', 0}};

static int source_axis(const tn_transpose_params *params, int rank, int axis)
{
    return params->perm.count < 0 ? rank - 1 - axis : tn_axis_normal(params->perm.at[axis], rank);
}

static tn_status infer(tn_infer *f)
{
    const tn_transpose_params *params = f->params;
    const tn_type *x = &f->in[0];
    tn_expr dim[TN_RANK_MAX];
    bool seen[TN_RANK_MAX] = {false};
    int given = params->perm.count;
    TN_CHECK(given <= TN_RANK_MAX, TN_UNSUPPORTED, "perm has %d entries, above %d", given,
             TN_RANK_MAX);
    if (x->rank < 0) {
        tn_infer_set_fresh(f, 0, x->dtype, given);
        return NULL;
    }
    TN_CHECK(given < 0 || given == x->rank, TN_INVALID,
             "perm has %d entries for a tensor of rank %d", given, x->rank);
    for (int axis = 0; axis < x->rank; axis++) {
        int source = source_axis(params, x->rank, axis);
        TN_CHECK(source >= 0, TN_INVALID, "perm[%d] is %lld, outside [0, %d)", axis,
                 (long long)params->perm.at[axis], x->rank);
        TN_CHECK(!seen[source], TN_INVALID, "perm names axis %d twice", source);
        seen[source] = true;
        dim[axis] = x->dim[source];
    }
    tn_infer_set(f, 0, x->dtype, x->rank, dim);
    tn_infer_pass_known(f, 0);
    return NULL;
}

static tn_status reference(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    tn_move move = tn_move_of(&p->in[0], &p->out[0], &p->out[0]);
    int64_t step[TN_RANK_MAX];
    tn_dense_steps(p->in[0].dim, p->in[0].rank, step);
    for (int axis = 0; axis < move.rank; axis++) {
        int source = source_axis(p->params, move.rank, axis);
        TN_CHECK(p->in[0].dim[source] == move.dim[axis], TN_INVALID,
                 "axis %d has %lld elements where %lld are planned", axis,
                 (long long)p->in[0].dim[source], (long long)move.dim[axis]);
        move.src_step[axis] = step[source];
    }
    tn_move_run(&move);
    return NULL;
}

static void gradient(tn_gradient *g)
{
    const tn_transpose_params *params = g->node->params;
    int64_t inverse[TN_RANK_MAX];
    if (params->perm.count < 0) {
        tn_gradient_give(g, 0, tn_gradient_op(g, "Transpose", TN_IN(g->dy[0]), TN_PLAIN));
        return;
    }
    for (int i = 0; i < params->perm.count; i++) inverse[params->perm.at[i]] = i;
    tn_attr perm = tn_attr_ints("perm", inverse, params->perm.count);
    tn_gradient_give(g, 0, tn_gradient_op(g, "Transpose", TN_IN(g->dy[0]), &perm, 1));
}

static const tn_case cases[] = {
    {.problem = "Transpose f32[2,3]={1,2,3,4,5,6}", .expect = "f32[3,2]={1,4,2,5,3,6}"},
    {.problem = "Transpose{perm=[1,2,0]} i8[2,1,3]={1,2,3,4,5,6}",
     .expect = "i8[1,3,2]={1,4,2,5,3,6}"},
    {.problem = "Transpose u4[2,3]={1,2,3,4,5,6}", .expect = "u4[3,2]={1,4,2,5,3,6}"},
    {.problem = "Transpose{perm=[0,2,1,3]} f32[2,17,4,8]"},
    {.problem = "Transpose{perm=[0,2,3,1]} f32[2,3,17,9]"},
    {.problem = "Transpose{perm=[1,0]} f16[65,33]"},
    {.problem = "Transpose f64[3,0,2]"},
    {.problem = "Transpose i64"},
    {0},
};

const tn_op tn_op_transpose = {
    .name = "Transpose",
    .since = 1,
    .about = "permute axes: output axis i is input axis perm[i]",
    .in = ins,
    .in_count = TN_COUNT(ins),
    .out = outs,
    .out_count = TN_COUNT(outs),
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_transpose_params),
    .infer = infer,
    .reference = reference,
    .gradient = gradient,
    .cases = cases,
};
