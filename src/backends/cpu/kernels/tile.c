/* Tiles of matrix products (tile.h) of every size, for all kernels that multiply by them: their
 * code is much, and should exist once. */
#include "backends/cpu/kernels/tile.h"

/* `lanes` of a row from `column` on. NaN stays. */
SIMD_INLINE vf32 tile_end_sum(const tile_ends *e, vf32 sum, int row, int column, int64_t ldc,
                              int64_t lanes)
{
    if (e->bias) sum += vf32_set1(e->bias[row]);
    if (e->columns) sum += vf32_load_some(e->columns + column, lanes);
    if (e->residual) sum += vf32_load_some(e->residual + row * ldc + column, lanes);
    return vf32_max(vf32_set1(e->low), sum);
}

/* `rows` and `vectors` are constants at every call, so the loops unroll and `sum` is registers; so
 * is one of the steps between a's rows and between its columns, 1. n: columns of c that exist, at
 * most vectors * VF32_LANES. */
SIMD_INLINE void tile_run(int rows, int vectors, int64_t n, int64_t k, const float *a,
                          int64_t a_row, int64_t a_column, const float *panel, float *c,
                          int64_t ldc, int add, const tile_ends *ends, const float *fetch,
                          int64_t fetch_step)
{
    vf32 sum[TILE_ROWS][TILE_VECTORS];
    int64_t last = n - (vectors - 1) * VF32_LANES; /* columns of the last vector */
    for (int i = 0; i < rows; i++)
        for (int v = 0; v < vectors; v++) sum[i][v] = (vf32){0};
    /* What is needed last is asked for first. */
    for (int i = 0; rows > 4 && i < rows; i++)
        for (int v = 0; v < vectors * VF32_LANES; v += 16) {
            __builtin_prefetch(c + i * ldc + v, 1);
            if (ends && ends->residual) __builtin_prefetch(ends->residual + i * ldc + v);
        }
    for (int64_t p = 0; p < k; p++, panel += TILE_COLUMNS, fetch += fetch_step) {
        vf32 b[TILE_VECTORS];
        /* Few rows do little but read the panel: no time to ask for more. */
        for (int i = 0; rows > 4 && i < TILE_COLUMNS; i += 16) __builtin_prefetch(fetch + i);
        for (int v = 0; v < vectors; v++) b[v] = vf32_load(panel + v * VF32_LANES);
        for (int i = 0; i < rows; i++) {
            vf32 scale = vf32_set1(a[i * a_row + p * a_column]);
            for (int v = 0; v < vectors; v++) sum[i][v] = vf32_fma(scale, b[v], sum[i][v]);
        }
    }
    if (add)
        for (int i = 0; i < rows; i++) {
            for (int v = 0; v < vectors - 1; v++)
                sum[i][v] += vf32_load(c + i * ldc + v * VF32_LANES);
            sum[i][vectors - 1] += vf32_load_some(c + i * ldc + (vectors - 1) * VF32_LANES, last);
        }
    if (ends)
        for (int i = 0; i < rows; i++)
            for (int v = 0; v < vectors; v++)
                sum[i][v] = tile_end_sum(ends, sum[i][v], i, v * VF32_LANES, ldc,
                                         v < vectors - 1 ? VF32_LANES : last);
    for (int i = 0; i < rows; i++) {
        float *dst = c + i * ldc;
        for (int v = 0; v < vectors - 1; v++) vf32_store(dst + v * VF32_LANES, sum[i][v]);
        dst += (vectors - 1) * VF32_LANES;
        if (last == VF32_LANES) vf32_store(dst, sum[i][vectors - 1]);
        else vf32_store_some(dst, sum[i][vectors - 1], last);
    }
}

#define TILE_CASE(rows, ...)                                                                       \
    case rows:                                                                                     \
        if (n > VF32_LANES) tile_run(rows, 2, __VA_ARGS__);                                        \
        else tile_run(rows, 1, __VA_ARGS__);                                                       \
        break;
#define TILE_CASES_TO_6(...)                                                                       \
    TILE_CASE(1, __VA_ARGS__)                                                                      \
    TILE_CASE(2, __VA_ARGS__)                                                                      \
    TILE_CASE(3, __VA_ARGS__)                                                                      \
    TILE_CASE(4, __VA_ARGS__)                                                                      \
    TILE_CASE(5, __VA_ARGS__)                                                                      \
    TILE_CASE(6, __VA_ARGS__)
#if TILE_ROWS == 12
#define TILE_CASES(...)                                                                            \
    TILE_CASES_TO_6(__VA_ARGS__)                                                                   \
    TILE_CASE(7, __VA_ARGS__)                                                                      \
    TILE_CASE(8, __VA_ARGS__)                                                                      \
    TILE_CASE(9, __VA_ARGS__)                                                                      \
    TILE_CASE(10, __VA_ARGS__)                                                                     \
    TILE_CASE(11, __VA_ARGS__)                                                                     \
    TILE_CASE(12, __VA_ARGS__)
#else
#define TILE_CASES TILE_CASES_TO_6
#endif

/* As many pointers as there are rows leave no register for what is to be fetched: the panel. */
void tile_one_ended(int rows, int64_t n, int64_t k, const float *a, int64_t lda, const float *panel,
                    float *c, int64_t ldc, int add, const tile_ends *ends)
{
    switch (rows) {
        TILE_CASES(n, k, a, lda, 1, panel, c, ldc, add, ends, panel + TILE_AHEAD, TILE_COLUMNS)
    }
}

void tile_one_turned_ended(int rows, int64_t n, int64_t k, const float *a, int64_t step,
                           const float *panel, float *c, int64_t ldc, int add,
                           const tile_ends *ends, const float *fetch, int64_t fetch_step)
{
    switch (rows) {
        TILE_CASES(n, k, a, 1, step, panel, c, ldc, add, ends, fetch, fetch_step)
    }
}
