/* Data types: what they are, and conversion of single elements. The list is TN_DTYPES in tenon.h.
 */
#ifndef TN_TENSOR_DTYPE_H
#define TN_TENSOR_DTYPE_H

#include "base/memory.h"

/* Sets of types, for ports of operators: bit n is dtype n. */
typedef uint32_t tn_dtypes;
#define TN_DT(name) (UINT32_C(1) << TN_DTYPE_##name)
#define TN_DTS_F8                                                                                  \
    (TN_DT(F8E4M3FN) | TN_DT(F8E4M3FNUZ) | TN_DT(F8E5M2) | TN_DT(F8E5M2FNUZ) | TN_DT(F8E8M0))
#define TN_DTS_FLOAT (TN_DT(F32) | TN_DT(F16) | TN_DT(BF16) | TN_DT(F64))
#define TN_DTS_INT (TN_DT(I8) | TN_DT(I16) | TN_DT(I32) | TN_DT(I64))
#define TN_DTS_UINT (TN_DT(U8) | TN_DT(U16) | TN_DT(U32) | TN_DT(U64))
#define TN_DTS_SMALL (TN_DT(U4) | TN_DT(I4) | TN_DT(U2) | TN_DT(I2) | TN_DT(F4E2M1))
#define TN_DTS_NUMBER (TN_DTS_FLOAT | TN_DTS_INT | TN_DTS_UINT)
#define TN_DTS_COMPLEX (TN_DT(C64) | TN_DT(C128))
#define TN_DTS_INDEX (TN_DT(I32) | TN_DT(I64))
#define TN_DTS_ANY ((UINT32_C(1) << TN_DTYPE_END) - 2)

typedef enum tn_dtype_kind {
    TN_KIND_NONE,
    TN_KIND_F,
    TN_KIND_I,
    TN_KIND_U,
    TN_KIND_B,
    TN_KIND_C,
    TN_KIND_S
} tn_dtype_kind;

bool tn_dtype_valid(int number); /* a member of TN_DTYPES */
tn_dtype_kind tn_dtype_kind_of(tn_dtype dtype);
tn_dtype tn_dtype_find(const char *name); /* by text, "f32"; NONE if unknown */
/* Bytes of `count` dense elements (packed types round up); -1 on overflow. */
int64_t tn_dtype_bytes(tn_dtype dtype, int64_t count);
/* "f32, f16 or f64": for messages; into dst. */
const char *tn_dtypes_text(tn_dtypes set, char *dst, size_t dst_bytes);

/* Rounding is to nearest, ties to even. The float8 conversions saturate as ONNX Cast does when
 * `saturate`, else overflow to NaN or infinity as the type has it. */
float tn_f16_to_f32(uint16_t bits);
uint16_t tn_f32_to_f16(float value);
uint16_t tn_f64_to_f16(double value); /* one rounding */
float tn_bf16_to_f32(uint16_t bits);
uint16_t tn_f32_to_bf16(float value);
uint16_t tn_f64_to_bf16(double value);
double tn_f8_to_f64(tn_dtype dtype, uint8_t bits);
uint8_t tn_f64_to_f8(tn_dtype dtype, double value, bool saturate); /* F8E8M0: rounds up, as Cast */
/* F8E8M0 holds powers of two: the magnitude is rounded; below the least it saturates to the least.
 */
typedef enum tn_round { TN_ROUND_UP, TN_ROUND_DOWN, TN_ROUND_NEAREST } tn_round;
uint8_t tn_f64_to_f8e8m0(double value, tn_round round, bool saturate);

/* Element `index` of dense memory as the widest type of its kind. Loads accept every numeric kind
 * (bool is 0 or 1; f64 loads of integers round). Stores wrap integers to their width; bool stores
 * value != 0. An f64 stored into an integer is truncated toward zero and taken modulo 2^64, then to
 * its width; NaN and infinities give 0. u64 passes through int64 bit for bit. Complex: the real
 * part. */
double tn_load_f64(tn_dtype dtype, const void *data, int64_t index);
void tn_store_f64(tn_dtype dtype, void *data, int64_t index, double value);
int64_t tn_load_i64(tn_dtype dtype, const void *data, int64_t index);
void tn_store_i64(tn_dtype dtype, void *data, int64_t index, int64_t value);
/* Whole runs, for reference kernels that first widen: dst[i] = src[begin + i]. */
void tn_load_f64s(tn_dtype dtype, const void *data, int64_t begin, int64_t count, double *dst);
void tn_store_f64s(tn_dtype dtype, void *data, int64_t begin, int64_t count, const double *src);
/* Cast with saturate, each element rounded once; complex keeps both parts. Strings stay. */
void tn_convert_elements(tn_dtype dst_dtype, void *dst, int64_t dst_index, tn_dtype src_dtype,
                         const void *src, int64_t src_index, int64_t count);
/* Copy element(s) of one type bit for bit, packed types included. */
void tn_copy_elements(tn_dtype dtype, void *dst, int64_t dst_index, const void *src,
                      int64_t src_index, int64_t count);

#endif
