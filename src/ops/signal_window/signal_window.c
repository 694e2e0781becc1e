/* HannWindow, HammingWindow and BlackmanWindow: a0 - a1 cos(2 pi n / N) + a2 cos(4 pi n / N) for n
 * in [0, size); N is the size, or one less for a window that ends as it begins (periodic = 0). */
#include "ops/signal_window/signal_window.h"

#include <math.h>

#include "ir/op.h"

static const tn_field fields[] = {
    TN_DTYPE_FIELD(tn_signal_window_params, output_datatype, TN_DTYPE_F32),
    TN_INT(tn_signal_window_params, periodic, 1),
};
static const tn_port ins[] = {{"size", TN_DTS_INDEX, 0, 0}};
static const tn_port outs[] = {{"output", TN_DTS_NUMBER, 0, 0}};

static tn_status lower(const tn_node *node, void *params_out)
{
    const tn_signal_window_params *params = params_out;
    (void)node;
    TN_CHECK(TN_DTS_NUMBER >> params->output_datatype & 1, TN_INVALID,
             "output_datatype %s is no number", tn_dtype_name((tn_dtype)params->output_datatype));
    return NULL;
}

static tn_status infer(tn_infer *f)
{
    const tn_signal_window_params *params = f->params;
    const tn_expr *at;
    int64_t count;
    tn_expr size = tn_infer_exprs(f, 0, &at, &count) && count == 1 ? at[0] : TN_EXPR_NONE;
    if (!size) size = tn_infer_fresh(f);
    tn_infer_set(f, 0, (tn_dtype)params->output_datatype, 1, &size);
    return NULL;
}

static tn_status fill(const tn_launch *l, double a0, double a1, double a2)
{
    const tn_signal_window_params *params = l->problem->params;
    const tn_tensor *y = &l->problem->out[0];
    int64_t count = y->dim[0], period = params->periodic ? count : count - 1;
    for (int64_t n = 0; n < count; n++) {
        /* A window of one element that ends as it begins is its middle. */
        double angle = period > 0 ? 2 * 3.14159265358979323846 * (double)n / (double)period
                                  : 3.14159265358979323846;
        tn_store_f64(y->dtype, y->data, n, a0 - a1 * cos(angle) + a2 * cos(2 * angle));
    }
    return NULL;
}

static tn_status reference_hann(const tn_launch *l)
{
    return fill(l, 0.5, 0.5, 0);
}

static tn_status reference_hamming(const tn_launch *l)
{
    return fill(l, 25.0 / 46, 21.0 / 46, 0);
}

static tn_status reference_blackman(const tn_launch *l)
{
    return fill(l, 0.42, 0.5, 0.08);
}

static const tn_case hann_cases[] = {
    {.problem = "HannWindow i64={4}", .expect = "f32[4]={0,0.5,1,0.5}"},
    {.problem = "HannWindow{periodic=0} i32={5}", .expect = "f32[5]={0,0.5,1,0.5,0}"},
    {.problem = "HannWindow{periodic=0} i32={1}", .expect = "f32[1]={1}"},
    {.problem = "HannWindow{output_datatype=f64} i64={400}"},
    {0},
};
static const tn_case hamming_cases[] = {
    {.problem = "HammingWindow i64={4}", .expect = "f32[4]={0.08695652,0.54347825,1,0.54347825}"},
    {.problem = "HammingWindow{periodic=0, output_datatype=f16} i64={33}"},
    {0},
};
static const tn_case blackman_cases[] = {
    {.problem = "BlackmanWindow i64={4}", .expect = "f32[4]={0,0.34,1,0.34}"},
    {.problem = "BlackmanWindow{periodic=0} i64={33}"},
    {0},
};

const tn_op tn_op_hann_window = {
    .name = "HannWindow",
    .since = 17,
    .about = "0.5 - 0.5 cos(2 pi n / N)",
    .in = ins,
    .in_count = TN_COUNT(ins),
    .out = outs,
    .out_count = TN_COUNT(outs),
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_signal_window_params),
    .lower = lower,
    .infer = infer,
    .reference = reference_hann,
    .shape_inputs = 1,
    .cases = hann_cases,
};

const tn_op tn_op_hamming_window = {
    .name = "HammingWindow",
    .since = 17,
    .about = "25/46 - 21/46 cos(2 pi n / N)",
    .in = ins,
    .in_count = TN_COUNT(ins),
    .out = outs,
    .out_count = TN_COUNT(outs),
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_signal_window_params),
    .lower = lower,
    .infer = infer,
    .reference = reference_hamming,
    .shape_inputs = 1,
    .cases = hamming_cases,
};

const tn_op tn_op_blackman_window = {
    .name = "BlackmanWindow",
    .since = 17,
    .about = "0.42 - 0.5 cos(2 pi n / N) + 0.08 cos(4 pi n / N)",
    .in = ins,
    .in_count = TN_COUNT(ins),
    .out = outs,
    .out_count = TN_COUNT(outs),
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_signal_window_params),
    .lower = lower,
    .infer = infer,
    .reference = reference_blackman,
    .shape_inputs = 1,
    .cases = blackman_cases,
};
