/* Det: determinants of the last two axes, by elimination with row pivots. */
#include <math.h>

#include "ir/op.h"

static const tn_port ins[] = {{"X", TN_DTS_FLOAT, 'T', 0}};
static const tn_port outs[] = {{"Y", TN_DTS_FLOAT, 'T', 0}};

static tn_status infer(tn_infer *f)
{
    const tn_type *x = &f->in[0];
    if (x->rank >= 0) {
        TN_CHECK(x->rank >= 2, TN_INVALID, "the input has rank %d, at least 2 is needed", x->rank);
        tn_expr rows = x->dim[x->rank - 2], columns = x->dim[x->rank - 1];
        int64_t a, b;
        bool differ = tn_expr_is_const(f->exprs, rows, &a) &&
                      tn_expr_is_const(f->exprs, columns, &b) && a != b;
        TN_CHECK(!differ, TN_INVALID, "matrices must be square");
    }
    tn_infer_set(f, 0, x->dtype, x->rank < 0 ? -1 : x->rank - 2, x->dim);
    return NULL;
}

static size_t scratch_bytes(const tn_problem *p)
{
    const tn_tensor *x = &p->in[0];
    int64_t n = x->dim[x->rank - 1];
    return tn_tensor_count(x) ? (size_t)(n * n) * sizeof(double) : 0;
}

static double find_det(double *a, int64_t n)
{
    double det = 1;
    for (int64_t k = 0; k < n; k++) {
        int64_t pivot = k;
        for (int64_t row = k + 1; row < n; row++)
            if (fabs(a[row * n + k]) > fabs(a[pivot * n + k])) pivot = row;
        if (a[pivot * n + k] == 0) return 0;
        for (int64_t c = k; pivot != k && c < n; c++) {
            double kept = a[k * n + c];
            a[k * n + c] = a[pivot * n + c];
            a[pivot * n + c] = kept;
        }
        det *= pivot == k ? a[k * n + k] : -a[k * n + k];
        for (int64_t row = k + 1; row < n; row++) {
            double factor = a[row * n + k] / a[k * n + k];
            for (int64_t c = k; c < n; c++) a[row * n + c] -= factor * a[k * n + c];
        }
    }
    return det;
}

static tn_status reference(const tn_launch *l)
{
    const tn_tensor *x = &l->problem->in[0], *y = &l->problem->out[0];
    int64_t n = x->dim[x->rank - 1];
    TN_CHECK(n == x->dim[x->rank - 2], TN_INVALID, "matrices must be square");
    for (int64_t at = 0; at < tn_tensor_count(y); at++) {
        if (n > 0) tn_load_f64s(x->dtype, x->data, at * n * n, n * n, l->scratch);
        tn_store_f64(y->dtype, y->data, at, find_det(l->scratch, n));
    }
    return NULL;
}

extern const tn_case tn_det_cases[];

const tn_op tn_op_det = {
    .name = "Det",
    .since = 22,
    .about = "determinant of the matrices in the last two axes",
    .in = ins,
    .in_count = 1,
    .out = outs,
    .out_count = 1,
    .infer = infer,
    .reference = reference,
    .scratch_bytes = scratch_bytes,
    .cases = tn_det_cases,
};
