/* The vector functions against libm in double; the bounds are those stated in vmath.h. Compiled
 * once for each variant of vectors. By default over a spread of all floats; `test_vmath --all`
 * takes each of them, which is minutes of work for all cores. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "backends/cpu/kernels/vmath.h"
#include "base/cpu.h"
#include "base/pool.h"

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
    double size = fabs(want) < 0x1p-126 ? 0x1p-126 : fabs(want);
    uint64_t bits;
    memcpy(&bits, &size, sizeof bits);
    /* A unit is 2^(exponent - 23); 1 / 2^n has the exponent -n. */
    uint64_t inverse = (uint64_t)(2 * 1023 + 23) - (bits >> 52);
    bits = inverse << 52;
    memcpy(&size, &bits, sizeof size);
    return fabs(got - want) * size;
}

typedef struct row {
    const char *name;
    vf32 (*function)(vf32);
    double (*exact)(double);
    double small[4]; /* its series at 0, which spares libm most of all floats */
    float from, to;
    double bound;
} row;

enum { BLOCKS = 1 << 12 };
static const uint64_t block_floats = (UINT64_C(1) << 32) / BLOCKS;

typedef struct search {
    const row *row;
    uint64_t step;
    double most[BLOCKS];
    float where[BLOCKS];
} search;

static double exact_at(const row *r, float x)
{
    const double *c = r->small, at = (double)x;
    if (fabsf(x) < 0x1p-13f) return c[0] + at * (c[1] + at * (c[2] + at * c[3]));
    return r->exact(at);
}

static tn_status search_blocks(void *arg, int64_t begin, int64_t end, int thread)
{
    search *s = arg;
    const row *r = s->row;
    (void)thread;
    for (int64_t block = begin; block < end; block++) {
        uint64_t stop = (uint64_t)(block + 1) * block_floats, bits = (uint64_t)block * block_floats;
        s->most[block] = 0;
        for (bits += (s->step - bits % s->step) % s->step; bits < stop;) {
            float x[VF32_LANES], y[VF32_LANES];
            for (int i = 0; i < VF32_LANES; i++, bits += s->step)
                x[i] = float_of((uint32_t)(bits < stop ? bits : stop - 1));
            vf32_store(y, r->function(vf32_load(x)));
            for (int i = 0; i < VF32_LANES; i++) {
                if (!(x[i] >= r->from && x[i] <= r->to)) continue;
                double error = ulps(y[i], exact_at(r, x[i]));
                if (error <= s->most[block]) continue;
                s->most[block] = error;
                s->where[block] = x[i];
            }
        }
    }
    return NULL;
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

static uint64_t step_of_floats = 4999;

static void errors_are_within_the_stated_bounds(void **state)
{
    static const double two_by_root_pi = 1.1283791670955126;
    const row rows[] = {
        {"exp", run_exp, exp, {1, 1, 0.5, 1 / 6.0}, -INFINITY, INFINITY, 2},
        {"tanh", run_tanh, tanh, {0, 1, 0, -1 / 3.0}, -INFINITY, INFINITY, 4},
        {"fraction", run_fraction, tanh, {0, 1, 0, -1 / 3.0}, -INFINITY, INFINITY, 6},
        {"sigmoid", run_sigmoid, exact_sigmoid, {0.5, 0.25, 0, -1 / 48.0}, -87, INFINITY, 3},
        {"erf", run_erf, erf, {0, two_by_root_pi, 0, -two_by_root_pi / 3}, -INFINITY, INFINITY, 3},
    };
    static search s;
    tn_pool *pool;
    (void)state;
    assert_null(tn_pool_new(0, &pool));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int worst = 0;
        s.row = &rows[i];
        s.step = step_of_floats;
        assert_null(tn_pool_run(pool, BLOCKS, 1, search_blocks, &s));
        for (int k = 1; k < BLOCKS; k++)
            if (s.most[k] > s.most[worst]) worst = k;
        print_message("%-8s %.3f ulp at %.9g, %d lanes, every %d. float\n", rows[i].name,
                      s.most[worst], (double)s.where[worst], VF32_LANES, (int)s.step);
        assert_true(s.most[worst] <= rows[i].bound);
    }
    tn_pool_free(pool);
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

int main(int count, char **word)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_are_within_the_stated_bounds),
        cmocka_unit_test(special_values_come_out_right),
        cmocka_unit_test(the_normal_distribution_keeps_its_lower_tail),
    };
    uint64_t needs = VF32_LANES == 16  ? TN_CPU_AVX512F | TN_CPU_AVX512DQ
                     : VF32_LANES == 8 ? TN_CPU_AVX2 | TN_CPU_FMA
                                       : 0;
    if ((tn_cpu_features() & needs) != needs) return 77;
    if (count > 1 && !strcmp(word[1], "--all")) step_of_floats = 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
