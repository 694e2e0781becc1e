/* ChannelsLastPool, of the domain "tenon": MaxPool, or AveragePool, of x [N, ..., C] into y
 * [N, ..., C]. A global pooling is a reduction there. Of bytes only the largest is asked for. */
#include <math.h>

#include "ops/pool/pool.h"
#include "ops/wide/wide.h"

#define TYPES (TN_DTS_FLOAT | TN_DT(I8) | TN_DT(U8))

static const tn_field fields[] = {TN_POOL_WINDOW_FIELDS,
                                  TN_INT(tn_pool_params, count_include_pad, 0),
                                  TN_INT(tn_pool_last_params, average, 0)};
static const tn_port ins[] = {{"X", TYPES, 'T', 0}};
static const tn_port outs[] = {{"Y", TYPES, 'T', 0}};

static tn_status infer(tn_infer *f)
{
    const tn_type *given = f->in;
    tn_type x = given[0], *y = &f->out[0];
    tn_type_channels_first(&x);
    f->in = &x;
    tn_status status = tn_pool_infer(f);
    f->in = given;
    if (status) return status;
    tn_type_channels_last(y);
    return NULL;
}

void tn_pool_last_window(const tn_problem *p, tn_window *out)
{
    const tn_pool_last_params *params = p->params;
    tn_tensor x = p->in[0], y = p->out[0];
    tn_tensor_channels_first(&x);
    tn_tensor_channels_first(&y);
    tn_window_of(&params->pool.window, &x, NULL, &y, out);
}

static double pool_one(const tn_problem *p, const tn_window *w, int64_t sample, int64_t channel,
                       int64_t at)
{
    const tn_pool_last_params *params = p->params;
    const tn_tensor *x = &p->in[0];
    int64_t channels = x->dim[x->rank - 1], count = 0;
    double best = -INFINITY, sum = 0;
    tn_pool_walk walk;
    for (tn_pool_walk_init(&walk, w, at); tn_pool_walk_next(&walk); count++) {
        int64_t from = (sample * w->in_count + walk.index) * channels + channel;
        double value = tn_load_f64(x->dtype, x->data, from);
        if (value > best || isnan(value)) best = value;
        if (isnan(best)) best = NAN;
        sum += value;
    }
    if (!params->average) return best;
    if (params->pool.count_include_pad) count = tn_pool_count_padded(w, &walk);
    return count ? sum / (double)count : 0;
}

static tn_status reference(const tn_launch *l)
{
    const tn_problem *p = l->problem;
    const tn_tensor *y = &p->out[0];
    int64_t channels = y->dim[y->rank - 1], to = 0;
    tn_window w;
    tn_pool_last_window(p, &w);
    for (int64_t n = 0; n < y->dim[0]; n++)
        for (int64_t at = 0; at < w.out_count; at++)
            for (int64_t c = 0; c < channels; c++)
                tn_store_f64(y->dtype, y->data, to++, pool_one(p, &w, n, c, at));
    return NULL;
}

static const tn_case cases[] = {
    {.problem = "ChannelsLastPool{kernel_shape=[2,2]} f32[1,2,2,2]={1,8,2,7,3,6,4,5}",
     .expect = "f32[1,1,1,2]={4,8}"},
    {.problem = "ChannelsLastPool{kernel_shape=[2], pads=[1,1], average=1} f32[1,2,1]={2,4}",
     .expect = "f32[1,3,1]={2,3,4}"},
    {.problem = "ChannelsLastPool{kernel_shape=[2], pads=[1,1], average=1, count_include_pad=1} "
                "f32[1,2,1]={2,4}",
     .expect = "f32[1,3,1]={1,3,2}"},
    {.problem = "ChannelsLastPool{kernel_shape=[1,2]} f32[1,1,3,1]={1,nan,3}",
     .expect = "f32[1,1,2,1]={nan,nan}"},
    {.problem = "ChannelsLastPool{kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1]} "
                "f16[2,17,20,24]"},
    {.problem = "ChannelsLastPool{kernel_shape=[3,3], strides=[2,2]} bf16[1,13,13,16]"},
    {.problem = "ChannelsLastPool{kernel_shape=[3,3], strides=[2,2], ceil_mode=1} f32[1,8,9,12]"},
    {.problem = "ChannelsLastPool{kernel_shape=[2,2], dilations=[2,1]} f32[2,7,6,5]"},
    {.problem = "ChannelsLastPool{kernel_shape=[3,3], strides=[2,2], auto_pad=SAME_UPPER, "
                "average=1} f16[2,8,7,8]"},
    {.problem = "ChannelsLastPool{kernel_shape=[3,2], pads=[1,1,1,1], average=1, "
                "count_include_pad=1} f32[2,8,7,3]"},
    {.problem = "ChannelsLastPool{kernel_shape=[2,2,2], average=1} f32[1,4,5,6,2]"},
    {.problem = "ChannelsLastPool{kernel_shape=[2,2]} f64[1,4,5,2]"},
    {.problem = "ChannelsLastPool{kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1]} "
                "u8[2,17,20,64]",
     .hi = 256},
    {.problem = "ChannelsLastPool{kernel_shape=[3,2], strides=[1,2], dilations=[2,1], "
                "pads=[1,0,2,1]} i8[1,9,8,37]",
     .lo = -128,
     .hi = 128},
    {.problem = "ChannelsLastPool{kernel_shape=[2], strides=[2], ceil_mode=1} i8[3,11,5]",
     .lo = -128,
     .hi = 0},
    {.problem = "ChannelsLastPool{kernel_shape=[2,2], average=1} u8[1,2,2,2]={1,8,2,7,3,6,4,5}",
     .expect = "u8[1,1,1,2]={2,6}"},
    {0},
};

const tn_op tn_op_pool_last = {
    .name = "ChannelsLastPool",
    .domain = "tenon",
    .since = 1,
    .about = "MaxPool or AveragePool with the channels on the last axis",
    .in = ins,
    .in_count = TN_COUNT(ins),
    .out = outs,
    .out_count = TN_COUNT(outs),
    .field = fields,
    .field_count = TN_COUNT(fields),
    .params_bytes = sizeof(tn_pool_last_params),
    .lower = tn_pool_lower,
    .infer = infer,
    .reference = reference,
    .cases = cases,
};
