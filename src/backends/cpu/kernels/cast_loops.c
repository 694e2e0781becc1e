/* Cast from i32 to f32, a vector at a time: what products of quantised numbers are made into. Ties
 * to even, as everybody's conversion. */
#include "backends/cpu/kernels/simd.h"
#include "backends/cpu/variant.h"
#include "device/device.h"

enum { BLOCK = 4096, GRAIN_BLOCKS = 4 }; /* elements of a block; blocks worth a thread */

typedef struct job {
    const int32_t *x;
    float *y;
    int64_t count;
} job;

static tn_status share(void *arg, int64_t begin, int64_t end, int thread)
{
    const job *j = arg;
    int64_t i = begin * BLOCK, last = TN_MIN(end * BLOCK, j->count);
    (void)thread;
    for (; i + VF32_LANES <= last; i += VF32_LANES) {
        vi32 x;
        memcpy(&x, j->x + i, sizeof x);
        vf32_store(j->y + i, __builtin_convertvector(x, vf32));
    }
    for (; i < last; i++) j->y[i] = (float)j->x[i];
    return NULL;
}

static tn_verdict accepts(const tn_problem *p)
{
    bool fits = p->in[0].dtype == TN_DTYPE_I32 && p->out[0].dtype == TN_DTYPE_F32;
    return fits ? TN_YES : TN_NO("it is not from i32 to f32");
}

static tn_status launch(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    job j = {p->in[0].data, p->out[0].data, tn_tensor_count(&p->in[0])};
    return tn_pool_run(l->pool, (j.count + BLOCK - 1) / BLOCK, GRAIN_BLOCKS, share, &j);
}

extern const tn_tactic TN_VARIANT_NAME(tn_cpu_cast_loops)[];
const tn_tactic TN_VARIANT_NAME(tn_cpu_cast_loops)[] = {
    {
        .name = "cpu.cast.i32_f32.loop." TN_VARIANT_TEXT,
        .op = "Cast",
        .revision = 1,
        .accepts = accepts,
        .launch = launch,
    },
    {0},
};
