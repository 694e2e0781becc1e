/* ChannelsLastPool (pool_last.cu). */
#include <stdio.h>

#include "backends/cuda/index.h"
#include "ops/pool/pool.h"

extern const tn_cuda_source tn_cuda_source_pool_last;

typedef struct window { /* as the kernel takes it */
    const void *x;
    void *y;
    uint32_t count;
    int32_t vectors, count_padding;
    int32_t in[3], kernel[3], stride[3], dilation[3], pad[3], pad_end[3];
    tn_cuda_divider out[3], by_vectors;
} window;

static tn_verdict accepts(const tn_problem *p)
{
    const int64_t most = 1 << 28;
    tn_dtype dtype = p->in[0].dtype;
    tn_window w;
    if (!tn_cuda_is_float(dtype) || dtype == TN_DTYPE_F64)
        return TN_NO("the operands are not f32, f16 or bf16");
    if (!tn_cuda_fits(p)) return TN_CUDA_TOO_LARGE;
    tn_pool_last_window(p, &w);
    for (int i = 0; i < 3; i++) {
        int64_t span = w.kernel[i] * w.dilation[i], reach = w.out[i] * w.stride[i];
        if (span > most || reach > most || w.pad[i] > most || w.pad_end[i] > most ||
            w.pad[i] < -most || w.pad_end[i] < -most)
            return TN_NO("the window reaches too far");
    }
    return TN_YES;
}

static tn_status launch(const tn_launch *l)
{
    enum { THREADS = 128, TAPS_MAX = 12 };
    const tn_problem *p = l->problem;
    const tn_pool_last_params *params = p->params;
    const tn_tensor *x = &p->in[0], *y = &p->out[0];
    int64_t channels = y->dim[y->rank - 1], count = tn_tensor_count(y);
    const tn_cuda_function *function;
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
                   .by_vectors = tn_cuda_divider_of(channels / v)};
    for (int i = 0; i < 3; i++) {
        args.in[i] = (int32_t)w.in[i];
        args.kernel[i] = (int32_t)w.kernel[i];
        args.stride[i] = (int32_t)w.stride[i];
        args.dilation[i] = (int32_t)w.dilation[i];
        args.pad[i] = (int32_t)w.pad[i];
        args.pad_end[i] = (int32_t)w.pad_end[i];
        args.out[i] = tn_cuda_divider_of(w.out[i]);
    }
    bool few = w.kernel_count > 0 && w.kernel_count <= TAPS_MAX;
    snprintf(options, sizeof options,
             "-DTYPE=%s -DV=%d -DAVERAGE=%d -DKERNEL0=%d -DKERNEL1=%d -DKERNEL2=%d",
             tn_cuda_type(x->dtype), v, params->average != 0, few ? args.kernel[0] : 0,
             few ? args.kernel[1] : 0, few ? args.kernel[2] : 0);
    TN_TRY(tn_cuda_function_get(tn_cuda_stream_of(l)->card, &tn_cuda_source_pool_last, "pool_last",
                                options, 0, &function));
    tn_cuda_grid grid = {
        .grid = {tn_cuda_blocks(args.count, THREADS)}, .block = {THREADS}, .overlap = true};
    return tn_cuda_run(l, function, &grid, (void *[]){&args});
}

extern const tn_tactic tn_cuda_pool_last[];
const tn_tactic tn_cuda_pool_last[] = {
    {
        .name = "cuda.channelslastpool.float.window",
        .op = "ChannelsLastPool",
        .revision = 2,
        .needs = TN_SM75,
        .accepts = accepts,
        .launch = launch,
    },
    {0},
};
