/* Convolutions of 64 channels to as many at most by windows that lie side by side (9.0): what
 * conv_last_turned.cu makes, for so few channels that its tensor cores would wait for shared memory.
 * Here the weights of all taps stay in registers, as first operands, and shared memory is read for x
 * alone.
 *
 *     y[n, m] = activation(sum over k of w[n, k] * x(m, k) + bias[n] + residual[n, m])
 *
 * GROUPS groups of four warps have tiles of their own, by turns: while one writes, another
 * multiplies. A warp brings what the windows of a tile reach, for all taps, into one of its group's
 * two places. Rows of tiles are places of x, some of which are no pixel of y, as there.
 *
 * TYPE: half or bf16. TAPS: how many columns of them and how many in all. ACT: the activation. */
#ifndef TYPE
#define TYPE half
#define GROUPS 2
#define PIXELS 104
#define TAPS_ACROSS 3
#define TAPS 9
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
    THREADS = MULTIPLIERS + 128, /* with those that bring, of which one does */
    W_BYTES = 64 * LINE,        /* of a tap */
    Y_BYTES = PIXELS * LINE,
};

struct barriers { /* by their addresses in shared memory */
    uint32 at;
    __device__ uint32 weights() const { return at; }
    __device__ uint32 full(int group, int place) const { return at + 8 + (group * PLACES + place) * 8; }
    __device__ uint32 empty(int group, int place) const { return full(GROUPS + group, place); }
    __device__ void make() const
    {
        barrier_make(weights(), 1);
        for (int g = 0; g < GROUPS; g++)
            for (int p = 0; p < PLACES; p++) {
                barrier_make(full(g, p), 1);
                barrier_make(empty(g, p), 4);
            }
        barrier_made();
    }
};

/* The tiles of a group, one by one; those of all groups have their turns at the same time. */
struct tiles {
    int tile;
    turn<PLACES> place;
    __device__ tiles(int group) : tile(blockIdx.x * GROUPS + group) {}
    __device__ bool more(const shape &s) const { return tile < s.tiles; }
    __device__ int row(const shape &s) const
    {
        return (s.backwards ? s.tiles - 1 - tile : tile) * PIXELS;
    }
    __device__ void next()
    {
        tile += gridDim.x * GROUPS;
        place.next();
    }
};

static __device__ void bring(const shape &s, const barriers &b, uint32 w, uint32 x)
{
    if (!s.weights) tn_wait_for_producer();
    barrier_expect(b.weights(), TAPS * W_BYTES);
    for (int tap = 0; tap < TAPS; tap++)
        copy_box(w + tap * W_BYTES, s.w, tap * s.channels, 0, b.weights());
    tn_wait_for_producer();
    for (tiles all(0); all.more(s); all.next())
#pragma unroll
        for (int g = 0; g < GROUPS; g++) {
            tiles now = all;
            now.tile += g;
            if (!now.more(s)) break;
            pixel first(s.out, now.row(s));
            uint32 full = b.full(g, now.place.at);
            barrier_wait_block(b.empty(g, now.place.at), now.place.parity ^ 1);
            barrier_expect(full, s.place_bytes);
            copy_windows(x + (g * PLACES + now.place.at) * s.place_bytes, s.x, 0,
                         first.w - s.pad[1], first.h - s.pad[0], first.n, 0, 0, full);
        }
}

struct weights {
    uint32 at[TAPS][4][4];
    __device__ __forceinline__ void take(const char *w)
    {
        int row = threadIdx.x % 128 / 32 * 16 + threadIdx.x % 16, half = threadIdx.x % 32 / 16;
#pragma unroll
        for (int tap = 0; tap < TAPS; tap++)
#pragma unroll
            for (int step = 0; step < 4; step++)
                load_matrices<false>(at[tap][step], w + tap * W_BYTES + row * LINE +
                                                        ((step * 2 + half) ^ row % 8) * 16);
    }
};

static __device__ __forceinline__ void add_up(const shape &s, const weights &w, uint32 x,
                                              float (*sum)[4])
{
    settle(sum);
    multiply_begin();
#pragma unroll
    for (int tap = 0; tap < TAPS; tap++) {
        uint64 from = matrix_at(x + tap / TAPS_ACROSS * s.tap_bytes[0] +
                                tap % TAPS_ACROSS * s.tap_bytes[1]);
#pragma unroll
        for (int step = 0; step < 4; step++) multiply_by(T(), sum, w.at[tap][step], from + step * 2);
    }
    multiply_end();
    multiply_wait<0>();
    settle(sum);
}

static __device__ __forceinline__ void multiply_all(const shape &s, const barriers &b, const char *w_at,
                                                    const char *x, char *y, int group)
{
    float bias[2];
    weights w;
    tn_wait_for_producer();
#pragma unroll
    for (int i = 0; i < 2; i++) {
        int channel = threadIdx.x % 128 / 32 * 16 + threadIdx.x % 32 / 4 + i * 8;
        bias[i] = s.bias && channel < s.n ? to_float(s.bias[channel]) : 0;
    }
    barrier_wait_block(b.weights(), 0);
    w.take(w_at);
    for (tiles now(group); now.more(s); now.next()) {
        float sum[EIGHTS][4] = {};
        if (RESIDUAL) bring_residual(s, y, now.row(s), 0);
        barrier_wait_block(b.full(group, now.place.at), now.place.parity);
        add_up(s, w, shared_address(x) + (group * PLACES + now.place.at) * s.place_bytes, sum);
        give_back(b.empty(group, now.place.at));
        if (RESIDUAL) residual_there();
        write_turned(s, sum, bias, y, now.row(s), 0);
    }
}

extern "C" __global__ void __launch_bounds__(THREADS, 1)
    conv_last_narrow(const __grid_constant__ shape s)
{
    extern __shared__ __align__(1024) char memory[];
    int group = threadIdx.x / 128;
    char *x = memory + TAPS * W_BYTES;
    char *y = x + GROUPS * PLACES * s.place_bytes;
    barriers b = {shared_address(y + GROUPS * Y_BYTES)};
    tn_start_consumer();
    if (threadIdx.x == 0) b.make();
    if (threadIdx.x == MULTIPLIERS) {
        map_ahead(s.w);
        map_ahead(s.x);
    }
    __syncthreads();
    if (group == GROUPS) {
        registers_give<24>();
        if (threadIdx.x == MULTIPLIERS) bring(s, b, shared_address(memory), shared_address(x));
    } else {
        registers_take<240>();
        multiply_all(s, b, memory, x, y + group * Y_BYTES, group);
    }
}
