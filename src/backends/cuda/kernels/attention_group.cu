/* Attention by warpgroups (compute capability 9.0a) where nothing but a mask over keys limits what
 * queries see, without a matrix of scores.
 *
 *     y = sum of softmax(scale * q . k + mask of the key) v
 *
 * A block has GROUPS warpgroups of 64 queries each; BLOCKS of them fill a multiprocessor. Tiles of
 * 64 keys and values come by the copy engine into a ring of STAGES and leave it when every warp has
 * read them. Warpgroups go their own ways, some multiplying while others turn scores into weights.
 * TYPE: of elements. HEAD: columns of a head. MASK: its type.
 *
 * TEAM: so many warpgroups share the keys of the same 64 queries, by turns, each with a ring of its
 * own; in the end each puts a part of the columns of all sums together. For few queries.
 *
 * Weights are 2^(score - top), for a top of each query that is good enough: the largest score of
 * the first keys, raised only when weights become large. Where keys are not masked scores begin
 * with nothing; else with the mask, divided by the scale.
 *
 * Masks count as no less than -LIMIT, and all this holds for scores up to SAFE. Where a top is
 * beyond or a result is not finite, the warp does its queries again, slowly and with care: a key
 * whose mask is -inf counts for nothing whatever it holds. */
#ifndef TYPE
#define TYPE half
#define HEAD 64
#define GROUPS 2
#define TEAM 1
#define STAGES 6
#define BLOCKS 2
#define MASK half
#endif
typedef TYPE T;

#if __CUDA_ARCH__ == 900 && !WARPGROUPS_MULTIPLY
#error "code for cards to come would not multiply by warpgroups"
#endif

#define FULL 0xffffffffu
#define NEVER __int_as_float(0xff800000)
#define LOG2E 1.44269504088896f
#define LIMIT 67108864.0f /* of masks, as exponents of 2 */
#define SAFE 16777216.0f  /* of tops: their rounding is half a unit there */
#define MOST 4096.0f      /* weights of a tile and a thread that do not raise the top */

static_assert(TEAM == 1 || GROUPS == 1, "keys are shared for the queries of one warpgroup");

enum {
    THREADS = 128 * GROUPS * TEAM,
    WARPS = 4 * GROUPS, /* that read a ring */
    BK = 64,
    CHUNK = HEAD % 64 ? 32 : 64, /* columns that lie side by side in shared memory */
    CHUNKS = HEAD / CHUNK,
    TILES = BK / 8,
    ROW = CHUNK * sizeof(T),
    STAGE = 2 * BK * HEAD * sizeof(T), /* keys, by chunks, then values */
    LAG = STAGES / 2                   /* so many tiles warps may be apart */
};

struct steps {
    int64 batch, head, row;
};
struct problem { /* mirrored in attention_keys.c; k and v come as maps of tensors too */
    const T *q, *k, *v;
    const MASK *mask;
    T *y;
    steps at_q, at_k, at_v, at_y;
    int64 mask_batch, mask_key; /* steps */
    int heads, sharing;         /* of q; heads of q that read one of k and v */
    int q_rows, rows, mask_batches, tiles;
    float scale;
};

/* What all threads of a ring know. */
struct block {
    uint8 *room;     /* of the ring */
    uint32 barriers; /* that each stage is full, then that it is free */
    int head, batch; /* of the keys */
    int own;         /* which of those that share the keys */
    int end;         /* tiles of its keys */

    /* A tile's first key. */
    __device__ __forceinline__ int key(int n) const { return (n * TEAM + own) * BK; }
};

/* What a thread knows of its queries. */
struct state {
    float top[2], total[2], sum[CHUNKS][CHUNK / 8][4];
};

/* Tile n on its way. */
static __device__ __forceinline__ void fetch_tile(const tensor_map *keys, const tensor_map *values,
                                                  const block &b, int n)
{
    int stage = n % STAGES;
    uint32 full = b.barriers + stage * 8, to = shared_address(b.room + stage * STAGE);
    if (n >= STAGES) barrier_wait_block(full + STAGES * 8, n / STAGES - 1 & 1);
    barrier_expect(full, STAGE);
#pragma unroll
    for (int i = 0; i < 2 * CHUNKS; i++)
        copy_tensor(to + i * BK * ROW, i < CHUNKS ? keys : values, i % CHUNKS * CHUNK, b.key(n),
                    b.head, b.batch, full);
}

/* The mask of two keys for each lane, on its way. */
static __device__ __forceinline__ void fetch_mask(const problem &p, const MASK *mask, int first,
                                                  MASK *x)
{
#pragma unroll
    for (int i = 0; i < 2; i++) {
        int key = first + 32 * i + threadIdx.x % 32;
        x[i] = MASK();
        if (mask && key < p.rows) x[i] = mask[key * p.mask_key];
    }
}

/* Scores begin, by such a mask. Returns whether as anything. */
static __device__ __forceinline__ bool begin_scores(const problem &p, const MASK *mask,
                                                    const MASK *x, int first, float (*s)[4])
{
    int lane = threadIdx.x % 32;
    float less[2], by = reciprocal_approx(p.scale), least = -LIMIT / LOG2E * by;
    if (!mask && first + BK <= p.rows) return false;
#pragma unroll
    for (int i = 0; i < 2; i++)
        less[i] = first + 32 * i + lane < p.rows ? fminf(fmaxf(to_float(x[i]) * by, least), 3e38f)
                                                 : least;
    if (!__any_sync(FULL, less[0] != 0 || less[1] != 0)) return false;
#pragma unroll
    for (int j = 0; j < TILES; j++)
#pragma unroll
        for (int c = 0; c < 2; c++)
            s[j][c] = s[j][c + 2] =
                __shfl_sync(FULL, less[j / 4], j % 4 * 8 + lane % 4 * 2 + c);
    return true;
}

/* Values by weights, and keys of the next tile by queries: each sum waits for its last product, so
 * the two take turns. */
template <bool VALUES, bool KEYS>
static __device__ __forceinline__ void multiply(const block &b, int n, const uint32 (*weights)[4],
                                                state *now, const uint32 (*a)[4], bool some,
                                                float (*s)[4])
{
    constexpr int MANY = TILES / 2 * CHUNKS, STEPS = HEAD / 16;
    uint64 values = warpgroup_tile<ROW>(shared_address(b.room + n % STAGES * STAGE + STAGE / 2));
    uint64 keys = warpgroup_tile<ROW>(shared_address(b.room + (n + VALUES) % STAGES * STAGE));
    warpgroup_hold<BK>(s);
#pragma unroll
    for (int c = 0; c < CHUNKS; c++) warpgroup_hold<CHUNK>(now->sum[c]);
    warpgroup_begin();
#pragma unroll
    for (int i = 0; i < (MANY > STEPS ? MANY : STEPS); i++) {
        int c = i % CHUNKS, row = i / CHUNKS;
        if (VALUES && i < MANY)
            warpgroup_multiply<CHUNK, true>(T(), now->sum[c], weights[row],
                                            values + ((c * BK + row * 16) * ROW >> 4), true);
        if (KEYS && i < STEPS)
            warpgroup_multiply<64, false>(
                T(), s, a[i],
                keys + ((i * 16 / CHUNK * BK * ROW + i * 16 % CHUNK * sizeof(T)) >> 4),
                i > 0 || some);
    }
    warpgroup_commit();
}

/* Until all products are done. */
static __device__ __forceinline__ void wait(float (*s)[4], state *now)
{
    warpgroup_wait<0>();
    warpgroup_hold<BK>(s);
#pragma unroll
    for (int c = 0; c < CHUNKS; c++) warpgroup_hold<CHUNK>(now->sum[c]);
}

/* Weights of scores, and their sums. */
static __device__ __forceinline__ void weigh(const float (*s)[4], const float *top, float scale,
                                             uint32 (*weights)[4], float *added)
{
    float base[2] = {top[0] * scale, top[1] * scale};
    added[0] = added[1] = 0;
#pragma unroll
    for (int j = 0; j < TILES; j++)
#pragma unroll
        for (int i = 0; i < 2; i++) {
            float x[2];
#pragma unroll
            for (int c = 0; c < 2; c++) {
                x[c] = exp2_approx(fmaf(s[j][2 * i + c], scale, -base[i]));
                added[i] += x[c];
            }
            weights[j / 2][j % 2 * 2 + i] = pair_of(T(), x[0], x[1]);
        }
}

/* The top of each query becomes the largest score so far. */
static __device__ __forceinline__ void raise(const float (*s)[4], float scale, state *now)
{
#pragma unroll
    for (int i = 0; i < 2; i++) {
        float most = now->top[i];
#pragma unroll
        for (int j = 0; j < TILES; j++) most = fmaxf(most, fmaxf(s[j][2 * i], s[j][2 * i + 1]));
        for (int n = 1; n < 4; n <<= 1) most = fmaxf(most, __shfl_xor_sync(FULL, most, n));
        float rest = exp2_approx((now->top[i] - most) * scale);
        now->top[i] = most;
        now->total[i] *= rest;
#pragma unroll
        for (int c = 0; c < CHUNKS; c++)
#pragma unroll
            for (int n = 0; n < CHUNK / 8; n++) {
                now->sum[c][n][2 * i] *= rest;
                now->sum[c][n][2 * i + 1] *= rest;
            }
    }
}

static __device__ __forceinline__ void take_keys(const problem &p, const tensor_map *keys,
                                                 const tensor_map *values, const block &b,
                                                 const MASK *mask, const uint32 (*a)[4], state *now)
{
    float s[TILES][4], scale = p.scale * LOG2E;
    uint32 weights[TILES / 2][4];
    MASK early[2];
    fetch_mask(p, mask, b.key(0), early);
    bool some = begin_scores(p, mask, early, b.key(0), s);
    barrier_wait_block(b.barriers, 0);
    multiply<false, true>(b, 0, weights, now, a, some, s);
    for (int n = 0;; n++) {
        fetch_mask(p, mask, b.key(n + 1), early);
        wait(s, now); /* these scores are there, and the last tile is done with */
        if (n > 0 && threadIdx.x % 32 == 0)
            barrier_arrive(b.barriers + (STAGES + (n - 1) % STAGES) * 8);
        int next = n + STAGES - LAG;
        if (threadIdx.x % (WARPS * 32) == n % WARPS * 32 && n >= LAG && next < b.end) /* by turns */
            fetch_tile(keys, values, b, next);
        __syncwarp();
        float added[2] = {};
        if (n > 0) weigh(s, now->top, scale, weights, added);
        if (n == 0 || __any_sync(FULL, !(added[0] <= MOST && added[1] <= MOST))) {
            raise(s, scale, now);
            weigh(s, now->top, scale, weights, added);
        }
        now->total[0] += added[0];
        now->total[1] += added[1];
        if (n + 1 == b.end) break;
        some = begin_scores(p, mask, early, b.key(n + 1), s);
        barrier_wait_block(b.barriers + (n + 1) % STAGES * 8, (n + 1) / STAGES & 1);
        multiply<true, true>(b, n, weights, now, a, some, s);
    }
    multiply<true, false>(b, b.end - 1, weights, now, a, false, s);
    wait(s, now);
}

/* Of queries and the keys of this ring. Returns whether a top was beyond. */
static __device__ __forceinline__ bool sum_totals(const problem &p, state *now)
{
    for (int i = 0; i < 2; i++)
        for (int n = 1; n < 4; n <<= 1)
            now->total[i] += __shfl_xor_sync(FULL, now->total[i], n);
    float scale = p.scale * LOG2E;
    return !(fabsf(now->top[0]) * scale <= SAFE && fabsf(now->top[1]) * scale <= SAFE);
}

/* Sums of all who share the keys: each has every TEAM-th eight columns of them then, in place of
 * its first ones. `room` is of all rings, whose keys nobody needs any more. Returns whether a top
 * that counts was beyond. */
static __device__ __forceinline__ bool put_together(const problem &p, uint8 *room, float2 *about,
                                                    int own, state *now)
{
    int thread = threadIdx.x % 128, row = thread / 32 * 16 + thread % 32 / 4;
    float by[2], scale = p.scale * LOG2E;
    bool wild = false;
    for (int i = 0; i < 2; i++)
        if (thread % 4 == 0)
            about[own * 64 + row + i * 8] = make_float2(now->top[i], now->total[i]);
    __syncthreads();
#pragma unroll
    for (int i = 0; i < 2; i++) {
        float most = NEVER, total = 0;
        for (int k = 0; k < TEAM; k++) most = fmaxf(most, about[k * 64 + row + i * 8].x);
        for (int k = 0; k < TEAM; k++) {
            float2 one = about[k * 64 + row + i * 8];
            total += one.y * exp2_approx((one.x - most) * scale);
        }
        by[i] = exp2_approx((now->top[i] - most) * scale);
        wild = wild || (by[i] > 0 && !(fabsf(now->top[i]) * scale <= SAFE));
        now->total[i] = total;
    }
#pragma unroll
    for (int e = 0; e < HEAD / 8; e++) {
        const float *x = now->sum[e * 8 / CHUNK][e % (CHUNK / 8)];
        ((float4 *)room)[(own * (HEAD / 8) + e) * 128 + thread] =
            make_float4(x[0] * by[0], x[1] * by[0], x[2] * by[1], x[3] * by[1]);
    }
    __syncthreads();
#pragma unroll
    for (int e = 0; e < HEAD / 8 / TEAM; e++) {
        float *x = now->sum[0][e];
        for (int i = 0; i < 4; i++) x[i] = 0;
        for (int k = 0; k < TEAM; k++) {
            float4 one = ((const float4 *)room)[(k * (HEAD / 8) + e * TEAM + own) * 128 + thread];
            x[0] += one.x;
            x[1] += one.y;
            x[2] += one.z;
            x[3] += one.w;
        }
    }
    return wild;
}

/* Returns whether these results cannot be had so fast. */
static __device__ __forceinline__ bool put_rows(const problem &p, const state *now, int first,
                                                int own, T *y)
{
    int lane = threadIdx.x % 32;
    bool wild = false;
#pragma unroll
    for (int i = 0; i < 2; i++) {
        int row = first + i * 8 + lane / 4;
        float by = 1 / now->total[i];
        T *to = y + row * p.at_y.row + own * 8 + lane % 4 * 2;
#pragma unroll
        for (int c = 0; c < HEAD / 8 / TEAM; c++) {
            const float *x = now->sum[c * 8 / CHUNK][c % (CHUNK / 8)] + 2 * i;
            wild = wild || !isfinite(x[0]) || !isfinite(x[1]);
            if (row < p.q_rows)
                *(uint32 *)(to + c * TEAM * 8) = pair_of(T(), x[0] * by, x[1] * by);
        }
    }
    return wild;
}

/* The score of a key, and whether it is seen at all. */
static __device__ float score_of(const problem &p, const MASK *mask, const T *q, const T *k,
                                 int key, bool *seen)
{
    float x = key < p.rows ? mask ? to_float(mask[key * p.mask_key]) : 0 : NEVER, sum = 0;
    *seen = x != NEVER;
    if (!*seen) return NEVER;
    for (int d = 0; d < HEAD; d++) sum += to_float(q[d]) * to_float(k[key * p.at_k.row + d]);
    return sum * p.scale + x;
}

/* Sixteen queries of a warp, one after another: lanes have keys of their own, then columns. */
static __device__ __noinline__ void put_carefully(const problem &p, const MASK *mask, const T *q,
                                                  const T *k, const T *v, int first, T *y)
{
    int lane = threadIdx.x % 32;
    for (int row = first; row < min(first + 16, p.q_rows); row++) {
        float top = NEVER, total = 0, sum[HEAD / 32] = {};
        bool seen;
        for (int key = lane; key < p.rows; key += 32)
            top = fmaxf(top, score_of(p, mask, q + row * p.at_q.row, k, key, &seen));
        top = warp_max(top);
        for (int begin = 0; begin < p.rows; begin += 32) {
            float x = score_of(p, mask, q + row * p.at_q.row, k, begin + lane, &seen);
            float weight = seen ? exp2_approx((x - top) * LOG2E) : 0;
            uint32 all = __ballot_sync(FULL, seen);
            total += weight;
            for (int i = 0; i < 32; i++) {
                float by = __shfl_sync(FULL, weight, i);
                if (!(all >> i & 1)) continue;
                for (int c = 0; c < HEAD / 32; c++)
                    sum[c] += by * to_float(v[(begin + i) * p.at_v.row + c * 32 + lane]);
            }
        }
        total = warp_sum(total);
        for (int c = 0; c < HEAD / 32; c++)
            from_float(total == 0 ? 0 : sum[c] / total, y + row * p.at_y.row + c * 32 + lane);
    }
}

extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS)
    attention(const __grid_constant__ problem p, const __grid_constant__ tensor_map keys,
              const __grid_constant__ tensor_map values)
{
    extern __shared__ __align__(1024) uint8 memory[];
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32, own = warp / WARPS;
    int tile = blockIdx.x % p.tiles, head = blockIdx.x / p.tiles % p.heads;
    int batch = blockIdx.x / p.tiles / p.heads, kv = head / p.sharing;
    int first = tile * GROUPS * 64 + warp % WARPS * 16;
    uint8 *after = memory + TEAM * STAGES * STAGE;
    block b = {memory + own * STAGES * STAGE,
               shared_address(after) + own * STAGES * 16,
               kv,
               batch,
               own,
               ((p.rows + BK - 1) / BK + TEAM - 1 - own) / TEAM};
    tn_start_consumer();
    if (threadIdx.x % (WARPS * 32) == 0) {
        fetch_map(&keys);
        fetch_map(&values);
        for (int i = 0; i < 2 * STAGES; i++)
            barrier_make(b.barriers + i * 8, i < STAGES ? 1 : WARPS);
        barrier_made();
    }
    __syncthreads();
    tn_wait_for_producer();
    if (lane == 0)
        for (int n = warp % WARPS; n < min(b.end, STAGES); n += WARPS)
            fetch_tile(&keys, &values, b, n);
    __syncwarp();
    const T *q = p.q + batch * p.at_q.batch + head * p.at_q.head, *rows[2];
    const MASK *mask = p.mask ? p.mask + (int64)(batch % p.mask_batches) * p.mask_batch : nullptr;
    uint32 a[HEAD / 16][4];
#pragma unroll
    for (int i = 0; i < 2; i++)
        rows[i] = q + min(first + i * 8 + lane / 4, p.q_rows - 1) * p.at_q.row;
    read_queries<T, HEAD>(rows, a);
    state now = {};
    now.top[0] = now.top[1] = NEVER;
    if (b.end > 0) take_keys(p, &keys, &values, b, mask, a, &now);
    bool wild = sum_totals(p, &now);
    if (TEAM > 1) wild = put_together(p, memory, (float2 *)(after + TEAM * STAGES * 16), own, &now);
    T *y = p.y + batch * p.at_y.batch + head * p.at_y.head;
    wild = put_rows(p, &now, first, own, y) || wild;
    if (TEAM > 1 ? __syncthreads_or(wild) && own == 0 : __any_sync(FULL, wild))
        put_carefully(p, mask, q, p.k + batch * p.at_k.batch + kv * p.at_k.head,
                      p.v + batch * p.at_v.batch + kv * p.at_v.head, first, y);
}
