/* Tensors: making, copying, comparing, random values, text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "fault/failing_allocator.h"
#include "tensor/tensor.h"

static tn_tensor parse(const char *text, tn_arena *arena)
{
    tn_tensor t;
    tn_status status = tn_tensor_parse(&text, arena, &t, NULL);
    if (status) fail_msg("%s", tn_status_message(status));
    assert_string_equal(text, "");
    return t;
}

static void assert_prints(const tn_tensor *t, int64_t max, const char *expected)
{
    tn_text text = {0};
    tn_tensor_print(t, max, &text);
    assert_string_equal(text.at, expected);
    tn_text_fini(&text);
}

/* ---- Making -------------------------------------------------------------------------------*/

static void sizes_are_checked(void **state)
{
    (void)state;
    tn_tensor t;
    const int64_t huge[] = {INT64_C(1) << 40, INT64_C(1) << 40}, empty[] = {INT64_C(1) << 58, 0};
    const int64_t empty_and_huge[] = {0, INT64_C(1) << 62, 4};
    const int64_t negative[] = {2, -1}, good[] = {2, 3};
    t = tn_tensor_of(TN_DTYPE_F32, huge, 2, NULL);
    assert_int_equal(tn_tensor_count(&t), -1);
    assert_int_equal(tn_tensor_bytes(&t), -1);
    t = tn_tensor_of(TN_DTYPE_F32, empty, 2, NULL);
    assert_int_equal(tn_tensor_count(&t), 0);
    t = tn_tensor_of(TN_DTYPE_F32, empty_and_huge, 3, NULL); /* its strides would overflow */
    assert_int_equal(tn_tensor_count(&t), -1);
    t = tn_tensor_of(TN_DTYPE_F32, good, 9, NULL);
    assert_int_equal(t.dtype, TN_DTYPE_NONE);
    assert_int_equal(tn_status_code(tn_tensor_new(TN_DTYPE_F32, huge, 2, &t)), TN_INVALID);
    assert_int_equal(tn_status_code(tn_tensor_new(TN_DTYPE_F32, negative, 2, &t)), TN_INVALID);
    assert_int_equal(tn_status_code(tn_tensor_new(TN_DTYPE_F32, good, -1, &t)), TN_INVALID);
    assert_int_equal(tn_status_code(tn_tensor_new(TN_DTYPE_NONE, good, 2, &t)), TN_INVALID);
    assert_null(tn_tensor_new(TN_DTYPE_U4, good, 2, &t));
    assert_int_equal(tn_tensor_bytes(&t), 3);
    assert_int_equal(tn_tensor_count(&t), 6);
    tn_tensor_free(&t);
    assert_null(t.data);
    tn_tensor_free(&t);
    tn_tensor_free(NULL);
}

static void blocks_are_given_back_in_their_size(void **state)
{
    (void)state;
    const int64_t dim[] = {3}, none[] = {0};
    const tn_string words[] = {{"ab", 2}, {NULL, 0}, {"\0c", 2}};
    tn_tensor t;
    failing_install(0, FAIL_ONCE);
    assert_null(tn_tensor_new_strings(dim, 1, words, &t));
    const tn_string *element = t.data;
    assert_memory_equal(element[0].text, "ab", 2);
    assert_int_equal(element[1].bytes, 0);
    assert_memory_equal(element[2].text, "\0c", 2);
    tn_tensor_free(&t);
    assert_null(tn_tensor_new(TN_DTYPE_STRING, dim, 1, &t)); /* filled with borrowed text */
    memcpy(t.data, words, sizeof words);
    tn_tensor_free(&t);
    assert_null(tn_tensor_new(TN_DTYPE_F64, none, 1, &t));
    assert_non_null(t.data);
    tn_tensor_free(&t);
    assert_null(tn_tensor_new_strings(none, 1, NULL, &t));
    tn_tensor_free(&t);
    failing_counts counts = failing_remove();
    assert_int_equal(counts.live_bytes, 0);
    assert_int_equal(counts.errors, 0);
    failing_install(1, FAIL_ONCE);
    assert_int_equal(tn_status_code(tn_tensor_new(TN_DTYPE_F64, dim, 1, &t)), TN_OUT_OF_MEMORY);
    failing_remove();
}

static void axes_and_density(void **state)
{
    (void)state;
    int64_t dim[] = {2, 1, 3};
    tn_tensor t = tn_tensor_of(TN_DTYPE_F32, dim, 3, NULL);
    assert_true(tn_tensor_is_dense(&t));
    t.stride[1] = 77; /* of a dim of 1: never used */
    assert_true(tn_tensor_is_dense(&t));
    t.stride[2] = 2;
    assert_false(tn_tensor_is_dense(&t));
    memset(t.stride, 0, sizeof t.stride);
    assert_true(tn_tensor_is_dense(&t));
    assert_int_equal(tn_axis_normal(-3, 3), 0);
    assert_int_equal(tn_axis_normal(2, 3), 2);
    assert_int_equal(tn_axis_normal(3, 3), -1);
    assert_int_equal(tn_axis_normal(-4, 3), -1);
    assert_int_equal(tn_axis_normal(INT64_MIN, 3), -1);
    assert_int_equal(tn_dims_product(dim, 0, 3), 6);
    assert_int_equal(tn_dims_product(dim, 3, 3), 1);
}

/* ---- Copying ------------------------------------------------------------------------------*/

static void any_strides_copy(void **state)
{
    (void)state;
    int32_t src[24], dst[24];
    for (int i = 0; i < 24; i++) src[i] = i;
    const int64_t dim[] = {2, 3, 4};
    tn_tensor dense = tn_tensor_of(TN_DTYPE_I32, dim, 3, dst);
    static const int64_t stride[][3] = {
        {12, 4, 1},    {0, 0, 0},   {1, 2, 6}, {12, -4, 1},
        {-12, -4, -1}, {12, 4, -1}, {0, 4, 1}, {12, 0, 0},
    };
    for (size_t k = 0; k < TN_COUNT(stride); k++) {
        tn_tensor view = dense;
        int64_t base = 0;
        memcpy(view.stride, stride[k], sizeof stride[k]);
        for (int axis = 0; axis < 3; axis++)
            if (stride[k][axis] < 0) base -= stride[k][axis] * (dim[axis] - 1);
        view.data = src + base;
        assert_null(tn_tensor_copy(&view, &dense));
        bool none = k == 1; /* all zero means dense */
        for (int i = 0; i < 24; i++) {
            int64_t at =
                base + i / 12 * stride[k][0] + i / 4 % 3 * stride[k][1] + i % 4 * stride[k][2];
            assert_int_equal(dst[i], none ? i : at);
        }
        if (k == 1 || k > 5) continue; /* the views below write each element once */
        int32_t back[24] = {0};
        view.data = back + base;
        assert_null(tn_tensor_copy(&dense, &view));
        assert_memory_equal(back, src, sizeof back);
    }
}

static void copies_are_checked(void **state)
{
    (void)state;
    float memory[6];
    const int64_t dim[] = {2, 3}, turned[] = {3, 2};
    tn_tensor a = tn_tensor_of(TN_DTYPE_F32, dim, 2, memory), b = a;
    b.dtype = TN_DTYPE_F64;
    assert_int_equal(tn_status_code(tn_tensor_copy(&a, &b)), TN_INVALID);
    b = tn_tensor_of(TN_DTYPE_F32, turned, 2, memory);
    tn_status status = tn_tensor_copy(&a, &b);
    assert_non_null(strstr(tn_status_message(status), "f32[2,3] and f32[3,2]"));
    b = a;
    b.data = NULL;
    assert_int_equal(tn_status_code(tn_tensor_copy(&a, &b)), TN_INVALID);
    b = a;
    b.stride[0] = INT64_MAX / 2;
    assert_int_equal(tn_status_code(tn_tensor_copy(&b, &a)), TN_INVALID);
    b.stride[0] = INT64_MIN;
    assert_int_equal(tn_status_code(tn_tensor_copy(&b, &a)), TN_INVALID);
    a.dtype = b.dtype = TN_DTYPE_I4;
    assert_int_equal(tn_status_code(tn_tensor_copy(&b, &a)), TN_INVALID);
}

static void types_convert(void **state)
{
    (void)state;
    float src[6] = {1.5f, -2.5f, 300, 1e9f, 0, -0.25f};
    int8_t ints[6];
    uint8_t f8[6];
    const int64_t dim[] = {2, 3};
    tn_tensor from = tn_tensor_of(TN_DTYPE_F32, dim, 2, src);
    tn_tensor to = tn_tensor_of(TN_DTYPE_I8, dim, 2, ints);
    to.stride[0] = 1; /* turned on the way */
    to.stride[1] = 2;
    assert_null(tn_tensor_convert(&from, &to));
    const int8_t expected[] = {1, 0, -2, 0, 44, 0};
    assert_int_equal(ints[0], expected[0]);
    assert_int_equal(ints[2], expected[2]);
    assert_int_equal(ints[4], expected[4]);
    to = tn_tensor_of(TN_DTYPE_F8E4M3FN, dim, 2, f8);
    assert_null(tn_tensor_convert(&from, &to));
    assert_int_equal(f8[0], 0x3c);
    assert_int_equal(f8[3], 0x7e); /* saturated */
    to.dtype = TN_DTYPE_STRING;
    assert_int_equal(tn_status_code(tn_tensor_convert(&from, &to)), TN_UNSUPPORTED);
}

static void walks_broadcast(void **state)
{
    (void)state;
    const int64_t out_dim[] = {2, 3, 2}, a_dim[] = {3, 1}, b_dim[] = {2, 1, 2};
    tn_tensor out = tn_tensor_of(TN_DTYPE_F32, out_dim, 3, NULL);
    tn_tensor a = tn_tensor_of(TN_DTYPE_F32, a_dim, 2, NULL);
    tn_tensor b = tn_tensor_of(TN_DTYPE_F32, b_dim, 3, NULL), scalar = {.dtype = TN_DTYPE_F32};
    const tn_tensor *operands[] = {&a, &b, &scalar};
    tn_walk w;
    assert_null(tn_walk_init(&w, &out, operands, 3));
    assert_int_equal(w.count, 12);
    for (int64_t i = 0; i < w.count; i++, tn_walk_next(&w)) {
        assert_int_equal(w.at[0], i / 2 % 3);
        assert_int_equal(w.at[1], i / 6 * 2 + i % 2);
        assert_int_equal(w.at[2], 0);
    }
    assert_int_equal(w.at[0], 0); /* back at the start */
    operands[0] = &out;
    assert_int_equal(tn_status_code(tn_walk_init(&w, &a, operands, 1)), TN_INVALID);
    b.dim[1] = 2;
    operands[0] = &b;
    tn_status status = tn_walk_init(&w, &out, operands, 1);
    assert_string_equal(tn_status_message(status), "f32[2,2,2] does not broadcast to f32[2,3,2]");
}

/* ---- Values -------------------------------------------------------------------------------*/

static void random_values_are_in_range_and_repeat(void **state)
{
    (void)state;
    const int64_t dim[] = {1000};
    for (int d = 1; d < TN_DTYPE_END; d++) {
        tn_tensor a, b;
        tn_dtype dtype = (tn_dtype)d;
        double lo = tn_dtype_kind_of(dtype) == TN_KIND_U ? 0 : -1, hi = 1.5;
        if (dtype == TN_DTYPE_F8E8M0) lo = 0.25;
        assert_null(tn_tensor_new(dtype, dim, 1, &a));
        assert_null(tn_tensor_new(dtype, dim, 1, &b));
        tn_status status = tn_tensor_fill_random(&a, 42, lo, hi);
        if (dtype == TN_DTYPE_STRING) {
            assert_int_equal(tn_status_code(status), TN_UNSUPPORTED);
        } else {
            double sum = 0;
            assert_null(status);
            assert_null(tn_tensor_fill_random(&b, 42, lo, hi));
            assert_memory_equal(a.data, b.data, tn_tensor_bytes(&a));
            assert_null(tn_tensor_fill_random(&b, 43, lo, hi));
            assert_memory_not_equal(a.data, b.data, tn_tensor_bytes(&a));
            for (int64_t i = 0; i < 1000; i++) {
                double value = tn_load_f64(dtype, a.data, i);
                assert_true(value >= lo && value < (tn_dtype_kind_of(dtype) == TN_KIND_F ? hi : 2));
                sum += value;
            }
            assert_true(fabs(sum / 1000 - (lo + hi) / 2) < 0.35);
        }
        tn_tensor_free(&a);
        tn_tensor_free(&b);
    }
}

static void random_bounds_are_checked(void **state)
{
    (void)state;
    int64_t memory[64];
    const int64_t dim[] = {64};
    tn_tensor t = tn_tensor_of(TN_DTYPE_I64, dim, 1, memory);
    assert_null(tn_tensor_fill_random(&t, 1, -0x1p63, 0x1p63));
    int below = 0;
    for (int i = 0; i < 64; i++) below += memory[i] < 0;
    assert_true(below > 16 && below < 48);
    assert_null(tn_tensor_fill_random(&t, 1, 0.2, 0.8)); /* no integer in between: the next one */
    for (int i = 0; i < 64; i++) assert_int_equal(memory[i], 1);
    assert_int_equal(tn_status_code(tn_tensor_fill_random(&t, 1, 0, 1e30)), TN_INVALID);
    assert_int_equal(tn_status_code(tn_tensor_fill_random(&t, 1, 2, 1)), TN_INVALID);
    assert_int_equal(tn_status_code(tn_tensor_fill_random(&t, 1, NAN, 1)), TN_INVALID);
}

static tn_difference compare(const char *got, const char *want, double rtol, double atol)
{
    tn_arena arena;
    tn_difference d;
    tn_arena_init(&arena);
    tn_tensor a = parse(got, &arena), b = parse(want, &arena);
    assert_null(tn_tensor_compare(&a, &b, rtol, atol, &d));
    tn_arena_fini(&arena);
    return d;
}

static void differences_are_measured(void **state)
{
    (void)state;
    tn_difference d = compare("f32[3]={1,2,3}", "f32[3]={1,2,4}", 0, 0.5);
    assert_true(d.abs_max == 1 && d.beyond_count == 1 && d.worst_index == 2);
    assert_true(fabs(d.rel_l2 - 1 / sqrt(21)) < 1e-12);
    d = compare("f32[2]={10,0.5}", "f32[2]={11,0}", 0.1, 0); /* 1 <= 0.1 * 11, 0.5 > 0 */
    assert_true(d.beyond_count == 1 && d.worst_index == 1 && d.abs_max == 1);
    d = compare("f32[4]={nan,inf,-inf,1}", "f32[4]={nan,inf,-inf,1}", 0, 0);
    assert_true(d.abs_max == 0 && d.rel_l2 == 0 && d.beyond_count == 0);
    d = compare("f32[3]={nan,inf,1}", "f32[3]={1,-inf,nan}", 1, 1e30);
    assert_true(isinf(d.abs_max) && isinf(d.rel_l2) && d.beyond_count == 3);
    d = compare("f32[1]={1}", "f32[1]={0}", 0, 2);
    assert_true(isinf(d.rel_l2) && d.beyond_count == 0);
    d = compare("i64[2]={9007199254740993,1}", "i64[2]={9007199254740992,1}", 0, 0);
    assert_true(d.abs_max == 1 && d.beyond_count == 1 && d.worst_index == 0);
    d = compare("i64[1]={-9223372036854775808}", "i64[1]={9223372036854775807}", 0, 0);
    assert_true(d.abs_max == 0x1p64);
    d = compare("u64[1]={18446744073709551615}", "u64[1]={0}", 0, 0);
    assert_true(d.abs_max == 0x1p64);
    d = compare("bool[3]={0,1,1}", "bool[3]={0,1,0}", 0, 0);
    assert_true(d.beyond_count == 1 && d.worst_index == 2);
    d = compare("string[2]={\"a\",\"b\"}", "string[2]={\"a\",\"c\"}", 1, 1);
    assert_true(d.beyond_count == 1 && d.worst_index == 1);
    d = compare("c64[1]={3+4i}", "c64[1]={0+0i}", 0, 4.5);
    assert_true(d.abs_max == 5 && d.beyond_count == 1);
    d = compare("f64[1]={1e300}", "f64[1]={2e300}", 0, 0);
    assert_true(fabs(d.rel_l2 - 0.5) < 1e-12);
    d = compare("f32[0]={}", "f32[0]={}", 0, 0);
    assert_true(d.beyond_count == 0 && d.worst_index == -1);
    tn_tensor a = {.dtype = TN_DTYPE_F32}, b = {.dtype = TN_DTYPE_F64};
    assert_int_equal(tn_status_code(tn_tensor_compare(&a, &b, 0, 0, &d)), TN_INVALID);
}

/* ---- Text ---------------------------------------------------------------------------------*/

static void text_reads_back(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "f32[2,3]",
        "f32",
        "none",
        "i64={-9223372036854775808}",
        "u64[1]={18446744073709551615}",
        "f32[7]={0.1,-0,nan,inf,-inf,3.4028235e+38,1e-45}",
        "f64[2]={0.1,1.7976931348623157e+308}",
        "f16[3]={0.1,65504,6e-08}",
        "bf16[2]={3.14,9e-41}",
        "bool[2]={0,1}",
        "i4[3]={-8,7,0}",
        "u2[4]={0,1,2,3}",
        "f4e2m1[2]={1.5,-6}",
        "f8e4m3fn[3]={448,0.002,nan}",
        "c64[2]={1+2i,-0.5-0i}",
        "c128[2]={nan+infi,inf-infi}",
        "f8e8m0[1]={0.5}",
        "f32[0]={}",
        "string[3]={\"a,b\",\"q\\\"\\\\\\n\\t\\x01\",\"\"}",
        "f32[2,2]={1,2,3,4}",
    };
    for (size_t i = 0; i < TN_COUNT(texts); i++) {
        tn_arena arena;
        tn_arena_init(&arena);
        tn_tensor t = parse(texts[i], &arena);
        assert_prints(&t, 0, texts[i]);
        tn_arena_fini(&arena);
    }
}

static void every_small_float_reads_back(void **state)
{
    (void)state;
    tn_dtype types[] = {TN_DTYPE_F16, TN_DTYPE_BF16};
    for (size_t k = 0; k < TN_COUNT(types); k++) {
        for (unsigned code = 0; code < 0x10000; code += 5) {
            uint16_t bits = (uint16_t)code, read = 0;
            double value = tn_load_f64(types[k], &bits, 0), back;
            tn_text text = {0};
            tn_number_print(types[k], value, &text);
            const char *at = text.at;
            assert_true(tn_number_parse(&at, &back) && !*at);
            tn_store_f64(types[k], &read, 0, back);
            assert_true(isnan(value) ? isnan(back) : read == bits);
            assert_true(text.bytes <= 12);
            tn_text_fini(&text);
        }
    }
}

static void printing_stops_and_follows_strides(void **state)
{
    (void)state;
    int32_t memory[] = {1, 2, 3, 4, 5, 6};
    const int64_t dim[] = {3, 2};
    tn_tensor t = tn_tensor_of(TN_DTYPE_I32, dim, 2, memory);
    assert_prints(&t, 4, "i32[3,2]={1,2,3,4,...}");
    assert_prints(&t, 6, "i32[3,2]={1,2,3,4,5,6}");
    t.stride[0] = 1;
    t.stride[1] = 3;
    assert_prints(&t, 0, "i32[3,2]={1,4,2,5,3,6}");
}

static void bad_text_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "f33",
        "f32[",
        "f32[2",
        "f32[-1]",
        "f32[a]",
        "f32[1,1,1,1,1,1,1,1,1]",
        "f32[2]={1}",
        "f32[2]={1,2,3}",
        "f32[2]={1,2",
        "i8[1]={200}",
        "u8[1]={-1}",
        "u64[1]={-1}",
        "i32[1]={x}",
        "f32[1]={}",
        "bool[1]={2}",
        "string[1]={a}",
        "string[1]={\"a}",
        "string[1]={\"\\q\"}",
        "string[1]={\"\\x1\"}",
        "f32[1000000000000]={1}",
        "i64[1]={9223372036854775808}",
        "f32[4611686018427387904,4611686018427387904]",
        "f32[99999999999999999999]",
        "c64[1]={1+2}",
    };
    for (size_t i = 0; i < TN_COUNT(bad); i++) {
        tn_arena arena;
        tn_tensor t;
        const char *at = bad[i];
        tn_arena_init(&arena);
        if (tn_status_code(tn_tensor_parse(&at, &arena, &t, NULL)) != TN_INVALID)
            fail_msg("'%s' was read", bad[i]);
        tn_arena_fini(&arena);
    }
}

static void constants_are_marked(void **state)
{
    (void)state;
    tn_arena arena;
    tn_tensor t;
    bool constant;
    const char *at = "f32[2]! rest";
    tn_arena_init(&arena);
    assert_null(tn_tensor_parse(&at, &arena, &t, &constant));
    assert_true(constant && !t.data);
    assert_string_equal(at, " rest");
    assert_null(tn_tensor_parse((const char *[]){"i64[1]={3}"}, &arena, &t, &constant));
    assert_true(!constant && *(int64_t *)t.data == 3);
    tn_arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_are_checked),
        cmocka_unit_test(blocks_are_given_back_in_their_size),
        cmocka_unit_test(axes_and_density),
        cmocka_unit_test(any_strides_copy),
        cmocka_unit_test(copies_are_checked),
        cmocka_unit_test(types_convert),
        cmocka_unit_test(walks_broadcast),
        cmocka_unit_test(random_values_are_in_range_and_repeat),
        cmocka_unit_test(random_bounds_are_checked),
        cmocka_unit_test(differences_are_measured),
        cmocka_unit_test(text_reads_back),
        cmocka_unit_test(every_small_float_reads_back),
        cmocka_unit_test(printing_stops_and_follows_strides),
        cmocka_unit_test(bad_text_is_refused),
        cmocka_unit_test(constants_are_marked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
