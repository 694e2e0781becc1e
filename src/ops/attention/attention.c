/* Attention-25: softmax(Q K^T * scale + bias) V, head by head.
 *
 *     past K, V [B,Hkv,P,D] ++ K, V [B,Hkv,S,D] = present K, V [B,Hkv,T,D], T = P + S
 *     Q [B,Hq,R,D]: head h of Q reads head h / (Hq / Hkv) of K and V
 *     score = softcap(q . k * scale) + mask;  probability = softmax(score);  y = sum(probability *
 * v)
 *
 * A query i stands at position i + offset, offset being the number of keys before the block of
 * queries: P, or lengths[b] - R where the cache is kept outside (nonpad_kv_seqlen). Causal: keys up
 * to its own position. Windows: so many to the left and to the right of it. A query that sees no
 * key gives zeros.
 *
 * Q, K and V may be [B, S, H * D]. A mask is broadcast to [B, Hq, R, T] from the right; if its last
 * axis is shorter than T (and not 1) the keys beyond are masked. */
#include "ops/attention/attention.h"

#include <math.h>

#include "ir/op.h"
#include "ops/wide/wide.h"

static const tn_field fields[] = {
    TN_INT(tn_attention_params, is_causal, 0),
    TN_INT(tn_attention_params, q_num_heads, 0),
    TN_INT(tn_attention_params, kv_num_heads, 0),
    TN_INT(tn_attention_params, softmax_precision, 0),
    TN_INT(tn_attention_params, qk_matmul_output_mode, 0),
    TN_INT(tn_attention_params, left_window_size, -1),
    TN_INT(tn_attention_params, right_window_size, -1),
    TN_FLOAT(tn_attention_params, scale, 0),
    TN_FLOAT(tn_attention_params, softcap, 0),
};
static const tn_port ins[] = {
    {"Q", TN_DTS_FLOAT, 'T', 0},
    {"K", TN_DTS_FLOAT, 'T', 0},
    {"V", TN_DTS_FLOAT, 'V', 0},
    {"attn_mask", TN_DTS_NUMBER | TN_DT(BOOL), 'U', TN_PORT_OPTIONAL},
    {"past_key", TN_DTS_FLOAT, 'T', TN_PORT_OPTIONAL},
    {"past_value", TN_DTS_FLOAT, 'V', TN_PORT_OPTIONAL},
    {"nonpad_kv_seqlen", TN_DT(I64), 0, TN_PORT_OPTIONAL},
};
static const tn_port outs[] = {
    {"Y", TN_DTS_FLOAT, 'T', 0},
    {"present_key", TN_DTS_FLOAT, 'T', TN_PORT_OPTIONAL},
    {"present_value", TN_DTS_FLOAT, 'V', TN_PORT_OPTIONAL},
    {"qk_matmul_output", TN_DTS_FLOAT, 'T', TN_PORT_OPTIONAL},
};

enum { QK_RAW, QK_CAPPED, QK_BIASED, QK_SOFTMAX };

static tn_status lower(const tn_node *node, void *params_out)
{
    const tn_attention_params *params = params_out;
    (void)node;
    TN_CHECK(params->q_num_heads >= 0 && params->kv_num_heads >= 0, TN_INVALID,
             "there are %lld query heads and %lld key heads", (long long)params->q_num_heads,
             (long long)params->kv_num_heads);
    TN_CHECK(params->qk_matmul_output_mode >= QK_RAW && params->qk_matmul_output_mode <= QK_SOFTMAX,
             TN_INVALID, "qk_matmul_output_mode %lld is outside [0, 3]",
             (long long)params->qk_matmul_output_mode);
    TN_CHECK(params->left_window_size >= -1 && params->right_window_size >= -1, TN_INVALID,
             "windows of %lld to the left and %lld to the right",
             (long long)params->left_window_size, (long long)params->right_window_size);
    return NULL;
}

/* ---- Types ------------------------------------------------------------------------------------*/

/* Heads, rows and head size of one input, whichever way it lies. */
typedef struct lie {
    tn_expr heads, rows, size;
} lie;

static tn_status lie_of(tn_infer *f, int input, int64_t heads, const char *attr, lie *out)
{
    const tn_type *t = &f->in[input];
    char text[128];
    TN_CHECK(t->rank == 3 || t->rank == 4, TN_INVALID, "%s must have 3 or 4 axes: it is %s",
             f->op->in[input].name, tn_type_text(f->exprs, t, text, sizeof text));
    if (t->rank == 4) {
        *out = (lie){t->dim[1], t->dim[2], t->dim[3]};
        return NULL;
    }
    TN_CHECK(heads > 0, TN_INVALID, "%s has 3 axes, so %s must say how many heads there are",
             f->op->in[input].name, attr);
    int64_t width;
    if (tn_expr_is_const(f->exprs, t->dim[2], &width))
        TN_CHECK(width % heads == 0, TN_INVALID, "%s: %lld columns do not divide into %lld heads",
                 f->op->in[input].name, (long long)width, (long long)heads);
    tn_expr count = tn_expr_const(f->exprs, heads);
    *out = (lie){count, t->dim[1], tn_expr_div(f->exprs, t->dim[2], count)};
    return NULL;
}

static tn_status check_same(tn_infer *f, tn_expr a, tn_expr b, const char *what)
{
    int64_t x, y;
    if (!tn_expr_is_const(f->exprs, a, &x) || !tn_expr_is_const(f->exprs, b, &y)) return NULL;
    TN_CHECK(x == y, TN_INVALID, "%s differ: %lld and %lld", what, (long long)x, (long long)y);
    return NULL;
}

static tn_status check_past(tn_infer *f, int input, const lie *fresh)
{
    const tn_type *t = &f->in[input];
    char text[128];
    TN_CHECK(t->rank < 0 || t->rank == 4, TN_INVALID, "%s must have 4 axes: it is %s",
             f->op->in[input].name, tn_type_text(f->exprs, t, text, sizeof text));
    if (t->rank < 0) return NULL;
    TN_TRY(check_same(f, t->dim[0], f->in[0].dim[0], "the batches of a past and of Q"));
    TN_TRY(check_same(f, t->dim[1], fresh->heads, "the heads of a past and of its new rows"));
    return check_same(f, t->dim[3], fresh->size, "the head sizes of a past and of its new rows");
}

static tn_status check_mask(tn_infer *f, const lie *q, tn_expr rows)
{
    const tn_type *t = &f->in[TN_ATT_MASK];
    const tn_expr want[4] = {f->in[0].dim[0], q->heads, q->rows, rows};
    char text[128];
    if (!tn_infer_has(f, TN_ATT_MASK) || t->rank < 0) return NULL;
    bool fits = t->rank >= 1 && t->rank <= 4;
    for (int i = 1; fits && i <= t->rank; i++) {
        int64_t have, full;
        if (!tn_expr_is_const(f->exprs, t->dim[t->rank - i], &have) || have == 1 ||
            !tn_expr_is_const(f->exprs, want[4 - i], &full))
            continue;
        fits = i == 1 ? have <= full : have == full;
    }
    TN_CHECK(fits, TN_INVALID,
             "attn_mask does not broadcast to [batch, heads, queries, keys]: it is %s",
             tn_type_text(f->exprs, t, text, sizeof text));
    return NULL;
}

static tn_status check_heads(tn_infer *f, const lie *q, const lie *k, const lie *v)
{
    int64_t q_heads, kv_heads;
    TN_TRY(check_same(f, q->size, k->size, "the head sizes of Q and K"));
    TN_TRY(check_same(f, k->heads, v->heads, "the heads of K and V"));
    TN_TRY(check_same(f, k->rows, v->rows, "the rows of K and V"));
    TN_TRY(check_same(f, f->in[TN_ATT_Q].dim[0], f->in[TN_ATT_K].dim[0], "the batches of Q and K"));
    TN_TRY(check_same(f, f->in[TN_ATT_Q].dim[0], f->in[TN_ATT_V].dim[0], "the batches of Q and V"));
    if (tn_expr_is_const(f->exprs, q->heads, &q_heads) &&
        tn_expr_is_const(f->exprs, k->heads, &kv_heads))
        TN_CHECK(kv_heads > 0 ? q_heads % kv_heads == 0 : q_heads == 0, TN_INVALID,
                 "%lld query heads do not share %lld key heads evenly", (long long)q_heads,
                 (long long)kv_heads);
    return NULL;
}

static tn_status infer(tn_infer *f)
{
    const tn_attention_params *params = f->params;
    const tn_type *type_q = &f->in[TN_ATT_Q];
    tn_dtype dtype = type_q->dtype, v_dtype = f->in[TN_ATT_V].dtype;
    bool past = tn_infer_has(f, TN_ATT_PAST_K), known = true;
    TN_CHECK(past == tn_infer_has(f, TN_ATT_PAST_V), TN_INVALID,
             "past_key and past_value must be given together");
    TN_CHECK(!past || !tn_infer_has(f, TN_ATT_LENGTHS), TN_INVALID,
             "nonpad_kv_seqlen is for a cache kept outside; past_key cannot be given as well");
    for (int i = 0; i < 3; i++) known = known && f->in[i].rank >= 0;
    if (!known || (past && f->in[TN_ATT_PAST_K].rank < 0)) {
        for (int i = 0; i < 4; i++)
            tn_infer_set(f, i, i == TN_ATT_PRESENT_V ? v_dtype : dtype, -1, NULL);
        return NULL;
    }
    lie q, k, v;
    TN_TRY(lie_of(f, TN_ATT_Q, params->q_num_heads, "q_num_heads", &q));
    TN_TRY(lie_of(f, TN_ATT_K, params->kv_num_heads, "kv_num_heads", &k));
    TN_TRY(lie_of(f, TN_ATT_V, params->kv_num_heads, "kv_num_heads", &v));
    TN_TRY(check_heads(f, &q, &k, &v));
    tn_expr rows = k.rows, batch = type_q->dim[0];
    if (past) {
        TN_TRY(check_past(f, TN_ATT_PAST_K, &k));
        TN_TRY(check_past(f, TN_ATT_PAST_V, &v));
        if (f->in[TN_ATT_PAST_V].rank == 4)
            TN_TRY(check_same(f, f->in[TN_ATT_PAST_K].dim[2], f->in[TN_ATT_PAST_V].dim[2],
                              "the rows of past_key and past_value"));
        rows = tn_expr_add(f->exprs, f->in[TN_ATT_PAST_K].dim[2], k.rows);
    }
    TN_TRY(check_mask(f, &q, rows));
    if (tn_infer_has(f, TN_ATT_LENGTHS) && f->in[TN_ATT_LENGTHS].rank >= 0) {
        TN_CHECK(f->in[TN_ATT_LENGTHS].rank == 1, TN_INVALID, "nonpad_kv_seqlen must be [batch]");
        TN_TRY(
            check_same(f, f->in[TN_ATT_LENGTHS].dim[0], batch, "nonpad_kv_seqlen and the batch"));
    }
    tn_expr y4[] = {batch, q.heads, q.rows, v.size};
    tn_expr y3[] = {batch, q.rows, tn_expr_mul(f->exprs, q.heads, v.size)};
    tn_expr keys[] = {batch, k.heads, rows, k.size}, values[] = {batch, v.heads, rows, v.size};
    tn_expr scores[] = {batch, q.heads, q.rows, rows};
    tn_infer_set(f, TN_ATT_Y, dtype, type_q->rank, type_q->rank == 4 ? y4 : y3);
    tn_infer_set(f, TN_ATT_PRESENT_K, dtype, 4, keys);
    tn_infer_set(f, TN_ATT_PRESENT_V, v_dtype, 4, values);
    tn_infer_set(f, TN_ATT_QK, dtype, 4, scores);
    return NULL;
}

/* ---- Numbers ----------------------------------------------------------------------------------*/

static tn_attention_steps steps_of(int rank, int64_t heads, int64_t rows, int64_t size)
{
    if (rank == 4) return (tn_attention_steps){heads * rows * size, rows * size, size};
    return (tn_attention_steps){heads * rows * size, size, heads * size};
}

void tn_attention_shape_of(const tn_problem *p, tn_attention_shape *s)
{
    const tn_attention_params *params = p->params;
    const tn_tensor *q = &p->in[TN_ATT_Q], *k = &p->in[TN_ATT_K], *v = &p->in[TN_ATT_V];
    bool flat_q = q->rank == 3, flat_k = k->rank == 3, flat_v = v->rank == 3;
    *s = (tn_attention_shape){.batch = q->dim[0]};
    s->q_heads = flat_q ? params->q_num_heads : q->dim[1];
    s->kv_heads = flat_k ? params->kv_num_heads : k->dim[1];
    s->q_rows = q->dim[flat_q ? 1 : 2];
    s->new_rows = k->dim[flat_k ? 1 : 2];
    s->head = flat_q ? q->dim[2] / TN_MAX(s->q_heads, 1) : q->dim[3];
    s->v_head = flat_v ? v->dim[2] / TN_MAX(s->kv_heads, 1) : v->dim[3];
    s->past = tn_wide_has(p, TN_ATT_PAST_K) ? p->in[TN_ATT_PAST_K].dim[2] : 0;
    s->rows = s->past + s->new_rows;
    s->q = steps_of(q->rank, s->q_heads, s->q_rows, s->head);
    s->k = steps_of(k->rank, s->kv_heads, s->new_rows, s->head);
    s->v = steps_of(v->rank, s->kv_heads, s->new_rows, s->v_head);
    s->y = steps_of(q->rank, s->q_heads, s->q_rows, s->v_head);
    s->scale = params->scale != 0 ? params->scale : 1 / sqrt((double)TN_MAX(s->head, 1));
    s->mask_columns = s->rows;
    if (!tn_wide_has(p, TN_ATT_MASK)) return;
    const tn_tensor *mask = &p->in[TN_ATT_MASK];
    int64_t step = 1;
    for (int axis = mask->rank - 1, to = 3; axis >= 0 && to >= 0; axis--, to--) {
        s->mask_step[to] = mask->dim[axis] == 1 ? 0 : step;
        step *= mask->dim[axis];
    }
    if (mask->rank > 0) s->mask_columns = mask->dim[mask->rank - 1];
}

void tn_attention_range(const tn_problem *p, const tn_attention_shape *s, int64_t batch,
                        int64_t row, int64_t *begin, int64_t *end)
{
    const tn_attention_params *params = p->params;
    int64_t at = s->past + row;
    *begin = 0;
    *end = s->rows;
    if (tn_wide_has(p, TN_ATT_LENGTHS)) {
        int64_t length = tn_load_i64(TN_DTYPE_I64, p->in[TN_ATT_LENGTHS].data, batch);
        length = TN_MIN(TN_MAX(length, 0), s->rows);
        *end = length;
        at = length - s->q_rows + row;
    }
    if (params->is_causal) *end = TN_MIN(*end, at + 1);
    if (params->right_window_size >= 0 && params->right_window_size < s->rows)
        *end = TN_MIN(*end, at + params->right_window_size + 1);
    if (params->left_window_size >= 0 && params->left_window_size < s->rows + s->q_rows)
        *begin = TN_MAX(*begin, at - params->left_window_size);
    *end = TN_MAX(*end, 0);
    *begin = TN_MIN(*begin, *end);
}

/* ---- Kernel -----------------------------------------------------------------------------------*/

/* What one head works with, all widened: keys [T, D], values [T, Dv], one query and one row of
 * scores. */
typedef struct work {
    const tn_problem *p;
    const tn_attention_params *params;
    tn_attention_shape s;
    double *key, *value, *query, *score, *y;
} work;

static size_t scratch_bytes(const tn_problem *p)
{
    tn_attention_shape s;
    tn_attention_shape_of(p, &s);
    int64_t cells;
    if (!tn_mul_i64(s.rows, s.head + s.v_head, &cells)) return tn_wide_bytes(INT64_MAX);
    size_t bytes = tn_wide_add(tn_wide_bytes(cells), tn_wide_bytes(s.rows));
    bytes = tn_wide_add(bytes, tn_wide_bytes(s.head));
    /* The key and value parts are rounded up on their own. */
    return tn_wide_add(tn_wide_add(bytes, tn_wide_bytes(s.v_head)), 2 * TN_ALIGNMENT);
}

/* The rows of one head, past and new, widened into `wide` and copied to `present` where it is asked
 * for. `size` is the head size. */
static void take_rows(const work *w, int past_input, int input, int output,
                      tn_attention_steps steps, int64_t size, int64_t batch, int64_t head,
                      double *wide)
{
    const tn_attention_shape *s = &w->s;
    const tn_tensor *fresh = &w->p->in[input], *past = &w->p->in[past_input];
    int64_t plane = batch * s->kv_heads + head;
    if (s->past > 0)
        tn_load_f64s(past->dtype, past->data, plane * s->past * size, s->past * size, wide);
    for (int64_t i = 0; i < s->new_rows; i++)
        tn_load_f64s(fresh->dtype, fresh->data,
                     batch * steps.batch + head * steps.head + i * steps.row, size,
                     wide + (s->past + i) * size);
    if (!tn_wide_wants(w->p, output)) return;
    const tn_tensor *present = &w->p->out[output];
    int64_t to = plane * s->rows * size;
    if (s->past > 0)
        tn_copy_elements(present->dtype, present->data, to, past->data, plane * s->past * size,
                         s->past * size);
    for (int64_t i = 0; i < s->new_rows; i++)
        tn_copy_elements(present->dtype, present->data, to + (s->past + i) * size, fresh->data,
                         batch * steps.batch + head * steps.head + i * steps.row, size);
}

static double bias_of(const work *w, int64_t mask_at, int64_t column)
{
    const tn_tensor *mask = &w->p->in[TN_ATT_MASK];
    const tn_attention_shape *s = &w->s;
    if (!tn_wide_has(w->p, TN_ATT_MASK)) return 0;
    if (s->mask_columns != 1 && column >= s->mask_columns) return -INFINITY;
    double value = tn_load_f64(mask->dtype, mask->data, mask_at + column * s->mask_step[3]);
    if (mask->dtype == TN_DTYPE_BOOL) return value != 0 ? 0 : -INFINITY;
    return value;
}

static void show_scores(const work *w, int64_t mode, int64_t at)
{
    if (w->params->qk_matmul_output_mode != mode || !tn_wide_wants(w->p, TN_ATT_QK)) return;
    const tn_tensor *qk = &w->p->out[TN_ATT_QK];
    tn_store_f64s(qk->dtype, qk->data, at, w->s.rows, w->score);
}

/* Scores with bias; false if no key may be seen. */
static bool score_row(const work *w, int64_t mask_at, int64_t begin, int64_t end, int64_t show_at)
{
    const tn_attention_shape *s = &w->s;
    bool seen = false;
    for (int64_t j = 0; j < s->rows; j++) {
        double sum = 0;
        for (int64_t d = 0; d < s->head; d++) sum += w->query[d] * w->key[j * s->head + d];
        w->score[j] = sum * s->scale;
    }
    show_scores(w, QK_RAW, show_at);
    if (w->params->softcap > 0)
        for (int64_t j = 0; j < s->rows; j++)
            w->score[j] = w->params->softcap * tanh(w->score[j] / w->params->softcap);
    show_scores(w, QK_CAPPED, show_at);
    for (int64_t j = 0; j < s->rows; j++) {
        double bias = j < begin || j >= end ? -INFINITY : bias_of(w, mask_at, j);
        seen = seen || bias != -INFINITY;
        w->score[j] = bias == -INFINITY ? -INFINITY : w->score[j] + bias;
    }
    show_scores(w, QK_BIASED, show_at);
    return seen;
}

static void softmax_row(double *score, int64_t count)
{
    double top = -INFINITY, sum = 0;
    for (int64_t j = 0; j < count; j++)
        if (score[j] > top || isnan(score[j])) top = score[j];
    for (int64_t j = 0; j < count; j++) {
        score[j] = score[j] == -INFINITY ? 0 : exp(score[j] - top);
        sum += score[j];
    }
    for (int64_t j = 0; j < count && sum != 0; j++) score[j] /= sum;
}

static void run_query(const work *w, int64_t batch, int64_t head, int64_t row)
{
    const tn_attention_shape *s = &w->s;
    const tn_tensor *q = &w->p->in[TN_ATT_Q], *y = &w->p->out[TN_ATT_Y];
    int64_t begin, end, show_at = ((batch * s->q_heads + head) * s->q_rows + row) * s->rows;
    int64_t mask_at = batch * s->mask_step[0] + head * s->mask_step[1] + row * s->mask_step[2];
    tn_load_f64s(q->dtype, q->data, batch * s->q.batch + head * s->q.head + row * s->q.row, s->head,
                 w->query);
    tn_attention_range(w->p, s, batch, row, &begin, &end);
    bool seen = score_row(w, mask_at, begin, end, show_at);
    if (seen) softmax_row(w->score, s->rows);
    else
        for (int64_t j = 0; j < s->rows; j++) w->score[j] = 0;
    show_scores(w, QK_SOFTMAX, show_at);
    for (int64_t d = 0; d < s->v_head; d++) w->y[d] = 0;
    /* A masked key adds nothing, whatever its value holds. */
    for (int64_t j = 0; j < s->rows; j++) {
        if (w->score[j] == 0) continue;
        for (int64_t d = 0; d < s->v_head; d++)
            w->y[d] += w->score[j] * w->value[j * s->v_head + d];
    }
    tn_store_f64s(y->dtype, y->data, batch * s->y.batch + head * s->y.head + row * s->y.row,
                  s->v_head, w->y);
}

static tn_status reference(const tn_launch *l)
{
    work w = {.p = l->problem, .params = l->problem->params};
    void *scratch = l->scratch;
    tn_attention_shape_of(w.p, &w.s);
    w.key = tn_wide_take(&scratch, w.s.rows * w.s.head);
    w.value = tn_wide_take(&scratch, w.s.rows * w.s.v_head);
    w.score = tn_wide_take(&scratch, w.s.rows);
    w.query = tn_wide_take(&scratch, w.s.head);
    w.y = tn_wide_take(&scratch, w.s.v_head);
    int64_t group = w.s.kv_heads > 0 ? w.s.q_heads / w.s.kv_heads : 0;
    for (int64_t b = 0; b < w.s.batch; b++) {
        for (int64_t h = 0; h < w.s.kv_heads; h++) {
            take_rows(&w, TN_ATT_PAST_K, TN_ATT_K, TN_ATT_PRESENT_K, w.s.k, w.s.head, b, h, w.key);
            take_rows(&w, TN_ATT_PAST_V, TN_ATT_V, TN_ATT_PRESENT_V, w.s.v, w.s.v_head, b, h,
                      w.value);
            for (int64_t g = 0; g < group; g++)
                for (int64_t row = 0; row < w.s.q_rows; row++) run_query(&w, b, h * group + g, row);
        }
    }
    return NULL;
}

extern const tn_case tn_attention_cases[];

const tn_op tn_op_attention = {
    .name = "Attention",
    .since = 25,
    .about =
        "softmax(Q K^T * scale + mask) V by heads, with caches, causal masks, windows and softcap",
    .in = ins,
    .in_count = TN_COUNT(ins),
    .out = outs,
    .out_count = TN_COUNT(outs),
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_attention_params),
    .lower = lower,
    .infer = infer,
    .reference = reference,
    .scratch_bytes = scratch_bytes,
    .cases = tn_attention_cases,
};
