/* DepthToSpace-13 and SpaceToDepth-28: channels to blocks of blocksize x blocksize pixels, and
 * back.
 *
 * With b the blocksize, (i, j) the place in a block and C the channels of the spacious side:
 *
 *     space[n, c, h * b + i, w * b + j] = depth[n, channel, h, w]
 *     channel = (i * b + j) * C + c        mode DCR (depth first)
 *     channel = c * b * b + i * b + j      mode CRD
 */
#include "ops/depth_to_space/depth_to_space.h"

#include "ops/moving.h"

static const tn_field fields[] = {
    {.name = "blocksize",
     .kind = TN_FIELD_INT,
     .offset = offsetof(tn_depth_to_space_params, blocksize),
     .required = true},
    TN_ENUM(tn_depth_to_space_params, mode, TN_DEPTH_DCR, "DCR|CRD"),
};
static const tn_port ins[] = {{"input", TN_DTS_ANY, 'T', 0}};
static const tn_port outs[] = {{"output", TN_DTS_ANY, 'T', 0}};

/* dim / divisor; what is known not to divide is refused. */
static tn_status divide(tn_infer *f, tn_expr dim, int64_t divisor, int axis, tn_expr *out)
{
    int64_t value;
    TN_CHECK(!tn_expr_is_const(f->exprs, dim, &value) || value % divisor == 0, TN_INVALID,
             "axis %d has %lld, no multiple of %lld", axis, (long long)value, (long long)divisor);
    *out = tn_expr_div(f->exprs, dim, tn_expr_const(f->exprs, divisor));
    return NULL;
}

static tn_status infer_dims(tn_infer *f, bool to_space)
{
    const tn_depth_to_space_params *params = f->params;
    const tn_type *x = &f->in[0];
    int64_t b = params->blocksize;
    TN_CHECK(b > 0 && b <= INT32_MAX, TN_INVALID, "blocksize is %lld", (long long)b);
    TN_CHECK(x->rank < 0 || x->rank == 4, TN_INVALID, "the input has rank %d, must have 4",
             x->rank);
    if (x->rank < 0) {
        tn_infer_set_fresh(f, 0, x->dtype, 4);
        return NULL;
    }
    tn_expr dim[4] = {x->dim[0]};
    if (to_space) TN_TRY(divide(f, x->dim[1], b * b, 1, &dim[1]));
    else dim[1] = tn_expr_mul(f->exprs, x->dim[1], tn_expr_const(f->exprs, b * b));
    for (int k = 2; k < 4; k++) {
        if (to_space) dim[k] = tn_expr_mul(f->exprs, x->dim[k], tn_expr_const(f->exprs, b));
        else TN_TRY(divide(f, x->dim[k], b, k, &dim[k]));
    }
    tn_infer_set(f, 0, x->dtype, 4, dim);
    return NULL;
}

static tn_status infer_space(tn_infer *f)
{
    return infer_dims(f, true);
}

static tn_status infer_depth(tn_infer *f)
{
    return infer_dims(f, false);
}

/* One strided copy over [n, c, h, i, w, j]. */
static tn_status move_blocks(const tn_launch *l, const tn_tensor *depth, const tn_tensor *space,
                             bool to_space)
{
    const tn_depth_to_space_params *params = l->problem->params;
    const tn_tensor *x = &l->problem->in[0], *y = &l->problem->out[0];
    int64_t b = params->blocksize, channels = space->dim[1], plane = depth->dim[2] * depth->dim[3];
    TN_CHECK(depth->dim[0] == space->dim[0] && depth->dim[1] == channels * b * b &&
                 space->dim[2] == depth->dim[2] * b && space->dim[3] == depth->dim[3] * b,
             TN_INVALID, "the dims are no multiples of the blocksize %lld", (long long)b);
    tn_move move = {
        .dtype = x->dtype,
        .rank = 6,
        .dst = y->data,
        .src = x->data,
        .dim = {depth->dim[0], channels, depth->dim[2], b, depth->dim[3], b},
    };
    bool dcr = params->mode == TN_DEPTH_DCR;
    int64_t width = space->dim[3];
    int64_t of_depth[] = {depth->dim[1] * plane,
                          (dcr ? 1 : b * b) * plane,
                          depth->dim[3],
                          (dcr ? b * channels : b) * plane,
                          1,
                          (dcr ? channels : 1) * plane};
    int64_t of_space[] = {
        channels * space->dim[2] * width, space->dim[2] * width, b * width, width, b, 1};
    for (int k = 0; k < 6; k++) {
        move.src_step[k] = to_space ? of_depth[k] : of_space[k];
        move.dst_step[k] = to_space ? of_space[k] : of_depth[k];
    }
    tn_move_run(&move);
    return NULL;
}

static tn_status to_space(const tn_launch *l)
{
    return move_blocks(l, &l->problem->in[0], &l->problem->out[0], true);
}

static tn_status to_depth(const tn_launch *l)
{
    return move_blocks(l, &l->problem->out[0], &l->problem->in[0], false);
}

static const tn_case space_cases[] = {
    {.problem = "DepthToSpace{blocksize=2} f32[1,8,1,1]={0,1,2,3,4,5,6,7}",
     .expect = "f32[1,2,2,2]={0,2,4,6,1,3,5,7}"},
    {.problem = "DepthToSpace{blocksize=2, mode=CRD} f32[1,8,1,1]={0,1,2,3,4,5,6,7}",
     .expect = "f32[1,2,2,2]={0,1,2,3,4,5,6,7}"},
    {.problem = "DepthToSpace{blocksize=3} f32[2,18,5,4]"},
    {0},
};

static const tn_case depth_cases[] = {
    {.problem = "SpaceToDepth{blocksize=2} f32[1,2,2,2]={0,2,4,6,1,3,5,7}",
     .expect = "f32[1,8,1,1]={0,1,2,3,4,5,6,7}"},
    {.problem = "SpaceToDepth{blocksize=2} i8[1,1,2,4]={0,1,2,3,4,5,6,7}",
     .expect = "i8[1,4,1,2]={0,2,1,3,4,6,5,7}"},
    {.problem = "SpaceToDepth{blocksize=2} f32[2,3,6,4]"},
    {0},
};

const tn_op tn_op_depth_to_space = {
    .name = "DepthToSpace",
    .since = 13,
    .about = "channels to blocks of pixels",
    .in = ins,
    .in_count = TN_COUNT(ins),
    .out = outs,
    .out_count = TN_COUNT(outs),
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_depth_to_space_params),
    .infer = infer_space,
    .reference = to_space,
    .cases = space_cases,
};

const tn_op tn_op_space_to_depth = {
    .name = "SpaceToDepth",
    .since = 28,
    .about = "blocks of pixels to channels",
    .in = ins,
    .in_count = TN_COUNT(ins),
    .out = outs,
    .out_count = TN_COUNT(outs),
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_depth_to_space_params),
    .infer = infer_depth,
    .reference = to_depth,
    .cases = depth_cases,
};
