/* MaxPool and AveragePool over windows of up to three axes: a thread for each result. AVERAGE: the
 * mean, else the largest, with its place where `indices` is not NULL. */
#ifndef TX
#define TX float
#define TW float
#define AVERAGE 0
#endif

struct window { /* mirrored in pool.c */
    const TX *x;
    TX *y;
    int64 *indices;
    uint32 count;
    int32 in_count, column_major, count_padding;
    int32 in[3], kernel[3], stride[3], dilation[3], pad[3], pad_end[3];
    divider out[3];
    int64 lowest; /* of integers */
};

static __device__ __forceinline__ int32 divide_up(int32 a, int32 b) /* ceil(a / b), b > 0 */
{
    return a > 0 ? (a + b - 1) / b : -(-a / b);
}

extern "C" __global__ void __launch_bounds__(256) pool(const __grid_constant__ window p)
{
    uint32 n = blockIdx.x * 256 + threadIdx.x, rest = n;
    int32 from[3], begin[3], end[3], padded = 1;
    tn_start_consumer();
    tn_wait_for_producer();
    if (n >= p.count) return;
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
    const TX *x = p.x + (int64)rest * p.in_count;
    bool is_float = (TW)0.5 != 0;
    TW result = AVERAGE ? (TW)0
                : is_float ? -(TW)__int_as_float(0x7f800000) : (TW)p.lowest;
    int32 winner = -1, counted = 0;
    for (int a = begin[0]; a < end[0]; a++)
        for (int b = begin[1]; b < end[1]; b++)
            for (int c = begin[2]; c < end[2]; c++) {
                int32 at = ((from[0] + a * p.dilation[0]) * p.in[1] + from[1] + b * p.dilation[1]) *
                               p.in[2] +
                           from[2] + c * p.dilation[2];
                TW value = as<TW>(x[at]);
                counted++;
                if (AVERAGE) result += value;
                else if (winner < 0 || value > result || (value != value && result == result)) {
                    result = value;
                    winner = at;
                }
            }
    if (AVERAGE) {
        if (p.count_padding) counted = padded;
        result = counted ? result / (TW)counted : (TW)0;
    }
    put(result, &p.y[n]);
    if (AVERAGE || !p.indices) return;
    if (winner >= 0 && p.column_major) {
        int32 c = winner % p.in[2], b = winner / p.in[2] % p.in[1], a = winner / p.in[2] / p.in[1];
        winner = a + p.in[0] * (b + p.in[1] * c);
    }
    p.indices[n] = winner < 0 ? -1 : (int64)rest * p.in_count + winner;
}
