/* Conversion between the storage of every data type and the widest type of its kind.
 *
 * All small floats share one encoding: sign, exponent, mantissa, with subnormals, so that the codes
 * of the magnitudes are consecutive integers. Rounding is done once, on the bits of the double, and
 * a carry out of the mantissa moves into the exponent by itself; the types differ only in the row
 * that says where the finite codes end and what lies beyond. */
#include "tensor/dtype.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    int bits;
    tn_dtype_kind kind;
} types[TN_DTYPE_END] = {[TN_DTYPE_NONE] = {"none", 0, TN_KIND_NONE},
#define TYPE_ROW(id, number, width, letter, text) [number] = {text, width, TN_KIND_##letter},
                         TN_DTYPES(TYPE_ROW)
#undef TYPE_ROW
};

bool tn_dtype_valid(int number)
{
    return number > TN_DTYPE_NONE && number < TN_DTYPE_END;
}

tn_dtype_kind tn_dtype_kind_of(tn_dtype dtype)
{
    return tn_dtype_valid((int)dtype) ? types[dtype].kind : TN_KIND_NONE;
}

const char *tn_dtype_name(tn_dtype dtype)
{
    return tn_dtype_valid((int)dtype) ? types[dtype].name : "none";
}

int tn_dtype_bits(tn_dtype dtype)
{
    return tn_dtype_valid((int)dtype) ? types[dtype].bits : 0;
}

tn_dtype tn_dtype_find(const char *name)
{
    for (int i = 1; i < TN_DTYPE_END; i++)
        if (!strcmp(name, types[i].name)) return (tn_dtype)i;
    return TN_DTYPE_NONE;
}

int64_t tn_dtype_bytes(tn_dtype dtype, int64_t count)
{
    int bits = tn_dtype_bits(dtype);
    int64_t bytes;
    if (count < 0) return -1;
    if (bits == 0) return 0;
    if (bits < 8) return count / (8 / bits) + (count % (8 / bits) != 0);
    return tn_mul_i64(count, bits / 8, &bytes) ? bytes : -1;
}

const char *tn_dtypes_text(tn_dtypes set, char *dst, size_t dst_bytes)
{
    size_t at = 0;
    int left = 0;
    for (int i = 1; i < TN_DTYPE_END; i++) left += (set >> i) & 1;
    if (dst_bytes) dst[0] = 0;
    for (int i = 1, first = 1; i < TN_DTYPE_END; i++) {
        if (!((set >> i) & 1)) continue;
        const char *comma = first ? "" : left == 1 ? " or " : ", ";
        int bytes =
            at < dst_bytes ? snprintf(dst + at, dst_bytes - at, "%s%s", comma, types[i].name) : 0;
        at += (size_t)bytes;
        first = 0;
        left--;
    }
    return dst;
}

/* ---- Small floats -----------------------------------------------------------------------------*/

typedef struct small_float {
    int mantissa_bits, bias, sign_shift;
    uint32_t top;      /* code of the largest finite magnitude */
    uint32_t overflow; /* code beyond it: infinity, or NaN where there is none */
    uint32_t nan;
    bool signed_zero; /* else the code of -0 is the only NaN */
} small_float;

static const small_float f16 = {10, 15, 15, 0x7bff, 0x7c00, 0x7e00, true};
static const small_float bf16 = {7, 127, 15, 0x7f7f, 0x7f80, 0x7fc0, true};
static const small_float f4e2m1 = {1, 1, 3, 7, 7, 0, true}; /* no NaN, always saturates */
static const small_float f8[] = {
    {3, 7, 7, 0x7e, 0x7f, 0x7f, true},   /* e4m3fn */
    {3, 8, 7, 0x7f, 0x80, 0x80, false},  /* e4m3fnuz */
    {2, 15, 7, 0x7b, 0x7c, 0x7e, true},  /* e5m2 */
    {2, 16, 7, 0x7f, 0x80, 0x80, false}, /* e5m2fnuz */
};

static uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* The code of |value| with the exponent unbounded above, rounded to nearest even. */
static uint64_t round_magnitude(const small_float *type, double value)
{
    uint64_t bits = bits_of(value), mantissa = bits & ((UINT64_C(1) << 52) - 1);
    int exponent = (int)(bits >> 52 & 0x7ff) - 1023, least = 1 - type->bias;
    int shift = 52 - type->mantissa_bits + (exponent < least ? least - exponent : 0);
    if (shift > 54) return 0; /* below half of the least subnormal; so are subnormal doubles */
    mantissa |= UINT64_C(1) << 52;
    uint64_t code = mantissa >> shift, rest = mantissa & ((UINT64_C(1) << shift) - 1);
    uint64_t half = UINT64_C(1) << (shift - 1);
    if (rest > half || (rest == half && (code & 1))) code++;
    if (exponent > least) code += (uint64_t)(exponent - least) << type->mantissa_bits;
    return code;
}

static uint32_t encode(const small_float *type, double value, bool saturate)
{
    uint32_t sign = (uint32_t)(bits_of(value) >> 63) << type->sign_shift;
    if (isnan(value)) return type->nan | sign;
    uint64_t code = isinf(value) ? UINT64_MAX : round_magnitude(type, value);
    if (code > type->top) code = saturate ? type->top : type->overflow;
    if (!type->signed_zero && code == 0) return 0;
    return (uint32_t)code | sign;
}

static double decode(const small_float *type, uint32_t code)
{
    uint32_t magnitude = code & ((UINT32_C(1) << type->sign_shift) - 1);
    uint32_t mantissa = magnitude & ((UINT32_C(1) << type->mantissa_bits) - 1);
    int exponent = (int)(magnitude >> type->mantissa_bits);
    double value;
    if (!type->signed_zero && code == type->nan) return NAN;
    if (magnitude > type->top) {
        value = magnitude == type->overflow && magnitude != type->nan ? INFINITY : NAN;
    } else {
        if (exponent) mantissa |= UINT32_C(1) << type->mantissa_bits;
        value =
            ldexp((double)mantissa, (exponent ? exponent : 1) - type->bias - type->mantissa_bits);
    }
    return code >> type->sign_shift & 1 ? -value : value;
}

float tn_f16_to_f32(uint16_t bits)
{
    uint32_t sign = (uint32_t)(bits & 0x8000) << 16, rest = bits & 0x7fff, word;
    float value;
    if (rest < 0x400) { /* zero and subnormals: a count of 2^-24, exact in f32 */
        value = (float)rest * 0x1p-24f;
        return sign ? -value : value;
    }
    /* The exponent's bias goes from 15 to 127. */
    word = sign | (rest >= 0x7c00 ? UINT32_C(0x7f800000) | (rest & 0x3ff) << 13
                                  : (rest << 13) + (UINT32_C(112) << 23));
    memcpy(&value, &word, sizeof value);
    return value;
}

uint16_t tn_f64_to_f16(double value)
{
    return (uint16_t)encode(&f16, value, false);
}

uint16_t tn_f32_to_f16(float value)
{
    return tn_f64_to_f16((double)value);
}

float tn_bf16_to_f32(uint16_t bits)
{
    uint32_t word = (uint32_t)bits << 16;
    float value;
    memcpy(&value, &word, sizeof value);
    return value;
}

uint16_t tn_f64_to_bf16(double value)
{
    return (uint16_t)encode(&bf16, value, false);
}

uint16_t tn_f32_to_bf16(float value)
{
    uint32_t word;
    memcpy(&word, &value, sizeof word);
    if (isnan(value)) return (uint16_t)(0x7fc0 | (word >> 16 & 0x8000));
    /* Half of the last kept bit, less one unless that bit is odd: ties go to even. */
    return (uint16_t)((word + 0x7fff + (word >> 16 & 1)) >> 16);
}

double tn_f8_to_f64(tn_dtype dtype, uint8_t bits)
{
    switch (dtype) {
    case TN_DTYPE_F8E4M3FN:
    case TN_DTYPE_F8E4M3FNUZ:
    case TN_DTYPE_F8E5M2:
    case TN_DTYPE_F8E5M2FNUZ: return decode(&f8[dtype - TN_DTYPE_F8E4M3FN], bits);
    case TN_DTYPE_F8E8M0: return bits == 0xff ? NAN : ldexp(1, (int)bits - 127);
    case TN_DTYPE_F4E2M1: return decode(&f4e2m1, bits & 15);
    default: return NAN;
    }
}

uint8_t tn_f64_to_f8(tn_dtype dtype, double value, bool saturate)
{
    switch (dtype) {
    case TN_DTYPE_F8E4M3FN:
    case TN_DTYPE_F8E4M3FNUZ:
    case TN_DTYPE_F8E5M2:
    case TN_DTYPE_F8E5M2FNUZ:
        return (uint8_t)encode(&f8[dtype - TN_DTYPE_F8E4M3FN], value, saturate);
    case TN_DTYPE_F8E8M0: return tn_f64_to_f8e8m0(value, TN_ROUND_UP, saturate);
    case TN_DTYPE_F4E2M1: /* a NaN becomes a zero of the other sign, as in ml_dtypes */
        return (uint8_t)(isnan(value) ? (signbit(value) ? 0 : 8) : encode(&f4e2m1, value, true));
    default: return 0;
    }
}

uint8_t tn_f64_to_f8e8m0(double value, tn_round round, bool saturate)
{
    int exponent;
    if (isnan(value)) return 0xff;
    value = fabs(value);
    if (isinf(value)) return saturate ? 0xfe : 0xff;
    if (value == 0) return saturate ? 0 : 0xff;
    double fraction = frexp(value, &exponent); /* in [0.5, 1) */
    exponent -= 1;
    if (round == TN_ROUND_UP && fraction > 0.5) exponent++;
    if (round == TN_ROUND_NEAREST && fraction >= 0.75) exponent++;
    if (exponent < -127) return saturate ? 0 : 0xff;
    if (exponent > 127) return saturate ? 0xfe : 0xff;
    return (uint8_t)(exponent + 127);
}

/* ---- Elements ---------------------------------------------------------------------------------*/

/* Memory may lie at any address (a mapped file), so access goes through memcpy. */
#define ACCESS(type)                                                                               \
    static inline type get_##type(const void *data, int64_t index)                                 \
    {                                                                                              \
        type value;                                                                                \
        memcpy(&value, (const char *)data + index * (int64_t)sizeof value, sizeof value);          \
        return value;                                                                              \
    }                                                                                              \
    static inline void put_##type(void *data, int64_t index, type value)                           \
    {                                                                                              \
        memcpy((char *)data + index * (int64_t)sizeof value, &value, sizeof value);                \
    }
ACCESS(float)
ACCESS(double)
ACCESS(int8_t)
ACCESS(uint8_t)
ACCESS(int16_t)
ACCESS(uint16_t)
ACCESS(int32_t)
ACCESS(uint32_t)
ACCESS(int64_t)
ACCESS(uint64_t)
#undef ACCESS

static unsigned get_packed(const void *data, int64_t index, int bits)
{
    int each = 8 / bits;
    return (unsigned)get_uint8_t(data, index / each) >> (index % each * bits) & ((1u << bits) - 1);
}

static void put_packed(void *data, int64_t index, int bits, unsigned code)
{
    int each = 8 / bits, shift = (int)(index % each) * bits;
    unsigned mask = ((1u << bits) - 1) << shift, old = get_uint8_t(data, index / each);
    put_uint8_t(data, index / each, (uint8_t)((old & ~mask) | (code << shift & mask)));
}

/* Two's complement of `bits` bits. */
static int64_t extend_sign(unsigned code, int bits)
{
    int64_t half = INT64_C(1) << (bits - 1);
    return ((int64_t)code ^ half) - half;
}

/* Toward zero, modulo 2^64; NaN and infinities give 0. */
static int64_t truncate_f64(double value)
{
    if (value >= -0x1p63 && value < 0x1p63) return (int64_t)value;
    double rest = fmod(value, 0x1p64);
    if (isnan(rest)) return 0;
    uint64_t magnitude = (uint64_t)fabs(rest);
    return (int64_t)(rest < 0 ? 0 - magnitude : magnitude);
}

/* A double that rounds to any narrower float as the integer itself would: bits that a double cannot
 * hold are gathered in one sticky bit far below the last bit of those types. */
static double sticky_f64(uint64_t magnitude, bool negative)
{
    if (magnitude >> 53) magnitude = (magnitude & ~UINT64_C(4095)) | (magnitude & 4095 ? 2048 : 0);
    return negative ? -(double)magnitude : (double)magnitude;
}

double tn_load_f64(tn_dtype dtype, const void *data, int64_t index)
{
    switch (dtype) {
    case TN_DTYPE_F32: return (double)get_float(data, index);
    case TN_DTYPE_F64: return get_double(data, index);
    case TN_DTYPE_F16: return (double)tn_f16_to_f32(get_uint16_t(data, index));
    case TN_DTYPE_BF16: return (double)tn_bf16_to_f32(get_uint16_t(data, index));
    case TN_DTYPE_C64: return (double)get_float(data, 2 * index);
    case TN_DTYPE_C128: return get_double(data, 2 * index);
    case TN_DTYPE_F8E4M3FN:
    case TN_DTYPE_F8E4M3FNUZ:
    case TN_DTYPE_F8E5M2:
    case TN_DTYPE_F8E5M2FNUZ:
    case TN_DTYPE_F8E8M0: return tn_f8_to_f64(dtype, get_uint8_t(data, index));
    case TN_DTYPE_F4E2M1: return tn_f8_to_f64(dtype, (uint8_t)get_packed(data, index, 4));
    case TN_DTYPE_U64: return (double)get_uint64_t(data, index);
    default: return (double)tn_load_i64(dtype, data, index);
    }
}

void tn_store_f64(tn_dtype dtype, void *data, int64_t index, double value)
{
    switch (dtype) {
    case TN_DTYPE_F32: put_float(data, index, (float)value); return;
    case TN_DTYPE_F64: put_double(data, index, value); return;
    case TN_DTYPE_F16: put_uint16_t(data, index, tn_f64_to_f16(value)); return;
    case TN_DTYPE_BF16: put_uint16_t(data, index, tn_f64_to_bf16(value)); return;
    case TN_DTYPE_C64:
        put_float(data, 2 * index, (float)value);
        put_float(data, 2 * index + 1, 0);
        return;
    case TN_DTYPE_C128:
        put_double(data, 2 * index, value);
        put_double(data, 2 * index + 1, 0);
        return;
    case TN_DTYPE_F8E4M3FN:
    case TN_DTYPE_F8E4M3FNUZ:
    case TN_DTYPE_F8E5M2:
    case TN_DTYPE_F8E5M2FNUZ:
    case TN_DTYPE_F8E8M0: put_uint8_t(data, index, tn_f64_to_f8(dtype, value, true)); return;
    case TN_DTYPE_F4E2M1: put_packed(data, index, 4, tn_f64_to_f8(dtype, value, true)); return;
    case TN_DTYPE_BOOL: put_uint8_t(data, index, value != 0); return;
    default: tn_store_i64(dtype, data, index, truncate_f64(value)); return;
    }
}

int64_t tn_load_i64(tn_dtype dtype, const void *data, int64_t index)
{
    switch (dtype) {
    case TN_DTYPE_I64: return get_int64_t(data, index);
    case TN_DTYPE_U64: return (int64_t)get_uint64_t(data, index);
    case TN_DTYPE_I32: return get_int32_t(data, index);
    case TN_DTYPE_U32: return get_uint32_t(data, index);
    case TN_DTYPE_I16: return get_int16_t(data, index);
    case TN_DTYPE_U16: return get_uint16_t(data, index);
    case TN_DTYPE_I8: return get_int8_t(data, index);
    case TN_DTYPE_U8: return get_uint8_t(data, index);
    case TN_DTYPE_BOOL: return get_uint8_t(data, index) != 0;
    case TN_DTYPE_U4: return get_packed(data, index, 4);
    case TN_DTYPE_I4: return extend_sign(get_packed(data, index, 4), 4);
    case TN_DTYPE_U2: return get_packed(data, index, 2);
    case TN_DTYPE_I2: return extend_sign(get_packed(data, index, 2), 2);
    case TN_DTYPE_NONE:
    case TN_DTYPE_STRING:
    case TN_DTYPE_END: return 0;
    default: return truncate_f64(tn_load_f64(dtype, data, index));
    }
}

void tn_store_i64(tn_dtype dtype, void *data, int64_t index, int64_t value)
{
    switch (dtype) {
    case TN_DTYPE_I64: put_int64_t(data, index, value); return;
    case TN_DTYPE_U64: put_uint64_t(data, index, (uint64_t)value); return;
    case TN_DTYPE_I32: put_int32_t(data, index, (int32_t)value); return;
    case TN_DTYPE_U32: put_uint32_t(data, index, (uint32_t)value); return;
    case TN_DTYPE_I16: put_int16_t(data, index, (int16_t)value); return;
    case TN_DTYPE_U16: put_uint16_t(data, index, (uint16_t)value); return;
    case TN_DTYPE_I8: put_int8_t(data, index, (int8_t)value); return;
    case TN_DTYPE_U8: put_uint8_t(data, index, (uint8_t)value); return;
    case TN_DTYPE_BOOL: put_uint8_t(data, index, value != 0); return;
    case TN_DTYPE_U4:
    case TN_DTYPE_I4: put_packed(data, index, 4, (unsigned)value & 15); return;
    case TN_DTYPE_U2:
    case TN_DTYPE_I2: put_packed(data, index, 2, (unsigned)value & 3); return;
    case TN_DTYPE_NONE:
    case TN_DTYPE_STRING:
    case TN_DTYPE_END: return;
    case TN_DTYPE_F64:
    case TN_DTYPE_C128: tn_store_f64(dtype, data, index, (double)value); return;
    default: {
        uint64_t magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
        tn_store_f64(dtype, data, index, sticky_f64(magnitude, value < 0));
    }
    }
}

/* ---- Runs of elements -------------------------------------------------------------------------*/

void tn_load_f64s(tn_dtype dtype, const void *data, int64_t begin, int64_t count, double *dst)
{
    switch (dtype) { /* the common types without a switch for each element */
    case TN_DTYPE_F32:
        for (int64_t i = 0; i < count; i++) dst[i] = (double)get_float(data, begin + i);
        return;
    case TN_DTYPE_F64:
        for (int64_t i = 0; i < count; i++) dst[i] = get_double(data, begin + i);
        return;
    case TN_DTYPE_I64:
        for (int64_t i = 0; i < count; i++) dst[i] = (double)get_int64_t(data, begin + i);
        return;
    default:
        for (int64_t i = 0; i < count; i++) dst[i] = tn_load_f64(dtype, data, begin + i);
    }
}

void tn_store_f64s(tn_dtype dtype, void *data, int64_t begin, int64_t count, const double *src)
{
    switch (dtype) {
    case TN_DTYPE_F32:
        for (int64_t i = 0; i < count; i++) put_float(data, begin + i, (float)src[i]);
        return;
    case TN_DTYPE_F64:
        for (int64_t i = 0; i < count; i++) put_double(data, begin + i, src[i]);
        return;
    default:
        for (int64_t i = 0; i < count; i++) tn_store_f64(dtype, data, begin + i, src[i]);
    }
}

void tn_copy_elements(tn_dtype dtype, void *dst, int64_t dst_index, const void *src,
                      int64_t src_index, int64_t count)
{
    int bits = tn_dtype_bits(dtype);
    if (count <= 0 || !bits) return;
    if (bits >= 8) {
        int64_t size = bits / 8;
        memmove((char *)dst + dst_index * size, (const char *)src + src_index * size,
                (size_t)(count * size));
        return;
    }
    int each = 8 / bits;
    int64_t done = 0;
    if (dst_index % each == 0 && src_index % each == 0 && count >= each) {
        memmove((char *)dst + dst_index / each, (const char *)src + src_index / each,
                (size_t)(count / each));
        done = count / each * each;
    }
    for (; done < count; done++)
        put_packed(dst, dst_index + done, bits, get_packed(src, src_index + done, bits));
}

static bool is_int(tn_dtype_kind kind)
{
    return kind == TN_KIND_I || kind == TN_KIND_U || kind == TN_KIND_B;
}

void tn_convert_elements(tn_dtype dst_dtype, void *dst, int64_t dst_index, tn_dtype src_dtype,
                         const void *src, int64_t src_index, int64_t count)
{
    tn_dtype_kind from = tn_dtype_kind_of(src_dtype), to = tn_dtype_kind_of(dst_dtype);
    if (src_dtype == dst_dtype) {
        tn_copy_elements(dst_dtype, dst, dst_index, src, src_index, count);
        return;
    }
    if (from == TN_KIND_S || to == TN_KIND_S) return;
    for (int64_t i = 0; i < count; i++) {
        int64_t s = src_index + i, d = dst_index + i;
        if (src_dtype == TN_DTYPE_U64 && dst_dtype != TN_DTYPE_F64 && !is_int(to))
            tn_store_f64(dst_dtype, dst, d, sticky_f64(get_uint64_t(src, s), false));
        else if (is_int(from) && src_dtype != TN_DTYPE_U64)
            tn_store_i64(dst_dtype, dst, d, tn_load_i64(src_dtype, src, s));
        else if (is_int(from) && is_int(to))
            tn_store_i64(dst_dtype, dst, d, tn_load_i64(src_dtype, src, s));
        else tn_store_f64(dst_dtype, dst, d, tn_load_f64(src_dtype, src, s));
        if (src_dtype == TN_DTYPE_C64 && dst_dtype == TN_DTYPE_C128)
            put_double(dst, 2 * d + 1, (double)get_float(src, 2 * s + 1));
        if (src_dtype == TN_DTYPE_C128 && dst_dtype == TN_DTYPE_C64)
            put_float(dst, 2 * d + 1, (float)get_double(src, 2 * s + 1));
    }
}
