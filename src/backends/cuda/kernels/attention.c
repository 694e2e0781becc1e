/* Attention and PackedAttention by our own kernels, without a matrix of scores (attention.cu). */
#include <stdio.h>

#include "backends/cuda/cuda.h"
#include "ops/attention/attention.h"
#include "ops/packed_attention/packed_attention.h"
#include "ops/wide/wide.h"

extern const tn_cuda_source tn_cuda_source_attention;

/* As in attention.cu. */
typedef struct problem {
    const void *q, *k, *v, *past_k, *past_v, *bias, *mask, *lengths;
    void *y;
    tn_attention_steps at_q, at_k, at_v, at_y;
    int64_t past_k_plane, past_v_plane, mask_step[4], bias_step[2];
    int32_t heads, sharing, q_rows, rows, past, mask_batches, mask_columns, causal, left, right,
        tiles;
    float scale, softcap;
} problem;

/* A problem as the kernel takes it, and what it is compiled for. */
typedef struct work {
    problem p;
    int64_t batch, head, v_head;
    tn_dtype dtype, mask;
} work;

/* ---- Reading problems ------------------------------------------------------------------------*/

static const void *input_at(const tn_problem *p, int i)
{
    return tn_wide_has(p, i) ? p->in[i].data : NULL;
}

static bool is_known(tn_dtype dtype)
{
    return dtype == TN_DTYPE_F32 || dtype == TN_DTYPE_F16 || dtype == TN_DTYPE_BF16;
}

static int32_t window_of(int64_t size, const tn_attention_shape *s)
{
    return size < 0 || size >= s->rows + s->q_rows ? -1 : (int32_t)size;
}

static tn_verdict fits(const work *w, int64_t q_rows, int64_t rows, int64_t heads)
{
    int64_t blocks;
    if (!is_known(w->dtype)) return TN_NO("the operands are not f32, f16 or bf16");
    if (w->mask != TN_DTYPE_NONE && w->mask != TN_DTYPE_BOOL && !is_known(w->mask))
        return TN_NO("the mask is not of f32, f16, bf16 or bool");
    if (w->head > 256 || w->v_head > 256) return TN_NO("a head has more than 256 columns");
    if (w->head == 0 || w->v_head == 0) return TN_NO("heads have no columns");
    if (q_rows > INT32_MAX / 4 || rows > INT32_MAX / 4)
        return TN_NO("there are more than 2^29 rows");
    if (!tn_mul_i64(w->batch, heads, &blocks) || !tn_mul_i64(blocks, q_rows / 16 + 1, &blocks) ||
        blocks > INT32_MAX)
        return TN_NO("there are too many queries");
    return TN_YES;
}

static tn_verdict read_attention(const tn_problem *p, work *w)
{
    const tn_attention_params *params = p->params;
    tn_attention_shape s;
    tn_attention_shape_of(p, &s);
    *w = (work){.batch = s.batch, .head = s.head, .v_head = s.v_head, .dtype = p->in[0].dtype};
    for (int i = TN_ATT_K; i <= TN_ATT_V; i++)
        if (p->in[i].dtype != w->dtype) return TN_NO("Q, K and V differ in type");
    if (p->out_count > TN_ATT_QK && p->out[TN_ATT_QK].dtype != TN_DTYPE_NONE)
        return TN_NO("the scores are asked for");
    if (tn_wide_has(p, TN_ATT_MASK)) w->mask = p->in[TN_ATT_MASK].dtype;
    tn_verdict no = fits(w, s.q_rows, s.rows, s.q_heads);
    if (no) return no;
    w->p = (problem){
        .q = p->in[TN_ATT_Q].data,
        .k = p->in[TN_ATT_K].data,
        .v = p->in[TN_ATT_V].data,
        .past_k = input_at(p, TN_ATT_PAST_K),
        .past_v = input_at(p, TN_ATT_PAST_V),
        .mask = input_at(p, TN_ATT_MASK),
        .lengths = input_at(p, TN_ATT_LENGTHS),
        .y = p->out[TN_ATT_Y].data,
        .at_q = s.q,
        .at_k = s.k,
        .at_v = s.v,
        .at_y = s.y,
        .past_k_plane = s.past * s.head,
        .past_v_plane = s.past * s.v_head,
        .heads = (int32_t)s.q_heads,
        .sharing = (int32_t)(s.kv_heads > 0 ? s.q_heads / s.kv_heads : 1),
        .q_rows = (int32_t)s.q_rows,
        .rows = (int32_t)s.rows,
        .past = (int32_t)s.past,
        .mask_batches = (int32_t)TN_MAX(s.batch, 1),
        .mask_columns = (int32_t)s.mask_columns,
        .causal = params->is_causal != 0,
        .left = window_of(params->left_window_size, &s),
        .right = window_of(params->right_window_size, &s),
        .scale = (float)s.scale,
        .softcap = params->softcap,
    };
    for (int i = 0; i < 4; i++) w->p.mask_step[i] = s.mask_step[i];
    return TN_YES;
}

static tn_verdict read_packed(const tn_problem *p, work *w)
{
    const tn_tensor *x = &p->in[TN_PATT_QKV];
    tn_packed_attention_shape s;
    tn_packed_attention_shape_of(p, &s);
    *w = (work){.batch = s.batch, .head = s.head, .v_head = s.head, .dtype = x->dtype};
    if (tn_wide_has(p, TN_PATT_MASK)) w->mask = p->in[TN_PATT_MASK].dtype;
    tn_verdict no = fits(w, s.rows, s.rows, s.heads);
    if (no) return no;
    size_t part = (size_t)s.width * (size_t)(tn_dtype_bits(x->dtype) / 8);
    const char *data = x->data;
    tn_attention_steps in = {3 * s.width * s.rows, s.head, 3 * s.width};
    w->p = (problem){
        .q = data,
        .k = data ? data + part : NULL,
        .v = data ? data + 2 * part : NULL,
        .bias = input_at(p, TN_PATT_BIAS),
        .mask = input_at(p, TN_PATT_MASK),
        .y = p->out[0].data,
        .at_q = in,
        .at_k = in,
        .at_v = in,
        .at_y = {s.width * s.rows, s.head, s.width},
        .bias_step = {s.bias_step[0], s.bias_step[1]},
        .heads = (int32_t)s.heads,
        .sharing = 1,
        .q_rows = (int32_t)s.rows,
        .rows = (int32_t)s.rows,
        .mask_batches = (int32_t)s.mask_batches,
        .mask_columns = 1,
        .left = -1,
        .right = -1,
        .scale = (float)s.scale,
    };
    for (int i = 0; i < 4; i++) w->p.mask_step[i] = s.mask_step[i];
    return TN_YES;
}

/* ---- Tiles -----------------------------------------------------------------------------------*/

static int64_t longest(const work *w)
{
    return TN_MAX(w->head, w->v_head);
}

/* What sizes, steps and addresses of rows have in common, as bits. */
static uint64_t bits_of(const work *w)
{
    const problem *p = &w->p;
    uint64_t bytes = (uint64_t)tn_dtype_bits(w->dtype) / 8;
    const void *at[] = {p->q, p->k, p->v, p->past_k, p->past_v, p->y};
    uint64_t bits = (uint64_t)(w->head | w->v_head | p->at_q.batch | p->at_q.head | p->at_q.row |
                               p->at_k.batch | p->at_k.head | p->at_k.row | p->at_v.batch |
                               p->at_v.head | p->at_v.row);
    for (size_t i = 0; i < TN_COUNT(at); i++) bits |= (uint64_t)(uintptr_t)at[i] / bytes;
    return bits;
}

static tn_verdict tensor_fits(const work *w)
{
    if (tn_dtype_bits(w->dtype) != 16) return TN_NO("the operands are not f16 or bf16");
    if (w->head % 16 || w->v_head % 16 || longest(w) > 128)
        return TN_NO("the columns of a head are no multiple of 16 up to 128");
    return bits_of(w) % 8 ? TN_NO("rows are not aligned to 16 bytes") : TN_YES;
}

/* Queries of the largest tiles, and keys. */
static int most_queries(const work *w, bool tensor)
{
    return tensor || longest(w) <= 64 ? 64 : longest(w) <= 128 ? 32 : 16;
}

static tn_verdict tile_fits(const work *w, bool tensor, int queries)
{
    enum { CARD = 132 }; /* multiprocessors of a large card */
    int most = most_queries(w, tensor);
    int64_t blocks = w->batch * w->p.heads * ((w->p.q_rows + queries - 1) / queries);
    tn_verdict no = tensor ? tensor_fits(w) : TN_YES;
    if (no) return no;
    if (queries > most) return TN_NO("the heads are too long for so many queries at once");
    if (queries > 16 && w->p.q_rows <= queries / 2) return TN_NO("there are few queries");
    if (queries < most && w->p.q_rows > queries && blocks > 16 * CARD)
        return TN_NO("larger tiles read less, and are enough to keep the card busy");
    return TN_YES;
}

static size_t shared_bytes_of(const work *w, bool tensor, int queries, int keys)
{
    enum { PAD = 8 };
    if (tensor)
        return sizeof(uint16_t) *
               (size_t)((queries + 2 * keys) * (w->head + PAD) + 2 * keys * (w->v_head + PAD));
    int64_t q_line = queries + 4, k_line = keys + 4, v_line = (w->v_head + 15) / 16 * 16;
    int64_t floats = w->head * q_line + TN_MAX(w->head * k_line, keys * q_line) + keys * v_line;
    return (size_t)floats * sizeof(float);
}

static tn_status run(const tn_launch *l, work *w, bool tensor, int queries)
{
    enum { THREADS = 128 };
    const tn_cuda_function *function;
    char options[300];
    if (w->batch == 0 || w->p.heads == 0 || w->p.q_rows == 0) return NULL;
    /* Addresses are known only now; without tensor cores any will do. */
    tensor = tensor && !tensor_fits(w);
    queries = (int)TN_MIN(queries, most_queries(w, tensor));
    int keys = longest(w) <= 64 ? 64 : longest(w) <= 128 ? 32 : 16;
    const char *mask = w->mask == TN_DTYPE_NONE ? "float" : tn_cuda_type(w->mask);
    snprintf(options, sizeof options,
             "-DTYPE=%s -DHEAD=%d -DV_HEAD=%d -DBQ=%d -DBK=%d -DV=%d -DMASK=%s -DMASK_BOOL=%d "
             "-DTENSOR=%d",
             tn_cuda_type(w->dtype), (int)w->head, (int)w->v_head, queries, keys,
             tensor                ? 8
             : bits_of(w) % 4 == 0 ? 4
                                   : 1,
             mask, w->mask == TN_DTYPE_BOOL, tensor);
    size_t shared = shared_bytes_of(w, tensor, queries, keys);
    TN_TRY(tn_cuda_function_get(tn_cuda_stream_of(l)->card, &tn_cuda_source_attention, "attention",
                                options, shared, &function));
    w->p.tiles = (int32_t)((w->p.q_rows + queries - 1) / queries);
    int64_t blocks = w->batch * w->p.heads * w->p.tiles;
    tn_cuda_grid grid = {.grid = {(unsigned)blocks},
                         .block = {tensor ? 2 * (unsigned)queries : THREADS},
                         .shared_bytes = shared,
                         .overlap = true};
    return tn_cuda_run(l, function, &grid, (void *[]){&w->p});
}

/* ---- What was and is to be kept --------------------------------------------------------------*/

static tn_status keep(const tn_launch *l, const work *w, int output, const void *past,
                      const void *fresh, tn_attention_steps at, int64_t size)
{
    enum { THREADS = 256 };
    const tn_problem *p = l->problem;
    const tn_cuda_function *function;
    char options[160];
    if (!tn_wide_wants(p, output)) return NULL;
    void *y = p->out[output].data;
    int64_t count = tn_tensor_count(&p->out[output]);
    int32_t heads = (int32_t)p->out[output].dim[1], columns = (int32_t)size;
    int32_t past_rows = w->p.past, rows = w->p.rows;
    if (count == 0) return NULL;
    snprintf(options, sizeof options,
             "-DTYPE=%s -DHEAD=16 -DV_HEAD=16 -DBQ=16 -DBK=16 -DV=1 "
             "-DMASK=float -DMASK_BOOL=0 -DTENSOR=0",
             tn_cuda_type(w->dtype));
    TN_TRY(tn_cuda_function_get(tn_cuda_stream_of(l)->card, &tn_cuda_source_attention, "present",
                                options, 0, &function));
    tn_cuda_grid grid = {
        .grid = {tn_cuda_blocks(count, THREADS)}, .block = {THREADS}, .overlap = true};
    void *args[] = {&past, &fresh, &y, &at, &heads, &past_rows, &rows, &columns, &count};
    return tn_cuda_run(l, function, &grid, args);
}

static tn_status launch(const tn_launch *l, bool packed, bool tensor, int queries)
{
    work w;
    tn_verdict no = packed ? read_packed(l->problem, &w) : read_attention(l->problem, &w);
    TN_CHECK(!no, TN_UNSUPPORTED, "attention: %s", no);
    TN_TRY(run(l, &w, tensor, queries));
    if (packed) return NULL;
    TN_TRY(keep(l, &w, TN_ATT_PRESENT_K, w.p.past_k, w.p.k, w.p.at_k, w.head));
    return keep(l, &w, TN_ATT_PRESENT_V, w.p.past_v, w.p.v, w.p.at_v, w.v_head);
}

/* ---- Tactics ---------------------------------------------------------------------------------*/

#define TACTIC(packed, read, kind, tensor, queries)                                                \
    static tn_verdict accepts_##read##_##kind##_##queries(const tn_problem *p)                     \
    {                                                                                              \
        work w;                                                                                    \
        tn_verdict no = read_##read(p, &w);                                                        \
        return no ? no : tile_fits(&w, tensor, queries);                                           \
    }                                                                                              \
    static tn_status launch_##read##_##kind##_##queries(const tn_launch *l)                        \
    {                                                                                              \
        return launch(l, packed, tensor, queries);                                                 \
    }
#define TACTICS(packed, read)                                                                      \
    TACTIC(packed, read, running, false, 64)                                                       \
    TACTIC(packed, read, running, false, 32)                                                       \
    TACTIC(packed, read, running, false, 16)                                                       \
    TACTIC(packed, read, tensor, true, 64)                                                         \
    TACTIC(packed, read, tensor, true, 32)                                                         \
    TACTIC(packed, read, tensor, true, 16)
TACTICS(false, attention)
TACTICS(true, packed)

#define ROW(op_name, text, read, kind, queries, feature)                                           \
    {                                                                                              \
        .name = "cuda." text #kind "_" #queries, .op = op_name, .revision = 1, .needs = feature,   \
        .accepts = accepts_##read##_##kind##_##queries,                                            \
        .launch = launch_##read##_##kind##_##queries,                                              \
    }
#define ROWS(op_name, text, read)                                                                  \
    ROW(op_name, text ".half.", read, tensor, 32, TN_SM80),                                        \
        ROW(op_name, text ".half.", read, tensor, 64, TN_SM80),                                    \
        ROW(op_name, text ".half.", read, tensor, 16, TN_SM80),                                    \
        ROW(op_name, text ".any.", read, running, 32, TN_SM75),                                    \
        ROW(op_name, text ".any.", read, running, 64, TN_SM75),                                    \
        ROW(op_name, text ".any.", read, running, 16, TN_SM75)

extern const tn_tactic tn_cuda_attention[];
const tn_tactic tn_cuda_attention[] = {
    ROWS("Attention", "attention", attention),
    ROWS("PackedAttention", "packed_attention", packed),
    {0},
};
