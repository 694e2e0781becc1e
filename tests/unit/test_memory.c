/* The allocator door and the arena, also when memory is gone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/memory.h"
#include "fault/failing_allocator.h"

static void blocks_are_aligned_and_keep_their_bytes(void **state)
{
    (void)state;
    assert_null(tn_alloc(0));
    tn_free(NULL, 0);
    for (size_t bytes = 1; bytes < 10000; bytes = bytes * 3 + 1) {
        unsigned char *p = tn_alloc(bytes);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % TN_ALIGNMENT, 0);
        for (size_t i = 0; i < bytes; i++) p[i] = (unsigned char)i;
        p = tn_resize(p, bytes, bytes * 5);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % TN_ALIGNMENT, 0);
        p = tn_resize(p, bytes * 5, bytes);
        for (size_t i = 0; i < bytes; i++) assert_int_equal(p[i], (unsigned char)i);
        tn_free(p, bytes);
    }
    unsigned char *zero = tn_alloc_zero(1000);
    for (int i = 0; i < 1000; i++) assert_int_equal(zero[i], 0);
    tn_free(zero, 1000);
}

static void a_failed_resize_keeps_the_block(void **state)
{
    (void)state;
    failing_install(2, FAIL_ONCE);
    char *p = tn_alloc(8);
    memcpy(p, "1234567", 8);
    assert_null(tn_resize(p, 8, 4000));
    assert_string_equal(p, "1234567");
    tn_free(p, 8);
    failing_counts counts = failing_remove();
    assert_int_equal(counts.requests, 2);
    assert_int_equal(counts.failed, 1);
    assert_int_equal(counts.live_bytes, 0);
    assert_int_equal(counts.errors, 0);
}

static void the_books_show_leaks_and_wrong_sizes(void **state)
{
    (void)state;
    failing_install(0, FAIL_ONCE);
    char *text = tn_text_copy("abc");
    assert_string_equal(text, "abc");
    assert_int_equal(failing_read().live_bytes, 4);
    assert_int_equal(failing_read().live_blocks, 1);
    tn_text_free(text);
    tn_text_free(NULL);
    assert_int_equal(failing_read().errors, 0);
    tn_free(tn_alloc(10), 11);
    failing_counts counts = failing_remove();
    assert_int_equal(counts.errors, 1);
    assert_int_equal(counts.live_bytes, 0);
    assert_int_equal(counts.peak_bytes, 10);
}

static void arena_pieces_are_zero_aligned_and_apart(void **state)
{
    (void)state;
    enum { PIECES = 400 };
    unsigned char *piece[PIECES];
    size_t bytes[PIECES];
    tn_arena arena;
    failing_install(0, FAIL_ONCE);
    tn_arena_init(&arena);
    for (int i = 0; i < PIECES; i++) {
        bytes[i] = (size_t)(i * 7919 % 4001);
        if (i % 97 == 0) bytes[i] = 300000;
        piece[i] = tn_arena_alloc(&arena, bytes[i]);
        assert_non_null(piece[i]);
        assert_int_equal((uintptr_t)piece[i] % (bytes[i] >= 1024 ? 64 : 16), 0);
        for (size_t k = 0; k < bytes[i]; k++) {
            if (piece[i][k] != 0) fail_msg("piece %d is not zero at %zu", i, k);
        }
        if (bytes[i] > 0) memset(piece[i], i & 0xFF, bytes[i]);
    }
    for (int i = 0; i < PIECES; i++) {
        for (size_t k = 0; k < bytes[i]; k++) {
            if (piece[i][k] != (i & 0xFF)) fail_msg("piece %d was overwritten at %zu", i, k);
        }
    }
    assert_int_equal(failing_read().live_bytes, arena.total_bytes);
    tn_arena_fini(&arena);
    failing_counts counts = failing_remove();
    assert_int_equal(counts.live_bytes, 0);
    assert_int_equal(counts.errors, 0);
    assert_in_range(counts.requests, 2, PIECES / 4); /* blocks are shared */
}

static void arena_refuses_what_overflows(void **state)
{
    (void)state;
    tn_arena arena;
    tn_arena_init(&arena);
    assert_null(tn_arena_alloc_array(&arena, SIZE_MAX / 2, 3));
    assert_null(tn_arena_alloc(&arena, SIZE_MAX));
    assert_null(tn_arena_alloc(&arena, SIZE_MAX / 2 + 1));
    assert_null(tn_arena_text(&arena, "", SIZE_MAX));
    assert_non_null(tn_arena_alloc_array(&arena, 0, 8));
    assert_int_equal(arena.total_bytes, 0);
    tn_arena_fini(&arena);
}

static void arena_text_and_lists(void **state)
{
    (void)state;
    tn_arena arena;
    int *list = NULL;
    int64_t capacity = 0;
    tn_arena_init(&arena);
    assert_string_equal(tn_arena_text(&arena, "hello", 4), "hell");
    assert_string_equal(tn_arena_text(&arena, NULL, 0), "");
    assert_string_equal(tn_arena_printf(&arena, "%d-%s", 7, "x"), "7-x");
    for (int i = 0; i < 1000; i++) {
        assert_null(tn_arena_grow(&arena, &list, i, &capacity, i + 1, sizeof(*list)));
        list[i] = i;
    }
    for (int i = 0; i < 1000; i++) assert_int_equal(list[i], i);
    assert_in_range(capacity, 1000, 2000);
    tn_status status = tn_arena_grow(&arena, &list, 1000, &capacity, INT64_MAX, 8);
    assert_int_equal(tn_status_code(status), TN_OUT_OF_MEMORY);
    assert_int_equal(list[999], 999);
    tn_arena_fini(&arena);
}

static void a_rewound_arena_stops_allocating(void **state)
{
    (void)state;
    tn_arena arena;
    int64_t requests = 0;
    failing_install(0, FAIL_ONCE);
    tn_arena_init(&arena);
    tn_arena_rewind(&arena);
    for (int round = 0; round < 6; round++) {
        for (size_t i = 0; i < 60; i++) {
            unsigned char *piece = tn_arena_alloc(&arena, i * i * 5);
            assert_non_null(piece);
            for (size_t k = 0; k < i * i * 5; k++) {
                if (piece[k] != 0) fail_msg("piece %zu is not zero at %zu", i, k);
            }
            memset(piece, 0xFF, i * i * 5);
        }
        tn_arena_rewind(&arena);
        if (round == 1) requests = failing_read().requests;
    }
    assert_int_equal(failing_read().requests, requests);
    tn_arena_fini(&arena);
    assert_int_equal(failing_remove().live_bytes, 0);

    /* The new block cannot be had: the arena is empty, and usable again later. */
    failing_install(4, FAIL_ONCE);
    for (int i = 0; i < 20; i++) assert_non_null(tn_arena_alloc(&arena, 1000));
    assert_int_equal(failing_read().requests, 3);
    tn_arena_rewind(&arena);
    assert_int_equal(failing_read().live_bytes, 0);
    assert_non_null(tn_arena_alloc(&arena, 10));
    tn_arena_fini(&arena);
    failing_counts counts = failing_remove();
    assert_int_equal(counts.failed, 1);
    assert_int_equal(counts.live_bytes, 0);
}

static void arena_survives_every_failure(void **state)
{
    (void)state;
    for (int64_t n = 1;; n++) {
        tn_arena arena;
        failing_install(n, FAIL_ONCE);
        tn_arena_init(&arena);
        int64_t nulls = 0;
        for (size_t i = 0; i < 40; i++) nulls += !tn_arena_alloc(&arena, i * 400);
        tn_arena_fini(&arena);
        failing_counts counts = failing_remove();
        assert_int_equal(nulls, counts.failed);
        assert_int_equal(counts.live_bytes, 0);
        if (!counts.failed) {
            assert_true(n > 3);
            break;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_aligned_and_keep_their_bytes),
        cmocka_unit_test(a_failed_resize_keeps_the_block),
        cmocka_unit_test(the_books_show_leaks_and_wrong_sizes),
        cmocka_unit_test(arena_pieces_are_zero_aligned_and_apart),
        cmocka_unit_test(arena_refuses_what_overflows),
        cmocka_unit_test(arena_text_and_lists),
        cmocka_unit_test(a_rewound_arena_stops_allocating),
        cmocka_unit_test(arena_survives_every_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
