/* What the tactics of ChannelsLastConv have in common. */
#ifndef TN_CUDA_CONV_LAST_H
#define TN_CUDA_CONV_LAST_H

#include "backends/cuda/kernels/product.h"

/* Two spatial axes at most, of a type and a size that kernels know. */
tn_verdict tn_cuda_conv_last_fits(const tn_problem *p, const tn_window *w);
/* For the copy engine: boxes of 64 columns of a dense [rows, columns] at `at`; */
tn_status tn_cuda_map_rows(const tn_tensor *t, const void *at, int64_t rows, int64_t columns,
                           int64_t box_rows, tn_cu_map *out) TN_MUST_USE;
/* 64 channels of `rows` windows of [n, h, w, channels]: those whose first taps are from `lower` on
 * to `upper` beyond the last pixel, along each axis; */
tn_status tn_cuda_map_windows(const tn_tensor *t, const void *at, const int64_t *lower,
                              const int64_t *upper, const int64_t *stride, int64_t rows,
                              tn_cu_map *out) TN_MUST_USE;
/* and of single pixels of X2, with their strides. */
tn_status tn_cuda_map_more(const tn_problem *p, int64_t rows, int32_t *stride,
                           tn_cu_map *out) TN_MUST_USE;
/* By a tile of ours that takes all of these, on any card. */
tn_status tn_cuda_conv_last_run(const tn_launch *l) TN_MUST_USE;

#endif
