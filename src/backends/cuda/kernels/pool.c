/* MaxPool and AveragePool. The global forms are reductions (reduce.c). */
#include <stdio.h>

#include "backends/cuda/kernels/sliding.h"
#include "ops/pool/pool.h"

extern const tn_cuda_source tn_cuda_source_pool;

typedef struct window { /* as the kernel takes it */
    const void *x;
    void *y, *indices;
    uint32_t count;
    int32_t in_count, column_major, count_padding;
    tn_cuda_sliding slide;
    int64_t lowest;
} window;

static tn_verdict accepts(const tn_problem *p)
{
    const tn_pool_params *params = p->params;
    tn_window w;
    if (!tn_cuda_type(p->in[0].dtype)) return TN_NO("kernels do not know the type");
    if (!tn_cuda_fits(p)) return TN_CUDA_TOO_LARGE;
    tn_window_of(&params->window, &p->in[0], NULL, &p->out[0], &w);
    return tn_cuda_sliding_fits(&w);
}

static tn_status launch(const tn_launch *l, bool average)
{
    const tn_problem *p = l->problem;
    const tn_pool_params *params = p->params;
    const tn_tensor *x = &p->in[0], *y = &p->out[0];
    window args = {.x = x->data,
                   .y = y->data,
                   .indices = tn_cuda_wants(p, 1) ? p->out[1].data : NULL,
                   .count = (uint32_t)tn_tensor_count(y),
                   .column_major = !average && params->storage_order,
                   .count_padding = average && params->count_include_pad,
                   .lowest = x->dtype == TN_DTYPE_I8 ? -128 : 0};
    tn_window w;
    char options[120];
    if (args.count == 0) return NULL;
    tn_window_of(&params->window, x, NULL, y, &w);
    args.in_count = (int32_t)w.in_count;
    args.slide = tn_cuda_sliding_of(&w);
    snprintf(options, sizeof options, "-DTX=%s -DTW=%s -DAVERAGE=%d", tn_cuda_type(x->dtype),
             tn_cuda_wide(x->dtype), average);
    return tn_cuda_run_plain(l, &tn_cuda_source_pool, "pool", options,
                             tn_cuda_blocks(args.count, 256), 256, (void *[]){&args});
}

static tn_status launch_max(const tn_launch *l)
{
    return launch(l, false);
}

static tn_status launch_average(const tn_launch *l)
{
    return launch(l, true);
}

extern const tn_tactic tn_cuda_pool[];
const tn_tactic tn_cuda_pool[] = {
    {
        .name = "cuda.maxpool.any.window",
        .op = "MaxPool",
        .revision = 1,
        .needs = TN_SM75,
        .accepts = accepts,
        .launch = launch_max,
    },
    {
        .name = "cuda.averagepool.float.window",
        .op = "AveragePool",
        .revision = 1,
        .needs = TN_SM75,
        .accepts = accepts,
        .launch = launch_average,
    },
    {0},
};
