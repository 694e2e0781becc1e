/* STFT-17: the transform of windows that slide over a signal [B, N, 1 or 2]:
 *
 *     y[b, t, k] = sum over n of window[n] * x[b, t * frame_step + n] * e^(-2 pi i k n / L)
 *
 * L is frame_length, or the window's length, or N. Onesided, only the first L / 2 + 1 are kept. */
#include "ops/dft/dft.h"

#include "ops/moving.h"
#include "ops/wide/wide.h"

enum { SIGNAL, STEP, WINDOW, LENGTH };

static const tn_field fields[] = {
    TN_INT(tn_stft_params, onesided, 1),
};
static const tn_port ins[] = {
    {"signal", TN_DTS_FLOAT, 'T', 0},
    {"frame_step", TN_DTS_INDEX, 'I', 0},
    {"window", TN_DTS_FLOAT, 'T', TN_PORT_OPTIONAL},
    {"frame_length", TN_DTS_INDEX, 'I', TN_PORT_OPTIONAL},
};
static const tn_port outs[] = {{"output", TN_DTS_FLOAT, 'T', 0}};

static tn_expr scalar_of(tn_infer *f, int input)
{
    const tn_expr *at;
    int64_t count;
    return tn_infer_exprs(f, input, &at, &count) && count == 1 ? at[0] : TN_EXPR_NONE;
}

static tn_status infer(tn_infer *f)
{
    const tn_stft_params *params = f->params;
    const tn_type *x = &f->in[SIGNAL];
    tn_exprs *e = f->exprs;
    char text[128];
    int64_t parts, value;
    if (x->rank < 0) {
        tn_infer_set_fresh(f, 0, x->dtype, 4);
        return NULL;
    }
    TN_CHECK(x->rank == 3, TN_INVALID, "signal must be [batch, length, 1 or 2]: it is %s",
             tn_type_text(e, x, text, sizeof text));
    if (tn_expr_is_const(e, x->dim[2], &parts))
        TN_CHECK(parts == 1 || (parts == 2 && !params->onesided), TN_INVALID,
                 "signal must be real, or complex and onesided 0: it is %s",
                 tn_type_text(e, x, text, sizeof text));
    tn_expr length = TN_EXPR_NONE, step = scalar_of(f, STEP), one = tn_expr_const(e, 1);
    if (tn_infer_has(f, WINDOW) && f->in[WINDOW].rank == 1) length = f->in[WINDOW].dim[0];
    if (!length && tn_infer_has(f, LENGTH)) length = scalar_of(f, LENGTH);
    else if (!tn_infer_has(f, WINDOW)) length = x->dim[1];
    TN_CHECK(!tn_expr_is_const(e, step, &value) || value > 0, TN_INVALID, "frame_step is %lld",
             (long long)value);
    tn_expr frames = tn_expr_add(e, tn_expr_div(e, tn_expr_sub(e, x->dim[1], length), step), one);
    tn_expr bins = length;
    if (params->onesided) bins = tn_expr_add(e, tn_expr_div(e, length, tn_expr_const(e, 2)), one);
    if (!frames) frames = tn_infer_fresh(f);
    if (!bins) bins = tn_infer_fresh(f);
    tn_infer_set(f, 0, x->dtype, 4, (tn_expr[]){x->dim[0], frames, bins, tn_expr_const(e, 2)});
    return NULL;
}

static size_t scratch_bytes(const tn_problem *p)
{
    int64_t most = p->out[0].dim[2];
    if (most > INT64_MAX / (2 * TN_FOURIER_DOUBLES)) return tn_wide_bytes(INT64_MAX);
    return tn_wide_add(tn_wide_bytes(2 * most * TN_FOURIER_DOUBLES), 4 * TN_ALIGNMENT);
}

static tn_status frame_of(const tn_problem *p, int64_t *length, int64_t *step)
{
    const tn_stft_params *params = p->params;
    const tn_tensor *x = &p->in[SIGNAL], *y = &p->out[0];
    TN_CHECK(tn_tensor_count(&p->in[STEP]) == 1 &&
                 (!tn_wide_has(p, LENGTH) || tn_tensor_count(&p->in[LENGTH]) == 1),
             TN_INVALID, "frame_step and frame_length must be one number each");
    *step = tn_load_i64(p->in[STEP].dtype, p->in[STEP].data, 0);
    *length = x->dim[1];
    if (tn_wide_has(p, WINDOW)) *length = p->in[WINDOW].dim[0];
    if (tn_wide_has(p, LENGTH)) {
        int64_t given = tn_load_i64(p->in[LENGTH].dtype, p->in[LENGTH].data, 0);
        TN_CHECK(!tn_wide_has(p, WINDOW) || given == *length, TN_INVALID,
                 "frame_length is %lld, the window has %lld elements", (long long)given,
                 (long long)*length);
        *length = given;
    }
    int64_t bins = params->onesided ? *length / 2 + 1 : *length;
    TN_CHECK(*step > 0 && *length > 0 && *length <= x->dim[1] && bins == y->dim[2] &&
                 (x->dim[1] - *length) / *step + 1 == y->dim[1],
             TN_INVALID,
             "frames of %lld at steps of %lld do not make [%lld, %lld] of %lld elements",
             (long long)*length, (long long)*step, (long long)y->dim[1], (long long)y->dim[2],
             (long long)x->dim[1]);
    return NULL;
}

static tn_status reference(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_tensor *x = &p->in[SIGNAL], *window = tn_wide_has(p, WINDOW) ? &p->in[WINDOW] : NULL,
                    *y = &p->out[0];
    int64_t length, step, parts = x->dim[2];
    if (tn_tensor_count(y) == 0) return NULL;
    TN_TRY(frame_of(p, &length, &step));
    void *scratch = l->scratch;
    double *roots = tn_wide_take(&scratch, 2 * length), *spare = tn_wide_take(&scratch, 2 * length);
    double *src = tn_wide_take(&scratch, 2 * length), *dst = tn_wide_take(&scratch, 2 * length);
    tn_fourier_roots(length, roots);
    for (int64_t row = 0; row < y->dim[0] * y->dim[1]; row++) {
        int64_t b = row / y->dim[1], t = row % y->dim[1];
        for (int64_t n = 0; n < length; n++) {
            int64_t at = (b * x->dim[1] + t * step + n) * parts;
            double factor = window ? tn_load_f64(window->dtype, window->data, n) : 1;
            src[2 * n] = factor * tn_load_f64(x->dtype, x->data, at);
            src[2 * n + 1] = parts == 2 ? factor * tn_load_f64(x->dtype, x->data, at + 1) : 0;
        }
        tn_fourier(length, roots, false, src, dst, spare);
        tn_store_f64s(y->dtype, y->data, row * y->dim[2] * 2, y->dim[2] * 2, dst);
    }
    return NULL;
}

static const tn_case cases[] = {
    {.problem = "STFT f32[1,4,1]={1,2,3,4} i64={2} none i64={2}",
     .expect = "f32[1,2,2,2]={3,0,-1,0,7,0,-1,0}"},
    {.problem = "STFT{onesided=0} f32[1,5,1]={1,2,3,4,5} i64={1} f32[4]={1,1,1,0}",
     .expect = "f32[1,2,4,2]={6,0,-2,-2,2,0,-2,2,9,0,-2,-3,3,0,-2,3}"},
    {.problem = "STFT f32[2,128,1] i64={8} f32[16] i64={16}"},
    {.problem = "STFT{onesided=0} f32[1,50,2] i32={7} none i32={15}"},
    {0},
};

const tn_op tn_op_stft = {
    .name = "STFT",
    .since = 17,
    .about = "Fourier transforms of windows that slide over a signal",
    .in = ins,
    .in_count = TN_COUNT(ins),
    .out = outs,
    .out_count = TN_COUNT(outs),
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_stft_params),
    .infer = infer,
    .reference = reference,
    .scratch_bytes = scratch_bytes,
    .cases = cases,
};
