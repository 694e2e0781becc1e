/* A chain of small operators in one launch: a cluster of BLOCKS blocks takes one sample through all
 * of them. The results of a stage are shared out evenly, in the order of memory; each block sends
 * its own to the shared memory of all blocks, where the next stage finds all it reads. Weights are
 * on their way to the blocks that need them from the start, and in the registers of the threads
 * that need them, if there are not too many, while the others finish the stage before.
 *
 * All of this runs once, and waits for its instructions as for its weights: loops that go round a few
 * times are not unrolled.
 *
 * STAGES: types of those below, the first one first. BLOCKS: 1 where there are no clusters. */
#ifndef STAGES
#define BLOCKS 16
#define STAGES                                                                                     \
    conv<1, 28, 28, 20, 1, 5, 5, 1, 1, 1, 1, 0, 0, 2, 2, 2, 2, 12, 12, 0>,                         \
        conv<20, 12, 12, 50, 1, 5, 5, 1, 1, 1, 1, 0, 0, 2, 2, 2, 2, 4, 4, 0>, linear<800, 500, 1>, \
        linear<500, 10, 0>
#endif

enum {
    THREADS = 512,
    WARPS = THREADS / 32,
    STAGES_MAX = 12,
    KEPT_MAX = 80, /* weights in registers of a thread */
    BARRIER_FLOATS = 32,
};

struct stage_args { /* mirrored in program.c, as what follows */
    const float *weight, *bias; /* bias may be NULL */
    float alpha, beta;          /* of the activation */
};
struct program_args {
    const float *x;
    float *y;
    int64 y_sample;
    stage_args of[STAGES_MAX];
};

/* ---- Handing over ----------------------------------------------------------------------------*/

/* Where a block puts its results: where stage NEXT reads them, or in y. */
template <class NEXT> struct towards {
    float *at;
    static __device__ __forceinline__ int place(int item)
    {
        return item / NEXT::IN_SPACE * NEXT::IN_PITCH + item % NEXT::IN_SPACE;
    }
    __device__ __forceinline__ void put(int item, float v) const { at[place(item)] = v; }
};
struct towards_y {
    float *at;
    __device__ __forceinline__ void put(int item, float v) const { at[item] = v; }
};

/* The results of stage S that a block has, EACH at most, go to all other blocks, four in a message
 * where these lie side by side at both ends. Who reads them waits for all bytes of the others. */
template <class S, class NEXT> struct hand_over {
    enum {
        FOURS = NEXT::IN_PITCH == NEXT::IN_SPACE || NEXT::IN_SPACE % 4 == 0,
        WIDE = FOURS ? 4 : 1,
        PIECES = S::EACH / WIDE,
    };
    static __device__ __forceinline__ uint32 bytes(int count)
    {
        return count <= 0 ? 0 : 4 * ((count + WIDE - 1) / WIDE * WIDE);
    }
    static __device__ __forceinline__ void expect(uint32 barrier, int rank)
    {
        int own = S::OUT - rank * S::EACH;
        barrier_expect(barrier, bytes(S::OUT) - bytes(own < S::EACH ? own : S::EACH));
    }
    static __device__ __forceinline__ void send(float *at, uint32 barrier, int rank)
    {
#pragma unroll 1
        for (int i = threadIdx.x; i < PIECES * BLOCKS; i += THREADS) {
            int item = rank * S::EACH + i % PIECES * WIDE, to = i / PIECES;
            if (item >= S::OUT || to == rank) continue;
            const float *own = at + towards<NEXT>::place(item);
            uint32 there = cluster_address(shared_address(own), to);
            if constexpr (FOURS) {
                float4 v = *reinterpret_cast<const float4 *>(own);
                const float all[4] = {v.x, v.y, v.z, v.w};
                cluster_send(there, all, cluster_address(barrier, to));
            } else {
                cluster_send(there, *own, cluster_address(barrier, to));
            }
        }
    }
};

template <int VEC>
static __device__ __forceinline__ void copy_floats(float *to, const float *from, int count)
{
#pragma unroll 1
    for (int i = threadIdx.x * VEC; i < count; i += THREADS * VEC)
        if constexpr (VEC == 4) copy_begin(to + i, from + i, true);
        else copy_float(to + i, from + i);
}

/* What a thread has in registers before a stage begins. */
template <int COUNT> struct kept {
    float w[COUNT ? COUNT : 1], bias;
};

/* ---- Convolution, and the largest of windows of its results ----------------------------------
 *
 * O results of C channels in G groups; windows KH x KW, S: stride, D: dilation, P: padding before.
 * The largest of QH x QW neighbours, RH and RW apart, is one of O x OH x OW results. LANES threads
 * make one; they share its channels. */
template <int C, int H, int W, int O, int G, int KH, int KW, int SH, int SW, int DH, int DW, int PT,
          int PL, int QH, int QW, int RH, int RW, int OH, int OW, int ACT>
struct conv {
    enum {
        PER = C / G,
        TAPS = KH * KW,
        ROW = PER * TAPS,
        IN = C * H * W,
        IN_SPACE = H * W,
        /* Lanes read the same place of different channels: from different banks. */
        IN_PITCH = PER > 1 ? (H * W + 23) / 32 * 32 + 8 : H * W,
        SPACE = OH * OW,
        OUT = O * SPACE,
        EACH = (OUT + 4 * BLOCKS - 1) / (4 * BLOCKS) * 4,
        MOST = (EACH + SPACE - 2) / SPACE + 1,
        OWN = MOST < O ? MOST : O, /* channels of a block */
        ROOM = (OWN * ROW + 3) / 4 * 4,
        FIT = THREADS / EACH < PER ? THREADS / EACH : PER,
        LANES = FIT >= 16 ? 16 : FIT >= 8 ? 8 : FIT >= 4 ? 4 : FIT >= 2 ? 2 : 1,
        COUNT = (PER + LANES - 1) / LANES, /* channels of a lane */
        SIDE = 32 / LANES,                 /* results of a warp */
        PASS = WARPS * SIDE,
        KEPT = EACH <= PASS && COUNT * TAPS <= KEPT_MAX ? COUNT * TAPS : 0,
        SEEN_H = (QH - 1) * SH + (KH - 1) * DH + 1,
        SEEN_W = (QW - 1) * SW + (KW - 1) * DW + 1,
        INSIDE = PT == 0 && PL == 0 && (OH - 1) * RH * SH + SEEN_H <= H &&
                 (OW - 1) * RW * SW + SEEN_W <= W,
        PAIRS = INSIDE && RW * SW % 2 == 0 && W % 2 == 0 && IN_PITCH % 2 == 0,
    };

    static __device__ __forceinline__ int first_channel(int rank)
    {
        return (rank * EACH < OUT ? rank * EACH : OUT - 1) / SPACE;
    }
    static __device__ __forceinline__ void copy(const stage_args &a, float *room, int rank)
    {
        int from = first_channel(rank), count = OWN < O - from ? OWN : O - from;
        if (rank * EACH < OUT)
            copy_floats<ROW % 4 == 0 ? 4 : 1>(room, a.weight + from * ROW, count * ROW);
    }
    /* This thread's result after `base` others of its block, or the last there is. */
    static __device__ __forceinline__ int item_of(int rank, int base, bool *live)
    {
        int own = base + threadIdx.x / 32 * SIDE + threadIdx.x % SIDE, item = rank * EACH + own;
        *live = own < EACH && item < OUT;
        return *live ? item : (rank + 1) * EACH < OUT ? (rank + 1) * EACH - 1 : OUT - 1;
    }
    static __device__ __forceinline__ int lane() { return threadIdx.x % 32 / SIDE; }

    static __device__ __forceinline__ void take(const stage_args &a, const float *room, int rank,
                                                kept<KEPT> &k)
    {
        bool live;
        int o = item_of(rank, 0, &live) / SPACE;
        if constexpr (KEPT) {
            const float *w = room + (o - first_channel(rank)) * ROW;
            k.bias = a.bias ? a.bias[o] : 0.0f;
#pragma unroll
            for (int i = 0; i < COUNT; i++)
#pragma unroll
                for (int t = 0; t < TAPS; t++) {
                    int c = i * LANES + lane();
                    k.w[i * TAPS + t] = c < PER ? w[c * TAPS + t] : 0.0f;
                }
        }
    }

    static __device__ __forceinline__ void look(const float *x, int y0, int x0,
                                                float (&v)[SEEN_H][SEEN_W])
    {
#pragma unroll
        for (int r = 0; r < SEEN_H; r++) {
            const float *from = x + (y0 + r) * W + x0;
            if constexpr (PAIRS) {
#pragma unroll
                for (int s = 0; s < SEEN_W - 1; s += 2) {
                    float2 pair = *reinterpret_cast<const float2 *>(from + s);
                    v[r][s] = pair.x, v[r][s + 1] = pair.y;
                }
                if (SEEN_W % 2) v[r][SEEN_W - 1] = from[SEEN_W - 1];
            } else {
#pragma unroll
                for (int s = 0; s < SEEN_W; s++) {
                    bool there = INSIDE || ((unsigned)(y0 + r) < H && (unsigned)(x0 + s) < W);
                    v[r][s] = there ? from[s] : 0.0f;
                }
            }
        }
    }

    /* One result: the sum over this lane's channels at QH x QW places. */
    static __device__ __forceinline__ void add(const float *x, const float *w, const kept<KEPT> &k,
                                               int y0, int x0, float (&sum)[QH * QW])
    {
#pragma unroll
        for (int i = 0; i < COUNT; i++) {
            int c = i * LANES + lane();
            float v[SEEN_H][SEEN_W];
            if (COUNT * LANES > PER && c >= PER) break;
            look(x + c * IN_PITCH, y0, x0, v);
#pragma unroll
            for (int t = 0; t < TAPS; t++) {
                float of = KEPT ? k.w[KEPT ? i * TAPS + t : 0] : w[c * TAPS + t];
#pragma unroll
                for (int q = 0; q < QH * QW; q++)
                    sum[q] = fmaf(of, v[q / QW * SH + t / KW * DH][q % QW * SW + t % KW * DW],
                                  sum[q]);
            }
        }
    }

    template <class TO>
    static __device__ __forceinline__ void run(const stage_args &a, const float *x, float *room,
                                               int rank, const kept<KEPT> &k, const TO &to)
    {
        for (int base = 0; base < EACH; base += PASS) {
            bool live;
            if (base + (int)threadIdx.x / 32 * SIDE >= EACH) break;
            int item = item_of(rank, base, &live), o = item / SPACE, at = item % SPACE;
            float sum[QH * QW] = {}, best = 0.0f;
            float bias = KEPT ? k.bias : a.bias ? a.bias[o] : 0.0f;
            add(x + o / (O / G) * PER * IN_PITCH, room + (o - first_channel(rank)) * ROW, k,
                at / OW * RH * SH - PT, at % OW * RW * SW - PL, sum);
#pragma unroll
            for (int q = 0; q < QH * QW; q++) {
#pragma unroll
                for (int s = SIDE; s < 32; s *= 2) sum[q] += __shfl_xor_sync(~0u, sum[q], s);
                float v = activate<ACT>(sum[q] + bias, a.alpha, a.beta);
                if (q == 0 || v > best || v != v) best = v;
            }
            if (live && lane() == 0) to.put(item, best);
        }
    }
};

/* ---- The largest, or the mean, of windows of each channel ------------------------------------*/

template <int C, int H, int W, int KH, int KW, int SH, int SW, int DH, int DW, int PT, int PL, int OH,
          int OW, int AVERAGE>
struct pool {
    enum {
        IN = C * H * W,
        IN_SPACE = H * W,
        IN_PITCH = H * W,
        OUT = C * OH * OW,
        EACH = (OUT + 4 * BLOCKS - 1) / (4 * BLOCKS) * 4,
        ROOM = 0,
        KEPT = 0,
    };
    static __device__ __forceinline__ void copy(const stage_args &a, float *room, int rank) {}
    static __device__ __forceinline__ void take(const stage_args &a, const float *room, int rank,
                                                kept<KEPT> &k)
    {
    }
    template <class TO>
    static __device__ __forceinline__ void run(const stage_args &a, const float *x, float *room,
                                               int rank, const kept<KEPT> &k, const TO &to)
    {
        for (int own = threadIdx.x; own < EACH && rank * EACH + own < OUT; own += THREADS) {
            int item = rank * EACH + own, at = item % (OH * OW), counted = 0;
            int y0 = at / OW * SH - PT, x0 = at % OW * SW - PL;
            const float *from = x + item / (OH * OW) * (H * W);
            float result = 0.0f;
            for (int r = y0; r < y0 + KH * DH; r += DH)
                for (int s = x0; s < x0 + KW * DW; s += DW) {
                    if ((unsigned)r >= H || (unsigned)s >= W) continue;
                    float v = from[r * W + s];
                    if (AVERAGE) result += v;
                    else if (!counted || v > result || (v != v && result == result)) result = v;
                    counted++;
                }
            to.put(item, AVERAGE ? result / (float)counted : result);
        }
    }
};

/* ---- x W + bias ------------------------------------------------------------------------------
 *
 * W: [K, N]. A block makes COLUMNS results; a warp makes four at a time, its lanes share K, and
 * SPLIT warps do. */
template <int K, int N, int ACT> struct linear {
    enum {
        IN = K,
        IN_SPACE = K,
        IN_PITCH = K,
        OUT = N,
        COLUMNS = ((N + BLOCKS - 1) / BLOCKS + 3) / 4 * 4,
        EACH = COLUMNS,
        FOURS = COLUMNS / 4,
        PITCH = FOURS % 2 ? COLUMNS : COLUMNS + 4, /* lanes read from different banks */
        SPLIT = FOURS < WARPS ? WARPS / FOURS : 1,
        DEPTH = (K + 32 * SPLIT - 1) / (32 * SPLIT), /* numbers of a lane */
        KEPT = FOURS <= WARPS && 4 * DEPTH <= KEPT_MAX ? 4 * DEPTH : 0,
        ROOM = K * PITCH + SPLIT * COLUMNS,
    };

    static __device__ __forceinline__ void copy(const stage_args &a, float *room, int rank)
    {
        int first = rank * COLUMNS;
        if (first >= N) return;
        if constexpr (N % 4 == 0) {
#pragma unroll 1
            for (int i = threadIdx.x; i < K * FOURS; i += THREADS) {
                int k = i / FOURS, n = i % FOURS * 4;
                bool there = first + n < N;
                copy_begin(room + k * PITCH + n, a.weight + (there ? k * N + first + n : 0), there);
            }
        } else {
#pragma unroll 1
            for (int i = threadIdx.x; i < K * COLUMNS; i += THREADS) {
                int k = i / COLUMNS, n = i % COLUMNS;
                if (first + n < N) copy_float(room + k * PITCH + n, a.weight + k * N + first + n);
                else room[k * PITCH + n] = 0.0f;
            }
        }
    }
    static __device__ __forceinline__ int depth(int i)
    {
        int split = threadIdx.x / 32 / FOURS;
        return (i * SPLIT + (split < SPLIT ? split : 0)) * 32 + threadIdx.x % 32;
    }
    static __device__ __forceinline__ float bias_of(const stage_args &a, int rank, int column)
    {
        int n = rank * COLUMNS + column;
        return a.bias && n < N ? a.bias[n] : 0.0f;
    }
    static __device__ __forceinline__ float4 four(const float *room, int k, int which)
    {
        return *reinterpret_cast<const float4 *>(room + k * PITCH + 4 * which);
    }

    static __device__ __forceinline__ void take(const stage_args &a, const float *room, int rank,
                                                kept<KEPT> &k)
    {
        k.bias = threadIdx.x < COLUMNS ? bias_of(a, rank, threadIdx.x) : 0.0f;
        if constexpr (KEPT) {
#pragma unroll
            for (int i = 0; i < DEPTH; i++) {
                float4 w = {0, 0, 0, 0};
                if ((i + 1) * SPLIT * 32 <= K || depth(i) < K)
                    w = four(room, depth(i), threadIdx.x / 32 % FOURS);
                k.w[4 * i] = w.x, k.w[4 * i + 1] = w.y, k.w[4 * i + 2] = w.z, k.w[4 * i + 3] = w.w;
            }
        }
    }

    /* The sums of the warps, to part [SPLIT][COLUMNS]. */
    static __device__ __forceinline__ void add(const float *x, const float *room,
                                               const kept<KEPT> &k, float *part)
    {
        int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
#pragma unroll 1
        for (int which = warp; which < FOURS * SPLIT; which += WARPS) {
            float sum[4] = {};
#pragma unroll
            for (int i = 0; i < DEPTH; i++) {
                if ((i + 1) * SPLIT * 32 > K && depth(i) >= K) break;
                float v = x[depth(i)];
                float4 w = KEPT ? float4{k.w[KEPT ? 4 * i : 0], k.w[KEPT ? 4 * i + 1 : 0],
                                         k.w[KEPT ? 4 * i + 2 : 0], k.w[KEPT ? 4 * i + 3 : 0]}
                                : four(room, depth(i), which % FOURS);
                sum[0] = fmaf(w.x, v, sum[0]), sum[1] = fmaf(w.y, v, sum[1]);
                sum[2] = fmaf(w.z, v, sum[2]), sum[3] = fmaf(w.w, v, sum[3]);
            }
            float all = sum_of_four(sum, lane & 3);
            for (int s = 4; s < 32; s *= 2) all += __shfl_xor_sync(~0u, all, s);
            if (lane < 4) part[which / FOURS * COLUMNS + which % FOURS * 4 + lane] = all;
        }
    }

    template <class TO>
    static __device__ __forceinline__ void run(const stage_args &a, const float *x, float *room,
                                               int rank, const kept<KEPT> &k, const TO &to)
    {
        float *part = room + K * PITCH;
        add(x, room, k, part);
        __syncthreads();
#pragma unroll 1
        for (int column = threadIdx.x; column < COLUMNS; column += THREADS) {
            float sum = column < THREADS ? k.bias : bias_of(a, rank, column);
#pragma unroll
            for (int s = 0; s < SPLIT; s++) sum += part[s * COLUMNS + column];
            float v = activate<ACT>(sum, a.alpha, a.beta);
            if (rank * COLUMNS + column < N) to.put(rank * COLUMNS + column, v);
        }
    }
};

/* ---- The chain -------------------------------------------------------------------------------*/

/* Each stage has its weights in a room of its own, and its input behind the rooms of all. */
template <class S> struct input {
    enum { FLOATS = ((S::IN / S::IN_SPACE) * S::IN_PITCH + 3) / 4 * 4 };
};

template <int I, class S, class... REST>
static __device__ __forceinline__ void copy_all(const program_args &a, float *room, int rank)
{
    S::copy(a.of[I], room, rank);
    copy_group();
    if constexpr (sizeof...(REST) > 0) copy_all<I + 1, REST...>(a, room + S::ROOM, rank);
}

/* A barrier for the input of each stage but the first. */
template <int I, class S, class NEXT, class... REST>
static __device__ __forceinline__ void expect_all(uint32 barrier, int rank)
{
    hand_over<S, NEXT>::expect(barrier + 8 * I, rank);
    if constexpr (sizeof...(REST) > 0) expect_all<I + 1, NEXT, REST...>(barrier, rank);
}

/* Weights are taken while the last results of the stage before are waited for. */
template <int I, class S, class... REST>
static __device__ __forceinline__ void run_all(const program_args &a, float *room, float *x,
                                               float *y, uint32 barrier, int rank);
template <int I, class S, class NEXT, class... REST>
static __device__ __forceinline__ void run_on(const program_args &a, float *room, float *x, float *y,
                                              uint32 barrier, int rank, const kept<S::KEPT> &k)
{
    float *next = x + input<S>::FLOATS;
    S::run(a.of[I], x, room, rank, k, towards<NEXT>{next});
    copy_wait<(int)sizeof...(REST)>();
    __syncthreads();
    if (BLOCKS > 1) hand_over<S, NEXT>::send(next, barrier + 8 * I, rank);
    run_all<I + 1, NEXT, REST...>(a, room + S::ROOM, next, y, barrier, rank);
}
template <int I, class S, class... REST>
static __device__ __forceinline__ void run_all(const program_args &a, float *room, float *x,
                                               float *y, uint32 barrier, int rank)
{
    kept<S::KEPT> k;
    S::take(a.of[I], room, rank, k);
    if constexpr (BLOCKS > 1 && I > 0) barrier_wait(barrier + 8 * (I - 1), 0);
    if constexpr (sizeof...(REST) == 0) S::run(a.of[I], x, room, rank, k, towards_y{y});
    else run_on<I, S, REST...>(a, room, x, y, barrier, rank, k);

}

template <class S, class... REST>
static __device__ __forceinline__ void run_chain(const program_args &a, float *shared)
{
    constexpr int rooms = (S::ROOM + ... + REST::ROOM);
    int rank = blockIdx.x % BLOCKS;
    int64 sample = blockIdx.x / BLOCKS;
    uint32 barrier = shared_address(shared);
    float *room = shared + BARRIER_FLOATS, *x = room + rooms;
    if constexpr (BLOCKS > 1) {
        if constexpr (sizeof...(REST) > 0)
            if (threadIdx.x == 0) {
                for (int i = 0; i < (int)sizeof...(REST); i++) barrier_make(barrier + 8 * i);
                barrier_made();
                expect_all<0, S, REST...>(barrier, rank);
            }
        cluster_begin(); /* nobody sends to a block that has not begun */
    }
    S::copy(a.of[0], room, rank);
    tn_wait_for_producer();
    tn_start_consumer();
    /* x comes before the weights that have more time. */
#pragma unroll 1
    for (int i = threadIdx.x; i < S::IN; i += THREADS)
        copy_float(x + towards<S>::place(i), a.x + sample * S::IN + i);
    copy_group();
    if constexpr (sizeof...(REST) > 0) copy_all<1, REST...>(a, room + S::ROOM, rank);
    copy_wait<(int)sizeof...(REST)>();
    if (BLOCKS > 1) cluster_wait();
    __syncthreads();
    run_all<0, S, REST...>(a, room, x, a.y + sample * a.y_sample, barrier, rank);
}

extern "C" __global__ void __launch_bounds__(THREADS, 1)
    program(const __grid_constant__ program_args a)
{
    extern __shared__ float4 shared[];
    run_chain<STAGES>(a, reinterpret_cast<float *>(shared));
}
