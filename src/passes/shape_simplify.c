/* Exporters spell "the shape of x with its last dim halved" as a dozen nodes over tiny integer
 * tensors. Inference knows such values as expressions, so the last of them becomes one node without
 * inputs, tenon.Dims, which a run fills in from the shapes it has been given; the rest is then
 * dead. */
#include <string.h>

#include "base/text.h"
#include "passes/passes.h"

static bool is_dims(const tn_node *node)
{
    return node->op->domain && !strcmp(node->op->domain, "tenon") &&
           !strcmp(node->op->name, "Dims");
}

/* Dims itself, or the Cast that this pass put behind it. */
static bool is_done(const tn_node *node)
{
    if (is_dims(node)) return true;
    const tn_value *in = node->in_count ? node->in[0] : NULL;
    return !strcmp(node->op->name, "Cast") && in && in->producer && is_dims(in->producer);
}

static bool can_replace(const tn_value *value)
{
    const tn_exprs *exprs = value->graph->exprs;
    if (!tn_value_has_users(value) || !value->known.at || !value->known.count) return false;
    if (value->type.dtype != TN_DTYPE_I64 && value->type.dtype != TN_DTYPE_I32) return false;
    for (int64_t i = 0; i < value->known.count; i++)
        if (value->known.at[i] == TN_EXPR_NONE || tn_expr_is_runtime(exprs, value->known.at[i]))
            return false;
    return true;
}

/* The expressions as texts for the attribute of Dims. *same is false where a text does not read
 * back as what it came from: very deep expressions are cut short in print. */
static tn_status print_dims(tn_graph *graph, const tn_known *known, tn_string *texts, bool *same)
{
    *same = true;
    for (int64_t i = 0; i < known->count && *same; i++) {
        tn_text text = {0};
        tn_expr back = TN_EXPR_NONE;
        tn_expr_print(graph->exprs, known->at[i], &text);
        texts[i].bytes = text.bytes;
        texts[i].text = text.failed ? NULL : tn_arena_text(graph->arena, text.at, text.bytes);
        tn_text_fini(&text);
        TN_CHECK(texts[i].text, TN_OUT_OF_MEMORY, "no memory to simplify shapes");
        *same = !tn_expr_parse(graph->exprs, texts[i].text, &back) && back == known->at[i];
    }
    return NULL;
}

static tn_status add_node(tn_value *value, const tn_op *op, tn_value *in, tn_node **out)
{
    tn_node *before = value->producer;
    return tn_graph_add_node(value->graph, op, before->name, &in, in ? 1 : 0, NULL, 1, before, out);
}

static tn_status infer_node(tn_node *node)
{
    TN_TRY(tn_node_lower(node));
    return tn_node_infer(node);
}

/* Dims gives i64; i32 is cast. */
static tn_status replace(const tn_op *dims, tn_value *value, int64_t *changed)
{
    tn_node *node;
    tn_string texts[TN_KNOWN_MAX];
    bool same;
    TN_TRY(print_dims(value->graph, &value->known, texts, &same));
    if (!same) return NULL;
    TN_TRY(add_node(value, dims, NULL, &node));
    TN_TRY(tn_node_set_attr(node, &(tn_attr){.name = "dims",
                                             .kind = TN_ATTR_TEXTS,
                                             .count = value->known.count,
                                             .texts = texts}));
    if (value->type.rank == 0) TN_TRY(tn_node_set_int(node, "scalar", 1));
    TN_TRY(infer_node(node));
    if (value->type.dtype != TN_DTYPE_I64) {
        TN_TRY(add_node(value, tn_op_find(NULL, "Cast"), node->out[0], &node));
        TN_TRY(tn_node_set_int(node, "to", (int64_t)value->type.dtype));
        TN_TRY(infer_node(node));
    }
    (*changed)++;
    return tn_value_replace(value, node->out[0]);
}

static bool is_read(const tn_node *node)
{
    for (int i = 0; i < node->out_count; i++)
        if (node->out[i] && tn_value_has_users(node->out[i])) return true;
    return false;
}

static tn_status run(tn_graph *graph, int64_t *changed)
{
    const tn_op *dims = tn_op_find("tenon", "Dims");
    TN_CHECK(dims, TN_INTERNAL, "the operator tenon.Dims is not in the table");
    /* Backwards, removing what has become dead: only the end of a chain is still read when its turn
     * comes, so only that is replaced. */
    tn_node *before;
    for (tn_node *node = graph->last; node; node = before) {
        before = node->prev;
        if (is_done(node)) continue;
        int64_t made = 0;
        for (int i = 0; i < node->out_count; i++)
            if (node->out[i] && can_replace(node->out[i]))
                TN_TRY(replace(dims, node->out[i], &made));
        *changed += made;
        if (is_read(node)) continue;
        tn_node_remove(node);
        if (!made) (*changed)++;
    }
    return NULL;
}

const tn_pass tn_pass_shape_simplify = {
    .name = "shape_simplify",
    .about = "replace arithmetic on shapes by the expressions it computes",
    .run = run,
};
