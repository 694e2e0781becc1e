/* Attention by tensor cores where nothing but a mask over keys limits what queries see, without a
 * matrix of scores: warps take SETS times 16 queries and go over the keys BK at a time, with a
 * running maximum and sum for each query.
 *
 *     y = sum of softmax(scale * q . k + mask of the key) v
 *
 * A block has KEY_WARPS teams of QUERY_WARPS warps. Warps of a team have queries of their own and
 * share keys and values; several teams have the same queries, share the keys out among them and add
 * up in the end, so that few queries keep a card busy. TYPE: of elements; floats are multiplied as tf32. HEAD: columns
 * of a head. STAGES: 2 while one tile of keys is in use, the next is on its way. MASK: its type.
 *
 * Scores begin as the mask, divided by the scale, so that neither costs anything on the way. A key
 * whose mask is -inf counts for nothing whatever it holds: where a result is not finite, all is done
 * again with zeros in the place of such keys. */
#ifndef TYPE
#define TYPE half
#define HEAD 64
#define BK 64
#define QUERY_WARPS 4
#define KEY_WARPS 1
#define SETS 1
#define STAGES 2
#define MASK half
#endif
typedef TYPE T;

#define FULL 0xffffffffu
#define NEVER __int_as_float(0xff800000)
#define LOG2E 1.44269504088896f

enum {
    WARPS_ALL = QUERY_WARPS * KEY_WARPS,
    THREADS = 32 * WARPS_ALL,
    STEP = 32 / sizeof(T),
    CHUNK = 16 / sizeof(T),
    LINE = HEAD + CHUNK,
    TILES = BK / 8,
    TILE = 16 * SETS * QUERY_WARPS, /* queries of a block */
    TEAM = 32 * QUERY_WARPS         /* threads that share tiles of keys */
};

struct steps {
    int64 batch, head, row;
};
struct problem { /* mirrored in attention_keys.c */
    const T *q, *k, *v;
    const MASK *mask;
    T *y;
    steps at_q, at_k, at_v, at_y;
    int64 mask_batch, mask_key; /* steps */
    int heads, sharing;         /* of q; heads of q that read one of k and v */
    int q_rows, rows, mask_batches, tiles;
    float scale;
};

/* What a thread knows of its queries. */
struct state {
    float top[SETS][2], total[SETS][2], sum[SETS][HEAD / 8][4];
};

static __device__ __forceinline__ void copy_tile(const T *from, int64 step, int first, int rows,
                                                 const float *less, bool careful, T *to)
{
    constexpr int EACH = HEAD / CHUNK;
    for (int i = threadIdx.x % TEAM; i < BK * EACH; i += TEAM) {
        int row = i / EACH, column = i % EACH * CHUNK, at = first + row;
        bool take = at < rows && !(careful && less[at] == NEVER);
        copy_begin(to + row * LINE + column, take ? from + (int64)at * step + column : from, take);
    }
}

static __device__ __forceinline__ void team_wait()
{
    if constexpr (QUERY_WARPS == 1) __syncwarp();
    else if constexpr (KEY_WARPS == 1) __syncthreads();
    else asm volatile("bar.sync %0, %1;" ::"r"(threadIdx.x / TEAM + 1), "n"((int)TEAM) : "memory");
}

/* One tile of keys and values; where LAST, values may still be under way. */
template <bool LAST>
static __device__ __forceinline__ void take_tile(const uint32 (*a)[HEAD / STEP][4], const T *k,
                                                 const T *v, const float *less, float scale,
                                                 state *now)
{
    int t = threadIdx.x % 4;
    float s[SETS][TILES][4];
#pragma unroll
    for (int j = 0; j < TILES; j++) {
        pack<float, 2> begin = *(const pack<float, 2> *)(less + j * 8 + 2 * t);
#pragma unroll
        for (int m = 0; m < SETS; m++)
#pragma unroll
            for (int c = 0; c < 4; c++) s[m][j][c] = begin.at[c % 2];
    }
    add_scores<T, HEAD, LINE, TILES, SETS>(a, k, s);
#pragma unroll
    for (int m = 0; m < SETS; m++)
#pragma unroll
        for (int i = 0; i < 2; i++) {
            float most = now->top[m][i], added = 0;
#pragma unroll
            for (int j = 0; j < TILES; j++)
                most = fmaxf(most, fmaxf(s[m][j][2 * i], s[m][j][2 * i + 1]));
            for (int n = 1; n < 4; n <<= 1) most = fmaxf(most, __shfl_xor_sync(FULL, most, n));
            /* The difference first: where every key is masked by -3e38, products would differ by
             * more than all that an exponent can be. */
            float base = most == NEVER ? 0 : most;
            float rest = exp2_approx((now->top[m][i] - base) * scale);
#pragma unroll
            for (int j = 0; j < TILES; j++)
#pragma unroll
                for (int c = 0; c < 2; c++) {
                    float *x = &s[m][j][2 * i + c];
                    *x = exp2_approx((*x - base) * scale);
                    added += *x;
                }
            now->top[m][i] = most;
            now->total[m][i] = now->total[m][i] * rest + added;
#pragma unroll
            for (int c = 0; c < HEAD / 8; c++) {
                now->sum[m][c][2 * i] *= rest;
                now->sum[m][c][2 * i + 1] *= rest;
            }
        }
    if constexpr (LAST) {
        copy_wait<0>();
        team_wait();
    }
    add_values<T, HEAD, LINE, TILES, SETS>(s, v, now->sum);
}

/* All keys of a team. Returns with everything read. */
static __device__ __forceinline__ void take_keys(const problem &p, const T *k, const T *v,
                                                 const uint32 (*a)[HEAD / STEP][4], T *room,
                                                 float *less, int batch, bool careful, state *now)
{
    int team = threadIdx.x / TEAM;
    T *keys = room + team * STAGES * 2 * BK * LINE, *values = keys + BK * LINE;
    constexpr int NEXT = BK * KEY_WARPS, STAGE = 2 * BK * LINE;
    int first = team * BK;
    if (first < p.rows) {
        copy_tile(k, p.at_k.row, first, p.rows, less, careful, keys);
        copy_group();
        copy_tile(v, p.at_v.row, first, p.rows, less, careful, values);
    }
    copy_group();
    if (!careful) {
        const MASK *mask =
            p.mask ? p.mask + (int64)(batch % p.mask_batches) * p.mask_batch : nullptr;
        float by = 1 / p.scale;
        for (int key = threadIdx.x; key < (p.rows + BK - 1) / BK * BK; key += THREADS) {
            float x = key < p.rows ? 0 : NEVER;
            if (mask && key < p.rows) {
                x = to_float(mask[key * p.mask_key]);
                /* A finite mask stays finite, as large as it may be. */
                if (x != NEVER) x = fminf(fmaxf(x * by, -3e38f), 3e38f);
            }
            less[key] = x;
        }
        __syncthreads();
    }
    /* Teams of several warps take as many steps as each other, the last one without keys: racecheck
     * wants all threads of a block to meet as often. */
    constexpr bool TOGETHER = KEY_WARPS > 1 && QUERY_WARPS > 1;
    int beyond = TOGETHER ? p.rows + team * BK : p.rows;
    for (int stage = 0; first < beyond; first += NEXT, stage ^= STAGES - 1) {
        copy_wait<STAGES == 1>();
        team_wait(); /* these keys are there, and nobody reads the last ones any more */
        if (TOGETHER && first >= p.rows) {
            if (STAGES == 1) team_wait();
            continue;
        }
        if (STAGES > 1 && first + NEXT < p.rows) {
            copy_tile(k, p.at_k.row, first + NEXT, p.rows, less, careful,
                      keys + (stage ^ 1) * STAGE);
            copy_tile(v, p.at_v.row, first + NEXT, p.rows, less, careful,
                      values + (stage ^ 1) * STAGE);
            copy_group();
        }
        take_tile<STAGES == 1>(a, keys + stage * STAGE, values + stage * STAGE, less + first,
                               p.scale * LOG2E, now);
    }
    __syncthreads();
}

/* Results of warps that shared the keys out: each tells top, sum of weights and result of its
 * queries, and eight columns of a query are one thread's to add up and write. */
static __device__ __forceinline__ bool add_up(const problem &p, state *now, float *room, int first,
                                              T *y)
{
    enum { WIDE = HEAD + 4 };
    constexpr int QUERIES = TILE;
    float *tops = room, *totals = tops + KEY_WARPS * QUERIES, *sums = totals + KEY_WARPS * QUERIES;
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    bool wild = false;
#pragma unroll
    for (int m = 0; m < SETS; m++)
#pragma unroll
        for (int i = 0; i < 2; i++) {
            int at = warp * (16 * SETS) + m * 16 + i * 8 + lane / 4;
            if (lane % 4 == 0) {
                tops[at] = now->top[m][i];
                totals[at] = now->total[m][i];
            }
#pragma unroll
            for (int c = 0; c < HEAD / 8; c++) {
                pack<float, 2> some = {{now->sum[m][c][2 * i], now->sum[m][c][2 * i + 1]}};
                *(pack<float, 2> *)(sums + at * WIDE + c * 8 + lane % 4 * 2) = some;
            }
        }
    __syncthreads();
    for (int item = threadIdx.x; item < QUERIES * (HEAD / 8); item += THREADS) {
        int query = item / (HEAD / 8), column = item % (HEAD / 8) * 8;
        float most = NEVER, total = 0, sum[8] = {};
        pack<T, 8> out;
        if (first + query >= p.q_rows) continue;
#pragma unroll
        for (int w = 0; w < KEY_WARPS; w++) most = fmaxf(most, tops[w * QUERIES + query]);
        float base = most == NEVER ? 0 : most;
#pragma unroll
        for (int w = 0; w < KEY_WARPS; w++) {
            int at = w * QUERIES + query;
            float share = exp2_approx((tops[at] - base) * (p.scale * LOG2E));
            total += share * totals[at];
#pragma unroll
            for (int e = 0; e < 8; e++) sum[e] += share * sums[at * WIDE + column + e];
        }
        float by = total > 0 ? 1 / total : 0;
#pragma unroll
        for (int e = 0; e < 8; e++) {
            wild = wild || !isfinite(sum[e]);
            from_float(sum[e] * by, &out.at[e]);
        }
        pack<T, CHUNK> *to = (pack<T, CHUNK> *)(y + (first + query) * p.at_y.row + column);
#pragma unroll
        for (int e = 0; e < 8 / CHUNK; e++) to[e] = ((const pack<T, CHUNK> *)&out)[e];
    }
    return wild;
}

/* Results of a warp that saw all keys. */
static __device__ __forceinline__ bool put_rows(const problem &p, state *now, int first, T *y)
{
    int lane = threadIdx.x % 32;
    bool wild = false;
#pragma unroll
    for (int m = 0; m < SETS; m++)
#pragma unroll
        for (int i = 0; i < 2; i++) {
            int row = first + m * 16 + i * 8 + lane / 4;
            float by = now->total[m][i] > 0 ? 1 / now->total[m][i] : 0;
            T *to = y + row * p.at_y.row + lane % 4 * 2;
            if (row >= p.q_rows) continue;
#pragma unroll
            for (int c = 0; c < HEAD / 8; c++) {
                pack<T, 2> out;
                for (int e = 0; e < 2; e++) {
                    wild = wild || !isfinite(now->sum[m][c][2 * i + e]);
                    from_float(now->sum[m][c][2 * i + e] * by, &out.at[e]);
                }
                *(pack<T, 2> *)(to + c * 8) = out;
            }
        }
    return wild;
}

extern "C" __global__ void __launch_bounds__(THREADS) attention(const __grid_constant__ problem p)
{
    extern __shared__ __align__(16) uint8 memory[];
    T *room = (T *)memory;
    float *less = (float *)(room + KEY_WARPS * STAGES * 2 * BK * LINE);
    int tile = blockIdx.x % p.tiles, head = blockIdx.x / p.tiles % p.heads;
    int batch = blockIdx.x / p.tiles / p.heads, kv = head / p.sharing, lane = threadIdx.x % 32;
    const T *k = p.k + batch * p.at_k.batch + kv * p.at_k.head;
    const T *v = p.v + batch * p.at_v.batch + kv * p.at_v.head;
    T *y = p.y + batch * p.at_y.batch + head * p.at_y.head;
    int first = tile * TILE + threadIdx.x / 32 % QUERY_WARPS * 16 * SETS;
    uint32 a[SETS][HEAD / STEP][4];
    tn_start_consumer();
    tn_wait_for_producer();
#pragma unroll
    for (int m = 0; m < SETS; m++) {
        const T *q[2];
#pragma unroll
        for (int i = 0; i < 2; i++)
            q[i] = p.q + batch * p.at_q.batch + head * p.at_q.head +
                   min(first + m * 16 + i * 8 + lane / 4, p.q_rows - 1) * p.at_q.row;
        read_queries<T, HEAD>(q, a[m]);
    }
    for (bool careful = false;; careful = true) {
        state now = {};
#pragma unroll
        for (int m = 0; m < SETS; m++) now.top[m][0] = now.top[m][1] = NEVER;
        take_keys(p, k, v, a, room, less, batch, careful, &now);
        for (int n = 1; n < 4; n <<= 1)
#pragma unroll
            for (int m = 0; m < SETS; m++)
#pragma unroll
                for (int i = 0; i < 2; i++)
                    now.total[m][i] += __shfl_xor_sync(FULL, now.total[m][i], n);
        bool wild = KEY_WARPS > 1 ? add_up(p, &now, (float *)memory, tile * TILE, y)
                                  : put_rows(p, &now, first, y);
        if (careful || !p.mask || !__syncthreads_or(wild)) break;
    }
}
