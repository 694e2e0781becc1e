/* ---- Clusters and barriers in shared memory (9.0) ---- */

/* All threads of all blocks of the cluster: what was written before arriving, in global memory and
 * in anybody's shared memory, is seen after waiting. */
static __device__ __forceinline__ void cluster_arrive()
{
#if __CUDA_ARCH__ >= 900
    asm volatile("barrier.cluster.arrive.release;" ::: "memory");
#endif
}
/* The same by blocks that only tell that they have begun: what others may rely on then are barriers,
 * which barrier_made makes known. A release would first wait for the second cache. */
static __device__ __forceinline__ void cluster_begin()
{
#if __CUDA_ARCH__ >= 900
    asm volatile("barrier.cluster.arrive.relaxed;" ::: "memory");
#endif
}
static __device__ __forceinline__ void cluster_wait()
{
#if __CUDA_ARCH__ >= 900
    asm volatile("barrier.cluster.wait.acquire;" ::: "memory");
#endif
}
/* The address, in the window of the cluster, of what lies at `own` (shared_address) in block
 * `rank`. */
static __device__ __forceinline__ uint32 cluster_address(uint32 own, uint32 rank)
{
#if __CUDA_ARCH__ >= 900
    uint32 at;
    asm("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(at) : "r"(own), "r"(rank));
    return at;
#else
    return own;
#endif
}
/* The same as a pointer: a store through it needs no other address made. */
static __device__ __forceinline__ float *cluster_pointer(float *own, uint32 rank)
{
#if __CUDA_ARCH__ >= 900
    float *at;
    asm("mapa.u64 %0, %1, %2;" : "=l"(at) : "l"(own), "r"(rank));
    return at;
#else
    return own;
#endif
}
static __device__ __forceinline__ void cluster_store(uint32 at, float x)
{
#if __CUDA_ARCH__ >= 900
    asm volatile("st.shared::cluster.f32 [%0], %1;" ::"r"(at), "f"(x) : "memory");
#endif
}
/* Stores and counts the four bytes at a barrier, both of the same block; waits for nothing. */
static __device__ __forceinline__ void cluster_send(uint32 at, float x, uint32 barrier)
{
#if __CUDA_ARCH__ >= 900
    asm volatile("st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.b32 [%0], %1, [%2];" ::
                     "r"(at),
                 "r"(__float_as_uint(x)), "r"(barrier)
                 : "memory");
#endif
}
/* Two or four neighbours at once, aligned so; one message each, which is what sending costs. */
static __device__ __forceinline__ void cluster_store(uint32 at, const float (&x)[2])
{
#if __CUDA_ARCH__ >= 900
    asm volatile("st.shared::cluster.v2.f32 [%0], {%1, %2};" ::"r"(at), "f"(x[0]), "f"(x[1])
                 : "memory");
#endif
}
static __device__ __forceinline__ void cluster_store(uint32 at, const float (&x)[4])
{
#if __CUDA_ARCH__ >= 900
    asm volatile("st.shared::cluster.v4.f32 [%0], {%1, %2, %3, %4};" ::"r"(at), "f"(x[0]), "f"(x[1]),
                 "f"(x[2]), "f"(x[3])
                 : "memory");
#endif
}
static __device__ __forceinline__ void cluster_send(uint32 at, const float (&x)[2], uint32 barrier)
{
#if __CUDA_ARCH__ >= 900
    asm volatile(
        "st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.v2.b32 [%0], {%1, %2}, [%3];" ::
            "r"(at),
        "r"(__float_as_uint(x[0])), "r"(__float_as_uint(x[1])), "r"(barrier)
        : "memory");
#endif
}
static __device__ __forceinline__ void cluster_send(uint32 at, const float (&x)[4], uint32 barrier)
{
#if __CUDA_ARCH__ >= 900
    asm volatile("st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.v4.b32 [%0], "
                 "{%1, %2, %3, %4}, [%5];" ::"r"(at),
                 "r"(__float_as_uint(x[0])), "r"(__float_as_uint(x[1])),
                 "r"(__float_as_uint(x[2])), "r"(__float_as_uint(x[3])), "r"(barrier)
                 : "memory");
#endif
}
/* A barrier whose phase ends when so many threads have arrived, or expected bytes and these have
 * come. After making them: barrier_made, then a barrier of the block or the cluster. */
static __device__ __forceinline__ void barrier_make(uint32 barrier, uint32 count = 1)
{
#if __CUDA_ARCH__ >= 900
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(count) : "memory");
#endif
}
static __device__ __forceinline__ void barrier_arrive(uint32 barrier)
{
#if __CUDA_ARCH__ >= 900
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory");
#endif
}
static __device__ __forceinline__ void barrier_made()
{
#if __CUDA_ARCH__ >= 900
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
#endif
}
static __device__ __forceinline__ void barrier_expect(uint32 barrier, uint32 bytes)
{
#if __CUDA_ARCH__ >= 900
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes)
                 : "memory");
#endif
}
/* Until the phase of this parity (0 the first, 1 the second, ...) has ended. */
static __device__ __forceinline__ void barrier_wait(uint32 barrier, uint32 parity)
{
#if __CUDA_ARCH__ >= 900
    uint32 done;
    do
        asm volatile("{ .reg .pred p;\n"
                     "mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 p, [%1], %2;\n"
                     "selp.u32 %0, 1, 0, p; }"
                     : "=r"(done)
                     : "r"(barrier), "r"(parity)
                     : "memory");
    while (!done);
#endif
}
/* The same of what this block's threads and its own copies do: less is to be made visible (waiting
 * for a cluster throws away the first cache). */
static __device__ __forceinline__ void barrier_wait_block(uint32 barrier, uint32 parity)
{
#if __CUDA_ARCH__ >= 900
    uint32 done;
    do
        asm volatile("{ .reg .pred p;\n"
                     "mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\n"
                     "selp.u32 %0, 1, 0, p; }"
                     : "=r"(done)
                     : "r"(barrier), "r"(parity)
                     : "memory");
    while (!done);
#endif
}
/* `bytes`, a multiple of 16 as both addresses are, from global to this block's shared memory,
 * counted at the barrier. */
static __device__ __forceinline__ void copy_bulk(uint32 to, const void *from, uint32 bytes,
                                                 uint32 barrier)
{
#if __CUDA_ARCH__ >= 900
    asm volatile(
        "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::
            "r"(to),
        "l"(from), "r"(bytes), "r"(barrier)
        : "memory");
#endif
}
/* A tensor as the copy engine knows it, made by the driver: a parameter of a kernel that is
 * __grid_constant__. */
struct alignas(64) tensor_map {
    uint64 at[16];
};
/* A box of it, of four axes, the first one along memory, from there on to this block's shared
 * memory, all of its bytes counted at the barrier; zeros beyond the tensor. */
static __device__ __forceinline__ void copy_tensor(uint32 to, const tensor_map *map, int x0, int x1,
                                                   int x2, int x3, uint32 barrier)
{
#if __CUDA_ARCH__ >= 900
    asm volatile("cp.async.bulk.tensor.4d.shared::cluster.global.mbarrier::complete_tx::bytes "
                 "[%0], [%1, {%2, %3, %4, %5}], [%6];" ::"r"(to),
                 "l"(map), "r"(x0), "r"(x1), "r"(x2), "r"(x3), "r"(barrier)
                 : "memory");
#endif
}
/* The map itself on its way. */
static __device__ __forceinline__ void fetch_map(const tensor_map *map)
{
#if __CUDA_ARCH__ >= 900
    asm volatile("prefetch.tensormap [%0];" ::"l"(map) : "memory");
#endif
}

