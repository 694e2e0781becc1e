/* Conv and FusedConv in f32 where every output channel reads one input channel: each row of outputs
 * is a sum of shifted rows, a weight times each, of a band of the input that lies on the stack.
 *
 * Kernels of the usual sizes are taken ROWS rows at a time, and what several rows read is loaded
 * once. Work is cut into (sample, channel); every sum runs over taps in rising order. */
#include "backends/cpu/kernels/bands.h"
#include "backends/cpu/kernels/conv_cost.h"
#include "backends/cpu/kernels/tile_end.h"
#include "backends/cpu/variant.h"
#include "device/device.h"
#include "ops/conv/conv.h"

enum { GRAIN = 200000 }; /* multiply-adds worth a thread */
enum { ROWS = BANDS_VECTORS };

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

/* Line i of the input under `rows` rows of outputs: what a tap reads is loaded once. All but the
 * pointers and the length of a plane's row are constants at every call. */
TILE_INLINE void add_line(int i, int rows, int taps, int stride, const float *src,
                          const int64_t *offset, int64_t line, const float *weights, vf32 *sum)
{
    int first = i < taps ? 0 : (i - taps + stride) / stride; /* row of outputs that reads it */
    if (i >= (rows - 1) * stride + taps) return;
    for (int k = 0; k < taps; k++) {
        vf32 v = vf32_load(src + offset[(i - first * stride) * taps + k] + first * line);
        for (int r = 0; r < ROWS; r++)
            if (r >= first && r < rows && r * stride <= i)
                sum[r] = vf32_fma(vf32_set1(weights[(i - r * stride) * taps + k]), v, sum[r]);
    }
}

/* What sums begin with and end by: a bias, and a bound from below for those of a ReLU. */
typedef struct ends {
    float bias, low;
} ends;

TILE_INLINE void store_sum(float *dst, vf32 sum, const ends *e, int64_t lanes)
{
    sum = vf32_max(vf32_set1(e->low), sum); /* NaN stays */
    if (lanes == VF32_LANES) vf32_store(dst, sum);
    else vf32_store_some(dst, sum, lanes);
}

/* VF32_LANES columns of `rows` rows; the lines are written out for the compiler to see all. */
TILE_INLINE void sum_rows(int rows, int taps, int stride, const float *src, const int64_t *offset,
                          int64_t line, const float *weights, const ends *e, float *dst,
                          int64_t width, int64_t lanes)
{
    vf32 sum[ROWS];
    for (int r = 0; r < ROWS; r++) sum[r] = vf32_set1(e->bias);
#define LINE(i) add_line(i, rows, taps, stride, src, offset, line, weights, sum);
    LINE(0)
    LINE(1)
    LINE(2) LINE(3) LINE(4) LINE(5) LINE(6) LINE(7) LINE(8) LINE(9) LINE(10) LINE(11) LINE(12)
#undef LINE
        for (int r = 0; r < rows; r++) store_sum(dst + r * width, sum[r], e, lanes);
}

/* Up to ROWS vectors of one row, any taps. */
TILE_INLINE void sum_vectors(int vectors, int64_t taps, const float *src, const int64_t *offset,
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

/* A band of outputs `width` apart from row to row. The last rows are computed with those before
 * them again, if there are as many. */
TILE_INLINE void run_fixed(const job *j, int taps, int stride, int64_t rows, int64_t columns,
                           const float *src, const float *weights, const ends *e, float *y)
{
    int64_t line = j->bands.planes.size[2], width = j->bands.w.out[2];
    for (int64_t at = 0; at < rows; at += ROWS) {
        int64_t r = rows >= ROWS ? TN_MIN(at, rows - ROWS) : at, count = TN_MIN(ROWS, rows - r);
        for (int64_t c = 0; c < columns; c += VF32_LANES) {
            int64_t lanes = TN_MIN(VF32_LANES, columns - c);
            const float *from = src + r * line + c;
            float *to = y + r * width + c;
            if (count == ROWS)
                sum_rows(ROWS, taps, stride, from, j->offset, line, weights, e, to, width, lanes);
            else
                for (int64_t i = 0; i < count; i++)
                    sum_rows(1, taps, stride, from + i * line, j->offset, line, weights, e,
                             to + i * width, width, lanes);
        }
    }
}

static void run_any(const job *j, int64_t rows, int64_t columns, const float *src,
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
    return even && odd && w->stride[1] <= 2 ? (int)(w->kernel[1] * 2 + w->stride[1]) : 0;
}

#define FIXED(taps, stride)                                                                        \
    case (taps)*2 + (stride): run_fixed(j, taps, stride, rows, columns, src, weights, e, y); break;
static void run_band(const job *j, int64_t rows, int64_t columns, const float *src,
                     const float *weights, const ends *e, float *y)
{
    switch (fixed_kind(&j->bands.w)) {
        FIXED(3, 1)
        FIXED(3, 2)
        FIXED(5, 1)
        FIXED(5, 2)
        FIXED(7, 1)
        FIXED(7, 2)
    default: run_any(j, rows, columns, src, weights, e, y);
    }
}

/* ---- All -------------------------------------------------------------------------------------*/

static void run_channel(const job *j, int64_t channel, float *source)
{
    const tn_window *w = &j->bands.w;
    for (band b = {0}; bands_next(&j->bands, j->x + channel * w->in_count, &b, source);) {
        for (int64_t i = 0; i < j->multiple; i++) {
            int64_t o = channel * j->multiple + i, filter = o % (j->inputs * j->multiple);
            float *y = j->y + o * w->out_count + b.row * w->out[2] + b.column;
            ends e = {j->bias ? j->bias[filter] : 0, j->low};
            run_band(j, b.rows, b.columns, source, j->weights + filter * w->kernel_count, &e, y);
            if (!j->end.any) continue;
            bool whole = b.columns == w->out[2];
            for (int64_t k = 0; k < (whole ? 1 : b.rows); k++)
                tile_end_run(&j->end, filter, 0, 1, whole ? b.rows * b.columns : b.columns,
                             y + k * w->out[2], w->out_count);
        }
    }
}

static tn_status run_channels(void *arg, int64_t begin, int64_t end, int thread)
{
    _Alignas(TN_ALIGNMENT) float source[BANDS_BUFFER] = {0};
    (void)thread;
    for (int64_t channel = begin; channel < end; channel++) run_channel(arg, channel, source);
    return NULL;
}

static const void *data_of(const tn_problem *p, int index)
{
    return index < p->in_count && p->in[index].dtype != TN_DTYPE_NONE ? p->in[index].data : NULL;
}

static tn_status launch(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    job j;
    read(p, &j);
    int64_t channels = p->in[0].dim[0] * j.inputs;
    if (channels * j.multiple * j.bands.w.out_count == 0) return NULL;
    planes_offsets(&j.bands.planes, l->scratch);
    j.offset = l->scratch;
    j.x = p->in[0].data;
    j.weights = p->in[1].data;
    j.y = p->out[0].data;
    j.bias = data_of(p, 2);
    j.low = -INFINITY;
    j.end = (tile_end){.alpha = 1, .beta = 1, .y = j.y};
    if (p->op[0] == 'F') {
        const tn_fused_conv_params *params = p->params;
        j.end.residual = data_of(p, 3);
        if (params->epilogue.kind == TN_EPILOGUE_RELU && !j.end.residual) j.low = 0;
        else j.end.function = params->epilogue;
    }
    tile_end_close(&j.end);
    int64_t work = j.multiple * j.bands.w.out_count * (j.bands.w.kernel_count + 4);
    return tn_pool_run(l->pool, channels, 1 + GRAIN / work, run_channels, &j);
}

extern const tn_tactic TN_VARIANT_NAME(tn_cpu_conv_depthwise)[];
#define TACTIC(op_name, text)                                                                      \
    {                                                                                              \
        .name = "cpu." text ".f32.depthwise." TN_VARIANT_TEXT, .op = op_name, .revision = 1,       \
        .accepts = accepts, .scratch_bytes = scratch_bytes, .estimate_ns = estimate_ns,            \
        .launch = launch,                                                                          \
    }
const tn_tactic TN_VARIANT_NAME(tn_cpu_conv_depthwise)[] = {
    TACTIC("Conv", "conv"),
    TACTIC("FusedConv", "fusedconv"),
    {0},
};
