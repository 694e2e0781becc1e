/* Bytes as an ONNX model: imported or refused, and an imported graph is one that verifies, prints
 * and can be cloned. Nothing is built or run. */
#include "base/log.h"
#include "import/import.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t byte_count);
int LLVMFuzzerInitialize(int *argc, char ***argv);

static void no_log(void *self, tn_log_level level, const char *line)
{
    (void)self;
    (void)level;
    (void)line;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    tn_set_log(no_log, NULL, TN_LOG_ERROR);
    return 0;
}

static void use_graph(const tn_graph *graph)
{
    tn_text text = {0};
    tn_arena arena;
    const tn_value *const *constants;
    int64_t constant_count;
    tn_graph *copy;
    tn_arena_init(&arena);
    if (tn_graph_verify(graph)) __builtin_trap(); /* the importer promises it */
    if (tn_graph_print(graph, NULL, &text, &arena, &constants, &constant_count)) text.failed = true;
    if (!tn_graph_clone(graph, true, &copy)) tn_graph_free(copy);
    tn_text_fini(&text);
    tn_arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t byte_count)
{
    tn_import *import;
    tn_status status = tn_onnx_import(bytes, byte_count, "fuzz.onnx", NULL, NULL, &import);
    if (status) {
        if (!tn_status_message(status)[0]) __builtin_trap(); /* every refusal says why */
        return 0;
    }
    use_graph(import->graph);
    tn_import_free(import);
    return 0;
}
