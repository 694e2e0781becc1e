/* Products with few rows, or few columns: each weight is read once, 16 bytes at a time, and meets
 * all of the few while it is there. What counts is bytes per second.
 *
 *     y(f, g) = activation(alpha * sum over k of few(f, k) * many(g, k) + beta * c(f, g) +
 * residual)
 *
 * deep: k runs along memory in `many`: a warp makes one g, its lanes share k.
 * wide: g runs along memory: a thread keeps to V neighbours and takes every so many-th k.
 *
 * FEW: an upper bound of the few. V: elements read at once. FEW_DEEP: V elements of a few along k
 * can be read at once too. LANES: of a warp side by side along g (wide). */
#ifndef TYPE
#define TYPE float
#define SUM float
#define FEW 4
#define V 4
#define FEW_DEEP 1
#define LANES 8
#define ACT 0
#endif
typedef TYPE T;
typedef SUM S;

enum { THREADS = 256, WARPS = THREADS / 32, WIDTH = LANES * V, SLICES = THREADS / LANES };
enum { LINE = 128 / (int)sizeof(T) };

struct batches {
    int count, rank, dim[8];
    int64 few[8], many[8], c[8];
};

/* Steps from one to the next: few_f and few_k of `few`, many_g (deep) or many_k (wide) as `line`.
 */
struct shape {
    int few, many, k;
    int weights; /* many is constant: it may be fetched before others have done their work */
    int64 few_f, few_k, line, c_f, c_g, y_f, y_g, y_batch;
    float alpha, beta, act_alpha, act_beta;
};

static __device__ __forceinline__ void enter(const batches &batch, int index, const T **few,
                                             const T **many, const T **c)
{
    for (int i = batch.rank - 1, rest = index; i >= 0; i--) {
        int at = rest % batch.dim[i];
        rest /= batch.dim[i];
        *few += at * batch.few[i];
        *many += at * batch.many[i];
        if (*c) *c += at * batch.c[i];
    }
}

static __device__ __forceinline__ void finish(S value, int f, int g, int index, const shape &s,
                                              const T *c, const T *residual, T *y)
{
    int64 at = index * s.y_batch + f * s.y_f + g * s.y_g;
    if (s.alpha != 1.0f) value = (S)(value * s.alpha);
    if (c) {
        S add = widen(c[f * s.c_f + g * s.c_g]);
        value += s.beta == 1.0f ? add : (S)(add * s.beta);
    }
    if (residual) value += widen(residual[at]);
    narrow(activate<ACT>(value, s.act_alpha, s.act_beta), &y[at]);
}

/* V elements of one of the few, from k on. */
static __device__ __forceinline__ void read_few(const T *few, int64 step, int k, S x[V])
{
    if (FEW_DEEP) {
        pack<T, V> some = *(const pack<T, V> *)(few + k);
#pragma unroll
        for (int v = 0; v < V; v++) x[v] = widen(some.at[v]);
    } else {
#pragma unroll
        for (int v = 0; v < V; v++) x[v] = widen(few[(k + v) * step]);
    }
}

extern "C" __global__ void __launch_bounds__(THREADS)
    rows_deep(const T *few, const T *many, const T *c, const T *residual, T *y, shape s,
              batches batch)
{
    int blocks = (s.many + WARPS - 1) / WARPS, index = blockIdx.x / blocks;
    int g = blockIdx.x % blocks * WARPS + threadIdx.x / 32, lane = threadIdx.x % 32;
    enter(batch, index, &few, &many, &c);
    const T *line = many + g * s.line;
    for (int k = lane * LINE; s.weights && g < s.many && k < s.k; k += 32 * LINE)
        fetch_line(line + k);
    tn_wait_for_producer();
    if (g >= s.many) return;
    S sum[FEW] = {};
#pragma unroll 4
    for (int k = lane * V; k < s.k; k += 32 * V) {
        pack<T, V> w = *(const pack<T, V> *)(line + k);
#pragma unroll
        for (int f = 0; f < FEW; f++) {
            S x[V];
            if (f >= s.few) break;
            read_few(few + f * s.few_f, s.few_k, k, x);
#pragma unroll
            for (int v = 0; v < V; v++) sum[f] += x[v] * widen(w.at[v]);
        }
    }
    tn_start_consumer();
#pragma unroll
    for (int f = 0; f < FEW; f++) {
        for (int i = 16; i > 0; i >>= 1) sum[f] += __shfl_xor_sync(0xffffffffu, sum[f], i);
        if (lane == f && f < s.few) finish(sum[f], f, g, index, s, c, residual, y);
    }
}

extern "C" __global__ void __launch_bounds__(THREADS)
    rows_wide(const T *few, const T *many, const T *c, const T *residual, T *y, shape s,
              batches batch)
{
    __shared__ S part[WARPS][FEW][WIDTH];
    int blocks = (s.many + WIDTH - 1) / WIDTH, index = blockIdx.x / blocks;
    int lane = threadIdx.x % LANES, warp = threadIdx.x / 32;
    int first = blockIdx.x % blocks * WIDTH, g = first + lane * V;
    enter(batch, index, &few, &many, &c);
    for (int k = threadIdx.x / LANES; s.weights && lane == 0 && k < s.k; k += SLICES)
        fetch_line(many + k * s.line + first);
    tn_wait_for_producer();
    S sum[FEW][V] = {};
#pragma unroll 4
    for (int k = threadIdx.x / LANES; k < s.k; k += SLICES) {
        pack<T, V> w = {};
        if (g < s.many) w = *(const pack<T, V> *)(many + k * s.line + g);
#pragma unroll
        for (int f = 0; f < FEW; f++) {
            if (f >= s.few) break;
            S x = widen(few[f * s.few_f + k * s.few_k]);
#pragma unroll
            for (int v = 0; v < V; v++) sum[f][v] += x * widen(w.at[v]);
        }
    }
    tn_start_consumer();
#pragma unroll
    for (int f = 0; f < FEW; f++)
#pragma unroll
        for (int v = 0; v < V; v++) {
            for (int i = LANES; i < 32; i <<= 1)
                sum[f][v] += __shfl_xor_sync(0xffffffffu, sum[f][v], i);
            if (threadIdx.x % 32 < LANES) part[warp][f][lane * V + v] = sum[f][v];
        }
    __syncthreads();
    for (int i = threadIdx.x; i < FEW * WIDTH; i += THREADS) {
        int f = i / WIDTH, at = i % WIDTH;
        S all = 0;
        for (int w = 0; w < WARPS; w++) all += part[w][f][at];
        if (f < s.few && first + at < s.many) finish(all, f, first + at, index, s, c, residual, y);
    }
}
