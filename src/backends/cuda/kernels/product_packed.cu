/* Products with packed weights, by tensor cores: where the few rows of a small batch leave a card
 * more to wait for than to multiply.
 *
 *     y[m, n] = activation(alpha * sum over k of a(m, k) * w(n, k) + beta * c(m, n) + residual)
 *
 * A block makes BM x BN of y, a warp TM x TN of that. Rows of a and w lie along k; a line of a tile
 * is 128 bytes of one, its eight parts of 16 bytes exclusive-ored with the row, so that eight rows
 * of one part stand in different banks. Weights lie in memory just so (product_packed.c): what a
 * block needs of them for one step is one piece. They depend on no kernel ahead: as many steps as
 * there are stages are on their way before that one has ended, and the rest to the second cache.
 *
 * SPLITS: blocks of a cluster that share the k of a tile. Each sends the others their part of the
 * sums, into shared memory, and finishes its own; the order of adding is that of the blocks.
 *
 * GROUPS: the multiplying is done by groups of four warps, BM x BN of a group's 64 rows at once, from
 * shared memory (9.0); a warp has 16 rows of the sums then, and TM is 16, TN is BN.
 *
 * TYPE: half, bf16, or float, which is multiplied as tf32. ACT: the activation. VA: elements of a
 * read at once, 16 bytes or one; VY: of y written at once. */
#ifndef TYPE
#define TYPE half
#define BM 64
#define BN 64
#define TM 32
#define TN 32
#define STAGES 6
#define SPLITS 1
#define GROUPS 0
#define ACT 0
#define VA 8
#define VY 2
#endif
typedef TYPE T;

enum { THREADS = BM / TM * (BN / TN) * 32, LINE = 128, PART = 16 / (int)sizeof(T), BK = 8 * PART };
enum { PIECES = TM / 16 * (TN / 16), OWN = PIECES / SPLITS };
enum { A_BYTES = BM * LINE, B_BYTES = BN * LINE };
/* Steps of copies under way; a group still multiplies one step while the next is begun. */
enum { AHEAD = STAGES - 1 - GROUPS };
static_assert(PIECES % SPLITS == 0, "blocks of a cluster finish equal parts");
static_assert(BM * 8 % THREADS == 0 && BN * 8 % THREADS == 0, "a tile is a whole number of rounds");

struct shape {
    int m, n, k, tiles_n, groups; /* groups of 8 columns */
    int64 lda, c_row, c_column, y_row;
    float alpha, beta, act_alpha, act_beta;
};

struct sums {
    float at[TM / 16][TN / 8][4];
};

/* The rows of a that a thread brings, one part of each. */
struct bringer {
    const T *from;
    uint32 to;
    int rows, part; /* how many rows below its first one there are, at most */

    __device__ __forceinline__ bringer(const T *a, const shape &s, int row)
    {
        int own = threadIdx.x / 8;
        part = threadIdx.x % 8;
        from = a + (row + own) * s.lda + part * PART;
        to = own * LINE + (part ^ own % 8) * 16;
        rows = s.m - row - own;
    }
    __device__ __forceinline__ void bring(char *tile, const shape &s, int step) const
    {
        int left = s.k - step * BK - part * PART;
        static_assert(THREADS / 8 % 8 == 0, "a thread keeps to one place of a line");
#pragma unroll
        for (int i = 0; i < BM; i += THREADS / 8) {
            bool inside = left > 0 && i < rows;
            const T *at = inside ? from + i * s.lda + step * BK : from;
            if constexpr (VA > 1) copy_begin(tile + to + i * LINE, at, inside);
            else {
                pack<T, PART> some = {};
                for (int v = 0; v < PART; v++)
                    if (inside && v < left) some.at[v] = at[v];
                *(pack<T, PART> *)(tile + to + i * LINE) = some;
            }
        }
    }
};

/* `groups`: how many of the tile there are. */
static __device__ __forceinline__ void bring_weights(char *tile, const char *w, const shape &s,
                                                     int step, int groups)
{
    w += (int64)step * s.groups * (8 * LINE);
#pragma unroll
    for (int i = 0; i < B_BYTES; i += THREADS * 16) {
        int at = i + threadIdx.x * 16;
        bool inside = at / (8 * LINE) < groups;
        copy_begin(tile + at, inside ? w + at : w, inside);
    }
}

/* ---- Tensor cores of four warps, which read shared memory themselves (9.0) ---------------------*/

#if GROUPS
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
#define group_asm asm volatile
#else
#define group_asm(...)
#endif

/* Rows of 128 bytes, the parts of 16 exclusive-ored with the row, from a multiple of 1024 bytes on:
 * eight rows are 1024 bytes. Adding 2 goes on by 32 bytes along the rows. */
static __device__ __forceinline__ uint64 matrix_in_lines(const void *at)
{
    return (uint64)(shared_address(at) >> 4 & 0x3fff) | (uint64)1 << 16 | (uint64)64 << 32 |
           (uint64)1 << 62;
}
/* What this thread's ended copies brought is seen by groups, after a barrier. */
static __device__ __forceinline__ void copy_for_groups()
{
    group_asm("fence.proxy.async.shared::cta;" ::: "memory");
}
static __device__ __forceinline__ void group_begin()
{
    group_asm("wgmma.fence.sync.aligned;" ::: "memory");
}
static __device__ __forceinline__ void group_end()
{
    group_asm("wgmma.commit_group.sync.aligned;" ::: "memory");
}
/* Until at most so many of what was ended are under way. */
template <int LEFT> static __device__ __forceinline__ void group_wait()
{
    group_asm("wgmma.wait_group.sync.aligned %0;" ::"n"(LEFT) : "memory");
}
/* No use of these sums is moved across. */
template <int COUNT> static __device__ __forceinline__ void group_settle(float (*c)[4])
{
#pragma unroll
    for (int i = 0; i < COUNT; i++)
        group_asm("" : "+f"(c[i][0]), "+f"(c[i][1]), "+f"(c[i][2]), "+f"(c[i][3])::"memory");
}
/* c[64,N] += a[64, 32 bytes] b[N, 32 bytes], of a group of four warps; warp w has rows 16 w on, as
 * multiply_add has. */
#define FOUR(j) "+f"(c[j][0]), "+f"(c[j][1]), "+f"(c[j][2]), "+f"(c[j][3])
#define SIXTEEN(j) FOUR(j), FOUR(j + 1), FOUR(j + 2), FOUR(j + 3)
#define GROUP_32(kind, more) \
    group_asm("{ .reg .pred add; setp.eq.u32 add, 0, 0;" \
                 "wgmma.mma_async.sync.aligned.m64n32" kind " {" \
                 "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15" \
                 "}, %16, %17, add, 1, 1" more "; }" \
                 : SIXTEEN(0) \
                 : "l"(a), "l"(b))
#define GROUP_64(kind, more) \
    group_asm("{ .reg .pred add; setp.eq.u32 add, 0, 0;" \
                 "wgmma.mma_async.sync.aligned.m64n64" kind " {" \
                 "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, " \
                 "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31" \
                 "}, %32, %33, add, 1, 1" more "; }" \
                 : SIXTEEN(0), SIXTEEN(4) \
                 : "l"(a), "l"(b))
#define GROUP_128(kind, more) \
    group_asm("{ .reg .pred add; setp.eq.u32 add, 0, 0;" \
                 "wgmma.mma_async.sync.aligned.m64n128" kind " {" \
                 "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, " \
                 "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, " \
                 "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, " \
                 "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63" \
                 "}, %64, %65, add, 1, 1" more "; }" \
                 : SIXTEEN(0), SIXTEEN(4), SIXTEEN(8), SIXTEEN(12) \
                 : "l"(a), "l"(b))
#define GROUP(kind, more)                                                                       \
    static_assert(N == 32 || N == 64 || N == 128, "");                                             \
    if constexpr (N == 32) GROUP_32(kind, more);                                                \
    else if constexpr (N == 64) GROUP_64(kind, more);                                           \
    else GROUP_128(kind, more)
template <int N>
static __device__ __forceinline__ void group_multiply_add(half, float (*c)[4], uint64 a, uint64 b)
{
    GROUP("k16.f32.f16.f16", ", 0, 0");
}
template <int N>
static __device__ __forceinline__ void group_multiply_add(bf16, float (*c)[4], uint64 a, uint64 b)
{
    GROUP("k16.f32.bf16.bf16", ", 0, 0");
}
template <int N>
static __device__ __forceinline__ void group_multiply_add(float, float (*c)[4], uint64 a, uint64 b)
{
    GROUP("k8.f32.tf32.tf32", "");
}

/* Begun here; the step before it has ended. */
static __device__ __forceinline__ void multiply_tile(const char *a, const char *b, sums &sum)
{
    uint64 left = matrix_in_lines(a + threadIdx.x / 128 * 64 * LINE), right = matrix_in_lines(b);
    group_settle<BN / 8>(sum.at[0]);
    group_begin();
#pragma unroll
    for (int d = 0; d < LINE; d += 32)
        group_multiply_add<BN>(T(), sum.at[0], left + d / 16, right + d / 16);
    group_end();
    group_wait<1>();
}
#else
static __device__ __forceinline__ void multiply_tile(const char *a, const char *b, sums &sum)
{
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    a += warp / (BN / TN) * TM * LINE + lane % 16 * LINE;
    b += warp % (BN / TN) * TN * LINE + (lane % 8 + lane / 16 * 8) * LINE;
#pragma unroll
    for (int d = 0; d < 8; d += 2) {
        uint32 x[TM / 16][4], w[TN / 16][4];
#pragma unroll
        for (int i = 0; i < TM / 16; i++) {
            load_matrices<false>(x[i], a + i * 16 * LINE + ((d + lane / 16) ^ lane % 8) * 16);
            if constexpr (sizeof(T) == 4) round_tf32(x[i]);
        }
#pragma unroll
        for (int j = 0; j < TN / 16; j++)
            load_matrices<false>(w[j], b + j * 16 * LINE + ((d + lane / 8 % 2) ^ lane % 8) * 16);
#pragma unroll
        for (int i = 0; i < TM / 16; i++)
#pragma unroll
            for (int j = 0; j < TN / 8; j++)
                multiply_add(T(), sum.at[i][j], x[i], &w[j / 2][j % 2 * 2]);
    }
}
#endif

/* VY neighbours of a row. */
static __device__ __forceinline__ void finish(const float *sum, int row, int column, const shape &s,
                                              const T *c, const T *residual, T *y)
{
    if (row >= s.m || column >= s.n) return;
    int64 at = row * s.y_row + column;
    pack<T, VY> out, more = {};
    if (residual) more = *(const pack<T, VY> *)(residual + at);
#pragma unroll
    for (int j = 0; j < VY; j++) {
        float value = sum[j] * s.alpha;
        if (c) value += s.beta * to_float(c[row * s.c_row + (column + j) * s.c_column]);
        if (residual) value += to_float(more.at[j]);
        from_float(activate_near<ACT>(value, s.act_alpha, s.act_beta), &out.at[j]);
    }
    *(pack<T, VY> *)(y + at) = out;
}

#if SPLITS > 1
/* Piece q of a warp's sums, 16 x 16, is finished by block q % SPLITS; what comes from the others
 * stands behind the stages, a place for each thread, half piece and sender. */
static __device__ __forceinline__ char *place_of(char *room, int sender, int piece, int half_piece)
{
    return room + (((sender * OWN + piece / SPLITS) * 2 + half_piece) * THREADS + threadIdx.x) * 16;
}

static __device__ __forceinline__ void share(sums &sum, char *room, uint32 barrier, int rank)
{
    cluster_wait(); /* the others' barriers are made */
#pragma unroll
    for (int q = 0; q < PIECES; q++) {
        if (q % SPLITS == rank) continue;
        uint32 there = cluster_address(barrier, q % SPLITS);
#pragma unroll
        for (int h = 0; h < 2; h++)
            cluster_send(cluster_address(shared_address(place_of(room, rank, q, h)), q % SPLITS),
                              sum.at[q / (TN / 16)][q % (TN / 16) * 2 + h], there);
    }
    barrier_wait(barrier, 0);
#pragma unroll
    for (int q = 0; q < PIECES; q++) {
        if (q % SPLITS != rank) continue;
#pragma unroll
        for (int h = 0; h < 2; h++) {
            float *own = sum.at[q / (TN / 16)][q % (TN / 16) * 2 + h], all[4] = {};
            for (int sender = 0; sender < SPLITS; sender++) {
                pack<float, 4> part = {{own[0], own[1], own[2], own[3]}};
                if (sender != rank) part = *(const pack<float, 4> *)place_of(room, sender, q, h);
#pragma unroll
                for (int v = 0; v < 4; v++) all[v] += part.at[v];
            }
#pragma unroll
            for (int v = 0; v < 4; v++) own[v] = all[v];
        }
    }
}
#endif

extern "C" __global__ void __launch_bounds__(THREADS)
    product_packed(const T *a, const char *w, const T *c, const T *residual, T *y, shape s)
{
    extern __shared__ __align__(1024) char memory[];
    int tile = blockIdx.x / SPLITS, rank = blockIdx.x % SPLITS;
    int row = tile / s.tiles_n * BM, column = tile % s.tiles_n * BN;
    int steps = (s.k + BK - 1) / BK, step = steps * rank / SPLITS;
    int count = steps * (rank + 1) / SPLITS - step;
    int groups = s.groups - column / 8;
    w += (int64)column * LINE;
    char *stage_a = memory, *stage_b = memory + STAGES * A_BYTES;
#if SPLITS > 1
    char *room = memory + STAGES * (A_BYTES + B_BYTES);
    uint32 barrier = shared_address(room) + SPLITS * OWN * 2 * THREADS * 16;
    if (threadIdx.x == 0) {
        barrier_make(barrier);
        barrier_made();
        barrier_expect(barrier, (SPLITS - 1) * OWN * 2 * THREADS * 16);
    }
    cluster_arrive();
#endif
#pragma unroll
    for (int i = 0; i < AHEAD; i++)
        if (i < count) bring_weights(stage_b + i * B_BYTES, w, s, step + i, groups);
    if (row == 0)
        for (int i = AHEAD + threadIdx.x / BN; i < count; i += THREADS / BN)
            if ((int)threadIdx.x % BN / 8 < groups)
                fetch_line(w + (int64)(step + i) * s.groups * (8 * LINE) + threadIdx.x % BN * LINE);
    tn_start_consumer();
    tn_wait_for_producer();

    bringer from_a(a, s, row);
    sums sum = {};
#pragma unroll
    for (int i = 0; i < AHEAD; i++) {
        if (i < count) from_a.bring(stage_a + i * A_BYTES, s, step + i);
        copy_group();
    }
    for (int i = 0, now = 0; i < count; i++, now = now + 1 < STAGES ? now + 1 : 0) {
        int next = now + AHEAD < STAGES ? now + AHEAD : now + AHEAD - STAGES;
        copy_wait<AHEAD - 1>();
#if GROUPS
        copy_for_groups();
#endif
        __syncthreads(); /* this tile is there, and nobody reads the next one any more */
        if (i + AHEAD < count) {
            from_a.bring(stage_a + next * A_BYTES, s, step + i + AHEAD);
            bring_weights(stage_b + next * B_BYTES, w, s, step + i + AHEAD, groups);
        }
        copy_group();
        multiply_tile(stage_a + now * A_BYTES, stage_b + now * B_BYTES, sum);
    }
#if GROUPS
    group_wait<0>();
    group_settle<BN / 8>(sum.at[0]);
#endif
#if SPLITS > 1
    share(sum, room, barrier, rank);
#endif

    int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    row += warp / (BN / TN) * TM + lane / 4;
    column += warp % (BN / TN) * TN + lane % 4 * 2;
#pragma unroll
    for (int q = 0; q < PIECES; q++) {
        if (q % SPLITS != rank) continue;
#pragma unroll
        for (int e = 0; e < 8; e += VY) {
            int i = q / (TN / 16), j = q % (TN / 16) * 2 + e / 4;
            finish(&sum.at[i][j][e % 4], row + i * 16 + e / 2 % 2 * 8, column + j * 8 + e % 2, s, c,
                   residual, y);
        }
    }
}
