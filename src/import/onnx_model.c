/* An ONNX file as a whole: is it one, which versions does it speak, and the steps that make a graph
 * of it. */
#include <string.h>

#include "base/log.h"
#include "import/onnx_import.h"

/* Inputs that the user has to give: those without an initializer, as the file describes them. */
static tn_status print_inputs(tn_onnx_importer *importer)
{
    const TnOnnx__GraphProto *graph = importer->model->graph;
    tn_map initializers;
    tn_text text = {0};
    char *printed;
    bool first = true;
    tn_map_init(&initializers, importer->arena);
    for (size_t i = 0; i < graph->n_initializer; i++)
        if (graph->initializer[i]->name)
            TN_TRY(tn_map_put(&initializers, graph->initializer[i]->name, graph->initializer[i]));
    for (size_t i = 0; i < graph->n_input; i++) {
        const TnOnnx__ValueInfoProto *input = graph->input[i];
        if (input->name && tn_map_has(&initializers, input->name)) continue;
        if (!first) tn_text_append(&text, "\n", 1);
        first = false;
        tn_onnx_text(&input->base, 0, &text);
    }
    TN_TRY(tn_text_take(&text, &printed));
    importer->import->info.inputs_text = tn_arena_text(importer->arena, printed, strlen(printed));
    tn_text_free(printed);
    TN_CHECK(importer->import->info.inputs_text, TN_OUT_OF_MEMORY, "no memory for texts");
    return NULL;
}

static tn_status check_versions(tn_onnx_importer *importer)
{
    const TnOnnx__ModelProto *model = importer->model;
    tn_import_info *info = &importer->import->info;
    TN_CHECK(model->graph, TN_CORRUPT, "%s is no ONNX model: it has no graph", importer->name);
    TN_CHECK(model->has_ir_version && model->ir_version > 0, TN_CORRUPT,
             "%s is no ONNX model: it states no ir_version", importer->name);
    info->ir_version = model->ir_version;
    if (info->ir_version < TN_ONNX_IR_MIN || info->ir_version > TN_ONNX_IR_MAX)
        tn_log(TN_LOG_WARNING, "%s: IR version %lld is outside %d to %d; trying", importer->name,
               (long long)info->ir_version, TN_ONNX_IR_MIN, TN_ONNX_IR_MAX);
    for (size_t i = 0; i < model->n_opset_import; i++)
        TN_CHECK(model->opset_import[i]->version > 0 ||
                     !tn_onnx_is_standard(model->opset_import[i]->domain),
                 TN_INVALID, "%s imports opset %lld of ai.onnx", importer->name,
                 (long long)model->opset_import[i]->version);
    info->opset = tn_onnx_opset(model->opset_import, model->n_opset_import, "");
    /* Files older than opset numbers speak the first opset. */
    if (!info->opset && info->ir_version < 3) info->opset = 1;
    if (info->opset && (info->opset < TN_ONNX_OPSET_MIN || info->opset > TN_ONNX_OPSET_MAX))
        tn_log(info->opset > TN_ONNX_OPSET_MAX ? TN_LOG_WARNING : TN_LOG_INFO,
               "%s: opset %lld is outside %d to %d; trying", importer->name, (long long)info->opset,
               TN_ONNX_OPSET_MIN, TN_ONNX_OPSET_MAX);
    info->node_count = (int64_t)model->graph->n_node;
    info->graph_name = model->graph->name ? model->graph->name : "";
    info->producer =
        tn_arena_printf(importer->arena, "%s%s%s", model->producer_name ? model->producer_name : "",
                        model->producer_version && model->producer_version[0] ? " " : "",
                        model->producer_version ? model->producer_version : "");
    TN_CHECK(info->producer, TN_OUT_OF_MEMORY, "no memory for texts");
    return NULL;
}

static tn_status import_model(tn_onnx_importer *importer, const void *bytes, size_t byte_count)
{
    void *message;
    TN_CHECK(byte_count > 0, TN_CORRUPT, "%s is empty", importer->name);
    TN_TRY(tn_onnx_unpack(importer->arena, &tn_onnx__model_proto__descriptor, bytes, byte_count,
                          importer->name, &message));
    importer->model = message;
    TN_TRY(check_versions(importer));
    TN_TRY(print_inputs(importer));
    TN_TRY(tn_onnx_flatten(importer));
    TN_TRY(tn_onnx_build_graph(importer));
    return NULL;
}

tn_status tn_onnx_import(const void *bytes, size_t byte_count, const char *name, const char *folder,
                         const tn_load_options *options, tn_import **out)
{
    *out = NULL;
    tn_import *import = tn_alloc_zero(sizeof(*import));
    TN_CHECK(import, TN_OUT_OF_MEMORY, "no memory for a model");
    tn_arena_init(&import->arena);
    tn_onnx_importer importer = {
        .import = import,
        .arena = &import->arena,
        .options = options,
        .name = name ? name : "the model",
        .folder = folder,
    };
    tn_map_init(&importer.symbols, &import->arena);
    tn_map_init(&importer.symbol_names, &import->arena);
    tn_status status = import_model(&importer, bytes, byte_count);
    import->graph = importer.root;
    if (status) {
        tn_import_free(import);
        return tn_status_trail(status, __FILE__, __LINE__, __func__);
    }
    *out = import;
    return NULL;
}

void tn_import_free(tn_import *import)
{
    if (!import) return;
    tn_graph_free(import->graph);
    tn_onnx_mappings_free(import->mappings);
    tn_arena_fini(&import->arena);
    tn_free(import, sizeof(*import));
}
