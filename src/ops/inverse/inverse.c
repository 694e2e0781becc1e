/* Inverse (com.microsoft): of the matrices in the last two axes, by Gauss and Jordan's elimination
 * with row pivots. */
#include <math.h>

#include "ir/op.h"

#define TYPES (TN_DT(F32) | TN_DT(F16) | TN_DT(F64))
static const tn_port ins[] = {{"X", TYPES, 'T', 0}};
static const tn_port outs[] = {{"Y", TYPES, 'T', 0}};

static tn_status infer(tn_infer *f)
{
    const tn_type *x = &f->in[0];
    int64_t rows, columns;
    tn_infer_same(f, 0, 0);
    if (x->rank < 0) return NULL;
    TN_CHECK(x->rank >= 2, TN_INVALID, "the input has rank %d, at least 2 is needed", x->rank);
    bool known = tn_expr_is_const(f->exprs, x->dim[x->rank - 2], &rows) &&
                 tn_expr_is_const(f->exprs, x->dim[x->rank - 1], &columns);
    TN_CHECK(!known || rows == columns, TN_INVALID, "matrices of %lld by %lld are not square",
             (long long)rows, (long long)columns);
    return NULL;
}

static size_t scratch_bytes(const tn_problem *p)
{
    const tn_tensor *x = &p->in[0];
    int64_t n = x->dim[x->rank - 1];
    return tn_tensor_count(x) ? (size_t)(2 * n * n) * sizeof(double) : 0;
}

static void swap_rows(double *a, int64_t one, int64_t two, int64_t n)
{
    for (int64_t c = 0; c < n; c++) {
        double kept = a[one * n + c];
        a[one * n + c] = a[two * n + c];
        a[two * n + c] = kept;
    }
}

/* row `to` -= factor * row `from` */
static void reduce_row(double *a, int64_t to, int64_t from, int64_t n, double factor)
{
    for (int64_t c = 0; c < n; c++) a[to * n + c] -= factor * a[from * n + c];
}

/* a becomes the unit matrix, y its inverse; false: it has none. */
static bool invert(double *a, double *y, int64_t n)
{
    for (int64_t i = 0; i < n * n; i++) y[i] = i % (n + 1) == 0;
    for (int64_t k = 0; k < n; k++) {
        int64_t pivot = k;
        for (int64_t row = k + 1; row < n; row++)
            if (fabs(a[row * n + k]) > fabs(a[pivot * n + k])) pivot = row;
        double top = a[pivot * n + k];
        if (top == 0 || isnan(top)) return false;
        swap_rows(a, k, pivot, n);
        swap_rows(y, k, pivot, n);
        for (int64_t c = 0; c < n; c++) {
            a[k * n + c] /= top;
            y[k * n + c] /= top;
        }
        for (int64_t row = 0; row < n; row++) {
            double factor = a[row * n + k];
            if (row == k || factor == 0) continue;
            reduce_row(a, row, k, n, factor);
            reduce_row(y, row, k, n, factor);
        }
    }
    return true;
}

static tn_status reference(const tn_launch *l)
{
    const tn_tensor *x = &l->problem->in[0], *y = &l->problem->out[0];
    int64_t n = x->dim[x->rank - 1], cells = n * n, count = tn_tensor_count(x);
    double *a = l->scratch, *b = a + cells;
    TN_CHECK(n == x->dim[x->rank - 2], TN_INVALID, "matrices must be square");
    for (int64_t at = 0; at < count; at += cells) {
        tn_load_f64s(x->dtype, x->data, at, cells, a);
        TN_CHECK(invert(a, b, n), TN_INVALID, "matrix %lld has no inverse",
                 (long long)(at / cells));
        tn_store_f64s(y->dtype, y->data, at, cells, b);
    }
    return NULL;
}

static const tn_case cases[] = {
    {.problem = "Inverse f32[2,2]={4,7,2,6}", .expect = "f32[2,2]={0.6,-0.7,-0.2,0.4}"},
    /* A zero in the first place asks for a swap; two matrices at a time. */
    {.problem = "Inverse f64[2,2,2]={0,2,1,0,1,0,0,4}",
     .expect = "f64[2,2,2]={0,1,0.5,0,1,0,0,0.25}"},
    {.problem = "Inverse f32[3,5,5]", .tolerance = 1e-3},
    {.problem = "Inverse f32[0,3,3]", .expect = "f32[0,3,3]={}"},
    {0},
};

const tn_op tn_op_inverse = {
    .name = "Inverse",
    .domain = "com.microsoft",
    .since = 1,
    .about = "inverse of the matrices in the last two axes",
    .in = ins,
    .in_count = 1,
    .out = outs,
    .out_count = 1,
    .infer = infer,
    .reference = reference,
    .scratch_bytes = scratch_bytes,
    .cases = cases,
};
