/* WindowAttention, of the domain "tenon": attention within the windows of an image whose tokens
 * stay in the order of the image.
 *
 *     QKV [B, H, W, 3 * E]: for each token q, k and v one after the other, each [heads, head size]
 *     bias [heads, S, S] or [1, heads, S, S], S = window[0] * window[1]
 *     Y [B, H, W, E], E = heads * head size
 *
 * The image, moved up and left by `shift` and round its edges, is cut into windows, and the tokens
 * of each attend to each other: score = scale * q . k + bias. Round the edges, windows hold tokens
 * that are no neighbours: where two come from different sides of an edge, `mask` is added, a finite
 * number. So every key has its weight, however small.
 *
 * This is the attention of Swin transformers: cutting, turning and putting together again are where
 * tokens are read and written, and what stands on either side (norms, products) works on one token
 * at a time and does not care for the order. */
#include "ops/window_attention/window_attention.h"

#include <math.h>

#include "ir/op.h"
#include "ops/wide/wide.h"

static const tn_field fields[] = {
    {.name = "heads",
     .kind = TN_FIELD_INT,
     .offset = offsetof(tn_window_attention_params, heads),
     .required = true},
    TN_FLOAT(tn_window_attention_params, scale, 0),
    TN_FLOAT(tn_window_attention_params, mask, 0),
    {.name = "window",
     .kind = TN_FIELD_INTS,
     .offset = offsetof(tn_window_attention_params, window),
     .required = true},
    TN_INT_LIST(tn_window_attention_params, shift),
};
static const tn_port ins[] = {
    {"QKV", TN_DTS_FLOAT, 'T', 0},
    {"bias", TN_DTS_FLOAT, 'T', TN_PORT_OPTIONAL},
};
static const tn_port outs[] = {{"Y", TN_DTS_FLOAT, 'T', 0}};

enum { WINDOW_MAX = 1 << 12 };

static tn_status lower(const tn_node *node, void *params_out)
{
    const tn_window_attention_params *params = params_out;
    (void)node;
    TN_CHECK(params->heads > 0 && params->heads <= INT32_MAX, TN_INVALID, "there are %lld heads",
             (long long)params->heads);
    TN_CHECK(isfinite(params->mask), TN_INVALID, "'mask' is not a finite number");
    TN_CHECK(params->window.count == 2, TN_INVALID, "'window' is not two sizes");
    TN_CHECK(params->shift.count < 0 || params->shift.count == 2, TN_INVALID,
             "'shift' is not two numbers");
    for (int i = 0; i < 2; i++) {
        int64_t window = params->window.at[i], shift = params->shift.at[i];
        TN_CHECK(window > 0 && window <= WINDOW_MAX, TN_INVALID, "windows have %lld tokens a side",
                 (long long)window);
        TN_CHECK(params->shift.count < 0 || (shift >= 0 && shift < window), TN_INVALID,
                 "a shift of %lld in windows of %lld", (long long)shift, (long long)window);
    }
    return NULL;
}

/* ---- Types ------------------------------------------------------------------------------------*/

static tn_status check_bias(tn_infer *f)
{
    const tn_window_attention_params *params = f->params;
    const tn_type *t = &f->in[TN_WATT_BIAS];
    const int64_t rows = params->window.at[0] * params->window.at[1];
    const int64_t full[4] = {1, params->heads, rows, rows};
    char text[128];
    int64_t have;
    if (!tn_infer_has(f, TN_WATT_BIAS) || t->rank < 0) return NULL;
    bool fits = t->rank == 3 || t->rank == 4;
    for (int i = 1; fits && i <= t->rank; i++)
        fits = !tn_expr_is_const(f->exprs, t->dim[t->rank - i], &have) || have == full[4 - i];
    TN_CHECK(fits, TN_INVALID, "the bias is not [heads, rows, rows]: it is %s",
             tn_type_text(f->exprs, t, text, sizeof text));
    return NULL;
}

static tn_status infer(tn_infer *f)
{
    const tn_window_attention_params *params = f->params;
    const tn_type *x = &f->in[TN_WATT_QKV];
    char text[128];
    int64_t size;
    TN_TRY(check_bias(f));
    if (x->rank < 0) {
        tn_infer_set(f, 0, x->dtype, -1, NULL);
        return NULL;
    }
    TN_CHECK(x->rank == 4, TN_INVALID, "QKV must be [batch, height, breadth, 3 * width]: it is %s",
             tn_type_text(f->exprs, x, text, sizeof text));
    if (tn_expr_is_const(f->exprs, x->dim[3], &size))
        TN_CHECK(size % (3 * params->heads) == 0, TN_INVALID,
                 "%lld columns do not divide into queries, keys and values of %lld heads",
                 (long long)size, (long long)params->heads);
    for (int i = 0; i < 2; i++)
        if (tn_expr_is_const(f->exprs, x->dim[1 + i], &size))
            TN_CHECK(size % params->window.at[i] == 0, TN_INVALID,
                     "windows of %lld do not divide %lld tokens", (long long)params->window.at[i],
                     (long long)size);
    const tn_expr y[4] = {x->dim[0], x->dim[1], x->dim[2],
                          tn_expr_div(f->exprs, x->dim[3], tn_expr_const(f->exprs, 3))};
    tn_infer_set(f, 0, x->dtype, 4, y);
    return NULL;
}

/* ---- Numbers ----------------------------------------------------------------------------------*/

void tn_window_attention_shape_of(const tn_problem *p, tn_window_attention_shape *s)
{
    const tn_window_attention_params *params = p->params;
    const tn_tensor *x = &p->in[TN_WATT_QKV];
    *s = (tn_window_attention_shape){.batch = x->dim[0],
                                     .heads = params->heads,
                                     .width = x->dim[3] / 3,
                                     .rows = 1,
                                     .windows = 1,
                                     .mask = params->mask};
    s->head = s->width / s->heads;
    s->scale = params->scale != 0 ? params->scale : 1 / sqrt((double)TN_MAX(s->head, 1));
    for (int i = 0; i < 2; i++) {
        s->size[i] = x->dim[1 + i];
        s->window[i] = params->window.at[i];
        s->shift[i] = params->shift.count == 2 ? params->shift.at[i] : 0;
        s->count[i] = s->size[i] / s->window[i];
        s->rows *= s->window[i];
        s->windows *= s->count[i];
    }
    if (!s->shift[0] && !s->shift[1]) s->mask = 0;
}

/* ---- Kernel -----------------------------------------------------------------------------------*/

/* One head of one window, widened: queries, keys, values [rows, head], and one row of scores. */
typedef struct work {
    const tn_problem *p;
    tn_window_attention_shape s;
    double *part[3], *score, *y;
} work;

static size_t scratch_bytes(const tn_problem *p)
{
    tn_window_attention_shape s;
    tn_window_attention_shape_of(p, &s);
    size_t bytes = tn_wide_add(tn_wide_bytes(s.rows), tn_wide_bytes(s.head));
    for (int i = 0; i < 3; i++) bytes = tn_wide_add(bytes, tn_wide_bytes(s.rows * s.head));
    return bytes;
}

static void run_row(const work *w, int64_t window, int64_t head, int64_t row)
{
    const tn_window_attention_shape *s = &w->s;
    const double *q = w->part[0] + row * s->head;
    int region = tn_window_region(s, window, row);
    double top = -INFINITY, sum = 0;
    for (int64_t j = 0; j < s->rows; j++) {
        double dot = 0;
        for (int64_t d = 0; d < s->head; d++) dot += q[d] * w->part[1][j * s->head + d];
        w->score[j] = dot * s->scale;
        if (tn_wide_has(w->p, TN_WATT_BIAS))
            w->score[j] += tn_load_f64(w->p->in[TN_WATT_BIAS].dtype, w->p->in[TN_WATT_BIAS].data,
                                       (head * s->rows + row) * s->rows + j);
        if (tn_window_region(s, window, j) != region) w->score[j] += s->mask;
        if (w->score[j] > top || isnan(w->score[j])) top = w->score[j];
    }
    for (int64_t d = 0; d < s->head; d++) w->y[d] = 0;
    for (int64_t j = 0; j < s->rows; j++) {
        double weight = exp(w->score[j] - top);
        sum += weight;
        for (int64_t d = 0; d < s->head; d++) w->y[d] += weight * w->part[2][j * s->head + d];
    }
    for (int64_t d = 0; d < s->head; d++) w->y[d] /= sum;
}

static void run_window(const work *w, int64_t batch, int64_t window, int64_t head)
{
    const tn_window_attention_shape *s = &w->s;
    const tn_tensor *x = &w->p->in[TN_WATT_QKV], *y = &w->p->out[0];
    int64_t image = batch * s->size[0] * s->size[1];
    for (int i = 0; i < 3; i++)
        for (int64_t row = 0; row < s->rows; row++)
            tn_load_f64s(x->dtype, x->data,
                         ((image + tn_window_token(s, window, row)) * 3 + i) * s->width +
                             head * s->head,
                         s->head, w->part[i] + row * s->head);
    for (int64_t row = 0; row < s->rows; row++) {
        run_row(w, window, head, row);
        tn_store_f64s(y->dtype, y->data,
                      (image + tn_window_token(s, window, row)) * s->width + head * s->head,
                      s->head, w->y);
    }
}

static tn_status reference(const tn_launch *l)
{
    work w = {.p = l->problem};
    void *scratch = l->scratch;
    tn_window_attention_shape_of(w.p, &w.s);
    for (int i = 0; i < 3; i++) w.part[i] = tn_wide_take(&scratch, w.s.rows * w.s.head);
    w.score = tn_wide_take(&scratch, w.s.rows);
    w.y = tn_wide_take(&scratch, w.s.head);
    for (int64_t b = 0; b < w.s.batch; b++)
        for (int64_t window = 0; window < w.s.windows; window++)
            for (int64_t head = 0; head < w.s.heads; head++) run_window(&w, b, window, head);
    return NULL;
}

extern const tn_case tn_window_attention_cases[];

const tn_op tn_op_window_attention = {
    .name = "WindowAttention",
    .domain = "tenon",
    .since = 1,
    .about = "attention within the (shifted) windows of an image, tokens in the image's order",
    .in = ins,
    .in_count = TN_COUNT(ins),
    .out = outs,
    .out_count = TN_COUNT(outs),
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_window_attention_params),
    .lower = lower,
    .infer = infer,
    .reference = reference,
    .scratch_bytes = scratch_bytes,
    .cases = tn_window_attention_cases,
};
