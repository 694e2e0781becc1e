/* DeformConv-22: a convolution whose taps are moved.
 *
 *     y[n,o,.] = B[o] + sum over channels c and taps k of W[o,c,k] * mask[n,g,k,.] * x[n,c](place)
 *     place    = . * stride + k * dilation - pad + offset[n,g,k,axis,.]     g: c's offset group
 *
 * Places between elements are interpolated; elements outside of x are zero. */
#include "ops/deform_conv/deform_conv.h"

#include <math.h>

#include "ops/moving.h"
#include "ops/wide/wide.h"

enum { X, W, OFFSET, B, MASK };

static const tn_field fields[] = {
    {.name = "kernel_shape",
     .kind = TN_FIELD_INTS,
     .offset = offsetof(tn_deform_conv_params, window.kernel_shape)},
    {.name = "strides",
     .kind = TN_FIELD_INTS,
     .offset = offsetof(tn_deform_conv_params, window.strides)},
    {.name = "dilations",
     .kind = TN_FIELD_INTS,
     .offset = offsetof(tn_deform_conv_params, window.dilations)},
    {.name = "pads", .kind = TN_FIELD_INTS, .offset = offsetof(tn_deform_conv_params, window.pads)},
    TN_INT(tn_deform_conv_params, group, 1),
    TN_INT(tn_deform_conv_params, offset_group, 1),
};
static const tn_port ins[] = {
    {"X", TN_DTS_FLOAT, 'T', 0},
    {"W", TN_DTS_FLOAT, 'T', 0},
    {"offset", TN_DTS_FLOAT, 'T', 0},
    {"B", TN_DTS_FLOAT, 'T', TN_PORT_OPTIONAL},
    {"mask", TN_DTS_FLOAT, 'T', TN_PORT_OPTIONAL},
};
static const tn_port outs[] = {{"Y", TN_DTS_FLOAT, 'T', 0}};

static tn_status lower(const tn_node *node, void *params_out)
{
    const tn_deform_conv_params *params = params_out;
    (void)node;
    TN_CHECK(params->group >= 1 && params->offset_group >= 1, TN_INVALID,
             "group is %lld, offset_group %lld", (long long)params->group,
             (long long)params->offset_group);
    return tn_window_check(&params->window);
}

/* -1 where a dim is not a number. */
static int64_t number_of(const tn_infer *f, tn_expr e)
{
    int64_t value;
    return tn_expr_is_const(f->exprs, e, &value) ? value : -1;
}

static tn_status check_moves(tn_infer *f, int input, int64_t want, const tn_expr *out)
{
    const tn_type *t = &f->in[input];
    char text[128];
    if (!tn_infer_has(f, input) || t->rank < 0) return NULL;
    int64_t channels = t->rank > 1 ? number_of(f, t->dim[1]) : -1;
    bool fits = t->rank == f->in[X].rank && (want < 0 || channels < 0 || channels == want);
    for (int i = 0; fits && i < t->rank; i++) {
        if (i == 1) continue;
        int64_t a = number_of(f, t->dim[i]), b = number_of(f, out[i]);
        fits = a < 0 || b < 0 || a == b;
    }
    TN_CHECK(fits, TN_INVALID, "%s must have %lld channels and the output's other axes: it is %s",
             f->op->in[input].name, (long long)want, tn_type_text(f->exprs, t, text, sizeof text));
    return NULL;
}

static tn_status infer(tn_infer *f)
{
    const tn_deform_conv_params *params = f->params;
    const tn_type *x = &f->in[X], *w = &f->in[W];
    char text_x[128], text_w[128];
    tn_expr dim[TN_RANK_MAX];
    if (x->rank < 0 || w->rank < 0) {
        tn_infer_set(f, 0, x->dtype, -1, NULL);
        return NULL;
    }
    tn_type_text(f->exprs, x, text_x, sizeof text_x);
    tn_type_text(f->exprs, w, text_w, sizeof text_w);
    TN_CHECK(x->rank >= 3 && x->rank <= 5 && w->rank == x->rank, TN_INVALID,
             "X and W need the same 1 to 3 spatial axes: they are %s and %s", text_x, text_w);
    int64_t channels = number_of(f, x->dim[1]), each = number_of(f, w->dim[1]),
            outputs = number_of(f, w->dim[0]);
    if (channels >= 0)
        TN_CHECK(channels % params->group == 0 && channels % params->offset_group == 0 &&
                     (each < 0 || channels / params->group == each) &&
                     (outputs < 0 || outputs % params->group == 0),
                 TN_INVALID,
                 "channels do not match: X is %s, W is %s, group %lld, offset_group %lld", text_x,
                 text_w, (long long)params->group, (long long)params->offset_group);
    dim[0] = x->dim[0];
    dim[1] = w->dim[0];
    TN_TRY(tn_window_infer(f, &params->window, x, w->dim + 2, dim + 2));
    int64_t moves = params->offset_group;
    for (int i = 2; i < w->rank && moves >= 0; i++) {
        int64_t taps = number_of(f, w->dim[i]);
        if (taps < 0 || !tn_mul_i64(moves, taps, &moves)) moves = -1;
    }
    TN_TRY(check_moves(f, OFFSET, moves < 0 ? -1 : moves * (x->rank - 2), dim));
    TN_TRY(check_moves(f, MASK, moves, dim));
    if (tn_infer_has(f, B) && f->in[B].rank >= 0) {
        int64_t biases = f->in[B].rank == 1 ? number_of(f, f->in[B].dim[0]) : -1;
        TN_CHECK(f->in[B].rank == 1 && (biases < 0 || outputs < 0 || biases == outputs), TN_INVALID,
                 "B must have a value for each output channel: it is %s",
                 tn_type_text(f->exprs, &f->in[B], text_w, sizeof text_w));
    }
    tn_infer_set(f, 0, x->dtype, x->rank, dim);
    return NULL;
}

/* A problem with its spatial axes brought to three, as tn_window has them. */
typedef struct work {
    const tn_problem *p;
    const tn_deform_conv_params *params;
    tn_window w;
    int axes;
    const double *x, *weights;
    double *column; /* [channels, taps]: what the taps of one output position see */
} work;

static size_t scratch_bytes(const tn_problem *p)
{
    int64_t cells = p->in[X].dim[1];
    for (int i = 2; i < p->in[W].rank; i++)
        if (!tn_mul_i64(cells, p->in[W].dim[i], &cells)) return tn_wide_bytes(INT64_MAX);
    size_t bytes = tn_wide_add(tn_wide_tensor_bytes(&p->in[X]), tn_wide_tensor_bytes(&p->in[W]));
    return tn_wide_add(bytes, tn_wide_bytes(cells));
}

/* One place of one channel, linear along the last `axes` of the three axes. */
static double sample(const work *s, const double *plane, const double place[3])
{
    int64_t first[3] = {0};
    double part[3] = {0}, sum = 0;
    for (int i = 3 - s->axes; i < 3; i++) {
        double low = floor(place[i]);
        if (!(place[i] > -1 && place[i] < (double)s->w.in[i])) return 0;
        first[i] = (int64_t)low;
        part[i] = place[i] - low;
    }
    for (int k = 0; k < 1 << s->axes; k++) {
        int64_t at = 0;
        double weight = 1;
        bool inside = true;
        for (int i = 3 - s->axes; i < 3; i++) {
            int next = k >> (2 - i) & 1;
            int64_t index = first[i] + next;
            weight *= next ? part[i] : 1 - part[i];
            inside = inside && index >= 0 && index < s->w.in[i];
            at = at * s->w.in[i] + index;
        }
        if (inside && weight != 0) sum += weight * plane[at];
    }
    return sum;
}

static double load(const work *s, int input, int64_t at)
{
    return tn_load_f64(s->p->in[input].dtype, s->p->in[input].data, at);
}

/* column[] for output position `at` of image n. */
static void gather(const work *s, int64_t n, int64_t at)
{
    const tn_window *w = &s->w;
    int64_t channels = s->p->in[X].dim[1], groups = s->params->offset_group, taps = w->kernel_count;
    int64_t position[3] = {at / w->out[2] / w->out[1], at / w->out[2] % w->out[1], at % w->out[2]};
    for (int64_t g = 0; g < groups; g++) {
        for (int64_t k = 0; k < taps; k++) {
            int64_t tap[3] = {k / w->kernel[2] / w->kernel[1], k / w->kernel[2] % w->kernel[1],
                              k % w->kernel[2]};
            int64_t row = (n * groups + g) * taps + k;
            double place[3] = {0}, factor = 1;
            for (int i = 3 - s->axes; i < 3; i++) {
                int64_t move_at = (row * s->axes + i - (3 - s->axes)) * w->out_count + at;
                int64_t fixed = position[i] * w->stride[i] + tap[i] * w->dilation[i] - w->pad[i];
                place[i] = (double)fixed + load(s, OFFSET, move_at);
            }
            if (tn_wide_has(s->p, MASK)) factor = load(s, MASK, row * w->out_count + at);
            for (int64_t c = g * (channels / groups); c < (g + 1) * (channels / groups); c++)
                s->column[c * taps + k] =
                    factor * sample(s, s->x + (n * channels + c) * w->in_count, place);
        }
    }
}

static tn_status reference(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_tensor *y = &p->out[0];
    work s = {.p = p, .params = p->params, .axes = p->in[X].rank - 2};
    void *scratch = l->scratch;
    s.x = tn_wide_load(&scratch, &p->in[X]);
    s.weights = tn_wide_load(&scratch, &p->in[W]);
    tn_window_of(&s.params->window, &p->in[X], p->in[W].dim + 2, y, &s.w);
    s.column = tn_wide_take(&scratch, p->in[X].dim[1] * s.w.kernel_count);
    int64_t outputs = y->dim[1], cells = p->in[W].dim[1] * s.w.kernel_count;
    if (tn_tensor_count(y) == 0) return NULL;
    for (int64_t n = 0; n < y->dim[0]; n++) {
        for (int64_t at = 0; at < s.w.out_count; at++) {
            gather(&s, n, at);
            for (int64_t o = 0; o < outputs; o++) {
                const double *seen = s.column + o / (outputs / s.params->group) * cells;
                double sum = tn_wide_has(p, B) ? load(&s, B, o) : 0;
                for (int64_t k = 0; k < cells; k++) sum += s.weights[o * cells + k] * seen[k];
                tn_store_f64(y->dtype, y->data, (n * outputs + o) * s.w.out_count + at, sum);
            }
        }
    }
    return NULL;
}

static const tn_case cases[] = {
    /* Without moves a convolution; the second tap moved half an element on: (3 + 4) / 2. */
    {.problem = "DeformConv f32[1,1,1,4]={1,2,3,4} f32[1,1,1,2]={10,1} "
                "f32[1,4,1,3]={0,0,0,0,0,0,0,0,0,0,0,0}",
     .expect = "f32[1,1,1,3]={12,23,34}"},
    {.problem = "DeformConv f32[1,1,1,4]={1,2,3,4} f32[1,1,1,2]={10,1} "
                "f32[1,4,1,3]={0,0,0,0,0,0,0,0,0,0,0.5,0.5} "
                "f32[1]={100} f32[1,2,1,3]={1,1,0.5,1,1,1}",
     .expect = "f32[1,1,1,3]={112,123.5,117}"},
    {.problem = "DeformConv{pads=[1,1,1,1], strides=[2,1], group=2, offset_group=2} f32[2,4,7,6] "
                "f32[6,2,3,3] "
                "f32[2,36,4,6] f32[6] f32[2,18,4,6]"},
    {.problem = "DeformConv{dilations=[1,2,1]} f32[1,2,4,5,3] f32[3,2,2,2,2] f32[1,24,3,3,2]",
     .lo = -2,
     .hi = 2},
    {0},
};

const tn_op tn_op_deform_conv = {
    .name = "DeformConv",
    .since = 22,
    .about = "a convolution whose taps are moved by offsets and weighted by a mask",
    .in = ins,
    .in_count = TN_COUNT(ins),
    .out = outs,
    .out_count = TN_COUNT(outs),
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_deform_conv_params),
    .lower = lower,
    .infer = infer,
    .reference = reference,
    .scratch_bytes = scratch_bytes,
    .cases = cases,
};
