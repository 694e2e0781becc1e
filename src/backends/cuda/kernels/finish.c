/* What is left to do behind a library's kernel (finish.cu), on the host's side. */
#include <stdio.h>

#include "backends/cuda/kernels/product.h"

extern const tn_cuda_source tn_cuda_source_finish;

tn_status tn_cuda_finish(const tn_launch *l, tn_dtype dtype, void *y, int64_t count,
                         const void *bias, int64_t inner, int64_t channels, const void *residual,
                         const tn_epilogue *epilogue)
{
    enum { THREADS = 256 };
    const tn_cuda_function *function;
    char options[120];
    uint64_t bits = tn_cuda_place(y, dtype) | tn_cuda_place(residual, dtype) | (uint64_t)count;
    if (count == 0) return NULL;
    int most = 128 / (int)tn_dtype_bits(dtype);
    int v = tn_cuda_product_vector(most, bits | (bias ? (uint64_t)inner : 0)), wide = (int)channels;
    float alpha = epilogue->alpha, beta = epilogue->beta;
    snprintf(options, sizeof options, "-DTYPE=%s -DV=%d -DACT=%d", tn_cuda_type(dtype), v,
             (int)epilogue->kind);
    TN_TRY(tn_cuda_function_get(tn_cuda_stream_of(l)->card, &tn_cuda_source_finish, "finish",
                                options, 0, &function));
    tn_cuda_grid grid = {
        .grid = {tn_cuda_blocks(count, THREADS * v)}, .block = {THREADS}, .overlap = true};
    void *args[] = {&y, &bias, &residual, &count, &inner, &wide, &alpha, &beta};
    return tn_cuda_run(l, function, &grid, args);
}
