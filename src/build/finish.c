/* The last steps of a build: constants into one block, the graph as text, tactics found. */
#include <string.h>

#include "build/stage.h"

static tn_status keep_graph(tn_engine *engine, const tn_graph *graph, tn_constant_list *constants,
                            tn_text *text)
{
    const tn_value *const *value;
    int64_t count;
    TN_TRY(tn_graph_print(graph, NULL, text, &engine->arena, &value, &count));
    engine->graph_constant = TN_NEW_ARRAY(&engine->arena, int32_t, count);
    TN_CHECK(engine->graph_constant && count < INT32_MAX, TN_OUT_OF_MEMORY,
             "no memory for the portable graph");
    for (int64_t i = 0; i < count; i++)
        TN_TRY(tn_constants_add(constants, &value[i]->constant, false, &engine->graph_constant[i]));
    engine->graph_constant_count = (int32_t)count;
    TN_CHECK(!text->failed, TN_OUT_OF_MEMORY, "no memory for the portable graph");
    engine->graph_text = tn_arena_text(&engine->arena, text->at ? text->at : "", text->bytes);
    TN_CHECK(engine->graph_text, TN_OUT_OF_MEMORY, "no memory for the portable graph");
    engine->graph_text_bytes = text->bytes;
    return NULL;
}

/* All constants by number, so that each can be replaced. */
static tn_status keep_source(tn_engine *engine, const tn_graph *graph, tn_constant_list *constants,
                             tn_text *text)
{
    const tn_graph_print_options options = {.inline_max = -1};
    const tn_value *const *value;
    tn_source *out = &engine->source;
    int64_t count;
    TN_TRY(tn_graph_print(graph, &options, text, &engine->arena, &value, &count));
    out->constant = TN_NEW_ARRAY(&engine->arena, int32_t, count);
    out->name = TN_NEW_ARRAY(&engine->arena, const char *, count);
    TN_CHECK(out->constant && out->name && count < INT32_MAX && !text->failed, TN_OUT_OF_MEMORY,
             "no memory for the source graph");
    for (int64_t i = 0; i < count; i++) {
        out->name[i] = tn_arena_text(&engine->arena, value[i]->name, strlen(value[i]->name));
        TN_CHECK(out->name[i], TN_OUT_OF_MEMORY, "no memory for the source graph");
        TN_TRY(tn_constants_add(constants, &value[i]->constant, false, &out->constant[i]));
    }
    out->count = (int32_t)count;
    out->text = tn_arena_text(&engine->arena, text->at ? text->at : "", text->bytes);
    TN_CHECK(out->text, TN_OUT_OF_MEMORY, "no memory for the source graph");
    out->text_bytes = text->bytes;
    return NULL;
}

tn_status tn_finish(tn_engine *engine, const tn_graph *graph, const tn_graph *source,
                    tn_constant_list *constants)
{
    tn_text text = {0};
    tn_status status = keep_graph(engine, graph, constants, &text);
    tn_text_fini(&text);
    if (!status && source) status = keep_source(engine, source, constants, &text);
    tn_text_fini(&text);
    TN_TRY(status);
    TN_TRY(tn_exec_engine_own(engine, constants->at, constants->order, (int32_t)constants->count));
    tn_constants_fini(constants); /* what was packed is in the engine now */
    return tn_exec_engine_ready(engine);
}
