/* Layers that work along axes: reductions, normalisations, order. */
#include <math.h>
#include <stdio.h>

#include "api/network.h"

/* ---- Reduce, softmax, running sums -----------------------------------------------------------*/

static void write_reduce(tn_pen *pen)
{
    static const char *const names[] = {"ReduceSum", "ReduceProd", "ReduceMax", "ReduceMin",
                                        "ReduceMean"};
    const char *op = tn_pen_choice(pen, TN_SET_TYPE, names, TN_COUNT(names), 0);
    const tn_kept *axes = tn_layer_find(pen->layer, TN_SET_AXES);
    if (!op) return;
    tn_value *list = axes->count ? tn_draft_ints(pen->draft, axes->number, axes->count) : NULL;
    pen->out[0] =
        tn_pen_op(pen, op, TN_IN(pen->in[0], list),
                  TN_WITH(tn_attr_int("keepdims", tn_pen_int(pen, TN_SET_KEEP_DIMS, 0) != 0)));
}

tn_layer *tn_network_add_reduce(tn_network *network, tn_layer *x, tn_reduce_type type,
                                const int64_t *axes, int count, bool keep_dims)
{
    static const tn_layer_kind kind = {
        "reduce", TN_HAS(TYPE) | TN_HAS(AXES) | TN_HAS(KEEP_DIMS), 1, 1, 1, write_reduce};
    tn_layer *layer = tn_layer_add(network, &kind, TN_LAYERS(x));
    tn_layer_keep(layer, TN_SET_TYPE, (int64_t)type);
    tn_layer_keep_ints(layer, TN_SET_AXES, axes, count);
    tn_layer_keep(layer, TN_SET_KEEP_DIMS, keep_dims);
    return tn_layer_done(layer);
}

static void write_softmax(tn_pen *pen)
{
    pen->out[0] = tn_pen_op(pen, "Softmax", pen->in, 1,
                            TN_WITH(tn_attr_int("axis", tn_pen_int(pen, TN_SET_AXIS, -1))));
}

tn_layer *tn_network_add_softmax(tn_network *network, tn_layer *x, int64_t axis)
{
    static const tn_layer_kind kind = {"softmax", TN_HAS(AXIS), 1, 1, 1, write_softmax};
    tn_layer *layer = tn_layer_add(network, &kind, TN_LAYERS(x));
    tn_layer_keep(layer, TN_SET_AXIS, axis);
    return tn_layer_done(layer);
}

/* Elements from the bound on count as minus infinity; a row without any gives 0 as well. */
static void write_ragged_softmax(tn_pen *pen)
{
    tn_draft *d = pen->draft;
    tn_value *x = pen->in[0], *last = tn_draft_scalar(d, TN_DTYPE_I64, -1);
    tn_value *size = tn_pen_part(pen, "Gather", TN_IN(tn_draft_shape(d, x), last), TN_PLAIN);
    tn_value *place = tn_pen_part(
        pen, "Range",
        TN_IN(tn_draft_scalar(d, TN_DTYPE_I64, 0), size, tn_draft_scalar(d, TN_DTYPE_I64, 1)),
        TN_PLAIN);
    tn_value *bound =
        tn_pen_part(pen, "Cast", TN_IN(pen->in[1]), TN_WITH(tn_attr_int("to", TN_DTYPE_I64)));
    tn_value *inside = tn_pen_part(pen, "Less", TN_IN(place, bound), TN_PLAIN);
    tn_dtype dtype = x->type.dtype;
    tn_value *kept = tn_pen_part(
        pen, "Where", TN_IN(inside, x, tn_draft_scalar(d, dtype, -(double)INFINITY)), TN_PLAIN);
    tn_value *y = tn_pen_part(pen, "Softmax", TN_IN(kept), TN_WITH(tn_attr_int("axis", -1)));
    pen->out[0] = tn_pen_op(pen, "Where", TN_IN(inside, y, tn_draft_scalar(d, dtype, 0)), TN_PLAIN);
}

tn_layer *tn_network_add_ragged_softmax(tn_network *network, tn_layer *x, tn_layer *bounds)
{
    static const tn_layer_kind kind = {"ragged_softmax", 0, 2, 2, 1, write_ragged_softmax};
    return tn_layer_add(network, &kind, TN_LAYERS(x, bounds));
}

static void write_cumulative(tn_pen *pen)
{
    tn_value *axis =
        tn_draft_scalar(pen->draft, TN_DTYPE_I64, (double)tn_pen_int(pen, TN_SET_AXIS, 0));
    pen->out[0] =
        tn_pen_op(pen, "CumSum", TN_IN(pen->in[0], axis),
                  TN_WITH(tn_attr_int("exclusive", tn_pen_int(pen, TN_SET_EXCLUSIVE, 0) != 0),
                          tn_attr_int("reverse", tn_pen_int(pen, TN_SET_REVERSE, 0) != 0)));
}

tn_layer *tn_network_add_cumulative(tn_network *network, tn_layer *x, int64_t axis)
{
    static const tn_layer_kind kind = {
        "cumulative",    TN_HAS(AXIS) | TN_HAS(EXCLUSIVE) | TN_HAS(REVERSE), 1, 1, 1,
        write_cumulative};
    tn_layer *layer = tn_layer_add(network, &kind, TN_LAYERS(x));
    tn_layer_keep(layer, TN_SET_AXIS, axis);
    return tn_layer_done(layer);
}

static void write_top_k(tn_pen *pen)
{
    int64_t k = tn_pen_int(pen, TN_SET_K, 1);
    int64_t type = tn_pen_int(pen, TN_SET_TYPE, TN_TOP_K_MAX);
    if (type != TN_TOP_K_MAX && type != TN_TOP_K_MIN)
        tn_pen_fail(pen, TN_INVALID, "there is no top_k %lld", (long long)type);
    tn_value *count = pen->in[1] ? pen->in[1] : tn_draft_ints(pen->draft, &k, 1);
    tn_draft_ops(pen->draft, "TopK", tn_layer_name(pen->layer), TN_IN(pen->in[0], count),
                 TN_WITH(tn_attr_int("axis", tn_pen_int(pen, TN_SET_AXIS, -1)),
                         tn_attr_int("largest", type == TN_TOP_K_MAX)),
                 pen->out, 2);
}

tn_layer *tn_network_add_top_k(tn_network *network, tn_layer *x, tn_top_k_type type, int64_t k,
                               int64_t axis)
{
    static const tn_layer_kind kind = {"top_k",    TN_HAS(TYPE) | TN_HAS(K) | TN_HAS(AXIS), 1, 2, 2,
                                       write_top_k};
    tn_layer *layer = tn_layer_add(network, &kind, TN_LAYERS(x));
    tn_layer_keep(layer, TN_SET_TYPE, (int64_t)type);
    tn_layer_keep(layer, TN_SET_K, k);
    tn_layer_keep(layer, TN_SET_AXIS, axis);
    return tn_layer_done(layer);
}

/* ---- Normalisation ---------------------------------------------------------------------------*/

/* Ones or zeros for a weight that was not given: the dims [begin, end) of x. */
static tn_value *filled(const tn_pen *pen, double value, int begin, int end)
{
    const tn_type *x = &pen->in[0]->type;
    tn_graph *graph = pen->draft->graph;
    tn_tensor tensor = {.dtype = x->dtype, .rank = end - begin};
    if (pen->draft->failed) return NULL;
    for (int i = begin; i < end; i++) {
        if (tn_expr_is_const(graph->exprs, x->dim[i], &tensor.dim[i - begin])) continue;
        tn_pen_fail(pen, TN_UNSUPPORTED, "axis %d of its input is dynamic: give its scale and bias",
                    i);
        return NULL;
    }
    int64_t bytes = tn_tensor_bytes(&tensor);
    tensor.data = bytes >= 0 ? tn_arena_alloc(graph->arena, (size_t)bytes) : NULL;
    if (!tensor.data) {
        tn_pen_fail(pen, TN_OUT_OF_MEMORY, "no memory for its weights");
        return NULL;
    }
    for (int64_t i = 0, count = tn_tensor_count(&tensor); i < count; i++)
        tn_store_f64(tensor.dtype, tensor.data, i, value);
    char name[256];
    snprintf(name, sizeof(name), "%s.%s", tn_layer_name(pen->layer), value == 0 ? "zeros" : "ones");
    return tn_pen_constant(pen, name, &tensor, false);
}

static void write_layer_norm(tn_pen *pen, bool mean, int rank)
{
    int axis = tn_pen_axis(pen, TN_SET_AXIS, -1, rank);
    if (axis < 0) return;
    tn_value *scale = pen->in[1] ? pen->in[1] : filled(pen, 1, axis, rank);
    const tn_attr attr[] = {tn_attr_int("axis", axis),
                            tn_attr_float("epsilon", tn_pen_float(pen, TN_SET_EPSILON, 1e-5))};
    if (mean)
        pen->out[0] = tn_pen_op(pen, "LayerNormalization", TN_IN(pen->in[0], scale, pen->in[2]),
                                attr, TN_COUNT(attr));
    else if (!pen->in[2])
        pen->out[0] =
            tn_pen_op(pen, "RMSNormalization", TN_IN(pen->in[0], scale), attr, TN_COUNT(attr));
    else {
        tn_value *y =
            tn_pen_part(pen, "RMSNormalization", TN_IN(pen->in[0], scale), attr, TN_COUNT(attr));
        pen->out[0] = tn_pen_op(pen, "Add", TN_IN(y, pen->in[2]), TN_PLAIN);
    }
}

static void write_normalization(tn_pen *pen)
{
    int64_t type = tn_pen_int(pen, TN_SET_TYPE, TN_NORMALIZATION_LAYER);
    int rank = tn_pen_rank(pen, 0);
    if (rank < 0) return;
    if (type == TN_NORMALIZATION_LAYER || type == TN_NORMALIZATION_RMS) {
        write_layer_norm(pen, type == TN_NORMALIZATION_LAYER, rank);
        return;
    }
    bool groups = type == TN_NORMALIZATION_GROUP;
    if (!groups && type != TN_NORMALIZATION_INSTANCE)
        tn_pen_fail(pen, TN_INVALID, "there is no normalization %lld", (long long)type);
    if (rank < 2) tn_pen_fail(pen, TN_INVALID, "its input has no channels: its rank is %d", rank);
    tn_value *scale = pen->in[1] ? pen->in[1] : filled(pen, 1, 1, 2);
    tn_value *bias = pen->in[2] ? pen->in[2] : filled(pen, 0, 1, 2);
    tn_attr attr[] = {tn_attr_float("epsilon", tn_pen_float(pen, TN_SET_EPSILON, 1e-5)),
                      tn_attr_int("num_groups", tn_pen_int(pen, TN_SET_GROUPS, 1))};
    pen->out[0] = tn_pen_op(pen, groups ? "GroupNormalization" : "InstanceNormalization",
                            TN_IN(pen->in[0], scale, bias), attr, groups ? 2 : 1);
}

tn_layer *tn_network_add_normalization(tn_network *network, tn_layer *x, tn_normalization_type type,
                                       const tn_tensor *scale, const tn_tensor *bias)
{
    static const tn_layer_kind kind = {
        "normalization",    TN_HAS(TYPE) | TN_HAS(AXIS) | TN_HAS(GROUPS) | TN_HAS(EPSILON), 1, 3, 1,
        write_normalization};
    tn_layer *layer = tn_layer_add(network, &kind, TN_LAYERS(x));
    tn_layer_keep(layer, TN_SET_TYPE, (int64_t)type);
    tn_layer_weight(layer, 1, "scale", scale, true);
    tn_layer_weight(layer, 2, "bias", bias, true);
    return tn_layer_done(layer);
}

static void write_batch_normalization(tn_pen *pen)
{
    pen->out[0] =
        tn_pen_op(pen, "BatchNormalization", pen->in, 5,
                  TN_WITH(tn_attr_float("epsilon", tn_pen_float(pen, TN_SET_EPSILON, 1e-5))));
}

tn_layer *tn_network_add_batch_normalization(tn_network *network, tn_layer *x,
                                             const tn_tensor *scale, const tn_tensor *bias,
                                             const tn_tensor *mean, const tn_tensor *variance)
{
    static const tn_layer_kind kind = {"batch_normalization",    TN_HAS(EPSILON), 5, 5, 1,
                                       write_batch_normalization};
    tn_layer *layer = tn_layer_add(network, &kind, TN_LAYERS(x));
    tn_layer_weight(layer, 1, "scale", scale, false);
    tn_layer_weight(layer, 2, "bias", bias, false);
    tn_layer_weight(layer, 3, "mean", mean, false);
    tn_layer_weight(layer, 4, "variance", variance, false);
    return tn_layer_done(layer);
}
