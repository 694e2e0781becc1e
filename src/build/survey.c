/* Before a plan is emitted: which nodes are needed, and how each is served.
 *
 * A walk forward finds where run-time symbols come from: the first value with such a symbol as a
 * whole dim binds it, once its step has run. A walk backward then keeps what is read, and only
 * that:
 *
 *     x --NonZero--> y [2,n] --Shape--> s {2,n} --Gather--> n --ConstantOfShape--> z [n]
 *
 * z's shape is known from n, so nothing reads Gather, Shape or y's elements; but n itself is found
 * out by running NonZero, which therefore stays. Shape operands (in `unused` of all its tactics) do
 * not keep their producers alive; outputs whose elements are known expressions become DIMS steps.
 */
#include <string.h>

#include "build/stage.h"
#include "ops/reference.h"

/* ---- Forward: symbols ------------------------------------------------------------------------*/

/* bound[e]: every symbol in e is bound. Operands come first, so one pass does it. */
static void spread_bound(const tn_exprs *exprs, bool *bound)
{
    for (int64_t i = 1; i < exprs->count; i++) {
        const tn_expr_node *node = tn_expr_get(exprs, (tn_expr)i);
        if (node->op == TN_EXPR_OP_SYMBOL) continue;
        if (node->op == TN_EXPR_OP_CONST) bound[i] = true;
        else
            bound[i] = (!node->a || bound[node->a]) && (!node->b || bound[node->b]) &&
                       (!node->c || bound[node->c]);
    }
}

static bool is_symbol(const tn_exprs *exprs, tn_expr e)
{
    return e != TN_EXPR_NONE && tn_expr_get(exprs, e)->op == TN_EXPR_OP_SYMBOL;
}

static bool type_bound(const tn_type *type, const bool *bound)
{
    if (type->rank < 0) return false;
    for (int axis = 0; axis < type->rank; axis++)
        if (type->dim[axis] == TN_EXPR_NONE || !bound[type->dim[axis]]) return false;
    return true;
}

static bool known_bound(const tn_value *value, const bool *bound)
{
    if (!value->known.at) return false;
    for (int64_t i = 0; i < value->known.count; i++)
        if (value->known.at[i] == TN_EXPR_NONE || !bound[value->known.at[i]]) return false;
    return true;
}

/* A tensor of a size that is known by then. */
static bool is_fixed(const tn_type *type, const bool *bound)
{
    return type->kind == TN_TYPE_TENSOR && type_bound(type, bound);
}

/* Symbols that are seen here for the first time are bound by this value. */
static bool define_symbols(tn_survey *s, tn_value *value)
{
    bool fresh = false;
    for (int axis = 0; value->type.kind == TN_TYPE_TENSOR && axis < value->type.rank; axis++) {
        tn_expr e = value->type.dim[axis];
        if (!is_symbol(s->graph->exprs, e) || s->bound[e]) continue;
        s->definer[e] = value;
        s->definer_axis[e] = axis;
        s->bound[e] = fresh = true;
    }
    return fresh;
}

static void visit_outputs(tn_survey *s, const tn_node *node)
{
    const tn_exprs *exprs = s->graph->exprs;
    tn_node_plan *plan = &s->node[node->id];
    bool fresh = false;
    if (node->out[0]) plan->dims_known = known_bound(node->out[0], s->bound);
    for (int32_t k = 0; k < node->out_count; k++) {
        const tn_value *value = node->out[k];
        if (!value) continue;
        s->value_dynamic[value->id] = !is_fixed(&value->type, s->input_bound);
        if (!is_fixed(&value->type, s->bound)) plan->resolves = true;
    }
    for (int32_t k = 0; k < node->out_count; k++)
        if (node->out[k]) fresh |= define_symbols(s, node->out[k]);
    if (fresh) spread_bound(exprs, s->bound);
}

static void walk_forward(tn_survey *s, const bool *input_dynamic)
{
    const tn_exprs *exprs = s->graph->exprs;
    for (int64_t i = 0; i < s->graph->input_count; i++) {
        const tn_value *input = s->graph->input[i];
        if (input->type.kind != TN_TYPE_TENSOR || (input_dynamic && input_dynamic[i])) continue;
        for (int axis = 0; axis < input->type.rank; axis++)
            if (is_symbol(exprs, input->type.dim[axis]))
                s->input_bound[input->type.dim[axis]] = true;
    }
    spread_bound(exprs, s->input_bound);
    memcpy(s->bound, s->input_bound, sizeof(bool) * (size_t)exprs->count);
    for (int64_t i = 0; i < s->graph->input_count; i++) {
        tn_value *input = s->graph->input[i];
        s->value_dynamic[input->id] =
            !is_fixed(&input->type, s->input_bound) || (input_dynamic && input_dynamic[i]);
        if (s->value_dynamic[input->id] && define_symbols(s, input)) spread_bound(exprs, s->bound);
    }
    for (const tn_node *node = s->graph->first; node; node = node->next) visit_outputs(s, node);
}

/* ---- Backward: what is needed ----------------------------------------------------------------*/

/* The run-time symbols in e are needed, hence the nodes that bind them. Each expression is looked
 * at once, so the stack never holds more than three for each. */
static void mark_expr(tn_survey *s, tn_expr e)
{
    const tn_exprs *exprs = s->graph->exprs;
    int64_t depth = 0;
    s->stack[depth++] = e;
    while (depth > 0) {
        tn_expr at = s->stack[--depth];
        if (at == TN_EXPR_NONE || s->marked[at] || s->input_bound[at]) continue;
        s->marked[at] = true;
        const tn_expr_node *node = tn_expr_get(exprs, at);
        if (node->op == TN_EXPR_OP_SYMBOL) {
            if (s->definer[at] && s->definer[at]->producer)
                s->node[s->definer[at]->producer->id].needed = true;
            continue;
        }
        s->stack[depth++] = node->a;
        s->stack[depth++] = node->b;
        s->stack[depth++] = node->c;
    }
}

static void need_shape(tn_survey *s, const tn_value *value)
{
    for (int axis = 0; axis < value->type.rank; axis++) mark_expr(s, value->type.dim[axis]);
}

static void need_value(tn_survey *s, const tn_value *value)
{
    s->value_needed[value->id] = true;
    need_shape(s, value);
}

static bool others_unread(const tn_survey *s, const tn_node *node)
{
    for (int32_t k = 1; k < node->out_count; k++)
        if (node->out[k] && s->value_needed[node->out[k]->id]) return false;
    return true;
}

static bool can_be_dims(const tn_survey *s, const tn_node *node, bool wanted)
{
    const tn_node_plan *plan = &s->node[node->id];
    const tn_value *out = node->out[0];
    int64_t count = 1, dim;
    if (!wanted || !plan->dims_known || plan->resolves || !out || !others_unread(s, node))
        return false;
    if (tn_dtype_kind_of(out->type.dtype) != TN_KIND_I || s->value_dynamic[out->id]) return false;
    for (int axis = 0; axis < out->type.rank; axis++) {
        if (!tn_expr_is_const(s->graph->exprs, out->type.dim[axis], &dim)) return false;
        if (!tn_mul_i64(count, dim, &count)) return false;
    }
    return count == out->known.count;
}

/* A view shares memory, so both sides must agree on what kind of memory that is: of a planned size,
 * or of one that the run finds out. */
static bool can_be_view(const tn_survey *s, const tn_node *node)
{
    if (!node->op->view || s->node[node->id].resolves || node->in_count < 1) return false;
    const tn_value *in = node->in[0], *out = node->out[0];
    if (!in || !out || in->type.dtype != out->type.dtype || !others_unread(s, node)) return false;
    if (in->type.kind != TN_TYPE_TENSOR) return false;
    return s->value_dynamic[in->id] || !s->value_dynamic[out->id];
}

static bool is_dims_op(const tn_node *node)
{
    return !strcmp(node->op->name, "Dims");
}

/* Nothing but running its producer tells the size of such a value: it has no dims to evaluate. */
static bool has_open_shape(const tn_type *type)
{
    if (type->rank < 0) return true;
    for (int axis = 0; axis < type->rank; axis++)
        if (type->dim[axis] == TN_EXPR_NONE) return true;
    return false;
}

/* Inputs that none of the chosen tactics reads. When shapes are found by running, the inputs that
 * tell them are read after all, and so is an input whose own shape is found by running. */
static uint64_t unused_inputs(const tn_chooser *chooser, const tn_node *node,
                              const tn_node_plan *plan)
{
    uint64_t unused = UINT64_MAX;
    tn_arena arena;
    tn_problem p = {.op = node->op->name,
                    .in_count = node->in_count,
                    .out_count = node->out_count,
                    .params = node->params,
                    .params_bytes = node->params_bytes};
    if (plan->resolves) return 0;
    tn_arena_init(&arena);
    tn_status status = chooser->values ? tn_node_problem(node, chooser->values, &arena, &p) : NULL;
    bool types = chooser->values && !status;
    for (int i = 0; i < plan->choices.count; i++) {
        const tn_tactic *t = plan->choices.tactic[i];
        if (tn_tactic_is_reference(t)) unused &= node->op->shape_inputs;
        else unused &= t->unused && types ? t->unused(&p) : 0;
    }
    tn_arena_fini(&arena);
    for (int32_t k = 0; k < node->in_count && k < 64; k++)
        if (node->in[k] && has_open_shape(&node->in[k]->type)) unused &= ~(UINT64_C(1) << k);
    return unused;
}

/* Steps that no tactic runs. An Identity of a sequence is one. */
static tn_node_kind kind_of(const tn_node *node)
{
    if (node->op->runs == TN_RUNS_SEQUENCE) return TN_NODE_SEQUENCE;
    if (node->op->runs != TN_RUNS_TACTIC) return TN_NODE_INSIDE;
    for (int32_t i = 0; i < node->in_count; i++)
        if (node->in[i] && node->in[i]->type.kind != TN_TYPE_TENSOR) return TN_NODE_SEQUENCE;
    return TN_NODE_LAUNCH;
}

/* A card works with tensors whose sizes the input shapes tell. */
static bool may_card(const tn_survey *s, const tn_chooser *chooser, const tn_node *node)
{
    if (!chooser->engine->card || chooser->host_only || s->node[node->id].resolves) return false;
    for (int32_t k = 0; k < node->in_count + node->out_count; k++) {
        const tn_value *value = k < node->in_count ? node->in[k] : node->out[k - node->in_count];
        if (!value) continue;
        if (value->type.kind != TN_TYPE_TENSOR || value->type.dtype == TN_DTYPE_STRING ||
            s->value_dynamic[value->id] || has_open_shape(&value->type))
            return false;
    }
    return true;
}

static tn_status visit_needed(tn_survey *s, tn_chooser *chooser, const tn_node *node)
{
    tn_node_plan *plan = &s->node[node->id];
    char label[200];
    for (int32_t k = 0; k < node->out_count; k++)
        for (int axis = 0; node->out[k] && axis < node->out[k]->type.rank; axis++)
            mark_expr(s, node->out[k]->type.dim[axis]);
    if (can_be_dims(s, node, is_dims_op(node) || !chooser->reference_only)) {
        plan->kind = TN_NODE_DIMS;
        for (int64_t i = 0; i < node->out[0]->known.count; i++)
            mark_expr(s, node->out[0]->known.at[i]);
        return NULL;
    }
    TN_CHECK(!is_dims_op(node), TN_INVALID,
             "%s uses a size that no input has as a dim and no node before it finds out",
             tn_node_label(node, label, sizeof(label)));
    if (can_be_view(s, node)) {
        plan->kind = TN_NODE_VIEW;
        need_value(s, node->in[0]);
        return NULL;
    }
    plan->kind = kind_of(node);
    if (plan->kind == TN_NODE_LAUNCH) {
        TN_TRY_NOTE(tn_choose(chooser, node, may_card(s, chooser, node), &plan->choices),
                    "while choosing for %s", tn_node_label(node, label, sizeof(label)));
        plan->unused = unused_inputs(chooser, node, plan);
    }
    for (int32_t i = 0; i < node->in_count; i++) {
        if (!node->in[i]) continue;
        if (i >= 64 || !(plan->unused >> i & 1)) need_value(s, node->in[i]);
        else need_shape(s, node->in[i]); /* Shape reads no element, but sizes */
    }
    return NULL;
}

static tn_status walk_backward(tn_survey *s, tn_chooser *chooser)
{
    for (int64_t i = 0; i < s->graph->output_count; i++) need_value(s, s->graph->output[i].value);
    for (const tn_node *node = s->graph->last; node; node = node->prev) {
        bool needed = s->node[node->id].needed;
        for (int32_t k = 0; k < node->out_count; k++)
            needed |= node->out[k] && s->value_needed[node->out[k]->id];
        s->node[node->id].needed = needed;
        if (needed) TN_TRY(visit_needed(s, chooser, node));
        if (!s->graph->parent) TN_TRY(tn_watch_step(chooser->watch));
    }
    return NULL;
}

tn_status tn_survey_graph(const tn_graph *graph, tn_chooser *chooser, const bool *input_dynamic,
                          tn_arena *arena, tn_survey *out)
{
    int64_t exprs = graph->exprs->count, ids = graph->next_id;
    tn_survey s = {
        .graph = graph,
        .node = TN_NEW_ARRAY(arena, tn_node_plan, ids),
        .value_needed = TN_NEW_ARRAY(arena, bool, ids),
        .value_dynamic = TN_NEW_ARRAY(arena, bool, ids),
        .input_bound = TN_NEW_ARRAY(arena, bool, exprs),
        .bound = TN_NEW_ARRAY(arena, bool, exprs),
        .marked = TN_NEW_ARRAY(arena, bool, exprs),
        .definer = TN_NEW_ARRAY(arena, tn_value *, exprs),
        .definer_axis = TN_NEW_ARRAY(arena, int32_t, exprs),
        .stack = TN_NEW_ARRAY(arena, tn_expr, exprs * 3 + 1),
    };
    TN_CHECK(s.node && s.value_needed && s.value_dynamic && s.input_bound && s.bound && s.marked &&
                 s.definer && s.definer_axis && s.stack,
             TN_OUT_OF_MEMORY, "no memory to survey a graph of %lld nodes",
             (long long)graph->node_count);
    walk_forward(&s, input_dynamic);
    TN_TRY(walk_backward(&s, chooser));
    *out = s;
    return NULL;
}
