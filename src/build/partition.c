/* Which device runs which node. There is one device for an engine so far, so this step asks whether
 * it can run everything, and says what it cannot, all at once. */
#include <string.h>

#include "build/stage.h"
#include "ir/subgraph.h"

/* NULL: it can. */
static const char *why_not(const tn_engine *engine, const tn_node *node)
{
    const tn_tactic *tactic;
    if (node->op->runs != TN_RUNS_TACTIC) return NULL; /* a step of the plan itself */
    if (!strcmp(node->op->name, "Dims")) return NULL;
    if (!tn_tactics_of(engine->backend, node->op->name, engine->device.features, &tactic, 1))
        return "no tactic";
    return NULL;
}

typedef struct tally {
    tn_text missing;
    int64_t count, missing_count;
} tally;

/* Recursion: as deep as graphs are nested. */
static void look(const tn_graph *graph, const tn_engine *engine, tally *t)
{
    for (const tn_node *node = graph->first; node; node = node->next) {
        char label[200];
        const tn_graph *inside;
        const char *why = why_not(engine, node);
        for (int i = 0; (inside = tn_node_inside(node, i)); i++) look(inside, engine, t);
        t->count++;
        if (!why) continue;
        if (t->missing_count++ < 20)
            tn_text_printf(&t->missing, "\n  %s: %s", tn_node_label(node, label, sizeof(label)),
                           why);
    }
}

tn_status tn_partition(const tn_graph *graph, const tn_engine *engine, tn_text *report)
{
    tally t = {.count = 0};
    look(graph, engine, &t);
    tn_status status = NULL;
    if (t.missing_count > 0)
        status = TN_ERROR(TN_UNSUPPORTED, "%lld of %lld nodes cannot run on %s:%s",
                          (long long)t.missing_count, (long long)t.count, engine->backend->name,
                          t.missing.at ? t.missing.at : "");
    else
        tn_text_printf(report, "partition: %lld nodes on %s\n", (long long)t.count,
                       engine->card ? engine->card->info.name : engine->backend->name);
    tn_text_fini(&t.missing);
    return status;
}
