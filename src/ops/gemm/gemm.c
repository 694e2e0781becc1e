/* Gemm-13: y = alpha * A' * B' + beta * C, A' and B' transposed where asked, C (optional) broadcast
 * to y in one direction only. */
#include "ops/gemm/gemm.h"

#include "ir/op.h"
#include "ir/gradient.h"
#include "ops/wide/wide.h"

#define TYPES (TN_DTS_FLOAT | TN_DT(I32) | TN_DT(I64) | TN_DT(U32) | TN_DT(U64))

static const tn_field fields[] = {
    TN_INT(tn_gemm_params, transA, 0),
    TN_INT(tn_gemm_params, transB, 0),
    TN_FLOAT(tn_gemm_params, alpha, 1),
    TN_FLOAT(tn_gemm_params, beta, 1),
};
static const tn_port ins[] = {
    {"A", TYPES, 'T', 0}, {"B", TYPES, 'T', 0}, {"C", TYPES, 'T', TN_PORT_OPTIONAL}};
static const tn_port outs[] = {{"Y", TYPES, 'T', 0}};

/* C's axis, counted from the end, must be 1 or y's. */
static bool fits(tn_infer *f, const tn_type *c, int from_end, tn_expr want)
{
    int64_t have, need;
    if (c->rank < from_end) return true;
    if (!tn_expr_is_const(f->exprs, c->dim[c->rank - from_end], &have) || have == 1) return true;
    return !tn_expr_is_const(f->exprs, want, &need) || have == need;
}

static tn_status infer(tn_infer *f)
{
    const tn_gemm_params *params = f->params;
    const tn_type *a = &f->in[0], *b = &f->in[1];
    char text_a[128], text_b[128], text_c[128];
    tn_type_text(f->exprs, a, text_a, sizeof text_a);
    tn_type_text(f->exprs, b, text_b, sizeof text_b);
    TN_CHECK((a->rank < 0 || a->rank == 2) && (b->rank < 0 || b->rank == 2), TN_INVALID,
             "A and B must have 2 axes: A is %s, B is %s", text_a, text_b);
    tn_expr dim[2] = {TN_EXPR_NONE, TN_EXPR_NONE};
    if (a->rank == 2) dim[0] = a->dim[params->transA ? 1 : 0];
    if (b->rank == 2) dim[1] = b->dim[params->transB ? 0 : 1];
    if (a->rank == 2 && b->rank == 2) {
        int64_t ka, kb;
        bool known = tn_expr_is_const(f->exprs, a->dim[params->transA ? 0 : 1], &ka) &&
                     tn_expr_is_const(f->exprs, b->dim[params->transB ? 1 : 0], &kb);
        TN_CHECK(!known || ka == kb, TN_INVALID, "K does not match: A is %s%s, B is %s%s", text_a,
                 params->transA ? " transposed" : "", text_b, params->transB ? " transposed" : "");
    }
    if (tn_infer_has(f, 2) && f->in[2].rank >= 0) {
        const tn_type *c = &f->in[2];
        TN_CHECK(c->rank <= 2 && fits(f, c, 2, dim[0]) && fits(f, c, 1, dim[1]), TN_INVALID,
                 "C does not broadcast to A * B: A is %s, B is %s, C is %s", text_a, text_b,
                 tn_type_text(f->exprs, c, text_c, sizeof text_c));
    }
    tn_infer_set(f, 0, a->dtype, 2, dim);
    return NULL;
}

/* The index step of C along axis 0 or 1 of y: 0 where it is broadcast. */
static int64_t bias_step(const tn_tensor *c, int axis)
{
    int at = axis - (2 - c->rank);
    if (at < 0 || c->dim[at] == 1) return 0;
    return axis == 0 ? c->dim[at + 1] : 1;
}

static void run_integers(const tn_problem *p)
{
    const tn_gemm_params *params = p->params;
    const tn_tensor *a = &p->in[0], *b = &p->in[1], *y = &p->out[0];
    const tn_tensor *c = tn_wide_has(p, 2) ? &p->in[2] : NULL;
    int64_t m = y->dim[0], n = y->dim[1], depth = a->dim[params->transA ? 0 : 1];
    int64_t a_row = params->transA ? 1 : depth, a_k = params->transA ? m : 1;
    int64_t b_k = params->transB ? 1 : n, b_col = params->transB ? depth : 1;
    for (int64_t i = 0; i < m; i++) {
        for (int64_t j = 0; j < n; j++) {
            uint64_t sum = 0;
            for (int64_t k = 0; k < depth; k++)
                sum += (uint64_t)tn_load_i64(a->dtype, a->data, i * a_row + k * a_k) *
                       (uint64_t)tn_load_i64(b->dtype, b->data, k * b_k + j * b_col);
            if (params->alpha != 1.0f)
                sum = (uint64_t)(int64_t)((double)(int64_t)sum * params->alpha);
            if (c) {
                int64_t at = i * bias_step(c, 0) + j * bias_step(c, 1);
                uint64_t add = (uint64_t)tn_load_i64(c->dtype, c->data, at);
                if (params->beta != 1.0f)
                    add = (uint64_t)(int64_t)((double)(int64_t)add * params->beta);
                sum += add;
            }
            tn_store_i64(y->dtype, y->data, i * n + j, (int64_t)sum);
        }
    }
}

static bool is_float(const tn_problem *p)
{
    return tn_dtype_kind_of(p->in[0].dtype) == TN_KIND_F;
}

static size_t scratch_bytes(const tn_problem *p)
{
    if (!is_float(p)) return 0;
    size_t bytes = tn_wide_tensor_bytes(&p->out[0]);
    for (int i = 0; i < 2; i++) {
        bytes = tn_wide_add(bytes, tn_wide_tensor_bytes(&p->in[i]));
        bytes = tn_wide_add(bytes, tn_wide_tensor_bytes(&p->in[i])); /* transposed */
    }
    return bytes;
}

static const double *load_matrix(void **scratch, const tn_tensor *t, bool transpose)
{
    const double *src = tn_wide_load(scratch, t);
    if (!transpose) return src;
    double *dst = tn_wide_take(scratch, tn_wide_count(t));
    for (int64_t i = 0; i < t->dim[0]; i++)
        for (int64_t j = 0; j < t->dim[1]; j++) dst[j * t->dim[0] + i] = src[i * t->dim[1] + j];
    return dst;
}

static tn_status reference(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_gemm_params *params = p->params;
    const tn_tensor *y = &p->out[0];
    int64_t m = y->dim[0], n = y->dim[1], k = p->in[0].dim[params->transA ? 0 : 1];
    if (m * n == 0) return NULL;
    if (!is_float(p)) {
        run_integers(p);
        return NULL;
    }
    void *scratch = l->scratch;
    const double *a = load_matrix(&scratch, &p->in[0], params->transA);
    const double *b = load_matrix(&scratch, &p->in[1], params->transB);
    double *sum = tn_wide_take(&scratch, m * n);
    for (int64_t i = 0; i < m * n; i++) sum[i] = 0;
    tn_wide_matmul(m, n, k, a, k, b, n, sum, n);
    const tn_tensor *c = tn_wide_has(p, 2) ? &p->in[2] : NULL;
    int64_t row = c ? bias_step(c, 0) : 0, col = c ? bias_step(c, 1) : 0;
    for (int64_t i = 0; i < m; i++) {
        for (int64_t j = 0; j < n; j++) {
            double add = c ? params->beta * tn_load_f64(c->dtype, c->data, i * row + j * col) : 0;
            sum[i * n + j] = params->alpha * sum[i * n + j] + add;
        }
    }
    tn_store_f64s(y->dtype, y->data, 0, m * n, sum);
    return NULL;
}

/* Before opset 7 the broadcast of C had to be asked for; the shapes say the same. */
static tn_status upgrade_below_7(tn_graph *graph, tn_node *node)
{
    (void)graph;
    tn_node_remove_attr(node, "broadcast");
    return NULL;
}

/* alpha * left * right, each transposed where told. */
static tn_value *multiply(tn_gradient *g, tn_value *left, bool turn_left, tn_value *right,
                          bool turn_right)
{
    const tn_gemm_params *params = g->node->params;
    return tn_gradient_op(g, "Gemm", TN_IN(left, right),
                          TN_WITH(tn_attr_int("transA", turn_left),
                                  tn_attr_int("transB", turn_right),
                                  tn_attr_float("alpha", (double)params->alpha)));
}

static void gradient(tn_gradient *g)
{
    const tn_gemm_params *params = g->node->params;
    tn_value *a = g->node->in[0], *b = g->node->in[1], *dy = g->dy[0];
    bool ta = params->transA, tb = params->transB;
    if (tn_gradient_wants(g, 0))
        tn_gradient_give(g, 0, ta ? multiply(g, b, tb, dy, true) : multiply(g, dy, false, b, !tb));
    if (tn_gradient_wants(g, 1))
        tn_gradient_give(g, 1, tb ? multiply(g, dy, true, a, ta) : multiply(g, a, !ta, dy, false));
    if (tn_gradient_wants(g, 2))
        tn_gradient_give(g, 2, params->beta == 1 ? dy : tn_gradient_write(g, "beta * dy", NULL, 0));
}

extern const tn_case tn_gemm_cases[];

const tn_op tn_op_gemm = {
    .name = "Gemm",
    .since = 13,
    .about = "y = alpha * A' * B' + beta * C, A and B transposed by transA and transB",
    .in = ins,
    .in_count = 3,
    .out = outs,
    .out_count = 1,
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_gemm_params),
    .infer = infer,
    .reference = reference,
    .scratch_bytes = scratch_bytes,
    .gradient = gradient,
    .upgrade = {{7, upgrade_below_7}},
    .cases = tn_gemm_cases,
};
