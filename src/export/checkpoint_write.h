/* Named tensors to files. Any strides; dense tensors are written from where they lie, others by way
 * of a dense copy, one at a time. */
#ifndef TN_EXPORT_CHECKPOINT_WRITE_H
#define TN_EXPORT_CHECKPOINT_WRITE_H

#include "base/file.h"
#include "base/map.h"
#include "tensor/tensor.h"

/* A state dict in the zip form of torch.save: only the entries that every torch since 1.6 takes. */
tn_status tn_torch_write(const char *const *names, const tn_tensor *tensors, int64_t count,
                         const char *path) TN_MUST_USE;
tn_status tn_safetensors_write(const char *const *names, const tn_tensor *tensors, int64_t count,
                               const char *path) TN_MUST_USE;

/* ---- Shared by the two -----------------------------------------------------------------------*/

/* Names are there, are UTF-8 and differ; tensors have sizes and data. */
tn_status tn_checkpoint_check(const char *const *names, const tn_tensor *tensors,
                              int64_t count) TN_MUST_USE;
/* Dense bytes of a tensor: its own data, or a copy in *copy, freed with tn_tensor_free. */
tn_status tn_dense_bytes(const tn_tensor *tensor, tn_tensor *copy, const void **out) TN_MUST_USE;

#endif
