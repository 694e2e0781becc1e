/* ArgMax and ArgMin; CumSum and CumProd, whose axis the kernel reads itself. */
#include <stdio.h>

#include "backends/cuda/index.h"
#include "ops/arg_max/arg_max.h"
#include "ops/cumulative/cumulative.h"

extern const tn_cuda_source tn_cuda_source_arg;

typedef struct lines { /* as the kernel takes them */
    const void *x;
    void *y;
    const void *axis;
    int32_t count, rank, exclusive, reverse;
    int32_t dim[TN_RANK_MAX];
} lines;

/* What the two entries are made with. */
typedef struct choice {
    const char *wide, *index;
    int sign;
    bool last, by_warp, product;
} choice;

static tn_verdict accepts(const tn_problem *p)
{
    if (!tn_cuda_type(p->in[0].dtype)) return TN_NO("kernels do not know the type");
    if (p->in[0].rank == 0) return TN_NO("a scalar has no axis");
    return tn_cuda_fits(p) ? TN_YES : TN_CUDA_TOO_LARGE;
}

static tn_status run(const tn_launch *l, const char *entry, const choice *c, unsigned blocks,
                     void **args)
{
    char options[160];
    snprintf(options, sizeof options,
             "-DTX=%s -DTW=%s -DINDEX=%s -DSIGN=%d -DLAST=%d -DBY_WARP=%d -DPRODUCT=%d",
             tn_cuda_type(l->problem->in[0].dtype), c->wide, c->index, c->sign, c->last, c->by_warp,
             c->product);
    return tn_cuda_run_plain(l, &tn_cuda_source_arg, entry, options, blocks, 128, args);
}

/* ---- ArgMax, ArgMin --------------------------------------------------------------------------*/

static tn_status launch_arg(const tn_launch *l, int sign)
{
    const tn_problem *p = l->problem;
    const tn_arg_max_params *params = p->params;
    const tn_tensor *x = &p->in[0], *y = &p->out[0];
    int axis = tn_axis_normal(params->axis, x->rank);
    int32_t count = (int32_t)tn_tensor_count(y), length = (int32_t)x->dim[axis];
    int32_t inner = (int32_t)tn_dims_product(x->dim, axis + 1, x->rank);
    if (count == 0) return NULL;
    /* Neighbours for neighbouring threads; short lines are not worth a warp either. */
    choice c = {.wide = tn_cuda_wide(x->dtype),
                .index = "int64",
                .sign = sign,
                .last = params->select_last_index != 0,
                .by_warp = length >= 32 && (inner < 8 || count < 4096)};
    void *args[] = {(void *)&x->data, (void *)&y->data, &count, &length, &inner};
    return run(l, "arg", &c, tn_cuda_blocks(count, c.by_warp ? 4 : 128), args);
}

static tn_status launch_max(const tn_launch *l)
{
    return launch_arg(l, 1);
}

static tn_status launch_min(const tn_launch *l)
{
    return launch_arg(l, -1);
}

/* ---- CumSum, CumProd -------------------------------------------------------------------------*/

static tn_verdict accepts_lines(const tn_problem *p)
{
    if (tn_tensor_count(&p->in[1]) != 1) return TN_NO("the axis is not one number");
    return accepts(p);
}

static tn_status launch_cumulate(const tn_launch *l, bool product)
{
    enum { BLOCKS_MAX = 4096 };
    const tn_problem *p = l->problem;
    const tn_cumulative_params *params = p->params;
    const tn_tensor *x = &p->in[0];
    lines args = {.x = x->data,
                  .y = p->out[0].data,
                  .axis = p->in[1].data,
                  .count = (int32_t)tn_tensor_count(x),
                  .rank = x->rank,
                  .exclusive = params->exclusive != 0,
                  .reverse = params->reverse != 0};
    int64_t shortest = INT64_MAX;
    if (args.count == 0) return NULL;
    for (int k = 0; k < x->rank; k++) {
        args.dim[k] = (int32_t)x->dim[k];
        shortest = TN_MIN(shortest, x->dim[k]);
    }
    /* Sums of many floats in a row keep their bits in double; integers wrap. */
    choice c = {.wide = tn_cuda_is_float(x->dtype) ? "double" : "uint64",
                .index = tn_cuda_type(p->in[1].dtype),
                .sign = 1,
                .product = product};
    unsigned blocks = tn_cuda_blocks(args.count / shortest, 4);
    return run(l, "cumulate", &c, TN_MIN(blocks, BLOCKS_MAX), (void *[]){&args});
}

static tn_status launch_sum(const tn_launch *l)
{
    return launch_cumulate(l, false);
}

static tn_status launch_product(const tn_launch *l)
{
    return launch_cumulate(l, true);
}

#define TACTIC(text, title, accepts_it, launch_it)                                                 \
    {                                                                                              \
        .name = "cuda." text, .op = title, .revision = 1, .needs = TN_SM75, .accepts = accepts_it, \
        .launch = launch_it,                                                                       \
    }

extern const tn_tactic tn_cuda_arg[];
const tn_tactic tn_cuda_arg[] = {
    TACTIC("argmax.any.lines", "ArgMax", accepts, launch_max),
    TACTIC("argmin.any.lines", "ArgMin", accepts, launch_min),
    TACTIC("cumsum.any.warp", "CumSum", accepts_lines, launch_sum),
    TACTIC("cumprod.any.warp", "CumProd", accepts_lines, launch_product),
    {0},
};
