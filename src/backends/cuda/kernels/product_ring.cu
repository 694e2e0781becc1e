/* Products with packed weights by groups of four warps (9.0), fed by a warp that does nothing else:
 * what product_packed.cu makes, in larger tiles, which are read less often.
 *
 *     y[m, n] = activation(alpha * sum over k of a(m, k) * w(n, k) + beta * c(m, n) + residual)
 *
 * A block makes `rows` x BN of y, at most BM; a group 64 rows of these. A stage of the ring in shared
 * memory is one step along k, 128 bytes of each row of a and of w: the copy engine writes both as
 * product_packed.cu has them, w in one piece as it lies packed, a by a map of it (zeros beyond its
 * ends). `full` counts the bytes of a stage, `empty` the warps that are done with it. Weights depend
 * on no kernel ahead: all stages get theirs before that one has ended, and the rest is fetched to
 * the second cache. So is what is added to the sums, to registers, before the first product.
 *
 * SHARE_M, SHARE_N: blocks of a cluster one below the other have the same columns of w, side by side
 * the same rows of a. They bring these by turns, a step each, for all who share them: what limits
 * such products is how often the second cache is read. A stage is empty when all of these are done.
 *
 * SPLITS: blocks of a cluster that share the k of a tile. Each sends the others their part of the
 * sums, eight columns at a time, and finishes its own; the order of adding is that of the blocks.
 *
 * NORM: a product of normalised rows, of which w has the scale in it already:
 *
 *     y = activation((sum - mean * (sum over k of w)) / deviation + bias)
 *
 * As many warps again add up the rows and their squares as they come by; blocks side by side share
 * that, each what it brings. Where TOLD the kernel ahead has done so, in s.told parts of each row,
 * and stages are for those alone who multiply. Two rows of floats lie
 * behind w, of 128 columns and more: the sums over k and the bias; behind them scale and shift.
 * 2: the normalised rows are wanted as well; the columns of tiles make them, of c, which is a, each
 * one step along k, or where there are several times as many, a part of its rows.
 *
 * TELL: sums of what a block finishes of each row of y, and of its squares, go to `sums`, for the
 * kernel behind, as [parts, m].
 *
 * TYPE: half, bf16, or float, which is multiplied as tf32. ACT: the activation. VY: elements of y
 * written at once: 8, 2 or 1. ADD: c is 0 nothing, 1 a row for all, constant, read like y, 2
 * anything.
 * RESIDUAL: is there one. */
#ifndef TYPE
#define TYPE half
#define BM 128
#define BN 96
#define STAGES 3
#define SPLITS 2
#define SHARE_M 1
#define SHARE_N 1
#define ACT 0
#define VY 2
#define ADD 1
#define RESIDUAL 1
#define NORM 0
#define TOLD 0
#define TELL 0
#endif
typedef TYPE T;

enum { GROUPS = BM / 64, WARPS = GROUPS * 4, LINE = 128, BK = LINE / (int)sizeof(T) };
enum { B_BYTES = BN * LINE };
enum { EIGHTS = BN / 8, OWN = EIGHTS / SPLITS, PARTS_BYTES = (SPLITS - 1) * OWN * WARPS * 512 };
enum { ROOM_BYTES = NORM ? (BM * SHARE_N + BN + BK) * 8 : PARTS_BYTES };
enum { READERS = NORM && !TOLD ? 2 * WARPS : WARPS };
enum { SHARERS = SHARE_M * SHARE_N, CLUSTER = SHARERS * SPLITS };
static_assert(BM % 64 == 0 && BN % 8 == 0, "tiles are what groups multiply");
static_assert((BM / 2 - 8) * LINE <= B_BYTES, "what is multiplied beyond a tile's rows is its w");
static_assert(EIGHTS % SPLITS == 0, "blocks of a cluster finish equal parts");
static_assert(!NORM || (SPLITS == 1 && !ADD && !RESIDUAL && !TELL), "a block sees all of its rows");
static_assert(NORM || !TOLD, "who normalises is told");

struct shape {
    int m, n, k, tiles_n, groups; /* groups of 8 columns */
    int rows;                     /* of a tile; eights */
    int told;
    int64 c_row, c_column, y_row;
    float alpha, beta, act_alpha, act_beta, epsilon;

    __device__ __forceinline__ uint32 a_bytes() const { return (uint32)rows * LINE; }
    __device__ __forceinline__ uint32 stage_bytes() const { return a_bytes() + B_BYTES; }
};

/* Where a block works: from which step on, and how many of them. Blocks of a cluster are numbered
 * by part of k, then side by side, then one below the other. */
struct place {
    int row, column, rank, step, count;
    int beside, below;

    __device__ __forceinline__ place(const shape &s)
    {
        int cluster = blockIdx.x / CLUSTER, own = blockIdx.x % CLUSTER, wide = s.tiles_n / SHARE_N;
        int steps = (s.k + BK - 1) / BK;
        rank = own % SPLITS;
        beside = own / SPLITS % SHARE_N;
        below = own / SPLITS / SHARE_N;
        row = (cluster / wide * SHARE_M + below) * s.rows;
        column = (cluster % wide * SHARE_N + beside) * BN;
        step = steps * rank / SPLITS;
        count = steps * (rank + 1) / SPLITS - step;
    }
    __device__ __forceinline__ int number(int below, int beside, int rank) const
    {
        return (below * SHARE_N + beside) * SPLITS + rank;
    }
};

/* ---- Shared memory ---------------------------------------------------------------------------*/

static __device__ __forceinline__ uint32 full(uint32 barriers, int stage)
{
    return barriers + stage * 16;
}
static __device__ __forceinline__ uint32 empty(uint32 barriers, int stage)
{
    return barriers + stage * 16 + 8;
}
static __device__ __forceinline__ uint32 partial(uint32 barriers)
{
    return barriers + STAGES * 16;
}

#if __CUDA_ARCH__ >= 900
#define nine_asm asm volatile
#else
#define nine_asm(...)
#endif
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
#define group_asm asm volatile
#else
#define group_asm(...)
#endif

/* In a block of the cluster, by its address there. What is ordered by these barriers are copies of
 * the engine and products, so that no memory need be brought in line beyond the block, which takes
 * long: neither here nor by who waits. */
static __device__ __forceinline__ void stage_release(uint32 barrier)
{
    nine_asm("mbarrier.arrive.shared::cluster.b64 _, [%0];" ::"r"(barrier) : "memory");
}
/* A box of the map, counted at the barrier; in all blocks of the mask at the same place. */
static __device__ __forceinline__ void copy_box(uint32 to, const tensor_map *map, int k, int row,
                                                uint32 barrier, uint32 mask)
{
    if (SHARE_N > 1)
        nine_asm("cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes"
                 ".multicast::cluster [%0], [%1, {%2, %3}], [%4], %5;" ::"r"(to),
                 "l"(map), "r"(k), "r"(row), "r"(barrier), "h"((uint16)mask)
                 : "memory");
    else
        nine_asm("cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes "
                 "[%0], [%1, {%2, %3}], [%4];" ::"r"(to),
                 "l"(map), "r"(k), "r"(row), "r"(barrier)
                 : "memory");
}
static __device__ __forceinline__ void copy_piece(uint32 to, const void *from, uint32 bytes,
                                                  uint32 barrier, uint32 mask)
{
    if (SHARE_M > 1)
        nine_asm("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes"
                 ".multicast::cluster [%0], [%1], %2, [%3], %4;" ::"r"(to),
                 "l"(from), "r"(bytes), "r"(barrier), "h"((uint16)mask)
                 : "memory");
    else copy_bulk(to, from, bytes, barrier);
}
static __device__ __forceinline__ void fetch_bulk(const void *from, uint32 bytes)
{
    nine_asm("cp.async.bulk.prefetch.L2.global [%0], %1;" ::"l"(from), "r"(bytes) : "memory");
}

/* ---- The warp that brings ----------------------------------------------------------------------*/

static __device__ __forceinline__ void bring(const tensor_map *map, const char *w, const shape &s,
                                             const place &at, uint32 stages, uint32 barriers)
{
    uint32 weights = (uint32)min(BN, (s.groups - at.column / 8) * 8) * LINE;
    uint32 a_bytes = s.a_bytes(), bytes = weights + a_bytes, w_mask = 0, a_mask = 0;
    int64 step_bytes = (int64)s.groups * (8 * LINE);
    for (int i = 0; i < SHARE_M; i++) w_mask |= 1u << at.number(i, at.beside, at.rank);
    for (int i = 0; i < SHARE_N; i++) a_mask |= 1u << at.number(at.below, i, at.rank);
    w += at.step * step_bytes + (int64)at.column * LINE;
    for (int i = 0; i < STAGES && i < at.count; i++) {
        barrier_expect(full(barriers, i), bytes);
        if (SHARE_M > 1 && i == 0) cluster_wait(); /* the others' barriers are made */
        if (i % SHARE_M == at.below)
            copy_piece(stages + i * s.stage_bytes() + a_bytes, w + i * step_bytes, weights,
                       full(barriers, i), w_mask);
    }
    if (at.row == 0)
        for (int i = STAGES; i < at.count; i++) fetch_bulk(w + i * step_bytes, weights);
    fetch_map(map);
    if (CLUSTER > 1 && SHARE_M == 1) cluster_wait();
    tn_wait_for_producer();
    for (int i = 0, now = 0, turn = 1; i < at.count; i++) {
        uint32 to = stages + now * s.stage_bytes(), barrier = full(barriers, now);
        if (i >= STAGES) {
            barrier_wait_block(empty(barriers, now), turn);
            barrier_expect(barrier, bytes);
            if (i % SHARE_M == at.below)
                copy_piece(to + a_bytes, w + i * step_bytes, weights, barrier, w_mask);
        }
        if (i % SHARE_N == at.beside)
            copy_box(to, map, (at.step + i) * BK, at.row, barrier, a_mask);
        if (++now == STAGES) now = 0, turn ^= 1;
    }
}

/* ---- The warps that multiply -------------------------------------------------------------------*/

/* Rows of 128 bytes, the parts of 16 exclusive-ored with the row, from a multiple of 1024 bytes on:
 * eight rows are 1024 bytes. Adding 2 goes on by 32 bytes along the rows. */
static __device__ __forceinline__ uint64 matrix_in_lines(uint32 at)
{
    return (uint64)(at >> 4 & 0x3fff) | (uint64)1 << 16 | (uint64)64 << 32 | (uint64)1 << 62;
}
/* Until at most so many of what was ended are under way. */
template <int LEFT> static __device__ __forceinline__ void group_wait()
{
    group_asm("wgmma.wait_group.sync.aligned %0;" ::"n"(LEFT) : "memory");
}
/* No use of these sums is moved across. */
static __device__ __forceinline__ void group_settle(float (*c)[4])
{
#pragma unroll
    for (int i = 0; i < EIGHTS; i++)
        group_asm("" : "+f"(c[i][0]), "+f"(c[i][1]), "+f"(c[i][2]), "+f"(c[i][3])::"memory");
}
/* c[64,BN] += a[64, 32 bytes] b[BN, 32 bytes], of a group; warp w has rows 16 w on, as multiply_add
 * has. */
#define FOUR(j) "+f"(c[j][0]), "+f"(c[j][1]), "+f"(c[j][2]), "+f"(c[j][3])
#define SIXTEEN(j) FOUR(j), FOUR(j + 1), FOUR(j + 2), FOUR(j + 3)
#define TO_16 "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15"
#define TO_32                                                                                      \
    TO_16 ", %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
#define TO_48                                                                                      \
    TO_32 ", %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47"
#define TO_64                                                                                      \
    TO_48 ", %48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define GROUP(n, to, operands, kind, more, ...)                                                    \
    group_asm("{ .reg .pred add; setp.eq.u32 add, 0, 0;"                                           \
              "wgmma.mma_async.sync.aligned.m64n" n kind " {" to "}, " operands                    \
              ", add, 1, 1" more "; }"                                                             \
              : __VA_ARGS__                                                                        \
              : "l"(a), "l"(b))
#if BN == 32
#define GROUP_ANY(kind, more) GROUP("32", TO_16, "%16, %17", kind, more, SIXTEEN(0))
#elif BN == 64
#define GROUP_ANY(kind, more) GROUP("64", TO_32, "%32, %33", kind, more, SIXTEEN(0), SIXTEEN(4))
#elif BN == 96
#define GROUP_ANY(kind, more)                                                                      \
    GROUP("96", TO_48, "%48, %49", kind, more, SIXTEEN(0), SIXTEEN(4), SIXTEEN(8))
#else
static_assert(BN == 128, "tiles are what groups multiply");
#define GROUP_ANY(kind, more)                                                                      \
    GROUP("128", TO_64, "%64, %65", kind, more, SIXTEEN(0), SIXTEEN(4), SIXTEEN(8), SIXTEEN(12))
#endif
static __device__ __forceinline__ void group_multiply_add(half, float (*c)[4], uint64 a, uint64 b)
{
    GROUP_ANY("k16.f32.f16.f16", ", 0, 0");
}
static __device__ __forceinline__ void group_multiply_add(bf16, float (*c)[4], uint64 a, uint64 b)
{
    GROUP_ANY("k16.f32.bf16.bf16", ", 0, 0");
}
static __device__ __forceinline__ void group_multiply_add(float, float (*c)[4], uint64 a, uint64 b)
{
    GROUP_ANY("k8.f32.tf32.tf32", "");
}

/* At least one step, so that nothing else defines the sums; it stays under way while the next is
 * waited for. */
static __device__ __forceinline__ void multiply(float (*sum)[4], const shape &s, const place &at,
                                                uint32 stages, uint32 barriers)
{
    uint32 own = threadIdx.x / 128 * 64 * LINE, stage = stages;
    int lane = threadIdx.x % 32, sharer = at.number(0, lane, at.rank);
    int i = 0, now = 0, turn = 0, last = 0;
    do {
        uint64 left = matrix_in_lines(stage + own), right = matrix_in_lines(stage + s.a_bytes());
        asm volatile("" : "+l"(left), "+l"(right)); /* made before they are waited for */
        barrier_wait_block(full(barriers, now), turn);
        group_settle(sum);
        group_asm("wgmma.fence.sync.aligned;" ::: "memory");
#pragma unroll
        for (int d = 0; d < LINE; d += 32)
            group_multiply_add(T(), sum, left + d / 16, right + d / 16);
        group_asm("wgmma.commit_group.sync.aligned;" ::: "memory");
        group_wait<1>();
        /* That step's stage is free here; who brings to all of us what comes next waits for that. */
        if (i > 0 && i - 1 + STAGES < at.count && lane < SHARERS)
            stage_release(cluster_address(empty(barriers, last), sharer));
        last = now;
        stage += s.stage_bytes();
        if (++now == STAGES) now = 0, turn ^= 1, stage = stages;
    } while (++i < at.count);
    group_wait<0>();
    group_settle(sum);
}

/* What comes from the other blocks: a place for each thread, eight columns of its own, and sender.
 */
static __device__ __forceinline__ char *place_of(char *room, int sender, int eight)
{
    return room + ((sender * OWN + eight) * (WARPS * 32) + threadIdx.x) * 16;
}

/* Eight columns q of all are finished by block q / OWN. */
static __device__ __forceinline__ void share(const float (*sum)[4], char *room, uint32 barrier,
                                             const place &at, float (*own)[4])
{
    int rank = at.rank, first = at.number(at.below, at.beside, 0);
#pragma unroll
    for (int q = 0; q < EIGHTS; q++) {
        int to = q / OWN;
        if (to == rank) continue;
        char *place = place_of(room, rank < to ? rank : rank - 1, q % OWN);
        cluster_send(cluster_address(shared_address(place), first + to), sum[q],
                     cluster_address(barrier, first + to));
    }
    barrier_wait(barrier, 0);
#pragma unroll
    for (int q = 0; q < EIGHTS; q++) {
        if (q / OWN != rank) continue;
        float all[4] = {};
        for (int sender = 0; sender < SPLITS; sender++) {
            pack<float, 4> part = {{sum[q][0], sum[q][1], sum[q][2], sum[q][3]}};
            if (sender != rank)
                part = *(const pack<float, 4> *)place_of(room, sender < rank ? sender : sender - 1,
                                                         q % OWN);
#pragma unroll
            for (int v = 0; v < 4; v++) all[v] += part.at[v];
        }
#pragma unroll
        for (int v = 0; v < 4; v++) own[q % OWN][v] = all[v];
    }
}

/* ---- What is added -----------------------------------------------------------------------------*/

/* What warps tell each other of rows that are normalised. */
struct known {
    pack<float, 2> found[SHARE_N][BM]; /* sums of a row and of its squares, by who looked */
    float weights[BN], bias[BN];       /* of the tile's columns */
    float scale[BK], shift[BK];        /* of the step that the tile makes */

    /* The mean, and one by the deviation. */
    __device__ __forceinline__ pack<float, 2> of_row(int own, const shape &s) const
    {
        float all = 0, two = 0, by = 1.0f / s.k;
#pragma unroll
        for (int n = 0; n < SHARE_N; n++) {
            all += found[n][own].at[0];
            two += found[n][own].at[1];
        }
        float mean = all * by;
        return {{mean, rsqrtf(fmaxf(two * by - mean * mean, 0.0f) + s.epsilon)}};
    }
    /* Until all have found theirs. */
    static __device__ __forceinline__ void wait(uint32 barriers)
    {
        if (SHARE_N > 1) barrier_wait(partial(barriers), 0);
        else barrier_wait_block(partial(barriers), 0);
    }
};

/* A thread's two rows of y, and its first column. */
struct spot {
    int row, column;
    bool inside[2];

    __device__ __forceinline__ spot(const shape &s, const place &at)
    {
        int own = threadIdx.x / 32 * 16 + threadIdx.x % 32 / 4;
        row = at.row + own;
        column = at.column + at.rank * (OWN * 8) + threadIdx.x % 4 * 2;
        for (int h = 0; h < 2; h++)
            inside[h] = own + h * 8 < s.rows && row + h * 8 < s.m;
    }
};

/* Two neighbours as they are in memory: who takes them apart at once waits for them at once. */
struct two {
    pack<uint32, sizeof(T) / 2> words;

    __device__ __forceinline__ void read(const T *from, int left)
    {
        words = {};
        if (VY > 1 && left > 0) words = *(const pack<uint32, sizeof(T) / 2> *)from;
        if (VY == 1)
            for (int v = 0; v < 2; v++)
                if (v < left) put(v, from[v]);
    }
    __device__ __forceinline__ void put(int v, float x) { words.at[v] = __float_as_uint(x); }
    template <class H> __device__ __forceinline__ void put(int v, H x)
    {
        words.at[0] |= (uint32)x.bits << 16 * v;
    }
    __device__ __forceinline__ float get(float, int v) const
    {
        return __uint_as_float(words.at[v]);
    }
    template <class H> __device__ __forceinline__ float get(H x, int v) const
    {
        x.bits = (uint16)(words.at[0] >> 16 * v);
        return to_float(x);
    }
};

struct added {
    two row[ADD == 1 ? OWN : 1], residual[RESIDUAL ? OWN : 1][2];
    pack<float, 2> mean_and[2];

    __device__ __forceinline__ void read_row(const shape &s, const spot &at, const T *c)
    {
#pragma unroll
        for (int q = 0; ADD == 1 && q < OWN; q++)
            row[q].read(c + at.column + q * 8, s.n - at.column - q * 8);
    }
    __device__ __forceinline__ void read_residual(const shape &s, const spot &at, const T *more)
    {
#pragma unroll
        for (int h = 0; RESIDUAL && h < 2; h++)
#pragma unroll
            for (int q = 0; q < OWN; q++)
                residual[q][h].read(more + (at.row + h * 8) * s.y_row + at.column + q * 8,
                                    at.inside[h] ? s.n - at.column - q * 8 : 0);
    }
};

/* Of four lanes each has two columns of four times eight: so that lane t has all of the t-th. */
static __device__ __forceinline__ void turn_in_fours(uint32 *x)
{
    int lane = threadIdx.x;
#pragma unroll
    for (int k = 1; k < 4; k *= 2)
#pragma unroll
        for (int i = 0; i < 4; i++) {
            if (i & k) continue;
            uint32 other = __shfl_xor_sync(0xffffffffu, lane & k ? x[i] : x[i + k], k);
            if (lane & k) x[i] = other;
            else x[i + k] = other;
        }
}

/* Two neighbours of a row, at q eights and h rows from the corner. */
static __device__ __forceinline__ pack<T, 2> result(const float *sum, int q, int h, const shape &s,
                                                    const spot &at, const added &by, const T *c,
                                                    const known *norm)
{
    int row = at.row + h * 8, column = at.column + q * 8;
    pack<T, 2> out;
#pragma unroll
    for (int v = 0; v < 2; v++) {
        float value = sum[h * 2 + v] * s.alpha;
        if (NORM) {
            int from = q * 8 + threadIdx.x % 4 * 2 + v;
            value = fmaf(value - by.mean_and[h].at[0] * norm->weights[from],
                         by.mean_and[h].at[1], norm->bias[from]);
        }
        if (ADD == 1) value += s.beta * by.row[q].get(T(), v);
        if (ADD == 2 && at.inside[h] && column + v < s.n)
            value += s.beta * to_float(c[row * s.c_row + (column + v) * s.c_column]);
        if (RESIDUAL) value += by.residual[q][h].get(T(), v);
        from_float(activate_for<ACT, T>(value, s.act_alpha, s.act_beta), &out.at[v]);
    }
    return out;
}

/* What the kernel behind would have to look at: elements as they are written. */
static __device__ __forceinline__ void count(const pack<T, 2> &pair, int left,
                                             pack<float, 2> *sums)
{
#pragma unroll
    for (int v = 0; v < 2; v++) {
        float x = v < left ? to_float(pair.at[v]) : 0.0f;
        sums->at[0] += x;
        sums->at[1] = fmaf(x, x, sums->at[1]);
    }
}
/* Four lanes have a row's columns of this block. */
static __device__ __forceinline__ void tell(pack<float, 2> (&own)[2], const shape &s,
                                            const spot &at, pack<float, 2> *sums)
{
    int part = at.column / (OWN * 8);
#pragma unroll
    for (int k = 1; k < 4; k *= 2)
#pragma unroll
        for (int h = 0; h < 2; h++)
#pragma unroll
            for (int v = 0; v < 2; v++)
                own[h].at[v] += __shfl_xor_sync(0xffffffffu, own[h].at[v], k);
#pragma unroll
    for (int h = 0; h < 2; h++)
        if (threadIdx.x % 4 == 0 && at.inside[h] && part * OWN * 8 < s.n)
            sums[(int64)part * s.m + at.row + h * 8] = own[h];
}

static __device__ __forceinline__ void finish(const float (*sum)[4], const shape &s,
                                              const spot &at, const added &by, const T *c, T *y,
                                              const known *norm, pack<float, 2> *sums)
{
    pack<float, 2> told[2] = {};
#pragma unroll
    for (int h = 0; h < 2; h++) {
        T *row = y + (at.row + h * 8) * s.y_row;
#if VY == 8
        static_assert(OWN % 4 == 0 && sizeof(T) == 2, "four lanes have four eights");
        int lane = threadIdx.x % 4, first = at.column + lane * 6;
#pragma unroll
        for (int q = 0; q < OWN; q += 4) {
            pack<uint32, 4> out;
#pragma unroll
            for (int i = 0; i < 4; i++) {
                pack<T, 2> pair = result(sum[q + i], q + i, h, s, at, by, c, norm);
                if (TELL) count(pair, s.n - at.column - (q + i) * 8, &told[h]);
                out.at[i] = pair.at[0].bits | (uint32)pair.at[1].bits << 16;
            }
            turn_in_fours(out.at);
            if (at.inside[h] && first + q * 8 < s.n)
                *(pack<uint32, 4> *)(row + first + q * 8) = out;
        }
#else
#pragma unroll
        for (int q = 0; q < OWN; q++) {
            int left = s.n - at.column - q * 8;
            pack<T, 2> out = result(sum[q], q, h, s, at, by, c, norm);
            if (TELL) count(out, left, &told[h]);
            T *to = row + at.column + q * 8;
            if (VY == 2 && at.inside[h] && left > 0) *(pack<T, 2> *)to = out;
            if (VY == 1)
                for (int v = 0; v < 2; v++)
                    if (at.inside[h] && v < left) to[v] = out.at[v];
        }
#endif
    }
    if (TELL) tell(told, s, at, sums);
}

/* ---- The warps that look at rows ---------------------------------------------------------------*/

/* A thread has half of each line of a row. */
struct half_row {
    int own, half_of;

    __device__ __forceinline__ half_row()
    {
        int thread = threadIdx.x - (WARPS * 32 + 32);
        own = thread / 2;
        half_of = thread % 2;
    }
};

/* The sum of a row and that of its squares as stages come by. Blocks side by side have the same
 * rows: each looks at the steps that it brings. */
static __device__ __forceinline__ pack<float, 2> look(const shape &s, const place &at,
                                                      const half_row &mine, const char *memory,
                                                      uint32 barriers)
{
    enum { PARTS = LINE / 32, EACH = 16 / (int)sizeof(T) };
    int lane = threadIdx.x % 32, sharer = at.number(0, lane, at.rank);
    float sum[4] = {}, squares[4] = {};
    for (int i = 0, now = 0, turn = 0; i < at.count; i++) {
        barrier_wait_block(full(barriers, now), turn);
        const char *line = memory + now * s.stage_bytes() + mine.own * LINE;
        bool ours = i % SHARE_N == at.beside && mine.own < s.rows;
#pragma unroll
        for (int k = 0; ours && k < PARTS; k++) {
            pack<T, EACH> some = *(const pack<T, EACH> *)(line + ((mine.half_of * PARTS + k) ^
                                                                  mine.own % 8) * 16);
#pragma unroll
            for (int e = 0; e < EACH; e++) {
                float value = to_float(some.at[e]);
                sum[e % 4] += value;
                squares[e % 4] = fmaf(value, value, squares[e % 4]);
            }
        }
        __syncwarp();
        if (i + STAGES < at.count && lane < SHARERS)
            stage_release(cluster_address(empty(barriers, now), sharer));
        if (++now == STAGES) now = 0, turn ^= 1;
    }
    return {{sum[0] + sum[1] + (sum[2] + sum[3]),
             squares[0] + squares[1] + (squares[2] + squares[3])}};
}

/* The same of what the kernel ahead told: each block reads its share of the parts. */
static __device__ __forceinline__ pack<float, 2> hear(const shape &s, const place &at,
                                                      const half_row &mine,
                                                      const pack<float, 2> *sums)
{
    pack<float, 2> all = {};
    if (mine.own >= s.rows || at.row + mine.own >= s.m) return all;
#pragma unroll 12
    for (int i = at.beside * 2 + mine.half_of; i < s.told; i += 2 * SHARE_N) {
        pack<float, 2> part = sums[(int64)i * s.m + at.row + mine.own];
        all.at[0] += part.at[0];
        all.at[1] += part.at[1];
    }
    return all;
}

/* The normalised rows: a column of tiles makes one step along k of them, or some rows of a step where
 * there are several times as many columns as steps. A thread has 16 bytes of every so many rows. */
struct maker {
    enum { EACH = 16 / (int)sizeof(T), CHUNKS = LINE / 16, ROWS = WARPS * 32 / CHUNKS };
    enum { TIMES = BM / ROWS };
    int step, row, end, element; /* of the tile; of the step */
    pack<T, EACH> kept[TIMES];

    __device__ __forceinline__ maker(const shape &s, const place &at)
    {
        int thread = threadIdx.x - (WARPS * 32 + 32), tile = at.column / BN;
        int parts = max(s.tiles_n / at.count, 1), part = tile / at.count;
        int rows = (s.rows + parts - 1) / parts, first = part * rows;
        step = tile % at.count;
        row = first + thread / CHUNKS;
        end = part < parts ? min(first + rows, min(s.rows, s.m - at.row)) : 0;
        element = thread % CHUNKS * EACH;
        if (step * BK + element >= s.k) end = 0;
    }
    __device__ __forceinline__ int64 place_of(const shape &s, const place &at, int row) const
    {
        return (int64)(at.row + row) * s.k + step * BK + element;
    }
    __device__ __forceinline__ void read(const shape &s, const place &at, const T *x)
    {
#pragma unroll
        for (int i = 0; i < TIMES; i++)
            if (row + i * ROWS < end)
                kept[i] = *(const pack<T, EACH> *)(x + place_of(s, at, row + i * ROWS));
    }
    __device__ __forceinline__ void make(const shape &s, const place &at, const known *norm,
                                         T *y) const
    {
#pragma unroll
        for (int i = 0; i < TIMES; i++) {
            if (row + i * ROWS >= end) continue;
            pack<float, 2> mean_and = norm->of_row(row + i * ROWS, s);
            pack<T, EACH> out;
#pragma unroll
            for (int e = 0; e < EACH; e++) {
                float value = (to_float(kept[i].at[e]) - mean_and.at[0]) * mean_and.at[1];
                from_float(fmaf(value, norm->scale[element + e], norm->shift[element + e]),
                           &out.at[e]);
            }
            *(pack<T, EACH> *)(y + place_of(s, at, row + i * ROWS)) = out;
        }
    }
};

/* What those who multiply have to know of rows, told to the blocks side by side as well, of which
 * each has looked at a part; and the normalised rows. */
static __device__ __forceinline__ void normalise(const shape &s, const place &at,
                                                 const char *memory, uint32 barriers,
                                                 const float *about, const T *x,
                                                 const pack<float, 2> *sums, known *norm, T *y)
{
    half_row mine;
    maker rows(s, at);
    int thread = threadIdx.x - (WARPS * 32 + 32), columns = (s.n + 127) / 128 * 128;
    for (int i = thread; i < BN; i += WARPS * 32) {
        norm->weights[i] = about[at.column + i];
        norm->bias[i] = about[columns + at.column + i];
    }
    about += 2 * columns + rows.step * BK;
    for (int i = thread; NORM == 2 && i < BK; i += WARPS * 32) {
        norm->scale[i] = about[i];
        norm->shift[i] = about[at.count * BK + i];
    }
    tn_wait_for_producer();
    pack<float, 2> found = TOLD ? hear(s, at, mine, sums) : look(s, at, mine, memory, barriers);
    if (NORM == 2) rows.read(s, at, x);
#pragma unroll
    for (int v = 0; v < 2; v++) found.at[v] += __shfl_xor_sync(0xffffffffu, found.at[v], 1);
    uint32 place = shared_address(&norm->found[at.beside][mine.own]), done = partial(barriers);
    for (int n = 0; mine.half_of == 0 && n < SHARE_N; n++) {
        int block = at.number(at.below, n, at.rank);
        if (n == at.beside) norm->found[n][mine.own] = found;
        else cluster_send(cluster_address(place, block), found.at, cluster_address(done, block));
    }
    barrier_arrive(partial(barriers));
    if (NORM != 2) return;
    known::wait(barriers);
    rows.make(s, at, norm, y);
}

extern "C" __global__ void __launch_bounds__((NORM ? 2 : 1) * WARPS * 32 + 32, NORM && BM == 64 ? 2 : 1)
    product_ring(const __grid_constant__ tensor_map a, const char *w, const T *c,
                 const T *residual, T *y, T *normed, pack<float, 2> *sums,
                 const __grid_constant__ shape s)
{
    extern __shared__ __align__(1024) char memory[];
    place at(s);
    char *room = memory + STAGES * s.stage_bytes();
    uint32 stages = shared_address(memory), barriers = shared_address(room) + ROOM_BYTES;
    bool bringer = threadIdx.x == WARPS * 32;
    if (bringer) {
        for (int i = 0; i < STAGES; i++) {
            barrier_make(full(barriers, i), 1);
            barrier_make(empty(barriers, i), READERS * SHARERS);
        }
        barrier_make(partial(barriers), NORM ? WARPS * 32 + (SHARE_N > 1) : 1);
        barrier_made();
        if (SPLITS > 1) barrier_expect(partial(barriers), ROOM_BYTES);
        if (NORM && SHARE_N > 1) barrier_expect(partial(barriers), (SHARE_N - 1) * BM * 8);
    }
    if (CLUSTER > 1) cluster_arrive();
    __syncthreads();
    if (NORM && threadIdx.x >= WARPS * 32 + 32) {
        int64 steps = (s.k + BK - 1) / BK;
        if (CLUSTER > 1) cluster_wait();
        normalise(s, at, memory, barriers, (const float *)(w + steps * s.groups * (8 * LINE)), c,
                  sums, (known *)room, normed);
        return;
    }
    if (threadIdx.x >= WARPS * 32) {
        if (bringer) bring(&a, w, s, at, stages, barriers);
        else if (CLUSTER > 1) cluster_wait();
        return;
    }
    float sum[EIGHTS][4] = {};
    spot mine(s, at);
    added by;
    by.read_row(s, mine, c);
    if (CLUSTER > 1) cluster_wait(); /* the others' barriers are made */
    tn_wait_for_producer();
    tn_start_consumer();
    by.read_residual(s, mine, residual);
    multiply(sum, s, at, stages, barriers);
    const known *norm = (const known *)room;
    if (NORM) {
        int own = threadIdx.x / 32 * 16 + threadIdx.x % 32 / 4;
        known::wait(barriers);
        for (int h = 0; h < 2; h++) by.mean_and[h] = norm->of_row(own + h * 8, s);
    }
    if constexpr (SPLITS > 1) {
        float own[OWN][4];
        share(sum, room, partial(barriers), at, own);
        finish(own, s, mine, by, c, y, norm, sums);
    } else finish(sum, s, mine, by, c, y, norm, sums);
}
