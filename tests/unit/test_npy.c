/* .npy files: round trips, NumPy's own headers, damage. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "fault/failing_allocator.h"
#include "tensor/npy.h"

static void round_trip(const char *text)
{
    tn_arena arena;
    tn_tensor t, back;
    tn_writer writer = {0};
    tn_difference d;
    tn_arena_init(&arena);
    assert_null(tn_tensor_parse(&text, &arena, &t, NULL));
    assert_null(tn_npy_encode(&t, &writer));
    assert_true(tn_npy_is(writer.at, writer.count));
    assert_int_equal((writer.count - (size_t)tn_tensor_bytes(&t)) % 64, 0);
    tn_status status = tn_npy_decode(writer.at, writer.count, &back);
    if (status) fail_msg("%s", tn_status_message(status));
    assert_null(tn_tensor_compare(&back, &t, 0, 0, &d));
    assert_int_equal(d.beyond_count, 0);
    tn_tensor_free(&back);
    tn_writer_fini(&writer);
    tn_arena_fini(&arena);
}

static void every_type_round_trips(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "f16[2]={1.5,nan}",
        "f32[2,2]={1,2,3,-0}",
        "f64={0.1}",
        "i8[3]={-128,0,127}",
        "i16[1]={-5}",
        "i32[2,1,2]={1,2,3,4}",
        "i64[1]={-9223372036854775808}",
        "u8[2]={0,255}",
        "u16[1]={65535}",
        "u32[1]={4294967295}",
        "u64[1]={18446744073709551615}",
        "bool[3]={0,1,1}",
        "c64[2]={1+2i,3-4i}",
        "c128[1]={0.1-0.2i}",
        "f32[0,3]={}",
        "f32[1,1,1,1,1,1,1,2]={1,2}",
    };
    for (size_t i = 0; i < TN_COUNT(texts); i++) round_trip(texts[i]);
}

/* A file of version 1, 2 or 3 from its header text and elements. */
static size_t make_file(uint8_t *dst, int version, const char *header, const void *data,
                        size_t bytes)
{
    size_t length = strlen(header), at = 8;
    memcpy(dst, "\x93NUMPY", 6);
    dst[6] = (uint8_t)version;
    dst[7] = 0;
    for (int i = 0; i < (version == 1 ? 2 : 4); i++) dst[at++] = (uint8_t)(length >> (8 * i));
    memcpy(dst + at, header, length);
    if (bytes) memcpy(dst + at + length, data, bytes);
    return at + length + bytes;
}

static void assert_decodes(int version, const char *header, const void *data, size_t bytes,
                           const char *expected)
{
    uint8_t file[512];
    tn_tensor t;
    tn_text text = {0};
    tn_status status = tn_npy_decode(file, make_file(file, version, header, data, bytes), &t);
    if (status) fail_msg("%s: %s", header, tn_status_message(status));
    tn_tensor_print(&t, 0, &text);
    assert_string_equal(text.at, expected);
    tn_text_fini(&text);
    tn_tensor_free(&t);
}

static void what_numpy_writes_is_read(void **state)
{
    (void)state;
    static const float floats[] = {1, 2, 3, 4, 5, 6};
    static const uint8_t big[] = {0x01, 0x02, 0xff, 0xfe},
                         big_complex[] = {0x3f, 0x80, 0, 0, 0x40, 0, 0, 0};
    static const uint8_t bools[] = {0, 1, 7};
    assert_decodes(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }          \n",
                   floats, 24, "f32[2,3]={1,2,3,4,5,6}");
    assert_decodes(1, "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }          \n",
                   floats, 24, "f32[2,3]={1,3,5,2,4,6}");
    assert_decodes(2, "{'descr': '<f4', 'fortran_order': False, 'shape': (), }\n", floats, 4,
                   "f32={1}");
    assert_decodes(3, "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }\n", floats, 4,
                   "f32[1]={1}");
    assert_decodes(1, "{'descr': '>i2', 'fortran_order': False, 'shape': (2,), }\n", big, 4,
                   "i16[2]={258,-2}");
    assert_decodes(1, "{'descr': '>c8', 'fortran_order': False, 'shape': (), }\n", big_complex, 8,
                   "c64={1+2i}");
    assert_decodes(1, "{'descr': '|b1', 'fortran_order': False, 'shape': (3,), }\n", bools, 3,
                   "bool[3]={0,1,1}");
    assert_decodes(1, "{\"shape\":(2L,0),\"fortran_order\":True,\"descr\":\"|u1\"}", NULL, 0,
                   "u8[2,0]={}");
}

static void bad_headers_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        tn_code code;
    } bad[] = {
        {"", TN_CORRUPT},
        {"{}", TN_CORRUPT},
        {"{'descr': '<f4', 'fortran_order': False}", TN_CORRUPT},
        {"{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': ()}", TN_CORRUPT},
        {"{'descr': '<f4', 'fortran_order': 0, 'shape': ()}", TN_CORRUPT},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1}", TN_CORRUPT},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}", TN_CORRUPT},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}", TN_CORRUPT},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4)}", TN_CORRUPT},
        {"{'descr': '<u8', 'fortran_order': True, 'shape': (4611686018427387904, 8, 0)}",
         TN_CORRUPT},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000,)}", TN_CORRUPT},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (), 'more': 1}", TN_CORRUPT},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': ()} x", TN_CORRUPT},
        {"{'descr': '<f4", TN_UNSUPPORTED},
        {"{'descr': '<U5', 'fortran_order': False, 'shape': ()}", TN_UNSUPPORTED},
        {"{'descr': '|O', 'fortran_order': False, 'shape': ()}", TN_UNSUPPORTED},
        {"{'descr': '<f16', 'fortran_order': False, 'shape': ()}", TN_UNSUPPORTED},
        {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': ()}", TN_UNSUPPORTED},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1)}", TN_UNSUPPORTED},
    };
    for (size_t i = 0; i < TN_COUNT(bad); i++) {
        uint8_t file[256];
        tn_tensor t;
        tn_status status =
            tn_npy_decode(file, make_file(file, 1, bad[i].header, "\0\0\0\0", 4), &t);
        if (tn_status_code(status) != bad[i].code)
            fail_msg("%s: %s", bad[i].header, tn_status_message(status));
        assert_null(t.data);
    }
}

/* Cut anywhere or with any byte changed: an error or a tensor, and never a read outside the file.
 * The copy is exactly as long as the file, so that a sanitizer sees a step beyond. */
static void damage_is_survived(void **state)
{
    (void)state;
    uint8_t file[256], data[12] = {1, 2, 3};
    const char *header = "{'descr': '<i2', 'fortran_order': True, 'shape': (3, 2), }\n";
    size_t bytes = make_file(file, 1, header, data, sizeof data);
    for (size_t cut = 0; cut < bytes; cut++) {
        tn_tensor t;
        uint8_t *copy = test_malloc(cut + 1);
        memcpy(copy, file, cut);
        assert_int_equal(tn_status_code(tn_npy_decode(copy, cut, &t)), TN_CORRUPT);
        test_free(copy);
    }
    uint8_t *copy = test_malloc(bytes);
    int read = 0;
    for (size_t at = 0; at < bytes; at++) {
        for (int change = 1; change < 256; change++) {
            tn_tensor t;
            memcpy(copy, file, bytes);
            copy[at] ^= (uint8_t)change;
            if (tn_npy_decode(copy, bytes, &t)) continue;
            assert_true(tn_tensor_bytes(&t) <= (int64_t)bytes);
            tn_tensor_free(&t);
            read++;
        }
    }
    assert_true(read >= 12 * 255); /* changes of elements leave a good file */
    test_free(copy);
}

static void types_unknown_to_numpy_are_refused(void **state)
{
    (void)state;
    uint16_t memory[4] = {0};
    const int64_t dim[] = {2};
    tn_writer writer = {0};
    static const tn_dtype types[] = {TN_DTYPE_BF16, TN_DTYPE_U4, TN_DTYPE_F8E5M2};
    for (size_t i = 0; i < TN_COUNT(types); i++) {
        tn_tensor t = tn_tensor_of(types[i], dim, 1, memory);
        assert_int_equal(tn_status_code(tn_npy_encode(&t, &writer)), TN_UNSUPPORTED);
    }
    tn_writer_fini(&writer);
}

static void views_are_written_dense(void **state)
{
    (void)state;
    int32_t memory[] = {1, 2, 3, 4, 5, 6};
    const int64_t dim[] = {3, 2};
    tn_tensor t = tn_tensor_of(TN_DTYPE_I32, dim, 2, memory), back;
    tn_writer writer = {0};
    t.stride[0] = 1;
    t.stride[1] = 3;
    assert_null(tn_npy_encode(&t, &writer));
    assert_null(tn_npy_decode(writer.at, writer.count, &back));
    assert_memory_equal(back.data, ((int32_t[]){1, 4, 2, 5, 3, 6}), 24);
    tn_tensor_free(&back);
    tn_writer_fini(&writer);
}

static void every_failed_allocation_is_reported(void **state)
{
    (void)state;
    float memory[] = {1, 2};
    const int64_t dim[] = {2};
    tn_tensor t = tn_tensor_of(TN_DTYPE_F32, dim, 1, memory), back;
    for (int64_t n = 1;; n++) {
        tn_writer writer = {0};
        failing_install(n, FAIL_ONCE);
        tn_status status = tn_npy_encode(&t, &writer);
        if (!status) status = tn_npy_decode(writer.at, writer.count, &back);
        tn_code code = tn_status_code(status);
        if (!status) tn_tensor_free(&back);
        tn_writer_fini(&writer);
        failing_counts counts = failing_remove();
        assert_int_equal(counts.live_bytes, 0);
        assert_int_equal(counts.errors, 0);
        assert_int_equal(code, counts.failed ? TN_OUT_OF_MEMORY : TN_OK);
        if (!counts.failed) break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_round_trips),
        cmocka_unit_test(what_numpy_writes_is_read),
        cmocka_unit_test(bad_headers_are_refused),
        cmocka_unit_test(damage_is_survived),
        cmocka_unit_test(types_unknown_to_numpy_are_refused),
        cmocka_unit_test(views_are_written_dense),
        cmocka_unit_test(every_failed_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
