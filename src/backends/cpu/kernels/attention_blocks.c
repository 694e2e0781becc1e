/* Attention on f32 for Attention, PackedAttention and WindowAttention: no matrix of scores, neither
 * in memory nor for a head. The keys of one head pass by in blocks whose packed keys, values and
 * scores stay in the L1 and L2 caches, on the stack:
 *
 *     for each block of keys
 *         pack the keys [d][key] and the values [key][d] into panels
 *         for each tile of ATTEND_ROWS queries
 *             score = q k^T                       a product of tiles
 *             score = scale * score + bias + mask
 *             top' = max(top, score);  p = e^(score - top')
 *             y = y * e^(top - top') + p v        another one
 *             sum = sum * e^(top - top') + sum of p
 *     y = y / sum
 *
 * Exponents below -87 count as nothing, so that no subnormal number ever meets a product. Blocks
 * depend on the shapes alone and the numbers of a query on no other query, so every cut of the work
 * gives the same bits. */
#include "backends/cpu/variant.h"
#ifdef TN_TILES
#include "backends/cpu/kernels/attention_tiles.h"
#else
#include "backends/cpu/kernels/attention_floats.h"
#endif
#include "backends/cpu/kernels/vmath.h"
#include "device/device.h"
#include "ops/attention/attention.h"
#include "ops/packed_attention/packed_attention.h"
#include "ops/ragged/ragged.h"
#include "ops/window_attention/window_attention.h"

enum {
    KEYS_MAX = 256, /* in a block */
    HEAD_MAX = 256,
    ROWS_WHOLE = (ATTEND_ROWS + VF32_LANES - 1) / VF32_LANES * VF32_LANES,
    ROWS_MAX = 512, /* queries of a piece of work */
    GRAIN = 500000, /* multiply-adds worth a thread */
};

/* What is added to scores: [batch, head, query, key], 0 steps along broadcast axes. Keys from
 * `keys` on are masked. */
typedef struct addend {
    const float *at;
    const uint8_t *seen; /* instead: which keys count */
    int64_t step[4], batches, keys;
} addend;

typedef struct job {
    const tn_problem *ranges; /* of an Attention that shows its queries parts of the keys */
    tn_attention_shape s;
    const float *q, *k, *v;
    float *y;
    addend add[2];
    int add_count;
    int64_t block;              /* keys in a block, a multiple of TILE_COLUMNS */
    int64_t tile;               /* queries in a tile */
    int64_t chunk_rows, chunks; /* queries of one piece of work; pieces of a head */
} job;

/* ---- Scores -----------------------------------------------------------------------------------*/

/* What is known of a query after some blocks; and one block of keys. */
typedef struct block {
    _Alignas(TN_ALIGNMENT) attend_number keys[ATTEND_PANEL], values[ATTEND_PANEL];
    _Alignas(TN_ALIGNMENT) float score[ATTEND_ROWS * KEYS_MAX];
    float top[ROWS_MAX], sum[ROWS_MAX];
    bool begun[ROWS_MAX]; /* of each tile: y holds something */
    const float *v;       /* the values where they lie */
    int64_t first, count; /* keys */
    bool odd;             /* some value is not finite */
} block;

/* Queries of one head. */
typedef struct tile {
    int64_t batch, head, row, rows;
} tile;

static const int32_t lane_numbers[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

/* score = scale * score + a + b, where -inf in a or b stays -inf whatever the score is; -inf behind
 * the last key too, up to whole vectors. The largest of each lane. */
SIMD_INLINE vf32 finish_row(float *score, int64_t count, float scale, const float *a,
                            const float *b)
{
    vf32 factor = vf32_set1(scale), hidden = vf32_set1(-INFINITY), top = hidden;
    vi32 number;
    memcpy(&number, lane_numbers, sizeof number);
    for (int64_t i = 0; i < count; i += VF32_LANES) {
        int64_t some = TN_MIN(count - i, VF32_LANES);
        vf32 x = vf32_load(score + i) * factor;
        bool whole = some == VF32_LANES;
        if (a) { /* b comes with a alone */
            vf32 more = whole ? vf32_load(a + i) : vf32_load_some(a + i, some);
            if (b) more += whole ? vf32_load(b + i) : vf32_load_some(b + i, some);
            x = vf32_select((vi32)(more == hidden), hidden, x + more);
        }
        if (!whole) x = vf32_select(number < (int32_t)some, x, hidden);
        vf32_store(score + i, x);
        top = vf32_max(top, x);
    }
    return top;
}

static void hide(float *score, int64_t begin, int64_t end)
{
    for (int64_t i = begin; i < end; i++) score[i] = -INFINITY;
}

static bool is_plain(const addend *add, const block *b)
{
    return add->at && add->step[3] == 1 && b->first + b->count <= add->keys;
}

static int64_t find_row(const addend *add, const tile *t, int64_t row)
{
    return t->batch % add->batches * add->step[0] + t->head * add->step[1] + row * add->step[2];
}

/* Addends that do not lie along the keys as floats, and the keys that a query may see. */
static void finish_odd(const job *j, const block *b, const tile *t, int64_t row, float *score)
{
    for (int i = 0; i < j->add_count; i++) {
        const addend *add = &j->add[i];
        int64_t at = find_row(add, t, row) + b->first * add->step[3];
        if (is_plain(add, b)) continue;
        for (int64_t k = 0; k < b->count; k++, at += add->step[3]) {
            if (b->first + k >= add->keys) score[k] = -INFINITY;
            else if (add->seen) score[k] = add->seen[at] ? score[k] : -INFINITY;
            else score[k] = add->at[at] == -INFINITY ? -INFINITY : score[k] + add->at[at];
        }
    }
    if (!j->ranges) return;
    int64_t begin, end;
    tn_attention_range(j->ranges, &j->s, t->batch, row, &begin, &end);
    hide(score, 0, TN_MIN(begin - b->first, b->count));
    hide(score, TN_MAX(end - b->first, 0), b->count);
}

static vf32 largest(const float *score, int64_t count)
{
    vf32 top = vf32_set1(-INFINITY);
    for (int64_t i = 0; i < count; i += VF32_LANES) top = vf32_max(top, vf32_load(score + i));
    return top;
}

/* Scores of a tile: scaled, biased, masked. A NaN may get lost in `top`, not in the weights. */
static void finish_scores(const job *j, block *b, const tile *t, vf32 *top)
{
    const float *plain[2] = {NULL, NULL};
    int64_t step[2] = {0, 0};
    int count = 0;
    for (int i = 0; i < j->add_count; i++) {
        const addend *add = &j->add[i];
        if (!is_plain(add, b)) continue;
        step[count] = add->step[2];
        plain[count++] = add->at + find_row(add, t, t->row) + b->first;
    }
    float scale = (float)j->s.scale, *score = b->score;
    for (int64_t r = 0; r < t->rows; r++, score += j->block) {
        if (count == 2)
            top[r] =
                finish_row(score, b->count, scale, plain[0] + r * step[0], plain[1] + r * step[1]);
        else if (count == 1)
            top[r] = finish_row(score, b->count, scale, plain[0] + r * step[0], NULL);
        else top[r] = finish_row(score, b->count, scale, NULL, NULL);
        if (count == j->add_count && !j->ranges) continue;
        finish_odd(j, b, t, t->row + r, score);
        top[r] = largest(score, b->count); /* whole vectors: -inf lies behind */
    }
}

/* e^x for x <= 0, or 0 where it would be less than a normal number: 2 ulp. */
static vf32 weigh(vf32 x)
{
    vf32 n, r = vf32_split_exp(vf32_max(vf32_set1(-87.0f), x), &n);
    vf32 y = vf32_times_power(vf32_expm1_small(r) + 1.0f, n);
    return vf32_select((vi32)(x < -87.0f), (vf32){0}, y);
}

/* Scores to weights; sums of each lane. */
static vf32 weigh_row(float *score, int64_t count, float top)
{
    vf32 sum = {0}, low = vf32_set1(top);
    for (int64_t i = 0; i < count; i += VF32_LANES) {
        vf32 weight = weigh(vf32_load(score + i) - low);
        vf32_store(score + i, weight);
        sum += weight;
    }
    return sum;
}

/* Scores to weights for a tile; its top and sum brought up to date. factor: what was summed under
 * the old top has to be multiplied by it. Rows are reduced together, as columns. */
static void weigh_tile(const job *j, block *b, const tile *t, float *top, float *sum, float *factor)
{
    vf32 each[ROWS_WHOLE], low;
    float lows[ROWS_WHOLE];
    for (int r = 0; r < ROWS_WHOLE; r++) each[r] = vf32_set1(-INFINITY);
    finish_scores(j, b, t, each);
    for (int64_t g = 0; g < t->rows; g += VF32_LANES) {
        int64_t some = TN_MIN(t->rows - g, VF32_LANES);
        vf32 before = vf32_load_some(top + g, some), best = before;
        tile_turn_square(each + g);
        for (int i = 0; i < VF32_LANES; i++) best = vf32_max(best, each[g + i]);
        vf32_store_some(top + g, best, some);
        vf32_store(factor + g,
                   weigh(vf32_select((vi32)(before == best), (vf32){0}, before - best)));
        low = vf32_select((vi32)(best == -INFINITY), (vf32){0}, best);
        vf32_store(lows + g, low);
    }
    for (int r = 0; r < ROWS_WHOLE; r++)
        each[r] = r < t->rows ? weigh_row(b->score + r * j->block, b->count, lows[r]) : (vf32){0};
    for (int64_t g = 0; g < t->rows; g += VF32_LANES) {
        int64_t some = TN_MIN(t->rows - g, VF32_LANES);
        vf32 total = vf32_load_some(sum + g, some) * vf32_load(factor + g);
        tile_turn_square(each + g);
        for (int i = 0; i < VF32_LANES; i++) total += each[g + i];
        vf32_store_some(sum + g, total, some);
    }
}

/* ---- Tiles ------------------------------------------------------------------------------------*/

static void scale_row(float *y, int64_t count, float factor)
{
    for (int64_t i = 0; i < count; i++) y[i] *= factor;
}

/* y = y factor + p v, key by key: what weighs nothing is not looked at. factor NULL: y is zeros. */
static void add_odd_values(const job *j, const block *b, int64_t rows, const float *factor,
                           float *y)
{
    for (int64_t r = 0; r < rows; r++, y += j->s.y.row) {
        if (!factor) memset(y, 0, (size_t)j->s.v_head * sizeof *y);
        else if (factor[r] != 1) scale_row(y, j->s.v_head, factor[r]);
        for (int64_t i = 0; i < b->count; i++) {
            float weight = b->score[r * j->block + i];
            for (int64_t d = 0; weight != 0 && d < j->s.v_head; d++)
                y[d] += weight * b->v[i * j->s.v.row + d];
        }
    }
}

/* May any of the queries see any key of the block? */
static bool is_seen(const job *j, const block *b, const tile *t)
{
    if (!j->ranges) return true;
    for (int64_t row = t->row; row < t->row + t->rows; row++) {
        int64_t begin, end;
        tn_attention_range(j->ranges, &j->s, t->batch, row, &begin, &end);
        if (begin < b->first + b->count && end > b->first) return true;
    }
    return false;
}

/* A tile against a block. at: of the tile among those of the piece of work. */
static void run_tile(const job *j, block *b, const tile *t, int64_t at, float *y)
{
    const tn_attention_shape *s = &j->s;
    const float *q = j->q + t->batch * s->q.batch + t->head * s->q.head + t->row * s->q.row;
    float factor[ROWS_WHOLE];
    bool *begun = b->begun + at;
    attend_scores(t->rows, b->count, s->head, q, s->q.row, b->keys, b->score, j->block);
    weigh_tile(j, b, t, b->top + at, b->sum + at, factor);
    if (b->odd) add_odd_values(j, b, t->rows, *begun ? factor : NULL, y);
    else
        attend_values(t->rows, b->count, s->v_head, b->score, j->block, b->values,
                      *begun ? factor : NULL, y, s->y.row);
    *begun = true;
}

/* y / sum. A query that saw no key gives zeros. */
static void finish_tile(const job *j, const float *sum, int64_t rows, float *y)
{
    for (int64_t r = 0; r < rows; r++, y += j->s.y.row) {
        if (sum[r] == 0) memset(y, 0, (size_t)j->s.v_head * sizeof *y);
        else scale_row(y, j->s.v_head, 1 / sum[r]);
    }
}

/* Queries [row, row + rows), at most ROWS_MAX, of one head. */
static void run_rows(const job *j, block *b, int64_t batch, int64_t head, int64_t row, int64_t rows)
{
    const tn_attention_shape *s = &j->s;
    int64_t kv = head / (s->q_heads / s->kv_heads);
    const float *k = j->k + batch * s->k.batch + kv * s->k.head;
    const float *v = j->v + batch * s->v.batch + kv * s->v.head;
    float *y = j->y + batch * s->y.batch + head * s->y.head + row * s->y.row;
    for (int64_t r = 0; r < rows; r++) {
        b->top[r] = -INFINITY;
        b->sum[r] = 0;
        b->begun[r] = false;
    }
    b->first = 0;
    do {
        b->count = TN_MIN(s->rows - b->first, j->block);
        b->v = v + b->first * s->v.row;
        attend_pack_keys(k + b->first * s->k.row, s->k.row, b->count, s->head, b->keys);
        b->odd = !attend_pack_values(b->v, s->v.row, b->count, s->v_head, b->values);
        bool last = b->first + b->count == s->rows;
        for (int64_t r = 0; r < rows; r += j->tile) {
            tile t = {batch, head, row + r, TN_MIN(rows - r, j->tile)};
            if (b->count > 0 && is_seen(j, b, &t)) run_tile(j, b, &t, r, y + r * s->y.row);
            if (last) finish_tile(j, b->sum + r, t.rows, y + r * s->y.row);
        }
        b->first += b->count;
    } while (b->first < s->rows);
}

static tn_status run_share(void *arg, int64_t begin, int64_t end, int thread)
{
    const job *j = arg;
    block b;
    (void)thread;
    attend_begin();
    for (int64_t at = begin; at < end; at++) {
        int64_t row = at % j->chunks * j->chunk_rows, head = at / j->chunks % j->s.q_heads;
        int64_t batch = at / j->chunks / j->s.q_heads;
        run_rows(j, &b, batch, head, row, TN_MIN(j->s.q_rows - row, j->chunk_rows));
    }
    attend_end();
    return NULL;
}

/* Tiles are as even as they can be: 49 rows are 5 tiles of 10, not 4 of 12 and one of 1. */
static void cut(job *j)
{
    const tn_attention_shape *s = &j->s;
    int64_t keys = TN_MIN(ATTEND_PANEL / attend_width(s->head, s->v_head), KEYS_MAX);
    j->block = keys / TILE_COLUMNS * TILE_COLUMNS;
    int64_t tiles = (s->q_rows + ATTEND_ROWS - 1) / ATTEND_ROWS;
    j->tile = (s->q_rows + tiles - 1) / tiles;
}

/* Heads are cut into chunks of whole tiles only where there are few heads for the threads. */
static tn_status run(job *j, tn_pool *pool)
{
    const tn_attention_shape *s = &j->s;
    int64_t heads = s->batch * s->q_heads, threads = tn_pool_threads(pool);
    if (heads == 0 || s->q_rows == 0 || s->v_head == 0) return NULL;
    cut(j);
    int64_t cuts = heads >= 4 * threads ? 1 : (4 * threads + heads - 1) / heads;
    int64_t chunk = TN_MAX((s->q_rows + cuts - 1) / cuts, 4 * ATTEND_ROWS);
    chunk = TN_MIN(chunk + j->tile - 1, ROWS_MAX) / j->tile * j->tile;
    j->chunk_rows = chunk;
    j->chunks = (s->q_rows + chunk - 1) / chunk;
    double each =
        (double)TN_MIN(chunk, s->q_rows) * (double)s->rows * (double)(s->head + s->v_head);
    return tn_pool_run(pool, heads * j->chunks, 1 + (int64_t)(GRAIN / (1 + each)), run_share, j);
}

/* ---- Windows of an image -----------------------------------------------------------------------
 *
 * The rows of one head of one window are fetched from their places, lie side by side while the work
 * is done, and go back. */

enum { WINDOW_FLOATS = 8192, WINDOW_ROWS = 144 }; /* of one head of q, k, v or y; tokens */

typedef struct windows {
    tn_window_attention_shape s;
    job head; /* without operands */
    const float *qkv, *bias;
    float *y;
} windows;

typedef struct window {
    _Alignas(TN_ALIGNMENT) float part[3][WINDOW_FLOATS], y[WINDOW_FLOATS];
    float mask[WINDOW_ROWS * WINDOW_ROWS];
    int64_t token[WINDOW_ROWS]; /* of its rows */
    bool edge;                  /* there is something in the mask */
} window;

/* What the heads of a window share. */
static void begin_window(const windows *w, int64_t number, window *to)
{
    const int64_t rows = w->s.rows;
    for (int64_t i = 0; i < rows; i++) to->token[i] = tn_window_token(&w->s, number, i);
    int region[WINDOW_ROWS];
    to->edge = false;
    for (int64_t i = 0; i < rows; i++) {
        region[i] = tn_window_region(&w->s, number, i);
        to->edge = to->edge || region[i] != region[0];
    }
    to->edge = to->edge && w->s.mask != 0;
    for (int64_t i = 0; to->edge && i < rows; i++)
        for (int64_t j = 0; j < rows; j++)
            to->mask[i * rows + j] = region[i] != region[j] ? (float)w->s.mask : 0;
}

static void run_window(const windows *w, window *part, block *b, int64_t image, int64_t head)
{
    const tn_window_attention_shape *s = &w->s;
    const size_t bytes = (size_t)s->head * sizeof(float);
    job j = w->head;
    const int64_t step[4] = {0, 0, s->rows, 1};
    j.q = part->part[0], j.k = part->part[1], j.v = part->part[2], j.y = part->y;
    if (w->bias) j.add[j.add_count++] = (addend){.at = w->bias + head * s->rows * s->rows};
    if (part->edge) j.add[j.add_count++] = (addend){.at = part->mask};
    for (int i = 0; i < j.add_count; i++) {
        j.add[i].batches = 1;
        j.add[i].keys = s->rows;
        memcpy(j.add[i].step, step, sizeof step);
    }
    for (int64_t row = 0; row < s->rows; row++) {
        int64_t token = image * s->size[0] * s->size[1] + part->token[row];
        for (int i = 0; i < 3; i++)
            memcpy(part->part[i] + row * s->head,
                   w->qkv + (token * 3 + i) * s->width + head * s->head, bytes);
    }
    run_rows(&j, b, 0, 0, 0, s->rows);
    for (int64_t row = 0; row < s->rows; row++) {
        int64_t token = image * s->size[0] * s->size[1] + part->token[row];
        memcpy(w->y + token * s->width + head * s->head, part->y + row * s->head, bytes);
    }
}

static tn_status run_windows(void *arg, int64_t begin, int64_t end, int thread)
{
    const windows *w = arg;
    int64_t last = -1;
    window part;
    block b;
    (void)thread;
    attend_begin();
    for (int64_t at = begin; at < end; at++) {
        int64_t number = at / w->s.heads % w->s.windows;
        if (number != last) begin_window(w, number, &part);
        last = number;
        run_window(w, &part, &b, at / w->s.heads / w->s.windows, at % w->s.heads);
    }
    attend_end();
    return NULL;
}

/* ---- Tactics ----------------------------------------------------------------------------------*/

static const char *check_heads(int64_t head, int64_t v_head)
{
    bool fits = head <= HEAD_MAX && v_head <= HEAD_MAX;
    return fits ? TN_YES : TN_NO("a head is wider than 256 elements");
}

static bool is_present(const tn_tensor *list, int count, int index)
{
    return index < count && list[index].dtype != TN_DTYPE_NONE;
}

static tn_verdict accepts(const tn_problem *p)
{
    const tn_attention_params *params = p->params;
    for (int i = 0; i < 3; i++)
        if (p->in[i].dtype != TN_DTYPE_F32) return TN_NO("Q, K and V are not f32");
    if (is_present(p->in, p->in_count, TN_ATT_PAST_K)) return TN_NO("there are past keys");
    for (int i = TN_ATT_PRESENT_K; i <= TN_ATT_QK; i++)
        if (is_present(p->out, p->out_count, i)) return TN_NO("more than Y is asked for");
    if (params->softcap > 0) return TN_NO("scores are capped");
    if (is_present(p->in, p->in_count, TN_ATT_MASK) && p->in[TN_ATT_MASK].dtype != TN_DTYPE_F32 &&
        p->in[TN_ATT_MASK].dtype != TN_DTYPE_BOOL)
        return TN_NO("the mask is neither f32 nor bool");
    tn_attention_shape s;
    tn_attention_shape_of(p, &s);
    return check_heads(s.head, s.v_head);
}

static tn_status launch(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_attention_params *params = p->params;
    job j = {.q = p->in[TN_ATT_Q].data,
             .k = p->in[TN_ATT_K].data,
             .v = p->in[TN_ATT_V].data,
             .y = p->out[TN_ATT_Y].data};
    tn_attention_shape_of(p, &j.s);
    if (params->is_causal || params->left_window_size >= 0 || params->right_window_size >= 0 ||
        is_present(p->in, p->in_count, TN_ATT_LENGTHS))
        j.ranges = p;
    if (is_present(p->in, p->in_count, TN_ATT_MASK)) {
        const tn_tensor *mask = &p->in[TN_ATT_MASK];
        addend *add = &j.add[j.add_count++];
        *add = (addend){.batches = TN_MAX(j.s.batch, 1), .keys = j.s.rows};
        memcpy(add->step, j.s.mask_step, sizeof add->step);
        if (j.s.mask_columns != 1) add->keys = j.s.mask_columns;
        if (mask->dtype == TN_DTYPE_BOOL) add->seen = mask->data;
        else add->at = mask->data;
    }
    return run(&j, l->pool);
}

static tn_verdict accepts_packed(const tn_problem *p)
{
    if (p->in[TN_PATT_QKV].dtype != TN_DTYPE_F32) return TN_NO("QKV is not f32");
    tn_packed_attention_shape s;
    tn_packed_attention_shape_of(p, &s);
    return check_heads(s.head, s.head);
}

static tn_status launch_packed(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    tn_packed_attention_shape s;
    tn_packed_attention_shape_of(p, &s);
    const tn_attention_steps in = {s.rows * 3 * s.width, s.head, 3 * s.width};
    job j = {.s = {.batch = s.batch,
                   .q_heads = s.heads,
                   .kv_heads = s.heads,
                   .q_rows = s.rows,
                   .new_rows = s.rows,
                   .rows = s.rows,
                   .head = s.head,
                   .v_head = s.head,
                   .q = in,
                   .k = in,
                   .v = in,
                   .y = {s.rows * s.width, s.head, s.width},
                   .scale = s.scale},
             .y = p->out[0].data};
    if (s.batch * s.rows * s.width == 0) return NULL;
    j.q = p->in[TN_PATT_QKV].data;
    j.k = j.q + s.width;
    j.v = j.k + s.width;
    if (is_present(p->in, p->in_count, TN_PATT_MASK)) {
        addend *add = &j.add[j.add_count++];
        *add = (addend){.at = p->in[TN_PATT_MASK].data, .batches = s.mask_batches, .keys = s.rows};
        memcpy(add->step, s.mask_step, sizeof add->step);
    }
    if (is_present(p->in, p->in_count, TN_PATT_BIAS))
        j.add[j.add_count++] = (addend){.at = p->in[TN_PATT_BIAS].data,
                                        .step = {0, s.bias_step[0], s.bias_step[1], 1},
                                        .batches = 1,
                                        .keys = s.rows};
    return run(&j, l->pool);
}

static tn_verdict accepts_ragged(const tn_problem *p)
{
    const tn_ragged_attention_params *params = p->params;
    if (p->in[TN_RAGGED_QKV].dtype != TN_DTYPE_F32) return TN_NO("QKV is not f32");
    int64_t head = p->in[TN_RAGGED_QKV].dim[1] / 3 / params->heads;
    return check_heads(head, head);
}

/* Sentence by sentence. */
static tn_status launch_ragged(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_ragged_attention_params *params = p->params;
    int64_t tokens = p->in[TN_RAGGED_QKV].dim[0], width = p->in[TN_RAGGED_QKV].dim[1] / 3;
    int64_t head = width / params->heads;
    const int64_t *start = p->in[TN_RAGGED_START].data;
    const float *mask = is_present(p->in, p->in_count, TN_RAGGED_MASK)
                            ? (const float *)p->in[TN_RAGGED_MASK].data
                            : NULL;
    const tn_attention_steps in = {0, head, 3 * width};
    for (int64_t b = 0; width > 0 && b + 1 < p->in[TN_RAGGED_START].dim[0]; b++) {
        int64_t begin = start[b], count = start[b + 1] - begin;
        TN_CHECK(begin >= 0 && count >= 0 && count <= tokens - begin, TN_INVALID,
                 "sentence %lld is from token %lld to %lld of %lld", (long long)b, (long long)begin,
                 (long long)start[b + 1], (long long)tokens);
        if (count == 0) continue;
        job j = {.s = {.batch = 1,
                       .q_heads = params->heads,
                       .kv_heads = params->heads,
                       .q_rows = count,
                       .new_rows = count,
                       .rows = count,
                       .head = head,
                       .v_head = head,
                       .q = in,
                       .k = in,
                       .v = in,
                       .y = {0, head, width},
                       .scale = params->scale != 0 ? params->scale : 1 / sqrt((double)head)},
                 .y = (float *)p->out[0].data + begin * width};
        j.q = (const float *)p->in[TN_RAGGED_QKV].data + begin * 3 * width;
        j.k = j.q + width;
        j.v = j.k + width;
        if (mask)
            j.add[j.add_count++] =
                (addend){.at = mask + begin, .step = {0, 0, 0, 1}, .batches = 1, .keys = count};
        TN_TRY(run(&j, l->pool));
    }
    return NULL;
}

static tn_verdict accepts_windows(const tn_problem *p)
{
    tn_window_attention_shape s;
    if (p->in[TN_WATT_QKV].dtype != TN_DTYPE_F32) return TN_NO("QKV is not f32");
    tn_window_attention_shape_of(p, &s);
    if (s.rows > WINDOW_ROWS || s.rows * s.head > WINDOW_FLOATS)
        return TN_NO("windows have more than 144 tokens, or 8192 elements of a head");
    return check_heads(s.head, s.head);
}

static tn_status launch_windows(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    windows w = {.qkv = p->in[TN_WATT_QKV].data, .y = p->out[0].data};
    tn_window_attention_shape_of(p, &w.s);
    const tn_window_attention_shape *s = &w.s;
    const tn_attention_steps in = {0, 0, s->head};
    if (s->batch * s->windows * s->width == 0) return NULL;
    if (is_present(p->in, p->in_count, TN_WATT_BIAS)) w.bias = p->in[TN_WATT_BIAS].data;
    w.head.s = (tn_attention_shape){.batch = 1,
                                    .q_heads = 1,
                                    .kv_heads = 1,
                                    .q_rows = s->rows,
                                    .new_rows = s->rows,
                                    .rows = s->rows,
                                    .head = s->head,
                                    .v_head = s->head,
                                    .q = in,
                                    .k = in,
                                    .v = in,
                                    .y = in,
                                    .scale = s->scale};
    cut(&w.head);
    double each = (double)s->rows * (double)s->rows * (double)(2 * s->head);
    return tn_pool_run(l->pool, s->batch * s->windows * s->heads, 1 + (int64_t)(GRAIN / (1 + each)),
                       run_windows, &w);
}

extern const tn_tactic TN_VARIANT_NAME(tn_cpu_attention_blocks)[];
const tn_tactic TN_VARIANT_NAME(tn_cpu_attention_blocks)[] = {
    {
        .name = "cpu.attention." ATTEND_CLASS ".blocks." TN_VARIANT_TEXT,
        .op = "Attention",
        .revision = 2,
        .precision = ATTEND_PRECISION,
        .accepts = accepts,
        .launch = launch,
    },
    {
        .name = "cpu.packed_attention." ATTEND_CLASS ".blocks." TN_VARIANT_TEXT,
        .op = "PackedAttention",
        .revision = 2,
        .precision = ATTEND_PRECISION,
        .accepts = accepts_packed,
        .launch = launch_packed,
    },
    {
        .name = "cpu.ragged_attention." ATTEND_CLASS ".blocks." TN_VARIANT_TEXT,
        .op = "RaggedAttention",
        .revision = 2,
        .precision = ATTEND_PRECISION,
        .accepts = accepts_ragged,
        .launch = launch_ragged,
    },
    {
        .name = "cpu.window_attention." ATTEND_CLASS ".blocks." TN_VARIANT_TEXT,
        .op = "WindowAttention",
        .revision = 2,
        .precision = ATTEND_PRECISION,
        .accepts = accepts_windows,
        .launch = launch_windows,
    },
    {0},
};
