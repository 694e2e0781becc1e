/* ChannelsLastConv by cuDNN's graphs: each engine that the library names is a tactic, so that a
 * build measures them. Activations other than relu are a kernel of ours behind it. Where it does
 * not take the shapes of a run after all, our tiles do the work. */
#include "backends/cuda/dnn_graph.h"
#include "backends/cuda/index.h"
#include "backends/cuda/kernels/conv_last.h"

/* Is the rest of the epilogue in the graph too? */
static bool is_whole(const tn_conv_last_params *params)
{
    int64_t kind = params->fused.epilogue.kind;
    return kind == TN_EPILOGUE_NONE || kind == TN_EPILOGUE_RELU;
}

static tn_verdict describe(const tn_problem *p, tn_dnn_graph *out)
{
    const tn_conv_last_params *params = p->params;
    const tn_tensor *x = &p->in[0], *y = &p->out[0];
    int64_t each = p->in[1].dim[p->in[1].rank - 1], group = params->fused.conv.group;
    int64_t outputs = y->dim[y->rank - 1];
    bool whole = is_whole(params), half = x->dtype != TN_DTYPE_F32;
    tn_window w;
    tn_conv_last_window(p, &w);
    tn_verdict no = tn_cuda_conv_last_fits(p, &w);
    if (no) return no;
    if (tn_cuda_has(p, TN_CONV_LAST_X2)) return TN_NO("there is a second product");
    if (params->x_first) return TN_NO("x has its channels elsewhere");
    if (tn_tensor_count(y) == 0 || each == 0) return TN_NO("there is nothing to do");
    if (each % (half ? 8 : 4) || outputs / group % (half ? 8 : 4))
        return TN_NO("the channels are not whole vectors of 16 bytes");
    *out = (tn_dnn_graph){
        .conv = {.type = tn_dnn_type(x->dtype), .axes = 2, .groups = (int32_t)group},
        .bias = whole && tn_cuda_has(p, 2),
        .residual = whole && tn_cuda_has(p, 3),
        .relu = params->fused.epilogue.kind == TN_EPILOGUE_RELU,
    };
    tn_dnn_conv *c = &out->conv;
    c->x[0] = c->y[0] = (int32_t)y->dim[0];
    c->x[1] = (int32_t)(each * group);
    c->w[0] = c->y[1] = (int32_t)outputs;
    c->w[1] = (int32_t)each;
    for (int i = 0; i < 2; i++) {
        int64_t span = (w.kernel[1 + i] - 1) * w.dilation[1 + i] + 1;
        int64_t last = (w.out[1 + i] - 1) * w.stride[1 + i] + span;
        c->x[2 + i] = (int32_t)w.in[1 + i];
        c->w[2 + i] = (int32_t)w.kernel[1 + i];
        c->y[2 + i] = (int32_t)w.out[1 + i];
        c->pad[i] = (int32_t)w.pad[1 + i];
        out->pad_end[i] = (int32_t)TN_MAX(last - w.in[1 + i] - w.pad[1 + i], 0);
        c->stride[i] = (int32_t)w.stride[1 + i];
        c->dilation[i] = (int32_t)w.dilation[1 + i];
        if (c->pad[i] < 0) return TN_NO("the padding takes something away");
    }
    return TN_YES;
}

static tn_verdict accepts(const tn_problem *p, int choice)
{
    const char *why;
    tn_dnn_graph graph;
    if (!tn_dnn_open(&why)) return TN_NO("cuDNN was not found");
    tn_verdict no = describe(p, &graph);
    if (no) return no;
    return choice < tn_dnn_graph_choices(&graph) ? TN_YES : TN_NO("cuDNN has no more engines");
}

static size_t scratch_bytes(const tn_problem *p, int choice)
{
    tn_dnn_graph graph;
    size_t bytes;
    return !describe(p, &graph) && tn_dnn_graph_workspace(&graph, choice, &bytes) ? bytes : 0;
}

static tn_status launch(const tn_launch *l, int choice)
{
    const tn_problem *p = l->problem;
    const tn_conv_last_params *params = p->params;
    tn_tensor *y = &p->out[0];
    const void *bias = tn_cuda_has(p, 2) ? p->in[2].data : NULL;
    const void *residual = tn_cuda_has(p, 3) ? p->in[3].data : NULL;
    tn_dnn_graph graph;
    bool known = false;
    if (tn_tensor_count(y) == 0) return NULL;
    uintptr_t places = (uintptr_t)p->in[0].data | (uintptr_t)p->in[1].data | (uintptr_t)y->data |
                       (uintptr_t)bias | (uintptr_t)residual;
    if (!describe(p, &graph) && places % 16 == 0) {
        tn_dnn_operands operands = {.x = p->in[0].data,
                                    .w = p->in[1].data,
                                    .bias = bias,
                                    .residual = residual,
                                    .y = y->data,
                                    .workspace = l->scratch,
                                    .workspace_bytes = scratch_bytes(p, choice)};
        TN_TRY(tn_dnn_graph_run(tn_cuda_stream_of(l), &graph, choice, &operands, &known));
    }
    tn_cuda_stream_of(l)->backwards = false;
    if (!known) return tn_cuda_conv_last_run(l);
    if (is_whole(params)) return NULL;
    return tn_cuda_finish(l, y->dtype, y->data, tn_tensor_count(y), bias, 1, y->dim[y->rank - 1],
                          residual, &params->fused.epilogue);
}

#define CHOICES(X) X(0) X(1) X(2) X(3)
#define ANSWERS(k)                                                                                 \
    static tn_verdict accepts_##k(const tn_problem *p)                                             \
    {                                                                                              \
        return accepts(p, k);                                                                      \
    }                                                                                              \
    static size_t scratch_##k(const tn_problem *p)                                                 \
    {                                                                                              \
        return scratch_bytes(p, k);                                                                \
    }                                                                                              \
    static tn_status launch_##k(const tn_launch *l)                                                \
    {                                                                                              \
        return launch(l, k);                                                                       \
    }
CHOICES(ANSWERS)

#define ROW(k)                                                                                     \
    {                                                                                              \
        .name = "cuda.channelslastconv.any.dnn_" #k,                                               \
        .op = "ChannelsLastConv",                                                                  \
        .revision = 1,                                                                             \
        .precision = TN_PRECISION_TF32,                                                            \
        .needs = TN_SM80,                                                                          \
        .accepts = accepts_##k,                                                                    \
        .scratch_bytes = scratch_##k,                                                              \
        .launch = launch_##k,                                                                      \
    },

extern const tn_tactic tn_cuda_conv_last_dnn[];
const tn_tactic tn_cuda_conv_last_dnn[] = {CHOICES(ROW){0}};
