/* tenon build MODEL.onnx -o MODEL.engine */
#include <stdlib.h>
#include <string.h>

#include "tool.h"

static build_flags flags;
static struct {
    const char *output;
    bool report;
} own;

static int options(tool_option *out)
{
    const tool_option rows[] = {
        {"output", OPTION_TEXT, &own.output, "FILE",
         "the engine file (also -o); default MODEL.engine"},
        {"report", OPTION_FLAG, &own.report, NULL,
         "print every choice, refusal and the check's figures"},
        {"refit", OPTION_FLAG, &flags.refit, NULL,
         "keep the graph as it was imported, so that `tenon refit` can replace weights"},
        {"strip-weights", OPTION_FLAG, &flags.strip_weights, NULL,
         "leave the weights out of the file; it cannot run before `tenon refit` has put them in"},
    };
    int count = (int)(sizeof(rows) / sizeof(rows[0]));
    memcpy(out, rows, sizeof(rows));
    return count + build_options(&flags, out + count);
}

static int run(text_list *arguments)
{
    if (arguments->count != 1) {
        fprintf(stderr, "usage: tenon build MODEL.onnx|MODEL.pth [-o FILE] [OPTION ...]\n");
        return EXIT_USAGE;
    }
    const char *model = arguments->at[0];
    char fallback[4096];
    if (!own.output) {
        const char *slash = strrchr(model, '/'), *dot = strrchr(model, '.');
        int bytes = (int)(dot && (!slash || dot > slash) ? (size_t)(dot - model) : strlen(model));
        snprintf(fallback, sizeof(fallback), "%.*s.engine", bytes, model);
        own.output = fallback;
    }
    set_verbose(flags.verbose);
    double begin = now_ms();
    tn_engine *engine;
    int code = report(engine_open(model, &flags, &engine));
    if (code) return code;
    code = report(tn_engine_save(engine, own.output));
    if (!code && own.report) code = report(print_choices(engine));
    if (!code) fprintf(stderr, "built %s in %.2f s\n", own.output, (now_ms() - begin) * 1e-3);
    tn_engine_free(engine);
    return code;
}

const tool_command command_build = {
    .name = "build",
    .usage = "MODEL.onnx|MODEL.pth [-o FILE] [OPTION ...]",
    .about =
        "Optimise a model, choose kernels by measuring, check the result, write an engine file",
    .notes = "The engine is compared with the unoptimised graph at the min, opt and max shapes; a "
             "difference\n"
             "above the tolerance names the first tensor that differs and no file is written (exit "
             "code 3).",
    .options = options,
    .run = run,
};
