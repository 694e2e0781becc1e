/* TensorScatter-24: a cache with the update written into it along the sequence axis, for each batch
 * from its own place on (circular: around the end). */
#include "ops/tensor_scatter/tensor_scatter.h"

#include "ops/moving.h"

static const tn_field fields[] = {
    TN_INT(tn_tensor_scatter_params, axis, -2),
    TN_ENUM(tn_tensor_scatter_params, mode, TN_TENSOR_SCATTER_LINEAR, "linear|circular"),
};
static const tn_port ins[] = {
    {"past_cache", TN_DTS_ANY, 'T', 0},
    {"update", TN_DTS_ANY, 'T', 0},
    {"write_indices", TN_DT(I64), 0, TN_PORT_OPTIONAL},
};
static const tn_port outs[] = {{"present_cache", TN_DTS_ANY, 'T', 0}};

static tn_status infer(tn_infer *f)
{
    const tn_tensor_scatter_params *params = f->params;
    int axis, rank = f->in[0].rank;
    if (rank >= 0) {
        TN_TRY(tn_infer_axis(f, params->axis, rank, &axis));
        TN_CHECK(axis > 0, TN_INVALID, "the sequence axis cannot be 0, which is the batch");
        TN_CHECK(f->in[1].rank < 0 || f->in[1].rank == rank, TN_INVALID,
                 "the cache has rank %d, the update %d", rank, f->in[1].rank);
    }
    tn_infer_same(f, 0, 0);
    return NULL;
}

static tn_status reference(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_tensor_scatter_params *params = p->params;
    const tn_tensor *cache = &p->in[0], *update = &p->in[1], *y = &p->out[0];
    const tn_tensor *places = p->in_count > 2 && p->in[2].dtype ? &p->in[2] : NULL;
    int axis = tn_axis_normal(params->axis, cache->rank);
    int64_t length = cache->dim[axis], count = update->dim[axis];
    for (int k = 0; k < cache->rank; k++)
        TN_CHECK(k == axis ? count <= length : update->dim[k] == cache->dim[k], TN_INVALID,
                 "axis %d of the update has %lld, of the cache %lld", k, (long long)update->dim[k],
                 (long long)cache->dim[k]);
    TN_CHECK(!places || tn_tensor_count(places) == cache->dim[0], TN_INVALID,
             "%lld write_indices are given for a batch of %lld",
             (long long)(places ? tn_tensor_count(places) : 0), (long long)cache->dim[0]);
    TN_TRY(tn_move_same(l));
    int64_t inner = tn_dims_product(cache->dim, axis + 1, cache->rank);
    int64_t lines = tn_dims_product(cache->dim, 0, axis),
            per_batch = tn_dims_product(cache->dim, 1, axis);
    for (int64_t line = 0; line < lines && inner; line++) {
        int64_t from = places ? tn_load_i64(TN_DTYPE_I64, places->data, line / per_batch) : 0;
        bool circular = params->mode == TN_TENSOR_SCATTER_CIRCULAR;
        TN_CHECK(from >= 0 && (circular ? from <= INT64_MAX - count : from <= length - count),
                 TN_INVALID, "write index %lld leaves no room for %lld in a cache of %lld",
                 (long long)from, (long long)count, (long long)length);
        for (int64_t i = 0; i < count; i++) {
            int64_t to = circular ? (from + i) % length : from + i;
            tn_copy_elements(cache->dtype, y->data, (line * length + to) * inner, update->data,
                             (line * count + i) * inner, inner);
        }
    }
    return NULL;
}

static const tn_case cases[] = {
    {.problem = "TensorScatter f32[2,3,1]={1,2,3,4,5,6} f32[2,1,1]={8,9} i64[2]={0,2}",
     .expect = "f32[2,3,1]={8,2,3,4,5,9}"},
    {.problem = "TensorScatter{mode=circular} f32[1,3,1]={1,2,3} f32[1,2,1]={8,9} i64[1]={2}",
     .expect = "f32[1,3,1]={9,2,8}"},
    {.problem = "TensorScatter f32[2,4,9,3] f32[2,4,5,3] i64[2]={1,4}"},
    {0},
};

const tn_op tn_op_tensor_scatter = {
    .name = "TensorScatter",
    .since = 24,
    .about = "a cache with the update written in from each batch's place on",
    .in = ins,
    .in_count = TN_COUNT(ins),
    .out = outs,
    .out_count = TN_COUNT(outs),
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_tensor_scatter_params),
    .infer = infer,
    .reference = reference,
    .cases = cases,
};
