/* Convolutions whose groups are single channels: a thread makes a few outputs side by side.
 *
 * TYPE, SUM: of elements and of sums. KERNEL0, STRIDE0, DILATION0, ...: numbers of the three axes.
 * ACT: the activation. */
#ifndef TYPE
#define TYPE float
#define SUM float
#define KERNEL0 1
#define KERNEL1 3
#define KERNEL2 3
#define STRIDE0 1
#define STRIDE1 1
#define STRIDE2 1
#define DILATION0 1
#define DILATION1 1
#define DILATION2 1
#define ACT 0
#endif
typedef TYPE T;
typedef SUM S;

enum { SIDE = 4 }; /* outputs of a thread, along the last axis */

struct shape {
    int in[3], out[3], pad[3];
    int outputs, each; /* channels of y; how many of them read one of x */
    int strips;        /* of SIDE outputs, in a plane */
    float act_alpha, act_beta;
};

extern "C" __global__ void __launch_bounds__(256)
    conv_depth(const T *x, const T *w, const T *bias, const T *residual, T *y, shape s, int64 count)
{
    constexpr int TAPS = KERNEL0 * KERNEL1 * KERNEL2;
    int64 at = (int64)blockIdx.x * blockDim.x + threadIdx.x;
    tn_wait_for_producer();
    if (at >= count) return;
    int rows = (s.out[2] + SIDE - 1) / SIDE;
    int strip = (int)(at % s.strips), o = (int)(at / s.strips % s.outputs);
    int64 n = at / s.strips / s.outputs;
    int first = strip % rows * SIDE, h = strip / rows % s.out[1], d = strip / rows / s.out[1];
    int in_plane = s.in[0] * s.in[1] * s.in[2], out_plane = s.out[0] * s.out[1] * s.out[2];
    x += (n * (s.outputs / s.each) + o / s.each) * in_plane;
    w += (int64)o * TAPS;
    S sum[SIDE], start = bias ? widen(bias[o]) : (S)0;
#pragma unroll
    for (int i = 0; i < SIDE; i++) sum[i] = start;
    for (int a = 0; a < KERNEL0; a++) {
        int p0 = d * STRIDE0 - s.pad[0] + a * DILATION0;
        if ((unsigned)p0 >= (unsigned)s.in[0]) continue;
        for (int b = 0; b < KERNEL1; b++) {
            int p1 = h * STRIDE1 - s.pad[1] + b * DILATION1;
            if ((unsigned)p1 >= (unsigned)s.in[1]) continue;
            const T *line = x + (p0 * s.in[1] + p1) * s.in[2];
            for (int c = 0; c < KERNEL2; c++) {
                S weight = widen(w[(a * KERNEL1 + b) * KERNEL2 + c]);
#pragma unroll
                for (int i = 0; i < SIDE; i++) {
                    int p2 = (first + i) * STRIDE2 - s.pad[2] + c * DILATION2;
                    if ((unsigned)p2 < (unsigned)s.in[2]) sum[i] += weight * widen(line[p2]);
                }
            }
        }
    }
    tn_start_consumer();
    int64 to = (n * s.outputs + o) * out_plane + (d * s.out[1] + h) * s.out[2] + first;
#pragma unroll
    for (int i = 0; i < SIDE; i++) {
        if (first + i >= s.out[2]) break;
        S value = sum[i];
        if (residual) value += widen(residual[to + i]);
        narrow(activate<ACT>(value, s.act_alpha, s.act_beta), &y[to + i]);
    }
}
