/* Which device runs which node. There is one device for an engine so far, so this step asks whether it
 * can run everything, and says what it cannot, all at once. */
#include <string.h>

#include "build/stage.h"

static bool has_graph(const tn_node *node)
{
    for (int32_t i = 0; i < node->attr_count; i++)
        if (node->attr[i].kind == TN_ATTR_GRAPH) return true;
    return false;
}

/* NULL: it can. */
static const char *why_not(const tn_engine *engine, const tn_node *node)
{
    const tn_tactic *tactic;
    if (has_graph(node)) return "graphs inside nodes cannot be run";
    if (!strcmp(node->op->name, "Dims")) return NULL; /* a step of the plan itself */
    if (!tn_tactics_of(engine->backend, node->op->name, engine->device.features, &tactic, 1))
        return "no tactic";
    return NULL;
}

tn_status tn_partition(const tn_graph *graph, const tn_engine *engine, tn_text *report)
{
    tn_text missing = {0};
    int64_t count = 0, missing_count = 0;
    for (const tn_node *node = graph->first; node; node = node->next) {
        char label[200];
        const char *why = why_not(engine, node);
        count++;
        if (!why) continue;
        if (missing_count++ < 20)
            tn_text_printf(&missing, "\n  %s: %s", tn_node_label(node, label, sizeof(label)), why);
    }
    tn_status status = NULL;
    if (missing_count > 0)
        status = TN_ERROR(TN_UNSUPPORTED, "%lld of %lld nodes cannot run on %s:%s",
                          (long long)missing_count, (long long)count, engine->backend->name,
                          missing.at ? missing.at : "");
    else
        tn_text_printf(report, "partition: %lld nodes on %s\n", (long long)count,
                       engine->backend->name);
    tn_text_fini(&missing);
    return status;
}
