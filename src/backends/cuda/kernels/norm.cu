/* Normalisations of rows: (x - mean) * inverse * scale + bias, with inverse = 1 / sqrt(variance +
 * epsilon). The variance is of the distances from the mean, in a second pass.
 *
 * MODE 0: scale and bias lie along the row (LayerNormalization); 1: the same without the mean
 * (RMSNormalization); 2: they are by channel (InstanceNormalization, GroupNormalization).
 * rows: a row in registers: WARPS warps for each, or LANES threads of one, which then have REPEAT
 * rows on their way at once; ELEMENTS of a row in each thread, VEC side by side.
 * stream: a row of any length, read three times. affine: BatchNormalization with given statistics.
 * TABLES: rows is given as many tables in place of x, and adds up a row of each (EmbeddingNorm). */
#ifndef TX
#define TX float
#define TY float
#define TS float
#define TM float
#define TW float
#define VEC 4
#define ELEMENTS 8
#define WARPS 4
#define LANES 32
#define REPEAT 1
#define MODE 0
#endif
#ifndef TABLES
#define TABLES 0
#endif

/* Row r takes the row ids[r % period], or r % period without ids. */
struct table { /* mirrored in norm.c, like what follows */
    const TX *rows;
    const void *ids; /* int64 if wide, else int32; may be NULL */
    int32 count, period, wide;
};

struct task {
    const TX *x;
    const TS *scale, *bias; /* bias, mean and inverse may be NULL */
    TY *y;
    TM *mean, *inverse;
    int32 rows, length;
    int32 groups, each, inner; /* MODE 2: row r, element i is of channel r % groups * each + i / inner */
    float epsilon;
    int32 early; /* scale and bias are of no kernel ahead */
#if TABLES
    table of[TABLES];
#endif
};

/* Where the elements of a row come from. What is not there is zero. */
struct origin {
    const TX *x[TABLES ? TABLES : 1];

    __device__ __forceinline__ origin(const task &p, int64 row)
    {
#if TABLES
#pragma unroll
        for (int t = 0; t < TABLES; t++) {
            int place = row < p.rows ? (int)row % p.of[t].period : 0;
            int64 id = place;
            if (p.of[t].ids && p.of[t].wide) id = ((const int64 *)p.of[t].ids)[place];
            else if (p.of[t].ids) id = ((const int32 *)p.of[t].ids)[place];
            if (id < 0) id += p.of[t].count;
            bool there = row < p.rows && id >= 0 && id < p.of[t].count;
            x[t] = there ? p.of[t].rows + id * p.length : NULL;
        }
#else
        x[0] = row < p.rows ? p.x + row * p.length : NULL;
#endif
    }
    __device__ __forceinline__ void read(int at, bool inside, TW *value) const
    {
#pragma unroll
        for (int t = 0; t < (TABLES ? TABLES : 1); t++) {
            bool there = inside && x[t];
            vec<TX, VEC> in;
            if (there) in = *(const vec<TX, VEC> *)(x[t] + at);
#pragma unroll
            for (int i = 0; i < VEC; i++)
                value[i] = (t ? value[i] : (TW)0) + (there ? as<TW>(in.at[i]) : (TW)0);
        }
    }
};

/* Over so many neighbouring lanes. */
template <int COUNT> static __device__ __forceinline__ TW sum_of_lanes(TW x)
{
#pragma unroll
    for (int k = COUNT / 2; k > 0; k >>= 1) x += __shfl_xor_sync(0xffffffffu, x, k);
    return x;
}

/* What VEC elements of a row from `at` on are multiplied with, and what is added to them. */
struct factors {
    vec<TS, VEC> scale, bias;

    __device__ __forceinline__ void read(const task &p, int64 row, int at)
    {
        if (MODE != 2) {
            scale = *(const vec<TS, VEC> *)(p.scale + at);
            if (p.bias) bias = *(const vec<TS, VEC> *)(p.bias + at);
        } else {
#pragma unroll
            for (int i = 0; i < VEC; i++) {
                int channel = (int)(row % p.groups) * p.each + (at + i) / p.inner;
                scale.at[i] = p.scale[channel];
                bias.at[i] = p.bias[channel];
            }
        }
    }
};

static __device__ __forceinline__ void finish(const task &p, int64 row, int at, const TW *value,
                                              TW mean, TW inverse, const factors &by)
{
    vec<TY, VEC> out;
#pragma unroll
    for (int i = 0; i < VEC; i++) {
        TW result = (value[i] - mean) * inverse * as<TW>(by.scale.at[i]);
        if (p.bias) result += as<TW>(by.bias.at[i]);
        put(result, &out.at[i]);
    }
    *(vec<TY, VEC> *)(p.y + row * p.length + at) = out;
}

static __device__ __forceinline__ void tell(const task &p, int64 row, TW mean, TW inverse)
{
    if (p.mean) put(mean, &p.mean[row]);
    if (p.inverse) put(inverse, &p.inverse[row]);
}

/* The sum over a row; `part` has room for a number of each warp. */
static __device__ __forceinline__ TW sum_of_row(TW x, TW *part)
{
    x = sum_of_lanes<LANES>(x);
    if (WARPS > 1) {
        if (threadIdx.x % 32 == 0) part[threadIdx.x / 32] = x;
        __syncthreads();
        x = 0;
        for (int k = 0; k < WARPS; k++) x += part[k];
    }
    return x;
}

extern "C" __global__ void __launch_bounds__(WARPS > 1 ? WARPS * 32 : 128)
    rows(const __grid_constant__ task p)
{
    constexpr int TEAM = WARPS > 1 ? WARPS * 32 : LANES;
    __shared__ TW part[2][WARPS];
    int teams = blockDim.x / TEAM, team = threadIdx.x / TEAM, first = threadIdx.x % TEAM * VEC;
    int64 row[REPEAT];
    TW value[REPEAT][ELEMENTS], mean[REPEAT], square[REPEAT];
    factors by[ELEMENTS / VEC];
    tn_start_consumer();
    if (!p.early) tn_wait_for_producer();
#pragma unroll
    for (int j = 0; j < ELEMENTS && MODE != 2; j += VEC)
        if (first + j * TEAM < p.length) by[j / VEC].read(p, 0, first + j * TEAM);
    if (p.early) tn_wait_for_producer();
#pragma unroll
    for (int r = 0; r < REPEAT; r++) {
        row[r] = ((int64)blockIdx.x * REPEAT + r) * teams + team;
        mean[r] = square[r] = 0;
        origin from(p, row[r]);
#pragma unroll
        for (int j = 0; j < ELEMENTS; j += VEC)
            from.read(first + j * TEAM, first + j * TEAM < p.length, value[r] + j);
    }
#pragma unroll
    for (int r = 0; r < REPEAT; r++) {
#pragma unroll
        for (int j = 0; j < ELEMENTS; j++) mean[r] += value[r][j];
        mean[r] = MODE == 1 ? 0 : sum_of_row(mean[r], part[0]) / p.length;
#pragma unroll
        for (int j = 0; j < ELEMENTS; j++) {
            TW off = value[r][j] - mean[r];
            if (first + j / VEC * VEC * TEAM < p.length) square[r] += off * off;
        }
        square[r] = sum_of_row(square[r], part[1]);
    }
#pragma unroll
    for (int r = 0; r < REPEAT; r++) {
        TW inverse = 1 / sqrt(square[r] / p.length + (TW)p.epsilon);
        if (row[r] >= p.rows) break;
#pragma unroll
        for (int j = 0; j < ELEMENTS; j += VEC) {
            int at = first + j * TEAM;
            if (at >= p.length) continue;
            if (MODE == 2) by[j / VEC].read(p, row[r], at);
            finish(p, row[r], at, value[r] + j, mean[r], inverse, by[j / VEC]);
        }
        if (first == 0) tell(p, row[r], mean[r], inverse);
    }
}

/* The sum over a block; `part` has room for a number of each warp. */
static __device__ __forceinline__ TW sum_of_block(TW x, TW *part)
{
    int warps = blockDim.x / 32;
    x = sum_of_lanes<32>(x);
    if (threadIdx.x % 32 == 0) part[threadIdx.x / 32] = x;
    __syncthreads();
    x = 0;
    for (int k = 0; k < warps; k++) x += part[k];
    return x;
}

extern "C" __global__ void __launch_bounds__(1024) stream(const __grid_constant__ task p)
{
    __shared__ TW part[2][32];
    int64 row = blockIdx.x;
    const TX *x = p.x + row * p.length;
    TW mean = 0, square = 0;
    tn_start_consumer();
    tn_wait_for_producer();
    if (MODE != 1) {
        for (int at = threadIdx.x * VEC; at < p.length; at += blockDim.x * VEC) {
            vec<TX, VEC> in = *(const vec<TX, VEC> *)(x + at);
#pragma unroll
            for (int i = 0; i < VEC; i++) mean += as<TW>(in.at[i]);
        }
        mean = sum_of_block(mean, part[0]) / p.length;
    }
    for (int at = threadIdx.x * VEC; at < p.length; at += blockDim.x * VEC) {
        vec<TX, VEC> in = *(const vec<TX, VEC> *)(x + at);
#pragma unroll
        for (int i = 0; i < VEC; i++) {
            TW off = as<TW>(in.at[i]) - mean;
            square += off * off;
        }
    }
    square = sum_of_block(square, part[1]);
    TW inverse = 1 / sqrt(square / p.length + (TW)p.epsilon);
    for (int at = threadIdx.x * VEC; at < p.length; at += blockDim.x * VEC) {
        vec<TX, VEC> in = *(const vec<TX, VEC> *)(x + at);
        TW value[VEC];
#pragma unroll
        for (int i = 0; i < VEC; i++) value[i] = as<TW>(in.at[i]);
        factors by;
        by.read(p, row, at);
        finish(p, row, at, value, mean, inverse, by);
    }
    if (threadIdx.x == 0) tell(p, row, mean, inverse);
}

/* x is [batch, channels, inner] of `count` elements; VEC divides inner. TM: of the statistics. */
extern "C" __global__ void __launch_bounds__(256)
    affine(const TX *x, const TS *scale, const TS *bias, const TM *mean, const TM *variance, TY *y,
           uint32 count, divider inner, divider channels, float epsilon)
{
    uint32 at = (blockIdx.x * 256 + threadIdx.x) * VEC, rest, channel;
    tn_start_consumer();
    tn_wait_for_producer();
    if (at >= count) return;
    divide(divide(at, inner, &rest), channels, &channel);
    TW factor = as<TW>(scale[channel]) / sqrt(as<TW>(variance[channel]) + (TW)epsilon);
    TW middle = as<TW>(mean[channel]), add = as<TW>(bias[channel]);
    vec<TX, VEC> in = *(const vec<TX, VEC> *)(x + at);
    vec<TY, VEC> out;
#pragma unroll
    for (int i = 0; i < VEC; i++) put((as<TW>(in.at[i]) - middle) * factor + add, &out.at[i]);
    *(vec<TY, VEC> *)(y + at) = out;
}
