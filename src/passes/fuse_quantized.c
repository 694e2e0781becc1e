/* Operators between DequantizeLinear and QuantizeLinear, done on the bytes themselves:
 *
 *     Quantize(Conv(Dequantize(x), Dequantize(w), b))   ->  QLinearConv
 *     Quantize(Gemm(Dequantize(x), Dequantize(w), b))   ->  QuantizedLinear
 *     Quantize(MatMul(Dequantize(a), Dequantize(b)))    ->  QLinearMatMul
 *     Quantize(Add(Dequantize(a), Dequantize(b)))       ->  QuantizedAdd
 *     Quantize(MaxPool(Dequantize(x))), Reshape, ...    ->  the same of bytes, for one grid
 *
 * A Relu before Quantize is what saturation does where the zero point is the lowest number. First
 * of all passes: to others the operands are floats, and those that are constant become so. */
#include <math.h>
#include <string.h>

#include "ir/draft.h"
#include "ops/quantize/quantize.h"
#include "passes/constants.h"

/* A value as bytes, with its scale and zero point. */
typedef struct quantised {
    tn_value *bytes, *scale, *zero;
} quantised;

enum { ATTRS_MAX = 16, INPUTS_MAX = 9 };
#define BIAS_SHARE_MAX 0.02 /* of a step of y, that rounding a bias may move it */

/* ---- What is there ---------------------------------------------------------------------------*/

static bool is(const tn_node *node, const char *name)
{
    bool ours = node && (!node->op->domain || !node->op->domain[0]);
    return ours && !strcmp(node->op->name, name);
}

static bool is_byte(const tn_value *value)
{
    return value && (value->type.dtype == TN_DTYPE_U8 || value->type.dtype == TN_DTYPE_I8);
}

static int64_t count_of(const tn_value *constant)
{
    return tn_tensor_count(&constant->constant);
}

/* Finite scales above zero, and as many zero points; one of each, or along axis `axis` (-1: not
 * so). */
static bool read_grid(const tn_node *node, int axis, quantised *out)
{
    const tn_quantize_params *params = node->params;
    out->scale = node->in[1];
    out->zero = node->in_count > 2 ? node->in[2] : NULL;
    if (params->block_size || !tn_value_is_constant(out->scale) ||
        out->scale->constant.dtype != TN_DTYPE_F32)
        return false;
    int64_t count = count_of(out->scale);
    if (count != 1 && (axis < 0 || tn_axis_normal(params->axis, node->in[0]->type.rank) != axis))
        return false;
    if (out->zero && (!tn_value_is_constant(out->zero) || count_of(out->zero) != count))
        return false;
    for (int64_t i = 0; i < count; i++) {
        float scale = ((const float *)out->scale->constant.data)[i];
        if (!isfinite(scale) || scale <= 0) return false;
    }
    return count > 0;
}

/* The bytes behind a value; `axis` as above. */
static bool read_dequantised(const tn_value *value, int axis, quantised *out)
{
    const tn_node *node = value ? value->producer : NULL;
    if (!node || !is(node, "DequantizeLinear") || !is_byte(node->in[0])) return false;
    if (value->type.dtype != TN_DTYPE_F32 || node->in[0]->type.rank < 0) return false;
    out->bytes = node->in[0];
    return read_grid(node, axis, out);
}

static double at(const tn_value *constant, int64_t i)
{
    int64_t index = count_of(constant) == 1 ? 0 : i;
    return tn_load_f64(constant->constant.dtype, constant->constant.data, index);
}

static bool same_numbers(const tn_value *a, const tn_value *b)
{
    double x = a ? at(a, 0) : 0, y = b ? at(b, 0) : 0;
    return x == y;
}

static bool same_grid(const tn_node *node, const quantised *a, const quantised *b)
{
    return a->bytes->type.dtype == node->out[0]->type.dtype && same_numbers(a->scale, b->scale) &&
           same_numbers(a->zero, b->zero);
}

/* What nobody but its reader sees. */
static bool is_inner(const tn_value *value)
{
    return value->kind == TN_VALUE_NODE && value->producer_index == 0 && value->use_count == 1 &&
           !value->output_count;
}

/* ---- Writing ---------------------------------------------------------------------------------*/

/* Zero points are no option of these operators. */
static tn_value *zero_of(tn_draft *d, const quantised *of, tn_dtype dtype)
{
    if (of->zero) return of->zero;
    uint8_t *none = tn_arena_alloc(d->graph->arena, (size_t)count_of(of->scale));
    if (!none) {
        tn_draft_try(d, TN_ERROR(TN_OUT_OF_MEMORY, "no memory for zero points"));
        return NULL;
    }
    memset(none, 0, (size_t)count_of(of->scale));
    const tn_tensor *scale = &of->scale->constant;
    tn_tensor tensor = tn_tensor_of(dtype, scale->dim, scale->rank, none);
    return tn_draft_constant(d, NULL, &tensor, false);
}

/* The nine inputs that these operators have in common: x, w and y with their grids, and a bias. */
static void put_inputs(tn_draft *d, const tn_node *node, const quantised *x, const quantised *w,
                       const quantised *y, tn_value *bias, tn_value *in[INPUTS_MAX])
{
    const quantised *of[] = {x, w};
    for (int i = 0; i < 2; i++) {
        in[3 * i] = of[i]->bytes;
        in[3 * i + 1] = of[i]->scale;
        in[3 * i + 2] = zero_of(d, of[i], of[i]->bytes->type.dtype);
    }
    in[6] = y->scale;
    in[7] = zero_of(d, y, node->out[0]->type.dtype);
    in[8] = bias;
}

static bool is_zero(const tn_value *constant)
{
    if (!constant) return true;
    if (!tn_value_is_constant(constant)) return false;
    for (int64_t i = 0; i < count_of(constant); i++)
        if (at(constant, i) != 0) return false;
    return true;
}

/* The constant that a bias is, and its scale; NULL: it is of floats. */
static const tn_value *find_bias(const tn_value *bias, int64_t outputs, const tn_value **scale)
{
    /* Files share equal constants through Identity, which is still there. */
    while (bias->producer && is(bias->producer, "Identity")) bias = bias->producer->in[0];
    const tn_node *node = bias->producer;
    *scale = NULL;
    if (node && is(node, "DequantizeLinear")) {
        const tn_quantize_params *params = node->params;
        bias = node->in[0];
        *scale = node->in[1];
        if (params->block_size || !tn_value_is_constant(*scale)) return NULL;
        if (count_of(*scale) != 1 && count_of(*scale) != outputs) return NULL;
        if (node->in_count > 2 && !is_zero(node->in[2])) return NULL;
    }
    if (!tn_value_is_constant(bias) || bias->constant.rank != 1 || count_of(bias) != outputs)
        return NULL;
    return bias->constant.dtype == (*scale ? TN_DTYPE_I32 : TN_DTYPE_F32) ? bias : NULL;
}

/* A bias as multiples of the products of both scales, which is what files mostly have; *out NULL:
 * there is none. False: it is nothing of the kind. */
static bool read_bias(tn_draft *d, const tn_value *bias, int64_t outputs, const quantised *x,
                      const quantised *w, const quantised *y, tn_value **out)
{
    const tn_value *scale;
    *out = NULL;
    if (!bias) return true;
    bias = find_bias(bias, outputs, &scale);
    int32_t *sums = bias ? TN_NEW_ARRAY(d->graph->arena, int32_t, outputs) : NULL;
    if (!sums) return false;
    for (int64_t o = 0; o < outputs; o++) {
        double step = at(x->scale, 0) * at(w->scale, o), value = at(bias, o);
        if (scale) value *= at(scale, o);
        double sum = rint(value / step);
        if (!(fabs(sum) < 1 << 30)) return false;
        if (fabs(value - sum * step) > BIAS_SHARE_MAX * at(y->scale, 0)) return false;
        sums[o] = (int32_t)sum;
    }
    tn_tensor tensor = tn_tensor_of(TN_DTYPE_I32, &outputs, 1, sums);
    *out = tn_draft_constant(d, NULL, &tensor, false);
    return *out;
}

static tn_status give(tn_draft *d, tn_node *quantize, tn_value *y, bool *done)
{
    TN_TRY(tn_draft_end(d));
    *done = true;
    return tn_value_replace(quantize->out[0], y);
}

/* ---- Operators -------------------------------------------------------------------------------*/

typedef struct place {
    tn_node *quantize, *node; /* the operator before it */
    quantised y;
} place;

static tn_status fuse_conv(tn_draft *d, const place *p, bool *done)
{
    tn_node *node = p->node;
    quantised x, w;
    tn_value *in[INPUTS_MAX], *bias = NULL;
    if (!read_dequantised(node->in[0], -1, &x) || !read_dequantised(node->in[1], 0, &w))
        return NULL;
    if (!tn_value_is_constant(w.bytes) || node->attr_count > ATTRS_MAX) return NULL;
    if (!read_bias(d, node->in_count > 2 ? node->in[2] : NULL, w.bytes->constant.dim[0], &x, &w,
                   &p->y, &bias))
        return tn_draft_end(d);
    put_inputs(d, p->quantize, &x, &w, &p->y, bias, in);
    tn_value *y =
        tn_draft_op(d, "QLinearConv", node->name, in, bias ? 9 : 8, node->attr, node->attr_count);
    return give(d, p->quantize, y, done);
}

/* Constant weights [K, N] from [N, K]. */
static tn_value *turn_weights(tn_draft *d, const tn_value *w)
{
    const tn_tensor *from = &w->constant;
    int64_t rows = from->dim[0], columns = from->dim[1], dim[2] = {columns, rows};
    uint8_t *to = tn_arena_alloc(d->graph->arena, (size_t)(rows * columns) + 1);
    if (!to) {
        tn_draft_try(d, TN_ERROR(TN_OUT_OF_MEMORY, "no memory for weights"));
        return NULL;
    }
    for (int64_t i = 0; i < rows; i++)
        for (int64_t k = 0; k < columns; k++)
            to[k * rows + i] = ((const uint8_t *)from->data)[i * columns + k];
    tn_tensor tensor = tn_tensor_of(from->dtype, dim, 2, to);
    return tn_draft_constant(d, NULL, &tensor, false);
}

static tn_status fuse_gemm(tn_draft *d, const place *p, bool *done)
{
    tn_node *node = p->node;
    quantised x, w;
    bool turned = tn_node_int_attr(node, "transB", 0) != 0;
    tn_value *in[INPUTS_MAX], *bias = NULL;
    if (tn_node_int_attr(node, "transA", 0) || tn_node_float_attr(node, "alpha", 1) != 1 ||
        tn_node_float_attr(node, "beta", 1) != 1)
        return NULL;
    if (!read_dequantised(node->in[0], -1, &x) ||
        !read_dequantised(node->in[1], turned ? 0 : 1, &w) || !tn_value_is_constant(w.bytes))
        return NULL;
    int64_t outputs = w.bytes->constant.dim[turned ? 0 : 1];
    if (!read_bias(d, node->in_count > 2 ? node->in[2] : NULL, outputs, &x, &w, &p->y, &bias))
        return tn_draft_end(d);
    if (turned) w.bytes = turn_weights(d, w.bytes);
    if (!w.bytes) return tn_draft_end(d);
    put_inputs(d, p->quantize, &x, &w, &p->y, bias, in);
    tn_value *y = tn_draft_op(d, bias ? "QuantizedLinear" : "QLinearMatMul", node->name, in,
                              bias ? 9 : 8, TN_PLAIN);
    return give(d, p->quantize, y, done);
}

static tn_status fuse_matmul(tn_draft *d, const place *p, bool *done)
{
    quantised a, b;
    tn_value *in[INPUTS_MAX];
    int columns = p->node->in[1]->type.rank - 1; /* a scale for each, of one matrix */
    if (!read_dequantised(p->node->in[0], -1, &a) ||
        !read_dequantised(p->node->in[1], columns == 1 ? 1 : -1, &b))
        return NULL;
    put_inputs(d, p->quantize, &a, &b, &p->y, NULL, in);
    tn_value *y = tn_draft_op(d, "QLinearMatMul", p->node->name, in, 8, TN_PLAIN);
    return give(d, p->quantize, y, done);
}

static tn_status fuse_add(tn_draft *d, const place *p, bool *done)
{
    quantised a, b;
    tn_value *in[INPUTS_MAX];
    if (!read_dequantised(p->node->in[0], -1, &a) || !read_dequantised(p->node->in[1], -1, &b) ||
        !tn_type_equals(&p->node->in[0]->type, &p->node->in[1]->type))
        return NULL;
    put_inputs(d, p->quantize, &a, &b, &p->y, NULL, in);
    tn_value *y = tn_draft_op(d, "QuantizedAdd", p->node->name, in, 8, TN_PLAIN);
    return give(d, p->quantize, y, done);
}

/* What gives elements of x and nothing else. */
static tn_status sink_move(tn_draft *d, const place *p, bool *done)
{
    tn_node *node = p->node;
    tn_value *in[INPUTS_MAX];
    quantised x;
    if (node->out_count > 1 && node->out[1]) return NULL;
    if (node->in_count > INPUTS_MAX || node->attr_count > ATTRS_MAX) return NULL;
    if (!read_dequantised(node->in[0], -1, &x) || !same_grid(p->quantize, &x, &p->y)) return NULL;
    in[0] = x.bytes;
    for (int i = 1; i < node->in_count; i++) in[i] = node->in[i];
    tn_value *y = tn_draft_op(d, node->op->name, node->name, in, node->in_count, node->attr,
                              node->attr_count);
    return give(d, p->quantize, y, done);
}

/* ---- The pass --------------------------------------------------------------------------------*/

static const struct {
    const char *op;
    tn_status (*fuse)(tn_draft *d, const place *p, bool *done);
    bool takes_relu; /* may a Relu stand behind it? */
} steps[] = {
    {"Conv", fuse_conv, true},       {"Gemm", fuse_gemm, true},       {"MatMul", fuse_matmul, true},
    {"Add", fuse_add, true},         {"MaxPool", sink_move, false},   {"Reshape", sink_move, false},
    {"Flatten", sink_move, false},   {"Transpose", sink_move, false}, {"Squeeze", sink_move, false},
    {"Unsqueeze", sink_move, false}, {"Identity", sink_move, false},
};

static bool is_lowest(const tn_value *zero, tn_dtype dtype)
{
    return (zero ? at(zero, 0) : 0) == (dtype == TN_DTYPE_I8 ? -128 : 0);
}

static tn_status visit(tn_draft *d, tn_node *quantize, bool *done)
{
    const tn_quantize_params *params = quantize->params;
    place p = {.quantize = quantize};
    const tn_value *x = quantize->in[0];
    quantised given;
    if (!is_byte(quantize->out[0]) || x->type.dtype != TN_DTYPE_F32 ||
        (params->precision && params->precision != TN_DTYPE_F32) || !read_grid(quantize, -1, &p.y))
        return NULL;
    if (read_dequantised(x, -1, &given) && same_grid(quantize, &given, &p.y))
        return give(d, quantize, given.bytes, done);
    if (!is_inner(x)) return NULL;
    p.node = x->producer;
    bool relu = is(p.node, "Relu");
    if (relu) {
        if (!is_inner(p.node->in[0]) || !is_lowest(p.y.zero, quantize->out[0]->type.dtype))
            return NULL;
        p.node = p.node->in[0]->producer;
    }
    for (size_t i = 0; i < TN_COUNT(steps); i++)
        if (is(p.node, steps[i].op) && (!relu || steps[i].takes_relu))
            return steps[i].fuse(d, &p, done);
    return NULL;
}

static tn_status run(tn_graph *graph, int64_t *changed)
{
    tn_node *next;
    for (tn_node *node = graph->first; node; node = next) {
        bool done = false;
        next = node->next;
        if (!is(node, "QuantizeLinear") || !tn_value_has_users(node->out[0])) continue;
        tn_draft d = {.graph = graph, .before = node};
        tn_status status = visit(&d, node, &done);
        if (status) return tn_node_blame(node, status);
        *changed += done;
    }
    return NULL;
}

const tn_pass tn_pass_fuse_quantized = {
    .name = "fuse_quantized",
    .about = "operators between DequantizeLinear and QuantizeLinear, on the bytes themselves",
    .run = run,
    .only_engines = true,
    .only_cpu = true,
};
