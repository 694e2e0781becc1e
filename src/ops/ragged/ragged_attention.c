/* RaggedAttention, of the domain "tenon": attention within each sentence of a batch whose tokens
 * lie one after the other.
 *
 *     QKV [N, 3 * E]: for each token q, k and v, each [heads, head size]
 *     start [B + 1]: tokens start[b] to start[b + 1] - 1 are sentence b
 *     mask [N]: added to the scores of a token as a key
 *     score = scale * q . k + mask;  probability = softmax(score);  y = sum(probability * v)
 *     Y [N, E]
 *
 * A key whose mask is -inf counts for nothing, and a query that sees no key gives zeros. */
#include <math.h>

#include "ir/op.h"
#include "ops/ragged/ragged.h"
#include "ops/wide/wide.h"

static const tn_field fields[] = {
    {.name = "heads",
     .kind = TN_FIELD_INT,
     .offset = offsetof(tn_ragged_attention_params, heads),
     .required = true},
    TN_FLOAT(tn_ragged_attention_params, scale, 0),
};
static const tn_port ins[] = {
    {"QKV", TN_DTS_FLOAT, 'T', 0},
    {"start", TN_DT(I64), 0, 0},
    {"mask", TN_DTS_FLOAT, 'T', TN_PORT_OPTIONAL},
};
static const tn_port outs[] = {{"Y", TN_DTS_FLOAT, 'T', 0}};

static tn_status lower(const tn_node *node, void *params_out)
{
    const tn_ragged_attention_params *params = params_out;
    (void)node;
    TN_CHECK(params->heads > 0 && params->heads <= INT32_MAX, TN_INVALID, "there are %lld heads",
             (long long)params->heads);
    return NULL;
}

static tn_status infer(tn_infer *f)
{
    const tn_ragged_attention_params *params = f->params;
    const tn_type *x = &f->in[TN_RAGGED_QKV], *start = &f->in[TN_RAGGED_START];
    char text[128];
    int64_t width;
    TN_CHECK(start->rank < 0 || start->rank == 1, TN_INVALID, "start must be a vector: it is %s",
             tn_type_text(f->exprs, start, text, sizeof text));
    if (x->rank < 0) {
        tn_infer_set(f, 0, x->dtype, -1, NULL);
        return NULL;
    }
    TN_CHECK(x->rank == 2, TN_INVALID, "QKV must be [tokens, 3 * width]: it is %s",
             tn_type_text(f->exprs, x, text, sizeof text));
    if (tn_expr_is_const(f->exprs, x->dim[1], &width))
        TN_CHECK(width % (3 * params->heads) == 0, TN_INVALID,
                 "%lld columns do not divide into queries, keys and values of %lld heads",
                 (long long)width, (long long)params->heads);
    if (tn_infer_has(f, TN_RAGGED_MASK)) {
        const tn_type *mask = &f->in[TN_RAGGED_MASK];
        int64_t have, want;
        bool fits = mask->rank < 0 || mask->rank == 1;
        if (mask->rank == 1 && tn_expr_is_const(f->exprs, mask->dim[0], &have) &&
            tn_expr_is_const(f->exprs, x->dim[0], &want))
            fits = have == want;
        TN_CHECK(fits, TN_INVALID, "the mask is not a number for each token: it is %s",
                 tn_type_text(f->exprs, mask, text, sizeof text));
    }
    const tn_expr y[2] = {x->dim[0], tn_expr_div(f->exprs, x->dim[1], tn_expr_const(f->exprs, 3))};
    tn_infer_set(f, 0, x->dtype, 2, y);
    return NULL;
}

/* ---- Kernel -----------------------------------------------------------------------------------*/

static size_t scratch_bytes(const tn_problem *p)
{
    return tn_wide_add(tn_wide_bytes(p->in[TN_RAGGED_QKV].dim[0]),
                       tn_wide_bytes(p->in[TN_RAGGED_QKV].dim[1]));
}

typedef struct work {
    const tn_problem *p;
    int64_t width, head;
    double scale, *score, *y;
} work;

static double element(const work *w, int64_t token, int part, int64_t column)
{
    const tn_tensor *x = &w->p->in[TN_RAGGED_QKV];
    return tn_load_f64(x->dtype, x->data, (token * 3 + part) * w->width + column);
}

/* Token `row` against the tokens [begin, end) of its sentence, for the head at column `at`. */
static void run_row(const work *w, int64_t row, int64_t begin, int64_t end, int64_t at)
{
    const tn_tensor *y = &w->p->out[0];
    double top = -INFINITY, sum = 0;
    for (int64_t j = begin; j < end; j++) {
        double more = 0, dot = 0;
        if (tn_wide_has(w->p, TN_RAGGED_MASK)) {
            const tn_tensor *mask = &w->p->in[TN_RAGGED_MASK];
            more = tn_load_f64(mask->dtype, mask->data, j);
        }
        for (int64_t d = 0; d < w->head; d++)
            dot += element(w, row, 0, at + d) * element(w, j, 1, at + d);
        double score = more == -INFINITY ? -INFINITY : dot * w->scale + more;
        w->score[j - begin] = score;
        if (score > top || isnan(score)) top = score;
    }
    for (int64_t d = 0; d < w->head; d++) w->y[d] = 0;
    for (int64_t j = begin; j < end && top != -INFINITY; j++) {
        double score = w->score[j - begin];
        double weight = score == -INFINITY ? 0 : exp(score - top);
        sum += weight;
        for (int64_t d = 0; d < w->head && weight != 0; d++)
            w->y[d] += weight * element(w, j, 2, at + d);
    }
    for (int64_t d = 0; d < w->head && sum != 0; d++) w->y[d] /= sum;
    tn_store_f64s(y->dtype, y->data, row * w->width + at, w->head, w->y);
}

static tn_status reference(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_ragged_attention_params *params = p->params;
    const tn_tensor *start = &p->in[TN_RAGGED_START];
    int64_t tokens = p->in[TN_RAGGED_QKV].dim[0];
    void *scratch = l->scratch;
    work w = {.p = p, .width = p->in[TN_RAGGED_QKV].dim[1] / 3};
    w.head = w.width / params->heads;
    w.scale = params->scale != 0 ? params->scale : 1 / sqrt((double)TN_MAX(w.head, 1));
    w.score = tn_wide_take(&scratch, tokens);
    w.y = tn_wide_take(&scratch, p->in[TN_RAGGED_QKV].dim[1]);
    for (int64_t b = 0; b + 1 < start->dim[0]; b++) {
        int64_t begin = ((const int64_t *)start->data)[b];
        int64_t end = ((const int64_t *)start->data)[b + 1];
        TN_CHECK(0 <= begin && begin <= end && end <= tokens, TN_INVALID,
                 "sentence %lld is from token %lld to %lld of %lld", (long long)b, (long long)begin,
                 (long long)end, (long long)tokens);
        for (int64_t row = begin; row < end; row++)
            for (int64_t h = 0; h < params->heads; h++) run_row(&w, row, begin, end, h * w.head);
    }
    return NULL;
}

/* Keys of zeros give even probabilities: the mean of the values of the sentence. */
static const tn_case cases[] = {
    {.problem = "RaggedAttention{heads=1} f32[3,3]={1,0,2, 1,0,4, 1,0,9} i64[3]={0,2,3}",
     .expect = "f32[3,1]={3,3,9}"},
    {.problem = "RaggedAttention{heads=1} f32[3,3]={1,0,2, 1,0,4, 1,0,9} i64[2]={0,3} "
                "f32[3]={0,-inf,0}",
     .expect = "f32[3,1]={5.5,5.5,5.5}"},
    {.problem = "RaggedAttention{heads=1} f32[1,3]={1,0,2} i64[3]={0,0,1} f32[1]={-inf}",
     .expect = "f32[1,1]={0}"},
    {.problem = "RaggedAttention{heads=2, scale=0.5} f32[37,48] i64[5]={0,5,5,36,37} f32[37]"},
    {.problem = "RaggedAttention{heads=12} f32[310,2304] i64[4]={0,1,300,310}", .lo = -2, .hi = 2},
    {.problem = "RaggedAttention{heads=2} f16[7,12] i64[3]={0,3,7}"},
    {.problem = "RaggedAttention{heads=2} bf16[7,12] i64[3]={0,3,7} bf16[7]"},
    {.problem = "RaggedAttention{heads=1} f64[4,9] i64[2]={0,4}"},
    {.problem = "RaggedAttention{heads=1} f32[0,9] i64[3]={0,0,0}"},
    {.problem = "RaggedAttention{heads=1} f32[2,0] i64[2]={0,2}"},
    {0},
};

const tn_op tn_op_ragged_attention = {
    .name = "RaggedAttention",
    .domain = "tenon",
    .since = 1,
    .about = "softmax(scale * q k^T + mask) v by heads within each sentence of a batch without "
             "padding",
    .in = ins,
    .in_count = TN_COUNT(ins),
    .out = outs,
    .out_count = TN_COUNT(outs),
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_ragged_attention_params),
    .lower = lower,
    .infer = infer,
    .reference = reference,
    .scratch_bytes = scratch_bytes,
    .cases = cases,
};
