/* MatMul, Gemm and Linear of few rows by constant weights that lie along n: turned round once, so
 * that a warp reads all of one column's weights as they follow in memory (product_rows.cu). For
 * more rows, at the shapes of a later run, our tiles do the work. */
#include "backends/cuda/index.h"
#include "backends/cuda/kernels/product.h"

static tn_verdict accepts(const tn_problem *p)
{
    tn_cuda_product x;
    tn_cuda_product_of(p, &x);
    tn_verdict no = tn_cuda_product_fits(&x);
    if (no) return no;
    if (!(p->in_constant & 2) || x.rank || x.b_deep) return TN_NO("there are no constants along n");
    if (x.m > TN_CUDA_FEW) return TN_NO("more than 8 rows");
    if (x.k * x.n < 1 << 16) return TN_NO("there is little to read");
    return TN_YES;
}

static size_t packed_bytes(const tn_problem *p)
{
    return (size_t)tn_tensor_bytes(&p->in[1]);
}

#define TURN(type)                                                                                 \
    for (int64_t k = 0; k < x.k; k += BLOCK)                                                       \
        for (int64_t n = 0; n < x.n; n++)                                                          \
            for (int64_t i = k; i < TN_MIN(k + BLOCK, x.k); i++)                                   \
    ((type *)dst)[n * x.k + i] = ((const type *)p->in[1].data)[i * x.ldb + n]

static tn_status pack(const tn_problem *p, void *dst)
{
    enum { BLOCK = 32 };
    tn_cuda_product x;
    tn_cuda_product_of(p, &x);
    switch (tn_cuda_bytes(&p->in[1])) {
    case 2: TURN(uint16_t); break;
    case 4: TURN(uint32_t); break;
    default: TURN(uint64_t); break;
    }
    return NULL;
}

static uint64_t unused(const tn_problem *p)
{
    (void)p;
    return 2;
}

static tn_status launch(const tn_launch *l)
{
    tn_cuda_product x;
    tn_cuda_product_of(l->problem, &x);
    x.b = l->packed;
    x.b_deep = true;
    x.ldb = x.k;
    return x.m <= TN_CUDA_FEW ? tn_cuda_product_rows_run(l, &x)
                              : tn_cuda_product_run(l, &x, TN_CUDA_TILE_64X64);
}

#define OP(op_name, text)                                                                          \
    {                                                                                              \
        .name = "cuda." text ".any.rows_turned", .op = op_name, .revision = 1, .needs = TN_SM75,   \
        .accepts = accepts, .packed_bytes = packed_bytes, .pack = pack, .unused = unused,          \
        .launch = launch,                                                                          \
    }

extern const tn_tactic tn_cuda_product_turned[];
const tn_tactic tn_cuda_product_turned[] = {
    OP("MatMul", "matmul"),
    OP("Gemm", "gemm"),
    OP("Linear", "linear"),
    {0},
};
