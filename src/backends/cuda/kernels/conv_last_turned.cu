/* Convolutions by windows that lie side by side, with channels of y as the rows of the product and
 * pixels of x as its columns (9.0), in tiles of as many pixels as share the work out evenly among the
 * multiprocessors. Rows of a product come in 64s, columns in eights.
 *
 *     y[n, m] = activation(sum over k of w[n, k] * x(m, k) + bias[n] + residual[n, m])
 *
 * A tile's columns are pixels of x in a row, with so many zeros between lines and between samples as
 * the taps reach: the windows of a tap are those pixels some further on, and what a tile's windows
 * reach of 64 channels lies in one of two places, once for all taps. What of these columns is no pixel
 * of y is multiplied and thrown away. The weights of one tap and 64 channels are a stage of a ring.
 * GROUPS groups of four warps have PIXELS columns each, and 64 CHANNELS channels all.
 *
 * TYPE: half or bf16. STAGES: of the ring. ACT: the activation. */
#ifndef TYPE
#define TYPE half
#define GROUPS 2
#define PIXELS 104
#define CHANNELS 2
#define STAGES 5
#define RESIDUAL 1
#define ACT 1
#endif
typedef TYPE T;
#define PLACES 2
#define PRODUCT_COLUMNS PIXELS
#include "group.cuh"
#include "conv_group.cuh"
#include "conv_turned.cuh"

enum {
    MULTIPLIERS = 128 * GROUPS,
    THREADS = MULTIPLIERS + 64,  /* with the warps that bring */
    ROWS = GROUPS * PIXELS,      /* places of a tile */
    PLATE = 64 * LINE,           /* weights of 64 channels */
    STAGE = CHANNELS * PLATE,
    Y_BYTES = PIXELS * LINE,     /* of a group's 64 channels */
    TILES_Y = RESIDUAL ? CHANNELS : 1, /* of a group: where the residual comes while products are made */
};

struct barriers { /* by their addresses in shared memory */
    uint32 at;
    __device__ uint32 full(int stage) const { return at + stage * 8; }
    __device__ uint32 empty(int stage) const { return full(STAGES + stage); }
    __device__ uint32 x_full(int place) const { return full(2 * STAGES + place); }
    __device__ uint32 x_empty(int place) const { return x_full(PLACES + place); }
    __device__ void make() const
    {
        for (int i = 0; i < STAGES; i++) {
            barrier_make(full(i), 1);
            barrier_make(empty(i), 4 * GROUPS);
        }
        for (int i = 0; i < PLACES; i++) {
            barrier_make(x_full(i), 1);
            barrier_make(x_empty(i), 4 * GROUPS);
        }
        barrier_made();
    }
};

struct tiles { /* of a block, one by one */
    int tile = blockIdx.x;
    __device__ bool more(const shape &s) const { return tile < s.tiles; }
    __device__ int at(const shape &s) const { return s.backwards ? s.tiles - 1 - tile : tile; }
    __device__ int row(const shape &s) const { return at(s) / s.tiles_n * ROWS; }
    __device__ int column(const shape &s) const { return at(s) % s.tiles_n * 64 * CHANNELS; }
    __device__ void next() { tile += gridDim.x; }
};

static __device__ void bring_weights(const shape &s, const barriers &b, uint32 stages)
{
    turn<STAGES> stage;
    int taps = s.taps[0] * s.taps[1];
    if (!s.weights) tn_wait_for_producer();
    for (tiles now; now.more(s); now.next())
        for (int part = 0; part < s.parts; part++)
            for (int tap = 0; tap < taps; tap++, stage.next()) {
                barrier_wait_block(b.empty(stage.at), stage.parity ^ 1);
                barrier_expect(b.full(stage.at), STAGE);
                copy_box(stages + stage.at * STAGE, s.w, tap * s.channels + part * 64,
                         now.column(s), b.full(stage.at));
            }
}

static __device__ void bring_windows(const shape &s, const barriers &b, uint32 places)
{
    turn<PLACES> place;
    tn_wait_for_producer();
    for (tiles now; now.more(s); now.next()) {
        pixel first(s.out, now.row(s));
        for (int part = 0; part < s.parts; part++, place.next()) {
            uint32 full = b.x_full(place.at);
            barrier_wait_block(b.x_empty(place.at), place.parity ^ 1);
            barrier_expect(full, s.place_bytes);
            copy_windows(places + place.at * s.place_bytes, s.x, part * 64, first.w - s.pad[1],
                         first.h - s.pad[0], first.n, 0, 0, full);
        }
    }
}

/* 64 channels of x and one tap. */
static __device__ __forceinline__ void begin_tap(uint32 w_at, uint32 x_at, float (*sum)[EIGHTS][4])
{
    uint64 x = matrix_at(x_at);
#pragma unroll
    for (int c = 0; c < CHANNELS; c++) settle(sum[c]);
    multiply_begin();
#pragma unroll
    for (int d = 0; d < 4; d++)
#pragma unroll
        for (int c = 0; c < CHANNELS; c++)
            multiply(T(), sum[c], matrix_at(w_at + c * PLATE) + d * 2, x + d * 2);
    multiply_end();
}

struct rings {
    turn<STAGES> stage;
    turn<PLACES> x;
};

static __device__ __forceinline__ void add_up(const shape &s, const barriers &b, uint32 x_at,
                                              uint32 stages, rings *at, float (*sum)[EIGHTS][4])
{
    uint32 done = 0, x_done = 0; /* what is being read */
    x_at += threadIdx.x / 128 * PIXELS * LINE;
    for (int part = 0; part < s.parts; part++, at->x.next()) {
        uint32 row = x_at + at->x.at * s.place_bytes;
        barrier_wait_block(b.x_full(at->x.at), at->x.parity);
        for (int h = 0; h < s.taps[0]; h++, row += s.tap_bytes[0]) {
            uint32 from = row;
            for (int w = 0; w < s.taps[1]; w++, from += s.tap_bytes[1], at->stage.next()) {
                int stage = at->stage.at;
                barrier_wait_block(b.full(stage), at->stage.parity);
                begin_tap(stages + stage * STAGE, from, sum);
                multiply_wait<1>();
                if (done) give_back(done);
                if (x_done) give_back(x_done);
                done = b.empty(stage);
                x_done = 0;
            }
        }
        x_done = b.x_empty(at->x.at);
    }
    multiply_wait<0>();
    give_back(done);
    give_back(x_done);
#pragma unroll
    for (int c = 0; c < CHANNELS; c++) settle(sum[c]);
}

static __device__ __forceinline__ void multiply_all(const shape &s, const barriers &b, uint32 x,
                                                    uint32 stages, char *y)
{
    int group = threadIdx.x / 128;
    rings at;
    y += group * TILES_Y * Y_BYTES;
    tn_wait_for_producer();
    for (tiles now; now.more(s); now.next()) {
        float sum[CHANNELS][EIGHTS][4] = {}, bias[CHANNELS][2];
        int first = now.row(s) + group * PIXELS;
#pragma unroll
        for (int c = 0; RESIDUAL && c < CHANNELS; c++)
            bring_residual(s, y + c * Y_BYTES, first, now.column(s) + c * 64);
        int own = now.column(s) + threadIdx.x % 128 / 32 * 16 + threadIdx.x % 32 / 4;
#pragma unroll
        for (int c = 0; c < CHANNELS; c++)
#pragma unroll
            for (int i = 0; i < 2; i++) {
                int channel = own + c * 64 + i * 8;
                bias[c][i] = s.bias && channel < s.n ? to_float(s.bias[channel]) : 0;
            }
        add_up(s, b, x, stages, &at, sum);
        if (RESIDUAL) residual_there();
#pragma unroll
        for (int c = 0; c < CHANNELS; c++)
            write_turned(s, sum[c], bias[c], y + c % TILES_Y * Y_BYTES, first,
                         now.column(s) + c * 64);
    }
}

extern "C" __global__ void __launch_bounds__(THREADS, 1)
    conv_last_turned(const __grid_constant__ shape s)
{
    extern __shared__ __align__(1024) char memory[];
    uint32 x_at = shared_address(memory) + STAGES * STAGE;
    char *y = memory + STAGES * STAGE + PLACES * s.place_bytes;
    barriers b = {shared_address(y + GROUPS * TILES_Y * Y_BYTES)};
    tn_start_consumer();
    if (threadIdx.x == 0) b.make();
    if (threadIdx.x == MULTIPLIERS) {
        map_ahead(s.w);
        map_ahead(s.x);
    }
    __syncthreads();
    if (threadIdx.x < MULTIPLIERS) multiply_all(s, b, x_at, shared_address(memory), y);
    if (threadIdx.x == MULTIPLIERS) bring_weights(s, b, shared_address(memory));
    if (threadIdx.x == MULTIPLIERS + 32) bring_windows(s, b, x_at);
}
