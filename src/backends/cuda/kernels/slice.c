/* Slice, Pad and Trilu, whose limits the kernels read themselves. */
#include <stdio.h>

#include "backends/cuda/index.h"
#include "ops/pad/pad.h"
#include "ops/trilu/trilu.h"

extern const tn_cuda_source tn_cuda_source_slice;

enum { THREADS = 256 };

typedef struct slice_task { /* as the kernel takes it */
    const void *x;
    void *y;
    const void *starts, *ends, *axes, *steps;
    uint32_t count;
    int32_t rank, limit_count, joined;
    int32_t x_dim[TN_RANK_MAX], x_step[TN_RANK_MAX], y_dim[TN_RANK_MAX];
    tn_cuda_divider joined_dim[TN_RANK_MAX];
    int32_t joined_step[TN_RANK_MAX];
} slice_task;

typedef struct pad_task { /* as the kernel takes it */
    const void *x;
    void *y;
    const void *pads, *fill, *axes;
    uint32_t count;
    int32_t rank, axis_count;
    int32_t x_dim[TN_RANK_MAX], x_step[TN_RANK_MAX];
    tn_cuda_divider y_dim[TN_RANK_MAX];
} pad_task;

static tn_status run(const tn_launch *l, const char *entry, const char *options, int64_t threads,
                     void **args)
{
    return tn_cuda_run_plain(l, &tn_cuda_source_slice, entry, options,
                             tn_cuda_blocks(threads, THREADS), THREADS, args);
}

static tn_verdict accepts(const tn_problem *p)
{
    if (!tn_cuda_word_of(p->in[0].dtype)) return TN_NO("elements are not of 1, 2, 4 or 8 bytes");
    return tn_cuda_fits(p) ? TN_YES : TN_CUDA_TOO_LARGE;
}

/* Are inputs [first, in_count) weights, as far as they are there? */
static bool all_constant(const tn_problem *p, int first)
{
    for (int i = first; i < p->in_count && i < 64; i++)
        if (tn_cuda_has(p, i) && !(p->in_constant >> i & 1)) return false;
    return true;
}

static const void *data_of(const tn_problem *p, int i)
{
    return tn_cuda_has(p, i) && tn_tensor_count(&p->in[i]) ? p->in[i].data : NULL;
}

/* ---- Slice -----------------------------------------------------------------------------------*/

static tn_verdict accepts_slice(const tn_problem *p)
{
    if (tn_tensor_count(&p->in[1]) > TN_RANK_MAX) return TN_NO("there are more limits than axes");
    for (int i = 2; i < p->in_count; i++) {
        if (!tn_cuda_has(p, i)) continue;
        if (p->in[i].dtype != p->in[1].dtype) return TN_NO("the limits are of two types");
        if (tn_tensor_count(&p->in[i]) != tn_tensor_count(&p->in[1]))
            return TN_NO("the limits differ in length");
    }
    return accepts(p);
}

static tn_status launch_slice(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_tensor *x = &p->in[0], *y = &p->out[0];
    size_t bytes = tn_cuda_bytes(x);
    slice_task args = {.x = x->data,
                       .y = y->data,
                       .starts = data_of(p, 1),
                       .ends = data_of(p, 2),
                       .axes = data_of(p, 3),
                       .steps = data_of(p, 4),
                       .count = (uint32_t)tn_tensor_count(y),
                       .rank = x->rank,
                       .limit_count = (int32_t)tn_tensor_count(&p->in[1])};
    tn_cuda_index index = {.rank = x->rank, .operand_count = 1};
    char options[120];
    if (args.count == 0) return NULL;
    tn_cuda_dense_steps(x->dim, x->rank, index.step[0]);
    for (int axis = 0; axis < x->rank; axis++) {
        index.dim[axis] = y->dim[axis];
        args.x_dim[axis] = (int32_t)x->dim[axis];
        args.y_dim[axis] = (int32_t)y->dim[axis];
        args.x_step[axis] = (int32_t)index.step[0][axis];
    }
    tn_cuda_index_join(&index);
    int inner = index.rank - 1, vector = tn_cuda_vector_at(tn_cuda_vector(bytes), y->data, bytes);
    vector = tn_cuda_vector_at(vector, x->data, bytes);
    vector = tn_cuda_vector_dividing(vector, index.step[0][inner] == 1 ? index.dim[inner] : 1);
    for (int axis = 0; axis < inner; axis++)
        vector = tn_cuda_vector_dividing(vector, index.step[0][axis]);
    args.joined = index.rank;
    for (int axis = 0; axis < index.rank; axis++) {
        int some = axis == inner ? vector : 1;
        args.joined_dim[axis] = tn_cuda_divider_of(index.dim[axis] / some);
        args.joined_step[axis] = (int32_t)index.step[0][axis] * some;
    }
    snprintf(options, sizeof options, "-DWORD=%s -DLIMIT=%s -DVEC=%d -DEARLY=%d -DMODE=0",
             tn_cuda_word(bytes), tn_cuda_type(p->in[1].dtype), vector, all_constant(p, 1));
    return run(l, "slice", options, args.count / vector, (void *[]){&args});
}

/* ---- Pad -------------------------------------------------------------------------------------*/

static tn_verdict accepts_pad(const tn_problem *p)
{
    int64_t axes = tn_cuda_has(p, 3) ? tn_tensor_count(&p->in[3]) : p->in[0].rank;
    if (axes > TN_RANK_MAX || tn_tensor_count(&p->in[1]) != 2 * axes)
        return TN_NO("pads and axes differ in length");
    if (tn_cuda_has(p, 2) && tn_tensor_count(&p->in[2]) != 1) return TN_NO("the fill is no scalar");
    return accepts(p);
}

static tn_status launch_pad(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_pad_params *params = p->params;
    const tn_tensor *x = &p->in[0], *y = &p->out[0];
    pad_task args = {.x = x->data,
                     .y = y->data,
                     .pads = data_of(p, 1),
                     .fill = data_of(p, 2),
                     .axes = data_of(p, 3),
                     .count = (uint32_t)tn_tensor_count(y),
                     .rank = x->rank,
                     .axis_count = (int32_t)tn_tensor_count(&p->in[1]) / 2};
    int64_t step[TN_RANK_MAX];
    char options[120];
    if (args.count == 0) return NULL;
    tn_cuda_dense_steps(x->dim, x->rank, step);
    for (int axis = 0; axis < x->rank; axis++) {
        args.x_dim[axis] = (int32_t)x->dim[axis];
        args.x_step[axis] = (int32_t)step[axis];
        args.y_dim[axis] = tn_cuda_divider_of(y->dim[axis]);
    }
    const char *limit = tn_cuda_has(p, 3) ? tn_cuda_type(p->in[3].dtype) : "int64";
    bool early = all_constant(p, 1);
    snprintf(options, sizeof options, "-DWORD=%s -DLIMIT=%s -DVEC=1 -DEARLY=%d -DMODE=%d",
             tn_cuda_word_of(x->dtype), limit, early, (int)params->mode);
    return run(l, "pad", options, args.count, (void *[]){&args});
}

/* ---- Trilu -----------------------------------------------------------------------------------*/

static tn_status launch_trilu(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_trilu_params *params = p->params;
    const tn_tensor *x = &p->in[0], *y = &p->out[0];
    uint32_t count = (uint32_t)tn_tensor_count(y);
    const void *k = data_of(p, 1);
    char options[120];
    if (count == 0) return NULL;
    tn_cuda_divider rows = tn_cuda_divider_of(x->dim[x->rank - 2]);
    tn_cuda_divider columns = tn_cuda_divider_of(x->dim[x->rank - 1]);
    snprintf(options, sizeof options, "-DWORD=%s -DLIMIT=int64 -DVEC=1 -DEARLY=0 -DMODE=%d",
             tn_cuda_word_of(x->dtype), params->upper != 0);
    void *args[] = {(void *)&x->data, (void *)&y->data, (void *)&k, &count, &rows, &columns};
    return run(l, "trilu", options, count, args);
}

extern const tn_tactic tn_cuda_slice[];
const tn_tactic tn_cuda_slice[] = {
    {
        .name = "cuda.slice.any.steps",
        .op = "Slice",
        .revision = 1,
        .needs = TN_SM75,
        .accepts = accepts_slice,
        .launch = launch_slice,
    },
    {
        .name = "cuda.pad.any.element",
        .op = "Pad",
        .revision = 1,
        .needs = TN_SM75,
        .accepts = accepts_pad,
        .launch = launch_pad,
    },
    {
        .name = "cuda.trilu.any.element",
        .op = "Trilu",
        .revision = 1,
        .needs = TN_SM75,
        .accepts = accepts,
        .launch = launch_trilu,
    },
    {0},
};
