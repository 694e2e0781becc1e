/* Slice, Pad and Trilu. Their limits are tensors on the card, which every block reads for itself: so
 * they may be constants or not. WORD: an unsigned integer as wide as an element; LIMIT: the type of
 * the limits; EARLY: the limits are constants, read before the kernel ahead has ended. */
#ifndef WORD
#define WORD uint32
#define LIMIT int64
#define VEC 1
#define EARLY 0
#define MODE 0
#endif

/* ---- Slice -----------------------------------------------------------------------------------*/

/* With all steps 1 the part is what `joined` axes describe, from some first element on. */
struct slice_task { /* mirrored in slice.c */
    const WORD *x;
    WORD *y;
    const LIMIT *starts, *ends, *axes, *steps; /* axes and steps may be NULL */
    uint32 count;
    int32 rank, limit_count, joined;
    int32 x_dim[8], x_step[8], y_dim[8];
    divider joined_dim[8]; /* the innermost in vectors */
    int32 joined_step[8];
};

struct place {
    int32 first, step[8];
    bool plain, wrong;
};

static __device__ void locate(const slice_task &p, place *out)
{
    out->first = 0;
    out->plain = true;
    out->wrong = false;
    for (int axis = 0; axis < p.rank; axis++) out->step[axis] = p.x_step[axis];
    for (int i = 0; i < p.limit_count; i++) {
        int64 axis = p.axes ? (int64)p.axes[i] : i, step = p.steps ? (int64)p.steps[i] : 1;
        if (axis < 0) axis += p.rank;
        if (axis < 0 || axis >= p.rank || step == 0) {
            out->wrong = true;
            return;
        }
        int64 dim = p.x_dim[axis], start = p.starts[i], end = p.ends[i];
        int64 low = step > 0 ? 0 : -1, high = step > 0 ? dim : dim - 1;
        if (start < 0) start += dim;
        if (end < 0) end += dim;
        start = min(max(start, (int64)0), high);
        end = min(max(end, low), high);
        int64 span = step > 0 ? end - start : start - end;
        uint64 stride = step > 0 ? (uint64)step : 0 - (uint64)step;
        int64 count = span <= 0 ? 0 : (int64)(((uint64)span - 1) / stride + 1);
        if (count != p.y_dim[axis]) {
            out->wrong = true;
            return;
        }
        out->first += (int32)start * out->step[axis];
        if (count > 1) {
            out->plain = out->plain && step == 1;
            out->step[axis] *= (int32)step;
        }
    }
}

extern "C" __global__ void __launch_bounds__(256) slice(const __grid_constant__ slice_task p)
{
    __shared__ place found;
    uint32 n = blockIdx.x * 256 + threadIdx.x, to = n * VEC;
    if (!EARLY) tn_wait_for_producer();
    if (threadIdx.x == 0) locate(p, &found);
    __syncthreads();
    if (EARLY) tn_wait_for_producer();
    tn_start_consumer();
    if (to >= p.count) return;
    vec<WORD, VEC> all;
    if (found.plain && !found.wrong) {
        int32 from = found.first;
        uint32 rest = n;
        for (int axis = p.joined - 1; axis > 0; axis--) {
            uint32 i;
            rest = divide(rest, p.joined_dim[axis], &i);
            from += (int32)i * p.joined_step[axis];
        }
        from += (int32)rest * p.joined_step[0];
        if (found.first % VEC == 0) all = *(const vec<WORD, VEC> *)(p.x + from);
        else
#pragma unroll
            for (int i = 0; i < VEC; i++) all.at[i] = p.x[from + i];
    } else {
#pragma unroll
        for (int i = 0; i < VEC; i++) {
            int32 from = found.first;
            uint32 rest = to + i;
            for (int axis = p.rank - 1; axis >= 0; axis--) {
                from += (int32)(rest % p.y_dim[axis]) * found.step[axis];
                rest /= p.y_dim[axis];
            }
            all.at[i] = found.wrong ? (WORD)0 : p.x[from];
        }
    }
    *(vec<WORD, VEC> *)(p.y + to) = all;
}

/* ---- Pad -------------------------------------------------------------------------------------*/

struct pad_task { /* mirrored in slice.c */
    const WORD *x;
    WORD *y;
    const int64 *pads;
    const WORD *fill;   /* NULL: zero */
    const LIMIT *axes; /* may be NULL */
    uint32 count;
    int32 rank, axis_count;
    int32 x_dim[8], x_step[8];
    divider y_dim[8];
};

/* Position in the input of position `at` of a padded axis, of which [low, high) is left by negative
 * pads; -1: the constant. */
static __device__ __forceinline__ int32 source(int32 at, int32 before, int32 low, int32 high)
{
    int32 count = high - low, i = at - before;
    if (i >= 0 && i < count) return low + i;
    if (MODE == 0 || count <= 0) return -1;
    if (MODE == 2) return i < 0 ? low : high - 1;
    int32 period = MODE == 3 ? count : max(1, 2 * (count - 1));
    i %= period;
    if (i < 0) i += period;
    return low + (i < count ? i : period - i);
}

extern "C" __global__ void __launch_bounds__(256) pad(const __grid_constant__ pad_task p)
{
    __shared__ int32 begin[8], end[8];
    uint32 n = blockIdx.x * 256 + threadIdx.x;
    if (!EARLY) tn_wait_for_producer();
    if (threadIdx.x < 8) begin[threadIdx.x] = end[threadIdx.x] = 0;
    __syncthreads();
    if (threadIdx.x < p.axis_count) {
        int64 axis = p.axes ? (int64)p.axes[threadIdx.x] : threadIdx.x;
        if (axis < 0) axis += p.rank;
        if (axis >= 0 && axis < p.rank) {
            begin[axis] = (int32)p.pads[threadIdx.x];
            end[axis] = (int32)p.pads[threadIdx.x + p.axis_count];
        }
    }
    __syncthreads();
    if (EARLY) tn_wait_for_producer();
    tn_start_consumer();
    if (n >= p.count) return;
    WORD value = p.fill ? *p.fill : (WORD)0;
    uint32 rest = n;
    int32 from = 0;
    for (int axis = p.rank - 1; axis >= 0; axis--) {
        uint32 i;
        rest = divide(rest, p.y_dim[axis], &i);
        int32 at = source((int32)i, max(begin[axis], 0), max(-begin[axis], 0),
                          p.x_dim[axis] + min(end[axis], 0));
        from = at < 0 || at >= p.x_dim[axis] || from < 0 ? -1 : from + at * p.x_step[axis];
    }
    p.y[n] = from < 0 ? value : p.x[from];
}

/* ---- Trilu: MODE 1 keeps the upper triangle, 0 the lower -------------------------------------*/

extern "C" __global__ void __launch_bounds__(256)
    trilu(const WORD *x, WORD *y, const int64 *k_at, uint32 count, divider rows, divider columns)
{
    uint32 n = blockIdx.x * 256 + threadIdx.x, row, column;
    tn_start_consumer();
    tn_wait_for_producer();
    if (n >= count) return;
    int64 k = k_at ? *k_at : 0;
    divide(divide(n, columns, &column), rows, &row);
    int64 off = (int64)column - (int64)row;
    y[n] = (MODE ? off >= k : off <= k) ? x[n] : (WORD)0;
}
