/* Products with packed weights, by tensor cores: where the few rows of a small batch leave a card
 * more to wait for than to multiply.
 *
 *     y[m, n] = activation(alpha * sum over k of a(m, k) * w(n, k) + beta * c(m, n) + residual)
 *
 * A block makes BM x BN of y, a warp TM x TN of that. Rows of a and w lie along k; a line of a tile
 * is 128 bytes of one, its eight parts of 16 bytes exclusive-ored with the row, so that eight rows
 * of one part stand in different banks. Weights lie in memory just so (product_packed.c): what a
 * block needs of them for one step is one piece. They depend on no kernel ahead: as many steps as
 * there are stages are on their way before that one has ended, and the rest to the second cache.
 *
 * SPLITS: blocks of a cluster that share the k of a tile. Each sends the others their part of the
 * sums, into shared memory, and finishes its own; the order of adding is that of the blocks.
 *
 * TYPE: half, bf16, or float, which is multiplied as tf32. ACT: the activation. VA: elements of a
 * read at once, 16 bytes or one; VY: of y written at once. */
#ifndef TYPE
#define TYPE half
#define BM 64
#define BN 64
#define TM 32
#define TN 32
#define STAGES 6
#define SPLITS 1
#define ACT 0
#define VA 8
#define VY 2
#endif
typedef TYPE T;

enum { THREADS = BM / TM * (BN / TN) * 32, LINE = 128, PART = 16 / (int)sizeof(T), BK = 8 * PART };
enum { PIECES = TM / 16 * (TN / 16), OWN = PIECES / SPLITS };
enum { A_BYTES = BM * LINE, B_BYTES = BN * LINE };
enum { AHEAD = STAGES - 1 }; /* steps of copies under way */
static_assert(PIECES % SPLITS == 0, "blocks of a cluster finish equal parts");
static_assert(BM * 8 % THREADS == 0 && BN * 8 % THREADS == 0, "a tile is a whole number of rounds");

struct shape {
    int m, n, k, tiles_n, groups; /* groups of 8 columns */
    int64 lda, c_row, c_column, y_row;
    float alpha, beta, act_alpha, act_beta;
};

struct sums {
    float at[TM / 16][TN / 8][4];
};

/* The rows of a that a thread brings, one part of each. */
struct bringer {
    const T *from;
    uint32 to;
    int rows, part; /* how many rows below its first one there are, at most */

    __device__ __forceinline__ bringer(const T *a, const shape &s, int row)
    {
        int own = threadIdx.x / 8;
        part = threadIdx.x % 8;
        from = a + (row + own) * s.lda + part * PART;
        to = own * LINE + (part ^ own % 8) * 16;
        rows = s.m - row - own;
    }
    __device__ __forceinline__ void bring(char *tile, const shape &s, int step) const
    {
        int left = s.k - step * BK - part * PART;
        static_assert(THREADS / 8 % 8 == 0, "a thread keeps to one place of a line");
#pragma unroll
        for (int i = 0; i < BM; i += THREADS / 8) {
            bool inside = left > 0 && i < rows;
            const T *at = inside ? from + i * s.lda + step * BK : from;
            if constexpr (VA > 1) copy_begin(tile + to + i * LINE, at, inside);
            else {
                pack<T, PART> some = {};
                for (int v = 0; v < PART; v++)
                    if (inside && v < left) some.at[v] = at[v];
                *(pack<T, PART> *)(tile + to + i * LINE) = some;
            }
        }
    }
};

/* `groups`: how many of the tile there are. */
static __device__ __forceinline__ void bring_weights(char *tile, const char *w, const shape &s,
                                                     int step, int groups)
{
    w += (int64)step * s.groups * (8 * LINE);
#pragma unroll
    for (int i = 0; i < B_BYTES; i += THREADS * 16) {
        int at = i + threadIdx.x * 16;
        bool inside = at / (8 * LINE) < groups;
        copy_begin(tile + at, inside ? w + at : w, inside);
    }
}

static __device__ __forceinline__ void multiply_tile(const char *a, const char *b, sums &sum)
{
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    a += warp / (BN / TN) * TM * LINE + lane % 16 * LINE;
    b += warp % (BN / TN) * TN * LINE + (lane % 8 + lane / 16 * 8) * LINE;
#pragma unroll
    for (int d = 0; d < 8; d += 2) {
        uint32 x[TM / 16][4], w[TN / 16][4];
#pragma unroll
        for (int i = 0; i < TM / 16; i++) {
            load_matrices<false>(x[i], a + i * 16 * LINE + ((d + lane / 16) ^ lane % 8) * 16);
            if constexpr (sizeof(T) == 4) round_tf32(x[i]);
        }
#pragma unroll
        for (int j = 0; j < TN / 16; j++)
            load_matrices<false>(w[j], b + j * 16 * LINE + ((d + lane / 8 % 2) ^ lane % 8) * 16);
#pragma unroll
        for (int i = 0; i < TM / 16; i++)
#pragma unroll
            for (int j = 0; j < TN / 8; j++)
                multiply_add(T(), sum.at[i][j], x[i], &w[j / 2][j % 2 * 2]);
    }
}

/* VY neighbours of a row. */
static __device__ __forceinline__ void finish(const float *sum, int row, int column, const shape &s,
                                              const T *c, const T *residual, T *y)
{
    if (row >= s.m || column >= s.n) return;
    int64 at = row * s.y_row + column;
    pack<T, VY> out, more = {};
    if (residual) more = *(const pack<T, VY> *)(residual + at);
#pragma unroll
    for (int j = 0; j < VY; j++) {
        float value = sum[j] * s.alpha;
        if (c) value += s.beta * to_float(c[row * s.c_row + (column + j) * s.c_column]);
        if (residual) value += to_float(more.at[j]);
        from_float(activate_for<ACT, T>(value, s.act_alpha, s.act_beta), &out.at[j]);
    }
    *(pack<T, VY> *)(y + at) = out;
}

#if SPLITS > 1
/* Piece q of a warp's sums, 16 x 16, is finished by block q % SPLITS; what comes from the others
 * stands behind the stages, a place for each thread, half piece and sender. */
static __device__ __forceinline__ char *place_of(char *room, int sender, int piece, int half_piece)
{
    return room + (((sender * OWN + piece / SPLITS) * 2 + half_piece) * THREADS + threadIdx.x) * 16;
}

static __device__ __forceinline__ void share(sums &sum, char *room, uint32 barrier, int rank)
{
    cluster_wait(); /* the others' barriers are made */
#pragma unroll
    for (int q = 0; q < PIECES; q++) {
        if (q % SPLITS == rank) continue;
        uint32 there = cluster_address(barrier, q % SPLITS);
#pragma unroll
        for (int h = 0; h < 2; h++)
            cluster_send(cluster_address(shared_address(place_of(room, rank, q, h)), q % SPLITS),
                              sum.at[q / (TN / 16)][q % (TN / 16) * 2 + h], there);
    }
    barrier_wait(barrier, 0);
#pragma unroll
    for (int q = 0; q < PIECES; q++) {
        if (q % SPLITS != rank) continue;
#pragma unroll
        for (int h = 0; h < 2; h++) {
            float *own = sum.at[q / (TN / 16)][q % (TN / 16) * 2 + h], all[4] = {};
            for (int sender = 0; sender < SPLITS; sender++) {
                pack<float, 4> part = {{own[0], own[1], own[2], own[3]}};
                if (sender != rank) part = *(const pack<float, 4> *)place_of(room, sender, q, h);
#pragma unroll
                for (int v = 0; v < 4; v++) all[v] += part.at[v];
            }
#pragma unroll
            for (int v = 0; v < 4; v++) own[v] = all[v];
        }
    }
}
#endif

extern "C" __global__ void __launch_bounds__(THREADS)
    product_packed(const T *a, const char *w, const T *c, const T *residual, T *y, shape s)
{
    extern __shared__ __align__(1024) char memory[];
    int tile = blockIdx.x / SPLITS, rank = blockIdx.x % SPLITS;
    int row = tile / s.tiles_n * BM, column = tile % s.tiles_n * BN;
    int steps = (s.k + BK - 1) / BK, step = steps * rank / SPLITS;
    int count = steps * (rank + 1) / SPLITS - step;
    int groups = s.groups - column / 8;
    w += (int64)column * LINE;
    char *stage_a = memory, *stage_b = memory + STAGES * A_BYTES;
#if SPLITS > 1
    char *room = memory + STAGES * (A_BYTES + B_BYTES);
    uint32 barrier = shared_address(room) + SPLITS * OWN * 2 * THREADS * 16;
    if (threadIdx.x == 0) {
        barrier_make(barrier);
        barrier_made();
        barrier_expect(barrier, (SPLITS - 1) * OWN * 2 * THREADS * 16);
    }
    cluster_arrive();
#endif
#pragma unroll
    for (int i = 0; i < AHEAD; i++)
        if (i < count) bring_weights(stage_b + i * B_BYTES, w, s, step + i, groups);
    if (row == 0)
        for (int i = AHEAD + threadIdx.x / BN; i < count; i += THREADS / BN)
            if ((int)threadIdx.x % BN / 8 < groups)
                fetch_line(w + (int64)(step + i) * s.groups * (8 * LINE) + threadIdx.x % BN * LINE);
    tn_start_consumer();
    tn_wait_for_producer();

    bringer from_a(a, s, row);
    sums sum = {};
#pragma unroll
    for (int i = 0; i < AHEAD; i++) {
        if (i < count) from_a.bring(stage_a + i * A_BYTES, s, step + i);
        copy_group();
    }
    for (int i = 0, now = 0; i < count; i++, now = now + 1 < STAGES ? now + 1 : 0) {
        int next = now + AHEAD < STAGES ? now + AHEAD : now + AHEAD - STAGES;
        copy_wait<AHEAD - 1>();
        __syncthreads(); /* this tile is there, and nobody reads the next one any more */
        if (i + AHEAD < count) {
            from_a.bring(stage_a + next * A_BYTES, s, step + i + AHEAD);
            bring_weights(stage_b + next * B_BYTES, w, s, step + i + AHEAD, groups);
        }
        copy_group();
        multiply_tile(stage_a + now * A_BYTES, stage_b + now * B_BYTES, sum);
    }
#if SPLITS > 1
    share(sum, room, barrier, rank);
#endif

    int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    row += warp / (BN / TN) * TM + lane / 4;
    column += warp % (BN / TN) * TN + lane % 4 * 2;
#pragma unroll
    for (int q = 0; q < PIECES; q++) {
        if (q % SPLITS != rank) continue;
#pragma unroll
        for (int e = 0; e < 8; e += VY) {
            int i = q / (TN / 16), j = q % (TN / 16) * 2 + e / 4;
            finish(&sum.at[i][j][e % 4], row + i * 16 + e / 2 % 2 * 8, column + j * 8 + e % 2, s, c,
                   residual, y);
        }
    }
}
