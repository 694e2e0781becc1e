/* Operators of two f32 operands, a vector at a time, for the broadcasts that matter: an operand is
 * whole, a scalar, or a row that repeats (its dims are the last ones of the result). */
#include "backends/cpu/kernels/simd.h"
#include "backends/cpu/variant.h"
#include "device/device.h"

enum { BLOCK = 1024, GRAIN_BLOCKS = 16 }; /* elements of a block; blocks worth a thread */

typedef struct job {
    const float *a, *b;
    float *y;
    int64_t count, a_count, b_count; /* an operand repeats after its count */
} job;

/* Leading ones aside, are t's dims the last ones of y? */
static bool repeats(const tn_tensor *t, const tn_tensor *y)
{
    int skip = 0;
    while (skip < t->rank && t->dim[skip] == 1) skip++;
    for (int i = skip; i < t->rank; i++)
        if (t->dim[i] != y->dim[y->rank - t->rank + i]) return false;
    return true;
}

static tn_verdict accepts(const tn_problem *p)
{
    if (p->in[0].dtype != TN_DTYPE_F32) return TN_NO("the operands are not f32");
    if (!repeats(&p->in[0], &p->out[0])) return TN_NO("A is broadcast along an inner axis");
    if (!repeats(&p->in[1], &p->out[0])) return TN_NO("B is broadcast along an inner axis");
    return TN_YES;
}

static tn_status run(const tn_launch *l, tn_pool_work work)
{
    const tn_problem *p = l->problem;
    const tn_tensor *a = &p->in[0], *b = &p->in[1], *y = &p->out[0];
    job j = {.a = a->data,
             .b = b->data,
             .y = y->data,
             .count = tn_dims_product(y->dim, 0, y->rank),
             .a_count = tn_dims_product(a->dim, 0, a->rank),
             .b_count = tn_dims_product(b->dim, 0, b->rank)};
    return tn_pool_run(l->pool, (j.count + BLOCK - 1) / BLOCK, GRAIN_BLOCKS, work, &j);
}

/* How far both operands run on from element i before one starts again. */
static int64_t run_length(const job *j, int64_t i, int64_t last)
{
    int64_t count = last - i;
    if (j->a_count > 1) count = TN_MIN(count, j->a_count - i % j->a_count);
    if (j->b_count > 1) count = TN_MIN(count, j->b_count - i % j->b_count);
    return count;
}

/* One run; a scalar operand is a vector that stays. */
#define LOOP(name, op_name, sign)                                                                  \
    static void run_##name(const float *a, bool a_moves, const float *b, bool b_moves, float *y,   \
                           int64_t count)                                                          \
    {                                                                                              \
        vf32 va = vf32_set1(*a), vb = vf32_set1(*b);                                               \
        int64_t i = 0;                                                                             \
        for (; i + VF32_LANES <= count; i += VF32_LANES) {                                         \
            if (a_moves) va = vf32_load(a + i);                                                    \
            if (b_moves) vb = vf32_load(b + i);                                                    \
            vf32_store(y + i, va sign vb);                                                         \
        }                                                                                          \
        for (; i < count; i++) y[i] = a[a_moves ? i : 0] sign b[b_moves ? i : 0];                  \
    }                                                                                              \
    static tn_status share_##name(void *arg, int64_t begin, int64_t end, int thread)               \
    {                                                                                              \
        const job *j = arg;                                                                        \
        int64_t i = begin * BLOCK, last = TN_MIN(end * BLOCK, j->count);                           \
        (void)thread;                                                                              \
        while (i < last) {                                                                         \
            int64_t count = run_length(j, i, last);                                                \
            run_##name(j->a + i % j->a_count, j->a_count > 1, j->b + i % j->b_count,               \
                       j->b_count > 1, j->y + i, count);                                           \
            i += count;                                                                            \
        }                                                                                          \
        return NULL;                                                                               \
    }                                                                                              \
    static tn_status launch_##name(const tn_launch *l)                                             \
    {                                                                                              \
        return run(l, share_##name);                                                               \
    }

#define ROWS(X) X(add, "Add", +) X(sub, "Sub", -) X(mul, "Mul", *) X(div, "Div", /)
ROWS(LOOP)

#define TACTIC(row_name, op_name, sign)                                                            \
    {                                                                                              \
        .name = "cpu." #row_name ".f32.loop." TN_VARIANT_TEXT,                                     \
        .op = op_name,                                                                             \
        .revision = 1,                                                                             \
        .accepts = accepts,                                                                        \
        .launch = launch_##row_name,                                                               \
    },
extern const tn_tactic TN_VARIANT_NAME(tn_cpu_binary_loops)[];
const tn_tactic TN_VARIANT_NAME(tn_cpu_binary_loops)[] = {
    ROWS(TACTIC){0},
};
