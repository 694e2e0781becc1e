/* Convolutions with the channels along memory, as a product of the pixels' windows [m, k] and the
 * weights [n, k]; k runs over taps, and over the channels of each.
 *
 *     y[m, n] = activation(sum over k of x(m, k) * w[n, k] + bias[n] + residual[m, n])
 *
 * A block makes BM x BN of y. Rows of 128 bytes of both operands are on their way to shared memory,
 * STAGES - 1 tiles ahead; the eight chunks of 16 bytes in a row change places with the row's number,
 * so that neither writing rows nor reading columns of chunks meets in a bank. SPLITS blocks, a
 * cluster, share out the k of a tile: each leaves its sums in its shared memory and finishes its
 * share of the rows from all of them.
 *
 * TYPE: of elements; XTYPE: of those of x, the same where VX is not 1. TENSOR: by tensor cores
 * (float as tf32), TM x TN to a warp, else by multiply-adds, TM x TN to a thread. VX: elements
 * of x read at once: those of 16 bytes, or 1, then the channels of x lie anywhere. VW: of w
 * likewise. VY: of y. ACT: the activation. */
#ifndef TYPE
#define TYPE half
#define XTYPE half
#define TENSOR 1
#define BM 64
#define BN 64
#define TM 32
#define TN 32
#define STAGES 4
#define SPLITS 1
#define VX 8
#define VW 8
#define VY 8
#define ACT 1
#endif
typedef TYPE T;
typedef XTYPE X;

enum {
    THREADS = BM / TM * (BN / TN) * (TENSOR ? 32 : 1),
    CHUNK = 16 / sizeof(T),  /* elements */
    CHUNKS = 8,              /* in a row */
    BK = CHUNKS * CHUNK,
    ROWS = THREADS / CHUNKS, /* that all threads together copy at once */
    LINE = BN + 8,           /* of sums in shared memory, floats */
};

struct shape { /* mirrored in conv_last.c */
    const X *x;
    const T *w, *bias, *residual;
    T *y;
    int32 m, n, k;      /* n and k of one group */
    int32 tiles_n, w_row; /* elements from one output's weights to the next one's */
    int32 in[2], kernel[2], stride[2], dilation[2], pad[2];
    int32 channels, y_row;                /* of a group; of all outputs */
    int32 x_sample, x_step[2], x_channel; /* elements */
    int32 weights;                        /* w is constant: nobody writes it before us */
    divider out[2], by_channels, by_width; /* of y's positions; of k: into taps, taps into rows */
    float act_alpha, act_beta;
};

/* Where chunk `chunk` of a row stands, in elements. */
static __device__ __forceinline__ int place(int row, int chunk)
{
    return (row * CHUNKS + (chunk ^ (row & 7))) * CHUNK;
}

/* 16 bytes to shared memory, zeros if not `take`: by themselves where the hardware can. */
static __device__ __forceinline__ void fetch(T *to, const T *from, bool take)
{
#if __CUDA_ARCH__ >= 800
    copy_begin(to, from, take);
#else
    pack<T, CHUNK> some = {};
    if (take) some = *(const pack<T, CHUNK> *)from;
    *(pack<T, CHUNK> *)to = some;
#endif
}

/* As it is, or rounded. */
static __device__ __forceinline__ void take_as(T from, T *to) { *to = from; }
template <class E> static __device__ __forceinline__ void take_as(E from, T *to)
{
    from_float(to_float(from), to);
}

/* Where the windows of some rows of x begin. */
struct corner {
    int from, h, w;

    __device__ void find(const shape &s, int row)
    {
        const int far = -(1 << 29); /* beyond the last row: outside x */
        uint32 at, column, n = divide(divide((uint32)row, s.out[1], &column), s.out[0], &at);
        h = row < s.m ? (int)at * s.stride[0] - s.pad[0] : far;
        w = (int)column * s.stride[1] - s.pad[1];
        from = (int)n * s.x_sample + h * s.x_step[0] + w * s.x_step[1];
    }
    __device__ bool reaches(const shape &s, int dh, int dw) const
    {
        return (unsigned)(h + dh) < (unsigned)s.in[0] && (unsigned)(w + dw) < (unsigned)s.in[1];
    }
};

#if VX > 1
/* A thread's part of the tiles of x: chunk threadIdx % 8 of every ROWS-th row. */
struct windows {
    static constexpr int COUNT = BM / ROWS;
    corner at[COUNT];
    int tap_h, tap_w, c; /* of the chunk in the tile to come */

    __device__ void begin(const shape &s, int first_row, int first_k, char *)
    {
        uint32 channel, column, k = (uint32)(first_k + threadIdx.x % CHUNKS * CHUNK);
#pragma unroll
        for (int i = 0; i < COUNT; i++) at[i].find(s, first_row + threadIdx.x / CHUNKS + i * ROWS);
        tap_h = (int)divide(divide(k, s.by_channels, &channel), s.by_width, &column);
        tap_w = (int)column;
        c = (int)channel;
    }

    __device__ void load(const shape &s, T *tile)
    {
        int row = threadIdx.x / CHUNKS, chunk = threadIdx.x % CHUNKS;
        int dh = tap_h * s.dilation[0], dw = tap_w * s.dilation[1];
        int step = dh * s.x_step[0] + dw * s.x_step[1] + c;
        bool some = tap_h < s.kernel[0];
#pragma unroll
        for (int i = 0; i < COUNT; i++) {
            bool take = some && at[i].reaches(s, dh, dw);
            const T *x = (const T *)s.x; /* which it is */
            fetch(tile + place(row + i * ROWS, chunk), take ? x + at[i].from + step : x, take);
        }
        for (c += BK; c >= s.channels; c -= s.channels)
            if (++tap_w == s.kernel[1]) {
                tap_w = 0;
                tap_h++;
            }
    }
};
#else
/* Element by element: a warp reads along a row of pixels, for one element of the windows at a time.
 * Where that stands is looked up in a table of the tile to come, made by all threads one tile ahead,
 * so that the barrier of every tile lies between writing and reading. */
struct windows {
    static constexpr int ACROSS = THREADS / BM;
    struct alignas(16) element {
        int from, h, w;
    };
    corner at;
    element *table; /* two tiles of BK */
    int k, turn;

    __device__ void begin(const shape &s, int first_row, int first_k, char *memory)
    {
        at.find(s, first_row + threadIdx.x % BM);
        table = (element *)memory;
        k = first_k;
        turn = 1;
        look_up(s);
    }

    __device__ void look_up(const shape &s)
    {
        turn ^= 1;
        for (int i = threadIdx.x; i < BK; i += THREADS) {
            uint32 channel, column;
            uint32 row = divide(divide((uint32)(k + i), s.by_channels, &channel), s.by_width, &column);
            element e = {0, 1 << 30, 0}; /* outside x */
            if ((int)row < s.kernel[0]) {
                e.h = (int)row * s.dilation[0];
                e.w = (int)column * s.dilation[1];
                e.from = e.h * s.x_step[0] + e.w * s.x_step[1] + (int)channel * s.x_channel;
            }
            table[turn * BK + i] = e;
        }
        k += BK;
    }

    __device__ void load(const shape &s, T *tile)
    {
        const element *now = table + turn * BK;
#pragma unroll
        for (int chunk = threadIdx.x / BM; chunk < CHUNKS; chunk += ACROSS) {
            pack<T, CHUNK> some = {};
#pragma unroll
            for (int i = 0; i < CHUNK; i++) {
                element e = now[chunk * CHUNK + i];
                if (at.reaches(s, e.h, e.w)) take_as(s.x[at.from + e.from], &some.at[i]);
            }
            *(pack<T, CHUNK> *)(tile + place(threadIdx.x % BM, chunk)) = some;
        }
        look_up(s);
    }
};
#endif

static __device__ __forceinline__ void load_weights(const shape &s, const T *w, T *tile,
                                                    int first_row, int first_k)
{
    int row = threadIdx.x / CHUNKS, chunk = threadIdx.x % CHUNKS, k = first_k + chunk * CHUNK;
#pragma unroll
    for (int i = 0; i < (BN + ROWS - 1) / ROWS; i++, row += ROWS) {
        if (BN % ROWS && row >= BN) break;
        const T *from = w + (int64)(first_row + row) * s.w_row + k;
        bool there = first_row + row < s.n;
#if VW > 1
        bool take = there && k < s.w_row;
        fetch(tile + place(row, chunk), take ? from : w, take);
#else
        pack<T, CHUNK> some = {};
#pragma unroll
        for (int e = 0; e < CHUNK; e++)
            if (there && k + e < s.k) some.at[e] = from[e];
        *(pack<T, CHUNK> *)(tile + place(row, chunk)) = some;
#endif
    }
}

#if TENSOR
/* Floats to the nearest of tf32; the others are what they are. */
static __device__ __forceinline__ void round_all(float, uint32 *x) { round_tf32(x); }
template <class E> static __device__ __forceinline__ void round_all(E, uint32 *) {}

struct sums {
    float at[TM / 16][TN / 8][4] = {};

    __device__ int row() const { return threadIdx.x / 32 / (BN / TN) * TM; }
    __device__ int column() const { return threadIdx.x / 32 % (BN / TN) * TN; }

    __device__ void add(const T *x, const T *w)
    {
        int lane = threadIdx.x % 32, matrix = lane / 8;
#pragma unroll
        for (int step = 0; step < CHUNKS; step += 2) {
            uint32 a[TM / 16][4], b[TN / 16][4];
#pragma unroll
            for (int i = 0; i < TM / 16; i++) {
                load_matrices<false>(a[i], x + place(row() + i * 16 + matrix % 2 * 8 + lane % 8,
                                                     step + matrix / 2));
                round_all(T(), a[i]);
            }
#pragma unroll
            for (int j = 0; j < TN / 16; j++) {
                load_matrices<false>(b[j], w + place(column() + j * 16 + matrix / 2 * 8 + lane % 8,
                                                     step + matrix % 2));
                round_all(T(), b[j]);
            }
#pragma unroll
            for (int i = 0; i < TM / 16; i++)
#pragma unroll
                for (int j = 0; j < TN / 8; j++)
                    multiply_add(T(), at[i][j], a[i], &b[j / 2][j % 2 * 2]);
        }
    }

    __device__ void leave(float *to) const
    {
        int lane = threadIdx.x % 32;
        to += (row() + lane / 4) * LINE + column() + lane % 4 * 2;
#pragma unroll
        for (int i = 0; i < TM / 16; i++)
#pragma unroll
            for (int j = 0; j < TN / 8; j++)
#pragma unroll
                for (int down = 0; down < 2; down++)
                    *(pack<float, 2> *)(to + (i * 16 + down * 8) * LINE + j * 8) =
                        *(const pack<float, 2> *)&at[i][j][down * 2];
    }
};
#else
/* Rows and columns of a thread lie apart, so that its neighbours' are neighbours. */
struct sums {
    static constexpr int ACROSS = BN / TN, DOWN = BM / TM;
    float at[TM][TN] = {};

    __device__ void add(const T *x, const T *w)
    {
        int row = threadIdx.x / ACROSS, column = threadIdx.x % ACROSS;
#pragma unroll 2
        for (int chunk = 0; chunk < CHUNKS; chunk++) {
            pack<T, CHUNK> b[TN];
#pragma unroll
            for (int j = 0; j < TN; j++)
                b[j] = *(const pack<T, CHUNK> *)(w + place(column + j * ACROSS, chunk));
#pragma unroll
            for (int i = 0; i < TM; i++) {
                pack<T, CHUNK> a = *(const pack<T, CHUNK> *)(x + place(row + i * DOWN, chunk));
#pragma unroll
                for (int e = 0; e < CHUNK; e++)
#pragma unroll
                    for (int j = 0; j < TN; j++) at[i][j] += to_float(a.at[e]) * to_float(b[j].at[e]);
            }
        }
    }

    __device__ void leave(float *to) const
    {
        int row = threadIdx.x / ACROSS, column = threadIdx.x % ACROSS;
#pragma unroll
        for (int i = 0; i < TM; i++)
#pragma unroll
            for (int j = 0; j < TN; j++)
                to[(row + i * DOWN) * LINE + column + j * ACROSS] = at[i][j];
    }
};
#endif

/* WIDE neighbours of a block's sums, wherever in the cluster it is. */
enum { WIDE = VY % 4 ? 1 : 4 };
static __device__ __forceinline__ void read_sums(uint32 at, float *x)
{
#if __CUDA_ARCH__ >= 900
    if constexpr (WIDE == 4)
        asm volatile("ld.shared::cluster.v4.f32 {%0, %1, %2, %3}, [%4];"
                     : "=f"(x[0]), "=f"(x[1]), "=f"(x[2]), "=f"(x[3])
                     : "r"(at)
                     : "memory");
    else asm volatile("ld.shared::cluster.f32 %0, [%1];" : "=f"(x[0]) : "r"(at) : "memory");
#endif
}

/* The sums of all blocks of the cluster for VY neighbours. */
static __device__ __forceinline__ void gather(const float *own, float *sum)
{
#if SPLITS > 1
    float all[SPLITS][VY];
#pragma unroll
    for (int rank = 0; rank < SPLITS; rank++) {
        uint32 there = cluster_address(shared_address(own), rank);
#pragma unroll
        for (int v = 0; v < VY; v += WIDE) read_sums(there + v * 4, &all[rank][v]);
    }
#pragma unroll
    for (int v = 0; v < VY; v++) {
        sum[v] = all[0][v];
#pragma unroll
        for (int rank = 1; rank < SPLITS; rank++) sum[v] += all[rank][v];
    }
#else
#pragma unroll
    for (int v = 0; v < VY; v++) sum[v] = own[v];
#endif
}

static __device__ __forceinline__ void finish(const shape &s, const float *sum, int first_row,
                                              int first_column, int group, int rank)
{
    enum { ACROSS = BN / VY, SHARE = BM / SPLITS };
    for (int i = threadIdx.x; i < SHARE * ACROSS; i += THREADS) {
        int row = rank * SHARE + i / ACROSS, column = i % ACROSS * VY;
        int m = first_row + row, n = first_column + column;
        if (m >= s.m || n >= s.n) continue;
        float value[VY];
        gather(sum + row * LINE + column, value);
        n += group * s.n;
        int64 to = (int64)m * s.y_row + n;
        pack<T, VY> bias = {}, residual = {}, y;
        if (s.bias) bias = *(const pack<T, VY> *)(s.bias + n);
        if (s.residual) residual = *(const pack<T, VY> *)(s.residual + to);
#pragma unroll
        for (int v = 0; v < VY; v++) {
            float one = value[v];
            if (s.bias) one += to_float(bias.at[v]);
            if (s.residual) one += to_float(residual.at[v]);
            from_float(activate<ACT>(one, s.act_alpha, s.act_beta), &y.at[v]);
        }
        *(pack<T, VY> *)(s.y + to) = y;
    }
}

extern "C" __global__ void __launch_bounds__(THREADS) conv_last(const __grid_constant__ shape given)
{
    extern __shared__ __align__(128) char memory[];
    T *tiles_x = (T *)memory, *tiles_w = tiles_x + STAGES * BM * BK;
    shape s = given;
    int tile = blockIdx.x / SPLITS, rank = blockIdx.x % SPLITS, group = blockIdx.y;
    int first_row = tile / s.tiles_n * BM, first_column = tile % s.tiles_n * BN;
    int steps = (s.k + BK - 1) / BK, share = (steps + SPLITS - 1) / SPLITS;
    int first = rank * share, count = max(0, min(share, steps - first));
    const T *w = s.w + (int64)group * s.n * s.w_row;
    s.x += (int64)group * s.channels * s.x_channel;
    windows from_x;
    sums sum;

    tn_start_consumer();
    from_x.begin(s, first_row, first * BK, (char *)(tiles_w + STAGES * BN * BK));
    if (!s.weights) tn_wait_for_producer();
#pragma unroll
    for (int i = 0; i < STAGES - 1; i++)
        if (i < count) load_weights(s, w, tiles_w + i * BN * BK, first_column, (first + i) * BK);
    tn_wait_for_producer();
#pragma unroll
    for (int i = 0; i < STAGES - 1; i++) {
        if (VX == 1) __syncthreads();
        if (i < count) from_x.load(s, tiles_x + i * BM * BK);
        copy_group();
    }
    for (int i = 0, now = 0; i < count; i++) {
        copy_wait<STAGES - 2>();
        __syncthreads(); /* this tile is there, and nobody reads the one before it any more */
        int ahead = i + STAGES - 1, next = now > 0 ? now - 1 : STAGES - 1;
        if (ahead < count) {
            load_weights(s, w, tiles_w + next * BN * BK, first_column, (first + ahead) * BK);
            from_x.load(s, tiles_x + next * BM * BK);
        }
        copy_group();
        sum.add(tiles_x + now * BM * BK, tiles_w + now * BN * BK);
        now = now + 1 < STAGES ? now + 1 : 0;
    }
    copy_wait<0>();
    __syncthreads(); /* the tiles' memory is free for the sums */
    sum.leave((float *)memory);
#if SPLITS > 1
    cluster_arrive();
    cluster_wait();
#else
    __syncthreads();
#endif
    finish(s, (const float *)memory, first_row, first_column, group, rank);
#if SPLITS > 1
    cluster_arrive(); /* others may still read what is here */
    cluster_wait();
#endif
}
