/* MatMul-13: NumPy's matmul. A 1-D a is a row, a 1-D b a column, and that axis leaves the result;
 * axes before the last two are broadcast. Floats are summed in double, integers wrap. */
#include "ops/matmul/matmul.h"

#include "ir/op.h"
#include "ir/gradient.h"
#include "ops/wide/wide.h"

#define TYPES (TN_DTS_FLOAT | TN_DT(I32) | TN_DT(I64) | TN_DT(U32) | TN_DT(U64))

static const tn_port ins[] = {{"A", TYPES, 'T', 0}, {"B", TYPES, 'T', 0}};
static const tn_port outs[] = {{"Y", TYPES, 'T', 0}};

static tn_status fail_shapes(tn_infer *f, const char *what)
{
    char a[128], b[128];
    TN_FAIL(TN_INVALID, "%s: A is %s, B is %s", what,
            tn_type_text(f->exprs, &f->in[0], a, sizeof a),
            tn_type_text(f->exprs, &f->in[1], b, sizeof b));
}

/* Both constant and different; for batch axes a 1 goes with anything. */
static bool conflicts(tn_infer *f, tn_expr a, tn_expr b, bool one_fits)
{
    int64_t x, y;
    if (!tn_expr_is_const(f->exprs, a, &x) || !tn_expr_is_const(f->exprs, b, &y)) return false;
    return x != y && !(one_fits && (x == 1 || y == 1));
}

static tn_status infer(tn_infer *f)
{
    const tn_type *a = &f->in[0], *b = &f->in[1];
    if (a->rank == 0 || b->rank == 0) return fail_shapes(f, "a scalar cannot be multiplied");
    if (a->rank < 0 || b->rank < 0) {
        tn_infer_set(f, 0, a->dtype, -1, NULL);
        return NULL;
    }
    tn_expr ka = a->dim[a->rank - 1], kb = b->dim[TN_MAX(b->rank - 2, 0)];
    if (conflicts(f, ka, kb, false)) return fail_shapes(f, "K does not match");
    int batch_a = TN_MAX(a->rank - 2, 0), batch_b = TN_MAX(b->rank - 2, 0);
    int batch = TN_MAX(batch_a, batch_b), rank = batch;
    tn_expr dim[TN_RANK_MAX + 2], one = tn_expr_const(f->exprs, 1);
    for (int i = 0; i < batch; i++) {
        int ia = i - (batch - batch_a), ib = i - (batch - batch_b);
        tn_expr da = ia < 0 ? one : a->dim[ia], db = ib < 0 ? one : b->dim[ib];
        if (conflicts(f, da, db, true)) return fail_shapes(f, "batch axes do not broadcast");
        dim[i] = tn_expr_broadcast(f->exprs, da, db);
    }
    if (a->rank > 1) dim[rank++] = a->dim[a->rank - 2];
    if (b->rank > 1) dim[rank++] = b->dim[b->rank - 1];
    tn_infer_set(f, 0, a->dtype, rank, dim);
    return NULL;
}

void tn_matmul_plan_of(const tn_problem *p, tn_matmul_plan *out)
{
    const tn_tensor *a = &p->in[0], *b = &p->in[1];
    *out = (tn_matmul_plan){.batch = 1};
    /* From b, which may be packed where the shape of a is not yet known. */
    out->k = b->dim[TN_MAX(b->rank - 2, 0)];
    out->m = a->rank > 1 ? a->dim[a->rank - 2] : 1;
    out->n = b->rank > 1 ? b->dim[b->rank - 1] : 1;
    int batch_a = TN_MAX(a->rank - 2, 0), batch_b = TN_MAX(b->rank - 2, 0);
    if (tn_dims_product(b->dim, 0, batch_b) == 1 && batch_b <= batch_a) {
        out->m *= tn_dims_product(a->dim, 0, batch_a);
        return;
    }
    out->rank = TN_MAX(batch_a, batch_b);
    int64_t a_step = out->m * out->k, b_step = out->k * out->n;
    for (int i = out->rank - 1; i >= 0; i--) {
        int ia = i - (out->rank - batch_a), ib = i - (out->rank - batch_b);
        int64_t da = ia < 0 ? 1 : a->dim[ia], db = ib < 0 ? 1 : b->dim[ib];
        out->dim[i] = da == 1 ? db : da;
        out->a_step[i] = da == 1 ? 0 : a_step;
        out->b_step[i] = db == 1 ? 0 : b_step;
        a_step *= da;
        b_step *= db;
        out->batch *= out->dim[i];
    }
}

void tn_matmul_offsets(const tn_matmul_plan *plan, int64_t batch, int64_t *a, int64_t *b)
{
    *a = *b = 0;
    for (int i = plan->rank - 1; i >= 0; i--) {
        int64_t index = batch % plan->dim[i];
        batch /= plan->dim[i];
        *a += index * plan->a_step[i];
        *b += index * plan->b_step[i];
    }
}

static bool is_float(const tn_problem *p)
{
    return tn_dtype_kind_of(p->in[0].dtype) == TN_KIND_F;
}

/* Rows of B that are widened at a time: weights of gigabytes are read where they lie. */
#define ROWS_AT_ONCE 64

static int64_t product(int64_t a, int64_t b)
{
    int64_t count;
    return tn_mul_i64(a, b, &count) ? count : INT64_MAX;
}

size_t tn_matmul_wide_bytes(const tn_problem *p)
{
    tn_matmul_plan plan;
    tn_matmul_plan_of(p, &plan);
    size_t bytes = tn_wide_add(tn_wide_tensor_bytes(&p->in[0]),
                               tn_wide_bytes(product(TN_MIN(plan.k, ROWS_AT_ONCE), plan.n)));
    return tn_wide_add(bytes, tn_wide_bytes(product(plan.m, plan.n)));
}

void tn_matmul_wide_begin(const tn_problem *p, void *scratch, tn_matmul_wide *out)
{
    tn_matmul_plan_of(p, &out->plan);
    out->a = tn_wide_load(&scratch, &p->in[0]);
    out->b = tn_wide_take(&scratch, TN_MIN(out->plan.k, ROWS_AT_ONCE) * out->plan.n);
    out->c = tn_wide_take(&scratch, out->plan.m * out->plan.n);
}

typedef struct wide_job {
    const tn_matmul_wide *wide;
    const tn_tensor *weights;
    int64_t a_at, b_at;
} wide_job;

/* Columns [begin, end) of c: threads share nothing, and each sum is the same however many there
 * are. */
static tn_status multiply_columns(void *arg, int64_t begin, int64_t end, int thread)
{
    const wide_job *job = arg;
    const tn_matmul_wide *wide = job->wide;
    const tn_matmul_plan *plan = &wide->plan;
    int64_t n = plan->n, count = end - begin;
    (void)thread;
    for (int64_t i = 0; i < plan->m; i++)
        for (int64_t j = begin; j < end; j++) wide->c[i * n + j] = 0;
    for (int64_t k = 0; k < plan->k; k += ROWS_AT_ONCE) {
        int64_t some = TN_MIN(ROWS_AT_ONCE, plan->k - k);
        for (int64_t i = 0; i < some; i++)
            tn_load_f64s(job->weights->dtype, job->weights->data, job->b_at + (k + i) * n + begin,
                         count, wide->b + i * n + begin);
        tn_wide_matmul(plan->m, count, some, wide->a + job->a_at + k, plan->k, wide->b + begin, n,
                       wide->c + begin, n);
    }
    return NULL;
}

tn_status tn_matmul_wide_batch(const tn_launch *l, const tn_matmul_wide *wide, int64_t batch)
{
    enum { SMALL = 1 << 16 }; /* products that no thread is woken for */
    const tn_matmul_plan *plan = &wide->plan;
    wide_job job = {.wide = wide, .weights = &l->problem->in[1]};
    tn_matmul_offsets(plan, batch, &job.a_at, &job.b_at);
    int64_t each = TN_MAX(plan->k, (int64_t)1) * TN_MAX(plan->m, (int64_t)1);
    return tn_pool_run(l->pool, plan->n, SMALL / each + 1, multiply_columns, &job);
}

static size_t scratch_bytes(const tn_problem *p)
{
    return is_float(p) ? tn_matmul_wide_bytes(p) : 0;
}

/* Integers are summed modulo 2^64, which is right for every narrower width. */
static void multiply_integers(const tn_problem *p, const tn_matmul_plan *plan)
{
    const tn_tensor *a = &p->in[0], *b = &p->in[1], *y = &p->out[0];
    for (int64_t at = 0; at < plan->batch; at++) {
        int64_t a_at, b_at;
        tn_matmul_offsets(plan, at, &a_at, &b_at);
        for (int64_t i = 0; i < plan->m; i++) {
            for (int64_t j = 0; j < plan->n; j++) {
                uint64_t sum = 0;
                for (int64_t k = 0; k < plan->k; k++)
                    sum += (uint64_t)tn_load_i64(a->dtype, a->data, a_at + i * plan->k + k) *
                           (uint64_t)tn_load_i64(b->dtype, b->data, b_at + k * plan->n + j);
                tn_store_i64(y->dtype, y->data, (at * plan->m + i) * plan->n + j, (int64_t)sum);
            }
        }
    }
}

static tn_status reference(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_tensor *y = &p->out[0];
    if (!is_float(p)) {
        tn_matmul_plan plan;
        tn_matmul_plan_of(p, &plan);
        multiply_integers(p, &plan);
        return NULL;
    }
    tn_matmul_wide wide;
    tn_matmul_wide_begin(p, l->scratch, &wide);
    int64_t count = wide.plan.m * wide.plan.n;
    if (count == 0) return NULL;
    for (int64_t at = 0; at < wide.plan.batch; at++) {
        TN_TRY(tn_matmul_wide_batch(l, &wide, at));
        tn_store_f64s(y->dtype, y->data, at * count, count, wide.c);
    }
    return NULL;
}

/* With A [.., m, k] and B [.., k, n]: dA = dY B^T, dB = A^T dY, summed over batches that were
 * broadcast. One matrix B for all batches of A is the usual layer: then both are single products
 * over all rows. */
static void gradient_rows(tn_gradient *g, tn_value *a, tn_value *b, tn_value *dy)
{
    const int64_t rows[] = {-1};
    tn_value *shape[2], *flat[2];
    tn_value *of[] = {a, dy};
    for (int i = 0; i < 2; i++) {
        flat[i] = of[i];
        if (of[i]->type.rank == 2) continue;
        tn_value *width =
            tn_gradient_op(g, "Shape", TN_IN(of[i]), TN_WITH(tn_attr_int("start", -1)));
        shape[i] = tn_gradient_op(g, "Concat", TN_IN(tn_draft_ints(g->draft, rows, 1), width),
                                  TN_WITH(tn_attr_int("axis", 0)));
        flat[i] = tn_gradient_op(g, "Reshape", TN_IN(of[i], shape[i]), TN_PLAIN);
    }
    if (tn_gradient_wants(g, 0)) {
        tn_value *da =
            tn_gradient_op(g, "Gemm", TN_IN(flat[1], b), TN_WITH(tn_attr_int("transB", 1)));
        if (da) tn_gradient_give(g, 0, tn_gradient_reshape_like(g, da, a));
    }
    if (tn_gradient_wants(g, 1))
        tn_gradient_give(
            g, 1,
            tn_gradient_op(g, "Gemm", TN_IN(flat[0], flat[1]), TN_WITH(tn_attr_int("transA", 1))));
}

static void gradient(tn_gradient *g)
{
    tn_value *a = g->node->in[0], *b = g->node->in[1], *dy = g->dy[0];
    bool row = a->type.rank == 1, column = b->type.rank == 1;
    if (column) b = tn_draft_unsqueeze(g->draft, g->name, b, 1);
    if (column) dy = tn_draft_unsqueeze(g->draft, g->name, dy, -1);
    if (row) a = tn_draft_unsqueeze(g->draft, g->name, a, 0);
    if (row) dy = tn_draft_unsqueeze(g->draft, g->name, dy, -2);
    if (g->draft->failed) return;
    if (!row && !column && b->type.rank == 2) {
        gradient_rows(g, a, b, dy);
        return;
    }
    if (tn_gradient_wants(g, 0)) {
        tn_value *da =
            tn_gradient_op(g, "MatMul", TN_IN(dy, tn_gradient_transpose_last(g, b)), TN_PLAIN);
        if (row) da = tn_draft_squeeze(g->draft, g->name, da, -2);
        tn_gradient_give(g, 0, da);
    }
    if (tn_gradient_wants(g, 1)) {
        tn_value *db =
            tn_gradient_op(g, "MatMul", TN_IN(tn_gradient_transpose_last(g, a), dy), TN_PLAIN);
        if (column) db = tn_draft_squeeze(g->draft, g->name, db, -1);
        tn_gradient_give(g, 1, db);
    }
}

extern const tn_case tn_matmul_cases[];

const tn_op tn_op_matmul = {
    .name = "MatMul",
    .since = 13,
    .about = "y = a * b by NumPy's rules: 1-D operands, broadcast batches",
    .in = ins,
    .in_count = 2,
    .out = outs,
    .out_count = 1,
    .infer = infer,
    .reference = reference,
    .scratch_bytes = scratch_bytes,
    .gradient = gradient,
    .cases = tn_matmul_cases,
};
