#include "ops/norm/norm.h"

/* Two passes: the second looks at distances from the mean, so nothing cancels. */
void tn_norm_moments(const double *x, int64_t count, double *mean, double *variance)
{
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < count; i++) sum += x[i];
    *mean = sum / (double)count;
    for (int64_t i = 0; i < count; i++) squares += (x[i] - *mean) * (x[i] - *mean);
    *variance = squares / (double)count;
}
