#include "ops/ml/ml.h"

#include <math.h>

int64_t tn_ml_top(const double *score, int64_t count)
{
    int64_t top = 0;
    for (int64_t k = 1; k < count; k++)
        if (score[k] > score[top]) top = k;
    return top;
}

/* The inverse of the normal distribution by Winitzki's approximation of the inverse error function,
 * which is what this transform means to those who make models. */
static double probit(double p)
{
    double x = 2 * p - 1, rest = (1 - x) * (1 + x);
    if (!(rest > 0)) return 0;
    double log_rest = log(rest), half = 2 / (3.14159265358979323846 * 0.147) + log_rest / 2;
    double root = sqrt(sqrt(half * half - log_rest / 0.147) - half);
    return 1.41421356 * (x < 0 ? -root : root);
}

/* `keep_zeros`: a score of zero has no part in the sum of exponentials and stays zero. */
static void softmax(double *score, int64_t count, bool keep_zeros)
{
    double top = score[tn_ml_top(score, count)], sum = 0;
    for (int64_t k = 0; k < count; k++) {
        bool zero = keep_zeros && fabs(score[k]) <= 1e-7;
        score[k] = zero ? score[k] * exp(-top) : exp(score[k] - top);
        sum += score[k];
    }
    for (int64_t k = 0; k < count; k++) score[k] = sum != 0 ? score[k] / sum : 0.5;
}

void tn_ml_finish(tn_ml_transform transform, double *score, int64_t count)
{
    if (count == 0) return;
    switch (transform) {
    case TN_ML_NONE: break;
    case TN_ML_SOFTMAX: softmax(score, count, false); break;
    case TN_ML_SOFTMAX_ZERO: softmax(score, count, true); break;
    case TN_ML_LOGISTIC:
        for (int64_t k = 0; k < count; k++) score[k] = 1 / (1 + exp(-score[k]));
        break;
    case TN_ML_PROBIT:
        for (int64_t k = 0; k < count; k++) score[k] = probit(score[k]);
        break;
    }
}
