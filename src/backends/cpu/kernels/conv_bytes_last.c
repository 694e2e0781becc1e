/* QuantizedConv: convolutions of bytes whose channels run along memory, summed in 32 bits, exact,
 * and ended where the sums lie. What is added up at once is a word: WORD bytes that follow one
 * another in x, times a word of weights; outputs are the lanes.
 *
 *     x   [position][channel], bytes; a window reads `runs` of it, each in one go
 *     W   [strip][run][word of the run][output of the strip], words, packed at build time
 *     y[s, o] = sum over (run, word) of x[s + run][word] * W[run, word, o], o in lanes
 *
 * Where the padding has to be made, and where dot products want wider numbers, x is copied first.
 * Signs and zero points are treated as in conv_bytes.c. */
#include <stdlib.h>
#include <math.h>

#include "backends/cpu/kernels/conv_cost.h"
#include "backends/cpu/kernels/positions.h"
#include "backends/cpu/kernels/last_sums.h"
#include "backends/cpu/variant.h"
#include "device/device.h"
#include "ops/quantize/quantize.h"
#include "ops/quantize/quantized_conv.h"

enum { GRAIN = 500000, COPY_BYTES = 4 << 20, SUMS_MAX = 33000, SLACK = 64 };
#define COPY_MAX (INT64_C(1) << 31) /* bytes of a sample */

#define QUICK_MAX 4e6 /* integers that are added to MAGIC exactly */

enum { VF64_LANES = VF32_LANES / 2 };
typedef double vf64 __attribute__((vector_size(VF64_LANES * 8)));
typedef int64_t vi64 __attribute__((vector_size(VF64_LANES * 8)));
typedef int32_t vi32_half __attribute__((vector_size(VF64_LANES * 4)));

/* What the sums of all outputs become: round((sum - zero * (sum of x) + more) * scale). Where
 * floats will do, `whole` is more and `quick` the scale, else 0; a strip with one of those is
 * `slow`, and behind the strips stands whether any zero is not 0. Outputs of a strip behind the
 * last one have zeros everywhere. */
typedef struct ends {
    double *scale, *more;
    float *quick;
    int32_t *whole, *zero, *slow;
} ends;

/* Of what is added to y, and of the sum: zero points as of numbers with a sign. */
typedef struct adding {
    float y_scale, more_zero, more_scale, scale, zero;
} adding;

typedef struct job {
    const tn_problem *p;
    tn_window w;
    int64_t samples, groups, channels, outputs; /* channels and outputs of one group */
    int64_t run;                                /* bytes that are read in one go */
    windows windows;
    int64_t strips, vectors;                   /* of a group; of a strip */
    int64_t size[3], pixel, parts;             /* of a sample of x with its padding */
    int64_t round, first, tiles;               /* samples, the first of them; tiles of a sample */
    uint8_t x_flip, w_flip, y_flip, more_flip; /* 128 where the other sign is wanted */
    part x_zero;
    float zero;                                 /* of y, as a number with a sign */
    bool x_first, direct, adds, any_zero, tame; /* tame: sums are in range of 32 bits */
    adding add;
    ends e;
    uint32_t *weights;
    int32_t *w_sums; /* of outputs, behind their weights */
    const part *source;
    part *copy;
} job;

/* ---- What fits -------------------------------------------------------------------------------*/

static bool has(const tn_problem *p, int input)
{
    return input < p->in_count && p->in[input].dtype != TN_DTYPE_NONE;
}

/* What types and parameters alone tell: x may not be known yet. */
static void read_weights(const tn_problem *p, job *j)
{
    const tn_quantized_conv_params *params = p->params;
    const tn_tensor *w = &p->in[TN_QCONV_W];
    *j = (job){.p = p, .groups = params->conv.group, .x_first = params->x_first != 0};
    int64_t kernel = w->dim[w->rank - 2], taps = tn_dims_product(w->dim, 1, w->rank - 1);
    const tn_ints *dilations = &params->conv.window.dilations;
    bool dense = dilations->count <= 0 || dilations->at[dilations->count - 1] == 1 || kernel == 1;
    j->w_flip = w->dtype == TN_DTYPE_U8 ? 128 : 0;
    j->channels = w->dim[w->rank - 1];
    j->outputs = w->dim[0] / j->groups;
    /* Taps side by side are read in one go. */
    bool joined = dense && j->groups == 1 && kernel > 0;
    j->run = j->channels * (joined ? kernel : 1);
    j->windows.runs = joined ? taps / kernel : taps;
    j->windows.words = (j->run + WORD - 1) / WORD;
    j->windows.depth = (int64_t)tn_align_up((size_t)(j->windows.runs * j->windows.words), STEP);
    int64_t vectors = (j->outputs + VF32_LANES - 1) / VF32_LANES;
    j->strips = (vectors + VECTORS - 1) / VECTORS;
    j->vectors = j->strips ? (vectors + j->strips - 1) / j->strips : 1;
}

/* Is x what windows read already, each run as whole words? */
static bool is_direct(const job *j)
{
    const tn_window *w = &j->w;
    if (sizeof(part) > 1 || j->x_flip || j->x_first || j->run % WORD) return false;
    for (int i = 0; i < 3; i++)
        if (w->pad[i] || j->size[i] > w->in[i]) return false;
    return true;
}

/* False: its padding is beyond measure. */
static bool read_window(job *j)
{
    tn_quantized_conv_window(j->p, &j->w);
    tn_window *w = &j->w;
    double bytes = 1;
    if (!j->x_first) window_flatten(w);
    j->pixel = j->groups * j->channels;
    j->x_flip = j->p->in[TN_QCONV_X].dtype == TN_DTYPE_I8 ? 128 : 0;
    for (int i = 0; i < 3; i++) {
        int64_t span = w->kernel[i] > 1 ? (w->kernel[i] - 1) * w->dilation[i] + 1 : 1;
        double size = (double)(w->out[i] - 1) * (double)w->stride[i] + (double)span;
        if (size > (double)COPY_MAX) return false;
        j->size[i] = TN_MAX(0, (w->out[i] - 1) * w->stride[i] + span);
        bytes *= size;
    }
    if (bytes * (double)j->pixel * sizeof(part) > (double)COPY_MAX) return false;
    j->direct = is_direct(j);
    for (int i = 0; i < 3 && j->direct; i++) j->size[i] = w->in[i];
    j->parts = j->size[0] * j->size[1] * j->size[2] * j->pixel;
    j->samples = j->p->out[0].dim[0];
    j->round = TN_MIN(j->samples, COPY_BYTES / (j->parts * (int64_t)sizeof(part) + 1));
    j->round = TN_MAX(1, j->direct ? j->samples : j->round);
    j->tiles = (w->out_count + ROWS - 1) / ROWS;
    return true;
}

static tn_verdict accepts(const tn_problem *p)
{
    job j;
    read_weights(p, &j);
    if (!read_window(&j)) return TN_NO("its padding is too large");
    if (j.run * j.windows.runs == 0) return TN_NO("there is nothing to sum");
    if (j.run * j.windows.runs > SUMS_MAX) return TN_NO("sums might not fit 32 bits");
#ifdef SUMS_BY_TILES
    if (j.windows.depth * WORD > PANEL) return TN_NO("its windows are too large for a panel");
#endif
    return TN_YES;
}

static void read(const tn_problem *p, job *j)
{
    read_weights(p, j);
    (void)read_window(j);
}

/* ---- Memory ----------------------------------------------------------------------------------*/

static bool is_packed(const tn_problem *p)
{
    return p->in_constant >> TN_QCONV_W & 1;
}

/* Is all known that the ends of the sums hang on? */
static bool is_ended(const tn_problem *p)
{
    bool all = true;
    for (int i = TN_QCONV_X_SCALE; i <= TN_QCONV_BIAS; i++)
        all &= !has(p, i) || (p->in_constant >> i & 1);
    return all;
}

static int64_t lanes_of_strip(const job *j)
{
    return j->vectors * VF32_LANES;
}

static int64_t lanes_of(const job *j)
{
    return j->strips * lanes_of_strip(j); /* of a group */
}

static void *take(char **at, int64_t count, size_t size)
{
    void *here = *at;
    *at += tn_align_up((size_t)count * size, TN_ALIGNMENT);
    return here;
}

/* Both: what lies in memory from `at` on, in order; returns what lies behind. */
static char *cut_weights(job *j, char *at)
{
    j->weights = take(&at, j->groups * j->windows.depth * lanes_of(j), sizeof(uint32_t));
    j->w_sums = take(&at, j->groups * lanes_of(j), sizeof(int32_t));
    return at;
}

static char *cut_ends(job *j, char *at)
{
    int64_t lanes = j->groups * lanes_of(j);
    j->e.scale = take(&at, lanes, sizeof(double));
    j->e.more = take(&at, lanes, sizeof(double));
    j->e.quick = take(&at, lanes, sizeof(float));
    j->e.whole = take(&at, lanes, sizeof(int32_t));
    j->e.zero = take(&at, lanes, sizeof(int32_t));
    j->e.slow = take(&at, j->groups * j->strips + 1, sizeof(int32_t));
    return at;
}

static char *cut_scratch(job *j, char *at)
{
    j->windows.offset = take(&at, j->windows.runs, sizeof(int64_t));
    if (!j->direct) j->copy = take(&at, j->round * j->parts + SLACK, sizeof(part));
    if (!is_packed(j->p)) at = cut_weights(j, at);
    return is_packed(j->p) && is_ended(j->p) ? at : cut_ends(j, at);
}

/* Sizes are counted from an address that is no memory. */
static char *const origin = (char *)(uintptr_t)TN_ALIGNMENT;

static size_t scratch_bytes(const tn_problem *p)
{
    job j;
    read(p, &j);
    return (size_t)((uintptr_t)cut_scratch(&j, origin) - (uintptr_t)origin);
}

static size_t packed_bytes(const tn_problem *p)
{
    job j;
    read_weights(p, &j);
    if (!is_packed(p)) return 0;
    char *end = cut_weights(&j, origin);
    if (is_ended(p)) end = cut_ends(&j, end);
    return (size_t)((uintptr_t)end - (uintptr_t)origin);
}

static uint64_t unused(const tn_problem *p)
{
    return is_packed(p) ? UINT64_C(1) << TN_QCONV_W : 0;
}

static double estimate_ns(const tn_problem *p)
{
    job j;
    read(p, &j);
    double lines = (double)(j.samples * j.groups * j.w.out_count), words = (double)lanes_of(&j);
    double moved = j.direct ? 0 : (double)(j.samples * j.parts) / (4 * VF32_LANES);
    words *= (double)j.windows.depth;
    return lines * words * WORD / WORDS_MACS_NS + cost_ns(moved, words) +
           cost_ns(lines * (double)(j.vectors * j.strips) * 3, 0);
}

/* ---- Weights and ends ------------------------------------------------------------------------*/

/* One output: `to` is its first word. */
static void pack_output(const job *j, const uint8_t *w, uint32_t *to, int32_t *sum)
{
    int64_t step = lanes_of_strip(j);
    for (int64_t r = 0; r < j->windows.runs; r++)
        for (int64_t i = 0; i < j->run; i++) {
            part_of_w wide = (int8_t)(*w++ ^ j->w_flip);
            *sum += wide;
            uint8_t *word = (uint8_t *)(to + (r * j->windows.words + i / WORD) * step);
            memcpy(word + (size_t)(i % WORD) * sizeof wide, &wide, sizeof wide);
        }
}

/* Where an output of all stands among the lanes of all. */
static int64_t lane_of(const job *j, int64_t output)
{
    return output / j->outputs * lanes_of(j) + output % j->outputs;
}

static tn_status pack_share(void *arg, int64_t begin, int64_t end, int thread)
{
    const job *j = arg;
    const uint8_t *w = j->p->in[TN_QCONV_W].data;
    int64_t step = lanes_of_strip(j);
    (void)thread;
    for (int64_t o = begin; o < end; o++) {
        int64_t lane = lane_of(j, o), strip = lane / step;
        pack_output(j, w + o * j->windows.runs * j->run,
                    j->weights + strip * j->windows.depth * step + lane % step, j->w_sums + lane);
    }
    return NULL;
}

static tn_status pack_weights(job *j, tn_pool *pool)
{
    size_t bytes = (size_t)(cut_weights(j, (char *)j->weights) - (char *)j->weights);
    memset(j->weights, 0, bytes);
    return tn_pool_run(pool, j->groups * j->outputs, 1 + GRAIN / 4 / (1 + j->run * j->windows.runs),
                       pack_share, j);
}

static int32_t zero_of_x(const job *j)
{
    return (int32_t)tn_quantized_conv_at(j->p, TN_QCONV_X_ZERO, 0) +
           (j->p->in[TN_QCONV_X].dtype == TN_DTYPE_I8 ? 128 : 0);
}

static void find_ends(job *j)
{
    const tn_problem *p = j->p;
    const ends *e = &j->e;
    double x_scale = tn_quantized_conv_at(p, TN_QCONV_X_SCALE, 0);
    double y_scale = tn_quantized_conv_at(p, TN_QCONV_Y_SCALE, 0);
    double count = (double)(j->run * j->windows.runs), x_zero = (double)zero_of_x(j);
    memset(e->scale, 0, (size_t)(cut_ends(j, (char *)e->scale) - (char *)e->scale));
    for (int64_t o = 0; o < j->groups * j->outputs; o++) {
        int64_t lane = lane_of(j, o), strip = lane / (lanes_of_strip(j));
        int32_t zero = (int32_t)tn_quantized_conv_at(p, TN_QCONV_W_ZERO, o) - j->w_flip;
        double more = x_zero * (count * zero - (double)j->w_sums[lane]);
        more += tn_quantized_conv_at(p, TN_QCONV_BIAS, o);
        double scale = x_scale * tn_quantized_conv_at(p, TN_QCONV_W_SCALE, o) / y_scale;
        e->zero[lane] = zero;
        if (zero) e->slow[j->groups * j->strips] = 1;
        e->more[lane] = more;
        e->scale[lane] = scale;
        double most = count * 255 * (128 + abs(zero)) + fabs(more);
        if (most < 2.1e9 && most * fabs(scale) < QUICK_MAX && fabs(scale) > 1e-30) {
            e->whole[lane] = (int32_t)more;
            e->quick[lane] = (float)scale;
        } else e->slow[strip] = 1;
    }
}

static tn_status pack(const tn_problem *p, void *dst)
{
    job j;
    read_weights(p, &j);
    if (!is_packed(p)) return NULL;
    char *end = cut_weights(&j, dst);
    TN_TRY(pack_weights(&j, NULL));
    if (!is_ended(p)) return NULL;
    cut_ends(&j, end);
    find_ends(&j);
    return NULL;
}

/* ---- x with its padding ----------------------------------------------------------------------*/

static void copy_line(const job *j, const uint8_t *src, int64_t count, part *dst)
{
    const uint8_t flip = j->x_flip;
    for (int64_t i = 0; i < count; i++) dst[i] = src[i] ^ flip;
}

/* The same from planes. */
static void copy_planes(const job *j, const uint8_t *src, int64_t count, part *dst)
{
    const uint8_t flip = j->x_flip;
    for (int64_t i = 0; i < count; i++)
        for (int64_t c = 0; c < j->pixel; c++) *dst++ = src[c * j->w.in_count + i] ^ flip;
}

static void fill(part *dst, int64_t count, part value)
{
    for (int64_t i = 0; i < count; i++) dst[i] = value;
}

static tn_status copy_share(void *arg, int64_t begin, int64_t end, int thread)
{
    const job *j = arg;
    const tn_window *w = &j->w;
    int64_t line = j->size[2] * j->pixel, low = TN_MIN(TN_MAX(0, w->pad[2]), j->size[2]);
    int64_t high = TN_MAX(low, TN_MIN(j->size[2], w->in[2] + w->pad[2])), lines = j->size[1];
    (void)thread;
    for (int64_t at = begin; at < end; at++) {
        int64_t sample = j->first + at / lines / j->size[0];
        int64_t d = at / lines % j->size[0] - w->pad[0], h = at % lines - w->pad[1];
        part *dst = j->copy + at * line;
        if (d < 0 || d >= w->in[0] || h < 0 || h >= w->in[1] || high == low) {
            fill(dst, line, j->x_zero);
            continue;
        }
        const uint8_t *x = j->p->in[TN_QCONV_X].data;
        int64_t from = (d * w->in[1] + h) * w->in[2] + low - w->pad[2];
        x += sample * w->in_count * j->pixel + from * (j->x_first ? 1 : j->pixel);
        fill(dst, low * j->pixel, j->x_zero);
        if (j->x_first) copy_planes(j, x, high - low, dst + low * j->pixel);
        else copy_line(j, x, (high - low) * j->pixel, dst + low * j->pixel);
        fill(dst + high * j->pixel, (j->size[2] - high) * j->pixel, j->x_zero);
    }
    return NULL;
}

static void find_offsets(const job *j)
{
    const tn_window *w = &j->w;
    int64_t across = j->windows.runs * w->kernel[2] > w->kernel_count ? w->kernel[2] : 1;
    for (int64_t r = 0; r < j->windows.runs; r++) {
        int64_t k = r / across, d = k / w->kernel[1] * w->dilation[0];
        int64_t h = k % w->kernel[1] * w->dilation[1], at = r % across * w->dilation[2];
        j->windows.offset[r] = ((d * j->size[1] + h) * j->size[2] + at) * j->pixel;
    }
}

/* ---- Sums ------------------------------------------------------------------------------------*/

/* Where the windows of the positions from t->first on begin. */
static void find_windows(const job *j, tile *t)
{
    const tn_window *w = &j->w;
    const part *x = j->source + t->sample * j->parts + t->group * j->channels, *line = NULL;
    const int64_t step = w->stride[2] * j->pixel;
    int64_t *at = t->at;
    t->rows = (int)TN_MIN(ROWS, w->out_count - t->first);
    for (int i = 0; i < t->rows; i++, line += step) {
        if (i == 0 || at[2] == 0) {
            int64_t lines = at[0] * w->stride[0] * j->size[1] + at[1] * w->stride[1];
            line = x + (lines * j->size[2] + at[2] * w->stride[2]) * j->pixel;
        }
        t->x[i] = line;
        if (++at[2] < w->out[2]) continue;
        at[2] = 0;
        if (++at[1] < w->out[1]) continue;
        at[1] = 0;
        at[0]++;
    }
}

static void find_tile(const job *j, int64_t number, tile *t)
{
    const tn_window *w = &j->w;
    int64_t strip = TILES_FIRST ? number / j->tiles : number;
    int64_t first = TILES_FIRST ? number : number / j->strips;
    t->strip = strip % j->strips;
    t->first = first % j->tiles * ROWS;
    t->group = number / j->tiles / j->strips % j->groups;
    t->sample = number / j->tiles / j->strips / j->groups;
    t->at[2] = t->first % w->out[2];
    t->at[1] = t->first / w->out[2] % w->out[1];
    t->at[0] = t->first / w->out[2] / w->out[1];
    find_windows(j, t);
}

/* The tile that has the next number: mostly one with the next positions. */
static void next_tile(const job *j, int64_t number, tile *t)
{
    bool same = !TILES_FIRST && t->strip + 1 < j->strips;
    bool next = TILES_FIRST && t->first + ROWS < j->w.out_count;
    if (same) t->strip++;
    if (next) {
        t->first += ROWS;
        find_windows(j, t);
    }
    if (!same && !next) find_tile(j, number, t);
}

/* Zero points of weights times the sum of what a window reads. */
static void take_zeros(const job *j, tile *t)
{
    int64_t lanes = lanes_of_strip(j);
    const int32_t *zero = j->e.zero + (t->group * j->strips + t->strip) * lanes;
    for (int i = 0; i < t->rows; i++) {
        uint32_t all = 0;
        for (int64_t r = 0; r < j->windows.runs; r++)
            for (int64_t k = 0; k < j->run; k++) all += t->x[i][j->windows.offset[r] + k];
        for (int64_t k = 0; k < lanes; k++) {
            uint32_t sum = (uint32_t)t->sums[i * lanes + k];
            t->sums[i * lanes + k] = (int32_t)(sum - (uint32_t)zero[k] * all);
        }
    }
}

/* ---- Ends of sums ----------------------------------------------------------------------------*/

/* The nearest integers between low and high, ties to even; 0 for what is no number. */
SIMD_INLINE vf64 round_doubles(vf64 x, double low, double high)
{
    const double magic = 6755399441055744.0; /* 1.5 * 2^52 */
    const vf64 most = high - (vf64){0}, least = low - (vf64){0};
    vi64 is_number = (vi64)(x == x), above = (vi64)(x > most), below = (vi64)(x < least);
    vi64 inside = (vi64)x & is_number & ~above & ~below;
    x = (vf64)(inside | ((vi64)most & above) | ((vi64)least & below));
    return (x + magic) - magic;
}

/* The same as the operators have it: some outputs of one position, from `lane` of the strip on. */
SIMD_INLINE vi8 end_exactly(const job *j, const ending *e, int64_t lane, const int32_t *sums,
                            const uint8_t *more)
{
    int64_t first = e->whole - j->e.whole + lane;
    int32_t wide[VF32_LANES];
    for (int i = 0; i < VF32_LANES; i += VF64_LANES) {
        vi32_half sum;
        vf64 x, scale;
        memcpy(&sum, sums + i, sizeof sum);
        memcpy(&x, j->e.more + first + i, sizeof x);
        memcpy(&scale, j->e.scale + first + i, sizeof scale);
        x = (__builtin_convertvector(sum, vf64) + x) * scale;
        x = round_doubles(x, -128 - (double)j->zero, 127 - (double)j->zero);
        sum = __builtin_convertvector(x, vi32_half);
        memcpy(wide + i, &sum, sizeof sum);
    }
    vi32 y = ends_load(wide);
    return e->adds ? end_sum(e, false, y, more) : to_bytes(y + e->y_zero) ^ e->y_flip;
}

/* A tile once more, where floats do not tell. */
static __attribute__((noinline)) void end_again(const job *j, const ending *e, const tile *t,
                                                const place *to, bool all)
{
    const int64_t lanes = lanes_of_strip(j);
    for (int64_t i = 0; i < t->rows; i++)
        for (int64_t v = 0; v < lanes; v += VF32_LANES) {
            const int32_t *sums = t->sums + i * lanes + v;
            int64_t at = i * to->step + v;
            vf32 off = {0};
            (void)end_vector(e, false, ends_load(sums), ends_load(e->whole + v),
                             vf32_load(e->quick + v), NULL, &off);
            if (!all && !vf32_any((vi32)(off > OFF_MAX))) continue;
            vi8 bytes = end_exactly(j, e, v, sums, e->adds ? to->more + at : NULL);
            memcpy(to->y + at, &bytes, sizeof bytes);
        }
}

/* What does not fill a strip's vectors goes through memory that does. */
typedef struct cut {
    uint8_t y[ROWS * VECTORS * VF32_LANES], more[ROWS * VECTORS * VF32_LANES];
} cut;

/* Where the first output of a tile is in y. */
static int64_t tile_at(const job *j, const tile *t, int64_t *count)
{
    int64_t lanes = lanes_of_strip(j), before = t->strip * lanes;
    int64_t position = (j->first + t->sample) * j->w.out_count + t->first;
    *count = TN_MIN(lanes, j->outputs - before);
    return (position * j->groups + t->group) * j->outputs + before;
}

static place place_of(const job *j, const tile *t, cut *c)
{
    int64_t lanes = lanes_of_strip(j), step = j->groups * j->outputs, count;
    int64_t at = tile_at(j, t, &count);
    place to = {.y = (uint8_t *)j->p->out[0].data + at, .step = step};
    if (j->adds) to.more = (const uint8_t *)j->p->in[TN_QCONV_MORE].data + at;
    if (count == lanes) return to;
    if (j->adds) memset(c->more, 0, sizeof c->more);
    for (int64_t i = 0; j->adds && i < t->rows; i++)
        memcpy(c->more + i * lanes, to.more + i * step, (size_t)count);
    return (place){.y = c->y, .more = c->more, .step = lanes};
}

static void give(const job *j, const tile *t, const cut *c)
{
    int64_t lanes = lanes_of_strip(j), count, at = tile_at(j, t, &count);
    uint8_t *y = (uint8_t *)j->p->out[0].data + at;
    for (int64_t i = 0; count < lanes && i < t->rows; i++)
        memcpy(y + i * j->groups * j->outputs, c->y + i * lanes, (size_t)count);
}

static void run_tile(const job *j, ending *e, tile *t, cut *c)
{
    int64_t lanes = lanes_of_strip(j), strip = t->group * j->strips + t->strip;
    const uint32_t *w = j->weights + strip * j->windows.depth * lanes;
    place to = place_of(j, t, c);
    bool slow = j->e.slow[strip] || !j->tame, good;
    e->whole = j->e.whole + strip * lanes;
    e->quick = j->e.quick + strip * lanes;
    if (j->any_zero) {
        (void)sum_tile(&j->windows, j->vectors, w, t, e, NULL);
        take_zeros(j, t);
        good = ends_tile(e, t->rows, lanes, t->sums, &to);
    } else {
        good = sum_tile(&j->windows, j->vectors, w, t, e, slow ? NULL : &to);
    }
    if (slow || !good) end_again(j, e, t, &to, slow);
    give(j, t, c);
}

static ending ending_of(const job *j)
{
    const adding *a = &j->add;
    return (ending){.adds = j->adds,
                    .magic = vf32_set1(MAGIC + j->zero),
                    .y_zero = (int32_t)j->zero - (vi32){0},
                    .sum_zero = (int32_t)a->zero - (vi32){0},
                    .y_scale = vf32_set1(a->y_scale),
                    .more_zero = (int32_t)a->more_zero - (vi32){0},
                    .more_scale = vf32_set1(a->more_scale),
                    .scale = vf32_set1(a->scale),
                    .y_flip = (int8_t)j->y_flip - (vi8){0},
                    .more_flip = (int8_t)j->more_flip - (vi8){0}};
}

/* ---- All -------------------------------------------------------------------------------------*/

static tn_status run_share(void *arg, int64_t begin, int64_t end, int thread)
{
    const job *j = arg;
    ending e = ending_of(j);
    tile t;
    cut c;
    (void)thread;
    sums_begin(&t);
    for (int64_t at = begin; at < end; at++) {
        if (at == begin) find_tile(j, at, &t);
        else next_tile(j, at, &t);
        run_tile(j, &e, &t, &c);
    }
    sums_end();
    return NULL;
}

/* A zero point, as of numbers with a sign. */
static float signed_zero(const tn_problem *p, int input)
{
    double zero = tn_quantized_conv_at(p, input, 0);
    return (float)(zero - (p->in[input].dtype == TN_DTYPE_U8 ? 128 : 0));
}

static void read_adding(job *j)
{
    const tn_problem *p = j->p;
    adding *a = &j->add;
    j->adds = has(p, TN_QCONV_MORE);
    j->zero = signed_zero(p, TN_QCONV_Y_ZERO);
    j->y_flip = p->out[0].dtype == TN_DTYPE_U8 ? 128 : 0;
    j->tame = true;
    if (!j->adds) return;
    j->more_flip = p->in[TN_QCONV_MORE].dtype == TN_DTYPE_U8 ? 128 : 0;
    a->y_scale = (float)tn_quantized_conv_at(p, TN_QCONV_Y_SCALE, 0);
    a->more_zero = signed_zero(p, TN_QCONV_MORE_ZERO);
    a->more_scale = (float)tn_quantized_conv_at(p, TN_QCONV_MORE_SCALE, 0);
    a->scale = (float)tn_quantized_conv_at(p, TN_QCONV_SUM_SCALE, 0);
    a->zero = signed_zero(p, TN_QCONV_SUM_ZERO);
    float most = 255 * (fabsf(a->y_scale) + fabsf(a->more_scale)) / fabsf(a->scale);
    j->tame = most < LARGE;
}

static tn_status prepare(job *j, const tn_launch *l)
{
    const tn_problem *p = j->p;
    j->copy = NULL;
    cut_scratch(j, l->scratch);
    find_offsets(j);
    /* What was packed before is only read from here on. */
    char *packed = (char *)(uintptr_t)l->packed;
    if (is_packed(p)) packed = cut_weights(j, packed);
    else TN_TRY(pack_weights(j, l->pool));
    if (is_packed(p) && is_ended(p)) cut_ends(j, packed);
    else find_ends(j);
    read_adding(j);
    j->x_zero = (part)zero_of_x(j);
    j->any_zero = j->e.slow[j->groups * j->strips] != 0;
    return NULL;
}

static tn_status launch(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    job j;
    read(p, &j);
    if (j.samples * j.outputs * j.w.out_count == 0) return NULL;
    TN_TRY(prepare(&j, l));
    int64_t work = j.windows.depth * lanes_of_strip(&j) * WORD * ROWS;
    for (; j.first < j.samples; j.first += j.round) {
        int64_t samples = TN_MIN(j.round, j.samples - j.first);
        j.source = j.copy;
        if (j.direct) j.source = p->in[TN_QCONV_X].data;
        else
            TN_TRY(tn_pool_run(l->pool, samples * j.size[0] * j.size[1],
                               1 + GRAIN / 4 / (1 + j.size[2] * j.pixel), copy_share, &j));
        TN_TRY(tn_pool_run(l->pool, samples * j.groups * j.strips * j.tiles, 1 + GRAIN / work,
                           run_share, &j));
    }
    return NULL;
}

extern const tn_tactic TN_VARIANT_NAME(tn_cpu_conv_bytes_last)[];
const tn_tactic TN_VARIANT_NAME(tn_cpu_conv_bytes_last)[] = {
    {
        .name = "cpu.quantizedconv.i8.words." TN_VARIANT_TEXT,
        .op = "QuantizedConv",
        .revision = 1,
        .accepts = accepts,
        .scratch_bytes = scratch_bytes,
        .estimate_ns = estimate_ns,
        .packed_bytes = packed_bytes,
        .pack = pack,
        .unused = unused,
        .launch = launch,
    },
    {0},
};
