/* Growing text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/text.h"
#include "fault/failing_allocator.h"

static tn_status print_much(char **out)
{
    tn_text text = {0};
    for (int i = 0; i < 300; i++) tn_text_printf(&text, "%d,", i);
    tn_text_append(&text, "end", 3);
    return tn_text_take(&text, out);
}

static void text_grows_and_is_handed_over(void **state)
{
    (void)state;
    char *out;
    assert_null(print_much(&out));
    assert_true(strncmp(out, "0,1,2,3,", 8) == 0);
    assert_string_equal(out + strlen(out) - 7, "299,end");
    assert_int_equal(strlen(out), 10 * 2 + 90 * 3 + 200 * 4 + 3);
    tn_text_free(out);
}

static void empty_text_is_text(void **state)
{
    (void)state;
    tn_text text = {0};
    char *out;
    assert_null(tn_text_take(&text, &out));
    assert_string_equal(out, "");
    tn_text_free(out);
    tn_text_append(&text, NULL, 0);
    tn_text_fini(&text);
    assert_null(text.at);
}

static void blocks_are_given_back_in_their_size(void **state)
{
    (void)state;
    char *out;
    tn_text text = {0};
    failing_install(0, FAIL_ONCE);
    tn_text_append(&text, "with\0zero", 9);
    assert_null(tn_text_take(&text, &out));
    assert_string_equal(out, "with");
    tn_text_free(out);
    failing_counts counts = failing_remove();
    assert_int_equal(counts.errors, 0);
    assert_int_equal(counts.live_bytes, 0);
}

static void lack_of_memory_is_reported_at_the_end(void **state)
{
    (void)state;
    for (int64_t n = 1;; n++) {
        char *out;
        failing_install(n, FAIL_ONCE);
        tn_status status = print_much(&out);
        if (status) assert_null(out);
        tn_text_free(out);
        failing_counts counts = failing_remove();
        assert_int_equal(counts.live_bytes, 0);
        assert_int_equal(counts.errors, 0);
        assert_int_equal(tn_status_code(status), counts.failed ? TN_OUT_OF_MEMORY : TN_OK);
        if (!counts.failed) {
            assert_true(n > 3);
            break;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_grows_and_is_handed_over),
        cmocka_unit_test(empty_text_is_text),
        cmocka_unit_test(blocks_are_given_back_in_their_size),
        cmocka_unit_test(lack_of_memory_is_reported_at_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
