/* RoiAlign-22: regions of feature maps X [N, C, H, W], each brought to output_height x
 * output_width.
 *
 * A region [x1, y1, x2, y2] is scaled to X and divided into bins; a bin is the mean (or largest) of
 * a grid of points inside it. A point is interpolated from the four elements around it; points more
 * than one element outside of X are zero. Max takes the largest of the four weighted elements of
 * all points, which is how the operator is defined. half_pixel shifts regions by half an element;
 * without it regions are at least one element wide, as before opset 16. */
#include <math.h>
#include <string.h>

#include "ir/op.h"
#include "ops/roi/roi.h"

enum { X, ROIS, BATCHES };
/* Points of one bin along one axis that anybody can mean. */
#define POINTS_MAX 1048576.0

static const tn_field fields[] = {
    TN_ENUM(tn_roi_align_params, coordinate_transformation_mode, TN_ROI_HALF_PIXEL,
            "half_pixel|output_half_pixel"),
    TN_ENUM(tn_roi_align_params, mode, TN_ROI_AVG, "avg|max"),
    TN_INT(tn_roi_align_params, output_height, 1),
    TN_INT(tn_roi_align_params, output_width, 1),
    TN_INT(tn_roi_align_params, sampling_ratio, 0),
    TN_FLOAT(tn_roi_align_params, spatial_scale, 1),
};
static const tn_port ins[] = {
    {"X", TN_DTS_FLOAT, 'T', 0},
    {"rois", TN_DTS_FLOAT, 'T', 0},
    {"batch_indices", TN_DTS_INDEX, 0, 0},
};
static const tn_port outs[] = {{"Y", TN_DTS_FLOAT, 'T', 0}};

static tn_status lower(const tn_node *node, void *params_out)
{
    const tn_roi_align_params *params = params_out;
    (void)node;
    TN_CHECK(params->output_height > 0 && params->output_width > 0 && params->sampling_ratio >= 0 &&
                 params->sampling_ratio <= (int64_t)POINTS_MAX,
             TN_INVALID, "an output of %lld x %lld with sampling_ratio %lld",
             (long long)params->output_height, (long long)params->output_width,
             (long long)params->sampling_ratio);
    return NULL;
}

static tn_status infer(tn_infer *f)
{
    const tn_roi_align_params *params = f->params;
    const tn_type *x = &f->in[X], *rois = &f->in[ROIS], *batches = &f->in[BATCHES];
    char text_x[128], text_r[128];
    TN_CHECK(batches->rank < 0 || batches->rank == 1, TN_INVALID, "batch_indices must be a list");
    TN_CHECK((x->rank < 0 || x->rank == 4) && (rois->rank < 0 || rois->rank == 2), TN_INVALID,
             "X must be [N, C, H, W] and rois [regions, 4]: they are %s and %s",
             tn_type_text(f->exprs, x, text_x, sizeof text_x),
             tn_type_text(f->exprs, rois, text_r, sizeof text_r));
    int64_t columns, regions, indices;
    if (rois->rank == 2 && tn_expr_is_const(f->exprs, rois->dim[1], &columns))
        TN_CHECK(columns == 4, TN_INVALID, "rois must have 4 columns: it is %s",
                 tn_type_text(f->exprs, rois, text_r, sizeof text_r));
    if (rois->rank == 2 && batches->rank == 1 &&
        tn_expr_is_const(f->exprs, rois->dim[0], &regions) &&
        tn_expr_is_const(f->exprs, batches->dim[0], &indices))
        TN_CHECK(regions == indices, TN_INVALID, "%lld regions have %lld batch indices",
                 (long long)regions, (long long)indices);
    tn_expr dim[4] = {rois->rank == 2 ? rois->dim[0] : TN_EXPR_NONE,
                      x->rank == 4 ? x->dim[1] : TN_EXPR_NONE,
                      tn_expr_const(f->exprs, params->output_height),
                      tn_expr_const(f->exprs, params->output_width)};
    for (int i = 0; i < 2; i++)
        if (!dim[i]) dim[i] = tn_infer_fresh(f);
    tn_infer_set(f, 0, x->dtype, 4, dim);
    return NULL;
}

/* One axis of a region: where it begins, how wide a bin is, how many points a bin has. */
typedef struct span {
    double begin, bin;
    int64_t points, dim;
} span;

static tn_status span_of(const tn_roi_align_params *params, double from, double to, int64_t bins,
                         int64_t dim, span *out)
{
    double shift = params->coordinate_transformation_mode == TN_ROI_HALF_PIXEL ? 0.5 : 0;
    double begin = from * params->spatial_scale - shift,
           size = to * params->spatial_scale - shift - begin;
    if (shift == 0) size = fmax(size, 1);
    double points =
        params->sampling_ratio ? (double)params->sampling_ratio : ceil(size / (double)bins);
    TN_CHECK(isfinite(begin) && points <= POINTS_MAX, TN_INVALID, "a region reaches from %g to %g",
             from, to);
    *out = (span){begin, size / (double)bins, points > 0 ? (int64_t)points : 0, dim};
    return NULL;
}

/* The two elements around a point and the weight of the second; false if it lies outside. */
static bool around(const span *s, int64_t bin, int64_t point, int64_t at[2], double *second)
{
    double x = s->begin + (double)bin * s->bin + ((double)point + 0.5) * s->bin / (double)s->points;
    if (!(x >= -1 && x <= (double)s->dim)) return false;
    x = fmax(x, 0);
    at[0] = (int64_t)x;
    if (at[0] >= s->dim - 1) {
        at[0] = at[1] = s->dim - 1;
        *second = 0;
        return true;
    }
    at[1] = at[0] + 1;
    *second = x - (double)at[0];
    return true;
}

static double pool_bin(const tn_tensor *x, int64_t base, const span *rows, const span *columns,
                       int64_t bin_y, int64_t bin_x, bool largest)
{
    double sum = 0, top = -INFINITY;
    for (int64_t i = 0; i < rows->points; i++) {
        for (int64_t j = 0; j < columns->points; j++) {
            int64_t row[2] = {0}, column[2] = {0};
            double weight_y = 0, weight_x = 0;
            bool inside = around(rows, bin_y, i, row, &weight_y) &&
                          around(columns, bin_x, j, column, &weight_x);
            for (int k = 0; k < 4; k++) {
                double weight =
                           (k & 2 ? weight_y : 1 - weight_y) * (k & 1 ? weight_x : 1 - weight_x),
                       value = 0;
                if (inside)
                    value = weight * tn_load_f64(x->dtype, x->data,
                                                 base + row[k >> 1] * columns->dim + column[k & 1]);
                sum += value;
                top = fmax(top, value);
            }
        }
    }
    int64_t points = rows->points * columns->points;
    if (largest) return points ? top : 0;
    return sum / (double)TN_MAX(points, 1);
}

static tn_status reference(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_roi_align_params *params = p->params;
    const tn_tensor *x = &p->in[X], *rois = &p->in[ROIS], *batches = &p->in[BATCHES],
                    *y = &p->out[0];
    int64_t channels = x->dim[1], height = x->dim[2], width = x->dim[3], at = 0;
    if (tn_tensor_count(y) == 0) return NULL;
    TN_CHECK(height > 0 && width > 0, TN_INVALID, "X has no elements to sample");
    for (int64_t r = 0; r < y->dim[0]; r++) {
        int64_t batch = tn_load_i64(batches->dtype, batches->data, r);
        double corner[4];
        span rows, columns;
        TN_CHECK(batch >= 0 && batch < x->dim[0], TN_INVALID,
                 "region %lld is of image %lld; there are %lld", (long long)r, (long long)batch,
                 (long long)x->dim[0]);
        tn_load_f64s(rois->dtype, rois->data, r * 4, 4, corner);
        TN_TRY(span_of(params, corner[0], corner[2], y->dim[3], width, &columns));
        TN_TRY(span_of(params, corner[1], corner[3], y->dim[2], height, &rows));
        for (int64_t c = 0; c < channels; c++)
            for (int64_t i = 0; i < y->dim[2]; i++)
                for (int64_t j = 0; j < y->dim[3]; j++)
                    tn_store_f64(y->dtype, y->data, at++,
                                 pool_bin(x, (batch * channels + c) * height * width, &rows,
                                          &columns, i, j, params->mode == TN_ROI_MAX));
    }
    return NULL;
}

/* RoiAlign-10 did not shift. */
static tn_status upgrade_below_16(tn_graph *graph, tn_node *node)
{
    const char *mode = "output_half_pixel";
    tn_attr attr = {.name = "coordinate_transformation_mode",
                    .kind = TN_ATTR_TEXT,
                    .text = {mode, strlen(mode)}};
    (void)graph;
    return tn_node_set_attr(node, &attr);
}

static const tn_case cases[] = {
    /* One bin over the four elements, one point in their middle; then four points, one on each. */
    {.problem = "RoiAlign f32[1,1,2,2]={1,2,3,4} f32[1,4]={0.5,0.5,1.5,1.5} i64[1]={0}",
     .expect = "f32[1,1,1,1]={2.5}"},
    {.problem = "RoiAlign{output_width=2} f32[1,1,2,2]={1,2,3,4} f32[1,4]={0,0,2,2} i64[1]={0}",
     .expect = "f32[1,1,1,2]={2,3}"},
    {.problem = "RoiAlign{mode=max} f32[1,1,2,2]={1,2,3,4} f32[1,4]={0.5,0.5,1.5,1.5} i64[1]={0}",
     .expect = "f32[1,1,1,1]={1}"},
    {.problem = "RoiAlign{coordinate_transformation_mode=output_half_pixel} f32[2,1,1,2]={0,0,1,3} "
                "f32[1,4]={0,0,0,0} i32[1]={1}",
     .expect = "f32[1,1,1,1]={2}"},
    {.problem = "RoiAlign{output_height=3, output_width=4, sampling_ratio=2, spatial_scale=0.5} "
                "f32[2,3,10,9] "
                "f32[5,4] i64[5]={0,1,0,1,1}",
     .lo = 0,
     .hi = 18},
    {.problem = "RoiAlign{output_height=2, output_width=2} f16[1,3,10,9] "
                "f16[2,4]={-3,-2,5,7,0,0,30,40} i64[2]={0,0}"},
    {0},
};

const tn_op tn_op_roi_align = {
    .name = "RoiAlign",
    .since = 22,
    .about = "regions of feature maps, interpolated and pooled to one size",
    .in = ins,
    .in_count = TN_COUNT(ins),
    .out = outs,
    .out_count = TN_COUNT(outs),
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_roi_align_params),
    .lower = lower,
    .infer = infer,
    .reference = reference,
    .upgrade = {{16, upgrade_below_16}},
    .cases = cases,
};
