/* AffineGrid-20: the places of an image [N, C, (D,) H, W] under an affine map theta [N, r, r + 1],
 * as GridSample reads them: y[n, .., i] = sum over j of theta[n, i, j] * place[j] + theta[n, i, r],
 * with place = (x, y (, z)) evenly spaced from -1 to 1: over centres (align_corners) or over edges.
 */
#include "ops/affine_grid/affine_grid.h"

#include "ops/moving.h"

static const tn_field fields[] = {
    TN_INT(tn_affine_grid_params, align_corners, 0),
};
static const tn_port ins[] = {
    {"theta", TN_DTS_FLOAT, 'T', 0},
    {"size", TN_DT(I64), 0, 0},
};
static const tn_port outs[] = {{"grid", TN_DTS_FLOAT, 'T', 0}};

static tn_status infer(tn_infer *f)
{
    const tn_type *theta = &f->in[0];
    const tn_expr *size = NULL;
    int64_t count = tn_infer_length(f, 1), rows;
    char text[128];
    if (!tn_infer_exprs(f, 1, &size, &count)) size = NULL;
    if (theta->rank >= 0) {
        TN_CHECK(theta->rank == 3, TN_INVALID, "theta must be [N, 2, 3] or [N, 3, 4]: it is %s",
                 tn_type_text(f->exprs, theta, text, sizeof text));
        if (count < 0 && tn_expr_is_const(f->exprs, theta->dim[1], &rows)) count = rows + 2;
        TN_CHECK(count < 0 || !tn_expr_is_const(f->exprs, theta->dim[1], &rows) ||
                     rows == count - 2,
                 TN_INVALID, "size has %lld elements, theta is %s", (long long)count,
                 tn_type_text(f->exprs, theta, text, sizeof text));
    }
    if (count < 0) {
        tn_infer_set(f, 0, theta->dtype, -1, NULL);
        return NULL;
    }
    TN_CHECK(count == 4 || count == 5, TN_INVALID, "size must have 4 or 5 elements, not %lld",
             (long long)count);
    tn_expr dim[5] = {theta->rank == 3 ? theta->dim[0] : TN_EXPR_NONE};
    if (!dim[0] && size) dim[0] = size[0];
    for (int i = 2; i < count && size; i++) dim[i - 1] = size[i];
    dim[count - 1] = tn_expr_const(f->exprs, count - 2);
    for (int i = 0; i < count; i++)
        if (!dim[i]) dim[i] = tn_infer_fresh(f);
    tn_infer_set(f, 0, theta->dtype, (int)count, dim);
    return NULL;
}

static double place_of(int64_t i, int64_t dim, bool align_corners)
{
    if (!align_corners) return (double)(2 * i + 1) / (double)dim - 1;
    return dim > 1 ? 2 * (double)i / (double)(dim - 1) - 1 : 0;
}

static tn_status reference(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_affine_grid_params *params = p->params;
    const tn_tensor *theta = &p->in[0], *y = &p->out[0];
    int axes = y->rank - 2;
    int64_t index[TN_RANK_MAX] = {0}, count = tn_dims_product(y->dim, 0, y->rank - 1);
    TN_CHECK(theta->dim[0] == y->dim[0] && theta->dim[1] == axes && theta->dim[2] == axes + 1,
             TN_INVALID, "theta is [%lld, %lld, %lld] for a grid of %d axes",
             (long long)theta->dim[0], (long long)theta->dim[1], (long long)theta->dim[2], axes);
    for (int64_t at = 0; at < count; at++, tn_index_next(index, y->dim, y->rank - 1)) {
        double place[3];
        for (int j = 0; j < axes; j++)
            place[j] = place_of(index[axes - j], y->dim[axes - j], params->align_corners);
        for (int i = 0; i < axes; i++) {
            int64_t row = (index[0] * axes + i) * (axes + 1);
            double sum = tn_load_f64(theta->dtype, theta->data, row + axes);
            for (int j = 0; j < axes; j++)
                sum += tn_load_f64(theta->dtype, theta->data, row + j) * place[j];
            tn_store_f64(y->dtype, y->data, at * axes + i, sum);
        }
    }
    return NULL;
}

static const tn_case cases[] = {
    {.problem = "AffineGrid f32[1,2,3]={1,0,0,0,1,0} i64[4]={1,1,2,2}",
     .expect = "f32[1,2,2,2]={-0.5,-0.5,0.5,-0.5,-0.5,0.5,0.5,0.5}"},
    {.problem = "AffineGrid{align_corners=1} f32[1,2,3]={0,2,1,1,0,0} i64[4]={1,3,1,3}",
     .expect = "f32[1,1,3,2]={1,-1,1,0,1,1}"},
    {.problem = "AffineGrid f64[1,3,4]={1,0,0,0,0,1,0,0,0,0,1,5} i64[5]={1,1,2,1,1}",
     .expect = "f64[1,2,1,1,3]={0,0,4.5,0,0,5.5}"},
    {.problem = "AffineGrid f32[2,3,4] i64[5]={2,3,4,5,6}"},
    {0},
};

const tn_op tn_op_affine_grid = {
    .name = "AffineGrid",
    .since = 20,
    .about = "a grid of places from -1 to 1 under an affine map, for GridSample",
    .in = ins,
    .in_count = TN_COUNT(ins),
    .out = outs,
    .out_count = TN_COUNT(outs),
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_affine_grid_params),
    .infer = infer,
    .reference = reference,
    .shape_inputs = 1 << 1,
    .cases = cases,
};
