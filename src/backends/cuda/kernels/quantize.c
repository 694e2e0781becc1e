/* QuantizeLinear and DequantizeLinear of integers of 8 and 16 bits (and 32, the other way), and
 * DynamicQuantizeLinear. */
#include <stdio.h>

#include "backends/cuda/index.h"
#include "ops/quantize/quantize.h"

extern const tn_cuda_source tn_cuda_source_quantize;

enum { THREADS = 256 };

typedef struct places { /* as the kernels take it */
    uint32_t count, blocks;
    tn_cuda_divider inner, axis, block;
} places;

static bool is_real(tn_dtype dtype)
{
    return dtype == TN_DTYPE_F32 || dtype == TN_DTYPE_F16 || dtype == TN_DTYPE_BF16;
}

static bool is_small_integer(tn_dtype dtype)
{
    return dtype == TN_DTYPE_I8 || dtype == TN_DTYPE_U8 || dtype == TN_DTYPE_I16 ||
           dtype == TN_DTYPE_U16;
}

static tn_dtype precision_of(const tn_problem *p)
{
    const tn_quantize_params *params = p->params;
    return params->precision ? (tn_dtype)params->precision : p->in[1].dtype;
}

static tn_verdict accepts_quantize(const tn_problem *p)
{
    tn_dtype x = p->in[0].dtype;
    if (!(is_real(x) || x == TN_DTYPE_I32) || !is_real(p->in[1].dtype) ||
        !is_real(precision_of(p)) || !is_small_integer(p->out[0].dtype))
        return TN_NO("kernels do not know the types");
    return tn_cuda_fits(p) ? TN_YES : TN_CUDA_TOO_LARGE;
}

static tn_verdict accepts_dequantize(const tn_problem *p)
{
    tn_dtype x = p->in[0].dtype;
    if (!(is_small_integer(x) || x == TN_DTYPE_I32) || !is_real(p->in[1].dtype) ||
        !is_real(p->out[0].dtype))
        return TN_NO("kernels do not know the types");
    return tn_cuda_fits(p) ? TN_YES : TN_CUDA_TOO_LARGE;
}

/* Float is exact enough where its results are rounded just once. */
static const char *computed_in(const tn_problem *p, bool quantize)
{
    bool plain = p->in[0].dtype != TN_DTYPE_I32 && p->in[1].dtype == TN_DTYPE_F32;
    tn_dtype to = quantize ? precision_of(p) : p->out[0].dtype;
    return plain && to == TN_DTYPE_F32 ? "float" : "double";
}

static tn_status launch(const tn_launch *l, bool quantize)
{
    const tn_problem *p = l->problem;
    const tn_tensor *x = &p->in[0], *scale = &p->in[1], *y = &p->out[0];
    void *zero = tn_cuda_has(p, 2) ? p->in[2].data : NULL;
    char options[240];
    tn_quantize_map map;
    int64_t count = tn_tensor_count(x);
    if (count == 0) return NULL;
    tn_quantize_map_of(p->params, x, scale, &map);
    places at = {.count = (uint32_t)count,
                 .blocks = (uint32_t)map.blocks,
                 .inner = tn_cuda_divider_of(map.inner),
                 .axis = tn_cuda_divider_of(map.count),
                 .block = tn_cuda_divider_of(map.block)};
    int vector = tn_cuda_vector(TN_MAX(tn_cuda_bytes(x), tn_cuda_bytes(y)));
    vector = tn_cuda_vector_at(vector, x->data, tn_cuda_bytes(x));
    vector = tn_cuda_vector_at(vector, y->data, tn_cuda_bytes(y));
    snprintf(options, sizeof options,
             "-DTX=%s -DTY=%s -DTS=%s -DTW=%s -DTR=%s -DVEC=%d -DPLACE=%d -DQUANTIZE=%d",
             tn_cuda_type(x->dtype), tn_cuda_type(y->dtype), tn_cuda_type(scale->dtype),
             computed_in(p, quantize), tn_cuda_type(quantize ? precision_of(p) : TN_DTYPE_F32),
             vector, map.per_block ? 2 : map.blocks > 1, quantize);
    void *args[] = {(void *)&x->data, (void *)&scale->data, &zero, (void *)&y->data, &at};
    return tn_cuda_run_plain(l, &tn_cuda_source_quantize, "elements", options,
                             tn_cuda_blocks(count, (int64_t)THREADS * vector), THREADS, args);
}

static tn_status launch_quantize(const tn_launch *l)
{
    return launch(l, true);
}

static tn_status launch_dequantize(const tn_launch *l)
{
    return launch(l, false);
}

static tn_verdict accepts_dynamic(const tn_problem *p)
{
    return tn_cuda_fits(p) ? TN_YES : TN_CUDA_TOO_LARGE;
}

static tn_status launch_dynamic(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    uint32_t count = (uint32_t)tn_tensor_count(&p->in[0]);
    void *out[3];
    for (int i = 0; i < 3; i++) out[i] = tn_cuda_wants(p, i) ? p->out[i].data : NULL;
    void *args[] = {(void *)&p->in[0].data, &out[0], &out[1], &out[2], &count};
    return tn_cuda_run_plain(l, &tn_cuda_source_quantize, "dynamic", "-DQUANTIZE=1", 1, 1024, args);
}

#define TACTIC(text, operator_name, kind)                                                          \
    {                                                                                              \
        .name = "cuda." text, .op = operator_name, .revision = 1, .needs = TN_SM75,                \
        .accepts = accepts_##kind, .launch = launch_##kind,                                        \
    }

extern const tn_tactic tn_cuda_quantize[];
const tn_tactic tn_cuda_quantize[] = {
    TACTIC("quantizelinear.any.vector", "QuantizeLinear", quantize),
    TACTIC("dequantizelinear.any.vector", "DequantizeLinear", dequantize),
    TACTIC("dynamicquantizelinear.f32.block", "DynamicQuantizeLinear", dynamic),
    {0},
};
