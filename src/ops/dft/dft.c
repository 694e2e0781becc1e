/* DFT-20: the discrete Fourier transform along one axis of [..., 1] (real) or [..., 2] (complex).
 *
 *     forward            complex out, all of dft_length
 *     forward, onesided  real in, the first dft_length / 2 + 1 of it: the rest is their mirror
 *     inverse            complex in, complex out
 *     inverse, onesided  that half in, real out; dft_length is 2 * (dim - 1) unless it is given
 *
 * The signal is cut or filled with zeros to dft_length. DFT-17 had the axis as an attribute. */
#include "ops/dft/dft.h"

#include "ops/moving.h"
#include "ops/wide/wide.h"

enum { INPUT, LENGTH, AXIS };

static const tn_field fields[] = {
    TN_INT(tn_dft_params, inverse, 0),
    TN_INT(tn_dft_params, onesided, 0),
};
static const tn_port ins[] = {
    {"input", TN_DTS_FLOAT, 'T', 0},
    {"dft_length", TN_DTS_INDEX, 0, TN_PORT_OPTIONAL},
    {"axis", TN_DTS_INDEX, 0, TN_PORT_OPTIONAL},
};
static const tn_port outs[] = {{"output", TN_DTS_FLOAT, 'T', 0}};

static tn_status check_axis(int64_t value, int rank, int *axis)
{
    *axis = tn_axis_normal(value, rank);
    TN_CHECK(*axis >= 0 && *axis < rank - 1, TN_INVALID,
             "axis %lld is none of the signal's of a tensor of rank %d (the last holds real and "
             "imaginary)",
             (long long)value, rank);
    return NULL;
}

static tn_status check_parts(const tn_dft_params *params, int64_t parts)
{
    TN_CHECK(parts == 1 || parts == 2, TN_INVALID,
             "the last axis must have 1 or 2 elements, not %lld", (long long)parts);
    TN_CHECK(!params->onesided || params->inverse || parts == 1, TN_INVALID,
             "a onesided transform needs a real signal");
    return NULL;
}

static tn_expr half_of(tn_exprs *x, tn_expr length)
{
    tn_expr one = tn_expr_const(x, 1);
    return tn_expr_add(x, tn_expr_div(x, length, tn_expr_const(x, 2)), one);
}

static tn_status infer(tn_infer *f)
{
    const tn_dft_params *params = f->params;
    const tn_type *x = &f->in[INPUT];
    const tn_expr *at;
    tn_expr dim[TN_RANK_MAX], length = TN_EXPR_NONE;
    int64_t value[1] = {-2}, count, parts;
    int axis, axis_count;
    if (x->rank < 0) {
        tn_infer_set(f, 0, x->dtype, -1, NULL);
        return NULL;
    }
    TN_CHECK(x->rank >= 2, TN_INVALID,
             "the input needs a signal axis and one for real and imaginary parts");
    if (tn_expr_is_const(f->exprs, x->dim[x->rank - 1], &parts)) TN_TRY(check_parts(params, parts));
    for (int i = 0; i < x->rank; i++) dim[i] = x->dim[i];
    bool real_out = params->inverse && params->onesided;
    dim[x->rank - 1] = tn_expr_const(f->exprs, real_out ? 1 : 2);
    if (tn_infer_has(f, AXIS) && !tn_infer_ints(f, AXIS, value, 1, &axis_count)) {
        for (int i = 0; i < x->rank - 1; i++) dim[i] = tn_infer_fresh(f);
        tn_infer_set(f, 0, x->dtype, x->rank, dim);
        return NULL;
    }
    TN_TRY(check_axis(value[0], x->rank, &axis));
    if (tn_infer_has(f, LENGTH)) {
        if (tn_infer_exprs(f, LENGTH, &at, &count) && count == 1) length = at[0];
    } else if (real_out) {
        tn_expr one = tn_expr_const(f->exprs, 1);
        length = tn_expr_mul(f->exprs, tn_expr_const(f->exprs, 2),
                             tn_expr_sub(f->exprs, x->dim[axis], one));
    } else {
        length = x->dim[axis];
    }
    dim[axis] = params->onesided && !params->inverse ? half_of(f->exprs, length) : length;
    if (!dim[axis]) dim[axis] = tn_infer_fresh(f);
    tn_infer_set(f, 0, x->dtype, x->rank, dim);
    return NULL;
}

/* The axis is data that is not here; any axis may be the one. A onesided length is at most 2 * dim
 * - 1. */
static size_t scratch_bytes(const tn_problem *p)
{
    int64_t most = 0;
    for (int i = 0; i + 1 < p->out[0].rank; i++) most = TN_MAX(most, p->out[0].dim[i]);
    if (most > INT64_MAX / (2 * TN_FOURIER_DOUBLES)) return tn_wide_bytes(INT64_MAX);
    return tn_wide_add(tn_wide_bytes(2 * most * TN_FOURIER_DOUBLES), 4 * TN_ALIGNMENT);
}

/* One line of the signal, complex, cut or filled to `length`; onesided spectra get their mirror. */
static void take_line(const tn_tensor *x, int64_t base, int64_t step, int64_t have, int64_t length,
                      bool mirror, double *dst)
{
    int64_t parts = x->dim[x->rank - 1], given = TN_MIN(have, mirror ? length / 2 + 1 : length);
    for (int64_t k = 0; k < 2 * length; k++) dst[k] = 0;
    for (int64_t k = 0; k < given; k++) {
        int64_t at = (base + k * step) * parts;
        double re = tn_load_f64(x->dtype, x->data, at);
        double im = parts == 2 ? tn_load_f64(x->dtype, x->data, at + 1) : 0;
        dst[2 * k] = re;
        dst[2 * k + 1] = im;
        if (!mirror || k == 0 || 2 * k == length) continue;
        dst[2 * (length - k)] = re;
        dst[2 * (length - k) + 1] = -im;
    }
}

static tn_status dft_length(const tn_problem *p, int axis, int64_t *length)
{
    const tn_dft_params *params = p->params;
    int64_t dim = p->in[INPUT].dim[axis];
    *length = params->inverse && params->onesided ? 2 * (dim - 1) : dim;
    if (tn_wide_has(p, LENGTH)) *length = tn_load_i64(p->in[LENGTH].dtype, p->in[LENGTH].data, 0);
    int64_t want = params->onesided && !params->inverse ? *length / 2 + 1 : *length;
    TN_CHECK(*length >= 1 && want == p->out[0].dim[axis], TN_INVALID,
             "dft_length is %lld; the output has %lld elements along axis %d", (long long)*length,
             (long long)p->out[0].dim[axis], axis);
    return NULL;
}

static tn_status reference(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_dft_params *params = p->params;
    const tn_tensor *x = &p->in[INPUT], *y = &p->out[0];
    int axis;
    int64_t length, parts = y->dim[y->rank - 1];
    if (tn_tensor_count(y) == 0) return NULL;
    for (int i = LENGTH; i <= AXIS; i++)
        TN_CHECK(!tn_wide_has(p, i) || tn_tensor_count(&p->in[i]) == 1, TN_INVALID,
                 "dft_length and axis must be one number each");
    TN_TRY(check_parts(params, x->dim[x->rank - 1]));
    TN_TRY(
        check_axis(tn_wide_has(p, AXIS) ? tn_load_i64(p->in[AXIS].dtype, p->in[AXIS].data, 0) : -2,
                   x->rank, &axis));
    TN_TRY(dft_length(p, axis, &length));
    void *scratch = l->scratch;
    double *roots = tn_wide_take(&scratch, 2 * length), *spare = tn_wide_take(&scratch, 2 * length);
    double *src = tn_wide_take(&scratch, 2 * length), *dst = tn_wide_take(&scratch, 2 * length);
    int64_t outer = tn_dims_product(x->dim, 0, axis),
            inner = tn_dims_product(x->dim, axis + 1, x->rank - 1);
    int64_t have = x->dim[axis], count = y->dim[axis];
    tn_fourier_roots(length, roots);
    for (int64_t o = 0; o < outer; o++) {
        for (int64_t i = 0; i < inner; i++) {
            take_line(x, o * have * inner + i, inner, have, length,
                      params->inverse && params->onesided, src);
            tn_fourier(length, roots, params->inverse, src, dst, spare);
            for (int64_t k = 0; k < count; k++)
                tn_store_f64s(y->dtype, y->data, ((o * count + k) * inner + i) * parts, parts,
                              dst + 2 * k);
        }
    }
    return NULL;
}

static tn_status upgrade_below_20(tn_graph *graph, tn_node *node)
{
    tn_value *axis;
    TN_TRY(
        tn_graph_add_scalar(graph, TN_DTYPE_I64, (double)tn_node_int_attr(node, "axis", 1), &axis));
    TN_TRY(tn_node_set_input(node, AXIS, axis));
    tn_node_remove_attr(node, "axis");
    return NULL;
}

static const tn_case cases[] = {
    {.problem = "DFT f32[1,4,1]={1,2,3,4}", .expect = "f32[1,4,2]={10,0,-2,2,-2,0,-2,-2}"},
    {.problem = "DFT{onesided=1} f32[1,4,1]={1,2,3,4}", .expect = "f32[1,3,2]={10,0,-2,2,-2,0}"},
    {.problem = "DFT{onesided=1, inverse=1} f32[1,3,2]={10,0,-2,2,-2,0}",
     .expect = "f32[1,4,1]={1,2,3,4}"},
    {.problem = "DFT{inverse=1} f64[1,4,2]={10,0,-2,2,-2,0,-2,-2}",
     .expect = "f64[1,4,2]={1,0,2,0,3,0,4,0}"},
    /* Cut to two, along the first axis; then filled to three. */
    {.problem = "DFT f32[3,1,1]={1,2,9} i64={2} i64={0}", .expect = "f32[2,1,2]={3,0,-1,0}"},
    {.problem = "DFT f64[1,1,1]={5} i32={3}", .expect = "f64[1,3,2]={5,0,5,0,5,0}"},
    {.problem = "DFT f32[2,60,3,2] i64={60} i64={1}"},
    {.problem = "DFT{onesided=1, inverse=1} f32[2,13,2] i64={25}"},
    {.problem = "DFT f32[1,97,1]"},
    {0},
};

const tn_op tn_op_dft = {
    .name = "DFT",
    .since = 20,
    .about =
        "y[k] = sum of x[n] e^(-2 pi i k n / N) along one axis, its inverse, and the real halves",
    .in = ins,
    .in_count = TN_COUNT(ins),
    .out = outs,
    .out_count = TN_COUNT(outs),
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_dft_params),
    .infer = infer,
    .reference = reference,
    .scratch_bytes = scratch_bytes,
    .upgrade = {{20, upgrade_below_20}},
    .cases = cases,
};
