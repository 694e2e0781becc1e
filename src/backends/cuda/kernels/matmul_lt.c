/* MatMul, Gemm and Linear by cuBLASLt: the k-th of the algorithms that it recommends is a tactic,
 * so that a build measures them. It adds the bias and the residual, and applies relu; other
 * functions are a kernel of ours behind it (its own GELU is not told to be the one with erf). Where
 * it has no algorithm for the shapes of a run, our tiles do the work. */
#include "backends/cuda/kernels/product.h"
#include "backends/cuda/lt.h"

static int type_of(tn_dtype dtype)
{
    switch (dtype) {
    case TN_DTYPE_F32: return TN_LT_F32;
    case TN_DTYPE_F16: return TN_LT_F16;
    case TN_DTYPE_BF16: return TN_LT_BF16;
    default: return -1;
    }
}

/* One value for each column; else c is a matrix like y. */
static bool is_bias(const tn_cuda_product *x)
{
    return x->c_row == 0 && x->beta == 1;
}

static tn_verdict accepts(const tn_problem *p)
{
    const char *why;
    tn_cuda_product x;
    if (!tn_lt_open(&why)) return TN_NO("cuBLASLt was not found");
    tn_cuda_product_of(p, &x);
    tn_verdict no = tn_cuda_product_fits(&x);
    if (no) return no;
    if (type_of(x.dtype) < 0) return TN_NO("the operands are not f32, f16 or bf16");
    if (x.k == 0) return TN_NO("there is nothing to sum");
    if (x.rank > 1) return TN_NO("the batch has more than one step");
    bool c = p->in_count > 2 && p->in[2].dtype != TN_DTYPE_NONE;
    bool residual = p->in_count > 3 && p->in[3].dtype != TN_DTYPE_NONE;
    if (c && x.c_column != 1) return TN_NO("C has one value for all columns");
    if (c && !is_bias(&x) && (x.c_row != x.n || residual))
        return TN_NO("C is neither a bias nor like the output");
    return TN_YES;
}

/* Room for the parts of sums that are cut along k: large outputs have work enough without. */
static size_t scratch_bytes(const tn_problem *p)
{
    const int64_t least = 4 << 20, most = 32 << 20, parts = 16;
    int64_t bytes, count = tn_tensor_count(&p->out[0]);
    if (!tn_mul_i64(count, parts * (int64_t)sizeof(float), &bytes)) return (size_t)most;
    return (size_t)TN_MIN(TN_MAX(bytes, least), most);
}

static int32_t alignment_of(const void *at)
{
    int32_t bytes = 256;
    while (bytes > 1 && (uintptr_t)at % (uintptr_t)bytes) bytes /= 2;
    return bytes;
}

static tn_status launch(const tn_launch *l, int choice)
{
    tn_cuda_product x;
    tn_cuda_product_of(l->problem, &x);
    if (x.m == 0 || x.n == 0 || x.count == 0) return NULL;
    bool bias = x.c && is_bias(&x), relu = x.epilogue.kind == TN_EPILOGUE_RELU;
    bool more = x.epilogue.kind != TN_EPILOGUE_NONE && !relu;
    const void *c = x.residual ? x.residual : bias ? NULL : x.c;
    int32_t epilogue = (bias ? TN_LT_EPILOGUE_BIAS : 0) | (relu ? TN_LT_EPILOGUE_RELU : 0);
    tn_lt_problem problem = {
        .type = type_of(x.dtype),
        .epilogue = epilogue ? epilogue : TN_LT_EPILOGUE_NONE,
        .a_deep = x.a_deep,
        .b_deep = x.b_deep,
        .m = x.m,
        .n = x.n,
        .k = x.k,
        .lda = x.lda,
        .ldb = x.ldb,
        .ldc = x.n,
        .ldy = x.n,
        .count = x.count,
        .a_step = x.rank ? x.a_step[0] : 0,
        .b_step = x.rank ? x.b_step[0] : 0,
        .c_step = x.m * x.n,
        .y_step = x.m * x.n,
        .aligned = {alignment_of(x.b), alignment_of(x.a), alignment_of(c ? c : x.y),
                    alignment_of(x.y), alignment_of(bias ? x.c : NULL)},
        .workspace_bytes = l->scratch ? scratch_bytes(l->problem) : 0,
    };
    tn_lt_operands operands = {.a = x.a,
                               .b = x.b,
                               .bias = bias ? x.c : NULL,
                               .c = c,
                               .y = x.y,
                               .workspace = l->scratch,
                               .alpha = x.alpha,
                               .beta = x.residual ? 1 : x.beta};
    bool known;
    TN_TRY(tn_lt_run(tn_cuda_stream_of(l), &problem, &operands, choice, &known));
    if (!known) return tn_cuda_product_run(l, &x, TN_CUDA_TILE_64X64);
    if (!more) return NULL;
    return tn_cuda_finish(l, x.dtype, x.y, x.m * x.n * x.count, NULL, 1, 1, NULL, &x.epilogue);
}

#define CHOICE(k)                                                                                  \
    static tn_status launch_##k(const tn_launch *l)                                                \
    {                                                                                              \
        return launch(l, k);                                                                       \
    }
CHOICE(0)
CHOICE(1)
CHOICE(2)
CHOICE(3)

#define ROW(op_name, text, k)                                                                      \
    {                                                                                              \
        .name = "cuda." text ".any.lt_" #k, .op = op_name, .revision = 1, .needs = TN_SM75,        \
        .accepts = accepts, .scratch_bytes = scratch_bytes, .launch = launch_##k,                  \
    }
#define OP(op_name, text)                                                                          \
    ROW(op_name, text, 0), ROW(op_name, text, 1), ROW(op_name, text, 2), ROW(op_name, text, 3)

extern const tn_tactic tn_cuda_matmul_lt[];
const tn_tactic tn_cuda_matmul_lt[] = {
    OP("MatMul", "matmul"),
    OP("Gemm", "gemm"),
    OP("Linear", "linear"),
    {0},
};
