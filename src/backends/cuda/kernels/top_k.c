/* TopK. */
#include <stdio.h>

#include "backends/cuda/index.h"
#include "ops/top_k/top_k.h"

extern const tn_cuda_source tn_cuda_source_top_k;

typedef struct lines { /* as the kernel takes them */
    const void *x;
    void *values, *places;
    uint32_t count, k, inner;
} lines;

static tn_verdict accepts(const tn_problem *p)
{
    if (!tn_cuda_type(p->in[0].dtype)) return TN_NO("kernels do not know the type");
    if (p->in[0].rank == 0) return TN_NO("a scalar has no axis");
    return tn_cuda_fits(p) ? TN_YES : TN_CUDA_TOO_LARGE;
}

static uint64_t unused(const tn_problem *p)
{
    (void)p;
    return UINT64_C(1) << 1; /* K is in the shapes */
}

static tn_status launch(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_top_k_params *params = p->params;
    const tn_tensor *x = &p->in[0], *y = tn_cuda_wants(p, 0) ? &p->out[0] : &p->out[1];
    int axis = tn_axis_normal(params->axis, x->rank);
    lines args = {.x = x->data,
                  .values = tn_cuda_wants(p, 0) ? p->out[0].data : NULL,
                  .places = tn_cuda_wants(p, 1) ? p->out[1].data : NULL,
                  .count = (uint32_t)x->dim[axis],
                  .inner = (uint32_t)tn_dims_product(x->dim, axis + 1, x->rank)};
    int64_t outer = tn_dims_product(x->dim, 0, axis);
    char options[80];
    if (!args.values && !args.places) return NULL;
    args.k = (uint32_t)y->dim[axis];
    if (tn_tensor_count(y) == 0) return NULL;
    TN_CHECK(args.k <= args.count, TN_INVALID, "K is %u, axis %d has %u elements", args.k, axis,
             args.count);
    snprintf(options, sizeof options, "-DTX=%s -DLARGEST=%d", tn_cuda_type(x->dtype),
             params->largest != 0);
    return tn_cuda_run_plain(l, &tn_cuda_source_top_k, "top_k", options,
                             tn_cuda_blocks(outer * args.inner, 1), 256, (void *[]){&args});
}

extern const tn_tactic tn_cuda_top_k[];
const tn_tactic tn_cuda_top_k[] = {
    {
        .name = "cuda.topk.any.block",
        .op = "TopK",
        .revision = 1,
        .needs = TN_SM75,
        .accepts = accepts,
        .unused = unused,
        .launch = launch,
    },
    {0},
};
