/* QuantizeLinear, DequantizeLinear and DynamicQuantizeLinear, element by element.
 *
 * TX becomes TY by scales of TS, computed in TW, VEC neighbours for each thread. PLACE: 0 one scale
 * for all, 1 one along an axis, 2 one a block along it. A quotient is rounded to TR before it is
 * rounded to an integer. QUANTIZE: that way, else back. */
#ifndef TX
#define TX float
#define TY uint8
#define TS float
#define TW float
#define TR float
#define VEC 4
#define PLACE 0
#endif
#ifndef QUANTIZE
#define QUANTIZE 1
#endif

struct places { /* mirrored in quantize.c */
    uint32 count, blocks;
    divider inner, axis, block;
};

/* The scale of element i. */
static __device__ __forceinline__ uint32 scale_at(uint32 i, const places &p)
{
    if constexpr (PLACE == 0) return 0;
    uint32 in, at, rest, outer = divide(divide(i, p.inner, &in), p.axis, &at);
    if constexpr (PLACE == 1) return at;
    return (outer * p.blocks + divide(at, p.block, &rest)) * p.inner.by + in;
}

/* Whole numbers far beyond the range of Y need not be exact. */
template <class Y> static __device__ __forceinline__ Y quantised(float value, int32 zero)
{
    constexpr bool IS_SIGNED = (Y)-1 < (Y)0;
    constexpr int32 BITS = sizeof(Y) * 8 - IS_SIGNED;
    constexpr float HIGH = (1 << BITS) - 1, LOW = IS_SIGNED ? -(1 << BITS) : 0;
    float moved = rint(value) + (float)zero;
    if (moved != moved) return (Y)zero;
    return (Y)(int32)fminf(fmaxf(moved, LOW), HIGH);
}

/* A wider number as To, rounded once. */
static __device__ __forceinline__ void round_once(float x, float *y) { *y = x; }
static __device__ __forceinline__ void round_once(double x, float *y) { *y = (float)x; }
template <class From, class To> static __device__ __forceinline__ void round_once(From x, To *y)
{
    from_float(sticky(x), y);
}

#if QUANTIZE
typedef TY Zero;
static __device__ __forceinline__ TY convert(TX x, TS scale, int64 zero)
{
    TR quotient;
    round_once(as<TW>(x) / as<TW>(scale), &quotient);
    return quantised<TY>(to_float(quotient), (int32)zero);
}
#else
typedef TX Zero;
static __device__ __forceinline__ TY convert(TX x, TS scale, int64 zero)
{
    TY y;
    round_once((TW)((int64)x - zero) * as<TW>(scale), &y);
    return y;
}
#endif

extern "C" __global__ void __launch_bounds__(256)
    elements(const TX *x, const TS *scale, const Zero *zero, TY *y,
             const __grid_constant__ places p)
{
    uint32 i = (blockIdx.x * 256 + threadIdx.x) * VEC;
    tn_start_consumer();
    tn_wait_for_producer();
    if (i >= p.count) return;
    vec<TX, VEC> in;
    vec<TY, VEC> out;
    bool whole = p.count - i >= VEC;
    if (whole) in = *(const vec<TX, VEC> *)(x + i);
#pragma unroll
    for (int k = 0; k < VEC; k++) {
        if (i + k >= p.count) break;
        if (!whole) in.at[k] = x[i + k];
        uint32 at = scale_at(i + k, p);
        out.at[k] = convert(in.at[k], scale[at], zero ? (int64)zero[at] : 0);
        if (!whole) y[i + k] = out.at[k];
    }
    if (whole) *(vec<TY, VEC> *)(y + i) = out;
}

#if QUANTIZE
/* One block: first the range of x, widened to hold 0, then its elements. */
extern "C" __global__ void __launch_bounds__(1024)
    dynamic(const float *x, uint8 *y, float *scale_out, uint8 *zero_out, uint32 count)
{
    __shared__ float least[32], most[32];
    uint32 warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    float low = 0, high = 0;
    tn_start_consumer();
    tn_wait_for_producer();
    for (uint32 i = threadIdx.x; i < count; i += 1024) {
        low = x[i] < low ? x[i] : low;
        high = x[i] > high ? x[i] : high;
    }
    low = -warp_max(-low);
    high = warp_max(high);
    if (lane == 0) {
        least[warp] = low;
        most[warp] = high;
    }
    __syncthreads();
    low = -warp_max(-least[lane]);
    high = warp_max(most[lane]);
    float scale = high > low ? (high - low) / 255.0f : 1.0f;
    int32 zero = quantised<uint8>(-low / scale, 0);
    for (uint32 i = threadIdx.x; y && i < count; i += 1024) y[i] = quantised<uint8>(x[i] / scale, zero);
    if (threadIdx.x) return;
    if (scale_out) *scale_out = scale;
    if (zero_out) *zero_out = (uint8)zero;
}
#endif
