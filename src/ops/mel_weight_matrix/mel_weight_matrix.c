/* MelWeightMatrix-17: triangles over the bins of a spectrum, evenly spaced on the mel scale.
 *
 *     mel(f) = 2595 log10(1 + f / 700)
 *
 * Column i rises from the bin of edge i to 1 at that of edge i + 1 and falls to that of edge i + 2.
 */
#include "ops/mel_weight_matrix/mel_weight_matrix.h"

#include <math.h>
#include <string.h>

#include "ir/op.h"

enum { BINS, LENGTH, RATE, LOWER, UPPER };

static const tn_field fields[] = {
    TN_DTYPE_FIELD(tn_mel_params, output_datatype, TN_DTYPE_F32),
};
static const tn_port ins[] = {
    {"num_mel_bins", TN_DTS_INDEX, 'I', 0},     {"dft_length", TN_DTS_INDEX, 'I', 0},
    {"sample_rate", TN_DTS_INDEX, 'I', 0},      {"lower_edge_hertz", TN_DTS_FLOAT, 'F', 0},
    {"upper_edge_hertz", TN_DTS_FLOAT, 'F', 0},
};
static const tn_port outs[] = {{"output", TN_DTS_NUMBER, 0, 0}};

static tn_status lower(const tn_node *node, void *params_out)
{
    const tn_mel_params *params = params_out;
    (void)node;
    TN_CHECK(TN_DTS_NUMBER >> params->output_datatype & 1, TN_INVALID,
             "output_datatype %s is no number", tn_dtype_name((tn_dtype)params->output_datatype));
    return NULL;
}

static tn_expr scalar_of(tn_infer *f, int input)
{
    const tn_expr *at;
    int64_t count;
    return tn_infer_exprs(f, input, &at, &count) && count == 1 ? at[0] : TN_EXPR_NONE;
}

static tn_status infer(tn_infer *f)
{
    const tn_mel_params *params = f->params;
    tn_exprs *e = f->exprs;
    tn_expr half = tn_expr_div(e, scalar_of(f, LENGTH), tn_expr_const(e, 2));
    tn_expr dim[2] = {tn_expr_add(e, half, tn_expr_const(e, 1)), scalar_of(f, BINS)};
    for (int i = 0; i < 2; i++)
        if (!dim[i]) dim[i] = tn_infer_fresh(f);
    tn_infer_set(f, 0, (tn_dtype)params->output_datatype, 2, dim);
    return NULL;
}

static double mel_of(double hertz)
{
    return 2595 * log10(1 + hertz / 700);
}

/* The bin of edge i of the count + 2 edges. The spacing divides by count + 2, as the operator's
 * definition has it, so that the last edge lies below the upper one. */
static double edge_bin(double low, double high, int64_t count, int64_t i, int64_t length,
                       int64_t rate)
{
    double mel = low + (double)i * (high - low) / (double)(count + 2);
    double hertz = 700 * (pow(10, mel / 2595) - 1);
    return floor((double)(length + 1) * hertz / (double)rate);
}

static tn_status reference(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_tensor *y = &p->out[0];
    int64_t rows = y->dim[0], count = y->dim[1];
    for (int i = 0; i < 5; i++)
        TN_CHECK(tn_tensor_count(&p->in[i]) == 1, TN_INVALID, "input %d must be one number", i);
    int64_t length = tn_load_i64(p->in[LENGTH].dtype, p->in[LENGTH].data, 0);
    int64_t rate = tn_load_i64(p->in[RATE].dtype, p->in[RATE].data, 0);
    double low = mel_of(tn_load_f64(p->in[LOWER].dtype, p->in[LOWER].data, 0));
    double high = mel_of(tn_load_f64(p->in[UPPER].dtype, p->in[UPPER].data, 0));
    TN_CHECK(rate > 0, TN_INVALID, "sample_rate is %lld", (long long)rate);
    if (tn_tensor_count(y) == 0) return NULL;
    memset(y->data, 0, (size_t)tn_tensor_bytes(y));
    for (int64_t i = 0; i < count; i++) {
        double edge[3];
        for (int k = 0; k < 3; k++) edge[k] = edge_bin(low, high, count, i + k, length, rate);
        TN_CHECK(edge[0] >= 0 && edge[0] <= edge[1] && edge[1] <= edge[2] &&
                     edge[2] <= (double)rows,
                 TN_INVALID, "the edges of band %lld fall on bins %g, %g and %g of %lld",
                 (long long)i, edge[0], edge[1], edge[2], (long long)rows);
        int64_t left = (int64_t)edge[0], top = (int64_t)edge[1], right = (int64_t)edge[2];
        for (int64_t j = left; j < top; j++)
            tn_store_f64(y->dtype, y->data, j * count + i,
                         (double)(j - left) / (double)(top - left));
        if (top < rows) tn_store_f64(y->dtype, y->data, top * count + i, 1);
        for (int64_t j = top + 1; j < right; j++)
            tn_store_f64(y->dtype, y->data, j * count + i,
                         (double)(right - j) / (double)(right - top));
    }
    return NULL;
}

/* From the definition's reference in NumPy. */
static const tn_case cases[] = {
    {.problem = "MelWeightMatrix i64={2} i64={8} i64={8000} f32={0} f32={4000}",
     .expect = "f32[5,2]={1,0,0,1,0,0,0,0,0,0}"},
    {.problem = "MelWeightMatrix i64={3} i64={16} i64={8192} f32={0} f32={4096}",
     .expect = "f32[9,3]={1,0,0,0,1,0,0,0.5,0.5,0,0,1,0,0,0.5,0,0,0,0,0,0,0,0,0,0,0,0}"},
    {.problem = "MelWeightMatrix i64={8} i64={16} i64={8192} f32={0} f32={4096}"},
    {.problem =
         "MelWeightMatrix{output_datatype=f64} i32={80} i32={400} i32={16000} f32={0} f32={8000}"},
    {0},
};

const tn_op tn_op_mel_weight_matrix = {
    .name = "MelWeightMatrix",
    .since = 17,
    .about = "triangles over the bins of a spectrum, evenly spaced on the mel scale",
    .in = ins,
    .in_count = TN_COUNT(ins),
    .out = outs,
    .out_count = TN_COUNT(outs),
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_mel_params),
    .lower = lower,
    .infer = infer,
    .reference = reference,
    .cases = cases,
};
