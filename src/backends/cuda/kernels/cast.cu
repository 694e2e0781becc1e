/* Cast among floats, integers and bool, and tensors made of nothing: ConstantOfShape, Range, EyeLike.
 *
 * TX to TY, VEC side by side. TRUTH: TY is bool. MADE: the tensors made of nothing. Floats are
 * cut toward zero on their way to integers and taken modulo 2^64; what is not finite gives 0.
 * Into 16 bits everything rounds once. */
#ifndef TX
#define TX float
#define TY half
#define VEC 4
#define TRUTH 0
#define MADE 0
#endif

/* Is To a float? half and bf16 have overloads of their own. */
template <class To> struct is_float {
    static constexpr bool yes = false;
};
template <> struct is_float<float> {
    static constexpr bool yes = true;
};
template <> struct is_float<double> {
    static constexpr bool yes = true;
};

/* Of other types than common.cuh has it. */
static __device__ __forceinline__ float sticky(half x) { return to_float(x); }
static __device__ __forceinline__ float sticky(bf16 x) { return to_float(x); }
template <class From> static __device__ __forceinline__ float sticky(From x)
{
    bool is_signed = (From)-1 < (From)0;
    float y = is_signed ? __ll2float_rz((int64)x) : __ull2float_rz((uint64)x);
    uint64 back = y >= 9223372036854775808.0f ? (uint64)y : (uint64)(int64)y;
    return back == (uint64)(int64)x ? y : __uint_as_float(__float_as_uint(y) | 1);
}

template <class From> static __device__ __forceinline__ void convert(From x, half *y)
{
    from_float(sticky(x), y);
}
template <class From> static __device__ __forceinline__ void convert(From x, bf16 *y)
{
    from_float(sticky(x), y);
}
template <class From, class To> static __device__ __forceinline__ void convert(From x, To *y)
{
    if constexpr (TRUTH) *y = (To)(x != 0);
    else if constexpr (is_float<From>::yes && !is_float<To>::yes) *y = (To)whole((double)x);
    else *y = (To)x;
}
template <class To> static __device__ __forceinline__ void convert(half x, To *y)
{
    convert(to_float(x), y);
}
template <class To> static __device__ __forceinline__ void convert(bf16 x, To *y)
{
    convert(to_float(x), y);
}
static __device__ __forceinline__ void convert(half x, half *y) { *y = x; }
static __device__ __forceinline__ void convert(bf16 x, bf16 *y) { *y = x; }
static __device__ __forceinline__ void convert(half x, bf16 *y) { from_float(to_float(x), y); }
static __device__ __forceinline__ void convert(bf16 x, half *y) { from_float(to_float(x), y); }

extern "C" __global__ void __launch_bounds__(256) cast(const TX *x, TY *y, int64 count)
{
    int64 at = ((int64)blockIdx.x * 256 + threadIdx.x) * VEC;
    tn_start_consumer();
    tn_wait_for_producer();
    if (at >= count) return;
    vec<TX, VEC> in;
    vec<TY, VEC> out;
    if (count - at >= VEC) {
        in = *(const vec<TX, VEC> *)(x + at);
#pragma unroll
        for (int i = 0; i < VEC; i++) convert(in.at[i], &out.at[i]);
        *(vec<TY, VEC> *)(y + at) = out;
    } else
        for (; at < count; at++) convert(x[at], &y[at]);
}

#if MADE
/* TY: an unsigned integer as wide as an element; `value` is its bits. */
extern "C" __global__ void __launch_bounds__(256) fill(TY *y, int64 count, uint64 value)
{
    int64 at = ((int64)blockIdx.x * 256 + threadIdx.x) * VEC;
    tn_start_consumer();
    tn_wait_for_producer();
    for (int i = 0; i < VEC && at + i < count; i++) put(value, &y[at + i]);
}

/* TX: what it is computed in, double, int64 or uint64. */
extern "C" __global__ void __launch_bounds__(256)
    range(const TY *start, const TY *delta, TY *y, int64 count)
{
    int64 i = (int64)blockIdx.x * 256 + threadIdx.x;
    tn_start_consumer();
    tn_wait_for_producer();
    if (i < count) put(as<TX>(*start) + (TX)i * as<TX>(*delta), &y[i]);
}

extern "C" __global__ void __launch_bounds__(256)
    eye(TY *y, uint32 count, divider columns, int64 k)
{
    uint32 n = blockIdx.x * 256 + threadIdx.x, column;
    tn_start_consumer();
    tn_wait_for_producer();
    if (n >= count) return;
    uint32 row = divide(n, columns, &column);
    put((float)((int64)column - (int64)row == k), &y[n]);
}
#endif
