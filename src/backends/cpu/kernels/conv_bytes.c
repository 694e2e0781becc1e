/* QLinearConv and ConvInteger: convolutions of bytes, summed in 32 bits, exact. What is added up at
 * once is a word: WORD channels at one position, times a word of weights.
 *
 *     x  [channel][position], bytes  -->  [channel / WORD][position], words, as planes
 *     W  [strip][words / WORDS_STEP][output of the strip][word of the step], packed at build time
 *     y[o, s] = sum over (channel / WORD, tap) of W[., o] * x[., s + tap], s in lanes
 *
 * Words are 32 bits, so they are moved about as the floats of conv_planes.h are. Instructions want
 * x without sign and weights with one: 128 is added to, or taken from, the others and their zero
 * points, and the zero points leave the sums
 *
 *     sum of (x - zx)(w - zw) = sum of x w  -  zx (sum of w)  -  zw (sum of x)  +  K zx zw
 *
 * where the padding holds zx, sums of w are packed with it, and those of x are only taken for
 * weights with a zero point. */
#include <math.h>

#include "backends/cpu/kernels/conv_cost.h"
#include "backends/cpu/kernels/conv_planes.h"
#include "backends/cpu/variant.h"
#if defined(__AVX512F__) && !defined(__AVX512VNNI__)
#include "backends/cpu/kernels/words_tiles.h"
#else
#include "backends/cpu/kernels/words_dots.h"
#endif
#include "device/device.h"
#include "ops/conv/conv.h"
#include "ops/quantize/quantize.h"

enum { GRAIN = 500000, PLANES_BYTES = 4 << 20 };
enum { DEPTH = 40960 / TILE_COLUMNS, BLOCK = 8 }; /* rows of a panel; tiles whose sums wait */
enum { SUMS_MAX = 33000 };                        /* products; sums of more may not fit 32 bits */
enum { X, X_SCALE, X_ZERO, W, W_SCALE, W_ZERO, Y_SCALE, Y_ZERO, BIAS }; /* of QLinearConv */

/* What the sums of an output become: (sum - zero * (sum of x) + more) * scale, rounded. `quick`:
 * scale as a float, 0 where numbers are too large for that; `whole`: more. */
typedef struct ending {
    double scale, more;
    int32_t zero, whole;
    float quick;
} ending;

typedef struct job {
    const tn_problem *p;
    planes planes;         /* of words */
    const int64_t *offset; /* of taps */
    ending *ends;          /* of all outputs */
    int32_t least, y_zero; /* of y */
    int weights, x_zero, w_zero;
    bool quantised;                    /* is y? */
    int64_t groups, channels, outputs; /* channels and outputs of one group */
    int64_t taps, words;               /* words of the channels */
    int64_t real, depth;               /* words of a sum, and as many as are packed */
    int64_t strips, rows;              /* of a group; outputs of a strip */
    int64_t panels, together;          /* of all positions; of a unit of work */
    int64_t samples, round, parts;
    int64_t first;            /* sample of this round */
    uint8_t x_flip, w_flip;   /* 128 where the other sign is wanted */
    uint32_t zero;            /* of x, as flipped */
    bool any_zero;            /* of weights */
    float *words_of, *source; /* of a round: x as words, and as planes where those are others */
    uint32_t *packed;         /* written by packing alone */
} job;

/* ---- What fits -------------------------------------------------------------------------------*/

/* What types and parameters alone tell: x may not be known yet. */
static void read_weights(const tn_problem *p, job *j)
{
    const tn_conv_params *params = p->params;
    *j = (job){.p = p, .weights = 1, .x_zero = 2, .w_zero = 3, .groups = params->group};
    if (p->op[0] == 'Q')
        j->weights = W, j->x_zero = X_ZERO, j->w_zero = W_ZERO, j->quantised = true;
    const tn_tensor *w = &p->in[j->weights];
    j->w_flip = w->dtype == TN_DTYPE_U8 ? 128 : 0;
    j->channels = w->dim[1];
    j->outputs = w->dim[0] / j->groups;
    j->taps = tn_dims_product(w->dim, 2, w->rank);
    j->words = (j->channels + WORD - 1) / WORD;
    j->real = j->words * j->taps;
    j->depth = (int64_t)tn_align_up((size_t)j->real, WORDS_STEP);
    j->strips = (j->outputs + WORDS_ROWS - 1) / WORDS_ROWS;
    j->rows = j->strips ? (j->outputs + j->strips - 1) / j->strips : 1;
    j->rows = (int64_t)tn_align_up((size_t)j->rows, WORDS_ROWS_OF);
}

static tn_verdict accepts(const tn_problem *p)
{
    job j;
    tn_window w;
    planes all;
    read_weights(p, &j);
    tn_conv_window(p, j.weights, &w);
    planes_of(&w, &all);
    double floats = (double)all.channel * (double)p->in[0].dim[1];
    if (!all.fits || floats >= (double)PLANES_MAX) return TN_NO("its padding is too large");
    if (!j.channels) return TN_NO("there is nothing to sum");
    if (j.channels * j.taps > SUMS_MAX) return TN_NO("sums might not fit 32 bits");
    return TN_YES;
}

static void read(const tn_problem *p, job *j)
{
    tn_window w;
    read_weights(p, j);
    tn_conv_window(p, j->weights, &w);
    planes_of(&w, &j->planes);
    j->x_flip = p->in[0].dtype == TN_DTYPE_I8 ? 128 : 0;
    j->panels = tile_panels(w.out_count);
    j->samples = p->out[0].dim[0];
    int64_t bytes = j->groups * j->words * j->planes.channel * (int64_t)sizeof(float);
    j->round = TN_MAX(1, TN_MIN(j->samples, PLANES_BYTES / (bytes + 1)));
}

static bool is_packed(const job *j)
{
    return j->p->in_constant >> j->weights & 1;
}

/* Behind the weights of all groups lie their sums. */
static int64_t sums_at(const job *j)
{
    return j->groups * j->strips * j->rows * j->depth;
}

static size_t packed_size(const job *j)
{
    int64_t words = sums_at(j) + j->groups * j->outputs;
    return tn_align_up((size_t)words * sizeof(uint32_t), TN_ALIGNMENT);
}

static size_t packed_bytes(const tn_problem *p)
{
    job j;
    read_weights(p, &j);
    return is_packed(&j) ? packed_size(&j) : 0;
}

static uint64_t unused(const tn_problem *p)
{
    job j;
    read_weights(p, &j);
    return is_packed(&j) ? UINT64_C(1) << j.weights : 0;
}

/* Parts of the scratch memory, in order; at NULL: only counted. */
static size_t cut_scratch(job *j, char *at)
{
    int64_t all = j->round * j->groups * j->words, slack = TILE_COLUMNS;
    size_t offsets = tn_align_up((size_t)j->taps * sizeof(int64_t), TN_ALIGNMENT);
    size_t words = tn_align_up((size_t)(all * j->planes.w.in_count + slack) * 4, TN_ALIGNMENT);
    size_t source = tn_align_up((size_t)(all * j->planes.channel + slack) * 4, TN_ALIGNMENT);
    size_t ends = tn_align_up((size_t)(j->groups * j->outputs) * sizeof(ending), TN_ALIGNMENT);
    if (j->planes.direct) source = 0;
    if (at) {
        j->ends = (ending *)(void *)at;
        at += ends;
        j->offset = (const int64_t *)(const void *)at;
        j->words_of = (float *)(void *)(at + offsets);
        j->source = source ? (float *)(void *)(at + offsets + words) : j->words_of;
        if (!is_packed(j)) j->packed = (uint32_t *)(void *)(at + offsets + words + source);
    }
    return ends + offsets + words + source + (is_packed(j) ? 0 : packed_size(j));
}

static size_t scratch_bytes(const tn_problem *p)
{
    job j;
    read(p, &j);
    return cut_scratch(&j, NULL);
}

static double estimate_ns(const tn_problem *p)
{
    job j;
    read(p, &j);
    double lines = (double)(j.samples * j.groups * j.panels) * TILE_COLUMNS;
    double sums = lines * (double)(j.depth * WORD) * (double)(j.strips * j.rows + 8);
    return sums / WORDS_MACS_NS +
           cost_ns(lines * (double)j.outputs / VF32_LANES, (double)packed_size(&j) / sizeof(float));
}

/* ---- Weights ---------------------------------------------------------------------------------*/

static void put_part(uint32_t *word, int64_t index, uint8_t value)
{
    part_of_w wide = (int8_t)value;
    memcpy((uint8_t *)word + index * (int64_t)sizeof wide, &wide, sizeof wide);
}

/* One output: `to` is its first word. */
static void pack_output(const job *j, const uint8_t *w, uint32_t *to, uint32_t *sum)
{
    for (int64_t c = 0; c < j->channels; c++)
        for (int64_t k = 0; k < j->taps; k++) {
            uint8_t value = *w++ ^ j->w_flip;
            *sum += (uint32_t)(int8_t)value;
            int64_t word = c / WORD * j->taps + k, step = word / WORDS_STEP * WORDS_STEP;
            put_part(to + step * j->rows + word % WORDS_STEP, c % WORD, value);
        }
}

static tn_status pack_share(void *arg, int64_t begin, int64_t end, int thread)
{
    const job *j = arg;
    const uint8_t *w = j->p->in[j->weights].data;
    (void)thread;
    for (int64_t at = begin; at < end; at++) {
        int64_t strip = at / j->outputs * j->strips + at % j->outputs / j->rows;
        uint32_t *to = j->packed + strip * j->rows * j->depth;
        to += at % j->outputs % j->rows * WORDS_STEP;
        pack_output(j, w + at * j->channels * j->taps, to, j->packed + sums_at(j) + at);
    }
    return NULL;
}

static tn_status pack_weights(job *j, tn_pool *pool)
{
    memset(j->packed, 0, packed_size(j));
    int64_t grain = 1 + GRAIN / 4 / (1 + j->channels * j->taps);
    return tn_pool_run(pool, j->groups * j->outputs, grain, pack_share, j);
}

static tn_status pack(const tn_problem *p, void *dst)
{
    job j;
    read_weights(p, &j);
    j.packed = dst;
    return is_packed(&j) ? pack_weights(&j, NULL) : NULL;
}

/* ---- x to words ------------------------------------------------------------------------------*/

/* `count` channels, a constant at every call, `size` apart. */
SIMD_INLINE void make_words(int count, const uint8_t *x, int64_t size, uint8_t flip, float *to)
{
    for (int64_t i = 0; i < size; i++) {
        uint32_t word = 0;
        for (int c = 0; c < count; c++)
            word |= (uint32_t)(x[c * size + i] ^ flip) << (int)sizeof(part) * 8 * c;
        memcpy(to + i, &word, sizeof word);
    }
}

static tn_status fill_share(void *arg, int64_t begin, int64_t end, int thread)
{
    const job *j = arg;
    int64_t size = j->planes.w.in_count;
    const uint8_t *x = j->p->in[0].data;
    (void)thread;
    for (int64_t at = begin; at < end; at++) {
        int64_t c = at % j->words * WORD, group = j->first * j->groups + at / j->words;
        const uint8_t *from = x + (group * j->channels + c) * size;
        float *words = j->words_of + at * size, outside;
        part zeros[WORD] = {0};
        for (int64_t i = 0; i < TN_MIN(WORD, j->channels - c); i++) zeros[i] = (part)j->zero;
        memcpy(&outside, zeros, sizeof outside);
        switch (TN_MIN(WORD, j->channels - c)) {
        case 1: make_words(1, from, size, j->x_flip, words); break;
        case 2: make_words(2, from, size, j->x_flip, words); break;
#if defined(__AVX512F__)
        case 3: make_words(3, from, size, j->x_flip, words); break;
        default: make_words(4, from, size, j->x_flip, words); break;
#endif
        }
        if (!j->planes.direct)
            planes_fill(&j->planes, words, outside, j->source + at * j->planes.channel);
    }
    return NULL;
}

/* ---- Sums to outputs -------------------------------------------------------------------------*/

/* One value, or one for each output. */
static double pick(const tn_problem *p, int input, int64_t output)
{
    if (input >= p->in_count || p->in[input].dtype == TN_DTYPE_NONE) return 0;
    const tn_tensor *t = &p->in[input];
    int64_t at = (t->rank == 1 ? t->dim[0] : tn_tensor_count(t)) == 1 ? 0 : output;
    if (t->dtype == TN_DTYPE_F32) return ((const float *)t->data)[at];
    return tn_load_f64(t->dtype, t->data, at);
}

/* The ends of all outputs, once what they read is packed. */
static void find_ends(job *j)
{
    const tn_problem *p = j->p;
    j->least = p->out[0].dtype == TN_DTYPE_I8 ? -128 : 0;
    j->y_zero = j->quantised ? (int32_t)pick(p, Y_ZERO, 0) : 0;
    double x_scale = j->quantised ? pick(p, X_SCALE, 0) : 0;
    double y_scale = j->quantised ? pick(p, Y_SCALE, 0) : 0;
    for (int64_t o = 0; o < j->groups * j->outputs; o++) {
        ending *e = &j->ends[o];
        *e = (ending){.zero = (int32_t)pick(p, j->w_zero, o) - j->w_flip};
        e->more = (double)j->channels * (double)j->taps * e->zero;
        e->more = (double)j->zero * (e->more - (double)(int32_t)j->packed[sums_at(j) + o]);
        j->any_zero |= e->zero != 0;
        if (!j->quantised) continue;
        e->more += pick(p, BIAS, o);
        e->scale = x_scale * pick(p, W_SCALE, o) / y_scale;
        if (e->zero || fabs(e->more) > 1e9) continue;
        if (!(fabs(e->scale) > 1e-30 && fabs(e->scale) < 1e9)) continue;
        e->whole = (int32_t)e->more;
        e->quick = (float)e->scale;
    }
}

typedef double vf64 __attribute__((vector_size(VF32_LANES * 4)));
typedef int32_t vi64s __attribute__((vector_size(VF32_LANES * 2))); /* as many as a vf64 has */
typedef uint8_t vu8 __attribute__((vector_size(VF32_LANES)));
enum { VF64_LANES = VF32_LANES / 2 };

/* At most `high`, ties to even; what is far below 0 becomes the least integer. */
SIMD_INLINE vi64s round_doubles(vf64 x, double high)
{
#if defined(__AVX512F__)
    return (vi64s)_mm512_cvtpd_epi32(_mm512_min_pd((__m512d)x, _mm512_set1_pd(high)));
#elif defined(__AVX2__)
    return (vi64s)_mm256_cvtpd_epi32(_mm256_min_pd((__m256d)x, _mm256_set1_pd(high)));
#else
    vi64s all;
    for (int i = 0; i < VF64_LANES; i++)
        all[i] = x[i] < -1e9 ? INT32_MIN : (int32_t)rint(x[i] < high ? x[i] : high);
    return all;
#endif
}

/* The same in float, which is off by less than 1e-4 of the numbers between -512 and 512: false if
 * one of them lies so near the middle of two integers that this might matter. Two vectors of sums
 * are a line; they are below 1.1e9. */
static inline bool round_quickly(const job *j, const ending *e, const int32_t *sums, uint8_t *line)
{
    const float magic = 12582912.0f; /* 1.5 * 2^23: what is added to it is rounded */
    const int32_t zero = j->y_zero, low = j->least - zero;
    vf32 off = {0};
    for (int i = 0; i < TILE_COLUMNS; i += VF32_LANES) {
        vi32 sum;
        memcpy(&sum, sums + i, sizeof sum);
        vf32 x = __builtin_convertvector(sum + e->whole, vf32) * e->quick;
        x = vf32_min(vf32_max(x, vf32_set1((float)low)), vf32_set1((float)(low + 255)));
        vf32 near = (x + magic) - magic;
        off = vf32_max(off, vf32_abs(x - near));
        vu8 bytes = __builtin_convertvector(__builtin_convertvector(near, vi32) + zero, vu8);
        memcpy(line + i, &bytes, sizeof bytes);
    }
    return !vf32_any((vi32)(off > 0.4999f));
}

/* All lines are whole: what stands behind the count is not stored. */
static inline void round_line(const job *j, const ending *e, const int32_t *sums, uint8_t *line)
{
    const double more = e->more, scale = e->scale;
    const int32_t zero = j->y_zero, low = j->least - zero;
    int32_t wide[TILE_COLUMNS];
    for (int i = 0; i < TILE_COLUMNS; i += VF64_LANES) {
        vi64s sum;
        memcpy(&sum, sums + i, sizeof sum);
        sum = round_doubles((__builtin_convertvector(sum, vf64) + more) * scale, low + 255);
        memcpy(wide + i, &sum, sizeof sum);
    }
    for (int i = 0; i < TILE_COLUMNS; i++)
        line[i] = (uint8_t)((wide[i] > low ? wide[i] : low) + zero);
}

/* The sums of one output at `count` positions, to elements of y from `at` on. x_sums: of x. */
static void end_line(const job *j, const ending *e, int32_t *sums, const int32_t *x_sums,
                     int64_t count, int64_t at)
{
    const tn_tensor *y = &j->p->out[0];
    uint8_t line[TILE_COLUMNS];
    if (j->any_zero)
        for (int i = 0; i < TILE_COLUMNS; i++)
            sums[i] = (int32_t)((uint32_t)sums[i] - (uint32_t)e->zero * (uint32_t)x_sums[i]);
    if (!j->quantised) {
        int32_t more = (int32_t)e->more, *to = (int32_t *)y->data + at;
        for (int64_t i = 0; i < count; i++) to[i] = (int32_t)((uint32_t)sums[i] + (uint32_t)more);
    } else if (isfinite(e->scale)) {
        uint8_t *to = (uint8_t *)y->data + at, *all = count == TILE_COLUMNS ? to : line;
        if (e->quick == 0 || !round_quickly(j, e, sums, all)) round_line(j, e, sums, all);
        if (all == line) memcpy(to, line, (size_t)count);
    } else {
        for (int64_t i = 0; i < count; i++)
            tn_store_i64(y->dtype, y->data, at + i,
                         tn_quantize_value(y->dtype, (sums[i] + e->more) * e->scale, j->y_zero));
    }
}

/* ---- All -------------------------------------------------------------------------------------*/

typedef struct unit {
    int64_t sample, group, first, count; /* sample of the round; positions */
    const float *source;
    piece piece[TILE_COLUMNS];
    int64_t pieces;
    int32_t x_sums[TILE_COLUMNS];
} unit;

/* Panel number `at`, counted over all groups and samples. */
static void find_unit(const job *j, int64_t at, unit *u)
{
    u->first = at % j->panels * TILE_COLUMNS;
    u->group = at / j->panels % j->groups;
    u->sample = at / j->panels / j->groups;
    u->count = TN_MIN(TILE_COLUMNS, j->planes.w.out_count - u->first);
    int64_t step = j->planes.direct ? j->planes.w.in_count : j->planes.channel;
    u->source = j->source + (u->sample * j->groups + u->group) * j->words * step;
    u->pieces = planes_pieces(&j->planes, u->first, u->count, u->piece);
}

/* Words [row, row + rows) of the sums, zeros behind those that there are; with what they add up
 * to. */
static void gather(const job *j, unit *u, int64_t row, int64_t rows, float *panel)
{
    int64_t step = j->planes.direct ? j->planes.w.in_count : j->planes.channel;
    int64_t real = TN_MIN(rows, j->real - row);
    if (real <= 0) return; /* there may be no taps either */
    planes_cursor cursor = planes_at(u->source, step, j->offset, j->taps, row);
    planes_gather(cursor, u->piece, u->pieces, real, panel);
    memset(panel + real * TILE_COLUMNS, 0, (size_t)((rows - real) * TILE_COLUMNS) * sizeof(float));
    if (row == 0) memset(u->x_sums, 0, sizeof u->x_sums);
    for (int64_t i = 0; j->any_zero && i < real * TILE_COLUMNS; i++) {
        part parts[WORD];
        memcpy(parts, panel + i, sizeof parts);
        for (int k = 0; k < WORD; k++) u->x_sums[i % TILE_COLUMNS] += parts[k];
    }
}

/* What a thread works on: panels side by side, and sums of some strips at each. */
typedef struct desk {
    _Alignas(TN_ALIGNMENT) float panel[(DEPTH + 1) * TILE_COLUMNS];
    _Alignas(TN_ALIGNMENT) int32_t sums[BLOCK * WORDS_ROWS * TILE_COLUMNS];
    unit u[BLOCK];
} desk;

/* Strips [from, to) at `count` panels, `rows` of the sum from `row` on. */
static void add_up(const job *j, desk *d, int64_t count, int64_t from, int64_t to, int64_t row,
                   int64_t rows)
{
    int32_t *sums = d->sums;
    for (int64_t s = from; s < to; s++)
        for (int64_t i = 0; i < count; i++, sums += j->rows * TILE_COLUMNS) {
            int64_t strip = d->u[i].group * j->strips + s;
            words_multiply(j->rows, d->u[i].count, rows,
                           j->packed + (strip * j->depth + row) * j->rows,
                           d->panel + i * rows * TILE_COLUMNS, sums, row > 0);
        }
}

static void end_strips(const job *j, desk *d, int64_t count, int64_t from, int64_t to)
{
    int64_t size = j->planes.w.out_count;
    int32_t *sums = d->sums;
    for (int64_t s = from; s < to; s++)
        for (int64_t i = 0; i < count; i++, sums += j->rows * TILE_COLUMNS) {
            const unit *u = &d->u[i];
            int64_t first = u->group * j->outputs, last = TN_MIN((s + 1) * j->rows, j->outputs);
            int64_t y = ((j->first + u->sample) * j->groups * j->outputs + first) * size + u->first;
            for (int64_t o = s * j->rows; o < last; o++)
                end_line(j, &j->ends[first + o], sums + (o - s * j->rows) * TILE_COLUMNS, u->x_sums,
                         u->count, y + o * size);
        }
}

/* Strips [from, to) at the `count` panels of a desk. Sums that do not fit a panel wait for the rest
 * of it, a block of strips at a time. */
static void run_panels(const job *j, desk *d, int64_t count, int64_t from, int64_t to)
{
    int64_t block = BLOCK / j->together, gathered = -1;
    for (int64_t s = from; s < to; s += block) {
        int64_t last = TN_MIN(s + block, to), row = 0;
        do {
            int64_t rows = TN_MIN(DEPTH, j->depth - row);
            for (int64_t i = 0; i < count && gathered != row; i++)
                gather(j, &d->u[i], row, rows, d->panel + i * rows * TILE_COLUMNS);
            gathered = row;
            add_up(j, d, count, s, last, row, rows);
            row += DEPTH;
        } while (row < j->depth);
        end_strips(j, d, count, s, last);
    }
}

static tn_status run_share(void *arg, int64_t begin, int64_t end, int thread)
{
    const job *j = arg;
    int64_t each = (j->panels + j->together - 1) / j->together;
    desk d;
    (void)thread;
    words_begin();
    for (int64_t at = begin; at < end; at++) {
        int64_t group = at / j->parts, share = at % j->parts, first = group % each * j->together;
        int64_t count = TN_MIN(j->together, j->panels - first);
        for (int64_t i = 0; i < count; i++)
            find_unit(j, group / each * j->panels + first + i, &d.u[i]);
        run_panels(j, &d, count, j->strips * share / j->parts, j->strips * (share + 1) / j->parts);
    }
    words_end();
    return NULL;
}

static tn_status run_round(job *j, int64_t samples, tn_pool *pool)
{
    int64_t units = samples * j->groups * j->panels, threads = tn_pool_threads(pool);
    TN_TRY(tn_pool_run(pool, samples * j->groups * j->words,
                       1 + GRAIN / 4 / (1 + j->planes.channel), fill_share, j));
    j->together = TN_MIN(TN_MIN(BLOCK, DEPTH / (j->depth + 1)), units / (8 * threads));
    j->together = TN_MAX(1, j->together);
    units = samples * j->groups * ((j->panels + j->together - 1) / j->together);
    /* Few panels are shared out by their outputs, too. */
    j->parts = 1;
    if (units < 4 * threads) j->parts = TN_MIN(j->strips, (4 * threads + units - 1) / units);
    int64_t work = 1 + j->outputs * j->depth * TILE_COLUMNS * j->together / j->parts;
    return tn_pool_run(pool, units * j->parts, 1 + GRAIN / work, run_share, j);
}

static tn_status launch(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    job j;
    read(p, &j);
    if (j.samples * j.outputs * j.planes.w.out_count == 0) return NULL;
    cut_scratch(&j, l->scratch);
    planes_offsets(&j.planes, (int64_t *)(uintptr_t)j.offset);
    j.zero = (uint32_t)((int32_t)pick(p, j.x_zero, 0) + j.x_flip);
    /* What was packed before is only read from here on. */
    if (is_packed(&j)) j.packed = (uint32_t *)(uintptr_t)l->packed;
    else TN_TRY(pack_weights(&j, l->pool));
    find_ends(&j);
    for (; j.first < j.samples; j.first += j.round)
        TN_TRY(run_round(&j, TN_MIN(j.round, j.samples - j.first), l->pool));
    return NULL;
}

extern const tn_tactic TN_VARIANT_NAME(tn_cpu_conv_bytes)[];
#define TACTIC(op_name, text)                                                                      \
    {                                                                                              \
        .name = "cpu." text ".i8.words." TN_VARIANT_TEXT, .op = op_name, .revision = 2,            \
        .accepts = accepts, .scratch_bytes = scratch_bytes, .estimate_ns = estimate_ns,            \
        .packed_bytes = packed_bytes, .pack = pack, .unused = unused, .launch = launch,            \
    }
const tn_tactic TN_VARIANT_NAME(tn_cpu_conv_bytes)[] = {
    TACTIC("ConvInteger", "convinteger"),
    TACTIC("QLinearConv", "qlinearconv"),
    {0},
};
