/* First layers on 9.0: what conv_last_first.cu makes, by products of groups of four warps, and the
 * pooling behind them.
 *
 * A block makes DOWN rows of 16 pixels of 64 channels at a time, a warp ROWS of these rows. The part of
 * x that their windows reach lies in shared memory as there, k runs over channels, rows of the window and
 * fours of its columns, padded with zero weights, and a warp reads its first operand to registers as
 * it stands. Weights are the second operand, swizzled as tensor cores want them, and stay for all
 * tiles. x comes in pairs from even columns on: a column of zeros goes first where what it is padded
 * by is odd. The pairs of the next tile are on their way to registers while this one is multiplied.
 *
 * POOL0, POOL1, POOL_STRIDE0, POOL_STRIDE1: y is the largest of each window of so many pixels of the
 * layer. Tiles are then as many whole windows as find room, and what lies between two of them is
 * made twice. Zeros: y is the layer.
 *
 * TYPE: half or bf16. XTYPE: of x, that or float. CHANNELS, KERNEL0, KERNEL1, STRIDE0, STRIDE1: as
 * named. SHIFT: x is padded by an odd number of columns. GROUPS: of four warps. PAIRED: a line of x is
 * whole aligned pairs. V: elements of y written at once, 8 or 1. BLOCKS: how many are to fit a
 * multiprocessor. ACT: the activation. */
#ifndef TYPE
#define TYPE half
#define XTYPE float
#define CHANNELS 3
#define KERNEL0 7
#define KERNEL1 7
#define STRIDE0 2
#define STRIDE1 2
#define SHIFT 1
#define GROUPS 1
#define ROWS 2
#define POOL0 0
#define POOL1 0
#define POOL_STRIDE0 1
#define POOL_STRIDE1 1
#define PAIRED 1
#define V 8
#define BLOCKS 3
#define ACT 1
#endif
typedef TYPE T;
typedef XTYPE X;
#define PRODUCT_COLUMNS 64
#include "group.cuh"
#include "larger.cuh"

enum {
    THREADS = 128 * GROUPS,
    ACROSS = 16,
    DOWN = 4 * GROUPS * ROWS, /* pixels of a tile */
    BM = 64,                  /* channels */
    LINE_Y = BM * 2,          /* bytes */
    FOURS = (KERNEL1 + SHIFT + 3) / 4, /* of a window's row */
    QUADS = CHANNELS * KERNEL0 * FOURS,
    STEPS = (QUADS + 3) / 4,
    HEIGHT = (DOWN - 1) * STRIDE0 + KERNEL0,
    WIDTH = (ACROSS - 1) * STRIDE1 + FOURS * 4,
    PAIRS = WIDTH / 2,
    ITEMS = HEIGHT * PAIRS,
    EACH = (ITEMS + THREADS - 1) / THREADS, /* of a thread */
    PART = CHANNELS * HEIGHT * WIDTH,       /* elements */
    STEP_W = BM * 128,                      /* bytes of four steps */
    W_BYTES = (STEPS + 3) / 4 * STEP_W,
    Y_BYTES = DOWN * ACROSS * LINE_Y,
    WINDOWS_DOWN = POOL0 ? (DOWN - POOL0) / POOL_STRIDE0 + 1 : DOWN, /* of a tile */
    WINDOWS_ACROSS = POOL1 ? (ACROSS - POOL1) / POOL_STRIDE1 + 1 : ACROSS,
};
static_assert(STRIDE1 % 2 == 0, "neighbours along a window's row are one word");

struct shape { /* mirrored in conv_last_first_group.c */
    const X *x;
    const T *w, *bias;
    T *y;
    int32 n, tiles, backwards; /* from the last tile on */
    int32 in[2], size[2], out[2], pad[2], pool_pad[2]; /* size: of the layer */
    divider tiles_across, tiles_down;
    float act_alpha, act_beta;
};

/* ---- Multiplying -------------------------------------------------------------------------------*/

/* From a window's corner to four of its elements. */
static __device__ __forceinline__ constexpr int place_of(int quad)
{
    int line = quad / FOURS, channel = line / KERNEL0;
    if (quad >= QUADS) return 0; /* under zero weights */
    return (channel * HEIGHT + line % KERNEL0) * WIDTH + quad % FOURS * 4;
}

struct sums {
    float at[ROWS][BM / 8][4];
};

/* 16 pixels of each of a warp's rows, of one step. */
static __device__ __forceinline__ void load_step(const T *part, int step, uint32 (*a)[4])
{
    bool second = threadIdx.x % 4 / 2; /* of the two fours that a chunk of eight is */
#pragma unroll
    for (int i = 0; i < ROWS; i++)
#pragma unroll
        for (int e = 0; e < 4; e++) {
            int quad = 4 * step + e / 2 * 2, low = place_of(quad), high = place_of(quad + 1);
            const T *at = part + low + (second ? high - low : 0);
            a[i][e] = *(const uint32 *)(at + i * STRIDE0 * WIDTH + e % 2 * 8 * STRIDE1);
        }
}

/* While one step is multiplied the next is read; the last ones are still under way. */
static __device__ __forceinline__ void begin_tile(const T *part, uint32 w, sums &sum)
{
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    uint32 a[2][ROWS][4];
    part += warp * ROWS * STRIDE0 * WIDTH + lane / 4 * STRIDE1 + lane % 2 * 2;
#pragma unroll
    for (int step = 0; step < STEPS; step++) {
        if (step > 1) warpgroup_wait<1>();
        load_step(part, step, a[step % 2]);
        uint64 tile = warpgroup_tile<128>(w + step / 4 * STEP_W) + step % 4 * 2;
#pragma unroll
        for (int i = 0; i < ROWS; i++) warpgroup_hold<BM>(sum.at[i]);
        warpgroup_begin();
#pragma unroll
        for (int i = 0; i < ROWS; i++)
            warpgroup_multiply<BM, false>(T(), sum.at[i], a[step % 2][i], tile, true);
        warpgroup_commit();
    }
}

/* ---- Bringing ----------------------------------------------------------------------------------*/

static __device__ __forceinline__ void load_weights(const shape &s, char *w)
{
    const char *from = (const char *)s.w + (int64)blockIdx.y * W_BYTES;
    for (int i = threadIdx.x; i < W_BYTES / 16; i += THREADS)
        copy_begin(w + i * 16, from + i * 16, true);
    copy_group();
}

/* Where a tile lies in y, and where its first pixel lies in the layer. */
struct place {
    int sample, down, across, row, column;
    __device__ place(const shape &s, int tile)
    {
        uint32 h, w;
        if (s.backwards) tile = s.tiles - 1 - tile;
        sample = (int)divide(divide((uint32)tile, s.tiles_across, &w), s.tiles_down, &h);
        down = (int)h * WINDOWS_DOWN;
        across = (int)w * WINDOWS_ACROSS;
        row = POOL0 ? down * POOL_STRIDE0 - s.pool_pad[0] : down;
        column = POOL1 ? across * POOL_STRIDE1 - s.pool_pad[1] : across;
    }
};

/* A thread's pairs of x, as they came. */
struct part {
    pack<X, 2> at[EACH][CHANNELS];

    __device__ __forceinline__ void take(const shape &s, const place &now)
    {
        int first_row = now.row * STRIDE0 - s.pad[0];
        int first_column = now.column * STRIDE1 - s.pad[1] - SHIFT;
        const X *x = s.x + (int64)now.sample * CHANNELS * s.in[0] * s.in[1];
#pragma unroll
        for (int i = 0; i < EACH; i++) {
            int item = (int)threadIdx.x + i * THREADS;
            int row = first_row + item / PAIRS;
            int column = first_column + item % PAIRS * 2;
            bool there = item < ITEMS && (unsigned)row < (unsigned)s.in[0];
#pragma unroll
            for (int c = 0; c < CHANNELS; c++) {
                const X *from = x + (c * s.in[0] + row) * s.in[1] + column;
                at[i][c] = {};
#if PAIRED
                if (there && (unsigned)column < (unsigned)s.in[1])
                    at[i][c] = *(const pack<X, 2> *)from;
#else
#pragma unroll
                for (int v = 0; v < 2; v++)
                    if (there && (unsigned)(column + v) < (unsigned)s.in[1])
                        at[i][c].at[v] = from[v];
#endif
            }
        }
    }
    __device__ __forceinline__ void put(T *x) const
    {
#pragma unroll
        for (int i = 0; i < EACH; i++) {
            int item = (int)threadIdx.x + i * THREADS;
            if (item >= ITEMS) break;
#pragma unroll
            for (int c = 0; c < CHANNELS; c++)
                *(uint32 *)(x + c * HEIGHT * WIDTH + item * 2) =
                    pair_of(T(), to_float(at[i][c].at[0]), to_float(at[i][c].at[1]));
        }
    }
};

/* ---- Writing -----------------------------------------------------------------------------------*/

/* Four 8x8 matrices of 16-bit elements, as load_matrices reads them. */
static __device__ __forceinline__ void store_matrices(void *to, const uint32 *x)
{
    hopper_asm("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(
                   shared_address(to)),
               "r"(x[0]), "r"(x[1]), "r"(x[2]), "r"(x[3])
               : "memory");
}

/* To a tile in shared memory, where the channels of a pixel are a line, whose eight parts of 16 bytes are
 * exclusive-ored with the line's number. What is no pixel of the layer is less than anything. */
static __device__ __forceinline__ void store(const shape &s, const sums &sum, const float *bias,
                                             char *tile, const place &now)
{
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32, own = lane / 16;
    tile += (warp * ROWS * ACROSS + lane % 16) * LINE_Y;
#pragma unroll
    for (int i = 0; i < ROWS; i++)
#pragma unroll
        for (int j = 0; j < BM / 8; j += 2) {
            bool there = (unsigned)(now.row + warp * ROWS + i) < (unsigned)s.size[0];
            uint32 four[4];
#pragma unroll
            for (int e = 0; e < 4; e++) {
                const float *two = &sum.at[i][j + e / 2][e % 2 * 2];
                int column = now.column + lane / 4 + e % 2 * 8, from = (j + e / 2) * 8 + lane % 4 * 2;
                float y[2];
#pragma unroll
                for (int v = 0; v < 2; v++) {
                    y[v] = activate_near<ACT>(two[v] + bias[from + v], s.act_alpha, s.act_beta);
                    if (POOL0 && !(there && (unsigned)column < (unsigned)s.size[1]))
                        y[v] = -__int_as_float(0x7f800000);
                }
                four[e] = pair_of(T(), y[0], y[1]);
            }
            store_matrices(tile + i * ACROSS * LINE_Y + ((j + own) ^ lane % 8) * 16, four);
        }
}

/* 16 bytes of a line. */
static __device__ __forceinline__ pack<uint32, 4> part_of(const char *tile, int line, int eight)
{
    return *(const pack<uint32, 4> *)(tile + line * LINE_Y + (eight ^ line % 8) * 16);
}

/* Eight channels of a pixel of y at a time, all 64 by neighbours. */
static __device__ __forceinline__ void write(const shape &s, const char *tile, const place &now)
{
    int eight = threadIdx.x % 8, channel = (int)blockIdx.y * BM + eight * 8;
#pragma unroll
    for (int i = threadIdx.x / 8; i < WINDOWS_DOWN * WINDOWS_ACROSS; i += THREADS / 8) {
        int down = i / WINDOWS_ACROSS, across = i % WINDOWS_ACROSS;
        int row = now.down + down, column = now.across + across;
        if (row >= s.out[0] || column >= s.out[1] || channel >= s.n) continue;
        T *at = s.y + ((now.sample * s.out[0] + row) * s.out[1] + column) * s.n + channel;
#if POOL0
        int line = down * POOL_STRIDE0 * ACROSS + across * POOL_STRIDE1;
        pack<uint32, 4> y = part_of(tile, line, eight);
#pragma unroll
        for (int tap = 1; tap < POOL0 * POOL1; tap++) {
            pack<uint32, 4> more = part_of(tile, line + tap / POOL1 * ACROSS + tap % POOL1, eight);
#pragma unroll
            for (int v = 0; v < 4; v++) y.at[v] = larger_of(T(), y.at[v], more.at[v]);
        }
#else
        pack<uint32, 4> y = part_of(tile, i, eight);
#endif
#if V == 8
        *(pack<uint32, 4> *)at = y;
#else
#pragma unroll
        for (int v = 0; v < 8; v++)
            if (channel + v < s.n) at[v].bits = (uint16)(y.at[v / 2] >> v % 2 * 16);
#endif
    }
}

extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS)
    conv_last_first_group(const __grid_constant__ shape s)
{
    extern __shared__ __align__(1024) char memory[];
    char *w = memory, *y = w + W_BYTES;
    float *bias = (float *)(y + Y_BYTES);
    T *x = (T *)(bias + BM);
    tn_start_consumer();
    load_weights(s, w);
    tn_wait_for_producer();
    place now(s, blockIdx.x);
    part next;
    next.take(s, now);
    for (int i = threadIdx.x; i < BM; i += THREADS) {
        int channel = (int)blockIdx.y * BM + i;
        bias[i] = s.bias && channel < s.n ? to_float(s.bias[channel]) : 0;
    }
    copy_wait<0>();
    show_to_copies();
    for (int tile = blockIdx.x; tile < s.tiles;) {
        sums sum = {};
        next.put(x);
        __syncthreads();
        begin_tile(x, shared_address(w), sum);
        tile += gridDim.x;
        place then(s, tile < s.tiles ? tile : 0);
        if (tile < s.tiles) next.take(s, then);
        warpgroup_wait<0>();
#pragma unroll
        for (int i = 0; i < ROWS; i++) warpgroup_hold<BM>(sum.at[i]);
        store(s, sum, bias, y, now);
        __syncthreads();
        write(s, y, now);
        now = then;
    }
}
