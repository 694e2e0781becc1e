/* NormLinear, of the domain "tenon": a product of normalised rows, and these rows.
 *
 *     N = (X - mean) / sqrt(variance + epsilon) * scale + shift      over the last axis
 *     Y = activation(N W + bias)
 *
 * X is [..., C], W [C, H]; shift and bias are optional, and N where nobody asks for it. A pass
 * makes it of a LayerNormalization and the Linear behind it, for cards that take both at once. */
#include "ops/norm_linear/norm_linear.h"

#include <math.h>

#include "ir/op.h"
#include "ops/norm/norm.h"
#include "ops/wide/wide.h"

static const tn_field fields[] = {
    TN_EPILOGUE_FIELDS(tn_norm_linear_params, epilogue),
    TN_FLOAT(tn_norm_linear_params, epsilon, 1e-5),
};
static const tn_port ins[] = {
    {"X", TN_DTS_FLOAT, 'T', 0},
    {"scale", TN_DTS_FLOAT, 'T', 0},
    {"shift", TN_DTS_FLOAT, 'T', TN_PORT_OPTIONAL},
    {"W", TN_DTS_FLOAT, 'T', 0},
    {"bias", TN_DTS_FLOAT, 'T', TN_PORT_OPTIONAL},
};
static const tn_port outs[] = {{"Y", TN_DTS_FLOAT, 'T', 0},
                               {"N", TN_DTS_FLOAT, 'T', TN_PORT_OPTIONAL}};

/* ---- Types ------------------------------------------------------------------------------------*/

static tn_status infer(tn_infer *f)
{
    static const int ranks[TN_NL_INS] = {-1, 1, 1, 2, 1};
    const tn_type *x = &f->in[TN_NL_X], *w = &f->in[TN_NL_W];
    tn_expr dim[TN_RANK_MAX];
    bool known = x->rank >= 0;
    TN_CHECK(x->rank != 0, TN_INVALID, "X has no axes");
    TN_TRY(tn_infer_ranks(f, ranks, f->in_count, &known));
    tn_infer_same(f, 1, TN_NL_X);
    if (!known) {
        tn_infer_set(f, 0, x->dtype, -1, NULL);
        return NULL;
    }
    for (int i = 0; i < x->rank - 1; i++) dim[i] = x->dim[i];
    tn_expr width = x->dim[x->rank - 1];
    dim[x->rank - 1] = w->dim[1];
    TN_TRY(tn_infer_size(f, TN_NL_W, 0, width));
    TN_TRY(tn_infer_size(f, TN_NL_SCALE, 0, width));
    TN_TRY(tn_infer_size(f, TN_NL_SHIFT, 0, width));
    TN_TRY(tn_infer_size(f, TN_NL_BIAS, 0, w->dim[1]));
    tn_infer_set(f, 0, x->dtype, x->rank, dim);
    return NULL;
}

void tn_norm_linear_shape_of(const tn_problem *p, tn_norm_linear_shape *s)
{
    const tn_tensor *x = &p->in[TN_NL_X];
    *s = (tn_norm_linear_shape){
        .rows = 1, .width = x->dim[x->rank - 1], .columns = p->in[TN_NL_W].dim[1]};
    for (int i = 0; i < x->rank - 1; i++) s->rows *= x->dim[i];
}

/* ---- Kernel -----------------------------------------------------------------------------------*/

static size_t scratch_bytes(const tn_problem *p)
{
    tn_norm_linear_shape s;
    tn_norm_linear_shape_of(p, &s);
    size_t bytes = tn_wide_add(tn_wide_bytes(s.width), tn_wide_bytes(s.columns));
    for (int i = 1; i < p->in_count; i++)
        bytes = tn_wide_add(bytes, tn_wide_tensor_bytes(&p->in[i]));
    return bytes;
}

static tn_status reference(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_norm_linear_params *params = p->params;
    const tn_tensor *x = &p->in[TN_NL_X], *y = &p->out[0];
    const double *in[TN_NL_INS] = {NULL};
    void *scratch = l->scratch;
    tn_norm_linear_shape s;
    tn_norm_linear_shape_of(p, &s);
    double *row = tn_wide_take(&scratch, s.width), *sum = tn_wide_take(&scratch, s.columns);
    double mean = 0, variance = 0;
    for (int i = 1; i < p->in_count; i++) in[i] = tn_wide_load(&scratch, &p->in[i]);
    for (int64_t r = 0; r < s.rows; r++) {
        tn_load_f64s(x->dtype, x->data, r * s.width, s.width, row);
        if (s.width) tn_norm_moments(row, s.width, &mean, &variance);
        for (int64_t c = 0; c < s.width; c++) {
            row[c] = (row[c] - mean) / sqrt(variance + params->epsilon) * in[TN_NL_SCALE][c];
            if (in[TN_NL_SHIFT]) row[c] += in[TN_NL_SHIFT][c];
        }
        if (tn_wide_wants(p, 1))
            tn_store_f64s(p->out[1].dtype, p->out[1].data, r * s.width, s.width, row);
        for (int64_t h = 0; h < s.columns; h++) sum[h] = in[TN_NL_BIAS] ? in[TN_NL_BIAS][h] : 0;
        tn_wide_matmul(1, s.columns, s.width, row, s.width, in[TN_NL_W], s.columns, sum, s.columns);
        for (int64_t h = 0; h < s.columns; h++) sum[h] = tn_epilogue_of(&params->epilogue, sum[h]);
        tn_store_f64s(y->dtype, y->data, r * s.columns, s.columns, sum);
    }
    return NULL;
}

extern const tn_case tn_norm_linear_cases[];

const tn_op tn_op_norm_linear = {
    .name = "NormLinear",
    .domain = "tenon",
    .since = 1,
    .about = "y = activation(norm(x) W + bias), norm over the last axis, and norm(x)",
    .in = ins,
    .in_count = TN_COUNT(ins),
    .out = outs,
    .out_count = TN_COUNT(outs),
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_norm_linear_params),
    .infer = infer,
    .reference = reference,
    .scratch_bytes = scratch_bytes,
    .cases = tn_norm_linear_cases,
};
