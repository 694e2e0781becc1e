/* Split-18: one tensor into several along an axis, by sizes or into equal parts, the last one
 * smaller where they do not divide. */
#include "ops/split/split.h"

#include "ir/gradient.h"
#include "ops/moving.h"

static const tn_field fields[] = {
    TN_INT(tn_split_params, axis, 0),
    TN_INT(tn_split_params, num_outputs, 0),
};
static const tn_port ins[] = {
    {"input", TN_DTS_ANY, 'T', 0},
    {"split", TN_DT(I64), 0, TN_PORT_OPTIONAL},
};
static const tn_port outs[] = {{"outputs", TN_DTS_ANY, 'T', TN_PORT_VARIADIC}};

/* Part `index` of `count` equal ones; the last ones take what is left, which may be nothing (5 in 4
 * parts: 2, 2, 1, 0). */
static tn_expr equal_part(tn_infer *f, tn_expr dim, int index, int count)
{
    int64_t total;
    if (tn_expr_is_const(f->exprs, dim, &total)) {
        int64_t part = total / count + (total % count != 0);
        int64_t left = index > 0 && part > total / index ? 0 : total - part * index;
        return tn_expr_const(f->exprs, TN_MIN(part, TN_MAX(left, 0)));
    }
    tn_expr part = tn_expr_ceil_div(f->exprs, dim, tn_expr_const(f->exprs, count));
    if (index == 0) return part;
    tn_expr left =
        tn_expr_sub(f->exprs, dim, tn_expr_mul(f->exprs, part, tn_expr_const(f->exprs, index)));
    /* Where the dim is a multiple of the count, both bounds fall away. */
    return tn_expr_max(f->exprs, tn_expr_min(f->exprs, part, left), tn_expr_const(f->exprs, 0));
}

static void split_known(tn_infer *f)
{
    const tn_expr *at;
    int64_t length, part, done = 0;
    if (f->in[0].rank != 1 || !tn_infer_exprs(f, 0, &at, &length)) return;
    for (int i = 0; i < f->out_count; i++) {
        if (!tn_expr_is_const(f->exprs, f->out[i].dim[0], &part) || part > length - done) return;
        tn_infer_set_known(f, i, at + done, part);
        done += part;
    }
}

static tn_status check_sizes(tn_infer *f, const tn_expr *size, int64_t count, tn_expr dim)
{
    int64_t value, total, sum = 0;
    bool all = tn_expr_is_const(f->exprs, dim, &total);
    TN_CHECK(count == f->out_count, TN_INVALID, "%lld sizes are given for %d outputs",
             (long long)count, f->out_count);
    for (int64_t i = 0; i < count; i++) {
        if (!tn_expr_is_const(f->exprs, size[i], &value)) {
            all = false;
            continue;
        }
        TN_CHECK(value >= 0 && value <= INT64_MAX - sum, TN_INVALID,
                 "size %lld of a part is out of range", (long long)value);
        sum += value;
    }
    TN_CHECK(!all || sum == total, TN_INVALID, "the sizes add to %lld, the dim is %lld",
             (long long)sum, (long long)total);
    return NULL;
}

static tn_status infer(tn_infer *f)
{
    const tn_split_params *params = f->params;
    const tn_type *x = &f->in[0];
    const tn_expr *size = NULL;
    int64_t size_count = -1;
    int axis;
    TN_CHECK(params->num_outputs == 0 || params->num_outputs >= f->out_count, TN_INVALID,
             "num_outputs is %lld, the node has %d outputs", (long long)params->num_outputs,
             f->out_count);
    int parts = params->num_outputs > 0 && params->num_outputs <= INT32_MAX
                    ? (int)params->num_outputs
                    : f->out_count;
    if (x->rank < 0) {
        for (int i = 0; i < f->out_count; i++) tn_infer_set(f, i, x->dtype, -1, NULL);
        return NULL;
    }
    TN_TRY(tn_infer_axis(f, params->axis, x->rank, &axis));
    bool by_sizes = tn_infer_has(f, 1);
    if (by_sizes && tn_infer_exprs(f, 1, &size, &size_count))
        TN_TRY(check_sizes(f, size, size_count, x->dim[axis]));
    for (int i = 0; i < f->out_count; i++) {
        tn_expr dim[TN_RANK_MAX];
        for (int k = 0; k < x->rank; k++) dim[k] = x->dim[k];
        if (!by_sizes) dim[axis] = equal_part(f, x->dim[axis], i, parts);
        else dim[axis] = size_count > i ? size[i] : TN_EXPR_NONE;
        if (!dim[axis]) dim[axis] = tn_infer_fresh(f);
        tn_infer_set(f, i, x->dtype, x->rank, dim);
    }
    split_known(f);
    return NULL;
}

/* The parts follow each other: an output that nobody asked for still has its dims. */
static tn_status reference(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_split_params *params = p->params;
    const tn_tensor *x = &p->in[0], *sizes = p->in_count > 1 && p->in[1].dtype ? &p->in[1] : NULL;
    int axis = tn_axis_normal(params->axis, x->rank);
    int64_t parts = params->num_outputs > 0 ? params->num_outputs : p->out_count;
    int64_t inner = tn_dims_product(x->dim, axis + 1, x->rank), at = 0;
    int64_t equal = x->dim[axis] / parts + (x->dim[axis] % parts != 0);
    for (int i = 0; i < p->out_count; i++) {
        const tn_tensor *y = &p->out[i];
        int64_t size =
            sizes ? tn_load_i64(sizes->dtype, sizes->data, i) : TN_MIN(equal, x->dim[axis] - at);
        TN_CHECK(size >= 0 && size <= x->dim[axis] - at, TN_INVALID,
                 "part %d of %lld elements does not fit the %lld of axis %d", i, (long long)size,
                 (long long)x->dim[axis], axis);
        if (y->data) {
            TN_CHECK(y->dim[axis] == size, TN_INVALID,
                     "part %d has %lld elements, %lld are planned", i, (long long)size,
                     (long long)y->dim[axis]);
            TN_TRY(tn_check_count(y, tn_dims_product(x->dim, 0, axis) * size * inner));
            tn_move move = tn_move_of(x, y, y);
            move.src_at = at * inner;
            tn_move_run(&move);
        }
        at += size;
    }
    return NULL;
}

/* Sizes were an attribute before 13. */
static tn_status upgrade_below_13(tn_graph *graph, tn_node *node)
{
    return tn_upgrade_ints_to_input(graph, node, "split", 1);
}

static void gradient(tn_gradient *g)
{
    const tn_split_params *params = g->node->params;
    tn_value *parts[TN_KNOWN_MAX];
    int count = g->node->out_count;
    if (count > TN_KNOWN_MAX) {
        tn_gradient_refuse(g, "it has too many outputs");
        return;
    }
    for (int i = 0; i < count; i++) {
        if (!g->dy[i] && !g->node->out[i]) {
            tn_gradient_refuse(g, "an output that nobody asked for leaves a hole");
            return;
        }
        parts[i] = tn_gradient_dy(g, i);
    }
    tn_value *dx =
        tn_gradient_op(g, "Concat", parts, count, TN_WITH(tn_attr_int("axis", params->axis)));
    if (dx && tn_gradient_wants(g, 0)) g->dx[0] = tn_gradient_reshape_like(g, dx, g->node->in[0]);
}

static const tn_case cases[] = {
    {.problem = "Split{num_outputs=4} f32[5]={1,2,3,4,5} -> 4",
     .expect = "f32[2]={1,2} f32[2]={3,4} f32[1]={5} f32[0]={}"},
    {.problem = "Split f32[6]={1,2,3,4,5,6} -> 3",
     .expect = "f32[2]={1,2} f32[2]={3,4} f32[2]={5,6}"},
    {.problem = "Split{num_outputs=2} i8[5]={1,2,3,4,5} -> 2",
     .expect = "i8[3]={1,2,3} i8[2]={4,5}"},
    {.problem = "Split{axis=1} f32[2,3]={1,2,3,4,5,6} i64[2]={1,2} -> 2",
     .expect = "f32[2,1]={1,4} f32[2,2]={2,3,5,6}"},
    {.problem = "Split{axis=-1} f32[4,7,192] -> 3"},
    {.problem = "Split f32[0]={} i64[3]={0,0,0} -> 3", .expect = "f32[0]={} f32[0]={} f32[0]={}"},
    {0},
};

const tn_op tn_op_split = {
    .name = "Split",
    .since = 18,
    .about = "one tensor into several along axis, by sizes or into equal parts",
    .in = ins,
    .in_count = TN_COUNT(ins),
    .out = outs,
    .out_count = TN_COUNT(outs),
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_split_params),
    .infer = infer,
    .reference = reference,
    .gradient = gradient,
    .upgrade = {{13, upgrade_below_13}},
    .cases = cases,
};
