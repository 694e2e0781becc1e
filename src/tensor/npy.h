/* NumPy's .npy files, versions 1.0 to 3.0, from and to memory. Either byte order and either element
 * order is read; little-endian row-major is written. */
#ifndef TN_TENSOR_NPY_H
#define TN_TENSOR_NPY_H

#include "base/bytes.h"
#include "tensor/tensor.h"

/* Do the bytes begin as a .npy file does. */
bool tn_npy_is(const void *bytes, size_t byte_count);
/* A dense tensor of its own memory, freed with tn_tensor_free. A damaged file is CORRUPT. */
tn_status tn_npy_decode(const void *bytes, size_t byte_count, tn_tensor *out) TN_MUST_USE;
/* Any strides. Types that NumPy does not have (bf16, float8, 4 bits, strings) are UNSUPPORTED. */
tn_status tn_npy_encode(const tn_tensor *tensor, tn_writer *out) TN_MUST_USE;

#endif
