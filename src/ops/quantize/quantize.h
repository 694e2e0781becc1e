/* Quantised values stand for real ones: real = (value - zero_point) * scale. Scales and zero points
 * are for a whole tensor, for slices along an axis, or for blocks along an axis. */
#ifndef TN_OPS_QUANTIZE_H
#define TN_OPS_QUANTIZE_H

#include "ir/op.h"

typedef struct tn_quantize_params {
    int64_t axis, block_size, saturate;
    int64_t output_dtype, precision; /* dtypes; 0: from the other inputs */
} tn_quantize_params;

/* Which scale belongs to element i of x. */
typedef struct tn_quantize_map {
    int64_t inner, count, block; /* elements behind the axis, size of the axis, of a block */
    int64_t blocks;              /* along the axis; 1 a tensor; count for an axis */
    bool per_block;
} tn_quantize_map;
void tn_quantize_map_of(const tn_quantize_params *params, const tn_tensor *x,
                        const tn_tensor *scale, tn_quantize_map *out);
int64_t tn_quantize_map_at(const tn_quantize_map *map, int64_t i);
/* Checks scale (input 1) and zero point (input 2) against x (input 0). */
tn_status tn_quantize_check(tn_infer *f) TN_MUST_USE;

/* round(value) + zero_point, ties to even, within dtype's range; NaN gives the zero point. */
int64_t tn_quantize_value(tn_dtype dtype, double value, int64_t zero_point);
/* value as dtype stores it. */
double tn_quantize_round(tn_dtype dtype, double value);

/* Factors of a matrix product's operand: one, one a row (column), or one a row (column) of each
 * matrix. `index` counts rows (columns) over all matrices, `size` of them in each. */
static inline int64_t tn_quantize_pick(int64_t count, int64_t index, int64_t size)
{
    if (count == 1) return 0;
    return count == size ? index % size : index % count;
}

#endif
