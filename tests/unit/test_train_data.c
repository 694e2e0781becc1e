/* Data to train on: CSV files, windows and scaling, IDX files; and what is wrong with bad ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "fault/failing_allocator.h"
#include "train/dataset.h"

static const char *const no_column[] = {NULL};

static tn_status parse(const char *text, const char *const *columns, int count, tn_arena *arena,
                       tn_table *out)
{
    return tn_table_parse(text, strlen(text), "d.csv", columns, count, arena, out);
}

static void expect_refusal(const char *text, tn_code code, const char *says)
{
    tn_arena arena;
    tn_table table;
    tn_arena_init(&arena);
    tn_status status = parse(text, no_column, 0, &arena, &table);
    if (tn_status_code(status) != code || !strstr(tn_status_message(status), says))
        fail_msg("'%s' gives: %s %s", text, tn_code_name(tn_status_code(status)),
                 tn_status_message(status));
    tn_arena_fini(&arena);
}

/* ---- CSV -------------------------------------------------------------------------------------*/

static void mark_header_and_line_ends(void **state)
{
    (void)state;
    tn_arena arena;
    tn_table table;
    tn_arena_init(&arena);
    assert_null(parse("\xEF\xBB\xBFx,\"the \"\"y\"\"\"\r\n1,0\r\n 2 ,\"-0.5e1\"\r\n3,4\r\n\r\n\n",
                      no_column, 0, &arena, &table));
    assert_int_equal(table.row_count, 3);
    assert_int_equal(table.column_count, 2);
    assert_string_equal(table.name[0], "x");
    assert_string_equal(table.name[1], "the \"y\"");
    static const double want[] = {1, 0, 2, -5, 3, 4};
    for (int i = 0; i < 6; i++) assert_true(table.value[i] == want[i]);
    tn_arena_fini(&arena);
}

static void no_header_and_other_separators(void **state)
{
    (void)state;
    tn_arena arena;
    tn_table table;
    tn_arena_init(&arena);
    assert_null(parse("1;2\n3;4", no_column, 0, &arena, &table));
    assert_int_equal(table.row_count, 2);
    assert_string_equal(table.name[1], "2");
    assert_true(table.value[3] == 4);
    assert_null(parse("a\tb\n3\t4\n", no_column, 0, &arena, &table));
    assert_true(table.row_count == 1 && table.value[1] == 4);
    assert_null(parse("7\n8\n9\n", no_column, 0, &arena, &table));
    assert_true(table.row_count == 3 && table.column_count == 1 && table.value[2] == 9);
    tn_arena_fini(&arena);
}

static void columns_by_name_or_number(void **state)
{
    (void)state;
    tn_arena arena;
    tn_table table;
    tn_arena_init(&arena);
    /* Text in a column that nobody asked for does no harm; a name goes before a number. */
    const char *text = "day,open,2\nMonday,1,10\nTuesday,2,20\n";
    const char *const by_name[] = {"2", "open"}, *const by_number[] = {"3"};
    const char *const absent[] = {"close"}, *const twice[] = {"open", "open"};
    assert_null(parse(text, by_name, 2, &arena, &table));
    assert_true(table.column_count == 2 && table.value[0] == 10 && table.value[1] == 1);
    assert_null(parse(text, by_number, 1, &arena, &table));
    assert_true(table.column_count == 1 && table.value[1] == 20);
    assert_string_equal(table.name[0], "2");
    tn_status status = parse(text, absent, 1, &arena, &table);
    assert_int_equal(tn_status_code(status), TN_NOT_FOUND);
    assert_non_null(strstr(tn_status_message(status), "no column 'close'; its 3 columns are: day"));
    assert_int_equal(tn_status_code(parse(text, twice, 2, &arena, &table)), TN_INVALID);
    tn_arena_fini(&arena);
}

static void bad_lines_are_named(void **state)
{
    (void)state;
    expect_refusal("x,y\n1,2\n3,\n", TN_INVALID, "d.csv, line 3, column 'y': the value is missing");
    expect_refusal("x,y\n1,2\n,4\n", TN_INVALID, "line 3, column 'x': the value is missing");
    expect_refusal("x,y\n1,2\n\n3,4\n", TN_INVALID, "line 3");
    expect_refusal("x,y\n1,two\n", TN_INVALID, "line 2, column 'y': 'two' is not a number");
    expect_refusal("x,y\n1,nan\n", TN_INVALID, "'nan' is not a number");
    expect_refusal("x,y\n1,1e999\n", TN_INVALID, "'1e999' is not a number");
    expect_refusal("x,y\n1,2 3\n", TN_INVALID, "'2 3' is not a number");
    expect_refusal("x,y\n1,2,3\n", TN_INVALID, "line 2: 3 fields where the first line has 2");
    expect_refusal("x,y\n1\n", TN_INVALID, "line 2: 1 fields where the first line has 2");
    expect_refusal("", TN_INVALID, "begins with nothing");
    expect_refusal("\n1,2\n", TN_INVALID, "begins with nothing");
    tn_arena arena;
    tn_table table;
    tn_arena_init(&arena);
    tn_status status = tn_table_parse("1,\0002\n", 5, "d.csv", NULL, 0, &arena, &table);
    assert_non_null(strstr(tn_status_message(status), "zero bytes"));
    tn_arena_fini(&arena);
}

static void a_header_alone_has_no_rows(void **state)
{
    (void)state;
    tn_arena arena;
    tn_table table;
    tn_arena_init(&arena);
    assert_null(parse("x,y", no_column, 0, &arena, &table));
    assert_int_equal(table.row_count, 0);
    tn_arena_fini(&arena);
}

static void more_columns_than_the_limit(void **state)
{
    (void)state;
    tn_arena arena;
    tn_table table;
    size_t bytes = (TN_TABLE_COLUMNS_MAX + 1) * 2;
    char *text = test_malloc(bytes);
    for (size_t i = 0; i < bytes; i++) text[i] = i % 2 ? ',' : '1';
    text[bytes - 1] = '\n';
    tn_arena_init(&arena);
    assert_int_equal(
        tn_status_code(tn_table_parse(text, bytes, "wide.csv", NULL, 0, &arena, &table)),
        TN_INVALID);
    assert_null(tn_table_parse(text + 2, bytes - 2, "wide.csv", NULL, 0, &arena, &table));
    assert_int_equal(table.column_count, TN_TABLE_COLUMNS_MAX);
    tn_arena_fini(&arena);
    test_free(text);
}

/* ---- Series ----------------------------------------------------------------------------------*/

typedef struct file {
    char path[64];
} file;

static file write_file(const void *bytes, size_t count)
{
    file f = {"/tmp/tn_train_XXXXXX"};
    int descriptor = mkstemp(f.path);
    assert_true(descriptor >= 0);
    assert_int_equal(write(descriptor, bytes, count), count);
    close(descriptor);
    return f;
}

static tn_dataset *load(const char *text, const tn_series_options *options)
{
    file f = write_file(text, strlen(text));
    tn_dataset *dataset;
    assert_null(tn_dataset_load_series(f.path, options, &dataset));
    unlink(f.path);
    return dataset;
}

static void windows_and_their_targets(void **state)
{
    (void)state;
    tn_series_options o = {.size = sizeof(o),
                           .window = 2,
                           .horizon = 2,
                           .scaling = TN_SCALING_NONE,
                           .validation = 0.4};
    tn_dataset *d = load("1,10\n2,20\n3,30\n4,40\n5,50\n6,60\n", &o);
    tn_dataset_info info;
    assert_null(tn_dataset_describe(d, &info));
    assert_int_equal(info.count, 3);
    assert_int_equal(info.train_count, 2);
    assert_int_equal(info.row_count, 6);
    tn_tensor x, y;
    assert_null(tn_dataset_take(d, 1, 2, &x, &y));
    static const float x_want[] = {2, 20, 3, 30, 3, 30, 4, 40};
    static const float y_want[] = {4, 40, 5, 50, 5, 50, 6, 60};
    assert_int_equal(x.rank, 3);
    assert_memory_equal(x.data, x_want, sizeof(x_want));
    assert_memory_equal(y.data, y_want, sizeof(y_want));
    tn_tensor_free(&x);
    tn_tensor_free(&y);
    assert_int_equal(tn_status_code(tn_dataset_take(d, 2, 2, &x, &y)), TN_INVALID);
    tn_dataset_free(d);
}

static void expect_scale(tn_scaling scaling, const double *ranges, double offset, double scale)
{
    tn_series_options o = {.size = sizeof(o),
                           .window = 1,
                           .scaling = scaling,
                           .ranges = ranges,
                           .range_count = 1,
                           .validation = 0.5};
    tn_dataset *d = load("v\n-2\n4\n1\n5\n1000\n", &o); /* two samples to train on: -2 4 1 */
    double got_offset, got_scale;
    const char *name;
    assert_null(tn_dataset_column(d, 0, &name, &got_offset, &got_scale));
    assert_string_equal(name, "v");
    assert_true(fabs(got_offset - offset) < 1e-12 && fabs(got_scale - scale) < 1e-12);
    tn_tensor x;
    assert_null(tn_dataset_take(d, 3, 1, &x, NULL));
    assert_true(((float *)x.data)[0] == (float)((5 - got_offset) / got_scale));
    tn_tensor_free(&x);
    tn_dataset_free(d);
}

static void columns_are_scaled_by_the_rows_trained_on(void **state)
{
    (void)state;
    expect_scale(TN_SCALING_DECIMAL, NULL, 0, 10);
    expect_scale(TN_SCALING_NONE, NULL, 0, 1);
    expect_scale(TN_SCALING_RANGES, (const double[]){100}, 0, 100);
    expect_scale(TN_SCALING_MIN_MAX, NULL, -2, 6);
    expect_scale(TN_SCALING_STANDARD, NULL, 1, sqrt(6));
    /* A column that never changes, and a value that is a power of ten itself. */
    tn_series_options o = {.size = sizeof(o), .window = 1, .scaling = TN_SCALING_MIN_MAX};
    double offset, scale;
    tn_dataset *d = load("3\n3\n3\n", &o);
    assert_null(tn_dataset_column(d, 0, NULL, &offset, &scale));
    assert_true(offset == 3 && scale == 1);
    tn_dataset_free(d);
    o.scaling = TN_SCALING_DECIMAL;
    d = load("3\n100\n3\n", &o);
    assert_null(tn_dataset_column(d, 0, NULL, NULL, &scale));
    assert_true(scale == 1000);
    assert_int_equal(tn_status_code(tn_dataset_column(d, 1, NULL, NULL, NULL)), TN_INVALID);
    tn_dataset_free(d);
}

static void refuse(const char *text, const tn_series_options *options, const char *says)
{
    file f = write_file(text, strlen(text));
    tn_dataset *d;
    tn_status status = tn_dataset_load_series(f.path, options, &d);
    assert_int_equal(tn_status_code(status), TN_INVALID);
    if (!strstr(tn_status_message(status), says)) fail_msg("%s", tn_status_message(status));
    assert_null(d);
    unlink(f.path);
}

static void series_that_cannot_be_cut_into_windows(void **state)
{
    (void)state;
    tn_series_options o = {.size = sizeof(o)};
    refuse("x,y\n1,2\n", NULL, "has 1 row; a window of 9 and a horizon of 1 need at least 10");
    refuse("x,y\n", NULL, "has 0 rows");
    o.window = INT64_MAX;
    refuse("1\n2\n3\n", &o, "no more than a file can have");
    o.window = -1;
    refuse("1\n2\n3\n", &o, "must be at least 1");
    o.window = 1;
    o.validation = 1;
    refuse("1\n2\n3\n", &o, "[0, 1)");
    o.validation = 0;
    o.scaling = TN_SCALING_RANGES;
    refuse("1\n2\n3\n", &o, "0 divisors are given for the 1 columns");
    o.ranges = (const double[]){0};
    o.range_count = 1;
    refuse("1\n2\n3\n", &o, "cannot be scaled by 0");
    tn_dataset *d;
    tn_status status = tn_dataset_load_series("/nonexistent/data.csv", NULL, &d);
    assert_int_equal(tn_status_code(status), TN_NOT_FOUND);
    assert_non_null(strstr(tn_status_message(status), "/nonexistent/data.csv"));
    assert_int_equal(tn_status_code(tn_dataset_load_images("/nonexistent", &d)), TN_NOT_FOUND);
}

/* ---- IDX -------------------------------------------------------------------------------------*/

static size_t pack(const uint8_t *bytes, size_t count, uint8_t *dst, size_t room)
{
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (z_const Bytef *)(uintptr_t)bytes;
    z.avail_in = (uInt)count;
    z.next_out = dst;
    z.avail_out = (uInt)room;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    deflateEnd(&z);
    return z.total_out;
}

static tn_code parse_idx(const uint8_t *bytes, size_t count, int rank, int64_t *got, uint8_t *last)
{
    tn_arena arena;
    tn_idx idx;
    tn_arena_init(&arena);
    tn_code code = tn_status_code(tn_idx_parse(bytes, count, "f.gz", rank, &arena, &idx));
    if (code == TN_OK && got) *got = idx.count;
    if (code == TN_OK && last) *last = idx.at[idx.count - 1];
    tn_arena_fini(&arena);
    return code;
}

static const uint8_t images[] = {0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0,
                                 1, 0, 0, 0, 3, 1, 2, 3, 4, 5, 250};

static void images_as_they_are_and_packed(void **state)
{
    (void)state;
    uint8_t packed[256], last = 0;
    int64_t count = 0;
    size_t bytes = pack(images, sizeof(images), packed, sizeof(packed));
    assert_int_equal(parse_idx(images, sizeof(images), 3, &count, &last), TN_OK);
    assert_true(count == 6 && last == 250);
    assert_int_equal(parse_idx(packed, bytes, 3, &count, &last), TN_OK);
    assert_true(count == 6 && last == 250);
    assert_int_equal(parse_idx(images, sizeof(images), 1, NULL, NULL), TN_CORRUPT);
}

static void every_cut_and_every_changed_byte_is_found(void **state)
{
    (void)state;
    uint8_t packed[256];
    size_t bytes = pack(images, sizeof(images), packed, sizeof(packed));
    for (size_t i = 0; i < sizeof(images); i++)
        assert_int_equal(parse_idx(images, i, 3, NULL, NULL), TN_CORRUPT);
    for (size_t i = 0; i < bytes; i++)
        assert_int_equal(parse_idx(packed, i, 3, NULL, NULL), TN_CORRUPT);
    /* gzip keeps a checksum; only its head has bytes that mean nothing. */
    for (size_t i = 10; i < bytes; i++) {
        packed[i] ^= 0x55;
        assert_int_equal(parse_idx(packed, bytes, 3, NULL, NULL), TN_CORRUPT);
        packed[i] ^= 0x55;
    }
    uint8_t longer[sizeof(images) + 1] = {0};
    memcpy(longer, images, sizeof(images));
    assert_int_equal(parse_idx(longer, sizeof(longer), 3, NULL, NULL), TN_CORRUPT);
    bytes = pack(longer, sizeof(longer), packed, sizeof(packed));
    assert_int_equal(parse_idx(packed, bytes, 3, NULL, NULL), TN_CORRUPT);
}

/* A header that promises gigabytes is refused before anything is allocated for it. */
static void sizes_are_not_believed(void **state)
{
    (void)state;
    uint8_t head[16] = {0, 0, 8, 3, 0xff, 0xff, 0xff, 0xff, 0, 0, 0xff, 0xff, 0, 0, 0xff, 0xff};
    uint8_t packed[64];
    failing_install(0, FAIL_ONCE);
    assert_int_equal(parse_idx(head, sizeof(head), 3, NULL, NULL), TN_CORRUPT);
    size_t bytes = pack(head, sizeof(head), packed, sizeof(packed));
    assert_int_equal(parse_idx(packed, bytes, 3, NULL, NULL), TN_CORRUPT);
    head[8] = 0x7f;
    assert_int_equal(parse_idx(head, sizeof(head), 3, NULL, NULL), TN_CORRUPT);
    memset(head + 4, 0, 4);
    assert_int_equal(parse_idx(head, sizeof(head), 3, NULL, NULL), TN_CORRUPT);
    failing_counts counts = failing_remove();
    assert_int_equal(counts.errors, 0);
    assert_int_equal(counts.live_bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mark_header_and_line_ends),
        cmocka_unit_test(no_header_and_other_separators),
        cmocka_unit_test(columns_by_name_or_number),
        cmocka_unit_test(bad_lines_are_named),
        cmocka_unit_test(a_header_alone_has_no_rows),
        cmocka_unit_test(more_columns_than_the_limit),
        cmocka_unit_test(windows_and_their_targets),
        cmocka_unit_test(columns_are_scaled_by_the_rows_trained_on),
        cmocka_unit_test(series_that_cannot_be_cut_into_windows),
        cmocka_unit_test(images_as_they_are_and_packed),
        cmocka_unit_test(every_cut_and_every_changed_byte_is_found),
        cmocka_unit_test(sizes_are_not_believed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
