/* Plots: where ticks stand, what is drawn where, the three kinds of files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fault/failing_allocator.h"
#include "image/image.h"
#include "image/plot.h"

static void must(tn_status status)
{
    if (status) fail_msg("%s", tn_status_message(status));
}

static void expect_ticks(const tn_axis *axis, const char *want)
{
    char got[512] = "";
    size_t at = 0;
    for (int i = 0; i < axis->tick_count; i++) {
        const tn_tick *t = &axis->tick[i];
        assert_true(t->at >= axis->lo - 1e-12 && t->at <= axis->hi + 1e-12 * fabs(axis->hi));
        at += (size_t)snprintf(got + at, sizeof(got) - at, "%s%s", i ? " " : "", t->label);
        if (t->exponent != INT_MIN)
            at += (size_t)snprintf(got + at, sizeof(got) - at, "^%d", t->exponent);
    }
    assert_string_equal(got, want);
}

static void ticks_are_round_numbers(void **state)
{
    (void)state;
    tn_axis a;
    tn_axis_linear(0.1, 0.59, 9, &a);
    expect_ticks(&a, "0.1 0.2 0.3 0.4 0.5 0.6");
    assert_string_equal(a.factor, "");
    tn_axis_linear(0.2303, 0.4078, 9, &a);
    expect_ticks(&a, "0.225 0.250 0.275 0.300 0.325 0.350 0.375 0.400");
    tn_axis_linear(-3, 3, 9, &a);
    expect_ticks(&a, "-3 -2 -1 0 1 2 3");
    tn_axis_linear(0, 400, 9, &a);
    expect_ticks(&a, "0 50 100 150 200 250 300 350 400");
    tn_axis_linear(0, 4e-6, 5, &a);
    expect_ticks(&a, "0 1 2 3 4");
    assert_string_equal(a.factor, "1e-6");
    tn_axis_linear(1e7, 3e7, 5, &a);
    expect_ticks(&a, "1.0 1.5 2.0 2.5 3.0");
    assert_string_equal(a.factor, "1e7");
}

static void odd_ranges_have_axes_too(void **state)
{
    (void)state;
    static const double ranges[][2] = {
        {5, 5},         {0, 0},       {1, -1},        {-1e299, 1e299}, {1e-320, 2e-320},
        {1e300, 1e300}, {-7.5, -7.5}, {1, 1 + 1e-15}, {1e8, 1e8 + 1},  {-1e-9, 1e9}};
    for (size_t i = 0; i < TN_COUNT(ranges); i++) {
        for (int room = 0; room < 12; room++) {
            tn_axis a;
            tn_axis_linear(ranges[i][0], ranges[i][1], room, &a);
            assert_true(a.lo < a.hi && isfinite(a.hi - a.lo));
            assert_in_range(a.tick_count, 1, TN_TICKS_MAX);
            for (int k = 0; k < a.tick_count; k++)
                assert_true(a.tick[k].at >= a.lo - (a.hi - a.lo) * 1e-6 &&
                            a.tick[k].at <= a.hi + (a.hi - a.lo) * 1e-6);
            if (fabs(ranges[i][0]) > 300 || fabs(ranges[i][1]) > 300) continue;
            tn_axis_log(ranges[i][0], ranges[i][1], room, &a);
            assert_true(a.lo < a.hi);
            assert_in_range(a.tick_count, 1, TN_TICKS_MAX);
        }
    }
}

static void logarithmic_axes_show_powers_of_ten(void **state)
{
    (void)state;
    tn_axis a;
    tn_axis_log(-5.2, -1.1, 9, &a);
    expect_ticks(&a, "10^-5 10^-4 10^-3 10^-2 10^-1");
    tn_axis_log(log10(3), log10(12), 9, &a);
    expect_ticks(&a, "3 4 5 6 7 8 9 10");
    tn_axis_log(0, 1.4, 9, &a);
    expect_ticks(&a, "1 2 5 10 20");
    tn_axis_log(-300, 300, 9, &a);
    assert_in_range(a.tick_count, 5, 10);
}

/* ---- Pictures
 * --------------------------------------------------------------------------------------*/

static tn_plot *make_plot(const tn_plot_options *options)
{
    tn_plot *plot;
    must(tn_plot_new(options, &plot));
    static const double x[] = {0, 1, 2, 3, 4}, a[] = {0, 1, 2, 3, 4}, b[] = {4, 3, 2.2, 1, NAN};
    tn_plot_series s = {
        .size = sizeof(s), .label = "y_true", .colour = "blue", .x = x, .y = a, .count = 5};
    must(tn_plot_add(plot, &s));
    s = (tn_plot_series){
        .size = sizeof(s), .label = "y_pred", .colour = "#ff0000", .y = b, .count = 5};
    must(tn_plot_add(plot, &s));
    return plot;
}

static tn_tensor drawn(const tn_plot *plot, tn_plot_form form)
{
    tn_writer bytes = {0};
    tn_tensor t;
    must(tn_plot_encode(plot, form, &bytes));
    must(tn_image_load_bytes(bytes.at, bytes.count, "the plot", NULL, &t));
    tn_writer_fini(&bytes);
    return t;
}

static int64_t count_near(const tn_tensor *t, int r, int g, int b, int distance)
{
    const uint8_t *p = t->data;
    int64_t count = 0;
    for (int64_t i = 0; i < t->dim[0] * t->dim[1]; i++, p += 3)
        count += abs(p[0] - r) + abs(p[1] - g) + abs(p[2] - b) <= distance;
    return count;
}

static void dots_are_drawn_in_their_colours(void **state)
{
    (void)state;
    tn_plot *plot = make_plot(NULL);
    for (int i = 0; i < 2; i++) {
        tn_tensor t = drawn(plot, i ? TN_PLOT_JPEG : TN_PLOT_PNG);
        int off = i ? 40 : 0;
        assert_int_equal(t.dim[0], 480);
        assert_int_equal(t.dim[1], 640);
        /* Six blue circles (one in the legend) and five red ones, of radius 4.1: 53 pixels, some of
         * which are the edge. */
        assert_in_range(count_near(&t, 0, 0, 255, off), 6 * 30, 6 * 60);
        assert_in_range(count_near(&t, 255, 0, 0, off), 5 * 30, 5 * 60);
        assert_true(count_near(&t, 204, 204, 204, 10) > 3000); /* the grid */
        assert_true(count_near(&t, 255, 255, 255, 0) > 640 * 480 * 8 / 10);
        tn_tensor_free(&t);
    }
    tn_plot_free(plot);
}

static void a_line_and_its_legend_are_where_they_should_be(void **state)
{
    (void)state;
    tn_plot *plot;
    tn_plot_options o = {.size = sizeof(o),
                         .width = 300,
                         .height = 200,
                         .no_grid = true,
                         .legend = TN_LEGEND_NONE,
                         .title = "t",
                         .x_label = "x",
                         .y_label = "y"};
    double y[] = {1, 1, NAN, 1, 1};
    tn_plot_series s = {.size = sizeof(s),
                        .kind = TN_PLOT_LINE,
                        .colour = "green",
                        .y = y,
                        .label = "a",
                        .count = 5};
    must(tn_plot_new(&o, &plot));
    must(tn_plot_add(plot, &s));
    tn_tensor bare = drawn(plot, TN_PLOT_PNG);
    /* Two quarters of the width between the margins, two pixels high: the gap is where NaN is. */
    assert_in_range(count_near(&bare, 0, 128, 0, 3), 60, 340);
    tn_plot_free(plot);
    o.legend = TN_LEGEND_LOWER_RIGHT;
    must(tn_plot_new(&o, &plot));
    must(tn_plot_add(plot, &s));
    tn_tensor with = drawn(plot, TN_PLOT_PNG);
    const uint8_t *a = bare.data, *b = with.data;
    for (int row = 0; row < 200; row++)
        for (int column = 0; column < 300; column++)
            if (memcmp(a + (row * 300 + column) * 3, b + (row * 300 + column) * 3, 3) != 0)
                assert_true(row > 100 && column > 150);
    assert_true(count_near(&with, 0, 128, 0, 3) > count_near(&bare, 0, 128, 0, 3));
    tn_tensor_free(&bare);
    tn_tensor_free(&with);
    tn_plot_free(plot);
}

static void svg_needs_no_font_and_drawing_is_deterministic(void **state)
{
    (void)state;
    tn_plot *plot = make_plot(NULL);
    for (tn_plot_form form = TN_PLOT_PNG; form <= TN_PLOT_SVG; form++) {
        tn_writer a = {0}, b = {0};
        must(tn_plot_encode(plot, form, &a));
        must(tn_plot_encode(plot, form, &b));
        if (form != TN_PLOT_SVG) { /* there cairo numbers things through the process */
            assert_int_equal(a.count, b.count);
            assert_memory_equal(a.at, b.at, a.count);
        } else {
            tn_write_u8(&a, 0);
            assert_memory_equal(a.at, "<?xml", 5);
            assert_non_null(strstr((char *)a.at, "width=\"640\""));
            assert_null(strstr((char *)a.at, "<text"));
            assert_null(strstr((char *)a.at, "font"));
        }
        tn_writer_fini(&a);
        tn_writer_fini(&b);
    }
    tn_plot_free(plot);
}

static void files_are_written_by_their_ending(void **state)
{
    (void)state;
    char folder[] = "/tmp/tenon-plot-XXXXXX", path[128];
    tn_plot *plot = make_plot(NULL);
    tn_tensor t;
    assert_non_null(mkdtemp(folder));
    static const char *const endings[] = {"png", "jpg", "jpeg"};
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof(path), "%s/res.%s", folder, endings[i]);
        must(tn_plot_save(plot, path));
        must(tn_image_load(path, NULL, &t));
        assert_int_equal(t.dim[1], 640);
        tn_tensor_free(&t);
        unlink(path);
    }
    snprintf(path, sizeof(path), "%s/res.svg", folder);
    must(tn_plot_save(plot, path));
    unlink(path);
    assert_int_equal(tn_status_code(tn_plot_save(plot, "res.gif")), TN_INVALID);
    tn_status status = tn_plot_save(plot, "/nowhere/res.png");
    assert_non_null(strstr(tn_status_message(status), "/nowhere"));
    rmdir(folder);
    tn_plot_free(plot);
}

static void what_cannot_be_drawn_is_refused_or_left_out(void **state)
{
    (void)state;
    tn_plot *plot;
    tn_plot_options o = {.size = sizeof(o), .width = 100};
    double y[] = {INFINITY, -1, 0, 1e305}, fine[] = {1, 2};
    assert_int_equal(tn_status_code(tn_plot_new(&o, &plot)), TN_INVALID);
    o = (tn_plot_options){.size = sizeof(o), .width = 160, .height = 160, .log_y = true};
    must(tn_plot_new(&o, &plot));
    tn_tensor t = drawn(plot, TN_PLOT_PNG); /* empty */
    tn_tensor_free(&t);
    tn_plot_series s = {.size = sizeof(s), .y = y, .count = 4};
    must(tn_plot_add(plot, &s));
    t = drawn(plot, TN_PLOT_PNG); /* nothing above 0 */
    assert_int_equal(count_near(&t, 0x1f, 0x77, 0xb4, 0), 0);
    tn_tensor_free(&t);
    s.colour = "teal?";
    tn_status status = tn_plot_add(plot, &s);
    assert_non_null(strstr(tn_status_message(status), "teal?"));
    s.colour = "#12345";
    assert_int_equal(tn_status_code(tn_plot_add(plot, &s)), TN_INVALID);
    s.colour = NULL;
    s.count = -1;
    assert_int_equal(tn_status_code(tn_plot_add(plot, &s)), TN_INVALID);
    s.y = fine;
    s.count = 2;
    must(tn_plot_add(plot, &s)); /* the second colour: those that failed took none */
    t = drawn(plot, TN_PLOT_PNG);
    assert_true(count_near(&t, 0xff, 0x7f, 0x0e, 0) > 50);
    tn_tensor_free(&t);
    tn_plot_free(plot);
    tn_plot_free(NULL);
}

static void every_lack_of_memory_is_reported(void **state)
{
    (void)state;
    for (int64_t n = 1;; n++) {
        tn_plot *plot = NULL;
        tn_writer bytes = {0};
        double y[] = {1, 2, 3};
        tn_plot_series s = {.size = sizeof(s), .label = "a", .y = y, .count = 3};
        failing_install(n, FAIL_ONCE);
        tn_status status = tn_plot_new(NULL, &plot);
        if (!status) status = tn_plot_add(plot, &s);
        if (!status) status = tn_plot_encode(plot, TN_PLOT_JPEG, &bytes);
        tn_code code = tn_status_code(status);
        tn_plot_free(plot);
        tn_writer_fini(&bytes);
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
        cmocka_unit_test(ticks_are_round_numbers),
        cmocka_unit_test(odd_ranges_have_axes_too),
        cmocka_unit_test(logarithmic_axes_show_powers_of_ten),
        cmocka_unit_test(dots_are_drawn_in_their_colours),
        cmocka_unit_test(a_line_and_its_legend_are_where_they_should_be),
        cmocka_unit_test(svg_needs_no_font_and_drawing_is_deterministic),
        cmocka_unit_test(files_are_written_by_their_ending),
        cmocka_unit_test(what_cannot_be_drawn_is_refused_or_left_out),
        cmocka_unit_test(every_lack_of_memory_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
