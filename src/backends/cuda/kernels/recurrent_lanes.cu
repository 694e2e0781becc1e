/* A stack of recurrent layers of at most 32 units in one launch, for sequences that are long: a
 * warp runs one sequence, a lane has a unit with the rows of R of all its gates in registers, and h
 * goes from lane to lane through shared memory. So no step waits for another warp, and nothing is
 * summed across lanes; what it takes is the way from h to h.
 *
 * A block is one direction of a few sequences, two directions are a cluster, as in recurrent_small,
 * whose weights these are. Other warps make W x of the layer, a few steps at a time, and run ahead:
 * a barrier for each of those tells that they are there. Warps that would take turns with one that
 * runs a sequence do nothing.
 *
 * CELL: 0 LSTM, 1 GRU (the reset after the product). UNITS. INPUT: numbers of X at a time. LAYERS,
 * DIRECTIONS. TYPE: of X, Y and the states; all else is float. */
#ifndef CELL
#define CELL 0
#define UNITS 20
#define INPUT 10
#define LAYERS 10
#define DIRECTIONS 2
#define TYPE float
#endif

struct lanes_args { /* mirrored in recurrent_small.c */
    const TYPE *x, *h0, *c0; /* the states may be NULL */
    const float *weights;
    TYPE *y, *h_n, *c_n; /* each may be NULL */
    int64 x_time, x_batch, y_time, y_direction, y_batch, state_layer, state_batch;
    int32 seq, batch;
    int32 rows;     /* sequences of a block */
    int32 backward; /* the only direction runs backwards */
};

enum {
    WARPS = 8,
    THREADS = 32 * WARPS,
    STEPS = 4, /* whose W x are made at a time */
    QUARTERS = 4, /* of a multiprocessor: a warp in four is on each of them */
    ABOVE = DIRECTIONS * UNITS,
    HP = recurrent_spread<UNITS>::padded,
    X_FIRST = recurrent_spread<INPUT>::padded,
    X_ABOVE = recurrent_spread<ABOVE>::padded,
    XP = LAYERS > 1 && (int)X_ABOVE > (int)X_FIRST ? (int)X_ABOVE : (int)X_FIRST,
    R_FOURS = (HP + 2) * UNITS,
    FIRST_FOURS = R_FOURS + X_FIRST * UNITS,
    ABOVE_FOURS = R_FOURS + X_ABOVE * UNITS,
    DIRECTION_FOURS = FIRST_FOURS + (LAYERS - 1) * ABOVE_FOURS,
    ROOM_FOURS = R_FOURS + XP * UNITS, /* of one layer's weights */
};

/* Four numbers side by side are the gates of a unit. */
struct room {
    float4 *weights; /* [2][ROOM_FOURS]: R [HP][UNITS], bias of x, of h [UNITS], W [.][UNITS] */
    float4 *gates;   /* [steps][rows][UNITS]: W x + bias, in the order in which steps are made */
    float *near;     /* [2][seq][rows][XP]: what layers read and write, in the order of time */
    float *h;        /* [rows][2][HP] */
    uint32 barrier;  /* of each group of steps of each row: every lane that wrote arrives */
    int rows, groups;
};
static __device__ __forceinline__ room cut_room(float4 *at, int rows, int seq)
{
    room r;
    r.rows = rows;
    r.groups = (seq + STEPS - 1) / STEPS;
    r.weights = at;
    r.gates = r.weights + 2 * ROOM_FOURS;
    r.near = reinterpret_cast<float *>(r.gates + r.groups * STEPS * rows * UNITS);
    r.h = r.near + 2 * seq * rows * XP;
    r.barrier = shared_address(r.h + 2 * rows * HP);
    return r;
}

/* Of four numbers of a lane of recurrent_small, which number of the row they belong to. */
template <int N> static __device__ __forceinline__ int packed_place(int k)
{
    constexpr int wide = recurrent_spread<N>::wide;
    return (k / (4 * wide) * wide + k % wide) * 4 * UNITS + k / wide % 4;
}

/* Begins to copy a layer's weights; unit by unit, as lanes read them. */
template <int N>
static __device__ __forceinline__ void copy_layer(const float4 *from, float4 *to, int thread,
                                                  int threads)
{
    constexpr int PADDED = recurrent_spread<N>::padded;
    for (int i = thread; i < (HP + 2 + PADDED) * UNITS; i += threads) {
        int k = i / UNITS, unit = i % UNITS, at = i;
        if (k < HP) at = packed_place<UNITS>(k) + 4 * unit;
        else if (k >= HP + 2) at = R_FOURS + packed_place<N>(k - HP - 2) + 4 * unit;
        copy_begin(to + i, from + at, true);
    }
}

static __device__ __forceinline__ void add_four(float4 &sum, float4 w, float x)
{
    sum.x = fmaf(w.x, x, sum.x), sum.y = fmaf(w.y, x, sum.y);
    sum.z = fmaf(w.z, x, sum.z), sum.w = fmaf(w.w, x, sum.w);
}

/* W x + bias of STEPS steps of a row at a time, by every `warps`-th warp. */
template <int N>
static __device__ __forceinline__ void project(const room &r, const float4 *weights, const float *x,
                                               int seq, bool backward, int warp, int warps)
{
    constexpr int PADDED = recurrent_spread<N>::padded;
    int lane = threadIdx.x % 32, unit = lane < UNITS ? lane : UNITS - 1;
    const float4 *w = weights + R_FOURS + unit;
    float4 bias = weights[HP * UNITS + unit];
    for (int i = warp; i < r.groups * r.rows; i += warps) {
        int row = i % r.rows, first = i / r.rows * STEPS;
        const float4 *from[STEPS];
        float4 sum[STEPS];
#pragma unroll
        for (int m = 0; m < STEPS; m++) {
            int s = first + m < seq ? first + m : seq - 1, t = backward ? seq - 1 - s : s;
            from[m] = reinterpret_cast<const float4 *>(x + (t * r.rows + row) * XP);
            sum[m] = bias;
        }
#pragma unroll 2
        for (int k = 0; k < PADDED / 4; k++) {
            float4 v[4] = {w[4 * k * UNITS], w[(4 * k + 1) * UNITS], w[(4 * k + 2) * UNITS],
                           w[(4 * k + 3) * UNITS]};
#pragma unroll
            for (int m = 0; m < STEPS; m++) {
                float4 of = from[m][k];
                add_four(sum[m], v[0], of.x), add_four(sum[m], v[1], of.y);
                add_four(sum[m], v[2], of.z), add_four(sum[m], v[3], of.w);
            }
        }
#pragma unroll
        for (int m = 0; m < STEPS; m++)
            if (lane < UNITS) r.gates[((first + m) * r.rows + row) * UNITS + unit] = sum[m];
        if (lane < UNITS) barrier_arrive(r.barrier + 8 * i);
    }
}

/* What a lane has of its unit. */
struct unit_state {
    float4 r[HP], bias_h;
    float4 v[HP / 4]; /* h of all units */
    float h, c;
};

static __device__ __forceinline__ float part(const float4 &x, int which)
{
    return which == 0 ? x.x : which == 1 ? x.y : which == 2 ? x.z : x.w;
}

/* start + R h of one gate: two sums, so that other gates' fill the time that each takes. */
template <int GATE> static __device__ __forceinline__ float of_h(const unit_state &u, float start)
{
    float sum[2] = {start, 0};
#pragma unroll
    for (int k = 0; k < HP; k++)
        sum[k % 2] = fmaf(part(u.r[k], GATE), part(u.v[k / 4], k % 4), sum[k % 2]);
    return sum[0] + sum[1];
}

/* The next h. Gates come in the order in which what follows needs them. */
static __device__ __forceinline__ void step(unit_state &u, const float4 &x)
{
    if constexpr (CELL == 0) {
        float next = of_h<3>(u, x.w), input = of_h<0>(u, x.x);
        next = cell_tanh(next), input = cell_sigmoid(input);
        float forget = cell_sigmoid(of_h<2>(u, x.z));
        u.c = fmaf(forget, u.c, input * next);
        u.h = cell_sigmoid(of_h<1>(u, x.y)) * cell_tanh(u.c);
    } else {
        float reset = cell_sigmoid(of_h<1>(u, x.y)), next = of_h<2>(u, u.bias_h.z);
        next = cell_tanh(fmaf(reset, next, x.z));
        u.h = fmaf(cell_sigmoid(of_h<0>(u, x.x)), u.h - next, next);
    }
}

/* A warp: all steps of a layer of one row. */
static __device__ __forceinline__ void run_steps(const lanes_args &a, const room &r,
                                                 const float4 *weights, float *next_x, int l,
                                                 int row, int batch, int direction, bool backward)
{
    int lane = threadIdx.x % 32, unit = lane < UNITS ? lane : UNITS - 1;
    bool live = lane < UNITS;
    int64 state = (int64)(l * DIRECTIONS + direction) * a.state_layer +
                  (int64)batch * a.state_batch + unit;
    unit_state u;
    u.h = a.h0 ? to_float(a.h0[state]) : 0.0f;
    u.c = a.c0 ? to_float(a.c0[state]) : 0.0f;
    u.bias_h = weights[(HP + 1) * UNITS + unit];
#pragma unroll
    for (int k = 0; k < HP; k++) u.r[k] = weights[k * UNITS + unit];
    /* Written and read in turns, so that nobody writes what another lane still reads. */
    float *h = r.h + row * 2 * HP;
    if (lane < HP) h[lane] = live ? u.h : 0.0f, h[HP + lane] = 0.0f;
    __syncwarp();
#pragma unroll
    for (int k = 0; k < HP / 4; k++) u.v[k] = reinterpret_cast<const float4 *>(h)[k];

    int start = backward ? a.seq - 1 : 0, turn = backward ? -1 : 1;
    bool last = l == LAYERS - 1;
    TYPE *y = a.y && last ? a.y + start * a.y_time + direction * a.y_direction +
                                batch * a.y_batch + unit
                          : nullptr;
    float *own = next_x + (start * r.rows + row) * XP + direction * UNITS + unit;
    float *other = DIRECTIONS > 1 ? cluster_pointer(own, direction ^ 1) : nullptr;
    int near_step = turn * r.rows * XP;
    const float4 *gate = r.gates + row * UNITS + unit;
    float4 x[STEPS], next[STEPS];
    auto take = [&](int group, float4(&into)[STEPS]) {
        barrier_wait_block(r.barrier + 8 * (group * r.rows + row), l & 1);
#pragma unroll
        for (int m = 0; m < STEPS; m++) into[m] = gate[(group * STEPS + m) * r.rows * UNITS];
    };
    take(0, next);
    for (int group = 0; group < r.groups; group++) {
#pragma unroll
        for (int m = 0; m < STEPS; m++) x[m] = next[m];
#pragma unroll
        for (int m = 0; m < STEPS; m++) {
            if (group * STEPS + m >= a.seq) break;
            float *there = h + (m + 1) % 2 * HP;
            step(u, x[m]);
            if (live) there[unit] = u.h;
            __syncwarp();
#pragma unroll
            for (int k = 0; k < HP / 4; k++) u.v[k] = reinterpret_cast<const float4 *>(there)[k];
            /* What no step waits for. */
            if (live && !last) {
                *own = u.h;
                own += near_step;
                if (DIRECTIONS > 1) *other = u.h, other += near_step;
            }
            if (live && y) from_float(u.h, y), y += turn * a.y_time;
            if (m == 0 && group + 1 < r.groups) take(group + 1, next);
        }
    }
    if (live && a.h_n) from_float(u.h, &a.h_n[state]);
    if (live && a.c_n) from_float(u.c, &a.c_n[state]);
}

/* Which of the warps that project this one is, negative if it is none, and how many there are. */
static __device__ __forceinline__ int helper_of(int rows, int *helpers)
{
    int warp = threadIdx.x / 32, each = QUARTERS - rows;
    *helpers = each > 0 ? each * (WARPS / QUARTERS) : WARPS - rows;
    if (each <= 0) return warp - rows;
    return warp % QUARTERS < rows ? -1 : warp / QUARTERS * each + warp % QUARTERS - rows;
}

extern "C" __global__ void __launch_bounds__(THREADS, 1) recurrent_lanes(lanes_args a)
{
    extern __shared__ float4 shared[];
    int direction = blockIdx.x % DIRECTIONS, first = blockIdx.x / DIRECTIONS * a.rows;
    int rows = a.batch - first < a.rows ? a.batch - first : a.rows, warp = threadIdx.x / 32;
    bool backward = a.backward || direction == 1;
    room r = cut_room(shared, rows, a.seq);
    const float4 *from = reinterpret_cast<const float4 *>(a.weights) + direction * DIRECTION_FOURS;
    copy_layer<INPUT>(from, r.weights, threadIdx.x, THREADS);
    copy_group();
    for (int i = threadIdx.x; i < r.groups * rows; i += THREADS)
        barrier_make(r.barrier + 8 * i, UNITS);
    barrier_made();
    for (int i = threadIdx.x; i < 2 * a.seq * rows * XP; i += THREADS) r.near[i] = 0.0f;
    tn_wait_for_producer();
    tn_start_consumer();
    __syncthreads();
    for (int i = threadIdx.x; i < a.seq * rows * INPUT; i += THREADS) {
        int k = i % INPUT, row = i / INPUT % rows, t = i / INPUT / rows;
        r.near[(t * rows + row) * XP + k] =
            to_float(a.x[t * a.x_time + (first + row) * a.x_batch + k]);
    }
    from += FIRST_FOURS;
    int helpers, helper = helper_of(rows, &helpers);
    for (int l = 0; l < LAYERS; l++) {
        float4 *weights = r.weights + l % 2 * ROOM_FOURS;
        float *x = r.near + l % 2 * a.seq * rows * XP;
        float *next_x = r.near + (l + 1) % 2 * a.seq * rows * XP;
        /* All that layers below wrote is there, here and in the other block. */
        copy_wait<0>();
        if (DIRECTIONS > 1) cluster_arrive(), cluster_wait();
        else __syncthreads();
        if (warp < rows) {
            run_steps(a, r, weights, next_x, l, warp, first + warp, direction, backward);
            continue;
        }
        if (helper < 0) continue;
        if (l == 0) project<INPUT>(r, weights, x, a.seq, backward, helper, helpers);
        else project<ABOVE>(r, weights, x, a.seq, backward, helper, helpers);
        if (l + 1 < LAYERS)
            copy_layer<ABOVE>(from, r.weights + (l + 1) % 2 * ROOM_FOURS,
                              32 * helper + threadIdx.x % 32, 32 * helpers);
        copy_group();
        from += ABOVE_FOURS;
    }
}
