/* tenon inspect FILE: what is in a model, an engine or a checkpoint. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tool.h"

static struct {
    bool onnx_text, graph, report, json, as_is, weights;
    const char *svg;
} own;
static model_flags flags;

static int options(tool_option *out)
{
    const tool_option rows[] = {
        {"onnx-text", OPTION_FLAG, &own.onnx_text, NULL,
         "a model's inputs in protobuf text format, as ONNX tools print graph.input"},
        {"graph", OPTION_FLAG, &own.graph, NULL, "a model's graph in .tn text"},
        {"json", OPTION_FLAG, &own.json, NULL,
         "for programs: a model's summary; an engine's layers, kernels, memory and origins"},
        {"svg", OPTION_TEXT, &own.svg, "FILE",
         "draw a model's graph, simplified so that a person can read it"},
        {"as-is", OPTION_FLAG, &own.as_is, NULL, "draw the graph as the file has it"},
        {"report", OPTION_FLAG, &own.report, NULL, "an engine's build report"},
        {"weights", OPTION_FLAG, &own.weights, NULL,
         "an engine's weights that `tenon refit` can replace, and which of them are missing"},
    };
    memcpy(out, rows, sizeof(rows));
    int count = (int)(sizeof(rows) / sizeof(rows[0]));
    return count + model_options(&flags, out + count);
}

static tn_status print_weights(const tn_engine *engine)
{
    char shape[200];
    int64_t count = tn_engine_weight_count(engine);
    if (!count) printf("none: the engine was not built with --refit or --strip-weights\n");
    for (int64_t i = 0; i < count; i++) {
        const char *name;
        tn_tensor t;
        bool missing;
        tn_status status = tn_engine_weight(engine, i, &name, &t, &missing);
        if (status) return status;
        printf("%s %s %s%s\n", name, tn_dtype_name(t.dtype),
               shape_text(t.dim, t.rank, shape, sizeof(shape)), missing ? ", missing" : "");
    }
    return NULL;
}

static tn_status engine_text(const char *path, char **text)
{
    tn_engine *engine;
    tn_status status = tn_engine_load(path, NULL, own.json ? 0 : 1, &engine);
    if (status) return status;
    status = own.weights ? print_weights(engine)
             : own.json  ? tn_engine_layers(engine, NULL, text)
                         : tn_engine_text(engine, own.report ? TN_TEXT_REPORT : TN_TEXT_PLAN, text);
    tn_engine_free(engine);
    return status;
}

/* Newer opsets have more operators for what files spell in parts. */
static tn_status draw(tn_model *model, char **text)
{
    const tn_simplify_options options = {.size = sizeof(options), .opset = 24, .no_check = true};
    if (!own.as_is) {
        tn_status status = tn_model_simplify(model, &options, NULL);
        if (status) return status;
    }
    return tn_model_text(model, TN_TEXT_SVG, text);
}

static tn_status model_text(const char *path, char **text)
{
    tn_model *model;
    tn_status status = model_open(path, &flags, &model);
    if (status) return status;
    tn_model_text_kind kind = own.onnx_text ? TN_TEXT_ONNX_INPUTS
                              : own.graph   ? TN_TEXT_GRAPH
                              : own.json    ? TN_TEXT_JSON
                                            : TN_TEXT_SUMMARY;
    status = own.svg ? draw(model, text) : tn_model_text(model, kind, text);
    tn_model_free(model);
    return status;
}

static int save_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    bool done = file && fputs(text, file) >= 0;
    if (file && fclose(file) != 0) done = false;
    if (done) {
        fprintf(stderr, "wrote %s\n", path);
        return EXIT_DONE;
    }
    fprintf(stderr, "tenon inspect: cannot write '%s': %s\n", path, strerror(errno));
    return EXIT_FAILED;
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
    if (engine && (own.onnx_text || own.graph || own.svg)) {
        fprintf(stderr, "tenon inspect: --onnx-text, --graph and --svg are for models; "
                        "this is an engine\n");
        return EXIT_USAGE;
    }
    /* Of a checkpoint the tensors, unless it is asked for as the graph of a network. */
    bool as_graph = flags.arch || own.onnx_text || own.graph || own.json || own.svg;
    if (!engine && !as_graph && is_checkpoint_file(arguments->at[0]))
        return report(inspect_checkpoint(arguments->at[0]));
    int code =
        report(engine ? engine_text(arguments->at[0], &text) : model_text(arguments->at[0], &text));
    if (code) return code;
    code = own.svg ? save_text(own.svg, text) : EXIT_DONE;
    if (!own.svg && text) printf("%s", text);
    tn_text_free(text);
    return code;
}

const tool_command command_inspect = {
    .name = "inspect",
    .usage = "MODEL.onnx|FILE.engine|FILE.pth|FILE.safetensors [OPTION ...]",
    .about = "Print what is in a model, an engine or a checkpoint",
    .options = options,
    .run = run,
};
