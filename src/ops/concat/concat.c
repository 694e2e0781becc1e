/* Concat-4: tensors one after the other along an axis. */
#include "ops/concat/concat.h"

#include "ir/gradient.h"
#include "ops/moving.h"

static const tn_field fields[] = {
    {.name = "axis",
     .kind = TN_FIELD_INT,
     .offset = offsetof(tn_concat_params, axis),
     .required = true},
};
static const tn_port ins[] = {{"inputs", TN_DTS_ANY, 'T', TN_PORT_VARIADIC}};
static const tn_port outs[] = {{"concat_result", TN_DTS_ANY, 'T', 0}};

/* Two claims for one dim: a number beats a symbol, two numbers must agree. */
static tn_status unify(tn_infer *f, int input, int axis, tn_expr theirs, tn_expr *dim)
{
    int64_t a, b;
    bool a_known = tn_expr_is_const(f->exprs, *dim, &a);
    bool b_known = tn_expr_is_const(f->exprs, theirs, &b);
    TN_CHECK(!a_known || !b_known || a == b, TN_INVALID,
             "input %d has %lld along axis %d where the ones before have %lld", input, (long long)b,
             axis, (long long)a);
    if (!*dim || b_known) *dim = theirs ? theirs : *dim;
    return NULL;
}

static void concat_known(tn_infer *f)
{
    const tn_expr *at;
    tn_expr joined[TN_KNOWN_MAX];
    int64_t count = 0, length;
    for (int i = 0; i < f->in_count; i++) {
        bool known = tn_infer_exprs(f, i, &at, &length);
        if (!known) length = tn_infer_length(f, i);
        if (length < 0 || length > TN_KNOWN_MAX - count) return;
        for (int64_t k = 0; k < length; k++) joined[count++] = known ? at[k] : TN_EXPR_NONE;
    }
    tn_infer_set_known(f, 0, joined, count);
}

static tn_status infer(tn_infer *f)
{
    const tn_concat_params *params = f->params;
    int rank = -1, axis;
    tn_expr dim[TN_RANK_MAX] = {0}, total = tn_expr_const(f->exprs, 0);
    for (int i = 0; i < f->in_count; i++) {
        if (f->in[i].rank < 0) continue;
        TN_CHECK(rank < 0 || rank == f->in[i].rank, TN_INVALID,
                 "input %d has rank %d, one before has %d", i, f->in[i].rank, rank);
        rank = f->in[i].rank;
    }
    if (rank < 0) {
        tn_infer_set(f, 0, f->in[0].dtype, -1, NULL);
        return NULL;
    }
    TN_TRY(tn_infer_axis(f, params->axis, rank, &axis));
    for (int i = 0; i < f->in_count; i++) {
        bool told = f->in[i].rank >= 0;
        total = told ? tn_expr_add(f->exprs, total, f->in[i].dim[axis]) : TN_EXPR_NONE;
        for (int k = 0; told && k < rank; k++)
            if (k != axis) TN_TRY(unify(f, i, k, f->in[i].dim[k], &dim[k]));
    }
    dim[axis] = total;
    for (int k = 0; k < rank; k++)
        if (!dim[k]) dim[k] = tn_infer_fresh(f);
    tn_infer_set(f, 0, f->in[0].dtype, rank, dim);
    if (rank == 1) concat_known(f);
    return NULL;
}

static tn_status reference(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_concat_params *params = p->params;
    const tn_tensor *y = &p->out[0];
    int axis = tn_axis_normal(params->axis, y->rank);
    int64_t inner = tn_dims_product(y->dim, axis + 1, y->rank), at = 0;
    for (int i = 0; i < p->in_count; i++) {
        const tn_tensor *x = &p->in[i];
        for (int k = 0; k < y->rank; k++)
            TN_CHECK(k == axis ? x->dim[k] <= y->dim[k] - at : x->dim[k] == y->dim[k], TN_INVALID,
                     "input %d has %lld along axis %d, which does not fit the output's %lld", i,
                     (long long)x->dim[k], k, (long long)y->dim[k]);
        tn_move move = tn_move_of(x, y, x);
        move.dst_at = at * inner;
        tn_move_run(&move);
        at += x->dim[axis];
    }
    TN_CHECK(at == y->dim[axis], TN_INVALID, "%lld come together along axis %d, %lld are planned",
             (long long)at, axis, (long long)y->dim[axis]);
    return NULL;
}

/* Concat-1 had a default axis. */
static tn_status upgrade_below_4(tn_graph *graph, tn_node *node)
{
    (void)graph;
    return tn_node_find_attr(node, "axis") ? NULL : tn_node_set_int(node, "axis", 1);
}

static void gradient(tn_gradient *g)
{
    const tn_concat_params *params = g->node->params;
    tn_value *sizes[TN_KNOWN_MAX], *parts[TN_KNOWN_MAX];
    int count = g->node->in_count;
    if (count > TN_KNOWN_MAX) {
        tn_gradient_refuse(g, "it has too many inputs");
        return;
    }
    int64_t axis = params->axis, end = axis + 1;
    for (int i = 0; i < count; i++) {
        if (axis < 0) end = axis + 1 + g->node->in[i]->type.rank;
        sizes[i] = tn_gradient_op(g, "Shape", TN_IN(g->node->in[i]),
                                  TN_WITH(tn_attr_int("start", axis), tn_attr_int("end", end)));
    }
    tn_value *split = tn_gradient_op(g, "Concat", sizes, count, TN_WITH(tn_attr_int("axis", 0)));
    tn_draft_ops(g->draft, "Split", g->name, TN_IN(g->dy[0], split),
                 TN_WITH(tn_attr_int("axis", axis)), parts, count);
    for (int i = 0; i < count; i++)
        if (parts[i] && tn_gradient_wants(g, i)) g->dx[i] = parts[i];
}

static const tn_case cases[] = {
    {.problem = "Concat{axis=0} f32[1,2]={1,2} f32[2,2]={3,4,5,6}",
     .expect = "f32[3,2]={1,2,3,4,5,6}"},
    {.problem = "Concat{axis=-1} i64[2,1]={1,2} i64[2,2]={3,4,5,6}",
     .expect = "i64[2,3]={1,3,4,2,5,6}"},
    {.problem = "Concat{axis=1} u4[2,1]={1,2} u4[2,2]={3,4,5,6}",
     .expect = "u4[2,3]={1,3,4,2,5,6}"},
    {.problem = "Concat{axis=1} f32[2,3,4] f32[2,0,4] f32[2,5,4]"},
    {.problem = "Concat{axis=2} f16[2,3,4] f16[2,3,7]"},
    {0},
};

const tn_op tn_op_concat = {
    .name = "Concat",
    .since = 4,
    .about = "tensors one after the other along axis",
    .in = ins,
    .in_count = TN_COUNT(ins),
    .out = outs,
    .out_count = TN_COUNT(outs),
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_concat_params),
    .infer = infer,
    .reference = reference,
    .gradient = gradient,
    .upgrade = {{4, upgrade_below_4}},
    .cases = cases,
};
