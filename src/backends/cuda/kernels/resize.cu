/* Resize: nearest, linear and cubic, along up to AXES axes that change; TAPS neighbours along each.
 * The scales are a tensor on the card, or come from the dims. TX: the elements; TW: the sum of
 * weighted ones, or with TAPS 1 the element itself, moved bit for bit. */
#ifndef TX
#define TX float
#define TW float
#define AXES 2
#define TAPS 2
#define COORDINATES 0
#define ROUNDING 0
#endif

struct task { /* mirrored in resize.c */
    const TX *x;
    TX *y;
    const float *scales; /* NULL: out / in */
    uint32 count;
    int32 outside; /* neighbours beyond the border have no weight */
    float cubic;
    int32 rank;
    int32 in[8], out[8], scale_at[8], step[8]; /* the axes that change, and their place in scales */
    divider dim[8];     /* of y, all axes joined around those that change */
    int32 kept_step[8]; /* of x, along the axes that do not change; 0 along those that do */
    int32 changing[8];  /* which of the axes that change; -1 */
};

static __device__ __forceinline__ double position(double x, double scale, int32 in, int32 out)
{
    double width = scale * in, last = in - 1;
    if (COORDINATES == 3) return width == 1 ? 0 : x * last / (width - 1);
    if (COORDINATES == 4) return x / scale;
    if (COORDINATES == 5) return (x + 0.5) / scale;
    if (COORDINATES == 2 && width == 1) return -0.5;
    if (COORDINATES == 1)
        return (double)in / 2 * (1 - out / width) + (x + 0.5) / scale - 0.5;
    return (x + 0.5) / scale - 0.5;
}

static __device__ __forceinline__ double nearest(double x, double scale)
{
    double below = floor(x), ratio = x - below;
    if (ROUNDING == 0) return ratio <= 0.5 ? below : below + 1;
    if (ROUNDING == 1) return ratio < 0.5 ? below : below + 1;
    if (ROUNDING == 3 || (ROUNDING == 4 && scale < 1)) return ceil(x);
    return below;
}

static __device__ __forceinline__ double weight_of(double distance, double a)
{
    double d = fabs(distance);
    if (TAPS == 2) return d < 1 ? 1 - d : 0;
    if (d <= 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
    return d < 2 ? ((a * d - 5 * a) * d + 8 * a) * d - 4 * a : 0;
}

/* Neighbours and weights of output position o along changing axis k. */
static __device__ __forceinline__ void weigh(const task &p, int k, int32 o, int32 *at, double *weight)
{
    double scale = p.scales ? (double)p.scales[p.scale_at[k]] : (double)p.out[k] / (double)p.in[k];
    bool still = scale == 1 && p.in[k] == p.out[k];
    double x = still ? o : position(o, scale, p.in[k], p.out[k]), sum = 0;
    x = fmin(fmax(x, -1e9), 1e9);
    int32 first = TAPS == 1 && !still ? (int32)nearest(x, scale) : (int32)floor(x);
    if (!still) first -= TAPS / 2 - (TAPS > 1);
#pragma unroll
    for (int t = 0; t < TAPS; t++) {
        int32 place = first + t;
        weight[t] = still || TAPS == 1 ? t == 0 : weight_of(place - x, p.cubic);
        if (p.outside && (place < 0 || place >= p.in[k])) weight[t] = 0;
        at[t] = min(max(place, 0), p.in[k] - 1) * p.step[k];
        sum += weight[t];
    }
#pragma unroll
    for (int t = 0; t < TAPS; t++)
        if (sum != 0) weight[t] /= sum;
}

extern "C" __global__ void __launch_bounds__(256) resize(const __grid_constant__ task p)
{
    uint32 n = blockIdx.x * 256 + threadIdx.x, rest = n;
    int32 base = 0, at[AXES][TAPS], place[AXES] = {0};
    double weight[AXES][TAPS];
    tn_start_consumer();
    tn_wait_for_producer();
    if (n >= p.count) return;
    for (int axis = p.rank - 1; axis >= 0; axis--) {
        uint32 i;
        rest = divide(rest, p.dim[axis], &i);
        base += (int32)i * p.kept_step[axis];
#pragma unroll
        for (int k = 0; k < AXES; k++)
            if (p.changing[axis] == k) place[k] = (int32)i;
    }
#pragma unroll
    for (int k = 0; k < AXES; k++) weigh(p, k, place[k], at[k], weight[k]);
    if (TAPS == 1) {
#pragma unroll
        for (int k = 0; k < AXES; k++) base += at[k][0];
        p.y[n] = p.x[base];
        return;
    }
    int combinations = 1;
#pragma unroll
    for (int k = 0; k < AXES; k++) combinations *= TAPS;
    double sum = 0;
#pragma unroll
    for (int c = 0; c < combinations; c++) {
        int left = c;
        int32 from = base;
        double product = 1;
#pragma unroll
        for (int k = AXES - 1; k >= 0; k--) {
            from += at[k][left % TAPS];
            product *= weight[k][left % TAPS];
            left /= TAPS;
        }
        if (product != 0) sum += product * as<double>(p.x[from]);
    }
#if TAPS > 1
    if ((TW)0.5 != 0) put(sum, &p.y[n]);
    else put(whole(sum), &p.y[n]);
#endif
}
