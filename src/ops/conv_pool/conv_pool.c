/* ConvPool, of the domain "tenon": a first layer and the largest of each window of it.
 *
 *     Y = ChannelsLastPool{pool_...}(ChannelsLastConv{x_first=1, ...}(X, W, B))
 *
 * X [N, C, H, W], as it came into the network, W [O, taps, taps, C], Y [N, ..., O]. A pass makes it
 * for cards, so that the layer's large result never leaves where it is made. */
#include "ops/conv_pool/conv_pool.h"

#include "ops/wide/wide.h"

static const tn_field fields[] = {
    TN_CONV_FIELDS,
    TN_EPILOGUE_FIELDS(tn_conv_pool_params, conv.fused.epilogue),
    {.name = "pool_shape",
     .kind = TN_FIELD_INTS,
     .required = true,
     .offset = offsetof(tn_conv_pool_params, pool.pool.window.kernel_shape)},
    {.name = "pool_strides",
     .kind = TN_FIELD_INTS,
     .offset = offsetof(tn_conv_pool_params, pool.pool.window.strides)},
    {.name = "pool_pads",
     .kind = TN_FIELD_INTS,
     .offset = offsetof(tn_conv_pool_params, pool.pool.window.pads)},
    {.name = "pool_ceil_mode",
     .kind = TN_FIELD_INT,
     .offset = offsetof(tn_conv_pool_params, pool.pool.window.ceil_mode)},
};
static const tn_port ins[] = {{"X", TN_DTS_FLOAT, 'X', 0},
                              {"W", TN_DTS_FLOAT, 'T', 0},
                              {"B", TN_DTS_FLOAT, 'T', TN_PORT_OPTIONAL}};
static const tn_port outs[] = {{"Y", TN_DTS_FLOAT, 'T', 0}};

extern const tn_op tn_op_conv_last, tn_op_pool_last;

static tn_status lower(const tn_node *node, void *params_out)
{
    tn_conv_pool_params *params = params_out;
    TN_TRY(tn_conv_lower(node, params));
    TN_CHECK(params->conv.fused.conv.window.auto_pad == TN_AUTO_PAD_NOTSET, TN_INVALID,
             "the padding of ConvPool is given by pads");
    params->conv.x_first = 1;
    params->conv.more_strides.count = -1;
    params->pool.pool.window.dilations.count = -1;
    return tn_window_check(&params->pool.pool.window);
}

static tn_status infer(tn_infer *f)
{
    const tn_conv_pool_params *params = f->params;
    const tn_type *given = f->in;
    TN_TRY(tn_op_conv_last.infer(f));
    tn_type between = f->out[0];
    f->in = &between;
    f->params = &params->pool;
    tn_status status = between.rank < 0 ? NULL : tn_op_pool_last.infer(f);
    f->in = given;
    f->params = params;
    return status;
}

void tn_conv_pool_parts(const tn_problem *p, tn_tensor *between, tn_problem *conv, tn_problem *pool)
{
    const tn_conv_pool_params *params = p->params;
    const tn_window_params *window = &params->conv.fused.conv.window;
    const tn_tensor *x = &p->in[0], *w = &p->in[1];
    int axes = x->rank - 2;
    *between = p->out[0];
    between->data = NULL;
    for (int i = 0; i < axes; i++) {
        int64_t dilation = window->dilations.count > 0 ? window->dilations.at[i] : 1;
        int64_t stride = window->strides.count > 0 ? window->strides.at[i] : 1;
        int64_t reach = (w->dim[1 + i] - 1) * dilation + 1, size = x->dim[2 + i];
        if (window->pads.count > 0) size += window->pads.at[i] + window->pads.at[axes + i];
        between->dim[1 + i] = size < reach ? 0 : (size - reach) / stride + 1;
    }
    *conv = *pool = *p;
    conv->op = "ChannelsLastConv";
    conv->params = &params->conv;
    conv->params_bytes = sizeof params->conv;
    conv->out = between;
    pool->op = "ChannelsLastPool";
    pool->params = &params->pool;
    pool->params_bytes = sizeof params->pool;
    pool->in = between;
    pool->in_count = 1;
    pool->in_constant = 0;
}

/* ---- Kernel -----------------------------------------------------------------------------------*/

/* What is between is double there. */
static size_t between_bytes(const tn_problem *p, tn_tensor *between, tn_problem *conv,
                            tn_problem *pool)
{
    tn_conv_pool_parts(p, between, conv, pool);
    between->dtype = TN_DTYPE_F64;
    return tn_wide_tensor_bytes(between);
}

static size_t scratch_bytes(const tn_problem *p)
{
    tn_tensor between;
    tn_problem conv, pool;
    size_t bytes = between_bytes(p, &between, &conv, &pool);
    return tn_wide_add(bytes, tn_op_conv_last.scratch_bytes(&conv));
}

static tn_status reference(const tn_launch *l)
{
    tn_tensor between;
    tn_problem conv, pool;
    tn_launch part = *l;
    size_t bytes = between_bytes(l->problem, &between, &conv, &pool);
    between.data = l->scratch;
    part.problem = &conv;
    part.scratch = (uint8_t *)l->scratch + bytes;
    TN_TRY(tn_op_conv_last.reference(&part));
    part.problem = &pool;
    return tn_op_pool_last.reference(&part);
}

static const tn_case cases[] = {
    {.problem = "ConvPool{pool_shape=[1,2]} f32[1,1,1,3]={1,3,2} f32[1,1,1,1]={2} f32[1]={1}",
     .expect = "f32[1,1,2,1]={7,7}"},
    {.problem = "ConvPool{activation=relu, strides=[2,2], pads=[3,3,3,3], pool_shape=[3,3], "
                "pool_strides=[2,2], pool_pads=[1,1,1,1]} f32[2,3,66,70] f16[72,7,7,3]! f16[72]!"},
    {.problem = "ConvPool{activation=relu, strides=[4,4], pads=[2,2,2,2], pool_shape=[3,3], "
                "pool_strides=[2,2]} f32[1,3,127,99] f16[64,11,11,3]! f16[64]!"},
    {.problem = "ConvPool{strides=[2,2], pads=[1,1,1,1], pool_shape=[2,3], pool_strides=[2,1], "
                "pool_ceil_mode=1} bf16[2,4,23,50] bf16[20,3,3,4]! bf16[20]!"},
    {.problem = "ConvPool{pool_shape=[3,3], pool_strides=[2,2]} f32[1,2,12,13] f32[5,3,3,2]!"},
    {0},
};

const tn_op tn_op_conv_pool = {
    .name = "ConvPool",
    .domain = "tenon",
    .since = 1,
    .about = "a first layer, ChannelsLastConv of X as it came, and MaxPool of it",
    .in = ins,
    .in_count = TN_COUNT(ins),
    .out = outs,
    .out_count = TN_COUNT(outs),
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_conv_pool_params),
    .lower = lower,
    .infer = infer,
    .reference = reference,
    .scratch_bytes = scratch_bytes,
    .cases = cases,
};
