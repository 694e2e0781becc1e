/* Layers that slide windows over spatial axes, and the padding and products beside them. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "api/network.h"

enum { ATTRIBUTES_MAX = 12 };

typedef struct attributes {
    tn_attr at[ATTRIBUTES_MAX];
    int count;
    int64_t strides[TN_RANK_MAX], dilations[TN_RANK_MAX], pads[2 * TN_RANK_MAX];
} attributes;

static void add_attribute(attributes *a, tn_attr attr)
{
    a->at[a->count++] = attr;
}

/* strides, dilations and pads for `count` spatial axes. */
static bool read_window(const tn_pen *pen, int count, bool rounds_up, attributes *a)
{
    static const char *const same[] = {NULL, NULL, "SAME_UPPER", "SAME_LOWER"};
    int64_t mode = tn_pen_int(pen, TN_SET_PADDING_MODE, TN_PADDING_ROUND_DOWN);
    if (count < 1 || count > 3)
        tn_pen_fail(pen, TN_INVALID, "its window has %d axes, must have 1 to 3", count);
    if (pen->draft->failed || !tn_pen_each(pen, TN_SET_STRIDE, count, 1, a->strides) ||
        !tn_pen_each(pen, TN_SET_DILATION, count, 1, a->dilations) ||
        !tn_pen_each(pen, TN_SET_PADDING_BEFORE, count, 0, a->pads) ||
        !tn_pen_each(pen, TN_SET_PADDING_BEHIND, count, 0, a->pads + count))
        return false;
    add_attribute(a, tn_attr_ints("strides", a->strides, count));
    add_attribute(a, tn_attr_ints("dilations", a->dilations, count));
    if (mode == TN_PADDING_SAME_UPPER || mode == TN_PADDING_SAME_LOWER)
        add_attribute(a, tn_attr_text("auto_pad", same[mode]));
    else add_attribute(a, tn_attr_ints("pads", a->pads, 2 * count));
    if (mode == TN_PADDING_ROUND_UP && rounds_up) add_attribute(a, tn_attr_int("ceil_mode", 1));
    else if (mode == TN_PADDING_ROUND_UP)
        tn_pen_fail(pen, TN_UNSUPPORTED, "PADDING_MODE TN_PADDING_ROUND_UP is for pooling alone");
    else if (mode < 0 || mode > TN_PADDING_SAME_LOWER)
        tn_pen_fail(pen, TN_INVALID, "PADDING_MODE is %lld, which it cannot be", (long long)mode);
    return !pen->draft->failed;
}

/* ---- Convolutions ----------------------------------------------------------------------------*/

#define WINDOW_SETTINGS                                                                            \
    (TN_HAS(STRIDE) | TN_HAS(DILATION) | TN_HAS(PADDING) | TN_HAS(PADDING_BEFORE) |                \
     TN_HAS(PADDING_BEHIND) | TN_HAS(PADDING_MODE))

static void write_any_convolution(tn_pen *pen, const char *op, bool transposed)
{
    attributes a = {.count = 0};
    int64_t more[TN_RANK_MAX];
    int count = tn_pen_rank(pen, 1) - 2;
    if (!read_window(pen, count, false, &a)) return;
    add_attribute(&a, tn_attr_int("group", tn_pen_int(pen, TN_SET_GROUPS, 1)));
    if (transposed && tn_pen_each(pen, TN_SET_OUTPUT_PADDING, count, 0, more))
        add_attribute(&a, tn_attr_ints("output_padding", more, count));
    pen->out[0] = tn_pen_op(pen, op, pen->in, pen->in_count, a.at, a.count);
}

static void write_convolution(tn_pen *pen)
{
    write_any_convolution(pen, "Conv", false);
}

static void write_deconvolution(tn_pen *pen)
{
    write_any_convolution(pen, "ConvTranspose", true);
}

static tn_layer *add_weighted(tn_network *network, const tn_layer_kind *kind, tn_layer *x,
                              const tn_tensor *weight, const tn_tensor *bias)
{
    tn_layer *layer = tn_layer_add(network, kind, TN_LAYERS(x));
    tn_layer_weight(layer, 1, "weight", weight, false);
    tn_layer_weight(layer, 2, "bias", bias, true);
    return tn_layer_done(layer);
}

tn_layer *tn_network_add_convolution(tn_network *network, tn_layer *x, const tn_tensor *weight,
                                     const tn_tensor *bias)
{
    static const tn_layer_kind kind = {"convolution",    WINDOW_SETTINGS | TN_HAS(GROUPS), 2, 3, 1,
                                       write_convolution};
    return add_weighted(network, &kind, x, weight, bias);
}

tn_layer *tn_network_add_deconvolution(tn_network *network, tn_layer *x, const tn_tensor *weight,
                                       const tn_tensor *bias)
{
    static const tn_layer_kind kind = {
        "deconvolution",    WINDOW_SETTINGS | TN_HAS(GROUPS) | TN_HAS(OUTPUT_PADDING), 2, 3, 1,
        write_deconvolution};
    return add_weighted(network, &kind, x, weight, bias);
}

/* ---- Fully connected -------------------------------------------------------------------------*/

/* The axes before AXIS as they are, the others as one. */
static tn_value *flatten_from(const tn_pen *pen, tn_value *x, int axis, int rank)
{
    int64_t dim[TN_RANK_MAX] = {0};
    if (axis == rank - 1) return x;
    dim[axis] = -1;
    return tn_pen_reshape(pen, x, dim, axis + 1);
}

static void write_fully_connected(tn_pen *pen)
{
    int rank = tn_pen_rank(pen, 0), axis = tn_pen_axis(pen, TN_SET_AXIS, 1, rank);
    if (axis < 0) return;
    tn_value *x = flatten_from(pen, pen->in[0], axis, rank), *w = pen->in[1], *b = pen->in[2];
    if (axis == 1) {
        pen->out[0] = tn_pen_op(pen, "Gemm", TN_IN(x, w, b), TN_WITH(tn_attr_int("transB", 1)));
        return;
    }
    w = tn_pen_part(pen, "Transpose", TN_IN(w),
                    TN_WITH(tn_attr_ints("perm", (const int64_t[]){1, 0}, 2)));
    if (!b) pen->out[0] = tn_pen_op(pen, "MatMul", TN_IN(x, w), TN_PLAIN);
    else
        pen->out[0] = tn_pen_op(
            pen, "Add", TN_IN(tn_pen_part(pen, "MatMul", TN_IN(x, w), TN_PLAIN), b), TN_PLAIN);
}

tn_layer *tn_network_add_fully_connected(tn_network *network, tn_layer *x, const tn_tensor *weight,
                                         const tn_tensor *bias)
{
    static const tn_layer_kind kind = {"fully_connected",    TN_HAS(AXIS), 2, 3, 1,
                                       write_fully_connected};
    return add_weighted(network, &kind, x, weight, bias);
}

/* ---- Pooling ---------------------------------------------------------------------------------*/

static tn_value *pool(tn_pen *pen, bool average, const attributes *given)
{
    attributes a = *given;
    if (a.count == 0)
        return tn_pen_op(pen, average ? "GlobalAveragePool" : "GlobalMaxPool", pen->in, 1,
                         TN_PLAIN);
    if (average)
        add_attribute(
            &a, tn_attr_int("count_include_pad", tn_pen_int(pen, TN_SET_COUNT_PADDING, 0) != 0));
    return tn_pen_op(pen, average ? "AveragePool" : "MaxPool", pen->in, 1, a.at, a.count);
}

static void write_pooling(tn_pen *pen)
{
    const tn_kept *window = tn_layer_find(pen->layer, TN_SET_WINDOW);
    int64_t type = tn_pen_int(pen, TN_SET_TYPE, TN_POOL_MAX);
    attributes a = {.count = 0};
    if (window->count) {
        if (!read_window(pen, window->count, true, &a)) return;
        add_attribute(&a, tn_attr_ints("kernel_shape", window->number, window->count));
    }
    if (type != TN_POOL_MAX_AVERAGE) {
        static const char *const names[] = {"max", "average"};
        if (tn_pen_choice(pen, TN_SET_TYPE, names, TN_COUNT(names), TN_POOL_MAX))
            pen->out[0] = pool(pen, type == TN_POOL_AVERAGE, &a);
        return;
    }
    double share = tn_pen_float(pen, TN_SET_BLEND, 0.5);
    const tn_named named[] = {{.name = "max", .value = pool(pen, false, &a)},
                              {.name = "average", .value = pool(pen, true, &a)},
                              {.name = "p", .number = 1 - share},
                              {.name = "q", .number = share}};
    pen->out[0] = tn_pen_formula(pen, "p * max + q * average", named, TN_COUNT(named));
}

tn_layer *tn_network_add_pooling(tn_network *network, tn_layer *x, tn_pool_type type,
                                 const int64_t *window, int rank)
{
    static const tn_layer_kind kind = {
        "pooling",
        WINDOW_SETTINGS | TN_HAS(TYPE) | TN_HAS(WINDOW) | TN_HAS(COUNT_PADDING) | TN_HAS(BLEND),
        1,
        1,
        1,
        write_pooling};
    tn_layer *layer = tn_layer_add(network, &kind, TN_LAYERS(x));
    tn_layer_keep(layer, TN_SET_TYPE, (int64_t)type);
    tn_layer_keep_ints(layer, TN_SET_WINDOW, window, rank);
    return tn_layer_done(layer);
}

/* ---- LRN -------------------------------------------------------------------------------------*/

static void write_lrn(tn_pen *pen)
{
    pen->out[0] = tn_pen_op(pen, "LRN", pen->in, 1,
                            TN_WITH(tn_attr_int("size", tn_pen_int(pen, TN_SET_WINDOW, 1)),
                                    tn_attr_float("alpha", tn_pen_float(pen, TN_SET_ALPHA, 0)),
                                    tn_attr_float("beta", tn_pen_float(pen, TN_SET_BETA, 0)),
                                    tn_attr_float("bias", tn_pen_float(pen, TN_SET_BIAS, 1))));
}

tn_layer *tn_network_add_lrn(tn_network *network, tn_layer *x, int64_t window, double alpha,
                             double beta, double bias)
{
    static const tn_layer_kind kind = {
        "lrn", TN_HAS(WINDOW) | TN_HAS(ALPHA) | TN_HAS(BETA) | TN_HAS(BIAS), 1, 1, 1, write_lrn};
    tn_layer *layer = tn_layer_add(network, &kind, TN_LAYERS(x));
    tn_layer_keep(layer, TN_SET_WINDOW, window);
    tn_layer_keep_float(layer, TN_SET_ALPHA, alpha);
    tn_layer_keep_float(layer, TN_SET_BETA, beta);
    tn_layer_keep_float(layer, TN_SET_BIAS, bias);
    return tn_layer_done(layer);
}

/* ---- Padding ---------------------------------------------------------------------------------*/

static void write_padding(tn_pen *pen)
{
    static const char *const modes[] = {NULL, "wrap", "edge", "constant", "reflect"};
    const tn_kept *before = tn_layer_find(pen->layer, TN_SET_PADDING_BEFORE);
    const char *mode = tn_pen_choice(pen, TN_SET_OUTSIDE, modes, TN_COUNT(modes), TN_OUTSIDE_VALUE);
    int count = before->count;
    int64_t pads[2 * TN_RANK_MAX], axes[TN_RANK_MAX];
    if (!mode || !tn_pen_each(pen, TN_SET_PADDING_BEHIND, count, 0, pads + count)) return;
    for (int i = 0; i < count; i++) {
        pads[i] = before->number[i];
        axes[i] = i - count;
    }
    tn_draft *d = pen->draft;
    tn_value *value =
        tn_draft_scalar(d, pen->in[0]->type.dtype, tn_pen_float(pen, TN_SET_VALUE, 0));
    pen->out[0] =
        tn_pen_op(pen, "Pad",
                  TN_IN(pen->in[0], tn_draft_ints(d, pads, 2 * count),
                        strcmp(mode, "constant") ? NULL : value, tn_draft_ints(d, axes, count)),
                  TN_WITH(tn_attr_text("mode", mode)));
}

tn_layer *tn_network_add_padding(tn_network *network, tn_layer *x, const int64_t *before,
                                 const int64_t *behind, int count)
{
    static const tn_layer_kind kind = {
        "padding",
        TN_HAS(PADDING_BEFORE) | TN_HAS(PADDING_BEHIND) | TN_HAS(VALUE) | TN_HAS(OUTSIDE),
        1,
        1,
        1,
        write_padding};
    tn_layer *layer = tn_layer_add(network, &kind, TN_LAYERS(x));
    tn_layer_keep_ints(layer, TN_SET_PADDING_BEFORE, before, count);
    tn_layer_keep_ints(layer, TN_SET_PADDING_BEHIND, behind, count);
    return tn_layer_done(layer);
}
