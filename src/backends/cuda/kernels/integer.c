/* MatMulInteger, QLinearMatMul, ConvInteger and QLinearConv. */
#include <stdio.h>

#include "backends/cuda/kernels/sliding.h"
#include "ops/conv/conv.h"
#include "ops/matmul/matmul.h"

extern const tn_cuda_source tn_cuda_source_integer;

enum { TILE = 64, THREADS = 256 };
enum { SUM_MAX = 32768 }; /* products of bytes that 32 bits can hold the sum of */

/* As the kernels take them. */
typedef struct factor {
    const void *at;
    uint32_t count;
} factor;

typedef struct product {
    const void *a, *b;
    void *y;
    uint32_t m, n, k, rank;
    tn_cuda_divider across, down, dim[8];
    uint32_t a_step[8], b_step[8];
    factor a_zero, b_zero, a_scale, b_scale, y_scale, y_zero;
} product;

typedef struct convolution {
    const void *x, *w, *bias;
    void *y;
    uint32_t count, channels, each, bias_count;
    tn_cuda_divider outputs, per_group;
    tn_cuda_sliding slide;
    factor x_zero, w_zero, x_scale, w_scale, y_scale, y_zero;
} convolution;

static factor factor_of(const tn_problem *p, int in)
{
    if (!tn_cuda_has(p, in)) return (factor){NULL, 1};
    return (factor){p->in[in].data, (uint32_t)tn_tensor_count(&p->in[in])};
}

static tn_status run(const tn_launch *l, const char *entry, int weights, bool linear,
                     int64_t threads, void *args)
{
    const tn_problem *p = l->problem;
    char options[160];
    snprintf(options, sizeof options, "-DTA=%s -DTB=%s -DTY=%s -DTS=%s -DLINEAR=%d -DCONV=%d",
             tn_cuda_type(p->in[0].dtype), tn_cuda_type(p->in[weights].dtype),
             tn_cuda_type(p->out[0].dtype), linear ? tn_cuda_type(p->in[1].dtype) : "float", linear,
             entry[8] == 'c');
    return tn_cuda_run_plain(l, &tn_cuda_source_integer, entry, options,
                             tn_cuda_blocks(threads, THREADS), THREADS, (void *[]){args});
}

/* ---- Products --------------------------------------------------------------------------------*/

/* Numbers of the second operand: MatMulInteger has the zero points behind both operands,
 * QLinearMatMul has them with the scales behind each. */
enum { PLAIN_B = 1, LINEAR_B = 3 };

static void plan_of(const tn_problem *p, int b, tn_matmul_plan *plan)
{
    tn_tensor pair[2] = {p->in[0], p->in[b]};
    tn_problem shapes = *p;
    shapes.in = pair;
    shapes.in_count = 2;
    tn_matmul_plan_of(&shapes, plan);
}

static int64_t tiles(int64_t count)
{
    return (count + TILE - 1) / TILE;
}

static tn_verdict accepts_product(const tn_problem *p, int b)
{
    tn_matmul_plan plan;
    int64_t count;
    if (!tn_cuda_fits(p)) return TN_CUDA_TOO_LARGE;
    plan_of(p, b, &plan);
    if (plan.rank > 8) return TN_NO("the batch has too many axes");
    if (b == LINEAR_B && plan.k > SUM_MAX) return TN_NO("sums may not fit 32 bits");
    if (!tn_mul_i64(tiles(plan.m) * tiles(plan.n), plan.batch, &count) ||
        count > INT32_MAX / THREADS)
        return TN_CUDA_TOO_LARGE;
    return TN_YES;
}

static tn_status launch_product(const tn_launch *l, int b)
{
    const tn_problem *p = l->problem;
    bool linear = b == LINEAR_B;
    tn_matmul_plan plan;
    if (tn_tensor_count(&p->out[0]) == 0) return NULL;
    plan_of(p, b, &plan);
    product args = {.a = p->in[0].data,
                    .b = p->in[b].data,
                    .y = p->out[0].data,
                    .m = (uint32_t)plan.m,
                    .n = (uint32_t)plan.n,
                    .k = (uint32_t)plan.k,
                    .rank = (uint32_t)plan.rank,
                    .across = tn_cuda_divider_of(tiles(plan.n)),
                    .down = tn_cuda_divider_of(tiles(plan.m)),
                    .a_zero = factor_of(p, 2),
                    .b_zero = factor_of(p, linear ? 5 : 3)};
    for (int i = 0; i < plan.rank; i++) {
        args.dim[i] = tn_cuda_divider_of(plan.dim[i]);
        args.a_step[i] = (uint32_t)plan.a_step[i];
        args.b_step[i] = (uint32_t)plan.b_step[i];
    }
    if (linear) {
        args.a_scale = factor_of(p, 1);
        args.b_scale = factor_of(p, 4);
        args.y_scale = factor_of(p, 6);
        args.y_zero = factor_of(p, 7);
    }
    return run(l, "integer_product", b, linear,
               tiles(plan.m) * tiles(plan.n) * plan.batch * THREADS, &args);
}

/* ---- Convolutions ----------------------------------------------------------------------------*/

static tn_verdict accepts_conv(const tn_problem *p, int weights)
{
    tn_window w;
    if (!tn_cuda_fits(p)) return TN_CUDA_TOO_LARGE;
    tn_conv_window(p, weights, &w);
    if (weights == LINEAR_B && p->in[weights].dim[1] * w.kernel_count > SUM_MAX)
        return TN_NO("sums may not fit 32 bits");
    return tn_cuda_sliding_fits(&w);
}

static tn_status launch_conv(const tn_launch *l, int weights)
{
    const tn_problem *p = l->problem;
    const tn_conv_params *params = p->params;
    const tn_tensor *x = &p->in[0], *y = &p->out[0];
    bool linear = weights == LINEAR_B, biased = linear && tn_cuda_has(p, 8);
    tn_window w;
    int64_t count = tn_tensor_count(y);
    if (count == 0) return NULL;
    tn_conv_window(p, weights, &w);
    convolution args = {.x = x->data,
                        .w = p->in[weights].data,
                        .bias = biased ? p->in[8].data : NULL,
                        .y = y->data,
                        .count = (uint32_t)count,
                        .channels = (uint32_t)x->dim[1],
                        .each = (uint32_t)p->in[weights].dim[1],
                        .bias_count = biased ? (uint32_t)tn_tensor_count(&p->in[8]) : 1,
                        .outputs = tn_cuda_divider_of(y->dim[1]),
                        .per_group = tn_cuda_divider_of(y->dim[1] / params->group),
                        .slide = tn_cuda_sliding_of(&w),
                        .x_zero = factor_of(p, 2),
                        .w_zero = factor_of(p, linear ? 5 : 3)};
    if (linear) {
        args.x_scale = factor_of(p, 1);
        args.w_scale = factor_of(p, 4);
        args.y_scale = factor_of(p, 6);
        args.y_zero = factor_of(p, 7);
    }
    return run(l, "integer_conv", weights, linear, count, &args);
}

/* ---- Tactics ---------------------------------------------------------------------------------*/

#define KIND(kind, name, second)                                                                   \
    static tn_verdict accepts_##kind##_##name(const tn_problem *p)                                 \
    {                                                                                              \
        return accepts_##kind(p, second);                                                          \
    }                                                                                              \
    static tn_status launch_##kind##_##name(const tn_launch *l)                                    \
    {                                                                                              \
        return launch_##kind(l, second);                                                           \
    }
KIND(product, plain, PLAIN_B)
KIND(product, linear, LINEAR_B)
KIND(conv, plain, PLAIN_B)
KIND(conv, linear, LINEAR_B)

#define TACTIC(text, operator_name, kind)                                                          \
    {                                                                                              \
        .name = "cuda." text, .op = operator_name, .revision = 1, .needs = TN_SM75,                \
        .accepts = accepts_##kind, .launch = launch_##kind,                                        \
    }

extern const tn_tactic tn_cuda_integer[];
const tn_tactic tn_cuda_integer[] = {
    TACTIC("matmulinteger.i8.tiles_64x64", "MatMulInteger", product_plain),
    TACTIC("qlinearmatmul.i8.tiles_64x64", "QLinearMatMul", product_linear),
    TACTIC("convinteger.i8.element", "ConvInteger", conv_plain),
    TACTIC("qlinearconv.i8.element", "QLinearConv", conv_linear),
    {0},
};
