/* First layers on 9.0: what conv_last_first.cu makes, by tensor cores that four warps feed from
 * shared memory.
 *
 * The part of x that the windows of a tile reach lies in shared memory by lines; in a line are its
 * pixels with four channels each (zeros for those that x has not), of 16 bits, so that two pixels are
 * 16 bytes. What tensor cores read as one row of eight elements are such pairs; the rows of a matrix
 * are pairs side by side, the windows of neighbours in y, which overlap: nothing is written twice.
 * As windows are STRIDE1 pixels apart, pairs lie in STRIDE1 / 2 planes, by turns, so that those of
 * neighbours follow each other. k runs over rows of the window and fours of its columns, padded
 * with zero weights; one column of them comes first where what x is padded by is odd, as pairs begin
 * at even columns of x.
 *
 * A block makes DOWN rows of 8 pixels of 64 channels at a time: the channels are the rows of the
 * product, so that weights, which stay in shared memory, are read least. The pixels of the next
 * tile are on their way to registers while this one is multiplied.
 *
 * TYPE: half or bf16. XTYPE: of x, that or float. CHANNELS, KERNEL0, KERNEL1, STRIDE0, STRIDE1: as
 * named. SHIFT: x is padded by an odd number of columns. PAIRED: a line of x is whole aligned pairs.
 * V: elements of y written at once, 8 or 1. BLOCKS: how many are to fit a multiprocessor. ACT: the
 * activation. */
#ifndef TYPE
#define TYPE half
#define XTYPE float
#define CHANNELS 3
#define KERNEL0 7
#define KERNEL1 7
#define STRIDE0 2
#define STRIDE1 2
#define SHIFT 1
#define DOWN 14
#define PAIRED 1
#define V 8
#define BLOCKS 4
#define ACT 1
#endif
typedef TYPE T;
typedef XTYPE X;
#define PRODUCT_COLUMNS (8 * DOWN)
#include "group.cuh"

enum {
    THREADS = 128,
    ACROSS = 8,
    PIXELS = ACROSS * DOWN, /* of a tile */
    BM = 64,                /* channels */
    LINE_Y = BM * 2,        /* bytes, as all of these */
    PHASES = STRIDE1 / 2,
    FOURS = (KERNEL1 + SHIFT + 3) / 4, /* of a window's row: steps of the product */
    HEIGHT = (DOWN - 1) * STRIDE0 + KERNEL0,
    PAIRS = ACROSS + (2 * FOURS - 1) / PHASES, /* in a plane of a line */
    PAIR = 16,
    PLANE = PAIRS * PAIR,
    LINE_X = PHASES * PLANE,
    ITEMS = HEIGHT * PHASES * PAIRS, /* pairs in all, */
    EACH = (ITEMS + THREADS - 1) / THREADS, /* of a thread */
    STEP_W = BM * 16 * 2,
    W_BYTES = KERNEL0 * FOURS * STEP_W,
    Y_BYTES = PIXELS * LINE_Y,
};
static_assert(STRIDE1 == 2 || STRIDE1 == 4, "both halves of a step lie one way from each other");
static_assert(DOWN % 2 == 0, "two rows of pixels are written at once");

struct shape { /* mirrored in conv_last_first_group.c */
    const X *x;
    const T *w, *bias;
    T *y;
    int32 n, tiles, backwards; /* from the last tile on */
    int32 in[2], out[2], pad[2];
    divider tiles_across, tiles_down;
    float act_alpha, act_beta;
};

/* ---- Multiplying -------------------------------------------------------------------------------*/

/* Eights of rows of 16 bytes, the eight together; from one to the next along k `beside` bytes, along
 * the other axis `below`. */
static __device__ __forceinline__ uint64 matrix_at(uint32 at, int beside, int below)
{
    return (uint64)(at >> 4 & 0x3fff) | (uint64)(beside >> 4) << 16 | (uint64)(below >> 4) << 32;
}
/* Where pair `j` of a row of the first window begins. */
static __device__ __forceinline__ constexpr int place_of(int j)
{
    return j % PHASES * PLANE + j / PHASES * PAIR;
}
static __device__ __forceinline__ void begin_tile(uint32 w, uint32 x, float (*sum)[4])
{
    settle(sum);
    multiply_begin();
#pragma unroll
    for (int row = 0; row < KERNEL0; row++)
#pragma unroll
        for (int four = 0; four < FOURS; four++) {
            int first = place_of(2 * four), second = place_of(2 * four + 1);
            multiply(T(), sum, matrix_at(w + (row * FOURS + four) * STEP_W, STEP_W / 2, 8 * PAIR),
                     matrix_at(x + row * LINE_X + first, second - first, STRIDE0 * LINE_X));
        }
    multiply_end();
}

/* ---- Bringing ----------------------------------------------------------------------------------*/

static __device__ __forceinline__ void load_weights(const shape &s, char *w)
{
    const char *from = (const char *)s.w + (int64)blockIdx.y * W_BYTES;
    for (int i = threadIdx.x; i < W_BYTES / 16; i += THREADS)
        copy_begin(w + i * 16, from + i * 16, true);
    copy_group();
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
};

/* A thread's pairs of x, as they came. */
struct part {
    pack<X, 2> at[EACH][CHANNELS];

    __device__ __forceinline__ void take(const shape &s, const place &now)
    {
        int first_row = now.down * STRIDE0 - s.pad[0];
        int first_column = now.across * STRIDE1 - s.pad[1] - SHIFT;
        const X *x = s.x + (int64)now.sample * CHANNELS * s.in[0] * s.in[1];
#pragma unroll
        for (int i = 0; i < EACH; i++) {
            int item = (int)threadIdx.x + i * THREADS;
            int row = first_row + item / (PHASES * PAIRS);
            int column = first_column + item % (PHASES * PAIRS) * 2;
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
    __device__ __forceinline__ float channel(int i, int c, int v) const
    {
        return c < CHANNELS ? to_float(at[i][c < CHANNELS ? c : 0].at[v]) : 0;
    }
    __device__ __forceinline__ void put(char *x) const
    {
#pragma unroll
        for (int i = 0; i < EACH; i++) {
            int item = (int)threadIdx.x + i * THREADS;
            pack<uint32, 4> two;
            if (item >= ITEMS) break;
#pragma unroll
            for (int v = 0; v < 2; v++) {
                two.at[v * 2] = pair_of(T(), channel(i, 0, v), channel(i, 1, v));
                two.at[v * 2 + 1] = pair_of(T(), channel(i, 2, v), channel(i, 3, v));
            }
            *(pack<uint32, 4> *)(x + item / (PHASES * PAIRS) * LINE_X +
                                 place_of(item % (PHASES * PAIRS))) = two;
        }
    }
};

/* ---- Writing -----------------------------------------------------------------------------------*/

/* By shared memory, where the channels of a pixel are a line, of which eight threads write 16 bytes
 * each; these parts are exclusive-ored with the line's number. */
static __device__ __forceinline__ void write(const shape &s, float (*sum)[4], const float *bias,
                                             char *tile, const place &now)
{
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32, eight = threadIdx.x % 8;
    int line = lane / 16 * 8 + lane % 8, own = warp * 2 + lane / 8 % 2;
    char *to = tile + line * LINE_Y + (own ^ line % 8) * 16;
#pragma unroll
    for (int j = 0; j < DOWN; j += 2) {
        uint32 four[4];
#pragma unroll
        for (int e = 0; e < 4; e++) {
            const float *two = &sum[j + e / 2][e % 2 * 2];
            four[e] = pair_of(T(),
                              activate_near<ACT>(two[0] + bias[e % 2], s.act_alpha, s.act_beta),
                              activate_near<ACT>(two[1] + bias[e % 2], s.act_alpha, s.act_beta));
        }
        store_turned(to + j * ACROSS * LINE_Y, four);
    }
    __syncthreads();
    int channel = (int)blockIdx.y * BM + eight * 8;
#pragma unroll
    for (int i = 0; i < PIXELS / 16; i++) {
        int pixel = i * 16 + threadIdx.x / 8;
        int row = now.down + pixel / ACROSS, column = now.across + pixel % ACROSS;
        if (row >= s.out[0] || column >= s.out[1] || channel >= s.n) continue;
        T *at = s.y + ((now.sample * s.out[0] + row) * s.out[1] + column) * s.n + channel;
        const T *from = (const T *)(tile + pixel * LINE_Y + (eight ^ pixel % 8) * 16);
#if V == 8
        *(pack<T, V> *)at = *(const pack<T, V> *)from;
#else
        for (int v = 0; v < 8 && channel + v < s.n; v++) at[v] = from[v];
#endif
    }
}

extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS)
    conv_last_first_group(const __grid_constant__ shape s)
{
    extern __shared__ __align__(1024) char memory[];
    char *w = memory, *y = w + W_BYTES, *x = y + Y_BYTES;
    tn_start_consumer();
    load_weights(s, w);
    tn_wait_for_producer();
    place now(s, blockIdx.x);
    part next;
    float bias[2];
    next.take(s, now);
#pragma unroll
    for (int i = 0; i < 2; i++) {
        int channel = (int)blockIdx.y * BM + threadIdx.x / 32 * 16 + threadIdx.x % 32 / 4 + i * 8;
        bias[i] = s.bias && channel < s.n ? to_float(s.bias[channel]) : 0;
    }
    copy_wait<0>();
    for (int tile = blockIdx.x; tile < s.tiles;) {
        float sum[DOWN][4] = {};
        next.put(x);
        show_to_copies();
        __syncthreads();
        begin_tile(shared_address(w), shared_address(x), sum);
        tile += gridDim.x;
        place then(s, tile < s.tiles ? tile : 0);
        if (tile < s.tiles) next.take(s, then);
        multiply_wait<0>();
        settle(sum);
        write(s, sum, bias, y, now);
        now = then;
    }
}
