/* Products whose rows are channels of y and whose columns are PIXELS pixels of x, with zeros between,
 * by groups of four warps. */
enum {
    LINE = 128, /* bytes of 64 channels */
    EIGHTS = PIXELS / 8,
};

/* The row of y that a column of the tiles is; -1: none. */
static __device__ __forceinline__ int row_of_y(const shape &s, int column)
{
    if (column >= s.m) return -1;
    pixel at(s.out, column);
    return at.h < s.size[0] && at.w < s.size[1] ? (at.n * s.size[0] + at.h) * s.size[1] + at.w : -1;
}

/* Lines of a group's tile, the channels of one pixel each, and of y or the residual: 16 bytes by each
 * of eight threads. */
template <class F>
static __device__ __forceinline__ void each_part(const shape &s, char *tile, int first, int column, F &&use)
{
    int thread = threadIdx.x % 128, part = thread % 8;
#pragma unroll
    for (int i = 0; i < (PIXELS + 15) / 16; i++) {
        int line = i * 16 + thread / 8, at = line < PIXELS ? row_of_y(s, first + line) : -1;
        if (at >= 0 && column + part * 8 < s.n)
            use((uint128 *)(tile + line * LINE + (part ^ line % 8) * 16),
                (int64)at * s.n + column + part * 8);
    }
}

static __device__ __forceinline__ float finish(const shape &s, float sum, float bias, uint32 residual)
{
    T more = {(uint16)residual};
    sum += bias;
    if (RESIDUAL) sum += to_float(more);
    return activate_near<ACT>(sum, s.act_alpha, s.act_beta);
}

/* The residual of 64 channels from `column` on of a group's pixels from `first` on, into the tile that
 * they leave from. Whoever multiplies meanwhile waits by residual_there() then. */
static __device__ __forceinline__ void bring_residual(const shape &s, char *tile, int first, int column)
{
    each_part(s, tile, first, column,
              [&](uint128 *to, int64 from) { copy_begin(to, s.residual_at + from, true); });
    copy_group();
}
static __device__ __forceinline__ void residual_there()
{
    copy_wait<0>();
    sync_group(threadIdx.x / 128);
}

/* These 64 channels, by that tile. */
static __device__ __forceinline__ void write_turned(const shape &s, float (*sum)[4],
                                                    const float *bias, char *tile, int first,
                                                    int column)
{
    int group = threadIdx.x / 128, lane = threadIdx.x % 32;
    int own = threadIdx.x % 128 / 32 * 2 + lane / 8 % 2; /* eight channels, of one line of eight pixels or two */
#pragma unroll
    for (int j = 0; j < EIGHTS; j += 2) {
        int line = min(j + lane / 16, EIGHTS - 1) * 8 + lane % 8;
        char *at = tile + line * LINE + (own ^ lane % 8) * 16;
        uint32 four[4], more[4] = {};
        if (RESIDUAL) load_matrices<true>(more, at);
#pragma unroll
        for (int e = 0; e < 4; e++) {
            const float *two = &sum[min(j + e / 2, EIGHTS - 1)][e % 2 * 2];
            four[e] = pair_of(T(), finish(s, two[0], bias[e % 2], more[e]),
                              finish(s, two[1], bias[e % 2], more[e] >> 16));
        }
        store_turned(at, four);
    }
    sync_group(group);
    each_part(s, tile, first, column,
              [&](uint128 *from, int64 to) { *(uint128 *)(s.y_at + to) = *from; });
    sync_group(group);
}
