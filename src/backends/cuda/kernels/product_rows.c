/* Products with few rows or few columns (product_rows.cu), on the host's side. */
#include <stdio.h>

#include "backends/cuda/kernels/product.h"

extern const tn_cuda_source tn_cuda_source_product_rows;

enum { THREADS = 256 };

/* As in product_rows.cu. */
typedef struct batches {
    int32_t count, rank, dim[TN_RANK_MAX];
    int64_t few[TN_RANK_MAX], many[TN_RANK_MAX], c[TN_RANK_MAX];
} batches;
typedef struct shape {
    int32_t few, many, k, weights;
    int64_t few_f, few_k, line, c_f, c_g, y_f, y_g, y_batch;
    float alpha, beta, act_alpha, act_beta;
} shape;

tn_verdict tn_cuda_product_rows_fit(const tn_cuda_product *x)
{
    if (x->m > TN_CUDA_FEW && x->n > TN_CUDA_FEW) return TN_NO("more than 8 rows and columns");
    /* One of the many to a warp, or to a group of threads, at the worst. */
    int64_t blocks;
    if (!tn_mul_i64(TN_MAX(x->m, x->n) / 4 + 1, x->count, &blocks) || blocks > INT32_MAX)
        return TN_NO("there are too many products");
    return TN_YES;
}

/* The two operands as the few and the many: a side is the few if it is narrow. */
static void fill(const tn_cuda_product *x, bool rows, shape *s, batches *batch)
{
    bool few_deep = rows ? x->a_deep : x->b_deep;
    int64_t few_line = rows ? x->lda : x->ldb;
    *s = (shape){
        .few = (int32_t)(rows ? x->m : x->n),
        .many = (int32_t)(rows ? x->n : x->m),
        .k = (int32_t)x->k,
        .weights = x->weights == (rows ? 2 : 1),
        .few_f = few_deep ? few_line : 1,
        .few_k = few_deep ? 1 : few_line,
        .line = rows ? x->ldb : x->lda,
        .c_f = rows ? x->c_row : x->c_column,
        .c_g = rows ? x->c_column : x->c_row,
        .y_f = rows ? x->y_row : 1,
        .y_g = rows ? 1 : x->y_row,
        .y_batch = x->y_batch,
        .alpha = x->alpha,
        .beta = x->beta,
        .act_alpha = x->epilogue.alpha,
        .act_beta = x->epilogue.beta,
    };
    *batch = (batches){(int32_t)x->count, x->rank, {0}, {0}, {0}, {0}};
    for (int i = 0; i < x->rank; i++) {
        batch->dim[i] = (int32_t)x->dim[i];
        batch->few[i] = rows ? x->a_step[i] : x->b_step[i];
        batch->many[i] = rows ? x->b_step[i] : x->a_step[i];
        batch->c[i] = x->c_step[i];
    }
}

tn_status tn_cuda_product_rows_run(const tn_launch *l, const tn_cuda_product *x)
{
    enum { CARD = 132 }; /* multiprocessors of a large card */
    const tn_cuda_function *function;
    char options[300];
    shape s;
    batches batch;
    if (x->m == 0 || x->n == 0 || x->count == 0) return NULL;
    bool rows = x->m <= TN_CUDA_FEW, deep = rows ? x->b_deep : x->a_deep;
    const void *few = rows ? x->a : x->b, *many = rows ? x->b : x->a;
    fill(x, rows, &s, &batch);
    uint64_t line = tn_cuda_place(many, x->dtype) | (uint64_t)(s.line | (deep ? s.k : s.many));
    uint64_t short_line = tn_cuda_place(few, x->dtype) | (uint64_t)(s.few_f | s.k);
    for (int i = 0; i < x->rank; i++) {
        line |= (uint64_t)batch.many[i];
        short_line |= (uint64_t)batch.few[i];
    }
    int most = 128 / (int)tn_dtype_bits(x->dtype);
    int v = tn_cuda_product_vector(most, line) == most ? most : 1;
    bool few_deep = deep && s.few_k == 1 && tn_cuda_product_vector(v, short_line) == v;
    int bound = s.few <= 1 ? 1 : s.few <= 2 ? 2 : s.few <= 4 ? 4 : 8;
    /* Narrow blocks where wide ones would leave multiprocessors without work. */
    int lanes = x->count * s.many / (8 * v) < CARD ? 2 : 8;
    snprintf(options, sizeof options,
             "-DTYPE=%s -DSUM=%s -DFEW=%d -DV=%d -DFEW_DEEP=%d -DLANES=%d -DACT=%d",
             tn_cuda_type(x->dtype), tn_cuda_sum_type(x->dtype), bound, v, few_deep,
             deep ? 8 : lanes, (int)x->epilogue.kind);
    TN_TRY(tn_cuda_function_get(tn_cuda_stream_of(l)->card, &tn_cuda_source_product_rows,
                                deep ? "rows_deep" : "rows_wide", options, 0, &function));
    int64_t per_block = deep ? THREADS / 32 : lanes * v;
    int64_t blocks = (s.many + per_block - 1) / per_block * x->count;
    tn_cuda_grid grid = {.grid = {(unsigned)blocks}, .block = {THREADS}, .overlap = true};
    void *args[] = {&few, &many, (void *)&x->c, (void *)&x->residual, (void *)&x->y, &s, &batch};
    return tn_cuda_run(l, function, &grid, args);
}
