/* Sums and means over axes in f32: ReduceSum, ReduceMean and SumTo. Axes next to each other that
 * are all summed, or all kept, become one; then x is [outer, summed, kept]: rows of `kept` are
 * added up; or, where that ends in summed axes, [outer, kept, run]: runs are added up one by one.
 *
 *     [64, 500] to [500]: rows            [64, 20, 24, 24] to [20]: 64 * 20 runs of 576
 *
 * Rounding stays small: rows are added in blocks, runs in lanes, blocks and runs in double. */
#include "backends/cpu/kernels/simd.h"
#include "backends/cpu/variant.h"
#include "device/device.h"
#include "ops/reduce/reduce.h"

enum { BLOCK = 128, COLUMNS = 256, GRAIN = 200000 }; /* rows; columns; elements worth a thread */

typedef struct job {
    const float *x;
    float *y;
    int64_t outer, summed, kept, run; /* x is [outer, summed, kept, run], y [outer, kept] */
    float scale;
} job;

/* Which axes of x are summed. */
static bool find_summed(const tn_problem *p, bool *summed)
{
    const tn_tensor *x = &p->in[0];
    if (p->op[0] == 'S') {
        int skip = x->rank - p->out[0].rank;
        if (skip < 0) return false;
        for (int i = 0; i < x->rank; i++)
            summed[i] = i < skip || (p->out[0].dim[i - skip] == 1 && x->dim[i] != 1);
        return true;
    }
    const tn_reduce_params *params = p->params;
    const tn_tensor *axes = p->in_count > 1 && p->in[1].dtype ? &p->in[1] : NULL;
    int64_t count = axes ? tn_tensor_count(axes) : 0;
    if (count && !axes->data) return false;
    for (int i = 0; i < x->rank; i++) summed[i] = count == 0 && !params->noop_with_empty_axes;
    for (int64_t k = 0; k < count; k++) {
        int axis = tn_axis_normal(tn_load_i64(axes->dtype, axes->data, k), x->rank);
        if (axis < 0) return false;
        summed[axis] = true;
    }
    return true;
}

static tn_verdict read_job(const tn_problem *p, job *out)
{
    const tn_tensor *x = &p->in[0];
    bool summed[TN_RANK_MAX], kind[TN_RANK_MAX];
    int64_t group[TN_RANK_MAX];
    int groups = 0;
    if (!find_summed(p, summed)) return TN_NO("the axes are not known");
    for (int i = 0; i < x->rank; i++) {
        if (x->dim[i] == 1) continue;
        if (groups > 0 && kind[groups - 1] == summed[i]) group[groups - 1] *= x->dim[i];
        else {
            kind[groups] = summed[i];
            group[groups++] = x->dim[i];
        }
    }
    *out = (job){.outer = 1, .summed = 1, .kept = 1, .run = 1, .scale = 1};
    int at = 0;
    bool ends_in_sum = groups > 0 && kind[groups - 1];
    if (ends_in_sum) out->run = group[--groups];
    if (groups > 0 && kind[groups - 1] == 0) out->kept = group[--groups];
    if (groups > 0) out->summed = group[--groups];
    if (groups > 0) out->outer = group[at++];
    if (groups > 1) return TN_NO("summed and kept axes alternate too often");
    return TN_YES;
}

static tn_verdict accepts(const tn_problem *p)
{
    job j;
    if (p->in[0].dtype != TN_DTYPE_F32) return TN_NO("the operands are not f32");
    if (p->op[0] == 'R' && p->in_count > 1 && p->in[1].dtype && !(p->in_constant & 2))
        return TN_NO("the axes are not constant");
    return read_job(p, &j);
}

static double sum_run(const float *x, int64_t count)
{
    vf32 sum = {0};
    double total = 0;
    int64_t i = 0;
    while (i + VF32_LANES <= count) {
        int64_t stop = TN_MIN(count, i + BLOCK * VF32_LANES);
        for (; i + VF32_LANES <= stop; i += VF32_LANES) sum += vf32_load(x + i);
        total += (double)vf32_sum(sum);
        sum = (vf32){0};
    }
    for (; i < count; i++) total += (double)x[i];
    return total;
}

/* Columns [column, column + count) of the rows below one outer index. */
static void sum_rows(const job *j, int64_t outer, int64_t column, int64_t count)
{
    double total[COLUMNS] = {0};
    const float *x = j->x + outer * j->summed * j->kept + column;
    for (int64_t row = 0; row < j->summed; row += BLOCK) {
        float block[COLUMNS] = {0};
        int64_t last = TN_MIN(row + BLOCK, j->summed);
        for (int64_t r = row; r < last; r++) {
            const float *restrict src = x + r * j->kept;
            for (int64_t i = 0; i < count; i++) block[i] += src[i];
        }
        for (int64_t i = 0; i < count; i++) total[i] += (double)block[i];
    }
    float *y = j->y + outer * j->kept + column;
    for (int64_t i = 0; i < count; i++) y[i] = (float)total[i] * j->scale;
}

static tn_status rows_share(void *arg, int64_t begin, int64_t end, int thread)
{
    const job *j = arg;
    int64_t chunks = (j->kept + COLUMNS - 1) / COLUMNS;
    (void)thread;
    for (int64_t at = begin; at < end; at++) {
        int64_t column = at % chunks * COLUMNS;
        sum_rows(j, at / chunks, column, TN_MIN(COLUMNS, j->kept - column));
    }
    return NULL;
}

static tn_status runs_share(void *arg, int64_t begin, int64_t end, int thread)
{
    const job *j = arg;
    (void)thread;
    for (int64_t at = begin; at < end; at++) {
        double total = 0;
        const float *x = j->x + (at / j->kept * j->summed * j->kept + at % j->kept) * j->run;
        for (int64_t s = 0; s < j->summed; s++) total += sum_run(x + s * j->kept * j->run, j->run);
        j->y[at] = (float)total * j->scale;
    }
    return NULL;
}

static tn_status launch(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    job j;
    tn_verdict why_not = read_job(p, &j);
    TN_CHECK(!why_not, TN_INTERNAL, "%s", why_not);
    j.x = p->in[0].data;
    j.y = p->out[0].data;
    int64_t results = j.outer * j.kept, each = j.summed * j.run;
    if (p->op[0] == 'R' && p->op[6] == 'M') j.scale = 1.0f / (float)each;
    if (results == 0) return NULL;
    if (j.run == 1 && j.kept > 1) {
        int64_t chunks = j.outer * ((j.kept + COLUMNS - 1) / COLUMNS);
        int64_t grain = 1 + GRAIN / (1 + each * TN_MIN(j.kept, COLUMNS));
        return tn_pool_run(l->pool, chunks, grain, rows_share, &j);
    }
    return tn_pool_run(l->pool, results, 1 + GRAIN / (1 + each), runs_share, &j);
}

#define TACTIC(op_name, text)                                                                      \
    {                                                                                              \
        .name = "cpu." text ".f32.runs." TN_VARIANT_TEXT, .op = op_name, .revision = 1,            \
        .accepts = accepts, .launch = launch,                                                      \
    }
extern const tn_tactic TN_VARIANT_NAME(tn_cpu_reduce_runs)[];
const tn_tactic TN_VARIANT_NAME(tn_cpu_reduce_runs)[] = {
    TACTIC("ReduceSum", "reducesum"),
    TACTIC("ReduceMean", "reducemean"),
    TACTIC("SumTo", "sumto"),
    {0},
};
