/* Operators of one input, element by element: the rows of ops/unary/unary.def, and Clip. */
#include <stdio.h>
#include <string.h>

#include "backends/cuda/index.h"
#include "ops/unary/unary.h"

extern const tn_cuda_source tn_cuda_source_pointwise;

enum { THREADS = 256 };

/* The parameters as the kernel takes them. */
typedef struct settings {
    float alpha, beta, gamma, lambd, bias;
    int32_t approximate, detect_negative, detect_positive;
} settings;

static settings settings_of(const tn_problem *p)
{
    settings s = {0};
    if (p->params_bytes < sizeof(tn_unary_params)) return s;
    const tn_unary_params *params = p->params;
    s.alpha = params->alpha;
    s.beta = params->beta;
    s.gamma = params->gamma;
    s.lambd = params->lambd;
    s.bias = params->bias;
    s.approximate = (int32_t)params->approximate;
    s.detect_negative = params->detect_negative != 0;
    s.detect_positive = params->detect_positive != 0;
    return s;
}

static tn_verdict accepts(const tn_problem *p)
{
    bool known = tn_cuda_type(p->in[0].dtype) && tn_cuda_type(p->out[0].dtype);
    return known ? TN_YES : TN_NO("kernels do not know the type");
}

/* Elements side by side that one thread takes: 16 bytes of the wider side. */
static int vector_of(const tn_tensor *x, const tn_tensor *y)
{
    int vector = tn_cuda_vector(TN_MAX(tn_cuda_bytes(x), tn_cuda_bytes(y)));
    vector = tn_cuda_vector_at(vector, x->data, tn_cuda_bytes(x));
    return tn_cuda_vector_at(vector, y->data, tn_cuda_bytes(y));
}

/* `integers`: the operator has a meaning of its own for integers; else they go through double. */
static tn_status launch_unary(const tn_launch *l, const char *row, bool integers)
{
    const tn_problem *p = l->problem;
    const tn_tensor *x = &p->in[0], *y = &p->out[0];
    int64_t count = tn_tensor_count(x);
    settings s = settings_of(p);
    char options[200];
    const tn_cuda_function *function;
    if (count == 0) return NULL;
    bool through_double = !integers && !tn_cuda_is_float(x->dtype);
    int vector = vector_of(x, y);
    snprintf(options, sizeof options, "-DTX=%s -DTY=%s -DTW=%s -DVEC=%d -DOP=op_%s",
             tn_cuda_type(x->dtype), tn_cuda_type(y->dtype),
             through_double ? "double" : tn_cuda_wide(x->dtype), vector, row);
    TN_TRY(tn_cuda_function_get(tn_cuda_stream_of(l)->card, &tn_cuda_source_pointwise, "pointwise",
                                options, 0, &function));
    tn_cuda_grid grid = {.grid = {tn_cuda_blocks(count, (int64_t)THREADS * vector)},
                         .block = {THREADS},
                         .overlap = true};
    void *args[] = {(void *)&x->data, (void *)&y->data, &count, &s};
    return tn_cuda_run(l, function, &grid, args);
}

static tn_verdict accepts_clip(const tn_problem *p)
{
    for (int i = 1; i < p->in_count; i++)
        if (tn_cuda_has(p, i) && tn_tensor_count(&p->in[i]) > 1)
            return TN_NO("a bound is no scalar");
    return accepts(p);
}

static tn_status launch_clip(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_tensor *x = &p->in[0], *y = &p->out[0];
    int64_t count = tn_tensor_count(x);
    void *bound[2] = {NULL, NULL};
    char options[200];
    const tn_cuda_function *function;
    if (count == 0) return NULL;
    for (int i = 0; i < 2; i++)
        if (tn_cuda_has(p, i + 1) && tn_tensor_count(&p->in[i + 1])) bound[i] = p->in[i + 1].data;
    int vector = vector_of(x, y);
    const char *type = tn_cuda_type(x->dtype);
    snprintf(options, sizeof options, "-DTX=%s -DTY=%s -DTW=%s -DVEC=%d -DOP=op_relu", type, type,
             tn_cuda_wide(x->dtype), vector);
    TN_TRY(tn_cuda_function_get(tn_cuda_stream_of(l)->card, &tn_cuda_source_pointwise, "clip",
                                options, 0, &function));
    tn_cuda_grid grid = {.grid = {tn_cuda_blocks(count, (int64_t)THREADS * vector)},
                         .block = {THREADS},
                         .overlap = true};
    void *args[] = {(void *)&x->data, &bound[0], &bound[1], (void *)&y->data, &count};
    return tn_cuda_run(l, function, &grid, args);
}

#define ROW(c, title, opset, types, result, f, i, known, attributes, rule, text)                   \
    static tn_status launch_##c(const tn_launch *l)                                                \
    {                                                                                              \
        return launch_unary(l, #c, strcmp(#i, "NULL") != 0);                                       \
    }
#include "ops/unary/unary.def"
#undef ROW

extern const tn_tactic tn_cuda_pointwise[];
const tn_tactic tn_cuda_pointwise[] = {
#define ROW(c, title, opset, types, result, f, i, known, attributes, rule, text)                   \
    {                                                                                              \
        .name = "cuda." #c ".any.vector",                                                          \
        .op = title,                                                                               \
        .revision = 2,                                                                             \
        .needs = TN_SM75,                                                                          \
        .accepts = accepts,                                                                        \
        .launch = launch_##c,                                                                      \
    },
#include "ops/unary/unary.def"
#undef ROW
    {
        .name = "cuda.clip.any.vector",
        .op = "Clip",
        .revision = 1,
        .needs = TN_SM75,
        .accepts = accepts_clip,
        .launch = launch_clip,
    },
    {0},
};
