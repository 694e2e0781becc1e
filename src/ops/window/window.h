/* Sliding windows: the attributes, output sizes and paddings that convolutions and poolings share.
 *
 *        pad_begin       in        pad_end
 *       [ . . | x x x x x x x x | . . ]        kernel 3, dilation 2 reads o, span 5:
 *         o   o   o                             the next window starts `stride` further on
 */
#ifndef TN_OPS_WINDOW_H
#define TN_OPS_WINDOW_H

#include "ir/op.h"

#define TN_AUTO_PADS "NOTSET|SAME_UPPER|SAME_LOWER|VALID"
enum { TN_AUTO_PAD_NOTSET, TN_AUTO_PAD_SAME_UPPER, TN_AUTO_PAD_SAME_LOWER, TN_AUTO_PAD_VALID };

/* The first member of the params of every windowed operator. */
typedef struct tn_window_params {
    tn_ints kernel_shape, strides, dilations, pads; /* absent: from the weights, 1, 1, 0 */
    int64_t auto_pad, ceil_mode;
} tn_window_params;

/* Spatial axes are always three: a model's 1-D or 2-D window has leading axes of size 1. */
typedef struct tn_window {
    int64_t in[3], out[3];
    int64_t kernel[3], stride[3], dilation[3];
    int64_t pad[3], pad_end[3];
    int64_t in_count, out_count, kernel_count; /* products */
} tn_window;

/* The dims of [N, ..., C] as those of [N, C, ...], and back. */
void tn_type_channels_first(tn_type *type);
void tn_type_channels_last(tn_type *type);
void tn_tensor_channels_first(tn_tensor *tensor);

/* Checks of what attributes alone can tell (signs, counts that agree); for tn_op.lower. */
tn_status tn_window_check(const tn_window_params *params) TN_MUST_USE;
/* Spatial output sizes of x (rank >= 3 or unknown) into dim[0..rank-2), from attributes and, when
 * kernel_shape is absent, the dims kernel[] of the weights. Errors print x. */
tn_status tn_window_infer(tn_infer *f, const tn_window_params *params, const tn_type *x,
                          const tn_expr *kernel, tn_expr *dim) TN_MUST_USE;
/* The numbers of one problem. kernel_dims NULL: kernel_shape. out: y's spatial dims. */
void tn_window_of(const tn_window_params *params, const tn_tensor *x, const int64_t *kernel_dims,
                  const tn_tensor *y, tn_window *out);
/* Output positions [*begin, *end) of one axis whose tap `k` falls inside the input. */
void tn_window_range(const tn_window *w, int axis, int64_t k, int64_t *begin, int64_t *end);

#endif
