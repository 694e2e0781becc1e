/* RealTokens, of the domain "tenon": from the mask that attention adds to the scores of a padded
 * batch, the places of the tokens that count, row by row.
 *
 *     mask [B, 1, 1, S]: about 0 where a token counts, below -1000 where it does not
 *     place [N]: b * S + s of each token that counts, in rising order
 *     start [B + 1]: tokens start[b] to start[b + 1] - 1 are those of row b
 *     first [B]: start without its last element
 *
 * The first token of a row always counts, since classifiers read it. So do all tokens of a row in
 * which none counts: attention treats them alike then. */
#include "ir/op.h"
#include "ops/ragged/ragged.h"
#include "tensor/tensor.h"

static const tn_port ins[] = {{"mask", TN_DTS_FLOAT, 0, 0}};
static const tn_port outs[] = {
    {"place", TN_DT(I64), 0, 0}, {"start", TN_DT(I64), 0, 0}, {"first", TN_DT(I64), 0, 0}};

static bool is_real(const tn_tensor *mask, int64_t at)
{
    return !(tn_load_f64(mask->dtype, mask->data, at) < TN_RAGGED_MASKED);
}

/* Tokens of row b that count; their places go to `place` if it is not NULL. */
static int64_t take_row(const tn_tensor *mask, int64_t b, int64_t *place)
{
    int64_t length = mask->dim[3], count = 0;
    bool any = false;
    for (int64_t s = 0; s < length; s++) any |= is_real(mask, b * length + s);
    for (int64_t s = 0; s < length; s++) {
        if (any && s > 0 && !is_real(mask, b * length + s)) continue;
        if (place) place[count] = b * length + s;
        count++;
    }
    return count;
}

static tn_status infer(tn_infer *f)
{
    const tn_type *mask = &f->in[0];
    const tn_tensor *data = &f->data[0];
    tn_expr count = TN_EXPR_NONE, batch = TN_EXPR_NONE, ends = TN_EXPR_NONE;
    char text[128];
    if (mask->rank >= 0) {
        TN_CHECK(mask->rank == 4 && tn_expr_equals(f->exprs, mask->dim[1], 1) &&
                     tn_expr_equals(f->exprs, mask->dim[2], 1),
                 TN_INVALID, "the mask is not [batch, 1, 1, rows]: it is %s",
                 tn_type_text(f->exprs, mask, text, sizeof text));
        batch = mask->dim[0];
        ends = tn_expr_add(f->exprs, batch, tn_expr_const(f->exprs, 1));
    }
    if (data->data || (data->dtype && !tn_tensor_count(data))) {
        int64_t total = 0;
        for (int64_t b = 0; b < data->dim[0] && data->data; b++) total += take_row(data, b, NULL);
        count = tn_expr_const(f->exprs, total);
    }
    if (!count) count = tn_infer_fresh(f);
    if (!batch) batch = tn_infer_fresh(f);
    if (!ends) ends = tn_infer_fresh(f);
    tn_infer_set(f, 0, TN_DTYPE_I64, 1, &count);
    tn_infer_set(f, 1, TN_DTYPE_I64, 1, &ends);
    tn_infer_set(f, 2, TN_DTYPE_I64, 1, &batch);
    return NULL;
}

/* As many as there can be: kernels are tuned for a batch without padding. */
static int64_t guess(const tn_node *node, const int64_t *values, int symbol)
{
    const tn_type *mask = &node->in[0]->type;
    (void)symbol;
    if (mask->rank != 4 || values[mask->dim[0]] < 0 || values[mask->dim[3]] < 0)
        return TN_EXPR_UNKNOWN;
    return values[mask->dim[0]] * values[mask->dim[3]];
}

static tn_status reference(const tn_launch *l)
{
    const tn_tensor *mask = &l->problem->in[0], *out = l->problem->out;
    int64_t *place = out[0].data, *start = out[1].data, *first = out[2].data, at = 0;
    int64_t room = out[0].dim[0];
    for (int64_t b = 0; b < mask->dim[0]; b++) {
        start[b] = first[b] = at;
        int64_t count = take_row(mask, b, NULL);
        TN_CHECK(count <= room - at, TN_INVALID, "there are more than the %lld tokens planned",
                 (long long)room);
        at += take_row(mask, b, place + at);
    }
    start[mask->dim[0]] = at;
    TN_CHECK(at == room, TN_INVALID, "there are %lld tokens, %lld were planned", (long long)at,
             (long long)room);
    return NULL;
}

static const tn_case cases[] = {
    {.problem = "RealTokens f32[2,1,1,3]={0,0,-10000, 0,-10000,-10000}",
     .expect = "i64[3]={0,1,3} i64[3]={0,2,3} i64[2]={0,2}"},
    /* Holes; the first token stays; rows in which nothing counts are whole. */
    {.problem = "RealTokens f32[2,1,1,4]={-10000,0,-inf,0, -10000,-10000,-10000,-10000}",
     .expect = "i64[7]={0,1,3,4,5,6,7} i64[3]={0,3,7} i64[2]={0,3}"},
    {.problem = "RealTokens f32[1,1,1,3]={-5,nan,-999}",
     .expect = "i64[3]={0,1,2} i64[2]={0,3} i64[1]={0}"},
    {.problem = "RealTokens f16[1,1,1,2]={0,-10000}",
     .expect = "i64[1]={0} i64[2]={0,1} i64[1]={0}"},
    {.problem = "RealTokens f32[0,1,1,4]={}", .expect = "i64[0]={} i64[1]={0} i64[0]={}"},
    {.problem = "RealTokens f32[2,1,1,0]={}", .expect = "i64[0]={} i64[3]={0,0,0} i64[2]={0,0}"},
    {0},
};

const tn_op tn_op_real_tokens = {
    .name = "RealTokens",
    .domain = "tenon",
    .since = 1,
    .about =
        "places of the tokens of a padded batch that its mask lets count, and where each row's "
        "begin",
    .in = ins,
    .in_count = TN_COUNT(ins),
    .out = outs,
    .out_count = TN_COUNT(outs),
    .infer = infer,
    .guess = guess,
    .reference = reference,
    .cases = cases,
};
