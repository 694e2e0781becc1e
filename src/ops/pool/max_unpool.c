/* MaxUnpool-22: puts the values of a MaxPool back where its Indices say; the rest is zero. Indices
 * number elements of the MaxPool's input: the default output, sized from the window. When
 * output_shape asks for a larger tensor they still count in the default shape, and the default
 * output is placed at the origin of the larger one. */
#include "ops/pool/pool.h"
#include "ops/wide/wide.h"

static const tn_field fields[] = {
    {.name = "kernel_shape",
     .kind = TN_FIELD_INTS,
     .required = true,
     .offset = offsetof(tn_max_unpool_params, kernel_shape)},
    TN_INT_LIST(tn_max_unpool_params, strides),
    TN_INT_LIST(tn_max_unpool_params, pads),
};
static const tn_port ins[] = {{"X", TN_DTS_FLOAT, 'T', 0},
                              {"I", TN_DT(I64), 'I', 0},
                              {"output_shape", TN_DT(I64), 'I', TN_PORT_OPTIONAL}};
static const tn_port outs[] = {{"output", TN_DTS_FLOAT, 'T', 0}};

static tn_status lower(const tn_node *node, void *params_out)
{
    const tn_max_unpool_params *params = params_out;
    tn_window_params window = {.kernel_shape = params->kernel_shape,
                               .strides = params->strides,
                               .pads = params->pads,
                               .dilations = {.count = -1}};
    (void)node;
    return tn_window_check(&window);
}

/* in * stride - stride + kernel - pads, of one spatial axis: value = slope * in + offset. */
static void default_size(const tn_max_unpool_params *params, int axis, int axes, int64_t *slope,
                         int64_t *offset)
{
    int64_t stride = params->strides.count > axis ? params->strides.at[axis] : 1, pads = 0;
    if (params->pads.count == 2 * axes) pads = params->pads.at[axis] + params->pads.at[axes + axis];
    *slope = stride;
    *offset = params->kernel_shape.at[axis] - stride - pads;
}

static tn_status infer(tn_infer *f)
{
    const tn_max_unpool_params *params = f->params;
    const tn_type *x = &f->in[0];
    tn_expr dim[TN_RANK_MAX];
    const tn_expr *given;
    int64_t given_count;
    char text[128];
    if (x->rank < 0) {
        tn_infer_set(f, 0, x->dtype, -1, NULL);
        return NULL;
    }
    int axes = x->rank - 2;
    TN_CHECK(axes == params->kernel_shape.count, TN_INVALID,
             "kernel_shape is for %d spatial axes: X is %s", params->kernel_shape.count,
             tn_type_text(f->exprs, x, text, sizeof text));
    const tn_type *indices = &f->in[1];
    bool same = indices->rank < 0 || indices->rank == x->rank;
    for (int i = 0; same && i < indices->rank; i++) {
        int64_t a, b;
        if (tn_expr_is_const(f->exprs, x->dim[i], &a) &&
            tn_expr_is_const(f->exprs, indices->dim[i], &b))
            same = a == b;
    }
    char other[128];
    TN_CHECK(same, TN_INVALID,
             "there is one index for each element of X: X is %s, the indices are %s",
             tn_type_text(f->exprs, x, text, sizeof text),
             tn_type_text(f->exprs, indices, other, sizeof other));
    if (tn_infer_has(f, 2)) {
        bool known = tn_infer_exprs(f, 2, &given, &given_count);
        TN_CHECK(!known || given_count == x->rank, TN_INVALID,
                 "output_shape has %lld values: X is %s", known ? (long long)given_count : 0LL,
                 tn_type_text(f->exprs, x, text, sizeof text));
        for (int i = 0; i < x->rank; i++) dim[i] = known ? given[i] : tn_infer_fresh(f);
        tn_infer_set(f, 0, x->dtype, x->rank, dim);
        return NULL;
    }
    for (int i = 0; i < x->rank; i++) {
        int64_t slope = 1, offset = 0;
        if (i >= 2) default_size(params, i - 2, axes, &slope, &offset);
        dim[i] =
            tn_expr_add(f->exprs, tn_expr_mul(f->exprs, x->dim[i], tn_expr_const(f->exprs, slope)),
                        tn_expr_const(f->exprs, offset));
    }
    tn_infer_set(f, 0, x->dtype, x->rank, dim);
    return NULL;
}

static tn_status reference(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_tensor *x = &p->in[0], *indices = &p->in[1], *y = &p->out[0];
    int64_t size[TN_RANK_MAX], total = 1;
    for (int i = 0; i < x->rank; i++) {
        int64_t slope = 1, offset = 0;
        if (i >= 2) default_size(p->params, i - 2, x->rank - 2, &slope, &offset);
        size[i] = x->dim[i] * slope + offset;
        total *= size[i];
    }
    for (int64_t i = 0; i < tn_wide_count(y); i++) tn_store_f64(y->dtype, y->data, i, 0);
    for (int64_t i = 0; i < tn_wide_count(x); i++) {
        int64_t from = tn_load_i64(indices->dtype, indices->data, i), rest = from, to = 0, step = 1;
        TN_CHECK(from >= 0 && from < total, TN_INVALID, "index %lld is outside [0, %lld)",
                 (long long)from, (long long)total);
        for (int axis = x->rank - 1; axis >= 0; axis--) {
            int64_t at = rest % size[axis];
            TN_CHECK(at < y->dim[axis], TN_INVALID,
                     "index %lld falls outside output_shape on axis %d", (long long)from, axis);
            to += at * step;
            step *= y->dim[axis];
            rest /= size[axis];
        }
        tn_store_f64(y->dtype, y->data, to, tn_load_f64(x->dtype, x->data, i));
    }
    return NULL;
}

extern const tn_case tn_max_unpool_cases[];

const tn_op tn_op_max_unpool = {
    .name = "MaxUnpool",
    .since = 22,
    .about = "puts the values of a MaxPool back where they stood, zeros elsewhere",
    .in = ins,
    .in_count = 3,
    .out = outs,
    .out_count = 1,
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_max_unpool_params),
    .lower = lower,
    .infer = infer,
    .reference = reference,
    .shape_inputs = 4,
    .cases = tn_max_unpool_cases,
};
