/* Gradients of the classification losses, for scores [N, C, d...] and labels [N, d...]:
 *
 *     dx[n, c, d] = share[n, d] * (p[n, c, d] - (c == label[n, d]))
 *
 * where p is Softmax of the scores over C, or 0 where the scores are log probabilities already, and
 * share is dloss times the weight of the label, divided by the sum of all weights for the mean. */
#include <math.h>

#include "ir/gradient.h"
#include "ops/loss/loss.h"
#include "ops/wide/wide.h"

static const tn_field fields[] = {
    TN_INT(tn_loss_gradient_params, ignore_index, TN_LOSS_NO_IGNORE),
    TN_ENUM(tn_loss_gradient_params, reduction, 0, "mean|sum|none"),
    TN_INT(tn_loss_gradient_params, softmax, 1),
};
static const tn_port ins[] = {{"dloss", TN_DTS_FLOAT, 'T', 0},
                              {"scores", TN_DTS_FLOAT, 'T', 0},
                              {"labels", TN_DTS_INDEX, 0, 0},
                              {"weights", TN_DTS_FLOAT, 'T', TN_PORT_OPTIONAL}};
static const tn_port outs[] = {{"dscores", TN_DTS_FLOAT, 'T', 0}};

void tn_loss_gradient(tn_gradient *g)
{
    static const char *const reductions[] = {"mean", "sum", "none"};
    const tn_loss_params *params = g->node->params;
    bool softmax = g->node->op->name[0] == 'S';
    tn_value *scores = g->node->in[0], *log_prob = g->node->out_count > 1 ? g->dy[1] : NULL;
    tn_attr attr[] = {tn_attr_text("reduction", reductions[params->reduction]),
                      tn_attr_int("softmax", softmax),
                      tn_attr_int("ignore_index", params->ignore_index)};
    if (tn_gradient_wants(g, 2)) {
        tn_gradient_refuse(g, "its class weights are parameters");
        return;
    }
    if (g->dy[0])
        tn_gradient_give(
            g, 0,
            tn_gradient_op(g, "CrossEntropyGradient",
                           TN_IN(g->dy[0], scores, g->node->in[1], tn_gradient_input(g, 2)), attr,
                           params->ignore_index == TN_LOSS_NO_IGNORE ? 2 : 3));
    if (!log_prob) return;
    const int64_t classes = 1;
    tn_value *axes = tn_draft_ints(g->draft, &classes, 1);
    tn_named more[] = {
        {.name = "dl", .value = log_prob},
        {.name = "l", .value = g->node->out[1]},
        {.name = "sum", .value = tn_gradient_op(g, "ReduceSum", TN_IN(log_prob, axes), TN_PLAIN)}};
    tn_gradient_give(g, 0, tn_gradient_write(g, "dl - Exp(l) * sum", more, 3));
}

static tn_status infer(tn_infer *f)
{
    int rank = f->in[1].rank, labels = f->in[2].rank;
    TN_CHECK(rank < 0 || rank >= 2, TN_INVALID, "the scores have rank %d, at least 2 is needed",
             rank);
    TN_CHECK(rank < 0 || labels < 0 || labels == rank - 1, TN_INVALID,
             "scores of rank %d need labels of rank %d, not %d", rank, rank - 1, labels);
    tn_infer_same(f, 0, 1);
    return NULL;
}

static size_t scratch_bytes(const tn_problem *p)
{
    size_t bytes = 0;
    for (int i = 0; i < p->in_count; i++)
        if (i != 2) bytes = tn_wide_add(bytes, tn_wide_tensor_bytes(&p->in[i]));
    return tn_wide_add(bytes, tn_wide_tensor_bytes(&p->in[1]));
}

static tn_status check_shapes(const tn_problem *p)
{
    const tn_loss_gradient_params *params = p->params;
    const tn_tensor *x = &p->in[1], *labels = &p->in[2];
    bool fits = labels->rank == x->rank - 1 && labels->dim[0] == x->dim[0];
    for (int axis = 1; fits && axis < labels->rank; axis++)
        fits = labels->dim[axis] == x->dim[axis + 1];
    TN_CHECK(fits, TN_INVALID,
             "the labels do not have the shape of the scores without the classes");
    TN_CHECK(tn_tensor_count(&p->in[0]) == (params->reduction == 2 ? tn_tensor_count(labels) : 1),
             TN_INVALID, "dloss does not have the shape of the loss");
    TN_CHECK(!tn_wide_has(p, 3) || tn_tensor_count(&p->in[3]) == x->dim[1], TN_INVALID,
             "there must be one weight for each of the %lld classes", (long long)x->dim[1]);
    return NULL;
}

/* The softmax of one sample, `step` apart. */
static void softmax(const double *x, int64_t classes, int64_t step, double *p)
{
    double top = -INFINITY, sum = 0;
    for (int64_t c = 0; c < classes; c++) top = fmax(top, x[c * step]);
    for (int64_t c = 0; c < classes; c++) sum += p[c * step] = exp(x[c * step] - top);
    for (int64_t c = 0; c < classes; c++) p[c * step] /= sum;
}

static tn_status reference(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_loss_gradient_params *params = p->params;
    const tn_tensor *labels = &p->in[2], *out = &p->out[0];
    int64_t classes = p->in[1].dim[1], samples = tn_tensor_count(labels);
    int64_t inner = tn_dims_product(p->in[1].dim, 2, p->in[1].rank);
    void *scratch = l->scratch;
    TN_TRY(check_shapes(p));
    const double *dloss = tn_wide_load(&scratch, &p->in[0]);
    const double *x = tn_wide_load(&scratch, &p->in[1]);
    const double *weights = tn_wide_has(p, 3) ? tn_wide_load(&scratch, &p->in[3]) : NULL;
    double *dx = tn_wide_take(&scratch, tn_tensor_count(out)), weight_sum = 0;
    for (int64_t i = 0; i < tn_tensor_count(out); i++) dx[i] = 0;
    for (int pass = 0; pass < 2; pass++) {
        for (int64_t at = 0; at < samples; at++) {
            int64_t label = tn_load_i64(labels->dtype, labels->data, at);
            int64_t base = at / inner * classes * inner + at % inner;
            if (params->ignore_index != TN_LOSS_NO_IGNORE && label == params->ignore_index)
                continue;
            TN_CHECK(label >= 0 && label < classes, TN_INVALID, "label %lld is outside [0, %lld)",
                     (long long)label, (long long)classes);
            double weight = weights ? weights[label] : 1;
            if (pass == 0) {
                weight_sum += weight;
                continue;
            }
            double share = weight * dloss[params->reduction == 2 ? at : 0];
            if (params->reduction == 0) share /= weight_sum;
            if (params->softmax) softmax(x + base, classes, inner, dx + base);
            dx[base + label * inner] -= 1;
            for (int64_t c = 0; c < classes; c++) dx[base + c * inner] *= share;
        }
    }
    if (tn_tensor_count(out)) tn_store_f64s(out->dtype, out->data, 0, tn_tensor_count(out), dx);
    return NULL;
}

static const tn_case cases[] = {
    {.problem = "CrossEntropyGradient{reduction=sum} f32={2} f32[1,2]={0,0} i64[1]={1}",
     .expect = "f32[1,2]={1,-1}"},
    {.problem = "CrossEntropyGradient f32={1} f32[2,2]={0,0,5,5} i64[2]={1,0}",
     .expect = "f32[2,2]={0.25,-0.25,-0.25,0.25}"},
    {.problem = "CrossEntropyGradient{softmax=0} f32={1} f32[2,2]={0,0,5,5} i64[2]={1,0} "
                "f32[2]={1,3}",
     .expect = "f32[2,2]={0,-0.75,-0.25,0}"},
    {.problem = "CrossEntropyGradient{ignore_index=-1} f32={4} f32[2,2]={0,0,5,5} i64[2]={-1,0}",
     .expect = "f32[2,2]={0,0,-2,2}"},
    {.problem = "CrossEntropyGradient{reduction=none} f32[2,3] f32[2,2,3] i64[2,3]={0,1,1,0,0,1}"},
    {.problem = "CrossEntropyGradient f64={1} f64[4,3] i32[4]={0,2,1,1} f64[3]={1,2,3}"},
    {0},
};

const tn_op tn_op_cross_entropy_gradient = {
    .name = "CrossEntropyGradient",
    .domain = "tenon",
    .since = 1,
    .about = "dloss * weight * (softmax(scores) - one_hot(label)); softmax=0: without the first",
    .in = ins,
    .in_count = TN_COUNT(ins),
    .out = outs,
    .out_count = TN_COUNT(outs),
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_loss_gradient_params),
    .infer = infer,
    .reference = reference,
    .scratch_bytes = scratch_bytes,
    .cases = cases,
};
