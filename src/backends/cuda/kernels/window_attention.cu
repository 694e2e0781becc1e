/* Attention within the windows of an image whose tokens lie in the image's order: a block finds the
 * rows of its window by their places, so that nothing is ever cut, turned or moved.
 *
 *     score = scale * q . k + bias + (mask where two tokens come from different regions)
 *
 * TYPE: of elements. HEAD: columns of a head. ROWS: tokens of a window, SIDE of them side by side.
 * BIAS: 0 there is none, 1 there is one, 2 it is a weight and may be read at once. METHOD: 1 any
 * sizes, a warp for each query; 2 multiply-adds in float; 3 tensor cores, REPEAT windows of one head
 * to a block. */
#ifndef TYPE
#define TYPE half
#define HEAD 32
#define ROWS 49
#define SIDE 7
#define BIAS 2
#define METHOD 3
#define REPEAT 4
#endif
typedef TYPE T;

#define FULL 0xffffffffu

#include "window.cuh"

struct problem { /* mirrored in window_attention.c */
    const T *qkv, *bias;
    T *y;
    int width, heads, tiles; /* tiles of a window, TILE queries each */
    tiling all;
};

/* Where a block works. */
struct work {
    place here;
    int head, first; /* first query */
};

template <int TILE> static __device__ __forceinline__ work enter(const problem &p)
{
    int rest = blockIdx.x / p.heads;
    return work{place_of(p.all, rest / p.tiles), (int)blockIdx.x % p.heads, rest % p.tiles * TILE};
}

/* Row `row` of q (part 0), k (1) or v (2). */
static __device__ __forceinline__ const T *row_of(const problem &p, const work &at, int part,
                                                  int row)
{
    return p.qkv + (token_of(p.all, at.here, row) * 3 + part) * p.width + at.head * HEAD;
}
static __device__ __forceinline__ T *result_of(const problem &p, const work &at, int row)
{
    return p.y + token_of(p.all, at.here, row) * p.width + at.head * HEAD;
}

/* ---- Any sizes -------------------------------------------------------------------------------*/
#if METHOD == 1
extern "C" __global__ void __launch_bounds__(128) windows(const __grid_constant__ problem p)
{
    extern __shared__ float memory[];
    work at = enter<4>(p);
    int lane = threadIdx.x % 32, row = at.first + threadIdx.x / 32;
    float *weight = memory + threadIdx.x / 32 * ROWS;
    tn_start_consumer();
    tn_wait_for_producer();
    if (row >= ROWS) return;
    const T *q = row_of(p, at, 0, row);
    int region = region_of(p.all, at.here, row);
    float top = __int_as_float(0xff800000), total = 0;
    for (int key = lane; key < ROWS; key += 32) {
        const T *k = row_of(p, at, 1, key);
        float score = 0;
        for (int d = 0; d < HEAD; d++) score += to_float(q[d]) * to_float(k[d]);
        score *= p.all.scale;
        if (BIAS) score += to_float(p.bias[((int64)at.head * ROWS + row) * ROWS + key]);
        if (at.here.edge && region_of(p.all, at.here, key) != region) score += p.all.mask;
        weight[key] = score;
        top = fmaxf(top, score);
    }
    top = warp_max(top);
    for (int key = lane; key < ROWS; key += 32) {
        weight[key] = expf(weight[key] - top);
        total += weight[key];
    }
    total = 1 / warp_sum(total);
    __syncwarp();
    for (int d = lane; d < HEAD; d += 32) {
        float sum = 0;
        for (int key = 0; key < ROWS; key++)
            sum += weight[key] * to_float(row_of(p, at, 2, key)[d]);
        from_float(sum * total, result_of(p, at, row) + d);
    }
}
#endif

/* ---- Multiply-adds ---------------------------------------------------------------------------
 *
 * Eight threads share the queries threadIdx.x / 8 + 16 i; of the keys they hold every eighth, of
 * the result four columns of every 32. Everything lies in shared memory as it does outside. */
#if METHOD == 2
enum {
    THREADS = 128,
    TILE = 64,
    KEYS = (ROWS + 7) / 8, /* of a thread */
    EACH = ROWS < TILE ? (ROWS + 15) / 16 : TILE / 16,
    LINE = HEAD + 4,
    WEIGHTS = (ROWS + 3) / 4 * 4 + 4,
    COLUMNS = (HEAD + 31) / 32
};

static __device__ __forceinline__ void load_rows(const problem &p, const work &at, int part,
                                                 int first, int count, float *to)
{
    for (int i = threadIdx.x; i < count * (HEAD / 4); i += THREADS) {
        int row = i / (HEAD / 4), column = i % (HEAD / 4) * 4;
        vec<T, 4> some = {};
        if (first + row < ROWS)
            some = *(const vec<T, 4> *)(row_of(p, at, part, first + row) + column);
        vec<float, 4> out;
#pragma unroll
        for (int v = 0; v < 4; v++) out.at[v] = to_float(some.at[v]);
        *(vec<float, 4> *)(to + row * LINE + column) = out;
    }
}

extern "C" __global__ void __launch_bounds__(THREADS) windows(const __grid_constant__ problem p)
{
    extern __shared__ __align__(16) float memory[];
    float *q = memory, *k = q + EACH * 16 * LINE, *v = k + KEYS * 8 * LINE;
    float *weight = v + KEYS * 8 * LINE;
    work at = enter<TILE>(p);
    int mine = threadIdx.x / 8, lane = threadIdx.x % 8;
    float s[EACH][KEYS];
    if (BIAS != 2) tn_wait_for_producer();
#pragma unroll
    for (int i = 0; i < EACH; i++)
#pragma unroll
        for (int j = 0; j < KEYS; j++) {
            int row = min(at.first + mine + 16 * i, ROWS - 1), key = min(lane + 8 * j, ROWS - 1);
            s[i][j] = 0;
            if (BIAS) s[i][j] = to_float(p.bias[(at.head * ROWS + row) * ROWS + key]);
        }
    if (BIAS == 2) tn_wait_for_producer();
    tn_start_consumer();
    load_rows(p, at, 0, at.first, EACH * 16, q);
    load_rows(p, at, 1, 0, KEYS * 8, k);
    load_rows(p, at, 2, 0, KEYS * 8, v);
    __syncthreads();
    float dot[EACH][KEYS] = {};
#pragma unroll
    for (int d = 0; d < HEAD; d += 4) {
        vec<float, 4> a[EACH];
#pragma unroll
        for (int i = 0; i < EACH; i++) a[i] = *(vec<float, 4> *)(q + (mine + 16 * i) * LINE + d);
#pragma unroll
        for (int j = 0; j < KEYS; j++) {
            vec<float, 4> b = *(vec<float, 4> *)(k + (lane + 8 * j) * LINE + d);
#pragma unroll
            for (int i = 0; i < EACH; i++)
#pragma unroll
                for (int e = 0; e < 4; e++) dot[i][j] += a[i].at[e] * b.at[e];
        }
    }
    float total[EACH];
#pragma unroll
    for (int i = 0; i < EACH; i++) {
        float top = __int_as_float(0xff800000);
        int region = region_of(p.all, at.here, at.first + mine + 16 * i);
#pragma unroll
        for (int j = 0; j < KEYS; j++) {
            int key = lane + 8 * j;
            s[i][j] += dot[i][j] * p.all.scale;
            if (at.here.edge && region_of(p.all, at.here, key) != region) s[i][j] += p.all.mask;
            if (key >= ROWS) s[i][j] = __int_as_float(0xff800000);
            top = fmaxf(top, s[i][j]);
        }
#pragma unroll
        for (int n = 4; n > 0; n >>= 1) top = fmaxf(top, __shfl_xor_sync(FULL, top, n));
        total[i] = 0;
#pragma unroll
        for (int j = 0; j < KEYS; j++) {
            s[i][j] = exp2_approx((s[i][j] - top) * LOG2E);
            total[i] += s[i][j];
            if (lane + 8 * j < WEIGHTS - 4)
                weight[(mine + 16 * i) * WEIGHTS + lane + 8 * j] = s[i][j];
        }
#pragma unroll
        for (int n = 4; n > 0; n >>= 1) total[i] += __shfl_xor_sync(FULL, total[i], n);
    }
    __syncwarp(); /* the eight threads of a query belong to one warp */
    vec<float, 4> sum[EACH][COLUMNS] = {};
#pragma unroll 4
    for (int key = 0; key < WEIGHTS - 4; key += 4) {
        vec<float, 4> a[EACH];
#pragma unroll
        for (int i = 0; i < EACH; i++)
            a[i] = *(vec<float, 4> *)(weight + (mine + 16 * i) * WEIGHTS + key);
#pragma unroll
        for (int c = 0; c < COLUMNS; c++) {
            if (c * 32 + lane * 4 >= HEAD) break;
#pragma unroll
            for (int n = 0; n < 4; n++) {
                vec<float, 4> b = *(vec<float, 4> *)(v + (key + n) * LINE + c * 32 + lane * 4);
#pragma unroll
                for (int i = 0; i < EACH; i++)
#pragma unroll
                    for (int e = 0; e < 4; e++) sum[i][c].at[e] += a[i].at[n] * b.at[e];
            }
        }
    }
#pragma unroll
    for (int i = 0; i < EACH; i++) {
        int row = at.first + mine + 16 * i;
        float by = 1 / total[i];
#pragma unroll
        for (int c = 0; c < COLUMNS; c++) {
            vec<T, 4> out;
            if (row >= ROWS || c * 32 + lane * 4 >= HEAD) continue;
#pragma unroll
            for (int e = 0; e < 4; e++) from_float(sum[i][c].at[e] * by, &out.at[e]);
            *(vec<T, 4> *)(result_of(p, at, row) + c * 32 + lane * 4) = out;
        }
    }
}
#endif

/* ---- Tensor cores ----------------------------------------------------------------------------
 *
 * A warp has 16 queries and of them all keys of the window. Scores begin as the bias, read while
 * the kernel ahead still runs. Weights go from the scores' registers to the next product. */
#if METHOD == 3
enum {
    THREADS = 128,
    TILE = 64,
    STEP = 32 / sizeof(T), /* of a product: what 32 bytes hold */
    KEYS = (ROWS + 15) / 16 * 16,
    TILES = (ROWS + 7) / 8,
    CHUNK = 16 / sizeof(T),
    LINE = HEAD + CHUNK
};

static __device__ __forceinline__ void copy_rows(const problem &p, const work &at, int part,
                                                 T *to)
{
    constexpr int EACH = HEAD / CHUNK;
    for (int i = threadIdx.x; i < KEYS * EACH; i += THREADS) {
        int row = i / EACH, column = i % EACH * CHUNK;
        const T *from = row_of(p, at, part, min(row, ROWS - 1)) + column;
        copy_begin(to + row * LINE + column, from, row < ROWS);
    }
}

/* Keys and values of a window on their way; its queries. */
static __device__ __forceinline__ void fetch(const problem &p, const work &at, T *room,
                                             uint32 a[HEAD / STEP][4])
{
    const T *q[2];
    copy_rows(p, at, 1, room);
    copy_rows(p, at, 2, room + KEYS * LINE);
    copy_group();
#pragma unroll
    for (int i = 0; i < 2; i++) {
        int row = at.first + threadIdx.x / 32 * 16 + threadIdx.x % 32 / 4 + i * 8;
        q[i] = row_of(p, at, 0, min(row, ROWS - 1));
    }
    read_queries<T, HEAD>(q, a);
}

static __device__ __forceinline__ void attend(const problem &p, const work &at, const T *room,
                                              const uint32 a[1][HEAD / STEP][4],
                                              const vec<T, 2> bias[TILES][2])
{
    int lane = threadIdx.x % 32, first = at.first + threadIdx.x / 32 * 16;
    float sum[1][HEAD / 8][4] = {}, total[2];
    attend_window<T, HEAD, LINE, TILES, BIAS != 0>(p.all, at.here, first, room, room + KEYS * LINE,
                                                   a, bias, sum, total);
#pragma unroll
    for (int i = 0; i < 2; i++) {
        int row = first + lane / 4 + i * 8;
        float by = 1 / total[i];
        if (row >= ROWS) continue;
        T *y = result_of(p, at, row) + lane % 4 * 2;
#pragma unroll
        for (int c = 0; c < HEAD / 8; c++) {
            vec<T, 2> out;
            from_float(sum[0][c][2 * i] * by, &out.at[0]);
            from_float(sum[0][c][2 * i + 1] * by, &out.at[1]);
            *(vec<T, 2> *)(y + c * 8) = out;
        }
    }
}

/* Where a block takes several windows, what all of them share would fill the registers. */
extern "C" __global__ void __launch_bounds__(THREADS, REPEAT > 1 ? 4 : 1)
    windows(const __grid_constant__ problem p)
{
    extern __shared__ __align__(16) uint8 memory[];
    constexpr int STAGE = 2 * KEYS * LINE;
    T *room = (T *)memory;
    int lane = threadIdx.x % 32, head = blockIdx.x % p.heads, rest = blockIdx.x / p.heads;
    int first = rest % p.tiles * TILE, number = rest / p.tiles * REPEAT;
    int mine = first + threadIdx.x / 32 * 16;
    vec<T, 2> bias[TILES][2];
    uint32 a[1][HEAD / STEP][4], later[HEAD / STEP][4] = {};
    if (BIAS != 2) tn_wait_for_producer();
#pragma unroll
    for (int j = 0; j < TILES * 4; j++) {
        int key = min(j / 4 * 8 + lane % 4 * 2 + j % 2, ROWS - 1);
        int row = min(mine + lane / 4 + j % 4 / 2 * 8, ROWS - 1);
        if (BIAS) bias[j / 4][j % 4 / 2].at[j % 2] = p.bias[(head * ROWS + row) * ROWS + key];
    }
    if (BIAS == 2) tn_wait_for_producer();
    work at = {place_of(p.all, number), head, first};
    fetch(p, at, room, a[0]);
    tn_start_consumer();
#pragma unroll 1
    for (int r = 0;; r++) {
        copy_wait<0>();
        __syncthreads(); /* this window is there, and nobody reads the last one any more */
        bool more = r + 1 < REPEAT && number + r + 1 < p.all.count;
        work next = at;
        if (more) {
            next.here = place_of(p.all, number + r + 1);
            fetch(p, next, room + (r + 1) % 2 * STAGE, later);
        }
        if (mine < ROWS) attend(p, at, room + r % 2 * STAGE, a, bias);
        if (!more) break;
        at = next;
#pragma unroll
        for (int d = 0; d < HEAD / STEP * 4; d++) a[0][d / 4][d % 4] = later[d / 4][d % 4];
    }
}
#endif
