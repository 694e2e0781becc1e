/* GridSample-22: X [N, C, D1 .. Dr] read at the places that a grid [N, O1 .. Or, r] gives.
 *
 * A place's coordinates run from -1 to 1 and name the innermost axis first. -1 and 1 are the
 * centres of the outermost elements (align_corners) or their outer edges:
 *
 *     align_corners   x = (g + 1) / 2 * (D - 1)        else   x = ((g + 1) * D - 1) / 2
 *
 * A place takes 1, 2 or 4 elements an axis (nearest, linear, cubic), weighted axis by axis. Places
 * and elements outside of X are zeros, the border, or mirrored. */
#include "ops/grid_sample/grid_sample.h"

#include <math.h>
#include <string.h>

#include "ops/moving.h"

#define AXES_MAX (TN_RANK_MAX - 2)
enum { TAPS_MAX = 4 };

static const tn_field fields[] = {
    TN_ENUM(tn_grid_sample_params, mode, TN_GRID_LINEAR, "linear|nearest|cubic"),
    TN_ENUM(tn_grid_sample_params, padding_mode, TN_GRID_ZEROS, "zeros|border|reflection"),
    TN_INT(tn_grid_sample_params, align_corners, 0),
};
static const tn_port ins[] = {
    {"X", TN_DTS_NUMBER | TN_DT(BOOL), 'T', 0},
    {"grid", TN_DTS_FLOAT, 'G', 0},
};
static const tn_port outs[] = {{"Y", TN_DTS_NUMBER | TN_DT(BOOL), 'T', 0}};

static tn_status infer(tn_infer *f)
{
    const tn_type *x = &f->in[0], *grid = &f->in[1];
    char text_x[128], text_g[128];
    tn_expr dim[TN_RANK_MAX];
    int64_t axes, a, b;
    if (x->rank < 0 || grid->rank < 0) {
        tn_infer_set_fresh(f, 0, x->dtype, TN_MAX(x->rank, grid->rank));
        return NULL;
    }
    bool fits = x->rank >= 3 && x->rank == grid->rank;
    if (fits && tn_expr_is_const(f->exprs, grid->dim[grid->rank - 1], &axes))
        fits = axes == x->rank - 2;
    if (fits && tn_expr_is_const(f->exprs, x->dim[0], &a) &&
        tn_expr_is_const(f->exprs, grid->dim[0], &b))
        fits = a == b;
    TN_CHECK(fits, TN_INVALID,
             "X must be [N, C, D1 ... Dr] and grid [N, O1 ... Or, r]: they are %s and %s",
             tn_type_text(f->exprs, x, text_x, sizeof text_x),
             tn_type_text(f->exprs, grid, text_g, sizeof text_g));
    dim[0] = x->dim[0];
    dim[1] = x->dim[1];
    for (int i = 2; i < x->rank; i++) dim[i] = grid->dim[i - 1];
    tn_infer_set(f, 0, x->dtype, x->rank, dim);
    return NULL;
}

/* ---- One axis ---------------------------------------------------------------------------------*/

/* Elements of one axis that a place takes: at[k] is -1 for one that is zero. */
typedef struct taps {
    int count;
    int64_t at[TAPS_MAX];
    double weight[TAPS_MAX];
} taps;

/* Mirrored at low and high until it lies between them. */
static double reflect(double x, double low, double high)
{
    double span = high - low;
    if (!(span > 0)) return low;
    double past = fmod(fabs(x - low), 2 * span);
    return low + (past <= span ? past : 2 * span - past);
}

static int64_t element_at(int64_t i, int64_t dim, const tn_grid_sample_params *params)
{
    if (i >= 0 && i < dim) return i;
    if (params->padding_mode == TN_GRID_ZEROS) return -1;
    if (params->padding_mode == TN_GRID_BORDER) return i < 0 ? 0 : dim - 1;
    double low = params->align_corners ? 0 : -0.5,
           high = (double)dim - (params->align_corners ? 1 : 0.5);
    int64_t at = (int64_t)reflect((double)i, low, high);
    return TN_MIN(TN_MAX(at, 0), dim - 1);
}

/* From -1 .. 1 to an index. Grids narrower than f64 are worked in float, as their makers do: what
 * is half way between two elements should stay so. */
static double place_of(double g, int64_t dim, bool align_corners, tn_dtype dtype)
{
    if (dtype == TN_DTYPE_F64)
        return align_corners ? (g + 1) / 2 * (double)(dim - 1) : ((g + 1) * (double)dim - 1) / 2;
    float narrow = (float)g, size = (float)dim;
    return align_corners ? (narrow + 1) / 2 * (size - 1) : ((narrow + 1) * size - 1) / 2;
}

static double padded_place(double x, int64_t dim, const tn_grid_sample_params *params)
{
    double low = params->align_corners ? 0 : -0.5,
           high = (double)dim - (params->align_corners ? 1 : 0.5);
    if (x >= low && x <= high) return x;
    if (params->padding_mode == TN_GRID_REFLECTION)
        return isfinite(x) ? reflect(x, low, high) : low;
    if (params->padding_mode == TN_GRID_BORDER && params->mode != TN_GRID_CUBIC)
        return x > 0 ? (double)(dim - 1) : 0;
    /* Far outside all taps are zero or the border: near enough for an integer, far enough for that;
     * NaN too. */
    return x > 0 ? fmin(x, (double)dim + 8) : fmax(x, -8);
}

/* Keys' kernel with a = -0.75, at distance x >= 0 from an element. */
static double cubic(double x)
{
    const double a = -0.75;
    if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
}

static taps taps_of(double g, int64_t dim, const tn_grid_sample_params *params, tn_dtype dtype)
{
    taps t = {.count = 1, .weight = {1}};
    double x = place_of(g, dim, params->align_corners, dtype);
    if (params->mode == TN_GRID_NEAREST) x = rint(x);
    x = padded_place(x, dim, params);
    if (params->mode == TN_GRID_NEAREST) {
        t.at[0] = element_at((int64_t)x, dim, params);
        return t;
    }
    int64_t first = (int64_t)floor(x);
    double part = x - (double)first;
    if (params->mode == TN_GRID_LINEAR) {
        t.count = 2;
        t.weight[0] = 1 - part;
        t.weight[1] = part;
    } else {
        first--;
        t.count = 4;
        for (int k = 0; k < 4; k++) t.weight[k] = cubic(fabs(part + 1 - k));
    }
    for (int k = 0; k < t.count; k++) t.at[k] = element_at(first + k, dim, params);
    return t;
}

/* ---- All axes ---------------------------------------------------------------------------------*/

/* The sum over all combinations of taps; base is the first element of a channel. */
static double sample(const tn_tensor *x, int64_t base, const taps *t)
{
    int axes = x->rank - 2, index[AXES_MAX] = {0};
    double sum = 0;
    for (;;) {
        double weight = 1;
        int64_t at = 0;
        bool inside = true;
        for (int i = 0; i < axes; i++) {
            int64_t k = t[i].at[index[i]];
            inside = inside && k >= 0;
            at = at * x->dim[2 + i] + k;
            weight *= t[i].weight[index[i]];
        }
        if (inside && weight != 0) sum += weight * tn_load_f64(x->dtype, x->data, base + at);
        int axis = axes - 1;
        while (axis >= 0 && ++index[axis] == t[axis].count) index[axis--] = 0;
        if (axis < 0) return sum;
    }
}

/* Nearest takes elements as they are. */
static void pick(const tn_tensor *x, int64_t base, const taps *t, const tn_tensor *y, int64_t to)
{
    int64_t at = 0;
    for (int i = 0; i < x->rank - 2; i++) {
        if (t[i].at[0] < 0) {
            tn_store_i64(y->dtype, y->data, to, 0);
            return;
        }
        at = at * x->dim[2 + i] + t[i].at[0];
    }
    tn_copy_elements(x->dtype, y->data, to, x->data, base + at, 1);
}

static tn_status reference(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_grid_sample_params *params = p->params;
    const tn_tensor *x = &p->in[0], *grid = &p->in[1], *y = &p->out[0];
    int axes = x->rank - 2;
    int64_t channels = x->dim[1], plane = tn_dims_product(x->dim, 2, x->rank);
    int64_t places = tn_dims_product(y->dim, 2, y->rank);
    taps t[AXES_MAX];
    if (tn_tensor_count(y) == 0) return NULL;
    TN_CHECK(plane > 0, TN_INVALID, "X has no elements to sample");
    for (int64_t n = 0; n < y->dim[0]; n++) {
        for (int64_t i = 0; i < places; i++) {
            for (int k = 0; k < axes; k++) {
                double g =
                    tn_load_f64(grid->dtype, grid->data, (n * places + i) * axes + axes - 1 - k);
                t[k] = taps_of(g, x->dim[2 + k], params, grid->dtype);
            }
            for (int64_t c = 0; c < channels; c++) {
                int64_t base = (n * channels + c) * plane, to = (n * channels + c) * places + i;
                if (params->mode == TN_GRID_NEAREST) pick(x, base, t, y, to);
                else tn_store_f64(y->dtype, y->data, to, sample(x, base, t));
            }
        }
    }
    return NULL;
}

/* Before opset 20 the modes were called bilinear and bicubic. */
static tn_status upgrade_below_20(tn_graph *graph, tn_node *node)
{
    const tn_attr *mode = tn_node_find_attr(node, "mode");
    (void)graph;
    if (!mode || mode->kind != TN_ATTR_TEXT || mode->text.bytes < 3 ||
        memcmp(mode->text.text, "bi", 2))
        return NULL;
    tn_attr renamed = *mode;
    renamed.text = (tn_string){mode->text.text + 2, mode->text.bytes - 2};
    return tn_node_set_attr(node, &renamed);
}

static const tn_case cases[] = {
    /* The middle of four, an edge half outside (half of the mean of 2 and 4), a place far outside.
     */
    {.problem = "GridSample f32[1,1,2,2]={1,2,3,4} f32[1,1,3,2]={0,0,1,0,5,5}",
     .expect = "f32[1,1,1,3]={2.5,1.5,0}"},
    {.problem = "GridSample{padding_mode=border} f32[1,1,2,2]={1,2,3,4} f32[1,1,3,2]={0,0,1,0,5,5}",
     .expect = "f32[1,1,1,3]={2.5,3,4}"},
    {.problem =
         "GridSample{align_corners=1, mode=nearest} i32[1,2,3]={1,2,3,4,5,6} f32[1,3,1]={-1,0.2,1}",
     .expect = "i32[1,2,3]={1,2,3,4,5,6}"},
    /* 1 + 1/2 of an element behind the last of three, mirrored at its centre: 0.5. */
    {.problem =
         "GridSample{align_corners=1, padding_mode=reflection} f32[1,1,3]={1,2,4} f32[1,1,1]={2.5}",
     .expect = "f32[1,1,1]={1.5}"},
    /* Half way: -3/32, 19/32, 19/32, -3/32. */
    {.problem = "GridSample{align_corners=1, mode=cubic} f32[1,1,4]={0,32,64,0} f32[1,1,1]={0}",
     .expect = "f32[1,1,1]={57}"},
    {.problem = "GridSample f32[2,3,5,6] f32[2,4,7,2]"},
    {.problem = "GridSample{mode=cubic, padding_mode=reflection} f32[2,3,5,6] f32[2,4,7,2]",
     .lo = -2,
     .hi = 2},
    {.problem = "GridSample{mode=cubic, padding_mode=border, align_corners=1} f64[1,2,3,4,5] "
                "f32[1,2,3,2,3]",
     .lo = -2,
     .hi = 2},
    {.problem = "GridSample{mode=nearest} u8[2,3,5,6] f16[2,4,7,2]", .lo = -1, .hi = 200},
    {0},
};

const tn_op tn_op_grid_sample = {
    .name = "GridSample",
    .since = 22,
    .about =
        "X read at the places of a grid: nearest, linear or cubic; zeros, border or mirror outside",
    .in = ins,
    .in_count = TN_COUNT(ins),
    .out = outs,
    .out_count = TN_COUNT(outs),
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_grid_sample_params),
    .infer = infer,
    .reference = reference,
    .upgrade = {{20, upgrade_below_20}},
    .cases = cases,
};
