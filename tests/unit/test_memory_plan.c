/* The memory planner: nothing that lives together overlaps, and no block is below the lower bound.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "exec/plan.h"

static uint64_t state = 88172645463325252u;

static uint64_t next_random(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static size_t plan(tn_lifetime *item, int64_t count)
{
    tn_arena arena;
    size_t block = 0;
    tn_arena_init(&arena);
    assert_null(tn_memory_plan(item, count, &arena, &block));
    tn_arena_fini(&arena);
    return block;
}

static void check_no_overlap(const tn_lifetime *item, int64_t count, size_t block)
{
    for (int64_t i = 0; i < count; i++) {
        assert_int_equal(item[i].offset % TN_ALIGNMENT, 0);
        assert_true(item[i].offset + item[i].bytes <= block);
        for (int64_t k = 0; k < i; k++) {
            bool together = item[i].first <= item[k].last && item[k].first <= item[i].last;
            bool apart = item[i].offset + item[i].bytes <= item[k].offset ||
                         item[k].offset + item[k].bytes <= item[i].offset;
            if (together && item[i].bytes && item[k].bytes) assert_true(apart);
        }
    }
}

static void nothing_takes_nothing(void **unused)
{
    (void)unused;
    tn_lifetime empty = {.bytes = 0, .first = 0, .last = 3};
    assert_int_equal(plan(NULL, 0), 0);
    assert_int_equal(plan(&empty, 1), 0);
}

static void lives_that_do_not_meet_share(void **unused)
{
    (void)unused;
    tn_lifetime item[] = {{1000, 0, 1, 0}, {1000, 2, 3, 0}, {500, 1, 2, 0}};
    size_t block = plan(item, 3);
    assert_int_equal(item[0].offset, item[1].offset);
    assert_int_equal(block, 1024 + 512);
    assert_int_equal(block, tn_memory_lower_bound(item, 3));
}

static void a_gap_is_filled(void **unused)
{
    (void)unused;
    /* A and C live through; B leaves a hole between them, which D takes. */
    tn_lifetime item[] = {{4096, 0, 9, 0}, {2048, 0, 3, 0}, {1024, 0, 9, 0}, {2048, 4, 9, 0}};
    size_t block = plan(item, 4);
    assert_int_equal(item[1].offset, item[3].offset);
    assert_int_equal(block, 4096 + 2048 + 1024);
}

static void random_lives_never_overlap(void **unused)
{
    (void)unused;
    enum { ROUNDS = 200, ITEMS = 120, STEPS = 60 };
    double worst = 1;
    for (int round = 0; round < ROUNDS; round++) {
        tn_lifetime item[ITEMS];
        int64_t count = 1 + (int64_t)(next_random() % ITEMS);
        for (int64_t i = 0; i < count; i++) {
            int32_t first = (int32_t)(next_random() % STEPS);
            int32_t last = first + (int32_t)(next_random() % (round % 2 ? 6 : STEPS));
            item[i] = (tn_lifetime){next_random() % (UINT64_C(1) << (next_random() % 20)), first,
                                    last, 7};
        }
        size_t block = plan(item, count), bound = tn_memory_lower_bound(item, count);
        check_no_overlap(item, count, block);
        assert_true(block >= bound);
        if (bound && (double)block / (double)bound > worst) worst = (double)block / (double)bound;
    }
    /* Greedy is not optimal, but on random lives never far from it. */
    assert_true(worst < 1.5);
}

static void equal_input_gives_equal_offsets(void **unused)
{
    (void)unused;
    tn_lifetime a[40], b[40];
    for (int i = 0; i < 40; i++)
        a[i] = b[i] = (tn_lifetime){64 * (size_t)(i % 3), i / 4, i / 4 + i % 5, 0};
    assert_int_equal(plan(a, 40), plan(b, 40));
    for (int i = 0; i < 40; i++) assert_int_equal(a[i].offset, b[i].offset);
}

static void impossible_sizes_are_refused(void **unused)
{
    (void)unused;
    tn_lifetime item[] = {
        {SIZE_MAX / 2, 0, 1, 0}, {SIZE_MAX / 2, 0, 1, 0}, {SIZE_MAX - 3, 0, 0, 0}};
    tn_arena arena;
    size_t block;
    tn_arena_init(&arena);
    assert_int_equal(tn_status_code(tn_memory_plan(item, 2, &arena, &block)), TN_OUT_OF_MEMORY);
    assert_int_equal(tn_status_code(tn_memory_plan(item + 2, 1, &arena, &block)), TN_OUT_OF_MEMORY);
    tn_arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_takes_nothing),
        cmocka_unit_test(lives_that_do_not_meet_share),
        cmocka_unit_test(a_gap_is_filled),
        cmocka_unit_test(random_lives_never_overlap),
        cmocka_unit_test(equal_input_gives_equal_offsets),
        cmocka_unit_test(impossible_sizes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
