/* MaxPool, AveragePool, their global forms and MaxPool's gradient in f32, a row of outputs at a
 * time. The largest of windows are those of the rows under a row of outputs, column by column, and
 * then of what lies side by side in that; windows of 2 x 2 that lie side by side are compared at
 * once. For averages and winners each tap is added to, or compared with, what the row holds so far.
 * NaN wins over numbers, the first of equals over the rest. */
#include "backends/cpu/kernels/bands.h"
#include "backends/cpu/variant.h"
#include "device/device.h"
#include "ops/pool/pool.h"

enum { ROW = 256, GRAIN = 100000 }; /* outputs worked on at once; taps worth a thread */
enum { LINE = 4096 };               /* columns of x and its padding */

typedef struct job {
    tn_window w;
    bands bands;
    const int64_t *offset; /* of taps */
    float *count;          /* of an AveragePool: taps that count along the last axis */
    bool padded;           /* the padding counts, too */
    const float *x, *dy;
    float *out;
} job;

static tn_verdict accepts(const tn_problem *p)
{
    if (p->in[0].dtype != TN_DTYPE_F32) return TN_NO("the operands are not f32");
    if (p->out_count > 1 && p->out[1].dtype != TN_DTYPE_NONE) return TN_NO("Indices are asked for");
    return TN_YES;
}

static tn_verdict accepts_gradient(const tn_problem *p)
{
    tn_window w;
    if (p->in[0].dtype != TN_DTYPE_F32) return TN_NO("the operands are not f32");
    tn_pool_gradient_window(p, &w);
    if (w.in_count > INT32_MAX) return TN_NO("a plane has more than 2^31 elements");
    return TN_YES;
}

/* Columns [begin, end) of outputs whose tap k along the last axis is inside x. */
static void clip_range(const tn_window *w, int64_t k, int64_t *begin, int64_t *end)
{
    int64_t from, to;
    tn_window_range(w, 2, k, &from, &to);
    *begin = TN_MAX(*begin, from);
    *end = TN_MIN(*end, to);
}

/* The largest elements of outputs [first, first + count) of row (d, h), and with `winner` where in
 * the plane they stand (-1: nowhere). */
static void find_largest(const tn_window *w, const float *x, int64_t d, int64_t h, int64_t first,
                         int64_t count, float *best, int32_t *winner)
{
    int64_t stride = w->stride[2];
    for (int64_t i = 0; i < count; i++) best[i] = -INFINITY;
    for (int64_t i = 0; winner && i < count; i++) winner[i] = -1;
    for (int64_t k = 0; k < w->kernel_count; k++) {
        int64_t kw = k % w->kernel[2], kh = k / w->kernel[2] % w->kernel[1];
        int64_t in_d = d * w->stride[0] + k / w->kernel[2] / w->kernel[1] * w->dilation[0];
        int64_t in_h = h * w->stride[1] + kh * w->dilation[1] - w->pad[1];
        in_d -= w->pad[0];
        if (in_d < 0 || in_d >= w->in[0] || in_h < 0 || in_h >= w->in[1]) continue;
        int64_t begin = first, end = first + count;
        clip_range(w, kw, &begin, &end);
        if (end <= begin) continue;
        int64_t at =
            (in_d * w->in[1] + in_h) * w->in[2] + begin * stride + kw * w->dilation[2] - w->pad[2];
        const float *restrict src = x + at;
        float *restrict b = best + (begin - first);
        if (!winner) {
            for (int64_t i = 0; i < end - begin; i++) {
                float v = src[i * stride];
                b[i] = v > b[i] || v != v ? v : b[i];
            }
            continue;
        }
        int32_t *restrict where = winner + (begin - first);
        for (int64_t i = 0; i < end - begin; i++) {
            float v = src[i * stride];
            bool wins = where[i] < 0 || v > b[i] || (v != v && b[i] == b[i]);
            b[i] = wins ? v : b[i];
            where[i] = wins ? (int32_t)(at + i * stride) : where[i];
        }
    }
}

/* ---- Windows of 2 x 2 side by side -----------------------------------------------------------*/

static bool are_halves(const tn_window *w)
{
    for (int i = 1; i < 3; i++)
        if (w->kernel[i] != 2 || w->stride[i] != 2 || w->dilation[i] != 1 || w->pad[i] != 0 ||
            2 * w->out[i] > w->in[i])
            return false;
    return w->in[0] == 1 && w->kernel[0] == 1 && w->out[0] == 1 && w->pad[0] == 0;
}

/* Numbers in order, two vectors to two vectors: every second one, and back. */
#if VF32_LANES == 16
#define ZIP_LOW 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define ZIP_HIGH 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#elif VF32_LANES == 8
#define ZIP_LOW 0, 8, 1, 9, 2, 10, 3, 11
#define ZIP_HIGH 4, 12, 5, 13, 6, 14, 7, 15
#else
#define ZIP_LOW 0, 4, 1, 5
#define ZIP_HIGH 2, 6, 3, 7
#endif

static inline int64_t at_most(int64_t count)
{
    return count < 0 ? 0 : count < VF32_LANES ? count : VF32_LANES;
}

/* 2 * count numbers as `count` pairs. */
static inline void load_pairs(const float *src, int64_t count, vf32 *left, vf32 *right)
{
    vf32 a = vf32_load_some(src, at_most(2 * count));
    vf32 b = {0};
    if (2 * count > VF32_LANES)
        b = vf32_load_some(src + VF32_LANES, at_most(2 * count - VF32_LANES));
    *left = __builtin_shufflevector(a, b, VF32_EVENS);
    *right = __builtin_shufflevector(a, b, VF32_ODDS);
}

static inline void store_pairs(float *dst, int64_t count, vf32 left, vf32 right)
{
    vf32_store_some(dst, __builtin_shufflevector(left, right, ZIP_LOW), at_most(2 * count));
    if (2 * count > VF32_LANES)
        vf32_store_some(dst + VF32_LANES, __builtin_shufflevector(left, right, ZIP_HIGH),
                        at_most(2 * count - VF32_LANES));
}

static inline vi32 wins(vf32 v, vf32 best)
{
    return (vi32)(v > best) | ((vi32)(v != v) & (vi32)(best == best));
}

static void halve(const float *top, const float *low, int64_t width, float *y)
{
    for (int64_t i = 0; i < width; i += VF32_LANES) {
        int64_t count = at_most(width - i);
        vf32 a, b, c, d;
        load_pairs(top + 2 * i, count, &a, &b);
        load_pairs(low + 2 * i, count, &c, &d);
        vf32 upper = vf32_select(wins(b, a), b, a), lower = vf32_select(wins(d, c), d, c);
        vf32_store_some(y + i, vf32_select(wins(lower, upper), lower, upper), count);
    }
}

static void halve_back(const float *top, const float *low, const float *dy, int64_t width,
                       float *dtop, float *dlow)
{
    const vf32 zero = {0};
    for (int64_t i = 0; i < width; i += VF32_LANES) {
        int64_t count = at_most(width - i);
        vf32 a, b, c, d, share = vf32_load_some(dy + i, count);
        load_pairs(top + 2 * i, count, &a, &b);
        load_pairs(low + 2 * i, count, &c, &d);
        vi32 right = wins(b, a), low_right = wins(d, c);
        vi32 below = wins(vf32_select(low_right, d, c), vf32_select(right, b, a));
        vf32 up = vf32_select(below, zero, share), down = vf32_select(below, share, zero);
        store_pairs(dtop + 2 * i, count, vf32_select(right, zero, up),
                    vf32_select(right, up, zero));
        store_pairs(dlow + 2 * i, count, vf32_select(low_right, zero, down),
                    vf32_select(low_right, down, zero));
    }
}

static void halve_plane(const job *j, int64_t plane)
{
    const tn_window *w = &j->w;
    const float *x = j->x + plane * w->in_count;
    int64_t wide = w->in[2], count = w->out[2];
    bool covered = 2 * w->out[1] == w->in[1] && 2 * count == wide;
    float *dx = j->out + plane * w->in_count, *y = j->out + plane * w->out_count;
    if (j->dy && !covered) memset(dx, 0, (size_t)w->in_count * sizeof(float));
    for (int64_t h = 0; h < w->out[1]; h++, x += 2 * wide, dx += 2 * wide) {
        if (!j->dy) halve(x, x + wide, count, y + h * count);
        else
            halve_back(x, x + wide, j->dy + plane * w->out_count + h * count, count, dx, dx + wide);
    }
}

static tn_status halves_share(void *arg, int64_t begin, int64_t end, int thread)
{
    (void)thread;
    for (int64_t plane = begin; plane < end; plane++) halve_plane(arg, plane);
    return NULL;
}

/* ---- The largest, rows first ------------------------------------------------------------------*/

/* Of equals and where one is NaN vf32_max gives its second operand. */
SIMD_INLINE vf32 larger(vf32 best, vf32 v)
{
    return vf32_select((vi32)(v != v), v, vf32_max(v, best));
}

/* line = the largest of it and a row of x, or that row. */
SIMD_INLINE void take_row(bool begun, const float *x, int64_t count, float *line)
{
    int64_t i = 0;
    for (; i + VF32_LANES <= count; i += VF32_LANES) {
        vf32 v = vf32_load(x + i);
        vf32_store(line + i, begun ? larger(vf32_load(line + i), v) : v);
    }
    if (i == count) return;
    vf32 v = vf32_load_some(x + i, count - i);
    if (begun) v = larger(vf32_load_some(line + i, count - i), v);
    vf32_store_some(line + i, v, count - i);
}

/* The largest of each window along a line; `stride` is a constant where it is 1 or 2. Two vectors
 * may be read behind the line. */
SIMD_INLINE void take_windows(const tn_window *w, int64_t stride, const float *line, float *y)
{
    for (int64_t i = 0; i < w->out[2]; i += VF32_LANES) {
        int64_t count = at_most(w->out[2] - i);
        vf32 best = vf32_set1(-INFINITY);
        for (int64_t k = 0; k < w->kernel[2]; k++) {
            const float *src = line + i * stride + k * w->dilation[2];
            vf32 v;
            if (stride == 1) v = vf32_load(src);
            else if (stride == 2)
                v = __builtin_shufflevector(vf32_load(src), vf32_load(src + VF32_LANES),
                                            VF32_EVENS);
            else v = planes_pick(src, stride, count);
            best = k ? larger(best, v) : v;
        }
        vf32_store_some(y + i, best, count);
    }
}

/* Columns of a line: x with the padding that windows reach. Beyond measure, it may be. */
static double line_length(const tn_window *w)
{
    double reach = (double)(w->out[2] - 1) * (double)w->stride[2] + 1;
    reach += (double)(w->kernel[2] - 1) * (double)w->dilation[2];
    return TN_MAX(reach, (double)w->pad[2] + (double)w->in[2]);
}

static void largest_row(const tn_window *w, const float *x, int64_t d, int64_t h, float *line,
                        float *y)
{
    bool begun = false;
    for (int64_t k = 0; k < w->kernel[0] * w->kernel[1]; k++) {
        int64_t in_d = d * w->stride[0] + k / w->kernel[1] * w->dilation[0] - w->pad[0];
        int64_t in_h = h * w->stride[1] + k % w->kernel[1] * w->dilation[1] - w->pad[1];
        if (in_d < 0 || in_d >= w->in[0] || in_h < 0 || in_h >= w->in[1]) continue;
        const float *src = x + (in_d * w->in[1] + in_h) * w->in[2];
        if (begun) take_row(true, src, w->in[2], line + w->pad[2]);
        else take_row(false, src, w->in[2], line + w->pad[2]);
        begun = true;
    }
    for (int64_t i = 0; !begun && i < w->in[2]; i++) line[w->pad[2] + i] = -INFINITY;
    switch (w->stride[2]) {
    case 1: take_windows(w, 1, line, y); break;
    case 2: take_windows(w, 2, line, y); break;
    default: take_windows(w, w->stride[2], line, y);
    }
}

static tn_status largest_share(void *arg, int64_t begin, int64_t end, int thread)
{
    const job *j = arg;
    const tn_window *w = &j->w;
    float line[LINE + 2 * VF32_LANES];
    (void)thread;
    for (int i = 0; i < (int)line_length(w) + 2 * VF32_LANES; i++) line[i] = -INFINITY;
    for (int64_t plane = begin; plane < end; plane++) {
        const float *x = j->x + plane * w->in_count;
        float *y = j->out + plane * w->out_count;
        for (int64_t row = 0; row < w->out[0] * w->out[1]; row++)
            largest_row(w, x, row / w->out[1], row % w->out[1], line, y + row * w->out[2]);
    }
    return NULL;
}

/* ---- All others ------------------------------------------------------------------------------*/

static tn_status share(void *arg, int64_t begin, int64_t end, int thread)
{
    const job *j = arg;
    const tn_window *w = &j->w;
    float best[ROW];
    int32_t winner[ROW];
    (void)thread;
    for (int64_t plane = begin; plane < end; plane++) {
        const float *x = j->x + plane * w->in_count;
        float *dx = j->out + plane * w->in_count, *y = j->out + plane * w->out_count;
        if (j->dy) memset(dx, 0, (size_t)w->in_count * sizeof(float));
        for (int64_t row = 0; row < w->out[0] * w->out[1]; row++) {
            for (int64_t first = 0; first < w->out[2]; first += ROW) {
                int64_t count = TN_MIN(w->out[2] - first, ROW), at = row * w->out[2] + first;
                find_largest(w, x, row / w->out[1], row % w->out[1], first, count,
                             j->dy ? best : y + at, j->dy ? winner : NULL);
                const float *dy = j->dy ? j->dy + plane * w->out_count + at : NULL;
                for (int64_t i = 0; dy && i < count; i++)
                    if (winner[i] >= 0) dx[winner[i]] += dy[i];
            }
        }
    }
    return NULL;
}

/* ---- Averages over one or two axes -----------------------------------------------------------*/

/* `columns` <= vectors * VF32_LANES outputs of a row. `count`: taps that an average is of, divided
 * by `rows`. */
SIMD_INLINE void average_vectors(const job *j, int vectors, const float *src, const float *count,
                                 float rows, int64_t columns, float *y)
{
    vf32 sum[BANDS_VECTORS];
    for (int v = 0; v < vectors; v++) sum[v] = vf32_load(src + j->offset[0] + v * VF32_LANES);
    for (int64_t k = 1; k < j->w.kernel_count; k++)
        for (int v = 0; v < vectors; v++) sum[v] += vf32_load(src + j->offset[k] + v * VF32_LANES);
    for (int v = 0; v < vectors; v++) {
        int64_t at = v * VF32_LANES, lanes = TN_MIN(VF32_LANES, columns - at);
        if (lanes <= 0) break;
        vf32 of = vf32_load_some(count + at, lanes) * rows;
        sum[v] /= vf32_max(of, vf32_set1(1)); /* no taps at all: 0, as the sum is */
        vf32_store_some(y + at, sum[v], lanes);
    }
}

static void average_row(const job *j, const float *src, const float *count, float rows,
                        int64_t columns, float *y)
{
    while (columns > 2 * VF32_LANES) {
        int64_t some = TN_MIN(columns, BANDS_VECTORS * VF32_LANES);
        average_vectors(j, BANDS_VECTORS, src, count, rows, some, y);
        src += some, count += some, y += some, columns -= some;
    }
    if (columns > VF32_LANES) average_vectors(j, 2, src, count, rows, columns, y);
    else if (columns > 0) average_vectors(j, 1, src, count, rows, columns, y);
}

/* Taps along an axis that count for the window at `at`. */
static int64_t count_taps(const tn_window *w, int axis, int64_t at, bool padded)
{
    int64_t count = 0, end = w->in[axis] + (padded ? w->pad_end[axis] : 0);
    for (int64_t k = 0; k < w->kernel[axis]; k++) {
        int64_t i = at * w->stride[axis] - w->pad[axis] + k * w->dilation[axis];
        count += (padded || i >= 0) && i < end;
    }
    return count;
}

static tn_status average_share(void *arg, int64_t begin, int64_t end, int thread)
{
    _Alignas(TN_ALIGNMENT) float source[BANDS_BUFFER] = {0};
    const job *j = arg;
    const tn_window *w = &j->w;
    (void)thread;
    for (int64_t plane = begin; plane < end; plane++) {
        for (band b = {0}; bands_next(&j->bands, j->x + plane * w->in_count, &b, source);) {
            float *y = j->out + plane * w->out_count + b.row * w->out[2] + b.column;
            for (int64_t r = 0; r < b.rows; r++, y += w->out[2]) {
                float rows = (float)count_taps(w, 1, b.row + r, j->padded);
                average_row(j, source + r * j->bands.planes.size[2], j->count + b.column, rows,
                            b.columns, y);
            }
        }
    }
    return NULL;
}

static size_t scratch_bytes(const tn_problem *p)
{
    tn_window w;
    tn_pool_window(p, false, &w);
    return (size_t)w.kernel_count * sizeof(int64_t) + (size_t)w.out[2] * sizeof(float);
}

static tn_verdict accepts_average(const tn_problem *p)
{
    tn_window w;
    bands all;
    if (p->in[0].dtype != TN_DTYPE_F32) return TN_NO("the operands are not f32");
    tn_pool_window(p, false, &w);
    if (!bands_of(&w, 0, &all)) return TN_NO("its windows reach too far, or along three axes");
    return TN_YES;
}

static tn_status launch(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    job j = {.x = p->in[0].data, .out = p->out[0].data};
    tn_pool_window(p, false, &j.w);
    const tn_window *w = &j.w;
    int64_t planes_count = p->in[0].dim[0] * p->in[0].dim[1];
    if (planes_count == 0 || w->out_count == 0) return NULL;
    int64_t grain = 1 + GRAIN / (1 + w->out_count * w->kernel_count);
    if (are_halves(w)) return tn_pool_run(l->pool, planes_count, grain, halves_share, &j);
    bool fits = w->pad[2] >= 0 && line_length(w) <= LINE;
    return tn_pool_run(l->pool, planes_count, grain, fits ? largest_share : share, &j);
}

static tn_status launch_average(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_pool_params *params = p->params;
    job j = {.x = p->in[0].data, .out = p->out[0].data, .padded = params->count_include_pad != 0};
    tn_pool_window(p, false, &j.w);
    const tn_window *w = &j.w;
    int64_t planes_count = p->in[0].dim[0] * p->in[0].dim[1];
    if (planes_count == 0 || w->out_count == 0) return NULL;
    bands_of(w, 0, &j.bands);
    if (j.bands.planes.direct) { /* each window is an element */
        memcpy(j.out, j.x, (size_t)(planes_count * w->in_count) * sizeof(float));
        return NULL;
    }
    planes_offsets(&j.bands.planes, l->scratch);
    j.offset = l->scratch;
    j.count = (float *)(void *)((int64_t *)l->scratch + w->kernel_count);
    for (int64_t i = 0; i < w->out[2]; i++) j.count[i] = (float)count_taps(w, 2, i, j.padded);
    int64_t grain = 1 + GRAIN / (1 + w->out_count * w->kernel_count);
    return tn_pool_run(l->pool, planes_count, grain, average_share, &j);
}

/* ---- Whole planes ----------------------------------------------------------------------------*/

SIMD_INLINE vf32 pool_add(bool average, vf32 sum, vf32 v)
{
    return average ? sum + v : larger(sum, v);
}

SIMD_INLINE vf32 fold_plane(bool average, const float *x, int64_t count)
{
    vf32 start = vf32_set1(average ? 0 : -INFINITY), sum[4] = {start, start, start, start};
    int64_t i = 0;
    for (; i + 4 * VF32_LANES <= count; i += 4 * VF32_LANES)
        for (int v = 0; v < 4; v++)
            sum[v] = pool_add(average, sum[v], vf32_load(x + i + v * VF32_LANES));
    for (; i + VF32_LANES <= count; i += VF32_LANES)
        sum[0] = pool_add(average, sum[0], vf32_load(x + i));
    if (i < count && average) sum[0] += vf32_load_some(x + i, count - i);
    for (; i < count && !average; i++) sum[0] = pool_add(average, sum[0], vf32_set1(x[i]));
    return pool_add(average, pool_add(average, sum[0], sum[1]), pool_add(average, sum[2], sum[3]));
}

static tn_status average_whole(void *arg, int64_t begin, int64_t end, int thread)
{
    const job *j = arg;
    int64_t count = j->w.in_count;
    (void)thread;
    for (int64_t i = begin; i < end; i++)
        j->out[i] = vf32_sum(fold_plane(true, j->x + i * count, count)) / (float)count;
    return NULL;
}

static tn_status largest_whole(void *arg, int64_t begin, int64_t end, int thread)
{
    const job *j = arg;
    int64_t count = j->w.in_count;
    (void)thread;
    for (int64_t i = begin; i < end; i++)
        j->out[i] = vf32_largest(fold_plane(false, j->x + i * count, count));
    return NULL;
}

static tn_verdict accepts_global(const tn_problem *p)
{
    if (p->in[0].dtype != TN_DTYPE_F32) return TN_NO("the operands are not f32");
    return TN_YES;
}

static tn_status launch_global(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    job j = {.x = p->in[0].data, .out = p->out[0].data};
    tn_pool_window(p, true, &j.w);
    int64_t planes_count = p->in[0].dim[0] * p->in[0].dim[1];
    bool average = p->op[6] == 'A'; /* GlobalAveragePool, GlobalMaxPool */
    return tn_pool_run(l->pool, planes_count, 1 + GRAIN / (1 + j.w.in_count),
                       average ? average_whole : largest_whole, &j);
}

static tn_status launch_gradient(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    job j = {.dy = p->in[0].data, .x = p->in[1].data, .out = p->out[0].data};
    tn_pool_gradient_window(p, &j.w);
    int64_t planes_count = p->in[1].dim[0] * p->in[1].dim[1];
    if (planes_count == 0 || j.w.in_count == 0) return NULL;
    int64_t grain = 1 + GRAIN / (1 + j.w.out_count * j.w.kernel_count);
    return tn_pool_run(l->pool, planes_count, grain, are_halves(&j.w) ? halves_share : share, &j);
}

extern const tn_tactic TN_VARIANT_NAME(tn_cpu_pool_rows)[];
const tn_tactic TN_VARIANT_NAME(tn_cpu_pool_rows)[] = {
    {
        .name = "cpu.maxpool.f32.rows." TN_VARIANT_TEXT,
        .op = "MaxPool",
        .revision = 3,
        .accepts = accepts,
        .launch = launch,
    },
    {
        .name = "cpu.averagepool.f32.rows." TN_VARIANT_TEXT,
        .op = "AveragePool",
        .revision = 1,
        .accepts = accepts_average,
        .scratch_bytes = scratch_bytes,
        .launch = launch_average,
    },
    {
        .name = "cpu.globalaveragepool.f32.rows." TN_VARIANT_TEXT,
        .op = "GlobalAveragePool",
        .revision = 1,
        .accepts = accepts_global,
        .launch = launch_global,
    },
    {
        .name = "cpu.globalmaxpool.f32.rows." TN_VARIANT_TEXT,
        .op = "GlobalMaxPool",
        .revision = 1,
        .accepts = accepts_global,
        .launch = launch_global,
    },
    {
        .name = "cpu.maxpoolgradient.f32.rows." TN_VARIANT_TEXT,
        .op = "MaxPoolGradient",
        .revision = 1,
        .accepts = accepts_gradient,
        .launch = launch_gradient,
    },
    {0},
};
