/* SumTo, of the domain "tenon": what undoes a broadcast. x is summed over the axes that `like`
 * lacks in front and over those where it has 1; the rest must agree. The gradient of a broadcast
 * operand is the SumTo of that of the result, whatever a run finds its dims to be. */
#include "ir/op.h"
#include "tensor/tensor.h"

static const tn_port ins[] = {{"x", TN_DTS_FLOAT, 'T', 0}, {"like", TN_DTS_FLOAT, 0, 0}};
static const tn_port outs[] = {{"y", TN_DTS_FLOAT, 'T', 0}};

static tn_status infer(tn_infer *f)
{
    const tn_type *x = &f->in[0], *like = &f->in[1];
    char text[128], text_like[128];
    bool fits = x->rank < 0 || like->rank <= x->rank;
    for (int i = 1; fits && x->rank >= 0 && i <= like->rank; i++) {
        int64_t from, to;
        bool known = tn_expr_is_const(f->exprs, x->dim[x->rank - i], &from) &&
                     tn_expr_is_const(f->exprs, like->dim[like->rank - i], &to);
        fits = !known || from == to || to == 1;
    }
    TN_CHECK(fits, TN_INVALID, "%s cannot be summed to the shape of %s",
             tn_type_text(f->exprs, x, text, sizeof(text)),
             tn_type_text(f->exprs, like, text_like, sizeof(text_like)));
    tn_infer_set(f, 0, x->dtype, like->rank, like->dim);
    return NULL;
}

static size_t scratch_bytes(const tn_problem *p)
{
    return (size_t)tn_tensor_count(&p->out[0]) * sizeof(double);
}

static tn_status reference(const tn_launch *l)
{
    const tn_tensor *x = &l->problem->in[0], *y = &l->problem->out[0];
    double *sum = l->scratch;
    tn_walk w;
    TN_TRY(tn_walk_init(&w, x, &y, 1));
    for (int64_t at = 0; at < tn_tensor_count(y); at++) sum[at] = 0;
    for (int64_t at = 0; at < w.count; at++, tn_walk_next(&w))
        sum[w.at[0]] += tn_load_f64(x->dtype, x->data, at);
    for (int64_t at = 0; at < tn_tensor_count(y); at++)
        tn_store_f64(y->dtype, y->data, at, sum[at]);
    return NULL;
}

static const tn_case cases[] = {
    {.problem = "SumTo f32[2,3]={1,2,3,4,5,6} f32[3]", .expect = "f32[3]={5,7,9}"},
    {.problem = "SumTo f32[2,3]={1,2,3,4,5,6} f32[2,1]", .expect = "f32[2,1]={6,15}"},
    {.problem = "SumTo f32[2,3]={1,2,3,4,5,6} f32", .expect = "f32={21}"},
    {.problem = "SumTo f32[2]={1,2} f32[2]", .expect = "f32[2]={1,2}"},
    {.problem = "SumTo f32[0,2]={} f32[2]", .expect = "f32[2]={0,0}"},
    {.problem = "SumTo f32[64,500] f32[500]"},
    {.problem = "SumTo f32[4,20,9,7] f32[20,1,1]"},
    {.problem = "SumTo f32[3,5,33] f32[3,1,33]"},
    {.problem = "SumTo f64[4,3,5] f64[1,3,1]"},
    {.problem = "SumTo f16[4,6] f16[6]"},
    {0},
};

const tn_op tn_op_sum_to = {
    .name = "SumTo",
    .domain = "tenon",
    .since = 1,
    .about = "the sum over the axes along which `like` would be broadcast to x",
    .in = ins,
    .in_count = TN_COUNT(ins),
    .out = outs,
    .out_count = TN_COUNT(outs),
    .infer = infer,
    .reference = reference,
    .scratch_bytes = scratch_bytes,
    .shape_inputs = 1 << 1,
    .cases = cases,
};
