/* Graphs as text (.tn): whatever parses must print, parse again to the same text, and build an
 * engine or say why not. Small ones are also run: the gate inside the build compares passes and
 * kernels with the reference. */
#include <stdlib.h>
#include <string.h>

#include "build/build.h"
#include "ir/graph.h"
#include "tensor/tensor.h"

static char *print(const tn_graph *graph)
{
    tn_text text = {0};
    char *out = NULL;
    tn_arena arena;
    const tn_value *const *constants;
    int64_t count;
    tn_arena_init(&arena);
    tn_status status = tn_graph_print(graph, NULL, &text, &arena, &constants, &count);
    tn_arena_fini(&arena);
    if (!status) status = tn_text_take(&text, &out);
    tn_text_fini(&text);
    if (status) abort();
    return out;
}

/* Elements of all fixed dims: what a build could be asked to compute with. */
static bool is_small(const tn_graph *graph)
{
    int64_t total = 0, dim;
    for (const tn_node *node = graph->first; node; node = node->next)
        for (int32_t k = 0; k < node->out_count; k++) {
            int64_t count = 1;
            for (int axis = 0; node->out[k] && axis < node->out[k]->type.rank; axis++)
                if (!tn_expr_is_const(graph->exprs, node->out[k]->type.dim[axis], &dim) ||
                    !tn_mul_i64(count, dim, &count))
                    return false;
            if (__builtin_add_overflow(total, count, &total)) return false;
        }
    return total < 1 << 16 && graph->node_count < 64;
}

static void build(const tn_graph *graph)
{
    tn_build_config config = {.size = sizeof(config), .threads = 1, .budget_ms = -1};
    tn_engine *engine = NULL;
    config.no_check = !is_small(graph);
    tn_status status = tn_build_engine(graph, &config, &engine);
    if (status && !tn_status_message(status)[0]) abort();
    if (tn_status_code(status) == TN_INTERNAL || tn_status_code(status) == TN_CORRUPT) abort();
    tn_exec_engine_release(engine);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    tn_graph *graph = NULL, *again = NULL;
    if (bytes > 1 << 14) return 0;
    tn_set_log(NULL, NULL, TN_LOG_ERROR);
    tn_status status = tn_graph_parse((const char *)data, bytes, NULL, 0, &graph);
    if (status) {
        if (!tn_status_message(status)[0]) abort();
        return 0;
    }
    char *text = print(graph);
    if (tn_graph_parse(text, strlen(text), NULL, 0, &again) == NULL) {
        char *second = print(again);
        /* Run-time symbols ("$nonzero.0") are numbered anew with each reading. */
        if (!strchr(text, '$') && strcmp(text, second)) abort();
        tn_text_free(second);
        tn_graph_free(again);
    }
    tn_text_free(text);
    build(graph);
    tn_graph_free(graph);
    return 0;
}
