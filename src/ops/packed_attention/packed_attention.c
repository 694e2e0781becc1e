/* PackedAttention, of the domain "tenon": attention of a sequence to itself, with queries, keys and
 * values side by side as one product leaves them.
 *
 *     QKV [B, S, 3 * E]: for each token q, k and v one after the other, each [heads, head size]
 *     score = scale * q . k + bias + mask;  probability = softmax(score);  y = sum(probability * v)
 *     Y [B, S, E], E = heads * head size
 *
 * The mask is broadcast to [B, heads, S, S] from the right, except that its first axis may be any m
 * that divides B: batch b reads mask b % m, as the windows of an image do. The bias is [heads, S,
 * S] or [1, heads, S, S]. As with Attention, a key whose bias and mask come to -inf counts for
 * nothing, whatever its score and value hold, and a query that sees no key gives zeros. */
#include "ops/packed_attention/packed_attention.h"

#include <math.h>

#include "ir/op.h"
#include "ops/wide/wide.h"

static const tn_field fields[] = {
    {.name = "heads",
     .kind = TN_FIELD_INT,
     .offset = offsetof(tn_packed_attention_params, heads),
     .required = true},
    TN_FLOAT(tn_packed_attention_params, scale, 0),
};
static const tn_port ins[] = {
    {"QKV", TN_DTS_FLOAT, 'T', 0},
    {"mask", TN_DTS_FLOAT, 'T', TN_PORT_OPTIONAL},
    {"bias", TN_DTS_FLOAT, 'T', TN_PORT_OPTIONAL},
};
static const tn_port outs[] = {{"Y", TN_DTS_FLOAT, 'T', 0}};

static tn_status lower(const tn_node *node, void *params_out)
{
    const tn_packed_attention_params *params = params_out;
    (void)node;
    TN_CHECK(params->heads > 0 && params->heads <= INT32_MAX, TN_INVALID, "there are %lld heads",
             (long long)params->heads);
    return NULL;
}

/* ---- Types ------------------------------------------------------------------------------------*/

/* Both known and in conflict? `times`: `full` may be a multiple of `have`. */
static bool conflicts(tn_infer *f, tn_expr have, tn_expr full, bool times)
{
    int64_t a, b;
    if (!tn_expr_is_const(f->exprs, have, &a) || !tn_expr_is_const(f->exprs, full, &b))
        return false;
    return times && a > 0 ? b % a != 0 : a != b;
}

static tn_status check_mask(tn_infer *f, const tn_expr *full)
{
    const tn_type *t = &f->in[TN_PATT_MASK];
    char text[128];
    if (!tn_infer_has(f, TN_PATT_MASK) || t->rank < 0) return NULL;
    bool fits = t->rank <= 4;
    for (int i = 1; fits && i <= t->rank; i++) {
        tn_expr have = t->dim[t->rank - i];
        fits = tn_expr_equals(f->exprs, have, 1) || !conflicts(f, have, full[4 - i], i == 4);
    }
    TN_CHECK(fits, TN_INVALID,
             "the mask does not broadcast to [batch, heads, rows, rows], and its batch does not "
             "divide that of QKV: it is %s",
             tn_type_text(f->exprs, t, text, sizeof text));
    return NULL;
}

static tn_status check_bias(tn_infer *f, const tn_expr *full)
{
    const tn_type *t = &f->in[TN_PATT_BIAS];
    char text[128];
    if (!tn_infer_has(f, TN_PATT_BIAS) || t->rank < 0) return NULL;
    bool fits = t->rank == 3 || t->rank == 4;
    for (int i = 1; fits && i <= 3; i++)
        fits = !conflicts(f, t->dim[t->rank - i], full[4 - i], false);
    if (fits && t->rank == 4) fits = !conflicts(f, t->dim[0], tn_expr_const(f->exprs, 1), false);
    TN_CHECK(fits, TN_INVALID, "the bias is not [heads, rows, rows]: it is %s",
             tn_type_text(f->exprs, t, text, sizeof text));
    return NULL;
}

static tn_status infer(tn_infer *f)
{
    const tn_packed_attention_params *params = f->params;
    const tn_type *x = &f->in[TN_PATT_QKV];
    char text[128];
    int64_t width;
    if (x->rank < 0) {
        tn_infer_set(f, 0, x->dtype, -1, NULL);
        return NULL;
    }
    TN_CHECK(x->rank == 3, TN_INVALID, "QKV must be [batch, rows, 3 * width]: it is %s",
             tn_type_text(f->exprs, x, text, sizeof text));
    if (tn_expr_is_const(f->exprs, x->dim[2], &width))
        TN_CHECK(width % (3 * params->heads) == 0, TN_INVALID,
                 "%lld columns do not divide into queries, keys and values of %lld heads",
                 (long long)width, (long long)params->heads);
    const tn_expr full[4] = {x->dim[0], tn_expr_const(f->exprs, params->heads), x->dim[1],
                             x->dim[1]};
    TN_TRY(check_mask(f, full));
    TN_TRY(check_bias(f, full));
    const tn_expr y[3] = {x->dim[0], x->dim[1],
                          tn_expr_div(f->exprs, x->dim[2], tn_expr_const(f->exprs, 3))};
    tn_infer_set(f, 0, x->dtype, 3, y);
    return NULL;
}

/* ---- Numbers ----------------------------------------------------------------------------------*/

void tn_packed_attention_shape_of(const tn_problem *p, tn_packed_attention_shape *s)
{
    const tn_packed_attention_params *params = p->params;
    const tn_tensor *x = &p->in[TN_PATT_QKV];
    *s = (tn_packed_attention_shape){.batch = x->dim[0],
                                     .rows = x->dim[1],
                                     .heads = params->heads,
                                     .width = x->dim[2] / 3,
                                     .mask_batches = 1};
    s->head = s->width / s->heads;
    s->scale = params->scale != 0 ? params->scale : 1 / sqrt((double)TN_MAX(s->head, 1));
    s->bias_step[0] = s->rows * s->rows;
    s->bias_step[1] = s->rows;
    if (!tn_wide_has(p, TN_PATT_MASK)) return;
    const tn_tensor *mask = &p->in[TN_PATT_MASK];
    int64_t step = 1;
    for (int axis = mask->rank - 1, to = 3; axis >= 0; axis--, to--) {
        s->mask_step[to] = mask->dim[axis] == 1 ? 0 : step;
        step *= mask->dim[axis];
    }
    if (mask->rank == 4) s->mask_batches = TN_MAX(mask->dim[0], 1);
}

/* ---- Kernel -----------------------------------------------------------------------------------*/

/* One head, widened: queries, keys, values [rows, head], and one row of scores. */
typedef struct work {
    const tn_problem *p;
    tn_packed_attention_shape s;
    double *part[3], *score, *y;
} work;

static size_t scratch_bytes(const tn_problem *p)
{
    tn_packed_attention_shape s;
    tn_packed_attention_shape_of(p, &s);
    size_t bytes = tn_wide_add(tn_wide_bytes(s.rows), tn_wide_bytes(s.head));
    for (int i = 0; i < 3; i++) bytes = tn_wide_add(bytes, tn_wide_bytes(s.rows * s.head));
    return bytes;
}

static double addend(const tn_problem *p, int input, int64_t at)
{
    if (!tn_wide_has(p, input)) return 0;
    return tn_load_f64(p->in[input].dtype, p->in[input].data, at);
}

/* The largest score; -inf if no key may be seen. */
static double score_row(const work *w, int64_t batch, int64_t head, int64_t row)
{
    const tn_packed_attention_shape *s = &w->s;
    int64_t mask_at =
        batch % s->mask_batches * s->mask_step[0] + head * s->mask_step[1] + row * s->mask_step[2];
    int64_t bias_at = head * s->bias_step[0] + row * s->bias_step[1];
    const double *q = w->part[0] + row * s->head;
    double top = -INFINITY;
    for (int64_t j = 0; j < s->rows; j++) {
        double sum = 0, more = addend(w->p, TN_PATT_MASK, mask_at + j * s->mask_step[3]) +
                               addend(w->p, TN_PATT_BIAS, bias_at + j);
        for (int64_t d = 0; d < s->head; d++) sum += q[d] * w->part[1][j * s->head + d];
        w->score[j] = more == -INFINITY ? -INFINITY : sum * s->scale + more;
        if (w->score[j] > top || isnan(w->score[j])) top = w->score[j];
    }
    return top;
}

static void run_row(const work *w, double top)
{
    const tn_packed_attention_shape *s = &w->s;
    double sum = 0;
    for (int64_t d = 0; d < s->head; d++) w->y[d] = 0;
    if (top == -INFINITY) return;
    for (int64_t j = 0; j < s->rows; j++) {
        double weight = w->score[j] == -INFINITY ? 0 : exp(w->score[j] - top);
        sum += weight;
        if (weight == 0) continue;
        for (int64_t d = 0; d < s->head; d++) w->y[d] += weight * w->part[2][j * s->head + d];
    }
    for (int64_t d = 0; d < s->head; d++) w->y[d] /= sum;
}

static tn_status reference(const tn_launch *l)
{
    work w = {.p = l->problem};
    const tn_tensor *x = &w.p->in[TN_PATT_QKV], *y = &w.p->out[0];
    void *scratch = l->scratch;
    tn_packed_attention_shape_of(w.p, &w.s);
    const tn_packed_attention_shape *s = &w.s;
    for (int i = 0; i < 3; i++) w.part[i] = tn_wide_take(&scratch, s->rows * s->head);
    w.score = tn_wide_take(&scratch, s->rows);
    w.y = tn_wide_take(&scratch, s->head);
    for (int64_t b = 0; b < s->batch; b++) {
        for (int64_t h = 0; h < s->heads; h++) {
            for (int i = 0; i < 3; i++)
                for (int64_t row = 0; row < s->rows; row++)
                    tn_load_f64s(x->dtype, x->data,
                                 ((b * s->rows + row) * 3 + i) * s->width + h * s->head, s->head,
                                 w.part[i] + row * s->head);
            for (int64_t row = 0; row < s->rows; row++) {
                run_row(&w, score_row(&w, b, h, row));
                tn_store_f64s(y->dtype, y->data, (b * s->rows + row) * s->width + h * s->head,
                              s->head, w.y);
            }
        }
    }
    return NULL;
}

extern const tn_case tn_packed_attention_cases[];

const tn_op tn_op_packed_attention = {
    .name = "PackedAttention",
    .domain = "tenon",
    .since = 1,
    .about =
        "softmax(scale * q k^T + bias + mask) v by heads, q, k and v being one tensor's thirds",
    .in = ins,
    .in_count = TN_COUNT(ins),
    .out = outs,
    .out_count = TN_COUNT(outs),
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_packed_attention_params),
    .lower = lower,
    .infer = infer,
    .reference = reference,
    .scratch_bytes = scratch_bytes,
    .cases = tn_packed_attention_cases,
};
