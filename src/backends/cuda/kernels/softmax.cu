/* Softmax and LogSoftmax (LOG) of floats.
 *
 * rows: rows of neighbours, kept in registers: WARPS warps for each, ELEMENTS of a row in each
 * thread, VEC side by side. stream: rows of any length, read twice. columns: axes that are not the
 * last, LANES neighbours in a block.
 *
 * A running state is the largest x so far and the sum of e^(x - largest). Of nothing but -inf that
 * sum is 0, and 0 / 0 then gives NaN, as e^(-inf + inf) does. */
#ifndef TX
#define TX float
#define TW float
#define VEC 4
#define ELEMENTS 8
#define WARPS 4
#define LOG 0
#endif

static __device__ __forceinline__ TW lowest() { return -(TW)__int_as_float(0x7f800000); }

static __device__ __forceinline__ TW term(TW x, TW top)
{
    return top == lowest() && x == x ? (TW)0 : exp(x - top);
}

static __device__ __forceinline__ TW result(TW x, TW top, TW sum, TW log_sum)
{
    return LOG ? x - top - log_sum : exp(x - top) / sum;
}

/* (top, sum) of both states. */
static __device__ __forceinline__ void join(TW &top, TW &sum, TW other_top, TW other_sum)
{
    TW next = fmax(top, other_top);
    sum = sum * term(top, next) + other_sum * term(other_top, next);
    top = next;
}

static __device__ __forceinline__ TW max_of_warp(TW x)
{
    for (int k = 16; k > 0; k >>= 1) x = fmax(x, __shfl_xor_sync(0xffffffffu, x, k));
    return x;
}

static __device__ __forceinline__ TW sum_of_warp(TW x)
{
    for (int k = 16; k > 0; k >>= 1) x += __shfl_xor_sync(0xffffffffu, x, k);
    return x;
}

extern "C" __global__ void rows(const TX *x, TX *y, int32 row_count, int32 length)
{
    __shared__ TW part[2][WARPS];
    int lane = threadIdx.x % 32, warp = WARPS == 1 ? 0 : threadIdx.x / 32;
    int64 row = WARPS == 1 ? (int64)blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32 : blockIdx.x;
    int at = (warp * 32 + lane) * VEC;
    tn_start_consumer();
    tn_wait_for_producer();
    if (row >= row_count) return;
    x += row * length;
    y += row * length;
    TW value[ELEMENTS], top = lowest(), sum = 0;
#pragma unroll
    for (int j = 0; j < ELEMENTS; j += VEC) {
        int from = at + j * 32 * WARPS;
        vec<TX, VEC> in;
        if (from < length) in = *(const vec<TX, VEC> *)(x + from);
#pragma unroll
        for (int i = 0; i < VEC; i++) {
            value[j + i] = from < length ? as<TW>(in.at[i]) : lowest();
            top = fmax(top, value[j + i]);
        }
    }
    top = max_of_warp(top);
    if (WARPS > 1) {
        if (lane == 0) part[0][warp] = top;
        __syncthreads();
        for (int k = 0; k < WARPS; k++) top = fmax(top, part[0][k]);
    }
#pragma unroll
    for (int j = 0; j < ELEMENTS; j++) sum += term(value[j], top);
    sum = sum_of_warp(sum);
    if (WARPS > 1) {
        if (lane == 0) part[1][warp] = sum;
        __syncthreads();
        sum = 0;
        for (int k = 0; k < WARPS; k++) sum += part[1][k];
    }
    TW log_sum = LOG ? log(sum) : (TW)0;
#pragma unroll
    for (int j = 0; j < ELEMENTS; j += VEC) {
        int to = at + j * 32 * WARPS;
        vec<TX, VEC> out;
#pragma unroll
        for (int i = 0; i < VEC; i++) put(result(value[j + i], top, sum, log_sum), &out.at[i]);
        if (to < length) *(vec<TX, VEC> *)(y + to) = out;
    }
}

/* Every thread of the block gets the state of all. */
static __device__ void join_block(TW &top, TW &sum)
{
    __shared__ TW part[2][32];
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
    for (int k = 16; k > 0; k >>= 1) {
        TW other_top = __shfl_xor_sync(0xffffffffu, top, k);
        TW other_sum = __shfl_xor_sync(0xffffffffu, sum, k);
        join(top, sum, other_top, other_sum);
    }
    if (lane == 0) {
        part[0][warp] = top;
        part[1][warp] = sum;
    }
    __syncthreads();
    top = part[0][0];
    sum = part[1][0];
    for (int k = 1; k < warps; k++) join(top, sum, part[0][k], part[1][k]);
}

extern "C" __global__ void __launch_bounds__(1024)
    stream(const TX *x, TX *y, int32 row_count, int32 length)
{
    TW top = lowest(), sum = 0;
    tn_start_consumer();
    tn_wait_for_producer();
    x += (int64)blockIdx.x * length;
    y += (int64)blockIdx.x * length;
    for (int at = threadIdx.x * VEC; at < length; at += blockDim.x * VEC) {
        vec<TX, VEC> in = *(const vec<TX, VEC> *)(x + at);
        TW next = top;
#pragma unroll
        for (int i = 0; i < VEC; i++) next = fmax(next, as<TW>(in.at[i]));
        sum *= term(top, next);
        top = next;
#pragma unroll
        for (int i = 0; i < VEC; i++) sum += term(as<TW>(in.at[i]), top);
    }
    join_block(top, sum);
    TW log_sum = LOG ? log(sum) : (TW)0;
    for (int at = threadIdx.x * VEC; at < length; at += blockDim.x * VEC) {
        vec<TX, VEC> in = *(const vec<TX, VEC> *)(x + at), out;
#pragma unroll
        for (int i = 0; i < VEC; i++)
            put(result(as<TW>(in.at[i]), top, sum, log_sum), &out.at[i]);
        *(vec<TX, VEC> *)(y + at) = out;
    }
}

/* x is [outer, length, inner]. A block: 32 columns, of which each 8 threads share one. */
extern "C" __global__ void __launch_bounds__(256)
    columns(const TX *x, TX *y, int32 outer, int32 length, int32 inner)
{
    __shared__ TW part[2][8][32];
    int lane = threadIdx.x % 32, part_of = threadIdx.x / 32, tiles = (inner + 31) / 32;
    int64 column = (int64)(blockIdx.x % tiles) * 32 + lane;
    int64 base = (int64)(blockIdx.x / tiles) * length * inner + column;
    TW top = lowest(), sum = 0;
    tn_start_consumer();
    tn_wait_for_producer();
    if (column < inner)
        for (int k = part_of; k < length; k += 8) {
            TW value = as<TW>(x[base + (int64)k * inner]), next = fmax(top, value);
            sum = sum * term(top, next) + term(value, next);
            top = next;
        }
    part[0][part_of][lane] = top;
    part[1][part_of][lane] = sum;
    __syncthreads();
    top = part[0][0][lane];
    sum = part[1][0][lane];
    for (int k = 1; k < 8; k++) join(top, sum, part[0][k][lane], part[1][k][lane]);
    TW log_sum = LOG ? log(sum) : (TW)0;
    if (column < inner)
        for (int k = part_of; k < length; k += 8) {
            int64 at = base + (int64)k * inner;
            put(result(as<TW>(x[at]), top, sum, log_sum), &y[at]);
        }
}
