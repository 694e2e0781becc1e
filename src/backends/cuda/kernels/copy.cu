/* Elements to other places: y, dense, from x by steps. WORD: an unsigned integer as wide as an
 * element.
 *
 * copy: RANK axes, VEC neighbours of y in each thread, which are neighbours in x too where RUNS.
 * transpose: x and y are dense along two different axes; tiles of both go through shared memory, so
 * that reads and writes are of neighbours. */
#ifndef WORD
#define WORD uint32
#define RANK 3
#define VEC 4
#define RUNS 1
#endif

struct steps { /* mirrored in copy.c */
    const WORD *x;
    WORD *y;
    uint32 count;
    int32 inner;     /* step of x along the innermost axis */
    divider dim[8];  /* the innermost in vectors */
    int32 step[8];   /* of x */
};

extern "C" __global__ void __launch_bounds__(256) copy(const __grid_constant__ steps p)
{
    uint32 rest = blockIdx.x * 256 + threadIdx.x, to = rest * VEC;
    int32 from = 0;
    tn_start_consumer();
    tn_wait_for_producer();
    if (to >= p.count) return;
#pragma unroll
    for (int axis = RANK - 1; axis > 0; axis--) {
        uint32 i;
        rest = divide(rest, p.dim[axis], &i);
        from += (int32)i * p.step[axis];
    }
    from += (int32)rest * p.step[0];
    const WORD *x = p.x + from;
    WORD *y = p.y + to;
    uint32 length = p.count - to;
    if (length >= VEC) {
        vec<WORD, VEC> all;
        if (RUNS) all = *(const vec<WORD, VEC> *)x;
        else
#pragma unroll
            for (int i = 0; i < VEC; i++) all.at[i] = x[i * p.inner];
        *(vec<WORD, VEC> *)y = all;
    } else
        for (int i = 0; i < length; i++) y[i] = x[i * p.inner];
}

struct plane { /* mirrored in copy.c */
    const WORD *x;
    WORD *y;
    int32 rows, columns;  /* along x's dense axis, along y's */
    int32 x_step, y_step; /* of x along the columns, of y along the rows */
    int32 tiles_down, tiles_across;
    int32 rank; /* of the other axes */
    int32 dim[8], x_other[8], y_other[8];
};

enum { SIDE = sizeof(WORD) < 4 ? 64 : 32 };

extern "C" __global__ void __launch_bounds__(256) transpose(const __grid_constant__ plane p)
{
    __shared__ WORD tile[SIDE][SIDE + 1];
    int x = threadIdx.x % 32, y = threadIdx.x / 32;
    int rest = blockIdx.x, column = rest % p.tiles_across * SIDE;
    rest /= p.tiles_across;
    int row = rest % p.tiles_down * SIDE;
    rest /= p.tiles_down;
    int32 from = 0, to = 0;
    for (int axis = p.rank - 1; axis >= 0; axis--) {
        int i = rest % p.dim[axis];
        rest /= p.dim[axis];
        from += i * p.x_other[axis];
        to += i * p.y_other[axis];
    }
    tn_start_consumer();
    tn_wait_for_producer();
#pragma unroll
    for (int c = y; c < SIDE; c += 8)
#pragma unroll
        for (int r = x; r < SIDE; r += 32)
            if (column + c < p.columns && row + r < p.rows)
                tile[c][r] = p.x[from + (column + c) * p.x_step + row + r];
    __syncthreads();
#pragma unroll
    for (int r = y; r < SIDE; r += 8)
#pragma unroll
        for (int c = x; c < SIDE; c += 32)
            if (column + c < p.columns && row + r < p.rows)
                p.y[to + (row + r) * p.y_step + column + c] = tile[c][r];
}
