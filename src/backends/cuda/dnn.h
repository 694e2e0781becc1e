/* cuDNN 9, opened where it is there: declared by its ABI, like the driver's calls (driver.h). Here
 * is what convolutions ask of it; others have tables of their own. */
#ifndef TN_BACKENDS_CUDA_DNN_H
#define TN_BACKENDS_CUDA_DNN_H

#include "backends/cuda/cuda.h"

typedef int tn_dnn_result;
typedef struct tn_dnn_context *tn_dnn_handle;
typedef struct tn_dnn_tensor_s *tn_dnn_tensor;
typedef struct tn_dnn_filter_s *tn_dnn_filter;
typedef struct tn_dnn_window_s *tn_dnn_window;
typedef struct tn_dnn_activation_s *tn_dnn_activation;

enum {
    TN_DNN_F32 = 0,
    TN_DNN_F16 = 2,
    TN_DNN_BF16 = 9,
    TN_DNN_NCHW = 0,
    TN_DNN_CROSS_CORRELATION = 1,
    TN_DNN_MATH_TENSOR = 1, /* of 16-bit elements */
    TN_DNN_MATH_FMA = 3,    /* f32 stays f32 */
    TN_DNN_RELU = 1,
    TN_DNN_IDENTITY = 5,
    TN_DNN_PROPAGATE_NAN = 1,
    TN_DNN_GEMM = 0,    /* algorithms: implicit products ... */
    TN_DNN_PRECOMP = 1, /* ... with indices made ahead */
    TN_DNN_FFT = 4,
    TN_DNN_FFT_TILES = 5,
    TN_DNN_WINOGRAD = 6,
    TN_DNN_WINOGRAD_PARTS = 7, /* transforms and products in kernels of their own */
};

#define TN_DNN_CALLS(X)                                                                            \
    X(create, "cudnnCreate", (tn_dnn_handle * handle))                                             \
    X(destroy, "cudnnDestroy", (tn_dnn_handle handle))                                             \
    X(set_stream, "cudnnSetStream", (tn_dnn_handle handle, tn_cu_stream stream))                   \
    X(tensor_new, "cudnnCreateTensorDescriptor", (tn_dnn_tensor * tensor))                         \
    X(tensor_free, "cudnnDestroyTensorDescriptor", (tn_dnn_tensor tensor))                         \
    X(tensor_set, "cudnnSetTensorNdDescriptor",                                                    \
      (tn_dnn_tensor tensor, int type, int rank, const int *dim, const int *step))                 \
    X(filter_new, "cudnnCreateFilterDescriptor", (tn_dnn_filter * filter))                         \
    X(filter_free, "cudnnDestroyFilterDescriptor", (tn_dnn_filter filter))                         \
    X(filter_set, "cudnnSetFilterNdDescriptor",                                                    \
      (tn_dnn_filter filter, int type, int format, int rank, const int *dim))                      \
    X(window_new, "cudnnCreateConvolutionDescriptor", (tn_dnn_window * window))                    \
    X(window_free, "cudnnDestroyConvolutionDescriptor", (tn_dnn_window window))                    \
    X(window_set, "cudnnSetConvolutionNdDescriptor",                                               \
      (tn_dnn_window window, int axes, const int *pad, const int *stride, const int *dilation,     \
       int mode, int compute))                                                                     \
    X(window_groups, "cudnnSetConvolutionGroupCount", (tn_dnn_window window, int groups))          \
    X(window_math, "cudnnSetConvolutionMathType", (tn_dnn_window window, int math))                \
    X(activation_new, "cudnnCreateActivationDescriptor", (tn_dnn_activation * activation))         \
    X(activation_free, "cudnnDestroyActivationDescriptor", (tn_dnn_activation activation))         \
    X(activation_set, "cudnnSetActivationDescriptor",                                              \
      (tn_dnn_activation activation, int kind, int nan, double number))                            \
    X(workspace, "cudnnGetConvolutionForwardWorkspaceSize",                                        \
      (tn_dnn_handle handle, tn_dnn_tensor x, tn_dnn_filter w, tn_dnn_window window,               \
       tn_dnn_tensor y, int algorithm, size_t *bytes))                                             \
    X(conv, "cudnnConvolutionForward",                                                             \
      (tn_dnn_handle handle, const void *alpha, tn_dnn_tensor x_desc, const void *x,               \
       tn_dnn_filter w_desc, const void *w, tn_dnn_window window, int algorithm, void *workspace,  \
       size_t workspace_bytes, const void *beta, tn_dnn_tensor y_desc, void *y))                   \
    X(conv_fused, "cudnnConvolutionBiasActivationForward",                                         \
      (tn_dnn_handle handle, const void *alpha, tn_dnn_tensor x_desc, const void *x,               \
       tn_dnn_filter w_desc, const void *w, tn_dnn_window window, int algorithm, void *workspace,  \
       size_t workspace_bytes, const void *beta, tn_dnn_tensor z_desc, const void *z,              \
       tn_dnn_tensor bias_desc, const void *bias, tn_dnn_activation activation,                    \
       tn_dnn_tensor y_desc, void *y))

#define TN_MEMBER(member, symbol, parameters) tn_dnn_result(*member) parameters;
typedef struct tn_dnn {
    TN_DNN_CALLS(TN_MEMBER)
} tn_dnn;
#undef TN_MEMBER

/* Opened once for the process; NULL where it is missing or too old, and *why then says so. */
const tn_dnn *tn_dnn_open(const char **why);
int tn_dnn_type(tn_dtype dtype); /* its number of the type; -1: not f32, f16 or bf16 */
size_t tn_dnn_version(void);     /* 0: missing, or it does not say */
/* Fills a struct of other calls; false where the library or one of them is missing. */
bool tn_dnn_fill(const tn_cuda_symbol *rows, size_t count, void *calls);

/* The library's handle of a stream, and one of a card's own for questions, which enters that card;
 * NULL where it does not start. */
tn_status tn_dnn_handle_of(tn_cuda_stream *stream, tn_dnn_handle *out) TN_MUST_USE;
tn_status tn_dnn_card_handle(int ordinal, tn_dnn_handle *out) TN_MUST_USE;

/* A convolution of dense tensors [N, C, ...] with `axes` spatial axes, 2 or 3. */
typedef struct tn_dnn_conv {
    int32_t type, axes, groups, algorithm;
    int32_t x[5], w[5], y[5];
    int32_t pad[3], stride[3], dilation[3];
} tn_dnn_conv;

typedef struct tn_dnn_operands {
    const void *x, *w, *bias, *residual; /* the last two may be NULL */
    void *y, *workspace;
    size_t workspace_bytes;
} tn_dnn_operands;

/* Does the library take it, and how much workspace does it want? By a handle of its own on the
 * first card; answers are remembered. */
tn_status tn_dnn_conv_workspace(const tn_dnn_conv *conv, bool *known, size_t *bytes) TN_MUST_USE;
/* y = conv(x, w), and where *finished comes back true bias, residual and relu (where asked) are in
 * it. *known is false, and nothing is done, where the library does not take it. */
tn_status tn_dnn_conv_run(tn_cuda_stream *stream, const tn_dnn_conv *conv,
                          const tn_dnn_operands *operands, bool relu, bool *known,
                          bool *finished) TN_MUST_USE;

#endif
