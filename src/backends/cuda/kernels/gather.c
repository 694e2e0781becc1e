/* Gather, GatherElements, GatherND; ScatterElements and ScatterND without a reduction. */
#include <stdio.h>

#include "backends/cuda/index.h"
#include "ops/gather/gather.h"
#include "ops/gather_elements/gather_elements.h"
#include "ops/gather_nd/gather_nd.h"
#include "ops/scatter_elements/scatter_elements.h"
#include "ops/scatter_nd/scatter_nd.h"

extern const tn_cuda_source tn_cuda_source_gather;

enum { THREADS = 256 };

typedef struct elements { /* as the kernel takes them */
    const void *x, *indices;
    void *y, *owner;
    uint32_t count;
    int32_t rank, axis, dim;
    tn_cuda_divider index_dim[TN_RANK_MAX];
    int32_t step[TN_RANK_MAX];
} elements;

typedef struct slabs { /* as the kernel takes them */
    const void *x, *indices;
    void *y, *owner;
    uint32_t count;
    int32_t width, batch_units;
    tn_cuda_divider inner, batch;
    int32_t dim[TN_RANK_MAX], step[TN_RANK_MAX];
} slabs;

static tn_verdict accepts(const tn_problem *p)
{
    if (!tn_cuda_word_of(p->in[0].dtype)) return TN_NO("elements are not of 1, 2, 4 or 8 bytes");
    if (p->in[0].rank == 0) return TN_NO("the data is a scalar");
    return tn_cuda_fits(p) ? TN_YES : TN_CUDA_TOO_LARGE;
}

static tn_status run(const tn_launch *l, const char *entry, const char *unit, tn_dtype index,
                     int64_t threads, void **args)
{
    char options[80];
    snprintf(options, sizeof options, "-DUNIT=%s -DINDEX=%s", unit, tn_cuda_type(index));
    return tn_cuda_run_plain(l, &tn_cuda_source_gather, entry, options,
                             tn_cuda_blocks(threads, THREADS), THREADS, args);
}

/* The widest unit that divides slices of `bytes` and both addresses; its name. */
static const char *unit_of(int64_t bytes, const void *a, const void *b, size_t *unit_bytes)
{
    size_t unit = 16;
    while (unit > 1 && (bytes % (int64_t)unit || (uintptr_t)a % unit || (uintptr_t)b % unit))
        unit /= 2;
    *unit_bytes = unit;
    return unit == 16 ? "uint128" : tn_cuda_word(unit);
}

/* ---- Gather ----------------------------------------------------------------------------------*/

static tn_status launch_gather(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_gather_params *params = p->params;
    const tn_tensor *x = &p->in[0], *indices = &p->in[1], *y = &p->out[0];
    int axis = tn_axis_normal(params->axis, x->rank);
    int64_t inner = tn_dims_product(x->dim, axis + 1, x->rank) * (int64_t)tn_cuda_bytes(x);
    size_t unit_bytes;
    if (tn_tensor_count(y) == 0) return NULL;
    const char *unit = unit_of(inner, x->data, y->data, &unit_bytes);
    tn_cuda_divider by_inner = tn_cuda_divider_of(inner / (int64_t)unit_bytes);
    tn_cuda_divider by_index = tn_cuda_divider_of(tn_tensor_count(indices));
    uint32_t count = (uint32_t)(tn_tensor_bytes(y) / (int64_t)unit_bytes);
    int32_t dim = (int32_t)x->dim[axis];
    void *args[] = {
        (void *)&x->data, (void *)&indices->data, (void *)&y->data, &count, &dim, &by_index,
        &by_inner};
    return run(l, "gather", unit, indices->dtype, count, args);
}

/* ---- GatherElements, ScatterElements ---------------------------------------------------------*/

/* `other`: the tensor that the indices point into. */
static elements elements_of(const tn_tensor *indices, const tn_tensor *other, int64_t given_axis)
{
    int64_t step[TN_RANK_MAX];
    elements e = {.indices = indices->data,
                  .count = (uint32_t)tn_tensor_count(indices),
                  .rank = indices->rank,
                  .axis = tn_axis_normal(given_axis, other->rank)};
    tn_cuda_dense_steps(other->dim, other->rank, step);
    e.dim = (int32_t)other->dim[e.axis];
    for (int axis = 0; axis < indices->rank; axis++) {
        e.index_dim[axis] = tn_cuda_divider_of(indices->dim[axis]);
        e.step[axis] = (int32_t)step[axis];
    }
    return e;
}

static tn_status launch_gather_elements(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_gather_elements_params *params = p->params;
    elements args = elements_of(&p->in[1], &p->in[0], params->axis);
    args.x = p->in[0].data;
    args.y = p->out[0].data;
    if (args.count == 0) return NULL;
    return run(l, "gather_elements", tn_cuda_word_of(p->in[0].dtype), p->in[1].dtype, args.count,
               (void *[]){&args});
}

static tn_status run_begin(const tn_launch *l, const char *unit, size_t unit_bytes,
                           int64_t owner_count)
{
    const tn_tensor *x = &l->problem->in[0], *y = &l->problem->out[0];
    uint32_t count = (uint32_t)(tn_tensor_bytes(x) / (int64_t)unit_bytes);
    uint32_t owners = (uint32_t)owner_count;
    void *args[] = {(void *)&x->data, (void *)&y->data, &count, (void *)&l->scratch, &owners};
    return run(l, "begin", unit, TN_DTYPE_I64, TN_MAX(count, owners), args);
}

static tn_verdict accepts_scatter_elements(const tn_problem *p)
{
    const tn_scatter_elements_params *params = p->params;
    if (params->reduction) return TN_NO("a reduction needs an order");
    return accepts(p);
}

static size_t scratch_elements(const tn_problem *p)
{
    return (size_t)tn_tensor_count(&p->out[0]) * sizeof(int32_t);
}

static tn_status launch_scatter_elements(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_scatter_elements_params *params = p->params;
    const char *word = tn_cuda_word_of(p->in[0].dtype);
    elements args = elements_of(&p->in[1], &p->in[0], params->axis);
    args.x = p->in[2].data;
    args.y = p->out[0].data;
    args.owner = l->scratch;
    if (tn_tensor_count(&p->out[0]) == 0) return NULL;
    TN_TRY(run_begin(l, word, tn_cuda_bytes(&p->in[0]), tn_tensor_count(&p->out[0])));
    if (args.count == 0) return NULL;
    tn_dtype index = p->in[1].dtype;
    TN_TRY(run(l, "claim_elements", word, index, args.count, (void *[]){&args}));
    return run(l, "write_elements", word, index, args.count, (void *[]){&args});
}

/* ---- GatherND, ScatterND ---------------------------------------------------------------------*/

/* Places of `width` axes of `other` behind its batch dims. */
static slabs slabs_of(const tn_tensor *indices, const tn_tensor *other, int batch)
{
    int width = (int)indices->dim[indices->rank - 1];
    int64_t step = 1;
    slabs s = {.indices = indices->data, .width = width};
    for (int k = width - 1; k >= 0; k--) {
        s.dim[k] = (int32_t)other->dim[batch + k];
        s.step[k] = (int32_t)step;
        step *= other->dim[batch + k];
    }
    s.batch = tn_cuda_divider_of(tn_dims_product(indices->dim, batch, indices->rank - 1));
    return s;
}

static tn_verdict accepts_nd(const tn_problem *p)
{
    const tn_tensor *indices = &p->in[1];
    if (indices->rank == 0 || indices->dim[indices->rank - 1] > p->in[0].rank)
        return TN_NO("the indices do not fit the data");
    return accepts(p);
}

static tn_status launch_gather_nd(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_gather_nd_params *params = p->params;
    const tn_tensor *x = &p->in[0], *y = &p->out[0];
    int batch = (int)params->batch_dims;
    slabs args = slabs_of(&p->in[1], x, batch);
    int64_t element = (int64_t)tn_cuda_bytes(x);
    int64_t inner = tn_dims_product(x->dim, batch + args.width, x->rank) * element;
    size_t unit_bytes;
    if (tn_tensor_count(y) == 0) return NULL;
    const char *unit = unit_of(inner, x->data, y->data, &unit_bytes);
    args.x = x->data;
    args.y = y->data;
    args.inner = tn_cuda_divider_of(inner / (int64_t)unit_bytes);
    args.batch_units =
        (int32_t)(tn_dims_product(x->dim, batch, x->rank) * element / (int64_t)unit_bytes);
    args.count = (uint32_t)(tn_tensor_bytes(y) / (int64_t)unit_bytes);
    return run(l, "gather_slabs", unit, p->in[1].dtype, args.count, (void *[]){&args});
}

static tn_verdict accepts_scatter_nd(const tn_problem *p)
{
    const tn_scatter_nd_params *params = p->params;
    if (params->reduction) return TN_NO("a reduction needs an order");
    return accepts_nd(p);
}

static int64_t slab_count(const tn_problem *p)
{
    const tn_tensor *indices = &p->in[1];
    return tn_dims_product(p->in[0].dim, 0, (int)indices->dim[indices->rank - 1]);
}

static size_t scratch_nd(const tn_problem *p)
{
    return (size_t)slab_count(p) * sizeof(int32_t);
}

static tn_status launch_scatter_nd(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_tensor *x = &p->in[0], *updates = &p->in[2], *y = &p->out[0];
    slabs args = slabs_of(&p->in[1], x, 0);
    int64_t inner = tn_dims_product(x->dim, args.width, x->rank) * (int64_t)tn_cuda_bytes(x);
    size_t unit_bytes;
    if (tn_tensor_count(y) == 0) return NULL;
    const char *unit = unit_of(inner, updates->data, y->data, &unit_bytes);
    while ((uintptr_t)x->data % unit_bytes)
        unit = unit_of(unit_bytes / 2, y->data, y->data, &unit_bytes);
    args.x = updates->data;
    args.y = y->data;
    args.owner = l->scratch;
    args.inner = tn_cuda_divider_of(inner / (int64_t)unit_bytes);
    args.count = (uint32_t)(tn_tensor_bytes(updates) / (int64_t)unit_bytes);
    TN_TRY(run_begin(l, unit, unit_bytes, slab_count(p)));
    if (args.count == 0) return NULL;
    TN_TRY(run(l, "claim_slabs", unit, p->in[1].dtype, args.count, (void *[]){&args}));
    return run(l, "write_slabs", unit, p->in[1].dtype, args.count, (void *[]){&args});
}

#define TACTIC(text, operator_name, accepts_it, scratch, launch_it)                                \
    {                                                                                              \
        .name = "cuda." text, .op = operator_name, .revision = 1, .needs = TN_SM75,                \
        .accepts = accepts_it, .scratch_bytes = scratch, .launch = launch_it,                      \
    }

extern const tn_tactic tn_cuda_gather[];
const tn_tactic tn_cuda_gather[] = {
    TACTIC("gather.any.units", "Gather", accepts, NULL, launch_gather),
    TACTIC("gatherelements.any.element", "GatherElements", accepts, NULL, launch_gather_elements),
    TACTIC("gathernd.any.units", "GatherND", accepts_nd, NULL, launch_gather_nd),
    TACTIC("scatterelements.any.owner", "ScatterElements", accepts_scatter_elements,
           scratch_elements, launch_scatter_elements),
    TACTIC("scatternd.any.owner", "ScatterND", accepts_scatter_nd, scratch_nd, launch_scatter_nd),
    {0},
};
