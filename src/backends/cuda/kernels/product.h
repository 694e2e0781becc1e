/* One meaning for all that is a product of matrices, whoever makes it: our tiles, our rows, or
 * cuBLASLt. MatMul, Gemm and Linear are read here; convolutions with 1x1 windows are one too.
 *
 *     y[i] = activation(alpha * a[i] b[i] + beta * c[i] + residual[i])     for i in a batch
 */
#ifndef TN_CUDA_PRODUCT_H
#define TN_CUDA_PRODUCT_H

#include "backends/cuda/cuda.h"
#include "ops/conv/conv.h"

typedef struct tn_cuda_product {
    tn_dtype dtype;
    int64_t m, n, k;
    bool a_deep, b_deep; /* k runs along memory: a is [m, k] or [k, m], b [n, k] or [k, n] */
    int64_t lda, ldb;    /* elements from one row of memory to the next */
    int32_t rank;        /* of the batch; steps in elements, 0 along broadcast axes */
    int64_t count, dim[TN_RANK_MAX];
    int64_t a_step[TN_RANK_MAX], b_step[TN_RANK_MAX], c_step[TN_RANK_MAX];
    const void *a, *b, *c, *residual; /* c and residual may be NULL */
    void *y;
    int64_t c_row, c_column;
    int64_t y_row; /* y and residual; batches lie one behind the other, rows y_row apart */
    float alpha, beta;
    tn_epilogue epilogue;
    int32_t weights; /* 1: a, 2: b is constant; 0: neither */
    /* A convolution's tiles read b through a window; columns are samples and positions. */
    const tn_window *window;
    int64_t channels, y_batch, y_sample;
} tn_cuda_product;

/* From a problem of MatMul, Gemm or Linear. */
void tn_cuda_product_of(const tn_problem *p, tn_cuda_product *out);
/* From Conv or FusedConv whose windows are single elements: [O, C] times [C, positions], a batch of
 * samples and groups. tn_cuda_conv_is_product tells whether they are. */
bool tn_cuda_conv_is_product(const tn_problem *p);
void tn_cuda_product_of_conv(const tn_problem *p, tn_cuda_product *out);
/* Any other window, which must outlive *out: a product for each group, over all samples. */
void tn_cuda_product_of_window(const tn_problem *p, const tn_window *w, tn_cuda_product *out);

/* Does a kernel index it, and does it know the type: floats, or integers of 32 or 64 bits. */
tn_verdict tn_cuda_product_fits(const tn_cuda_product *x);
/* The type in which kernels sum elements of such a type. */
const char *tn_cuda_sum_type(tn_dtype dtype);
/* How many elements one access may take: at most `most`, and so many as divide every size, step and
 * address (in elements) that went into `bits` by |. */
int tn_cuda_product_vector(int most, uint64_t bits);
uint64_t tn_cuda_place(const void *at, tn_dtype dtype); /* an address, in elements; of NULL 0 */

/* thread_m x thread_n is made by a thread, or by a warp where stages > 0: tensor cores, of 8.0 on.
 */
typedef struct tn_cuda_tile {
    int m, n, k, thread_m, thread_n, splits, stages;
} tn_cuda_tile;
extern const tn_cuda_tile tn_cuda_tiles[];
/* In order of tn_cuda_tiles; K4: sums in 4 parts. */
enum {
    TN_CUDA_TILE_128X128,
    TN_CUDA_TILE_64X64,
    TN_CUDA_TILE_32X32,
    TN_CUDA_TILE_64X64_K4,
    TN_CUDA_TILE_32X32_K8,
    TN_CUDA_TENSOR_128X128,
    TN_CUDA_TENSOR_64X64,
    TN_CUDA_TENSOR_32X64,
    TN_CUDA_TENSOR_64X64_K4,
};
/* Is that tile worth a try? */
tn_verdict tn_cuda_product_tile_fits(const tn_cuda_product *x, int tile);
size_t tn_cuda_product_scratch(const tn_cuda_product *x, int tile);
tn_status tn_cuda_product_run(const tn_launch *l, const tn_cuda_product *x, int tile) TN_MUST_USE;

/* The bits of a float, to the nearest of 10 bits behind the point, of two the even one: tensor
 * cores would cut off what they do not take, always toward zero, and the errors of a sum would add
 * up. */
static inline uint32_t tn_cuda_round_tf32(uint32_t bits)
{
    bool finite = (bits & 0x7f800000) != 0x7f800000;
    return finite ? (bits + 0xfff + (bits >> 13 & 1)) & ~0x1fffu : bits;
}

/* Products of at most TN_CUDA_FEW rows, or columns (product_rows.cu). */
enum { TN_CUDA_FEW = 8 };
tn_verdict tn_cuda_product_rows_fit(const tn_cuda_product *x);
tn_status tn_cuda_product_rows_run(const tn_launch *l, const tn_cuda_product *x) TN_MUST_USE;

/* Behind a library's kernel, in place: y[i] = activation(y[i] + bias[i / inner % channels] +
 * residual[i]); bias and residual may be NULL. */
tn_status tn_cuda_finish(const tn_launch *l, tn_dtype dtype, void *y, int64_t count,
                         const void *bias, int64_t inner, int64_t channels, const void *residual,
                         const tn_epilogue *epilogue) TN_MUST_USE;

#endif
