/* The first half of a layer of a Swin transformer in one kernel, by tensor cores:
 *
 *     y = x + window attention(norm(x) w1 + bias1) w2 + bias2
 *
 * A cluster has a block for each head and takes one window after the other. A block norms the rows
 * of the window, makes queries, keys and values of its head, attends, sends the others what comes
 * of it, and makes as many columns of y as a head has. A warp has 16 rows from beginning to end.
 * What a block needs of the weights stays in its shared memory; it depends on no kernel ahead and
 * is on its way before that one has ended.
 *
 * TYPE: half or bf16. HEADS, of 32 columns each. ROWS: tokens of a window, at most 64, SIDE of them
 * side by side. BIAS: there is a table of positions. VX: elements of x read at once. GROUPS: four
 * warps multiply together (9.0). */
#ifndef TYPE
#define TYPE half
#define HEADS 3
#define ROWS 49
#define SIDE 7
#define BIAS 1
#define VX 8
#define GROUPS 0
#endif
typedef TYPE T;

#include "slab.cuh"
#include "window.cuh"

enum { HEAD = 32, WIDTH = HEADS * HEAD, HEAD_LINE = HEAD + 8 };
enum { LINE = 128, SLABS = (WIDTH + 63) / 64 };
/* The second half of the warps only norms, and sends. */
enum { WARPS = (ROWS + 15) / 16, THREADS = WARPS * (WIDTH > 128 ? 64 : 32), PADDED = WARPS * 16 };
enum { KEY_TILES = (ROWS + 7) / 8, STEPS = HEAD / 16 };
enum { SLAB1 = 3 * HEAD * LINE, SLAB2 = HEAD * LINE, SLAB = PADDED * LINE };
enum { WEIGHT_BYTES = SLABS * (SLAB1 + SLAB2), TABLE_BYTES = KEY_TILES * 2 * WARPS * 32 * 4 };
/* Blocks of large clusters rarely find room before the kernel ahead has ended: half of their weights
 * goes behind the rows, which would have to wait for it. */
enum { AHEAD = HEADS > 8 ? SLABS * SLAB1 / 2 : SLABS * SLAB1 };
static_assert(!GROUPS || WARPS == 4, "four warps multiply together");

struct problem { /* mirrored in window_block.c */
    const T *x, *scale, *shift, *bias1, *bias2;
    const char *w;
    T *y;
    tiling all;
    float epsilon;
};

/* ---- The window ------------------------------------------------------------------------------*/

/* Eight threads norm a row; all rows of a warp are on their way at once. Behind the window the last
 * row stands again. The first time the rest of the weights is asked for behind the rows. */
static __device__ __forceinline__ void norm_rows(const problem &p, const place &here,
                                                 const T *affine, char *normed, char *weights,
                                                 const char *from, bool is_first)
{
    constexpr int EACH = PADDED / (THREADS / 8);
    part_of_row<T, WIDTH> x[EACH];
#pragma unroll
    for (int i = 0; i < EACH; i++) {
        int row = min((int)threadIdx.x / 8 + i * (THREADS / 8), ROWS - 1);
        x[i] = load_part<T, WIDTH, VX>(p.x + token_of(p.all, here, row) * WIDTH, true);
    }
    if (is_first) {
        copy_range<THREADS>(weights, from, AHEAD, SLABS * SLAB1);
        copy_range<THREADS>(weights, from, SLABS * SLAB1, WEIGHT_BYTES + TABLE_BYTES);
    }
    copy_wait<3>();
    __syncthreads(); /* the factors and summands of the norm are there */
#pragma unroll
    for (int i = 0; i < EACH; i++)
        slab_norm<T, WIDTH, PADDED>(x[i], affine, p.epsilon, normed,
                                    threadIdx.x / 8 + i * (THREADS / 8));
}

/* ---- Attention -------------------------------------------------------------------------------*/

/* Two columns of a thread's two rows, times by0 and, eight lines below, by1. */
static __device__ __forceinline__ void store_rows(const float *c, float by0, float by1, char *at,
                                                  int below)
{
    *(uint32 *)at = pair_of(T(), c[0] * by0, c[1] * by0);
    *(uint32 *)(at + below) = pair_of(T(), c[2] * by1, c[3] * by1);
}

/* A warp's queries; keys and values into shared memory. */
static __device__ __forceinline__ void make_parts(const char *normed, const char *w1,
                                                  const uint32 *bias, T *keys, T *values,
                                                  uint32 (*a)[4])
{
    int lane = threadIdx.x % 32, row = threadIdx.x / 32 * 16 + lane / 4;
    float c[3 * HEAD / 8][4];
#pragma unroll
    for (int j = 0; j < 3 * HEAD / 8; j++)
#pragma unroll
        for (int e = 0; e < 4; e++)
            c[j][e] = e % 2 ? second_of<T>(bias[j]) : first_of<T>(bias[j]);
    slab_product<T, GROUPS, PADDED, 3 * HEAD / 8, WIDTH>(normed, w1, c);
#pragma unroll
    for (int d = 0; d < STEPS; d++)
#pragma unroll
        for (int e = 0; e < 4; e++) {
            const float *two = c[2 * d + e / 2] + e % 2 * 2;
            a[d][e] = pair_of(T(), two[0], two[1]);
        }
#pragma unroll
    for (int j = 0; j < HEAD / 8; j++) {
        int at = row * HEAD_LINE + j * 8 + lane % 4 * 2;
        store_rows(c[HEAD / 8 + j], 1, 1, (char *)(keys + at), 8 * HEAD_LINE * sizeof(T));
        store_rows(c[2 * (HEAD / 8) + j], 1, 1, (char *)(values + at),
                   8 * HEAD_LINE * sizeof(T));
    }
}

static __device__ __forceinline__ void attend(const problem &p, const place &here, const T *keys,
                                              const T *values, const uint32 (*a)[STEPS][4],
                                              const vec<T, 2> *positions, int head, char *mixed)
{
    int lane = threadIdx.x % 32, first = threadIdx.x / 32 * 16;
    vec<T, 2> table[KEY_TILES][2];
#pragma unroll
    for (int j = 0; j < KEY_TILES * 2 * BIAS; j++)
        table[j / 2][j % 2] = positions[j * (WARPS * 32) + threadIdx.x];
    float sum[1][HEAD / 8][4] = {}, total[2];
    attend_window<T, HEAD, HEAD_LINE, KEY_TILES, BIAS>(p.all, here, first, keys, values, a, table,
                                                       sum, total);
    float by0 = 1 / total[0], by1 = 1 / total[1];
#pragma unroll
    for (int j = 0; j < HEAD / 8; j++) {
        char *at = slab_part<PADDED>(mixed, first + lane / 4, head * HEAD + j * 8);
        store_rows(sum[0][j], by0, by1, at + lane % 4 * 4, 8 * LINE);
    }
}

#if HEADS > 1
/* What this head made goes to the others. */
static __device__ __forceinline__ void send(char *mixed, uint32 barrier, int rank)
{
    constexpr int PARTS = HEAD / 8;
    cluster_wait(); /* nobody reads what lies there any more, and all expect what comes */
    for (int i = threadIdx.x; i < ROWS * PARTS; i += THREADS) {
        char *at = slab_part<PADDED>(mixed, i / PARTS, rank * HEAD + i % PARTS * 8);
        pack<float, 4> some = *(const pack<float, 4> *)at;
#pragma unroll
        for (int n = 1; n < HEADS; n++) {
            int to = rank + n < HEADS ? rank + n : rank + n - HEADS;
            cluster_send(cluster_address(shared_address(at), to), some.at,
                         cluster_address(barrier, to));
        }
    }
}
#endif

/* The result: two columns of a thread's two rows in each eight. */
static __device__ __forceinline__ void finish(const problem &p, const place &here, int column,
                                              const uint32 *bias2, const uint32 *more,
                                              const float (*c)[4])
{
    int row = threadIdx.x / 32 * 16 + threadIdx.x % 32 / 4;
#pragma unroll
    for (int q = 0; q < HEAD / 8 * 2; q++) {
        const float *two = c[q / 2] + q % 2 * 2;
        float left = two[0] + first_of<T>(bias2[q / 2]) + first_of<T>(more[q]);
        float right = two[1] + second_of<T>(bias2[q / 2]) + second_of<T>(more[q]);
        if (row + q % 2 * 8 < ROWS)
            store_two<VX>(pair_of(T(), left, right),
                          p.y + token_of(p.all, here, row + q % 2 * 8) * WIDTH + column + q / 2 * 8);
    }
}

extern "C" __global__ void __launch_bounds__(THREADS)
    window_block(const __grid_constant__ problem p)
{
    extern __shared__ __align__(1024) char memory[];
    /* What heads make of the window takes the place of the normed rows. */
    char *normed = memory, *mixed = normed, *w1 = normed + SLABS * SLAB, *w2 = w1 + SLABS * SLAB1;
    const vec<T, 2> *positions = (const vec<T, 2> *)(w2 + SLABS * SLAB2);
    T *keys = (T *)((char *)positions + TABLE_BYTES), *values = keys + PADDED * HEAD_LINE;
    T *affine = values + PADDED * HEAD_LINE;
    int lane = threadIdx.x % 32, row = threadIdx.x / 32 * 16 + lane / 4;
    int rank = blockIdx.x % HEADS, number = blockIdx.x / HEADS, step = gridDim.x / HEADS;
    bool multiplies = threadIdx.x < WARPS * 32;
    const char *from = p.w + (int64)rank * (WEIGHT_BYTES + TABLE_BYTES);
    copy_affine<T, WIDTH, THREADS>(p.scale, p.shift, affine);
    copy_range<THREADS>(w1, from, 0, AHEAD);
#if HEADS > 1
    uint32 barrier = shared_address(affine + 2 * WIDTH);
    if (threadIdx.x == 0) {
        barrier_make(barrier);
        barrier_made();
    }
#endif
    uint32 bias1[3 * HEAD / 8] = {}, bias2[HEAD / 8] = {};
    int column = rank * HEAD + lane % 4 * 2;
    if (multiplies) {
#pragma unroll
        for (int j = 0; j < 3 * HEAD / 8; j++)
            if (p.bias1)
                bias1[j] =
                    load_two<2>(p.bias1 + j / (HEAD / 8) * WIDTH + column + j % (HEAD / 8) * 8);
#pragma unroll
        for (int j = 0; j < HEAD / 8; j++)
            if (p.bias2) bias2[j] = load_two<2>(p.bias2 + column + j * 8);
    }
    tn_start_consumer();
    tn_wait_for_producer();
    const int first = number;
    for (int parity = 0; number < p.all.count; number += step, parity ^= 1) {
        place here = place_of(p.all, number);
        uint32 a[1][STEPS][4], more[HEAD / 8 * 2];
        norm_rows(p, here, affine, normed, w1, from, number == first);
        copy_wait<1>();
        slab_written();
        __syncthreads(); /* the weights of the first product are there, and the normed rows */
        if (multiplies) make_parts(normed, w1, bias1, keys, values, a[0]);
#if HEADS > 1
        if (threadIdx.x == 0)
            barrier_expect(barrier, (HEADS - 1) * ROWS * HEAD * (int)sizeof(T));
        cluster_arrive();
#endif
        copy_wait<0>();
        slab_written();
        __syncthreads(); /* keys, values and all weights are there; nobody reads normed rows */
        if (multiplies) {
#pragma unroll
            for (int q = 0; q < HEAD / 8 * 2; q++)
                more[q] =
                    load_two<VX>(p.x + token_of(p.all, here, min(row + q % 2 * 8, ROWS - 1)) * WIDTH +
                                 column + q / 2 * 8);
            attend(p, here, keys, values, a, positions, rank, mixed);
            slab_written();
        }
        __syncthreads(); /* what this head made is there */
#if HEADS > 1
        send(mixed, barrier, rank);
#endif
        if (multiplies) {
            float c[HEAD / 8][4] = {};
#if HEADS > 1
            barrier_wait(barrier, parity);
            slab_written();
#if GROUPS
            asm volatile("bar.sync 1, 128;" ::: "memory");
#endif
#endif
            slab_product<T, GROUPS, PADDED, HEAD / 8, WIDTH>(mixed, w2, c);
            finish(p, here, column, bias2, more, c);
        }
        __syncthreads(); /* nobody reads what heads made any more */
    }
}
