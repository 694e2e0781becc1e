/* The first half of a layer of a Swin transformer in one kernel, by tensor cores:
 *
 *     y = x + window attention(norm(x) w1 + bias1) w2 + bias2
 *
 * A cluster has a block for each head and takes one window after the other. A block norms the rows
 * of the window, makes queries, keys and values of its head, attends, sends the others what comes
 * of it, and makes as many columns of y as a head has. A warp has 16 rows from beginning to end.
 * What a block needs of the weights stays in its shared memory; it depends on no kernel ahead and
 * is on its way before that one has ended.
 *
 * TYPE: half or bf16. HEADS, of 32 columns each. ROWS: tokens of a window, at most 64, SIDE of them
 * side by side. BIAS: there is a table of positions. VX: elements of x read at once. GROUPS: four
 * warps multiply together (9.0). */
#ifndef TYPE
#define TYPE half
#define HEADS 3
#define ROWS 49
#define SIDE 7
#define BIAS 1
#define VX 8
#define GROUPS 0
#endif
typedef TYPE T;

#define FULL 0xffffffffu
#define LOG2E 1.44269504088896f

enum { HEAD = 32, WIDTH = HEADS * HEAD, HEAD_LINE = HEAD + 8 };
enum { LINE = 128, SLABS = (WIDTH + 63) / 64 };
/* The second half of the warps only norms, and sends. */
enum { WARPS = (ROWS + 15) / 16, THREADS = WARPS * (WIDTH > 128 ? 64 : 32), PADDED = WARPS * 16 };
enum { KEY_TILES = (ROWS + 7) / 8, STEPS = HEAD / 16 };
enum { SLAB1 = 3 * HEAD * LINE, SLAB2 = HEAD * LINE, SLAB = PADDED * LINE };
enum { WEIGHT_BYTES = SLABS * (SLAB1 + SLAB2), TABLE_BYTES = KEY_TILES * 2 * WARPS * 32 * 4 };
static_assert(!GROUPS || WARPS == 4, "four warps multiply together");

struct problem { /* mirrored in window_block.c */
    const T *x, *scale, *shift, *bias1, *bias2;
    const char *w;
    T *y;
    int windows, count;          /* of an image; of all of them */
    int height, breadth, across; /* of the image; windows side by side */
    int down, right;             /* the shift */
    float epsilon, factor, mask; /* factor: of scores */
};

struct place {
    int y, x;    /* of the window in the moved image */
    int64 image; /* the first token of the image */
    bool edge;   /* there are several regions */
};

static __device__ __forceinline__ place place_of(const problem &p, int number)
{
    int window = number % p.windows;
    place here;
    here.y = window / p.across * (ROWS / SIDE);
    here.x = window % p.across * SIDE;
    here.image = (int64)(number / p.windows) * p.height * p.breadth;
    here.edge = p.mask != 0 && (here.y + ROWS / SIDE > p.height - p.down ||
                                here.x + SIDE > p.breadth - p.right);
    return here;
}

static __device__ __forceinline__ int64 token_of(const problem &p, const place &here, int row)
{
    int y = here.y + row / SIDE + p.down, x = here.x + row % SIDE + p.right;
    y -= y >= p.height ? p.height : 0;
    x -= x >= p.breadth ? p.breadth : 0;
    return here.image + y * p.breadth + x;
}

static __device__ __forceinline__ int region_of(const problem &p, const place &here, int row)
{
    return 2 * (here.y + row / SIDE >= p.height - p.down) +
           (here.x + row % SIDE >= p.breadth - p.right);
}

/* ---- Slabs: products of 16-bit elements that lie in shared memory ----
 *
 * A matrix lies in slabs of 64 columns, from a multiple of 1024 bytes on: a line of 128 bytes for
 * each row, whose eight parts of 16 bytes are exclusive-ored with the number of the line. So eight
 * lines of one part stand in different banks, and groups of four warps (9.0) read them as they
 * are. */

/* Where the part from this column on lies, in slabs of LINES. */
template <int LINES>
static __device__ __forceinline__ char *slab_part(char *slabs, int line, int column)
{
    return slabs + column / 64 * (LINES * 128) + line * 128 + (column % 64 / 8 ^ line % 8) * 16;
}

#ifdef __CUDA_ARCH_FEAT_SM90_ALL
#define slab_asm asm volatile
#else
#define slab_asm(...)
#endif
#define SLAB_4(j) "+f"(c[j][0]), "+f"(c[j][1]), "+f"(c[j][2]), "+f"(c[j][3])
#define SLAB_16(j) SLAB_4(j), SLAB_4(j + 1), SLAB_4(j + 2), SLAB_4(j + 3)
#define SLAB_ADD_32(kind) \
    slab_asm("{ .reg .pred add; setp.eq.u32 add, 0, 0;" \
             "wgmma.mma_async.sync.aligned.m64n32k16.f32." kind " {" \
             "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15" \
             "}, %16, %17, add, 1, 1, 0, 0; }" : SLAB_16(0) : "l"(a), "l"(b))
#define SLAB_ADD_96(kind) \
    slab_asm("{ .reg .pred add; setp.eq.u32 add, 0, 0;" \
             "wgmma.mma_async.sync.aligned.m64n96k16.f32." kind " {" \
             "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, " \
             "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, " \
             "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47" \
             "}, %48, %49, add, 1, 1, 0, 0; }" \
             : SLAB_16(0), SLAB_16(4), SLAB_16(8) : "l"(a), "l"(b))
template <int N>
static __device__ __forceinline__ void slab_add(half, float (*c)[4], uint64 a, uint64 b)
{
    if constexpr (N == 4) SLAB_ADD_32("f16.f16");
    else SLAB_ADD_96("f16.f16");
}
template <int N>
static __device__ __forceinline__ void slab_add(bf16, float (*c)[4], uint64 a, uint64 b)
{
    if constexpr (N == 4) SLAB_ADD_32("bf16.bf16");
    else SLAB_ADD_96("bf16.bf16");
}
static __device__ __forceinline__ uint64 slab_of(const void *at)
{
    return (uint64)(shared_address(at) >> 4 & 0x3fff) | (uint64)1 << 16 | (uint64)64 << 32 |
           (uint64)1 << 62;
}
/* What this thread wrote, or saw written, is seen by groups after a barrier. */
static __device__ __forceinline__ void slab_written()
{
    slab_asm("fence.proxy.async.shared::cta;" ::: "memory");
}

/* c += a b of four warps; a [64, K], b [8 N, K]. A warp has 16 rows of c. IN_GROUPS: they multiply
 * together. Else each may be alone, and a have LINES rows. */
template <class E, bool IN_GROUPS, int LINES, int N, int K>
static __device__ __forceinline__ void slab_product(const char *left, const char *right,
                                                    float (*c)[4])
{
    if constexpr (IN_GROUPS) {
        static_assert(LINES == 64 && (N == 4 || N == 12), "");
        uint64 a = slab_of(left), b = slab_of(right);
#pragma unroll
        for (int i = 0; i < N; i++) slab_asm("" : SLAB_4(i)::"memory");
        slab_asm("wgmma.fence.sync.aligned;" ::: "memory");
#pragma unroll
        for (int k = 0; k < K; k += 16)
            slab_add<N>(E(), c, a + k / 64 * (LINES * 8) + k % 64 / 8,
                        b + k / 64 * (N * 64) + k % 64 / 8);
        slab_asm("wgmma.commit_group.sync.aligned;" ::: "memory");
        slab_asm("wgmma.wait_group.sync.aligned 0;" ::: "memory");
#pragma unroll
        for (int i = 0; i < N; i++) slab_asm("" : SLAB_4(i)::"memory");
    } else {
        int lane = threadIdx.x % 32, line = threadIdx.x / 32 % 4 * 16 + lane % 16;
#pragma unroll 3
        for (int k = 0; k < K; k += 32) {
            uint32 x[2][4], w[N][4];
#pragma unroll
            for (int i = 0; i < 2; i++)
                load_matrices<false>(x[i], slab_part<LINES>((char *)left, line,
                                                            k + i * 16 + lane / 16 * 8));
#pragma unroll
            for (int j = 0; j < N; j++)
                load_matrices<false>(w[j], slab_part<N * 8>((char *)right, j * 8 + lane % 8,
                                                            k + lane / 8 * 8));
#pragma unroll
            for (int i = 0; i < 2; i++)
#pragma unroll
                for (int j = 0; j < N; j++) multiply_add(E(), c[j], x[i], w[j] + i * 2);
        }
    }
}

/* ---- The window ------------------------------------------------------------------------------*/

/* Eight threads norm a row; all rows of a warp are on their way at once. Behind the window the last
 * row stands again. */
static __device__ __forceinline__ void norm_rows(const problem &p, const place &here,
                                                 const T *affine, char *normed)
{
    constexpr int EACH = PADDED / (THREADS / 8);
    part_of_row<T, WIDTH> x[EACH];
#pragma unroll
    for (int i = 0; i < EACH; i++) {
        int row = min((int)threadIdx.x / 8 + i * (THREADS / 8), ROWS - 1);
        x[i] = load_part<T, WIDTH, VX>(p.x + token_of(p, here, row) * WIDTH, true);
    }
    copy_wait<1>();
    __syncthreads(); /* the factors and summands of the norm are there */
#pragma unroll
    for (int i = 0; i < EACH; i++) {
        int row = threadIdx.x / 8 + i * (THREADS / 8);
        norm_part(x[i], affine, p.epsilon);
#pragma unroll
        for (int k = 0; k < (WIDTH + 63) / 64; k++)
            if (k * 64 + threadIdx.x % 8 * 8 < WIDTH)
                *(pack<uint32, 4> *)slab_part<PADDED>(normed, row, k * 64 + threadIdx.x % 8 * 8) =
                    x[i].at[k];
    }
}

/* ---- Attention -------------------------------------------------------------------------------*/

/* Scores of one row become weights; the sum of them. */
static __device__ __forceinline__ float weigh(const problem &p, const place &here, int row, int i,
                                              float s[KEY_TILES][4])
{
    int lane = threadIdx.x % 32, region = region_of(p, here, row);
    float top = __int_as_float(0xff800000), total = 0;
#pragma unroll
    for (int j = 0; j < KEY_TILES * 2; j++) {
        int key = j / 2 * 8 + lane % 4 * 2 + j % 2;
        float *x = &s[j / 2][2 * i + j % 2];
        *x *= p.factor * LOG2E;
        if (here.edge && region_of(p, here, key) != region) *x += p.mask * LOG2E;
        if (key >= ROWS) *x = __int_as_float(0xff800000);
        top = fmaxf(top, *x);
    }
    for (int n = 1; n < 4; n <<= 1) top = fmaxf(top, __shfl_xor_sync(FULL, top, n));
#pragma unroll
    for (int j = 0; j < KEY_TILES * 2; j++) {
        float *x = &s[j / 2][2 * i + j % 2];
        *x = exp2_approx(*x - top);
        total += *x;
    }
    for (int n = 1; n < 4; n <<= 1) total += __shfl_xor_sync(FULL, total, n);
    return total;
}

/* Two columns of a thread's two rows, times by0 and, eight lines below, by1. */
static __device__ __forceinline__ void store_rows(const float *c, float by0, float by1, char *at,
                                                  int below)
{
    *(uint32 *)at = pair_of(T(), c[0] * by0, c[1] * by0);
    *(uint32 *)(at + below) = pair_of(T(), c[2] * by1, c[3] * by1);
}

/* A warp's queries; keys and values into shared memory. */
static __device__ __forceinline__ void make_parts(const char *normed, const char *w1,
                                                  const uint32 *bias, T *keys, T *values,
                                                  uint32 (*a)[4])
{
    int lane = threadIdx.x % 32, row = threadIdx.x / 32 * 16 + lane / 4;
    float c[3 * HEAD / 8][4];
#pragma unroll
    for (int j = 0; j < 3 * HEAD / 8; j++)
#pragma unroll
        for (int e = 0; e < 4; e++)
            c[j][e] = e % 2 ? second_of<T>(bias[j]) : first_of<T>(bias[j]);
    slab_product<T, GROUPS, PADDED, 3 * HEAD / 8, WIDTH>(normed, w1, c);
#pragma unroll
    for (int d = 0; d < STEPS; d++)
#pragma unroll
        for (int e = 0; e < 4; e++) {
            const float *two = c[2 * d + e / 2] + e % 2 * 2;
            a[d][e] = pair_of(T(), two[0], two[1]);
        }
#pragma unroll
    for (int j = 0; j < HEAD / 8; j++) {
        int at = row * HEAD_LINE + j * 8 + lane % 4 * 2;
        store_rows(c[HEAD / 8 + j], 1, 1, (char *)(keys + at), 8 * HEAD_LINE * sizeof(T));
        store_rows(c[2 * (HEAD / 8) + j], 1, 1, (char *)(values + at),
                   8 * HEAD_LINE * sizeof(T));
    }
}

static __device__ __forceinline__ void attend(const problem &p, const place &here, const T *keys,
                                              const T *values, const uint32 (*a)[STEPS][4],
                                              const uint32 (*table)[2], int head, char *mixed)
{
    int lane = threadIdx.x % 32, row = threadIdx.x / 32 * 16 + lane / 4;
    float s[1][KEY_TILES][4], sum[1][HEAD / 8][4] = {}, inverse = 1 / p.factor;
#pragma unroll
    for (int j = 0; j < KEY_TILES * 2; j++) {
        uint32 two = table[j / 2][j % 2];
        s[0][j / 2][j % 2 * 2] = BIAS ? inverse * first_of<T>(two) : 0;
        s[0][j / 2][j % 2 * 2 + 1] = BIAS ? inverse * second_of<T>(two) : 0;
    }
    add_scores<T, HEAD, HEAD_LINE, KEY_TILES, 1>(a, keys, s);
    float by0 = 1 / weigh(p, here, row, 0, s[0]), by1 = 1 / weigh(p, here, row + 8, 1, s[0]);
    add_values<T, HEAD, HEAD_LINE, KEY_TILES, 1>(s, values, sum);
#pragma unroll
    for (int j = 0; j < HEAD / 8; j++)
        store_rows(sum[0][j], by0, by1,
                   slab_part<PADDED>(mixed, row, head * HEAD + j * 8) + lane % 4 * 4, 8 * LINE);
}

#if HEADS > 1
/* What this head made goes to the others. */
static __device__ __forceinline__ void send(char *mixed, uint32 barrier, int rank)
{
    constexpr int PARTS = HEAD / 8;
    cluster_wait(); /* nobody reads what lies there any more, and all expect what comes */
    for (int i = threadIdx.x; i < ROWS * PARTS; i += THREADS) {
        char *at = slab_part<PADDED>(mixed, i / PARTS, rank * HEAD + i % PARTS * 8);
        pack<float, 4> some = *(const pack<float, 4> *)at;
#pragma unroll
        for (int n = 1; n < HEADS; n++) {
            int to = rank + n < HEADS ? rank + n : rank + n - HEADS;
            cluster_send(cluster_address(shared_address(at), to), some.at,
                         cluster_address(barrier, to));
        }
    }
}
#endif

/* The result: two columns of a thread's two rows in each eight. */
static __device__ __forceinline__ void finish(const problem &p, const place &here, int column,
                                              const uint32 *bias2, const uint32 *more,
                                              const float (*c)[4])
{
    int row = threadIdx.x / 32 * 16 + threadIdx.x % 32 / 4;
#pragma unroll
    for (int q = 0; q < HEAD / 8 * 2; q++) {
        const float *two = c[q / 2] + q % 2 * 2;
        float left = two[0] + first_of<T>(bias2[q / 2]) + first_of<T>(more[q]);
        float right = two[1] + second_of<T>(bias2[q / 2]) + second_of<T>(more[q]);
        if (row + q % 2 * 8 < ROWS)
            store_two<VX>(pair_of(T(), left, right),
                          p.y + token_of(p, here, row + q % 2 * 8) * WIDTH + column + q / 2 * 8);
    }
}

extern "C" __global__ void __launch_bounds__(THREADS)
    window_block(const __grid_constant__ problem p)
{
    extern __shared__ __align__(1024) char memory[];
    /* What heads make of the window takes the place of the normed rows. */
    char *normed = memory, *mixed = normed, *w1 = normed + SLABS * SLAB, *w2 = w1 + SLABS * SLAB1;
    T *keys = (T *)(w2 + SLABS * SLAB2), *values = keys + PADDED * HEAD_LINE;
    T *affine = values + PADDED * HEAD_LINE;
    int lane = threadIdx.x % 32, row = threadIdx.x / 32 * 16 + lane / 4;
    int rank = blockIdx.x % HEADS, number = blockIdx.x / HEADS, step = gridDim.x / HEADS;
    bool multiplies = threadIdx.x < WARPS * 32;
    const char *from = p.w + (int64)rank * (WEIGHT_BYTES + TABLE_BYTES);
    copy_affine<T, WIDTH, THREADS>(p.scale, p.shift, affine);
    for (int at = threadIdx.x * 16; at < WEIGHT_BYTES; at += THREADS * 16)
        copy_begin(w1 + at, from + at, true);
    copy_group();
#if HEADS > 1
    uint32 barrier = shared_address(affine + 2 * WIDTH);
    if (threadIdx.x == 0) {
        barrier_make(barrier);
        barrier_made();
    }
#endif
    uint32 bias1[3 * HEAD / 8] = {}, bias2[HEAD / 8] = {}, table[KEY_TILES][2] = {};
    int column = rank * HEAD + lane % 4 * 2;
    if (multiplies) {
#pragma unroll
        for (int j = 0; j < 3 * HEAD / 8; j++)
            if (p.bias1)
                bias1[j] =
                    load_two<2>(p.bias1 + j / (HEAD / 8) * WIDTH + column + j % (HEAD / 8) * 8);
#pragma unroll
        for (int j = 0; j < HEAD / 8; j++)
            if (p.bias2) bias2[j] = load_two<2>(p.bias2 + column + j * 8);
#pragma unroll
        for (int j = 0; j < KEY_TILES * 2; j++)
            if (BIAS)
                table[j / 2][j % 2] =
                    ((const uint32 *)(from + WEIGHT_BYTES))[j * (WARPS * 32) + threadIdx.x];
    }
    tn_start_consumer();
    tn_wait_for_producer();
    for (int parity = 0; number < p.count; number += step, parity ^= 1) {
        place here = place_of(p, number);
        uint32 a[1][STEPS][4], more[HEAD / 8 * 2];
        norm_rows(p, here, affine, normed);
        copy_wait<0>();
        slab_written();
        __syncthreads(); /* the weights are there, and the normed rows */
        if (multiplies) make_parts(normed, w1, bias1, keys, values, a[0]);
#if HEADS > 1
        if (threadIdx.x == 0)
            barrier_expect(barrier, (HEADS - 1) * ROWS * HEAD * (int)sizeof(T));
        cluster_arrive();
#endif
        __syncthreads(); /* keys and values are there; nobody reads normed rows */
        if (multiplies) {
#pragma unroll
            for (int q = 0; q < HEAD / 8 * 2; q++)
                more[q] =
                    load_two<VX>(p.x + token_of(p, here, min(row + q % 2 * 8, ROWS - 1)) * WIDTH +
                                 column + q / 2 * 8);
            attend(p, here, keys, values, a, table, rank, mixed);
            slab_written();
        }
        __syncthreads(); /* what this head made is there */
#if HEADS > 1
        send(mixed, barrier, rank);
#endif
        if (multiplies) {
            float c[HEAD / 8][4] = {};
#if HEADS > 1
            barrier_wait(barrier, parity);
            slab_written();
#if GROUPS
            asm volatile("bar.sync 1, 128;" ::: "memory");
#endif
#endif
            slab_product<T, GROUPS, PADDED, HEAD / 8, WIDTH>(mixed, w2, c);
            finish(p, here, column, bias2, more, c);
        }
        __syncthreads(); /* nobody reads what heads made any more */
    }
}
