/* NegativeLogLikelihoodLoss and SoftmaxCrossEntropyLoss: for scores [N, C, d...] and labels [N,
 * d...],
 *
 *     loss[n, d] = -log_prob[n, label[n, d], d] * weight[label[n, d]]
 *
 * where the scores are log_prob already, or become so by LogSoftmax over C. The mean divides by the
 * sum of the weights that took part. */
#include "ops/loss/loss.h"

#include <math.h>

#include "ir/op.h"

static const tn_field fields[] = {
    TN_INT(tn_loss_params, ignore_index, TN_LOSS_NO_IGNORE),
    TN_ENUM(tn_loss_params, reduction, 0, "mean|sum|none"),
};
static const tn_port ins[] = {{"scores", TN_DTS_FLOAT, 'T', 0},
                              {"labels", TN_DTS_INDEX, 0, 0},
                              {"weights", TN_DTS_FLOAT, 'T', TN_PORT_OPTIONAL}};
static const tn_port outs[] = {{"loss", TN_DTS_FLOAT, 'T', 0},
                               {"log_prob", TN_DTS_FLOAT, 'T', TN_PORT_OPTIONAL}};

static tn_status infer(tn_infer *f)
{
    const tn_loss_params *params = f->params;
    int rank = f->in[0].rank;
    TN_CHECK(rank < 0 || rank >= 2, TN_INVALID, "the scores have rank %d, at least 2 is needed",
             rank);
    TN_CHECK(rank < 0 || f->in[1].rank < 0 || f->in[1].rank == rank - 1, TN_INVALID,
             "scores of rank %d need labels of rank %d, not %d", rank, rank - 1, f->in[1].rank);
    if (params->reduction == 2) tn_infer_set(f, 0, f->in[0].dtype, f->in[1].rank, f->in[1].dim);
    else tn_infer_set(f, 0, f->in[0].dtype, 0, NULL);
    if (f->out_count > 1) tn_infer_same(f, 1, 0);
    return NULL;
}

/* What LogSoftmax subtracts from the scores of one sample: [n, :, d] from `base`, `step` apart. */
static double log_sum_exp(const tn_tensor *x, int64_t base, int64_t step)
{
    double top = -INFINITY, sum = 0;
    for (int64_t c = 0; c < x->dim[1]; c++)
        top = fmax(top, tn_load_f64(x->dtype, x->data, base + c * step));
    for (int64_t c = 0; c < x->dim[1]; c++)
        sum += exp(tn_load_f64(x->dtype, x->data, base + c * step) - top);
    return top + log(sum);
}

static tn_status run(const tn_launch *l, bool from_scores)
{
    const tn_problem *p = l->problem;
    const tn_loss_params *params = p->params;
    const tn_tensor *x = &p->in[0], *labels = &p->in[1], *y = &p->out[0];
    const tn_tensor *weights =
        p->in_count > 2 && p->in[2].dtype != TN_DTYPE_NONE ? &p->in[2] : NULL;
    const tn_tensor *log_prob = p->out_count > 1 && p->out[1].data ? &p->out[1] : NULL;
    int64_t classes = x->dim[1], inner = 1;
    double sum = 0, weight_sum = 0;
    bool fits = labels->rank == x->rank - 1 && labels->dim[0] == x->dim[0];
    for (int axis = 1; fits && axis < labels->rank; axis++) {
        fits = labels->dim[axis] == x->dim[axis + 1];
        if (tn_tensor_count(labels)) inner *= labels->dim[axis];
    }
    TN_CHECK(fits, TN_INVALID,
             "the labels do not have the shape of the scores without the classes");
    TN_CHECK(!weights || tn_tensor_count(weights) == classes, TN_INVALID,
             "there must be one weight for each of the %lld classes", (long long)classes);
    for (int64_t at = 0; at < tn_tensor_count(labels); at++) {
        int64_t label = tn_load_i64(labels->dtype, labels->data, at);
        int64_t base = at / inner * classes * inner + at % inner;
        bool ignored = params->ignore_index != TN_LOSS_NO_IGNORE && label == params->ignore_index;
        double less = from_scores ? log_sum_exp(x, base, inner) : 0, loss = 0;
        for (int64_t c = 0; log_prob && c < classes; c++)
            tn_store_f64(log_prob->dtype, log_prob->data, base + c * inner,
                         tn_load_f64(x->dtype, x->data, base + c * inner) - less);
        TN_CHECK(ignored || (label >= 0 && label < classes), TN_INVALID,
                 "label %lld is outside [0, %lld)", (long long)label, (long long)classes);
        if (!ignored) {
            double weight = weights ? tn_load_f64(weights->dtype, weights->data, label) : 1;
            loss = (less - tn_load_f64(x->dtype, x->data, base + label * inner)) * weight;
            sum += loss;
            weight_sum += weight;
        }
        if (params->reduction == 2) tn_store_f64(y->dtype, y->data, at, loss);
    }
    if (params->reduction != 2)
        tn_store_f64(y->dtype, y->data, 0, params->reduction == 0 ? sum / weight_sum : sum);
    return NULL;
}

static tn_status reference_nll(const tn_launch *l)
{
    return run(l, false);
}

static tn_status reference_cross_entropy(const tn_launch *l)
{
    return run(l, true);
}

extern const tn_case tn_negative_log_likelihood_loss_cases[], tn_softmax_cross_entropy_loss_cases[];

const tn_op tn_op_negative_log_likelihood_loss = {
    .name = "NegativeLogLikelihoodLoss",
    .since = 22,
    .about = "-log_prob at the label, weighted, and its mean or sum",
    .in = ins,
    .in_count = 3,
    .out = outs,
    .out_count = 1,
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_loss_params),
    .infer = infer,
    .reference = reference_nll,
    .gradient = tn_loss_gradient,
    .cases = tn_negative_log_likelihood_loss_cases,
};

const tn_op tn_op_softmax_cross_entropy_loss = {
    .name = "SoftmaxCrossEntropyLoss",
    .since = 13,
    .about = "NegativeLogLikelihoodLoss of LogSoftmax of the scores",
    .in = ins,
    .in_count = 3,
    .out = outs,
    .out_count = 2,
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_loss_params),
    .infer = infer,
    .reference = reference_cross_entropy,
    .gradient = tn_loss_gradient,
    .cases = tn_softmax_cross_entropy_loss_cases,
};
