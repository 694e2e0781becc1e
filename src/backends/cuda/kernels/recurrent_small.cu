/* A stack of recurrent layers of few units in one launch. A block runs one direction of a few
 * sequences ("rows") through all layers, or both; the two directions of a layer meet at its end, so
 * two blocks are a cluster. Within a layer nobody waits for another block.
 *
 * Four neighbouring lanes make a unit: each holds a quarter of the unit's row of R, of all gates,
 * in registers, and after adding up has one gate. A row of the batch takes UW threads (a group),
 * the block has GROUPS of them; groups without a row of their own help with W x.
 *
 * CELL: of cell_step. UNITS: units. INPUT: numbers of X at a time. LAYERS, DIRECTIONS. GROUPS: of
 * each direction. SIDES: directions of a block.
 * ASYNC: recurrent_once sends by counted stores instead of meeting at barriers of the cluster.
 * TYPE: of X, Y and the states; all else is float. TAIL: numbers that a Linear behind the stack
 * makes of one step of Y, with the function TAIL_ACT; 0: there is none.
 *
 * Weights come packed for the lanes that read them, for each direction and layer
 *
 *     R [per<UNITS>][4 UNITS][SLOTS], bias_x [4 UNITS], bias_h [4 UNITS],
 *     W [per<input>][4 UNITS][SLOTS]
 *
 * with zeros where a lane has no number, and the gates of a unit side by side as SLOTS. */
#ifndef CELL
#define CELL 0
#define UNITS 20
#define INPUT 10
#define LAYERS 10
#define DIRECTIONS 2
#define GROUPS 5
#define SIDES 1
#define ASYNC 1
#define TYPE float
#define TAIL 0
#define TAIL_ACT 0
#endif

/* A short stack in one block takes as long to fetch its instructions as to run them: there loops
 * that go round a few times are not unrolled. */
#if SIDES > 1
#define FEW_ROUNDS _Pragma("unroll 1")
#else
#define FEW_ROUNDS
#endif

struct tail_args {
    const int64 *at_long; /* the step, negative from the end; or */
    const int32 *at;
    const float *weight, *bias; /* [ABOVE, TAIL], [TAIL] or NULL */
    float *y;                   /* [batch, TAIL] */
    float alpha, beta;
};

struct recurrent_args {
    const TYPE *x, *h0, *c0; /* the states may be NULL */
    const float *weights;
    TYPE *y, *h_n, *c_n; /* each may be NULL */
    float *between;      /* two times [seq, batch, DIRECTIONS * UNITS]; NULL for one layer */
    int64 x_time, x_batch, y_time, y_direction, y_batch, state_layer, state_batch;
    int32 seq, batch;
    int32 rows;        /* of one block */
    int32 chunk;       /* steps whose W x are made at once */
    int32 first, last; /* layers of this launch */
    int32 backward;    /* the only direction runs backwards */
    int32 near;        /* layers hand over in shared memory; then chunk is seq */
    int32 keep;        /* so many floats of weights are copied to shared memory first: all, or 0 */
    tail_args tail;    /* then layers hand over in shared memory, the last one to this */
};

enum {
    U = 4 * UNITS,
    UW = (U + 31) / 32 * 32,
    SIDE = GROUPS * UW, /* threads of a direction */
    THREADS = SIDES * SIDE,
    ACROSS = DIRECTIONS / SIDES, /* blocks of a cluster */
    SLOTS = CELL < 2 ? 4 : 1,
    ABOVE = DIRECTIONS * UNITS, /* input of the layers above the first */
    PART = 16,              /* numbers of W that a lane holds at a time */
};

template <int N> using spread = recurrent_spread<N>;
enum {
    HP = spread<UNITS>::padded,
    XP = LAYERS > 1 && (int)spread<ABOVE>::padded > (int)spread<INPUT>::padded
             ? (int)spread<ABOVE>::padded
             : (int)spread<INPUT>::padded,
    R_FLOATS = (spread<UNITS>::per * SLOTS + 2) * U,
    FIRST_FLOATS = R_FLOATS + spread<INPUT>::per * SLOTS * U,
    ABOVE_FLOATS = R_FLOATS + spread<ABOVE>::per * SLOTS * U,
    DIRECTION_FLOATS = FIRST_FLOATS + (LAYERS - 1) * ABOVE_FLOATS,
};
static __device__ __forceinline__ int layer_floats_before(int l)
{
    return l == 0 ? 0 : FIRST_FLOATS + (l - 1) * ABOVE_FLOATS;
}

/* Which part of the work a thread has. Lanes beyond the last unit do as its last lane does, and
 * write nothing. */
struct place {
    int thread, side, u, lane, q, unit, group, direction, row;
    bool live; /* has a unit and a row */
};
static __device__ __forceinline__ place find_place(const recurrent_args &a, int *rows)
{
    place p;
    p.side = SIDES > 1 ? threadIdx.x / SIDE : 0;
    p.thread = threadIdx.x - p.side * SIDE;
    p.group = p.thread / UW;
    p.u = p.thread % UW;
    p.lane = p.u < U ? p.u : U - 4 + p.u % 4;
    p.q = p.u & 3;
    p.unit = p.u >> 2;
    p.direction = SIDES > 1 ? p.side : blockIdx.x % DIRECTIONS;
    int first = blockIdx.x / ACROSS * a.rows;
    *rows = a.batch - first < a.rows ? a.batch - first : a.rows;
    p.row = first + p.group;
    p.live = p.unit < UNITS && p.group < *rows;
    return p;
}

template <int COUNT, int TOTAL>
static __device__ __forceinline__ void load_weights(const float *from, int lane,
                                                    float (&w)[TOTAL][SLOTS])
{
#pragma unroll
    for (int i = 0; i < COUNT; i++) {
        if constexpr (SLOTS == 4) {
            float4 v = reinterpret_cast<const float4 *>(from)[i * U + lane];
            w[i][0] = v.x, w[i][1] = v.y, w[i][2] = v.z, w[i][3] = v.w;
        } else {
            w[i][0] = from[i * U + lane];
        }
    }
}

/* sum += w x over COUNT numbers of this lane; x in shared memory, from the lane's first one on. */
template <int COUNT, int WIDE, int TOTAL>
static __device__ __forceinline__ void add_product(const float (&w)[TOTAL][SLOTS], const float *x,
                                                   float (&sum)[SLOTS])
{
#pragma unroll
    for (int i = 0; i < COUNT; i += WIDE) {
        float v[4];
        if constexpr (WIDE == 4) {
            float4 all = *reinterpret_cast<const float4 *>(x + 4 * i);
            v[0] = all.x, v[1] = all.y, v[2] = all.z, v[3] = all.w;
        } else if constexpr (WIDE == 2) {
            float2 all = *reinterpret_cast<const float2 *>(x + 4 * i);
            v[0] = all.x, v[1] = all.y;
        } else {
            v[0] = x[4 * i];
        }
#pragma unroll
        for (int e = 0; e < WIDE; e++)
#pragma unroll
            for (int s = 0; s < SLOTS; s++) sum[s] = fmaf(w[i + e][s], v[e], sum[s]);
    }
}

/* The gate of this lane. */
static __device__ __forceinline__ float add_lanes(const float (&sum)[SLOTS], int q)
{
    if constexpr (SLOTS == 4) return sum_of_four(sum, q);
    float x = sum[0];
    x += __shfl_xor_sync(0xffffffffu, x, 1);
    return x + __shfl_xor_sync(0xffffffffu, x, 2);
}

/* Of the threads of one group. */
static __device__ __forceinline__ void group_barrier(const place &p)
{
    int which = p.side * GROUPS + p.group + 1;
    if (UW == 32) __syncwarp();
    else asm volatile("bar.sync %0, %1;" ::"r"(which), "r"((int)UW) : "memory");
}

/* A group of one warp keeps h in its registers: each lane has the whole row of R of one gate of one
 * unit, and is told h by the others. */
enum { TOLD = UW == 32 && SLOTS == 4 };
static __device__ __forceinline__ void load_row(const float *from, const place &p, float *row)
{
    constexpr int wide = spread<UNITS>::wide;
#pragma unroll
    for (int k = 0; k < UNITS; k++) {
        int i = k / (4 * wide) * wide + k % wide, lane = p.lane - p.q + k / wide % 4;
        row[k] = from[(i * U + lane) * SLOTS + p.q];
    }
}
static __device__ __forceinline__ void add_told(const float *row, float h, float (&sum)[2])
{
#pragma unroll
    for (int k = 0; k < UNITS; k++)
        sum[k % 2] = fmaf(row[k], __shfl_sync(0xffffffffu, h, 4 * k), sum[k % 2]);
}

/* ---- Any number of steps ---------------------------------------------------------------------*/

/* Items are steps, in the order in which they are made, times rows. If x lies in the order of time
 * and is read from its end, the rows of a step come the wrong way round. */
static __device__ __forceinline__ int gate_row(int item, int rows, bool turned)
{
    return turned && rows > 1 ? item / rows * rows + rows - 1 - item % rows : item;
}

/* The gates of all items (+)= W x for numbers FIRST ... of each lane, and those after them. */
template <int N, int FIRST>
static __device__ __forceinline__ void project_parts(const float *w_from, float bias,
                                                     const float *xs, int x_step, float *gates,
                                                     int items, int rows, bool turned,
                                                     const place &p)
{
    constexpr int left = spread<N>::per - FIRST, count = left < PART ? left : PART;
    float w[count][SLOTS];
    load_weights<count>(w_from + FIRST * U * SLOTS, p.lane, w);
    for (int item = p.group; item < items; item += GROUPS) {
        float sum[SLOTS] = {0};
        add_product<count, spread<N>::wide>(
            w, xs + item * x_step + 4 * FIRST + p.q * spread<N>::wide, sum);
        float x = add_lanes(sum, p.q);
        float *to = gates + gate_row(item, rows, turned) * UW + p.u;
        *to = (FIRST ? *to : bias) + x;
    }
    if constexpr (left > PART)
        project_parts<N, FIRST + PART>(w_from, bias, xs, x_step, gates, items, rows, turned, p);
}

/* Where a layer reads and writes its sequences: in global memory or in shared memory, there as
 * [seq][rows][padded ABOVE]. */
template <typename X> struct paths {
    const X *x;
    int64 x_time, x_batch; /* in elements */
    char *y;               /* or NULL; float between layers, else TYPE */
    int64 y_time, y_batch; /* in bytes */
    bool y_narrow;         /* not float */
    const float *x_near;   /* or NULL */
    float *y_near;         /* or NULL */
};

/* What another block may have written meanwhile is not looked for in the first cache. */
static __device__ __forceinline__ float fresh(const float *x) { return __ldcg(x); }
template <typename T> static __device__ __forceinline__ float fresh(const T *x)
{
    return to_float(*x);
}

/* The input of all rows for `items` / rows steps from s0 on, in the order of the steps. */
template <int N, typename X>
static __device__ __forceinline__ void stage(const paths<X> &path, const place &p, int rows,
                                             int items, int seq, int s0, bool backward,
                                             float *xs)
{
    int first_row = p.row - p.group;
    FEW_ROUNDS
    for (int i = p.thread; i < items * spread<N>::padded; i += SIDE) {
        int k = i % spread<N>::padded, item = i / spread<N>::padded;
        int s = s0 + item / rows, t = backward ? seq - 1 - s : s;
        xs[i] = k < N ? fresh(path.x + t * path.x_time +
                              (first_row + item % rows) * path.x_batch + k)
                      : 0.0f;
    }
}

template <int N, typename X>
static __device__ __forceinline__ void run_layer(const recurrent_args &a, const place &p, int rows,
                                                 int l, const paths<X> &path,
                                                 const float *weights, float *room)
{
    constexpr int per_h = spread<UNITS>::per, per_x = spread<N>::per, wide = spread<N>::wide;
    /* Few weights are loaded before the wait for the layer below and stay. */
    constexpr bool early = (per_h + per_x) * SLOTS <= 64;
    const float *from = weights + p.direction * DIRECTION_FLOATS + layer_floats_before(l);
    float r[per_h][SLOTS], w[early ? per_x : 1][SLOTS], row[TOLD ? UNITS : 1];
    if (TOLD) load_row(from, p, row);
    if constexpr (early) {
        load_weights<per_h>(from, p.lane, r);
        load_weights<per_x>(from + R_FLOATS, p.lane, w);
    }
    float bias_x = from[per_h * SLOTS * U + p.lane];
    float bias_h = from[(per_h * SLOTS + 1) * U + p.lane];
    if (l == a.first) tn_wait_for_producer();
    if (ACROSS > 1 && a.last - a.first > 1) cluster_wait();
    else if (l > a.first) __syncthreads();

    bool backward = a.backward || p.direction == 1;
    float *xs = room, *gates = xs + a.chunk * rows * XP, *hs = gates + a.chunk * rows * UW;
    int64 state = (int64)(l * DIRECTIONS + p.direction) * a.state_layer +
                  (int64)p.row * a.state_batch + p.unit;
    float h = p.live && a.h0 ? to_float(a.h0[state]) : 0.0f;
    float c = p.live && a.c0 ? to_float(a.c0[state]) : 0.0f;
    /* hs: of each group two times HP numbers, the state before a step and the one after it. */
    float *now = hs + p.group * 2 * HP, *next = now + HP;
    FEW_ROUNDS
    for (int k = UNITS + p.u; k < HP; k += UW) now[k] = next[k] = 0.0f;
    if (p.live && p.q == 0) now[p.unit] = h;

    /* Lane 1 of a unit writes to global memory, lanes 2 and 3 to their block's shared memory and to
     * the other block's. */
    int start = backward ? a.seq - 1 : 0, turn = backward ? -1 : 1;
    int each = path.y_narrow ? sizeof(TYPE) : sizeof(float);
    char *out = p.live && p.q == 1 && path.y
                    ? path.y + p.row * path.y_batch + start * path.y_time + p.unit * each
                    : nullptr;
    int64 out_step = turn * path.y_time;
    bool sends = p.live && p.q >= 2 && p.q - 2 < ACROSS && path.y_near;
    constexpr int above = spread<ABOVE>::padded;
    float *to_own = sends ? path.y_near + (start * rows + p.group) * above + p.direction * UNITS +
                                p.unit
                          : nullptr;
    uint32 to = 0;
    if (sends && ACROSS > 1) to = cluster_address(shared_address(to_own), p.q - 2);
    int to_step = turn * rows * above;

    for (int s0 = 0; s0 < a.seq; s0 += a.chunk) {
        int count = a.seq - s0 < a.chunk ? a.seq - s0 : a.chunk, items = count * rows;
        const float *x_at = xs;
        int x_step = spread<N>::padded; /* from one item to the next */
        if (path.x_near) x_at = path.x_near;
        else if (SIDES == 1 || !a.keep || l > 0 || s0 > 0)
            stage<N>(path, p, rows, items, a.seq, s0, backward, xs);
        __syncthreads();
        /* Groups with a row have met more often than others by now. Then racecheck does not know one
         * barrier of all threads, but two. */
        if (UW > 32 && rows < GROUPS && (l > a.first || s0 > 0)) __syncthreads();
        /* What is near lies in the order of time: rows, too, come the other way round. */
        bool turned = path.x_near && backward;
        if (turned) x_at += (items - 1) * x_step, x_step = -x_step;
        if constexpr (early) {
            FEW_ROUNDS
            for (int item = p.group; item < items; item += GROUPS) {
                float sum[SLOTS] = {0};
                add_product<per_x, wide>(w, x_at + item * x_step + p.q * wide, sum);
                gates[gate_row(item, rows, turned) * UW + p.u] = bias_x + add_lanes(sum, p.q);
            }
        } else {
            project_parts<N, 0>(from + R_FLOATS, bias_x, x_at, x_step, gates, items, rows, turned,
                                p);
            load_weights<per_h>(from, p.lane, r);
        }
        __syncthreads();
        if (p.group >= rows) continue;
        const float *gate = gates + p.group * UW + p.u;
        float x_next = *gate; /* read during the step before */
        for (int s = 0; s < count; s++) {
            float x = x_next, of_h;
            gate += rows * UW;
            if (s + 1 < count) x_next = *gate;
            if constexpr (TOLD) {
                /* An LSTM adds x in any case: its sum may begin with that. */
                float part[2] = {bias_h, CELL == 0 ? x : 0.0f};
                add_told(row, h, part);
                of_h = CELL == 0 ? part[0] : part[0] + part[1];
                if (CELL == 0) x = part[1];
            } else {
                float sum[SLOTS] = {0};
                add_product<per_h, spread<UNITS>::wide>(r, now + p.q * spread<UNITS>::wide, sum);
                of_h = add_lanes(sum, p.q) + bias_h;
            }
            h = cell_step<CELL>(of_h, x, p.q, h, &c);
            if (out) {
                if (sizeof(TYPE) < 4 && path.y_narrow)
                    from_float(h, reinterpret_cast<TYPE *>(out));
                else *reinterpret_cast<float *>(out) = h;
                out += out_step;
            }
            if (sends && ACROSS > 1) cluster_store(to, h), to += to_step * (int)sizeof(float);
            else if (sends) *to_own = h, to_own += to_step;
            if constexpr (!TOLD) {
                if (p.unit < UNITS && p.q == 0) next[p.unit] = h;
                float *last = now;
                now = next, next = last;
                group_barrier(p);
            }
        }
    }
    if (p.live && p.q == 2 && a.h_n) from_float(h, &a.h_n[state]);
    if (p.live && p.q == 3 && a.c_n) from_float(c, &a.c_n[state]);
    if (ACROSS > 1 && l + 1 < a.last) cluster_arrive();
}

/* y: one step of all rows; w: the weights, then the bias. */
static __device__ __forceinline__ void run_tail(const tail_args &a, const float *y, const float *w,
                                                int rows, int first_row)
{
    FEW_ROUNDS
    for (int i = threadIdx.x; i < rows * TAIL; i += THREADS) {
        int row = i / (TAIL ? TAIL : 1), n = i % (TAIL ? TAIL : 1);
        const float *x = y + row * spread<ABOVE>::padded;
        float sum[4] = {w[ABOVE * TAIL + n]};
#pragma unroll 8
        for (int k = 0; k < ABOVE; k++) sum[k % 4] = fmaf(x[k], w[k * TAIL + n], sum[k % 4]);
        float all = sum[0] + sum[1] + (sum[2] + sum[3]);
        a.y[(first_row + row) * (int64)TAIL + n] = activate<TAIL_ACT>(all, a.alpha, a.beta);
    }
}

extern "C" __global__ void __launch_bounds__(THREADS, 1) recurrent_small(recurrent_args a)
{
    extern __shared__ float4 shared[];
    int rows;
    place p = find_place(a, &rows);
    tn_start_consumer();
    int64 wide = (int64)a.batch * ABOVE, one = a.seq * wide;
    float *kept = reinterpret_cast<float *>(shared);
    const float *weights = a.keep ? kept : a.weights;
    FEW_ROUNDS
    for (int i = threadIdx.x; SIDES > 1 && i < a.keep / 4; i += THREADS)
        copy_four(shared + i, reinterpret_cast<const float4 *>(a.weights) + i);
    /* A layer's room, of each side; behind them what lies between layers. All blocks are there
     * before one stores to another. */
    constexpr int above = spread<ABOVE>::padded;
    int room_floats = a.chunk * rows * (XP + UW) + GROUPS * 2 * HP;
    float *room = kept + a.keep + p.side * room_floats;
    float *near = kept + a.keep + SIDES * room_floats;
    int near_floats = a.seq * rows * above;
    FEW_ROUNDS
    for (int i = threadIdx.x; a.near && i < 2 * near_floats; i += THREADS)
        if (i % above >= ABOVE) near[i] = 0.0f;
    float *tail = near + 2 * near_floats;
    int tail_step = 0;
    if constexpr (TAIL > 0) {
        tail_step = a.tail.at_long ? (int)*a.tail.at_long : *a.tail.at;
        FEW_ROUNDS
        for (int i = threadIdx.x; i < (ABOVE + 1) * TAIL; i += THREADS) {
            if (i < ABOVE * TAIL) copy_float(tail + i, a.tail.weight + i);
            else if (a.tail.bias) copy_float(tail + i, a.tail.bias + i - ABOVE * TAIL);
            else tail[i] = 0.0f;
        }
    }
    if (SIDES > 1 || TAIL > 0) copy_group();
    if (SIDES > 1 && a.keep) { /* else none are kept */
        /* x comes while the weights do. */
        if (a.first == 0) {
            int count = a.seq < a.chunk ? a.seq : a.chunk;
            paths<TYPE> path = {a.x, a.x_time, a.x_batch};
            tn_wait_for_producer();
            stage<INPUT>(path, p, rows, count * rows, a.seq, 0, a.backward || p.direction == 1,
                         room);
        }
        copy_wait<0>();
        __syncthreads();
    }
    if (ACROSS > 1 && a.last - a.first > 1) cluster_begin();
    FEW_ROUNDS
    for (int l = a.first; l < a.last; l++) {
        bool last = l == LAYERS - 1;
        float *between = a.between + l % 2 * one + p.direction * UNITS;
        TYPE *y_last = a.y ? a.y + p.direction * a.y_direction : nullptr;
        char *y = reinterpret_cast<char *>(between);
        if (last) y = reinterpret_cast<char *>(y_last);
        else if (a.near) y = nullptr;
        int64 y_time = last ? a.y_time * sizeof(TYPE) : wide * sizeof(float);
        int64 y_batch = last ? a.y_batch * sizeof(TYPE) : ABOVE * sizeof(float);
        float *y_near = a.near && (!last || TAIL) ? near + l % 2 * near_floats : nullptr;
        bool narrow = last && sizeof(TYPE) < 4;
        if (l == 0) {
            paths<TYPE> path = {a.x,     a.x_time, a.x_batch, y, y_time,
                                y_batch, narrow,   nullptr,   y_near};
            run_layer<INPUT>(a, p, rows, l, path, weights, room);
        } else {
            int other = (l + 1) % 2;
            const float *x_near = a.near ? near + other * near_floats : nullptr;
            paths<float> path = {a.between + other * one, wide,   ABOVE,  y, y_time,
                                 y_batch,                 narrow, x_near, y_near};
            run_layer<ABOVE>(a, p, rows, l, path, weights, room);
        }
    }
    if constexpr (TAIL > 0) {
        copy_wait<0>();
        __syncthreads();
        if (tail_step < 0) tail_step += a.seq;
        tail_step = max(0, min(tail_step, a.seq - 1));
        const float *y = near + (LAYERS - 1) % 2 * near_floats + tail_step * rows * above;
        run_tail(a.tail, y, tail, rows, p.row - p.group);
    }
}

#if SIDES == 1
/* ---- One step (9.0) --------------------------------------------------------------------------
 *
 * The weights of the direction come into shared memory by bulk copies, layer by layer; each layer
 * makes R h0 while x is on its way. */

struct once_room {
    float *weights; /* [DIRECTION_FLOATS] */
    float *x;       /* [LAYERS][rows][XP] */
    float *h0;      /* [LAYERS][rows][HP] */
    uint32 barrier; /* shared address of 2 * LAYERS: weights have come, x has come */
    float *c0;      /* [LAYERS][rows][UNITS] */
};
static __device__ __forceinline__ once_room cut_room(float *at, int rows)
{
    once_room room;
    room.weights = at;
    room.x = room.weights + DIRECTION_FLOATS;
    room.h0 = room.x + LAYERS * rows * XP;
    room.barrier = shared_address(room.h0 + LAYERS * rows * HP);
    room.c0 = room.h0 + LAYERS * rows * HP + 4 * LAYERS;
    return room;
}

/* By one thread. x of a layer counts the bytes of all units of both directions. */
static __device__ __forceinline__ void start_copies(const recurrent_args &a, const once_room &room,
                                                    int direction, int rows)
{
    const float *from = a.weights + direction * DIRECTION_FLOATS;
    uint32 weights = shared_address(room.weights), barrier = room.barrier;
    for (int i = 0; i < 2 * LAYERS; i++) barrier_make(barrier + 8 * i);
    barrier_made();
    for (int l = 0; l < LAYERS; l++) {
        int at = layer_floats_before(l), bytes = 4 * (l == 0 ? FIRST_FLOATS : ABOVE_FLOATS);
        barrier_expect(barrier + 8 * l, bytes);
        copy_bulk(weights + 4 * at, from + at, bytes, barrier + 8 * l);
        if (l > 0) barrier_expect(barrier + 8 * (LAYERS + l), rows * ABOVE * 4);
    }
}

static __device__ __forceinline__ void fill_room(const recurrent_args &a, const once_room &room,
                                                 const place &p, int rows)
{
    int first_row = p.row - p.group;
    for (int i = threadIdx.x; i < rows * XP; i += THREADS) {
        int k = i % XP, row = i / XP;
        room.x[i] = k < INPUT ? to_float(a.x[(first_row + row) * a.x_batch + k]) : 0.0f;
    }
    for (int i = threadIdx.x; i < LAYERS * rows * HP; i += THREADS) {
        int k = i % HP, row = i / HP % rows, l = i / HP / rows;
        int64 at = (int64)(l * DIRECTIONS + p.direction) * a.state_layer +
                   (int64)(first_row + row) * a.state_batch + k;
        room.h0[i] = k < UNITS && a.h0 ? to_float(a.h0[at]) : 0.0f;
        if (k < UNITS)
            room.c0[(l * rows + row) * UNITS + k] = a.c0 ? to_float(a.c0[at]) : 0.0f;
    }
}

/* sum += the weights at `from` times x, for numbers FIRST ... of this lane. */
template <int N, int FIRST>
static __device__ __forceinline__ void add_parts(const float *from, const float *x, int lane,
                                                 float (&sum)[SLOTS])
{
    constexpr int left = spread<N>::per - FIRST, count = left < PART ? left : PART;
    if constexpr (left > 0) {
        float w[count][SLOTS];
        load_weights<count>(from + FIRST * U * SLOTS, lane, w);
        add_product<count, spread<N>::wide>(w, x + 4 * FIRST, sum);
        add_parts<N, FIRST + PART>(from, x, lane, sum);
    }
}

/* One layer of one row; returns h. What does not hang on the layer below is done before the wait
 * for it. */
template <int N>
static __device__ __forceinline__ float once_layer(const once_room &room, const place &p, int rows,
                                                   int l, float *c)
{
    constexpr int per = spread<N>::per, kept = per < PART ? per : PART;
    const float *from = room.weights + layer_floats_before(l);
    int item = l * rows + p.group, unit = p.unit < UNITS ? p.unit : UNITS - 1;
    float w[kept][SLOTS], of_h[SLOTS] = {0}, of_x[SLOTS] = {0};
    barrier_wait(room.barrier + 8 * l, 0);
    load_weights<kept>(from + R_FLOATS, p.lane, w);
    add_parts<UNITS, 0>(from, room.h0 + item * HP + p.q * spread<UNITS>::wide, p.lane, of_h);
    float bias_x = from[spread<UNITS>::per * SLOTS * U + p.lane];
    float sum = add_lanes(of_h, p.q) + from[(spread<UNITS>::per * SLOTS + 1) * U + p.lane];
    float h = room.h0[item * HP + unit];
    *c = room.c0[item * UNITS + unit];
    if (ASYNC && l > 0) barrier_wait(room.barrier + 8 * (LAYERS + l), 0);
    const float *x = room.x + item * XP + p.q * spread<N>::wide;
    add_product<kept, spread<N>::wide>(w, x, of_x);
    add_parts<N, kept>(from + R_FLOATS, x, p.lane, of_x);
    return cell_step<CELL>(sum, bias_x + add_lanes(of_x, p.q), p.q, h, c);
}

extern "C" __global__ void __launch_bounds__(THREADS, 1) recurrent_once(recurrent_args a)
{
    extern __shared__ float4 shared[];
    int rows;
    place p = find_place(a, &rows);
    once_room room = cut_room(reinterpret_cast<float *>(shared), rows);
    if (threadIdx.x == 0) start_copies(a, room, p.direction, rows);
    /* Beyond the numbers of a layer above the first nobody else writes. */
    for (int i = threadIdx.x + rows * XP; i < LAYERS * rows * XP; i += THREADS)
        if (i % XP >= ABOVE) room.x[i] = 0.0f;
    if (DIRECTIONS > 1) cluster_begin();
    tn_wait_for_producer();
    tn_start_consumer();
    fill_room(a, room, p, rows);
    if (DIRECTIONS > 1) cluster_wait();
    __syncthreads();
    bool mine = p.group < rows;
    for (int l = 0; l < LAYERS && (mine || !ASYNC); l++) {
        float h = 0, c = 0;
        if (mine)
            h = l == 0 ? once_layer<INPUT>(room, p, rows, l, &c)
                       : once_layer<ABOVE>(room, p, rows, l, &c);
        if (p.live && l + 1 < LAYERS && p.q < DIRECTIONS) {
            int i = ((l + 1) * rows + p.group) * XP + p.direction * UNITS + p.unit;
            uint32 to = cluster_address(shared_address(room.x + i), p.q);
            if (ASYNC)
                cluster_send(to, h,
                             cluster_address(room.barrier + 8 * (LAYERS + l + 1), p.q));
            else cluster_store(to, h);
        }
        if (!ASYNC && l + 1 < LAYERS) cluster_arrive();
        int64 state = (int64)(l * DIRECTIONS + p.direction) * a.state_layer +
                      (int64)p.row * a.state_batch + p.unit;
        if (p.live && p.q == 2 && a.h_n) from_float(h, &a.h_n[state]);
        if (p.live && p.q == 3 && a.c_n) from_float(c, &a.c_n[state]);
        if (p.live && p.q == 2 && a.y && l == LAYERS - 1)
            from_float(h, &a.y[p.direction * a.y_direction + p.row * a.y_batch + p.unit]);
        if (!ASYNC && l + 1 < LAYERS) cluster_wait();
    }
}
#endif
