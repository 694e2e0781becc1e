/* tenon export MODEL -o MODEL.onnx */
#include <string.h>

#include "tool.h"

static model_flags flags;
static struct {
    const char *output;
    int opset;
    bool external_data, list, verbose;
} own;

static int options(tool_option *out)
{
    const tool_option rows[] = {
        {"output", OPTION_TEXT, &own.output, "FILE.onnx", "the file to write (also -o)"},
        {"opset", OPTION_INT, &own.opset, "N",
         "opset of the result, 11 to 27; default the least from 17 on that has every operator"},
        {"external-data", OPTION_FLAG, &own.external_data, NULL,
         "put the weights into a file beside the model; done unasked above 2 GB"},
        {"list", OPTION_FLAG, &own.list, NULL, "print the networks with their settings"},
        {"verbose", OPTION_FLAG, &own.verbose, NULL, "say more"},
    };
    int count = (int)(sizeof(rows) / sizeof(rows[0]));
    memcpy(out, rows, sizeof(rows));
    return count + model_options(&flags, out + count);
}

static int list_networks(void)
{
    char *text;
    int code = report(tn_archs_text(&text));
    if (code) return code;
    printf("%s", text);
    tn_text_free(text);
    return EXIT_DONE;
}

static int run(text_list *arguments)
{
    if (own.list && arguments->count == 0) return list_networks();
    if (arguments->count != 1 || !own.output) {
        fprintf(stderr, "usage: tenon export MODEL -o FILE.onnx [OPTION ...]\n");
        return EXIT_USAGE;
    }
    const tn_save_options save = {
        .size = sizeof(save), .opset = own.opset, .external_data = own.external_data};
    tn_model *model;
    set_verbose(own.verbose);
    int code = report(model_open(arguments->at[0], &flags, &model));
    if (code) return code;
    code = report(tn_model_save(model, own.output, &save));
    if (!code) fprintf(stderr, "wrote %s\n", own.output);
    tn_model_free(model);
    return code;
}

const tool_command command_export = {
    .name = "export",
    .usage = "MODEL.pth|MODEL.safetensors|MODEL.onnx -o FILE.onnx [OPTION ...]",
    .about =
        "Write a model as ONNX: a network by name with the tensors of a checkpoint, or a model "
        "of another opset",
    .notes =
        "Opsets from 11 to 27 can be written: below 11, operators take as attributes what later "
        "ones take as\ninputs, so that dynamic shapes cannot be said. What the opset spells "
        "otherwise is spelled so;\nwhat it cannot say is an error that names the node and the "
        "opset it needs.",
    .options = options,
    .run = run,
};
