/* Layers that move elements without computing, and those that make tensors from nothing. */
#include "api/network.h"

/* ---- Shuffle, squeeze, concatenation ---------------------------------------------------------*/

static void write_shape(tn_pen *pen)
{
    pen->out[0] = tn_pen_op(pen, "Shape", pen->in, 1, TN_PLAIN);
}

tn_layer *tn_network_add_shape(tn_network *network, tn_layer *x)
{
    static const tn_layer_kind kind = {"shape", 0, 1, 1, 1, write_shape};
    return tn_layer_add(network, &kind, TN_LAYERS(x));
}

static tn_value *transpose(const tn_pen *pen, tn_setting setting, tn_value *x)
{
    const tn_kept *perm = tn_layer_find(pen->layer, setting);
    if (!perm || !perm->count) return x;
    return tn_pen_op(pen, "Transpose", TN_IN(x),
                     TN_WITH(tn_attr_ints("perm", perm->number, perm->count)));
}

static void write_shuffle(tn_pen *pen)
{
    const tn_kept *shape = tn_layer_find(pen->layer, TN_SET_RESHAPE);
    tn_value *x = transpose(pen, TN_SET_FIRST_TRANSPOSE, pen->in[0]);
    tn_value *list = tn_pen_i64(pen, pen->in[1]);
    if (!list && shape) list = tn_draft_ints(pen->draft, shape->number, shape->count);
    if (list)
        x = tn_pen_op(
            pen, "Reshape", TN_IN(x, list),
            TN_WITH(tn_attr_int("allowzero", tn_pen_int(pen, TN_SET_ZERO_IS_PLACEHOLDER, 1) == 0)));
    x = transpose(pen, TN_SET_SECOND_TRANSPOSE, x);
    pen->out[0] = x == pen->in[0] ? tn_pen_op(pen, "Identity", TN_IN(x), TN_PLAIN) : x;
}

tn_layer *tn_network_add_shuffle(tn_network *network, tn_layer *x)
{
    static const tn_layer_kind kind = {"shuffle",
                                       TN_HAS(FIRST_TRANSPOSE) | TN_HAS(RESHAPE) |
                                           TN_HAS(SECOND_TRANSPOSE) | TN_HAS(ZERO_IS_PLACEHOLDER),
                                       1,
                                       2,
                                       1,
                                       write_shuffle};
    return tn_layer_add(network, &kind, TN_LAYERS(x));
}

static void write_axes(tn_pen *pen, const char *op)
{
    const tn_kept *axes = tn_layer_find(pen->layer, TN_SET_AXES);
    pen->out[0] = tn_pen_op(
        pen, op, TN_IN(pen->in[0], tn_draft_ints(pen->draft, axes->number, axes->count)), TN_PLAIN);
}

static void write_squeeze(tn_pen *pen)
{
    write_axes(pen, "Squeeze");
}

static void write_unsqueeze(tn_pen *pen)
{
    write_axes(pen, "Unsqueeze");
}

static tn_layer *add_axes(tn_network *network, const tn_layer_kind *kind, tn_layer *x,
                          const int64_t *axes, int count)
{
    tn_layer *layer = tn_layer_add(network, kind, TN_LAYERS(x));
    tn_layer_keep_ints(layer, TN_SET_AXES, axes, count);
    return tn_layer_done(layer);
}

tn_layer *tn_network_add_squeeze(tn_network *network, tn_layer *x, const int64_t *axes, int count)
{
    static const tn_layer_kind kind = {"squeeze", TN_HAS(AXES), 1, 1, 1, write_squeeze};
    return add_axes(network, &kind, x, axes, count);
}

tn_layer *tn_network_add_unsqueeze(tn_network *network, tn_layer *x, const int64_t *axes, int count)
{
    static const tn_layer_kind kind = {"unsqueeze", TN_HAS(AXES), 1, 1, 1, write_unsqueeze};
    return add_axes(network, &kind, x, axes, count);
}

static void write_concatenation(tn_pen *pen)
{
    pen->out[0] = tn_pen_op(pen, "Concat", pen->in, pen->in_count,
                            TN_WITH(tn_attr_int("axis", tn_pen_int(pen, TN_SET_AXIS, 0))));
}

tn_layer *tn_network_add_concatenation(tn_network *network, tn_layer *const *layers, int count,
                                       int64_t axis)
{
    static const tn_layer_kind kind = {"concatenation",    TN_HAS(AXIS), 1, -1, 1,
                                       write_concatenation};
    tn_layer *layer = tn_layer_add(network, &kind, layers, count);
    tn_layer_keep(layer, TN_SET_AXIS, axis);
    return tn_layer_done(layer);
}

/* ---- Resize ----------------------------------------------------------------------------------*/

static void write_resize(tn_pen *pen)
{
    static const char *const modes[] = {"nearest", "linear", "cubic"},
                             *const places[] = {"align_corners", "asymmetric", "half_pixel"},
                             *const roundings[] = {"round_prefer_ceil", "round_prefer_floor",
                                                   "floor", "ceil"};
    const tn_kept *shape = tn_layer_find(pen->layer, TN_SET_SHAPE);
    const tn_kept *scales = tn_layer_find(pen->layer, TN_SET_SCALES);
    const char *mode = tn_pen_choice(pen, TN_SET_INTERPOLATION, modes, TN_COUNT(modes), 0);
    const char *place =
        tn_pen_choice(pen, TN_SET_COORDINATES, places, TN_COUNT(places), TN_COORDINATES_ASYMMETRIC);
    const char *rounding =
        tn_pen_choice(pen, TN_SET_ROUNDING, roundings, TN_COUNT(roundings), TN_ROUNDING_FLOOR);
    if (!mode || !place || !rounding) return;
    tn_value *sizes = tn_pen_i64(pen, pen->in[1]), *factors = NULL;
    if (!sizes && shape) sizes = tn_draft_ints(pen->draft, shape->number, shape->count);
    if (!sizes && scales) {
        float scale[TN_RANK_MAX];
        int64_t count = scales->count;
        for (int i = 0; i < scales->count; i++) scale[i] = (float)scales->real[i];
        tn_tensor tensor = tn_tensor_of(TN_DTYPE_F32, &count, 1, scale);
        factors = tn_draft_constant(pen->draft, NULL, &tensor, true);
    }
    if (!sizes && !factors)
        tn_pen_fail(pen, TN_INVALID, "neither SHAPE nor SCALES is set, nor input 1");
    pen->out[0] = tn_pen_op(
        pen, "Resize", TN_IN(pen->in[0], NULL, factors, sizes),
        TN_WITH(tn_attr_text("mode", mode), tn_attr_text("coordinate_transformation_mode", place),
                tn_attr_text("nearest_mode", rounding),
                tn_attr_float("cubic_coeff_a", tn_pen_float(pen, TN_SET_CUBIC, -0.75)),
                tn_attr_int("exclude_outside", tn_pen_int(pen, TN_SET_EXCLUDE_OUTSIDE, 0) != 0)));
}

tn_layer *tn_network_add_resize(tn_network *network, tn_layer *x, tn_interpolation mode)
{
    static const tn_layer_kind kind = {"resize",
                                       TN_HAS(INTERPOLATION) | TN_HAS(SHAPE) | TN_HAS(SCALES) |
                                           TN_HAS(COORDINATES) | TN_HAS(ROUNDING) | TN_HAS(CUBIC) |
                                           TN_HAS(EXCLUDE_OUTSIDE),
                                       1,
                                       2,
                                       1,
                                       write_resize};
    tn_layer *layer = tn_layer_add(network, &kind, TN_LAYERS(x));
    tn_layer_keep(layer, TN_SET_INTERPOLATION, (int64_t)mode);
    return tn_layer_done(layer);
}

/* ---- Fill ------------------------------------------------------------------------------------*/

/* alpha + i * beta for i < the one dim. */
static void write_linspace(tn_pen *pen, tn_value *shape, double alpha, double beta, tn_dtype dtype)
{
    tn_draft *d = pen->draft;
    tn_value *size = tn_pen_part(pen, "Squeeze", TN_IN(shape), TN_PLAIN);
    tn_value *place = tn_pen_part(
        pen, "Range",
        TN_IN(tn_draft_scalar(d, TN_DTYPE_I64, 0), size, tn_draft_scalar(d, TN_DTYPE_I64, 1)),
        TN_PLAIN);
    if (dtype != TN_DTYPE_I64)
        place = tn_pen_part(pen, "Cast", TN_IN(place), TN_WITH(tn_attr_int("to", dtype)));
    if (d->failed) return;
    const tn_named named[] = {{.name = "i", .value = place},
                              {.name = "alpha", .value = tn_draft_scalar(d, dtype, alpha)},
                              {.name = "beta", .value = tn_draft_scalar(d, dtype, beta)}};
    pen->out[0] = tn_pen_formula(pen, "alpha + i * beta", named, TN_COUNT(named));
}

static void write_fill(tn_pen *pen)
{
    static const char *const ops[] = {"Range", "RandomUniformLike", "RandomNormalLike"};
    const tn_kept *dims = tn_layer_find(pen->layer, TN_SET_SHAPE);
    const tn_kept *seed = tn_layer_find(pen->layer, TN_SET_SEED);
    int64_t type = tn_pen_int(pen, TN_SET_TYPE, 0);
    double alpha = tn_pen_float(pen, TN_SET_ALPHA, 0), beta = tn_pen_float(pen, TN_SET_BETA, 1);
    tn_dtype dtype = (tn_dtype)tn_pen_int(pen, TN_SET_DTYPE, TN_DTYPE_F32);
    if (!tn_pen_choice(pen, TN_SET_TYPE, ops, TN_COUNT(ops), 0)) return;
    tn_value *shape = tn_pen_i64(pen, pen->in[0]);
    if (type == TN_FILL_LINSPACE && !shape && dims->count != 1)
        tn_pen_fail(pen, TN_INVALID, "TN_FILL_LINSPACE fills one axis; SHAPE has %d", dims->count);
    if (pen->draft->failed) return;
    if (!shape) shape = tn_draft_ints(pen->draft, dims->number, dims->count);
    if (type == TN_FILL_LINSPACE) {
        write_linspace(pen, shape, alpha, beta, dtype);
        return;
    }
    bool even = type == TN_FILL_RANDOM_UNIFORM;
    tn_attr attr[4] = {tn_attr_int("dtype", dtype), tn_attr_float(even ? "low" : "mean", alpha),
                       tn_attr_float(even ? "high" : "scale", beta)};
    if (seed) attr[3] = tn_attr_float("seed", seed->real[0]);
    tn_value *room = tn_pen_part(pen, "ConstantOfShape", TN_IN(shape), TN_PLAIN);
    pen->out[0] = tn_pen_op(pen, ops[type], TN_IN(room), attr, seed ? 4 : 3);
}

tn_layer *tn_network_add_fill(tn_network *network, tn_fill_type type, const int64_t *dim, int rank)
{
    static const tn_layer_kind kind = {
        "fill",
        TN_HAS(TYPE) | TN_HAS(SHAPE) | TN_HAS(DTYPE) | TN_HAS(ALPHA) | TN_HAS(BETA) | TN_HAS(SEED),
        0,
        1,
        1,
        write_fill};
    tn_layer *layer = tn_layer_add(network, &kind, NULL, 0);
    tn_layer_keep(layer, TN_SET_TYPE, (int64_t)type);
    tn_layer_keep_ints(layer, TN_SET_SHAPE, dim, rank);
    return tn_layer_done(layer);
}
