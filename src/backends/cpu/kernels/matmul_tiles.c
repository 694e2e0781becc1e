/* MatMul and Gemm in f32 on register tiles (tile.h). A constant b is packed when the engine is
 * built, another one at the start of every launch; a transposed a is turned around then, too.
 *
 * Work is cut into chunks of y, rows by columns, that no two threads share. */
#include "backends/cpu/kernels/tile.h"
#include "backends/cpu/variant.h"
#include "device/device.h"
#include "ops/gemm/gemm.h"
#include "ops/matmul/matmul.h"

enum { CHUNK_ROWS = 8 * TILE_ROWS, CHUNK_COLUMNS = 8 * TILE_COLUMNS };
/* Multiply-adds below which a second thread costs more than it gives. */
enum { GRAIN = 500000 }; /* multiply-adds worth a thread: waking one costs as much as some 70 us */

/* MatMul and Gemm read alike. */
typedef struct product {
    tn_matmul_plan plan;
    int64_t b_row, b_column; /* steps of b's elements */
    bool transpose_a;
    const float *bias; /* Gemm's C */
    int64_t bias_row, bias_column;
    float alpha, beta;
    int64_t matrices; /* of b */
} product;

static void read_matmul(const tn_problem *p, product *out)
{
    *out = (product){.alpha = 1};
    tn_matmul_plan_of(p, &out->plan);
    out->b_row = out->plan.n;
    out->b_column = 1;
    const tn_tensor *b = &p->in[1];
    out->matrices = b->rank > 2 ? tn_dims_product(b->dim, 0, b->rank - 2) : 1;
}

static void read_gemm(const tn_problem *p, product *out)
{
    const tn_gemm_params *params = p->params;
    const tn_tensor *y = &p->out[0], *c = &p->in[2];
    *out = (product){.alpha = params->alpha, .beta = params->beta, .matrices = 1};
    int64_t m = y->dim[0], n = y->dim[1], k = p->in[1].dim[params->transB ? 1 : 0];
    out->plan = (tn_matmul_plan){.m = m, .n = n, .k = k, .batch = 1};
    out->b_row = params->transB ? 1 : n;
    out->b_column = params->transB ? k : 1;
    out->transpose_a = params->transA != 0;
    if (p->in_count < 3 || c->dtype == TN_DTYPE_NONE) return;
    out->bias = c->data;
    if (c->rank > 0 && c->dim[c->rank - 1] != 1) out->bias_column = 1;
    if (c->rank > 1 && c->dim[0] != 1) out->bias_row = c->dim[1];
}

static void read(const tn_problem *p, product *out)
{
    if (p->op[0] == 'M') read_matmul(p, out);
    else read_gemm(p, out);
}

static bool is_packed(const tn_problem *p)
{
    return p->in_constant & 2;
}

static size_t pad_bytes(int64_t floats)
{
    return tn_align_up((size_t)floats * sizeof(float), TN_ALIGNMENT);
}

static size_t b_bytes(const product *w)
{
    return pad_bytes(w->matrices * tile_packed_count(w->plan.k, w->plan.n));
}

static tn_verdict accepts(const tn_problem *p)
{
    if (p->in[0].dtype != TN_DTYPE_F32) return TN_NO("the operands are not f32");
    return TN_YES;
}

static size_t packed_bytes(const tn_problem *p)
{
    product w;
    read(p, &w);
    return is_packed(p) ? b_bytes(&w) : 0;
}

static size_t scratch_bytes(const tn_problem *p)
{
    product w;
    read(p, &w);
    size_t bytes = is_packed(p) ? 0 : b_bytes(&w);
    return bytes + (w.transpose_a ? pad_bytes(w.plan.m * w.plan.k) : 0);
}

static uint64_t unused(const tn_problem *p)
{
    return is_packed(p) ? 2 : 0;
}

typedef struct job {
    product w;
    const float *a, *b; /* b: as it comes, for packing */
    float *packed;      /* written only by packing */
    float *y;
    int64_t lda, row_chunks, column_chunks;
} job;

static tn_status pack_share(void *arg, int64_t begin, int64_t end, int thread)
{
    job *j = arg;
    int64_t panels = tile_panels(j->w.plan.n), k = j->w.plan.k, n = j->w.plan.n;
    (void)thread;
    for (int64_t at = begin; at < end; at++) {
        int64_t matrix = at / panels, panel = at % panels;
        tile_pack(j->b + matrix * k * n, j->w.b_row, j->w.b_column, k, n, panel, panel + 1,
                  j->packed + matrix * tile_packed_count(k, n));
    }
    return NULL;
}

static tn_status pack_all(job *j, tn_pool *pool)
{
    int64_t panels = j->w.matrices * tile_panels(j->w.plan.n);
    int64_t grain = 1 + GRAIN / (1 + j->w.plan.k * TILE_COLUMNS);
    return tn_pool_run(pool, panels, grain, pack_share, j);
}

static tn_status pack(const tn_problem *p, void *dst)
{
    job j = {.b = p->in[1].data, .packed = dst};
    read(p, &j.w);
    if (b_bytes(&j.w) == 0) return NULL;
    memset(dst, 0, b_bytes(&j.w)); /* the padding too: the same model gives the same file */
    return pack_all(&j, NULL);
}

/* y = alpha * y + beta * C on one chunk. */
static void finish(const product *w, int64_t row, int64_t column, int64_t m, int64_t n, float *y)
{
    for (int64_t i = 0; i < m; i++, y += w->plan.n) {
        if (w->alpha != 1)
            for (int64_t j = 0; j < n; j++) y[j] *= w->alpha;
        if (!w->bias) continue;
        const float *bias = w->bias + (row + i) * w->bias_row + column * w->bias_column;
        if (w->bias_column && w->beta == 1)
            for (int64_t j = 0; j < n; j++) y[j] += bias[j];
        else
            for (int64_t j = 0; j < n; j++) y[j] += w->beta * bias[j * w->bias_column];
    }
}

static tn_status run_share(void *arg, int64_t begin, int64_t end, int thread)
{
    const job *j = arg;
    const tn_matmul_plan *plan = &j->w.plan;
    (void)thread;
    for (int64_t at = begin; at < end; at++) {
        int64_t batch = at / j->row_chunks / j->column_chunks, a_at, b_at;
        int64_t row = at % j->row_chunks * CHUNK_ROWS;
        int64_t column = at / j->row_chunks % j->column_chunks * CHUNK_COLUMNS;
        int64_t m = TN_MIN(plan->m - row, CHUNK_ROWS), n = TN_MIN(plan->n - column, CHUNK_COLUMNS);
        tn_matmul_offsets(plan, batch, &a_at, &b_at);
        int64_t matrix = plan->k ? b_at / (plan->k * plan->n) : 0;
        const float *packed = j->packed + matrix * tile_packed_count(plan->k, plan->n);
        float *y = j->y + (batch * plan->m + row) * plan->n + column;
        tile_multiply(m, n, plan->k, j->a + a_at + row * j->lda, j->lda, packed + column * plan->k,
                      y, plan->n, 0);
        if (j->w.alpha != 1 || j->w.bias) finish(&j->w, row, column, m, n, y);
    }
    return NULL;
}

static void transpose(const float *src, int64_t rows, int64_t columns, float *dst)
{
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++) dst[j * rows + i] = src[i * columns + j];
}

static tn_status launch(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    job j = {.a = p->in[0].data, .b = p->in[1].data, .y = p->out[0].data};
    char *scratch = l->scratch;
    read(p, &j.w);
    const tn_matmul_plan *plan = &j.w.plan;
    if (plan->m * plan->n * plan->batch == 0) return NULL;
    j.lda = plan->k;
    if (j.w.transpose_a) {
        float *a = (float *)(void *)scratch;
        if (plan->k) transpose(j.a, plan->k, plan->m, a);
        j.a = a;
        scratch += pad_bytes(plan->m * plan->k);
    }
    /* Both ways packed is only read from here on. */
    j.packed = is_packed(p) ? (float *)(uintptr_t)l->packed : (float *)(void *)scratch;
    if (plan->k == 0) j.a = j.packed = j.y; /* never read, but not NULL */
    else if (!is_packed(p)) TN_TRY(pack_all(&j, l->pool));
    j.row_chunks = (plan->m + CHUNK_ROWS - 1) / CHUNK_ROWS;
    j.column_chunks = (plan->n + CHUNK_COLUMNS - 1) / CHUNK_COLUMNS;
    int64_t chunks = plan->batch * j.row_chunks * j.column_chunks;
    double work = (double)plan->m * (double)plan->n * (double)(plan->k + 1) * (double)plan->batch;
    int64_t grain = 1 + (int64_t)(GRAIN * (double)chunks / work);
    return tn_pool_run(l->pool, chunks, grain, run_share, &j);
}

extern const tn_tactic TN_VARIANT_NAME(tn_cpu_matmul_tiles)[];
#define TACTIC(op_name, text)                                                                      \
    {                                                                                              \
        .name = "cpu." text ".f32.tiles." TN_VARIANT_TEXT, .op = op_name, .revision = 1,           \
        .accepts = accepts, .scratch_bytes = scratch_bytes, .packed_bytes = packed_bytes,          \
        .pack = pack, .unused = unused, .launch = launch,                                          \
    }
const tn_tactic TN_VARIANT_NAME(tn_cpu_matmul_tiles)[] = {
    TACTIC("MatMul", "matmul"),
    TACTIC("Gemm", "gemm"),
    {0},
};
