/* Reductions. REDUCTION is one of the numbers below; elements of TX are reduced in TW to TY. CUT: a float
 * goes into an integer.
 *
 * The host has joined the axes. rows: [outer, length], a warp or a block for each row. columns:
 * [outer, length, inner], 32 neighbours of inner in a block, of which each 8 threads share one.
 * general: any other order of axes, a warp for each result. Where there are few results of much, the
 * first two work on `parts` of the length, and finish joins those. */
#ifndef TX
#define TX float
#define TY float
#define TW float
#define VEC 4
#define REDUCTION 0
#define CUT 0
#endif

enum { SUM, MEAN, MAX, MIN, PROD, L1, L2, LOG_SUM, LOG_SUM_EXP, SUM_SQUARE };

/* Of LOG_SUM_EXP: the largest x, and the sum of e^(x - largest). */
struct state {
    TW value, scaled;
};

/* Of floats; integers only pass by. */
#define FLOATS(name, function)                                                                     \
    static __device__ __forceinline__ float name(float x) { return function(x); }                  \
    static __device__ __forceinline__ double name(double x) { return function(x); }                \
    template <class S> static __device__ __forceinline__ S name(S x) { return x; }
FLOATS(exponential, exp)
FLOATS(logarithm, log)
FLOATS(root, sqrt)
#undef FLOATS

static __device__ __forceinline__ TW infinity()
{
    return (TW)__int_as_float(0x7f800000);
}

/* `least` is what a maximum or minimum of integers starts from. */
static __device__ __forceinline__ state start(int64 least)
{
    state s = {(TW)0, (TW)0};
    bool is_float = (TW)0.5 != 0;
    if (REDUCTION == PROD) s.value = 1;
    if (REDUCTION == MAX || REDUCTION == LOG_SUM_EXP) s.value = is_float ? -infinity() : (TW)least;
    if (REDUCTION == MIN) s.value = is_float ? infinity() : (TW)least;
    return s;
}

static __device__ __forceinline__ void join(state &a, const state &b)
{
    if (REDUCTION == MAX) a.value = a.value > b.value || a.value != a.value ? a.value : b.value;
    else if (REDUCTION == MIN) a.value = a.value < b.value || a.value != a.value ? a.value : b.value;
    else if (REDUCTION == PROD) a.value *= b.value;
    else if (REDUCTION != LOG_SUM_EXP) a.value += b.value;
    else if (b.value == a.value) a.scaled += b.scaled;
    else if (b.value > a.value) {
        a.scaled = a.scaled * exponential(a.value - b.value) + b.scaled;
        a.value = b.value;
    } else a.scaled += b.scaled * exponential(b.value - a.value);
}

static __device__ __forceinline__ void add(state &a, TX element)
{
    TW x = as<TW>(element);
    if (REDUCTION == L1) x = x < 0 ? 0 - x : x;
    if (REDUCTION == L2 || REDUCTION == SUM_SQUARE) x *= x;
    /* Of nothing but -inf the sum stays 0, whose logarithm is -inf. */
    bool counts = REDUCTION != LOG_SUM_EXP || x != -infinity();
    join(a, {x, (TW)counts});
}

static __device__ __forceinline__ void store(const state &s, int64 count, TY *y)
{
    TW result = s.value;
    if (REDUCTION == MEAN) {
        if ((TW)0.5 != 0 || count != 0) result /= (TW)count;
    } else if (REDUCTION == L2) result = root(result);
    else if (REDUCTION == LOG_SUM) result = logarithm(result);
    else if (REDUCTION == LOG_SUM_EXP)
        result = s.scaled == 0 ? -infinity() : s.value + logarithm(s.scaled);
#if CUT
    *y = (TY)whole((double)result);
#else
    put(result, y);
#endif
}

static __device__ __forceinline__ void join_warp(state &s)
{
    for (int k = 16; k > 0; k >>= 1) {
        state other = {__shfl_xor_sync(0xffffffffu, s.value, k), (TW)0};
        if (REDUCTION == LOG_SUM_EXP) other.scaled = __shfl_xor_sync(0xffffffffu, s.scaled, k);
        join(s, other);
    }
}

/* With blocks of one warp's width along y each warp has its own row, else the block one. */
extern "C" __global__ void __launch_bounds__(1024)
    rows(const TX *x, TY *y, state *partial, int32 outer, int32 length, int32 parts, int64 least)
{
    __shared__ TW shared[2][32];
    int64 row = (int64)blockIdx.x * blockDim.y + threadIdx.y;
    int32 each = (length + parts - 1) / parts;
    each = (each + VEC - 1) / VEC * VEC;
    int32 begin = blockIdx.y * each, end = min(begin + each, length);
    state s = start(least);
    tn_start_consumer();
    tn_wait_for_producer();
    if (row < outer)
        for (int32 at = begin + threadIdx.x * VEC; at < end; at += blockDim.x * VEC) {
            vec<TX, VEC> in = *(const vec<TX, VEC> *)(x + row * length + at);
#pragma unroll
            for (int i = 0; i < VEC; i++) add(s, in.at[i]);
        }
    join_warp(s);
    if (blockDim.x > 32) {
        if (threadIdx.x % 32 == 0) {
            shared[0][threadIdx.x / 32] = s.value;
            shared[1][threadIdx.x / 32] = s.scaled;
        }
        __syncthreads();
        s = {shared[0][0], shared[1][0]};
        for (int k = 1; k < blockDim.x / 32; k++) join(s, {shared[0][k], shared[1][k]});
    }
    if (threadIdx.x != 0 || row >= outer) return;
    if (parts > 1) partial[row * parts + blockIdx.y] = s;
    else store(s, length, &y[row]);
}

extern "C" __global__ void __launch_bounds__(256)
    columns(const TX *x, TY *y, state *partial, int32 length, int32 inner, int32 parts, int64 least)
{
    __shared__ TW shared[2][8][32];
    int lane = threadIdx.x % 32, row = threadIdx.x / 32, tiles = (inner + 31) / 32;
    int64 column = (int64)(blockIdx.x % tiles) * 32 + lane, outer = blockIdx.x / tiles;
    int32 each = (length + parts - 1) / parts;
    int32 begin = blockIdx.y * each, end = min(begin + each, length);
    state s = start(least);
    tn_start_consumer();
    tn_wait_for_producer();
    if (column < inner)
        for (int32 k = begin + row; k < end; k += 8) add(s, x[(outer * length + k) * inner + column]);
    shared[0][row][lane] = s.value;
    shared[1][row][lane] = s.scaled;
    __syncthreads();
    if (row != 0 || column >= inner) return;
    for (int k = 1; k < 8; k++) join(s, {shared[0][k][lane], shared[1][k][lane]});
    int64 result = outer * inner + column;
    if (parts > 1) partial[result * parts + blockIdx.y] = s;
    else store(s, length, &y[result]);
}

extern "C" __global__ void __launch_bounds__(256)
    finish(const state *partial, TY *y, int32 count, int32 parts, int64 length)
{
    int32 n = blockIdx.x * 256 + threadIdx.x;
    tn_start_consumer();
    tn_wait_for_producer();
    if (n >= count) return;
    state s = partial[(int64)n * parts];
    for (int k = 1; k < parts; k++) join(s, partial[(int64)n * parts + k]);
    store(s, length, &y[n]);
}

struct axes { /* mirrored in reduce.c */
    const TX *x;
    TY *y;
    const int64 *axis; /* NULL: `reduced` tells */
    int64 least;
    int32 count, rank, axis_count, reduced; /* bit k of reduced: axis k goes */
    int32 dim[8], step[8];
};

extern "C" __global__ void __launch_bounds__(128) general(const __grid_constant__ axes p)
{
    int32 n = blockIdx.x * 4 + threadIdx.x / 32, rest = n, reduced = p.reduced, length = 1;
    int64 base = 0;
    tn_start_consumer();
    tn_wait_for_producer();
    if (n >= p.count) return;
    if (p.axis)
        for (int k = 0; k < p.axis_count; k++)
            reduced |= 1 << ((p.axis[k] < 0 ? p.axis[k] + p.rank : p.axis[k]) & 7);
    for (int k = p.rank - 1; k >= 0; k--) {
        if (reduced >> k & 1) length *= p.dim[k];
        else {
            base += (int64)(rest % p.dim[k]) * p.step[k];
            rest /= p.dim[k];
        }
    }
    state s = start(p.least);
    for (int32 i = threadIdx.x % 32; i < length; i += 32) {
        int64 at = base;
        int32 left = i;
        for (int k = p.rank - 1; k >= 0; k--)
            if (reduced >> k & 1) {
                at += (int64)(left % p.dim[k]) * p.step[k];
                left /= p.dim[k];
            }
        add(s, p.x[at]);
    }
    join_warp(s);
    if (threadIdx.x % 32 == 0) store(s, length, &p.y[n]);
}
