/* Pooling with the channels along memory: a thread for V of them at one position.
 *
 * TYPE: of elements. V: of them read at once. AVERAGE: the mean, else the largest. */
#ifndef TYPE
#define TYPE half
#define V 8
#define AVERAGE 0
#endif
typedef TYPE T;

struct window { /* mirrored in pool_last.c */
    const T *x;
    T *y;
    uint32 count; /* of vectors of y */
    int32 vectors, count_padding;
    int32 in[3], kernel[3], stride[3], dilation[3], pad[3], pad_end[3];
    divider out[3], by_vectors;
};

static __device__ __forceinline__ int32 divide_up(int32 a, int32 b) /* ceil(a / b), b > 0 */
{
    return a > 0 ? (a + b - 1) / b : -(-a / b);
}

extern "C" __global__ void __launch_bounds__(128) pool_last(const __grid_constant__ window p)
{
    uint32 n = blockIdx.x * 128 + threadIdx.x, vector, rest;
    int32 from[3], begin[3], end[3], padded = 1;
    tn_start_consumer();
    tn_wait_for_producer();
    if (n >= p.count) return;
    rest = divide(n, p.by_vectors, &vector);
#pragma unroll
    for (int i = 2; i >= 0; i--) { /* the taps [begin, end) fall inside the input */
        uint32 at;
        rest = divide(rest, p.out[i], &at);
        from[i] = (int32)at * p.stride[i] - p.pad[i];
        begin[i] = max(0, divide_up(-from[i], p.dilation[i]));
        end[i] = min(p.kernel[i], divide_up(p.in[i] - from[i], p.dilation[i]));
        int32 last = divide_up(p.in[i] + p.pad_end[i] - from[i], p.dilation[i]);
        padded *= max(0, min(p.kernel[i], last));
    }
    const pack<T, V> *x = (const pack<T, V> *)p.x + vector;
    float result[V];
    int32 counted = 0;
#pragma unroll
    for (int v = 0; v < V; v++) result[v] = AVERAGE ? 0.0f : -__int_as_float(0x7f800000);
    for (int a = begin[0]; a < end[0]; a++)
        for (int b = begin[1]; b < end[1]; b++)
#pragma unroll 3
            for (int c = begin[2]; c < end[2]; c++) {
                int32 at = (((int32)rest * p.in[0] + from[0] + a * p.dilation[0]) * p.in[1] +
                            from[1] + b * p.dilation[1]) *
                               p.in[2] +
                           from[2] + c * p.dilation[2];
                pack<T, V> some = x[(int64)at * p.vectors];
                counted++;
#pragma unroll
                for (int v = 0; v < V; v++) {
                    float value = to_float(some.at[v]);
                    if (AVERAGE) result[v] += value;
                    else if (value > result[v] || value != value) result[v] = value;
                }
            }
    if (AVERAGE && p.count_padding) counted = padded;
    pack<T, V> y;
#pragma unroll
    for (int v = 0; v < V; v++)
        from_float(AVERAGE ? counted ? result[v] / (float)counted : 0.0f : result[v], &y.at[v]);
    ((pack<T, V> *)p.y)[n] = y;
}
