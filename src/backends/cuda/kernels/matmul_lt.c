/* MatMul, Gemm and Linear by cuBLASLt: the k-th of the algorithms that it recommends is a tactic,
 * so that a build measures them. It adds the bias and the residual, and applies relu; other
 * functions are a kernel of ours behind it. Its GELU is the one with tanh, which is 5e-4 off the
 * one with erf at most: elements of 16 bits may take it for either. Where it has no algorithm for
 * the shapes of a run, our tiles do the work.
 *
 * It multiplies floats faster, as such and as tf32, where k runs along memory in both operands:
 * "deep" tactics turn constant weights round, and round them where they are to be tf32. */
#include <string.h>

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

/* Are there constant floats that lie along n? */
static bool turns(const tn_problem *p, const tn_cuda_product *x)
{
    return x->dtype == TN_DTYPE_F32 && p->in_constant & 2 && !x->rank && !x->b_deep;
}

static tn_verdict accepts(const tn_problem *p, int choice, bool deep, bool tf32)
{
    const char *why;
    tn_cuda_product x;
    if (!tn_lt_open(&why)) return TN_NO("cuBLASLt was not found");
    tn_cuda_product_of(p, &x);
    tn_verdict no = tn_cuda_product_fits(&x);
    if (no) return no;
    if (type_of(x.dtype) < 0) return TN_NO("the operands are not f32, f16 or bf16");
    if (tf32 && x.dtype != TN_DTYPE_F32) return TN_NO("the operands are not f32");
    if (deep && !turns(p, &x)) return TN_NO("there are no constant floats along n");
    if (!deep && choice > 0 && turns(p, &x)) return TN_NO("the weights are better turned round");
    if (x.k == 0) return TN_NO("there is nothing to sum");
    if (x.rank > 1) return TN_NO("the batch has more than one step");
    bool c = p->in_count > 2 && p->in[2].dtype != TN_DTYPE_NONE;
    bool residual = p->in_count > 3 && p->in[3].dtype != TN_DTYPE_NONE;
    if (c && x.c_column != 1) return TN_NO("C has one value for all columns");
    if (c && !is_bias(&x) && (x.c_row != x.n || residual))
        return TN_NO("C is neither a bias nor like the output");
    return TN_YES;
}

static size_t packed_bytes(const tn_problem *p)
{
    return (size_t)tn_tensor_bytes(&p->in[1]);
}

static tn_status pack(const tn_problem *p, void *dst)
{
    enum { BLOCK = 32 };
    tn_cuda_product x;
    tn_cuda_product_of(p, &x);
    const float *w = p->in[1].data;
    float *to = dst;
    for (int64_t k = 0; k < x.k; k += BLOCK)
        for (int64_t n = 0; n < x.n; n++)
            for (int64_t i = k; i < TN_MIN(k + BLOCK, x.k); i++) to[n * x.k + i] = w[i * x.ldb + n];
    return NULL;
}

static tn_status pack_tf32(const tn_problem *p, void *dst)
{
    uint32_t *at = dst;
    size_t count = packed_bytes(p) / sizeof *at;
    TN_TRY(pack(p, dst));
    for (size_t i = 0; i < count; i++) at[i] = tn_cuda_round_tf32(at[i]);
    return NULL;
}

static uint64_t unused(const tn_problem *p)
{
    (void)p;
    return 2;
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

/* 0: none, or it cannot do that one. */
static int32_t function_of(const tn_cuda_product *x)
{
    int64_t kind = x->epilogue.kind;
    if (kind == TN_EPILOGUE_RELU) return TN_LT_EPILOGUE_RELU;
    bool gelu = kind == TN_EPILOGUE_GELU || kind == TN_EPILOGUE_GELU_TANH;
    return gelu && tn_dtype_bits(x->dtype) == 16 ? TN_LT_EPILOGUE_GELU : 0;
}

static tn_status launch(const tn_launch *l, int choice, bool deep, bool tf32)
{
    tn_cuda_product x;
    tn_cuda_product_of(l->problem, &x);
    if (x.m == 0 || x.n == 0 || x.count == 0) return NULL;
    if (deep) {
        x.b = l->packed;
        x.b_deep = true;
        x.ldb = x.k;
    }
    bool bias = x.c && is_bias(&x), more = x.epilogue.kind != TN_EPILOGUE_NONE && !function_of(&x);
    const void *c = x.residual ? x.residual : bias ? NULL : x.c;
    int32_t epilogue = (bias ? TN_LT_EPILOGUE_BIAS : 0) | function_of(&x);
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
        .tf32 = tf32,
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

#define CHOICES(X, ...)                                                                            \
    X(0, __VA_ARGS__)                                                                              \
    X(1, __VA_ARGS__)                                                                              \
    X(2, __VA_ARGS__)                                                                              \
    X(3, __VA_ARGS__)                                                                              \
    X(4, __VA_ARGS__)                                                                              \
    X(5, __VA_ARGS__)                                                                              \
    X(6, __VA_ARGS__)                                                                              \
    X(7, __VA_ARGS__)
_Static_assert(TN_LT_CHOICES == 8, "a row for each");

#define FUNCTIONS(k, name, deep, tf32)                                                             \
    static tn_verdict accepts_##name##k(const tn_problem *p)                                       \
    {                                                                                              \
        return accepts(p, k, deep, tf32);                                                          \
    }                                                                                              \
    static tn_status launch_##name##k(const tn_launch *l)                                          \
    {                                                                                              \
        return launch(l, k, deep, tf32);                                                           \
    }
CHOICES(FUNCTIONS, wide_, false, false)
CHOICES(FUNCTIONS, deep_, true, false)
CHOICES(FUNCTIONS, wide_tf32_, false, true)
CHOICES(FUNCTIONS, deep_tf32_, true, true)

#define ROW(k, name_, op_, text, ...)                                                              \
    {.name = "cuda." text #k,                                                                      \
     .op = op_,                                                                                    \
     .revision = 2,                                                                                \
     .accepts = accepts_##name_##k,                                                                \
     .scratch_bytes = scratch_bytes,                                                               \
     .launch = launch_##name_##k,                                                                  \
     __VA_ARGS__},
#define ANY .needs = TN_SM75
#define DEEP(how) .packed_bytes = packed_bytes, .pack = how, .unused = unused
#define TF32 .precision = TN_PRECISION_TF32, .needs = TN_SM80
#define OP(op, text)                                                                               \
    CHOICES(ROW, deep_tf32_, op, text ".tf32.lt_deep_", TF32, DEEP(pack_tf32))                     \
    CHOICES(ROW, wide_tf32_, op, text ".tf32.lt_", TF32)                                           \
    CHOICES(ROW, deep_, op, text ".any.lt_deep_", ANY, DEEP(pack))                                 \
    CHOICES(ROW, wide_, op, text ".any.lt_", ANY)

extern const tn_tactic tn_cuda_matmul_lt[];
const tn_tactic tn_cuda_matmul_lt[] = {
    OP("MatMul", "matmul") OP("Gemm", "gemm") OP("Linear", "linear"){0},
};
