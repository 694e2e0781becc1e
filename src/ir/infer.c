/* Types of a node's outputs: the schema is checked, the operator infers, and what was declared
 * before is refined. The tn_infer_* words that operators use are in infer_words.c. */
#include <stdio.h>
#include <string.h>

#include "ir/graph.h"
#include "ir/op.h"
#include "ir/subgraph.h"

/* ---- Schema
 * ------------------------------------------------------------------------------------*/

/* The port of input or output `index`; NULL if there is none. */
static const tn_port *find_port(const tn_port *ports, int count, int index)
{
    if (index < count) return &ports[index];
    if (count && ports[count - 1].flags & TN_PORT_VARIADIC) return &ports[count - 1];
    return NULL;
}

static tn_status check_counts(const tn_node *node)
{
    const tn_op *op = node->op;
    TN_CHECK(!node->in_count || find_port(op->in, op->in_count, node->in_count - 1), TN_INVALID,
             "it has %d inputs; at most %d are allowed", node->in_count, op->in_count);
    TN_CHECK(!node->out_count || find_port(op->out, op->out_count, node->out_count - 1), TN_INVALID,
             "it has %d outputs; at most %d are allowed", node->out_count, op->out_count);
    for (int i = 0; i < op->in_count; i++) {
        if (op->in[i].flags & TN_PORT_OPTIONAL) continue;
        TN_CHECK(i < node->in_count && node->in[i], TN_INVALID, "input %d (%s) is missing", i,
                 op->in[i].name);
    }
    for (int i = op->in_count; i < node->in_count; i++)
        TN_CHECK(node->in[i] || op->in[op->in_count - 1].flags & TN_PORT_OPTIONAL, TN_INVALID,
                 "input %d (%s) is missing", i, op->in[op->in_count - 1].name);
    return NULL;
}

/* The first input that settled the data type of each letter. */
typedef struct type_vars {
    int input[128];
    tn_dtype dtype[128];
} type_vars;

static tn_status check_inputs(const tn_node *node, type_vars *vars)
{
    const tn_op *op = node->op;
    for (int i = 0; i < node->in_count; i++) {
        if (!node->in[i]) continue;
        const tn_port *port = find_port(op->in, op->in_count, i);
        const tn_type *type = &node->in[i]->type;
        TN_CHECK(type->kind == TN_TYPE_TENSOR || port->flags & TN_PORT_ANY_KIND, TN_INVALID,
                 "input %d (%s) is a sequence or an optional; it must be a tensor", i, port->name);
        TN_CHECK(type->dtype != TN_DTYPE_NONE, TN_INVALID, "the type of input %d (%s) is not known",
                 i, port->name);
        char names[200];
        TN_CHECK(port->types >> type->dtype & 1, TN_INVALID, "input %d (%s) is %s; it must be %s",
                 i, port->name, tn_dtype_name(type->dtype),
                 tn_dtypes_text(port->types, names, sizeof names));
        int letter = port->var & 127;
        if (!letter) continue;
        if (vars->dtype[letter] == TN_DTYPE_NONE) {
            vars->dtype[letter] = type->dtype;
            vars->input[letter] = i;
        }
        int first = vars->input[letter];
        TN_CHECK(vars->dtype[letter] == type->dtype, TN_INVALID,
                 "input %d (%s) is %s but input %d (%s) is %s; they must be of one type", i,
                 port->name, tn_dtype_name(type->dtype), first,
                 find_port(op->in, op->in_count, first)->name, tn_dtype_name(vars->dtype[letter]));
    }
    return NULL;
}

tn_status tn_node_check(const tn_node *node)
{
    type_vars vars = {.input = {0}};
    tn_status status = check_counts(node);
    if (!status) status = check_inputs(node, &vars);
    return tn_node_blame(node, status);
}

/* ---- Refining
 * ----------------------------------------------------------------------------------*/

/* One dim, `old` as it was declared or found before, `now` as inferred. Numbers beat symbols; a
 * declared number beats what only a run could tell; an expression of the inputs beats a declared
 * symbol, which is but a name. */
static tn_status refine_dim(const tn_exprs *exprs, int axis, tn_expr old, tn_expr now, tn_expr *out)
{
    int64_t a, b;
    *out = now;
    if (old == TN_EXPR_NONE || old == now) return NULL;
    bool old_fixed = tn_expr_is_const(exprs, old, &a), now_fixed = tn_expr_is_const(exprs, now, &b);
    TN_CHECK(!old_fixed || !now_fixed || a == b, TN_INVALID, "dim %d is declared %lld but is %lld",
             axis, (long long)a, (long long)b);
    if (now == TN_EXPR_NONE || (old_fixed && !now_fixed && tn_expr_is_runtime(exprs, now)))
        *out = old;
    return NULL;
}

static tn_status refine_type(const tn_exprs *exprs, const tn_type *old, tn_type *now)
{
    if (old->dtype == TN_DTYPE_NONE && old->rank < 0) return NULL;
    if (now->kind != TN_TYPE_TENSOR) return NULL;
    const tn_type found = *now;
    char text[2][160];
#define DECLARED tn_type_text(exprs, old, text[0], sizeof text[0])
#define FOUND tn_type_text(exprs, &found, text[1], sizeof text[1])
    TN_CHECK(old->dtype == TN_DTYPE_NONE || old->dtype == now->dtype, TN_INVALID,
             "it is declared %s but is %s", DECLARED, FOUND);
    if (old->rank < 0) return NULL;
    TN_CHECK(now->rank < 0 || old->rank == now->rank, TN_INVALID, "it is declared %s but is %s",
             DECLARED, FOUND);
    if (now->rank < 0) {
        now->rank = old->rank;
        for (int i = 0; i < old->rank; i++) now->dim[i] = old->dim[i];
        return NULL;
    }
    for (int i = 0; i < now->rank; i++)
        TN_TRY_NOTE(refine_dim(exprs, i, old->dim[i], now->dim[i], &now->dim[i]),
                    "declared %s, found %s", DECLARED, FOUND);
#undef DECLARED
#undef FOUND
    return NULL;
}

/* Element values belong to a tensor of integers or bools with as many elements. */
static bool known_fits(const tn_exprs *exprs, const tn_type *type, const tn_known *known)
{
    tn_dtype_kind kind = tn_dtype_kind_of(type->dtype);
    bool whole = kind == TN_KIND_I || kind == TN_KIND_U || kind == TN_KIND_B;
    if (!whole && type->dtype != TN_DTYPE_F32 && type->dtype != TN_DTYPE_F64) return false;
    if (type->kind != TN_TYPE_TENSOR || !known->at || known->count < 0 ||
        known->count > TN_KNOWN_MAX)
        return false;
    if (type->rank == 0) return known->count == 1;
    return type->rank == 1 && tn_expr_equals(exprs, type->dim[0], known->count);
}

static tn_status store_known(tn_value *value, const tn_known *known)
{
    tn_graph *graph = value->graph;
    if (!known_fits(graph->exprs, &value->type, known)) {
        value->known = (tn_known){0};
        return NULL;
    }
    size_t bytes = (size_t)known->count * sizeof(tn_expr);
    /* The same values again keep their place: passes infer many times over. */
    if (value->known.at && value->known.count == known->count &&
        !memcmp(value->known.at, known->at, bytes))
        return NULL;
    tn_expr *at = TN_NEW_ARRAY(graph->arena, tn_expr, known->count);
    TN_CHECK(at, TN_OUT_OF_MEMORY, "no memory for known values");
    for (int64_t i = 0; i < known->count; i++)
        at[i] = tn_expr_could_wrap(graph->exprs, known->at[i]) ? TN_EXPR_NONE : known->at[i];
    value->known = (tn_known){at, known->count};
    return NULL;
}

/* ---- A node
 * ------------------------------------------------------------------------------------*/

static tn_status store_output(tn_infer *f, tn_node *node, int index)
{
    tn_value *value = node->out[index];
    tn_type *type = &f->out[index];
    const tn_port *port = find_port(node->op->out, node->op->out_count, index);
    char names[200];
    TN_CHECK(type->dtype != TN_DTYPE_NONE, TN_INTERNAL, "inference gives output %d (%s) no type",
             index, port->name);
    /* An attribute that names a type can name any. */
    TN_CHECK(port->types >> type->dtype & 1, TN_INVALID,
             "output %d (%s) would be %s; it must be %s", index, port->name,
             tn_dtype_name(type->dtype), tn_dtypes_text(port->types, names, sizeof names));
    TN_TRY_NOTE(refine_type(f->exprs, &value->type, type), "output %d, '%s'", index, value->name);
    for (int i = 0; i < type->rank; i++) {
        int64_t dim;
        if (type->dim[i] == TN_EXPR_NONE && type->kind == TN_TYPE_TENSOR)
            type->dim[i] = tn_infer_fresh(f);
        TN_CHECK(!tn_expr_is_const(f->exprs, type->dim[i], &dim) || dim >= 0, TN_INVALID,
                 "output %d, '%s', would have a dim %d of %lld", index, value->name, i,
                 (long long)dim);
    }
    value->type = *type;
    return store_known(value, &f->out_known[index]);
}

static tn_status gather_inputs(const tn_node *node, tn_arena *arena, tn_infer *f)
{
    tn_type *types = TN_NEW_ARRAY(arena, tn_type, node->in_count);
    tn_known *known = TN_NEW_ARRAY(arena, tn_known, node->in_count);
    tn_tensor *data = TN_NEW_ARRAY(arena, tn_tensor, node->in_count);
    TN_CHECK(types && known && data, TN_OUT_OF_MEMORY, "no memory to infer types");
    for (int i = 0; i < node->in_count; i++) {
        const tn_value *value = node->in[i];
        if (!value) continue;
        types[i] = value->type;
        known[i] = value->known;
        if (value->kind == TN_VALUE_CONSTANT) data[i] = value->constant;
    }
    f->in = types;
    f->known = known;
    f->data = data;
    f->in_count = node->in_count;
    return NULL;
}

/* Symbols made for this node are remembered with it, so that the next inference finds the same. */
static tn_status keep_runtime(const tn_infer *f, tn_node *node)
{
    if (f->runtime_count <= node->runtime_count) return NULL;
    TN_TRY(tn_arena_grow(node->graph->arena, &node->runtime, node->runtime_count,
                         &node->runtime_capacity, f->runtime_count, sizeof(tn_expr)));
    memcpy(node->runtime, f->runtime, (size_t)f->runtime_count * sizeof(tn_expr));
    node->runtime_count = f->runtime_count;
    return NULL;
}

static tn_status infer(tn_node *node, tn_arena *arena)
{
    type_vars vars = {.input = {0}};
    TN_CHECK(node->params, TN_INTERNAL, "it was not lowered before inference");
    TN_TRY(check_counts(node));
    TN_TRY(check_inputs(node, &vars));
    char label[200];
    tn_infer f = {.op = node->op,
                  .params = node->params,
                  .node = node,
                  .label = tn_node_label(node, label, sizeof label),
                  .exprs = node->graph->exprs,
                  .arena = arena,
                  .runtime_count = node->runtime_count};
    TN_TRY(gather_inputs(node, arena, &f));
    /* Operators fill all their ports, asked for or not. */
    f.out_count = node->out_count;
    int room = TN_MAX(node->out_count, node->op->out_count);
    f.out = TN_NEW_ARRAY(arena, tn_type, room);
    f.out_known = TN_NEW_ARRAY(arena, tn_known, room);
    f.runtime = TN_NEW_ARRAY(arena, tn_expr, node->runtime_count);
    TN_CHECK(f.out && f.out_known && f.runtime, TN_OUT_OF_MEMORY, "no memory to infer types");
    for (int i = 0; i < room; i++) f.out[i].rank = -1;
    if (f.runtime_count)
        memcpy(f.runtime, node->runtime, (size_t)f.runtime_count * sizeof(tn_expr));
    TN_CHECK(node->op->infer, TN_INTERNAL, "the operator cannot infer types");
    TN_TRY(node->op->infer(&f));
    for (int i = 0; i < node->out_count; i++)
        if (node->out[i]) TN_TRY(store_output(&f, node, i));
    TN_TRY(tn_exprs_check(f.exprs));
    return keep_runtime(&f, node);
}

tn_status tn_node_infer(tn_node *node)
{
    tn_arena arena;
    tn_arena_init(&arena);
    tn_status status = tn_node_blame(node, infer(node, &arena));
    tn_arena_fini(&arena);
    return status;
}

tn_status tn_graph_infer(tn_graph *graph)
{
    int64_t index = 0;
    for (tn_node *node = graph->first; node; node = node->next, index++) {
        tn_graph *inside;
        for (int i = 0; (inside = tn_node_inside(node, i)); i++)
            TN_TRY_NOTE(tn_graph_infer(inside), "in graph '%s' of %s '%s'", inside->name,
                        node->op->name, node->name);
        TN_TRY_NOTE(tn_node_lower(node), "at node %lld of %lld", (long long)index + 1,
                    (long long)graph->node_count);
        TN_TRY_NOTE(tn_node_infer(node), "at node %lld of %lld", (long long)index + 1,
                    (long long)graph->node_count);
    }
    return NULL;
}
