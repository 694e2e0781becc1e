/* Linear, of the domain "tenon": y = activation(x W + bias + residual) with x [..., K], W [K, N],
 * bias [N] and a residual of y's shape, both optional. Passes make it of what stands around a
 * MatMul or Gemm with constant weights; kernels do the rest while the sums are at hand. */
#include "ops/linear/linear.h"

#include "ir/op.h"
#include "ops/matmul/matmul.h"
#include "ops/wide/wide.h"

static const tn_field fields[] = {TN_EPILOGUE_FIELDS(tn_linear_params, epilogue)};
static const tn_port ins[] = {{"X", TN_DTS_FLOAT, 'T', 0},
                              {"W", TN_DTS_FLOAT, 'T', 0},
                              {"bias", TN_DTS_FLOAT, 'T', TN_PORT_OPTIONAL},
                              {"residual", TN_DTS_FLOAT, 'T', TN_PORT_OPTIONAL}};
static const tn_port outs[] = {{"Y", TN_DTS_FLOAT, 'T', 0}};

/* Input `index` must have the dims given, as far as both are known. */
static tn_status check_dims(tn_infer *f, int index, int rank, const tn_expr *dim)
{
    const tn_type *t = &f->in[index];
    char text[128];
    bool fits = t->rank == rank;
    if (!tn_infer_has(f, index) || t->rank < 0 || rank < 0) return NULL;
    for (int i = 0; fits && i < rank; i++) {
        int64_t have, want;
        if (tn_expr_is_const(f->exprs, t->dim[i], &have) &&
            tn_expr_is_const(f->exprs, dim[i], &want))
            fits = have == want;
    }
    tn_type wanted = tn_type_of(t->dtype, fits ? t->rank : rank, dim);
    char text_wanted[128];
    TN_CHECK(fits, TN_INVALID, "%s is %s, it must be %s", ins[index].name,
             tn_type_text(f->exprs, t, text, sizeof text),
             tn_type_text(f->exprs, &wanted, text_wanted, sizeof text_wanted));
    return NULL;
}

static tn_status infer(tn_infer *f)
{
    const tn_type *x = &f->in[0], *w = &f->in[1];
    char text_x[128], text_w[128];
    int64_t k_x, k_w;
    tn_expr dim[TN_RANK_MAX];
    tn_type_text(f->exprs, x, text_x, sizeof text_x);
    tn_type_text(f->exprs, w, text_w, sizeof text_w);
    TN_CHECK(x->rank != 0, TN_INVALID, "X needs an axis to multiply: X is %s", text_x);
    TN_CHECK(w->rank < 0 || w->rank == 2, TN_INVALID, "W must have 2 axes: W is %s", text_w);
    if (x->rank < 0 || w->rank < 0) {
        tn_infer_set(f, 0, x->dtype, -1, NULL);
        return NULL;
    }
    bool known = tn_expr_is_const(f->exprs, x->dim[x->rank - 1], &k_x) &&
                 tn_expr_is_const(f->exprs, w->dim[0], &k_w);
    TN_CHECK(!known || k_x == k_w, TN_INVALID, "K does not match: X is %s, W is %s", text_x,
             text_w);
    for (int i = 0; i < x->rank - 1; i++) dim[i] = x->dim[i];
    dim[x->rank - 1] = w->dim[1];
    TN_TRY(check_dims(f, 2, 1, &w->dim[1]));
    TN_TRY(check_dims(f, 3, x->rank, dim));
    tn_infer_set(f, 0, x->dtype, x->rank, dim);
    return NULL;
}

static size_t scratch_bytes(const tn_problem *p)
{
    size_t bytes = tn_matmul_wide_bytes(p);
    for (int i = 2; i < p->in_count; i++)
        bytes = tn_wide_add(bytes, tn_wide_tensor_bytes(&p->in[i]));
    return bytes;
}

static tn_status reference(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_linear_params *params = p->params;
    const tn_tensor *y = &p->out[0];
    void *scratch = l->scratch;
    const double *bias = tn_wide_has(p, 2) ? tn_wide_load(&scratch, &p->in[2]) : NULL;
    const double *residual = tn_wide_has(p, 3) ? tn_wide_load(&scratch, &p->in[3]) : NULL;
    tn_matmul_wide wide;
    tn_matmul_wide_begin(p, scratch, &wide);
    int64_t count = wide.plan.m * wide.plan.n;
    if (count == 0) return NULL;
    TN_TRY(tn_matmul_wide_batch(l, &wide, 0));
    for (int64_t i = 0; i < count; i++) {
        double sum = wide.c[i];
        if (bias) sum += bias[i % wide.plan.n];
        if (residual) sum += residual[i];
        wide.c[i] = tn_epilogue_of(&params->epilogue, sum);
    }
    tn_store_f64s(y->dtype, y->data, 0, count, wide.c);
    return NULL;
}

extern const tn_case tn_linear_cases[];

const tn_op tn_op_linear = {
    .name = "Linear",
    .domain = "tenon",
    .since = 1,
    .about = "y = activation(x W + bias + residual) with x [..., K] and W [K, N]",
    .in = ins,
    .in_count = TN_COUNT(ins),
    .out = outs,
    .out_count = TN_COUNT(outs),
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_linear_params),
    .infer = infer,
    .reference = reference,
    .scratch_bytes = scratch_bytes,
    .cases = tn_linear_cases,
};
