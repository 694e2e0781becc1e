/* MatMul, Gemm and Linear with constant weights by tensor cores (product_packed.cu). The weights
 * are laid out once, as tiles want them whatever their size: steps of 128 bytes along k; in a step
 * groups of eight columns; in a group a line of 128 bytes for each column. */
#include <stdio.h>
#include <string.h>

#include "backends/cuda/kernels/product.h"

extern const tn_cuda_source tn_cuda_source_product_packed;

enum { LINE = 128, GROUP = 8, PART = 16 };
enum { CARD = 132 }; /* multiprocessors of a large card */

typedef struct tile {
    int m, n, warp_m, warp_n, stages;
    int groups; /* of four warps multiply together */
} tile;
enum { TILE_32X64, TILE_64X64, TILE_128X128, GROUP_64X32, GROUP_64X64 };
/* Stages fill half of the shared memory, so that the next kernel's weights find room. */
static const tile tiles[] = {
    [TILE_32X64] = {32, 64, 16, 32, 8, 0},     [TILE_64X64] = {64, 64, 32, 32, 6, 0},
    [TILE_128X128] = {128, 128, 64, 32, 3, 0}, [GROUP_64X32] = {64, 32, 16, 32, 8, 1},
    [GROUP_64X64] = {64, 64, 16, 64, 6, 1},
};

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

/* ---- Weights ---------------------------------------------------------------------------------*/

static size_t packed_bytes(const tn_problem *p)
{
    tn_cuda_product x;
    tn_cuda_product_of(p, &x);
    return (size_t)(steps_of(&x) * ceil_div(x.n, GROUP) * GROUP * LINE);
}

static tn_status pack(const tn_problem *p, void *dst)
{
    tn_cuda_product x;
    tn_cuda_product_of(p, &x);
    const uint8_t *w = p->in[1].data;
    int64_t size = element_bytes(&x), line = LINE / size, part = PART / size;
    int64_t groups = ceil_div(x.n, GROUP);
    int64_t step_n = x.b_deep ? x.ldb : 1, step_k = x.b_deep ? 1 : x.ldb;
    memset(dst, 0, packed_bytes(p));
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
    return NULL;
}

static uint64_t unused(const tn_problem *p)
{
    (void)p;
    return 2;
}

/* ---- Which ones ------------------------------------------------------------------------------*/

static tn_verdict accepts(const tn_problem *p, const tile *t, int splits, bool tf32)
{
    tn_cuda_product x;
    tn_cuda_product_of(p, &x);
    tn_verdict no = tn_cuda_product_fits(&x);
    if (no) return no;
    if (x.dtype != TN_DTYPE_F16 && x.dtype != TN_DTYPE_BF16 && x.dtype != TN_DTYPE_F32)
        return TN_NO("the operands are not f32, f16 or bf16");
    if ((x.dtype == TN_DTYPE_F32) != tf32)
        return tf32 ? TN_NO("the operands are not f32") : TN_NO("the operands are not f16 or bf16");
    if (!(p->in_constant & 2)) return TN_NO("the right operand is no constant");
    if (x.rank || !x.a_deep) return TN_NO("the left operand is a batch, or lies along m");
    if (x.m * x.lda >= INT64_MAX / 8) return TN_NO("the left operand is too large");
    int64_t blocks = ceil_div(x.m, t->m) * ceil_div(x.n, t->n), steps = steps_of(&x);
    if (blocks > INT32_MAX / 8) return TN_NO("there are too many tiles");
    if (splits > 1 && blocks > CARD) return TN_NO("the tiles alone keep the card busy");
    if (splits > 1 && steps < 2 * splits) return TN_NO("there is little to sum");
    if (t->m > 32 && x.m * 2 <= t->m) return TN_NO("half of every tile would be empty");
    if (t->m * t->n <= 64 * 32 && blocks > 4 * CARD) return TN_NO("larger tiles read less");
    if (t->m * t->n <= 64 * 64 && blocks > 8 * CARD) return TN_NO("larger tiles read less");
    if (t->m * t->n >= 128 * 128 && blocks * splits < CARD / 2)
        return TN_NO("smaller tiles keep more of the card busy");
    return TN_YES;
}

/* ---- Running ---------------------------------------------------------------------------------*/

static tn_status launch(const tn_launch *l, const tile *t, int splits)
{
    const tn_cuda_function *function;
    tn_cuda_product x;
    char options[300];
    tn_cuda_product_of(l->problem, &x);
    if (x.m == 0 || x.n == 0) return NULL;
    /* Only compute capability 9 has such groups; weights lie alike for all tiles. */
    if (t->groups && tn_cuda_stream_of(l)->card->major != 9) {
        t = &tiles[TILE_64X64];
        splits = 1;
    }
    int64_t part = PART / element_bytes(&x);
    uint64_t line = tn_cuda_place(x.a, x.dtype) | (uint64_t)(x.lda | x.k);
    uint64_t row = tn_cuda_place(x.y, x.dtype) | tn_cuda_place(x.residual, x.dtype);
    int va = tn_cuda_product_vector((int)part, line) == part ? (int)part : 1;
    int vy = tn_cuda_product_vector(2, row | (uint64_t)(x.n | x.y_row));
    snprintf(options, sizeof options,
             "-DTYPE=%s -DBM=%d -DBN=%d -DTM=%d -DTN=%d -DSTAGES=%d -DSPLITS=%d "
             "-DGROUPS=%d -DVA=%d -DVY=%d -DACT=%d",
             tn_cuda_type(x.dtype), t->m, t->n, t->warp_m, t->warp_n, t->stages, splits, t->groups,
             va, vy, (int)x.epilogue.kind);
    size_t shared = (size_t)(t->stages * (t->m + t->n) * LINE);
    if (splits > 1) shared += (size_t)(t->m * t->n) * sizeof(float) + sizeof(uint64_t);
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
        .grid = {(unsigned)(ceil_div(x.m, t->m) * s.tiles_n * splits)},
        .block = {(unsigned)(t->m / t->warp_m * (t->n / t->warp_n) * 32)},
        .shared_bytes = shared,
        .cluster = (unsigned)splits,
        .overlap = true,
    };
    void *args[] = {(void *)&x.a,        (void *)&l->packed, (void *)&x.c,
                    (void *)&x.residual, (void *)&x.y,       &s};
    return tn_cuda_run(l, function, &grid, args);
}

/* ---- The tactics -----------------------------------------------------------------------------*/

#define TILE(name, tile, splits)                                                                   \
    static tn_verdict accepts_half_##name(const tn_problem *p)                                     \
    {                                                                                              \
        return accepts(p, &tiles[tile], splits, false);                                            \
    }                                                                                              \
    static tn_verdict accepts_tf32_##name(const tn_problem *p)                                     \
    {                                                                                              \
        return accepts(p, &tiles[tile], splits, true);                                             \
    }                                                                                              \
    static tn_status launch_##name(const tn_launch *l)                                             \
    {                                                                                              \
        return launch(l, &tiles[tile], splits);                                                    \
    }
#define EACH(X, ...)                                                                               \
    X(64x64_groups, GROUP_64X64, 1, __VA_ARGS__)                                                   \
    X(64x64_k2_groups, GROUP_64X64, 2, __VA_ARGS__)                                                \
    X(64x64_k4_groups, GROUP_64X64, 4, __VA_ARGS__)                                                \
    X(64x32_groups, GROUP_64X32, 1, __VA_ARGS__)                                                   \
    X(64x32_k2_groups, GROUP_64X32, 2, __VA_ARGS__)                                                \
    X(32x64, TILE_32X64, 1, __VA_ARGS__)                                                           \
    X(32x64_k2, TILE_32X64, 2, __VA_ARGS__)                                                        \
    X(64x64, TILE_64X64, 1, __VA_ARGS__)                                                           \
    X(128x128, TILE_128X128, 1, __VA_ARGS__)

#define FUNCTIONS(name, tile, splits, ...) TILE(name, tile, splits)
EACH(FUNCTIONS, )

#define ROW(name_, tile, splits, op_, text, kind, ...)                                             \
    {.name = "cuda." text "." #kind ".packed_" #name_,                                             \
     .op = op_,                                                                                    \
     .revision = 1,                                                                                \
     .needs = (splits) > 1 || (tile) >= GROUP_64X32 ? TN_SM90 : TN_SM80,                           \
     .accepts = accepts_##kind##_##name_,                                                          \
     .packed_bytes = packed_bytes,                                                                 \
     .pack = pack,                                                                                 \
     .unused = unused,                                                                             \
     .launch = launch_##name_,                                                                     \
     __VA_ARGS__},
#define HALF(name, tile, splits, op, text) ROW(name, tile, splits, op, text, half, )
#define TF32(name, tile, splits, op, text)                                                         \
    ROW(name, tile, splits, op, text, tf32, .precision = TN_PRECISION_TF32)
#define OP(op, text) EACH(HALF, op, text) EACH(TF32, op, text)

extern const tn_tactic tn_cuda_product_packed[];
const tn_tactic tn_cuda_product_packed[] = {
    OP("MatMul", "matmul") OP("Gemm", "gemm") OP("Linear", "linear"){0},
};
