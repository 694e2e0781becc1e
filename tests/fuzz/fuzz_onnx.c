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

/* Text that the library wrote is text that it reads. */
static void print_and_parse(const tn_graph *graph, tn_arena *arena)
{
    tn_text text = {0};
    const tn_value *const *constants;
    int64_t count;
    tn_graph *parsed;
    if (tn_graph_print(graph, NULL, &text, arena, &constants, &count)) __builtin_trap();
    tn_tensor *data = TN_NEW_ARRAY(arena, tn_tensor, count);
    if (text.failed || !data) __builtin_trap();
    for (int64_t i = 0; i < count; i++) data[i] = constants[i]->constant;
    if (tn_graph_parse(text.at, text.bytes, data, count, &parsed)) __builtin_trap();
    tn_graph_free(parsed);
    tn_text_fini(&text);
}

static void use_graph(const tn_graph *graph)
{
    tn_arena arena;
    tn_graph *copy;
    tn_arena_init(&arena);
    if (tn_graph_verify(graph)) __builtin_trap(); /* the importer promises it */
    if (tn_graph_clone(graph, true, &copy)) __builtin_trap();
    tn_graph_free(copy);
    print_and_parse(graph, &arena);
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
