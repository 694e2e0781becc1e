/* QuantizedAdd, of the domain "tenon": y = quantised(real(a) + real(b)) of bytes, reals being f32:
 * each operand and the sum are rounded to it, as three operators of their own would. */
#include "ops/quantize/quantize.h"
#include "ops/wide/wide.h"

#define BYTE (TN_DT(I8) | TN_DT(U8))
enum { A, A_SCALE, A_ZERO, B, B_SCALE, B_ZERO, Y_SCALE, Y_ZERO, INPUTS };

static const tn_port ins[] = {
    {"a", BYTE, 'A', 0},           {"a_scale", TN_DT(F32), 0, 0}, {"a_zero_point", BYTE, 'A', 0},
    {"b", BYTE, 'B', 0},           {"b_scale", TN_DT(F32), 0, 0}, {"b_zero_point", BYTE, 'B', 0},
    {"y_scale", TN_DT(F32), 0, 0}, {"y_zero_point", BYTE, 'Y', 0}};
static const tn_port outs[] = {{"y", BYTE, 'Y', 0}};

static tn_status infer(tn_infer *f)
{
    const tn_type *a = &f->in[A], *b = &f->in[B];
    char text_a[128], text_b[128];
    int64_t have, want;
    bool fits = a->rank < 0 || b->rank < 0 || a->rank == b->rank;
    for (int i = 0; fits && i < TN_MIN(a->rank, b->rank); i++)
        if (tn_expr_is_const(f->exprs, a->dim[i], &have) &&
            tn_expr_is_const(f->exprs, b->dim[i], &want))
            fits = have == want;
    TN_CHECK(fits, TN_INVALID, "a and b differ in shape: a is %s, b is %s",
             tn_type_text(f->exprs, a, text_a, sizeof text_a),
             tn_type_text(f->exprs, b, text_b, sizeof text_b));
    for (int i = 0; i < INPUTS; i++) {
        if (i == A || i == B) continue;
        for (int axis = 0; axis < f->in[i].rank; axis++)
            if (tn_expr_is_const(f->exprs, f->in[i].dim[axis], &have))
                TN_CHECK(have == 1, TN_INVALID, "input %d (%s) is not one number", i,
                         f->op->in[i].name);
    }
    tn_infer_set(f, 0, f->in[Y_ZERO].dtype, a->rank, a->dim);
    return NULL;
}

static double one(const tn_problem *p, int in)
{
    return tn_load_f64(p->in[in].dtype, p->in[in].data, 0);
}

/* Element i of the operand that begins at input `in`. */
static double real(const tn_problem *p, int in, int64_t i)
{
    double value = tn_load_f64(p->in[in].dtype, p->in[in].data, i) - one(p, in + 2);
    return tn_quantize_round(TN_DTYPE_F32, value * one(p, in + 1));
}

static tn_status reference(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_tensor *y = &p->out[0];
    int64_t zero = (int64_t)one(p, Y_ZERO);
    for (int64_t i = 0; i < tn_wide_count(y); i++) {
        double sum = tn_quantize_round(TN_DTYPE_F32, real(p, A, i) + real(p, B, i));
        sum = tn_quantize_round(TN_DTYPE_F32, sum / one(p, Y_SCALE));
        tn_store_i64(y->dtype, y->data, i, tn_quantize_value(y->dtype, sum, zero));
    }
    return NULL;
}

extern const tn_case tn_quantized_add_cases[];

const tn_op tn_op_quantized_add = {
    .name = "QuantizedAdd",
    .domain = "tenon",
    .since = 1,
    .about = "the sum of two quantised tensors of one shape, quantised",
    .in = ins,
    .in_count = INPUTS,
    .out = outs,
    .out_count = 1,
    .infer = infer,
    .reference = reference,
    .cases = tn_quantized_add_cases,
};
