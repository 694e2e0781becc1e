/* ArgMax and ArgMin along one axis, CumSum and CumProd.
 *
 * arg: x is [outer, length, inner]; SIGN 1 finds the largest, -1 the smallest; of equal ones the first,
 * or with LAST the last; a NaN lies beyond every number. BY_WARP: a warp looks through a line, else a
 * thread does, beside threads with the neighbours. cumulate: running sums, or products with
 * PRODUCT. TW: what is compared or added up. */
#ifndef TX
#define TX float
#define TW float
#define INDEX int64
#define SIGN 1
#define LAST 0
#define BY_WARP 1
#define PRODUCT 0
#endif

struct best {
    TW value;
    int32 at; /* -1: nothing yet */
};

static __device__ __forceinline__ bool beats(const best &a, const best &b)
{
    if (a.at < 0 || b.at < 0) return b.at < 0;
    bool a_nan = a.value != a.value, b_nan = b.value != b.value;
    bool equal = a_nan || b_nan ? a_nan == b_nan : a.value == b.value;
    if (equal) return LAST ? a.at > b.at : a.at < b.at;
    if (a_nan || b_nan) return a_nan;
    return SIGN > 0 ? a.value > b.value : a.value < b.value;
}

extern "C" __global__ void __launch_bounds__(128)
    arg(const TX *x, int64 *y, int32 lines, int32 length, int32 inner)
{
    int64 thread = (int64)blockIdx.x * 128 + threadIdx.x, line = BY_WARP ? thread / 32 : thread;
    int32 first = BY_WARP ? threadIdx.x % 32 : 0, step = BY_WARP ? 32 : 1;
    tn_start_consumer();
    tn_wait_for_producer();
    if (line >= lines) return;
    const TX *from = x + line / inner * length * inner + line % inner;
    best top = {(TW)0, -1};
    for (int32 k = first; k < length; k += step) {
        best next = {as<TW>(from[(int64)k * inner]), k};
        if (beats(next, top)) top = next;
    }
    if (BY_WARP)
        for (int k = 16; k > 0; k >>= 1) {
            best other = {__shfl_xor_sync(0xffffffffu, top.value, k),
                          __shfl_xor_sync(0xffffffffu, top.at, k)};
            if (beats(other, top)) top = other;
        }
    if (first == 0) y[line] = top.at;
}

struct lines { /* mirrored in arg.c */
    const TX *x;
    TX *y;
    const INDEX *axis;
    int32 count, rank, exclusive, reverse;
    int32 dim[8];
};

/* The axis is a tensor on the card, so the lines are found here. A warp takes a line 32 elements at
 * a time: sums within the warp first, then all before them. */
extern "C" __global__ void __launch_bounds__(128) cumulate(const __grid_constant__ lines p)
{
    int lane = threadIdx.x % 32;
    tn_start_consumer();
    tn_wait_for_producer();
    int64 given = *p.axis, axis = given < 0 ? given + p.rank : given;
    if (axis < 0 || axis >= p.rank) return;
    int32 length = p.dim[axis], inner = 1;
    for (int k = (int)axis + 1; k < p.rank; k++) inner *= p.dim[k];
    int32 line_count = p.count / length, warps = gridDim.x * 4;
    for (int32 line = blockIdx.x * 4 + threadIdx.x / 32; line < line_count; line += warps) {
        int64 base = (int64)(line / inner) * length * inner + line % inner;
        TW before = PRODUCT ? 1 : 0;
        for (int32 begin = 0; begin < length; begin += 32) {
            int32 k = begin + lane, place = p.reverse ? length - 1 - k : k;
            int64 at = base + (int64)place * inner;
            TW all = k < length ? as<TW>(p.x[at]) : (TW)PRODUCT;
            for (int step = 1; step < 32; step *= 2) {
                TW left = __shfl_up_sync(0xffffffffu, all, step);
                if (lane >= step) all = PRODUCT ? left * all : left + all;
            }
            TW left = __shfl_up_sync(0xffffffffu, all, 1);
            if (lane == 0) left = PRODUCT;
            TW mine = p.exclusive ? left : all;
            if (k < length) put(PRODUCT ? before * mine : before + mine, &p.y[at]);
            all = __shfl_sync(0xffffffffu, all, 31);
            before = PRODUCT ? before * all : before + all;
        }
    }
}
