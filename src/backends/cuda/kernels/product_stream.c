/* MatMul, Gemm and Linear of few rows by constant weights, on compute capability 9.0
 * (product_stream.cu). */
#include <stdio.h>
#include <string.h>

#include "backends/cuda/index.h"
#include "backends/cuda/kernels/product.h"

extern const tn_cuda_source tn_cuda_source_product_stream;

enum { WARPS = 8, TILE = 16, DEEP = 64 }; /* as in the kernel: columns, and k of a chunk */

typedef struct shape { /* as the kernel takes it */
    const void *x, *c, *residual, *w;
    void *y;
    int32_t m, n, k, chunks, kept;
    int64_t lda, c_row, c_column, y_row;
    float alpha, beta, act_alpha, act_beta;
} shape;

static int64_t ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

/* ---- Weights ---------------------------------------------------------------------------------*/

/* Side by side in a block: fewer where there would be few blocks. */
static int64_t tiles_of(const tn_cuda_product *x)
{
    return x->n >= 2048 ? 2 : 1;
}

static int64_t blocks_of(const tn_cuda_product *x)
{
    return ceil_div(x->n, TILE * tiles_of(x));
}

static size_t packed_bytes(const tn_problem *p)
{
    tn_cuda_product x;
    tn_cuda_product_of(p, &x);
    return (size_t)(blocks_of(&x) * tiles_of(&x) * TILE * ceil_div(x.k, DEEP) * DEEP * 2);
}

/* Which k of a chunk the words of a lane are in a step: lane % 4 has 16 in a row, four a step, of
 * which the first operand has two in each of its halves. */
static void pack_tile(const tn_cuda_product *x, int64_t column, int64_t k, uint16_t *to,
                      int64_t step_bytes)
{
    const uint16_t *w = x->b;
    int64_t step_n = x->b_deep ? x->ldb : 1, step_k = x->b_deep ? 1 : x->ldb;
    for (int64_t i = 0; i < DEEP && k + i < x->k; i++)
        for (int64_t n = 0; n < TILE && column + n < x->n; n++) {
            int64_t lane = n % 8 * 4 + i / 16, step = i % 16 / 4, half = i % 4 / 2;
            int64_t word = half * 2 + n / 8;
            to[step * step_bytes / 2 + lane * 8 + word * 2 + i % 2] =
                w[(column + n) * step_n + (k + i) * step_k];
        }
}

static tn_status pack(const tn_problem *p, void *dst)
{
    tn_cuda_product x;
    tn_cuda_product_of(p, &x);
    int64_t tiles = tiles_of(&x), chunks = ceil_div(x.k, DEEP), chunk = tiles * TILE * DEEP;
    memset(dst, 0, packed_bytes(p));
    for (int64_t c = 0; c < chunks; c++)
        for (int64_t t = 0; t < blocks_of(&x) * tiles; t++)
            pack_tile(&x, t * TILE, c * DEEP,
                      (uint16_t *)dst + (t / tiles * chunks + c) * chunk + t % tiles * 256,
                      tiles * 512);
    return NULL;
}

static uint64_t unused(const tn_problem *p)
{
    (void)p;
    return 2;
}

/* ---- Questions -------------------------------------------------------------------------------*/

static tn_verdict accepts(const tn_problem *p)
{
    enum { ROWS_MAX = 32 };
    tn_cuda_product x;
    tn_cuda_product_of(p, &x);
    tn_verdict no = tn_cuda_product_fits(&x);
    if (no) return no;
    if (x.dtype != TN_DTYPE_F16 && x.dtype != TN_DTYPE_BF16)
        return TN_NO("the operands are not f16 or bf16");
    if (!(p->in_constant & 2) || x.rank) return TN_NO("the weights are no constant");
    if (!x.a_deep) return TN_NO("k does not run along memory");
    if (x.m > ROWS_MAX) return TN_NO("more than 32 rows");
    if (x.k * x.n < 1 << 18) return TN_NO("there is little to read");
    return TN_YES;
}

/* ---- Running ---------------------------------------------------------------------------------*/

static tn_status launch(const tn_launch *l)
{
    enum { CARD = 132, STAGE_TILES = 8 }; /* multiprocessors; of 2 KiB, in a warp's ring */
    /* Of weights of at most so many bytes the second cache is to keep so many for the next run. */
    enum { KEPT_OF = 40 << 20, KEPT = 16 << 20, SHARES = 64 };
    const tn_problem *p = l->problem;
    const tn_cuda_function *function;
    tn_cuda_product x;
    char options[240];
    tn_cuda_product_of(p, &x);
    if (x.m == 0 || x.n == 0) return NULL;
    int64_t tiles = tiles_of(&x), blocks = blocks_of(&x);
    int eights = x.m <= 8 ? 1 : x.m <= 16 ? 2 : 4;
    int splits = blocks * 2 <= CARD && ceil_div(x.k, DEEP) >= 4 * WARPS ? 2 : 1;
    int stages = (int)(STAGE_TILES / tiles);
    int64_t bytes = (int64_t)packed_bytes(p), kept = bytes > KEPT_OF ? 0 : TN_MIN(bytes, KEPT);
    shape s = {.x = x.a,
               .c = x.c,
               .residual = x.residual,
               .w = l->packed,
               .y = x.y,
               .m = (int32_t)x.m,
               .n = (int32_t)x.n,
               .k = (int32_t)x.k,
               .chunks = (int32_t)ceil_div(x.k, DEEP),
               .kept = (int32_t)(kept * SHARES / bytes),
               .lda = x.lda,
               .c_row = x.c_row,
               .c_column = x.c_column,
               .y_row = x.y_row,
               .alpha = x.alpha,
               .beta = x.beta,
               .act_alpha = x.epilogue.alpha,
               .act_beta = x.epilogue.beta};
    int aligned = tn_cuda_product_vector(8, tn_cuda_place(x.a, x.dtype) | (uint64_t)(x.lda | x.k));
    snprintf(options, sizeof options,
             "-DTYPE=%s -DTILES_N=%d -DEIGHTS=%d -DSPLITS=%d -DSTAGES=%d -DALIGNED=%d "
             "-DACT=%d",
             tn_cuda_type(x.dtype), (int)tiles, eights, splits, stages, aligned == 8,
             (int)x.epilogue.kind);
    int64_t values = tiles * TILE * eights * 8;
    size_t shared = (size_t)(WARPS * stages * (tiles * TILE * DEEP * 2 + 8));
    if (splits > 1) shared += (size_t)(splits * values) * sizeof(float);
    TN_TRY(tn_cuda_function_get(tn_cuda_stream_of(l)->card, &tn_cuda_source_product_stream,
                                "product_stream", options, shared, &function));
    tn_cuda_grid grid = {.grid = {(unsigned)(blocks * splits), (unsigned)ceil_div(x.m, 8 * eights)},
                         .block = {WARPS * 32},
                         .shared_bytes = shared,
                         .cluster = splits > 1 ? (unsigned)splits : 0,
                         .overlap = true};
    return tn_cuda_run(l, function, &grid, (void *[]){&s});
}

#define OP(op_name, text)                                                                          \
    {                                                                                              \
        .name = "cuda." text ".half.stream", .op = op_name, .revision = 1, .needs = TN_SM90,       \
        .accepts = accepts, .packed_bytes = packed_bytes, .pack = pack, .unused = unused,          \
        .launch = launch,                                                                          \
    }

extern const tn_tactic tn_cuda_product_stream[];
const tn_tactic tn_cuda_product_stream[] = {
    OP("MatMul", "matmul"),
    OP("Gemm", "gemm"),
    OP("Linear", "linear"),
    {0},
};
