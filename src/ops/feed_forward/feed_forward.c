/* FeedForward, of the domain "tenon": the second half of a transformer's layer.
 *
 *     Y = X + activation(norm(X) W1 + bias1) W2 + bias2
 *
 * norm(X) = (X - mean) / sqrt(variance + epsilon) * scale + shift over the last axis. X is [...,
 * C], W1 [C, H], W2 [H, C]; shift and the biases are optional. A pass makes it of a
 * LayerNormalization and two Linears for cards that keep the wide middle where it is made. */
#include "ops/feed_forward/feed_forward.h"

#include <math.h>

#include "ir/op.h"
#include "ops/norm/norm.h"
#include "ops/wide/wide.h"

static const tn_field fields[] = {
    TN_EPILOGUE_FIELDS(tn_feed_forward_params, epilogue),
    TN_FLOAT(tn_feed_forward_params, epsilon, 1e-5),
};
static const tn_port ins[] = {
    {"X", TN_DTS_FLOAT, 'T', 0},
    {"scale", TN_DTS_FLOAT, 'T', 0},
    {"shift", TN_DTS_FLOAT, 'T', TN_PORT_OPTIONAL},
    {"W1", TN_DTS_FLOAT, 'T', 0},
    {"bias1", TN_DTS_FLOAT, 'T', TN_PORT_OPTIONAL},
    {"W2", TN_DTS_FLOAT, 'T', 0},
    {"bias2", TN_DTS_FLOAT, 'T', TN_PORT_OPTIONAL},
};
static const tn_port outs[] = {{"Y", TN_DTS_FLOAT, 'T', 0}};

/* ---- Types ------------------------------------------------------------------------------------*/

static tn_status infer(tn_infer *f)
{
    static const int ranks[TN_FF_INS] = {-1, 1, 1, 2, 1, 2, 1};
    const tn_type *x = &f->in[TN_FF_X], *w1 = &f->in[TN_FF_W1], *w2 = &f->in[TN_FF_W2];
    bool known = x->rank >= 0;
    TN_CHECK(x->rank != 0, TN_INVALID, "X has no axes");
    TN_TRY(tn_infer_ranks(f, ranks, f->in_count, &known));
    tn_infer_same(f, 0, TN_FF_X);
    if (!known) return NULL;
    tn_expr width = x->dim[x->rank - 1];
    TN_TRY(tn_infer_size(f, TN_FF_W1, 0, width));
    TN_TRY(tn_infer_size(f, TN_FF_W2, 1, width));
    TN_TRY(tn_infer_size(f, TN_FF_W2, 0, w1->dim[1]));
    TN_TRY(tn_infer_size(f, TN_FF_SCALE, 0, width));
    TN_TRY(tn_infer_size(f, TN_FF_SHIFT, 0, width));
    TN_TRY(tn_infer_size(f, TN_FF_BIAS1, 0, w1->dim[1]));
    TN_TRY(tn_infer_size(f, TN_FF_BIAS2, 0, w2->dim[1]));
    return NULL;
}

void tn_feed_forward_shape_of(const tn_problem *p, tn_feed_forward_shape *s)
{
    const tn_tensor *x = &p->in[TN_FF_X];
    *s = (tn_feed_forward_shape){
        .rows = 1, .width = x->dim[x->rank - 1], .hidden = p->in[TN_FF_W1].dim[1]};
    for (int i = 0; i < x->rank - 1; i++) s->rows *= x->dim[i];
}

bool tn_feed_forward_fits(int64_t rows, int64_t width, int64_t hidden)
{
    const int64_t most = 384 * 1536, blocks = 264;
    return width > 0 && width <= 384 && width % 32 == 0 && hidden > 0 && hidden % 32 == 0 &&
           hidden <= most / width && rows <= blocks * 32 * (most / 16) / (width * hidden);
}

/* ---- Kernel -----------------------------------------------------------------------------------*/

static size_t scratch_bytes(const tn_problem *p)
{
    tn_feed_forward_shape s;
    tn_feed_forward_shape_of(p, &s);
    size_t bytes = tn_wide_add(tn_wide_bytes(s.width), tn_wide_bytes(s.width));
    bytes = tn_wide_add(bytes, tn_wide_bytes(s.hidden));
    for (int i = 1; i < p->in_count; i++)
        bytes = tn_wide_add(bytes, tn_wide_tensor_bytes(&p->in[i]));
    return bytes;
}

static tn_status reference(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_feed_forward_params *params = p->params;
    const tn_tensor *x = &p->in[TN_FF_X], *y = &p->out[0];
    const double *in[TN_FF_INS] = {NULL};
    void *scratch = l->scratch;
    tn_feed_forward_shape s;
    tn_feed_forward_shape_of(p, &s);
    double *row = tn_wide_take(&scratch, s.width), *sum = tn_wide_take(&scratch, s.width);
    double *hidden = tn_wide_take(&scratch, s.hidden), mean, variance;
    for (int i = 1; i < p->in_count; i++) in[i] = tn_wide_load(&scratch, &p->in[i]);
    for (int64_t r = 0; s.width && r < s.rows; r++) {
        tn_load_f64s(x->dtype, x->data, r * s.width, s.width, row);
        tn_norm_moments(row, s.width, &mean, &variance);
        for (int64_t c = 0; c < s.width; c++) {
            sum[c] = row[c] + (in[TN_FF_BIAS2] ? in[TN_FF_BIAS2][c] : 0);
            row[c] = (row[c] - mean) / sqrt(variance + params->epsilon) * in[TN_FF_SCALE][c];
            if (in[TN_FF_SHIFT]) row[c] += in[TN_FF_SHIFT][c];
        }
        for (int64_t h = 0; h < s.hidden; h++) hidden[h] = in[TN_FF_BIAS1] ? in[TN_FF_BIAS1][h] : 0;
        tn_wide_matmul(1, s.hidden, s.width, row, s.width, in[TN_FF_W1], s.hidden, hidden,
                       s.hidden);
        for (int64_t h = 0; h < s.hidden; h++)
            hidden[h] = tn_epilogue_of(&params->epilogue, hidden[h]);
        tn_wide_matmul(1, s.width, s.hidden, hidden, s.hidden, in[TN_FF_W2], s.width, sum, s.width);
        tn_store_f64s(y->dtype, y->data, r * s.width, s.width, sum);
    }
    return NULL;
}

extern const tn_case tn_feed_forward_cases[];

const tn_op tn_op_feed_forward = {
    .name = "FeedForward",
    .domain = "tenon",
    .since = 1,
    .about = "x + activation(norm(x) W1 + bias1) W2 + bias2, norm over the last axis",
    .in = ins,
    .in_count = TN_COUNT(ins),
    .out = outs,
    .out_count = TN_COUNT(outs),
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_feed_forward_params),
    .infer = infer,
    .reference = reference,
    .scratch_bytes = scratch_bytes,
    .cases = tn_feed_forward_cases,
};
