/* One step of one recurrent layer of any size, a launch for each step; W x + Wb of all steps is
 * made beforehand. A warp makes one unit of ROWS sequences: its lanes share the unit's rows of R,
 * add up by halves so that four neighbours end up with the four gates of one sequence, and make
 * the step.
 *
 * CELL: of cell_step. GATES. TYPE: of the tensors; h and c between steps are float. VEC: numbers
 * of a row of R that are read at once. PHASE: 0, but for a GRU whose reset comes before the
 * product 1 (z, r and r . h) and then 2 (the rest). */
#ifndef CELL
#define CELL 0
#define GATES 4
#define TYPE float
#define VEC 4
#define PHASE 0
#endif

enum { ROWS = 8, WARPS = 4 };
enum { FIRST_GATE = PHASE == 2 ? 2 : 0, LAST_GATE = PHASE == 1 ? 2 : GATES };

struct step_args {
    const TYPE *r;     /* [directions][GATES * units][units] */
    const TYPE *bias;  /* [directions][2 * GATES * units], or NULL */
    const TYPE *gates; /* [directions][seq * batch][GATES * units] */
    const TYPE *h0, *c0;
    TYPE *y, *h_n, *c_n; /* each may be NULL */
    const int32 *lens;   /* may be NULL */
    float *h_from, *h_to, *c; /* [directions][batch][units], as what follows */
    float *update, *reset;    /* between phases: z and r . h */
    int64 gate_direction, gate_time, gate_batch; /* of gates, in rows; gate_direction in elements */
    int64 y_time, y_direction, y_batch, state_direction, state_batch;
    int32 units, seq, batch, step, backward;
};

/* h and c before the first step; and after the last, if there is none. */
extern "C" __global__ void recurrent_begin(step_args a)
{
    int64 i = (int64)blockIdx.x * blockDim.x + threadIdx.x;
    int d = blockIdx.y;
    tn_wait_for_producer();
    tn_start_consumer();
    if (i >= (int64)a.batch * a.units) return;
    int64 b = i / a.units, unit = i % a.units;
    int64 at = d * a.state_direction + b * a.state_batch + unit;
    int64 own = (int64)d * a.batch * a.units + i;
    float h = a.h0 ? to_float(a.h0[at]) : 0.0f, c = a.c0 ? to_float(a.c0[at]) : 0.0f;
    a.h_from[own] = h;
    a.c[own] = c;
    if (a.seq == 0 && a.h_n) from_float(h, &a.h_n[at]);
    if (a.seq == 0 && a.c_n) from_float(c, &a.c_n[at]);
}

template <typename T> struct alignas(sizeof(T) * VEC) numbers {
    T at[VEC];
};

/* v[4 row + gate] += R h over this lane's numbers. */
static __device__ __forceinline__ void add_products(const step_args &a, int d, int unit,
                                                    const float *const *h, float (&v)[4 * ROWS])
{
    int lane = threadIdx.x % 32;
    const TYPE *r = a.r + (int64)d * GATES * a.units * a.units + (int64)unit * a.units;
    for (int k = lane * VEC; k < a.units; k += 32 * VEC) {
        numbers<TYPE> w[GATES];
#pragma unroll
        for (int gate = FIRST_GATE; gate < LAST_GATE; gate++)
            w[gate] = *reinterpret_cast<const numbers<TYPE> *>(
                r + (int64)gate * a.units * a.units + k);
#pragma unroll
        for (int row = 0; row < ROWS; row++) {
            numbers<float> x = *reinterpret_cast<const numbers<float> *>(h[row] + k);
#pragma unroll
            for (int gate = FIRST_GATE; gate < LAST_GATE; gate++)
#pragma unroll
                for (int e = 0; e < VEC; e++)
                    v[4 * row + gate] = fmaf(to_float(w[gate].at[e]), x.at[e], v[4 * row + gate]);
        }
    }
}

/* Lane i gets v[i] of all lanes in v[0]: 2 N sums over the lanes, of which each keeps half. */
template <int N>
static __device__ __forceinline__ void add_by_halves(float (&v)[4 * ROWS], int lane)
{
    bool high = lane & N;
#pragma unroll
    for (int j = 0; j < N; j++) {
        float keep = high ? v[j + N] : v[j], send = high ? v[j] : v[j + N];
        v[j] = keep + __shfl_xor_sync(0xffffffffu, send, N);
    }
    if constexpr (N > 1) add_by_halves<N / 2>(v, lane);
}

extern "C" __global__ void __launch_bounds__(32 * WARPS) recurrent_step(step_args a)
{
    int lane = threadIdx.x % 32, q = lane & 3, d = blockIdx.z;
    int unit = blockIdx.x * WARPS + threadIdx.x / 32, first = blockIdx.y * ROWS;
    tn_wait_for_producer();
    tn_start_consumer();
    if (unit >= a.units) return;
    int64 states = (int64)d * a.batch * a.units;
    const float *from = PHASE == 2 ? a.reset : a.h_from;
    const float *h[ROWS];
#pragma unroll
    for (int row = 0; row < ROWS; row++) {
        int b = first + row < a.batch ? first + row : a.batch - 1;
        h[row] = from + states + (int64)b * a.units;
    }
    float v[4 * ROWS] = {0};
    add_products(a, d, unit, h, v);
    add_by_halves<16>(v, lane);
    int b = first + lane / 4, row = b < a.batch ? b : a.batch - 1;
    int length = a.lens ? a.lens[row] : a.seq;
    length = length < 0 ? 0 : length > a.seq ? a.seq : length;
    bool active = a.step < length;
    int t = active && (a.backward || d == 1) ? length - 1 - a.step : a.step;
    int64 own = states + (int64)row * a.units + unit;
    float sum = v[0], x = 0.0f, before = a.h_from[own];
    if (q < GATES) {
        int64 at = d * a.gate_direction + (t * a.gate_time + row * a.gate_batch) * GATES * a.units;
        x = to_float(a.gates[at + q * a.units + unit]);
        if (a.bias) sum += to_float(a.bias[((2 * d + 1) * GATES + q) * (int64)a.units + unit]);
    }
    if (PHASE == 1) {
        float gate = cell_sigmoid(sum + x);
        if (b < a.batch && q == 0) a.update[own] = gate;
        if (b < a.batch && q == 1) a.reset[own] = gate * before;
        return;
    }
    float after, c = __shfl_sync(0xffffffffu, q == 3 ? a.c[own] : 0.0f, 3, 4), c_before = c;
    if (PHASE == 2) {
        float n = cell_tanh(__shfl_sync(0xffffffffu, sum + x, 2, 4));
        after = fmaf(a.update[own], before - n, n);
    } else {
        if (GATES == 1) {
            sum = __shfl_sync(0xffffffffu, sum, 0, 4);
            x = __shfl_sync(0xffffffffu, x, 0, 4);
        }
        after = cell_step<CELL>(sum, x, q, before, &c);
    }
    if (b >= a.batch) return;
    if (!active) after = before, c = c_before;
    int64 state = d * a.state_direction + row * a.state_batch + unit;
    bool last = a.step == a.seq - 1;
    if (q == 0) a.h_to[own] = after;
    if (q == 1 && a.y)
        from_float(active ? after : 0.0f,
                   &a.y[t * a.y_time + d * a.y_direction + row * a.y_batch + unit]);
    if (q == 2 && last && a.h_n) from_float(after, &a.h_n[state]);
    if (q == 3) a.c[own] = c;
    if (q == 3 && last && a.c_n) from_float(c, &a.c_n[state]);
}
