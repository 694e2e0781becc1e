/* Transpose of 4-byte elements. Axes that stay neighbours are merged first. If the last axis stays
 * last, whole rows are copied; else the input's last axis and the output's last axis span a plane
 * that is turned in squares small enough for both sides to stay in the cache. */
#include <string.h>

#include "backends/cpu/variant.h"
#include "device/device.h"
#include "ops/transpose/transpose.h"

enum { SQUARE = 16, GRAIN = 16384 }; /* elements worth a thread */

/* The output's axes, merged, with their steps in the input. `unit` has step 1 there. */
typedef struct job {
    const uint32_t *x;
    uint32_t *y;
    int rank, unit;
    int64_t dim[TN_RANK_MAX], step[TN_RANK_MAX], y_step[TN_RANK_MAX];
    int64_t strips; /* of SQUARE steps along `unit` */
} job;

static tn_verdict accepts(const tn_problem *p)
{
    return tn_dtype_bits(p->in[0].dtype) == 32 ? TN_YES : TN_NO("elements are not 4 bytes");
}

static void plan(const tn_problem *p, job *j)
{
    const tn_transpose_params *params = p->params;
    const tn_tensor *x = &p->in[0];
    int64_t step[TN_RANK_MAX], along = 1;
    for (int i = x->rank - 1; i >= 0; along *= x->dim[i--]) step[i] = along;
    *j = (job){.x = x->data, .y = p->out[0].data};
    for (int i = 0; i < x->rank; i++) {
        int from =
            params->perm.count >= 0 ? tn_axis_normal(params->perm.at[i], x->rank) : x->rank - 1 - i;
        if (x->dim[from] == 1) continue;
        if (j->rank && j->step[j->rank - 1] == step[from] * x->dim[from]) {
            j->dim[j->rank - 1] *= x->dim[from];
            j->step[j->rank - 1] = step[from];
            continue;
        }
        j->dim[j->rank] = x->dim[from];
        j->step[j->rank++] = step[from];
    }
    if (j->rank == 0) {
        j->dim[0] = j->step[0] = 1;
        j->rank = 1;
    }
    along = 1;
    for (int i = j->rank - 1; i >= 0; along *= j->dim[i--]) j->y_step[i] = along;
    for (int i = 0; i < j->rank; i++)
        if (j->step[i] == 1) j->unit = i;
    j->strips = j->unit == j->rank - 1 ? 1 : (j->dim[j->unit] + SQUARE - 1) / SQUARE;
}

/* A strip: SQUARE positions along `unit`, all of the last axis. */
static void turn(const job *j, const uint32_t *x, uint32_t *y, int64_t first)
{
    int last = j->rank - 1;
    int64_t end = TN_MIN(first + SQUARE, j->dim[j->unit]), n = j->dim[last], step = j->step[last];
    for (int64_t begin = 0; begin < n; begin += SQUARE) {
        int64_t stop = TN_MIN(begin + SQUARE, n);
        for (int64_t u = first; u < end; u++) {
            uint32_t *dst = y + u * j->y_step[j->unit];
            for (int64_t i = begin; i < stop; i++) dst[i] = x[i * step + u];
        }
    }
}

static tn_status run_share(void *arg, int64_t begin, int64_t end, int thread)
{
    const job *j = arg;
    int last = j->rank - 1;
    (void)thread;
    for (int64_t at = begin; at < end; at++) {
        int64_t rest = at / j->strips, x = 0, y = 0;
        for (int i = last - 1; i >= 0; i--) {
            if (i == j->unit) continue;
            x += rest % j->dim[i] * j->step[i];
            y += rest % j->dim[i] * j->y_step[i];
            rest /= j->dim[i];
        }
        if (j->unit == last) memcpy(j->y + y, j->x + x, (size_t)j->dim[last] * sizeof *j->y);
        else turn(j, j->x + x, j->y + y, at % j->strips * SQUARE);
    }
    return NULL;
}

static tn_status launch(const tn_launch *l)
{
    job j;
    int64_t count = 1;
    plan(l->problem, &j);
    for (int i = 0; i < j.rank - 1; i++) count *= i == j.unit ? j.strips : j.dim[i];
    int64_t each = j.dim[j.rank - 1] * (j.unit == j.rank - 1 ? 1 : SQUARE);
    if (count == 0 || each == 0) return NULL;
    return tn_pool_run(l->pool, count, 1 + GRAIN / each, run_share, &j);
}

extern const tn_tactic TN_VARIANT_NAME(tn_cpu_transpose_tiles)[];
const tn_tactic TN_VARIANT_NAME(tn_cpu_transpose_tiles)[] = {
    {
        .name = "cpu.transpose.b32.tiles." TN_VARIANT_TEXT,
        .op = "Transpose",
        .revision = 1,
        .accepts = accepts,
        .launch = launch,
    },
    {0},
};
