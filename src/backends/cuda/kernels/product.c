/* Products in tiles (product.cu), on the host's side. */
#include "backends/cuda/kernels/product.h"

#include <stdio.h>
#include <string.h>

#include "ops/gemm/gemm.h"
#include "ops/linear/linear.h"
#include "ops/matmul/matmul.h"
#include "ops/wide/wide.h"

extern const tn_cuda_source tn_cuda_source_product;

const tn_cuda_tile tn_cuda_tiles[] = {
    [TN_CUDA_TILE_128X128] = {128, 128, 8, 8, 8, 1, 0},
    [TN_CUDA_TILE_64X64] = {64, 64, 16, 8, 4, 1, 0},
    [TN_CUDA_TILE_32X32] = {32, 32, 32, 4, 4, 1, 0},
    [TN_CUDA_TILE_64X64_K4] = {64, 64, 16, 8, 4, 4, 0},
    [TN_CUDA_TILE_32X32_K8] = {32, 32, 32, 4, 4, 8, 0},
    [TN_CUDA_TENSOR_128X128] = {128, 128, 32, 64, 32, 1, 4},
    [TN_CUDA_TENSOR_64X64] = {64, 64, 64, 32, 32, 1, 3},
    [TN_CUDA_TENSOR_32X64] = {32, 64, 64, 16, 32, 1, 4},
    [TN_CUDA_TENSOR_64X64_K4] = {64, 64, 64, 32, 32, 4, 3},
};

/* ---- Reading problems ------------------------------------------------------------------------*/

static const void *input_at(const tn_problem *p, int i)
{
    return tn_wide_has(p, i) ? p->in[i].data : NULL;
}

static int32_t weights_of(const tn_problem *p)
{
    return p->in_constant & 2 ? 2 : p->in_constant & 1 ? 1 : 0;
}

static void read_gemm(const tn_problem *p, tn_cuda_product *x)
{
    const tn_gemm_params *params = p->params;
    const tn_tensor *a = &p->in[0], *b = &p->in[1], *c = &p->in[2];
    x->m = p->out[0].dim[0];
    x->n = p->out[0].dim[1];
    x->k = b->dim[params->transB ? 1 : 0];
    x->a_deep = !params->transA;
    x->b_deep = params->transB;
    x->lda = a->dim[1];
    x->ldb = b->dim[1];
    x->alpha = params->alpha;
    x->beta = params->beta;
    x->c = input_at(p, 2);
    if (!tn_wide_has(p, 2)) return;
    if (c->rank > 0 && c->dim[c->rank - 1] != 1) x->c_column = 1;
    if (c->rank == 2 && c->dim[0] != 1) x->c_row = c->dim[1];
}

static void read_matmul(const tn_problem *p, tn_cuda_product *x)
{
    tn_matmul_plan plan;
    tn_matmul_plan_of(p, &plan);
    x->m = plan.m;
    x->n = plan.n;
    x->k = plan.k;
    x->a_deep = true;
    x->lda = plan.k;
    x->ldb = plan.n;
    x->count = plan.batch;
    /* Neighbours through which both operands step as one are one axis. */
    for (int i = 0; i < plan.rank; i++) {
        int at = x->rank - 1;
        if (plan.dim[i] == 1) continue;
        if (at < 0 || x->a_step[at] != plan.dim[i] * plan.a_step[i] ||
            x->b_step[at] != plan.dim[i] * plan.b_step[i]) {
            at = x->rank++;
            x->dim[at] = 1;
        }
        x->dim[at] *= plan.dim[i];
        x->a_step[at] = plan.a_step[i];
        x->b_step[at] = plan.b_step[i];
    }
}

void tn_cuda_product_of(const tn_problem *p, tn_cuda_product *x)
{
    *x = (tn_cuda_product){.dtype = p->out[0].dtype, .count = 1, .alpha = 1, .beta = 1};
    x->a = p->in[0].data;
    x->b = p->in[1].data;
    x->y = p->out[0].data;
    x->weights = weights_of(p);
    if (!strcmp(p->op, "Gemm")) read_gemm(p, x);
    else read_matmul(p, x);
    if (!strcmp(p->op, "Linear")) {
        const tn_linear_params *params = p->params;
        x->epilogue = params->epilogue;
        x->c = input_at(p, 2);
        x->c_column = 1;
        x->residual = input_at(p, 3);
    }
    x->y_row = x->n;
    x->y_batch = x->m * x->n;
}

bool tn_cuda_conv_is_product(const tn_problem *p)
{
    tn_window w;
    tn_conv_window(p, 1, &w);
    bool plain = w.kernel_count == 1;
    for (int i = 0; i < 3; i++)
        plain = plain && w.stride[i] == 1 && w.pad[i] == 0 && w.in[i] == w.out[i];
    return plain;
}

void tn_cuda_product_of_conv(const tn_problem *p, tn_cuda_product *x)
{
    const tn_conv_params *params = p->params;
    const tn_tensor *w = &p->in[1], *y = &p->out[0];
    int64_t plane = tn_dims_product(y->dim, 2, y->rank);
    *x = (tn_cuda_product){.dtype = y->dtype, .alpha = 1, .beta = 1, .a_deep = true, .rank = 2};
    x->a = w->data;
    x->b = p->in[0].data;
    x->c = input_at(p, 2);
    x->y = y->data;
    x->weights = p->in_constant & 2 ? 1 : 0;
    x->m = w->dim[0] / params->group;
    x->n = plane;
    x->k = w->dim[1];
    x->lda = x->k;
    x->ldb = plane;
    x->dim[0] = y->dim[0];
    x->dim[1] = params->group;
    x->count = y->dim[0] * params->group;
    x->a_step[1] = x->m * x->k;
    x->b_step[0] = p->in[0].dim[1] * plane;
    x->b_step[1] = x->k * plane;
    x->c_step[1] = x->m;
    x->c_row = 1;
    x->y_row = plane;
    x->y_batch = x->m * plane;
    if (strcmp(p->op, "FusedConv")) return;
    const tn_fused_conv_params *fused = p->params;
    x->epilogue = fused->epilogue;
    x->residual = input_at(p, 3);
}

void tn_cuda_product_of_window(const tn_problem *p, const tn_window *w, tn_cuda_product *x)
{
    const tn_conv_params *params = p->params;
    tn_cuda_product_of_conv(p, x);
    x->window = w;
    x->channels = p->in[0].dim[1];
    x->n = p->out[0].dim[0] * w->out_count;
    x->k = p->in[1].dim[1] * w->kernel_count;
    x->lda = x->k;
    x->rank = 1;
    x->count = x->dim[0] = params->group;
    x->a_step[0] = x->m * x->k;
    x->b_step[0] = p->in[1].dim[1] * w->in_count;
    x->c_step[0] = x->m;
    x->y_sample = p->out[0].dim[1] * w->out_count;
}

/* ---- What kernels can do ---------------------------------------------------------------------*/

const char *tn_cuda_sum_type(tn_dtype dtype)
{
    switch (dtype) {
    case TN_DTYPE_F32:
    case TN_DTYPE_F16:
    case TN_DTYPE_BF16: return "float";
    case TN_DTYPE_F64: return "double";
    case TN_DTYPE_I32:
    case TN_DTYPE_U32: return "uint32";
    case TN_DTYPE_I64:
    case TN_DTYPE_U64: return "uint64";
    default: return NULL;
    }
}

static int64_t blocks_of(const tn_cuda_product *x, const tn_cuda_tile *t)
{
    int64_t rows = (x->m + t->m - 1) / t->m, columns = (x->n + t->n - 1) / t->n, blocks;
    if (!tn_mul_i64(rows, columns, &blocks) || !tn_mul_i64(blocks, x->count, &blocks) ||
        !tn_mul_i64(blocks, t->splits, &blocks))
        return INT64_MAX;
    return blocks;
}

tn_verdict tn_cuda_product_fits(const tn_cuda_product *x)
{
    const char *sum = tn_cuda_sum_type(x->dtype);
    if (!sum) return TN_NO("no kernel knows the type of the operands");
    bool whole = tn_dtype_kind_of(x->dtype) != TN_KIND_F;
    if (whole && (x->alpha != 1 || x->beta != 1))
        return TN_NO("integers are scaled by alpha or beta");
    if (x->m > INT32_MAX || x->n > INT32_MAX || x->k > INT32_MAX || x->count > INT32_MAX)
        return TN_NO("an axis is longer than 2^31 - 1");
    if (blocks_of(x, &tn_cuda_tiles[TN_CUDA_TILE_32X32_K8]) > INT32_MAX)
        return TN_NO("there are too many tiles");
    return TN_YES;
}

/* What sizes, steps and addresses of an operand have in common, as bits (tn_cuda_product_vector).
 */
static uint64_t bits_of_a(const tn_cuda_product *x)
{
    uint64_t bits = tn_cuda_place(x->a, x->dtype) | (uint64_t)(x->lda | (x->a_deep ? x->k : x->m));
    for (int i = 0; i < x->rank; i++) bits |= (uint64_t)x->a_step[i];
    return bits;
}

static uint64_t bits_of_b(const tn_cuda_product *x)
{
    uint64_t bits = tn_cuda_place(x->b, x->dtype) | (uint64_t)(x->ldb | (x->b_deep ? x->k : x->n));
    for (int i = 0; i < x->rank; i++) bits |= (uint64_t)x->b_step[i];
    return bits;
}

static uint64_t bits_of_y(const tn_cuda_product *x)
{
    uint64_t bits = tn_cuda_place(x->y, x->dtype) | tn_cuda_place(x->residual, x->dtype);
    if (x->window) bits |= (uint64_t)x->window->out_count;
    return bits | (uint64_t)(x->n | x->y_row | x->y_batch | x->y_sample);
}

static tn_verdict tensor_fits(const tn_cuda_product *x)
{
    if (tn_dtype_bits(x->dtype) != 16) return TN_NO("the operands are not f16 or bf16");
    if (bits_of_a(x) % 8 || (!x->window && bits_of_b(x) % 8))
        return TN_NO("rows are no multiples of 8 elements");
    return TN_YES;
}

tn_verdict tn_cuda_product_tile_fits(const tn_cuda_product *x, int tile)
{
    enum { CARD = 132 }; /* multiprocessors of a large card */
    const tn_cuda_tile *t = &tn_cuda_tiles[tile];
    int64_t blocks = blocks_of(x, t);
    if (t->stages) {
        tn_verdict no = tensor_fits(x);
        if (no) return no;
    }
    bool large = t->m * t->n >= 128 * 128, small = t->m < 64 && t->splits == 1;
    if (large && tn_dtype_bits(x->dtype) == 64) return TN_NO("elements of 64 bits are too wide");
    if (large && blocks < CARD / 2) return TN_NO("smaller tiles keep more of the card busy");
    if (small && blocks > 16 * CARD)
        return TN_NO("larger tiles read less, and are enough to keep the card busy");
    if (t->splits > 1 && x->k < 64 * t->splits) return TN_NO("there is little to sum");
    if (t->splits > 1 && blocks > 4 * CARD)
        return TN_NO("the card is busy without cutting sums in parts");
    return TN_YES;
}

size_t tn_cuda_product_scratch(const tn_cuda_product *x, int tile)
{
    const tn_cuda_tile *t = &tn_cuda_tiles[tile];
    if (t->splits == 1) return 0;
    size_t each = tn_dtype_bits(x->dtype) == 64 ? 8 : 4;
    return (size_t)(x->m * x->n * x->count * t->splits) * each;
}

int tn_cuda_product_vector(int most, uint64_t bits)
{
    while (most > 1 && bits & (uint64_t)(most - 1)) most /= 2;
    return most;
}

uint64_t tn_cuda_place(const void *at, tn_dtype dtype)
{
    return (uint64_t)(uintptr_t)at / (uint64_t)(tn_dtype_bits(dtype) / 8);
}

/* ---- Running ---------------------------------------------------------------------------------*/

/* As in product.cu. */
typedef struct batches {
    int32_t count, splits, rank, dim[TN_RANK_MAX];
    int64_t a[TN_RANK_MAX], b[TN_RANK_MAX], c[TN_RANK_MAX];
} batches;
typedef struct shape {
    int32_t m, n, k, tiles_m, tiles_n, weights, plane;
    int64_t lda, ldb, c_row, c_column, y_batch, y_row, y_sample;
    float alpha, beta, act_alpha, act_beta;
} shape;
typedef struct view {
    int32_t in[3], out[3], pad[3], channels;
} view;

static void fill(const tn_cuda_product *x, const tn_cuda_tile *t, shape *s, batches *batch, view *v)
{
    *s = (shape){
        .m = (int32_t)x->m,
        .n = (int32_t)x->n,
        .k = (int32_t)x->k,
        .tiles_m = (int32_t)((x->m + t->m - 1) / t->m),
        .tiles_n = (int32_t)((x->n + t->n - 1) / t->n),
        .weights = x->weights,
        .plane = 1,
        .lda = x->lda,
        .ldb = x->ldb,
        .c_row = x->c_row,
        .c_column = x->c_column,
        .y_batch = x->y_batch,
        .y_row = x->y_row,
        .y_sample = x->y_sample,
        .alpha = x->alpha,
        .beta = x->beta,
        .act_alpha = x->epilogue.alpha,
        .act_beta = x->epilogue.beta,
    };
    *batch = (batches){(int32_t)x->count, t->splits, x->rank, {0}, {0}, {0}, {0}};
    for (int i = 0; i < x->rank; i++) {
        batch->dim[i] = (int32_t)x->dim[i];
        batch->a[i] = x->a_step[i];
        batch->b[i] = x->b_step[i];
        batch->c[i] = x->c_step[i];
    }
    *v = (view){.channels = (int32_t)x->channels};
    for (int i = 0; x->window && i < 3; i++) {
        v->in[i] = (int32_t)x->window->in[i];
        v->out[i] = (int32_t)x->window->out[i];
        v->pad[i] = (int32_t)x->window->pad[i];
    }
    if (x->window) s->plane = (int32_t)x->window->out_count;
}

/* The specialisation; returns how many neighbours of y are written at once. */
static int print_options(const tn_cuda_product *x, const tn_cuda_tile *t, char *out, size_t bytes)
{
    /* All or one, so that few kernels are compiled. */
    int most = t->stages ? 8 : tn_dtype_bits(x->dtype) == 64 ? 2 : 4, most_y = t->stages ? 2 : most;
    int va = tn_cuda_product_vector(most, bits_of_a(x)) == most ? most : 1;
    int vb = !x->window && tn_cuda_product_vector(most, bits_of_b(x)) == most ? most : 1;
    int vy = tn_cuda_product_vector(most_y, bits_of_y(x)) == most_y ? most_y : 1;
    int used = snprintf(out, bytes,
                        "-DTYPE=%s -DSUM=%s -DACT=%d -DBM=%d -DBN=%d -DBK=%d -DTM=%d -DTN=%d "
                        "-DA_DEEP=%d -DB_DEEP=%d -DVA=%d -DVB=%d -DVY=%d -DWINDOW=%d -DTENSOR=%d",
                        tn_cuda_type(x->dtype), tn_cuda_sum_type(x->dtype), (int)x->epilogue.kind,
                        t->m, t->n, t->k, t->thread_m, t->thread_n, x->a_deep, x->b_deep, va, vb,
                        vy, x->window != NULL, t->stages > 0);
    if (t->stages) used += snprintf(out + used, bytes - (size_t)used, " -DSTAGES=%d", t->stages);
    const tn_window *w = x->window;
    for (int i = 0; w && i < 3; i++)
        used += snprintf(out + used, bytes - (size_t)used,
                         " -DKERNEL%d=%d -DSTRIDE%d=%d -DDILATION%d=%d", i, (int)w->kernel[i], i,
                         (int)w->stride[i], i, (int)w->dilation[i]);
    return vy;
}

static size_t shared_bytes_of(const tn_cuda_product *x, const tn_cuda_tile *t)
{
    enum { PAD = 8 };
    int a = x->a_deep ? t->m * (t->k + PAD) : t->k * (t->m + PAD);
    int b = x->b_deep ? t->n * (t->k + PAD) : t->k * (t->n + PAD);
    return (size_t)t->stages * (size_t)(a + b) * sizeof(uint16_t);
}

tn_status tn_cuda_product_run(const tn_launch *l, const tn_cuda_product *x, int tile)
{
    const tn_cuda_tile *t = &tn_cuda_tiles[tile];
    /* Addresses are known only now; without tensor cores any will do, without parts no scratch. */
    if (t->stages && tensor_fits(x)) t = &tn_cuda_tiles[TN_CUDA_TILE_64X64];
    const tn_cuda_function *function;
    tn_cuda_card *card = tn_cuda_stream_of(l)->card;
    char options[640];
    shape s;
    batches batch;
    view v;
    if (x->m == 0 || x->n == 0 || x->count == 0) return NULL;
    int vy = print_options(x, t, options, sizeof options);
    fill(x, t, &s, &batch, &v);
    size_t shared = shared_bytes_of(x, t);
    TN_TRY(
        tn_cuda_function_get(card, &tn_cuda_source_product, "product", options, shared, &function));
    unsigned threads = (unsigned)(t->m / t->thread_m * (t->n / t->thread_n));
    if (t->stages) threads *= 32;
    tn_cuda_grid grid = {.shared_bytes = shared,
                         .grid = {(unsigned)blocks_of(x, t)},
                         .block = {threads},
                         .overlap = true};
    void *partial = l->scratch;
    void *args[] = {(void *)&x->a,
                    (void *)&x->b,
                    (void *)&x->c,
                    (void *)&x->residual,
                    (void *)&x->y,
                    &partial,
                    &s,
                    &batch,
                    &v};
    TN_TRY(tn_cuda_run(l, function, &grid, args));
    if (t->splits == 1) return NULL;
    TN_TRY(tn_cuda_function_get(card, &tn_cuda_source_product, "join", options, 0, &function));
    enum { JOINERS = 256 };
    tn_cuda_grid join = {.grid = {tn_cuda_blocks(x->m * x->n * x->count, JOINERS * vy)},
                         .block = {JOINERS},
                         .overlap = true};
    void *join_args[] = {(void *)&x->c, (void *)&x->residual, (void *)&x->y, &partial, &s, &batch};
    return tn_cuda_run(l, function, &join, join_args);
}
