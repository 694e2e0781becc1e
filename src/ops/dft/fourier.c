/* The transform by Cooley and Tukey for any length: a length p * m (p prime) is p transforms of
 * length m over every p-th element, and p-point transforms across them. A prime length is the plain
 * sum. */
#include <math.h>

#include "ops/dft/dft.h"

/* e^(-2 pi i k / count), each from the angle itself so that errors do not add up. */
void tn_fourier_roots(int64_t count, double *roots)
{
    for (int64_t k = 0; k < count; k++) {
        double angle = -2 * 3.14159265358979323846 * (double)k / (double)count;
        roots[2 * k] = cos(angle);
        roots[2 * k + 1] = sin(angle);
    }
}

static int64_t smallest_factor(int64_t count)
{
    for (int64_t p = 2; p <= count / p; p++)
        if (count % p == 0) return p;
    return count;
}

/* What does not change on the way down. */
typedef struct transform {
    int64_t count;
    const double *roots;
    double sign; /* of the roots' imaginary part */
    double *spare;
} transform;

/* y[k], y[k + m] ... out of the p transforms of length m that lie one after the other in y. */
static void combine(const transform *t, int64_t p, int64_t m, int64_t k, double *y)
{
    int64_t length = p * m, step = t->count / length;
    for (int64_t r = 0; r < p; r++) {
        t->spare[2 * r] = y[2 * (r * m + k)];
        t->spare[2 * r + 1] = y[2 * (r * m + k) + 1];
    }
    for (int64_t q = 0; q < p; q++) {
        int64_t turn = k + q * m, at = 0;
        double re = 0, im = 0;
        for (int64_t r = 0; r < p; r++) {
            double c = t->roots[2 * at * step], s = t->sign * t->roots[2 * at * step + 1];
            re += t->spare[2 * r] * c - t->spare[2 * r + 1] * s;
            im += t->spare[2 * r] * s + t->spare[2 * r + 1] * c;
            at += turn;
            if (at >= length) at -= length;
        }
        y[2 * turn] = re;
        y[2 * turn + 1] = im;
    }
}

/* Each level divides the length by 2 or more, so there are at most 62. */
static void run(const transform *t, int64_t length, const double *x, int64_t step, double *y)
{
    if (length <= 1) {
        if (length == 1) y[0] = x[0], y[1] = x[1];
        return;
    }
    int64_t p = smallest_factor(length), m = length / p;
    for (int64_t r = 0; r < p; r++) run(t, m, x + 2 * r * step, step * p, y + 2 * r * m);
    for (int64_t k = 0; k < m; k++) combine(t, p, m, k, y);
}

void tn_fourier(int64_t count, const double *roots, bool inverse, const double *x, double *y,
                double *spare)
{
    transform t = {count, roots, inverse ? -1 : 1, spare};
    run(&t, count, x, 1, y);
    for (int64_t k = 0; inverse && k < 2 * count; k++) y[k] /= (double)count;
}
