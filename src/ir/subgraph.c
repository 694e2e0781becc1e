/* Types across the border of a graph in a node, and moving things over it. */
#include "ir/subgraph.h"

#include <stdio.h>
#include <string.h>

/* Rounds after which every dim that is carried is taken to change: a chain of values that hand a
 * shape on would need a round for each. */
enum { ROUNDS_DIMS = 8, ROUNDS_RANKS = 16 };

tn_graph *tn_node_inside(const tn_node *node, int index)
{
    for (int32_t i = 0; i < node->attr_count; i++)
        if (node->attr[i].kind == TN_ATTR_GRAPH && index-- == 0) return node->attr[i].graph;
    return NULL;
}

bool tn_node_has_inside(const tn_node *node)
{
    return tn_node_inside(node, 0) != NULL;
}

int tn_node_inside_shift(const tn_node *node)
{
    return node->op->runs == TN_RUNS_IF ? 1 : 0;
}

int tn_node_inside_given(const tn_node *node)
{
    int in_first = 0, out_first = 0;
    int carried = node->op->carried ? node->op->carried(node, &in_first, &out_first) : 0;
    int64_t slices =
        node->op->runs == TN_RUNS_SCAN ? tn_node_int_attr(node, "num_scan_inputs", 0) : 0;
    return in_first + carried + (int)TN_MAX(TN_MIN(slices, (int64_t)node->in_count), (int64_t)0);
}

/* ---- In --------------------------------------------------------------------------------------*/

/* A symbol that is bound by this dim of this input alone. */
static tn_expr own_symbol(tn_graph *inside, const tn_value *input, int axis)
{
    char *name = tn_arena_printf(inside->arena, "%s@%d.%d", input->name, inside->depth, axis);
    return name ? tn_expr_symbol(inside->exprs, name) : TN_EXPR_NONE;
}

/* Names of symbols have no colon, so that expressions cannot be taken for one. */
static tn_expr enter_dim(tn_graph *inside, const tn_value *input, int axis, tn_expr dim)
{
    const tn_exprs *outer = inside->parent->exprs;
    int64_t number;
    if (dim == TN_EXPR_NONE) return own_symbol(inside, input, axis);
    if (tn_expr_is_const(outer, dim, &number)) return tn_expr_const(inside->exprs, number);
    const tn_expr_node *node = tn_expr_get(outer, dim);
    if (node->op == TN_EXPR_OP_SYMBOL && !node->runtime)
        return tn_expr_symbol(inside->exprs, node->name);
    char *name = tn_arena_printf(inside->arena, "outer%d:%u", inside->depth, (unsigned)dim);
    return name ? tn_expr_symbol(inside->exprs, name) : TN_EXPR_NONE;
}

static tn_status set_input(tn_graph *inside, tn_value *input, const tn_type *seen)
{
    tn_type type = *seen;
    if (input->varies & TN_VARIES_RANK) type.rank = -1;
    for (int axis = 0; axis < type.rank; axis++) {
        int64_t number;
        if (type.kind != TN_TYPE_TENSOR) {
            bool fixed = !(input->varies >> axis & 1) &&
                         tn_expr_is_const(inside->parent->exprs, seen->dim[axis], &number);
            type.dim[axis] = fixed ? tn_expr_const(inside->exprs, number) : TN_EXPR_NONE;
            continue;
        }
        type.dim[axis] = input->varies >> axis & 1
                             ? own_symbol(inside, input, axis)
                             : enter_dim(inside, input, axis, seen->dim[axis]);
        TN_CHECK(type.dim[axis] != TN_EXPR_NONE, TN_OUT_OF_MEMORY, "no memory for a symbol");
    }
    input->type = type;
    return tn_exprs_check(inside->exprs);
}

static tn_status types_seen(const tn_node *node, const tn_graph *inside, tn_arena *arena,
                            tn_type **out)
{
    tn_type *in = TN_NEW_ARRAY(arena, tn_type, node->in_count);
    *out = TN_NEW_ARRAY(arena, tn_type, inside->input_count);
    TN_CHECK(in && *out, TN_OUT_OF_MEMORY, "no memory to infer types");
    TN_CHECK(inside->input_count == node->in_count - tn_node_inside_shift(node), TN_INVALID,
             "its graph '%s' has %lld inputs; it is given %d", inside->name,
             (long long)inside->input_count, node->in_count - tn_node_inside_shift(node));
    for (int32_t i = 0; i < node->in_count; i++)
        if (node->in[i]) in[i] = node->in[i]->type;
    return node->op->enter(node, inside, in, node->in_count, *out);
}

tn_status tn_node_enter(tn_node *node)
{
    tn_arena arena;
    tn_status status = NULL;
    tn_graph *inside;
    tn_arena_init(&arena);
    for (int i = 0; (inside = tn_node_inside(node, i)) && !status; i++) {
        tn_type *seen;
        status = types_seen(node, inside, &arena, &seen);
        for (int64_t k = 0; k < inside->input_count && !status; k++)
            status = set_input(inside, inside->input[k], &seen[k]);
    }
    tn_arena_fini(&arena);
    return tn_node_blame(node, status);
}

/* ---- Carried values --------------------------------------------------------------------------*/

/* What comes out as `from` goes in as `input` the next time. With `widen` the input becomes what
 * holds for both; else it must be so already. */
static tn_status carry(tn_graph *inside, tn_value *input, const tn_type *from, bool widen,
                       bool *changed)
{
    tn_type *type = &input->type;
    char went[160], came[160];
    int64_t number;
    tn_type_text(inside->exprs, type, went, sizeof(went));
    tn_type_text(inside->exprs, from, came, sizeof(came));
    /* A sequence can go where an optional one could. */
    bool same = type->kind == from->kind ||
                (type->kind == TN_TYPE_OPTIONAL_SEQUENCE && from->kind == TN_TYPE_SEQUENCE);
    TN_CHECK(same && type->dtype == from->dtype, TN_INVALID,
             "the value carried as '%s' goes in as %s and comes out as %s", input->name, went,
             came);
    if (type->rank < 0) return NULL;
    if (type->rank != from->rank) {
        TN_CHECK(widen, TN_INVALID, "the value carried as '%s' goes in as %s and comes out as %s",
                 input->name, went, came);
        input->varies |= TN_VARIES_RANK;
        *changed = true;
        return NULL;
    }
    for (int axis = 0; axis < type->rank; axis++) {
        if (type->dim[axis] == from->dim[axis] || type->dim[axis] == TN_EXPR_NONE) continue;
        if (input->varies >> axis & 1) continue;
        TN_CHECK(widen || !tn_expr_is_const(inside->exprs, type->dim[axis], &number), TN_INVALID,
                 "the value carried as '%s' goes in as %s and comes out as %s", input->name, went,
                 came);
        input->varies |= (uint16_t)(1u << axis);
        *changed = true;
    }
    return NULL;
}

static tn_status carry_all(const tn_node *node, tn_graph *inside, int round, bool *changed)
{
    int in_first, out_first;
    if (!node->op->carried) return NULL;
    int count = node->op->carried(node, &in_first, &out_first);
    TN_CHECK(in_first + count <= inside->input_count && out_first + count <= inside->output_count,
             TN_INVALID, "its graph has %lld inputs and %lld outputs, too few to carry %d values",
             (long long)inside->input_count, (long long)inside->output_count, count);
    for (int i = 0; i < count; i++) {
        tn_value *input = inside->input[in_first + i];
        TN_TRY(
            carry(inside, input, &inside->output[out_first + i].value->type, round >= 0, changed));
    }
    for (int i = 0; i < count && *changed && round >= ROUNDS_DIMS; i++)
        inside->input[in_first + i]->varies |=
            (uint16_t)((1u << TN_RANK_MAX) - 1) | (round >= ROUNDS_RANKS ? TN_VARIES_RANK : 0);
    return NULL;
}

/* Types from the inputs on; what was found before may rest on inputs that were narrower. */
static tn_status infer_anew(tn_graph *graph)
{
    for (tn_node *node = graph->first; node; node = node->next)
        for (int32_t k = 0; k < node->out_count; k++) {
            if (!node->out[k]) continue;
            node->out[k]->type = (tn_type){.rank = -1};
            node->out[k]->known = (tn_known){0};
        }
    for (tn_node *node = graph->first; node; node = node->next) {
        TN_TRY(tn_node_lower(node));
        if (tn_node_has_inside(node)) TN_TRY(tn_node_settle(node));
        TN_TRY(tn_node_infer(node));
    }
    return NULL;
}

/* Recursion: as deep as graphs are nested. What is known to vary stays so, hence all rounds
 * together are no more than there are dims. */
tn_status tn_node_settle(tn_node *node)
{
    tn_graph *inside;
    bool changed = true;
    for (int round = 0; changed; round++) {
        changed = false;
        TN_TRY(tn_node_enter(node));
        for (int i = 0; (inside = tn_node_inside(node, i)); i++) {
            TN_TRY_NOTE(infer_anew(inside), "in graph '%s' of %s '%s'", inside->name,
                        node->op->name, node->name);
            TN_TRY(tn_node_blame(node, carry_all(node, inside, round, &changed)));
        }
    }
    return NULL;
}

/* ---- Inference -------------------------------------------------------------------------------*/

static bool fits(const tn_graph *inside, const tn_exprs *outer, const tn_value *input,
                 const tn_type *seen)
{
    const tn_type *type = &input->type;
    int64_t a, b;
    if (type->kind != seen->kind || type->dtype != seen->dtype) return false;
    if (type->rank < 0 || seen->rank < 0) return true;
    if (type->rank != seen->rank) return false;
    for (int axis = 0; axis < type->rank; axis++)
        if (tn_expr_is_const(inside->exprs, type->dim[axis], &a) &&
            tn_expr_is_const(outer, seen->dim[axis], &b) && a != b)
            return false;
    return true;
}

tn_status tn_infer_inside(tn_infer *f, tn_graph *inside, tn_type **seen)
{
    const tn_exprs *outer = f->exprs;
    bool changed = false;
    TN_CHECK(f->node && inside, TN_INVALID, "it has no graph inside");
    TN_TRY(types_seen(f->node, inside, f->arena, seen));
    for (int64_t i = 0; i < inside->input_count; i++) {
        const tn_value *input = inside->input[i];
        char want[160], got[160];
        TN_CHECK(fits(inside, outer, input, &(*seen)[i]), TN_INVALID,
                 "input '%s' of its graph is %s; it is given %s", input->name,
                 tn_type_text(inside->exprs, &input->type, want, sizeof(want)),
                 tn_type_text(outer, &(*seen)[i], got, sizeof(got)));
    }
    return carry_all(f->node, inside, -1, &changed);
}

static tn_expr rebuild(tn_exprs *out, const tn_expr_node *node, const tn_expr *map)
{
    tn_expr a = map[node->a], b = map[node->b], c = map[node->c];
    switch (node->op) {
    case TN_EXPR_OP_CONST: return tn_expr_const(out, node->value);
    case TN_EXPR_OP_ADD: return tn_expr_add(out, a, b);
    case TN_EXPR_OP_MUL: return tn_expr_mul(out, a, b);
    case TN_EXPR_OP_DIV: return tn_expr_div(out, a, b);
    case TN_EXPR_OP_MOD: return tn_expr_mod(out, a, b);
    case TN_EXPR_OP_MIN: return tn_expr_min(out, a, b);
    case TN_EXPR_OP_MAX: return tn_expr_max(out, a, b);
    case TN_EXPR_OP_BROADCAST: return tn_expr_broadcast(out, a, b);
    case TN_EXPR_OP_EQ: return tn_expr_eq(out, a, b);
    case TN_EXPR_OP_LT: return tn_expr_lt(out, a, b);
    case TN_EXPR_OP_SELECT: return tn_expr_select(out, a, b, c);
    default: return TN_EXPR_NONE;
    }
}

/* Symbols inside that stand for the same size in every round. */
static void map_symbols(const tn_graph *inside, const tn_type *seen, tn_expr *map)
{
    for (int64_t i = 0; i < inside->input_count; i++) {
        const tn_value *input = inside->input[i];
        if (input->type.kind != TN_TYPE_TENSOR || input->type.rank != seen[i].rank) continue;
        for (int axis = 0; axis < input->type.rank; axis++) {
            tn_expr dim = input->type.dim[axis];
            if (input->varies >> axis & 1) continue;
            if (tn_expr_get(inside->exprs, dim)->op == TN_EXPR_OP_SYMBOL && !map[dim])
                map[dim] = seen[i].dim[axis];
        }
    }
}

tn_status tn_infer_outside(tn_infer *f, const tn_graph *inside, const tn_type *seen,
                           const tn_type *type, int count, tn_type *out)
{
    const tn_exprs *exprs = inside->exprs;
    tn_expr *map = TN_NEW_ARRAY(f->arena, tn_expr, exprs->count);
    bool *used = TN_NEW_ARRAY(f->arena, bool, exprs->count);
    TN_CHECK(map && used, TN_OUT_OF_MEMORY, "no memory to infer types");
    map_symbols(inside, seen, map);
    for (int i = 0; i < count; i++)
        for (int axis = 0; axis < type[i].rank; axis++) used[type[i].dim[axis]] = true;
    for (int64_t i = exprs->count - 1; i > 0; i--) {
        const tn_expr_node *node = tn_expr_get(exprs, (tn_expr)i);
        if (!used[i] || node->op == TN_EXPR_OP_CONST || node->op == TN_EXPR_OP_SYMBOL) continue;
        used[node->a] = used[node->b] = used[node->c] = true;
    }
    for (int64_t i = 1; i < exprs->count; i++)
        if (used[i] && !map[i]) map[i] = rebuild(f->exprs, tn_expr_get(exprs, (tn_expr)i), map);
    for (int i = 0; i < count; i++) {
        out[i] = type[i];
        for (int axis = 0; axis < type[i].rank; axis++) out[i].dim[axis] = map[type[i].dim[axis]];
    }
    return tn_exprs_check(f->exprs);
}

tn_status tn_type_join(const tn_type *a, const tn_type *b, tn_type *out)
{
    TN_CHECK(a->kind == b->kind && a->dtype == b->dtype, TN_INVALID,
             "one is %s and the other %s, or only one is a sequence or optional",
             tn_dtype_name(a->dtype), tn_dtype_name(b->dtype));
    tn_type type = *a;
    if (a->rank != b->rank) type.rank = -1;
    for (int axis = 0; axis < type.rank; axis++)
        if (a->dim[axis] != b->dim[axis]) type.dim[axis] = TN_EXPR_NONE;
    *out = type;
    return NULL;
}

/* ---- Over the border -------------------------------------------------------------------------*/

static bool is_read_inside(const tn_node *node, int64_t input)
{
    tn_graph *inside;
    for (int i = 0; (inside = tn_node_inside(node, i)); i++)
        if (tn_value_has_users(inside->input[input])) return true;
    return false;
}

static tn_status sink(const tn_node *node, int64_t input, const tn_tensor *data)
{
    tn_graph *inside;
    for (int i = 0; (inside = tn_node_inside(node, i)); i++) {
        tn_value *constant;
        if (!tn_value_has_users(inside->input[input])) continue;
        TN_TRY(tn_graph_add_constant(inside, NULL, data, false, &constant));
        TN_TRY(tn_value_replace(inside->input[input], constant));
    }
    return NULL;
}

tn_status tn_node_trim_captured(tn_node *node, int64_t *changed)
{
    tn_graph *inside;
    int shift = tn_node_inside_shift(node), given = tn_node_inside_given(node);
    for (int k = node->in_count - shift - 1; k >= given; k--) {
        const tn_value *value = node->in[k + shift];
        bool constant = tn_value_is_constant(value);
        if (!constant && is_read_inside(node, k)) continue;
        if (constant) TN_TRY(sink(node, k, &value->constant));
        for (int i = 0; (inside = tn_node_inside(node, i)); i++) tn_graph_remove_input(inside, k);
        TN_TRY(tn_node_remove_input(node, k + shift));
        (*changed)++;
    }
    return NULL;
}

static bool can_move(const tn_graph *graph)
{
    for (const tn_node *node = graph->first; node; node = node->next)
        if (!strcmp(node->op->name, "Dims")) return false;
    return true;
}

static tn_status copy_node(const tn_node *from, tn_value *const *value, tn_node *before,
                           tn_node **out)
{
    tn_graph *graph = before->graph;
    tn_node *to;
    TN_TRY(tn_graph_add_node(graph, from->op, from->name, NULL, 0, NULL, from->out_count, before,
                             &to));
    for (int32_t i = from->in_count - 1; i >= 0; i--)
        TN_TRY(tn_node_set_input(to, i, from->in[i] ? value[from->in[i]->id] : NULL));
    for (int32_t i = 0; i < from->attr_count; i++) {
        tn_attr attr = from->attr[i];
        if (attr.kind == TN_ATTR_GRAPH)
            TN_TRY(tn_graph_clone_inside(from->attr[i].graph, graph, &attr.graph));
        TN_TRY(tn_node_set_attr(to, &attr));
    }
    *out = to;
    TN_TRY(tn_node_lower(to));
    return tn_node_infer(to);
}

static tn_status copy_all(tn_node *node, const tn_graph *inside, tn_value **value, tn_value **out)
{
    for (int64_t i = 0; i < inside->input_count; i++)
        value[inside->input[i]->id] = node->in[i + tn_node_inside_shift(node)];
    for (int64_t i = 0; i < inside->constant_count; i++) {
        const tn_value *constant = inside->constant[i];
        if (tn_value_has_users(constant))
            TN_TRY(tn_graph_add_constant(node->graph, NULL, &constant->constant, false,
                                         &value[constant->id]));
    }
    for (const tn_node *from = inside->first; from; from = from->next) {
        tn_node *to;
        TN_TRY(copy_node(from, value, node, &to));
        for (int32_t i = 0; i < from->out_count; i++)
            if (from->out[i]) value[from->out[i]->id] = to->out[i];
    }
    for (int64_t i = 0; i < inside->output_count; i++) out[i] = value[inside->output[i].value->id];
    return NULL;
}

tn_status tn_node_inline(tn_node *node, const tn_graph *inside, tn_value **out, bool *done)
{
    tn_arena arena;
    *done = can_move(inside);
    if (!*done) return NULL;
    tn_arena_init(&arena);
    tn_value **value = TN_NEW_ARRAY(&arena, tn_value *, (int64_t)inside->next_id + 1);
    tn_status status = value ? copy_all(node, inside, value, out)
                             : TN_ERROR(TN_OUT_OF_MEMORY, "no memory to copy a graph");
    tn_arena_fini(&arena);
    return status;
}
