/* What a transformer for text begins with as one node:
 *
 *     LayerNormalization(table0[ids0] + table1[ids1] + table2[ids2])  ->  EmbeddingNorm
 *
 * in any order and grouping of the sums. Ids that count 0, 1, 2 ... along the last axis, as those
 * of positions do, are not looked at: the node counts itself. They may be made in the graph, cut
 * from a constant, or have been folded with their table into a constant summand. */
#include <string.h>

#include "ops/embedding_norm/embedding_norm.h"
#include "passes/constants.h"

typedef struct tables {
    tn_value *table[TN_EN_TABLES], *ids[TN_EN_TABLES];
    int count;
} tables;

static bool is_node(const tn_value *value, const char *op)
{
    return value->producer && !strcmp(value->producer->op->name, op) &&
           !value->producer->op->domain;
}

static bool is_read_once(const tn_value *value)
{
    return value->use_count == 1 && !value->output_count;
}

/* ---- Ids that count --------------------------------------------------------------------------*/

static bool is_counting_constant(const tn_value *value)
{
    const tn_tensor *t = &value->constant;
    if (!tn_value_is_constant(value) || t->rank < 1) return false;
    for (int64_t i = 0; i < tn_tensor_count(t); i++)
        if (tn_load_i64(t->dtype, t->data, i) != i % t->dim[t->rank - 1]) return false;
    return true;
}

static bool are_all(const tn_value *value, int64_t wanted)
{
    if (!tn_value_is_constant(value)) return false;
    for (int64_t i = 0; i < tn_tensor_count(&value->constant); i++)
        if (tn_load_i64(value->constant.dtype, value->constant.data, i) != wanted) return false;
    return true;
}

/* The number of places, or the smaller of that and what a constant has. */
static bool is_as_many(const tn_exprs *exprs, tn_expr size, tn_expr places)
{
    const tn_expr_node *node = tn_expr_get(exprs, size);
    int64_t most;
    if (size == places) return true;
    return node->op == TN_EXPR_OP_MIN &&
           ((node->a == places && tn_expr_is_const(exprs, node->b, &most)) ||
            (node->b == places && tn_expr_is_const(exprs, node->a, &most)));
}

static bool is_counting(const tn_value *value, tn_expr places)
{
    int rank = value->type.rank;
    if (rank < 1 || tn_dtype_kind_of(value->type.dtype) != TN_KIND_I) return false;
    if (!is_as_many(value->graph->exprs, value->type.dim[rank - 1], places)) return false;
    if (is_counting_constant(value)) return true;
    const tn_node *node = value->producer;
    if (is_node(value, "Range")) return are_all(node->in[0], 0) && are_all(node->in[2], 1);
    if (is_node(value, "Slice"))
        return is_counting_constant(node->in[0]) && are_all(node->in[1], 0) &&
               (node->in_count < 5 || !node->in[4] || are_all(node->in[4], 1));
    /* Where these put axes behind the last, there is one place. */
    return (is_node(value, "Unsqueeze") || is_node(value, "Expand") || is_node(value, "Cast")) &&
           is_counting(node->in[0], places);
}

/* ---- Tables ----------------------------------------------------------------------------------*/

static bool add_table(tables *out, tn_value *table, tn_value *ids)
{
    if (out->count == TN_EN_TABLES) return false;
    out->table[out->count] = table;
    out->ids[out->count++] = ids;
    return true;
}

/* Is a summand a row for each place, [1..., places, width]? */
static bool is_table(const tn_value *value, const tn_type *x)
{
    const tn_tensor *t = &value->constant;
    const tn_exprs *exprs = value->graph->exprs;
    return t->rank >= 2 && tn_expr_equals(exprs, x->dim[x->rank - 2], t->dim[t->rank - 2]) &&
           tn_expr_equals(exprs, x->dim[x->rank - 1], t->dim[t->rank - 1]) &&
           tn_dims_product(t->dim, 0, t->rank - 2) == 1;
}

/* Adds what a sum is made of. */
static bool add_parts(tn_value *value, const tn_type *x, tables *out)
{
    const tn_node *node = value->producer;
    if (tn_value_is_constant(value)) return is_table(value, x) && add_table(out, value, NULL);
    if (!is_read_once(value)) return false;
    if (is_node(value, "Add"))
        return add_parts(node->in[0], x, out) && add_parts(node->in[1], x, out);
    if (!is_node(value, "Gather") || tn_node_int_attr(node, "axis", 0)) return false;
    const tn_type *table = &node->in[0]->type;
    return table->rank == 2 && table->dim[1] == x->dim[x->rank - 1] &&
           add_table(out, node->in[0], node->in[1]);
}

/* Ids of every row stand first. */
static bool put_first(const tn_type *x, tables *t)
{
    for (int i = 0; i < t->count; i++) {
        const tn_value *ids = t->ids[i];
        bool all = ids && ids->type.rank == x->rank - 1;
        for (int k = 0; all && k < ids->type.rank; k++) all = ids->type.dim[k] == x->dim[k];
        if (!all) continue;
        tn_value *turn[] = {t->table[0], t->ids[0]};
        t->table[0] = t->table[i];
        t->ids[0] = t->ids[i];
        t->table[i] = turn[0];
        t->ids[i] = turn[1];
        return true;
    }
    return false;
}

/* The last axes of the rows, ones before them aside; or they count, and are dropped. */
static bool are_ids(const tn_type *x, tn_value **ids)
{
    if (!*ids) return true;
    const tn_exprs *exprs = (*ids)->graph->exprs;
    const tn_type *type = &(*ids)->type;
    int extra = x->rank - 1 - type->rank, begin = 0;
    if (extra < 0) return false;
    if (is_counting(*ids, x->dim[x->rank - 2])) {
        *ids = NULL;
        return true;
    }
    while (begin < type->rank && tn_expr_equals(exprs, type->dim[begin], 1)) begin++;
    for (int i = begin; i < type->rank; i++)
        if (type->dim[i] != x->dim[extra + i]) return false;
    return true;
}

/* ---- Nodes -----------------------------------------------------------------------------------*/

/* Of rows of the last axis, with a scale and a shift for each element. */
static bool is_norm(const tn_node *node)
{
    if (strcmp(node->op->name, "LayerNormalization") || node->op->domain) return false;
    const tn_type *x = &node->in[0]->type;
    if (x->rank < 2 || !is_read_once(node->in[0])) return false;
    for (int i = 1; i < node->out_count; i++)
        if (node->out[i]) return false;
    for (int i = 1; i < node->in_count; i++)
        if (node->in[i] &&
            (node->in[i]->type.rank != 1 || node->in[i]->type.dim[0] != x->dim[x->rank - 1]))
            return false;
    int64_t axis = tn_node_int_attr(node, "axis", -1);
    return axis == -1 || axis == x->rank - 1;
}

static bool find_tables(const tn_node *norm, tables *out)
{
    *out = (tables){.count = 0};
    if (!is_norm(norm)) return false;
    const tn_type *x = &norm->in[0]->type;
    if (!add_parts(norm->in[0], x, out) || !put_first(x, out)) return false;
    for (int i = 1; i < out->count; i++)
        if (!are_ids(x, &out->ids[i])) return false;
    return true;
}

/* [1..., places, width] as [places, width]. */
static tn_status flatten(tn_value *value, tn_value **out)
{
    const tn_tensor *t = &value->constant;
    *out = value;
    if (value->type.rank == 2) return NULL;
    tn_tensor flat = tn_tensor_of(t->dtype, t->dim + t->rank - 2, 2, t->data);
    return tn_graph_add_constant(value->graph, NULL, &flat, false, out);
}

static tn_status fuse(tn_node *norm, const tables *t)
{
    tn_value *in[TN_EN_TABLE + 2 * TN_EN_TABLES] = {norm->in[1],
                                                    norm->in_count > 2 ? norm->in[2] : NULL};
    const tn_attr *epsilon = tn_node_find_attr(norm, "epsilon");
    tn_node *node;
    for (int i = 0; i < t->count; i++) {
        TN_TRY(flatten(t->table[i], &in[TN_EN_TABLE + 2 * i]));
        in[TN_EN_IDS + 2 * i] = t->ids[i];
    }
    TN_TRY(tn_graph_add_node(norm->graph, tn_op_find("tenon", "EmbeddingNorm"), norm->name, in,
                             TN_COUNT(in), NULL, 1, norm, &node));
    tn_node_trim_inputs(node);
    if (epsilon) TN_TRY(tn_node_set_attr(node, epsilon));
    TN_TRY(tn_node_lower(node));
    TN_TRY(tn_node_infer(node));
    TN_TRY(tn_value_replace(norm->out[0], node->out[0]));
    tn_node_remove(norm);
    return NULL;
}

static tn_status run(tn_graph *graph, int64_t *changed)
{
    tables t;
    for (tn_node *node = graph->first, *next; node; node = next) {
        next = node->next;
        if (!find_tables(node, &t)) continue;
        TN_TRY(fuse(node, &t));
        ++*changed;
    }
    return NULL;
}

const tn_pass tn_pass_fuse_embedding = {
    .name = "fuse_embedding",
    .about = "rows of tables, summed and normalised, as one node",
    .run = run,
    .only_engines = true,
};
