/* MatMul, Gemm, Linear and NormLinear with constant weights by tensor cores: tiles
 * (product_packed.cu), and larger ones whose operands the copy engine brings (product_ring.cu). The
 * weights are laid out once, as both want them whatever their size: steps of 128 bytes along k; in
 * a step groups of eight columns; in a group a line of 128 bytes for each column. */
#include <stdio.h>
#include <string.h>

#include "backends/cuda/kernels/product.h"
#include "ops/norm_linear/norm_linear.h"
#include "ops/wide/wide.h"

extern const tn_cuda_source tn_cuda_source_product_packed, tn_cuda_source_product_ring;

enum { LINE = 128, GROUP = 8, PART = 16 };
enum { COLUMNS = 128 };           /* of what lies behind the weights of normalised rows, at least */
enum { CARD = 132 };              /* multiprocessors of a large card */
enum { SHARED_HALF = 112 << 10 }; /* of a multiprocessor's: room for the next kernel's weights */

/* m x n is made by a block, warp_m x warp_n by a warp; blocks of a cluster share k. */
typedef struct tile {
    int m, n, splits;
    int share_m, share_n; /* blocks of a cluster of the same columns, and rows; 0: no ring, in which
                             the copy engine brings, groups of four warps multiply */
    int warp_m, warp_n, stages;
} tile;
#define RING(m, n, splits, share_m, share_n)                                                       \
    {                                                                                              \
        m, n, splits, share_m, share_n, 0, 0, 0                                                    \
    }
/* Stages fill half of the shared memory, so that the next kernel's weights find room. */
#define WARPS(m, n, warp_m, warp_n, stages, splits)                                                \
    {                                                                                              \
        m, n, splits, 0, 0, warp_m, warp_n, stages                                                 \
    }
static const tile tile_any = WARPS(64, 64, 32, 32, 6, 1);

/* As in product_packed.cu. */
typedef struct shape {
    int32_t m, n, k, tiles_n, groups;
    int64_t lda, c_row, c_column, y_row;
    float alpha, beta, act_alpha, act_beta;
} shape;

static int64_t ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

static int64_t element_bytes(const tn_cuda_product *x)
{
    return (int64_t)tn_dtype_bits(x->dtype) / 8;
}

static int64_t steps_of(const tn_cuda_product *x)
{
    return ceil_div(x->k * element_bytes(x), LINE);
}

static bool is_norm(const tn_problem *p)
{
    return !strcmp(p->op, "NormLinear");
}

static void product_of(const tn_problem *p, tn_cuda_product *x)
{
    const tn_norm_linear_params *params = p->params;
    if (!is_norm(p)) {
        tn_cuda_product_of(p, x);
        return;
    }
    tn_norm_linear_shape s;
    tn_norm_linear_shape_of(p, &s);
    *x = (tn_cuda_product){.dtype = p->out[0].dtype,
                           .m = s.rows,
                           .n = s.columns,
                           .k = s.width,
                           .a_deep = true,
                           .lda = s.width,
                           .ldb = s.columns,
                           .count = 1,
                           .a = p->in[TN_NL_X].data,
                           .b = p->in[TN_NL_W].data,
                           .y = p->out[0].data,
                           .y_row = s.columns,
                           .alpha = 1,
                           .beta = 1,
                           .epilogue = params->epilogue,
                           .weights = 2};
}

/* ---- Weights ---------------------------------------------------------------------------------*/

static size_t weight_bytes(const tn_cuda_product *x)
{
    return (size_t)(steps_of(x) * ceil_div(x->n, GROUP) * GROUP * LINE);
}

static size_t packed_bytes(const tn_problem *p)
{
    tn_cuda_product x;
    product_of(p, &x);
    int64_t columns = ceil_div(x.n, COLUMNS) * COLUMNS, deep = steps_of(&x) * LINE;
    size_t more = sizeof(float) * 2 * (size_t)(columns + deep / element_bytes(&x));
    return weight_bytes(&x) + (is_norm(p) ? more : 0);
}

static void pack_weights(const tn_cuda_product *product, const void *weights, void *dst)
{
    tn_cuda_product x = *product;
    const uint8_t *w = weights;
    int64_t size = element_bytes(&x), line = LINE / size, part = PART / size;
    int64_t groups = ceil_div(x.n, GROUP);
    int64_t step_n = x.b_deep ? x.ldb : 1, step_k = x.b_deep ? 1 : x.ldb;
    memset(dst, 0, weight_bytes(&x));
    for (int64_t k = 0; k < x.k; k++) {
        int64_t step = k / line, at = k % line;
        uint8_t *to = (uint8_t *)dst + step * groups * GROUP * LINE + at % part * size;
        const uint8_t *from = w + k * step_k * size;
        for (int64_t n = 0; n < x.n; n++, from += step_n * size) {
            uint8_t *place = to + n * LINE + ((at / part) ^ (n % GROUP)) * PART;
            if (size == 2) {
                memcpy(place, from, 2);
                continue;
            }
            uint32_t bits;
            memcpy(&bits, from, sizeof bits);
            bits = tn_cuda_round_tf32(bits);
            memcpy(place, &bits, sizeof bits);
        }
    }
}

static tn_status pack(const tn_problem *p, void *dst)
{
    tn_cuda_product x;
    product_of(p, &x);
    pack_weights(&x, p->in[1].data, dst);
    return NULL;
}

static void round_tf32(uint32_t *bits, int64_t count)
{
    for (int64_t i = 0; i < count; i++) bits[i] = tn_cuda_round_tf32(bits[i]);
}

/* Weights times the scale, what the kernel takes the mean with, and shift and bias in one. `row`
 * has room for three rows, `scaled` for the weights. */
static void fold_norm(const tn_problem *p, const tn_cuda_product *x, double *row, uint8_t *scaled,
                      void *dst)
{
    const tn_tensor *w = &p->in[TN_NL_W], *scale = &p->in[TN_NL_SCALE];
    const tn_tensor *shift = tn_wide_has(p, TN_NL_SHIFT) ? &p->in[TN_NL_SHIFT] : NULL;
    const tn_tensor *bias = tn_wide_has(p, TN_NL_BIAS) ? &p->in[TN_NL_BIAS] : NULL;
    double *sum = row + x->n, *add = sum + x->n;
    float *sums = (float *)((uint8_t *)dst + weight_bytes(x));
    float *biases = sums + ceil_div(x->n, COLUMNS) * COLUMNS;
    float *scales = biases + ceil_div(x->n, COLUMNS) * COLUMNS;
    float *shifts = scales + steps_of(x) * LINE / element_bytes(x);
    memset(row, 0, (size_t)x->n * 3 * sizeof *row);
    memset(sums, 0, packed_bytes(p) - weight_bytes(x));
    if (bias) tn_load_f64s(bias->dtype, bias->data, 0, x->n, add);
    for (int64_t k = 0; k < x->k; k++) {
        double by = tn_load_f64(scale->dtype, scale->data, k);
        double more = shift ? tn_load_f64(shift->dtype, shift->data, k) : 0;
        scales[k] = (float)by;
        shifts[k] = (float)more;
        tn_load_f64s(w->dtype, w->data, k * x->n, x->n, row);
        for (int64_t n = 0; n < x->n; n++) {
            add[n] += more * row[n];
            row[n] *= by;
        }
        tn_store_f64s(w->dtype, scaled, k * x->n, x->n, row);
        if (w->dtype == TN_DTYPE_F32) round_tf32((uint32_t *)scaled + k * x->n, x->n);
        tn_load_f64s(w->dtype, scaled, k * x->n, x->n, row); /* as it is multiplied with */
        for (int64_t n = 0; n < x->n; n++) sum[n] += row[n];
    }
    for (int64_t n = 0; n < x->n; n++) {
        sums[n] = (float)sum[n];
        biases[n] = (float)add[n];
    }
    pack_weights(x, scaled, dst);
}

static tn_status pack_norm(const tn_problem *p, void *dst)
{
    tn_cuda_product x;
    product_of(p, &x);
    size_t bytes = (size_t)(x.k * x.n * element_bytes(&x)), row_bytes = (size_t)x.n * 3 * 8;
    uint8_t *scaled = tn_alloc(bytes);
    double *row = tn_alloc(row_bytes);
    bool room = scaled && row;
    if (room) fold_norm(p, &x, row, scaled, dst);
    tn_free(scaled, bytes);
    tn_free(row, row_bytes);
    TN_CHECK(room, TN_OUT_OF_MEMORY, "no memory to pack weights");
    return NULL;
}

static uint64_t unused(const tn_problem *p)
{
    return is_norm(p) ? 0x1e : 2;
}

/* ---- Which ones ------------------------------------------------------------------------------*/

static tn_verdict fits(const tn_problem *p, bool tf32, tn_cuda_product *x)
{
    product_of(p, x);
    tn_verdict no = tn_cuda_product_fits(x);
    if (no) return no;
    if (x->dtype != TN_DTYPE_F16 && x->dtype != TN_DTYPE_BF16 && x->dtype != TN_DTYPE_F32)
        return TN_NO("the operands are not f32, f16 or bf16");
    if ((x->dtype == TN_DTYPE_F32) != tf32)
        return tf32 ? TN_NO("the operands are not f32") : TN_NO("the operands are not f16 or bf16");
    if (!(p->in_constant & (is_norm(p) ? 1 << TN_NL_W : 2)))
        return TN_NO("the right operand is no constant");
    if (x->rank || !x->a_deep) return TN_NO("the left operand is a batch, or lies along m");
    if (x->m * x->lda >= INT64_MAX / 8) return TN_NO("the left operand is too large");
    return TN_YES;
}

static tn_verdict accepts(const tn_problem *p, const tile *t, bool tf32)
{
    tn_cuda_product x;
    tn_verdict no = fits(p, tf32, &x);
    if (no) return no;
    int64_t tiles = ceil_div(x.m, t->m) * ceil_div(x.n, t->n), steps = steps_of(&x);
    int64_t area = (int64_t)t->m * t->n;
    if (tiles > INT32_MAX / 16) return TN_NO("there are too many tiles");
    if (t->splits > 1 && tiles > CARD) return TN_NO("the tiles alone keep the card busy");
    if (t->splits > 1 && steps < 2 * t->splits) return TN_NO("there is little to sum");
    if (t->share_m) {
        if (ceil_div(x.m, t->m) % t->share_m || ceil_div(x.n, t->n) % t->share_n)
            return TN_NO("the tiles are no whole number of clusters");
        if (x.k == 0) return TN_NO("there is nothing to sum");
        if (x.lda * element_bytes(&x) % PART) return TN_NO("rows do not begin at whole parts");
        if (t->splits > 1 && tiles * t->splits > 2 * CARD) return TN_NO("fewer parts are enough");
        if (x.n * 2 <= t->n) return TN_NO("half of every tile would be empty");
    }
    if (t->m > 32 && x.m * 2 <= t->m) return TN_NO("half of every tile would be empty");
    if (area <= 64 * 32 && tiles > 4 * CARD) return TN_NO("larger tiles read less");
    if (area <= 64 * 64 && tiles > 8 * CARD) return TN_NO("larger tiles read less");
    if (area >= 128 * 128 && tiles * t->splits < CARD / 2)
        return TN_NO("smaller tiles keep more of the card busy");
    return TN_YES;
}

static tn_verdict accepts_norm(const tn_problem *p, const tile *t, bool tf32)
{
    tn_cuda_product x;
    for (int i = TN_NL_SCALE; i < p->in_count; i++)
        if (tn_wide_has(p, i) && !(p->in_constant >> i & 1))
            return TN_NO("what rows are scaled or multiplied with is no constant");
    tn_verdict no = accepts(p, t, tf32);
    if (no) return no;
    product_of(p, &x);
    bool wants = p->out_count > 1 && p->out[1].dtype != TN_DTYPE_NONE;
    if (wants && steps_of(&x) > ceil_div(x.n, t->n))
        return TN_NO("there are more steps of rows to write than columns of tiles");
    return TN_YES;
}

/* ---- Running ---------------------------------------------------------------------------------*/

static tn_status launch_warps(const tn_launch *l, const tile *t)
{
    const tn_cuda_function *function;
    tn_cuda_product x;
    char options[300];
    tn_cuda_product_of(l->problem, &x);
    if (x.m == 0 || x.n == 0) return NULL;
    int64_t part = PART / element_bytes(&x);
    uint64_t line = tn_cuda_place(x.a, x.dtype) | (uint64_t)(x.lda | x.k);
    uint64_t row = tn_cuda_place(x.y, x.dtype) | tn_cuda_place(x.residual, x.dtype);
    int va = tn_cuda_product_vector((int)part, line) == part ? (int)part : 1;
    int vy = tn_cuda_product_vector(2, row | (uint64_t)(x.n | x.y_row));
    snprintf(options, sizeof options,
             "-DTYPE=%s -DBM=%d -DBN=%d -DTM=%d -DTN=%d -DSTAGES=%d -DSPLITS=%d "
             "-DVA=%d -DVY=%d -DACT=%d",
             tn_cuda_type(x.dtype), t->m, t->n, t->warp_m, t->warp_n, t->stages, t->splits, va, vy,
             (int)x.epilogue.kind);
    size_t shared = (size_t)(t->stages * (t->m + t->n) * LINE);
    if (t->splits > 1) shared += (size_t)(t->m * t->n) * sizeof(float) + sizeof(uint64_t);
    TN_TRY(tn_cuda_function_get(tn_cuda_stream_of(l)->card, &tn_cuda_source_product_packed,
                                "product_packed", options, shared, &function));
    shape s = {
        .m = (int32_t)x.m,
        .n = (int32_t)x.n,
        .k = (int32_t)x.k,
        .tiles_n = (int32_t)ceil_div(x.n, t->n),
        .groups = (int32_t)ceil_div(x.n, GROUP),
        .lda = x.lda,
        .c_row = x.c_row,
        .c_column = x.c_column,
        .y_row = x.y_row,
        .alpha = x.alpha,
        .beta = x.beta,
        .act_alpha = x.epilogue.alpha,
        .act_beta = x.epilogue.beta,
    };
    tn_cuda_grid grid = {
        .grid = {(unsigned)(ceil_div(x.m, t->m) * s.tiles_n * t->splits)},
        .block = {(unsigned)(t->m / t->warp_m * (t->n / t->warp_n) * 32)},
        .shared_bytes = shared,
        .cluster = (unsigned)t->splits,
        .overlap = true,
    };
    void *args[] = {(void *)&x.a,        (void *)&l->packed, (void *)&x.c,
                    (void *)&x.residual, (void *)&x.y,       &s};
    return tn_cuda_run(l, function, &grid, args);
}

/* As in product_ring.cu. */
typedef struct ring_shape {
    int32_t m, n, k, tiles_n, groups, rows;
    int64_t c_row, c_column, y_row;
    float alpha, beta, act_alpha, act_beta, epsilon;
} ring_shape;

/* Boxes of `rows` lines of a, zeros beyond its ends. */
static tn_status map_of(const tn_launch *l, const tn_cuda_product *x, int rows, tn_cu_map *out)
{
    const char *why;
    const uint64_t dims[] = {(uint64_t)x->k, (uint64_t)x->m};
    const uint64_t step[] = {(uint64_t)(x->lda * element_bytes(x))};
    const unsigned box[] = {(unsigned)(LINE / element_bytes(x)), (unsigned)rows}, one[] = {1, 1};
    int type = x->dtype == TN_DTYPE_F16    ? TN_CU_MAP_F16
               : x->dtype == TN_DTYPE_BF16 ? TN_CU_MAP_BF16
                                           : TN_CU_MAP_TF32;
    if (tn_cuda_stream_of(l)->card->wishes) return NULL;
    TN_CU("describing a matrix",
          tn_cu_open(&why)->map_tiled(out, type, 2, (tn_cu_pointer)(uintptr_t)x->a, dims, step, box,
                                      one, 0, TN_CU_MAP_SWIZZLE_128, TN_CU_MAP_PROMOTE_128, 0));
    return NULL;
}

/* Weights lie alike for all: where there is no such engine, or a lies askew, tiles do it. */
static bool has_ring(const tn_launch *l, const tn_cuda_product *x)
{
    const char *why;
    const tn_cu *cu = tn_cu_open(&why);
    return tn_cuda_stream_of(l)->card->major == 9 && cu && cu->map_tiled &&
           (uintptr_t)x->a % PART == 0;
}

static tn_status launch_ring(const tn_launch *l, const tile *t)
{
    const tn_cuda_function *function;
    tn_cuda_product x;
    tn_cu_map map;
    char options[240];
    product_of(l->problem, &x);
    bool norm = is_norm(l->problem);
    void *normed = norm && tn_wide_wants(l->problem, 1) ? l->problem->out[1].data : NULL;
    bool aligned = has_ring(l, &x) && (uintptr_t)normed % PART == 0;
    TN_CHECK(!norm || aligned, TN_INVALID, "normed rows do not begin at 16 bytes");
    if (!aligned) return launch_warps(l, &tile_any);
    if (x.m == 0 || x.n == 0) return NULL;
    uint64_t row = tn_cuda_place(x.y, x.dtype) | tn_cuda_place(x.residual, x.dtype);
    /* A constant row is read while the kernel ahead still runs. */
    bool flat = x.c && x.c_row == 0 && x.c_column == 1 && l->problem->in_constant & 4;
    if (flat) row |= tn_cuda_place(x.c, x.dtype);
    int vy = tn_cuda_product_vector(8, row | (uint64_t)(x.n | x.y_row));
    /* Eight at once: where four lanes have four times as many. */
    if (vy < 8 || element_bytes(&x) > 2 || t->n / 8 / t->splits % 4) vy = TN_MIN(vy, 2);
    size_t room = (size_t)(t->m * t->n / t->splits * (t->splits - 1)) * sizeof(float);
    if (norm)
        room = (size_t)(t->m * t->share_n + t->n + LINE / element_bytes(&x)) * 2 * sizeof(float);
    int64_t tiles_m = ceil_div(x.m, t->m), tiles_n = ceil_div(x.n, t->n);
    int64_t rows = ceil_div(x.m, tiles_m * GROUP) * GROUP; /* tiles alike in height */
    size_t stage = (size_t)((rows + t->n) * LINE);
    int stages = (int)TN_MIN(TN_MAX((SHARED_HALF - room) / stage, (size_t)3), (size_t)8);
    stages = (int)TN_MIN(stages, ceil_div(steps_of(&x), t->splits));
    snprintf(options, sizeof options,
             "-DTYPE=%s -DBM=%d -DBN=%d -DSTAGES=%d -DSPLITS=%d -DSHARE_M=%d -DSHARE_N=%d -DVY=%d "
             "-DACT=%d -DADD=%d -DRESIDUAL=%d -DNORM=%d",
             tn_cuda_type(x.dtype), t->m, t->n, stages, t->splits, t->share_m, t->share_n, vy,
             (int)x.epilogue.kind, x.c ? 2 - flat : 0, x.residual != NULL,
             norm ? 1 + (normed != NULL) : 0);
    size_t shared = (size_t)stages * (stage + 2 * sizeof(uint64_t)) + room + sizeof(uint64_t);
    TN_TRY(tn_cuda_function_get(tn_cuda_stream_of(l)->card, &tn_cuda_source_product_ring,
                                "product_ring", options, shared, &function));
    ring_shape s = {
        .m = (int32_t)x.m,
        .n = (int32_t)x.n,
        .k = (int32_t)x.k,
        .tiles_n = (int32_t)tiles_n,
        .groups = (int32_t)ceil_div(x.n, GROUP),
        .rows = (int32_t)rows,
        .c_row = x.c_row,
        .c_column = x.c_column,
        .y_row = x.y_row,
        .alpha = x.alpha,
        .beta = x.beta,
        .act_alpha = x.epilogue.alpha,
        .act_beta = x.epilogue.beta,
        .epsilon = norm ? ((const tn_norm_linear_params *)l->problem->params)->epsilon : 0,
    };
    TN_TRY(map_of(l, &x, s.rows, &map));
    tn_cuda_grid grid = {
        .grid = {(unsigned)(tiles_m * tiles_n * t->splits)},
        .block = {(unsigned)(t->m * (norm ? 4 : 2) + 32)},
        .shared_bytes = shared,
        .cluster = (unsigned)(t->splits * t->share_m * t->share_n),
        .overlap = true,
    };
    const void *c = norm ? x.a : x.c;
    void *args[] = {
        &map, (void *)&l->packed, (void *)&c, (void *)&x.residual, (void *)&x.y, &normed, &s};
    return tn_cuda_run(l, function, &grid, args);
}

static tn_status launch(const tn_launch *l, const tile *t)
{
    return t->share_m ? launch_ring(l, t) : launch_warps(l, t);
}

/* ---- The tactics -----------------------------------------------------------------------------*/

/* Few rows want the parts of one sum in many blocks; wide tiles are read less often. */
#define EACH(X, ...)                                                                               \
    X(ring_64x32, TN_SM90, RING(64, 32, 1, 1, 1), __VA_ARGS__)                                     \
    X(ring_64x64, TN_SM90, RING(64, 64, 1, 1, 1), __VA_ARGS__)                                     \
    X(ring_64x64_m2_n2, TN_SM90, RING(64, 64, 1, 2, 2), __VA_ARGS__)                               \
    X(ring_64x64_m4, TN_SM90, RING(64, 64, 1, 4, 1), __VA_ARGS__)                                  \
    X(ring_64x64_m4_n2, TN_SM90, RING(64, 64, 1, 4, 2), __VA_ARGS__)                               \
    X(ring_64x64_k2, TN_SM90, RING(64, 64, 2, 1, 1), __VA_ARGS__)                                  \
    X(ring_64x64_k2_m2_n2, TN_SM90, RING(64, 64, 2, 2, 2), __VA_ARGS__)                            \
    X(ring_64x64_k4, TN_SM90, RING(64, 64, 4, 1, 1), __VA_ARGS__)                                  \
    X(ring_64x64_k4_m2, TN_SM90, RING(64, 64, 4, 2, 1), __VA_ARGS__)                               \
    X(ring_64x96_m2_n2, TN_SM90, RING(64, 96, 1, 2, 2), __VA_ARGS__)                               \
    X(ring_64x96_k2_n4, TN_SM90, RING(64, 96, 2, 1, 4), __VA_ARGS__)                               \
    X(ring_128x64_k2_m2_n2, TN_SM90, RING(128, 64, 2, 2, 2), __VA_ARGS__)                          \
    X(ring_128x64_k4_n2, TN_SM90, RING(128, 64, 4, 1, 2), __VA_ARGS__)                             \
    X(ring_128x128, TN_SM90, RING(128, 128, 1, 1, 1), __VA_ARGS__)                                 \
    X(32x64, TN_SM80, WARPS(32, 64, 16, 32, 8, 1), __VA_ARGS__)                                    \
    X(32x64_k2, TN_SM90, WARPS(32, 64, 16, 32, 8, 2), __VA_ARGS__)                                 \
    X(64x64, TN_SM80, WARPS(64, 64, 32, 32, 6, 1), __VA_ARGS__)                                    \
    X(128x128, TN_SM80, WARPS(128, 128, 64, 32, 3, 1), __VA_ARGS__)

/* A block sees all of its rows. */
#define EACH_NORM(X)                                                                               \
    X(ring_64x64, RING(64, 64, 1, 1, 1))                                                           \
    X(ring_64x64_n4, RING(64, 64, 1, 1, 4))                                                        \
    X(ring_64x64_m2_n2, RING(64, 64, 1, 2, 2))                                                     \
    X(ring_64x64_m2_n4, RING(64, 64, 1, 2, 4))                                                     \
    X(ring_64x64_m4, RING(64, 64, 1, 4, 1))                                                        \
    X(ring_64x64_m4_n2, RING(64, 64, 1, 4, 2))                                                     \
    X(ring_64x96, RING(64, 96, 1, 1, 1))                                                           \
    X(ring_64x96_n4, RING(64, 96, 1, 1, 4))                                                        \
    X(ring_64x96_m2_n2, RING(64, 96, 1, 2, 2))                                                     \
    X(ring_64x96_m2_n4, RING(64, 96, 1, 2, 4))                                                     \
    X(ring_64x96_m4, RING(64, 96, 1, 4, 1))                                                        \
    X(ring_128x64_m2_n2, RING(128, 64, 1, 2, 2))                                                   \
    X(ring_128x128, RING(128, 128, 1, 1, 1))                                                       \
    X(ring_128x128_m2, RING(128, 128, 1, 2, 1))

#define FUNCTIONS(name, feature, make, ...)                                                        \
    static const tile tile_##name = make;                                                          \
    static tn_verdict accepts_half_##name(const tn_problem *p)                                     \
    {                                                                                              \
        return accepts(p, &tile_##name, false);                                                    \
    }                                                                                              \
    static tn_verdict accepts_tf32_##name(const tn_problem *p)                                     \
    {                                                                                              \
        return accepts(p, &tile_##name, true);                                                     \
    }                                                                                              \
    static tn_status launch_##name(const tn_launch *l)                                             \
    {                                                                                              \
        return launch(l, &tile_##name);                                                            \
    }
EACH(FUNCTIONS, )

#define FUNCTIONS_NORM(name, make)                                                                 \
    static const tile tile_norm_##name = make;                                                     \
    static tn_verdict accepts_norm_half_##name(const tn_problem *p)                                \
    {                                                                                              \
        return accepts_norm(p, &tile_norm_##name, false);                                          \
    }                                                                                              \
    static tn_verdict accepts_norm_tf32_##name(const tn_problem *p)                                \
    {                                                                                              \
        return accepts_norm(p, &tile_norm_##name, true);                                           \
    }                                                                                              \
    static tn_status launch_norm_##name(const tn_launch *l)                                        \
    {                                                                                              \
        return launch_ring(l, &tile_norm_##name);                                                  \
    }
EACH_NORM(FUNCTIONS_NORM)

#define ROW_NORM(name_, kind, ...)                                                                 \
    {.name = "cuda.norm_linear." #kind ".packed_" #name_,                                          \
     .op = "NormLinear",                                                                           \
     .revision = 1,                                                                                \
     .needs = TN_SM90A,                                                                            \
     .accepts = accepts_norm_##kind##_##name_,                                                     \
     .packed_bytes = packed_bytes,                                                                 \
     .pack = pack_norm,                                                                            \
     .unused = unused,                                                                             \
     .launch = launch_norm_##name_,                                                                \
     __VA_ARGS__},
#define NORM_HALF(name, make) ROW_NORM(name, half, )
#define NORM_TF32(name, make) ROW_NORM(name, tf32, .precision = TN_PRECISION_TF32)
#define ROW(name_, feature, op_, text, kind, ...)                                                  \
    {.name = "cuda." text "." #kind ".packed_" #name_,                                             \
     .op = op_,                                                                                    \
     .revision = 1,                                                                                \
     .needs = feature,                                                                             \
     .accepts = accepts_##kind##_##name_,                                                          \
     .packed_bytes = packed_bytes,                                                                 \
     .pack = pack,                                                                                 \
     .unused = unused,                                                                             \
     .launch = launch_##name_,                                                                     \
     __VA_ARGS__},
#define HALF(name, feature, make, op, text) ROW(name, feature, op, text, half, )
#define TF32(name, feature, make, op, text)                                                        \
    ROW(name, feature, op, text, tf32, .precision = TN_PRECISION_TF32)
#define OP(op, text) EACH(HALF, op, text) EACH(TF32, op, text)

extern const tn_tactic tn_cuda_product_packed[];
const tn_tactic tn_cuda_product_packed[] = {
    OP("MatMul", "matmul") OP("Gemm", "gemm") OP("Linear", "linear") EACH_NORM(NORM_HALF)
        EACH_NORM(NORM_TF32){0},
};
