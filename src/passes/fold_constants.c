/* What can be computed now is: nodes that read only constants run their reference kernel, and
 * integer values that inference knows (sizes of fixed shapes) are written out. */
#include <string.h>

#include "ops/reference.h"
#include "passes/passes.h"

/* A result above this size stays a node if it is also this many times its inputs: a file of a few
 * bytes must not become an engine of gigabytes. */
#define RESULT_BYTES_MAX (INT64_C(64) << 20)
#define GROWTH_MAX 8

static bool is_foldable(const tn_node *node)
{
    const tn_op *op = node->op;
    /* A problem carries params only, so attributes beside them would be lost. */
    if (!op->reference || op->impure || op->own_attrs) return false;
    for (int i = 0; i < node->in_count; i++)
        if (node->in[i] && !tn_value_is_constant(node->in[i])) return false;
    for (int i = 0; i < node->out_count; i++)
        if (node->out[i] && tn_value_has_users(node->out[i])) return true;
    return false;
}

/* The node as a problem whose outputs are still to be inferred, from data where need be. */
static tn_status make_problem(const tn_node *node, tn_arena *arena, tn_problem *p)
{
    const tn_op *op = node->op;
    *p = (tn_problem){.op = op->name,
                      .field = op->field,
                      .field_count = op->field_count,
                      .params = node->params,
                      .params_bytes = node->params_bytes,
                      .in_count = node->in_count,
                      .out_count = node->out_count};
    p->in = TN_NEW_ARRAY(arena, tn_tensor, p->in_count);
    p->out = TN_NEW_ARRAY(arena, tn_tensor, p->out_count);
    TN_CHECK(p->in && p->out, TN_OUT_OF_MEMORY, "no memory to fold constants");
    for (int i = 0; i < p->in_count; i++)
        if (node->in[i]) p->in[i] = node->in[i]->constant;
    return tn_problem_infer(p, arena);
}

static bool is_too_large(const tn_problem *p)
{
    int64_t in_bytes = 0, out_bytes = 0;
    for (int i = 0; i < p->in_count; i++)
        if (p->in[i].dtype != TN_DTYPE_NONE) in_bytes += tn_tensor_bytes(&p->in[i]);
    for (int i = 0; i < p->out_count; i++) {
        int64_t bytes = tn_tensor_bytes(&p->out[i]);
        if (bytes < 0 || __builtin_add_overflow(out_bytes, bytes, &out_bytes)) return true;
    }
    return out_bytes > RESULT_BYTES_MAX && out_bytes / GROWTH_MAX > in_bytes;
}

static tn_status replace_output(tn_value *value, const tn_tensor *data)
{
    tn_value *constant;
    if (!tn_value_has_users(value)) return NULL;
    TN_TRY(tn_graph_add_constant(value->graph, NULL, data, true, &constant));
    return tn_value_replace(value, constant);
}

static tn_status fold_node(tn_node *node, tn_arena *arena, int64_t *changed)
{
    tn_problem p;
    TN_TRY(make_problem(node, arena, &p));
    if (is_too_large(&p)) return NULL;
    TN_TRY(tn_problem_run_reference(&p, arena));
    for (int i = 0; i < node->out_count; i++)
        if (node->out[i]) TN_TRY(replace_output(node->out[i], &p.out[i]));
    tn_node_remove(node);
    (*changed)++;
    return NULL;
}

/* A value all of whose elements inference knows as whole numbers. Floats are left to the reference
 * kernels: an expression has no -0. */
static tn_status write_out(tn_value *value, int64_t *changed)
{
    const tn_exprs *exprs = value->graph->exprs;
    int64_t number, bytes = tn_dtype_bytes(value->type.dtype, value->known.count);
    _Alignas(16) uint8_t data[TN_KNOWN_MAX * 8] = {0};
    if (!value->known.at || !tn_value_has_users(value)) return NULL;
    if (tn_dtype_kind_of(value->type.dtype) == TN_KIND_F) return NULL;
    if (bytes < 0 || bytes > (int64_t)sizeof data) return NULL;
    for (int64_t i = 0; i < value->known.count; i++) {
        if (!tn_expr_is_const(exprs, value->known.at[i], &number)) return NULL;
        tn_store_i64(value->type.dtype, data, i, number);
    }
    tn_tensor tensor = tn_tensor_of(value->type.dtype, &value->known.count, value->type.rank, data);
    TN_TRY(replace_output(value, &tensor));
    (*changed)++;
    return NULL;
}

/* Weights that a file holds quantised are to stay so: as floats they are several times as large,
 * and readers look for the pair of operators. */
static bool is_quantised_weight(const tn_node *node)
{
    return !strcmp(node->op->name, "DequantizeLinear");
}

static tn_status fold(tn_graph *graph, bool for_file, int64_t *changed)
{
    tn_node *next;
    for (tn_node *node = graph->first; node; node = next) {
        next = node->next;
        for (int i = 0; i < node->out_count; i++)
            if (node->out[i]) TN_TRY(write_out(node->out[i], changed));
        if (!is_foldable(node) || (for_file && is_quantised_weight(node))) continue;
        char label[160];
        tn_arena arena;
        tn_arena_init(&arena);
        tn_node_label(node, label, sizeof label);
        tn_status status = fold_node(node, &arena, changed);
        tn_arena_fini(&arena);
        if (status) return tn_status_note(status, "while computing %s from constants", label);
    }
    return NULL;
}

static tn_status run(tn_graph *graph, int64_t *changed)
{
    return fold(graph, false, changed);
}

static tn_status run_for_files(tn_graph *graph, int64_t *changed)
{
    return fold(graph, true, changed);
}

const tn_pass tn_pass_fold_constants = {
    .name = "fold_constants",
    .about = "compute what depends on constants only",
    .run = run,
    .only_engines = true,
};

const tn_pass tn_pass_fold_for_files = {
    .name = "fold_for_files",
    .about = "the same, but quantised weights stay quantised",
    .run = run_for_files,
    .only_files = true,
};
