/* All steps of one recurrent layer in one launch, as recurrent_cluster, by tensor cores: for
 * elements of 16 bits. A cluster of BLOCKS blocks runs one direction of 8 sequences, a warp 8 units
 * with their rows of R in registers. Sums and c are float; h goes from block to block as TYPE.
 *
 * A warp makes two tiles of 16 rows and 8 sequences: gates 0 and 1 of its units, and 2 and 3. So a
 * lane gets all gates of unit lane / 4, of sequences 2 * (lane % 4) and the next, and no sum has to
 * move. Of every 32 numbers of a row a lane takes the 8 from 8 * (lane % 4) on, in R as in h: another
 * order of the same sum, in which all reads are of 16 bytes.
 *
 * CELL: of cell_step, 0 or 1. UNITS. WARPS: of a block. VEC: numbers of a row of R that are read at
 * once, 8 or 1. */
#ifndef CELL
#define CELL 0
#define UNITS 256
#define BLOCKS 8
#define WARPS 4
#define VEC 8
#define TYPE half
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
    ROWS = 8, /* sequences */
    OWN = 8,  /* units of a warp */
    THREADS = 32 * WARPS,
    STEPS = (UNITS + 31) / 32,
    ALL = BLOCKS * WARPS * OWN,
    WIDE = ALL > 32 * STEPS ? ALL : 32 * STEPS,
    HP = (WIDE + 63) / 64 * 64 + 32, /* so that lanes read different banks */
    SENT = ALL * ROWS * 2,
};

struct alignas(16) eight {
    uint32 at[4];
};
struct alignas(16) room {
    TYPE h[2][ROWS][HP];
    TYPE next[WARPS][ROWS][OWN]; /* on its way from lanes to messages */
    uint64 barrier[2];
};

static __device__ __forceinline__ eight weights_at(const layer_args &a, int row, int unit, int k)
{
    eight v = {};
    const TYPE *at = a.r + ((int64)row * UNITS + unit) * UNITS + k;
    if (unit >= UNITS) return v;
    if (VEC == 8 && k < UNITS) v = *reinterpret_cast<const eight *>(at);
#pragma unroll
    for (int e = 0; e < 8; e++)
        if (VEC == 1 && k + e < UNITS) v.at[e / 2] |= (uint32)at[e].bits << e % 2 * 16;
    return v;
}

/* As the first operands of two products, for each 32 numbers of each tile. */
static __device__ __forceinline__ void load_weights(const layer_args &a, int d, int unit,
                                                    uint32 (&w)[STEPS][2][2][4])
{
#pragma unroll
    for (int j = 0; j < STEPS; j++)
#pragma unroll
        for (int gate = 0; gate < 4; gate++) {
            eight v = {};
            if (gate < GATES)
                v = weights_at(a, d * GATES + gate, unit, 32 * j + threadIdx.x % 4 * 8);
#pragma unroll
            for (int e = 0; e < 4; e++) w[j][gate / 2][e / 2][e % 2 * 2 + gate % 2] = v.at[e];
        }
}

/* sum += R h, of the gates of this lane's unit, of two sequences each. */
static __device__ __forceinline__ void add_product(const uint32 (&w)[STEPS][2][2][4], const TYPE *h,
                                                   float (&sum)[2][4])
{
    float more[2][4] = {}; /* products of one chain wait for each other: two for each tile */
#pragma unroll
    for (int j = 0; j < STEPS; j++) {
        eight v = *reinterpret_cast<const eight *>(h + 32 * j);
#pragma unroll
        for (int tile = 0; tile < 2; tile++) {
            multiply_add(TYPE(), sum[tile], w[j][tile][0], v.at);
            multiply_add(TYPE(), more[tile], w[j][tile][1], v.at + 2);
        }
    }
#pragma unroll
    for (int i = 0; i < 8; i++) sum[i / 4][i % 4] += more[i / 4][i % 4];
}

/* To 1e-7 of 1, which is more than TYPE keeps. */
static __device__ __forceinline__ float tanh_near(float x)
{
    return fmaf(-2.0f, reciprocal_approx(1.0f + exp2_approx(2.88539008f * x)), 1.0f);
}

/* The next h; gates in the order of ONNX. */
static __device__ __forceinline__ float cell(const float *sum, const float *x, float h, float *c)
{
    if constexpr (CELL == 0) {
        float input = cell_sigmoid(sum[0] + x[0]), output = cell_sigmoid(sum[1] + x[1]);
        float forget = cell_sigmoid(sum[2] + x[2]), next = tanh_near(sum[3] + x[3]);
        *c = fmaf(forget, *c, input * next);
        return output * tanh_near(*c);
    } else {
        float update = cell_sigmoid(sum[0] + x[0]), reset = cell_sigmoid(sum[1] + x[1]);
        float next = tanh_near(fmaf(reset, sum[2], x[2]));
        return fmaf(update, h - next, next);
    }
}

/* h of the warp's units to all blocks: a message is one sequence's, to one block. */
static __device__ __forceinline__ void send(room *r, const float (&h)[2], uint32 to, int warp_unit)
{
    int lane = threadIdx.x % 32, row = lane % ROWS;
    TYPE(*next)[OWN] = r->next[threadIdx.x / 32];
    __syncwarp();
    from_float(h[0], &next[lane % 4 * 2][lane / 4]);
    from_float(h[1], &next[lane % 4 * 2 + 1][lane / 4]);
    __syncwarp();
    eight v = *reinterpret_cast<const eight *>(next[row]);
    float x[4];
#pragma unroll
    for (int e = 0; e < 4; e++) x[e] = __uint_as_float(v.at[e]);
#pragma unroll
    for (int block = 0; block < BLOCKS; block += 4) {
        int rank = block + lane / ROWS;
        if (rank < BLOCKS)
            cluster_send(cluster_address(shared_address(&r->h[to][row][warp_unit]), rank), x,
                         cluster_address(shared_address(&r->barrier[to]), rank));
    }
}

extern "C" __global__ void __launch_bounds__(THREADS, 1) recurrent_tensor(layer_args a)
{
    extern __shared__ float4 shared[];
    room *r = reinterpret_cast<room *>(shared);
    uint32 barrier = shared_address(r->barrier);
    int lane = threadIdx.x % 32, rank = blockIdx.x % BLOCKS, cluster = blockIdx.x / BLOCKS;
    int d = cluster % a.directions, first = cluster / a.directions * ROWS;
    int warp_unit = (rank * WARPS + threadIdx.x / 32) * OWN, unit = warp_unit + lane / 4;
    bool there = unit < UNITS, backward = a.backward || d == 1;

    uint32 w[STEPS][2][2][4];
    load_weights(a, d, unit, w);
    float bias[GATES];
#pragma unroll
    for (int g = 0; g < GATES; g++)
        bias[g] = a.bias && there
                      ? to_float(a.bias[((int64)(2 * d + 1) * GATES + g) * UNITS + unit])
                      : 0.0f;
    if (threadIdx.x == 0) {
        barrier_make(barrier);
        barrier_make(barrier + 8);
        barrier_made();
        barrier_expect(barrier, SENT);
        barrier_expect(barrier + 8, SENT);
    }
    tn_wait_for_producer();
    tn_start_consumer();
    for (int i = threadIdx.x; i < 2 * ROWS * HP; i += THREADS) {
        int k = i % HP, row = i / HP % ROWS, b = first + row;
        bool have = i < ROWS * HP && k < UNITS && b < a.batch && a.h0;
        TYPE h = {};
        if (have) h = a.h0[d * a.state_direction + b * a.state_batch + k];
        r->h[i / HP / ROWS][row][k] = h;
    }
    TYPE x[2][GATES] = {};
    float h[2], c[2];
    const TYPE *gate[2];
    TYPE *y[2];
    int64 gate_step = backward ? -a.gate_time : a.gate_time;
    int64 y_step = backward ? -a.y_time : a.y_time;
    int64 start = backward ? a.seq - 1 : 0;
#pragma unroll
    for (int j = 0; j < 2; j++) {
        int b = first + lane % 4 * 2 + j;
        bool have = b < a.batch && there;
        int64 state = d * a.state_direction + b * a.state_batch + unit;
        h[j] = have && a.h0 ? to_float(a.h0[state]) : 0.0f;
        c[j] = have && a.c0 ? to_float(a.c0[state]) : 0.0f;
        gate[j] = have ? a.gates + d * a.gate_direction + start * a.gate_time + b * a.gate_batch +
                             unit
                       : nullptr;
        y[j] = have && a.y ? a.y + start * a.y_time + d * a.y_direction + b * a.y_batch + unit
                           : nullptr;
#pragma unroll
        for (int g = 0; g < GATES; g++)
            if (gate[j] && a.seq > 0) x[j][g] = gate[j][g * UNITS];
    }
    cluster_arrive();
    cluster_wait();

#pragma unroll 1
    for (int s = 0; s < a.seq; s++) {
        uint32 from = s & 1, to = from ^ 1;
        if (s > 0) {
            barrier_wait(barrier + 8 * from, (s - 1) >> 1 & 1);
            if (threadIdx.x == 0) barrier_expect(barrier + 8 * from, SENT);
        }
        float sum[2][4];
#pragma unroll
        for (int i = 0; i < 8; i++) sum[i / 4][i % 4] = i / 2 < GATES ? bias[i / 2] : 0.0f;
        add_product(w, &r->h[from][lane / 4][lane % 4 * 8], sum);
#pragma unroll
        for (int j = 0; j < 2; j++) {
            float v[4], from_input[GATES];
#pragma unroll
            for (int g = 0; g < GATES; g++) v[g] = sum[g / 2][g % 2 * 2 + j];
#pragma unroll
            for (int g = 0; g < GATES; g++) from_input[g] = to_float(x[j][g]);
            h[j] = cell(v, from_input, h[j], &c[j]);
            if (!there) h[j] = 0.0f;
        }
        if (s + 1 < a.seq) send(r, h, to, warp_unit);
        /* What nobody waits for comes after the sending. */
#pragma unroll
        for (int j = 0; j < 2; j++) {
            if (y[j]) from_float(h[j], y[j]), y[j] += y_step;
            if (!gate[j] || s + 1 >= a.seq) continue;
            gate[j] += gate_step;
#pragma unroll
            for (int g = 0; g < GATES; g++) x[j][g] = gate[j][g * UNITS];
        }
    }
#pragma unroll
    for (int j = 0; j < 2; j++) {
        int b = first + lane % 4 * 2 + j;
        int64 state = d * a.state_direction + b * a.state_batch + unit;
        if (b >= a.batch || !there) continue;
        if (a.h_n) from_float(h[j], &a.h_n[state]);
        if (a.c_n) from_float(c[j], &a.c_n[state]);
    }
}
