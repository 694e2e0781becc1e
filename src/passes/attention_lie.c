#include "passes/attention_lie.h"

#include <math.h>
#include <string.h>

#include "passes/constants.h"

typedef struct pieces {
    int count;
    struct {
        char letter;
        tn_expr size;
        int64_t index;
    } at[TN_LIE_PIECES * 2];
} pieces;

static tn_expr size_of(const tn_lie *lie, char letter)
{
    switch (letter) {
    case 'B': return lie->size.batch;
    case 'H': return lie->size.heads;
    case 'S': return lie->size.rows;
    default: return lie->size.head;
    }
}

static bool is_one(const tn_lie *lie, tn_expr size)
{
    return tn_expr_equals(lie->value->graph->exprs, size, 1);
}

static bool add_piece(tn_lie *lie, int axis, char letter, tn_expr size, int64_t index)
{
    int at = lie->axis[axis].count;
    if (is_one(lie, size)) return true;
    if (at == TN_LIE_PIECES) return false;
    lie->axis[axis].at[at].letter = letter;
    lie->axis[axis].at[at].size = size;
    lie->axis[axis].at[at].index = index;
    lie->axis[axis].count++;
    return true;
}

bool tn_lie_begin(tn_lie *lie, tn_value *value, const char *form, tn_lie_sizes size)
{
    tn_exprs *exprs = value->graph->exprs;
    *lie = (tn_lie){.value = value, .size = size, .scale = 1};
    int axis = 0;
    for (const char *at = form;; axis++, at++) {
        tn_expr product = tn_expr_const(exprs, 1);
        for (; *at && *at != '|'; at++) {
            tn_expr part = size_of(lie, *at);
            /* Without elements every order is right, and none can be told from another. */
            if (part == TN_EXPR_NONE || tn_expr_equals(exprs, part, 0)) return false;
            product = tn_expr_mul(exprs, product, part);
            if (!add_piece(lie, axis, *at, part, 0)) return false;
        }
        if (axis >= value->type.rank || value->type.dim[axis] != product) return false;
        if (!*at) break;
    }
    return axis + 1 == value->type.rank;
}

/* ---- Moves ------------------------------------------------------------------------------------*/

/* Another value with the same elements in the same order. */
static bool regroup(tn_lie *lie, tn_value *to)
{
    tn_exprs *exprs = to->graph->exprs;
    pieces all = {0};
    tn_lie next = {.value = to, .size = lie->size, .scale = lie->scale};
    for (int i = 0; i < lie->value->type.rank; i++) {
        for (int k = 0; k < lie->axis[i].count; k++) {
            if (all.count == (int)TN_COUNT(all.at)) return false;
            all.at[all.count].letter = lie->axis[i].at[k].letter;
            all.at[all.count].size = lie->axis[i].at[k].size;
            all.at[all.count++].index = lie->axis[i].at[k].index;
        }
    }
    int at = 0;
    for (int i = 0; i < to->type.rank; i++) {
        tn_expr product = tn_expr_const(exprs, 1);
        while (product != to->type.dim[i]) {
            if (at == all.count ||
                !add_piece(&next, i, all.at[at].letter, all.at[at].size, all.at[at].index))
                return false;
            product = tn_expr_mul(exprs, product, all.at[at++].size);
        }
    }
    if (at != all.count) return false;
    *lie = next;
    return true;
}

static bool is_reshape(const tn_node *node)
{
    static const char *const names[] = {"Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity"};
    for (size_t i = 0; i < TN_COUNT(names); i++)
        if (!strcmp(node->op->name, names[i])) return true;
    return false;
}

/* A Transpose takes axis perm[i] for its axis i: back, axis i goes to perm[i]. */
static bool turn(tn_lie *lie, const tn_node *node, tn_value *to, bool back)
{
    const tn_attr *attr = tn_node_find_attr(node, "perm");
    int rank = to->type.rank;
    if (attr && (attr->kind != TN_ATTR_INTS || attr->count != rank)) return false;
    if (lie->value->type.rank != rank) return false;
    tn_lie next = {.value = to, .size = lie->size, .scale = lie->scale};
    for (int i = 0; i < rank; i++) {
        int64_t axis = attr ? attr->ints[i] : rank - 1 - i;
        if (axis < 0 || axis >= rank) return false;
        if (back) next.axis[axis] = lie->axis[i];
        else next.axis[i] = lie->axis[axis];
    }
    *lie = next;
    return true;
}

/* The value is `count` elements from `begin` of an axis of x: a fixed one of equal parts. */
static bool take_part(tn_lie *lie, tn_value *x, int axis, int64_t begin, int64_t count)
{
    tn_exprs *exprs = x->graph->exprs;
    int64_t full;
    if (!tn_expr_is_const(exprs, x->type.dim[axis], &full) || count < 1 || full % count != 0 ||
        begin < 0 || begin % count != 0 || begin + count > full)
        return false;
    tn_lie next = *lie;
    next.value = x;
    next.axis[axis].count = 0;
    if (!add_piece(&next, axis, 0, tn_expr_const(exprs, full / count), begin / count)) return false;
    for (int k = 0; k < lie->axis[axis].count; k++)
        if (!add_piece(&next, axis, lie->axis[axis].at[k].letter, lie->axis[axis].at[k].size,
                       lie->axis[axis].at[k].index))
            return false;
    *lie = next;
    return true;
}

static bool back_split(tn_lie *lie, const tn_node *node)
{
    const tn_exprs *exprs = lie->value->graph->exprs;
    int axis = tn_axis_normal(tn_node_int_attr(node, "axis", 0), lie->value->type.rank);
    int64_t begin = 0, count;
    if (axis < 0) return false;
    for (int i = 0; i < node->out_count; i++) {
        if (!node->out[i] || node->out[i]->type.rank != lie->value->type.rank ||
            !tn_expr_is_const(exprs, node->out[i]->type.dim[axis], &count))
            return false;
        if (node->out[i] == lie->value) return take_part(lie, node->in[0], axis, begin, count);
        begin += count;
    }
    return false;
}

static bool read_int(const tn_value *value, int64_t at, int64_t *out)
{
    if (!tn_value_is_constant(value) || at >= tn_tensor_count(&value->constant)) return false;
    *out = tn_load_i64(value->constant.dtype, value->constant.data, at);
    return true;
}

/* One axis, step 1. */
static bool back_slice(tn_lie *lie, const tn_node *node)
{
    int64_t begin, step = 1, axis = 0, count, full;
    tn_value *x = node->in[0];
    const tn_exprs *exprs = x->graph->exprs;
    if (node->in_count < 3 || !tn_value_is_constant(node->in[1]) ||
        tn_tensor_count(&node->in[1]->constant) != 1 || !read_int(node->in[1], 0, &begin))
        return false;
    if (node->in_count > 3 && node->in[3] && !read_int(node->in[3], 0, &axis)) return false;
    if (node->in_count > 4 && node->in[4] && !read_int(node->in[4], 0, &step)) return false;
    int normal = tn_axis_normal(axis, x->type.rank);
    if (normal < 0 || step != 1 || !tn_expr_is_const(exprs, x->type.dim[normal], &full) ||
        !tn_expr_is_const(exprs, lie->value->type.dim[normal], &count))
        return false;
    if (begin < 0) begin += full;
    return take_part(lie, x, normal, TN_MIN(begin, full), count);
}

/* One index, which takes the axis away if it is a scalar. */
static bool back_gather(tn_lie *lie, const tn_node *node)
{
    int64_t index, full;
    tn_value *x = node->in[0];
    int rank = x->type.rank, axis = tn_axis_normal(tn_node_int_attr(node, "axis", 0), rank);
    if (axis < 0 || !read_int(node->in[1], 0, &index) || node->in[1]->constant.rank > 1 ||
        tn_tensor_count(&node->in[1]->constant) != 1 ||
        !tn_expr_is_const(x->graph->exprs, x->type.dim[axis], &full))
        return false;
    tn_lie next = *lie;
    if (node->in[1]->constant.rank == 0) {
        for (int i = rank - 1; i > axis; i--) next.axis[i] = lie->axis[i - 1];
        next.axis[axis].count = 0;
    }
    if (index < 0) index += full;
    if (!take_part(&next, x, axis, index, 1)) return false;
    *lie = next;
    return true;
}

bool tn_scales_by_constant(const tn_node *node, tn_value **x, double *factor)
{
    bool divides = !strcmp(node->op->name, "Div");
    if ((!divides && strcmp(node->op->name, "Mul") != 0) || !node->out[0]) return false;
    for (int i = divides ? 1 : 0; i < 2; i++) {
        if (!tn_constant_number(node->in[i], factor) ||
            !tn_type_equals(&node->in[1 - i]->type, &node->out[0]->type))
            continue;
        *x = node->in[1 - i];
        if (divides) *factor = 1 / *factor;
        return isfinite(*factor) && *factor != 0 && isfinite((float)*factor);
    }
    return false;
}

bool tn_lie_back(tn_lie *lie)
{
    const tn_node *node = lie->value->producer;
    tn_value *x;
    double factor;
    if (lie->value->kind != TN_VALUE_NODE || (node->op->domain && node->op->domain[0]) ||
        !node->in_count || !node->in[0] || node->in[0]->type.rank < 0)
        return false;
    if (!strcmp(node->op->name, "Split")) return back_split(lie, node);
    if (tn_scales_by_constant(node, &x, &factor)) {
        lie->value = x;
        lie->scale *= factor;
        return true;
    }
    if (is_reshape(node)) return regroup(lie, node->in[0]);
    if (!strcmp(node->op->name, "Transpose")) return turn(lie, node, node->in[0], true);
    if (!strcmp(node->op->name, "Slice")) return back_slice(lie, node);
    if (!strcmp(node->op->name, "Gather")) return back_gather(lie, node);
    return false;
}

tn_node *tn_only_reader(const tn_value *value)
{
    if (value->use_count != 1 || value->output_count || value->use[0].index != 0) return NULL;
    return value->use[0].node;
}

bool tn_lie_forward(tn_lie *lie)
{
    const tn_node *node = tn_only_reader(lie->value);
    if (!node || (node->op->domain && node->op->domain[0]) || !node->out[0] ||
        node->out[0]->type.rank < 0)
        return false;
    if (is_reshape(node)) return regroup(lie, node->out[0]);
    if (!strcmp(node->op->name, "Transpose")) return turn(lie, node, node->out[0], false);
    return false;
}

/* ---- Comparisons ------------------------------------------------------------------------------*/

bool tn_lie_is(const tn_lie *lie, const char *form, int64_t *part)
{
    tn_exprs *exprs = lie->value->graph->exprs;
    int axis = 0;
    for (const char *at = form;; axis++, at++) {
        int k = 0;
        if (axis >= lie->value->type.rank) return false;
        for (; *at && *at != '|'; at++) {
            if (*at != '3' && is_one(lie, size_of(lie, *at))) continue;
            if (k == lie->axis[axis].count) return false;
            char letter = lie->axis[axis].at[k].letter;
            if (letter != (*at == '3' ? 0 : *at)) return false;
            if (*at == '3') {
                if (!tn_expr_equals(exprs, lie->axis[axis].at[k].size, 3)) return false;
                if (part) *part = lie->axis[axis].at[k].index;
            }
            k++;
        }
        if (k != lie->axis[axis].count) return false;
        if (!*at) break;
    }
    return axis + 1 == lie->value->type.rank;
}

bool tn_lie_flows(const tn_lie *lie, const char *order)
{
    for (int i = 0; i < lie->value->type.rank; i++)
        for (int k = 0; k < lie->axis[i].count; k++, order++) {
            while (*order && is_one(lie, size_of(lie, *order))) order++;
            if (!*order || lie->axis[i].at[k].letter != *order) return false;
        }
    while (*order && is_one(lie, size_of(lie, *order))) order++;
    return !*order;
}
