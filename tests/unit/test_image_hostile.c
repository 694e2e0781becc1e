/* Pictures that are not: cut off, damaged, lying about their size, and memory that runs out. Every
 * failure must name the file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "fault/failing_allocator.h"
#include "image/image.h"

#define FOLDER TN_SOURCE_DIR "/tests/fixtures/image/"

static const char *const names[] = {
    "baseline.jpg", "progressive.jpg", "restart.jpg", "cmyk.jpg",    "turned.jpg", "turned.png",
    "palette.png",  "grey16.png",      "rgb.bmp",     "palette.bmp", "rgb.ppm",
};

static uint8_t *read_fixture(const char *name, size_t *bytes)
{
    char path[512];
    tn_mapping mapping;
    snprintf(path, sizeof(path), FOLDER "%s", name);
    assert_null(tn_file_map(path, &mapping));
    uint8_t *copy = malloc(mapping.bytes);
    memcpy(copy, mapping.at, mapping.bytes);
    *bytes = mapping.bytes;
    tn_file_unmap(&mapping);
    return copy;
}

static void expect_refused(const void *bytes, size_t count, tn_code code, const char *words)
{
    tn_tensor t = {.data = &t};
    tn_status status = tn_image_load_bytes(bytes, count, "bad.img", NULL, &t);
    if (tn_status_code(status) != code || !strstr(tn_status_message(status), words) ||
        !strstr(tn_status_message(status), "bad.img"))
        fail_msg("wanted %s '%s', got %s '%s'", tn_code_name(code), words,
                 tn_code_name(tn_status_code(status)), tn_status_message(status));
    assert_null(t.data);
}

static void a_file_cut_off_is_never_a_picture(void **state)
{
    (void)state;
    for (size_t i = 0; i < TN_COUNT(names); i++) {
        size_t bytes;
        uint8_t *at = read_fixture(names[i], &bytes);
        bool jpeg = strstr(names[i], ".jpg") != NULL;
        for (size_t cut = 0; cut < bytes; cut++) {
            /* A copy of just this size, for the sanitizer to watch its end. */
            uint8_t *part = malloc(cut + 1);
            tn_tensor t;
            memcpy(part, at, cut);
            part = realloc(part, cut ? cut : 1);
            tn_status status = tn_image_load_bytes(part, cut, "cut.img", NULL, &t);
            /* A JPEG may lack its end marker, and the padding of its last byte. */
            bool whole = jpeg && cut + 3 >= bytes;
            if (!status && !whole) fail_msg("%s: %zu of %zu bytes are read", names[i], cut, bytes);
            if (status && !strstr(tn_status_message(status), "cut.img"))
                fail_msg("%s: %s", names[i], tn_status_message(status));
            if (!status) tn_tensor_free(&t);
            free(part);
        }
        free(at);
    }
}

static void damage_ends_in_an_error_or_a_picture(void **state)
{
    (void)state;
    uint32_t random = 1;
    int refused = 0;
    tn_set_log(NULL, NULL, TN_LOG_ERROR);
    for (size_t i = 0; i < TN_COUNT(names); i++) {
        size_t bytes;
        uint8_t *at = read_fixture(names[i], &bytes);
        for (int round = 0; round < 400; round++) {
            tn_image_options o = {.size = sizeof(o), .max_pixels = 1 << 16};
            tn_tensor t;
            random = random * 1664525 + 1013904223;
            size_t place = (random >> 8) % bytes;
            uint8_t old = at[place];
            at[place] = (uint8_t)(random >> 3);
            tn_status status = tn_image_load_bytes(at, bytes, "hit.img", &o, &t);
            refused += status != NULL;
            if (!status) tn_tensor_free(&t);
            at[place] = old;
        }
        free(at);
    }
    tn_set_log(NULL, NULL, TN_LOG_WARNING);
    assert_true(refused > 1000);
}

static void put(uint8_t *at, uint32_t value, int bytes)
{
    for (int i = 0; i < bytes; i++) at[i] = (uint8_t)(value >> 8 * (bytes - 1 - i));
}

static void sizes_are_checked_before_memory_is_taken(void **state)
{
    (void)state;
    size_t bytes;
    failing_install(0, FAIL_ONCE);
    /* 65500 x 65500 in a JPEG's frame head, and 2^31 - 1 in a PNG's (whose checksum is then wrong,
     * as it is when a picture was damaged). */
    uint8_t *jpeg = read_fixture("baseline.jpg", &bytes);
    uint8_t *frame = memmem(jpeg, bytes, "\xFF\xC0", 2);
    assert_non_null(frame);
    put(frame + 5, 65500, 2);
    put(frame + 7, 65500, 2);
    expect_refused(jpeg, bytes, TN_INVALID, "65500 x 65500 pixels; the limit is 134217728");
    put(frame + 5, 9000, 2);
    put(frame + 7, 9000, 2);
    expect_refused(jpeg, bytes, TN_CORRUPT, "9000 x 9000 pixels cannot be in a file of");
    put(frame + 5, 0, 2);
    expect_refused(jpeg, bytes, TN_CORRUPT, "JPEG");
    free(jpeg);
    /* The same with the right checksum: libpng accepts it. */
    static const uint8_t huge[] = "\x89PNG\r\n\x1A\n\0\0\0\x0DIHDR\x7F\xFF\xFF\xFF\x7F\xFF\xFF\xFF"
                                  "\x08\x02\0\0\0\x9B\xAB\x9C\x31\0\0\0\0IDAT\x35\xAF\x06\x1E";
    expect_refused(huge, sizeof(huge) - 1, TN_INVALID, "2147483647 x 2147483647 pixels");
    static const uint8_t pnm[] = "P6 99999 99999 255 ";
    expect_refused(pnm, sizeof(pnm) - 1, TN_INVALID, "99999 x 99999");
    static const uint8_t few[] = "P6 9999 9999 255 abc";
    expect_refused(few, sizeof(few) - 1, TN_CORRUPT, "take 299940003 bytes from byte 17");
    uint8_t *bmp = read_fixture("rgb.bmp", &bytes);
    memcpy(bmp + 18, "\0\0\0\x80\0\0\0\x80", 8);
    expect_refused(bmp, bytes, TN_CORRUPT, "-2147483648 x 2147483648");
    memcpy(bmp + 18, "\xFF\x2F\0\0\xFF\x2F\0\0", 8);
    expect_refused(bmp, bytes, TN_INVALID, "12287 x 12287");
    memcpy(bmp + 18, "\0\x20\0\0\0\x20\0\0", 8);
    expect_refused(bmp, bytes, TN_CORRUPT, "take 201326592 bytes");
    free(bmp);
    failing_counts counts = failing_remove();
    assert_int_equal(counts.live_bytes, 0);
    assert_true(counts.peak_bytes < 1 << 20);
}

static void other_formats_are_named(void **state)
{
    (void)state;
    expect_refused("RIFF\0\0\0\0WEBPVP8 ", 16, TN_UNSUPPORTED, "WebP");
    expect_refused("II*\0\x08\0\0\0", 8, TN_UNSUPPORTED, "TIFF");
    expect_refused("GIF89a", 6, TN_UNSUPPORTED, "GIF");
    expect_refused("\0\0\0\x0CjP  \r\n", 10, TN_UNSUPPORTED, "JPEG 2000");
    expect_refused("\0\0\0\x18"
                   "ftypavif",
                   12, TN_UNSUPPORTED, "AVIF");
    expect_refused("hello", 5, TN_CORRUPT, "not a picture");
    expect_refused("", 0, TN_CORRUPT, "empty");
    expect_refused("BM", 2, TN_CORRUPT, "bad.img");
    expect_refused("P5 1 1 0 x", 10, TN_CORRUPT, "greatest value is 0");
    expect_refused("P5 1 x", 6, TN_CORRUPT, "height is not a number, at byte 5");
    tn_tensor t;
    tn_status status = tn_image_load("/nowhere/a.png", NULL, &t);
    assert_int_equal(tn_status_code(status), TN_NOT_FOUND);
    assert_non_null(strstr(tn_status_message(status), "/nowhere/a.png"));
}

static void every_lack_of_memory_is_reported(void **state)
{
    (void)state;
    for (size_t i = 0; i < TN_COUNT(names); i++) {
        size_t bytes;
        uint8_t *at = read_fixture(names[i], &bytes);
        for (int64_t n = 1;; n++) {
            tn_tensor t, out = {0};
            tn_image_steps steps = {.size = sizeof(steps)};
            failing_install(n, FAIL_ONCE);
            tn_status status = tn_image_load_bytes(at, bytes, names[i], NULL, &t);
            if (!status) status = tn_image_preset("mnist", 0, &steps);
            if (!status) status = tn_image_prepare(&t, &steps, &out);
            tn_code code = tn_status_code(status);
            tn_tensor_free(&t);
            tn_tensor_free(&out);
            failing_counts counts = failing_remove();
            assert_int_equal(counts.live_bytes, 0);
            assert_int_equal(counts.errors, 0);
            if (!counts.failed) {
                assert_int_equal(code, TN_OK);
                break;
            }
            assert_int_equal(code, TN_OUT_OF_MEMORY);
        }
        free(at);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_cut_off_is_never_a_picture),
        cmocka_unit_test(damage_ends_in_an_error_or_a_picture),
        cmocka_unit_test(sizes_are_checked_before_memory_is_taken),
        cmocka_unit_test(other_formats_are_named),
        cmocka_unit_test(every_lack_of_memory_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
