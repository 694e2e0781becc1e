/* Attention without a matrix of scores: a block takes BQ queries of one head and goes over the keys
 * BK at a time, with a running maximum and sum for each query.
 *
 *     score = softcap(q . k * scale) + mask + bias;  y = sum of softmax(score) v
 *
 * TYPE: of elements. HEAD, V_HEAD: sizes of a head. V: elements read at once. MASK: the type of the
 * mask, MASK_BOOL: it tells which keys count. TENSOR: tensor cores do the multiplying; elements are
 * of 16 bits then, and sizes of heads multiples of 16. */
#ifndef TYPE
#define TYPE float
#define HEAD 64
#define V_HEAD 64
#define BQ 32
#define BK 64
#define V 4
#define MASK float
#define MASK_BOOL 0
#define TENSOR 0
#endif
typedef TYPE T;

#define FULL 0xffffffffu
#define NEVER __int_as_float(0xff800000)

struct steps {
    int64 batch, head, row;
};
struct problem {
    const T *q, *k, *v, *past_k, *past_v, *bias;
    const MASK *mask;
    const int64 *lengths;
    T *y;
    steps at_q, at_k, at_v, at_y;
    int64 past_k_plane, past_v_plane; /* from one head's past to the next one's */
    int64 mask_step[4], bias_step[2];
    int heads, sharing; /* of q; heads of q that read one of k and v */
    int q_rows, rows, past, mask_batches, mask_columns, causal, left, right, tiles;
    float scale, softcap;
};

/* Keys that a query may see. */
static __device__ __forceinline__ void range_of(const problem &p, int batch, int row, int *begin,
                                                int *end)
{
    int at = p.past + row;
    *begin = 0;
    *end = p.rows;
    if (p.lengths) {
        int64 length = p.lengths[batch];
        *end = (int)(length < 0 ? 0 : length > p.rows ? p.rows : length);
        at = *end - p.q_rows + row;
    }
    if (p.causal) *end = min(*end, at + 1);
    if (p.right >= 0) *end = min(*end, at + p.right + 1);
    if (p.left >= 0) *begin = max(*begin, at - p.left);
    *end = max(*end, 0);
    *begin = min(*begin, *end);
}

static __device__ __forceinline__ float score_of(float dot, const problem &p, const MASK *mask,
                                                 const T *bias, int key)
{
    float score = dot * p.scale, more = 0;
    if (p.softcap > 0) score = p.softcap * tanhf(score / p.softcap);
    if (mask) {
        if (p.mask_columns != 1 && key >= p.mask_columns) return NEVER;
        MASK value = mask[key * p.mask_step[3]];
#if MASK_BOOL
        if (!value) return NEVER;
#else
        more = to_float(value);
#endif
    }
    if (bias) more += to_float(bias[key]);
    return more == NEVER ? NEVER : score + more;
}

/* Where a block works. */
struct place {
    int batch, head, first; /* query */
    const T *q, *new_k, *new_v, *old_k, *old_v;
    T *y;
};
static __device__ __forceinline__ place enter(const problem &p)
{
    int tile = blockIdx.x % p.tiles, head = blockIdx.x / p.tiles % p.heads;
    int batch = blockIdx.x / p.tiles / p.heads, kv = head / p.sharing;
    int64 plane = (int64)batch * (p.heads / p.sharing) + kv;
    return {batch,
            head,
            tile * BQ,
            p.q + batch * p.at_q.batch + head * p.at_q.head,
            p.k + batch * p.at_k.batch + kv * p.at_k.head,
            p.v + batch * p.at_v.batch + kv * p.at_v.head,
            p.past_k + plane * p.past_k_plane,
            p.past_v + plane * p.past_v_plane,
            p.y + batch * p.at_y.batch + head * p.at_y.head};
}

/* The row of a query; NULL where there is no such operand. */
static __device__ __forceinline__ const MASK *mask_of(const problem &p, int batch, int head,
                                                      int row)
{
    if (!p.mask) return nullptr;
    return p.mask + batch % p.mask_batches * p.mask_step[0] + head * p.mask_step[1] +
           row * p.mask_step[2];
}
static __device__ __forceinline__ const T *bias_of(const problem &p, int head, int row)
{
    return p.bias ? p.bias + head * p.bias_step[0] + row * p.bias_step[1] : nullptr;
}

/* ---- Multiply-adds ---------------------------------------------------------------------------
 *
 * Of 128 threads, 16 share BQ / 8 queries: of each tile of scores they hold every 16th key, of the
 * result every 16th column. All queries and keys of a tile lie in shared memory along the head, so
 * that neighbours are read side by side; the weights of the values go where the keys were. */
#if !TENSOR
enum {
    THREADS = 128,
    ROWS = BQ / 8,
    KEYS = BK / 16,
    COLUMNS = (V_HEAD + 15) / 16,
    V_WIDTH = COLUMNS * 16,
    Q_LINE = BQ + 4,
    K_LINE = BK + 4,
    R = ROWS < 4 ? ROWS : 4 /* rows read at once */
};

/* Rows [first, first + WIDTH) of one head, those from `end` on as zeros; turned: along the head.
 * Tells whether some value is not finite. */
template <int SIZE, int WIDTH, bool TURNED>
static __device__ __forceinline__ bool load_rows(const T *past, int past_rows, const T *fresh,
                                                 int64 step, int first, int end, float *to)
{
    constexpr int EACH = (SIZE + V - 1) / V, LINE = TURNED ? WIDTH + 4 : V_WIDTH;
    bool wild = false;
    for (int i = threadIdx.x; i < WIDTH * EACH; i += THREADS) {
        int row = i / EACH, column = i % EACH * V, at = first + row;
        pack<T, V> some = {};
        if (at < end) {
            const T *from =
                at < past_rows ? past + (int64)at * SIZE : fresh + (int64)(at - past_rows) * step;
            some = *(const pack<T, V> *)(from + column);
        }
#pragma unroll
        for (int v = 0; v < V; v++) {
            float x = to_float(some.at[v]);
            wild = wild || !isfinite(x);
            to[TURNED ? (column + v) * LINE + row : row * LINE + column + v] = x;
        }
    }
    return wild;
}

/* sum += weights * values. A key without weight adds nothing, which takes care where a value is
 * not finite. */
template <bool CAREFUL>
static __device__ __forceinline__ void add_values(const float *weight, const float *value,
                                                  float sum[ROWS][COLUMNS])
{
#pragma unroll 4
    for (int n = 0; n < BK; n++) {
        pack<float, R> a[ROWS / R];
#pragma unroll
        for (int i = 0; i < ROWS / R; i++)
            a[i] = *(const pack<float, R> *)(weight + n * Q_LINE + i * R);
#pragma unroll
        for (int j = 0; j < COLUMNS; j++) {
            float b = value[n * V_WIDTH + 16 * j];
#pragma unroll
            for (int i = 0; i < ROWS; i++) {
                float x = a[i / R].at[i % R];
                sum[i][j] += CAREFUL && x == 0 ? 0 : x * b;
            }
        }
    }
}

extern "C" __global__ void __launch_bounds__(THREADS) attention(problem p)
{
    extern __shared__ __align__(16) float memory[];
    float *q = memory, *k = q + HEAD * Q_LINE;
    float *v = k + (HEAD * K_LINE > BK * Q_LINE ? HEAD * K_LINE : BK * Q_LINE);
    place at = enter(p);
    int batch = at.batch, head = at.head, first = at.first;
    int mine = threadIdx.x / 16 * ROWS, lane = threadIdx.x % 16;
    tn_wait_for_producer();

    load_rows<HEAD, BQ, true>(nullptr, 0, at.q, p.at_q.row, first, p.q_rows, q);
    float top[ROWS], total[ROWS] = {}, sum[ROWS][COLUMNS] = {};
    int begin[ROWS], end[ROWS], low, high, unused;
#pragma unroll
    for (int i = 0; i < ROWS; i++) {
        top[i] = NEVER;
        range_of(p, batch, first + mine + i, &begin[i], &end[i]);
    }
    /* Both ends of the range rise with the row. */
    range_of(p, batch, first, &low, &unused);
    range_of(p, batch, min(first + BQ, p.q_rows) - 1, &unused, &high);

    for (int key = low / BK * BK; key < high; key += BK) {
        load_rows<HEAD, BK, true>(at.old_k, p.past, at.new_k, p.at_k.row, key, high, k);
        bool wild =
            load_rows<V_HEAD, BK, false>(at.old_v, p.past, at.new_v, p.at_v.row, key, high, v);
        wild = __syncthreads_or(wild);
        float s[ROWS][KEYS] = {};
#pragma unroll 4
        for (int d = 0; d < HEAD; d++) {
            pack<float, R> a[ROWS / R];
            float b[KEYS];
#pragma unroll
            for (int i = 0; i < ROWS / R; i++)
                a[i] = *(const pack<float, R> *)(q + d * Q_LINE + mine + i * R);
#pragma unroll
            for (int j = 0; j < KEYS; j++) b[j] = k[d * K_LINE + lane + 16 * j];
#pragma unroll
            for (int i = 0; i < ROWS; i++)
#pragma unroll
                for (int j = 0; j < KEYS; j++) s[i][j] += a[i / R].at[i % R] * b[j];
        }
        __syncthreads();
#pragma unroll
        for (int i = 0; i < ROWS; i++) {
            int row = min(first + mine + i, p.q_rows - 1);
            const MASK *mask = mask_of(p, batch, head, row);
            const T *bias = bias_of(p, head, row);
            float most = top[i];
#pragma unroll
            for (int j = 0; j < KEYS; j++) {
                int n = key + lane + 16 * j;
                bool seen = n >= begin[i] && n < end[i];
                s[i][j] = seen ? score_of(s[i][j], p, mask, bias, n) : NEVER;
                most = fmaxf(most, s[i][j]);
            }
#pragma unroll
            for (int n = 8; n > 0; n >>= 1) most = fmaxf(most, __shfl_xor_sync(FULL, most, n));
            float less = most == NEVER ? 1.0f : expf(top[i] - most), added = 0;
#pragma unroll
            for (int j = 0; j < KEYS; j++) {
                s[i][j] = s[i][j] == NEVER ? 0.0f : expf(s[i][j] - most);
                added += s[i][j];
            }
            top[i] = most;
            total[i] = total[i] * less + added;
#pragma unroll
            for (int j = 0; j < COLUMNS; j++) sum[i][j] *= less;
        }
#pragma unroll
        for (int j = 0; j < KEYS; j++)
#pragma unroll
            for (int i = 0; i < ROWS; i += R) {
                pack<float, R> some;
#pragma unroll
                for (int n = 0; n < R; n++) some.at[n] = s[i + n][j];
                *(pack<float, R> *)(k + (lane + 16 * j) * Q_LINE + mine + i) = some;
            }
        __syncwarp(); /* the 16 threads of a query belong to one warp */
        if (wild) add_values<true>(k + mine, v + lane, sum);
        else add_values<false>(k + mine, v + lane, sum);
        __syncthreads();
    }
    tn_start_consumer();

#pragma unroll
    for (int i = 0; i < ROWS; i++) {
#pragma unroll
        for (int n = 8; n > 0; n >>= 1) total[i] += __shfl_xor_sync(FULL, total[i], n);
        int row = first + mine + i;
        float by = total[i] > 0 ? 1.0f / total[i] : 0.0f;
#pragma unroll
        for (int j = 0; j < COLUMNS; j++) {
            int column = lane + 16 * j;
            if (row < p.q_rows && column < V_HEAD)
                from_float(sum[i][j] * by, &at.y[row * p.at_y.row + column]);
        }
    }
}
#endif

/* ---- Tensor cores ----------------------------------------------------------------------------
 *
 * A warp has 16 queries, and of them all keys of a tile: a thread holds two rows, lane / 4 and that
 * plus 8, and two columns of every eight. Weights go from the scores' registers to the next
 * product. While one tile of keys and values is in use, the next is on its way. */
#if TENSOR
enum { THREADS = BQ * 2, LINE = HEAD + 8, V_LINE = V_HEAD + 8 };

template <int SIZE, int WIDTH>
static __device__ __forceinline__ void copy_rows(const T *past, int past_rows, const T *fresh,
                                                 int64 step, int first, int end, T *to)
{
    for (int i = threadIdx.x; i < WIDTH * (SIZE / 8); i += THREADS) {
        int row = i / (SIZE / 8), column = i % (SIZE / 8) * 8, at = first + row;
        const T *from =
            at < past_rows ? past + (int64)at * SIZE : fresh + (int64)(at - past_rows) * step;
        copy_begin(to + row * (SIZE + 8) + column, at < end ? from + column : fresh, at < end);
    }
}

/* Infinities and nan have all bits of the exponent set. */
static __device__ __forceinline__ bool is_wild(half x)
{
    return (x.bits & 0x7c00) == 0x7c00;
}
static __device__ __forceinline__ bool is_wild(bf16 x)
{
    return (x.bits & 0x7f80) == 0x7f80;
}

static __device__ __forceinline__ bool has_wild(const T *v)
{
    bool wild = false;
    for (int i = threadIdx.x; i < BK * V_HEAD; i += THREADS)
        wild = wild || is_wild(v[i / V_HEAD * V_LINE + i % V_HEAD]);
    return wild;
}

/* sum += weights * values, where keys without weight add nothing, whatever their values. */
static __device__ void add_carefully(const float s[BK / 8][4], const T *v, float sum[V_HEAD / 8][4])
{
    int lane = threadIdx.x % 32;
#pragma unroll
    for (int i = 0; i < BK / 8; i++)
#pragma unroll
        for (int e = 0; e < 8; e++) {
            float a = __shfl_sync(FULL, s[i][e % 2], lane / 4 * 4 + e / 2);
            float b = __shfl_sync(FULL, s[i][2 + e % 2], lane / 4 * 4 + e / 2);
            const T *line = v + (i * 8 + e) * V_LINE + lane % 4 * 2;
#pragma unroll
            for (int j = 0; j < V_HEAD / 8; j++)
#pragma unroll
                for (int c = 0; c < 2; c++) {
                    float x = to_float(line[j * 8 + c]);
                    sum[j][c] += a == 0 ? 0 : a * x;
                    sum[j][2 + c] += b == 0 ? 0 : b * x;
                }
        }
}

static __device__ __forceinline__ void add_values(const float s[BK / 8][4], const T *v,
                                                  float sum[V_HEAD / 8][4])
{
    int lane = threadIdx.x % 32;
#pragma unroll
    for (int n = 0; n < BK / 16; n++) {
        const float *low = s[2 * n], *high = s[2 * n + 1];
        uint32 a[4] = {pair_of(T(), low[0], low[1]), pair_of(T(), low[2], low[3]),
                       pair_of(T(), high[0], high[1]), pair_of(T(), high[2], high[3])};
#pragma unroll
        for (int j = 0; j < V_HEAD / 16; j++) {
            uint32 b[4];
            load_matrices<true>(b, v + (n * 16 + lane % 16) * V_LINE + j * 16 + lane / 16 * 8);
            multiply_add(T(), sum[2 * j], a, b);
            multiply_add(T(), sum[2 * j + 1], a, b + 2);
        }
    }
}

extern "C" __global__ void __launch_bounds__(THREADS) attention(problem p)
{
    extern __shared__ __align__(16) uint16 memory[];
    T *q = (T *)memory, *keys = q + BQ * LINE, *values = keys + 2 * BK * LINE;
    place at = enter(p);
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    int row[2] = {at.first + warp * 16 + lane / 4, at.first + warp * 16 + lane / 4 + 8};
    int begin[2], end[2], low, high, unused;
    float top[2] = {NEVER, NEVER}, total[2] = {}, sum[V_HEAD / 8][4] = {};
    uint32 a[HEAD / 16][4];
    tn_wait_for_producer();
    for (int i = 0; i < 2; i++) range_of(p, at.batch, row[i], &begin[i], &end[i]);
    /* Both ends of the range rise with the row. */
    range_of(p, at.batch, at.first, &low, &unused);
    range_of(p, at.batch, min(at.first + BQ, p.q_rows) - 1, &unused, &high);
    low = low / BK * BK;

    copy_rows<HEAD, BQ>(nullptr, 0, at.q, p.at_q.row, at.first, p.q_rows, q);
    copy_rows<HEAD, BK>(at.old_k, p.past, at.new_k, p.at_k.row, low, high, keys);
    copy_rows<V_HEAD, BK>(at.old_v, p.past, at.new_v, p.at_v.row, low, high, values);
    copy_group();
    for (int key = low, now = 0; key < high; key += BK, now ^= 1) {
        const T *k = keys + now * BK * LINE, *v = values + now * BK * V_LINE;
        copy_wait<0>();
        __syncthreads(); /* this tile is there, and nobody reads the last one any more */
        if (key + BK < high) {
            copy_rows<HEAD, BK>(at.old_k, p.past, at.new_k, p.at_k.row, key + BK, high,
                                keys + (now ^ 1) * BK * LINE);
            copy_rows<V_HEAD, BK>(at.old_v, p.past, at.new_v, p.at_v.row, key + BK, high,
                                  values + (now ^ 1) * BK * V_LINE);
            copy_group();
        }
        if (key == low)
#pragma unroll
            for (int d = 0; d < HEAD / 16; d++)
                load_matrices<false>(a[d],
                                     q + (warp * 16 + lane % 16) * LINE + d * 16 + lane / 16 * 8);
        float s[BK / 8][4] = {};
#pragma unroll
        for (int d = 0; d < HEAD / 16; d++)
#pragma unroll
            for (int j = 0; j < BK / 16; j++) {
                uint32 b[4];
                load_matrices<false>(b, k + (j * 16 + lane / 16 * 8 + lane % 8) * LINE + d * 16 +
                                            lane / 8 % 2 * 8);
                multiply_add(T(), s[2 * j], a[d], b);
                multiply_add(T(), s[2 * j + 1], a[d], b + 2);
            }
#pragma unroll
        for (int i = 0; i < 2; i++) {
            int real = min(row[i], p.q_rows - 1);
            const MASK *mask = mask_of(p, at.batch, at.head, real);
            const T *bias = bias_of(p, at.head, real);
            float most = top[i], added = 0;
#pragma unroll
            for (int j = 0; j < BK / 8 * 2; j++) {
                int n = key + j / 2 * 8 + lane % 4 * 2 + j % 2;
                float *x = &s[j / 2][2 * i + j % 2];
                *x = n >= begin[i] && n < end[i] ? score_of(*x, p, mask, bias, n) : NEVER;
                most = fmaxf(most, *x);
            }
            for (int n = 1; n < 4; n <<= 1) most = fmaxf(most, __shfl_xor_sync(FULL, most, n));
            float less = most == NEVER ? 1.0f : expf(top[i] - most);
#pragma unroll
            for (int j = 0; j < BK / 8 * 2; j++) {
                float *x = &s[j / 2][2 * i + j % 2];
                *x = *x == NEVER ? 0.0f : expf(*x - most);
                added += *x;
            }
            top[i] = most;
            total[i] = total[i] * less + added;
#pragma unroll
            for (int j = 0; j < V_HEAD / 8; j++) {
                sum[j][2 * i] *= less;
                sum[j][2 * i + 1] *= less;
            }
        }
        if (p.mask && __syncthreads_or(has_wild(v))) add_carefully(s, v, sum);
        else add_values(s, v, sum);
    }
    tn_start_consumer();

#pragma unroll
    for (int i = 0; i < 2; i++) {
        for (int n = 1; n < 4; n <<= 1) total[i] += __shfl_xor_sync(FULL, total[i], n);
        float by = total[i] > 0 ? 1.0f / total[i] : 0.0f;
        if (row[i] >= p.q_rows) continue;
        T *y = at.y + row[i] * p.at_y.row + lane % 4 * 2;
#pragma unroll
        for (int j = 0; j < V_HEAD / 8; j++)
            *(uint32 *)(y + j * 8) = pair_of(T(), sum[j][2 * i] * by, sum[j][2 * i + 1] * by);
    }
}
#endif

/* The rows of the past and then the new ones: [batch, heads, past + rows, size]. */
extern "C" __global__ void __launch_bounds__(256)
    present(const T *past, const T *fresh, T *y, steps at, int heads, int past_rows, int rows,
            int size, int64 count)
{
    int64 i = (int64)blockIdx.x * blockDim.x + threadIdx.x;
    tn_wait_for_producer();
    if (i >= count) return;
    int column = (int)(i % size), row = (int)(i / size % rows),
        head = (int)(i / size / rows % heads);
    int64 batch = i / size / rows / heads;
    if (row < past_rows) y[i] = past[((batch * heads + head) * past_rows + row) * size + column];
    else y[i] = fresh[batch * at.batch + head * at.head + (row - past_rows) * at.row + column];
}
