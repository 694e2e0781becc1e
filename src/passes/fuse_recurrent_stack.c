/* tenon.RecurrentStack from LSTM and GRU with what exporters write around them:
 *
 *     h0, c0 ---Slice---> LSTM -Y-> Transpose -> Reshape -> LSTM -Y-> Transpose -> Reshape -> y
 *     zeros  ---Slice--->   |                                 |
 *                           +-----------Y_h, Y_c--------------+---Concat---> hn, cn
 *
 * Y is [T, D, B, H], what the next layer reads [T, B, D * H]. A chain of layers becomes one node,
 * and so does a single layer. Slices of one tensor that follow each other are taken together;
 * states that are zeros are left off. Where X comes from a Transpose of [B, T, in] and y goes into
 * one back, both are left off too. */
#include <string.h>

#include "ops/recurrent_stack/recurrent_stack.h"
#include "ops/rnn/rnn.h"
#include "passes/constants.h"

enum { FORMS_MAX = 8, DEPTH_MAX = 12 };

/* One LSTM or GRU that fits. */
typedef struct layer {
    tn_node *node;
    bool is_gru;
    int64_t hidden, directions;
    tn_value *state[2]; /* before the first step; NULL: zeros */
    /* Y as others read it: [T, B, D * H] and [B, T, D * H]. */
    tn_value *rows[FORMS_MAX], *turned[FORMS_MAX];
    int row_count, turned_count;
} layer;

typedef struct chain {
    layer at[TN_STACK_LAYERS_MAX];
    int count;
} chain;

static bool is_op(const tn_node *node, const char *name)
{
    return node && node->op == tn_op_find(NULL, name);
}

/* What a Transpose of axes 0 and 1 of three gives; NULL if `node` is none. */
static tn_value *swapped(const tn_node *node)
{
    const tn_attr *perm = tn_node_find_attr(node, "perm");
    if (!is_op(node, "Transpose") || !perm || perm->count != 3) return NULL;
    return perm->ints[0] == 1 && perm->ints[1] == 0 ? node->out[0] : NULL;
}

/* ---- Reading a layer -------------------------------------------------------------------------*/

/* Is the value zeros, whatever its shape? */
static bool is_zero(const tn_value *value, int depth)
{
    static const char *const movers[] = {"Slice",     "Unsqueeze", "Squeeze", "Reshape",
                                         "Transpose", "Expand",    "Identity"};
    if (tn_value_is_constant(value)) {
        const tn_tensor *t = &value->constant;
        for (int64_t i = 0; i < tn_tensor_count(t); i++)
            if (tn_load_f64(t->dtype, t->data, i) != 0) return false;
        return true;
    }
    const tn_node *node = value->producer;
    if (!node || depth == DEPTH_MAX) return false;
    if (is_op(node, "ConstantOfShape")) {
        const tn_attr *attr = tn_node_find_attr(node, "value");
        return !attr || (attr->kind == TN_ATTR_TENSOR && tn_tensor_count(&attr->tensor) == 1 &&
                         tn_load_f64(attr->tensor.dtype, attr->tensor.data, 0) == 0);
    }
    for (size_t i = 0; i < TN_COUNT(movers); i++)
        if (is_op(node, movers[i])) return is_zero(node->in[0], depth + 1);
    return false;
}

static bool add_form(tn_value *value, tn_value **at, int *count)
{
    if (*count == FORMS_MAX) return false;
    at[(*count)++] = value;
    return true;
}

/* `from` holds Y with its axes in the order `turned` ? B, T : T, B, then D (or D of 1 anywhere), H.
 * What reads it must make three axes of it. */
static bool read_forms(const tn_value *from, const tn_type *x, bool turned, layer *out)
{
    tn_exprs *e = from->graph->exprs;
    tn_expr dim[3] = {x->dim[turned ? 1 : 0], x->dim[turned ? 0 : 1],
                      tn_expr_const(e, out->directions * out->hidden)};
    const tn_type wanted = tn_type_of(x->dtype, 3, dim);
    if (from->output_count) return false;
    for (int64_t i = 0; i < from->use_count; i++) {
        const tn_node *node = from->use[i].node;
        if (from->use[i].index != 0 || (!is_op(node, "Reshape") && !is_op(node, "Squeeze")) ||
            !tn_type_equals(&node->out[0]->type, &wanted))
            return false;
        if (!(turned ? add_form(node->out[0], out->turned, &out->turned_count)
                     : add_form(node->out[0], out->rows, &out->row_count)))
            return false;
    }
    return true;
}

/* Every way in which Y is read. */
static bool read_y(const tn_value *y, const tn_type *x, layer *out)
{
    if (!y) return true;
    if (y->output_count) return false;
    for (int64_t i = 0; i < y->use_count; i++) {
        const tn_node *node = y->use[i].node;
        if (!is_op(node, "Transpose")) continue;
        const tn_attr *perm = tn_node_find_attr(node, "perm");
        int at[4] = {0};
        if (!perm || perm->count != 4) return false;
        for (int k = 0; k < 4; k++) at[perm->ints[k]] = k;
        if (at[3] != 3 || (out->directions > 1 && at[1] != 2)) return false;
        if (!read_forms(node->out[0], x, at[2] < at[0], out)) return false;
    }
    /* Those that are no Transpose need a Y without an axis for directions. */
    int64_t others = 0;
    for (int64_t i = 0; i < y->use_count; i++) others += !is_op(y->use[i].node, "Transpose");
    if (!others) return true;
    if (out->directions > 1 || others != y->use_count) return false;
    return read_forms(y, x, false, out);
}

/* A turned form that is only turned back again is what others read of rows. */
static bool turn_back(layer *out)
{
    int kept = 0;
    for (int i = 0; i < out->turned_count; i++) {
        const tn_value *form = out->turned[i];
        bool all = !form->output_count;
        for (int64_t k = 0; k < form->use_count; k++) all = all && swapped(form->use[k].node);
        if (!all) out->turned[kept++] = out->turned[i];
        for (int64_t k = 0; all && k < form->use_count; k++)
            if (!add_form(swapped(form->use[k].node), out->rows, &out->row_count)) return false;
    }
    out->turned_count = kept;
    return true;
}

/* Attributes that the stack knows nothing of must be what they usually are. */
static bool has_usual_params(const tn_rnn_params *params, bool is_gru)
{
    static const tn_rnn_function usual[] = {TN_RNN_F_SIGMOID, TN_RNN_F_TANH, TN_RNN_F_TANH};
    for (int i = 0; i < params->activations.count; i++)
        if (params->activations.at[i] != (int64_t)usual[i % (is_gru ? 2 : 3)]) return false;
    if (is_gru && !params->linear_before_reset) return false;
    return params->direction != TN_RNN_REVERSE && !params->layout && !(params->clip > 0) &&
           !params->input_forget;
}

static bool is_weight(const tn_node *node, int index)
{
    return index < node->in_count && node->in[index] && tn_value_is_constant(node->in[index]) &&
           node->in[index]->constant.dtype == TN_DTYPE_F32;
}

static tn_value *input_of(const tn_node *node, int index)
{
    return index < node->in_count ? node->in[index] : NULL;
}

static bool read_layer(tn_node *node, layer *out)
{
    memset(out, 0, sizeof *out);
    out->node = node;
    out->is_gru = is_op(node, "GRU");
    if (!out->is_gru && !is_op(node, "LSTM")) return false;
    if (!has_usual_params(node->params, out->is_gru) || input_of(node, TN_RNN_LENS) ||
        input_of(node, TN_RNN_P))
        return false;
    if (!is_weight(node, TN_RNN_W) || !is_weight(node, TN_RNN_R) ||
        (input_of(node, TN_RNN_B) && !is_weight(node, TN_RNN_B)))
        return false;
    const tn_type *x = &node->in[TN_RNN_X]->type;
    const tn_tensor *r = &node->in[TN_RNN_R]->constant;
    if (x->rank != 3 || r->dim[2] < 1) return false;
    out->directions = r->dim[0];
    out->hidden = r->dim[2];
    for (int i = 0; i < 2; i++) {
        tn_value *state = input_of(node, TN_RNN_H0 + i);
        if (state && !is_zero(state, 0)) out->state[i] = state;
    }
    return read_y(node->out[0], x, out) && turn_back(out);
}

static bool is_wanted(const tn_value *value)
{
    return value && tn_value_has_users(value);
}

/* ---- Chains ----------------------------------------------------------------------------------*/

/* Does anything that `value` comes from read what `first` gives? Nodes between them are in order.
 */
static tn_status comes_from(const tn_value *value, const tn_node *first, bool *out)
{
    const tn_graph *graph = first->graph;
    size_t bytes = (size_t)graph->next_id + 1;
    bool *later = tn_alloc_zero(bytes);
    TN_CHECK(later, TN_OUT_OF_MEMORY, "no memory to follow a graph");
    later[first->id] = true;
    for (const tn_node *node = first->next; node; node = node->next)
        for (int i = 0; i < node->in_count && !later[node->id]; i++)
            later[node->id] =
                node->in[i] && node->in[i]->producer && later[node->in[i]->producer->id];
    *out = value->producer && later[value->producer->id];
    tn_free(later, bytes);
    return NULL;
}

/* The layer that alone reads the last one of the chain. */
static tn_status read_next(const chain *c, layer *out, bool *found)
{
    const layer *last = &c->at[c->count - 1];
    *found = false;
    if (last->row_count != 1 || last->turned_count) return NULL;
    const tn_value *rows = last->rows[0];
    if (rows->output_count || rows->use_count != 1 || rows->use[0].index != TN_RNN_X) return NULL;
    if (!read_layer(rows->use[0].node, out) || out->is_gru != last->is_gru ||
        out->hidden != last->hidden || out->directions != last->directions)
        return NULL;
    for (int i = 0; i < 2; i++) {
        bool depends = false;
        if (!out->state[i] != !last->state[i]) return NULL;
        if (out->state[i]) TN_TRY(comes_from(out->state[i], c->at[0].node, &depends));
        if (depends) return NULL;
    }
    *found = true;
    return NULL;
}

/* ---- States ----------------------------------------------------------------------------------*/

/* Elements [begin, end) of axis 0 of a tensor. */
typedef struct piece {
    tn_value *of;
    int64_t begin, end, all;
} piece;

static bool read_number(const tn_node *node, int index, int64_t otherwise, int64_t *out)
{
    const tn_value *value = input_of(node, index);
    *out = otherwise;
    if (!value) return true;
    if (!tn_value_is_constant(value) || tn_tensor_count(&value->constant) != 1) return false;
    *out = tn_load_i64(value->constant.dtype, value->constant.data, 0);
    return true;
}

static bool read_piece(const tn_value *value, piece *out)
{
    const tn_node *node = value->producer;
    int64_t axis, step;
    if (!is_op(node, "Slice") || node->in[0]->type.rank != 3) return false;
    out->of = node->in[0];
    if (!tn_expr_is_const(value->graph->exprs, out->of->type.dim[0], &out->all)) return false;
    if (!read_number(node, 1, 0, &out->begin) || !read_number(node, 2, 0, &out->end) ||
        !read_number(node, 3, 0, &axis) || !read_number(node, 4, 1, &step))
        return false;
    if (out->end > out->all) out->end = out->all;
    return (axis == 0 || axis == -3) && step == 1 && out->begin >= 0 && out->end > out->begin;
}

static tn_status add_slice(tn_value *of, int64_t begin, int64_t end, tn_node *before,
                           tn_value **out)
{
    tn_graph *graph = before->graph;
    tn_value *in[4] = {of};
    tn_node *node;
    const int64_t number[3] = {begin, end, 0};
    for (int i = 0; i < 3; i++) TN_TRY(tn_graph_add_ints(graph, &number[i], 1, &in[1 + i]));
    TN_TRY(tn_graph_add_node(graph, tn_op_find(NULL, "Slice"), before->name, in, 4, NULL, 1, before,
                             &node));
    TN_TRY(tn_node_lower(node));
    TN_TRY(tn_node_infer(node));
    *out = node->out[0];
    return NULL;
}

static tn_status add_concat(tn_value *const *in, int count, tn_node *before, tn_value **out)
{
    tn_node *node;
    TN_TRY(tn_graph_add_node(before->graph, tn_op_find(NULL, "Concat"), before->name, in, count,
                             NULL, 1, before, &node));
    TN_TRY(tn_node_set_int(node, "axis", 0));
    TN_TRY(tn_node_lower(node));
    TN_TRY(tn_node_infer(node));
    *out = node->out[0];
    return NULL;
}

/* The states of all layers in one tensor. */
static tn_status join_states(const chain *c, int which, tn_node *before, tn_value **out)
{
    tn_value *in[TN_STACK_LAYERS_MAX];
    piece all, next;
    *out = c->at[0].state[which];
    if (!*out || c->count == 1) return NULL;
    bool follow = read_piece(*out, &all);
    for (int i = 0; i < c->count; i++) {
        in[i] = c->at[i].state[which];
        if (i == 0 || !follow) continue;
        follow = read_piece(in[i], &next) && next.of == all.of && next.begin == all.end;
        all.end = next.end;
    }
    if (!follow) return add_concat(in, c->count, before, out);
    *out = all.of;
    if (all.begin == 0 && all.end == all.all) return NULL;
    return add_slice(all.of, all.begin, all.end, before, out);
}

/* A Concat along axis 0 that has the states of all layers side by side: from input *at on. */
static tn_node *find_concat(const chain *c, int out, int *at)
{
    const tn_value *first = c->at[0].node->out[out];
    for (int64_t i = 0; i < first->use_count; i++) {
        tn_node *node = first->use[i].node;
        int begin = first->use[i].index, k = 0;
        int64_t axis = is_op(node, "Concat") ? tn_node_int_attr(node, "axis", 0) : -1;
        if ((axis != 0 && axis != -3) || !is_op(node, "Concat")) continue;
        while (k < c->count && begin + k < node->in_count &&
               node->in[begin + k] == c->at[k].node->out[out])
            k++;
        *at = begin;
        if (k == c->count) return node;
    }
    return NULL;
}

/* Whoever reads states of layers reads them from those of the stack. */
static tn_status give_states(const chain *c, int out, tn_value *all, tn_node *before)
{
    tn_node *concat;
    int at;
    if (c->count == 1) return tn_value_replace(c->at[0].node->out[out], all);
    while (is_wanted(c->at[0].node->out[out]) && (concat = find_concat(c, out, &at))) {
        if (concat->in_count == c->count) {
            TN_TRY(tn_value_replace(concat->out[0], all));
            tn_node_remove(concat);
            continue;
        }
        TN_TRY(tn_node_set_input(concat, at, all));
        for (int i = 1; i < c->count; i++) TN_TRY(tn_node_remove_input(concat, at + 1));
    }
    for (int i = 0; i < c->count; i++) {
        tn_value *one = c->at[i].node->out[out], *slice;
        int64_t d = c->at[0].directions;
        if (!is_wanted(one)) continue;
        TN_TRY(add_slice(all, i * d, (i + 1) * d, before, &slice));
        TN_TRY(tn_value_replace(one, slice));
    }
    return NULL;
}

/* ---- The node --------------------------------------------------------------------------------*/

static bool any_state_wanted(const chain *c, int out)
{
    for (int i = 0; i < c->count; i++)
        if (out < c->at[i].node->out_count && is_wanted(c->at[i].node->out[out])) return true;
    return false;
}

/* Do all that read y swap its first axes? */
static bool reads_batch_first(const layer *last)
{
    for (int i = 0; i < last->row_count; i++) {
        if (last->rows[i]->output_count) return false;
        for (int64_t k = 0; k < last->rows[i]->use_count; k++)
            if (!swapped(last->rows[i]->use[k].node)) return false;
    }
    return true;
}

static tn_status add_zero_bias(const layer *of, tn_value **out)
{
    tn_graph *graph = of->node->graph;
    int64_t dim[2] = {of->directions, 2 * (of->is_gru ? 3 : 4) * of->hidden};
    tn_tensor bias = tn_tensor_of(TN_DTYPE_F32, dim, 2, NULL);
    size_t bytes = (size_t)tn_tensor_bytes(&bias);
    bias.data = tn_arena_alloc(graph->arena, bytes);
    TN_CHECK(bias.data, TN_OUT_OF_MEMORY, "no memory for a bias");
    memset(bias.data, 0, bytes);
    return tn_graph_add_constant(graph, NULL, &bias, false, out);
}

static tn_status add_stack(const chain *c, bool batch_first, tn_node *before, tn_node **out)
{
    tn_value *in[TN_STACK_WEIGHTS + 3 * TN_STACK_LAYERS_MAX];
    const layer *head = &c->at[0], *last = &c->at[c->count - 1];
    tn_value *x = head->node->in[TN_RNN_X];
    in[TN_STACK_X] = batch_first ? x->producer->in[0] : x;
    for (int i = 0; i < 2; i++) TN_TRY(join_states(c, i, before, &in[TN_STACK_H0 + i]));
    for (int i = 0; i < c->count; i++) {
        tn_value **w = in + TN_STACK_WEIGHTS + 3 * i;
        w[0] = c->at[i].node->in[TN_RNN_W];
        w[1] = c->at[i].node->in[TN_RNN_R];
        w[2] = input_of(c->at[i].node, TN_RNN_B);
        if (!w[2]) TN_TRY(add_zero_bias(&c->at[i], &w[2]));
    }
    const char *none[3] = {last->row_count + last->turned_count ? NULL : "",
                           any_state_wanted(c, 1) ? NULL : "", any_state_wanted(c, 2) ? NULL : ""};
    TN_TRY(tn_graph_add_node(before->graph, tn_op_find("tenon", "RecurrentStack"), head->node->name,
                             in, TN_STACK_WEIGHTS + 3 * c->count, none, head->is_gru ? 2 : 3,
                             before, out));
    const tn_string gru = {"gru", 3};
    if (head->is_gru)
        TN_TRY(
            tn_node_set_attr(*out, &(tn_attr){.name = "mode", .kind = TN_ATTR_TEXT, .text = gru}));
    if (head->is_gru) TN_TRY(tn_node_set_int(*out, "linear_before_reset", 1));
    TN_TRY(tn_node_set_int(*out, "hidden_size", head->hidden));
    TN_TRY(tn_node_set_int(*out, "layers", c->count));
    TN_TRY(tn_node_set_int(*out, "directions", head->directions));
    if (batch_first) TN_TRY(tn_node_set_int(*out, "batch_first", 1));
    TN_TRY(tn_node_lower(*out));
    return tn_node_infer(*out);
}

/* y with axes 0 and 1 swapped, for those who want the other order. */
static tn_status add_swapped(tn_value *y, tn_node *before, tn_value **out)
{
    const int64_t perm[3] = {1, 0, 2};
    tn_node *node;
    TN_TRY(tn_graph_add_node(before->graph, tn_op_find(NULL, "Transpose"), before->name,
                             (tn_value *[]){y}, 1, NULL, 1, before, &node));
    TN_TRY(tn_node_set_attr(
        node, &(tn_attr){.name = "perm", .kind = TN_ATTR_INTS, .ints = perm, .count = 3}));
    TN_TRY(tn_node_lower(node));
    TN_TRY(tn_node_infer(node));
    *out = node->out[0];
    return NULL;
}

static tn_status replace_chain(tn_graph *graph, const chain *c)
{
    const layer *last = &c->at[c->count - 1];
    const tn_node *above = c->at[0].node->in[TN_RNN_X]->producer;
    tn_node *before = last->node, *stack;
    bool batch_first = above && swapped(above) && reads_batch_first(last);
    TN_TRY(add_stack(c, batch_first, before, &stack));
    tn_value *y = stack->out[0], *other = NULL;
    if (!batch_first && last->turned_count) TN_TRY(add_swapped(y, before, &other));
    for (int i = 0; i < last->row_count; i++) {
        if (!batch_first) TN_TRY(tn_value_replace(last->rows[i], y));
        for (int64_t k = 0; batch_first && k < last->rows[i]->use_count; k++)
            TN_TRY(tn_value_replace(last->rows[i]->use[k].node->out[0], y));
    }
    for (int i = 0; i < last->turned_count; i++)
        TN_TRY(tn_value_replace(last->turned[i], batch_first ? y : other));
    for (int i = 1; i < stack->out_count; i++)
        if (stack->out[i]) TN_TRY(give_states(c, i, stack->out[i], before));
    TN_TRY(tn_graph_sort(graph));
    int64_t dropped = 0;
    return tn_pass_find("drop_dead")->run(graph, &dropped);
}

static bool is_used(const layer *of)
{
    bool used = of->row_count || of->turned_count;
    for (int i = 1; i < of->node->out_count; i++) used = used || is_wanted(of->node->out[i]);
    return used;
}

static tn_status run(tn_graph *graph, int64_t *changed)
{
    chain *c = tn_alloc(sizeof *c);
    TN_CHECK(c, TN_OUT_OF_MEMORY, "no memory for a chain of layers");
    tn_status status = NULL;
    tn_node *node = graph->first;
    while (node && !status) {
        bool found = read_layer(node, &c->at[0]) && is_used(&c->at[0]);
        node = node->next;
        if (!found) continue;
        for (c->count = 1; found && !status && c->count < TN_STACK_LAYERS_MAX; c->count += found)
            status = read_next(c, &c->at[c->count], &found);
        if (!status) status = replace_chain(graph, c);
        ++*changed;
        node = graph->first; /* what was next may be gone */
    }
    tn_free(c, sizeof *c);
    return status;
}

const tn_pass tn_pass_fuse_recurrent_stack = {
    .name = "fuse_recurrent_stack",
    .about = "layers of LSTM or GRU and what stands between them as one operator",
    .run = run,
    .only_engines = true,
};
