/* Bounded readers, writers and the hash. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/bytes.h"
#include "fault/failing_allocator.h"

static void fill(tn_writer *writer)
{
    tn_write_u8(writer, 0x12);
    tn_write_u32(writer, 0x89ABCDEFu);
    tn_write_u64(writer, UINT64_C(0xFEDCBA9876543210));
    tn_write_i64(writer, -2);
    tn_write_text(writer, "name");
    tn_write_text(writer, "");
    tn_write_align(writer, 16);
    tn_write_bytes(writer, "tail", 4);
    tn_write_bytes(writer, NULL, 0);
}

static void what_is_written_reads_back(void **state)
{
    (void)state;
    tn_writer writer = {0};
    tn_arena arena;
    tn_arena_init(&arena);
    fill(&writer);
    assert_null(tn_writer_check(&writer));
    assert_int_equal(writer.count, 52);
    assert_memory_equal(writer.at, "\x12\xEF\xCD\xAB\x89\x10\x32", 7); /* little-endian */

    uint8_t small;
    uint32_t middle;
    uint64_t large;
    int64_t number;
    const char *text;
    const void *bytes;
    tn_reader reader = tn_reader_of(writer.at, writer.count, "test");
    assert_null(tn_read_u8(&reader, "small", &small));
    assert_int_equal(small, 0x12);
    assert_null(tn_read_u32(&reader, "middle", &middle));
    assert_int_equal(middle, 0x89ABCDEFu);
    assert_null(tn_read_u64(&reader, "large", &large));
    assert_true(large == UINT64_C(0xFEDCBA9876543210));
    assert_null(tn_read_i64(&reader, "number", &number));
    assert_int_equal(number, -2);
    assert_null(tn_read_text(&reader, "text", &arena, &text));
    assert_string_equal(text, "name");
    assert_null(tn_read_text(&reader, "text", &arena, &text));
    assert_string_equal(text, "");
    assert_null(tn_read_bytes(&reader, 15, "padding", &bytes));
    for (int i = 0; i < 15; i++) assert_int_equal(((const uint8_t *)bytes)[i], 0);
    assert_null(tn_read_bytes(&reader, 4, "tail", &bytes));
    assert_memory_equal(bytes, "tail", 4);
    assert_true(reader.at == reader.end);
    tn_writer_fini(&writer);
    tn_arena_fini(&arena);
}

static void short_reads_are_refused_and_named(void **state)
{
    (void)state;
    uint32_t value = 7;
    const void *bytes;
    tn_reader reader = tn_reader_of("abc", 3, "engine plan");
    tn_status status = tn_read_u32(&reader, "step count", &value);
    assert_int_equal(tn_status_code(status), TN_CORRUPT);
    assert_non_null(strstr(tn_status_message(status), "engine plan"));
    assert_non_null(strstr(tn_status_message(status), "step count"));
    assert_int_equal(value, 7);
    assert_int_equal(reader.end - reader.at, 3);
    assert_int_equal(tn_status_code(tn_read_bytes(&reader, SIZE_MAX, "all", &bytes)), TN_CORRUPT);
    assert_null(tn_read_bytes(&reader, 3, "all", &bytes));

    reader = tn_reader_of(NULL, 0, "empty");
    assert_null(tn_read_bytes(&reader, 0, "nothing", &bytes));
    assert_int_equal(tn_status_code(tn_read_bytes(&reader, 1, "byte", &bytes)), TN_CORRUPT);
}

static void counts_are_bounded_by_what_is_left(void **state)
{
    (void)state;
    uint32_t count;
    static const uint8_t file[] = {3, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8};
    tn_reader reader = tn_reader_of(file, sizeof(file), "file");
    assert_null(tn_read_count(&reader, "items", 2, &count));
    assert_int_equal(count, 3);
    reader = tn_reader_of(file, sizeof(file), "file");
    assert_int_equal(tn_status_code(tn_read_count(&reader, "items", 3, &count)), TN_CORRUPT);
    reader = tn_reader_of("\xFF\xFF\xFF\xFF", 4, "file");
    assert_int_equal(tn_status_code(tn_read_count(&reader, "items", 0, &count)), TN_CORRUPT);
}

static void text_with_a_zero_or_too_long_is_refused(void **state)
{
    (void)state;
    const char *text;
    tn_arena arena;
    tn_arena_init(&arena);
    tn_reader reader = tn_reader_of("\x03\0\0\0a\0b", 7, "file");
    assert_int_equal(tn_status_code(tn_read_text(&reader, "name", &arena, &text)), TN_CORRUPT);
    reader = tn_reader_of("\x04\0\0\0abc", 7, "file");
    assert_int_equal(tn_status_code(tn_read_text(&reader, "name", &arena, &text)), TN_CORRUPT);
    tn_arena_fini(&arena);
}

static void writer_remembers_lack_of_memory(void **state)
{
    (void)state;
    for (int64_t n = 1; n <= 3; n++) {
        tn_writer writer = {0};
        failing_install(n, FAIL_ONCE);
        for (int i = 0; i < 100; i++) fill(&writer);
        tn_status status = tn_writer_check(&writer);
        tn_writer_fini(&writer);
        failing_counts counts = failing_remove();
        assert_int_equal(counts.failed, 1);
        assert_int_equal(tn_status_code(status), TN_OUT_OF_MEMORY);
        assert_int_equal(counts.live_bytes, 0);
        assert_int_equal(counts.errors, 0);
    }
}

static void hash_is_xxh3(void **state)
{
    (void)state;
    assert_true(tn_hash_bytes(NULL, 0) == UINT64_C(0x2D06800538D394C2)); /* XXH3's own */
    assert_true(tn_hash_bytes("abc", 3) == tn_hash_bytes("abcd", 3));
    assert_true(tn_hash_bytes("abc", 3) != tn_hash_bytes("abd", 3));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_reads_back),
        cmocka_unit_test(short_reads_are_refused_and_named),
        cmocka_unit_test(counts_are_bounded_by_what_is_left),
        cmocka_unit_test(text_with_a_zero_or_too_long_is_refused),
        cmocka_unit_test(writer_remembers_lack_of_memory),
        cmocka_unit_test(hash_is_xxh3),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
