/* Pad-18: more elements (negative: fewer) before and after, along all axes or those named.
 *
 * Where does the element before the first come from? For [1 2 3] and 4 more on the left:
 *
 *     constant 0 0 0 0 |1 2 3     reflect 1 2 3 2 |1 2 3... about the first element, again and
 * again edge     1 1 1 1 |1 2 3     wrap    3 1 2 3 |1 2 3
 *
 * Negative pads cut the input first; the modes see what is left. */
#include "ops/pad/pad.h"

#include <string.h>

#include "ir/gradient.h"
#include "ops/moving.h"

static const tn_field fields[] = {
    TN_ENUM(tn_pad_params, mode, TN_PAD_CONSTANT, "constant|reflect|edge|wrap"),
};
static const tn_port ins[] = {
    {"data", TN_DTS_ANY, 'T', 0},
    {"pads", TN_DT(I64), 0, 0},
    {"constant_value", TN_DTS_ANY, 'T', TN_PORT_OPTIONAL},
    {"axes", TN_DTS_INDEX, 0, TN_PORT_OPTIONAL},
};
static const tn_port outs[] = {{"output", TN_DTS_ANY, 'T', 0}};

static tn_status infer(tn_infer *f)
{
    const tn_type *x = &f->in[0];
    const tn_expr *pad;
    tn_expr dim[TN_RANK_MAX];
    int axis[TN_RANK_MAX], count;
    int64_t pad_count;
    bool axes_known;
    if (x->rank < 0) {
        tn_infer_set(f, 0, x->dtype, -1, NULL);
        return NULL;
    }
    TN_TRY(tn_infer_axes_input(f, 3, x->rank, axis, &count, &axes_known));
    if (!axes_known || !tn_infer_exprs(f, 1, &pad, &pad_count)) {
        tn_infer_set_fresh(f, 0, x->dtype, x->rank);
        return NULL;
    }
    if (!tn_infer_has(f, 3)) {
        count = x->rank;
        for (int k = 0; k < count; k++) axis[k] = k;
    }
    TN_CHECK(pad_count == 2 * count, TN_INVALID, "%lld pads are given for %d axes",
             (long long)pad_count, count);
    for (int k = 0; k < x->rank; k++) dim[k] = x->dim[k];
    for (int k = 0; k < count; k++) {
        tn_expr sum = tn_expr_add(f->exprs, pad[k], pad[k + count]);
        dim[axis[k]] = tn_expr_add(f->exprs, dim[axis[k]], sum);
        if (!dim[axis[k]]) dim[axis[k]] = tn_infer_fresh(f);
    }
    tn_infer_set(f, 0, x->dtype, x->rank, dim);
    return NULL;
}

/* Position in the input of position `at` of the padded axis; -1: the constant. [low, high) is what
 * negative pads leave of the input, `before` the padding in front of it. */
static int64_t source(int64_t mode, int64_t at, int64_t before, int64_t low, int64_t high)
{
    int64_t count = high - low, i = at - before;
    if (i >= 0 && i < count) return low + i;
    if (mode == TN_PAD_CONSTANT || count <= 0) return -1;
    if (mode == TN_PAD_EDGE) return i < 0 ? low : high - 1;
    int64_t period = mode == TN_PAD_WRAP ? count : TN_MAX(1, 2 * (count - 1));
    i %= period;
    if (i < 0) i += period;
    return low + (i < count ? i : period - i);
}

static tn_status reference(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_pad_params *params = p->params;
    const tn_tensor *x = &p->in[0], *pads = &p->in[1], *y = &p->out[0];
    const tn_tensor *value = p->in_count > 2 && p->in[2].dtype ? &p->in[2] : NULL;
    int64_t begin[TN_RANK_MAX] = {0}, end[TN_RANK_MAX] = {0}, step[TN_RANK_MAX],
            index[TN_RANK_MAX] = {0};
    static const tn_string no_text = {"", 0};
    uint8_t zeros[16] = {0};
    int axis[TN_RANK_MAX], count = x->rank;
    for (int k = 0; k < count; k++) axis[k] = k;
    if (p->in_count > 3 && p->in[3].dtype) TN_TRY(tn_launch_axes(&p->in[3], x->rank, axis, &count));
    TN_CHECK(tn_tensor_count(pads) == 2 * count, TN_INVALID, "%lld pads are given for %d axes",
             (long long)tn_tensor_count(pads), count);
    for (int k = 0; k < count; k++) {
        begin[axis[k]] = tn_load_i64(pads->dtype, pads->data, k);
        end[axis[k]] = tn_load_i64(pads->dtype, pads->data, k + count);
    }
    for (int k = 0; k < x->rank; k++) {
        TN_CHECK(begin[k] >= -x->dim[k] && end[k] >= -x->dim[k], TN_INVALID,
                 "pads %lld and %lld cut more than the %lld of axis %d", (long long)begin[k],
                 (long long)end[k], (long long)x->dim[k], k);
        int64_t left = x->dim[k] + TN_MIN(begin[k], 0) + TN_MIN(end[k], 0);
        TN_CHECK(left > 0 || y->dim[k] == 0 || params->mode == TN_PAD_CONSTANT, TN_INVALID,
                 "axis %d has nothing left to pad from", k);
    }
    TN_CHECK(!value || tn_tensor_count(value) == 1, TN_INVALID,
             "constant_value has %lld elements, not 1",
             (long long)(value ? tn_tensor_count(value) : 0));
    const void *fill = value                         ? value->data
                       : x->dtype == TN_DTYPE_STRING ? (const void *)&no_text
                                                     : zeros;
    int64_t total = tn_tensor_count(y);
    tn_dense_steps(x->dim, x->rank, step);
    for (int64_t i = 0; i < total; i++, tn_index_next(index, y->dim, y->rank)) {
        int64_t at = 0;
        for (int k = 0; k < y->rank && at >= 0; k++) {
            int64_t from = source(params->mode, index[k], TN_MAX(begin[k], 0), TN_MAX(-begin[k], 0),
                                  x->dim[k] + TN_MIN(end[k], 0));
            at = from < 0 ? -1 : at + from * step[k];
        }
        if (at < 0) tn_copy_elements(x->dtype, y->data, i, fill, 0, 1);
        else tn_copy_elements(x->dtype, y->data, i, x->data, at, 1);
    }
    return NULL;
}

/* Pad-2 had pads and value as attributes; Pad-1 called the pads paddings. */
static tn_status upgrade_below_11(tn_graph *graph, tn_node *node)
{
    const tn_attr *old = tn_node_find_attr(node, "paddings");
    const tn_attr *value = tn_node_find_attr(node, "value");
    TN_TRY(tn_upgrade_ints_to_input(graph, node, old ? "paddings" : "pads", 1));
    if (!value) return NULL;
    tn_value *fill;
    tn_node *cast;
    double number = value->f;
    tn_node_remove_attr(node, "value");
    if (number == 0) return NULL;
    /* The type of the data is not known yet: the value is brought to it in the graph. */
    TN_TRY(tn_graph_add_scalar(graph, TN_DTYPE_F32, number, &fill));
    tn_value *in[] = {fill, node->in[0]};
    const tn_op *cast_like = tn_op_find(NULL, "CastLike");
    TN_CHECK(cast_like, TN_UNSUPPORTED, "Pad before opset 11 needs the operator CastLike");
    TN_TRY(tn_graph_add_node(graph, cast_like, node->name, in, 2, NULL, 1, node, &cast));
    return tn_node_set_input(node, 2, cast->out[0]);
}

/* What was added is cut off: negative pads do that; and the other way round. */
static void gradient(tn_gradient *g)
{
    const tn_pad_params *params = g->node->params;
    tn_value *axes = tn_gradient_input(g, 3);
    if (params->mode != TN_PAD_CONSTANT) {
        tn_gradient_refuse(g, "only padding by a constant can be");
        return;
    }
    tn_value *back = tn_gradient_op(g, "Neg", TN_IN(g->node->in[1]), TN_PLAIN);
    tn_value *dx = tn_gradient_op(g, "Pad", TN_IN(g->dy[0], back, NULL, axes), TN_PLAIN);
    if (dx && tn_gradient_wants(g, 0)) g->dx[0] = tn_gradient_reshape_like(g, dx, g->node->in[0]);
    if (tn_gradient_wants(g, 2)) tn_gradient_refuse(g, "its fill value is a parameter");
}

static const tn_case cases[] = {
    {.problem = "Pad f32[2,2]={1,2,3,4} i64[4]={0,1,1,0} f32={9}",
     .expect = "f32[3,3]={9,1,2,9,3,4,9,9,9}"},
    {.problem = "Pad{mode=reflect} i32[3]={1,2,3} i64[2]={4,3}",
     .expect = "i32[10]={1,2,3,2,1,2,3,2,1,2}"},
    {.problem = "Pad{mode=edge} u4[3]={1,2,3} i64[2]={2,1}", .expect = "u4[6]={1,1,1,2,3,3}"},
    {.problem = "Pad{mode=wrap} f32[3]={1,2,3} i64[2]={4,1}", .expect = "f32[8]={3,1,2,3,1,2,3,1}"},
    {.problem = "Pad f32[5]={1,2,3,4,5} i64[2]={-2,1}", .expect = "f32[4]={3,4,5,0}"},
    {.problem = "Pad{mode=reflect} f32[5]={1,2,3,4,5} i64[2]={-2,2}",
     .expect = "f32[5]={3,4,5,4,3}"},
    {.problem = "Pad f32[2,1]={1,2} i64[2]={1,0} none i64[1]={-1}", .expect = "f32[2,2]={0,1,0,2}"},
    {.problem = "Pad f32[2,3,7,9] i64[8]={0,0,1,2,0,0,3,4}"},
    {0},
};

const tn_op tn_op_pad = {
    .name = "Pad",
    .since = 19,
    .about =
        "elements before and after along axes: constant, reflect, edge or wrap; negative pads cut",
    .in = ins,
    .in_count = TN_COUNT(ins),
    .out = outs,
    .out_count = TN_COUNT(outs),
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_pad_params),
    .infer = infer,
    .reference = reference,
    .gradient = gradient,
    .upgrade = {{11, upgrade_below_11}},
    .cases = cases,
};
