/* Resize by nearest, linear or cubic neighbours, without antialiasing or regions. */
#include <stdio.h>

#include "backends/cuda/index.h"
#include "ops/resize/resize.h"

extern const tn_cuda_source tn_cuda_source_resize;

enum { AXES_MAX = 4 };

typedef struct task { /* as the kernel takes it */
    const void *x;
    void *y;
    const void *scales;
    uint32_t count;
    int32_t outside;
    float cubic;
    int32_t rank;
    int32_t in[TN_RANK_MAX], out[TN_RANK_MAX], scale_at[TN_RANK_MAX], step[TN_RANK_MAX];
    tn_cuda_divider dim[TN_RANK_MAX];
    int32_t kept_step[TN_RANK_MAX], changing[TN_RANK_MAX];
} task;

static const tn_tensor *scales_of(const tn_problem *p)
{
    return tn_cuda_has(p, 2) && tn_tensor_count(&p->in[2]) ? &p->in[2] : NULL;
}

/* The place of an axis in scales; -1: it is not spoken of. */
static int scale_at(const tn_resize_params *params, int axis, int rank)
{
    if (params->axes.count < 0) return axis;
    for (int i = 0; i < params->axes.count; i++)
        if (tn_axis_normal(params->axes.at[i], rank) == axis) return i;
    return -1;
}

/* A scale may differ from 1 where the dim stays the same; of one element there is one neighbour. */
static bool changes(const tn_problem *p, int axis)
{
    int64_t in = p->in[0].dim[axis], out = p->out[0].dim[axis];
    return in != out || (in > 1 && scales_of(p) && scale_at(p->params, axis, p->in[0].rank) >= 0);
}

static int count_changing(const tn_problem *p)
{
    int count = 0;
    for (int axis = 0; axis < p->in[0].rank; axis++) count += changes(p, axis);
    return count;
}

static tn_verdict accepts(const tn_problem *p)
{
    const tn_resize_params *params = p->params;
    bool nearest = params->mode == TN_RESIZE_NEAREST;
    if (nearest ? !tn_cuda_word_of(p->in[0].dtype) : !tn_cuda_type(p->in[0].dtype))
        return TN_NO("kernels do not know the type");
    if (params->antialias && !nearest) return TN_NO("antialiasing takes any number of neighbours");
    if (params->coordinate_transformation_mode == TN_RESIZE_TF_CROP_AND_RESIZE)
        return TN_NO("a region is cut out");
    if (params->keep_aspect_ratio_policy != TN_RESIZE_STRETCH && !scales_of(p))
        return TN_NO("the scale hangs on sizes");
    if (count_changing(p) > AXES_MAX) return TN_NO("more than 4 axes may change");
    for (int axis = 0; axis < p->in[0].rank; axis++)
        if (p->in[0].dim[axis] == 0) return TN_NO("the input is empty");
    return tn_cuda_fits(p) ? TN_YES : TN_CUDA_TOO_LARGE;
}

static uint64_t unused(const tn_problem *p)
{
    uint64_t bits = UINT64_C(1) << 1 | UINT64_C(1) << 3; /* roi and sizes */
    return scales_of(p) ? bits : bits | UINT64_C(1) << 2;
}

static tn_status launch(const tn_launch *l)
{
    static const int taps[] = {1, 2, 4};
    const tn_problem *p = l->problem;
    const tn_resize_params *params = p->params;
    const tn_tensor *x = &p->in[0], *y = &p->out[0], *scales = scales_of(p);
    bool nearest = params->mode == TN_RESIZE_NEAREST;
    task args = {.x = x->data,
                 .y = y->data,
                 .scales = scales ? scales->data : NULL,
                 .count = (uint32_t)tn_tensor_count(y),
                 .outside = !nearest && params->exclude_outside,
                 .cubic = params->cubic_coeff_a,
                 .rank = y->rank};
    int64_t step[TN_RANK_MAX];
    int axes = 0;
    char options[160];
    if (args.count == 0) return NULL;
    tn_cuda_dense_steps(x->dim, x->rank, step);
    for (int axis = 0; axis < y->rank; axis++) {
        args.dim[axis] = tn_cuda_divider_of(y->dim[axis]);
        args.changing[axis] = changes(p, axis) ? axes : -1;
        args.kept_step[axis] = changes(p, axis) ? 0 : (int32_t)step[axis];
        if (!changes(p, axis)) continue;
        int place = scale_at(params, axis, x->rank);
        args.in[axes] = (int32_t)x->dim[axis];
        args.out[axes] = (int32_t)y->dim[axis];
        args.scale_at[axes] = place < 0 ? 0 : place;
        args.step[axes++] = (int32_t)step[axis];
    }
    if (axes == 0) { /* nothing changes: one axis of one element, whose neighbour is itself */
        args.in[0] = args.out[0] = axes = 1;
        args.scales = NULL;
    }
    snprintf(options, sizeof options,
             "-DTX=%s -DTW=%s -DAXES=%d -DTAPS=%d -DCOORDINATES=%d -DROUNDING=%d",
             nearest ? tn_cuda_word_of(x->dtype) : tn_cuda_type(x->dtype),
             nearest ? "uint64" : tn_cuda_wide(x->dtype), axes, taps[params->mode],
             (int)params->coordinate_transformation_mode, (int)params->nearest_mode);
    return tn_cuda_run_plain(l, &tn_cuda_source_resize, "resize", options,
                             tn_cuda_blocks(args.count, 256), 256, (void *[]){&args});
}

extern const tn_tactic tn_cuda_resize[];
const tn_tactic tn_cuda_resize[] = {
    {
        .name = "cuda.resize.any.element",
        .op = "Resize",
        .revision = 1,
        .needs = TN_SM75,
        .accepts = accepts,
        .unused = unused,
        .launch = launch,
    },
    {0},
};
