/* Strings: patterns, letters, and new characters in a run. */
#include "../engine_help.h"

#include <locale.h>
#include <stdlib.h>

#include "base/log.h"
#include "fault/failing_allocator.h"
#include "ops/cast/cast_text.h"
#include "ops/letters.h"
#include "ops/reference.h"
#include "ops/regex_full_match/regex.h"

static tn_regex regex;
static tn_regex_state state;

static bool matches(const char *pattern, const char *text)
{
    assert_ok(tn_regex_compile(pattern, strlen(pattern), &regex));
    return tn_regex_matches(&regex, text, strlen(text), &state);
}

static void test_patterns(void **unused)
{
    static const struct {
        const char *pattern, *yes, *no;
    } rows[] = {
        {"", "", "a"},
        {"a|bc|", "bc", "abc"},
        {"(?:a|b)*c+?d?", "abbaccd", "abd"},
        {"a{2}b{1,}c{0,2}", "aabbcc", "aabccc"},
        {"a{,2}", "a{,2}", "aa"},
        {"x{0}y", "y", "xy"},
        {"[^a-c\\d]", "\xc3\xa9", "2"},
        {"[]\\-x]+", "]-x", "^"},
        {"[[:upper:][:^ascii:]]+", "A\xe2\x82\xac", "a"},
        {"\\w+\\W\\S\\s\\D", "a_9-b\tc", "a_9-b\tcc"},
        {".", "\xf0\x9f\x98\x80", "\n"},
        {"(?s).", "\n", ""},
        {"^a$", "a", "a\n"},
        {"(?m)a$\\n^b", "a\nb", "ab"},
        {"\\Aa\\bc?\\z", "a", "ac"},
        {"a\\B.", "ab", "a-"},
        {"\\x41\\x{1F600}\\101\\0",
         "A\xf0\x9f\x98\x80"
         "A",
         "A"},
        {"\\Qa.b*\\E+", "a.b***", "aab"},
        {"(?i)stra\xc3\x9f(?-i)E",
         "STRA\xc3\x9f"
         "E",
         "STRA\xc3\x9f"
         "e"},
        {"(?i:[\xd0\xb0-\xd1\x8f])\xd0\xb0", "\xd0\x90\xd0\xb0", "\xd0\x90\xd0\x90"},
        {"(?P<year>\\d{4})-(?P<day>\\d\\d)", "2024-07", "2024-7"},
        {"(a|(?i)b)c", "Bc", "BC"},
    };
    (void)unused;
    for (size_t i = 0; i < TN_COUNT(rows); i++) {
        /* A zero byte ends a C string: the one row that has it is given its length. */
        size_t zero = strstr(rows[i].pattern, "\\0") ? 1 : 0;
        assert_ok(tn_regex_compile(rows[i].pattern, strlen(rows[i].pattern), &regex));
        if (!tn_regex_matches(&regex, rows[i].yes, strlen(rows[i].yes) + zero, &state))
            fail_msg("\"%s\" does not match \"%s\"", rows[i].pattern, rows[i].yes);
        if (tn_regex_matches(&regex, rows[i].no, strlen(rows[i].no), &state))
            fail_msg("\"%s\" matches \"%s\"", rows[i].pattern, rows[i].no);
    }
    assert_false(matches(".*", "a\xff"));
    assert_false(matches("[^x]*", "\xc3"));
}

static void test_wrong_patterns(void **unused)
{
    static const char *const invalid[] = {
        "(",       ")",        "a**",   "*a",   "[a",    "[b-a]",       "a{3,2}", "a{1001}",
        "\\",      "\\8",      "\\1",   "\\xg", "\\x{}", "\\x{110000}", "(?z)",   "(?i",
        "(?P<>a)", "[[:no:]]", "(?i)*", "\xff", "[\\xd", "(?i-)",       "(?=a)"};
    (void)unused;
    for (size_t i = 0; i < TN_COUNT(invalid); i++)
        assert_fails(tn_regex_compile(invalid[i], strlen(invalid[i]), &regex), TN_INVALID,
                     "the pattern");
    assert_fails(tn_regex_compile("\\pL", 3, &regex), TN_UNSUPPORTED, "Unicode");
    assert_fails(tn_regex_compile("\\C", 2, &regex), TN_UNSUPPORTED, "bytes");
    assert_fails(tn_regex_compile("((a{99}){99}){99}", 17, &regex), TN_UNSUPPORTED, "8192");
}

/* A pattern on which going back takes for ever, and nesting as deep as a stack. */
static void test_hostile_patterns(void **unused)
{
    static char text[20001], deep[4001];
    (void)unused;
    memset(text, 'a', sizeof(text) - 1);
    uint64_t begin = tn_clock_ns();
    assert_false(matches("((a*)*)*(a|a|a?)*b", text));
    assert_true(matches("(a?){500}(a|aa)*", text));
    assert_true(tn_clock_ns() - begin < UINT64_C(10000000000));
    memset(deep, '(', 2000);
    memset(deep + 2000, ')', 2000);
    assert_fails(tn_regex_compile(deep, 4000, &regex), TN_UNSUPPORTED, "200 deep");
    memset(deep, '|', 4000);
    assert_true(matches(deep, ""));
}

/* Half a program must not be written beyond the limits, wherever a pattern ends. */
static void test_cut_patterns(void **unused)
{
    static const char whole[] = "(?i:a|[^b-c\\w]{2,3})+\\x{41}\\Qz\\E(?P<n>\\101)$";
    (void)unused;
    for (size_t bytes = 0; bytes < sizeof(whole); bytes++) {
        char *copy = malloc(bytes + 1);
        assert_non_null(copy);
        memcpy(copy, whole, bytes);
        tn_status status = tn_regex_compile(copy, bytes, &regex);
        if (!status) tn_regex_matches(&regex, copy, bytes, &state);
        free(copy);
    }
}

static void test_utf8(void **unused)
{
    static const uint32_t runes[] = {0,     'a',    0x7F,   0x80,    0x7FF,
                                     0x800, 0xD7FF, 0xFFFF, 0x10000, 0x10FFFF};
    static const char *const bad[] = {"\x80",     "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80",
                                      "\xe2\x82", "\xff"};
    uint32_t rune;
    char text[4];
    (void)unused;
    for (size_t i = 0; i < TN_COUNT(runes); i++) {
        size_t bytes = tn_utf8_put(runes[i], text);
        assert_int_equal(tn_utf8_next(text, bytes, &rune), bytes);
        assert_int_equal(rune, runes[i]);
    }
    for (size_t i = 0; i < TN_COUNT(bad); i++) {
        assert_int_equal(tn_utf8_next(bad[i], strlen(bad[i]), &rune), 1);
        assert_int_equal(rune, TN_RUNE_BAD);
    }
}

static void test_letter_case(void **unused)
{
    static const uint32_t pairs[][2] = {{'A', 'a'},     {0xC4, 0xE4},   {0x100, 0x101},
                                        {0x139, 0x13A}, {0x178, 0xFF},  {0x386, 0x3AC},
                                        {0x38F, 0x3CE}, {0x3A9, 0x3C9}, {0x401, 0x451},
                                        {0x42F, 0x44F}, {0x4C1, 0x4C2}, {0x52E, 0x52F}};
    (void)unused;
    for (size_t i = 0; i < TN_COUNT(pairs); i++) {
        assert_int_equal(tn_letter_lower(pairs[i][0]), pairs[i][1]);
        assert_int_equal(tn_letter_upper(pairs[i][1]), pairs[i][0]);
        assert_int_equal(tn_letter_upper(pairs[i][0]), pairs[i][0]);
        assert_int_equal(tn_letter_lower(pairs[i][1]), pairs[i][1]);
    }
    assert_int_equal(tn_letter_lower('['), '[');
    assert_int_equal(tn_letter_upper(0xF7), 0xF7); /* the division sign is no letter */
    assert_int_equal(tn_letter_upper(0x4E2D), 0x4E2D);
}

/* New strings live until the next run, and runs of the same size stop allocating. */
static void test_strings_of_a_run(void **unused)
{
    float number[300];
    int64_t dim = 300;
    tn_tensor in = tn_tensor_of(TN_DTYPE_F32, &dim, 1, number), out;
    (void)unused;
    failing_install(0, FAIL_ONCE);
    tn_engine *engine = build_text("graph \"strings\" {\n"
                                   "  input %x : f32[300]\n"
                                   "  %s : string[300] = Cast{to=8}(%x)\n"
                                   "  %y : string[300] = StringConcat(%s, %s)\n"
                                   "  output \"y\" = %y\n"
                                   "}\n",
                                   NULL);
    tn_context *context = new_context(engine);
    for (int run = 0; run < 4; run++) {
        char want[32];
        for (int i = 0; i < 300; i++) number[i] = (float)(i % 10) + (float)run / 4;
        int64_t before = failing_read().requests;
        assert_ok(tn_exec_context_bind(context, "x", &in));
        assert_ok(tn_exec_context_run(context));
        if (run > 1) assert_int_equal(failing_read().requests, before);
        assert_ok(tn_exec_context_output(context, "y", &out));
        const tn_string *text = out.data;
        snprintf(want, sizeof(want), "%g%g", 9 + run / 4.0, 9 + run / 4.0);
        assert_int_equal(text[299].bytes, strlen(want));
        assert_memory_equal(text[299].text, want, strlen(want));
    }
    tn_exec_context_free(context);
    tn_exec_engine_release(engine);
    assert_int_equal(failing_remove().live_blocks, 0);
}

/* Sizes that only the strings tell. */
static void test_split_in_a_run(void **unused)
{
    tn_string words[] = {{"a b c", 5}, {"d", 1}};
    int64_t dim = 2;
    tn_tensor in = tn_tensor_of(TN_DTYPE_STRING, &dim, 1, words), out;
    (void)unused;
    tn_engine *engine = build_text("graph \"split\" {\n"
                                   "  input %x : string[2]\n"
                                   "  %y : string[2,k], %n : i64[2] = StringSplit(%x)\n"
                                   "  output \"y\" = %y\n"
                                   "  output \"n\" = %n\n"
                                   "}\n",
                                   NULL);
    tn_context *context = new_context(engine);
    assert_ok(tn_exec_context_bind(context, "x", &in));
    assert_ok(tn_exec_context_run(context));
    assert_ok(tn_exec_context_output(context, "y", &out));
    assert_int_equal(out.rank, 2);
    assert_int_equal(out.dim[1], 3);
    assert_memory_equal(((tn_string *)out.data)[2].text, "c", 1);
    assert_int_equal(((tn_string *)out.data)[4].bytes, 0);
    words[0].bytes = 3;
    assert_ok(tn_exec_context_run(context));
    assert_ok(tn_exec_context_output(context, "y", &out));
    assert_int_equal(out.dim[1], 2);
    tn_exec_context_free(context);
    tn_exec_engine_release(engine);
}

/* The program's locale has a comma, or the test says that none is installed. */
static void test_numbers_ignore_the_locale(void **unused)
{
    static const char *const names[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "nl_NL.UTF-8", "ru_RU.UTF-8"};
    double number[2] = {0.5, -1.25}, read[2];
    tn_string text[2];
    int64_t dim = 2;
    bool comma = false;
    (void)unused;
    for (size_t i = 0; i < TN_COUNT(names) && !comma; i++)
        comma = setlocale(LC_NUMERIC, names[i]) != NULL;
    if (!comma)
        print_message("no locale with a decimal comma is installed: checked with \"C\" alone\n");
    tn_tensor x = tn_tensor_of(TN_DTYPE_F64, &dim, 1, number),
              y = tn_tensor_of(TN_DTYPE_F64, &dim, 1, read);
    tn_tensor s = tn_tensor_of(TN_DTYPE_STRING, &dim, 1, text);
    tn_arena arena;
    tn_arena_init(&arena);
    assert_ok(tn_cast_to_text(&x, &arena, &s));
    assert_memory_equal(text[1].text, "-1.25", 5);
    assert_ok(tn_cast_from_text(&s, &y));
    assert_true(read[0] == 0.5 && read[1] == -1.25);
    text[0] = (tn_string){"0,5", 3};
    assert_fails(tn_cast_from_text(&s, &y), TN_INVALID, "0,5");
    tn_arena_fini(&arena);
    setlocale(LC_NUMERIC, "C");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_patterns),
        cmocka_unit_test(test_wrong_patterns),
        cmocka_unit_test(test_hostile_patterns),
        cmocka_unit_test(test_cut_patterns),
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_letter_case),
        cmocka_unit_test(test_strings_of_a_run),
        cmocka_unit_test(test_split_in_a_run),
        cmocka_unit_test(test_numbers_ignore_the_locale),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
