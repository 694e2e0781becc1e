/* MaxRoiPool-22: the largest element of each bin of each region [image, x1, y1, x2, y2] of X [N, C,
 * H, W]. Corners are scaled, rounded and both inside; bins overlap by the elements they share; an
 * empty bin is 0. */
#include <math.h>

#include "ir/op.h"
#include "ops/roi/roi.h"

static const tn_field fields[] = {
    {.name = "pooled_shape",
     .kind = TN_FIELD_INTS,
     .required = true,
     .offset = offsetof(tn_max_roi_pool_params, pooled_shape)},
    TN_FLOAT(tn_max_roi_pool_params, spatial_scale, 1),
};
static const tn_port ins[] = {
    {"X", TN_DTS_FLOAT, 'T', 0},
    {"rois", TN_DTS_FLOAT, 'T', 0},
};
static const tn_port outs[] = {{"Y", TN_DTS_FLOAT, 'T', 0}};

static tn_status lower(const tn_node *node, void *params_out)
{
    const tn_max_roi_pool_params *params = params_out;
    (void)node;
    TN_CHECK(params->pooled_shape.count == 2 && params->pooled_shape.at[0] > 0 &&
                 params->pooled_shape.at[1] > 0,
             TN_INVALID, "pooled_shape must be two sizes above 0");
    return NULL;
}

static tn_status infer(tn_infer *f)
{
    const tn_max_roi_pool_params *params = f->params;
    const tn_type *x = &f->in[0], *rois = &f->in[1];
    char text_x[128], text_r[128];
    int64_t columns;
    bool fits = (x->rank < 0 || x->rank == 4) && (rois->rank < 0 || rois->rank == 2);
    if (fits && rois->rank == 2 && tn_expr_is_const(f->exprs, rois->dim[1], &columns))
        fits = columns == 5;
    TN_CHECK(fits, TN_INVALID, "X must be [N, C, H, W] and rois [regions, 5]: they are %s and %s",
             tn_type_text(f->exprs, x, text_x, sizeof text_x),
             tn_type_text(f->exprs, rois, text_r, sizeof text_r));
    tn_expr dim[4] = {rois->rank == 2 ? rois->dim[0] : TN_EXPR_NONE,
                      x->rank == 4 ? x->dim[1] : TN_EXPR_NONE,
                      tn_expr_const(f->exprs, params->pooled_shape.at[0]),
                      tn_expr_const(f->exprs, params->pooled_shape.at[1])};
    for (int i = 0; i < 2; i++)
        if (!dim[i]) dim[i] = tn_infer_fresh(f);
    tn_infer_set(f, 0, x->dtype, 4, dim);
    return NULL;
}

/* Elements [*begin, *end) of bin `bin` of `bins` between two corners. */
static void bin_range(double from, double to, int64_t bin, int64_t bins, int64_t dim,
                      int64_t *begin, int64_t *end)
{
    double size = fmax(to - from + 1, 1) / (double)bins, most = (double)dim;
    *begin = (int64_t)fmin(fmax(floor((double)bin * size) + from, 0), most);
    *end = (int64_t)fmin(fmax(ceil((double)(bin + 1) * size) + from, 0), most);
}

static tn_status reference(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_max_roi_pool_params *params = p->params;
    const tn_tensor *x = &p->in[0], *rois = &p->in[1], *y = &p->out[0];
    int64_t channels = x->dim[1], height = x->dim[2], width = x->dim[3];
    for (int64_t at = 0; at < tn_tensor_count(y); at++) {
        int64_t column = at % y->dim[3], row = at / y->dim[3] % y->dim[2];
        int64_t c = at / (y->dim[3] * y->dim[2]) % channels,
                r = at / (y->dim[3] * y->dim[2] * channels);
        int64_t top, bottom, left, right;
        double region[5], largest = -INFINITY;
        tn_load_f64s(rois->dtype, rois->data, r * 5, 5, region);
        TN_CHECK(region[0] >= 0 && region[0] < (double)x->dim[0], TN_INVALID,
                 "region %lld is of image %g; there are %lld", (long long)r, region[0],
                 (long long)x->dim[0]);
        for (int k = 1; k < 5; k++) region[k] = round(region[k] * params->spatial_scale);
        bin_range(region[2], region[4], row, y->dim[2], height, &top, &bottom);
        bin_range(region[1], region[3], column, y->dim[3], width, &left, &right);
        int64_t base = ((int64_t)region[0] * channels + c) * height * width;
        for (int64_t i = top; i < bottom; i++)
            for (int64_t j = left; j < right; j++)
                largest = fmax(largest, tn_load_f64(x->dtype, x->data, base + i * width + j));
        tn_store_f64(y->dtype, y->data, at, top < bottom && left < right ? largest : 0);
    }
    return NULL;
}

static const tn_case cases[] = {
    {.problem = "MaxRoiPool{pooled_shape=[1,2]} f32[1,1,2,4]={1,2,3,4,8,7,6,5} "
                "f32[2,5]={0,0,0,3,1,0,1,0,1,0}",
     .expect = "f32[2,1,1,2]={8,6,2,2}"},
    {.problem = "MaxRoiPool{pooled_shape=[1,1], spatial_scale=0.5} f32[1,1,2,4]={1,2,3,4,8,7,6,5} "
                "f32[2,5]={0,4,0,6,0,0,20,20,30,30}",
     .expect = "f32[2,1,1,1]={4,0}"},
    {.problem = "MaxRoiPool{pooled_shape=[3,4]} f32[1,3,12,15] "
                "f32[4,5]={0,0,0,9,9,0,3,2,4,11,0,5,5,5,5,0,-3,-3,2,2}"},
    {0},
};

const tn_op tn_op_max_roi_pool = {
    .name = "MaxRoiPool",
    .since = 22,
    .about = "the largest element of each bin of each region of feature maps",
    .in = ins,
    .in_count = TN_COUNT(ins),
    .out = outs,
    .out_count = TN_COUNT(outs),
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_max_roi_pool_params),
    .lower = lower,
    .infer = infer,
    .reference = reference,
    .cases = cases,
};
