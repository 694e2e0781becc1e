/* TopK: a block for each line. Every thread knows the best of its own elements; the best of all is
 * taken, and the thread that had it looks for its next one.
 *
 * TX: of elements. LARGEST: the largest, else the least. */
#ifndef TX
#define TX float
#define LARGEST 1
#endif

struct lines { /* mirrored in top_k.c */
    const TX *x;
    TX *values;
    int64 *places;
    uint32 count, k, inner; /* of a line; of those taken; elements from one to the next */
};

/* Numbers in the order of the elements; what is not a number is the largest. */
static __device__ __forceinline__ uint64 rank_of(double x)
{
    uint64 bits;
    if (x != x) return ~(uint64)0;
    if (x == 0) x = 0; /* of either sign */
    memcpy(&bits, &x, sizeof bits);
    return bits >> 63 ? ~bits : bits | (uint64)1 << 63;
}
static __device__ __forceinline__ uint64 rank_of(float x) { return rank_of((double)x); }
static __device__ __forceinline__ uint64 rank_of(half x) { return rank_of((double)to_float(x)); }
static __device__ __forceinline__ uint64 rank_of(bf16 x) { return rank_of((double)to_float(x)); }
template <class T> static __device__ __forceinline__ uint64 rank_of(T x)
{
    return (T)-1 < (T)0 ? (uint64)(int64)x ^ (uint64)1 << 63 : (uint64)x;
}

struct found {
    uint64 rank;
    uint32 at; /* the line's length: nothing */
};

/* Of equals the one in front. */
static __device__ __forceinline__ bool is_before(const found &a, const found &b)
{
    return a.rank > b.rank || (a.rank == b.rank && a.at < b.at);
}

extern "C" __global__ void __launch_bounds__(256) top_k(const __grid_constant__ lines p)
{
    __shared__ found of_warp[8];
    uint32 outer = blockIdx.x / p.inner, column = blockIdx.x % p.inner;
    const TX *x = p.x + (int64)outer * p.count * p.inner + column;
    found taken = {~(uint64)0, 0};
    bool mine = true, first = true;
    found own = {0, p.count};
    tn_start_consumer();
    tn_wait_for_producer();
    for (uint32 n = 0; n < p.k; n++) {
        if (mine) {
            own = {0, p.count};
            for (uint32 i = threadIdx.x; i < p.count; i += 256) {
                uint64 rank = rank_of(x[(int64)i * p.inner]);
                found next = {LARGEST ? rank : ~rank, i};
                if ((first || is_before(taken, next)) && is_before(next, own)) own = next;
            }
        }
        found best = own;
        for (int k = 16; k > 0; k >>= 1) {
            found other = {__shfl_xor_sync(0xffffffffu, best.rank, k),
                           __shfl_xor_sync(0xffffffffu, best.at, k)};
            if (is_before(other, best)) best = other;
        }
        if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = best;
        __syncthreads();
        taken = of_warp[0];
        for (int w = 1; w < 8; w++)
            if (is_before(of_warp[w], taken)) taken = of_warp[w];
        __syncthreads();
        mine = taken.at % 256 == threadIdx.x;
        first = false;
        if (!mine) continue;
        int64 to = ((int64)outer * p.k + n) * p.inner + column;
        if (p.values) p.values[to] = x[(int64)taken.at * p.inner];
        if (p.places) p.places[to] = taken.at;
    }
}
