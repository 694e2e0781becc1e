/* ConvTranspose: a thread for each result gathers the elements of x whose kernels reach it.
 *
 * TYPE, SUM: of elements and of sums. */
#ifndef TYPE
#define TYPE float
#define SUM float
#endif

struct transposed { /* mirrored in conv_transpose.c */
    const TYPE *x, *w, *bias;
    TYPE *y;
    uint32 count, channels, each, per_group; /* of y; of x; of a group in x, in y */
    divider outputs, group;                  /* channels of y, of a group in it */
    divider out[3];                          /* of y */
    int32 in[3], kernel[3], stride[3], dilation[3], pad[3];
};

extern "C" __global__ void __launch_bounds__(256)
    conv_transpose(const __grid_constant__ transposed p)
{
    uint32 n = blockIdx.x * 256 + threadIdx.x, rest = n, channel, within, at[3];
    tn_start_consumer();
    tn_wait_for_producer();
    if (n >= p.count) return;
#pragma unroll
    for (int i = 2; i >= 0; i--) {
        rest = divide(rest, p.out[i], &at[i]);
        at[i] += p.pad[i];
    }
    uint32 sample = divide(rest, p.outputs, &channel);
    uint32 first = divide(channel, p.group, &within) * p.each;
    int32 plane = p.in[0] * p.in[1] * p.in[2], taps = p.kernel[0] * p.kernel[1] * p.kernel[2];
    const TYPE *x = p.x + ((int64)sample * p.channels + first) * plane;
    const TYPE *w = p.w + ((int64)first * p.per_group + within) * taps;
    SUM sum = p.bias ? as<SUM>(p.bias[channel]) : (SUM)0;
    for (int i = 0; i < p.kernel[0]; i++)
        for (int j = 0; j < p.kernel[1]; j++)
            for (int k = 0; k < p.kernel[2]; k++) {
                int32 tap[3] = {i, j, k}, from[3];
                bool reaches = true;
#pragma unroll
                for (int d = 0; d < 3; d++) {
                    int32 moved = (int32)at[d] - tap[d] * p.dilation[d];
                    from[d] = moved / p.stride[d];
                    reaches &= moved >= 0 && from[d] < p.in[d] && from[d] * p.stride[d] == moved;
                }
                if (!reaches) continue;
                const TYPE *value = x + (from[0] * p.in[1] + from[1]) * p.in[2] + from[2];
                const TYPE *weight = w + (i * p.kernel[1] + j) * p.kernel[2] + k;
                for (uint32 c = 0; c < p.each; c++)
                    sum += as<SUM>(value[(int64)c * plane]) *
                           as<SUM>(weight[(int64)c * p.per_group * taps]);
            }
    put(sum, &p.y[n]);
}
