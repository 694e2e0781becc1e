/* The host's side of product_ring.cu, and how weights lie for it. */
#include "backends/cuda/kernels/product_ring.h"

#include <stdio.h>
#include <string.h>

extern const tn_cuda_source tn_cuda_source_product_ring;

enum { LINE = TN_CUDA_LINE, GROUP = TN_CUDA_GROUP, PART = TN_CUDA_PART };
enum { COLUMNS = 128 };           /* of what lies behind the weights of normalised rows, at least */
enum { CARD = 132 };              /* multiprocessors of a large card */
enum { SHARED_HALF = 112 << 10 }; /* of a multiprocessor's: room for the next kernel's weights */

static int64_t ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

static int64_t element_bytes(const tn_cuda_product *x)
{
    return (int64_t)tn_dtype_bits(x->dtype) / 8;
}

int64_t tn_cuda_packed_steps(const tn_cuda_product *x)
{
    return ceil_div(x->k * element_bytes(x), LINE);
}

/* ---- Weights ---------------------------------------------------------------------------------*/

size_t tn_cuda_packed_bytes(const tn_cuda_product *x)
{
    return (size_t)(tn_cuda_packed_steps(x) * ceil_div(x->n, GROUP) * GROUP * LINE);
}

void tn_cuda_pack_weights(const tn_cuda_product *product, const void *weights, void *dst)
{
    tn_cuda_product x = *product;
    const uint8_t *w = weights;
    int64_t size = element_bytes(&x), line = LINE / size, part = PART / size;
    int64_t groups = ceil_div(x.n, GROUP);
    int64_t step_n = x.b_deep ? x.ldb : 1, step_k = x.b_deep ? 1 : x.ldb;
    memset(dst, 0, tn_cuda_packed_bytes(&x));
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

size_t tn_cuda_norm_packed_bytes(const tn_cuda_product *x)
{
    int64_t columns = ceil_div(x->n, COLUMNS) * COLUMNS, deep = tn_cuda_packed_steps(x) * LINE;
    return tn_cuda_packed_bytes(x) +
           sizeof(float) * 2 * (size_t)(columns + deep / element_bytes(x));
}

/* Weights times the scale, what the kernel takes the mean with, and shift and bias in one. `row`
 * has room for three rows, `scaled` for the weights. */
static void fold_norm(const tn_cuda_product *x, const tn_cuda_norm_weights *norm, double *row,
                      uint8_t *scaled, void *dst)
{
    const tn_tensor *w = norm->w, *scale = norm->scale, *shift = norm->shift, *bias = norm->bias;
    double *sum = row + x->n, *add = sum + x->n;
    float *sums = (float *)((uint8_t *)dst + tn_cuda_packed_bytes(x));
    float *biases = sums + ceil_div(x->n, COLUMNS) * COLUMNS;
    float *scales = biases + ceil_div(x->n, COLUMNS) * COLUMNS;
    float *shifts = scales + tn_cuda_packed_steps(x) * LINE / element_bytes(x);
    memset(row, 0, (size_t)x->n * 3 * sizeof *row);
    memset(sums, 0, tn_cuda_norm_packed_bytes(x) - tn_cuda_packed_bytes(x));
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
        for (int64_t n = 0; w->dtype == TN_DTYPE_F32 && n < x->n; n++) {
            uint32_t *bits = (uint32_t *)scaled + k * x->n + n;
            *bits = tn_cuda_round_tf32(*bits);
        }
        tn_load_f64s(w->dtype, scaled, k * x->n, x->n, row); /* as it is multiplied with */
        for (int64_t n = 0; n < x->n; n++) sum[n] += row[n];
    }
    for (int64_t n = 0; n < x->n; n++) {
        sums[n] = (float)sum[n];
        biases[n] = (float)add[n];
    }
    tn_cuda_pack_weights(x, scaled, dst);
}

tn_status tn_cuda_norm_pack(const tn_cuda_product *x, const tn_cuda_norm_weights *norm, void *dst)
{
    size_t bytes = (size_t)(x->k * x->n * element_bytes(x)), row_bytes = (size_t)x->n * 3 * 8;
    uint8_t *scaled = tn_alloc(bytes);
    double *row = tn_alloc(row_bytes);
    bool room = scaled && row;
    if (room) fold_norm(x, norm, row, scaled, dst);
    tn_free(scaled, bytes);
    tn_free(row, row_bytes);
    TN_CHECK(room, TN_OUT_OF_MEMORY, "no memory to pack weights");
    return NULL;
}

/* ---- Which ones ------------------------------------------------------------------------------*/

tn_verdict tn_cuda_packed_fits(const tn_cuda_product *x, bool tf32)
{
    tn_verdict no = tn_cuda_product_fits(x);
    if (no) return no;
    if (x->dtype != TN_DTYPE_F16 && x->dtype != TN_DTYPE_BF16 && x->dtype != TN_DTYPE_F32)
        return TN_NO("the operands are not f32, f16 or bf16");
    if ((x->dtype == TN_DTYPE_F32) != tf32)
        return tf32 ? TN_NO("the operands are not f32") : TN_NO("the operands are not f16 or bf16");
    if (x->rank || !x->a_deep) return TN_NO("the left operand is a batch, or lies along m");
    if (x->m * x->lda >= INT64_MAX / 8) return TN_NO("the left operand is too large");
    return TN_YES;
}

tn_verdict tn_cuda_packed_tile_fits(const tn_cuda_product *x, const tn_cuda_packed_tile *t)
{
    int64_t tiles = ceil_div(x->m, t->m) * ceil_div(x->n, t->n), steps = tn_cuda_packed_steps(x);
    int64_t area = (int64_t)t->m * t->n;
    if (tiles > INT32_MAX / 16) return TN_NO("there are too many tiles");
    if (t->splits > 1 && tiles > CARD) return TN_NO("the tiles alone keep the card busy");
    if (t->splits > 1 && steps < 2 * t->splits) return TN_NO("there is little to sum");
    if (t->share_m) {
        if (ceil_div(x->m, t->m) % t->share_m || ceil_div(x->n, t->n) % t->share_n)
            return TN_NO("the tiles are no whole number of clusters");
        if (x->k == 0) return TN_NO("there is nothing to sum");
        if (x->lda * element_bytes(x) % PART) return TN_NO("rows do not begin at whole parts");
        if (t->splits > 1 && tiles * t->splits > 2 * CARD) return TN_NO("fewer parts are enough");
        if (x->n * 2 <= t->n) return TN_NO("half of every tile would be empty");
    }
    if (t->m > 32 && x->m * 2 <= t->m) return TN_NO("half of every tile would be empty");
    if (area <= 64 * 32 && tiles > 4 * CARD) return TN_NO("larger tiles read less");
    if (area <= 64 * 64 && tiles > 8 * CARD) return TN_NO("larger tiles read less");
    if (area >= 128 * 128 && tiles * t->splits < CARD / 2)
        return TN_NO("smaller tiles keep more of the card busy");
    return TN_YES;
}

/* ---- Running ---------------------------------------------------------------------------------*/

/* As in product_ring.cu. */
typedef struct shape {
    int32_t m, n, k, tiles_n, groups, rows, told;
    int64_t c_row, c_column, y_row;
    float alpha, beta, act_alpha, act_beta, epsilon;
} shape;

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

static int64_t own_columns(const tn_cuda_packed_tile *t)
{
    return t->n / t->splits;
}

int64_t tn_cuda_ring_tells(const tn_cuda_product *x, const tn_cuda_packed_tile *t)
{
    return ceil_div(x->n, own_columns(t));
}

bool tn_cuda_ring_serves(const tn_launch *l, const tn_cuda_ring *r)
{
    const char *why;
    const tn_cu *cu = tn_cu_open(&why);
    return tn_cuda_stream_of(l)->card->major == 9 && cu && cu->map_tiled &&
           (uintptr_t)r->x->a % PART == 0 && (uintptr_t)r->normed % PART == 0;
}

/* Elements of y written at once: eight where four lanes have four times as many. */
static int written_at_once(const tn_cuda_ring *r)
{
    const tn_cuda_product *x = r->x;
    uint64_t row = tn_cuda_place(x->y, x->dtype) | tn_cuda_place(x->residual, x->dtype);
    if (r->constant_row) row |= tn_cuda_place(x->c, x->dtype);
    int vy = tn_cuda_product_vector(8, row | (uint64_t)(x->n | x->y_row));
    bool fours = own_columns(r->tile) / 8 % 4 == 0;
    return vy < 8 || element_bytes(x) > 2 || !fours ? TN_MIN(vy, 2) : vy;
}

tn_status tn_cuda_ring_run(const tn_launch *l, const tn_cuda_ring *r)
{
    const tn_cuda_function *function;
    const tn_cuda_product *x = r->x;
    const tn_cuda_packed_tile *t = r->tile;
    tn_cu_map map;
    char options[260];
    if (x->m == 0 || x->n == 0) return NULL;
    bool known = r->norm && r->sums;
    size_t room = (size_t)(t->m * t->n / t->splits * (t->splits - 1)) * sizeof(float);
    if (r->norm)
        room = (size_t)(t->m * t->share_n + t->n + LINE / element_bytes(x)) * 2 * sizeof(float);
    int64_t tiles_m = ceil_div(x->m, t->m), tiles_n = ceil_div(x->n, t->n);
    int64_t rows = ceil_div(x->m, tiles_m * GROUP) * GROUP; /* tiles alike in height */
    size_t stage = (size_t)((rows + t->n) * LINE);
    int stages = (int)TN_MIN(TN_MAX((SHARED_HALF - room) / stage, (size_t)3), (size_t)8);
    stages = (int)TN_MIN(stages, ceil_div(tn_cuda_packed_steps(x), t->splits));
    snprintf(options, sizeof options,
             "-DTYPE=%s -DBM=%d -DBN=%d -DSTAGES=%d -DSPLITS=%d -DSHARE_M=%d -DSHARE_N=%d -DVY=%d "
             "-DACT=%d -DADD=%d -DRESIDUAL=%d -DNORM=%d -DTOLD=%d -DTELL=%d",
             tn_cuda_type(x->dtype), t->m, t->n, stages, t->splits, t->share_m, t->share_n,
             written_at_once(r), (int)x->epilogue.kind, x->c ? 2 - r->constant_row : 0,
             x->residual != NULL, r->norm ? 1 + (r->normed != NULL) : 0, known, r->tells != NULL);
    size_t shared = (size_t)stages * (stage + 2 * sizeof(uint64_t)) + room + sizeof(uint64_t);
    TN_TRY(tn_cuda_function_get(tn_cuda_stream_of(l)->card, &tn_cuda_source_product_ring,
                                "product_ring", options, shared, &function));
    shape s = {
        .m = (int32_t)x->m,
        .n = (int32_t)x->n,
        .k = (int32_t)x->k,
        .tiles_n = (int32_t)tiles_n,
        .groups = (int32_t)ceil_div(x->n, GROUP),
        .rows = (int32_t)rows,
        .told = (int32_t)r->told,
        .c_row = x->c_row,
        .c_column = x->c_column,
        .y_row = x->y_row,
        .alpha = x->alpha,
        .beta = x->beta,
        .act_alpha = x->epilogue.alpha,
        .act_beta = x->epilogue.beta,
        .epsilon = r->epsilon,
    };
    TN_TRY(map_of(l, x, s.rows, &map));
    tn_cuda_grid grid = {
        .grid = {(unsigned)(tiles_m * tiles_n * t->splits)},
        .block = {(unsigned)(t->m * (r->norm ? 4 : 2) + 32)},
        .shared_bytes = shared,
        .cluster = (unsigned)(t->splits * t->share_m * t->share_n),
        .overlap = true,
    };
    const void *c = r->norm ? x->a : x->c;
    void *sums = known ? r->sums : r->tells;
    void *args[] = {&map,          (void *)&r->packed, (void *)&c, (void *)&x->residual,
                    (void *)&x->y, (void *)&r->normed, &sums,      &s};
    return tn_cuda_run(l, function, &grid, args);
}
