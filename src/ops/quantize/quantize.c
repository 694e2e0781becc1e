#include "ops/quantize/quantize.h"

#include <math.h>

void tn_quantize_map_of(const tn_quantize_params *params, const tn_tensor *x,
                        const tn_tensor *scale, tn_quantize_map *out)
{
    int64_t scales = tn_dims_product(scale->dim, 0, scale->rank);
    *out = (tn_quantize_map){.inner = 1, .count = 1, .block = 1, .blocks = 1};
    if (params->block_size == 0 && (scale->rank == 0 || scales == 1)) return;
    int axis = tn_axis_normal(params->axis, x->rank);
    out->inner = tn_dims_product(x->dim, axis + 1, x->rank);
    out->count = out->blocks = x->dim[axis];
    if (params->block_size == 0) return;
    out->per_block = true;
    out->block = params->block_size;
    out->blocks = scale->dim[axis];
}

int64_t tn_quantize_map_at(const tn_quantize_map *map, int64_t i)
{
    if (map->blocks == 1 && !map->per_block) return 0;
    int64_t at = i / map->inner % map->count;
    if (!map->per_block) return at;
    return (i / map->inner / map->count * map->blocks + at / map->block) * map->inner +
           i % map->inner;
}

/* The number of elements if it is constant, else -1. */
static int64_t constant_count(tn_infer *f, const tn_type *t)
{
    int64_t count = 1, dim;
    for (int i = 0; i < t->rank; i++) {
        if (!tn_expr_is_const(f->exprs, t->dim[i], &dim) || dim < 0) return -1;
        if (!tn_mul_i64(count, dim, &count)) return -1;
    }
    return t->rank < 0 ? -1 : count;
}

static tn_status check_blocks(tn_infer *f, int axis)
{
    const tn_quantize_params *params = f->params;
    const tn_type *x = &f->in[0], *scale = &f->in[1];
    bool fits = x->rank == scale->rank;
    char text_x[128], text[128];
    for (int i = 0; fits && i < x->rank; i++) {
        int64_t a, b;
        if (!tn_expr_is_const(f->exprs, x->dim[i], &a)) continue;
        if (!tn_expr_is_const(f->exprs, scale->dim[i], &b)) continue;
        fits = i == axis ? b == (a + params->block_size - 1) / params->block_size : a == b;
    }
    TN_CHECK(fits, TN_INVALID,
             "the scale does not fit blocks of %lld along axis %d: x is %s, it is %s",
             (long long)params->block_size, axis, tn_type_text(f->exprs, x, text_x, sizeof text_x),
             tn_type_text(f->exprs, scale, text, sizeof text));
    return NULL;
}

/* Every scale has its zero point. */
static tn_status check_zeros(tn_infer *f)
{
    const tn_type *scale = &f->in[1], *zero = &f->in[2];
    char text_scale[128], text[128];
    if (!tn_infer_has(f, 2)) return NULL;
    int64_t scales = constant_count(f, scale), zeros = constant_count(f, zero);
    TN_CHECK(zeros < 0 || scales < 0 || zeros == scales, TN_INVALID,
             "scale and zero point differ in shape: %s, %s",
             tn_type_text(f->exprs, scale, text_scale, sizeof text_scale),
             tn_type_text(f->exprs, zero, text, sizeof text));
    return NULL;
}

tn_status tn_quantize_check(tn_infer *f)
{
    const tn_quantize_params *params = f->params;
    const tn_type *x = &f->in[0], *scale = &f->in[1];
    char text_x[128], text[128];
    int axis = 0;
    TN_CHECK(params->block_size >= 0 && params->block_size <= INT32_MAX, TN_INVALID,
             "block_size is %lld", (long long)params->block_size);
    TN_TRY(check_zeros(f));
    if (x->rank < 0 || scale->rank < 0) return NULL;
    int64_t scales = constant_count(f, scale), dim;
    if (params->block_size == 0 && (scale->rank == 0 || scales == 1)) return NULL;
    TN_TRY(tn_infer_axis(f, params->axis, x->rank, &axis));
    if (params->block_size) {
        TN_TRY(check_blocks(f, axis));
    } else {
        bool fits = scale->rank == 1;
        if (fits && scales >= 0 && tn_expr_is_const(f->exprs, x->dim[axis], &dim))
            fits = dim == scales;
        TN_CHECK(fits, TN_INVALID, "the scale needs one value along axis %d: x is %s, it is %s",
                 axis, tn_type_text(f->exprs, x, text_x, sizeof text_x),
                 tn_type_text(f->exprs, scale, text, sizeof text));
    }
    return NULL;
}

int64_t tn_quantize_value(tn_dtype dtype, double value, int64_t zero_point)
{
    int bits = tn_dtype_bits(dtype);
    bool is_signed = tn_dtype_kind_of(dtype) == TN_KIND_I;
    int64_t low = is_signed ? -(INT64_C(1) << (bits - 1)) : 0;
    int64_t high = (INT64_C(1) << (is_signed ? bits - 1 : bits)) - 1;
    double moved = rint(value) + (double)zero_point;
    if (isnan(moved)) return zero_point;
    if (moved <= (double)low) return low;
    return moved >= (double)high ? high : (int64_t)moved;
}

double tn_quantize_round(tn_dtype dtype, double value)
{
    uint64_t bits = 0;
    tn_store_f64(dtype, &bits, 0, value);
    return tn_load_f64(dtype, &bits, 0);
}
