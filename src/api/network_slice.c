/* Slices: plainly where every element is inside, by gathered places where some are not. */
#include "api/network.h"

typedef struct slice {
    int rank;
    bool known; /* the numbers below; else the tensors */
    int64_t start[TN_RANK_MAX], size[TN_RANK_MAX], stride[TN_RANK_MAX];
    tn_value *starts, *sizes, *strides; /* i64 [rank] */
} slice;

static bool read_slice(const tn_pen *pen, slice *s)
{
    s->rank = tn_pen_rank(pen, 0);
    s->known = !pen->in[1] && !pen->in[2] && !pen->in[3];
    if (s->rank < 0) return false;
    if (!pen->in[1] && !tn_pen_each(pen, TN_SET_START, s->rank, 0, s->start)) return false;
    if (!pen->in[2] && !tn_pen_each(pen, TN_SET_SIZE, s->rank, -1, s->size)) return false;
    if (!pen->in[3] && !tn_pen_each(pen, TN_SET_STRIDE, s->rank, 1, s->stride)) return false;
    tn_draft *d = pen->draft;
    s->starts = pen->in[1] ? tn_pen_i64(pen, pen->in[1]) : tn_draft_ints(d, s->start, s->rank);
    s->sizes = pen->in[2] ? tn_pen_i64(pen, pen->in[2]) : tn_draft_ints(d, s->size, s->rank);
    s->strides = pen->in[3] ? tn_pen_i64(pen, pen->in[3]) : tn_draft_ints(d, s->stride, s->rank);
    return !d->failed;
}

/* ---- Inside ----------------------------------------------------------------------------------*/

/* Where axis i ends; *last is the last element. A negative end would count from the back. */
static bool find_end(const tn_pen *pen, const slice *s, int i, int64_t *end, int64_t *last)
{
    int64_t span;
    bool back = s->stride[i] < 0;
    *last = s->start[i];
    *end = back ? INT64_MIN : INT64_MAX;
    if (s->size[i] == -1) return true;
    bool fits = tn_mul_i64(s->size[i], s->stride[i], &span) &&
                !__builtin_add_overflow(s->start[i], span, end);
    if (!fits || s->size[i] < 0) {
        tn_pen_fail(pen, TN_INVALID, "axis %d: %lld elements from %lld on, %lld apart", i,
                    (long long)s->size[i], (long long)s->start[i], (long long)s->stride[i]);
        return false;
    }
    if (s->size[i]) *last = *end - s->stride[i];
    if (back && *end < 0) *end = INT64_MIN;
    return true;
}

/* Known numbers: checked against dims that are known. A dim of the run is checked by the reshape
 * behind, which has the sizes wanted. */
static void write_known(tn_pen *pen, const slice *s)
{
    const tn_type *x = &pen->in[0]->type;
    tn_draft *d = pen->draft;
    int64_t end[TN_RANK_MAX], axes[TN_RANK_MAX], shape[TN_RANK_MAX], dim, last;
    bool reshape = false;
    for (int i = 0; i < s->rank; i++) {
        axes[i] = i;
        if (s->stride[i] == 0) tn_pen_fail(pen, TN_INVALID, "axis %d: its STRIDE is 0", i);
        if (d->failed || !find_end(pen, s, i, &end[i], &last)) return;
        bool fixed = tn_expr_is_const(d->graph->exprs, x->dim[i], &dim);
        bool inside = TN_MIN(s->start[i], last) >= 0 &&
                      (!fixed || s->size[i] == 0 || TN_MAX(s->start[i], last) < dim ||
                       (s->size[i] == -1 && s->start[i] <= dim));
        if (!inside)
            tn_pen_fail(pen, TN_INVALID,
                        "axis %d: elements %lld to %lld are outside of its %lld elements; OUTSIDE "
                        "says what to take there",
                        i, (long long)s->start[i], (long long)last, (long long)(fixed ? dim : -1));
        shape[i] = s->size[i] == -1 ? 0 : s->size[i];
        reshape = reshape || (!fixed && s->size[i] > 0);
    }
    tn_value *in[] = {pen->in[0], s->starts, tn_draft_ints(d, end, s->rank),
                      tn_draft_ints(d, axes, s->rank), s->strides};
    tn_value *y = reshape ? tn_pen_part(pen, "Slice", in, 5, TN_PLAIN)
                          : tn_pen_op(pen, "Slice", in, 5, TN_PLAIN);
    if (reshape)
        y = tn_pen_op(pen, "Reshape", TN_IN(y, tn_draft_ints(d, shape, s->rank)), TN_PLAIN);
    pen->out[0] = y;
}

static void write_tensors(tn_pen *pen, const slice *s)
{
    tn_draft *d = pen->draft;
    int64_t axes[TN_RANK_MAX];
    for (int i = 0; i < s->rank; i++) axes[i] = i;
    tn_value *span = tn_pen_part(pen, "Mul", TN_IN(s->sizes, s->strides), TN_PLAIN);
    tn_value *end = tn_pen_part(pen, "Add", TN_IN(s->starts, span), TN_PLAIN);
    tn_value *zero = tn_draft_scalar(d, TN_DTYPE_I64, 0);
    tn_value *under = tn_pen_part(pen, "Less", TN_IN(end, zero), TN_PLAIN);
    tn_value *least = tn_draft_scalar(d, TN_DTYPE_I64, (double)INT64_MIN);
    tn_value *in[] = {pen->in[0], s->starts,
                      tn_pen_part(pen, "Where", TN_IN(under, least, end), TN_PLAIN),
                      tn_draft_ints(d, axes, s->rank), s->strides};
    tn_value *y = tn_pen_part(pen, "Slice", in, 5, TN_PLAIN);
    pen->out[0] =
        tn_pen_op(pen, "Reshape", TN_IN(y, s->sizes), TN_WITH(tn_attr_int("allowzero", 1)));
}

/* ---- Outside ---------------------------------------------------------------------------------*/

static tn_value *pick(const tn_pen *pen, tn_value *list, int i)
{
    return tn_pen_part(pen, "Gather", TN_IN(list, tn_draft_scalar(pen->draft, TN_DTYPE_I64, i)),
                       TN_PLAIN);
}

static tn_value *formula(const tn_pen *pen, const char *text, tn_value *i, tn_value *n)
{
    const tn_named named[] = {{.name = "i", .value = i}, {.name = "n", .value = n}};
    if (pen->draft->failed) return NULL;
    return tn_draft_formula(pen->draft, NULL, text, TN_DTYPE_I64, named, TN_COUNT(named));
}

/* Axis `axis` of x at start + k * stride, places outside 0 .. n - 1 led inside or filled. */
static tn_value *gather_axis(tn_pen *pen, const slice *s, tn_value *x, int axis, int64_t mode,
                             tn_value *fill)
{
    static const char *const inside[] = {[TN_OUTSIDE_WRAP] = "Mod(i, n)",
                                         [TN_OUTSIDE_CLAMP] = "Max(Min(i, n - 1), 0)",
                                         [TN_OUTSIDE_VALUE] = "Max(Min(i, n - 1), 0)",
                                         [TN_OUTSIDE_REFLECT] =
                                             "Min(Mod(i, Max(2 * n - 2, 1)), Max(2 * n - 2, 1) - "
                                             "Mod(i, Max(2 * n - 2, 1)))"};
    tn_draft *d = pen->draft;
    tn_value *one = tn_draft_scalar(d, TN_DTYPE_I64, 1),
             *zero = tn_draft_scalar(d, TN_DTYPE_I64, 0);
    tn_value *n = pick(pen, tn_draft_shape(d, pen->in[0]), axis);
    tn_value *k = tn_pen_part(pen, "Range", TN_IN(zero, pick(pen, s->sizes, axis), one), TN_PLAIN);
    tn_value *step = tn_pen_part(pen, "Mul", TN_IN(k, pick(pen, s->strides, axis)), TN_PLAIN);
    tn_value *i = tn_pen_part(pen, "Add", TN_IN(step, pick(pen, s->starts, axis)), TN_PLAIN);
    tn_value *y = tn_pen_part(pen, "Gather", TN_IN(x, formula(pen, inside[mode], i, n)),
                              TN_WITH(tn_attr_int("axis", axis)));
    if (mode != TN_OUTSIDE_VALUE) return y;
    int64_t behind[TN_RANK_MAX];
    for (int b = axis + 1; b < s->rank; b++) behind[b - axis - 1] = b - axis;
    tn_value *is_inside = tn_pen_part(
        pen, "And", TN_IN(formula(pen, "i >= 0", i, n), formula(pen, "i < n", i, n)), TN_PLAIN);
    is_inside = tn_pen_part(
        pen, "Unsqueeze", TN_IN(is_inside, tn_draft_ints(d, behind, s->rank - axis - 1)), TN_PLAIN);
    return tn_pen_part(pen, "Where", TN_IN(is_inside, y, fill), TN_PLAIN);
}

/* Does the slice leave this axis as it is? */
static bool keeps_axis(const tn_pen *pen, const slice *s, int i)
{
    int64_t dim;
    return s->known && s->start[i] == 0 && s->stride[i] == 1 &&
           tn_expr_is_const(pen->draft->graph->exprs, pen->in[0]->type.dim[i], &dim) &&
           dim == s->size[i];
}

static void write_slice(tn_pen *pen)
{
    slice s;
    int64_t mode = tn_pen_int(pen, TN_SET_OUTSIDE, TN_OUTSIDE_REFUSED);
    if (mode < TN_OUTSIDE_REFUSED || mode > TN_OUTSIDE_REFLECT)
        tn_pen_fail(pen, TN_INVALID, "there is no mode %lld", (long long)mode);
    if (pen->draft->failed || !read_slice(pen, &s)) return;
    if (mode == TN_OUTSIDE_REFUSED) {
        if (s.known) write_known(pen, &s);
        else write_tensors(pen, &s);
        return;
    }
    tn_value *y = pen->in[0], *fill = pen->in[4];
    if (!fill && mode == TN_OUTSIDE_VALUE)
        fill = tn_draft_scalar(pen->draft, y->type.dtype, tn_pen_float(pen, TN_SET_VALUE, 0));
    for (int i = 0; i < s.rank; i++) {
        if (s.known && s.size[i] < 0)
            tn_pen_fail(pen, TN_INVALID,
                        "axis %d: its SIZE must be told where places outside are "
                        "allowed",
                        i);
        if (!keeps_axis(pen, &s, i)) y = gather_axis(pen, &s, y, i, mode, fill);
    }
    pen->out[0] = tn_pen_op(pen, "Identity", TN_IN(y), TN_PLAIN);
}

tn_layer *tn_network_add_slice(tn_network *network, tn_layer *x, const int64_t *start,
                               const int64_t *size, const int64_t *stride, int rank)
{
    static const tn_layer_kind kind = {
        "slice", TN_HAS(START) | TN_HAS(SIZE) | TN_HAS(STRIDE) | TN_HAS(OUTSIDE) | TN_HAS(VALUE),
        1,       5,
        1,       write_slice};
    tn_layer *layer = tn_layer_add(network, &kind, TN_LAYERS(x));
    tn_layer_keep_ints(layer, TN_SET_START, start, rank);
    tn_layer_keep_ints(layer, TN_SET_SIZE, size, rank);
    if (stride) tn_layer_keep_ints(layer, TN_SET_STRIDE, stride, rank);
    return tn_layer_done(layer);
}
