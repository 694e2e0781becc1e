/* Where: condition ? X : Y, element by element under broadcasting, for every type. */
#include "ir/gradient.h"
#include "ops/elementwise/elementwise.h"

#define TYPES (TN_DTS_NUMBER | TN_DTS_COMPLEX | TN_DT(BOOL) | TN_DT(STRING))
static const tn_port ins[] = {
    {"condition", TN_DT(BOOL), 0, 0}, {"X", TYPES, 'T', 0}, {"Y", TYPES, 'T', 0}};
static const tn_port outs[] = {{"output", TYPES, 'T', 0}};

static tn_expr known_select(tn_exprs *exprs, const tn_expr *in, int count)
{
    (void)count;
    return tn_expr_select(exprs, in[0], in[1], in[2]);
}

static tn_status infer(tn_infer *f)
{
    int rank;
    tn_expr dim[TN_RANK_MAX];
    TN_TRY(tn_infer_broadcast(f, 0, 3, &rank, dim));
    tn_infer_set(f, 0, f->in[1].dtype, rank, dim);
    tn_elementwise_known(f, 3, known_select);
    return NULL;
}

static tn_status reference(const tn_launch *l)
{
    const tn_tensor *condition = &l->problem->in[0], *y = &l->problem->out[0];
    const tn_tensor *x[] = {&l->problem->in[2], &l->problem->in[1]};
    tn_walk w;
    TN_TRY(tn_walk_init(&w, y, (const tn_tensor *[]){x[0], x[1], condition}, 3));
    for (int64_t at = 0; at < w.count; at++, tn_walk_next(&w)) {
        bool yes = tn_load_i64(condition->dtype, condition->data, w.at[2]) != 0;
        tn_copy_elements(y->dtype, y->data, at, x[yes]->data, w.at[yes], 1);
    }
    return NULL;
}

static void gradient(tn_gradient *g)
{
    tn_value *zero = tn_draft_scalar(g->draft, g->node->out[0]->type.dtype, 0);
    tn_named none = {.name = "none", .value = zero};
    tn_gradient_give(g, 1, tn_gradient_write(g, "a ? dy : none", &none, 1));
    tn_gradient_give(g, 2, tn_gradient_write(g, "a ? none : dy", &none, 1));
}

extern const tn_case tn_where_cases[];

const tn_op tn_op_where = {
    .name = "Where",
    .since = 16,
    .about = "condition ? X : Y",
    .in = ins,
    .in_count = 3,
    .out = outs,
    .out_count = 1,
    .infer = infer,
    .reference = reference,
    .gradient = gradient,
    .cases = tn_where_cases,
};
