/* Views of memory: shapes, strides, index walks, copies. The struct itself is tn_tensor in tenon.h.
 *
 * Kernels get dense row-major tensors; strided views exist at the border (user memory) and are made
 * dense by tn_tensor_copy.
 */
#ifndef TN_TENSOR_TENSOR_H
#define TN_TENSOR_TENSOR_H

#include "base/memory.h"
#include "base/text.h"
#include "tensor/dtype.h"

bool tn_tensor_is_dense(const tn_tensor *t); /* row-major without holes, or all strides zero */
void tn_tensor_set_dense(tn_tensor *t);      /* strides from dims */
bool tn_tensor_same_shape(const tn_tensor *a, const tn_tensor *b);
/* Product of dims [begin, end). The tensor's own product must not overflow (checked at its making).
 */
int64_t tn_dims_product(const int64_t *dim, int begin, int end);
/* axis in [-rank, rank) to [0, rank); -1 if outside. */
int tn_axis_normal(int64_t axis, int rank);

/* An owned string tensor is one block: the elements, then their characters in order. Freed by
 * tn_tensor_free. src: row-major. */
tn_status tn_tensor_new_strings(const int64_t *dim, int rank, const tn_string *src,
                                tn_tensor *out) TN_MUST_USE;

/* Element-wise copy between views of equal shape and type, any strides. */
tn_status tn_tensor_copy(const tn_tensor *src, const tn_tensor *dst) TN_MUST_USE;
/* Copy with conversion of the type (as Cast with saturate). */
tn_status tn_tensor_convert(const tn_tensor *src, const tn_tensor *dst) TN_MUST_USE;

/* Walk two or three operands under broadcasting in row-major order of `out`:
 *
 *     tn_walk w; tn_walk_init(&w, out, operands, operand_count);
 *     for (int64_t i = 0; i < w.count; i++, tn_walk_next(&w)) use(w.at[0], w.at[1]);
 *
 * at[k] is the linear index into dense operand k. */
#define TN_WALK_MAX 4
typedef struct tn_walk {
    int64_t count;
    int64_t at[TN_WALK_MAX];
    int32_t rank, operand_count;
    int64_t dim[TN_RANK_MAX], index[TN_RANK_MAX];
    int64_t step[TN_WALK_MAX][TN_RANK_MAX]; /* 0 along broadcast axes */
} tn_walk;
/* Operands must broadcast to out's shape (MISMATCH of shapes is INVALID). */
tn_status tn_walk_init(tn_walk *walk, const tn_tensor *out, const tn_tensor *const *operands,
                       int operand_count) TN_MUST_USE;
static inline void tn_walk_next(tn_walk *w)
{
    for (int axis = w->rank - 1; axis >= 0; axis--) {
        for (int k = 0; k < w->operand_count; k++) w->at[k] += w->step[k][axis];
        if (++w->index[axis] < w->dim[axis]) return;
        for (int k = 0; k < w->operand_count; k++) w->at[k] -= w->step[k][axis] * w->dim[axis];
        w->index[axis] = 0;
    }
}

/* "f32[2,3]"; "f32" for rank 0. For messages and logs. */
void tn_tensor_print_type(const tn_tensor *t, tn_text *out);
/* The same into a caller's buffer; returns dst. */
const char *tn_tensor_type_text(const tn_tensor *t, char *dst, size_t dst_bytes);
/* "f32[3]={1,2,3}": with values, floats in shortest form that reads back, at most `max` values
 * (0: all). Parse accepts it, allocating from the arena; without ={...} data stays NULL. A tensor
 * may end in '!' (constant: *constant is set). */
void tn_tensor_print(const tn_tensor *t, int64_t max, tn_text *out);
/* A number in the fewest digits that read back as the same value of `dtype`, whatever the locale;
 * and reading one (nan, inf and -inf too): false if there is none at *text. */
void tn_number_print(tn_dtype dtype, double value, tn_text *out);
bool tn_number_parse(const char **text, double *out);
/* "..." with escapes. Reading allocates from the arena; the result is zero-ended too. */
void tn_quoted_print(const char *text, size_t bytes, tn_text *out);
tn_status tn_quoted_parse(const char **text, tn_arena *arena, tn_string *out) TN_MUST_USE;
tn_status tn_tensor_parse(const char **text, tn_arena *arena, tn_tensor *out,
                          bool *constant) TN_MUST_USE;

#endif
