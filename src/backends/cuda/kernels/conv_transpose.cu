/* ConvTranspose: a thread for each result gathers the elements of x whose kernels reach it.
 *
 * TYPE, SUM: of elements and of sums. */
#ifndef TYPE
#define TYPE float
#define SUM float
#endif

#include "sliding.cuh"

struct transposed { /* mirrored in conv_transpose.c */
    const TYPE *x, *w, *bias;
    TYPE *y;
    uint32 count, channels, each, per_group; /* of y; of x; of a group in x, in y */
    divider outputs, group;                  /* channels of y, of a group in it */
    sliding slide;                           /* from x to y */
};

extern "C" __global__ void __launch_bounds__(256)
    conv_transpose(const __grid_constant__ transposed p)
{
    uint32 n = blockIdx.x * 256 + threadIdx.x, rest = n, channel, within, at[3];
    const sliding &s = p.slide;
    tn_start_consumer();
    tn_wait_for_producer();
    if (n >= p.count) return;
#pragma unroll
    for (int i = 2; i >= 0; i--) {
        rest = divide(rest, s.out[i], &at[i]);
        at[i] += s.pad[i];
    }
    uint32 sample = divide(rest, p.outputs, &channel);
    uint32 first = divide(channel, p.group, &within) * p.each;
    int32 plane = s.in[0] * s.in[1] * s.in[2], taps = s.kernel[0] * s.kernel[1] * s.kernel[2];
    const TYPE *x = p.x + ((int64)sample * p.channels + first) * plane;
    const TYPE *w = p.w + ((int64)first * p.per_group + within) * taps;
    SUM sum = p.bias ? as<SUM>(p.bias[channel]) : (SUM)0;
    for (int i = 0; i < s.kernel[0]; i++)
        for (int j = 0; j < s.kernel[1]; j++)
            for (int k = 0; k < s.kernel[2]; k++) {
                int32 tap[3] = {i, j, k}, from[3];
                bool reaches = true;
#pragma unroll
                for (int d = 0; d < 3; d++) {
                    int32 moved = (int32)at[d] - tap[d] * s.dilation[d];
                    from[d] = moved / s.stride[d];
                    reaches &= moved >= 0 && from[d] < s.in[d] && from[d] * s.stride[d] == moved;
                }
                if (!reaches) continue;
                const TYPE *value = x + (from[0] * s.in[1] + from[1]) * s.in[2] + from[2];
                const TYPE *weight = w + (i * s.kernel[1] + j) * s.kernel[2] + k;
                for (uint32 c = 0; c < p.each; c++)
                    sum += as<SUM>(value[(int64)c * plane]) *
                           as<SUM>(weight[(int64)c * p.per_group * taps]);
            }
    put(sum, &p.y[n]);
}
