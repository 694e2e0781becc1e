/* Gather, GatherElements, GatherND, ScatterElements and ScatterND. UNIT: what one thread moves, an
 * integer or uint128; INDEX: the type of the indices.
 *
 * An index outside of its axis reads zeros and writes nothing: a kernel has no way to fail.
 *
 * Updates may meet at one place, where the last one counts. So that the card's order does not
 * matter, every update first claims its place: the place remembers the highest number of an update
 * that wants it (claim), and then only that one writes (write). */
#ifndef UNIT
#define UNIT uint32
#define INDEX int64
#endif

static __device__ __forceinline__ UNIT nothing()
{
    UNIT zero;
    uint8 *at = (uint8 *)&zero;
    for (int i = 0; i < sizeof(UNIT); i++) at[i] = 0;
    return zero;
}

/* An index brought into [0, dim); -1 if it lies outside. */
static __device__ __forceinline__ int64 normal(INDEX given, int64 dim)
{
    int64 index = (int64)given < 0 ? (int64)given + dim : (int64)given;
    return index < 0 || index >= dim ? -1 : index;
}

/* y is [outer, indices, inner], x [outer, dim, inner], inner in units. */
extern "C" __global__ void __launch_bounds__(256)
    gather(const UNIT *x, const INDEX *indices, UNIT *y, uint32 count, int32 dim, divider index_count,
           divider inner)
{
    uint32 n = blockIdx.x * 256 + threadIdx.x, column, at;
    tn_start_consumer();
    tn_wait_for_producer();
    if (n >= count) return;
    uint32 outer = divide(divide(n, inner, &column), index_count, &at);
    int64 index = normal(indices[at], dim);
    y[n] = index < 0 ? nothing() : x[((int64)outer * dim + index) * inner.by + column];
}

struct elements { /* mirrored in gather.c: of a tensor shaped like the indices */
    const UNIT *x;
    const INDEX *indices;
    UNIT *y;
    int32 *owner;
    uint32 count;
    int32 rank, axis, dim; /* dim: of the other tensor along the axis */
    divider index_dim[8];
    int32 step[8]; /* of the other tensor */
};

/* Where in the other tensor element n belongs; -1: nowhere. */
static __device__ __forceinline__ int32 place_of(const elements &p, uint32 n)
{
    int64 index = normal(p.indices[n], p.dim);
    uint32 rest = n;
    int32 at = 0;
    if (index < 0) return -1;
    for (int axis = p.rank - 1; axis >= 0; axis--) {
        uint32 i;
        rest = divide(rest, p.index_dim[axis], &i);
        at += (axis == p.axis ? (int32)index : (int32)i) * p.step[axis];
    }
    return at;
}

extern "C" __global__ void __launch_bounds__(256) gather_elements(const __grid_constant__ elements p)
{
    uint32 n = blockIdx.x * 256 + threadIdx.x;
    tn_start_consumer();
    tn_wait_for_producer();
    if (n >= p.count) return;
    int32 at = place_of(p, n);
    p.y[n] = at < 0 ? nothing() : p.x[at];
}

extern "C" __global__ void __launch_bounds__(256) claim_elements(const __grid_constant__ elements p)
{
    uint32 n = blockIdx.x * 256 + threadIdx.x;
    tn_start_consumer();
    tn_wait_for_producer();
    if (n >= p.count) return;
    int32 at = place_of(p, n);
    if (at >= 0) atomicMax(&p.owner[at], (int32)n);
}

/* x: the updates. */
extern "C" __global__ void __launch_bounds__(256) write_elements(const __grid_constant__ elements p)
{
    uint32 n = blockIdx.x * 256 + threadIdx.x;
    tn_start_consumer();
    tn_wait_for_producer();
    if (n >= p.count) return;
    int32 at = place_of(p, n);
    if (at >= 0 && p.owner[at] == (int32)n) p.y[at] = p.x[n];
}

struct slabs { /* mirrored in gather.c: slices of `inner` units at places of several axes */
    const UNIT *x;
    const INDEX *indices;
    UNIT *y;
    int32 *owner;
    uint32 count; /* units of all slices */
    int32 width;  /* axes of a place */
    int32 batch_units;
    divider inner, batch; /* slices of a batch */
    int32 dim[8], step[8]; /* of the other tensor, steps in slices */
};

/* The number of the slice of the other tensor, in its batch; -1: nowhere. */
static __device__ __forceinline__ int32 slab_of(const slabs &p, uint32 i)
{
    int32 at = 0;
    for (int k = 0; k < p.width; k++) {
        int64 index = normal(p.indices[(int64)i * p.width + k], p.dim[k]);
        if (index < 0) return -1;
        at += (int32)index * p.step[k];
    }
    return at;
}

extern "C" __global__ void __launch_bounds__(256) gather_slabs(const __grid_constant__ slabs p)
{
    uint32 n = blockIdx.x * 256 + threadIdx.x, column, rest;
    tn_start_consumer();
    tn_wait_for_producer();
    if (n >= p.count) return;
    uint32 i = divide(n, p.inner, &column), batch = divide(i, p.batch, &rest);
    int32 slab = slab_of(p, i);
    p.y[n] = slab < 0 ? nothing()
                      : p.x[(int64)batch * p.batch_units + (int64)slab * p.inner.by + column];
}

extern "C" __global__ void __launch_bounds__(256) claim_slabs(const __grid_constant__ slabs p)
{
    uint32 n = blockIdx.x * 256 + threadIdx.x, column;
    tn_start_consumer();
    tn_wait_for_producer();
    if (n >= p.count) return;
    uint32 i = divide(n, p.inner, &column);
    int32 slab = column == 0 ? slab_of(p, i) : -1;
    if (slab >= 0) atomicMax(&p.owner[slab], (int32)i);
}

/* x: the updates. */
extern "C" __global__ void __launch_bounds__(256) write_slabs(const __grid_constant__ slabs p)
{
    uint32 n = blockIdx.x * 256 + threadIdx.x, column;
    tn_start_consumer();
    tn_wait_for_producer();
    if (n >= p.count) return;
    uint32 i = divide(n, p.inner, &column);
    int32 slab = slab_of(p, i);
    if (slab >= 0 && p.owner[slab] == (int32)i) p.y[(int64)slab * p.inner.by + column] = p.x[n];
}

/* Before the claims: y is a copy of x, and nobody owns anything. */
extern "C" __global__ void __launch_bounds__(256)
    begin(const UNIT *x, UNIT *y, uint32 count, int32 *owner, uint32 owner_count)
{
    uint32 n = blockIdx.x * 256 + threadIdx.x;
    tn_start_consumer();
    tn_wait_for_producer();
    if (n < count) y[n] = x[n];
    if (n < owner_count) owner[n] = -1;
}
