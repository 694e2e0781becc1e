/* Conv and FusedConv by cuDNN: each of its algorithms is a tactic, so that a build measures them.
 * Bias, residual and relu are in its call where it has them there, else a kernel of ours behind it.
 * Where it does not take the shapes of a run after all, our tiles do the work. */
#include "backends/cuda/dnn.h"
#include "backends/cuda/kernels/product.h"
#include "ops/wide/wide.h"

/* Its padding is the same at both ends. What differs at the far end does not matter as long as the
 * same number of windows fits. */
static bool pads_fit(const tn_window *w)
{
    for (int i = 0; i < 3; i++) {
        int64_t span = (w->kernel[i] - 1) * w->dilation[i] + 1, room = w->in[i] + 2 * w->pad[i];
        if (room < span || (room - span) / w->stride[i] + 1 != w->out[i]) return false;
    }
    return true;
}

static tn_verdict describe(const tn_problem *p, int algorithm, tn_dnn_conv *out)
{
    const tn_conv_params *params = p->params;
    const tn_tensor *x = &p->in[0], *weights = &p->in[1], *y = &p->out[0];
    const tn_tensor *tensors[] = {x, weights, y};
    tn_window w;
    tn_conv_window(p, 1, &w);
    *out = (tn_dnn_conv){.type = tn_dnn_type(x->dtype),
                         .axes = x->rank == 5 ? 3 : 2,
                         .groups = (int32_t)params->group,
                         .algorithm = algorithm};
    if (out->type < 0) return TN_NO("the operands are not f32, f16 or bf16");
    if (tn_tensor_count(y) == 0) return TN_NO("there is nothing to do");
    if (!pads_fit(&w)) return TN_NO("the padding differs at the two ends of an axis");
    for (int i = 0; i < 3; i++)
        if (tn_tensor_count(tensors[i]) > INT32_MAX)
            return TN_NO("a tensor has 2^31 elements or more");
    int32_t *dims[] = {out->x, out->w, out->y};
    const int64_t *spatial[] = {w.in, w.kernel, w.out};
    int skip = 3 - out->axes;
    for (int t = 0; t < 3; t++) {
        dims[t][0] = (int32_t)tensors[t]->dim[0];
        dims[t][1] = (int32_t)tensors[t]->dim[1];
        for (int i = 0; i < out->axes; i++) dims[t][2 + i] = (int32_t)spatial[t][skip + i];
    }
    for (int i = 0; i < out->axes; i++) {
        if (w.stride[skip + i] > INT32_MAX || w.dilation[skip + i] > INT32_MAX)
            return TN_NO("the window is too large");
        out->pad[i] = (int32_t)w.pad[skip + i];
        out->stride[i] = (int32_t)w.stride[skip + i];
        out->dilation[i] = (int32_t)w.dilation[skip + i];
    }
    return TN_YES;
}

static tn_verdict accepts(const tn_problem *p, int algorithm)
{
    const size_t most = (size_t)1 << 30;
    const char *why;
    tn_dnn_conv conv;
    bool known;
    size_t bytes;
    if (!tn_dnn_open(&why)) return TN_NO("cuDNN was not found");
    tn_verdict no = describe(p, algorithm, &conv);
    if (no) return no;
    bool by_fft = algorithm == TN_DNN_FFT || algorithm == TN_DNN_FFT_TILES;
    if (by_fft && conv.groups > 1) return TN_NO("cuDNN transforms each group by itself");
    if (by_fft && conv.w[2] * conv.w[3] < 9) return TN_NO("the window is too small for an FFT");
    if (tn_dnn_conv_workspace(&conv, &known, &bytes)) return TN_NO("cuDNN cannot be asked");
    if (!known) return TN_NO("cuDNN has no such algorithm for these shapes");
    if (bytes > most) return TN_NO("cuDNN wants more than a gigabyte of workspace");
    return TN_YES;
}

static size_t scratch_bytes(const tn_problem *p, int algorithm)
{
    tn_dnn_conv conv;
    bool known;
    size_t bytes;
    if (describe(p, algorithm, &conv)) return 0;
    return tn_dnn_conv_workspace(&conv, &known, &bytes) || !known ? 0 : bytes;
}

/* The convolution as our tiles do it. */
static tn_status launch_own(const tn_launch *l)
{
    tn_window w;
    tn_cuda_product x;
    tn_conv_window(l->problem, 1, &w);
    tn_cuda_product_of_window(l->problem, &w, &x);
    return tn_cuda_product_run(l, &x, TN_CUDA_TILE_64X64);
}

static tn_status launch(const tn_launch *l, int algorithm)
{
    const tn_problem *p = l->problem;
    tn_dnn_conv conv;
    tn_cuda_product x; /* names what Conv and FusedConv have in common */
    bool known, finished;
    if (tn_tensor_count(&p->out[0]) == 0) return NULL;
    tn_verdict no = describe(p, algorithm, &conv);
    if (no) return launch_own(l);
    tn_cuda_product_of_conv(p, &x);
    bool relu = x.epilogue.kind == TN_EPILOGUE_RELU;
    bool plain = x.epilogue.kind == TN_EPILOGUE_NONE;
    tn_dnn_operands operands = {.x = x.b,
                                .w = x.a,
                                .bias = relu || plain ? x.c : NULL,
                                .residual = x.residual,
                                .y = x.y,
                                .workspace = l->scratch,
                                .workspace_bytes = scratch_bytes(p, algorithm)};
    TN_TRY(tn_dnn_conv_run(tn_cuda_stream_of(l), &conv, &operands, relu, &known, &finished));
    if (!known) return launch_own(l);
    if (finished || (plain && !x.c && !x.residual)) return NULL;
    return tn_cuda_finish(l, x.dtype, x.y, tn_tensor_count(&p->out[0]), x.c, x.n, p->out[0].dim[1],
                          x.residual, &x.epilogue);
}

#define ALGORITHM(name, number)                                                                    \
    static tn_verdict accepts_##name(const tn_problem *p)                                          \
    {                                                                                              \
        return accepts(p, number);                                                                 \
    }                                                                                              \
    static size_t scratch_##name(const tn_problem *p)                                              \
    {                                                                                              \
        return scratch_bytes(p, number);                                                           \
    }                                                                                              \
    static tn_status launch_##name(const tn_launch *l)                                             \
    {                                                                                              \
        return launch(l, number);                                                                  \
    }
ALGORITHM(gemm, TN_DNN_GEMM)
ALGORITHM(precomp, TN_DNN_PRECOMP)
ALGORITHM(fft, TN_DNN_FFT)
ALGORITHM(fft_tiles, TN_DNN_FFT_TILES)
ALGORITHM(winograd, TN_DNN_WINOGRAD)
ALGORITHM(winograd_parts, TN_DNN_WINOGRAD_PARTS)

#define ROW(op_name, text, which, least)                                                           \
    {                                                                                              \
        .name = "cuda." text ".any.dnn_" #which, .op = op_name, .revision = 2, .needs = TN_SM75,   \
        .precision = least, .accepts = accepts_##which, .scratch_bytes = scratch_##which,          \
        .launch = launch_##which,                                                                  \
    }
/* Winograd's products in parts lose digits with 5 x 5 kernels: 6e-4 relative L2 was measured. */
#define OP(op_name, text)                                                                          \
    ROW(op_name, text, precomp, TN_PRECISION_F32), ROW(op_name, text, winograd, TN_PRECISION_F32), \
        ROW(op_name, text, winograd_parts, TN_PRECISION_TF32),                                     \
        ROW(op_name, text, fft, TN_PRECISION_F32),                                                 \
        ROW(op_name, text, fft_tiles, TN_PRECISION_F32),                                           \
        ROW(op_name, text, gemm, TN_PRECISION_F32)

extern const tn_tactic tn_cuda_conv_dnn[];
const tn_tactic tn_cuda_conv_dnn[] = {
    OP("Conv", "conv"),
    OP("FusedConv", "fusedconv"),
    {0},
};
