#ifndef TN_OPS_CONV_H
#define TN_OPS_CONV_H

#include "ops/epilogue.h"
#include "ops/window/window.h"

typedef struct tn_conv_params {
    tn_window_params window;
    int64_t group;
} tn_conv_params;

/* FusedConv: inputs X, W, B or none, residual or none. */
typedef struct tn_fused_conv_params {
    tn_conv_params conv; /* first: what reads a Conv's params reads these */
    tn_epilogue epilogue;
} tn_fused_conv_params;

/* ChannelsLastConv. */
typedef struct tn_conv_last_params {
    tn_fused_conv_params fused; /* first */
    int64_t x_first;            /* x is [N, C, ...] */
    tn_ints more_strides;       /* of X2's pixels; absent: 1 */
} tn_conv_last_params;

typedef struct tn_conv_transpose_params {
    tn_window_params window;
    int64_t group;
    tn_ints output_padding, output_shape;
} tn_conv_transpose_params;

/* The window of a problem with Conv's attributes whose weights are input `weights`. */
void tn_conv_window(const tn_problem *p, int weights, tn_window *out);
/* That of the convolution whose gradient ConvTranspose is: it reads y and writes x. */
void tn_conv_transpose_window(const tn_problem *p, tn_window *out);
/* That of ChannelsLastConv; and of its second product, whose windows are single pixels of input X2.
 */
void tn_conv_last_window(const tn_problem *p, tn_window *out);
enum { TN_CONV_LAST_X2 = 4, TN_CONV_LAST_W2 };
void tn_conv_last_more(const tn_problem *p, tn_window *out);
/* Output 0 of operators with Conv's attributes; the numbers of their inputs, bias -1: none. */
tn_status tn_conv_infer(tn_infer *f, int weights, int bias, tn_dtype dtype) TN_MUST_USE;
/* Input `residual`, if it is there, is like output 0. */
tn_status tn_conv_check_residual(const tn_infer *f, int residual) TN_MUST_USE;
tn_status tn_conv_lower(const tn_node *node, void *params) TN_MUST_USE;
/* The reference of Conv and of FusedConv, which adds input `residual` (-1: none) and applies a
 * function (NULL: neither). */
size_t tn_conv_wide_bytes(const tn_problem *p);
tn_status tn_conv_run_wide(const tn_launch *l, int residual,
                           const tn_epilogue *epilogue) TN_MUST_USE;
/* plane[out] += one input channel under its kernel_count weights. */
void tn_conv_add_channel(const tn_window *w, const double *x, const double *weights, double *plane);
/* The other way: plane[in] += one output channel under its weights. */
void tn_conv_add_back(const tn_window *w, const double *y, const double *weights, double *plane);
/* The window of ConvDataGradient (else ConvWeightGradient): that of the convolution. */
void tn_conv_gradient_window(const tn_problem *p, bool data, tn_window *out);
void tn_conv_gradient(tn_gradient *g);
void tn_conv_transpose_gradient(tn_gradient *g);

#define TN_CONV_FIELDS                                                                             \
    {.name = "kernel_shape",                                                                       \
     .kind = TN_FIELD_INTS,                                                                        \
     .offset = offsetof(tn_conv_params, window.kernel_shape)},                                     \
        {.name = "strides",                                                                        \
         .kind = TN_FIELD_INTS,                                                                    \
         .offset = offsetof(tn_conv_params, window.strides)},                                      \
        {.name = "dilations",                                                                      \
         .kind = TN_FIELD_INTS,                                                                    \
         .offset = offsetof(tn_conv_params, window.dilations)},                                    \
        {.name = "pads", .kind = TN_FIELD_INTS, .offset = offsetof(tn_conv_params, window.pads)},  \
        {.name = "auto_pad",                                                                       \
         .kind = TN_FIELD_ENUM,                                                                    \
         .choices = TN_AUTO_PADS,                                                                  \
         .offset = offsetof(tn_conv_params, window.auto_pad)},                                     \
        TN_INT(tn_conv_params, group, 1)

#endif
