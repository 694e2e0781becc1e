/* Backward through the nodes that lie between `wrt` and the loss:
 *
 *     w --- MatMul --- Relu --- ... --- loss          forward: who hangs on w?  (varies)
 *       dw <-- rule <-- rule <-- ... <-- 1            backward: on whom hangs the loss? (counts)
 *
 * A value that several nodes read has the sum of what they give. New nodes go to the end of the
 * graph, so that the order stays topological. */
#include "passes/gradient.h"

#include <stdio.h>
#include <string.h>

#include "ir/gradient.h"

typedef struct walk {
    tn_graph *graph;
    tn_draft draft;
    tn_arena *arena; /* of what follows; by value id */
    bool *varies, *counts;
    tn_value **gradient;
} walk;

static bool is_real(const tn_value *value)
{
    return value && (TN_DTS_FLOAT >> value->type.dtype & 1);
}

static bool has_rule(const tn_node *node)
{
    return node->op->gradient || node->op->derivative;
}

/* Nothing goes on from a flat one. */
static bool is_flat(const tn_node *node)
{
    return !node->op->gradient && node->op->derivative && !strcmp(node->op->derivative, "0");
}

static void mark_varies(walk *w)
{
    for (tn_node *node = w->graph->first; node; node = node->next) {
        bool varies = false;
        for (int i = 0; i < node->in_count; i++)
            varies = varies || (node->in[i] && w->varies[node->in[i]->id]);
        for (int i = 0; varies && !is_flat(node) && i < node->out_count; i++)
            if (is_real(node->out[i])) w->varies[node->out[i]->id] = true;
    }
}

static bool is_on_the_way(const walk *w, const tn_node *node)
{
    for (int i = 0; i < node->out_count; i++) {
        const tn_value *y = node->out[i];
        if (y && w->varies[y->id] && w->counts[y->id]) return true;
    }
    return false;
}

/* All operators that lack a rule at once, each with the first of its nodes. */
static tn_status mark_counts(walk *w, tn_value *loss)
{
    tn_text text = {0};
    const tn_op *named[16];
    int missing = 0;
    w->counts[loss->id] = true;
    for (tn_node *node = w->graph->last; node; node = node->prev) {
        char label[200];
        bool known = false;
        if (!is_on_the_way(w, node)) continue;
        for (int i = 0; i < node->in_count; i++)
            if (node->in[i]) w->counts[node->in[i]->id] = true;
        if (has_rule(node)) continue;
        for (int i = 0; i < TN_MIN(missing, (int)TN_COUNT(named)); i++)
            known = known || named[i] == node->op;
        if (known) continue;
        if (missing < (int)TN_COUNT(named)) {
            tn_text_printf(&text, "%s%s", missing ? ", " : "",
                           tn_node_label(node, label, sizeof(label)));
            named[missing] = node->op;
        }
        missing++;
    }
    tn_status status = NULL;
    if (missing)
        status = TN_ERROR(TN_UNSUPPORTED,
                          "no gradient rule is known for %s%s: freeze the parameters before them, "
                          "or write the network without them",
                          text.at ? text.at : "some operators",
                          missing > (int)TN_COUNT(named) ? " and others" : "");
    tn_text_fini(&text);
    return status;
}

static void accumulate(walk *w, tn_value *value, tn_value *more)
{
    tn_value **to = &w->gradient[value->id];
    if (*to) more = tn_draft_op(&w->draft, "Add", NULL, TN_IN(*to, more), TN_PLAIN);
    *to = more;
}

static tn_status run_rule(walk *w, tn_node *node)
{
    char name[128] = "";
    int in_count = node->in_count, out_count = node->out_count;
    tn_value **dy = TN_NEW_ARRAY(w->arena, tn_value *, out_count);
    tn_value **dx = TN_NEW_ARRAY(w->arena, tn_value *, in_count);
    bool *wanted = TN_NEW_ARRAY(w->arena, bool, in_count), any = false;
    TN_CHECK(dy && dx && wanted, TN_OUT_OF_MEMORY, "no memory to differentiate %s", node->op->name);
    for (int i = 0; i < out_count; i++) {
        dy[i] = node->out[i] ? w->gradient[node->out[i]->id] : NULL;
        any = any || dy[i];
    }
    if (!any) return NULL;
    for (int i = 0; i < in_count; i++)
        wanted[i] = is_real(node->in[i]) && w->varies[node->in[i]->id];
    snprintf(name, sizeof(name), "d(%.100s)", node->name[0] ? node->name : node->op->name);
    tn_gradient g = {
        .draft = &w->draft, .node = node, .name = name, .dy = dy, .dx = dx, .wanted = wanted};
    if (node->op->gradient) node->op->gradient(&g);
    else if (dy[0]) tn_gradient_give_derivatives(&g);
    for (int i = 0; i < in_count && !w->draft.failed; i++)
        if (dx[i]) accumulate(w, node->in[i], dx[i]);
    if (!w->draft.failed) return NULL;
    char label[200];
    return tn_status_note(tn_draft_end(&w->draft), "in the gradient of %s",
                          tn_node_label(node, label, sizeof(label)));
}

static tn_status differentiate(walk *w, tn_value *loss, tn_value *const *wrt, int count,
                               tn_value **gradient)
{
    tn_node *last = w->graph->last;
    mark_varies(w);
    TN_TRY(mark_counts(w, loss));
    if (w->varies[loss->id])
        w->gradient[loss->id] = tn_draft_scalar(&w->draft, loss->type.dtype, 1);
    for (tn_node *node = last; node && !w->draft.failed; node = node->prev)
        if (is_on_the_way(w, node)) TN_TRY(run_rule(w, node));
    for (int i = 0; i < count && !w->draft.failed; i++) {
        gradient[i] = w->gradient[wrt[i]->id];
        if (gradient[i]) continue;
        tn_value *zero = tn_draft_scalar(&w->draft, wrt[i]->type.dtype, 0);
        gradient[i] = tn_draft_op(&w->draft, "Expand", NULL,
                                  TN_IN(zero, tn_draft_shape(&w->draft, wrt[i])), TN_PLAIN);
    }
    return tn_draft_end(&w->draft);
}

static tn_status check(const tn_graph *graph, const tn_value *loss, tn_value *const *wrt, int count)
{
    char text[128];
    TN_CHECK(loss->graph == graph, TN_INVALID, "the loss %s is of another graph", loss->name);
    TN_CHECK(is_real(loss) && loss->type.kind == TN_TYPE_TENSOR && loss->type.rank == 0, TN_INVALID,
             "the loss %s is %s: it must be a single float without axes, a mean or a sum over all "
             "of them",
             loss->name, tn_type_text(graph->exprs, &loss->type, text, sizeof(text)));
    for (int i = 0; i < count; i++) {
        TN_CHECK(wrt[i]->graph == graph, TN_INVALID, "%s is of another graph", wrt[i]->name);
        TN_CHECK(is_real(wrt[i]) && wrt[i]->type.kind == TN_TYPE_TENSOR, TN_INVALID,
                 "%s is %s: only floats have gradients", wrt[i]->name,
                 tn_type_text(graph->exprs, &wrt[i]->type, text, sizeof(text)));
    }
    return NULL;
}

tn_status tn_graph_differentiate(tn_graph *graph, tn_value *loss, tn_value *const *wrt, int count,
                                 tn_value **gradient)
{
    TN_TRY(check(graph, loss, wrt, count));
    tn_arena arena;
    tn_arena_init(&arena);
    walk w = {.graph = graph, .draft = {.graph = graph}, .arena = &arena};
    int64_t values = graph->next_id;
    w.varies = TN_NEW_ARRAY(&arena, bool, values);
    w.counts = TN_NEW_ARRAY(&arena, bool, values);
    w.gradient = TN_NEW_ARRAY(&arena, tn_value *, values);
    tn_status status = NULL;
    if (!w.varies || !w.counts || !w.gradient)
        status = TN_ERROR(TN_OUT_OF_MEMORY, "no memory to differentiate the graph %s", graph->name);
    for (int i = 0; i < count && !status; i++) w.varies[wrt[i]->id] = true;
    if (!status) status = differentiate(&w, loss, wrt, count, gradient);
    tn_arena_fini(&arena);
    return status;
}
