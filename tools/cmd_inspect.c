/* tenon inspect FILE: what is in a model, an engine or a checkpoint. */
#include <string.h>

#include "tool.h"

static struct {
    bool onnx_text, graph, report, random_weights;
} own;

static int options(tool_option *out)
{
    const tool_option rows[] = {
        {"onnx-text", OPTION_FLAG, &own.onnx_text, NULL,
         "a model's inputs in protobuf text format, as ONNX tools print graph.input"},
        {"graph", OPTION_FLAG, &own.graph, NULL, "a model's graph in .tn text"},
        {"report", OPTION_FLAG, &own.report, NULL, "an engine's build report"},
        {"random-weights", OPTION_FLAG, &own.random_weights, NULL,
         "generate weights whose external file is absent"},
    };
    memcpy(out, rows, sizeof(rows));
    return 4;
}

static tn_status engine_text(const char *path, char **text)
{
    tn_engine *engine;
    tn_status status = tn_engine_load(path, NULL, 1, &engine);
    if (status) return status;
    status = tn_engine_text(engine, own.report ? TN_TEXT_REPORT : TN_TEXT_PLAN, text);
    tn_engine_free(engine);
    return status;
}

static tn_status model_text(const char *path, char **text)
{
    tn_load_options load = {.size = sizeof(load), .random_weights = own.random_weights};
    tn_model *model;
    tn_status status = tn_model_load(path, &load, &model);
    if (status) return status;
    status = tn_model_text(model,
                           own.onnx_text ? TN_TEXT_ONNX_INPUTS
                           : own.graph   ? TN_TEXT_GRAPH
                                         : TN_TEXT_SUMMARY,
                           text);
    tn_model_free(model);
    return status;
}

static int run(text_list *arguments)
{
    if (arguments->count != 1) {
        fprintf(
            stderr,
            "usage: tenon inspect MODEL.onnx|FILE.engine|FILE.pth|FILE.safetensors [OPTION ...]\n");
        return EXIT_USAGE;
    }
    char *text = NULL;
    bool engine = is_engine_file(arguments->at[0]);
    if (engine && (own.onnx_text || own.graph)) {
        fprintf(stderr,
                "tenon inspect: --onnx-text and --graph are for models; this is an engine\n");
        return EXIT_USAGE;
    }
    if (!engine && is_checkpoint_file(arguments->at[0]))
        return report(inspect_checkpoint(arguments->at[0]));
    int code =
        report(engine ? engine_text(arguments->at[0], &text) : model_text(arguments->at[0], &text));
    if (code) return code;
    printf("%s", text);
    tn_text_free(text);
    return EXIT_DONE;
}

const tool_command command_inspect = {
    .name = "inspect",
    .usage = "MODEL.onnx|FILE.engine|FILE.pth|FILE.safetensors [OPTION ...]",
    .about = "Print what is in a model, an engine or a checkpoint",
    .options = options,
    .run = run,
};
