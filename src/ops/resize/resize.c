/* Resize-19: the input sampled at the output's coordinates.
 *
 * All modes are separable. Along each axis output position o stands at x(o) in the input, and takes
 * `taps` neighbours with weights that add to 1: one for nearest, 2 for linear, 4 for cubic, more
 * where antialiasing widens them. Positions beyond the border read the border. The reference makes
 * a table of first neighbours and weights for each axis, then sums over the product of the taps. */
#include "ops/resize/resize.h"

#include <math.h>
#include <string.h>

#include "ops/moving.h"

static const tn_field fields[] = {
    TN_ENUM(tn_resize_params, mode, TN_RESIZE_NEAREST, "nearest|linear|cubic"),
    TN_ENUM(tn_resize_params, coordinate_transformation_mode, TN_RESIZE_HALF_PIXEL,
            "half_pixel|half_pixel_symmetric|pytorch_half_pixel|align_corners|"
            "asymmetric|tf_half_pixel_for_nn|tf_crop_and_resize"),
    TN_ENUM(tn_resize_params, nearest_mode, TN_RESIZE_ROUND_PREFER_FLOOR,
            "round_prefer_floor|round_prefer_ceil|floor|ceil|simple"),
    TN_ENUM(tn_resize_params, keep_aspect_ratio_policy, TN_RESIZE_STRETCH,
            "stretch|not_larger|not_smaller"),
    TN_INT(tn_resize_params, antialias, 0),
    TN_INT(tn_resize_params, exclude_outside, 0),
    TN_FLOAT(tn_resize_params, cubic_coeff_a, -0.75),
    TN_FLOAT(tn_resize_params, extrapolation_value, 0),
    TN_INT_LIST(tn_resize_params, axes),
};
static const tn_port ins[] = {
    {"X", TN_DTS_ANY, 'T', 0},
    {"roi", TN_DTS_FLOAT, 0, TN_PORT_OPTIONAL},
    {"scales", TN_DT(F32), 0, TN_PORT_OPTIONAL},
    {"sizes", TN_DT(I64), 0, TN_PORT_OPTIONAL},
};
static const tn_port outs[] = {{"Y", TN_DTS_ANY, 'T', 0}};

/* ---- Shapes ----------------------------------------------------------------------------------*/

static tn_status read_axes(const tn_resize_params *params, int rank, int *axis, int *count)
{
    *count = params->axes.count < 0 ? rank : params->axes.count;
    TN_CHECK(*count <= rank, TN_INVALID, "%d axes are given for a tensor of rank %d", *count, rank);
    for (int i = 0; i < *count; i++) {
        axis[i] = params->axes.count < 0 ? i : tn_axis_normal(params->axes.at[i], rank);
        TN_CHECK(axis[i] >= 0, TN_INVALID, "axis %lld is outside [-%d, %d)",
                 (long long)params->axes.at[i], rank, rank);
    }
    return NULL;
}

/* floor(dim * scale), in float as other runtimes have it. A symbolic dim needs a scale that is a
 * whole number over a power of two: then the expression is exact. */
static tn_status scaled_dim(tn_infer *f, tn_expr dim, float scale, tn_expr *out)
{
    int64_t value;
    TN_CHECK(scale > 0 && scale < 1e9f, TN_INVALID, "a scale is %g", (double)scale);
    *out = TN_EXPR_NONE;
    if (tn_expr_is_const(f->exprs, dim, &value)) {
        float size = floorf((float)value * scale);
        TN_CHECK(size < 9e18f, TN_INVALID, "a dim of %lld cannot be scaled by %g", (long long)value,
                 (double)scale);
        *out = tn_expr_const(f->exprs, (int64_t)size);
        return NULL;
    }
    for (int64_t below = 1; below <= 1024 && !*out; below *= 2) {
        float above = scale * (float)below;
        if (above != floorf(above) || above > 65536) continue;
        tn_expr product = tn_expr_mul(f->exprs, dim, tn_expr_const(f->exprs, (int64_t)above));
        *out = tn_expr_div(f->exprs, product, tn_expr_const(f->exprs, below));
    }
    return NULL;
}

/* The one scale of all axes under a policy that keeps the aspect; 0 if a dim or size is not known.
 */
static double kept_scale(int64_t policy, int count, const int64_t *have, const int64_t *want)
{
    double scale = 0;
    for (int i = 0; i < count; i++) {
        double one = (double)want[i] / (double)have[i];
        bool better = policy == TN_RESIZE_NOT_LARGER ? one < scale : one > scale;
        if (i == 0 || better) scale = one;
    }
    return scale;
}

static tn_status infer_sizes(tn_infer *f, const int *axis, int count, tn_expr *dim)
{
    const tn_resize_params *params = f->params;
    const tn_expr *size;
    int64_t length, have[TN_RANK_MAX], want[TN_RANK_MAX];
    if (!tn_infer_exprs(f, 3, &size, &length)) {
        for (int i = 0; i < count; i++) dim[axis[i]] = TN_EXPR_NONE;
        return NULL;
    }
    TN_CHECK(length == count, TN_INVALID, "%lld sizes are given for %d axes", (long long)length,
             count);
    bool numbers = true;
    for (int i = 0; i < count; i++) {
        bool a = tn_expr_is_const(f->exprs, dim[axis[i]], &have[i]);
        bool b = tn_expr_is_const(f->exprs, size[i], &want[i]);
        TN_CHECK(!b || want[i] >= 0, TN_INVALID, "a size is %lld", (long long)want[i]);
        numbers = numbers && a && b && have[i] > 0;
    }
    double scale = numbers ? kept_scale(params->keep_aspect_ratio_policy, count, have, want) : 0;
    for (int i = 0; i < count; i++) {
        tn_expr *d = &dim[axis[i]];
        if (params->keep_aspect_ratio_policy == TN_RESIZE_STRETCH) *d = size[i];
        else
            *d = numbers ? tn_expr_const(f->exprs, (int64_t)floor(scale * (double)have[i] + 0.5))
                         : TN_EXPR_NONE;
    }
    return NULL;
}

/* Older models give an empty tensor for "not this one". */
static bool is_given(const tn_infer *f, int input)
{
    return tn_infer_has(f, input) && tn_infer_length(f, input) != 0;
}

static tn_status infer(tn_infer *f)
{
    const tn_resize_params *params = f->params;
    const tn_type *x = &f->in[0];
    tn_dtype_kind kind = tn_dtype_kind_of(x->dtype);
    tn_expr dim[TN_RANK_MAX];
    int axis[TN_RANK_MAX], count;
    bool by_scales = is_given(f, 2), by_sizes = is_given(f, 3);
    TN_CHECK(by_scales || by_sizes, TN_INVALID, "neither scales nor sizes are given");
    TN_CHECK(params->mode == TN_RESIZE_NEAREST || kind == TN_KIND_F || kind == TN_KIND_I ||
                 kind == TN_KIND_U,
             TN_UNSUPPORTED, "%s cannot be interpolated", tn_dtype_name(x->dtype));
    TN_CHECK(params->coordinate_transformation_mode != TN_RESIZE_TF_CROP_AND_RESIZE ||
                 is_given(f, 1),
             TN_INVALID, "tf_crop_and_resize needs a roi");
    if (x->rank < 0) {
        tn_infer_set(f, 0, x->dtype, -1, NULL);
        return NULL;
    }
    TN_TRY(read_axes(params, x->rank, axis, &count));
    for (int k = 0; k < x->rank; k++) dim[k] = x->dim[k];
    const tn_tensor *scales = by_scales ? &f->data[2] : NULL;
    if (by_sizes && !(scales && scales->data && tn_tensor_count(scales) > 0)) {
        TN_TRY(infer_sizes(f, axis, count, dim));
    } else if (scales && scales->data) {
        TN_CHECK(tn_tensor_count(scales) == count, TN_INVALID, "%lld scales are given for %d axes",
                 (long long)tn_tensor_count(scales), count);
        for (int i = 0; i < count; i++)
            TN_TRY(scaled_dim(f, dim[axis[i]], (float)tn_load_f64(scales->dtype, scales->data, i),
                              &dim[axis[i]]));
    } else {
        for (int i = 0; i < count; i++) dim[axis[i]] = TN_EXPR_NONE;
    }
    for (int k = 0; k < x->rank; k++)
        if (!dim[k]) dim[k] = tn_infer_fresh(f);
    tn_infer_set(f, 0, x->dtype, x->rank, dim);
    return NULL;
}

/* ---- Weights ---------------------------------------------------------------------------------*/

typedef struct along { /* one axis */
    int64_t in, out;
    double scale, start, end; /* start, end: of the region of interest */
    int taps;
} along;

static double reach_of(int64_t mode)
{
    return mode == TN_RESIZE_CUBIC ? 2 : 1;
}

/* Neighbours on each side that can have a weight. */
static int taps_of(const tn_resize_params *params, double scale)
{
    double reach = reach_of(params->mode), widest = params->antialias ? TN_MIN(scale, 1.0) : 1.0;
    if (params->mode == TN_RESIZE_NEAREST) return 1;
    return 2 * (int)ceil(TN_MIN(reach / widest, 1e8));
}

static double position(const tn_resize_params *params, const along *a, int64_t o)
{
    double x = (double)o, width = a->scale * (double)a->in, last = (double)(a->in - 1);
    switch (params->coordinate_transformation_mode) {
    case TN_RESIZE_ALIGN_CORNERS: return width == 1 ? 0 : x * last / (width - 1);
    case TN_RESIZE_ASYMMETRIC: return x / a->scale;
    case TN_RESIZE_TF_HALF_PIXEL_FOR_NN: return (x + 0.5) / a->scale;
    case TN_RESIZE_TF_CROP_AND_RESIZE:
        if (width == 1) return (a->end - a->start) * last / 2 + a->start * last;
        return x * (a->end - a->start) * last / (width - 1) + a->start * last;
    case TN_RESIZE_PYTORCH_HALF_PIXEL: return width == 1 ? -0.5 : (x + 0.5) / a->scale - 0.5;
    case TN_RESIZE_HALF_PIXEL_SYMMETRIC:
        return (double)a->in / 2 * (1 - (double)a->out / width) + (x + 0.5) / a->scale - 0.5;
    default: return (x + 0.5) / a->scale - 0.5;
    }
}

static double nearest(int64_t rule, double x, double scale)
{
    double below = floor(x), ratio = x - below;
    switch (rule) {
    case TN_RESIZE_ROUND_PREFER_FLOOR: return ratio <= 0.5 ? below : below + 1;
    case TN_RESIZE_ROUND_PREFER_CEIL: return ratio < 0.5 ? below : below + 1;
    case TN_RESIZE_CEIL: return ceil(x);
    case TN_RESIZE_SIMPLE: return scale < 1 ? ceil(x) : below;
    default: return below;
    }
}

/* The weight of a neighbour at a distance, before they are made to add to 1. */
static double kernel(const tn_resize_params *params, double distance)
{
    double d = fabs(distance), a = params->cubic_coeff_a;
    if (params->mode == TN_RESIZE_LINEAR) return d < 1 ? 1 - d : 0;
    if (d <= 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
    return d < 2 ? ((a * d - 5 * a) * d + 8 * a) * d - 4 * a : 0;
}

/* First neighbour of output o and the weights of it and those behind; false: outside the region. */
static bool weigh(const tn_resize_params *params, const along *a, int64_t o, int64_t *first,
                  double *weight)
{
    double x = position(params, a, o), sum = 0;
    if (params->coordinate_transformation_mode == TN_RESIZE_TF_CROP_AND_RESIZE &&
        (x < 0 || x > (double)(a->in - 1)))
        return false;
    x = TN_MIN(TN_MAX(x, -1e15), 1e15);
    if (params->mode == TN_RESIZE_NEAREST) {
        *first = (int64_t)nearest(params->nearest_mode, x, a->scale);
        weight[0] = 1;
        return true;
    }
    double squeeze = params->antialias ? TN_MIN(a->scale, 1.0) : 1.0;
    *first = (int64_t)floor(x) - a->taps / 2 + 1;
    for (int t = 0; t < a->taps; t++) {
        int64_t at = *first + t;
        weight[t] = kernel(params, ((double)at - x) * squeeze);
        if (params->exclude_outside && (at < 0 || at >= a->in)) weight[t] = 0;
        sum += weight[t];
    }
    for (int t = 0; t < a->taps && sum != 0; t++) weight[t] /= sum;
    return true;
}

/* ---- The reference ---------------------------------------------------------------------------*/

/* Taps from dims alone, since the scales may not be there yet: a scale is at least (out - 1/2) /
 * in. */
static int most_taps(const tn_problem *p, int axis)
{
    double in = (double)TN_MAX(p->in[0].dim[axis], 1), out = (double)p->out[0].dim[axis];
    return taps_of(p->params, TN_MAX(out - 0.5, 0.25) / in);
}

static size_t scratch_bytes(const tn_problem *p)
{
    size_t bytes = 0;
    for (int k = 0; k < p->out[0].rank; k++)
        bytes += (size_t)p->out[0].dim[k] * (size_t)(most_taps(p, k) + 2) * sizeof(double);
    return bytes;
}

/* The table of an axis: for each output position a row of {in the region, first, weights}. */
typedef struct table {
    along axis[TN_RANK_MAX];
    const double *row[TN_RANK_MAX];
} table;

static tn_status read_scales(const tn_problem *p, along *a)
{
    const tn_resize_params *params = p->params;
    const tn_tensor *x = &p->in[0], *y = &p->out[0];
    const tn_tensor *roi = p->in_count > 1 && p->in[1].data ? &p->in[1] : NULL;
    const tn_tensor *scales =
        p->in_count > 2 && p->in[2].data && tn_tensor_count(&p->in[2]) ? &p->in[2] : NULL;
    const tn_tensor *sizes = p->in_count > 3 && p->in[3].data ? &p->in[3] : NULL;
    int axis[TN_RANK_MAX], count;
    int64_t have[TN_RANK_MAX], want[TN_RANK_MAX];
    TN_TRY(read_axes(params, x->rank, axis, &count));
    bool crop = params->coordinate_transformation_mode == TN_RESIZE_TF_CROP_AND_RESIZE;
    TN_CHECK(!crop || (roi && tn_tensor_count(roi) == 2 * count), TN_INVALID,
             "roi must have %d elements", 2 * count);
    TN_CHECK(!scales || tn_tensor_count(scales) == count, TN_INVALID,
             "%lld scales are given for %d axes", (long long)tn_tensor_count(scales), count);
    TN_CHECK(scales || !sizes || tn_tensor_count(sizes) == count, TN_INVALID,
             "%lld sizes are given for %d axes", (long long)tn_tensor_count(sizes), count);
    for (int k = 0; k < x->rank; k++)
        a[k] = (along){.in = x->dim[k], .out = y->dim[k], .scale = 1, .end = 1};
    for (int i = 0; i < count; i++) {
        have[i] = x->dim[axis[i]];
        want[i] = sizes && !scales ? tn_load_i64(sizes->dtype, sizes->data, i) : 0;
        TN_CHECK(have[i] > 0, TN_INVALID, "axis %d is empty and cannot be resized", axis[i]);
    }
    bool kept = params->keep_aspect_ratio_policy != TN_RESIZE_STRETCH && sizes && !scales;
    for (int i = 0; i < count; i++) {
        along *one = &a[axis[i]];
        one->scale = (double)one->out / (double)one->in;
        if (scales) one->scale = tn_load_f64(scales->dtype, scales->data, i);
        if (kept) one->scale = kept_scale(params->keep_aspect_ratio_policy, count, have, want);
        TN_CHECK(one->scale > 0, TN_INVALID, "the scale of axis %d is %g", axis[i], one->scale);
        if (!crop) continue;
        one->start = tn_load_f64(roi->dtype, roi->data, i);
        one->end = tn_load_f64(roi->dtype, roi->data, i + count);
    }
    return NULL;
}

static tn_status make_table(const tn_launch *l, table *t)
{
    const tn_problem *p = l->problem;
    const tn_resize_params *params = p->params;
    double *next = l->scratch;
    TN_TRY(read_scales(p, t->axis));
    for (int k = 0; k < p->in[0].rank; k++) {
        along *a = &t->axis[k];
        bool still = a->scale == 1 && a->in == a->out && a->start == 0 && a->end == 1;
        a->taps = still ? 1 : taps_of(params, a->scale);
        TN_CHECK(a->taps <= most_taps(p, k), TN_INVALID,
                 "axis %d: a scale of %g does not give %lld from %lld", k, a->scale,
                 (long long)a->out, (long long)a->in);
        t->row[k] = next;
        for (int64_t o = 0; o < a->out; o++, next += a->taps + 2) {
            int64_t first = o;
            next[0] = next[2] = 1;
            if (!still) next[0] = weigh(params, a, o, &first, next + 2);
            next[1] = (double)first;
        }
    }
    return NULL;
}

static int64_t clamp(int64_t at, int64_t count)
{
    return at < 0 ? 0 : at >= count ? count - 1 : at;
}

/* The sum over all taps of all axes; nearest has one, which is copied bit for bit. */
static void sample(const tn_problem *p, const table *t, const int64_t *index, const int64_t *step,
                   int64_t to)
{
    const tn_resize_params *params = p->params;
    const tn_tensor *x = &p->in[0], *y = &p->out[0];
    const double *row[TN_RANK_MAX];
    int64_t tap[TN_RANK_MAX] = {0}, taps[TN_RANK_MAX];
    bool inside = true;
    double sum = 0;
    for (int k = 0; k < x->rank; k++) {
        taps[k] = t->axis[k].taps;
        row[k] = t->row[k] + index[k] * (taps[k] + 2);
        inside = inside && row[k][0] != 0;
    }
    if (!inside) {
        tn_store_f64(y->dtype, y->data, to, params->extrapolation_value);
        return;
    }
    do {
        int64_t at = 0;
        double weight = 1;
        for (int k = 0; k < x->rank; k++) {
            at += clamp((int64_t)row[k][1] + tap[k], x->dim[k]) * step[k];
            weight *= row[k][2 + tap[k]];
        }
        if (params->mode == TN_RESIZE_NEAREST) {
            tn_copy_elements(x->dtype, y->data, to, x->data, at, 1);
            return;
        }
        if (weight != 0) sum += weight * tn_load_f64(x->dtype, x->data, at);
    } while (tn_index_next(tap, taps, x->rank));
    tn_store_f64(y->dtype, y->data, to, sum);
}

static tn_status reference(const tn_launch *l)
{
    const tn_tensor *x = &l->problem->in[0], *y = &l->problem->out[0];
    int64_t step[TN_RANK_MAX], index[TN_RANK_MAX] = {0}, total = tn_tensor_count(y);
    table t = {0};
    if (total == 0) return NULL;
    TN_TRY(make_table(l, &t));
    tn_dense_steps(x->dim, x->rank, step);
    for (int64_t i = 0; i < total; i++, tn_index_next(index, y->dim, y->rank))
        sample(l->problem, &t, index, step, i);
    return NULL;
}

/* ---- Older forms -----------------------------------------------------------------------------*/

static tn_status set_word(tn_node *node, const char *name, const char *word)
{
    tn_attr attr = {.name = name, .kind = TN_ATTR_TEXT, .text = {word, strlen(word)}};
    return tn_node_set_attr(node, &attr);
}

/* Resize-10 had no roi and one rule: asymmetric, and for nearest floor or ceil by the scale. */
static tn_status upgrade_below_11(tn_graph *graph, tn_node *node)
{
    (void)graph;
    TN_CHECK(node->in_count == 2, TN_INVALID, "Resize-10 has 2 inputs, not %d", node->in_count);
    tn_value *scales = node->in[1];
    TN_TRY(tn_node_set_input(node, 2, scales));
    TN_TRY(tn_node_set_input(node, 1, NULL));
    TN_TRY(set_word(node, "coordinate_transformation_mode", "asymmetric"));
    return set_word(node, "nearest_mode", "simple");
}

static const tn_case cases[] = {
    {.problem = "Resize f32[1,1,2,2]={1,2,3,4} none f32[4]={1,1,2,3}",
     .expect = "f32[1,1,4,6]={1,1,1,2,2,2,1,1,1,2,2,2,3,3,3,4,4,4,3,3,3,4,4,4}"},
    {.problem = "Resize{mode=linear} f32[4]={1,2,3,4} none none i64[1]={2}",
     .expect = "f32[2]={1.5,3.5}"},
    {.problem = "Resize{mode=linear, coordinate_transformation_mode=align_corners} f32[2]={1,4} "
                "none f32[1]={2}",
     .expect = "f32[4]={1,2,3,4}"},
    /* At half a pixel the cubic weights are -3/32, 19/32, 19/32, -3/32; borders repeat. */
    {.problem = "Resize{mode=cubic} f32[4]={0,0,32,0} none none i64[1]={2}",
     .expect = "f32[2]={-3,19}"},
    {.problem = "Resize{mode=linear, antialias=1} f32[4]={0,0,8,0} none none i64[1]={2}",
     .expect = "f32[2]={1,3}"},
    {.problem = "Resize{axes=[-1], nearest_mode=floor, coordinate_transformation_mode=asymmetric} "
                "u8[2,2]={1,2,3,4} none "
                "f32[1]={2}",
     .expect = "u8[2,4]={1,1,2,2,3,3,4,4}"},
    {.problem = "Resize{keep_aspect_ratio_policy=not_larger} f32[2,4] none none i64[2]={4,4}"},
    {.problem = "Resize{mode=linear} f32[1,3,7,9] none none i64[4]={1,3,14,18}"},
    {.problem = "Resize{mode=cubic, antialias=1, exclude_outside=1} f32[1,1,9,9] none none "
                "i64[4]={1,1,4,5}"},
    {0},
};

const tn_op tn_op_resize = {
    .name = "Resize",
    .since = 19,
    .about = "sampled at the output's coordinates: nearest, linear or cubic",
    .in = ins,
    .in_count = TN_COUNT(ins),
    .out = outs,
    .out_count = TN_COUNT(outs),
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_resize_params),
    .infer = infer,
    .reference = reference,
    .scratch_bytes = scratch_bytes,
    .upgrade = {{11, upgrade_below_11}},
    .cases = cases,
};

/* ---- Upsample --------------------------------------------------------------------------------*/

/* Scales from attributes: a list (opset 7), or of height and width (opset 1). */
static tn_status scales_of_attributes(tn_graph *graph, tn_node *node, tn_value **out)
{
    const tn_attr *list = tn_node_find_attr(node, "scales");
    float pair[] = {1, 1, (float)tn_node_float_attr(node, "height_scale", 1),
                    (float)tn_node_float_attr(node, "width_scale", 1)};
    TN_CHECK(!list || (list->kind == TN_ATTR_FLOATS && list->count <= TN_RANK_MAX), TN_INVALID,
             "attribute scales must be at most %d floats", TN_RANK_MAX);
    float at[TN_RANK_MAX];
    int64_t count = list ? list->count : 4;
    for (int64_t i = 0; i < count; i++) at[i] = list ? list->floats[i] : pair[i];
    tn_tensor tensor = tn_tensor_of(TN_DTYPE_F32, &count, 1, at);
    TN_TRY(tn_graph_add_constant(graph, NULL, &tensor, true, out));
    tn_node_remove_attr(node, "scales");
    tn_node_remove_attr(node, "height_scale");
    tn_node_remove_attr(node, "width_scale");
    return NULL;
}

/* Whatever the opset: Resize with the coordinates and rounding that Upsample had. */
static tn_status become_resize(tn_graph *graph, tn_node *node)
{
    tn_value *scales = node->in_count > 1 ? node->in[1] : NULL;
    const tn_attr *mode = tn_node_find_attr(node, "mode");
    bool bilinear = mode && mode->kind == TN_ATTR_TEXT && mode->text.bytes == 8 &&
                    !memcmp(mode->text.text, "bilinear", 8);
    if (bilinear) TN_TRY(set_word(node, "mode", "linear"));
    if (!scales) TN_TRY(scales_of_attributes(graph, node, &scales));
    tn_node_set_op(node, &tn_op_resize);
    TN_TRY(tn_node_set_input(node, 2, scales));
    TN_TRY(tn_node_set_input(node, 1, NULL));
    TN_TRY(set_word(node, "coordinate_transformation_mode", "asymmetric"));
    return set_word(node, "nearest_mode", "floor");
}

static const tn_port upsample_ins[] = {
    {"X", TN_DTS_ANY, 'T', 0},
    {"scales", TN_DT(F32), 0, TN_PORT_OPTIONAL},
};

const tn_op tn_op_upsample = {
    .name = "Upsample",
    .since = 9,
    .about = "the old name of Resize with asymmetric coordinates and floor",
    .in = upsample_ins,
    .in_count = TN_COUNT(upsample_ins),
    .out = outs,
    .out_count = TN_COUNT(outs),
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_resize_params),
    .infer = infer,
    .upgrade = {{INT32_MAX, become_resize}},
};
