/* Pictures: every kind decoded as PIL decodes it, resized and made ready as PIL and torchvision do
 * it. The expected pixels and vectors come from tests/image/make_fixtures.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "image/image.h"

#define FOLDER TN_SOURCE_DIR "/tests/fixtures/image/"

static void must(tn_status status)
{
    if (status) fail_msg("%s", tn_status_message(status));
}

static void expect_same(const tn_tensor *got, const tn_tensor *want, const char *what)
{
    tn_difference d;
    tn_status status = tn_tensor_compare(got, want, 0, 0, &d);
    if (status) fail_msg("%s: %s", what, tn_status_message(status));
    if (d.beyond_count) fail_msg("%s: %lld values differ", what, (long long)d.beyond_count);
}

static void fixtures_decode_as_pil_does(void **state)
{
    (void)state;
    static const char *const names[] = {
        "baseline.jpg", "progressive.jpg", "restart.jpg", "grey.jpg",    "cmyk.jpg",
        "turned.jpg",   "turned.png",      "rgb.png",     "alpha.png",   "palette.png",
        "bits.png",     "grey16.png",      "rgb.bmp",     "palette.bmp", "rgb.ppm",
    };
    for (size_t i = 0; i < TN_COUNT(names); i++) {
        char path[512];
        tn_tensor got, want;
        snprintf(path, sizeof(path), FOLDER "%s", names[i]);
        must(tn_image_load(path, NULL, &got));
        snprintf(path, sizeof(path), FOLDER "%s.npy", names[i]);
        must(tn_tensor_load(path, &want));
        expect_same(&got, &want, names[i]);
        tn_tensor_free(&got);
        tn_tensor_free(&want);
    }
}

static void colours_and_orientation_can_be_chosen(void **state)
{
    (void)state;
    tn_tensor rgb, bgr, grey, stored;
    tn_image_options o = {.size = sizeof(o)};
    must(tn_image_load(FOLDER "turned.png", &o, &rgb));
    o.colour = TN_IMAGE_BGR;
    must(tn_image_load(FOLDER "turned.png", &o, &bgr));
    o.colour = TN_IMAGE_GREY;
    must(tn_image_load(FOLDER "turned.png", &o, &grey));
    o = (tn_image_options){.size = sizeof(o), .as_stored = true};
    must(tn_image_load(FOLDER "turned.png", &o, &stored));
    const uint8_t *a = rgb.data, *b = bgr.data, *g = grey.data, *s = stored.data;
    assert_int_equal(rgb.dim[0], 19);
    assert_int_equal(rgb.dim[1], 13);
    assert_int_equal(grey.dim[2], 1);
    assert_int_equal(stored.dim[0], 13);
    for (int64_t i = 0; i < 13 * 19; i++) {
        assert_int_equal(a[3 * i], b[3 * i + 2]);
        assert_int_equal(a[3 * i + 1], b[3 * i + 1]);
        int sum = a[3 * i] * 19595 + a[3 * i + 1] * 38470 + a[3 * i + 2] * 7471 + 32768;
        assert_int_equal(g[i], sum >> 16);
    }
    /* Orientation 7 lays the stored picture over its other diagonal. */
    assert_memory_equal(a, s + 3 * (13 * 19 - 1), 3);
    tn_tensor_free(&rgb);
    tn_tensor_free(&bgr);
    tn_tensor_free(&grey);
    tn_tensor_free(&stored);
}

static void wide_values_are_kept_when_asked_for(void **state)
{
    (void)state;
    tn_tensor t;
    tn_image_options o = {.size = sizeof(o), .wide = true, .colour = TN_IMAGE_GREY};
    must(tn_image_load(FOLDER "grey16.png", &o, &t));
    assert_int_equal(t.dtype, TN_DTYPE_U16);
    const uint16_t *at = t.data;
    for (int y = 0; y < 13; y++)
        for (int x = 0; x < 19; x++) {
            int value = (x * 13 + y * 3) % 256;
            assert_int_equal(at[y * 19 + x], (value * 257 + 3) % 65536);
        }
    tn_tensor_free(&t);
    /* 16 bits of PNM, maximum 1000: scaled to all of the range */
    static const uint8_t pgm[] = "P5 # a comment\n2 1\n1000\n\x01\xF4\x03\xE8";
    o.colour = TN_IMAGE_RGB;
    must(tn_image_load_bytes(pgm, sizeof(pgm) - 1, "pgm", &o, &t));
    assert_int_equal(((uint16_t *)t.data)[0], 32768);
    assert_int_equal(((uint16_t *)t.data)[5], 65535);
    tn_tensor_free(&t);
}

/* Written by libpng: PIL writes no interlaced files. */
static size_t write_png(uint8_t *dst, size_t capacity, const uint8_t *pixels, int w, int h)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *file = open_memstream(&text, &bytes);
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    png_init_io(png, file);
    png_set_IHDR(png, info, (unsigned)w, (unsigned)h, 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_ADAM7,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png, info);
    for (int pass = png_set_interlace_handling(png); pass > 0; pass--)
        for (int y = 0; y < h; y++) png_write_row(png, pixels + y * w * 3);
    png_write_end(png, info);
    png_destroy_write_struct(&png, &info);
    fclose(file);
    assert_true(bytes <= capacity);
    memcpy(dst, text, bytes);
    free(text);
    return bytes;
}

static void interlaced_png_is_put_together(void **state)
{
    (void)state;
    for (int w = 1; w <= 19; w += 3) {
        uint8_t pixels[19 * 11 * 3], file[4096];
        int h = 11;
        tn_tensor t;
        for (int i = 0; i < w * h * 3; i++) pixels[i] = (uint8_t)(i * 37 + i / 7);
        size_t bytes = write_png(file, sizeof(file), pixels, w, h);
        must(tn_image_load_bytes(file, bytes, "interlaced", NULL, &t));
        assert_int_equal(t.dim[1], w);
        assert_memory_equal(t.data, pixels, (size_t)(w * h * 3));
        tn_tensor_free(&t);
    }
}

/* ---- Resizing
 * --------------------------------------------------------------------------------------*/

static tn_tensor pattern(int64_t h, int64_t w, int64_t c, int64_t a, int64_t b)
{
    tn_tensor t;
    must(tn_tensor_new(TN_DTYPE_U8, (int64_t[]){h, w, c}, 3, &t));
    for (int64_t i = 0; i < h * w * c; i++)
        ((uint8_t *)t.data)[i] = (uint8_t)((i * i * a + i * b) % 256);
    return t;
}

static uint32_t resized_sum(const tn_tensor *t, int64_t h, int64_t w, tn_image_filter filter)
{
    tn_tensor out;
    must(tn_image_resize(t, h, w, filter, &out));
    uint32_t sum = (uint32_t)crc32(0, out.data, (uInt)tn_tensor_bytes(&out));
    tn_tensor_free(&out);
    return sum;
}

static void resizing_equals_pil_to_the_bit(void **state)
{
    (void)state;
    static const struct {
        tn_image_filter filter;
        uint8_t few[12];  /* of 7 x 5 to 4 x 3 */
        uint32_t sums[2]; /* CRC-32 of 41 x 90 RGB to 23 x 17 and to 60 x 150 */
    } cases[] = {
        {TN_FILTER_BILINEAR,
         {57, 84, 162, 131, 107, 180, 183, 181, 123, 133, 163, 116},
         {0xB1CCD333U, 0xFD274917U}},
        {TN_FILTER_BICUBIC,
         {56, 77, 167, 133, 104, 192, 183, 184, 119, 134, 170, 112},
         {0xDF366EDCU, 0x941537C0U}},
        {TN_FILTER_NEAREST,
         {0, 54, 164, 74, 18, 208, 198, 244, 220, 34, 160, 86},
         {0xC6EE7CD2U, 0xD672E22AU}},
        {TN_FILTER_BOX,
         {60, 98, 193, 132, 126, 202, 198, 229, 116, 166, 126, 122},
         {0x7BDB15D3U, 0xD672E22AU}},
        {TN_FILTER_LANCZOS,
         {60, 67, 173, 134, 103, 199, 182, 184, 111, 136, 177, 108},
         {0x12E89A09U, 0xBAFCBB50U}},
    };
    tn_tensor small = pattern(5, 7, 1, 7, 13), large = pattern(90, 41, 3, 5, 11), out;
    for (size_t i = 0; i < TN_COUNT(cases); i++) {
        must(tn_image_resize(&small, 3, 4, cases[i].filter, &out));
        assert_memory_equal(out.data, cases[i].few, 12);
        tn_tensor_free(&out);
        assert_int_equal(resized_sum(&large, 17, 23, cases[i].filter), cases[i].sums[0]);
        assert_int_equal(resized_sum(&large, 150, 60, cases[i].filter), cases[i].sums[1]);
    }
    tn_tensor_free(&small);
    tn_tensor_free(&large);
}

static void one_colour_stays_one_colour(void **state)
{
    (void)state;
    tn_tensor t, out;
    must(tn_tensor_new(TN_DTYPE_U8, (int64_t[]){50, 31, 3}, 3, &t));
    memset(t.data, 201, 50 * 31 * 3);
    for (tn_image_filter f = TN_FILTER_BILINEAR; f <= TN_FILTER_LANCZOS; f++) {
        must(tn_image_resize(&t, 7, 90, f, &out));
        for (int64_t i = 0; i < 7 * 90 * 3; i++) assert_int_equal(((uint8_t *)out.data)[i], 201);
        tn_tensor_free(&out);
    }
    tn_tensor_free(&t);
    t = pattern(1, 1, 3, 1, 1);
    must(tn_image_resize(&t, 300, 2, TN_FILTER_LANCZOS, &out));
    tn_tensor_free(&out);
    assert_int_equal(tn_status_code(tn_image_resize(&t, 0, 2, TN_FILTER_BOX, &out)), TN_INVALID);
    assert_int_equal(tn_status_code(tn_image_resize(&t, 1 << 20, 1 << 20, TN_FILTER_BOX, &out)),
                     TN_INVALID);
    tn_tensor_free(&t);
}

/* ---- Making ready
 * ----------------------------------------------------------------------------------*/

static void presets_say_what_the_papers_say(void **state)
{
    (void)state;
    tn_image_steps s = {.size = sizeof(s)};
    must(tn_image_preset("alexnet", 0, &s));
    assert_int_equal(s.shorter_side, 256);
    assert_int_equal(s.crop_height, 224);
    assert_int_equal(s.filter, TN_FILTER_BILINEAR);
    must(tn_image_preset("swin", 384, &s));
    assert_int_equal(s.shorter_side, 438); /* int(256 / 224 * 384) */
    assert_int_equal(s.crop_width, 384);
    assert_int_equal(s.filter, TN_FILTER_BICUBIC);
    must(tn_image_preset("mnist", 0, &s));
    assert_int_equal(s.channels, 1);
    assert_int_equal(s.resize_width, 28);
    tn_status status = tn_image_preset("vgg", 0, &s);
    assert_int_equal(tn_status_code(status), TN_NOT_FOUND);
    assert_non_null(strstr(tn_status_message(status), "swin"));
    s.size = 0;
    assert_int_equal(tn_status_code(tn_image_preset("swin", 0, &s)), TN_INVALID);
}

static void the_centre_is_cut_out_and_normalised(void **state)
{
    (void)state;
    /* 5 wide to 4: (5 - 4) / 2 = 0.5 goes to 0; 7 high to 4: 1.5 goes to 2, as Python rounds. */
    tn_tensor t = pattern(7, 5, 3, 3, 5), out = {0};
    tn_image_steps s = {.size = sizeof(s),
                        .crop_height = 4,
                        .crop_width = 4,
                        .mean = {0.5F, 0.25F, 0.125F},
                        .deviation = {0.5F, 2.0F, 0.25F}};
    must(tn_image_prepare(&t, &s, &out));
    assert_int_equal(out.rank, 4);
    assert_int_equal(out.dim[1], 3);
    const uint8_t *from = t.data;
    const float *to = out.data;
    for (int c = 0; c < 3; c++)
        for (int y = 0; y < 4; y++)
            for (int x = 0; x < 4; x++) {
                float value = (float)from[((y + 2) * 5 + x) * 3 + c] / 255.0F;
                value = (value - s.mean[c]) / s.deviation[c];
                assert_true(to[(c * 4 + y) * 4 + x] == value);
            }
    tn_tensor_free(&out);
    /* A place in a batch, and channels the other way about. */
    float batch[2 * 48];
    tn_tensor place = tn_tensor_of(TN_DTYPE_F32, (int64_t[]){3, 4, 4}, 3, batch + 48);
    s = (tn_image_steps){
        .size = sizeof(s), .crop_height = 4, .crop_width = 4, .bgr = true, .no_scale = true};
    must(tn_image_prepare(&t, &s, &place));
    assert_true(batch[48] == from[2 * 5 * 3 + 2]);
    place.dim[2] = 5;
    tn_status status = tn_image_prepare(&t, &s, &place);
    assert_int_equal(tn_status_code(status), TN_INVALID);
    assert_non_null(strstr(tn_status_message(status), "f32[1,3,4,4]"));
    tn_tensor_free(&t);
}

static void a_smaller_picture_gets_a_border(void **state)
{
    (void)state;
    tn_tensor t = pattern(2, 3, 1, 0, 1), out = {0}; /* 0 1 2 / 3 4 5 */
    tn_image_steps s = {
        .size = sizeof(s), .crop_height = 5, .crop_width = 2, .channels = 1, .no_scale = true};
    must(tn_image_prepare(&t, &s, &out));
    /* one row above, two below; columns 0 and 1 of three, for 0.5 goes to 0 */
    static const float want[] = {0, 0, 0, 1, 3, 4, 0, 0, 0, 0};
    assert_memory_equal(out.data, want, sizeof(want));
    tn_tensor_free(&out);
    s.invert = true;
    s.crop_height = 0;
    must(tn_image_prepare(&t, &s, &out));
    assert_true(((float *)out.data)[3] == 251);
    tn_tensor_free(&out);
    s.channels = 2;
    assert_int_equal(tn_status_code(tn_image_prepare(&t, &s, &out)), TN_INVALID);
    t.dim[2] = 2;
    s.channels = 1;
    assert_int_equal(tn_status_code(tn_image_prepare(&t, &s, &out)), TN_INVALID);
    t.dim[2] = 1;
    tn_tensor_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fixtures_decode_as_pil_does),
        cmocka_unit_test(colours_and_orientation_can_be_chosen),
        cmocka_unit_test(wide_values_are_kept_when_asked_for),
        cmocka_unit_test(interlaced_png_is_put_together),
        cmocka_unit_test(resizing_equals_pil_to_the_bit),
        cmocka_unit_test(one_colour_stays_one_colour),
        cmocka_unit_test(presets_say_what_the_papers_say),
        cmocka_unit_test(the_centre_is_cut_out_and_normalised),
        cmocka_unit_test(a_smaller_picture_gets_a_border),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
