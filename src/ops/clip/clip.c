/* Clip: min(max(x, low), high) with scalar bounds that may be absent; high wins where low > high.
 *
 * Before opset 11 the bounds were float attributes; they become constants of the input's type. */
#include <math.h>

#include "ir/gradient.h"
#include "ops/elementwise/elementwise.h"

static const tn_port ins[] = {{"input", TN_DTS_NUMBER, 'T', 0},
                              {"min", TN_DTS_NUMBER, 'T', TN_PORT_OPTIONAL},
                              {"max", TN_DTS_NUMBER, 'T', TN_PORT_OPTIONAL}};
static const tn_port outs[] = {{"output", TN_DTS_NUMBER, 'T', 0}};

static tn_status infer(tn_infer *f)
{
    for (int k = 1; k < 3; k++) {
        bool scalar = !tn_infer_has(f, k) || f->in[k].rank <= 0 ||
                      (f->in[k].rank == 1 && !tn_expr_at_least(f->exprs, f->in[k].dim[0], 2));
        TN_CHECK(scalar, TN_INVALID, "the bound '%s' must be a scalar", ins[k].name);
    }
    tn_infer_same(f, 0, 0);
    return NULL;
}

static const tn_tensor *find_bound(const tn_problem *p, int index)
{
    bool present = index < p->in_count && p->in[index].dtype != TN_DTYPE_NONE &&
                   tn_tensor_count(&p->in[index]) > 0;
    return present ? &p->in[index] : NULL;
}

static tn_status clip_floats(const tn_launch *l, const tn_tensor *min, const tn_tensor *max)
{
    const tn_tensor *x = &l->problem->in[0], *y = &l->problem->out[0];
    double low = min ? tn_load_f64(min->dtype, min->data, 0) : -INFINITY;
    double high = max ? tn_load_f64(max->dtype, max->data, 0) : INFINITY;
    for (int64_t at = 0; at < tn_tensor_count(x); at++) {
        double value = tn_load_f64(x->dtype, x->data, at);
        if (value < low) value = low;
        if (value > high) value = high;
        tn_store_f64(y->dtype, y->data, at, value);
    }
    return NULL;
}

static tn_status clip_integers(const tn_launch *l, const tn_tensor *min, const tn_tensor *max)
{
    const tn_tensor *x = &l->problem->in[0], *y = &l->problem->out[0];
    /* Flipping the top bit orders unsigned values as signed ones. */
    int64_t flip = tn_dtype_kind_of(x->dtype) == TN_KIND_U ? INT64_MIN : 0;
    int64_t low = min ? tn_load_i64(min->dtype, min->data, 0) ^ flip : INT64_MIN;
    int64_t high = max ? tn_load_i64(max->dtype, max->data, 0) ^ flip : INT64_MAX;
    for (int64_t at = 0; at < tn_tensor_count(x); at++) {
        int64_t value = tn_load_i64(x->dtype, x->data, at) ^ flip;
        if (value < low) value = low;
        if (value > high) value = high;
        tn_store_i64(y->dtype, y->data, at, value ^ flip);
    }
    return NULL;
}

static tn_status reference(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_tensor *min = find_bound(p, 1), *max = find_bound(p, 2);
    return tn_dtype_kind_of(p->in[0].dtype) == TN_KIND_F ? clip_floats(l, min, max)
                                                         : clip_integers(l, min, max);
}

static tn_status upgrade_below_11(tn_graph *graph, tn_node *node)
{
    static const char *const names[] = {"min", "max"};
    if (node->in_count < 1 || !node->in[0]) return NULL;
    for (int k = 0; k < 2; k++) {
        tn_value *bound;
        const tn_attr *attr = tn_node_find_attr(node, names[k]);
        if (!attr) continue;
        TN_CHECK(attr->kind == TN_ATTR_FLOAT, TN_INVALID, "attribute '%s' must be a float",
                 names[k]);
        TN_TRY(tn_graph_add_scalar(graph, TN_DTYPE_F32, attr->f, &bound));
        if (node->in[0]->type.dtype != TN_DTYPE_F32) /* or not known yet */
            TN_TRY(tn_upgrade_add(graph, node, "CastLike", (tn_value *[]){bound, node->in[0]}, 2,
                                  &bound));
        TN_TRY(tn_node_set_input(node, k + 1, bound));
        tn_node_remove_attr(node, names[k]);
    }
    return NULL;
}

/* Where x meets a bound, it still counts as inside. */
static void gradient(tn_gradient *g)
{
    tn_value *low = tn_gradient_input(g, 1), *high = tn_gradient_input(g, 2);
    tn_value *dx = g->dy[0];
    tn_named more = {.name = "dy"};
    if (low) dx = tn_gradient_write(g, "x < b ? 0 : dy", NULL, 0);
    more.value = dx;
    if (high) dx = tn_gradient_write(g, "x > c ? 0 : dy", &more, 1);
    tn_gradient_give(g, 0, dx);
    if (tn_gradient_wants(g, 1))
        tn_gradient_give(g, 1, tn_gradient_write(g, "x < b ? dy : 0", NULL, 0));
    if (tn_gradient_wants(g, 2))
        tn_gradient_give(g, 2, tn_gradient_write(g, "x > c ? dy : 0", NULL, 0));
}

extern const tn_case tn_clip_cases[];

const tn_op tn_op_clip = {
    .name = "Clip",
    .since = 13,
    .about = "min(max(x, min), max)",
    .in = ins,
    .in_count = 3,
    .out = outs,
    .out_count = 1,
    .infer = infer,
    .reference = reference,
    .gradient = gradient,
    .upgrade = {{11, upgrade_below_11}},
    .cases = tn_clip_cases,
};
