/* FusedConv, of the domain "tenon": y = activation(Conv(x, W, B) + residual), with Conv's
 * attributes. Passes make it of what stands behind a Conv. */
#include "ops/conv/conv.h"

#include "ops/wide/wide.h"

static const tn_field fields[] = {TN_CONV_FIELDS,
                                  TN_EPILOGUE_FIELDS(tn_fused_conv_params, epilogue)};
static const tn_port ins[] = {{"X", TN_DTS_FLOAT, 'T', 0},
                              {"W", TN_DTS_FLOAT, 'T', 0},
                              {"B", TN_DTS_FLOAT, 'T', TN_PORT_OPTIONAL},
                              {"residual", TN_DTS_FLOAT, 'T', TN_PORT_OPTIONAL}};
static const tn_port outs[] = {{"Y", TN_DTS_FLOAT, 'T', 0}};

tn_status tn_conv_check_residual(const tn_infer *f, int index)
{
    const tn_type *residual = &f->in[index], *y = &f->out[0];
    char text[128], text_y[128];
    if (!tn_infer_has(f, index) || residual->rank < 0 || y->rank < 0) return NULL;
    bool fits = residual->rank == y->rank;
    for (int i = 0; fits && i < y->rank; i++) {
        int64_t have, want;
        if (tn_expr_is_const(f->exprs, residual->dim[i], &have) &&
            tn_expr_is_const(f->exprs, y->dim[i], &want))
            fits = have == want;
    }
    TN_CHECK(fits, TN_INVALID, "residual is %s, the result of the convolution %s",
             tn_type_text(f->exprs, residual, text, sizeof text),
             tn_type_text(f->exprs, y, text_y, sizeof text_y));
    return NULL;
}

static tn_status infer(tn_infer *f)
{
    TN_TRY(tn_conv_infer(f, 1, 2, f->in[0].dtype));
    return tn_conv_check_residual(f, 3);
}

static tn_status reference(const tn_launch *l)
{
    const tn_fused_conv_params *params = l->problem->params;
    return tn_conv_run_wide(l, 3, &params->epilogue);
}

extern const tn_case tn_fused_conv_cases[];

const tn_op tn_op_fused_conv = {
    .name = "FusedConv",
    .domain = "tenon",
    .since = 1,
    .about = "y = activation(Conv(x, W, B) + residual)",
    .in = ins,
    .in_count = TN_COUNT(ins),
    .out = outs,
    .out_count = TN_COUNT(outs),
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_fused_conv_params),
    .lower = tn_conv_lower,
    .infer = infer,
    .reference = reference,
    .scratch_bytes = tn_conv_wide_bytes,
    .cases = tn_fused_conv_cases,
};
