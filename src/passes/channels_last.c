/* Channels along memory: what tensor cores want of a convolution, and dot products of bytes.
 *
 * A Conv becomes a ChannelsLastConv between two Transposes. The one behind it sinks: a node that
 * reads Transpose(z) of [N, H, W, C] becomes one that reads z, and the Transpose goes on behind
 * that, until it meets the one before the next convolution, and both fall away. So a network is
 * turned at its two ends, and not even there where an axis is one wide, where a first layer may as
 * well read its few channels as they came, and where the weights behind a Flatten can be turned
 * instead.
 *
 * On the CPU a QLinearConv becomes a QuantizedConv the same way, and what is added to its result is
 * added where its sums end. */
#include <string.h>

#include "ir/draft.h"
#include "ops/quantize/quantized_conv.h"
#include "passes/constants.h"

enum { RANK = 4, FEW = 4, FULL = 16, INPUTS_MAX = 64, ATTRS_MAX = 24, PARTS_MAX = 8 };
static const int64_t to_last[RANK] = {0, 2, 3, 1}, to_first[RANK] = {0, 3, 1, 2};

/* ---- Questions -------------------------------------------------------------------------------*/

static bool is(const tn_node *node, const char *const *names)
{
    bool ours = !node->op->domain || !strcmp(node->op->domain, "tenon");
    for (; ours && *names; names++)
        if (!strcmp(node->op->name, *names)) return true;
    return false;
}

static bool has_perm(const tn_node *node, const int64_t *perm, int rank)
{
    const tn_attr *attr = node ? tn_node_find_attr(node, "perm") : NULL;
    return node && !strcmp(node->op->name, "Transpose") && attr && attr->kind == TN_ATTR_INTS &&
           attr->count == rank && !memcmp(attr->ints, perm, sizeof(*perm) * (size_t)rank);
}

/* z where the value is z turned to [N, C, H, W]. */
static tn_value *source_of(const tn_value *value)
{
    if (!value || !has_perm(value->producer, to_first, RANK)) return NULL;
    return value->producer->in[0];
}

static int64_t dim_of(const tn_value *value, int axis) /* -1: not a number */
{
    int64_t dim;
    if (axis >= value->type.rank) return -1;
    return tn_expr_is_const(value->graph->exprs, value->type.dim[axis], &dim) ? dim : -1;
}

static bool is_one_wide(const tn_value *value)
{
    for (int i = 0; i < value->type.rank; i++)
        if (dim_of(value, i) != 1) return false;
    return value->type.rank >= 0 && value->type.rank <= RANK;
}

/* Where axis `axis` of [N, C, H, W] stands in [N, H, W, C]; -1: there is none. */
static int64_t turned_axis(int64_t axis)
{
    static const int64_t place[RANK] = {0, 3, 1, 2};
    if (axis < 0) axis += RANK;
    return axis >= 0 && axis < RANK ? place[axis] : -1;
}

static bool read_ints(const tn_value *value, int64_t *at, int64_t *count)
{
    if (!tn_value_is_constant(value) || value->constant.dtype != TN_DTYPE_I64) return false;
    *count = tn_tensor_count(&value->constant);
    if (*count > 2 * RANK) return false;
    memcpy(at, value->constant.data, sizeof(*at) * (size_t)*count);
    return true;
}

/* ---- Writing ---------------------------------------------------------------------------------*/

static tn_value *turn(tn_draft *d, tn_value *value, const int64_t *perm)
{
    tn_value *source = perm == to_last ? source_of(value) : NULL;
    if (source) return source;
    return tn_draft_transpose(d, NULL, value, perm, RANK);
}

/* The node's attributes, with one more or another value of one. */
static tn_value *again_as(tn_draft *d, const tn_node *node, const char *name, const char *op,
                          tn_value *const *in, int count, const tn_attr *more)
{
    tn_attr attr[ATTRS_MAX];
    int attrs = 0;
    for (int i = 0; i < node->attr_count && attrs + 1 < ATTRS_MAX; i++)
        if (!more || strcmp(node->attr[i].name, more->name)) attr[attrs++] = node->attr[i];
    if (more) attr[attrs++] = *more;
    return tn_draft_op(d, op, name, in, count, attr, attrs);
}

static tn_value *again(tn_draft *d, const tn_node *node, const char *op, tn_value *const *in,
                       int count, const tn_attr *more)
{
    return again_as(d, node, NULL, op, in, count, more);
}

/* Readers of the node's result read that of `made`, turned back. */
static tn_status give(tn_draft *d, tn_node *node, tn_value *made)
{
    tn_value *first = turn(d, made, to_first);
    TN_TRY(tn_draft_end(d));
    return tn_value_replace(node->out[0], first);
}

/* ---- Convolutions and poolings ---------------------------------------------------------------*/

static bool is_conv(const tn_node *node)
{
    static const char *const names[] = {"Conv", "FusedConv", NULL};
    const tn_value *x = node->in_count > 1 ? node->in[0] : NULL;
    if (!is(node, names) || !x || x->type.rank != RANK || node->in[1]->type.rank != RANK)
        return false;
    tn_dtype dtype = x->type.dtype;
    return dtype == TN_DTYPE_F32 || dtype == TN_DTYPE_F16 || dtype == TN_DTYPE_BF16;
}

/* Of what is rounded to 16 bits only for this: the float32 that it was. */
static tn_value *unrounded(tn_value *x)
{
    const tn_node *cast = x->kind == TN_VALUE_NODE ? x->producer : NULL;
    bool is_cast = cast && !strcmp(cast->op->name, "Cast") && cast->in[0] &&
                   cast->in[0]->type.dtype == TN_DTYPE_F32 && x->type.dtype != TN_DTYPE_F64;
    return is_cast && x->use_count == 1 && !x->output_count ? cast->in[0] : x;
}

static tn_status turn_conv(tn_draft *d, tn_node *node)
{
    tn_value *in[4] = {NULL}, *x = node->in[0];
    int64_t channels = dim_of(x, 1);
    tn_attr first = tn_attr_int("x_first", 1);
    for (int i = 0; i < node->in_count; i++) in[i] = node->in[i];
    bool as_it_came = channels > 1 && channels <= FEW && !source_of(x);
    in[0] = as_it_came ? unrounded(x) : turn(d, x, to_last);
    in[1] = turn(d, in[1], to_last);
    if (in[3]) in[3] = turn(d, in[3], to_last);
    return give(d, node,
                again(d, node, "ChannelsLastConv", in, node->in_count, as_it_came ? &first : NULL));
}

/* Are a group's outputs, of constant weights, enough to fill vectors? */
static bool is_wide(const tn_node *node)
{
    int64_t group = tn_node_int_attr(node, "group", 1);
    const tn_value *w = node->in[TN_QCONV_W];
    return tn_value_is_constant(w) && (group == 1 || dim_of(w, 0) / group >= FULL);
}

static tn_status turn_quantized(tn_draft *d, tn_node *node, bool *done)
{
    tn_value *in[TN_QCONV_BIAS + 1] = {NULL}, *x = node->in[TN_QCONV_X];
    tn_attr first = tn_attr_int("x_first", 1);
    if (x->type.rank != RANK || node->in[TN_QCONV_W]->type.rank != RANK || !is_wide(node))
        return NULL;
    *done = true;
    int64_t channels = dim_of(x, 1);
    bool as_it_came = channels > 1 && channels <= FEW && !source_of(x);
    for (int i = 0; i < node->in_count; i++) in[i] = node->in[i];
    if (!as_it_came) in[TN_QCONV_X] = turn(d, x, to_last);
    in[TN_QCONV_W] = turn(d, in[TN_QCONV_W], to_last);
    return give(d, node,
                again_as(d, node, node->name, "QuantizedConv", in, node->in_count,
                         as_it_came ? &first : NULL));
}

static bool is_byte(const tn_value *value)
{
    return value->type.dtype == TN_DTYPE_U8 || value->type.dtype == TN_DTYPE_I8;
}

static tn_status turn_pool(tn_draft *d, tn_node *node, bool *done)
{
    tn_attr average = tn_attr_int("average", 1);
    bool is_max = !strcmp(node->op->name, "MaxPool");
    tn_value *x = source_of(node->in[0]);
    *done = x && (x->type.dtype == TN_DTYPE_F32 || x->type.dtype == TN_DTYPE_F16 ||
                  x->type.dtype == TN_DTYPE_BF16 || is_byte(x));
    if (node->out_count > 1 && node->out[1] && tn_value_has_users(node->out[1])) *done = false;
    if (!*done) return NULL;
    tn_node_remove_attr(node, "storage_order");
    return give(d, node, again(d, node, "ChannelsLastPool", &x, 1, is_max ? NULL : &average));
}

/* ---- What a Transpose sinks through ----------------------------------------------------------*/

/* An operand of elementwise nodes in the other order: what was turned, what is the same either way,
 * what costs nothing to turn. NULL: none of these. */
static tn_value *turned_operand(tn_draft *d, tn_value *value)
{
    int64_t dim[RANK];
    tn_value *source = source_of(value);
    if (source || is_one_wide(value)) return source ? source : value;
    if (!tn_value_is_constant(value) || value->type.rank > RANK) return NULL;
    for (int i = 0; i < RANK; i++) {
        int at = i - (RANK - value->type.rank);
        dim[i] = at < 0 ? 1 : value->constant.dim[at];
    }
    return turn(d, tn_draft_reshape(d, NULL, value, dim, RANK), to_last);
}

static bool may_turn(const tn_value *value)
{
    return !value || source_of(value) || is_one_wide(value) ||
           (tn_value_is_constant(value) && value->type.rank <= RANK);
}

static tn_status sink_elementwise(tn_draft *d, tn_node *node, bool *done)
{
    tn_value *in[INPUTS_MAX];
    bool any = false;
    if (node->in_count > INPUTS_MAX || node->out[0]->type.rank != RANK) return NULL;
    for (int i = 0; i < node->in_count; i++) {
        any |= source_of(node->in[i]) != NULL;
        if (!may_turn(node->in[i])) return NULL;
    }
    *done = any;
    if (!any) return NULL;
    for (int i = 0; i < node->in_count; i++)
        in[i] = node->in[i] ? turned_operand(d, node->in[i]) : NULL;
    return give(d, node, again(d, node, node->op->name, in, node->in_count, NULL));
}

/* Along one axis: the axis moves with the others. */
static tn_status sink_along(tn_draft *d, tn_node *node, bool *done)
{
    tn_value *in[INPUTS_MAX];
    int64_t otherwise = strcmp(node->op->name, "Concat") ? -1 : 0;
    int64_t axis = turned_axis(tn_node_int_attr(node, "axis", otherwise));
    tn_attr attr = tn_attr_int("axis", axis);
    if (axis < 0 || node->in_count > INPUTS_MAX) return NULL;
    for (int i = 0; i < node->in_count; i++)
        if (!(in[i] = source_of(node->in[i]))) return NULL;
    *done = true;
    return give(d, node, again(d, node, node->op->name, in, node->in_count, &attr));
}

/* Of a quantity for all of x; others go along an axis. */
static tn_status sink_scaled(tn_draft *d, tn_node *node, bool *done)
{
    for (int i = 1; i < node->in_count; i++)
        if (node->in[i] && !is_one_wide(node->in[i])) return NULL;
    return sink_elementwise(d, node, done);
}

/* Does nobody but `reader` see z, turned? */
static bool is_only_read_by(const tn_value *z, const tn_node *reader)
{
    for (int64_t i = 0; i < z->use_count; i++) {
        const tn_node *node = z->use[i].node;
        const tn_value *y = node->out[0];
        if (!has_perm(node, to_first, RANK) || y->output_count) return false;
        for (int64_t k = 0; k < y->use_count; k++)
            if (y->use[k].node != reader) return false;
    }
    return !z->output_count;
}

/* A sum of two quantised tensors: by the convolution that gives one of them, if that is all that
 * its result is for. */
static tn_status sink_sum(tn_draft *d, tn_node *node, bool *done)
{
    enum { EACH = 3 }; /* a tensor, its scale, its zero point */
    tn_value *in[TN_QCONV_INPUTS] = {NULL};
    for (int side = 0; side < 2; side++) {
        tn_value *z = source_of(node->in[side * EACH]), *other;
        other = source_of(node->in[EACH - side * EACH]);
        const tn_node *conv = z && other && z != other ? z->producer : NULL;
        if (!conv || !is(conv, (const char *const[]){"QuantizedConv", NULL}) ||
            conv->in_count > TN_QCONV_BIAS + 1 || !is_only_read_by(z, node))
            continue;
        *done = true;
        for (int i = 0; i < conv->in_count; i++) in[i] = conv->in[i];
        for (int i = 0; i < EACH; i++)
            in[TN_QCONV_MORE + i] = i ? node->in[EACH - side * EACH + i] : other;
        for (int i = 0; i < 2; i++) in[TN_QCONV_SUM_SCALE + i] = node->in[2 * EACH + i];
        return give(d, node,
                    again_as(d, conv, conv->name, "QuantizedConv", in, TN_QCONV_INPUTS, NULL));
    }
    return sink_elementwise(d, node, done);
}

/* In parts along an axis. */
static tn_status sink_split(tn_draft *d, tn_node *node, bool *done)
{
    int64_t axis = turned_axis(tn_node_int_attr(node, "axis", 0));
    tn_value *in[2] = {source_of(node->in[0]), node->in_count > 1 ? node->in[1] : NULL};
    tn_value *out[PARTS_MAX];
    tn_attr attr[2] = {tn_attr_int("axis", axis), tn_attr_int("num_outputs", node->out_count)};
    int attrs = tn_node_find_attr(node, "num_outputs") ? 2 : 1;
    if (!in[0] || axis < 0 || node->out_count > PARTS_MAX) return NULL;
    *done = true;
    tn_draft_ops(d, "Split", NULL, in, node->in_count, attr, attrs, out, node->out_count);
    for (int i = 0; i < node->out_count; i++) out[i] = turn(d, out[i], to_first);
    TN_TRY(tn_draft_end(d));
    for (int i = 0; i < node->out_count; i++)
        if (node->out[i]) TN_TRY(tn_value_replace(node->out[i], out[i]));
    return NULL;
}

static tn_status sink_slice(tn_draft *d, tn_node *node, bool *done)
{
    int64_t axis[2 * RANK] = {0, 1, 2, 3}, count = -1;
    tn_value *in[5] = {source_of(node->in[0])};
    if (!in[0] || node->in_count < 3 || node->in_count > 5) return NULL;
    for (int i = 1; i < node->in_count; i++) in[i] = node->in[i];
    if (in[3] && !read_ints(in[3], axis, &count)) return NULL;
    if (!in[3] && !read_ints(in[1], (int64_t[2 * RANK]){0}, &count)) return NULL;
    if (count > RANK) return NULL;
    for (int i = 0; i < count; i++)
        if ((axis[i] = turned_axis(axis[i])) < 0) return NULL;
    *done = true;
    in[3] = tn_draft_ints(d, axis, count);
    return give(d, node, again(d, node, "Slice", in, TN_MAX(node->in_count, 4), NULL));
}

/* A scale and a sum for each channel, of constants. */
static tn_status sink_norm(tn_draft *d, tn_node *node, bool *done)
{
    static const char *const names[] = {"scale", "b", "mean", "var"};
    tn_named named[6] = {{0}};
    tn_value *x = source_of(node->in[0]);
    tn_attr to_f32 = tn_attr_int("to", TN_DTYPE_F32);
    if (!x || node->in_count != 5 || tn_node_int_attr(node, "training_mode", 0)) return NULL;
    for (int i = 1; i < 5; i++)
        if (!tn_value_is_constant(node->in[i])) return NULL;
    *done = true;
    for (int i = 0; i < 4; i++) {
        named[i].name = names[i];
        named[i].value = tn_draft_op(d, "Cast", NULL, TN_IN(node->in[1 + i]), &to_f32, 1);
    }
    named[4] = (tn_named){.name = "eps", .number = tn_node_float_attr(node, "epsilon", 1e-5)};
    tn_attr to = tn_attr_int("to", x->type.dtype);
    tn_value *by = tn_draft_formula(d, NULL, "scale / Sqrt(var + eps)", TN_DTYPE_F32, named, 5);
    named[5] = (tn_named){.name = "by", .value = by};
    tn_value *more = tn_draft_formula(d, NULL, "b - mean * by", TN_DTYPE_F32, named, 6);
    by = tn_draft_op(d, "Cast", NULL, TN_IN(by), &to, 1);
    more = tn_draft_op(d, "Cast", NULL, TN_IN(more), &to, 1);
    tn_value *y = tn_draft_op(d, "Mul", NULL, TN_IN(x, by), TN_PLAIN);
    return give(d, node, tn_draft_op(d, "Add", NULL, TN_IN(y, more), TN_PLAIN));
}

/* A list of RANK numbers, or of begins and ends, in the new order of the axes. */
static tn_value *turned_list(tn_draft *d, const tn_value *value, int lists)
{
    tn_tensor to = tn_tensor_of(value->constant.dtype, value->constant.dim, 1, NULL);
    uint64_t data[2 * RANK];
    size_t bytes = (size_t)tn_dtype_bits(to.dtype) / 8;
    for (int i = 0; i < lists * RANK; i++)
        memcpy((char *)data + (size_t)i * bytes,
               (const char *)value->constant.data +
                   (size_t)(i / RANK * RANK + (int)to_last[i % RANK]) * bytes,
               bytes);
    to.data = data;
    return tn_draft_constant(d, NULL, &to, true);
}

static bool is_list(const tn_value *value, int64_t count)
{
    return tn_value_is_constant(value) && value->type.rank == 1 &&
           tn_tensor_count(&value->constant) == count && tn_dtype_bits(value->type.dtype) <= 64;
}

/* Pad and Resize: numbers for every axis. */
static tn_status sink_listed(tn_draft *d, tn_node *node, bool *done)
{
    bool pad = !strcmp(node->op->name, "Pad");
    tn_value *in[4] = {source_of(node->in[0])};
    if (!in[0] || tn_node_find_attr(node, "axes") || node->in_count > 4) return NULL;
    if (pad && node->in_count == 4 && node->in[3]) return NULL;
    for (int i = 1; i < node->in_count; i++) {
        bool value = !node->in[i] || (pad && i == 2);
        if (!value && !is_list(node->in[i], pad || i == 1 ? 2 * RANK : RANK)) return NULL;
    }
    *done = true;
    for (int i = 1; i < node->in_count; i++) {
        bool value = !node->in[i] || (pad && i == 2);
        in[i] = value ? node->in[i] : turned_list(d, node->in[i], pad || i == 1 ? 2 : 1);
    }
    return give(d, node, again(d, node, node->op->name, in, node->in_count, NULL));
}

static tn_status sink_mean(tn_draft *d, tn_node *node, bool *done)
{
    bool global = !strcmp(node->op->name, "GlobalAveragePool");
    int64_t axis[2 * RANK] = {2, 3}, count = 2;
    bool keep = global || tn_node_int_attr(node, "keepdims", 1);
    tn_value *x = source_of(node->in[0]);
    if (!x || (!global && (node->in_count < 2 || !read_ints(node->in[1], axis, &count))))
        return NULL;
    bool spatial = count > 0;
    for (int i = 0; i < count; i++) {
        axis[i] = turned_axis(axis[i]);
        spatial &= axis[i] == 1 || axis[i] == 2;
        if (axis[i] < 0) return NULL;
    }
    if (!count || (!keep && !spatial)) return NULL;
    *done = true;
    tn_attr attr = tn_attr_int("keepdims", keep);
    tn_value *y =
        tn_draft_op(d, "ReduceMean", NULL, TN_IN(x, tn_draft_ints(d, axis, count)), &attr, 1);
    if (keep) return give(d, node, y);
    TN_TRY(tn_draft_end(d));
    return count == 2 ? tn_value_replace(node->out[0], y) : NULL;
}

/* ---- Where it ends ---------------------------------------------------------------------------*/

/* Products of the flattened value, by weights that can be turned instead. */
static bool is_product(const tn_use *use, int64_t depth)
{
    static const char *const names[] = {"Gemm", "MatMul", "Linear", NULL};
    const tn_node *node = use->node;
    if (!is(node, names) || use->index != 0 || tn_node_int_attr(node, "transA", 0)) return false;
    const tn_value *w = node->in[1];
    return tn_value_is_constant(w) && w->type.rank == 2 &&
           w->constant.dim[tn_node_int_attr(node, "transB", 0) != 0] == depth;
}

static tn_status turn_weights(tn_draft *d, tn_node *product, const tn_value *z)
{
    static const int64_t deep[RANK] = {1, 2, 0, 3};
    tn_value *w = product->in[1];
    int64_t c = dim_of(z, 3), h = dim_of(z, 1), width = dim_of(z, 2);
    bool across = tn_node_int_attr(product, "transB", 0) != 0;
    const int64_t *flat = w->constant.dim;
    int64_t rows[RANK] = {c, h, width, flat[1]}, columns[RANK] = {flat[0], c, h, width};
    w = tn_draft_reshape(d, NULL, w, across ? columns : rows, RANK);
    w = tn_draft_reshape(d, NULL, turn(d, w, across ? to_last : deep), flat, 2);
    TN_TRY(tn_draft_end(d));
    return tn_node_set_input(product, 1, w);
}

static tn_status end_flat(tn_draft *d, tn_node *node, bool *done)
{
    tn_value *z = source_of(node->in[0]), *y = node->out[0];
    if (!z || y->type.rank != 2 || y->type.dim[0] != z->type.dim[0] || y->output_count) return NULL;
    int64_t depth = dim_of(y, 1);
    if (depth <= 0 || dim_of(z, 1) < 0 || dim_of(z, 2) < 0 || dim_of(z, 3) < 0) return NULL;
    for (int64_t i = 0; i < y->use_count; i++)
        if (!is_product(&y->use[i], depth)) return NULL;
    *done = true;
    int64_t dim[2] = {0, depth};
    for (int64_t i = 0; i < y->use_count; i++) {
        d->before = y->use[i].node;
        TN_TRY(turn_weights(d, y->use[i].node, z));
    }
    d->before = node;
    tn_value *flat = tn_draft_reshape(d, NULL, z, dim, 2);
    TN_TRY(tn_draft_end(d));
    return tn_value_replace(y, flat);
}

/* [N, C, H, W] to [N, C, H W] to tokens [N, H W, C]. */
static tn_status end_tokens(tn_draft *d, tn_node *node, bool *done)
{
    static const int64_t perm[] = {0, 2, 1};
    const tn_node *flat = node->in[0]->producer;
    if (!has_perm(node, perm, 3) || !flat || strcmp(flat->op->name, "Reshape")) return NULL;
    tn_value *z = source_of(flat->in[0]);
    const tn_type *type = &flat->out[0]->type;
    if (!z || type->dim[0] != z->type.dim[0] || type->dim[1] != z->type.dim[3]) return NULL;
    int64_t dim[] = {0, -1, dim_of(z, 3)};
    if (dim[2] <= 0) return NULL;
    *done = true;
    tn_value *tokens = tn_draft_reshape(d, NULL, z, dim, 3);
    TN_TRY(tn_draft_end(d));
    return tn_value_replace(node->out[0], tokens);
}

/* Where only axes of one element change places, nothing moves. */
static tn_status end_still(tn_draft *d, tn_node *node, bool *done)
{
    const tn_attr *attr = tn_node_find_attr(node, "perm");
    const tn_value *x = node->in[0];
    int64_t dim[TN_RANK_MAX], last = -1;
    int rank = x->type.rank, open = 0;
    if (strcmp(node->op->name, "Transpose") || rank < 0 || !attr || attr->kind != TN_ATTR_INTS ||
        attr->count != rank)
        return NULL;
    for (int i = 0; i < rank; i++) {
        dim[i] = dim_of(x, (int)attr->ints[i]);
        if (dim[i] == 0) return NULL;
        open += dim[i] < 0;
        if (dim[i] == 1) continue;
        if (attr->ints[i] < last) return NULL;
        last = attr->ints[i];
    }
    if (open > 1) return NULL;
    *done = true;
    tn_value *y = tn_draft_reshape(d, NULL, node->in[0], dim, rank);
    TN_TRY(tn_draft_end(d));
    return tn_value_replace(node->out[0], y);
}

/* ---- The pass --------------------------------------------------------------------------------*/

typedef struct row {
    const char *op;
    tn_status (*step)(tn_draft *d, tn_node *node, bool *done);
} row;

static const row steps[] = {
    {"MaxPool", turn_pool},
    {"AveragePool", turn_pool},
    {"Concat", sink_along},
    {"Softmax", sink_along},
    {"LogSoftmax", sink_along},
    {"Split", sink_split},
    {"Slice", sink_slice},
    {"BatchNormalization", sink_norm},
    {"Pad", sink_listed},
    {"Resize", sink_listed},
    {"ReduceMean", sink_mean},
    {"GlobalAveragePool", sink_mean},
    {"Flatten", end_flat},
    {"Reshape", end_flat},
    {"Transpose", end_tokens},
    {"QuantizeLinear", sink_scaled},
    {"DequantizeLinear", sink_scaled},
    {NULL, NULL},
};

static tn_status turn_byte_pool(tn_draft *d, tn_node *node, bool *done)
{
    return is_byte(node->in[0]) ? turn_pool(d, node, done) : NULL;
}

/* On the CPU, where other kernels are as fast either way. */
static const row byte_steps[] = {
    {"QLinearConv", turn_quantized},
    {"QuantizedAdd", sink_sum},
    {"MaxPool", turn_byte_pool},
    {"Concat", sink_along},
    {"ReduceMean", sink_mean},
    {"GlobalAveragePool", sink_mean},
    {"Flatten", end_flat},
    {"Reshape", end_flat},
    {"Transpose", end_tokens},
    {"QuantizeLinear", sink_scaled},
    {"DequantizeLinear", sink_scaled},
    {NULL, NULL},
};

static tn_status step_of(const row *of, tn_draft *d, tn_node *node, bool *done)
{
    static const char *const elementwise[] = {
        "Abs",   "Add",        "Cast",     "Ceil",      "Clip", "Div",   "Elu",       "Erf",
        "Exp",   "Floor",      "Gelu",     "HardSwish", "Log",  "Max",   "LeakyRelu", "HardSigmoid",
        "Min",   "Mish",       "Mul",      "Neg",       "Pow",  "Relu",  "Sigmoid",   "PRelu",
        "Sqrt",  "Softplus",   "Sub",      "Sum",       "Tanh", "Round", "Softsign",  "Swish",
        "Where", "Reciprocal", "Identity", NULL};
    if (is(node, elementwise)) return sink_elementwise(d, node, done);
    for (; of->op; of++)
        if (is(node, (const char *const[]){of->op, NULL})) return of->step(d, node, done);
    return NULL;
}

static tn_status visit(tn_draft *d, tn_node *node, bool *done)
{
    *done = is_conv(node);
    return *done ? turn_conv(d, node) : step_of(steps, d, node, done);
}

static tn_status visit_bytes(tn_draft *d, tn_node *node, bool *done)
{
    return step_of(byte_steps, d, node, done);
}

static tn_status sweep(tn_graph *graph, tn_status (*step)(tn_draft *d, tn_node *node, bool *done),
                       int64_t *changed)
{
    tn_node *next;
    for (tn_node *node = graph->first; node; node = next) {
        tn_draft d = {.graph = graph, .before = node};
        bool done = false, read = false;
        next = node->next;
        if (!node->in_count || !node->in[0] || !node->out_count || !node->out[0] ||
            !tn_value_has_users(node->out[0]) || node->attr_count >= ATTRS_MAX)
            continue;
        tn_status status = step(&d, node, &done);
        if (status) return tn_node_blame(node, status);
        if (!done) continue;
        ++*changed;
        for (int i = 0; i < node->out_count; i++)
            read |= node->out[i] && tn_value_has_users(node->out[i]);
        if (!read) tn_node_remove(node);
    }
    return NULL;
}

/* A Transpose that moves nothing is one all the same until none can sink any further. */
static tn_status run(tn_graph *graph, int64_t *changed)
{
    TN_TRY(sweep(graph, visit, changed));
    return sweep(graph, end_still, changed);
}

/* All convolutions of bytes, or none. */
static tn_status run_bytes(tn_graph *graph, int64_t *changed)
{
    for (const tn_node *node = graph->first; node; node = node->next)
        if (is(node, (const char *const[]){"QLinearConv", NULL}) && !is_wide(node)) return NULL;
    TN_TRY(sweep(graph, visit_bytes, changed));
    return sweep(graph, end_still, changed);
}

const tn_pass tn_pass_channels_last = {
    .name = "channels_last",
    .about = "convolutions with their channels along memory, turned at the ends of a network",
    .run = run,
    .only_engines = true,
    .only_cards = true,
};

const tn_pass tn_pass_channels_last_bytes = {
    .name = "channels_last_bytes",
    .about = "the same of convolutions of bytes, with what is added to them",
    .run = run_bytes,
    .only_engines = true,
    .only_cpu = true,
};
