/* Dropout-12 as inference sees it: the input, and a mask of true. Training with a ratio above 0 is
 * random and refused. */
#include "ops/dropout/dropout.h"

#include "ir/gradient.h"
#include "ops/moving.h"

static const tn_field fields[] = {
    TN_INT(tn_dropout_params, seed, 0),
};
static const tn_port ins[] = {
    {"data", TN_DTS_FLOAT | TN_DTS_F8, 'T', 0},
    {"ratio", TN_DTS_FLOAT | TN_DTS_F8, 0, TN_PORT_OPTIONAL},
    {"training_mode", TN_DT(BOOL), 0, TN_PORT_OPTIONAL},
};
static const tn_port outs[] = {
    {"output", TN_DTS_FLOAT | TN_DTS_F8, 'T', 0},
    {"mask", TN_DT(BOOL), 0, TN_PORT_OPTIONAL},
};

static tn_status infer(tn_infer *f)
{
    for (int i = 1; i < f->in_count; i++)
        for (int axis = 0; tn_infer_has(f, i) && axis < f->in[i].rank; axis++)
            TN_CHECK(tn_expr_equals(f->exprs, f->in[i].dim[axis], 1) ||
                         !tn_expr_is_const(f->exprs, f->in[i].dim[axis], &(int64_t){0}),
                     TN_INVALID, "%s must be a scalar", ins[i].name);
    tn_infer_same(f, 0, 0);
    tn_infer_set(f, 1, TN_DTYPE_BOOL, f->in[0].rank, f->in[0].dim);
    return NULL;
}

static tn_status reference(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    bool training =
        p->in_count > 2 && p->in[2].data && tn_load_i64(TN_DTYPE_BOOL, p->in[2].data, 0);
    bool has_ratio = p->in_count > 1 && p->in[1].data;
    double ratio = has_ratio ? tn_load_f64(p->in[1].dtype, p->in[1].data, 0) : 0.5;
    TN_CHECK(!training || ratio == 0, TN_UNSUPPORTED,
             "training_mode is true and the ratio %g: that draws random bits; export the model for "
             "inference, or set training_mode to false or the ratio to 0",
             ratio);
    TN_TRY(tn_move_same(l));
    if (p->out_count < 2 || !p->out[1].data) return NULL;
    int64_t count = tn_tensor_count(&p->out[1]);
    for (int64_t i = 0; i < count; i++) tn_store_i64(TN_DTYPE_BOOL, p->out[1].data, i, 1);
    return NULL;
}

/* Dropout-10 and before had the ratio as an attribute, Dropout-6 an is_test. A mask of the data's
 * type (before 10) is cast where somebody reads it. */
static tn_status upgrade_below_12(tn_graph *graph, tn_node *node)
{
    (void)graph;
    tn_node_remove_attr(node, "ratio");
    tn_node_remove_attr(node, "is_test");
    tn_node_remove_attr(node, "consumed_inputs");
    return NULL;
}

static tn_status upgrade_below_10(tn_graph *graph, tn_node *node)
{
    tn_value *mask = node->out_count > 1 ? node->out[1] : NULL;
    tn_node *cast;
    if (!mask || !tn_value_has_users(mask)) return NULL;
    const tn_op *cast_like = tn_op_find(NULL, "CastLike");
    TN_CHECK(cast_like, TN_UNSUPPORTED,
             "the mask of Dropout before opset 10 needs the operator CastLike");
    tn_value *in[] = {mask, node->in[0]};
    TN_TRY(tn_graph_add_node(graph, cast_like, node->name, in, 2, NULL, 1, node->next, &cast));
    mask->type = tn_type_of(TN_DTYPE_NONE, -1, NULL);
    TN_TRY(tn_value_replace(mask, cast->out[0]));
    return tn_node_set_input(cast, 0, mask);
}

static void gradient(tn_gradient *g)
{
    tn_value *training = tn_gradient_input(g, 2);
    bool off = !training || (tn_value_is_constant(training) &&
                             !tn_load_i64(TN_DTYPE_BOOL, training->constant.data, 0));
    if (off) tn_gradient_give(g, 0, g->dy[0]);
    else tn_gradient_refuse(g, "training_mode is not a constant false: it draws random bits");
}

static const tn_case cases[] = {
    {.problem = "Dropout f32[3]={1,2,3} -> 2", .expect = "f32[3]={1,2,3} bool[3]={1,1,1}"},
    {.problem = "Dropout f16[2,5] f16={0.5} bool={0}"},
    {.problem = "Dropout f32[2]={1,-2} f32={0} bool={1} -> 2",
     .expect = "f32[2]={1,-2} bool[2]={1,1}"},
    {0},
};

const tn_op tn_op_dropout = {
    .name = "Dropout",
    .since = 12,
    .about = "in inference: the input, and a mask of true",
    .in = ins,
    .in_count = TN_COUNT(ins),
    .out = outs,
    .out_count = TN_COUNT(outs),
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_dropout_params),
    .infer = infer,
    .reference = reference,
    .gradient = gradient,
    .upgrade = {{10, upgrade_below_10}, {12, upgrade_below_12}},
    .cases = cases,
};
