/* Elements to other places: Transpose, Expand, Tile, DepthToSpace, SpaceToDepth, and copies of what
 * could not be a view. */
#include <stdio.h>

#include "backends/cuda/index.h"
#include "ops/depth_to_space/depth_to_space.h"
#include "ops/transpose/transpose.h"

extern const tn_cuda_source tn_cuda_source_copy;

enum { THREADS = 256, TILED_FROM = 16 };

typedef struct steps { /* as the kernel takes them */
    const void *x;
    void *y;
    uint32_t count;
    int32_t inner;
    tn_cuda_divider dim[TN_RANK_MAX];
    int32_t step[TN_RANK_MAX];
} steps;

typedef struct plane { /* as the kernel takes it */
    const void *x;
    void *y;
    int32_t rows, columns, x_step, y_step, tiles_down, tiles_across, rank;
    int32_t dim[TN_RANK_MAX], x_other[TN_RANK_MAX], y_other[TN_RANK_MAX];
} plane;

/* ---- Two kernels -----------------------------------------------------------------------------*/

static tn_status run_steps(const tn_launch *l, const tn_cuda_index *index, const void *x, void *y,
                           size_t element_bytes)
{
    steps args = {.x = x, .y = y, .count = 1};
    int inner = index->rank - 1, vector = tn_cuda_vector(element_bytes);
    char options[120];
    for (int axis = 0; axis < index->rank; axis++) args.count *= (uint32_t)index->dim[axis];
    if (args.count == 0) return NULL;
    bool runs = index->step[0][inner] == 1;
    vector = tn_cuda_vector_at(vector, y, element_bytes);
    if (index->rank > 1) vector = tn_cuda_vector_dividing(vector, index->dim[inner]);
    if (runs) vector = tn_cuda_vector_at(vector, x, element_bytes);
    /* Rows of x start at multiples of the steps of the other axes. */
    for (int axis = 0; runs && axis < inner; axis++)
        vector = tn_cuda_vector_dividing(vector, index->step[0][axis]);
    args.inner = (int32_t)index->step[0][inner];
    for (int axis = 0; axis < index->rank; axis++) {
        int some = axis == inner ? vector : 1;
        args.dim[axis] = tn_cuda_divider_of(index->rank > 1 ? index->dim[axis] / some : 1);
        args.step[axis] = (int32_t)index->step[0][axis] * some;
    }
    snprintf(options, sizeof options, "-DWORD=%s -DRANK=%d -DVEC=%d -DRUNS=%d",
             tn_cuda_word(element_bytes), index->rank, vector, runs);
    return tn_cuda_run_plain(l, &tn_cuda_source_copy, "copy", options,
                             tn_cuda_blocks(args.count, (int64_t)THREADS * vector), THREADS,
                             (void *[]){&args});
}

/* `row_axis`: where x is dense; y is along the last. */
static tn_status run_tiles(const tn_launch *l, const tn_cuda_index *index, int row_axis,
                           const void *x, void *y, size_t element_bytes)
{
    plane args = {.x = x, .y = y};
    int inner = index->rank - 1, side = element_bytes < 4 ? 64 : 32;
    int64_t y_step[TN_RANK_MAX], blocks = 1;
    char options[120];
    tn_cuda_dense_steps(index->dim, index->rank, y_step);
    args.rows = (int32_t)index->dim[row_axis];
    args.columns = (int32_t)index->dim[inner];
    args.x_step = (int32_t)index->step[0][inner];
    args.y_step = (int32_t)y_step[row_axis];
    args.tiles_down = (args.rows + side - 1) / side;
    args.tiles_across = (args.columns + side - 1) / side;
    for (int axis = 0; axis < inner; axis++) {
        if (axis == row_axis) continue;
        blocks *= index->dim[axis];
        args.dim[args.rank] = (int32_t)index->dim[axis];
        args.x_other[args.rank] = (int32_t)index->step[0][axis];
        args.y_other[args.rank++] = (int32_t)y_step[axis];
    }
    blocks *= (int64_t)args.tiles_down * args.tiles_across;
    snprintf(options, sizeof options, "-DWORD=%s -DRANK=1 -DVEC=1 -DRUNS=1",
             tn_cuda_word(element_bytes));
    return tn_cuda_run_plain(l, &tn_cuda_source_copy, "transpose", options,
                             tn_cuda_blocks(blocks, 1), THREADS, (void *[]){&args});
}

/* y's dims and x's steps, not joined yet. */
static tn_status run_index(const tn_launch *l, tn_cuda_index *index)
{
    const tn_tensor *x = &l->problem->in[0], *y = &l->problem->out[0];
    if (tn_tensor_count(y) == 0) return NULL;
    tn_cuda_index_join(index);
    int inner = index->rank - 1;
    if (index->step[0][inner] > 1 && index->dim[inner] >= TILED_FROM)
        for (int axis = 0; axis < inner; axis++)
            if (index->step[0][axis] == 1 && index->dim[axis] >= TILED_FROM)
                return run_tiles(l, index, axis, x->data, y->data, tn_cuda_bytes(x));
    return run_steps(l, index, x->data, y->data, tn_cuda_bytes(x));
}

static tn_verdict accepts_words(const tn_problem *p)
{
    if (!tn_cuda_word_of(p->in[0].dtype)) return TN_NO("elements are not of 1, 2, 4 or 8 bytes");
    return tn_cuda_fits(p) ? TN_YES : TN_CUDA_TOO_LARGE;
}

/* ---- Transpose -------------------------------------------------------------------------------*/

static tn_status launch_transpose(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_transpose_params *params = p->params;
    const tn_tensor *x = &p->in[0], *y = &p->out[0];
    int64_t step[TN_RANK_MAX];
    tn_cuda_index index = {.rank = y->rank, .operand_count = 1};
    tn_cuda_dense_steps(x->dim, x->rank, step);
    for (int axis = 0; axis < y->rank; axis++) {
        int from = params->perm.count < 0 ? x->rank - 1 - axis
                                          : tn_axis_normal(params->perm.at[axis], x->rank);
        index.dim[axis] = y->dim[axis];
        index.step[0][axis] = step[from];
    }
    return run_index(l, &index);
}

/* ---- Expand and Tile: the shape and the repeats are in the output's dims ---------------------*/

static uint64_t unused_second(const tn_problem *p)
{
    (void)p;
    return UINT64_C(1) << 1;
}

static tn_status launch_expand(const tn_launch *l)
{
    const tn_tensor *x = &l->problem->in[0], *y = &l->problem->out[0];
    tn_cuda_index index;
    tn_cuda_index_broadcast(y, &x, 1, &index);
    return run_index(l, &index);
}

/* [r d] is [r, d], x repeating along r. Returns the number of axes. */
static int split_repeats(const tn_tensor *x, const tn_tensor *y, tn_cuda_index *out)
{
    int64_t step[TN_RANK_MAX];
    int rank = 0;
    tn_cuda_dense_steps(x->dim, x->rank, step);
    for (int axis = 0; axis < x->rank; axis++) {
        int64_t length = x->dim[axis], repeats = length > 0 ? y->dim[axis] / length : 0;
        for (int part = 0; part < 2; part++) {
            int64_t dim = part ? length : repeats;
            if (dim == 1) continue;
            if (rank < TN_RANK_MAX && out) {
                out->dim[rank] = dim;
                out->step[0][rank] = part ? step[axis] : 0;
            }
            rank++;
        }
    }
    return rank;
}

static tn_verdict accepts_tile(const tn_problem *p)
{
    if (split_repeats(&p->in[0], &p->out[0], NULL) > TN_RANK_MAX)
        return TN_NO("axes and repeats are more than 8");
    return accepts_words(p);
}

static tn_status launch_tile(const tn_launch *l)
{
    tn_cuda_index index = {.operand_count = 1};
    index.rank = split_repeats(&l->problem->in[0], &l->problem->out[0], &index);
    return run_index(l, &index);
}

/* ---- Blocks of pixels and channels -----------------------------------------------------------*/

/* Steps of the tensor with many channels, over [n, channel, h, block row, w, block column]. */
static void depth_steps(const tn_tensor *depth, int64_t block, int64_t channels, bool depth_first,
                        int64_t *step)
{
    int64_t area = depth->dim[2] * depth->dim[3];
    step[0] = depth->dim[1] * area;
    step[1] = (depth_first ? 1 : block * block) * area;
    step[2] = depth->dim[3];
    step[3] = (depth_first ? block * channels : block) * area;
    step[4] = 1;
    step[5] = (depth_first ? channels : 1) * area;
}

static tn_status launch_to_space(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_depth_to_space_params *params = p->params;
    const tn_tensor *x = &p->in[0], *y = &p->out[0];
    int64_t b = params->blocksize, channels = y->dim[1];
    tn_cuda_index index = {
        .rank = 6, .operand_count = 1, .dim = {x->dim[0], channels, x->dim[2], b, x->dim[3], b}};
    depth_steps(x, b, channels, params->mode == TN_DEPTH_DCR, index.step[0]);
    return run_index(l, &index);
}

/* y's axes in order: DCR [n, row, column, channel, h, w], CRD [n, channel, row, column, h, w]. */
static tn_status launch_to_depth(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_depth_to_space_params *params = p->params;
    const tn_tensor *x = &p->in[0], *y = &p->out[0];
    int64_t b = params->blocksize, channels = x->dim[1], width = x->dim[3];
    int64_t area = x->dim[2] * width;
    bool depth_first = params->mode == TN_DEPTH_DCR;
    tn_cuda_index index = {.rank = 6, .operand_count = 1};
    int64_t dim[] = {
        x->dim[0], depth_first ? b : channels, b, depth_first ? channels : b, y->dim[2], y->dim[3]};
    int64_t step[] = {channels * area, width, 1, area, b * width, b};
    if (!depth_first) {
        step[1] = area;
        step[2] = width;
        step[3] = 1;
    }
    for (int axis = 0; axis < 6; axis++) {
        index.dim[axis] = dim[axis];
        index.step[0][axis] = step[axis];
    }
    return run_index(l, &index);
}

/* ---- Copies of what could not be a view ------------------------------------------------------*/

static tn_verdict accepts_same(const tn_problem *p)
{
    if (p->in[0].dtype == TN_DTYPE_STRING) return TN_NO("strings stay on the host");
    if (tn_tensor_bytes(&p->in[0]) > INT32_MAX) return TN_NO("the tensor has 2^31 bytes or more");
    return TN_YES;
}

static uint64_t unused_others(const tn_problem *p)
{
    return (UINT64_C(1) << TN_MIN(p->in_count, 63)) - 2;
}

static tn_status launch_same(const tn_launch *l)
{
    const tn_tensor *x = &l->problem->in[0], *y = &l->problem->out[0];
    tn_cuda_index index = {
        .rank = 1, .operand_count = 1, .dim = {tn_tensor_bytes(x)}, .step = {{1}}};
    if (x->data == y->data || index.dim[0] == 0) return NULL;
    return run_steps(l, &index, x->data, y->data, 1);
}

static tn_verdict accepts_dropout(const tn_problem *p)
{
    bool off = !tn_cuda_has(p, 2) || (p->in_constant >> 2 & 1 && p->in[2].data &&
                                      !tn_load_i64(p->in[2].dtype, p->in[2].data, 0));
    if (!off) return TN_NO("training may be on");
    if (p->out_count > 1 && p->out[1].dtype) return TN_NO("the mask is asked for");
    return accepts_same(p);
}

#define TACTIC(text, operator_name, accepts_it, unused_by_it, launch_it)                           \
    {                                                                                              \
        .name = "cuda." text, .op = operator_name, .revision = 1, .needs = TN_SM75,                \
        .accepts = accepts_it, .unused = unused_by_it, .launch = launch_it,                        \
    }

extern const tn_tactic tn_cuda_copy[];
const tn_tactic tn_cuda_copy[] = {
    TACTIC("transpose.any.tile", "Transpose", accepts_words, NULL, launch_transpose),
    TACTIC("expand.any.steps", "Expand", accepts_words, unused_second, launch_expand),
    TACTIC("tile.any.steps", "Tile", accepts_tile, unused_second, launch_tile),
    TACTIC("depthtospace.any.steps", "DepthToSpace", accepts_words, NULL, launch_to_space),
    TACTIC("spacetodepth.any.steps", "SpaceToDepth", accepts_words, NULL, launch_to_depth),
    TACTIC("identity.any.bytes", "Identity", accepts_same, NULL, launch_same),
    TACTIC("reshape.any.bytes", "Reshape", accepts_same, unused_others, launch_same),
    TACTIC("flatten.any.bytes", "Flatten", accepts_same, NULL, launch_same),
    TACTIC("squeeze.any.bytes", "Squeeze", accepts_same, unused_others, launch_same),
    TACTIC("unsqueeze.any.bytes", "Unsqueeze", accepts_same, unused_others, launch_same),
    TACTIC("dropout.any.bytes", "Dropout", accepts_dropout, unused_others, launch_same),
    {0},
};
