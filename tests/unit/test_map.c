/* The hash map, against a plain array. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "base/map.h"
#include "fault/failing_allocator.h"

static void put_find_replace_remove(void **state)
{
    (void)state;
    tn_arena arena;
    tn_map map;
    int one = 1, two = 2;
    char key[] = "x";
    tn_arena_init(&arena);
    tn_map_init(&map, &arena);
    assert_null(tn_map_find(&map, "x"));
    tn_map_remove(&map, "x");
    assert_null(tn_map_put(&map, key, &one));
    key[0] = 'y'; /* the map has its own copy */
    assert_ptr_equal(tn_map_find(&map, "x"), &one);
    assert_null(tn_map_put(&map, "x", &two));
    assert_ptr_equal(tn_map_find(&map, "x"), &two);
    assert_int_equal(map.count, 1);
    assert_null(tn_map_put(&map, "", NULL));
    assert_true(tn_map_has(&map, ""));
    assert_null(tn_map_find(&map, ""));
    tn_map_remove(&map, "x");
    assert_false(tn_map_has(&map, "x"));
    assert_int_equal(map.count, 1);
    tn_arena_fini(&arena);
}

/* A long random walk of puts and removes over few keys: probe runs grow, wrap round and shrink. */
static void agrees_with_an_array(void **state)
{
    (void)state;
    enum { KEYS = 700, STEPS = 40000 };
    static int value[KEYS];
    void *want[KEYS] = {0};
    size_t count = 0;
    uint32_t seed = 12345;
    tn_arena arena;
    tn_map map;
    tn_arena_init(&arena);
    tn_map_init(&map, &arena);
    for (int step = 0; step < STEPS; step++) {
        char key[16];
        seed = seed * 1664525u + 1013904223u;
        /* By turns mostly filling and mostly emptying. */
        bool puts = (seed >> 8 & 7) < (step / 5000 % 2 ? 2u : 6u);
        int i = (int)(seed >> 12) % KEYS;
        snprintf(key, sizeof(key), "node_%d", i);
        count -= want[i] != NULL;
        want[i] = puts ? &value[(i + step) % KEYS] : NULL;
        count += want[i] != NULL;
        if (puts) assert_null(tn_map_put(&map, key, want[i]));
        else tn_map_remove(&map, key);
        assert_int_equal(map.count, count);
        if (step % 1000 != 0) continue;
        for (i = 0; i < KEYS; i++) {
            snprintf(key, sizeof(key), "node_%d", i);
            assert_ptr_equal(tn_map_find(&map, key), want[i]);
        }
    }
    tn_arena_fini(&arena);
}

static void a_failed_put_changes_nothing(void **state)
{
    (void)state;
    int value = 0;
    for (int64_t n = 1;; n++) {
        tn_arena arena;
        tn_map map;
        size_t done = 0;
        failing_install(n, FAIL_FROM_THERE);
        tn_arena_init(&arena);
        tn_map_init(&map, &arena);
        tn_status status = NULL;
        for (; done < 500 && !status; done += !status) {
            char key[16];
            snprintf(key, sizeof(key), "%zu", done);
            status = tn_map_put(&map, key, &value);
        }
        assert_int_equal(map.count, done);
        assert_int_equal(tn_status_code(status), done < 500 ? TN_OUT_OF_MEMORY : TN_OK);
        for (size_t i = 0; i < 500; i++) {
            char key[16];
            snprintf(key, sizeof(key), "%zu", i);
            assert_int_equal(tn_map_has(&map, key), i < done);
        }
        tn_arena_fini(&arena);
        failing_counts counts = failing_remove();
        assert_int_equal(counts.live_bytes, 0);
        if (!counts.failed) break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(put_find_replace_remove),
        cmocka_unit_test(agrees_with_an_array),
        cmocka_unit_test(a_failed_put_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
