/* ChannelsLastPool (pool_last.cu). */
#include <stdio.h>

#include "backends/cuda/kernels/sliding.h"
#include "ops/pool/pool.h"

extern const tn_cuda_source tn_cuda_source_pool_last;

typedef struct window { /* as the kernel takes it */
    const void *x;
    void *y;
    uint32_t count;
    int32_t vectors, count_padding, backwards;
    tn_cuda_sliding slide;
    tn_cuda_divider by_vectors;
} window;

static tn_verdict accepts(const tn_problem *p)
{
    tn_dtype dtype = p->in[0].dtype;
    tn_window w;
    if (!tn_cuda_is_float(dtype) || dtype == TN_DTYPE_F64)
        return TN_NO("the operands are not f32, f16 or bf16");
    if (!tn_cuda_fits(p)) return TN_CUDA_TOO_LARGE;
    tn_pool_last_window(p, &w);
    return tn_cuda_sliding_fits(&w);
}

static tn_status launch(const tn_launch *l)
{
    enum { THREADS = 128, TAPS_MAX = 12 };
    const tn_problem *p = l->problem;
    const tn_pool_last_params *params = p->params;
    const tn_tensor *x = &p->in[0], *y = &p->out[0];
    int64_t channels = y->dim[y->rank - 1], count = tn_tensor_count(y);
    char options[140];
    tn_window w;
    if (count == 0) return NULL;
    tn_pool_last_window(p, &w);
    size_t bytes = tn_cuda_bytes(x);
    int v = tn_cuda_vector_dividing(tn_cuda_vector(bytes), channels);
    v = tn_cuda_vector_at(tn_cuda_vector_at(v, x->data, bytes), y->data, bytes);
    window args = {.x = x->data,
                   .y = y->data,
                   .count = (uint32_t)(count / v),
                   .vectors = (int32_t)(channels / v),
                   .count_padding = params->pool.count_include_pad != 0,
                   .backwards = tn_cuda_turn(l),
                   .slide = tn_cuda_sliding_of(&w),
                   .by_vectors = tn_cuda_divider_of(channels / v)};
    bool few = w.kernel_count > 0 && w.kernel_count <= TAPS_MAX;
    snprintf(options, sizeof options,
             "-DTYPE=%s -DV=%d -DAVERAGE=%d -DKERNEL0=%d -DKERNEL1=%d -DKERNEL2=%d",
             tn_cuda_type(x->dtype), v, params->average != 0, few ? (int)w.kernel[0] : 0,
             few ? (int)w.kernel[1] : 0, few ? (int)w.kernel[2] : 0);
    return tn_cuda_run_plain(l, &tn_cuda_source_pool_last, "pool_last", options,
                             tn_cuda_blocks(args.count, THREADS), THREADS, (void *[]){&args});
}

extern const tn_tactic tn_cuda_pool_last[];
const tn_tactic tn_cuda_pool_last[] = {
    {
        .name = "cuda.channelslastpool.float.window",
        .op = "ChannelsLastPool",
        .revision = 3,
        .needs = TN_SM75,
        .accepts = accepts,
        .launch = launch,
    },
    {0},
};
