/* Gradients of MaxPool and AveragePool, of the domain "tenon". The largest element of a window (the
 * first of equals, as MaxPool's Indices tell) gets all of its dY, those of an average equal shares.
 * Windows overlap: shares add up. */
#include <math.h>
#include <string.h>

#include "ir/gradient.h"
#include "ops/pool/pool.h"
#include "ops/wide/wide.h"

static const tn_field max_fields[] = {TN_POOL_WINDOW_FIELDS};
static const tn_field average_fields[] = {
    TN_POOL_WINDOW_FIELDS,
    TN_INT(tn_pool_params, count_include_pad, 0),
};
static const tn_port ins[] = {{"dY", TN_DTS_FLOAT, 'T', 0}, {"X", TN_DTS_FLOAT, 'T', 0}};
static const tn_port outs[] = {{"dX", TN_DTS_FLOAT, 'T', 0}};

/* ---- Rules -----------------------------------------------------------------------------------*/

void tn_pool_gradient(tn_gradient *g)
{
    bool is_max = g->node->op->name[0] == 'M';
    const tn_field *field = is_max ? max_fields : average_fields;
    int fields = is_max ? (int)TN_COUNT(max_fields) : (int)TN_COUNT(average_fields), count = 0;
    tn_attr attr[TN_COUNT(average_fields)];
    for (int i = 0; i < fields; i++) {
        const tn_attr *given = tn_node_find_attr(g->node, field[i].name);
        if (given) attr[count++] = *given;
    }
    tn_gradient_give(g, 0,
                     tn_gradient_op(g, is_max ? "MaxPoolGradient" : "AveragePoolGradient",
                                    TN_IN(g->dy[0], g->node->in[0]), attr, count));
}

void tn_pool_gradient_global(tn_gradient *g)
{
    bool is_max = strstr(g->node->op->name, "Max") != NULL;
    tn_value *x = g->node->in[0], *y = g->node->out[0];
    tn_attr to = tn_attr_int("to", x->type.dtype);
    tn_named n = {.name = "n"};
    if (is_max) {
        tn_gradient_refuse(g, "ReduceMax over the same axes can be");
        return;
    }
    tn_value *all = tn_gradient_op(g, "Size", TN_IN(x), TN_PLAIN);
    tn_value *left = tn_gradient_op(g, "Size", TN_IN(y), TN_PLAIN);
    tn_value *each = tn_gradient_op(g, "Div", TN_IN(all, left), TN_PLAIN);
    n.value = tn_gradient_op(g, "Cast", TN_IN(each), &to, 1);
    tn_gradient_give_spread(g, 0, tn_gradient_write(g, "dy / n", &n, 1));
}

/* ---- Operators -------------------------------------------------------------------------------*/

static tn_status infer(tn_infer *f)
{
    const tn_type *x = &f->in[1], *dy = &f->in[0];
    const tn_pool_params *params = f->params;
    tn_expr dim[TN_RANK_MAX];
    char text[128], text_x[128];
    tn_infer_same(f, 0, 1);
    if (x->rank < 0 || dy->rank < 0) return NULL;
    TN_CHECK(x->rank >= 3, TN_INVALID, "X needs batch, channels and spatial axes: X is %s",
             tn_type_text(f->exprs, x, text_x, sizeof(text_x)));
    TN_TRY(tn_window_infer(f, &params->window, x, NULL, dim + 2));
    dim[0] = x->dim[0];
    dim[1] = x->dim[1];
    bool fits = dy->rank == x->rank;
    for (int i = 0; fits && i < x->rank; i++) {
        int64_t want, have;
        if (tn_expr_is_const(f->exprs, dim[i], &want) &&
            tn_expr_is_const(f->exprs, dy->dim[i], &have))
            fits = want == have;
    }
    TN_CHECK(fits, TN_INVALID, "dY is %s, which is not what pooling gives: X is %s",
             tn_type_text(f->exprs, dy, text, sizeof(text)),
             tn_type_text(f->exprs, x, text_x, sizeof(text_x)));
    return NULL;
}

void tn_pool_gradient_window(const tn_problem *p, tn_window *out)
{
    const tn_pool_params *params = p->params;
    tn_window_of(&params->window, &p->in[1], NULL, &p->in[0], out);
}

static size_t scratch_bytes(const tn_problem *p)
{
    tn_window w;
    tn_pool_gradient_window(p, &w);
    return tn_wide_bytes(w.in_count);
}

static void add_max(const tn_problem *p, const tn_window *w, int64_t plane, int64_t at, double dy,
                    double *dx)
{
    const tn_tensor *x = &p->in[1];
    double best = -INFINITY;
    int64_t winner = -1;
    tn_pool_walk walk;
    for (tn_pool_walk_init(&walk, w, at); tn_pool_walk_next(&walk);) {
        double value = tn_load_f64(x->dtype, x->data, plane * w->in_count + walk.index);
        if (winner >= 0 && !(value > best) && !(isnan(value) && !isnan(best))) continue;
        best = value;
        winner = walk.index;
    }
    if (winner >= 0) dx[winner] += dy;
}

static void add_average(const tn_problem *p, const tn_window *w, int64_t at, double dy, double *dx)
{
    const tn_pool_params *params = p->params;
    int64_t count = 0;
    tn_pool_walk walk;
    for (tn_pool_walk_init(&walk, w, at); tn_pool_walk_next(&walk);) count++;
    if (params->count_include_pad) count = tn_pool_count_padded(w, &walk);
    for (tn_pool_walk_init(&walk, w, at); tn_pool_walk_next(&walk);)
        dx[walk.index] += dy / (double)count;
}

static tn_status run(const tn_launch *l, bool is_max)
{
    const tn_problem *p = l->problem;
    const tn_tensor *dy = &p->in[0], *dx = &p->out[0];
    tn_window w;
    void *scratch = l->scratch;
    tn_pool_gradient_window(p, &w);
    double *sum = tn_wide_take(&scratch, w.in_count);
    if (w.in_count == 0) return NULL;
    for (int64_t plane = 0; plane < dx->dim[0] * dx->dim[1]; plane++) {
        for (int64_t i = 0; i < w.in_count; i++) sum[i] = 0;
        for (int64_t at = 0; at < w.out_count; at++) {
            double share = tn_load_f64(dy->dtype, dy->data, plane * w.out_count + at);
            if (is_max) add_max(p, &w, plane, at, share, sum);
            else add_average(p, &w, at, share, sum);
        }
        tn_store_f64s(dx->dtype, dx->data, plane * w.in_count, w.in_count, sum);
    }
    return NULL;
}

static tn_status reference_max(const tn_launch *l)
{
    return run(l, true);
}

static tn_status reference_average(const tn_launch *l)
{
    return run(l, false);
}

static const tn_case max_cases[] = {
    {.problem = "MaxPoolGradient{kernel_shape=[2], strides=[2]} f32[1,1,2]={5,7} "
                "f32[1,1,4]={1,3,9,9}",
     .expect = "f32[1,1,4]={0,5,7,0}"},
    {.problem = "MaxPoolGradient{kernel_shape=[2]} f32[1,1,3]={1,10,100} f32[1,1,4]={1,3,2,0}",
     .expect = "f32[1,1,4]={0,11,100,0}"},
    {.problem = "MaxPoolGradient{kernel_shape=[2,2], strides=[2,2]} f32[3,20,12,12] "
                "f32[3,20,24,24]"},
    {.problem = "MaxPoolGradient{kernel_shape=[2,2], strides=[2,2]} f32[1,1,1,2]={7,8} "
                "f32[1,1,2,5]={nan,1,3,3,9,nan,5,3,2,9}",
     .expect = "f32[1,1,2,5]={7,0,8,0,0,0,0,0,0,0}"},
    {.problem = "MaxPoolGradient{kernel_shape=[3,2], strides=[2,1], pads=[1,0,1,1]} f32[2,3,4,6] "
                "f32[2,3,7,6]"},
    {.problem = "MaxPoolGradient{kernel_shape=[2,2], strides=[2,2], ceil_mode=1} f32[1,2,3,4] "
                "f32[1,2,5,7]"},
    {.problem = "MaxPoolGradient{kernel_shape=[3], dilations=[2]} f64[2,2,4] f64[2,2,8]"},
    {.problem = "MaxPoolGradient{kernel_shape=[2,2]} f16[1,2,2,2] f16[1,2,3,3]"},
    {0},
};

static const tn_case average_cases[] = {
    {.problem = "AveragePoolGradient{kernel_shape=[2], strides=[2]} f32[1,1,2]={4,8} f32[1,1,4]",
     .expect = "f32[1,1,4]={2,2,4,4}"},
    {.problem = "AveragePoolGradient{kernel_shape=[2], pads=[1,0]} f32[1,1,2]={4,8} f32[1,1,2]",
     .expect = "f32[1,1,2]={8,4}"},
    {.problem = "AveragePoolGradient{kernel_shape=[2], pads=[1,0], count_include_pad=1} "
                "f32[1,1,2]={4,8} f32[1,1,2]",
     .expect = "f32[1,1,2]={6,4}"},
    {.problem = "AveragePoolGradient{kernel_shape=[3,2], strides=[2,1], pads=[1,0,1,1]} "
                "f32[2,3,4,6] f32[2,3,7,6]"},
    {.problem = "AveragePoolGradient{kernel_shape=[2,2]} f64[1,2,2,2] f64[1,2,3,3]"},
    {0},
};

const tn_op tn_op_max_pool_gradient = {
    .name = "MaxPoolGradient",
    .domain = "tenon",
    .since = 1,
    .about = "the gradient of MaxPool: dY added where the largest element of its window stands",
    .in = ins,
    .in_count = TN_COUNT(ins),
    .out = outs,
    .out_count = TN_COUNT(outs),
    .field = max_fields,
    .field_count = TN_COUNT(max_fields),
    .params_bytes = sizeof(tn_pool_params),
    .lower = tn_pool_lower,
    .infer = infer,
    .reference = reference_max,
    .scratch_bytes = scratch_bytes,
    .cases = max_cases,
};

const tn_op tn_op_average_pool_gradient = {
    .name = "AveragePoolGradient",
    .domain = "tenon",
    .since = 1,
    .about = "the gradient of AveragePool: dY shared out equally over its window",
    .in = ins,
    .in_count = TN_COUNT(ins),
    .out = outs,
    .out_count = TN_COUNT(outs),
    .field = average_fields,
    .field_count = TN_COUNT(average_fields),
    .params_bytes = sizeof(tn_pool_params),
    .lower = tn_pool_lower,
    .infer = infer,
    .reference = reference_average,
    .scratch_bytes = scratch_bytes,
    .shape_inputs = 1 << 1,
    .cases = average_cases,
};
