/* Two products of single pixels, one behind the other, of 16-bit elements with the channels along
 * memory (9.0): the end of one block of a residual network and the beginning of the next.
 *
 *     m[r, c] = activation(sum over k of x(r, k) * w[c, k] + bias[c] + residual[r, c])
 *     y[r, o] = then(sum over c of m[r, c] * v[o, c] + bias2[o])
 *
 * A block takes BM rows at a time through both and goes on gridDim.x tiles further: 64 columns of m
 * after the other are made, 64 rows by each of GROUPS groups of four warps. As they stand in
 * registers they are rounded and are the first operand of the second product, whose sums for 64
 * OUTS columns stay in registers until the tile is done; so m, which is wide, is written but not read
 * again. Four warps more have one thing each to do: to bring weights, x, the residual, and to send
 * off. Weights come as units of 64 by 64 round a ring, in the order in which they are used; where
 * all of them fit it they stay. A ring of plates, BM rows of 64 columns, takes the residual, m over
 * it, and y. Lines of 128 bytes everywhere, whose eight parts of 16 are exclusive-ored with the
 * line's number.
 *
 * MORE: channels of single pixels of another x, by weights of their own, follow x's in the sum.
 *
 * TYPE: half or bf16. UNITS, X_PLATES, PLATES: places of the rings; x's columns of a tile are
 * X_PLATES at most. RESIDUAL: there is one. ACT, THEN: the activations. */
#ifndef TYPE
#define TYPE half
#define GROUPS 2
#define OUTS 1
#define UNITS 8
#define X_PLATES 2
#define PLATES 8
#define MORE 0
#define RESIDUAL 1
#define ACT 1
#define THEN 1
#endif
typedef TYPE T;
#define PRODUCT_COLUMNS 64
#include "group.cuh"

struct shape { /* mirrored in conv_pair.c */
    map x, more_x, w, more_w, residual, m, v, y;
    const T *bias, *bias2;
    int32 tiles, chunks, n, n2;       /* chunks of 64 columns of m; columns of m and of y */
    int32 steps, own_steps;           /* of 64 channels: all, and of x */
    int32 stride[2], more_stride[2];  /* of x, of the other x: from pixel to pixel */
    int32 weights, keep, writes;      /* w, v are constant; all units stay; m is wanted */
    int32 backwards;                  /* from the last tile on */
    divider out[2];
    float alpha, beta, then_alpha, then_beta;
};

enum {
    BM = 64 * GROUPS,
    MULTIPLIERS = 128 * GROUPS,
    THREADS = MULTIPLIERS + 128,
    LINE = 128,
    UNIT = 64 * LINE,
    PLATE = BM * LINE,
    EIGHTS = 8, /* of columns of a chunk */
    GIVEN = 40, TAKEN = GROUPS == 3 ? 152 : 232, /* registers of threads that bring, and multiply */
};

/* ---- What is where -----------------------------------------------------------------------------*/

struct barriers { /* by their addresses in shared memory */
    uint32 at;
    __device__ uint32 full(int unit) const { return at + unit * 8; }
    __device__ uint32 empty(int unit) const { return full(UNITS + unit); }
    __device__ uint32 x_full(int plate) const { return full(2 * UNITS + plate); }
    __device__ uint32 x_empty(int plate) const { return x_full(X_PLATES + plate); }
    __device__ uint32 residual(int plate) const { return x_full(2 * X_PLATES + plate); }
    __device__ uint32 written(int plate) const { return residual(PLATES + plate); }
    __device__ uint32 sent(int plate) const { return residual(2 * PLATES + plate); }
    __device__ void make() const
    {
        for (int i = 0; i < UNITS; i++) {
            barrier_make(full(i), 1);
            barrier_make(empty(i), 4 * GROUPS);
        }
        for (int i = 0; i < X_PLATES; i++) {
            barrier_make(x_full(i), 1);
            barrier_make(x_empty(i), 4 * GROUPS);
        }
        for (int i = 0; i < PLATES; i++) {
            barrier_make(residual(i), 1);
            barrier_make(written(i), MULTIPLIERS);
            barrier_make(sent(i), 1);
        }
        barrier_made();
    }
};

struct tiles { /* of a block, one by one */
    int tile = blockIdx.x;
    __device__ bool more(const shape &s) const { return tile < s.tiles; }
    __device__ int row(const shape &s) const { return (s.backwards ? s.tiles - 1 - tile : tile) * BM; }
    __device__ void next() { tile += gridDim.x; }
};

/* ---- Bringing and sending off, by one thread each ----------------------------------------------*/

static __device__ void bring_weights(const shape &s, const barriers &b, uint32 units)
{
    turn<UNITS> unit;
    if (!s.weights) tn_wait_for_producer();
    for (tiles now; now.more(s); now.next()) {
        for (int chunk = 0; chunk < s.chunks; chunk++)
            for (int i = 0; i < s.steps + OUTS; i++, unit.next()) {
                uint32 to = units + unit.at * UNIT, full = b.full(unit.at);
                barrier_wait_block(b.empty(unit.at), unit.parity ^ 1);
                barrier_expect(full, UNIT);
                if (i >= s.steps) copy_box(to, s.v, chunk * 64, (i - s.steps) * 64, full);
                else if (!MORE || i < s.own_steps) copy_box(to, s.w, i * 64, chunk * 64, full);
                else copy_box(to, s.more_w, (i - s.own_steps) * 64, chunk * 64, full);
            }
        if (s.keep) break;
    }
}

static __device__ void bring_x(const shape &s, const barriers &b, uint32 x)
{
    turn<X_PLATES> place;
    tn_wait_for_producer();
    for (tiles now; now.more(s); now.next()) {
        pixel first(s.out, now.row(s));
        for (int i = 0; i < s.steps; i++, place.next()) {
            uint32 to = x + place.at * PLATE, full = b.x_full(place.at);
            barrier_wait_block(b.x_empty(place.at), place.parity ^ 1);
            barrier_expect(full, PLATE);
            if (!MORE || i < s.own_steps)
                copy_windows(to, s.x, i * 64, first.w * s.stride[1], first.h * s.stride[0], first.n, 0,
                             0, full);
            else
                copy_windows(to, s.more_x, (i - s.own_steps) * 64, first.w * s.more_stride[1],
                             first.h * s.more_stride[0], first.n, 0, 0, full);
        }
    }
}

static __device__ void bring_residual(const shape &s, const barriers &b, uint32 plates)
{
    turn<PLATES> plate;
    tn_wait_for_producer();
    for (tiles now; now.more(s); now.next())
        for (int i = 0; i < s.chunks + OUTS; i++, plate.next()) {
            uint32 there = b.residual(plate.at);
            barrier_wait_block(b.sent(plate.at), plate.parity ^ 1);
            if (i >= s.chunks) {
                barrier_arrive(there);
                continue;
            }
            barrier_expect(there, PLATE);
            copy_box(plates + plate.at * PLATE, s.residual, i * 64, now.row(s), there);
        }
}

/* A plate is free when the copy engine has read it, which is asked when the next one is on its way. */
static __device__ void send_off(const shape &s, const barriers &b, uint32 plates)
{
    turn<PLATES> plate;
    uint32 sent = 0;
    for (tiles now; now.more(s); now.next())
        for (int i = 0; i < s.chunks + OUTS; i++, plate.next()) {
            uint32 from = plates + plate.at * PLATE;
            barrier_wait_block(b.written(plate.at), plate.parity);
            if (i >= s.chunks) store_box(s.y, (i - s.chunks) * 64, now.row(s), from);
            else if (s.writes) store_box(s.m, i * 64, now.row(s), from);
            store_end();
            store_wait<1>();
            if (sent) barrier_arrive(sent);
            sent = b.sent(plate.at);
        }
    store_wait<0>();
}

/* ---- Multiplying -------------------------------------------------------------------------------*/

/* Units are given back when the products that read them are done: all but the last that was begun. */
struct reader {
    turn<UNITS> unit;
    uint32 done = 0;
    __device__ __forceinline__ uint32 wait(const barriers &b, uint32 units) const
    {
        barrier_wait_block(b.full(unit.at), unit.parity);
        return units + unit.at * UNIT;
    }
    __device__ __forceinline__ void begun(const shape &s, const barriers &b)
    {
        multiply_wait<1>();
        if (done) give_back(done);
        done = s.keep ? 0 : b.empty(unit.at);
        unit.next();
    }
    __device__ __forceinline__ void end()
    {
        multiply_wait<0>();
        if (done) give_back(done);
        done = 0;
    }
};

/* Until it is free, and the residual is in it if it is to be. */
static __device__ __forceinline__ void wait_for_plate(const barriers &b, const turn<PLATES> &plate)
{
    if (RESIDUAL) barrier_wait_block(b.residual(plate.at), plate.parity);
    else barrier_wait_block(b.sent(plate.at), plate.parity ^ 1);
}

/* A thread's two neighbours of a line of a plate, by eights of columns. */
static __device__ __forceinline__ char *line_of(char *plate)
{
    return plate + threadIdx.x / 128 * UNIT +
           (threadIdx.x % 128 / 32 * 16 + threadIdx.x % 32 / 4) * LINE;
}
static __device__ __forceinline__ int in_line(int eight)
{
    return (eight ^ threadIdx.x % 32 / 4) * 16 + threadIdx.x % 4 * 4;
}

/* Those of biases; `column` and n are even. */
static __device__ __forceinline__ void load_bias(const T *bias, int first, int n, pack<T, 2> *to)
{
#pragma unroll
    for (int j = 0; j < EIGHTS; j++) {
        int column = first + j * 8 + threadIdx.x % 4 * 2;
        to[j] = pack<T, 2>();
        if (bias && column < n) to[j] = *(const pack<T, 2> *)(bias + column);
    }
}

template <int KIND, bool ADDS>
static __device__ __forceinline__ uint32 finish(const float *sum, const pack<T, 2> &bias,
                                                uint32 residual, float alpha, float beta)
{
    float y[2];
#pragma unroll
    for (int v = 0; v < 2; v++) {
        y[v] = sum[v] + to_float(bias.at[v]);
        if (ADDS) {
            T more = {(uint16)(residual >> v * 16)};
            y[v] += to_float(more);
        }
        y[v] = activate_near<KIND>(y[v], alpha, beta);
    }
    return pair_of(T(), y[0], y[1]);
}

/* 64 columns of m, to their plate and as the next first operand. */
static __device__ __forceinline__ void write_m(const shape &s, char *plate, float (*sum)[4],
                                               const pack<T, 2> *bias, uint32 (*m)[4])
{
    char *line = line_of(plate);
#pragma unroll
    for (int j = 0; j < EIGHTS; j++)
#pragma unroll
        for (int h = 0; h < 2; h++) {
            uint32 *two = (uint32 *)(line + h * 8 * LINE + in_line(j));
            *two = m[j / 2][j % 2 * 2 + h] = finish<ACT, RESIDUAL>(
                &sum[j][h * 2], bias[j], RESIDUAL ? *two : 0, s.alpha, s.beta);
        }
    show_to_copies();
}

static __device__ __forceinline__ void write_y(const shape &s, char *plate, float (*sum)[4], int first)
{
    char *line = line_of(plate);
    pack<T, 2> bias[EIGHTS];
    load_bias(s.bias2, first, s.n2, bias);
#pragma unroll
    for (int j = 0; j < EIGHTS; j++)
#pragma unroll
        for (int h = 0; h < 2; h++)
            *(uint32 *)(line + h * 8 * LINE + in_line(j)) =
                finish<THEN, false>(&sum[j][h * 2], bias[j], 0, s.then_alpha, s.then_beta);
    show_to_copies();
}

/* 64 columns of m more in the sums of y. */
static __device__ __forceinline__ void begin_second(const uint32 (*m)[4], uint32 v_at, float (*sum)[4])
{
    uint64 v = matrix_at(v_at);
    settle(sum);
    multiply_begin();
#pragma unroll
    for (int d = 0; d < 4; d++) multiply_by(T(), sum, m[d], v + d * 2);
    multiply_end();
}

static __device__ __forceinline__ void multiply_all(const shape &s, const barriers &b, uint32 units,
                                                    uint32 x, char *plates)
{
    reader r;
    turn<X_PLATES> x_now;
    turn<PLATES> plate;
    tn_wait_for_producer();
    x += threadIdx.x / 128 * UNIT;
    for (tiles now; now.more(s); now.next()) {
        float all[OUTS][EIGHTS][4] = {};
        uint32 m[4][4];
        if (s.keep) r.unit = turn<UNITS>();
        for (int chunk = 0; chunk < s.chunks; chunk++, plate.next()) {
            float sum[EIGHTS][4] = {};
            pack<T, 2> bias[EIGHTS];
            turn<X_PLATES> place = x_now;
            load_bias(s.bias, chunk * 64, s.n, bias);
            for (int i = 0; i < s.steps; i++, place.next()) {
                if (chunk == 0) barrier_wait_block(b.x_full(place.at), place.parity);
                begin_step(x + place.at * PLATE, r.wait(b, units), sum);
                r.begun(s, b);
            }
            r.end();
            settle(sum);
            if (chunk == s.chunks - 1)
                for (int i = 0; i < s.steps; i++, x_now.next()) give_back(b.x_empty(x_now.at));
            wait_for_plate(b, plate);
            write_m(s, plates + plate.at * PLATE, sum, bias, m);
            barrier_arrive(b.written(plate.at));
#pragma unroll
            for (int o = 0; o < OUTS; o++) {
                begin_second(m, r.wait(b, units), all[o]);
                r.begun(s, b);
            }
        }
        r.end();
#pragma unroll
        for (int o = 0; o < OUTS; o++, plate.next()) {
            settle(all[o]);
            wait_for_plate(b, plate);
            write_y(s, plates + plate.at * PLATE, all[o], o * 64);
            barrier_arrive(b.written(plate.at));
        }
    }
}

extern "C" __global__ void __launch_bounds__(THREADS, 1) conv_pair(const __grid_constant__ shape s)
{
    extern __shared__ __align__(1024) char memory[];
    char *x = memory + UNITS * UNIT, *plates = x + X_PLATES * PLATE;
    barriers b = {shared_address(plates + PLATES * PLATE)};
    int brings = (threadIdx.x - MULTIPLIERS) / 32;
    tn_start_consumer();
    if (threadIdx.x == 0) b.make();
    __syncthreads();
    if (threadIdx.x < MULTIPLIERS) {
        registers_take<TAKEN>();
        multiply_all(s, b, shared_address(memory), shared_address(x), plates);
        return;
    }
    registers_give<GIVEN>();
    if (threadIdx.x % 32) return;
    if (brings == 0) bring_weights(s, b, shared_address(memory));
    if (brings == 1) bring_x(s, b, shared_address(x));
    if (brings == 2 && RESIDUAL) bring_residual(s, b, shared_address(plates));
    if (brings == 3) send_off(s, b, shared_address(plates));
}
