/* WindowBlock, of the domain "tenon": the first half of a layer of a Swin transformer.
 *
 *     Y = X + WindowAttention(norm(X) W1 + bias1, table) W2 + bias2
 *
 * X is [B, H, W, E] with tokens in the order of the image, W1 [E, 3 E], W2 [E, E]; norm as in
 * FeedForward, the table and the attributes as of WindowAttention. */
#include "ops/window_block/window_block.h"

#include <math.h>
#include <string.h>

#include "ir/op.h"
#include "ops/norm/norm.h"
#include "ops/wide/wide.h"

#define FIELD(name_, kind_, member)                                                                \
    {                                                                                              \
        .name = name_, .kind = kind_, .offset = offsetof(tn_window_block_params, member)           \
    }
#define NEEDED(name_, kind_, member)                                                               \
    {                                                                                              \
        .name = name_, .kind = kind_, .offset = offsetof(tn_window_block_params, member),          \
        .required = true                                                                           \
    }
static const tn_field fields[] = {
    NEEDED("heads", TN_FIELD_INT, attention.heads),
    FIELD("scale", TN_FIELD_FLOAT, attention.scale),
    FIELD("mask", TN_FIELD_FLOAT, attention.mask),
    NEEDED("window", TN_FIELD_INTS, attention.window),
    FIELD("shift", TN_FIELD_INTS, attention.shift),
    TN_FLOAT(tn_window_block_params, epsilon, 1e-5),
};
static const tn_port ins[] = {
    {"X", TN_DTS_FLOAT, 'T', 0},
    {"scale", TN_DTS_FLOAT, 'T', 0},
    {"shift", TN_DTS_FLOAT, 'T', TN_PORT_OPTIONAL},
    {"W1", TN_DTS_FLOAT, 'T', 0},
    {"bias1", TN_DTS_FLOAT, 'T', TN_PORT_OPTIONAL},
    {"table", TN_DTS_FLOAT, 'T', TN_PORT_OPTIONAL},
    {"W2", TN_DTS_FLOAT, 'T', 0},
    {"bias2", TN_DTS_FLOAT, 'T', TN_PORT_OPTIONAL},
};
static const tn_port outs[] = {{"Y", TN_DTS_FLOAT, 'T', 0}};

extern const tn_op tn_op_window_attention;

static tn_status lower(const tn_node *node, void *params)
{
    return tn_op_window_attention.lower(node, params);
}

/* ---- Types ------------------------------------------------------------------------------------*/

/* An operand of so many axes, whose sizes are multiples of the width. */
static tn_status check_operand(tn_infer *f, int input, int rank, int64_t rows, int64_t columns)
{
    const tn_type *t = &f->in[input];
    const int64_t want[2] = {rows, columns};
    char text[128];
    int64_t have;
    if (!tn_infer_has(f, input) || t->rank < 0) return NULL;
    tn_type_text(f->exprs, t, text, sizeof text);
    TN_CHECK(t->rank == rank, TN_INVALID, "%s must have %d axes, it is %s", ins[input].name, rank,
             text);
    for (int i = 0; i < rank; i++)
        TN_CHECK(want[i] < 0 || !tn_expr_is_const(f->exprs, t->dim[i], &have) || have == want[i],
                 TN_INVALID, "%s is %s, axis %d must have %lld", ins[input].name, text, i,
                 (long long)want[i]);
    return NULL;
}

static tn_status infer(tn_infer *f)
{
    const tn_type *x = &f->in[TN_WB_X];
    tn_type in[2] = {*x, f->in[TN_WB_TABLE]};
    int64_t width = -1;
    if (x->rank == 4) {
        in[0].dim[3] = tn_expr_mul(f->exprs, x->dim[3], tn_expr_const(f->exprs, 3));
        if (!tn_expr_is_const(f->exprs, x->dim[3], &width)) width = -1;
        TN_CHECK(width <= INT32_MAX, TN_INVALID, "X has %lld columns", (long long)width);
    }
    int64_t three = width < 0 ? -1 : 3 * width;
    tn_infer inside = *f;
    inside.in = in;
    inside.in_count = 2;
    TN_TRY(tn_op_window_attention.infer(&inside));
    TN_TRY(check_operand(f, TN_WB_SCALE, 1, width, 0));
    TN_TRY(check_operand(f, TN_WB_SHIFT, 1, width, 0));
    TN_TRY(check_operand(f, TN_WB_W1, 2, width, three));
    TN_TRY(check_operand(f, TN_WB_BIAS1, 1, three, 0));
    TN_TRY(check_operand(f, TN_WB_W2, 2, width, width));
    TN_TRY(check_operand(f, TN_WB_BIAS2, 1, width, 0));
    tn_infer_same(f, 0, TN_WB_X);
    return NULL;
}

/* ---- Numbers ----------------------------------------------------------------------------------*/

/* The attention inside as a problem of its own, of this type. */
typedef struct inner {
    tn_tensor in[2], out;
    tn_problem problem;
} inner;

static void inner_of(const tn_problem *p, tn_dtype dtype, inner *out)
{
    const tn_tensor *x = &p->in[TN_WB_X];
    int64_t dim[4] = {x->dim[0], x->dim[1], x->dim[2], 3 * x->dim[3]};
    *out = (inner){.in = {tn_tensor_of(dtype, dim, 4, NULL)},
                   .out = tn_tensor_of(dtype, x->dim, 4, NULL)};
    if (tn_wide_has(p, TN_WB_TABLE)) out->in[1] = p->in[TN_WB_TABLE];
    out->problem = (tn_problem){.op = "WindowAttention",
                                .in_count = 2,
                                .out_count = 1,
                                .in = out->in,
                                .out = &out->out,
                                .params = p->params,
                                .params_bytes = sizeof(tn_window_attention_params)};
}

void tn_window_block_shape_of(const tn_problem *p, tn_window_attention_shape *out)
{
    inner i;
    inner_of(p, p->in[TN_WB_X].dtype, &i);
    tn_window_attention_shape_of(&i.problem, out);
}

bool tn_window_block_fits(const tn_window_attention_params *params, int64_t rows, int64_t width)
{
    const int64_t blocks = 396, tokens = params->window.at[0] * params->window.at[1];
    return width == params->heads * 32 && params->heads <= 16 && tokens <= 64 &&
           rows <= blocks / params->heads * tokens;
}

/* ---- Kernel -----------------------------------------------------------------------------------*/

static size_t scratch_bytes(const tn_problem *p)
{
    const tn_tensor *x = &p->in[TN_WB_X];
    inner i;
    inner_of(p, TN_DTYPE_F64, &i);
    size_t bytes = tn_wide_add(tn_wide_tensor_bytes(&i.in[0]), tn_wide_tensor_bytes(&i.out));
    bytes = tn_wide_add(bytes, tn_wide_bytes(x->dim[3]));
    for (int k = 1; k < p->in_count; k++)
        bytes = tn_wide_add(bytes, tn_wide_tensor_bytes(&p->in[k]));
    return tn_wide_add(bytes, tn_op_window_attention.scratch_bytes(&i.problem));
}

/* Rows of x, normed, times w1. */
static void make_qkv(const tn_problem *p, const double *const *in, double *row, double *qkv)
{
    const tn_window_block_params *params = p->params;
    const tn_tensor *x = &p->in[TN_WB_X];
    int64_t width = x->dim[3], rows = x->dim[0] * x->dim[1] * x->dim[2];
    for (int64_t r = 0; r < rows; r++, qkv += 3 * width) {
        double mean, variance;
        tn_load_f64s(x->dtype, x->data, r * width, width, row);
        tn_norm_moments(row, width, &mean, &variance);
        for (int64_t c = 0; c < width; c++) {
            row[c] = (row[c] - mean) / sqrt(variance + params->epsilon) * in[TN_WB_SCALE][c];
            if (in[TN_WB_SHIFT]) row[c] += in[TN_WB_SHIFT][c];
        }
        for (int64_t c = 0; c < 3 * width; c++) qkv[c] = in[TN_WB_BIAS1] ? in[TN_WB_BIAS1][c] : 0;
        tn_wide_matmul(1, 3 * width, width, row, width, in[TN_WB_W1], 3 * width, qkv, 3 * width);
    }
}

static tn_status reference(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_tensor *x = &p->in[TN_WB_X], *y = &p->out[0];
    const double *in[TN_WB_INS] = {NULL};
    int64_t width = x->dim[3], rows = x->dim[0] * x->dim[1] * x->dim[2];
    void *scratch = l->scratch;
    inner i;
    inner_of(p, TN_DTYPE_F64, &i);
    double *qkv = tn_wide_take(&scratch, rows * 3 * width);
    double *mixed = tn_wide_take(&scratch, rows * width), *row = tn_wide_take(&scratch, width);
    for (int k = 1; k < p->in_count; k++) in[k] = tn_wide_load(&scratch, &p->in[k]);
    if (rows * width == 0) return NULL;
    make_qkv(p, in, row, qkv);
    i.in[0].data = qkv;
    i.out.data = mixed;
    tn_launch inside = *l;
    inside.problem = &i.problem;
    inside.scratch = scratch;
    TN_TRY(tn_op_window_attention.reference(&inside));
    for (int64_t r = 0; r < rows; r++) {
        tn_load_f64s(x->dtype, x->data, r * width, width, row);
        for (int64_t c = 0; in[TN_WB_BIAS2] && c < width; c++) row[c] += in[TN_WB_BIAS2][c];
        tn_wide_matmul(1, width, width, mixed + r * width, width, in[TN_WB_W2], width, row, width);
        tn_store_f64s(y->dtype, y->data, r * width, width, row);
    }
    return NULL;
}

extern const tn_case tn_window_block_cases[];

const tn_op tn_op_window_block = {
    .name = "WindowBlock",
    .domain = "tenon",
    .since = 1,
    .about = "x + WindowAttention(norm(x) W1 + bias1, table) W2 + bias2, norm over the last axis",
    .in = ins,
    .in_count = TN_COUNT(ins),
    .out = outs,
    .out_count = TN_COUNT(outs),
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_window_block_params),
    .lower = lower,
    .infer = infer,
    .reference = reference,
    .scratch_bytes = scratch_bytes,
    .cases = tn_window_block_cases,
};
