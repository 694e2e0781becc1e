/* Error records: text, notes, trail, truncation, one record a thread. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/status.h"

static tn_status fail_inner(int axis)
{
    TN_CHECK(axis < 3, TN_INVALID, "axis %d is outside [-3, 3)", axis);
    return NULL;
}

static tn_status fail_middle(int axis)
{
    TN_TRY(fail_inner(axis));
    return NULL;
}

static tn_status fail_outer(int axis)
{
    TN_TRY_NOTE(fail_middle(axis), "while importing node %d of %d", 57, 412);
    return NULL;
}

static void success_is_null(void **state)
{
    (void)state;
    assert_null(fail_outer(2));
    assert_int_equal(tn_status_code(NULL), TN_OK);
    assert_string_equal(tn_status_message(NULL), "");
    char text[8] = "x";
    assert_int_equal(tn_status_text(NULL, true, text, sizeof(text)), 0);
    assert_string_equal(text, "");
}

static void failure_remembers_its_way(void **state)
{
    (void)state;
    tn_status status = fail_outer(4);
    assert_non_null(status);
    assert_int_equal(tn_status_code(status), TN_INVALID);
    assert_string_equal(tn_status_message(status), "axis 4 is outside [-3, 3)");
    assert_string_equal(status->notes, "while importing node 57 of 412\n");
    assert_int_equal(status->trail_count, 3);
    assert_string_equal(status->trail[0].function, "fail_inner");
    assert_string_equal(status->trail[2].function, "fail_outer");

    char text[2048];
    size_t length = tn_status_text(status, false, text, sizeof(text));
    assert_string_equal(text, "axis 4 is outside [-3, 3)\n  while importing node 57 of 412");
    assert_int_equal(length, strlen(text));
    length = tn_status_text(status, true, text, sizeof(text));
    assert_int_equal(length, strlen(text));
    assert_non_null(strstr(text, "\n  at "));
    assert_non_null(strstr(text, "  fail_middle"));
}

static void text_is_cut_to_the_buffer(void **state)
{
    (void)state;
    tn_status status = fail_outer(4);
    char whole[2048], part[12];
    size_t length = tn_status_text(status, true, whole, sizeof(whole));
    memset(part, 'x', sizeof(part));
    assert_int_equal(tn_status_text(status, true, part, sizeof(part)), length);
    assert_int_equal(strlen(part), sizeof(part) - 1);
    assert_memory_equal(part, whole, sizeof(part) - 1);
    assert_int_equal(tn_status_text(status, true, NULL, 0), length);
}

static void long_messages_end_in_dots(void **state)
{
    (void)state;
    char big[2000];
    /* Two-byte characters: whichever place the cut falls on, no half of one stays. */
    for (size_t i = 0; i + 1 < sizeof(big) - 1; i += 2) memcpy(big + i, "\xC3\xA9", 2);
    big[sizeof(big) - 2] = 0;
    for (int shift = 0; shift < 2; shift++) {
        tn_status status = TN_ERROR(TN_CORRUPT, "%s%s", shift ? "x" : "", big);
        const char *message = tn_status_message(status);
        size_t length = strlen(message);
        assert_in_range(length, TN_MESSAGE_MAX - 4, TN_MESSAGE_MAX - 1);
        assert_string_equal(message + length - 3, "...");
        assert_int_equal((length - 3 - (size_t)shift) % 2, 0);
    }
    char exact[TN_MESSAGE_MAX];
    memset(exact, 'e', sizeof(exact) - 1);
    exact[sizeof(exact) - 1] = 0;
    assert_string_equal(tn_status_message(TN_ERROR(TN_INVALID, "%s", exact)), exact);
}

static void a_failure_may_quote_the_one_before(void **state)
{
    (void)state;
    tn_status first = TN_ERROR(TN_CORRUPT, "short read");
    tn_status second = TN_ERROR(TN_INVALID, "the file is damaged: %s", tn_status_message(first));
    assert_string_equal(tn_status_message(second), "the file is damaged: short read");
    second = tn_status_note(second, "reason: %s", tn_status_message(second));
    assert_string_equal(second->notes, "reason: the file is damaged: short read\n");
}

static void notes_and_hops_have_a_limit(void **state)
{
    (void)state;
    tn_status status = TN_ERROR(TN_INVALID, "deep");
    for (int i = 0; i < 200; i++) {
        status = tn_status_note(status, "while in level %d", i);
        status = tn_status_trail(status, "file.c", i, "level");
    }
    assert_int_equal(status->trail_count, TN_TRAIL_MAX);
    assert_true(strncmp(status->notes, "while in level 0\n", 17) == 0);
    assert_int_equal(status->notes[strlen(status->notes) - 1], '\n');
    char text[4096];
    assert_in_range(tn_status_text(status, true, text, sizeof(text)), 1, sizeof(text) - 1);
}

static void *fail_elsewhere(void *out)
{
    tn_status status = TN_ERROR(TN_DEVICE, "lost");
    status = tn_status_note(status, "on another thread");
    tn_status_copy(status, out);
    return NULL;
}

static void records_are_per_thread_and_can_be_moved(void **state)
{
    (void)state;
    pthread_t thread;
    struct tn_status_record moved;
    tn_status mine = TN_ERROR(TN_INVALID, "mine");
    assert_int_equal(pthread_create(&thread, NULL, fail_elsewhere, &moved), 0);
    pthread_join(thread, NULL);
    assert_string_equal(tn_status_message(mine), "mine");
    tn_status theirs = tn_status_adopt(&moved);
    assert_int_equal(tn_status_code(theirs), TN_DEVICE);
    assert_string_equal(tn_status_message(theirs), "lost");
    assert_string_equal(theirs->notes, "on another thread\n");
    tn_status_copy(NULL, &moved);
    assert_null(tn_status_adopt(&moved));
}

static void codes_and_version_have_names(void **state)
{
    (void)state;
    assert_string_equal(tn_code_name(TN_OK), "OK");
    assert_string_equal(tn_code_name(TN_OUT_OF_MEMORY), "OUT_OF_MEMORY");
    assert_string_equal(tn_code_name(TN_INTERNAL), "INTERNAL");
    assert_string_equal(tn_code_name((tn_code)99), "UNKNOWN");
    char version[32];
    snprintf(version, sizeof(version), "%d.%d.%d", TN_VERSION_MAJOR, TN_VERSION_MINOR,
             TN_VERSION_PATCH);
    assert_string_equal(tn_version(), version);
}

static void keep_line(void *self, tn_log_level level, const char *line)
{
    snprintf(self, 64, "%d %s", (int)level, line);
}

static void log_lines_reach_the_sink_up_to_the_level(void **state)
{
    (void)state;
    char last[64] = "";
    tn_set_log(keep_line, last, TN_LOG_INFO);
    tn_log(TN_LOG_INFO, "step %d", 3);
    assert_string_equal(last, "2 step 3");
    tn_log(TN_LOG_VERBOSE, "unseen");
    assert_string_equal(last, "2 step 3");
    assert_true(tn_log_on(TN_LOG_ERROR));
    assert_false(tn_log_on(TN_LOG_VERBOSE));
    tn_set_log(NULL, NULL, TN_LOG_WARNING);
    assert_false(tn_log_on(TN_LOG_INFO));
    uint64_t before = tn_clock_ns();
    assert_true(tn_clock_ns() >= before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(success_is_null),
        cmocka_unit_test(failure_remembers_its_way),
        cmocka_unit_test(text_is_cut_to_the_buffer),
        cmocka_unit_test(long_messages_end_in_dots),
        cmocka_unit_test(a_failure_may_quote_the_one_before),
        cmocka_unit_test(notes_and_hops_have_a_limit),
        cmocka_unit_test(records_are_per_thread_and_can_be_moved),
        cmocka_unit_test(codes_and_version_have_names),
        cmocka_unit_test(log_lines_reach_the_sink_up_to_the_level),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
