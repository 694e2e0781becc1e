/* LinearNormLinear, of the domain "tenon": a normalisation of rows with the products before and
 * behind it.
 *
 *     H = X W1 + bias1 + residual
 *     N = (H - mean) / sqrt(variance + epsilon) * scale + shift      over the last axis
 *     Y = activation(N W2 + bias2)
 *
 * X is [..., K], W1 [K, C], the residual [..., C], W2 [C, M]; biases, residual and shift are
 * optional, N and H where nobody asks for them. A pass makes it for cards, where the first product
 * can tell the second what it would have to look for in H. */
#include "ops/linear_norm_linear/linear_norm_linear.h"

#include <math.h>

#include "ir/op.h"
#include "ops/norm/norm.h"
#include "ops/wide/wide.h"

static const tn_field fields[] = {
    TN_EPILOGUE_FIELDS(tn_linear_norm_linear_params, epilogue),
    TN_FLOAT(tn_linear_norm_linear_params, epsilon, 1e-5),
};
static const tn_port ins[] = {
    {"X", TN_DTS_FLOAT, 'T', 0},
    {"W1", TN_DTS_FLOAT, 'T', 0},
    {"bias1", TN_DTS_FLOAT, 'T', TN_PORT_OPTIONAL},
    {"residual", TN_DTS_FLOAT, 'T', TN_PORT_OPTIONAL},
    {"scale", TN_DTS_FLOAT, 'T', 0},
    {"shift", TN_DTS_FLOAT, 'T', TN_PORT_OPTIONAL},
    {"W2", TN_DTS_FLOAT, 'T', 0},
    {"bias2", TN_DTS_FLOAT, 'T', TN_PORT_OPTIONAL},
};
static const tn_port outs[] = {{"Y", TN_DTS_FLOAT, 'T', 0},
                               {"N", TN_DTS_FLOAT, 'T', TN_PORT_OPTIONAL},
                               {"H", TN_DTS_FLOAT, 'T', TN_PORT_OPTIONAL}};

/* ---- Types ------------------------------------------------------------------------------------*/

static tn_status infer(tn_infer *f)
{
    const tn_type *x = &f->in[TN_LNL_X], *w1 = &f->in[TN_LNL_W1], *w2 = &f->in[TN_LNL_W2];
    tn_expr dim[TN_RANK_MAX];
    const int ranks[TN_LNL_INS] = {-1, 2, 1, x->rank, 1, 1, 2, 1};
    bool known = x->rank >= 0;
    TN_CHECK(x->rank != 0, TN_INVALID, "X has no axes");
    TN_TRY(tn_infer_ranks(f, ranks, f->in_count, &known));
    if (!known) {
        for (int i = 0; i < f->out_count; i++) tn_infer_set(f, i, x->dtype, -1, NULL);
        return NULL;
    }
    int last = x->rank - 1;
    tn_expr width = w1->dim[1];
    for (int i = 0; i < last; i++) dim[i] = x->dim[i];
    for (int i = 0; i < last; i++) TN_TRY(tn_infer_size(f, TN_LNL_RESIDUAL, i, dim[i]));
    TN_TRY(tn_infer_size(f, TN_LNL_W1, 0, x->dim[last]));
    TN_TRY(tn_infer_size(f, TN_LNL_BIAS1, 0, width));
    TN_TRY(tn_infer_size(f, TN_LNL_RESIDUAL, last, width));
    TN_TRY(tn_infer_size(f, TN_LNL_SCALE, 0, width));
    TN_TRY(tn_infer_size(f, TN_LNL_SHIFT, 0, width));
    TN_TRY(tn_infer_size(f, TN_LNL_W2, 0, width));
    TN_TRY(tn_infer_size(f, TN_LNL_BIAS2, 0, w2->dim[1]));
    dim[last] = w2->dim[1];
    tn_infer_set(f, TN_LNL_Y, x->dtype, x->rank, dim);
    dim[last] = width;
    for (int i = 1; i < f->out_count; i++) tn_infer_set(f, i, x->dtype, x->rank, dim);
    return NULL;
}

void tn_linear_norm_linear_shape_of(const tn_problem *p, tn_linear_norm_linear_shape *s)
{
    const tn_tensor *x = &p->in[TN_LNL_X];
    *s = (tn_linear_norm_linear_shape){.rows = 1,
                                       .depth = x->dim[x->rank - 1],
                                       .width = p->in[TN_LNL_W1].dim[1],
                                       .columns = p->in[TN_LNL_W2].dim[1]};
    for (int i = 0; i < x->rank - 1; i++) s->rows *= x->dim[i];
}

/* ---- Kernel -----------------------------------------------------------------------------------*/

static size_t scratch_bytes(const tn_problem *p)
{
    tn_linear_norm_linear_shape s;
    tn_linear_norm_linear_shape_of(p, &s);
    size_t bytes = tn_wide_add(tn_wide_bytes(s.depth), tn_wide_bytes(s.width));
    bytes = tn_wide_add(bytes, tn_wide_bytes(s.columns));
    for (int i = 1; i < p->in_count; i++)
        if (i != TN_LNL_RESIDUAL) bytes = tn_wide_add(bytes, tn_wide_tensor_bytes(&p->in[i]));
    return bytes;
}

static void store_row(const tn_problem *p, int out, int64_t row, int64_t count, const double *from)
{
    const tn_tensor *to = &p->out[out];
    if (tn_wide_wants(p, out)) tn_store_f64s(to->dtype, to->data, row * count, count, from);
}

static tn_status reference(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_linear_norm_linear_params *params = p->params;
    const tn_tensor *x = &p->in[TN_LNL_X], *residual = &p->in[TN_LNL_RESIDUAL];
    const double *in[TN_LNL_INS] = {NULL};
    void *scratch = l->scratch;
    tn_linear_norm_linear_shape s;
    tn_linear_norm_linear_shape_of(p, &s);
    double *deep = tn_wide_take(&scratch, s.depth), *row = tn_wide_take(&scratch, s.width);
    double *sum = tn_wide_take(&scratch, s.columns), mean = 0, variance = 0;
    for (int i = 1; i < p->in_count; i++)
        if (i != TN_LNL_RESIDUAL) in[i] = tn_wide_load(&scratch, &p->in[i]);
    for (int64_t r = 0; r < s.rows; r++) {
        tn_load_f64s(x->dtype, x->data, r * s.depth, s.depth, deep);
        for (int64_t c = 0; c < s.width; c++) {
            row[c] = in[TN_LNL_BIAS1] ? in[TN_LNL_BIAS1][c] : 0;
            if (tn_wide_has(p, TN_LNL_RESIDUAL))
                row[c] += tn_load_f64(residual->dtype, residual->data, r * s.width + c);
        }
        tn_wide_matmul(1, s.width, s.depth, deep, s.depth, in[TN_LNL_W1], s.width, row, s.width);
        store_row(p, TN_LNL_H, r, s.width, row);
        if (s.width) tn_norm_moments(row, s.width, &mean, &variance);
        for (int64_t c = 0; c < s.width; c++) {
            row[c] = (row[c] - mean) / sqrt(variance + params->epsilon) * in[TN_LNL_SCALE][c];
            if (in[TN_LNL_SHIFT]) row[c] += in[TN_LNL_SHIFT][c];
        }
        store_row(p, TN_LNL_N, r, s.width, row);
        for (int64_t h = 0; h < s.columns; h++) sum[h] = in[TN_LNL_BIAS2] ? in[TN_LNL_BIAS2][h] : 0;
        tn_wide_matmul(1, s.columns, s.width, row, s.width, in[TN_LNL_W2], s.columns, sum,
                       s.columns);
        for (int64_t h = 0; h < s.columns; h++) sum[h] = tn_epilogue_of(&params->epilogue, sum[h]);
        store_row(p, TN_LNL_Y, r, s.columns, sum);
    }
    return NULL;
}

extern const tn_case tn_linear_norm_linear_cases[];

const tn_op tn_op_linear_norm_linear = {
    .name = "LinearNormLinear",
    .domain = "tenon",
    .since = 1,
    .about = "y = activation(n W2 + bias2), n = norm(h) over the last axis, h = x W1 + bias1 + "
             "residual",
    .in = ins,
    .in_count = TN_COUNT(ins),
    .out = outs,
    .out_count = TN_COUNT(outs),
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_linear_norm_linear_params),
    .infer = infer,
    .reference = reference,
    .scratch_bytes = scratch_bytes,
    .cases = tn_linear_norm_linear_cases,
};
