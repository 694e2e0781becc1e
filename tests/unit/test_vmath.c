/* The vector functions against libm in double, over a spread of all floats; the bounds are those
 * stated in vmath.h. Compiled without special instructions, so this is the scalar variant. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "backends/cpu/kernels/vmath.h"

static float float_of(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Units in the last place of the right answer, as a float; results below 2^-126 count in its units.
 */
static double ulps(float got, double want)
{
    if (isnan(want)) return isnan(got) ? 0 : INFINITY;
    float rounded = (float)want;
    if (isinf(rounded) || isinf(got))
        return got == rounded ? 0 : isinf(got) && fabs(want) > 3.4028e38 ? 1 : INFINITY;
    int exponent;
    frexp(fabs(want) < 0x1p-126 ? 0x1p-126 : want, &exponent);
    return fabs(got - want) / ldexp(1, exponent - 24);
}

static double worst(vf32 (*function)(vf32), double (*exact)(double), float from, float to,
                    float *where)
{
    double most = 0;
    for (uint64_t bits = 0; bits <= UINT32_MAX; bits += 4999) {
        float x = float_of((uint32_t)bits);
        if (!(x >= from && x <= to)) continue;
        double error = ulps(function(vf32_set1(x))[0], exact(x));
        if (error > most) {
            most = error;
            *where = x;
        }
    }
    return most;
}

static vf32 run_exp(vf32 x)
{
    return vf32_exp(x);
}

static vf32 run_tanh(vf32 x)
{
    return vf32_tanh(x);
}

static vf32 run_fraction(vf32 x)
{
    vf32 below, above = vf32_tanh_fraction(x, &below);
    return vf32_ratio(above, below);
}

static vf32 run_sigmoid(vf32 x)
{
    return vf32_sigmoid(x);
}

static vf32 run_erf(vf32 x)
{
    return vf32_erf(x);
}

static double exact_sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static void errors_are_within_the_stated_bounds(void **state)
{
    static const struct {
        const char *name;
        vf32 (*function)(vf32);
        double (*exact)(double);
        float from, to;
        double bound;
    } rows[] = {
        {"exp", run_exp, exp, -INFINITY, INFINITY, 2},
        {"tanh", run_tanh, tanh, -INFINITY, INFINITY, 4},
        {"fraction", run_fraction, tanh, -INFINITY, INFINITY, 6},
        {"sigmoid", run_sigmoid, exact_sigmoid, -87, INFINITY, 3},
        {"erf", run_erf, erf, -INFINITY, INFINITY, 3},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        float where = 0;
        double most = worst(rows[i].function, rows[i].exact, rows[i].from, rows[i].to, &where);
        print_message("%-8s %.3f ulp at %.9g\n", rows[i].name, most, (double)where);
        assert_true(most <= rows[i].bound);
    }
}

static void special_values_come_out_right(void **state)
{
    (void)state;
    assert_true(isnan(vf32_exp(vf32_set1(NAN))[0]));
    assert_true(isnan(vf32_tanh(vf32_set1(NAN))[0]));
    assert_true(isnan(run_fraction(vf32_set1(NAN))[0]));
    assert_true(isnan(vf32_erf(vf32_set1(NAN))[0]));
    assert_true(isnan(vf32_sigmoid(vf32_set1(NAN))[0]));
    assert_true(isinf(vf32_exp(vf32_set1(INFINITY))[0]));
    assert_true(vf32_exp(vf32_set1(-INFINITY))[0] == 0);
    assert_true(vf32_exp(vf32_set1(0))[0] == 1);
    assert_true(vf32_tanh(vf32_set1(-INFINITY))[0] == -1);
    assert_true(signbit(vf32_tanh(vf32_set1(-0.0f))[0]));
    assert_true(vf32_erf(vf32_set1(INFINITY))[0] == 1);
    assert_true(vf32_sigmoid(vf32_set1(-INFINITY))[0] == 0);
}

static void the_normal_distribution_keeps_its_lower_tail(void **state)
{
    (void)state;
    for (float x = -12; x < 8; x += 0.0117f) {
        double want = 0.5 * erfc(-(double)x * 0.70710678118654752);
        double error = fabs(vf32_normal(vf32_set1(x))[0] - want);
        assert_true(error <= 1.5e-5 * want + 1e-44);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_are_within_the_stated_bounds),
        cmocka_unit_test(special_values_come_out_right),
        cmocka_unit_test(the_normal_distribution_keeps_its_lower_tail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
