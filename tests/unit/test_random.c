/* The random generator: what a seed means, and that the numbers are of their distributions. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ops/random/random.h"
#include "ops/reference.h"

enum { COUNT = 20000 };

static void run(const char *text, tn_arena *arena, tn_problem *p)
{
    assert_null(tn_problem_parse(text, arena, p));
    assert_null(tn_problem_run_reference(p, arena));
}

static void a_seed_repeats_and_none_does_not(void **state)
{
    (void)state;
    tn_arena arena;
    tn_problem a, b;
    tn_arena_init(&arena);
    run("RandomNormal{shape=[50], seed=0}", &arena, &a);
    run("RandomNormal{shape=[50], seed=0}", &arena, &b);
    assert_memory_equal(a.out[0].data, b.out[0].data, 50 * sizeof(float));
    run("RandomNormal{shape=[50], seed=1}", &arena, &b);
    assert_memory_not_equal(a.out[0].data, b.out[0].data, 50 * sizeof(float));
    run("RandomNormal{shape=[50]}", &arena, &a);
    run("RandomNormal{shape=[50]}", &arena, &b);
    assert_memory_not_equal(a.out[0].data, b.out[0].data, 50 * sizeof(float));
    tn_arena_fini(&arena);
}

/* Five deviations of the mean of COUNT numbers: wrong once in two million seeds, and the seed is
 * fixed. */
static void moments_are_right(void **state)
{
    (void)state;
    uint64_t key = tn_random_key(42);
    double sum = 0, square = 0, normal = 0, normal_square = 0;
    for (uint64_t i = 0; i < COUNT; i++) {
        double u = tn_random_uniform(key, i), n = tn_random_normal(key, i);
        assert_true(u >= 0 && u < 1);
        sum += u;
        square += u * u;
        normal += n;
        normal_square += n * n;
    }
    double root = sqrt(COUNT);
    assert_true(fabs(sum / COUNT - 0.5) < 5 * sqrt(1.0 / 12) / root);
    assert_true(fabs(square / COUNT - 1.0 / 3) < 5 * sqrt(4.0 / 45) / root);
    assert_true(fabs(normal / COUNT) < 5 / root);
    assert_true(fabs(normal_square / COUNT - 1) < 5 * sqrt(2) / root);
}

static void multinomial_follows_the_weights(void **state)
{
    (void)state;
    tn_arena arena;
    tn_problem p;
    int64_t times[3] = {0};
    tn_arena_init(&arena);
    /* e^0 : e^-inf : e^1.0986123 = 1 : 0 : 3 */
    run("Multinomial{sample_size=20000, seed=5} f64[1,3]={0,-inf,1.0986122886681098}", &arena, &p);
    for (int64_t i = 0; i < COUNT; i++) {
        int64_t k = tn_load_i64(TN_DTYPE_I32, p.out[0].data, i);
        assert_in_range(k, 0, 2);
        times[k]++;
    }
    assert_int_equal(times[1], 0);
    assert_true(fabs((double)times[2] - 0.75 * COUNT) < 5 * sqrt(COUNT * 0.75 * 0.25));
    tn_arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_seed_repeats_and_none_does_not),
        cmocka_unit_test(moments_are_right),
        cmocka_unit_test(multinomial_follows_the_weights),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
