/* ---- Rows of 16-bit elements, and their norm ---- */

/* Two neighbours in a register, the first in the lower half. */
template <class E> static __device__ __forceinline__ float first_of(uint32 two)
{
    return to_float(E{(uint16)two});
}
template <class E> static __device__ __forceinline__ float second_of(uint32 two)
{
    return to_float(E{(uint16)(two >> 16)});
}
/* ONCE: elements read or written at once, at least 2, or 1. */
template <int ONCE, class E> static __device__ __forceinline__ uint32 load_two(const E *at)
{
    if constexpr (ONCE > 1) return *(const uint32 *)at;
    else return (uint32)at[0].bits | (uint32)at[1].bits << 16;
}
template <int ONCE, class E> static __device__ __forceinline__ void store_two(uint32 two, E *at)
{
    if constexpr (ONCE > 1) *(uint32 *)at = two;
    else {
        at[0].bits = (uint16)two;
        at[1].bits = (uint16)(two >> 16);
    }
}

/* A thread's parts of a row of WIDE elements: every eighth 16 bytes. */
template <class E, int WIDE> struct part_of_row {
    pack<uint32, 4> at[(WIDE / 8 + 7) / 8];
};

/* ONCE: elements read at once, 8 or 1. */
template <class E, int WIDE, int ONCE>
static __device__ __forceinline__ part_of_row<E, WIDE> load_part(const E *row, bool inside)
{
    part_of_row<E, WIDE> out = {};
    int part = threadIdx.x % 8;
#pragma unroll
    for (int i = 0; i < (WIDE / 8 + 7) / 8; i++) {
        if (!inside || i * 8 + part >= WIDE / 8) continue;
        const E *from = row + (i * 8 + part) * 8;
        if constexpr (ONCE == 8) out.at[i] = *(const pack<uint32, 4> *)from;
        else
            for (int v = 0; v < 4; v++) out.at[i].at[v] = load_two<1>(from + 2 * v);
    }
    return out;
}

static __device__ __forceinline__ float sum_of_eight(float x)
{
    for (int k = 1; k < 8; k <<= 1) x += __shfl_xor_sync(0xffffffffu, x, k);
    return x;
}

/* Bytes [begin, end), in 16s, on their way to shared memory, as a group. */
template <int THREAD_COUNT>
static __device__ __forceinline__ void copy_range(char *to, const char *from, int begin, int end)
{
    for (int at = begin + threadIdx.x * 16; at < end; at += THREAD_COUNT * 16)
        copy_begin(to + at, from + at, true);
    copy_group();
}

/* The factors of a norm and, behind them, its summands on their way to shared memory. */
template <class E, int WIDE, int THREAD_COUNT>
static __device__ __forceinline__ void copy_affine(const E *scale, const E *shift, E *affine)
{
    for (int i = threadIdx.x; i < 2 * WIDE / 8; i += THREAD_COUNT) {
        const E *from = i < WIDE / 8 ? scale : shift;
        copy_begin(affine + i * 8, from ? from + i * 8 % WIDE : scale, from);
    }
    copy_group();
}

/* Eight threads norm a row. */
template <class E, int WIDE>
static __device__ __forceinline__ void norm_part(part_of_row<E, WIDE> &x, const E *affine,
                                                 float epsilon)
{
    constexpr int EACH = (WIDE / 8 + 7) / 8;
    int part = threadIdx.x % 8;
    float mean = 0, variance = 0;
#pragma unroll
    for (int i = 0; i < EACH * 4; i++)
        mean += first_of<E>(x.at[i / 4].at[i % 4]) + second_of<E>(x.at[i / 4].at[i % 4]);
    mean = sum_of_eight(mean) * (1.0f / WIDE);
#pragma unroll
    for (int i = 0; i < EACH * 4; i++) {
        float a = first_of<E>(x.at[i / 4].at[i % 4]) - mean;
        float b = second_of<E>(x.at[i / 4].at[i % 4]) - mean;
        if (i / 4 * 8 + part < WIDE / 8) variance += a * a + b * b;
    }
    float by = rsqrtf(sum_of_eight(variance) * (1.0f / WIDE) + epsilon);
#pragma unroll
    for (int i = 0; i < EACH; i++) {
        if (i * 8 + part >= WIDE / 8) continue;
        const E *from = affine + (i * 8 + part) * 8;
        pack<uint32, 4> scale = *(const pack<uint32, 4> *)from;
        pack<uint32, 4> shift = *(const pack<uint32, 4> *)(from + WIDE);
#pragma unroll
        for (int v = 0; v < 4; v++) {
            uint32 two = x.at[i].at[v];
            float a = (first_of<E>(two) - mean) * by, b = (second_of<E>(two) - mean) * by;
            x.at[i].at[v] = pair_of(E(), a * first_of<E>(scale.at[v]) + first_of<E>(shift.at[v]),
                                    b * second_of<E>(scale.at[v]) + second_of<E>(shift.at[v]));
        }
    }
}

