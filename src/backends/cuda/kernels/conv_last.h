/* What the tactics of ChannelsLastConv have in common. */
#ifndef TN_CUDA_CONV_LAST_H
#define TN_CUDA_CONV_LAST_H

#include "backends/cuda/kernels/product.h"

/* Two spatial axes at most, of a type and a size that kernels know. */
tn_verdict tn_cuda_conv_last_fits(const tn_problem *p, const tn_window *w);
/* By a tile of ours that takes all of these, on any card. */
tn_status tn_cuda_conv_last_run(const tn_launch *l) TN_MUST_USE;

#endif
