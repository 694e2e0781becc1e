/* Products of matrices in tiles, and convolutions as such: plain multiply-adds, exact in the type
 * of the sums.
 *
 *     y[m, n] = activation(alpha * sum(m, n) + beta * c(m, n) + residual[m, n])
 *     sum(m, n) = sum over k of a(m, k) * b(k, n)
 *
 * A block makes BM x BN of y, a thread TM x TN of those, in groups of four by four that stand BM
 * and BN apart by equal parts, so that lanes read side by side from shared memory. The next BK of k
 * is on its way in registers while the last is multiplied.
 *
 * TENSOR: the multiplying is done by tensor cores instead, elements of 16 bits in sums of float: a
 * warp makes TM x TN, and STAGES tiles are on their way or in use. a and b are read 8 elements at a
 * time then, y written two at a time.
 *
 * TYPE, SUM: of elements and of sums. A_DEEP, B_DEEP: k runs along memory in a, in b (else m, n).
 * VA, VB, VY: elements of a, b and y that are read or written at once. ACT: the activation.
 *
 * WINDOW: b is what a convolution sees of its input x[N, C, in...]: k is a channel and a tap, n a
 * sample and a position; KERNEL0, STRIDE0, DILATION0 and so on are numbers of its three axes. */
#ifndef TYPE
#define TYPE float
#define SUM float
#define BM 64
#define BN 64
#define BK 16
#define TM 8
#define TN 4
#define A_DEEP 1
#define B_DEEP 0
#define VA 4
#define VB 4
#define VY 4
#define ACT 0
#define WINDOW 0
#define TENSOR 0
#endif
#if !WINDOW
#define KERNEL0 1
#define KERNEL1 1
#define KERNEL2 1
#define STRIDE0 1
#define STRIDE1 1
#define STRIDE2 1
#define DILATION0 1
#define DILATION1 1
#define DILATION2 1
#endif
typedef TYPE T;
typedef SUM S;

#if TENSOR
typedef T H; /* elements in shared memory */
enum { THREADS = BM / TM * (BN / TN) * 32, PAD = 8 };
#else
typedef S H;
enum { THREADS = BM / TM * (BN / TN), PAD = 4, STAGES = 2 };
/* Of these blocks on a multiprocessor: what leaves them registers enough. */
enum { BLOCKS = sizeof(S) > 4 ? 1 : THREADS < 128 ? 6 : 512 / THREADS };
#endif
/* PAD keeps groups aligned that are read at once, and columns off each other's banks. */
enum { GROUP = 8 };

static __device__ __forceinline__ void settle(T x, H *to)
{
#if TENSOR
    *to = x;
#else
    *to = widen(x);
#endif
}

/* Products of one shape, `count` in all, over axes with steps of a, b and c. Each is cut along k
 * into `splits` parts, whose sums go to `partial`. */
struct batches {
    int count, splits, rank, dim[8];
    int64 a[8], b[8], c[8];
};

struct shape {
    int m, n, k, tiles_m, tiles_n;
    int weights; /* 1: a, 2: b is constant; 0: neither */
    int plane;   /* positions of one sample, where WINDOW */
    int64 lda, ldb, c_row, c_column, y_batch, y_row, y_sample;
    float alpha, beta, act_alpha, act_beta;
};

/* The convolution's input: sizes of its three axes and of y's, and the padding before them. */
struct view {
    int in[3], out[3], pad[3];
    int channels; /* of all groups */
};

/* What a convolution sees, on its way to shared memory: a thread keeps to one position. */
struct seer {
    static constexpr int STEP = THREADS / BN, COUNT = BK / STEP;
    static_assert(THREADS % BN == 0 && BK % STEP == 0, "a thread keeps to one position");
    T held[COUNT];
    const T *sample;
    int at[3];

    __device__ __forceinline__ void begin(const T *x, const view &v, int first, int width)
    {
        static constexpr int stride[3] = {STRIDE0, STRIDE1, STRIDE2};
        int plane = v.out[0] * v.out[1] * v.out[2], n = first + threadIdx.x % BN;
        int s = n % plane;
        sample = n < width ? x + (int64)(n / plane) * v.channels * (v.in[0] * v.in[1] * v.in[2])
                           : nullptr;
        at[2] = s % v.out[2] * stride[2] - v.pad[2];
        at[1] = s / v.out[2] % v.out[1] * stride[1] - v.pad[1];
        at[0] = s / v.out[2] / v.out[1] * stride[0] - v.pad[0];
    }
    __device__ __forceinline__ void load(const view &v, int k, int depth)
    {
        static constexpr int kernel[3] = {KERNEL0, KERNEL1, KERNEL2};
        static constexpr int dilation[3] = {DILATION0, DILATION1, DILATION2};
        static constexpr int taps = kernel[0] * kernel[1] * kernel[2];
#pragma unroll
        for (int i = 0; i < COUNT; i++) {
            int d = k + threadIdx.x / BN + i * STEP, c = d / taps, tap = d % taps;
            int p0 = at[0] + tap / (kernel[1] * kernel[2]) * dilation[0];
            int p1 = at[1] + tap / kernel[2] % kernel[1] * dilation[1];
            int p2 = at[2] + tap % kernel[2] * dilation[2];
            bool inside = (unsigned)p0 < (unsigned)v.in[0] && (unsigned)p1 < (unsigned)v.in[1] &&
                          (unsigned)p2 < (unsigned)v.in[2];
            held[i] = {};
            if (sample && d < depth && inside)
                held[i] = sample[((c * v.in[0] + p0) * v.in[1] + p1) * v.in[2] + p2];
        }
    }
    __device__ __forceinline__ void store(H *tile)
    {
#pragma unroll
        for (int i = 0; i < COUNT; i++)
            settle(held[i], &tile[(threadIdx.x / BN + i * STEP) * (BN + PAD) + threadIdx.x % BN]);
    }
};

/* Columns of a convolution are samples and positions: its y is [N, O, out...]. */
static __device__ __forceinline__ int64 place_of(int row, int column, const shape &s)
{
    if (!WINDOW) return row * s.y_row + column;
    return row * s.y_row + column / s.plane * s.y_sample + column % s.plane;
}

/* VY neighbours of a row. c, residual and y: of the batch. */
static __device__ __forceinline__ void finish(const S *sum, int row, int column, const shape &s,
                                              const T *c, const T *residual, T *y)
{
    int64 at = place_of(row, column, s);
    pack<T, VY> out, more = {};
    if (residual) more = *(const pack<T, VY> *)(residual + at);
#pragma unroll
    for (int j = 0; j < VY; j++) {
        S value = sum[j];
        if (s.alpha != 1.0f) value = (S)(value * s.alpha);
        if (c) {
            S add = widen(c[row * s.c_row + (column + j) * s.c_column]);
            value += s.beta == 1.0f ? add : (S)(add * s.beta);
        }
        if (residual) value += widen(more.at[j]);
        narrow(activate<ACT>(value, s.act_alpha, s.act_beta), &out.at[j]);
    }
    *(pack<T, VY> *)(y + at) = out;
}

/* The weights of a column of tiles (a row, for a convolution) on their way to the second cache,
 * while the kernel ahead still makes the other operand. */
static __device__ __forceinline__ void fetch(const T *from, int64 step, int first, int width,
                                             int begin, int end, bool deep)
{
    constexpr int LINE = 128 / (int)sizeof(T);
    int rows = deep ? width : end - begin, length = deep ? end - begin : width;
    int lines = (length + LINE - 1) / LINE;
    from += deep ? first * step + begin : begin * step + first;
    for (int i = threadIdx.x; i < rows * lines; i += THREADS)
        fetch_line(from + i / lines * step + i % lines * LINE);
}

/* Where a block works; its operands' pointers are moved to their batch. */
struct place {
    int row, column, index, turn, begin, end;
};
static __device__ __forceinline__ place enter(const shape &s, const batches &batch, const T **a,
                                              const T **b, const T **c)
{
    int tiles = s.tiles_m * s.tiles_n, tile = blockIdx.x % tiles, turn = blockIdx.x / tiles;
    int index = turn % batch.count, split = turn / batch.count;
    /* Blocks that run together share operands: GROUP rows of tiles, column by column. */
    int band = tile / (GROUP * s.tiles_n) * GROUP, high = min(s.tiles_m - band, GROUP);
    int row = (band + tile % (GROUP * s.tiles_n) % high) * BM;
    int column = tile % (GROUP * s.tiles_n) / high * BN;
    int share = (s.k + batch.splits * BK - 1) / (batch.splits * BK) * BK;
    int begin = split * share, end = min(s.k, begin + share);
    for (int i = batch.rank - 1, rest = index; i >= 0; i--) {
        int at = rest % batch.dim[i];
        rest /= batch.dim[i];
        *a += at * batch.a[i];
        *b += at * batch.b[i];
        if (*c) *c += at * batch.c[i];
    }
    if (s.weights == 1 && column == 0)
        fetch(*a, s.lda, row, min(BM, s.m - row), begin, end, A_DEEP);
    if (s.weights == 2 && row == 0)
        fetch(*b, s.ldb, column, min(BN, s.n - column), begin, end, B_DEEP);
    return {row, column, index, turn, begin, end};
}

/* COUNT neighbours of a row, finished, or kept as a part of their sums. */
template <int COUNT>
static __device__ __forceinline__ void leave(const S *sum, int row, int column, const place &at,
                                             const shape &s, const batches &batch, const T *c,
                                             const T *residual, T *y, S *partial)
{
    if (row >= s.m || column >= s.n) return;
    if (batch.splits == 1) {
        if (residual) residual += at.index * s.y_batch;
        finish(sum, row, column, s, c, residual, y + at.index * s.y_batch);
        return;
    }
    partial += ((int64)at.turn * s.m + row) * s.n + column;
    for (int i = 0; i < COUNT; i++) partial[i] = sum[i];
}

/* ---- Multiply-adds ---------------------------------------------------------------------------*/

#if !TENSOR
/* One operand's share of a thread on its way from global to shared memory. WIDTH: of the tile. */
template <bool DEEP, int V, int WIDTH> struct mover {
    static constexpr int COUNT = WIDTH * BK / V / THREADS, ROW = DEEP ? BK / V : WIDTH / V;
    static_assert(WIDTH * BK % (V * THREADS) == 0, "a tile is a whole number of rounds");
    pack<T, V> held[COUNT];

    __device__ __forceinline__ void load(const T *from, int64 step, int first, int width, int k,
                                         int depth)
    {
#pragma unroll
        for (int i = 0; i < COUNT; i++) {
            int at = threadIdx.x + i * THREADS, row = at / ROW, column = at % ROW * V;
            int w = first + (DEEP ? row : column), d = k + (DEEP ? column : row);
            held[i] = {};
            if (w < width && d < depth)
                held[i] = *(const pack<T, V> *)(from + (DEEP ? w * step + d : d * step + w));
        }
    }
    __device__ __forceinline__ void store(H *tile)
    {
#pragma unroll
        for (int i = 0; i < COUNT; i++) {
            int at = threadIdx.x + i * THREADS, row = at / ROW, column = at % ROW * V;
#pragma unroll
            for (int v = 0; v < V; v++)
                settle(held[i].at[v], &tile[DEEP ? (column + v) * (WIDTH + PAD) + row
                                                 : row * (WIDTH + PAD) + column + v]);
        }
    }
};

static __device__ __forceinline__ void multiply_tile(const S *a, const S *b, S sum[TM][TN])
{
    constexpr int ROWS = BM / (TM / 4), COLUMNS = BN / (TN / 4);
    int row = threadIdx.x / (BN / TN) * 4, column = threadIdx.x % (BN / TN) * 4;
#pragma unroll
    for (int k = 0; k < BK; k++) {
        pack<S, 4> x[TM / 4], w[TN / 4];
#pragma unroll
        for (int i = 0; i < TM / 4; i++)
            x[i] = *(const pack<S, 4> *)(a + k * (BM + PAD) + i * ROWS + row);
#pragma unroll
        for (int i = 0; i < TN / 4; i++)
            w[i] = *(const pack<S, 4> *)(b + k * (BN + PAD) + i * COLUMNS + column);
#pragma unroll
        for (int i = 0; i < TM; i++)
#pragma unroll
            for (int j = 0; j < TN; j++) sum[i][j] += x[i / 4].at[i % 4] * w[j / 4].at[j % 4];
    }
}

extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS)
    product(const T *a, const T *b, const T *c, const T *residual, T *y, S *partial, shape s,
            batches batch, view v)
{
    __shared__ __align__(32) S tile_a[STAGES][BK * (BM + PAD)], tile_b[STAGES][BK * (BN + PAD)];
    place at = enter(s, batch, &a, &b, &c);
    tn_wait_for_producer();

    S sum[TM][TN] = {};
    mover<A_DEEP, VA, BM> from_a;
#if WINDOW
    seer from_b;
    from_b.begin(b, v, at.column, s.n);
#define LOAD_B(k) from_b.load(v, k, at.end)
#else
    mover<B_DEEP, VB, BN> from_b;
#define LOAD_B(k) from_b.load(b, s.ldb, at.column, s.n, k, at.end)
#endif
    from_a.load(a, s.lda, at.row, s.m, at.begin, at.end);
    LOAD_B(at.begin);
    from_a.store(tile_a[0]);
    from_b.store(tile_b[0]);
    __syncthreads();
    for (int k = at.begin, now = 0; k < at.end; k += BK, now ^= 1) {
        bool more = k + BK < at.end;
        if (more) {
            from_a.load(a, s.lda, at.row, s.m, k + BK, at.end);
            LOAD_B(k + BK);
        }
        multiply_tile(tile_a[now], tile_b[now], sum);
        if (more) {
            from_a.store(tile_a[now ^ 1]);
            from_b.store(tile_b[now ^ 1]);
        }
        __syncthreads();
    }
    tn_start_consumer();

    constexpr int ROWS = BM / (TM / 4), COLUMNS = BN / (TN / 4);
    int row = at.row + threadIdx.x / (BN / TN) * 4,
        column = at.column + threadIdx.x % (BN / TN) * 4;
#pragma unroll
    for (int i = 0; i < TM; i++)
#pragma unroll
        for (int j = 0; j < TN; j += VY)
            leave<VY>(&sum[i][j], row + i / 4 * ROWS + i % 4, column + j / 4 * COLUMNS + j % 4, at,
                      s, batch, c, residual, y, partial);
}
#endif

/* ---- Tensor cores ----------------------------------------------------------------------------*/

#if TENSOR
/* A tile of one operand as it lies in memory: WIDTH lines along k, or BK lines along its width. */
template <bool DEEP, int WIDTH> struct tile {
    static constexpr int LENGTH = DEEP ? BK : WIDTH, LINES = DEEP ? WIDTH : BK;
    static constexpr int LINE = LENGTH + PAD, SIZE = LINES * LINE;
    static constexpr int COUNT = LENGTH / 8 * LINES / THREADS;
    static_assert(LENGTH / 8 * LINES % THREADS == 0, "a tile is a whole number of rounds");

    static __device__ __forceinline__ void load(T *to, const T *from, int64 step, int first,
                                                int width, int k, int depth)
    {
#pragma unroll
        for (int i = 0; i < COUNT; i++) {
            int at = threadIdx.x + i * THREADS, row = at / (LENGTH / 8),
                column = at % (LENGTH / 8) * 8;
            int w = first + (DEEP ? row : column), d = k + (DEEP ? column : row);
            bool inside = w < width && d < depth;
            copy_begin(to + row * LINE + column,
                       inside ? from + (DEEP ? w * step + d : d * step + w) : from, inside);
        }
    }
    /* 16 x 16 elements as four matrices: in ORDER they run along the width first, else along k. */
    template <bool ORDER>
    static __device__ __forceinline__ void read(uint32 *x, const T *from, int w, int k)
    {
        int lane = threadIdx.x % 32, one = lane / 8 % 2 * 8, two = lane / 16 * 8;
        w += ORDER ? one : two;
        k += ORDER ? two : one;
        if constexpr (DEEP) load_matrices<false>(x, from + (w + lane % 8) * LINE + k);
        else load_matrices<true>(x, from + (k + lane % 8) * LINE + w);
    }
};
typedef tile<A_DEEP, BM> left;
typedef tile<B_DEEP, BN> right;

extern "C" __global__ void __launch_bounds__(THREADS)
    product(const T *a, const T *b, const T *c, const T *residual, T *y, S *partial, shape s,
            batches batch, view v)
{
    extern __shared__ __align__(16) uint16 memory[];
    T *tile_a = (T *)memory, *tile_b = tile_a + STAGES * left::SIZE;
    place at = enter(s, batch, &a, &b, &c);
    tn_wait_for_producer();

    float sum[TM / 16][TN / 8][4] = {};
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    int row = warp / (BN / TN) * TM, column = warp % (BN / TN) * TN;
#if WINDOW
    seer from_b;
    from_b.begin(b, v, at.column, s.n);
#endif
#pragma unroll
    for (int i = 0; i < STAGES - 1; i++) {
        int k = at.begin + i * BK;
        left::load(tile_a + i * left::SIZE, a, s.lda, at.row, s.m, k, at.end);
#if WINDOW
        from_b.load(v, k, at.end);
        from_b.store(tile_b + i * right::SIZE);
#else
        right::load(tile_b + i * right::SIZE, b, s.ldb, at.column, s.n, k, at.end);
#endif
        copy_group();
    }
    for (int k = at.begin, now = 0; k < at.end; k += BK, now = now + 1 < STAGES ? now + 1 : 0) {
        int next = now > 0 ? now - 1 : STAGES - 1, ahead = k + (STAGES - 1) * BK;
        copy_wait<STAGES - 2>();
        __syncthreads(); /* this tile is there, and nobody reads the last one any more */
        left::load(tile_a + next * left::SIZE, a, s.lda, at.row, s.m, ahead, at.end);
#if WINDOW
        from_b.load(v, ahead, at.end);
#else
        right::load(tile_b + next * right::SIZE, b, s.ldb, at.column, s.n, ahead, at.end);
#endif
        copy_group();
#pragma unroll
        for (int d = 0; d < BK; d += 16) {
            uint32 x[TM / 16][4], w[TN / 16][4];
#pragma unroll
            for (int i = 0; i < TM / 16; i++)
                left::read<true>(x[i], tile_a + now * left::SIZE, row + i * 16, d);
#pragma unroll
            for (int j = 0; j < TN / 16; j++)
                right::read<false>(w[j], tile_b + now * right::SIZE, column + j * 16, d);
#pragma unroll
            for (int i = 0; i < TM / 16; i++)
#pragma unroll
                for (int j = 0; j < TN / 8; j++)
                    multiply_add(T(), sum[i][j], x[i], &w[j / 2][j % 2 * 2]);
        }
#if WINDOW
        from_b.store(tile_b + next * right::SIZE);
#endif
    }
    tn_start_consumer();

    row += at.row + lane / 4;
    column += at.column + lane % 4 * 2;
#pragma unroll
    for (int i = 0; i < TM / 16; i++)
#pragma unroll
        for (int j = 0; j < TN / 8; j++)
#pragma unroll
            for (int half_row = 0; half_row < 2; half_row++)
#pragma unroll
                for (int n = 0; n < 2; n += VY)
                    leave<VY>(&sum[i][j][half_row * 2 + n], row + i * 16 + half_row * 8,
                              column + j * 8 + n, at, s, batch, c, residual, y, partial);
}
#endif

/* The parts of k together. */
extern "C" __global__ void __launch_bounds__(256)
    join(const T *c, const T *residual, T *y, const S *partial, shape s, batches batch)
{
    int64 each = (int64)s.m * s.n, at = ((int64)blockIdx.x * blockDim.x + threadIdx.x) * VY;
    int64 all = each * batch.count;
    tn_wait_for_producer();
    if (at >= all) return;
    S sum[VY] = {};
    for (int split = 0; split < batch.splits; split++)
#pragma unroll
        for (int j = 0; j < VY; j++) sum[j] += partial[split * all + at + j];
    int index = (int)(at / each), row = (int)(at % each / s.n), column = (int)(at % each % s.n);
    for (int i = batch.rank - 1, rest = index; c && i >= 0; i--) {
        c += rest % batch.dim[i] * batch.c[i];
        rest /= batch.dim[i];
    }
    y += index * s.y_batch;
    if (residual) residual += index * s.y_batch;
    finish(sum, row, column, s, c, residual, y);
}
