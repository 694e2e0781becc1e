/* Cast and CastLike among floats, integers and bool; ConstantOfShape, Range and EyeLike. */
#include <stdio.h>
#include <string.h>

#include "backends/cuda/index.h"
#include "ops/constant_of_shape/constant_of_shape.h"
#include "ops/eye_like/eye_like.h"

extern const tn_cuda_source tn_cuda_source_cast;

enum { THREADS = 256 };

static tn_status run(const tn_launch *l, const char *entry, const char *from, const char *to,
                     int vector, bool truth, int64_t count, void **args)
{
    char options[120];
    snprintf(options, sizeof options, "-DTX=%s -DTY=%s -DVEC=%d -DTRUTH=%d -DMADE=%d", from, to,
             vector, truth, strcmp(entry, "cast") != 0);
    return tn_cuda_run_plain(l, &tn_cuda_source_cast, entry, options,
                             tn_cuda_blocks(count, (int64_t)THREADS * vector), THREADS, args);
}

/* ---- Cast ------------------------------------------------------------------------------------*/

static tn_verdict accepts_cast(const tn_problem *p)
{
    bool known = tn_cuda_type(p->in[0].dtype) && tn_cuda_type(p->out[0].dtype);
    return known ? TN_YES : TN_NO("kernels do not know the type");
}

static uint64_t unused_second(const tn_problem *p)
{
    (void)p;
    return UINT64_C(1) << 1;
}

static tn_status launch_cast(const tn_launch *l)
{
    const tn_tensor *x = &l->problem->in[0], *y = &l->problem->out[0];
    int64_t count = tn_tensor_count(x);
    if (count == 0) return NULL;
    bool same = x->dtype == y->dtype; /* bits as they are, whatever they mean */
    int vector = tn_cuda_vector(TN_MAX(tn_cuda_bytes(x), tn_cuda_bytes(y)));
    vector = tn_cuda_vector_at(vector, x->data, tn_cuda_bytes(x));
    vector = tn_cuda_vector_at(vector, y->data, tn_cuda_bytes(y));
    void *args[] = {(void *)&x->data, (void *)&y->data, &count};
    return run(l, "cast", same ? tn_cuda_word_of(x->dtype) : tn_cuda_type(x->dtype),
               same ? tn_cuda_word_of(x->dtype) : tn_cuda_type(y->dtype), vector,
               y->dtype == TN_DTYPE_BOOL && !same, count, args);
}

/* ---- Out of nothing --------------------------------------------------------------------------*/

static tn_verdict accepts_made(const tn_problem *p)
{
    if (!tn_cuda_word_of(p->out[0].dtype)) return TN_NO("elements are not of 1, 2, 4 or 8 bytes");
    return tn_cuda_fits(p) ? TN_YES : TN_CUDA_TOO_LARGE;
}

static uint64_t unused_first(const tn_problem *p)
{
    (void)p;
    return 1;
}

static tn_status launch_constant(const tn_launch *l)
{
    const tn_constant_of_shape_params *params = l->problem->params;
    const tn_tensor *y = &l->problem->out[0];
    int64_t count = tn_tensor_count(y);
    uint64_t value = 0;
    const char *word = tn_cuda_word_of(y->dtype);
    if (count == 0) return NULL;
    if (params->value.dtype) memcpy(&value, params->value.bytes, tn_cuda_bytes(y));
    void *args[] = {(void *)&y->data, &count, &value};
    return run(l, "fill", word, word, 4, false, count, args);
}

static tn_verdict accepts_range(const tn_problem *p)
{
    return tn_cuda_type(p->in[0].dtype) ? TN_YES : TN_NO("kernels do not know the type");
}

static uint64_t unused_limit(const tn_problem *p)
{
    (void)p;
    return UINT64_C(1) << 1;
}

static tn_status launch_range(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_tensor *y = &p->out[0];
    int64_t count = tn_tensor_count(y);
    if (count == 0) return NULL;
    /* Integers wrap, whatever their sign. */
    const char *wide = tn_cuda_is_float(y->dtype) ? "double" : "uint64";
    void *args[] = {(void *)&p->in[0].data, (void *)&p->in[2].data, (void *)&y->data, &count};
    return run(l, "range", wide, tn_cuda_type(y->dtype), 1, false, count, args);
}

static tn_verdict accepts_eye(const tn_problem *p)
{
    if (!tn_cuda_type(p->out[0].dtype)) return TN_NO("kernels do not know the type");
    return tn_cuda_fits(p) ? TN_YES : TN_CUDA_TOO_LARGE;
}

static tn_status launch_eye(const tn_launch *l)
{
    const tn_eye_like_params *params = l->problem->params;
    const tn_tensor *y = &l->problem->out[0];
    uint32_t count = (uint32_t)tn_tensor_count(y);
    int64_t k = params->k;
    if (count == 0) return NULL;
    tn_cuda_divider columns = tn_cuda_divider_of(y->dim[1]);
    void *args[] = {(void *)&y->data, &count, &columns, &k};
    return run(l, "eye", "float", tn_cuda_type(y->dtype), 1, false, count, args);
}

#define TACTIC(text, operator_name, accepts_it, unused_by_it, launch_it)                           \
    {                                                                                              \
        .name = "cuda." text, .op = operator_name, .revision = 1, .needs = TN_SM75,                \
        .accepts = accepts_it, .unused = unused_by_it, .launch = launch_it,                        \
    }

extern const tn_tactic tn_cuda_cast[];
const tn_tactic tn_cuda_cast[] = {
    TACTIC("cast.any.vector", "Cast", accepts_cast, NULL, launch_cast),
    TACTIC("castlike.any.vector", "CastLike", accepts_cast, unused_second, launch_cast),
    TACTIC("constantofshape.any.fill", "ConstantOfShape", accepts_made, unused_first,
           launch_constant),
    TACTIC("range.any.element", "Range", accepts_range, unused_limit, launch_range),
    TACTIC("eyelike.any.element", "EyeLike", accepts_eye, unused_first, launch_eye),
    {0},
};
