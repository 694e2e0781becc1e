/* The second half of a transformer's layer in one kernel, by tensor cores:
 *
 *     y = x + activation(norm(x) w1 + bias1) w2 + bias2
 *
 * A block takes 32 rows after the other. Its weights, w1 and w2 as far as they belong to its share
 * of the wide middle, stay in shared memory; they depend on no kernel ahead and are on their way
 * before that one has ended. SPLITS: blocks of a cluster share the middle of the same rows. Each
 * norms the rows for itself, and sends the others their part of the sums; the order of adding is
 * that of the blocks. Lines in shared memory are 16 bytes longer than what they hold, so that eight
 * of them begin in different banks; weights lie in memory just so (feed_forward.c).
 *
 * TYPE: half or bf16. WIDTH: of x. SHARE: of the middle, of a block. ACT: the activation. VX:
 * elements of x read at once. LOOP: a block may get several tiles. */
#ifndef TYPE
#define TYPE half
#define WIDTH 96
#define SHARE 384
#define SPLITS 1
#define ACT 2
#define VX 8
#define LOOP 1
#endif
typedef TYPE T;

enum { THREADS = 256, ROWS = 32, PART = 8 };
enum { LINE = WIDTH + PART, HIDDEN_LINE = SHARE + PART };
enum { W1_COUNT = SHARE * LINE, W2_COUNT = WIDTH * HIDDEN_LINE };
enum { W1_BYTES = W1_COUNT * (int)sizeof(T), W2_BYTES = W2_COUNT * (int)sizeof(T) };
/* Eight warps side by side, or four and four below each other: tiles of 16 x 8 of a warp. */
enum { ACROSS1 = SHARE % 64 ? 4 : 8, DOWN1 = ACROSS1 / 4, WIDE1 = SHARE / 8 / ACROSS1 };
enum { ACROSS2 = WIDTH % 64 ? 4 : 8, DOWN2 = ACROSS2 / 4, WIDE2 = WIDTH / 8 / ACROSS2 };
enum { TILES = DOWN2 * WIDE2, OWN = (TILES + SPLITS - 1) / SPLITS };
/* Blocks of large clusters rarely find room before the kernel ahead has ended: half of w1 goes behind
 * the rows, which would have to wait for it. */
enum { AHEAD = SPLITS > 8 ? W1_BYTES / 2 : W1_BYTES };
static_assert(WIDTH % 32 == 0 && SHARE % 32 == 0, "whole steps, and tiles for four warps");

struct problem { /* mirrored in feed_forward.c */
    const T *x, *scale, *shift, *bias1, *bias2;
    const char *w;
    T *y;
    int rows, tiles;
    float epsilon, alpha, beta;
};

/* c[16 M, 8 N] += a[16 M, K] b[8 N, K], lines of LA and LB elements. */
template <int M, int N, int K, int LA, int LB>
static __device__ __forceinline__ void add_product(const T *a, const T *b, float (*c)[N][4])
{
    static_assert(K % 32 == 0, "whole steps");
    int lane = threadIdx.x % 32;
    a += lane % 16 * LA + lane / 16 * 8;
    b += lane % 8 * LB + lane / 8 * 8;
    constexpr int STEPS_AT_ONCE = M * N > 8 ? 2 : 4;
#pragma unroll STEPS_AT_ONCE
    for (int k = 0; k < K; k += 32) {
        uint32 left[M][2][4], right[N][4];
#pragma unroll
        for (int i = 0; i < M * 2; i++)
            load_matrices<false>(left[i / 2][i % 2], a + i / 2 * 16 * LA + k + i % 2 * 16);
#pragma unroll
        for (int j = 0; j < N; j++) load_matrices<false>(right[j], b + j * 8 * LB + k);
#pragma unroll
        for (int step = 0; step < 2; step++)
#pragma unroll
            for (int j = 0; j < N; j++)
#pragma unroll
                for (int i = 0; i < M; i++)
                    multiply_add(T(), c[i][j], left[i][step], right[j] + step * 2);
    }
}

#if SPLITS > 1
/* Tile q of a warp's sums is finished by block q % SPLITS; what comes from the others has a place
 * for each thread, tile and sender. */
static __device__ __forceinline__ char *place_of(char *room, int sender, int q)
{
    return room + ((sender * OWN + q / SPLITS) * THREADS + threadIdx.x) * 16;
}

static __device__ __forceinline__ void share(float (*sum)[WIDE2][4], char *room, uint32 barrier,
                                             int rank, int parity)
{
    cluster_wait(); /* nobody reads what lies there any more, and all expect what comes */
#pragma unroll
    for (int q = 0; q < TILES; q++)
        if (q % SPLITS != rank)
            cluster_send(
                cluster_address(shared_address(place_of(room, rank, q)), q % SPLITS),
                sum[q / WIDE2][q % WIDE2], cluster_address(barrier, q % SPLITS));
    barrier_wait(barrier, parity);
#pragma unroll
    for (int q = 0; q < TILES; q++) {
        if (q % SPLITS != rank) continue;
        float *own = sum[q / WIDE2][q % WIDE2], all[4] = {};
        for (int sender = 0; sender < SPLITS; sender++) {
            pack<float, 4> some = {{own[0], own[1], own[2], own[3]}};
            if (sender != rank) some = *(const pack<float, 4> *)place_of(room, sender, q);
#pragma unroll
            for (int v = 0; v < 4; v++) all[v] += some.at[v];
        }
#pragma unroll
        for (int v = 0; v < 4; v++) own[v] = all[v];
    }
}
#endif

extern "C" __global__ void __launch_bounds__(THREADS)
    feed_forward(const __grid_constant__ problem p)
{
    extern __shared__ __align__(128) char memory[];
    T *w1 = (T *)memory, *w2 = w1 + W1_COUNT, *normed = w2 + W2_COUNT;
    T *hidden = normed + ROWS * LINE, *affine = hidden + ROWS * HIDDEN_LINE;
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32, own_row = threadIdx.x / 8;
    int rank = blockIdx.x % SPLITS, tile = blockIdx.x / SPLITS, step = gridDim.x / SPLITS;
    copy_affine<T, WIDTH, THREADS>(p.scale, p.shift, affine);
    const char *from = p.w + (int64)rank * (W1_BYTES + W2_BYTES);
    copy_range<THREADS>(memory, from, 0, AHEAD);
#if SPLITS > 1
    /* Where a block has one tile, what the others send takes the place of w1. */
    uint32 barrier = shared_address(affine + 2 * WIDTH);
    char *room = LOOP ? (char *)(affine + 2 * WIDTH) + 16 : memory;
    uint32 coming = 0;
    for (int q = rank; q < TILES; q += SPLITS) coming += (SPLITS - 1) * THREADS * 16;
    if (threadIdx.x == 0) {
        barrier_make(barrier);
        barrier_made();
    }
#endif
    uint32 bias1[WIDE1] = {}, bias2[WIDE2] = {};
    int column1 = warp % ACROSS1 * WIDE1 * 8, column2 = warp % ACROSS2 * WIDE2 * 8;
    int row1 = warp / ACROSS1 * DOWN1 * 16, row2 = warp / ACROSS2 * DOWN2 * 16;
#pragma unroll
    for (int j = 0; j < WIDE1; j++)
        if (p.bias1)
            bias1[j] = load_two<2>(p.bias1 + rank * SHARE + column1 + j * 8 + lane % 4 * 2);
#pragma unroll
    for (int j = 0; j < WIDE2; j++)
        if (p.bias2) bias2[j] = load_two<2>(p.bias2 + column2 + j * 8 + lane % 4 * 2);
    tn_start_consumer();
    tn_wait_for_producer();

    part_of_row<T, WIDTH> x =
        load_part<T, WIDTH, VX>(p.x + (int64)(tile * ROWS + own_row) * WIDTH,
                                tile < p.tiles && tile * ROWS + own_row < p.rows);
    /* Behind the rows, which are waited for first. */
    copy_range<THREADS>(memory, from, AHEAD, W1_BYTES);
    copy_range<THREADS>(memory, from, W1_BYTES, W1_BYTES + W2_BYTES);
    copy_wait<3>();
    __syncthreads(); /* the factors and summands of the norm are there */
    for (int parity = 0; tile < p.tiles; tile += step, parity ^= 1) {
        norm_part(x, affine, p.epsilon);
#pragma unroll
        for (int k = threadIdx.x % 8 * 8, i = 0; k < WIDTH; k += 64, i++)
            *(pack<uint32, 4> *)(normed + own_row * LINE + k) = x.at[i];
        copy_wait<1>();
        __syncthreads(); /* w1 and the normed rows are there; nobody reads the hidden ones */
        int next = (tile + step) * ROWS + own_row;
        if (LOOP)
            x = load_part<T, WIDTH, VX>(p.x + (int64)next * WIDTH,
                                        tile + step < p.tiles && next < p.rows);
        {
            float sum[DOWN1][WIDE1][4] = {};
            add_product<DOWN1, WIDE1, WIDTH, LINE, LINE>(normed + row1 * LINE, w1 + column1 * LINE,
                                                         sum);
#pragma unroll
            for (int q = 0; q < DOWN1 * WIDE1 * 2; q++) {
                int i = q / 2 / WIDE1, j = q / 2 % WIDE1, e = q % 2 * 2;
                float left = sum[i][j][e] + first_of<T>(bias1[j]);
                float right = sum[i][j][e + 1] + second_of<T>(bias1[j]);
                *(uint32 *)(hidden + (row1 + i * 16 + lane / 4 + q % 2 * 8) * HIDDEN_LINE +
                            column1 + j * 8 + lane % 4 * 2) =
                    pair_of(T(), activate_for<ACT, T>(left, p.alpha, p.beta),
                            activate_for<ACT, T>(right, p.alpha, p.beta));
            }
        }
        copy_wait<0>();
#if SPLITS > 1
        if (threadIdx.x == 0) barrier_expect(barrier, coming);
        cluster_arrive();
#endif
        __syncthreads(); /* w2 and the hidden rows are there; nobody reads the normed ones */
        float sum[DOWN2][WIDE2][4] = {};
        add_product<DOWN2, WIDE2, SHARE, HIDDEN_LINE, HIDDEN_LINE>(
            hidden + row2 * HIDDEN_LINE, w2 + column2 * HIDDEN_LINE, sum);
#if SPLITS > 1
        share(sum, room, barrier, rank, parity);
#endif
#pragma unroll
        for (int q = 0; q < TILES * 2; q++) {
            int i = q / 2 / WIDE2, j = q / 2 % WIDE2, e = q % 2 * 2;
            int row = tile * ROWS + row2 + i * 16 + lane / 4 + q % 2 * 8;
            if (q / 2 % SPLITS != rank || row >= p.rows) continue;
            int64 at = (int64)row * WIDTH + column2 + j * 8 + lane % 4 * 2;
            uint32 more = load_two<VX>(p.x + at);
            float left = sum[i][j][e] + first_of<T>(bias2[j]) + first_of<T>(more);
            float right = sum[i][j][e + 1] + second_of<T>(bias2[j]) + second_of<T>(more);
            store_two<VX>(pair_of(T(), left, right), p.y + at);
        }
    }
}
