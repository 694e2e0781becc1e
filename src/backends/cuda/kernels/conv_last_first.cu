/* First layers: convolutions of an image of few channels, as it came ([N, C, H, W]), by tensor cores.
 *
 * A block makes 2 WARPS rows of 16 pixels of y at a time, 64 channels of each, a warp two rows. The
 * part of x that their windows reach lies in shared memory; k runs over channels, rows of the window
 * and fours of its columns, padded with zero weights. As the stride is even, two neighbours along a
 * row of a window are one aligned word there, so a warp reads its first operand as it stands: words
 * of neighbouring pixels lie in different banks, or are the same. Weights stay for all tiles.
 *
 * TYPE: half or bf16. CHANNELS, KERNEL0, KERNEL1, STRIDE0, STRIDE1: as named. V: elements of y written at
 * once. ACT: the activation. */
#ifndef TYPE
#define TYPE half
#define CHANNELS 3
#define KERNEL0 7
#define KERNEL1 7
#define STRIDE0 2
#define STRIDE1 2
#define V 8
#define ACT 1
#endif
typedef TYPE T;

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
    ONCE = (WIDTH + 31) / 32,  /* elements of a line that a lane brings */
    BATCH = 32 / ONCE,         /* lines that a warp asks for at once */
};
static_assert(STRIDE1 % 2 == 0, "neighbours along a window's row are one word");

struct shape { /* mirrored in conv_last_first.c */
    const T *x, *w, *bias;
    T *y;
    int32 n, tiles;
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

/* What the windows from (h, w) of x on reach: a warp brings every WARPS-th line, many at once. */
static __device__ __forceinline__ void load_part(const shape &s, T *part, int sample, int h, int w)
{
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const T *x = s.x + (int64)sample * CHANNELS * s.in[0] * s.in[1];
#pragma unroll 1
    for (int begin = warp; begin < LINES; begin += BATCH * WARPS) {
        uint16 some[BATCH][ONCE];
#pragma unroll
        for (int j = 0; j < BATCH; j++) {
            int line = begin + j * WARPS, channel = line / HEIGHT, row = h + line % HEIGHT;
            bool there = line < LINES && (unsigned)row < (unsigned)s.in[0];
            const T *from = x + (channel * s.in[0] + row) * s.in[1] + w + lane;
#pragma unroll
            for (int i = 0; i < ONCE; i++) {
                bool inside = there && (unsigned)(w + lane + i * 32) < (unsigned)s.in[1];
                some[j][i] = 0;
                if (inside) some[j][i] = from[i * 32].bits;
            }
        }
#pragma unroll
        for (int j = 0; j < BATCH; j++) {
            int line = begin + j * WARPS;
#pragma unroll
            for (int i = 0; i < ONCE; i++)
                if (line < LINES && lane + i * 32 < WIDTH)
                    part[line * WIDTH + lane + i * 32].bits = some[j][i];
        }
    }
}

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
    for (int i = threadIdx.x; i < BN; i += THREADS)
        bias[i] = s.bias && first + i < s.n ? to_float(s.bias[first + i]) : 0;
    for (int tile = blockIdx.x; tile < s.tiles; tile += gridDim.x) {
        uint32 down, across;
        int sample = (int)divide(divide((uint32)tile, s.tiles_across, &across), s.tiles_down, &down);
        sums sum = {};
        load_part(s, part, sample, (int)down * DOWN * STRIDE0 - s.pad[0],
                  (int)across * ACROSS * STRIDE1 - s.pad[1]);
        copy_wait<0>();
        __syncthreads();
        multiply(part, w, sum);
        __syncthreads(); /* nobody reads the part of x any more */
        write(s, sum, bias, part, sample, (int)down * DOWN, (int)across * ACROSS, first);
        __syncthreads();
    }
}
