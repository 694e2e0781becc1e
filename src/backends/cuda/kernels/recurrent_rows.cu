/* Rows of `count` elements of 16 bits into rows of a multiple of 8, zeros behind, of two matrices:
 * what tensor cores read 16 bytes at a time. A thread makes 8 elements. */
struct rows_args {
    const uint16 *from[2];
    uint16 *to[2];
    int64 rows[2];
    int32 count;
};

extern "C" __global__ void __launch_bounds__(256) recurrent_rows(rows_args a)
{
    int wide = (a.count + 7) / 8;
    int64 i = (int64)blockIdx.x * 256 + threadIdx.x, row = i / wide;
    int k = (int)(i - row * wide) * 8;
    bool second = row >= a.rows[0];
    if (second) row -= a.rows[0];
    if (second && row >= a.rows[1]) return;
    const uint16 *from = (second ? a.from[1] : a.from[0]) + row * a.count + k;
    uint16 *to = (second ? a.to[1] : a.to[0]) + row * wide * 8 + k;
    tn_wait_for_producer();
    tn_start_consumer();
    pack<uint16, 8> v;
#pragma unroll
    for (int e = 0; e < 8; e++) v.at[e] = k + e < a.count ? from[e] : (uint16)0;
    *reinterpret_cast<pack<uint16, 8> *>(to) = v;
}
