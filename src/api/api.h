/* Private to api: argument checks, and what the handles of other files hold. */
#ifndef TN_API_API_H
#define TN_API_API_H

#include "base/status.h"
#include "import/checkpoint.h"
#include "import/import.h"

#define TN_NOT_NULL(argument)                                                                      \
    TN_CHECK((argument) != NULL, TN_INVALID, "%s: " #argument " is NULL", __func__)

struct tn_model {
    tn_import *import;
    tn_checkpoint *checkpoint; /* the import's graph borrows from it; NULL: there is none */
    tn_graph *graph;           /* the import's, or `simplified` */
    tn_graph *simplified;      /* borrows data from the import's */
    int64_t opset;             /* that it was simplified for; 0: it was not */
    tn_io *input, *output;
    tn_arena arena;
};

/* What the public struct says of a value; texts go to the arena. */
tn_status tn_io_describe(tn_arena *arena, const char *name, const tn_value *value, bool is_output,
                         tn_io *io) TN_MUST_USE;
/* A model of a graph that was drafted here. Constants are folded: nodes are layers. The graph is
 * taken over, also on failure; `producer` lives for ever (drafted_model.c). */
tn_status tn_model_of_graph(tn_graph *graph, const char *producer, tn_model **out) TN_MUST_USE;
/* Inputs and outputs of model->graph, anew. */
tn_status tn_model_describe(tn_model *model) TN_MUST_USE;
/* TN_TEXT_SUMMARY, TN_TEXT_JSON and TN_TEXT_SVG (inspect_api.c). */
tn_status tn_model_summary_text(const tn_model *model, tn_model_text_kind kind,
                                tn_text *out) TN_MUST_USE;
const tn_graph *tn_model_graph(const tn_model *model);

#endif
