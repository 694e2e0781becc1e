/* Products of few rows by weights that lie as tensor cores take them (8.0 on), read once as a stream
 * (9.0): what counts is that bytes never stop coming.
 *
 *     y[m, n] = activation(alpha * sum over k of a(m, k) * w(n, k) + beta * c(m, n) + residual)
 *
 * A block makes 16 TILES_N columns of y; its warps share k, and the SPLITS blocks of a cluster do. Each
 * warp has a ring of its own in shared memory, which the copy engine fills with chunks of 64 k, one
 * behind the other in memory; the first are on their way before the kernel ahead has ended, when x
 * does not exist yet. Some may stay in the second cache for the next run, so the others, which would
 * push them out, leave it first. The weights are the first operand: a lane's four words of each 16x16 lie
 * together. Which k they are is free: as x is read, 16 of them in each lane of four, 32 bytes.
 * At the end warps add up what they have, in order.
 *
 * TYPE: half or bf16. EIGHTS: of rows, at most. STAGES: chunks in a ring. ALIGNED: rows of x are vectors of 16
 * bytes. ACT: the activation. */
#ifndef TYPE
#define TYPE half
#define TILES_N 2
#define EIGHTS 1
#define SPLITS 1
#define STAGES 4
#define ALIGNED 1
#define ACT 1
#endif
typedef TYPE T;

enum {
    WARPS = 8,
    THREADS = WARPS * 32,
    BK = 64,
    CHUNK = TILES_N * BK * 16 * 2, /* bytes */
    SUMS = TILES_N * EIGHTS * 4,   /* of a lane */
    VALUES = SUMS * 32,
    MINE = (VALUES + THREADS - 1) / THREADS,
};
static_assert(STAGES * CHUNK >= SUMS * 32 * 4, "sums find room where the rings were");

struct shape { /* mirrored in product_stream.c */
    const T *x, *c, *residual;
    const char *w;
    T *y;
    int32 m, n, k, chunks;
    int32 kept; /* of 64 chunks so many the second cache is to keep for the next run */
    int64 lda, c_row, c_column, y_row;
    float alpha, beta, act_alpha, act_beta;
};

#if __CUDA_ARCH__ >= 900
#define nine_asm asm volatile
#else
#define nine_asm(...)
#endif

/* A chunk; the second cache gives it up first, or last. */
static __device__ __forceinline__ void bring(uint32 to, const char *from, uint32 barrier, bool keep)
{
    uint64 first = 0, last = 0;
    nine_asm("createpolicy.fractional.L2::evict_first.b64 %0, 1.0;" : "=l"(first));
    nine_asm("createpolicy.fractional.L2::evict_last.b64 %0, 1.0;" : "=l"(last));
    barrier_expect(barrier, CHUNK);
    nine_asm("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.L2::cache_hint [%0], "
             "[%1], %2, [%3], %4;" ::"r"(to),
             "l"(from), "r"((uint32)CHUNK), "r"(barrier), "l"(keep ? last : first)
             : "memory");
}

/* 16 elements of a row of x for each lane of four, as the second operands of four products. */
struct few {
    uint32 at[EIGHTS][8];

    __device__ __forceinline__ void take(const shape &s, int first, int k)
    {
        k += threadIdx.x % 4 * 16;
#pragma unroll
        for (int e = 0; e < EIGHTS; e++) {
            int row = first + e * 8 + threadIdx.x % 32 / 4;
            const T *from = s.x + row * s.lda + k;
#if ALIGNED
#pragma unroll
            for (int v = 0; v < 2; v++) {
                pack<uint32, 4> some = {};
                if (row < s.m && k + v * 8 < s.k) some = *(const pack<uint32, 4> *)(from + v * 8);
#pragma unroll
                for (int i = 0; i < 4; i++) at[e][v * 4 + i] = some.at[i];
            }
#else
#pragma unroll
            for (int i = 0; i < 8; i++) {
                T low = {}, high = {};
                if (row < s.m && k + i * 2 < s.k) low = from[i * 2];
                if (row < s.m && k + i * 2 + 1 < s.k) high = from[i * 2 + 1];
                at[e][i] = (uint32)low.bits | (uint32)high.bits << 16;
            }
#endif
        }
    }
};

static __device__ __forceinline__ void finish(const shape &s, float value, int row, int column)
{
    if (row >= s.m || column >= s.n) return;
    int64 at = row * s.y_row + column;
    value *= s.alpha;
    if (s.c) value += s.beta * to_float(s.c[row * s.c_row + column * s.c_column]);
    if (s.residual) value += to_float(s.residual[at]);
    from_float(activate<ACT>(value, s.act_alpha, s.act_beta), &s.y[at]);
}

extern "C" __global__ void __launch_bounds__(THREADS) product_stream(const __grid_constant__ shape s)
{
    extern __shared__ __align__(128) char memory[];
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    int rank = blockIdx.x % SPLITS, tile = blockIdx.x / SPLITS, first = blockIdx.y * EIGHTS * 8;
    int begin = s.chunks * (rank * WARPS + warp) / (SPLITS * WARPS);
    int count = s.chunks * (rank * WARPS + warp + 1) / (SPLITS * WARPS) - begin;
    const char *from = s.w + ((int64)tile * s.chunks + begin) * CHUNK;
    char *ring = memory + warp * STAGES * CHUNK, *behind = memory + WARPS * STAGES * CHUNK;
    uint32 to = shared_address(ring), full = shared_address(behind) + warp * STAGES * 8;
    int kept = (count * s.kept + 63) / 64;
    tn_start_consumer();
    if (lane == 0) {
        for (int i = 0; i < STAGES; i++) barrier_make(full + i * 8);
        barrier_made();
        for (int i = 0; i < STAGES && i < count; i++)
            bring(to + i * CHUNK, from + i * CHUNK, full + i * 8, i < kept);
    }
    __syncwarp();
    if (SPLITS > 1) cluster_arrive();
    tn_wait_for_producer();
    float sum[TILES_N][EIGHTS][4] = {};
    few now, next;
    int stage = 0, parity = 0;
    now.take(s, first, begin * BK);
    for (int i = 0; i < count; i++) {
        if (i + 1 < count) next.take(s, first, (begin + i + 1) * BK);
        barrier_wait_block(full + stage * 8, parity);
#pragma unroll
        for (int step = 0; step < 4; step++)
#pragma unroll
            for (int t = 0; t < TILES_N; t++) {
                const char *at = ring + stage * CHUNK + (step * TILES_N + t) * 512 + lane * 16;
                pack<uint32, 4> w = *(const pack<uint32, 4> *)at;
#pragma unroll
                for (int e = 0; e < EIGHTS; e++)
                    multiply_add(T(), sum[t][e], w.at, &now.at[e][step * 2]);
            }
        __syncwarp();
        if (lane == 0 && i + STAGES < count)
            bring(to + stage * CHUNK, from + (i + STAGES) * CHUNK, full + stage * 8,
                  i + STAGES < kept);
        now = next;
        if (++stage == STAGES) {
            stage = 0;
            parity ^= 1;
        }
    }
    __syncthreads(); /* all rings are read */
    float *sums = (float *)memory;
#pragma unroll
    for (int i = 0; i < SUMS; i++)
        sums[warp * VALUES + i * 32 + lane] = sum[i / 4 / EIGHTS][i / 4 % EIGHTS][i % 4];
    __syncthreads();
    float all[MINE];
#pragma unroll
    for (int i = 0; i < MINE; i++) {
        int at = threadIdx.x + i * THREADS;
        all[i] = 0;
        for (int w = 0; at < VALUES && w < WARPS; w++) all[i] += sums[w * VALUES + at];
    }
#if SPLITS > 1
    float *others = (float *)(behind + WARPS * STAGES * 8); /* of each block of the cluster */
    cluster_wait();
#pragma unroll
    for (int i = 0; i < MINE; i++) {
        int at = threadIdx.x + i * THREADS;
        if (rank && at < VALUES)
            cluster_store(cluster_address(shared_address(others + rank * VALUES + at), 0), all[i]);
    }
    cluster_arrive();
    cluster_wait();
    if (rank) return;
#pragma unroll
    for (int i = 0; i < MINE; i++)
        for (int r = 1; r < SPLITS; r++)
            if (threadIdx.x + i * THREADS < VALUES)
                all[i] += others[r * VALUES + threadIdx.x + i * THREADS];
#endif
#pragma unroll
    for (int i = 0; i < MINE; i++) {
        int at = threadIdx.x + i * THREADS, own = at % 32, j = at / 32 % 4, pair = at / 128;
        int row = first + pair % EIGHTS * 8 + own % 4 * 2 + j % 2;
        int column = (tile * TILES_N + pair / EIGHTS) * 16 + own / 4 + j / 2 * 8;
        if (at < VALUES) finish(s, all[i], row, column);
    }
}
