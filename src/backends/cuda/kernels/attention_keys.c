/* Attention and PackedAttention by tensor cores where nothing but a mask over keys limits what
 * queries see: by warps (attention_keys.cu) or by warpgroups (attention_group.cu). */
#include <stdio.h>

#include "backends/cuda/index.h"
#include "ops/attention/attention.h"
#include "ops/packed_attention/packed_attention.h"

extern const tn_cuda_source tn_cuda_source_attention_keys, tn_cuda_source_attention_group;

typedef struct problem { /* as the kernels take it */
    const void *q, *k, *v, *mask;
    void *y;
    tn_attention_steps at_q, at_k, at_v, at_y;
    int64_t mask_batch, mask_key;
    int32_t heads, sharing, q_rows, rows, mask_batches, tiles;
    float scale;
} problem;

typedef struct work {
    problem p;
    int64_t batch, head, kv_heads;
    tn_dtype dtype, mask;
} work;

/* How a block shares out its work. */
typedef struct shape {
    int query_warps, key_warps, sets;
    bool groups; /* warps multiply by fours */
} shape;

enum {
    ROWS_MAX = 4096, /* keys: their mask lies in shared memory */
    HEAD_MAX = 128,
    CARD = 132,                  /* multiprocessors of a large card */
    SHARED_MAX = 160 << 10,      /* what cards of data centres have from 8.0 on */
    GROUP_SHARED_MAX = 200 << 10 /* and 9.0 */
};

/* ---- Reading problems ------------------------------------------------------------------------*/

static tn_verdict read_mask(const tn_tensor *mask, const int64_t *step, int64_t batches, work *w)
{
    if (step[1] || step[2]) return TN_NO("the mask is not one over keys");
    if (mask->dtype != TN_DTYPE_F32 && mask->dtype != TN_DTYPE_F16 && mask->dtype != TN_DTYPE_BF16)
        return TN_NO("the mask is not of f32, f16 or bf16");
    w->mask = mask->dtype;
    w->p.mask = mask->data;
    w->p.mask_batch = step[0];
    w->p.mask_key = step[3];
    w->p.mask_batches = (int32_t)TN_MAX(batches, 1);
    return TN_YES;
}

static tn_verdict read_attention(const tn_problem *p, work *w)
{
    const tn_attention_params *params = p->params;
    tn_attention_shape s;
    tn_attention_shape_of(p, &s);
    for (int i = TN_ATT_PAST_K; i <= TN_ATT_LENGTHS; i++)
        if (tn_cuda_has(p, i)) return TN_NO("there are past keys or lengths");
    for (int i = TN_ATT_PRESENT_K; i < p->out_count; i++)
        if (p->out[i].dtype) return TN_NO("more than Y is asked for");
    for (int i = TN_ATT_K; i <= TN_ATT_V; i++)
        if (p->in[i].dtype != p->in[0].dtype) return TN_NO("Q, K and V differ in type");
    if (params->is_causal || params->softcap > 0 || params->left_window_size >= 0 ||
        params->right_window_size >= 0)
        return TN_NO("queries see parts of the keys, or scores are capped");
    if (s.head != s.v_head) return TN_NO("keys and values differ in size");
    *w = (work){.batch = s.batch, .head = s.head, .kv_heads = s.kv_heads, .dtype = p->in[0].dtype};
    w->p = (problem){
        .q = p->in[TN_ATT_Q].data,
        .k = p->in[TN_ATT_K].data,
        .v = p->in[TN_ATT_V].data,
        .y = p->out[TN_ATT_Y].data,
        .at_q = s.q,
        .at_k = s.k,
        .at_v = s.v,
        .at_y = s.y,
        .heads = (int32_t)s.q_heads,
        .sharing = (int32_t)(s.kv_heads > 0 ? s.q_heads / s.kv_heads : 1),
        .q_rows = (int32_t)s.q_rows,
        .rows = (int32_t)s.rows,
        .scale = (float)s.scale,
    };
    if (!tn_cuda_has(p, TN_ATT_MASK)) return TN_YES;
    if (s.mask_columns != 1 && s.mask_columns != s.rows)
        return TN_NO("the mask is shorter than the keys");
    return read_mask(&p->in[TN_ATT_MASK], s.mask_step, s.batch, w);
}

static tn_verdict read_packed(const tn_problem *p, work *w)
{
    const tn_tensor *x = &p->in[TN_PATT_QKV];
    tn_packed_attention_shape s;
    tn_packed_attention_shape_of(p, &s);
    if (tn_cuda_has(p, TN_PATT_BIAS)) return TN_NO("there is a bias");
    size_t part = (size_t)s.width * tn_cuda_bytes(x);
    const char *data = x->data;
    tn_attention_steps in = {3 * s.width * s.rows, s.head, 3 * s.width};
    *w = (work){.batch = s.batch, .head = s.head, .kv_heads = s.heads, .dtype = x->dtype};
    w->p = (problem){
        .q = data,
        .k = data ? data + part : NULL,
        .v = data ? data + 2 * part : NULL,
        .y = p->out[0].data,
        .at_q = in,
        .at_k = in,
        .at_v = in,
        .at_y = {s.width * s.rows, s.head, s.width},
        .heads = (int32_t)s.heads,
        .sharing = 1,
        .q_rows = (int32_t)s.rows,
        .rows = (int32_t)s.rows,
        .scale = (float)s.scale,
    };
    if (!tn_cuda_has(p, TN_PATT_MASK)) return TN_YES;
    return read_mask(&p->in[TN_PATT_MASK], s.mask_step, s.mask_batches, w);
}

/* ---- Shapes of blocks ------------------------------------------------------------------------*/

/* Scores of a tile are in registers, as results and queries are. */
static int keys_of(const work *w, const shape *s)
{
    if (s->groups) return 64;
    bool few = w->dtype == TN_DTYPE_F32 || w->head > 64 || (s->sets > 1 && w->head > 32);
    return few ? 32 : 64;
}

static int stages_of(const work *w, const shape *s)
{
    if (s->groups && s->key_warps > 1) return w->p.rows > 64 * s->key_warps ? 2 : 1;
    if (s->groups) return s->query_warps == 4 && w->head == 64 ? 3 : 6;
    return w->p.rows > keys_of(w, s) * s->key_warps ? 2 : 1;
}

static size_t shared_bytes(const work *w, const shape *s)
{
    size_t keys = (size_t)keys_of(w, s), element = (size_t)tn_dtype_bits(w->dtype) / 8;
    size_t rows = ((size_t)w->p.rows + keys - 1) / keys * keys;
    if (s->groups) { /* two barriers a stage, and what those who share keys know of their queries */
        size_t stages = (size_t)(stages_of(w, s) * s->key_warps);
        return stages * (2 * keys * (size_t)w->head * element + 16) +
               (s->key_warps > 1 ? (size_t)s->key_warps * 64 * 2 * sizeof(float) : 0);
    }
    size_t tiles =
        (size_t)(s->key_warps * stages_of(w, s) * 2) * keys * ((size_t)w->head * element + 16);
    size_t parts = (size_t)(s->key_warps * s->query_warps * 16 * s->sets) * ((size_t)w->head + 6) *
                   sizeof(float);
    return (s->key_warps > 1 ? TN_MAX(tiles, parts) : tiles) + rows * sizeof(float);
}

/* Rows begin at multiples of 16 bytes. */
static bool is_aligned(const work *w)
{
    const problem *p = &w->p;
    uint64_t bytes = (uint64_t)tn_dtype_bits(w->dtype) / 8;
    const void *at[] = {p->q, p->k, p->v, p->y};
    uint64_t bits =
        (uint64_t)(w->head | p->at_q.batch | p->at_q.head | p->at_q.row | p->at_k.batch |
                   p->at_k.head | p->at_k.row | p->at_v.batch | p->at_v.head | p->at_v.row |
                   p->at_y.batch | p->at_y.head | p->at_y.row) *
        bytes;
    for (size_t i = 0; i < TN_COUNT(at); i++) bits |= (uint64_t)(uintptr_t)at[i];
    return bits % 16 == 0;
}

static tn_verdict fits(const work *w, const shape *s, bool half)
{
    const problem *p = &w->p;
    int64_t queries = 16 * s->sets * s->query_warps, blocks, tiles;
    bool f32 = w->dtype == TN_DTYPE_F32;
    if (half ? tn_dtype_bits(w->dtype) != 16 : !f32)
        return TN_NO("the operands are not of this tactic's type");
    if (w->head == 0 || w->head > HEAD_MAX || w->head % (f32 ? 8 : 16))
        return TN_NO("the columns of a head are no whole steps of the tensor cores up to 128");
    if (p->rows < 1 || (!s->groups && p->rows > ROWS_MAX))
        return TN_NO("there are no keys, or more than 4096");
    if (!(p->scale > 0)) return TN_NO("the scale is not positive");
    if (!is_aligned(w)) return TN_NO("rows are not aligned to 16 bytes");
    if (shared_bytes(w, s) > (s->groups ? GROUP_SHARED_MAX : SHARED_MAX))
        return TN_NO("a block takes too much memory");
    if (s->groups && w->head % 32) return TN_NO("the columns of a head are no multiple of 32");
    if (!s->groups && queries > 64 && w->head > 64)
        return TN_NO("heads are too long for so many queries");
    if (s->groups && p->q_rows <= queries / 2) return TN_NO("there are few queries");
    if (s->groups && s->key_warps > 2 && w->head > 64)
        return TN_NO("heads are too long for so many warps");
    if (s->groups && s->key_warps > 1 && p->rows <= 64) return TN_NO("there are few keys");
    tiles = (p->q_rows + queries - 1) / queries;
    if (!tn_mul_i64(w->batch, p->heads, &blocks) || !tn_mul_i64(blocks, tiles, &blocks) ||
        blocks > INT32_MAX)
        return TN_NO("there are too many queries");
    if (s->groups && s->key_warps > 1 && blocks > 2 * CARD)
        return TN_NO("queries alone keep the card busy");
    return TN_YES;
}

/* Keys or values as the copy engine reads them, in boxes of some columns of rows of a head. */
static tn_status map_of(const work *w, const shape *s, const void *at, tn_attention_steps step,
                        tn_cu_map *out)
{
    const char *why;
    bool whole = w->head % 64 == 0;
    const uint64_t dims[] = {(uint64_t)w->head, (uint64_t)w->p.rows, (uint64_t)w->kv_heads,
                             (uint64_t)w->batch};
    const uint64_t steps[] = {(uint64_t)step.row * sizeof(uint16_t),
                              (uint64_t)step.head * sizeof(uint16_t),
                              (uint64_t)step.batch * sizeof(uint16_t)};
    const unsigned box[] = {whole ? 64 : 32, (unsigned)keys_of(w, s), 1, 1}, one[] = {1, 1, 1, 1};
    int type = w->dtype == TN_DTYPE_F16 ? TN_CU_MAP_F16 : TN_CU_MAP_BF16;
    TN_CU("describing keys",
          tn_cu_open(&why)->map_tiled(out, type, 4, (tn_cu_pointer)(uintptr_t)at, dims, steps, box,
                                      one, 0, whole ? TN_CU_MAP_SWIZZLE_128 : TN_CU_MAP_SWIZZLE_64,
                                      TN_CU_MAP_PROMOTE_128, 0));
    return NULL;
}

static tn_status run(const tn_launch *l, work *w, const shape *s)
{
    tn_cuda_card *card = tn_cuda_stream_of(l)->card;
    const tn_cuda_source *source =
        s->groups ? &tn_cuda_source_attention_group : &tn_cuda_source_attention_keys;
    const tn_cuda_function *function;
    tn_cu_map keys, values;
    char options[240];
    int queries = 16 * s->sets * s->query_warps, at,
        blocks = w->head > 64 ? 1 : 16 / (s->query_warps * s->key_warps);
    if (w->batch == 0 || w->p.heads == 0 || w->p.q_rows == 0) return NULL;
    TN_CHECK(is_aligned(w), TN_INVALID, "attention: operands do not begin at 16 bytes");
    const char *mask = w->mask == TN_DTYPE_NONE ? "float" : tn_cuda_type(w->mask);
    at = snprintf(options, sizeof options, "-DTYPE=%s -DHEAD=%d -DSTAGES=%d -DMASK=%s",
                  tn_cuda_type(w->dtype), (int)w->head, stages_of(w, s), mask);
    if (s->groups)
        snprintf(options + at, sizeof options - (size_t)at, " -DGROUPS=%d -DTEAM=%d -DBLOCKS=%d",
                 s->query_warps / 4, s->key_warps, blocks);
    else
        snprintf(options + at, sizeof options - (size_t)at,
                 " -DBK=%d -DQUERY_WARPS=%d -DKEY_WARPS=%d -DSETS=%d", keys_of(w, s),
                 s->query_warps, s->key_warps, s->sets);
    size_t shared = shared_bytes(w, s);
    TN_TRY(tn_cuda_function_get(card, source, "attention", options, shared, &function));
    w->p.tiles = (w->p.q_rows + queries - 1) / queries;
    tn_cuda_grid grid = {.grid = {(unsigned)(w->batch * w->p.heads * w->p.tiles)},
                         .block = {32 * (unsigned)(s->query_warps * s->key_warps)},
                         .shared_bytes = shared,
                         .overlap = true};
    if (!s->groups) return tn_cuda_run(l, function, &grid, (void *[]){&w->p});
    if (card->wishes) return NULL;
    TN_TRY(map_of(w, s, w->p.k, w->p.at_k, &keys));
    TN_TRY(map_of(w, s, w->p.v, w->p.at_v, &values));
    return tn_cuda_run(l, function, &grid, (void *[]){&w->p, &keys, &values});
}

/* ---- Tactics ---------------------------------------------------------------------------------*/

static const shape shape_128 = {4, 1, 2, false}, shape_64 = {4, 1, 1, false},
                   shape_32 = {1, 4, 2, false}, shape_16 = {1, 4, 1, false},
                   shape_32_pairs = {2, 4, 1, false}, shape_group_128 = {8, 1, 1, true},
                   shape_group_64 = {4, 1, 1, true}, shape_group_64_k4 = {4, 4, 1, true};

#define TACTIC(read, queries)                                                                      \
    static tn_verdict accepts_##read##_half_##queries(const tn_problem *p)                         \
    {                                                                                              \
        work w;                                                                                    \
        tn_verdict no = read_##read(p, &w);                                                        \
        return no ? no : fits(&w, &shape_##queries, true);                                         \
    }                                                                                              \
    static tn_status launch_##read##_##queries(const tn_launch *l)                                 \
    {                                                                                              \
        work w;                                                                                    \
        tn_verdict no = read_##read(l->problem, &w);                                               \
        TN_CHECK(!no, TN_UNSUPPORTED, "attention: %s", no);                                        \
        return run(l, &w, &shape_##queries);                                                       \
    }
#define BOTH(read, queries)                                                                        \
    static tn_verdict accepts_##read##_tf32_##queries(const tn_problem *p)                         \
    {                                                                                              \
        work w;                                                                                    \
        tn_verdict no = read_##read(p, &w);                                                        \
        return no ? no : fits(&w, &shape_##queries, false);                                        \
    }                                                                                              \
    TACTIC(read, queries)
#define ROW(op_name, text, read, type, name_of, queries, feature, least)                           \
    {                                                                                              \
        .name = "cuda." text "." #type "." name_of, .op = op_name, .revision = 2,                  \
        .needs = feature, .precision = least, .accepts = accepts_##read##_##type##_##queries,      \
        .launch = launch_##read##_##queries,                                                       \
    }
#define ROWS(op_name, text, read, queries)                                                         \
    ROW(op_name, text, read, half, "keys_" #queries, queries, TN_SM80, TN_PRECISION_F32),          \
        ROW(op_name, text, read, tf32, "keys_" #queries, queries, TN_SM80, TN_PRECISION_TF32)
#define ALL(op_name, text, read)                                                                   \
    ROW(op_name, text, read, half, "group_128", group_128, TN_SM90A, TN_PRECISION_F32),            \
        ROW(op_name, text, read, half, "group_64", group_64, TN_SM90A, TN_PRECISION_F32),          \
        ROW(op_name, text, read, half, "group_64_k4", group_64_k4, TN_SM90A, TN_PRECISION_F32),    \
        ROWS(op_name, text, read, 64), ROWS(op_name, text, read, 128),                             \
        ROWS(op_name, text, read, 32), ROWS(op_name, text, read, 32_pairs),                        \
        ROWS(op_name, text, read, 16)
#define EVERY(read)                                                                                \
    TACTIC(read, group_128)                                                                        \
    TACTIC(read, group_64)                                                                         \
    TACTIC(read, group_64_k4)                                                                      \
    BOTH(read, 128)                                                                                \
    BOTH(read, 64)                                                                                 \
    BOTH(read, 32)                                                                                 \
    BOTH(read, 32_pairs)                                                                           \
    BOTH(read, 16)
EVERY(attention)
EVERY(packed)

extern const tn_tactic tn_cuda_attention_keys[];
const tn_tactic tn_cuda_attention_keys[] = {
    ALL("Attention", "attention", attention),
    ALL("PackedAttention", "packed_attention", packed),
    {0},
};
