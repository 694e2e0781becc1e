/* Operators of one f32 operand, a vector at a time. A new one is a function and a row. */
#include "backends/cpu/kernels/vmath.h"
#include "backends/cpu/variant.h"
#include "device/device.h"
#include "ops/unary/unary.h"

enum { BLOCK = 1024, GRAIN_BLOCKS = 8 }; /* elements of a block; blocks worth a thread */

typedef struct job {
    const float *x;
    float *y;
    int64_t count;
    const tn_unary_params *params;
} job;

static inline vf32 relu(vf32 x, const tn_unary_params *params)
{
    (void)params;
    return vf32_select((vi32)(x < 0.0f), (vf32){0}, x); /* NaN stays */
}

static inline vf32 leaky_relu(vf32 x, const tn_unary_params *params)
{
    return vf32_select((vi32)(x < 0.0f), x * params->alpha, x);
}

static inline vf32 negate(vf32 x, const tn_unary_params *params)
{
    (void)params;
    return -x;
}

static inline vf32 absolute(vf32 x, const tn_unary_params *params)
{
    (void)params;
    return vf32_abs(x);
}

static inline vf32 square_root(vf32 x, const tn_unary_params *params)
{
    (void)params;
    return vf32_sqrt(x);
}

static inline vf32 exponential(vf32 x, const tn_unary_params *params)
{
    (void)params;
    return vf32_exp(x);
}

static inline vf32 error_function(vf32 x, const tn_unary_params *params)
{
    (void)params;
    return vf32_erf(x);
}

static inline vf32 tangent(vf32 x, const tn_unary_params *params)
{
    (void)params;
    return vf32_tanh(x);
}

static inline vf32 sigmoid(vf32 x, const tn_unary_params *params)
{
    (void)params;
    return vf32_sigmoid(x);
}

static inline vf32 gelu(vf32 x, const tn_unary_params *params)
{
    return params->approximate ? vf32_gelu_tanh(x) : vf32_gelu(x);
}

/* name, operator, function */
#define ROWS(X)                                                                                    \
    X(relu, "Relu", relu)                                                                          \
    X(leakyrelu, "LeakyRelu", leaky_relu)                                                          \
    X(neg, "Neg", negate)                                                                          \
    X(abs, "Abs", absolute)                                                                        \
    X(sqrt, "Sqrt", square_root)                                                                   \
    X(exp, "Exp", exponential)                                                                     \
    X(erf, "Erf", error_function)                                                                  \
    X(tanh, "Tanh", tangent)                                                                       \
    X(sigmoid, "Sigmoid", sigmoid)                                                                 \
    X(gelu, "Gelu", gelu)

static tn_verdict accepts(const tn_problem *p)
{
    return p->in[0].dtype == TN_DTYPE_F32 ? TN_YES : TN_NO("the operand is not f32");
}

static tn_status run(const tn_launch *l, tn_pool_work work)
{
    const tn_problem *p = l->problem;
    job j = {.x = p->in[0].data,
             .y = p->out[0].data,
             .params = p->params,
             .count = tn_dims_product(p->in[0].dim, 0, p->in[0].rank)};
    return tn_pool_run(l->pool, (j.count + BLOCK - 1) / BLOCK, GRAIN_BLOCKS, work, &j);
}

#define LOOP(name, op_name, function)                                                              \
    static tn_status share_##name(void *arg, int64_t begin, int64_t end, int thread)               \
    {                                                                                              \
        const job *j = arg;                                                                        \
        int64_t i = begin * BLOCK, last = TN_MIN(end * BLOCK, j->count);                           \
        (void)thread;                                                                              \
        for (; i + VF32_LANES <= last; i += VF32_LANES)                                            \
            vf32_store(j->y + i, function(vf32_load(j->x + i), j->params));                        \
        if (i < last)                                                                              \
            vf32_store_some(j->y + i, function(vf32_load_some(j->x + i, last - i), j->params),     \
                            last - i);                                                             \
        return NULL;                                                                               \
    }                                                                                              \
    static tn_status launch_##name(const tn_launch *l)                                             \
    {                                                                                              \
        return run(l, share_##name);                                                               \
    }
ROWS(LOOP)

#define TACTIC(row_name, op_name, function)                                                        \
    {                                                                                              \
        .name = "cpu." #row_name ".f32.loop." TN_VARIANT_TEXT,                                     \
        .op = op_name,                                                                             \
        .revision = 2,                                                                             \
        .accepts = accepts,                                                                        \
        .launch = launch_##row_name,                                                               \
    },
extern const tn_tactic TN_VARIANT_NAME(tn_cpu_unary_loops)[];
const tn_tactic TN_VARIANT_NAME(tn_cpu_unary_loops)[] = {
    ROWS(TACTIC){0},
};
