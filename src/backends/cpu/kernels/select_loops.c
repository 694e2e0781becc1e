/* Comparisons of f32 and Where between them, for operands that are whole or a scalar: what gates
 * the gradients of Relu and its like. The compiler makes vectors of these loops. */
#include "backends/cpu/variant.h"
#include "device/device.h"

enum { BLOCK = 4096, GRAIN_BLOCKS = 8 }; /* elements of a block; blocks worth a thread */

typedef struct job {
    const bool *condition;
    const float *a, *b;
    void *y;
    int64_t count;
    bool condition_moves, a_moves, b_moves;
} job;

static bool is_whole(const tn_tensor *t, const tn_tensor *y)
{
    return tn_tensor_same_shape(t, y);
}

static tn_verdict accepts_operand(const tn_tensor *t, const tn_tensor *y)
{
    if (!is_whole(t, y) && tn_dims_product(t->dim, 0, t->rank) != 1)
        return TN_NO("an operand is neither whole nor a scalar");
    return TN_YES;
}

static tn_verdict accepts(const tn_problem *p)
{
    bool where = p->in_count == 3;
    if (p->in[where].dtype != TN_DTYPE_F32) return TN_NO("the operands are not f32");
    for (int i = 0; i < p->in_count; i++) {
        tn_verdict why_not = accepts_operand(&p->in[i], &p->out[0]);
        if (why_not) return why_not;
    }
    return TN_YES;
}

static tn_status run(const tn_launch *l, tn_pool_work work)
{
    const tn_problem *p = l->problem;
    const tn_tensor *y = &p->out[0];
    int first = p->in_count == 3;
    job j = {.a = p->in[first].data,
             .b = p->in[first + 1].data,
             .y = y->data,
             .count = tn_dims_product(y->dim, 0, y->rank),
             .a_moves = is_whole(&p->in[first], y),
             .b_moves = is_whole(&p->in[first + 1], y)};
    if (first) {
        j.condition = p->in[0].data;
        j.condition_moves = is_whole(&p->in[0], y);
    }
    return tn_pool_run(l->pool, (j.count + BLOCK - 1) / BLOCK, GRAIN_BLOCKS, work, &j);
}

/* The loop once for each kind of operands, so that each is a plain one. */
#define KINDS(LOOP)                                                                                \
    if (j->a_moves && j->b_moves) LOOP(a[i], b[i])                                                 \
    else if (j->a_moves) LOOP(a[i], *b)                                                            \
    else if (j->b_moves) LOOP(*a, b[i])                                                            \
    else LOOP(*a, *b)

#define COMPARISON(name, op_name, sign)                                                            \
    static tn_status share_##name(void *arg, int64_t begin, int64_t end, int thread)               \
    {                                                                                              \
        const job *j = arg;                                                                        \
        int64_t last = TN_MIN(end * BLOCK, j->count);                                              \
        const float *a = j->a, *b = j->b;                                                          \
        uint8_t *restrict y = j->y;                                                                \
        (void)thread;                                                                              \
        KINDS(LOOP_##name)                                                                         \
        return NULL;                                                                               \
    }                                                                                              \
    static tn_status launch_##name(const tn_launch *l)                                             \
    {                                                                                              \
        return run(l, share_##name);                                                               \
    }

#define COMPARE(left, sign, right)                                                                 \
    for (int64_t i = begin * BLOCK; i < last; i++) y[i] = (left)sign(right);
#define LOOP_greater(left, right) COMPARE(left, >, right)
#define LOOP_less(left, right) COMPARE(left, <, right)
#define LOOP_greaterorequal(left, right) COMPARE(left, >=, right)
#define LOOP_lessorequal(left, right) COMPARE(left, <=, right)
#define ROWS(X)                                                                                    \
    X(greater, "Greater", >)                                                                       \
    X(less, "Less", <)                                                                             \
    X(greaterorequal, "GreaterOrEqual", >=)                                                        \
    X(lessorequal, "LessOrEqual", <=)
ROWS(COMPARISON)

#define CHOOSE(left, right)                                                                        \
    for (int64_t i = begin * BLOCK; i < last; i++) {                                               \
        float yes = left, no = right;                                                              \
        y[i] = c[i] ? yes : no;                                                                    \
    }

static tn_status share_where(void *arg, int64_t begin, int64_t end, int thread)
{
    const job *j = arg;
    int64_t last = TN_MIN(end * BLOCK, j->count);
    const float *a = j->a, *b = j->b;
    const uint8_t *c = (const uint8_t *)j->condition;
    float *restrict y = j->y;
    (void)thread;
    if (!j->condition_moves) {
        for (int64_t i = begin * BLOCK; i < last; i++)
            y[i] = *c ? a[j->a_moves ? i : 0] : b[j->b_moves ? i : 0];
        return NULL;
    }
    KINDS(CHOOSE)
    return NULL;
}

static tn_status launch_where(const tn_launch *l)
{
    return run(l, share_where);
}

#define TACTIC(row_name, op_name, sign)                                                            \
    {                                                                                              \
        .name = "cpu." #row_name ".f32.loop." TN_VARIANT_TEXT,                                     \
        .op = op_name,                                                                             \
        .revision = 1,                                                                             \
        .accepts = accepts,                                                                        \
        .launch = launch_##row_name,                                                               \
    },
extern const tn_tactic TN_VARIANT_NAME(tn_cpu_select_loops)[];
const tn_tactic TN_VARIANT_NAME(tn_cpu_select_loops)[] = {
    ROWS(TACTIC) TACTIC(where, "Where", ?:){0},
};
