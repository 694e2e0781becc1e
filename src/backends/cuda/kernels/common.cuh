/* Goes before every kernel source. Types by the names that tn_cuda_type gives, without NVIDIA's
 * headers, which a machine with only the run-time compiler does not have. load() and store() go
 * through float (double for double, 64-bit integers stay exact by their own kernels). */
#pragma nv_diag_suppress 177 /* a source does not use all of this */
#pragma nv_diag_suppress 186 /* what is written for all types compares unsigned ones with zero */
typedef signed char int8;
typedef short int16;
typedef int int32;
typedef long long int64;
typedef unsigned char uint8;
typedef unsigned short uint16;
typedef unsigned int uint32;
typedef unsigned long long uint64;
struct half {
    uint16 bits;
};
struct bf16 {
    uint16 bits;
};

static __device__ __forceinline__ float to_float(float x) { return x; }
static __device__ __forceinline__ float to_float(half x)
{
    float y;
    asm("cvt.f32.f16 %0, %1;" : "=f"(y) : "h"(x.bits));
    return y;
}
static __device__ __forceinline__ float to_float(bf16 x)
{
    return __uint_as_float((uint32)x.bits << 16);
}
static __device__ __forceinline__ void from_float(float x, float *y) { *y = x; }
static __device__ __forceinline__ void from_float(float x, half *y)
{
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(y->bits) : "f"(x));
}
static __device__ __forceinline__ void from_float(float x, bf16 *y)
{
    uint32 bits = __float_as_uint(x);
    bool nan = (bits & 0x7fffffffu) > 0x7f800000u;
    y->bits = nan ? 0x7fff : (uint16)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

/* A kernel that was launched with `overlap` runs while the one ahead of it still does; from here on
 * all of that one's work is done and visible. Nothing elsewhere. */
static __device__ __forceinline__ void tn_wait_for_producer()
{
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}
/* The next kernel may start: its blocks find room as ours end. */
static __device__ __forceinline__ void tn_start_consumer()
{
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;");
#endif
}

static __device__ __forceinline__ float warp_sum(float x)
{
    for (int k = 16; k > 0; k >>= 1) x += __shfl_xor_sync(0xffffffffu, x, k);
    return x;
}
static __device__ __forceinline__ float warp_max(float x)
{
    for (int k = 16; k > 0; k >>= 1) x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, k));
    return x;
}

/* ---- Sums of products: floats of 16 bits in float, integers modulo 2^bits -------------------------*/

static __device__ __forceinline__ float widen(float x) { return x; }
static __device__ __forceinline__ float widen(half x) { return to_float(x); }
static __device__ __forceinline__ float widen(bf16 x) { return to_float(x); }
static __device__ __forceinline__ double widen(double x) { return x; }
static __device__ __forceinline__ uint32 widen(int32 x) { return (uint32)x; }
static __device__ __forceinline__ uint32 widen(uint32 x) { return x; }
static __device__ __forceinline__ uint64 widen(int64 x) { return (uint64)x; }
static __device__ __forceinline__ uint64 widen(uint64 x) { return x; }
static __device__ __forceinline__ void narrow(float x, float *y) { *y = x; }
static __device__ __forceinline__ void narrow(float x, half *y) { from_float(x, y); }
static __device__ __forceinline__ void narrow(float x, bf16 *y) { from_float(x, y); }
static __device__ __forceinline__ void narrow(double x, double *y) { *y = x; }
static __device__ __forceinline__ void narrow(uint32 x, int32 *y) { *y = (int32)x; }
static __device__ __forceinline__ void narrow(uint32 x, uint32 *y) { *y = x; }
static __device__ __forceinline__ void narrow(uint64 x, int64 *y) { *y = (int64)x; }
static __device__ __forceinline__ void narrow(uint64 x, uint64 *y) { *y = x; }

/* 128 bytes on their way to the second cache. */
static __device__ __forceinline__ void fetch_line(const void *at)
{
    asm volatile("prefetch.global.L2 [%0];" ::"l"(at));
}

/* So many elements side by side, read or written at once. */
template <class E, int N> struct alignas(sizeof(E) * N) pack {
    E at[N];
};

/* The functions of ops/epilogue.h, by their numbers there. */
template <int KIND, class S>
static __device__ __forceinline__ S activate(S x, float alpha, float beta)
{
    if constexpr (KIND == 1) return x < 0 ? (S)0 : x;
    else if constexpr (KIND == 2) return (S)0.5 * x * (1 + erf(x * (S)0.70710678118654752440));
    else if constexpr (KIND == 3)
        return (S)0.5 * x *
               (1 + tanh((S)0.79788456080286535588 * (x + (S)0.044715 * x * x * x)));
    else if constexpr (KIND == 4) return tanh(x);
    else if constexpr (KIND == 5) return 1 / (1 + exp(-x));
    else if constexpr (KIND == 6) return x / (1 + exp(-x));
    else if constexpr (KIND == 7) {
        S gate = x / 6 + (S)0.5;
        return x * (gate < 0 ? (S)0 : gate > 1 ? (S)1 : gate);
    } else if constexpr (KIND == 8) return x < 0 ? alpha * x : x;
    else if constexpr (KIND == 9) {
        if (x < alpha) x = alpha;
        return x > beta ? (S)beta : x;
    } else return x;
}

#include "tensor_core.cuh"
/* Any element as the type To that a kernel computes in, and back, rounded or wrapped once. */
template <class To, class From> static __device__ __forceinline__ To as(From x)
{
    return (To)x;
}
template <class To> static __device__ __forceinline__ To as(half x) { return (To)to_float(x); }
template <class To> static __device__ __forceinline__ To as(bf16 x) { return (To)to_float(x); }
template <class From, class To> static __device__ __forceinline__ void put(From x, To *y)
{
    *y = (To)x;
}
template <class From> static __device__ __forceinline__ void put(From x, half *y)
{
    from_float((float)x, y);
}
template <class From> static __device__ __forceinline__ void put(From x, bf16 *y)
{
    from_float((float)x, y);
}

/* Neighbours, read and written at once as far as 16 bytes go. */
template <class Element, int LENGTH>
struct alignas(sizeof(Element) * LENGTH < 16 ? sizeof(Element) * LENGTH : 16) vec {
    Element at[LENGTH];
};

/* A float that rounds to fewer bits as the wider number would: cut, with its last bit set if
 * anything was cut off. */
static __device__ __forceinline__ float sticky(double x)
{
    float y = __double2float_rz(x);
    return (double)y == x ? y : __uint_as_float(__float_as_uint(y) | 1);
}
static __device__ __forceinline__ float sticky(float x) { return x; }

/* Toward zero and modulo 2^64; what is not finite gives 0. */
static __device__ __forceinline__ uint64 whole(double x)
{
    double cut = trunc(x);
    if (cut - cut != 0) return 0;
    if (fabs(cut) < 9223372036854775808.0) return (uint64)(int64)cut;
    cut = fmod(cut, 18446744073709551616.0);
    return cut < 0 ? 0 - (uint64)-cut : (uint64)cut;
}

/* The widest that moves at once. */
struct alignas(16) uint128 {
    uint64 low, high;
};

/* Division of numbers below 2^31 without dividing: made by tn_cuda_divider_of (index.h). */
struct divider {
    uint32 by, multiply, shift;
};
static __device__ __forceinline__ uint32 divide(uint32 n, const divider &d, uint32 *rest)
{
    uint32 q = (__umulhi(n, d.multiply) + n) >> d.shift;
    *rest = n - q * d.by;
    return q;
}

#include "cells.cuh"
#include "rows.cuh"
#include "cluster.cuh"
#include "warpgroup.cuh"
