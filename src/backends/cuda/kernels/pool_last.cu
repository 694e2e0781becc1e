/* Pooling with the channels along memory: a thread for V of them at one position.
 *
 * TYPE: of elements. V: of them read at once. AVERAGE: the mean, else the largest. KERNEL0 to 2: the
 * window, all of which is asked for before any of it is used; zeros: read it from the arguments, tap
 * by tap. */
#ifndef TYPE
#define TYPE half
#define V 8
#define AVERAGE 0
#define KERNEL0 1
#define KERNEL1 3
#define KERNEL2 3
#endif
typedef TYPE T;

#include "sliding.cuh"
#include "larger.cuh"

struct window { /* mirrored in pool_last.c */
    const T *x;
    T *y;
    uint32 count; /* of vectors of y */
    int32 vectors, count_padding, backwards; /* from the last vector on */
    sliding slide;
    divider by_vectors;
};

struct result {
#if AVERAGE
    float at[V] = {};

    __device__ void take(const pack<T, V> &some)
    {
#pragma unroll
        for (int v = 0; v < V; v++) at[v] += to_float(some.at[v]);
    }
    __device__ pack<T, V> of(int counted) const
    {
        pack<T, V> y;
#pragma unroll
        for (int v = 0; v < V; v++)
            from_float(counted ? at[v] / (float)counted : 0.0f, &y.at[v]);
        return y;
    }
#else
    pack<T, V> at;

    __device__ result()
    {
#pragma unroll
        for (int v = 0; v < V; v++) from_float(-__int_as_float(0x7f800000), &at.at[v]);
    }
    __device__ void take(const pack<T, V> &some)
    {
#if __CUDA_ARCH__ >= 800
        constexpr bool PAIRS = sizeof(T) == 2 && V % 2 == 0;
#else
        constexpr bool PAIRS = false;
#endif
        if constexpr (PAIRS) {
#pragma unroll
            for (int v = 0; v < V; v += 2) {
                uint32 *two = (uint32 *)&at.at[v];
                *two = larger_of(T(), *two, *(const uint32 *)&some.at[v]);
            }
        } else {
#pragma unroll
            for (int v = 0; v < V; v++) {
                float value = to_float(some.at[v]);
                if (value > to_float(at.at[v]) || value != value) at.at[v] = some.at[v];
            }
        }
    }
    __device__ pack<T, V> of(int) const { return at; }
#endif
};

extern "C" __global__ void __launch_bounds__(128) pool_last(const __grid_constant__ window p)
{
    uint32 n = blockIdx.x * 128 + threadIdx.x, vector, image;
    tn_start_consumer();
    tn_wait_for_producer();
    if (n >= p.count) return;
    if (p.backwards) n = p.count - 1 - n;
    reach r = reach_of(p.slide, divide(n, p.by_vectors, &vector), &image);
    const pack<T, V> *x =
        (const pack<T, V> *)p.x + vector +
        (int64)image * (p.slide.in[0] * p.slide.in[1] * p.slide.in[2]) * p.vectors;
    result sum;
    int32 counted = 0;
    auto place = [&](int a, int b, int c) {
        return (int64)tap_of(p.slide, r, a, b, c) * p.vectors;
    };
#if KERNEL0
    constexpr int TAPS = KERNEL0 * KERNEL1 * KERNEL2;
    pack<T, V> some[TAPS];
    bool inside[TAPS];
#pragma unroll
    for (int tap = 0; tap < TAPS; tap++) {
        int a = tap / (KERNEL1 * KERNEL2), b = tap / KERNEL2 % KERNEL1, c = tap % KERNEL2;
        inside[tap] = a >= r.begin[0] && a < r.end[0] && b >= r.begin[1] && b < r.end[1] &&
                      c >= r.begin[2] && c < r.end[2];
        if (inside[tap]) some[tap] = x[place(a, b, c)];
    }
#pragma unroll
    for (int tap = 0; tap < TAPS; tap++) {
        if (inside[tap]) sum.take(some[tap]);
        counted += inside[tap];
    }
#else
    for (int a = r.begin[0]; a < r.end[0]; a++)
        for (int b = r.begin[1]; b < r.end[1]; b++)
#pragma unroll 3
            for (int c = r.begin[2]; c < r.end[2]; c++, counted++) sum.take(x[place(a, b, c)]);
#endif
    if (AVERAGE && p.count_padding) counted = r.padded;
    ((pack<T, V> *)p.y)[n] = sum.of(counted);
}
