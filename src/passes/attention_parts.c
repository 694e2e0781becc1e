/* The search goes from a Softmax down to the product with the values and up, through what scales
 * and masks the scores, to the product of queries and keys:
 *
 *     MatMul(q, k^T)  [* scale]  [+ bias]  [+ mask]  -> Softmax -> MatMul(., v)
 *
 * Windows are masked through one more axis: Reshape [B / m, m, heads, rows, keys], Add, Reshape
 * back. Newer exporters put Where(IsNaN(p), 0, p) behind the Softmax, which gives zeros to a query
 * that sees no key, as Attention does; without that, such a query would give NaN, so a mask that
 * could hide all keys by -inf is left alone. */
#include "passes/attention_parts.h"

#include <math.h>
#include <string.h>

#include "ops/attention/attention.h"
#include "passes/constants.h"

enum { DEPTH_MAX = 12 };

static bool is_op(const tn_node *node, const char *name)
{
    return !(node->op->domain && node->op->domain[0]) && !strcmp(node->op->name, name);
}

static bool is_read_once(const tn_value *value)
{
    return value->use_count == 1 && !value->output_count;
}

static tn_node *made_by(const tn_value *value, const char *name)
{
    bool fits = value && value->kind == TN_VALUE_NODE && value->producer_index == 0 &&
                is_op(value->producer, name);
    return fits ? value->producer : NULL;
}

/* Dims of 1 or missing in front repeat; all others are the same. */
static bool repeats(const tn_exprs *exprs, const tn_type *part, const tn_type *full)
{
    if (part->rank < 0 || part->rank > full->rank || part->dtype != full->dtype) return false;
    for (int i = 1; i <= part->rank; i++) {
        tn_expr dim = part->dim[part->rank - i];
        if (dim != full->dim[full->rank - i] && !tn_expr_equals(exprs, dim, 1)) return false;
    }
    return true;
}

/* ---- Up from the Softmax ----------------------------------------------------------------------*/

typedef struct climb {
    tn_attention_parts *parts;
    tn_node *product;      /* q k^T */
    const tn_type *joined; /* of the scores with batch and heads apart, where they are one axis */
} climb;

static bool climb_from(climb *c, tn_value *scores, int depth);

/* Further up from `scores`, with an addend to what they are in the shape of `full`. Addends behind
 * a factor would have to be scaled too. */
static bool climb_past(climb *c, tn_value *scores, tn_value *addend, const tn_type *full, int depth)
{
    tn_attention_parts *p = c->parts;
    const climb before = *c;
    const tn_attention_parts parts_before = *p;
    const tn_exprs *exprs = scores->graph->exprs;
    if (p->addend_count == TN_ADDENDS_MAX || p->scale != 1 || !repeats(exprs, &addend->type, full))
        return false;
    bool windows = addend->type.rank == 5;
    if (windows && !tn_expr_equals(exprs, addend->type.dim[0], 1)) return false;
    p->addend[p->addend_count].value = addend;
    p->addend[p->addend_count].no_heads = full->rank == 3;
    p->addend[p->addend_count++].windows = windows || (full->rank == 5 && addend->type.rank == 4);
    if (climb_from(c, scores, depth + 1)) return true;
    *c = before;
    *p = parts_before;
    return false;
}

static bool climb_add(climb *c, tn_node *add, int depth)
{
    for (int i = 0; i < 2; i++)
        if (tn_type_equals(&add->in[i]->type, &add->out[0]->type) &&
            climb_past(c, add->in[i], add->in[1 - i], &add->out[0]->type, depth))
            return true;
    return false;
}

/* Reshape(Add(Reshape(scores), addend)), the first axis being two inside. */
static bool climb_around(climb *c, tn_node *outer, int depth)
{
    const tn_type *flat = &outer->out[0]->type, *wide = &outer->in[0]->type;
    tn_node *add = made_by(outer->in[0], "Add");
    if (!add || !is_read_once(outer->in[0]) || wide->rank != flat->rank + 1) return false;
    for (int k = 1; k < flat->rank; k++)
        if (wide->dim[k + 1] != flat->dim[k]) return false;
    if (flat->rank == 3) {
        if (c->joined && !tn_type_equals(c->joined, wide)) return false;
        c->joined = wide;
    }
    for (int i = 0; i < 2; i++) {
        const tn_node *inner = made_by(add->in[i], "Reshape");
        if (inner && is_read_once(add->in[i]) && tn_type_equals(&inner->in[0]->type, flat) &&
            tn_type_equals(&inner->out[0]->type, wide) &&
            climb_past(c, inner->in[0], add->in[1 - i], wide, depth))
            return true;
    }
    return false;
}

static bool climb_from(climb *c, tn_value *scores, int depth)
{
    tn_node *node = scores->kind == TN_VALUE_NODE ? scores->producer : NULL;
    tn_value *x;
    double factor;
    if (!node || depth > DEPTH_MAX || !is_read_once(scores) || node->in_count < 1) return false;
    if (is_op(node, "MatMul")) {
        c->product = node;
        return true;
    }
    if (is_op(node, "Add")) return climb_add(c, node, depth);
    if (is_op(node, "Reshape")) return climb_around(c, node, depth);
    if (!tn_scales_by_constant(node, &x, &factor)) return false;
    c->parts->scale *= factor;
    return climb_from(c, x, depth + 1);
}

/* ---- Masks of -inf ----------------------------------------------------------------------------*/

/* Could adding this constant hide all keys of a query? */
static bool hides_rows(const tn_value *value)
{
    const tn_tensor *t = &value->constant;
    int64_t row = t->rank ? t->dim[t->rank - 1] : 1, seen = 0;
    for (int64_t i = 0; i < tn_tensor_count(t); i++) {
        seen += tn_load_f64(t->dtype, t->data, i) != -INFINITY;
        if ((i + 1) % row) continue;
        if (!seen) return true;
        seen = 0;
    }
    return false;
}

static bool has_infinity(const tn_value *value)
{
    const tn_tensor *t = &value->constant;
    for (int64_t i = 0; i < tn_tensor_count(t); i++)
        if (tn_load_f64(t->dtype, t->data, i) == -INFINITY) return true;
    return false;
}

/* Does -inf stand among the constants that a computed mask is made of? `budget` bounds the search;
 * a mask that exhausts it might hold anything. */
static bool mentions_infinity(const tn_value *value, int depth, int *budget)
{
    if (tn_dtype_kind_of(value->type.dtype) != TN_KIND_F) return false;
    if (--*budget < 0 || depth > DEPTH_MAX) return true;
    if (tn_value_is_constant(value)) return has_infinity(value);
    if (value->kind != TN_VALUE_NODE) return false;
    for (int i = 0; i < value->producer->in_count; i++)
        if (value->producer->in[i] && mentions_infinity(value->producer->in[i], depth + 1, budget))
            return true;
    return false;
}

/* Two masks that leave a key each may leave none together. */
static bool may_hide_rows(const tn_attention_parts *p)
{
    int with_infinity = 0;
    for (int i = 0; i < p->addend_count; i++) {
        const tn_value *value = p->addend[i].value;
        int budget = 200;
        if (tn_value_is_constant(value)) {
            if (hides_rows(value)) return true;
            with_infinity += has_infinity(value);
        } else if (mentions_infinity(value, 0, &budget)) {
            return true;
        }
    }
    return with_infinity > 1;
}

/* ---- From a Softmax ---------------------------------------------------------------------------*/

/* Where(IsNaN(p), 0, p), or NULL. */
static tn_value *find_guarded(const tn_value *p)
{
    if (p->use_count != 2 || p->output_count) return NULL;
    for (int i = 0; i < 2; i++) {
        const tn_node *test = p->use[i].node, *where = p->use[1 - i].node;
        if (is_op(test, "IsNaN") && is_op(where, "Where") && where->in[0] == test->out[0] &&
            is_read_once(test->out[0]) && where->in[2] == p && tn_constant_is(where->in[1], 0) &&
            tn_type_equals(&where->out[0]->type, &p->type))
            return where->out[0];
    }
    return NULL;
}

static bool begin_all(tn_attention_parts *p, const climb *c)
{
    tn_value *q = c->product->in[0], *k = c->product->in[1], *v = p->root->in[1];
    tn_value *y = p->root->out[0];
    const tn_type *scores = &c->product->out[0]->type;
    int rank = scores->rank;
    tn_exprs *exprs = y->graph->exprs;
    if (q->type.rank != rank || k->type.rank != rank || v->type.rank != rank ||
        y->type.rank != rank)
        return false;
    tn_lie_sizes size = {.batch = scores->dim[0],
                         .heads = rank == 4 ? scores->dim[1] : tn_expr_const(exprs, 1),
                         .rows = scores->dim[rank - 2],
                         .head = q->type.dim[rank - 1]};
    if (c->joined) {
        size.batch = c->joined->dim[0];
        size.heads = c->joined->dim[1];
    }
    tn_lie_sizes keys = size, values = size, result = size;
    keys.rows = values.rows = scores->dim[rank - 1];
    values.head = result.head = v->type.dim[rank - 1];
    bool apart = rank == 4;
    p->k_turned = k;
    return tn_lie_begin(&p->q, q, apart ? "B|H|S|D" : "BH|S|D", size) &&
           tn_lie_begin(&p->k, k, apart ? "B|H|D|S" : "BH|D|S", keys) &&
           tn_lie_begin(&p->v, v, apart ? "B|H|S|D" : "BH|S|D", values) &&
           tn_lie_begin(&p->y, y, apart ? "B|H|S|D" : "BH|S|D", result);
}

bool tn_attention_from_softmax(tn_node *softmax, tn_attention_parts *out)
{
    climb c = {.parts = out};
    *out = (tn_attention_parts){.scale = 1};
    if (!is_op(softmax, "Softmax")) return false;
    const tn_type *type = &softmax->in[0]->type;
    if ((type->rank != 3 && type->rank != 4) ||
        tn_axis_normal(tn_node_int_attr(softmax, "axis", -1), type->rank) != type->rank - 1)
        return false;
    const tn_value *p = softmax->out[0], *guarded = find_guarded(p);
    tn_node *root = tn_only_reader(guarded ? guarded : p);
    if (!root || !is_op(root, "MatMul") || !climb_from(&c, softmax->in[0], 0)) return false;
    out->root = root;
    if (c.joined)
        for (int i = 0; i < out->addend_count; i++)
            if (out->addend[i].no_heads && out->addend[i].value->type.rank == 3) return false;
    return begin_all(out, &c) && (guarded || !may_hide_rows(out));
}

/* ---- From an Attention ------------------------------------------------------------------------*/

static bool is_given(const tn_node *node, int input)
{
    return input < node->in_count && node->in[input];
}

static bool is_plain(const tn_node *node)
{
    const tn_attention_params *params = node->params;
    if (!is_op(node, "Attention") || !params || params->is_causal || params->softcap > 0 ||
        params->left_window_size >= 0 || params->right_window_size >= 0)
        return false;
    for (int i = TN_ATT_PAST_K; i <= TN_ATT_LENGTHS; i++)
        if (is_given(node, i)) return false;
    for (int i = TN_ATT_PRESENT_K; i < node->out_count; i++)
        if (node->out[i]) return false;
    return node->in[TN_ATT_V]->type.dtype == node->in[TN_ATT_Q]->type.dtype;
}

bool tn_attention_from_node(tn_node *node, tn_attention_parts *out)
{
    if (!is_plain(node)) return false;
    const tn_attention_params *params = node->params;
    tn_exprs *exprs = node->graph->exprs;
    const tn_type *q = &node->in[TN_ATT_Q]->type, *k = &node->in[TN_ATT_K]->type;
    const tn_type *v = &node->in[TN_ATT_V]->type;
    int rank = q->rank;
    *out = (tn_attention_parts){.root = node, .scale = params->scale};
    if ((rank != 3 && rank != 4) || k->rank != rank || v->rank != rank) return false;
    if (rank == 3 && params->q_num_heads != params->kv_num_heads) return false;
    tn_expr heads = rank == 4 ? q->dim[1] : tn_expr_const(exprs, params->q_num_heads);
    tn_lie_sizes size = {.batch = q->dim[0],
                         .heads = heads,
                         .rows = q->dim[rank - 2],
                         .head = rank == 4 ? q->dim[3] : tn_expr_div(exprs, q->dim[2], heads)};
    tn_lie_sizes keys = size, values = size, result = size;
    keys.rows = values.rows = k->dim[rank - 2];
    values.head = result.head = rank == 4 ? v->dim[3] : tn_expr_div(exprs, v->dim[2], heads);
    const char *form = rank == 4 ? "B|H|S|D" : "B|S|HD";
    if (!tn_lie_begin(&out->q, node->in[TN_ATT_Q], form, size) ||
        !tn_lie_begin(&out->k, node->in[TN_ATT_K], form, keys) ||
        !tn_lie_begin(&out->v, node->in[TN_ATT_V], form, values) ||
        !tn_lie_begin(&out->y, node->out[0], form, result))
        return false;
    if (!is_given(node, TN_ATT_MASK)) return true;
    const tn_expr dim[4] = {size.batch, heads, size.rows, keys.rows};
    tn_type full = tn_type_of(q->dtype, 4, dim);
    out->addend[out->addend_count++].value = node->in[TN_ATT_MASK];
    return repeats(exprs, &node->in[TN_ATT_MASK]->type, &full);
}
