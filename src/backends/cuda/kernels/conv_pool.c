/* ConvPool by the kernels of its parts, one behind the other: where no kernel takes both. */
#include "backends/cuda/index.h"
#include "backends/cuda/kernels/conv_last.h"
#include "ops/conv_pool/conv_pool.h"
#include "ops/wide/wide.h"

extern const tn_tactic tn_cuda_conv_last_first_group[], tn_cuda_conv_last_first[];
extern const tn_tactic tn_cuda_conv_last[], tn_cuda_pool_last[];

/* The first that any card has. */
static const tn_tactic *plain(void)
{
    const tn_tactic *t = tn_cuda_conv_last;
    while (t->needs != TN_SM75) t++;
    return t;
}

typedef struct parts {
    tn_tensor between;
    tn_problem conv, pool;
} parts;

static void parts_of(const tn_problem *p, parts *x)
{
    tn_conv_pool_parts(p, &x->between, &x->conv, &x->pool);
}

static size_t between_bytes(const parts *x)
{
    return ((size_t)tn_tensor_bytes(&x->between) + 255) / 256 * 256;
}

static tn_verdict accepts(const tn_problem *p, const tn_tactic *conv)
{
    parts x;
    parts_of(p, &x);
    tn_verdict no = conv->accepts(&x.conv);
    return no ? no : tn_cuda_pool_last->accepts(&x.pool);
}

static size_t packed_bytes(const tn_problem *p, const tn_tactic *conv)
{
    parts x;
    parts_of(p, &x);
    return conv->packed_bytes(&x.conv);
}

static tn_status pack(const tn_problem *p, void *dst, const tn_tactic *conv)
{
    parts x;
    parts_of(p, &x);
    return conv->pack(&x.conv, dst);
}

static uint64_t unused(const tn_problem *p, const tn_tactic *conv)
{
    parts x;
    parts_of(p, &x);
    return conv->unused(&x.conv);
}

static size_t scratch_bytes(const tn_problem *p)
{
    parts x;
    parts_of(p, &x);
    return between_bytes(&x);
}

static tn_status launch(const tn_launch *l, const tn_tactic *conv)
{
    parts x;
    tn_launch part = *l;
    parts_of(l->problem, &x);
    x.between.data = l->scratch;
    part.problem = &x.conv;
    TN_TRY(conv->launch(&part));
    part.problem = &x.pool;
    part.packed = NULL;
    return tn_cuda_pool_last->launch(&part);
}

/* name, the layer's tactic, what it needs */
#define PARTS(X)                                                                                   \
    X(group, tn_cuda_conv_last_first_group[0], TN_SM90)                                            \
    X(first, tn_cuda_conv_last_first[0], TN_SM80)                                                  \
    X(any, (*plain()), TN_SM75)

#define ANSWERS(name, conv, feature)                                                               \
    static tn_verdict accepts_##name(const tn_problem *p)                                          \
    {                                                                                              \
        return accepts(p, &conv);                                                                  \
    }                                                                                              \
    static size_t packed_bytes_##name(const tn_problem *p)                                         \
    {                                                                                              \
        return packed_bytes(p, &conv);                                                             \
    }                                                                                              \
    static tn_status pack_##name(const tn_problem *p, void *dst)                                   \
    {                                                                                              \
        return pack(p, dst, &conv);                                                                \
    }                                                                                              \
    static uint64_t unused_##name(const tn_problem *p)                                             \
    {                                                                                              \
        return unused(p, &conv);                                                                   \
    }                                                                                              \
    static tn_status launch_##name(const tn_launch *l)                                             \
    {                                                                                              \
        return launch(l, &conv);                                                                   \
    }
PARTS(ANSWERS)

#define ROW(part, conv, feature)                                                                   \
    {                                                                                              \
        .name = "cuda.convpool.any.parts_" #part,                                                  \
        .op = "ConvPool",                                                                          \
        .revision = 1,                                                                             \
        .needs = feature,                                                                          \
        .accepts = accepts_##part,                                                                 \
        .packed_bytes = packed_bytes_##part,                                                       \
        .pack = pack_##part,                                                                       \
        .unused = unused_##part,                                                                   \
        .scratch_bytes = scratch_bytes,                                                            \
        .launch = launch_##part,                                                                   \
    },

extern const tn_tactic tn_cuda_conv_pool[];
const tn_tactic tn_cuda_conv_pool[] = {PARTS(ROW){0}};
