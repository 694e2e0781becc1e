/* MatMulInteger, QLinearMatMul and QuantizedLinear: products of bytes in 32 bits, exact.
 *
 * Instructions want a without sign and b with one, so 128 is added to the numbers (and to the zero
 * point) of an a with, and taken from those of a b without. Zero points leave the sums:
 *
 *     sum over k of (a - za)(b - zb) = sum of a b  -  zb (sum of a - K za)  -  za (sum of b)
 *
 * where the last sum is packed with b, and the one of a is taken while its strips are laid out.
 * Blocks are 32 rows by TILE_COLUMNS columns by steps of 16 groups of BYTES_GROUP of k:
 *
 *     a: strip of 32 rows           [step of k][row][group][k of a group], a group is 4 bytes
 *     b: panel of TILE_COLUMNS      [step of k][half][group][column of the half][k of a group]
 */
#include <math.h>

#include "backends/cpu/variant.h"
#if defined(__AVX512F__) && !defined(__AVX512VNNI__)
#include "backends/cpu/kernels/bytes_tiles.h"
#else
#include "backends/cpu/kernels/bytes_dots.h"
#endif
#include "device/device.h"
#include "ops/matmul/matmul.h"
#include "ops/quantize/quantize.h"

enum { ROWS = 32, GROUPS = 16, STEP_K = GROUPS * BYTES_GROUP, A_STEP = ROWS * GROUPS * 4 };
enum { GROUP = 8 };         /* strips that meet a panel in turn */
enum { GRAIN_NS = 4000 };   /* of work that are worth a thread */
enum { QLINEAR_K = 33000 }; /* sums of more may not fit 32 bits */
enum { A, A_SCALE, A_ZERO, B, B_SCALE, B_ZERO, Y_SCALE, Y_ZERO, BIAS }; /* of the last two */

typedef struct job {
    tn_matmul_plan plan;
    const tn_problem *p;
    int b_input, a_zero, b_zero; /* inputs */
    bool quantised;              /* is y? */
    int64_t matrices;            /* of b */
    int64_t a_rows;              /* of a matrix of a */
    int64_t strips, panels, steps;
    const uint8_t *a, *b;
    uint8_t a_flip, b_flip; /* 128 where the other sign is wanted */
    uint8_t *packed;        /* written only by packing */
    int32_t *b_sums;        /* behind it: [matrix][panel][column] */
    uint8_t *split;         /* a as strips: [batch][strip] */
    int32_t *a_sums;        /* [batch][strip][row] */
} job;

static void read_job(const tn_problem *p, job *j)
{
    *j = (job){.p = p, .b_input = 1, .a_zero = 2, .b_zero = 3};
    if (p->op[0] == 'Q')
        j->b_input = B, j->a_zero = A_ZERO, j->b_zero = B_ZERO, j->quantised = true;
    const tn_tensor *a = &p->in[A], *b = &p->in[j->b_input];
    tn_tensor pair[2] = {*a, *b};
    tn_problem shapes = *p;
    shapes.in = pair;
    tn_matmul_plan_of(&shapes, &j->plan);
    j->a_rows = a->rank > 1 ? a->dim[a->rank - 2] : 1;
    j->matrices = b->rank > 2 ? tn_dims_product(b->dim, 0, b->rank - 2) : 1;
    j->strips = (j->plan.m + ROWS - 1) / ROWS;
    j->panels = tile_panels(j->plan.n);
    j->steps = (j->plan.k + STEP_K - 1) / STEP_K;
    j->a = a->data;
    j->b = b->data;
    j->a_flip = a->dtype == TN_DTYPE_I8 ? 128 : 0;
    j->b_flip = b->dtype == TN_DTYPE_U8 ? 128 : 0;
}

static tn_verdict accepts(const tn_problem *p)
{
    job j;
    read_job(p, &j);
    if (j.plan.k == 0) return TN_NO("there is nothing to sum");
    if (j.quantised && j.plan.k > QLINEAR_K) return TN_NO("sums might not fit 32 bits");
    return TN_YES;
}

static bool is_packed(const job *j)
{
    return j->p->in_constant >> j->b_input & 1;
}

static int64_t b_panel(const job *j)
{
    return j->steps * 2 * BYTES_HALF;
}

static size_t b_bytes(const job *j)
{
    int64_t panels = j->matrices * j->panels;
    return tn_align_up((size_t)(panels * (b_panel(j) + TILE_COLUMNS * 4)), TN_ALIGNMENT);
}

static void set_packed(job *j, void *at)
{
    j->packed = at;
    j->b_sums = (int32_t *)(void *)(j->packed + j->matrices * j->panels * b_panel(j));
}

static size_t packed_bytes(const tn_problem *p)
{
    job j;
    read_job(p, &j);
    return is_packed(&j) ? b_bytes(&j) : 0;
}

static size_t a_bytes(const job *j)
{
    int64_t strips = j->plan.batch * j->strips;
    return tn_align_up((size_t)(strips * (j->steps * A_STEP + ROWS * 4)), TN_ALIGNMENT);
}

static size_t scratch_bytes(const tn_problem *p)
{
    job j;
    read_job(p, &j);
    return a_bytes(&j) + (is_packed(&j) ? 0 : b_bytes(&j));
}

static uint64_t unused(const tn_problem *p)
{
    job j;
    read_job(p, &j);
    return is_packed(&j) ? UINT64_C(1) << j.b_input : 0;
}

/* ---- Layouts ---------------------------------------------------------------------------------*/

static tn_status pack_share(void *arg, int64_t begin, int64_t end, int thread)
{
    job *j = arg;
    int64_t n = j->plan.n, k = j->plan.k;
    (void)thread;
    for (int64_t at = begin; at < end; at++) {
        int64_t column = at % j->panels * TILE_COLUMNS;
        int64_t count = TN_MIN(TILE_COLUMNS, n - column);
        const uint8_t *b = j->b + at / j->panels * k * n + column;
        uint8_t *dst = j->packed + at * b_panel(j);
        uint32_t sums[TILE_COLUMNS] = {0};
        memset(dst, 0, (size_t)b_panel(j));
        for (int64_t p = 0; p < k; p++, b += n) {
            uint8_t *to = dst + p / STEP_K * 2 * BYTES_HALF + p % BYTES_GROUP +
                          p % STEP_K / BYTES_GROUP * VF32_LANES * BYTES_GROUP;
            for (int64_t c = 0; c < count; c++) {
                uint8_t value = b[c] ^ j->b_flip;
                sums[c] += (uint32_t)(int8_t)value;
                to[c / VF32_LANES * BYTES_HALF + c % VF32_LANES * BYTES_GROUP] = value;
            }
        }
        memcpy(j->b_sums + at * TILE_COLUMNS, sums, sizeof sums);
    }
    return NULL;
}

/* Rows of a in groups, zeros behind them and up to the next 16 rows; and their sums. */
static tn_status strip_share(void *arg, int64_t begin, int64_t end, int thread)
{
    job *j = arg;
    int64_t k = j->plan.k, b_at, a_at;
    (void)thread;
    for (int64_t at = begin; at < end; at++) {
        int64_t row = at % j->strips * ROWS, rows = TN_MIN(ROWS, j->plan.m - row);
        uint8_t *strip = j->split + at * j->steps * A_STEP;
        tn_matmul_offsets(&j->plan, at / j->strips, &a_at, &b_at);
        memset(j->a_sums + at * ROWS, 0, ROWS * sizeof(int32_t));
        for (int64_t i = 0; i < (rows > 16 ? ROWS : 16); i++) {
            const uint8_t *a = j->a + a_at + (row + i) * k;
            uint32_t sum = 0;
            for (int64_t s = 0; s < j->steps; s++) {
                int64_t count = i < rows ? TN_MIN(STEP_K, k - s * STEP_K) : 0;
                bytes_of_a line[STEP_K] = {0};
                for (int64_t p = 0; p < count; p++) {
                    line[p] = a[s * STEP_K + p] ^ j->a_flip;
                    sum += (uint32_t)line[p];
                }
                memcpy(strip + s * A_STEP + i * GROUPS * 4, line, sizeof line);
            }
            j->a_sums[at * ROWS + i] = (int32_t)sum;
        }
    }
    return NULL;
}

static tn_status pack(const tn_problem *p, void *dst)
{
    job j;
    read_job(p, &j);
    memset(dst, 0, b_bytes(&j)); /* the padding too: the same model gives the same file */
    set_packed(&j, dst);
    return pack_share(&j, 0, j.matrices * j.panels, 0);
}

/* ---- Sums to outputs -------------------------------------------------------------------------*/

/* What columns and rows of a block need. */
typedef struct ends {
    double ratio[TILE_COLUMNS];   /* of a sum to y */
    double b_scale[TILE_COLUMNS]; /* as given */
    double bias[TILE_COLUMNS];
    uint32_t b_zero[TILE_COLUMNS]; /* as far as b's sign was changed */
    const int32_t *b_sums;
} ends;

static int64_t pick(const tn_problem *p, int input, int64_t index, int64_t size)
{
    return tn_quantize_pick(tn_tensor_count(&p->in[input]), index, size);
}

/* `moved`: what was added to the numbers it belongs to. */
static uint32_t zero_of(const tn_problem *p, int input, int64_t index, int64_t size, int64_t moved)
{
    if (input >= p->in_count || p->in[input].dtype == TN_DTYPE_NONE) return (uint32_t)moved;
    const tn_tensor *t = &p->in[input];
    return (uint32_t)(tn_load_i64(t->dtype, t->data, pick(p, input, index, size)) + moved);
}

static double scale_of(const tn_problem *p, int input, int64_t index, int64_t size)
{
    const tn_tensor *t = &p->in[input];
    return tn_load_f64(t->dtype, t->data, pick(p, input, index, size));
}

static void put_bytes(const job *j, const ends *e, int64_t row, const int32_t *sums, int64_t count,
                      uint8_t *y)
{
    const tn_problem *p = j->p;
    bool is_signed = p->out[0].dtype == TN_DTYPE_I8;
    const tn_tensor *zeros = &p->in[Y_ZERO];
    double low = is_signed ? -128 : 0, high = is_signed ? 127 : 255;
    double zero = (double)tn_load_i64(zeros->dtype, zeros->data, pick(p, Y_ZERO, row, j->a_rows));
    int32_t line[TILE_COLUMNS];
    for (int c = 0; c < TILE_COLUMNS; c++) {
        double x = rint(((double)sums[c] + e->bias[c]) * e->ratio[c]) + zero;
        x = x == x ? x : zero;
        x = x > low ? x : low;
        line[c] = (int32_t)(x < high ? x : high);
    }
    for (int64_t c = 0; c < count; c++) y[c] = (uint8_t)line[c];
}

static void end_block(const job *j, ends *e, int64_t a_row, const int32_t *a_sums, int64_t rows,
                      int32_t *sums, int64_t count, int64_t y_at)
{
    const tn_problem *p = j->p;
    uint32_t k = (uint32_t)j->plan.k;
    bool by_rows = j->quantised &&
                   (tn_tensor_count(&p->in[A_SCALE]) > 1 || tn_tensor_count(&p->in[Y_SCALE]) > 1);
    bool one_zero = j->a_zero >= p->in_count || tn_tensor_count(&p->in[j->a_zero]) <= 1;
    uint32_t a_zero = zero_of(p, j->a_zero, a_row, j->a_rows, j->a_flip);
    for (int64_t i = 0; i < rows; i++, sums += TILE_COLUMNS, y_at += j->plan.n) {
        int64_t row = a_row + i;
        if (!one_zero) a_zero = zero_of(p, j->a_zero, row, j->a_rows, j->a_flip);
        uint32_t a_sum = (uint32_t)a_sums[i] - k * a_zero;
        for (int c = 0; c < TILE_COLUMNS; c++)
            sums[c] = (int32_t)((uint32_t)sums[c] - e->b_zero[c] * a_sum -
                                a_zero * (uint32_t)e->b_sums[c]);
        if (!j->quantised) {
            memcpy((int32_t *)p->out[0].data + y_at, sums, (size_t)count * sizeof(int32_t));
            continue;
        }
        if (i == 0 || by_rows) {
            double a_scale = scale_of(p, A_SCALE, row, j->a_rows);
            double y_scale = scale_of(p, Y_SCALE, row, j->a_rows);
            for (int c = 0; c < TILE_COLUMNS; c++) e->ratio[c] = a_scale * e->b_scale[c] / y_scale;
        }
        put_bytes(j, e, row, sums, count, (uint8_t *)p->out[0].data + y_at);
    }
}

static void run_block(const job *j, int64_t batch, int64_t strip, int64_t panel, ends *e)
{
    _Alignas(TN_ALIGNMENT) int32_t sums[ROWS * TILE_COLUMNS];
    const tn_matmul_plan *plan = &j->plan;
    int64_t row = strip * ROWS, column = panel * TILE_COLUMNS, a_at, b_at;
    int64_t rows = TN_MIN(ROWS, plan->m - row), count = TN_MIN(TILE_COLUMNS, plan->n - column);
    tn_matmul_offsets(plan, batch, &a_at, &b_at);
    int64_t at = b_at / (plan->k * plan->n) * j->panels + panel,
            strip_at = batch * j->strips + strip;
    e->b_sums = j->b_sums + at * TILE_COLUMNS;
    bytes_multiply(rows, j->steps, j->split + strip_at * j->steps * A_STEP,
                   j->packed + at * b_panel(j), sums);
    end_block(j, e, a_at / plan->k + row, j->a_sums + strip_at * ROWS, rows, sums, count,
              (batch * plan->m + row) * plan->n + column);
}

/* Units are groups of strips by panels, panels first. */
static tn_status run_share(void *arg, int64_t begin, int64_t end, int thread)
{
    const job *j = arg;
    int64_t groups = (j->strips + GROUP - 1) / GROUP, n = j->plan.n, a_at, b_at;
    ends e = {0};
    (void)thread;
    bytes_begin();
    for (int64_t at = begin; at < end; at++) {
        int64_t group = at / j->panels % groups, batch = at / j->panels / groups;
        int64_t column = at % j->panels * TILE_COLUMNS;
        tn_matmul_offsets(&j->plan, batch, &a_at, &b_at);
        for (int64_t c = 0; c < TN_MIN(TILE_COLUMNS, n - column); c++) {
            int64_t index = b_at / j->plan.k + column + c;
            e.b_zero[c] = zero_of(j->p, j->b_zero, index, n, -j->b_flip);
            if (j->quantised) e.b_scale[c] = scale_of(j->p, B_SCALE, index, n);
            if (BIAS < j->p->in_count) e.bias[c] = scale_of(j->p, BIAS, index, n);
        }
        for (int64_t s = group * GROUP; s < TN_MIN(j->strips, (group + 1) * GROUP); s++)
            run_block(j, batch, s, at % j->panels, &e);
    }
    bytes_end();
    return NULL;
}

static double work_ns(const job *j)
{
    double rows = (double)(j->plan.batch * j->strips * ROWS);
    return rows * (double)(j->panels * TILE_COLUMNS) * (double)(j->steps * STEP_K) / BYTES_MACS_NS;
}

static double estimate_ns(const tn_problem *p)
{
    job j;
    read_job(p, &j);
    return 300 + work_ns(&j) + 0.5 * (double)a_bytes(&j) +
           (is_packed(&j) ? 0.1 : 1) * (double)b_bytes(&j);
}

static int64_t grain_of(int64_t count, double ns)
{
    return 1 + (int64_t)(GRAIN_NS * (double)count / (ns + 1));
}

static tn_status launch(const tn_launch *l)
{
    job j;
    read_job(l->problem, &j);
    int64_t strips = j.plan.batch * j.strips, panels = j.matrices * j.panels;
    int64_t units = j.plan.batch * ((j.strips + GROUP - 1) / GROUP) * j.panels;
    if (units == 0) return NULL;
    j.split = l->scratch;
    j.a_sums = (int32_t *)(void *)(j.split + strips * j.steps * A_STEP);
    /* Both ways packed is only read from here on. */
    set_packed(&j, is_packed(&j) ? (uint8_t *)(uintptr_t)l->packed : j.split + a_bytes(&j));
    if (!is_packed(&j))
        TN_TRY(tn_pool_run(l->pool, panels, grain_of(panels, (double)b_bytes(&j)), pack_share, &j));
    TN_TRY(
        tn_pool_run(l->pool, strips, grain_of(strips, 0.5 * (double)a_bytes(&j)), strip_share, &j));
    return tn_pool_run(l->pool, units, grain_of(units, work_ns(&j)), run_share, &j);
}

extern const tn_tactic TN_VARIANT_NAME(tn_cpu_matmul_bytes)[];
#define TACTIC(op_name, text)                                                                      \
    {                                                                                              \
        .name = "cpu." text ".i8.tiles." TN_VARIANT_TEXT, .op = op_name, .revision = 1,            \
        .accepts = accepts, .scratch_bytes = scratch_bytes, .estimate_ns = estimate_ns,            \
        .packed_bytes = packed_bytes, .pack = pack, .unused = unused, .launch = launch,            \
    }
const tn_tactic TN_VARIANT_NAME(tn_cpu_matmul_bytes)[] = {
    TACTIC("MatMulInteger", "matmulinteger"),
    TACTIC("QLinearMatMul", "qlinearmatmul"),
    TACTIC("QuantizedLinear", "quantizedlinear"),
    {0},
};
