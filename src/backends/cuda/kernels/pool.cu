/* MaxPool and AveragePool over windows of up to three axes: a thread for each result. AVERAGE: the
 * mean, else the largest, with its place where `indices` is not NULL. */
#ifndef TX
#define TX float
#define TW float
#define AVERAGE 0
#endif

#include "sliding.cuh"

struct window { /* mirrored in pool.c */
    const TX *x;
    TX *y;
    int64 *indices;
    uint32 count;
    int32 in_count, column_major, count_padding;
    sliding slide;
    int64 lowest; /* of integers */
};

extern "C" __global__ void __launch_bounds__(256) pool(const __grid_constant__ window p)
{
    uint32 n = blockIdx.x * 256 + threadIdx.x, image;
    tn_start_consumer();
    tn_wait_for_producer();
    if (n >= p.count) return;
    reach r = reach_of(p.slide, n, &image);
    const TX *x = p.x + (int64)image * p.in_count;
    bool is_float = (TW)0.5 != 0;
    TW result = AVERAGE ? (TW)0
                : is_float ? -(TW)__int_as_float(0x7f800000) : (TW)p.lowest;
    int32 winner = -1, counted = 0;
    for (int a = r.begin[0]; a < r.end[0]; a++)
        for (int b = r.begin[1]; b < r.end[1]; b++)
            for (int c = r.begin[2]; c < r.end[2]; c++) {
                int32 at = tap_of(p.slide, r, a, b, c);
                TW value = as<TW>(x[at]);
                counted++;
                if (AVERAGE) result += value;
                else if (winner < 0 || value > result || (value != value && result == result)) {
                    result = value;
                    winner = at;
                }
            }
    if (AVERAGE) {
        if (p.count_padding) counted = r.padded;
        result = counted ? result / (TW)counted : (TW)0;
    }
    put(result, &p.y[n]);
    if (AVERAGE || !p.indices) return;
    if (winner >= 0 && p.column_major) {
        const int32 *in = p.slide.in;
        int32 c = winner % in[2], b = winner / in[2] % in[1], a = winner / in[2] / in[1];
        winner = a + in[0] * (b + in[1] * c);
    }
    p.indices[n] = winner < 0 ? -1 : (int64)image * p.in_count + winner;
}
