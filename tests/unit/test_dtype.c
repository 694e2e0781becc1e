/* Data types: every conversion against a slow method that looks for the nearest of all codes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensor/dtype.h"

/* ---- The slow method ----------------------------------------------------------------------*/

/* A float type by its definition: the value of a code, computed with powers of two. */
typedef struct format {
    tn_dtype dtype;
    int exponent_bits, mantissa_bits, bias;
    char specials; /* 'i': IEEE, 'n': NaN is all ones, 'z': NaN is -0, '-': none */
} format;

static const format formats[] = {
    {TN_DTYPE_F16, 5, 10, 15, 'i'},    {TN_DTYPE_BF16, 8, 7, 127, 'i'},
    {TN_DTYPE_F8E4M3FN, 4, 3, 7, 'n'}, {TN_DTYPE_F8E4M3FNUZ, 4, 3, 8, 'z'},
    {TN_DTYPE_F8E5M2, 5, 2, 15, 'i'},  {TN_DTYPE_F8E5M2FNUZ, 5, 2, 16, 'z'},
    {TN_DTYPE_F4E2M1, 2, 1, 1, '-'},
};

static int width(const format *f)
{
    return 1 + f->exponent_bits + f->mantissa_bits;
}

static double value_of(const format *f, unsigned code)
{
    unsigned magnitude = code & ((1u << (width(f) - 1)) - 1);
    unsigned exponent = magnitude >> f->mantissa_bits;
    unsigned mantissa = magnitude & ((1u << f->mantissa_bits) - 1);
    double sign = code >> (width(f) - 1) ? -1 : 1;
    if (f->specials == 'i' && exponent == (1u << f->exponent_bits) - 1)
        return mantissa ? NAN : sign * INFINITY;
    if (f->specials == 'n' && magnitude == (1u << (width(f) - 1)) - 1) return NAN;
    if (f->specials == 'z' && sign < 0 && magnitude == 0) return NAN;
    double fraction = (double)mantissa / (double)(1u << f->mantissa_bits);
    if (exponent == 0) return sign * fraction * pow(2, 1 - f->bias);
    return sign * (1 + fraction) * pow(2, (int)exponent - f->bias);
}

static double largest(const format *f)
{
    double top = 0;
    for (unsigned code = 0; code < 1u << (width(f) - 1); code++)
        if (isfinite(value_of(f, code))) top = fmax(top, value_of(f, code));
    return top;
}

/* The code nearest to |value|, even on ties, of a finite value not above the largest. */
static unsigned nearest(const format *f, double value)
{
    unsigned best = 0;
    for (unsigned code = 0; code < 1u << (width(f) - 1); code++) {
        double far = fabs(value_of(f, code) - value), best_far = fabs(value_of(f, best) - value);
        if (!isfinite(value_of(f, code))) continue;
        if (far < best_far || (far == best_far && code % 2 == 0)) best = code;
    }
    return best;
}

static unsigned converted(const format *f, double value, bool saturate)
{
    if (f->dtype == TN_DTYPE_F16) return tn_f64_to_f16(value);
    if (f->dtype == TN_DTYPE_BF16) return tn_f64_to_bf16(value);
    return tn_f64_to_f8(f->dtype, value, saturate);
}

static double loaded(const format *f, unsigned code)
{
    if (f->dtype == TN_DTYPE_F16) return (double)tn_f16_to_f32((uint16_t)code);
    if (f->dtype == TN_DTYPE_BF16) return (double)tn_bf16_to_f32((uint16_t)code);
    return tn_f8_to_f64(f->dtype, (uint8_t)code);
}

static void every_code_has_its_value(void **state)
{
    (void)state;
    for (size_t i = 0; i < TN_COUNT(formats); i++) {
        const format *f = &formats[i];
        for (unsigned code = 0; code < 1u << width(f); code++) {
            double expected = value_of(f, code), got = loaded(f, code);
            assert_true(isnan(expected) ? isnan(got) : got == expected);
            assert_int_equal(signbit(got) && !isnan(got), signbit(expected) && !isnan(expected));
            if (!isnan(expected)) assert_int_equal(converted(f, expected, false), code);
            else assert_true(f->specials != '-' && isnan(loaded(f, converted(f, NAN, true))));
        }
    }
}

static void assert_rounds(const format *f, double value, unsigned expected)
{
    if (converted(f, value, true) != expected)
        fail_msg("%s: %a gives %x, not %x", tn_dtype_name(f->dtype), value,
                 converted(f, value, true), expected);
    unsigned sign = f->specials == 'z' && expected == 0 ? 0 : 1u << (width(f) - 1);
    assert_int_equal(converted(f, -value, true), expected | sign);
}

/* Around the middle of each pair of neighbours: just below, on it (to even), just above. */
static void every_tie_rounds_to_even_once(void **state)
{
    (void)state;
    for (size_t i = 0; i < TN_COUNT(formats); i++) {
        const format *f = &formats[i];
        for (unsigned code = 0; isfinite(value_of(f, code + 1)) && code + 1 < 1u << (width(f) - 1);
             code++) {
            double low = value_of(f, code), high = value_of(f, code + 1), middle = (low + high) / 2;
            assert_rounds(f, nextafter(middle, 0), code);
            assert_rounds(f, middle, code + code % 2);
            assert_rounds(f, nextafter(middle, INFINITY), code + 1);
        }
        assert_rounds(f, 5e-324, 0);
        assert_rounds(f, nextafter(value_of(f, 1) / 2, 1), 1);
    }
}

static void random_values_go_to_the_nearest_code(void **state)
{
    (void)state;
    srand(7);
    for (size_t i = 2; i < TN_COUNT(formats); i++) {
        const format *f = &formats[i];
        for (int k = 0; k < 5000; k++) {
            double value = ldexp(1 + rand() / (double)RAND_MAX, rand() % 40 - 22);
            if (value <= largest(f)) assert_rounds(f, value, nearest(f, value));
        }
    }
}

/* The tables of ONNX Cast: what lies beyond the largest value, with saturate and without. */
static void overflow_follows_cast(void **state)
{
    (void)state;
    static const struct {
        tn_dtype dtype;
        double value;
        uint8_t saturated, not ;
    } rows[] = {
        {TN_DTYPE_F8E4M3FN, 464, 0x7e, 0x7e},
        {TN_DTYPE_F8E4M3FN, 464.1, 0x7e, 0x7f},
        {TN_DTYPE_F8E4M3FN, INFINITY, 0x7e, 0x7f},
        {TN_DTYPE_F8E4M3FN, -INFINITY, 0xfe, 0xff},
        {TN_DTYPE_F8E4M3FNUZ, 247, 0x7f, 0x7f},
        {TN_DTYPE_F8E4M3FNUZ, 248, 0x7f, 0x80},
        {TN_DTYPE_F8E4M3FNUZ, -INFINITY, 0xff, 0x80},
        {TN_DTYPE_F8E4M3FNUZ, -0.0, 0, 0},
        {TN_DTYPE_F8E5M2, 61439, 0x7b, 0x7b},
        {TN_DTYPE_F8E5M2, 61440, 0x7b, 0x7c},
        {TN_DTYPE_F8E5M2, -INFINITY, 0xfb, 0xfc},
        {TN_DTYPE_F8E5M2, -1e300, 0xfb, 0xfc},
        {TN_DTYPE_F8E5M2FNUZ, 61440, 0x7f, 0x80},
        {TN_DTYPE_F8E5M2FNUZ, -1e9, 0xff, 0x80},
        {TN_DTYPE_F4E2M1, 1e9, 7, 7},
        {TN_DTYPE_F4E2M1, -INFINITY, 15, 15},
        {TN_DTYPE_F8E8M0, INFINITY, 0xfe, 0xff},
        {TN_DTYPE_F8E8M0, 0, 0, 0xff},
        {TN_DTYPE_F8E8M0, 1e39, 0xfe, 0xff},
        {TN_DTYPE_F8E8M0, 1e-39, 0, 0xff},
    };
    for (size_t i = 0; i < TN_COUNT(rows); i++) {
        assert_int_equal(tn_f64_to_f8(rows[i].dtype, rows[i].value, true), rows[i].saturated);
        assert_int_equal(tn_f64_to_f8(rows[i].dtype, rows[i].value, false), rows[i].not );
    }
    assert_int_equal(tn_f64_to_f16(65519.99), 0x7bff);
    assert_int_equal(tn_f64_to_f16(65520), 0x7c00);
    assert_int_equal(tn_f64_to_bf16(-1e40), 0xff80);
    /* 1 + 2^-11 + 2^-40 is above the tie of two halves, but rounds to the tie as f32 on the way. */
    assert_int_equal(tn_f64_to_f16(1 + 0x1p-11 + 0x1p-40), 0x3c01);
    assert_int_equal(tn_f32_to_f16((float)(1 + 0x1p-11 + 0x1p-40)), 0x3c00);
}

static void powers_of_two_round_as_asked(void **state)
{
    (void)state;
    for (int exponent = -127; exponent <= 127; exponent++) {
        double power = ldexp(1, exponent);
        unsigned code = (unsigned)(exponent + 127), above = code < 254 ? code + 1 : 254;
        assert_true(tn_f8_to_f64(TN_DTYPE_F8E8M0, (uint8_t)code) == power);
        for (int round = TN_ROUND_UP; round <= TN_ROUND_NEAREST; round++)
            assert_int_equal(tn_f64_to_f8e8m0(power, (tn_round)round, true), code);
        assert_int_equal(tn_f64_to_f8e8m0(power * 1.001, TN_ROUND_UP, true), above);
        assert_int_equal(tn_f64_to_f8e8m0(power * 1.999, TN_ROUND_DOWN, true), code);
        assert_int_equal(tn_f64_to_f8e8m0(power * 1.49, TN_ROUND_NEAREST, true), code);
        assert_int_equal(tn_f64_to_f8e8m0(power * 1.51, TN_ROUND_NEAREST, true), above);
    }
    assert_int_equal(tn_f64_to_f8e8m0(NAN, TN_ROUND_UP, true), 0xff);
    assert_true(isnan(tn_f8_to_f64(TN_DTYPE_F8E8M0, 0xff)));
}

static void f32_to_bf16_agrees_with_f64(void **state)
{
    (void)state;
    for (uint32_t high = 0; high < 0x10000; high += 7) {
        static const uint32_t low[] = {0, 1, 0x7fff, 0x8000, 0x8001, 0xffff};
        for (size_t k = 0; k < TN_COUNT(low); k++) {
            uint32_t bits = high << 16 | low[k];
            float value;
            memcpy(&value, &bits, sizeof value);
            assert_int_equal(tn_f32_to_bf16(value), tn_f64_to_bf16((double)value));
        }
    }
}

/* ---- Elements -----------------------------------------------------------------------------*/

static void integers_keep_their_range(void **state)
{
    (void)state;
    for (int d = 1; d < TN_DTYPE_END; d++) {
        tn_dtype dtype = (tn_dtype)d;
        tn_dtype_kind kind = tn_dtype_kind_of(dtype);
        int bits = tn_dtype_bits(dtype);
        if (kind != TN_KIND_I && kind != TN_KIND_U) continue;
        uint8_t memory[64];
        for (int64_t index = 0; index < 5; index++) {
            int64_t least = kind == TN_KIND_I ? (int64_t)(UINT64_MAX << (bits - 1)) : 0;
            int64_t most = kind == TN_KIND_I ? -(least + 1)
                           : bits == 64      ? -1 /* the bits of the largest u64 */
                                             : (INT64_C(1) << bits) - 1;
            memset(memory, 0x5a, sizeof memory);
            tn_store_i64(dtype, memory, index, least);
            assert_int_equal(tn_load_i64(dtype, memory, index), least);
            tn_store_i64(dtype, memory, index, most);
            assert_int_equal(tn_load_i64(dtype, memory, index), most);
            /* neighbours are untouched */
            uint8_t fresh[64];
            memset(fresh, 0x5a, sizeof fresh);
            for (int64_t other = 0; other < 6; other++)
                if (other != index)
                    assert_int_equal(tn_load_i64(dtype, memory, other),
                                     tn_load_i64(dtype, fresh, other));
        }
        if (bits == 64) continue;
        tn_store_i64(dtype, memory, 1, 3 + (INT64_C(5) << bits)); /* wraps */
        assert_int_equal(tn_load_i64(dtype, memory, 1) & 3, 3);
    }
}

static void packed_types_have_low_bits_first(void **state)
{
    (void)state;
    uint8_t memory[2] = {0x21, 0xe4};
    assert_int_equal(tn_load_i64(TN_DTYPE_U4, memory, 0), 1);
    assert_int_equal(tn_load_i64(TN_DTYPE_U4, memory, 1), 2);
    assert_int_equal(tn_load_i64(TN_DTYPE_I4, memory, 3), -2);
    for (int i = 0; i < 4; i++) assert_int_equal(tn_load_i64(TN_DTYPE_U2, memory + 1, i), i);
    assert_int_equal(tn_load_i64(TN_DTYPE_I2, memory + 1, 3), -1);
    assert_true(tn_load_f64(TN_DTYPE_F4E2M1, memory, 1) == 1.0);
    assert_int_equal(tn_dtype_bytes(TN_DTYPE_U4, 3), 2);
    assert_int_equal(tn_dtype_bytes(TN_DTYPE_I2, 5), 2);
    assert_int_equal(tn_dtype_bytes(TN_DTYPE_U2, INT64_MAX), (int64_t)(UINT64_C(1) << 61));
    assert_int_equal(tn_dtype_bytes(TN_DTYPE_F32, INT64_MAX / 2), -1);
    assert_int_equal(tn_dtype_bytes(TN_DTYPE_F32, -1), -1);
}

static void floats_become_integers_toward_zero(void **state)
{
    (void)state;
    int64_t memory = 0;
    static const struct {
        tn_dtype dtype;
        double value;
        int64_t expected;
    } rows[] = {
        {TN_DTYPE_I32, -2.9, -2},    {TN_DTYPE_I64, -0x1p63, INT64_MIN},
        {TN_DTYPE_I32, NAN, 0},      {TN_DTYPE_U64, 0x1p63, INT64_MIN},
        {TN_DTYPE_U8, 257.5, 1},     {TN_DTYPE_I8, 128, -128},
        {TN_DTYPE_I64, INFINITY, 0}, {TN_DTYPE_I16, -1e300, 0},
        {TN_DTYPE_BOOL, 0.2, 1},     {TN_DTYPE_BOOL, NAN, 1},
        {TN_DTYPE_BOOL, -0.0, 0},    {TN_DTYPE_U64, -1, -1},
    };
    for (size_t i = 0; i < TN_COUNT(rows); i++) {
        tn_store_f64(rows[i].dtype, &memory, 0, rows[i].value);
        assert_int_equal(tn_load_i64(rows[i].dtype, &memory, 0), rows[i].expected);
    }
    uint64_t top = UINT64_MAX;
    assert_true(tn_load_f64(TN_DTYPE_U64, &top, 0) == 0x1p64);
}

/* 2^54 + 2^30 + 1 lies above a tie of two floats; as a double it is the tie. */
static void integers_round_once(void **state)
{
    (void)state;
    int64_t value = (INT64_C(1) << 54) + (INT64_C(1) << 30) + 1, negative = -value;
    uint64_t large = (UINT64_C(1) << 63) + (UINT64_C(1) << 39) + 1;
    float got;
    tn_convert_elements(TN_DTYPE_F32, &got, 0, TN_DTYPE_I64, &value, 0, 1);
    assert_true(got == (float)value && got == 0x1p54f + 0x1p31f);
    tn_convert_elements(TN_DTYPE_F32, &got, 0, TN_DTYPE_I64, &negative, 0, 1);
    assert_true(got == -(0x1p54f + 0x1p31f));
    tn_convert_elements(TN_DTYPE_F32, &got, 0, TN_DTYPE_U64, &large, 0, 1);
    assert_true(got == (float)large && got == 0x1p63f + 0x1p40f);
    double wide;
    tn_convert_elements(TN_DTYPE_F64, &wide, 0, TN_DTYPE_U64, &large, 0, 1);
    assert_true(wide == (double)large);
    tn_convert_elements(TN_DTYPE_F64, &wide, 0, TN_DTYPE_I64, &negative, 0, 1);
    assert_true(wide == (double)negative);
}

static void complex_parts_are_kept(void **state)
{
    (void)state;
    float c64[4] = {1, 2, 3, -4}, f32[2];
    double c128[4];
    tn_convert_elements(TN_DTYPE_C128, c128, 0, TN_DTYPE_C64, c64, 0, 2);
    assert_true(c128[0] == 1 && c128[1] == 2 && c128[2] == 3 && c128[3] == -4);
    tn_convert_elements(TN_DTYPE_F32, f32, 0, TN_DTYPE_C128, c128, 0, 2);
    assert_true(f32[0] == 1 && f32[1] == 3);
    tn_store_f64(TN_DTYPE_C64, c64, 1, 9);
    assert_true(c64[2] == 9 && c64[3] == 0 && tn_load_f64(TN_DTYPE_C64, c64, 1) == 9);
}

static void copies_are_bit_for_bit(void **state)
{
    (void)state;
    uint8_t src[9], dst[9];
    for (int i = 0; i < 9; i++) src[i] = (uint8_t)(i * 37 + 11);
    for (int begin = 0; begin < 4; begin++) {
        for (int to = 0; to < 4; to++) {
            memset(dst, 0, sizeof dst);
            tn_copy_elements(TN_DTYPE_I2, dst, to, src, begin, 30);
            for (int i = 0; i < 30; i++)
                assert_int_equal(tn_load_i64(TN_DTYPE_I2, dst, to + i),
                                 tn_load_i64(TN_DTYPE_I2, src, begin + i));
            if (to) assert_int_equal(tn_load_i64(TN_DTYPE_U2, dst, to - 1), 0);
            assert_int_equal(tn_load_i64(TN_DTYPE_U2, dst, to + 30), 0);
        }
    }
    tn_copy_elements(TN_DTYPE_U16, dst + 1, 1, src + 1, 0, 2); /* any address will do */
    assert_memory_equal(dst + 3, src + 1, 4);
}

static void names_are_found(void **state)
{
    (void)state;
    char text[64];
    for (int i = 1; i < TN_DTYPE_END; i++) {
        assert_true(tn_dtype_valid(i));
        assert_int_equal(tn_dtype_find(tn_dtype_name((tn_dtype)i)), i);
    }
    assert_false(tn_dtype_valid(0) || tn_dtype_valid(TN_DTYPE_END) || tn_dtype_valid(-1));
    assert_int_equal(tn_dtype_find("f31"), TN_DTYPE_NONE);
    assert_string_equal(tn_dtype_name(TN_DTYPE_NONE), "none");
    assert_string_equal(tn_dtypes_text(TN_DT(F32) | TN_DT(F64) | TN_DT(F16), text, sizeof text),
                        "f32, f16 or f64");
    assert_string_equal(tn_dtypes_text(TN_DT(BOOL), text, sizeof text), "bool");
    tn_dtypes_text(TN_DTS_ANY, text, 8); /* truncates */
    assert_string_equal(text, "f32, u8");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_has_its_value),
        cmocka_unit_test(every_tie_rounds_to_even_once),
        cmocka_unit_test(random_values_go_to_the_nearest_code),
        cmocka_unit_test(overflow_follows_cast),
        cmocka_unit_test(powers_of_two_round_as_asked),
        cmocka_unit_test(f32_to_bf16_agrees_with_f64),
        cmocka_unit_test(integers_keep_their_range),
        cmocka_unit_test(packed_types_have_low_bits_first),
        cmocka_unit_test(floats_become_integers_toward_zero),
        cmocka_unit_test(integers_round_once),
        cmocka_unit_test(complex_parts_are_kept),
        cmocka_unit_test(copies_are_bit_for_bit),
        cmocka_unit_test(names_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
