/* Conv and FusedConv in f32 where every output channel reads one input channel: each row of outputs
 * is a sum of shifted rows, a weight times each.
 *
 * Kernels of the usual sizes are taken ROWS rows at a time straight from the input, and what
 * several rows read is loaded once; lanes that would read the padding are not loaded, and are
 * zeros. Others, and images of fewer rows, read a band of the input, padding and all, that lies on
 * the stack. Work is cut into (sample, output channel); every sum runs over taps in rising order.
 */
#include "backends/cpu/kernels/bands.h"
#include "backends/cpu/kernels/conv_cost.h"
#include "backends/cpu/kernels/conv_end.h"
#include "backends/cpu/variant.h"

enum { GRAIN = 200000 }; /* multiply-adds worth a thread */
enum { ROWS = BANDS_VECTORS };
/* With vectors of four lanes, sums of ROWS rows by two vectors are more than the registers hold,
 * and a band is as fast at stride 1. */
enum { WIDE = VF32_LANES > 4 ? 2 : 1, LEAST_STRIDE = VF32_LANES > 4 ? 1 : 2 };

typedef struct job {
    bands bands;
    int64_t inputs, multiple; /* channels of x, outputs of each */
    const int64_t *offset;    /* of taps */
    const float *x, *weights, *bias;
    float *y;
    float low;    /* of a ReLU: 0 */
    tile_end end; /* what else is done to sums */
} job;

static bool read(const tn_problem *p, job *j)
{
    const tn_conv_params *params = p->params;
    tn_window w;
    *j = (job){.inputs = params->group, .multiple = p->in[1].dim[0] / params->group};
    tn_conv_window(p, 1, &w);
    return bands_of(&w, 0, &j->bands);
}

static tn_verdict accepts(const tn_problem *p)
{
    job j;
    if (p->in[0].dtype != TN_DTYPE_F32) return TN_NO("the operands are not f32");
    if (p->in[1].dim[1] != 1) return TN_NO("outputs read several channels");
    if (!read(p, &j)) return TN_NO("its windows reach too far, or along three axes");
    if (j.bands.planes.direct) return TN_NO("its kernel is a single tap");
    return TN_YES;
}

static size_t scratch_bytes(const tn_problem *p)
{
    tn_window w;
    tn_conv_window(p, 1, &w);
    return (size_t)w.kernel_count * sizeof(int64_t);
}

static double estimate_ns(const tn_problem *p)
{
    job j;
    read(p, &j);
    const tn_window *w = &j.bands.w;
    double filled = cost_vectors(w->out[2]) * (double)(w->stride[2] > 1 ? 8 : 3) + 24;
    double summed = cost_vectors(w->out[2]) * (double)(w->kernel_count + 6) * (double)j.multiple;
    double lines = (double)(p->out[0].dim[0] * j.inputs * w->out[1]);
    return cost_ns(lines * ((double)w->stride[1] * filled + summed), 0);
}

/* ---- Rows ------------------------------------------------------------------------------------*/

/* Line i of the input under ROWS rows of outputs, one or two vectors of their columns. What a tap
 * reads is loaded once: at stride 2 two taps share what they load. All but the pointers and the
 * numbers of columns are constants at every call. */
typedef struct line {
    const float *x[2]; /* what the first tap of a vector's first column reads */
    uint64_t may[2];   /* bit i: the number i behind it is of this line */
    bool inside;       /* all of them that taps meet are */
} line;

SIMD_INLINE vf32 load_line(const line *l, int v, int at)
{
    return l->inside ? vf32_load(l->x[v] + at) : vf32_load_bits(l->x[v] + at, l->may[v] >> at);
}

/* Bits [low, high). */
static inline uint64_t bits_between(int64_t low, int64_t high)
{
    uint64_t below = low < 0 ? 0 : low < 64 ? ((uint64_t)1 << low) - 1 : UINT64_MAX;
    uint64_t end = high < 0 ? 0 : high < 64 ? ((uint64_t)1 << high) - 1 : UINT64_MAX;
    return end & ~below;
}

SIMD_INLINE void add_tap(int i, int k, int vectors, int taps, int stride, const vf32 *x,
                         const float *weights, vf32 sum[][2])
{
    for (int r = 0; r < ROWS; r++) {
        if (r * stride > i || i >= r * stride + taps) continue;
        vf32 scale = vf32_set1(weights[(i - r * stride) * taps + k]);
        for (int v = 0; v < vectors; v++) sum[r][v] = vf32_fma(scale, x[v], sum[r][v]);
    }
}

SIMD_INLINE void add_line(int i, int vectors, int taps, int stride, const line *l,
                          const float *weights, vf32 sum[][2])
{
    for (int k = 0; k < taps; k += stride) {
        vf32 x[2], even[2], odd[2];
        for (int v = 0; v < vectors; v++) {
            x[v] = load_line(l, v, k);
            if (stride == 1) continue;
            vf32 next = load_line(l, v, k + VF32_LANES);
            even[v] = __builtin_shufflevector(x[v], next, VF32_EVENS);
            odd[v] = __builtin_shufflevector(x[v], next, VF32_ODDS);
        }
        add_tap(i, k, vectors, taps, stride, stride == 1 ? x : even, weights, sum);
        if (stride == 2 && k + 1 < taps)
            add_tap(i, k + 1, vectors, taps, stride, odd, weights, sum);
    }
}

/* What sums begin with and end by: a bias, and a bound from below for those of a ReLU. */
typedef struct ends {
    float bias, low;
} ends;

SIMD_INLINE void store_sum(float *dst, vf32 sum, const ends *e, int64_t lanes)
{
    sum = vf32_max(vf32_set1(e->low), sum); /* NaN stays */
    if (lanes == VF32_LANES) vf32_store(dst, sum);
    else vf32_store_some(dst, sum, lanes);
}

/* Part of a plane of outputs: one or two vectors, `lanes` columns each, of ROWS rows. */
typedef struct part {
    int64_t top, column[2], lanes;
} part;

/* Lines of the padding are passed over; the others are written out for the compiler to see all. */
SIMD_INLINE void sum_rows(int vectors, int taps, int stride, bool inside, const tn_window *w,
                          const part *at, const float *x, const float *weights, const ends *e,
                          float *y)
{
    int64_t wide = w->in[2], h = at->top * stride - w->pad[1];
    line l = {.inside = inside};
    vf32 sum[ROWS][2];
    for (int v = 0; v < vectors; v++) {
        int64_t left = at->column[v] * stride - w->pad[2];
        l.x[v] = x + h * wide + left;
        l.may[v] = bits_between(-left, wide - left);
        for (int r = 0; r < ROWS; r++) sum[r][v] = vf32_set1(e->bias);
    }
#define LINE(i)                                                                                    \
    if ((i) < (ROWS - 1) * stride + taps && (inside || (h + (i) >= 0 && h + (i) < w->in[1])))      \
        add_line(i, vectors, taps, stride, &l, weights, sum);                                      \
    for (int v = 0; v < vectors; v++) l.x[v] += wide
    LINE(0);
    LINE(1);
    LINE(2);
    LINE(3);
    LINE(4);
    LINE(5);
    LINE(6);
    LINE(7);
    LINE(8);
    LINE(9);
    LINE(10);
    LINE(11);
    LINE(12);
#undef LINE
    for (int v = 0; v < vectors; v++)
        for (int r = 0; r < ROWS; r++)
            store_sum(y + (at->top + r) * w->out[2] + at->column[v], sum[r][v], e, at->lanes);
}

/* A plane of outputs, straight from the input. The last rows and columns are computed with those
 * before them again. */
SIMD_INLINE void run_fixed(const tn_window *w, int taps, int stride, const float *x,
                           const float *weights, const ends *e, float *y)
{
    int64_t rows = w->out[1], columns = w->out[2], lanes = TN_MIN(VF32_LANES, columns);
    int64_t reach = (taps - 1) / stride * stride + stride * VF32_LANES; /* of what a line loads */
    for (int64_t first = 0; first < rows; first += ROWS) {
        part at = {.top = TN_MIN(first, rows - ROWS), .lanes = lanes};
        int64_t h = at.top * stride - w->pad[1];
        bool high = h >= 0 && h + (ROWS - 1) * stride + taps <= w->in[1];
        for (int64_t c = 0; c < columns; c += WIDE * VF32_LANES) {
            at.column[0] = TN_MIN(c, columns - lanes);
            at.column[1] = TN_MIN(c + VF32_LANES, columns - lanes);
            bool two = WIDE > 1 && c + VF32_LANES < columns;
            int64_t left = at.column[0] * stride - w->pad[2];
            int64_t right = at.column[WIDE - 1] * stride - w->pad[2] + reach;
            bool inside = two == (WIDE > 1) && high && left >= 0 && right <= w->in[2];
            if (inside) sum_rows(WIDE, taps, stride, true, w, &at, x, weights, e, y);
            else if (two) sum_rows(2, taps, stride, false, w, &at, x, weights, e, y);
            else sum_rows(1, taps, stride, false, w, &at, x, weights, e, y);
        }
    }
}

/* Up to ROWS vectors of one row, any taps. */
SIMD_INLINE void sum_vectors(int vectors, int64_t taps, const float *src, const int64_t *offset,
                             const float *weights, const ends *e, float *dst, int64_t lanes)
{
    vf32 sum[ROWS];
    for (int v = 0; v < vectors; v++) sum[v] = vf32_set1(e->bias);
    for (int64_t k = 0; k < taps; k++) {
        vf32 scale = vf32_set1(weights[k]);
        for (int v = 0; v < vectors; v++)
            sum[v] = vf32_fma(scale, vf32_load(src + offset[k] + v * VF32_LANES), sum[v]);
    }
    for (int v = 0; v < vectors; v++)
        store_sum(dst + v * VF32_LANES, sum[v], e, v < vectors - 1 ? VF32_LANES : lanes);
}

/* A band of outputs, from a copy of what it reads. */
static void run_band(const job *j, int64_t rows, int64_t columns, const float *src,
                     const float *weights, const ends *e, float *y)
{
    int64_t taps = j->bands.w.kernel_count;
    for (int64_t r = 0; r < rows; r++, src += j->bands.planes.size[2], y += j->bands.w.out[2]) {
        for (int64_t c = 0; c < columns; c += ROWS * VF32_LANES) {
            int64_t vectors = TN_MIN(ROWS, (columns - c + VF32_LANES - 1) / VF32_LANES);
            int64_t lanes = TN_MIN(columns - c - (vectors - 1) * VF32_LANES, VF32_LANES);
            switch (vectors) {
            case 1: sum_vectors(1, taps, src + c, j->offset, weights, e, y + c, lanes); break;
            case 2: sum_vectors(2, taps, src + c, j->offset, weights, e, y + c, lanes); break;
            case 3: sum_vectors(3, taps, src + c, j->offset, weights, e, y + c, lanes); break;
            default: sum_vectors(4, taps, src + c, j->offset, weights, e, y + c, lanes);
            }
        }
    }
}

/* Square kernels of 3, 5 and 7 taps, dense, at stride 1 or 2 both ways. */
static int fixed_kind(const tn_window *w)
{
    bool even = w->kernel[1] == w->kernel[2] && w->stride[1] == w->stride[2] &&
                w->dilation[1] == 1 && w->dilation[2] == 1;
    bool odd = w->kernel[1] == 3 || w->kernel[1] == 5 || w->kernel[1] == 7;
    bool many = w->out[1] >= ROWS && w->stride[1] >= LEAST_STRIDE;
    return even && odd && many && w->stride[1] <= 2 ? (int)(w->kernel[1] * 2 + w->stride[1]) : 0;
}

#define FIXED_KINDS(each) each(3, 1) each(3, 2) each(5, 1) each(5, 2) each(7, 1) each(7, 2)
/* A function for each: compilers take long over one of that size. */
#define FIXED(taps, stride)                                                                        \
    static __attribute__((noinline)) void run_##taps##_by_##stride(                                \
        const tn_window *w, const float *x, const float *weights, const ends *e, float *y)         \
    {                                                                                              \
        if ((stride) >= LEAST_STRIDE) run_fixed(w, taps, stride, x, weights, e, y);                \
    }
FIXED_KINDS(FIXED)

#define FIXED_CASE(taps, stride)                                                                   \
    case (taps)*2 + (stride): run_##taps##_by_##stride(w, x, weights, e, y); break;
static void run_plane(const tn_window *w, const float *x, const float *weights, const ends *e,
                      float *y)
{
    switch (fixed_kind(w)) {
        FIXED_KINDS(FIXED_CASE)
    }
}

/* ---- All -------------------------------------------------------------------------------------*/

static void finish(const job *j, int64_t filter, int64_t count, float *y)
{
    if (j->end.any) tile_end_run(&j->end, filter, 0, 1, count, y, count);
}

static const float *weights_of(const job *j, int64_t output, int64_t *filter, ends *e)
{
    *filter = output % (j->inputs * j->multiple);
    *e = (ends){j->bias ? j->bias[*filter] : 0, j->low};
    return j->weights + *filter * j->bands.w.kernel_count;
}

static tn_status fixed_share(void *arg, int64_t begin, int64_t end, int thread)
{
    const job *j = arg;
    const tn_window *w = &j->bands.w;
    (void)thread;
    for (int64_t o = begin; o < end; o++) {
        int64_t filter;
        ends e;
        const float *weights = weights_of(j, o, &filter, &e);
        run_plane(w, j->x + o / j->multiple * w->in_count, weights, &e, j->y + o * w->out_count);
        finish(j, filter, w->out_count, j->y + o * w->out_count);
    }
    return NULL;
}

/* Outputs [begin, end) of all planes, which read one channel. */
static void run_channel(const job *j, int64_t begin, int64_t end, float *source)
{
    const tn_window *w = &j->bands.w;
    const float *x = j->x + begin / j->multiple * w->in_count;
    for (band b = {0}; bands_next(&j->bands, x, &b, source);) {
        for (int64_t o = begin; o < end; o++) {
            int64_t filter;
            ends e;
            const float *weights = weights_of(j, o, &filter, &e);
            float *y = j->y + o * w->out_count + b.row * w->out[2] + b.column;
            run_band(j, b.rows, b.columns, source, weights, &e, y);
            for (int64_t k = 0; k < b.rows; k++) finish(j, filter, b.columns, y + k * w->out[2]);
        }
    }
}

static tn_status bands_share(void *arg, int64_t begin, int64_t end, int thread)
{
    _Alignas(TN_ALIGNMENT) float source[BANDS_BUFFER] = {0};
    const job *j = arg;
    (void)thread;
    for (int64_t to; begin < end; begin = to) {
        to = TN_MIN((begin / j->multiple + 1) * j->multiple, end);
        run_channel(j, begin, to, source);
    }
    return NULL;
}

static tn_status launch(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    job j;
    read(p, &j);
    int64_t outputs = p->in[0].dim[0] * j.inputs * j.multiple;
    if (outputs * j.bands.w.out_count == 0) return NULL;
    planes_offsets(&j.bands.planes, l->scratch);
    j.offset = l->scratch;
    j.x = p->in[0].data;
    j.weights = p->in[1].data;
    j.y = p->out[0].data;
    conv_end_split(p, &j.end, &j.bias, &j.low);
    int64_t work = j.bands.w.out_count * (j.bands.w.kernel_count + 4);
    return tn_pool_run(l->pool, outputs, 1 + GRAIN / work,
                       fixed_kind(&j.bands.w) ? fixed_share : bands_share, &j);
}

extern const tn_tactic TN_VARIANT_NAME(tn_cpu_conv_depthwise)[];
#define TACTIC(op_name, text)                                                                      \
    {                                                                                              \
        .name = "cpu." text ".f32.depthwise." TN_VARIANT_TEXT, .op = op_name, .revision = 3,       \
        .accepts = accepts, .scratch_bytes = scratch_bytes, .estimate_ns = estimate_ns,            \
        .launch = launch,                                                                          \
    }
const tn_tactic TN_VARIANT_NAME(tn_cpu_conv_depthwise)[] = {
    TACTIC("Conv", "conv"),
    TACTIC("FusedConv", "fusedconv"),
    {0},
};
