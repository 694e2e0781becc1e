/* Convolutions of 16-bit elements with the channels along memory, by tensor cores that four warps
 * feed from shared memory (9.0): a product of the pixels' windows [m, k] and the weights [n, k].
 *
 *     y[m, n] = activation(sum over k of x(m, k) * w[n, k] + bias[n] + residual[m, n])
 *
 * A block makes BM x BN of y at a time, and goes on to the tile gridDim.x further on. One warp brings:
 * a step is 64 channels of one tap, for which the copy engine finds the windows by itself, zeros
 * where they leave x; stages of such steps go round between it and the GROUPS groups of four warps
 * that multiply, 64 rows each. The residual comes into the tile that y leaves from, which another warp
 * sends off, all as lines of 128 bytes whose eight parts of 16 are exclusive-ored with the line's
 * number. Weights that are constants are on their way before the kernel ahead has ended.
 *
 * MORE: after the taps come single pixels of another x, by weights of their own.
 *
 * SPLITS: blocks of a cluster that share the k of one tile. Each sends the others what it has of
 * their columns, eight by eight, and finishes its own; the order of adding is that of the blocks.
 *
 * TYPE: half or bf16. TILES_Y: of y, so that one leaves while the next comes. BLOCKS: how many
 * are to fit a multiprocessor. ACT: the activation. */
#ifndef TYPE
#define TYPE half
#define GROUPS 1
#define BN 64
#define STAGES 4
#define TILES_Y 2
#define MORE 0
#define SPLITS 1
#define BLOCKS 1
#define RESIDUAL 1
#define ACT 1
#endif
typedef TYPE T;

enum {
    BM = 64 * GROUPS,
    MULTIPLIERS = 128 * GROUPS, /* threads; behind them the warps that bring, and that send off */
    THREADS = MULTIPLIERS + 64,
    LINE = 128,
    BK = LINE / (int)sizeof(T),
    PLATE = 64 * LINE, /* 64 rows of 64 columns of y */
    X_BYTES = BM * LINE, /* of a stage */
    W_BYTES = BN * LINE,
    STAGE = X_BYTES + W_BYTES,
    EIGHTS = BN / 8, /* of columns */
    OWN = EIGHTS / SPLITS,
    Y_BYTES = BM * BN * 2,
    REST = SPLITS > 1 ? BM * BN * 4 : TILES_Y * Y_BYTES, /* what the cluster sends, or y */
};

#define PRODUCT_COLUMNS BN
#include "group.cuh"
#include "conv_group.cuh"

/* ---- What is where -----------------------------------------------------------------------------*/

/* Barriers of a block, by their addresses in shared memory. */
struct barriers {
    uint32 at;
    __device__ uint32 full(int stage) const { return at + stage * 8; }            /* it was brought */
    __device__ uint32 empty(int stage) const { return at + (STAGES + stage) * 8; } /* it was read */
    __device__ uint32 sums() const { return at + 2 * STAGES * 8; } /* came from the cluster */
    /* Of a tile of y: the residual is in it, y is, it has been sent off. */
    __device__ uint32 residual(int y) const { return at + (2 * STAGES + 1 + y) * 8; }
    __device__ uint32 written(int y) const { return residual(TILES_Y + y); }
    __device__ uint32 sent(int y) const { return residual(2 * TILES_Y + y); }

    __device__ void make() const
    {
        for (int i = 0; i < STAGES; i++) {
            barrier_make(full(i), 1);
            barrier_make(empty(i), 4 * GROUPS);
        }
        for (int y = 0; y < TILES_Y; y++) {
            barrier_make(residual(y), 1);
            barrier_make(written(y), MULTIPLIERS);
            barrier_make(sent(y), 1);
        }
        barrier_make(sums(), 1);
        barrier_made();
        if (SPLITS > 1) barrier_expect(sums(), (SPLITS - 1) * OWN * MULTIPLIERS * 16);
    }
};

/* The tiles of a block, one by one. */
struct tiles {
    int tile = blockIdx.x / SPLITS;
    turn<TILES_Y> y;
    __device__ bool more(const shape &s) const { return tile < s.tiles; }
    __device__ int at(const shape &s) const { return s.backwards ? s.tiles - 1 - tile : tile; }
    __device__ int row(const shape &s) const { return at(s) / s.tiles_n * BM; }
    __device__ int column(const shape &s) const { return at(s) % s.tiles_n * BN; }
    __device__ void next()
    {
        tile += gridDim.x / SPLITS;
        y.next();
    }
};

/* The share of k that a block has, in steps. */
struct share {
    int first, count;
    __device__ share(const shape &s)
    {
        int rank = blockIdx.x % SPLITS;
        first = s.steps * rank / SPLITS;
        count = s.steps * (rank + 1) / SPLITS - first;
    }
};

/* ---- Bringing, by one thread -------------------------------------------------------------------*/

/* Where a step's 64 channels stand. */
struct tap {
    int step, h, w, part;
    __device__ tap(const shape &s, int first)
    {
        uint32 rest, column;
        step = first;
        h = (int)divide(divide((uint32)step, s.by_parts, &rest), s.by_width, &column);
        w = (int)column;
        part = (int)rest;
    }
    __device__ int channel() const { return part * BK; }
    __device__ bool is_more(const shape &s) const { return MORE && step >= s.own_steps; }
    __device__ int more_channel(const shape &s) const { return (step - s.own_steps) * BK; }
    __device__ int weight(const shape &s) const /* along a row of w */
    {
        return (h * (int)s.by_width.by + w) * s.channels + channel();
    }
    __device__ void next(const shape &s)
    {
        step++;
        if (++part < s.parts) return;
        part = 0;
        if (++w < (int)s.by_width.by) return;
        w = 0;
        h++;
    }
};

static __device__ __forceinline__ void bring_residual(const shape &s, const barriers &b, uint32 tile_y,
                                                      const tiles &now)
{
    uint32 to = tile_y + now.y.at * Y_BYTES, there = b.residual(now.y.at);
    barrier_wait_block(b.sent(now.y.at), now.y.parity ^ 1);
    barrier_expect(there, Y_BYTES);
#pragma unroll
    for (int i = 0; i < BN / 64; i++)
#pragma unroll
        for (int g = 0; g < GROUPS; g++)
            copy_box(to + (i * GROUPS + g) * PLATE, s.residual, now.column(s) + i * 64,
                     now.row(s) + g * 64, there);
}

static __device__ __forceinline__ void bring_weights(const shape &s, const tap &at, int column,
                                                     uint32 to, uint32 full)
{
    barrier_expect(full, STAGE);
    if (at.is_more(s)) copy_box(to + X_BYTES, s.more_w, at.more_channel(s), column, full);
    else copy_box(to + X_BYTES, s.w, at.weight(s), column, full);
}

static __device__ void bring(const shape &s, const barriers &b, uint32 stages, uint32 tile_y)
{
    share part(s);
    tiles now;
    turn<STAGES> stage;
    int begun = min(part.count, (int)STAGES);
    int last = TILES_Y > 1 ? begun - 1 : part.count - 1; /* of the steps that go before a residual */
    if (!s.weights) tn_wait_for_producer();
    tap ahead(s, part.first);
    for (int i = 0; i < begun; i++, ahead.next(s))
        bring_weights(s, ahead, now.column(s), stages + i * STAGE, b.full(i));
    tn_wait_for_producer();
    for (; now.more(s); now.next()) {
        pixel first(s.out, now.row(s));
        int h = first.h * s.stride[0] - s.pad[0], w = first.w * s.stride[1] - s.pad[1];
        tap at(s, part.first);
        for (int i = 0; i < part.count; i++, at.next(s), stage.next()) {
            uint32 to = stages + stage.at * STAGE, full = b.full(stage.at);
            if (begun-- <= 0) {
                barrier_wait_block(b.empty(stage.at), stage.parity ^ 1);
                bring_weights(s, at, now.column(s), to, full);
            }
            if (at.is_more(s))
                copy_windows(to, s.more_x, at.more_channel(s), first.w * s.more_stride[1],
                             first.h * s.more_stride[0], first.n, 0, 0, full);
            else
                copy_windows(to, s.x, at.channel(), w, h, first.n, at.w * s.dilation[1],
                             at.h * s.dilation[0], full);
            if (RESIDUAL && SPLITS == 1 && i == last) bring_residual(s, b, tile_y, now);
        }
    }
}

/* ---- Sending off, by one thread ----------------------------------------------------------------*/

static __device__ void send_off(const shape &s, const barriers &b, uint32 tile_y)
{
    for (tiles now; now.more(s); now.next()) {
        uint32 from = tile_y + now.y.at * Y_BYTES;
        barrier_wait_block(b.written(now.y.at), now.y.parity);
#pragma unroll
        for (int i = 0; i < BN / 64; i++)
#pragma unroll
            for (int g = 0; g < GROUPS; g++)
                store_box(s.y, now.column(s) + i * 64, now.row(s) + g * 64,
                          from + (i * GROUPS + g) * PLATE);
        store_end();
        store_wait<0>();
        barrier_arrive(b.sent(now.y.at));
    }
}

/* ---- Finishing ---------------------------------------------------------------------------------*/

/* Two neighbours of a row. */
static __device__ __forceinline__ uint32 finish(const shape &s, const float *sum,
                                                const pack<T, 2> &bias, uint32 residual)
{
    float y[2];
#pragma unroll
    for (int v = 0; v < 2; v++) {
        y[v] = sum[v] + to_float(bias.at[v]);
        if (RESIDUAL) {
            T more = {(uint16)(residual >> v * 16)};
            y[v] += to_float(more);
        }
        y[v] = activate_near<ACT>(y[v], s.act_alpha, s.act_beta);
    }
    return pair_of(T(), y[0], y[1]);
}

/* Two neighbours; `column` is even, as s.n is. */
static __device__ __forceinline__ pack<T, 2> load_bias(const shape &s, int column)
{
    pack<T, 2> two = {};
    if (s.bias && column < s.n) two = *(const pack<T, 2> *)(s.bias + column);
    return two;
}

#if SPLITS > 1
/* What a sender has of column eights that this block finishes: a place for each thread. */
static __device__ __forceinline__ char *place_of(char *room, int sender, int own)
{
    return room + ((sender * OWN + own) * MULTIPLIERS + threadIdx.x) * 16;
}

static __device__ __forceinline__ void send(float (*sum)[4], char *room, uint32 barrier, int rank)
{
#pragma unroll
    for (int j = 0; j < EIGHTS; j++) {
        if (j / OWN == rank) continue;
        cluster_send(cluster_address(shared_address(place_of(room, rank, j % OWN)), j / OWN), sum[j],
                     cluster_address(barrier, j / OWN));
    }
}

static __device__ __forceinline__ void write(const shape &s, float (*sum)[4], char *room,
                                             uint32 barrier, int rank, int row, int column)
{
    uint32 more[OWN][2];
    pack<T, 2> bias[OWN];
    int to[2] = {row < s.m ? row : -1, row + 8 < s.m ? row + 8 : -1};
    column += rank * OWN * 8;
#pragma unroll
    for (int j = 0; j < OWN; j++) {
        bias[j] = load_bias(s, column + j * 8);
#pragma unroll
        for (int h = 0; h < 2; h++) {
            bool there = RESIDUAL && to[h] >= 0 && column + j * 8 < s.n;
            int64 at = (int64)to[h] * s.n + column + j * 8;
            more[j][h] = there ? *(const uint32 *)(s.residual_at + at) : 0;
        }
    }
    barrier_wait(barrier, 0);
#pragma unroll
    for (int q = 0; q < EIGHTS; q++) {
        if (q / OWN != rank) continue;
        int j = q % OWN;
        float all[4] = {};
#pragma unroll
        for (int sender = 0; sender < SPLITS; sender++) {
            pack<float, 4> one = {{sum[q][0], sum[q][1], sum[q][2], sum[q][3]}};
            if (sender != rank) one = *(const pack<float, 4> *)place_of(room, sender, j);
#pragma unroll
            for (int v = 0; v < 4; v++) all[v] += one.at[v];
        }
#pragma unroll
        for (int h = 0; h < 2; h++)
            if (to[h] >= 0 && column + j * 8 < s.n)
                *(uint32 *)(s.y_at + (int64)to[h] * s.n + column + j * 8) =
                    finish(s, &all[h * 2], bias[j], more[j][h]);
    }
}
#else
/* By way of a tile of y, where the residual lies. */
static __device__ __forceinline__ void write(const shape &s, const barriers &b, float (*sum)[4],
                                             const pack<T, 2> *bias, char *tile_y, const tiles &now)
{
    int group = threadIdx.x / 128, line = threadIdx.x % 128 / 32 * 16 + threadIdx.x % 32 / 4;
    int pair = threadIdx.x % 4, y = now.y.at;
    if (RESIDUAL) barrier_wait_block(b.residual(y), now.y.parity);
    else barrier_wait_block(b.sent(y), now.y.parity ^ 1);
#pragma unroll
    for (int j = 0; j < EIGHTS; j++) {
        char *at = tile_y + y * Y_BYTES + (j / 8 * GROUPS + group) * PLATE + line * LINE +
                   ((j ^ line) % 8) * 16 + pair * 4;
#pragma unroll
        for (int h = 0; h < 2; h++) {
            uint32 *two = (uint32 *)(at + h * 8 * LINE);
            *two = finish(s, &sum[j][h * 2], bias[j], RESIDUAL ? *two : 0);
        }
    }
    show_to_copies();
    barrier_arrive(b.written(y));
}
#endif

/* ---- Multiplying -------------------------------------------------------------------------------*/

static __device__ __forceinline__ void add_up(const barriers &b, uint32 stages, int count,
                                              turn<STAGES> *stage, float (*sum)[4])
{
    uint32 done = 0; /* the stage that is being read */
    for (int i = 0; i < count; i++, stage->next()) {
        uint32 from = stages + stage->at * STAGE;
        barrier_wait_block(b.full(stage->at), stage->parity);
        begin_step(from + threadIdx.x / 128 * PLATE, from + X_BYTES, sum);
        multiply_wait<1>();
        if (i > 0) give_back(done);
        done = b.empty(stage->at);
    }
    multiply_wait<0>();
    settle(sum);
    if (count > 0) give_back(done);
}

extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS)
    conv_last_group(const __grid_constant__ shape s)
{
    extern __shared__ __align__(1024) char memory[];
    uint32 stages = shared_address(memory);
    char *tile_y = memory + STAGES * STAGE;
    barriers b = {shared_address(tile_y) + REST};
    tn_start_consumer();
    if (threadIdx.x == 0) b.make();
    if (threadIdx.x == MULTIPLIERS) {
        map_ahead(s.w);
        map_ahead(s.x);
        if (MORE) map_ahead(s.more_x);
        if (MORE) map_ahead(s.more_w);
        if (RESIDUAL && SPLITS == 1) map_ahead(s.residual);
    }
    if (threadIdx.x == MULTIPLIERS + 32 && SPLITS == 1) map_ahead(s.y);
    __syncthreads();
    if (SPLITS > 1) cluster_arrive();
    if (threadIdx.x >= MULTIPLIERS) {
        if (threadIdx.x == MULTIPLIERS) bring(s, b, stages, shared_address(tile_y));
        if (threadIdx.x == MULTIPLIERS + 32 && SPLITS == 1) send_off(s, b, shared_address(tile_y));
        if (SPLITS > 1) cluster_wait();
        return;
    }
    tn_wait_for_producer();
    share part(s);
    turn<STAGES> stage;
    for (tiles now; now.more(s); now.next()) {
        float sum[EIGHTS][4] = {};
#if SPLITS == 1
        pack<T, 2> bias[EIGHTS];
#pragma unroll
        for (int j = 0; j < EIGHTS; j++)
            bias[j] = load_bias(s, now.column(s) + j * 8 + threadIdx.x % 4 * 2);
#endif
        add_up(b, stages, part.count, &stage, sum);
#if SPLITS > 1
        int rank = blockIdx.x % SPLITS;
        cluster_wait(); /* the others' barriers are made */
        send(sum, tile_y, b.sums(), rank);
        write(s, sum, tile_y, b.sums(), rank,
              now.row(s) + threadIdx.x / 32 * 16 + threadIdx.x % 32 / 4,
              now.column(s) + threadIdx.x % 4 * 2);
#else
        write(s, b, sum, bias, tile_y, now);
#endif
    }
}
