/* MatMulInteger-10 and QLinearMatMul-21: products of 8-bit matrices, summed in 32 bits.
 * MatMulInteger gives the sums; QLinearMatMul quantises them again:
 * y = saturate(round(sum * a_scale * b_scale / y_scale) + y_zero_point). QuantizedLinear, of the
 * domain "tenon", adds a bias to the sums before, as QLinearConv does. */
#include <math.h>

#include "ops/matmul/matmul.h"
#include "ops/quantize/quantize.h"
#include "ops/wide/wide.h"

#define BYTE (TN_DT(I8) | TN_DT(U8))
#define SCALE (TN_DT(F32) | TN_DT(F16) | TN_DT(BF16))

static const tn_port ins[] = {{"A", BYTE, 'A', 0},
                              {"B", BYTE, 'B', 0},
                              {"a_zero_point", BYTE, 'A', TN_PORT_OPTIONAL},
                              {"b_zero_point", BYTE, 'B', TN_PORT_OPTIONAL}};
static const tn_port outs[] = {{"Y", TN_DT(I32), 0, 0}};
enum { A, A_SCALE, A_ZERO, B, B_SCALE, B_ZERO, Y_SCALE, Y_ZERO, BIAS };
static const tn_port linear_ins[] = {
    {"a", BYTE, 'A', 0},        {"a_scale", SCALE, 'S', 0},     {"a_zero_point", BYTE, 'A', 0},
    {"b", BYTE, 'B', 0},        {"b_scale", SCALE, 'S', 0},     {"b_zero_point", BYTE, 'B', 0},
    {"y_scale", SCALE, 'S', 0}, {"y_zero_point", BYTE, 'Y', 0}, {"bias", TN_DT(I32), 0, 0}};
static const tn_port linear_outs[] = {{"y", BYTE, 'Y', 0}};

/* Shapes are MatMul's. */
static tn_status infer_as_matmul(tn_infer *f, int b, tn_dtype dtype)
{
    tn_type pair[2] = {f->in[0], f->in[b]};
    tn_infer plain = *f;
    plain.in = pair;
    plain.in_count = 2;
    TN_TRY(tn_op_find(NULL, "MatMul")->infer(&plain));
    f->out[0].dtype = dtype;
    return NULL;
}

/* Scales and zero points are one, or one for each row or column: never none. */
static tn_status check_some(const tn_infer *f, const int *input, int count)
{
    for (int k = 0; k < count; k++)
        for (int axis = 0; tn_infer_has(f, input[k]) && axis < f->in[input[k]].rank; axis++)
            TN_CHECK(!tn_expr_equals(f->exprs, f->in[input[k]].dim[axis], 0), TN_INVALID,
                     "input %d (%s) has no elements", input[k], f->op->in[input[k]].name);
    return NULL;
}

static tn_status infer(tn_infer *f)
{
    static const int some[] = {2, 3};
    TN_TRY(check_some(f, some, (int)TN_COUNT(some)));
    return infer_as_matmul(f, 1, TN_DTYPE_I32);
}

static tn_status infer_linear(tn_infer *f)
{
    static const int some[] = {A_SCALE, A_ZERO, B_SCALE, B_ZERO, Y_SCALE, Y_ZERO};
    TN_TRY(check_some(f, some, (int)TN_COUNT(some)));
    return infer_as_matmul(f, B, f->in[Y_ZERO].dtype);
}

static tn_status infer_biased(tn_infer *f)
{
    const tn_type *b = &f->in[B], *bias = &f->in[BIAS];
    int64_t have, want;
    TN_TRY(infer_linear(f));
    if (bias->rank < 0 || b->rank < 0) return NULL;
    bool fits = bias->rank == 1 && b->rank > 1;
    if (fits && tn_expr_is_const(f->exprs, bias->dim[0], &have) &&
        tn_expr_is_const(f->exprs, b->dim[b->rank - 1], &want))
        fits = have == want;
    char text[128], text_b[128];
    TN_CHECK(fits, TN_INVALID, "bias is %s: it needs one value for each column of b, %s",
             tn_type_text(f->exprs, bias, text, sizeof text),
             tn_type_text(f->exprs, b, text_b, sizeof text_b));
    return NULL;
}

/* One value of a scale or zero point: `index` of the row or column over all matrices. */
static double pick(const tn_tensor *t, int64_t index, int64_t size)
{
    if (!t) return 0;
    int64_t at = tn_quantize_pick(tn_wide_count(t), index, size);
    return tn_load_f64(t->dtype, t->data, at);
}

static const tn_tensor *optional(const tn_problem *p, int in)
{
    return tn_wide_has(p, in) ? &p->in[in] : NULL;
}

/* Hands each sum, with its row and column over all matrices, to `put`. Sums of bytes are exact. */
typedef void (*put_sum)(const tn_problem *p, int64_t at, double sum, int64_t row, int64_t rows,
                        int64_t column, int64_t columns);

static void multiply(const tn_problem *p, int b_input, int a_zero_input, int b_zero_input,
                     put_sum put)
{
    const tn_tensor *a = &p->in[0], *b = &p->in[b_input];
    const tn_tensor *a_zero = optional(p, a_zero_input), *b_zero = optional(p, b_zero_input);
    tn_problem shapes = *p;
    tn_tensor pair[2] = {*a, *b};
    tn_matmul_plan plan;
    shapes.in = pair;
    tn_matmul_plan_of(&shapes, &plan);
    int64_t a_rows = a->rank > 1 ? a->dim[a->rank - 2] : 1;
    for (int64_t at = 0; at < plan.batch * plan.m * plan.n; at++) {
        int64_t a_at, b_at, i = at / plan.n % plan.m, j = at % plan.n;
        tn_matmul_offsets(&plan, at / plan.n / plan.m, &a_at, &b_at);
        int64_t row = plan.k ? a_at / plan.k + i : 0;
        int64_t column = plan.k ? b_at / plan.k + j : 0;
        double sum = 0, a_off = pick(a_zero, row, a_rows), b_off = pick(b_zero, column, plan.n);
        for (int64_t k = 0; k < plan.k; k++)
            sum += (tn_load_f64(a->dtype, a->data, a_at + i * plan.k + k) - a_off) *
                   (tn_load_f64(b->dtype, b->data, b_at + k * plan.n + j) - b_off);
        put(p, at, sum, row, a_rows, column, plan.n);
    }
}

static void put_integer(const tn_problem *p, int64_t at, double sum, int64_t row, int64_t rows,
                        int64_t column, int64_t columns)
{
    (void)row, (void)rows, (void)column, (void)columns;
    tn_store_i64(p->out[0].dtype, p->out[0].data, at, (int64_t)sum);
}

static void put_linear(const tn_problem *p, int64_t at, double sum, int64_t row, int64_t rows,
                       int64_t column, int64_t columns)
{
    double scale = pick(&p->in[A_SCALE], row, rows) * pick(&p->in[B_SCALE], column, columns) /
                   pick(&p->in[Y_SCALE], row, rows);
    int64_t zero = (int64_t)pick(&p->in[Y_ZERO], row, rows);
    sum += pick(optional(p, BIAS), column, columns);
    tn_store_i64(p->out[0].dtype, p->out[0].data, at,
                 tn_quantize_value(p->out[0].dtype, sum * scale, zero));
}

static tn_status reference(const tn_launch *l)
{
    multiply(l->problem, 1, 2, 3, put_integer);
    return NULL;
}

static tn_status reference_linear(const tn_launch *l)
{
    multiply(l->problem, B, A_ZERO, B_ZERO, put_linear);
    return NULL;
}

extern const tn_case tn_matmul_integer_cases[];
extern const tn_case tn_qlinear_matmul_cases[];
extern const tn_case tn_quantized_linear_cases[];

const tn_op tn_op_matmul_integer = {
    .name = "MatMulInteger",
    .since = 10,
    .about = "(A - a_zero_point) * (B - b_zero_point) in 32 bits",
    .in = ins,
    .in_count = 4,
    .out = outs,
    .out_count = 1,
    .infer = infer,
    .reference = reference,
    .cases = tn_matmul_integer_cases,
};

const tn_op tn_op_qlinear_matmul = {
    .name = "QLinearMatMul",
    .since = 21,
    .about = "the product of two quantised matrices, quantised",
    .in = linear_ins,
    .in_count = 8,
    .out = linear_outs,
    .out_count = 1,
    .infer = infer_linear,
    .reference = reference_linear,
    .cases = tn_qlinear_matmul_cases,
};

const tn_op tn_op_quantized_linear = {
    .name = "QuantizedLinear",
    .domain = "tenon",
    .since = 1,
    .about = "the product of two quantised matrices and a bias, quantised",
    .in = linear_ins,
    .in_count = 9,
    .out = linear_outs,
    .out_count = 1,
    .infer = infer_biased,
    .reference = reference_linear,
    .cases = tn_quantized_linear_cases,
};
