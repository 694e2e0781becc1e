/* How kernels find their way through operands of several axes. The host drops axes of 1 and joins
 * neighbours that every operand steps through as one, so that most problems have one or two axes
 * left; the kernel divides by multiplying. The structs are mirrored in the kernels' sources. */
#ifndef TN_BACKENDS_CUDA_INDEX_H
#define TN_BACKENDS_CUDA_INDEX_H

#include "backends/cuda/cuda.h"

enum { TN_CUDA_OPERANDS = 8 };

/* Axes from the outermost to the innermost; steps in elements, 0 where an operand repeats. */
typedef struct tn_cuda_index {
    int rank, operand_count;
    int64_t dim[TN_RANK_MAX];
    int64_t step[TN_CUDA_OPERANDS][TN_RANK_MAX];
} tn_cuda_index;

/* n / by for n below 2^31 and by in [1, 2^31). */
typedef struct tn_cuda_divider {
    uint32_t by, multiply, shift;
} tn_cuda_divider;
tn_cuda_divider tn_cuda_divider_of(int64_t by);

/* Row-major steps of a dense tensor. */
void tn_cuda_dense_steps(const int64_t *dim, int rank, int64_t *step);
/* Operands that are dense tensors broadcast to y. */
void tn_cuda_index_broadcast(const tn_tensor *y, const tn_tensor *const *operands, int count,
                             tn_cuda_index *out);
/* Drops and joins axes; at least one is left. */
void tn_cuda_index_join(tn_cuda_index *index);

/* Every element count and every index of a problem fits 31 bits: what most kernels need. */
bool tn_cuda_fits(const tn_problem *p);
#define TN_CUDA_TOO_LARGE TN_NO("a tensor has 2^31 elements or more")

/* As many elements of the largest of some types as 16 bytes hold. */
int tn_cuda_vector(size_t element_bytes);
/* The vector length at most `vector`, a power of two, that divides a count, ... */
int tn_cuda_vector_dividing(int vector, int64_t count);
/* ... and that a pointer's alignment allows. */
int tn_cuda_vector_at(int vector, const void *at, size_t element_bytes);

static inline size_t tn_cuda_bytes(const tn_tensor *t) /* of one element */
{
    return (size_t)tn_dtype_bits(t->dtype) / 8;
}

/* Input or output i is there. */
static inline bool tn_cuda_has(const tn_problem *p, int in)
{
    return in < p->in_count && p->in[in].dtype != TN_DTYPE_NONE;
}
static inline bool tn_cuda_wants(const tn_problem *p, int out)
{
    return out < p->out_count && p->out[out].dtype != TN_DTYPE_NONE && p->out[out].data;
}
static inline bool tn_cuda_is_float(tn_dtype dtype)
{
    return dtype == TN_DTYPE_F32 || dtype == TN_DTYPE_F16 || dtype == TN_DTYPE_BF16 ||
           dtype == TN_DTYPE_F64;
}
/* What a kernel computes in: float, double, int64 or uint64. */
const char *tn_cuda_wide(tn_dtype dtype);
/* The unsigned integer as wide as an element, for kernels that only move; NULL for packed types,
 * strings and elements above 8 bytes. */
const char *tn_cuda_word(size_t element_bytes);
const char *tn_cuda_word_of(tn_dtype dtype);

#endif
