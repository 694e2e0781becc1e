/* What is done to the sums of a matrix product once they are complete, while they are still in the
 * cache: y = f(alpha * sum + beta * bias + residual). */
#ifndef TN_BACKENDS_CPU_TILE_END_H
#define TN_BACKENDS_CPU_TILE_END_H

#include "backends/cpu/kernels/tile.h"
#include "backends/cpu/kernels/vmath.h"
#include "ops/epilogue.h"

typedef struct tile_end {
    float alpha, beta;
    const float *bias; /* NULL: none. Element (i, j) lies at i * bias_row + j * bias_column, */
    int64_t bias_row, bias_column; /* where bias_column is 0 or 1 */
    const float *y, *residual;     /* NULL: none; laid out as y */
    tn_epilogue function;
    bool any; /* is there anything to do? */
} tile_end;

static inline void tile_end_close(tile_end *e)
{
    e->any = e->alpha != 1 || e->bias || e->residual || e->function.kind != TN_EPILOGUE_NONE;
}

SIMD_INLINE vf32 tile_end_clip(vf32 x, float low, float high)
{
    x = vf32_max(vf32_set1(low), x); /* NaN stays */
    return vf32_min(vf32_set1(high), x);
}

/* `kind` is a constant at every call. */
SIMD_INLINE vf32 tile_end_apply(tn_epilogue_kind kind, const tn_epilogue *f, vf32 x)
{
    switch (kind) {
    case TN_EPILOGUE_NONE: break;
    case TN_EPILOGUE_RELU: return vf32_select((vi32)(x < 0.0f), (vf32){0}, x);
    case TN_EPILOGUE_GELU: return vf32_gelu(x);
    case TN_EPILOGUE_GELU_TANH: return vf32_gelu_tanh(x);
    case TN_EPILOGUE_TANH: return vf32_tanh(x);
    case TN_EPILOGUE_SIGMOID: return vf32_sigmoid(x);
    case TN_EPILOGUE_SILU: return x * vf32_sigmoid(x);
    case TN_EPILOGUE_HARD_SWISH:
        return x * tile_end_clip(vf32_fma(x, vf32_set1(1.0f / 6), vf32_set1(0.5f)), 0, 1);
    case TN_EPILOGUE_LEAKY_RELU: return vf32_select((vi32)(x < 0.0f), x * f->alpha, x);
    case TN_EPILOGUE_CLIP: return tile_end_clip(x, f->alpha, f->beta);
    }
    return x;
}

/* One row of n columns: `first` is added to all of them, and elements of `bias` and `residual` if
 * there are any. */
SIMD_INLINE void tile_end_row(tn_epilogue_kind kind, const tile_end *e, float first,
                              const float *bias, const float *residual, int64_t n, float *c)
{
    vf32 start = vf32_set1(first);
    int64_t j = 0;
    for (; j + VF32_LANES <= n; j += VF32_LANES) {
        vf32 x = vf32_load(c + j);
        if (e->alpha != 1) x *= e->alpha;
        x += bias ? vf32_load(bias + j) * e->beta : start;
        if (residual) x += vf32_load(residual + j);
        vf32_store(c + j, tile_end_apply(kind, &e->function, x));
    }
    if (j == n) return;
    vf32 x = vf32_load_some(c + j, n - j);
    if (e->alpha != 1) x *= e->alpha;
    x += bias ? vf32_load_some(bias + j, n - j) * e->beta : start;
    if (residual) x += vf32_load_some(residual + j, n - j);
    vf32_store_some(c + j, tile_end_apply(kind, &e->function, x), n - j);
}

SIMD_INLINE void tile_end_rows(tn_epilogue_kind kind, const tile_end *e, int64_t row,
                               int64_t column, int64_t m, int64_t n, float *c, int64_t ldc)
{
    for (int64_t i = 0; i < m; i++, c += ldc) {
        const float *residual = e->residual ? e->residual + (c - e->y) : NULL, *bias = NULL;
        float first = 0;
        if (e->bias && e->bias_column) bias = e->bias + (row + i) * e->bias_row + column;
        else if (e->bias) first = e->beta * e->bias[(row + i) * e->bias_row];
        tile_end_row(kind, e, first, bias, residual, n, c);
    }
}

#define TILE_END_CASE(kind)                                                                        \
    case kind: tile_end_rows(kind, e, row, column, m, n, c, ldc); break;

/* Rows [row, row + m) and columns [column, column + n) of y, which begin at c. */
static __attribute__((noinline)) void tile_end_run(const tile_end *e, int64_t row, int64_t column,
                                                   int64_t m, int64_t n, float *c, int64_t ldc)
{
    switch ((tn_epilogue_kind)e->function.kind) {
        TILE_END_CASE(TN_EPILOGUE_NONE)
        TILE_END_CASE(TN_EPILOGUE_RELU)
        TILE_END_CASE(TN_EPILOGUE_GELU)
        TILE_END_CASE(TN_EPILOGUE_GELU_TANH)
        TILE_END_CASE(TN_EPILOGUE_TANH)
        TILE_END_CASE(TN_EPILOGUE_SIGMOID)
        TILE_END_CASE(TN_EPILOGUE_SILU)
        TILE_END_CASE(TN_EPILOGUE_HARD_SWISH)
        TILE_END_CASE(TN_EPILOGUE_LEAKY_RELU)
        TILE_END_CASE(TN_EPILOGUE_CLIP)
    }
}

#endif
