/* Softmax, LogSoftmax and Hardmax: along one axis,
 *
 *     Softmax     exp(x - max) / sum(exp(x - max))
 *     LogSoftmax  x - max - log(sum(exp(x - max)))
 *     Hardmax     1 at the first largest element, else 0
 *
 * Before opset 13 these operators flattened their input to 2-D at `axis` (default 1) and worked on
 * whole rows; that meaning is spelled Flatten, Softmax{axis=-1}, Reshape to the input's shape. */
#include "ops/softmax/softmax.h"

#include <math.h>

#include "ir/gradient.h"
#include "ops/elementwise/elementwise.h"

static const tn_field fields[] = {
    TN_INT(tn_softmax_params, axis, -1),
};
static const tn_port ins[] = {{"input", TN_DTS_FLOAT, 'T', 0}};
static const tn_port outs[] = {{"output", TN_DTS_FLOAT, 'T', 0}};

static tn_status infer(tn_infer *f)
{
    const tn_softmax_params *params = f->params;
    int axis;
    if (f->in[0].rank >= 0) TN_TRY(tn_infer_axis(f, params->axis, f->in[0].rank, &axis));
    tn_infer_same(f, 0, 0);
    return NULL;
}

/* One row of a tensor: `count` elements, `step` apart, from `base`. */
typedef struct softmax_row {
    const tn_tensor *x, *y;
    int64_t base, step, count;
} softmax_row;

static double load(const softmax_row *row, int64_t k)
{
    return tn_load_f64(row->x->dtype, row->x->data, row->base + k * row->step);
}

static void store(const softmax_row *row, int64_t k, double value)
{
    tn_store_f64(row->y->dtype, row->y->data, row->base + k * row->step, value);
}

/* The index of the largest element; a NaN is larger than every number. */
static int64_t find_top(const softmax_row *row)
{
    int64_t top = 0;
    for (int64_t k = 1; k < row->count; k++) {
        double value = load(row, k), best = load(row, top);
        if (value > best || (isnan(value) && !isnan(best))) top = k;
    }
    return top;
}

static double sum_exp(const softmax_row *row, double top)
{
    double sum = 0;
    for (int64_t k = 0; k < row->count; k++) sum += exp(load(row, k) - top);
    return sum;
}

static void softmax(const softmax_row *row)
{
    double top = load(row, find_top(row)), sum = sum_exp(row, top);
    for (int64_t k = 0; k < row->count; k++) store(row, k, exp(load(row, k) - top) / sum);
}

static void log_softmax(const softmax_row *row)
{
    double top = load(row, find_top(row)), log_sum = log(sum_exp(row, top));
    for (int64_t k = 0; k < row->count; k++) store(row, k, load(row, k) - top - log_sum);
}

static void hardmax(const softmax_row *row)
{
    int64_t top = find_top(row);
    for (int64_t k = 0; k < row->count; k++) store(row, k, k == top);
}

static tn_status each_row(const tn_launch *l, void (*work)(const softmax_row *row))
{
    const tn_softmax_params *params = l->problem->params;
    const tn_tensor *x = &l->problem->in[0];
    int axis = tn_axis_normal(params->axis, x->rank);
    if (tn_tensor_count(x) == 0) return NULL; /* the other dims may be of any size */
    int64_t outer = tn_dims_product(x->dim, 0, axis), count = x->dim[axis];
    int64_t inner = tn_dims_product(x->dim, axis + 1, x->rank);
    softmax_row row = {x, &l->problem->out[0], 0, inner, count};
    for (int64_t o = 0; o < outer; o++) {
        for (int64_t i = 0; i < inner; i++) {
            row.base = o * count * inner + i;
            work(&row);
        }
    }
    return NULL;
}

static tn_status reference_softmax(const tn_launch *l)
{
    return each_row(l, softmax);
}

static tn_status reference_log_softmax(const tn_launch *l)
{
    return each_row(l, log_softmax);
}

static tn_status reference_hardmax(const tn_launch *l)
{
    return each_row(l, hardmax);
}

/* Flatten{axis}(x) -> Softmax{axis=-1} -> Reshape to Shape(x). */
static tn_status upgrade_below_13(tn_graph *graph, tn_node *node)
{
    tn_value *shape, *flat, *reshaped;
    if (node->in_count < 1 || !node->in[0] || node->out_count < 1 || !node->out[0]) return NULL;
    int64_t axis = tn_node_int_attr(node, "axis", 1);
    int rank = node->in[0]->type.rank;
    /* Flattened before its last axis, a tensor has the rows that it has anyway. */
    if (rank > 0 && tn_axis_normal(axis, rank) == rank - 1)
        return tn_node_set_int(node, "axis", -1);
    TN_TRY(tn_upgrade_add(graph, node, "Flatten", node->in, 1, &flat));
    TN_TRY(tn_node_set_int(flat->producer, "axis", axis));
    TN_TRY(tn_upgrade_add(graph, node, "Shape", node->in, 1, &shape));
    TN_TRY(tn_node_set_input(node, 0, flat));
    TN_TRY(tn_node_set_int(node, "axis", -1));
    TN_TRY(tn_upgrade_add_after(graph, node, "Reshape", (tn_value *[]){node->out[0], shape}, 2,
                                &reshaped));
    TN_TRY(tn_value_replace(node->out[0], reshaped));
    return tn_node_set_input(reshaped->producer, 0, node->out[0]);
}

/* Softmax: y * (dy - sum(dy * y)). LogSoftmax: dy - e^y * sum(dy). */
static void gradient(tn_gradient *g)
{
    const tn_softmax_params *params = g->node->params;
    bool is_log = g->node->op->name[0] == 'L';
    tn_value *part = is_log ? g->dy[0] : tn_gradient_write(g, "dy * y", NULL, 0);
    tn_value *axes = tn_draft_ints(g->draft, &params->axis, 1);
    tn_named sum = {.name = "sum",
                    .value = tn_gradient_op(g, "ReduceSum", TN_IN(part, axes), TN_PLAIN)};
    const char *rule = is_log ? "dy - Exp(y) * sum" : "y * (dy - sum)";
    tn_gradient_give(g, 0, tn_gradient_write(g, rule, &sum, 1));
}

extern const tn_case tn_softmax_cases[], tn_log_softmax_cases[], tn_hardmax_cases[];

const tn_op tn_op_softmax = {
    .name = "Softmax",
    .since = 13,
    .about = "exp(x - max) / sum(exp(x - max)) along axis",
    .in = ins,
    .in_count = 1,
    .out = outs,
    .out_count = 1,
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_softmax_params),
    .infer = infer,
    .reference = reference_softmax,
    .gradient = gradient,
    .upgrade = {{13, upgrade_below_13}},
    .cases = tn_softmax_cases,
};

const tn_op tn_op_log_softmax = {
    .name = "LogSoftmax",
    .since = 13,
    .about = "x - max - log(sum(exp(x - max))) along axis",
    .in = ins,
    .in_count = 1,
    .out = outs,
    .out_count = 1,
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_softmax_params),
    .infer = infer,
    .reference = reference_log_softmax,
    .gradient = gradient,
    .upgrade = {{13, upgrade_below_13}},
    .cases = tn_log_softmax_cases,
};

const tn_op tn_op_hardmax = {
    .name = "Hardmax",
    .since = 13,
    .about = "1 at the first largest element along axis, else 0",
    .in = ins,
    .in_count = 1,
    .out = outs,
    .out_count = 1,
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_softmax_params),
    .infer = infer,
    .reference = reference_hardmax,
    .upgrade = {{13, upgrade_below_13}},
    .cases = tn_hardmax_cases,
};
