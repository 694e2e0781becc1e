/* Products and convolutions of bytes, summed in 32 bits: MatMulInteger and ConvInteger give the sums,
 * QLinearMatMul and QLinearConv quantise them again.
 *
 * TA, TB: the operands (of a convolution x and its weights); TY: the result. LINEAR: it is quantised,
 * by scales of TS. CONV: which of the two kernels. */
#ifndef TA
#define TA uint8
#define TB int8
#define TY int32
#define TS float
#define LINEAR 0
#define CONV 0
#endif

/* One value, or one for each row, column or channel; NULL: 0. Mirrored in integer.c. */
struct factor {
    const void *at;
    uint32 count;
};
template <class T> static __device__ __forceinline__ int32 zero_of(const factor &f, uint32 index)
{
    return f.at ? (int32)((const T *)f.at)[index % f.count] : 0;
}
static __device__ __forceinline__ double scale_of(const factor &f, uint32 index)
{
    return as<double>(((const TS *)f.at)[index % f.count]);
}

/* saturate(round(value) + zero), ties to even */
template <class Y> static __device__ __forceinline__ Y quantised(double value, int32 zero)
{
    constexpr bool IS_SIGNED = (Y)-1 < (Y)0;
    constexpr double HIGH = IS_SIGNED ? 127 : 255, LOW = IS_SIGNED ? -128 : 0;
    double moved = rint(value) + zero;
    if (moved != moved) return (Y)zero;
    return (Y)(int32)fmin(fmax(moved, LOW), HIGH);
}

#if !CONV
struct product { /* mirrored in integer.c */
    const TA *a;
    const TB *b;
    TY *y;
    uint32 m, n, k, rank;
    divider across, down; /* tiles of a matrix */
    divider dim[8];       /* of the batch ... */
    uint32 a_step[8], b_step[8];
    factor a_zero, b_zero, a_scale, b_scale, y_scale, y_zero;
};

enum { TILE = 64, DEEP = 16 };

/* Sixteen sums a thread, from tiles without their zero points. */
extern "C" __global__ void __launch_bounds__(256) integer_product(const __grid_constant__ product p)
{
    __shared__ int32 a[DEEP][TILE + 1], b[DEEP][TILE + 1];
    uint32 column, row, batch = divide(divide(blockIdx.x, p.across, &column), p.down, &row);
    uint32 a_at = 0, b_at = 0, rest = batch;
    tn_start_consumer();
    tn_wait_for_producer();
    for (int axis = (int)p.rank - 1; axis >= 0; axis--) {
        uint32 at;
        rest = divide(rest, p.dim[axis], &at);
        a_at += at * p.a_step[axis];
        b_at += at * p.b_step[axis];
    }
    /* Of all matrices, as factors count them. */
    uint32 first_row = p.k ? a_at / p.k : 0, first_column = p.k ? b_at / p.k : 0;
    uint32 x = threadIdx.x % 16, y = threadIdx.x / 16;
    row *= TILE;
    column *= TILE;
    int32 sum[4][4] = {};
    for (uint32 k = 0; k < p.k; k += DEEP) {
        for (uint32 i = threadIdx.x; i < TILE * DEEP; i += 256) {
            uint32 m = row + i / DEEP, n = column + i % TILE, ka = k + i % DEEP, kb = k + i / TILE;
            a[i % DEEP][i / DEEP] = m < p.m && ka < p.k ? (int32)p.a[a_at + m * p.k + ka] -
                                                              zero_of<TA>(p.a_zero, first_row + m)
                                                        : 0;
            b[i / TILE][i % TILE] = n < p.n && kb < p.k ? (int32)p.b[b_at + kb * p.n + n] -
                                                              zero_of<TB>(p.b_zero, first_column + n)
                                                        : 0;
        }
        __syncthreads();
#pragma unroll
        for (int d = 0; d < DEEP; d++)
#pragma unroll
            for (int i = 0; i < 4; i++)
#pragma unroll
                for (int j = 0; j < 4; j++) sum[i][j] += a[d][y + 16 * i] * b[d][x + 16 * j];
        __syncthreads();
    }
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++) {
            uint32 m = row + y + 16 * i, n = column + x + 16 * j;
            if (m >= p.m || n >= p.n) continue;
            TY *to = &p.y[(batch * p.m + m) * p.n + n];
            if constexpr (LINEAR) {
                double scale = scale_of(p.a_scale, first_row + m) *
                               scale_of(p.b_scale, first_column + n) /
                               scale_of(p.y_scale, first_row + m);
                *to = quantised<TY>(sum[i][j] * scale, zero_of<TY>(p.y_zero, first_row + m));
            } else *to = sum[i][j];
        }
}
#else
#include "sliding.cuh"

struct convolution { /* mirrored in integer.c */
    const TA *x;
    const TB *w;
    const int32 *bias;
    TY *y;
    uint32 count, channels, each, bias_count; /* of y; of x; of a group in x; of the bias */
    divider outputs, per_group;               /* channels of y; of a group in y */
    sliding slide;
    factor x_zero, w_zero, x_scale, w_scale, y_scale, y_zero;
};

/* A thread for each result. What lies beside x is its zero point, and adds nothing. */
extern "C" __global__ void __launch_bounds__(256)
    integer_conv(const __grid_constant__ convolution p)
{
    uint32 n = blockIdx.x * 256 + threadIdx.x, rest = n, channel, nothing, at[3];
    const sliding &s = p.slide;
    tn_start_consumer();
    tn_wait_for_producer();
    if (n >= p.count) return;
    for (int i = 2; i >= 0; i--) rest = divide(rest, s.out[i], &at[i]);
    uint32 sample = divide(rest, p.outputs, &channel);
    uint32 first = sample * p.channels + divide(channel, p.per_group, &nothing) * p.each;
    int32 x_zero = zero_of<TA>(p.x_zero, 0), w_zero = zero_of<TB>(p.w_zero, channel);
    const TB *w = p.w + channel * p.each * (s.kernel[0] * s.kernel[1] * s.kernel[2]);
    int32 sum = 0;
    for (uint32 c = 0; c < p.each; c++)
        for (int i = 0; i < s.kernel[0]; i++)
            for (int j = 0; j < s.kernel[1]; j++)
                for (int k = 0; k < s.kernel[2]; k++, w++) {
                    int32 u = (int32)at[0] * s.stride[0] + i * s.dilation[0] - s.pad[0];
                    int32 v = (int32)at[1] * s.stride[1] + j * s.dilation[1] - s.pad[1];
                    int32 t = (int32)at[2] * s.stride[2] + k * s.dilation[2] - s.pad[2];
                    bool inside = (uint32)u < (uint32)s.in[0] && (uint32)v < (uint32)s.in[1] &&
                                  (uint32)t < (uint32)s.in[2];
                    if (!inside) continue;
                    int32 x = p.x[(((first + c) * s.in[0] + u) * s.in[1] + v) * s.in[2] + t];
                    sum += (x - x_zero) * ((int32)*w - w_zero);
                }
    if constexpr (LINEAR) {
        double scale =
            scale_of(p.x_scale, 0) * scale_of(p.w_scale, channel) / scale_of(p.y_scale, 0);
        double bias = p.bias ? (double)p.bias[channel % p.bias_count] : 0.0;
        p.y[n] = quantised<TY>((sum + bias) * scale, zero_of<TY>(p.y_zero, 0));
    } else p.y[n] = sum;
}
#endif
