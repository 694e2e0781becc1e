/* All steps of one recurrent layer in one launch: a cluster of BLOCKS blocks keeps R in its
 * registers and runs one direction of LIVE sequences. After each step every warp sends its units'
 * h, side by side, to all blocks of the cluster. W x + Wb of all steps is made beforehand.
 *
 * LANES neighbouring lanes make a unit, each with PER numbers of the unit's row of R, of all
 * gates. Four of them (a quad) end up with the gates of a sequence; the quads of a unit share the
 * sequences, or, if there are fewer of these than quads, make the same.
 *
 * ROWS: LIVE, made a power of 2. CELL: of cell_step, 0 or 1. UNITS. VEC: numbers of a row of R that are read at
 * once. ASYNC: h is sent by counted stores; else it is stored and the cluster meets at a barrier. TYPE: of the
 * tensors; sums, R and h within the cluster are float. */
#ifndef CELL
#define CELL 0
#define UNITS 256
#define BLOCKS 8
#define LANES 8
#define ROWS 4
#define LIVE 3
#define VEC 4
#define ASYNC 1
#define TYPE float
#endif

struct layer_args {
    const TYPE *r;     /* [directions][GATES * UNITS][UNITS] */
    const TYPE *bias;  /* [directions][2 * GATES * UNITS], or NULL */
    const TYPE *gates; /* [directions][seq * batch][GATES * UNITS] */
    const TYPE *h0, *c0;
    TYPE *y, *h_n, *c_n; /* each may be NULL */
    int64 gate_direction, gate_time, gate_batch; /* of gates, in elements */
    int64 y_time, y_direction, y_batch, state_direction, state_batch;
    int32 seq, batch, directions, backward;
};

enum {
    GATES = CELL == 0 ? 4 : 3,
    STEP = 32 / LANES, /* units of a warp */
    OWN = ((UNITS + BLOCKS - 1) / BLOCKS + STEP - 1) / STEP * STEP,
    THREADS = OWN * LANES,
    PER = (UNITS + 4 * LANES - 1) / (4 * LANES) * 4,
    HP = PER * LANES > BLOCKS * OWN ? PER * LANES : (BLOCKS * OWN + 3) / 4 * 4,
    QUADS = LANES / 4,
    EACH = ROWS > QUADS ? ROWS / QUADS : 1, /* sequences of a quad */
    MAKERS = ROWS < QUADS ? ROWS : QUADS,     /* quads that make different ones */
    SENDS = (MAKERS * BLOCKS + 31) / 32,      /* messages of a lane, for each of EACH */
};

struct alignas(4 * sizeof(TYPE)) four {
    TYPE at[4];
};

static __device__ __forceinline__ void load_weights(const layer_args &a, int d, int unit, int lane,
                                                    float (&w)[PER][4])
{
    const TYPE *from = a.r + ((int64)d * GATES * UNITS + unit) * UNITS;
#pragma unroll
    for (int gate = 0; gate < 4; gate++)
#pragma unroll
        for (int i = 0; i < PER; i += 4) {
            int k = i * LANES + 4 * lane;
            const TYPE *at = from + gate * UNITS * UNITS + k;
            bool there = gate < GATES && unit < UNITS;
#pragma unroll
            for (int e = 0; e < 4; e++) w[i + e][gate] = 0.0f;
            if (VEC == 4 && there && k < UNITS) {
                four v = *reinterpret_cast<const four *>(at);
#pragma unroll
                for (int e = 0; e < 4; e++) w[i + e][gate] = to_float(v.at[e]);
            }
#pragma unroll
            for (int e = 0; e < 4; e++)
                if (VEC == 1 && there && k + e < UNITS) w[i + e][gate] = to_float(at[e]);
        }
}

/* The sums over a unit's lanes: of each of the quad's sequences the gate of this lane. */
static __device__ __forceinline__ void add_lanes(const float (&w)[PER][4], const float *h, int lane,
                                                 float (&out)[EACH])
{
    float sum[ROWS][4] = {};
#pragma unroll
    for (int i = 0; i < PER; i += 4)
#pragma unroll
        for (int row = 0; row < LIVE; row++) {
            float4 v = *reinterpret_cast<const float4 *>(h + row * HP + i * LANES + 4 * lane);
#pragma unroll
            for (int gate = 0; gate < GATES; gate++) {
                float x = fmaf(w[i][gate], v.x, sum[row][gate]);
                x = fmaf(w[i + 1][gate], v.y, x);
                x = fmaf(w[i + 2][gate], v.z, x);
                sum[row][gate] = fmaf(w[i + 3][gate], v.w, x);
            }
        }
    float v[ROWS];
#pragma unroll
    for (int row = 0; row < ROWS; row++) v[row] = sum_of_four(sum[row], lane & 3);
    constexpr int half = ROWS / 2, quarter = ROWS / 4;
    bool high = lane & 4;
    if constexpr (half == 0) {
        v[0] += __shfl_xor_sync(0xffffffffu, v[0], 4);
    } else {
#pragma unroll
        for (int j = 0; j < half; j++) {
            float keep = high ? v[j + half] : v[j], send = high ? v[j] : v[j + half];
            v[j] = keep + __shfl_xor_sync(0xffffffffu, send, 4);
        }
    }
    if constexpr (QUADS == 4) {
        high = lane & 8;
        if constexpr (quarter == 0) {
            v[0] += __shfl_xor_sync(0xffffffffu, v[0], 8);
        } else {
#pragma unroll
            for (int j = 0; j < quarter; j++) {
                float keep = high ? v[j + quarter] : v[j], send = high ? v[j] : v[j + quarter];
                v[j] = keep + __shfl_xor_sync(0xffffffffu, send, 8);
            }
        }
    }
#pragma unroll
    for (int j = 0; j < EACH; j++) out[j] = v[j];
}

/* The first of the quad's sequences, as add_lanes shares them out. */
static __device__ __forceinline__ int row_of(int quad)
{
    return (quad & 1) * (ROWS / 2) + (quad >> 1) * (ROWS / 4);
}

/* h of the warp's units to all blocks: a message is one sequence's, to one block. */
static __device__ __forceinline__ void send(uint32 room, const float (&h)[EACH], uint32 to, int unit)
{
    int warp_lane = threadIdx.x % 32;
#pragma unroll
    for (int j = 0; j < EACH; j++)
#pragma unroll
        for (int i = 0; i < SENDS; i++) {
            int message = i * 32 + warp_lane, quad = message / BLOCKS % MAKERS;
            float x[STEP];
#pragma unroll
            for (int u = 0; u < STEP; u++)
                x[u] = __shfl_sync(0xffffffffu, h[j], u * LANES + 4 * quad);
            if (message >= MAKERS * BLOCKS || row_of(quad) + j >= LIVE) continue;
            uint32 there = cluster_address(room, message % BLOCKS);
            uint32 at = there + 4 * ((to * ROWS + row_of(quad) + j) * HP + unit);
            if (ASYNC) cluster_send(at, x, there + 2 * ROWS * HP * 4 + 8 * to);
            else cluster_store(at, x);
        }
}

extern "C" __global__ void __launch_bounds__(THREADS, 1) recurrent_cluster(layer_args a)
{
    extern __shared__ float4 shared[];
    float *h_room = reinterpret_cast<float *>(shared); /* [2][ROWS][HP], then two barriers */
    uint32 room = shared_address(h_room), barrier = room + 2 * ROWS * HP * 4;
    int lane = threadIdx.x % LANES, own = threadIdx.x / LANES, q = lane & 3, quad = lane / 4;
    int rank = blockIdx.x % BLOCKS, cluster = blockIdx.x / BLOCKS, d = cluster % a.directions;
    int unit = rank * OWN + own, first = cluster / a.directions * LIVE;
    bool there = unit < UNITS, backward = a.backward || d == 1;
    int row = row_of(quad);
    bool copy = quad >= MAKERS;

    float w[PER][4];
    load_weights(a, d, unit, lane, w);
    float bias = a.bias && there && q < GATES
                     ? to_float(a.bias[((int64)(2 * d + 1) * GATES + q) * UNITS + unit])
                     : 0.0f;
    int unit_of_warp = rank * OWN + threadIdx.x / 32 * STEP;
    if (ASYNC && threadIdx.x == 0) {
        barrier_make(barrier);
        barrier_make(barrier + 8);
        barrier_made();
        barrier_expect(barrier, BLOCKS * OWN * LIVE * 4);
        barrier_expect(barrier + 8, BLOCKS * OWN * LIVE * 4);
    }
    tn_wait_for_producer();
    tn_start_consumer();
    for (int i = threadIdx.x; i < 2 * ROWS * HP; i += THREADS) {
        int k = i % HP, b = first + i / HP;
        bool have = i < LIVE * HP && k < UNITS && b < a.batch && a.h0;
        h_room[i] = have ? to_float(a.h0[d * a.state_direction + b * a.state_batch + k]) : 0.0f;
    }
    float x[EACH], h[EACH], c[EACH];
    const TYPE *gate[EACH];
    TYPE *y[EACH];
    int64 gate_step = backward ? -a.gate_time : a.gate_time;
    int64 y_step = backward ? -a.y_time : a.y_time;
#pragma unroll
    for (int j = 0; j < EACH; j++) {
        int b = first + row + j;
        bool have = row + j < LIVE && b < a.batch && there;
        int64 state = d * a.state_direction + b * a.state_batch + unit;
        int64 start = backward ? a.seq - 1 : 0;
        h[j] = have && a.h0 ? to_float(a.h0[state]) : 0.0f;
        c[j] = have && a.c0 ? to_float(a.c0[state]) : 0.0f;
        gate[j] = have && q < GATES ? a.gates + d * a.gate_direction + start * a.gate_time +
                                          b * a.gate_batch + q * UNITS + unit
                                    : nullptr;
        y[j] = have && a.y && !copy && q == 1
                   ? a.y + start * a.y_time + d * a.y_direction + b * a.y_batch + unit
                   : nullptr;
        x[j] = gate[j] && a.seq > 0 ? to_float(*gate[j]) : 0.0f;
    }
    cluster_arrive();
    cluster_wait();

#pragma unroll 1
    for (int s = 0; s < a.seq; s++) {
        uint32 from = s & 1, to = from ^ 1;
        if (ASYNC && s > 0) {
            barrier_wait(barrier + 8 * from, (s - 1) >> 1 & 1);
            if (threadIdx.x == 0) barrier_expect(barrier + 8 * from, BLOCKS * OWN * LIVE * 4);
        }
        float sum[EACH];
        add_lanes(w, h_room + from * ROWS * HP, lane, sum);
#pragma unroll
        for (int j = 0; j < EACH; j++) {
            h[j] = cell_step<CELL>(sum[j] + bias, x[j], q, h[j], &c[j]);
            if (!there) h[j] = 0.0f;
        }
        if (s + 1 < a.seq) send(room, h, to, unit_of_warp);
        if (!ASYNC) cluster_arrive();
        /* What nobody waits for comes after the sending. */
#pragma unroll
        for (int j = 0; j < EACH; j++) {
            if (y[j]) from_float(h[j], y[j]), y[j] += y_step;
            if (gate[j] && s + 1 < a.seq) gate[j] += gate_step, x[j] = to_float(*gate[j]);
        }
        if (!ASYNC) cluster_wait();
    }
#pragma unroll
    for (int j = 0; j < EACH; j++) {
        int b = first + row + j;
        int64 state = d * a.state_direction + b * a.state_batch + unit;
        if (row + j >= LIVE || b >= a.batch || !there || copy) continue;
        if (q == 2 && a.h_n) from_float(h[j], &a.h_n[state]);
        if (q == 3 && a.c_n) from_float(c[j], &a.c_n[state]);
    }
}
