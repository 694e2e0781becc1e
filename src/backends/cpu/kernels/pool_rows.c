/* MaxPool in f32 and its gradient, a row of outputs at a time: each tap is compared with what the
 * row holds so far; windows of 2 x 2 that lie side by side are compared at once. NaN wins over
 * numbers, the first of equals over the rest. */
#include "backends/cpu/kernels/simd.h"
#include "backends/cpu/variant.h"
#include "device/device.h"
#include "ops/pool/pool.h"

enum { ROW = 256, GRAIN = 100000 }; /* outputs worked on at once; taps worth a thread */

typedef struct job {
    tn_window w;
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
#define ODDS 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31
#define ZIP_LOW 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define ZIP_HIGH 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#elif VF32_LANES == 8
#define ODDS 1, 3, 5, 7, 9, 11, 13, 15
#define ZIP_LOW 0, 8, 1, 9, 2, 10, 3, 11
#define ZIP_HIGH 4, 12, 5, 13, 6, 14, 7, 15
#else
#define ODDS 1, 3, 5, 7
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
    *right = __builtin_shufflevector(a, b, ODDS);
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

static tn_status launch(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    job j = {.x = p->in[0].data, .out = p->out[0].data};
    tn_pool_window(p, false, &j.w);
    int64_t planes = p->in[0].dim[0] * p->in[0].dim[1];
    if (planes == 0 || j.w.out_count == 0) return NULL;
    int64_t grain = 1 + GRAIN / (1 + j.w.out_count * j.w.kernel_count);
    return tn_pool_run(l->pool, planes, grain, are_halves(&j.w) ? halves_share : share, &j);
}

static tn_status launch_gradient(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    job j = {.dy = p->in[0].data, .x = p->in[1].data, .out = p->out[0].data};
    tn_pool_gradient_window(p, &j.w);
    int64_t planes = p->in[1].dim[0] * p->in[1].dim[1];
    if (planes == 0 || j.w.in_count == 0) return NULL;
    int64_t grain = 1 + GRAIN / (1 + j.w.out_count * j.w.kernel_count);
    return tn_pool_run(l->pool, planes, grain, are_halves(&j.w) ? halves_share : share, &j);
}

extern const tn_tactic TN_VARIANT_NAME(tn_cpu_pool_rows)[];
const tn_tactic TN_VARIANT_NAME(tn_cpu_pool_rows)[] = {
    {
        .name = "cpu.maxpool.f32.rows." TN_VARIANT_TEXT,
        .op = "MaxPool",
        .revision = 1,
        .accepts = accepts,
        .launch = launch,
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
