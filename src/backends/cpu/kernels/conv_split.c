/* Conv and FusedConv in f32 by the tiles of AMX, on floats in parts (split.h), as a matrix product
 * (conv_cut.h): strips of weights, split when the engine is built, times panels of positions, which
 * are split as they are gathered. Panels side by side meet one strip after the other, some steps of
 * k at a time. Every sum runs over (c, tap) in rising order, and is taken up from y by the next
 * steps. */
#include "backends/cpu/kernels/conv_cut.h"
#include "backends/cpu/kernels/conv_end.h"
#include "backends/cpu/kernels/split_tiles.h"
#include "backends/cpu/variant.h"

enum { TOGETHER = 8 };    /* panels */
enum { STEPS = 128 };     /* of k, of all parts of panels side by side: they stay in the L2 cache */
enum { SPAN = 8 };        /* steps of k that are gathered at once, and fit or do not */
enum { GRAIN_NS = 4000 }; /* of work that are worth a thread */
enum { OUTPUTS_MIN = 8, ROWS_MIN = 16 };
#define GATHER_NS 0.15 /* a float */

typedef struct job {
    conv_cut cut;                 /* first */
    int parts;                    /* of a float */
    int64_t strips, steps;        /* of a group's weights; of k */
    int64_t depth;                /* steps worked through at once, */
    int64_t together;             /* of so many panels */
    const uint8_t *packed, *fits; /* [group, strip] */
    float *y;
    tile_end end;
} job;

static void read_weights(const tn_problem *p, int parts, job *j)
{
    *j = (job){.parts = parts};
    conv_cut_weights(p, &j->cut);
    j->strips = (j->cut.outputs + SPLIT_BLOCK - 1) / SPLIT_BLOCK;
    j->steps = split_steps(j->cut.depth);
}

static void read(const tn_problem *p, int parts, job *j)
{
    read_weights(p, parts, j);
    conv_cut_read(p, &j->cut);
    if (j->cut.planes.direct) j->cut.round = TN_MAX(1, j->cut.samples);
    int64_t panels = TN_MAX(1, TN_MIN(j->cut.panels, TOGETHER)), most = STEPS / parts / panels;
    int64_t passes = TN_MAX(1, (j->steps + most - 1) / most);
    j->depth = TN_MAX(1, (j->steps + passes - 1) / passes);
    j->together = TN_MIN(TOGETHER, STEPS / parts / j->depth);
}

static tn_verdict accepts(const tn_problem *p)
{
    job j;
    tn_verdict verdict = conv_cut_accepts(p);
    if (verdict) return verdict;
    if (!(p->in_constant & 2)) return TN_NO("the weights are not constant");
    read_weights(p, 1, &j);
    if (j.cut.outputs < OUTPUTS_MIN || j.cut.depth < ROWS_MIN)
        return TN_NO("it has too few channels for tiles");
    return TN_YES;
}

/* ---- Weights ---------------------------------------------------------------------------------*/

static int64_t strip_bytes(const job *j, int64_t steps)
{
    return steps * j->parts * SPLIT_STEP;
}

static int64_t strips_bytes(const job *j)
{
    return j->cut.groups * j->strips * strip_bytes(j, j->steps);
}

static size_t packed_size(const tn_problem *p, int parts)
{
    job j;
    read_weights(p, parts, &j);
    return tn_align_up((size_t)(strips_bytes(&j) + j.cut.groups * j.strips), TN_ALIGNMENT);
}

SIMD_INLINE bool pack_strip(int parts, bool is_parts, const float *w, int64_t rows, int64_t depth,
                            uint8_t *dst)
{
    bool fits = true;
    for (int64_t i = 0; i < SPLIT_BLOCK; i++, w += depth, dst += 2 * SPLIT_BLOCK)
        fits &= split_fits(split_row(parts, is_parts, i < rows, w, depth, dst));
    return fits;
}

SIMD_INLINE tn_status pack_all(const tn_problem *p, int parts, uint8_t *dst)
{
    job j;
    read_weights(p, parts, &j);
    memset(dst, 0, packed_size(p, parts)); /* the padding too */
    uint8_t *fits = dst + strips_bytes(&j);
    const conv_cut *c = &j.cut;
    for (int64_t group = 0; group < c->groups; group++)
        for (int64_t o = 0; o < c->outputs; o += SPLIT_BLOCK, dst += strip_bytes(&j, j.steps)) {
            const float *w = (const float *)p->in[1].data + (group * c->outputs + o) * c->depth;
            int64_t rows = TN_MIN(SPLIT_BLOCK, c->outputs - o);
            *fits = pack_strip(parts, true, w, rows, c->depth, dst);
            if (parts > 1 && !*fits) pack_strip(parts, false, w, rows, c->depth, dst);
            fits++;
        }
    return NULL;
}

static uint64_t unused(const tn_problem *p)
{
    (void)p;
    return 2;
}

/* ---- A unit ----------------------------------------------------------------------------------*/

/* A unit's rows of the right side that are worked through, split. */
typedef struct right {
    uint8_t *at;
    bool fits[STEPS / SPAN + 1];
} right;

/* Planes of numbers that are rounded, which every tap reads again. */
static tn_status fill_rounded(void *arg, int64_t begin, int64_t end, int thread)
{
    const conv_cut *c = arg;
    float *at = c->source + begin * c->planes.channel, *last = c->source + end * c->planes.channel;
    tn_status status = conv_fill_share(arg, begin, end, thread);
    for (; at < last; at += VF32_LANES) {
        int64_t count = TN_MIN(VF32_LANES, last - at);
        vf32_store_some(at, (vf32)split_round(vf32_load_some(at, count)), count);
    }
    return status;
}

/* 16 positions of two rows in one part; odd NULL: zeros. */
SIMD_INLINE void join_rows(bool is_rounded, const float *even, const float *odd, int64_t count,
                           uint8_t *to)
{
    vf32 low = vf32_load_some(even, count), high = {0};
    if (odd) high = vf32_load_some(odd, count);
    vu32 pair =
        is_rounded ? (vu32)low >> 16 | ((vu32)high & 0xFFFF0000u) : split_round_pairs(low, high);
    memcpy(to, &pair, sizeof pair);
}

/* `rows` rows of the right side from `row` on, in one part. */
static void gather_rounded(const conv_cut *c, const conv_unit *u, int64_t row, int64_t rows,
                           uint8_t *dst)
{
    planes_cursor cursor = planes_at(u->source, u->step, c->offset, c->planes.w.kernel_count, row);
    for (int64_t k = 0; k < split_steps(rows) * SPLIT_BLOCK; k += 2, dst += 2 * SPLIT_LINE) {
        if (k >= rows) {
            memset(dst, 0, 2 * SPLIT_LINE);
            continue;
        }
        const float *even = planes_next(&cursor), *odd = k + 1 < rows ? planes_next(&cursor) : NULL;
        for (int64_t i = 0; i < u->pieces; i++) {
            const piece *p = &u->piece[i];
            join_rows(true, even + p->from, odd ? odd + p->from : NULL, VF32_LANES,
                      dst + 4 * p->to);
        }
    }
}

/* The same where x is one plane a channel. */
static void gather_direct(const conv_unit *u, int64_t row, int64_t rows, uint8_t *dst)
{
    const float *even = u->source + row * u->step + u->first;
    int64_t most = TN_MIN(u->count, VF32_LANES), rest = u->count - most;
    for (int64_t k = 0; k < split_steps(rows) * SPLIT_BLOCK; k += 2, even += 2 * u->step) {
        const float *odd = k + 1 < rows ? even + u->step : NULL;
        if (k >= rows) memset(dst, 0, 2 * SPLIT_LINE);
        else {
            join_rows(false, even, odd, most, dst);
            join_rows(false, even + most, odd ? odd + most : NULL, rest, dst + SPLIT_LINE);
        }
        dst += 2 * SPLIT_LINE;
    }
}

/* Steps [step, step + steps). */
SIMD_INLINE void split_panel(int parts, const job *j, const conv_unit *u, int64_t step,
                             int64_t steps, right *to)
{
    _Alignas(TN_ALIGNMENT) float rows[(SPAN * SPLIT_BLOCK + 1) * TILE_COLUMNS];
    bool direct = j->cut.planes.direct;
    int64_t row = step * SPLIT_BLOCK, all = TN_MIN(steps * SPLIT_BLOCK, j->cut.depth - row);
    if (parts == 1 && direct) gather_direct(u, row, all, to->at);
    else if (parts == 1) gather_rounded(&j->cut, u, row, all, to->at);
    for (int64_t at = 0; parts > 1 && at < all; at += SPAN * SPLIT_BLOCK) {
        int64_t count = TN_MIN(SPAN * SPLIT_BLOCK, all - at), pitch = TILE_COLUMNS;
        const float *from = rows;
        if (direct) {
            from = u->source + (row + at) * u->step + u->first;
            pitch = u->step;
        } else conv_gather(&j->cut, u, row + at, count, rows);
        to->fits[at / (SPAN * SPLIT_BLOCK)] = split_pack(parts, from, pitch, 1, count, u->count,
                                                         to->at + strip_bytes(j, at / SPLIT_BLOCK));
    }
}

/* In f32, where either side does not fit: rare, so it need not be fast. */
static void multiply_plain(const job *j, bool strip_fits, int64_t rows, int64_t steps,
                           const uint8_t *a, const right *b, float *c, int64_t ldc, bool add)
{
    for (int64_t s = 0; s < steps; s++) {
        float block[SPLIT_BLOCK * SPLIT_BLOCK];
        for (int64_t i = 0; i < rows; i++)
            split_join_row(j->parts, strip_fits, a + strip_bytes(j, s) + i * 2 * SPLIT_BLOCK,
                           block + i * SPLIT_BLOCK);
        split_plain(j->parts, b->fits[s / SPAN], rows, SPLIT_BLOCK, block, SPLIT_BLOCK,
                    b->at + strip_bytes(j, s), c, ldc, add || s > 0);
    }
}

static void copy_block(int64_t rows, int64_t columns, const float *src, int64_t src_step,
                       float *dst, int64_t dst_step)
{
    for (int64_t i = 0; i < rows; i++)
        memcpy(dst + i * dst_step, src + i * src_step, (size_t)columns * sizeof(float));
}

/* Asks for the lines that a block is written to, or that are added to it, which otherwise come from
 * memory one row after the other: they lie too far apart for the processor to foresee. */
static void fetch_block(const job *j, const conv_unit *u, int64_t o)
{
    const int64_t line = SPLIT_LINE / (int64_t)sizeof(float);
    int64_t size = j->cut.planes.w.out_count, at = (u->channel + o) * size + u->first;
    for (int64_t i = 0; i < TN_MIN(SPLIT_BLOCK, j->cut.outputs - o); i++, at += size)
        for (int64_t k = 0; k < u->count; k += line) {
            __builtin_prefetch(j->y + at + k, 1);
            if (j->end.residual) __builtin_prefetch(j->end.residual + at + k);
        }
}

/* A strip of weights, from output o on, by panel number `index` of `count`. */
SIMD_INLINE void run_block(int parts, const job *j, const conv_unit *u, int64_t o, int64_t step,
                           int64_t steps, const right *b, int64_t index, int64_t count)
{
    _Alignas(TN_ALIGNMENT) float block[SPLIT_BLOCK * SPLIT_BLOCK];
    int64_t size = j->cut.planes.w.out_count, rows = TN_MIN(SPLIT_BLOCK, j->cut.outputs - o);
    int64_t strip = u->group * j->strips + o / SPLIT_BLOCK;
    const uint8_t *a = j->packed + strip_bytes(j, strip * j->steps + step);
    split_next next = split_next_of(parts, a + strip_bytes(j, j->steps), steps, index, count);
    bool whole = rows == SPLIT_BLOCK && u->count == SPLIT_BLOCK, add = step > 0;
    bool fits = j->fits[strip];
    float *y = j->y + (u->channel + o) * size + u->first;
    float *c = whole ? y : block;
    int64_t ldc = whole ? size : SPLIT_BLOCK;
    if (!whole && add) copy_block(rows, u->count, y, size, block, ldc);
    bool all = fits;
    for (int64_t i = 0; parts > 1 && i * SPAN < steps; i++) all &= b->fits[i];
    if (parts == 1 || all) split_multiply(parts, rows, steps, a, b->at, c, ldc, add, next);
    else multiply_plain(j, fits, rows, steps, a, b, c, ldc, add);
    if (!whole) copy_block(rows, u->count, block, ldc, y, size);
    if (j->end.any && step + steps == j->steps)
        tile_end_run(&j->end, u->group * j->cut.outputs + o, u->first, rows, u->count, y, size);
}

SIMD_INLINE void run_units(int parts, const job *j, int64_t begin, int64_t end)
{
    /* A line lies behind each: what is written behind its end. */
    _Alignas(TN_ALIGNMENT) uint8_t panels[STEPS * SPLIT_STEP + TOGETHER * SPLIT_LINE];
    right panel[TOGETHER];
    conv_unit u[TOGETHER];
    split_begin();
    for (int64_t at = begin, count; at < end; at += count) {
        count = conv_units_together(&j->cut, at, end, j->together);
        for (int64_t i = 0; i < count; i++) {
            conv_unit_find(&j->cut, at + i, &u[i]);
            panel[i].at = panels + i * (strip_bytes(j, j->depth) + SPLIT_LINE);
        }
        for (int64_t step = 0; step < j->steps; step += j->depth) {
            int64_t steps = TN_MIN(j->depth, j->steps - step);
            for (int64_t i = 0; i < count; i++)
                split_panel(parts, j, &u[i], step, steps, &panel[i]);
            for (int64_t o = u->from; o < u->to; o += SPLIT_BLOCK) {
                fetch_block(j, u, o);
                for (int64_t i = 0; i < count; i++) {
                    if (i + 1 < count) fetch_block(j, &u[i + 1], o);
                    run_block(parts, j, &u[i], o, step, steps, &panel[i], i, count);
                }
            }
        }
    }
    split_end();
}

/* ---- All -------------------------------------------------------------------------------------*/

/* To gather and split a panel, and to multiply it by all weights of a group. */
static double panel_ns(const job *j, double *multiply)
{
    double floats = (double)j->steps * SPLIT_BLOCK * SPLIT_BLOCK;
    *multiply = (double)(j->strips * j->steps) * split_block_ns(j->parts);
    return floats * (j->parts * SPLIT_NS + (j->cut.planes.direct ? 0 : GATHER_NS));
}

static double estimate(const tn_problem *p, int parts)
{
    job j;
    double multiply;
    read(p, parts, &j);
    double split = panel_ns(&j, &multiply);
    return 300 + (double)(j.cut.samples * j.cut.groups * j.cut.panels) * (split + multiply);
}

static tn_status run(const tn_launch *l, int parts, tn_pool_work fill, tn_pool_work work)
{
    const tn_problem *p = l->problem;
    job j;
    double multiply;
    read(p, parts, &j);
    conv_cut_scratch(&j.cut, l->scratch);
    j.y = p->out[0].data;
    j.end = conv_end(p);
    j.packed = l->packed;
    j.fits = j.packed + strips_bytes(&j);
    if (j.cut.samples * j.cut.outputs * j.cut.planes.w.out_count == 0) return NULL;
    double split = panel_ns(&j, &multiply);
    int64_t gather = (int64_t)(split / multiply * (double)j.cut.outputs);
    return conv_cut_run(&j.cut, l->pool, GRAIN_NS / (split + multiply), gather, fill, work);
}

#define PARTS(n)                                                                                   \
    static tn_status run_share_##n(void *arg, int64_t begin, int64_t end, int thread)              \
    {                                                                                              \
        (void)thread;                                                                              \
        run_units(n, arg, begin, end);                                                             \
        return NULL;                                                                               \
    }                                                                                              \
    static size_t packed_bytes_##n(const tn_problem *p)                                            \
    {                                                                                              \
        return packed_size(p, n);                                                                  \
    }                                                                                              \
    static size_t scratch_bytes_##n(const tn_problem *p)                                           \
    {                                                                                              \
        job j;                                                                                     \
        read(p, n, &j);                                                                            \
        return conv_cut_scratch(&j.cut, NULL);                                                     \
    }                                                                                              \
    static double estimate_ns_##n(const tn_problem *p)                                             \
    {                                                                                              \
        return estimate(p, n);                                                                     \
    }                                                                                              \
    static tn_status pack_##n(const tn_problem *p, void *dst)                                      \
    {                                                                                              \
        return pack_all(p, n, dst);                                                                \
    }                                                                                              \
    static tn_status launch_##n(const tn_launch *l)                                                \
    {                                                                                              \
        return run(l, n, n == 1 ? fill_rounded : conv_fill_share, run_share_##n);                  \
    }
PARTS(1)
PARTS(2)
PARTS(3)

#define TACTIC(op_name, text, n, class_text, class)                                                \
    {                                                                                              \
        .name = "cpu." text "." class_text ".split_" #n "." TN_VARIANT_TEXT, .op = op_name,        \
        .revision = 2, .precision = class, .accepts = accepts, .scratch_bytes = scratch_bytes_##n, \
        .estimate_ns = estimate_ns_##n, .packed_bytes = packed_bytes_##n, .pack = pack_##n,        \
        .unused = unused, .launch = launch_##n,                                                    \
    }
#define TACTICS(n, class_text, class)                                                              \
    TACTIC("Conv", "conv", n, class_text, class),                                                  \
        TACTIC("FusedConv", "fusedconv", n, class_text, class)

extern const tn_tactic TN_VARIANT_NAME(tn_cpu_conv_split)[];
const tn_tactic TN_VARIANT_NAME(tn_cpu_conv_split)[] = {
    TACTICS(1, "bf16", TN_PRECISION_BF16),
    TACTICS(2, "tf32", TN_PRECISION_TF32),
    TACTICS(3, "f32", TN_PRECISION_F32),
    {0},
};
