/* Operators by the kernels of their parts, one behind the other, on any card. */
#ifndef TN_CUDA_HALVES_H
#define TN_CUDA_HALVES_H

#include "backends/cuda/cuda.h"

size_t tn_cuda_parts_scratch(const tn_problem *p);
tn_status tn_cuda_parts_run(const tn_launch *l) TN_MUST_USE;

#endif
