/* Convolutions channel by channel, with the channels along memory: a thread makes SIDE neighbours
 * along the last axis, of V channels each.
 *
 * TYPE: of elements. KERNEL0, KERNEL1: taps. V: channels read at once. TAPS_FIRST: w is [taps, C],
 * else [C, taps]. ACT: the activation. */
#ifndef TYPE
#define TYPE half
#define KERNEL0 3
#define KERNEL1 3
#define SIDE 4
#define V 8
#define TAPS_FIRST 1
#define ACT 7
#endif
typedef TYPE T;

struct shape { /* mirrored in conv_last_depth.c */
    const T *x, *w, *bias, *residual;
    T *y;
    uint32 count;
    int32 channels, in[2], out[2], stride[2], dilation[2], pad[2];
    divider by_vectors, by_strips, by_rows;
    float act_alpha, act_beta;
};

extern "C" __global__ void __launch_bounds__(128)
    conv_last_depth(const __grid_constant__ shape s)
{
    uint32 at = blockIdx.x * 128 + threadIdx.x, vector, strip, row;
    tn_start_consumer();
    tn_wait_for_producer();
    if (at >= s.count) return;
    uint32 sample = divide(divide(divide(at, s.by_vectors, &vector), s.by_strips, &strip), s.by_rows,
                           &row);
    int c = (int)vector * V, first = (int)strip * SIDE;
    int top = (int)row * s.stride[0] - s.pad[0], left = first * s.stride[1] - s.pad[1];
    const T *x = s.x + (int64)sample * s.in[0] * s.in[1] * s.channels + c;
    float sum[SIDE][V] = {};
#pragma unroll
    for (int a = 0; a < KERNEL0; a++) {
        int h = top + a * s.dilation[0];
        if ((unsigned)h >= (unsigned)s.in[0]) continue;
        const T *line = x + (int64)h * s.in[1] * s.channels;
#pragma unroll
        for (int b = 0; b < KERNEL1; b++) {
            int tap = a * KERNEL1 + b;
            pack<T, V> weight;
#if TAPS_FIRST
            weight = *(const pack<T, V> *)(s.w + tap * s.channels + c);
#else
#pragma unroll
            for (int v = 0; v < V; v++) weight.at[v] = s.w[(c + v) * (KERNEL0 * KERNEL1) + tap];
#endif
#pragma unroll
            for (int i = 0; i < SIDE; i++) {
                int w = left + i * s.stride[1] + b * s.dilation[1];
                if ((unsigned)w >= (unsigned)s.in[1]) continue;
                pack<T, V> some = *(const pack<T, V> *)(line + (int64)w * s.channels);
#pragma unroll
                for (int v = 0; v < V; v++) sum[i][v] += to_float(some.at[v]) * to_float(weight.at[v]);
            }
        }
    }
    pack<T, V> bias = {};
    if (s.bias) bias = *(const pack<T, V> *)(s.bias + c);
#pragma unroll
    for (int i = 0; i < SIDE; i++) {
        if (first + i >= s.out[1]) break;
        int64 to = (((int64)sample * s.out[0] + row) * s.out[1] + first + i) * s.channels + c;
        pack<T, V> residual = {}, y;
        if (s.residual) residual = *(const pack<T, V> *)(s.residual + to);
#pragma unroll
        for (int v = 0; v < V; v++) {
            float value = sum[i][v];
            if (s.bias) value += to_float(bias.at[v]);
            if (s.residual) value += to_float(residual.at[v]);
            from_float(activate<ACT>(value, s.act_alpha, s.act_beta), &y.at[v]);
        }
        *(pack<T, V> *)(s.y + to) = y;
    }
}
