/* First layers: convolutions of an image of few channels, as it came ([N, C, H, W]), by tensor cores.
 *
 * A block makes 2 WARPS rows of 16 pixels of y at a time, 64 channels of each, a warp two rows. The
 * part of x that their windows reach lies in shared memory; k runs over channels, rows of the window
 * and fours of its columns, padded with zero weights. As the stride is even, two neighbours along a
 * row of a window are one aligned word there, so a warp reads its first operand as it stands: words
 * of neighbouring pixels lie in different banks, or are the same. Weights stay for all tiles.
 *
 * TYPE: half or bf16. XTYPE: of x, that or float. AHEAD: the part of x for the next tile is on its way, as
 * floats that are rounded when their turn comes, while this one is made. CHANNELS, KERNEL0, KERNEL1, STRIDE0,
 * STRIDE1: as named. V: elements of y written at once. ACT: the activation. */
#ifndef TYPE
#define TYPE half
#define XTYPE float
#define AHEAD 1
#define CHANNELS 3
#define KERNEL0 7
#define KERNEL1 7
#define STRIDE0 2
#define STRIDE1 2
#define V 8
#define ACT 1
#endif
typedef TYPE T;
typedef XTYPE X;

enum {
    WARPS = 4,
    THREADS = WARPS * 32,
    DOWN = 2 * WARPS, /* pixels of a tile */
    ACROSS = 16,
    BN = 64,
    FOURS = (KERNEL1 + 3) / 4, /* of a window's row */
    QUADS = CHANNELS * KERNEL0 * FOURS,
    STEPS = (QUADS + 3) / 4,
    W_LINE = STEPS * 16 + 8, /* elements; eight lines meet in no bank */
    HEIGHT = (DOWN - 1) * STRIDE0 + KERNEL0,
    WIDTH = (ACROSS - 1) * STRIDE1 + FOURS * 4,
    Y_LINE = BN + 8,
    LINES = CHANNELS * HEIGHT, /* of a part of x */
    PART_X = (LINES * WIDTH + 3) / 4 * 4,
    PART = PART_X > THREADS * Y_LINE ? PART_X : THREADS * Y_LINE, /* or y's tile */
    ONCE = (WIDTH + 31) / 32,  /* elements of a line that a lane brings */
    BATCH = 32 / ONCE,         /* lines that a warp asks for at once */
};
static_assert(STRIDE1 % 2 == 0, "neighbours along a window's row are one word");

struct shape { /* mirrored in conv_last_first.c */
    const X *x;
    const T *w, *bias;
    T *y;
    int32 n, tiles, backwards; /* from the last tile on */
    int32 in[2], out[2], pad[2];
    divider tiles_across, tiles_down;
    float act_alpha, act_beta;
};

static __device__ __forceinline__ void load_weights(const shape &s, T *w, int first)
{
    for (int i = threadIdx.x; i < BN * W_LINE / 8; i += THREADS) {
        bool there = first + i / (W_LINE / 8) < s.n;
        const T *from = s.w + (int64)first * W_LINE + i * 8;
        copy_begin(w + i * 8, there ? from : s.w, there);
    }
    copy_group();
}

/* As it is, or rounded. */
static __device__ __forceinline__ void take_as(T from, T *to) { *to = from; }
template <class E> static __device__ __forceinline__ void take_as(E from, T *to)
{
    from_float(to_float(from), to);
}

/* What the windows from (h, w) of x on reach: a warp brings every WARPS-th line, many at once. */
static __device__ __forceinline__ void load_part(const shape &s, T *part, int sample, int h, int w)
{
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const X *x = s.x + (int64)sample * CHANNELS * s.in[0] * s.in[1];
#pragma unroll 1
    for (int begin = warp; begin < LINES; begin += BATCH * WARPS) {
        X some[BATCH][ONCE];
#pragma unroll
        for (int j = 0; j < BATCH; j++) {
            int line = begin + j * WARPS, channel = line / HEIGHT, row = h + line % HEIGHT;
            bool there = line < LINES && (unsigned)row < (unsigned)s.in[0];
            const X *from = x + (channel * s.in[0] + row) * s.in[1] + w + lane;
#pragma unroll
            for (int i = 0; i < ONCE; i++) {
                bool inside = there && (unsigned)(w + lane + i * 32) < (unsigned)s.in[1];
                some[j][i] = {};
                if (inside) some[j][i] = from[i * 32];
            }
        }
#pragma unroll
        for (int j = 0; j < BATCH; j++) {
            int line = begin + j * WARPS;
#pragma unroll
            for (int i = 0; i < ONCE; i++)
                if (line < LINES && lane + i * 32 < WIDTH)
                    take_as(some[j][i], &part[line * WIDTH + lane + i * 32]);
        }
    }
}

#if AHEAD
static_assert(sizeof(X) == 4, "a copy is four bytes");
static __device__ __forceinline__ void begin_part(const shape &s, X *raw, int sample, int h, int w)
{
    const X *x = s.x + (int64)sample * CHANNELS * s.in[0] * s.in[1];
    for (int line = threadIdx.x / 32; line < LINES; line += WARPS) {
        int row = h + line % HEIGHT;
        bool there = (unsigned)row < (unsigned)s.in[0];
        const X *from = x + (line / HEIGHT * s.in[0] + row) * s.in[1] + w;
#pragma unroll
        for (int i = 0; i < ONCE; i++) {
            int at = i * 32 + threadIdx.x % 32;
            bool inside = there && (unsigned)(w + at) < (unsigned)s.in[1];
            if (inside && at < WIDTH) copy_float(raw + line * WIDTH + at, from + at);
            else if (at < WIDTH) raw[line * WIDTH + at] = 0;
        }
    }
    copy_group();
}

static __device__ __forceinline__ void round_part(const X *raw, T *part)
{
    static_assert(WIDTH % 2 == 0, "in pairs");
    for (int i = threadIdx.x; i < LINES * WIDTH / 2; i += THREADS) {
        pack<X, 2> two = *(const pack<X, 2> *)(raw + i * 2);
        *(uint32 *)(part + i * 2) = pair_of(T(), two.at[0], two.at[1]);
    }
}
#endif

/* From a window's corner to four of its elements. */
static __device__ __forceinline__ constexpr int place_of(int quad)
{
    int line = quad / FOURS, channel = line / KERNEL0;
    if (quad >= QUADS) return 0; /* under zero weights */
    return (channel * HEIGHT + line % KERNEL0) * WIDTH + quad % FOURS * 4;
}

struct sums {
    float at[2][BN / 8][4];
};

static __device__ __forceinline__ void multiply(const T *part, const T *w, sums &sum)
{
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32, matrix = lane / 8;
    bool second = lane % 4 / 2; /* of the two fours that a chunk of eight is */
    part += warp * 2 * STRIDE0 * WIDTH + lane / 4 * STRIDE1 + lane % 2 * 2;
    w += (matrix / 2 * 8 + lane % 8) * W_LINE + matrix % 2 * 8;
#pragma unroll
    for (int step = 0; step < STEPS; step++) {
        uint32 a[2][4], b[BN / 16][4];
#pragma unroll
        for (int i = 0; i < 2; i++)
#pragma unroll
            for (int e = 0; e < 4; e++) {
                int quad = 4 * step + e / 2 * 2, low = place_of(quad), high = place_of(quad + 1);
                const T *at = part + low + (second ? high - low : 0);
                a[i][e] = *(const uint32 *)(at + i * STRIDE0 * WIDTH + e % 2 * 8 * STRIDE1);
            }
#pragma unroll
        for (int j = 0; j < BN / 16; j++) load_matrices<false>(b[j], w + j * 16 * W_LINE + step * 16);
#pragma unroll
        for (int i = 0; i < 2; i++)
#pragma unroll
            for (int j = 0; j < BN / 8; j++)
                multiply_add(T(), sum.at[i][j], a[i], &b[j / 2][j % 2 * 2]);
    }
}

/* A warp's 32 pixels go by shared memory, where its lanes find neighbours to write. */
static __device__ __forceinline__ void write(const shape &s, const sums &sum, const float *bias,
                                             T *tile, int sample, int down, int across, int first)
{
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    tile += warp * 32 * Y_LINE;
#pragma unroll
    for (int j = 0; j < BN / 8; j++) {
        int column = j * 8 + lane % 4 * 2;
#pragma unroll
        for (int i = 0; i < 2; i++)
#pragma unroll
            for (int half_row = 0; half_row < 2; half_row++) {
                const float *two = sum.at[i][j] + half_row * 2;
                float y[2];
#pragma unroll
                for (int v = 0; v < 2; v++)
                    y[v] = activate_near<ACT>(two[v] + bias[column + v], s.act_alpha, s.act_beta);
                *(uint32 *)(tile + (i * 16 + half_row * 8 + lane / 4) * Y_LINE + column) =
                    pair_of(T(), y[0], y[1]);
            }
    }
    __syncwarp();
    constexpr int EACH = BN / V;
#pragma unroll 8
    for (int i = lane; i < 32 * EACH; i += 32) {
        int pixel = i / EACH, column = i % EACH * V;
        int row = down + warp * 2 + pixel / 16, at = across + pixel % 16;
        if (row >= s.out[0] || at >= s.out[1] || first + column >= s.n) continue;
        int to = ((sample * s.out[0] + row) * s.out[1] + at) * s.n + first + column;
        *(pack<T, V> *)(s.y + to) = *(const pack<T, V> *)(tile + pixel * Y_LINE + column);
    }
}

/* Where a tile of y lies. */
struct place {
    int sample, down, across;
    __device__ place(const shape &s, int tile)
    {
        uint32 h, w;
        if (s.backwards) tile = s.tiles - 1 - tile;
        sample = (int)divide(divide((uint32)tile, s.tiles_across, &w), s.tiles_down, &h);
        down = (int)h * DOWN;
        across = (int)w * ACROSS;
    }
    __device__ int row(const shape &s) const { return down * STRIDE0 - s.pad[0]; } /* of x */
    __device__ int column(const shape &s) const { return across * STRIDE1 - s.pad[1]; }
};

extern "C" __global__ void __launch_bounds__(THREADS, 4)
    conv_last_first(const __grid_constant__ shape s)
{
    extern __shared__ __align__(128) char memory[];
    __shared__ float bias[BN];
    T *w = (T *)memory, *part = w + BN * W_LINE; /* and y's tile after it */
    int first = blockIdx.y * BN;
    tn_start_consumer();
    load_weights(s, w, first);
    tn_wait_for_producer();
#if AHEAD
    X *raw = (X *)(part + PART);
    place begin(s, blockIdx.x);
    begin_part(s, raw, begin.sample, begin.row(s), begin.column(s));
#endif
    for (int i = threadIdx.x; i < BN; i += THREADS)
        bias[i] = s.bias && first + i < s.n ? to_float(s.bias[first + i]) : 0;
    for (int tile = blockIdx.x; tile < s.tiles; tile += gridDim.x) {
        place now(s, tile);
        sums sum = {};
#if AHEAD
        copy_wait<0>();
        __syncthreads();
        round_part(raw, part);
        __syncthreads();
        place next(s, tile + gridDim.x);
        if (tile + gridDim.x < s.tiles)
            begin_part(s, raw, next.sample, next.row(s), next.column(s));
#else
        load_part(s, part, now.sample, now.row(s), now.column(s));
        copy_wait<0>();
        __syncthreads();
#endif
        multiply(part, w, sum);
        __syncthreads(); /* nobody reads the part of x any more */
        write(s, sum, bias, part, now.sample, now.down, now.across, first);
        __syncthreads();
    }
}
