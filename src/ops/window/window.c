#include "ops/window/window.h"

/* Far above any real window, and low enough that products of two cannot overflow. */
#define WINDOW_MAX (INT64_C(1) << 31)

static int64_t at_or(const tn_ints *ints, int index, int64_t otherwise)
{
    return ints->count > index ? ints->at[index] : otherwise;
}

static tn_status check_list(const tn_ints *ints, const char *name, int64_t least, int each,
                            int *axes)
{
    if (ints->count < 0) return NULL;
    TN_CHECK(ints->count % each == 0 && ints->count > 0, TN_INVALID, "%s has %d values", name,
             ints->count);
    TN_CHECK(*axes == 0 || ints->count == *axes * each, TN_INVALID,
             "%s has %d values, other attributes are for %d spatial axes", name, ints->count,
             *axes);
    *axes = ints->count / each;
    for (int i = 0; i < ints->count; i++)
        TN_CHECK(ints->at[i] >= least && ints->at[i] < WINDOW_MAX, TN_INVALID,
                 "%s[%d] is %lld, outside [%lld, 2^31)", name, i, (long long)ints->at[i],
                 (long long)least);
    return NULL;
}

tn_status tn_window_check(const tn_window_params *params)
{
    int axes = 0;
    TN_TRY(check_list(&params->kernel_shape, "kernel_shape", 1, 1, &axes));
    TN_TRY(check_list(&params->strides, "strides", 1, 1, &axes));
    TN_TRY(check_list(&params->dilations, "dilations", 1, 1, &axes));
    TN_TRY(check_list(&params->pads, "pads", -WINDOW_MAX + 1, 2, &axes));
    TN_CHECK(axes <= 3, TN_UNSUPPORTED, "windows have 1 to 3 spatial axes, not %d", axes);
    return NULL;
}

/* One axis: how many windows fit. `span` is what one window covers. */
static tn_expr count_windows(tn_exprs *e, const tn_window_params *params, int axis, int axes,
                             tn_expr in, tn_expr span)
{
    tn_expr one = tn_expr_const(e, 1), stride = tn_expr_const(e, at_or(&params->strides, axis, 1));
    if (params->auto_pad == TN_AUTO_PAD_SAME_UPPER || params->auto_pad == TN_AUTO_PAD_SAME_LOWER)
        return tn_expr_ceil_div(e, in, stride);
    bool padded = params->auto_pad == TN_AUTO_PAD_NOTSET;
    int64_t before = padded ? at_or(&params->pads, axis, 0) : 0;
    int64_t after = padded ? at_or(&params->pads, axes + axis, 0) : 0;
    tn_expr room = tn_expr_sub(e, tn_expr_add(e, in, tn_expr_const(e, before + after)), span);
    if (!params->ceil_mode) return tn_expr_add(e, tn_expr_div(e, room, stride), one);
    /* A last window that would start in the padding behind the input is dropped. */
    tn_expr steps = tn_expr_ceil_div(e, room, stride);
    tn_expr end = tn_expr_add(e, in, tn_expr_const(e, before));
    tn_expr starts_inside = tn_expr_lt(e, tn_expr_mul(e, steps, stride), end);
    return tn_expr_add(e, steps, starts_inside);
}

tn_status tn_window_infer(tn_infer *f, const tn_window_params *params, const tn_type *x,
                          const tn_expr *kernel, tn_expr *dim)
{
    tn_exprs *e = f->exprs;
    char text[128];
    int axes = x->rank - 2;
    tn_type_text(e, x, text, sizeof text);
    TN_CHECK(axes >= 1 && axes <= 3, axes > 3 ? TN_UNSUPPORTED : TN_INVALID,
             "the input needs 1 to 3 spatial axes after batch and channels: X is %s", text);
    const tn_ints *lists[] = {&params->kernel_shape, &params->strides, &params->dilations};
    for (int i = 0; i < 3; i++)
        TN_CHECK(lists[i]->count < 0 || lists[i]->count == axes, TN_INVALID,
                 "the attributes are for %d spatial axes: X is %s", lists[i]->count, text);
    TN_CHECK(params->pads.count < 0 || params->pads.count == 2 * axes, TN_INVALID,
             "pads has %d values, %d are needed: X is %s", params->pads.count, 2 * axes, text);
    tn_expr one = tn_expr_const(e, 1);
    for (int i = 0; i < axes; i++) {
        tn_expr size = params->kernel_shape.count > 0 ? tn_expr_const(e, params->kernel_shape.at[i])
                                                      : kernel[i];
        tn_expr dilation = tn_expr_const(e, at_or(&params->dilations, i, 1));
        tn_expr span = tn_expr_add(e, tn_expr_mul(e, tn_expr_sub(e, size, one), dilation), one);
        dim[i] = count_windows(e, params, i, axes, x->dim[2 + i], span);
        int64_t count, taps;
        if (tn_expr_is_const(e, dim[i], &count))
            TN_CHECK(count >= 0, TN_INVALID,
                     "the window is larger than spatial axis %d with its padding: X is %s, "
                     "kernel %lld",
                     i, text, tn_expr_is_const(e, size, &taps) ? (long long)taps : -1LL);
    }
    return NULL;
}

static void set_padding(const tn_window_params *params, tn_window *w, int axis, int from, int axes)
{
    w->pad[axis] = w->pad_end[axis] = 0;
    if (params->auto_pad == TN_AUTO_PAD_VALID) return;
    if (params->auto_pad == TN_AUTO_PAD_NOTSET) {
        w->pad[axis] = at_or(&params->pads, from, 0);
        w->pad_end[axis] = at_or(&params->pads, axes + from, 0);
        return;
    }
    int64_t span = (w->kernel[axis] - 1) * w->dilation[axis] + 1;
    int64_t total = (w->out[axis] - 1) * w->stride[axis] + span - w->in[axis];
    if (total < 0) total = 0;
    bool upper = params->auto_pad == TN_AUTO_PAD_SAME_UPPER;
    w->pad[axis] = upper ? total / 2 : total - total / 2;
    w->pad_end[axis] = total - w->pad[axis];
}

void tn_window_of(const tn_window_params *params, const tn_tensor *x, const int64_t *kernel_dims,
                  const tn_tensor *y, tn_window *out)
{
    int axes = x->rank - 2;
    if (!kernel_dims) kernel_dims = params->kernel_shape.at;
    *out = (tn_window){.in_count = 1, .out_count = 1, .kernel_count = 1};
    for (int i = 0; i < 3; i++) {
        int from = i - (3 - axes); /* the model's axis; negative: one that we added */
        bool real = from >= 0;
        out->in[i] = real ? x->dim[2 + from] : 1;
        out->out[i] = real ? y->dim[2 + from] : 1;
        out->kernel[i] = real ? kernel_dims[from] : 1;
        out->stride[i] = real ? at_or(&params->strides, from, 1) : 1;
        out->dilation[i] = real ? at_or(&params->dilations, from, 1) : 1;
        if (real) set_padding(params, out, i, from, axes);
        out->in_count *= out->in[i];
        out->out_count *= out->out[i];
        out->kernel_count *= out->kernel[i];
    }
}

static int64_t ceil_divide(int64_t a, int64_t b) /* b > 0 */
{
    return a > 0 ? (a - 1) / b + 1 : -(-a / b);
}

void tn_window_range(const tn_window *w, int axis, int64_t k, int64_t *begin, int64_t *end)
{
    int64_t shift = w->pad[axis] - k * w->dilation[axis]; /* in = out * stride - shift */
    *begin = TN_MAX(0, ceil_divide(shift, w->stride[axis]));
    *end = TN_MIN(w->out[axis], ceil_divide(w->in[axis] + shift, w->stride[axis]));
    if (*end < *begin) *end = *begin;
}

void tn_type_channels_first(tn_type *type)
{
    if (type->rank < 2) return;
    tn_expr last = type->dim[type->rank - 1];
    for (int i = type->rank - 1; i > 1; i--) type->dim[i] = type->dim[i - 1];
    type->dim[1] = last;
}

void tn_type_channels_last(tn_type *type)
{
    if (type->rank < 2) return;
    tn_expr channels = type->dim[1];
    for (int i = 1; i + 1 < type->rank; i++) type->dim[i] = type->dim[i + 1];
    type->dim[type->rank - 1] = channels;
}

void tn_tensor_channels_first(tn_tensor *tensor)
{
    if (tensor->rank < 2) return;
    int64_t last = tensor->dim[tensor->rank - 1];
    for (int i = tensor->rank - 1; i > 1; i--) tensor->dim[i] = tensor->dim[i - 1];
    tensor->dim[1] = last;
}
