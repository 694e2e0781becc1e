/* TopK-11: the k largest (or least) elements along an axis and where they were; of equals the one
 * in front goes first. NaN counts as the largest. */
#include "ops/top_k/top_k.h"

#include "ops/moving.h"
#include "ops/sorting.h"

static const tn_field fields[] = {
    TN_INT(tn_top_k_params, axis, -1),
    TN_INT(tn_top_k_params, largest, 1),
    TN_INT(tn_top_k_params, sorted, 1),
};
static const tn_port ins[] = {{"X", TN_DTS_NUMBER, 'T', 0}, {"K", TN_DT(I64), 0, 0}};
static const tn_port outs[] = {{"Values", TN_DTS_NUMBER, 'T', 0}, {"Indices", TN_DT(I64), 0, 0}};

static tn_status infer(tn_infer *f)
{
    const tn_top_k_params *params = f->params;
    const tn_type *x = &f->in[0];
    const tn_expr *at;
    tn_expr dim[TN_RANK_MAX];
    int64_t count, k, have;
    int axis = 0;
    if (x->rank >= 0) TN_TRY(tn_infer_axis(f, params->axis, x->rank, &axis));
    for (int i = 0; i < x->rank; i++) dim[i] = x->dim[i];
    if (x->rank >= 0) {
        bool known = tn_infer_exprs(f, 1, &at, &count);
        TN_CHECK(!known || count == 1, TN_INVALID, "K has %lld elements, not 1", (long long)count);
        dim[axis] = known && at[0] ? at[0] : tn_infer_fresh(f);
        TN_CHECK(!tn_expr_is_const(f->exprs, dim[axis], &k) || k >= 0, TN_INVALID, "K is %lld",
                 (long long)k);
        TN_CHECK(!tn_expr_is_const(f->exprs, dim[axis], &k) ||
                     !tn_expr_is_const(f->exprs, x->dim[axis], &have) || k <= have,
                 TN_INVALID, "K is %lld, axis %d has %lld elements", (long long)k, axis,
                 (long long)have);
    }
    tn_infer_set(f, 0, x->dtype, x->rank, dim);
    tn_infer_set(f, 1, TN_DTYPE_I64, x->rank, dim);
    return NULL;
}

typedef struct line {
    const tn_tensor *x;
    int64_t base, step;
    bool largest;
} line;

static int compare(const void *self, int64_t a, int64_t b)
{
    const line *along = self;
    int order = tn_element_order(along->x->dtype, along->x->data, along->base + a * along->step,
                                 along->base + b * along->step);
    return along->largest ? -order : order;
}

static size_t scratch_bytes(const tn_problem *p)
{
    const tn_top_k_params *params = p->params;
    int axis = tn_axis_normal(params->axis, p->in[0].rank);
    return axis < 0 ? 0 : (size_t)p->in[0].dim[axis] * 2 * sizeof(int64_t);
}

static tn_status reference(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_top_k_params *params = p->params;
    const tn_tensor *x = &p->in[0], *values = &p->out[0],
                    *places = p->out_count > 1 ? &p->out[1] : NULL;
    int axis = tn_axis_normal(params->axis, x->rank);
    int64_t count = x->dim[axis], k = values->data ? values->dim[axis]
                                      : places     ? places->dim[axis]
                                                   : 0;
    int64_t outer = tn_dims_product(x->dim, 0, axis),
            inner = tn_dims_product(x->dim, axis + 1, x->rank);
    int64_t *order = l->scratch, *spare = order + count;
    TN_CHECK(k <= count, TN_INVALID, "K is %lld, axis %d has %lld elements", (long long)k, axis,
             (long long)count);
    if (values->data) TN_TRY(tn_check_count(values, outer * k * inner));
    if (places && places->data) TN_TRY(tn_check_count(places, outer * k * inner));
    for (int64_t line_at = 0; line_at < outer * inner && k > 0; line_at++) {
        int64_t o = line_at / inner, i = line_at % inner;
        line along = {
            .x = x, .base = o * count * inner + i, .step = inner, .largest = params->largest};
        for (int64_t n = 0; n < count; n++) order[n] = n;
        tn_sort_indices(order, spare, count, compare, &along);
        for (int64_t n = 0; n < k; n++) {
            int64_t to = (o * k + n) * inner + i;
            if (values->data)
                tn_copy_elements(x->dtype, values->data, to, x->data, along.base + order[n] * inner,
                                 1);
            if (places && places->data) tn_store_i64(TN_DTYPE_I64, places->data, to, order[n]);
        }
    }
    return NULL;
}

/* K was an attribute before 10. */
static tn_status upgrade_below_10(tn_graph *graph, tn_node *node)
{
    const tn_attr *attr = tn_node_find_attr(node, "k");
    tn_value *k;
    if (!attr) return NULL;
    TN_CHECK(attr->kind == TN_ATTR_INT, TN_INVALID, "attribute k is not an integer");
    TN_TRY(tn_graph_add_ints(graph, &attr->i, 1, &k));
    TN_TRY(tn_node_set_input(node, 1, k));
    tn_node_remove_attr(node, "k");
    return NULL;
}

static const tn_case cases[] = {
    {.problem = "TopK f32[2,4]={0,1,2,3,7,6,7,4} i64[1]={2}",
     .expect = "f32[2,2]={3,2,7,7} i64[2,2]={3,2,0,2}"},
    {.problem = "TopK{axis=0, largest=0} i32[3,2]={5,1,-4,2,3,0} i64[1]={2}",
     .expect = "i32[2,2]={-4,0,3,1} i64[2,2]={1,2,2,0}"},
    {.problem = "TopK u64[2]={1,18446744073709551615} i64[1]={1}",
     .expect = "u64[1]={18446744073709551615} i64[1]={1}"},
    {.problem = "TopK f32[3,50] i64[1]={7}"},
    {.problem = "TopK f32[5]={nan,-inf,-0,0,inf} i64[1]={5}",
     .expect = "f32[5]={nan,inf,-0,0,-inf} i64[5]={0,4,2,3,1}"},
    {.problem = "TopK{axis=1, largest=0} f16[2,700,3] i64[1]={40}", .lo = -5, .hi = 5},
    {.problem = "TopK{sorted=0} i8[5,300] i64[1]={300}", .lo = -100, .hi = 100},
    {.problem = "TopK{axis=0} f64[33,2] i64[1]={33}"},
    {.problem = "TopK f32[3,5] i64[1]={0}", .expect = "f32[3,0]={} i64[3,0]={}"},
    {0},
};

const tn_op tn_op_top_k = {
    .name = "TopK",
    .since = 11,
    .about = "the K largest or least along axis, and their places",
    .in = ins,
    .in_count = TN_COUNT(ins),
    .out = outs,
    .out_count = TN_COUNT(outs),
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_top_k_params),
    .infer = infer,
    .reference = reference,
    .scratch_bytes = scratch_bytes,
    .shape_inputs = 1 << 1,
    .upgrade = {{10, upgrade_below_10}},
    .cases = cases,
};
