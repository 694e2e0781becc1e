/* Elements of tensors as numbers. */
#include <math.h>
#include <string.h>

#include "tool.h"

static double half_value(uint16_t bits)
{
    int exponent = bits >> 10 & 31, fraction = bits & 1023;
    double size = exponent == 31 ? (fraction ? NAN : INFINITY)
                  : exponent     ? ldexp(1024 + fraction, exponent - 25)
                                 : ldexp(fraction, -24);
    return bits >> 15 ? -size : size;
}

bool has_values(tn_dtype dtype)
{
    return dtype == TN_DTYPE_F32 || dtype == TN_DTYPE_F64 || dtype == TN_DTYPE_F16 ||
           dtype == TN_DTYPE_BF16 || dtype == TN_DTYPE_I64 || dtype == TN_DTYPE_I32 ||
           dtype == TN_DTYPE_U8 || dtype == TN_DTYPE_BOOL || dtype == TN_DTYPE_I8;
}

double value_at(const tn_tensor *t, int64_t i)
{
    switch (t->dtype) {
    case TN_DTYPE_F32: return (double)((const float *)t->data)[i];
    case TN_DTYPE_F64: return ((const double *)t->data)[i];
    case TN_DTYPE_F16: return half_value(((const uint16_t *)t->data)[i]);
    case TN_DTYPE_BF16: {
        uint32_t bits = (uint32_t)((const uint16_t *)t->data)[i] << 16;
        float value;
        memcpy(&value, &bits, sizeof(value));
        return (double)value;
    }
    case TN_DTYPE_I64: return (double)((const int64_t *)t->data)[i];
    case TN_DTYPE_I32: return ((const int32_t *)t->data)[i];
    case TN_DTYPE_U8:
    case TN_DTYPE_BOOL: return ((const uint8_t *)t->data)[i];
    case TN_DTYPE_I8: return ((const int8_t *)t->data)[i];
    default: return 0;
    }
}
